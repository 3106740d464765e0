//! Attention: which part of a prompt counts how much, `(more)`, `[less]`, `(this much:1.3)`, and `BREAK`.
//!
//! The rules are those of stable-diffusion-webui (`parse_prompt_attention` in `modules/prompt_parser.py`, v1.10). Three
//! things that are failures there have a meaning here: `BREAK` inside brackets breaks all the same (there it turns into a
//! word of negative weight), a weight that is no number (`(x:1.2.3)`) is text, and weights stay within [`MAX_WEIGHT`].

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::PromptProblem;
use super::text::{is_space, is_word};

/// The largest weight, either side of 0: beyond it the numbers of a picture overflow.
pub const MAX_WEIGHT: f64 = 1e6;

/// What one pair of round brackets multiplies by.
pub(super) const ROUND: f64 = 1.1;

/// What one pair of square brackets multiplies by.
pub(super) const SQUARE: f64 = 1.0 / 1.1;

/// Most brackets of one kind that may be open at once; further ones are text. It bounds the work on hostile text.
const MAX_OPEN: usize = 256;

/// The word that closes a chunk of tokens.
const BREAK: &str = "BREAK";

/// A piece of a prompt in its order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// Text of one weight, without brackets and escapes. May be empty.
    Run {
        /// The text as the tokenizer reads it.
        text: String,
        /// How much it counts; 1 is plain.
        weight: f64,
    },
    /// `BREAK`: what follows starts in a new chunk.
    Break,
}

/// What a stretch of a prompt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// Text that the model reads.
    Text,
    /// Brackets and numbers that set a weight.
    Attention,
    /// `BREAK` and the white space around it.
    Break,
    /// `AND`, and the weight before it.
    And,
    /// The brackets, separators and the number of `[a:b:N]` and `[a|b]`.
    Schedule,
    /// `<lora:…>` and its like.
    Network,
    /// The braces, bars and numbers of `{a|b}`, and wildcards.
    Dynamic,
}

/// A stretch of a prompt, for showing it.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its bytes.
    pub range: Range<usize>,
    /// The weight there. Brackets have the weight of what they hold.
    pub weight: f64,
    /// What it is.
    pub kind: SpanKind,
}

/// A prompt's text in pieces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attention {
    /// The pieces. Neighbours of equal weight are one; an empty prompt is one empty run.
    pub pieces: Vec<Piece>,
    /// What could not be read as it was meant.
    pub problems: Vec<PromptProblem>,
}

/// Reads weights and `BREAK`.
///
/// Round brackets multiply by 1.1 or by the number before the closing one, square brackets divide by 1.1, nested ones
/// multiply; brackets that stay open reach to the end; closers without an opener are text; `\(` `\)` `\[` `\]` `\\`
/// give the character, and a backslash before anything else is dropped.
#[must_use]
pub fn parse(text: &str) -> Attention {
    let Scan { fragments, problems, .. } = scan(text);
    let piece = |piece| match piece {
        RangedPiece::Break => Piece::Break,
        RangedPiece::Run { ranges, weight } => {
            Piece::Run { text: ranges.into_iter().map(|range| &text[range]).collect(), weight }
        }
    };
    Attention { pieces: joined(fragments).into_iter().map(piece).collect(), problems }
}

/// A [`Piece`] as parts of the text that it was read from.
pub(super) enum RangedPiece {
    /// Text of one weight.
    Run { ranges: Vec<Range<usize>>, weight: f64 },
    /// `BREAK`.
    Break,
}

/// The pieces of a text as parts of it.
pub(super) fn ranged_pieces(text: &str) -> Vec<RangedPiece> {
    joined(scan(text).fragments)
}

fn joined(fragments: Vec<Fragment>) -> Vec<RangedPiece> {
    let mut pieces: Vec<RangedPiece> = Vec::new();
    for fragment in fragments {
        match fragment.meaning {
            Meaning::Bracket => {}
            Meaning::Break => pieces.push(RangedPiece::Break),
            Meaning::Content(range) => match pieces.last_mut() {
                Some(RangedPiece::Run { ranges, weight }) if *weight == fragment.weight => ranges.push(range),
                _ => pieces.push(RangedPiece::Run { ranges: vec![range], weight: fragment.weight }),
            },
        }
    }
    if pieces.is_empty() {
        pieces.push(RangedPiece::Run { ranges: Vec::new(), weight: 1.0 });
    }
    pieces
}

/// The same as byte spans: they follow each other without gaps and cover the whole text. Escapes belong to the text.
#[must_use]
pub fn spans(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for Fragment { range, meaning, weight } in scan(text).fragments {
        let (kind, weight) = match meaning {
            Meaning::Bracket => (SpanKind::Attention, weight),
            Meaning::Break => (SpanKind::Break, 1.0),
            Meaning::Content(_) => (SpanKind::Text, weight),
        };
        match spans.last_mut() {
            Some(last) if last.kind == kind && last.weight == weight => last.range.end = range.end,
            _ if range.is_empty() => {}
            _ => spans.push(Span { range, weight, kind }),
        }
    }
    spans
}

