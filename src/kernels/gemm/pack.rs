//! Packing: an operand's numbers, widened to f32 and laid out as a micro-kernel reads them.
//!
//! A panel is as many rows of `a` (columns of `b`) as the kernel's tile has, `k` groups of them one behind the other.

use std::ops::Range;

use half::{bf16, f16};

use crate::kernels::values::Values;

/// Values of a row that are widened at a time.
const RUN: usize = 512;

/// One operand of a product, seen from either side: `count` lines (rows of `a`, columns of `b`) of `k` numbers each.
#[derive(Debug, Clone, Copy)]
pub struct Operand<'a> {
    pub values: Values<'a>,
    pub count: usize,
    /// The distance from one line to the next.
    pub across: usize,
    /// The distance from one number of a line to the next.
    pub along: usize,
}

impl Operand<'_> {
    /// Whether all lines of `k` numbers are there.
    pub fn holds(&self, k: usize) -> bool {
        self.count == 0 || k == 0 || (self.count - 1) * self.across + (k - 1) * self.along < self.values.len()
    }

    /// Packs panels of `group` lines each, for a part of `k`. Panel `p` of the range goes to
    /// `to[(p - panels.start) * panel_stride..]`; lines beyond the last are zeros.
    pub fn pack(&self, group: usize, panels: Range<usize>, k: Range<usize>, to: &mut [f32], panel_stride: usize) {
        match self.values {
            Values::F32(values) => self.pack_groups(group, values, panels, k, to, panel_stride),
            Values::F16(values) => self.pack_groups(group, values, panels, k, to, panel_stride),
            Values::Bf16(values) => self.pack_groups(group, values, panels, k, to, panel_stride),
        }
    }

    /// Picks the code for the size of a group, which is one of the micro-kernels'.
    fn pack_groups<T: Stored>(
        &self,
        group: usize,
        values: &[T],
        panels: Range<usize>,
        k: Range<usize>,
        to: &mut [f32],
        panel_stride: usize,
    ) {
        match group {
            4 => self.pack_panels::<T, 4>(values, panels, k, to, panel_stride),
            6 => self.pack_panels::<T, 6>(values, panels, k, to, panel_stride),
            8 => self.pack_panels::<T, 8>(values, panels, k, to, panel_stride),
            12 => self.pack_panels::<T, 12>(values, panels, k, to, panel_stride),
            16 => self.pack_panels::<T, 16>(values, panels, k, to, panel_stride),
            24 => self.pack_panels::<T, 24>(values, panels, k, to, panel_stride),
            32 => self.pack_panels::<T, 32>(values, panels, k, to, panel_stride),
            _ => unreachable!("no micro-kernel has groups of {group}"),
        }
    }

    fn pack_panels<T: Stored, const G: usize>(
        &self,
        values: &[T],
        panels: Range<usize>,
        k: Range<usize>,
        to: &mut [f32],
        panel_stride: usize,
    ) {
        if self.across == 1 && self.along != 1 && !k.is_empty() {
            self.copy_groups::<T, G>(values, panels, k, to, panel_stride);
            return;
        }
        for (i, panel) in panels.enumerate() {
            let to = to[i * panel_stride..][..k.len() * G].as_chunks_mut::<G>().0;
            let first = panel * G;
            let lines = G.min(self.count - first);
            let done = if self.along == 1 && !k.is_empty() {
                transpose(&values[first * self.across + k.start..], self.across, lines, to)
            } else {
                0
            };
            for (l, group) in to.iter_mut().enumerate().skip(done) {
                for (line, to) in group.iter_mut().enumerate() {
                    let at = (first + line) * self.across + (k.start + l) * self.along;
                    *to = if line < lines { values[at].widen() } else { 0.0 };
                }
            }
        }
    }

    /// Where the numbers of a group lie side by side: runs over many panels, widened and dealt out.
    fn copy_groups<T: Stored, const G: usize>(
        &self,
        values: &[T],
        panels: Range<usize>,
        k: Range<usize>,
        to: &mut [f32],
        panel_stride: usize,
    ) {
        let mut room = [0.0; RUN];
        let at_once = RUN / G;
        for first in panels.clone().step_by(at_once) {
            let to = &mut to[(first - panels.start) * panel_stride..];
            let lines = (at_once.min(panels.end - first) * G).min(self.count - first * G);
            for (l, from) in k.clone().enumerate() {
                let from = T::widened(&values[from * self.along + first * G..][..lines], &mut room);
                let (whole, rest) = from.as_chunks::<G>();
                for (i, group) in whole.iter().enumerate() {
                    to[i * panel_stride + l * G..][..G].copy_from_slice(group);
                }
                if !rest.is_empty() {
                    let to = &mut to[whole.len() * panel_stride + l * G..][..G];
                    to[..rest.len()].copy_from_slice(rest);
                    to[rest.len()..].fill(0.0);
                }
            }
        }
    }
}

