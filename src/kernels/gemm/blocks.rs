//! The product itself, block by block.
//!
//! One side of the product is shared: it is packed once, by all threads together. The other side, the longer one, is
//! dealt out: a task packs some of its lines for itself and multiplies them with the shared ones, a block at a time.
//! So every number is packed once (the shared side of a very large product in parts, and the other once for each), and
//! the two phases meet at one barrier. A block's sums stay in the cache until `k` is through; then they are finished and
//! written, once.
//!
//! The splits of `k` are a function of the shapes alone, and nothing else decides the order of additions: neither which
//! side is dealt out, nor the size of a task (which is the one thing here that depends on the number of threads).

use std::ops::Range;

use rayon::prelude::*;

use super::finish::{Finish, Store, Target};
use super::pack::Operand;
use crate::kernels::micro::Micro;
use crate::kernels::scratch::with_scratch;
use crate::kernels::simd::dispatch;

/// A block of the result has about this many rows and columns. With 320 of `k`, the rows of `a` are 120 KiB and stay in
/// the second cache while the panels of `b` go by; the sums are 48 KiB.
const BLOCK_ROWS: usize = 96;
const BLOCK_COLS: usize = 128;
/// Values of a piece of a panel of `b`: it stays in the first cache (20 KiB of commonly 32) while the rows go by.
const PANEL_PIECE: usize = 5120;
/// Numbers of the shared side that are packed at a time (8 MiB), and of a line on either side.
const SHARED: usize = 1 << 21;
const LONGEST: usize = 8192;
/// Tasks for each thread, where there are enough panels: with more, the threads would end together more closely, but each
/// panel that a task reads would be used for fewer tiles.
const TASKS: usize = 4;
/// Values of the shared side that are packed by one task.
const PACKED_AT_ONCE: usize = 1 << 14;
/// Values that are packed in f32 before they become words of 16 bits (64 KiB).
const PAIRED_AT_ONCE: usize = 1 << 14;

/// A product to compute: `target = finish(a b)`.
pub struct Job<'a> {
    pub micro: &'static Micro,
    pub k: usize,
    pub a: Operand<'a>,
    pub b: Operand<'a>,
    /// If `b` holds values and gates; then the result has half as many columns as `b`.
    pub gated: bool,
    pub finish: Finish<'a>,
    pub target: Target,
    /// Whether to use the other threads.
    pub parallel: bool,
}

