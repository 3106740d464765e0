//! [`Results`]: a copy of a table with what became of its rows, written row by row so that a crash costs the row in hand.
//!
//! `NAME.results.csv` (or `.jsonl`) has the table's own columns and, behind them, those of [`OWN`]. While a batch runs, each
//! row that ends is added and synced; a row that is tried again stands there twice, and the later one counts. When the
//! batch ends, the file is written anew in the table's order. Every results file of a table in one folder is looked at for
//! what was made before: that is how a batch goes on after a crash, and how those of several machines are joined.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::read::read;
use crate::dataset::files::{Keep, explain, write};
use crate::dataset::source::csv::write_separated;
use crate::domain::batch::{Form, RowResult, RowStatus, Shard, Table, TableRow};
use crate::domain::{Result, UserError};

/// The columns that are added. One that the table has already gets `result_` in front.
const OWN: [&str; 8] = ["row", "line", "status", "path", "seed", "seconds", "error", "request"];
/// Between the paths of a row with several pictures: no path on Windows holds it, and few elsewhere do.
const BETWEEN_PATHS: &str = " | ";

/// The results file of a table, while a batch runs.
pub struct Results {
    table: std::sync::Arc<Table>,
    own: Vec<String>,
    path: PathBuf,
    file: File,
    /// The last result of each row.
    rows: BTreeMap<usize, RowResult>,
}

/// What every results file of a table in a folder says, the oldest file first. One that cannot be read says nothing.
#[must_use]
pub fn read_results(table: &Table, folder: &Path) -> Vec<RowResult> {
    let (begin, end) = (format!("{}.results", stem(table)), format!(".{}", ending(table.form)));
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&begin) && name.ends_with(&end) && *path != table.path
    });
    files.sort_by_cached_key(|path| (path.metadata().and_then(|found| found.modified()).ok(), path.clone()));
    files.iter().filter_map(|file| read(file).ok()).flat_map(|results| results_in(table, &results)).collect()
}

impl Results {
    /// Opens the results file of a table in a folder, or begins one, with what was `made` before. What it says otherwise is
    /// kept beside it.
    ///
    /// # Errors
    /// When it cannot be written, or another batch writes to it.
    pub fn open(
        table: std::sync::Arc<Table>,
        folder: &Path,
        shard: Option<Shard>,
        made: impl IntoIterator<Item = RowResult>,
    ) -> Result<Self> {
        let shard_name = shard.map_or_else(String::new, |shard| format!("-{}-of-{}", shard.index, shard.of));
        let name = format!("{}.results{shard_name}.{}", stem(&table), ending(table.form));
        let path = folder.join(name);
        fs::create_dir_all(folder).map_err(|error| explain(&error, folder, 0))?;
        let _held = hold(&path)?;
        let is_own = |row: &usize| shard.is_none_or(|shard| shard.has(*row));
        let mut results: BTreeMap<usize, RowResult> =
            made.into_iter().map(|result| (result.row, result)).filter(|(row, _)| is_own(row)).collect();
        if path.is_file() {
            let before = read(&path).map(|before| results_in(&table, &before)).ok();
            let is_kept =
                |result: &RowResult| results.get(&result.row).is_some_and(|kept| kept.is_done(&result.request));
            let loses = |result: &RowResult| result.status == RowStatus::Done && !is_kept(result);
            // A damaged file, or one of another template, is not thrown away: its pictures are there.
            if before.as_ref().is_none_or(|before| before.iter().any(loses)) && !is_empty(&path) {
                set_aside(&path)?;
            }
            for result in before.into_iter().flatten().filter(|result| result.status == RowStatus::Failed) {
                results.entry(result.row).or_insert(result);
            }
        }
        let own = own_columns(&table.columns);
        write(&path, text(&table, &own, &results).as_bytes(), Keep::Surely)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(|error| explain(&error, &path, 0))?;
        lock(&file, &path)?;
        Ok(Self { table, own, path, file, rows: results })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds what became of a row. It is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, result: RowResult) -> Result<()> {
        let record = record(&self.table, &self.own, &result);
        self.rows.insert(result.row, result);
        let written = self.file.write_all(record.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| explain(&error, &self.path, record.len()))
    }

    /// Puts the results into the table's order, each row once, and gives their file.
    ///
    /// # Errors
    /// When it cannot be written; what was added is on the disk all the same.
    pub fn finish(self) -> Result<PathBuf> {
        write(&self.path, text(&self.table, &self.own, &self.rows).as_bytes(), Keep::Surely)?;
        Ok(self.path)
    }
}

fn stem(table: &Table) -> String {
    table.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

const fn ending(form: Form) -> &'static str {
    match form {
        Form::JsonLines => "jsonl",
        Form::Csv('\t') => "tsv",
        Form::Csv(_) | Form::List => "csv",
    }
}

/// The names of the columns that are added to a table with these.
fn own_columns(columns: &[String]) -> Vec<String> {
    let free = |name: &str| {
        let mut name = name.to_owned();
        while columns.contains(&name) {
            name.insert_str(0, "result_");
        }
        name
    };
    OWN.iter().map(|name| free(name)).collect()
}

