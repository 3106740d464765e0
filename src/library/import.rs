//! [`import`]: pictures with recipes of other folders taken into the pictures folder and the index, each once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::atomic;
use super::image_io::{decode, read_file, read_info};
use super::index::Index;
use super::names::picture_name;
use super::paths::{Paths, ensure_dir, file_name};
use crate::domain::{ImageFormat, Recipe, Result, UserError};

/// How deep folders are looked through.
const MAX_DEPTH: usize = 16;
/// Most pictures of one second, seed and prompt; more is a runaway program.
const MAX_COUNT: u32 = 10_000;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// The pictures that were taken in, at their new places.
    pub added: Vec<PathBuf>,
    /// How many were there already.
    pub known: usize,
    /// How many say nothing of how they were made; they are left where they are.
    pub without_recipe: usize,
    /// What could not be read. It stopped nothing.
    pub problems: Vec<UserError>,
}

/// Copies the pictures below the folders (or the files) that say how they were made into the pictures folder. One that is
/// there already, made by the same recipe and with the same pixels, is not copied. `progress` is told how many are done,
/// and of how many.
///
/// # Errors
/// When a source is not there, or the pictures folder or the index cannot be written. What was copied stays.
pub fn import(paths: &Paths, sources: &[PathBuf], progress: &mut dyn FnMut(usize, usize)) -> Result<ImportReport> {
    let mut report = ImportReport::default();
    let mut files = Vec::new();
    for source in sources {
        let found = fs::metadata(source).map_err(|error| {
            UserError::input(format!("{} cannot be read: {error}", file_name(source)))
                .hint("give folders or pictures that are there")
                .path(source)
        })?;
        if found.is_dir() {
            collect(source, 0, &mut files, &mut report.problems);
        } else {
            files.push(source.clone());
        }
    }
    ensure_dir(&paths.pictures_dir)?;
    let mut index = Index::open(paths)?;
    // What lies in the folder and was never listed is known too.
    index.rescan()?;
    for (done, file) in files.iter().enumerate() {
        progress(done, files.len());
        match Candidate::read(file) {
            Ok(Some(candidate)) => match candidate.take_in(paths, &mut index)? {
                Some(path) => report.added.push(path),
                None => report.known += 1,
            },
            Ok(None) => report.without_recipe += 1,
            Err(problem) => report.problems.push(problem),
        }
    }
    progress(files.len(), files.len());
    Ok(report)
}

/// A picture that may be taken in.
struct Candidate<'a> {
    file: &'a Path,
    bytes: Vec<u8>,
    recipe: Recipe,
    created_ms: i64,
    format: ImageFormat,
}

impl<'a> Candidate<'a> {
    /// Reads a picture's file whole; `None` when it says nothing of how it was made.
    fn read(file: &'a Path) -> Result<Option<Self>> {
        let format = ImageFormat::from_path(file)
            .ok_or_else(|| UserError::input(format!("{} is no picture", file_name(file))).path(file))?;
        let embedded = read_info(file)?.embedded;
        let Some(recipe) = embedded.recipe() else { return Ok(None) };
        let written = || fs::metadata(file).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok();
        let created_ms = embedded.created_ms().or_else(|| Some(written()?.as_millis() as i64)).unwrap_or_default();
        Ok(Some(Self { file, bytes: read_file(file)?, recipe, created_ms, format }))
    }

    /// Copies it and lists it; `None` when it is there already.
    fn take_in(&self, paths: &Paths, index: &mut Index) -> Result<Option<PathBuf>> {
        let own_place = fs::canonicalize(self.file).ok().zip(fs::canonicalize(&paths.pictures_dir).ok());
        if own_place.is_some_and(|(file, folder)| file.starts_with(folder)) {
            return Ok(None);
        }
        for path in index.made_by(&self.recipe)? {
            if self.is_same(&path) {
                return Ok(None);
            }
        }
        let ending = match self.format {
            ImageFormat::Png => "png",
            ImageFormat::Jpeg => "jpg",
            ImageFormat::WebP => "webp",
        };
        let request = &self.recipe.request;
        for count in 1..=MAX_COUNT {
            let (day, name) = picture_name(self.created_ms, request.seed, &request.prompt, count);
            let path = paths.pictures_dir.join(day).join(name).with_extension(ending);
            if atomic::write_new(&path, &self.bytes)? {
                index.insert(&path)?;
                return Ok(Some(path));
            }
        }
        Err(UserError::failed("Could not find a free name for the picture").path(&paths.pictures_dir))
    }

