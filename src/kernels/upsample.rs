//! Nearest-neighbour resizing of planes.

use rayon::prelude::*;

use super::check_len;

/// Row `i` of each result is row `floor(i * in_height / out_height)` of its plane, columns likewise (torch's rule):
/// `x` is `[planes, from.0, from.1]`, `out` `[planes, to.0, to.1]`, sizes are (height, width) in px.
///
/// # Panics
/// When a slice does not fit, or the source is empty and the result is not.
pub fn nearest_forward(planes: usize, from: (usize, usize), to: (usize, usize), x: &[f32], out: &mut [f32]) {
    check_len("upsample: the input", x, planes * from.0 * from.1);
    check_len("upsample: the output", out, planes * to.0 * to.1);
    if out.is_empty() {
        return;
    }
    assert!(!x.is_empty(), "upsample: nothing to enlarge");
    let columns: Vec<usize> = (0..to.1).map(|j| j * from.1 / to.1).collect();
    out.par_chunks_mut(to.0 * to.1).zip(x.par_chunks(from.0 * from.1)).for_each(|(out, x)| {
        for i in 0..to.0 {
            let (source, here) = (i * from.0 / to.0, i * to.1);
            if i > 0 && source == (i - 1) * from.0 / to.0 {
                out.copy_within(here - to.1..here, here);
            } else {
                stretch(&x[source * from.1..][..from.1], &columns, &mut out[here..][..to.1]);
            }
        }
    });
}

/// `out[j] = row[columns[j]]`.
fn stretch(row: &[f32], columns: &[usize], out: &mut [f32]) {
    if out.len() == 2 * row.len() {
        // The common case, without looking up each column.
        out.as_chunks_mut().0.iter_mut().zip(row).for_each(|(pair, value)| *pair = [*value; 2]);
    } else {
        out.iter_mut().zip(columns).for_each(|(out, &j)| *out = row[j]);
    }
}

/// The gradient of [`nearest_forward`]: each value of `gx` is the sum of the values of `gy` that were taken from it.
///
/// # Panics
/// When a slice does not fit.
pub fn nearest_backward(planes: usize, from: (usize, usize), to: (usize, usize), gy: &[f32], gx: &mut [f32]) {
    check_len("upsample: the output's gradient", gy, planes * to.0 * to.1);
    check_len("upsample: the input's gradient", gx, planes * from.0 * from.1);
    gx.fill(0.0);
    if gx.is_empty() || gy.is_empty() {
        return;
    }
    let columns: Vec<usize> = (0..to.1).map(|j| j * from.1 / to.1).collect();
    gx.par_chunks_mut(from.0 * from.1).zip(gy.par_chunks(to.0 * to.1)).for_each(|(gx, gy)| {
        for (i, gy) in gy.chunks_exact(to.1).enumerate() {
            let row = &mut gx[i * from.0 / to.0 * from.1..][..from.1];
            gy.iter().zip(&columns).for_each(|(gy, &j)| row[j] += gy);
        }
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{nearest_backward, nearest_forward};
    use crate::kernels::testing::{assert_near, unwritten, values};

    proptest! {
        #[test]
        fn equals_plain_loops(
            planes in 0_usize..4,
            from in (1_usize..9, 1_usize..9),
            to in (0_usize..20, 0_usize..20),
        ) {
            let (x, gy) = (values(1, planes * from.0 * from.1), values(2, planes * to.0 * to.1));
            let (mut out, mut gx) = (vec![0.0; gy.len()], vec![0.0; x.len()]);
            for plane in 0..planes {
                for (i, j) in (0..to.0).flat_map(|i| (0..to.1).map(move |j| (i, j))) {
                    let source = (plane * from.0 + i * from.0 / to.0) * from.1 + j * from.1 / to.1;
                    let result = (plane * to.0 + i) * to.1 + j;
                    out[result] = f64::from(x[source]);
                    gx[source] += f64::from(gy[result]);
                }
            }
            let mut actual = unwritten(out.len());
            nearest_forward(planes, from, to, &x, &mut actual);
            assert_near("out", &actual, &out, 0.0);
            let mut actual = unwritten(gx.len());
            nearest_backward(planes, from, to, &gy, &mut actual);
            assert_near("gx", &actual, &gx, 1e-6);
        }
    }

    #[test]
    fn an_uneven_ratio_follows_the_rule() {
        let mut out = [0.0; 5];
        nearest_forward(1, (1, 3), (1, 5), &[1.0, 2.0, 3.0], &mut out);
        assert_eq!(out, [1.0, 1.0, 2.0, 2.0, 3.0]);
    }

    #[test]
    fn nothing_from_nothing() {
        nearest_forward(3, (0, 4), (0, 8), &[], &mut []);
        nearest_backward(3, (0, 4), (2, 8), &[0.0; 48], &mut []);
    }
}
