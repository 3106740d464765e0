//! The input of a convolution, copied strip by strip into a zero-padded layout for the kernels.
//!
//! In the layout the vector of eight results in a row reads, for each channel and tap of the kernel, eight neighbours at
//! a fixed offset: no edge is tested, nothing is unfolded. A stride is undone by keeping every stride-th row and column
//! apart, as planes of their own.

use crate::kernels::simd::LANES;

/// Results of one strip, including those that fill up the last vector of a row.
const STRIP_PIXELS: usize = 1024;
/// A packed block of channels is at most about this many values (192 KiB, well inside a core's second cache).
const BLOCK_VALUES: usize = 48 * 1024;

/// The input and how a convolution walks over it.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    pub batch: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub kernel_height: usize,
    pub kernel_width: usize,
    pub stride: usize,
    /// Zeros above and before; negative where rows or columns are left out.
    pub top: isize,
    pub left: isize,
    pub out_height: usize,
    pub out_width: usize,
}

/// The layout of the strips of one convolution: some rows of one picture, or all rows of some pictures.
#[derive(Debug, Clone)]
pub struct Strips {
    pub source: Source,
    /// Pictures and rows of the result in each strip; fewer in the last ones.
    pub pictures: usize,
    pub rows: usize,
    /// Strips of one picture, and of all.
    pub of_picture: usize,
    pub count: usize,
    /// Channels packed at a time.
    pub block_channels: usize,
}

/// One strip.
#[derive(Debug, Clone)]
pub struct Strip {
    pub first_picture: usize,
    pub pictures: usize,
    pub first_row: usize,
    pub rows: usize,
    /// Values from one packed channel to the next.
    pub channel_stride: usize,
    /// Where each tap of the kernel lies, from a vector's base.
    pub taps: Vec<usize>,
    pub vectors: Vec<Vector>,
    /// Planes of every stride-th row and column, vertically and horizontally; their rows and their pitch.
    phases: (usize, usize),
    plane_rows: usize,
    pitch: usize,
}

/// Up to eight neighbours in a row of the result.
#[derive(Debug, Clone, Copy)]
pub struct Vector {
    /// Where its first value lies in a packed channel.
    pub base: usize,
    /// Its picture within the strip, and where it begins in the strip's rows of a channel of the result.
    pub picture: usize,
    pub at: usize,
    /// How many of the lanes exist.
    pub lanes: usize,
}

impl Strips {
    /// The strips: a function of the shapes alone. The result must not be empty.
    pub fn new(source: &Source) -> Self {
        let per_row = source.out_width.next_multiple_of(LANES);
        let rows = (STRIP_PIXELS / per_row).clamp(1, source.out_height);
        // Even strips rather than a short last one.
        let rows = source.out_height.div_ceil(source.out_height.div_ceil(rows));
        let of_picture = source.out_height.div_ceil(rows);
        let pictures = if of_picture > 1 { 1 } else { (STRIP_PIXELS / (per_row * rows)).clamp(1, source.batch) };
        let count = of_picture * source.batch.div_ceil(pictures);
        let mut strips = Self { source: *source, pictures, rows, of_picture, count, block_channels: 1 };
        let stride = strips.strip(0).channel_stride;
        strips.block_channels = (BLOCK_VALUES / stride.max(1)).clamp(1, source.channels.max(1));
        strips
    }

    /// Values that a packed block of channels takes.
    pub fn block_len(&self) -> usize {
        self.block_channels * self.strip(0).channel_stride
    }

