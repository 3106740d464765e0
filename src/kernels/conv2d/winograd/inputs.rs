//! The factors of the inputs: a strip's tiles of 6 × 6, transformed and packed as the micro-kernel's columns.

use rayon::prelude::*;

use super::plan::Plan;
use super::points::{INPUTS, PRODUCTS, RESULTS, of_inputs};
use super::{Shared, further, store_at};
use crate::kernels::conv2d::packed::Source;
use crate::kernels::norm::Normal;
use crate::kernels::scratch::with_scratch;
use crate::kernels::simd::{LANES, Simd, Task, dispatch};

/// Channels of a piece of work: neighbours in the result, so that the threads do not share its cache lines and pages.
const CHANNELS: usize = 4;
/// Panels of a piece of work, at most; and pieces that there should be, for many threads.
const PANELS: usize = 32;
const PIECES_WANTED: usize = 32;

/// What is read.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub source: &'a Source,
    pub x: &'a [f32],
    /// As [`Winograd`](super::Winograd) has them.
    pub normals: Option<&'a [Normal]>,
}

/// Writes the factors of the strip that begins at panel `first_panel`, `panels` long.
///
/// # Safety
/// `to` must have room for `36 * plan.input_stride` values, which nobody else uses meanwhile.
pub unsafe fn transform(plan: &Plan, input: Input, first_panel: usize, panels: usize, to: Shared) {
    let blocks = plan.channels.div_ceil(CHANNELS);
    let size = panels.div_ceil(PIECES_WANTED.div_ceil(blocks)).min(PANELS);
    let pieces = panels.div_ceil(size);
    (0..blocks * pieces).into_par_iter().for_each(|i| {
        let channel = i % blocks * CHANNELS;
        let panel = i / blocks * size;
        let piece = Piece {
            plan,
            channel,
            channels: CHANNELS.min(plan.channels - channel),
            first_tile: (first_panel + panel) * plan.cols,
            panel,
            panels: size.min(panels - panel),
        };
        // SAFETY: no two pieces have a channel and a panel in common; the rest is the caller's word.
        unsafe { piece.run(input, to) };
    });
}

/// Some channels of some panels.
struct Piece<'a> {
    plan: &'a Plan,
    channel: usize,
    channels: usize,
    /// Its first tile, of all; its panels, within the strip.
    first_tile: usize,
    panel: usize,
    panels: usize,
}

impl Piece<'_> {
    /// # Safety
    /// As for [`transform`], for the factors of this piece.
    unsafe fn run(&self, input: Input, to: Shared) {
        let plan = self.plan;
        let last_tile = (self.first_tile + self.panels * plan.cols).min(plan.tiles) - 1;
        let first_row = self.first_tile / plan.tile_cols;
        let rows = last_tile / plan.tile_cols + 1 - first_row;
        let len = rows * plan.staged_row();
        with_scratch(self.channels * len, |staged| {
            for (channel, staged) in staged.chunks_exact_mut(len).enumerate() {
                dispatch(Stage { plan, input, channel: self.channel + channel, first_row, staged });
            }
            // Where each tile begins; what fills up the last panel repeats the last tile.
            let places: Vec<usize> = (self.first_tile..self.first_tile + self.panels * plan.cols)
                .map(|tile| tile.min(last_tile))
                .map(|tile| (tile / plan.tile_cols - first_row) * plan.staged_row() + tile % plan.tile_cols * RESULTS)
                .collect();
            dispatch(Transform { piece: self, staged, len, places: &places, to });
        });
    }
}

/// Copies a channel's rows of tiles, from `first_row` of all pictures on: for each the six rows of the padded picture
/// that it reads, normalised if so asked. So no tile has to look where the picture ends.
struct Stage<'a> {
    plan: &'a Plan,
    input: Input<'a>,
    channel: usize,
    first_row: usize,
    staged: &'a mut [f32],
}

