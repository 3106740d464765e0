//! Convolutions: by the device's own library where the tensor library uses one (cuDNN).

use candle_core::{DType, Result, Tensor};

use super::super::ConvWay;
use super::super::given::given;
use super::super::weight::Weight;
use super::simple::enlarged;
use super::{beside, plain, tracked, weight_beside};
use crate::nn::device::within_memory;

/// See [`super::super::conv2d`]; shapes are checked there.
pub fn conv2d(
    x: &Tensor,
    weight: &Weight,
    bias: Option<&Tensor>,
    residual: Option<&Tensor>,
    way: ConvWay,
) -> Result<Tensor> {
    let x = &plain(x);
    let wanted = tracked([x]);
    let x = &if way.enlarged { enlarged(x)? } else { x.clone() };
    let out = if weight.track_op() || wanted {
        let out = convolved(&x.detach(), &weight_beside(weight, x)?.detach(), way)?;
        match weight {
            Weight::Tensor(tensor) if weight.track_op() => {
                let back = move |inputs: &[&Tensor], grad: &Tensor| {
                    let (x, weight) = (inputs[0], inputs[1]);
                    let of_input = if x.track_op() {
                        Some(of_input(x, &beside(&weight.detach(), grad)?, grad, way)?)
                    } else {
                        None
                    };
                    let of_weight = of_weight(&x.detach(), weight.dims4()?, grad, way)?;
                    Ok(vec![of_input, Some(of_weight.to_dtype(weight.dtype())?)])
                };
                given(&[x, tensor], &out, Box::new(back))?
            }
            _ => {
                let weight = weight.clone();
                let back = move |inputs: &[&Tensor], grad: &Tensor| {
                    Ok(vec![Some(of_input(inputs[0], &weight_beside(&weight, grad)?, grad, way)?)])
                };
                given(&[x], &out, Box::new(back))?
            }
        }
    } else {
        convolved(x, &weight_beside(weight, x)?, way)?
    };
    let out = match bias {
        Some(bias) => out.broadcast_add(&beside(&plain(bias), x)?.reshape((1, (), 1, 1))?)?,
        None => out,
    };
    match residual {
        Some(residual) => out + plain(residual),
        None => Ok(out),
    }
}

/// The convolution alone.
fn convolved(x: &Tensor, weight: &Tensor, way: ConvWay) -> Result<Tensor> {
    let padding = way.padding;
    let is_even = [padding.bottom, padding.left, padding.right].iter().all(|side| *side == padding.top);
    let (x, rest) = if is_even { (x.clone(), padding.top) } else { (padded(x, way)?, 0) };
    let out = library_conv2d(&x.contiguous()?, &weight.contiguous()?, rest, way.stride)?;
    within_memory(&out)?;
    Ok(out)
}

/// The library's, which has none in 16 bits on a processor.
fn library_conv2d(x: &Tensor, weight: &Tensor, padding: usize, stride: usize) -> Result<Tensor> {
    if x.device().is_cpu() && x.dtype() != DType::F32 {
        let (wide, weight) = (x.to_dtype(DType::F32)?, weight.to_dtype(DType::F32)?);
        return wide.conv2d(&weight, padding, stride, 1, 1)?.to_dtype(x.dtype());
    }
    x.conv2d(weight, padding, stride, 1, 1)
}

fn padded(x: &Tensor, way: ConvWay) -> Result<Tensor> {
    let padding = way.padding;
    x.pad_with_zeros(2, padding.top, padding.bottom)?.pad_with_zeros(3, padding.left, padding.right)
}

/// The gradient of the input: the gradient of the result, with zeros between where the stride passed places over, convolved
/// with the kernel turned around.
fn of_input(x: &Tensor, weight: &Tensor, grad: &Tensor, way: ConvWay) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let (_, _, kernel_height, kernel_width) = weight.dims4()?;
    let turned = weight.transpose(0, 1)?.contiguous()?.flip(&[2, 3])?.contiguous()?;
    let grad = spread(&spread(grad, 2, way.stride)?, 3, way.stride)?;
    let (_, _, grad_height, grad_width) = grad.dims4()?;
    let padding = way.padding;
    // From the first place that a kernel touches to the last px, which the stride may not have reached.
    let ends = |kernel: usize, before: usize, size: usize, grad: usize| {
        let before = (kernel - 1) as isize - before as isize;
        (before, size as isize + kernel as isize - 1 - grad as isize - before)
    };
    let grad = fitted(&grad, 2, ends(kernel_height, padding.top, height, grad_height))?;
    let grad = fitted(&grad, 3, ends(kernel_width, padding.left, width, grad_width))?;
    library_conv2d(&grad.contiguous()?, &turned, 0, 1)
}

/// Zeros at both ends of a dimension, or what is beyond them cut off.
fn fitted(x: &Tensor, dim: usize, (before, behind): (isize, isize)) -> Result<Tensor> {
    let cut = |side: isize| usize::try_from(-side).unwrap_or(0);
    let rest = x.dim(dim)? - cut(before) - cut(behind);
    let x = x.narrow(dim, cut(before), rest)?;
    let added = |side: isize| usize::try_from(side).unwrap_or(0);
    x.pad_with_zeros(dim, added(before), added(behind))
}

/// `stride - 1` zeros between neighbours of a dimension.
fn spread(x: &Tensor, dim: usize, stride: usize) -> Result<Tensor> {
    if stride == 1 {
        return Ok(x.clone());
    }
    let size = x.dim(dim)?;
    let apart = x.contiguous()?.unsqueeze(dim + 1)?.pad_with_zeros(dim + 1, 0, stride - 1)?;
    let mut dims = x.dims().to_vec();
    dims[dim] = size * stride;
    apart.reshape(dims)?.narrow(dim, 0, (size - 1) * stride + 1)
}

/// The gradient of the kernel, one place of it after the other, each a matrix product over all px.
fn of_weight(
    x: &Tensor,
    (outputs, inputs, kernel_height, kernel_width): (usize, usize, usize, usize),
    grad: &Tensor,
    way: ConvWay,
) -> Result<Tensor> {
    let (_, _, height, width) = grad.dims4()?;
    let x = padded(x, way)?;
    let by_channel = |x: &Tensor| x.transpose(0, 1)?.contiguous()?.flatten_from(1); // [channels, batch * px]
    let grad = by_channel(grad)?;
    let mut places = Vec::with_capacity(kernel_height * kernel_width);
    for row in 0..kernel_height {
        for column in 0..kernel_width {
            let seen = every(&every(&x, 2, row, height, way.stride)?, 3, column, width, way.stride)?;
            places.push(grad.matmul(&by_channel(&seen)?.t()?)?);
        }
    }
    let all = Tensor::stack(&places, 2)?; // [outputs, inputs, places]
    all.reshape((outputs, inputs, kernel_height, kernel_width))
}

/// `count` places of a dimension from `first` on, each `stride` behind the one before.
fn every(x: &Tensor, dim: usize, first: usize, count: usize, stride: usize) -> Result<Tensor> {
    if stride == 1 {
        return x.narrow(dim, first, count);
    }
    let places: Vec<u32> = (0..count).map(|i| (first + i * stride) as u32).collect();
    x.contiguous()?.index_select(&Tensor::new(places, x.device())?, dim)
}
