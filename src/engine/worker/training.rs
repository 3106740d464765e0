//! Trainings on the worker thread, which go on with making pictures between their steps.
//!
//! A training and the pictures take turns: after each step, and after each batch where a step has several, one command that
//! waits is carried out, and then the training goes on. So a picture waits no longer than a batch takes, and a long queue does
//! not stand still the training. While the training waits, everything else is done as if there were none.

use std::collections::VecDeque;

use super::super::handle::COMMAND_CAPACITY;
use super::{Worker, guarded};
use crate::domain::training::{Control, Sketch, TrainingCommand, TrainingConfig, TrainingEvent};
use crate::domain::{Command, Event};
use crate::train;

/// What was asked of the thread while a training runs.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each was asked for by itself")]
struct Wishes {
    is_paused: bool,
    /// Whether the window was told that the training waits.
    is_told: bool,
    is_stopped: bool,
    /// Whether the thread ends after the training.
    ends: bool,
    sketches: VecDeque<Sketch>,
    /// What asks for pictures, in the order in which it came.
    pictures: VecDeque<Command>,
}

impl Wishes {
    fn answer(&mut self) -> Control {
        if self.is_stopped {
            Control::StopAndSave
        } else if let Some(sketch) = self.sketches.pop_front() {
            Control::Draw(sketch)
        } else if self.is_paused {
            Control::Pause
        } else {
            Control::Continue
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Shutdown => (self.is_stopped, self.ends) = (true, true),
            Command::Train(TrainingCommand::Stop) => self.is_stopped = true,
            Command::Train(TrainingCommand::Pause) => self.is_paused = true,
            Command::Train(TrainingCommand::GoOn) => (self.is_paused, self.is_told) = (false, false),
            Command::Train(TrainingCommand::Draw(sketch)) => self.sketches.push_back(sketch),
            Command::Train(TrainingCommand::Begin { config, .. }) => {
                tracing::warn!(folder = %config.output.display(), "a training runs already; another one was not begun");
            }
            picture => self.pictures.push_back(picture),
        }
    }
}

impl Worker {
    /// Runs a training to its end. Gives whether the thread is to end too.
    pub(super) fn train(&mut self, config: &TrainingConfig, resume: bool) -> bool {
        // Two models may not fit into memory.
        self.loaded.clear();
        let placement = self.loaded.placement().clone();
        let mut wishes = Wishes::default();
        let result = guarded(|| {
            let mut tell = |event| self.between(event, &mut wishes);
            train::run_on(placement, config, resume, &mut tell).map(|_| ())
        });
        match result {
            Ok(()) => {}
            Err(error) if error.is_cancelled() => {
                let (step, steps) = (0, config.steps.steps.unwrap_or_default());
                self.tell(TrainingEvent::Ended { step, steps, files: Vec::new() });
            }
            Err(error) => self.outbox.send(Event::TrainingFailed(error)),
        }
        // What waited for its turn is not forgotten.
        while let Some(command) = wishes.pictures.pop_front().filter(|_| !wishes.ends) {
            self.carry_out(command);
        }
        wishes.ends
    }

    /// Passes on what a training tells, lets others have their turn, and answers.
    fn between(&mut self, event: TrainingEvent, wishes: &mut Wishes) -> Control {
        let is_turn = matches!(
            event,
            TrainingEvent::Step(_)
                | TrainingEvent::Working { .. }
                | TrainingEvent::Preparing { .. }
                | TrainingEvent::Sample { .. }
                | TrainingEvent::Paused(_)
        );
        match event {
            TrainingEvent::Paused(_) if wishes.is_told => {}
            event => {
                wishes.is_told |= matches!(event, TrainingEvent::Paused(_));
                self.tell(event);
            }
        }
        // What asks for pictures is bounded by the channel, and by as much again here.
        while wishes.pictures.len() < COMMAND_CAPACITY
            && let Ok(command) = self.commands.try_recv()
        {
            wishes.take(command);
        }
        if is_turn
            && !wishes.ends
            && let Some(command) = wishes.pictures.pop_front()
        {
            self.carry_out(command);
            if wishes.pictures.is_empty() && !wishes.is_paused {
                // It is opened again in less time than a step takes, and the step may need its room.
                self.loaded.clear();
            }
        }
        wishes.answer()
    }

    fn tell(&self, event: TrainingEvent) {
        let memory = matches!(event, TrainingEvent::Step(_)).then(memory_bytes).flatten();
        let moves_on =
            matches!(event, TrainingEvent::Step(_) | TrainingEvent::Preparing { .. } | TrainingEvent::Working { .. });
        let event = Event::Training { event: Box::new(event), memory };
        if moves_on { self.outbox.send_preview(event) } else { self.outbox.send(event) }
    }
}

/// The memory that this process has in use; known on Linux only.
fn memory_bytes() -> Option<u64> {
    // "VmRSS:   123456 kB"; a file in memory, read in some microseconds.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_comes_before_a_picture_and_a_picture_before_the_pause() {
        let mut wishes = Wishes::default();
        assert_eq!(wishes.answer(), Control::Continue);
        let sketch = Sketch { prompt: "a boot".to_owned(), seed: 4 };
        wishes.take(Command::Train(TrainingCommand::Pause));
        wishes.take(Command::Train(TrainingCommand::Draw(sketch.clone())));
        assert_eq!(wishes.answer(), Control::Draw(sketch.clone()));
        assert_eq!(wishes.answer(), Control::Pause);
        wishes.take(Command::Train(TrainingCommand::GoOn));
        assert_eq!(wishes.answer(), Control::Continue);
        wishes.take(Command::Train(TrainingCommand::Draw(sketch)));
        wishes.take(Command::Shutdown);
        assert_eq!((wishes.answer(), wishes.ends), (Control::StopAndSave, true));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_memory_in_use_is_known() {
        assert!(memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
