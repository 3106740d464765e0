//! DPM++ 2S: the singlestep DPM-Solver++ and its kin (Lu, Zhou, Bao, Chen, Li and Zhu 2022, both papers). Steps come in
//! groups of as many as the order is; within a group each step starts anew from the group's first sample, with one
//! prediction more than the step before.

use super::ANY_SCHEDULE;
use super::dpm_solver::{Terms, Weights, check, convert};
use crate::domain::{Result, SamplerId, TimestepSpacing, UserError};
use crate::sampling::base::{Core, Level, Scaling, drawn};
use crate::sampling::options::{Algorithm, FinalSigma, SamplerOptions, Solver};
use crate::sampling::samplers::shared_parts;
use crate::sampling::sigmas::plan_whole;
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::DpmPp2s,
    class: "DPMSolverSinglestepScheduler",
    tooltip: "Takes steps in pairs, the second correcting the first: steady with strong guidance.",
    schedules: ANY_SCHEDULE,
    draws_noise: false,
    kind: ModelKind::Diffusion,
    reads: &[
        "solver_order",
        "thresholding",
        "dynamic_thresholding_ratio",
        "sample_max_value",
        "algorithm_type",
        "solver_type",
        "lower_order_final",
        "use_karras_sigmas",
        "use_exponential_sigmas",
        "use_beta_sigmas",
        "use_flow_sigmas",
        "final_sigmas_type",
        "lambda_min_clipped",
        "use_dynamic_shifting",
    ],
    defaults: |options| options.lower_order_final = false,
    settle: |options| {
        options.algorithm_type = Algorithm::DpmSolverPlusPlus;
        options.solver_order = 2;
        // The class has no other spacing, whatever the model's configuration says; the user may choose one.
        options.model.timestep_spacing = TimestepSpacing::Linspace;
    },
    build: |options, steps| Ok(Box::new(Singlestep::new(options, steps)?)),
};

/// A solver whose steps look back at the predictions of their own group.
#[derive(Clone)]
struct Singlestep {
    core: Core,
    algorithm: Algorithm,
    heun: bool,
    order: usize,
    /// The last step is of first order.
    first_order_final: bool,
}

impl Singlestep {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        let (algorithm, order) = (options.algorithm_type, options.solver_order);
        if algorithm == Algorithm::SdeDpmSolver {
            return Err(UserError::input("There is no singlestep DPM-Solver on the noise for the stochastic equation")
                .hint("set the scheduler configuration's algorithm_type to sde-dpmsolver++"));
        }
        check(options, 3)?;
        let training = TrainingSchedule::new(&options.model)?;
        let core = Core::at_sigmas(options, plan_whole(options, &training, steps, true)?, Scaling::UnitVariance);
        // Where the last group is not full there is nothing to lower.
        let lowered = options.lower_order_final && steps.is_multiple_of(order);
        Ok(Self {
            core,
            algorithm,
            heun: options.solver_type == Solver::Heun,
            order,
            first_order_final: lowered || options.final_sigmas_type == FinalSigma::Zero,
        })
    }

    /// How many predictions step `i` looks at: its place in its group. One that begins in the middle of a group begins a
    /// shorter one.
    fn order_at(&self, i: usize) -> usize {
        if self.first_order_final && i + 1 == self.core.timesteps.len() {
            return 1;
        }
        (i % self.order + 1).min(self.core.state.outputs.len())
    }

    /// Weights of a step to `i + 1` from where the group began, `order - 1` steps before `i`.
    fn weights(&self, i: usize, order: usize) -> Weights {
        let level = |i: usize| Level::from_ratio(self.core.sigmas[i]);
        let (from, to) = (level(i + 1 - order), level(i + 1));
        let h = to.lambda() - from.lambda();
        // Where a prediction of the group lies between the step's ends, in lambda.
        let place = |i: usize| (level(i).lambda() - from.lambda()) / h;
        let terms = Terms::new(self.algorithm, self.heun || order == 3, from, to, h);
        let outputs = match order {
            1 => [terms.value, 0.0, 0.0],
            2 => {
                let slope = terms.slope / place(i);
                [slope, terms.value - slope, 0.0]
            }
            _ => {
                let (newest, middle) = (place(i), place(i - 1));
                // Of the differences from the group's first prediction to the newest and to the middle one.
                let (to_newest, to_middle) = if self.heun {
                    let (slope, bend) = (terms.slope / (newest - middle), 2.0 * terms.curve / (newest - middle));
                    ((bend - slope * middle) / newest, (slope * newest - bend) / middle)
                } else {
                    (terms.slope / newest, 0.0)
                };
                [to_newest, to_middle, terms.value - to_newest - to_middle]
            }
        };
        Weights { sample: terms.sample, outputs, noise: terms.noise }
    }
}

impl Sampler for Singlestep {
    shared_parts!();

    fn draws_noise(&self, _i: usize) -> bool {
        self.algorithm.is_sde()
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>) {
        let converted = convert(&mut self.core, self.algorithm, i, model_output, sample);
        self.core.state.push_output(converted, self.order);
        let order = self.order_at(i);
        if order == 1 {
            self.core.state.sample = Some(sample.to_vec());
        }
        let weights = self.weights(i, order);
        let noise = self.draws_noise(i).then(|| drawn(noise));
        let state = &self.core.state;
        let start = state.sample.clone().unwrap_or_else(|| sample.to_vec());
        weights.apply(&start, state, noise, sample);
        self.core.state.calls += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_as_long_as_the_order_and_end_with_a_step_of_first_order() {
        let orders = |solver_order, steps, final_sigmas_type| {
            let options =
                SamplerOptions { solver_order, final_sigmas_type, lower_order_final: true, ..ROW.class_defaults() };
            let mut sampler = Singlestep::new(&options, steps).unwrap();
            sampler.core.state.outputs = vec![Vec::new(); 3];
            (0..steps).map(|i| sampler.order_at(i)).collect::<Vec<usize>>()
        };
        // `get_order_list` of diffusers.
        assert_eq!(orders(2, 5, FinalSigma::SigmaMin), [1, 2, 1, 2, 1]);
        assert_eq!(orders(2, 6, FinalSigma::SigmaMin), [1, 2, 1, 2, 1, 1]);
        assert_eq!(orders(3, 6, FinalSigma::SigmaMin), [1, 2, 3, 1, 2, 1]);
        assert_eq!(orders(3, 5, FinalSigma::SigmaMin), [1, 2, 3, 1, 2]);
        assert_eq!(orders(3, 5, FinalSigma::Zero), [1, 2, 3, 1, 1]);
    }
}
