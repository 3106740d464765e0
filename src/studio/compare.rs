//! [`Compare`]: two pictures over or beside each other, with one zoom for both, and in what their recipes differ.

use std::sync::Arc;

use crate::domain::{FieldDifference, Picture, PictureId, Recipe, Verdict, recipe_differences};
use crate::library::LibraryCommand;

use super::replay::Stage;
use super::viewer::{ViewerAction, Zoom};
use super::{Effect, Info, Key, Shortcut, State};

/// How two pictures are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompareMode {
    /// One over the other, with a divider that is drawn across.
    #[default]
    Slider,
    /// One beside the other.
    SideBySide,
    /// One in the place of the other.
    Flicker,
}

impl CompareMode {
    /// Each of them, as offered.
    pub const ALL: [Self; 3] = [Self::Slider, Self::SideBySide, Self::Flicker];
}

/// One of two pictures.
#[derive(Clone, Debug)]
pub struct Side {
    /// Its key, if it is one of the gallery.
    pub id: Option<PictureId>,
    /// What to call it.
    pub name: String,
    /// How it was made.
    pub recipe: Option<Recipe>,
    /// Width and height in px.
    pub size_px: (u32, u32),
    /// The picture, once it was read.
    pub picture: Option<Arc<Picture>>,
    /// Whether it could not be read.
    pub is_broken: bool,
}

/// Two pictures, compared.
#[derive(Clone, Debug)]
pub struct Compare {
    /// The two.
    pub sides: [Side; 2],
    /// How they are shown.
    pub mode: CompareMode,
    /// Where the divider is, in shares of the width of the pictures.
    pub split: f32,
    /// Of both.
    pub zoom: Zoom,
    /// Which of them is seen where one stands in the place of the other.
    pub shown: usize,
    /// In what their recipes differ; `None` where one has none.
    pub differences: Option<Vec<FieldDifference>>,
    /// The key of the picture that was made again, if it is one of them.
    pub replay: Option<u64>,
}

/// An act of the user on two pictures.
#[derive(Clone, Debug, PartialEq)]
pub enum CompareAction {
    /// Show them so.
    Show(CompareMode),
    /// Draw the divider there.
    Split(f32),
    /// Show the other one.
    Flip,
    /// Let them change places.
    Swap,
    /// Back.
    Leave,
}

impl CompareAction {
    /// Text, tooltip and shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip, shortcut) = match self {
            Self::Show(CompareMode::Slider) => ("Slider", "One over the other, with a divider to draw across", None),
            Self::Show(CompareMode::SideBySide) => ("Side by side", "One beside the other", None),
            Self::Show(CompareMode::Flicker) => {
                ("Flicker", "One in the place of the other: what differs jumps. Space changes them", None)
            }
            Self::Split(_) => ("Divider", "Left of it is the first picture, right of it the second", None),
            Self::Flip => ("Show the other", "Show the other picture in its place", Some(Shortcut::plain(Key::Space))),
            Self::Swap => ("Swap", "Let the two change places", Some(Shortcut::plain(Key::X))),
            Self::Leave => ("Back", "Compare no more", Some(Shortcut::plain(Key::Escape))),
        };
        Info { text, tooltip, shortcut }
    }
}

impl From<CompareAction> for super::Action {
    fn from(action: CompareAction) -> Self {
        Self::Viewer(ViewerAction::Compare(action))
    }
}

impl Compare {
    fn of(sides: [Side; 2]) -> Self {
        let differences = match &sides {
            [Side { recipe: Some(one), .. }, Side { recipe: Some(other), .. }] => Some(recipe_differences(one, other)),
            _ => None,
        };
        Self {
            sides,
            mode: CompareMode::default(),
            split: 0.5,
            zoom: Zoom::default(),
            shown: 0,
            differences,
            replay: None,
        }
    }

    /// A picture of the gallery was read.
    pub(super) fn opened(&mut self, id: PictureId, picture: &Arc<Picture>) {
        for side in self.sides.iter_mut().filter(|side| side.id == Some(id)) {
            side.picture = Some(Arc::clone(picture));
        }
    }

