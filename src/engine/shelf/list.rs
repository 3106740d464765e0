//! [`list`]: the models of the program's own folder, of the hub's cache and of the folders that the user named.

use std::fs;
use std::path::{Path, PathBuf};

use super::describe::summarise;
use crate::domain::{ModelEntry, ModelHome, ModelState, Result, Secret, UserError};
use crate::hub::{CATALOGUE, Hub, InstalledRepo, InstalledSnapshot};

/// How deep a folder is looked through: models folders of other programs have one or two levels.
const MAX_DEPTH: usize = 4;
/// Most models of one folder that are listed.
const MAX_ENTRIES: usize = 2000;
/// Most files and folders of one folder that are looked at.
const MAX_SEEN: usize = 50_000;
/// Endings of files of weights. `.bin` can be anything and is not among them.
const ENDS: [&str; 4] = ["safetensors", "ckpt", "pt", "pth"];
/// Files that make a folder a model.
const FOLDER_MARKS: [&str; 2] = ["model_index.json", "unet/config.json"];
/// The longest card of a repository that is read.
const MAX_CARD_BYTES: u64 = 1 << 20;

/// Where models are looked for.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The program's own folder, for imported files.
    pub models_dir: PathBuf,
    /// Folders that the user named; nothing in them is changed.
    pub folders: Vec<PathBuf>,
    /// Adapters that prompts can name.
    pub loras_dir: PathBuf,
    /// Embeddings that prompts can name.
    pub embeddings_dir: PathBuf,
    /// Lists that prompts draw from.
    pub wildcards_dir: PathBuf,
    /// What to sign in to the hub with.
    pub token: Option<Secret>,
}

/// The models that are here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// Sorted by name.
    pub entries: Vec<ModelEntry>,
    /// A folder that is not there, a cache that cannot be read.
    pub problems: Vec<UserError>,
}

/// Lists all models. Their headers are read, not their weights.
#[must_use]
pub fn list(places: &Places, hub: Option<&Hub>) -> Listing {
    let mut listing = Listing::default();
    if places.models_dir.is_dir() {
        listing.walk(&places.models_dir, ModelHome::Own);
    }
    for folder in &places.folders {
        if folder.is_dir() {
            listing.walk(folder, ModelHome::Named);
        } else {
            let error = UserError::input("A folder with models is not there");
            listing.problems.push(error.hint("connect its disk, or take it off the list").path(folder));
        }
    }
    match hub.map(Hub::installed) {
        Some(Ok(repos)) => listing.entries.extend(repos.iter().flat_map(cached)),
        Some(Err(error)) => listing.problems.push(error),
        None => {}
    }
    listing.entries.sort_by_key(|entry| (entry.name.to_lowercase(), entry.path.clone()));
    // The same folder may be named twice, or lie in another.
    listing.entries.dedup_by(|one, other| one.path == other.path);
    listing
}

/// Takes a model from the disk and says how many bytes that freed.
///
/// # Errors
/// When it lies in a folder that the user named, or cannot be removed.
pub fn remove(places: &Places, hub: Option<&Hub>, entry: &ModelEntry) -> Result<u64> {
    match (entry.home, &entry.repo, hub) {
        (ModelHome::HubCache, Some(repo), Some(hub)) => hub.remove(&crate::hub::RepoId::parse(repo)?),
        (ModelHome::Own, _, _) if entry.path.starts_with(&places.models_dir) && entry.path != places.models_dir => {
            let is_folder = entry.path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
            let removed = if is_folder { fs::remove_dir_all(&entry.path) } else { fs::remove_file(&entry.path) };
            removed.map(|()| entry.size_bytes).map_err(|error| {
                UserError::failed(format!("Could not remove {}: {error}", entry.name))
                    .hint("close the programs that use this model, and check that you may write to that folder")
                    .path(&entry.path)
            })
        }
        _ => Err(UserError::input(format!("{} lies in a folder of yours and is left alone", entry.name))
            .hint("delete it with your file manager, or take its folder off the list")
            .path(&entry.path)),
    }
}

