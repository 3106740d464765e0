//! What the library's thread says of the gallery, and what that changes.

use std::collections::HashSet;

use crate::domain::{PictureId, Recipe, TrashedPicture, UserError};
use crate::library::{BulkReport, GalleryCommand, GalleryEvent, Ticket};

use super::gallery_actions::ask;
use super::{Effect, State};

impl State {
    /// Takes in what the library's thread says of the gallery.
    pub(super) fn on_gallery_event(&mut self, event: GalleryEvent) -> Vec<Effect> {
        if let GalleryEvent::Rows(rows) = &event {
            self.recall(rows.iter().filter_map(|row| row.entry.recipe.as_ref()));
        }
        let gallery = &mut self.gallery;
        match event {
            // What of the text is not understood was told when it was typed.
            GalleryEvent::Found { ticket, found } => {
                if gallery.finder.is_last_search(ticket) {
                    gallery.set_found(found.result);
                }
            }
            GalleryEvent::Rows(rows) => {
                self.film.rekey(rows.iter().map(|row| &row.entry));
                if gallery.take_rows(rows) && gallery.large {
                    return self.read_selected();
                }
            }
            GalleryEvent::Overview { counts, collections } => {
                let shown = gallery.finder.collection;
                let now = gallery.shelves.set(counts, collections, shown);
                if now != shown {
                    gallery.finder.collection = now;
                    return vec![self.search()];
                }
            }
            GalleryEvent::Marked(rows) => {
                gallery.take_rows(rows);
                return self.refresh_gallery();
            }
            GalleryEvent::Reconciled { is_changed, counts } => {
                gallery.reconciled = true;
                gallery.shelves.counts = counts;
                if is_changed {
                    gallery.set_stale();
                }
                let mut effects: Vec<Effect> = self.sweep_sources().into_iter().collect();
                effects.extend(if is_changed { self.refresh_gallery() } else { Vec::new() });
                return effects;
            }
            GalleryEvent::BulkProgress { ticket, done, total } => {
                if let Some(work) = gallery.works.iter_mut().find(|work| work.ticket == ticket) {
                    (work.done, work.total) = (done, total);
                }
            }
            GalleryEvent::BulkDone { ticket, report, error } => return self.work_done(ticket, report, error),
            GalleryEvent::Restored { rows, failures } => {
                if !rows.is_empty() {
                    let sentence = match rows.len() {
                        1 => "The picture is back".to_owned(),
                        count => format!("{count} pictures are back"),
                    };
                    self.notices.info(sentence, None);
                }
                for error in failures {
                    self.notices.error(error);
                }
                return self.refresh_gallery();
            }
            GalleryEvent::Failed(error) => match gallery.shelves.naming.as_mut().filter(|naming| naming.is_sent) {
                // Said beside the name, which can be changed.
                Some(naming) => (naming.is_sent, naming.problem) = (false, Some(error.sentence)),
                None => self.notices.error(error),
            },
        }
        Vec::new()
    }

    fn work_done(&mut self, ticket: Ticket, report: BulkReport, error: Option<UserError>) -> Vec<Effect> {
        let gallery = &mut self.gallery;
        let index = gallery.works.iter().position(|work| work.ticket == ticket);
        let work = index.map(|index| gallery.works.remove(index));
        let BulkReport { total, done, failed, failures, is_cancelled, trashed } = report;
        if let Some(error) = error {
            self.notices.error(error);
        } else if failed > 0 {
            let sentence = format!("{failed} of {total} pictures were left out");
            let why = failures.into_iter().next();
            let error = UserError::failed(sentence);
            self.notices.error(match why {
                Some(UserError { sentence, path: Some(path), .. }) => error.hint(sentence).path(path),
                Some(UserError { sentence, .. }) => error.hint(sentence),
                None => error,
            });
        }
        if !trashed.is_empty() {
            let sentence = match trashed.len() {
                1 => "Moved to the trash".to_owned(),
                count => format!("{count} pictures are in the trash"),
            };
            self.notices.undoable(sentence);
            return self.went_to_trash(&trashed.iter().map(|picture| picture.id).collect(), trashed);
        }
        if is_cancelled {
            self.notices.info(format!("Stopped after {done} of {total}"), None);
        } else if let Some(target) = work.and_then(|work| work.target).filter(|_| done > 0) {
            self.notices
                .info(if done == 1 { "1 picture".to_owned() } else { format!("{done} pictures") }, Some(target));
        }
        Vec::new()
    }

    /// Pictures are gone: from the gallery, the filmstrip and the large view.
    pub(super) fn went_to_trash(&mut self, gone: &HashSet<PictureId>, trashed: Vec<TrashedPicture>) -> Vec<Effect> {
        self.gallery.remove(gone);
        for id in gone {
            self.film.remove_saved(*id);
        }
        self.gallery.trashed = trashed;
        let mut effects = self.refresh_gallery();
        if self.gallery.large {
            effects.extend(self.gallery.look_around().map(ask));
            effects.extend(self.read_selected());
        }
        effects
    }

    /// A picture was made and saved: what is shown follows, and the library learns of which family its model is, which
    /// recipes do not tell.
    pub(super) fn picture_saved(&mut self, recipe: &Recipe) -> Vec<Effect> {
        let mut effects = self.refresh_gallery();
        let family = self.family_of(&recipe.request.model).map(|family| family.family);
        if let Some(family) = family
            && !recipe.model_hash.is_empty()
            && self.families_told.insert((recipe.model_hash.clone(), family))
        {
            effects.push(ask(GalleryCommand::KnowFamily { hash: recipe.model_hash.clone(), family }));
        }
        effects
    }
}
