//! Maps of px to rows of tokens and back, and maps beside one another.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::host::{self, Host};
use crate::kernels::layout as kernel;

/// Rows and columns of each picture change places; the result has the given shape.
struct Transpose {
    batch: usize,
    rows: usize,
    cols: usize,
    shape: Shape,
}

struct Concat {
    batch: usize,
    shape: Shape,
}

/// `x` `[batch, channels, height, width]` to `[batch, height * width, channels]`.
///
/// # Errors
/// When it has another shape, or the tensor is not f32 on a CPU.
pub fn to_tokens(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let pixels = height * width;
    let shape = Shape::from((batch, pixels, channels));
    x.contiguous()?.apply_op1(Transpose { batch, rows: channels, cols: pixels, shape })
}

/// `x` `[batch, height * width, channels]` to `[batch, channels, height, width]`.
///
/// # Errors
/// When it has another shape, or the tensor is not f32 on a CPU.
pub fn from_tokens(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (batch, tokens, channels) = x.dims3()?;
    if tokens != height * width {
        bail!("from_tokens: {tokens} tokens are not {height} × {width} px")
    }
    let shape = Shape::from((batch, channels, height, width));
    x.contiguous()?.apply_op1(Transpose { batch, rows: tokens, cols: channels, shape })
}

/// The channels of `a` `[batch, of_a, …]` and then those of `b` `[batch, of_b, …]`, all other dimensions the same.
///
/// # Errors
/// When the shapes do not fit, or the tensors are not f32 on a CPU.
pub fn concat_channels(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (of_a, of_b) = (a.dims(), b.dims());
    if of_a.len() < 2 || of_a.len() != of_b.len() || of_a[0] != of_b[0] || of_a[2..] != of_b[2..] {
        bail!("concat_channels: {of_a:?} and {of_b:?} do not fit")
    }
    let mut dims = of_a.to_vec();
    dims[1] += of_b[1];
    a.contiguous()?.apply_op2(&b.contiguous()?, Concat { batch: of_a[0], shape: Shape::from(dims) })
}

impl CustomOp1 for Transpose {
    fn name(&self) -> &'static str {
        "tokens"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = host::slice(storage, layout)?;
        let mut out = vec![0.0; x.len()];
        kernel::transpose_each(self.batch, self.rows, self.cols, x, &mut out);
        Ok(host::output(out, self.shape.clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let mut gx = vec![0.0; x.elem_count()];
        kernel::transpose_each(self.batch, self.cols, self.rows, &Host::new(&grad)?, &mut gx);
        host::tensor(gx, x.shape()).map(Some)
    }
}

impl CustomOp2 for Concat {
    fn name(&self) -> &'static str {
        "concat_channels"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = vec![0.0; self.shape.elem_count()];
        kernel::concat(self.batch, host::slice(s1, l1)?, host::slice(s2, l2)?, &mut out);
        Ok(host::output(out, self.shape.clone()))
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (mut ga, mut gb) = (vec![0.0; a.elem_count()], vec![0.0; b.elem_count()]);
        kernel::split(self.batch, &Host::new(&grad)?, &mut ga, &mut gb);
        Ok((Some(host::tensor(ga, a.shape())?), Some(host::tensor(gb, b.shape())?)))
    }
}
