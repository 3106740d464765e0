//! Changes of layout: from maps of px to rows of tokens and back.

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
    }

    #[test]
    fn the_threads_change_nothing() {
        let x = values(1, 2 * 100 * 1003);
        assert_same_on_any_thread_count(|| {
            let mut tokens = unwritten(x.len());
            transpose_each(2, 100, 1003, &x, &mut tokens);
            tokens
        });
    }
}