impl Listing {
    /// Looks through a folder.
    fn walk(&mut self, root: &Path, home: ModelHome) {
        let mut waiting = vec![(root.to_path_buf(), 0)];
        let (mut seen, before) = (0, self.entries.len());
        while let Some((folder, depth)) = waiting.pop() {
            if FOLDER_MARKS.iter().any(|mark| folder.join(mark).is_file()) {
                self.entries.push(entry(root, &folder, home));
                continue;
            }
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for found in entries.flatten() {
                seen += 1;
                if seen > MAX_SEEN || self.entries.len() - before >= MAX_ENTRIES {
                    let error = UserError::input("A folder holds more than can be listed");
                    self.problems.push(error.hint("name a folder that holds models only").path(root));
                    return;
                }
                // Followed: models are often links to another disk. The depth ends a link that leads back.
                let (path, name) = (found.path(), found.file_name());
                let Ok(metadata) = fs::metadata(&path) else { continue };
                if name.to_string_lossy().starts_with('.') {
                    continue;
                }
                if metadata.is_dir() && depth < MAX_DEPTH {
                    waiting.push((path, depth + 1));
                } else if metadata.is_file() && is_weights(&path) {
                    self.entries.push(entry(root, &path, home));
                }
            }
        }
    }
}

fn is_weights(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    ENDS.iter().any(|known| end.eq_ignore_ascii_case(known))
}

/// The entry of a file or folder below `root`.
fn entry(root: &Path, path: &Path, home: ModelHome) -> ModelEntry {
    let below = path.strip_prefix(root).ok().filter(|below| below.iter().next().is_some()).unwrap_or(path);
    let name = if below == path { super::import::name_of(path) } else { below.display().to_string() };
    let state = state_of(path);
    ModelEntry {
        name,
        size_bytes: size_of(path, 0),
        licence: licence_in(&state).or_else(|| licence_of_card(&path.join("README.md"))),
        path: path.to_path_buf(),
        repo: None,
        home,
        state,
    }
}

fn state_of(path: &Path) -> ModelState {
    match summarise(path) {
        Ok(summary) => ModelState::Ready(summary),
        Err(error) => ModelState::Refused(error),
    }
}

fn licence_in(state: &ModelState) -> Option<String> {
    match state {
        ModelState::Ready(summary) => summary.licence.clone(),
        ModelState::Refused(_) | ModelState::Unfinished { .. } => None,
    }
}

/// The bytes of a file, or of all files of a folder.
fn size_of(path: &Path, depth: usize) -> u64 {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(metadata) if metadata.is_dir() && depth <= MAX_DEPTH => {
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size_of(&entry.path(), depth + 1)).sum()
        }
        _ => 0,
    }
}

/// The models of one repository of the cache. A repository that has nothing to do with pictures has none.
fn cached(installed: &InstalledRepo) -> Vec<ModelEntry> {
    let repo = installed.repo.as_str();
    let known = CATALOGUE.iter().find(|known| known.repo == repo);
    let licence = installed
        .note
        .as_ref()
        .and_then(|note| note.licence.clone())
        .or_else(|| best(installed).and_then(|snapshot| licence_of_card(&snapshot.folder.join("README.md"))))
        .or_else(|| known.map(|known| known.licence.to_owned()));
    let entry = |name: String, path: PathBuf, size_bytes: u64, state: ModelState| ModelEntry {
        name,
        path,
        repo: Some(repo.to_owned()),
        home: ModelHome::HubCache,
        size_bytes,
        licence: licence.clone().or_else(|| licence_in(&state)),
        state,
    };
    // One that is whole can be used, also while another commit of it comes.
    let is_usable = best(installed).is_some_and(InstalledSnapshot::is_complete);
    if let Some(note) = installed.note.as_ref().filter(|note| !note.is_whole && !is_usable) {
        let have_bytes = installed.disk_bytes.min(note.total_bytes);
        let state = ModelState::Unfinished { have_bytes, total_bytes: note.total_bytes };
        return vec![entry(repo.to_owned(), installed.folder.clone(), installed.disk_bytes, state)];
    }
    let Some(snapshot) = best(installed) else { return Vec::new() };
    if FOLDER_MARKS.iter().any(|mark| snapshot.folder.join(mark).is_file()) {
        let state = match snapshot.problems.as_slice() {
            [] => state_of(&snapshot.folder),
            [first, ..] => ModelState::Refused(
                UserError::input(format!("A part of the model is missing: {first}"))
                    .hint("download it again: only what is missing is fetched")
                    .path(&snapshot.folder),
            ),
        };
        return vec![entry(repo.to_owned(), snapshot.folder.clone(), snapshot.size_bytes, state)];
    }
    // Single files. The cache is everybody's: what is no model for pictures is not worth a word here.
    let mut files: Vec<PathBuf> = fs::read_dir(&snapshot.folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|found| found.path())
        .filter(|path| is_weights(path) && path.is_file())
        .take(MAX_ENTRIES)
        .collect();
    files.sort();
    let mut entries: Vec<ModelEntry> = files
        .iter()
        .filter_map(|path| match state_of(path) {
            ModelState::Refused(_) => None,
            state => Some(entry(repo.to_owned(), path.clone(), size_of(path, 0), state)),
        })
        .collect();
    if entries.len() > 1 {
        for entry in &mut entries {
            entry.name = format!("{repo} · {}", super::import::name_of(&entry.path));
        }
    }
    entries
}

