//! Everything that can be said to a sampler, under the names that diffusers uses.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{BetaSchedule, PredictionType, Result, SchedulerConfig, TimestepSpacing, UserError};

/// The union of what diffusers' schedulers read from `scheduler_config.json` and from the arguments of `set_timesteps`
/// and `step`. Each sampler reads what concerns it and leaves the rest.
///
/// Names, meanings and (in [`Default`]) values are those of diffusers 0.42, where not said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own in scheduler_config.json")]
pub struct SamplerOptions {
    /// What belongs to the model: training steps, betas, prediction type, spacing.
    #[serde(flatten)]
    pub model: SchedulerConfig,

    /// Space the sigmas as Karras et al. 2022 do, with rho 7.
    pub use_karras_sigmas: bool,
    /// Space the sigmas evenly in log sigma.
    pub use_exponential_sigmas: bool,
    /// Space the sigmas by the beta distribution (Lee et al. 2024, "Beta sampling is all you need").
    pub use_beta_sigmas: bool,
    /// Space the sigmas evenly in lambda (Lu et al. 2022); DPM++ only.
    pub use_lu_lambdas: bool,
    /// Another class used for flow matching: refused.
    pub use_flow_sigmas: bool,
    /// Flow matching: shift the sigmas by `mu` instead of `shift`. Refused elsewhere.
    pub use_dynamic_shifting: bool,
    /// Flow matching: factor of noise to signal by which sigmas are raised.
    pub shift: f64,
    /// Flow matching: the shift that belongs to a picture's size; its logarithm where `time_shift_type` is exponential.
    pub mu: Option<f64>,
    /// Flow matching: what `mu` is.
    pub time_shift_type: TimeShift,
    /// Flow matching: the sigma that the last evaluation is at, all others being stretched to fit.
    pub shift_terminal: Option<f64>,
    /// Flow matching: sigmas that count the signal, not the noise; refused.
    pub invert_sigmas: bool,
    /// Flow matching: new noise at every step.
    pub stochastic_sampling: bool,
    /// How Euler finds sigmas between training steps.
    pub interpolation_type: Interpolation,
    /// What Euler tells the network: `continuous` is refused for v-prediction, where it would change the timesteps.
    pub timestep_type: TimestepType,
    /// The smallest sigma of a spacing, where it is not the schedule's own.
    pub sigma_min: Option<f64>,
    /// The largest sigma of a spacing, where it is not the schedule's own.
    pub sigma_max: Option<f64>,
    /// The sigma after the last step.
    pub final_sigmas_type: FinalSigma,
    /// DPM++: training steps below this log signal-to-noise are not visited. `None` is minus infinity.
    pub lambda_min_clipped: Option<f64>,

    /// Clip the predicted clean sample to `clip_sample_range` (for pixels, not latents).
    pub clip_sample: bool,
    /// See `clip_sample`.
    pub clip_sample_range: f64,
    /// Dynamic thresholding of the predicted clean sample (Saharia et al. 2022; for pixels, not latents).
    pub thresholding: bool,
    /// The quantile that dynamic thresholding keeps.
    pub dynamic_thresholding_ratio: f64,
    /// The largest threshold.
    pub sample_max_value: f64,
    /// How many samples lie one after another in the slices; only dynamic thresholding looks at it. (Ours.)
    pub batch: usize,

    /// DDPM's variance of a step.
    pub variance_type: Variance,
    /// The share of noise: 0 none, 1 as much as DDPM (DDIM) or all (TCD, where the paper calls it gamma).
    pub eta: f64,
    /// PNDM: begin with the linear multistep method instead of three Runge-Kutta steps.
    pub skip_prk_steps: bool,
    /// Euler: how much noise to add before each step (Karras et al. 2022, algorithm 2).
    pub s_churn: f64,
    /// Euler: the smallest sigma at which to add noise.
    pub s_tmin: f64,
    /// Euler: the largest sigma at which to add noise. `None` is infinity.
    pub s_tmax: Option<f64>,
    /// Euler: the deviation of that noise. DPM++ SDE: of the noise of every step.
    pub s_noise: f64,
    /// DPM++ SDE: the noise of a step's two evaluations lies on one Brownian path, as diffusers takes it from torchsde;
    /// else the two are independent. (Ours.)
    pub brownian_path: bool,

    /// DPM++ and `UniPC`: how many predictions a step may look at.
    pub solver_order: usize,
    /// DPM++: which equation to solve.
    pub algorithm_type: Algorithm,
    /// DPM++ and `UniPC`: which formula.
    pub solver_type: Solver,
    /// DPM++ and `UniPC`: lower the order towards the end (DPM++ for fewer than 15 steps).
    pub lower_order_final: bool,
    /// DPM++: the last step is of first order.
    pub euler_at_final: bool,
    /// `UniPC`: work on the clean sample (else on the noise).
    pub predict_x0: bool,
    /// `UniPC`: steps after which the corrector is left out.
    pub disable_corrector: Vec<usize>,
    /// `UniPC`: another scheduler as predictor; refused.
    pub solver_p: Option<Value>,

