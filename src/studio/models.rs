//! Which models the user opened, and what is known of them.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::domain::{ModelInfo, ModelRef, UserError};

/// Most opened models that are remembered.
const MAX_RECENT: usize = 12;

/// What is known of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelStatus {
    /// It was asked for; the engine has not answered yet.
    Loading,
    /// It works.
    Ready(ModelInfo),
    /// It could not be loaded.
    Failed(UserError),
}

/// The models that can be chosen.
#[derive(Clone, Debug, Default)]
pub struct Models {
    /// Folders that the user opened, newest first.
    pub recent: Vec<PathBuf>,
    status: HashMap<ModelRef, ModelStatus>,
    /// The model whose defaults the draft takes on once its family is known: one that the user has just chosen.
    pub(super) defaults_wanted: Option<ModelRef>,
}

impl Models {
    pub(super) fn new(recent: Vec<PathBuf>) -> Self {
        Self { recent, ..Self::default() }
    }

    /// What is known of a model; `None` when it was never asked for.
    #[must_use]
    pub fn status(&self, model: &ModelRef) -> Option<&ModelStatus> {
        self.status.get(model)
    }

    /// What a loaded model turned out to be.
    #[must_use]
    pub fn info(&self, model: &ModelRef) -> Option<&ModelInfo> {
        match self.status(model) {
            Some(ModelStatus::Ready(info)) => Some(info),
            Some(ModelStatus::Loading | ModelStatus::Failed(_)) | None => None,
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn name(&self, model: &ModelRef) -> String {
        match (self.info(model), model) {
            (Some(info), _) => info.name.clone(),
            (None, ModelRef::Starter) => "Starter".to_owned(),
            (None, ModelRef::Path(_)) => model.to_string(),
        }
    }

    /// Whether it must be loaded before it can be used: it never was, or that failed.
    pub(super) fn needs_loading(&self, model: &ModelRef) -> bool {
        !matches!(self.status(model), Some(ModelStatus::Ready(_) | ModelStatus::Loading))
    }

    pub(super) fn set(&mut self, model: ModelRef, status: ModelStatus) {
        self.status.insert(model, status);
    }

    pub(super) fn remember(&mut self, model: &ModelRef) {
        if let ModelRef::Path(path) = model {
            self.recent.retain(|other| other != path);
            self.recent.insert(0, path.clone());
            self.recent.truncate(MAX_RECENT);
        }
    }
}
