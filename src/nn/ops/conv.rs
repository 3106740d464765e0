//! 2-D convolution (cross-correlation, as every framework has it).

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::Padding;
use super::host::{self, Host};
use super::widen::widened;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::values::Values;

struct Conv(Conv2d);

/// Convolves `x` `[batch, in, height, width]` with `weight` `[out, in, kernel_height, kernel_width]` and adds `bias`
/// `[out]`; the result is `[batch, out, out_height, out_width]`.
///
/// # Errors
/// When the shapes do not fit, or the tensors are not f32 on a CPU.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, stride: usize, padding: Padding) -> Result<Tensor> {
    let (batch, in_channels, in_height, in_width) = x.dims4()?;
    let (out_channels, weight_in, kernel_height, kernel_width) = weight.dims4()?;
    let fits = weight_in == in_channels
        && stride > 0
        && in_height + padding.top + padding.bottom >= kernel_height
        && in_width + padding.left + padding.right >= kernel_width;
    if !fits {
        bail!("conv2d: input {:?} does not fit weight {:?}", x.dims(), weight.dims())
    }
    let op = Conv(Conv2d {
        batch,
        in_channels,
        in_height,
        in_width,
        out_channels,
        kernel_height,
        kernel_width,
        stride,
        padding,
        enlarged: false,
    });
    let (x, weight) = (x.contiguous()?, widened(weight)?.contiguous()?);
    match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op),
        None => x.apply_op2(&weight, op),
    }
}

impl Conv {
    fn run(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> (CpuStorage, Shape) {
        let conv = &self.0;
        let (height, width) = (conv.out_height(), conv.out_width());
        let mut out = vec![0.0; conv.batch * conv.out_channels * height * width];
        conv.forward(x, Values::F32(weight), bias, None, &mut out);
        host::output(out, (conv.batch, conv.out_channels, height, width))
    }

    fn gradients(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gy = Host::new(grad)?;
        let grad_x = if x.track_op() {
            let mut gx = vec![0.0; x.elem_count()];
            self.0.backward_input(&gy, Values::F32(&Host::new(weight)?), &mut gx);
            Some(host::tensor(gx, x.shape())?)
        } else {
            None
        };
        let grad_weight = if weight.track_op() {
            let mut gw = vec![0.0; weight.elem_count()];
            self.0.backward_weight(&Host::new(x)?, &gy, &mut gw);
            Some(host::tensor(gw, weight.shape())?)
        } else {
            None
        };
        Ok((grad_x, grad_weight))
    }
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(self.run(host::slice(s1, l1)?, host::slice(s2, l2)?, None))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(x, weight, &grad.contiguous()?)
    }
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "conv2d with bias"
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
        Ok(self.run(host::slice(s1, l1)?, host::slice(s2, l2)?, Some(host::slice(s3, l3)?)))
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
            let mut gb = vec![0.0; bias.elem_count()];
            self.0.backward_bias(&Host::new(&grad)?, &mut gb);
            Some(host::tensor(gb, bias.shape())?)
        } else {
            None
        };
        Ok((grad_x, grad_weight, grad_bias))
    }
}
