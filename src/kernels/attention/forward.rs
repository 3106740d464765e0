//! The forward pass: blocks of keys go by, and each query keeps its greatest score, its sum and its result so far.
//!
//! The online softmax of Milakov and Gimelshein 2018, in the blocks of Dao et al. 2022 (`FlashAttention`). All is
//! computed transposed: a block of scores is `[keys, queries]`, so that the queries lie in the lanes of the registers.
//! The greatest score and the sum of a query then need no sum over lanes, and the probabilities are, as they come,
//! what the micro-kernel wants as its right operand for the product with the values. Keys and values are packed once
//! for a head and serve all its queries.

use std::ops::Range;

use rayon::prelude::*;

use super::Attention;
use super::softmax::{BlockSoftmax, MOST_VECTORS};
use crate::kernels::micro::Micro;
use crate::kernels::scratch::with_scratch;
use crate::kernels::simd::{LANES, dispatch};
use crate::kernels::transpose::{transpose, transpose_to};

/// Values of a block of scores of one panel of queries: at most (16 KiB, half of the first cache).
const BLOCK_SCORES: usize = 1 << 12;
/// Keys of a block, and values of each of them: at most about this many in all (80 KiB of keys, as much of values).
const BLOCK_VALUES: usize = 20 << 10;
/// Keys of a block: at least, so that the results so far are not read and written too often.
const LEAST_KEYS: usize = 64;
/// Panels of queries that share a block of keys and values while the second cache holds it: at most.
const MOST_PANELS: usize = 8;
/// Pieces of work wanted, so that many cores find some.
const PIECES_WANTED: usize = 32;
/// Packed values of the heads that are worked on at the same time, if more than one (8 MiB).
const GROUP_VALUES: usize = 1 << 21;
/// Packed values of a head that stay in the second cache while other heads take their turns (128 KiB).
const SMALL_HEAD: usize = 1 << 15;
/// Panels that are packed at least in one go.
const LEAST_PACKED: usize = 8;

/// How a shape is cut: a function of the shape and the processor's instructions alone.
struct Plan {
    attention: Attention,
    micro: &'static Micro,
    /// Queries of a panel, in whole vectors; the micro-kernel computes the first `micro.cols` of them.
    lanes: usize,
    /// Keys of a block, a multiple of `micro.rows`, which is even.
    block: usize,
    /// Keys and values of a head in whole panels of `micro.rows`.
    padded_keys: usize,
    padded_dim: usize,
    /// Groups of words that the values of a head take.
    dim_words: usize,
    /// Panels of queries of a piece of work.
    panels: usize,
    /// Pieces of work of a head.
    pieces: usize,
}

/// The address of the result, of which each piece of work writes its own part.
#[derive(Clone, Copy)]
struct Target(*mut f32);
// SAFETY: no two pieces write the same element (see `forward`).
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    /// The address of one element. (A method, so that closures hold the whole and not the bare pointer.)
    ///
    /// # Safety
    /// The element must exist.
    unsafe fn at(self, index: usize) -> *mut f32 {
        // SAFETY: the caller vouches for it.
        unsafe { self.0.add(index) }
    }
}

