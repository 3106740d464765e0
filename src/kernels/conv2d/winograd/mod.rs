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

use std::ops::Range;

use rayon::prelude::*;

use self::buffer::with_buffer;
use self::inputs::Input;
use self::plan::Plan;
use self::points::PRODUCTS;
use self::results::Results;
use self::weights::Kernels;
use super::Added;
use super::direct::Weights;
use super::packed::Source;
use crate::kernels::micro::Micro;
use crate::kernels::norm::Normal;
use crate::kernels::scratch::with_scratch;
use crate::kernels::simd::{LANES, Simd};

/// Input channels of a block of a product: a panel of either operand stays in the first cache.
const BLOCK: usize = 256;
/// Panels of the weights of a piece of work: with a block's channels they stay in the second cache.
const PANELS: usize = 32;

pub use self::plan::tiles;

/// A 3 × 3 convolution with stride 1.
pub struct Winograd<'a> {
    pub source: Source,
    pub out_channels: usize,
    pub weights: Weights<'a>,
    /// If given, each channel of the input is normalised so, with `SiLU` behind, when it is read: `[batch, channels]`.
    pub normals: Option<&'a [Normal]>,
    pub micro: &'static Micro,
}

impl Winograd<'_> {
    /// Whether a convolution is one of these, and faster so than directly.
    pub fn pays(source: &Source, out_channels: usize) -> bool {
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
        // SAFETY: `out` is borrowed mutably and has its length, as was just asserted.
        unsafe {
            if plan.few {
                self.run_few(&plan, x, added, Shared(out.as_mut_ptr()));
            } else {
                self.run_many(&plan, x, added, Shared(out.as_mut_ptr()));
            }
        }
    }

    /// Many tiles: all threads work on each step together.
    ///
    /// # Safety
    /// `out` must have room for all results, which nobody else uses meanwhile.
    unsafe fn run_many(&self, plan: &Plan, x: &[f32], added: Added, out: Shared) {
        let parts = plan.parts();
        with_buffer(parts.iter().sum(), |buffer| {
            let [inputs, weights, sums] = split(buffer, parts);
            for first_tiles in (0..plan.tile_panels).step_by(plan.strip) {
                let tile_panels = plan.strip.min(plan.tile_panels - first_tiles);
                // SAFETY: each part has the room that the plan says, apart from the others, and each step ends before
                // the next begins. Strips and groups cut the results into parts of which each is written once.
                unsafe { inputs::transform(plan, self.input(x), first_tiles, tile_panels, inputs) };
                for first_panel in (0..plan.channel_panels).step_by(plan.group) {
                    let panels = plan.group.min(plan.channel_panels - first_panel);
                    // SAFETY: as above.
                    unsafe {
                        // One group alone is the same for every strip.
                        if first_tiles == 0 || plan.group < plan.channel_panels {
                            weights::transform(plan, self.kernels(), first_panel, panels, weights);
                        }
                        let product = Product { micro: self.micro, plan, tile_panels, weights, inputs, sums };
                        product.run(panels);
                        self.results(plan, added, first_tiles, tile_panels, first_panel, panels).write(sums, out);
                    }
                }
            }
        });
    }

    /// Few tiles: each thread goes with its channels of the result through all steps.
    ///
    /// # Safety
    /// As for [`Winograd::run_many`].
    unsafe fn run_few(&self, plan: &Plan, x: &[f32], added: Added, out: Shared) {
        let [of_inputs, of_weights, of_sums] = plan.parts();
        let tile_panels = plan.tile_panels;
        with_buffer(of_inputs, |buffer| {
            let inputs = Shared(buffer.as_mut_ptr());
            // SAFETY: the buffer has the room that the plan says.
            unsafe { inputs::transform(plan, self.input(x), 0, tile_panels, inputs) };
            (0..plan.channel_panels.div_ceil(plan.group)).into_par_iter().for_each(|i| {
                let first_panel = i * plan.group;
                let panels = plan.group.min(plan.channel_panels - first_panel);
                with_scratch(of_weights + of_sums, |buffer| {
                    let [_, weights, sums] = split(buffer, [0, of_weights, of_sums]);
                    let product = Product { micro: self.micro, plan, tile_panels, weights, inputs, sums };
                    // SAFETY: each part has the room that the plan says; weights and sums are this piece's own, and the
                    // groups cut the results into parts of which each is written once.
                    unsafe {
                        for channel in (0..plan.channels).step_by(plan.block) {
                            weights::transform_block(plan, self.kernels(), first_panel, panels, channel, weights);
                            for matrix in 0..PRODUCTS {
                                product.block(matrix, 0..panels, channel, plan.block.min(plan.channels - channel));
                            }
                        }
                        self.results(plan, added, 0, tile_panels, first_panel, panels).write_alone(sums, out);
                    }
                });
            });
        });
    }

    fn input<'a>(&'a self, x: &'a [f32]) -> Input<'a> {
        Input { source: &self.source, x, normals: self.normals }
    }

    fn kernels(&self) -> Kernels<'_> {
        Kernels { weights: self.weights, out_channels: self.out_channels }
    }

    /// The results of a strip and a group.
    fn results<'a>(
        &'a self,
        plan: &'a Plan,
        added: Added<'a>,
        first_tiles: usize,
        tile_panels: usize,
        first_panel: usize,
        panels: usize,
    ) -> Results<'a> {
        let (first_tile, first_channel) = (first_tiles * plan.cols, first_panel * plan.rows);
        Results {
            plan,
            source: &self.source,
            out_channels: self.out_channels,
            added,
            first_tile,
            tiles: (tile_panels * plan.cols).min(plan.tiles - first_tile),
            first_channel,
            channels: (panels * plan.rows).min(self.out_channels - first_channel),
        }
    }
}

