//! The gradient of a convolution's weights: for four channels of the result and three taps at a time, the sums over all
//! pixels of the result's gradient times the input.

use rayon::prelude::*;

use super::packed::{Source, Strip, Strips};
use crate::kernels::linear::add_all;
use crate::kernels::scratch::with_scratch;
use crate::kernels::simd::{LANES, Simd, Task, dispatch};

/// Channels and taps of a tile: twelve sums, three inputs and a gradient fill the sixteen registers of AVX2.
const TILE_CHANNELS: usize = 4;
const TILE_TAPS: usize = 3;
/// Channels of the result that one piece of work computes, and how many pieces there should be: where the channels give
/// fewer, the strips are shared out, each share with sums of its own …
const PIECE_CHANNELS: usize = 32;
const PIECES_WANTED: usize = 32;
/// … which together hold at most this many values (64 MiB).
const SUM_VALUES: usize = 1 << 24;

/// Computes `gw` `[out_channels, channels, kernel_height, kernel_width]` from the input and the result's gradient.
pub fn run(source: &Source, out_channels: usize, x: &[f32], gy: &[f32], gw: &mut [f32]) {
    if gw.is_empty() || gy.is_empty() {
        gw.fill(0.0);
        return;
    }
    let strips = Strips::new(source);
    let channel_pieces = out_channels.div_ceil(PIECE_CHANNELS);
    let shares = PIECES_WANTED.div_ceil(channel_pieces).min(strips.count).min(SUM_VALUES / gw.len()).max(1);
    let share = strips.count.div_ceil(shares);
    let shares = strips.count.div_ceil(share);
    let weight_len = source.channels * source.kernel_height * source.kernel_width;
    // The sums of some channels over one share of the strips.
    let add_share = |piece: usize, share_index: usize, sums: &mut [f32]| {
        for strip in (share_index * share..strips.count).take(share) {
            add_strip(&strips, &strips.strip(strip), out_channels, piece * PIECE_CHANNELS, x, gy, sums);
        }
    };
    let piece_len = PIECE_CHANNELS * weight_len;
    if shares == 1 {
        gw.par_chunks_mut(piece_len).enumerate().for_each(|(piece, gw)| {
            gw.fill(0.0);
            add_share(piece, 0, gw);
        });
        return;
    }
    let sums: Vec<Vec<f32>> = (0..channel_pieces * shares)
        .into_par_iter()
        .map(|i| {
            let channels = PIECE_CHANNELS.min(out_channels - i / shares * PIECE_CHANNELS);
            let mut sums = vec![0.0; channels * weight_len];
            add_share(i / shares, i % shares, &mut sums);
            sums
        })
        .collect();
    for (gw, sums) in gw.chunks_mut(piece_len).zip(sums.chunks(shares)) {
        add_all(sums, gw);
    }
}

/// Adds one strip to the sums `[channels, source.channels, taps]` of some channels of the result.
fn add_strip(
    strips: &Strips,
    strip: &Strip,
    out_channels: usize,
    first_channel: usize,
    x: &[f32],
    gy: &[f32],
    sums: &mut [f32],
) {
    let source = &strips.source;
    let taps = strip.taps.len();
    let channels = sums.len() / (source.channels * taps);
    let gradient_len = strip.vectors.len() * LANES;
    with_scratch(strips.block_len() + channels * gradient_len, |buffer| {
        let (packed, gradient) = buffer.split_at_mut(strips.block_len());
        pack_gradient(source, strip, out_channels, first_channel, gy, gradient);
        for first_input in (0..source.channels).step_by(strips.block_channels) {
            let inputs = strips.block_channels.min(source.channels - first_input);
            strip.pack(source, x, first_input, inputs, packed);
            let offsets: Vec<usize> = (0..inputs)
                .flat_map(|input| strip.taps.iter().map(move |tap| input * strip.channel_stride + tap))
                .collect();
            let bases = Bases::new(strip.vectors.iter().map(|vector| vector.base).collect());
            let (weight_len, at) = (source.channels * taps, first_input * taps);
            dispatch(Block { packed, offsets: &offsets, bases: &bases, gradient, channels, weight_len, at, sums });
        }
    });
}

