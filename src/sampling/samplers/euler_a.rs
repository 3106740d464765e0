//! Euler's method with ancestral noise: each step goes too far down and comes back up with new noise (`sample_euler_ancestral`
//! of k-diffusion).

use crate::domain::{Result, SamplerId};
use crate::sampling::base::{Core, Scaling, drawn, mix_into};
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::{ANY_SCHEDULE, euler, shared_parts};
use crate::sampling::sigmas::plan_fractional;
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::EulerA,
    class: "EulerAncestralDiscreteScheduler",
    tooltip: "New noise at every step: varied pictures that keep changing with more steps.",
    schedules: ANY_SCHEDULE,
    draws_noise: true,
    kind: ModelKind::Diffusion,
    reads: &["rescale_betas_zero_snr"],
    defaults: |_| {},
    settle: |_| {},
    build: |options, steps| Ok(Box::new(EulerA::new(options, steps)?)),
};

#[derive(Clone)]
struct EulerA {
    core: Core,
}

impl EulerA {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let training = TrainingSchedule::divisible(&options.model)?;
        let plan = plan_fractional(options, &training, steps)?;
        Ok(Self { core: Core::at_sigmas(options, plan, Scaling::UnitSignal) })
    }
}

impl Sampler for EulerA {
    shared_parts!();

    fn draws_noise(&self, _i: usize) -> bool {
        true
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>) {
        let (sigma, next) = (self.core.sigmas[i], self.core.sigmas[i + 1]);
        let (down, up) = ancestral(sigma, next);
        self.core.predict_clean(self.core.levels[i], sample, model_output);
        euler::towards(sample, &self.core.state.denoised, down / sigma);
        let before = sample.to_vec();
        mix_into(&[(1.0, &before), (up, drawn(noise))], sample);
        self.core.state.calls += 1;
    }
}

/// An ancestral step from a sigma to `next`: how far to go down without noise, and how much noise brings it back up
/// (`get_ancestral_step` of k-diffusion).
pub(super) fn ancestral(sigma: f64, next: f64) -> (f64, f64) {
    let share = next / sigma;
    (next * share, next * (1.0 - share * share).sqrt())
}
