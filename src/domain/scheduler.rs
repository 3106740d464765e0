//! Names and settings of samplers and schedules, as diffusers' `scheduler_config.json` spells them.

use serde::{Deserialize, Serialize};

/// How to step from one noise level to the next. One file and one row in `sampling::SAMPLERS` each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerId {
    /// Ancestral sampling of the training process (Ho et al. 2020).
    Ddpm,
    /// Song et al. 2020, with `eta`.
    Ddim,
    /// Pseudo linear multistep (Liu et al. 2022).
    Pndm,
    /// Karras et al. 2022, algorithm 2 without churn.
    Euler,
    /// Euler with ancestral noise.
    EulerA,
    /// Karras et al. 2022, algorithm 2 with the second-order correction.
    Heun,
    /// DPM-Solver++ (2M) (Lu et al. 2022).
    #[default]
    #[serde(rename = "dpmpp_2m")]
    DpmPp2m,
    /// DPM-Solver++ (2M) with noise.
    #[serde(rename = "dpmpp_2m_sde")]
    DpmPp2mSde,
    /// Zhao et al. 2023.
    #[serde(rename = "unipc")]
    UniPc,
    /// Latent consistency (Luo et al. 2023).
    Lcm,
}

/// Which noise levels to step through, apart from how to step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleId {
    /// What the model's own scheduler configuration says.
    #[default]
    Automatic,
    /// Karras et al. 2022, rho 7.
    Karras,
    /// Evenly spaced in log sigma.
    Exponential,
    /// Timesteps counted from the end: the last training step is the first.
    Trailing,
    /// Timesteps counted from the start, as Stable Diffusion 1 does.
    Leading,
    /// Timesteps evenly over the whole range, both ends included.
    Linspace,
}

/// What the network predicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise.
    #[default]
    Epsilon,
    /// The velocity `sqrt(alpha) noise - sqrt(1 - alpha) sample`.
    VPrediction,
    /// The clean sample.
    Sample,
}

/// How beta grows over the training steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Linear in beta.
    Linear,
    /// Linear in the square root of beta: Stable Diffusion's.
    #[default]
    ScaledLinear,
    /// The cosine of Nichol and Dhariwal 2021.
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredcosCapV2,
}

/// Where on the training steps the sampling steps lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepSpacing {
    /// Multiples of `T / n` from the start, plus `steps_offset`.
    #[default]
    Leading,
    /// Multiples of `T / n` from the end.
    Trailing,
    /// `n` points over the whole range.
    Linspace,
}

/// The spacing of sigmas, where it is not that of the timesteps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseSchedule {
    /// At the timesteps.
    #[default]
    Timesteps,
    /// Karras et al. 2022, rho 7.
    Karras,
    /// Evenly in log sigma.
    Exponential,
}

/// A model's `scheduler/scheduler_config.json`, as far as it is the model's and not the sampler's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerConfig {
    /// Training steps, `T`.
    pub num_train_timesteps: usize,
    /// First beta.
    pub beta_start: f64,
    /// Last beta.
    pub beta_end: f64,
    /// How beta grows between them.
    pub beta_schedule: BetaSchedule,
    /// Betas given one by one, instead of the three fields above.
    pub trained_betas: Option<Vec<f64>>,
    /// What the network predicts.
    pub prediction_type: PredictionType,
    /// Where the sampling steps lie.
    pub timestep_spacing: TimestepSpacing,
    /// Added to every timestep of the leading spacing.
    pub steps_offset: usize,
    /// Whether betas are rescaled so that the last step is pure noise (Lin et al. 2023).
    pub rescale_betas_zero_snr: bool,
    /// Whether the step before the first has alpha 1 (else that of timestep 0).
    pub set_alpha_to_one: bool,
}

impl Default for SchedulerConfig {
    /// Stable Diffusion 1's training schedule.
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 0.000_85,
            beta_end: 0.012,
            beta_schedule: BetaSchedule::ScaledLinear,
            trained_betas: None,
            prediction_type: PredictionType::Epsilon,
            timestep_spacing: TimestepSpacing::Leading,
            steps_offset: 1,
            rescale_betas_zero_snr: false,
            set_alpha_to_one: false,
        }
    }
}
