//! Dynamic prompts: one text that stands for many, `{red|blue}`, `{2$$a|b|c}`, `__colour__`.
//!
//! The syntax is that of sd-dynamic-prompts (`docs/SYNTAX.md`). What differs: a backslash keeps the next character from
//! being read (`\{`), a bar inside `[…]` belongs to the alternation and not to the braces, and variables (`${x}`) are left
//! as they are with a problem. Which option is drawn depends on the caller's generator alone, so that a seed gives the
//! same text on any machine: a number of options to draw takes one number where there is a choice, each option one.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::PromptProblem;
use super::trace::Traced;
use super::wildcards::Choice;
use crate::domain::limits;

/// How deep braces and wildcards may nest. What is deeper stays as it is.
pub const MAX_DEPTH: usize = 32;

/// Most braces and wildcards that one text may come to; the rest stays as it is. Wildcards that name themselves end here.
pub const MAX_DRAWS: usize = 10_000;

/// Between several drawn options.
const DEFAULT_SEPARATOR: &str = ", ";

/// Longest name of a wildcard, in bytes.
const MAX_NAME: usize = 200;

/// What a text came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expansion {
    /// The text, at most [`limits::MAX_PROMPT_BYTES`] long.
    pub text: String,
    /// What could not be followed, each once.
    pub problems: Vec<PromptProblem>,
}

/// Draws one text.
///
/// `lists` gives the lines of a wildcard by its name, which may hold `*` and `?` (see
/// [`super::WildcardLists::choices`]); `None` for one that is not there, which then stays in the text with a problem.
/// `next_u32` gives even random numbers.
#[must_use]
pub fn expand(
    text: &str,
    lists: &dyn Fn(&str) -> Option<Arc<[Choice]>>,
    next_u32: &mut dyn FnMut() -> u32,
) -> Expansion {
    let (traced, problems) = expand_traced(text, lists, next_u32);
    Expansion { text: traced.text, problems }
}

/// As [`expand`], and tells where each part of the drawn text comes from.
#[must_use]
pub fn expand_traced(
    text: &str,
    lists: &dyn Fn(&str) -> Option<Arc<[Choice]>>,
    next_u32: &mut dyn FnMut() -> u32,
) -> (Traced, Vec<PromptProblem>) {
    let mut expander = Expander { lists, next_u32, problems: Vec::new(), draws: 0, room: limits::MAX_PROMPT_BYTES };
    let mut traced = Traced::default();
    for item in items(text) {
        let range = item.range();
        let is_kept = matches!(item, Item::Text(_) | Item::Unclosed(_) | Item::Variable(_));
        let mut out = String::new();
        let goes_on = expander.item(text, &item, 0, &mut out);
        if is_kept {
            traced.push(&out, range.start);
        } else {
            traced.push_drawn(&out, range.start);
        }
        if !goes_on {
            break;
        }
    }
    (traced, expander.problems)
}

struct Expander<'a> {
    lists: &'a dyn Fn(&str) -> Option<Arc<[Choice]>>,
    next_u32: &'a mut dyn FnMut() -> u32,
    problems: Vec<PromptProblem>,
    draws: usize,
    /// How many bytes may still be written.
    room: usize,
}

