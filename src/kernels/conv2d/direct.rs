//! The convolution itself: tiles of four channels by three vectors of the result are kept in registers while all input
//! channels and taps go by.

use rayon::prelude::*;

use super::packed::{Source, Strip, Strips, Vector};
use crate::kernels::scratch::with_scratch;
use crate::kernels::simd::{LANES, Simd, Task, dispatch};

/// Channels and vectors of a tile: twelve sums, three inputs and a weight fill the sixteen registers of AVX2.
const TILE_CHANNELS: usize = 4;
const TILE_VECTORS: usize = 3;
/// Where there are fewer strips than this, the channels of the result are shared out too, but not to fewer than the
/// least number, since each share packs the input for itself.
const PIECES_WANTED: usize = 32;
const LEAST_CHANNELS: usize = 16;

/// A convolution of a source with weights `[out_channels, source.channels, kernel_height, kernel_width]`.
pub struct Direct {
    pub source: Source,
    pub out_channels: usize,
}

impl Direct {
    /// Computes all results.
    pub fn run(&self, x: &[f32], w: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
        if out.is_empty() {
            return;
        }
        let strips = Strips::new(&self.source);
        let shares = PIECES_WANTED.div_ceil(strips.count).min(self.out_channels.div_ceil(LEAST_CHANNELS));
        let share = self.out_channels.div_ceil(shares).next_multiple_of(TILE_CHANNELS);
        let shares = self.out_channels.div_ceil(share);
        // The rows of the result that each piece of work writes: for each picture of its strip, for each channel of its
        // share.
        let mut pieces: Vec<Vec<&mut [f32]>> = Vec::new();
        pieces.resize_with(strips.count * shares, || Vec::with_capacity(share * strips.pictures));
        let plane = self.source.out_height * self.source.out_width;
        for (i, plane) in out.chunks_mut(plane).enumerate() {
            let (picture, channel) = (i / self.out_channels, i % self.out_channels);
            let first_strip = picture / strips.pictures * strips.of_picture;
            for (j, rows) in plane.chunks_mut(strips.rows * self.source.out_width).enumerate() {
                pieces[(first_strip + j) * shares + channel / share].push(rows);
            }
        }
        pieces.into_par_iter().enumerate().for_each(|(i, mut rows)| {
            let strip = strips.strip(i / shares);
            let channels = rows.len() / strip.pictures;
            let first_channel = i % shares * share;
            self.run_piece(&strips, &strip, first_channel, channels, x, w, bias, &mut rows);
        });
    }

    /// One strip, for some channels of the result.
    fn run_piece(
        &self,
        strips: &Strips,
        strip: &Strip,
        first_channel: usize,
        channels: usize,
        x: &[f32],
        w: &[f32],
        bias: Option<&[f32]>,
        rows: &mut [&mut [f32]],
    ) {
        for (i, row) in rows.iter_mut().enumerate() {
            row.fill(bias.map_or(0.0, |bias| bias[first_channel + i % channels]));
        }
        let taps = strip.taps.len();
        let weight_len = self.source.channels * taps;
        with_scratch(strips.block_len(), |packed| {
            for first_input in (0..self.source.channels).step_by(strips.block_channels) {
                let inputs = strips.block_channels.min(self.source.channels - first_input);
                strip.pack(&self.source, x, first_input, inputs, packed);
                let weights = &w[first_channel * weight_len..][..channels * weight_len];
                let at = first_input * taps;
                dispatch(Block { strip, packed, inputs, weights, weight_len, at, channels, rows });
            }
        });
    }
}

/// Adds the products of a block of input channels.
struct Block<'a, 'b> {
    strip: &'a Strip,
    packed: &'a [f32],
    inputs: usize,
    /// The weights of the channels, `weight_len` each, of which those of the block begin at `at`.
    weights: &'a [f32],
    weight_len: usize,
    at: usize,
    channels: usize,
    /// Rows of the result: for each picture, for each channel.
    rows: &'a mut [&'b mut [f32]],
}

impl Task for Block<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let mut channel = 0;
        while channel < self.channels {
            match self.channels - channel {
                1 => self.channels::<S, 1>(s, channel),
                2 => self.channels::<S, 2>(s, channel),
                3 => self.channels::<S, 3>(s, channel),
                _ => self.channels::<S, TILE_CHANNELS>(s, channel),
            }
            channel += TILE_CHANNELS;
        }
    }
}

impl Block<'_, '_> {
    /// All vectors of `M` channels.
    #[inline(always)]
    fn channels<S: Simd, const M: usize>(&mut self, s: S, channel: usize) {
        let strip = self.strip;
        let (groups, rest) = strip.vectors.as_chunks::<TILE_VECTORS>();
        for group in groups {
            self.tile::<S, M, TILE_VECTORS>(s, channel, group);
        }
        match rest {
            [a, b] => self.tile::<S, M, 2>(s, channel, &[*a, *b]),
            [a] => self.tile::<S, M, 1>(s, channel, &[*a]),
            _ => {}
        }
    }

    /// `M` channels of `V` vectors.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, s: S, channel: usize, vectors: &[Vector; V]) {
        let taps = self.strip.taps.as_slice();
        let weights: [&[f32]; M] = std::array::from_fn(|m| {
            &self.weights[(channel + m) * self.weight_len + self.at..][..self.inputs * taps.len()]
        });
        let bases = vectors.map(|vector| vector.base);
        let sums = multiply(s, self.packed, self.strip.channel_stride, self.inputs, taps, bases, weights);
        for (v, vector) in vectors.iter().enumerate() {
            for (m, sums) in sums.iter().enumerate() {
                let row = &mut self.rows[vector.picture * self.channels + channel + m][vector.at..];
                if let (LANES, Some(to)) = (vector.lanes, row.first_chunk_mut::<LANES>()) {
                    s.store(s.add(s.load(to), sums[v]), to);
                } else {
                    let lanes = s.to_array(sums[v]);
                    row[..vector.lanes].iter_mut().zip(lanes).for_each(|(to, value)| *to += value);
                }
            }
        }
    }
}

/// The sums over channels and taps of `weights[m][channel, tap] * packed[channel, base + tap]`.
#[inline(always)]
fn multiply<S: Simd, const M: usize, const V: usize>(
    s: S,
    packed: &[f32],
    channel_stride: usize,
    channels: usize,
    taps: &[usize],
    bases: [usize; V],
    weights: [&[f32]; M],
) -> [[S::F; V]; M] {
    let mut sums = [[s.splat(0.0); V]; M];
    let (Some(farthest_tap), Some(farthest_base)) = (taps.iter().max(), bases.iter().max()) else { return sums };
    if channels == 0 {
        return sums;
    }
    let reach = (channels - 1) * channel_stride + farthest_base + farthest_tap + LANES;
    assert!(reach <= packed.len() && weights.iter().all(|w| w.len() == channels * taps.len()));
    let mut k = 0;
    for channel in 0..channels {
        for &tap in taps {
            // SAFETY: the assertion above bounds the farthest value that is read: of `packed` in the last channel at
            // the farthest base and tap, of the weights the last, with k = channels * taps - 1.
            unsafe {
                let from = packed.as_ptr().add(channel * channel_stride + tap);
                let inputs: [S::F; V] = std::array::from_fn(|v| s.load_ptr(from.add(bases[v])));
                for m in 0..M {
                    let weight = s.splat(*weights[m].get_unchecked(k));
                    for v in 0..V {
                        sums[m][v] = s.mul_add(weight, inputs[v], sums[m][v]);
                    }
                }
            }
            k += 1;
        }
    }
    sums
}
