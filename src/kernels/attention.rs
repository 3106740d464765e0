//! Scaled dot-product attention in blocks of queries, so that the matrix of all scores is never in memory.

use rayon::prelude::*;

use super::activation::{SoftmaxBackwardRows, softmax_row};
use super::check_len;
use super::gemm::gemm_serial;
use super::linear::add_all;
use super::simd::{Simd, Task, dispatch};

/// Scores of one block are at most about this many values (1 MiB).
const BLOCK_SCORES: usize = 1 << 18;
/// Queries of one block: at least, so that the keys are not read too often, and at most.
const LEAST_QUERIES: usize = 16;
const MOST_QUERIES: usize = 64;
/// The backward pass sums the gradients of keys and values over at most this many parts of the queries …
const MOST_PARTS: usize = 8;
/// … and over fewer where the parts would hold more values than this (64 MiB).
const PART_VALUES: usize = 1 << 24;

/// `softmax(scale q kᵀ) v` for each head.
///
/// `q` and `out` are `[batch, queries, heads * head_dim]`, `k` and `v` are `[batch, keys, heads * head_dim]`, the heads
/// side by side as the projections give them.
#[derive(Debug, Clone, Copy)]
pub struct Attention {
    /// Sequences.
    pub batch: usize,
    /// Heads.
    pub heads: usize,
    /// Rows of `q`.
    pub queries: usize,
    /// Rows of `k` and `v`.
    pub keys: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Factor of the scores, commonly `1 / √head_dim`.
    pub scale: f32,
    /// Whether query i sees only the keys 0 to i.
    pub causal: bool,
}

