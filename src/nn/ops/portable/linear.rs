//! Linear layers.

use candle_core::{Result, Tensor};

use super::super::given::given;
use super::super::low_rank::Change;
use super::super::weight::Weight;
use super::{beside, plain, tracked, weight_beside};

/// See [`super::super::linear()`]; shapes are checked there.
pub fn linear(x: &Tensor, weight: &Weight, bias: Option<&Tensor>, residual: Option<&Tensor>) -> Result<Tensor> {
    let x = &plain(x);
    let out = if !weight.track_op() && tracked([x]) {
        let w = weight_beside(weight, x)?;
        let out = product(&x.detach(), &w)?;
        // The weight itself is held, not what it became for this use.
        let weight = weight.clone();
        given(
            &[x],
            &out,
            Box::new(move |inputs, grad| {
                let w = weight_beside(&weight, grad)?;
                Ok(vec![Some(flat(grad)?.matmul(&w)?.reshape(inputs[0].shape())?)])
            }),
        )?
    } else {
        product(x, &weight_beside(weight, x)?)?
    };
    let out = match bias {
        Some(bias) => out.broadcast_add(&beside(&plain(bias), x)?)?,
        None => out,
    };
    match residual {
        Some(residual) => out + plain(residual),
        None => Ok(out),
    }
}

/// `x Wᵀ`.
fn product(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let mut dims = x.dims().to_vec();
    if let (Some(last), Some(out)) = (dims.last_mut(), w.dims().first()) {
        *last = *out;
    }
    flat(x)?.matmul(&w.t()?)?.reshape(dims)
}

/// All rows, one behind the other.
fn flat(x: &Tensor) -> Result<Tensor> {
    let width = x.dims().last().copied().unwrap_or(1);
    x.contiguous()?.reshape(((), width))
}

/// See [`super::super::low_rank_linear`]; shapes are checked there.
pub fn low_rank_linear(
    x: &Tensor,
    weight: &Weight,
    bias: Option<&Tensor>,
    change: Change<'_>,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    let base = linear(x, weight, bias, residual)?;
    let inner = (linear(x, &change.down.into(), None, None)? * change.scale)?;
    linear(&inner, &change.up.into(), None, Some(&base))
}
