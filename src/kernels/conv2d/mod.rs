//! 2-D convolution (cross-correlation, as every framework has it), forward and backward.
//!
//! A 1×1 convolution is a matrix product. All others run directly on the picture, without unfolding it into columns:
//! `packed` copies a strip of rows into a zero-padded layout in which every tap of the kernel is a constant offset,
//! `direct` multiplies it with the weights, and `weight_gradient` with the result's gradient.

mod direct;
mod packed;
mod weight_gradient;

#[cfg(test)]
mod tests;

use rayon::prelude::*;

use self::direct::{Direct, Weights};
use self::packed::Source;
use super::check_len;
use super::gemm::{gemm, gemm_serial};

/// From this many input channels on a 1×1 convolution is a matrix product; below, that is slower than the direct way.
const GEMM_CHANNELS: usize = 64;

/// Zero padding, in px.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns before.
    pub left: usize,
    /// Columns behind.
    pub right: usize,
}

impl Padding {
    /// The same on all sides.
    pub const fn all(px: usize) -> Self {
        Self { top: px, bottom: px, left: px, right: px }
    }
}

/// The shapes of a convolution: `x` is `[batch, in_channels, in_height, in_width]`, `w` is
/// `[out_channels, in_channels, kernel_height, kernel_width]`, `out` is `[batch, out_channels, out_height, out_width]`.
#[derive(Debug, Clone, Copy)]
pub struct Conv2d {
    /// Pictures.
    pub batch: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Rows of the input, px.
    pub in_height: usize,
    /// Columns of the input, px.
    pub in_width: usize,
    /// Channels of the result.
    pub out_channels: usize,
    /// Rows of the kernel.
    pub kernel_height: usize,
    /// Columns of the kernel.
    pub kernel_width: usize,
    /// Step in both directions, px.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
}

impl Conv2d {
    /// Rows of the result; 0 where the kernel does not fit.
    pub fn out_height(&self) -> usize {
        steps(self.in_height + self.padding.top + self.padding.bottom, self.kernel_height, self.stride)
    }

    /// Columns of the result; 0 where the kernel does not fit.
    pub fn out_width(&self) -> usize {
        steps(self.in_width + self.padding.left + self.padding.right, self.kernel_width, self.stride)
    }

    /// `out` = the convolution of `x` with `w`, plus `bias` `[out_channels]`.
    pub fn forward(&self, x: &[f32], w: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
        check_len("conv2d: the input", x, self.in_len());
        check_len("conv2d: the weight", w, self.weight_len());
        check_len("conv2d: the output", out, self.out_len());
        if let Some(bias) = bias {
            check_len("conv2d: the bias", bias, self.out_channels);
        }
        if self.is_product() {
            self.forward_product(x, w, bias, out);
        } else {
            let weights = Weights::Plain(w);
            Direct { source: self.source(), out_channels: self.out_channels, weights }.run(x, bias, out);
        }
    }

    /// `gx` = the gradient of the input for the result's gradient `gy`.
    pub fn backward_input(&self, gy: &[f32], w: &[f32], gx: &mut [f32]) {
        check_len("conv2d: the output's gradient", gy, self.out_len());
        check_len("conv2d: the weight", w, self.weight_len());
        check_len("conv2d: the input's gradient", gx, self.in_len());
        if gx.is_empty() {
            return;
        }
        if self.is_product() {
            let pixels = self.in_height * self.in_width;
            let (inputs, outputs) = (self.in_channels, self.out_channels);
            self.for_each_picture(gx, inputs * pixels, |picture, gx, gemm| {
                let gy = &gy[picture * outputs * pixels..][..outputs * pixels];
                gemm(inputs, pixels, outputs, w, 1, inputs, gy, pixels, 1, gx, pixels, false);
            });
            return;
        }
        // Every stride-th pixel of gx, from each of stride² beginnings, is a convolution with stride 1 of gy, with
        // those taps of the turned kernel that reach it.
        for row_phase in 0..self.stride {
            for col_phase in 0..self.stride {
                self.backward_phase(row_phase, col_phase, gy, w, gx);
            }
        }
    }

