//! What is wrong with a data set, as data: nothing is passed over in silence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// One thing that is wrong with a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Of which kind it is.
    pub kind: ProblemKind,
    /// Line of the source's table, from 1, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The table, the picture or the folder that it is about.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "lossy_option")]
    pub path: Option<PathBuf>,
    /// What is wrong, in one sentence without a full stop.
    pub sentence: String,
}

/// The kinds of problems, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A row that was not well formed and could be read all the same.
    RepairedRow,
    /// A row that could not be read; it is left out.
    SkippedRow,
    /// A row that names its picture by a path that leads out of the data set; it is left out.
    UnsafePath,
    /// A row that repeats the id of one before it; it is left out.
    DuplicateRow,
    /// A row whose picture is not there; it is left out.
    MissingPicture,
    /// A picture that cannot be decoded; its rows are left out.
    BrokenPicture,
    /// A folder that is not read.
    SkippedFolder,
    /// A picture that no row names; it is left out.
    UnlistedPicture,
    /// A caption file without a picture.
    CaptionWithoutPicture,
    /// A picture without a caption.
    EmptyCaption,
    /// A caption of more tokens than a text encoder reads: its end is not learnt.
    LongCaption,
    /// A picture that is smaller than what it is to be trained at.
    TooSmall,
    /// A picture whose pixels are there already.
    ExactDuplicate,
    /// A picture that looks like one that is there already.
    NearDuplicate,
}

impl ProblemKind {
    /// What it is called, for many of them.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::RepairedRow => "rows repaired",
            Self::SkippedRow => "rows that could not be read",
            Self::UnsafePath => "rows with a path out of the data set",
            Self::DuplicateRow => "rows that repeat an id",
            Self::MissingPicture => "rows without a picture",
            Self::BrokenPicture => "pictures that could not be read",
            Self::SkippedFolder => "folders that were not read",
            Self::UnlistedPicture => "pictures that no row names",
            Self::CaptionWithoutPicture => "captions without a picture",
            Self::EmptyCaption => "pictures without a caption",
            Self::LongCaption => "captions that are too long",
            Self::TooSmall => "pictures that are too small",
            Self::ExactDuplicate => "pictures that are there twice",
            Self::NearDuplicate => "pictures that are almost there twice",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::RepairedRow => "look at the line: the value after the repair is the one that is used",
            Self::SkippedRow => "mend the line in the table and read the data set again",
            Self::UnsafePath => "name pictures by paths below the data set's folder",
            Self::DuplicateRow => "give each row an id of its own, or take the second one out",
            Self::MissingPicture => "put the picture in its place, or leave the row out",
            Self::BrokenPicture => "fetch or save the picture again",
            Self::SkippedFolder => {
                "name a folder of pictures like 10_dress: how often each is shown, and what it shows"
            }
            Self::UnlistedPicture => "add a row for the picture, or take it away",
            Self::CaptionWithoutPicture => "put the picture beside its caption, or take the caption away",
            Self::EmptyCaption => "write a caption, or have one made of the columns by a template",
            Self::LongCaption => "shorten the caption, or name fewer columns in the template",
            Self::TooSmall => "find a larger picture, or train at a smaller size",
            Self::ExactDuplicate => "keep one of them: the others only make it weigh more",
            Self::NearDuplicate => "look at both, and keep one where they show the same",
        }
    }

    /// Whether a row or a picture is lost by it.
    #[must_use]
    pub fn loses_a_row(self) -> bool {
        matches!(
            self,
            Self::SkippedRow | Self::UnsafePath | Self::DuplicateRow | Self::MissingPicture | Self::BrokenPicture
        )
    }
}

/// A path as text, for a report; `serde`'s own way fails on a name that is not Unicode.
pub(crate) fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

#[allow(clippy::ref_option, reason = "serde gives a field as it is")]
fn lossy_option<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => lossy(path, serializer),
        None => serializer.serialize_none(),
    }
}

/// How many problems there are of each kind.
#[must_use]
pub fn count_by_kind<'a>(problems: impl IntoIterator<Item = &'a Problem>) -> BTreeMap<ProblemKind, usize> {
    let mut counts = BTreeMap::new();
    for problem in problems {
        *counts.entry(problem.kind).or_default() += 1;
    }
    counts
}
