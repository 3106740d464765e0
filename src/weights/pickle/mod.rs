//! [`PickleFile`]: PyTorch's own files (`.ckpt`, `.pt`, `.bin`), read without ever running anything.
//!
//! A pickle is a program for a small machine that can call any Python function. Here that machine has no functions: it
//! knows the few names of `globals` as inert data, follows the instructions that published checkpoints use, and
//! refuses the rest by name. What comes out are names, shapes, and where in the file the numbers are: no copies.
//!
//! Reading order: `machine` (instructions to a heap of values), `rebuild` (what tensors are made of), `collect` (from
//! dictionaries to names); `archive` and `stream` are the two forms of file.

mod archive;
mod collect;
mod globals;
mod machine;
mod opcodes;
mod rebuild;
mod refusal;
mod stream;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::tensor::Dtype;

use crate::domain::{Result, UserError};

/// Pickles begin with this, then their protocol.
const PICKLE: u8 = 0x80;

/// What one file of PyTorch holds.
///
/// A name is the keys of the dictionaries joined by `.`, without a leading `state_dict.`: that is where a training puts
/// the weights, and a checkpoint of weights alone has them at the top. So both have the same names. Keys that are
/// neither text nor whole numbers, and lists (optimizers have some), are passed over.
#[derive(Clone, Debug, PartialEq)]
pub struct PickleFile {
    /// The tensors by name.
    pub tensors: BTreeMap<String, PickledTensor>,
    /// The plain values beside them: `global_step`, `epoch`, `name`. Where one name stands for two, the outer one; long
    /// texts (over 1 KiB) and more than 4096 are left out.
    pub scalars: BTreeMap<String, Scalar>,
}

/// One tensor: what it is, and where it is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickledTensor {
    /// The type of its numbers: f32, f16, bf16, f64, i64, i32, i16, i8, u8 or bool. They are little-endian.
    pub dtype: Dtype,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// How many numbers lie from one to the next along each axis, where that is not row-major without gaps.
    pub strides: Option<Vec<usize>>,
    /// Its bytes in the file: from its first number to its last. Not aligned to anything.
    pub range: Range<usize>,
}

/// A plain value.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

impl PickleFile {
    /// Finds the tensors of a whole file. Memory and time are bounded by its pickle, not by what it claims.
    ///
    /// # Errors
    /// When the file is no PyTorch file (the message says what it seems to be), wants to run something, or is broken.
    /// The path is for the caller to add.
    pub fn read(file: &[u8]) -> Result<Self> {
        let collected = if file.starts_with(archive::LOCAL_SIGNATURE) {
            let archive = archive::Archive::read(file)?;
            check_byte_order(file, &archive)?;
            // The archive has it: that was checked.
            let range = archive.get("data.pkl").unwrap_or_default();
            let (pickle, _) = machine::run(&file[range])?;
            collect::collect(&pickle, |key| archive.storage(key))?
        } else if file.first() == Some(&PICKLE) {
            let stream = stream::read(file)?;
            collect::collect(&stream.object, |key| stream.storages.get(key).cloned())?
        } else {
            return Err(another_kind(file));
        };
        if collected.tensors.is_empty() {
            return Err(refusal::not_opened("holds no tensors"));
        }
        Ok(Self { tensors: collected.tensors, scalars: collected.scalars })
    }
}

impl PickledTensor {
    /// How many numbers it has.
    #[must_use]
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its numbers, little-endian and row-major: borrowed from the file that it was found in, copied only where they
    /// do not lie so.
    ///
    /// # Errors
    /// When `file` is shorter than the one it was found in.
    pub fn bytes<'a>(&self, file: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        let raw = file.get(self.range.clone()).ok_or_else(refusal::cut_off)?;
        let Some(strides) = &self.strides else { return Ok(Cow::Borrowed(raw)) };
        let item = globals::item_bytes(self.dtype);
        // No more than its storage has: that was checked when it was found.
        let mut gathered = Vec::with_capacity(self.numel() * item);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.numel() {
            let at: usize = index.iter().zip(strides).map(|(index, stride)| index * stride).sum();
            gathered.extend_from_slice(&raw[at * item..][..item]);
            for (index, size) in index.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < *size {
                    break;
                }
                *index = 0;
            }
        }
        Ok(Cow::Owned(gathered))
    }
}

/// Files of new versions say which way round their numbers are; before, all were little-endian.
fn check_byte_order(file: &[u8], archive: &archive::Archive<'_>) -> Result<()> {
    match archive.get("byteorder").map(|range| &file[range]) {
        None | Some(b"little") => Ok(()),
        Some(b"big") => Err(refusal::big_endian()),
        Some(other) => Err(refusal::damaged(format!("its numbers are stored as {}", refusal::printable(other)))),
    }
}

/// What a file seems to be that is none of PyTorch's.
fn another_kind(file: &[u8]) -> UserError {
    let start = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file).trim_ascii_start();
    let start = &start[..start.len().min(256)];
    if file.is_empty() {
        UserError::input("The file is empty").hint("download it again")
    } else if start.starts_with(b"version https://git-lfs") {
        UserError::input("This is a pointer to a file, not the file itself")
            .hint("download the file from the model's page, or run git lfs pull")
    } else if start.starts_with(b"<") {
        UserError::input("This is a web page, not a model")
            .hint("the download may need you to sign in or to accept the model's terms")
    } else if is_safetensors(file) {
        UserError::input("This is a safetensors file under another ending").hint("rename it to .safetensors")
    } else if file.starts_with(b"GGUF") {
        UserError::input("This is a GGUF file, and such files are not read").hint("get the model as .safetensors")
    } else if file.get(257..262) == Some(b"ustar") {
        UserError::input("This is a tar archive, as PyTorch before 0.4 wrote them, and such files are not read")
            .hint("get the model as .safetensors")
    } else {
        UserError::input("This is not a PyTorch file").hint("choose a model's .safetensors, .ckpt, .pt or .bin file")
    }
}

/// Whether a file begins with the length of a header that it can hold, and with a header.
pub(super) fn is_safetensors(file: &[u8]) -> bool {
    let Some((len, rest)) = file.split_first_chunk() else { return false };
    u64::from_le_bytes(*len) <= rest.len() as u64 && rest.starts_with(b"{")
}
