//! Which noise levels (sigmas) the sampling steps lie at, and what timestep the network is told for each.

use super::beta_distribution;
use super::options::{FinalSigma, Interpolation, SamplerOptions, TimeShift};
use super::spacing::{self, Grid, linspace};
use super::training_schedule::TrainingSchedule;
use crate::domain::{Result, UserError};

/// Noise levels of a picture, in the order of sampling.
#[derive(Clone, Debug, PartialEq)]
pub struct SigmaPlan {
    /// What the network is told, one for each level that it sees.
    pub timesteps: Vec<f64>,
    /// Ratios of noise to signal (for flow matching: shares of noise): one for each timestep, then the one after the last
    /// step.
    pub sigmas: Vec<f64>,
}

/// A way to space sigmas between two ends. A new one is one more variant here and one more switch in the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spaced {
    Karras,
    Exponential,
    Beta,
    Lu,
}

impl Spaced {
    fn of(options: &SamplerOptions) -> Option<Self> {
        [
            (options.use_karras_sigmas, Self::Karras),
            (options.use_exponential_sigmas, Self::Exponential),
            (options.use_beta_sigmas, Self::Beta),
            (options.use_lu_lambdas, Self::Lu),
        ]
        .into_iter()
        .find_map(|(on, spaced)| on.then_some(spaced))
    }

    /// `n` sigmas from `max` down to `min`; a single one is `max`.
    fn sigmas(self, min: f64, max: f64, n: usize) -> Vec<f64> {
        match self {
            // Karras et al. 2022, equation 5.
            Self::Karras => {
                const RHO: f64 = 7.0;
                let (low, high) = (min.powf(1.0 / RHO), max.powf(1.0 / RHO));
                linspace(0.0, 1.0, n).into_iter().map(|ramp| (high + ramp * (low - high)).powf(RHO)).collect()
            }
            Self::Exponential | Self::Lu => linspace(max.ln(), min.ln(), n).into_iter().map(f64::exp).collect(),
            // Lee et al. 2024, with both parameters 0.6.
            Self::Beta => linspace(0.0, 1.0, n)
                .into_iter()
                .map(|ramp| min + beta_distribution::quantile(1.0 - ramp, 0.6, 0.6) * (max - min))
                .collect(),
        }
    }
}

/// The plan of samplers in k-diffusion's manner (Euler, Heun): fractional timesteps; spacings run between the sigmas of
/// the first and the last timestep that the model's own spacing would visit.
///
/// # Errors
/// As [`spacing::timesteps`].
pub fn plan_fractional(options: &SamplerOptions, training: &TrainingSchedule, steps: usize) -> Result<SigmaPlan> {
    let mut timesteps = spacing::timesteps(&options.model, steps, Grid::Fractional, training.len())?;
    let table = Table::new(training);
    let mut sigmas = match options.interpolation_type {
        Interpolation::Linear => table.sigmas_at(&timesteps),
        Interpolation::LogLinear => table.log_linear(steps + 1),
    };
    if let Some(spaced) = Spaced::of(options) {
        let max = options.sigma_max.unwrap_or(sigmas[0]);
        let min = options.sigma_min.unwrap_or(sigmas[sigmas.len() - 1]);
        sigmas = spaced.sigmas(min, max, steps);
        timesteps = sigmas.iter().map(|sigma| f64::from(table.timestep_of(*sigma) as f32)).collect();
    }
    sigmas.push(match options.final_sigmas_type {
        FinalSigma::Zero => 0.0,
        FinalSigma::SigmaMin => table.smallest(),
    });
    Ok(SigmaPlan { timesteps, sigmas: in_f32(sigmas) })
}

