//! [`Table`]: what a file of rows holds, whatever its form.

use std::path::PathBuf;

/// The forms of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A prompt a line, with kohya's flags.
    List,
    /// Comma-separated values, with the delimiter that the file has.
    Csv(char),
    /// An object of JSON a line.
    JsonLines,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its file.
    pub path: PathBuf,
    /// Its form.
    pub form: Form,
    /// The names of its columns, in order; no two are the same.
    pub columns: Vec<String>,
    /// Its rows, those that could not be read among them.
    pub rows: Vec<TableRow>,
    /// What was read otherwise than it stands there: a line, from 1, and a sentence.
    pub repairs: Vec<(u64, String)>,
}

/// A row of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableRow {
    /// The line that it begins in, from 1.
    pub line: u64,
    /// Its values, in the order of the columns; those at the end may be left out. What is not there is empty.
    pub values: Vec<String>,
    /// The object as it stands in the file, of JSON lines.
    pub json: Option<String>,
    /// Why it could not be read.
    pub problem: Option<String>,
}

impl Table {
    /// A row's value in a column, by the column's place.
    #[must_use]
    pub fn value<'a>(&self, row: &'a TableRow, column: usize) -> &'a str {
        row.values.get(column).map_or("", String::as_str)
    }

    /// The place of a column, by its exact name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The folder that the files named in it are below.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.map_or_else(|| PathBuf::from("."), std::path::Path::to_path_buf)
    }
}
