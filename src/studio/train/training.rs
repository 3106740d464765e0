//! [`TrainingDesk`]: a training that is made ready, and the one that runs.

use std::path::{Path, PathBuf};

use crate::domain::training::{
    DeskCommand, Forecast, PRESETS, PastTraining, Preset, SettingProblem, TrainingConfig, TrainingMemory,
};
use crate::domain::{ModelRef, UserError};
use crate::studio::{Effect, Info};

use super::training_fields::FieldValue;
use super::training_run::{TrainingRun, TrainingStage};

/// What is known of what a training would need.
#[derive(Clone, Debug, Default)]
pub enum Foresight {
    /// Nothing: the settings cannot be used yet.
    #[default]
    Nothing,
    /// It is being worked out; what was known before.
    Asked(Option<Forecast>),
    /// This much.
    Known(Forecast),
    /// It cannot be trained so.
    Failed(UserError),
}

impl Foresight {
    /// What is known, also while it is worked out anew.
    #[must_use]
    pub fn forecast(&self) -> Option<&Forecast> {
        match self {
            Self::Known(forecast) | Self::Asked(Some(forecast)) => Some(forecast),
            Self::Nothing | Self::Asked(None) | Self::Failed(_) => None,
        }
    }
}

/// The training: its settings while it is made ready, and how it runs.
#[derive(Clone, Debug, Default)]
pub struct TrainingDesk {
    /// The settings.
    pub config: TrainingConfig,
    /// The preset that they are; `None` once something of it was changed.
    pub preset: Option<&'static str>,
    /// The user's own settings, while a preset is looked at.
    pub(super) own: Option<Box<TrainingConfig>>,
    /// Whether all settings are in view.
    pub more: bool,
    /// The prompts as they are typed, one a line.
    pub prompts: String,
    /// What it would need.
    pub foresight: Foresight,
    pub(super) ticket: u64,
    /// The model whose size is taken over once it is known.
    pub(super) fits_to: Option<ModelRef>,
    /// The training that runs, or ended and is looked at.
    pub run: Option<TrainingRun>,
    /// One that was begun earlier and can be gone on with.
    pub past: Option<Box<PastTraining>>,
    /// Whether the name is that of a training which is there already.
    pub name_taken: bool,
    /// Whether the training begins once its folder was looked into.
    pub(super) begins: bool,
    /// The folder that is looked into to be opened.
    pub(super) opens: Option<PathBuf>,
    /// The folder of the training that was begun last.
    pub(super) last: Option<PathBuf>,
    /// Where trainings go.
    pub(super) home: PathBuf,
    pub(super) numbers: u64,
}

