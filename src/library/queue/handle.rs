//! [`QueueHandle`]: the near end of the channels to the queue's thread.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::messages::{QueueCommand, QueueEvent};
use crate::domain::{Result, UserError};

/// Commands that may wait in the channel.
pub const COMMAND_CAPACITY: usize = 1024;
/// Events that may wait; the thread waits when there is no more room.
pub const EVENT_CAPACITY: usize = 1024;

/// The near end of the channels to the queue's thread.
pub struct QueueHandle {
    commands: Sender<QueueCommand>,
    events: Receiver<QueueEvent>,
    thread: Option<JoinHandle<()>>,
}

impl QueueHandle {
    /// Joins the two channels. A test passes its own far ends and no thread.
    #[must_use]
    pub fn new(commands: Sender<QueueCommand>, events: Receiver<QueueEvent>, thread: Option<JoinHandle<()>>) -> Self {
        Self { commands, events, thread }
    }

    /// Asks for something, without ever waiting.
    ///
    /// # Errors
    /// When the thread is gone, or has not taken up [`COMMAND_CAPACITY`] commands.
    pub fn send(&self, command: QueueCommand) -> Result<()> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => UserError::failed("The disk does not keep up with the queue")
                .hint("jobs are made all the same, but do not outlive the program"),
            TrySendError::Disconnected(_) => UserError::failed("The queue is not kept on the disk any more")
                .hint("jobs are made all the same, but do not outlive the program"),
        })
    }

    /// The next event that is there, without ever waiting.
    #[must_use]
    pub fn try_event(&self) -> Option<QueueEvent> {
        self.events.try_recv().ok()
    }

    /// Ends the thread when all that was asked for before is done, and waits for it.
    pub fn shut_down(self) {
        let Self { commands, events, thread } = self;
        let _ = commands.try_send(QueueCommand::Shutdown);
        // Where that found no room, the end of the channel says the same.
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
