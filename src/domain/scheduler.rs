//! Names and settings of samplers and schedules, as diffusers' `scheduler_config.json` spells them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::UserError;

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
    /// DPM-Solver++ for the stochastic equation, with two evaluations a step (k-diffusion's `sample_dpmpp_sde`).
    #[serde(rename = "dpmpp_sde")]
    DpmPpSde,
    /// DPM-Solver++ (2S) (Lu et al. 2022): singlestep.
    #[serde(rename = "dpmpp_2s")]
    DpmPp2s,
    /// DPM-Solver-2 in the manner of Karras et al. 2022 (k-diffusion's `sample_dpm_2`).
    Dpm2,
    /// DPM2 with ancestral noise.
    Dpm2A,
    /// Linear multistep (k-diffusion's `sample_lms`).
    Lms,
    /// Zhao et al. 2023.
    #[serde(rename = "unipc")]
    UniPc,
    /// Latent consistency (Luo et al. 2023).
    Lcm,
    /// Trajectory consistency (Zheng et al. 2024).
    Tcd,
    /// Euler's method for flow-matching models, which no Stable Diffusion up to XL is.
    FlowMatchEuler,
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

impl SamplerId {
    /// Every sampler, in the order in which they are offered. (Not all to every model: see `sampling::samplers_for`.)
    pub const ALL: [Self; 17] = [
        Self::DpmPp2m,
        Self::DpmPp2mSde,
        Self::DpmPpSde,
        Self::DpmPp2s,
        Self::UniPc,
        Self::Euler,
        Self::EulerA,
        Self::Heun,
        Self::Dpm2,
        Self::Dpm2A,
        Self::Lms,
        Self::Ddim,
        Self::Pndm,
        Self::Ddpm,
        Self::Lcm,
        Self::Tcd,
        Self::FlowMatchEuler,
    ];

    /// Its name for people: the one that stable-diffusion-webui shows and writes into pictures.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ddpm => "DDPM",
            Self::Ddim => "DDIM",
            Self::Pndm => "PLMS",
            Self::Euler => "Euler",
            Self::EulerA => "Euler a",
            Self::Heun => "Heun",
            Self::DpmPp2m => "DPM++ 2M",
            Self::DpmPp2mSde => "DPM++ 2M SDE",
            Self::DpmPpSde => "DPM++ SDE",
            Self::DpmPp2s => "DPM++ 2S",
            Self::Dpm2 => "DPM2",
            Self::Dpm2A => "DPM2 a",
            Self::Lms => "LMS",
            Self::UniPc => "UniPC",
            Self::Lcm => "LCM",
            Self::Tcd => "TCD",
            Self::FlowMatchEuler => "Flow match Euler",
        }
    }

    /// Its name on the command line and in files of ours (the serde name).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ddpm => "ddpm",
            Self::Ddim => "ddim",
            Self::Pndm => "pndm",
            Self::Euler => "euler",
            Self::EulerA => "euler_a",
            Self::Heun => "heun",
            Self::DpmPp2m => "dpmpp_2m",
            Self::DpmPp2mSde => "dpmpp_2m_sde",
            Self::DpmPpSde => "dpmpp_sde",
            Self::DpmPp2s => "dpmpp_2s",
            Self::Dpm2 => "dpm2",
            Self::Dpm2A => "dpm2_a",
            Self::Lms => "lms",
            Self::UniPc => "unipc",
            Self::Lcm => "lcm",
            Self::Tcd => "tcd",
            Self::FlowMatchEuler => "flow_match_euler",
        }
    }

    /// How often the network is asked in each step.
    #[must_use]
    pub const fn evaluations_per_step(self) -> u32 {
        match self {
            Self::Heun | Self::Dpm2 | Self::Dpm2A | Self::DpmPpSde => 2,
            Self::Ddpm
            | Self::Ddim
            | Self::Pndm
            | Self::Euler
            | Self::EulerA
            | Self::DpmPp2m
            | Self::DpmPp2mSde
            | Self::DpmPp2s
            | Self::Lms
            | Self::UniPc
            | Self::Lcm
            | Self::Tcd
            | Self::FlowMatchEuler => 1,
        }
    }

    /// The sampler of a label or a name; case, spaces, `-` and `_` do not matter, and `++` may be written `pp`.
    #[must_use]
    pub fn from_label(text: &str) -> Option<Self> {
        let key = comparable(text);
        Self::ALL.into_iter().find(|id| comparable(id.label()) == key || comparable(id.name()) == key)
    }
}

