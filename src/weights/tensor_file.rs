//! [`TensorFile`]: weights in one file or several, mapped into memory or inside the program.
//!
//! Format: <https://github.com/huggingface/safetensors>. The header is checked by the `safetensors` crate: its length,
//! every offset, no holes, no overlap, no overflow. Other formats come in by [`TensorFile::stored`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors};

use super::view::{TensorInfo, Tensors, View};
use crate::domain::{Result, UserError};

/// The longest header that is read, in bytes. Those of published models have less than 1 MiB, and a `LoRA`'s notes on
/// its training some more; the format's own limit of 100 MB would let a file of that size cost half a gigabyte of memory.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// More tensors than any model has: SDXL with the averages of its training has 5000.
const MAX_TENSORS: usize = 50_000;

/// The bytes of a file, mapped or inside the program. A clone is the same mapping.
#[derive(Clone)]
pub struct Mapping(Arc<Bytes>);

enum Bytes {
    Mapped(Mmap),
    Embedded(&'static [u8]),
}

impl Mapping {
    /// Maps a file of weights.
    ///
    /// # Errors
    /// When it cannot be opened or is empty.
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
        Ok(Self(Arc::new(Bytes::Mapped(map))))
    }

    /// Lets the system take back the memory that reading a part has filled. What is read again comes from the file again.
    ///
    /// # Panics
    /// When the range is not within the file.
    pub fn release(&self, range: Range<usize>) {
        let length = self[range.clone()].len();
        #[cfg(unix)]
        if let Bytes::Mapped(map) = &*self.0
            && length > 0
        {
            // SAFETY: the pages are of a file and were never written to, so that those which are dropped are read from it
            // again with the same content; slices of them stay valid.
            let released =
                unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, length) };
            if let Err(error) = released {
                tracing::debug!("the system keeps the memory of a mapped file: {error}");
            }
        }
    }

    /// Bytes that are part of the program.
    #[must_use]
    pub fn embedded(bytes: &'static [u8]) -> Self {
        Self(Arc::new(Bytes::Embedded(bytes)))
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &*self.0 {
            Bytes::Mapped(map) => map,
            Bytes::Embedded(bytes) => bytes,
        }
    }
}

/// A tensor that some format keeps within a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    /// Its name.
    pub name: String,
    /// The type of its elements, little-endian.
    pub dtype: Dtype,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Distance of neighbours along each dimension, in elements. `None`: it is stored row by row.
    pub strides: Option<Vec<usize>>,
    /// Its bytes within the file: from its first element at least to its last.
    pub range: Range<usize>,
}

/// The values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// IEEE half precision.
    F16(Vec<f16>),
    /// The upper half of f32.
    Bf16(Vec<bf16>),
}

/// One file among those that a [`TensorFile`] reads.
#[derive(Clone)]
struct Source {
    mapping: Mapping,
    path: PathBuf,
}

/// Weights by name. Tensors are converted as they are read; nothing else is copied, and a clone shares the mapping.
#[derive(Clone)]
pub struct TensorFile {
    sources: Vec<Source>,
    path: PathBuf,
    tensors: Tensors,
    metadata: BTreeMap<String, String>,
}

impl TensorFile {
    /// Maps a safetensors file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not a complete safetensors file.
    pub fn open(path: &Path) -> Result<Self> {
        Self::mapped(Mapping::open(path)?, path)
    }

    /// Reads a safetensors file that is part of the program; `name` stands for its path in messages.
    ///
    /// # Errors
    /// When the bytes are not a complete safetensors file.
    pub fn embedded(bytes: &'static [u8], name: &str) -> Result<Self> {
        Self::mapped(Mapping::embedded(bytes), Path::new(name))
    }

