//! Going on in the middle with another sampler or other noise levels.
//!
//! As in k-diffusion, where any sampler can be started at any sigma: the new one begins with nothing to look back at, at
//! the noise level of its own that is nearest.

use super::{Sampler, Scaling, base};

/// Where a sampler takes over.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// The first evaluation that it makes.
    pub call: usize,
    /// The sample, at its noise level and in its scaling.
    pub latents: Vec<f32>,
}

/// How many evaluations are made when a step (from 1) of `steps` is done. The first step of PLMS takes one more than
/// the others; the last of Heun's takes one less.
#[must_use]
pub fn calls_after(sampler: &dyn Sampler, steps: usize, step: usize) -> usize {
    let (calls, order) = (sampler.timesteps().len(), sampler.order());
    (calls.saturating_sub(steps * order) + step * order).min(calls)
}

/// The step (from 1) that is done after `calls` evaluations, if one is just done.
#[must_use]
pub fn step_after(sampler: &dyn Sampler, steps: usize, calls: usize) -> Option<usize> {
    (1..=steps).find(|step| calls_after(sampler, steps, *step) == calls)
}

/// Lets `to` take over from `from`, which has made `call` evaluations and has come to `latents`; `denoised` is the clean
/// sample that it last predicted. Both step samples of one model.
///
/// Where `to` has no level that is just as noisy, the noise in the sample, as `denoised` tells it apart, is scaled to
/// that of the nearest level (nearest in the logarithm): one step of Euler's method.
///
/// # Panics
/// When the slices differ in length.
#[must_use]
pub fn take_over(from: &dyn Sampler, call: usize, latents: &[f32], denoised: &[f32], to: &mut dyn Sampler) -> Branch {
    let noise = ratio(from, call);
    let distance = |call: usize| (ratio(to, call).ln() - noise.ln()).abs();
    let is_level = |call: &usize| {
        let ratio = ratio(to, *call);
        ratio > 0.0 && ratio.is_finite()
    };
    // Of levels that are just as near the last one: PLMS visits its second twice, the first time on trial.
    let nearest = (0..to.timesteps().len()).step_by(to.order()).filter(is_level);
    let nearest = nearest.min_by(|a, b| distance(*a).total_cmp(&distance(*b)).then(b.cmp(a))).unwrap_or(0);
    to.begin_at(nearest);

    let wanted = ratio(to, nearest);
    let (before, after) = (share(from, noise), share(to, wanted));
    // Sample = clean + ratio × noise, once it is divided by the clean sample's share.
    let moved = wanted / noise;
    let is_as_noisy = (moved - 1.0).abs() < 1e-12;
    if is_as_noisy && before == after {
        return Branch { call: nearest, latents: latents.to_vec() };
    }
    let moved = if is_as_noisy { 1.0 } else { moved };
    Branch { call: nearest, latents: base::mix([(after / before * moved, latents), (after * (1.0 - moved), denoised)]) }
}

/// Noise to signal after `call` evaluations.
fn ratio(sampler: &dyn Sampler, call: usize) -> f64 {
    let sigma = sampler.sigmas()[call];
    match sampler.core().scaling {
        Scaling::UnitVariance | Scaling::UnitSignal => sigma,
        Scaling::Straight => sigma / (1.0 - sigma),
    }
}

