//! Floor 0: plain data that every other module speaks in. No I/O, no tensors, no window.

mod adapters;
mod error;
mod event;
mod family;
mod gallery;
pub mod grid;
mod picture;
pub mod prompt;
mod recipe;
mod request;
mod safety;
mod scheduler;
pub mod search;
mod secret;
mod settings;
mod shelf;
mod variation;

pub use adapters::{AdapterCard, AdapterCards, EmbeddingFit, LoraFit};
pub use error::{ErrorKind, Result, UserError};
pub use event::{Cancel, Command, Event, Job, JobId};
pub use family::{Capabilities, FamilyId, ModelInfo};
pub use gallery::{
    BulkWork, Collection, CollectionId, GalleryRow, Marks, RecipeInCopy, Scope, SearchRequest, SearchResult, SortOrder,
    TrashedPicture,
};
pub use picture::{ImageFormat, Picture, PictureEntry, PictureId};
pub use recipe::Recipe;
pub use request::{Extend, GenerateRequest, Hires, InitImage, LoraUse, ModelRef, Problem, limits};
pub use safety::{SafetyMode, Verdict, black, blur};
pub use scheduler::{BetaSchedule, PredictionType, SamplerId, ScheduleId, SchedulerConfig, TimestepSpacing};
pub use secret::Secret;
pub use settings::{Settings, Theme, WindowPlace};
pub use shelf::{
    CatalogueEntry, DownloadPlan, ModelEntry, ModelHome, ModelState, ModelSummary, ModelsCommand, ModelsEvent,
    TokenSource, TransferEnd, TransferKey, TransferProgress, TransferStage, bytes_text,
};
pub use variation::Variation;
