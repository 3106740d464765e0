//! The loop from noise to latents: network, guidance, sampler, step by step.

use std::ops::Range;

use candle_core::{Device, Tensor};

use super::finite;
use super::start::Start;
use crate::domain::{Cancel, Result, UserError};
use crate::models::Part;
use crate::models::embeddings::Condition;
use crate::models::unet::UNet;
use crate::nn::engine_error;
use crate::sampling::{Sampler, guidance};

/// What the network is told at each step.
pub struct Scheduled {
    /// Each thing that it is told, of one shape.
    pub conditions: Vec<Condition>,
    /// The last step (from 1) of each stretch, and the index of what it is told then.
    pub schedule: Vec<(u32, usize)>,
}

impl Scheduled {
    /// What it is told at a step, from 1; after the last step the same as then.
    fn at(&self, step: u32) -> &Condition {
        let entry = self.schedule.iter().find(|(until, _)| step <= *until).or(self.schedule.last());
        &self.conditions[entry.map_or(0, |(_, index)| *index)]
    }
}

impl From<Condition> for Scheduled {
    fn from(condition: Condition) -> Self {
        Self { conditions: vec![condition], schedule: Vec::new() }
    }
}

/// What the network is told besides the latents.
pub struct Conditioning {
    /// The prompts, each with how strongly it guides; several are joined as in Liu et al. 2022 ("Compositional Visual
    /// Generation with Composable Diffusion Models"), which takes a negative prompt.
    pub prompts: Vec<(f64, Scheduled)>,
    /// The negative prompts, of the same shapes; `None` where guidance is off.
    pub negative: Option<Scheduled>,
    /// How far to go from the negative prompt's prediction beyond the prompt's.
    pub guidance_scale: f64,
    /// How far to pull the guided prediction's contrast back (Lin et al. 2023): 0 is not at all.
    pub guidance_rescale: f64,
}

/// One evaluation of the network is done.
pub struct StepDone<'a> {
    /// The step that it belongs to, from 1: some samplers take more than one a step.
    pub step: u32,
    /// The latents after it, `[batch, channels, height, width]` as in the shape given.
    pub latents: &'a [f32],
    /// The clean latents that were predicted at it: what the picture is expected to become.
    pub denoised: &'a [f32],
    /// How many evaluations of the whole schedule are behind it.
    pub calls: usize,
    /// How to step, as far as that is.
    pub sampler: &'a dyn Sampler,
}

