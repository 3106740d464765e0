//! Floor 0: plain data that every other module speaks in. No I/O, no tensors, no window.

mod adapters;
pub mod batch;
pub mod dataset;
mod digest;
mod error;
mod event;
mod family;
mod fork;
mod gallery;
pub mod grid;
mod init_image;
mod job;
mod likeness;
mod picture;
mod plane;
mod precision;
pub mod prompt;
mod recipe;
mod request;
mod safe_path;
mod safety;
mod scheduler;
pub mod search;
mod secret;
mod settings;
mod shelf;
pub mod template;
pub mod training;
mod variation;

pub use adapters::{AdapterCard, AdapterCards, EmbeddingFit, LoraFit};
pub use digest::{fnv1a, hex};
pub use error::{ErrorKind, Result, UserError};
pub use event::{Command, Event, StepPreview};
pub use family::{Capabilities, FamilyId, ModelInfo};
pub use fork::Fork;
pub use gallery::{
    BulkWork, Collection, CollectionId, GalleryRow, Marks, RecipeInCopy, Scope, SearchRequest, SearchResult, SortOrder,
    TrashedPicture,
};
pub use init_image::{Extend, Hires, InitImage};
pub use job::{Cancel, Job, JobId, Priority, QueuedJob};
pub use likeness::{FieldDifference, Likeness, NEAR_DB, Outcome, recipe_differences, replay_reasons};
pub use picture::{ImageFormat, Picture, PictureEntry, PictureId};
pub use plane::{Plane, PlaneTile};
pub use precision::Precision;
pub use recipe::{Machine, Recipe};
pub use request::{GenerateRequest, LoraUse, ModelRef, Problem, limits};
pub use safe_path::safe_path;
pub use safety::{SafetyMode, Verdict, black, blur};
pub use scheduler::{BetaSchedule, PredictionType, SamplerId, ScheduleId, SchedulerConfig, TimestepSpacing};
pub use secret::Secret;
pub use settings::{PreviewPace, Settings, ShellSettings, Theme, Timing, WindowPlace};
pub use shelf::{
    CatalogueEntry, DownloadPlan, ModelEntry, ModelHome, ModelState, ModelSummary, ModelsCommand, ModelsEvent,
    TokenSource, TransferEnd, TransferKey, TransferProgress, TransferStage, bytes_text,
};
pub use variation::Variation;
