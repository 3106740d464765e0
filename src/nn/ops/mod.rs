//! The ops seam: the few operations that take nearly all the time, each with a correct gradient.
//!
//! On a CPU they run the project's kernels, forward and backward. candle's own versions of several of them have no
//! backward at all, or a very slow one, and say nothing about it; nothing outside this module calls those.
//! Tensors are f32, weights of [`linear()`] and [`conv2d`] also f16 or bf16; layouts stand at each function.
//! Elsewhere, and where a [`Place`](super::Place) asks for it, they are put together of the tensor library's operations
//! (`portable`), in f32, f16 or bf16.

mod activation;
mod attention;
mod conv;
mod elementwise;
pub(super) mod given;
mod host;
mod layout;
mod linear;
mod low_rank;
mod norm;
mod norm_conv;
mod portable;
mod upsample;
mod weight;
mod widen;

pub use activation::{geglu, gelu, quick_gelu, silu};
pub use attention::attention;
pub use conv::{ConvWay, conv2d};
pub use elementwise::add_channels;
pub use host::{gradients_are_wanted, without_gradients};
pub use layout::{from_tokens, to_tokens};
pub use linear::{linear, linear_geglu, map_to_tokens_linear, tokens_to_map_linear};
pub use low_rank::{Change, low_rank_linear};
pub use norm::{GroupNormWay, group_norm, layer_norm};
pub use norm_conv::{Convolved, Normed, norm_conv2d};
pub use portable::MOST_SCORES;
pub(super) use portable::{normed_by, takes};
pub use upsample::upsample_nearest;
pub use weight::Weight;

/// Asymmetric zero padding of a convolution, in px.
pub use crate::kernels::conv2d::Padding;

#[cfg(test)]
mod frozen_tests;
#[cfg(test)]
mod portable_tests;
#[cfg(test)]
mod tests;
