//! The two enums at which the window and the engine meet.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{GenerateRequest, ModelInfo, ModelRef, Outcome, Picture, PictureEntry, Recipe, UserError};

/// The key of a job, unique within one run of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// The sender keeps a clone, to stop the job whether it runs or waits.
    pub cancel: Cancel,
}

/// What the window asks of the engine.
#[derive(Clone, Debug)]
pub enum Command {
    /// Make pictures.
    Generate(Box<Job>),
    /// Make a picture again and compare it with its file. Answered as a job, with `Replayed` in the place of `Finished`;
    /// nothing is saved. What is missing of its model, adapters and pictures is told before anything is loaded.
    Replay {
        /// The request of the picture's recipe.
        job: Box<Job>,
        /// The picture's file.
        original: PathBuf,
    },
    /// Load a model before it is needed, so that the first picture starts at once.
    Preload(ModelRef),
    /// End the worker thread after the job in hand (cancel that one first).
    Shutdown,
}

/// What the engine tells the window.
///
/// `Step` events may be dropped when the window does not keep up; all others arrive. Every job ends in exactly one of
/// `Done`, `Cancelled` and `Failed`.
#[derive(Clone, Debug)]
pub enum Event {
    /// A model is being loaded.
    ModelLoading {
        /// Which one.
        model: ModelRef,
    },
    /// A model was loaded, or was there already.
    ModelReady(ModelInfo),
    /// A model asked for by `Preload` could not be loaded.
    ModelFailed {
        /// Which one.
        model: ModelRef,
        /// Why.
        error: UserError,
    },
    /// The job's work begins.
    Started {
        /// Which job.
        job: JobId,
    },
    /// Step `step` of `steps` is done.
    Step {
        /// Which job.
        job: JobId,
        /// Which picture of the request, from 0.
        index: u32,
        /// Steps done, from 1.
        step: u32,
        /// All steps of a picture.
        steps: u32,
        /// The latents as a small picture, one px a latent.
        preview: Arc<Picture>,
        /// Time since the picture's first step began, in seconds.
        elapsed_secs: f64,
    },
    /// The steps are done; the latents are being decoded.
    Decoding {
        /// Which job.
        job: JobId,
        /// Which picture of the request, from 0.
        index: u32,
    },
    /// One picture is finished. It is saved already, unless `saved` says why not.
    Finished {
        /// Which job.
        job: JobId,
        /// Which picture of the request, from 0.
        index: u32,
        /// The picture.
        picture: Arc<Picture>,
        /// How it was made.
        recipe: Box<Recipe>,
        /// Its place in the history, or why it could not be saved; the picture is not lost then: it is in this event.
        saved: Result<Box<PictureEntry>, UserError>,
    },
    /// A picture was made again. It is not saved.
    Replayed {
        /// Which job.
        job: JobId,
        /// The picture.
        picture: Arc<Picture>,
        /// How it was made.
        recipe: Box<Recipe>,
        /// How alike it and its file are.
        outcome: Outcome,
    },
    /// Something worth telling that stopped nothing, such as a prompt that was cut.
    Notice {
        /// Which job.
        job: JobId,
        /// A sentence.
        sentence: String,
    },
    /// All pictures of the job are finished.
    Done {
        /// Which job.
        job: JobId,
    },
    /// The job was stopped by the user. Pictures that were finished before stay.
    Cancelled {
        /// Which job.
        job: JobId,
    },
    /// The job failed; the next one works.
    Failed {
        /// Which job.
        job: JobId,
        /// Why.
        error: UserError,
    },
}
