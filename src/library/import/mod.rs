//! Pictures of other programs: looked at one by one, and taken into the gallery with all that their files say.
//!
//! Files are copied, byte for byte, into the pictures folder; where they came from nothing changes. A file whose bytes are
//! in the gallery already is left out. What of a recipe could not be understood is told by file.

mod known;
mod messages;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::image_io::{read_file, read_info, read_picture};
use super::index::Index;
use super::names::{day_of, kept_name, numbered_name};
use super::paths::file_name;
use super::thumbnails::shrink;
use super::{atomic, paths::ensure_dir};
use crate::domain::{Cancel, ImageFormat, Picture, Recipe, Result, UserError};
use known::Known;

pub use messages::{ImportCommand, ImportEvent};

/// How deep below a folder pictures are looked for.
const MAX_DEPTH: usize = 16;
/// Most files that are taken in at once.
const MAX_FILES: usize = 1_000_000;
/// Files of which is told what was not understood; more are counted.
const MAX_NOTES: usize = 500;
/// Failures that are kept to be shown; more are counted.
const MAX_FAILURES: usize = 100;
/// Most pictures of one name.
const MAX_COUNT: u32 = 10_000;

/// A picture file as it lies somewhere.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The file.
    pub path: PathBuf,
    /// Width in px, as shown.
    pub width_px: u32,
    /// Height in px, as shown.
    pub height_px: u32,
    /// The picture, at most 256 px a side.
    pub thumbnail: Arc<Picture>,
    /// How it was made, as far as its file says it in a way that is understood.
    pub recipe: Option<Recipe>,
    /// Whether its bytes are in the gallery already.
    pub is_here: bool,
}

/// What became of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Picture files that were met.
    pub total: usize,
    /// Pictures that are in the gallery now.
    pub taken: usize,
    /// Of those, how many tell no recipe that can be read.
    pub without_recipe: usize,
    /// Files whose bytes were there already.
    pub duplicates: usize,
    /// What of the recipes could not be understood, by file; for the first of them.
    pub not_understood: Vec<(PathBuf, Vec<String>)>,
    /// How many recipes were understood in part.
    pub partly: usize,
    /// Files that could not be taken in.
    pub failed: usize,
    /// Why, for the first of them.
    pub failures: Vec<UserError>,
    /// Whether it was stopped before its end. What was taken in stays.
    pub is_cancelled: bool,
}

impl ImportReport {
    /// How many files are done.
    #[must_use]
    pub const fn done(&self) -> usize {
        self.taken + self.duplicates + self.failed
    }
}

/// Pictures that are being taken in.
pub struct Import {
    folders: Vec<(PathBuf, usize)>,
    files: VecDeque<PathBuf>,
    known: Option<Known>,
    cancel: Cancel,
    report: ImportReport,
}

/// Looks at a picture file.
///
/// # Errors
/// When it cannot be read, or is no picture.
pub fn look(index: &Index, path: &Path) -> Result<Looked> {
    let info = read_info(path)?;
    let thumbnail = Arc::new(shrink(read_picture(path)?));
    let bytes = read_file(path)?;
    let is_here = index.relative(path).is_some() || Known::of(index)?.has(index, &bytes);
    let recipe = info.embedded.recipe();
    Ok(Looked {
        path: path.to_path_buf(),
        width_px: info.width_px,
        height_px: info.height_px,
        thumbnail,
        recipe,
        is_here,
    })
}

