//! The convolution and its gradients against plain loops in f64.

use proptest::prelude::*;

use half::{bf16, f16};

use super::{Conv2d, Padding};
use crate::kernels::norm::GroupNorm;
use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, unwritten, values};
use crate::kernels::values::Values;

/// Sums of a few hundred products of values below 1, in f32.
const TOLERANCE: f64 = 5e-6;
/// Sums of thousands of values that nearly cancel, in f32 by sixty-fours.
const BIAS_TOLERANCE: f64 = 5e-5;

/// Calls `visit(index of out, index of x, index of w)` for every product of a convolution.
fn for_each_product(conv: &Conv2d, mut visit: impl FnMut(usize, usize, usize)) {
    let (height, width) = (conv.out_height(), conv.out_width());
    let scale = if conv.enlarged { 2 } else { 1 };
    for b in 0..conv.batch {
        for o in 0..conv.out_channels {
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                for i in 0..conv.in_channels {
                    for ky in 0..conv.kernel_height {
                        for kx in 0..conv.kernel_width {
                            let from_y = (y * conv.stride + ky).wrapping_sub(conv.padding.top);
                            let from_x = (x * conv.stride + kx).wrapping_sub(conv.padding.left);
                            if from_y < scale * conv.in_height && from_x < scale * conv.in_width {
                                let plane = b * conv.in_channels + i;
                                let kernel = o * conv.in_channels + i;
                                visit(
                                    ((b * conv.out_channels + o) * height + y) * width + x,
                                    (plane * conv.in_height + from_y / scale) * conv.in_width + from_x / scale,
                                    (kernel * conv.kernel_height + ky) * conv.kernel_width + kx,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a case has beside its shapes.
#[derive(Debug, Clone, Copy, Default)]
struct With {
    bias: bool,
    residual: bool,
    /// Bits of the weight: 0 for f32, 1 for f16, 2 for bf16.
    kind: usize,
}

/// Weights that f16 holds exactly, and bf16 too, so that one reference serves all kinds.
fn weights(len: usize) -> Vec<f32> {
    values(2, len).into_iter().map(|value| (value * 64.0).round() / 64.0).collect()
}

/// Calls `work` with the weights as the case has them.
fn with_kind(w: &[f32], kind: usize, work: impl FnOnce(Values)) {
    match kind {
        0 => work(Values::F32(w)),
        1 => work(Values::F16(&w.iter().map(|value| f16::from_f32(*value)).collect::<Vec<_>>())),
        _ => work(Values::Bf16(&w.iter().map(|value| bf16::from_f32(*value)).collect::<Vec<_>>())),
    }
}

/// Compares all four functions with plain loops.
fn check(conv: &Conv2d, x: &[f32], with: With) {
    let (w, gy) = (weights(conv.weight_len()), values(3, conv.out_len()));
    let (bias, residual) = (values(4, conv.out_channels), values(5, conv.out_len()));
    let pixels = conv.out_height() * conv.out_width();
    let channel = |at: usize| at / pixels % conv.out_channels;
    let given = |is_there: bool, value: f32| if is_there { f64::from(value) } else { 0.0 };
    let added = |at: usize| given(with.bias, bias[channel(at)]) + given(with.residual, residual[at]);
    let mut out: Vec<f64> = (0..conv.out_len()).map(added).collect();
    let (mut gx, mut gw) = (vec![0.0; conv.in_len()], vec![0.0; conv.weight_len()]);
    for_each_product(conv, |to, from, tap| {
        out[to] += f64::from(x[from]) * f64::from(w[tap]);
        gx[from] += f64::from(gy[to]) * f64::from(w[tap]);
        gw[tap] += f64::from(gy[to]) * f64::from(x[from]);
    });
    let mut gb = vec![0.0; conv.out_channels];
    gy.iter().enumerate().for_each(|(at, gy)| gb[channel(at)] += f64::from(*gy));

    with_kind(&w, with.kind, |w| {
        let (bias, residual) = (with.bias.then_some(&bias[..]), with.residual.then_some(&residual[..]));
        let mut actual = unwritten(out.len());
        conv.forward(x, w, bias, residual, &mut actual);
        assert_near("out", &actual, &out, TOLERANCE);
        let mut actual = unwritten(gx.len());
        conv.backward_input(&gy, w, &mut actual);
        assert_near("gx", &actual, &gx, TOLERANCE);
    });
    let mut actual = unwritten(gw.len());
    conv.backward_weight(x, &gy, &mut actual);
    assert_near("gw", &actual, &gw, TOLERANCE);
    let mut actual = unwritten(gb.len());
    conv.backward_bias(&gy, &mut actual);
    assert_near("gb", &actual, &gb, BIAS_TOLERANCE);
}

/// A convolution with padding 1 on all sides.
fn conv(batch: usize, channels: (usize, usize), size: (usize, usize), kernel: usize, stride: usize) -> Conv2d {
    Conv2d {
        batch,
        in_channels: channels.0,
        in_height: size.0,
        in_width: size.1,
        out_channels: channels.1,
        kernel_height: kernel,
        kernel_width: kernel,
        stride,
        padding: Padding::all(kernel / 2),
        enlarged: false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn equals_plain_loops(
        (batch, inputs, outputs) in (0_usize..4, 0_usize..6, 0_usize..10),
        (height, width) in (1_usize..12, 1_usize..20),
        (kernel_height, kernel_width, stride) in (1_usize..5, 1_usize..5, 1_usize..4),
        (top, bottom, left, right) in (0_usize..4, 0_usize..3, 0_usize..4, 0_usize..3),
        (bias, residual, kind, enlarged) in (any::<bool>(), any::<bool>(), 0_usize..3, any::<bool>()),
    ) {
        let padding = Padding { top, bottom, left, right };
        let conv = Conv2d {
            batch,
            in_channels: inputs,
            in_height: height,
            in_width: width,
            out_channels: outputs,
            kernel_height,
            kernel_width,
            stride,
            padding,
            enlarged,
        };
        check(&conv, &values(1, conv.in_len()), With { bias, residual, kind });
    }
}

#[test]
fn many_channels_and_several_strips_equal_plain_loops() {
    // More than one block of input channels, more than one share of output channels, strips of several pictures.
    for (i, conv) in [
        conv(3, (70, 37), (8, 8), 3, 1),
        conv(1, (50, 5), (33, 40), 3, 1),
        conv(2, (3, 40), (64, 70), 3, 2),
        conv(1, (64, 72), (9, 10), 1, 1),
        conv(17, (64, 65), (3, 3), 1, 1),
        conv(2, (20, 9), (6, 6), 1, 2),
        Conv2d { enlarged: true, ..conv(1, (20, 9), (6, 11), 3, 2) },
    ]
    .into_iter()
    .enumerate()
    {
        check(&conv, &values(1, conv.in_len()), With { bias: true, residual: i % 2 == 0, kind: i % 3 });
    }
}

#[test]
fn not_a_number_reaches_what_reads_it() {
    let conv = conv(2, (3, 5), (9, 17), 3, 1);
    let mut x = values(1, conv.in_len());
    x[40] = f32::NAN;
    check(&conv, &x, With::default());
    let mut out = vec![0.0; conv.out_len()];
    conv.forward(&x, Values::F32(&values(2, conv.weight_len())), None, None, &mut out);
    assert_eq!(out.iter().filter(|value| value.is_nan()).count(), 5 * 9);
}

#[test]
fn the_threads_change_nothing() {
    let conv = conv(3, (20, 24), (24, 40), 3, 1);
    let (x, w, gy) = (values(1, conv.in_len()), values(2, conv.weight_len()), values(3, conv.out_len()));
    assert_same_on_any_thread_count(|| {
        let mut out = unwritten(conv.out_len());
        conv.forward(&x, Values::F32(&w), None, None, &mut out);
        let mut gx = unwritten(conv.in_len());
        conv.backward_input(&gy, Values::F32(&w), &mut gx);
        let mut gw = unwritten(conv.weight_len());
        conv.backward_weight(&x, &gy, &mut gw);
        [out, gx, gw].concat()
    });
}

#[test]
#[should_panic(expected = "conv2d: the weight holds 1 values, its shape 9")]
fn a_wrong_length_is_told() {
    conv(1, (1, 1), (4, 4), 3, 1).forward(&[0.0; 16], Values::F32(&[0.0]), None, None, &mut [0.0; 16]);
}

#[test]
fn a_norm_within_equals_one_before() {
    // Larger than a piece of work, and sides that are no multiples of a tile.
    for (batch, (height, width), channels) in [(2, (9, 13), (36, 33)), (1, (3, 3), (40, 32)), (1, (70, 66), (32, 35))] {
        let conv = Conv2d {
            batch,
            in_channels: channels.0,
            in_height: height,
            in_width: width,
            out_channels: channels.1,
            kernel_height: 3,
            kernel_width: 3,
            stride: 1,
            padding: Padding { top: 1, bottom: 0, left: 2, right: 1 },
            enlarged: false,
        };
        assert!(conv.normalises());
        let pixels = height * width;
        let norm = GroupNorm { batch, channels: channels.0, pixels, groups: 4, eps: 1e-5, silu: true };
        let (x, w, bias) = (values(1, conv.in_len()), values(2, conv.weight_len()), values(3, channels.1));
        let (gamma, beta) = (values(4, channels.0), values(5, channels.0));
        let shifts = values(6, batch * channels.0);
        let moved: Vec<f32> = x.iter().enumerate().map(|(at, x)| x + shifts[at / pixels]).collect();
        for (seen, shifts) in [(&x, None), (&moved, Some(shifts.as_slice()))] {
            let mut normed = unwritten(x.len());
            norm.forward(seen, &gamma, &beta, &mut normed);
            let mut expected = unwritten(conv.out_len());
            conv.forward(&normed, Values::F32(&w), Some(&bias), None, &mut expected);
            let run = || {
                let mut out = unwritten(conv.out_len());
                let normals = norm.normals(&x, shifts, &gamma, &beta);
                conv.forward_normed(&x, &normals, Values::F32(&w), Some(&bias), None, &mut out);
                out
            };
            let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
            assert_near("out", &run(), &expected, TOLERANCE);
            assert_same_on_any_thread_count(run);
        }
    }
}
