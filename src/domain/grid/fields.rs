//! [`FIELDS`]: what an axis of a grid can vary, one row each.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::values;
use crate::domain::prompt::{extract_networks, with_network};
use crate::domain::{GenerateRequest, Hires, InitImage, ModelRef, SamplerId, ScheduleId, Variation, limits};

/// What stands for "none of them" among files and adapters.
const NONE: &str = "none";

/// Something that an axis can vary.
pub struct Field {
    /// On the command line and in files.
    pub name: &'static str,
    /// In the window and on the sheet.
    pub label: &'static str,
    /// What it is, in a sentence for people who do not know the field's jargon.
    pub explanation: &'static str,
    /// Values that can be typed.
    pub example: &'static str,
    /// What stable-diffusion-webui's X/Y/Z plot calls it, or our label where that has none.
    pub webui: &'static str,
    /// How costly a change is: a field with more changes less often.
    pub cost: u8,
    kind: Kind,
}

/// Puts a value into a request. The error is a sentence.
type Put<T> = fn(&mut GenerateRequest, T) -> Result<(), String>;
/// The same for text.
type PutText = fn(&mut GenerateRequest, &str) -> Result<(), String>;

/// What the values of a field are.
enum Kind {
    Whole(Put<u64>),
    Number(Put<f64>),
    Sampler,
    Schedule,
    /// `512x768`.
    Size,
    Text(PutText),
    /// A path, of which people see the file's name.
    File(PutText),
    /// A text of the prompts, and what takes its place; the first value is what is looked for.
    Replace,
}

/// Values that can be filled in all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choices {
    /// All samplers.
    Samplers,
    /// All schedules.
    Schedules,
    /// All models that are known.
    Models,
}