/// Computes the result; the slices have the right lengths, and no dimension is zero.
pub(super) fn forward(attention: &Attention, micro: &'static Micro, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32]) {
    let plan = Plan::new(attention, micro);
    let heads = attention.batch * attention.heads;
    let (of_keys, of_values) = (plan.padded_keys * plan.dim_words, plan.padded_dim * micro.words(attention.keys));
    let group = (GROUP_VALUES / (of_keys + of_values)).clamp(1, heads);
    let few = of_keys + of_values <= SMALL_HEAD;
    let target = Target(out.as_mut_ptr());
    with_scratch(group * (of_keys + of_values), |packed| {
        let (packed_k, packed_v) = packed.split_at_mut(group * of_keys);
        for first in (0..heads).step_by(group) {
            let here = first..(first + group).min(heads);
            plan.pack_keys(here.clone(), k, packed_k);
            plan.pack_values(here.clone(), v, packed_v);
            (0..here.len() * plan.pieces).into_par_iter().for_each(|i| {
                // Few keys: all heads for the same queries, whose values lie beside one another in memory. Many: all
                // queries for the same head, whose keys and values stay in the cache.
                let (piece, head) =
                    if few { (i / here.len(), i % here.len()) } else { (i % plan.pieces, i / plan.pieces) };
                let (k, v) = (&packed_k[head * of_keys..][..of_keys], &packed_v[head * of_values..][..of_values]);
                // SAFETY: `out` is borrowed mutably for the call and as long as the shape says, and the pieces of a
                // head have other rows, those of other heads other columns.
                unsafe { plan.piece(first + head, piece, q, k, v, target) };
            });
        }
    });
}

impl Plan {
    fn new(attention: &Attention, micro: &'static Micro) -> Self {
        let Attention { batch, heads, queries, keys, head_dim, .. } = *attention;
        let lanes = micro.cols.next_multiple_of(LANES);
        assert!(lanes <= MOST_VECTORS * LANES, "attention: the micro-kernel's tile is too wide");
        let most_keys = (BLOCK_SCORES / lanes).min(BLOCK_VALUES / head_dim).max(LEAST_KEYS);
        let block = keys.div_ceil(keys.div_ceil(most_keys)).next_multiple_of(micro.rows);
        let all_panels = queries.div_ceil(micro.cols);
        let mut panels = (BLOCK_VALUES / (head_dim * lanes)).clamp(1, MOST_PANELS);
        while panels > 1 && batch * heads * all_panels.div_ceil(panels) < PIECES_WANTED {
            panels -= 1;
        }
        Self {
            attention: *attention,
            micro,
            lanes,
            block,
            padded_keys: keys.next_multiple_of(micro.rows),
            padded_dim: head_dim.next_multiple_of(micro.rows),
            dim_words: micro.words(head_dim),
            panels,
            pieces: all_panels.div_ceil(panels),
        }
    }

