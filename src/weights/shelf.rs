//! [`Shelf`]: the adapters and embeddings that a prompt can name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Endings of files of weights.
const ENDINGS: [&str; 4] = ["safetensors", "pt", "ckpt", "bin"];
/// Folders within folders that are looked into.
const MAX_DEPTH: usize = 8;

/// The adapters and embeddings that a prompt can name: by a file's name without folder and ending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shelf {
    loras: BTreeMap<String, PathBuf>,
    embeddings: BTreeMap<String, PathBuf>,
}

impl Shelf {
    /// Looks through folders, and the folders in them. What cannot be read is passed over; where two files have one name,
    /// the first by path counts.
    #[must_use]
    pub fn of(lora_dirs: &[PathBuf], embedding_dirs: &[PathBuf]) -> Self {
        let all = |dirs: &[PathBuf]| {
            let mut files = Vec::new();
            for dir in dirs {
                collect(dir, MAX_DEPTH, &mut files);
            }
            files.sort();
            let mut found = BTreeMap::new();
            for file in files {
                if let Some(name) = file.file_stem().and_then(|stem| stem.to_str()) {
                    found.entry(name.to_lowercase()).or_insert(file);
                }
            }
            found
        };
        Self { loras: all(lora_dirs), embeddings: all(embedding_dirs) }
    }

    /// The file of an adapter, by its name in any case.
    #[must_use]
    pub fn lora(&self, name: &str) -> Option<&Path> {
        self.loras.get(&name.to_lowercase()).map(PathBuf::as_path)
    }

    /// The names of all adapters, in lower case.
    pub fn loras(&self) -> impl Iterator<Item = &str> {
        self.loras.keys().map(String::as_str)
    }

    /// The files of all adapters, by name.
    pub fn lora_files(&self) -> impl Iterator<Item = &Path> {
        self.loras.values().map(PathBuf::as_path)
    }

    /// The embeddings: name in lower case, and file.
    pub fn embeddings(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.embeddings.iter().map(|(name, path)| (name.as_str(), path.as_path()))
    }
}

fn collect(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            if depth > 0 {
                collect(&path, depth - 1, files);
            }
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
        {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_name_in_folders_of_folders() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::create_dir_all(b.join("deep")).unwrap();
        std::fs::create_dir(&a).unwrap();
        for file in [a.join("Ink.safetensors"), b.join("deep/ink.pt"), b.join("wash.SAFETENSORS"), b.join("notes.txt")]
        {
            std::fs::write(file, "").unwrap();
        }
        let shelf = Shelf::of(&[a.clone(), b, folder.path().join("missing")], &[]);
        assert_eq!(shelf.lora("INK"), Some(a.join("Ink.safetensors").as_path()));
        assert_eq!(shelf.loras().collect::<Vec<_>>(), ["ink", "wash"]);
        assert_eq!((shelf.lora("notes"), shelf.embeddings().count()), (None, 0));
    }
}
