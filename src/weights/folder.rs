//! [`ModelFiles`]: the parts of a model, as a diffusers folder lays them out, on disk or inside the program.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::TensorFile;
use crate::domain::{Result, UserError};

/// Largest JSON file that is read: a tokenizer's is a few MB.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// The files of a model in diffusers' folder layout.
#[derive(Clone, Debug)]
pub enum ModelFiles {
    /// A folder on disk.
    Folder(PathBuf),
    /// Files that are part of the program: name within the folder, and content.
    Embedded(&'static [(&'static str, &'static [u8])]),
    /// Text files that stand in for those that a model in a single file does not have.
    Made {
        /// Name within the folder, and content.
        files: Arc<BTreeMap<String, String>>,
        /// The single file, for messages.
        of: PathBuf,
    },
}

impl ModelFiles {
    /// A folder on disk that looks like a model.
    ///
    /// # Errors
    /// When there is no such folder, or it is not a diffusers model; the message says what was found instead.
    pub fn folder(path: &Path) -> Result<Self> {
        let hint = "give the folder that holds model_index.json, unet/, vae/ and text_encoder/";
        let metadata = std::fs::metadata(path)
            .map_err(|error| UserError::input(format!("Could not open the model: {error}")).path(path).hint(hint))?;
        if !metadata.is_dir() {
            return Err(UserError::input("This is a file, not a model folder").path(path).hint(hint));
        }
        if !path.join("unet").join("config.json").is_file() {
            let sentence = "This folder is not a diffusers model: it has no unet/config.json";
            return Err(UserError::input(sentence).path(path).hint(hint));
        }
        Ok(Self::Folder(path.to_path_buf()))
    }

    /// Where a file is, for messages.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join(name),
            Self::Embedded(_) => PathBuf::from("(inside Atelier)").join(name),
            Self::Made { of, .. } => of.clone(),
        }
    }

    /// Whether there is such a file.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(name).is_file(),
            Self::Embedded(files) => files.iter().any(|(file, _)| *file == name),
            Self::Made { files, .. } => files.contains_key(name),
        }
    }

    /// The content of a text file.
    ///
    /// # Errors
    /// When it is missing, not UTF-8, or larger than any such file is.
    pub fn text(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        let fail = |sentence: String| Err(UserError::input(sentence).path(&path).hint("the model is incomplete"));
        let bytes = match self {
            Self::Folder(_) => match std::fs::metadata(&path)
                .and_then(|found| if found.len() > MAX_TEXT_BYTES { Ok(None) } else { std::fs::read(&path).map(Some) })
            {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return fail(format!("{name} is larger than {} MiB", MAX_TEXT_BYTES >> 20)),
                Err(error) => return fail(format!("Could not read {name}: {error}")),
            },
            Self::Embedded(files) => match files.iter().find(|(file, _)| *file == name) {
                Some((_, bytes)) => bytes.to_vec(),
                None => return fail(format!("{name} is missing")),
            },
            Self::Made { files, .. } => {
                return files.get(name).cloned().map_or_else(|| fail(format!("{name} is missing")), Ok);
            }
        };
        String::from_utf8(bytes).or_else(|_| fail(format!("{name} is not text")))
    }

    /// A JSON file as `T`.
    ///
    /// # Errors
    /// When it is missing, not a JSON object, or does not describe a `T`.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let (text, path) = (self.text(name)?, self.path(name));
        // Every file of a model is an object. serde would also take a list for a struct, by the order of its fields.
        if !text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
            let sentence = format!("{name} is not what it should be: it does not begin with {{");
            return Err(UserError::input(sentence).path(path).hint("download the model again"));
        }
        read_json(&text, &path)
    }

    /// The weights of a part, such as `unet`, in the first of `names` that is there.
    ///
    /// # Errors
    /// When none is there, or the file is broken.
    pub fn weights(&self, part: &str, names: &[&str]) -> Result<TensorFile> {
        let Some(name) = names.iter().map(|name| format!("{part}/{name}")).find(|name| self.has(name)) else {
            let sentence = format!("The model has no weights for its {part}: {} is missing", names.join(" or "));
            return Err(UserError::input(sentence).path(self.path(part)).hint("the model is incomplete"));
        };
        match self {
            Self::Folder(folder) => TensorFile::open(&folder.join(name)),
            Self::Embedded(files) => match files.iter().find(|(file, _)| *file == name) {
                Some((_, bytes)) => TensorFile::embedded(bytes, &self.path(&name).to_string_lossy()),
                None => Err(UserError::failed(format!("{name} is missing")).path(self.path(&name))),
            },
            Self::Made { of, .. } => Err(UserError::failed(format!("{name} is no file of its own")).path(of)),
        }
    }
}

