//! The operations of graphics cards against the processor's kernels: results and gradients.

use candle_core::{DType, Device, Result, Tensor, Var};

use super::*;
use crate::nn::place::with_portable;

fn wave(shape: &[usize], step: f32) -> Tensor {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * step).sin() + 0.1).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn var(shape: &[usize], step: f32) -> Var {
    Var::from_tensor(&wave(shape, step)).unwrap()
}

fn largest(x: &Tensor) -> f32 {
    x.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

/// Compares an operation's result, and the gradients of all of `vars`, with the kernels'; what is summed up is weighted, so
/// that each value of the result counts for itself.
fn same(name: &str, vars: &[&Var], work: impl Fn() -> Result<Tensor>) {
    let run = |is_portable| {
        with_portable(is_portable, || {
            let out = work().unwrap_or_else(|error| panic!("{name}: {error}"));
            let weighted = (&out * wave(out.dims(), 0.31)).unwrap().sum_all().unwrap();
            let store = weighted.backward().unwrap_or_else(|error| panic!("{name}: {error}"));
            let gradient = |var: &&Var| store.get(var).unwrap_or_else(|| panic!("{name}: no gradient")).clone();
            (out.detach(), vars.iter().map(gradient).collect::<Vec<_>>())
        })
    };
    let ((kernels, of_kernels), (portable, of_portable)) = (run(false), run(true));
    let close = |what: &str, a: &Tensor, b: &Tensor| {
        assert_eq!(a.dims(), b.dims(), "{name} {what}");
        let error = largest(&(a - b).unwrap()) / largest(a).max(1.0);
        assert!(error < 2e-5, "{name} {what}: {error}");
    };
    close("result", &kernels, &portable);
    for (i, (a, b)) in of_kernels.iter().zip(&of_portable).enumerate() {
        close(&format!("gradient {i}"), a, b);
    }
    // Where nobody asks for gradients, the same comes of it.
    let plain = with_portable(true, || without_gradients(&work)).unwrap();
    assert!(!plain.track_op(), "{name}");
    close("result without gradients", &kernels, &plain);
}

#[test]
fn value_by_value() {
    let x = var(&[2, 4, 6], 0.7);
    same("silu", &[&x], || silu(&x));
    same("gelu", &[&x], || gelu(&x));
    same("quick_gelu", &[&x], || quick_gelu(&x));
    same("geglu", &[&x], || geglu(&x));
    let (map, shift) = (var(&[2, 4, 3, 5], 0.7), var(&[2, 4], 1.3));
    same("add_channels", &[&map, &shift], || add_channels(&map, &shift));
}

#[test]
fn moving_values() {
    let (map, tokens) = (var(&[2, 4, 3, 5], 0.7), var(&[2, 15, 4], 0.9));
    same("to_tokens", &[&map], || to_tokens(&map));
    same("from_tokens", &[&tokens], || from_tokens(&tokens, 3, 5));
    for (height, width) in [(6, 10), (7, 9), (3, 5)] {
        same("upsample_nearest", &[&map], || upsample_nearest(&map, height, width));
    }
}

#[test]
fn norms() {
    let (map, weight, bias) = (var(&[2, 6, 3, 5], 0.7), var(&[6], 1.1), var(&[6], 1.9));
    for silu in [false, true] {
        let way = GroupNormWay { groups: 3, eps: 1e-5, silu };
        same("group_norm", &[&map, &weight, &bias], || group_norm(&map, &weight, &bias, way));
    }
    let rows = var(&[2, 5, 6], 0.7);
    same("layer_norm", &[&rows, &weight, &bias], || layer_norm(&rows, &weight, &bias, 1e-5));
}

#[test]
fn linear_layers() {
    let (x, weight, bias, residual) = (var(&[2, 5, 6], 0.7), var(&[8, 6], 1.1), var(&[8], 1.9), var(&[2, 5, 8], 0.3));
    let trained = || Weight::Tensor(weight.as_tensor().clone());
    let frozen = || Weight::Tensor(weight.detach());
    same("linear", &[&x, &weight, &bias, &residual], || linear(&x, &trained(), Some(&bias), Some(&residual)));
    same("frozen linear", &[&x, &residual], || linear(&x, &frozen(), Some(&bias.detach()), Some(&residual)));
    same("linear_geglu", &[&x, &weight, &bias], || linear_geglu(&x, &trained(), Some(&bias)));
    let map = var(&[2, 6, 3, 5], 0.7);
    same("map_to_tokens", &[&map, &weight], || map_to_tokens_linear(&map, &trained(), Some(&bias)));
    let (tokens, back) = (var(&[2, 15, 6], 0.9), var(&[2, 8, 3, 5], 0.4));
    same("tokens_to_map", &[&tokens, &back], || tokens_to_map_linear(&tokens, &frozen(), None, &back));
    let (down, up) = (var(&[3, 6], 1.3), var(&[8, 3], 1.7));
    let change = || Change { down: down.as_tensor(), up: up.as_tensor(), scale: 0.5 };
    same("low_rank_linear", &[&x, &down, &up, &residual], || {
        low_rank_linear(&x, &frozen(), Some(&bias.detach()), change(), Some(&residual))
    });
}

#[test]
fn convolutions() {
    let asymmetric = Padding { top: 0, bottom: 1, left: 0, right: 1 };
    for (kernel, stride, padding, enlarged, sides) in [
        (3, 1, Padding::all(1), false, (5, 7)),
        (3, 2, Padding::all(1), false, (6, 7)),
        (3, 2, asymmetric, false, (6, 8)),
        (1, 1, Padding::all(0), false, (4, 5)),
        (3, 1, Padding::all(1), true, (3, 4)),
        (2, 3, asymmetric, false, (9, 8)),
    ] {
        let (x, weight) = (var(&[2, 3, sides.0, sides.1], 0.7), var(&[4, 3, kernel, kernel], 1.1));
        let (bias, way) = (var(&[4], 1.9), ConvWay { stride, padding, enlarged });
        let name = format!("conv2d {kernel} {stride} {padding:?} {enlarged}");
        let trained = || Weight::Tensor(weight.as_tensor().clone());
        same(&name, &[&x, &weight, &bias], || conv2d(&x, &trained(), Some(&bias), None, way));
        let frozen = || Weight::Tensor(weight.detach());
        same(&format!("frozen {name}"), &[&x], || conv2d(&x, &frozen(), Some(&bias.detach()), None, way));
    }
}

#[test]
fn attention_with_gradients() {
    let (q, k, v) = (var(&[2, 5, 8], 0.7), var(&[2, 7, 8], 1.1), var(&[2, 7, 8], 1.9));
    same("attention", &[&q, &k, &v], || attention(&q, &k, &v, 2, false));
    let (k, v) = (var(&[2, 5, 8], 1.1), var(&[2, 5, 8], 1.9));
    same("causal attention", &[&q, &k, &v], || attention(&q, &k, &v, 4, true));
}

#[test]
fn norms_before_convolutions() {
    let (x, shift, residual) = (var(&[2, 4, 5, 6], 0.7), var(&[2, 4], 1.3), var(&[2, 4, 5, 6], 0.2));
    let (scale, offset, weight, bias) =
        (wave(&[4], 1.1), wave(&[4], 1.7), Weight::Tensor(wave(&[4, 4, 3, 3], 0.9)), wave(&[4], 0.5));
    let way = GroupNormWay { groups: 2, eps: 1e-5, silu: true };
    let once = ConvWay { stride: 1, padding: Padding::all(1), enlarged: false };
    same("norm_conv2d", &[&x, &shift, &residual], || {
        let norm = Normed { weight: &scale, bias: &offset, way };
        norm_conv2d(&x, Some(&shift), norm, Convolved { weight: &weight, bias: &bias, way: once }, Some(&residual))
    });
}

#[test]
fn sixteen_bits_need_no_switch() {
    let (x, weight) = (wave(&[3, 6], 0.7), Weight::Tensor(wave(&[8, 6], 1.1)));
    let exact = linear(&x, &weight, None, None).unwrap();
    for dtype in [DType::F16, DType::BF16] {
        let out = linear(&x.to_dtype(dtype).unwrap(), &weight, None, None).unwrap();
        assert_eq!(out.dtype(), dtype);
        assert!(largest(&(out.to_dtype(DType::F32).unwrap() - &exact).unwrap()) < 0.05);
    }
}