/// Copies the strip's rows of the gradient, each row filled up with zeros to whole vectors: `[channels, vectors, LANES]`.
fn pack_gradient(
    source: &Source,
    strip: &Strip,
    out_channels: usize,
    first_channel: usize,
    gy: &[f32],
    gradient: &mut [f32],
) {
    let plane = source.out_height * source.out_width;
    for (channel, to) in gradient.chunks_exact_mut(strip.vectors.len() * LANES).enumerate() {
        let mut rows = to.chunks_exact_mut(source.out_width.next_multiple_of(LANES));
        for picture in strip.first_picture..strip.first_picture + strip.pictures {
            let gy = &gy[(picture * out_channels + first_channel + channel) * plane..][..plane];
            let from = gy.chunks_exact(source.out_width).skip(strip.first_row).take(strip.rows);
            for (from, to) in from.zip(rows.by_ref()) {
                to[..from.len()].copy_from_slice(from);
                to[from.len()..].fill(0.0);
            }
        }
    }
}

/// Where the vectors of a strip lie, and the farthest of them.
struct Bases {
    list: Vec<usize>,
    farthest: usize,
}

impl Bases {
    fn new(list: Vec<usize>) -> Self {
        let farthest = list.iter().copied().max().unwrap_or(0);
        Self { list, farthest }
    }
}

/// Adds the products of a block of input channels.
struct Block<'a> {
    packed: &'a [f32],
    /// Where each tap of each input channel lies, from a vector's base.
    offsets: &'a [usize],
    bases: &'a Bases,
    gradient: &'a [f32],
    channels: usize,
    /// The sums of a channel are `weight_len` values, of which those of the block begin at `at`.
    weight_len: usize,
    at: usize,
    sums: &'a mut [f32],
}

impl Task for Block<'_> {
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

impl Block<'_> {
    /// All taps of `M` channels.
    #[inline(always)]
    fn channels<S: Simd, const M: usize>(&mut self, s: S, channel: usize) {
        let (groups, rest) = self.offsets.as_chunks::<TILE_TAPS>();
        for (i, group) in groups.iter().enumerate() {
            self.tile::<S, M, TILE_TAPS>(s, channel, i * TILE_TAPS, *group);
        }
        let tap = groups.len() * TILE_TAPS;
        match rest {
            [a, b] => self.tile::<S, M, 2>(s, channel, tap, [*a, *b]),
            [a] => self.tile::<S, M, 1>(s, channel, tap, [*a]),
            _ => {}
        }
    }

    /// `M` channels of `T` taps.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const T: usize>(&mut self, s: S, channel: usize, tap: usize, offsets: [usize; T]) {
        let len = self.bases.list.len() * LANES;
        let gradients: [&[f32]; M] = std::array::from_fn(|m| &self.gradient[(channel + m) * len..][..len]);
        let sums = multiply(s, self.packed, self.bases, offsets, gradients);
        // Four channels at once: adding up the lanes one vector at a time costs as much as a small picture.
        let of_taps: [[f32; TILE_CHANNELS]; T] =
            std::array::from_fn(|t| s.sum_each(std::array::from_fn(|m| sums[m.min(M - 1)][t])));
        for m in 0..M {
            let to = &mut self.sums[(channel + m) * self.weight_len + self.at + tap..][..T];
            to.iter_mut().zip(of_taps).for_each(|(to, sums)| *to += sums[m]);
        }
    }
}

/// The sums over vectors of `gradients[m][vector] * packed[base of vector + offset]`, lane by lane.
#[inline(always)]
fn multiply<S: Simd, const M: usize, const T: usize>(
    s: S,
    packed: &[f32],
    bases: &Bases,
    offsets: [usize; T],
    gradients: [&[f32]; M],
) -> [[S::F; T]; M] {
    let mut sums = [[s.splat(0.0); T]; M];
    let farthest = bases.farthest + offsets.iter().max().unwrap_or(&0);
    assert!(farthest + LANES <= packed.len());
    assert!(gradients.iter().all(|gradient| gradient.len() == bases.list.len() * LANES));
    for (i, base) in bases.list.iter().enumerate() {
        // SAFETY: the assertions above bound the farthest value of `packed`, at the farthest base and offset, and of
        // the gradients, the eight that end at `bases.list.len() * LANES`.
        unsafe {
            let from = packed.as_ptr().add(*base);
            let inputs: [S::F; T] = std::array::from_fn(|t| s.load_ptr(from.add(offsets[t])));
            for m in 0..M {
                let gradient = s.load_ptr(gradients[m].as_ptr().add(i * LANES));
                for t in 0..T {
                    sums[m][t] = s.mul_add(gradient, inputs[t], sums[m][t]);
                }
            }
        }
    }
    sums
}