/// Every field, in the order in which they are put into a request: one comes before those that depend on it.
pub static FIELDS: &[Field] = &[
    Field {
        name: "model",
        label: "Model",
        explanation: "The network that draws: `starter`, a folder or a file",
        example: "starter, models/photo.safetensors",
        webui: "Checkpoint name",
        cost: 3,
        kind: Kind::File(|request, text| {
            request.model = ModelRef::parse(text);
            Ok(())
        }),
    },
    Field {
        name: "vae",
        label: "VAE",
        explanation: "The network between latents and pixels: a file, or `none` for the model's own",
        example: "none, vae.safetensors",
        webui: "VAE",
        cost: 2,
        kind: Kind::File(|request, text| {
            request.vae = (!is_none(text)).then(|| PathBuf::from(text));
            Ok(())
        }),
    },
    Field {
        name: "prompt",
        label: "Prompt",
        explanation: "Whole prompts; quotation marks keep one with commas together",
        example: "\"a red dress, linen\", a blue coat",
        webui: "Prompt",
        cost: 0,
        kind: Kind::Text(|request, text| {
            text.clone_into(&mut request.prompt);
            Ok(())
        }),
    },
    Field {
        name: "negative_prompt",
        label: "Negative prompt",
        explanation: "Whole negative prompts; \"\" is none at all",
        example: "\"\", blurry, \"blurry, dark\"",
        webui: "Negative prompt",
        cost: 0,
        kind: Kind::Text(|request, text| {
            text.clone_into(&mut request.negative_prompt);
            Ok(())
        }),
    },
    Field {
        name: "prompt_sr",
        label: "Prompt S/R",
        explanation: "Search and replace: the first value is a text of the prompts, and each value takes its place in turn",
        example: "red, blue, green",
        webui: "Prompt S/R",
        cost: 0,
        kind: Kind::Replace,
    },
    Field {
        name: "lora",
        label: "LoRA",
        explanation: "Names of the loras folder, one put on at a time beside those of the prompt; `none` is none",
        example: "none, ink, gouache",
        webui: "LoRA",
        cost: 1,
        kind: Kind::Text(add_lora),
    },
    Field {
        name: "lora_weight",
        label: "LoRA weight",
        explanation: "How strongly the LoRAs change the picture, all of them alike",
        example: "0-1 (+0.25)",
        webui: "LoRA weight",
        cost: 1,
        kind: Kind::Number(weigh_loras),
    },
    Field {
        name: "size",
        label: "Size",
        explanation: "Width and height of the picture in pixels",
        example: "128x128, 96x128",
        webui: "Size",
        cost: 0,
        kind: Kind::Size,
    },
    Field {
        name: "width",
        label: "Width",
        explanation: "Width of the picture in pixels",
        example: "96, 128",
        webui: "Width",
        cost: 0,
        kind: Kind::Whole(|request, px| put_whole(&mut request.width_px, px)),
    },
    Field {
        name: "height",
        label: "Height",
        explanation: "Height of the picture in pixels",
        example: "96, 128",
        webui: "Height",
        cost: 0,
        kind: Kind::Whole(|request, px| put_whole(&mut request.height_px, px)),
    },
    Field {
        name: "steps",
        label: "Steps",
        explanation: "How often the noise is refined",
        example: "10-30 (+10)",
        webui: "Steps",
        cost: 0,
        kind: Kind::Whole(|request, steps| put_whole(&mut request.num_inference_steps, steps)),
    },
    Field {
        name: "guidance",
        label: "Guidance",
        explanation: "How closely the picture follows the prompt",
        example: "1, 4, 7",
        webui: "CFG Scale",
        cost: 0,
        kind: Kind::Number(|request, scale| {
            request.guidance_scale = scale;
            Ok(())
        }),
    },
    Field {
        name: "guidance_rescale",
        label: "Guidance rescale",
        explanation: "How far the contrast of guided pictures is pulled back, 0 to 1",
        example: "0, 0.5, 0.7",
        webui: "Guidance rescale",
        cost: 0,
        kind: Kind::Number(|request, share| {
            request.guidance_rescale = share;
            Ok(())
        }),
    },
    Field {
        name: "sampler",
        label: "Sampler",
        explanation: "The method that steps from noise to the picture",
        example: "euler, dpmpp_2m, unipc",
        webui: "Sampler",
        cost: 0,
        kind: Kind::Sampler,
    },
    Field {
        name: "schedule",
        label: "Schedule",
        explanation: "How the noise levels are spread over the steps",
        example: "automatic, karras",
        webui: "Schedule type",
        cost: 0,
        kind: Kind::Schedule,
    },
    Field {
        name: "seed",
        label: "Seed",
        explanation: "The number that the noise is drawn from",
        example: "1-4",
        webui: "Seed",
        cost: 0,
        kind: Kind::Whole(|request, seed| {
            request.seed = seed;
            Ok(())
        }),
    },
    Field {
        name: "variation_strength",
        label: "Variation strength",
        explanation: "How far to walk from the seed's noise towards the variation seed's, 0 to 1",
        example: "0-0.4 (+0.1)",
        webui: "Var. strength",
        cost: 0,
        kind: Kind::Number(|request, strength| {
            // Where none was said, the next seed is as good a goal as any, and the same one in every cell.
            let seed = request.variation.map_or(request.seed.wrapping_add(1), |variation| variation.seed);
            request.variation = Some(Variation { seed, strength });
            Ok(())
        }),
    },
    Field {
        name: "variation_seed",
        label: "Variation seed",
        explanation: "The seed that a variation walks towards",
        example: "1-4",
        webui: "Var. seed",
        cost: 0,
        kind: Kind::Whole(|request, seed| {
            let none = "A variation seed does nothing without a variation strength: set one, or put it on another axis";
            request.variation.as_mut().ok_or(none)?.seed = seed;
            Ok(())
        }),
    },
    Field {
        name: "clip_skip",
        label: "Clip skip",
        explanation: "How many of the text encoder's last layers are left out",
        example: "0-2",
        webui: "Clip skip",
        cost: 0,
        kind: Kind::Whole(|request, layers| put_whole(&mut request.clip_skip, layers)),
    },
    Field {
        name: "init",
        label: "Begin with",
        explanation: "The picture to begin with: a file, or `none` for noise",
        example: "a.png, b.png",
        webui: "Begin with",
        cost: 0,
        kind: Kind::File(|request, text| {
            let strength = request.init.as_ref().map_or(InitImage::STRENGTH, |init| init.strength);
            let extend = request.init.as_ref().map(|init| init.extend).unwrap_or_default();
            let mask = request.init.take().and_then(|init| init.mask);
            let init = InitImage { picture: PathBuf::from(text), mask, strength, extend };
            request.init = (!is_none(text)).then_some(init);
            Ok(())
        }),
    },
    Field {
        name: "strength",
        label: "Strength",
        explanation: "How far the picture to begin with is taken back to noise",
        example: "0.2-0.8 (+0.2)",
        webui: "Denoising",
        cost: 0,
        kind: Kind::Number(|request, strength| {
            let none = "The strength is that of a picture to begin with, and there is none";
            request.init.as_mut().ok_or(none)?.strength = strength;
            Ok(())
        }),
    },
    Field {
        name: "hires_scale",
        label: "Second pass",
        explanation: "How many times as large a second pass makes the picture; 1 is off",
        example: "1, 1.5, 2",
        webui: "Hires scale",
        cost: 0,
        kind: Kind::Number(|request, scale| {
            let strength = request.hires.map_or(Hires::STRENGTH, |hires| hires.strength);
            request.hires = (scale != 1.0).then_some(Hires { scale, strength });
            Ok(())
        }),
    },
    Field {
        name: "hires_strength",
        label: "Second pass change",
        explanation: "How much the second pass may change",
        example: "0.2-0.6 (+0.2)",
        webui: "Hires strength",
        cost: 0,
        kind: Kind::Number(|request, strength| {
            let none = "There is no second pass whose strength could differ";
            request.hires.as_mut().ok_or(none)?.strength = strength;
            Ok(())
        }),
    },
    Field {
        name: "upscale",
        label: "Enlarge",
        explanation: "How many times as large the picture to begin with is made",
        example: "1.5, 2",
        webui: "Upscale",
        cost: 0,
        kind: Kind::Number(|request, scale| {
            request.upscale = Some(scale);
            Ok(())
        }),
    },
];

