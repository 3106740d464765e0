//! Trainings as plain data: what is asked for ([`TrainingConfig`]), what to begin with ([`PRESETS`]), and what is told while
//! one runs ([`TrainingEvent`]).

mod config;
mod desk;
mod event;
mod presets;
mod problems;

pub use config::{
    CheckpointSettings, Crop, EmaSettings, LoraSettings, LossSettings, Method, OptimizerSettings, PictureSettings,
    SampleSettings, SavePrecision, Schedule, StepSettings, Targets, TrainingConfig, TrainingPrecision,
    ValidationSettings,
};
pub use desk::{DeskCommand, DeskEvent, PastSample, PastTraining, TrainingCommand, TrainingMemory};
pub use event::{Control, Forecast, RowLoss, Share, Sketch, TrainingEvent, TrainingStep};
pub use presets::{PRESETS, Preset, Reason, suit};
pub use problems::SettingProblem;
