//! What all samplers are made of: noise levels, the prediction turned into a clean sample, the state between steps.

use serde::{Deserialize, Serialize};

use super::options::SamplerOptions;
use super::sigmas::SigmaPlan;
use super::training_schedule::TrainingSchedule;
use crate::domain::{PredictionType, Result, TimestepSpacing, UserError};

/// Shares of signal and noise at one noise level, with `alpha^2 + sigma^2 = 1` (for flow matching: `alpha + sigma = 1`).
///
/// `sigma` here is the deviation of the noise in a sample of unit variance. What schedules call sigma is
/// [`Level::ratio`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Factor of the clean sample.
    pub alpha: f64,
    /// Factor of unit-normal noise.
    pub sigma: f64,
}

impl Level {
    /// The level of a cumulative product of alphas.
    #[must_use]
    pub fn from_alpha_cumprod(alpha_cumprod: f64) -> Self {
        Self { alpha: alpha_cumprod.sqrt(), sigma: (1.0 - alpha_cumprod).sqrt() }
    }

    /// The level of a ratio of noise to signal.
    #[must_use]
    pub fn from_ratio(ratio: f64) -> Self {
        let alpha = 1.0 / ratio.hypot(1.0);
        Self { alpha, sigma: ratio * alpha }
    }

    /// Noise to signal: infinite where no signal is left.
    #[must_use]
    pub fn ratio(self) -> f64 {
        self.sigma / self.alpha
    }

    /// Half the logarithm of the signal-to-noise ratio: infinite where no noise is left.
    #[must_use]
    pub fn lambda(self) -> f64 {
        -self.ratio().ln()
    }
}

/// How samples are scaled between steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// `alpha clean + sigma noise`, which is what the network sees (DDPM and its kin, DPM++, `UniPC`).
    UnitVariance,
    /// `clean + ratio noise`, scaled down for the network (Euler and its kin).
    UnitSignal,
    /// `(1 - sigma) clean + sigma noise`, which is what the network sees; it predicts `noise - clean` (flow matching).
    Straight,
}

/// What a sampler carries from one step to the next: all that is needed to go on later, beside the latents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SamplerState {
    /// Network evaluations since the start, wherever in the schedule that was.
    pub calls: usize,
    /// Earlier predictions, as the sampler keeps them, newest last.
    pub outputs: Vec<Vec<f32>>,
    /// An earlier sample.
    pub sample: Option<Vec<f32>>,
    /// What adds up within one step of several evaluations: weighted predictions, or noise.
    pub sum: Option<Vec<f32>>,
    /// The clean sample as predicted at the last step; empty before the first.
    pub denoised: Vec<f32>,
}

impl SamplerState {
    /// Adds a prediction and forgets all but the newest `keep`.
    pub(super) fn push_output(&mut self, output: Vec<f32>, keep: usize) {
        self.outputs.push(output);
        let surplus = self.outputs.len().saturating_sub(keep);
        self.outputs.drain(..surplus);
    }

    /// The prediction `back` steps before the newest.
    pub(super) fn output(&self, back: usize) -> &[f32] {
        &self.outputs[self.outputs.len() - 1 - back]
    }
}

/// The parts that all samplers share.
#[derive(Clone)]
pub struct Core {
    pub(super) timesteps: Vec<f64>,
    pub(super) sigmas: Vec<f64>,
    /// One for each timestep.
    pub(super) levels: Vec<Level>,
    pub(super) init_noise_sigma: f64,
    /// Network evaluations a step.
    pub(super) order: usize,
    pub(super) scaling: Scaling,
    pub(super) prediction: PredictionType,
    limit: Limit,
    pub(super) state: SamplerState,
}

