//! [`GenerateRequest`]: everything that makes a picture.
//!
//! The window edits it, the command line builds it, the PNG carries it, `replay` reads it: one type, so that nothing
//! that changes a picture can be forgotten in one of these places.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Capabilities, Fork, Hires, InitImage, SamplerId, ScheduleId, Variation};

/// Bounds that hold for every family.
pub mod limits {
    /// Most steps: DPM++ and `UniPC` space `steps + 1` points over 1000 training steps, so 999 is the arithmetic end.
    pub const MAX_STEPS: u32 = 500;
    /// Largest guidance scale that is accepted.
    pub const MAX_GUIDANCE: f64 = 100.0;
    /// Most pictures of one request.
    pub const MAX_COUNT: u32 = 1000;
    /// Longest prompt, in bytes.
    pub const MAX_PROMPT_BYTES: usize = 100_000;
    /// Most layers of a text encoder that are left out: CLIP ViT-L has 12.
    pub const MAX_CLIP_SKIP: u32 = 11;
    /// How many times as wide and high a finished picture is made at most.
    pub const MAX_UPSCALE: f64 = 8.0;
    /// Most px of an enlarged picture. Each takes 24 bytes while it is made, and a copy.
    pub const MAX_UPSCALED_PX: u64 = 4096 * 4096;
    /// Strongest weight of an adapter.
    pub const MAX_LORA_WEIGHT: f64 = 10.0;
}

/// Which model to use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelRef {
    /// The small model inside the program.
    #[default]
    Starter,
    /// A diffusers folder, or a single file.
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

/// An adapter that a request puts on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraUse {
    /// Its file.
    pub path: PathBuf,
    /// How strongly it changes the `UNet`: 1 as it was trained.
    pub unet_weight: f64,
    /// The same for the text encoders.
    pub text_encoder_weight: f64,
}

/// Everything that makes a picture. Picture `i` of `count` uses seed `seed + i`, or, where there is a variation, its seed
/// `+ i` instead.
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
    /// A walk from the seed's noise towards another seed's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation: Option<Variation>,
    /// How many of the text encoders' last layers are left out, beyond those that the family leaves out.
    pub clip_skip: u32,
    /// How far the contrast of the guided prediction is pulled back to that of the prompt's (Lin et al. 2023), 0 to 1.
    pub guidance_rescale: f64,
    /// A file or folder with an autoencoder that takes the place of the model's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vae: Option<PathBuf>,
    /// Adapters, beside those that the prompt names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<LoraUse>,
    /// A picture to begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<InitImage>,
    /// A second pass at a larger size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hires: Option<Hires>,
    /// How many times as wide and high the picture to begin with is made: it keeps its own size then, and the request's
    /// is that of the tiles which it is painted over in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upscale: Option<f64>,
    /// The picture that this one branches off, and where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
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
            variation: None,
            clip_skip: 0,
            guidance_rescale: 0.0,
            vae: None,
            loras: Vec::new(),
            init: None,
            hires: None,
            upscale: None,
            fork: None,
        }
    }
}

impl Hires {
    /// Width and height of the second pass in px, multiples of `multiple`.
    #[must_use]
    pub fn size_of(self, request: &GenerateRequest, multiple: u32) -> (u32, u32) {
        let multiple = multiple.max(1);
        // Casting saturates, and turns NaN to 0.
        let side = |px: u32| (f64::from(px) * self.scale / f64::from(multiple)).round() as u32;
        (side(request.width_px).saturating_mul(multiple), side(request.height_px).saturating_mul(multiple))
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
        if self.clip_skip > limits::MAX_CLIP_SKIP {
            let sentence = format!("The clip skip must be from 0 to {}, not {}", limits::MAX_CLIP_SKIP, self.clip_skip);
            add("clip_skip", sentence);
        }
        if !(0.0..=1.0).contains(&self.guidance_rescale) {
            let sentence = format!("The guidance rescale must be from 0 to 1, not {}", self.guidance_rescale);
            add("guidance_rescale", sentence);
        }
        if let Some(sentence) = self.variation.and_then(Variation::problem) {
            add("variation", sentence);
        }
        for lora in &self.loras {
            let bounds = -limits::MAX_LORA_WEIGHT..=limits::MAX_LORA_WEIGHT;
            if !bounds.contains(&lora.unet_weight) || !bounds.contains(&lora.text_encoder_weight) {
                let name = lora.path.file_stem().unwrap_or_default().to_string_lossy();
                let most = limits::MAX_LORA_WEIGHT;
                add("loras", format!("The weights of the LoRA {name} must be from -{most} to {most}"));
            }
        }
        for (field, strength) in
            [("init", self.init.as_ref().map(|init| init.strength)), ("hires", self.hires.map(|hires| hires.strength))]
        {
            let is_right = |strength: f64| match (field, self.upscale) {
                ("init", Some(_)) => (0.0..=1.0).contains(&strength),
                _ => strength > 0.0 && strength <= 1.0,
            };
            if let Some(strength) = strength.filter(|strength| !is_right(*strength)) {
                add(field, format!("The strength must be above 0 and at most 1, not {strength}"));
            }
        }
        if family.needs_mask && self.init.as_ref().is_none_or(|init| init.mask.is_none() && init.extend.is_none()) {
            add("init", "This model paints parts of a picture anew: it needs a picture and a mask".to_owned());
        }
        if self.hires.is_some() && self.init.as_ref().is_some_and(|init| init.mask.is_some() || !init.extend.is_none())
        {
            add("hires", "A second pass would paint what the mask keeps: use one of the two".to_owned());
        }
        if let Some(sentence) = self.fork.as_ref().and_then(|fork| fork.problem(self, family)) {
            add("fork", sentence);
        }
        if let Some(sentence) = self.init.as_ref().and_then(|init| init.extend.problem(self.width_px, self.height_px)) {
            add("extend", sentence);
        }
        if let Some(scale) = self.upscale {
            let extended = self.init.as_ref().is_some_and(|init| init.mask.is_some() || !init.extend.is_none());
            if self.init.is_none() {
                add("upscale", "There is no picture to enlarge: choose one to begin with".to_owned());
            } else if family.needs_mask || extended || self.hires.is_some() {
                let sentence = "A picture is enlarged whole: without a mask, a second pass, and anything around it";
                add("upscale", sentence.to_owned());
            }
            if scale.is_nan() || scale <= 1.0 || scale > limits::MAX_UPSCALE {
                let sentence =
                    format!("A picture can be made up to {} times as large, not {scale} times", limits::MAX_UPSCALE);
                add("upscale", sentence);
            }
        }
        if let Some(hires) = self.hires {
            let (width, height) = hires.size_of(self, family.size_multiple_px);
            if hires.scale.is_nan() || hires.scale <= 1.0 || width.max(height) > family.max_side_px {
                let sentence = format!(
                    "The second pass must make the picture larger, to {} px a side at most, not {} times as large",
                    family.max_side_px, hires.scale
                );
                add("hires", sentence);
            }
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

    /// The request of picture `index` of this one: a count of 1 and the seeds that draw just that picture.
    #[must_use]
    pub fn single(&self, index: u32) -> Self {
        let index = u64::from(index);
        match self.variation.filter(|variation| variation.is_on()) {
            Some(Variation { seed, strength }) => {
                let variation = Some(Variation { seed: seed.wrapping_add(index), strength });
                Self { variation, count: 1, ..self.clone() }
            }
            None => Self { seed: self.seed.wrapping_add(index), variation: None, count: 1, ..self.clone() },
        }
    }
}
