//! What is typed into the gallery's search field, read into a [`Query`].
//!
//! Words and `"phrases"` are looked for in prompts and in everything else that a recipe says; all of them must be there.
//! The last word may be unfinished. `-` before anything leaves out what it finds; `OR` (or `|`) joins what stands on its
//! two sides, more closely than the space between two words does: `red OR blue dress` is a dress in either colour.
//! `key:value` asks for one field; [`KEYS`] lists the keys. Numbers may be `7`, `>768`, `<=512`, `20..30`, `20..` and
//! `..30`; days `2026`, `2026-11`, `2026-11-03`, `2026-11-03..2026-11-20`, `today`, `yesterday` and `7d` (the last seven
//! days). What holds a space stands in quotation marks: `collection:"Summer dresses"`.
//!
//! Reading never fails: a query that is being typed is read as far as it goes, and what was not understood is told by
//! [`Hint`]s. Printing a query and reading it again gives the same query.
//!
//! | Text | Reads as |
//! |---|---|
//! | `red dress` | "red", and a word that begins with "dress" |
//! | `-cat "on a chair"` | no "cat", and just these three words |
//! | `sampler:dpm size:>768` | any sampler whose name begins so, and a longer side above 768 px |
//! | `samler:euler` | the words, with a hint that `sampler` may be meant |

mod hints;
mod keys;
mod parse;
mod print;
mod values;

#[cfg(test)]
mod tests;

pub(in crate::domain) use hints::nearest;
pub use hints::{Hint, HintKind};
pub(crate) use keys::family_name;
pub use keys::{KEYS, Key, KeyInfo, KeyKind, families, samplers, schedules};
pub use values::{Day, DaySpan, Edge, Span};

/// A search: every clause must hold. Empty, it finds every picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Clauses of terms. One term of each clause must hold; a clause is never empty.
    pub all: Vec<Vec<Term>>,
}

/// A condition, or its opposite.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Whether it must not hold.
    pub is_negated: bool,
    /// The condition.
    pub test: Test,
}

/// A condition on a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// These words, one behind the other, in the prompt or anywhere else in the recipe but the negative prompt.
    Words(Words),
    /// These words in one text of the recipe: [`Key::Prompt`] or [`Key::Negative`].
    WordsIn(Key, Words),
    /// A field of [`KeyKind::Text`] or [`KeyKind::Choice`].
    Text(Key, String),
    /// A field of [`KeyKind::Whole`].
    Whole(Key, Span<u64>),
    /// A field of [`KeyKind::Number`].
    Number(Key, Span<f64>),
    /// Width and height in px, as in `size:512x768`.
    Dimensions(u64, u64),
    /// When the picture was made, by the calendar where the program runs.
    Date(DaySpan),
    /// A field of [`KeyKind::YesNo`].
    YesNo(Key, bool),
}

/// Words that must follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// As typed. Case, accents and everything but letters and digits do not count.
    pub text: String,
    /// Whether the last one may go on, as in `dre*`.
    pub is_prefix: bool,
}

/// A text as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// What was understood.
    pub query: Query,
    /// What was not, in the order of the text.
    pub hints: Vec<Hint>,
}

/// Reads what is typed. Never fails; see the module's text.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    parse::parse(text)
}

impl Query {
    /// Whether it finds every picture.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
