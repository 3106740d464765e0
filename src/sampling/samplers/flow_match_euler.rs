//! Euler's method for flow-matching models, whose pictures and noise lie on straight lines (Lipman, Chen, Ben-Hamu,
//! Nickel and Le 2022; Esser et al. 2024).

use crate::domain::{Result, SamplerId, ScheduleId};
use crate::sampling::Sampler;
use crate::sampling::base::{Core, Scaling, drawn, mix_into};
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::shared_parts;
use crate::sampling::sigmas::plan_flow;
use crate::sampling::table::{ModelKind, SamplerRow};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::FlowMatchEuler,
    class: "FlowMatchEulerDiscreteScheduler",
    tooltip: "Euler's method for models made by flow matching; no Stable Diffusion up to XL is one.",
    schedules: &[ScheduleId::Automatic, ScheduleId::Karras, ScheduleId::Exponential],
    draws_noise: false,
    kind: ModelKind::FlowMatching,
    reads: &[
        "shift",
        "use_dynamic_shifting",
        "mu",
        "time_shift_type",
        "shift_terminal",
        "invert_sigmas",
        "stochastic_sampling",
        "use_karras_sigmas",
        "use_exponential_sigmas",
        "use_beta_sigmas",
    ],
    defaults: |_| {},
    settle: |_| {},
    build: |options, steps| Ok(Box::new(FlowMatchEuler::new(options, steps)?)),
};

#[derive(Clone)]
struct FlowMatchEuler {
    core: Core,
    /// New noise at every step instead of what the sample has.
    stochastic: bool,
}

impl FlowMatchEuler {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let core = Core::at_sigmas(options, plan_flow(options, steps)?, Scaling::Straight);
        Ok(Self { core, stochastic: options.stochastic_sampling })
    }
}

impl Sampler for FlowMatchEuler {
    shared_parts!();

    fn draws_noise(&self, _i: usize) -> bool {
        self.stochastic
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>) {
        let (sigma, next) = (self.core.sigmas[i], self.core.sigmas[i + 1]);
        self.core.predict_clean(self.core.levels[i], sample, model_output);
        if self.draws_noise(i) {
            mix_into(&[(1.0 - next, &self.core.state.denoised), (next, drawn(noise))], sample);
        } else {
            let before = sample.to_vec();
            mix_into(&[(1.0, &before), (next - sigma, model_output)], sample);
        }
        self.core.state.calls += 1;
    }
}
