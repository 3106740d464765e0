//! What a training tells while it runs, and what it can be told.

use std::path::PathBuf;

use serde::Serialize;

use super::super::Picture;

/// A part of what a training needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// What it is for.
    pub what: &'static str,
    /// How much, in bytes.
    pub bytes: u64,
}

/// What a training will need, worked out before it begins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// What fills the memory. Together it is the most that is used at a time.
    pub memory: Vec<Share>,
    /// Numbers that are trained.
    pub trained: u64,
    /// All steps.
    pub steps: u64,
    /// Time of a step in seconds, as it will about be on this machine.
    pub secs_per_step: f64,
}

impl Forecast {
    /// The memory of all parts.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.memory.iter().map(|share| share.bytes).sum()
    }
}

/// Where a training stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TrainingStep {
    /// Updates done.
    pub step: u64,
    /// All updates.
    pub steps: u64,
    /// How often the whole data set was seen, as far as it is known.
    pub epoch: f64,
    /// The loss of this step.
    pub loss: f64,
    /// The loss, averaged over about the last hundred steps.
    pub smoothed: f64,
    /// The learning rate.
    pub lr: f64,
    /// The gradients' norm before they were made shorter.
    pub grad_norm: f64,
    /// Time of a step in seconds, averaged likewise.
    pub secs_per_step: f64,
    /// Time left, in seconds.
    pub eta_secs: f64,
}

/// What a training tells.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingEvent {
    /// What it will need.
    Forecast(Forecast),
    /// Something worth knowing that stops nothing.
    Notice(String),
    /// Pictures or texts are encoded before it begins.
    Preparing {
        /// What.
        what: &'static str,
        /// How many are done.
        done: usize,
        /// How many there are.
        total: usize,
    },
    /// A stopped training goes on after this step.
    Resumed(u64),
    /// A step was done.
    Step(TrainingStep),
    /// The loss of the pictures that are kept apart.
    Validated {
        /// After this step.
        step: u64,
        /// Their loss.
        loss: f64,
    },
    /// A picture was made.
    Sample {
        /// After this step.
        step: u64,
        /// Of this prompt.
        prompt: String,
        /// The picture.
        picture: Picture,
        /// Its file.
        path: PathBuf,
    },
    /// The state was saved.
    Saved {
        /// After this step.
        step: u64,
        /// Its file.
        path: PathBuf,
    },
    /// It waits, and asks again and again whether to go on.
    Paused(u64),
    /// It has ended, or was stopped and can be resumed.
    Ended {
        /// After this step.
        step: u64,
        /// All steps.
        steps: u64,
        /// What was made.
        files: Vec<PathBuf>,
    },
}

/// What a training is told after each of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Wait after this step.
    Pause,
    /// Save after this step, write what was learnt so far, and end.
    StopAndSave,
}