    /// Reads the header of a safetensors file that is mapped already.
    ///
    /// # Errors
    /// When it is not a complete safetensors file.
    pub fn mapped(mapping: Mapping, path: &Path) -> Result<Self> {
        let header_bytes = mapping.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        if header_bytes > MAX_HEADER_BYTES {
            return Err(header_error(&SafeTensorError::HeaderTooLarge, path));
        }
        let (header, metadata) = SafeTensors::read_metadata(&mapping).map_err(|error| header_error(&error, path))?;
        let start = header + 8;
        if mapping.len() - start != metadata.data_len() {
            return Err(header_error(&SafeTensorError::MetadataIncompleteBuffer, path));
        }
        let tensors = metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| {
                let (from, to) = info.data_offsets;
                StoredTensor {
                    name,
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    strides: None,
                    range: start + from..start + to,
                }
            })
            .collect();
        let mut file = Self::stored(mapping, path, tensors)?;
        file.metadata.extend(metadata.metadata().clone().unwrap_or_default());
        Ok(file)
    }

    /// Tensors that lie in a mapped file of another format.
    ///
    /// # Errors
    /// When one reaches beyond its bytes or the file, repeats stored elements, two have one name, or there are more than
    /// any model has.
    pub fn stored(mapping: Mapping, path: &Path, tensors: Vec<StoredTensor>) -> Result<Self> {
        let refuse = |name: &str, fault: &str| {
            Err(UserError::input(format!("The tensor {name} of the weights file is not sound: {fault}"))
                .path(path)
                .hint("download the file again, or check that it is a model's weights"))
        };
        if tensors.len() > MAX_TENSORS {
            let sentence = format!("The weights file names {} tensors, which no model has", tensors.len());
            return Err(UserError::input(sentence).path(path).hint("check that it is a model's weights"));
        }
        let mut found = Tensors::new();
        for StoredTensor { name, dtype, shape, strides, range } in tensors {
            if range.start > range.end || range.end > mapping.len() {
                return refuse(&name, "it lies outside the file");
            }
            match TensorInfo::new(dtype, shape, strides, range) {
                Err(fault) => return refuse(&name, &fault),
                Ok(_) if found.contains_key(&name) => return refuse(&name, "it is there twice"),
                Ok(info) => found.insert(name, info),
            };
        }
        let sources = vec![Source { mapping, path: path.to_path_buf() }];
        Ok(Self { sources, path: path.to_path_buf(), tensors: found, metadata: BTreeMap::new() })
    }

    /// Several files as one; `path` stands for them in messages.
    ///
    /// # Errors
    /// When two of them have a tensor of the same name: the first three names and their number are told.
    pub fn joined(path: &Path, files: Vec<Self>) -> Result<Self> {
        let mut whole =
            Self { sources: Vec::new(), path: path.to_path_buf(), tensors: Tensors::new(), metadata: BTreeMap::new() };
        let mut twice = Vec::new();
        for file in files {
            let offset = whole.sources.len();
            whole.sources.extend(file.sources);
            for (name, mut info) in file.tensors {
                info.source += offset;
                match whole.tensors.entry(name) {
                    Entry::Occupied(taken) => twice.push(taken.key().clone()),
                    Entry::Vacant(free) => {
                        free.insert(info);
                    }
                }
            }
            for (key, value) in file.metadata {
                whole.metadata.entry(key).or_insert(value);
            }
        }
        if twice.is_empty() {
            return Ok(whole);
        }
        let sentence = format!("Two of the weights' files have the same tensors: {}", super::first_three(&twice));
        Err(UserError::input(sentence).path(path).hint("they belong to different models; download the model again"))
    }

    /// The tensors that `views` describe, and no others; the files stay mapped once.
    ///
    /// # Errors
    /// When a stored tensor is missing, a step does not fit it, or two views have one name.
    pub fn viewed(&self, views: &[View]) -> Result<Self> {
        let refuse = |sentence: String| {
            UserError::input(sentence).path(&self.path).hint("this is not a model of a known layout, or it is damaged")
        };
        let mut tensors = Tensors::new();
        for view in views {
            if tensors.insert(view.name.clone(), view.of(&self.tensors).map_err(refuse)?).is_some() {
                return Err(refuse(format!("Two tensors would be {}", view.name)));
            }
        }
        Ok(Self { tensors, ..self.clone() })
    }

    /// Where the file is; of several, what stands for them.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names in it, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// What is known of a tensor.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// What is known of every tensor, without its values.
    #[must_use]
    pub fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    /// What the header says beside the tensors (`__metadata__`), such as a `LoRA`'s `ss_network_alpha`.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Gives every tensor another name. Where two get the same one, the alphabetically last stays.
    #[must_use]
    pub fn renamed(mut self, rename: impl Fn(&str) -> String) -> Self {
        self.tensors = self.tensors.into_iter().map(|(name, info)| (rename(&name), info)).collect();
        self
    }

    /// As [`Mapping::release`], for one tensor, if it is there: once a network has its weights, those in the file need no
    /// memory.
    pub fn release_tensor(&self, name: &str) {
        if let Some(info) = self.tensors.get(name) {
            self.sources[info.source].mapping.release(info.range.clone());
        }
    }

    /// What holds a tensor.
    pub(super) fn mapping(&self, info: &TensorInfo) -> &Mapping {
        &self.sources[info.source].mapping
    }

    /// Every file, in order.
    pub fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        self.sources.iter().map(|source| &source.mapping)
    }

    /// The values of a tensor, row-major: f16 and bf16 as they are stored, f32 and f64 as f32.
    ///
    /// # Errors
    /// As [`TensorFile::read_f32`].
    pub fn read(&self, name: &str) -> Result<Values> {
        let Some(info) = self.tensors.get(name) else { return self.read_f32(name).map(Values::F32) };
        let stored = &self.sources[info.source].mapping[info.range.clone()];
        match info.dtype {
            Dtype::F16 => Ok(Values::F16(info.decode(stored, f16::from_le_bytes))),
            Dtype::BF16 => Ok(Values::Bf16(info.decode(stored, bf16::from_le_bytes))),
            _ => self.read_f32(name).map(Values::F32),
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
        let source = &self.sources[info.source];
        let stored = &source.mapping[info.range.clone()];
        Ok(match info.dtype {
            Dtype::F32 => info.decode(stored, f32::from_le_bytes),
            Dtype::F16 => info.decode(stored, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => info.decode(stored, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F64 => info.decode(stored, |b| f64::from_le_bytes(b) as f32),
            other => {
                return Err(UserError::input(format!("The tensor {name} holds {other:?}, not numbers of a network"))
                    .path(&source.path)
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
    use crate::weights::Step;

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
            let kept = match file.read(name).unwrap() {
                Values::F32(values) => values,
                Values::F16(values) => values.into_iter().map(f16::to_f32).collect(),
                Values::Bf16(values) => values.into_iter().map(bf16::to_f32).collect(),
            };
            assert_eq!(kept, [1.5, -2.0], "{name}");
            assert_eq!(file.info(name).unwrap().shape, [2]);
        }
    }

    #[test]
    fn broken_files_are_refused_with_a_sentence() {
        let whole = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let long = " ".repeat(MAX_HEADER_BYTES as usize + 1);
        let pair = |first: &str, second: &str| {
            let tensor =
                |name: &str, offsets| format!(r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":{offsets}}}"#);
            bytes_of(&format!("{{{},{}}}", tensor("a", first), tensor("b", second)), &[0; 8])
        };
        let twice = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
            "a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        let cases: [(&'static [u8], &str); 13] = [
            (bytes_of(&long, &[]), "impossible length"),
            (pair("[0,4]", "[4,12]"), "not a sound"),
            (pair("[0,4]", "[0,4]"), "not a sound"),
            (pair("[0,4]", "[8,12]"), "not a sound"),
            (bytes_of(twice, &[0; 8]), "not a sound"),
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
    fn what_was_released_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        std::fs::write(&path, bytes_of(header, &[1.5f32, -2.0].map(f32::to_le_bytes).concat())).unwrap();
        let file = TensorFile::open(&path).unwrap();
        for _ in 0..2 {
            assert_eq!(file.read_f32("a").unwrap(), [1.5, -2.0]);
            file.release_tensor("a");
            assert_eq!(file.read_f32("a").unwrap(), [1.5, -2.0]);
            file.mappings().for_each(|mapping| mapping.release(0..mapping.len()));
        }
    }

    #[test]
    fn a_missing_and_an_empty_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("unet.safetensors");
        assert!(TensorFile::open(&path).err().unwrap().sentence.contains("Could not open"));
        std::fs::write(&path, b"").unwrap();
        assert!(TensorFile::open(&path).err().unwrap().sentence.contains("empty"));
    }

    #[test]
    fn tensors_of_another_format_are_read_by_their_strides() {
        let mapping = Mapping::embedded(bytes_of("", &[]));
        assert!(TensorFile::stored(mapping, Path::new("a.ckpt"), Vec::new()).unwrap().names().next().is_none());

        let values: Vec<u8> = (0..6u8).flat_map(|value| f32::from(value).to_le_bytes()).collect();
        let mapping = Mapping::embedded(values.leak());
        let tensor = |name: &str, shape: &[usize], strides: Option<&[usize]>, range: Range<usize>| StoredTensor {
            name: name.to_owned(),
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            strides: strides.map(<[usize]>::to_vec),
            range,
        };
        let tensors = vec![tensor("t", &[3, 2], Some(&[1, 3]), 0..24), tensor("tail", &[2], None, 16..24)];
        let file = TensorFile::stored(mapping.clone(), Path::new("a.ckpt"), tensors).unwrap();
        assert_eq!(file.read_f32("t").unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(file.read_f32("tail").unwrap(), [4.0, 5.0]);

        for (bad, expected) in [
            (vec![tensor("a", &[1], None, 0..4); MAX_TENSORS + 1], "names 50001 tensors"),
            (vec![tensor("a", &[2], None, 20..28)], "tensor a of the weights file is not sound: it lies outside"),
            (vec![tensor("a", &[3], None, 16..24)], "reach beyond the 2"),
            (vec![tensor("a", &[1], None, 0..4), tensor("a", &[1], None, 4..8)], "it is there twice"),
        ] {
            let error = TensorFile::stored(mapping.clone(), Path::new("a.ckpt"), bad).err().unwrap();
            assert!(error.sentence.contains(expected), "{error} lacks {expected}");
        }
    }

    #[test]
    fn views_and_joined_files_read_the_right_bytes() {
        let one = |name: &str, values: [f32; 2]| {
            let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}}}"#);
            open(&header, &values.map(f32::to_le_bytes).concat()).unwrap()
        };
        let joined = TensorFile::joined(Path::new("both"), vec![one("a", [1.0, 2.0]), one("b", [3.0, 4.0])]).unwrap();
        assert_eq!((joined.read_f32("a").unwrap(), joined.read_f32("b").unwrap()), (vec![1.0, 2.0], vec![3.0, 4.0]));
        assert_eq!(joined.mappings().count(), 2);
        let views = [View::renamed("c", "b").then(Step::Rows(1..2)), View::renamed("d", "a")];
        let viewed = joined.viewed(&views).unwrap();
        assert_eq!(viewed.names().collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!(
            (viewed.info("c").unwrap().shape.as_slice(), viewed.read_f32("c").unwrap()),
            (&[1, 1][..], vec![4.0])
        );

        let twice = [View::renamed("c", "a"), View::renamed("c", "b")];
        assert!(joined.viewed(&twice).err().unwrap().sentence.contains("Two tensors would be c"));
        assert!(joined.viewed(&[View::renamed("c", "x")]).err().unwrap().sentence.contains("x is missing"));
        let error = TensorFile::joined(Path::new("both"), vec![one("a", [0.0; 2]), one("a", [1.0; 2])]).err().unwrap();
        assert!(error.sentence.contains("have the same tensors: a (1)"), "{error}");
    }
}