impl Field {
    /// The field of a name; case, spaces, `-` and `_` do not matter, and the web UI's names and our labels are known too.
    #[must_use]
    pub fn of_name(name: &str) -> Option<&'static Self> {
        let simple = |name: &str| -> String {
            name.to_lowercase().chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_')).collect()
        };
        let wanted = simple(name);
        FIELDS.iter().find(|field| [field.name, field.label, field.webui].into_iter().any(|own| simple(own) == wanted))
    }

    /// The values that can be filled in all at once.
    #[must_use]
    pub fn choices(&self) -> Option<Choices> {
        match self.kind {
            Kind::Sampler => Some(Choices::Samplers),
            Kind::Schedule => Some(Choices::Schedules),
            _ => (self.name == "model").then_some(Choices::Models),
        }
    }

    /// Whether it may stand on several axes: other texts can be replaced on each.
    pub(super) fn can_repeat(&self) -> bool {
        matches!(self.kind, Kind::Replace)
    }

    /// The values that an item of a list stands for, each in one spelling.
    ///
    /// # Errors
    /// In a sentence, when it is none.
    pub(super) fn read(&self, item: &str) -> Result<Vec<String>, String> {
        let told = |problem: String| format!("{}: {problem}", self.label);
        match self.kind {
            Kind::Whole(_) => {
                Ok(values::whole(item).map_err(told)?.into_iter().map(|number| number.to_string()).collect())
            }
            Kind::Number(_) => {
                Ok(values::number(item).map_err(told)?.into_iter().map(|number| number.to_string()).collect())
            }
            Kind::Sampler => match SamplerId::from_label(item) {
                Some(sampler) => Ok(vec![sampler.name().to_owned()]),
                None => Err(unknown("sampler", item, SamplerId::ALL.map(SamplerId::name).as_slice())),
            },
            Kind::Schedule => match ScheduleId::from_label(item) {
                Some(schedule) => Ok(vec![schedule.name().to_owned()]),
                None => Err(unknown("schedule", item, ScheduleId::ALL.map(ScheduleId::name).as_slice())),
            },
            Kind::Size => {
                let (width, height) = size(item).map_err(told)?;
                Ok(vec![format!("{width}x{height}")])
            }
            Kind::File(_) if item.is_empty() => Err(told("\"\" is no file".to_owned())),
            Kind::Text(_) | Kind::File(_) | Kind::Replace => Ok(vec![item.to_owned()]),
        }
    }

    /// Puts a value into a request. `first` is the first of its axis.
    pub(super) fn set(&self, request: &mut GenerateRequest, first: &str, value: &str) -> Result<(), String> {
        let none = || format!("\"{value}\" is no value of {}", self.label);
        match self.kind {
            Kind::Whole(put) => put(request, value.parse().map_err(|_| none())?),
            Kind::Number(put) => put(request, value.parse().map_err(|_| none())?),
            Kind::Sampler => {
                request.sampler = SamplerId::from_label(value).ok_or_else(none)?;
                Ok(())
            }
            Kind::Schedule => {
                request.schedule = ScheduleId::from_label(value).ok_or_else(none)?;
                Ok(())
            }
            Kind::Size => {
                (request.width_px, request.height_px) = size(value)?;
                Ok(())
            }
            Kind::Text(put) | Kind::File(put) => put(request, value),
            Kind::Replace => replace(request, first, value),
        }
    }

    /// A value as it stands beside pictures.
    #[must_use]
    pub fn label_of(&self, value: &str) -> String {
        match self.kind {
            Kind::Whole(_) | Kind::Number(_) => format!("{} {value}", self.label),
            Kind::Sampler => SamplerId::from_label(value).map_or_else(|| value.to_owned(), |id| id.label().to_owned()),
            Kind::Schedule => {
                ScheduleId::from_label(value).map_or_else(|| value.to_owned(), |id| id.label().to_owned())
            }
            Kind::Size => value.replace('x', " × "),
            Kind::File(_) => {
                let name = value.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(value);
                if is_none(value) { format!("{}: none", self.label) } else { name.to_owned() }
            }
            Kind::Text(_) | Kind::Replace if value.is_empty() => format!("{}: nothing", self.label),
            Kind::Text(_) | Kind::Replace => value.to_owned(),
        }
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Field({})", self.name)
    }
}

