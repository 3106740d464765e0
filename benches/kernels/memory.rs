//! What is neither a product nor a convolution, on the shapes of Stable Diffusion 1.5 at 512 × 512, two pictures (a
//! guided step), and of the VAE's decoder; each beside a copy of as much memory.

use std::hint::black_box;

use atelier::kernels::activation::{geglu_forward, quick_gelu_forward, silu_forward};
use atelier::kernels::elementwise::add_channels;
use atelier::kernels::layout::transpose_each;
use atelier::kernels::norm::{GroupNorm, LayerNorm};
use atelier::kernels::upsample::nearest_forward;

use super::measure::{Case, Way, numbers};

/// Pictures, channels and px of a map.
const MAPS: [(usize, usize, usize); 4] = [(2, 320, 4096), (2, 1280, 64), (1, 512, 4096), (1, 128, 512 * 512)];

/// Norms and activations.
pub fn norms() -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, channels, pixels) in MAPS {
        for silu in [true, false] {
            let norm = GroupNorm { batch, channels, pixels, groups: 32, eps: 1e-5, silu };
            let name = format!("group norm, SiLU {silu}: {batch} × {channels} × {pixels}");
            let len = batch * channels * pixels;
            cases.push(case(name, [len, channels, channels], len, move |[x, scale, shift], out| {
                norm.forward(x, scale, shift, out);
            }));
        }
    }
    for (rows, width) in [(8192, 320), (2048, 640), (512, 1280), (77, 768)] {
        let norm = LayerNorm { rows, width, eps: 1e-5 };
        cases.push(case(format!("layer norm: {rows} × {width}"), [rows * width, width, width], rows * width, {
            move |[x, scale, shift], out| norm.forward(x, scale, shift, out)
        }));
        cases.push(case(format!("GEGLU: {rows} × 2 × {}", 4 * width), [rows * width * 8, 0, 0], rows * width * 4, {
            move |[x, ..], out| geglu_forward(rows, 4 * width, x, out)
        }));
    }
    cases.push(case("SiLU: 2 × 320 × 4096".into(), [2 * 320 * 4096, 0, 0], 2 * 320 * 4096, |[x, ..], out| {
        silu_forward(x, out);
    }));
    cases.push(case("quick GELU: 77 × 3072".into(), [77 * 3072, 0, 0], 77 * 3072, |[x, ..], out| {
        quick_gelu_forward(x, out);
    }));
    cases
}

/// Sums and changes of layout.
pub fn layouts() -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, channels, pixels) in MAPS {
        let (shape, len) = (format!("{batch} × {channels} × {pixels}"), batch * channels * pixels);
        cases.push(case(format!("add to channels: {shape}"), [len, batch * channels, 0], len, {
            move |[x, shift, _], out| add_channels(pixels, x, shift, out)
        }));
        cases.push(case(format!("map to tokens: {shape}"), [len, 0, 0], len, {
            move |[x, ..], out| transpose_each(batch, channels, pixels, x, out)
        }));
        cases.push(case(format!("tokens to map: {shape}"), [len, 0, 0], len, {
            move |[x, ..], out| transpose_each(batch, pixels, channels, x, out)
        }));
    }
    for (planes, side) in [(2 * 1280, 8), (2 * 640, 32), (256, 256)] {
        cases.push(case(
            format!("upsample: {planes} × {side}²"),
            [planes * side * side, 0, 0],
            4 * planes * side * side,
            move |[x, ..], out| nearest_forward(planes, (side, side), (2 * side, 2 * side), x, out),
        ));
    }
    cases
}

/// A kernel from inputs of these lengths to a result of length `of_out`.
fn case(
    name: String,
    lengths: [usize; 3],
    of_out: usize,
    mut run: impl FnMut([&[f32]; 3], &mut [f32]) + 'static,
) -> Case {
    let ways = move || {
        let inputs = [0, 1, 2].map(|i| numbers(i as u64, lengths[i]));
        let mut out = vec![0.0; of_out];
        let moved = lengths.iter().sum::<usize>().midpoint(out.len());
        let (from, mut to) = (numbers(4, moved), vec![0.0; moved]);
        vec![
            Way::new("kernel", move || run([&inputs[0], &inputs[1], &inputs[2]], black_box(&mut out))),
            Way::new("copy", move || black_box(&mut to).copy_from_slice(&from)),
        ]
    };
    // Memory bounds these, so arithmetic is not counted.
    Case { name, flop: 0.0, ways: Box::new(ways) }
}
