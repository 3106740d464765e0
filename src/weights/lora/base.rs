//! [`BaseFamily`]: the model that an adapter was made for, as its header says and as its shapes look.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::modules::{Component, ModelModules};

/// A family of models, as far as adapters differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseFamily {
    /// Stable Diffusion 1.x: text of width 768.
    Sd1,
    /// Stable Diffusion 2.x: text of width 1024.
    Sd2,
    /// Stable Diffusion XL: text of width 2048, two encoders.
    Sdxl,
    /// The refiner of Stable Diffusion XL: text of width 1280.
    SdxlRefiner,
    /// A network that is no `UNet`: Flux, Stable Diffusion 3 and others.
    Transformer,
}

impl fmt::Display for BaseFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sd1 => "Stable Diffusion 1",
            Self::Sd2 => "Stable Diffusion 2",
            Self::Sdxl => "Stable Diffusion XL",
            Self::SdxlRefiner => "the Stable Diffusion XL refiner",
            Self::Transformer => "a transformer such as Flux or Stable Diffusion 3",
        })
    }
}

impl BaseFamily {
    /// The family of a `UNet` whose cross-attention looks at text of this width.
    #[must_use]
    pub fn of_text_width(width: usize) -> Option<Self> {
        match width {
            768 => Some(Self::Sd1),
            1024 => Some(Self::Sd2),
            1280 => Some(Self::SdxlRefiner),
            2048 => Some(Self::Sdxl),
            _ => None,
        }
    }
}

/// The header's own words on the base model, the most reliable first (`sai_model_spec`, then sd-scripts' `ss_…`).
const STATEMENTS: &[&str] = &["modelspec.architecture", "ss_base_model_version", "ss_sd_model_name", "ss_v2"];

/// What the header says of the base model: its words, and the family that they mean.
pub(super) fn stated(metadata: &BTreeMap<String, String>) -> Option<(String, Option<BaseFamily>)> {
    let mut first = None;
    for name in STATEMENTS {
        let Some(text) = metadata.get(*name).map(|text| text.trim()).filter(|text| !text.is_empty()) else { continue };
        let family = match *name {
            "ss_v2" if text.eq_ignore_ascii_case("true") => Some(BaseFamily::Sd2),
            // `False` is also said by files for SDXL.
            "ss_v2" => continue,
            "modelspec.architecture" => of_architecture(text),
            _ => of_version(text),
        };
        if family.is_some() {
            return Some((text.to_owned(), family));
        }
        first.get_or_insert_with(|| text.to_owned());
    }
    first.map(|text| (text, None))
}

/// `stable-diffusion-xl-v1-base/lora` and the like.
fn of_architecture(text: &str) -> Option<BaseFamily> {
    let text = text.to_ascii_lowercase();
    let begins = |start: &str| text.starts_with(start);
    if begins("stable-diffusion-xl-v1-refiner") {
        Some(BaseFamily::SdxlRefiner)
    } else if begins("stable-diffusion-xl") {
        Some(BaseFamily::Sdxl)
    } else if begins("stable-diffusion-v2") {
        Some(BaseFamily::Sd2)
    } else if begins("stable-diffusion-v1") {
        Some(BaseFamily::Sd1)
    } else if begins("flux") || begins("stable-diffusion-3") {
        Some(BaseFamily::Transformer)
    } else {
        None
    }
}

/// `sd_v1`, `sdxl_base_v1-0` and the like.
fn of_version(text: &str) -> Option<BaseFamily> {
    let text = text.to_ascii_lowercase();
    let begins = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
    if begins(&["sdxl_refiner"]) {
        Some(BaseFamily::SdxlRefiner)
    } else if begins(&["sdxl", "sd_xl"]) {
        Some(BaseFamily::Sdxl)
    } else if begins(&["sd_v2", "sd_2", "sd2"]) {
        Some(BaseFamily::Sd2)
    } else if begins(&["sd_v1", "sd_1", "sd1", "v1-5"]) {
        Some(BaseFamily::Sd1)
    } else if begins(&["flux", "sd3"]) {
        Some(BaseFamily::Transformer)
    } else {
        None
    }
}

