//! The stream form of PyTorch files before 1.6: five pickles one after the other, then the storages.
//!
//! Format: torch 2.15, `torch/serialization.py`, `_legacy_save`: a magic number, a protocol version, a record of the
//! machine, the object, the keys of its storages; then for each key the number of values as i64 and the values.

use std::collections::HashMap;
use std::ops::Range;

use safetensors::tensor::Dtype;

use super::globals::item_bytes;
use super::machine::run;
use super::refusal::{big_endian, cut_off, damaged, not_opened, printable};
use super::value::{Node, Pickle, Value};
use crate::domain::{Result, UserError};

/// 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The one version there was.
const PROTOCOL: i64 = 1001;

/// The object of a file, and where its storages are.
pub(super) struct Stream<'a> {
    pub(super) object: Pickle<'a>,
    pub(super) storages: HashMap<&'a str, Range<usize>>,
}

/// Reads a file's pickles and finds its storages.
///
/// # Errors
/// When a pickle is refused, or the file is cut off, too long, or another kind of pickle.
pub(super) fn read(file: &[u8]) -> Result<Stream<'_>> {
    let mut at = 0;
    let mut next = || -> Result<Pickle<'_>> {
        let (pickle, len) = run(&file[at..])?;
        at += len;
        Ok(pickle)
    };
    let magic = next()?;
    if !matches!(magic.root, Value::Long(span) if magic.slice(span) == MAGIC) {
        return Err(not_opened("is a pickle, but not one that PyTorch wrote"));
    }
    let protocol = next()?;
    if protocol.root != Value::Int(PROTOCOL) {
        return Err(damaged("it has an unknown version"));
    }
    check_machine(&next()?)?;
    let object = next()?;
    let keys = next()?;
    let storages = find_storages(file, at, &object, &keys)?;
    Ok(Stream { object, storages })
}

/// Refuses numbers that are stored the other way round.
fn check_machine(machine: &Pickle<'_>) -> Result<()> {
    let entries = machine.heap.entries(machine.root).unwrap_or_default();
    match entries.iter().find(|(key, _)| machine.text(*key) == Some("little_endian")) {
        Some((_, Value::Bool(true))) => Ok(()),
        Some((_, Value::Bool(false))) => Err(big_endian()),
        _ => Err(damaged("it does not say how its numbers are stored")),
    }
}

fn find_storages<'a>(
    file: &'a [u8],
    mut at: usize,
    object: &Pickle<'a>,
    keys: &Pickle<'a>,
) -> Result<HashMap<&'a str, Range<usize>>> {
    let dtypes = storage_types(object)?;
    let keys_list = keys.heap.sequence(keys.root).ok_or_else(|| damaged("it does not list its storages"))?;
    let mut storages = HashMap::with_capacity(keys_list.len());
    for key in keys_list {
        let key = keys.text(*key).ok_or_else(|| damaged("a storage has no proper name"))?;
        let named = || printable(key.as_bytes());
        let dtype =
            *dtypes.get(key).ok_or_else(|| damaged(format!("nothing says what its storage {} holds", named())))?;
        let start = at + size_of::<i64>();
        let length = file.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(cut_off)?;
        let numel = usize::try_from(i64::from_le_bytes(*length));
        let numel = numel.map_err(|_| damaged(format!("its storage {} has a negative length", named())))?;
        let end = numel.checked_mul(item_bytes(dtype)).and_then(|bytes| start.checked_add(bytes));
        at = end.filter(|end| *end <= file.len()).ok_or_else(cut_off)?;
        if storages.insert(key, start..at).is_some() {
            return Err(damaged(format!("it has two storages named {}", named())));
        }
    }
    if at == file.len() { Ok(storages) } else { Err(damaged("it goes on behind its last storage")) }
}

/// The type of each storage that the object refers to: the storages themselves do not say.
fn storage_types<'a>(object: &Pickle<'a>) -> Result<HashMap<&'a str, Dtype>> {
    let mut dtypes = HashMap::new();
    for node in object.heap.nodes() {
        let Node::Storage(storage) = node else { continue };
        let clash = || -> UserError { damaged("a storage has two types") };
        // The key was checked to be text when the storage was made.
        let key = std::str::from_utf8(object.slice(storage.key)).map_err(|_| clash())?;
        if *dtypes.entry(key).or_insert(storage.dtype) != storage.dtype {
            return Err(clash());
        }
    }
    Ok(dtypes)
}
