//! Group and layer normalisation, with scale and shift.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::host::{self, Host};
use super::portable;
use crate::kernels::norm::{GroupNorm, LayerNorm};

/// Gradients of input, scale and shift.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

/// How group normalisation is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNormWay {
    /// Groups that the channels fall into.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
    /// Whether `SiLU` follows.
    pub silu: bool,
}

struct Group(GroupNorm);
struct Layer(LayerNorm);

/// Normalises `x` `[batch, channels, …]` over groups of channels, and scales and shifts by `weight` and `bias`
/// `[channels]`.
///
/// # Errors
/// When the channels do not divide into the groups, or the tensors are not f32 on a CPU.
pub fn group_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, way: GroupNormWay) -> Result<Tensor> {
    let op = Group(group_norm_shape(x, weight, bias, way)?);
    if portable::takes(x) {
        return portable::group_norm(x, weight, bias, way);
    }
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)
}

/// The kernel of a group normalisation, if everything fits.
pub(super) fn group_norm_shape(x: &Tensor, weight: &Tensor, bias: &Tensor, way: GroupNormWay) -> Result<GroupNorm> {
    let (batch, channels) = match x.dims() {
        [batch, channels, ..] => (*batch, *channels),
        dims => bail!("group_norm: input {dims:?} has no channels"),
    };
    let GroupNormWay { groups, eps, silu } = way;
    if groups == 0 || channels % groups != 0 || weight.dims() != [channels] || bias.dims() != [channels] {
        bail!("group_norm: {channels} channels do not fit {groups} groups and weight {:?}", weight.dims())
    }
    let pixels = x.elem_count() / (batch * channels).max(1);
    Ok(GroupNorm { batch, channels, pixels, groups, eps: eps as f32, silu })
}

/// Normalises `x` `[…, width]` over its last dimension, scales and shifts by `weight` and `bias` `[width]`.
///
/// # Errors
/// When the shapes do not fit, or the tensors are not f32 on a CPU.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let width = weight.dims1()?;
    if x.dims().last() != Some(&width) || bias.dims() != [width] {
        bail!("layer_norm: input {:?} does not fit weight {:?}", x.dims(), weight.dims())
    }
    if portable::takes(x) {
        return portable::layer_norm(x, weight, bias, eps);
    }
    let op = Layer(LayerNorm { rows: x.elem_count() / width.max(1), width, eps: eps as f32 });
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)
}

/// Runs a normalisation's backward and wraps its three results, each only where it is wanted.
fn gradients(
    [x, weight, bias, grad]: [&Tensor; 4],
    backward: impl FnOnce([&[f32]; 4], [&mut [f32]; 3]),
) -> Result<Gradients> {
    let grad = grad.contiguous()?;
    let mut gx = vec![0.0; x.elem_count()];
    let mut gamma = vec![0.0; weight.elem_count()];
    let mut beta = vec![0.0; bias.elem_count()];
    backward(
        [&Host::new(x)?, &Host::new(weight)?, &Host::new(bias)?, &Host::new(&grad)?],
        [&mut gx, &mut gamma, &mut beta],
    );
    let wanted = |tensor: &Tensor, values| {
        if tensor.track_op() { host::tensor(values, tensor.shape()).map(Some) } else { Ok(None) }
    };
    Ok((wanted(x, gx)?, wanted(weight, gamma)?, wanted(bias, beta)?))
}

impl CustomOp3 for Group {
    fn name(&self) -> &'static str {
        "group_norm"
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
        let x = host::slice(s1, l1)?;
        let mut out = vec![0.0; x.len()];
        self.0.forward(x, host::slice(s2, l2)?, host::slice(s3, l3)?, &mut out);
        Ok(host::output(out, l1.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, bias: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Gradients> {
        gradients([x, weight, bias, grad], |[x, gamma, beta, gy], [gx, ggamma, gbeta]| {
            self.0.backward(x, gamma, beta, gy, gx, ggamma, gbeta);
        })
    }
}

impl CustomOp3 for Layer {
    fn name(&self) -> &'static str {
        "layer_norm"
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
        let x = host::slice(s1, l1)?;
        let mut out = vec![0.0; x.len()];
        self.0.forward(x, host::slice(s2, l2)?, host::slice(s3, l3)?, &mut out);
        Ok(host::output(out, l1.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, bias: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Gradients> {
        gradients([x, weight, bias, grad], |[x, gamma, beta, gy], [gx, ggamma, gbeta]| {
            self.0.backward(x, gamma, beta, gy, gx, ggamma, gbeta);
        })
    }
}
