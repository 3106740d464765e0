//! Trajectory consistency distillation (Zheng, Hu, Fan, Wang, Zhang, Yang and Zhang 2024): each step leaps below the next
//! noise level and comes back up with new noise.

use super::lcm::distilled_timesteps;
use crate::domain::{BetaSchedule, Result, SamplerId, ScheduleId, TimestepSpacing};
use crate::sampling::base::{Core, Level, drawn, mix_into};
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::shared_parts;
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::Tcd,
    class: "TCDScheduler",
    tooltip: "For models and LoRAs made for it: a picture in 4 to 8 steps, without guidance.",
    schedules: &[ScheduleId::Automatic],
    draws_noise: true,
    kind: ModelKind::Diffusion,
    reads: &["original_inference_steps", "rescale_betas_zero_snr", "eta"],
    defaults: |options| {
        options.model.beta_start = 0.000_85;
        options.model.beta_end = 0.012;
        options.model.beta_schedule = BetaSchedule::ScaledLinear;
        options.model.timestep_spacing = TimestepSpacing::Leading;
        options.eta = 0.3;
    },
    settle: |_| {},
    build: |options, steps| Ok(Box::new(Tcd::new(options, steps)?)),
};

#[derive(Clone)]
struct Tcd {
    core: Core,
    training: TrainingSchedule,
    /// How far below the next timestep a step leaps: 0 not at all, 1 to the picture. The paper's gamma.
    eta: f64,
}

impl Tcd {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let training = TrainingSchedule::new(&options.model)?;
        let timesteps = distilled_timesteps(ROW.label(), training.len(), options.original_inference_steps, steps)?;
        let core = Core::at_timesteps(options, &training, timesteps)?;
        Ok(Self { core, training, eta: options.eta })
    }
}

impl Sampler for Tcd {
    shared_parts!();

    fn draws_noise(&self, i: usize) -> bool {
        self.eta > 0.0 && i + 1 < self.core.timesteps.len()
    }

    /// Algorithm 4 of the paper. As in diffusers, the last step ends at the first training step's noise, not at none.
    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>) {
        let level = self.core.levels[i];
        let next = self.core.timesteps.get(i + 1).copied().unwrap_or(0.0);
        // In f32, as diffusers computes it, for it decides which training step is met.
        let below = (1.0 - self.eta) as f32 * next as f32;
        let (next, leap) = (self.training.alpha_cumprod(next as usize), self.training.alpha_cumprod(below as usize));
        let landing = Level::from_alpha_cumprod(leap);
        self.core.predict_clean(level, sample, model_output);
        let (of_sample, of_output) = self.core.noise_factors(level);
        // Back up by noise alone.
        let rise = if self.draws_noise(i) { next / leap } else { 1.0 };
        let (kept, added) = (rise.sqrt(), (1.0 - rise).max(0.0).sqrt());
        let before = sample.to_vec();
        let leapt = [
            (kept * landing.alpha, self.core.state.denoised.as_slice()),
            (kept * landing.sigma * of_sample, &before),
            (kept * landing.sigma * of_output, model_output),
        ];
        if self.draws_noise(i) {
            mix_into(&[leapt[0], leapt[1], leapt[2], (added, drawn(noise))], sample);
        } else {
            mix_into(&leapt, sample);
        }
        self.core.state.calls += 1;
    }
}
