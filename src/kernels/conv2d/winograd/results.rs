//! The results from the sums of products: tiles of 4 × 4, with the bias and what else is added, written to the picture.

use rayon::prelude::*;

use super::plan::Plan;
use super::points::{INPUTS, PRODUCTS, RESULTS, to_results};
use super::{Shared, store_at};
use crate::kernels::activation::load_some;
use crate::kernels::conv2d::Added;
use crate::kernels::conv2d::packed::Source;
use crate::kernels::simd::{LANES, Simd, Task, dispatch};

/// Vectors of tiles of a piece of work: 16 channels' worth of which is a good deal of work.
const VECTORS: usize = 16;
/// Channels of a piece of work.
const CHANNELS: usize = 4;

/// Writes the results of some tiles, for some channels.
pub struct Results<'a> {
    pub plan: &'a Plan,
    pub source: &'a Source,
    pub out_channels: usize,
    pub added: Added<'a>,
    /// The first tile and how many there are; they end where the strip or the pictures end.
    pub first_tile: usize,
    pub tiles: usize,
    /// The first channel of the group, and how many there are.
    pub first_channel: usize,
    pub channels: usize,
}

/// Where a tile lies.
#[derive(Clone, Copy)]
struct Place {
    /// In the results of a picture's first channel, counted from the beginning of all.
    at: usize,
    /// Rows and columns of it that exist.
    rows: usize,
    cols: usize,
    /// Whether the tile after it goes on where its rows end, and both are whole in width.
    joined: bool,
}

impl Results<'_> {
    /// Writes them, on all threads.
    ///
    /// # Safety
    /// `sums` must hold `36 * plan.sum_stride` values, which nobody writes meanwhile; `out` must have room for all
    /// results, of which nobody else may use those of these tiles and channels.
    pub unsafe fn write(&self, sums: Shared, out: Shared) {
        let places = self.places();
        let blocks = self.channels.div_ceil(CHANNELS);
        let vectors = self.tiles.div_ceil(LANES);
        let pieces = vectors.div_ceil(VECTORS);
        (0..blocks * pieces).into_par_iter().for_each(|i| {
            let channel = i / pieces * CHANNELS;
            let vector = i % pieces * VECTORS;
            for channel in channel..self.channels.min(channel + CHANNELS) {
                let vectors = vector..vectors.min(vector + VECTORS);
                dispatch(Piece { results: self, places: &places, channel, vectors, sums, out });
            }
        });
    }

    /// Writes them, on this thread.
    ///
    /// # Safety
    /// As for [`Results::write`].
    pub unsafe fn write_alone(&self, sums: Shared, out: Shared) {
        let places = self.places();
        for channel in 0..self.channels {
            let vectors = 0..self.tiles.div_ceil(LANES);
            dispatch(Piece { results: self, places: &places, channel, vectors, sums, out });
        }
    }

    fn places(&self) -> Vec<Place> {
        let (plan, source) = (self.plan, self.source);
        let place = |tile: usize| {
            let (row, col) = (tile / plan.tile_cols, tile % plan.tile_cols);
            let (picture, y, x) = (row / plan.tile_rows, row % plan.tile_rows * RESULTS, col * RESULTS);
            Place {
                at: (picture * self.out_channels * source.out_height + y) * source.out_width + x,
                rows: RESULTS.min(source.out_height - y),
                cols: RESULTS.min(source.out_width - x),
                joined: x + 2 * RESULTS <= source.out_width,
            }
        };
        (self.first_tile..self.first_tile + self.tiles).map(place).collect()
    }
}

/// Some vectors of eight tiles, of one channel.
struct Piece<'a> {
    results: &'a Results<'a>,
    places: &'a [Place],
    /// Within the group.
    channel: usize,
    vectors: std::ops::Range<usize>,
    sums: Shared,
    out: Shared,
}

impl Task for Piece<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Results { plan, source, added, first_channel, .. } = *self.results;
        let channel = first_channel + self.channel;
        let bias = s.splat(added.bias.map_or(0.0, |bias| bias[channel]));
        let plane = channel * source.out_height * source.out_width;
        for vector in self.vectors.clone() {
            let at = self.channel * plan.sum_row + vector * LANES;
            // SAFETY: the caller vouches for the sums: each of the 36 has a row for each channel of the group, of a
            // whole number of vectors.
            let results = unsafe { of_sums(s, self.sums.at().cast_const().add(at), plan.sum_stride) };
            // For each row, the four pairs of neighbouring tiles.
            let mut rows = [[bias; 4]; RESULTS];
            for (row, mut results) in rows.iter_mut().zip(results) {
                for result in &mut results {
                    *result = s.add(*result, bias);
                }
                *row = s.interleave(results);
            }
            let mut tile = vector * LANES;
            for pair in 0..4 {
                let Some(place) = self.places.get(tile) else { break };
                let next = self.places.get(tile + 1);
                tile += 2;
                for (y, row) in rows.iter().enumerate() {
                    if place.joined && next.is_some() {
                        if y < place.rows {
                            // SAFETY: the caller vouches for the results of these tiles; these are eight of them.
                            unsafe { self.write(s, row[pair], plane + place.at + y * source.out_width, LANES) };
                        }
                        continue;
                    }
                    let lanes = s.to_array(row[pair]);
                    for (half, place) in [Some(place), next].into_iter().flatten().enumerate() {
                        if y < place.rows {
                            let part = load_some(s, &lanes[half * RESULTS..][..RESULTS]);
                            // SAFETY: as above, for those of the tile that exist.
                            unsafe { self.write(s, part, plane + place.at + y * source.out_width, place.cols) };
                        }
                    }
                }
            }
        }
    }
}

impl Piece<'_> {
    /// Writes the first `lanes` of some results, and what is added to them.
    ///
    /// # Safety
    /// They must be among those for which the caller of [`Results::write`] vouches.
    #[inline(always)]
    unsafe fn write<S: Simd>(&self, s: S, value: S::F, at: usize, lanes: usize) {
        let value = match self.results.added.residual {
            Some(residual) => s.add(value, load_some(s, &residual[at..][..lanes])),
            None => value,
        };
        // SAFETY: the caller vouches for them.
        unsafe { store_at(s, value, self.out.at().add(at), lanes) };
    }
}

/// The results of eight tiles.
///
/// # Safety
/// Eight values must be readable at each of 36 places, `stride` apart.
#[inline(always)]
unsafe fn of_sums<S: Simd>(s: S, from: *const f32, stride: usize) -> [[S::F; RESULTS]; RESULTS] {
    let zero = s.splat(0.0);
    let mut rows = [[zero; RESULTS]; INPUTS];
    for (i, row) in rows.iter_mut().enumerate() {
        let mut sums = [zero; INPUTS];
        for (j, sum) in sums.iter_mut().enumerate() {
            debug_assert!(i * INPUTS + j < PRODUCTS);
            // SAFETY: the caller vouches for the places.
            *sum = unsafe { s.load_ptr(from.add((i * INPUTS + j) * stride)) };
        }
        *row = to_results(s, sums);
    }
    let mut results = [[zero; RESULTS]; RESULTS];
    for j in 0..RESULTS {
        let column = to_results(s, [rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j]]);
        for (i, value) in column.into_iter().enumerate() {
            results[i][j] = value;
        }
    }
    results
}
