//! Group and layer normalisation with scale and shift, and group normalisation's fusion with `SiLU`.
//!
//! Statistics are taken in two passes (mean, then squared distances from it), in f32 over short runs and f64 over the
//! runs, and taken again in the backward pass, so nothing but the input has to be kept.

use rayon::prelude::*;

use super::activation::{Function, Silu, load_some, store_some};
use super::check_len;
use super::linear::add_all;
use super::simd::{LANES, Simd, Task, dispatch};

/// Values that are summed in f32 before f64 takes over.
const RUN: usize = 1024;
/// Least rows of one piece of a layer normalisation, and the most pieces.
const PIECE_ROWS: usize = 16;
const MOST_PIECES: usize = 64;

/// Normalisation over groups of channels (Wu and He 2018): `x` and results are `[batch, channels, pixels]`, `gamma` and
/// `beta` are `[channels]`.
#[derive(Debug, Clone, Copy)]
pub struct GroupNorm {
    /// Pictures.
    pub batch: usize,
    /// Channels of each, a multiple of `groups`.
    pub channels: usize,
    /// Height times width.
    pub pixels: usize,
    /// Groups that the channels fall into.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Whether `SiLU` follows.
    pub silu: bool,
}

/// Normalisation of each row: `x` and results are `[rows, width]`, `gamma` and `beta` are `[width]`.
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm {
    /// Rows, each with statistics of its own.
    pub rows: usize,
    /// Values of a row.
    pub width: usize,
    /// Added to the variance.
    pub eps: f32,
}

impl GroupNorm {
    /// `out = (x - mean) / √(variance + eps) * gamma + beta`, then `SiLU` if so asked.
    pub fn forward(&self, x: &[f32], gamma: &[f32], beta: &[f32], out: &mut [f32]) {
        let len = self.check(x, gamma, beta);
        check_len("group norm: the output", out, len);
        if len == 0 {
            return;
        }
        let per_group = self.channels / self.groups;
        out.par_chunks_mut(per_group * self.pixels).zip(x.par_chunks(per_group * self.pixels)).enumerate().for_each(
            |(i, (out, x))| {
                let first = i % self.groups * per_group;
                let (gamma, beta) = (&gamma[first..][..per_group], &beta[first..][..per_group]);
                dispatch(GroupForward { norm: *self, x, gamma, beta, out });
            },
        );
    }

    /// The gradients of [`GroupNorm::forward`] for the result's gradient `gy`: of the input, the scale and the shift.
    pub fn backward(
        &self,
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        gy: &[f32],
        gx: &mut [f32],
        ggamma: &mut [f32],
        gbeta: &mut [f32],
    ) {
        let len = self.check(x, gamma, beta);
        check_len("group norm: the output's gradient", gy, len);
        check_len("group norm: the input's gradient", gx, len);
        check_len("group norm: the scale's gradient", ggamma, self.channels);
        check_len("group norm: the shift's gradient", gbeta, self.channels);
        ggamma.fill(0.0);
        gbeta.fill(0.0);
        if len == 0 {
            return;
        }
        let per_group = self.channels / self.groups;
        let per_piece = per_group * self.pixels;
        let mut sums = vec![ChannelSums::default(); self.batch * self.channels];
        gx.par_chunks_mut(per_piece)
            .zip(x.par_chunks(per_piece))
            .zip(gy.par_chunks(per_piece))
            .zip(sums.par_chunks_mut(per_group))
            .enumerate()
            .for_each(|(i, (((gx, x), gy), sums))| {
                let first = i % self.groups * per_group;
                let (gamma, beta) = (&gamma[first..][..per_group], &beta[first..][..per_group]);
                dispatch(GroupBackward { norm: *self, x, gamma, beta, gy, gx, sums });
            });
        for channel in 0..self.channels {
            let of_channel = || sums[channel..].iter().step_by(self.channels);
            ggamma[channel] = of_channel().map(|sums| sums.scaled).sum::<f64>() as f32;
            gbeta[channel] = of_channel().map(|sums| sums.plain).sum::<f64>() as f32;
        }
    }

