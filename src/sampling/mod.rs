//! Floor 1: which noise levels to step through and how to step, on plain slices. No tensors, no I/O.
//!
//! Two things are independent: a schedule (timesteps and sigmas, in f64) and a sampler (how to get from one noise level
//! to the next). A sampler is a file in `samplers/` and a row in [`SAMPLERS`]. The network is not known here: the caller
//! evaluates it and hands its output to [`Sampler::step`], together with noise where the step draws some.

pub mod base;
mod beta_distribution;
pub mod branch;
pub mod counter;
pub mod guidance;
pub mod noise;
pub mod options;
mod samplers;
pub mod sigmas;
pub mod spacing;
mod table;
pub mod training_schedule;
pub mod variation;

use serde_json::Value;

pub use base::{Core, Level, SamplerState, Scaling};
pub use branch::{Branch, calls_after, step_after, take_over};
pub use counter::CounterRng;
pub use noise::{TorchCpuRng, unit_normal};
pub use options::SamplerOptions;
pub use table::{ModelKind, SAMPLERS, SCHEDULES, SamplerRow, ScheduleRow, sampler_row, samplers_for, schedule_row};
pub use training_schedule::TrainingSchedule;
pub use variation::StartNoise;

use crate::domain::{Result, SamplerId, ScheduleId, SchedulerConfig, TimestepSpacing, UserError};

/// One way to get from noise to a picture, prepared for a number of steps.
///
/// Samples are slices of any shape, the same at every call. A picture begins as unit-normal noise times
/// [`Self::init_noise_sigma`]; then, for each `i` in `0..timesteps().len()`: [`Self::scale_model_input`], the network
/// with `timesteps()[i]`, [`Self::step`]. One may begin at a later `i` (a multiple of [`Self::order`]) with
/// [`Self::add_noise`]d latents, but not skip or repeat a step after that.
pub trait Sampler: Send {
    /// What all samplers have.
    fn core(&self) -> &Core;

    /// The same, to be changed.
    fn core_mut(&mut self) -> &mut Core;

    /// Steps `sample` from noise level `i` to the next, by what the network said to it.
    ///
    /// # Panics
    /// When the slices differ in length, or [`Self::draws_noise`] is true and `noise` is `None`.
    fn step(&mut self, i: usize, model_output: &[f32], sample: &mut [f32], noise: Option<&[f32]>);

    /// Whether step `i` takes unit-normal noise.
    fn draws_noise(&self, i: usize) -> bool;

    /// A copy, with its state.
    fn boxed_clone(&self) -> Box<dyn Sampler>;

    /// What the network is told at each evaluation.
    fn timesteps(&self) -> &[f64] {
        &self.core().timesteps
    }

    /// What schedules call sigma, at each evaluation, then the one after the last step: the ratio of noise to signal, or
    /// for flow matching the share of noise. Where a step of two evaluations has its second at a midpoint, here stands
    /// the sigma that the step ends at, as in diffusers.
    fn sigmas(&self) -> &[f64] {
        &self.core().sigmas
    }

    /// What unit-normal noise is multiplied by to begin with.
    fn init_noise_sigma(&self) -> f64 {
        self.core().init_noise_sigma
    }

    /// How many evaluations make a step.
    fn order(&self) -> usize {
        self.core().order
    }

    /// Writes what the network sees at evaluation `i`.
    fn scale_model_input(&self, i: usize, sample: &[f32], out: &mut [f32]) {
        let factor = match self.core().scaling {
            Scaling::UnitVariance | Scaling::Straight => 1.0,
            Scaling::UnitSignal => self.core().levels[i].alpha,
        };
        base::mix_into(&[(factor, sample)], out);
    }

    /// Writes the `clean` sample as it is at evaluation `i`, with unit-normal `noise`.
    fn add_noise(&self, i: usize, clean: &[f32], noise: &[f32], out: &mut [f32]) {
        let level = self.core().levels[i];
        match self.core().scaling {
            Scaling::UnitVariance | Scaling::Straight => {
                base::mix_into(&[(level.alpha, clean), (level.sigma, noise)], out);
            }
            Scaling::UnitSignal => base::mix_into(&[(1.0, clean), (level.ratio(), noise)], out),
        }
    }

