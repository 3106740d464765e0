//! What the program remembers from one start to the next.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::batch::BatchMemory;
use super::training::TrainingMemory;
use super::{DeviceChoice, FamilyId, GenerateRequest, Precision, SafetyMode, Secret};

/// Dark or light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// Neutral dark greys.
    #[default]
    Dark,
    /// Neutral light greys.
    Light,
    /// As the system is; dark where it does not say.
    System,
}

impl Theme {
    /// All of them, as they stand in the settings.
    pub const ALL: [Self; 3] = [Self::Dark, Self::Light, Self::System];
}

/// How often the forming picture is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreviewPace {
    /// After every step.
    #[default]
    EveryStep,
    /// After every fifth step.
    EveryFifth,
    /// Not at all: only how far it is.
    Off,
}

impl PreviewPace {
    /// All of them, as they stand in the settings.
    pub const ALL: [Self; 3] = [Self::EveryStep, Self::EveryFifth, Self::Off];

    /// Whether the picture is shown after a step, counted from 1.
    #[must_use]
    pub fn shows(self, step: u32) -> bool {
        match self {
            Self::EveryStep => true,
            // The first one too, so that something is there.
            Self::EveryFifth => step == 1 || step.is_multiple_of(5),
            Self::Off => false,
        }
    }
}

/// How the window behaves, whatever is made in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShellSettings {
    /// How large everything is drawn, in percent of the system's own scale.
    pub scale_percent: u32,
    /// How often the forming picture is shown.
    pub preview: PreviewPace,
    /// How many threads compute; `None` for as many as the machine has. Read at the start.
    pub threads: Option<u32>,
    /// How exactly pictures are computed.
    pub precision: Precision,
    /// Whether the desktop tells when a long queue is done and nobody looks.
    pub notify: bool,
    /// Whether the tour was taken or skipped.
    pub tour_seen: bool,
    /// Commands that were run from the palette, by their names, newest first.
    pub recent_commands: Vec<String>,
    /// How long past pictures took on this machine, oldest first.
    pub timings: Vec<Timing>,
}

impl ShellSettings {
    /// Bounds of the scale, in percent.
    pub const SCALE_PERCENT: std::ops::RangeInclusive<u32> = 60..=250;
    /// Most threads that are accepted.
    pub const MAX_THREADS: u32 = 1024;
}

impl Default for ShellSettings {
    fn default() -> Self {
        Self {
            scale_percent: 100,
            preview: PreviewPace::default(),
            threads: None,
            precision: Precision::default(),
            notify: true,
            tour_seen: false,
            recent_commands: Vec::new(),
            timings: Vec::new(),
        }
    }
}

/// How long a picture took on this machine, and how much memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The family of its model.
    pub family: FamilyId,
    /// Width times height, in px.
    pub px: u64,
    /// Whether each evaluation looked at both prompts.
    pub guided: bool,
    /// On how many threads.
    pub threads: u32,
    /// One evaluation of the network, in seconds.
    pub secs_per_evaluation: f64,
    /// All that is no evaluation, in seconds: reading the prompt, decoding, saving.
    pub rest_secs: f64,
    /// The most memory that the program took meanwhile, in bytes; `None` where that is not known.
    #[serde(default)]
    pub peak_bytes: Option<u64>,
}

/// Where the window was, in logical px.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowPlace {
    /// Width inside its frame.
    pub width: f32,
    /// Height inside its frame.
    pub height: f32,
    /// Whether it filled the screen.
    pub maximized: bool,
}

/// What the program remembers from one start to the next. An unknown field is kept out; a missing one has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Dark or light.
    pub theme: Theme,
    /// Where the window was; `None` before the first start.
    pub window: Option<WindowPlace>,
    /// What was being written; `None` before the first start.
    pub draft: Option<GenerateRequest>,
    /// Whether the seed stays as it is after Generate (else a new one is drawn).
    pub seed_locked: bool,
    /// Models that the user opened, newest first.
    pub model_paths: Vec<PathBuf>,
    /// Where pictures go; `None` for the user's own pictures folder.
    pub pictures_dir: Option<PathBuf>,
    /// Folders that are looked through for models, which stay where they are.
    pub model_folders: Vec<PathBuf>,
    /// What becomes of pictures that a model's safety checker flags.
    pub safety: SafetyMode,
    /// The names of the styles that the draft's prompts are put into.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub styles: Vec<String>,
    /// Whether every step of new pictures is kept on the disk.
    pub keep_steps: bool,
    /// How the window behaves.
    pub shell: ShellSettings,
    /// What to sign in to the hub with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub_token: Option<Secret>,
    /// What computes.
    pub device: DeviceChoice,
    /// The batch that was open; `None` where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchMemory>,
    /// The training that was being made ready, and the one that was begun last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingMemory>,
}