impl Job<'_> {
    /// Computes it.
    ///
    /// # Safety
    /// The target, and the residual if there is one, must hold `a.count` rows of `b.count` (half of that if gated)
    /// values, and nobody else may touch the target.
    pub unsafe fn run(&self) {
        let rows = self.a.count.div_ceil(self.micro.rows);
        let cols = self.columns().div_ceil(self.micro.cols) * if self.gated { 2 } else { 1 };
        if rows == 0 || cols == 0 {
            return;
        }
        let by_rows = self.a.count >= self.b.count;
        let (shared_panels, own_panels) = if by_rows { (cols, rows) } else { (rows, cols) };
        let (shared_group, own_group) =
            if by_rows { (self.micro.cols, self.micro.rows) } else { (self.micro.rows, self.micro.cols) };
        // The sums of gated pairs are not kept from part to part of `k`.
        let longest = if self.gated { self.k } else { self.k.min(LONGEST) }.max(1);
        // An even length, so that no two numbers of a word are parted.
        let part_len = self.k.div_ceil(self.k.div_ceil(longest).max(1)).next_multiple_of(2).max(2);
        // Pairs of panels, so that gates and values stay together.
        let fitting = (SHARED / (self.micro.words(part_len) * shared_group)).max(2) & !1;
        let shared_at_once = fitting.min(shared_panels);
        let task_panels = self.task_panels(own_panels, own_group, by_rows);
        for start in (0..self.k.max(1)).step_by(part_len) {
            let part = start..(start + part_len).min(self.k);
            let finish = self.finish_of(&part);
            for first in (0..shared_panels).step_by(shared_at_once) {
                let shared = first..(first + shared_at_once).min(shared_panels);
                let stride = self.micro.words(part.len()) * shared_group;
                with_scratch(shared.len() * stride, |packed| {
                    self.pack_shared(by_rows, &shared, &part, packed, stride);
                    self.for_each(own_panels.div_ceil(task_panels), &|task| {
                        let own = task * task_panels..((task + 1) * task_panels).min(own_panels);
                        // SAFETY: the caller vouches for the target, and no two tasks have a panel in common.
                        unsafe { self.task(by_rows, own, &shared, packed, &part, &finish) };
                    });
                });
            }
        }
    }

    /// Columns of the result.
    fn columns(&self) -> usize {
        if self.gated { self.b.count / 2 } else { self.b.count }
    }

    /// What is to be done to the sums of a part of `k`: the others are added to those of the first.
    fn finish_of(&self, part: &Range<usize>) -> Finish<'_> {
        let accumulate = self.finish.accumulate || part.start > 0;
        if part.end == self.k {
            Finish { accumulate, ..self.finish }
        } else {
            Finish { accumulate, ..Finish::default() }
        }
    }

    /// Panels of the dealt side of one task; an even number of columns' panels, since gates and values belong together.
    fn task_panels(&self, own_panels: usize, group: usize, by_rows: bool) -> usize {
        let block = if by_rows { BLOCK_ROWS } else { BLOCK_COLS };
        let most = (block / group).max(2);
        let tasks = if self.parallel { TASKS * rayon::current_num_threads() } else { 1 };
        own_panels.div_ceil(tasks).clamp(2, most).next_multiple_of(2)
    }

    /// Calls `work` for each task.
    fn for_each(&self, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        if self.parallel && tasks > 1 {
            (0..tasks).into_par_iter().for_each(work);
        } else {
            (0..tasks).for_each(work);
        }
    }

    fn pack_shared(&self, by_rows: bool, panels: &Range<usize>, part: &Range<usize>, to: &mut [f32], stride: usize) {
        if stride == 0 {
            return;
        }
        let at_once = (PACKED_AT_ONCE / stride).max(2) & !1;
        let pack = |(i, to): (usize, &mut [f32])| {
            let first = panels.start + i * at_once;
            self.pack(!by_rows, first..(first + at_once).min(panels.end), part, to);
        };
        if self.parallel && panels.len() > at_once {
            to.par_chunks_mut(at_once * stride).enumerate().for_each(pack);
        } else {
            to.chunks_mut(at_once * stride).enumerate().for_each(pack);
        }
    }

    /// Packs panels of one side.
    fn pack(&self, of_a: bool, panels: Range<usize>, part: &Range<usize>, to: &mut [f32]) {
        let group = if of_a { self.micro.rows } else { self.micro.cols };
        let stride = self.micro.words(part.len()) * group;
        if of_a || !self.gated {
            let operand = if of_a { &self.a } else { &self.b };
            return self.pack_words(operand, group, panels, part, to, stride);
        }
        // Panel 2 j holds values, panel 2 j + 1 their gates; every range begins with values.
        for (half, values) in self.halves().iter().enumerate() {
            if stride > 0 {
                let panels = panels.start / 2..panels.end / 2;
                self.pack_words(values, group, panels, part, &mut to[half * stride..], 2 * stride);
            }
        }
    }

    /// Packs panels, `stride` apart, as words of the micro-kernel.
    fn pack_words(
        &self,
        operand: &Operand<'_>,
        group: usize,
        panels: Range<usize>,
        part: &Range<usize>,
        to: &mut [f32],
        stride: usize,
    ) {
        if !self.micro.in_pairs {
            return operand.pack(group, panels, part.clone(), to, stride);
        }
        let words = self.micro.words(part.len()) * group;
        let at_once = (PAIRED_AT_ONCE / (2 * words).max(1)).max(1);
        with_scratch(at_once.min(panels.len()) * 2 * words, |wide| {
            for first in panels.clone().step_by(at_once) {
                let here = first..(first + at_once).min(panels.end);
                operand.pack(group, here.clone(), part.clone(), wide, 2 * words);
                for (i, panel) in here.enumerate() {
                    let from = &mut wide[i * 2 * words..][..2 * words];
                    self.micro.to_words(group, part.len(), from);
                    to[(panel - panels.start) * stride..][..words].copy_from_slice(&from[..words]);
                }
            }
        });
    }

    /// The values and the gates.
    fn halves(&self) -> [Operand<'_>; 2] {
        let count = self.columns();
        let gates = (count * self.b.across).min(self.b.values.len());
        let values = self.b.values.part(gates, self.b.values.len() - gates);
        [Operand { count, ..self.b }, Operand { values, count, ..self.b }]
    }

    /// Some panels of the dealt side with all that are shared at a time.
    ///
    /// # Safety
    /// As for [`Job::run`], for the elements that these panels meet in.
    unsafe fn task(
        &self,
        by_rows: bool,
        own: Range<usize>,
        shared: &Range<usize>,
        of_shared: &[f32],
        part: &Range<usize>,
        finish: &Finish<'_>,
    ) {
        let Micro { rows, cols, .. } = *self.micro;
        let (own_group, shared_group) = if by_rows { (rows, cols) } else { (cols, rows) };
        let block = if by_rows { BLOCK_COLS } else { BLOCK_ROWS };
        let wide = (block / shared_group).max(2) & !1;
        let words = self.micro.words(part.len());
        let (own_len, tiles_len) = (own.len() * words * own_group, own.len() * wide * rows * cols);
        let tiles_at = own_len.next_multiple_of(16);
        with_scratch(tiles_at + tiles_len, |buffer| {
            let (of_own, tiles) = buffer.split_at_mut(tiles_at);
            let of_own = &mut of_own[..own_len];
            self.pack(by_rows, own.clone(), part, of_own);
            for first in shared.clone().step_by(wide) {
                let panels = first..(first + wide).min(shared.end);
                let tiles = &mut tiles[..own.len() * panels.len() * rows * cols];
                let stride = words * shared_group;
                let of_shared = &of_shared[(first - shared.start) * stride..][..panels.len() * stride];
                let (a, b) = if by_rows { (&*of_own, of_shared) } else { (of_shared, &*of_own) };
                let (of_rows, of_cols) = if by_rows { (&own, &panels) } else { (&panels, &own) };
                self.block(words, a, of_rows.len(), b, of_cols.len(), tiles);
                let first_col = of_cols.start / if self.gated { 2 } else { 1 } * cols;
                let at = (of_rows.start * rows, first_col);
                // SAFETY: the caller vouches for the target and for these elements being the task's own.
                dispatch(unsafe {
                    Store::new(tiles, (rows, cols), of_cols.len(), at, self.target, finish, self.gated)
                });
            }
        });
    }

    /// The sums of a block: all pairs of a panel of `a` and one of `b`, each a tile, over `k` groups of words.
    fn block(&self, k: usize, a: &[f32], a_panels: usize, b: &[f32], b_panels: usize, tiles: &mut [f32]) {
        let Micro { rows, cols, .. } = *self.micro;
        assert!(a.len() == a_panels * k * rows && b.len() == b_panels * k * cols);
        assert!(tiles.len() == a_panels * b_panels * rows * cols);
        let pieces = k.div_ceil(PANEL_PIECE / cols).max(1);
        let piece = k.div_ceil(pieces).max(1);
        for start in (0..k.max(1)).step_by(piece) {
            let len = piece.min(k - start);
            for j in 0..b_panels {
                for i in 0..a_panels {
                    // SAFETY: the panels and the tile lie within the slices, as asserted.
                    unsafe {
                        let a = a.as_ptr().add((i * k + start) * rows);
                        let b = b.as_ptr().add((j * k + start) * cols);
                        let tile = tiles.as_mut_ptr().add((i * b_panels + j) * rows * cols);
                        self.micro.run(len, a, b, tile, cols, start > 0);
                    }
                }
            }
        }
    }
}
