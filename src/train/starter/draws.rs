//! Every random number of the starter's trainings, named by seed, purpose, step and place in the batch: a resumed
//! training draws the same ones.

use crate::domain::fnv1a;
use crate::nn::Init;
use crate::sampling::CounterRng;

/// Embeddings, which the networks begin with a deviation of 0.02, begin with this many times as much.
const EMBEDDING_GAIN: f32 = 50.0;

/// What a number is for. The values are part of what a seed means: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// How a weight begins.
    Weights = 1,
    /// Where a picture is cropped.
    Crop = 2,
    /// The noise of the autoencoder's latents.
    LatentNoise = 3,
    /// Which pictures make a batch.
    Order = 4,
    /// How noisy the latents are.
    Timestep = 5,
    /// The noise on the latents.
    Noise = 6,
    /// Which wording, or none.
    Caption = 7,
    /// The noise that samples begin with.
    Sample = 8,
}

/// The stream of a purpose at a step, for sample `index` of its batch.
#[must_use]
pub fn draws(seed: u64, purpose: Purpose, step: u64, index: usize) -> CounterRng {
    CounterRng::new(seed, purpose as u32, step as u32, index as u32)
}

/// Unit-normal noise for sample `index` of a batch.
#[must_use]
pub fn noise(seed: u64, purpose: Purpose, step: u64, index: usize, values: usize) -> Vec<f32> {
    let mut noise = vec![0.0; values];
    draws(seed, purpose, step, index).fill_normal(&mut noise);
    noise
}

/// The values that the weight `name` begins with: a function of seed and name, so that the order of building does not
/// matter. Weights whose name ends in one of `zero` begin at zero.
///
/// Layers that torch begins uniformly keep the variance of their input, of which torch's own bound leaves a third: where
/// no normalization follows, as along the way around residual blocks, a signal would be lost in the biases. (The
/// autoencoder's loss falls three times as fast in its first 500 steps.) Embeddings begin at unit variance instead of
/// 0.02²: Adam moves what begins that small many times farther than it is long, and words that are used alike, such as
/// stripes and dots, become one before the network has learnt to tell them apart.
#[must_use]
pub fn initial_values(seed: u64, name: &str, elements: usize, init: Init, zero: &[&str]) -> Vec<f32> {
    // Names are few, and a collision would only make two weights begin alike.
    let hash = fnv1a(name.as_bytes());
    let mut rng = CounterRng::new(seed, Purpose::Weights as u32, (hash >> 32) as u32, hash as u32);
    if zero.iter().any(|end| name.ends_with(end)) {
        return vec![0.0; elements];
    }
    match init {
        Init::Zeros => vec![0.0; elements],
        Init::Ones => vec![1.0; elements],
        Init::Uniform(bound) => {
            let gain = if name.ends_with(".weight") { 3f32.sqrt() } else { 1.0 };
            (0..elements).map(|_| bound * (2.0 * rng.uniform() - 1.0) as f32 * gain).collect()
        }
        Init::Normal(deviation) => {
            let mut values = vec![0.0; elements];
            rng.fill_normal(&mut values);
            for value in &mut values {
                *value *= deviation * EMBEDDING_GAIN;
            }
            values
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_begin_as_asked() {
        let uniform = initial_values(1, "a.bias", 4000, Init::Uniform(0.5), &[]);
        assert!(uniform.iter().all(|value| value.abs() <= 0.5) && uniform.iter().any(|value| value.abs() > 0.45));
        // torch's bound is one over the root of the inputs, here four.
        let weights = initial_values(1, "a.weight", 4000, Init::Uniform(0.5), &[]);
        let variance = weights.iter().map(|value| value * value).sum::<f32>() / 4000.0;
        assert!((variance * 4.0 - 1.0).abs() < 0.05, "{variance}");
        let normal = initial_values(1, "a.weight", 4000, Init::Normal(0.02), &[]);
        let variance = normal.iter().map(|value| value * value).sum::<f32>() / 4000.0;
        assert!((variance.sqrt() / (0.02 * EMBEDDING_GAIN) - 1.0).abs() < 0.05, "{variance}");
        assert_ne!(uniform, initial_values(1, "b.weight", 4000, Init::Uniform(0.5), &[]));
        assert_ne!(uniform, initial_values(2, "a.weight", 4000, Init::Uniform(0.5), &[]));
        assert_eq!(initial_values(1, "conv_out.weight", 2, Init::Ones, &["conv_out.weight"]), [0.0, 0.0]);
    }

    #[test]
    fn every_sample_step_and_purpose_has_its_own_noise() {
        let first = noise(3, Purpose::Noise, 7, 0, 5);
        assert_eq!(first, noise(3, Purpose::Noise, 7, 0, 5));
        for other in [
            noise(3, Purpose::Noise, 7, 1, 5),
            noise(3, Purpose::Noise, 8, 0, 5),
            noise(3, Purpose::Sample, 7, 0, 5),
            noise(4, Purpose::Noise, 7, 0, 5),
        ] {
            assert_ne!(first, other);
        }
    }
}
