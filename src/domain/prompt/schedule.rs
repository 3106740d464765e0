//! Prompt editing: text that changes while the picture forms, `[from:to:when]`, `[to:when]`, `[from::when]`, `[a|b]`.
//!
//! The grammar is that of stable-diffusion-webui (`schedule_parser` in `modules/prompt_parser.py`, v1.10):
//!
//! ```text
//! start:      (prompt | any of ][():)*
//! prompt:     (emphasized | scheduled | alternate | plain)*
//! emphasized: "(" prompt ")" | "(" prompt ":" prompt ")" | "[" prompt "]"
//! scheduled:  "[" [prompt ":"] prompt ":" number "]"
//! alternate:  "[" prompt ("|" [prompt])+ "]"
//! plain:      (none of \[]():| , or a backslash and any character)+
//! ```
//!
//! Text that it does not cover (a `|` outside of square brackets, a backslash at the end) leaves the whole prompt as
//! it is there; here too, and a problem says so where a schedule is lost by it. The grammar is ambiguous: a complete
//! schedule may also be read as text beside a stray bracket (`[a:b:3]) c`), and which one the web UI's parser picks there
//! varies. Here a complete schedule is always one.

use std::collections::BTreeSet;
use std::ops::Range;

use super::PromptProblem;
use super::text::is_space;
use crate::domain::limits;

/// Most brackets that may be open at once; deeper ones are text.
const MAX_OPEN: usize = 64;

/// The text of a stretch of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledText {
    /// The last step that it holds for. The first step is 1.
    pub until_step: u32,
    /// The text, weights and all.
    pub text: String,
}

/// What a prompt says at each step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// In order; the last one ends with the last step, and neighbours differ.
    pub texts: Vec<ScheduledText>,
    /// Why a schedule in the text is not followed.
    pub problem: Option<PromptProblem>,
}

impl Schedule {
    /// Reads a prompt for a number of steps, which is brought into 1 to [`limits::MAX_STEPS`].
    ///
    /// A number with a point is a fraction of the steps, another one a step: what stands before holds up to and
    /// with it. Nested ones work; escapes are kept for [`super::parse_attention`].
    #[must_use]
    pub fn parse(text: &str, steps: u32) -> Self {
        Self::with_offset(text, steps, 0)
    }

    /// Reads a prompt for the second pass of a hires fix: whole numbers go on counting after the first pass's steps,
    /// fractions after 1.0.
    #[must_use]
    pub fn parse_second_pass(text: &str, first_steps: u32, steps: u32) -> Self {
        Self::with_offset(text, steps, first_steps.max(1))
    }

    fn with_offset(text: &str, steps: u32, offset: u32) -> Self {
        let (stretches, problem) = stretches(text, steps, offset);
        let scheduled = |stretch: Stretch| ScheduledText { until_step: stretch.until_step, text: stretch.text(text) };
        Self { texts: stretches.into_iter().map(scheduled).collect(), problem }
    }

    /// The text at a step, from 1.
    #[must_use]
    pub fn at(&self, step: u32) -> &str {
        let entry = self.texts.iter().find(|entry| step <= entry.until_step).or(self.texts.last());
        entry.map_or("", |entry| &entry.text)
    }
}

/// A stretch of steps with the parts of the prompt that its text is made of.
pub(super) struct Stretch {
    /// The last step that it holds for.
    pub until_step: u32,
    /// Bytes of the prompt, in order.
    pub ranges: Vec<Range<usize>>,
}

impl Stretch {
    fn text(&self, prompt: &str) -> String {
        self.ranges.iter().map(|range| &prompt[range.clone()]).collect()
    }
}

/// What a prompt says at each step, as parts of it; neighbours differ in their texts.
pub(super) fn stretches(text: &str, steps: u32, offset: u32) -> (Vec<Stretch>, Option<PromptProblem>) {
    let steps = steps.clamp(1, limits::MAX_STEPS);
    let tree = match parse(text) {
        Parsed::Tree { nodes, .. } => nodes,
        Parsed::AsItIs { problem } => {
            let whole = std::iter::once(0..text.len()).collect();
            return (vec![Stretch { until_step: steps, ranges: whole }], problem);
        }
    };
    let clock = Clock { steps, offset };
    let mut ends = BTreeSet::from([steps]);
    collect_ends(&tree, clock, &mut ends);
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut last = None;
    for until_step in ends {
        let mut ranges = Vec::new();
        render(&tree, clock, until_step, &mut ranges);
        let stretch = Stretch { until_step, ranges };
        let at_step = stretch.text(text);
        match stretches.last_mut() {
            Some(before) if last.as_ref() == Some(&at_step) => before.until_step = until_step,
            _ => stretches.push(stretch),
        }
        last = Some(at_step);
    }
    (stretches, None)
}