    /// Whether a file holds this picture: the same bytes, or the same pixels. A recipe alone does not tell: other programs
    /// write only a part of it, and a picture may have been painted over.
    fn is_same(&self, path: &Path) -> bool {
        let Ok(bytes) = read_file(path) else { return false };
        bytes == self.bytes || decode(&bytes).is_ok_and(|there| decode(&self.bytes).is_ok_and(|own| own == there))
    }
}

/// Collects the pictures below a folder, by name. Links to folders are not followed: they may lead in a circle.
fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>, problems: &mut Vec<UserError>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let sentence = format!("The folder {} cannot be read: {error}", file_name(folder));
            problems.push(UserError::failed(sentence).path(folder));
            return;
        }
    };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if depth < MAX_DEPTH {
                collect(&path, depth + 1, files, problems);
            }
        } else if ImageFormat::from_path(&path).is_some() && path.is_file() {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{GenerateRequest, Picture};
    use crate::library::image_io::encode;
    use crate::library::metadata::Embedded;

    fn picture(value: u8) -> Picture {
        Picture { width_px: 2, height_px: 2, rgba: [value, 0, 0, 255].repeat(4) }
    }

    fn recipe(seed: u64, elapsed_secs: f64) -> Recipe {
        Recipe {
            request: GenerateRequest { prompt: "a red dress".into(), seed, ..GenerateRequest::default() },
            model_name: "Starter".into(),
            model_hash: "0123456789".into(),
            version: "Atelier".into(),
            elapsed_secs,
            safety: None,
        }
    }

    fn write(path: &Path, value: u8, recipe: &Recipe, format: ImageFormat) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, encode(&picture(value), &Embedded::of_recipe(recipe, 5), format).unwrap().bytes).unwrap();
    }

    #[test]
    fn pictures_are_taken_in_once() {
        let (home, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let paths = Paths::below(home.path());
        let from = source.path();
        write(&from.join("a.png"), 1, &recipe(1, 0.5), ImageFormat::Png);
        write(&from.join("sub/again.png"), 1, &recipe(1, 9.5), ImageFormat::Png); // made twice, in other times
        write(&from.join("sub/painted.png"), 2, &recipe(1, 0.5), ImageFormat::Png);
        write(&from.join("sub/other.webp"), 1, &recipe(2, 0.5), ImageFormat::WebP);
        fs::write(from.join("plain.png"), encode(&picture(7), &Embedded::default(), ImageFormat::Png).unwrap().bytes)
            .unwrap();
        fs::write(from.join("broken.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
        fs::write(from.join("notes.txt"), "no picture").unwrap();

        let mut told = Vec::new();
        let report = import(&paths, &[from.to_path_buf()], &mut |done, of| told.push((done, of))).unwrap();
        assert_eq!((report.added.len(), report.known, report.without_recipe, report.problems.len()), (3, 1, 1, 1));
        assert_eq!((told.first(), told.last()), (Some(&(0, 6)), Some(&(6, 6))));
        for path in &report.added {
            assert!(path.starts_with(&paths.pictures_dir) && path.is_file());
        }
        assert!(report.added.iter().any(|path| path.extension().is_some_and(|ending| ending == "webp")));
        assert_eq!(Index::open(&paths).unwrap().made_by(&recipe(1, 0.0)).unwrap().len(), 2);

        let again = import(&paths, &[from.to_path_buf(), paths.pictures_dir.clone()], &mut |_, _| ()).unwrap();
        assert_eq!((again.added.len(), again.known), (0, 4 + 3), "neither again nor from its own folder");
        let error = import(&paths, &[from.join("missing")], &mut |_, _| ()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
