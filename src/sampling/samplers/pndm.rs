//! PNDM: pseudo numerical methods (Liu, Ren, Lin and Zhao 2022); without its Runge-Kutta steps known as PLMS.

use crate::domain::{PredictionType, Result, SamplerId, TimestepSpacing, UserError};
use crate::sampling::base::{Core, Level, SamplerState, mix};
use crate::sampling::options::SamplerOptions;
use crate::sampling::samplers::{STRIDED_SCHEDULES, shared_parts};
use crate::sampling::spacing::{Grid, timesteps};
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::Pndm,
    class: "PNDMScheduler",
    tooltip: "Looks back at up to four steps; the sampler that Stable Diffusion 1 was published with.",
    schedules: STRIDED_SCHEDULES,
    draws_noise: false,
    kind: ModelKind::Diffusion,
    reads: &["skip_prk_steps", "set_alpha_to_one"],
    defaults: |options| options.model.timestep_spacing = TimestepSpacing::Leading,
    settle: |options| options.skip_prk_steps = true,
    build: |options, steps| Ok(Box::new(Pndm::new(options, steps)?)),
};

/// Evaluations of the three Runge-Kutta steps, four each.
const RUNGE_KUTTA_CALLS: usize = 12;

#[derive(Clone)]
struct Pndm {
    core: Core,
    training: TrainingSchedule,
    /// Evaluations before the linear multistep method begins.
    runge_kutta: usize,
    /// Training steps from one step to the next.
    stride: usize,
    /// The cumulative alpha before the first training step.
    final_alpha: f64,
}

impl Pndm {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        if options.model.prediction_type == PredictionType::Sample {
            return Err(UserError::input("PLMS cannot be used with a model that predicts the clean picture"));
        }
        let training = TrainingSchedule::new(&options.model)?;
        let stride = training.len() / steps.max(1);
        let chosen = timesteps(&options.model, steps, Grid::Whole, training.len())?;
        let (told, runge_kutta) = if options.skip_prk_steps {
            // The second timestep is visited twice: the first visit improves the first step.
            let repeated = chosen.get(1).copied();
            (chosen[..1].iter().copied().chain(repeated).chain(chosen[1..].iter().copied()).collect(), 0)
        } else {
            (with_runge_kutta(&chosen, stride)?, RUNGE_KUTTA_CALLS)
        };
        let core = Core::at_timesteps(options, &training, told)?;
        let final_alpha = if options.model.set_alpha_to_one { 1.0 } else { training.alpha_cumprod(0) };
        Ok(Self { core, training, runge_kutta, stride, final_alpha })
    }

    /// Equation 11 of the paper: moves `sample` from one training step to another along the noise that
    /// `model_output` amounts to. A step below 0 is the one before the first.
    fn transfer(&self, sample: &[f32], from: usize, to: Option<usize>, model_output: &[f32]) -> Vec<f32> {
        let now = self.training.alpha_cumprod(from.min(self.training.len() - 1));
        let next = to.map_or(self.final_alpha, |t| self.training.alpha_cumprod(t));
        let denominator = now * (1.0 - next).sqrt() + (now * (1.0 - now) * next).sqrt();
        let of_noise = (now - next) / denominator;
        let (of_sample, of_output) = self.core.noise_factors(Level::from_alpha_cumprod(now));
        mix([((next / now).sqrt() + of_noise * of_sample, sample), (of_noise * of_output, model_output)])
    }

    /// One of the four evaluations of a Runge-Kutta step (Liu et al., equation 13).
    fn runge_kutta_step(&mut self, timestep: usize, model_output: &[f32], sample: &[f32]) -> Vec<f32> {
        let call = self.core.state.calls;
        let half = if call.is_multiple_of(2) { self.stride / 2 } else { 0 };
        let from = self.core.timesteps[call / 4 * 4] as usize;
        let sum = self.core.state.sum.take();
        let weight = if matches!(call % 4, 0 | 3) { 1.0 / 6.0 } else { 1.0 / 3.0 };
        let sum = match &sum {
            Some(sum) => mix([(1.0, sum), (weight, model_output)]),
            None => mix([(weight, model_output)]),
        };
        if call.is_multiple_of(4) {
            self.core.state.push_output(model_output.to_vec(), 4);
            self.core.state.sample = Some(sample.to_vec());
        }
        let start = self.core.state.sample.as_deref().unwrap_or(sample);
        let to = timestep.checked_sub(half);
        if call % 4 == 3 {
            return self.transfer(start, from, to, &sum);
        }
        let moved = self.transfer(start, from, to, model_output);
        self.core.state.sum = Some(sum);
        moved
    }

    /// A step of the linear multistep method (Liu et al., equation 12), of lower order while there is less to look back at.
    fn multistep(&mut self, timestep: usize, model_output: &[f32], sample: &[f32]) -> Vec<f32> {
        let call = self.core.state.calls;
        if call == 1 {
            // The first step once more, by the mean of the predictions at its two ends.
            let mean = mix([(0.5, model_output), (0.5, self.core.state.output(0))]);
            let start = self.core.state.sample.take();
            let start = start.as_deref().unwrap_or(sample);
            return self.transfer(start, timestep + self.stride, Some(timestep), &mean);
        }
        self.core.state.push_output(model_output.to_vec(), 4);
        if call == 0 {
            self.core.state.sample = Some(sample.to_vec());
        }
        let state = &self.core.state;
        let out = |back: usize| state.output(back);
        let combined = match state.outputs.len() {
            1 => model_output.to_vec(),
            2 => mix([(1.5, out(0)), (-0.5, out(1))]),
            3 => mix([(23.0 / 12.0, out(0)), (-16.0 / 12.0, out(1)), (5.0 / 12.0, out(2))]),
            _ => mix([(55.0 / 24.0, out(0)), (-59.0 / 24.0, out(1)), (37.0 / 24.0, out(2)), (-9.0 / 24.0, out(3))]),
        };
        self.transfer(sample, timestep, timestep.checked_sub(self.stride), &combined)
    }
}

/// The timesteps of three Runge-Kutta steps, each from one chosen timestep to the next by way of the middle, and of the
/// multistep method after them.
fn with_runge_kutta(chosen: &[f64], stride: usize) -> Result<Vec<f64>> {
    let &[first, second, third, fourth, ..] = chosen else {
        return Err(UserError::input("PNDM with Runge-Kutta steps needs at least 4 steps"));
    };
    let middle = |t: f64| t + (stride / 2) as f64;
    let mut told = vec![first];
    for t in [second, third] {
        told.extend([middle(t), middle(t), t, t]);
    }
    told.extend([middle(fourth), middle(fourth), fourth]);
    told.extend_from_slice(&chosen[3..]);
    Ok(told)
}

impl Sampler for Pndm {
    shared_parts!();

    fn draws_noise(&self, _i: usize) -> bool {
        false
    }

    fn begin_at(&mut self, i: usize) {
        // Only the first step is improved by a second visit: whoever comes later goes on without one.
        self.set_state(SamplerState { calls: i, ..SamplerState::default() });
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], _noise: Option<&[f32]>) {
        let timestep = self.core.timesteps[i] as usize;
        self.core.predict_clean(self.core.levels[i], sample, model_output);
        let moved = if self.core.state.calls < self.runge_kutta {
            self.runge_kutta_step(timestep, model_output, sample)
        } else {
            self.multistep(timestep, model_output, sample)
        };
        sample.copy_from_slice(&moved);
        self.core.state.calls += 1;
    }
}
