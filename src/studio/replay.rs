//! [`Replay`]: a picture is made again by its recipe, and compared with its file.
//!
//! It runs in the engine beside the queue: a job of its own, whose picture is not saved. What comes of it is told beside the
//! picture; it goes into the gallery only where the user asks for it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::{
    Cancel, Command, Event, FieldDifference, ImageFormat, Job, JobId, Outcome, Picture, PictureId, Recipe, SafetyMode,
    UserError, replay_reasons,
};
use crate::library::{ImportCommand, LibraryCommand};

use super::viewer::ViewerAction;
use super::{Effect, Info, State};

/// The keys of these jobs count down from the largest; those of the queue count up from 1.
const LAST_JOB: u64 = u64::MAX;

/// How far it is.
#[derive(Clone, Debug)]
pub enum Stage {
    /// The engine has it, and may have something else in hand.
    Waiting,
    /// So many steps of so many are done.
    Steps(u32, u32),
    /// It was made.
    Made(Box<Remade>),
    /// It could not be made.
    Failed(UserError),
}

/// A picture that was made again.
#[derive(Clone, Debug)]
pub struct Remade {
    /// The picture.
    pub picture: Arc<Picture>,
    /// How it was made this time.
    pub recipe: Recipe,
    /// How alike it is.
    pub outcome: Outcome,
    /// What is another now than it was then.
    pub reasons: Vec<FieldDifference>,
    /// Whether it was taken into the gallery.
    pub is_kept: bool,
}

/// A picture is made again.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Which.
    pub id: PictureId,
    /// Its file.
    pub path: PathBuf,
    /// How it was made.
    pub recipe: Recipe,
    /// How far it is.
    pub stage: Stage,
    pub(super) job: JobId,
    cancel: Cancel,
}

impl Replay {
    /// Whether the engine has still to do with it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Steps(..))
    }
}

/// An act of the user on making a picture again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayAction {
    /// Make the picture in view again.
    Begin,
    /// Stop.
    Stop,
    /// Compare the two.
    Compare,
    /// Take the new one into the gallery.
    Keep,
    /// Close what came of it.
    Close,
}

impl ReplayAction {
    /// Text and tooltip; none has a shortcut.
    #[must_use]
    pub fn info(self) -> Info {
        let (text, tooltip) = match self {
            Self::Begin => (
                "Make it again",
                "Make this picture once more by its recipe, and see whether the same comes of it. Nothing is saved",
            ),
            Self::Stop => ("Stop", "Do not make it again after all"),
            Self::Compare => ("Compare", "See both over or beside each other"),
            Self::Keep => ("Keep the new one", "Take the picture that was made now into the gallery too"),
            Self::Close => ("Close", "Show the recipe again"),
        };
        Info { text, tooltip, shortcut: None }
    }
}

impl From<ReplayAction> for super::Action {
    fn from(action: ReplayAction) -> Self {
        Self::Viewer(ViewerAction::Replay(action))
    }
}

impl State {
    pub(super) fn apply_replay(&mut self, action: ReplayAction) -> Vec<Effect> {
        match action {
            ReplayAction::Begin => return self.begin_replay(),
            ReplayAction::Compare => return self.compare_replay(),
            ReplayAction::Keep => {
                if let Some(Stage::Made(remade)) = self.viewer.replay.as_ref().map(|replay| &replay.stage)
                    && !remade.is_kept
                {
                    let command = ImportCommand::Keep(Arc::clone(&remade.picture), Box::new(remade.recipe.clone()));
                    return vec![Effect::Library(LibraryCommand::Import(command))];
                }
            }
            ReplayAction::Stop | ReplayAction::Close => self.drop_replay(),
        }
        Vec::new()
    }

    /// Why the picture in view cannot be made again: a sentence.
    #[must_use]
    pub fn replay_blocked(&self) -> Option<&'static str> {
        match self.gallery.selected_entry().map(|entry| entry.recipe.as_ref()) {
            None | Some(None) => Some("This picture carries no recipe"),
            Some(Some(recipe)) if !recipe.is_ours() => {
                Some("Another program made it, with a model that its recipe only names: use the recipe, and generate")
            }
            Some(Some(_)) => None,
        }
    }

    fn begin_replay(&mut self) -> Vec<Effect> {
        if let Some(reason) = self.replay_blocked() {
            self.notices.info(reason, None);
            return Vec::new();
        }
        let Some(entry) = self.gallery.selected_entry() else { return Vec::new() };
        let Some(recipe) = entry.recipe.clone() else { return Vec::new() };
        let (id, path, cancel) = (entry.id, entry.path.clone(), Cancel::default());
        self.drop_replay();
        let job = JobId(LAST_JOB - self.viewer.last_replay);
        self.viewer.last_replay += 1;
        let sent = Job {
            id: job,
            request: recipe.request.single(0),
            pictures_dir: self.pictures_folder().to_path_buf(),
            is_checked: self.safety != SafetyMode::Off,
            done: 0,
            keeps_steps: false,
            cancel: cancel.clone(),
        };
        let precision = recipe.precision();
        let command = Command::Replay { job: Box::new(sent), original: path.clone(), precision };
        self.viewer.replay = Some(Replay { id, path, recipe, stage: Stage::Waiting, job, cancel });
        vec![Effect::Engine(command)]
    }

    /// Stops and forgets it.
    pub(super) fn drop_replay(&mut self) {
        if let Some(replay) = self.viewer.replay.take() {
            replay.cancel.cancel();
        }
    }

    /// Takes in what the engine says of a picture that is made again; gives back what it says of anything else.
    pub(super) fn on_replay_event(&mut self, event: Event) -> Option<Event> {
        let job = match &event {
            Event::DeviceOpened(_)
            | Event::ModelLoading { .. }
            | Event::ModelReady(_)
            | Event::ModelFailed { .. }
            | Event::Steps { .. }
            | Event::StepSeen { .. }
            | Event::Training { .. }
            | Event::TrainingFailed(_) => return Some(event),
            Event::Started { job }
            | Event::Step { job, .. }
            | Event::Decoding { job, .. }
            | Event::Finished { job, .. }
            | Event::Replayed { job, .. }
            | Event::Notice { job, .. }
            | Event::Done { job }
            | Event::Cancelled { job }
            | Event::Failed { job, .. } => *job,
        };
        // Those that were dropped meanwhile say nothing to anybody.
        if job.0 <= LAST_JOB.saturating_sub(self.viewer.last_replay) {
            return Some(event);
        }
        let replay = self.viewer.replay.as_mut().filter(|replay| replay.job == job)?;
        match event {
            Event::Step { step, steps, .. } => replay.stage = Stage::Steps(step, steps),
            Event::Replayed { picture, recipe, outcome, .. } => {
                let mut reasons = replay_reasons(&replay.recipe, &recipe);
                if ImageFormat::from_path(&replay.path) == Some(ImageFormat::Jpeg) {
                    let one = "a JPEG, which holds a picture only nearly".to_owned();
                    reasons.push(FieldDifference { field: "File".to_owned(), one, other: "what was made".to_owned() });
                }
                let remade = Remade { picture, recipe: *recipe, outcome, reasons, is_kept: false };
                replay.stage = Stage::Made(Box::new(remade));
            }
            Event::Failed { error, .. } => replay.stage = Stage::Failed(error),
            Event::Cancelled { .. } => self.viewer.replay = None,
            _ => {}
        }
        None
    }
}
