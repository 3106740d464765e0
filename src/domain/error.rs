//! The one error type that reaches a person: a sentence, a hint, a path.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything that can fail in front of a user.
pub type Result<T> = std::result::Result<T, UserError>;

/// Whose fault it was, which decides the exit code of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Bad usage or bad input: a wrong size, a broken file. Exit code 2.
    Input,
    /// The work itself failed: a full disk, a fault in the program. Exit code 1.
    Failed,
    /// The user stopped it. Exit code 1, and nothing to complain about.
    Cancelled,
}

/// An error as a person reads it.
///
/// `Display` gives the sentence, then the hint, then the path, each on a line of its own where present.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UserError {
    /// Whose fault it was.
    pub kind: ErrorKind,
    /// One sentence on what went wrong, without a full stop where a list of names ends it.
    pub sentence: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The file or folder it was about.
    pub path: Option<PathBuf>,
}

impl UserError {
    /// Bad usage or bad input (exit code 2).
    pub fn input(sentence: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, sentence)
    }

    /// Work that failed (exit code 1).
    pub fn failed(sentence: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, sentence)
    }

    /// Work that the user stopped.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "Cancelled")
    }

    fn new(kind: ErrorKind, sentence: impl Into<String>) -> Self {
        Self { kind, sentence: sentence.into(), hint: None, path: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the file or folder it was about.
    #[must_use]
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.path = Some(path.as_ref().to_path_buf());
        self
    }

    /// The process exit code: 2 for bad usage or input, 1 for failed work.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Input => 2,
            ErrorKind::Failed | ErrorKind::Cancelled => 1,
        }
    }

    /// Whether the user stopped the work, so that nothing is to be reported.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.kind == ErrorKind::Cancelled
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        if let Some(path) = &self.path {
            write!(f, "\npath: {}", path.display())?;
        }
        Ok(())
    }
}
