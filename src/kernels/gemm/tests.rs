//! Products against plain loops.

use half::{bf16, f16};
use proptest::prelude::*;

use super::{Activation, Bias, Finish, Matrix, gemm, product, product_gated, product_with};
use crate::kernels::activation::{gelu_forward, quick_gelu_forward, silu_forward};
use crate::kernels::micro::{runnable, runnable_and_pairs};
use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, unwritten, values};
use crate::kernels::values::Values;

/// `[rows, cols]` at the strides, in f64.
fn at(matrix: &[f32], row: usize, row_stride: usize, col: usize, col_stride: usize) -> f64 {
    f64::from(matrix[row * row_stride + col * col_stride])
}

fn check(m: usize, n: usize, k: usize, transposed: (bool, bool), gap: usize, accumulate: bool) {
    let (a, b, before) = (values(1, m * k), values(2, k * n), values(3, m * (n + gap)));
    let (a_row, a_col) = if transposed.0 { (1, m) } else { (k, 1) };
    let (b_row, b_col) = if transposed.1 { (1, k) } else { (n, 1) };
    let mut expected: Vec<f64> = before.iter().map(|value| f64::from(*value)).collect();
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let sum: f64 = (0..k).map(|l| at(&a, i, a_row, l, a_col) * at(&b, l, b_row, j, b_col)).sum();
        let old = if accumulate { expected[i * (n + gap) + j] } else { 0.0 };
        expected[i * (n + gap) + j] = old + sum;
    }
    let mut c = before;
    gemm(m, n, k, &a, a_row, a_col, &b, b_row, b_col, &mut c, n + gap, accumulate);
    assert_near("c", &c, &expected, 3e-6);
}

proptest! {
    #[test]
    fn equals_plain_loops(
        (m, n, k) in (0_usize..40, 0_usize..40, 0_usize..40),
        transposed: (bool, bool),
        gap in 0_usize..3,
        accumulate: bool,
    ) {
        check(m, n, k, transposed, gap, accumulate);
    }
}

#[test]
fn several_tiles_equal_plain_loops() {
    for transposed in [(false, false), (true, false), (false, true), (true, true)] {
        check(270, 150, 65, transposed, 3, false);
        check(70, 530, 33, transposed, 0, true);
    }
}

#[test]
fn what_was_there_is_not_read_unless_it_is_added_to() {
    for (m, n, k) in [(3, 5, 4), (1, 7, 3), (7, 1, 3), (4, 4, 1), (4, 4, 0), (200, 200, 9)] {
        let mut c = vec![f32::NAN; m * n];
        gemm(m, n, k, &values(1, m * k), k, 1, &values(2, k * n), n, 1, &mut c, n, false);
        assert!(c.iter().all(|value| value.is_finite()), "{m} {n} {k}");
    }
}

#[test]
fn the_threads_change_nothing() {
    let (m, n, k) = (300, 310, 40);
    let (a, b) = (values(1, m * k), values(2, k * n));
    assert_same_on_any_thread_count(|| {
        let mut c = vec![0.0; m * n];
        gemm(m, n, k, &a, k, 1, &b, n, 1, &mut c, n, false);
        c
    });
}

#[test]
#[should_panic(expected = "gemm: b is too short")]
fn a_short_operand_is_told() {
    gemm(2, 2, 2, &[0.0; 4], 2, 1, &[0.0; 3], 2, 1, &mut [0.0; 4], 2, false);
}

/// `[m, k]` times `[k, n]`, both row by row.
fn plain(m: usize, n: usize, k: usize, a: &[f32], b: &[f32]) -> Vec<f64> {
    (0..m * n).map(|at| (0..k).map(|l| self::at(a, at / n, k, l, 1) * self::at(b, l, n, at % n, 1)).sum()).collect()
}

#[test]
fn every_kernel_equals_plain_loops() {
    // More rows, then more columns, so that each side is dealt out once; parts of panels; more than a block of each.
    for (m, n, k) in [(131, 20, 40), (20, 275, 33), (1, 50, 700), (220, 300, 7)] {
        let (a, b) = (values(1, m * k), values(2, k * n));
        let expected = plain(m, n, k, &a, &b);
        for micro in runnable() {
            let mut c = unwritten(m * n);
            let (a, b) = (Matrix::new(&a[..], k), Matrix::new(&b[..], n));
            product_with(micro, (m, n, k), a, b, false, Finish::default(), &mut c, n);
            assert_near(micro.name, &c, &expected, 3e-6);
        }
    }
}

#[test]
fn in_bf16_products_equal_plain_loops_of_rounded_numbers() {
    let rounded = |values: Vec<f32>| -> Vec<f32> { values.into_iter().map(|x| bf16::from_f32(x).to_f32()).collect() };
    for (m, n, k) in [(131, 20, 40), (20, 275, 33), (1, 50, 701), (220, 300, 7), (3, 40, 0), (9, 5, 2 * 8192 + 101)] {
        let (a, b) = (rounded(values(1, m * k)), rounded(values(2, k * n)));
        let expected = plain(m, n, k, &a, &b);
        for micro in runnable_and_pairs() {
            for transposed in [false, true] {
                // The second operand also as a weight lies, `[n, k]`.
                let turned: Vec<f32> = (0..n * k).map(|at| b[at % k * n + at / k]).collect();
                let b = if transposed { Matrix::new(&turned[..], k).transposed() } else { Matrix::new(&b[..], n) };
                let mut c = unwritten(m * n);
                let a = Matrix::new(&a[..], k);
                product_with(micro, (m, n, k), a, b, false, Finish::default(), &mut c, n);
                assert_near(micro.name, &c, &expected, 1e-5);
            }
        }
    }
}

