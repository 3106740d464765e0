//! Maps of px to rows of tokens and back.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::host::{self, Host};
use super::portable;
use crate::kernels::layout as kernel;

/// Rows and columns of each picture change places; the result has the given shape.
struct Transpose {
    batch: usize,
    rows: usize,
    cols: usize,
    shape: Shape,
}

/// `x` `[batch, channels, height, width]` to `[batch, height * width, channels]`.
///
/// # Errors
/// When it has another shape, or the tensor is not f32 on a CPU.
pub fn to_tokens(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    if portable::takes(x) {
        return portable::to_tokens(x);
    }
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
    if portable::takes(x) {
        return portable::from_tokens(x, height, width);
    }
    let shape = Shape::from((batch, channels, height, width));
    x.contiguous()?.apply_op1(Transpose { batch, rows: tokens, cols: channels, shape })
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
