//! Matrix products, split over the threads by tiles of fixed size.

use rayon::prelude::*;

/// A tile of the result is at most this many rows and columns; large enough that packing the operands costs little.
const TILE_ROWS: usize = 256;
const TILE_COLS: usize = 512;
/// Tiles are halved until there are this many, so that many cores find work, but not below the least size.
const TILES_WANTED: usize = 16;
const LEAST_TILE: usize = 64;
/// Products with fewer multiplications than this are one tile: starting a thread's work costs more.
const ONE_TILE_WORK: usize = 1 << 18;

/// The address of a result that several threads write to, each its own tile.
#[derive(Clone, Copy)]
struct Target(*mut f32);
// SAFETY: the tiles that the threads write do not overlap (see `gemm`).
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// `c = a b`, or `c += a b` if `accumulate`: `a` is `[m, k]`, `b` is `[k, n]`, `c` is `[m, n]` with rows of `n` values
/// that start `c_row_stride` apart. Element `(i, j)` of `a` is at `i * a_row_stride + j * a_col_stride`, of `b`
/// likewise, so a transposed operand costs nothing. Parallel over tiles of `c`.
///
/// # Panics
/// When a slice is too short for its shape and strides, or rows of `c` overlap.
pub fn gemm(
    m: usize,
    n: usize,
    k: usize,
    a: &[f32],
    a_row_stride: usize,
    a_col_stride: usize,
    b: &[f32],
    b_row_stride: usize,
    b_col_stride: usize,
    c: &mut [f32],
    c_row_stride: usize,
    accumulate: bool,
) {
    let product = Product { m, n, k, a, a_row_stride, a_col_stride, b, b_row_stride, b_col_stride };
    product.check(c, c_row_stride);
    if m == 0 || n == 0 {
        return;
    }
    let (rows, cols) = tile_size(m, n, k);
    let row_tiles = m.div_ceil(rows);
    let tiles = row_tiles * n.div_ceil(cols);
    let target = Target(c.as_mut_ptr());
    let run = |tile: usize| {
        let (i, j) = ((tile % row_tiles) * rows, (tile / row_tiles) * cols);
        // SAFETY: `check` has found `c` long enough for every element and its rows apart, `c` is borrowed mutably for
        // the call, and no two tiles share an element.
        unsafe { product.tile(i, rows.min(m - i), j, cols.min(n - j), target, c_row_stride, accumulate) };
    };
    if tiles == 1 {
        run(0);
    } else {
        (0..tiles).into_par_iter().for_each(run);
    }
}

/// [`gemm`] on the calling thread alone, for kernels that split their work themselves.
pub(super) fn gemm_serial(
    m: usize,
    n: usize,
    k: usize,
    a: &[f32],
    a_row_stride: usize,
    a_col_stride: usize,
    b: &[f32],
    b_row_stride: usize,
    b_col_stride: usize,
    c: &mut [f32],
    c_row_stride: usize,
    accumulate: bool,
) {
    let product = Product { m, n, k, a, a_row_stride, a_col_stride, b, b_row_stride, b_col_stride };
    product.check(c, c_row_stride);
    if m > 0 && n > 0 {
        // SAFETY: `check` has found `c` long enough, and it is borrowed mutably for the call.
        unsafe { product.tile(0, m, 0, n, Target(c.as_mut_ptr()), c_row_stride, accumulate) };
    }
}

/// The size of the tiles: a function of the shape alone.
fn tile_size(m: usize, n: usize, k: usize) -> (usize, usize) {
    if m.saturating_mul(n).saturating_mul(k) <= ONE_TILE_WORK {
        return (m, n);
    }
    let (mut rows, mut cols) = (TILE_ROWS.min(m), TILE_COLS.min(n));
    while m.div_ceil(rows) * n.div_ceil(cols) < TILES_WANTED && rows.max(cols) >= 2 * LEAST_TILE {
        if rows > cols {
            rows = (rows / 2).next_multiple_of(8);
        } else {
            cols = (cols / 2).next_multiple_of(8);
        }
    }
    (rows, cols)
}

/// The operands of a product.
struct Product<'a> {
    m: usize,
    n: usize,
    k: usize,
    a: &'a [f32],
    a_row_stride: usize,
    a_col_stride: usize,
    b: &'a [f32],
    b_row_stride: usize,
    b_col_stride: usize,
}

