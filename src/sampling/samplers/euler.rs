//! Euler's method (Karras, Aittala, Aila and Laine 2022, algorithm 2 without its second-order correction).

use crate::domain::{PredictionType, Result, SamplerId};
use crate::sampling::base::{Core, Level, Scaling, drawn, mix_into};
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::{ANY_SCHEDULE, shared_parts};
use crate::sampling::sigmas::plan_fractional;
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::Euler,
    class: "EulerDiscreteScheduler",
    tooltip: "The simplest method: soft, clean pictures with 20 to 30 steps.",
    schedules: ANY_SCHEDULE,
    draws_noise: false,
    kind: ModelKind::Diffusion,
    reads: &[
        "interpolation_type",
        "use_karras_sigmas",
        "use_exponential_sigmas",
        "use_beta_sigmas",
        "sigma_min",
        "sigma_max",
        "timestep_type",
        "rescale_betas_zero_snr",
        "final_sigmas_type",
        "s_churn",
        "s_tmin",
        "s_tmax",
        "s_noise",
    ],
    defaults: |_| {},
    settle: |_| {},
    build: |options, steps| Ok(Box::new(Euler::new(options, steps)?)),
};

#[derive(Clone)]
struct Euler {
    core: Core,
    churn: f64,
    /// Sigmas at which noise is added.
    churned: std::ops::RangeInclusive<f64>,
    churn_noise: f64,
}

impl Euler {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let training = TrainingSchedule::divisible(&options.model)?;
        let core = Core::at_sigmas(options, plan_fractional(options, &training, steps)?, Scaling::UnitSignal);
        let churn = (options.s_churn / (core.sigmas.len() - 1) as f64).min(std::f64::consts::SQRT_2 - 1.0);
        let churned = options.s_tmin..=options.s_tmax.unwrap_or(f64::INFINITY);
        Ok(Self { core, churn, churned, churn_noise: options.s_noise })
    }
}

impl Sampler for Euler {
    shared_parts!();

    fn draws_noise(&self, i: usize) -> bool {
        self.churn > 0.0 && self.churned.contains(&self.core.sigmas[i])
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>) {
        let (sigma, next) = (self.core.sigmas[i], self.core.sigmas[i + 1]);
        let (mut raised, mut level) = (sigma, self.core.levels[i]);
        if self.draws_noise(i) {
            raised = sigma * (1.0 + self.churn);
            let added = self.churn_noise * (raised * raised - sigma * sigma).sqrt();
            let before = sample.to_vec();
            mix_into(&[(1.0, &before), (added, drawn(noise))], sample);
            // diffusers reads a velocity at the level before the noise was added.
            if self.core.prediction == PredictionType::Epsilon {
                level = Level::from_ratio(raised);
            }
        }
        self.core.predict_clean(level, sample, model_output);
        towards(sample, &self.core.state.denoised, next / raised);
        self.core.state.calls += 1;
    }
}

/// Moves a sample along the line to its clean prediction until a share `left` of the noise is left.
pub(super) fn towards(sample: &mut [f32], clean: &[f32], left: f64) {
    let before = sample.to_vec();
    mix_into(&[(left, &before), (1.0 - left, clean)], sample);
}
