//! The input of a convolution, copied strip by strip into a zero-padded layout for the kernels.
//!
//! In the layout the vector of eight results in a row reads, for each channel and tap of the kernel, eight neighbours at
//! a fixed offset: no edge is tested, nothing is unfolded. A stride is undone by keeping every stride-th row and column
//! apart, as planes of their own.

use std::ops::Range;

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
    /// Whether the input is half as high and wide, and each of its values counts as 2 × 2.
    pub enlarged: bool,
    pub kernel_height: usize,
    pub kernel_width: usize,
    pub stride: usize,
    /// Zeros above and before; negative where rows or columns are left out.
    pub top: isize,
    pub left: isize,
    pub out_height: usize,
    pub out_width: usize,
}

impl Source {
    /// A channel of a picture of the input.
    pub fn plane<'a>(&self, x: &'a [f32], picture: usize, channel: usize) -> &'a [f32] {
        let (height, width) = self.stored();
        &x[(picture * self.channels + channel) * height * width..][..height * width]
    }

    /// The values of the row `y` of a plane, or nothing where that lies in the padding.
    pub fn row<'a>(&self, plane: &'a [f32], y: isize) -> Option<&'a [f32]> {
        let y = usize::try_from(y).ok().filter(|y| *y < self.height)?;
        let (_, width) = self.stored();
        Some(&plane[if self.enlarged { y / 2 } else { y } * width..][..width])
    }

    /// Rows and columns of the input as it is stored.
    fn stored(&self) -> (usize, usize) {
        if self.enlarged { (self.height / 2, self.width / 2) } else { (self.height, self.width) }
    }
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
        let mut rows = packed[..channels * self.channel_stride].chunks_exact_mut(self.pitch);
        for channel in first_channel..first_channel + channels {
            for picture in self.first_picture..self.first_picture + self.pictures {
                let plane = source.plane(x, picture, channel);
                for phase in 0..self.phases.0 * self.phases.1 {
                    let (above, before) = (phase / self.phases.1, phase % self.phases.1);
                    for row in 0..self.plane_rows {
                        let Some(to) = rows.next() else { return };
                        let y = (source.stride * (self.first_row + row) + above) as isize - source.top;
                        match source.row(plane, y) {
                            Some(from) => source.pack_row(from, source.left - before as isize, to),
                            None => to.fill(0.0),
                        }
                    }
                }
            }
        }
    }
}

impl Source {
    /// Where a packed row of `len` values holds values of the input, which begin `padding` values into the padded row.
    #[inline]
    pub fn span(&self, padding: isize, len: usize) -> Range<usize> {
        let reach = |at: isize| (at.max(0) as usize).div_ceil(self.stride).min(len);
        let begin = reach(padding);
        begin..reach(padding + self.width as isize).max(begin)
    }

    /// Every `stride`-th value of a row, which begins `padding` values into the padded row; zeros around.
    #[inline]
    pub fn pack_row(&self, from: &[f32], padding: isize, to: &mut [f32]) {
        let stride = self.stride;
        let Range { start: begin, end } = self.span(padding, to.len());
        clear(to, begin, end);
        if begin == end {
            return;
        }
        let first = (begin * stride).wrapping_add_signed(-padding);
        let to = &mut to[begin..end];
        match (self.enlarged, stride) {
            (false, 1) => copy(&from[first..][..to.len()], to),
            (false, _) => to.iter_mut().zip(from[first..].iter().step_by(stride)).for_each(|(to, from)| *to = *from),
            (true, 1) => copy_twice(from, first, to),
            (true, _) => {
                let places = (first..).step_by(stride).map(|place| place / 2);
                to.iter_mut().zip(places).for_each(|(to, place)| *to = from[place]);
            }
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

/// Each value twice, from value `first` of the doubled row on.
#[inline(always)]
fn copy_twice(from: &[f32], first: usize, to: &mut [f32]) {
    let (half, to) = to.split_at_mut(first % 2 * usize::from(!to.is_empty()));
    half.fill(from[first / 2]);
    let from = &from[first.div_ceil(2)..];
    let (pairs, rest) = to.as_chunks_mut::<2>();
    pairs.iter_mut().zip(from).for_each(|(to, from)| *to = [*from; 2]);
    if let [last] = rest {
        *last = from[pairs.len()];
    }
}
