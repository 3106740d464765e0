//! `y = x Wᵀ + b`.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::host::{self, Host};
use crate::kernels::linear::{linear_backward_input, linear_backward_weight, linear_forward, sum_rows};
use crate::kernels::values::Values;

struct Linear {
    rows: usize,
    in_features: usize,
    out_features: usize,
    shape: Shape,
}

/// `y = x Wᵀ + b + residual` for `x` `[…, in]`, `weight` `[out, in]`, `bias` `[out]`, `residual` `[…, out]`; the result is
/// `[…, out]`.
///
/// # Errors
/// When the shapes do not fit, or the tensors are not f32 (the weight also f16 or bf16) on a CPU.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, residual: Option<&Tensor>) -> Result<Tensor> {
    let (out_features, in_features) = weight.dims2()?;
    let mut dims = x.dims().to_vec();
    match dims.last_mut() {
        Some(last) if *last == in_features => *last = out_features,
        _ => bail!("linear: input {:?} does not fit weight {:?}", x.dims(), weight.dims()),
    }
    let rows = x.elem_count() / in_features.max(1);
    let op = Linear { rows, in_features, out_features, shape: Shape::from(dims) };
    if bias.is_some_and(|bias| bias.dims() != [out_features])
        || residual.is_some_and(|residual| *residual.shape() != op.shape)
    {
        bail!("linear: bias or residual do not fit the result {:?}", op.shape)
    }
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let (bias, residual) = (bias.map(Tensor::contiguous).transpose()?, residual.map(Tensor::contiguous).transpose()?);
    if !host::tracked([&x, &weight].into_iter().chain(&bias).chain(&residual)) {
        let (bias, residual) =
            (bias.as_ref().map(Host::new).transpose()?, residual.as_ref().map(Host::new).transpose()?);
        let out = op.run(&Host::new(&x)?, Host::weight(&weight)?.values(), bias.as_deref(), residual.as_deref());
        return host::tensor(out, &op.shape);
    }
    let out = match &bias {
        Some(bias) => x.apply_op3(&weight, bias, op)?,
        None => x.apply_op2(&weight, op)?,
    };
    match residual {
        Some(residual) => out + residual,
        None => Ok(out),
    }
}

impl Linear {
    fn run(&self, x: &[f32], weight: Values<'_>, bias: Option<&[f32]>, residual: Option<&[f32]>) -> Vec<f32> {
        let mut out = vec![0.0; self.rows * self.out_features];
        linear_forward(self.rows, self.in_features, self.out_features, x, weight, bias, residual, &mut out);
        out
    }

    /// Gradients of input and weight; none for what is frozen, which is most of the memory of training an adapter.
    fn gradients(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gy = Host::new(grad)?;
        let (rows, inputs, outputs) = (self.rows, self.in_features, self.out_features);
        let grad_x = if x.track_op() {
            let mut gx = vec![0.0; rows * inputs];
            linear_backward_input(rows, inputs, outputs, &gy, Host::weight(weight)?.values(), &mut gx);
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

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = self.run(host::slice(s1, l1)?, host::values(s2, l2)?, None, None);
        Ok(host::output(out, self.shape.clone()))
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
        let out = self.run(host::slice(s1, l1)?, host::values(s2, l2)?, Some(host::slice(s3, l3)?), None);
        Ok(host::output(out, self.shape.clone()))
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
