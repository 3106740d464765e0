//! Composition: `x :1.2 AND y` is two prompts, each guided by itself with its weight.
//!
//! As in stable-diffusion-webui (`get_multicond_prompt_list` in `modules/prompt_parser.py`, v1.10): `AND` splits
//! wherever it stands as a word, also inside brackets, and a number after the last colon of a part is its weight, also
//! where the prompt has one part only. The latter surprises (`a clock at 12:30`), so [`Composition`] has a problem for it.

use std::ops::Range;

use super::PromptProblem;
use super::attention::MAX_WEIGHT;
use super::text::{is_plain_number, is_space, is_word};

/// The word between two prompts.
const AND: &str = "AND";

/// One of the prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its bytes, without the weight and the white space at the end.
    pub range: Range<usize>,
    /// How strongly it guides; 1 without a number.
    pub weight: f64,
    /// The bytes of colon and number, where there are any.
    pub weight_range: Option<Range<usize>>,
}

/// The prompts that a text is made of: at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Composition {
    /// In the order of the text.
    pub parts: Vec<Part>,
    /// A weight on a prompt that is alone.
    pub problem: Option<PromptProblem>,
}

/// Splits a text at its `AND`s.
#[must_use]
pub fn split(text: &str) -> Composition {
    let mut parts = Vec::new();
    let mut start = 0;
    for range in and_ranges(text) {
        parts.push(part(text, start..range.start));
        start = range.end;
    }
    parts.push(part(text, start..text.len()));
    let problem = match parts.as_slice() {
        [Part { weight_range: Some(range), .. }] => {
            Some(PromptProblem::WeightOfWholePrompt { weight: text[range.clone()].to_owned() })
        }
        _ => None,
    };
    Composition { parts, problem }
}

/// Where `AND` stands as a word.
pub(super) fn and_ranges(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices(AND).map(|(at, word)| at..at + word.len()).filter(|range| {
        !text[..range.start].chars().next_back().is_some_and(is_word)
            && !text[range.end..].chars().next().is_some_and(is_word)
    })
}

fn part(text: &str, range: Range<usize>) -> Part {
    let whole = text[range.clone()].trim_end_matches(is_space);
    let end = range.start + whole.len();
    if let Some((before, after)) = whole.rsplit_once(':') {
        let number = after.trim_start_matches(is_space);
        if is_plain_number(number, true) {
            let weight = number.parse::<f64>().unwrap_or(1.0).clamp(-MAX_WEIGHT, MAX_WEIGHT);
            let content = before.trim_end_matches(is_space).len();
            let colon = range.start + before.len();
            return Part { range: range.start..range.start + content, weight, weight_range: Some(colon..end) };
        }
    }
    Part { range: range.start..end, weight: 1.0, weight_range: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(&str, f64)> {
        split(text).parts.into_iter().map(|part| (&text[part.range], part.weight)).collect()
    }

    #[test]
    fn and_splits_words_and_reads_weights() {
        assert_eq!(parts("x :1.2 AND y"), [("x", 1.2), (" y", 1.0)]);
        assert_eq!(parts("a cat:-.5AND"), [("a cat:-.5AND", 1.0)]);
        assert_eq!(parts("a\nb : 2. \nAND c:+1"), [("a\nb", 2.0), (" c", 1.0)]);
        assert_eq!(parts("sANDy ANDes"), [("sANDy ANDes", 1.0)]);
        assert_eq!(parts("(a:1.2) AND [b:c:5]"), [("(a:1.2)", 1.0), (" [b:c:5]", 1.0)]);
        assert_eq!(parts(""), [("", 1.0)]);
    }

    #[test]
    fn a_lone_weight_counts_and_is_named() {
        let found = split("a clock at 12:30");
        assert_eq!(found.parts[0].weight, 30.0);
        assert_eq!(found.problem, Some(PromptProblem::WeightOfWholePrompt { weight: ":30".to_owned() }));
        assert_eq!(split("a :2 AND b").problem, None);
    }
}
