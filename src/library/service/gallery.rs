//! The gallery's part of the library's thread.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::super::bulk::Bulk;
use super::super::gallery::{CollectionChange, GalleryCommand, GalleryEvent, Ticket};
use super::super::messages::{LibraryCommand, LibraryEvent};
use super::super::thumbnail_pool::{Made, ThumbnailPool};
use super::super::trash::restore;
use super::{Service, guarded};
use crate::domain::{PictureId, Result, SearchRequest, TrashedPicture, UserError};

/// How often the progress of work on many pictures is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Work on many pictures, begun or waiting.
pub(super) struct BulkJob {
    ticket: Ticket,
    bulk: Bulk,
    told: Instant,
}

impl Service<'_> {
    /// Answers what can be answered at once, and takes down the rest.
    pub(super) fn answer_gallery(&mut self, command: GalleryCommand) {
        if changes_marks(&command) {
            self.is_keeping_tried = false;
        }
        match command {
            // A search waits until no command does: of several that were typed the last one counts.
            GalleryCommand::Search { ticket, request } => self.search = Some((ticket, request)),
            GalleryCommand::Rows(ids) => {
                let rows = self.with_index(|index| index.rows(&ids)).map(GalleryEvent::Rows);
                self.tell(rows);
            }
            GalleryCommand::Thumbnails(wanted) => {
                if let Err(error) = self.want_thumbnails(wanted) {
                    self.tell(Err(error));
                }
            }
            GalleryCommand::Overview => self.tell_overview(),
            GalleryCommand::Reconcile => self.begin_rescan(),
            GalleryCommand::UseFolder(folder) => {
                self.leave_folder(folder);
                self.tell_overview();
                self.begin_rescan();
            }
            GalleryCommand::Star { ids, star } => {
                let marked = self.with_index(|index| index.star(&ids, star).and_then(|()| index.rows(&ids)));
                self.tell(marked.map(GalleryEvent::Marked));
            }
            GalleryCommand::Rate { ids, rating } => {
                let marked = self.with_index(|index| index.rate(&ids, rating).and_then(|()| index.rows(&ids)));
                self.tell(marked.map(GalleryEvent::Marked));
            }
            GalleryCommand::Collections(change) => match self.change_collection(change) {
                Ok(()) => self.tell_overview(),
                Err(error) => self.tell(Err(error)),
            },
            GalleryCommand::KnowFamily { hash, family } => {
                if let Err(error) = self.with_index(|index| index.know_family(&hash, family)) {
                    // It is told again when the model is loaded next.
                    tracing::warn!(%error, "a model's family could not be remembered");
                }
            }
            GalleryCommand::Bulk { ticket, ids, work, cancel } => match Bulk::begin(ids, work, cancel) {
                Ok(bulk) => self.bulk.push_back(BulkJob { ticket, bulk, told: Instant::now() }),
                Err(error) => {
                    let event =
                        GalleryEvent::BulkDone { ticket, report: super::BulkReport::default(), error: Some(error) };
                    self.tell(Ok(event));
                }
            },
            GalleryCommand::Restore(pictures) => self.restore(&pictures),
        }
    }

    /// The last search that was asked for, if any. True if there was one.
    pub(super) fn search_waiting(&mut self) -> bool {
        let Some((ticket, request)) = self.search.take() else { return false };
        self.run_search(ticket, &request);
        true
    }

    fn run_search(&mut self, ticket: Ticket, request: &SearchRequest) {
        let commands = self.commands.clone();
        let taken = RefCell::new(Vec::new());
        let is_search =
            |command: &LibraryCommand| matches!(command, LibraryCommand::Gallery(GalleryCommand::Search { .. }));
        let is_stale = || {
            let mut taken = taken.borrow_mut();
            taken.extend(commands.try_iter());
            taken.iter().any(is_search)
        };
        let found = self.with_index(|index| index.find(request, &is_stale));
        self.inbox.extend(taken.into_inner());
        match found {
            Ok(Some(found)) => self.tell(Ok(GalleryEvent::Found { ticket, found })),
            // The newer one is answered.
            Ok(None) => {}
            Err(error) => return self.tell(Err(error)),
        }
        // An index that is new, or was damaged and is new for that, knows nothing yet.
        if self.rescan.is_none() && self.with_index(|index| index.needs_rescan()) == Ok(true) {
            self.begin_rescan();
        }
    }

    /// A piece of the work on many pictures.
    pub(super) fn go_on_with_bulk(&mut self) {
        let Some(mut job) = self.bulk.pop_front() else { return };
        // What goes wrong is nearly always about other files; the index is not opened anew for it.
        let step = self.with_index(|index| Ok(guarded(Path::new(""), || job.bulk.step(index)))).flatten();
        self.is_keeping_tried = false;
        let report = job.bulk.report();
        let (done, total) = (report.done + report.failed, report.total);
        match step {
            Ok(false) => {
                if job.told.elapsed() >= PROGRESS_EVERY {
                    job.told = Instant::now();
                    self.tell(Ok(GalleryEvent::BulkProgress { ticket: job.ticket, done, total }));
                }
                self.bulk.push_front(job);
            }
            ended => {
                let event =
                    GalleryEvent::BulkDone { ticket: job.ticket, report: job.bulk.into_report(), error: ended.err() };
                self.tell(Ok(event));
            }
        }
    }

    /// Writes down marks and collections if they have changed: when nothing else is to be done.
    pub(super) fn keep_marks(&mut self) {
        if self.index.is_none() || std::mem::replace(&mut self.is_keeping_tried, true) {
            return;
        }
        let kept = self.with_index(|index| Ok(index.keep())).flatten();
        // A folder that cannot be written to is told once: the index has all that matters.
        let is_told = std::mem::replace(&mut self.is_keeping_told, kept.is_err());
        match kept {
            Ok(None) => {}
            Err(error) if is_told => tracing::warn!(%error, "marks could not be written down"),
            Ok(Some(error)) | Err(error) => self.outbox.send(LibraryEvent::Notice { error }),
        }
    }

    /// What the pool of thumbnails gives, or nothing for ever.
    pub(super) fn thumbnails_made(&self) -> Receiver<Made> {
        self.pool.as_ref().map_or_else(crossbeam_channel::never, |pool| pool.results().clone())
    }

    pub(super) fn pass_on(&self, (id, made): Made) {
        self.outbox.send(match made {
            Ok(picture) => LibraryEvent::Thumbnail { id, picture: Arc::new(picture) },
            Err(error) => LibraryEvent::PictureFailed { id, error },
        });
    }

    /// Says that the index and the files agree.
    pub(super) fn tell_reconciled(&mut self, is_changed: bool) {
        let counts = self.with_index(|index| index.counts());
        self.tell(counts.map(|counts| GalleryEvent::Reconciled { is_changed, counts }));
    }

    fn want_thumbnails(&mut self, wanted: Vec<(PictureId, PathBuf)>) -> Result<()> {
        if self.pool.is_none() {
            self.pool = Some(ThumbnailPool::start(Arc::clone(&self.thumbnails))?);
        }
        if let Some(pool) = &self.pool {
            pool.want(wanted);
        }
        Ok(())
    }

    fn tell_overview(&mut self) {
        let overview = self.with_index(|index| {
            Ok(GalleryEvent::Overview { counts: index.counts()?, collections: index.collections()? })
        });
        self.tell(overview);
    }

    fn change_collection(&mut self, change: CollectionChange) -> Result<()> {
        let changed = self.with_index(|index| {
            // A name that is taken is no fault of the index.
            Ok(match change {
                CollectionChange::Create { name, query, pictures } => index
                    .create_collection(&name, query.as_deref())
                    .and_then(|id| if query.is_none() { index.collect(id, &pictures) } else { Ok(()) }),
                CollectionChange::Rename(id, name) => index.rename_collection(id, &name),
                CollectionChange::SetQuery(id, query) => index.set_collection_query(id, &query),
                CollectionChange::Delete(id) => index.delete_collection(id),
                CollectionChange::Add(id, pictures) => index.collect(id, &pictures),
                CollectionChange::Remove(id, pictures) => index.uncollect(id, &pictures),
                CollectionChange::Arrange(id, pictures, before) => index.arrange(id, &pictures, before),
            })
        });
        changed.flatten()
    }

    fn restore(&mut self, pictures: &[TrashedPicture]) {
        let paths: Vec<_> = pictures.iter().map(|picture| picture.path.clone()).collect();
        let mut rows = Vec::new();
        let mut failures: Vec<UserError> = Vec::new();
        for (picture, restored) in pictures.iter().zip(restore(&paths)) {
            let taken = restored.and_then(|()| self.with_index(|index| Ok(index.take_back(picture))).flatten());
            match taken {
                Ok(row) => rows.push(row),
                Err(error) => failures.push(error),
            }
        }
        self.tell(Ok(GalleryEvent::Restored { rows, failures }));
    }

    fn tell(&self, event: Result<GalleryEvent>) {
        self.outbox.send(LibraryEvent::Gallery(event.unwrap_or_else(GalleryEvent::Failed)));
    }
}

/// Whether there may be something new to be written down.
const fn changes_marks(command: &GalleryCommand) -> bool {
    match command {
        GalleryCommand::Search { .. }
        | GalleryCommand::Rows(_)
        | GalleryCommand::Thumbnails(_)
        | GalleryCommand::Overview
        | GalleryCommand::Reconcile
        | GalleryCommand::UseFolder(_) => false,
        GalleryCommand::Star { .. }
        | GalleryCommand::Rate { .. }
        | GalleryCommand::Collections(_)
        | GalleryCommand::KnowFamily { .. }
        | GalleryCommand::Bulk { .. }
        | GalleryCommand::Restore(_) => true,
    }
}

#[cfg(test)]
mod tests;
