//! DPM++ SDE: DPM-Solver++ for the stochastic equation, with a second evaluation halfway (`sample_dpmpp_sde` of
//! k-diffusion).

use super::euler::towards;
use super::euler_a::ancestral;
use super::midpoint::{core_of, geometric_mean, is_midpoint};
use crate::domain::{Result, SamplerId};
use crate::sampling::base::{Core, drawn, mix, mix_into};
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::{ANY_SCHEDULE, shared_parts};
use crate::sampling::sigmas::plan_fractional;
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::DpmPpSde,
    class: "DPMSolverSDEScheduler",
    tooltip: "New noise twice a step: rich detail with 10 to 15 steps, in twice the time of most samplers.",
    schedules: ANY_SCHEDULE,
    draws_noise: true,
    kind: ModelKind::Diffusion,
    reads: &["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "s_noise", "brownian_path"],
    defaults: |options| {
        options.model.beta_start = 0.000_85;
        options.model.beta_end = 0.012;
    },
    settle: |_| {},
    build: |options, steps| Ok(Box::new(DpmPpSde::new(options, steps)?)),
};

#[derive(Clone)]
struct DpmPpSde {
    core: Core,
    noise_scale: f64,
    brownian_path: bool,
}

impl DpmPpSde {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let training = TrainingSchedule::divisible(&options.model)?;
        let plan = plan_fractional(options, &training, steps)?;
        let core = core_of(options, &training, &plan, geometric_mean);
        Ok(Self { core, noise_scale: options.s_noise, brownian_path: options.brownian_path })
    }

    /// The unit-normal noise of a whole step from that of its first half, which is kept, and that of its second.
    ///
    /// Both halves lie on one Brownian path in sigma: their increments add up to the step's.
    fn noise_of_step(&mut self, ends: (f64, f64), middle: f64, second: &[f32]) -> Vec<f32> {
        match self.core.state.sum.take() {
            Some(first) if self.brownian_path => {
                let share = |from: f64, to: f64| ((from - to) / (ends.0 - ends.1)).max(0.0).sqrt();
                mix([(share(ends.0, middle), &first), (share(middle, ends.1), second)])
            }
            _ => second.to_vec(),
        }
    }
}

impl Sampler for DpmPpSde {
    shared_parts!();

    fn draws_noise(&self, i: usize) -> bool {
        i + 1 < self.core.timesteps.len()
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>) {
        let level = self.core.levels[i];
        self.core.predict_clean(level, sample, model_output);
        self.core.state.calls += 1;
        if !self.draws_noise(i) {
            // The last step goes straight to the picture.
            sample.copy_from_slice(&self.core.state.denoised);
            return;
        }
        let noise = drawn(noise);
        let (from, to, noise) = if is_midpoint(i) {
            if let Some(start) = self.core.state.sample.take() {
                sample.copy_from_slice(&start);
            }
            let ends = (self.core.sigmas[i - 1], self.core.sigmas[i]);
            (ends.0, ends.1, self.noise_of_step(ends, level.ratio(), noise))
        } else {
            self.core.state.sample = Some(sample.to_vec());
            self.core.state.sum = Some(noise.to_vec());
            (self.core.sigmas[i], self.core.levels[i + 1].ratio(), noise.to_vec())
        };
        let (down, up) = ancestral(from, to);
        towards(sample, &self.core.state.denoised, down / from);
        let before = sample.to_vec();
        mix_into(&[(1.0, &before), (up * self.noise_scale, &noise)], sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_of_a_step_lies_on_the_path_of_its_first_half() {
        let options = ROW.class_defaults();
        let mut sampler = DpmPpSde::new(&options, 4).unwrap();
        // From sigma 9 by way of 5 to 0: increments sqrt(4) a and sqrt(5) b, in units of the step's sqrt(9).
        sampler.core.state.sum = Some(vec![3.0, 0.0]);
        let noise = sampler.noise_of_step((9.0, 0.0), 5.0, &[0.0, 3.0]);
        assert_eq!(noise, [2.0, 5.0_f32.sqrt()]);
        // Nothing is kept from one step to the next, nor where the two are independent.
        assert_eq!(sampler.noise_of_step((9.0, 0.0), 5.0, &[1.0, 3.0]), [1.0, 3.0]);
        let mut independent = DpmPpSde::new(&SamplerOptions { brownian_path: false, ..options }, 4).unwrap();
        independent.core.state.sum = Some(vec![3.0, 0.0]);
        assert_eq!(independent.noise_of_step((9.0, 0.0), 5.0, &[1.0, 3.0]), [1.0, 3.0]);
    }
}
