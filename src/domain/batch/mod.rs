//! Batches: a [`Table`] of rows, each of which is a request. Reading and writing of the files is elsewhere
//! (`dataset::table`); what a row means is here, so that the window and the command line agree on it.
//!
//! A column is a field of the request by its name ([`FIELDS`]), or stands in the prompt's template, or both; any other
//! column is carried along. [`Plan`] makes requests of rows, and says what is wrong with them; [`Selection`] says which
//! rows are wanted.

mod fields;
mod list;
mod messages;
mod plan;
mod prompt;
mod result;
mod select;
mod table;

pub use fields::{FIELDS, Field, Names};
pub use list::{Flagged, list_columns, read_line};
pub use messages::{BatchCommand, BatchEvent, BatchMemory, CheckedRow};
pub use plan::{Plan, Setup, draw_seed, request_key};
pub use prompt::PromptTemplate;
pub use result::{RowResult, RowStatus};
pub use select::{RowRange, Selection, Shard};
pub use table::{Form, Table, TableRow};
