//! [`open_file`]: a file of weights, whichever format it has.

use std::path::Path;

use super::pickle::{PickleFile, Scalar, is_safetensors};
use super::{Mapping, StoredTensor, TensorFile};
use crate::domain::{Result, UserError};

/// A file of weights.
pub struct OpenedFile {
    /// Its tensors, as it names them.
    pub file: TensorFile,
    /// The training step that a `.ckpt` says it was saved at.
    pub global_step: Option<i64>,
}

/// Opens a file of weights by its content, not by its ending: safetensors, or what PyTorch saves (`.ckpt`, `.pt`,
/// `.bin`), which is read without running anything.
///
/// # Errors
/// When the file cannot be opened, is neither, is broken, or wants to run something.
pub fn open_file(path: &Path) -> Result<OpenedFile> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        UserError::input(format!("Could not open the file: {error}")).path(path).hint("check the path")
    })?;
    // A pipe would wait for a writer for ever.
    if !metadata.is_file() {
        let error = UserError::input("This is neither a file nor a model's folder").path(path);
        return Err(error.hint("choose a .safetensors, .ckpt, .pt or .bin file"));
    }
    let mapping = Mapping::open(path)?;
    let says_safetensors = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors"));
    // A file that is cut off in its header looks like nothing at all, and its name is the best guess then.
    if is_safetensors(&mapping) || (says_safetensors && !is_known_otherwise(&mapping)) {
        return Ok(OpenedFile { file: TensorFile::mapped(mapping, path)?, global_step: None });
    }
    let pickle = PickleFile::read(&mapping).map_err(|error| error.path(path))?;
    let global_step = match pickle.scalars.get("global_step") {
        Some(Scalar::Int(step)) => Some(*step),
        _ => None,
    };
    let tensors = pickle.tensors.into_iter().map(|(name, tensor)| StoredTensor {
        name,
        dtype: tensor.dtype,
        shape: tensor.shape,
        strides: tensor.strides,
        range: tensor.range,
    });
    Ok(OpenedFile { file: TensorFile::stored(mapping, path, tensors.collect())?, global_step })
}

/// Whether a file begins as a pickle, an archive or text does, whatever its name.
fn is_known_otherwise(file: &[u8]) -> bool {
    let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file).trim_ascii_start();
    let beginnings: [&[u8]; 4] = [b"PK\x03\x04", b"\x80\x02", b"<", b"version https://git-lfs"];
    beginnings.iter().any(|beginning| text.starts_with(beginning)) || file.starts_with(b"GGUF")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_it_holds_and_not_what_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let whole = [&(header.len() as u64).to_le_bytes()[..], header, &1f32.to_le_bytes()].concat();
        for name in ["a.safetensors", "a.ckpt", "a"] {
            let opened = open_file(&write(name, &whole)).unwrap();
            assert_eq!((opened.file.read_f32("a").unwrap(), opened.global_step), (vec![1.0], None));
        }
        for (name, content, expected) in [
            ("cut.safetensors", &whole[..20], "cut off"),
            ("page.safetensors", &b"<!doctype html>"[..], "web page"),
            ("pointer.safetensors", b"version https://git-lfs.github.com/spec/v1", "pointer"),
            ("noise.ckpt", &[7; 64], "not a PyTorch file"),
            ("empty.ckpt", b"", "empty"),
            ("call.safetensors", b"\x80\x02cos\nsystem\n(S'true'\ntR.", "os"),
        ] {
            let path = write(name, content);
            let error = open_file(&path).err().expect("refused");
            assert!(error.sentence.contains(expected), "{name}: {error}");
            assert_eq!((error.exit_code(), error.path.as_deref()), (2, Some(path.as_path())), "{name}");
        }
    }
}
