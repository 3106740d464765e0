//! Group normalisation of one group of one picture.

use rayon::prelude::*;

use super::GroupNorm;
use super::moments::Moments;
use crate::kernels::activation::{Function, Silu};
use crate::kernels::lanes::{Lanewise, load_some, map, store_some};
use crate::kernels::simd::{LANES, Simd, Task, dispatch};

/// Values that are summed in f32 before f64 takes over.
const RUN: usize = 1024;
/// A group of more values than this (half of a common second cache) is split over the threads.
const LARGE: usize = 1 << 16;

/// Normalises one group; `gamma` and `beta` are those of its channels.
pub(super) fn forward_group(norm: &GroupNorm, x: &[f32], gamma: &[f32], beta: &[f32], out: &mut [f32]) {
    let (mean, inverse) = Moments::of(x).normal(norm.eps);
    let channel = |(channel, (out, x))| {
        let (scale, shift) = (gamma[channel] * inverse, beta[channel]);
        dispatch(Apply { silu: norm.silu, mean, scale, shift, x, out });
    };
    let pixels = norm.pixels;
    if x.len() > LARGE {
        out.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).enumerate().for_each(channel);
    } else {
        out.chunks_mut(pixels).zip(x.chunks(pixels)).enumerate().for_each(channel);
    }
}

/// One channel of the group.
struct Apply<'a> {
    silu: bool,
    mean: f32,
    scale: f32,
    shift: f32,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Task for Apply<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { silu, mean, scale, shift, x, out } = self;
        if silu {
            map(s, &Normal::<true> { mean, scale, shift }, [x], out);
        } else {
            map(s, &Normal::<false> { mean, scale, shift }, [x], out);
        }
    }
}

/// `(x - mean) scale + shift`, then `SiLU` if so asked.
struct Normal<const SILU: bool> {
    mean: f32,
    scale: f32,
    shift: f32,
}

impl<const SILU: bool> Lanewise<1> for Normal<SILU> {
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, [x]: [S::F; 1]) -> S::F {
        let y = s.mul_add(s.sub(x, s.splat(self.mean)), s.splat(self.scale), s.splat(self.shift));
        if SILU { Silu::value(s, y) } else { y }
    }
}

/// Sums over one channel of one picture: of the gradient behind the scale and shift, and of it times the normalised
/// input.
#[derive(Clone, Copy, Default)]
pub(super) struct ChannelSums {
    pub plain: f64,
    pub scaled: f64,
}

/// One group of one picture, backward.
pub(super) struct GroupBackward<'a> {
    pub norm: GroupNorm,
    pub x: &'a [f32],
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    pub gy: &'a [f32],
    pub gx: &'a mut [f32],
    pub sums: &'a mut [ChannelSums],
}

impl Task for GroupBackward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (mean, inverse) = Moments::take(s, self.x).normal(self.norm.eps);
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
