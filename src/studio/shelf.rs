//! [`Shelf`]: the Models place. Which models are here, what is on its way, what was looked at and refused.

use std::path::{Path, PathBuf};

use crate::domain::{
    DownloadPlan, ModelEntry, ModelState, ModelSummary, ModelsEvent, Secret, TokenSource, TransferEnd, TransferKey,
    TransferProgress, UserError, bytes_text,
};

/// How a transfer stands.
#[derive(Clone, Debug, PartialEq)]
pub enum TransferState {
    /// The hub is asked what there is to fetch.
    Planning,
    /// The user is asked whether to fetch it.
    Planned,
    /// It will begin when the one before it has ended.
    Waiting,
    /// It moves.
    Running(TransferProgress),
    /// The user stopped it; it can go on.
    Paused(Option<TransferProgress>),
    /// It failed; it can be tried again.
    Failed(UserError),
}

/// A download or an import.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Which.
    pub key: TransferKey,
    /// How it stands.
    pub state: TransferState,
    /// What a download will bring, once the hub has told.
    pub plan: Option<DownloadPlan>,
    /// The repository's page, once that is known.
    pub page: Option<String>,
}

/// A file or folder that is or was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Which.
    pub path: PathBuf,
    /// What it is, or why it is refused; `None` while it is looked at.
    pub found: Option<Result<ModelSummary, UserError>>,
}

/// Most looks that are shown.
const MAX_LOOKS: usize = 8;

/// The Models place.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// Whether the models were listed yet.
    pub listed: bool,
    /// The models that are here, sorted by name.
    pub entries: Vec<ModelEntry>,
    /// What could not be looked at.
    pub problems: Vec<UserError>,
    /// Folders that the user named.
    pub folders: Vec<PathBuf>,
    /// Downloads and imports, in the order in which they were asked for.
    pub transfers: Vec<Transfer>,
    /// What was looked at, newest first.
    pub looks: Vec<Look>,
    /// The repository that is being typed.
    pub repo_field: String,
    /// The access token that is being typed.
    pub token_field: Secret,
    /// Where the access token comes from.
    pub token: TokenSource,
    /// The hub's page of tokens.
    pub token_page: Option<String>,
    /// Why the token cannot be used.
    pub token_problem: Option<UserError>,
    /// The model whose removal is to be confirmed: its path.
    pub removing: Option<PathBuf>,
    /// The token that is remembered.
    pub(super) saved_token: Option<Secret>,
}

impl Shelf {
    pub(super) fn new(folders: Vec<PathBuf>, saved_token: Option<Secret>) -> Self {
        Self { folders, saved_token, ..Self::default() }
    }

    /// The transfer of this key.
    #[must_use]
    pub fn transfer(&self, key: &TransferKey) -> Option<&Transfer> {
        self.transfers.iter().find(|transfer| transfer.key == *key)
    }

    /// The model that came from this repository.
    #[must_use]
    pub fn from_repo(&self, repo: &str) -> Option<&ModelEntry> {
        self.entries.iter().find(|entry| entry.repo.as_deref() == Some(repo))
    }

    /// Whether something is being asked or moved for this repository, or failed.
    #[must_use]
    pub fn is_coming(&self, repo: &str) -> bool {
        self.transfers.iter().any(|transfer| matches!(&transfer.key, TransferKey::Repo(other) if other == repo))
    }

    /// The entries that are shown in the list: one whose transfer is shown is shown there.
    pub fn shown(&self) -> impl Iterator<Item = &ModelEntry> {
        let is_unfinished = |entry: &ModelEntry| matches!(entry.state, ModelState::Unfinished { .. });
        self.entries.iter().filter(move |entry| {
            !(is_unfinished(entry) && entry.repo.as_deref().is_some_and(|repo| self.is_coming(repo)))
        })
    }