    /// The values of one head from the first row of its sequence on, which has `rows` rows.
    fn head<'a>(&self, head: usize, rows: usize, of: &'a [f32]) -> &'a [f32] {
        let Attention { heads, head_dim, .. } = self.attention;
        &of[head / heads * rows * self.attention.width() + head % heads * head_dim..]
    }

    /// Keys as left operands: `[heads, panels, head_dim, micro.rows]`, zeros beyond the last key.
    fn pack_keys(&self, heads: Range<usize>, k: &[f32], packed: &mut [f32]) {
        let Attention { keys, head_dim, .. } = self.attention;
        let (rows, width) = (self.micro.rows, self.attention.width());
        let per_head = self.padded_keys / rows;
        packed[..heads.len() * self.padded_keys * self.dim_words]
            .par_chunks_exact_mut(rows * self.dim_words)
            .with_min_len(LEAST_PACKED)
            .enumerate()
            .for_each(|(i, panel)| {
                let k = self.head(heads.start + i / per_head, keys, k);
                let first = i % per_head * rows;
                self.in_words(rows, head_dim, panel, |panel| {
                    for row in 0..rows {
                        let to = panel[row..].iter_mut().step_by(rows);
                        if first + row < keys {
                            let from = &k[(first + row) * width..][..head_dim];
                            to.zip(from).for_each(|(to, from)| *to = *from);
                        } else {
                            to.for_each(|to| *to = 0.0);
                        }
                    }
                });
            });
    }

    /// Values as left operands, transposed: `[heads, blocks, panels, keys of the block, micro.rows]`, zeros beyond the
    /// last of `head_dim`.
    fn pack_values(&self, heads: Range<usize>, v: &[f32], packed: &mut [f32]) {
        let Attention { keys, head_dim, .. } = self.attention;
        let (rows, width) = (self.micro.rows, self.attention.width());
        let of_head = self.padded_dim * self.micro.words(keys);
        let of_block = self.padded_dim * self.micro.words(self.block);
        packed[..heads.len() * of_head].par_chunks_exact_mut(of_head).enumerate().for_each(|(i, packed)| {
            let v = self.head(heads.start + i, keys, v);
            packed.par_chunks_mut(of_block).enumerate().for_each(|(i, packed)| {
                let first = i * self.block;
                let here = self.block.min(keys - first);
                for (i, panel) in packed.chunks_exact_mut(rows * self.micro.words(here)).enumerate() {
                    let from = (i * rows).min(head_dim);
                    let count = rows.min(head_dim - from);
                    self.in_words(rows, here, panel, |panel| {
                        for (key, to) in panel.chunks_exact_mut(rows).enumerate() {
                            let (to, beyond) = to.split_at_mut(count);
                            to.copy_from_slice(&v[(first + key) * width + from..][..count]);
                            beyond.fill(0.0);
                        }
                    });
                }
            });
        });
    }

    /// Lets `pack` write `k` groups of `group` values and makes them the words of `to`.
    fn in_words(&self, group: usize, k: usize, to: &mut [f32], pack: impl FnOnce(&mut [f32])) {
        if !self.micro.in_pairs {
            return pack(to);
        }
        with_scratch(2 * to.len(), |wide| {
            pack(&mut wide[..k * group]);
            self.micro.to_words(group, k, wide);
            to.copy_from_slice(&wide[..to.len()]);
        });
    }

    /// One piece of work: some panels of queries of one head, from packed keys and values.
    ///
    /// # Safety
    /// `out` must be the whole result, and no other thread may touch this piece's part of it.
    unsafe fn piece(&self, head: usize, piece: usize, q: &[f32], k: &[f32], v: &[f32], out: Target) {
        let Attention { heads, queries, keys, head_dim, causal, .. } = self.attention;
        let (cols, lanes, width) = (self.micro.cols, self.lanes, self.attention.width());
        let first = piece * self.panels * cols;
        let last = (first + self.panels * cols).min(queries);
        let panels = (last - first).div_ceil(cols);
        let of_panel = self.dim_words * cols;
        let sizes = [panels * of_panel, panels * self.padded_dim * lanes, panels * lanes, panels * lanes];
        with_scratch(sizes.iter().sum::<usize>() + self.block * lanes, |room| {
            let (of_q, room) = room.split_at_mut(sizes[0]);
            let (results, room) = room.split_at_mut(sizes[1]);
            let (greatest, room) = room.split_at_mut(sizes[2]);
            let (sums, scores) = room.split_at_mut(sizes[3]);
            // Lanes that no query has must hold numbers too.
            results.fill(0.0);
            scores.fill(0.0);
            sums.fill(0.0);
            // The least number: minus infinity has no distance from itself.
            greatest.fill(f32::MIN);
            let of_head = self.head(head, queries, q);
            for (i, panel) in of_q.chunks_exact_mut(of_panel).enumerate() {
                let query = first + i * cols;
                let of_query = &of_head[query * width..];
                self.in_words(cols, head_dim, panel, |to| self.pack_queries(of_query, cols.min(last - query), to));
            }
            for from in (0..keys).step_by(self.block) {
                for panel in 0..panels {
                    let query = first + panel * cols;
                    // No key behind the panel's last query.
                    let seen = if causal { keys.min(query + cols) } else { keys };
                    if seen <= from {
                        continue;
                    }
                    let here = self.block.min(seen - from);
                    self.scores(&k[from * self.dim_words..], &of_q[panel * of_panel..], here, scores);
                    if causal {
                        self.hide(query, from..from + here, scores);
                    }
                    let result = &mut results[panel * self.padded_dim * lanes..][..self.padded_dim * lanes];
                    dispatch(BlockSoftmax {
                        keys: here,
                        cols,
                        lanes,
                        scores,
                        greatest: &mut greatest[panel * lanes..][..lanes],
                        sums: &mut sums[panel * lanes..][..lanes],
                        result,
                    });
                    self.micro.to_words(cols, here, scores);
                    self.add_values(v, from, here, scores, result);
                }
            }
            for panel in 0..panels {
                let query = first + panel * cols;
                let result = &mut results[panel * self.padded_dim * lanes..][..head_dim * lanes];
                let sums = &mut sums[panel * lanes..][..lanes];
                for sum in sums.iter_mut() {
                    *sum = 1.0 / *sum;
                }
                for row in result.chunks_exact_mut(lanes) {
                    row.iter_mut().zip(&*sums).for_each(|(value, inverse)| *value *= inverse);
                }
                let at = (head / heads * queries + query) * width + head % heads * head_dim;
                let rows = cols.min(last - query);
                // SAFETY: the rows from `query` on and the head's columns are this piece's part of the result, whose
                // last element the shape puts at `at + (rows - 1) * width + head_dim - 1`.
                unsafe { transpose_to(head_dim, rows, result.as_ptr(), lanes, out.at(at), width) };
            }
        });
    }

    /// A panel of queries as right operand, times the scale and log2(e): `[head_dim, micro.cols]`.
    fn pack_queries(&self, q: &[f32], queries: usize, panel: &mut [f32]) {
        let cols = self.micro.cols;
        if queries < cols {
            panel.fill(0.0);
        }
        transpose(queries, self.attention.head_dim, q, self.attention.width(), panel, cols);
        let scale = self.attention.scale * std::f32::consts::LOG2_E;
        for value in panel.iter_mut() {
            *value *= scale;
        }
    }

    /// The scores of `keys` keys, the first of which `k` begins with: `[keys, lanes]`.
    fn scores(&self, k: &[f32], q: &[f32], keys: usize, scores: &mut [f32]) {
        let (rows, cols, dim) = (self.micro.rows, self.micro.cols, self.dim_words);
        let panels = keys.div_ceil(rows);
        let (k, q) = (&k[..panels * rows * dim], &q[..dim * cols]);
        let scores = &mut scores[..panels * rows * self.lanes];
        for (k, scores) in k.chunks_exact(rows * dim).zip(scores.chunks_exact_mut(rows * self.lanes)) {
            // SAFETY: the operands hold `dim` groups, and the target `rows` rows of `lanes` values, not fewer than
            // `cols`.
            unsafe { self.micro.run(dim, k.as_ptr(), q.as_ptr(), scores.as_mut_ptr(), self.lanes, false) };
        }
    }

    /// Hides the keys behind each query of the panel that begins at `query`.
    fn hide(&self, query: usize, keys: Range<usize>, scores: &mut [f32]) {
        for key in keys.start.max(query + 1)..keys.end {
            let row = &mut scores[(key - keys.start) * self.lanes..][..self.lanes];
            row[..(key - query).min(self.lanes)].fill(f32::NEG_INFINITY);
        }
    }

    /// Adds `keys` values, from key `from` on, each times its probability `[keys, micro.cols]`, to the result
    /// `[padded_dim, lanes]`.
    fn add_values(&self, v: &[f32], from: usize, keys: usize, probabilities: &[f32], result: &mut [f32]) {
        let rows = self.micro.rows;
        let (all, keys) = (self.micro.words(self.block.min(self.attention.keys - from)), self.micro.words(keys));
        let (v, probabilities) =
            (&v[self.padded_dim * self.micro.words(from)..], &probabilities[..keys * self.micro.cols]);
        for (v, result) in v.chunks_exact(rows * all).zip(result.chunks_exact_mut(rows * self.lanes)) {
            let v = &v[..keys * rows];
            // SAFETY: the operands hold `keys` groups, and the target `rows` rows of `lanes` values, not fewer than
            // `cols`.
            unsafe {
                self.micro.run(keys, v.as_ptr(), probabilities.as_ptr(), result.as_mut_ptr(), self.lanes, true);
            }
        }
    }
}
