//! How a convolution is cut so that its parts stay near the processor: tiles into strips, channels of the result into
//! groups, and where each value lies in the buffer that all threads share.

use super::points::{INPUTS, PRODUCTS, RESULTS};
use crate::kernels::conv2d::packed::Source;
use crate::kernels::micro::Micro;
use crate::kernels::simd::LANES;

/// Values of one part (factors of inputs, of weights, or sums) that is made anew again and again: 8 MiB, so that all
/// stay in the third cache.
const PART: usize = 2 << 20;
/// Values of a part that is made only once: 46 MiB.
const ONCE: usize = 23 << 19;

/// Tiles of so few that each piece of work keeps the factors of its weights, some channels at a time, and its sums to
/// itself: they are used only a few times, and would come back from the third cache, or from memory, each time.
const FEW_TILES: usize = 64;
/// Channels of the result of such a piece, about, and values of its weights' factors (192 KiB).
const FEW_CHANNELS: usize = 24;
const FEW_VALUES: usize = 3 << 14;

/// Tiles, panels and places: a function of the shapes alone.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Input channels.
    pub channels: usize,
    /// Tiles of a picture, vertically and horizontally; of all pictures together.
    pub tile_rows: usize,
    pub tile_cols: usize,
    pub tiles: usize,
    /// Panels of a strip, `cols` tiles each, and of all strips together.
    pub strip: usize,
    pub tile_panels: usize,
    /// Panels of a group, `rows` channels of the result each, and of all groups together.
    pub group: usize,
    pub channel_panels: usize,
    pub rows: usize,
    pub cols: usize,
    /// Whether a group is a piece of work of one thread, with weights and sums of its own.
    pub few: bool,
    /// Input channels for which the factors of the weights are there at once: all of them, unless the tiles are few.
    pub block: usize,
    /// From one of the 36 matrices to the next: of the inputs' factors `[36][panel][channel][cols]`, the weights'
    /// factors `[36][panel][channel of the block][rows]`, the sums `[36][channel of the result][tile]`.
    pub input_stride: usize,
    pub weight_stride: usize,
    pub sum_stride: usize,
    /// From one channel's sums to the next.
    pub sum_row: usize,
}

/// Tiles of all pictures.
pub fn tiles(source: &Source) -> usize {
    source.batch * source.out_height.div_ceil(RESULTS) * source.out_width.div_ceil(RESULTS)
}

impl Plan {
    pub fn new(source: &Source, out_channels: usize, micro: &Micro) -> Self {
        let (rows, cols) = (micro.rows, micro.cols);
        let tile_rows = source.out_height.div_ceil(RESULTS);
        let tile_cols = source.out_width.div_ceil(RESULTS);
        let tiles = tiles(source);
        let (tile_panels, channel_panels) = (tiles.div_ceil(cols), out_channels.div_ceil(rows));
        let input_panel = PRODUCTS * source.channels * cols;
        let weight_panel = PRODUCTS * source.channels * rows;
        let (all_inputs, all_weights) = (tile_panels * input_panel, channel_panels * weight_panel);
        // The larger of the two is cut into pieces that are used up at once; the smaller is made once and kept, if it
        // is not too large for that.
        let pieces = |panels: usize, panel: usize, room: usize| (room / panel.max(1)).clamp(1, panels.max(1));
        let sums = |width: usize| PART / (PRODUCTS * width.max(1));
        let few = tiles <= FEW_TILES && all_inputs <= ONCE;
        let (strip, group) = if few {
            (tile_panels, (FEW_CHANNELS / rows).clamp(1, channel_panels))
        } else if all_weights <= ONCE && all_weights <= all_inputs {
            let strip = pieces(tile_panels, input_panel, PART).min(sums(out_channels) / cols).max(1);
            (strip, channel_panels)
        } else {
            let kept = if all_inputs <= ONCE { tile_panels } else { pieces(tile_panels, input_panel, ONCE) };
            let group = pieces(channel_panels, weight_panel, PART).min(sums(kept * cols) / rows).max(1);
            (kept, group)
        };
        let (strip, group) = (even(tile_panels, strip), even(channel_panels, group));
        let block =
            if few { even(source.channels, (FEW_VALUES / (PRODUCTS * rows * group)).max(1)) } else { source.channels };
        let sum_row = (strip * cols).next_multiple_of(LANES);
        Self {
            channels: source.channels,
            tile_rows,
            tile_cols,
            tiles,
            strip,
            tile_panels,
            group,
            channel_panels,
            rows,
            cols,
            few,
            block,
            input_stride: apart(strip * source.channels * cols),
            weight_stride: apart(group * block * rows),
            sum_stride: apart(group * rows * sum_row),
            sum_row,
        }
    }

    /// How long the parts are: the factors of the inputs, those of the weights, the sums.
    pub fn parts(&self) -> [usize; 3] {
        [self.input_stride, self.weight_stride, self.sum_stride].map(|stride| PRODUCTS * stride)
    }

    /// Values from one row of a picture to the next where `staged` lays it out for its tiles; the last tile's row of
    /// eight, of which six count, ends there.
    pub fn pitch(&self) -> usize {
        RESULTS * (self.tile_cols - 1) + LANES
    }

    /// Values of a row of tiles, of one channel, as it is laid out.
    pub fn staged_row(&self) -> usize {
        INPUTS * self.pitch()
    }
}

/// The size that cuts `count` into as many pieces as `size` does, but even ones.
fn even(count: usize, size: usize) -> usize {
    count.div_ceil(count.div_ceil(size).max(1))
}

/// A length of an odd number of cache lines: 36 values that lie a power of two apart would all fall into one set of the
/// cache.
fn apart(len: usize) -> usize {
    len.next_multiple_of(32) + 16
}
