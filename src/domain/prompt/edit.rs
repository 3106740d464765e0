//! Ctrl+↑ and Ctrl+↓ in the prompt editor: the weight under the cursor one step up or down.
//!
//! The behaviour is that of stable-diffusion-webui (`javascript/edit-attention.js`, v1.10): the brackets around the
//! cursor, else the selection, else the word; brackets without a number get one; a weight of 1 takes the brackets away.

use std::ops::Range;

use super::attention::{self, Group, MAX_WEIGHT, ROUND, SQUARE, SpanKind};
use super::highlight::Layers;
use super::networks;
use super::text::is_plain_number;

/// What ends a word, beside white space: the web UI's list, and the signs of alternation and networks.
const DELIMITERS: &str = ".,\\/!?%^*;:{}=`~()[]<>|\"";

/// A text after an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The whole text.
    pub text: String,
    /// What is selected now, in bytes: what the weight belongs to.
    pub selection: Range<usize>,
}

/// Adds `step` (1.1 is the usual next weight, so 0.1 or -0.1) to the weight of what is selected, in bytes; an empty
/// selection is a cursor. Where the cursor is in `<lora:…>`, its last weight changes.
///
/// The rest of the text stays as it is byte for byte. `None` where there is nothing to weigh: no word, a selection with
/// half a pair of brackets, a part of a schedule's or a wildcard's own syntax.
#[must_use]
pub fn adjust_weight(text: &str, selection: Range<usize>, step: f64) -> Option<Edit> {
    if !step.is_finite() || step == 0.0 {
        return None;
    }
    let selection = on_boundaries(text, selection);
    let layers = Layers::read(text);
    if layers.kinds[..selection.start].last() == Some(&SpanKind::Network)
        && let Some(edit) = network(text, &selection, step)
    {
        return Some(edit);
    }
    let groups = layers.parts.iter().flat_map(|part| {
        let groups = attention::groups(&layers.masked[part.clone()]);
        groups.into_iter().map(|group| Group {
            open: part.start + group.open,
            close: part.start + group.close.start..part.start + group.close.end,
            ..group
        })
    });
    let groups: Vec<Group> = groups.collect();
    let target = trimmed(&layers.masked, selection.clone());
    let around = if target.is_empty() {
        // Inner groups come first.
        groups.iter().position(|group| group.open < selection.start && selection.start < group.close.end)
    } else {
        groups
            .iter()
            .position(|group| target == (group.open + 1..group.close.start) || target == (group.open..group.close.end))
    };
    let edit = if let Some(index) = around {
        regroup(text, &groups, index, step)
    } else {
        let target = if target.is_empty() { word(&layers.masked, selection.start) } else { target };
        if target.is_empty() {
            return None;
        }
        replace(text, target.clone(), target, 1.0 + step)
    };
    (skeleton(text, &layers) == skeleton(&edit.text, &Layers::read(&edit.text))).then_some(edit)
}

/// Brings a selection into the text and onto whole characters.
fn on_boundaries(text: &str, selection: Range<usize>) -> Range<usize> {
    let floor = |at: usize| (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let (start, end) = (floor(selection.start), floor(selection.end));
    start.min(end)..start.max(end)
}

/// A selection without the white space at its ends.
fn trimmed(text: &str, selection: Range<usize>) -> Range<usize> {
    let selected = &text[selection.clone()];
    let start = selection.start + (selected.len() - selected.trim_start().len());
    start..start + selected.trim().len()
}

/// The word that the cursor is in or touches.
fn word(text: &str, cursor: usize) -> Range<usize> {
    let ends = |c: char| c.is_whitespace() || DELIMITERS.contains(c);
    let start = text[..cursor].rfind(ends).map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8));
    let end = text[cursor..].find(ends).map_or(text.len(), |length| cursor + length);
    start..end
}

/// Changes the weight of a pair of brackets. Pairs without numbers directly around each other count as one.
fn regroup(text: &str, groups: &[Group], index: usize, step: f64) -> Edit {
    let group = &groups[index];
    let content = group.open + 1..group.close.start;
    let mut outer = group.open..group.close.end;
    let weight = group.weight.unwrap_or_else(|| {
        let mut weight = if group.square { SQUARE } else { ROUND };
        while let Some(around) = groups.iter().find(|around| {
            around.weight.is_none()
                && around.square == group.square
                && around.open + 1 == outer.start
                && around.close.start == outer.end
        }) {
            weight *= if group.square { SQUARE } else { ROUND };
            outer = around.open..around.close.end;
        }
        // To whole steps, so that `((a))` goes on with 1.2 and not with 1.21.
        (weight / step.abs()).round() * step.abs()
    });
    replace(text, outer, content, weight + step)
}

