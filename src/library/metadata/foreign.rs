//! The recipes of other tools: which text is whose, and what their readers share.
//!
//! What can be said in a request of ours is taken over; all else that shaped the picture is named, a sentence each
//! ([`Recipe::not_understood`]): a recipe that is silently half understood makes another picture, and nobody knows why.

use serde_json::Value;

use super::{Embedded, ForeignText, comfy, invoke, others, parameters, samplers::Names};
use crate::domain::{GenerateRequest, Hires, Recipe, limits, prompt::extract_networks};

/// Most sentences on what was not understood: a workflow can have hundreds of nodes.
const MAX_NOTES: usize = 16;
/// The longest of what a sentence quotes, in characters.
const MAX_QUOTED: usize = 60;
/// The longest side that is taken over, in px: nothing larger is a picture.
const MAX_SIDE_PX: u64 = 16_384;

/// The recipe that the texts of another tool tell, if any does.
#[must_use]
pub fn recipe(embedded: &Embedded) -> Option<Recipe> {
    let text = |of| embedded.foreign(of);
    // The text of stable-diffusion-webui goes before a workflow that stands beside it: it says what was meant.
    let parameters = || {
        let text = embedded.parameters.as_deref()?;
        others::parameters_json(text).or_else(|| parameters::recipe_from_text(text))
    };
    text(ForeignText::InvokeMetadata)
        .and_then(invoke::metadata)
        .or_else(parameters)
        .or_else(|| text(ForeignText::ComfyPrompt).and_then(comfy::prompt))
        .or_else(|| text(ForeignText::ComfyWorkflow).and_then(comfy::workflow))
        .or_else(|| text(ForeignText::InvokeSdMetadata).and_then(invoke::sd_metadata))
        .or_else(|| others::novel_ai(embedded))
}

/// A recipe of another tool, as it is put together.
pub(super) struct Draft {
    pub request: GenerateRequest,
    pub model_name: String,
    pub model_hash: String,
    pub version: String,
    notes: Vec<String>,
}

impl Draft {
    /// An empty one of a tool; `version` may be empty.
    pub fn of(tool: &str, version: &str) -> Self {
        let version = format!("{tool} {}", version.trim().trim_start_matches(['v', 'V']));
        Self {
            request: GenerateRequest::default(),
            model_name: String::new(),
            model_hash: String::new(),
            version: short(version.trim()),
            notes: Vec::new(),
        }
    }

    /// Names something that shaped the picture and could not be taken over.
    pub fn note(&mut self, sentence: impl Into<String>) {
        note(&mut self.notes, sentence.into());
    }

    /// The recipe.
    pub fn finish(self) -> Recipe {
        let Self { request, model_name, model_hash, version, notes } = self;
        Recipe { request, model_name, model_hash, version, not_understood: notes, ..Recipe::default() }
    }

    pub fn set_size(&mut self, width: Option<u64>, height: Option<u64>) {
        let is_side = |side: &u64| (1..=MAX_SIDE_PX).contains(side);
        if let (Some(width), Some(height)) = (width.filter(is_side), height.filter(is_side)) {
            (self.request.width_px, self.request.height_px) = (width as u32, height as u32);
        }
    }

    pub fn set_steps(&mut self, steps: Option<u64>) {
        if let Some(steps) = steps.and_then(|steps| u32::try_from(steps).ok()) {
            self.request.num_inference_steps = steps;
        }
    }

    pub fn set_guidance(&mut self, scale: Option<f64>) {
        if let Some(scale) = scale.filter(|scale| scale.is_finite()) {
            self.request.guidance_scale = scale;
        }
    }

    pub fn set_seed(&mut self, seed: Option<u64>) {
        self.request.seed = seed.unwrap_or(self.request.seed);
    }

    /// How many of the text encoder's last layers are left out.
    pub fn set_clip_skip(&mut self, layers: u64) {
        self.request.clip_skip = layers.min(u64::from(limits::MAX_CLIP_SKIP)) as u32;
    }

    /// Sampler and schedule by a tool's names; what has no equal here is named.
    pub fn set_sampler(&mut self, names: &Names, sampler: Option<&str>, schedule: Option<&str>) {
        if let Some(name) = sampler.filter(|name| !name.is_empty()) {
            match names.sampler(name) {
                Some((sampler, said)) => {
                    self.request.sampler = sampler;
                    self.request.schedule = said.unwrap_or(self.request.schedule);
                }
                None => self.note(format!("The sampler {} is not known here", quoted(name))),
            }
        }
        if let Some(name) = schedule.filter(|name| !name.is_empty()) {
            match names.schedule(name) {
                Some(schedule) => self.request.schedule = schedule,
                None => self.note(format!("The schedule {} is not known here", quoted(name))),
            }
        }
    }

