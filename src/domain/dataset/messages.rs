//! What is asked of the data sets' thread, and what it says.

use std::path::PathBuf;

use super::{CaptionLook, DatasetPlan, DatasetSource, Inspection, OpenedDataset, Preparation, RowChange};
use crate::domain::{Cancel, Picture, Result, UserError};

/// What is asked of the data sets' thread.
#[derive(Clone, Debug)]
pub enum DatasetCommand {
    /// Read a data set; it is the one in hand from then on. Answered by `Opened`, then, where captions can be written, by
    /// `Counted` until all are counted.
    Open {
        /// Higher than that of any data set before.
        ticket: u64,
        /// Which one.
        source: DatasetSource,
    },
    /// Put the one in hand away.
    Close,
    /// Say what the first rows would be; of several questions in a row the last one counts. Answered by `Looked`.
    Look {
        /// Higher than that of any look before.
        ticket: u64,
        /// How captions are made, which rows are wanted.
        plan: DatasetPlan,
        /// The most rows.
        most: usize,
    },
    /// Prepare the one in hand into a folder. Answered by `Progress`, then by `Prepared`.
    Prepare {
        /// How.
        plan: DatasetPlan,
        /// The folder.
        folder: PathBuf,
        /// Stops it; what is finished stays.
        cancel: Cancel,
    },
    /// Look at every row and every picture of the one in hand. Answered by `Progress`, then by `Checked`.
    Check {
        /// How captions are made, and how large pictures should be.
        plan: DatasetPlan,
        /// Stops it.
        cancel: Cancel,
    },
    /// Write rows as they were changed. Answered by `Saved` and `Counted`.
    Save {
        /// Which data set.
        ticket: u64,
        /// The rows' places, and what they are now.
        changes: Vec<(usize, RowChange)>,
    },
    /// Make these thumbnails, the most urgent first, and no others any more. Answered by `Thumbnail` for each.
    Thumbnails {
        /// Which data set.
        ticket: u64,
        /// The rows' places and their pictures.
        wanted: Vec<(usize, PathBuf)>,
    },
}

/// What the data sets' thread says.
#[derive(Clone, Debug)]
pub enum DatasetEvent {
    /// A data set was read, or could not be.
    Opened {
        /// Which one.
        ticket: u64,
        /// What it is.
        opened: Result<Box<OpenedDataset>>,
    },
    /// What the first rows would be.
    Looked {
        /// Which look.
        ticket: u64,
        /// What was seen, or what is wrong with the template or a condition.
        look: Result<CaptionLook>,
    },
    /// How far the work is.
    Progress {
        /// Pictures that are done.
        done: usize,
        /// All of them.
        total: usize,
    },
    /// A preparation has ended.
    Prepared(Result<Box<Preparation>>),
    /// A check has ended.
    Checked(Result<Box<Inspection>>),
    /// Changed rows are on the disk, or could not be written.
    Saved {
        /// Of which data set.
        ticket: u64,
        /// How many commands this answers.
        count: usize,
        /// Whether they are.
        result: Result<()>,
    },
    /// How many tokens rows have, start and end included.
    Counted {
        /// Of which data set.
        ticket: u64,
        /// The rows' places and their tokens.
        counts: Vec<(usize, u32)>,
    },
    /// Something could not be done at all.
    Failed(UserError),
    /// A thumbnail, or why there is none.
    Thumbnail {
        /// Of which data set.
        ticket: u64,
        /// Of which row.
        row: usize,
        /// The picture.
        picture: Result<Picture>,
    },
}