/// The plan of DPM++ and `UniPC`: whole timesteps; spacings run over all sigmas of training. `rounds` says how timesteps
/// become whole for Karras and Lu: rounded, or cut, as they are for the other spacings.
///
/// # Errors
/// As [`spacing::timesteps`].
pub fn plan_whole(
    options: &SamplerOptions,
    training: &TrainingSchedule,
    steps: usize,
    rounds: bool,
) -> Result<SigmaPlan> {
    let end = visited_steps(options.lambda_min_clipped, training);
    let mut timesteps = spacing::timesteps(&options.model, steps, Grid::WholeWithEnd, end)?;
    let table = Table::new(training);
    let mut sigmas = table.sigmas_at(&timesteps);
    if let Some(spaced) = Spaced::of(options) {
        let max = options.sigma_max.unwrap_or(table.largest());
        let min = options.sigma_min.unwrap_or(table.smallest());
        sigmas = spaced.sigmas(min, max, steps);
        let rounded = rounds && matches!(spaced, Spaced::Karras | Spaced::Lu);
        let whole = |t: f64| if rounded { t.round_ties_even() } else { t.trunc() };
        timesteps = sigmas.iter().map(|sigma| whole(table.timestep_of(*sigma))).collect();
    }
    sigmas.push(match options.final_sigmas_type {
        FinalSigma::Zero => 0.0,
        FinalSigma::SigmaMin => table.smallest(),
    });
    Ok(SigmaPlan { timesteps, sigmas: in_f32(sigmas) })
}

/// The plan of flow matching: the timestep is the sigma times the number of training steps.
///
/// # Errors
/// When there is no step, or the schedule is to be stretched to an end that it begins at.
pub fn plan_flow(options: &SamplerOptions, steps: usize) -> Result<SigmaPlan> {
    if steps == 0 {
        return Err(UserError::input("A picture needs at least 1 step"));
    }
    let train = options.model.num_train_timesteps as f64;
    // Noise to signal times a factor.
    let raised = |sigma: f64, factor: f64| factor * sigma / (1.0 + (factor - 1.0) * sigma);
    let dynamic = options.mu.filter(|_| options.use_dynamic_shifting).map(|mu| match options.time_shift_type {
        TimeShift::Exponential => mu.exp(),
        TimeShift::Linear => mu,
    });
    // diffusers' smallest sigma has the shift in it already, and gets it once more below.
    let smallest = if dynamic.is_some() { 1.0 / train } else { raised(1.0 / train, options.shift) };
    let shift = dynamic.unwrap_or(options.shift);
    let mut sigmas = linspace(1.0, f64::from(smallest as f32), steps);
    for sigma in &mut sigmas {
        *sigma = raised(*sigma, shift);
    }
    let last = sigmas[steps - 1];
    if let Some(terminal) = options.shift_terminal.filter(|terminal| *terminal > 0.0) {
        if last >= 1.0 {
            let sentence = "One step is too few for a schedule that is to end at a given sigma (shift_terminal)";
            return Err(UserError::input(sentence).hint("use 2 steps or more"));
        }
        for sigma in &mut sigmas {
            *sigma = 1.0 - (1.0 - *sigma) * (1.0 - terminal) / (1.0 - last);
        }
    }
    if let Some(spaced) = Spaced::of(options) {
        sigmas = spaced.sigmas(sigmas[steps - 1], sigmas[0], steps);
    }
    let mut sigmas = in_f32(sigmas);
    let timesteps = sigmas.iter().map(|sigma| f64::from((sigma * train) as f32)).collect();
    sigmas.push(0.0);
    Ok(SigmaPlan { timesteps, sigmas })
}

/// The training steps, with fractions, at which sigmas lie.
pub fn timesteps_of(training: &TrainingSchedule, sigmas: &[f64]) -> Vec<f64> {
    let table = Table::new(training);
    sigmas.iter().map(|sigma| f64::from(table.timestep_of(*sigma) as f32)).collect()
}

/// How many training steps have a log signal-to-noise (lambda) of at least `lambda_min`.
fn visited_steps(lambda_min: Option<f64>, training: &TrainingSchedule) -> usize {
    let Some(lambda_min) = lambda_min else { return training.len() };
    let lambda = |alpha: f64| alpha.sqrt().ln() - (1.0 - alpha).sqrt().ln();
    training.alphas_cumprod().filter(|alpha| lambda(*alpha) >= lambda_min).count()
}

/// Sigmas as diffusers stores them.
fn in_f32(sigmas: Vec<f64>) -> Vec<f64> {
    sigmas.into_iter().map(|sigma| f64::from(sigma as f32)).collect()
}

