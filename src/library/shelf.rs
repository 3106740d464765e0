//! [`PictureStore`]: where finished pictures go, for the engine's thread and the command line.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::index::Index;
use super::paths::{Paths, ensure_dir};
use super::save::save_picture_by;
use crate::domain::{Picture, PictureEntry, PictureId, Recipe, Result};

/// Where finished pictures go. Each thread and each program has its own; they do not get into each other's way.
pub struct PictureStore {
    paths: Paths,
    /// `None` until it is needed, and after it failed.
    index: Option<Index>,
    /// The key of the last picture that the index could not take in; such keys are negative.
    last_unlisted: i64,
}

impl PictureStore {
    /// A store that makes folder and index when the first picture comes.
    #[must_use]
    pub fn new(paths: Paths) -> Self {
        Self { paths, index: None, last_unlisted: 0 }
    }

    /// A store whose folder is there already, so that a picture is not made in vain.
    ///
    /// # Errors
    /// When the pictures folder is not there and cannot be made.
    pub fn open(paths: &Paths) -> Result<Self> {
        ensure_dir(&paths.pictures_dir)?;
        let mut store = Self::new(paths.clone());
        store.open_index();
        Ok(store)
    }

    /// From now on pictures go into `folder`.
    pub fn use_folder(&mut self, folder: &Path) {
        if self.paths.pictures_dir != folder {
            folder.clone_into(&mut self.paths.pictures_dir);
            self.index = None;
        }
    }

    /// Saves a picture with its recipe inside and takes it into the history.
    ///
    /// Only the file counts: where the index fails, the picture is saved all the same, under a negative key, and the
    /// next rescan lists it.
    ///
    /// # Errors
    /// When the file cannot be written; nothing is left of it then.
    pub fn save(&mut self, picture: &Picture, recipe: &Recipe) -> Result<PictureEntry> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let created_ms = now.as_millis() as i64;
        let path = self.write(picture, recipe, created_ms, &mut |_| ())?;
        Ok(self.list(path, created_ms, picture, recipe))
    }

    /// Writes the file of a picture; `before` is told each path before it is tried.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub(super) fn write(
        &mut self,
        picture: &Picture,
        recipe: &Recipe,
        created_ms: i64,
        before: &mut dyn FnMut(&Path),
    ) -> Result<PathBuf> {
        save_picture_by(&self.paths.pictures_dir, picture, recipe, created_ms, before)
    }

    /// Takes a picture that was just written into the history.
    pub(super) fn list(&mut self, path: PathBuf, created_ms: i64, picture: &Picture, recipe: &Recipe) -> PictureEntry {
        if let Some(entry) = self.insert(&path).or_else(|| self.insert(&path)) {
            return entry;
        }
        self.last_unlisted -= 1;
        PictureEntry {
            id: PictureId(self.last_unlisted),
            path,
            created_ms,
            width_px: picture.width_px,
            height_px: picture.height_px,
            recipe: Some(recipe.clone()),
        }
    }

    /// One attempt; after a failure the index is opened anew, which also replaces a damaged one.
    fn insert(&mut self, path: &Path) -> Option<PictureEntry> {
        self.open_index();
        let inserted = self.index.as_mut()?.insert(path);
        inserted.inspect_err(|error| tracing::warn!(%error, "a picture was saved but not listed")).ok().or_else(|| {
            self.index = None;
            None
        })
    }

    fn open_index(&mut self) {
        if self.index.is_none() {
            self.index = Index::open(&self.paths)
                .inspect_err(|error| tracing::warn!(%error, "the picture index cannot be used"))
                .ok();
        }
    }
}
