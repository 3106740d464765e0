//! The gallery: what was found of all pictures, the rows of those in view, what is selected, chosen and shown large.
//!
//! The library gives the keys of everything that a search finds, and the rows only of those that are asked for: the grid
//! says which are in view ([`Gallery::look_at`]). What is searched for is in [`super::gallery_search`], what the user
//! does in [`super::gallery_actions`].

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::{
    CollectionId, GalleryRow, Picture, PictureEntry, PictureId, RecipeInCopy, SearchResult, SortOrder, TrashedPicture,
};
use crate::library::GalleryCommand;

use super::gallery_search::{Finder, Shelves};
use super::{Move, Work};

/// Most rows that are kept: many times what a window shows, so that little is asked for twice.
const MAX_ROWS: usize = 4096;
/// How many pictures before and behind the one that is shown large are read with it.
const NEIGHBOURS: usize = 4;

/// What of the grid is in view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InView {
    /// How many columns it has.
    pub columns: usize,
    /// Which places of the list are drawn.
    pub places: Range<usize>,
    /// Which of them lack their thumbnails, the most urgent first.
    pub without_thumbnail: Vec<PictureId>,
}

/// A place in a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// Before this picture.
    Before(PictureId),
    /// Behind all others.
    End,
}

/// A row, and whether the index may say something else by now.
#[derive(Clone, Debug)]
struct Known {
    row: GalleryRow,
    is_stale: bool,
}

/// The gallery.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// What is searched for.
    pub finder: Finder,
    /// The collections, and how many pictures there are.
    pub shelves: Shelves,
    /// Whether the first search was answered.
    pub listed: bool,
    /// Whether the files were looked through since the start.
    pub reconciled: bool,
    /// The selected picture.
    pub selected: Option<PictureId>,
    /// Whether the selected picture is shown large.
    pub large: bool,
    /// The selected picture in full, once it was read.
    pub opened: Option<(PictureId, Arc<Picture>)>,
    /// Counts up whenever keys changed their meaning, so that a cache by key knows that it is stale.
    pub generation: u64,
    /// Work on many pictures, under way and waiting.
    pub works: Vec<Work>,
    /// What copies of many pictures say of how they were made.
    pub recipe_in_copies: RecipeInCopy,
    /// The picture to put on the clipboard as soon as it was read.
    pub(super) copy_when_opened: Option<PictureId>,
    /// What was moved to the trash last, to take it back.
    pub(super) trashed: Vec<TrashedPicture>,
    ids: Vec<PictureId>,
    /// How many pictures one stands for, where it is more than itself.
    groups: HashMap<PictureId, u32>,
    chosen: HashSet<PictureId>,
    /// Where a range of chosen pictures begins.
    anchor: Option<PictureId>,
    /// The selected picture's place when it was last in the list.
    cursor: usize,
    view: InView,
    rows: HashMap<PictureId, Known>,
    rows_asked: HashSet<PictureId>,
    thumbnails_asked: HashSet<PictureId>,
    broken: HashSet<PictureId>,
    arrived: Vec<(PictureId, Arc<Picture>)>,
}

impl Gallery {
    /// What was found, in order.
    #[must_use]
    pub fn ids(&self) -> &[PictureId] {
        &self.ids
    }

    /// One of the pictures with its marks, if it was read.
    #[must_use]
    pub fn row(&self, id: PictureId) -> Option<&GalleryRow> {
        self.rows.get(&id).map(|known| &known.row)
    }

    /// One of the pictures, if it was read.
    #[must_use]
    pub fn entry(&self, id: PictureId) -> Option<&PictureEntry> {
        self.row(id).map(|row| &row.entry)
    }

    /// The selected one.
    #[must_use]
    pub fn selected_entry(&self) -> Option<&PictureEntry> {
        self.selected.and_then(|id| self.entry(id))
    }

    /// Position of the selected one.
    #[must_use]
    pub fn selected_index(&self) -> Option<usize> {
        self.index_of(self.selected?)
    }

    /// How many pictures of one recipe this one stands for; 1 where it stands for itself.
    #[must_use]
    pub fn group_size(&self, id: PictureId) -> u32 {
        self.groups.get(&id).copied().unwrap_or(1)
    }

