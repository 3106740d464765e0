//! Floor 1: captions and pictures for training.
//!
//! [`source::read`] reads a data set in any of its forms into a [`Dataset`]; [`prepare()`] makes one of it that a training
//! reads at once, [`check()`] says what is wrong with it. [`garments`] draws the built-in model's own. [`table`] reads the
//! tables of batches with the same care.

pub mod caption;
pub mod check;
pub mod columns;
mod files;
pub mod garments;
pub mod look;
pub mod metadata;
pub mod picture;
pub mod prepare;
mod rows;
pub mod source;
pub mod table;

pub use crate::domain::dataset::problem;
pub use caption::Template;
pub use check::check;
pub use columns::Condition;
pub use metadata::Metadata;
pub use prepare::prepare;
pub use problem::{Problem, ProblemKind};
pub use rows::{Dataset, Row, one_line};
