//! 2-D convolution (cross-correlation, as every framework has it).

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::Padding;
use super::host::{self, Host};
use super::portable;
use super::weight::Weight;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::values::Values;

/// How a kernel goes over a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvWay {
    /// Step in both directions, px.
    pub stride: usize,
    /// Zeros around the picture.
    pub padding: Padding,
    /// Whether each px of the picture counts as 2 × 2: as if it had been enlarged by nearest neighbours before, but
    /// without the memory for that.
    pub enlarged: bool,
}

pub(super) struct Conv(pub(super) Conv2d);

/// Convolves `x` `[batch, in, height, width]` with `weight` `[out, in, kernel_height, kernel_width]` and adds `bias`
/// `[out]` and `residual`, of the result's shape; the result is `[batch, out, out_height, out_width]`.
///
/// # Errors
/// When the shapes do not fit, or the tensors are not f32 (the weight also f16 or bf16) on a CPU.
pub fn conv2d(
    x: &Tensor,
    weight: &Weight,
    bias: Option<&Tensor>,
    residual: Option<&Tensor>,
    way: ConvWay,
) -> Result<Tensor> {
    let op = Conv::new(x, weight, bias, residual, way)?;
    if portable::takes(x) {
        return portable::conv2d(x, weight, bias, residual, way);
    }
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let (bias, residual) = (bias.map(Tensor::contiguous).transpose()?, residual.map(Tensor::contiguous).transpose()?);
    if !weight.track_op() && !host::tracked([&x].into_iter().chain(&bias).chain(&residual)) {
        let (bias, residual) =
            (bias.as_ref().map(Host::new).transpose()?, residual.as_ref().map(Host::new).transpose()?);
        let out = op.run(&Host::new(&x)?, weight.hold()?.values(), bias.as_deref(), residual.as_deref());
        return host::tensor(out, &op.out_shape());
    }
    if !weight.track_op() && !host::tracked(&bias) {
        let frozen = Frozen { op, weight, bias };
        return match &residual {
            Some(residual) => x.apply_op2(residual, frozen),
            None => x.apply_op1(frozen),
        };
    }
    let out = match (weight, &bias) {
        (Weight::Tensor(weight), Some(bias)) => x.apply_op3(&weight, bias, op)?,
        (Weight::Tensor(weight), None) => x.apply_op2(&weight, op)?,
        (weight, bias) => {
            let out = x.apply_op1(Frozen { op, weight, bias: None })?;
            bias.as_ref().map_or(Ok(out.clone()), |bias| out.broadcast_add(&bias.reshape((1, (), 1, 1))?))?
        }
    };
    match residual {
        Some(residual) => out + residual,
        None => Ok(out),
    }
}

impl Conv {
    /// Looks whether everything fits.
    pub(super) fn new(
        x: &Tensor,
        weight: &Weight,
        bias: Option<&Tensor>,
        residual: Option<&Tensor>,
        way: ConvWay,
    ) -> Result<Self> {
        let (batch, in_channels, in_height, in_width) = x.dims4()?;
        let (out_channels, weight_in, kernel_height, kernel_width) = weight.dims4()?;
        let ConvWay { stride, padding, enlarged } = way;
        let scale = if enlarged { 2 } else { 1 };
        let fits = weight_in == in_channels
            && stride > 0
            && scale * in_height + padding.top + padding.bottom >= kernel_height
            && scale * in_width + padding.left + padding.right >= kernel_width
            && bias.is_none_or(|bias| bias.dims() == [out_channels]);
        if !fits {
            bail!("conv2d: input {:?} does not fit weight {:?}", x.dims(), weight.dims())
        }
        let op = Self(Conv2d {
            batch,
            in_channels,
            in_height,
            in_width,
            out_channels,
            kernel_height,
            kernel_width,
            stride,
            padding,
            enlarged,
        });
        let out_shape = op.out_shape();
        if residual.is_some_and(|residual| *residual.shape() != out_shape) {
            bail!("conv2d: a residual of another shape than the result {out_shape:?}")
        }
        Ok(op)
    }

    pub(super) fn out_shape(&self) -> Shape {
        let conv = &self.0;
        (conv.batch, conv.out_channels, conv.out_height(), conv.out_width()).into()
    }

    fn run(&self, x: &[f32], weight: Values<'_>, bias: Option<&[f32]>, residual: Option<&[f32]>) -> Vec<f32> {
        let mut out = vec![0.0; self.out_shape().elem_count()];
        self.0.forward(x, weight, bias, residual, &mut out);
        out
    }

    fn gradients(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gy = Host::new(grad)?;
        let grad_x = if x.track_op() {
            let mut gx = vec![0.0; x.elem_count()];
            self.0.backward_input(&gy, Host::weight(weight)?.values(), &mut gx);
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

/// A convolution that is not trained, with its input's gradient. Its weight may lie in a file; bias and residual are
/// added while the result is computed, so that a training holds one tensor for all of it.
struct Frozen {
    op: Conv,
    weight: Weight,
    bias: Option<Tensor>,
}

impl Frozen {
    fn run(&self, x: &[f32], residual: Option<&[f32]>) -> Result<(CpuStorage, Shape)> {
        let (weight, bias) = (self.weight.hold()?, self.bias.as_ref().map(Host::new).transpose()?);
        Ok(host::output(self.op.run(x, weight.values(), bias.as_deref(), residual), self.op.out_shape()))
    }

    fn gradient(&self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let mut gx = vec![0.0; x.elem_count()];
        let grad = grad.contiguous()?;
        self.op.0.backward_input(&Host::new(&grad)?, self.weight.hold()?.values(), &mut gx);
        host::tensor(gx, x.shape())
    }
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen conv2d"
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
        "frozen conv2d with residual"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(host::slice(s1, l1)?, Some(host::slice(s2, l2)?))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_input = if x.track_op() { Some(self.gradient(x, grad)?) } else { None };
        Ok((of_input, Some(grad.clone())))
    }
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = self.run(host::slice(s1, l1)?, host::values(s2, l2)?, None, None);
        Ok(host::output(out, self.out_shape()))
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
        let out = self.run(host::slice(s1, l1)?, host::values(s2, l2)?, Some(host::slice(s3, l3)?), None);
        Ok(host::output(out, self.out_shape()))
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
