//! The thread `atelier-library`: answers [`LibraryCommand`]s by [`LibraryEvent`]s.
//!
//! Commands are answered in their order and before all else. Whenever none waits, the last search that was asked for is
//! made; then a rescan goes on slice by slice, and work on many pictures one by one. When nothing else is to be done, marks
//! and collections are written down. Thumbnails are made by threads of their own ([`super::thumbnail_pool`]) and only
//! passed on here.

mod gallery;
mod import;
mod prompts;
mod sources;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, select};

use super::bulk::BulkReport;
use super::export::save_as;
use super::gallery::Ticket;
use super::handle::{COMMAND_CAPACITY, EVENT_CAPACITY, LibraryHandle};
use super::image_io::read_picture;
use super::index::Index;
use super::messages::{LibraryCommand, LibraryEvent};
use super::paths::Paths;
use super::rescan::{Rescan, RescanReport};
use super::schema;
use super::settings;
use super::sheet;
use super::shelf::PictureStore;
use super::thumbnail_pool::{ThumbnailPool, panic_message};
use super::thumbnails::Thumbnails;
use super::trash::move_to_trash;
use crate::domain::{PictureId, Result, SearchRequest, UserError};
use gallery::BulkJob;
use import::ImportJob;

/// Called after every event, so that the window takes it up.
pub type Wake = Box<dyn Fn() + Send>;

/// Files that a rescan reads before commands are looked at again.
const RESCAN_SLICE: usize = 64;

/// Starts the thread.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(paths: Paths, wake: Wake) -> Result<LibraryHandle> {
    let (commands, far_commands) = bounded(COMMAND_CAPACITY);
    let (far_events, events) = bounded(EVENT_CAPACITY);
    let thread = std::thread::Builder::new()
        .name("atelier-library".to_owned())
        .spawn(move || run(&paths, &far_commands, &far_events, &wake))
        .map_err(|error| {
            UserError::failed(format!("The library could not be started: {error}")).hint("close other programs")
        })?;
    Ok(LibraryHandle::new(commands, events, Some(thread)))
}

/// The thread's work, until `Shutdown` or the end of the commands. Nothing that it is asked makes it panic.
pub fn run(paths: &Paths, commands: &Receiver<LibraryCommand>, events: &Sender<LibraryEvent>, wake: &dyn Fn()) {
    let mut service = Service {
        paths: paths.clone(),
        commands: commands.clone(),
        inbox: VecDeque::new(),
        outbox: Outbox { events, wake },
        index: None,
        rescan: None,
        thumbnails: Arc::new(Thumbnails::new(paths.thumbnails_dir.clone())),
        search: None,
        bulk: VecDeque::new(),
        imports: VecDeque::new(),
        pool: None,
        is_keeping_tried: false,
        is_keeping_told: false,
    };
    loop {
        let made = service.thumbnails_made();
        let command = if let Some(command) = service.inbox.pop_front() {
            Ok(command)
        } else if service.is_idle() {
            service.keep_marks();
            select! {
                recv(commands) -> command => command.map_err(|_| TryRecvError::Disconnected),
                recv(made) -> made => {
                    if let Ok(made) = made {
                        service.pass_on(made);
                    }
                    continue;
                }
            }
        } else {
            commands.try_recv()
        };
        match command {
            Ok(LibraryCommand::Shutdown) | Err(TryRecvError::Disconnected) => break,
            Ok(command) => service.answer(command),
            Err(TryRecvError::Empty) => service.go_on(),
        }
    }
    service.keep_marks();
}

struct Outbox<'a> {
    events: &'a Sender<LibraryEvent>,
    wake: &'a dyn Fn(),
}

impl Outbox<'_> {
    fn send(&self, event: LibraryEvent) {
        // Nobody listens any more: the window is closing, and what was asked for is still done.
        let _ = self.events.send(event);
        (self.wake)();
    }
}

struct Service<'a> {
    paths: Paths,
    /// To see, during a search, whether a newer one waits.
    commands: Receiver<LibraryCommand>,
    /// Commands that were taken out of the channel for that.
    inbox: VecDeque<LibraryCommand>,
    outbox: Outbox<'a>,
    /// Opened when it is first needed, and again after it failed.
    index: Option<Index>,
    /// A rescan under way.
    rescan: Option<Rescan>,
    thumbnails: Arc<Thumbnails>,
    /// The last search that was asked for and not made yet.
    search: Option<(Ticket, SearchRequest)>,
    /// Work on many pictures, the first of it under way.
    bulk: VecDeque<BulkJob>,
    /// Pictures of other programs to take in, the first work under way.
    imports: VecDeque<ImportJob>,
    /// Started when a grid first wants thumbnails.
    pool: Option<ThumbnailPool>,
    /// Whether marks were written down, or could not be, since the last command that may change any.
    is_keeping_tried: bool,
    /// Whether it was told that they could not be.
    is_keeping_told: bool,
}

