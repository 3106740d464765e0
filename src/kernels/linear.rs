//! `y = x Wᵀ + b` and its gradients.

use rayon::prelude::*;

use super::check_len;
use super::gemm::{Activation, Bias, Finish, Matrix, gemm, gemm_serial, product, product_gated};
use super::values::Values;

/// Rows of one piece of the sum over rows, and of the weight's gradient where that has few tiles.
const PIECE_ROWS: usize = 512;
/// Weight gradients of at most this many values are summed from pieces of rows, since they have too few tiles.
const SMALL_WEIGHT: usize = 128 * 512;
/// At most this many pieces, so that the partial sums stay small.
const MOST_PIECES: usize = 32;

/// A layer: `weight` is `[out_features, in_features]`, in f32 or 16 bits, `bias` `[out_features]`.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a> {
    /// Columns of the input.
    pub in_features: usize,
    /// Columns of the result.
    pub out_features: usize,
    /// The weight; 16 bits are widened as they are used, without a copy in memory.
    pub weight: Values<'a>,
    /// Added to each row.
    pub bias: Option<&'a [f32]>,
}

impl Linear<'_> {
    /// `out = activation(x weightᵀ + bias + residual)`: `x` is `[rows, in_features]`, `out` and `residual`
    /// `[rows, out_features]`.
    pub fn forward(&self, rows: usize, x: &[f32], residual: Option<&[f32]>, activation: Activation, out: &mut [f32]) {
        self.check(rows, x);
        let (inputs, outputs) = (self.in_features, self.out_features);
        check_len("linear: the output", out, rows * outputs);
        if let Some(residual) = residual {
            check_len("linear: the residual", residual, rows * outputs);
        }
        let bias = self.bias.map_or(Bias::None, Bias::PerColumn);
        let finish = Finish { bias, accumulate: false, residual, activation };
        product(rows, outputs, inputs, Matrix::new(x, inputs), self.turned(), finish, out, outputs);
    }

    /// `out = a gelu(b)`, where `x weightᵀ + bias` is a beside b; `out` is `[rows, out_features / 2]`. What the GELU is
    /// taken of is never in memory.
    ///
    /// # Panics
    /// When `out_features` is odd.
    pub fn forward_geglu(&self, rows: usize, x: &[f32], out: &mut [f32]) {
        assert!(self.out_features.is_multiple_of(2), "linear: values and gates are not as many");
        self.check(rows, x);
        let (inputs, width) = (self.in_features, self.out_features / 2);
        check_len("linear: the output", out, rows * width);
        product_gated(rows, width, inputs, Matrix::new(x, inputs), self.turned(), self.bias, out);
    }

    /// `gx = gy weight`: `gy` is `[rows, out_features]`, `gx` `[rows, in_features]`.
    pub fn backward_input(&self, rows: usize, gy: &[f32], gx: &mut [f32]) {
        self.backward_input_by(rows, gy, Finish::default(), gx);
    }

    /// `gx += gy weight`, as [`Self::backward_input`].
    pub fn add_backward_input(&self, rows: usize, gy: &[f32], gx: &mut [f32]) {
        let finish = Finish { accumulate: true, ..Finish::default() };
        self.backward_input_by(rows, gy, finish, gx);
    }

    fn backward_input_by(&self, rows: usize, gy: &[f32], finish: Finish<'_>, gx: &mut [f32]) {
        let (inputs, outputs) = (self.in_features, self.out_features);
        assert!(self.weight.len() == inputs * outputs, "linear: the weight has another length than its shape");
        check_len("linear: the output's gradient", gy, rows * outputs);
        check_len("linear: the input's gradient", gx, rows * inputs);
        let weight = Matrix::new(self.weight, inputs);
        product(rows, inputs, outputs, Matrix::new(gy, outputs), weight, finish, gx, inputs);
    }

    /// `[in_features, out_features]`
    fn turned(&self) -> Matrix<'_> {
        Matrix::new(self.weight, self.in_features).transposed()
    }

    #[track_caller]
    fn check(&self, rows: usize, x: &[f32]) {
        let (inputs, outputs) = (self.in_features, self.out_features);
        check_len("linear: the input", x, rows * inputs);
        assert!(self.weight.len() == inputs * outputs, "linear: the weight has another length than its shape");
        if let Some(bias) = self.bias {
            check_len("linear: the bias", bias, outputs);
        }
    }
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
mod tests;
