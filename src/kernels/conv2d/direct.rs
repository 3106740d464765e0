//! The convolution itself: tiles of up to six channels by two vectors of the result are kept in registers while all
//! input channels and taps go by.

use rayon::prelude::*;

use super::packed::{Source, Strip, Strips, Vector};
use crate::kernels::activation::{load_some, store_some};
use crate::kernels::scratch::with_scratch;
use crate::kernels::simd::{LANES, Simd, Task, dispatch};

/// Channels of a tile: with two vectors, twelve sums, two inputs and a weight are fifteen of AVX2's sixteen registers.
/// (With four channels by three vectors they would be all sixteen, and the compiler spills one: half the speed.)
const TILE_CHANNELS: usize = 6;
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
        let share = self.out_channels.div_ceil(shares);
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
        let taps = strip.taps.len();
        let weight_len = self.source.channels * taps;
        with_scratch(strips.block_len(), |packed| {
            // Without input channels there is one block of none, which writes the bias.
            for first_input in (0..self.source.channels.max(1)).step_by(strips.block_channels) {
                let inputs = strips.block_channels.min(self.source.channels - first_input);
                strip.pack(&self.source, x, first_input, inputs, packed);
                let weights = &w[first_channel * weight_len..][..channels * weight_len];
                let at = first_input * taps;
                let bias = bias.map(|bias| &bias[first_channel..][..channels]);
                dispatch(Block { strip, packed, inputs, weights, weight_len, at, channels, bias, rows });
            }
        });
    }
}

/// The products of a block of input channels: the first block is written over the bias, the others are added.
struct Block<'a, 'b> {
    strip: &'a Strip,
    packed: &'a [f32],
    inputs: usize,
    /// The weights of the channels, `weight_len` each, of which those of the block begin at `at`.
    weights: &'a [f32],
    weight_len: usize,
    at: usize,
    channels: usize,
    bias: Option<&'a [f32]>,
    /// Rows of the result: for each picture, for each channel.
    rows: &'a mut [&'b mut [f32]],
}

impl Task for Block<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        // Even tiles rather than a small last one, which would leave the multipliers waiting.
        let tiles = self.channels.div_ceil(TILE_CHANNELS);
        for tile in 0..tiles {
            let channel = tile * self.channels / tiles;
            match (tile + 1) * self.channels / tiles - channel {
                1 => self.channels::<S, 1, 3>(s, channel),
                2 => self.channels::<S, 2, 3>(s, channel),
                3 => self.channels::<S, 3, 3>(s, channel),
                4 => self.channels::<S, 4, 2>(s, channel),
                5 => self.channels::<S, 5, 2>(s, channel),
                _ => self.channels::<S, TILE_CHANNELS, 2>(s, channel),
            }
        }
    }
}

impl Block<'_, '_> {
    /// All vectors of `M` channels, `V` at a time.
    #[inline(always)]
    fn channels<S: Simd, const M: usize, const V: usize>(&mut self, s: S, channel: usize) {
        let strip = self.strip;
        let (groups, rest) = strip.vectors.as_chunks::<V>();
        for group in groups {
            self.tile::<S, M, V>(s, channel, group);
        }
        for vector in rest {
            self.tile::<S, M, 1>(s, channel, &[*vector]);
        }
    }

    /// `M` channels of `V` vectors.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, s: S, channel: usize, vectors: &[Vector; V]) {
        let taps = self.strip.taps.as_slice();
        let weights: [&[f32]; M] = std::array::from_fn(|m| {
            &self.weights[(channel + m) * self.weight_len + self.at..][..self.inputs * taps.len()]
        });
        let first = self.at == 0;
        let bias: [f32; M] = std::array::from_fn(|m| match self.bias {
            Some(bias) if first => bias[channel + m],
            _ => 0.0,
        });
        let bases = vectors.map(|vector| vector.base);
        let sums = multiply(s, self.packed, self.strip.channel_stride, self.inputs, taps, bases, weights, bias);
        for (v, vector) in vectors.iter().enumerate() {
            for (m, sums) in sums.iter().enumerate() {
                let row = &mut self.rows[vector.picture * self.channels + channel + m][vector.at..];
                let to = &mut row[..vector.lanes];
                let sum = if first { sums[v] } else { s.add(load_some(s, to), sums[v]) };
                store_some(s, sum, to);
            }
        }
    }
}

/// `bias[m]` and the sums over channels and taps of `weights[m][channel, tap] * packed[channel, base + tap]`.
#[inline(always)]
fn multiply<S: Simd, const M: usize, const V: usize>(
    s: S,
    packed: &[f32],
    channel_stride: usize,
    channels: usize,
    taps: &[usize],
    bases: [usize; V],
    weights: [&[f32]; M],
    bias: [f32; M],
) -> [[S::F; V]; M] {
    let mut sums = bias.map(|bias| [s.splat(bias); V]);
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
