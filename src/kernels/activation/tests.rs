//! The activations against f64.

use proptest::prelude::*;

use super::*;
use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, unwritten, values};

/// The error function by its series (small arguments) or its continued fraction (large ones), in f64; Abramowitz and
/// Stegun 7.1.5 and 7.1.14.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    let value = if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..80 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let tail = (1..60).rev().fold(a, |below, n| a + f64::from(n) / 2.0 / below);
        1.0 - (-a * a).exp() / tail * std::f64::consts::FRAC_2_SQRT_PI / 2.0
    };
    value.copysign(x)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn gelu(x: f64) -> f64 {
    x * 0.5 * (1.0 + erf(x / 2.0_f64.sqrt()))
}

fn gelu_slope(x: f64) -> f64 {
    0.5 * (1.0 + erf(x / 2.0_f64.sqrt())) + x * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// Compares a function and its slope with f64 over a wide range, relative to the value (but not below `floor`).
fn check(
    forward: fn(&[f32], &mut [f32]),
    backward: fn(&[f32], &[f32], &mut [f32]),
    f: fn(f64) -> f64,
    slope: fn(f64) -> f64,
) {
    let x: Vec<f32> = (-12_000..12_001).map(|i| i as f32 / 1000.0).collect();
    let gy = values(1, x.len());
    let (mut out, mut gx) = (unwritten(x.len()), unwritten(x.len()));
    forward(&x, &mut out);
    backward(&x, &gy, &mut gx);
    for i in 0..x.len() {
        let (exact, exact_slope) = (f(f64::from(x[i])), slope(f64::from(x[i])) * f64::from(gy[i]));
        let (value, gradient) = (f64::from(out[i]), f64::from(gx[i]));
        assert!((value - exact).abs() <= 4e-7 * exact.abs() + 1e-7, "f({}) is {exact}, not {value}", x[i]);
        assert!((gradient - exact_slope).abs() <= 1e-6, "f'({}) is {exact_slope}, not {gradient}", x[i]);
    }
    let mut special = [0.0; 3];
    forward(&[f32::NAN, f32::INFINITY, 0.0], &mut special);
    assert!(special[0].is_nan());
    assert_eq!(special[1..], [f32::INFINITY, 0.0]);
    backward(&[f32::NAN, 0.0, 1.0], &[1.0, f32::NAN, 0.0], &mut special);
    assert!(special[0].is_nan() && special[1].is_nan() && special[2] == 0.0);
}

#[test]
fn silu_equals_f64() {
    check(silu_forward, silu_backward, |x| x * sigmoid(x), |x| sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))));
}

#[test]
fn gelu_equals_f64() {
    check(gelu_forward, gelu_backward, gelu, gelu_slope);
}

#[test]
fn gelu_keeps_its_digits_in_the_tail() {
    // -x Q(x) with Q(8) = 6.220960574271785e-16 (Abramowitz and Stegun, table 26.2 continued; also mpmath).
    let mut out = [0.0];
    gelu_forward(&[-8.0], &mut out);
    assert!((f64::from(out[0]) / (-8.0 * 6.220_960_574_271_785e-16) - 1.0).abs() < 2e-6, "{}", out[0]);
}

#[test]
fn quick_gelu_equals_f64() {
    let slope = |x: f64| sigmoid(1.702 * x) * (1.0 + 1.702 * x * (1.0 - sigmoid(1.702 * x)));
    check(quick_gelu_forward, quick_gelu_backward, |x| x * sigmoid(1.702 * x), slope);
}

proptest! {
    #[test]
    fn geglu_equals_f64(rows in 0_usize..6, width in 0_usize..30) {
        let (x, gy) = (values(1, rows * 2 * width), values(2, rows * width));
        let (mut out, mut gx) = (Vec::new(), Vec::new());
        for (x, gy) in x.chunks((2 * width).max(1)).zip(gy.chunks(width.max(1))) {
            let (a, b) = x.split_at(width);
            let (a, b) = (|i: usize| f64::from(a[i]), |i: usize| f64::from(b[i]));
            out.extend((0..width).map(|i| a(i) * gelu(b(i))));
            gx.extend((0..width).map(|i| f64::from(gy[i]) * gelu(b(i))));
            gx.extend((0..width).map(|i| f64::from(gy[i]) * a(i) * gelu_slope(b(i))));
        }
        let (mut actual, mut actual_gx) = (unwritten(out.len()), unwritten(gx.len()));
        geglu_forward(rows, width, &x, &mut actual);
        geglu_backward(rows, width, &x, &gy, &mut actual_gx);
        assert_near("out", &actual, &out, 5e-7);
        assert_near("gx", &actual_gx, &gx, 5e-7);
    }

    #[test]
    fn softmax_equals_f64(rows in 0_usize..6, width in 0_usize..30, shift in -200.0_f32..200.0) {
        let x: Vec<f32> = values(1, rows * width).into_iter().map(|x| 5.0 * x + shift).collect();
        let gy = values(2, x.len());
        let (mut out, mut gx) = (Vec::new(), Vec::new());
        for (x, gy) in x.chunks(width.max(1)).zip(gy.chunks(width.max(1))) {
            let powers: Vec<f64> = x.iter().map(|value| (f64::from(*value) - f64::from(x[0])).exp()).collect();
            let y: Vec<f64> = powers.iter().map(|power| power / powers.iter().sum::<f64>()).collect();
            let mean: f64 = y.iter().zip(gy).map(|(y, gy)| y * f64::from(*gy)).sum();
            gx.extend(y.iter().zip(gy).map(|(y, gy)| y * (f64::from(*gy) - mean)));
            out.extend(y);
        }
        let (mut actual, mut actual_gx) = (unwritten(out.len()), unwritten(gx.len()));
        softmax_forward(rows, width, &x, &mut actual);
        assert_near("out", &actual, &out, 1e-6);
        softmax_backward(rows, width, &actual, &gy, &mut actual_gx);
        assert_near("gx", &actual_gx, &gx, 1e-6);
    }
}

#[test]
fn the_threads_change_nothing() {
    let x = values(1, 100_000);
    assert_same_on_any_thread_count(|| {
        let (mut out, mut gated) = (unwritten(x.len()), unwritten(x.len() / 2));
        gelu_forward(&x, &mut out);
        geglu_forward(100, 500, &x, &mut gated);
        [out, gated].concat()
    });
}
