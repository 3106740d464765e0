//! The backward pass: the probabilities of a block of queries, computed again, and what follows from them.

use rayon::prelude::*;

use super::Attention;
use crate::kernels::activation::{SoftmaxBackwardRows, softmax_row};
use crate::kernels::gemm::gemm_serial;
use crate::kernels::linear::add_all;
use crate::kernels::simd::{Simd, Task, dispatch};

/// Scores of one block are at most about this many values (1 MiB).
const BLOCK_SCORES: usize = 1 << 18;
/// Queries of one block: at least, so that the keys are not read too often, and at most.
const LEAST_QUERIES: usize = 16;
const MOST_QUERIES: usize = 64;
/// The gradients of keys and values are summed over at most this many parts of the queries …
const MOST_PARTS: usize = 8;
/// … and over fewer where the parts would hold more values than this (64 MiB).
const PART_VALUES: usize = 1 << 24;

impl Attention {
    /// [`Attention::backward`] where nothing is empty.
    pub(super) fn backward_parts(
        &self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        gout: &[f32],
        gq: &mut [f32],
        gk: &mut [f32],
        gv: &mut [f32],
    ) {
        let width = self.width();
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

    fn block_queries(&self) -> usize {
        (BLOCK_SCORES / self.keys.max(1)).clamp(LEAST_QUERIES, MOST_QUERIES)
    }

    /// Queries of one part of the backward pass: a function of the shapes alone.
    fn part_queries(&self) -> usize {
        let fitting = PART_VALUES / (2 * self.batch * self.keys * self.width()).max(1);
        let parts = MOST_PARTS.div_ceil(self.batch.max(1)).min(fitting).max(1);
        self.queries.div_ceil(parts).next_multiple_of(self.block_queries())
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
