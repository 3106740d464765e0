//! Activations, element by element: the functions, their slopes, the gated GELU, and softmax over rows.

use rayon::prelude::*;

use super::check_len;
use super::simd::{LANES, Simd, Task, dispatch};

/// Values of one piece of work.
const PIECE: usize = 1 << 14;

/// `eˣ`, to about 1e-7 of its value; NaN and the infinities as they should be.
///
/// `x = n ln 2 + r` with whole n and `|r| ≤ ln 2 / 2`; `eʳ` by its Taylor series, whose rest is below 6e-9; ln 2 in two
/// parts (Cody and Waite) so that r is exact.
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    // Outside of these bounds the result is 0 or infinity anyway. (min and max give their second operand for a NaN.)
    let x = s.max(s.splat(-110.0), s.min(s.splat(90.0), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.neg_mul_add(n, s.splat(0.693_359_4), x);
    let r = s.neg_mul_add(n, s.splat(-2.121_944_4e-4), r);
    let mut p = s.splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = s.mul_add(p, r, s.splat(c));
    }
    // In two steps: 2ⁿ itself may be no normal number where the product is one.
    let half = s.round(s.mul(n, s.splat(0.5)));
    s.mul(s.mul(p, s.pow2(half)), s.pow2(s.sub(n, half)))
}

/// `1 / (1 + e⁻ˣ)`
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
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
    let mut g = s.splat(G[0]);
    for c in &G[1..] {
        g = s.mul_add(g, t, s.splat(*c));
    }
    let density = exp(s, s.mul(s.mul(a, s.splat(-0.5)), a));
    let tail = s.mul(s.mul(density, s.splat(0.5)), s.mul(t, g));
    (s.select_negative(x, tail, s.sub(one, tail)), density)
}

