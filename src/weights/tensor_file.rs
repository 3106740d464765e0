//! [`TensorFile`]: one safetensors file, mapped into memory or inside the program.
//!
//! Format: <https://github.com/huggingface/safetensors>. The header is checked by the `safetensors` crate: its length,
//! every offset, no holes, no overlap, no overflow.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors};

use crate::domain::{Result, UserError};

/// The bytes of a file.
enum Bytes {
    Mapped(Mmap),
    Embedded(&'static [u8]),
}

/// What a file says of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its type as it stands in the file.
    pub dtype: Dtype,
    start: usize,
    end: usize,
}

/// One safetensors file. Tensors are converted as they are read; nothing else is copied.
pub struct TensorFile {
    bytes: Bytes,
    path: PathBuf,
    tensors: BTreeMap<String, TensorInfo>,
}

impl TensorFile {
    /// Maps a file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not a complete safetensors file.
    pub fn open(path: &Path) -> Result<Self> {
        let cannot_open = |error: std::io::Error| {
            UserError::input(format!("Could not open the weights: {error}")).path(path).hint("check the path")
        };
        let file = File::open(path).map_err(cannot_open)?;
        if file.metadata().map_err(cannot_open)?.len() == 0 {
            return Err(UserError::input("The weights file is empty").path(path).hint("download it again"));
        }
        // SAFETY: the map is only read, and every access is bounded by its length. A file that another program cuts
        // short meanwhile ends this program with SIGBUS, which every mapped reader of weights accepts; none is written
        // to by this program.
        let map = unsafe { Mmap::map(&file) }.map_err(cannot_open)?;
        Self::new(Bytes::Mapped(map), path.to_path_buf())
    }

    /// Reads a file that is part of the program; `name` stands for its path in messages.
    ///
    /// # Errors
    /// When the bytes are not a complete safetensors file.
    pub fn embedded(bytes: &'static [u8], name: &str) -> Result<Self> {
        Self::new(Bytes::Embedded(bytes), PathBuf::from(name))
    }

    fn new(bytes: Bytes, path: PathBuf) -> Result<Self> {
        let data: &[u8] = match &bytes {
            Bytes::Mapped(map) => map,
            Bytes::Embedded(bytes) => bytes,
        };
        let (header, metadata) = SafeTensors::read_metadata(data).map_err(|error| header_error(&error, &path))?;
        let start = header + 8;
        if data.len() - start != metadata.data_len() {
            return Err(header_error(&SafeTensorError::MetadataIncompleteBuffer, &path));
        }
        let tensors = metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| {
                let (from, to) = info.data_offsets;
                let info =
                    TensorInfo { shape: info.shape.clone(), dtype: info.dtype, start: start + from, end: start + to };
                (name, info)
            })
            .collect();
        Ok(Self { bytes, path, tensors })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names in it, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// What the file says of a tensor.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// Gives every tensor another name. Where two get the same one, the alphabetically last stays.
    #[must_use]
    pub fn renamed(mut self, rename: impl Fn(&str) -> String) -> Self {
        self.tensors = self.tensors.into_iter().map(|(name, info)| (rename(&name), info)).collect();
        self
    }

    /// The raw bytes of the whole file, for hashing.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Embedded(bytes) => bytes,
        }
    }

    /// The values of a tensor as f32, row-major. NaN and infinity come as they are.
    ///
    /// # Errors
    /// When there is no such tensor, or it is not a floating-point one.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let info = self
            .tensors
            .get(name)
            .ok_or_else(|| UserError::input(format!("The tensor {name} is missing")).path(&self.path))?;
        let raw = &self.bytes()[info.start..info.end];
        Ok(match info.dtype {
            Dtype::F32 => raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => raw.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::BF16 => raw.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::F64 => raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            other => {
                return Err(UserError::input(format!("The tensor {name} holds {other:?}, not numbers of a network"))
                    .path(&self.path)
                    .hint("f16, bf16, f32 and f64 can be read"));
            }
        })
    }
}

/// A header's fault as a person reads it.
fn header_error(error: &SafeTensorError, path: &Path) -> UserError {
    let sentence = match error {
        SafeTensorError::MetadataIncompleteBuffer | SafeTensorError::InvalidHeaderLength => {
            "The weights file is cut off, or longer than it says".to_owned()
        }
        SafeTensorError::HeaderTooSmall | SafeTensorError::HeaderTooLarge => {
            "This is not a safetensors file: its header has an impossible length".to_owned()
        }
        other => format!("This is not a sound safetensors file: {other}"),
    };
    UserError::input(sentence).path(path).hint("download the file again, or check that it is a model's weights")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(header: &str, data: &[u8]) -> &'static [u8] {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes.leak()
    }

    fn open(header: &str, data: &[u8]) -> Result<TensorFile> {
        TensorFile::embedded(bytes_of(header, data), "test")
    }

    #[test]
    fn every_float_type_reads_as_the_same_numbers() {
        let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
            "b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},
            "c":{"dtype":"BF16","shape":[2],"data_offsets":[12,16]},
            "d":{"dtype":"F64","shape":[2],"data_offsets":[16,32]}}"#;
        let mut data = Vec::new();
        for value in [1.5f32, -2.0] {
            data.extend(value.to_le_bytes());
        }
        for value in [1.5f32, -2.0] {
            data.extend(f16::from_f32(value).to_le_bytes());
        }
        for value in [1.5f32, -2.0] {
            data.extend(bf16::from_f32(value).to_le_bytes());
        }
        for value in [1.5f64, -2.0] {
            data.extend(value.to_le_bytes());
        }
        let file = open(header, &data).unwrap();
        for name in ["a", "b", "c", "d"] {
            assert_eq!(file.read_f32(name).unwrap(), [1.5, -2.0], "{name}");
            assert_eq!(file.info(name).unwrap().shape, [2]);
        }
    }

    #[test]
    fn broken_files_are_refused_with_a_sentence() {
        let whole = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let cases: [(&'static [u8], &str); 8] = [
            (&[], "impossible length"),
            (&[1, 2, 3], "impossible length"),
            (&[0xff; 16], "impossible length"),
            (bytes_of(whole, &[0; 4]), "cut off"),
            (bytes_of(whole, &[0; 12]), "cut off"),
            (bytes_of("{broken", &[]), "not a sound safetensors file"),
            (bytes_of(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, &[0; 8]), "not a sound"),
            (
                bytes_of(r#"{"a":{"dtype":"F32","shape":[9223372036854775807,9],"data_offsets":[0,8]}}"#, &[0; 8]),
                "not a sound",
            ),
        ];
        for (bytes, expected) in cases {
            let error = TensorFile::embedded(bytes, "test").err().expect("refused");
            assert!(error.sentence.contains(expected), "{error} lacks {expected}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn a_file_of_integers_is_named() {
        let file = open(r#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#, &[0; 8]).unwrap();
        assert!(file.read_f32("a").unwrap_err().sentence.contains("tensor a holds I64"));
        assert!(file.read_f32("b").unwrap_err().sentence.contains("b is missing"));
    }

    #[test]
    fn a_missing_and_an_empty_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("unet.safetensors");
        assert!(TensorFile::open(&path).err().unwrap().sentence.contains("Could not open"));
        std::fs::write(&path, b"").unwrap();
        assert!(TensorFile::open(&path).err().unwrap().sentence.contains("empty"));
    }
}