#[test]
fn a_layer_in_bf16_is_off_by_half_a_percent_at_most() {
    // As large as a layer at 64 × 64 in one direction, and of activations that are not rounded before.
    let (m, n, k) = (64, 320, 1280);
    let (a, b) = (values(1, m * k), values(2, k * n));
    let expected = plain(m, n, k, &a, &b);
    for micro in runnable_and_pairs() {
        let mut c = unwritten(m * n);
        let operands = (Matrix::new(&a[..], k), Matrix::new(&b[..], n));
        product_with(micro, (m, n, k), operands.0, operands.1, false, Finish::default(), &mut c, n);
        let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
        let off = squares(&mut c.iter().zip(&expected).map(|(actual, expected)| f64::from(*actual) - expected));
        let relative = off / squares(&mut expected.iter().copied());
        let most = if micro.in_pairs { 5e-3 } else { 1e-6 };
        assert!(relative <= most, "{micro:?}: {relative}");
    }
}

#[test]
fn in_bf16_gated_products_equal_a_product_and_a_gate() {
    for (m, n, k) in [(1, 3, 5), (40, 300, 20), (700, 21, 33)] {
        let (x, w, bias) = (values(1, m * k), values(2, 2 * n * k), values(3, 2 * n));
        for micro in runnable_and_pairs() {
            let finish = Finish { bias: Bias::PerColumn(&bias), ..Finish::default() };
            let x = Matrix::new(&x[..], k);
            let w = Matrix::new(&w[..], k).transposed();
            let (mut both, mut c) = (unwritten(m * 2 * n), unwritten(m * n));
            product_with(micro, (m, 2 * n, k), x, w, false, finish, &mut both, 2 * n);
            product_with(micro, (m, n, k), x, w, true, finish, &mut c, n);
            let mut expected = unwritten(m * n);
            crate::kernels::activation::geglu_forward(m, n, &both, &mut expected);
            assert_eq!(c, expected, "{micro:?} {m} {n} {k}");
        }
    }
}

#[test]
fn a_long_sum_in_parts_equals_plain_loops() {
    let (m, n, k) = (5, 9, 2 * 8192 + 100);
    let (a, b, bias) = (values(1, m * k), values(2, k * n), values(3, m));
    let mut expected = plain(m, n, k, &a, &b);
    expected.iter_mut().enumerate().for_each(|(i, value)| *value += f64::from(bias[i / n]));
    let mut c = unwritten(m * n);
    let finish = Finish { bias: Bias::PerRow(&bias), ..Finish::default() };
    product(m, n, k, Matrix::new(&a[..], k), Matrix::new(&b[..], n), finish, &mut c, n);
    assert_near("c", &c, &expected, 3e-6);
}

#[test]
fn a_large_shared_side_in_parts_equals_one_on_its_own() {
    // The shared side has 260 × 8192 numbers, more than are packed at a time.
    let (m, n, k) = (261, 260, 8192);
    let (a, b) = (values(1, m * k), values(2, k * n));
    let mut c = unwritten(m * n);
    gemm(m, n, k, &a, k, 1, &b, n, 1, &mut c, n, false);
    for col in [0, 255, 256, 259] {
        let mut column = unwritten(m);
        gemm(m, 1, k, &a, k, 1, &b[col..], n, 1, &mut column, 1, false);
        let of_all: Vec<f32> = c[col..].iter().step_by(n).copied().collect();
        assert_eq!(of_all, column);
    }
}

#[test]
fn sixteen_bits_equal_their_wide_copies() {
    let (m, n, k) = (50, 70, 45);
    let x = values(1, m * k);
    let halves: Vec<f16> = values(2, k * n).into_iter().map(f16::from_f32).collect();
    let brains: Vec<bf16> = values(2, k * n).into_iter().map(bf16::from_f32).collect();
    let wide_halves: Vec<f32> = halves.iter().map(|value| value.to_f32()).collect();
    let wide_brains: Vec<f32> = brains.iter().map(|value| value.to_f32()).collect();
    // The weight as the second operand or the first, its numbers in either order.
    let run = |w: Values<'_>, transposed: bool, first: bool| {
        let mut c = unwritten(m * n);
        let w = |rows, cols| if transposed { Matrix::new(w, rows).transposed() } else { Matrix::new(w, cols) };
        if first {
            product(n, m, k, w(n, k), Matrix::new(&x[..], m), Finish::default(), &mut c, m);
        } else {
            product(m, n, k, Matrix::new(&x[..], k), w(k, n), Finish::default(), &mut c, n);
        }
        c
    };
    for (transposed, first) in [(false, false), (true, false), (false, true), (true, true)] {
        assert_eq!(run(Values::F16(&halves), transposed, first), run(Values::F32(&wide_halves), transposed, first));
        assert_eq!(run(Values::Bf16(&brains), transposed, first), run(Values::F32(&wide_brains), transposed, first));
    }
}

