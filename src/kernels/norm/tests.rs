//! The norms against plain loops in f64.

use proptest::prelude::*;

use super::{GroupNorm, LayerNorm};
use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, unwritten, values};

/// One run of values with common statistics, in f64: the result and the gradients of the input and, value by value,
/// of scale and shift.
fn reference(x: &[f64], gamma: &[f64], beta: &[f64], gy: &[f64], eps: f64, silu: bool) -> [Vec<f64>; 4] {
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let inverse = 1.0 / (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count + eps).sqrt();
    let normal: Vec<f64> = x.iter().map(|x| (x - mean) * inverse).collect();
    let y: Vec<f64> = normal.iter().zip(gamma).zip(beta).map(|((x, gamma), beta)| x * gamma + beta).collect();
    let sigma = |y: f64| 1.0 / (1.0 + (-y).exp());
    let slope = |y: f64| if silu { sigma(y) * (1.0 + y * (1.0 - sigma(y))) } else { 1.0 };
    let g: Vec<f64> = gy.iter().zip(&y).map(|(gy, y)| gy * slope(*y)).collect();
    // d out_i / d x_j = gamma_i inverse (δ_ij - 1/n - normal_i normal_j / n)
    let sum = g.iter().zip(gamma).map(|(g, gamma)| g * gamma).sum::<f64>() / count;
    let dot = (0..x.len()).map(|i| g[i] * gamma[i] * normal[i]).sum::<f64>() / count;
    let gx = (0..x.len()).map(|i| inverse * (g[i] * gamma[i] - sum - normal[i] * dot)).collect();
    let of_gamma = g.iter().zip(&normal).map(|(g, normal)| g * normal).collect();
    let out = y.iter().map(|y| if silu { y * sigma(*y) } else { *y }).collect();
    [out, gx, of_gamma, g]
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

fn check_group(norm: &GroupNorm, x: &[f32]) {
    let (gamma, beta, gy) = (values(2, norm.channels), values(3, norm.channels), values(4, x.len()));
    let run = norm.channels / norm.groups * norm.pixels;
    let channel = |at: usize| at / norm.pixels % norm.channels;
    let (mut out, mut gx) = (Vec::new(), Vec::new());
    let (mut ggamma, mut gbeta) = (vec![0.0; norm.channels], vec![0.0; norm.channels]);
    for from in (0..x.len()).step_by(run.max(1)) {
        let here = from..from + run;
        let gammas: Vec<f64> = here.clone().map(|at| f64::from(gamma[channel(at)])).collect();
        let betas: Vec<f64> = here.clone().map(|at| f64::from(beta[channel(at)])).collect();
        let [y, g, of_gamma, of_beta] = reference(
            &wide(&x[here.clone()]),
            &gammas,
            &betas,
            &wide(&gy[here.clone()]),
            f64::from(norm.eps),
            norm.silu,
        );
        out.extend(y);
        gx.extend(g);
        for (i, at) in here.enumerate() {
            ggamma[channel(at)] += of_gamma[i];
            gbeta[channel(at)] += of_beta[i];
        }
    }
    let mut actual = unwritten(x.len());
    norm.forward(x, &gamma, &beta, &mut actual);
    assert_near("out", &actual, &out, 3e-6);
    let mut actual = (unwritten(x.len()), unwritten(norm.channels), unwritten(norm.channels));
    norm.backward(x, &gamma, &beta, &gy, &mut actual.0, &mut actual.1, &mut actual.2);
    assert_near("gx", &actual.0, &gx, 3e-6);
    assert_near("ggamma", &actual.1, &ggamma, 3e-6);
    assert_near("gbeta", &actual.2, &gbeta, 3e-6);
}

fn check_layer(norm: &LayerNorm, x: &[f32]) {
    let (gamma, beta, gy) = (values(2, norm.width), values(3, norm.width), values(4, x.len()));
    let (mut out, mut gx) = (Vec::new(), Vec::new());
    let (mut ggamma, mut gbeta) = (vec![0.0; norm.width], vec![0.0; norm.width]);
    for row in 0..x.len() / norm.width.max(1) {
        let here = row * norm.width..(row + 1) * norm.width;
        let (x, gy) = (wide(&x[here.clone()]), wide(&gy[here]));
        let [y, g, of_gamma, of_beta] = reference(&x, &wide(&gamma), &wide(&beta), &gy, f64::from(norm.eps), false);
        out.extend(y);
        gx.extend(g);
        ggamma.iter_mut().zip(of_gamma).for_each(|(sum, value)| *sum += value);
        gbeta.iter_mut().zip(of_beta).for_each(|(sum, value)| *sum += value);
    }
    let mut actual = unwritten(x.len());
    norm.forward(x, &gamma, &beta, &mut actual);
    assert_near("out", &actual, &out, 3e-6);
    let mut actual = (unwritten(x.len()), unwritten(norm.width), unwritten(norm.width));
    norm.backward(x, &gamma, &beta, &gy, &mut actual.0, &mut actual.1, &mut actual.2);
    assert_near("gx", &actual.0, &gx, 3e-6);
    assert_near("ggamma", &actual.1, &ggamma, 3e-6);
    assert_near("gbeta", &actual.2, &gbeta, 3e-6);
}

proptest! {
    #[test]
    fn group_norm_equals_plain_loops(
        (batch, groups, per_group, pixels) in (0_usize..3, 1_usize..4, 0_usize..4, 0_usize..30),
        silu: bool,
    ) {
        let norm = GroupNorm { batch, channels: groups * per_group, pixels, groups, eps: 1e-2, silu };
        check_group(&norm, &values(1, batch * groups * per_group * pixels));
    }

    #[test]
    fn layer_norm_equals_plain_loops(rows in 0_usize..40, width in 0_usize..30) {
        check_layer(&LayerNorm { rows, width, eps: 1e-2 }, &values(1, rows * width));
    }
}

#[test]
fn long_runs_equal_plain_loops() {
    let norm = GroupNorm { batch: 1, channels: 2, pixels: 3001, groups: 1, eps: 1e-5, silu: true };
    check_group(&norm, &values(1, 6002));
    check_layer(&LayerNorm { rows: 2100, width: 5, eps: 1e-2 }, &values(1, 10500));
}

#[test]
fn a_large_mean_does_not_drown_the_variance() {
    // E[x²] - mean² in f32 has no correct digit here.
    let x: Vec<f32> = values(1, 4096).into_iter().map(|value| 1000.0 + value).collect();
    let norm = GroupNorm { batch: 1, channels: 1, pixels: 4096, groups: 1, eps: 1e-5, silu: false };
    let mut out = unwritten(4096);
    norm.forward(&x, &[1.0], &[0.0], &mut out);
    let variance = out.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / 4096.0;
    assert!((variance - 1.0).abs() < 1e-3, "{variance}");
}

#[test]
fn not_a_number_stays_in_its_group() {
    let norm = GroupNorm { batch: 1, channels: 4, pixels: 9, groups: 2, eps: 1e-5, silu: true };
    let mut x = values(1, 36);
    x[20] = f32::NAN;
    let mut out = unwritten(36);
    norm.forward(&x, &[1.0; 4], &[0.0; 4], &mut out);
    assert!(out[..18].iter().all(|value| value.is_finite()));
    assert!(out[18..].iter().all(|value| value.is_nan()));
}

#[test]
fn the_threads_change_nothing() {
    let (x, gy) = (values(1, 12_000), values(2, 12_000));
    let group = GroupNorm { batch: 5, channels: 24, pixels: 100, groups: 8, eps: 1e-5, silu: true };
    let layer = LayerNorm { rows: 500, width: 24, eps: 1e-5 };
    let (gamma, beta) = (values(3, 24), values(4, 24));
    assert_same_on_any_thread_count(|| {
        let mut of_group = (unwritten(12_000), unwritten(24), unwritten(24));
        let mut of_layer = of_group.clone();
        group.backward(&x, &gamma, &beta, &gy, &mut of_group.0, &mut of_group.1, &mut of_group.2);
        layer.backward(&x, &gamma, &beta, &gy, &mut of_layer.0, &mut of_layer.1, &mut of_layer.2);
        [of_group.0, of_group.1, of_group.2, of_layer.0, of_layer.1, of_layer.2].concat()
    });
}
