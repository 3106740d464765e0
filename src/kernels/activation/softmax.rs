//! Softmax over rows.

use rayon::prelude::*;

use crate::kernels::check_len;
use crate::kernels::exponential::exp;
use crate::kernels::lanes::{PIECE, load_some, store_some};
use crate::kernels::simd::{LANES, Simd, Task, dispatch};

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

/// Softmax of `scale * rows` in place.
struct SoftmaxRows<'a> {
    width: usize,
    scale: f32,
    rows: &'a mut [f32],
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
pub(in crate::kernels) fn softmax_row<S: Simd>(s: S, scale: f32, row: &mut [f32]) {
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
pub(in crate::kernels) struct SoftmaxBackwardRows<'a> {
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
