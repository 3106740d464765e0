//! `y = x Wᵀ + b` and its gradients.

use rayon::prelude::*;

use super::check_len;
use super::gemm::{gemm, gemm_serial};

/// Rows of one piece of the sum over rows, and of the weight's gradient where that has few tiles.
const PIECE_ROWS: usize = 512;
/// Weight gradients of at most this many values are summed from pieces of rows, since they have too few tiles.
const SMALL_WEIGHT: usize = 128 * 512;
/// At most this many pieces, so that the partial sums stay small.
const MOST_PIECES: usize = 32;

/// `out = x wᵀ + bias`: `x` is `[rows, in_features]`, `w` `[out_features, in_features]`, `bias` `[out_features]`,
/// `out` `[rows, out_features]`.
pub fn linear_forward(
    rows: usize,
    in_features: usize,
    out_features: usize,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    check_len("linear: the input", x, rows * in_features);
    check_len("linear: the weight", w, out_features * in_features);
    check_len("linear: the output", out, rows * out_features);
    if let Some(bias) = bias {
        check_len("linear: the bias", bias, out_features);
        if out_features > 0 {
            out.par_chunks_mut(64 * out_features).for_each(|rows| {
                rows.chunks_exact_mut(out_features).for_each(|row| row.copy_from_slice(bias));
            });
        }
    }
    gemm(rows, out_features, in_features, x, in_features, 1, w, 1, in_features, out, out_features, bias.is_some());
}

/// `gx = gy w`: `gy` is `[rows, out_features]`, `gx` `[rows, in_features]`.
pub fn linear_backward_input(
    rows: usize,
    in_features: usize,
    out_features: usize,
    gy: &[f32],
    w: &[f32],
    gx: &mut [f32],
) {
    check_len("linear: the output's gradient", gy, rows * out_features);
    check_len("linear: the weight", w, out_features * in_features);
    check_len("linear: the input's gradient", gx, rows * in_features);
    gemm(rows, in_features, out_features, gy, out_features, 1, w, in_features, 1, gx, in_features, false);
}

/// `gw = gyᵀ x`: `gw` is `[out_features, in_features]`.
pub fn linear_backward_weight(
    rows: usize,
    in_features: usize,
    out_features: usize,
    x: &[f32],
    gy: &[f32],
    gw: &mut [f32],
) {
    check_len("linear: the input", x, rows * in_features);
    check_len("linear: the output's gradient", gy, rows * out_features);
    check_len("linear: the weight's gradient", gw, out_features * in_features);
    let piece = piece_rows(rows);
    if gw.len() > SMALL_WEIGHT || gw.is_empty() || rows <= piece {
        gemm(out_features, in_features, rows, gy, 1, out_features, x, in_features, 1, gw, in_features, false);
        return;
    }
    let partial: Vec<Vec<f32>> = x
        .par_chunks(piece * in_features)
        .zip(gy.par_chunks(piece * out_features))
        .map(|(x, gy)| {
            let mut sum = vec![0.0; out_features * in_features];
            let rows = x.len() / in_features;
            gemm_serial(
                out_features,
                in_features,
                rows,
                gy,
                1,
                out_features,
                x,
                in_features,
                1,
                &mut sum,
                in_features,
                false,
            );
            sum
        })
        .collect();
    add_all(&partial, gw);
}

