//! What the program remembers from one start to the next.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::batch::BatchMemory;
use super::training::TrainingMemory;
use super::{GenerateRequest, SafetyMode, Secret};

/// Dark or light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// Neutral dark greys.
    #[default]
    Dark,
    /// Neutral light greys.
    Light,
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
    /// What to sign in to the hub with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub_token: Option<Secret>,
    /// The batch that was open; `None` where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchMemory>,
    /// The training that was being made ready, and the one that was begun last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingMemory>,
}