    /// LCM and TCD: steps of the schedule that was distilled.
    pub original_inference_steps: usize,
    /// LCM: factor of the timestep in the boundary condition.
    pub timestep_scaling: f64,
}

/// How Euler finds sigmas between training steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// At the timesteps, linearly.
    Linear,
    /// Evenly in log sigma over the whole training range.
    LogLinear,
}

/// What Euler tells the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepType {
    /// The training step.
    Discrete,
    /// A quarter of log sigma.
    Continuous,
}

/// What `mu` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeShift {
    /// The logarithm of the shift.
    Exponential,
    /// The shift itself.
    Linear,
}

/// The sigma after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalSigma {
    /// None: the clean sample.
    Zero,
    /// The smallest of the training schedule.
    SigmaMin,
}

/// DDPM's variance of a step. `learned` ones are refused: Stable Diffusion networks do not predict them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// That of the posterior.
    FixedSmall,
    /// The same, used as a deviation by way of its logarithm.
    FixedSmallLog,
    /// Beta.
    FixedLarge,
}

/// Which equation DPM++ solves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// DPM-Solver (Lu et al. 2022a): the ODE, on the noise.
    #[serde(rename = "dpmsolver")]
    DpmSolver,
    /// DPM-Solver++ (Lu et al. 2022b): the ODE, on the clean sample.
    #[serde(rename = "dpmsolver++", alias = "deis")]
    DpmSolverPlusPlus,
    /// The SDE, on the noise.
    #[serde(rename = "sde-dpmsolver")]
    SdeDpmSolver,
    /// The SDE, on the clean sample.
    #[serde(rename = "sde-dpmsolver++")]
    SdeDpmSolverPlusPlus,
}

impl Algorithm {
    /// Whether noise is drawn.
    #[must_use]
    pub fn is_sde(self) -> bool {
        matches!(self, Self::SdeDpmSolver | Self::SdeDpmSolverPlusPlus)
    }

    /// Whether predictions are turned into clean samples (else into noise).
    #[must_use]
    pub fn predicts_x0(self) -> bool {
        matches!(self, Self::DpmSolverPlusPlus | Self::SdeDpmSolverPlusPlus)
    }
}

/// The formula of a multistep solver. A configuration may carry another class's: DPM++ takes every foreign one for
/// `midpoint` and `UniPC` for `bh2`, as diffusers does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Solver {
    /// DPM++.
    Midpoint,
    /// DPM++.
    Heun,
    /// `UniPC`: B(h) = h.
    Bh1,
    /// `UniPC`: B(h) = e^h - 1.
    Bh2,
    /// DEIS.
    LogRho,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        let model = SchedulerConfig {
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            trained_betas: None,
            prediction_type: PredictionType::Epsilon,
            timestep_spacing: TimestepSpacing::Linspace,
            steps_offset: 0,
            rescale_betas_zero_snr: false,
            set_alpha_to_one: false,
        };
        Self {
            model,
            use_karras_sigmas: false,
            use_exponential_sigmas: false,
            use_beta_sigmas: false,
            use_lu_lambdas: false,
            use_flow_sigmas: false,
            use_dynamic_shifting: false,
            shift: 1.0,
            mu: None,
            time_shift_type: TimeShift::Exponential,
            shift_terminal: None,
            invert_sigmas: false,
            stochastic_sampling: false,
            interpolation_type: Interpolation::Linear,
            timestep_type: TimestepType::Discrete,
            sigma_min: None,
            sigma_max: None,
            final_sigmas_type: FinalSigma::Zero,
            lambda_min_clipped: None,
            clip_sample: false,
            clip_sample_range: 1.0,
            thresholding: false,
            dynamic_thresholding_ratio: 0.995,
            sample_max_value: 1.0,
            batch: 1,
            variance_type: Variance::FixedSmall,
            eta: 0.0,
            skip_prk_steps: false,
            s_churn: 0.0,
            s_tmin: 0.0,
            s_tmax: None,
            s_noise: 1.0,
            brownian_path: true,
            solver_order: 2,
            algorithm_type: Algorithm::DpmSolverPlusPlus,
            solver_type: Solver::Midpoint,
            lower_order_final: true,
            euler_at_final: false,
            predict_x0: true,
            disable_corrector: Vec::new(),
            solver_p: None,
            original_inference_steps: 50,
            timestep_scaling: 10.0,
        }
    }
}

