//! Group normalisation, `SiLU` and convolution, as residual blocks have them: as one operation where nobody asks for
//! gradients. The normalised map, as large as the input, is never there as a whole.

use candle_core::{Result, Tensor, bail};

use super::conv::{Conv, ConvWay};
use super::host::{self, Host};
use super::norm::group_norm_shape;
use super::weight::Weight;
use super::{GroupNormWay, add_channels, conv2d, group_norm};

/// A normalisation's scale and shift `[channels]`, and how it is done.
#[derive(Clone, Copy)]
pub struct Normed<'a> {
    /// The scale.
    pub weight: &'a Tensor,
    /// The shift.
    pub bias: &'a Tensor,
    /// Groups, epsilon, activation.
    pub way: GroupNormWay,
}

/// A convolution's weight `[out, in, kernel_height, kernel_width]` and bias `[out]`, and how it goes over a map.
#[derive(Clone, Copy)]
pub struct Convolved<'a> {
    /// The weight.
    pub weight: &'a Weight,
    /// The bias.
    pub bias: &'a Tensor,
    /// Stride and padding.
    pub way: ConvWay,
}

/// The convolution of the normalised sum of `x` `[batch, in, height, width]` and `shift` `[batch, in]`, plus `residual`, of
/// the result's shape: `[batch, out, out_height, out_width]`.
///
/// # Errors
/// When the shapes do not fit, or the tensors are not f32 (the convolution's weight also f16 or bf16) on a CPU.
pub fn norm_conv2d(
    x: &Tensor,
    shift: Option<&Tensor>,
    norm: Normed,
    conv: Convolved,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    let kernel = Conv::new(x, conv.weight, Some(conv.bias), residual, conv.way)?;
    let tensors = [x, norm.weight, norm.bias, conv.bias];
    let tracked = conv.weight.track_op() || host::tracked(tensors.into_iter().chain(shift).chain(residual));
    if tracked || !norm.way.silu || !kernel.0.normalises() {
        let shifted = shift.map(|shift| add_channels(x, shift)).transpose()?;
        let normed = group_norm(shifted.as_ref().unwrap_or(x), norm.weight, norm.bias, norm.way)?;
        return conv2d(&normed, conv.weight, Some(conv.bias), residual, conv.way);
    }
    if shift.is_some_and(|shift| *shift.dims() != x.dims()[..2]) {
        bail!("norm_conv2d: {:?} and a shift of another shape", x.dims())
    }
    let group = group_norm_shape(x, norm.weight, norm.bias, norm.way)?;
    let contiguous = |tensor: Option<&Tensor>| tensor.map(Tensor::contiguous).transpose();
    let (x, weight, shift, residual) =
        (x.contiguous()?, conv.weight.contiguous()?, contiguous(shift)?, contiguous(residual)?);
    let [scale, offset, bias] = [norm.weight, norm.bias, conv.bias].map(Tensor::contiguous);
    let (scale, offset, bias) = (scale?, offset?, bias?);
    let (x, shift) = (Host::new(&x)?, shift.as_ref().map(Host::new).transpose()?);
    let residual = residual.as_ref().map(Host::new).transpose()?;
    let normals = group.normals(&x, shift.as_deref(), &Host::new(&scale)?, &Host::new(&offset)?);
    let shape = kernel.out_shape();
    let mut out = vec![0.0; shape.elem_count()];
    let (weight, bias) = (weight.hold()?, Host::new(&bias)?);
    kernel.0.forward_normed(&x, &normals, weight.values(), Some(&bias), residual.as_deref(), &mut out);
    host::tensor(out, &shape)
}
