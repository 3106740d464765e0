//! The forms in which data sets come: one file and one row in [`READERS`] each.

mod collection;
pub(super) mod csv;
mod flickr;
mod html;
mod imagefolder;
mod kohya;
pub(super) mod lines;
mod pictures;
mod product_json;
mod sidecars;
mod styles;

use std::fs;
use std::path::{Path, PathBuf};

pub use collection::of_collection;
pub(super) use csv::write_record;
pub(super) use imagefolder::{EDITED, EXCLUDED, FILE_NAME};
pub(super) use lines::unreadable;
use pictures::Pictures;

use super::problem::{Problem, ProblemKind};
use super::rows::{Dataset, Row};
use crate::domain::{Result, UserError, safe_path};

/// One form of data sets.
pub struct Reader {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is called in the window.
    pub label: &'static str,
    /// What it looks like, in a few words.
    pub looks_like: &'static str,
    /// Whether a place holds this form: looks at names and at the beginnings of files.
    recognise: fn(&Place) -> bool,
    /// Reads it.
    read: fn(&Place) -> Result<Dataset>,
}

/// The forms that can be read. The first one that recognises a place reads it.
pub static READERS: &[&Reader] =
    &[&imagefolder::READER, &styles::READER, &flickr::READER, &product_json::READER, &kohya::READER, &sidecars::READER];

/// Where a data set is: a folder, or one table within it.
pub struct Place {
    /// The folder.
    root: PathBuf,
    /// Files directly in it that may be tables, with their beginnings; only the one that was named, if one was.
    tables: Vec<(PathBuf, String)>,
    /// Folders directly in it, by name.
    folders: Vec<String>,
    /// Whether the table itself was named: its folder says nothing then.
    is_table: bool,
}

impl Place {
    fn open(source: &Path) -> Result<Self> {
        let metadata = fs::metadata(source).map_err(|error| unreadable(source, &error))?;
        if metadata.is_file() {
            let parent = source.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let tables = vec![(source.to_path_buf(), lines::head(source))];
            return Ok(Self { root: parent.to_path_buf(), tables, folders: Vec::new(), is_table: true });
        }
        let (mut tables, mut folders) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(source).map_err(|error| unreadable(source, &error))?.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                folders.push(name);
            } else if matches!(ending.as_str(), "csv" | "json" | "jsonl" | "ndjson") {
                tables.push((path.clone(), lines::head(&path)));
            }
        }
        tables.sort();
        folders.sort();
        Ok(Self { root: source.to_path_buf(), tables, folders, is_table: false })
    }

    /// The first table whose beginning is as wanted, those of the names given before all others.
    fn table(&self, names: &[&str], is_wanted: impl Fn(&Path, &str) -> bool) -> Option<&Path> {
        let rank = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
            names.iter().position(|wanted| *wanted == name).unwrap_or(names.len())
        };
        let mut wanted: Vec<&Path> =
            self.tables.iter().filter(|(path, head)| is_wanted(path, head)).map(|(path, _)| path.as_path()).collect();
        wanted.sort_by_key(|path| rank(path));
        wanted.first().copied()
    }

    /// An empty data set of this place, and its pictures.
    fn begin(&self, reader: &Reader, table: Option<&Path>) -> Result<(Dataset, Pictures)> {
        let mut dataset = Dataset { table: table.map(Path::to_path_buf), ..Dataset::new(reader.name, &self.root) };
        let mut pictures = Pictures::below(&self.root)?;
        dataset.problems.append(&mut pictures.problems);
        Ok((dataset, pictures))
    }
}

impl Dataset {
    /// Takes in a row whose picture is named by a table: refused when the name leads out, noted when it is not there.
    fn push_named(&mut self, pictures: &Pictures, folders: &[&str], name: &str, row: Row) {
        let table = self.table.clone().unwrap_or_else(|| self.root.clone());
        let safe = match safe_path(name) {
            Ok(safe) => safe,
            Err(why) => {
                let kind = if name.trim().is_empty() { ProblemKind::SkippedRow } else { ProblemKind::UnsafePath };
                self.problem(kind, row.line, &table, why);
                return;
            }
        };
        let found = pictures.find(folders, &safe);
        if found.is_none() {
            self.problem(ProblemKind::MissingPicture, row.line, &table, format!("{safe} is not there"));
        }
        let (name, picture) = found.map_or((safe, None), |(name, path)| (name, Some(path)));
        self.rows.push(Row { picture, name, ..row });
    }

    /// Notes the pictures that no row names, and takes in what was wrong with the lines.
    fn finish(mut self, pictures: &Pictures, line_problems: Vec<Problem>) -> Self {
        let named: std::collections::HashSet<&str> = self.rows.iter().map(|row| row.name.as_str()).collect();
        let unlisted: Vec<(String, PathBuf)> = pictures
            .all()
            .filter(|(name, _)| !named.contains(name))
            .map(|(name, path)| (name.to_owned(), path.to_path_buf()))
            .collect();
        for (name, path) in unlisted {
            self.problem(ProblemKind::UnlistedPicture, None, &path, format!("no row names {name}"));
        }
        self.problems.extend(line_problems);
        self.sorted()
    }

    /// Brings the problems into order: by kind, then by line. What was found first stays first within those.
    fn sorted(mut self) -> Self {
        self.problems.sort_by_key(|problem| (problem.kind, problem.line));
        self
    }
}

/// Reads a data set: a folder, or its table. `kind` is a reader's name where the source is not to be told by what is in it.
///
/// # Errors
/// When there is nothing that can be read there. What is wrong with single rows is in the data set's problems.
pub fn read(source: &Path, kind: Option<&str>) -> Result<Dataset> {
    let place = Place::open(source)?;
    let reader = match kind {
        Some(name) => READERS.iter().find(|reader| reader.name == name).ok_or_else(|| {
            UserError::input(format!("There is no kind of data set called \"{name}\"")).hint(kinds("the kinds are"))
        })?,
        None => READERS.iter().find(|reader| (reader.recognise)(&place)).ok_or_else(|| {
            UserError::input("No data set was recognised here").hint(kinds("one of these is wanted:")).path(source)
        })?,
    };
    let dataset = (reader.read)(&place)?;
    if dataset.rows_read == 0 {
        return Err(UserError::input(format!("This data set ({}) has no rows", reader.label))
            .hint(format!("expected is {}", reader.looks_like))
            .path(dataset.table.as_ref().unwrap_or(&dataset.root)));
    }
    Ok(dataset)
}

fn kinds(begin: &str) -> String {
    let all: Vec<String> = READERS.iter().map(|reader| format!("{} ({})", reader.name, reader.looks_like)).collect();
    format!("{begin} {}", all.join("; "))
}

/// The error for a place that was said to be of a kind and is not.
fn not_of_kind(reader: &Reader, place: &Place) -> UserError {
    UserError::input(format!("This is no data set of the kind {}", reader.name))
        .hint(format!("expected is {}", reader.looks_like))
        .path(place.tables.first().filter(|_| place.is_table).map_or(&place.root, |(path, _)| path))
}

/// The fields of a table's first line, for telling what it is.
fn header(head: &str, delimiter: char) -> Vec<&str> {
    let first = head.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    first.split(delimiter).map(|field| field.trim().trim_matches('"').trim()).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