/// `sums[j]` = the sum of `gy[.., j]`: `gy` is `[rows, width]`, `sums` `[width]`; the gradient of a bias.
pub fn sum_rows(rows: usize, width: usize, gy: &[f32], sums: &mut [f32]) {
    check_len("sum_rows: the input", gy, rows * width);
    check_len("sum_rows: the sums", sums, width);
    if width == 0 {
        return;
    }
    let partial: Vec<Vec<f32>> = gy
        .par_chunks(piece_rows(rows) * width)
        .map(|rows| {
            // Short sums first, then their sum: the rounding grows with the square root of the rows.
            let mut total = vec![0.0; width];
            let mut sum = vec![0.0; width];
            for rows in rows.chunks(32 * width) {
                sum.fill(0.0);
                for row in rows.chunks_exact(width) {
                    sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
                total.iter_mut().zip(&sum).for_each(|(total, sum)| *total += sum);
            }
            total
        })
        .collect();
    add_all(&partial, sums);
}

/// Rows of a piece: a function of the number of rows alone.
fn piece_rows(rows: usize) -> usize {
    PIECE_ROWS.max(rows.div_ceil(MOST_PIECES))
}

/// `total` = the sum of the parts, in their order.
pub(super) fn add_all(parts: &[Vec<f32>], total: &mut [f32]) {
    const PIECE: usize = 1 << 14;
    total.par_chunks_mut(PIECE).enumerate().for_each(|(i, total)| {
        total.fill(0.0);
        for part in parts {
            total.iter_mut().zip(&part[i * PIECE..]).for_each(|(total, value)| *total += value);
        }
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{linear_backward_input, linear_backward_weight, linear_forward, sum_rows};
    use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, unwritten, values};

    /// Compares all four functions with plain loops in f64.
    fn check(rows: usize, inputs: usize, outputs: usize, with_bias: bool) {
        let (x, w, bias) = (values(1, rows * inputs), values(2, outputs * inputs), values(3, outputs));
        let gy = values(4, rows * outputs);
        let (mut out, mut gx) = (vec![0.0; rows * outputs], vec![0.0; rows * inputs]);
        let (mut gw, mut gb) = (vec![0.0; outputs * inputs], vec![0.0; outputs]);
        for (r, o) in (0..rows).flat_map(|r| (0..outputs).map(move |o| (r, o))) {
            let g = f64::from(gy[r * outputs + o]);
            gb[o] += g;
            out[r * outputs + o] += if with_bias { f64::from(bias[o]) } else { 0.0 };
            for i in 0..inputs {
                let (x, w) = (f64::from(x[r * inputs + i]), f64::from(w[o * inputs + i]));
                out[r * outputs + o] += x * w;
                gx[r * inputs + i] += g * w;
                gw[o * inputs + i] += g * x;
            }
        }
        let mut actual = unwritten(out.len());
        linear_forward(rows, inputs, outputs, &x, &w, with_bias.then_some(&bias[..]), &mut actual);
        assert_near("out", &actual, &out, 5e-6);
        let mut actual = unwritten(gx.len());
        linear_backward_input(rows, inputs, outputs, &gy, &w, &mut actual);
        assert_near("gx", &actual, &gx, 5e-6);
        let mut actual = unwritten(gw.len());
        linear_backward_weight(rows, inputs, outputs, &x, &gy, &mut actual);
        assert_near("gw", &actual, &gw, 5e-6);
        let mut actual = unwritten(gb.len());
        sum_rows(rows, outputs, &gy, &mut actual);
        assert_near("gb", &actual, &gb, 5e-6);
    }

    proptest! {
        #[test]
        fn equals_plain_loops(rows in 0_usize..30, inputs in 0_usize..20, outputs in 0_usize..20, bias: bool) {
            check(rows, inputs, outputs, bias);
        }
    }

    #[test]
    fn many_rows_equal_plain_loops() {
        check(1500, 9, 11, true);
    }

    #[test]
    fn the_threads_change_nothing() {
        let (rows, inputs, outputs) = (1600, 40, 33);
        let (x, gy) = (values(1, rows * inputs), values(2, rows * outputs));
        assert_same_on_any_thread_count(|| {
            let mut gw = unwritten(outputs * inputs);
            linear_backward_weight(rows, inputs, outputs, &x, &gy, &mut gw);
            let mut gb = unwritten(outputs);
            sum_rows(rows, outputs, &gy, &mut gb);
            [gw, gb].concat()
        });
    }
}
