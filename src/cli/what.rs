//! What pictures are asked for on the command line: the arguments that `atelier generate` and `atelier grid` share.

use std::time::{SystemTime, UNIX_EPOCH};

use super::extras::Extras;
use super::size::Size;
use super::styles;
use crate::domain::{Extend, GenerateRequest, ModelRef, Result, SamplerId, ScheduleId};
use crate::library::read_picture;
use crate::models::Model;

/// A prompt, and how it becomes a picture.
#[derive(clap::Args)]
pub struct What {
    /// What to draw.
    prompt: String,
    /// What to steer away from.
    #[arg(long, default_value = "", value_name = "TEXT")]
    negative: String,
    /// A style of yours that the prompts are put into; may be given several times.
    #[arg(long = "style", value_name = "NAME")]
    styles: Vec<String>,
    /// The model: `starter`, a diffusers folder, or a file (.safetensors, .ckpt).
    #[arg(long, default_value = "starter", value_name = "NAME|PATH")]
    pub model: String,
    #[command(flatten)]
    pub extras: Extras,
    /// Width and height in px [default: the model's own].
    #[arg(long, value_name = "WxH")]
    size: Option<Size>,
    /// Denoising steps [default: the model's own].
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// Guidance scale; 1 is off [default: the model's own].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// Sampler, such as `dpmpp_2m` or "Euler a" [default: the model's own].
    #[arg(long, value_name = "NAME")]
    sampler: Option<SamplerId>,
    /// Noise schedule, such as `karras` [default: the model's own].
    #[arg(long, value_name = "NAME")]
    schedule: Option<ScheduleId>,
    /// Seed of the first picture [default: a new one].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl What {
    /// The request, with what is not said as the model that was loaded is best asked.
    ///
    /// # Errors
    /// When a style is not there, or the picture to begin with must be measured and cannot be read.
    pub fn request(self, model: ModelRef, loaded: &Model, count: u32) -> Result<GenerateRequest> {
        let family = &loaded.family.capabilities;
        let (prompt, negative_prompt) = styles::put_into(&self.styles, &self.prompt, &self.negative)?;
        let (width_px, height_px) = match (self.size, self.extras.extended()) {
            (Some(size), _) => (size.width_px, size.height_px),
            // Its own px stay: the canvas grows around them.
            (None, Some(picture)) => {
                let read = read_picture(picture)?;
                let whole = |px: u32| px / Extend::MULTIPLE_PX * Extend::MULTIPLE_PX;
                (whole(read.width_px), whole(read.height_px))
            }
            (None, None) => (family.native_side_px, family.native_side_px),
        };
        let request = GenerateRequest {
            prompt,
            negative_prompt,
            model,
            width_px,
            height_px,
            num_inference_steps: self.steps.unwrap_or(family.default_steps),
            guidance_scale: self.guidance.unwrap_or(family.default_guidance),
            sampler: self.sampler.unwrap_or(family.default_sampler),
            schedule: self.schedule.unwrap_or(family.default_schedule),
            seed: self.seed.unwrap_or_else(new_seed),
            count,
            ..GenerateRequest::default()
        };
        Ok(self.extras.into_request(request))
    }
}

/// A seed that has not been used lately: other tools use 32 bits, and so do we, so that it can be typed there.
pub fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Knuth's multiplicative hash spreads neighbouring times.
    (now.as_nanos() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}
