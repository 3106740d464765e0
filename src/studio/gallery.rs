//! The history of all sessions: what is listed, what is selected, what is shown large.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::{Picture, PictureEntry, PictureId};

use super::Move;

/// Most thumbnails asked for at a time, so that the library's channel never fills and what is in view comes first.
pub const MAX_THUMBNAILS_IN_FLIGHT: usize = 16;

/// The history.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    entries: Vec<PictureEntry>,
    /// Whether the first list has come.
    pub listed: bool,
    /// The selected picture.
    pub selected: Option<PictureId>,
    /// Whether the selected picture is shown large.
    pub large: bool,
    /// The selected picture in full, once it was read.
    pub opened: Option<(PictureId, Arc<Picture>)>,
    /// Counts up whenever keys changed their meaning, so that a cache by key knows that it is stale.
    pub generation: u64,
    /// Columns of the grid, as last drawn.
    pub(super) columns: usize,
    /// The picture to put on the clipboard as soon as it was read.
    pub(super) copy_when_opened: Option<PictureId>,
    in_flight: HashSet<PictureId>,
    broken: HashSet<PictureId>,
    arrived: Vec<(PictureId, Arc<Picture>)>,
}

impl Gallery {
    /// All pictures, newest first.
    #[must_use]
    pub fn entries(&self) -> &[PictureEntry] {
        &self.entries
    }

    /// One of them.
    #[must_use]
    pub fn entry(&self, id: PictureId) -> Option<&PictureEntry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// The selected one.
    #[must_use]
    pub fn selected_entry(&self) -> Option<&PictureEntry> {
        self.selected.and_then(|id| self.entry(id))
    }

    /// Position of the selected one.
    #[must_use]
    pub fn selected_index(&self) -> Option<usize> {
        let id = self.selected?;
        self.entries.iter().position(|entry| entry.id == id)
    }

    /// Whether a picture could not be read.
    #[must_use]
    pub fn is_broken(&self, id: PictureId) -> bool {
        self.broken.contains(&id)
    }

    /// Thumbnails that came since the last call: whoever draws them keeps them.
    pub fn take_thumbnails(&mut self) -> Vec<(PictureId, Arc<Picture>)> {
        std::mem::take(&mut self.arrived)
    }

    pub(super) fn set_entries(&mut self, entries: Vec<PictureEntry>) {
        let moved = entries.iter().any(|now| self.entry(now.id).is_some_and(|before| before.path != now.path));
        let selected_path = self.selected_entry().map(|entry| entry.path.clone());
        self.entries = entries;
        self.listed = true;
        self.broken.clear();
        if moved {
            self.generation += 1;
            self.in_flight.clear();
            self.arrived.clear();
            self.opened = None;
        }
        self.selected =
            selected_path.and_then(|path| self.entries.iter().find(|entry| entry.path == path)).map(|entry| entry.id);
        self.large &= self.selected.is_some();
    }

    pub(super) fn add(&mut self, entry: PictureEntry) {
        self.entries.retain(|other| other.id != entry.id);
        self.entries.insert(0, entry);
    }

    /// Takes a picture out and selects its neighbour.
    pub(super) fn remove(&mut self, id: PictureId) {
        let Some(index) = self.entries.iter().position(|entry| entry.id == id) else { return };
        self.entries.remove(index);
        if self.selected == Some(id) {
            self.selected = self.entries.get(index).or(self.entries.last()).map(|entry| entry.id);
            self.large &= self.selected.is_some();
        }
        self.opened.take_if(|(opened, _)| *opened == id);
    }

    /// The picture that a move leads to.
    pub(super) fn neighbour(&self, direction: Move) -> Option<PictureId> {
        let last = self.entries.len().checked_sub(1)?;
        let Some(index) = self.selected_index() else { return Some(self.entries[0].id) };
        let columns = self.columns.max(1);
        let target = match direction {
            Move::Previous => index.checked_sub(1)?,
            Move::Next => index + 1,
            Move::Up => index.checked_sub(columns)?,
            // In the last row but one, down goes to the last picture even where none is straight below.
            Move::Down if index / columns < last / columns => (index + columns).min(last),
            Move::Down => return None,
        };
        self.entries.get(target).map(|entry| entry.id)
    }

    /// Whether a thumbnail may be asked for now; it then counts as asked for.
    pub(super) fn ask_thumbnail(&mut self, id: PictureId) -> bool {
        self.in_flight.len() < MAX_THUMBNAILS_IN_FLIGHT && !self.broken.contains(&id) && self.in_flight.insert(id)
    }

    pub(super) fn thumbnail_not_sent(&mut self, id: PictureId) {
        self.in_flight.remove(&id);
    }

    pub(super) fn thumbnail_arrived(&mut self, id: PictureId, picture: Arc<Picture>) {
        // One that was not asked for belongs to a key from before the index was rebuilt.
        if self.in_flight.remove(&id) {
            self.arrived.push((id, picture));
        }
    }

    pub(super) fn mark_broken(&mut self, id: PictureId) {
        self.in_flight.remove(&id);
        self.broken.insert(id);
    }
}