impl Product<'_> {
    /// Panics when a slice is too short, or rows of the result overlap.
    fn check(&self, c: &[f32], c_row_stride: usize) {
        let (m, n, k) = (self.m, self.n, self.k);
        let needed = |rows: usize, cols: usize, row_stride: usize, col_stride: usize| {
            if rows == 0 || cols == 0 { 0 } else { (rows - 1) * row_stride + (cols - 1) * col_stride + 1 }
        };
        assert!(self.a.len() >= needed(m, k, self.a_row_stride, self.a_col_stride), "gemm: a is too short");
        assert!(self.b.len() >= needed(k, n, self.b_row_stride, self.b_col_stride), "gemm: b is too short");
        assert!(c.len() >= needed(m, n, c_row_stride, 1), "gemm: c is too short");
        assert!(m <= 1 || c_row_stride >= n, "gemm: the rows of c overlap");
    }

    /// The tile of `rows` × `cols` elements at `(i, j)`.
    ///
    /// # Safety
    /// `c` must hold every element of the tile, the operands must have passed [`Product::check`], and no other thread
    /// may touch the tile.
    unsafe fn tile(&self, i: usize, rows: usize, j: usize, cols: usize, c: Target, c_row_stride: usize, add: bool) {
        // With k = 0 an operand may be empty, and then there is no address to offset.
        let (a, b) = if self.k == 0 {
            (self.a.as_ptr(), self.b.as_ptr())
        } else {
            (self.a[i * self.a_row_stride..].as_ptr(), self.b[j * self.b_col_stride..].as_ptr())
        };
        // SAFETY: `check` has found the slices long enough for all elements that these sizes and strides reach.
        unsafe {
            ::gemm::gemm(
                rows,
                cols,
                self.k,
                c.0.add(i * c_row_stride + j),
                1,
                c_row_stride as isize,
                add,
                a,
                self.a_col_stride as isize,
                self.a_row_stride as isize,
                b,
                self.b_col_stride as isize,
                self.b_row_stride as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                ::gemm::Parallelism::None,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::gemm;
    use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, values};

    /// `[rows, cols]` at the strides, in f64.
    fn at(matrix: &[f32], row: usize, row_stride: usize, col: usize, col_stride: usize) -> f64 {
        f64::from(matrix[row * row_stride + col * col_stride])
    }

    fn check(m: usize, n: usize, k: usize, transposed: (bool, bool), gap: usize, accumulate: bool) {
        let (a, b, before) = (values(1, m * k), values(2, k * n), values(3, m * (n + gap)));
        let (a_row, a_col) = if transposed.0 { (1, m) } else { (k, 1) };
        let (b_row, b_col) = if transposed.1 { (1, k) } else { (n, 1) };
        let mut expected: Vec<f64> = before.iter().map(|value| f64::from(*value)).collect();
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let sum: f64 = (0..k).map(|l| at(&a, i, a_row, l, a_col) * at(&b, l, b_row, j, b_col)).sum();
            let old = if accumulate { expected[i * (n + gap) + j] } else { 0.0 };
            expected[i * (n + gap) + j] = old + sum;
        }
        let mut c = before;
        gemm(m, n, k, &a, a_row, a_col, &b, b_row, b_col, &mut c, n + gap, accumulate);
        assert_near("c", &c, &expected, 3e-6);
    }

    proptest! {
        #[test]
        fn equals_plain_loops(
            (m, n, k) in (0_usize..40, 0_usize..40, 0_usize..40),
            transposed: (bool, bool),
            gap in 0_usize..3,
            accumulate: bool,
        ) {
            check(m, n, k, transposed, gap, accumulate);
        }
    }

    #[test]
    fn several_tiles_equal_plain_loops() {
        for transposed in [(false, false), (true, false), (false, true), (true, true)] {
            check(270, 150, 65, transposed, 3, false);
            check(70, 530, 33, transposed, 0, true);
        }
    }

    #[test]
    fn what_was_there_is_not_read_unless_it_is_added_to() {
        for (m, n, k) in [(3, 5, 4), (1, 7, 3), (7, 1, 3), (4, 4, 1), (4, 4, 0), (200, 200, 9)] {
            let mut c = vec![f32::NAN; m * n];
            gemm(m, n, k, &values(1, m * k), k, 1, &values(2, k * n), n, 1, &mut c, n, false);
            assert!(c.iter().all(|value| value.is_finite()), "{m} {n} {k}");
        }
    }

    #[test]
    fn the_threads_change_nothing() {
        let (m, n, k) = (300, 310, 40);
        let (a, b) = (values(1, m * k), values(2, k * n));
        assert_same_on_any_thread_count(|| {
            let mut c = vec![0.0; m * n];
            gemm(m, n, k, &a, k, 1, &b, n, 1, &mut c, n, false);
            c
        });
    }

    #[test]
    #[should_panic(expected = "gemm: b is too short")]
    fn a_short_operand_is_told() {
        gemm(2, 2, 2, &[0.0; 4], 2, 1, &[0.0; 3], 2, 1, &mut [0.0; 4], 2, false);
    }
}
