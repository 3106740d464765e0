//! [`EngineHandle`]: the near end of the channels to the worker thread.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use crate::domain::{Command, Event, Result, UserError};

/// Commands that may wait in the channel. The queue proper is `studio`'s; this only bounds a runaway sender.
pub const COMMAND_CAPACITY: usize = 64;
/// Events that may wait. Previews are dropped above half of it; results never are.
pub const EVENT_CAPACITY: usize = 256;

/// The near end of the channels to the worker thread.
pub struct EngineHandle {
    commands: Sender<Command>,
    events: Receiver<Event>,
    thread: Option<JoinHandle<()>>,
}

impl EngineHandle {
    /// Joins the two channels. A test passes its own far ends and no thread.
    #[must_use]
    pub fn new(commands: Sender<Command>, events: Receiver<Event>, thread: Option<JoinHandle<()>>) -> Self {
        Self { commands, events, thread }
    }

    /// Asks for something, without ever waiting.
    ///
    /// # Errors
    /// When the worker thread is gone, or has not taken up [`COMMAND_CAPACITY`] commands.
    pub fn send(&self, command: Command) -> Result<()> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => UserError::failed("The engine is busy").hint("try again in a moment"),
            TrySendError::Disconnected(_) => {
                UserError::failed("The engine has stopped").hint("close the window and open it again; nothing is lost")
            }
        })
    }

    /// The next event that is there, without ever waiting.
    #[must_use]
    pub fn try_event(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Ends the worker thread and waits for it: cancel the job in hand first.
    pub fn shut_down(mut self) {
        // Events are drained meanwhile, so that a worker that waits to send one can end.
        let _ = self.commands.try_send(Command::Shutdown);
        if let Some(thread) = self.thread.take() {
            while !thread.is_finished() {
                let _ = self.events.recv_timeout(std::time::Duration::from_millis(20));
            }
            let _ = thread.join();
        }
    }
}
