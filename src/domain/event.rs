//! The two enums at which the window and the engine meet.

use std::path::PathBuf;
use std::sync::Arc;

use super::training::{TrainingCommand, TrainingEvent};
use super::{
    Cancel, DeviceChoice, DeviceUse, GenerateRequest, Job, JobId, ModelInfo, ModelRef, Outcome, Picture, PictureEntry,
    Precision, Recipe, UserError,
};

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
        /// How exactly it was computed.
        precision: Precision,
    },
    /// Compute so from the next picture on. Until it is told, the engine computes exactly.
    SetPrecision(Precision),
    /// Load a model before it is needed, so that the first picture starts at once.
    Preload(ModelRef),
    /// Show what a picture was expected to become at one of its steps, in full.
    SeeStep {
        /// What the picture is made of.
        request: Box<GenerateRequest>,
        /// The step, from 1.
        step: u32,
        /// Stops it.
        cancel: Cancel,
    },
    /// Compute elsewhere from now on. Answered with `DeviceOpened`; models are loaded again when they are needed.
    UseDevice(DeviceChoice),
    /// Something with the training that it runs. While one runs, pictures are made between its steps.
    Train(TrainingCommand),
    /// End the worker thread after the job in hand (cancel that one first); a training saves first.
    Shutdown,
}

/// A step of a picture.
#[derive(Clone, Debug)]
pub struct StepPreview {
    /// The step, from 1.
    pub step: u32,
    /// What the picture was expected to become, one px a latent.
    pub preview: Arc<Picture>,
}

/// What the engine tells the window.
///
/// `Step` events may be dropped when the window does not keep up; all others arrive. Every job ends in exactly one of
/// `Done`, `Cancelled` and `Failed`.
#[derive(Clone, Debug)]
pub enum Event {
    /// What computes from now on, and why.
    DeviceOpened(DeviceUse),
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
    /// All steps of a picture are done: what it was expected to become at each. Comes before `Finished`.
    Steps {
        /// Which job.
        job: JobId,
        /// Which picture of the request, from 0.
        index: u32,
        /// The steps in their order, those before a fork left out.
        steps: Vec<StepPreview>,
    },
    /// A step in full, as `SeeStep` asked for.
    StepSeen {
        /// What the picture is made of.
        request: Box<GenerateRequest>,
        /// The step, from 1.
        step: u32,
        /// What it was expected to become, or why that cannot be shown.
        picture: Result<Arc<Picture>, UserError>,
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
    /// What the training tells. What only moves on (`Step`, `Preparing`, `Working`) may be dropped as previews are.
    Training {
        /// What it tells.
        event: Box<TrainingEvent>,
        /// Bytes of memory that the program takes, where the system tells.
        memory: Option<u64>,
    },
    /// A training could not begin, or fell apart. What it had saved is whole.
    TrainingFailed(UserError),
}
