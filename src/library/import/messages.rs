//! What the window asks of the library's thread about pictures that are not in the gallery yet, and what that tells it.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::gallery::Ticket;
use super::{ImportReport, Looked};
use crate::domain::{Cancel, Picture, PictureEntry, Recipe, UserError};

/// What the window asks about pictures that are not in the gallery yet.
#[derive(Clone, Debug)]
pub enum ImportCommand {
    /// Look at a file. Answered by `Looked` or `LookFailed`.
    Look(PathBuf),
    /// Take files and folders in, one picture after the other between all other commands. Answered by `Progress` and, at
    /// its end, by `Done`.
    Take {
        /// To tell it from others.
        ticket: Ticket,
        /// Files and folders.
        sources: Vec<PathBuf>,
        /// The sender keeps a clone, to stop it.
        cancel: Cancel,
    },
    /// Save a picture that is only in memory. Answered by `Kept` or `KeepFailed`.
    Keep(Arc<Picture>, Box<Recipe>),
}

/// What the library's thread tells about pictures that are not in the gallery yet.
#[derive(Clone, Debug)]
pub enum ImportEvent {
    /// A file was looked at.
    Looked(Box<Looked>),
    /// A file could not be looked at.
    LookFailed(UserError),
    /// Pictures are being taken in.
    Progress {
        /// Which work.
        ticket: Ticket,
        /// How far.
        done: usize,
        /// Of how many, as far as is known: folders are still being walked.
        total: usize,
    },
    /// The work has ended.
    Done {
        /// Which work.
        ticket: Ticket,
        /// What became of each file.
        report: Box<ImportReport>,
        /// Why it did not come to its end, unless it did or was stopped.
        error: Option<UserError>,
    },
    /// A picture was saved.
    Kept(Box<PictureEntry>),
    /// A picture could not be saved.
    KeepFailed(UserError),
}
