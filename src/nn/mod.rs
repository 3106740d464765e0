//! Floor 2: layers on candle tensors, and the seam ([`ops`]) below which the processor's kernels lie.

mod error;
mod layers;
mod machine;
pub mod ops;
mod params;
pub mod probe;
pub mod shared_norms;

pub use error::engine_error;
pub use layers::{Conv2d, Embedding, GroupNorm, LayerNorm, Linear};
pub use machine::machine;
pub use ops::Weight;
pub use params::{Init, Params};
