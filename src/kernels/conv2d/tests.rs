//! The convolution and its gradients against plain loops in f64.

use proptest::prelude::*;

use super::{Conv2d, Padding};
use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, unwritten, values};

/// Sums of a few hundred products of values below 1, in f32.
const TOLERANCE: f64 = 5e-6;

/// Calls `visit(index of out, index of x, index of w)` for every product of a convolution.
fn for_each_product(conv: &Conv2d, mut visit: impl FnMut(usize, usize, usize)) {
    let (height, width) = (conv.out_height(), conv.out_width());
    for b in 0..conv.batch {
        for o in 0..conv.out_channels {
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                for i in 0..conv.in_channels {
                    for ky in 0..conv.kernel_height {
                        for kx in 0..conv.kernel_width {
                            let from_y = (y * conv.stride + ky).wrapping_sub(conv.padding.top);
                            let from_x = (x * conv.stride + kx).wrapping_sub(conv.padding.left);
                            if from_y < conv.in_height && from_x < conv.in_width {
                                let plane = b * conv.in_channels + i;
                                let kernel = o * conv.in_channels + i;
                                visit(
                                    ((b * conv.out_channels + o) * height + y) * width + x,
                                    (plane * conv.in_height + from_y) * conv.in_width + from_x,
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

/// Compares all four functions with plain loops.
fn check(conv: &Conv2d, x: &[f32], with_bias: bool) {
    let (w, gy) = (values(2, conv.weight_len()), values(3, conv.out_len()));
    let bias = values(4, conv.out_channels);
    let pixels = conv.out_height() * conv.out_width();
    let channel = |at: usize| at / pixels % conv.out_channels;
    let mut out: Vec<f64> =
        (0..conv.out_len()).map(|at| if with_bias { f64::from(bias[channel(at)]) } else { 0.0 }).collect();
    let (mut gx, mut gw) = (vec![0.0; conv.in_len()], vec![0.0; conv.weight_len()]);
    for_each_product(conv, |to, from, tap| {
        out[to] += f64::from(x[from]) * f64::from(w[tap]);
        gx[from] += f64::from(gy[to]) * f64::from(w[tap]);
        gw[tap] += f64::from(gy[to]) * f64::from(x[from]);
    });
    let mut gb = vec![0.0; conv.out_channels];
    gy.iter().enumerate().for_each(|(at, gy)| gb[channel(at)] += f64::from(*gy));

    let mut actual = unwritten(out.len());
    conv.forward(x, &w, with_bias.then_some(&bias), &mut actual);
    assert_near("out", &actual, &out, TOLERANCE);
    let mut actual = unwritten(gx.len());
    conv.backward_input(&gy, &w, &mut actual);
    assert_near("gx", &actual, &gx, TOLERANCE);
    let mut actual = unwritten(gw.len());
    conv.backward_weight(x, &gy, &mut actual);
    assert_near("gw", &actual, &gw, TOLERANCE);
    let mut actual = unwritten(gb.len());
    conv.backward_bias(&gy, &mut actual);
    assert_near("gb", &actual, &gb, TOLERANCE);
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
        with_bias: bool,
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
        };
        check(&conv, &values(1, conv.in_len()), with_bias);
    }
}

#[test]
fn many_channels_and_several_strips_equal_plain_loops() {
    // More than one block of input channels, more than one share of output channels, strips of several pictures.
    for conv in [
        conv(3, (70, 37), (8, 8), 3, 1),
        conv(1, (50, 5), (33, 40), 3, 1),
        conv(2, (3, 40), (64, 70), 3, 2),
        conv(1, (64, 72), (9, 10), 1, 1),
        conv(17, (64, 65), (3, 3), 1, 1),
        conv(2, (20, 9), (6, 6), 1, 2),
    ] {
        check(&conv, &values(1, conv.in_len()), true);
    }
}

#[test]
fn not_a_number_reaches_what_reads_it() {
    let conv = conv(2, (3, 5), (9, 17), 3, 1);
    let mut x = values(1, conv.in_len());
    x[40] = f32::NAN;
    check(&conv, &x, false);
    let mut out = vec![0.0; conv.out_len()];
    conv.forward(&x, &values(2, conv.weight_len()), None, &mut out);
    assert_eq!(out.iter().filter(|value| value.is_nan()).count(), 5 * 9);
}

#[test]
fn the_threads_change_nothing() {
    let conv = conv(3, (20, 24), (24, 40), 3, 1);
    let (x, w, gy) = (values(1, conv.in_len()), values(2, conv.weight_len()), values(3, conv.out_len()));
    assert_same_on_any_thread_count(|| {
        let mut out = unwritten(conv.out_len());
        conv.forward(&x, &w, None, &mut out);
        let mut gx = unwritten(conv.in_len());
        conv.backward_input(&gy, &w, &mut gx);
        let mut gw = unwritten(conv.weight_len());
        conv.backward_weight(&x, &gy, &mut gw);
        [out, gx, gw].concat()
    });
}

#[test]
#[should_panic(expected = "conv2d: the weight holds 1 values, its shape 9")]
fn a_wrong_length_is_told() {
    conv(1, (1, 1), (4, 4), 3, 1).forward(&[0.0; 16], &[0.0], None, &mut [0.0; 16]);
}
