//! LMS: the linear multistep method of Adams and Bashforth on sigmas (`sample_lms` of k-diffusion).

use crate::domain::{Result, SamplerId};
use crate::sampling::base::{Core, Scaling, mix, mix_into};
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::{ANY_SCHEDULE, shared_parts};
use crate::sampling::sigmas::plan_fractional;
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::Lms,
    class: "LMSDiscreteScheduler",
    tooltip: "Looks back at up to four steps: precise from about 30 steps on, rough below.",
    schedules: ANY_SCHEDULE,
    draws_noise: false,
    kind: ModelKind::Diffusion,
    reads: &["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"],
    defaults: |_| {},
    settle: |_| {},
    build: |options, steps| Ok(Box::new(Lms::new(options, steps)?)),
};

/// How many slopes a step looks at.
const ORDER: usize = 4;

#[derive(Clone)]
struct Lms {
    core: Core,
}

impl Lms {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let training = TrainingSchedule::divisible(&options.model)?;
        let plan = plan_fractional(options, &training, steps)?;
        Ok(Self { core: Core::at_sigmas(options, plan, Scaling::UnitSignal) })
    }
}

/// The integral from `from` to `to` of the polynomial that is 1 at node `own` and 0 at the others; up to four nodes.
fn integral(nodes: &[f64], own: usize, from: f64, to: f64) -> f64 {
    let polynomial = |x: f64| -> f64 {
        let others = nodes.iter().enumerate().filter(|(i, _)| *i != own);
        others.map(|(_, node)| (x - node) / (nodes[own] - node)).product()
    };
    // Gauss's rule of two points is exact up to the third degree.
    let (middle, reach) = (f64::midpoint(from, to), (to - from) / 2.0 / 3.0_f64.sqrt());
    (to - from) / 2.0 * (polynomial(middle - reach) + polynomial(middle + reach))
}

impl Sampler for Lms {
    shared_parts!();

    fn draws_noise(&self, _i: usize) -> bool {
        false
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], _noise: Option<&[f32]>) {
        self.core.predict_clean(self.core.levels[i], sample, model_output);
        let sigma = self.core.sigmas[i];
        let slope = mix([(1.0 / sigma, sample), (-1.0 / sigma, &self.core.state.denoised)]);
        self.core.state.push_output(slope, ORDER);
        let state = &self.core.state;
        let count = state.outputs.len();
        let (nodes, next) = (&self.core.sigmas[i + 1 - count..=i], self.core.sigmas[i + 1]);
        let before = sample.to_vec();
        let slopes = (0..count).map(|node| (integral(nodes, node, sigma, next), state.outputs[node].as_slice()));
        let terms: Vec<(f64, &[f32])> = std::iter::once((1.0, before.as_slice())).chain(slopes).collect();
        mix_into(&terms, sample);
        self.core.state.calls += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_nodes_give_the_weights_of_adams_and_bashforth() {
        let weights = |nodes: &[f64]| (0..nodes.len()).map(|own| integral(nodes, own, 0.0, 1.0)).collect::<Vec<f64>>();
        // Hairer, Nørsett and Wanner, "Solving ordinary differential equations I", III.1, table 1.1 (oldest first).
        for (nodes, known) in [
            (&[0.0][..], &[1.0][..]),
            (&[-1.0, 0.0], &[-1.0 / 2.0, 3.0 / 2.0]),
            (&[-3.0, -2.0, -1.0, 0.0], &[-9.0 / 24.0, 37.0 / 24.0, -59.0 / 24.0, 55.0 / 24.0]),
        ] {
            let close = |(a, b): (f64, &f64)| (a - b).abs() < 1e-14;
            assert!(weights(nodes).into_iter().zip(known).all(close), "{nodes:?}");
        }
    }
}
