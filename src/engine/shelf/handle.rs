//! [`ModelsHandle`]: the near end of the channels to the models' thread.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use crate::domain::{ModelsCommand, ModelsEvent, Result, UserError};

/// Commands that may wait in the channel.
pub const COMMAND_CAPACITY: usize = 256;
/// Events that may wait. Progress is dropped above half of it; all else never is.
pub const EVENT_CAPACITY: usize = 256;

/// The near end of the channels to the models' thread.
pub struct ModelsHandle {
    commands: Sender<ModelsCommand>,
    events: Receiver<ModelsEvent>,
    thread: Option<JoinHandle<()>>,
}

impl ModelsHandle {
    /// Joins the two channels. A test passes its own far ends and no thread.
    #[must_use]
    pub fn new(commands: Sender<ModelsCommand>, events: Receiver<ModelsEvent>, thread: Option<JoinHandle<()>>) -> Self {
        Self { commands, events, thread }
    }

    /// Asks for something, without ever waiting.
    ///
    /// # Errors
    /// When the thread is gone, or has not taken up [`COMMAND_CAPACITY`] commands.
    pub fn send(&self, command: ModelsCommand) -> Result<()> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => {
                UserError::failed("The models are being looked through").hint("try again in a moment")
            }
            TrySendError::Disconnected(_) => UserError::failed("The thread that fetches models has stopped")
                .hint("close the window and open it again; nothing is lost"),
        })
    }

    /// The next event that is there, without ever waiting.
    #[must_use]
    pub fn try_event(&self) -> Option<ModelsEvent> {
        self.events.try_recv().ok()
    }

    /// The next event, waiting for it so long at most.
    #[must_use]
    pub fn event_within(&self, time: Duration) -> Option<ModelsEvent> {
        self.events.recv_timeout(time).ok()
    }

    /// Pauses what moves, ends the thread and waits for it.
    pub fn shut_down(self) {
        let Self { commands, events, thread } = self;
        let _ = commands.try_send(ModelsCommand::Shutdown);
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
