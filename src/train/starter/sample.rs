//! Pictures from prompts while training, in the way that the finished model makes them.

use candle_core::{Device, Tensor};

use super::architecture::{LATENT_CHANNELS, LATENT_SIDE, PICTURE_PX, scheduler, scheduler_config};
use super::draws::{Purpose, noise};
use super::latents::{Latents, VALUES};
use super::sheet::picture;
use super::text::encode;
use crate::domain::{Picture, Result, SamplerId, ScheduleId};
use crate::models::TextPart;
use crate::models::unet::UNet;
use crate::models::vae::AutoencoderKl;
use crate::nn::engine_error;
use crate::sampling::{self, guidance};

/// How pictures are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleSettings {
    /// Steps of DPM++ 2M.
    pub steps: usize,
    /// Guidance.
    pub guidance_scale: f64,
    /// Names the noise that they begin with.
    pub seed: u64,
}

/// Pictures that are made at a time.
pub const BATCH: usize = 16;
/// As the starter model is used.
pub const SAMPLING: SampleSettings = SampleSettings { steps: 20, guidance_scale: 4.0, seed: 0 };

/// A picture for each prompt. `decode` brings centred and scaled latents `[batch, channels, height, width]` back to px.
///
/// # Errors
/// When a network fails.
pub fn sample(
    prompts: &[String],
    text: &TextPart,
    unet: &UNet,
    decode: &dyn Fn(Tensor) -> candle_core::Result<Tensor>,
    settings: SampleSettings,
) -> Result<Vec<Picture>> {
    let mut pictures = Vec::with_capacity(prompts.len());
    for (i, prompts) in prompts.chunks(BATCH).enumerate() {
        let seed = settings.seed.wrapping_add(i as u64);
        let latents = denoise(prompts, text, unet, SampleSettings { seed, ..settings })?;
        let shape = (prompts.len(), LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE);
        let planes: Vec<f32> = Tensor::from_vec(latents, shape, &Device::Cpu)
            .and_then(decode)
            .and_then(|decoded| decoded.flatten_all()?.to_vec1())
            .map_err(engine_error)?;
        pictures.extend((0..prompts.len()).map(|index| picture(&planes, index, PICTURE_PX)));
    }
    Ok(pictures)
}

/// How latents in training become px.
///
/// # Errors
/// When the network fails.
pub fn decode(latents: &Latents, vae: &AutoencoderKl, batch: &Tensor) -> candle_core::Result<Tensor> {
    let restored = latents.restored(&batch.flatten_all()?.to_vec1::<f32>()?);
    vae.decode(&Tensor::from_vec(restored, batch.shape(), &Device::Cpu)?)
}

fn denoise(prompts: &[String], text: &TextPart, unet: &UNet, settings: SampleSettings) -> Result<Vec<f32>> {
    let (json, config) = (scheduler(), scheduler_config()?);
    let batch = prompts.len();
    let mut sampler = sampling::build(SamplerId::DpmPp2m, ScheduleId::Automatic, &config, &json, settings.steps)?;
    let mut latents: Vec<f32> =
        (0..batch).flat_map(|index| noise(settings.seed, Purpose::Sample, 0, index, VALUES)).collect();
    let first_sigma = sampler.init_noise_sigma() as f32;
    for value in &mut latents {
        *value *= first_sigma;
    }
    // The empty prompt first, then the prompts, in one batch.
    let all: Vec<&str> = std::iter::repeat_n("", batch).chain(prompts.iter().map(String::as_str)).collect();
    let context = encode(text, &all)?.into();
    let mut input = vec![0.0; latents.len()];
    for call in 0..sampler.timesteps().len() {
        sampler.scale_model_input(call, &latents, &mut input);
        let timesteps = vec![sampler.timesteps()[call]; 2 * batch];
        let shape = (2 * batch, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE);
        let both: Vec<f32> = Tensor::from_vec([input.as_slice(), &input].concat(), shape, &Device::Cpu)
            .and_then(|twice| unet.forward(&twice, &timesteps, &context)?.flatten_all()?.to_vec1())
            .map_err(engine_error)?;
        let (uncond, cond) = both.split_at(both.len() / 2);
        let guided = guidance::guide(uncond, cond, batch, settings.guidance_scale, 0.0);
        sampler.step(call, &guided, &mut latents, None);
    }
    Ok(latents)
}