/// The bytes that are the schedules' own: brackets, separators, numbers. In no order, without overlaps.
pub(super) fn marks(text: &str) -> Vec<Range<usize>> {
    match parse(text) {
        Parsed::Tree { marks, .. } => marks,
        Parsed::AsItIs { .. } => Vec::new(),
    }
}

/// How numbers turn into steps.
#[derive(Clone, Copy)]
struct Clock {
    steps: u32,
    /// Steps of an earlier pass, 0 in the first.
    offset: u32,
}

/// When a text changes.
#[derive(Clone, Copy)]
struct When {
    number: f64,
    /// Written with a point: a fraction of the steps.
    fraction: bool,
}

impl When {
    /// The last step before the change; 0 or less when it comes before the first.
    fn step(self, clock: Clock) -> i64 {
        let step = if self.fraction {
            (self.number - if clock.offset > 0 { 1.0 } else { 0.0 }) * f64::from(clock.steps)
        } else {
            self.number - f64::from(clock.offset)
        };
        (step as i64).min(i64::from(clock.steps))
    }
}

enum Node {
    Text(Range<usize>),
    Switch { before: Vec<Node>, after: Vec<Node>, when: When },
    Alternate(Vec<Vec<Node>>),
}

enum Parsed {
    Tree { nodes: Vec<Node>, marks: Vec<Range<usize>> },
    AsItIs { problem: Option<PromptProblem> },
}

/// A bracket that is still open.
struct Frame {
    open: usize,
    square: bool,
    /// What stands between the separators.
    segments: Vec<Vec<Node>>,
    /// Where the separators are: colons or bars.
    separators: Vec<usize>,
    colons: usize,
    bars: usize,
}

struct Parser<'a> {
    text: &'a str,
    top: Vec<Node>,
    open: Vec<Frame>,
    marks: Vec<Range<usize>>,
    /// Where the first thing stands that the grammar does not cover.
    uncovered: Option<usize>,
}

fn parse(text: &str) -> Parsed {
    let mut parser = Parser { text, top: Vec::new(), open: Vec::new(), marks: Vec::new(), uncovered: None };
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at += 1;
        match bytes[start] {
            b'\\' => match text[at..].chars().next() {
                Some(escaped) if escaped != '\n' => {
                    at += escaped.len_utf8();
                    parser.push_text(start..at);
                }
                _ => parser.uncovered(start),
            },
            opener @ (b'[' | b'(') => parser.open(start, opener == b'['),
            closer @ (b']' | b')') => parser.close(start, closer == b']'),
            separator @ (b':' | b'|') => parser.separate(start, separator == b'|'),
            _ => {
                let special = |c| matches!(c, '\\' | '[' | ']' | '(' | ')' | ':' | '|');
                at = text[start..].find(special).map_or(text.len(), |length| start + length);
                parser.push_text(start..at);
            }
        }
    }
    parser.flush();
    match parser.uncovered {
        None => Parsed::Tree { nodes: parser.top, marks: parser.marks },
        Some(_) if parser.marks.is_empty() => Parsed::AsItIs { problem: None },
        Some(at) => {
            let character = text[at..].chars().next().unwrap_or_default();
            Parsed::AsItIs { problem: Some(PromptProblem::ScheduleNotFollowed { character, byte: at }) }
        }
    }
}

