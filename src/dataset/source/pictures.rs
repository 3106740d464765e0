//! The pictures below a folder, by the names that tables give them. Nothing outside the folder is ever named or opened.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use super::lines::unreadable;
use crate::dataset::problem::{Problem, ProblemKind};
use crate::dataset::rows::slashes;
use crate::domain::Result;

/// Endings of pictures.
const ENDINGS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];
/// How many folders deep pictures are looked for.
const MAX_DEPTH: usize = 8;

/// All pictures and captions below a folder.
pub struct Pictures {
    /// Paths below the folder, with `/`, and where they are: pictures.
    images: BTreeMap<String, PathBuf>,
    /// The same: captions, that is `.txt` and `.caption`.
    captions: BTreeMap<String, PathBuf>,
    /// Names of pictures by their names without endings.
    stems: HashMap<String, String>,
    /// Links that lead out of the folder.
    pub problems: Vec<Problem>,
}

impl Pictures {
    /// Lists what is below a folder. Names that begin with a point are passed over.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn below(root: &Path) -> Result<Self> {
        let home = root.canonicalize().map_err(|error| unreadable(root, &error))?;
        let mut found =
            Self { images: BTreeMap::new(), captions: BTreeMap::new(), stems: HashMap::new(), problems: Vec::new() };
        fs::read_dir(root).map_err(|error| unreadable(root, &error))?;
        found.list(root, root, &home, 0);
        for name in found.images.keys() {
            found.stems.entry(stem(name).to_owned()).or_insert_with(|| name.clone());
        }
        found.problems.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn list(&mut self, root: &Path, folder: &Path, home: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(folder) else {
            self.report(ProblemKind::SkippedFolder, folder, "the folder cannot be read");
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(mut kind) = entry.file_type() else { continue };
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_symlink() {
                // A link may lead elsewhere within the data set.
                let Ok(target) = path.canonicalize() else { continue };
                if !target.starts_with(home) {
                    self.report(ProblemKind::UnsafePath, &path, "it is a link that leads out of the data set");
                    continue;
                }
                let Ok(metadata) = fs::metadata(&path) else { continue };
                kind = metadata.file_type();
                if kind.is_dir() {
                    // What it leads to is listed where it is; a link to a folder above would have no end.
                    continue;
                }
            }
            if kind.is_dir() {
                if depth + 1 < MAX_DEPTH {
                    self.list(root, &path, home, depth + 1);
                } else {
                    self.report(ProblemKind::SkippedFolder, &path, "the folder lies too deep");
                }
                continue;
            }
            let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
            let name = slashes(path.strip_prefix(root).unwrap_or(&path));
            if ENDINGS.contains(&ending.as_str()) {
                self.images.insert(name, path);
            } else if matches!(ending.as_str(), "txt" | "caption") {
                self.captions.insert(name, path);
            }
        }
    }

    fn report(&mut self, kind: ProblemKind, path: &Path, sentence: &str) {
        self.problems.push(Problem { kind, line: None, path: Some(path.to_path_buf()), sentence: sentence.to_owned() });
    }

    /// Names and places of all pictures, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.images.iter().map(|(name, path)| (name.as_str(), path.as_path()))
    }

    /// Names and places of all captions, by name.
    pub fn all_captions(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.captions.iter().map(|(name, path)| (name.as_str(), path.as_path()))
    }

    /// A picture by its name, below one of the folders (`""` is the data set's own).
    #[must_use]
    pub fn find(&self, folders: &[&str], name: &str) -> Option<(String, PathBuf)> {
        folders.iter().find_map(|folder| {
            let name = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            self.images.get(&name).map(|path| (name, path.clone()))
        })
    }

    /// A picture by its name without the ending. Of several the first in the alphabet: `.jpeg`, `.jpg`, `.png`, `.webp`.
    #[must_use]
    pub fn find_stem(&self, folders: &[&str], stem: &str) -> Option<(String, PathBuf)> {
        folders.iter().find_map(|folder| {
            let stem = if folder.is_empty() { stem.to_owned() } else { format!("{folder}/{stem}") };
            self.find(&[""], self.stems.get(&stem)?)
        })
    }

    /// A picture's caption file: its name with another ending.
    #[must_use]
    pub fn caption_of(&self, name: &str) -> Option<(&str, &Path)> {
        ["txt", "caption"].iter().find_map(|ending| {
            let (name, path) = self.captions.get_key_value(&format!("{}.{ending}", stem(name)))?;
            Some((name.as_str(), path.as_path()))
        })
    }
}

/// A name without its ending.
#[must_use]
pub fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !ending.contains('/') => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_are_names_without_endings() {
        assert_eq!((stem("a.b/c"), stem("a/b.c.jpg"), stem("a")), ("a.b/c", "a/b.c", "a"));
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_folder_are_reported_and_not_followed() {
        use std::os::unix::fs::symlink;
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret.jpg"), "x").unwrap();
        fs::create_dir(inside.path().join("sub")).unwrap();
        fs::write(inside.path().join("sub/a.jpg"), "x").unwrap();
        fs::write(inside.path().join(".hidden.jpg"), "x").unwrap();
        symlink(outside.path().join("secret.jpg"), inside.path().join("b.jpg")).unwrap();
        symlink(outside.path(), inside.path().join("folder")).unwrap();
        symlink(inside.path(), inside.path().join("sub/loop")).unwrap();
        symlink(inside.path().join("sub/a.jpg"), inside.path().join("c.jpg")).unwrap();
        let found = Pictures::below(inside.path()).unwrap();
        assert_eq!(found.all().map(|(name, _)| name).collect::<Vec<_>>(), ["c.jpg", "sub/a.jpg"]);
        assert_eq!(found.problems.len(), 2);
        assert!(found.problems.iter().all(|problem| problem.kind == ProblemKind::UnsafePath));
        assert_eq!(found.find_stem(&["", "sub"], "a").unwrap().0, "sub/a.jpg");
    }
}
