//! The latents of the pictures that the denoising network learns from: encoded once, kept on disk and in memory.
//!
//! They are centred: the mean of each channel over all pictures is taken off, and put back by the autoencoder's 1×1
//! convolutions in the exported model. Training does not quite end in pure noise, so that sampling begins with noise that
//! is slightly unlike what the network saw there; without the common shade the difference is small.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use candle_core::{Device, Result as TensorResult, Tensor};
use half::f16;
use serde_json::{Value, json};

use super::architecture::{LATENT_CHANNELS, LATENT_SIDE, PICTURE_PX};
use super::vae::draw_all;
use crate::domain::{Cancel, Result, UserError};
use crate::library::write_atomically;
use crate::models::vae::AutoencoderKl;
use crate::nn::engine_error;

/// Values of a picture's latents.
pub const VALUES: usize = LATENT_CHANNELS * LATENT_SIDE * LATENT_SIDE;
/// Pictures that are encoded at a time.
const BLOCK: u64 = 8;

/// The latents of many pictures, and how they are brought to zero mean and unit deviation.
pub struct Latents {
    values: Vec<f16>,
    /// Mean of each channel over all pictures.
    pub mean: [f64; LATENT_CHANNELS],
    /// One over the deviation of what is left.
    pub scaling_factor: f64,
}

impl Latents {
    /// Encodes pictures `0..count` of the data set `seed`, of which those in `folder` need not be encoded again.
    /// `source` is everything that decides the autoencoder: latents of another one are thrown away. `progress` is told
    /// how many pictures are done.
    ///
    /// # Errors
    /// When the network or the disk fails, or `cancel` was set (what was encoded stays).
    pub fn make(
        folder: &Path,
        vae: &AutoencoderKl,
        source: &Value,
        seed: u64,
        count: u64,
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self> {
        let path = folder.join("latents.f16");
        let fail =
            |error: std::io::Error| UserError::failed(format!("Could not keep the latents: {error}")).path(&path);
        let about = json!({ "seed": seed, "source": source }).to_string();
        let about_path = folder.join("latents.json");
        if fs::read_to_string(&about_path).ok().as_deref() != Some(&about) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
                _ => write_atomically(&about_path, about.as_bytes())?,
            }
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
        let mut done = file.metadata().map_err(fail)?.len() / (2 * VALUES) as u64 / BLOCK * BLOCK;
        // A block that was being written when the program was killed is written again.
        file.set_len(done * (2 * VALUES) as u64).map_err(fail)?;
        while done < count {
            if cancel.is_cancelled() {
                return Err(UserError::cancelled());
            }
            let block = encode(vae, seed, done).map_err(engine_error)?;
            let bytes: Vec<u8> = block.into_iter().flat_map(|value| f16::from_f32(value).to_le_bytes()).collect();
            file.write_all(&bytes).map_err(fail)?;
            done += BLOCK;
            progress(done.min(count));
        }
        Self::read(&path, count as usize).map_err(fail)
    }

    fn read(path: &Path, count: usize) -> std::io::Result<Self> {
        use std::io::Read;
        let mut bytes = Vec::with_capacity(2 * VALUES * count);
        File::open(path)?.take((2 * VALUES * count) as u64).read_to_end(&mut bytes)?;
        Ok(Self::of(bytes.as_chunks().0.iter().map(|value| f16::from_le_bytes(*value)).collect()))
    }

    fn of(values: Vec<f16>) -> Self {
        let pixels = LATENT_SIDE * LATENT_SIDE;
        let (mut sums, mut squares) = ([0f64; LATENT_CHANNELS], 0f64);
        for (plane, values) in values.chunks_exact(pixels).enumerate() {
            for value in values {
                let value = value.to_f64();
                sums[plane % LATENT_CHANNELS] += value;
                squares += value * value;
            }
        }
        let of_channel = (values.len() / LATENT_CHANNELS).max(1) as f64;
        let mean = sums.map(|sum| sum / of_channel);
        let of_means = mean.iter().map(|mean| mean * mean).sum::<f64>() / LATENT_CHANNELS as f64;
        let variance = squares / values.len().max(1) as f64 - of_means;
        Self { values, mean, scaling_factor: 1.0 / variance.max(1e-12).sqrt() }
    }

    /// Number of pictures.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() / VALUES
    }

    /// Appends the centred and scaled latents of a picture `[channels, height, width]` to `out`.
    ///
    /// # Panics
    /// When there is no such picture.
    pub fn push(&self, picture: usize, out: &mut Vec<f32>) {
        let pixels = LATENT_SIDE * LATENT_SIDE;
        let values = &self.values[picture * VALUES..][..VALUES];
        for (plane, mean) in values.chunks_exact(pixels).zip(self.mean) {
            out.extend(plane.iter().map(|value| ((value.to_f64() - mean) * self.scaling_factor) as f32));
        }
    }

    /// Centred and scaled latents `[batch, channels, height, width]` as the autoencoder's decoder takes them.
    #[must_use]
    pub fn restored(&self, latents: &[f32]) -> Vec<f32> {
        let pixels = LATENT_SIDE * LATENT_SIDE;
        latents
            .chunks(pixels)
            .enumerate()
            .flat_map(|(plane, values)| {
                let mean = self.mean[plane % LATENT_CHANNELS];
                values.iter().map(move |value| (f64::from(*value) / self.scaling_factor + mean) as f32)
            })
            .collect()
    }
}

/// The means of the latents of a block of pictures. The autoencoder's own noise is left out: it is small beside that of
/// the lowest timestep.
fn encode(vae: &AutoencoderKl, seed: u64, first: u64) -> TensorResult<Vec<f32>> {
    let values = draw_all(seed, first..first + BLOCK);
    let pictures = Tensor::from_vec(values.concat(), (BLOCK as usize, 3, PICTURE_PX, PICTURE_PX), &Device::Cpu)?;
    vae.encode(&pictures)?.mean.flatten_all()?.to_vec1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latents_are_centred_and_scaled_and_come_back() {
        let values: Vec<f16> =
            (0..2 * VALUES).map(|i| f16::from_f32((i * 7 % 13) as f32 - 4.0 + (i / 256 % 4) as f32)).collect();
        let latents = Latents::of(values.clone());
        let mut scaled = Vec::new();
        (0..latents.count()).for_each(|picture| latents.push(picture, &mut scaled));
        let mean = scaled.iter().sum::<f32>() / scaled.len() as f32;
        let variance = scaled.iter().map(|value| value * value).sum::<f32>() / scaled.len() as f32;
        assert!(mean.abs() < 1e-4 && (variance - 1.0).abs() < 1e-3, "{mean} {variance}");
        let back = latents.restored(&scaled);
        assert!(back.iter().zip(&values).all(|(back, value)| (back - value.to_f32()).abs() < 1e-4));
    }
}
