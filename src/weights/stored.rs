//! [`Stored`]: a tensor's numbers where they lie in a mapped file.

use std::ops::Range;

use half::{bf16, f16};
use safetensors::tensor::Dtype;

use super::tensor_file::{Mapping, TensorFile};

/// A tensor in its file, row-major, of a kind that networks compute with. A clone is the same numbers.
#[derive(Clone)]
pub struct Stored {
    mapping: Mapping,
    range: Range<usize>,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    F32,
    F16,
    Bf16,
}

/// Numbers as a file has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numbers<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// IEEE half precision.
    F16(&'a [f16]),
    /// The upper half of f32.
    Bf16(&'a [bf16]),
}

impl TensorFile {
    /// A tensor that can be read where it lies: f32, f16 or bf16, row-major, in this machine's order of bytes and
    /// alignment. `None` where one must be copied, or is not there.
    #[must_use]
    pub fn in_place(&self, name: &str) -> Option<Stored> {
        let info = self.info(name)?;
        let kind = match info.dtype {
            Dtype::F32 => Kind::F32,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            _ => return None,
        };
        let (mapping, range) = (self.mapping(info), info.contiguous_bytes()?);
        let stored = Stored { mapping: mapping.clone(), range, kind };
        (cfg!(target_endian = "little") && stored.try_numbers().is_some()).then_some(stored)
    }
}

impl Stored {
    /// The numbers.
    #[must_use]
    pub fn numbers(&self) -> Numbers<'_> {
        // It was made only where this is possible.
        self.try_numbers().unwrap_or(Numbers::F32(&[]))
    }

    fn try_numbers(&self) -> Option<Numbers<'_>> {
        let bytes = self.mapping.get(self.range.clone())?;
        match self.kind {
            Kind::F32 => bytemuck::try_cast_slice(bytes).ok().map(Numbers::F32),
            Kind::F16 => bytemuck::try_cast_slice(bytes).ok().map(Numbers::F16),
            Kind::Bf16 => bytemuck::try_cast_slice(bytes).ok().map(Numbers::Bf16),
        }
    }

    /// Lets the system take back the memory that they fill; what is read again comes from the file again.
    pub fn release(&self) {
        self.mapping.release(self.range.clone());
    }
}

impl Numbers<'_> {
    /// Whether none is infinite or no number at all.
    #[must_use]
    pub fn are_finite(self) -> bool {
        // All bits of the exponent set. The largest of all is found without a branch, many at a time.
        let largest = |bits: &mut dyn Iterator<Item = u16>| bits.fold(0, u16::max);
        match self {
            Self::F32(values) => {
                values.iter().fold(0, |largest, value| (value.to_bits() & 0x7fff_ffff).max(largest)) < 0x7f80_0000
            }
            Self::F16(values) => largest(&mut values.iter().map(|value| value.to_bits() & 0x7fff)) < 0x7c00,
            Self::Bf16(values) => largest(&mut values.iter().map(|value| value.to_bits() & 0x7fff)) < 0x7f80,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one tensor of two numbers; `pad` shifts where its numbers lie.
    fn file(dtype: &str, data: &[u8], pad: usize) -> TensorFile {
        let end = data.len();
        let header = format!(r#"{{"a":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,{end}]}}}}"#);
        let length = (8 + header.len()).next_multiple_of(8) - 8 + pad;
        // Leaked as words, so that it begins at a multiple of eight.
        let mut bytes = (length as u64).to_le_bytes().to_vec();
        bytes.extend(format!("{header:length$}").as_bytes());
        bytes.extend(data);
        let whole = bytes.len();
        bytes.resize(whole.next_multiple_of(8), 0);
        let words: Vec<u64> = bytes.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
        TensorFile::embedded(&bytemuck::cast_slice(words.leak())[..whole], "test").unwrap()
    }

    #[test]
    fn every_kind_reads_where_it_lies() {
        let f32s = [1.5f32, -2.0].map(f32::to_le_bytes).concat();
        let f16s = [1.5f32, -2.0].map(|value| f16::from_f32(value).to_le_bytes()).concat();
        let bf16s = [1.5f32, -2.0].map(|value| bf16::from_f32(value).to_le_bytes()).concat();
        assert_eq!(file("F32", &f32s, 0).in_place("a").unwrap().numbers(), Numbers::F32(&[1.5, -2.0]));
        let half = [f16::from_f32(1.5), f16::from_f32(-2.0)];
        let stored = file("F16", &f16s, 2).in_place("a").unwrap();
        assert_eq!(stored.numbers(), Numbers::F16(&half));
        stored.release();
        assert_eq!(stored.numbers(), Numbers::F16(&half));
        let brain = [bf16::from_f32(1.5), bf16::from_f32(-2.0)];
        assert_eq!(file("BF16", &bf16s, 0).in_place("a").unwrap().numbers(), Numbers::Bf16(&brain));
        // Between the places of such numbers, of another kind, or not there.
        assert!(file("F32", &f32s, 2).in_place("a").is_none());
        assert!(file("F16", &f16s, 1).in_place("a").is_none());
        assert!(file("F64", &[0; 16], 0).in_place("a").is_none());
        assert!(file("F32", &f32s, 0).in_place("b").is_none());
    }

    #[test]
    fn what_is_not_finite_is_found() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in 0..70 {
                let mut values = vec![-1.0e4f32; 70];
                let halves = |values: &[f32]| values.iter().map(|value| f16::from_f32(*value)).collect::<Vec<_>>();
                let brains = |values: &[f32]| values.iter().map(|value| bf16::from_f32(*value)).collect::<Vec<_>>();
                assert!(Numbers::F32(&values).are_finite() && Numbers::F16(&halves(&values)).are_finite());
                assert!(Numbers::Bf16(&brains(&values)).are_finite());
                values[place] = bad;
                assert!(!Numbers::F32(&values).are_finite() && !Numbers::F16(&halves(&values)).are_finite());
                assert!(!Numbers::Bf16(&brains(&values)).are_finite());
            }
        }
        assert!(Numbers::F16(&[f16::MAX, f16::MIN]).are_finite() && Numbers::F32(&[f32::MAX, f32::MIN]).are_finite());
    }
}
