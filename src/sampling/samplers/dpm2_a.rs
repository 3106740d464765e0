//! DPM2 with ancestral noise: each step goes too far down, with DPM2's slope, and comes back up with new noise
//! (`sample_dpm_2_ancestral` of k-diffusion).

use super::euler_a::ancestral;
use super::midpoint::{core_of, first_half, is_midpoint, second_half};
use crate::domain::{Result, SamplerId};
use crate::sampling::base::{Core, drawn, mix_into};
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::{ANY_SCHEDULE, dpm2, shared_parts};
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::Dpm2A,
    class: "KDPM2AncestralDiscreteScheduler",
    tooltip: "DPM2 with new noise at every step: varied pictures that keep changing with more steps.",
    schedules: ANY_SCHEDULE,
    draws_noise: true,
    kind: ModelKind::Diffusion,
    reads: &["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"],
    defaults: |options| {
        options.model.beta_start = 0.000_85;
        options.model.beta_end = 0.012;
    },
    settle: |_| {},
    build: |options, steps| Ok(Box::new(Dpm2A::new(options, steps)?)),
};

#[derive(Clone)]
struct Dpm2A {
    core: Core,
}

impl Dpm2A {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let training = TrainingSchedule::divisible(&options.model)?;
        let plan = dpm2::plan(options, &training, steps)?;
        // Halfway, in the logarithm, to where the step goes before noise brings it up again, which is `next^2 / sigma`: that
        // is the next sigma itself.
        Ok(Self { core: core_of(options, &training, &plan, |_, next| next) })
    }
}

impl Sampler for Dpm2A {
    shared_parts!();

    fn draws_noise(&self, i: usize) -> bool {
        is_midpoint(i)
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>) {
        if is_midpoint(i) {
            let (down, up) = ancestral(self.core.sigmas[i - 1], self.core.sigmas[i]);
            second_half(&mut self.core, i, model_output, sample, down);
            let before = sample.to_vec();
            mix_into(&[(1.0, &before), (up, drawn(noise))], sample);
        } else {
            first_half(&mut self.core, i, model_output, sample);
        }
        self.core.state.calls += 1;
    }
}
