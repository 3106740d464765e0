//! Trainings as plain data: what is asked for ([`TrainingConfig`]), what to begin with ([`PRESETS`]), and what is told while
//! one runs ([`TrainingEvent`]).

mod config;
mod event;
mod presets;
mod problems;

pub use config::{
    CheckpointSettings, Crop, EmaSettings, LoraSettings, LossSettings, Method, OptimizerSettings, PictureSettings,
    SampleSettings, SavePrecision, Schedule, StepSettings, Targets, TrainingConfig, TrainingPrecision,
    ValidationSettings,
};
pub use event::{Control, Forecast, Share, TrainingEvent, TrainingStep};
pub use presets::{PRESETS, Preset, Reason, suit};
pub use problems::SettingProblem;
