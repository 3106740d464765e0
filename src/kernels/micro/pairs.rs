//! Micro-kernels whose operands are bf16: a word of a panel holds two numbers that follow each other in the order of `k`,
//! the first in its lower half; a lane adds both products to its sum in f32.
//!
//! Rounding to bf16 loses at most 2⁻⁹ of a number; sums stay in f32.

use super::{LARGEST, Micro, Vector, busy, tile};

/// The fastest for this processor; None where it has no instructions for it.
pub(super) fn fastest() -> Option<&'static Micro> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16") {
        return Some(&x86::AVX512);
    }
    None
}

/// `k` groups of `group` values to half as many groups of words, in place: the first `k.div_ceil(2) * group` values of
/// `panel` are words then. The odd value's partner is zero.
///
/// # Panics
/// When the panel has no room for an even number of groups.
pub fn pair_up(group: usize, k: usize, panel: &mut [f32]) {
    let words = k.div_ceil(2);
    let panel = &mut panel[..2 * words * group];
    panel[k * group..].fill(0.0);
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has the instructions.
        return unsafe { x86::pair_up(group, panel) };
    }
    pair_all(group, panel);
}

/// The loop of [`pair_up`], over whole pairs of groups.
#[inline(always)]
fn pair_all(group: usize, panel: &mut [f32]) {
    if group == 0 {
        return;
    }
    for word in 0..panel.len() / (2 * group) {
        for i in 0..group {
            // What is written here has been read: it lies in the first of these groups, or before.
            let low = rounded(panel[2 * word * group + i]);
            let high = rounded(panel[(2 * word + 1) * group + i]);
            panel[word * group + i] = f32::from_bits(low >> 16 | high & 0xffff_0000);
        }
    }
}

/// The bits of the nearest bf16, the even one of two, in the upper half; a NaN stays one. Without branches, so that the
/// compiler makes vectors of it.
#[inline(always)]
fn rounded(value: f32) -> u32 {
    let bits = value.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    if value.is_nan() { bits | 0x40_0000 } else { nearest }
}

/// Four lanes in plain arrays: any processor can try the kernels on it.
#[cfg(test)]
#[derive(Clone, Copy)]
pub(super) struct Pairs([f32; 4]);

// SAFETY: it needs no particular instructions.
#[cfg(test)]
unsafe impl Vector for Pairs {
    const LANES: usize = 4;
    const IN_PAIRS: bool = true;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for four values, and an array needs no more alignment than one.
        Self(unsafe { from.cast::<[f32; 4]>().read() })
    }
    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: the caller vouches for a value.
        Self(unsafe { [from.read(); 4] })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for room for four values.
        unsafe { to.cast::<[f32; 4]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        let low = |word: f32| f32::from_bits(word.to_bits() << 16);
        let high = |word: f32| f32::from_bits(word.to_bits() & 0xffff_0000);
        Self(std::array::from_fn(|i| self.0[i] + high(a.0[i]) * high(b.0[i]) + low(a.0[i]) * low(b.0[i])))
    }
}

#[cfg(test)]
kernel!(PORTABLE, "bf16, portable", , Pairs, 4 x 2);

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! AVX-512 with its products of pairs of bf16: as many registers as in f32, and twice the products of each.

    use std::arch::x86_64::{
        __m512, __m512bh, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_storeu_ps,
    };

    use super::{LARGEST, Micro, Vector, busy, pair_all, tile};

    /// Sixteen lanes; the bits of words pass through it as they are.
    #[derive(Clone, Copy)]
    pub struct Pairs512(__m512);

    // SAFETY: every method is `#[inline(always)]`.
    unsafe impl Vector for Pairs512 {
        const LANES: usize = 16;
        const IN_PAIRS: bool = true;

        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller vouches for the instructions.
            Self(unsafe { _mm512_setzero_ps() })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: as above, and for the words.
            Self(unsafe { _mm512_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            // SAFETY: as above, and for the word.
            Self(unsafe { _mm512_set1_ps(from.read()) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: as above, and for the room.
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller vouches for the instructions.
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: as above; all three are 512 bits for which every pattern is a value.
            unsafe {
                let words = |of: __m512| std::mem::transmute::<__m512, __m512bh>(of);
                Self(_mm512_dpbf16_ps(self.0, words(a.0), words(b.0)))
            }
        }
    }

    kernel!(AVX512, "AVX-512 BF16", #[target_feature(enable = "avx512f,avx512bf16")], Pairs512, 12 x 2);

    /// The loop, compiled for AVX-512.
    #[target_feature(enable = "avx512f")]
    pub fn pair_up(group: usize, panel: &mut [f32]) {
        // Groups of the sizes that the kernels have, so that the inner loop is unrolled.
        match group {
            12 => pair_all(12, panel),
            32 => pair_all(32, panel),
            _ => pair_all(group, panel),
        }
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::pair_up;
    use crate::kernels::testing::values;

    #[test]
    fn words_hold_two_rounded_numbers_of_a_line() {
        for (group, k) in [(4, 0), (4, 1), (6, 2), (12, 7), (32, 10), (8, 33)] {
            let numbers = values(1, k * group);
            let mut panel = numbers.clone();
            panel.resize(2 * k.div_ceil(2) * group, f32::NAN);
            pair_up(group, k, &mut panel);
            for word in 0..k.div_ceil(2) {
                for i in 0..group {
                    let bits = panel[word * group + i].to_bits();
                    let number = |l: usize| numbers.get(l * group + i).map_or(0, |x| bf16::from_f32(*x).to_bits());
                    assert_eq!((bits as u16, (bits >> 16) as u16), (number(2 * word), number(2 * word + 1)));
                }
            }
        }
    }

    #[test]
    fn numbers_are_rounded_as_bf16_are() {
        for bits in
            (0..=u32::MAX).step_by(65_521).chain([0x7f80_0000, 0xff80_0000, 0x7f7f_ffff, 0x7fc0_0001, 0x7f80_0001])
        {
            let value = f32::from_bits(bits);
            let (ours, theirs) = ((super::rounded(value) >> 16) as u16, bf16::from_f32(value));
            assert!(ours == theirs.to_bits() || (bf16::from_bits(ours).is_nan() && theirs.is_nan()), "{bits:#x}");
        }
    }
}
