//! 3×3 convolutions of Stable Diffusion 1.5 at 512 × 512: the `UNet`'s with two pictures (a guided step), the decoder's.

use std::hint::black_box;

use atelier::kernels::conv2d::{Conv2d, Padding};
use atelier::kernels::norm::GroupNorm;
use atelier::kernels::values::Values;
use candle_core::{Device, Tensor};
use half::f16;

use super::measure::{Case, Way, numbers};

/// Of many channels; those that follow a doubling read the small picture.
pub fn convolutions() -> Vec<Case> {
    let unet = [
        (320, 320, 64),
        (640, 320, 64),
        (960, 320, 64),
        (640, 640, 32),
        (1280, 640, 32),
        (1920, 640, 32),
        (1280, 1280, 16),
        (2560, 1280, 16),
        (1280, 1280, 8),
        (2560, 1280, 8),
    ];
    let decoder = [
        (512, 512, 64),
        (512, 512, 128),
        (512, 256, 256),
        (256, 256, 256),
        (256, 128, 512),
        (128, 128, 512),
        (128, 3, 512),
    ];
    let doubled = [(2, 1280, 8), (2, 1280, 16), (2, 640, 32), (1, 512, 64), (1, 512, 128), (1, 256, 256)];
    let plain = |batch| move |(inputs, outputs, side)| case(batch, inputs, outputs, side, false);
    let mut cases: Vec<Case> = unet.into_iter().map(plain(2)).chain(decoder.into_iter().map(plain(1))).collect();
    cases.extend(doubled.into_iter().map(|(batch, channels, side)| case(batch, channels, channels, side, true)));
    cases
}

fn case(batch: usize, inputs: usize, outputs: usize, side: usize, enlarged: bool) -> Case {
    let conv = Conv2d {
        batch,
        in_channels: inputs,
        in_height: side,
        in_width: side,
        out_channels: outputs,
        kernel_height: 3,
        kernel_width: 3,
        stride: 1,
        padding: Padding::all(1),
        enlarged,
    };
    let out_side = conv.out_height();
    let ways = move || {
        let (x, w) = (numbers(1, batch * inputs * side * side), numbers(2, outputs * inputs * 9));
        let (bias, residual) = (numbers(3, outputs), numbers(4, batch * outputs * out_side * out_side));
        let w16: Vec<f16> = w.iter().map(|value| f16::from_f32(*value)).collect();
        let tensors = Tensor::from_slice(&x, (batch, inputs, side, side), &Device::Cpu)
            .ok()
            .zip(Tensor::from_slice(&w, (outputs, inputs, 3, 3), &Device::Cpu).ok());
        let mut out = vec![0.0; residual.len()];
        let mut out16 = out.clone();
        let (x16, bias16) = (x.clone(), bias.clone());
        let mut ways = vec![
            Way::new("f32", move || conv.forward(&x, Values::F32(&w), Some(&bias), None, black_box(&mut out))),
            normed(conv),
            Way::new("f16, residual", move || {
                let added = (Some(&bias16[..]), Some(&residual[..]));
                conv.forward(&x16, Values::F16(&w16), added.0, added.1, black_box(&mut out16));
            }),
        ];
        // As columns candle's largest would take gigabytes.
        if out_side <= 128 {
            ways.push(candle(tensors, enlarged.then_some(out_side)));
        }
        ways
    };
    Case {
        name: format!(
            "3×3 convolution: {inputs} → {outputs} at {out_side}²{}",
            if enlarged { ", doubled" } else { "" }
        ),
        flop: 2.0 * (batch * out_side * out_side * inputs * 9 * outputs) as f64,
        ways: Box::new(ways),
    }
}

/// With the group norm and `SiLU` that stand before most of them done as the input is read.
fn normed(conv: Conv2d) -> Way {
    let (channels, pixels) = (conv.in_channels, conv.in_height * conv.in_width);
    let norm = GroupNorm { batch: conv.batch, channels, pixels, groups: 32, eps: 1e-5, silu: true };
    let (x, w) = (numbers(1, conv.batch * channels * pixels), numbers(2, conv.out_channels * channels * 9));
    let (scale, shift) = (numbers(3, channels), numbers(4, channels));
    let mut out = vec![0.0; conv.batch * conv.out_channels * conv.out_height() * conv.out_width()];
    Way::new("f32, normed", move || {
        if conv.normalises() {
            let normals = norm.normals(&x, None, &scale, &shift);
            conv.forward_normed(&x, &normals, Values::F32(&w), None, None, black_box(&mut out));
        } else {
            let mut before = vec![0.0; x.len()];
            norm.forward(&x, &scale, &shift, &mut before);
            conv.forward(&before, Values::F32(&w), None, None, black_box(&mut out));
        }
    })
}

/// Candle's own, without a bias; `side` of the picture where it is to be enlarged.
fn candle(operands: Option<(Tensor, Tensor)>, side: Option<usize>) -> Way {
    let (x, w) = operands.expect("a slice of a tensor's length makes it");
    Way::new("candle", move || {
        let enlarged = side.map(|side| x.upsample_nearest2d(side, side).expect("it can be enlarged"));
        black_box(enlarged.as_ref().unwrap_or(&x).conv2d(&w, 1, 1, 1, 1).expect("the shapes fit"));
    })
}