/// Packs as many whole groups as the processor has quick instructions for, and says how many: `to[l][line]` =
/// `values[line * across + l]`, zero from `lines` on.
fn transpose<T: Stored, const G: usize>(values: &[T], across: usize, lines: usize, to: &mut [[f32; G]]) -> usize {
    assert!(lines > 0 && values.len() >= (lines - 1) * across + to.len(), "an operand is too short");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") {
        // SAFETY: the processor has the instructions, and all that is read lies in `values`.
        return unsafe { x86::transpose(values.as_ptr(), across, lines, to) };
    }
    0
}

/// A number as a weight's file has it.
trait Stored: Copy + x86::Load {
    /// The same number.
    fn widen(self) -> f32;

    /// The same numbers, in place or in `room`, which must be long enough.
    fn widened<'a>(values: &'a [Self], room: &'a mut [f32; RUN]) -> &'a [f32];
}

impl Stored for f32 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
    #[inline(always)]
    fn widened<'a>(values: &'a [f32], _: &'a mut [f32; RUN]) -> &'a [f32] {
        values
    }
}

impl Stored for f16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        // Without branches, so that the compiler makes vectors of it (and without asking the processor each time). The
        // exponent moves from 5 bits to 8 by a multiplication that is exact, for the least numbers too.
        let bits = u32::from(self.to_bits());
        let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 127 - 15) << 23);
        let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
        f32::from_bits(magnitude.to_bits() | special | (bits & 0x8000) << 16)
    }
    fn widened<'a>(values: &'a [f16], room: &'a mut [f32; RUN]) -> &'a [f32] {
        widened(values, room)
    }
}

impl Stored for bf16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
    fn widened<'a>(values: &'a [bf16], room: &'a mut [f32; RUN]) -> &'a [f32] {
        widened(values, room)
    }
}

