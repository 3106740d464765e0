//! Messages in the window: errors with their hint and path, and short confirmations.

use std::path::PathBuf;

use crate::domain::{GenerateRequest, UserError};

use super::errors::ErrorLog;

/// Most notices that are kept; the oldest go first.
pub const MAX_NOTICES: usize = 5;

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something went wrong. Stays until it is dismissed.
    Error,
    /// Something is worth knowing. Gives way to the next of its kind.
    Info,
}

/// A message in the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its key.
    pub key: u64,
    /// How much it matters.
    pub severity: Severity,
    /// What happened.
    pub sentence: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The file or folder it is about.
    pub path: Option<PathBuf>,
    /// How often in a row it came.
    pub times: u32,
    /// Whether it tells of something that can be undone.
    pub is_undoable: bool,
}

/// The messages in the window, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    list: Vec<Notice>,
    next_key: u64,
    /// The errors of this session, also those whose message was closed.
    pub errors: ErrorLog,
}

impl Notices {
    /// All of them, oldest first.
    #[must_use]
    pub fn list(&self) -> &[Notice] {
        &self.list
    }

    /// Shows an error. The same one again only counts up, so that a failing queue does not bury the window.
    pub fn error(&mut self, error: UserError) {
        self.error_about(error, None);
    }

    /// The same, about a picture that was to be made.
    pub fn error_about(&mut self, error: UserError, request: Option<Box<GenerateRequest>>) {
        // Errors end here: nobody else writes them down.
        tracing::warn!(hint = error.hint, path = ?error.path, "{}", error.sentence);
        self.errors.add(error.clone(), request);
        let UserError { kind: _, sentence, hint, path } = error;
        let same = |n: &&mut Notice| n.severity == Severity::Error && n.sentence == sentence && n.path == path;
        if let Some(notice) = self.list.iter_mut().find(same) {
            notice.times += 1;
            return;
        }
        self.push(Severity::Error, sentence, hint, path, false);
    }

    /// Shows a confirmation in place of the one before.
    pub fn info(&mut self, sentence: impl Into<String>, path: Option<PathBuf>) {
        self.dismiss_info();
        self.push(Severity::Info, sentence.into(), None, path, false);
    }

    /// The same, about something that can be undone.
    pub fn undoable(&mut self, sentence: impl Into<String>) {
        self.dismiss_info();
        self.push(Severity::Info, sentence.into(), None, None, true);
    }

    /// Closes one.
    pub fn dismiss(&mut self, key: u64) {
        self.list.retain(|notice| notice.key != key);
    }

    /// Closes all errors: they are read in the list.
    pub(super) fn dismiss_errors(&mut self) {
        self.list.retain(|notice| notice.severity != Severity::Error);
    }

    /// Closes the confirmation that is shown, once the user does something new.
    pub fn dismiss_info(&mut self) {
        self.list.retain(|notice| notice.severity != Severity::Info);
    }

    fn push(
        &mut self,
        severity: Severity,
        sentence: String,
        hint: Option<String>,
        path: Option<PathBuf>,
        is_undoable: bool,
    ) {
        self.next_key += 1;
        self.list.push(Notice { key: self.next_key, severity, sentence, hint, path, times: 1, is_undoable });
        let surplus = self.list.len().saturating_sub(MAX_NOTICES);
        self.list.drain(..surplus);
    }
}
