//! Group normalisation, `SiLU` and convolution, as residual blocks have them: as one operation where none of the layers is
//! trained. The normalised map, as large as the input, is never there as a whole, and a training does not keep it.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::conv::{Conv, ConvWay};
use super::host::{self, Host};
use super::norm::group_norm_shape;
use super::portable;
use super::weight::Weight;
use super::{GroupNormWay, add_channels, conv2d, group_norm};
use crate::kernels::elementwise::{self, sum_channels};
use crate::kernels::norm::GroupNorm;

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
    let is_trained = conv.weight.track_op() || host::tracked([norm.weight, norm.bias, conv.bias]);
    if portable::takes(x) || is_trained || !norm.way.silu || !kernel.0.normalises() {
        let shifted = shift.map(|shift| add_channels(x, shift)).transpose()?;
        let normed = group_norm(shifted.as_ref().unwrap_or(x), norm.weight, norm.bias, norm.way)?;
        return conv2d(&normed, conv.weight, Some(conv.bias), residual, conv.way);
    }
    if shift.is_some_and(|shift| *shift.dims() != x.dims()[..2]) {
        bail!("norm_conv2d: {:?} and a shift of another shape", x.dims())
    }
    let contiguous = |tensor: Option<&Tensor>| tensor.map(Tensor::contiguous).transpose();
    let op = NormConv {
        group: group_norm_shape(x, norm.weight, norm.bias, norm.way)?,
        shape: kernel.out_shape(),
        kernel,
        scale: norm.weight.contiguous()?,
        offset: norm.bias.contiguous()?,
        weight: conv.weight.contiguous()?,
        bias: conv.bias.contiguous()?,
        is_shifted: shift.is_some(),
    };
    let (x, shift, residual) = (x.contiguous()?, contiguous(shift)?, contiguous(residual)?);
    if host::tracked([&x].into_iter().chain(&shift).chain(&residual)) {
        return match (&shift, &residual) {
            (Some(shift), Some(residual)) => x.apply_op3(shift, residual, op),
            (Some(other), None) | (None, Some(other)) => x.apply_op2(other, op),
            (None, None) => x.apply_op1(op),
        };
    }
    let (shift, residual) = (shift.as_ref().map(Host::new).transpose()?, residual.as_ref().map(Host::new).transpose()?);
    let out = op.run(&Host::new(&x)?, shift.as_deref(), residual.as_deref())?;
    host::tensor(out, &op.shape)
}

/// The layers, none of which is trained. On the way back the normalised map is made again: it is never kept.
struct NormConv {
    group: GroupNorm,
    kernel: Conv,
    shape: Shape,
    scale: Tensor,
    offset: Tensor,
    weight: Weight,
    bias: Tensor,
    /// Whether the second of two arguments is the shift, and not the residual.
    is_shifted: bool,
}

impl NormConv {
    fn run(&self, x: &[f32], shift: Option<&[f32]>, residual: Option<&[f32]>) -> Result<Vec<f32>> {
        let (scale, offset, bias) = (Host::new(&self.scale)?, Host::new(&self.offset)?, Host::new(&self.bias)?);
        let normals = self.group.normals(x, shift, &scale, &offset);
        let mut out = vec![0.0; self.shape.elem_count()];
        let weight = self.weight.hold()?;
        self.kernel.0.forward_normed(x, &normals, weight.values(), Some(&bias), residual, &mut out);
        Ok(out)
    }

    /// Gradients of the input and of the shift.
    fn gradients(&self, x: &Tensor, shift: Option<&Tensor>, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let shift_is_tracked = shift.is_some_and(Tensor::track_op);
        if !x.track_op() && !shift_is_tracked {
            return Ok((None, None));
        }
        let grad = grad.contiguous()?;
        let mut of_normed = vec![0.0; x.elem_count()];
        self.kernel.0.backward_input(&Host::new(&grad)?, self.weight.hold()?.values(), &mut of_normed);
        let (scale, offset, values) = (Host::new(&self.scale)?, Host::new(&self.offset)?, Host::new(x)?);
        let moved = match shift {
            Some(shift) => {
                let mut moved = vec![0.0; x.elem_count()];
                elementwise::add_channels(self.group.pixels, &values, &Host::new(shift)?, &mut moved);
                Some(moved)
            }
            None => None,
        };
        let mut gx = vec![0.0; x.elem_count()];
        let (mut unused, mut unused_too) = (vec![0.0; scale.len()], vec![0.0; offset.len()]);
        let input = moved.as_deref().unwrap_or(&values);
        self.group.backward(input, &scale, &offset, &of_normed, &mut gx, &mut unused, &mut unused_too);
        let of_shift = match shift {
            Some(shift) if shift_is_tracked => {
                let mut sums = vec![0.0; shift.elem_count()];
                sum_channels(self.group.pixels, &gx, &mut sums);
                Some(host::tensor(sums, shift.shape())?)
            }
            _ => None,
        };
        Ok((Some(host::tensor(gx, x.shape())?).filter(|_| x.track_op()), of_shift))
    }
}

impl CustomOp1 for NormConv {
    fn name(&self) -> &'static str {
        "frozen norm and conv2d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(host::output(self.run(host::slice(storage, layout)?, None, None)?, self.shape.clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.gradients(x, None, grad)?.0)
    }
}

impl CustomOp2 for NormConv {
    fn name(&self) -> &'static str {
        "frozen norm and conv2d of two"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, other) = (host::slice(s1, l1)?, Some(host::slice(s2, l2)?));
        let out = if self.is_shifted { self.run(x, other, None)? } else { self.run(x, None, other)? };
        Ok(host::output(out, self.shape.clone()))
    }

    fn bwd(&self, x: &Tensor, other: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if self.is_shifted {
            return self.gradients(x, Some(other), grad);
        }
        Ok((self.gradients(x, None, grad)?.0, Some(grad.clone())))
    }
}

impl CustomOp3 for NormConv {
    fn name(&self) -> &'static str {
        "frozen norm and conv2d of three"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, shift, residual) = (host::slice(s1, l1)?, host::slice(s2, l2)?, host::slice(s3, l3)?);
        Ok(host::output(self.run(x, Some(shift), Some(residual))?, self.shape.clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        shift: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (of_input, of_shift) = self.gradients(x, Some(shift), grad)?;
        Ok((of_input, of_shift, Some(grad.clone())))
    }
}
