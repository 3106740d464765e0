//! The models on this computer and those to come: what the window asks of the models' thread, and what that answers.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::prompt::{PromptAnswer, PromptQuery};
use super::{AdapterCards, ModelRef, Secret, UserError};

/// A model to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The repository on the hub, `org/name`.
    pub repo: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The architecture: `SD 1.5`, `SD 2.1` or `SDXL`.
    pub family: &'static str,
    /// The licence in a few words; the repository's page has the text that counts.
    pub licence: &'static str,
    /// About how much is downloaded when half-size weights are preferred, in bytes: two bytes for each parameter of the
    /// U-Net, the text encoders, the VAE and, where there is one, the safety checker; four where only full-size ones are
    /// offered.
    pub approx_bytes: u64,
    /// The side of a picture that it was trained for, in px.
    pub side_px: u32,
    /// Whether it is made to fill a masked part of a picture.
    pub is_inpainting: bool,
    /// What it is good at.
    pub good_at: &'static str,
}

/// Where a model lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelHome {
    /// In the program's own models folder: it was imported.
    Own,
    /// In the hub's cache, which other programs use too.
    HubCache,
    /// In a folder that the user named. It is used where it lies and never changed.
    Named,
}

/// What a file or folder turned out to be, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelSummary {
    /// A sentence: what it is, and what it can be used for.
    pub description: String,
    /// Whether pictures can be made with it alone. A `LoRA`, a VAE or an embedding is used with a model.
    pub is_model: bool,
    /// Its family, such as `Stable Diffusion XL, inpainting`.
    pub family: Option<String>,
    /// The type of most of its numbers, such as `f16`.
    pub dtype: String,
    /// Number of its parameters.
    pub parameters: u64,
    /// The networks in it, such as `unet`.
    pub components: Vec<String>,
    /// The licence that the file itself names.
    pub licence: Option<String>,
}

/// How a model on this computer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// It can be used.
    Ready(ModelSummary),
    /// It cannot be used, and why.
    Refused(UserError),
    /// Its download was begun and not ended.
    Unfinished {
        /// The bytes that are here.
        have_bytes: u64,
        /// The bytes of the whole.
        total_bytes: u64,
    },
}

/// A model on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEntry {
    /// Its name for people: the repository, the file or the folder.
    pub name: String,
    /// Its file or folder, as a request names it.
    pub path: PathBuf,
    /// The repository on the hub, `org/name`, where it came from there.
    pub repo: Option<String>,
    /// Where it lies.
    pub home: ModelHome,
    /// The bytes that it takes on the disk.
    pub size_bytes: u64,
    /// Its licence, where that is known.
    pub licence: Option<String>,
    /// How it stands.
    pub state: ModelState,
}

impl ModelEntry {
    /// What it is, where it can be used.
    #[must_use]
    pub fn summary(&self) -> Option<&ModelSummary> {
        match &self.state {
            ModelState::Ready(summary) => Some(summary),
            ModelState::Refused(_) | ModelState::Unfinished { .. } => None,
        }
    }

    /// Whether this program may take it from the disk.
    #[must_use]
    pub fn is_removable(&self) -> bool {
        self.home != ModelHome::Named
    }
}

/// What a download will bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadPlan {
    /// The licence as the repository's card names it.
    pub licence: Option<String>,
    /// Whether its terms must be accepted on its page first.
    pub has_terms: bool,
    /// How many files.
    pub files: usize,
    /// The bytes of all files.
    pub total_bytes: u64,
    /// The bytes of them that are not here yet.
    pub missing_bytes: u64,
    /// The free bytes of the disk, where it says.
    pub free_bytes: Option<u64>,
}

/// What is brought here: the key of its progress.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TransferKey {
    /// A repository of the hub, `org/name`.
    Repo(String),
    /// A file of this computer.
    File(PathBuf),
}

impl TransferKey {
    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Repo(repo) => repo.clone(),
            Self::File(path) => file_name(path),
        }
    }
}

/// What a transfer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferStage {
    /// Looking at what is here already.
    Checking,
    /// Bytes arrive.
    Moving,
    /// Waiting for a busy server, a lost connection, or another program that downloads the same file.
    Waiting,
}

/// How far a transfer is.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferProgress {
    /// What it is doing.
    pub stage: TransferStage,
    /// The file in hand.
    pub file: String,
    /// Which of the files, from 1.
    pub file_number: usize,
    /// All files.
    pub files: usize,
    /// The bytes that are here.
    pub done_bytes: u64,
    /// The bytes of all files.
    pub total_bytes: u64,
    /// Bytes a second over the last seconds, once that can be told.
    pub bytes_per_sec: Option<f64>,
    /// Seconds to the end at that speed.
    pub secs_left: Option<f64>,
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferEnd {
    /// It is here, at this path.
    Done(PathBuf),
    /// It was stopped; what arrived stays, and it can go on.
    Paused,
    /// It was stopped, and what it had brought is gone.
    Cancelled,
    /// It failed; what arrived of a download stays.
    Failed(UserError),
}

