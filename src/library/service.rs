//! The thread `atelier-library`: answers [`LibraryCommand`]s by [`LibraryEvent`]s.
//!
//! Commands are answered in their order and before all else; a rescan goes on slice by slice, and thumbnails are made
//! one by one, the last asked for first, whenever no command waits.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::export::save_as;
use super::handle::{COMMAND_CAPACITY, EVENT_CAPACITY, LibraryHandle};
use super::image_io::read_picture;
use super::index::Index;
use super::messages::{LibraryCommand, LibraryEvent};
use super::paths::Paths;
use super::rescan::Rescan;
use super::settings;
use super::thumbnails::Thumbnails;
use super::trash::move_to_trash;
use crate::domain::{PictureId, Result, UserError};

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
        outbox: Outbox { events, wake },
        index: None,
        rescan: None,
        thumbnails: Thumbnails::new(paths.thumbnails_dir.clone()),
        wanted: Vec::new(),
    };
    loop {
        let command = if service.is_idle() {
            commands.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            commands.try_recv()
        };
        match command {
            Ok(LibraryCommand::Shutdown) | Err(TryRecvError::Disconnected) => return,
            Ok(command) => service.answer(command),
            Err(TryRecvError::Empty) => service.go_on(),
        }
    }
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
    outbox: Outbox<'a>,
    /// Opened when it is first needed, and again after it failed.
    index: Option<Index>,
    /// A rescan under way.
    rescan: Option<Rescan>,
    thumbnails: Thumbnails,
    /// Thumbnails that were asked for; the last comes first.
    wanted: Vec<(PictureId, PathBuf)>,
}

impl Service<'_> {
    fn is_idle(&self) -> bool {
        self.rescan.is_none() && self.wanted.is_empty()
    }

    fn answer(&mut self, command: LibraryCommand) {
        match command {
            LibraryCommand::List => self.list(),
            LibraryCommand::Rescan => self.begin_rescan(),
            LibraryCommand::UseFolder(folder) => self.use_folder(folder),
            LibraryCommand::Thumbnail { id, path } => {
                // Asked for again: it has come into view again.
                self.wanted.retain(|wanted| wanted.0 != id);
                self.wanted.push((id, path));
            }
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
            LibraryCommand::SaveSettings(new) => {
                if let Err(error) = settings::save(&self.paths, &new) {
                    self.outbox.send(LibraryEvent::SettingsFailed { error });
                }
            }
            // Taken by `run`.
            LibraryCommand::Shutdown => {}
        }
    }

    /// One piece of the work that waits: the rescan and the thumbnails take turns.
    fn go_on(&mut self) {
        if let Some((id, path)) = self.wanted.pop() {
            let made = guarded(&path, || self.thumbnails.get(&path));
            self.outbox.send(match made {
                Ok(picture) => LibraryEvent::Thumbnail { id, picture: Arc::new(picture) },
                Err(error) => LibraryEvent::PictureFailed { id, error },
            });
        }
        if let Some(mut rescan) = self.rescan.take() {
            match self.with_index(|index| rescan.step(index, RESCAN_SLICE)) {
                Ok(false) => self.rescan = Some(rescan),
                Ok(true) => {
                    self.send_list();
                    if let Some(error) = rescan.report().summary() {
                        self.outbox.send(LibraryEvent::Notice { error });
                    }
                }
                Err(error) => self.outbox.send(LibraryEvent::Failed { error }),
            }
        }
    }

    /// Lists what is known; where the index is new, the files are looked through after it, and listed again.
    fn list(&mut self) {
        let is_new = self.with_index(|index| index.needs_rescan());
        self.send_list();
        if is_new == Ok(true) && self.rescan.is_none() {
            self.begin_rescan();
        }
    }

    fn use_folder(&mut self, folder: PathBuf) {
        self.paths.pictures_dir = folder;
        self.index = None;
        self.rescan = None;
        self.send_list();
        self.begin_rescan();
    }

    fn send_list(&mut self) {
        let listed = self.with_index(|index| index.list());
        self.outbox.send(match listed {
            Ok(entries) => LibraryEvent::Pictures(entries),
            Err(error) => LibraryEvent::Failed { error },
        });
    }

    fn begin_rescan(&mut self) {
        match self.with_index(|index| Rescan::begin(index)) {
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
        let reason = message(panic.as_ref());
        Err(UserError::failed(format!("A fault in the program: {reason}")).hint("other pictures still work").path(path))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
