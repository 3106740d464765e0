//! Floor 5: the thread that owns the models and trains them, the one that lists, fetches and removes them, and the one that
//! keeps the files of trainings. Commands go in, events come out.

pub mod desk;
mod handle;
mod keep;
mod loaded;
mod making;
pub mod shelf;
mod timelines;
mod worker;

pub use desk::DeskHandle;
pub use handle::{COMMAND_CAPACITY, EVENT_CAPACITY, EngineHandle};
pub use keep::Keep;
pub use shelf::ModelsHandle;
pub use worker::{LookUp, Save, Wake, spawn};