/// An act of the user with the training.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingAction {
    /// Begin with a preset, by its name.
    Preset(&'static str),
    /// Back to the user's own settings.
    Own,
    /// Change a setting, by its key.
    Set(&'static str, FieldValue),
    /// The prompts to draw meanwhile, one a line.
    Prompts(String),
    /// The model to begin with.
    Model(ModelRef),
    /// What to learn from.
    Dataset(PathBuf),
    /// Choose that in a dialog.
    ChooseDataset,
    /// How captions are made of columns.
    Caption(String),
    /// The name of what is made.
    Name(String),
    /// Show all settings, or the most important ones.
    ToggleMore,
    /// Read settings from a file.
    OpenSettings,
    /// Write the settings to a file.
    SaveSettings,
    /// Open a training that was begun earlier.
    OpenTraining,
    /// Begin.
    Begin,
    /// Go on with the training that was stopped or interrupted.
    Resume,
    /// Look at what it did until then.
    LookBack,
    /// Leave it where it is, and offer it no more.
    SetAside,
    /// Wait after the step in hand.
    Pause,
    /// Go on.
    GoOn,
    /// Save after the step in hand, and end.
    Stop,
    /// Put what ended away, and make another one ready.
    Close,
    /// What to draw with the weights as they are now.
    EditSketch(String),
    /// Draw it.
    Draw,
    /// Look at the pictures of a step.
    LookAt(u64),
    /// Look at the newest pictures, as they come.
    LookAtNewest,
    /// Look at the pictures of a prompt.
    LookAtPrompt(usize),
    /// Show all pictures side by side, or one large.
    ToggleGrid,
    /// Make a result of what it had learnt at a step.
    Promote(u64),
    /// Compare the kept steps in a grid.
    Compare,
    /// Put a result into Create.
    Use(PathBuf),
}

impl TrainingAction {
    /// Text and tooltip.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::Preset(name) => PRESETS
                .iter()
                .find(|preset| preset.name == *name)
                .map_or(("", ""), |preset| (preset.label, preset.about)),
            Self::Own => ("Your own", "The settings as you changed them"),
            Self::Set(key, _) => {
                super::training_fields::field(key).map_or(("", ""), |field| (field.text, field.tooltip))
            }
            Self::Prompts(_) => (
                "Pictures to watch",
                "Prompts that are drawn at the start and every so many steps, one a line, to see how far it is",
            ),
            Self::Model(_) => ("Model to teach", "The model that it begins with. It stays as it is"),
            Self::Dataset(_) => {
                ("Data set", "The pictures and captions to learn from: a folder, or what was made ready under Data set")
            }
            Self::ChooseDataset => ("Choose…", "Choose a folder of pictures with captions"),
            Self::Caption(_) => (
                "Caption",
                "How captions are made of columns, as in: a {colour} {garment}. Left empty, the caption as it stands",
            ),
            Self::Name(_) => ("Name", "The name of what is made: the LoRA is put on by it"),
            Self::ToggleMore => ("All settings", "Show all settings, or the most important ones only"),
            Self::OpenSettings => ("Open settings…", "Read settings from a file, as atelier train takes it"),
            Self::SaveSettings => {
                ("Save settings…", "Write these settings to a file, for another time or for atelier train")
            }
            Self::OpenTraining => ("Open a training…", "Look at a training that was begun earlier, or go on with it"),
            Self::Begin => ("Start training", "Begin. Pictures can be made meanwhile; both take turns"),
            Self::Resume => ("Resume", "Go on after the last saved step, exactly as if it had never stopped"),
            Self::LookBack => ("Look at it", "Show its curves, its pictures and what it made"),
            Self::SetAside => ("Not now", "Leave it where it is. Open a training… finds it again"),
            Self::Pause => ("Pause", "Wait after this step; everything stays in memory"),
            Self::GoOn => ("Go on", "Go on with the next step"),
            Self::Stop => {
                ("Stop and save", "Save after this step, write what was learnt so far, and end. It can be resumed")
            }
            Self::Close => ("New training", "Put this one away and make another one ready. Its files stay"),
            Self::EditSketch(_) => ("Try a prompt", "Draw any prompt with what it has learnt until now"),
            Self::Draw => {
                ("Draw", "Draw it after this step, with the weights as they are then, beside the untrained model's")
            }
            Self::LookAt(_) => ("Show", "Look at the pictures of this step"),
            Self::LookAtNewest => ("Newest", "Look at the newest pictures as they come"),
            Self::LookAtPrompt(_) => ("Show", "Look at the pictures of this prompt"),
            Self::ToggleGrid => ("Side by side", "All prompts at all steps side by side"),
            Self::Promote(_) => ("Make a result of this step", "Write the files of what it had learnt at this step"),
            Self::Compare => (
                "Compare in a grid…",
                "A grid in Create of all kept steps, your prompts and several weights. Weight 0 is the untrained model",
            ),
            Self::Use(_) => ("Use in Create", "Put it on in Create, and see there how it fits the model"),
        };
        Info { text, tooltip, shortcut: None }
    }
}

impl TrainingDesk {
    /// At the start, with what was remembered; trainings go into folders below `home`.
    #[must_use]
    pub fn new(memory: Option<TrainingMemory>, home: &Path) -> Self {
        let TrainingMemory { config, preset, last } = memory.unwrap_or_default();
        let known = |name: &String| PRESETS.iter().find(|known| known.name == name).map(|known| known.name);
        let is_first = config.is_none();
        let mut desk = Self {
            config: config.unwrap_or_default(),
            preset: preset.as_ref().and_then(known),
            last,
            home: home.to_path_buf(),
            ..Self::default()
        };
        if is_first {
            desk.begin_with(&PRESETS[0]);
            desk.name("my-lora".to_owned());
            desk.fits_to = Some(desk.config.model.clone());
        }
        desk.prompts = desk.config.samples.prompts.join("\n");
        desk
    }

    /// What is remembered for the next start; `None` where nothing was made ready yet.
    #[must_use]
    pub fn memory(&self) -> Option<TrainingMemory> {
        let is_untouched = self.config.dataset.as_os_str().is_empty() && self.last.is_none();
        (!is_untouched).then(|| TrainingMemory {
            config: Some(self.config.clone()),
            preset: self.preset.map(str::to_owned),
            last: self.last.clone(),
        })
    }

