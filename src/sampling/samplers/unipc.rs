//! `UniPC` (Zhao, Bai, Rao, Zhou and Lu 2023): a predictor, then a corrector that costs no evaluation of its own.

use crate::domain::{Result, SamplerId, UserError};
use crate::sampling::base::{Core, Level, Scaling, mix, mix_into};
use crate::sampling::options::{FinalSigma, SamplerOptions, Solver};
use crate::sampling::samplers::{ANY_SCHEDULE, shared_parts};
use crate::sampling::sigmas::plan_whole;
use crate::sampling::table::{ModelKind, SamplerRow};
use crate::sampling::{Sampler, TrainingSchedule};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::UniPc,
    class: "UniPCMultistepScheduler",
    tooltip: "Predicts, then corrects itself: good pictures with as few as 10 steps.",
    schedules: ANY_SCHEDULE,
    draws_noise: false,
    kind: ModelKind::Diffusion,
    reads: &[
        "solver_order",
        "thresholding",
        "dynamic_thresholding_ratio",
        "sample_max_value",
        "predict_x0",
        "solver_type",
        "lower_order_final",
        "disable_corrector",
        "solver_p",
        "use_karras_sigmas",
        "use_exponential_sigmas",
        "use_beta_sigmas",
        "use_flow_sigmas",
        "final_sigmas_type",
        "rescale_betas_zero_snr",
        "use_dynamic_shifting",
        "sigma_min",
        "sigma_max",
    ],
    defaults: |options| options.solver_type = Solver::Bh2,
    settle: |_| {},
    build: |options, steps| Ok(Box::new(UniPc::new(options, steps)?)),
};

/// The highest order; beyond it the paper gives no evidence, and the small linear systems turn singular.
const HIGHEST_ORDER: usize = 6;

#[derive(Clone)]
struct UniPc {
    core: Core,
    order: usize,
    predict_x0: bool,
    bh1: bool,
    lower_order_final: bool,
    disable_corrector: Vec<usize>,
}

impl UniPc {
    fn new(options: &SamplerOptions, steps: usize) -> Result<Self> {
        if !options.predict_x0 && options.final_sigmas_type == FinalSigma::Zero {
            let sentence = "The scheduler configuration asks for a UniPC that cannot end without noise";
            return Err(UserError::input(sentence).hint("set its final_sigmas_type to sigma_min"));
        }
        if options.solver_order > HIGHEST_ORDER {
            return Err(UserError::input(format!("There is no UniPC of order {}", options.solver_order)));
        }
        let training = TrainingSchedule::divisible(&options.model)?;
        Ok(Self {
            core: Core::at_sigmas(options, plan_whole(options, &training, steps, true)?, Scaling::UnitVariance),
            order: options.solver_order,
            predict_x0: options.predict_x0,
            bh1: options.solver_type == Solver::Bh1,
            lower_order_final: options.lower_order_final,
            disable_corrector: options.disable_corrector.clone(),
        })
    }

    /// The order of the step from `i`, when `calls` evaluations came before it.
    fn order_at(&self, i: usize, calls: usize) -> usize {
        // Without noise at its end, lambda is infinite there, and only the first order has a limit.
        if self.core.sigmas[i + 1] == 0.0 {
            return 1;
        }
        let left = if self.lower_order_final { self.core.timesteps.len() - i } else { self.order };
        self.order.min(left).min(calls + 1)
    }

    fn convert(&mut self, i: usize, model_output: &[f32], sample: &[f32]) -> Vec<f32> {
        let level = self.core.levels[i];
        self.core.predict_clean(level, sample, model_output);
        if self.predict_x0 {
            return self.core.state.denoised.clone();
        }
        let (of_sample, of_output) = self.core.noise_factors(level);
        mix([(of_sample, sample), (of_output, model_output)])
    }

