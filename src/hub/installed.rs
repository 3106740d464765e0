//! What is in the cache already, whoever downloaded it, and how one repository leaves it.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::cache::{INCOMPLETE, RepoCache};
use super::client::Hub;
use super::names::{RepoId, is_commit};
use super::note::Note;
use super::pick::{self, MODEL_INDEX, has_end};
use crate::domain::{Result, UserError};

/// How deep the folders of a snapshot are looked through; a pipeline's are two.
const MAX_DEPTH: usize = 6;
/// How the name of a folder begins that is being removed.
const REMOVED: &str = ".atelier-removed-";

/// One repository of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledRepo {
    /// Its name.
    pub repo: RepoId,
    /// Its folder in the cache.
    pub folder: PathBuf,
    /// The bytes that its files take on the disk, unfinished ones too.
    pub disk_bytes: u64,
    /// The bytes of unfinished files, from which a download goes on.
    pub unfinished_bytes: u64,
    /// What a download by this program noted.
    pub note: Option<Note>,
    /// Its commits that are there, sorted by hash.
    pub snapshots: Vec<InstalledSnapshot>,
}

/// One commit of a repository in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledSnapshot {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// The branches and tags that were this commit when they were last asked for.
    pub revisions: Vec<String>,
    /// The folder with the files under the repository's names.
    pub folder: PathBuf,
    /// The bytes of its files.
    pub size_bytes: u64,
    /// What is missing of it, a sentence each; empty when it is complete.
    pub problems: Vec<String>,
}

impl InstalledSnapshot {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Hub {
    /// The repositories in the cache, sorted by name. A cache that is not there yet is empty; folders that are none of the
    /// cache's are passed over.
    ///
    /// # Errors
    /// When the cache's folder cannot be read.
    pub fn installed(&self) -> Result<Vec<InstalledRepo>> {
        let folder = &self.config.cache_dir;
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(UserError::failed(format!("Could not read the folder of downloaded models: {error}"))
                    .hint("check that you may read it, or choose another with HF_HOME")
                    .path(folder));
            }
        };
        let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let mut repos: Vec<InstalledRepo> = entries
            .flatten()
            .filter(is_folder)
            .filter_map(|entry| Some((RepoId::from_folder(entry.file_name().to_str()?)?, entry.path())))
            .map(|(repo, folder)| look_at(repo, folder))
            .collect();
        repos.sort_by(|one, other| one.repo.cmp(&other.repo));
        Ok(repos)
    }

    /// Removes a repository from the cache with all its commits and unfinished files, and says how many bytes that freed.
    ///
    /// # Errors
    /// When it is not there, is being downloaded, or cannot be removed.
    pub fn remove(&self, repo: &RepoId) -> Result<u64> {
        let cache_dir = &self.config.cache_dir;
        let cache = RepoCache::new(cache_dir, repo);
        let folder = cache.folder();
        if !folder.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(UserError::input(format!("{repo} is not among the downloaded models")).path(folder));
        }
        // Held until the folder is gone, so that no download begins in between.
        let _locks = take_locks(cache.locks()).ok_or_else(|| {
            UserError::failed(format!("{repo} is being downloaded just now"))
                .hint("stop that download, or wait until it is done, and remove it then")
        })?;
        let freed = look_at(repo.clone(), folder.to_path_buf()).disk_bytes;
        // Out of sight in one step: a removal that is cut short leaves no half of a model.
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let aside = cache_dir.join(format!("{REMOVED}{}-{name}", std::process::id()));
        let removed = fs::rename(folder, &aside).and_then(|()| fs::remove_dir_all(&aside));
        removed.map_err(|error| {
            UserError::failed(format!("Could not remove {repo}: {error}"))
                .hint("close the programs that use this model, and check that you may write to that folder")
                .path(folder)
        })?;
        sweep(cache_dir);
        Ok(freed)
    }
}