    /// From 0 (none) to 5, as far as is known.
    #[must_use]
    pub fn rating(&self, id: PictureId) -> u8 {
        self.row(id).map_or(0, |row| row.marks.rating)
    }

    /// The collection whose order the user can change now: one that holds pictures, shown as it is arranged.
    #[must_use]
    pub fn arranged(&self) -> Option<CollectionId> {
        let is_arranged =
            self.finder.sort == SortOrder::Arranged && self.finder.like.is_none() && self.groups.is_empty();
        let collection = self.finder.collection.and_then(|id| self.shelves.collection(id));
        collection.filter(|collection| is_arranged && collection.query.is_none()).map(|collection| collection.id)
    }

    /// Where the pictures that an act is about go one place to the left or right: before which picture, or to the end.
    /// `None` where they cannot go further.
    pub(super) fn shifted(&self, subjects: &[PictureId], direction: Move) -> Option<Spot> {
        let places: Vec<usize> = subjects.iter().filter_map(|id| self.index_of(*id)).collect();
        let (first, last) = (*places.iter().min()?, *places.iter().max()?);
        match direction {
            Move::Previous | Move::Up => Some(Spot::Before(self.ids[first.checked_sub(1)?])),
            Move::Next | Move::Down => {
                self.ids.get(last + 1)?;
                Some(self.ids.get(last + 2).map_or(Spot::End, |id| Spot::Before(*id)))
            }
        }
    }

    /// Whether a picture is starred, as far as is known.
    #[must_use]
    pub fn is_starred(&self, id: PictureId) -> bool {
        self.row(id).is_some_and(|row| row.marks.star)
    }

    /// Whether a picture is among those chosen for something.
    #[must_use]
    pub fn is_chosen(&self, id: PictureId) -> bool {
        self.chosen.contains(&id)
    }

    /// How many are chosen.
    #[must_use]
    pub fn chosen_count(&self) -> usize {
        self.chosen.len()
    }

    /// What an act on several pictures is about: the chosen ones in the order of the list; else the selected one.
    #[must_use]
    pub fn subjects(&self) -> Vec<PictureId> {
        if self.large || self.chosen.is_empty() {
            return self.selected.into_iter().collect();
        }
        self.ids.iter().copied().filter(|id| self.chosen.contains(id)).collect()
    }

    /// Whether all that an act is about is starred already, as far as is known.
    #[must_use]
    pub fn subjects_are_starred(&self) -> bool {
        if self.large || self.chosen.is_empty() {
            return self.selected.is_some_and(|id| self.is_starred(id));
        }
        self.chosen.iter().all(|id| self.is_starred(*id))
    }