/// Everything that a results file holds.
fn text(table: &Table, own: &[String], results: &BTreeMap<usize, RowResult>) -> String {
    let mut text = String::new();
    if table.form != Form::JsonLines {
        write_separated(&mut text, delimiter(table.form), table.columns.iter().chain(own).map(String::as_str));
    }
    for result in results.values() {
        text.push_str(&record(table, own, result));
    }
    text
}

const fn delimiter(form: Form) -> char {
    match form {
        Form::Csv(delimiter) => delimiter,
        Form::List | Form::JsonLines => ',',
    }
}

/// One line of a results file.
fn record(table: &Table, own: &[String], result: &RowResult) -> String {
    let nothing = TableRow::default();
    let row = table.rows.get(result.row).unwrap_or(&nothing);
    if table.form == Form::JsonLines {
        return json_record(row, own, result);
    }
    let (number, line) = ((result.row + 1).to_string(), row.line.to_string());
    let path = result.paths.join(BETWEEN_PATHS);
    let seed = result.seed.map_or_else(String::new, |seed| seed.to_string());
    let seconds = format!("{:.3}", result.seconds);
    let own: [&str; OWN.len()] =
        [&number, &line, result.status.name(), &path, &seed, &seconds, &result.error, &result.request];
    let mut record = String::new();
    let values = (0..table.columns.len()).map(|column| table.value(row, column));
    write_separated(&mut record, delimiter(table.form), values.chain(own));
    record
}

/// The row's own object as it stands in the table, with the results behind its fields.
fn json_record(row: &TableRow, own: &[String], result: &RowResult) -> String {
    let path = match result.paths.as_slice() {
        [] => json!(null),
        [path] => json!(path),
        paths => json!(paths),
    };
    let seconds = (result.seconds * 1000.0).round() / 1000.0;
    let values: [serde_json::Value; OWN.len()] = [
        json!(result.row + 1),
        json!(row.line),
        json!(result.status.name()),
        path,
        json!(result.seed),
        json!(seconds),
        json!(result.error),
        json!(result.request),
    ];
    let fields: Vec<String> = own.iter().zip(values).map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    let object = row.json.as_deref().and_then(|json| json.trim_end().strip_suffix('}')).unwrap_or("{");
    let comma = if object.trim_end().ends_with('{') { "" } else { "," };
    format!("{object}{comma}{}}}\n", fields.join(","))
}

/// The results that stand in a results file. A line that was cut off says nothing.
fn results_in(table: &Table, file: &Table) -> Vec<RowResult> {
    let own = own_columns(&table.columns);
    let places: Option<Vec<usize>> = own.iter().map(|name| file.column(name)).collect();
    let Some(places) = places else { return Vec::new() };
    let result = |row: &TableRow| {
        let value = |column: usize| file.value(row, places[column]).trim();
        let number: usize = value(0).parse().ok()?;
        let request = value(7);
        let is_key = request.is_empty() || request.len() == 16;
        (row.problem.is_none() && (1..=table.rows.len()).contains(&number) && is_key).then_some(())?;
        Some(RowResult {
            row: number - 1,
            status: RowStatus::from_name(value(2))?,
            paths: paths_of(row, file.form, value(3)),
            seed: value(4).parse().ok(),
            seconds: value(5).parse().unwrap_or_default(),
            error: value(6).to_owned(),
            request: request.to_owned(),
        })
    };
    file.rows.iter().filter_map(result).collect()
}

fn paths_of(row: &TableRow, form: Form, value: &str) -> Vec<String> {
    if form == Form::JsonLines {
        let object = row.json.as_deref().and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok());
        // What the reader joined is taken apart again.
        let listed = object.and_then(|object| {
            object.as_object()?.values().filter_map(|value| value.as_array()).find_map(|paths| {
                let paths: Vec<String> = paths.iter().filter_map(|path| path.as_str().map(str::to_owned)).collect();
                (paths.join(", ") == value).then_some(paths)
            })
        });
        if let Some(paths) = listed {
            return paths;
        }
        return if value.is_empty() { Vec::new() } else { vec![value.to_owned()] };
    }
    value.split(BETWEEN_PATHS).filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

fn is_empty(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.len() == 0)
}

/// Renames a results file to the first name that is free; it is still looked at for what was made before.
fn set_aside(path: &Path) -> Result<()> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let free = (1..10_000)
        .map(|number| path.with_file_name(format!("{stem}-old-{number}.{ending}")))
        .find(|candidate| candidate.symlink_metadata().is_err());
    let Some(free) = free else { return Err(UserError::failed("Too many old results lie there").path(path)) };
    fs::rename(path, &free).map_err(|error| explain(&error, path, 0))
}

/// Holds a results file that is there, so that no other batch writes to it meanwhile.
fn hold(path: &Path) -> Result<Option<File>> {
    match OpenOptions::new().append(true).open(path) {
        Ok(file) => lock(&file, path).map(|()| Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(explain(&error, path, 0)),
    }
}

fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(UserError::failed("Another batch writes to this results file")
            .hint("wait for it to end, or give another folder with --out")
            .path(path)),
        // Some network file systems have no locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}
