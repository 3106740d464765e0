//! [`Note`]: what a download leaves beside the cache's own files, so that it can go on after a restart.
//!
//! The cache's layout has no place for the licence and for what was picked of a repository; other tools pass this over.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cache::RepoCache;
use super::client::Hub;
use super::names::{RepoId, is_commit, is_safe_etag, is_safe_file};
use super::pick::{Plan, PlanOptions, PlannedFile};

/// The note's name in the repository's folder.
const NAME: &str = "atelier.json";
/// No note is near this.
const MAX_BYTES: u64 = 64 << 10;

/// What a download noted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The revision that was asked for.
    pub revision: String,
    /// The commit that it was.
    pub commit: String,
    /// Whether half-size weights were preferred.
    #[serde(default)]
    pub prefer_fp16: bool,
    /// The one file that was wanted.
    pub file: Option<String>,
    /// The licence as the repository's card names it.
    pub licence: Option<String>,
    /// The bytes of all files.
    pub total_bytes: u64,
    /// Whether everything is here.
    pub is_whole: bool,
    /// The files, while they come.
    #[serde(default)]
    pub files: Vec<NotedFile>,
    /// The names of those that were here before the download began.
    #[serde(default)]
    pub kept: Vec<String>,
}

/// A file of a download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedFile {
    /// Its path in the repository.
    pub name: String,
    /// The name of its content in the cache.
    pub etag: String,
}

impl Note {
    pub(super) fn of(plan: &Plan, is_whole: bool, kept: Vec<String>) -> Self {
        let noted = |file: &PlannedFile| NotedFile { name: file.name.clone(), etag: file.etag.clone() };
        Self {
            revision: plan.revision.clone(),
            commit: plan.commit.clone(),
            prefer_fp16: plan.options.prefer_fp16,
            file: plan.options.file.clone(),
            licence: plan.licence.clone(),
            total_bytes: plan.total_bytes(),
            is_whole,
            files: if is_whole { Vec::new() } else { plan.files.iter().map(noted).collect() },
            kept,
        }
    }

    /// The note in a repository's folder. `None` where there is none, or something else under its name.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let path = folder.join(NAME);
        fs::metadata(&path).ok().filter(|metadata| metadata.is_file() && metadata.len() <= MAX_BYTES)?;
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// The files that the download brought, or would have: not those that were here before, nor any of their contents.
    /// A note may be anybody's: names that lead elsewhere are passed over.
    pub(super) fn brought(&self) -> impl Iterator<Item = &NotedFile> {
        let is_kept = |file: &NotedFile| self.kept.contains(&file.name);
        let kept: Vec<&str> = self.files.iter().filter(|file| is_kept(file)).map(|file| file.etag.as_str()).collect();
        let is_sound = is_commit(&self.commit);
        self.files.iter().filter(move |file| {
            is_sound
                && is_safe_file(&file.name)
                && is_safe_etag(&file.etag)
                && !self.kept.contains(&file.name)
                && !kept.contains(&file.etag.as_str())
        })
    }

    /// What was picked.
    #[must_use]
    pub fn options(&self) -> PlanOptions {
        PlanOptions { prefer_fp16: self.prefer_fp16, file: self.file.clone() }
    }
}

impl Hub {
    /// What a download of this repository by this program noted.
    #[must_use]
    pub fn note(&self, repo: &RepoId) -> Option<Note> {
        RepoCache::new(&self.config.cache_dir, repo).note()
    }
}

impl RepoCache {
    /// The note of this repository.
    pub(super) fn note(&self) -> Option<Note> {
        Note::read(self.folder())
    }

    /// Notes that a download begins, or goes on: what was here before its first beginning is remembered.
    pub(super) fn begin_note(&self, plan: &Plan) {
        let is_here = |file: &&PlannedFile| self.has(&plan.commit, file) || self.has_blob(file);
        let kept = match self.note().filter(|note| !note.is_whole) {
            Some(begun) => begun.kept,
            None => plan.files.iter().filter(is_here).map(|file| file.name.clone()).collect(),
        };
        self.write_note(&Note::of(plan, false, kept));
    }

    /// Leaves a note. A download does not fail for it: without one it goes on by being asked for again.
    pub(super) fn write_note(&self, note: &Note) {
        let written = fs::create_dir_all(self.folder()).and_then(|()| {
            let temp = tempfile::NamedTempFile::new_in(self.folder())?;
            serde_json::to_writer_pretty(temp.as_file(), note)?;
            temp.persist(self.folder().join(NAME)).map_err(|error| error.error)
        });
        if let Err(error) = written {
            tracing::debug!("no note in {}: {error}", self.folder().display());
        }
    }

    /// Takes the note away.
    pub(super) fn remove_note(&self) {
        let _ = fs::remove_file(self.folder().join(NAME));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_of_another_kind_is_no_note() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Note::read(folder.path()), None);
        for text in ["", "[", "[]", "{}", "{\"revision\": 1}", "{\"revision\": \"main\"}"] {
            fs::write(folder.path().join(NAME), text).unwrap();
            assert_eq!(Note::read(folder.path()), None, "{text}");
        }
        let whole = r#"{"revision": "main", "commit": "c", "total_bytes": 7, "is_whole": true, "later": 1}"#;
        fs::write(folder.path().join(NAME), whole).unwrap();
        assert_eq!(Note::read(folder.path()).unwrap().revision, "main");
    }

    #[test]
    fn only_what_came_is_taken_back_and_nothing_outside() {
        let file = |name: &str, etag: &str| NotedFile { name: name.to_owned(), etag: etag.to_owned() };
        let note = Note {
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            files: vec![
                file("a", "1"),
                file("b", "2"),
                file("same as b", "2"),
                file("../../x", "3"),
                file("c", "../y"),
            ],
            kept: vec!["b".to_owned()],
            ..Note::default()
        };
        assert_eq!(note.brought().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(Note { commit: "..".to_owned(), ..note }.brought().count(), 0);
    }
}
