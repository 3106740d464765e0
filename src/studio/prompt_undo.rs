//! [`Undo`]: the drafts that were, and which changes are one step.

use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};
use std::ops::Range;

use super::{Action, AdapterAction, Draft, Edit, Extra, PromptAction, PromptField};

/// Most steps that can be taken back.
const MAX_STEPS: usize = 200;
/// Most bytes of prompts that are kept for it.
const MAX_BYTES: usize = 16 << 20;

/// All that an undo brings back.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// What was written.
    pub draft: Draft,
    /// The styles that it was put into.
    pub styles: Vec<String>,
}

impl Snapshot {
    fn bytes(&self) -> usize {
        self.draft.request.prompt.len() + self.draft.request.negative_prompt.len()
    }
}

/// What kind of act may have changed the draft.
#[derive(Clone, Debug, PartialEq)]
pub enum Touch {
    /// Typing in a field.
    Typed(PromptField),
    /// A change that often comes as one of many: those of one kind are one step until the hand rests.
    Slid(Slid),
    /// Not the user's own wish: no step of its own.
    Aside,
    /// Anything else: a step of its own.
    Whole,
}

/// Fields that are dragged, and weights that go up and down by keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slid {
    /// A field of the draft.
    Edit(Discriminant<Edit>),
    /// What a picture is made with besides.
    Extra(Discriminant<Extra>),
    /// An adapter's weight.
    Adapter,
    /// A weight in the prompt.
    Weight,
}

impl Touch {
    /// What an act does to the draft.
    pub fn of(action: &Action) -> Self {
        match action {
            Action::Edit(Edit::Prompt(_)) => Self::Typed(PromptField::Prompt),
            Action::Edit(Edit::NegativePrompt(_)) => Self::Typed(PromptField::Negative),
            Action::Edit(edit) => match edit {
                Edit::Width(_)
                | Edit::Height(_)
                | Edit::Steps(_)
                | Edit::Guidance(_)
                | Edit::Seed(_)
                | Edit::Count(_) => Self::Slid(Slid::Edit(discriminant(edit))),
                _ => Self::Whole,
            },
            Action::Extra(extra) => match extra {
                Extra::Strength(_) | Extra::HiresStrength(_) | Extra::Extend(_) | Extra::ClipSkip(_) => {
                    Self::Slid(Slid::Extra(discriminant(extra)))
                }
                _ => Self::Whole,
            },
            Action::Adapter(AdapterAction::Weigh(..)) => Self::Slid(Slid::Adapter),
            Action::Prompt(PromptAction::Weigh(_)) => Self::Slid(Slid::Weight),
            // It draws the next seed.
            Action::Generate => Self::Aside,
            _ => Self::Whole,
        }
    }
}

/// What the last step was, as far as the next change may belong to it.
#[derive(Clone, Debug, PartialEq)]
enum Last {
    /// Letters were typed, up to here.
    Insert(PromptField, usize),
    /// Letters were taken away, from here on.
    Delete(PromptField, usize),
    /// Something was dragged.
    Slid(Slid),
}

/// The drafts that were.
#[derive(Clone, Debug)]
pub struct Undo {
    now: Snapshot,
    past: VecDeque<Snapshot>,
    future: Vec<Snapshot>,
    last: Option<Last>,
}

impl Undo {
    pub fn new(now: Snapshot) -> Self {
        Self { now, past: VecDeque::new(), future: Vec::new(), last: None }
    }

    /// Whether a draft is another one than was last recorded.
    pub fn is_other(&self, draft: &Draft, styles: &[String]) -> bool {
        self.now.draft != *draft || self.now.styles != *styles
    }

    /// Ends the step that the last change belongs to.
    pub fn rest(&mut self) {
        self.last = None;
    }

    /// Takes in a changed draft.
    pub fn record(&mut self, new: Snapshot, touch: &Touch) {
        if *touch == Touch::Aside {
            self.now = new;
            return;
        }
        let last = match touch {
            Touch::Typed(field) => self.typed(*field, &new),
            Touch::Slid(slid) => Some(Last::Slid(*slid)),
            Touch::Aside | Touch::Whole => None,
        };
        let goes_on = match (&self.last, &last) {
            (Some(Last::Slid(before)), Some(Last::Slid(now))) => before == now,
            (Some(Last::Insert(field, end)), Some(Last::Insert(now, _))) => {
                field == now && self.continues_word(*field, &new, *end)
            }
            (Some(Last::Delete(field, start)), Some(Last::Delete(now, from))) => {
                let (old, new) = (field.text(&self.now.draft.request), field.text(&new.draft.request));
                // Backspace ends where the last one began; Delete begins there.
                field == now && (*from == *start || from + (old.len() - new.len()) == *start)
            }
            _ => false,
        };
        let before = std::mem::replace(&mut self.now, new);
        if !goes_on {
            self.past.push_back(before);
            self.bound();
        }
        self.future.clear();
        self.last = last;
    }

    /// What typing did: a letter more, a letter less; `None` for anything larger, such as a paste.
    fn typed(&self, field: PromptField, new: &Snapshot) -> Option<Last> {
        let (old, new) = (field.text(&self.now.draft.request), field.text(&new.draft.request));
        let inserted = changed(old, new);
        let removed = old.len() + inserted.len() - new.len();
        let letters = |text: &str| text.chars().count();
        match (letters(&new[inserted.clone()]), letters(&old[inserted.start..inserted.start + removed])) {
            (1, 0) => Some(Last::Insert(field, inserted.end)),
            (0, 1) => Some(Last::Delete(field, inserted.start)),
            _ => None,
        }
    }

    /// Whether a letter stands right behind the one before, and begins no new word.
    fn continues_word(&self, field: PromptField, new: &Snapshot, end: usize) -> bool {
        let (old, new) = (field.text(&self.now.draft.request), field.text(&new.draft.request));
        let inserted = changed(old, new);
        let begins_word = !new[inserted.clone()].starts_with(char::is_whitespace)
            && new[..inserted.start].ends_with(char::is_whitespace);
        inserted.start == end && !begins_word
    }

    fn bound(&mut self) {
        let mut bytes: usize = self.past.iter().map(Snapshot::bytes).sum();
        while self.past.len() > MAX_STEPS || (bytes > MAX_BYTES && self.past.len() > 1) {
            bytes -= self.past.pop_front().map_or(0, |dropped| dropped.bytes());
        }
    }

    /// The draft before the last step.
    pub fn back(&mut self) -> Option<Snapshot> {
        let before = self.past.pop_back()?;
        self.future.push(std::mem::replace(&mut self.now, before.clone()));
        self.last = None;
        Some(before)
    }

    /// The draft after the step that was last taken back.
    pub fn forward(&mut self) -> Option<Snapshot> {
        let after = self.future.pop()?;
        self.past.push_back(std::mem::replace(&mut self.now, after.clone()));
        self.last = None;
        Some(after)
    }
}

/// The part of `new` that is not as in `old`, in bytes: what is before and behind it is the same in both.
pub fn changed(old: &str, new: &str) -> Range<usize> {
    let same = |(a, b): &(char, char)| a == b;
    let start: usize = old.chars().zip(new.chars()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
    let behind = old[start..].chars().rev().zip(new[start..].chars().rev()).take_while(same);
    let end = new.len() - behind.map(|(c, _)| c.len_utf8()).sum::<usize>();
    start..end
}