/// The commit that is shown: whole ones before others, `main` before others.
fn best(installed: &InstalledRepo) -> Option<&InstalledSnapshot> {
    let is_main = |snapshot: &InstalledSnapshot| snapshot.revisions.iter().any(|revision| revision == "main");
    let is_noted =
        |snapshot: &InstalledSnapshot| installed.note.as_ref().is_some_and(|note| note.commit == snapshot.commit);
    installed.snapshots.iter().max_by_key(|snapshot| (snapshot.is_complete(), is_noted(snapshot), is_main(snapshot)))
}

/// The licence in the head of a repository's card, between two lines of `---`.
fn licence_of_card(card: &Path) -> Option<String> {
    fs::metadata(card).ok().filter(|metadata| metadata.is_file() && metadata.len() <= MAX_CARD_BYTES)?;
    let text = fs::read_to_string(card).ok()?;
    let head = text.trim_start_matches('\u{feff}').trim_start().strip_prefix("---")?;
    let head = &head[..head.find("\n---")?];
    let value = |key: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        let value = line.trim().trim_matches(['"', '\'']);
        (!value.is_empty() && !value.starts_with(['[', '|', '>'])).then(|| value.chars().take(80).collect::<String>())
    };
    // `license: other` has its name in a line of its own.
    match value("license") {
        Some(other) if other == "other" => value("license_name").or(Some(other)),
        licence => licence,
    }
}

/// Finds a model by what a person typed: its name, its repository, or its path.
///
/// # Errors
/// When there is none, or several are meant.
pub fn find<'a>(entries: &'a [ModelEntry], name: &str) -> Result<&'a ModelEntry> {
    let is_meant = |entry: &&ModelEntry| {
        entry.name == name || entry.repo.as_deref() == Some(name) || entry.path == Path::new(name)
    };
    let found: Vec<&ModelEntry> = entries.iter().filter(is_meant).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => {
            Err(UserError::input(format!("No model here is named {name:?}"))
                .hint("atelier models list shows their names"))
        }
        // All files of one repository go together.
        [first, rest @ ..] if first.repo.is_some() && rest.iter().all(|other| other.repo == first.repo) => Ok(first),
        several => Err(UserError::input(format!("{} models are named {name:?}", several.len()))
            .hint("give the path of the one that is meant")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_read_from_cards() {
        let folder = tempfile::tempdir().unwrap();
        let card = folder.path().join("README.md");
        for (text, expected) in [
            ("---\nlicense: mit\ntags: [a]\n---\n# A", Some("mit")),
            ("\u{feff}---\nlicense: other\nlicense_name: sai-nc\n---\n", Some("sai-nc")),
            ("---\nlicense: other\n---\n", Some("other")),
            ("---\nlicense: [a, b]\n---\n", None),
            ("---\ntags: x\n---\nlicense: mit\n", None),
            ("---\nlicense: mit\n", None),
            ("# A", None),
            ("", None),
        ] {
            fs::write(&card, text).unwrap();
            assert_eq!(licence_of_card(&card).as_deref(), expected, "{text}");
        }
    }
}