#[test]
fn what_comes_after_the_product_equals_steps_of_their_own() {
    let (m, n, k, stride) = (37, 45, 20, 48);
    let (a, b, residual, before) = (values(1, m * k), values(2, k * n), values(3, m * stride), values(4, m * stride));
    let (per_row, per_column) = (values(5, m), values(6, n));
    let sums = plain(m, n, k, &a, &b);
    for bias in [Bias::None, Bias::PerRow(&per_row), Bias::PerColumn(&per_column)] {
        for activation in [Activation::None, Activation::Silu, Activation::Gelu, Activation::QuickGelu] {
            for (accumulate, with_residual) in [(false, false), (true, false), (false, true)] {
                let mut expected: Vec<f32> = before.clone();
                for (at, sum) in sums.iter().enumerate() {
                    let (i, j) = (at / n, at % n);
                    let bias = match bias {
                        Bias::None => 0.0,
                        Bias::PerRow(bias) => bias[i],
                        Bias::PerColumn(bias) => bias[j],
                    };
                    let here = i * stride + j;
                    let more =
                        if accumulate { before[here] } else { 0.0 } + if with_residual { residual[here] } else { 0.0 };
                    let sum = [(sum + f64::from(bias) + f64::from(more)) as f32];
                    let mut value = sum;
                    match activation {
                        Activation::None => {}
                        Activation::Silu => silu_forward(&sum, &mut value),
                        Activation::Gelu => gelu_forward(&sum, &mut value),
                        Activation::QuickGelu => quick_gelu_forward(&sum, &mut value),
                    }
                    expected[here] = value[0];
                }
                let finish = Finish { bias, accumulate, residual: with_residual.then_some(&residual), activation };
                let mut c = before.clone();
                product(m, n, k, Matrix::new(&a[..], k), Matrix::new(&b[..], n), finish, &mut c, stride);
                let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
                assert_near(&format!("{activation:?}"), &c, &expected, 3e-6);
            }
        }
    }
}

#[test]
fn gated_products_equal_a_product_and_a_gate() {
    // Few rows and many, so that either side is dealt out; a part of a panel at the end of the values.
    for (m, n, k) in [(1, 3, 5), (40, 300, 20), (700, 21, 33), (30, 20, 0)] {
        let (x, w, bias) = (values(1, m * k), values(2, 2 * n * k), values(3, 2 * n));
        let w16: Vec<f16> = w.iter().map(|value| f16::from_f32(*value)).collect();
        let w: Vec<f32> = w16.iter().map(|value| value.to_f32()).collect();
        for bias in [None, Some(&bias[..])] {
            let mut both = unwritten(m * 2 * n);
            let finish = Finish { bias: bias.map_or(Bias::None, Bias::PerColumn), ..Finish::default() };
            product(m, 2 * n, k, Matrix::new(&x[..], k), Matrix::new(&w[..], k).transposed(), finish, &mut both, 2 * n);
            let mut expected = unwritten(m * n);
            crate::kernels::activation::geglu_forward(m, n, &both, &mut expected);
            for w in [Values::F32(&w), Values::F16(&w16)] {
                let mut c = unwritten(m * n);
                product_gated(m, n, k, Matrix::new(&x[..], k), Matrix::new(w, k).transposed(), bias, &mut c);
                assert_eq!(c, expected, "{m} {n} {k}");
            }
        }
    }
}

#[test]
fn not_a_number_reaches_its_row_and_its_column() {
    let (m, n, k) = (40, 50, 30);
    let (mut a, mut b) = (values(1, m * k), values(2, k * n));
    a[7 * k + 3] = f32::NAN;
    b[5 * n + 44] = f32::NAN;
    let mut c = unwritten(m * n);
    gemm(m, n, k, &a, k, 1, &b, n, 1, &mut c, n, false);
    for (at, value) in c.iter().enumerate() {
        assert_eq!(value.is_nan(), at / n == 7 || at % n == 44, "{at}");
    }
}

#[test]
fn the_threads_change_nothing_whichever_side_is_dealt_out() {
    for (m, n, k) in [(700, 60, 650), (60, 700, 650)] {
        let (a, b) = (values(1, m * k), values(2, k * n));
        assert_same_on_any_thread_count(|| {
            let mut c = unwritten(m * n);
            gemm(m, n, k, &a, k, 1, &b, n, 1, &mut c, n, false);
            c
        });
    }
}

#[test]
#[should_panic(expected = "gemm: the bias has not a value for each column")]
fn a_short_bias_is_told() {
    let finish = Finish { bias: Bias::PerColumn(&[0.0]), ..Finish::default() };
    product(2, 2, 1, Matrix::new(&[0.0; 2][..], 1), Matrix::new(&[0.0; 2][..], 2), finish, &mut [0.0; 4], 2);
}