    /// An adapter, named in the prompt: so it is found by its name wherever it lies.
    pub fn add_lora(&mut self, file: &str, unet_weight: f64, text_encoder_weight: f64) {
        let name = stem(file);
        let weights = if unet_weight == text_encoder_weight {
            format!("{unet_weight}")
        } else {
            format!("{text_encoder_weight}:{unet_weight}")
        };
        let tag = format!("<lora:{name}:{weights}>");
        let is_read = matches!(extract_networks(&tag).networks.as_slice(), [network] if network.name == name);
        if is_read && unet_weight.is_finite() && text_encoder_weight.is_finite() {
            let prompt = &mut self.request.prompt;
            *prompt = format!("{}{}{tag}", prompt.trim_end(), if prompt.is_empty() { "" } else { " " });
        } else {
            self.note(format!("The LoRA {} cannot be named in a prompt", quoted(file)));
        }
    }

    /// A second pass at a larger size.
    pub fn set_hires(&mut self, scale: f64, strength: f64) {
        if scale.is_finite() && scale > 1.0 && scale <= 16.0 && strength > 0.0 && strength <= 1.0 {
            self.request.hires = Some(Hires { scale, strength });
        }
    }
}

/// Adds a sentence, once.
pub(super) fn note(notes: &mut Vec<String>, sentence: String) {
    if notes.len() < MAX_NOTES && !notes.contains(&sentence) {
        notes.push(sentence);
    }
}

/// A JSON text of another tool. The reader refuses what is nested more than 128 deep; what is too long was not read at
/// all. Python writes `NaN` and `Infinity`, which JSON does not have: they become `null`.
pub(super) fn json(text: &str) -> Option<Value> {
    let text = text.trim().trim_matches('\0');
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&without_nan(text)).ok())
}

fn without_nan(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word =
            if in_string { None } else { ["-Infinity", "Infinity", "NaN"].iter().find(|w| rest.starts_with(**w)) };
        if let Some(word) = word {
            clean.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        clean.push(c);
        rest = &rest[c.len_utf8()..];
    }
    clean
}

/// A number, also where it is written as a text.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|number| number.is_finite())
}

/// A whole number from 0 on, also where it is written as a text or as `20.0`.
pub(super) fn whole(value: &Value) -> Option<u64> {
    let exact = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    // 2^53: what a double can count without leaving any out.
    exact.or_else(|| number(value).filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n)).map(|n| n as u64))
}

/// The name of a file without its folders and ending, whichever system wrote it.
pub(super) fn stem(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let endings = [".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".sft", ".gguf"];
    let ending = endings.iter().find(|ending| {
        let at = name.len().saturating_sub(ending.len());
        name.is_char_boundary(at) && name[at..].eq_ignore_ascii_case(ending) && at > 0
    });
    ending.map_or(name, |ending| &name[..name.len() - ending.len()])
}

/// What a file says, short enough to stand in a sentence.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", short(text))
}

fn short(text: &str) -> String {
    let clean: String = text.chars().take(MAX_QUOTED + 1).map(|c| if c.is_control() { ' ' } else { c }).collect();
    match clean.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_none_becomes_null_but_not_within_texts() {
        let value = json(r#"{"a": NaN, "b": [-Infinity, "NaN \" Infinity"], "c": 1}"#).unwrap();
        assert_eq!(value, serde_json::json!({"a": null, "b": [null, "NaN \" Infinity"], "c": 1}));
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(json(&deep), None);
    }

    #[test]
    fn names_of_files_lose_folders_and_endings_of_any_system() {
        assert_eq!(stem("SD1\\my.model v1.safetensors"), "my.model v1");
        assert_eq!(stem("a/b/c.CKPT"), "c");
        assert_eq!(stem(".pt"), ".pt");
        assert_eq!(stem("絹"), "絹");
    }

    #[test]
    fn a_lora_that_a_prompt_cannot_name_is_told() {
        let mut draft = Draft::of("X", "v1");
        draft.request.prompt = "a dress".into();
        draft.add_lora("folder\\denim.safetensors", 0.8, 0.8);
        draft.add_lora("silk.safetensors", 0.5, 1.0);
        draft.add_lora("a>b.safetensors", 1.0, 1.0);
        let recipe = draft.finish();
        assert_eq!(recipe.request.prompt, "a dress <lora:denim:0.8> <lora:silk:1:0.5>");
        assert_eq!(recipe.not_understood.len(), 1);
        assert_eq!(recipe.version, "X 1");
    }
}
