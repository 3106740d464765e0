//! Steps of two evaluations, the second at a sigma between the step's two ends: what DPM2, DPM2 a and DPM++ SDE share.

use super::euler::towards;
use crate::sampling::TrainingSchedule;
use crate::sampling::base::{Core, Level, Scaling, mix_into};
use crate::sampling::options::SamplerOptions;
use crate::sampling::sigmas::{SigmaPlan, timesteps_of};

/// Lays a plan out for two evaluations a step: at the step's sigma, then at its midpoint. The last step has the first
/// alone, for it goes straight to the picture.
///
/// `midpoint` tells the sigma between those of a step's two ends.
pub fn core_of(
    options: &SamplerOptions,
    training: &TrainingSchedule,
    plan: &SigmaPlan,
    midpoint: impl Fn(f64, f64) -> f64,
) -> Core {
    let (starts, last) = plan.sigmas.split_at(plan.timesteps.len());
    let midpoints: Vec<f64> = starts.windows(2).map(|ends| midpoint(ends[0], ends[1])).collect();
    let told = timesteps_of(training, &midpoints);
    let between = told.iter().zip(&plan.timesteps[1..]).flat_map(|(middle, next)| [*middle, *next]);
    let timesteps = plan.timesteps[..1].iter().copied().chain(between).collect();
    let sigmas = starts.iter().flat_map(|sigma| [*sigma; 2]).skip(1).chain(last.iter().copied()).collect();
    let mut core = Core::at_sigmas(options, SigmaPlan { timesteps, sigmas }, Scaling::UnitSignal);
    for (level, sigma) in core.levels.iter_mut().skip(1).step_by(2).zip(&midpoints) {
        *level = Level::from_ratio(*sigma);
    }
    core.order = 2;
    core
}

/// The sigma halfway between two in their logarithm.
pub fn geometric_mean(a: f64, b: f64) -> f64 {
    (a * b).sqrt()
}

/// Whether evaluation `i` is at a midpoint.
pub fn is_midpoint(i: usize) -> bool {
    !i.is_multiple_of(2)
}

/// The first evaluation of DPM2's step: along the slope here to the midpoint, or in the last step to the picture. The
/// sample is kept for [`second_half`].
pub fn first_half(core: &mut Core, i: usize, model_output: &[f32], sample: &mut [f32]) {
    core.predict_clean(core.levels[i], sample, model_output);
    let middle = core.levels.get(i + 1).map(|level| level.ratio());
    core.state.sample = middle.map(|_| sample.to_vec());
    towards(sample, &core.state.denoised, middle.unwrap_or(0.0) / core.sigmas[i]);
}

/// The second evaluation of DPM2's step: from the kept sample, along the slope at the midpoint, to the sigma `to`.
pub fn second_half(core: &mut Core, i: usize, model_output: &[f32], sample: &mut [f32], to: f64) {
    core.predict_clean(core.levels[i], sample, model_output);
    let middle = core.levels[i].ratio();
    let weight = (to - core.sigmas[i - 1]) / middle;
    let at_middle = sample.to_vec();
    let start = core.state.sample.take();
    let start = start.as_deref().unwrap_or(&at_middle);
    mix_into(&[(1.0, start), (weight, &at_middle), (-weight, &core.state.denoised)], sample);
}