    #[track_caller]
    fn check(&self, x: &[f32], gamma: &[f32], beta: &[f32]) -> usize {
        let len = self.batch * self.channels * self.pixels;
        let divides = self.groups > 0 && self.channels.is_multiple_of(self.groups);
        assert!(divides, "group norm: {} channels do not divide into {} groups", self.channels, self.groups);
        check_len("group norm: the input", x, len);
        check_len("group norm: the scale", gamma, self.channels);
        check_len("group norm: the shift", beta, self.channels);
        len
    }
}

impl LayerNorm {
    /// `out = (x - mean) / √(variance + eps) * gamma + beta`, row by row.
    pub fn forward(&self, x: &[f32], gamma: &[f32], beta: &[f32], out: &mut [f32]) {
        let len = self.check(x, gamma, beta);
        check_len("layer norm: the output", out, len);
        if len == 0 {
            return;
        }
        let piece = self.piece_rows() * self.width;
        out.par_chunks_mut(piece)
            .zip(x.par_chunks(piece))
            .for_each(|(out, x)| dispatch(LayerForward { norm: *self, x, gamma, beta, out }));
    }

    /// The gradients of [`LayerNorm::forward`] for the result's gradient `gy`: of the input, the scale and the shift.
    pub fn backward(
        &self,
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        gy: &[f32],
        gx: &mut [f32],
        ggamma: &mut [f32],
        gbeta: &mut [f32],
    ) {
        let len = self.check(x, gamma, beta);
        check_len("layer norm: the output's gradient", gy, len);
        check_len("layer norm: the input's gradient", gx, len);
        check_len("layer norm: the scale's gradient", ggamma, self.width);
        check_len("layer norm: the shift's gradient", gbeta, self.width);
        if len == 0 {
            ggamma.fill(0.0);
            gbeta.fill(0.0);
            return;
        }
        let piece = self.piece_rows() * self.width;
        let (of_gamma, of_beta): (Vec<_>, Vec<_>) = gx
            .par_chunks_mut(piece)
            .zip(x.par_chunks(piece))
            .zip(gy.par_chunks(piece))
            .map(|((gx, x), gy)| {
                let mut sums = (vec![0.0; self.width], vec![0.0; self.width]);
                dispatch(LayerBackward { norm: *self, x, gamma, gy, gx, ggamma: &mut sums.0, gbeta: &mut sums.1 });
                sums
            })
            .unzip();
        add_all(&of_gamma, ggamma);
        add_all(&of_beta, gbeta);
    }

    fn piece_rows(&self) -> usize {
        PIECE_ROWS.max(self.rows.div_ceil(MOST_PIECES))
    }

    #[track_caller]
    fn check(&self, x: &[f32], gamma: &[f32], beta: &[f32]) -> usize {
        check_len("layer norm: the input", x, self.rows * self.width);
        check_len("layer norm: the scale", gamma, self.width);
        check_len("layer norm: the shift", beta, self.width);
        x.len()
    }
}