impl Attention {
    /// Computes `out`. Without keys it is zero.
    pub fn forward(&self, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32]) {
        self.check(q, k, v);
        check_len("attention: the output", out, q.len());
        let width = self.width();
        if out.is_empty() || self.keys == 0 {
            out.fill(0.0);
            return;
        }
        let block = self.block_queries();
        self.blocks(out).into_par_iter().for_each(|(sequence, first, out)| {
            let rows = out.len() / width;
            let keys = self.keys_seen(first + rows);
            let mut scores = vec![0.0; block.min(rows) * keys];
            let q = &q[(sequence * self.queries + first) * width..][..rows * width];
            let at = sequence * self.keys * width..(sequence * self.keys + keys) * width;
            let (k, v) = (&k[at.clone()], &v[at]);
            for head in (0..width).step_by(self.head_dim) {
                self.probabilities(first, rows, keys, &q[head..], &k[head..], &mut scores);
                let dim = self.head_dim;
                gemm_serial(rows, dim, keys, &scores, keys, 1, &v[head..], width, 1, &mut out[head..], width, false);
            }
        });
    }

    /// The gradients of [`Attention::forward`] for the result's gradient `gout`; the probabilities are computed again.
    pub fn backward(
        &self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        gout: &[f32],
        gq: &mut [f32],
        gk: &mut [f32],
        gv: &mut [f32],
    ) {
        self.check(q, k, v);
        check_len("attention: the output's gradient", gout, q.len());
        check_len("attention: the gradient of q", gq, q.len());
        check_len("attention: the gradient of k", gk, k.len());
        check_len("attention: the gradient of v", gv, v.len());
        let width = self.width();
        if q.is_empty() || k.is_empty() {
            gq.fill(0.0);
            gk.fill(0.0);
            gv.fill(0.0);
            return;
        }
        // Each part of a sequence's queries has sums of its own for gk and gv.
        let part = self.part_queries();
        let parts: Vec<(usize, usize, &mut [f32])> = gq
            .chunks_mut(self.queries * width)
            .enumerate()
            .flat_map(|(sequence, gq)| {
                gq.chunks_mut(part * width).enumerate().map(move |(i, gq)| (sequence, i * part, gq))
            })
            .collect();
        let sums: Vec<(Vec<f32>, Vec<f32>)> = parts
            .into_par_iter()
            .map(|(sequence, first, gq)| {
                let at = sequence * self.queries + first;
                let here = at * width..at * width + gq.len();
                let of_keys = sequence * self.keys * width..(sequence + 1) * self.keys * width;
                self.backward_part(first, &q[here.clone()], &k[of_keys.clone()], &v[of_keys], &gout[here], gq)
            })
            .collect();
        let per_sequence = self.queries.div_ceil(part);
        let (of_k, of_v): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
        for (total, parts) in [(gk, of_k), (gv, of_v)] {
            for (total, parts) in total.chunks_mut(self.keys * width).zip(parts.chunks(per_sequence)) {
                add_all(parts, total);
            }
        }
    }

    /// Some queries of one sequence, the first of them at `first`: writes `gq`, gives back their parts of gk and gv.
    fn backward_part(
        &self,
        first: usize,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        gout: &[f32],
        gq: &mut [f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let (width, dim) = (self.width(), self.head_dim);
        let block = self.block_queries();
        let rows_here = block.min(q.len() / width);
        let mut p = vec![0.0; rows_here * self.keys];
        let mut gp = vec![0.0; rows_here * self.keys];
        let (mut gk, mut gv) = (vec![0.0; k.len()], vec![0.0; v.len()]);
        let blocks = gq.chunks_mut(block * width).zip(q.chunks(block * width)).zip(gout.chunks(block * width));
        for (i, ((gq, q), gout)) in blocks.enumerate() {
            let (first, rows) = (first + i * block, gq.len() / width);
            let keys = self.keys_seen(first + rows);
            let (p, gp) = (&mut p[..rows * keys], &mut gp[..rows * keys]);
            for head in (0..width).step_by(dim) {
                let (q, k, v, gout) = (&q[head..], &k[head..], &v[head..], &gout[head..]);
                self.probabilities(first, rows, keys, q, k, p);
                gemm_serial(keys, dim, rows, p, 1, keys, gout, width, 1, &mut gv[head..], width, true);
                gemm_serial(rows, keys, dim, gout, width, 1, v, 1, width, gp, keys, false);
                dispatch(SoftmaxBackwardRows { width: keys, scale: self.scale, y: p, rows: gp });
                gemm_serial(rows, dim, keys, gp, keys, 1, k, width, 1, &mut gq[head..], width, false);
                gemm_serial(keys, dim, rows, gp, 1, keys, q, width, 1, &mut gk[head..], width, true);
            }
        }
        (gk, gv)
    }

    /// The probabilities `[rows, keys]` of one head for the queries from `first` on; `q` and `k` begin at the head.
    fn probabilities(&self, first: usize, rows: usize, keys: usize, q: &[f32], k: &[f32], scores: &mut [f32]) {
        let width = self.width();
        let scores = &mut scores[..rows * keys];
        gemm_serial(rows, keys, self.head_dim, q, width, 1, k, 1, width, scores, keys, false);
        dispatch(Softmax { attention: *self, first, keys, scores });
    }

    /// How many keys the queries before `end` can see.
    fn keys_seen(&self, end: usize) -> usize {
        if self.causal { self.keys.min(end) } else { self.keys }
    }

    fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    fn block_queries(&self) -> usize {
        (BLOCK_SCORES / self.keys.max(1)).clamp(LEAST_QUERIES, MOST_QUERIES)
    }

    /// Queries of one part of the backward pass: a function of the shapes alone.
    fn part_queries(&self) -> usize {
        let fitting = PART_VALUES / (2 * self.batch * self.keys * self.width()).max(1);
        let parts = MOST_PARTS.div_ceil(self.batch.max(1)).min(fitting).max(1);
        self.queries.div_ceil(parts).next_multiple_of(self.block_queries())
    }

    /// The blocks of queries of all sequences: sequence, first query, rows of the result.
    fn blocks<'a>(&self, out: &'a mut [f32]) -> Vec<(usize, usize, &'a mut [f32])> {
        let (width, block) = (self.width(), self.block_queries());
        out.chunks_mut(self.queries * width)
            .enumerate()
            .flat_map(|(sequence, out)| {
                out.chunks_mut(block * width).enumerate().map(move |(i, out)| (sequence, i * block, out))
            })
            .collect()
    }

    #[track_caller]
    fn check(&self, q: &[f32], k: &[f32], v: &[f32]) {
        check_len("attention: q", q, self.batch * self.queries * self.width());
        check_len("attention: k", k, self.batch * self.keys * self.width());
        check_len("attention: v", v, self.batch * self.keys * self.width());
    }
}

/// Softmax of a block of scores in place, with the causal mask.
struct Softmax<'a> {
    attention: Attention,
    first: usize,
    keys: usize,
    scores: &'a mut [f32],
}

