//! The part of the library's thread that takes pictures of other programs in.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::super::gallery::Ticket;
use super::super::import::{Import, ImportCommand, ImportEvent, ImportReport, look};
use super::super::messages::LibraryEvent;
use super::super::save::save_picture;
use super::{Service, guarded};
use crate::domain::{Picture, PictureEntry, Recipe, Result};

/// How often the progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Pictures that are being taken in, or wait for it.
pub(super) struct ImportJob {
    ticket: Ticket,
    import: Import,
    told: Instant,
}

impl Service<'_> {
    pub(super) fn answer_import(&mut self, command: ImportCommand) {
        match command {
            ImportCommand::Look(path) => {
                let looked = self.with_index(|index| Ok(guarded(&path, || look(index, &path)))).flatten();
                self.tell_import(looked.map_or_else(ImportEvent::LookFailed, |l| ImportEvent::Looked(Box::new(l))));
            }
            ImportCommand::Take { ticket, sources, cancel } => {
                match self.with_index(|index| Ok(Import::begin(index, sources, cancel))).flatten() {
                    Ok(import) => self.imports.push_back(ImportJob { ticket, import, told: Instant::now() }),
                    Err(error) => {
                        let report = Box::new(ImportReport::default());
                        self.tell_import(ImportEvent::Done { ticket, report, error: Some(error) });
                    }
                }
            }
            ImportCommand::Keep(picture, recipe) => {
                let kept = self.keep(&picture, &recipe);
                self.tell_import(kept.map_or_else(ImportEvent::KeepFailed, |entry| ImportEvent::Kept(Box::new(entry))));
            }
        }
    }

    /// A piece of the work.
    pub(super) fn go_on_with_import(&mut self) {
        let Some(mut job) = self.imports.pop_front() else { return };
        // What goes wrong is nearly always about a file; the index is not opened anew for it.
        let step = self.with_index(|index| Ok(guarded(Path::new(""), || job.import.step(index)))).flatten();
        self.is_keeping_tried = false;
        let (done, total) = (job.import.report().done(), job.import.report().total);
        match step {
            Ok(false) => {
                if job.told.elapsed() >= PROGRESS_EVERY {
                    job.told = Instant::now();
                    self.tell_import(ImportEvent::Progress { ticket: job.ticket, done, total });
                }
                self.imports.push_front(job);
            }
            ended => {
                let report = Box::new(job.import.into_report());
                self.tell_import(ImportEvent::Done { ticket: job.ticket, report, error: ended.err() });
            }
        }
    }

    fn keep(&mut self, picture: &Picture, recipe: &Recipe) -> Result<PictureEntry> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let path = save_picture(&self.paths.pictures_dir, picture, recipe, now.as_millis() as i64)?;
        self.with_index(|index| index.insert(&path))
    }

    fn tell_import(&self, event: ImportEvent) {
        self.outbox.send(LibraryEvent::Import(event));
    }
}
