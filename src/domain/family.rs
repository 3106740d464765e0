//! What a model family can do, as data, so that the window and the command line need to know no family by name.

use serde::{Deserialize, Serialize};

use super::{ModelRef, PredictionType, SamplerId, ScheduleId};

/// The families that are built. One file and one row in `models::FAMILIES` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FamilyId {
    /// The small model inside the program: garments at 128 px.
    Starter,
    /// Stable Diffusion 1.x.
    Sd1,
    /// Latent consistency models of Stable Diffusion 1.
    Lcm,
    /// Stable Diffusion 2.x.
    Sd2,
    /// SD-Turbo.
    SdTurbo,
    /// Stable Diffusion XL.
    Sdxl,
    /// SDXL-Turbo.
    SdxlTurbo,
    /// Stable Diffusion 1 for inpainting.
    Sd1Inpaint,
    /// Stable Diffusion 2 for inpainting.
    Sd2Inpaint,
    /// Stable Diffusion XL for inpainting.
    SdxlInpaint,
}

impl FamilyId {
    /// Every family.
    pub const ALL: [Self; 10] = [
        Self::Starter,
        Self::Sd1,
        Self::Lcm,
        Self::Sd2,
        Self::SdTurbo,
        Self::Sdxl,
        Self::SdxlTurbo,
        Self::Sd1Inpaint,
        Self::Sd2Inpaint,
        Self::SdxlInpaint,
    ];
}

/// What a family can do and what it is best asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// Which family.
    pub family: FamilyId,
    /// Its name for people.
    pub label: &'static str,
    /// Both sides are multiples of this, in px.
    pub size_multiple_px: u32,
    /// Smallest side, in px.
    pub min_side_px: u32,
    /// Largest side, in px.
    pub max_side_px: u32,
    /// The side it was trained at, in px.
    pub native_side_px: u32,
    /// Presets: a name such as `3:2`, width and height in px.
    pub aspect_presets: &'static [(&'static str, u32, u32)],
    /// Steps to begin with.
    pub default_steps: u32,
    /// Guidance to begin with.
    pub default_guidance: f64,
    /// Sampler to begin with.
    pub default_sampler: SamplerId,
    /// Schedule to begin with.
    pub default_schedule: ScheduleId,
    /// A prompt that it answers well, shown at the first start.
    pub example_prompt: &'static str,
    /// Whether it paints parts of pictures anew and does nothing else: it needs a picture and a mask.
    pub needs_mask: bool,
}

/// What a loaded model turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// How it is asked for.
    pub model: ModelRef,
    /// Its name for people.
    pub name: String,
    /// Its family.
    pub family: FamilyId,
    /// What its network predicts.
    pub prediction_type: PredictionType,
    /// Number of parameters of all parts together.
    pub parameters: u64,
}
