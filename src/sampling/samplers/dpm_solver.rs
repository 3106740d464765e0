//! The multistep DPM-Solver and its kin (Lu, Zhou, Bao, Chen, Li and Zhu 2022, both papers): what DPM++ 2M and
//! DPM++ 2M SDE share, and of what DPM++ 2S is made too.

use crate::domain::{BetaSchedule, Result, UserError};
use crate::sampling::base::{Core, Level, SamplerState, Scaling, drawn, mix, mix_into};
use crate::sampling::options::{Algorithm, FinalSigma, SamplerOptions, Solver};
use crate::sampling::samplers::shared_parts;
use crate::sampling::sigmas::plan_whole;
use crate::sampling::{Sampler, TrainingSchedule};

/// The class in diffusers.
pub const CLASS: &str = "DPMSolverMultistepScheduler";

/// What the class reads.
pub const READS: &[&str] = &[
    "solver_order",
    "thresholding",
    "dynamic_thresholding_ratio",
    "sample_max_value",
    "algorithm_type",
    "solver_type",
    "lower_order_final",
    "euler_at_final",
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
    "use_flow_sigmas",
    "final_sigmas_type",
    "lambda_min_clipped",
    "rescale_betas_zero_snr",
    "use_dynamic_shifting",
];

/// From this many steps on, the order is not lowered at the end.
const MANY_STEPS: usize = 15;

/// A solver that looks back at up to two earlier predictions.
#[derive(Clone)]
pub struct Multistep {
    core: Core,
    algorithm: Algorithm,
    heun: bool,
    order: usize,
    /// The last step is of first order.
    first_order_final: bool,
    /// The last step but one is of second order at most.
    second_order_final: bool,
}

impl Multistep {
    /// The solver that the options describe.
    ///
    /// # Errors
    /// When there is no such solver, or as [`plan_whole`].
    pub fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let algorithm = options.algorithm_type;
        check(options, if algorithm == Algorithm::SdeDpmSolver { 2 } else { 3 })?;
        let training = TrainingSchedule::divisible(&options.model)?;
        // As in diffusers, where this class alone makes the exception.
        let rounds = options.model.beta_schedule != BetaSchedule::SquaredcosCapV2;
        let core = Core::at_sigmas(options, plan_whole(options, &training, steps, rounds)?, Scaling::UnitVariance);
        let lowered = options.lower_order_final && core.timesteps.len() < MANY_STEPS;
        Ok(Self {
            core,
            algorithm,
            heun: options.solver_type == Solver::Heun,
            order: options.solver_order,
            first_order_final: options.euler_at_final || lowered || options.final_sigmas_type == FinalSigma::Zero,
            second_order_final: lowered,
        })
    }

    /// How many predictions step `i` looks at.
    fn order_at(&self, i: usize) -> usize {
        let left = self.core.timesteps.len() - i;
        let order = self.order.min(self.core.state.calls + 1);
        match left {
            1 if self.first_order_final => 1,
            2 if self.second_order_final => order.min(2),
            _ => order,
        }
    }

    fn weights(&self, i: usize) -> Weights {
        let level = |i: usize| Level::from_ratio(self.core.sigmas[i]);
        let (from, to) = (level(i), level(i + 1));
        let h = to.lambda() - from.lambda();
        let order = self.order_at(i);
        // Differences of earlier predictions, by divided differences in lambda.
        let ratio = |back: usize| (level(i - back).lambda() - level(i - back - 1).lambda()) / h;
        let terms = Terms::new(self.algorithm, self.heun || order == 3, from, to, h);
        let outputs = match order {
            1 => [terms.value, 0.0, 0.0],
            2 => {
                let slope = terms.slope / ratio(0);
                [terms.value + slope, -slope, 0.0]
            }
            _ => {
                let (r0, r1) = (ratio(0), ratio(1));
                // Of the newer and of the older first difference.
                let bend = terms.slope * r0 / (r0 + r1) + terms.curve / (r0 + r1);
                let (newer, older) = ((terms.slope + bend) / r0, -bend / r1);
                [terms.value + newer, older - newer, -older]
            }
        };
        Weights { sample: terms.sample, outputs, noise: terms.noise }
    }
}

/// Refuses a solver that there is not: one of an order above `most`, or on the noise down to none.
pub(super) fn check(options: &SamplerOptions, most: usize) -> Result<()> {
    if !options.algorithm_type.predicts_x0() && options.final_sigmas_type == FinalSigma::Zero {
        let sentence = "The scheduler configuration asks for a DPM-Solver that cannot end without noise";
        return Err(UserError::input(sentence).hint("set its final_sigmas_type to sigma_min"));
    }
    if options.solver_order > most {
        let sentence = format!("There is no DPM-Solver of order {} of this kind", options.solver_order);
        return Err(UserError::input(sentence).hint(format!("the highest is {most}")));
    }
    Ok(())
}

