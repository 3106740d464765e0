//! DDPM: ancestral sampling of the training process (Ho, Jain and Abbeel 2020).

use crate::domain::{Result, SamplerId, TimestepSpacing};
use crate::sampling::base::{Core, drawn, mix_into};
use crate::sampling::options::{SamplerOptions, Variance};
use crate::sampling::samplers::{TIMESTEP_SCHEDULES, shared_parts};
use crate::sampling::spacing::{Grid, timesteps};
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::Ddpm,
    class: "DDPMScheduler",
    tooltip: "The original sampler: new noise at every step; needs many steps, 100 or more.",
    schedules: TIMESTEP_SCHEDULES,
    draws_noise: true,
    kind: ModelKind::Diffusion,
    reads: &[
        "variance_type",
        "clip_sample",
        "clip_sample_range",
        "thresholding",
        "dynamic_thresholding_ratio",
        "sample_max_value",
        "rescale_betas_zero_snr",
    ],
    defaults: |options| {
        options.model.timestep_spacing = TimestepSpacing::Leading;
        options.clip_sample = true;
    },
    settle: |_| {},
    build: |options, steps| Ok(Box::new(Ddpm::new(options, steps)?)),
};

#[derive(Clone)]
struct Ddpm {
    core: Core,
    training: TrainingSchedule,
    variance: Variance,
}

impl Ddpm {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let training = TrainingSchedule::new(&options.model)?;
        let timesteps = timesteps(&options.model, steps, Grid::Whole, training.len())?;
        let core = Core::at_timesteps(options, &training, timesteps)?;
        Ok(Self { core, training, variance: options.variance_type })
    }
}

impl Sampler for Ddpm {
    shared_parts!();

    fn draws_noise(&self, i: usize) -> bool {
        self.core.timesteps[i] > 0.0
    }

    /// Equations 6 and 7 of the paper, with the step to the next chosen timestep in the place of one training step.
    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>) {
        let alpha_bar = |i: usize| self.core.timesteps.get(i).map_or(1.0, |t| self.training.alpha_cumprod(*t as usize));
        let (now, next) = (alpha_bar(i), alpha_bar(i + 1));
        let alpha = now / next;
        let beta = 1.0 - alpha;
        self.core.predict_clean(self.core.levels[i], sample, model_output);
        let of_clean = next.sqrt() * beta / (1.0 - now);
        let of_sample = alpha.sqrt() * (1.0 - next) / (1.0 - now);
        let before = sample.to_vec();
        let clean = (of_clean, self.core.state.denoised.as_slice());
        if self.draws_noise(i) {
            let variance = match self.variance {
                Variance::FixedSmall | Variance::FixedSmallLog => ((1.0 - next) / (1.0 - now) * beta).max(1e-20),
                Variance::FixedLarge => beta,
            };
            mix_into(&[clean, (of_sample, &before), (variance.sqrt(), drawn(noise))], sample);
        } else {
            mix_into(&[clean, (of_sample, &before)], sample);
        }
        self.core.state.calls += 1;
    }
}
