//! [`Assets`]: the files of the user's that a prompt can name.

use std::fs;
use std::path::{Path, PathBuf};

use crate::domain::prompt::WildcardLists;
use crate::weights::Shelf;

/// Largest file of wildcards that is read, in bytes.
const MAX_LIST_BYTES: u64 = 16 << 20;
/// Folders within the wildcards folder that are looked into.
const MAX_DEPTH: usize = 8;

/// The files of the user's that a prompt can name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assets {
    /// Adapters and embeddings.
    pub shelf: Shelf,
    /// Lists that texts are drawn from.
    pub wildcards: WildcardLists,
    /// What could not be read of the lists, for the user.
    pub problems: Vec<String>,
}

impl Assets {
    /// Looks through the folders of adapters, embeddings and wildcards (`.txt`, `.yaml`, `.json`). A folder that is not
    /// there is an empty one.
    #[must_use]
    pub fn find(loras_dir: PathBuf, embeddings_dir: PathBuf, wildcards_dir: &Path) -> Self {
        let mut assets = Self { shelf: Shelf::of(&[loras_dir], &[embeddings_dir]), ..Self::default() };
        assets.read_lists(wildcards_dir, "", MAX_DEPTH);
        assets
    }

    /// Reads the lists of a folder; `prefix` are the folders that lead to it, with a slash behind each.
    fn read_lists(&mut self, dir: &Path, prefix: &str, depth: usize) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let name = format!("{prefix}{name}");
            if path.is_dir() {
                if depth > 0 {
                    self.read_lists(&path, &format!("{name}/"), depth - 1);
                }
                continue;
            }
            let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            if !["txt", "yaml", "yml", "json"].contains(&ending.as_str()) {
                continue;
            }
            if fs::metadata(&path).is_ok_and(|found| found.len() > MAX_LIST_BYTES) {
                self.problems.push(format!("The wildcards {name} are left out: the file is too large"));
                continue;
            }
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) => {
                    self.problems.push(format!("The wildcards {name} are left out: {error}"));
                    continue;
                }
            };
            let problems = match ending.as_str() {
                "txt" => {
                    self.wildcards.add_txt(&name, &text);
                    Vec::new()
                }
                "json" => self.wildcards.add_json(&name, &text),
                _ => self.wildcards.add_yaml(&name, &text),
            };
            self.problems.extend(problems.into_iter().map(|problem| {
                let line = problem.line.map(|line| format!(", line {line}")).unwrap_or_default();
                format!("The wildcards {}{line}: {}", problem.file, problem.sentence)
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_named_by_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("colours");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("warm.txt"), "red\n# not this\norange\n").unwrap();
        fs::write(folder.path().join("broken.json"), "{").unwrap();
        fs::write(folder.path().join("notes.md"), "x").unwrap();
        let assets = Assets::find(PathBuf::new(), PathBuf::new(), folder.path());
        assert_eq!(assets.wildcards.names().collect::<Vec<_>>(), ["colours/warm"]);
        assert_eq!(assets.wildcards.choices("colours/warm").unwrap().len(), 2);
        assert_eq!(assets.problems.len(), 1);
        assert!(assets.problems[0].contains("broken, line 1"), "{:?}", assets.problems);
    }
}
