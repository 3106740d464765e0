//! Floor 5: the thread that owns the models, and the one that lists, fetches and removes them. Commands go in, events
//! come out.

mod handle;
mod keep;
mod loaded;
mod making;
pub mod shelf;
mod timelines;
mod worker;

pub use handle::{COMMAND_CAPACITY, EVENT_CAPACITY, EngineHandle};
pub use keep::Keep;
pub use shelf::ModelsHandle;
pub use worker::{LookUp, Save, Wake, spawn};
