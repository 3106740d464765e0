//! A weight's numbers as its file has them: f32, or 16 bits that a kernel widens while it packs them.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// The numbers of a weight.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// As the kernels compute.
    F32(&'a [f32]),
    /// IEEE half precision.
    F16(&'a [f16]),
    /// The upper half of an f32.
    Bf16(&'a [bf16]),
}

impl<'a> Values<'a> {
    /// How many there are.
    pub fn len(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::Bf16(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// `len` of them from `first` on.
    ///
    /// # Panics
    /// When there are fewer.
    #[must_use]
    pub fn part(self, first: usize, len: usize) -> Self {
        match self {
            Self::F32(values) => Self::F32(&values[first..][..len]),
            Self::F16(values) => Self::F16(&values[first..][..len]),
            Self::Bf16(values) => Self::Bf16(&values[first..][..len]),
        }
    }

    /// All of them as f32: in place where they are that already, else widened into `room`, which must have their length.
    ///
    /// # Panics
    /// When they are to be widened and `room` has another length.
    pub fn widened(self, room: &'a mut [f32]) -> &'a [f32] {
        match self {
            Self::F32(values) => values,
            Self::F16(values) => {
                widen_f16(values, room);
                room
            }
            Self::Bf16(values) => {
                values.convert_to_f32_slice(room);
                room
            }
        }
    }
}

/// Widens numbers of half precision. `half` does too, but asks the processor for its instructions at every eight.
fn widen_f16(values: &[f16], to: &mut [f32]) {
    assert!(values.len() == to.len(), "as many numbers are widened as there is room for");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") {
        // SAFETY: the processor has the instructions.
        return unsafe { widen_by_eight(values, to) };
    }
    values.convert_to_f32_slice(to);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c")]
fn widen_by_eight(values: &[f16], to: &mut [f32]) {
    use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps, _mm256_storeu_ps};
    let ((eights, rest), (to, rest_to)) = (values.as_chunks::<8>(), to.as_chunks_mut::<8>());
    for (from, to) in eights.iter().zip(to) {
        // SAFETY: eight numbers of 16 bits are read, and eight of 32 written.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast()))) };
    }
    for (from, to) in rest.iter().zip(rest_to) {
        *to = from.to_f32();
    }
}

impl<'a> From<&'a [f32]> for Values<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::F32(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_reads_as_the_same_numbers() {
        let values: Vec<f32> = (0..133).map(|i| (i % 64 - 32) as f32 / 4.0).collect();
        let halves: Vec<f16> = values.iter().map(|value| f16::from_f32(*value)).collect();
        let brains: Vec<bf16> = values.iter().map(|value| bf16::from_f32(*value)).collect();
        for kind in [Values::F32(&values), Values::F16(&halves), Values::Bf16(&brains)] {
            assert_eq!((kind.len(), kind.is_empty()), (133, false));
            let mut room = vec![0.0; 5];
            assert_eq!(kind.part(3, 5).widened(&mut room), &values[3..8]);
        }
    }
}
