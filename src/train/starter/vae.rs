//! Training of the starter's autoencoder, on crops of freshly drawn pictures and at the end on whole ones.

use std::ops::Range;
use std::path::Path;

use candle_core::{Device, Result as TensorResult, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::architecture::{LATENT_CHANNELS, PICTURE_PX, vae as vae_json};
use super::draws::{Purpose, draws, initial_values, noise};
use super::run::{PARTS, Progress, Rhythm, Task, run};
use super::sheet::{picture, sheet};
use crate::dataset::garments::{GarmentSpec, Split, render, to_chw_f32};
use crate::domain::{Cancel, Picture, Result};
use crate::models::vae::{AutoencoderKl, LatentDistribution, VaeConfig};
use crate::nn::{Init, Params, engine_error};
use crate::train::{AdamWConfig, EmaConfig, Group, LrSchedule, LrShape, Parameters, Trainer, on_deep_stack};

/// Everything that decides the autoencoder's training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VaeSettings {
    /// Names the pictures, the first weights and all noise.
    pub seed: u64,
    /// All steps.
    pub steps: u64,
    /// How many of them, at the end, are on whole pictures: only these have the picture's edges where they belong.
    pub whole_steps: u64,
    /// Crops in a batch, two from each picture, a multiple of four: they are computed in two parts. A batch of whole
    /// pictures has as many px.
    pub crops: usize,
    /// Side of a crop, in px.
    pub crop_px: usize,
    /// The highest learning rate.
    pub lr: f64,
    /// Steps of its rise.
    pub warmup_steps: u64,
    /// How much the mean divergence of the latents from the unit normal counts.
    pub kl_weight: f64,
}

impl Default for VaeSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            steps: 6_000,
            whole_steps: 600,
            crops: 8,
            crop_px: 64,
            lr: 1e-3,
            warmup_steps: 200,
            kl_weight: 1e-5,
        }
    }
}

/// What the latents' log variances begin at. At zero the decoder would see hardly anything but noise at first, and the
/// channels that hues need would be given up before they are of use.
const FIRST_LOGVAR: f32 = -6.0;
/// Weight of the squared error beside the absolute one.
const SQUARED_WEIGHT: f64 = 2.0;
/// Weight of the error of differences between neighbours, which keeps edges, stripes and dots sharp.
const GRADIENT_WEIGHT: f64 = 0.5;
/// Weight of the errors of the opponent colours, red against green and blue against both. They count in red, green and
/// blue already, but there brightness is most of every error, and hues are learned last.
const OPPONENT_WEIGHT: f64 = 1.0;
/// Pictures that are looked at: from the held-out combinations.
const LOOKS: usize = 16;

