//! Extra networks: `<lora:name:0.8>` says which adapters to load; the text goes on without them.
//!
//! As in stable-diffusion-webui v1.10 (`modules/extra_networks.py`, `extensions-builtin/Lora/extra_networks_lora.py`):
//! `<word:arguments>` is taken out whatever the word is; arguments are separated by colons; `te=` and `unet=` name
//! weights; `lyco` is another word for `lora`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::PromptProblem;
use super::attention::MAX_WEIGHT;
use super::text::is_word;
use crate::domain::limits::MAX_LORA_WEIGHT;

/// An adapter that the prompt asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Its name: a file's name without the folder and the ending, or an alias.
    pub name: String,
    /// How strongly it changes the text encoder.
    pub text_encoder_weight: f64,
    /// How strongly it changes the `UNet`.
    pub unet_weight: f64,
}

/// A text and the adapters that it asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extracted {
    /// The text without them. White space stays.
    pub text: String,
    /// In the order of the text, one as often as it is named.
    pub networks: Vec<Network>,
    /// What could not be followed.
    pub problems: Vec<PromptProblem>,
}

/// Takes the networks out of a text.
#[must_use]
pub fn extract(text: &str) -> Extracted {
    let mut found = Extracted::default();
    let mut start = 0;
    for tag in tags(text) {
        found.text.push_str(&text[start..tag.range.start]);
        start = tag.range.end;
        match tag.kind {
            "lora" | "lyco" => {
                if let Some(network) = read(tag.arguments, &mut found.problems) {
                    found.networks.push(network);
                }
            }
            kind => {
                let name = tag.arguments.split(':').next().unwrap_or_default();
                found
                    .problems
                    .push(PromptProblem::NetworkNotSupported { kind: kind.to_owned(), name: name.to_owned() });
            }
        }
    }
    found.text.push_str(&text[start..]);
    found
}

/// The text with the adapter `name` at these weights: its tag is changed where it stands, or added at the end. Where it is
/// named several times, the first tag stays: weights add up, so that the others would be added to these.
#[must_use]
pub fn with_network(text: &str, name: &str, text_encoder_weight: f64, unet_weight: f64) -> String {
    // Two digits: no eye sees a hundredth of a weight.
    let round = |weight: f64| (weight.clamp(-MAX_LORA_WEIGHT, MAX_LORA_WEIGHT) * 100.0).round() / 100.0 + 0.0;
    let (te, unet) = (round(text_encoder_weight), round(unet_weight));
    let tag = if te == unet { format!("<lora:{name}:{te}>") } else { format!("<lora:{name}:{te}:{unet}>") };
    let ranges = named(text, name);
    let Some(first) = ranges.first() else {
        let between = if text.is_empty() || text.ends_with(char::is_whitespace) { "" } else { " " };
        return format!("{text}{between}{tag}");
    };
    let rest = ranges[1..].iter().rev().fold(text.to_owned(), |text, range| cut(&text, range));
    format!("{}{tag}{}", &rest[..first.start], &rest[first.end..])
}

/// The text without any tag of the adapter `name`.
#[must_use]
pub fn without_network(text: &str, name: &str) -> String {
    named(text, name).iter().rev().fold(text.to_owned(), |text, range| cut(&text, range))
}

/// Where tags of an adapter stand, in any case.
fn named(text: &str, name: &str) -> Vec<Range<usize>> {
    let is_it = |tag: &Tag<'_>| {
        let own = tag.arguments.split(':').find(|argument| argument.matches('=').count() != 1);
        matches!(tag.kind, "lora" | "lyco")
            && own.is_some_and(|own| own.trim().to_lowercase() == name.trim().to_lowercase())
    };
    tags(text).into_iter().filter(is_it).map(|tag| tag.range).collect()
}

/// Takes a tag out, and the space before it where another, a comma or nothing follows.
fn cut(text: &str, range: &Range<usize>) -> String {
    let (before, after) = (&text[..range.start], &text[range.end..]);
    let before = match before.strip_suffix(' ') {
        Some(shorter) if after.is_empty() || after.starts_with(|c: char| c == ',' || c.is_whitespace()) => shorter,
        _ => before,
    };
    format!("{before}{after}")
}

/// What is left of a text without its tags, as parts of it.
pub(super) fn rest(text: &str) -> Vec<Range<usize>> {
    let mut rest = Vec::new();
    let mut start = 0;
    for tag in tags(text) {
        rest.push(start..tag.range.start);
        start = tag.range.end;
    }
    rest.push(start..text.len());
    rest
}

/// One `<kind:arguments>`.
pub(super) struct Tag<'a> {
    pub range: Range<usize>,
    pub kind: &'a str,
    pub arguments: &'a str,
}

/// Every tag of a text, in order.
pub(super) fn tags(text: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('<') {
        let open = at + found;
        at = open + 1;
        let kind = &text[at..][..text[at..].find(|c| !is_word(c)).unwrap_or(text.len() - at)];
        let Some(rest) = text[at + kind.len()..].strip_prefix(':') else { continue };
        if kind.is_empty() {
            continue;
        }
        // Where nothing closes this one, nothing closes a later one.
        let Some(length) = rest.find('>') else { break };
        if length > 0 {
            let end = text.len() - rest.len() + length + 1;
            tags.push(Tag { range: open..end, kind, arguments: &rest[..length] });
            at = end;
        }
    }
    tags
}

