//! Storages, tensors and dictionaries from the arguments that a pickle would pass to PyTorch, checked first.
//!
//! Arguments: torch 2.15, `torch/_utils.py` (`_rebuild_tensor_v2`, `_rebuild_parameter`) and `torch/serialization.py`
//! (`persistent_load`).

use super::globals::Global;
use super::refusal::{damaged, not_opened};
use super::value::{Heap, Node, Storage, Tensor, Value, raw_text, text};
use crate::domain::{Result, UserError};

/// Most axes of a tensor. A network's has five at most.
const MAX_AXES: usize = 16;
/// Longest name of a storage: they are numbers, in old files addresses.
const MAX_KEY_BYTES: usize = 64;

/// What a persistent id stands for: `("storage", type, key, device, numel)`, in old files with a view behind, and in
/// those also `("module", class, file, source)`, of which the class is taken and the source left alone.
///
/// # Errors
/// When it is neither.
pub(super) fn persistent(heap: &mut Heap, bytes: &[u8], id: Value) -> Result<Value> {
    let items = heap.tuple(id).unwrap_or_default();
    let kind = items.first().and_then(|kind| raw_text(bytes, *kind));
    match (kind, items) {
        (Some(b"storage"), [_, Value::Global(Global::Storage(dtype)), key, _device, Value::Int(numel), view @ ..])
            if view.len() <= 1 =>
        {
            if !matches!(view, [] | [Value::None]) {
                return Err(not_opened("has a view of a storage, as PyTorch before 0.4 wrote them"));
            }
            let short = text(bytes, *key).is_some_and(|key| !key.is_empty() && key.len() <= MAX_KEY_BYTES);
            let (true, Value::Text(key) | Value::Bytes(key)) = (short, *key) else {
                return Err(damaged("a storage has no proper name"));
            };
            let numel = usize::try_from(*numel).map_err(|_| damaged("a storage has a negative length"))?;
            let storage = Storage { dtype: *dtype, key, numel };
            heap.add(Node::Storage(storage))
        }
        (Some(b"module"), [_, Value::Global(class), _file, _source]) => Ok(Value::Global(*class)),
        _ => Err(damaged("it refers to something outside that is no storage")),
    }
}

/// A tensor from `(storage, offset, sizes, strides, requires_grad, hooks)`, with metadata behind in new files.
///
/// # Errors
/// When arguments are missing or of other kinds, or the tensor would reach outside its storage, or would have more
/// values than it.
pub(super) fn tensor(heap: &mut Heap, arguments: Value) -> Result<Value> {
    let (storage, offset, sizes, strides) = match heap.tuple(arguments) {
        Some([storage, Value::Int(offset), sizes, strides, _requires_grad, _hooks, metadata @ ..])
            if metadata.len() <= 1 =>
        {
            // It marks values that wait to be conjugated or negated.
            let plain = metadata.iter().all(|it| *it == Value::None || heap.entries(*it).is_some_and(<[_]>::is_empty));
            if !plain {
                return Err(not_opened("has a tensor whose values are not as they are stored"));
            }
            (*storage, *offset, *sizes, *strides)
        }
        _ => return Err(damaged("a tensor is described with too few or wrong arguments")),
    };
    let Some(Node::Storage(storage)) = heap.node(storage) else { return Err(damaged("a tensor has no storage")) };
    let storage = *storage;
    let offset = usize::try_from(offset).map_err(|_| damaged("a tensor begins before its storage"))?;
    let (Some(sizes), Some(strides)) = (heap.tuple_span(sizes), heap.tuple_span(strides)) else {
        return Err(damaged("a tensor has no shape"));
    };
    let shape = numbers(heap.items(sizes))?;
    let steps = numbers(heap.items(strides))?;
    if shape.len() != steps.len() || shape.len() > MAX_AXES {
        return Err(damaged(format!("a tensor has {} axes and {} strides", shape.len(), steps.len())));
    }
    let outside = || outside(&shape, storage.numel);
    // Without the zeros: a shape must be safe to multiply in any order, for whoever reads it later.
    let full = shape.iter().filter(|size| **size > 0).try_fold(1usize, |numel, size| numel.checked_mul(*size));
    let numel = if shape.contains(&0) { full.map(|_| 0) } else { full }.ok_or_else(outside)?;
    let end = extent(offset, &shape, &steps).ok_or_else(outside)?;
    // The second keeps a repeating tensor (stride 0) from asking for more memory than the file is long.
    if end > storage.numel || numel > storage.numel {
        return Err(outside());
    }
    heap.add(Node::Tensor(Tensor { storage, offset, sizes, strides }))
}

/// One past the last value that a tensor touches, counted from its storage's start; `None` when that overflows.
pub(super) fn extent(offset: usize, shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(offset);
    }
    let last = shape.iter().zip(strides).try_fold(offset, |last, (size, stride)| {
        // No size is 0 here.
        last.checked_add((size - 1).checked_mul(*stride)?)
    })?;
    last.checked_add(1)
}

/// The tensor of `(tensor, requires_grad, hooks)`.
///
/// # Errors
/// When the first of three is none.
pub(super) fn parameter(heap: &Heap, arguments: Value) -> Result<Value> {
    match heap.tuple(arguments) {
        Some([tensor, _requires_grad, _hooks]) if matches!(heap.node(*tensor), Some(Node::Tensor(_))) => Ok(*tensor),
        _ => Err(damaged("a parameter is described with too few or wrong arguments")),
    }
}

/// A dictionary from `()`, or, as Python 2 wrote it, from `([[key, value], …],)`.
///
/// # Errors
/// When it is neither.
pub(super) fn ordered_dict(heap: &mut Heap, arguments: Value) -> Result<Value> {
    let wrong = || damaged("a dictionary is described with wrong arguments");
    let mut items = Vec::new();
    match heap.tuple(arguments) {
        Some([]) => {}
        Some([pairs]) => {
            for pair in heap.sequence(*pairs).ok_or_else(wrong)? {
                let Some([key, value]) = heap.sequence(*pair) else { return Err(wrong()) };
                items.extend([*key, *value]);
            }
        }
        _ => return Err(wrong()),
    }
    let dict = heap.add(Node::Dict(Vec::new()))?;
    heap.set_items(dict, &items)?;
    Ok(dict)
}

/// A tuple of integers that are not negative.
pub(super) fn numbers(items: &[Value]) -> Result<Vec<usize>> {
    let number = |item: &Value| match item {
        Value::Int(number) => usize::try_from(*number).ok(),
        _ => None,
    };
    // Bounded first: a tuple can be as long as the pickle.
    if items.len() > MAX_AXES {
        return Err(damaged(format!("a tensor has {} axes", items.len())));
    }
    items.iter().map(number).collect::<Option<_>>().ok_or_else(|| damaged("a tensor's shape is not of whole numbers"))
}

fn outside(shape: &[usize], numel: usize) -> UserError {
    damaged(format!("a tensor of shape {shape:?} does not fit its storage of {numel} values"))
}