/// A closed pair of brackets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// Where the opening bracket stands.
    pub open: usize,
    /// The closing bracket, with the colon and the number before it where it has them.
    pub close: Range<usize>,
    /// The number, where there is one.
    pub weight: Option<f64>,
    /// Whether the brackets are square.
    pub square: bool,
}

/// Every closed pair of brackets, inner ones before those around them.
pub(super) fn groups(text: &str) -> Vec<Group> {
    scan(text).groups
}

/// What a fragment stands for.
enum Meaning {
    /// Text, at these bytes: an escape's come without the backslash. May be empty.
    Content(Range<usize>),
    Bracket,
    Break,
}

/// The smallest unit. Fragments cover the text in order.
struct Fragment {
    range: Range<usize>,
    meaning: Meaning,
    weight: f64,
}

struct Scan {
    fragments: Vec<Fragment>,
    groups: Vec<Group>,
    problems: Vec<PromptProblem>,
    /// Brackets that nothing closes, and closers that nothing opens: where each stands.
    unpaired: Vec<usize>,
    /// Weights that are no numbers: the colon, and what follows it up to the bracket.
    no_numbers: Vec<Range<usize>>,
}

/// What in a text's brackets is not as it was meant.
pub(super) struct Slips {
    /// Brackets that nothing closes, and closers that nothing opens, in order.
    pub unpaired: Vec<usize>,
    /// Weights that are no numbers, from their colon on.
    pub no_numbers: Vec<Range<usize>>,
}

/// What in a text's brackets is not as it was meant.
pub(super) fn slips(text: &str) -> Slips {
    let Scan { unpaired, no_numbers, .. } = scan(text);
    Slips { unpaired, no_numbers }
}

impl Scan {
    fn push(&mut self, range: Range<usize>, meaning: Meaning) {
        self.fragments.push(Fragment { range, meaning, weight: 1.0 });
    }

    /// Multiplies everything from fragment `first` on. The order of the products is part of the format: it decides
    /// which neighbours have equal weights.
    fn multiply(&mut self, first: usize, factor: f64) {
        for fragment in &mut self.fragments[first..] {
            fragment.weight = (fragment.weight * factor).clamp(-MAX_WEIGHT, MAX_WEIGHT);
        }
    }

    /// Plain text, which may hold `BREAK` as a word: it takes the white space around it along.
    fn push_text(&mut self, text: &str, range: Range<usize>) {
        let mut start = range.start;
        for (found, _) in text[range.clone()].match_indices(BREAK) {
            let (word_start, word_end) = (range.start + found, range.start + found + BREAK.len());
            let joined_before = text[range.start..word_start].chars().next_back().is_some_and(is_word);
            if joined_before || text[word_end..range.end].chars().next().is_some_and(is_word) {
                continue;
            }
            // The white space after the last BREAK belongs to that one.
            let content = text[start..word_start].trim_end_matches(is_space);
            let content_end = start + content.len();
            let after = text[word_end..range.end].trim_start_matches(is_space);
            let break_end = range.end - after.len();
            self.push(start..content_end, Meaning::Content(start..content_end));
            self.push(content_end..break_end, Meaning::Break);
            start = break_end;
        }
        self.push(start..range.end, Meaning::Content(start..range.end));
    }
}

