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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{GroupNorm, LayerNorm};
    use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, unwritten, values};

    /// One run of values with common statistics, in f64: the result and the gradients of the input and, value by value,
    /// of scale and shift.
    fn reference(x: &[f64], gamma: &[f64], beta: &[f64], gy: &[f64], eps: f64, silu: bool) -> [Vec<f64>; 4] {
        let count = x.len() as f64;
        let mean = x.iter().sum::<f64>() / count;
        let inverse = 1.0 / (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count + eps).sqrt();
        let normal: Vec<f64> = x.iter().map(|x| (x - mean) * inverse).collect();
        let y: Vec<f64> = normal.iter().zip(gamma).zip(beta).map(|((x, gamma), beta)| x * gamma + beta).collect();
        let sigma = |y: f64| 1.0 / (1.0 + (-y).exp());
        let slope = |y: f64| if silu { sigma(y) * (1.0 + y * (1.0 - sigma(y))) } else { 1.0 };
        let g: Vec<f64> = gy.iter().zip(&y).map(|(gy, y)| gy * slope(*y)).collect();
        // d out_i / d x_j = gamma_i inverse (δ_ij - 1/n - normal_i normal_j / n)
        let sum = g.iter().zip(gamma).map(|(g, gamma)| g * gamma).sum::<f64>() / count;
        let dot = (0..x.len()).map(|i| g[i] * gamma[i] * normal[i]).sum::<f64>() / count;
        let gx = (0..x.len()).map(|i| inverse * (g[i] * gamma[i] - sum - normal[i] * dot)).collect();
        let of_gamma = g.iter().zip(&normal).map(|(g, normal)| g * normal).collect();
        let out = y.iter().map(|y| if silu { y * sigma(*y) } else { *y }).collect();
        [out, gx, of_gamma, g]
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|value| f64::from(*value)).collect()
    }

    fn check_group(norm: &GroupNorm, x: &[f32]) {
        let (gamma, beta, gy) = (values(2, norm.channels), values(3, norm.channels), values(4, x.len()));
        let run = norm.channels / norm.groups * norm.pixels;
        let channel = |at: usize| at / norm.pixels % norm.channels;
        let (mut out, mut gx) = (Vec::new(), Vec::new());
        let (mut ggamma, mut gbeta) = (vec![0.0; norm.channels], vec![0.0; norm.channels]);
        for from in (0..x.len()).step_by(run.max(1)) {
            let here = from..from + run;
            let gammas: Vec<f64> = here.clone().map(|at| f64::from(gamma[channel(at)])).collect();
            let betas: Vec<f64> = here.clone().map(|at| f64::from(beta[channel(at)])).collect();
            let [y, g, of_gamma, of_beta] = reference(
                &wide(&x[here.clone()]),
                &gammas,
                &betas,
                &wide(&gy[here.clone()]),
                f64::from(norm.eps),
                norm.silu,
            );
            out.extend(y);
            gx.extend(g);
            for (i, at) in here.enumerate() {
                ggamma[channel(at)] += of_gamma[i];
                gbeta[channel(at)] += of_beta[i];
            }
        }
        let mut actual = unwritten(x.len());
        norm.forward(x, &gamma, &beta, &mut actual);
        assert_near("out", &actual, &out, 3e-6);
        let mut actual = (unwritten(x.len()), unwritten(norm.channels), unwritten(norm.channels));
        norm.backward(x, &gamma, &beta, &gy, &mut actual.0, &mut actual.1, &mut actual.2);
        assert_near("gx", &actual.0, &gx, 3e-6);
        assert_near("ggamma", &actual.1, &ggamma, 3e-6);
        assert_near("gbeta", &actual.2, &gbeta, 3e-6);
    }

    fn check_layer(norm: &LayerNorm, x: &[f32]) {
        let (gamma, beta, gy) = (values(2, norm.width), values(3, norm.width), values(4, x.len()));
        let (mut out, mut gx) = (Vec::new(), Vec::new());
        let (mut ggamma, mut gbeta) = (vec![0.0; norm.width], vec![0.0; norm.width]);
        for row in 0..x.len() / norm.width.max(1) {
            let here = row * norm.width..(row + 1) * norm.width;
            let (x, gy) = (wide(&x[here.clone()]), wide(&gy[here]));
            let [y, g, of_gamma, of_beta] = reference(&x, &wide(&gamma), &wide(&beta), &gy, f64::from(norm.eps), false);
            out.extend(y);
            gx.extend(g);
            ggamma.iter_mut().zip(of_gamma).for_each(|(sum, value)| *sum += value);
            gbeta.iter_mut().zip(of_beta).for_each(|(sum, value)| *sum += value);
        }
        let mut actual = unwritten(x.len());
        norm.forward(x, &gamma, &beta, &mut actual);
        assert_near("out", &actual, &out, 3e-6);
        let mut actual = (unwritten(x.len()), unwritten(norm.width), unwritten(norm.width));
        norm.backward(x, &gamma, &beta, &gy, &mut actual.0, &mut actual.1, &mut actual.2);
        assert_near("gx", &actual.0, &gx, 3e-6);
        assert_near("ggamma", &actual.1, &ggamma, 3e-6);
        assert_near("gbeta", &actual.2, &gbeta, 3e-6);
    }

    proptest! {
        #[test]
        fn group_norm_equals_plain_loops(
            (batch, groups, per_group, pixels) in (0_usize..3, 1_usize..4, 0_usize..4, 0_usize..30),
            silu: bool,
        ) {
            let norm = GroupNorm { batch, channels: groups * per_group, pixels, groups, eps: 1e-2, silu };
            check_group(&norm, &values(1, batch * groups * per_group * pixels));
        }

        #[test]
        fn layer_norm_equals_plain_loops(rows in 0_usize..40, width in 0_usize..30) {
            check_layer(&LayerNorm { rows, width, eps: 1e-2 }, &values(1, rows * width));
        }
    }

    #[test]
    fn long_runs_equal_plain_loops() {
        let norm = GroupNorm { batch: 1, channels: 2, pixels: 3001, groups: 1, eps: 1e-5, silu: true };
        check_group(&norm, &values(1, 6002));
        check_layer(&LayerNorm { rows: 2100, width: 5, eps: 1e-2 }, &values(1, 10500));
    }

    #[test]
    fn a_large_mean_does_not_drown_the_variance() {
        // E[x²] - mean² in f32 has no correct digit here.
        let x: Vec<f32> = values(1, 4096).into_iter().map(|value| 1000.0 + value).collect();
        let norm = GroupNorm { batch: 1, channels: 1, pixels: 4096, groups: 1, eps: 1e-5, silu: false };
        let mut out = unwritten(4096);
        norm.forward(&x, &[1.0], &[0.0], &mut out);
        let variance = out.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / 4096.0;
        assert!((variance - 1.0).abs() < 1e-3, "{variance}");
    }

    #[test]
    fn not_a_number_stays_in_its_group() {
        let norm = GroupNorm { batch: 1, channels: 4, pixels: 9, groups: 2, eps: 1e-5, silu: true };
        let mut x = values(1, 36);
        x[20] = f32::NAN;
        let mut out = unwritten(36);
        norm.forward(&x, &[1.0; 4], &[0.0; 4], &mut out);
        assert!(out[..18].iter().all(|value| value.is_finite()));
        assert!(out[18..].iter().all(|value| value.is_nan()));
    }

    #[test]
    fn the_threads_change_nothing() {
        let (x, gy) = (values(1, 12_000), values(2, 12_000));
        let group = GroupNorm { batch: 5, channels: 24, pixels: 100, groups: 8, eps: 1e-5, silu: true };
        let layer = LayerNorm { rows: 500, width: 24, eps: 1e-5 };
        let (gamma, beta) = (values(3, 24), values(4, 24));
        assert_same_on_any_thread_count(|| {
            let mut of_group = (unwritten(12_000), unwritten(24), unwritten(24));
            let mut of_layer = of_group.clone();
            group.backward(&x, &gamma, &beta, &gy, &mut of_group.0, &mut of_group.1, &mut of_group.2);
            layer.backward(&x, &gamma, &beta, &gy, &mut of_layer.0, &mut of_layer.1, &mut of_layer.2);
            [of_group.0, of_group.1, of_group.2, of_layer.0, of_layer.1, of_layer.2].concat()
        });
    }
}