    /// The clean sample as predicted at the last step, for a preview; empty before the first.
    fn denoised(&self) -> &[f32] {
        &self.core().state.denoised
    }

    /// What is carried from step to step. With the latents and the number of steps done it is all that a picture needs
    /// to go on later.
    fn state(&self) -> &SamplerState {
        &self.core().state
    }

    /// Goes on from a state that was kept.
    fn set_state(&mut self, state: SamplerState) {
        self.core_mut().state = state;
    }

    /// Begins at evaluation `i` (a multiple of [`Self::order`]) with nothing to look back at, and latents that another
    /// sampler has come to.
    fn begin_at(&mut self, _i: usize) {
        self.set_state(SamplerState::default());
    }
}

/// The sampler that a user chose, for a model.
///
/// `json` is the model's `scheduler_config.json`, whatever class it is for; `config` is the part of it that belongs to
/// the model. Options that the file does not give are those of the class in diffusers, but predictions are never clipped
/// unless the file says so: latents are not pixels.
///
/// # Errors
/// When the sampler cannot use the schedule or the kind of model, the steps are too many, or the configuration asks for what is not built.
pub fn build(
    id: SamplerId,
    schedule: ScheduleId,
    config: &SchedulerConfig,
    json: &Value,
    steps: usize,
) -> Result<Box<dyn Sampler>> {
    let row = sampler_row(id);
    row.check_model(ModelKind::of(json))?;
    if !row.schedules.contains(&schedule) {
        let names: Vec<&str> = row.schedules.iter().map(|schedule| schedule.label()).collect();
        return Err(UserError::input(format!("{} cannot use the schedule {}", row.label(), schedule.label()))
            .hint(format!("it can use {}", names.join(", "))));
    }
    let mut options = row.class_defaults();
    options.clip_sample = false;
    let mut options = options.overlaid(json, &row.keys())?;
    let spacing = match json.get("timestep_spacing") {
        Some(Value::String(_)) => config.timestep_spacing,
        _ => options.model.timestep_spacing,
    };
    let rescale_betas_zero_snr = options.model.rescale_betas_zero_snr;
    options.model = SchedulerConfig { timestep_spacing: spacing, rescale_betas_zero_snr, ..config.clone() };
    (row.settle)(&mut options);
    apply_schedule(&mut options, schedule);
    row.check(&options)?;
    (row.build)(&options, steps)
}

/// The sampler that diffusers would build: class `class` with the configuration `config`, `set_timesteps(steps)` and
/// `step` called with `arguments` (an object; empty for none). What is not given is the class's own default.
///
/// # Errors
/// When there is no sampler for the class, or as [`build`].
pub fn from_diffusers(class: &str, config: &Value, arguments: &Value, steps: usize) -> Result<Box<dyn Sampler>> {
    let row = SAMPLERS.iter().find(|row| row.class == class).ok_or_else(|| {
        UserError::input(format!("There is no sampler for the scheduler class {class}"))
            .hint("choose a sampler instead of the model's own")
    })?;
    let keys = row.keys();
    let options = row.class_defaults().overlaid(config, &keys)?.overlaid(arguments, &keys)?;
    row.check(&options)?;
    (row.build)(&options, steps)
}

/// Puts the user's choice in the place of the model's.
fn apply_schedule(options: &mut SamplerOptions, schedule: ScheduleId) {
    if schedule == ScheduleId::Automatic {
        return;
    }
    options.use_karras_sigmas = schedule == ScheduleId::Karras;
    options.use_exponential_sigmas = schedule == ScheduleId::Exponential;
    options.use_beta_sigmas = false;
    options.use_lu_lambdas = false;
    options.interpolation_type = options::Interpolation::Linear;
    match schedule {
        ScheduleId::Automatic | ScheduleId::Karras | ScheduleId::Exponential => {}
        ScheduleId::Trailing => options.model.timestep_spacing = TimestepSpacing::Trailing,
        ScheduleId::Leading => options.model.timestep_spacing = TimestepSpacing::Leading,
        ScheduleId::Linspace => options.model.timestep_spacing = TimestepSpacing::Linspace,
    }
}

#[cfg(test)]
mod tests;
