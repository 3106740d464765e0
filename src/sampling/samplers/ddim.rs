//! DDIM (Song, Meng and Ermon 2020).

use crate::domain::{Result, SamplerId, TimestepSpacing};
use crate::sampling::base::{Core, Level, drawn, mix_into};
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::{STRIDED_SCHEDULES, shared_parts};
use crate::sampling::spacing::{Grid, timesteps};
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::Ddim,
    class: "DDIMScheduler",
    tooltip: "A straight way from noise to picture; steady, and good with 30 to 50 steps.",
    schedules: STRIDED_SCHEDULES,
    draws_noise: false,
    kind: ModelKind::Diffusion,
    reads: &[
        "clip_sample",
        "clip_sample_range",
        "set_alpha_to_one",
        "thresholding",
        "dynamic_thresholding_ratio",
        "sample_max_value",
        "rescale_betas_zero_snr",
        "eta",
    ],
    defaults: |options| {
        options.model.timestep_spacing = TimestepSpacing::Leading;
        options.model.set_alpha_to_one = true;
        options.clip_sample = true;
    },
    settle: |_| {},
    build: |options, steps| Ok(Box::new(Ddim::new(options, steps)?)),
};

#[derive(Clone)]
struct Ddim {
    core: Core,
    training: TrainingSchedule,
    /// Training steps from one step to the next.
    stride: f64,
    /// The cumulative alpha before the first training step.
    final_alpha: f64,
    eta: f64,
}

impl Ddim {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let training = TrainingSchedule::new(&options.model)?;
        let timesteps = timesteps(&options.model, steps, Grid::Whole, training.len())?;
        let core = Core::at_timesteps(options, &training, timesteps)?;
        let final_alpha = if options.model.set_alpha_to_one { 1.0 } else { training.alpha_cumprod(0) };
        let stride = (training.len() / steps) as f64;
        Ok(Self { core, training, stride, final_alpha, eta: options.eta })
    }
}

impl Sampler for Ddim {
    shared_parts!();

    fn draws_noise(&self, _i: usize) -> bool {
        self.eta > 0.0
    }

    /// Equation 12 of the paper. As in diffusers, a step goes `T / n` training steps down, not to the next timestep:
    /// the two differ for `linspace`, and where `n` does not divide `T`.
    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>) {
        let timestep = self.core.timesteps[i];
        let now = self.training.alpha_cumprod(timestep as usize);
        let previous = timestep - self.stride;
        let next = if previous >= 0.0 { self.training.alpha_cumprod(previous as usize) } else { self.final_alpha };
        let level = self.core.levels[i];
        self.core.predict_clean(level, sample, model_output);

        let variance = (1.0 - next) / (1.0 - now) * (1.0 - now / next);
        let deviation = self.eta * variance.max(0.0).sqrt();
        let direction = (1.0 - next - deviation * deviation).max(0.0).sqrt();
        let (of_sample, of_output) = self.core.noise_factors(level);
        let before = sample.to_vec();
        let terms = [
            (Level::from_alpha_cumprod(next).alpha, self.core.state.denoised.as_slice()),
            (direction * of_sample, &before),
            (direction * of_output, model_output),
        ];
        if self.draws_noise(i) {
            mix_into(&[terms[0], terms[1], terms[2], (deviation, drawn(noise))], sample);
        } else {
            mix_into(&terms, sample);
        }
        self.core.state.calls += 1;
    }
}