impl Service<'_> {
    fn is_idle(&self) -> bool {
        self.rescan.is_none() && self.search.is_none() && self.bulk.is_empty() && self.imports.is_empty()
    }

    fn answer(&mut self, command: LibraryCommand) {
        match command {
            LibraryCommand::Open { id, path } => self.outbox.send(match guarded(&path, || read_picture(&path)) {
                Ok(picture) => LibraryEvent::Opened { id, picture: Arc::new(picture) },
                Err(error) => LibraryEvent::PictureFailed { id, error },
            }),
            LibraryCommand::SaveAs { source, target } => match guarded(&target, || save_as(&source, &target)) {
                Ok(notice) => {
                    self.outbox.send(LibraryEvent::Saved { target: target.clone() });
                    if let Some(sentence) = notice {
                        self.outbox.send(LibraryEvent::Notice { error: UserError::input(sentence).path(target) });
                    }
                }
                Err(error) => self.outbox.send(LibraryEvent::SaveFailed { error }),
            },
            LibraryCommand::Trash { id, path } => self.trash(id, &path),
            LibraryCommand::Gallery(command) => self.answer_gallery(command),
            LibraryCommand::Import(command) => self.answer_import(command),
            LibraryCommand::Source(command) => self.answer_source(command),
            LibraryCommand::Prompts(command) => self.answer_prompts(command),
            LibraryCommand::Sheet(order) => {
                let mut store = PictureStore::new(self.paths.clone());
                self.outbox.send(match guarded(&order.pictures_dir, || sheet::make(&order, &mut store)) {
                    Ok(made) => LibraryEvent::Sheet(Box::new(made)),
                    Err(error) => LibraryEvent::Failed { error },
                });
            }
            LibraryCommand::SaveSettings(new) => {
                if let Err(error) = settings::save(&self.paths, &new) {
                    self.outbox.send(LibraryEvent::SettingsFailed { error });
                }
            }
            // Taken by `run`.
            LibraryCommand::Shutdown => {}
        }
    }

    /// One piece of the work that waits: a search comes first, all else takes turns.
    fn go_on(&mut self) {
        if self.search_waiting() {
            return;
        }
        for made in self.thumbnails_made().try_iter() {
            self.pass_on(made);
        }
        self.go_on_with_bulk();
        self.go_on_with_import();
        if let Some(mut rescan) = self.rescan.take() {
            match self.with_index(|index| rescan.step(index, RESCAN_SLICE)) {
                Ok(false) => self.rescan = Some(rescan),
                Ok(true) => self.end_rescan(&rescan.report()),
                Err(error) => self.outbox.send(LibraryEvent::Failed { error }),
            }
        }
    }

    fn end_rescan(&mut self, report: &RescanReport) {
        // Marks that waited may have found their pictures.
        self.is_keeping_tried = false;
        self.tell_reconciled(report.is_changed());
        for error in report.summary().into_iter().chain(report.kept.clone()) {
            self.outbox.send(LibraryEvent::Notice { error });
        }
    }

    /// Goes on in another folder, with nothing left to be done in this one.
    fn leave_folder(&mut self, folder: PathBuf) {
        self.keep_marks();
        self.paths.pictures_dir = folder;
        self.index = None;
        self.rescan = None;
        self.is_keeping_tried = false;
    }

    /// Begins a rescan. One that is under way begins anew.
    fn begin_rescan(&mut self) {
        match self.with_index(Rescan::begin) {
            Ok(rescan) => self.rescan = Some(rescan),
            Err(error) => self.outbox.send(LibraryEvent::Failed { error }),
        }
    }

    fn trash(&mut self, id: PictureId, path: &Path) {
        if let Err(error) = guarded(path, || move_to_trash(path)) {
            self.outbox.send(LibraryEvent::TrashFailed { id, error });
            return;
        }
        // By its path too: the entry may have been rebuilt under another key.
        let forgotten = self.with_index(|index| index.remove(id).and_then(|()| index.remove_path(path)));
        if let Err(error) = forgotten {
            // The file is gone; the next rescan drops the entry.
            tracing::warn!(%error, "a picture in the trash is still listed");
        }
        self.is_keeping_tried = false;
        self.outbox.send(LibraryEvent::Trashed { id });
    }

    /// Works on the index. After a failure it is opened anew next time, which also replaces a damaged one.
    fn with_index<T>(&mut self, work: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
        if self.index.is_none() {
            let index = Index::open(&self.paths)?;
            if let Some(aside) = index.set_aside() {
                let error = UserError::failed("The picture index was damaged and is rebuilt from the pictures")
                    .hint("nothing is lost; the damaged file is kept")
                    .path(aside);
                self.outbox.send(LibraryEvent::Notice { error });
            }
            schema::check_in_background(&self.paths.database);
            self.index = Some(index);
        }
        let Some(index) = &mut self.index else { return Err(UserError::failed("The picture index is not open")) };
        let done = work(index);
        if done.is_err() {
            self.index = None;
            self.rescan = None;
        }
        done
    }
}

/// Works on one file; a panic in a decoder becomes an error about that file.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What `work` may leave behind half done is a cache at most.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let reason = panic_message(panic.as_ref());
        Err(UserError::failed(format!("A fault in the program: {reason}")).hint("other pictures still work").path(path))
    })
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
