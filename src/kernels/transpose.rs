//! Transposition of a block of values, eight by eight in registers.

use std::ops::Range;

use super::simd::{LANES, Simd, Task, dispatch};

/// `to[j * to_stride + i] = from[i * from_stride + j]` for `i < rows` and `j < cols`.
///
/// # Panics
/// When a slice is too short, or the rows of `to` overlap.
pub(super) fn transpose(rows: usize, cols: usize, from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
    if rows == 0 || cols == 0 {
        return;
    }
    assert!(from.len() >= (rows - 1) * from_stride + cols, "transpose: the source is too short");
    assert!(to.len() >= (cols - 1) * to_stride + rows, "transpose: the target is too short");
    assert!(cols == 1 || to_stride >= rows, "transpose: the rows of the target overlap");
    // SAFETY: every element lies within the slices, as was just asked.
    unsafe { transpose_to(rows, cols, from.as_ptr(), from_stride, to.as_mut_ptr(), to_stride) };
}

/// [`transpose`] on addresses, for a target that several threads fill.
///
/// # Safety
/// `from` must be good for reading `cols` values in each of `rows` rows `from_stride` apart, `to` for writing `rows`
/// values in each of `cols` rows `to_stride` apart, and the two must not overlap.
pub(super) unsafe fn transpose_to(
    rows: usize,
    cols: usize,
    from: *const f32,
    from_stride: usize,
    to: *mut f32,
    to_stride: usize,
) {
    dispatch(Transpose { rows, cols, from, from_stride, to, to_stride });
}

/// A transposition, for which someone has vouched as [`transpose_to`] asks.
struct Transpose {
    rows: usize,
    cols: usize,
    from: *const f32,
    from_stride: usize,
    to: *mut f32,
    to_stride: usize,
}

impl Task for Transpose {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (whole_rows, whole_cols) = (self.rows / LANES * LANES, self.cols / LANES * LANES);
        // Two blocks below one another, so that a line of the target is written at once: rows that lie a power of two
        // apart fall into the same few places of the first cache, and drive one another out.
        for i in (0..whole_rows).step_by(2 * LANES) {
            let end = whole_rows.min(i + 2 * LANES);
            for j in (0..whole_cols).step_by(LANES) {
                for i in (i..end).step_by(LANES) {
                    self.block(s, i, j);
                }
            }
            self.plain(i..end, whole_cols..self.cols);
        }
        self.plain(whole_rows..self.rows, 0..self.cols);
    }
}

impl Transpose {
    /// Eight rows of eight, in registers.
    #[inline(always)]
    fn block<S: Simd>(&self, s: S, i: usize, j: usize) {
        // SAFETY: both blocks lie within what was vouched for.
        unsafe {
            let from = self.from.add(i * self.from_stride + j);
            let turned = s.load_turned(std::array::from_fn(|row| from.wrapping_add(row * self.from_stride)));
            for (col, vector) in turned.into_iter().enumerate() {
                s.store(vector, &mut *self.to.add((j + col) * self.to_stride + i).cast::<[f32; LANES]>());
            }
        }
    }

    /// One value after the other.
    #[inline(always)]
    fn plain(&self, rows: Range<usize>, cols: Range<usize>) {
        for j in cols {
            for i in rows.clone() {
                // SAFETY: these elements lie within what was vouched for.
                unsafe { self.to.add(j * self.to_stride + i).write(self.from.add(i * self.from_stride + j).read()) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::transpose;
    use crate::kernels::testing::values;

    proptest! {
        #[test]
        fn equals_plain_loops(
            (rows, cols) in (0_usize..40, 0_usize..40),
            (from_gap, to_gap) in (0_usize..3, 0_usize..3),
        ) {
            let (from_stride, to_stride) = (cols + from_gap, rows + to_gap);
            let from = values(1, rows * from_stride);
            let mut expected = values(2, cols * to_stride);
            let mut actual = expected.clone();
            for (i, j) in (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j))) {
                expected[j * to_stride + i] = from[i * from_stride + j];
            }
            transpose(rows, cols, &from, from_stride, &mut actual, to_stride);
            prop_assert_eq!(actual, expected);
        }
    }

    #[test]
    #[should_panic(expected = "transpose: the target is too short")]
    fn a_short_target_is_told() {
        transpose(2, 3, &[0.0; 6], 3, &mut [0.0; 5], 2);
    }
}