impl SamplerOptions {
    /// These options with what `json` says about `keys` laid over them.
    ///
    /// Other keys are left, since a configuration may come from another class, as is `null`, which diffusers writes for
    /// what was not given.
    ///
    /// # Errors
    /// When a value is of the wrong kind, or a name that is not known.
    pub fn overlaid(&self, json: &Value, keys: &[&str]) -> Result<Self> {
        let unreadable =
            |error: serde_json::Error| UserError::input(format!("The scheduler configuration cannot be used: {error}"));
        let Value::Object(given) = json else {
            return Err(UserError::input("The scheduler configuration is not a JSON object"));
        };
        let mut merged: Map<String, Value> =
            serde_json::to_value(self).and_then(serde_json::from_value).map_err(unreadable)?;
        for key in keys {
            if let Some(value) = given.get(*key).filter(|value| !value.is_null()) {
                merged.insert((*key).to_owned(), value.clone());
            }
        }
        serde_json::from_value(Value::Object(merged)).map_err(unreadable)
    }

    /// Looks for what no sampler here can do, or what contradicts itself.
    ///
    /// # Errors
    /// With the first such thing.
    pub fn check(&self) -> Result<()> {
        let spacings = [self.use_karras_sigmas, self.use_exponential_sigmas, self.use_beta_sigmas, self.use_lu_lambdas];
        if spacings.into_iter().filter(|on| *on).count() > 1 {
            return Err(UserError::input("The scheduler configuration asks for more than one spacing of sigmas"));
        }
        if self.invert_sigmas {
            return Err(UserError::input("Flow matching with inverted sigmas (invert_sigmas) is not built"));
        }
        if self.use_dynamic_shifting && self.mu.is_none() {
            let sentence =
                "The scheduler configuration shifts sigmas by the picture's size and was not told how far (mu)";
            return Err(UserError::input(sentence));
        }
        if self.solver_p.is_some() {
            return Err(UserError::input("A scheduler within a scheduler (solver_p) is not built"));
        }
        let continuous = self.timestep_type == TimestepType::Continuous;
        if continuous && self.model.prediction_type == PredictionType::VPrediction {
            return Err(UserError::input("Continuous timesteps (timestep_type) are not built"));
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let sane = self.model.num_train_timesteps >= 2
            && self.batch > 0
            && self.solver_order > 0
            && self.original_inference_steps > 0
            && [self.sigma_min, self.sigma_max].into_iter().flatten().all(positive)
            && positive(self.shift)
            && self.mu.is_none_or(|mu| mu.is_finite() && (self.time_shift_type == TimeShift::Exponential || mu > 0.0))
            && self.shift_terminal.is_none_or(|sigma| (0.0..1.0).contains(&sigma))
            && (0.0..=1.0).contains(&self.dynamic_thresholding_ratio)
            && (0.0..=1.0).contains(&self.eta)
            && self.s_churn >= 0.0
            && self.s_noise >= 0.0;
        if !sane {
            return Err(UserError::input("The scheduler configuration has a number outside its range"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn overlaid(json: &Value) -> Result<SamplerOptions> {
        let keys: Vec<&str> = json.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
        SamplerOptions::default().overlaid(json, &keys)
    }

    #[test]
    fn a_configuration_is_laid_over_the_defaults() {
        let json = json!({"_class_name": "X", "beta_start": 0.1, "solver_type": "bh1", "variance_type": null});
        let options = overlaid(&json).unwrap();
        assert_eq!((options.model.beta_start, options.model.beta_end), (0.1, 0.02));
        assert_eq!((options.solver_type, options.variance_type), (Solver::Bh1, Variance::FixedSmall));
        let other = SamplerOptions::default().overlaid(&json, &["beta_end"]).unwrap();
        assert_eq!(other, SamplerOptions::default());
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for json in [
            json!({"beta_schedule": "sigmoid"}),
            json!({"prediction_type": "flow_prediction"}),
            json!({"variance_type": "learned_range"}),
            json!({"solver_order": "two"}),
            json!([]),
        ] {
            assert!(overlaid(&json).is_err(), "{json}");
        }
        for json in [
            json!({"use_karras_sigmas": true, "use_beta_sigmas": true}),
            json!({"invert_sigmas": true}),
            json!({"use_dynamic_shifting": true}),
            json!({"use_dynamic_shifting": true, "time_shift_type": "linear", "mu": -0.5}),
            json!({"shift": 0.0}),
            json!({"shift_terminal": 1.0}),
            json!({"timestep_type": "continuous", "prediction_type": "v_prediction"}),
            json!({"num_train_timesteps": 1}),
            json!({"sigma_min": -1.0}),
            json!({"solver_order": 0}),
        ] {
            assert!(overlaid(&json).unwrap().check().is_err(), "{json}");
        }
    }
}
