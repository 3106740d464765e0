//! From the dictionaries of a pickle to named tensors and scalars, each tensor with its place in the file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use super::globals::item_bytes;
use super::rebuild::{extent, numbers};
use super::refusal::{damaged, not_opened, printable};
use super::value::{Node, Pickle, Tensor, Value};
use super::{PickledTensor, Scalar};
use crate::domain::Result;

/// Most dictionaries inside each other.
const MAX_DEPTH: usize = 32;
/// Most entries looked at; a dictionary that is shared counts each time.
const MAX_ENTRIES: usize = 1 << 17;
/// Most tensors.
const MAX_TENSORS: usize = 1 << 16;
/// Most scalars that are kept; the rest is left out.
const MAX_SCALARS: usize = 1 << 12;
/// Longest text that is kept as a scalar.
const MAX_SCALAR_BYTES: usize = 1 << 10;
/// Longest name of a tensor.
const MAX_NAME_BYTES: usize = 512;
/// What a checkpoint of a training puts its weights under.
const STATE_DICT: &str = "state_dict.";

/// All tensors and scalars of a file.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) tensors: BTreeMap<String, PickledTensor>,
    pub(super) scalars: BTreeMap<String, Scalar>,
}

/// Walks through the dictionaries. `place` gives where a storage's bytes are in the file.
///
/// # Errors
/// When the object is no dictionary, a tensor has no place, a name stands for two, or a limit is passed.
pub(super) fn collect(pickle: &Pickle<'_>, place: impl Fn(&str) -> Option<Range<usize>>) -> Result<Collected> {
    let root = entries(pickle, pickle.root).ok_or_else(|| not_opened("holds no dictionary of tensors"))?;
    let mut collected = Collected::default();
    let mut seen = 0;
    // Own entries come before those of dictionaries inside, so the outermost scalar of a name is the one that stays.
    let mut waiting = vec![(String::new(), root, 0)];
    while let Some((prefix, entries_here, depth)) = waiting.pop() {
        seen += entries_here.len();
        if depth > MAX_DEPTH || seen > MAX_ENTRIES {
            return Err(not_opened("holds dictionaries inside dictionaries, far more than a model"));
        }
        for (key, value) in entries_here {
            let Some(name) = joined(pickle, &prefix, *key)? else { continue };
            if let Some(Node::Tensor(tensor)) = pickle.heap.node(*value) {
                let tensor = located(pickle, tensor, &place).map_err(|what| named(&name, &what))?;
                collected.add_tensor(&name, tensor)?;
            } else if let Some(inside) = entries(pickle, *value) {
                waiting.push((name + ".", inside, depth + 1));
            } else if let Some(scalar) = scalar(pickle, *value) {
                collected.add_scalar(&name, scalar);
            }
        }
    }
    Ok(collected)
}

impl Collected {
    fn add_tensor(&mut self, name: &str, tensor: PickledTensor) -> Result<()> {
        if self.tensors.len() == MAX_TENSORS {
            return Err(not_opened(&format!("holds more than {MAX_TENSORS} tensors, far more than a model")));
        }
        let name = bare(name);
        match self.tensors.entry(name.to_owned()) {
            Entry::Vacant(vacant) => {
                vacant.insert(tensor);
                Ok(())
            }
            Entry::Occupied(_) => Err(damaged(format!("it has two tensors named {}", printable(name.as_bytes())))),
        }
    }

    fn add_scalar(&mut self, name: &str, scalar: Scalar) {
        if self.scalars.len() < MAX_SCALARS {
            self.scalars.entry(bare(name).to_owned()).or_insert(scalar);
        }
    }
}

fn bare(name: &str) -> &str {
    name.strip_prefix(STATE_DICT).unwrap_or(name)
}

/// A key behind its dictionary's name; `None` for keys that are neither text nor number.
fn joined(pickle: &Pickle<'_>, prefix: &str, key: Value) -> Result<Option<String>> {
    let name = match key {
        Value::Int(number) => format!("{prefix}{number}"),
        key => match pickle.text(key) {
            // Bounded before it is copied.
            Some(key) if key.len() > MAX_NAME_BYTES => return Err(not_opened("has a name far longer than a model's")),
            Some(key) => format!("{prefix}{key}"),
            None => return Ok(None),
        },
    };
    if name.len() > MAX_NAME_BYTES {
        return Err(not_opened("has a name far longer than a model's"));
    }
    Ok(Some(name))
}

/// The entries of a dictionary, or of the parameters that a `ParameterDict` has in its state.
fn entries<'a>(pickle: &'a Pickle<'_>, value: Value) -> Option<&'a [(Value, Value)]> {
    match pickle.heap.node(value)? {
        Node::Dict(entries) => Some(entries),
        Node::ParameterDict(state) => {
            let state = pickle.heap.entries(*state)?;
            let (_, parameters) = state.iter().find(|(key, _)| pickle.text(*key) == Some("_parameters"))?;
            pickle.heap.entries(*parameters)
        }
        _ => None,
    }
}

fn scalar(pickle: &Pickle<'_>, value: Value) -> Option<Scalar> {
    Some(match value {
        Value::Bool(value) => Scalar::Bool(value),
        Value::Int(value) => Scalar::Int(value),
        Value::Float(value) => Scalar::Float(value),
        value => Scalar::Text(pickle.text(value).filter(|text| text.len() <= MAX_SCALAR_BYTES)?.to_owned()),
    })
}

/// A tensor with its place in the file.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with its name.
fn located(
    pickle: &Pickle<'_>,
    tensor: &Tensor,
    place: impl Fn(&str) -> Option<Range<usize>>,
) -> std::result::Result<PickledTensor, String> {
    let storage = tensor.storage;
    let key = std::str::from_utf8(pickle.slice(storage.key)).map_err(|error| error.to_string())?;
    let place = place(key).ok_or_else(|| format!("has no data: there is no storage {}", printable(key.as_bytes())))?;
    let item = item_bytes(storage.dtype);
    let claimed = storage.numel.checked_mul(item).filter(|bytes| *bytes <= place.len());
    let Some(claimed) = claimed else {
        return Err(format!("claims {} values, but its storage has {} bytes", storage.numel, place.len()));
    };
    let shape = numbers(pickle.heap.items(tensor.sizes)).map_err(|error| error.sentence)?;
    let strides = numbers(pickle.heap.items(tensor.strides)).map_err(|error| error.sentence)?;
    // Both were checked against the storage when the tensor was made; checked here once more, on the bytes.
    let end = extent(tensor.offset, &shape, &strides).and_then(|end| end.checked_mul(item));
    let Some(end) = end.filter(|end| *end <= claimed) else { return Err("reaches outside its storage".to_owned()) };
    let range = place.start + tensor.offset * item..place.start + end;
    let strides = (!is_contiguous(&shape, &strides)).then_some(strides);
    Ok(PickledTensor { dtype: storage.dtype, shape, strides, range })
}

/// Whether values lie one after the other, the last axis fastest. The stride of an axis of one does not matter.
fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    if shape.contains(&0) {
        return true;
    }
    let mut expected = 1;
    shape.iter().zip(strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == expected;
        // The product of all sizes was checked not to overflow.
        expected *= size;
        fits
    })
}

fn named(name: &str, what: &str) -> crate::domain::UserError {
    damaged(format!("the tensor {} {what}", printable(name.as_bytes())))
}
