//! [`TrainingRun`]: a training while it runs, and after.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::training::{Forecast, Method, PastTraining, RowLoss, TrainingConfig, TrainingStep};
use crate::domain::{Picture, UserError};

use super::album::{Album, Numbered};
use super::curves::Curves;

/// The most pictures of the user's own prompts that are kept.
const MAX_DRAWN: usize = 12;
/// The most notices that are kept.
const MAX_NOTICES: usize = 8;

/// How a training stands.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingStage {
    /// The engine was asked; model and data set are being read.
    Beginning,
    /// Pictures or captions are encoded: what, how many of how many.
    Preparing(&'static str, usize, usize),
    /// It learns.
    Going,
    /// It waits after the step in hand.
    Pausing,
    /// It waits.
    Paused,
    /// It saves after the step in hand.
    Stopping,
    /// It has ended, whole or stopped.
    Ended,
    /// It ended in an error.
    Failed(UserError),
    /// It is looked at, and does not run.
    Past,
}

/// A picture of the user's own prompt.
#[derive(Clone, Debug)]
pub struct DrawnPicture {
    /// After this step.
    pub step: u64,
    /// The prompt.
    pub prompt: String,
    /// The picture.
    pub picture: Numbered,
    /// The same by the untrained model.
    pub untrained: Option<Numbered>,
    /// Its file.
    pub path: PathBuf,
}

/// A row that is hard to learn, with its picture once that has come.
#[derive(Clone, Debug)]
pub struct HardRow {
    /// The row.
    pub row: RowLoss,
    /// Its picture, small.
    pub picture: Option<Numbered>,
}

/// A training while it runs, and after.
#[derive(Clone, Debug)]
pub struct TrainingRun {
    /// Its settings.
    pub config: TrainingConfig,
    /// How it stands.
    pub stage: TrainingStage,
    /// Where it stands.
    pub now: Option<TrainingStep>,
    /// After which step it was resumed.
    pub resumed: Option<u64>,
    /// What it said it would need.
    pub forecast: Option<Forecast>,
    /// What of something long is done: what, how many of how many.
    pub working: Option<(&'static str, usize, usize)>,
    /// What was measured.
    pub curves: Curves,
    /// What was drawn.
    pub album: Album,
    /// The step whose pictures are looked at; `None` is the newest.
    pub looked_at: Option<u64>,
    /// The prompt whose pictures are looked at.
    pub prompt: usize,
    /// Whether all pictures are shown side by side.
    pub grid: bool,
    /// The rows that are hardest to learn.
    pub rows: Vec<HardRow>,
    /// Steps whose state is kept, oldest first.
    pub saved: Vec<u64>,
    /// What was made.
    pub files: Vec<PathBuf>,
    /// The step of which a result is being made.
    pub promoting: Option<u64>,
    /// Whether the kept steps are being made ready to be compared.
    pub is_gathering: bool,
    /// What is worth knowing.
    pub notices: Vec<String>,
    /// The prompt to try.
    pub sketch: String,
    /// Pictures that were asked for and have not come.
    pub awaited: usize,
    /// Those that have, newest first.
    pub drawn: VecDeque<DrawnPicture>,
    /// Files that were asked for and have not come, or cannot be read.
    pub(super) asked: HashSet<PathBuf>,
}

impl TrainingRun {
    /// One that is just begun.
    #[must_use]
    pub fn new(config: TrainingConfig) -> Self {
        Self {
            sketch: config.samples.prompts.first().cloned().unwrap_or_default(),
            config,
            stage: TrainingStage::Beginning,
            now: None,
            resumed: None,
            forecast: None,
            working: None,
            curves: Curves::default(),
            album: Album::default(),
            looked_at: None,
            prompt: 0,
            grid: false,
            rows: Vec::new(),
            saved: Vec::new(),
            files: Vec::new(),
            promoting: None,
            is_gathering: false,
            notices: Vec::new(),
            awaited: 0,
            drawn: VecDeque::new(),
            asked: HashSet::new(),
        }
    }

    /// One that was begun earlier, with what its folder tells. What was logged after the last saved step is not part of what
    /// it goes on from, but it is worth seeing until then.
    #[must_use]
    pub fn of_past(past: PastTraining, mut number: impl FnMut() -> u64) -> Self {
        let PastTraining { config, checkpoints, steps, log, validations, samples, files } = past;
        let mut run = Self { stage: TrainingStage::Past, saved: checkpoints, files, ..Self::new(config) };
        for step in &log {
            run.curves.push(step, None);
        }
        for (step, loss) in validations {
            run.curves.validation.push(step, loss);
        }
        run.now = log.last().copied().map(|last| TrainingStep { steps: steps.unwrap_or(last.steps), ..last });
        for sample in samples {
            run.album.add_small(sample.step, sample.index, sample.path, sample.small, number());
        }
        run
    }

