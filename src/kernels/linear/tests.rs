//! `y = x Wᵀ + b` and its gradients against plain loops.

use half::f16;
use proptest::prelude::*;

use super::{Linear, Values, linear_backward_weight, sum_rows};
use crate::kernels::activation::geglu_forward;
use crate::kernels::gemm::Activation;
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
    let bias = with_bias.then_some(&bias[..]);
    let layer = Linear { in_features: inputs, out_features: outputs, weight: w[..].into(), bias };
    layer.forward(rows, &x, None, Activation::None, &mut actual);
    assert_near("out", &actual, &out, 5e-6);
    let mut actual = unwritten(gx.len());
    layer.backward_input(rows, &gy, &mut actual);
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

/// A layer with a weight of half precision, and its inputs.
fn with_half_precision(work: impl Fn(Linear<'_>, Linear<'_>, &[f32])) {
    let (rows, inputs, outputs) = (19, 40, 34);
    let half: Vec<f16> = values(2, outputs * inputs).into_iter().map(f16::from_f32).collect();
    let wide: Vec<f32> = half.iter().map(|value| value.to_f32()).collect();
    let bias = values(3, outputs);
    let layer = Linear { in_features: inputs, out_features: outputs, weight: Values::F16(&half), bias: Some(&bias) };
    work(layer, Linear { weight: wide[..].into(), ..layer }, &values(1, rows * inputs));
}

#[test]
fn a_residual_and_half_precision_change_what_they_should() {
    with_half_precision(|half, wide, x| {
        let rows = 19;
        let residual = values(4, rows * wide.out_features);
        let mut expected = unwritten(residual.len());
        wide.forward(rows, x, None, Activation::None, &mut expected);
        let expected: Vec<f64> = expected.iter().zip(&residual).map(|(a, b)| f64::from(*a) + f64::from(*b)).collect();
        let mut out = unwritten(residual.len());
        half.forward(rows, x, Some(&residual), Activation::None, &mut out);
        assert_near("out", &out, &expected, 1e-6);
        let gy = &residual;
        let (mut gx, mut gx_wide) = (unwritten(x.len()), unwritten(x.len()));
        half.backward_input(rows, gy, &mut gx);
        wide.backward_input(rows, gy, &mut gx_wide);
        assert_eq!(gx, gx_wide);
    });
}

#[test]
fn the_fused_geglu_equals_its_steps() {
    with_half_precision(|half, wide, x| {
        let (rows, width) = (19, wide.out_features / 2);
        let (mut both, mut expected) = (unwritten(rows * 2 * width), unwritten(rows * width));
        wide.forward(rows, x, None, Activation::None, &mut both);
        geglu_forward(rows, width, &both, &mut expected);
        for layer in [half, wide] {
            let mut out = unwritten(rows * width);
            layer.forward_geglu(rows, x, &mut out);
            assert_eq!(out, expected);
        }
    });
}