    /// `gw` = the gradient of the weight for the result's gradient `gy`.
    pub fn backward_weight(&self, x: &[f32], gy: &[f32], gw: &mut [f32]) {
        check_len("conv2d: the input", x, self.in_len());
        check_len("conv2d: the output's gradient", gy, self.out_len());
        check_len("conv2d: the weight's gradient", gw, self.weight_len());
        if self.is_product() && !gy.is_empty() {
            let pixels = self.in_height * self.in_width;
            let (inputs, outputs) = (self.in_channels, self.out_channels);
            let pictures = x.chunks_exact(inputs * pixels).zip(gy.chunks_exact(outputs * pixels));
            for (picture, (x, gy)) in pictures.enumerate() {
                gemm(outputs, inputs, pixels, gy, pixels, 1, x, 1, pixels, gw, inputs, picture > 0);
            }
            return;
        }
        weight_gradient::run(&self.source(), self.out_channels, x, gy, gw);
    }

    /// `gb` `[out_channels]` = the gradient of the bias: the sums of `gy`.
    pub fn backward_bias(&self, gy: &[f32], gb: &mut [f32]) {
        check_len("conv2d: the output's gradient", gy, self.out_len());
        check_len("conv2d: the bias's gradient", gb, self.out_channels);
        let pixels = self.out_height() * self.out_width();
        if gy.is_empty() {
            gb.fill(0.0);
            return;
        }
        // Runs of 64 in f32, the runs in f64.
        let run = |run: &[f32]| f64::from(run.iter().sum::<f32>());
        let of_planes: Vec<f64> = gy.par_chunks(pixels).map(|plane| plane.chunks(64).map(run).sum()).collect();
        for (channel, gb) in gb.iter_mut().enumerate() {
            *gb = of_planes[channel..].iter().step_by(self.out_channels).sum::<f64>() as f32;
        }
    }

    fn in_len(&self) -> usize {
        self.batch * self.in_channels * self.in_height * self.in_width
    }

    fn out_len(&self) -> usize {
        self.batch * self.out_channels * self.out_height() * self.out_width()
    }

    fn weight_len(&self) -> usize {
        self.out_channels * self.in_channels * self.kernel_height * self.kernel_width
    }

    /// Whether this is nothing but a matrix product for each picture.
    fn is_product(&self) -> bool {
        (self.kernel_height, self.kernel_width, self.stride) == (1, 1, 1)
            && self.padding == Padding::default()
            && self.in_channels.min(self.out_channels) >= GEMM_CHANNELS
    }

    fn forward_product(&self, x: &[f32], w: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
        let pixels = self.in_height * self.in_width;
        let (inputs, outputs) = (self.in_channels, self.out_channels);
        if out.is_empty() {
            return;
        }
        if let Some(bias) = bias {
            let planes = out.par_chunks_mut(pixels).enumerate();
            planes.for_each(|(plane, out)| out.fill(bias[plane % outputs]));
        }
        self.for_each_picture(out, outputs * pixels, |picture, out, gemm| {
            let x = &x[picture * inputs * pixels..][..inputs * pixels];
            gemm(outputs, pixels, inputs, w, inputs, 1, x, pixels, 1, out, pixels, bias.is_some());
        });
    }

    /// Calls `work` for each picture's part of `out`: many pictures side by side, few one after another with a product
    /// that is parallel itself.
    fn for_each_picture(&self, out: &mut [f32], len: usize, work: impl Fn(usize, &mut [f32], Gemm) + Sync) {
        if self.batch >= 16 {
            out.par_chunks_mut(len).enumerate().for_each(|(picture, out)| work(picture, out, gemm_serial));
        } else {
            out.chunks_mut(len).enumerate().for_each(|(picture, out)| work(picture, out, gemm));
        }
    }