    /// Whether the engine works on it, or waits with it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !matches!(self.stage, TrainingStage::Ended | TrainingStage::Failed(_) | TrainingStage::Past)
    }

    /// Whether something is left of it to go on with.
    #[must_use]
    pub fn can_be_resumed(&self) -> bool {
        let is_whole = self.now.is_some_and(|now| now.step >= now.steps);
        !self.is_running() && !self.saved.is_empty() && !is_whole
    }

    /// The share of all steps that is done.
    #[must_use]
    pub fn share(&self) -> f32 {
        self.now.map_or(0.0, |now| now.step as f32 / now.steps.max(1) as f32)
    }

    /// The step whose pictures are in view.
    #[must_use]
    pub fn step_in_view(&self) -> Option<u64> {
        let steps = self.album.steps();
        self.looked_at.filter(|step| steps.binary_search(step).is_ok()).or(steps.last().copied())
    }

    /// The step of the untrained model's pictures, where they are at hand.
    #[must_use]
    pub fn untrained_step(&self) -> Option<u64> {
        self.album.steps().first().copied().filter(|step| *step == 0)
    }

    /// Files of pictures in view that are not at hand and were not asked for, and whether they are wanted small. They count
    /// as asked for then.
    pub(super) fn want(&mut self) -> Vec<(PathBuf, bool)> {
        let steps = [self.step_in_view(), self.untrained_step()];
        let shown = steps.into_iter().flatten().filter_map(|step| self.album.at(step, self.prompt));
        let lacking =
            shown.filter(|picture| self.album.full(&picture.path).is_none()).map(|picture| (&picture.path, false));
        let rows = self.rows.iter().filter(|row| row.picture.is_none()).map(|row| (&row.row.picture, true));
        let wanted: Vec<(PathBuf, bool)> = lacking
            .chain(rows)
            .filter(|(path, _)| !self.asked.contains(*path))
            .map(|(path, is_small)| (path.clone(), is_small))
            .collect();
        self.asked.extend(wanted.iter().map(|(path, _)| path.clone()));
        wanted
    }

    /// Takes in which rows are hardest; pictures that are here already stay.
    pub(super) fn take_rows(&mut self, rows: Vec<RowLoss>) {
        let mut old = std::mem::take(&mut self.rows);
        let with_picture = |row: RowLoss| {
            let known = old.iter_mut().find(|other| other.row.picture == row.picture);
            let picture = known.and_then(|other| other.picture.clone());
            HardRow { row, picture }
        };
        self.rows = rows.into_iter().map(with_picture).collect();
    }

    pub(super) fn notice(&mut self, sentence: String) {
        if self.notices.len() < MAX_NOTICES && !self.notices.contains(&sentence) {
            self.notices.push(sentence);
        }
    }

    pub(super) fn saved(&mut self, step: u64) {
        self.saved.retain(|other| *other != step);
        self.saved.push(step);
        let unneeded = self.saved.len().saturating_sub(self.config.checkpoints.keep as usize);
        self.saved.drain(..unneeded);
    }

    pub(super) fn drew(&mut self, drawn: DrawnPicture) {
        self.awaited = self.awaited.saturating_sub(1);
        self.drawn.push_front(drawn);
        self.drawn.truncate(MAX_DRAWN);
    }

    /// The file that is put into Create: kohya's form of an adapter, or the model's folder.
    #[must_use]
    pub fn result(&self) -> Option<&PathBuf> {
        self.files.iter().find(|file| is_for_create(file, self.config.method))
    }

    /// The results, each in the form that Create takes, best first.
    pub fn results(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().filter(|file| is_for_create(file, self.config.method))
    }
}

/// Whether a file of a result is the one that Create takes.
fn is_for_create(file: &std::path::Path, method: Method) -> bool {
    let is_single = file.extension().is_some_and(|ending| ending == "safetensors");
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    match method {
        Method::Lora => is_single && !stem.ends_with("-diffusers"),
        Method::Full => !is_single,
    }
}

/// A picture with its number.
pub(super) fn numbered(picture: Picture, number: u64) -> Numbered {
    Numbered { number, picture: Arc::new(picture) }
}
