//! A data set as the window and its thread speak of it: what was opened, how it is prepared, what was found.

mod messages;
pub mod problem;
mod replace;

use std::path::PathBuf;

use super::{CollectionId, ImageFormat};

pub use messages::{DatasetCommand, DatasetEvent};
pub use problem::{Problem, ProblemKind};
pub use replace::{is_in, replace_all};

/// The most tokens of a caption that CLIP reads, start and end included.
pub const MAX_TOKENS: u32 = 77;

/// Where a data set comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatasetSource {
    /// A folder, or a table in one.
    Path(PathBuf),
    /// A collection of the gallery: its prompts are the captions.
    Collection {
        /// Its key.
        id: CollectionId,
        /// Its name.
        name: String,
        /// The pictures folder that it is of.
        folder: PathBuf,
    },
}

impl DatasetSource {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Path(path) => {
                path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
            }
            Self::Collection { name, .. } => name.clone(),
        }
    }
}

/// One row as the window shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetRow {
    /// Its picture's name below the data set's folder.
    pub name: String,
    /// Where the picture is; `None` when it is not there.
    pub picture: Option<PathBuf>,
    /// Its own caption; empty where the source has none.
    pub caption: String,
    /// Its line in the table, from 1.
    pub line: Option<u64>,
    /// Whether it is set aside.
    pub is_excluded: bool,
}

/// A data set that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenedDataset {
    /// What was recognised, as people call it.
    pub kind: String,
    /// The folder that it was read from.
    pub root: PathBuf,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The template of the source, where it has one.
    pub default_template: Option<String>,
    /// The rows, in the source's order.
    pub rows: Vec<DatasetRow>,
    /// How many rows the source has, those that could not be read included.
    pub rows_read: usize,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// Whether its captions can be written: it is a `metadata.jsonl`.
    pub can_be_edited: bool,
    /// Whether this program prepared it.
    pub is_prepared: bool,
}

/// How a data set is to be prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetPlan {
    /// How captions are made of columns; empty for the source's own way.
    pub template: String,
    /// Which rows are wanted, as typed: those that all of these accept.
    pub conditions: Vec<String>,
    /// The pictures' shorter side in px.
    pub side_px: u32,
    /// Their format.
    pub format: ImageFormat,
    /// Quality of JPEG and WebP, 1 to 100.
    pub quality: u8,
    /// The most rows.
    pub limit: Option<usize>,
}

impl Default for DatasetPlan {
    fn default() -> Self {
        Self {
            template: String::new(),
            conditions: Vec::new(),
            side_px: 512,
            format: ImageFormat::Jpeg,
            quality: 90,
            limit: None,
        }
    }
}

/// The first rows as a plan would make them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptionLook {
    /// The first of the rows that are wanted: place, caption, tokens.
    pub rows: Vec<LookedRow>,
    /// How many rows are wanted and have a picture.
    pub wanted: usize,
    /// How many of those would have no caption.
    pub without_caption: usize,
}

/// One row as a plan would make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookedRow {
    /// Its place among the rows.
    pub row: usize,
    /// Its caption.
    pub caption: String,
    /// How many tokens that has, start and end included.
    pub tokens: u32,
}

/// A row as it was changed by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// Its line in the table, from 1.
    pub line: u64,
    /// Its picture's name, by which the line is known to be the one that is meant.
    pub name: String,
    /// Its caption.
    pub caption: String,
    /// Whether it is set aside.
    pub is_excluded: bool,
}

/// What came of a preparation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preparation {
    /// The folder.
    pub folder: PathBuf,
    /// Its rows.
    pub rows: usize,
    /// Its pictures.
    pub pictures: usize,
    /// How many of them were made now.
    pub made: usize,
    /// How many rows have a caption, or are set aside, as somebody said by hand before.
    pub kept_by_hand: usize,
    /// How many rows were left out, and why.
    pub left_out: Vec<(usize, &'static str)>,
    /// All that was repaired or left out.
    pub problems: Vec<Problem>,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Rows that can be learnt from.
    pub rows: usize,
    /// The shorter sides of the pictures in px: smallest, median, largest.
    pub sides: Option<[usize; 3]>,
    /// The captions' lengths in tokens: smallest, median, largest.
    pub tokens: Option<[usize; 3]>,
    /// All that is wrong.
    pub problems: Vec<Problem>,
    /// Rows by the values of columns that hold classes, and by frequent words: a name, and values with their counts.
    pub balance: Vec<(String, Vec<(String, usize)>)>,
}