/// The sigmas of training, and their logarithms rounded to f32 as diffusers' are.
struct Table {
    sigmas: Vec<f64>,
    logs: Vec<f64>,
}

impl Table {
    fn new(training: &TrainingSchedule) -> Self {
        let sigmas = training.sigmas();
        let logs = sigmas.iter().map(|sigma| f64::from(sigma.ln() as f32)).collect();
        Self { sigmas, logs }
    }

    fn smallest(&self) -> f64 {
        self.sigmas[0]
    }

    fn largest(&self) -> f64 {
        self.sigmas[self.sigmas.len() - 1]
    }

    /// Sigmas between those of the neighbouring training steps (`numpy.interp`).
    fn sigmas_at(&self, timesteps: &[f64]) -> Vec<f64> {
        let last = self.sigmas.len() - 1;
        timesteps
            .iter()
            .map(|t| {
                let below = (t.floor() as usize).min(last);
                let slope = self.sigmas[(below + 1).min(last)] - self.sigmas[below];
                slope * (t - below as f64) + self.sigmas[below]
            })
            .collect()
    }

    /// `n` sigmas over the whole range, evenly in their logarithm.
    fn log_linear(&self, n: usize) -> Vec<f64> {
        linspace(self.logs[self.logs.len() - 1], self.logs[0], n).into_iter().map(f64::exp).collect()
    }

    /// The training step, with fractions, at which a sigma lies: linear in its logarithm, held at the ends.
    fn timestep_of(&self, sigma: f64) -> f64 {
        let log = sigma.max(1e-10).ln();
        let below = self.logs.partition_point(|known| *known <= log).saturating_sub(1).min(self.logs.len() - 2);
        let (low, high) = (self.logs[below], self.logs[below + 1]);
        let weight = ((low - log) / (low - high)).clamp(0.0, 1.0);
        (1.0 - weight) * below as f64 + weight * (below + 1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SchedulerConfig;

    fn options() -> SamplerOptions {
        SamplerOptions { model: SchedulerConfig::default(), ..SamplerOptions::default() }
    }

    #[test]
    fn every_spacing_descends_from_the_largest_sigma_to_the_smallest() {
        let training = TrainingSchedule::new(&options().model).unwrap();
        let table = Table::new(&training);
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-6;
        for spaced in [Spaced::Karras, Spaced::Exponential, Spaced::Beta, Spaced::Lu] {
            for n in [2, 3, 20, 150] {
                let sigmas = spaced.sigmas(table.smallest(), table.largest(), n);
                assert!(sigmas.is_sorted_by(|a, b| a > b), "{spaced:?} {n}");
                assert!(near(sigmas[0], table.largest()) && near(sigmas[n - 1], table.smallest()), "{spaced:?} {n}");
            }
            assert!(near(spaced.sigmas(table.smallest(), table.largest(), 1)[0], table.largest()), "{spaced:?}");
        }
    }

    #[test]
    fn a_sigma_of_a_training_step_lies_at_that_step() {
        let table = Table::new(&TrainingSchedule::new(&options().model).unwrap());
        for t in [0.0, 1.0, 250.5, 998.0, 999.0] {
            let sigma = table.sigmas_at(&[t])[0];
            assert!((table.timestep_of(sigma) - t).abs() < 0.01, "{t}: {}", table.timestep_of(sigma));
        }
        assert_eq!((table.timestep_of(0.0), table.timestep_of(1e9)), (0.0, 999.0));
    }

    #[test]
    fn the_smallest_and_largest_sigma_can_be_given() {
        let training = TrainingSchedule::new(&options().model).unwrap();
        let given = SamplerOptions {
            use_karras_sigmas: true,
            sigma_min: Some(0.1),
            sigma_max: Some(10.0),
            final_sigmas_type: FinalSigma::SigmaMin,
            ..options()
        };
        let plan = plan_fractional(&given, &training, 5).unwrap();
        assert!((plan.sigmas[0] - 10.0).abs() < 1e-5 && (plan.sigmas[4] - 0.1).abs() < 1e-6);
        assert_eq!((plan.timesteps.len(), plan.sigmas.len()), (5, 6));
        assert_eq!(plan.sigmas[5], training.sigmas()[0]);
    }
}
