//! Every micro-kernel that this processor can run, against plain loops.

use proptest::prelude::*;

use super::{Micro, micro, runnable};
use crate::kernels::testing::{assert_near, values};

/// Panels of these many groups, and a result with one more column than the tile has.
fn inputs(micro: &Micro, k: usize) -> [Vec<f32>; 3] {
    [values(1, k * micro.rows), values(2, k * micro.cols), values(3, micro.rows * (micro.cols + 1))]
}

fn check(micro: &Micro, k: usize, rows: usize, cols: usize, accumulate: bool) {
    let [a, b, mut c] = inputs(micro, k);
    let stride = micro.cols + 1;
    let mut expected: Vec<f64> = c.iter().map(|value| f64::from(*value)).collect();
    for (i, j) in (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j))) {
        let product = |l: usize| f64::from(a[l * micro.rows + i]) * f64::from(b[l * micro.cols + j]);
        let before = if accumulate { expected[i * stride + j] } else { 0.0 };
        expected[i * stride + j] = before + (0..k).map(product).sum::<f64>();
    }
    // SAFETY: `inputs` has made panels of `k` groups and rows that are a value longer than the tile's.
    unsafe { micro.run_partial(k, a.as_ptr(), b.as_ptr(), c.as_mut_ptr(), stride, rows, cols, accumulate) };
    assert_near(micro.name, &c, &expected, 3e-6);
}

#[test]
fn whole_tiles_equal_plain_loops() {
    for micro in runnable() {
        for k in [0, 1, 2, 3, 7, 8, 65] {
            check(micro, k, micro.rows, micro.cols, false);
            check(micro, k, micro.rows, micro.cols, true);
        }
    }
}

proptest! {
    #[test]
    fn parts_equal_plain_loops(k in 0_usize..20, rows in 0.0..=1.0, cols in 0.0..=1.0, accumulate: bool) {
        for micro in runnable() {
            let part = |of: usize, share: f64| (of as f64 * share).round() as usize;
            check(micro, k, part(micro.rows, rows), part(micro.cols, cols), accumulate);
        }
    }
}

#[test]
fn an_element_does_not_depend_on_the_tile_it_lies_in() {
    for micro in runnable() {
        let [a, b, before] = inputs(micro, 33);
        let stride = micro.cols + 1;
        for accumulate in [false, true] {
            let [mut whole, mut part] = [before.clone(), before.clone()];
            let (rows, cols) = (micro.rows - 1, micro.cols - 1);
            // SAFETY: as in `check`.
            unsafe {
                micro.run(33, a.as_ptr(), b.as_ptr(), whole.as_mut_ptr(), stride, accumulate);
                micro.run_partial(33, a.as_ptr(), b.as_ptr(), part.as_mut_ptr(), stride, rows, cols, accumulate);
            }
            for row in 0..rows {
                assert_eq!(whole[row * stride..][..cols], part[row * stride..][..cols], "{micro:?}");
            }
        }
    }
}

#[test]
fn not_a_number_reaches_its_row_or_its_column() {
    for micro in runnable() {
        let [mut a, mut b, mut c] = inputs(micro, 5);
        a[2 * micro.rows + 1] = f32::NAN;
        b[3 * micro.cols + 2] = f32::NAN;
        // SAFETY: the rows lie as far apart as the tile is wide, and `c` holds as many.
        unsafe { micro.run(5, a.as_ptr(), b.as_ptr(), c.as_mut_ptr(), micro.cols, false) };
        for (at, value) in c[..micro.rows * micro.cols].iter().enumerate() {
            assert_eq!(value.is_nan(), at / micro.cols == 1 || at % micro.cols == 2, "{micro:?} {at}");
        }
    }
}

#[test]
fn the_fastest_is_among_those_tried() {
    assert!(runnable().iter().any(|tried| std::ptr::eq(*tried, micro())));
}

#[test]
fn what_a_core_can_do_is_measured() {
    // A plain bound against a loop that has been optimised away: no core does a million operations a nanosecond.
    assert!((1e6..1e15).contains(&micro().peak()));
}