/// Puts `(content:weight)` in the place of `outer`, or the content alone where the weight is 1.
fn replace(text: &str, outer: Range<usize>, content: Range<usize>, weight: f64) -> Edit {
    let (before, after) = (&text[..outer.start], &text[outer.end..]);
    let content = &text[content];
    if (weight - 1.0).abs() < 1e-9 {
        let selection = outer.start..outer.start + content.len();
        return Edit { text: format!("{before}{content}{after}"), selection };
    }
    let start = outer.start + 1;
    Edit { text: format!("{before}({content}:{}){after}", number(weight)), selection: start..start + content.len() }
}

/// A weight as it is written: at most ten digits after the point, at least one, no exponent.
fn number(weight: f64) -> String {
    let rounded = (weight.clamp(-MAX_WEIGHT, MAX_WEIGHT) * 1e10).round() / 1e10;
    // No "-0".
    let text = (rounded + 0.0).to_string();
    if text.contains('.') { text } else { text + ".0" }
}

/// Changes the last weight of the `<lora:…>` around the cursor, or gives it one.
fn network(text: &str, selection: &Range<usize>, step: f64) -> Option<Edit> {
    let tag = networks::tags(text)
        .into_iter()
        .find(|tag| tag.range.start < selection.start && selection.end < tag.range.end)?;
    let end = tag.range.end - 1;
    let (name, last) = tag.arguments.rsplit_once(':').map_or((tag.arguments, None), |(name, last)| (name, Some(last)));
    let (before, weight) = match last {
        None => (format!("{}:", &text[..end]), 1.0),
        Some(last) => {
            let literal = last.rsplit('=').next().unwrap_or(last).trim();
            if !is_plain_number(literal, true) {
                return None;
            }
            (text[..end - literal.len()].to_owned(), literal.parse::<f64>().ok()?)
        }
    };
    let name_start = tag.range.end - 1 - tag.arguments.len();
    let edited = format!("{before}{}{}", number(weight + step), &text[end..]);
    let name_end = name_start + name.find(':').unwrap_or(name.len());
    Some(Edit { text: edited, selection: name_start..name_end })
}

/// Everything but the brackets and numbers of attention: what an edit must leave alone.
fn skeleton(text: &str, layers: &Layers) -> Vec<(SpanKind, u8)> {
    let bytes = layers.kinds.iter().copied().zip(text.bytes());
    bytes.filter(|(kind, _)| *kind != SpanKind::Attention).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `«…»` for the selection, `‸` for a cursor.
    fn edited(marked: &str, step: f64) -> Option<String> {
        let at = |mark| marked.replace(|c| c != mark && "«»‸".contains(c), "").find(mark);
        let start = at('«').or(at('‸')).expect("the text has a mark");
        let end = at('»').unwrap_or(start);
        let text = marked.replace(['«', '»', '‸'], "");
        let edit = adjust_weight(&text, start..end, step)?;
        let (before, rest) = edit.text.split_at(edit.selection.start);
        let (selected, after) = rest.split_at(edit.selection.end - edit.selection.start);
        Some(format!("{before}«{selected}»{after}"))
    }

    #[test]
    fn weights_go_up_and_down() {
        for (text, step, expected) in [
            ("a ho‸use, b", 0.1, "a («house»:1.1), b"),
            ("a («house»:1.1), b", -0.1, "a «house», b"),
            ("a (big hou‸se:1.5), b", 0.1, "a («big house»:1.6), b"),
            ("a (big house:1.‸5)", -0.1, "a («big house»:1.4)"),
            ("a «big house » b", -0.1, "a («big house»:0.9)  b"),
            ("((ho‸use))", 0.1, "(«house»:1.3)"),
            ("[ho‸use]", -0.1, "(«house»:0.8)"),
            ("«(x:1.2)»", 0.1, "(«x»:1.3)"),
            ("[ca‸t:dog:0.5]", 0.1, "[(«cat»:1.1):dog:0.5]"),
            ("([cat:dog:0.5]‸)", 0.1, "(«[cat:dog:0.5]»:1.2)"),
            ("(x‸:0.1)", -0.1, "(«x»:0.0)"),
            ("<lora:na‸me:0.8>", 0.05, "<lora:«name»:0.85>"),
            ("<lora:na‸me>", 0.1, "<lora:«name»:1.1>"),
            ("<lora:name:0.5:unet=1‸>", -0.1, "<lora:«name»:0.5:unet=0.9>"),
            ("été‸", 0.1, "(«été»:1.1)"),
        ] {
            assert_eq!(edited(text, step).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_weight_stays() {
        for text in ["", "a , ‸ b", "«a) (b»", "[cat:dog:0‸.5]", "«cat:do»g:3]", "__wild‸card__", "[a «b:c» d:5]"]
        {
            let marked = if text.is_empty() { "‸" } else { text };
            if marked == "«cat:do»g:3]" {
                // No schedule without its bracket: plain text, which may be weighed.
                assert!(edited(marked, 0.1).is_some());
                continue;
            }
            assert_eq!(edited(marked, 0.1), None, "{marked}");
        }
    }
}