    pub(super) fn set(&mut self, key: TransferKey, state: TransferState) {
        match self.transfers.iter_mut().find(|transfer| transfer.key == key) {
            Some(transfer) => transfer.state = state,
            None => self.transfers.push(Transfer { key, state, plan: None, page: None }),
        }
    }

    pub(super) fn forget(&mut self, key: &TransferKey) {
        self.transfers.retain(|transfer| transfer.key != *key);
    }

    pub(super) fn look(&mut self, path: PathBuf) {
        self.looks.retain(|look| look.path != path);
        self.looks.insert(0, Look { path, found: None });
        self.looks.truncate(MAX_LOOKS);
    }

    pub(super) fn forget_look(&mut self, path: &Path) {
        self.looks.retain(|look| look.path != path);
    }

    /// Takes in what the models' thread says, and answers with a sentence to show, an error to show, or nothing.
    pub(super) fn on_event(&mut self, event: ModelsEvent) -> Option<Result<String, UserError>> {
        match event {
            ModelsEvent::Listed { entries, problems } => {
                self.listed = true;
                self.removing.take_if(|path| !entries.iter().any(|entry| entry.path == *path));
                self.entries = entries;
                self.problems = problems;
            }
            ModelsEvent::Inspected { path, found } => {
                // One that was closed meanwhile is of no interest any more.
                if let Some(look) = self.looks.iter_mut().find(|look| look.path == path) {
                    look.found = Some(found);
                }
            }
            // Not of this place: `State` takes it.
            ModelsEvent::Fitted { .. } | ModelsEvent::Prompt(_) => {}
            ModelsEvent::Planned { repo, page, plan } => {
                let key = TransferKey::Repo(repo);
                if let Some(transfer) = self.transfers.iter_mut().find(|transfer| transfer.key == key) {
                    transfer.plan = Some(plan);
                    transfer.page = Some(page);
                    if transfer.state == TransferState::Planning {
                        transfer.state = TransferState::Planned;
                    }
                }
            }
            ModelsEvent::TransferMoved { key, progress } => self.set(key, TransferState::Running(progress)),
            ModelsEvent::TransferEnded { key, end } => return self.ended(key, end),
            ModelsEvent::Removed { path, freed_bytes } => {
                self.removing.take_if(|removing| *removing == path);
                return Some(Ok(format!("Removed; {} are free again", bytes_text(freed_bytes))));
            }
            ModelsEvent::RemoveFailed { path, error } => {
                self.removing.take_if(|removing| *removing == path);
                return Some(Err(error));
            }
            ModelsEvent::Token { source, page, problem } => {
                self.token = source;
                self.token_page = Some(page);
                self.token_problem = problem;
            }
        }
        None
    }

    fn ended(&mut self, key: TransferKey, end: TransferEnd) -> Option<Result<String, UserError>> {
        match end {
            TransferEnd::Done(_) => {
                let name = key.name();
                self.forget(&key);
                return Some(Ok(format!("{name} is here")));
            }
            TransferEnd::Cancelled => self.forget(&key),
            TransferEnd::Paused => {
                // What is imported is copied anew: there is nothing to go on from.
                let TransferKey::Repo(_) = key else {
                    self.forget(&key);
                    return None;
                };
                let last = match self.transfer(&key).map(|transfer| &transfer.state) {
                    Some(TransferState::Running(progress)) => Some(progress.clone()),
                    _ => None,
                };
                self.set(key, TransferState::Paused(last));
            }
            TransferEnd::Failed(error) => self.set(key, TransferState::Failed(error)),
        }
        None
    }
}

/// The repository in what a person typed or pasted: its name, or the address of its page.
#[must_use]
pub fn repo_of(text: &str) -> String {
    let text = text.trim();
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => text,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    let mut parts = path.split('/');
    match (parts.next(), parts.next()) {
        // An address goes on to a branch or a file.
        (Some(owner), Some(name)) if text.contains("://") => format!("{owner}/{name}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
