//! Group normalisation of one group of one picture; what it comes to for each channel, for a kernel that normalises what
//! it reads.

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

/// What normalisation does to one channel of one picture: `(x - mean) scale + shift`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Normal {
    mean: f32,
    scale: f32,
    shift: f32,
}

impl Normal {
    /// Normalises values of the channel where they are, and applies `SiLU`.
    #[inline(always)]
    pub fn silu_in_place<S: Simd>(self, s: S, values: &mut [f32]) {
        let function = Apply::<true>(self);
        for values in values.chunks_mut(LANES) {
            store_some(s, function.apply(s, [load_some(s, values)]), values);
        }
    }
}

/// The channels of one group, each of which `shifts` has moved before, if it is given; `gamma` and `beta` are theirs.
pub(super) fn normals_of_group(
    norm: &GroupNorm,
    x: &[f32],
    shifts: Option<&[f32]>,
    gamma: &[f32],
    beta: &[f32],
    normals: &mut [Normal],
) {
    let moments = match shifts {
        None => Moments::of(x),
        Some(shifts) => x
            .chunks(norm.pixels)
            .zip(shifts)
            .fold(Moments::NONE, |all, (x, shift)| all.join(Moments::of(x).shifted(*shift))),
    };
    let (mean, inverse) = moments.normal(norm.eps);
    for (channel, normal) in normals.iter_mut().enumerate() {
        let moved = shifts.map_or(0.0, |shifts| shifts[channel]);
        *normal = Normal { mean: mean - moved, scale: gamma[channel] * inverse, shift: beta[channel] };
    }
}

/// Normalises one group; `gamma` and `beta` are those of its channels.
pub(super) fn forward_group(norm: &GroupNorm, x: &[f32], gamma: &[f32], beta: &[f32], out: &mut [f32]) {
    let mut normals = vec![Normal::default(); gamma.len()];
    normals_of_group(norm, x, None, gamma, beta, &mut normals);
    let channel = |(channel, (out, x)): (usize, (&mut [f32], &[f32]))| {
        dispatch(Channel { silu: norm.silu, normal: normals[channel], x, out });
    };
    let pixels = norm.pixels;
    if x.len() > LARGE {
        out.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).enumerate().for_each(channel);
    } else {
        out.chunks_mut(pixels).zip(x.chunks(pixels)).enumerate().for_each(channel);
    }
}

/// One channel of the group.
struct Channel<'a> {
    silu: bool,
    normal: Normal,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Task for Channel<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { silu, normal, x, out } = self;
        if silu {
            map(s, &Apply::<true>(normal), [x], out);
        } else {
            map(s, &Apply::<false>(normal), [x], out);
        }
    }
}

/// What a [`Normal`] does, then `SiLU` if so asked.
struct Apply<const SILU: bool>(Normal);

impl<const SILU: bool> Lanewise<1> for Apply<SILU> {
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, [x]: [S::F; 1]) -> S::F {
        let Normal { mean, scale, shift } = self.0;
        let y = s.mul_add(s.sub(x, s.splat(mean)), s.splat(scale), s.splat(shift));
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
