//! Activations, element by element: the functions, their slopes, the gated GELU, and softmax over rows.

mod gated;
mod softmax;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use super::check_len;
use super::exponential::{exp, polynomial};
use super::lanes::{Lanewise, map_parallel};
use super::simd::Simd;

pub(super) use super::lanes::{load_some, store_some};
pub use gated::{geglu_backward, geglu_forward};
pub(super) use softmax::{SoftmaxBackwardRows, softmax_row};
pub use softmax::{softmax_backward, softmax_forward};

/// `1 / (1 + e⁻ˣ)`
#[inline(always)]
fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

/// The normal distribution: `Φ(x) = (1 + erf(x / √2)) / 2` and `√(2π) φ(x) = exp(-x² / 2)`.
///
/// `Φ(-a) = exp(-a² / 2) t g(t) / 2` with `t = 1 / (1 + 0.3 a)` for `a ≥ 0`, where g is a polynomial through the
/// Chebyshev points of `[0.02, 1]` (computed with 40 digits; its relative error is below 3e-8). Unlike `1 + erf` this
/// keeps its relative accuracy far into the tail.
#[inline(always)]
fn normal<S: Simd>(s: S, x: S::F) -> (S::F, S::F) {
    const G: [f32; 11] = [
        -0.016_284_905,
        0.051_272_84,
        -0.003_857_771,
        -0.133_564_52,
        0.096_557_654,
        0.008_325_185,
        0.127_989_14,
        0.172_857_08,
        0.217_980_67,
        0.239_359_17,
        0.239_365_44,
    ];
    let one = s.splat(1.0);
    let a = s.abs(x);
    let t = s.div(one, s.mul_add(a, s.splat(0.3), one));
    let g = polynomial(s, &G, t);
    let density = exp(s, s.mul(s.mul(a, s.splat(-0.5)), a));
    let tail = s.mul(s.mul(density, s.splat(0.5)), s.mul(t, g));
    (s.select_negative(x, tail, s.sub(one, tail)), density)
}

/// A function of one variable and its slope.
pub(super) trait Function: Sync {
    /// `f(x)`
    fn value<S: Simd>(s: S, x: S::F) -> S::F;
    /// `f'(x)`
    fn slope<S: Simd>(s: S, x: S::F) -> S::F;
}

/// `x sigmoid(x)`
pub(super) struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn value<S: Simd>(s: S, x: S::F) -> S::F {
        s.div(x, s.add(s.splat(1.0), exp(s, s.sub(s.splat(0.0), x))))
    }
    #[inline(always)]
    fn slope<S: Simd>(s: S, x: S::F) -> S::F {
        // σ + x σ (1 - σ)
        let sigma = sigmoid(s, x);
        s.mul(sigma, s.mul_add(x, s.sub(s.splat(1.0), sigma), s.splat(1.0)))
    }
}

/// `x Φ(x)`
pub(super) struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    fn value<S: Simd>(s: S, x: S::F) -> S::F {
        s.mul(x, normal(s, x).0)
    }
    #[inline(always)]
    fn slope<S: Simd>(s: S, x: S::F) -> S::F {
        // Φ + x φ
        const FRAC_1_SQRT_2_PI: f32 = 0.398_942_3;
        let (phi, density) = normal(s, x);
        s.mul_add(s.mul(x, s.splat(FRAC_1_SQRT_2_PI)), density, phi)
    }
}

/// `x sigmoid(1.702 x)`
pub(super) struct QuickGelu;

/// The factor of quick GELU (Hendrycks and Gimpel 2016).
const QUICK: f32 = 1.702;

impl Function for QuickGelu {
    #[inline(always)]
    fn value<S: Simd>(s: S, x: S::F) -> S::F {
        s.div(x, s.add(s.splat(1.0), exp(s, s.mul(x, s.splat(-QUICK)))))
    }
    #[inline(always)]
    fn slope<S: Simd>(s: S, x: S::F) -> S::F {
        let scaled = s.mul(x, s.splat(QUICK));
        let sigma = sigmoid(s, scaled);
        s.mul(sigma, s.mul_add(scaled, s.sub(s.splat(1.0), sigma), s.splat(1.0)))
    }
}

/// `out = x sigmoid(x)`, of any shape.
pub fn silu_forward(x: &[f32], out: &mut [f32]) {
    forward::<Silu>(x, out);
}

/// The gradient of [`silu_forward`]: `gx = gy silu'(x)`.
pub fn silu_backward(x: &[f32], gy: &[f32], gx: &mut [f32]) {
    backward::<Silu>(x, gy, gx);
}

/// `out = x Φ(x)` with the exact normal distribution (the error function, not its tanh approximation), of any shape.
pub fn gelu_forward(x: &[f32], out: &mut [f32]) {
    forward::<Gelu>(x, out);
}

/// The gradient of [`gelu_forward`].
pub fn gelu_backward(x: &[f32], gy: &[f32], gx: &mut [f32]) {
    backward::<Gelu>(x, gy, gx);
}

/// `out = x sigmoid(1.702 x)`, the activation of `OpenAI`'s CLIP, of any shape.
pub fn quick_gelu_forward(x: &[f32], out: &mut [f32]) {
    forward::<QuickGelu>(x, out);
}

/// The gradient of [`quick_gelu_forward`].
pub fn quick_gelu_backward(x: &[f32], gy: &[f32], gx: &mut [f32]) {
    backward::<QuickGelu>(x, gy, gx);
}

fn forward<F: Function>(x: &[f32], out: &mut [f32]) {
    check_len("activation: the output", out, x.len());
    map_parallel(&Value::<F>(PhantomData), [x], out);
}

fn backward<F: Function>(x: &[f32], gy: &[f32], gx: &mut [f32]) {
    check_len("activation: the output's gradient", gy, x.len());
    check_len("activation: the input's gradient", gx, x.len());
    map_parallel(&Slope::<F>(PhantomData), [x, gy], gx);
}

/// `f(x)`
struct Value<F>(PhantomData<F>);

impl<F: Function> Lanewise<1> for Value<F> {
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, [x]: [S::F; 1]) -> S::F {
        F::value(s, x)
    }
}

/// `gy f'(x)` of x and gy.
struct Slope<F>(PhantomData<F>);

impl<F: Function> Lanewise<2> for Slope<F> {
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, [x, gy]: [S::F; 2]) -> S::F {
        s.mul(F::slope(s, x), gy)
    }
}
