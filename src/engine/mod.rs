//! Floor 5: the thread that owns the models. Commands go in, events come out.

mod handle;
mod worker;

pub use handle::{COMMAND_CAPACITY, EVENT_CAPACITY, EngineHandle};
pub use worker::{Save, Wake, spawn};
