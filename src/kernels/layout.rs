//! Changes of layout: from maps of px to rows of tokens and back, and maps beside one another.

use rayon::prelude::*;

use super::check_len;
use super::transpose::transpose;

/// Tokens of one piece of work. (Eight rows of the map's px fill whole lines of the cache so, and the lines of as many
/// tokens fit into it even where they fall into few of its sets.)
const TOKENS: usize = 32;
/// Tokens or rows of a piece of work hold at least about this many values.
const PIECE: usize = 1 << 13;

/// `out[b, j, i] = x[b, i, j]`: `x` is `[batch, rows, cols]`, `out` `[batch, cols, rows]`. With channels as rows and px
/// as columns it makes tokens of a map, with tokens as rows and channels as columns a map of tokens.
pub fn transpose_each(batch: usize, rows: usize, cols: usize, x: &[f32], out: &mut [f32]) {
    check_len("transpose: the input", x, batch * rows * cols);
    check_len("transpose: the output", out, x.len());
    if x.is_empty() {
        return;
    }
    let least = (PIECE / (TOKENS * rows)).max(1);
    out.par_chunks_mut(rows * cols).zip(x.par_chunks(rows * cols)).for_each(|(out, x)| {
        out.par_chunks_mut(TOKENS * rows).with_min_len(least).enumerate().for_each(|(i, out)| {
            transpose(rows, out.len() / rows, &x[i * TOKENS..], cols, out, rows);
        });
    });
}

/// Maps beside one another: `a` `[batch, of_a]` and `b` `[batch, of_b]` to `out` `[batch, of_a + of_b]`, where a row is
/// channels times px.
pub fn concat(batch: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    check_len("concat: the result", out, a.len() + b.len());
    assert!(batch > 0 || out.is_empty(), "concat: no pictures, but values");
    let (of_a, of_b) = (a.len() / batch.max(1), b.len() / batch.max(1));
    assert!(
        a.len() == batch * of_a && b.len() == batch * of_b,
        "concat: the values do not divide into {batch} pictures"
    );
    for (i, out) in out.chunks_mut((of_a + of_b).max(1)).enumerate() {
        let (to_a, to_b) = out.split_at_mut(of_a);
        copy(&a[i * of_a..][..of_a], to_a);
        copy(&b[i * of_b..][..of_b], to_b);
    }
}

/// Undoes [`concat()`]: `of_a` values of each of the pictures of `x` go to `a`, the rest to `b`.
pub fn split(batch: usize, x: &[f32], a: &mut [f32], b: &mut [f32]) {
    check_len("split: the input", x, a.len() + b.len());
    assert!(batch > 0 || x.is_empty(), "split: no pictures, but values");
    let (of_a, of_b) = (a.len() / batch.max(1), b.len() / batch.max(1));
    assert!(
        a.len() == batch * of_a && b.len() == batch * of_b,
        "split: the values do not divide into {batch} pictures"
    );
    for (i, x) in x.chunks((of_a + of_b).max(1)).enumerate() {
        copy(&x[..of_a], &mut a[i * of_a..][..of_a]);
        copy(&x[of_a..], &mut b[i * of_b..][..of_b]);
    }
}

/// Copies, in parallel.
fn copy(from: &[f32], to: &mut [f32]) {
    to.par_chunks_mut(8 * PIECE).zip(from.par_chunks(8 * PIECE)).for_each(|(to, from)| to.copy_from_slice(from));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::testing::{assert_same_on_any_thread_count, unwritten, values};

    proptest! {
        #[test]
        fn transposition_equals_plain_loops(batch in 0_usize..3, rows in 0_usize..70, cols in 0_usize..70) {
            let x = values(1, batch * rows * cols);
            let mut expected = unwritten(x.len());
            for (b, i, j) in (0..x.len()).map(|at| (at / cols / rows, at / cols % rows, at % cols)) {
                expected[(b * cols + j) * rows + i] = x[(b * rows + i) * cols + j];
            }
            let (mut out, mut back) = (unwritten(x.len()), unwritten(x.len()));
            transpose_each(batch, rows, cols, &x, &mut out);
            prop_assert_eq!(&out, &expected);
            transpose_each(batch, cols, rows, &out, &mut back);
            prop_assert_eq!(back, x);
        }

        #[test]
        fn concat_and_split_equal_plain_loops(batch in 0_usize..4, of_a in 0_usize..40, of_b in 0_usize..40) {
            let (a, b) = (values(1, batch * of_a), values(2, batch * of_b));
            let expected: Vec<f32> =
                (0..batch).flat_map(|i| [&a[i * of_a..][..of_a], &b[i * of_b..][..of_b]].concat()).collect();
            let mut out = unwritten(a.len() + b.len());
            concat(batch, &a, &b, &mut out);
            prop_assert_eq!(&out, &expected);
            let (mut back_a, mut back_b) = (unwritten(a.len()), unwritten(b.len()));
            split(batch, &out, &mut back_a, &mut back_b);
            prop_assert_eq!((back_a, back_b), (a, b));
        }
    }

    #[test]
    fn the_threads_change_nothing() {
        let x = values(1, 2 * 100 * 1003);
        assert_same_on_any_thread_count(|| {
            let (mut tokens, mut both) = (unwritten(x.len()), unwritten(2 * x.len()));
            transpose_each(2, 100, 1003, &x, &mut tokens);
            concat(2, &x, &tokens, &mut both);
            both
        });
    }
}