impl Parser<'_> {
    /// Where new nodes go.
    fn here(&mut self) -> &mut Vec<Node> {
        match self.open.last_mut().and_then(|frame| frame.segments.last_mut()) {
            Some(segment) => segment,
            None => &mut self.top,
        }
    }

    fn push_text(&mut self, range: Range<usize>) {
        push_text(self.here(), range);
    }

    fn uncovered(&mut self, at: usize) {
        self.uncovered.get_or_insert(at);
        self.push_text(at..at + 1);
    }

    fn open(&mut self, at: usize, square: bool) {
        if self.open.len() >= MAX_OPEN {
            self.flush();
        }
        let segments = vec![Vec::new()];
        self.open.push(Frame { open: at, square, segments, separators: Vec::new(), colons: 0, bars: 0 });
    }

    fn separate(&mut self, at: usize, bar: bool) {
        match self.open.last_mut() {
            Some(frame) => {
                if bar {
                    frame.bars += 1;
                } else {
                    frame.colons += 1;
                }
                frame.separators.push(at);
                frame.segments.push(Vec::new());
            }
            None if bar => self.uncovered(at),
            None => self.push_text(at..at + 1),
        }
    }

    fn close(&mut self, at: usize, square: bool) {
        let Some(frame) = self.open.pop() else { return self.push_text(at..at + 1) };
        let when = self.number(&frame);
        match (frame.square, frame.colons, frame.bars) {
            _ if frame.square != square => self.give_up(frame, at),
            (true, 0, 1..) => {
                self.marks.push(frame.open..frame.open + 1);
                self.marks.extend(frame.separators.iter().map(|&bar| bar..bar + 1));
                self.marks.push(at..at + 1);
                self.here().push(Node::Alternate(frame.segments));
            }
            (true, 1 | 2, 0) if when.is_some() => {
                let (Some(when), Some(&last)) = (when, frame.separators.last()) else { return };
                self.marks.push(frame.open..frame.open + 1);
                self.marks.extend(frame.separators[..frame.colons - 1].iter().map(|&colon| colon..colon + 1));
                self.marks.push(last..at + 1);
                let mut segments = frame.segments.into_iter();
                let first = segments.next().unwrap_or_default();
                let second = segments.next().unwrap_or_default();
                let (before, after) = if frame.colons == 2 { (first, second) } else { (Vec::new(), first) };
                self.here().push(Node::Switch { before, after, when });
            }
            (true, 0, 0) | (false, 0 | 1, 0) => {
                self.splice(frame);
                self.push_text(at..at + 1);
            }
            _ => self.give_up(frame, at),
        }
    }

    /// The number in a frame's last segment, where that is all it holds.
    fn number(&self, frame: &Frame) -> Option<When> {
        let [Node::Text(range)] = frame.segments.last()?.as_slice() else { return None };
        let literal = self.text[range.clone()].trim_matches(is_space);
        is_number(literal).then_some(())?;
        Some(When { number: literal.parse().ok()?, fraction: literal.contains('.') })
    }

    /// A closer that does not make its frame a part of the grammar: nothing around it can be one either.
    fn give_up(&mut self, frame: Frame, at: usize) {
        self.open.push(frame);
        self.flush();
        self.push_text(at..at + 1);
    }

    /// Turns everything that is open into text of the top level. What is complete inside stays what it is.
    fn flush(&mut self) {
        for frame in std::mem::take(&mut self.open) {
            if frame.bars > 0 {
                let bar = frame.separators.iter().find(|&&at| self.text.as_bytes()[at] == b'|');
                self.uncovered = self.uncovered.or(bar.copied());
            }
            self.splice(frame);
        }
    }

    /// Puts a frame's opener, segments and separators into what is around it.
    fn splice(&mut self, frame: Frame) {
        self.push_text(frame.open..frame.open + 1);
        let mut separators = frame.separators.into_iter();
        for segment in frame.segments {
            for node in segment {
                match node {
                    Node::Text(range) => self.push_text(range),
                    node => self.here().push(node),
                }
            }
            if let Some(at) = separators.next() {
                self.push_text(at..at + 1);
            }
        }
    }
}

/// Adds text, to the text before it where that ends there.
fn push_text(nodes: &mut Vec<Node>, range: Range<usize>) {
    match nodes.last_mut() {
        Some(Node::Text(last)) if last.end == range.start => last.end = range.end,
        _ => nodes.push(Node::Text(range)),
    }
}

/// Whether this is a number of the grammar: a sign, digits with a point, an exponent.
fn is_number(literal: &str) -> bool {
    let (mantissa, exponent) = match literal.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (literal, None),
    };
    super::text::is_plain_number(mantissa, true)
        && exponent.is_none_or(|exponent| {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        })
}

/// The last step of every stretch in which the text may stay the same.
fn collect_ends(nodes: &[Node], clock: Clock, ends: &mut BTreeSet<u32>) {
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Switch { before, after, when } => {
                if let Ok(step @ 1..) = u32::try_from(when.step(clock)) {
                    ends.insert(step);
                }
                collect_ends(before, clock, ends);
                collect_ends(after, clock, ends);
            }
            Node::Alternate(options) => {
                ends.extend(1..=clock.steps);
                for option in options {
                    collect_ends(option, clock, ends);
                }
            }
        }
    }
}