/// A function of one variable and its slope.
pub(super) trait Function {
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
        s.mul(x, sigmoid(s, x))
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
        s.mul(x, sigmoid(s, s.mul(x, s.splat(QUICK))))
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

/// `out = a gelu(b)` for `x` `[rows, 2 width]` = a beside b; `out` is `[rows, width]` (Shazeer 2020).
pub fn geglu_forward(rows: usize, width: usize, x: &[f32], out: &mut [f32]) {
    check_len("geglu: the input", x, rows * 2 * width);
    check_len("geglu: the output", out, rows * width);
    if width == 0 {
        return;
    }
    let piece = (PIECE / width).max(1);
    out.par_chunks_mut(piece * width)
        .zip(x.par_chunks(piece * 2 * width))
        .for_each(|(out, x)| dispatch(GegluForward { width, x, out }));
}

/// The gradient of [`geglu_forward`]: `gy` is `[rows, width]`, `gx` `[rows, 2 width]`.
pub fn geglu_backward(rows: usize, width: usize, x: &[f32], gy: &[f32], gx: &mut [f32]) {
    check_len("geglu: the input", x, rows * 2 * width);
    check_len("geglu: the output's gradient", gy, rows * width);
    check_len("geglu: the input's gradient", gx, rows * 2 * width);
    if width == 0 {
        return;
    }
    let piece = (PIECE / width).max(1);
    gx.par_chunks_mut(piece * 2 * width)
        .zip(x.par_chunks(piece * 2 * width))
        .zip(gy.par_chunks(piece * width))
        .for_each(|((gx, x), gy)| dispatch(GegluBackward { width, x, gy, gx }));
}

/// Softmax over each row of `x` `[rows, width]`: `out = exp(x - max) / sum`.
pub fn softmax_forward(rows: usize, width: usize, x: &[f32], out: &mut [f32]) {
    check_len("softmax: the input", x, rows * width);
    check_len("softmax: the output", out, rows * width);
    if width == 0 {
        return;
    }
    let piece = (PIECE / width).max(1);
    out.par_chunks_mut(piece * width).zip(x.par_chunks(piece * width)).for_each(|(out, x)| {
        out.copy_from_slice(x);
        dispatch(SoftmaxRows { width, scale: 1.0, rows: out });
    });
}

/// The gradient of [`softmax_forward`] from its result `y`: `gx = y (gy - sum(y gy))`.
pub fn softmax_backward(rows: usize, width: usize, y: &[f32], gy: &[f32], gx: &mut [f32]) {
    check_len("softmax: the output", y, rows * width);
    check_len("softmax: the output's gradient", gy, rows * width);
    check_len("softmax: the input's gradient", gx, rows * width);
    if width == 0 {
        return;
    }
    let piece = (PIECE / width).max(1);
    gx.par_chunks_mut(piece * width).zip(y.par_chunks(piece * width)).zip(gy.par_chunks(piece * width)).for_each(
        |((gx, y), gy)| {
            gx.copy_from_slice(gy);
            dispatch(SoftmaxBackwardRows { width, scale: 1.0, y, rows: gx });
        },
    );
}

fn forward<F: Function>(x: &[f32], out: &mut [f32]) {
    check_len("activation: the output", out, x.len());
    out.par_chunks_mut(PIECE)
        .zip(x.par_chunks(PIECE))
        .for_each(|(out, x)| dispatch(Forward { x, out, function: std::marker::PhantomData::<F> }));
}

fn backward<F: Function>(x: &[f32], gy: &[f32], gx: &mut [f32]) {
    check_len("activation: the output's gradient", gy, x.len());
    check_len("activation: the input's gradient", gx, x.len());
    gx.par_chunks_mut(PIECE)
        .zip(x.par_chunks(PIECE))
        .zip(gy.par_chunks(PIECE))
        .for_each(|((gx, x), gy)| dispatch(Backward { x, gy, gx, function: std::marker::PhantomData::<F> }));
}

/// Eight values, or as many as are left and then zeros.
#[inline(always)]
pub(super) fn load_some<S: Simd>(s: S, from: &[f32]) -> S::F {
    if let Some(whole) = from.first_chunk::<LANES>() {
        return s.load(whole);
    }
    let mut padded = [0.0; LANES];
    padded[..from.len()].copy_from_slice(from);
    s.load(&padded)
}

/// Writes eight lanes, or as many as there is room for.
#[inline(always)]
pub(super) fn store_some<S: Simd>(s: S, value: S::F, to: &mut [f32]) {
    if let Some(whole) = to.first_chunk_mut::<LANES>() {
        s.store(value, whole);
    } else {
        let lanes = s.to_array(value);
        to.copy_from_slice(&lanes[..to.len()]);
    }
}

struct Forward<'a, F> {
    x: &'a [f32],
    out: &'a mut [f32],
    function: std::marker::PhantomData<F>,
}

impl<F: Function> Task for Forward<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (out, x) in self.out.chunks_mut(LANES).zip(self.x.chunks(LANES)) {
            store_some(s, F::value(s, load_some(s, x)), out);
        }
    }
}

struct Backward<'a, F> {
    x: &'a [f32],
    gy: &'a [f32],
    gx: &'a mut [f32],
    function: std::marker::PhantomData<F>,
}

impl<F: Function> Task for Backward<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for ((gx, x), gy) in self.gx.chunks_mut(LANES).zip(self.x.chunks(LANES)).zip(self.gy.chunks(LANES)) {
            let slope = F::slope(s, load_some(s, x));
            store_some(s, s.mul(slope, load_some(s, gy)), gx);
        }
    }
}

struct GegluForward<'a> {
    width: usize,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Task for GegluForward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (out, x) in self.out.chunks_exact_mut(self.width).zip(self.x.chunks_exact(2 * self.width)) {
            let (a, b) = x.split_at(self.width);
            for ((out, a), b) in out.chunks_mut(LANES).zip(a.chunks(LANES)).zip(b.chunks(LANES)) {
                store_some(s, s.mul(load_some(s, a), Gelu::value(s, load_some(s, b))), out);
            }
        }
    }
}

