//! What the window asks of the batches' thread, and what that tells the window.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Plan, RowResult, Table};
use crate::domain::UserError;

/// What the window remembers of a batch from one start to the next, so that it can go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchMemory {
    /// The table's file.
    pub table: PathBuf,
    /// How prompts are made of columns.
    pub template: String,
    /// The seed that rows without one draw theirs from.
    pub seed: u64,
    /// Which rows are wanted, as it was typed.
    pub rows: String,
    /// How many of them, as it was typed.
    pub sample: String,
}

/// What the window asks of the batches' thread.
#[derive(Clone, Debug)]
pub enum BatchCommand {
    /// Read a table. Answered by `Read`.
    Read(PathBuf),
    /// Look through all rows, at the files that they name, and at what earlier runs made of them. Answered by `Checked`,
    /// unless a newer one waits.
    Check {
        /// The sender counts up.
        ticket: u64,
        /// What the rows mean.
        plan: Arc<Plan>,
    },
    /// Open the results file of a table, beside the table. Answered by `ResultsFailed` only.
    Begin(Arc<Table>),
    /// Write down what became of rows. Answered by `ResultsFailed` only.
    Note(Vec<RowResult>),
    /// Put the results in order and close their file. Answered by `Ended`.
    End,
    /// End the thread when all before is done.
    Shutdown,
}

/// A row that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckedRow {
    /// It can be made.
    Ready,
    /// It was made before, from the same request.
    Done(Box<RowResult>),
    /// Something is wrong with it.
    Wrong(String),
}

/// What the batches' thread tells the window.
#[derive(Clone, Debug)]
pub enum BatchEvent {
    /// A table was read.
    Read {
        /// Its file.
        path: PathBuf,
        /// What is in it, or why it cannot be read.
        table: Result<Arc<Table>, UserError>,
    },
    /// All rows were looked through.
    Checked {
        /// The question's.
        ticket: u64,
        /// The rows, in order.
        rows: Vec<CheckedRow>,
    },
    /// The results file cannot be written.
    ResultsFailed(UserError),
    /// The results are in order.
    Ended {
        /// Their file.
        path: PathBuf,
    },
}