fn read(arguments: &str, problems: &mut Vec<PromptProblem>) -> Option<Network> {
    let mut positional = Vec::new();
    let (mut te, mut unet) = (None, None);
    for argument in arguments.split(':') {
        match argument.split_once('=') {
            // Two equal signs make no name there either.
            Some((name, value)) if !value.contains('=') => match name.trim() {
                "te" => te = Some(value),
                "unet" => unet = Some(value),
                option => problems.push(PromptProblem::NetworkOptionNotSupported { option: option.to_owned() }),
            },
            _ => positional.push(argument),
        }
    }
    let name = positional.first().map_or("", |name| name.trim());
    if name.is_empty() {
        problems.push(PromptProblem::NetworkWithoutName);
        return None;
    }
    if let Some(option) = positional.get(3) {
        problems.push(PromptProblem::NetworkOptionNotSupported { option: (*option).to_owned() });
    }
    let mut number = |literal: Option<&str>, default: f64| {
        let Some(literal) = literal else { return default };
        match literal.trim().parse::<f64>() {
            Ok(weight) if weight.is_finite() => weight.clamp(-MAX_WEIGHT, MAX_WEIGHT),
            _ => {
                problems
                    .push(PromptProblem::NetworkWeightIsNoNumber { name: name.to_owned(), weight: literal.to_owned() });
                default
            }
        }
    };
    let text_encoder_weight = number(te.or(positional.get(1).copied()), 1.0);
    let unet_weight = number(unet.or(positional.get(2).copied()), text_encoder_weight);
    Some(Network { name: name.to_owned(), text_encoder_weight, unet_weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(text: &str) -> Vec<(String, f64, f64)> {
        let found = extract(text);
        assert_eq!(found.problems, [], "{text}");
        found.networks.into_iter().map(|n| (n.name, n.text_encoder_weight, n.unet_weight)).collect()
    }

    #[test]
    fn loras_have_two_weights() {
        for (text, te, unet) in [
            ("<lora:a b>", 1.0, 1.0),
            ("<lora:a b:0.5>", 0.5, 0.5),
            ("<lyco:a b:0.5:.25>", 0.5, 0.25),
            ("<lora:a b:te=0.5>", 0.5, 0.5),
            ("<lora:a b:unet=0.5>", 1.0, 0.5),
            ("<lora:a b:0.7:unet=-1:te=0.5>", 0.5, -1.0),
        ] {
            assert_eq!(weights(text), [("a b".to_owned(), te, unet)], "{text}");
        }
    }

    #[test]
    fn the_text_goes_on_without_them() {
        let found = extract("a <lora:x:1> b<lora:y>, 1 < 2 <3 <hypernet:h:0.5> <:x> <lora:>");
        assert_eq!(found.text, "a  b, 1 < 2 <3  <:x> <lora:>");
        assert_eq!(found.networks.len(), 2);
        let unsupported = PromptProblem::NetworkNotSupported { kind: "hypernet".to_owned(), name: "h".to_owned() };
        assert_eq!(found.problems, [unsupported]);
    }

    #[test]
    fn a_weight_that_is_no_number_is_named_and_is_1() {
        let found = extract("<lora:x:much>");
        assert_eq!(found.networks[0].unet_weight, 1.0);
        let problem = PromptProblem::NetworkWeightIsNoNumber { name: "x".to_owned(), weight: "much".to_owned() };
        assert_eq!(found.problems, [problem]);
    }

    #[test]
    fn a_tag_is_added_changed_and_taken_out() {
        for (text, te, unet, expected) in [
            ("", 1.0, 1.0, "<lora:Ink:1>"),
            ("a cat", 0.8, 0.8, "a cat <lora:Ink:0.8>"),
            ("a\n", 0.5, -0.25, "a\n<lora:Ink:0.5:-0.25>"),
            ("a <lyco:ink:0.3:te=2> b", 0.7, 0.7, "a <lora:Ink:0.7> b"),
            ("<lora:INK> a <lora:ink:0.5>, <lora:inky>", 0.123, 99.0, "<lora:Ink:0.12:10> a, <lora:inky>"),
            ("a", -0.001, 0.0, "a <lora:Ink:0>"),
        ] {
            let with = with_network(text, "Ink", te, unet);
            assert_eq!(with, expected, "{text}");
            assert_eq!(named(&with, "ink").len(), 1);
        }
        for (text, expected) in [
            ("a cat <lora:ink:0.8>", "a cat"),
            ("a <lora:ink> b <lora:INK:2>", "a b"),
            ("<lora:te=1:ink> b", " b"),
            ("<lora:inky> <hypernet:ink:1>", "<lora:inky> <hypernet:ink:1>"),
        ] {
            assert_eq!(without_network(text, "ink"), expected, "{text}");
        }
    }
}