/// What the network is asked at one evaluation.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    /// The latents as the network takes them.
    pub input: &'a [f32],
    /// What an inpainting network sees besides them.
    pub seen: Option<&'a Tensor>,
    /// What it is told of the noise.
    pub timestep: f64,
    /// The step, from 1.
    pub step: u32,
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
    /// How many steps are told apart by what is told at each; a step may take several evaluations.
    pub steps: u32,
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
        let (shape, calls) = (self.shape, start.first_call..self.sampler.timesteps().len());
        self.run_by(start, calls, noise, cancel, done, &mut |denoiser, at| denoiser.predict(shape, at))
    }

    /// As [`Self::run`], but only some of the evaluations (those before were made already), with a prediction that is
    /// made by `predict`, such as tile by tile.
    ///
    /// # Errors
    /// As there, and those of `predict`.
    pub(super) fn run_by(
        &mut self,
        start: Start,
        range: Range<usize>,
        noise: &mut dyn FnMut(&mut [f32]),
        cancel: &Cancel,
        done: &mut dyn FnMut(StepDone<'_>),
        predict: &mut dyn FnMut(&Self, Moment<'_>) -> Result<Vec<f32>>,
    ) -> Result<Vec<f32>> {
        let Start { mut latents, first_call, seen, blend } = start;
        let calls = self.sampler.timesteps().len();
        let mut input = vec![0.0; latents.len()];
        let mut drawn = vec![0.0; latents.len()];
        for call in range {
            if cancel.is_cancelled() {
                return Err(UserError::cancelled());
            }
            self.sampler.scale_model_input(call, &latents, &mut input);
            let timestep = self.sampler.timesteps()[call];
            let step = step_of(call + 1 - first_call, calls - first_call, self.steps);
            let moment = Moment { input: &input, seen: seen.as_ref(), timestep, step };
            let prediction = predict(self, moment)?;
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
            let sampler = self.sampler.as_ref();
            done(StepDone { step, latents: &latents, denoised: sampler.denoised(), calls: call + 1, sampler });
        }
        Ok(latents)
    }

    /// The guided prediction for latents of `shape` (`[batch, channels, height, width]`) as the network takes them.
    ///
    /// # Errors
    /// When the network fails.
    pub(super) fn predict(&self, shape: [usize; 4], at: Moment<'_>) -> Result<Vec<f32>> {
        let Conditioning { prompts, negative, guidance_scale, guidance_rescale } = &self.conditioning;
        let [batch, channels, height, width] = shape;
        let Moment { input, seen, timestep, step } = at;
        let evaluate = || -> candle_core::Result<(Vec<f32>, usize)> {
            let mut latents = Tensor::from_slice(input, (batch, channels, height, width), &Device::Cpu)?;
            if let Some(seen) = seen {
                latents = Tensor::cat(&[&latents, seen], 1)?;
            }
            // One evaluation of a larger batch reads the weights once: negative first, as in diffusers.
            let told: Vec<&Condition> =
                negative.iter().chain(prompts.iter().map(|(_, prompt)| prompt)).map(|told| told.at(step)).collect();
            let [first, others @ ..] = told.as_slice() else { candle_core::bail!("no prompt") };
            let condition = others.iter().try_fold((*first).clone(), |all, next| all.cat(next))?;
            let predictions: Vec<f32> =
                self.unet.forward(&latents, &vec![timestep; batch], &condition)?.flatten_all()?.to_vec1()?;
            let one = predictions.len() / told.len();
            Ok((predictions, one))
        };
        let (predictions, one) = evaluate().map_err(engine_error)?;
        finite::check(&predictions, Part::UNet, self.unet.place())?;
        if negative.is_none() {
            return Ok(predictions[..one].to_vec());
        }
        let (uncond, conds) = predictions.split_at(one);
        let weighted: Vec<(f64, &[f32])> =
            prompts.iter().map(|(weight, _)| *weight).zip(conds.chunks_exact(one)).collect();
        let cond = guidance::compose(uncond, &weighted);
        Ok(guidance::guide(uncond, &cond, batch, *guidance_scale, *guidance_rescale))
    }
}

/// The step (from 1) that evaluation `call` (from 1) of `calls` belongs to: some samplers take more than one a step.
pub(super) fn step_of(call: usize, calls: usize, steps: u32) -> u32 {
    (call as u64 * u64::from(steps)).div_ceil(calls.max(1) as u64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluations_are_counted_as_steps() {
        let steps = |calls, steps| (1..=calls).map(|call| step_of(call, calls, steps)).collect::<Vec<_>>();
        assert_eq!(steps(4, 4), [1, 2, 3, 4]);
        assert_eq!(steps(3, 2), [1, 2, 2]); // Heun's last step has no second evaluation
        assert_eq!(steps(5, 3), [1, 2, 2, 3, 3]);
    }

    #[test]
    fn what_is_told_follows_the_schedule() {
        let told = |value: f32| Condition::from(Tensor::new(&[value], &Device::Cpu).unwrap());
        let scheduled = Scheduled { conditions: vec![told(1.0), told(2.0)], schedule: vec![(2, 0), (3, 1), (5, 0)] };
        let values: Vec<f32> = (1..=6).map(|step| scheduled.at(step).text.to_vec1::<f32>().unwrap()[0]).collect();
        assert_eq!(values, [1.0, 1.0, 2.0, 1.0, 1.0, 1.0]);
        assert_eq!(Scheduled::from(told(3.0)).at(9).text.to_vec1::<f32>().unwrap(), [3.0]);
    }
}
