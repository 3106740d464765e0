//! 2-D convolution (cross-correlation, as every framework has it), forward and backward.
//!
//! A 1×1 convolution is a matrix product. A 3×3 convolution of many channels takes a quarter of the multiplications by
//! `winograd`. All others run directly on the picture, without unfolding it into columns: `packed` copies a strip of
//! rows into a zero-padded layout in which every tap of the kernel is a constant offset, `direct` multiplies it with the
//! weights, and `weight_gradient` with the result's gradient.

mod direct;
mod packed;
mod weight_gradient;
mod winograd;

#[cfg(test)]
mod tests;

use rayon::prelude::*;

use self::direct::{Direct, Weights};
use self::packed::Source;
use self::winograd::Winograd;
use super::check_len;
use super::gemm::{Bias, Finish, Matrix, gemm, gemm_serial, product};
use super::micro::micro_for;
use super::norm::Normal;
use super::upsample::nearest_backward;
use super::values::Values;

/// From this many input channels on a 1×1 convolution is a matrix product; below, that is slower than the direct way.
const GEMM_CHANNELS: usize = 64;
/// From this many pictures on each of their products is one thread's; below, each is all threads'.
const SIDE_BY_SIDE: usize = 16;

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
    /// Zeros around the input, enlarged or not.
    pub padding: Padding,
    /// Whether each pixel of the input counts as 2 × 2, as if it had been enlarged by its nearest neighbours before.
    pub enlarged: bool,
}

/// What is added to the results of a convolution.
#[derive(Debug, Clone, Copy)]
struct Added<'a> {
    /// To each channel.
    bias: Option<&'a [f32]>,
    /// To each result.
    residual: Option<&'a [f32]>,
}

impl Added<'_> {
    const NOTHING: Self = Self { bias: None, residual: None };
}

impl Conv2d {
    /// Rows of the result; 0 where the kernel does not fit.
    pub fn out_height(&self) -> usize {
        steps(self.seen().0 + self.padding.top + self.padding.bottom, self.kernel_height, self.stride)
    }

    /// Columns of the result; 0 where the kernel does not fit.
    pub fn out_width(&self) -> usize {
        steps(self.seen().1 + self.padding.left + self.padding.right, self.kernel_width, self.stride)
    }

    /// `out` = the convolution of `x` with `w`, plus `bias` `[out_channels]`, plus `residual`, of the shape of `out`.
    pub fn forward(&self, x: &[f32], w: Values, bias: Option<&[f32]>, residual: Option<&[f32]>, out: &mut [f32]) {
        self.check(x, w, bias, residual, out);
        let added = Added { bias, residual };
        if self.is_product() {
            self.product(self.out_channels, Matrix::new(w, self.in_channels), x, added, out);
        } else {
            run(self.source(), self.out_channels, Weights::Plain(w), None, x, added, out);
        }
    }

    /// Whether [`Conv2d::forward_normed`] can be called.
    pub fn normalises(&self) -> bool {
        Winograd::pays(&self.source(), self.out_channels)
    }

    /// The same as [`Conv2d::forward`] of `x` after a group normalisation and `SiLU`, which are done when a value is read:
    /// `normals` `[batch, in_channels]` says what normalisation does to each channel.
    ///
    /// # Panics
    /// Where [`Conv2d::normalises`] says no.
    pub fn forward_normed(
        &self,
        x: &[f32],
        normals: &[Normal],
        w: Values,
        bias: Option<&[f32]>,
        residual: Option<&[f32]>,
        out: &mut [f32],
    ) {
        assert!(self.normalises(), "conv2d: no convolution of this shape normalises its input");
        self.check(x, w, bias, residual, out);
        let expected = self.batch * self.in_channels;
        assert!(normals.len() == expected, "conv2d: {} channels are normalised of {expected}", normals.len());
        run(self.source(), self.out_channels, Weights::Plain(w), Some(normals), x, Added { bias, residual }, out);
    }