/// Whether a module's name is that of a cross-attention's keys or values, in any spelling.
pub(super) fn looks_at_text(stem: &str) -> bool {
    let end = stem.rsplit("attn2").next().filter(|end| end.len() < stem.len());
    end.is_some_and(|end| {
        matches!(end.trim_start_matches(['.', '_']), "to_k" | "to_v" | "processor.to_k" | "processor.to_v")
    })
}

/// The family that names and shapes look like; `text_width` is what its cross-attention looks at, `stems` are its names.
pub(super) fn looks<'a>(text_width: Option<usize>, stems: impl Iterator<Item = &'a str>) -> Option<BaseFamily> {
    let mut deep = false;
    for stem in stems {
        if ["double_blocks", "single_transformer_blocks", "joint_blocks", "lora_transformer_"]
            .iter()
            .any(|mark| stem.contains(mark))
        {
            return Some(BaseFamily::Transformer);
        }
        // Only SDXL has a second encoder, or more than one transformer block behind a residual block.
        deep |= ["lora_te2_", "text_encoder_2."].iter().any(|prefix| stem.starts_with(prefix))
            || ["transformer_blocks_1_", "transformer_blocks.1."].iter().any(|mark| stem.contains(mark));
    }
    text_width.and_then(BaseFamily::of_text_width).or(if deep { Some(BaseFamily::Sdxl) } else { None })
}

/// The width of the text that the model's cross-attention looks at.
pub(super) fn model_text_width(model: &ModelModules) -> Option<usize> {
    let mut unet = model.modules().iter().filter(|module| module.component == Component::UNet);
    unet.find(|module| looks_at_text(&module.path)).map(|module| module.shape[1])
}

impl ModelModules {
    /// The family that the model looks like.
    #[must_use]
    pub fn family(&self) -> Option<BaseFamily> {
        let second = self.has(Component::TextEncoder2).then_some("text_encoder_2.");
        looks(model_text_width(self), self.modules().iter().map(|module| module.path.as_str()).chain(second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_headers_say_is_understood() {
        for (name, text, expected) in [
            ("modelspec.architecture", "stable-diffusion-v1/lora", Some(BaseFamily::Sd1)),
            ("modelspec.architecture", "stable-diffusion-v2-768-v/lora", Some(BaseFamily::Sd2)),
            ("modelspec.architecture", "stable-diffusion-xl-v1-base/lora", Some(BaseFamily::Sdxl)),
            ("modelspec.architecture", "Flux.1-dev/lora", Some(BaseFamily::Transformer)),
            ("ss_base_model_version", "sdxl_base_v1-0", Some(BaseFamily::Sdxl)),
            ("ss_base_model_version", "sd_v1", Some(BaseFamily::Sd1)),
            ("ss_base_model_version", "sd_v2_v", Some(BaseFamily::Sd2)),
            ("ss_v2", "True", Some(BaseFamily::Sd2)),
            ("ss_sd_model_name", "my model.safetensors", None),
        ] {
            let metadata = BTreeMap::from([(name.to_owned(), text.to_owned())]);
            assert_eq!(stated(&metadata), Some((text.to_owned(), expected)), "{name}");
        }
        assert_eq!(stated(&BTreeMap::from([("ss_v2".to_owned(), "False".to_owned())])), None);
    }

    #[test]
    fn cross_attention_is_found_in_every_spelling() {
        for stem in ["lora_unet_a_attn2_to_k", "unet.a.attn2.to_v", "a.attn2.processor.to_k"] {
            assert!(looks_at_text(stem), "{stem}");
        }
        for stem in ["lora_unet_a_attn1_to_k", "a.attn2.to_q", "attn2", "to_k", ""] {
            assert!(!looks_at_text(stem), "{stem}");
        }
    }
}
