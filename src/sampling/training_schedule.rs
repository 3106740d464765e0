//! The noise levels that a model was trained on.

use crate::domain::{BetaSchedule, Result, SchedulerConfig, UserError};

/// The cumulative products of alpha over the training steps, and the sigmas that follow from them.
///
/// Betas are rounded to f32 where diffusers rounds them, and to the same bits: `1 - alpha` of the first steps is so
/// small that exact arithmetic gives sigmas 2e-5 (relative) away from those that every published picture was made with.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingSchedule {
    alphas_cumprod: Vec<f32>,
}

/// What the last alpha becomes for samplers that divide by it, where training ends in pure noise.
pub const SMALLEST_ALPHA: f32 = 1.0 / 16_777_216.0; // 2^-24, FLAX's smallest

impl TrainingSchedule {
    /// The schedule of a model.
    ///
    /// # Errors
    /// When the betas are not between 0 and 1, or given betas are not one for each training step.
    pub fn new(config: &SchedulerConfig) -> Result<Self> {
        let mut betas = betas(config)?;
        if betas.iter().any(|beta| !(0.0..1.0).contains(beta)) {
            return Err(UserError::input("The scheduler configuration has betas outside 0 to 1"));
        }
        if config.rescale_betas_zero_snr {
            betas = rescale_zero_terminal_snr(&betas);
        }
        Ok(Self { alphas_cumprod: cumulative_alphas(&betas) })
    }

    /// The same, with the last alpha a little above 0 where betas were rescaled: for samplers that divide by it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn divisible(config: &SchedulerConfig) -> Result<Self> {
        let mut schedule = Self::new(config)?;
        if let (true, Some(last)) = (config.rescale_betas_zero_snr, schedule.alphas_cumprod.last_mut()) {
            *last = SMALLEST_ALPHA;
        }
        Ok(schedule)
    }

    /// Training steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// Whether there is none; [`Self::new`] makes no such schedule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.alphas_cumprod.is_empty()
    }

    /// The share of the clean sample's variance that is left at a training step.
    #[must_use]
    pub fn alpha_cumprod(&self, timestep: usize) -> f64 {
        f64::from(self.alphas_cumprod[timestep])
    }

    /// All of them, from the first training step to the last.
    pub fn alphas_cumprod(&self) -> impl DoubleEndedIterator<Item = f64> + ExactSizeIterator {
        self.alphas_cumprod.iter().map(|alpha| f64::from(*alpha))
    }

    /// The ratio of noise to signal at each training step, ascending: f32 values, as in diffusers.
    #[must_use]
    pub fn sigmas(&self) -> Vec<f64> {
        self.alphas_cumprod.iter().map(|alpha| f64::from(((1.0 - alpha) / alpha).sqrt())).collect()
    }
}

/// Betas before any rescaling.
fn betas(config: &SchedulerConfig) -> Result<Vec<f32>> {
    let steps = config.num_train_timesteps;
    let (start, end) = (config.beta_start, config.beta_end);
    if let Some(betas) = &config.trained_betas {
        if betas.len() != steps {
            return Err(UserError::input(format!(
                "The scheduler configuration has {} betas for {steps} training steps",
                betas.len()
            )));
        }
        return Ok(betas.iter().map(|beta| *beta as f32).collect());
    }
    Ok(match config.beta_schedule {
        BetaSchedule::Linear => linspace_f32(start, end, steps),
        BetaSchedule::ScaledLinear => {
            linspace_f32(start.sqrt(), end.sqrt(), steps).into_iter().map(|root| root * root).collect()
        }
        BetaSchedule::SquaredcosCapV2 => {
            let alpha_bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
            let at = |i: usize| alpha_bar(i as f64 / steps as f64);
            (0..steps).map(|i| (1.0 - at(i + 1) / at(i)).min(0.999) as f32).collect()
        }
    })
}

/// `torch.linspace` in f32: from both ends towards the middle, each product and sum rounded once.
///
/// Source: `ATen/native/cpu/RangeFactoriesKernel.cpp` of `PyTorch` 2.
fn linspace_f32(start: f64, end: f64, steps: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    let step = (end - start) / (steps - 1) as f32;
    (0..steps)
        .map(
            |i| {
                if i < steps / 2 { step.mul_add(i as f32, start) } else { (-step).mul_add((steps - i - 1) as f32, end) }
            },
        )
        .collect()
}

/// Cumulative products of `1 - beta`: f32 factors and results, f64 in between.
fn cumulative_alphas(betas: &[f32]) -> Vec<f32> {
    betas
        .iter()
        .scan(1.0_f64, |product, beta| {
            *product *= f64::from(1.0 - beta);
            Some(*product as f32)
        })
        .collect()
}

/// Shifts and scales the square roots of the cumulative alphas so that the last is 0 (Lin et al. 2023, algorithm 1).
fn rescale_zero_terminal_snr(betas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = cumulative_alphas(betas).into_iter().map(f32::sqrt).collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    let scale = first / (first - last);
    let cumulative: Vec<f32> = roots.iter().map(|root| ((root - last) * scale).powi(2)).collect();
    let before = std::iter::once(1.0).chain(cumulative.iter().copied());
    cumulative.iter().zip(before).map(|(now, before)| 1.0 - now / before).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_terminal_schedule_ends_in_pure_noise() {
        let config = SchedulerConfig { rescale_betas_zero_snr: true, ..SchedulerConfig::default() };
        let schedule = TrainingSchedule::new(&config).unwrap();
        assert_eq!(schedule.alpha_cumprod(999), 0.0);
        let plain = TrainingSchedule::new(&SchedulerConfig::default()).unwrap();
        assert!((schedule.alpha_cumprod(0) - plain.alpha_cumprod(0)).abs() < 1e-6);
        assert!(TrainingSchedule::divisible(&config).unwrap().sigmas()[999] > 4000.0);
    }

    #[test]
    fn given_betas_are_used_and_checked() {
        let config = SchedulerConfig {
            num_train_timesteps: 3,
            trained_betas: Some(vec![0.5, 0.5, 0.5]),
            ..SchedulerConfig::default()
        };
        let schedule = TrainingSchedule::new(&config).unwrap();
        assert_eq!(schedule.alphas_cumprod().collect::<Vec<_>>(), [0.5, 0.25, 0.125]);
        let short = SchedulerConfig { trained_betas: Some(vec![0.5]), ..config.clone() };
        assert!(TrainingSchedule::new(&short).is_err());
        let wrong = SchedulerConfig { trained_betas: Some(vec![0.5, 1.5, f64::NAN]), ..config };
        assert!(TrainingSchedule::new(&wrong).is_err());
    }
}