/// In files a field is its name.
impl Serialize for Field {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for &'static Field {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let known = FIELDS.iter().find(|field| field.name == name);
        known.ok_or_else(|| serde::de::Error::custom(format!("there is no field called {name}")))
    }
}

fn is_none(text: &str) -> bool {
    text.eq_ignore_ascii_case(NONE)
}

fn put_whole(place: &mut u32, value: u64) -> Result<(), String> {
    *place = u32::try_from(value).map_err(|_| format!("{value} is too large a number"))?;
    Ok(())
}

fn unknown(what: &str, item: &str, names: &[&str]) -> String {
    format!("There is no {what} named \"{item}\". The names are {}", names.join(", "))
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once(['x', 'X', '×']);
    let sides = sides.and_then(|(width, height)| Some((width.trim().parse().ok()?, height.trim().parse().ok()?)));
    sides.ok_or_else(|| format!("\"{text}\" is no size: write it like 512x768"))
}

fn replace(request: &mut GenerateRequest, first: &str, value: &str) -> Result<(), String> {
    if first.is_empty() {
        return Err("The first value is the text that is looked for, and it is empty".to_owned());
    }
    if !request.prompt.contains(first) && !request.negative_prompt.contains(first) {
        return Err(format!("\"{first}\" stands neither in the prompt nor in the negative prompt"));
    }
    request.prompt = request.prompt.replace(first, value);
    request.negative_prompt = request.negative_prompt.replace(first, value);
    Ok(())
}

fn add_lora(request: &mut GenerateRequest, name: &str) -> Result<(), String> {
    if name.contains(['<', '>', ':']) || name.trim().is_empty() {
        return Err(format!("\"{name}\" cannot be the name of a LoRA"));
    }
    if !is_none(name) {
        request.prompt = with_network(&request.prompt, name, 1.0, 1.0);
    }
    Ok(())
}

fn weigh_loras(request: &mut GenerateRequest, weight: f64) -> Result<(), String> {
    let most = limits::MAX_LORA_WEIGHT;
    if !(-most..=most).contains(&weight) {
        return Err(format!("The weights of LoRAs must be from -{most} to {most}, not {weight}"));
    }
    let named = extract_networks(&request.prompt).networks;
    if named.is_empty() && request.loras.is_empty() {
        return Err("There is no LoRA whose weight could differ".to_owned());
    }
    for lora in &mut request.loras {
        (lora.unet_weight, lora.text_encoder_weight) = (weight, weight);
    }
    for network in named {
        request.prompt = with_network(&request.prompt, &network.name, weight, weight);
    }
    Ok(())
}
