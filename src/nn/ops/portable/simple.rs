//! Everything that goes value by value, and what moves values about.

use candle_core::{D, DType, Result, Tensor};

use super::super::weight::Weight;
use super::{plain, weight_beside};

/// See [`super::super::silu`].
pub fn silu(x: &Tensor) -> Result<Tensor> {
    plain(x).silu()
}

/// See [`super::super::gelu`].
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    plain(x).gelu_erf()
}

/// See [`super::super::quick_gelu`].
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    let x = plain(x);
    let sigmoid = ((&x * -1.702)?.exp()? + 1.0)?.recip()?;
    x * sigmoid
}

/// See [`super::super::geglu`].
pub fn geglu(x: &Tensor) -> Result<Tensor> {
    let halves = plain(x).chunk(2, D::Minus1)?;
    match halves.as_slice() {
        [a, b] => a * b.contiguous()?.gelu_erf()?,
        _ => candle_core::bail!("geglu: input {:?} cannot be halved", x.dims()),
    }
}

/// See [`super::super::add_channels`].
pub fn add_channels(x: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let mut dims = shift.dims().to_vec();
    dims.resize(x.rank(), 1);
    plain(x).broadcast_add(&plain(shift).reshape(dims)?)
}

/// See [`super::super::to_tokens`].
pub fn to_tokens(x: &Tensor) -> Result<Tensor> {
    plain(x).flatten_from(2)?.transpose(1, 2)?.contiguous()
}

/// See [`super::super::from_tokens`].
pub fn from_tokens(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (batch, _, channels) = x.dims3()?;
    plain(x).transpose(1, 2)?.contiguous()?.reshape((batch, channels, height, width))
}

/// See [`super::super::upsample_nearest`].
pub fn upsample_nearest(x: &Tensor, to_height: usize, to_width: usize) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    if (to_height, to_width) == (2 * height, 2 * width) {
        return enlarged(&plain(x));
    }
    let axis = |x: &Tensor, dim: usize, from: usize, to: usize| {
        let places: Vec<u32> = (0..to).map(|i| (i * from / to) as u32).collect();
        x.contiguous()?.index_select(&Tensor::new(places, x.device())?, dim)
    };
    axis(&axis(&plain(x), 2, height, to_height)?, 3, width, to_width)
}

/// Each px as 2 × 2.
pub fn enlarged(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let apart = x.contiguous()?.reshape((batch, channels, height, 1, width, 1))?;
    let doubled = apart.broadcast_as((batch, channels, height, 2, width, 2))?.contiguous()?;
    doubled.reshape((batch, channels, 2 * height, 2 * width))
}

/// The rows of a matrix that ids name, in the matrix' own numbers or, of one that lies in its file, in f32.
///
/// # Errors
/// When it has no such row.
pub fn rows(weight: &Weight, ids: &Tensor) -> Result<Tensor> {
    match weight {
        Weight::Tensor(tensor) => tensor.index_select(&ids.to_device(tensor.device())?, 0),
        Weight::Stored(..) => {
            let like = Tensor::zeros(1, DType::F32, ids.device())?;
            weight_beside(weight, &like)?.index_select(ids, 0)
        }
    }
}