/// Finishes removals that were cut short, as far as that can be done.
fn sweep(cache_dir: &Path) {
    let Ok(entries) = fs::read_dir(cache_dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(REMOVED)) {
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// All locks of a repository; `None` when another holds one.
pub(super) fn take_locks(folder: &Path) -> Option<Vec<File>> {
    let Ok(entries) = fs::read_dir(folder) else { return Some(Vec::new()) };
    let mut locks = Vec::new();
    for file in entries.flatten().filter_map(|entry| File::options().write(true).open(entry.path()).ok()) {
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return None;
        }
        locks.push(file);
    }
    Some(locks)
}

fn look_at(repo: RepoId, folder: PathBuf) -> InstalledRepo {
    let (mut disk_bytes, mut unfinished_bytes) = (0, 0);
    for entry in entries(&folder.join("blobs")) {
        // Followed: some tools keep the content elsewhere and leave a link here.
        let length = fs::metadata(entry.path()).map_or(0, |metadata| metadata.len());
        disk_bytes += length;
        if entry.file_name().to_string_lossy().ends_with(INCOMPLETE) {
            unfinished_bytes += length;
        }
    }
    let mut refs = BTreeMap::new();
    read_refs(&folder.join("refs"), "", 0, &mut refs);
    let mut snapshots = Vec::new();
    for entry in entries(&folder.join("snapshots")) {
        let Some(commit) = entry.file_name().to_str().filter(|name| is_commit(name)).map(str::to_owned) else {
            continue;
        };
        let mut listing = Listing::default();
        listing.read(&entry.path(), "", 0);
        // Without links (Windows) the content itself lies here.
        disk_bytes += listing.own_bytes;
        snapshots.push(InstalledSnapshot {
            revisions: refs.iter().filter(|(_, to)| **to == commit).map(|(name, _)| name.clone()).collect(),
            size_bytes: listing.files.values().flatten().sum(),
            problems: problems(&entry.path(), &repo, &listing),
            folder: entry.path(),
            commit,
        });
    }
    snapshots.sort_by(|one, other| one.commit.cmp(&other.commit));
    InstalledRepo { repo, note: Note::read(&folder), folder, disk_bytes, unfinished_bytes, snapshots }
}

fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

/// Branches and tags: files whose path is the name, whose text is the commit.
fn read_refs(folder: &Path, before: &str, depth: usize, refs: &mut BTreeMap<String, String>) {
    for entry in entries(folder) {
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => {
                read_refs(&entry.path(), &format!("{name}/"), depth + 1, refs);
            }
            Ok(kind) if kind.is_file() && entry.metadata().is_ok_and(|metadata| metadata.len() <= 100) => {
                if let Ok(commit) = fs::read_to_string(entry.path()) {
                    refs.insert(name, commit.trim().to_owned());
                }
            }
            _ => {}
        }
    }
}

/// The files of a snapshot.
#[derive(Default)]
struct Listing {
    /// By path with `/`: the length, `None` where a link leads nowhere.
    files: BTreeMap<String, Option<u64>>,
    /// The bytes of the files that are no links and no second names.
    own_bytes: u64,
}

impl Listing {
    fn read(&mut self, folder: &Path, before: &str, depth: usize) {
        for entry in entries(folder) {
            let name = format!("{before}{}", entry.file_name().to_string_lossy());
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if depth < MAX_DEPTH {
                    self.read(&entry.path(), &format!("{name}/"), depth + 1);
                }
                continue;
            }
            let length = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len());
            if kind.is_file() {
                self.own_bytes += length.unwrap_or(0);
            }
            self.files.insert(name, length);
        }
    }

    fn has(&self, name: &str) -> bool {
        self.files.get(name).is_some_and(Option::is_some)
    }

    fn has_weights_below(&self, component: &str) -> bool {
        let is_weights = |name: &str| has_end(name, "safetensors") || has_end(name, "bin");
        self.files.iter().any(|(name, length)| {
            length.is_some()
                && is_weights(name)
                && name.strip_prefix(component).is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

/// What is missing of a snapshot.
fn problems(folder: &Path, repo: &RepoId, listing: &Listing) -> Vec<String> {
    let mut problems: Vec<String> = listing
        .files
        .iter()
        .filter(|(_, length)| length.is_none())
        .map(|(name, _)| format!("{name} is not there"))
        .collect();
    for index in listing.files.keys().filter(|name| name.contains(".index.") && has_end(name, "json")) {
        let before = index.rsplit_once('/').map_or("", |(before, _)| before);
        let shards = shards(&folder.join(index));
        let missing = shards.iter().filter(|shard| {
            let name = if before.is_empty() { (*shard).clone() } else { format!("{before}/{shard}") };
            !listing.has(&name) && !listing.files.contains_key(&name)
        });
        problems.extend(missing.map(|shard| format!("{shard} of {index} is not there")));
    }
    if listing.has(MODEL_INDEX) {
        match read_small(&folder.join(MODEL_INDEX)).map(|bytes| pick::components(&bytes, repo)) {
            Some(Ok(components)) => {
                for component in components {
                    let is_there = match component.as_str() {
                        "unet" | "vae" | "text_encoder" | "text_encoder_2" => listing.has_weights_below(&component),
                        _ => listing.files.keys().any(|name| name.starts_with(&format!("{component}/"))),
                    };
                    if !is_there {
                        problems.push(format!("{component} is not there"));
                    }
                }
            }
            Some(Err(error)) => problems.push(error.sentence),
            None => problems.push(format!("{MODEL_INDEX} cannot be read")),
        }
    } else if !listing.files.keys().any(|name| has_end(name, "safetensors") && !name.contains('/')) {
        problems.push("it holds no whole model".to_owned());
    }
    problems
}

/// The files that an index of shards names.
fn shards(index: &Path) -> Vec<String> {
    let json = || serde_json::from_slice::<serde_json::Value>(&read_small(index)?).ok();
    let Some(json) = json() else { return Vec::new() };
    let map = json.get("weight_map").and_then(serde_json::Value::as_object);
    let mut names: Vec<String> =
        map.into_iter().flatten().filter_map(|(_, file)| file.as_str().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

/// A file that is read only when it is small.
fn read_small(path: &Path) -> Option<Vec<u8>> {
    fs::metadata(path).ok().filter(|metadata| metadata.len() <= 16 << 20)?;
    fs::read(path).ok()
}
