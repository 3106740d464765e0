//! The convolution itself: tiles of up to six channels by two vectors of the result are kept in registers while all
//! input channels and taps go by.

use rayon::prelude::*;

use super::Added;
use super::packed::{Source, Strip, Strips, Vector};
use crate::kernels::activation::{load_some, store_some};
use crate::kernels::scratch::with_scratch;
use crate::kernels::simd::{LANES, Simd, Task, dispatch};
use crate::kernels::values::Values;

/// Channels of a tile: with two vectors, twelve sums, two inputs and a weight are fifteen of AVX2's sixteen registers.
/// (With four channels by three vectors they would be all sixteen, and the compiler spills one: half the speed.)
const TILE_CHANNELS: usize = 6;
/// Where there are fewer strips than this, the channels of the result are shared out too, but not to fewer than the
/// least number, since each share packs the input for itself.
const PIECES_WANTED: usize = 32;
const LEAST_CHANNELS: usize = 32;

/// A convolution of a source.
pub struct Direct<'a> {
    pub source: Source,
    pub out_channels: usize,
    pub weights: Weights<'a>,
}

/// Where the weights are.
#[derive(Clone, Copy)]
pub enum Weights<'a> {
    /// `[out_channels, source.channels, taps]`
    Plain(Values<'a>),
    /// The other way round, `[source.channels, out_channels, kernel]`: the weights of the convolution whose gradient
    /// this is. Tap t of a channel is value `taps[t]` of its kernel.
    Turned { weights: Values<'a>, kernel: usize, taps: &'a [usize] },
}

impl Direct<'_> {
    /// Computes all results.
    pub fn run(&self, x: &[f32], added: Added, out: &mut [f32]) {
        if out.is_empty() {
            return;
        }
        let strips = Strips::new(&self.source);
        // With a stride, fewer multiplications pay for a packed value.
        let least_channels = LEAST_CHANNELS * self.source.stride * self.source.stride;
        let shares = PIECES_WANTED.div_ceil(strips.count).min(self.out_channels.div_ceil(least_channels));
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
            self.run_piece(&strips, &strip, first_channel, channels, x, added, &mut rows);
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
        added: Added,
        rows: &mut [&mut [f32]],
    ) {
        let taps = strip.taps.len();
        let turned_len = match self.weights {
            Weights::Plain(Values::F32(_)) => 0,
            Weights::Plain(_) => TILE_CHANNELS * strips.block_channels * taps,
            Weights::Turned { kernel, .. } => TILE_CHANNELS * (strips.block_channels * taps + kernel),
        };
        with_scratch(strips.block_len() + turned_len, |buffer| {
            let (packed, turned) = buffer.split_at_mut(strips.block_len());
            // Without input channels there is one block of none, which writes the bias.
            for first_input in (0..self.source.channels.max(1)).step_by(strips.block_channels) {
                let inputs = strips.block_channels.min(self.source.channels - first_input);
                strip.pack(&self.source, x, first_input, inputs, packed);
                dispatch(Block {
                    conv: self,
                    strip,
                    packed,
                    turned,
                    first_input,
                    inputs,
                    first_channel,
                    channels,
                    added,
                    rows,
                });
            }
        });
    }
}

/// The products of a block of input channels: the first block is written, with what is to be added, the others are added.
struct Block<'a, 'b> {
    conv: &'a Direct<'a>,
    strip: &'a Strip,
    packed: &'a [f32],
    /// Room for the weights of a tile where they have to be turned or widened.
    turned: &'a mut [f32],
    first_input: usize,
    inputs: usize,
    first_channel: usize,
    channels: usize,
    added: Added<'a>,
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
        self.turn(channel, M);
        let (groups, rest) = strip.vectors.as_chunks::<V>();
        for group in groups {
            self.tile::<S, M, V>(s, channel, group);
        }
        for vector in rest {
            self.tile::<S, M, 1>(s, channel, &[*vector]);
        }
    }

    /// Copies the weights of a tile's channels where they lie the other way round, or are to be widened.
    #[inline(always)]
    fn turn(&mut self, channel: usize, count: usize) {
        let len = self.inputs * self.strip.taps.len();
        match self.conv.weights {
            _ if len == 0 => {}
            // They are read where they lie.
            Weights::Plain(Values::F32(_)) => {}
            Weights::Plain(weights) => {
                let first = self.first_weight(channel);
                let stride = self.conv.source.channels * self.strip.taps.len();
                for (m, to) in self.turned.chunks_exact_mut(len).take(count).enumerate() {
                    weights.part(first + m * stride, len).widened(to);
                }
            }
            Weights::Turned { weights, kernel, taps } => {
                let (turned, room) = self.turned.split_at_mut(self.turned.len() - TILE_CHANNELS * kernel);
                for input in 0..self.inputs {
                    let from = (self.first_input + input) * self.conv.out_channels + self.first_channel + channel;
                    let from = weights.part(from * kernel, count * kernel).widened(&mut room[..count * kernel]);
                    for (m, from) in from.chunks_exact(kernel).enumerate() {
                        let to = &mut turned[m * len + input * taps.len()..][..taps.len()];
                        to.iter_mut().zip(taps).for_each(|(to, &tap)| *to = from[tap]);
                    }
                }
            }
        }
    }

    /// Where the weights of a channel of the result begin, for the block's inputs, if they are not turned.
    #[inline(always)]
    fn first_weight(&self, channel: usize) -> usize {
        ((self.first_channel + channel) * self.conv.source.channels + self.first_input) * self.strip.taps.len()
    }

    /// The weights of one channel of a tile, for the block's inputs: `[inputs, taps]`.
    #[inline(always)]
    fn weights(&self, channel: usize, m: usize) -> &[f32] {
        let len = self.inputs * self.strip.taps.len();
        match self.conv.weights {
            Weights::Plain(Values::F32(weights)) => &weights[self.first_weight(channel + m)..][..len],
            _ => &self.turned[m * len..][..len],
        }
    }

    /// `M` channels of `V` vectors.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, s: S, channel: usize, vectors: &[Vector; V]) {
        let taps = self.strip.taps.as_slice();
        let weights: [&[f32]; M] = std::array::from_fn(|m| self.weights(channel, m));
        let first = self.first_input == 0;
        let bias: [f32; M] = std::array::from_fn(|m| match self.added.bias {
            Some(bias) if first => bias[self.first_channel + channel + m],
            _ => 0.0,
        });
        let bases = vectors.map(|vector| vector.base);
        let sums = multiply(s, self.packed, self.strip.channel_stride, self.inputs, taps, bases, weights, bias);
        for (v, vector) in vectors.iter().enumerate() {
            for (m, sums) in sums.iter().enumerate() {
                let row = &mut self.rows[vector.picture * self.channels + channel + m][vector.at..];
                let to = &mut row[..vector.lanes];
                let sum = match self.added.residual {
                    _ if !first => s.add(load_some(s, to), sums[v]),
                    Some(residual) => {
                        let source = &self.conv.source;
                        let plane = (self.strip.first_picture + vector.picture) * self.conv.out_channels
                            + self.first_channel
                            + channel
                            + m;
                        let row = plane * source.out_height + self.strip.first_row;
                        s.add(load_some(s, &residual[row * source.out_width + vector.at..][..vector.lanes]), sums[v])
                    }
                    None => sums[v],
                };
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
