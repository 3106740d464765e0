//! Jobs: requests on their way through the queue and the engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::GenerateRequest;

/// The key of a job. It is never used twice, also by later runs of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// A flag that stops a job from another thread. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the job to stop; it does so within one evaluation of the network.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the job was asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request on its way through the engine.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its key, chosen by the sender.
    pub id: JobId,
    /// What to make.
    pub request: GenerateRequest,
    /// Where its pictures go.
    pub pictures_dir: PathBuf,
    /// Whether the model's safety checker looks at its pictures.
    pub is_checked: bool,
    /// How many of its pictures were finished before: these are not made again.
    pub done: u32,
    /// Whether every step of its pictures is kept beside them on the disk.
    pub keeps_steps: bool,
    /// The sender keeps a clone, to stop the job whether it runs or waits.
    pub cancel: Cancel,
}

/// Which jobs go before which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before all others.
    First,
    /// In their order.
    #[default]
    Normal,
    /// When nothing else waits.
    Later,
}

impl Priority {
    /// All of them, the first to run first.
    pub const ALL: [Self; 3] = [Self::First, Self::Normal, Self::Later];

    /// Its name for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::First => "First",
            Self::Normal => "Normal",
            Self::Later => "Later",
        }
    }
}

/// A job as the queue keeps it on the disk.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedJob {
    /// Its key.
    pub id: JobId,
    /// What to make.
    pub request: GenerateRequest,
    /// Where its pictures go.
    pub pictures_dir: PathBuf,
    /// Whether the model's safety checker looks at its pictures.
    pub is_checked: bool,
    /// Which jobs it goes before.
    pub priority: Priority,
    /// How many of its pictures are finished.
    pub done: u32,
    /// Whether it was begun and stopped before its end, by a crash or by closing the window.
    pub is_interrupted: bool,
}
