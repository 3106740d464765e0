//! Pictures that are made while a training runs, with the model as it is then.

use candle_core::{Device, Tensor};

use super::learner::Learner;
use crate::domain::training::TrainingConfig;
use crate::domain::{Picture, Result};
use crate::models::image::picture_from_tensor;
use crate::models::text::{Sizes, Texts, encode_prompts, nothing_said};
use crate::nn::{engine_error, without_gradients};
use crate::sampling::{self, guidance, unit_normal};

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn<'a> {
    /// What it shows.
    pub prompt: &'a str,
    /// What its noise is drawn from: the same one is the same noise every time.
    pub seed: u64,
}

/// A picture of the training's size, with the steps and the guidance of its samples.
///
/// # Errors
/// When a network fails.
pub fn sample(learner: &Learner, config: &TrainingConfig, what: Drawn<'_>) -> Result<Picture> {
    without_gradients(|| draw(learner, config, what))
}

fn draw(learner: &Learner, config: &TrainingConfig, what: Drawn<'_>) -> Result<Picture> {
    let Drawn { prompt, seed } = what;
    let model = &learner.model;
    let capabilities = &model.family.capabilities;
    let vae = model.vae.config();
    let (side, channels) = (config.pictures.resolution as usize / vae.scale(), vae.latent_channels);
    let shape = [1, channels, side, side];
    let mut sampler = sampling::build(
        capabilities.default_sampler,
        capabilities.default_schedule,
        &model.scheduler,
        &model.scheduler_json,
        config.samples.steps as usize,
    )?;
    let first_sigma = sampler.init_noise_sigma() as f32;
    let mut latents = unit_normal(seed, shape);
    for value in &mut latents {
        *value *= first_sigma;
    }
    let sizes = Sizes::whole(config.pictures.resolution, config.pictures.resolution);
    let text = |prompt: &str| {
        Ok::<_, crate::domain::UserError>(encode_prompts(model, &[Texts::from(prompt)], sizes)?.condition)
    };
    let mut nothing = text("")?;
    if model.force_zeros_for_empty_prompt {
        nothing = nothing_said(&nothing)?;
    }
    // The empty prompt first, then the prompt, in one batch.
    let condition = nothing.cat(&text(prompt)?).map_err(engine_error)?;
    let mut input = vec![0.0; latents.len()];
    for call in 0..sampler.timesteps().len() {
        sampler.scale_model_input(call, &latents, &mut input);
        let both: Vec<f32> = Tensor::from_slice(&input, &shape, &Device::Cpu)
            .and_then(|input| {
                model.unet.forward(&input, &[sampler.timesteps()[call]], &condition)?.flatten_all()?.to_vec1()
            })
            .map_err(engine_error)?;
        let (uncond, cond) = both.split_at(both.len() / 2);
        let guided = guidance::guide(uncond, cond, 1, config.samples.guidance, 0.0);
        sampler.step(call, &guided, &mut latents, None);
    }
    let picture = || -> candle_core::Result<Picture> {
        let latents = (Tensor::from_vec(latents, &shape, &Device::Cpu)? / vae.scaling_factor)?;
        picture_from_tensor(&model.vae.decode(&latents)?, 0)
    };
    picture().map_err(engine_error)
}
