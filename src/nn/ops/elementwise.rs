//! Sums channel by channel.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::host::{self, Host};
use super::portable;
use crate::kernels::elementwise as kernel;

struct AddChannels {
    pixels: usize,
}

/// `x` `[batch, channels, …]` plus `shift` `[batch, channels]`, the same for all px of a channel.
///
/// # Errors
/// When the shapes do not fit, or the tensors are not f32 on a CPU.
pub fn add_channels(x: &Tensor, shift: &Tensor) -> Result<Tensor> {
    if x.rank() < 2 || x.dims()[..2] != *shift.dims() {
        bail!("add_channels: {:?} and {:?} do not fit", x.dims(), shift.dims())
    }
    if portable::takes(x) {
        return portable::add_channels(x, shift);
    }
    let pixels = x.dims()[2..].iter().product();
    x.contiguous()?.apply_op2(&shift.contiguous()?, AddChannels { pixels })
}

impl CustomOp2 for AddChannels {
    fn name(&self) -> &'static str {
        "add_channels"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = host::slice(s1, l1)?;
        let mut out = vec![0.0; x.len()];
        kernel::add_channels(self.pixels, x, host::slice(s2, l2)?, &mut out);
        Ok(host::output(out, l1.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, shift: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_shift = if shift.track_op() {
            let mut gshift = vec![0.0; shift.elem_count()];
            kernel::sum_channels(self.pixels, &Host::new(&grad.contiguous()?)?, &mut gshift);
            Some(host::tensor(gshift, shift.shape())?)
        } else {
            None
        };
        Ok((Some(grad.clone()), of_shift))
    }
}
