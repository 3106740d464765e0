//! What the window asks about trainings, of the engine and of the thread that keeps their files.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::{Picture, UserError};
use super::{Forecast, Sketch, TrainingConfig, TrainingStep};

/// What the window asks of the engine about the training that it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingCommand {
    /// Begin one, or go on with one that was stopped or killed.
    Begin {
        /// Its settings.
        config: Box<TrainingConfig>,
        /// Whether to go on from the last checkpoint in its folder.
        resume: bool,
    },
    /// Wait after the step in hand.
    Pause,
    /// Go on.
    GoOn,
    /// Save after the step in hand, write what was learnt so far, and end.
    Stop,
    /// Draw a picture after the step in hand, with the weights as they are then.
    Draw(Sketch),
}

/// What the window asks of the thread that keeps trainings' files. Nothing of it disturbs what the engine does.
#[derive(Clone, Debug)]
pub enum DeskCommand {
    /// Work out what a training would need.
    Foresee {
        /// Comes back with the answer.
        ticket: u64,
        /// Its settings.
        config: Box<TrainingConfig>,
    },
    /// Tell what a training's folder holds.
    Look(PathBuf),
    /// Read settings from a file.
    Read(PathBuf),
    /// Write settings to a file.
    Write {
        /// The settings.
        config: Box<TrainingConfig>,
        /// The file.
        path: PathBuf,
    },
    /// Read a picture: one that a training drew, in full, or one of a data set, small.
    Show {
        /// Its file.
        path: PathBuf,
        /// Whether a small one is enough.
        is_small: bool,
    },
    /// Write what a training had learnt at a step of which the state is kept.
    Promote {
        /// Its settings.
        config: Box<TrainingConfig>,
        /// The step.
        step: u64,
    },
    /// Write what a training had learnt at several steps, and put it all where prompts can name it.
    Gather {
        /// Its settings.
        config: Box<TrainingConfig>,
        /// The steps.
        steps: Vec<u64>,
        /// What was made already and belongs to it, after those steps.
        file: Option<PathBuf>,
        /// The folder of adapters.
        folder: PathBuf,
    },
    /// Put an adapter's file where prompts can name it.
    Install {
        /// The file.
        file: PathBuf,
        /// The folder of adapters.
        folder: PathBuf,
    },
    /// End the thread.
    Shutdown,
}

/// What the thread that keeps trainings' files answers.
#[derive(Clone, Debug)]
pub enum DeskEvent {
    /// What a training would need.
    Foreseen {
        /// That of the question.
        ticket: u64,
        /// The forecast.
        forecast: Result<Forecast, UserError>,
    },
    /// What a folder holds; `None` where there is no training in it.
    Found {
        /// The folder.
        folder: PathBuf,
        /// What is there.
        past: Result<Option<Box<PastTraining>>, UserError>,
    },
    /// Settings of a file.
    Read {
        /// The file.
        path: PathBuf,
        /// What it says.
        config: Result<Box<TrainingConfig>, UserError>,
    },
    /// Settings were written.
    Written {
        /// The file.
        path: PathBuf,
        /// Whether that went well.
        result: Result<(), UserError>,
    },
    /// A picture that was asked for.
    Shown {
        /// Its file.
        path: PathBuf,
        /// Whether it was made small.
        is_small: bool,
        /// The picture.
        picture: Result<Arc<Picture>, UserError>,
    },
    /// What a training had learnt at a step was written.
    Promoted {
        /// The step.
        step: u64,
        /// The files.
        files: Result<Vec<PathBuf>, UserError>,
    },
    /// Several steps of a training lie where prompts can name them: their names, in the order of steps.
    Gathered(Result<Vec<String>, UserError>),
    /// An adapter lies where prompts can name it.
    Installed {
        /// The file that was asked for.
        file: PathBuf,
        /// Its name in prompts.
        name: Result<String, UserError>,
    },
}

/// A training as its folder tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PastTraining {
    /// Its settings.
    pub config: TrainingConfig,
    /// Steps whose state is kept, oldest first; it goes on after the last one.
    pub checkpoints: Vec<u64>,
    /// All steps, as far as its log tells.
    pub steps: Option<u64>,
    /// Its log, thinned out where it is long.
    pub log: Vec<TrainingStep>,
    /// The loss of the pictures that are kept apart, by step.
    pub validations: Vec<(u64, f64)>,
    /// The pictures that were drawn.
    pub samples: Vec<PastSample>,
    /// What was made.
    pub files: Vec<PathBuf>,
}

impl PastTraining {
    /// The step that it goes on after; `None` where no state was saved yet.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.checkpoints.last().copied()
    }

    /// Whether all of it is done.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.steps.is_some() && self.last() == self.steps && !self.files.is_empty()
    }
}

/// A picture that a training drew earlier.
#[derive(Clone, Debug, PartialEq)]
pub struct PastSample {
    /// After this step.
    pub step: u64,
    /// Which prompt of the settings it shows, from 0.
    pub index: usize,
    /// Its file.
    pub path: PathBuf,
    /// The picture, small.
    pub small: Arc<Picture>,
}

/// What is remembered of trainings from one start to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingMemory {
    /// The settings that were being made.
    pub config: Option<TrainingConfig>,
    /// The preset that they began with.
    pub preset: Option<String>,
    /// The folder of the training that was begun last.
    pub last: Option<PathBuf>,
}