fn scan(text: &str) -> Scan {
    let mut scan = Scan {
        fragments: Vec::new(),
        groups: Vec::new(),
        problems: Vec::new(),
        unpaired: Vec::new(),
        no_numbers: Vec::new(),
    };
    // The fragment of each bracket that is still open.
    let (mut round, mut square): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let here = at..at + 1;
        match bytes[at] {
            b'\\' => {
                let escapes = matches!(bytes.get(at + 1), Some(b'(' | b')' | b'[' | b']' | b'\\'));
                at += if escapes { 2 } else { 1 };
                scan.push(here.start..at, Meaning::Content(here.start + 1..at));
                continue;
            }
            b'(' if round.len() < MAX_OPEN => {
                round.push(scan.fragments.len());
                scan.push(here, Meaning::Bracket);
            }
            b'[' if square.len() < MAX_OPEN => {
                square.push(scan.fragments.len());
                scan.push(here, Meaning::Bracket);
            }
            b':' => match weighted_close(text, at) {
                Some((end, number)) if !round.is_empty() => {
                    if let Some(weight) = number {
                        close(&mut scan, &mut round, at..end, Some(weight), false);
                        at = end;
                        continue;
                    }
                    let literal = text[at + 1..end - 1].trim_matches(is_space).to_owned();
                    scan.problems.push(PromptProblem::WeightIsNoNumber { weight: literal });
                    scan.no_numbers.push(at..end - 1);
                    scan.push(here.clone(), Meaning::Content(here));
                }
                _ => scan.push(here.clone(), Meaning::Content(here)),
            },
            b')' if !round.is_empty() => close(&mut scan, &mut round, here, None, false),
            b']' if !square.is_empty() => close(&mut scan, &mut square, here, None, true),
            b'(' | b'[' | b')' | b']' => {
                scan.unpaired.push(at);
                scan.push(here.clone(), Meaning::Content(here));
            }
            _ => {
                let special = |c| matches!(c, '\\' | '(' | ')' | '[' | ']' | ':');
                let end = text[at..].find(special).map_or(text.len(), |length| at + length);
                scan.push_text(text, at..end);
                at = end;
                continue;
            }
        }
        at += 1;
    }
    let left_open = round.iter().chain(&square).map(|&first| scan.fragments[first].range.start);
    scan.unpaired.extend(left_open.collect::<Vec<_>>());
    scan.unpaired.sort_unstable();
    // What stayed open reaches to the end: first the round ones, then the square ones, in the order of opening.
    for first in round {
        scan.multiply(first, ROUND);
    }
    for first in square {
        scan.multiply(first, SQUARE);
    }
    scan
}

/// Closes the newest open bracket of a kind; `open` must not be empty.
fn close(scan: &mut Scan, open: &mut Vec<usize>, range: Range<usize>, weight: Option<f64>, square: bool) {
    let Some(first) = open.pop() else { return };
    scan.push(range.clone(), Meaning::Bracket);
    scan.multiply(first, weight.unwrap_or(if square { SQUARE } else { ROUND }));
    scan.groups.push(Group { open: scan.fragments[first].range.start, close: range, weight, square });
}

/// Whether the colon at `at` starts `: 1.2 )`: where that ends, and the number if it is one.
fn weighted_close(text: &str, at: usize) -> Option<(usize, Option<f64>)> {
    let rest = text[at + 1..].trim_start_matches(is_space);
    let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    let after = unsigned.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    if after.len() == unsigned.len() {
        return None;
    }
    let literal = &rest[..rest.len() - after.len()];
    let end = after.trim_start_matches(is_space).strip_prefix(')')?;
    let weight = literal.parse::<f64>().ok().map(|weight| weight.clamp(-MAX_WEIGHT, MAX_WEIGHT));
    Some((text.len() - end.len(), weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of the reference data, computed with stable-diffusion-webui's rules.
    #[test]
    fn weights_are_those_of_the_reference() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/tokenizer/attention_cases.json");
        let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let cases = cases.as_array().unwrap();
        assert!(cases.len() >= 28, "only {} cases", cases.len());
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let expected: Vec<(&str, f64)> = case["parsed"]
                .as_array()
                .unwrap()
                .iter()
                .map(|run| (run[0].as_str().unwrap(), run[1].as_f64().unwrap()))
                .collect();
            let parsed = parse(text);
            assert_eq!(parsed.problems, [], "{text}");
            let found: Vec<(&str, f64)> = parsed
                .pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Run { text, weight } => (text.as_str(), *weight),
                    Piece::Break => ("BREAK", -1.0),
                })
                .collect();
            assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.0, expected.0, "{text}");
                assert!((found.1 - expected.1).abs() <= 1e-12, "{text}: {found:?}, expected {expected:?}");
            }
        }
    }

    #[test]
    fn break_inside_brackets_breaks() {
        let run = |text: &str, weight| Piece::Run { text: text.to_owned(), weight };
        assert_eq!(parse("(a BREAK b:1.5)").pieces, [run("a", 1.5), Piece::Break, run("b", 1.5)]);
    }

    #[test]
    fn a_weight_that_is_no_number_is_text() {
        let parsed = parse("(a:1.2.3)");
        assert_eq!(parsed.pieces, [Piece::Run { text: "a:1.2.3".to_owned(), weight: 1.1 }]);
        assert_eq!(parsed.problems, [PromptProblem::WeightIsNoNumber { weight: "1.2.3".to_owned() }]);
    }

    #[test]
    fn spans_tell_brackets_from_text() {
        let found: Vec<_> = spans(r"a (\(b:2) BREAK c").into_iter().map(|s| (s.range, s.weight, s.kind)).collect();
        assert_eq!(
            found,
            [
                (0..2, 1.0, SpanKind::Text),
                (2..3, 2.0, SpanKind::Attention),
                (3..6, 2.0, SpanKind::Text),
                (6..9, 2.0, SpanKind::Attention),
                (9..16, 1.0, SpanKind::Break),
                (16..17, 1.0, SpanKind::Text),
            ]
        );
    }
}