    /// Moves `sample` from level `from` to the next, by the predictions at `from` (the newest kept one) and before; the
    /// corrector has one at the end of the step, too.
    fn update(&self, from: usize, order: usize, sample: &[f32], at_end: Option<&[f32]>) -> Vec<f32> {
        let level = |i: usize| Level::from_ratio(self.core.sigmas[i]);
        let (start, end) = (level(from), level(from + 1));
        let h = end.lambda() - start.lambda();
        if h == 0.0 {
            return sample.to_vec();
        }
        let hh = if self.predict_x0 { -h } else { h };
        let b_h = if self.bh1 { hh } else { hh.exp_m1() };
        let (of_sample, scale) =
            if self.predict_x0 { (end.sigma / start.sigma, end.alpha) } else { (end.alpha / start.alpha, end.sigma) };

        // Where the predictions lie, in steps from `from`: the earlier ones, then the end.
        let mut places: Vec<f64> = (1..order).map(|back| (level(from - back).lambda() - start.lambda()) / h).collect();
        if at_end.is_some() {
            places.push(1.0);
        }
        let rhos = match (places.len(), at_end) {
            (0, _) => Vec::new(),
            // The paper's simplification for the lowest orders.
            (1, _) => vec![0.5],
            _ => solve_weights(&places, hh, b_h),
        };
        let state = &self.core.state;
        let mut of_newest = -scale * hh.exp_m1();
        let mut terms: Vec<(f64, &[f32])> = vec![(of_sample, sample)];
        for (k, (place, rho)) in places.iter().zip(&rhos).enumerate() {
            let weight = -scale * b_h * rho / place;
            of_newest -= weight;
            let output = match at_end {
                Some(output) if k + 1 == places.len() => output,
                _ => state.output(k + 1),
            };
            terms.push((weight, output));
        }
        terms.push((of_newest, state.output(0)));
        let mut out = vec![0.0; sample.len()];
        mix_into(&terms, &mut out);
        out
    }
}

/// Weights of the predictions at `places`, so that the update is exact for polynomials (the paper's equation 4 and
/// theorem 3.1: R rho = b).
fn solve_weights(places: &[f64], hh: f64, b_h: f64) -> Vec<f64> {
    let n = places.len();
    let mut phi = hh.exp_m1() / hh - 1.0;
    let mut factorial = 1.0;
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n);
    for power in 0..n {
        let mut row: Vec<f64> = places.iter().map(|place| place.powi(power as i32)).collect();
        row.push(phi * factorial / b_h);
        rows.push(row);
        factorial *= (power + 2) as f64;
        phi = phi / hh - 1.0 / factorial;
    }
    eliminate(rows)
}

/// Solves a linear system, given as rows with their right side last, by Gaussian elimination with partial pivoting.
fn eliminate(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let n = rows.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()));
        rows.swap(column, pivot.unwrap_or(column));
        let (done, below) = rows.split_at_mut(column + 1);
        let pivot_row = &done[column];
        for row in below {
            let factor = row[column] / pivot_row[column];
            row.iter_mut().zip(pivot_row).skip(column).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    let mut solution = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| rows[i][k] * solution[k]).sum();
        solution[i] = (rows[i][n] - known) / rows[i][i];
    }
    solution
}

impl Sampler for UniPc {
    shared_parts!();

    fn draws_noise(&self, _i: usize) -> bool {
        false
    }

    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], _noise: Option<&[f32]>) {
        let converted = self.convert(i, model_output, sample);
        let calls = self.core.state.calls;
        if let Some(last) = self.core.state.sample.take()
            && i > 0
            && !self.disable_corrector.contains(&(i - 1))
        {
            let corrected = self.update(i - 1, self.order_at(i - 1, calls - 1), &last, Some(&converted));
            sample.copy_from_slice(&corrected);
        }
        self.core.state.push_output(converted, self.order);
        let predicted = self.update(i, self.order_at(i, calls), sample, None);
        self.core.state.sample = Some(sample.to_vec());
        sample.copy_from_slice(&predicted);
        self.core.state.calls += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_systems_are_solved_with_a_zero_on_the_diagonal() {
        let solution = eliminate(vec![vec![0.0, 2.0, 4.0], vec![3.0, 1.0, 5.0]]);
        assert_eq!(solution, [1.0, 2.0]);
    }
}
