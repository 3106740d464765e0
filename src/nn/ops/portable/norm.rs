//! Group and layer normalisation, in f32 whatever comes in.

use candle_core::{D, DType, Result, Tensor};

use super::super::given::given;
use super::super::norm::GroupNormWay;
use super::{plain, tracked};

/// See [`super::super::group_norm`]; shapes are checked there.
pub fn group_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, way: GroupNormWay) -> Result<Tensor> {
    let groups = way.groups;
    let rows = move |x: &Tensor| x.contiguous()?.reshape((x.dim(0)?, groups, ()));
    let channels = weight.dim(0)?;
    let mut shape = vec![1; x.rank()];
    shape[1] = channels;
    norm(x, (weight, bias), way.eps, way.silu, Layout { rows: Box::new(rows), shape, kept: 1 })
}

/// See [`super::super::layer_norm`]; shapes are checked there.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    if let Some(last) = shape.last_mut() {
        *last = weight.dim(0)?;
    }
    let kept = x.rank() - 1;
    norm(x, (weight, bias), eps, false, Layout { rows: Box::new(|x: &Tensor| Ok(x.clone())), shape, kept })
}

/// Brings what is normalised together into the last dimension.
type Rows = Box<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>;

/// How a norm sees its input.
struct Layout {
    rows: Rows,
    /// The shape in which scale and shift meet the input.
    shape: Vec<usize>,
    /// The dimension that scale and shift belong to.
    kept: usize,
}

fn norm(x: &Tensor, (weight, bias): (&Tensor, &Tensor), eps: f64, silu: bool, layout: Layout) -> Result<Tensor> {
    let x = &plain(x);
    // They stay in f32, in which they are used.
    let carried = |parameter: &Tensor| plain(parameter).to_dtype(DType::F32)?.to_device(x.device());
    let (weight, bias) = (carried(weight)?, carried(bias)?);
    let (out, _) = run(&x.detach(), &weight.detach(), &bias.detach(), eps, silu, &layout)?;
    if !tracked([x, &weight, &bias]) {
        return Ok(out);
    }
    let back = move |inputs: &[&Tensor], grad: &Tensor| {
        let [x, weight, bias] = [inputs[0], inputs[1], inputs[2]].map(Tensor::detach);
        let (_, inner) = run(&x, &weight, &bias, eps, silu, &layout)?;
        let mut grad = grad.to_dtype(DType::F32)?;
        if silu {
            grad = (grad * silu_slope(&inner.shifted)?)?;
        }
        // All but the parameters' own dimension.
        let others: Vec<usize> = (0..x.rank()).filter(|dim| *dim != layout.kept).collect();
        let of_bias = grad.sum(others.as_slice())?;
        let of_weight = (&grad * &inner.normed)?.sum(others.as_slice())?;
        let of_normed = grad.broadcast_mul(&weight.reshape(layout.shape.as_slice())?)?;
        let (g, n) = ((layout.rows)(&of_normed)?, (layout.rows)(&inner.normed)?);
        let along = n.broadcast_mul(&(&g * &n)?.mean_keepdim(D::Minus1)?)?;
        let of_rows = (g.broadcast_sub(&g.mean_keepdim(D::Minus1)?)? - along)?;
        let of_input = of_rows.broadcast_div(&inner.deviation)?.reshape(x.shape())?.to_dtype(x.dtype())?;
        Ok(vec![Some(of_input), Some(of_weight), Some(of_bias)])
    };
    given(&[x, &weight, &bias], &out, Box::new(back))
}

/// What stands between input and result, all in f32.
struct Inner {
    normed: Tensor,
    /// Scaled and shifted.
    shifted: Tensor,
    /// Of each row.
    deviation: Tensor,
}

fn run(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64, silu: bool, layout: &Layout) -> Result<(Tensor, Inner)> {
    let rows = (layout.rows)(&x.to_dtype(DType::F32)?)?;
    let centred = rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    let normed = centred.broadcast_div(&deviation)?.reshape(x.shape())?;
    let shape = layout.shape.as_slice();
    let shifted = normed.broadcast_mul(&weight.reshape(shape)?)?.broadcast_add(&bias.reshape(shape)?)?;
    let out = if silu { shifted.silu()? } else { shifted.clone() };
    Ok((out.to_dtype(x.dtype())?, Inner { normed, shifted, deviation }))
}

/// The derivative of `x sigmoid(x)`.
fn silu_slope(x: &Tensor) -> Result<Tensor> {
    let sigmoid = (x.neg()?.exp()? + 1.0)?.recip()?;
    let rising = (x * (1.0 - &sigmoid)?)?;
    &sigmoid * (rising + 1.0)?
}

/// A map times `scale` plus `shift`, both one for each picture and channel, f32, with `SiLU` where it is asked for:
/// normalisation with statistics that are known.
///
/// # Errors
/// When the shapes do not fit.
pub fn normed_by(x: &Tensor, scale: &[f32], shift: &[f32], silu: bool) -> Result<Tensor> {
    let (batch, channels, _, _) = x.dims4()?;
    let carried = |values: &[f32]| Tensor::from_slice(values, (batch, channels, 1, 1), x.device());
    let y = x.to_dtype(DType::F32)?.broadcast_mul(&carried(scale)?)?.broadcast_add(&carried(shift)?)?;
    if silu { y.silu()? } else { y }.to_dtype(x.dtype())
}
