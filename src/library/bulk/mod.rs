//! Work on many pictures, one after the other, so that other things are done in between and it can be stopped.

mod picture_zip;
mod strip;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use super::atomic;
use super::image_io::read_file;
use super::index::Index;
use super::paths::{ensure_dir, file_name};
use super::trash::move_to_trash;
use crate::domain::{BulkWork, Cancel, PictureEntry, PictureId, RecipeInCopy, Result, TrashedPicture, UserError};
use picture_zip::PictureZip;
use strip::without_recipe;

/// Failures that are kept to be shown; more are counted.
const MAX_FAILURES: usize = 20;
/// Most copies of one name.
const MAX_COUNT: u32 = 10_000;

/// How far the work has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkReport {
    /// Pictures that were asked for.
    pub total: usize,
    /// Pictures that are done.
    pub done: usize,
    /// Pictures that could not be.
    pub failed: usize,
    /// Why, for the first of them.
    pub failures: Vec<UserError>,
    /// Whether it was stopped before its end. Copies that were made stay; a zip file is not left half done.
    pub is_cancelled: bool,
    /// What is in the trash now, to take it back.
    pub trashed: Vec<TrashedPicture>,
}

/// Work under way.
pub struct Bulk {
    waiting: VecDeque<PictureId>,
    cancel: Cancel,
    report: BulkReport,
    task: Task,
}

enum Task {
    Copy { folder: PathBuf, recipe: RecipeInCopy },
    Zip { file: PathBuf, zip: Option<PictureZip>, recipe: RecipeInCopy },
    Trash,
}

impl Bulk {
    /// Begins. The zip file's room is made sure of, and the folder.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn begin(ids: Vec<PictureId>, work: BulkWork, cancel: Cancel) -> Result<Self> {
        let task = match work {
            BulkWork::CopyTo { folder, recipe } => {
                ensure_dir(&folder)?;
                Task::Copy { folder, recipe }
            }
            BulkWork::Zip { file, recipe } => {
                let zip = Some(PictureZip::begin(&file)?);
                Task::Zip { file, zip, recipe }
            }
            BulkWork::Trash => Task::Trash,
        };
        let report = BulkReport { total: ids.len(), ..BulkReport::default() };
        Ok(Self { waiting: ids.into(), cancel, report, task })
    }

    /// How far it has come.
    #[must_use]
    pub const fn report(&self) -> &BulkReport {
        &self.report
    }

    /// Does one picture. True when all is done, or it was stopped.
    ///
    /// # Errors
    /// When it cannot go on at all: the disk is full, the index cannot be read. What was done stays done, but a zip file
    /// is not left half done.
    pub fn step(&mut self, index: &mut Index) -> Result<bool> {
        if self.cancel.is_cancelled() {
            self.report.is_cancelled = true;
            self.waiting.clear();
            if let Task::Zip { zip, .. } = &mut self.task {
                *zip = None;
            }
            return Ok(true);
        }
        let Some(id) = self.waiting.pop_front() else { return self.finish().map(|()| true) };
        let done = match index.rows(&[id])?.pop() {
            Some(row) => self.one(index, &row.entry),
            // It went meanwhile.
            None => Err(Failure::Picture(UserError::input("A picture is not there any more"))),
        };
        match done {
            Ok(()) => self.report.done += 1,
            Err(Failure::Picture(error)) => {
                self.report.failed += 1;
                if self.report.failures.len() < MAX_FAILURES {
                    self.report.failures.push(error);
                }
            }
            Err(Failure::All(error)) => return Err(error),
        }
        Ok(false)
    }

    /// The end of it: what was done, and what was not.
    #[must_use]
    pub fn into_report(self) -> BulkReport {
        self.report
    }

    fn one(&mut self, index: &mut Index, entry: &PictureEntry) -> std::result::Result<(), Failure> {
        match &mut self.task {
            Task::Copy { folder, recipe } => {
                let bytes = bytes_of(&entry.path, *recipe)?;
                copy_into(folder, &entry.path, &bytes).map_err(Failure::All)
            }
            Task::Zip { file, zip, recipe } => {
                let bytes = bytes_of(&entry.path, *recipe)?;
                // Below the pictures folder no two have one name.
                let name = index.relative(&entry.path).unwrap_or_else(|| file_name(&entry.path));
                let Some(zip) = zip else { return Ok(()) };
                zip.add(&name, &bytes, entry.created_ms).map_err(|error| Failure::All(explain(&error, file)))
            }
            Task::Trash => {
                // Killed in between, the program finds at the next rescan that the file has gone; its marks wait for it.
                move_to_trash(&entry.path).map_err(Failure::Picture)?;
                let trashed = index.forget(entry.id).map_err(Failure::All)?;
                self.report.trashed.extend(trashed);
                Ok(())
            }
        }
    }

    fn finish(&mut self) -> Result<()> {
        let Task::Zip { file, zip, .. } = &mut self.task else { return Ok(()) };
        let Some(zip) = zip.take() else { return Ok(()) };
        zip.finish().map_err(|error| explain(&error, file))?.finish()
    }
}

/// Why a picture was not done.
enum Failure {
    /// It is about this one; the others go on.
    Picture(UserError),
    /// No other would fare better.
    All(UserError),
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Self {
        Self::Picture(error)
    }
}

fn bytes_of(path: &Path, recipe: RecipeInCopy) -> Result<Vec<u8>> {
    let bytes = read_file(path)?;
    match recipe {
        RecipeInCopy::Kept => Ok(bytes),
        RecipeInCopy::LeftOut => without_recipe(&bytes).map_err(|error| error.path(path)),
    }
}

/// Writes a copy under the picture's own name, or that with a counter.
fn copy_into(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    for count in 1..=MAX_COUNT {
        let counter = if count > 1 { format!("-{count}") } else { String::new() };
        if atomic::write_new(&folder.join(format!("{stem}{counter}.{ending}")), bytes)? {
            return Ok(());
        }
    }
    Err(UserError::failed("Could not find a free name for the copy").path(folder))
}

fn explain(error: &io::Error, file: &Path) -> UserError {
    UserError::failed(format!("Could not write {}: {error}", file_name(file)))
        .hint("check that there is room on that disk, or choose another folder; no file was left half done")
        .path(file)
}

#[cfg(test)]
mod tests;
