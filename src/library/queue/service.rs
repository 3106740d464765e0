//! The thread `atelier-queue`: answers [`QueueCommand`]s by [`QueueEvent`]s. It has nothing else to do, so that a job that
//! is to be kept never waits for a picture that is being copied or a folder that is being read.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::handle::{COMMAND_CAPACITY, EVENT_CAPACITY, QueueHandle};
use super::messages::{QueueCommand, QueueEvent};
use super::store::{QueueStore, Session};
use crate::domain::{JobId, Result, UserError};
use crate::library::Paths;

/// Called after every event, so that the window takes it up.
pub type Wake = Box<dyn Fn() + Send>;

/// Starts the thread.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(paths: Paths, wake: Wake) -> Result<QueueHandle> {
    let (commands, far_commands) = bounded(COMMAND_CAPACITY);
    let (far_events, events) = bounded(EVENT_CAPACITY);
    let thread = std::thread::Builder::new()
        .name("atelier-queue".to_owned())
        .spawn(move || Service { paths, events: far_events, wake, session: None, store: None }.run(&far_commands))
        .map_err(|error| {
            UserError::failed(format!("The queue could not be started: {error}")).hint("close other programs")
        })?;
    Ok(QueueHandle::new(commands, events, Some(thread)))
}

struct Service {
    paths: Paths,
    events: Sender<QueueEvent>,
    wake: Wake,
    session: Option<Arc<Session>>,
    /// Opened when it is first needed, and again after it failed, which also replaces a damaged file.
    store: Option<QueueStore>,
}

impl Service {
    fn run(mut self, commands: &Receiver<QueueCommand>) {
        while let Ok(command) = commands.recv() {
            if command == QueueCommand::Shutdown {
                break;
            }
            if let Some(event) = self.answer(command) {
                // Nobody listens any more: the window is closing, and what was asked for is done.
                let _ = self.events.send(event);
                (self.wake)();
            }
        }
    }

    fn answer(&mut self, command: QueueCommand) -> Option<QueueEvent> {
        let kept = |done: Result<()>, jobs: Vec<JobId>| match done {
            Ok(()) => QueueEvent::Kept(jobs),
            Err(error) => QueueEvent::NotKept { jobs, error },
        };
        let done = match command {
            QueueCommand::Load => {
                return Some(match self.with_store(QueueStore::take_over) {
                    Ok(jobs) => QueueEvent::Loaded(jobs),
                    Err(error) => QueueEvent::Failed { error },
                });
            }
            QueueCommand::Add(jobs) => {
                let ids = jobs.iter().map(|job| job.id).collect();
                return Some(kept(self.with_store(|store| store.add(&jobs)), ids));
            }
            QueueCommand::Change(job) => {
                return Some(kept(self.with_store(|store| store.change(&job)), vec![job.id]));
            }
            QueueCommand::Arrange(order) => self.with_store(|store| store.arrange(&order)),
            QueueCommand::Remove(jobs) => self.with_store(|store| store.remove(&jobs)),
            QueueCommand::Shutdown => Ok(()),
        };
        done.err().map(|error| QueueEvent::Failed { error })
    }

    fn with_store<T>(&mut self, work: impl FnOnce(&mut QueueStore) -> Result<T>) -> Result<T> {
        let session = match self.session.take() {
            Some(session) => session,
            None => Arc::new(Session::begin(&self.paths)?),
        };
        let session = self.session.insert(session);
        let store = match self.store.take() {
            Some(store) => store,
            None => QueueStore::open(&self.paths, session)?,
        };
        let done = work(self.store.insert(store));
        if done.is_err() {
            self.store = None;
        }
        done
    }
}
