//! Garments in words, in two voices: how people ask for a picture, and the line of a shop's catalogue.

use super::pattern::StripeWay;
use super::rng::Stream;
use super::spec::{Background, GarmentSpec, Kind, Pattern, View};

/// The share of captions in the catalogue's voice.
const CATALOGUE: f32 = 0.3;

/// A caption of a picture: one of many wordings, which `seed` chooses. It names the kind, the main colour and, where
/// there is one, the pattern; mostly the pattern's colour; sometimes the view and the background.
#[must_use]
pub fn caption(spec: &GarmentSpec, seed: u64) -> String {
    let mut stream = Stream::keyed(&[spec.variation, seed, 0xca97]);
    if stream.chance(CATALOGUE) { catalogue_line(spec, &mut stream) } else { sentence(spec, &mut stream, 0.85, 0.6) }
}

/// A prompt that asks for this picture: in the plain voice, and it always names both colours and the background.
#[must_use]
pub fn prompt(spec: &GarmentSpec, seed: u64) -> String {
    let mut stream = Stream::keyed(&[spec.variation, seed, 0xa5c]);
    sentence(spec, &mut stream, 1.0, 1.0)
}

/// "Photo of a red dress with white stripes laid flat on a grey background"; the pattern's colour and the background
/// are named with the probabilities given.
fn sentence(spec: &GarmentSpec, stream: &mut Stream, name_second: f32, name_background: f32) -> String {
    let opening = stream.pick(&["", "", "", "photo of ", "a photo of ", "a picture of ", "product photo of "]);
    let second = stream.chance(name_second);
    let mut text = format!("{opening}{}", with_article(&garment(spec, stream, second), spec.kind, stream));
    match spec.view {
        View::LaidFlat if stream.chance(0.7) => text.push_str(stream.pick(&[" laid flat", " lying flat"])),
        View::OnHanger if stream.chance(0.75) => text.push_str(" on a hanger"),
        View::Studio if stream.chance(0.08) => {
            let seen = if spec.kind == Kind::Shoe { " from the side" } else { " from the front" };
            text.push_str(seen);
        }
        _ => {}
    }
    if stream.chance(name_background) {
        let word = weighted(spec.background.words(), stream);
        let joint = match stream.below(5) {
            0 if spec.background != Background::Gradient => ",",
            1 => " in front of",
            _ => " on",
        };
        text.push_str(joint);
        if joint != "," {
            text.extend([" ", article(word)]);
        }
        text.extend([" ", word, " background"]);
    }
    text
}

/// "red dress with white stripes", without an article.
fn garment(spec: &GarmentSpec, stream: &mut Stream, second: bool) -> String {
    let kind = weighted(spec.kind.words(), stream);
    let colour = weighted(spec.colour.words(), stream);
    let (adjective, print) = match spec.pattern {
        Pattern::Plain => {
            return match stream.below(12) {
                0 => format!("plain {colour} {kind}"),
                1 => format!("solid {colour} {kind}"),
                _ => format!("{colour} {kind}"),
            };
        }
        Pattern::Striped => stripes(spec, stream),
        Pattern::Dotted => (stream.pick(&["polka dot", "dotted"]), stream.pick(&["dots", "polka dots"])),
        Pattern::Checked => (stream.pick(&["checked", "checked", "checkered"]), "checks"),
    };
    let Some(other) = spec.pattern_colour.filter(|_| second).map(|other| weighted(other.words(), stream)) else {
        return if stream.chance(0.7) {
            format!("{adjective} {colour} {kind}")
        } else {
            format!("{colour} {adjective} {kind}")
        };
    };
    match stream.below(10) {
        0..=4 => format!("{colour} {kind} with {other} {print}"),
        5 | 6 => format!("{colour} and {other} {adjective} {kind}"),
        7 => format!("{adjective} {colour} {kind} with {other} {print}"),
        _ => format!("{adjective} {colour} and {other} {kind}"),
    }
}

/// The words for stripes. Those that run across are what people mean where they say nothing of it; the others are called
/// by their way.
fn stripes(spec: &GarmentSpec, stream: &mut Stream) -> (&'static str, &'static str) {
    match StripeWay::of(spec.variation) {
        StripeWay::Horizontal if stream.chance(0.15) => ("horizontally striped", "horizontal stripes"),
        StripeWay::Horizontal => ("striped", "stripes"),
        StripeWay::Vertical => ("vertically striped", "vertical stripes"),
        StripeWay::Diagonal => ("diagonally striped", "diagonal stripes"),
    }
}

/// "a red dress", "a pair of blue jeans", "blue jeans".
fn with_article(garment: &str, kind: Kind, stream: &mut Stream) -> String {
    match (kind.is_plural(), stream.below(10)) {
        (true, 0..=4) => format!("a pair of {garment}"),
        (true, _) | (false, 0) => garment.to_owned(),
        (false, _) => format!("{} {garment}", article(garment)),
    }
}

fn article(next: &str) -> &'static str {
    if next.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// The usual word in two of three cases, else one of the others.
