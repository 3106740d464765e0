//! The names that a pickle may refer to. They stay inert data: nothing here can be run.
//!
//! Matched by exact module and name. The tensors of a checkpoint are built from the first group; the second group is
//! what published checkpoints carry beside them, and is read over.

use safetensors::tensor::Dtype;

/// What a reference to a Python name means to this reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// A dictionary that keeps its order.
    OrderedDict,
    /// A view on a storage: `(storage, offset, sizes, strides, requires_grad, hooks)`.
    RebuildTensor,
    /// A tensor that is trained: `(tensor, requires_grad, hooks)`.
    RebuildParameter,
    /// The type of a storage, which gives its numbers' type.
    Storage(Dtype),
    /// A module that holds tensors by name; older textual inversions have one.
    ParameterDict,
    /// Something that plays no part in a model. What is made of it is thrown away.
    Inert,
}

/// Module, name, meaning.
const ALLOWED: &[(&str, &str, Global)] = &[
    ("collections", "OrderedDict", Global::OrderedDict),
    ("torch._utils", "_rebuild_tensor_v2", Global::RebuildTensor),
    ("torch._utils", "_rebuild_parameter", Global::RebuildParameter),
    ("torch", "FloatStorage", Global::Storage(Dtype::F32)),
    ("torch", "HalfStorage", Global::Storage(Dtype::F16)),
    ("torch", "BFloat16Storage", Global::Storage(Dtype::BF16)),
    ("torch", "DoubleStorage", Global::Storage(Dtype::F64)),
    ("torch", "LongStorage", Global::Storage(Dtype::I64)),
    ("torch", "IntStorage", Global::Storage(Dtype::I32)),
    ("torch", "ShortStorage", Global::Storage(Dtype::I16)),
    ("torch", "CharStorage", Global::Storage(Dtype::I8)),
    ("torch", "ByteStorage", Global::Storage(Dtype::U8)),
    ("torch", "BoolStorage", Global::Storage(Dtype::BOOL)),
    ("torch.nn.modules.container", "ParameterDict", Global::ParameterDict),
    ("torch", "float32", Global::Inert),
    ("numpy.core.multiarray", "scalar", Global::Inert),
    ("numpy.core.multiarray", "_reconstruct", Global::Inert),
    ("numpy", "dtype", Global::Inert),
    ("numpy", "ndarray", Global::Inert),
    ("_codecs", "encode", Global::Inert),
    ("__builtin__", "set", Global::Inert),
    ("pytorch_lightning.callbacks", "model_checkpoint", Global::Inert),
    ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", Global::Inert),
];

impl Global {
    /// What a name means, if it is on the list.
    pub(super) fn find(module: &[u8], name: &[u8]) -> Option<Self> {
        let row = ALLOWED.iter().find(|row| row.0.as_bytes() == module && row.1.as_bytes() == name)?;
        Some(row.2)
    }
}

/// Bytes of one number of a storage. All types of the list have whole bytes.
pub(super) fn item_bytes(dtype: Dtype) -> usize {
    dtype.bitsize() / 8
}
