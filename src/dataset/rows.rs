//! [`Dataset`]: what every reader gives, whatever the source looks like.

use std::path::{Path, PathBuf};

use super::problem::{Problem, ProblemKind};
pub use crate::domain::template::one_line;

/// Pictures with captions or with columns that captions can be made of, and what is wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dataset {
    /// The reader's name, such as `kohya`.
    pub kind: String,
    /// The folder that it was read from.
    pub root: PathBuf,
    /// The table that it was read from, if there is one.
    pub table: Option<PathBuf>,
    /// Names of the columns, in the source's order.
    pub columns: Vec<String>,
    /// The rows, in the source's order.
    pub rows: Vec<Row>,
    /// The column that holds the captions, where the table can be written to.
    pub caption_column: Option<String>,
    /// The template that captions are made by where nobody gives another one. Without it a row's own caption is taken.
    pub default_template: Option<&'static str>,
    /// How many rows the source has, those that could not be read included.
    pub rows_read: usize,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// One row of a data set: at most one picture, at most one caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where its picture is; `None` when it is not there.
    pub picture: Option<PathBuf>,
    /// The picture's path below the data set's folder, with `/`, as far as the row tells it.
    pub name: String,
    /// Its caption, on one line; `None` where the source has none.
    pub caption: Option<String>,
    /// Its values in the order of [`Dataset::columns`]; those at the end may be left out.
    pub values: Vec<String>,
    /// How often an epoch shows it.
    pub repeats: u32,
    /// Its line in the table, from 1.
    pub line: Option<u64>,
    /// Whether it is set aside: nothing is learnt from it, and nothing of it is lost.
    pub is_excluded: bool,
}

impl Dataset {
    /// An empty data set of a folder.
    #[must_use]
    pub fn new(kind: &str, root: &Path) -> Self {
        Self { kind: kind.to_owned(), root: root.to_path_buf(), ..Self::default() }
    }

    /// A data set of any list of pictures and captions, such as a collection of the gallery.
    #[must_use]
    pub fn from_pairs(kind: &str, root: &Path, pairs: impl IntoIterator<Item = (PathBuf, String)>) -> Self {
        let mut dataset = Self { columns: vec!["caption".to_owned()], ..Self::new(kind, root) };
        for (picture, caption) in pairs {
            let name = slashes(picture.strip_prefix(root).unwrap_or(&picture));
            let caption = one_line(&caption);
            let there = picture.is_file();
            if !there {
                dataset.problem(ProblemKind::MissingPicture, None, &picture, format!("{name} is not there"));
            }
            dataset.rows_read += 1;
            dataset.rows.push(Row {
                picture: there.then_some(picture),
                name,
                values: vec![caption.clone()],
                caption: Some(caption).filter(|caption| !caption.is_empty()),
                repeats: 1,
                line: None,
                is_excluded: false,
            });
        }
        dataset
    }

    /// A row's value in a column. `None` when there is no such column or the row has no value in it.
    #[must_use]
    pub fn value<'a>(&self, row: &'a Row, column: &str) -> Option<&'a str> {
        row.values.get(self.column(column)?).map(String::as_str)
    }

    /// The place of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// How many rows have a picture.
    #[must_use]
    pub fn with_picture(&self) -> usize {
        self.rows.iter().filter(|row| row.picture.is_some()).count()
    }

    /// How many problems of a kind there are.
    #[must_use]
    pub fn count(&self, kind: ProblemKind) -> usize {
        self.problems.iter().filter(|problem| problem.kind == kind).count()
    }

    pub(super) fn problem(&mut self, kind: ProblemKind, line: Option<u64>, path: &Path, sentence: String) {
        self.problems.push(Problem { kind, line, path: Some(path.to_path_buf()), sentence });
    }
}

/// A path with `/`, as metadata files write it.
pub(super) fn slashes(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}
