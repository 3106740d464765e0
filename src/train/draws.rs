//! Every random number of a training, named by seed, purpose, place in the run and place in the batch: a resumed training
//! draws the same ones, and nothing need be saved for that.

use crate::domain::fnv1a;
use crate::sampling::CounterRng;

/// What a number is for. The values are part of what a seed means: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// How an adapter's weight begins.
    Weights = 0x101,
    /// Which pictures are kept apart.
    Split = 0x102,
    /// The order of an epoch.
    Order = 0x103,
    /// The noise of the autoencoder's latents.
    LatentNoise = 0x104,
    /// How noisy the latents are.
    Timestep = 0x105,
    /// The noise on the latents.
    Noise = 0x106,
    /// The noise that is the same for all px.
    NoiseOffset = 0x107,
    /// Whether a caption is left out.
    Caption = 0x108,
    /// Whether a picture is mirrored.
    Flip = 0x109,
    /// Where it is cropped.
    Crop = 0x10a,
    /// The noise of validation.
    Validation = 0x10b,
}

/// The stream of a purpose for sample `index` of batch `place`, counted from the training's beginning.
#[must_use]
pub fn draws(seed: u64, draw: Draw, place: u64, index: usize) -> CounterRng {
    // More than 2^32 batches have the rest of their number in the key.
    CounterRng::new(seed ^ (place >> 32), draw as u32, place as u32, index as u32)
}

/// Unit-normal noise for sample `index` of batch `place`.
#[must_use]
pub fn noise(seed: u64, draw: Draw, place: u64, index: usize, values: usize) -> Vec<f32> {
    let mut noise = vec![0.0; values];
    draws(seed, draw, place, index).fill_normal(&mut noise);
    noise
}

/// The stream in which the weight `name` begins.
#[must_use]
pub fn weights(seed: u64, name: &str) -> CounterRng {
    // Names are few, and a collision would only make two weights begin alike.
    let hash = fnv1a(name.as_bytes());
    CounterRng::new(seed, Draw::Weights as u32, (hash >> 32) as u32, hash as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_batch_purpose_and_weight_has_its_own_numbers() {
        let first = noise(3, Draw::Noise, 7, 0, 5);
        assert_eq!(first, noise(3, Draw::Noise, 7, 0, 5));
        for other in [
            noise(3, Draw::Noise, 7, 1, 5),
            noise(3, Draw::Noise, 8, 0, 5),
            noise(3, Draw::Noise, 7 + (1 << 32), 0, 5),
            noise(3, Draw::LatentNoise, 7, 0, 5),
            noise(4, Draw::Noise, 7, 0, 5),
        ] {
            assert_ne!(first, other);
        }
        assert_ne!(weights(1, "a").next_u64(), weights(1, "b").next_u64());
        assert_eq!(weights(1, "a").next_u64(), weights(1, "a").next_u64());
    }
}
