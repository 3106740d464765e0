//! Heun's method (Karras, Aittala, Aila and Laine 2022, algorithm 2): two evaluations a step, but one for the last.

use crate::domain::{Result, SamplerId};
use crate::sampling::base::{Core, Scaling, mix, mix_into};
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::{ANY_SCHEDULE, shared_parts};
use crate::sampling::sigmas::{SigmaPlan, plan_fractional};
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::Heun,
    class: "HeunDiscreteScheduler",
    tooltip: "Euler with each step corrected: better pictures for the same steps, in twice the time.",
    schedules: ANY_SCHEDULE,
    draws_noise: false,
    kind: ModelKind::Diffusion,
    reads: &["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "clip_sample", "clip_sample_range"],
    defaults: |options| {
        options.model.beta_start = 0.000_85;
        options.model.beta_end = 0.012;
    },
    settle: |_| {},
    build: |options, steps| Ok(Box::new(Heun::new(options, steps)?)),
};

#[derive(Clone)]
struct Heun {
    core: Core,
}

impl Heun {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let training = TrainingSchedule::divisible(&options.model)?;
        let SigmaPlan { timesteps, sigmas } = plan_fractional(options, &training, steps)?;
        // All but the first level are seen twice: as the end of one step and as the start of the next.
        let twice = |values: &[f64]| values.iter().flat_map(|value| [*value; 2]).skip(1).collect::<Vec<f64>>();
        let mut sigmas_twice = twice(&sigmas[..steps]);
        sigmas_twice.push(sigmas[steps]);
        let plan = SigmaPlan { timesteps: twice(&timesteps), sigmas: sigmas_twice };
        let mut core = Core::at_sigmas(options, plan, Scaling::UnitSignal);
        core.order = 2;
        Ok(Self { core })
    }
}

impl Sampler for Heun {
    shared_parts!();

    fn draws_noise(&self, _i: usize) -> bool {
        false
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], _noise: Option<&[f32]>) {
        self.core.predict_clean(self.core.levels[i], sample, model_output);
        let sigma = self.core.sigmas[i];
        let here = mix([(1.0 / sigma, sample), (-1.0 / sigma, &self.core.state.denoised)]);
        if let (Some(start), Some(first)) = (self.core.state.sample.take(), self.core.state.outputs.pop()) {
            // The end of the step: go again, along the mean of both slopes.
            let half = (sigma - self.core.sigmas[i - 1]) / 2.0;
            mix_into(&[(1.0, &start), (half, &first), (half, &here)], sample);
        } else {
            let start = sample.to_vec();
            mix_into(&[(1.0, &start), (self.core.sigmas[i + 1] - sigma, &here)], sample);
            self.core.state.sample = Some(start);
            self.core.state.push_output(here, 1);
        }
        self.core.state.calls += 1;
    }
}