/// Takes all pictures of files and folders into the gallery, with those in the folders within. `progress` is told how many
/// are done, and of how many.
///
/// # Errors
/// When one of them is not there or lies in the pictures folder, or nothing can be written.
pub fn import_all(
    index: &mut Index,
    sources: Vec<PathBuf>,
    cancel: &Cancel,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<ImportReport> {
    let mut import = Import::begin(index, sources, cancel.clone())?;
    while !import.step(index)? {
        progress(import.report.done(), import.report.total);
    }
    Ok(import.into_report())
}

impl Import {
    /// Begins with files and folders.
    ///
    /// # Errors
    /// When one of them is not there, or lies in the pictures folder.
    pub fn begin(index: &Index, sources: Vec<PathBuf>, cancel: Cancel) -> Result<Self> {
        ensure_dir(&index.pictures_dir)?;
        let mut import =
            Self { folders: Vec::new(), files: VecDeque::new(), known: None, cancel, report: ImportReport::default() };
        for source in sources {
            if is_within(&source, &index.pictures_dir) {
                let sentence = "These pictures are in the pictures folder, and so in the gallery, already";
                return Err(UserError::input(sentence).path(source));
            }
            let metadata = fs::metadata(&source)
                .map_err(|error| UserError::input(format!("It cannot be read: {error}")).path(&source))?;
            if metadata.is_dir() {
                import.folders.push((source, 0));
            } else {
                import.files.push_back(source);
            }
        }
        import.report.total = import.files.len();
        Ok(import)
    }

    /// How far it has come.
    #[must_use]
    pub const fn report(&self) -> &ImportReport {
        &self.report
    }

    /// The end of it.
    #[must_use]
    pub fn into_report(self) -> ImportReport {
        self.report
    }

    /// Walks a folder, or takes one file in. True when all is done, or it was stopped.
    ///
    /// # Errors
    /// When nothing can be written: the next file would fare no better.
    pub fn step(&mut self, index: &mut Index) -> Result<bool> {
        if self.cancel.is_cancelled() {
            self.report.is_cancelled = true;
            return Ok(true);
        }
        if let Some((folder, depth)) = self.folders.pop() {
            self.walk(index, &folder, depth);
            return Ok(false);
        }
        let Some(path) = self.files.pop_front() else { return Ok(true) };
        let known = match self.known.take() {
            Some(known) => known,
            None => Known::of(index)?,
        };
        let known = self.known.insert(known);
        match take(index, known, &path) {
            Ok(Taken::Known) => self.report.duplicates += 1,
            Ok(Taken::New(recipe)) => {
                self.report.taken += 1;
                self.note(&path, recipe.map(|recipe| *recipe));
            }
            Err(Failure::File(error)) => self.fail(error),
            Err(Failure::All(error)) => return Err(error),
        }
        Ok(false)
    }

    fn note(&mut self, path: &Path, recipe: Option<Recipe>) {
        match recipe {
            None => self.report.without_recipe += 1,
            Some(recipe) if recipe.not_understood.is_empty() => {}
            Some(recipe) => {
                self.report.partly += 1;
                if self.report.not_understood.len() < MAX_NOTES {
                    self.report.not_understood.push((path.to_path_buf(), recipe.not_understood));
                }
            }
        }
    }

    fn fail(&mut self, error: UserError) {
        self.report.failed += 1;
        if self.report.failures.len() < MAX_FAILURES {
            self.report.failures.push(error);
        }
    }

    /// Collects the pictures of a folder, and its folders for later. Links to folders are not followed.
    fn walk(&mut self, index: &Index, folder: &Path, depth: usize) {
        // A folder around the pictures folder: what is in the gallery is not taken in again.
        if is_within(folder, &index.pictures_dir) {
            return;
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                let sentence = format!("The folder {} cannot be read: {error}", file_name(folder));
                self.report.total += 1;
                return self.fail(UserError::input(sentence).path(folder));
            }
        };
        let mut paths: Vec<(PathBuf, bool)> = entries
            .flatten()
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .filter_map(|entry| Some((entry.path(), entry.file_type().ok()?.is_dir())))
            .collect();
        paths.sort();
        for (path, is_dir) in paths {
            if is_dir {
                if depth < MAX_DEPTH {
                    self.folders.push((path, depth + 1));
                }
            } else if ImageFormat::from_path(&path).is_some() && path.is_file() && self.files.len() < MAX_FILES {
                self.files.push_back(path);
                self.report.total += 1;
            }
        }
    }
}

/// Why a file was not taken in.
enum Failure {
    /// It is about this one; the others go on.
    File(UserError),
    /// No other would fare better.
    All(UserError),
}

/// What became of a file.
enum Taken {
    /// Its bytes were there already.
    Known,
    /// It is in the gallery, with its recipe if it tells one.
    New(Option<Box<Recipe>>),
}

/// Copies a file into the pictures folder and takes it into the index, unless its bytes are there already.
fn take(index: &mut Index, known: &mut Known, path: &Path) -> std::result::Result<Taken, Failure> {
    let bytes = read_file(path).map_err(Failure::File)?;
    if known.has(index, &bytes) {
        return Ok(Taken::Known);
    }
    let info = read_info(path).map_err(Failure::File)?;
    let metadata = fs::metadata(path)
        .map_err(|error| Failure::File(UserError::input(format!("It cannot be read: {error}")).path(path)))?;
    let created_ms = info.embedded.created_ms().unwrap_or_else(|| modified_ms(&metadata));
    let name = kept_name(path.file_name().unwrap_or(OsStr::new("picture.png")));
    let folder = index.pictures_dir.join(day_of(created_ms));
    let target = write(&folder, &name, &bytes).map_err(Failure::All)?;
    keep_date(&target, &metadata);
    // A file that the index does not take now is found by the next rescan.
    if let Err(error) = index.insert(&target) {
        tracing::warn!(%error, "a picture was taken in but not listed");
    }
    known.add(&bytes);
    Ok(Taken::New(info.embedded.recipe().map(Box::new)))
}

/// Writes under the name, or that with a counter.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    for count in 1..=MAX_COUNT {
        let path = folder.join(numbered_name(name, count));
        if atomic::write_new(&path, bytes)? {
            return Ok(path);
        }
    }
    Err(UserError::failed("Could not find a free name for the picture").path(folder))
}

/// Gives the copy the date of its original: of a picture whose file does not say when it was made, it is the only one.
fn keep_date(path: &Path, of: &Metadata) {
    let set = || File::options().write(true).open(path)?.set_modified(of.modified()?);
    if let Err(error) = set() {
        tracing::debug!(%error, "a copy has the date of today");
    }
}

fn modified_ms(metadata: &Metadata) -> i64 {
    let since = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH);
    // Milliseconds fit into i64 for 292 million years.
    since.unwrap_or_default().as_millis() as i64
}

/// Whether a path is a folder or lies within it, also where one of them is a link.
fn is_within(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    real(path).starts_with(real(folder))
}

#[cfg(test)]
mod tests;
