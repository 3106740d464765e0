//! `y = x Wᵀ + b`, alone and with what comes before and after it.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::activation::geglu;
use super::host::{self, Host};
use super::layout::{from_tokens, to_tokens};
use super::portable;
use super::weight::Weight;
use crate::kernels::gemm::Activation;
use crate::kernels::linear::{self as kernel, linear_backward_weight, sum_rows};
use crate::kernels::projection::{map_to_tokens, tokens_to_map};
use crate::kernels::values::Values;

pub(super) struct Linear {
    pub rows: usize,
    pub in_features: usize,
    pub out_features: usize,
    pub shape: Shape,
}

/// `y = x Wᵀ + b + residual` for `x` `[…, in]`, `weight` `[out, in]`, `bias` `[out]`, `residual` `[…, out]`; the result is
/// `[…, out]`.
///
/// # Errors
/// When the shapes do not fit, or the tensors are not f32 (the weight also f16 or bf16) on a CPU.
pub fn linear(x: &Tensor, weight: &Weight, bias: Option<&Tensor>, residual: Option<&Tensor>) -> Result<Tensor> {
    let op = Linear::of(x, weight, bias)?;
    if residual.is_some_and(|residual| *residual.shape() != op.shape) {
        bail!("linear: a residual of another shape than the result {:?}", op.shape)
    }
    if portable::takes(x) {
        return portable::linear(x, weight, bias, residual);
    }
    if !weight.track_op() && !host::tracked([x].into_iter().chain(bias).chain(residual)) {
        return fused(x, weight, bias, residual, |layer, x, residual, out| {
            layer.forward(op.rows, x, residual, Activation::None, out);
            op.shape.clone()
        });
    }
    let x = x.contiguous()?;
    if !weight.track_op() && !host::tracked(bias) {
        let frozen = Frozen { op, weight: weight.contiguous()?, bias: bias.map(Tensor::contiguous).transpose()? };
        return match residual {
            Some(residual) => x.apply_op2(&residual.contiguous()?, frozen),
            None => x.apply_op1(frozen),
        };
    }
    let out = match (weight.contiguous()?, bias) {
        (Weight::Tensor(weight), Some(bias)) => x.apply_op3(&weight, &bias.contiguous()?, op)?,
        (Weight::Tensor(weight), None) => x.apply_op2(&weight, op)?,
        (weight, bias) => {
            let out = x.apply_op1(Frozen { op, weight, bias: None })?;
            bias.map_or(Ok(out.clone()), |bias| out.broadcast_add(bias))?
        }
    };
    match residual {
        Some(residual) => out + residual,
        None => Ok(out),
    }
}

/// `y = u gelu(v)`, where `u` beside `v` is `x Wᵀ + b`: `x` is `[…, in]`, `weight` `[2 out, in]`, `bias` `[2 out]`; the result is
/// `[…, out]`.
///
/// # Errors
/// As [`linear()`], and when the weight has an odd number of rows.
pub fn linear_geglu(x: &Tensor, weight: &Weight, bias: Option<&Tensor>) -> Result<Tensor> {
    let op = Linear::of(x, weight, bias)?;
    let is_composed = portable::takes(x) || weight.track_op() || host::tracked([x].into_iter().chain(bias));
    if is_composed || op.out_features % 2 != 0 {
        return geglu(&linear(x, weight, bias, None)?);
    }
    fused(x, weight, bias, None, |layer, x, _, out| {
        out.truncate(op.rows * op.out_features / 2);
        layer.forward_geglu(op.rows, x, out);
        let mut dims = op.shape.dims().to_vec();
        dims.last_mut().into_iter().for_each(|last| *last /= 2);
        Shape::from(dims)
    })
}

/// The linear layer at each px of a map: `x` `[batch, in, height, width]` to tokens `[batch, height * width, out]`.
///
/// # Errors
/// As [`linear()`].
pub fn map_to_tokens_linear(x: &Tensor, weight: &Weight, bias: Option<&Tensor>) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let pixels = height * width;
    let is_composed = portable::takes(x) || weight.track_op() || host::tracked([x].into_iter().chain(bias));
    if is_composed || weight.dims2()?.1 != channels {
        return linear(&to_tokens(x)?, weight, bias, None);
    }
    fused(x, weight, bias, None, |layer, x, _, out| {
        map_to_tokens(layer, batch, pixels, x, out);
        (batch, pixels, layer.out_features).into()
    })
}

/// The linear layer on tokens `[batch, height * width, in]`, back to a map and added to `residual`
/// `[batch, out, height, width]`.
///
/// # Errors
/// As [`linear()`].
pub fn tokens_to_map_linear(x: &Tensor, weight: &Weight, bias: Option<&Tensor>, residual: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = residual.dims4()?;
    let (pixels, shape) = (height * width, residual.shape().clone());
    let (out_features, in_features) = weight.dims2()?;
    if x.dims() != [batch, pixels, in_features] || out_features != channels {
        bail!("tokens {:?} and weight {:?} do not fit the map {:?}", x.dims(), weight.dims(), residual.dims())
    }
    let is_tracked = weight.track_op() || host::tracked([x, residual].into_iter().chain(bias));
    if portable::takes(x) || is_tracked {
        return from_tokens(&linear(x, weight, bias, None)?, height, width)? + portable::plain(residual);
    }
    fused(x, weight, bias, Some(residual), |layer, x, residual, out| {
        tokens_to_map(layer, batch, pixels, x, residual, out);
        shape
    })
}