struct GegluBackward<'a> {
    width: usize,
    x: &'a [f32],
    gy: &'a [f32],
    gx: &'a mut [f32],
}

impl Task for GegluBackward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.width;
        for ((gx, x), gy) in
            self.gx.chunks_exact_mut(2 * width).zip(self.x.chunks_exact(2 * width)).zip(self.gy.chunks_exact(width))
        {
            let (a, b) = x.split_at(width);
            let (ga, gb) = gx.split_at_mut(width);
            for (((a, b), gy), (ga, gb)) in a
                .chunks(LANES)
                .zip(b.chunks(LANES))
                .zip(gy.chunks(LANES))
                .zip(ga.chunks_mut(LANES).zip(gb.chunks_mut(LANES)))
            {
                let (a, b, gy) = (load_some(s, a), load_some(s, b), load_some(s, gy));
                store_some(s, s.mul(gy, Gelu::value(s, b)), ga);
                store_some(s, s.mul(gy, s.mul(a, Gelu::slope(s, b))), gb);
            }
        }
    }
}

/// Softmax of `scale * rows` in place.
pub(super) struct SoftmaxRows<'a> {
    pub width: usize,
    pub scale: f32,
    pub rows: &'a mut [f32],
}

impl Task for SoftmaxRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for row in self.rows.chunks_exact_mut(self.width) {
            softmax_row(s, self.scale, row);
        }
    }
}

/// Softmax of `scale * row` in place.
#[inline(always)]
pub(super) fn softmax_row<S: Simd>(s: S, scale: f32, row: &mut [f32]) {
    let scale = s.splat(scale);
    let mut greatest = s.splat(f32::NEG_INFINITY);
    let (whole, rest) = row.as_chunks_mut::<LANES>();
    for chunk in whole.iter_mut() {
        let value = s.mul(s.load(chunk), scale);
        s.store(value, chunk);
        // A NaN gives way to what was there; it comes back through its own exponential.
        greatest = s.max(value, greatest);
    }
    let mut max = s.to_array(greatest).into_iter().fold(f32::NEG_INFINITY, f32::max);
    for value in rest.iter_mut() {
        *value *= s.to_array(scale)[0];
        max = max.max(*value);
    }
    let max = s.splat(max);
    let mut sum = s.splat(0.0);
    for chunk in whole.iter_mut() {
        let value = exp(s, s.sub(s.load(chunk), max));
        s.store(value, chunk);
        sum = s.add(sum, value);
    }
    let mut total = s.sum(sum);
    if !rest.is_empty() {
        let value = exp(s, s.sub(load_some(s, rest), max));
        store_some(s, value, rest);
        total += rest.iter().sum::<f32>();
    }
    let inverse = s.splat(1.0 / total);
    for chunk in whole.iter_mut() {
        s.store(s.mul(s.load(chunk), inverse), chunk);
    }
    for value in rest.iter_mut() {
        *value *= 1.0 / total;
    }
}

/// From the gradients of a softmax's rows to those of its input, times `scale`, in place.
pub(super) struct SoftmaxBackwardRows<'a> {
    pub width: usize,
    pub scale: f32,
    pub y: &'a [f32],
    pub rows: &'a mut [f32],
}

impl Task for SoftmaxBackwardRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (row, y) in self.rows.chunks_exact_mut(self.width).zip(self.y.chunks_exact(self.width)) {
            let mut sum = s.splat(0.0);
            for (g, y) in row.chunks(LANES).zip(y.chunks(LANES)) {
                sum = s.mul_add(load_some(s, g), load_some(s, y), sum);
            }
            let (sum, scale) = (s.splat(s.sum(sum)), s.splat(self.scale));
            for (g, y) in row.chunks_mut(LANES).zip(y.chunks(LANES)) {
                let value = s.mul(s.mul(load_some(s, y), scale), s.sub(load_some(s, g), sum));
                store_some(s, value, g);
            }
        }
    }
}

#[cfg(test)]
mod tests;
