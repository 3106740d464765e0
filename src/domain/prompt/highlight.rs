//! A prompt as stretches of one kind and weight, for an editor that shows what is text and what is syntax.

use std::ops::Range;

use super::attention::{self, Span, SpanKind};
use super::{compose, dynamic, networks, schedule};

/// What stands in for syntax while the next layer is read: one byte, no word, no white space, no bracket.
const STAND_IN: u8 = b',';

/// The stretches of a prompt as it is typed, before wildcards are drawn. They cover the text in order, without gaps;
/// neighbours differ in kind or weight. Within `[a:b:5]` all of a and b is text, with the weights it has in its turn.
#[must_use]
pub fn highlight(text: &str) -> Vec<Span> {
    let layers = Layers::read(text);
    let mut spans: Vec<Span> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (kind, weight) = (layers.kinds[at], layers.weights[at]);
        let same = |&index: &usize| layers.kinds[index] == kind && layers.weights[index] == weight;
        let end = (at..text.len()).find(|index| !same(index)).unwrap_or(text.len());
        spans.push(Span { range: at..end, weight, kind });
        at = end;
    }
    spans
}

/// What each byte of a prompt is.
pub(super) struct Layers {
    /// The text with everything but attention masked, byte for byte.
    pub masked: String,
    /// The prompts that `AND` joins, as bytes.
    pub parts: Vec<Range<usize>>,
    /// The weight at the end of a prompt that is alone.
    pub lone_weight: Option<Range<usize>>,
    /// Of each byte.
    pub kinds: Vec<SpanKind>,
    /// Of each byte.
    pub weights: Vec<f64>,
}

impl Layers {
    /// Reads the layers in the order in which a prompt is used: what is drawn, networks, `AND`, schedules, weights.
    pub fn read(text: &str) -> Self {
        let mut layers = Self {
            masked: text.to_owned(),
            parts: Vec::new(),
            lone_weight: None,
            kinds: vec![SpanKind::Text; text.len()],
            weights: vec![1.0; text.len()],
        };
        layers.mask(dynamic::marks(text), SpanKind::Dynamic);
        // A network's name may come from braces; all of it is shown as a network.
        let tags = networks::tags(&layers.masked).into_iter().map(|tag| tag.range).collect();
        layers.mask(tags, SpanKind::Network);
        let composition = compose::split(&layers.masked);
        layers.parts = composition.parts.iter().map(|part| part.range.clone()).collect();
        let mut ands: Vec<_> = compose::and_ranges(&layers.masked).collect();
        if composition.problem.is_some() {
            layers.lone_weight = composition.parts.first().and_then(|part| part.weight_range.clone());
        }
        ands.extend(composition.parts.into_iter().filter_map(|part| part.weight_range));
        layers.mask(ands, SpanKind::And);
        for part in layers.parts.clone() {
            let marks = schedule::marks(&layers.masked[part.clone()]);
            let marks = marks.into_iter().map(|mark| part.start + mark.start..part.start + mark.end).collect();
            layers.mask(marks, SpanKind::Schedule);
            for span in attention::spans(&layers.masked[part.clone()]) {
                for index in part.start + span.range.start..part.start + span.range.end {
                    layers.weights[index] = span.weight;
                    if layers.kinds[index] == SpanKind::Text {
                        layers.kinds[index] = span.kind;
                    }
                }
            }
        }
        layers
    }

    /// Takes whole characters out of what the later layers read.
    fn mask(&mut self, ranges: Vec<Range<usize>>, kind: SpanKind) {
        let mut bytes = std::mem::take(&mut self.masked).into_bytes();
        for range in ranges {
            bytes[range.clone()].fill(STAND_IN);
            self.kinds[range].fill(kind);
        }
        self.masked = String::from_utf8(bytes).expect("whole characters gave way to ASCII");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_is_told_apart() {
        use SpanKind::{And, Attention, Break, Dynamic, Network, Schedule, Text};
        let text = "(é [b:c:5]:1.5) BREAK {x|2::__w__}<lora:n:1> AND y :2";
        let found: Vec<_> = highlight(text).into_iter().map(|s| (&text[s.range], s.weight, s.kind)).collect();
        assert_eq!(
            found,
            [
                ("(", 1.5, Attention),
                ("é ", 1.5, Text),
                ("[", 1.5, Schedule),
                ("b", 1.5, Text),
                (":", 1.5, Schedule),
                ("c", 1.5, Text),
                (":5]", 1.5, Schedule),
                (":1.5)", 1.5, Attention),
                (" BREAK ", 1.0, Break),
                ("{", 1.0, Dynamic),
                ("x", 1.0, Text),
                ("|2::__w__}", 1.0, Dynamic),
                ("<lora:n:1>", 1.0, Network),
                (" ", 1.0, Text),
                ("AND", 1.0, And),
                (" y ", 1.0, Text),
                (":2", 1.0, And),
            ]
        );
    }
}
