//! The factors of the weights: kernels of 3 × 3, widened, transformed and packed as the micro-kernel's rows. They are
//! made in every call: kept, they would be eight times what a file of 16 bits holds.

use rayon::prelude::*;

use super::plan::Plan;
use super::points::{INPUTS, PRODUCTS, of_weights};
use super::{Shared, further, store_at};
use crate::kernels::conv2d::direct::Weights;
use crate::kernels::scratch::with_scratch;
use crate::kernels::simd::{LANES, Simd, Task, dispatch};
use crate::kernels::values::Values;

/// Values of a kernel.
const TAPS: usize = 9;
/// Input channels of a piece of work.
const CHANNELS: usize = 64;

/// The weights of a convolution.
#[derive(Clone, Copy)]
pub struct Kernels<'a> {
    pub weights: Weights<'a>,
    pub out_channels: usize,
}

/// Writes the factors of the group that begins at panel `first_panel`, `panels` long, for all channels.
///
/// # Safety
/// `to` must have room for `36 * plan.weight_stride` values, which nobody else uses meanwhile.
pub unsafe fn transform(plan: &Plan, kernels: Kernels, first_panel: usize, panels: usize, to: Shared) {
    let pieces = plan.channels.div_ceil(CHANNELS);
    (0..panels * pieces).into_par_iter().for_each(|i| {
        let (panel, channel) = (i / pieces, i % pieces * CHANNELS);
        let channels = CHANNELS.min(plan.channels - channel);
        // SAFETY: no two pieces have a panel and a channel in common; the rest is the caller's word.
        unsafe { Piece::new(plan, kernels, first_panel, panel, channel, channels, channel).run(to) };
    });
}

/// Writes the factors of the same, for a block of channels from `channel` on, on this thread.
///
/// # Safety
/// As for [`transform`].
pub unsafe fn transform_block(
    plan: &Plan,
    kernels: Kernels,
    first_panel: usize,
    panels: usize,
    channel: usize,
    to: Shared,
) {
    let channels = plan.block.min(plan.channels - channel);
    for panel in 0..panels {
        // SAFETY: the caller's word.
        unsafe { Piece::new(plan, kernels, first_panel, panel, channel, channels, 0).run(to) };
    }
}

/// Some channels of one panel.
struct Piece<'a> {
    plan: &'a Plan,
    kernels: Kernels<'a>,
    /// Its channels of the result.
    first_out: usize,
    outs: usize,
    /// Its input channels.
    channel: usize,
    channels: usize,
    /// Where its factors begin in each of the 36 matrices.
    at: usize,
}

impl<'a> Piece<'a> {
    /// The panel `panel` of a group; `place` is the place of `channel` among those of the block.
    fn new(
        plan: &'a Plan,
        kernels: Kernels<'a>,
        first_panel: usize,
        panel: usize,
        channel: usize,
        channels: usize,
        place: usize,
    ) -> Self {
        let first_out = (first_panel + panel) * plan.rows;
        let outs = plan.rows.min(kernels.out_channels - first_out);
        let at = (panel * plan.block + place) * plan.rows;
        Self { plan, kernels, first_out, outs, channel, channels, at }
    }
}

impl Piece<'_> {
    /// # Safety
    /// As for [`transform`], for the factors of this piece.
    unsafe fn run(&self, to: Shared) {
        let Kernels { weights, out_channels } = self.kernels;
        // Widened to f32, the kernels lie closer together.
        with_scratch(self.outs * self.channels * TAPS, |room| {
            let (values, out_stride, channel_stride) = match weights {
                Weights::Plain(Values::F32(values)) => {
                    let stride = self.plan.channels * TAPS;
                    (&values[self.first_out * stride + self.channel * TAPS..], stride, TAPS)
                }
                Weights::Plain(values) => {
                    let len = self.channels * TAPS;
                    for (out, room) in room.chunks_exact_mut(len).enumerate() {
                        let first = ((self.first_out + out) * self.plan.channels + self.channel) * TAPS;
                        values.part(first, len).widened(room);
                    }
                    (&*room, len, TAPS)
                }
                Weights::Turned { weights: Values::F32(values), .. } => {
                    let stride = out_channels * TAPS;
                    (&values[self.channel * stride + self.first_out * TAPS..], TAPS, stride)
                }
                Weights::Turned { weights: values, .. } => {
                    let len = self.outs * TAPS;
                    for (channel, room) in room.chunks_exact_mut(len).enumerate() {
                        let first = ((self.channel + channel) * out_channels + self.first_out) * TAPS;
                        values.part(first, len).widened(room);
                    }
                    (&*room, TAPS, len)
                }
            };
            let turned = matches!(weights, Weights::Turned { .. });
            dispatch(Transform { piece: self, values, out_stride, channel_stride, turned, to });
        });
    }
}

/// The transform: a lane for each channel of the result.
struct Transform<'a> {
    piece: &'a Piece<'a>,
    values: &'a [f32],
    out_stride: usize,
    channel_stride: usize,
    /// Whether the kernels are to be turned by 180°.
    turned: bool,
    to: Shared,
}

impl Task for Transform<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Piece { plan, outs, channels, at: first, .. } = *self.piece;
        let farthest = (outs - 1) * self.out_stride + (channels - 1) * self.channel_stride + TAPS;
        assert!(farthest <= self.values.len());
        // The piece's factors in the panel: the last vector of a channel may run over into the next channel's, which
        // are written after it, but not over the end.
        let len = channels * plan.rows;
        for c in 0..channels {
            let kernels = [self.values.as_ptr().wrapping_add(c * self.channel_stride); LANES];
            for row in (0..plan.rows).step_by(LANES) {
                let mut kernels = kernels;
                for (lane, address) in kernels.iter_mut().enumerate() {
                    // Where there are fewer channels of the result, the last is repeated.
                    *address = address.wrapping_add((row + lane).min(outs - 1) * self.out_stride);
                }
                // SAFETY: the assertion above: at every one of these a whole kernel is readable.
                let factors = unsafe { of_kernels(s, kernels, self.turned) };
                let at = c * plan.rows + row;
                for (j, factor) in factors.into_iter().enumerate() {
                    // SAFETY: the caller vouches for the room of the piece, of which `len - at` values are left.
                    unsafe {
                        let to = self.to.at().add(j * plan.weight_stride + first + at);
                        store_at(s, factor, to, (len - at).min(LANES));
                    }
                }
            }
        }
    }
}

/// The factors of eight kernels.
///
/// # Safety
/// Nine values must be readable at each address.
#[inline(always)]
unsafe fn of_kernels<S: Simd>(s: S, from: [*const f32; LANES], turned: bool) -> [S::F; PRODUCTS] {
    // SAFETY: the caller vouches for values 0 to 8; the second time 1 to 9 are read, for the last.
    let ([a, b, c, d, e, f, g, h], [.., i]) = unsafe { (s.load_turned(from), s.load_turned(further(from, 1))) };
    let kernel = if turned { [[i, h, g], [f, e, d], [c, b, a]] } else { [[a, b, c], [d, e, f], [g, h, i]] };
    let rows = [of_weights(s, kernel[0]), of_weights(s, kernel[1]), of_weights(s, kernel[2])];
    let mut factors = [s.splat(0.0); PRODUCTS];
    for j in 0..INPUTS {
        let column = of_weights(s, [rows[0][j], rows[1][j], rows[2][j]]);
        for (i, value) in column.into_iter().enumerate() {
            factors[i * INPUTS + j] = value;
        }
    }
    factors
}
