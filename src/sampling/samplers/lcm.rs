//! Latent consistency models (Luo, Tan, Huang, Li and Zhao 2023): each step leaps to the picture and back up.

use crate::domain::{BetaSchedule, Result, SamplerId, ScheduleId, TimestepSpacing, UserError};
use crate::sampling::base::{Core, drawn, mix, mix_into};
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::shared_parts;
use crate::sampling::spacing::linspace;
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::Lcm,
    class: "LCMScheduler",
    tooltip: "For models and LoRAs made for it: a picture in 4 to 8 steps, with guidance 1 to 2.",
    schedules: &[ScheduleId::Automatic],
    draws_noise: true,
    kind: ModelKind::Diffusion,
    reads: &[
        "original_inference_steps",
        "clip_sample",
        "clip_sample_range",
        "thresholding",
        "dynamic_thresholding_ratio",
        "sample_max_value",
        "timestep_scaling",
        "rescale_betas_zero_snr",
    ],
    defaults: |options| {
        options.model.beta_start = 0.000_85;
        options.model.beta_end = 0.012;
        options.model.beta_schedule = BetaSchedule::ScaledLinear;
        options.model.timestep_spacing = TimestepSpacing::Leading;
    },
    settle: |_| {},
    build: |options, steps| Ok(Box::new(Lcm::new(options, steps)?)),
};

/// The deviation of the data that the boundary condition supposes.
const SIGMA_DATA: f64 = 0.5;

#[derive(Clone)]
struct Lcm {
    core: Core,
    timestep_scaling: f64,
}

impl Lcm {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let training = TrainingSchedule::new(&options.model)?;
        let timesteps = distilled_timesteps(ROW.label(), training.len(), options.original_inference_steps, steps)?;
        let core = Core::at_timesteps(options, &training, timesteps)?;
        Ok(Self { core, timestep_scaling: options.timestep_scaling })
    }
}

/// `steps` of a distilled schedule's `original` timesteps, evenly, from its last on.
///
/// # Errors
/// When the schedule does not have so many; `label` names the sampler.
pub(super) fn distilled_timesteps(label: &str, train: usize, original: usize, steps: usize) -> Result<Vec<f64>> {
    if steps == 0 || steps > original || original > train {
        let sentence = format!("{label} takes from 1 to {} steps with this model, not {steps}", original.min(train));
        return Err(UserError::input(sentence));
    }
    let stride = train / original;
    let mut places = linspace(0.0, original as f64, steps + 1);
    places.truncate(steps);
    Ok(places.iter().map(|place| ((original - place.floor() as usize) * stride - 1) as f64).collect())
}

impl Sampler for Lcm {
    shared_parts!();

    fn draws_noise(&self, i: usize) -> bool {
        i + 1 < self.core.timesteps.len()
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>) {
        self.core.predict_clean(self.core.levels[i], sample, model_output);
        // The boundary condition: at timestep 0 the sample is the picture.
        let scaled = self.core.timesteps[i] * self.timestep_scaling;
        let spread = scaled * scaled + SIGMA_DATA * SIGMA_DATA;
        let (skip, out) = (SIGMA_DATA * SIGMA_DATA / spread, scaled / spread.sqrt());
        let denoised = mix([(out, &self.core.state.denoised), (skip, sample)]);
        if self.draws_noise(i) {
            let next = self.core.levels[i + 1];
            mix_into(&[(next.alpha, &denoised), (next.sigma, drawn(noise))], sample);
        } else {
            sample.copy_from_slice(&denoised);
        }
        self.core.state.denoised = denoised;
        self.core.state.calls += 1;
    }
}
