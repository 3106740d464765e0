//! The hub against a server that misbehaves: what its tests share.

mod download;
mod installed;
mod misbehaviour;
mod refusals;

#[allow(dead_code, reason = "shared with the tests of the command line")]
pub(crate) mod hub_server;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{Hub, HubConfig, Plan, PlanOptions, Progress, RepoId, Timing};
use crate::domain::{Cancel, Result, UserError};
use hub_server::{COMMIT, HubServer, Served};

/// The large file that most tests are about.
const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
/// Its length: several pieces of a body.
const UNET_BYTES: usize = 300_000;
/// A small file, which has no sha256.
const CONFIG: &str = "unet/config.json";

/// A hub with one pipeline, and an empty cache.
struct Place {
    server: HubServer,
    hub: Hub,
    repo: RepoId,
    cache: TempDir,
}

impl Place {
    fn new() -> Self {
        let server = HubServer::start(vec![
            small("model_index.json", r#"{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "U"]}"#),
            small(CONFIG, r#"{"in_channels": 4}"#),
            large(UNET, UNET_BYTES),
            large("unet/diffusion_pytorch_model.bin", 10),
        ]);
        let cache = tempfile::tempdir().unwrap();
        let hub = Hub::new(config(&server, cache.path()));
        Self { server, hub, repo: RepoId::parse("org/name").unwrap(), cache }
    }

    /// This place with another configuration of the hub.
    fn with(mut self, change: impl FnOnce(&mut HubConfig)) -> Self {
        let mut config = config(&self.server, self.cache.path());
        change(&mut config);
        self.hub = Hub::new(config);
        self
    }

    fn plan(&self) -> Result<Plan> {
        self.hub.plan(&self.repo, "main", &PlanOptions::default(), &Cancel::default())
    }

    fn download(&self) -> Result<PathBuf> {
        self.download_reported(&Cancel::default(), &mut |_| {})
    }

    fn download_reported(&self, cancel: &Cancel, report: &mut dyn FnMut(&Progress)) -> Result<PathBuf> {
        self.hub.download(&self.plan()?, cancel, report).map(|downloaded| downloaded.folder)
    }

    fn repo_folder(&self) -> PathBuf {
        self.cache.path().join("models--org--name")
    }

    /// The unfinished content of the large file.
    fn incomplete(&self) -> PathBuf {
        self.repo_folder().join("blobs").join(format!("{}.incomplete", sha256(&content(UNET_BYTES))))
    }

    /// The ranges of the requests for the large file's content that came to the store; an empty text for none.
    fn ranges(&self) -> Vec<String> {
        let seen = self.server.seen();
        let asked = seen.iter().filter(|seen| seen.at_store && seen.path.contains(UNET));
        asked.map(|seen| seen.headers.get("range").cloned().unwrap_or_default()).collect()
    }

    /// Everything is in the cache, byte for byte.
    fn assert_whole(&self) {
        let folder = self.repo_folder().join("snapshots").join(COMMIT);
        assert!(fs::read(folder.join(UNET)).unwrap() == content(UNET_BYTES), "the content differs");
        assert!(folder.join("model_index.json").is_file() && folder.join(CONFIG).is_file());
        assert!(!folder.join("unet/diffusion_pytorch_model.bin").exists(), "not needed");
        assert!(!self.incomplete().exists());
    }

    /// The large file is not in the cache, neither under the repository's name nor under its hash.
    fn assert_absent(&self) {
        assert!(!self.repo_folder().join("snapshots").join(COMMIT).join(UNET).exists());
        assert!(!self.repo_folder().join("blobs").join(sha256(&content(UNET_BYTES))).exists());
        assert!(!self.repo_folder().join("refs/main").exists());
    }
}

fn config(server: &HubServer, cache: &Path) -> HubConfig {
    let mut config = HubConfig::new(&server.endpoint, cache).unwrap();
    config.timing = Timing {
        connect: Duration::from_secs(20),
        // Long, because a busy machine must not make it; the tests that stall have their own.
        stall: Duration::from_secs(20),
        tries: 3,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
    };
    config
}

fn small(name: &str, text: &str) -> Served {
    Served { name: name.to_owned(), bytes: text.as_bytes().to_vec(), sha256: None }
}

fn large(name: &str, length: usize) -> Served {
    let bytes = content(length);
    Served { name: name.to_owned(), sha256: Some(sha256(&bytes)), bytes }
}

/// Bytes without a pattern that a wrong offset could hit.
fn content(length: usize) -> Vec<u8> {
    let mut state = length as u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The sentence and the hint hold these words.
fn assert_says(error: &UserError, sentence: &str, hint: &str) {
    assert!(error.sentence.contains(sentence), "{sentence:?} is not in: {error}");
    assert!(error.hint.as_deref().is_some_and(|text| text.contains(hint)), "{hint:?} is not in the hint of: {error}");
}
