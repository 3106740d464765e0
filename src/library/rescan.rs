//! [`Rescan`]: comparing the index with the files, in slices, so that other work can be done in between.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::atomic;
use super::image_io::read_info;
use super::index::{Index, NewRow, Stamp};
use super::paths::file_name;
use crate::domain::{ImageFormat, Result, UserError};

/// How deep below the pictures folder pictures are looked for.
const MAX_DEPTH: usize = 16;
/// Files that are read between two commits, so that another program's save never waits long.
const BATCH: usize = 256;

/// What a rescan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RescanReport {
    /// Pictures that were new.
    pub added: usize,
    /// Pictures that had changed.
    pub updated: usize,
    /// Entries whose files are gone.
    pub removed: usize,
    /// What could not be read. It stopped nothing.
    pub problems: Vec<UserError>,
}

impl RescanReport {
    /// The problems as one error to show, `None` where there were none.
    #[must_use]
    pub fn summary(&self) -> Option<UserError> {
        let (first, more) = self.problems.split_first()?;
        if more.is_empty() {
            return Some(first.clone());
        }
        let names = self.problems.iter().filter_map(|problem| problem.path.as_deref()).map(file_name);
        let names: Vec<String> = names.take(3).collect();
        let etc = if self.problems.len() > 3 { ", …" } else { "" };
        let sentence = format!("{} pictures could not be read: {}{etc}", self.problems.len(), names.join(", "));
        let error = UserError::input(sentence).hint("move them out of the pictures folder, or replace them");
        Some(match &first.path {
            Some(path) => error.path(path.parent().unwrap_or(path)),
            None => error,
        })
    }
}

/// A rescan under way. The folder is walked at once, as that is fast; the files are read slice by slice.
pub struct Rescan {
    /// What is to be read, last first.
    changed: Vec<(PathBuf, String, Stamp, bool)>,
    /// The rows of the index whose files were not met.
    unmet: Vec<(i64, String)>,
    report: RescanReport,
}

impl Index {
    /// Compares the whole index with the files: new, changed, renamed and deleted ones.
    ///
    /// # Errors
    /// When the folder or the index cannot be read. A picture that cannot be read is only reported.
    pub fn rescan(&mut self) -> Result<RescanReport> {
        let mut rescan = Rescan::begin(self)?;
        while !rescan.step(self, BATCH)? {}
        Ok(rescan.report())
    }
}

impl Rescan {
    /// Walks the folder and finds what there is to do.
    ///
    /// # Errors
    /// When the folder is there but cannot be read, or the index cannot.
    pub fn begin(index: &Index) -> Result<Self> {
        // First the rows, then the files: what is saved in between is not in the rows, so it cannot be taken for gone.
        let mut rows = known(index).map_err(|error| index.explain(&error))?;
        let mut rescan = Self { changed: Vec::new(), unmet: Vec::new(), report: RescanReport::default() };
        let mut files = Vec::new();
        rescan.walk(&index.pictures_dir, 0, &mut files)?;
        for (path, stamp) in files {
            let Some(relative) = index.relative(&path) else {
                let problem = UserError::input(format!("The name of {} is not Unicode", file_name(&path)));
                rescan.report.problems.push(problem.hint("rename it").path(path));
                continue;
            };
            match rows.remove(&relative) {
                Some((_, known)) if known == stamp => {}
                row => rescan.changed.push((path, relative, stamp, row.is_some())),
            }
        }
        rescan.unmet = rows.into_iter().map(|(relative, (id, _))| (id, relative)).collect();
        Ok(rescan)
    }

    /// Reads up to `most` files and takes them in. True when all is done.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn step(&mut self, index: &mut Index, most: usize) -> Result<bool> {
        let slice = self.changed.split_off(self.changed.len().saturating_sub(most));
        let mut rows = Vec::with_capacity(slice.len());
        for (path, relative, stamp, is_known) in slice {
            match read_info(&path) {
                Ok(info) => rows.push((NewRow::of(relative, stamp, info), is_known)),
                // It went while we walked: no problem, and its row, if any, goes with the next rescan.
                Err(_) if matches!(path.try_exists(), Ok(false)) => {}
                Err(problem) => self.report.problems.push(problem),
            }
        }
        let is_done = self.changed.is_empty();
        self.commit(index, &rows, is_done).map_err(|error| index.explain(&error))?;
        Ok(is_done)
    }

    /// What was found.
    #[must_use]
    pub fn report(self) -> RescanReport {
        self.report
    }

    fn commit(&mut self, index: &Index, rows: &[(NewRow, bool)], is_done: bool) -> rusqlite::Result<()> {
        if rows.is_empty() && !is_done {
            return Ok(());
        }
        let transaction = index.connection.unchecked_transaction()?;
        for (row, is_known) in rows {
            index.upsert(row)?;
            if *is_known { self.report.updated += 1 } else { self.report.added += 1 }
        }
        if is_done {
            for (id, relative) in self.unmet.drain(..) {
                // Only what is surely gone: a folder that may not be read just now costs no entry.
                if matches!(index.pictures_dir.join(relative).try_exists(), Ok(false)) {
                    self.report.removed += transaction.execute("DELETE FROM pictures WHERE id = ?1", [id])?;
                }
            }
            transaction.execute("UPDATE folders SET scanned = 1 WHERE id = ?1", [index.folder])?;
        }
        transaction.commit()
    }

    /// Collects the picture files below a folder. Links to folders are not followed: they may lead in a circle.
    fn walk(&mut self, folder: &Path, depth: usize, files: &mut Vec<(PathBuf, Stamp)>) -> Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                let problem = UserError::failed(format!("The folder {} cannot be read: {error}", file_name(folder)))
                    .hint("check that it is a folder and that you may read it")
                    .path(folder);
                if depth == 0 {
                    return Err(problem);
                }
                self.report.problems.push(problem);
                return Ok(());
            }
        };
        atomic::sweep(folder);
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                if depth < MAX_DEPTH {
                    self.walk(&path, depth + 1, files)?;
                }
            } else if ImageFormat::from_path(&path).is_some()
                && let Ok(metadata) = fs::metadata(&path)
                && metadata.is_file()
            {
                files.push((path, Stamp::of(&metadata)));
            }
        }
        Ok(())
    }
}

/// The rows of the folder: path to key and stamp.
fn known(index: &Index) -> rusqlite::Result<HashMap<String, (i64, Stamp)>> {
    let mut statement =
        index.connection.prepare_cached("SELECT path, id, mtime_ns, size FROM pictures WHERE folder = ?1")?;
    let rows = statement.query_map([index.folder], |row| {
        Ok((row.get(0)?, (row.get(1)?, Stamp { mtime_ns: row.get(2)?, size: row.get(3)? })))
    })?;
    rows.collect()
}