    /// Whether one runs, or waits.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.run.as_ref().is_some_and(TrainingRun::is_running)
    }

    /// Everything that is wrong with the settings.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut problems = self.config.problems();
        if self.name_taken {
            let sentence = "is that of a training that is here already: resume it, or choose another one".to_owned();
            problems.push(SettingProblem { key: "name", sentence });
        }
        problems
    }

    /// What is wrong with a setting, as a sentence.
    #[must_use]
    pub fn problem(&self, key: &str) -> Option<String> {
        let problem = self.problems().into_iter().find(|problem| problem.key == key)?;
        Some(sentence(&problem))
    }

    /// Why it cannot begin now.
    #[must_use]
    pub fn blocked(&self) -> Option<String> {
        if self.begins {
            return Some("Its folder is being looked into".to_owned());
        }
        if let Some(problem) = self.problems().first() {
            return Some(sentence(problem));
        }
        match &self.foresight {
            Foresight::Failed(error) => Some(error.sentence.clone()),
            _ => None,
        }
    }

    /// Why an act cannot be done now.
    #[must_use]
    pub fn cannot(&self, action: &TrainingAction) -> Option<String> {
        let stage = self.run.as_ref().map(|run| &run.stage);
        let waits = matches!(stage, Some(TrainingStage::Pausing | TrainingStage::Paused));
        let goes = matches!(stage, Some(TrainingStage::Going | TrainingStage::Preparing(..)));
        let unless = |can: bool, why: &str| (!can).then(|| why.to_owned());
        match action {
            TrainingAction::Begin if self.is_running() => Some("A training is running already".to_owned()),
            TrainingAction::Begin => unless(self.run.is_none(), "Another training is shown").or_else(|| self.blocked()),
            TrainingAction::Pause => unless(goes, "No training is running"),
            TrainingAction::GoOn => unless(waits, "No training is paused"),
            TrainingAction::Stop => unless(self.is_running(), "No training is running"),
            TrainingAction::Resume => {
                let can = self.past.is_some() || self.run.as_ref().is_some_and(TrainingRun::can_be_resumed);
                unless(can && !self.is_running(), "There is no training to go on with")
            }
            TrainingAction::OpenTraining => unless(!self.is_running(), "A training is running"),
            _ => None,
        }
    }

    pub(super) fn begin_with(&mut self, preset: &Preset) {
        if self.preset.is_none() {
            self.own = Some(Box::new(self.config.clone()));
        }
        (preset.apply)(&mut self.config);
        self.preset = Some(preset.name);
    }

    /// The folder follows the name, where it was not chosen otherwise.
    pub(super) fn name(&mut self, name: String) {
        let follows =
            self.config.output.as_os_str().is_empty() || self.config.output == self.home.join(&self.config.name);
        if follows {
            self.config.output = if name.is_empty() { PathBuf::new() } else { self.home.join(&name) };
        }
        self.config.name = name;
        self.name_taken = false;
    }

    /// Asks what it would need, where the settings can be used at all.
    pub(super) fn foresee(&mut self) -> Option<Effect> {
        if !self.config.problems().is_empty() {
            self.foresight = Foresight::Nothing;
            return None;
        }
        self.ticket += 1;
        self.foresight = Foresight::Asked(self.foresight.forecast().cloned());
        Some(Effect::Desk(DeskCommand::Foresee { ticket: self.ticket, config: Box::new(self.config.clone()) }))
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The reason of the chosen preset for a setting.
    #[must_use]
    pub fn reason(&self, key: &str) -> Option<&'static str> {
        let preset = PRESETS.iter().find(|preset| Some(preset.name) == self.preset)?;
        preset.reasons.iter().find(|reason| reason.key == key).map(|reason| reason.sentence)
    }
}

/// A problem as a sentence about its field.
fn sentence(problem: &SettingProblem) -> String {
    let name = match problem.key {
        "dataset" => "The data set",
        "name" => "The name",
        "output" => "The folder",
        key => super::training_fields::field(key).map_or(key, |field| field.text),
    };
    let rest = match problem.key {
        // Elsewhere it speaks of two settings of a file, which are one field here.
        "steps.steps" => "must be 1 or more",
        _ => &problem.sentence,
    };
    format!("{name} {rest}")
}
