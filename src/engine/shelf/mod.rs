//! The models on this computer: listing, inspecting, importing, downloading and removing them.
//!
//! The functions block, for the command line; [`spawn`] puts them behind a thread, for the window. What a file is comes
//! from [`weights::layout`](crate::weights::layout), what a repository holds from [`hub`](crate::hub); nothing is loaded.

mod describe;
mod fit;
mod handle;
mod import;
mod list;
mod prompts;
mod service;
mod transfer;

#[cfg(test)]
mod tests;

pub use describe::{check_finite, inspect, summarise};
pub use fit::{Fitted, fit, fit_all, lora_fit};
pub use handle::{COMMAND_CAPACITY, EVENT_CAPACITY, ModelsHandle};
pub use import::import;
pub use list::{Listing, Places, find, list, remove};
pub use service::{Wake, spawn, spawn_with};
pub use transfer::{Planned, plan, progress_of};
