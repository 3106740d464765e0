//! Which of a folder's weights are read: full or half precision, in one file or in shards with an index.
//!
//! Names as diffusers and transformers write them: `diffusion_pytorch_model[.fp16].safetensors`, or
//! `….safetensors.index[.fp16].json` beside files such as `…-00001-of-00002.safetensors`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::{ModelFiles, TensorFile, first_three};
use crate::domain::{Result, UserError};

/// Which weights are taken where a folder has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Those of full precision: they lose nothing, whatever is computed with.
    #[default]
    Full,
    /// Those of half precision: half as much is read.
    Half,
}

/// What diffusers and transformers call the weights of a part.
const STEMS: [&str; 2] = ["diffusion_pytorch_model", "model"];
/// More shards than any published model has.
const MOST_SHARDS: usize = 1000;

/// An index: which file has which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Precision {
    /// Names that weights may have, the best first: files and indexes.
    fn names(self) -> Vec<String> {
        let full = |stem: &str| [format!("{stem}.safetensors"), format!("{stem}.safetensors.index.json")];
        let half = |stem: &str| {
            [
                format!("{stem}.fp16.safetensors"),
                format!("{stem}.safetensors.index.fp16.json"),
                // As releases of diffusers before 0.31 wrote it.
                format!("{stem}.fp16.safetensors.index.json"),
            ]
        };
        let (full, half): (Vec<String>, Vec<String>) =
            (STEMS.into_iter().flat_map(full).collect(), STEMS.into_iter().flat_map(half).collect());
        match self {
            Self::Full => [full, half].concat(),
            Self::Half => [half, full].concat(),
        }
    }
}

impl ModelFiles {
    /// Whether a part, such as `vae`, has weights that [`ModelFiles::part_weights`] reads.
    #[must_use]
    pub fn has_part_weights(&self, part: &str) -> bool {
        Precision::Full.names().iter().any(|name| self.has(&format!("{part}/{name}")))
    }

    /// The weights of a part, such as `unet`: of the precision that is preferred, else of the other one; from one file,
    /// or from all shards of an index.
    ///
    /// # Errors
    /// When there are none, a file is broken, or an index does not belong to its shards: one is missing, lacks a tensor
    /// that it should have, lies outside the folder, or has a tensor of another one.
    pub fn part_weights(&self, part: &str, prefer: Precision) -> Result<TensorFile> {
        let names = prefer.names();
        let Some(name) = names.iter().find(|name| self.has(&format!("{part}/{name}"))) else {
            let sentence = format!("The model has no weights for its {part}: no safetensors file is there");
            return Err(UserError::input(sentence).path(self.path(part)).hint("the model is incomplete"));
        };
        if Path::new(name).extension().is_some_and(|extension| extension == "json") {
            self.shards(part, name)
        } else {
            self.weights(part, &[name])
        }
    }

    fn shards(&self, part: &str, index: &str) -> Result<TensorFile> {
        let index = format!("{part}/{index}");
        let path = self.path(&index);
        let refuse = |sentence: String| {
            Err(UserError::input(sentence).path(&path).hint("the model is incomplete or damaged; download it again"))
        };
        let map = self.json::<Index>(&index)?.weight_map;
        let shards: BTreeSet<&String> = map.values().collect();
        if shards.is_empty() || shards.len() > MOST_SHARDS {
            return refuse(format!("The index of the {part}'s weights names {} files", shards.len()));
        }
        if let Some(outside) = shards.iter().find(|name| !is_plain_name(name)) {
            return refuse(format!("The index of the {part}'s weights names {outside:?}, which is no file beside it"));
        }
        let missing: Vec<String> =
            shards.iter().filter(|name| !self.has(&format!("{part}/{name}"))).map(ToString::to_string).collect();
        if !missing.is_empty() {
            return refuse(format!("Files of the {part}'s weights are missing: {}", first_three(&missing)));
        }
        let mut files = Vec::with_capacity(shards.len());
        for shard in shards {
            let file = self.weights(part, &[shard])?;
            let lacking: Vec<String> = map
                .iter()
                .filter(|(tensor, at)| *at == shard && file.info(tensor).is_none())
                .map(|(tensor, _)| tensor.clone())
                .collect();
            if !lacking.is_empty() {
                return refuse(format!("{shard} lacks tensors that the index says it has: {}", first_three(&lacking)));
            }
            files.push(file);
        }
        TensorFile::joined(&path, files)
    }
}

