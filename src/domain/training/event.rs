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
    /// The side of pictures that the model knows best, in px.
    pub native_side_px: u32,
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

/// A row of the data set, and how hard it is for the network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowLoss {
    /// Its picture.
    pub picture: PathBuf,
    /// Its caption.
    pub caption: String,
    /// Its loss over the mean of all rows at the same noise: 1 is like the others, 2 is twice as hard.
    pub relative: f64,
    /// How often it was looked at.
    pub seen: u32,
}

/// A picture that is asked for while a training runs, drawn with the weights as they are then.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    /// What it shows.
    pub prompt: String,
    /// What its noise is drawn from.
    pub seed: u64,
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
    /// Part of something long is done: what, how many of how many. Told so that others get their turn meanwhile.
    Working {
        /// What.
        what: &'static str,
        /// How many are done.
        done: usize,
        /// How many there are.
        total: usize,
    },
    /// A step was done.
    Step(TrainingStep),
    /// The rows that are hardest to learn, hardest first.
    Rows(Vec<RowLoss>),
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
    /// A picture that was asked for by [`Control::Draw`].
    Drawn {
        /// After this step.
        step: u64,
        /// What was asked for.
        sketch: Sketch,
        /// The picture.
        picture: Picture,
        /// The same by the model as it was before; `None` where that is not at hand any more.
        untrained: Option<Picture>,
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
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Wait after this step.
    Pause,
    /// Draw a picture after this step, with the weights as they are then; whether it waits or goes on stays as it was.
    Draw(Sketch),
    /// Save after this step, write what was learnt so far, and end.
    StopAndSave,
}