/// JSON text as `T`; `path` is for the message.
///
/// # Errors
/// When it is not JSON, or does not describe a `T`: line and column are named.
pub fn read_json<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T> {
    // A byte order mark is what some editors leave.
    serde_json::from_str(&without_non_finite(text.trim_start_matches('\u{feff}'))).map_err(|error| {
        UserError::input(format!("The file is not what it should be: {error}"))
            .path(path)
            .hint("download the model again")
    })
}

/// Python writes `NaN` and `±Infinity`, which JSON does not have (diffusers' schedulers do: `lambda_min_clipped`). They
/// become `null` of the same length, so that lines and columns of messages stay right.
fn without_non_finite(text: &str) -> Cow<'_, str> {
    if !["NaN", "Infinity"].iter().any(|word| text.contains(word)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| !in_string && rest.starts_with(word));
        if let Some(word) = word {
            // `NaN` is shorter than `null`; one column on its line is the price.
            out.push_str("null");
            out.extend(std::iter::repeat_n(' ', word.len().saturating_sub("null".len())));
            rest = &rest[word.len()..];
            continue;
        }
        in_string ^= next == '"' && !escaped;
        escaped = in_string && next == '\\' && !escaped;
        out.push(next);
        rest = &rest[next.len_utf8()..];
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_numbers_that_json_lacks_are_null() {
        let text = r#"{"lambda_min_clipped": -Infinity, "a": [NaN, Infinity, 1], "b": "NaN \" Infinity"}"#;
        let value: serde_json::Value = read_json(text, Path::new("config.json")).unwrap();
        let expected = serde_json::json!({
            "lambda_min_clipped": null, "a": [null, null, 1], "b": "NaN \" Infinity"
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn what_is_no_model_is_refused_by_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes.txt");
        std::fs::write(&file, "hello").unwrap();
        for (path, expected) in [
            (file.as_path(), "a file, not a model folder"),
            (folder.path(), "has no unet/config.json"),
            (&folder.path().join("nothing"), "Could not open the model"),
        ] {
            let error = ModelFiles::folder(path).unwrap_err();
            assert!(error.sentence.contains(expected), "{error}");
            assert_eq!((error.exit_code(), error.path.as_deref()), (2, Some(path)));
        }
    }

    #[test]
    fn broken_json_names_line_and_column() {
        let error = read_json::<Vec<u32>>("[1,\n x]", Path::new("config.json")).unwrap_err();
        assert!(error.sentence.contains("line 2"), "{error}");
    }

    #[test]
    fn embedded_files_are_found_by_name() {
        static FILES: &[(&str, &[u8])] = &[("unet/config.json", b"{\"a\": 1}")];
        let files = ModelFiles::Embedded(FILES);
        assert!(files.has("unet/config.json") && !files.has("vae/config.json"));
        let value: serde_json::Value = files.json("unet/config.json").unwrap();
        assert_eq!(value["a"], 1);
        assert!(files.weights("unet", &["a.safetensors"]).err().unwrap().sentence.contains("no weights for its unet"));
    }
}
