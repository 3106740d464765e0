//! The adapters and embeddings of the user's folders, and how each fits a model: what is shown before a run.

use std::path::{Path, PathBuf};

use super::{ModelRef, UserError};

/// How an adapter (`LoRA`) fits a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoraFit {
    /// Tensors in the file.
    pub keys: usize,
    /// Those that are used.
    pub keys_matched: usize,
    /// The parts of the model that it changes: name, tensors that are used, tensors.
    pub parts: Vec<(String, usize, usize)>,
    /// The family of models that it was made for, where that is known.
    pub made_for: Option<String>,
    /// Whose names it has, its smallest and largest rank, in words.
    pub form: Option<String>,
    /// How many layers of the file are not used.
    pub ignored: usize,
    /// The first of them, each with why.
    pub first_ignored: Vec<String>,
    /// What a user should know.
    pub notes: Vec<String>,
    /// Why it is not applied at all.
    pub refusal: Option<UserError>,
}

impl LoraFit {
    /// How many of the tensors are used, for a narrow place: `280 of 280 keys`.
    #[must_use]
    pub fn matched_text(&self) -> String {
        format!("{} of {} keys", self.keys_matched, self.keys)
    }
}

/// How an embedding fits a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbeddingFit {
    /// Places in a prompt that its word takes.
    pub vectors: usize,
    /// How long its vectors are, for each text encoder that it was made for.
    pub widths: Vec<usize>,
    /// Why it cannot be used with the model.
    pub refusal: Option<UserError>,
}

/// A file of the user's folders with how it fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterCard<Fit> {
    /// What a prompt calls it: the file's name without folder and ending.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// How it fits; what is wrong with the file where it cannot be read.
    pub fit: Result<Fit, UserError>,
}

impl<Fit> AdapterCard<Fit> {
    /// The card of a file.
    #[must_use]
    pub fn new(path: &Path, fit: Result<Fit, UserError>) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, path: path.to_path_buf(), fit }
    }
}

impl AdapterCard<LoraFit> {
    /// Why it cannot be used with the model: it cannot be read, or does not fit.
    #[must_use]
    pub fn refusal(&self) -> Option<&UserError> {
        self.fit.as_ref().map_or_else(Some, |fit| fit.refusal.as_ref())
    }
}

impl AdapterCard<EmbeddingFit> {
    /// Why it cannot be used with the model: it cannot be read, or does not fit.
    #[must_use]
    pub fn refusal(&self) -> Option<&UserError> {
        self.fit.as_ref().map_or_else(Some, |fit| fit.refusal.as_ref())
    }
}

/// All adapters and embeddings of the user's folders, fitted to one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterCards {
    /// The model.
    pub model: ModelRef,
    /// Adapters, by name.
    pub loras: Vec<AdapterCard<LoraFit>>,
    /// Embeddings, by name.
    pub embeddings: Vec<AdapterCard<EmbeddingFit>>,
}
