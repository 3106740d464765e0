//! The same operations put together of the tensor library's, for every device that is not a processor with kernels of
//! its own. They run on a processor too ([`crate::nn::Place`]), slowly, so that tests need no graphics card.
//!
//! Activations are in the numbers that the network computes in (f32, f16 or bf16). Whatever sums many of them (norms,
//! softmax) is computed in f32. A weight may be in the same numbers, be trained (f32, rounded where it is used), or lie
//! in its file, from where it is brought over for this one use.

mod attention;
mod conv;
mod linear;
mod norm;
mod simple;

pub use attention::MOST_SCORES;
pub(super) use attention::attention;
pub(super) use conv::conv2d;
pub(super) use linear::{linear, low_rank_linear};
pub(in crate::nn) use norm::normed_by;
pub(super) use norm::{group_norm, layer_norm};
pub(super) use simple::{add_channels, from_tokens, geglu, gelu, quick_gelu, rows, silu, to_tokens, upsample_nearest};

use candle_core::{DType, Device, Result, Tensor};

use super::host;
use super::weight::Weight;
use crate::nn::place;
use crate::weights::Numbers;

/// Whether an activation is for these operations.
pub(in crate::nn) fn takes(x: &Tensor) -> bool {
    place::is_portable() || !x.device().is_cpu() || matches!(x.dtype(), DType::F16 | DType::BF16)
}

/// A parameter where an activation is, in its numbers.
fn beside(parameter: &Tensor, x: &Tensor) -> Result<Tensor> {
    parameter.to_dtype(x.dtype())?.to_device(x.device())
}

/// A weight where an activation is, in its numbers.
fn weight_beside(weight: &Weight, x: &Tensor) -> Result<Tensor> {
    match weight {
        Weight::Tensor(tensor) => beside(&plain(tensor), x),
        Weight::Stored(stored, shape) => {
            let dims = shape.dims();
            let tensor = match stored.numbers() {
                // It travels as it is stored: at most 16 bits where the file has 16.
                Numbers::F32(values) => Tensor::from_slice(values, dims, &Device::Cpu)?.to_dtype(x.dtype())?,
                Numbers::F16(values) => Tensor::from_slice(values, dims, &Device::Cpu)?,
                Numbers::Bf16(values) => Tensor::from_slice(values, dims, &Device::Cpu)?,
            };
            tensor.to_dtype(x.dtype())?.to_device(x.device())
        }
    }
}

/// Whether any of these is one that gradients are asked for.
fn tracked<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> bool {
    host::tracked(tensors)
}

/// Without its history where nobody asks for gradients, so that nothing is kept for them.
pub(super) fn plain(x: &Tensor) -> Tensor {
    if x.track_op() && !host::gradients_are_wanted() { x.detach() } else { x.clone() }
}
