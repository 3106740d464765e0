//! Linear layers and 1×1 convolutions of Stable Diffusion 1.5 at 512 × 512, two pictures (a guided step), its text
//! encoder and its VAE.

use std::hint::black_box;

use atelier::kernels::activation::geglu_forward;
use atelier::kernels::gemm::{Activation, Bias, Finish, Matrix, product};
use atelier::kernels::linear::Linear;
use atelier::kernels::values::Values;
use candle_core::{Device, Tensor};
use half::f16;

use super::measure::{Case, Way, numbers};

/// Layers from tokens to tokens.
pub fn linear() -> Vec<Case> {
    let mut cases = Vec::new();
    for (tokens, channels) in [(8192, 320), (2048, 640), (512, 1280), (128, 1280)] {
        cases.push(layer("attention's", tokens, channels, channels));
        cases.push(geglu(tokens, channels, 4 * channels));
        cases.push(layer("GEGLU's way back,", tokens, 4 * channels, channels));
    }
    for channels in [320, 640, 1280] {
        cases.push(layer("the prompt's", 154, 768, channels));
    }
    for (inputs, outputs) in [(768, 768), (768, 3072), (3072, 768)] {
        cases.push(layer("text encoder's", 77, inputs, outputs));
    }
    cases.push(layer("time's", 2, 1280, 1280));
    cases
}

/// A layer with a bias: the numbers of its weight in f32 and f16.
fn layer(what: &str, rows: usize, inputs: usize, outputs: usize) -> Case {
    let ways = move || {
        let (x, w, bias) = (numbers(1, rows * inputs), numbers(2, outputs * inputs), numbers(3, outputs));
        let w16: Vec<f16> = w.iter().map(|value| f16::from_f32(*value)).collect();
        let tensors = matrix(&x, inputs).zip(matrix(&w, inputs).and_then(|w| w.t().ok()));
        let forward = move |w: Values<'_>, x: &[f32], bias: &[f32], out: &mut [f32]| {
            let layer = Linear { in_features: inputs, out_features: outputs, weight: w, bias: Some(bias) };
            layer.forward(rows, x, None, Activation::None, out);
        };
        let mut out = vec![0.0; rows * outputs];
        let mut out16 = out.clone();
        let (x16, bias16) = (x.clone(), bias.clone());
        vec![
            Way::new("f32", move || forward(Values::F32(&w), &x, &bias, black_box(&mut out))),
            Way::new("f16 weight", move || forward(Values::F16(&w16), &x16, &bias16, black_box(&mut out16))),
            candle(tensors),
        ]
    };
    Case {
        name: format!("linear: {what} {rows} × {inputs} → {outputs}"),
        flop: 2.0 * (rows * inputs * outputs) as f64,
        ways: Box::new(ways),
    }
}

/// The gated layer in one kernel, and as a product and a gate.
fn geglu(rows: usize, inputs: usize, width: usize) -> Case {
    let ways = move || {
        let (x, w, bias) = (numbers(1, rows * inputs), numbers(2, 2 * width * inputs), numbers(3, 2 * width));
        let w16: Vec<f16> = w.iter().map(|value| f16::from_f32(*value)).collect();
        let (x2, w2, bias2) = (x.clone(), w16.clone(), bias.clone());
        let mut out = vec![0.0; rows * width];
        let mut out2 = out.clone();
        let mut both = vec![0.0; rows * 2 * width];
        vec![
            Way::new("f16 weight", move || {
                let bias = Some(&bias[..]);
                let layer = Linear { in_features: inputs, out_features: 2 * width, weight: Values::F16(&w16), bias };
                layer.forward_geglu(rows, &x, black_box(&mut out));
            }),
            Way::new("in two steps", move || {
                let bias = Some(&bias2[..]);
                let layer = Linear { in_features: inputs, out_features: 2 * width, weight: Values::F16(&w2), bias };
                layer.forward(rows, &x2, None, Activation::None, &mut both);
                geglu_forward(rows, width, &both, black_box(&mut out2));
            }),
        ]
    };
    Case {
        name: format!("linear: GEGLU {rows} × {inputs} → 2 × {width}"),
        flop: 2.0 * (rows * inputs * 2 * width) as f64,
        ways: Box::new(ways),
    }
}

/// 1×1 convolutions, one picture each.
pub fn pointwise() -> Vec<Case> {
    let shapes = [
        (960, 320, 64),
        (640, 320, 64),
        (320, 320, 64),
        (1920, 640, 32),
        (640, 640, 32),
        (2560, 1280, 16),
        (1280, 1280, 16),
        (2560, 1280, 8),
        (512, 256, 256),
        (256, 128, 512),
    ];
    shapes.into_iter().map(|(inputs, outputs, side)| pointwise_case(inputs, outputs, side)).collect()
}

fn pointwise_case(inputs: usize, outputs: usize, side: usize) -> Case {
    let pixels = side * side;
    let ways = move || {
        let (x, w, bias) = (numbers(1, inputs * pixels), numbers(2, outputs * inputs), numbers(3, outputs));
        let w16: Vec<f16> = w.iter().map(|value| f16::from_f32(*value)).collect();
        let tensors = matrix(&w, inputs).zip(matrix(&x, pixels));
        let forward = move |w: Values<'_>, x: &[f32], bias: &[f32], out: &mut [f32]| {
            let finish = Finish { bias: Bias::PerRow(bias), ..Finish::default() };
            product(outputs, pixels, inputs, Matrix::new(w, inputs), Matrix::new(x, pixels), finish, out, pixels);
        };
        let mut out = vec![0.0; outputs * pixels];
        let mut out16 = out.clone();
        let (x16, bias16) = (x.clone(), bias.clone());
        vec![
            Way::new("f32", move || forward(Values::F32(&w), &x, &bias, black_box(&mut out))),
            Way::new("f16 weight", move || forward(Values::F16(&w16), &x16, &bias16, black_box(&mut out16))),
            candle(tensors),
        ]
    };
    Case {
        name: format!("1×1 convolution: {inputs} → {outputs} at {side}²"),
        flop: 2.0 * (pixels * inputs * outputs) as f64,
        ways: Box::new(ways),
    }
}

/// Row by row.
fn matrix(values: &[f32], cols: usize) -> Option<Tensor> {
    Tensor::from_slice(values, (values.len() / cols, cols), &Device::Cpu).ok()
}

/// The product of two tensors, without a bias: the `gemm` crate, as candle calls it.
fn candle(operands: Option<(Tensor, Tensor)>) -> Way {
    let (a, b) = operands.expect("a slice of a matrix's length makes a tensor");
    Way::new("candle", move || {
        black_box(a.matmul(&b).expect("the shapes fit"));
    })
}
