//! Matrix products: packed, in blocks, on all threads, with what comes after a product done while it is in the cache.

mod blocks;
mod finish;
mod pack;
mod serial;

#[cfg(test)]
mod tests;

use self::blocks::Job;
use self::finish::Target;
pub use self::finish::{Activation, Bias, Finish};
use self::pack::Operand;
pub(super) use self::serial::gemm_serial;
use super::micro::{Micro, micro, micro_now};
use super::values::Values;

/// Products with fewer multiplications than this stay on one thread: starting the others' work costs more.
const ONE_THREAD_WORK: usize = 1 << 18;

/// An operand: element `(i, j)` is at `i * row_stride + j * col_stride`, so a transposed one costs nothing. Numbers of 16
/// bits are widened as they are packed, which costs nothing either.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// The numbers.
    pub values: Values<'a>,
    /// The distance of the rows.
    pub row_stride: usize,
    /// The distance of the columns.
    pub col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `[rows, cols]`, row by row.
    pub fn new(values: impl Into<Values<'a>>, cols: usize) -> Self {
        Self { values: values.into(), row_stride: cols, col_stride: 1 }
    }

    /// The same numbers, read as the transposed matrix.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// `c = finish(a b)`: `a` is `[m, k]`, `b` is `[k, n]`, `c` (and a residual) `[m, n]` with rows of `n` values that start
/// `c_row_stride` apart. As exact as [`precision::current`](super::precision::current) says.
///
/// # Panics
/// When a slice is too short for its shape and strides, or rows of `c` overlap.
pub fn product(
    m: usize,
    n: usize,
    k: usize,
    a: Matrix<'_>,
    b: Matrix<'_>,
    finish: Finish<'_>,
    c: &mut [f32],
    c_row_stride: usize,
) {
    product_with(micro_now(), (m, n, k), a, b, false, finish, c, c_row_stride);
}

/// `c = (a b₁ + bias₁) gelu(a b₂ + bias₂)`: `a` is `[m, k]`, `b` is `[k, 2 n]`, b₁ beside b₂, `bias` `[2 n]`, `c` `[m, n]`
/// row by row. What the GELU is taken of is never in memory.
///
/// # Panics
/// When a slice is too short for its shape and strides.
pub fn product_gated(m: usize, n: usize, k: usize, a: Matrix<'_>, b: Matrix<'_>, bias: Option<&[f32]>, c: &mut [f32]) {
    let finish = Finish { bias: bias.map_or(Bias::None, Bias::PerColumn), ..Finish::default() };
    product_with(micro_now(), (m, n, k), a, b, true, finish, c, n);
}

/// `c = a b`, or `c += a b` if `accumulate`, in f32 always; the shapes as for [`product`], and the strides as in [`Matrix`].
///
/// # Panics
/// As [`product`].
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
    let a = Matrix { values: a.into(), row_stride: a_row_stride, col_stride: a_col_stride };
    let b = Matrix { values: b.into(), row_stride: b_row_stride, col_stride: b_col_stride };
    product_with(micro(), (m, n, k), a, b, false, Finish { accumulate, ..Finish::default() }, c, c_row_stride);
}

/// The product of [`product`] and [`product_gated`], with any micro-kernel.
fn product_with(
    micro: &'static Micro,
    (m, n, k): (usize, usize, usize),
    a: Matrix<'_>,
    b: Matrix<'_>,
    gated: bool,
    finish: Finish<'_>,
    c: &mut [f32],
    c_row_stride: usize,
) {
    let of_c = if m == 0 || n == 0 { 0 } else { (m - 1) * c_row_stride + n };
    let b_count = if gated { 2 * n } else { n };
    let a = Operand { values: a.values, count: m, across: a.row_stride, along: a.col_stride };
    let b = Operand { values: b.values, count: b_count, across: b.col_stride, along: b.row_stride };
    assert!(a.holds(k), "gemm: a is too short");
    assert!(b.holds(k), "gemm: b is too short");
    assert!(c.len() >= of_c, "gemm: c is too short");
    assert!(m <= 1 || c_row_stride >= n, "gemm: the rows of c overlap");
    assert!(finish.residual.is_none_or(|residual| residual.len() >= of_c), "gemm: the residual is too short");
    match finish.bias {
        Bias::None => {}
        Bias::PerRow(bias) => assert!(bias.len() == m, "gemm: the bias has not a value for each row"),
        Bias::PerColumn(bias) => assert!(bias.len() == b_count, "gemm: the bias has not a value for each column"),
    }
    let target = Target { at: c.as_mut_ptr(), row_stride: c_row_stride, rows: m, cols: n };
    let parallel = m.saturating_mul(b_count).saturating_mul(k) > ONE_THREAD_WORK;
    // SAFETY: `c` holds every element, as was just asserted, its rows do not overlap, and it is borrowed mutably.
    unsafe { Job { micro, k, a, b, gated, finish, target, parallel }.run() };
}
