//! The loop from noise to latents: network, guidance, sampler, step by step.

use candle_core::{Device, Tensor};

use super::start::Start;
use crate::domain::{Cancel, Result, UserError};
use crate::models::embeddings::Condition;
use crate::models::unet::UNet;
use crate::nn::engine_error;
use crate::sampling::{Sampler, guidance};

/// What the network is told besides the latents.
pub struct Conditioning {
    /// The prompts.
    pub prompt: Condition,
    /// The negative prompts, of the same shapes; `None` where guidance is off.
    pub negative: Option<Condition>,
    /// How far to go from the negative prompt's prediction beyond the prompt's.
    pub guidance_scale: f64,
    /// How far to pull the guided prediction's contrast back (Lin et al. 2023): 0 is not at all.
    pub guidance_rescale: f64,
}

/// One evaluation of the network is done.
pub struct StepDone<'a> {
    /// Evaluations done, from 1.
    pub call: usize,
    /// All evaluations.
    pub calls: usize,
    /// The latents after it, `[batch, channels, height, width]` as in the shape given.
    pub latents: &'a [f32],
    /// The clean latents that were predicted at it: what the picture is expected to become.
    pub denoised: &'a [f32],
}

/// The loop from noise to latents.
pub struct Denoiser<'a> {
    /// The network.
    pub unet: &'a UNet,
    /// How to step, and through which noise levels.
    pub sampler: Box<dyn Sampler>,
    /// What the network is told.
    pub conditioning: Conditioning,
    /// `[batch, channels, height, width]` of the latents.
    pub shape: [usize; 4],
}

impl Denoiser<'_> {
    /// Runs all steps from `start` on.
    ///
    /// `noise` fills a slice of the latents' length where the sampler draws some; `done` is called after every step.
    ///
    /// # Errors
    /// When the network fails, its values are not finite any more, or `cancel` was set (checked before every step).
    pub fn run(
        &mut self,
        start: Start,
        noise: &mut dyn FnMut(&mut [f32]),
        cancel: &Cancel,
        done: &mut dyn FnMut(StepDone<'_>),
    ) -> Result<Vec<f32>> {
        let Start { mut latents, first_call, seen, blend } = start;
        let calls = self.sampler.timesteps().len();
        let mut input = vec![0.0; latents.len()];
        let mut drawn = vec![0.0; latents.len()];
        for call in first_call..calls {
            if cancel.is_cancelled() {
                return Err(UserError::cancelled());
            }
            self.sampler.scale_model_input(call, &latents, &mut input);
            let timestep = self.sampler.timesteps()[call];
            let prediction = self.predict(&input, seen.as_ref(), timestep)?;
            let noise = self.sampler.draws_noise(call).then(|| {
                noise(&mut drawn);
                drawn.as_slice()
            });
            self.sampler.step(call, &prediction, &mut latents, noise);
            if let Some(blend) = &blend {
                blend.apply(self.sampler.as_ref(), call, &mut latents);
            }
            if !latents.iter().sum::<f32>().is_finite() && latents.iter().any(|value| !value.is_finite()) {
                let sentence =
                    format!("The picture fell apart at step {} of {calls}: its values are not finite", call + 1);
                return Err(UserError::failed(sentence).hint("try less guidance, another sampler, or more steps"));
            }
            let denoised = self.sampler.denoised();
            let (call, calls) = (call + 1 - first_call, calls - first_call);
            done(StepDone { call, calls, latents: &latents, denoised });
        }
        Ok(latents)
    }

    /// The guided prediction for latents as the network takes them.
    fn predict(&self, input: &[f32], seen: Option<&Tensor>, timestep: f64) -> Result<Vec<f32>> {
        let Conditioning { prompt, negative, guidance_scale, guidance_rescale } = &self.conditioning;
        let [batch, channels, height, width] = self.shape;
        let run = || -> candle_core::Result<Vec<f32>> {
            let mut latents = Tensor::from_slice(input, (batch, channels, height, width), &Device::Cpu)?;
            if let Some(seen) = seen {
                latents = Tensor::cat(&[&latents, seen], 1)?;
            }
            let Some(negative) = negative else {
                let prediction = self.unet.forward(&latents, &vec![timestep; batch], prompt)?;
                return prediction.flatten_all()?.to_vec1();
            };
            // One evaluation of twice the batch reads the weights once: negative first, as in diffusers.
            let twice = Tensor::cat(&[&latents, &latents], 0)?;
            let both: Vec<f32> = self
                .unet
                .forward(&twice, &vec![timestep; 2 * batch], &negative.cat(prompt)?)?
                .flatten_all()?
                .to_vec1()?;
            let (uncond, cond) = both.split_at(both.len() / 2);
            Ok(guidance::guide(uncond, cond, batch, *guidance_scale, *guidance_rescale))
        };
        run().map_err(engine_error)
    }
}
