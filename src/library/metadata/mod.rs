//! What a picture file says about how it was made: our own JSON, and the texts that other tools write.

mod comfy;
mod comfy_workflow;
pub mod exif;
mod foreign;
mod invoke;
mod others;
pub mod parameters;
pub mod samplers;

use serde::{Deserialize, Serialize};

use crate::domain::{ModelRef, Recipe};

/// The keyword of the text that stable-diffusion-webui and most other tools read.
pub const PARAMETERS_KEYWORD: &str = "parameters";
/// The keyword of our own JSON.
pub const ATELIER_KEYWORD: &str = "atelier";
/// The version of our own JSON. A reader takes newer ones too, as far as it understands them.
const FORMAT: u32 = 1;

/// What a picture file carries beside its pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Embedded {
    /// The text in stable-diffusion-webui's form.
    pub parameters: Option<String>,
    /// Our own JSON: `{"format": 1, "created_ms": …, "recipe": {…}}`.
    pub atelier: Option<String>,
    /// Texts that only other tools write; the first of each kind.
    pub foreign: Vec<(ForeignText, String)>,
}

/// A text that only other tools write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForeignText {
    /// `ComfyUI`'s graph of nodes.
    ComfyPrompt,
    /// The same as its editor keeps it.
    ComfyWorkflow,
    /// `InvokeAI`'s JSON from version 3 on.
    InvokeMetadata,
    /// That of version 2.
    InvokeSdMetadata,
    /// A program's name.
    Software,
    /// The model, where `NovelAI` writes.
    Source,
    /// A caption.
    Description,
    /// Anything; `NovelAI`'s JSON.
    Comment,
}

impl ForeignText {
    /// The text that stands under a keyword of a PNG.
    #[must_use]
    pub fn of_keyword(keyword: &str) -> Option<Self> {
        match keyword {
            "prompt" => Some(Self::ComfyPrompt),
            "workflow" => Some(Self::ComfyWorkflow),
            "invokeai_metadata" => Some(Self::InvokeMetadata),
            "sd-metadata" => Some(Self::InvokeSdMetadata),
            "Software" => Some(Self::Software),
            "Source" => Some(Self::Source),
            "Description" => Some(Self::Description),
            "Comment" => Some(Self::Comment),
            _ => None,
        }
    }
}

/// Our own JSON, as it is written.
#[derive(Serialize)]
struct WrittenEnvelope<'a> {
    format: u32,
    created_ms: i64,
    recipe: &'a Recipe,
}

/// Our own JSON, as it is read.
#[derive(Deserialize)]
struct Envelope {
    created_ms: Option<i64>,
    recipe: Recipe,
}

impl Embedded {
    /// What a picture of ours carries.
    #[must_use]
    pub fn of_recipe(recipe: &Recipe, created_ms: i64) -> Self {
        Self {
            parameters: Some(parameters::to_text(recipe)),
            atelier: Some(to_json(recipe, created_ms)),
            ..Self::default()
        }
    }

    /// A text that only other tools write.
    #[must_use]
    pub fn foreign(&self, of: ForeignText) -> Option<&str> {
        self.foreign.iter().find(|(kind, _)| *kind == of).map(|(_, text)| text.as_str())
    }

    /// Takes the text under a keyword in, if it is one that is read and the first of its kind. `text` is asked for only
    /// then: it may have to be unpacked.
    pub fn take(&mut self, keyword: &str, text: impl FnOnce() -> Option<String>) {
        match keyword {
            PARAMETERS_KEYWORD if self.parameters.is_none() => self.parameters = text(),
            ATELIER_KEYWORD if self.atelier.is_none() => self.atelier = text(),
            _ => {
                if let Some(of) = ForeignText::of_keyword(keyword).filter(|of| self.foreign(*of).is_none()) {
                    self.foreign.extend(text().map(|text| (of, text)));
                }
            }
        }
    }

    /// The recipe: from our own JSON if it is there and good, else from the texts of another tool.
    #[must_use]
    pub fn recipe(&self) -> Option<Recipe> {
        match self.envelope() {
            Some(envelope) => Some(envelope.recipe),
            None => foreign::recipe(self),
        }
    }

    /// When the picture was made, in milliseconds since 1970 UTC; only our own JSON tells.
    #[must_use]
    pub fn created_ms(&self) -> Option<i64> {
        self.envelope()?.created_ms
    }

    fn envelope(&self) -> Option<Envelope> {
        serde_json::from_str(self.atelier.as_deref()?).ok()
    }
}

