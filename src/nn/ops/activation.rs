//! Activations, element by element, and the gated one of the transformer blocks.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::host::{self, Host};
use super::portable;
use crate::kernels::activation as kernel;

/// An activation of one element at a time.
struct Elementwise {
    name: &'static str,
    forward: fn(&[f32], &mut [f32]),
    backward: fn(&[f32], &[f32], &mut [f32]),
}

struct Geglu {
    rows: usize,
    width: usize,
}

/// `x sigmoid(x)`, of any shape.
///
/// # Errors
/// When the tensor is not f32 on a CPU.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    if portable::takes(x) {
        return portable::silu(x);
    }
    let op = Elementwise { name: "silu", forward: kernel::silu_forward, backward: kernel::silu_backward };
    x.contiguous()?.apply_op1(op)
}

/// `x Φ(x)` with the exact error function (not the tanh approximation), of any shape.
///
/// # Errors
/// When the tensor is not f32 on a CPU.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if portable::takes(x) {
        return portable::gelu(x);
    }
    let op = Elementwise { name: "gelu", forward: kernel::gelu_forward, backward: kernel::gelu_backward };
    x.contiguous()?.apply_op1(op)
}

/// `x sigmoid(1.702 x)`, the activation of `OpenAI`'s CLIP, of any shape.
///
/// # Errors
/// When the tensor is not f32 on a CPU.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    if portable::takes(x) {
        return portable::quick_gelu(x);
    }
    let op =
        Elementwise { name: "quick_gelu", forward: kernel::quick_gelu_forward, backward: kernel::quick_gelu_backward };
    x.contiguous()?.apply_op1(op)
}

/// `a gelu(b)` for `x` `[…, 2 width]` = a beside b; the result is `[…, width]` (Shazeer 2020).
///
/// # Errors
/// When the last dimension is odd, or the tensor is not f32 on a CPU.
pub fn geglu(x: &Tensor) -> Result<Tensor> {
    let width = match x.dims().last() {
        Some(width) if width % 2 == 0 => width / 2,
        _ => bail!("geglu: input {:?} cannot be halved", x.dims()),
    };
    if portable::takes(x) {
        return portable::geglu(x);
    }
    x.contiguous()?.apply_op1(Geglu { rows: x.elem_count() / (2 * width).max(1), width })
}

impl CustomOp1 for Elementwise {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = host::slice(storage, layout)?;
        let mut out = vec![0.0; x.len()];
        (self.forward)(x, &mut out);
        Ok(host::output(out, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let mut gx = vec![0.0; x.elem_count()];
        (self.backward)(&Host::new(x)?, &Host::new(&grad)?, &mut gx);
        host::tensor(gx, x.shape()).map(Some)
    }
}

impl CustomOp1 for Geglu {
    fn name(&self) -> &'static str {
        "geglu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = vec![0.0; self.rows * self.width];
        kernel::geglu_forward(self.rows, self.width, host::slice(storage, layout)?, &mut out);
        let mut dims = layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = self.width;
        }
        Ok(host::output(out, dims))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let mut gx = vec![0.0; x.elem_count()];
        kernel::geglu_backward(self.rows, self.width, &Host::new(x)?, &Host::new(&grad)?, &mut gx);
        host::tensor(gx, x.shape()).map(Some)
    }
}
