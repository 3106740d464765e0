//! DPM2: DPM-Solver-2 (Lu et al. 2022) in the variables of Karras et al. 2022 (`sample_dpm_2` of k-diffusion, without
//! churn): the slope halfway carries the whole step.

use super::midpoint::{core_of, first_half, geometric_mean, is_midpoint, second_half};
use crate::domain::{Result, SamplerId};
use crate::sampling::base::Core;
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::{ANY_SCHEDULE, shared_parts};
use crate::sampling::sigmas::{SigmaPlan, plan_fractional};
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::Dpm2,
    class: "KDPM2DiscreteScheduler",
    tooltip: "Looks halfway ahead at each step: better pictures for the same steps, in twice the time.",
    schedules: ANY_SCHEDULE,
    draws_noise: false,
    kind: ModelKind::Diffusion,
    reads: &["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"],
    defaults: |options| {
        options.model.beta_start = 0.000_85;
        options.model.beta_end = 0.012;
    },
    settle: |_| {},
    build: |options, steps| Ok(Box::new(Dpm2::new(options, steps)?)),
};

/// The plan of the two DPM2: as Euler's, but Karras timesteps are whole.
pub(super) fn plan(options: &SamplerOptions, training: &TrainingSchedule, steps: usize) -> Result<SigmaPlan> {
    let mut plan = plan_fractional(options, training, steps)?;
    if options.use_karras_sigmas {
        for timestep in &mut plan.timesteps {
            *timestep = timestep.round_ties_even();
        }
    }
    Ok(plan)
}

#[derive(Clone)]
struct Dpm2 {
    core: Core,
}

impl Dpm2 {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let training = TrainingSchedule::divisible(&options.model)?;
        let plan = plan(options, &training, steps)?;
        Ok(Self { core: core_of(options, &training, &plan, geometric_mean) })
    }
}

impl Sampler for Dpm2 {
    shared_parts!();

    fn draws_noise(&self, _i: usize) -> bool {
        false
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], _noise: Option<&[f32]>) {
        if is_midpoint(i) {
            let to = self.core.sigmas[i];
            second_half(&mut self.core, i, model_output, sample, to);
        } else {
            first_half(&mut self.core, i, model_output, sample);
        }
        self.core.state.calls += 1;
    }
}