/// The factor of the clean sample at a ratio of noise to signal.
fn share(sampler: &dyn Sampler, ratio: f64) -> f64 {
    match sampler.core().scaling {
        Scaling::UnitVariance => 1.0 / ratio.hypot(1.0),
        Scaling::UnitSignal => 1.0,
        Scaling::Straight => 1.0 / (1.0 + ratio),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{SamplerId, ScheduleId, SchedulerConfig};
    use crate::sampling::{ModelKind, SamplerState, build, samplers_for, unit_normal};

    const SHAPE: [usize; 4] = [1, 4, 8, 8];
    const STEPS: usize = 12;

    fn sampler(id: SamplerId, schedule: ScheduleId, steps: usize) -> Box<dyn Sampler> {
        let config = SchedulerConfig::default();
        build(id, schedule, &config, &json!({}), steps).unwrap()
    }

    /// A network that knows the picture, a little off: what it says depends on the sample and the level.
    fn predict(sampler: &dyn Sampler, call: usize, sample: &[f32], picture: &[f32]) -> Vec<f32> {
        let mut seen = vec![0.0; sample.len()];
        sampler.scale_model_input(call, sample, &mut seen);
        let level = sampler.core().levels[call];
        let noise = seen.iter().zip(picture).map(|(x, clean)| {
            ((f64::from(*x) - level.alpha * f64::from(*clean)) / level.sigma + 0.05 * f64::from(x.sin())) as f32
        });
        noise.collect()
    }

    fn go_on(sampler: &mut dyn Sampler, calls: std::ops::Range<usize>, sample: &mut [f32], picture: &[f32]) {
        for call in calls {
            let output = predict(sampler, call, sample, picture);
            let noise = unit_normal(call as u64, SHAPE);
            let noise = sampler.draws_noise(call).then_some(noise.as_slice());
            sampler.step(call, &output, sample, noise);
        }
    }

    /// The sample and the sampler after some evaluations.
    fn after(id: SamplerId, calls: usize) -> (Box<dyn Sampler>, Vec<f32>, Vec<f32>) {
        let picture: Vec<f32> = unit_normal(99, SHAPE).iter().map(|value| value * 0.5).collect();
        let mut sampler = sampler(id, ScheduleId::Automatic, STEPS);
        let sigma = sampler.init_noise_sigma() as f32;
        let mut sample: Vec<f32> = unit_normal(1, SHAPE).iter().map(|value| value * sigma).collect();
        go_on(sampler.as_mut(), 0..calls, &mut sample, &picture);
        (sampler, sample, picture)
    }

    #[test]
    fn steps_and_evaluations_count_alike() {
        let told = |id| {
            let sampler = sampler(id, ScheduleId::Automatic, 4);
            (1..=4).map(|step| calls_after(sampler.as_ref(), 4, step)).collect::<Vec<_>>()
        };
        assert_eq!(told(SamplerId::Euler), [1, 2, 3, 4]);
        assert_eq!(told(SamplerId::Heun), [2, 4, 6, 7]);
        assert_eq!(told(SamplerId::Pndm), [2, 3, 4, 5]);
        for id in samplers_for(ModelKind::Diffusion) {
            let sampler = sampler(id, ScheduleId::Automatic, 7);
            for step in 1..=7 {
                let calls = calls_after(sampler.as_ref(), 7, step);
                assert_eq!(step_after(sampler.as_ref(), 7, calls), Some(step), "{id}");
            }
            assert_eq!(calls_after(sampler.as_ref(), 7, 7), sampler.timesteps().len(), "{id}");
        }
        let heun = sampler(SamplerId::Heun, ScheduleId::Automatic, 4);
        assert_eq!(step_after(heun.as_ref(), 4, 3), None, "between its two evaluations");
    }

    #[test]
    fn a_single_step_sampler_that_takes_over_from_itself_changes_nothing() {
        for id in [SamplerId::Euler, SamplerId::Ddim, SamplerId::EulerA, SamplerId::Ddpm] {
            for calls in [1, 5, STEPS - 1] {
                let (from, sample, picture) = after(id, calls);
                let mut whole = sample.clone();
                let mut same = from.boxed_clone();
                go_on(same.as_mut(), calls..STEPS, &mut whole, &picture);

                let mut to = sampler(id, ScheduleId::Automatic, STEPS);
                let branch = take_over(from.as_ref(), calls, &sample, from.denoised(), to.as_mut());
                assert_eq!((branch.call, &branch.latents), (calls, &sample), "{id}");
                assert_eq!(*to.state(), SamplerState::default());
                let mut branched = branch.latents;
                go_on(to.as_mut(), branch.call..STEPS, &mut branched, &picture);
                assert_eq!(branched, whole, "{id} after {calls}");
            }
        }
    }

    #[test]
    fn every_sampler_can_take_over_from_every_other() {
        let root_mean_square = |a: &[f32], b: &[f32]| {
            (a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / a.len() as f64).sqrt()
        };
        for from_id in [SamplerId::Euler, SamplerId::Ddim, SamplerId::Heun, SamplerId::Pndm, SamplerId::DpmPp2m] {
            let step = 6;
            let calls = calls_after(sampler(from_id, ScheduleId::Automatic, STEPS).as_ref(), STEPS, step);
            let (from, sample, picture) = after(from_id, calls);
            for to_id in samplers_for(ModelKind::Diffusion) {
                for steps in [STEPS, 20] {
                    let mut to = sampler(to_id, ScheduleId::Automatic, steps);
                    let branch = take_over(from.as_ref(), calls, &sample, from.denoised(), to.as_mut());
                    let distance = (ratio(to.as_ref(), branch.call) / ratio(from.as_ref(), calls)).ln().abs();
                    assert!(distance < 0.4, "{from_id} to {to_id}: {distance}");
                    let mut branched = branch.latents;
                    let end = to.timesteps().len();
                    go_on(to.as_mut(), branch.call..end, &mut branched, &picture);
                    // The network knows the picture but for 5 %: whoever keeps the noise level right comes to it.
                    let off = root_mean_square(&branched, &picture);
                    assert!(off < 0.12, "{from_id} to {to_id} in {steps}: {off}");
                }
            }
        }
    }
}
