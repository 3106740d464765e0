//! Where the loop begins: at pure noise, at a noised picture (image to image), or at a picture of which only a part is
//! painted anew (inpainting).
//!
//! As diffusers' `StableDiffusionImg2ImgPipeline` and `StableDiffusionInpaintPipeline` (`pipelines/stable_diffusion/`),
//! noise drawn in the same order.

use candle_core::{Device, Result as TensorResult, Tensor};

use super::finite;
use crate::domain::{Result, UserError};
use crate::models::Part;
use crate::models::vae::AutoencoderKl;
use crate::nn::engine_error;
use crate::sampling::Sampler;

/// A picture to begin with.
pub struct Source {
    /// `[batch, 3, height, width]` in −1..1.
    pub picture: Tensor,
    /// `[batch, 1, height, width]`, 1 where it is to be painted anew and 0 where it stays.
    pub mask: Option<Tensor>,
    /// How much of what is new shows in the end, from 0 to 1: as the mask, but for its soft edges.
    pub shares: Option<Tensor>,
    /// How far the picture is taken back to noise, in 0..=1.
    pub strength: f64,
}

/// Where the loop begins, and what goes along.
pub struct Start {
    /// `[batch, channels, height, width]`.
    pub latents: Vec<f32>,
    /// The first evaluation.
    pub first_call: usize,
    /// What an inpainting network sees besides the latents: the mask, then the latents of what stays, `[batch, 5, height,
    /// width]`.
    pub seen: Option<Tensor>,
    /// How other networks keep what stays.
    pub blend: Option<Blend>,
}

/// Puts what stays of a picture back after every step.
pub struct Blend {
    clean: Vec<f32>,
    noise: Vec<f32>,
    /// As the latents, 1 where these are new.
    mask: Vec<f32>,
}

impl Blend {
    /// Puts it into `latents`, which `sampler` has just stepped by evaluation `call`.
    pub fn apply(&self, sampler: &dyn Sampler, call: usize, latents: &mut [f32]) {
        let mut kept = self.clean.clone();
        if call + 1 < sampler.timesteps().len() {
            sampler.add_noise(call + 1, &self.clean, &self.noise, &mut kept);
        }
        for ((latent, kept), mask) in latents.iter_mut().zip(&kept).zip(&self.mask) {
            *latent = (1.0 - mask) * kept + mask * *latent;
        }
    }
}

impl Start {
    /// The beginning of `steps` steps of latents of `shape`, for a network that reads `in_channels` channels. `noise` draws unit-normal
    /// numbers.
    ///
    /// # Errors
    /// When the strength leaves no step, a picture is missing that the network needs, or the autoencoder fails.
    pub fn new(
        vae: &AutoencoderKl,
        in_channels: usize,
        sampler: &dyn Sampler,
        steps: usize,
        source: Option<&Source>,
        shape: [usize; 4],
        noise: &mut dyn FnMut(&mut [f32]),
    ) -> Result<Self> {
        let is_inpainting = in_channels != shape[1];
        let mut draw = || {
            let mut values = vec![0.0; shape.iter().product()];
            noise(&mut values);
            values
        };
        let Some(source) = source else {
            if is_inpainting {
                return Err(UserError::input(
                    "This model paints parts of a picture anew: it needs a picture and a mask",
                ));
            }
            let latents = scaled(draw(), sampler.init_noise_sigma());
            return Ok(Self { latents, first_call: 0, seen: None, blend: None });
        };
        let first_call = first_call(sampler, steps, source.strength)?;
        let encode = |picture: &Tensor, noise: Vec<f32>| -> Result<Vec<f32>> {
            let run = || -> TensorResult<Vec<f32>> {
                let noise = Tensor::from_vec(noise, &shape, &Device::Cpu)?;
                (vae.encode(picture)?.sample(&noise)? * vae.config().scaling_factor)?.flatten_all()?.to_vec1()
            };
            let latents = run().map_err(engine_error)?;
            finite::check(&latents, Part::Vae, vae.place())?;
            Ok(latents)
        };
        let Some(mask) = &source.mask else {
            if is_inpainting {
                return Err(UserError::input("This model paints parts of a picture anew: it needs a mask"));
            }
            let clean = encode(&source.picture, draw())?;
            let mut latents = vec![0.0; clean.len()];
            sampler.add_noise(first_call, &clean, &draw(), &mut latents);
            return Ok(Self { latents, first_call, seen: None, blend: None });
        };

        // At full strength nothing of the picture is left to begin with: only blending needs its latents then.
        let from_noise = source.strength >= 1.0;
        let clean = if is_inpainting && from_noise { None } else { Some(encode(&source.picture, draw())?) };
        let start = draw();
        let latents = match &clean {
            Some(clean) if !from_noise => {
                let mut latents = vec![0.0; start.len()];
                sampler.add_noise(first_call, clean, &start, &mut latents);
                latents
            }
            _ => scaled(start.clone(), sampler.init_noise_sigma()),
        };
        // Drawn for every network, so that a seed means the same as in diffusers.
        let noise_of_rest = draw();
        let small_mask = shrink(mask, shape).map_err(engine_error)?;
        if !is_inpainting {
            let mask = small_mask
                .broadcast_as(&shape)
                .and_then(|mask| mask.contiguous()?.flatten_all()?.to_vec1())
                .map_err(engine_error)?;
            let blend = Blend { clean: clean.unwrap_or_default(), noise: start, mask };
            return Ok(Self { latents, first_call, seen: None, blend: Some(blend) });
        }
        let rest = (|| source.picture.broadcast_mul(&mask.affine(-1.0, 1.0)?))().map_err(engine_error)?;
        let rest = encode(&rest, noise_of_rest)?;
        let seen = (|| Tensor::cat(&[&small_mask, &Tensor::from_vec(rest, &shape, &Device::Cpu)?], 1))();
        Ok(Self { latents, first_call, seen: Some(seen.map_err(engine_error)?), blend: None })
    }
}

/// The evaluation at which a picture joins: `strength` of the steps are left.
pub(super) fn first_call(sampler: &dyn Sampler, steps: usize, strength: f64) -> Result<usize> {
    match steps_left(steps, strength) {
        0 => Err(UserError::input(format!("A strength of {strength} leaves none of {steps} steps"))
            .hint("take more steps, or more strength")),
        left => Ok((steps - left) * sampler.order()),
    }
}

/// How many of all steps a strength leaves, as diffusers counts them.
pub(super) fn steps_left(steps: usize, strength: f64) -> usize {
    ((steps as f64 * strength) as usize).min(steps)
}

fn scaled(mut noise: Vec<f32>, sigma: f64) -> Vec<f32> {
    for value in &mut noise {
        *value *= sigma as f32;
    }
    noise
}

/// A mask at the size of latents: each takes the px at its upper left, as torch's nearest interpolation.
fn shrink(mask: &Tensor, [_, _, height, width]: [usize; 4]) -> TensorResult<Tensor> {
    let (_, _, rows, columns) = mask.dims4()?;
    let places = |from: usize, to: usize| -> TensorResult<Tensor> {
        let places: Vec<u32> = (0..to).map(|i| (i * from / to) as u32).collect();
        Tensor::from_vec(places, to, &Device::Cpu)
    };
    mask.index_select(&places(rows, height)?, 2)?.index_select(&places(columns, width)?, 3)
}