/// The numbers, one by one as far as the source says, into the beginning of `room`.
fn widened<'a, T: Stored>(values: &[T], room: &'a mut [f32; RUN]) -> &'a [f32] {
    let room = &mut room[..values.len()];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the instructions.
        unsafe { x86::widen(values, room) };
        return room;
    }
    room.iter_mut().zip(values).for_each(|(to, value)| *to = value.widen());
    room
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! Eight lines by four numbers at a time in the 256-bit vectors of x86.

    use std::arch::x86_64::{
        __m256, _MM_HINT_T0, _mm_castps_pd, _mm_loadl_epi64, _mm_loadu_ps, _mm_prefetch, _mm_store_sd, _mm_storeu_ps,
        _mm_unpacklo_epi64, _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cvtepu16_epi32, _mm256_cvtph_ps,
        _mm256_extractf128_ps, _mm256_set_m128, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_slli_epi32,
        _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
    };

    use half::{bf16, f16};

    use super::Stored;

    /// Bytes of a line that are asked for before they are read: several lines go by at a time, which is more than the
    /// processor foresees by itself.
    const AHEAD: usize = 512;

    /// A number of which some are read and widened at once.
    pub trait Load: Sized {
        /// Four numbers from each address.
        ///
        /// # Safety
        /// Both must be good for reading four numbers, and the processor must have AVX2 and F16C.
        unsafe fn load(low: *const Self, high: *const Self) -> __m256;
    }

    impl Load for f32 {
        #[inline(always)]
        unsafe fn load(low: *const f32, high: *const f32) -> __m256 {
            // SAFETY: the caller vouches for both.
            unsafe { _mm256_set_m128(_mm_loadu_ps(high), _mm_loadu_ps(low)) }
        }
    }

    impl Load for f16 {
        #[inline(always)]
        unsafe fn load(low: *const f16, high: *const f16) -> __m256 {
            // SAFETY: as above.
            unsafe { _mm256_cvtph_ps(_mm_unpacklo_epi64(_mm_loadl_epi64(low.cast()), _mm_loadl_epi64(high.cast()))) }
        }
    }

    impl Load for bf16 {
        #[inline(always)]
        unsafe fn load(low: *const bf16, high: *const bf16) -> __m256 {
            // SAFETY: as above.
            unsafe {
                let both = _mm_unpacklo_epi64(_mm_loadl_epi64(low.cast()), _mm_loadl_epi64(high.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(both)))
            }
        }
    }

    /// The loop of `Stored::widen`, compiled for AVX2.
    #[target_feature(enable = "avx2")]
    pub fn widen<T: Stored>(values: &[T], to: &mut [f32]) {
        to.iter_mut().zip(values).for_each(|(to, value)| *to = value.widen());
    }

    /// See the function of this name above; groups of four, so at most three are left.
    ///
    /// # Safety
    /// `from` must be good for reading `to.len()` numbers in each of `lines` lines, at least one.
    #[target_feature(enable = "avx2,f16c")]
    pub unsafe fn transpose<T: Stored, const G: usize>(
        from: *const T,
        across: usize,
        lines: usize,
        to: &mut [[f32; G]],
    ) -> usize {
        let (blocks, _) = to.as_chunks_mut::<4>();
        for (block, to) in blocks.iter_mut().enumerate() {
            if (block * 4 * size_of::<T>()).is_multiple_of(64) {
                for line in 0..lines.min(G) {
                    let ahead = from.wrapping_add(line * across + block * 4).wrapping_byte_add(AHEAD);
                    _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                }
            }
            let mut first = 0;
            while first < G {
                let mut rows = [_mm256_setzero_ps(); 4];
                for (i, row) in rows.iter_mut().enumerate() {
                    // Beyond the lines of the panel or of all, the first stands in; what is not to be is cleared below.
                    let at = |line: usize| if line < lines { line * across + block * 4 } else { block * 4 };
                    // SAFETY: lines that are there, and four numbers that are.
                    *row = unsafe { T::load(from.add(at(first + i)), from.add(at(first + 4 + i))) };
                }
                for (to, column) in to.iter_mut().zip(transpose_four(rows)) {
                    let to = &mut to[first..];
                    let at = to.as_mut_ptr();
                    // SAFETY: `to` is good for `G - first` values, and so many are written, at most eight.
                    unsafe {
                        match G - first {
                            4 => _mm_storeu_ps(at, _mm256_castps256_ps128(column)),
                            6 => {
                                _mm_storeu_ps(at, _mm256_castps256_ps128(column));
                                let rest = _mm256_extractf128_ps::<1>(column);
                                _mm_store_sd(at.add(4).cast(), _mm_castps_pd(rest));
                            }
                            // Every other size of a group is a multiple of eight, or four more.
                            _ => _mm256_storeu_ps(at, column),
                        }
                    }
                    if first + 8 > lines {
                        to[lines.saturating_sub(first)..].fill(0.0);
                    }
                }
                first += 8;
            }
        }
        blocks.len() * 4
    }

    /// Rows of four to columns, in either half.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn transpose_four([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        let (ab, ab2) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (cd, cd2) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        [
            _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd),
            _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd),
            _mm256_shuffle_ps::<0b01_00_01_00>(ab2, cd2),
            _mm256_shuffle_ps::<0b11_10_11_10>(ab2, cd2),
        ]
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod x86 {
    //! Nothing: elsewhere numbers are read one by one.

    /// Any number.
    pub trait Load {}
    impl<T> Load for T {}
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use proptest::prelude::*;

    use super::{Operand, Stored};
    use crate::kernels::testing::values;
    use crate::kernels::values::Values;

    #[test]
    fn every_number_of_16_bits_is_widened_as_it_is() {
        for bits in 0..=u16::MAX {
            let (half, brain) = (f16::from_bits(bits), bf16::from_bits(bits));
            for (ours, theirs) in [(half.widen(), half.to_f32()), (brain.widen(), brain.to_f32())] {
                assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()), "{bits:#x}");
            }
        }
    }

    proptest! {
        #[test]
        fn panels_hold_the_lines(
            group in prop::sample::select(vec![4_usize, 6, 8, 12, 16, 24, 32]),
            (count, k) in (1_usize..70, 0_usize..40),
            (start, end) in (0.0..=1.0, 0.0..=1.0),
            layout in 0_usize..3,
            gap in 0_usize..3,
        ) {
            let (across, along) = [(k + gap, 1), (1, count + gap), (3, 3 * count)][layout];
            let numbers: Vec<f16> =
                values(1, count * across.max(1) + k * along.max(1)).into_iter().map(f16::from_f32).collect();
            let wide: Vec<f32> = numbers.iter().map(|number| number.to_f32()).collect();
            let brains: Vec<bf16> = wide.iter().map(|number| bf16::from_f32(*number)).collect();
            let rounded: Vec<f32> = brains.iter().map(|number| number.to_f32()).collect();
            let panels = (count.div_ceil(group) as f64 * start) as usize..count.div_ceil(group);
            let part = (k as f64 * end * 0.5) as usize..k - (k as f64 * end * 0.3) as usize;
            let stride = part.len() * group + 5;
            let sources = [(Values::F32(&wide), &wide), (Values::F16(&numbers), &wide), (Values::Bf16(&brains), &rounded)];
            for (values, expected) in sources {
                let operand = Operand { values, count, across, along };
                let mut packed = vec![f32::NAN; panels.len() * stride];
                operand.pack(group, panels.clone(), part.clone(), &mut packed, stride);
                for (i, panel) in panels.clone().enumerate() {
                    for (l, from) in part.clone().enumerate() {
                        for g in 0..group {
                            let line = panel * group + g;
                            let expected = if line < count { expected[line * across + from * along] } else { 0.0 };
                            prop_assert_eq!(packed[i * stride + l * group + g], expected);
                        }
                    }
                    // What lies between the panels is left alone.
                    prop_assert!(packed[i * stride + part.len() * group..][..5].iter().all(|value| value.is_nan()));
                }
            }
        }
    }
}
