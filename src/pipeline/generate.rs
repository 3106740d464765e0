//! [`generate`]: one request, one picture. The place to begin reading how Atelier works.

use candle_core::{Device, Tensor};

use super::denoise::{Conditioning, Denoiser};
use super::image::picture_from_tensor;
use super::start::Start;
use super::text::{Sizes, Texts, encode_prompts, nothing_said};
use crate::domain::{Cancel, GenerateRequest, Picture, Result, UserError};
use crate::models::Model;
use crate::models::embeddings::Condition;
use crate::nn::engine_error;
use crate::sampling::{self, TorchCpuRng};

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
/// latents, then one draw for every step that needs one.
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

    // 1. Prompts to vectors. A guidance of 1 or less would throw the negative prompt's prediction away; networks that
    // were distilled to follow a scale are told it instead.
    let follows_scale = model.unet.config().time_cond_proj_dim.is_some();
    let guided = request.guidance_scale > 1.0 && !follows_scale;
    let prompts = [Texts::from(request.negative_prompt.as_str()), Texts::from(request.prompt.as_str())];
    let sizes = Sizes::whole(request.height_px, request.width_px);
    let text = encode_prompts(model, if guided { &prompts } else { &prompts[1..] }, sizes)?;
    let row = |i: usize| text.condition.rows(i, 1).map_err(engine_error);
    let nothing = model.force_zeros_for_empty_prompt && request.negative_prompt.is_empty();
    let negative = |row: Condition| if nothing { nothing_said(&row) } else { Ok(row) };
    let conditioning = Conditioning {
        prompt: Condition {
            guidance_scale: follows_scale.then_some(request.guidance_scale),
            ..row(usize::from(guided))?
        },
        negative: if guided { Some(negative(row(0)?)?) } else { None },
        guidance_scale: request.guidance_scale,
        guidance_rescale: 0.0,
    };
    let notices = cut_notices(&text.cut, model.text.tokenizer.length());

    // 2. Noise of the seed, or a picture with noise on it.
    let scale = model.vae.config().scale();
    let channels = model.vae.config().latent_channels;
    let shape = [1, channels, request.height_px as usize / scale, request.width_px as usize / scale];
    let [.., height, width] = shape;
    let mut rng = TorchCpuRng::new(request.seed);
    let steps = request.num_inference_steps;
    let sampler =
        sampling::build(request.sampler, request.schedule, &model.scheduler, &model.scheduler_json, steps as usize)?;
    let in_channels = model.unet.config().in_channels;
    let start = Start::new(&model.vae, in_channels, sampler.as_ref(), steps as usize, None, shape, &mut |noise| {
        rng.randn(noise);
    })?;

    // 3. Step by step towards the picture.
    let mut denoiser = Denoiser { unet: &model.unet, sampler, conditioning, shape };
    let latents = denoiser.run(start, &mut |noise| rng.randn(noise), cancel, &mut |done| {
        // Some samplers evaluate the network more than once a step.
        let step = (done.call as u64 * u64::from(steps)).div_ceil(done.calls as u64) as u32;
        let preview = model.preview.picture(done.denoised, height, width);
        progress(Progress::Step { step, steps, preview });
    })?;

    // 4. Latents to px.
    if cancel.is_cancelled() {
        return Err(UserError::cancelled());
    }
    progress(Progress::Decoding);
    let decode = || {
        let latents = Tensor::from_vec(latents, &shape, &Device::Cpu)?;
        let decoded = model.vae.decode(&(latents / model.vae.config().scaling_factor)?)?;
        picture_from_tensor(&decoded, 0)
    };
    Ok(Generated { picture: decode().map_err(engine_error)?, notices })
}

/// Tells of prompts that were too long for the text encoder.
fn cut_notices(cut: &[usize], length: usize) -> Vec<String> {
    // Without guidance there is only the prompt.
    let names = if cut.len() == 2 { &["negative prompt", "prompt"][..] } else { &["prompt"] };
    names
        .iter()
        .zip(cut)
        .filter(|(_, cut)| **cut > 0)
        .map(|(name, cut)| format!("The {name} is {cut} tokens too long; only the first {} were read", length - 2))
        .collect()
}
