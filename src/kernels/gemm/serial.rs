//! Products on one thread, for kernels that split their work themselves.

/// [`gemm`](super::gemm) on the calling thread alone.
pub(in crate::kernels) fn gemm_serial(
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
    let needed = |rows: usize, cols: usize, row_stride: usize, col_stride: usize| {
        if rows == 0 || cols == 0 { 0 } else { (rows - 1) * row_stride + (cols - 1) * col_stride + 1 }
    };
    assert!(a.len() >= needed(m, k, a_row_stride, a_col_stride), "gemm: a is too short");
    assert!(b.len() >= needed(k, n, b_row_stride, b_col_stride), "gemm: b is too short");
    assert!(c.len() >= needed(m, n, c_row_stride, 1), "gemm: c is too short");
    assert!(m <= 1 || c_row_stride >= n, "gemm: the rows of c overlap");
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: the slices are long enough for all elements that these sizes and strides reach, as was just asserted, and
    // `c` is borrowed mutably.
    unsafe {
        ::gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            c_row_stride as isize,
            accumulate,
            a.as_ptr(),
            a_col_stride as isize,
            a_row_stride as isize,
            b.as_ptr(),
            b_col_stride as isize,
            b_row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            ::gemm::Parallelism::None,
        );
    }
}
