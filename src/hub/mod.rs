//! Floor 1: finding and downloading models from a hub that speaks Hugging Face's protocol.
//!
//! [`Hub::plan`] asks a repository what it holds and picks the files that are needed; [`Hub::download`] brings them into
//! the cache that Python's tools use too, resumes what was begun, and compares every large file with the hub's sha256.
//! Everything blocks; every call takes a [`Cancel`](crate::domain::Cancel), and stopping is how a download is paused.

mod cache;
mod catalogue;
mod client;
mod config;
mod discard;
mod download;
mod import;
mod installed;
mod messages;
mod names;
mod note;
mod pick;
mod progress;
mod redirect;
mod repo;
mod retry;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

pub use catalogue::{CATALOGUE, CatalogueEntry};
pub use client::Hub;
pub use config::{DEFAULT_ENDPOINT, HubConfig, Timing, Token};
pub use download::Downloaded;
pub use import::{Imported, import_file};
pub use installed::{InstalledRepo, InstalledSnapshot};
pub use names::RepoId;
pub use note::{Note, NotedFile};
pub use pick::{Plan, PlanOptions, PlannedFile};
pub use progress::{Progress, Stage};
pub use repo::{Gate, RemoteFile, RepoInfo};