/// Mean and `1 / √(variance + eps)`.
#[inline(always)]
fn statistics<S: Simd>(s: S, x: &[f32], eps: f32) -> (f32, f32) {
    let mut sum = 0.0;
    for run in x.chunks(RUN) {
        let (whole, rest) = run.as_chunks::<LANES>();
        let mut lanes = [s.splat(0.0); 4];
        for (i, chunk) in whole.iter().enumerate() {
            lanes[i % 4] = s.add(lanes[i % 4], s.load(chunk));
        }
        let lanes = s.add(s.add(lanes[0], lanes[1]), s.add(lanes[2], lanes[3]));
        sum += f64::from(s.sum(lanes)) + rest.iter().map(|&x| f64::from(x)).sum::<f64>();
    }
    let mean = (sum / x.len() as f64) as f32;
    let mut squares = 0.0;
    for run in x.chunks(RUN) {
        let (whole, rest) = run.as_chunks::<LANES>();
        let mut lanes = [s.splat(0.0); 4];
        for (i, chunk) in whole.iter().enumerate() {
            let distance = s.sub(s.load(chunk), s.splat(mean));
            lanes[i % 4] = s.mul_add(distance, distance, lanes[i % 4]);
        }
        let lanes = s.add(s.add(lanes[0], lanes[1]), s.add(lanes[2], lanes[3]));
        squares += f64::from(s.sum(lanes)) + rest.iter().map(|&x| f64::from(x - mean).powi(2)).sum::<f64>();
    }
    let variance = squares / x.len() as f64;
    (mean, (1.0 / (variance + f64::from(eps)).sqrt()) as f32)
}

/// One group of one picture.
struct GroupForward<'a> {
    norm: GroupNorm,
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    out: &'a mut [f32],
}

impl Task for GroupForward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (mean, inverse) = statistics(s, self.x, self.norm.eps);
        let pixels = self.norm.pixels;
        for (channel, (out, x)) in self.out.chunks_exact_mut(pixels).zip(self.x.chunks_exact(pixels)).enumerate() {
            let (mean, scale, shift) =
                (s.splat(mean), s.splat(self.gamma[channel] * inverse), s.splat(self.beta[channel]));
            for (out, x) in out.chunks_mut(LANES).zip(x.chunks(LANES)) {
                let y = s.mul_add(s.sub(load_some(s, x), mean), scale, shift);
                store_some(s, if self.norm.silu { Silu::value(s, y) } else { y }, out);
            }
        }
    }
}

/// Sums over one channel of one picture: of the gradient behind the scale and shift, and of it times the normalised
/// input.
#[derive(Clone, Copy, Default)]
struct ChannelSums {
    plain: f64,
    scaled: f64,
}

/// One group of one picture, backward.
struct GroupBackward<'a> {
    norm: GroupNorm,
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    gy: &'a [f32],
    gx: &'a mut [f32],
    sums: &'a mut [ChannelSums],
}

impl Task for GroupBackward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (mean, inverse) = statistics(s, self.x, self.norm.eps);
        let pixels = self.norm.pixels;
        let (v_mean, v_inverse) = (s.splat(mean), s.splat(inverse));
        let (mut of_gradient, mut of_product) = (0.0, 0.0);
        // First the gradient before scale and shift, kept in gx, and its sums.
        for (channel, sums) in self.sums.iter_mut().enumerate() {
            let (gamma, shift) = (self.gamma[channel], s.splat(self.beta[channel]));
            let scale = s.splat(gamma * inverse);
            let here = channel * pixels..(channel + 1) * pixels;
            for ((gx, x), gy) in self.gx[here.clone()]
                .chunks_mut(RUN)
                .zip(self.x[here.clone()].chunks(RUN))
                .zip(self.gy[here].chunks(RUN))
            {
                let (mut plain, mut scaled) = (s.splat(0.0), s.splat(0.0));
                for ((gx, x), gy) in gx.chunks_mut(LANES).zip(x.chunks(LANES)).zip(gy.chunks(LANES)) {
                    // The lanes beyond the end have gy = 0 and so add nothing.
                    let (distance, mut g) = (s.sub(load_some(s, x), v_mean), load_some(s, gy));
                    if self.norm.silu {
                        g = s.mul(g, Silu::slope(s, s.mul_add(distance, scale, shift)));
                    }
                    plain = s.add(plain, g);
                    scaled = s.mul_add(g, s.mul(distance, v_inverse), scaled);
                    store_some(s, g, gx);
                }
                sums.plain += f64::from(s.sum(plain));
                sums.scaled += f64::from(s.sum(scaled));
            }
            of_gradient += f64::from(gamma) * sums.plain;
            of_product += f64::from(gamma) * sums.scaled;
        }
        let count = self.x.len() as f64;
        let (of_gradient, of_product) = (s.splat((of_gradient / count) as f32), s.splat((of_product / count) as f32));
        for (channel, (gx, x)) in self.gx.chunks_exact_mut(pixels).zip(self.x.chunks_exact(pixels)).enumerate() {
            let gamma = s.splat(self.gamma[channel]);
            for (gx, x) in gx.chunks_mut(LANES).zip(x.chunks(LANES)) {
                let normal = s.mul(s.sub(load_some(s, x), v_mean), v_inverse);
                let g = s.sub(s.mul(load_some(s, gx), gamma), of_gradient);
                store_some(s, s.mul(s.neg_mul_add(normal, of_product, g), v_inverse), gx);
            }
        }
    }
}