impl Core {
    /// For samplers that step from training step to training step.
    ///
    /// # Errors
    /// When a step has no signal and the network predicts noise, from which nothing can be learned there.
    pub(super) fn at_timesteps(
        options: &SamplerOptions,
        training: &TrainingSchedule,
        timesteps: Vec<f64>,
    ) -> Result<Self> {
        let level = |t: &f64| Level::from_alpha_cumprod(training.alpha_cumprod(*t as usize));
        let levels: Vec<Level> = timesteps.iter().map(level).collect();
        if options.model.prediction_type == PredictionType::Epsilon && levels.iter().any(|level| level.alpha == 0.0) {
            return Err(UserError::input(
                "This schedule begins with pure noise, from which the model predicts nothing",
            )
            .hint("choose another schedule; this one is for models that predict velocity"));
        }
        let sigmas = levels.iter().map(|level| level.ratio()).chain([0.0]).collect();
        Ok(Self::new(options, timesteps, sigmas, levels, Scaling::UnitVariance, 1.0))
    }

    /// For samplers that step from sigma to sigma.
    pub(super) fn at_sigmas(options: &SamplerOptions, plan: SigmaPlan, scaling: Scaling) -> Self {
        let SigmaPlan { timesteps, sigmas } = plan;
        let level = |sigma: &f64| match scaling {
            Scaling::UnitVariance | Scaling::UnitSignal => Level::from_ratio(*sigma),
            Scaling::Straight => Level { alpha: 1.0 - sigma, sigma: *sigma },
        };
        let levels = sigmas[..timesteps.len()].iter().map(level).collect();
        let largest = sigmas.iter().copied().fold(0.0, f64::max);
        let init_noise_sigma = match (scaling, options.model.timestep_spacing) {
            (Scaling::UnitVariance | Scaling::Straight, _) => 1.0,
            (Scaling::UnitSignal, TimestepSpacing::Leading) => largest.hypot(1.0),
            (Scaling::UnitSignal, TimestepSpacing::Trailing | TimestepSpacing::Linspace) => largest,
        };
        Self::new(options, timesteps, sigmas, levels, scaling, init_noise_sigma)
    }

    fn new(
        options: &SamplerOptions,
        timesteps: Vec<f64>,
        sigmas: Vec<f64>,
        levels: Vec<Level>,
        scaling: Scaling,
        init_noise_sigma: f64,
    ) -> Self {
        let prediction = options.model.prediction_type;
        let (limit, state) = (Limit::of(options), SamplerState::default());
        Self { timesteps, sigmas, levels, init_noise_sigma, order: 1, scaling, prediction, limit, state }
    }

    /// Factors of sample and prediction whose sum is the clean sample, for a sample as the network sees it at `level`.
    pub(super) fn clean_factors(&self, level: Level) -> (f64, f64) {
        match self.prediction {
            _ if self.scaling == Scaling::Straight => (1.0, -level.sigma),
            PredictionType::Epsilon => (1.0 / level.alpha, -level.ratio()),
            PredictionType::VPrediction => (level.alpha, -level.sigma),
            PredictionType::Sample => (0.0, 1.0),
        }
    }

    /// The same for the noise.
    pub(super) fn noise_factors(&self, level: Level) -> (f64, f64) {
        match self.prediction {
            _ if self.scaling == Scaling::Straight => (1.0, level.alpha),
            PredictionType::Epsilon => (0.0, 1.0),
            PredictionType::VPrediction => (level.sigma, level.alpha),
            PredictionType::Sample => (1.0 / level.sigma, -level.alpha / level.sigma),
        }
    }

    /// Whether clean samples are thresholded, so that the noise is not what the network said it was.
    pub(super) fn thresholds(&self) -> bool {
        matches!(self.limit, Limit::Threshold { .. })
    }

    /// Keeps the clean sample that a prediction at `level` amounts to, within the limits that the model asks for, in
    /// the state's `denoised`.
    pub(super) fn predict_clean(&mut self, level: Level, sample: &[f32], model_output: &[f32]) {
        let (of_sample, of_output) = self.clean_factors(level);
        // A sample of unit signal is one of unit variance, divided by alpha.
        let of_sample = match self.scaling {
            Scaling::UnitVariance | Scaling::Straight => of_sample,
            Scaling::UnitSignal => of_sample * level.alpha,
        };
        let mut clean = mix([(of_sample, sample), (of_output, model_output)]);
        self.limit.apply(&mut clean);
        self.state.denoised = clean;
    }
}