/// The 36 products of a group and a strip of so many panels.
struct Product<'a> {
    micro: &'static Micro,
    plan: &'a Plan,
    tile_panels: usize,
    weights: Shared,
    inputs: Shared,
    sums: Shared,
}

impl Product<'_> {
    /// All of them, of `panels` panels of channels, on all threads.
    ///
    /// # Safety
    /// The parts must have the room that the plan says, and hold the factors of all channels; nobody else may use the
    /// sums meanwhile.
    unsafe fn run(&self, panels: usize) {
        let channels = self.plan.channels;
        let pieces = panels.div_ceil(PANELS);
        let size = panels.div_ceil(pieces);
        let block = channels.div_ceil(channels.div_ceil(BLOCK));
        (0..PRODUCTS * pieces).into_par_iter().for_each(|i| {
            let first = i % pieces * size;
            for channel in (0..channels).step_by(block) {
                let k = block.min(channels - channel);
                // SAFETY: the caller's word; each piece of work has its own rows of one product's sums.
                unsafe { self.block(i / pieces, first..panels.min(first + size), channel, k) };
            }
        });
    }

    /// The products of `k` channels from `channel` on, for some panels of one of the matrices: the first are written, the
    /// others are added.
    ///
    /// # Safety
    /// As for [`Product::run`], for the factors and sums of these.
    unsafe fn block(&self, matrix: usize, panels: Range<usize>, channel: usize, k: usize) {
        let plan = self.plan;
        let place = channel % plan.block;
        for tiles in 0..self.tile_panels {
            for panel in panels.clone() {
                // SAFETY: the panels are within the plan's parts, as the caller vouches.
                unsafe {
                    let a = (panel * plan.block + place) * plan.rows;
                    let b = (tiles * plan.channels + channel) * plan.cols;
                    let c = panel * plan.rows * plan.sum_row + tiles * plan.cols;
                    self.micro.run(
                        k,
                        self.weights.at().add(matrix * plan.weight_stride + a),
                        self.inputs.at().add(matrix * plan.input_stride + b),
                        self.sums.at().add(matrix * plan.sum_stride + c),
                        plan.sum_row,
                        channel > 0,
                    );
                }
            }
        }
    }
}

/// Cuts a buffer into its parts.
fn split(buffer: &mut [f32], [inputs, weights, sums]: [usize; 3]) -> [Shared; 3] {
    let (inputs, rest) = buffer.split_at_mut(inputs);
    let (weights, rest) = rest.split_at_mut(weights);
    [inputs, weights, &mut rest[..sums]].map(|part| Shared(part.as_mut_ptr()))
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

/// Eight addresses, each so many values further. A loop, and not `map`, which is not always inlined.
#[inline(always)]
fn further(mut from: [*const f32; LANES], by: usize) -> [*const f32; LANES] {
    for from in &mut from {
        *from = from.wrapping_add(by);
    }
    from
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
