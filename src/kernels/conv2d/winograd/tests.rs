//! Winograd's convolution against plain loops in f64, with every micro-kernel that this processor can run.

use proptest::prelude::*;

use super::Winograd;
use crate::kernels::conv2d::direct::Weights;
use crate::kernels::conv2d::packed::Source;
use crate::kernels::conv2d::{Added, Conv2d, Padding};
use crate::kernels::micro::{Micro, runnable};
use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, unwritten, values};
use crate::kernels::values::Values;
use half::{bf16, f16};

/// Of the greatest result; see `points`.
const TOLERANCE: f64 = 5e-6;

/// A 3 × 3 convolution with stride 1.
fn conv(batch: usize, channels: (usize, usize), size: (usize, usize), padding: Padding, enlarged: bool) -> Conv2d {
    Conv2d {
        batch,
        in_channels: channels.0,
        in_height: size.0,
        in_width: size.1,
        out_channels: channels.1,
        kernel_height: 3,
        kernel_width: 3,
        stride: 1,
        padding,
        enlarged,
    }
}

/// The same, in f64, of weights `[out, in, 3, 3]`, or if `turned` of their gradient `[in, out, 3, 3]`.
fn plain(source: &Source, outs: usize, x: &[f32], w: &[f32], turned: bool, mut out: Vec<f64>) -> Vec<f64> {
    let rows =
        (0..source.batch).flat_map(|b| (0..outs).flat_map(move |o| (0..source.out_height).map(move |y| (b, o, y))));
    let scale = if source.enlarged { 2 } else { 1 };
    for ((b, o, y), out) in rows.zip(out.chunks_exact_mut(source.out_width.max(1))) {
        for (at, out) in out.iter_mut().enumerate() {
            for i in 0..source.channels {
                for (ky, kx) in (0..3).flat_map(|ky| (0..3).map(move |kx| (ky, kx))) {
                    let y = y as isize + ky as isize - source.top;
                    let x_at = at as isize + kx as isize - source.left;
                    if y < 0 || y >= source.height as isize || x_at < 0 || x_at >= source.width as isize {
                        continue;
                    }
                    let (y, x_at) = (y as usize / scale, x_at as usize / scale);
                    let plane = (b * source.channels + i) * (source.height / scale);
                    let tap = 3 * ky + kx;
                    let w =
                        if turned { w[(i * outs + o) * 9 + 8 - tap] } else { w[(o * source.channels + i) * 9 + tap] };
                    *out += f64::from(x[(plane + y) * (source.width / scale) + x_at]) * f64::from(w);
                }
            }
        }
    }
    out
}

/// Runs the convolution of a source, with a weight of a kind (f32, f16, bf16).
fn run(
    source: Source,
    outs: usize,
    x: &[f32],
    w: &[f32],
    (kind, turned): (usize, bool),
    added: Added,
    micro: &'static Micro,
) -> Vec<f32> {
    let halves: Vec<f16> = w.iter().map(|value| f16::from_f32(*value)).collect();
    let brains: Vec<bf16> = w.iter().map(|value| bf16::from_f32(*value)).collect();
    let weights = [Values::F32(w), Values::F16(&halves), Values::Bf16(&brains)][kind];
    let taps: Vec<usize> = (0..9).rev().collect();
    let weights = if turned { Weights::Turned { weights, kernel: 9, taps: &taps } } else { Weights::Plain(weights) };
    let mut out = unwritten(source.batch * outs * source.out_height * source.out_width);
    Winograd { source, out_channels: outs, weights, normals: None, micro }.run(x, added, &mut out);
    out
}

/// Compares with plain loops.
fn check(conv: &Conv2d, kind: usize, turned: bool, with: (bool, bool)) {
    let source = conv.source();
    let outs = conv.out_channels;
    let x = values(1, conv.in_len());
    // Weights that all kinds hold exactly.
    let w: Vec<f32> = values(2, conv.weight_len()).iter().map(|value| (value * 64.0).round() / 64.0).collect();
    let (bias, residual) = (values(3, outs), values(4, conv.out_len()));
    let pixels = source.out_height * source.out_width;
    let added = |at: usize| {
        let bias = if with.0 { f64::from(bias[at / pixels % outs]) } else { 0.0 };
        if with.1 { bias + f64::from(residual[at]) } else { bias }
    };
    let expected = plain(&source, outs, &x, &w, turned, (0..conv.out_len()).map(added).collect());
    let added = Added { bias: with.0.then_some(&bias), residual: with.1.then_some(&residual) };
    for micro in runnable() {
        assert_near(micro.name, &run(source, outs, &x, &w, (kind, turned), added, micro), &expected, TOLERANCE);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn equals_plain_loops(
        (batch, inputs, outputs) in (0_usize..4, 1_usize..12, 1_usize..20),
        (height, width) in (1_usize..14, 1_usize..24),
        (top, bottom, left, right) in (0_usize..4, 0_usize..4, 0_usize..4, 0_usize..4),
        (kind, turned, bias, residual, enlarged) in
            (0_usize..3, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
    ) {
        let padding = Padding { top, bottom, left, right };
        check(&conv(batch, (inputs, outputs), (height, width), padding, enlarged), kind, turned, (bias, residual));
    }
}

#[test]
fn several_strips_groups_and_blocks_equal_plain_loops() {
    for (channels, size) in [
        // Many tiles: strips, with all factors of the weights kept.
        ((8, 9), (120, 200)),
        // Many channels: groups, with all factors of the inputs kept; more channels than a block of the product.
        ((300, 205), (260, 1)),
        // Wide rows, of several pieces of work.
        ((3, 2), (9, 1100)),
        // Few tiles, with several blocks of channels.
        ((150, 70), (4, 9)),
    ] {
        check(&conv(1, channels, size, Padding::all(1), false), channels.0 % 3, false, (true, true));
    }
}

#[test]
fn not_a_number_stays_within_the_tiles_that_read_it() {
    let conv = conv(2, (3, 2), (16, 16), Padding::all(1), false);
    let w = values(2, conv.weight_len());
    for micro in runnable() {
        let mut x = values(1, conv.in_len());
        let run = |x: &[f32]| run(conv.source(), 2, x, &w, (0, false), Added::NOTHING, micro);
        let whole = run(&x);
        // Row 5 and column 6 of the first picture's second channel: in the middle of the second row's second tile.
        x[256 + 5 * 16 + 6] = f32::NAN;
        for (at, (value, whole)) in run(&x).into_iter().zip(whole).enumerate() {
            let (picture, y, x) = (at / 512, at / 16 % 16, at % 16);
            let reads = picture == 0 && (4..8).contains(&y) && (4..8).contains(&x);
            assert!(if reads { value.is_nan() } else { value.to_bits() == whole.to_bits() }, "{at}: {value}");
        }
    }
}

#[test]
fn the_threads_change_nothing() {
    let conv = conv(2, (70, 100), (33, 41), Padding::all(1), false);
    let (x, w) = (values(1, conv.in_len()), values(2, conv.weight_len()));
    let micro = crate::kernels::micro::micro();
    assert_same_on_any_thread_count(|| run(conv.source(), 100, &x, &w, (0, false), Added::NOTHING, micro));
}
