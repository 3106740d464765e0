//! Floor 2: layers on candle tensors, and the seam ([`ops`]) below which the processor's kernels lie.

pub mod checkpoint;
mod device;
mod error;
mod layers;
mod low_rank;
mod machine;
pub mod ops;
mod params;
mod place;
pub mod probe;
pub mod shared_norms;

pub use device::{Backend, DeviceMemory};
pub use error::{engine_error, is_out_of_memory};
pub use layers::{Conv2d, Embedding, GroupNorm, LayerNorm, Linear};
pub use low_rank::LowRank;
pub use machine::machine;
pub use ops::{Weight, gradients_are_wanted, without_gradients};
pub use params::{Init, Params};
pub use place::Place;

/// How exactly the layers that this thread runs compute, and with which numbers.
pub use crate::kernels::precision::{current as precision_now, operands, with_precision};
