//! [`Traced`]: a text that remembers where each part of it comes from, so that what a tokenizer says of it can be shown
//! in the prompt as it was typed.

use std::collections::HashSet;
use std::ops::Range;

use super::attention::{RangedPiece, ranged_pieces};
use super::{compose, networks, schedule};

/// A text made of parts of another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// The text.
    pub text: String,
    /// In order, without gaps; none is empty.
    stretches: Vec<Stretch>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stretch {
    /// Where it begins in the text.
    start: usize,
    /// Where it begins in the origin.
    origin: usize,
    /// Whether the origin reads otherwise there (a wildcard): all of the stretch is at its beginning.
    is_drawn: bool,
}

impl Traced {
    /// A text that is its own origin.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut traced = Self::default();
        traced.push(text, 0);
        traced
    }

    /// Adds what stands at `origin`.
    pub(super) fn push(&mut self, text: &str, origin: usize) {
        self.add(text, origin, false);
    }

    /// Adds what was drawn for what stands at `origin`.
    pub(super) fn push_drawn(&mut self, text: &str, origin: usize) {
        self.add(text, origin, true);
    }

    fn add(&mut self, text: &str, origin: usize, is_drawn: bool) {
        if !text.is_empty() {
            self.stretches.push(Stretch { start: self.text.len(), origin, is_drawn });
            self.text.push_str(text);
        }
    }

    /// Where in the origin the byte `at` of the text stands.
    #[must_use]
    pub fn origin(&self, at: usize) -> usize {
        let after = self.stretches.partition_point(|stretch| stretch.start <= at);
        let Some(stretch) = after.checked_sub(1).map(|index| &self.stretches[index]) else { return 0 };
        if stretch.is_drawn { stretch.origin } else { stretch.origin + (at - stretch.start) }
    }

    /// Whether something of it was drawn.
    #[must_use]
    pub fn is_drawn(&self) -> bool {
        self.stretches.iter().any(|stretch| stretch.is_drawn)
    }

    /// The text that these parts of it make.
    fn cut(&self, ranges: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut cut = Self::default();
        for range in ranges {
            let first = self.stretches.partition_point(|stretch| stretch.start <= range.start).saturating_sub(1);
            for (index, stretch) in self.stretches.iter().enumerate().skip(first) {
                let end = self.stretches.get(index + 1).map_or(self.text.len(), |next| next.start);
                let part = stretch.start.max(range.start)..end.min(range.end);
                if part.start >= range.end {
                    break;
                }
                let origin = if stretch.is_drawn { stretch.origin } else { self.origin(part.start) };
                cut.add(&self.text[part], origin, stretch.is_drawn);
            }
        }
        cut
    }
}

/// A [`super::Piece`] that remembers where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum TracedPiece {
    /// Text of one weight.
    Run {
        /// The text.
        text: Traced,
        /// How much it counts.
        weight: f64,
    },
    /// `BREAK`.
    Break,
}

/// Every text that a prompt says at some step, each once for each part that `AND` joins: what [`super::Prompt::parse`]
/// gives, traced.
#[must_use]
pub fn trace(prompt: &Traced, steps: u32) -> Vec<Vec<TracedPiece>> {
    let rest = prompt.cut(networks::rest(&prompt.text));
    let parts = compose::split(&rest.text).parts;
    parts.into_iter().flat_map(|part| texts(&rest.cut([part.range]), steps)).collect()
}

/// The same of a negative prompt: what [`super::Prompt::parse_negative`] gives.
#[must_use]
pub fn trace_negative(prompt: &Traced, steps: u32) -> Vec<Vec<TracedPiece>> {
    texts(prompt, steps)
}

fn texts(part: &Traced, steps: u32) -> Vec<Vec<TracedPiece>> {
    let mut known = HashSet::new();
    let mut texts = Vec::new();
    for stretch in schedule::stretches(&part.text, steps, 0).0 {
        let text = part.cut(stretch.ranges);
        if known.insert(text.text.clone()) {
            texts.push(pieces(&text));
        }
    }
    texts
}

fn pieces(text: &Traced) -> Vec<TracedPiece> {
    let piece = |piece| match piece {
        RangedPiece::Break => TracedPiece::Break,
        RangedPiece::Run { ranges, weight } => TracedPiece::Run { text: text.cut(ranges), weight },
    };
    ranged_pieces(&text.text).into_iter().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_knows_where_it_stood() {
        let text = r"<lora:x:1>a (\(b:2) BREAK [c:d:0.5]e AND f";
        let traced = trace(&Traced::of(text), 2);
        let found: Vec<Vec<(String, Vec<usize>)>> = traced
            .iter()
            .map(|pieces| {
                let runs = pieces.iter().filter_map(|piece| match piece {
                    TracedPiece::Run { text, .. } if !text.text.is_empty() => Some(text),
                    TracedPiece::Run { .. } | TracedPiece::Break => None,
                });
                runs.map(|run| (run.text.clone(), (0..run.text.len()).map(|at| run.origin(at)).collect())).collect()
            })
            .collect();
        let at = |c: char| text.find(c).unwrap();
        let run = |run: &str, origins: &[usize]| (run.to_owned(), origins.to_vec());
        let (a, b) = (run("a ", &[10, 11]), run("(b", &[14, 15]));
        let d = text.find("d:").unwrap();
        let e = text.find('e').unwrap();
        let f = text.rfind('f').unwrap();
        assert_eq!(
            found,
            [
                vec![a.clone(), b.clone(), run("ce", &[at('c'), e])],
                vec![a, b, run("de", &[d, e])],
                vec![run(" f", &[f - 1, f])],
            ]
        );
    }
}
