//! What in a prompt is not as it was meant, with where it stands: for an editor that underlines it.

use std::ops::Range;

use super::attention::{SpanKind, slips};
use super::highlight::Layers;
use super::{PromptProblem, dynamic, networks, schedule};

/// Something in a prompt that is worth underlining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Its bytes.
    pub range: Range<usize>,
    /// A sentence.
    pub sentence: String,
    /// Whether a name leads nowhere. What else is remarked on has a meaning, though perhaps not the one that was meant.
    pub is_error: bool,
}

/// Which names a prompt can use; `None` while that is not known.
#[derive(Clone, Copy, Default)]
pub struct Names<'a> {
    /// Whether there is an adapter of this name.
    pub has_lora: Option<&'a dyn Fn(&str) -> bool>,
    /// Whether there is a wildcard of this name, which may hold `*` and `?`.
    pub has_wildcard: Option<&'a dyn Fn(&str) -> bool>,
}

/// Everything that is worth underlining, in the order of the text.
#[must_use]
pub fn remarks(text: &str, is_negative: bool, names: &Names<'_>) -> Vec<Remark> {
    let layers = Layers::read(text);
    let mut remarks = Vec::new();
    drawing(text, names, &mut remarks);
    tags(text, &layers, is_negative, names, &mut remarks);
    let mut hint = |range: Range<usize>, sentence: String| remarks.push(Remark { range, sentence, is_error: false });
    for part in &layers.parts {
        let masked = &layers.masked[part.clone()];
        let whole = |range: Range<usize>| part.start + range.start..part.start + range.end;
        let found = slips(masked);
        for at in found.unpaired {
            let bracket = &masked[at..=at];
            let sentence = match bracket {
                "(" | "[" => format!("The `{bracket}` is not closed, so it reaches to the end"),
                _ => format!("The `{bracket}` closes nothing, so it is read as text"),
            };
            hint(whole(at..at + 1), sentence);
        }
        for range in found.no_numbers {
            let weight = masked[range.start + 1..range.end].trim().to_owned();
            hint(whole(range), PromptProblem::WeightIsNoNumber { weight }.to_string());
        }
    }
    // Before schedules are taken out of it: what keeps them from being followed.
    for part in &layers.parts {
        let typed = unmasked(text, &layers, part);
        if let (_, Some(problem)) = schedule::stretches(&typed, 1, 0)
            && let PromptProblem::ScheduleNotFollowed { character, byte } = &problem
        {
            hint(part.start + byte..part.start + byte + character.len_utf8(), problem.to_string());
        }
    }
    if let Some(range) = layers.lone_weight.clone().filter(|_| !is_negative) {
        let weight = text[range.clone()].to_owned();
        hint(range, PromptProblem::WeightOfWholePrompt { weight }.to_string());
    }
    remarks.sort_by_key(|remark| (remark.range.start, remark.range.end));
    remarks
}

/// A part of a prompt with only what is drawn and networks taken out of it.
fn unmasked(text: &str, layers: &Layers, part: &Range<usize>) -> String {
    let is_masked = |kind: SpanKind| matches!(kind, SpanKind::Dynamic | SpanKind::Network | SpanKind::And);
    let kept = text[part.clone()].char_indices();
    kept.flat_map(|(at, c)| {
        let masked = is_masked(layers.kinds[part.start + at]);
        // Byte for byte, so that positions stay.
        let (stand_ins, kept) = if masked { (c.len_utf8(), None) } else { (0, Some(c)) };
        std::iter::repeat_n(',', stand_ins).chain(kept)
    })
    .collect()
}

/// Braces and wildcards.
fn drawing(text: &str, names: &Names<'_>, remarks: &mut Vec<Remark>) {
    let (wildcards, braces) = dynamic::wildcards_and_open_braces(text);
    for at in braces {
        let sentence = PromptProblem::UnclosedBrace.to_string();
        remarks.push(Remark { range: at..at + 1, sentence, is_error: false });
    }
    let Some(has_wildcard) = names.has_wildcard else { return };
    for range in wildcards {
        let name = &text[range.start + 2..range.end - 2];
        if !has_wildcard(name) {
            let sentence = PromptProblem::UnknownWildcard { name: name.to_owned() }.to_string();
            remarks.push(Remark { range, sentence, is_error: true });
        }
    }
}