impl fmt::Display for SamplerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SamplerId {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, UserError> {
        Self::from_label(text).ok_or_else(|| unknown("sampler", text, Self::ALL.map(Self::name).as_slice()))
    }
}

impl ScheduleId {
    /// Every schedule, in the order in which they are offered.
    pub const ALL: [Self; 6] =
        [Self::Automatic, Self::Karras, Self::Exponential, Self::Trailing, Self::Leading, Self::Linspace];

    /// Its name for people: the stable-diffusion-webui schedule type that visits the same noise levels.
    ///
    /// - `Trailing` is "Simple": every `T / n`-th training step counted from the last one, 999, 949, … for 20 steps.
    ///   "SGM Uniform" is a close relative (`n + 1` even points, the last left out) and is read as `Trailing` too.
    /// - `Leading` is "DDIM": every `T / n`-th training step counted from step 1, 951, …, 51, 1.
    /// - `Linspace` is "Uniform" (k-diffusion's own): `n` even points from the last training step to the first. "Normal"
    ///   is the same and is read so.
    ///
    /// Source: `modules/sd_schedulers.py` of stable-diffusion-webui 1.10.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Automatic => "Automatic",
            Self::Karras => "Karras",
            Self::Exponential => "Exponential",
            Self::Trailing => "Simple",
            Self::Leading => "DDIM",
            Self::Linspace => "Uniform",
        }
    }

    /// Its name on the command line and in files of ours (the serde name).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Karras => "karras",
            Self::Exponential => "exponential",
            Self::Trailing => "trailing",
            Self::Leading => "leading",
            Self::Linspace => "linspace",
        }
    }

    /// The schedule of a label or a name; case, spaces, `-` and `_` do not matter.
    #[must_use]
    pub fn from_label(text: &str) -> Option<Self> {
        let key = comparable(text);
        match key.as_str() {
            "sgmuniform" => Some(Self::Trailing),
            "normal" => Some(Self::Linspace),
            _ => Self::ALL.into_iter().find(|id| comparable(id.label()) == key || comparable(id.name()) == key),
        }
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ScheduleId {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, UserError> {
        Self::from_label(text).ok_or_else(|| unknown("schedule", text, Self::ALL.map(Self::name).as_slice()))
    }
}

/// A name as it is compared: `DPM++ 2M SDE` and `dpmpp_2m_sde` are one.
fn comparable(text: &str) -> String {
    text.trim().to_lowercase().replace("++", "pp").chars().filter(|c| !matches!(c, ' ' | '-' | '_')).collect()
}

fn unknown(what: &str, text: &str, names: &[&str]) -> UserError {
    UserError::input(format!("There is no {what} named \"{text}\""))
        .hint(format!("the names are: {}", names.join(", ")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sampler_and_schedule_is_found_by_label_name_and_serde_name() {
        for id in SamplerId::ALL {
            let serde_name = serde_json::to_value(id).unwrap();
            assert_eq!(serde_name, id.name());
            for text in [id.label(), id.name(), &id.label().to_uppercase(), &id.name().replace('_', "-")] {
                assert_eq!(text.parse::<SamplerId>().unwrap(), id, "{text}");
            }
        }
        for id in ScheduleId::ALL {
            let serde_name = serde_json::to_value(id).unwrap();
            assert_eq!(serde_name, id.name());
            for text in [id.label(), id.name(), &id.label().to_uppercase()] {
                assert_eq!(text.parse::<ScheduleId>().unwrap(), id, "{text}");
            }
        }
        assert_eq!(ScheduleId::from_label("SGM Uniform"), Some(ScheduleId::Trailing));
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "DPM++ 9M".parse::<SamplerId>().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("dpmpp_2m_sde"), "{error}");
        assert_eq!(SamplerId::from_label(""), None);
    }
}