fn weighted(words: &[&'static str], stream: &mut Stream) -> &'static str {
    if words.len() == 1 || stream.chance(0.65) { words[0] } else { stream.pick(&words[1..]) }
}

/// `Red Summer Women Dresses Alba Women Red Striped Dress`: base colour, season, gender, article type and product
/// name, the columns of the Fashion Product Images set in its manner.
fn catalogue_line(spec: &GarmentSpec, stream: &mut Stream) -> String {
    let article_type = match spec.kind {
        Kind::TShirt => "Tshirts",
        Kind::Shirt => "Shirts",
        Kind::Hoodie => "Sweatshirts",
        Kind::Jacket => "Jackets",
        Kind::Dress => "Dresses",
        Kind::Skirt => "Skirts",
        Kind::Jeans => "Jeans",
        Kind::Shorts => "Shorts",
        Kind::BucketHat => "Hat",
        Kind::Shoe => "Casual Shoes",
        Kind::Bag => "Handbags",
    };
    let gender = match spec.kind {
        Kind::Dress | Kind::Skirt => stream.pick(&["Women", "Women", "Girls"]),
        _ => stream.pick(&["Men", "Women", "Unisex", "Boys", "Girls"]),
    };
    let season = stream.pick(&["Summer", "Fall", "Winter", "Spring"]);
    let brand = stream.pick(&["Alba", "Northway", "Marigold", "Tarn", "Ostra", "Linden", "Fenwick", "Sorrel"]);
    let colour = titled(spec.colour.words().last().unwrap_or(&""));
    let kind = titled(spec.kind.word());
    let other = spec.pattern_colour.filter(|_| stream.chance(0.8)).map(|other| titled(other.word()));
    let (adjective, print) = match spec.pattern {
        Pattern::Plain => (stream.pick(&["", "", "Solid "]), ""),
        Pattern::Striped => match StripeWay::of(spec.variation) {
            StripeWay::Horizontal => ("Striped ", "Stripes"),
            StripeWay::Vertical => ("Vertically Striped ", "Vertical Stripes"),
            StripeWay::Diagonal => ("Diagonally Striped ", "Diagonal Stripes"),
        },
        Pattern::Dotted => (stream.pick(&["Polka Dot ", "Dotted "]), "Dots"),
        Pattern::Checked => ("Checked ", "Checks"),
    };
    let name = match other {
        Some(other) if stream.chance(0.5) => format!("{colour} & {other} {adjective}{kind}"),
        Some(other) => format!("{colour} {kind} with {other} {print}"),
        None => format!("{colour} {adjective}{kind}"),
    };
    match stream.below(4) {
        0 => format!("{brand} {gender} {name}"),
        1 => format!("{colour} {season} {gender} {article_type} {name}"),
        _ => format!("{colour} {season} {gender} {article_type} {brand} {gender} {name}"),
    }
}

/// Each word with a capital letter, as in a catalogue.
fn titled(words: &str) -> String {
    let mut start = true;
    words
        .chars()
        .map(|letter| {
            let upper = if start { letter.to_ascii_uppercase() } else { letter };
            start = matches!(letter, ' ' | '-');
            upper
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::garments::spec::Split;

    fn names(text: &str, words: &[&str]) -> bool {
        let text = format!(" {} ", text.to_lowercase().replace(',', " "));
        words.iter().any(|word| text.contains(&format!(" {word} ")))
    }

    /// Every caption names the kind, the colour and the pattern; every prompt the pattern's colour and background too.
    #[test]
    fn captions_name_what_is_drawn() {
        for index in 0..3000 {
            let spec = GarmentSpec::sample(9, index, if index % 2 == 0 { Split::Train } else { Split::HeldOut });
            let stem = match spec.pattern {
                Pattern::Plain => "",
                Pattern::Striped => "stripe",
                Pattern::Dotted => "dot",
                Pattern::Checked => "check",
            };
            for text in [caption(&spec, index), prompt(&spec, index)] {
                assert!(names(&text, spec.kind.words()), "{spec:?}: {text}");
                assert!(names(&text, spec.colour.words()), "{spec:?}: {text}");
                assert!(text.to_lowercase().contains(stem), "{spec:?}: {text}");
                assert!(!text.contains("  ") && text.trim() == text, "{text}");
                // No other pattern is named.
                let others = ["stripe", "dot", "check"].iter().filter(|other| text.to_lowercase().contains(**other));
                assert_eq!(others.count(), usize::from(spec.pattern != Pattern::Plain), "{text}");
            }
            let asked = prompt(&spec, index);
            assert!(names(&asked, spec.background.words()), "{asked}");
            assert!(spec.pattern_colour.is_none_or(|other| names(&asked, other.words())), "{asked}");
        }
    }

    #[test]
    fn wordings_differ_and_repeat_by_seed() {
        let spec = GarmentSpec::sample(1, 2, Split::Train);
        let texts: std::collections::BTreeSet<String> = (0..50).map(|seed| caption(&spec, seed)).collect();
        assert!(texts.len() > 15, "{texts:?}");
        assert_eq!(caption(&spec, 3), caption(&spec, 3));
        for (garment, expected) in [("orange bag", "an orange bag"), ("red bag", "a red bag")] {
            let mut found = (0..20).map(|seed| with_article(garment, Kind::Bag, &mut Stream::keyed(&[seed])));
            assert!(found.any(|text| text == expected));
        }
    }
}