/// What a predicted clean sample is held within.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    Unlimited,
    Clip { range: f64 },
    Threshold { ratio: f64, max: f64, batch: usize },
}

impl Limit {
    fn of(options: &SamplerOptions) -> Self {
        if options.thresholding {
            let (ratio, max) = (options.dynamic_thresholding_ratio, options.sample_max_value);
            Self::Threshold { ratio, max, batch: options.batch }
        } else if options.clip_sample {
            Self::Clip { range: options.clip_sample_range }
        } else {
            Self::Unlimited
        }
    }

    fn apply(self, clean: &mut [f32]) {
        match self {
            Self::Unlimited => {}
            Self::Clip { range } => {
                let range = range.abs() as f32;
                for value in clean {
                    *value = value.clamp(-range, range);
                }
            }
            Self::Threshold { ratio, max, batch } => {
                let size = (clean.len() / batch).max(1);
                for sample in clean.chunks_mut(size) {
                    // Not below 1, so that a sample within range stays as it is.
                    let threshold = quantile(sample, ratio).max(1.0).min(max) as f32;
                    for value in sample {
                        *value = value.clamp(-threshold, threshold) / threshold;
                    }
                }
            }
        }
    }
}

/// The quantile of the magnitudes, linear between neighbours.
fn quantile(values: &[f32], ratio: f64) -> f64 {
    let mut sorted: Vec<f32> = values.iter().map(|value| value.abs()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let place = ratio * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let (low, high) = (f64::from(sorted[below]), f64::from(sorted[(below + 1).min(sorted.len() - 1)]));
    low + (place - below as f64) * (high - low)
}

/// The weighted sum of `terms`, in f64 with one rounding; terms of weight 0 are left out, so that they may be infinite.
///
/// # Panics
/// When the terms differ in length.
pub fn mix<const N: usize>(terms: [(f64, &[f32]); N]) -> Vec<f32> {
    let mut out = vec![0.0; terms[0].1.len()];
    mix_into(&terms, &mut out);
    out
}

/// As [`mix`], into `out`.
///
/// # Panics
/// When the terms differ in length.
pub fn mix_into(terms: &[(f64, &[f32])], out: &mut [f32]) {
    assert!(terms.iter().all(|(_, values)| values.len() == out.len()), "samples of one shape");
    for (i, value) in out.iter_mut().enumerate() {
        let sum: f64 = terms.iter().filter(|(weight, _)| *weight != 0.0).map(|(w, v)| w * f64::from(v[i])).sum();
        *value = sum as f32;
    }
}

/// The noise of a step that draws some.
///
/// # Panics
/// When there is none: the caller asks `draws_noise` first.
pub(super) fn drawn(noise: Option<&[f32]>) -> &[f32] {
    let Some(noise) = noise else { panic!("this step draws noise and was given none") };
    noise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        // torch.quantile(torch.tensor([1., 2., 3., 4.]), 0.9) is 3.7.
        assert!((quantile(&[-4.0, 1.0, 3.0, -2.0], 0.9) - 3.7).abs() < 1e-12);
        assert_eq!(quantile(&[-5.0], 0.5), 5.0);
    }

    #[test]
    fn thresholds_are_each_samples_own() {
        let mut clean = [0.5, -0.5, 4.0, -2.0];
        Limit::Threshold { ratio: 1.0, max: 10.0, batch: 2 }.apply(&mut clean);
        assert_eq!(clean, [0.5, -0.5, 1.0, -0.5]);
    }

    #[test]
    fn a_level_is_the_same_however_it_is_named() {
        let level = Level::from_alpha_cumprod(0.2);
        let same = Level::from_ratio(level.ratio());
        assert!((level.alpha - same.alpha).abs() < 1e-15 && (level.sigma - same.sigma).abs() < 1e-15);
        assert_eq!(Level::from_ratio(0.0).lambda(), f64::INFINITY);
    }
}