/// A safetensors file in the same folder, on every system: no separators, no drive, no `..`.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let is_one_part = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    is_one_part && !name.contains(['/', '\\', ':', '\0']) && name.ends_with(".safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A safetensors file of tensors with one number each.
    fn weights(tensors: &[(&str, f32)]) -> Vec<u8> {
        let entries: Vec<String> = tensors
            .iter()
            .enumerate()
            .map(|(i, (name, _))| {
                format!(r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":[{},{}]}}"#, 4 * i, 4 * i + 4)
            })
            .collect();
        let header = format!("{{{}}}", entries.join(","));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.into_bytes());
        bytes.extend(tensors.iter().flat_map(|(_, value)| value.to_le_bytes()));
        bytes
    }

    /// A model folder whose `unet/` has these files.
    fn model(files: &[(&str, &[u8])]) -> (tempfile::TempDir, ModelFiles) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("unet")).unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join("unet").join(name), bytes).unwrap();
        }
        let files = ModelFiles::Folder(folder.path().to_path_buf());
        (folder, files)
    }

    #[test]
    fn the_preferred_precision_is_taken_where_it_is() {
        let (full, half) = (weights(&[("a", 32.0)]), weights(&[("a", 16.0)]));
        let (full_name, half_name) =
            ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors");
        let value = |files: &ModelFiles, prefer| files.part_weights("unet", prefer).unwrap().read_f32("a").unwrap()[0];
        let (_folder, both) = model(&[(full_name, &full), (half_name, &half)]);
        assert_eq!((value(&both, Precision::default()), value(&both, Precision::Half)), (32.0, 16.0));
        let (_folder, only_half) = model(&[(half_name, &half)]);
        assert_eq!((value(&only_half, Precision::Full), value(&only_half, Precision::Half)), (16.0, 16.0));
        let (_folder, text) = model(&[("model.safetensors", &full)]);
        assert_eq!(value(&text, Precision::Half), 32.0);
        assert!(text.has_part_weights("unet") && !text.has_part_weights("vae"));
        let error = text.part_weights("vae", Precision::Full).err().unwrap();
        assert!(error.sentence.contains("no weights for its vae"), "{error}");
    }

    #[test]
    fn shards_are_one_file_in_either_precision() {
        let (one, two) = (weights(&[("a", 1.0), ("b", 2.0)]), weights(&[("c", 3.0)]));
        let index = br#"{"metadata": {"total_size": 12}, "weight_map": {"a": "1.safetensors", "b": "1.safetensors",
            "c": "2.safetensors"}}"#;
        for name in [
            "diffusion_pytorch_model.safetensors.index.json",
            "model.safetensors.index.json",
            "diffusion_pytorch_model.safetensors.index.fp16.json",
            "model.fp16.safetensors.index.json",
        ] {
            let (_folder, files) = model(&[(name, index), ("1.safetensors", &one), ("2.safetensors", &two)]);
            let file = files.part_weights("unet", Precision::Full).unwrap();
            assert_eq!(file.names().collect::<Vec<_>>(), ["a", "b", "c"]);
            assert_eq!((file.read_f32("b").unwrap(), file.read_f32("c").unwrap()), (vec![2.0], vec![3.0]));
            assert!(file.path().ends_with(name));
        }
    }

    #[test]
    fn an_index_that_does_not_fit_is_refused() {
        let (one, two) = (weights(&[("a", 1.0)]), weights(&[("a", 2.0), ("b", 3.0)]));
        let name = "diffusion_pytorch_model.safetensors.index.json";
        for (map, expected) in [
            (r#"{"a": "../1.safetensors"}"#, "is no file beside it"),
            (r#"{"a": "/etc/1.safetensors"}"#, "is no file beside it"),
            (r#"{"a": "C:\\1.safetensors"}"#, "is no file beside it"),
            (r#"{"a": "./1.safetensors"}"#, "is no file beside it"),
            (r#"{"a": "x\\1.safetensors"}"#, "is no file beside it"),
            (r#"{"a": "1.safetensors/"}"#, "is no file beside it"),
            (r#"{"a": ".."}"#, "is no file beside it"),
            (r#"{"a": ""}"#, "is no file beside it"),
            (r#"{"a": "1.bin"}"#, "is no file beside it"),
            (r#"{"a": "1.safetensors", "b": "3.safetensors"}"#, "weights are missing: 3.safetensors (1)"),
            (r#"{"a": "1.safetensors", "x": "1.safetensors"}"#, "1.safetensors lacks tensors that the index says"),
            (r#"{"a": "1.safetensors", "b": "2.safetensors"}"#, "have the same tensors: a (1)"),
            (r"{}", "names 0 files"),
            (r#"["a"]"#, "not what it should be"),
        ] {
            let index = format!(r#"{{"weight_map": {map}}}"#);
            let (_folder, files) = model(&[(name, index.as_bytes()), ("1.safetensors", &one), ("2.safetensors", &two)]);
            let error = files.part_weights("unet", Precision::Full).err().expect("refused");
            assert!(error.sentence.contains(expected), "{error} lacks {expected}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
