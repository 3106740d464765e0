//! The tables of samplers and schedules.

use serde_json::Value;

use super::options::SamplerOptions;
use super::{Sampler, samplers};
use crate::domain::{Result, SamplerId, ScheduleId, UserError};

/// How a model was trained to see noise: it decides which samplers can step it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// Noise grows while the picture fades, at unit variance: every Stable Diffusion up to XL.
    Diffusion,
    /// Straight lines from the picture to noise (Lipman et al. 2022): Stable Diffusion 3 and later ones.
    FlowMatching,
}

impl ModelKind {
    /// The kind of a model, by its `scheduler_config.json`: diffusers' classes for flow matching say so in their names,
    /// and the others when they are used for it.
    #[must_use]
    pub fn of(json: &Value) -> Self {
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_flow = text("_class_name").starts_with("FlowMatch")
            || text("prediction_type") == "flow_prediction"
            || json.get("use_flow_sigmas") == Some(&Value::Bool(true));
        if is_flow { Self::FlowMatching } else { Self::Diffusion }
    }
}

/// One sampler: what a user reads of it, and how it is made.
pub struct SamplerRow {
    /// Its name in requests.
    pub id: SamplerId,
    /// The scheduler class of diffusers that it is.
    pub class: &'static str,
    /// What a user should know of it, in one sentence.
    pub tooltip: &'static str,
    /// Which schedules it can use.
    pub schedules: &'static [ScheduleId],
    /// Whether it draws noise while it steps, so that pictures keep changing with more steps. (DDIM and Euler only
    /// where the model's configuration says so.)
    pub draws_noise: bool,
    /// The models that it can step.
    pub kind: ModelKind,
    /// What its class reads, beside [`COMMON_KEYS`], from `scheduler_config.json` and from the arguments of
    /// `set_timesteps` and `step`.
    pub(super) reads: &'static [&'static str],
    /// Turns [`SamplerOptions::default`] into the defaults of the class.
    pub(super) defaults: fn(&mut SamplerOptions),
    /// Fixes what the sampler's name promises, whatever a model's configuration says.
    pub(super) settle: fn(&mut SamplerOptions),
    /// Makes it ready for a number of steps.
    pub(super) build: fn(&SamplerOptions, usize) -> Result<Box<dyn Sampler>>,
}

impl SamplerRow {
    /// Its name for people: [`SamplerId::label`].
    #[must_use]
    pub const fn label(&self) -> &'static str {
        self.id.label()
    }

    /// Its name on the command line and in files: [`SamplerId::name`].
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.id.name()
    }

    /// The options that diffusers' class has when nothing is given.
    #[must_use]
    pub fn class_defaults(&self) -> SamplerOptions {
        let mut options = SamplerOptions::default();
        (self.defaults)(&mut options);
        options
    }

    /// Looks for what the sampler cannot do, or what contradicts itself.
    ///
    /// # Errors
    /// With the first such thing.
    pub(super) fn check(&self, options: &SamplerOptions) -> Result<()> {
        let flow = options.use_flow_sigmas || options.use_dynamic_shifting;
        if flow && self.kind == ModelKind::Diffusion {
            return Err(UserError::input(format!("{} cannot be used for flow matching", self.label()))
                .hint(format!("use {}", names_for(ModelKind::FlowMatching))));
        }
        options.check()
    }

    /// Refuses a model of the other kind.
    ///
    /// # Errors
    /// When the model cannot be stepped by this sampler.
    pub(super) fn check_model(&self, kind: ModelKind) -> Result<()> {
        if kind == self.kind {
            return Ok(());
        }
        let sentence = match kind {
            ModelKind::Diffusion => format!("{} is for flow-matching models, which this one is not", self.label()),
            ModelKind::FlowMatching => format!("{} cannot be used with a flow-matching model", self.label()),
        };
        Err(UserError::input(sentence).hint(format!("use {}", names_for(kind))))
    }

    /// All that the class reads.
    pub(super) fn keys(&self) -> Vec<&'static str> {
        COMMON_KEYS.iter().chain(self.reads).copied().collect()
    }
}

/// What every class reads.
const COMMON_KEYS: &[&str] = &[
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "timestep_spacing",
    "steps_offset",
    "batch",
];

/// Every sampler, in the order in which they are offered.
pub static SAMPLERS: &[SamplerRow] = &[
    samplers::dpmpp_2m::ROW,
    samplers::dpmpp_2m_sde::ROW,
    samplers::dpmpp_sde::ROW,
    samplers::dpmpp_2s::ROW,
    samplers::unipc::ROW,
    samplers::euler::ROW,
    samplers::euler_a::ROW,
    samplers::heun::ROW,
    samplers::dpm2::ROW,
    samplers::dpm2_a::ROW,
    samplers::lms::ROW,
    samplers::ddim::ROW,
    samplers::pndm::ROW,
    samplers::ddpm::ROW,
    samplers::lcm::ROW,
    samplers::tcd::ROW,
    samplers::flow_match_euler::ROW,
];

/// The samplers to offer for a kind of model, in the order in which they are offered.
pub fn samplers_for(kind: ModelKind) -> impl Iterator<Item = SamplerId> {
    SAMPLERS.iter().filter(move |row| row.kind == kind).map(|row| row.id)
}

/// Their names, for a hint.
fn names_for(kind: ModelKind) -> String {
    let labels: Vec<&str> = samplers_for(kind).map(SamplerId::label).collect();
    labels.join(", ")
}

/// The row of a sampler.
#[must_use]
pub fn sampler_row(id: SamplerId) -> &'static SamplerRow {
    // Cannot fail: a test holds that the table has a row for every id.
    SAMPLERS.iter().find(|row| row.id == id).expect("every sampler has its row")
}

/// One schedule, as a user reads of it.
pub struct ScheduleRow {
    /// Its name in requests.
    pub id: ScheduleId,
    /// What a user should know of it, in one sentence.
    pub tooltip: &'static str,
}

impl ScheduleRow {
    /// Its name for people: [`ScheduleId::label`].
    #[must_use]
    pub const fn label(&self) -> &'static str {
        self.id.label()
    }
}

/// Every schedule, in the order in which they are offered.
pub static SCHEDULES: &[ScheduleRow] = &[
    ScheduleRow { id: ScheduleId::Automatic, tooltip: "What the model was published with; the safe choice." },
    ScheduleRow {
        id: ScheduleId::Karras,
        tooltip: "More of the steps at low noise, where detail forms; often better with 10 to 30 steps.",
    },
    ScheduleRow {
        id: ScheduleId::Exponential,
        tooltip: "Noise falls by the same factor at every step; smoother pictures with simpler backgrounds.",
    },
    ScheduleRow {
        id: ScheduleId::Trailing,
        tooltip: "Even steps from the very noisiest level down; for models made for few steps and for velocity models.",
    },
    ScheduleRow {
        id: ScheduleId::Leading,
        tooltip: "Even steps that leave out the noisiest levels, as the first Stable Diffusion did.",
    },
    ScheduleRow {
        id: ScheduleId::Linspace,
        tooltip: "Even steps over the whole range, the noisiest and the cleanest level included.",
    },
];

/// The row of a schedule.
#[must_use]
pub fn schedule_row(id: ScheduleId) -> &'static ScheduleRow {
    // Cannot fail: a test holds that the table has a row for every id.
    SCHEDULES.iter().find(|row| row.id == id).expect("every schedule has its row")
}
