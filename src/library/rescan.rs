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
/// Files that are met between two looks at what else there is to do.
const WALKED: usize = 1024;

/// What a rescan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RescanReport {
    /// Pictures that were new.
    pub added: usize,
    /// Pictures that had changed.
    pub updated: usize,
    /// Pictures that had another name, or were in another folder.
    pub renamed: usize,
    /// Entries whose files are gone.
    pub removed: usize,
    /// What could not be read. It stopped nothing.
    pub problems: Vec<UserError>,
    /// What is to be told of the file with marks and collections, if it could not be read.
    pub kept: Option<UserError>,
}

impl RescanReport {
    /// Whether the index is another one than before.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        self.added + self.updated + self.renamed + self.removed > 0
    }

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

/// A rescan under way: first folder by folder is walked, then the files that are new or changed are read, slice by slice.
pub struct Rescan {
    /// Folders still to be walked, with their depths.
    folders: Vec<(PathBuf, usize)>,
    /// What was met.
    files: Vec<(PathBuf, Stamp)>,
    /// The rows of the index whose files were not met (yet): path to key and stamp.
    rows: HashMap<String, (i64, Stamp)>,
    /// What is to be read, last first.
    changed: Vec<(PathBuf, String, Stamp, bool)>,
    /// Files that a row is found under another name for: key and new path.
    renamed: Vec<(i64, String)>,
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
    /// Finds out what the index knows. (The file with marks and collections is looked at as well: see
    /// [`super::gallery::keeping`].)
    ///
    /// # Errors
    /// When the folder is there but cannot be read, or the index cannot.
    pub fn begin(index: &mut Index) -> Result<Self> {
        let report = RescanReport { kept: index.take_in_kept().unwrap_or_else(Some), ..RescanReport::default() };
        // First the rows, then the files: what is saved in between is not in the rows, so it cannot be taken for gone.
        let rows = known(index).map_err(|error| index.explain(&error))?;
        let mut rescan =
            Self { folders: Vec::new(), files: Vec::new(), rows, changed: Vec::new(), renamed: Vec::new(), report };
        let top = index.pictures_dir.clone();
        rescan.walk(&top, 0)?;
        if rescan.folders.is_empty() {
            rescan.compare(index);
        }
        Ok(rescan)
    }

    /// Compares the files with the rows: what is to be read, and what only has another name.
    fn compare(&mut self, index: &Index) {
        for (path, stamp) in std::mem::take(&mut self.files) {
            let Some(relative) = index.relative(&path) else {
                let problem = UserError::input(format!("The name of {} is not Unicode", file_name(&path)));
                self.report.problems.push(problem.hint("rename it").path(path));
                continue;
            };
            match self.rows.remove(&relative) {
                Some((_, known)) if known == stamp => {}
                row => self.changed.push((path, relative, stamp, row.is_some())),
            }
        }
        // A new file with just the date and the bytes of one that is gone is that one, if there is no doubt about it.
        let mut gone: HashMap<Stamp, Vec<(i64, String)>> = HashMap::new();
        for (relative, (id, stamp)) in &self.rows {
            gone.entry(*stamp).or_default().push((*id, relative.clone()));
        }
        let mut new: HashMap<Stamp, usize> = HashMap::new();
        for (_, _, stamp, is_known) in &self.changed {
            *new.entry(*stamp).or_default() += usize::from(!is_known);
        }
        let Self { changed, renamed, rows, .. } = self;
        changed.retain(|(_, relative, stamp, is_known)| {
            let old = gone.get(stamp).filter(|old| !is_known && old.len() == 1 && new.get(stamp) == Some(&1));
            // Only what is surely gone: it may merely not be readable just now.
            let Some((id, old)) = old.map(|old| &old[0]) else { return true };
            if !matches!(index.absolute(old).try_exists(), Ok(false)) {
                return true;
            }
            renamed.push((*id, relative.clone()));
            rows.remove(old);
            false
        });
    }

    /// Walks a few folders, or reads up to `most` files and takes them in. True when all is done.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn step(&mut self, index: &mut Index, most: usize) -> Result<bool> {
        if !self.folders.is_empty() {
            let met = self.files.len();
            while self.files.len() < met + WALKED
                && let Some((folder, depth)) = self.folders.pop()
            {
                self.walk(&folder, depth)?;
            }
            if self.folders.is_empty() {
                self.compare(index);
            }
            return Ok(false);
        }
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
        if rows.is_empty() && self.renamed.is_empty() && !is_done {
            return Ok(());
        }
        let transaction = index.connection.unchecked_transaction()?;
        for (row, is_known) in rows {
            index.upsert(row)?;
            if *is_known { self.report.updated += 1 } else { self.report.added += 1 }
        }
        for (id, relative) in self.renamed.drain(..) {
            self.report.renamed += usize::from(index.rename(id, &relative)?);
        }
        if is_done {
            for (relative, (id, _)) in self.rows.drain() {
                // Only what is surely gone: a folder that may not be read just now costs no entry.
                if matches!(index.absolute(&relative).try_exists(), Ok(false)) && index.part_with(id)? {
                    self.report.removed += 1;
                }
            }
            transaction.execute("UPDATE folders SET scanned = 1 WHERE id = ?1", [index.folder])?;
        }
        transaction.commit()
    }

    /// Collects the picture files of a folder, and its folders for later. Links to folders are not followed: they may lead in a circle.
    fn walk(&mut self, folder: &Path, depth: usize) -> Result<()> {
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
                    self.folders.push((path, depth + 1));
                }
            } else if ImageFormat::from_path(&path).is_some()
                && let Ok(metadata) = fs::metadata(&path)
                && metadata.is_file()
            {
                self.files.push((path, Stamp::of(&metadata)));
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