fn render(nodes: &[Node], clock: Clock, step: u32, out: &mut Vec<Range<usize>>) {
    for node in nodes {
        match node {
            Node::Text(range) => out.push(range.clone()),
            Node::Switch { before, after, when } => {
                let nodes = if i64::from(step) <= when.step(clock) { before } else { after };
                render(nodes, clock, step, out);
            }
            Node::Alternate(options) => {
                let option = &options[(step as usize - 1) % options.len()];
                render(option, clock, step, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_steps(text: &str, steps: u32) -> Vec<(u32, String)> {
        Schedule::parse(text, steps).texts.into_iter().map(|entry| (entry.until_step, entry.text)).collect()
    }

    /// The examples of stable-diffusion-webui's own tests (`modules/prompt_parser.py`, the docstrings), at 10 steps;
    /// where it repeats a text in the next step, the two are one here.
    #[test]
    fn schedules_are_those_of_the_web_ui() {
        let cases: &[(&str, &[(u32, &str)])] = &[
            ("test", &[(10, "test")]),
            ("a [b:3]", &[(3, "a "), (10, "a b")]),
            ("a [b: 3]", &[(3, "a "), (10, "a b")]),
            ("a [[[b]]:2]", &[(2, "a "), (10, "a [[b]]")]),
            ("[(a:2):3]", &[(3, ""), (10, "(a:2)")]),
            ("a [b : c : 1] d", &[(1, "a b  d"), (10, "a  c  d")]),
            ("a[b:[c:d:2]:1]e", &[(1, "abe"), (2, "ace"), (10, "ade")]),
            ("a [unbalanced", &[(10, "a [unbalanced")]),
            ("a [b:.5] c", &[(5, "a  c"), (10, "a b c")]),
            ("((a][:b:c [d:3]", &[(3, "((a][:b:c "), (10, "((a][:b:c d")]),
            ("[fe|||]male", &[(1, "female"), (4, "male"), (5, "female"), (8, "male"), (9, "female"), (10, "male")]),
        ];
        for (text, expected) in cases {
            let found = at_steps(text, 10);
            let found: Vec<_> = found.iter().map(|(until, text)| (*until, text.as_str())).collect();
            assert_eq!(&found, expected, "{text}");
        }
        let second = Schedule::parse_second_pass("a [b:1.5] c", 10, 10).texts;
        assert_eq!((second[0].until_step, second[0].text.as_str()), (5, "a  c"));
        assert_eq!(Schedule::parse_second_pass("a [b:.5] c", 10, 10).texts.len(), 1);
    }

    /// The example at the head of `modules/prompt_parser.py`, at 100 steps.
    #[test]
    fn several_schedules_in_one_prompt() {
        let text = "fantasy landscape with a [mountain:lake:0.25] and [an oak:a christmas tree:0.75]\
                    [ in foreground::0.6][ in background:0.25] [shoddy:masterful:0.5]";
        let expected = [
            (25, "fantasy landscape with a mountain and an oak in foreground shoddy"),
            (50, "fantasy landscape with a lake and an oak in foreground in background shoddy"),
            (60, "fantasy landscape with a lake and an oak in foreground in background masterful"),
            (75, "fantasy landscape with a lake and an oak in background masterful"),
            (100, "fantasy landscape with a lake and a christmas tree in background masterful"),
        ];
        assert_eq!(at_steps(text, 100), expected.map(|(until, text)| (until, text.to_owned())));
    }

    #[test]
    fn alternation_turns_with_the_steps() {
        let schedule = Schedule::parse("[a|(b:1.1)] x", 5);
        let texts: Vec<_> = (1..=5).map(|step| schedule.at(step)).collect();
        assert_eq!(texts, ["a x", "(b:1.1) x", "a x", "(b:1.1) x", "a x"]);
    }

    #[test]
    fn a_stray_bar_leaves_the_prompt_as_it_is_and_says_so() {
        let schedule = Schedule::parse("a | b [c:d:5]", 10);
        assert_eq!(schedule.at(1), "a | b [c:d:5]");
        assert_eq!(schedule.problem, Some(PromptProblem::ScheduleNotFollowed { character: '|', byte: 2 }));
        assert_eq!(Schedule::parse("a | b", 10).problem, None, "nothing is lost here");
        assert_eq!(Schedule::parse(r"a \| b [c:d:5]", 10).at(6), r"a \| b d");
    }

    #[test]
    fn escaped_brackets_schedule_nothing() {
        assert_eq!(at_steps(r"\[a:b:5\]", 10), [(10, r"\[a:b:5\]".to_owned())]);
    }
}
