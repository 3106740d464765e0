//! What is hidden of pictures that a model's safety checker flagged, and what the user asked to see nevertheless.

use std::sync::Arc;

use crate::domain::{Picture, PictureId, Recipe, SafetyMode, Verdict};

use super::{FilmItem, State};

/// A picture that the user asked to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Revealed {
    /// One of this session, by its key.
    Film(u64),
    /// One of the history.
    Saved(PictureId),
}

impl State {
    /// The verdict on a picture of this session where it is hidden.
    #[must_use]
    pub fn hidden_film(&self, item: &FilmItem) -> Option<Verdict> {
        let is_revealed = self.revealed.contains(&Revealed::Film(item.key))
            || item.saved.as_ref().is_ok_and(|entry| self.revealed.contains(&Revealed::Saved(entry.id)));
        self.hidden(Some(&item.recipe)).filter(|_| !is_revealed)
    }

    /// The verdict on a picture of the history where it is hidden.
    #[must_use]
    pub fn hidden_picture(&self, id: PictureId) -> Option<Verdict> {
        let entry = self.gallery.entry(id)?;
        self.hidden(entry.recipe.as_ref()).filter(|_| !self.revealed.contains(&Revealed::Saved(id)))
    }

    /// A thumbnail as it is shown: hidden ones stay so in the grid, also where the large picture was asked for.
    #[must_use]
    pub fn shown_thumbnail(&self, id: PictureId, picture: Arc<Picture>) -> Arc<Picture> {
        let verdict = self.saved_entry(id).and_then(|entry| self.hidden(entry.recipe.as_ref()));
        match verdict.and_then(|verdict| self.safety.instead_of(&picture, verdict)) {
            Some(instead) => Arc::new(instead),
            None => picture,
        }
    }

    /// Shows or hides the picture in view.
    pub(super) fn toggle_reveal(&mut self) {
        let Some(subject) = self.subject() else { return };
        let key = match (subject.film_key, subject.entry) {
            (Some(key), _) => Revealed::Film(key),
            (None, Some(entry)) => Revealed::Saved(entry.id),
            (None, None) => return,
        };
        if !self.revealed.insert(key) {
            self.revealed.remove(&key);
        }
    }

    /// Takes over what becomes of flagged pictures.
    pub(super) fn set_safety(&mut self, mode: SafetyMode) {
        self.safety = mode;
        self.revealed.clear();
        // Thumbnails are asked for anew.
        self.gallery.generation += 1;
    }

    /// The verdict of a recipe where its picture is hidden unless the user asked to see it.
    pub(super) fn hidden(&self, recipe: Option<&Recipe>) -> Option<Verdict> {
        let hides = matches!(self.safety, SafetyMode::Blur | SafetyMode::Black);
        recipe?.safety.filter(|verdict| verdict.flagged && hides)
    }
}