    /// The input as the direct kernels read it.
    fn source(&self) -> Source {
        Source {
            batch: self.batch,
            channels: self.in_channels,
            height: self.in_height,
            width: self.in_width,
            kernel_height: self.kernel_height,
            kernel_width: self.kernel_width,
            stride: self.stride,
            top: self.padding.top as isize,
            left: self.padding.left as isize,
            out_height: self.out_height(),
            out_width: self.out_width(),
        }
    }

    /// The gradient of the pixels whose padded row and column are `row_phase` and `col_phase` modulo the stride.
    fn backward_phase(&self, row_phase: usize, col_phase: usize, gy: &[f32], w: &[f32], gx: &mut [f32]) {
        let rows = Phase::new(self.stride, row_phase, self.kernel_height, self.padding.top, self.in_height);
        let cols = Phase::new(self.stride, col_phase, self.kernel_width, self.padding.left, self.in_width);
        if rows.count == 0 || cols.count == 0 {
            return;
        }
        let source = Source {
            batch: self.batch,
            channels: self.out_channels,
            height: self.out_height(),
            width: self.out_width(),
            kernel_height: rows.taps,
            kernel_width: cols.taps,
            stride: 1,
            top: rows.padding,
            left: cols.padding,
            out_height: rows.count,
            out_width: cols.count,
        };
        // The taps of this phase, turned by 180°.
        let taps: Vec<usize> = (0..rows.taps)
            .rev()
            .flat_map(|i| {
                (0..cols.taps).rev().map(move |j| (rows.place + self.stride * i, cols.place + self.stride * j))
            })
            .map(|(y, x)| y * self.kernel_width + x)
            .collect();
        let weights = Weights::Turned { weights: w, kernel: self.kernel_height * self.kernel_width, taps: &taps };
        let conv = Direct { source, out_channels: self.in_channels, weights };
        if self.stride == 1 {
            conv.run(gy, None, gx);
            return;
        }
        let mut of_phase = vec![0.0; self.batch * self.in_channels * rows.count * cols.count];
        conv.run(gy, None, &mut of_phase);
        let planes = gx.par_chunks_mut(self.in_height * self.in_width);
        planes.zip(of_phase.par_chunks(rows.count * cols.count)).for_each(|(gx, from)| {
            for (gx, from) in
                gx.chunks_mut(self.in_width).skip(rows.first).step_by(self.stride).zip(from.chunks(cols.count))
            {
                gx.iter_mut().skip(cols.first).step_by(self.stride).zip(from).for_each(|(gx, from)| *gx = *from);
            }
        });
    }
}

/// The form of a matrix product; see [`gemm`].
type Gemm = fn(usize, usize, usize, &[f32], usize, usize, &[f32], usize, usize, &mut [f32], usize, bool);

/// How often a kernel fits.
fn steps(len: usize, kernel: usize, stride: usize) -> usize {
    assert!(stride > 0 && kernel > 0, "conv2d: the stride and the kernel must not be 0");
    if len < kernel { 0 } else { (len - kernel) / stride + 1 }
}

/// The pixels of the input that lie at `phase` modulo the stride in the padded picture, along one direction.
struct Phase {
    /// Their place modulo the stride.
    place: usize,
    /// Taps of the kernel that reach them.
    taps: usize,
    /// The first of them, and how many there are.
    first: usize,
    count: usize,
    /// Zeros before the result's gradient; negative where some of it is left out.
    padding: isize,
}

impl Phase {
    fn new(stride: usize, phase: usize, kernel: usize, padding: usize, len: usize) -> Self {
        let taps = kernel.saturating_sub(phase).div_ceil(stride);
        let first = (phase + stride - padding % stride) % stride;
        let count = len.saturating_sub(first).div_ceil(stride);
        let at = (first + padding) / stride;
        Self { place: phase, taps, first, count, padding: taps as isize - 1 - at as isize }
    }
}