    /// Whether pictures can be taken back out of the trash.
    #[must_use]
    pub fn can_undo(&self) -> bool {
        !self.trashed.is_empty()
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

    fn index_of(&self, id: PictureId) -> Option<usize> {
        self.ids.iter().position(|other| *other == id)
    }

    /// Takes what a search found. What is not in it is not chosen any more: nothing is done to what is not seen.
    pub(super) fn set_found(&mut self, result: SearchResult) {
        let SearchResult { ids, group_sizes, total: _ } = result;
        let groups = ids.iter().copied().zip(group_sizes);
        self.groups = groups.filter(|(_, size)| *size > 1).collect();
        self.ids = ids;
        self.listed = true;
        // What was left out of an answer may be there now.
        self.rows_asked.clear();
        if !self.chosen.is_empty() {
            let found: HashSet<PictureId> = self.ids.iter().copied().collect();
            self.chosen.retain(|id| found.contains(id));
        }
        match self.selected_index() {
            Some(index) => self.cursor = index,
            // What is shown large stays, also when it does not match any more: it may have just been unstarred.
            None if self.large => {}
            None => self.selected = None,
        }
    }

    /// Whatever is known of pictures may be out of date.
    pub(super) fn set_stale(&mut self) {
        self.rows.values_mut().for_each(|known| known.is_stale = true);
        self.broken.clear();
    }

    /// Takes rows. True when the row of the selected picture is new.
    pub(super) fn take_rows(&mut self, rows: Vec<GalleryRow>) -> bool {
        let is_another = |old: &PictureEntry, now: &PictureEntry| {
            // One that was only renamed is still the same.
            old.path != now.path && old.created_ms != now.created_ms
        };
        if rows.iter().any(|row| self.entry(row.entry.id).is_some_and(|old| is_another(old, &row.entry))) {
            // The index was rebuilt: the same keys are other pictures now.
            let path = self.selected_entry().map(|entry| entry.path.clone());
            self.forget_keys();
            let is_selected = |row: &&GalleryRow| Some(&row.entry.path) == path.as_ref();
            self.selected = rows.iter().find(is_selected).map(|row| row.entry.id);
            self.large &= self.selected.is_some();
        }
        let is_new = self.selected.is_some_and(|id| !self.rows.contains_key(&id));
        for row in rows {
            self.rows_asked.remove(&row.entry.id);
            self.rows.insert(row.entry.id, Known { row, is_stale: false });
        }
        if self.rows.len() > MAX_ROWS {
            let near = self.near_view();
            let mut kept: HashSet<PictureId> = self.ids[near].iter().copied().collect();
            kept.extend(self.selected);
            self.rows.retain(|id, _| kept.contains(id));
        }
        is_new && self.selected.is_some_and(|id| self.rows.contains_key(&id))
    }

    /// Another folder's pictures come: nothing of these is theirs.
    pub(super) fn leave_folder(&mut self) {
        self.forget_keys();
        self.ids.clear();
        self.trashed.clear();
        self.shelves = Shelves::default();
        (self.finder.collection, self.finder.like) = (None, None);
        (self.selected, self.large, self.listed, self.reconciled) = (None, false, false, false);
    }

    fn forget_keys(&mut self) {
        self.generation += 1;
        self.rows.clear();
        self.rows_asked.clear();
        self.thumbnails_asked.clear();
        self.broken.clear();
        self.arrived.clear();
        self.chosen.clear();
        self.groups.clear();
        self.finder.like = None;
        (self.opened, self.anchor) = (None, None);
    }

    /// Takes pictures out and selects the neighbour of the selected one.
    pub(super) fn remove(&mut self, gone: &HashSet<PictureId>) {
        if let Some(id) = self.selected.filter(|id| gone.contains(id)) {
            let index = self.index_of(id).unwrap_or(self.cursor.min(self.ids.len()));
            let stays = |id: &&PictureId| !gone.contains(*id);
            let after = self.ids[index..].iter().find(stays);
            self.selected = after.or_else(|| self.ids[..index].iter().rev().find(stays)).copied();
            self.large &= self.selected.is_some();
        }
        self.ids.retain(|id| !gone.contains(id));
        self.chosen.retain(|id| !gone.contains(id));
        self.rows.retain(|id, _| !gone.contains(id));
        self.opened.take_if(|(opened, _)| gone.contains(opened));
        self.cursor = self.selected_index().unwrap_or(self.cursor);
    }

    /// Selects a picture.
    pub(super) fn select(&mut self, id: PictureId) {
        self.selected = Some(id);
        self.anchor = Some(id);
        self.cursor = self.selected_index().unwrap_or(self.cursor);
    }

    /// The picture that a move leads to.
    pub(super) fn neighbour(&self, direction: Move) -> Option<PictureId> {
        let last = self.ids.len().checked_sub(1)?;
        let columns = self.view.columns.max(1);
        let target = match (self.selected_index(), direction) {
            (None, _) if self.selected.is_none() => 0,
            // It is not in the list any more: what came behind it stands in its place.
            (None, Move::Next) => self.cursor,
            (None, Move::Previous) => self.cursor.checked_sub(1)?.min(last),
            (None, _) => self.cursor.min(last),
            (Some(index), Move::Previous) => index.checked_sub(1)?,
            (Some(index), Move::Next) => index + 1,
            (Some(index), Move::Up) => index.checked_sub(columns)?,
            // In the last row but one, down goes to the last picture even where none is straight below.
            (Some(index), Move::Down) if index / columns < last / columns => (index + columns).min(last),
            (Some(_), Move::Down) => return None,
        };
        self.ids.get(target).copied()
    }

    /// Chooses a picture, or does so no more.
    pub(super) fn toggle_chosen(&mut self, id: PictureId) {
        if !self.chosen.remove(&id) {
            self.chosen.insert(id);
        }
        self.anchor = Some(id);
    }

    /// Chooses all from the last that was chosen or selected up to this one.
    pub(super) fn choose_to(&mut self, id: PictureId) {
        let from = self.anchor.and_then(|anchor| self.index_of(anchor));
        let (Some(from), Some(to)) = (from, self.index_of(id)) else { return self.toggle_chosen(id) };
        self.chosen.extend(&self.ids[from.min(to)..=from.max(to)]);
    }

    pub(super) fn choose_all(&mut self) {
        self.chosen = self.ids.iter().copied().collect();
    }

    pub(super) fn choose_none(&mut self) {
        self.chosen.clear();
    }

    /// What is to be asked of the library, now that this is in view.
    pub(super) fn look_at(&mut self, view: InView) -> Vec<GalleryCommand> {
        self.view = view;
        let mut commands: Vec<_> = self.ask_rows(self.near_view()).into_iter().collect();
        let lacking = std::mem::take(&mut self.view.without_thumbnail);
        let path = |id| self.entry(id).map(|entry| (id, entry.path.clone()));
        commands.extend(self.want_thumbnails(lacking.into_iter().filter_map(path).collect()));
        commands
    }

    /// Thumbnails that are in view and not there, the most urgent first. They take the place of those that were wanted
    /// before: what was scrolled past is not made any more.
    pub(super) fn want_thumbnails(&mut self, mut wanted: Vec<(PictureId, PathBuf)>) -> Option<GalleryCommand> {
        wanted.retain(|(id, _)| !self.broken.contains(id));
        if wanted.iter().all(|(id, _)| self.thumbnails_asked.contains(id)) {
            return None;
        }
        self.thumbnails_asked = wanted.iter().map(|(id, _)| *id).collect();
        Some(GalleryCommand::Thumbnails(wanted))
    }

    /// The rows around the selected picture, where they are not known.
    pub(super) fn look_around(&mut self) -> Option<GalleryCommand> {
        let Some(index) = self.selected_index() else {
            return self.selected.filter(|id| !self.rows.contains_key(id)).map(|id| GalleryCommand::Rows(vec![id]));
        };
        self.ask_rows(index.saturating_sub(NEIGHBOURS)..(index + NEIGHBOURS + 1).min(self.ids.len()))
    }

    /// What is in view, and as much before and behind it.
    fn near_view(&self) -> Range<usize> {
        let Range { start, end } = self.view.places;
        let many = end.saturating_sub(start);
        let end = (end + many).min(self.ids.len());
        start.saturating_sub(many).min(end)..end
    }

    fn ask_rows(&mut self, places: Range<usize>) -> Option<GalleryCommand> {
        let is_fresh = |id: &PictureId| self.rows.get(id).is_some_and(|known| !known.is_stale);
        let lacking = |id: &PictureId| !is_fresh(id) && !self.rows_asked.contains(id);
        let ids: Vec<PictureId> = self.ids[places].iter().copied().filter(lacking).collect();
        self.rows_asked.extend(&ids);
        (!ids.is_empty()).then_some(GalleryCommand::Rows(ids))
    }

    /// What was asked for did not reach the library. True when nothing asks for it again by itself.
    pub(super) fn not_sent(&mut self, command: &GalleryCommand) -> bool {
        match command {
            GalleryCommand::Thumbnails(_) => self.thumbnails_asked.clear(),
            GalleryCommand::Rows(ids) => {
                for id in ids {
                    self.rows_asked.remove(id);
                }
            }
            GalleryCommand::Bulk { ticket, .. } => {
                self.works.retain(|work| work.ticket != *ticket);
                return true;
            }
            GalleryCommand::Restore(trashed) => {
                self.trashed.clone_from(trashed);
                return true;
            }
            _ => {
                self.shelves.naming.iter_mut().for_each(|naming| naming.is_sent = false);
                return true;
            }
        }
        false
    }

    pub(super) fn thumbnail_arrived(&mut self, id: PictureId, picture: Arc<Picture>) {
        // One that was not asked for belongs to a key from before the index was rebuilt.
        if self.thumbnails_asked.remove(&id) {
            self.arrived.push((id, picture));
        }
    }

    pub(super) fn mark_broken(&mut self, id: PictureId) {
        self.thumbnails_asked.remove(&id);
        self.broken.insert(id);
    }
}