/// Runs a kernel on tensors of which nobody asks for gradients. It gets the layer, the input, the residual and room for as
/// many values as the layer gives, and says the result's shape.
fn fused(
    x: &Tensor,
    weight: &Weight,
    bias: Option<&Tensor>,
    residual: Option<&Tensor>,
    run: impl FnOnce(&kernel::Linear<'_>, &[f32], Option<&[f32]>, &mut Vec<f32>) -> Shape,
) -> Result<Tensor> {
    let (out_features, in_features) = weight.dims2()?;
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let (bias, residual) = (bias.map(Tensor::contiguous).transpose()?, residual.map(Tensor::contiguous).transpose()?);
    let (bias, residual) = (bias.as_ref().map(Host::new).transpose()?, residual.as_ref().map(Host::new).transpose()?);
    let weight = weight.hold()?;
    let layer = kernel::Linear { in_features, out_features, weight: weight.values(), bias: bias.as_deref() };
    let mut out = vec![0.0; x.elem_count() / in_features.max(1) * out_features];
    let shape = run(&layer, &Host::new(&x)?, residual.as_deref(), &mut out);
    host::tensor(out, &shape)
}

impl Linear {
    /// The layer's sizes, if they fit.
    pub fn of(x: &Tensor, weight: &Weight, bias: Option<&Tensor>) -> Result<Self> {
        let (out_features, in_features) = weight.dims2()?;
        let mut dims = x.dims().to_vec();
        match dims.last_mut() {
            Some(last) if *last == in_features => *last = out_features,
            _ => bail!("linear: input {:?} does not fit weight {:?}", x.dims(), weight.dims()),
        }
        if bias.is_some_and(|bias| bias.dims() != [out_features]) {
            bail!("linear: the bias does not fit weight {:?}", weight.dims())
        }
        let rows = x.elem_count() / in_features.max(1);
        Ok(Self { rows, in_features, out_features, shape: Shape::from(dims) })
    }

    fn run(&self, x: &[f32], weight: Values<'_>, bias: Option<&[f32]>) -> (CpuStorage, Shape) {
        let mut out = vec![0.0; self.rows * self.out_features];
        self.layer(weight, bias).forward(self.rows, x, None, Activation::None, &mut out);
        host::output(out, self.shape.clone())
    }

    pub fn layer<'a>(&self, weight: Values<'a>, bias: Option<&'a [f32]>) -> kernel::Linear<'a> {
        kernel::Linear { in_features: self.in_features, out_features: self.out_features, weight, bias }
    }

    /// Gradients of input and weight; none for what is frozen, which is most of the memory of training an adapter.
    fn gradients(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gy = Host::new(grad)?;
        let (rows, inputs, outputs) = (self.rows, self.in_features, self.out_features);
        let grad_x = if x.track_op() {
            let mut gx = vec![0.0; rows * inputs];
            self.layer(Host::weight(weight)?.values(), None).backward_input(rows, &gy, &mut gx);
            Some(host::tensor(gx, x.shape())?)
        } else {
            None
        };
        let grad_weight = if weight.track_op() {
            let mut gw = vec![0.0; inputs * outputs];
            linear_backward_weight(rows, inputs, outputs, &Host::new(x)?, &gy, &mut gw);
            Some(host::tensor(gw, weight.shape())?)
        } else {
            None
        };
        Ok((grad_x, grad_weight))
    }
}

/// A layer that is not trained, with its input's gradient. Its weight may lie in a file; bias and residual are added
/// while the result is computed, so that a training holds one tensor for all of it.
struct Frozen {
    op: Linear,
    weight: Weight,
    bias: Option<Tensor>,
}

impl Frozen {
    fn run(&self, x: &[f32], residual: Option<&[f32]>) -> Result<(CpuStorage, Shape)> {
        let (weight, bias) = (self.weight.hold()?, self.bias.as_ref().map(Host::new).transpose()?);
        let mut out = vec![0.0; self.op.rows * self.op.out_features];
        let layer = self.op.layer(weight.values(), bias.as_deref());
        layer.forward(self.op.rows, x, residual, Activation::None, &mut out);
        Ok(host::output(out, self.op.shape.clone()))
    }

    fn gradient(&self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let mut gx = vec![0.0; x.elem_count()];
        let grad = grad.contiguous()?;
        self.op.layer(self.weight.hold()?.values(), None).backward_input(self.op.rows, &Host::new(&grad)?, &mut gx);
        host::tensor(gx, x.shape())
    }
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(host::slice(storage, layout)?, None)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        self.gradient(x, grad).map(Some)
    }
}

impl CustomOp2 for Frozen {
    fn name(&self) -> &'static str {
        "frozen linear with residual"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(host::slice(s1, l1)?, Some(host::slice(s2, l2)?))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_input = if x.track_op() { Some(self.gradient(x, grad)?) } else { None };
        Ok((of_input, Some(grad.clone())))
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(self.run(host::slice(s1, l1)?, host::values(s2, l2)?, None))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(x, weight, &grad.contiguous()?)
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear with bias"
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
        Ok(self.run(host::slice(s1, l1)?, host::values(s2, l2)?, Some(host::slice(s3, l3)?)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (grad_x, grad_weight) = self.gradients(x, weight, &grad)?;
        let grad_bias = if bias.track_op() {
            let mut gb = vec![0.0; self.out_features];
            sum_rows(self.rows, self.out_features, &Host::new(&grad)?, &mut gb);
            Some(host::tensor(gb, bias.shape())?)
        } else {
            None
        };
        Ok((grad_x, grad_weight, grad_bias))
    }
}
