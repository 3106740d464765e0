//! The 3 × 3 convolution with stride 1 by Winograd's F(4 × 4, 3 × 3): a quarter of the multiplications.
//!
//! A tile of 4 × 4 results comes from 6 × 6 inputs. These and the kernel are transformed to 36 factors each, the
//! products of which, summed over the channels, are transformed to the results (see `points`). So there are 36 matrix
//! products, of [channels of the result, channels] by [channels, tiles]. `plan` cuts them to the caches; `inputs`,
//! `weights` and `results` are the transforms, done by all threads together, one after another.
//!
//! A value that is not a number reaches all results of the tiles that read it: up to three pixels more, on each side,
//! than those whose kernel covers it.

mod buffer;
mod inputs;
mod plan;
mod points;
mod results;
mod weights;

#[cfg(test)]
mod tests;

use rayon::prelude::*;

use self::buffer::with_buffer;
use self::plan::Plan;
use self::points::PRODUCTS;
use self::results::Results;
use super::Added;
use super::direct::Weights;
use super::packed::Source;
use crate::kernels::micro::Micro;
use crate::kernels::simd::{LANES, Simd};

/// Input channels of a block of a product: a panel of either operand stays in the first cache.
const BLOCK: usize = 384;
/// Panels of the weights of a piece of work: with a block's channels they stay in the second cache.
const PANELS: usize = 32;

/// A 3 × 3 convolution with stride 1.
pub struct Winograd<'a> {
    pub source: Source,
    pub out_channels: usize,
    pub weights: Weights<'a>,
    pub micro: &'static Micro,
}

impl Winograd<'_> {
    /// Whether a convolution is one of these, and faster so than directly.
    pub fn pays(source: &Source, out_channels: usize, micro: &Micro) -> bool {
        let _ = micro;
        (source.kernel_height, source.kernel_width, source.stride) == (3, 3, 1)
            && source.channels.min(out_channels) >= 32
    }

    /// Computes all results, which are `len` in number.
    pub fn run(&self, x: &[f32], added: Added, out: &mut [f32]) {
        let source = &self.source;
        debug_assert!((source.kernel_height, source.kernel_width, source.stride) == (3, 3, 1));
        assert!(out.len() == source.batch * self.out_channels * source.out_height * source.out_width);
        if out.is_empty() {
            return;
        }
        let plan = Plan::new(source, self.out_channels, self.micro);
        let parts = plan.parts();
        let out = Shared(out.as_mut_ptr());
        with_buffer(parts.len, |buffer| {
            let (inputs, rest) = buffer.split_at_mut(parts.weights);
            let (weights, sums) = rest.split_at_mut(parts.sums - parts.weights);
            let [inputs, weights, sums] = [inputs, weights, sums].map(|part| Shared(part.as_mut_ptr()));
            for first_tiles in (0..plan.tile_panels).step_by(plan.strip) {
                let tile_panels = plan.strip.min(plan.tile_panels - first_tiles);
                // SAFETY: `parts` has made room for each part, apart from the others, and each step ends before the
                // next begins. The strips and groups cut the results into parts of which each is written once.
                unsafe { inputs::transform(&plan, source, x, first_tiles, tile_panels, inputs) };
                for first_channels in (0..plan.channel_panels).step_by(plan.group) {
                    let panels = plan.group.min(plan.channel_panels - first_channels);
                    // SAFETY: as above.
                    unsafe {
                        // One group alone is the same for every strip.
                        if first_tiles == 0 || plan.group < plan.channel_panels {
                            weights::transform(&plan, self.weights, self.out_channels, first_channels, panels, weights);
                        }
                        self.multiply(&plan, panels, tile_panels, weights, inputs, sums);
                        let first_tile = first_tiles * plan.cols;
                        let first_channel = first_channels * plan.rows;
                        let results = Results {
                            plan: &plan,
                            source,
                            out_channels: self.out_channels,
                            added,
                            first_tile,
                            tiles: (tile_panels * plan.cols).min(plan.tiles - first_tile),
                            first_channel,
                            channels: (panels * plan.rows).min(self.out_channels - first_channel),
                        };
                        results.write(sums, out);
                    }
                }
            }
        });
    }

    /// The 36 products of a group and a strip.
    ///
    /// # Safety
    /// The parts must be those of the plan, with the factors of so many panels; nobody else may use the sums.
    unsafe fn multiply(
        &self,
        plan: &Plan,
        panels: usize,
        tile_panels: usize,
        weights: Shared,
        inputs: Shared,
        sums: Shared,
    ) {
        let (rows, cols, channels) = (plan.rows, plan.cols, plan.channels);
        let pieces = panels.div_ceil(PANELS);
        let size = panels.div_ceil(pieces);
        let block = channels.div_ceil(channels.div_ceil(BLOCK));
        (0..PRODUCTS * pieces).into_par_iter().for_each(|i| {
            let (product, first) = (i / pieces, i % pieces * size);
            for channel in (0..channels).step_by(block) {
                let k = block.min(channels - channel);
                for tiles in 0..tile_panels {
                    for panel in first..panels.min(first + size) {
                        // SAFETY: the panels are within the plan's parts, as the caller vouches; each piece of work has
                        // its own rows of one product's sums.
                        unsafe {
                            let a =
                                weights.at().add(product * plan.weight_stride + (panel * channels + channel) * rows);
                            let b = inputs.at().add(product * plan.input_stride + (tiles * channels + channel) * cols);
                            let c =
                                sums.at().add(product * plan.sum_stride + panel * rows * plan.sum_row + tiles * cols);
                            self.micro.run(k, a, b, c, plan.sum_row, channel > 0);
                        }
                    }
                }
            }
        });
    }
}

/// The address of values that several threads use, each its own.
#[derive(Clone, Copy)]
struct Shared(*mut f32);
// SAFETY: whoever uses the address says why no two threads use the same values.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The address; a method, so that a closure takes all of `self`.
    fn at(self) -> *mut f32 {
        self.0
    }
}

/// Writes the first `lanes` of a vector, or all where there are as many.
///
/// # Safety
/// They must fit at `to`, and nobody else may use them.
#[inline(always)]
unsafe fn store_at<S: Simd>(s: S, value: S::F, to: *mut f32, lanes: usize) {
    if lanes >= LANES {
        // SAFETY: the caller vouches for eight values; an array of f32 needs no more alignment than f32 has.
        s.store(value, unsafe { &mut *to.cast::<[f32; LANES]>() });
    } else {
        let values = s.to_array(value);
        // SAFETY: the caller vouches for `lanes` values.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), to, lanes) };
    }
}
