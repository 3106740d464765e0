//! [`generate`]: one request, one picture. The place to begin reading how Atelier works.

use candle_core::{Device, Tensor};

use super::denoise::Denoiser;
use super::image::{picture_from_tensor, tensor_from_picture};
use super::prompt::condition;
use super::source::{keep_rest, resized, source};
use super::start::{Source, Start, steps_left};
use super::upscale::upscale;
use crate::domain::{Cancel, GenerateRequest, Picture, Result, UserError};
use crate::models::vae_tiling::{Tiling, decode_tiled};
use crate::models::{Model, Part};
use crate::nn::engine_error;
use crate::sampling::{self, StartNoise, TorchCpuRng};

/// How a picture comes along.
pub enum Progress {
    /// A step is done.
    Step {
        /// Steps done, from 1.
        step: u32,
        /// All steps.
        steps: u32,
        /// What the picture is expected to become, one px for each of the latents.
        preview: Picture,
    },
    /// All steps are done; the latents are being decoded.
    Decoding,
}

/// A finished picture.
pub struct Generated {
    /// The picture.
    pub picture: Picture,
    /// Things worth telling that stopped nothing.
    pub notices: Vec<String>,
}

/// Makes the picture of `request` (the first of its count).
///
/// The seed means what `torch.manual_seed` means on a CPU, and noise is drawn in the order diffusers draws it: first the
/// latents, then one draw for every step that needs one. The model is taken as it is; [`super::make()`] dresses it first.
///
/// # Errors
/// When the request does not fit the model's family, the network fails, or `cancel` was set (looked at before every
/// evaluation of the network).
pub fn generate(
    model: &Model,
    request: &GenerateRequest,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Generated> {
    let problems = request.validate(&model.family.capabilities);
    if !problems.is_empty() {
        let sentences: Vec<String> = problems.into_iter().map(|problem| problem.sentence).collect();
        return Err(UserError::input(sentences.join(". ")));
    }

    if let (Some(init), Some(scale)) = (&request.init, request.upscale) {
        return upscale(model, request, (init, scale), cancel, progress);
    }
    let source = request.init.as_ref().map(|init| source(init, request)).transpose()?;
    let first = pass(model, request, source.as_ref(), cancel, progress)?;
    let Some(hires) = request.hires else { return Ok(first) };
    let (width_px, height_px) = hires.size_of(request, model.family.capabilities.size_multiple_px);
    let larger = GenerateRequest { width_px, height_px, ..request.clone() };
    let picture = tensor_from_picture(&resized(first.picture, (width_px, height_px))).map_err(engine_error)?;
    let source = Source { picture, mask: None, strength: hires.strength };
    let second = pass(model, &larger, Some(&source), cancel, progress)?;
    Ok(Generated { notices: first.notices, ..second })
}

/// From noise, or from a picture, to a picture of the request's size.
fn pass(
    model: &Model,
    request: &GenerateRequest,
    source: Option<&Source>,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Generated> {
    // 1. Prompts to vectors, for the steps that there will be.
    let all = request.num_inference_steps as usize;
    let strength = source.map_or(1.0, |source| source.strength);
    let steps_left = steps_left(all, strength).max(1) as u32;
    let (conditioning, notices) = condition(model, request, steps_left)?;
    model.release(Part::TextEncoder);

    // 2. Noise of the seed, or a picture with noise on it.
    let scale = model.vae.config().scale();
    let channels = model.vae.config().latent_channels;
    let shape = [1, channels, request.height_px as usize / scale, request.width_px as usize / scale];
    let [.., height, width] = shape;
    let mut rng = TorchCpuRng::new(request.seed);
    let sampler = sampling::build(request.sampler, request.schedule, &model.scheduler, &model.scheduler_json, all)?;
    let in_channels = model.unet.config().in_channels;
    let mut first = StartNoise::new(request.variation, shape);
    let draw = &mut |noise: &mut [f32]| first.draw(&mut rng, noise);
    let start = Start::new(&model.vae, in_channels, sampler.as_ref(), all, source, shape, draw)?;

    // 3. Step by step towards the picture.
    let mut denoiser = Denoiser { unet: &model.unet, sampler, conditioning, shape, steps: steps_left };
    let latents = denoiser.run(start, &mut |noise| rng.randn(noise), cancel, &mut |done| {
        let preview = model.preview.picture(done.denoised, height, width);
        progress(Progress::Step { step: done.step, steps: steps_left, preview });
    })?;

    // 4. Latents to px. The decoder needs much memory, and the network none meanwhile.
    drop(denoiser);
    model.release(Part::UNet);
    if cancel.is_cancelled() {
        return Err(UserError::cancelled());
    }
    progress(Progress::Decoding);
    let scaled = || Tensor::from_vec(latents, &shape, &Device::Cpu)? / model.vae.config().scaling_factor;
    let scaled = scaled().map_err(engine_error)?;
    let decoded = match Tiling::for_size(height, width) {
        Some(tiling) => decode_tiled(&model.vae, &scaled, tiling, cancel, &mut |_, _| ())?,
        None => model.vae.decode(&scaled).map_err(engine_error)?,
    };
    let finish = || {
        let picture = picture_from_tensor(&decoded, 0)?;
        match source {
            Some(source) => keep_rest(source, picture),
            None => Ok(picture),
        }
    };
    Ok(Generated { picture: finish().map_err(engine_error)?, notices })
}