    /// The strip of a number below `count`.
    pub fn strip(&self, index: usize) -> Strip {
        let source = &self.source;
        let first_picture = index / self.of_picture * self.pictures;
        let first_row = index % self.of_picture * self.rows;
        let pictures = self.pictures.min(source.batch - first_picture);
        let rows = self.rows.min(source.out_height - first_row);
        let stride = source.stride;
        let phases = (stride.min(source.kernel_height), stride.min(source.kernel_width));
        let plane_rows = rows + source.kernel_height.saturating_sub(1) / stride;
        let pitch = source.out_width.next_multiple_of(LANES) + source.kernel_width.saturating_sub(1) / stride;
        let picture_stride = phases.0 * phases.1 * plane_rows * pitch;
        let taps = (0..source.kernel_height * source.kernel_width)
            .map(|tap| {
                let (y, x) = (tap / source.kernel_width, tap % source.kernel_width);
                let plane = y % stride * phases.1 + x % stride;
                (plane * plane_rows + y / stride) * pitch + x / stride
            })
            .collect();
        let mut vectors = Vec::with_capacity(pictures * rows * source.out_width.div_ceil(LANES));
        for picture in 0..pictures {
            for row in 0..rows {
                for x in (0..source.out_width).step_by(LANES) {
                    vectors.push(Vector {
                        base: picture * picture_stride + row * pitch + x,
                        picture,
                        at: row * source.out_width + x,
                        lanes: LANES.min(source.out_width - x),
                    });
                }
            }
        }
        Strip {
            first_picture,
            pictures,
            first_row,
            rows,
            channel_stride: pictures * picture_stride,
            taps,
            vectors,
            phases,
            plane_rows,
            pitch,
        }
    }
}

impl Strip {
    /// Copies `channels` channels from `first_channel` on into `packed`.
    pub fn pack(&self, source: &Source, x: &[f32], first_channel: usize, channels: usize, packed: &mut [f32]) {
        let plane = source.height * source.width;
        let mut rows = packed[..channels * self.channel_stride].chunks_exact_mut(self.pitch);
        for channel in first_channel..first_channel + channels {
            for picture in self.first_picture..self.first_picture + self.pictures {
                let x = &x[(picture * source.channels + channel) * plane..][..plane];
                for phase in 0..self.phases.0 * self.phases.1 {
                    let (above, before) = (phase / self.phases.1, phase % self.phases.1);
                    for row in 0..self.plane_rows {
                        let Some(to) = rows.next() else { return };
                        let y = (source.stride * (self.first_row + row) + above) as isize - source.top;
                        if (0..source.height as isize).contains(&y) {
                            let from = &x[y as usize * source.width..][..source.width];
                            pack_row(from, source.stride, source.left - before as isize, to);
                        } else {
                            to.fill(0.0);
                        }
                    }
                }
            }
        }
    }
}

/// Every `stride`-th value of `from`, which begins `padding` values into the padded row; zeros around.
#[inline]
fn pack_row(from: &[f32], stride: usize, padding: isize, to: &mut [f32]) {
    let reach = |at: isize| (at.max(0) as usize).div_ceil(stride).min(to.len());
    let begin = reach(padding);
    let end = reach(padding + from.len() as isize).max(begin);
    clear(to, begin, end);
    if begin < end {
        let first = (begin * stride).wrapping_add_signed(-padding);
        let to = &mut to[begin..end];
        if stride == 1 {
            copy(&from[first..][..to.len()], to);
        } else {
            to.iter_mut().zip(from[first..].iter().step_by(stride)).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Zeros before `begin` and from `end` on; a few values in between may be cleared too. Rows are short, and a call of
/// `memset` for each end of each would cost as much as the copy.
#[inline(always)]
fn clear(to: &mut [f32], begin: usize, end: usize) {
    let len = to.len();
    if begin <= LANES && len - end <= LANES && len >= LANES {
        to[..LANES].copy_from_slice(&[0.0; LANES]);
        to[len - LANES..].copy_from_slice(&[0.0; LANES]);
    } else {
        to[..begin].fill(0.0);
        to[end..].fill(0.0);
    }
}

/// A copy that for short rows is a few vectors, the last of which may overlap the one before, and no call of `memcpy`.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    let len = to.len();
    if (LANES..=4 * LANES).contains(&len) {
        for at in [0, LANES, 2 * LANES] {
            if at + LANES <= len {
                to[at..at + LANES].copy_from_slice(&from[at..at + LANES]);
            }
        }
        to[len - LANES..].copy_from_slice(&from[len - LANES..]);
    } else {
        to.copy_from_slice(from);
    }
}