    /// A picture of the gallery could not be read. True if it is one of these.
    pub(super) fn failed(&mut self, id: PictureId) -> bool {
        let mut sides = self.sides.iter_mut().filter(|side| side.id == Some(id)).peekable();
        let is_one = sides.peek().is_some();
        sides.for_each(|side| side.is_broken = true);
        is_one
    }
}

impl State {
    /// Compares two pictures of the gallery.
    pub(super) fn compare(&mut self, one: PictureId, other: PictureId) -> Vec<Effect> {
        self.viewer.picking = None;
        let (Some(first), Some(second)) = (self.side(one), self.side(other)) else {
            self.notices.info("One of the pictures is not read yet: try again in a moment", None);
            return Vec::new();
        };
        self.gallery.choose_none();
        self.viewer.is_showing = false;
        self.viewer.compare = Some(Compare::of([first, second]));
        self.read_sides()
    }

    /// Compares a picture with what it became when it was made again.
    pub(super) fn compare_replay(&mut self) -> Vec<Effect> {
        let Some(replay) = &self.viewer.replay else { return Vec::new() };
        let Stage::Made(remade) = &replay.stage else { return Vec::new() };
        let made = Side {
            id: None,
            name: "Made again".to_owned(),
            recipe: Some(remade.recipe.clone()),
            size_px: (remade.picture.width_px, remade.picture.height_px),
            picture: Some(Arc::clone(&remade.picture)),
            is_broken: false,
        };
        let Some(original) = self.side(replay.id) else { return Vec::new() };
        let compare = Compare { replay: Some(replay.job.0), ..Compare::of([original, made]) };
        self.viewer.compare = Some(compare);
        self.read_sides()
    }

    pub(super) fn apply_compare(&mut self, action: &CompareAction) -> Vec<Effect> {
        let Some(compare) = &mut self.viewer.compare else { return Vec::new() };
        match *action {
            CompareAction::Show(mode) => (compare.mode, compare.shown) = (mode, 0),
            CompareAction::Split(share) => compare.split = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.5 },
            CompareAction::Flip => {
                compare.mode = CompareMode::Flicker;
                compare.shown = 1 - compare.shown.min(1);
            }
            CompareAction::Swap => {
                compare.sides.swap(0, 1);
                for difference in compare.differences.iter_mut().flatten() {
                    std::mem::swap(&mut difference.one, &mut difference.other);
                }
            }
            CompareAction::Leave if self.viewer.is_alone => return self.set_alone(false),
            CompareAction::Leave => self.viewer.compare = None,
        }
        Vec::new()
    }

    /// The verdict on one of the two pictures where it is hidden.
    #[must_use]
    pub fn hidden_side(&self, side: &Side) -> Option<Verdict> {
        match side.id {
            Some(id) if self.gallery.entry(id).is_some() => self.hidden_picture(id),
            _ => self.hidden(side.recipe.as_ref()),
        }
    }

    fn side(&self, id: PictureId) -> Option<Side> {
        let entry = self.gallery.entry(id)?;
        let opened = self.gallery.opened.as_ref().filter(|(opened, _)| *opened == id);
        let file = entry.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Some(Side {
            id: Some(id),
            name: file,
            recipe: entry.recipe.clone(),
            size_px: (entry.width_px, entry.height_px),
            picture: opened.map(|(_, picture)| Arc::clone(picture)),
            is_broken: false,
        })
    }

    fn read_sides(&self) -> Vec<Effect> {
        let sides = self.viewer.compare.iter().flat_map(|compare| &compare.sides);
        let unread = sides.filter(|side| side.picture.is_none()).filter_map(|side| side.id);
        let entries = unread.filter_map(|id| self.gallery.entry(id));
        entries.map(|e| Effect::Library(LibraryCommand::Open { id: e.id, path: e.path.clone() })).collect()
    }
}