/// Some rows.
struct LayerForward<'a> {
    norm: LayerNorm,
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    out: &'a mut [f32],
}

impl Task for LayerForward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.norm.width;
        for (out, x) in self.out.chunks_exact_mut(width).zip(self.x.chunks_exact(width)) {
            let (mean, inverse) = statistics(s, x, self.norm.eps);
            let (mean, inverse) = (s.splat(mean), s.splat(inverse));
            for (((out, x), gamma), beta) in
                out.chunks_mut(LANES).zip(x.chunks(LANES)).zip(self.gamma.chunks(LANES)).zip(self.beta.chunks(LANES))
            {
                let normal = s.mul(s.sub(load_some(s, x), mean), inverse);
                store_some(s, s.mul_add(normal, load_some(s, gamma), load_some(s, beta)), out);
            }
        }
    }
}

/// Some rows, backward; the gradients of scale and shift are added to.
struct LayerBackward<'a> {
    norm: LayerNorm,
    x: &'a [f32],
    gamma: &'a [f32],
    gy: &'a [f32],
    gx: &'a mut [f32],
    ggamma: &'a mut [f32],
    gbeta: &'a mut [f32],
}

impl Task for LayerBackward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.norm.width;
        let rows = self.gx.chunks_exact_mut(width).zip(self.x.chunks_exact(width)).zip(self.gy.chunks_exact(width));
        for ((gx, x), gy) in rows {
            let (mean, inverse) = statistics(s, x, self.norm.eps);
            let (mean, inverse) = (s.splat(mean), s.splat(inverse));
            let (mut of_gradient, mut of_product) = (s.splat(0.0), s.splat(0.0));
            for (i, (x, gy)) in x.chunks(LANES).zip(gy.chunks(LANES)).enumerate() {
                let normal = s.mul(s.sub(load_some(s, x), mean), inverse);
                let here = i * LANES..i * LANES + x.len();
                // The lanes beyond the end have gy = 0 and so add nothing.
                let gy = load_some(s, gy);
                let g = s.mul(gy, load_some(s, &self.gamma[here.clone()]));
                of_gradient = s.add(of_gradient, g);
                of_product = s.mul_add(g, normal, of_product);
                let (ggamma, gbeta) = (&mut self.ggamma[here.clone()], &mut self.gbeta[here]);
                store_some(s, s.mul_add(gy, normal, load_some(s, ggamma)), ggamma);
                store_some(s, s.add(gy, load_some(s, gbeta)), gbeta);
            }
            let of_gradient = s.splat(s.sum(of_gradient) / width as f32);
            let of_product = s.splat(s.sum(of_product) / width as f32);
            for (((gx, x), gy), gamma) in
                gx.chunks_mut(LANES).zip(x.chunks(LANES)).zip(gy.chunks(LANES)).zip(self.gamma.chunks(LANES))
            {
                let normal = s.mul(s.sub(load_some(s, x), mean), inverse);
                let g = s.sub(s.mul(load_some(s, gy), load_some(s, gamma)), of_gradient);
                store_some(s, s.mul(s.neg_mul_add(normal, of_product, g), inverse), gx);
            }
        }
    }
}