impl Expander<'_> {
    fn problem(&mut self, problem: PromptProblem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn push(&mut self, text: &str, out: &mut String) {
        let mut end = text.len().min(self.room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        out.push_str(&text[..end]);
        self.room -= end;
        if end < text.len() {
            self.room = 0;
            self.problem(PromptProblem::ExpansionTooLong);
        }
    }

    fn expand(&mut self, text: &str, depth: usize, out: &mut String) {
        for item in items(text) {
            if !self.item(text, &item, depth, out) {
                return;
            }
        }
    }

    /// Draws one item of a text. Whether there is room for more.
    fn item(&mut self, text: &str, item: &Item, depth: usize, out: &mut String) -> bool {
        let range = item.range();
        if self.room == 0 {
            // Nothing that follows can be written; `push` tells of it once there is something.
            self.push(&text[range], out);
            return false;
        }
        match item {
            Item::Variable(_) => {
                self.problem(PromptProblem::VariableNotSupported { text: text[range.clone()].to_owned() });
                self.push(&text[range], out);
            }
            Item::Unclosed(_) => {
                self.problem(PromptProblem::UnclosedBrace);
                self.push(&text[range], out);
            }
            Item::Text(_) => self.push(&text[range], out),
            Item::Variants(_) | Item::Wildcard(_) if depth >= MAX_DEPTH || self.draws >= MAX_DRAWS => {
                self.problem(PromptProblem::ExpansionTooDeep);
                self.push(&text[range], out);
            }
            Item::Variants(_) => {
                self.draws += 1;
                self.variants(&text[range.start + 1..range.end - 1], depth, out);
            }
            Item::Wildcard(_) => {
                self.draws += 1;
                self.wildcard(&text[range], depth, out);
            }
        }
        true
    }

    /// Draws a line of `__name__`.
    fn wildcard(&mut self, written: &str, depth: usize, out: &mut String) {
        let Some(choices) = self.choices(written) else { return self.push(written, out) };
        let mut weights: Vec<f64> = choices.iter().map(|choice| choice.weight).collect();
        if let Some(index) = self.draw(&mut weights) {
            self.expand(&choices[index].text, depth + 1, out);
        }
    }

    /// The lines of `__name__`, or a problem.
    fn choices(&mut self, written: &str) -> Option<Arc<[Choice]>> {
        let name = &written[2..written.len() - 2];
        let choices = (self.lists)(name).filter(|choices| !choices.is_empty());
        if choices.is_none() {
            self.problem(PromptProblem::UnknownWildcard { name: name.to_owned() });
        }
        choices
    }

    /// Draws from what stands between two braces.
    fn variants(&mut self, content: &str, depth: usize, out: &mut String) {
        let variants = read_variants(content);
        let separator = variants.separator.map_or(DEFAULT_SEPARATOR, |range| &content[range]);
        // Several lines of one wildcard, none of them twice.
        if let (Some(_), [(_, option)]) = (variants.count, variants.options.as_slice()) {
            let written = content[option.clone()].trim();
            if matches!(items(written).as_slice(), [Item::Wildcard(_)]) {
                let Some(choices) = self.choices(written) else { return self.push(written, out) };
                let options: Vec<_> = choices.iter().map(|choice| (choice.weight, choice.text.as_str())).collect();
                return self.draw_several(&options, variants.count, separator, depth, out);
            }
        }
        let options: Vec<_> = variants.options.into_iter().map(|(weight, range)| (weight, &content[range])).collect();
        self.draw_several(&options, variants.count, separator, depth, out);
    }

    fn draw_several(
        &mut self,
        options: &[(f64, &str)],
        count: Option<(usize, usize)>,
        separator: &str,
        depth: usize,
        out: &mut String,
    ) {
        let mut weights: Vec<f64> = options.iter().map(|(weight, _)| *weight).collect();
        let Some((least, most)) = count else {
            if let Some(index) = self.draw(&mut weights) {
                self.expand(options[index].1, depth + 1, out);
            }
            return;
        };
        let most = most.min(options.len());
        let least = least.min(most);
        let count = if most > least { least + self.below(most - least + 1) } else { least };
        for position in 0..count {
            let Some(index) = self.draw(&mut weights) else { break };
            if position > 0 {
                self.push(separator, out);
            }
            self.expand(options[index].1.trim(), depth + 1, out);
        }
    }

    /// Evenly one of `count` numbers, at least 1. The unevenness is below count / 2^32.
    fn below(&mut self, count: usize) -> usize {
        ((u128::from((self.next_u32)()) * count as u128) >> 32) as usize
    }

    /// Draws an index by weight and takes it out (a negative weight). Weights of 0 are drawn only where all are 0.
    fn draw(&mut self, weights: &mut [f64]) -> Option<usize> {
        let left = |weight: &f64| *weight >= 0.0;
        let number = f64::from((self.next_u32)()) / 4_294_967_296.0;
        let total: f64 = weights.iter().filter(|weight| left(weight)).sum();
        let one_each = total <= 0.0;
        let total = if one_each { weights.iter().filter(|weight| left(weight)).count() as f64 } else { total };
        let mut rest = number * total;
        let mut drawn = None;
        for (index, weight) in weights.iter().enumerate().filter(|(_, weight)| left(weight)) {
            let weight = if one_each { 1.0 } else { *weight };
            if weight > 0.0 {
                // The last one with a weight is drawn where rounding leaves a rest behind it.
                drawn = Some(index);
                if rest < weight {
                    break;
                }
                rest -= weight;
            }
        }
        weights[drawn?] = -1.0;
        drawn
    }
}

/// The bytes that are braces, bars, numbers and wildcards, at every depth; what they hold is not among them.
pub(super) fn marks(text: &str) -> Vec<Range<usize>> {
    let mut marks = Vec::new();
    collect_marks(text, 0, 0, &mut marks);
    marks
}

fn collect_marks(text: &str, offset: usize, depth: usize, marks: &mut Vec<Range<usize>>) {
    if depth >= MAX_DEPTH {
        return;
    }
    for item in items(text) {
        let range = item.range();
        match item {
            Item::Text(_) | Item::Unclosed(_) => {}
            Item::Wildcard(_) | Item::Variable(_) => marks.push(offset + range.start..offset + range.end),
            Item::Variants(_) => {
                let (start, content) = (range.start + 1, &text[range.start + 1..range.end - 1]);
                let mut syntax = offset + range.start;
                for (_, option) in read_variants(content).options {
                    marks.push(syntax..offset + start + option.start);
                    collect_marks(&content[option.clone()], offset + start + option.start, depth + 1, marks);
                    syntax = offset + start + option.end;
                }
                marks.push(syntax..offset + range.end);
            }
        }
    }
}

/// Every wildcard of a text, at any depth, with its underscores; and the braces that nothing closes.
pub(super) fn wildcards_and_open_braces(text: &str) -> (Vec<Range<usize>>, Vec<usize>) {
    let mut found = (Vec::new(), Vec::new());
    collect_names(text, 0, 0, &mut found);
    found
}

fn collect_names(text: &str, offset: usize, depth: usize, found: &mut (Vec<Range<usize>>, Vec<usize>)) {
    if depth >= MAX_DEPTH {
        return;
    }
    for item in items(text) {
        let range = item.range();
        match item {
            Item::Text(_) | Item::Variable(_) => {}
            Item::Unclosed(_) => found.1.push(offset + range.start),
            Item::Wildcard(_) => found.0.push(offset + range.start..offset + range.end),
            Item::Variants(_) => {
                let (start, content) = (range.start + 1, &text[range.start + 1..range.end - 1]);
                for (_, option) in read_variants(content).options {
                    collect_names(&content[option.clone()], offset + start + option.start, depth + 1, found);
                }
            }
        }
    }
}

/// A stretch of a template. Together they cover it in order.
enum Item {
    Text(Range<usize>),
    /// `{…}` with its braces.
    Variants(Range<usize>),
    /// `__name__` with its underscores.
    Wildcard(Range<usize>),
    /// `${…}`.
    Variable(Range<usize>),
    /// A brace that nothing closes.
    Unclosed(Range<usize>),
}

impl Item {
    fn range(&self) -> Range<usize> {
        let (Self::Text(range)
        | Self::Variants(range)
        | Self::Wildcard(range)
        | Self::Variable(range)
        | Self::Unclosed(range)) = self;
        range.clone()
    }
}

fn items(text: &str) -> Vec<Item> {
    let closers = closers(text);
    let bytes = text.as_bytes();
    let mut items = Vec::new();
    let (mut at, mut start) = (0, 0);
    while at < bytes.len() {
        let found = match bytes[at] {
            b'\\' => {
                at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8);
                continue;
            }
            b'{' => match closers.get(&at) {
                Some(&end) => Item::Variants(at..end),
                None => Item::Unclosed(at..at + 1),
            },
            b'$' if closers.contains_key(&(at + 1)) => Item::Variable(at..closers[&(at + 1)]),
            b'_' if let Some(end) = wildcard_end(text, at) => Item::Wildcard(at..end),
            _ => {
                at += 1;
                continue;
            }
        };
        if start < at {
            items.push(Item::Text(start..at));
        }
        at = found.range().end;
        start = at;
        items.push(found);
    }
    if start < at {
        items.push(Item::Text(start..at));
    }
    items
}

