//! A frozen linear layer with a trained change of low rank: `y = x Wᵀ + b + scale · (x downᵀ) upᵀ`.
//!
//! It is one operation with one result, so that a training holds nothing between the layer's input and its output: what
//! stands between `down` and `up` is computed again on the way back, which costs next to nothing at a low rank.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::host::{self, Host};
use super::linear::{Linear, linear};
use super::portable;
use super::weight::Weight;
use crate::kernels::gemm::Activation;
use crate::kernels::linear::{Linear as Kernel, linear_backward_weight};
use crate::kernels::values::Values;

/// The factors of a change: `down` `[rank, in]`, `up` `[out, rank]`.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// To the low rank.
    pub down: &'a Tensor,
    /// And back.
    pub up: &'a Tensor,
    /// What the product is multiplied with.
    pub scale: f64,
}

/// `y = x Wᵀ + b + scale · (x downᵀ) upᵀ + residual`, shapes as in [`linear()`].
///
/// # Errors
/// When the shapes do not fit, or the tensors are not f32 (the weight also f16 or bf16) on a CPU.
pub fn low_rank_linear(
    x: &Tensor,
    weight: &Weight,
    bias: Option<&Tensor>,
    change: Change<'_>,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    let Change { down, up, scale } = change;
    let base = Linear::of(x, weight, bias)?;
    let rank = down.dim(0)?;
    if down.dims() != [rank, base.in_features] || up.dims() != [base.out_features, rank] {
        bail!("a change of {:?} and {:?} does not fit weight {:?}", up.dims(), down.dims(), weight.dims())
    }
    if portable::takes(x) {
        return portable::low_rank_linear(x, weight, bias, change, residual);
    }
    let changes = host::tracked([down, up]);
    if !changes && !host::tracked([x].into_iter().chain(bias).chain(residual)) && !weight.track_op() {
        let base = linear(x, weight, bias, residual)?;
        let inner = (linear(x, &down.into(), None, None)? * scale)?;
        return linear(&inner, &up.into(), None, Some(&base));
    }
    if weight.track_op() || host::tracked(bias) {
        // Nothing here is frozen: two layers beside each other.
        let inner = (linear(x, &down.into(), None, None)? * scale)?;
        return linear(&inner, &up.into(), None, None)? + linear(x, weight, bias, residual)?;
    }
    let op = LowRank {
        base,
        rank,
        scale: scale as f32,
        weight: weight.contiguous()?,
        bias: bias.map(Tensor::contiguous).transpose()?,
    };
    let out = x.contiguous()?.apply_op3(&down.contiguous()?, &up.contiguous()?, op)?;
    match residual {
        Some(residual) => out + residual,
        None => Ok(out),
    }
}

struct LowRank {
    base: Linear,
    rank: usize,
    scale: f32,
    weight: Weight,
    bias: Option<Tensor>,
}

impl LowRank {
    fn down<'a>(&self, down: &'a [f32]) -> Kernel<'a> {
        Kernel { in_features: self.base.in_features, out_features: self.rank, weight: Values::F32(down), bias: None }
    }

    fn up<'a>(&self, up: &'a [f32]) -> Kernel<'a> {
        Kernel { in_features: self.rank, out_features: self.base.out_features, weight: Values::F32(up), bias: None }
    }

    /// `scale · x downᵀ`, `[rows, rank]`.
    fn inner(&self, x: &[f32], down: &[f32]) -> Vec<f32> {
        let mut inner = vec![0.0; self.base.rows * self.rank];
        self.down(down).forward(self.base.rows, x, None, Activation::None, &mut inner);
        self.scaled(&mut inner);
        inner
    }

    fn scaled(&self, values: &mut [f32]) {
        for value in values {
            *value *= self.scale;
        }
    }
}

impl CustomOp3 for LowRank {
    fn name(&self) -> &'static str {
        "frozen linear with a change of low rank"
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
        let (x, down, up) = (host::slice(s1, l1)?, host::slice(s2, l2)?, host::slice(s3, l3)?);
        let (rows, outputs) = (self.base.rows, self.base.out_features);
        let mut change = vec![0.0; rows * outputs];
        self.up(up).forward(rows, &self.inner(x, down), None, Activation::None, &mut change);
        let (weight, bias) = (self.weight.hold()?, self.bias.as_ref().map(Host::new).transpose()?);
        let layer = self.base.layer(weight.values(), bias.as_deref());
        let mut out = vec![0.0; rows * outputs];
        layer.forward(rows, x, Some(&change), Activation::None, &mut out);
        Ok(host::output(out, self.base.shape.clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        down: &Tensor,
        up: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Linear { rows, in_features, out_features, .. } = self.base;
        let grad = grad.contiguous()?;
        let (x_values, gy) = (Host::new(x)?, Host::new(&grad)?);
        let (down_values, up_values) = (Host::new(down)?, Host::new(up)?);
        // The gradient of what stands between the two, `[rows, rank]`.
        let mut of_inner = vec![0.0; rows * self.rank];
        self.up(&up_values).backward_input(rows, &gy, &mut of_inner);
        self.scaled(&mut of_inner);
        let of_input = if x.track_op() {
            let mut gx = vec![0.0; rows * in_features];
            self.base.layer(self.weight.hold()?.values(), None).backward_input(rows, &gy, &mut gx);
            self.down(&down_values).add_backward_input(rows, &of_inner, &mut gx);
            Some(host::tensor(gx, x.shape())?)
        } else {
            None
        };
        let mut of_down = vec![0.0; self.rank * in_features];
        linear_backward_weight(rows, in_features, self.rank, &x_values, &of_inner, &mut of_down);
        let mut of_up = vec![0.0; out_features * self.rank];
        let inner = self.inner(&x_values, &down_values);
        linear_backward_weight(rows, self.rank, out_features, &inner, &gy, &mut of_up);
        Ok((of_input, Some(host::tensor(of_down, down.shape())?), Some(host::tensor(of_up, up.shape())?)))
    }
}
