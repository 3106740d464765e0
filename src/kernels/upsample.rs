//! Nearest-neighbour resizing of planes.

use rayon::prelude::*;

use super::check_len;

/// Row `i` of each result is row `floor(i * in_height / out_height)` of its plane, columns likewise (torch's rule):
/// `x` is `[planes, from.0, from.1]`, `out` `[planes, to.0, to.1]`, sizes are (height, width) in px.
///
/// # Panics
/// When a slice does not fit, or the source is empty and the result is not.
pub fn nearest_forward(planes: usize, from: (usize, usize), to: (usize, usize), x: &[f32], out: &mut [f32]) {
    check_len("upsample: the input", x, planes * from.0 * from.1);
    check_len("upsample: the output", out, planes * to.0 * to.1);
    if out.is_empty() {
        return;
    }
    assert!(!x.is_empty(), "upsample: nothing to enlarge");
    let columns: Vec<usize> = (0..to.1).map(|j| j * from.1 / to.1).collect();
    out.par_chunks_mut(to.0 * to.1).zip(x.par_chunks(from.0 * from.1)).for_each(|(out, x)| {
        for (i, out) in out.chunks_exact_mut(to.1).enumerate() {
            let row = &x[i * from.0 / to.0 * from.1..][..from.1];
            out.iter_mut().zip(&columns).for_each(|(out, &j)| *out = row[j]);
        }
    });
}

/// The gradient of [`nearest_forward`]: each value of `gx` is the sum of the values of `gy` that were taken from it.
///
/// # Panics
/// When a slice does not fit.
pub fn nearest_backward(planes: usize, from: (usize, usize), to: (usize, usize), gy: &[f32], gx: &mut [f32]) {
    check_len("upsample: the output's gradient", gy, planes * to.0 * to.1);
    check_len("upsample: the input's gradient", gx, planes * from.0 * from.1);
    gx.fill(0.0);
    if gx.is_empty() || gy.is_empty() {
        return;
    }
    let columns: Vec<usize> = (0..to.1).map(|j| j * from.1 / to.1).collect();
    gx.par_chunks_mut(from.0 * from.1).zip(gy.par_chunks(to.0 * to.1)).for_each(|(gx, gy)| {
        for (i, gy) in gy.chunks_exact(to.1).enumerate() {
            let row = &mut gx[i * from.0 / to.0 * from.1..][..from.1];
            gy.iter().zip(&columns).for_each(|(gy, &j)| row[j] += gy);
        }
    });
}
