//! What a preparation has finished, one line a picture, so that the next run goes on where this one was stopped.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::dataset::files::explain;
use crate::domain::{Result, UserError};

/// Its name in the folder of the prepared data set.
pub const NAME: &str = ".atelier-prepare.jsonl";

/// Everything that decides what a picture becomes: the first line. Another one begins a new journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The form of this file, and of what the program makes of a picture.
    pub version: u32,
    /// What the shorter side becomes, in px.
    pub side_px: u32,
    /// The ending of the pictures.
    pub ending: String,
    /// 1 to 100.
    pub quality: u8,
}

/// A finished picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name in the folder of pictures.
    pub file: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// What it was made from.
    pub source: Stamp,
}

/// A file as it was at a time: changed files have another stamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    path: PathBuf,
    bytes: u64,
    /// Nanoseconds since 1970; 0 where the system does not tell.
    modified_ns: u64,
}

impl Stamp {
    /// The stamp of a file; `None` when it is not there.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Some(Self {
            path: std::path::absolute(path).ok()?,
            bytes: metadata.len(),
            modified_ns: modified.map_or(0, |time| time.as_nanos() as u64),
        })
    }
}

/// The journal of a folder, locked while it is open.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// The last entry of each file.
    entries: HashMap<String, Entry>,
}

impl Journal {
    /// Opens a folder's journal, or begins one. Lines that were torn when a run was killed are passed over.
    ///
    /// # Errors
    /// When it cannot be written, or another run has it.
    pub fn open(folder: &Path, head: &Head) -> Result<Self> {
        let path = folder.join(NAME);
        let cannot = |error: std::io::Error| explain(&error, &path, 0);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(cannot)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            // A file system without locks is another error: there one goes on without.
            return Err(UserError::input("This folder is being prepared by another run")
                .hint("wait until that one has ended, or choose another folder")
                .path(folder));
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(cannot)?;
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines();
        let known = lines.next().and_then(|line| serde_json::from_str::<Head>(line).ok());
        let is_same = known.as_ref() == Some(head);
        let entries: HashMap<String, Entry> = lines
            .filter_map(|line| serde_json::from_str::<Entry>(line).ok())
            .map(|entry| (entry.file.clone(), entry))
            .collect();
        let mut journal = Self { path: path.clone(), file, entries };
        if is_same {
            journal.file.seek(SeekFrom::End(0)).map_err(cannot)?;
            if !text.ends_with('\n') {
                journal.append("\n")?;
            }
        } else {
            journal.restart(head)?;
        }
        Ok(journal)
    }

    /// Begins anew. The pictures of other settings stay known until they are taken away, but count as unfinished.
    fn restart(&mut self, head: &Head) -> Result<()> {
        let cannot = |error: std::io::Error| explain(&error, &self.path, 0);
        self.file.set_len(0).map_err(cannot)?;
        self.file.seek(SeekFrom::Start(0)).map_err(cannot)?;
        for entry in self.entries.values_mut() {
            entry.bytes = 0;
        }
        let mut text = line(head);
        text.extend(self.entries.values().map(line));
        self.append(&text)
    }

    /// Whether a picture was made of this very file and is still there as it was written.
    #[must_use]
    pub fn has(&self, folder: &Path, file: &str, source: &Stamp) -> bool {
        let Some(entry) = self.entries.get(file) else { return false };
        let is_there = || fs::metadata(folder.join(file)).is_ok_and(|metadata| metadata.len() == entry.bytes);
        entry.source == *source && entry.bytes > 0 && is_there()
    }

    /// Notes a finished picture.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, entry: Entry) -> Result<()> {
        self.append(&line(&entry))?;
        self.entries.insert(entry.file.clone(), entry);
        Ok(())
    }

    /// The files of earlier runs.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    fn append(&mut self, text: &str) -> Result<()> {
        self.file.write_all(text.as_bytes()).map_err(|error| explain(&error, &self.path, text.len()))
    }
}

fn line(value: &impl Serialize) -> String {
    // Plain data with text keys: serde_json cannot fail on it but for a path that is not Unicode, which is made again.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_finished_is_known_to_the_next_run_only_if_nothing_changed() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source.png");
        fs::write(&source, "source").unwrap();
        fs::write(folder.path().join("1.jpg"), "12345").unwrap();
        let stamp = Stamp::of(&source).unwrap();
        let head = Head { version: 1, side_px: 512, ending: "jpg".to_owned(), quality: 90 };
        let entry = Entry { file: "1.jpg".to_owned(), bytes: 5, source: stamp.clone() };
        let mut journal = Journal::open(folder.path(), &head).unwrap();
        journal.add(entry).unwrap();
        assert!(Journal::open(folder.path(), &head).is_err(), "two runs at a time");
        drop(journal);

        // Killed within a line.
        let mut file = OpenOptions::new().append(true).open(folder.path().join(NAME)).unwrap();
        file.write_all(b"{\"file\":\"2.jp").unwrap();
        let mut journal = Journal::open(folder.path(), &head).unwrap();
        assert!(journal.has(folder.path(), "1.jpg", &stamp));
        assert!(!journal.has(folder.path(), "2.jpg", &stamp));
        journal.add(Entry { file: "3.jpg".to_owned(), bytes: 9, source: stamp.clone() }).unwrap();
        drop(journal);

        let journal = Journal::open(folder.path(), &head).unwrap();
        assert_eq!(journal.files().count(), 2);
        assert!(!journal.has(folder.path(), "3.jpg", &stamp), "it is not there");
        fs::write(folder.path().join("1.jpg"), "").unwrap();
        assert!(!journal.has(folder.path(), "1.jpg", &stamp), "it was lost with the power");
        fs::write(folder.path().join("1.jpg"), "12345").unwrap();
        fs::write(&source, "another source").unwrap();
        assert!(!journal.has(folder.path(), "1.jpg", &Stamp::of(&source).unwrap()));
        drop(journal);

        let journal = Journal::open(folder.path(), &Head { quality: 80, ..head }).unwrap();
        assert!(!journal.has(folder.path(), "1.jpg", &stamp));
        assert_eq!(journal.files().count(), 2, "they are still to be taken away");
    }
}