/// Where each brace that is closed ends, by where it begins.
fn closers(text: &str) -> HashMap<usize, usize> {
    let mut open = Vec::new();
    let mut closers = HashMap::new();
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => open.push(at),
            b'}' => {
                if let Some(start) = open.pop() {
                    closers.insert(start, at + 1);
                }
            }
            _ => {}
        }
    }
    closers
}

/// Where the wildcard that begins at `at` ends.
fn wildcard_end(text: &str, at: usize) -> Option<usize> {
    let name = text[at..].strip_prefix("__")?;
    let stop = |c| matches!(c, '{' | '}' | '|' | '$' | '\\' | '\n' | '\r');
    let mut window = name.len().min(MAX_NAME + 2);
    while !name.is_char_boundary(window) {
        window -= 1;
    }
    let length = name[..window].find("__")?;
    let name = &name[..length];
    let named = !name.is_empty() && name == name.trim() && !name.contains(stop);
    named.then_some(at + length + 4)
}

/// What stands between two braces. The ranges are bytes of the content.
struct Variants {
    /// The least and the most options to draw, where `…$$` says so.
    count: Option<(usize, usize)>,
    separator: Option<Range<usize>>,
    /// Each option with its weight.
    options: Vec<(f64, Range<usize>)>,
}

fn read_variants(content: &str) -> Variants {
    let (count, mut start) = match read_count(content) {
        Some((count, end)) => (Some(count), end),
        None => (None, 0),
    };
    let mut separator = None;
    if count.is_some()
        && let Some(length) = content[start..].find("$$")
        && let written = &content[start..start + length]
        && !written.contains(['{', '}', '\\'])
        && (!written.contains('|') || written.trim() == "|")
    {
        separator = Some(start..start + length);
        start += length + 2;
    }
    let options = split_options(content, start).into_iter().map(|range| {
        let option = &content[range.clone()];
        match read_weight(option) {
            Some((weight, length)) => (weight, range.start + length..range.end),
            None => (1.0, range),
        }
    });
    Variants { count, separator, options: options.collect() }
}