/// Networks.
fn tags(text: &str, layers: &Layers, is_negative: bool, names: &Names<'_>, remarks: &mut Vec<Remark>) {
    let found = networks::tags(text);
    for tag in &found {
        let mut remark = |sentence: String, is_error: bool| {
            remarks.push(Remark { range: tag.range.clone(), sentence, is_error });
        };
        let name = tag.arguments.split(':').next().unwrap_or_default();
        if is_negative {
            let (kind, name) = (tag.kind.to_owned(), name.to_owned());
            remark(PromptProblem::NetworkInNegativePrompt { kind, name }.to_string(), false);
            continue;
        }
        // What is drawn in it is not known yet.
        let is_drawn = text[tag.range.clone()].contains(['{', '}']) || text[tag.range.clone()].contains("__");
        if is_drawn || layers.kinds[tag.range.start] != SpanKind::Network {
            continue;
        }
        let read = networks::extract(&text[tag.range.clone()]);
        for problem in read.problems {
            remark(problem.to_string(), matches!(problem, PromptProblem::NetworkWithoutName));
        }
        if let (Some(has_lora), Some(network)) = (names.has_lora, read.networks.first())
            && !has_lora(&network.name)
        {
            remark(format!("There is no LoRA called {}", network.name), true);
        }
    }
    for begin in ["<lora:", "<lyco:"] {
        for (at, _) in text.match_indices(begin) {
            if !found.iter().any(|tag| tag.range.contains(&at)) {
                let sentence = "The `<` is not closed, so it is read as text".to_owned();
                remarks.push(Remark { range: at..at + 1, sentence, is_error: false });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, is_negative: bool) -> Vec<(String, String)> {
        let names = Names {
            has_lora: Some(&|name| name == "ink"),
            has_wildcard: Some(&|name| super::super::wildcards::fits(name, "colour")),
        };
        let remarks = remarks(text, is_negative, &names);
        remarks.into_iter().map(|one| (text[one.range].to_owned(), one.sentence)).collect()
    }

    #[test]
    fn what_is_not_as_it_was_meant_is_found_where_it_stands() {
        for (text, marked, sentence) in [
            ("a (b", "(", "The `(` is not closed, so it reaches to the end"),
            ("é [b:c", "[", "The `[` is not closed, so it reaches to the end"),
            ("a) b", ")", "The `)` closes nothing, so it is read as text"),
            ("a {b", "{", "A `{` is not closed, so it is read as text"),
            ("__fur__ a", "__fur__", "There is no wildcard `fur`, so it stays in the text"),
            ("{a|__f*__}", "__f*__", "There is no wildcard `f*`, so it stays in the text"),
            ("a <lora:gone:1>", "<lora:gone:1>", "There is no LoRA called gone"),
            ("a <lora:ink", "<", "The `<` is not closed, so it is read as text"),
            ("<hypernet:h:1>", "<hypernet:h:1>", "`<hypernet:h>` is left out: only LoRAs are supported"),
            ("(a:1.2.3)", ":1.2.3", "The weight `1.2.3` is no number, so it is read as text"),
            ("at 12:30", ":30", "`:30` at the end weighs the whole prompt; put a full stop after it if it is text"),
            (
                "a | b [c:d:5]",
                "|",
                "The schedules of this prompt are not followed, because of the `|` outside of square brackets",
            ),
        ] {
            assert_eq!(found(text, false), [(marked.to_owned(), sentence.to_owned())], "{text}");
        }
        for text in
            ["", "a (b:1.2) [c] [d:e:0.5] <lora:ink:0.5> AND f :2", "__col*__ {a|b}", r"\(a :\)", "<lora:{a|b}>"]
        {
            assert_eq!(found(text, false), [], "{text}");
        }
        assert_eq!(found("<lora:ink:1>", true).len(), 1, "nothing is loaded from a negative prompt");
    }
}