fn to_json(recipe: &Recipe, created_ms: i64) -> String {
    let write = |recipe: &Recipe| serde_json::to_string(&WrittenEnvelope { format: FORMAT, created_ms, recipe });
    write(recipe).unwrap_or_else(|_| {
        // Only a path that is not Unicode cannot be written: it is told as well as Unicode can.
        let mut recipe = recipe.clone();
        if let ModelRef::Path(path) = &recipe.request.model {
            recipe.request.model = ModelRef::Path(path.to_string_lossy().into_owned().into());
        }
        write(&recipe).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use std::path::PathBuf;

    use crate::domain::{
        Extend, GenerateRequest, Hires, InitImage, LoraUse, Machine, SamplerId, ScheduleId, Variation, Verdict,
    };

    fn any_recipe() -> impl Strategy<Value = Recipe> {
        let words = ("(?s).{0,60}", "(?s).{0,40}", "[^/\0]{1,20}", 0..SamplerId::ALL.len(), 0..ScheduleId::ALL.len());
        let numbers = (1..16_384_u32, 1..500_u32, 0.0..100.0_f64, any::<u64>(), 0.0..1e5_f64);
        let extras = (0..12_u32, 0.0..1.0_f64, proptest::option::of("[a-z0-9. ]{1,9}"), any::<bool>());
        (words, numbers, extras).prop_map(
            |(
                (prompt, negative_prompt, model, sampler, schedule),
                (side, steps, guidance, seed, secs),
                (clip_skip, share, file, second_pass),
            )| Recipe {
                request: GenerateRequest {
                    prompt,
                    negative_prompt,
                    model: ModelRef::Path(model.clone().into()),
                    width_px: side,
                    height_px: side / 2 + 1,
                    num_inference_steps: steps,
                    guidance_scale: guidance,
                    sampler: SamplerId::ALL[sampler],
                    schedule: ScheduleId::ALL[schedule],
                    seed,
                    count: 1,
                    variation: second_pass.then_some(Variation { seed: !seed, strength: share }),
                    clip_skip,
                    guidance_rescale: share,
                    vae: file.clone().map(PathBuf::from),
                    loras: file
                        .clone()
                        .map(|file| LoraUse { path: file.into(), unet_weight: share, text_encoder_weight: -share })
                        .into_iter()
                        .collect(),
                    init: file.map(|file| InitImage {
                        picture: file.into(),
                        mask: None,
                        strength: share,
                        extend: Extend { left: steps, bottom: 8 * clip_skip, ..Extend::default() },
                    }),
                    hires: second_pass.then_some(Hires { scale: 1.0 + share, strength: share }),
                    upscale: second_pass.then_some(2.0 * share),
                    fork: second_pass.then(|| crate::domain::Fork {
                        parent: Box::new(GenerateRequest { seed, ..GenerateRequest::default() }),
                        step: steps,
                    }),
                },
                model_name: model,
                model_hash: "6ce0161689".into(),
                version: "Atelier 0.1.0".into(),
                elapsed_secs: secs,
                safety: second_pass.then_some(Verdict { flagged: true, score: 0.25 }),
                machine: second_pass.then(|| Machine { kernels: "AVX2".into(), threads: steps, ..Machine::default() }),
                ..Recipe::default()
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_embedded_is_read_back(recipe in any_recipe(), created_ms in any::<i64>()) {
            let embedded = Embedded::of_recipe(&recipe, created_ms);
            prop_assert_eq!(embedded.recipe(), Some(recipe));
            prop_assert_eq!(embedded.created_ms(), Some(created_ms));
        }

        #[test]
        fn any_text_is_read_without_a_panic(parameters in "(?s).*", atelier in "(?s).*") {
            let _ = Embedded { parameters: Some(parameters), atelier: Some(atelier), ..Embedded::default() }.recipe();
        }
    }

    #[test]
    fn a_prompt_that_looks_like_parameters_is_read_back() {
        for prompt in [
            "a dress\nNegative prompt: not really\nSteps: 3, Sampler: Euler, Seed: 9, Size: 8x8",
            "Steps: 1, Sampler: X, CFG scale: 2",
            "Negative prompt: x",
        ] {
            let request =
                GenerateRequest { prompt: prompt.into(), negative_prompt: prompt.into(), ..Default::default() };
            let recipe = Recipe {
                request,
                model_name: "a, b: \"c\"".into(),
                model_hash: String::new(),
                version: String::new(),
                elapsed_secs: 0.1 + 0.2,
                safety: None,
                ..Recipe::default()
            };
            assert_eq!(Embedded::of_recipe(&recipe, 5).recipe(), Some(recipe));
        }
    }

    #[test]
    fn a_newer_format_is_read_and_a_broken_one_falls_back_to_the_text() {
        let recipe = Recipe {
            request: GenerateRequest { prompt: "a coat".into(), seed: 7, ..GenerateRequest::default() },
            model_name: "Starter".into(),
            model_hash: "0123456789".into(),
            version: "Atelier 9.0.0".into(),
            elapsed_secs: 1.5,
            safety: None,
            ..Recipe::default()
        };
        let mut embedded = Embedded::of_recipe(&recipe, 5);
        let newer = embedded.atelier.as_ref().unwrap().replace("\"format\":1", "\"format\":2,\"new\":{\"a\":1}");
        embedded.atelier = Some(newer);
        assert_eq!(embedded.recipe(), Some(recipe.clone()));
        embedded.atelier = Some("{\"format\":1,".into());
        let from_text = embedded.recipe().unwrap();
        assert_eq!(from_text.request, recipe.request);
        assert_eq!(from_text.elapsed_secs, 0.0);
    }
}
