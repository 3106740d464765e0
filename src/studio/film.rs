//! The filmstrip: the pictures of this session, and which one is in view.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use crate::domain::{Picture, PictureEntry, PictureId, Recipe, UserError};

/// Bytes of saved pictures that are kept in memory; older ones are read from their file again. A picture that could
/// not be saved always stays: memory is the only place where it is.
const MEMORY_BUDGET: usize = 256 << 20;

/// Most pictures that the filmstrip lists; the gallery has all that were saved.
const MAX_ITEMS: usize = 500;

/// What the middle of Create shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// The picture that forms, else the newest.
    #[default]
    Live,
    /// A picture of this session, by its key.
    Film(u64),
}

/// A picture of this session.
#[derive(Clone, Debug)]
pub struct FilmItem {
    /// Its key.
    pub key: u64,
    /// The picture; `None` when it was dropped from memory and has to be read from its file.
    pub picture: Option<Arc<Picture>>,
    /// How it was made.
    pub recipe: Recipe,
    /// Its place in the history, or why it could not be saved.
    pub saved: Result<PictureEntry, UserError>,
}

impl FilmItem {
    /// Width and height in px: a second pass, an enlargement and a sheet are larger than was asked for.
    #[must_use]
    pub fn size_px(&self) -> (u32, u32) {
        let request = &self.recipe.request;
        match (&self.picture, &self.saved) {
            (Some(picture), _) => (picture.width_px, picture.height_px),
            (None, Ok(entry)) => (entry.width_px, entry.height_px),
            (None, Err(_)) => (request.width_px, request.height_px),
        }
    }
}

/// The pictures of this session.
#[derive(Clone, Debug, Default)]
pub struct Film {
    items: VecDeque<FilmItem>,
    last_key: u64,
    /// What the middle shows.
    pub view: View,
}

impl Film {
    /// All of them, newest first.
    pub fn items(&self) -> impl ExactSizeIterator<Item = &FilmItem> {
        self.items.iter()
    }

    /// One of them.
    #[must_use]
    pub fn item(&self, key: u64) -> Option<&FilmItem> {
        self.items.iter().find(|item| item.key == key)
    }

    /// The newest.
    #[must_use]
    pub fn newest(&self) -> Option<&FilmItem> {
        self.items.front()
    }

    /// Gives its key.
    pub(super) fn add(&mut self, picture: Arc<Picture>, recipe: Recipe, saved: Result<PictureEntry, UserError>) -> u64 {
        self.last_key += 1;
        self.items.push_front(FilmItem { key: self.last_key, picture: Some(picture), recipe, saved });
        self.trim();
        self.last_key
    }

    /// Takes a picture that was read from its file again.
    pub(super) fn restore(&mut self, id: PictureId, picture: &Arc<Picture>) {
        for item in self.items.iter_mut().filter(|item| item.saved.as_ref().is_ok_and(|entry| entry.id == id)) {
            item.picture = Some(Arc::clone(picture));
        }
        self.trim();
    }

    pub(super) fn remove_saved(&mut self, id: PictureId) {
        self.items.retain(|item| !item.saved.as_ref().is_ok_and(|entry| entry.id == id));
        self.drop_lost_view();
    }

    pub(super) fn remove(&mut self, key: u64) {
        self.items.retain(|item| item.key != key);
        self.drop_lost_view();
    }

    /// Pictures as the index has them now. Where it was rebuilt they may have other keys, and the same files.
    pub(super) fn rekey<'a>(&mut self, entries: impl Iterator<Item = &'a PictureEntry>) {
        let keys: HashMap<&Path, PictureId> = entries.map(|entry| (entry.path.as_path(), entry.id)).collect();
        for entry in self.items.iter_mut().filter_map(|item| item.saved.as_mut().ok()) {
            entry.id = keys.get(entry.path.as_path()).copied().unwrap_or(entry.id);
        }
    }

    fn drop_lost_view(&mut self) {
        if let View::Film(key) = self.view
            && self.item(key).is_none()
        {
            self.view = View::Live;
        }
    }

    fn trim(&mut self) {
        let shown = match self.view {
            View::Film(key) => Some(key),
            View::Live => None,
        };
        let mut bytes = 0;
        for item in self.items.iter_mut().filter(|item| item.saved.is_ok()) {
            bytes += item.picture.as_ref().map_or(0, |picture| picture.rgba.len());
            if bytes > MEMORY_BUDGET && Some(item.key) != shown {
                item.picture = None;
            }
        }
        while self.items.len() > MAX_ITEMS {
            let Some(oldest_saved) = self.items.iter().rposition(|item| item.saved.is_ok()) else { break };
            self.items.remove(oldest_saved);
        }
        self.drop_lost_view();
    }
}