/// Where the access token comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenSource {
    /// There is none.
    #[default]
    None,
    /// The user entered it here.
    Settings,
    /// From `HF_TOKEN`, or the file that the hub's own tools leave.
    Elsewhere,
}

/// What the window asks of the models' thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelsCommand {
    /// List the models that are here. Answered by `Listed`.
    List,
    /// Look into these folders too, from now on. Answered by `Listed`.
    UseFolders(Vec<PathBuf>),
    /// Sign in with this token; with `None` by what the environment has. Answered by `Token`.
    UseToken(Option<Secret>),
    /// Say what a file or folder is. Answered by `Inspected`.
    Inspect(PathBuf),
    /// Say how the adapters and embeddings of the user's folders fit a model. Answered by `Fitted`.
    Fit(ModelRef),
    /// Something about a prompt that is being written. Answered by `Prompt`.
    Prompt(PromptQuery),
    /// Ask the hub what a download would bring. Answered by `Planned` or `TransferEnded`.
    Plan(String),
    /// Download a repository, or go on with it. Answered by `TransferMoved`, then `TransferEnded`.
    Download(String),
    /// Copy a file into the program's own folder. Answered by `TransferMoved`, then `TransferEnded`.
    Import(PathBuf),
    /// Stop a transfer, and keep what arrived.
    Pause(TransferKey),
    /// Stop a transfer, and throw away what it brought.
    Cancel(TransferKey),
    /// Take a model from the disk: the entry's path. Answered by `Removed`, or by `RemoveFailed`.
    Remove(PathBuf),
    /// Pause what runs and end the thread.
    Shutdown,
}

/// What the models' thread tells the window.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelsEvent {
    /// The models that are here, and what could not be looked at.
    Listed {
        /// Sorted by name.
        entries: Vec<ModelEntry>,
        /// A folder that is not there, a cache that cannot be read.
        problems: Vec<UserError>,
    },
    /// What a file or folder is, or why it is refused.
    Inspected {
        /// Which.
        path: PathBuf,
        /// What it is.
        found: Result<ModelSummary, UserError>,
    },
    /// How the adapters and embeddings fit a model, or why that cannot be told.
    Fitted {
        /// The model.
        model: ModelRef,
        /// One card a file.
        cards: Result<AdapterCards, UserError>,
    },
    /// Something about a prompt that is being written.
    Prompt(PromptAnswer),
    /// What a download would bring.
    Planned {
        /// The repository.
        repo: String,
        /// Its page, with its terms.
        page: String,
        /// The plan.
        plan: DownloadPlan,
    },
    /// How far a transfer is.
    TransferMoved {
        /// Which.
        key: TransferKey,
        /// How far.
        progress: TransferProgress,
    },
    /// A transfer has ended.
    TransferEnded {
        /// Which.
        key: TransferKey,
        /// How.
        end: TransferEnd,
    },
    /// A model is gone from the disk.
    Removed {
        /// Its path.
        path: PathBuf,
        /// The bytes that it took.
        freed_bytes: u64,
    },
    /// A model could not be removed.
    RemoveFailed {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: UserError,
    },
    /// Whether there is an access token.
    Token {
        /// Where it comes from.
        source: TokenSource,
        /// The hub's page of tokens.
        page: String,
        /// Why the one that was entered cannot be used.
        problem: Option<UserError>,
    },
}

/// A number of bytes for people, in powers of 1000 as the hub's pages write them: `2.6 GB`.
#[must_use]
pub fn bytes_text(bytes: u64) -> String {
    let (unit, name) = match bytes {
        1_000_000_000.. => (1e9, "GB"),
        1_000_000.. => (1e6, "MB"),
        1_000.. => (1e3, "kB"),
        _ => return format!("{bytes} bytes"),
    };
    format!("{:.1} {name}", bytes as f64 / unit)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_the_hub_does() {
        let texts = [999, 1_000, 2_580_000_000].map(bytes_text);
        assert_eq!(texts, ["999 bytes", "1.0 kB", "2.6 GB"]);
    }

    #[test]
    fn a_command_with_a_token_does_not_show_it() {
        let command = ModelsCommand::UseToken(Some(Secret::new("hf_abc")));
        assert!(!format!("{command:?}").contains("hf_abc"));
    }
}