/// Trains the autoencoder in `folder`, from where it stood.
///
/// # Errors
/// When loss or gradients are not finite, the network or the disk fails, or `cancel` was set (after a checkpoint).
pub fn train_vae(
    folder: &Path,
    settings: &VaeSettings,
    rhythm: Rhythm,
    cancel: &Cancel,
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> Result<()> {
    on_deep_stack(move || {
        let (vae, mut trainer) = build(settings)?;
        let task = VaeTask { vae, settings: settings.clone() };
        run(&task, &mut trainer, folder, &config(settings), rhythm, cancel, progress)
    })
}

/// The network and its trainer at the beginning.
pub(super) fn build(settings: &VaeSettings) -> Result<(AutoencoderKl, Trainer)> {
    let seed = settings.seed;
    let params = Params::fresh(move |name, elements, init| first_values(seed, name, elements, init));
    let vae = AutoencoderKl::new(&params, &VaeConfig::from_json(&vae_json(1.0))?);
    params.finish("VAE")?;
    let mut parameters = Parameters::default();
    parameters.add("", params.trainable_vars(), Group::default())?;
    let schedule = LrSchedule {
        shape: LrShape::Cosine,
        base: settings.lr,
        warmup_steps: settings.warmup_steps,
        total_steps: settings.steps,
    };
    let ema = EmaConfig { decay: 0.999, ..EmaConfig::default() };
    Ok((vae, Trainer::new(parameters, AdamWConfig::default(), Some(ema), schedule, 1.0)?))
}

/// What the weight `name` begins as. The way through the network begins as a chain of convolutions, with a bottleneck that
/// lets all latents through, and every residual block as its way around. (With torch's defaults colours are learned one
/// after the other, over thousands of steps.)
fn first_values(seed: u64, name: &str, elements: usize, init: Init) -> Vec<f32> {
    let mut values = initial_values(seed, name, elements, init, &["conv2.weight"]);
    match name {
        // `[2 * channels, 2 * channels]`: the means pass, the log variances are the same everywhere.
        "quant_conv.weight" => identity(&mut values, 2 * LATENT_CHANNELS, LATENT_CHANNELS),
        "quant_conv.bias" => values[elements / 2..].fill(FIRST_LOGVAR),
        "post_quant_conv.weight" => identity(&mut values, LATENT_CHANNELS, LATENT_CHANNELS),
        _ => {}
    }
    values
}

/// Makes a matrix of `columns` columns zero but for ones at the first `rows` places of its diagonal.
fn identity(matrix: &mut [f32], columns: usize, rows: usize) {
    matrix.fill(0.0);
    (0..rows).for_each(|i| matrix[i * columns + i] = 1.0);
}

/// What a checkpoint of this training belongs to.
pub(super) fn config(settings: &VaeSettings) -> Value {
    json!({ "settings": settings, "vae": vae_json(1.0) })
}

struct VaeTask {
    vae: AutoencoderKl,
    settings: VaeSettings,
}

impl VaeTask {
    /// One part of the pictures of the step after `step` steps, `[batch / PARTS, 3, side, side]`.
    fn batch(&self, step: u64, part: usize) -> TensorResult<Tensor> {
        let VaeSettings { seed, steps, whole_steps, crops, crop_px, .. } = self.settings;
        let is_whole = step + whole_steps >= steps;
        let crops_in_one = (PICTURE_PX / crop_px).pow(2);
        let pictures = if is_whole { crops.div_ceil(crops_in_one) } else { crops.div_ceil(2) };
        // No picture comes twice.
        let size = pictures.div_ceil(PARTS);
        let first = step * crops as u64 + (part * size) as u64;
        let mut values = Vec::new();
        for (i, drawn) in draw_all(seed, first..first + size as u64).into_iter().enumerate() {
            if is_whole {
                values.extend(drawn);
                continue;
            }
            let mut place = draws(seed, Purpose::Crop, step, part * size + i);
            for _ in 0..2 {
                let mut offset = || place.below((PICTURE_PX - crop_px) as u32 + 1) as usize;
                let (top, left) = (offset(), offset());
                for row in drawn
                    .chunks_exact(PICTURE_PX)
                    .enumerate()
                    .filter(|(y, _)| (top..top + crop_px).contains(&(y % PICTURE_PX)))
                {
                    values.extend(&row.1[left..left + crop_px]);
                }
            }
        }
        let side = if is_whole { PICTURE_PX } else { crop_px };
        let batch = values.len() / (3 * side * side);
        Tensor::from_vec(values, (batch, 3, side, side), &Device::Cpu)
    }

    fn try_loss(&self, step: u64, part: usize) -> TensorResult<Tensor> {
        let pictures = self.batch(step, part)?;
        let latents = self.vae.encode(&pictures)?;
        let (batch, channels, height, width) = latents.mean.dims4()?;
        let noise: Vec<f32> = (part * batch..(part + 1) * batch)
            .flat_map(|i| noise(self.settings.seed, Purpose::LatentNoise, step, i, channels * height * width))
            .collect();
        let noise = Tensor::from_vec(noise, latents.mean.shape(), &Device::Cpu)?;
        let decoded = self.vae.decode(&latents.sample(&noise)?)?;
        reconstruction_loss(&decoded, &pictures)? + (divergence(&latents)? * self.settings.kl_weight)?
    }

    fn try_look(&self) -> TensorResult<(Picture, String)> {
        let pixels = 3 * PICTURE_PX * PICTURE_PX;
        let (mut pictures, mut squares) = (Vec::new(), 0.0);
        for index in 0..LOOKS as u64 {
            let original = draw(self.settings.seed, index, Split::HeldOut);
            let shape = (1, 3, PICTURE_PX, PICTURE_PX);
            let latents = self.vae.encode(&Tensor::from_slice(&original, shape, &Device::Cpu)?)?;
            let decoded: Vec<f32> = self.vae.decode(&latents.mean)?.flatten_all()?.to_vec1()?;
            squares +=
                original.iter().zip(&decoded).map(|(a, b)| f64::from(a - b.clamp(-1.0, 1.0)).powi(2)).sum::<f64>();
            pictures.extend([picture(&original, 0, PICTURE_PX), picture(&decoded, 0, PICTURE_PX)]);
        }
        // The peak-to-peak range is 2.
        let psnr = -10.0 * (squares / (LOOKS * pixels) as f64 / 4.0).log10();
        Ok((sheet(&pictures, 8), format!("held-out pictures come back with {psnr:.2} dB")))
    }
}

impl Task for VaeTask {
    fn loss(&self, step: u64, part: usize) -> Result<Tensor> {
        self.try_loss(step, part).map_err(engine_error)
    }

    fn look(&self) -> Result<(Picture, String)> {
        self.try_look().map_err(engine_error)
    }
}

/// A picture of the data set as `[3, side, side]` in −1..1.
pub(super) fn draw(seed: u64, index: u64, split: Split) -> Vec<f32> {
    to_chw_f32(&render(&GarmentSpec::sample(seed, index, split), PICTURE_PX as u32))
}

/// Pictures to learn from, drawn side by side.
pub(super) fn draw_all(seed: u64, indices: Range<u64>) -> Vec<Vec<f32>> {
    indices.into_par_iter().map(|index| draw(seed, index, Split::Train)).collect()
}

/// Mean absolute and squared errors of px and of their opponent colours, and absolute ones of differences to the right and
/// lower neighbours.
fn reconstruction_loss(decoded: &Tensor, pictures: &Tensor) -> TensorResult<Tensor> {
    let (_, _, height, width) = pictures.dims4()?;
    let error = (decoded - pictures)?;
    let size = |error: &Tensor| error.abs()?.mean_all()? + (error.sqr()?.mean_all()? * SQUARED_WEIGHT)?;
    let to_neighbour = |dim: usize, length: usize| {
        (error.narrow(dim, 1, length - 1)? - error.narrow(dim, 0, length - 1)?)?.abs()?.mean_all()
    };
    let edges = ((to_neighbour(2, height)? + to_neighbour(3, width)?)? * GRADIENT_WEIGHT)?;
    let (red, green, blue) = (error.narrow(1, 0, 1)?, error.narrow(1, 1, 1)?, error.narrow(1, 2, 1)?);
    let red_green = (&red - &green)?;
    let blue_yellow = (blue - ((red + green)? * 0.5)?)?;
    let hues = ((size(&red_green)? + size(&blue_yellow)?)? * OPPONENT_WEIGHT)?;
    (size(&error)? + edges)? + hues
}

/// Mean divergence of the latents' distribution from the unit normal (Kingma and Welling 2013, appendix B).
fn divergence(latents: &LatentDistribution) -> TensorResult<Tensor> {
    let LatentDistribution { mean, logvar } = latents;
    (((mean.sqr()? + logvar.exp()?)? - logvar)? - 1.0)?.mean_all()? * 0.5
}

/// The autoencoder with its averaged weights, once its training in `folder` is finished.
///
/// # Errors
/// When it is not.
pub(super) fn finished(folder: &Path, settings: &VaeSettings) -> Result<AutoencoderKl> {
    Ok(finished_trainer(folder, settings)?.0)
}

/// The same with its trainer, whose parameters are the averaged ones.
pub(super) fn finished_trainer(folder: &Path, settings: &VaeSettings) -> Result<(AutoencoderKl, Trainer)> {
    let (vae, mut trainer) = build(settings)?;
    super::run::resume_finished(folder, &mut trainer, &config(settings), "autoencoder")?;
    Ok((vae, trainer))
}
