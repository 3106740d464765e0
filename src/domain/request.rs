//! [`GenerateRequest`]: everything that makes a picture.
//!
//! The window edits it, the command line builds it, the PNG carries it, `replay` reads it: one type, so that nothing
//! that changes a picture can be forgotten in one of these places.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Capabilities, SamplerId, ScheduleId};

/// Bounds that hold for every family.
pub mod limits {
    /// Most steps: DPM++ and `UniPC` space `steps + 1` points over 1000 training steps, so 999 is the arithmetic end.
    pub const MAX_STEPS: u32 = 500;
    /// Largest guidance scale that is accepted.
    pub const MAX_GUIDANCE: f64 = 100.0;
    /// Most pictures of one request.
    pub const MAX_COUNT: u32 = 1000;
    /// Longest prompt, in bytes. CLIP reads 75 tokens; the rest is cut with a notice.
    pub const MAX_PROMPT_BYTES: usize = 100_000;
}

/// Which model to use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelRef {
    /// The small model inside the program.
    #[default]
    Starter,
    /// A diffusers folder.
    Path(PathBuf),
}

impl ModelRef {
    /// The name a user types for the embedded model.
    pub const STARTER_NAME: &'static str = "starter";

    /// Reads what a user typed: `starter`, else a path.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.eq_ignore_ascii_case(Self::STARTER_NAME) { Self::Starter } else { Self::Path(PathBuf::from(text)) }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starter => f.write_str(Self::STARTER_NAME),
            Self::Path(path) => match path.file_name() {
                Some(name) => f.write_str(&name.to_string_lossy()),
                None => write!(f, "{}", path.display()),
            },
        }
    }
}

/// Everything that makes a picture. Picture `i` of `count` uses seed `seed + i`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerateRequest {
    /// What to draw.
    pub prompt: String,
    /// What to steer away from; empty for nothing in particular.
    pub negative_prompt: String,
    /// Which model draws it.
    pub model: ModelRef,
    /// Width in px, a multiple of 8.
    pub width_px: u32,
    /// Height in px, a multiple of 8.
    pub height_px: u32,
    /// How many denoising steps.
    pub num_inference_steps: u32,
    /// Classifier-free guidance: 1 is off.
    pub guidance_scale: f64,
    /// How to step.
    pub sampler: SamplerId,
    /// Which noise levels to step through.
    pub schedule: ScheduleId,
    /// The seed of the first picture, in the meaning of `torch.manual_seed` on a CPU.
    pub seed: u64,
    /// How many pictures.
    pub count: u32,
}

impl Default for GenerateRequest {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            negative_prompt: String::new(),
            model: ModelRef::Starter,
            width_px: 128,
            height_px: 128,
            num_inference_steps: 20,
            guidance_scale: 4.0,
            sampler: SamplerId::DpmPp2m,
            schedule: ScheduleId::Automatic,
            seed: 0,
            count: 1,
        }
    }
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, in the request's own spelling.
    pub field: &'static str,
    /// A sentence for the user.
    pub sentence: String,
}

impl GenerateRequest {
    /// Every problem at once, so that a user mends a form in one go. Empty when the request can run.
    #[must_use]
    pub fn validate(&self, family: &Capabilities) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |field, sentence| problems.push(Problem { field, sentence });
        for (field, name, side) in [("width_px", "width", self.width_px), ("height_px", "height", self.height_px)] {
            if side % family.size_multiple_px != 0 || side < family.min_side_px || side > family.max_side_px {
                add(
                    field,
                    format!(
                        "The {name} must be a multiple of {} from {} to {} px, not {side}",
                        family.size_multiple_px, family.min_side_px, family.max_side_px
                    ),
                );
            }
        }
        if self.num_inference_steps == 0 || self.num_inference_steps > limits::MAX_STEPS {
            let sentence =
                format!("The steps must be from 1 to {}, not {}", limits::MAX_STEPS, self.num_inference_steps);
            add("num_inference_steps", sentence);
        }
        if !(0.0..=limits::MAX_GUIDANCE).contains(&self.guidance_scale) {
            let sentence =
                format!("The guidance must be from 0 to {}, not {}", limits::MAX_GUIDANCE, self.guidance_scale);
            add("guidance_scale", sentence);
        }
        if self.count == 0 || self.count > limits::MAX_COUNT {
            add("count", format!("The count must be from 1 to {}, not {}", limits::MAX_COUNT, self.count));
        }
        for (field, name, text) in
            [("prompt", "prompt", &self.prompt), ("negative_prompt", "negative prompt", &self.negative_prompt)]
        {
            if text.len() > limits::MAX_PROMPT_BYTES {
                let sentence = format!(
                    "The {name} has {} bytes; the most that is read is {}",
                    text.len(),
                    limits::MAX_PROMPT_BYTES
                );
                add(field, sentence);
            }
        }
        problems
    }

    /// The request of picture `index` of this one: a count of 1 and the seed that draws just that picture.
    #[must_use]
    pub fn single(&self, index: u32) -> Self {
        Self { seed: self.seed.wrapping_add(u64::from(index)), count: 1, ..self.clone() }
    }
}
