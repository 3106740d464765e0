//! [`Snapshot`]: a picture in the middle of its making, and how it is written down.
//!
//! The form is our own: a magic, then length-prefixed parts in little endian, then a sum over all of it. A file that was
//! cut off or damaged is told by the sum; nothing in it is trusted before.

use crate::sampling::SamplerState;

/// How a snapshot's bytes begin; the digit counts the forms.
const MAGIC: &[u8; 8] = b"ATLSNAP1";
/// Bytes of the sum at the end.
const SUM: usize = 8;

/// A picture in the middle of its making: all that is needed to go on to the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// What the picture is made of, as [`super::make_watched()`] names it: another picture must not go on here.
    pub key: String,
    /// Evaluations of the network that were made.
    pub call: usize,
    /// How many times noise was drawn.
    pub draws: usize,
    /// The latents, `[1, channels, height, width]`.
    pub latents: Vec<f32>,
    /// What the sampler looks back at.
    pub state: SamplerState,
}

impl Snapshot {
    /// Bytes that it takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        let SamplerState { calls: _, outputs, sample, sum, denoised } = &self.state;
        let optional = |values: &Option<Vec<f32>>| values.as_ref().map_or(0, Vec::len);
        let values = self.latents.len()
            + outputs.iter().map(Vec::len).sum::<usize>()
            + optional(sample)
            + optional(sum)
            + denoised.len();
        size_of::<f32>() * values + self.key.len() + size_of::<Self>()
    }

    /// Whether it is of the picture `key`, whose latents have `len` values, and leaves some of `calls` evaluations.
    #[must_use]
    pub fn fits(&self, key: &str, len: usize, calls: usize) -> bool {
        let SamplerState { calls: _, outputs, sample, sum, denoised } = &self.state;
        let has_len = |values: &Vec<f32>| values.len() == len;
        self.key == key
            && self.call <= calls
            && has_len(&self.latents)
            && outputs.iter().chain(sample).chain(sum).all(has_len)
            && (denoised.is_empty() || has_len(denoised))
    }

    /// As bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size() + 64);
        out.extend_from_slice(MAGIC);
        put_bytes(&mut out, self.key.as_bytes());
        let SamplerState { calls, outputs, sample, sum, denoised } = &self.state;
        for number in [self.call, self.draws, *calls, outputs.len()] {
            put_number(&mut out, number);
        }
        for output in outputs {
            put_values(&mut out, output);
        }
        for values in [sample, sum] {
            put_number(&mut out, usize::from(values.is_some()));
            put_values(&mut out, values.as_deref().unwrap_or_default());
        }
        put_values(&mut out, denoised);
        put_values(&mut out, &self.latents);
        let sum = sum_of(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// What [`Self::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM)?)?;
        if sum_of(body).to_le_bytes() != sum {
            return None;
        }
        let mut reader = Reader(body.strip_prefix(MAGIC)?);
        let key = String::from_utf8(reader.bytes()?.to_vec()).ok()?;
        let (call, draws, calls) = (reader.number()?, reader.number()?, reader.number()?);
        let count = reader.number()?;
        // Each takes some bytes, so that a large count ends soon.
        let outputs = (0..count).map(|_| reader.values()).collect::<Option<_>>()?;
        let mut optional = || {
            let is_there = reader.number()? != 0;
            let values = reader.values()?;
            Some(is_there.then_some(values))
        };
        let (sample, sum) = (optional()?, optional()?);
        let denoised = reader.values()?;
        let latents = reader.values()?;
        let state = SamplerState { calls, outputs, sample, sum, denoised };
        reader.0.is_empty().then_some(Self { key, call, draws, latents, state })
    }
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u64).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_values(out: &mut Vec<u8>, values: &[f32]) {
    put_number(out, size_of_val(values));
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<usize> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        usize::try_from(u64::from_le_bytes(*number)).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn values(&mut self) -> Option<Vec<f32>> {
        let (values, rest) = self.bytes()?.as_chunks::<4>();
        rest.is_empty().then(|| values.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }
}

/// FNV-1a over words of eight bytes (Fowler, Noll, Vo): it tells a torn file, not a forged one.
fn sum_of(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    let mixed = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    words.fold(0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64, mixed)
}

/// A name for what some parts say, in 32 hexadecimal digits: FNV-1a of 128 bits.
#[must_use]
pub fn name_of(parts: &[&[u8]]) -> String {
    let mut sum: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for part in parts {
        for byte in (part.len() as u64).to_le_bytes().iter().chain(*part) {
            sum = (sum ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
    format!("{sum:032x}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn snapshot() -> impl Strategy<Value = Snapshot> {
        let values = || prop::collection::vec(any::<f32>().prop_filter("comparable", |v| !v.is_nan()), 0..40);
        let state = (prop::collection::vec(values(), 0..4), prop::option::of(values()), prop::option::of(values()));
        (".{0,40}", 0..1000_usize, 0..1000_usize, values(), state, values()).prop_map(
            |(key, call, draws, latents, (outputs, sample, sum), denoised)| {
                let state = SamplerState { calls: call, outputs, sample, sum, denoised };
                Snapshot { key, call, draws, latents, state }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(snapshot in snapshot()) {
            prop_assert_eq!(Snapshot::from_bytes(&snapshot.to_bytes()), Some(snapshot));
        }

        #[test]
        fn a_damaged_one_is_not_read(snapshot in snapshot(), place in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = snapshot.to_bytes();
            let place = place.index(bytes.len());
            prop_assert_eq!(Snapshot::from_bytes(&bytes[..place]), None);
            bytes[place] ^= 1 << bit;
            prop_assert_eq!(Snapshot::from_bytes(&bytes), None);
        }

        #[test]
        fn anything_may_be_read(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Snapshot::from_bytes(&bytes);
            // With a right sum, so that the reader is reached.
            bytes.splice(0..0, *MAGIC);
            let sum = sum_of(&bytes);
            bytes.extend(sum.to_le_bytes());
            let _ = Snapshot::from_bytes(&bytes);
        }
    }

    #[test]
    fn names_tell_parts_apart() {
        let names = [name_of(&[b"ab", b"c"]), name_of(&[b"a", b"bc"]), name_of(&[b"abc"]), name_of(&[])];
        assert!(names.iter().all(|name| name.len() == 32));
        assert!((0..4).all(|i| (0..i).all(|j| names[i] != names[j])));
        // The offset basis of FNV-1a of 128 bits: nothing was mixed into it.
        assert_eq!(names[3], "6c62272e07bb014262b821756295c58d");
    }
}