impl Task for Stage<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { plan, input: Input { source, x, normals }, channel, first_row, staged } = self;
        let (pitch, tile_row_len) = (plan.pitch(), plan.staged_row());
        let inside = source.span(source.left, pitch);
        for i in 0..staged.len() / tile_row_len {
            let (picture, tile_row) = ((first_row + i) / plan.tile_rows, (first_row + i) % plan.tile_rows);
            let plane = source.plane(x, picture, channel);
            let normal = normals.map(|normals| normals[picture * source.channels + channel]);
            let (before, of_tiles) = staged.split_at_mut(i * tile_row_len);
            let mut row = 0;
            // The last rows of the tiles above are the first of these.
            if i > 0 && tile_row > 0 {
                row = INPUTS - RESULTS;
                of_tiles[..row * pitch].copy_from_slice(&before[before.len() - row * pitch..]);
            }
            while row < INPUTS {
                let to = &mut of_tiles[row * pitch..][..pitch];
                let y = (tile_row * RESULTS + row) as isize - source.top;
                match source.row(plane, y) {
                    Some(from) => {
                        source.pack_row(from, source.left, to);
                        if let Some(normal) = normal {
                            normal.silu_in_place(s, &mut to[inside.clone()]);
                        }
                    }
                    None => to.fill(0.0),
                }
                row += 1;
            }
        }
    }
}

/// The transform of what is staged: eight tiles at a time, a lane each.
struct Transform<'a> {
    piece: &'a Piece<'a>,
    /// The channels, `len` values each.
    staged: &'a [f32],
    len: usize,
    places: &'a [usize],
    to: Shared,
}

impl Task for Transform<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Piece { plan, channel, channels, panel, .. } = *self.piece;
        let pitch = plan.pitch();
        let farthest = self.places.iter().max().map_or(0, |place| place + (INPUTS - 1) * pitch + LANES);
        assert!(farthest <= self.len && self.staged.len() == channels * self.len);
        for (i, places) in self.places.chunks_exact(plan.cols).enumerate() {
            for (v, places) in places.chunks(LANES).enumerate() {
                let mut lanes = [self.staged.as_ptr(); LANES];
                for (lane, address) in lanes.iter_mut().enumerate() {
                    *address = address.wrapping_add(places[lane.min(places.len() - 1)]);
                }
                for c in 0..channels {
                    // SAFETY: the assertion above: from every place on, six rows of eight values are within a channel.
                    let factors = unsafe { of_tiles(s, further(lanes, c * self.len), pitch) };
                    let at = ((panel + i) * plan.channels + channel + c) * plan.cols + v * LANES;
                    for (j, factor) in factors.into_iter().enumerate() {
                        // SAFETY: the caller vouches for the room; `places.len()` columns of the panel begin here.
                        unsafe { store_at(s, factor, self.to.at().add(j * plan.input_stride + at), places.len()) };
                    }
                }
            }
        }
    }
}

/// The factors of eight tiles, whose first rows are at the given addresses.
///
/// # Safety
/// Eight values of six rows, `pitch` apart, must be readable at each.
#[inline(always)]
unsafe fn of_tiles<S: Simd>(s: S, from: [*const f32; LANES], pitch: usize) -> [S::F; PRODUCTS] {
    let zero = s.splat(0.0);
    let mut rows = [[zero; INPUTS]; INPUTS];
    for (i, row) in rows.iter_mut().enumerate() {
        // SAFETY: the caller vouches for the rows.
        let [a, b, c, d, e, f, ..] = unsafe { s.load_turned(further(from, i * pitch)) };
        *row = of_inputs(s, [a, b, c, d, e, f]);
    }
    let mut factors = [zero; PRODUCTS];
    for j in 0..INPUTS {
        let column = of_inputs(s, [rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j]]);
        for (i, value) in column.into_iter().enumerate() {
            factors[i * INPUTS + j] = value;
        }
    }
    factors
}
