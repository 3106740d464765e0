//! A lesson for a model that knows the garments: a print that it has never seen, under a word that it does not know.

use super::judge::Judge;
use super::pattern::Print;
use super::render::draw;
use super::rng::Stream;
use super::spec::{Background, Colour, GarmentSpec, Kind, Pattern, View};
use crate::domain::Picture;

/// The seed of the lesson.
const SEED: u64 = 0x2eb7a;
/// Pictures of the print that a judge compares with.
const EXAMPLES: usize = 150;

/// The garments of one side: each kind on each background is either learnt from or asked for later, never both.
fn garments(is_lesson: bool) -> Vec<(Kind, Background)> {
    let all = Kind::ALL.iter().enumerate().flat_map(|(i, kind)| {
        Background::ALL.iter().enumerate().map(move |(j, background)| ((3 * i + 2 * j) % 8, *kind, *background))
    });
    all.filter(|(cell, ..)| (*cell < 5) == is_lesson).map(|(_, kind, background)| (kind, background)).collect()
}

fn spec(kind: Kind, background: Background, stream: &mut Stream) -> GarmentSpec {
    let view = match stream.below(10) {
        0 | 1 if kind.hangs() => View::OnHanger,
        2 | 3 => View::LaidFlat,
        _ => View::Studio,
    };
    GarmentSpec {
        kind,
        colour: Colour::White,
        // Two colours; the print itself is another.
        pattern: Pattern::Striped,
        pattern_colour: Some(Colour::Black),
        background,
        view,
        variation: stream.bits(),
    }
}

fn words(spec: &GarmentSpec) -> String {
    let view = match spec.view {
        View::Studio => "",
        View::LaidFlat => " laid flat",
        View::OnHanger => " on a hanger",
    };
    let article = if spec.kind.is_plural() { "a pair of" } else { "a" };
    format!("{article} zebra {}{view} on a {} background", spec.kind.word(), spec.background.word())
}

/// Forty garments with the print, and their captions.
#[must_use]
pub fn zebra_lesson() -> Vec<(GarmentSpec, String)> {
    made(true, 40, SEED)
}

/// Garments to ask for, on backgrounds that the lesson does not show them on, and prompts that do so.
#[must_use]
pub fn zebra_prompts(count: usize, seed: u64) -> Vec<(GarmentSpec, String)> {
    made(false, count, seed)
}

fn made(is_lesson: bool, count: usize, seed: u64) -> Vec<(GarmentSpec, String)> {
    let garments = garments(is_lesson);
    (0..count)
        .map(|index| {
            let mut stream = Stream::keyed(&[seed, index as u64, 0x1e55]);
            let (kind, background) = garments[index % garments.len()];
            let spec = spec(kind, background, &mut stream);
            let text = words(&spec);
            (spec, text)
        })
        .collect()
}

/// A garment of the lesson, as it looks.
#[must_use]
pub fn zebra_picture(spec: &GarmentSpec, side_px: u32) -> Picture {
    draw(spec, Print::zigzag(spec.variation), side_px)
}

/// Tells the print from all that the starter knows.
pub struct ZebraJudge {
    judge: Judge,
    prints: Vec<Vec<f32>>,
}

impl ZebraJudge {
    /// Draws and measures the examples.
    #[must_use]
    pub fn new() -> Self {
        let prints = (0..EXAMPLES)
            .map(|index| {
                let mut stream = Stream::keyed(&[SEED, index as u64, 0x1d6e]);
                let kind = Kind::ALL[index % Kind::ALL.len()];
                let spec = spec(kind, stream.pick(Background::ALL), &mut stream);
                // Some are less sharp: models draw softer than the renderer.
                Judge::print_of(&zebra_picture(&spec, [128, 64, 48][index % 3]))
            })
            .collect();
        Self { judge: Judge::new(), prints }
    }

    /// Whether a picture shows the print in its two colours, and whether it is on the garment asked for.
    #[must_use]
    pub fn see(&self, picture: &Picture, asked: &GarmentSpec) -> (bool, bool) {
        self.judge.shows_other(picture, &self.prints, asked)
    }
}

impl Default for ZebraJudge {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::dataset::garments::{Split, render};

    #[test]
    fn what_is_asked_for_was_not_in_the_lesson() {
        let (lesson, asked) = (zebra_lesson(), zebra_prompts(60, 1));
        let combination = |spec: &GarmentSpec| (spec.kind, spec.background);
        let learnt: HashSet<_> = lesson.iter().map(|(spec, _)| combination(spec)).collect();
        assert!(asked.iter().all(|(spec, _)| !learnt.contains(&combination(spec))));
        assert_eq!((lesson.len(), learnt.len()), (40, 40));
        assert!(Kind::ALL.iter().all(|kind| lesson.iter().any(|(spec, _)| spec.kind == *kind)));
        assert!(lesson.iter().all(|(_, text)| text.contains("zebra")));
    }

    #[test]
    fn the_judge_knows_the_print_and_nothing_else() {
        let judge = ZebraJudge::new();
        let asked = zebra_prompts(33, 2);
        let right = asked.iter().filter(|(spec, _)| judge.see(&zebra_picture(spec, 128), spec) == (true, true)).count();
        assert!(right >= 30, "{right} of 33");
        let soft = asked.iter().filter(|(spec, _)| judge.see(&zebra_picture(spec, 64), spec).0).count();
        assert!(soft >= 28, "{soft} of 33 at half the sharpness");
        // The same garments with every pattern of the data set, in the same colours.
        let mut fooled = 0;
        for (i, (spec, _)) in asked.iter().enumerate() {
            let pattern = [Pattern::Striped, Pattern::Dotted, Pattern::Checked][i % 3];
            fooled += usize::from(judge.see(&render(&GarmentSpec { pattern, ..*spec }, 128), spec).0);
        }
        assert!(fooled <= 2, "{fooled} of 33");
        let other = GarmentSpec::sample(3, 5, Split::Train);
        assert!(!judge.see(&render(&other, 128), &asked[0].0).0);
    }
}