    /// `gx` = the gradient of the input for the result's gradient `gy`.
    pub fn backward_input(&self, gy: &[f32], w: Values, gx: &mut [f32]) {
        check_len("conv2d: the output's gradient", gy, self.out_len());
        self.check_weight(w);
        check_len("conv2d: the input's gradient", gx, self.in_len());
        if gx.is_empty() {
            return;
        }
        if self.enlarged {
            let (from, to) = ((self.in_height, self.in_width), self.seen());
            let seen = Self { in_height: to.0, in_width: to.1, enlarged: false, ..*self };
            let mut of_seen = vec![0.0; seen.in_len()];
            seen.backward_input(gy, w, &mut of_seen);
            nearest_backward(self.batch * self.in_channels, from, to, &of_seen, gx);
            return;
        }
        if self.is_product() {
            let turned = Matrix::new(w, self.in_channels).transposed();
            self.product(self.in_channels, turned, gy, Added::NOTHING, gx);
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

    /// Rows and columns of the input as the kernel sees it.
    fn seen(&self) -> (usize, usize) {
        let scale = if self.enlarged { 2 } else { 1 };
        (scale * self.in_height, scale * self.in_width)
    }

    #[track_caller]
    fn check(&self, x: &[f32], w: Values, bias: Option<&[f32]>, residual: Option<&[f32]>, out: &[f32]) {
        check_len("conv2d: the input", x, self.in_len());
        self.check_weight(w);
        check_len("conv2d: the output", out, self.out_len());
        if let Some(bias) = bias {
            check_len("conv2d: the bias", bias, self.out_channels);
        }
        if let Some(residual) = residual {
            check_len("conv2d: the residual", residual, self.out_len());
        }
    }

    #[track_caller]
    fn check_weight(&self, w: Values) {
        let expected = self.weight_len();
        assert!(w.len() == expected, "conv2d: the weight holds {} values, its shape {expected}", w.len());
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
        (self.kernel_height, self.kernel_width, self.stride, self.enlarged) == (1, 1, 1, false)
            && self.padding == Padding::default()
            && self.in_channels.min(self.out_channels) >= GEMM_CHANNELS
    }

    /// The product of a matrix of `rows` rows with each picture of `x`, where this is nothing else.
    fn product(&self, rows: usize, w: Matrix, x: &[f32], added: Added, out: &mut [f32]) {
        if out.is_empty() {
            return;
        }
        let pixels = self.in_height * self.in_width;
        let cols = x.len() / (self.batch * pixels);
        let Added { bias, residual } = added;
        let part = |at: usize, channels: usize| at * channels * pixels..(at + 1) * channels * pixels;
        match w.values {
            // Many small pictures, as trainings have them: side by side.
            Values::F32(values) if self.batch >= SIDE_BY_SIDE => {
                out.par_chunks_mut(rows * pixels).enumerate().for_each(|(picture, out)| {
                    for (row, out) in out.chunks_exact_mut(pixels).enumerate() {
                        match residual {
                            Some(residual) => out.copy_from_slice(&residual[part(picture * rows + row, 1)]),
                            None => out.fill(0.0),
                        }
                        let bias = bias.map_or(0.0, |bias| bias[row]);
                        for value in out {
                            *value += bias;
                        }
                    }
                    let x = &x[part(picture, cols)];
                    let (row, col) = (w.row_stride, w.col_stride);
                    gemm_serial(rows, pixels, cols, values, row, col, x, pixels, 1, out, pixels, true);
                });
            }
            _ => {
                for (picture, out) in out.chunks_mut(rows * pixels).enumerate() {
                    let finish = Finish {
                        bias: bias.map_or(Bias::None, Bias::PerRow),
                        residual: residual.map(|residual| &residual[part(picture, rows)]),
                        ..Finish::default()
                    };
                    let x = Matrix::new(&x[part(picture, cols)], pixels);
                    product(rows, pixels, cols, w, x, finish, out, pixels);
                }
            }
        }
    }

    /// The input as the direct kernels read it.
    fn source(&self) -> Source {
        Source {
            batch: self.batch,
            channels: self.in_channels,
            height: self.seen().0,
            width: self.seen().1,
            enlarged: self.enlarged,
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
    fn backward_phase(&self, row_phase: usize, col_phase: usize, gy: &[f32], w: Values, gx: &mut [f32]) {
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
            enlarged: false,
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
        if self.stride == 1 {
            run(source, self.in_channels, weights, None, gy, Added::NOTHING, gx);
            return;
        }
        let mut of_phase = vec![0.0; self.batch * self.in_channels * rows.count * cols.count];
        run(source, self.in_channels, weights, None, gy, Added::NOTHING, &mut of_phase);
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

/// The convolution of a source, by the way that suits its shape.
fn run(
    source: Source,
    out_channels: usize,
    weights: Weights,
    normals: Option<&[Normal]>,
    x: &[f32],
    added: Added,
    out: &mut [f32],
) {
    if Winograd::pays(&source, out_channels) {
        let micro = micro_for(winograd::tiles(&source));
        Winograd { source, out_channels, weights, normals, micro }.run(x, added, out);
    } else {
        Direct { source, out_channels, weights }.run(x, added, out);
    }
}

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