/// `2$$`, `1-2$$`, `-2$$` or `1-$$` at the start: the least and the most, and where it ends.
fn read_count(content: &str) -> Option<((usize, usize), usize)> {
    let end = content.find("$$")?;
    let number = |digits: &str| {
        let digits = digits.trim();
        // More digits than any list has lines.
        (digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())
    };
    let written = content[..end].trim();
    let count = match written.split_once('-') {
        None => {
            let count = number(written)??;
            (count, count)
        }
        Some((least, most)) => {
            let (least, most) = (number(least)?, number(most)?);
            if least.is_none() && most.is_none() {
                return None;
            }
            let (least, most): (usize, usize) = (least.unwrap_or(1), most.unwrap_or(usize::MAX));
            (least.min(most), least.max(most))
        }
    };
    Some((count, end + 2))
}

/// `0.5::` at the start of an option: the weight, and where it ends.
pub(super) fn read_weight(option: &str) -> Option<(f64, usize)> {
    let end = option.find("::")?;
    let number = option[..end].trim();
    if !super::text::is_plain_number(number, false) {
        return None;
    }
    // Large enough for any list, small enough for a sum of them.
    Some((number.parse::<f64>().ok()?.min(1e12), end + 2))
}

/// Splits at the bars that stand neither in braces nor in square brackets, from `start` on.
fn split_options(content: &str, start: usize) -> Vec<Range<usize>> {
    let mut options = Vec::new();
    let (mut option, mut braces) = (start, 0_usize);
    // The bars since each square bracket that is open; they count where it is not closed.
    let mut squares: Vec<Vec<usize>> = Vec::new();
    let mut bars = Vec::new();
    let mut escaped = false;
    for (at, byte) in content.bytes().enumerate().skip(start) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => braces += 1,
            b'}' => braces = braces.saturating_sub(1),
            _ if braces > 0 => {}
            b'[' => squares.push(Vec::new()),
            b']' => drop(squares.pop()),
            b'|' => squares.last_mut().unwrap_or(&mut bars).push(at),
            _ => {}
        }
    }
    bars.extend(squares.into_iter().flatten());
    bars.sort_unstable();
    for bar in bars {
        options.push(option..bar);
        option = bar + 1;
    }
    options.push(option..content.len());
    options
}