/// A prediction in the form that the algorithm integrates: the clean sample or the noise.
pub(super) fn convert(
    core: &mut Core,
    algorithm: Algorithm,
    i: usize,
    model_output: &[f32],
    sample: &[f32],
) -> Vec<f32> {
    let level = core.levels[i];
    core.predict_clean(level, sample, model_output);
    let clean = &core.state.denoised;
    if algorithm.predicts_x0() {
        clean.clone()
    } else if core.thresholds() {
        mix([(1.0 / level.sigma, sample), (-level.alpha / level.sigma, clean)])
    } else {
        let (of_sample, of_output) = core.noise_factors(level);
        mix([(of_sample, sample), (of_output, model_output)])
    }
}

/// Weights of a step's ingredients.
pub(super) struct Weights {
    pub(super) sample: f64,
    /// Of the predictions, newest first.
    pub(super) outputs: [f64; 3],
    pub(super) noise: f64,
}

impl Weights {
    /// The step from `start` by the predictions of `state`, with `noise` where the algorithm takes some.
    pub(super) fn apply(&self, start: &[f32], state: &SamplerState, noise: Option<&[f32]>, out: &mut [f32]) {
        let mut terms: Vec<(f64, &[f32])> = vec![(self.sample, start)];
        terms.extend((0..state.outputs.len()).map(|back| (self.outputs[back], state.output(back))));
        terms.extend(noise.map(|noise| (self.noise, noise)));
        mix_into(&terms, out);
    }
}

/// Weights of the sample, of the newest prediction, of its first and second derivative in lambda, and of noise.
pub(super) struct Terms {
    pub(super) sample: f64,
    pub(super) value: f64,
    pub(super) slope: f64,
    pub(super) curve: f64,
    pub(super) noise: f64,
}

impl Terms {
    /// From one level to the next, over `h` in lambda. `exact` integrates the derivative exactly (the papers' type II,
    /// and what the third order builds on); else it is taken at the midpoint.
    pub(super) fn new(algorithm: Algorithm, exact: bool, from: Level, to: Level, h: f64) -> Self {
        let (alpha, sigma) = (to.alpha, to.sigma);
        let midpoint = |value: f64, integrated: f64| if exact { integrated } else { 0.5 * value };
        match algorithm {
            Algorithm::DpmSolverPlusPlus => {
                let e = (-h).exp_m1();
                let value = -alpha * e;
                Self {
                    sample: sigma / from.sigma,
                    value,
                    slope: midpoint(value, alpha * (e / h + 1.0)),
                    curve: -alpha * ((e + h) / (h * h) - 0.5),
                    noise: 0.0,
                }
            }
            Algorithm::DpmSolver => {
                let e = h.exp_m1();
                let value = -sigma * e;
                Self {
                    sample: alpha / from.alpha,
                    value,
                    slope: midpoint(value, -sigma * (e / h - 1.0)),
                    curve: -sigma * ((e - h) / (h * h) - 0.5),
                    noise: 0.0,
                }
            }
            Algorithm::SdeDpmSolverPlusPlus => {
                let e = (-2.0 * h).exp_m1();
                let value = -alpha * e;
                Self {
                    sample: sigma / from.sigma * (-h).exp(),
                    value,
                    slope: midpoint(value, alpha * (e / (2.0 * h) + 1.0)),
                    curve: alpha * ((-e - 2.0 * h) / (4.0 * h * h) - 0.5),
                    noise: sigma * (-e).sqrt(),
                }
            }
            Algorithm::SdeDpmSolver => {
                let e = h.exp_m1();
                let value = -2.0 * sigma * e;
                Self {
                    sample: alpha / from.alpha,
                    value,
                    slope: midpoint(value, -2.0 * sigma * (e / h - 1.0)),
                    curve: 0.0,
                    noise: sigma * (2.0 * h).exp_m1().sqrt(),
                }
            }
        }
    }
}

impl Sampler for Multistep {
    shared_parts!();

    fn draws_noise(&self, _i: usize) -> bool {
        self.algorithm.is_sde()
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>) {
        let converted = convert(&mut self.core, self.algorithm, i, model_output, sample);
        self.core.state.push_output(converted, self.order);
        // Where a schedule ends on the level that it is at, there is nothing to do.
        if self.core.sigmas[i] != self.core.sigmas[i + 1] {
            let weights = self.weights(i);
            let before = sample.to_vec();
            let noise = self.draws_noise(i).then(|| drawn(noise));
            weights.apply(&before, &self.core.state, noise, sample);
        }
        self.core.state.calls += 1;
    }
}
