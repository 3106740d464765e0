//! Nearest-neighbour upsampling to any size.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::host::{self, Host};
use super::portable;
use crate::kernels::upsample::{nearest_backward, nearest_forward};

struct Nearest {
    planes: usize,
    from: (usize, usize),
    to: (usize, usize),
}

/// Enlarges `x` `[batch, channels, height, width]` to `[batch, channels, to_height, to_width]`: row `i` of the result is
/// row `floor(i height / to_height)` of `x`, columns likewise.
///
/// # Errors
/// When the tensor is not f32 on a CPU.
pub fn upsample_nearest(x: &Tensor, to_height: usize, to_width: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    if portable::takes(x) {
        return portable::upsample_nearest(x, to_height, to_width);
    }
    x.contiguous()?.apply_op1(Nearest { planes: batch * channels, from: (height, width), to: (to_height, to_width) })
}

impl CustomOp1 for Nearest {
    fn name(&self) -> &'static str {
        "upsample_nearest"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, ..) = layout.shape().dims4()?;
        let mut out = vec![0.0; self.planes * self.to.0 * self.to.1];
        nearest_forward(self.planes, self.from, self.to, host::slice(storage, layout)?, &mut out);
        Ok(host::output(out, (batch, channels, self.to.0, self.to.1)))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let mut gx = vec![0.0; x.elem_count()];
        nearest_backward(self.planes, self.from, self.to, &Host::new(&grad)?, &mut gx);
        host::tensor(gx, x.shape()).map(Some)
    }
}