impl Task for Softmax<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (i, row) in self.scores.chunks_exact_mut(self.keys).enumerate() {
            let seen = if self.attention.causal { (self.first + i + 1).min(self.keys) } else { self.keys };
            let (seen, hidden) = row.split_at_mut(seen);
            softmax_row(s, self.attention.scale, seen);
            hidden.fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Attention;
    use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, unwritten, values};

    impl Attention {
        /// Result and gradients of q, k and v by plain loops in f64.
        fn reference(&self, q: &[f32], k: &[f32], v: &[f32], gout: &[f32]) -> [Vec<f64>; 4] {
            let (width, dim) = (self.width(), self.head_dim);
            let mut result = [vec![0.0; q.len()], vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]];
            let dot =
                |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
            for (b, h, i) in (0..self.batch * self.heads * self.queries)
                .map(|at| (at / self.queries / self.heads, at / self.queries % self.heads, at % self.queries))
            {
                let row = |sequence_len: usize, row: usize| (b * sequence_len + row) * width + h * dim;
                let at_q = row(self.queries, i);
                let (q, gout) = (&q[at_q..][..dim], &gout[at_q..][..dim]);
                let seen = if self.causal { self.keys.min(i + 1) } else { self.keys };
                let scores: Vec<f64> =
                    (0..seen).map(|j| dot(q, &k[row(self.keys, j)..][..dim]) * f64::from(self.scale)).collect();
                let max = scores.iter().fold(f64::NEG_INFINITY, |max, score| max.max(*score));
                let sum: f64 = scores.iter().map(|score| (score - max).exp()).sum();
                let p: Vec<f64> = scores.iter().map(|score| (score - max).exp() / sum).collect();
                let gp: Vec<f64> = (0..seen).map(|j| dot(gout, &v[row(self.keys, j)..][..dim])).collect();
                let mean: f64 = p.iter().zip(&gp).map(|(p, gp)| p * gp).sum();
                for j in 0..seen {
                    let at_k = row(self.keys, j);
                    let gs = p[j] * (gp[j] - mean) * f64::from(self.scale);
                    for d in 0..dim {
                        result[0][at_q + d] += p[j] * f64::from(v[at_k + d]);
                        result[1][at_q + d] += gs * f64::from(k[at_k + d]);
                        result[2][at_k + d] += gs * f64::from(q[d]);
                        result[3][at_k + d] += p[j] * f64::from(gout[d]);
                    }
                }
            }
            result
        }

        fn inputs(&self) -> [Vec<f32>; 4] {
            let (of_queries, of_keys) = (self.batch * self.queries, self.batch * self.keys);
            let width = self.width();
            [
                values(1, of_queries * width),
                values(2, of_keys * width),
                values(3, of_keys * width),
                values(4, of_queries * width),
            ]
        }

        /// Result and gradients by the kernels.
        fn run(&self, [q, k, v, gout]: &[Vec<f32>; 4]) -> [Vec<f32>; 4] {
            let mut result = [unwritten(q.len()), unwritten(q.len()), unwritten(k.len()), unwritten(v.len())];
            let [out, gq, gk, gv] = &mut result;
            self.forward(q, k, v, out);
            self.backward(q, k, v, gout, gq, gk, gv);
            result
        }

        fn equals_plain_loops(&self) {
            let inputs = self.inputs();
            let [q, k, v, gout] = &inputs;
            let expected = self.reference(q, k, v, gout);
            for ((what, actual), expected) in ["out", "gq", "gk", "gv"].iter().zip(self.run(&inputs)).zip(expected) {
                assert_near(what, &actual, &expected, 5e-6);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

        #[test]
        fn equals_plain_loops(
            (batch, heads) in (0_usize..3, 0_usize..4),
            (queries, keys, head_dim) in (0_usize..40, 0_usize..40, 0_usize..20),
            scale in 0.1_f32..3.0,
            causal: bool,
        ) {
            Attention { batch, heads, queries, keys, head_dim, scale, causal }.equals_plain_loops();
        }
    }

    #[test]
    fn several_blocks_equal_plain_loops() {
        let attention =
            Attention { batch: 1, heads: 2, queries: 150, keys: 131, head_dim: 9, scale: 0.5, causal: false };
        attention.equals_plain_loops();
        Attention { keys: 150, causal: true, ..attention }.equals_plain_loops();
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let attention = Attention { batch: 1, heads: 1, queries: 3, keys: 9, head_dim: 4, scale: 1e3, causal: false };
        let [out, ..] = attention.run(&attention.inputs());
        assert!(out.iter().all(|value| value.abs() <= 1.0));
    }

    #[test]
    fn not_a_number_reaches_only_its_row() {
        let attention = Attention { batch: 1, heads: 1, queries: 3, keys: 9, head_dim: 4, scale: 0.5, causal: false };
        let mut inputs = attention.inputs();
        inputs[0][5] = f32::NAN;
        let [out, ..] = attention.run(&inputs);
        let nan: Vec<bool> = out.iter().map(|value| value.is_nan()).collect();
        assert_eq!(nan, [[false; 4], [true; 4], [false; 4]].concat());
    }

    #[test]
    fn the_threads_change_nothing() {
        let attention =
            Attention { batch: 2, heads: 2, queries: 200, keys: 100, head_dim: 8, scale: 0.3, causal: false };
        let inputs = attention.inputs();
        assert_same_on_any_thread_count(|| attention.run(&inputs).concat());
    }
}
