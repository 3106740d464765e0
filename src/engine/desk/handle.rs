//! [`DeskHandle`]: the near end of the channels to the thread that keeps the files of trainings.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use crate::domain::training::{DeskCommand, DeskEvent};
use crate::domain::{Result, UserError};

/// Commands that may wait: a letter typed into a setting is one.
pub const COMMAND_CAPACITY: usize = 1024;
/// Events that may wait.
pub const EVENT_CAPACITY: usize = 64;

/// The near end of the channels to the thread.
pub struct DeskHandle {
    commands: Sender<DeskCommand>,
    events: Receiver<DeskEvent>,
    thread: Option<JoinHandle<()>>,
}

impl DeskHandle {
    /// Joins the two channels. A test passes its own far ends and no thread.
    #[must_use]
    pub fn new(commands: Sender<DeskCommand>, events: Receiver<DeskEvent>, thread: Option<JoinHandle<()>>) -> Self {
        Self { commands, events, thread }
    }

    /// Asks for something, without ever waiting.
    ///
    /// # Errors
    /// When the thread is gone, or does not keep up.
    pub fn send(&self, command: DeskCommand) -> Result<()> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => {
                UserError::failed("The disk with the training does not keep up").hint("try again in a moment")
            }
            TrySendError::Disconnected(_) => UserError::failed("The thread that keeps trainings' files has stopped")
                .hint("close the window and open it again; a training can be resumed then"),
        })
    }

    /// The next event that is there, without ever waiting.
    #[must_use]
    pub fn try_event(&self) -> Option<DeskEvent> {
        self.events.try_recv().ok()
    }

    /// Ends the thread after what it has in hand, and waits for it.
    pub fn shut_down(self) {
        let Self { commands, events, thread } = self;
        let _ = commands.try_send(DeskCommand::Shutdown);
        drop(commands);
        if let Some(thread) = thread {
            // Events are drained meanwhile, so that a thread that waits to send one can end.
            while !thread.is_finished() {
                let _ = events.recv_timeout(Duration::from_millis(20));
            }
            let _ = thread.join();
        }
    }
}
