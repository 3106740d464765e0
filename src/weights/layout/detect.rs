//! [`Inspection`]: what a file is, which family, and what is wrong with it, from names and shapes alone.
//!
//! A manual choice must stay possible: other programs misread files too, and some things cannot be known
//! (<https://github.com/invoke-ai/InvokeAI/issues/7495>, <https://github.com/leejet/stable-diffusion.cpp/issues/325>).

use std::collections::BTreeMap;

use safetensors::tensor::Dtype;
use serde::Serialize;

use super::kind::{Kind, Unet};
use super::{Component, Naming, Plan};
use crate::domain::PredictionType;
use crate::weights::{Tensors, first_three};

/// A generation of Stable Diffusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseFamily {
    /// Stable Diffusion 1.x.
    Sd1,
    /// Stable Diffusion 2.x.
    Sd2,
    /// Stable Diffusion XL.
    Sdxl,
}

/// What a model's `UNet` takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Latents.
    Base,
    /// Latents, a mask, and the latents of the masked picture.
    Inpaint,
}

/// How sure something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Taken because it is the most common.
    Guess,
    /// A rule that is right for nearly all published files.
    Likely,
    /// The file says so.
    Certain,
}

/// What a model's network predicts, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prediction {
    /// What it predicts.
    pub prediction_type: PredictionType,
    /// How sure that is.
    pub certainty: Certainty,
    /// Why, for people.
    pub reason: String,
}

/// A component of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComponentInfo {
    /// Which one.
    pub name: Component,
    /// Whose names it has.
    pub naming: Naming,
    /// Number of its parameters, as they are used.
    pub parameters: u64,
    /// The type of most of them.
    pub dtype: String,
}

/// What a file or folder turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// What sort of file it is.
    pub kind: Kind,
    /// The same as a sentence, with whether it can be used.
    pub description: String,
    /// Whether files of this kind can be used; `problems` say what is wrong with this one.
    pub usable: bool,
    /// Its family, where that can be told.
    pub family: Option<BaseFamily>,
    /// What its `UNet` takes in.
    pub variant: Option<Variant>,
    /// Whether it is made for few steps without guidance. `None`: shapes do not tell.
    pub turbo: Option<bool>,
    /// What its network predicts.
    pub prediction_type: Option<PredictionType>,
    /// How sure that is.
    pub prediction_certainty: Option<Certainty>,
    /// Why.
    pub prediction_reason: Option<String>,
    /// The type of most parameters, such as `f16`.
    pub dtype: String,
    /// Number of parameters that are used.
    pub parameters: u64,
    /// The networks in it.
    pub components: Vec<ComponentInfo>,
    /// Names of what is not needed.
    pub ignored: Vec<String>,
    /// Names of what is in no table.
    pub unknown: Vec<String>,
    /// Sentences on what is wrong with it.
    pub problems: Vec<String>,
}

/// What a file says beside names and shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clues {
    /// The training step that a `.ckpt` was saved at.
    pub global_step: Option<i64>,
    /// Standard deviation of [`SD2_PROBE`]'s values.
    pub sd2_probe_std: Option<f64>,
    /// What a folder's scheduler says.
    pub scheduler: Option<PredictionType>,
}

/// The bias whose spread tells v-prediction from epsilon in the published `UNet`s of Stable Diffusion 2
/// (`output_blocks.11.1.transformer_blocks.0.norm1.bias`), under diffusers' name. Source: `ComfyUI`'s
/// `comfy/supported_models.py`.
pub const SD2_PROBE: &str = "up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias";
/// Above this the network predicts v.
const SD2_PROBE_LIMIT: f64 = 0.09;
/// The step at which the published Stable Diffusion 2 base model was saved. Source: diffusers'
/// `loaders/single_file_utils.py`.
const SD2_BASE_STEP: i64 = 875_000;

/// What every component has, under the names of folders. All else is checked when its network is built.
fn essentials(component: Component) -> &'static [&'static str] {
    match component {
        Component::Unet => &[
            "conv_in.weight",
            "conv_norm_out.weight",
            "conv_out.weight",
            "down_blocks.0.resnets.0.conv1.weight",
            "mid_block.resnets.0.conv1.weight",
            "time_embedding.linear_1.weight",
            "up_blocks.0.resnets.0.conv1.weight",
        ],
        Component::Vae => &[
            "decoder.conv_in.weight",
            "decoder.conv_out.weight",
            "decoder.mid_block.attentions.0.to_q.weight",
            "encoder.conv_in.weight",
            "encoder.conv_out.weight",
        ],
        Component::TextEncoder | Component::TextEncoder2 => &[
            "text_model.embeddings.position_embedding.weight",
            "text_model.embeddings.token_embedding.weight",
            "text_model.encoder.layers.0.self_attn.q_proj.weight",
            "text_model.final_layer_norm.weight",
        ],
    }
}

/// Says what the tensors of a file are, from its plan and what else is known.
#[must_use]
pub fn detect(tensors: &Tensors, plan: &Plan, clues: &Clues) -> Inspection {
    let kind = Kind::of(tensors, plan);
    let mut found = Inspection {
        kind,
        description: kind.sentence().to_owned(),
        usable: kind.is_usable(),
        family: None,
        variant: None,
        turbo: None,
        prediction_type: None,
        prediction_certainty: None,
        prediction_reason: None,
        dtype: String::new(),
        parameters: 0,
        components: Vec::new(),
        ignored: plan.ignored.clone(),
        unknown: plan.unknown.clone(),
        problems: Vec::new(),
    };
    if matches!(
        kind,
        Kind::Checkpoint | Kind::Unet | Kind::Vae | Kind::TextEncoder | Kind::Refiner | Kind::InstructPix2pix
    ) {
        found.components(tensors, plan);
        found.model(tensors, plan, clues);
    } else {
        // What only looks like a component of Stable Diffusion is not told apart.
        (found.ignored, found.unknown) = (Vec::new(), Vec::new());
        (found.dtype, found.parameters) = amount(tensors);
        found.family = match kind {
            Kind::Lora => lora_family(tensors),
            Kind::TextualInversion => embedding_family(tensors),
            Kind::Depth | Kind::Upscaler | Kind::Unclip => Some(BaseFamily::Sd2),
            _ => None,
        };
    }
    found
}

impl Inspection {
    fn components(&mut self, tensors: &Tensors, plan: &Plan) {
        self.problems.clone_from(&plan.problems);
        let mut all = Tensors::new();
        for (component, part) in &plan.parts {
            let part_tensors = plan.tensors_of(*component, tensors);
            let (dtype, parameters) = amount(&part_tensors);
            self.components.push(ComponentInfo { name: *component, naming: part.naming, parameters, dtype });
            let missing: Vec<String> = essentials(*component)
                .iter()
                .filter(|name| !part_tensors.contains_key(**name))
                .map(|name| format!("{}.{name}", component.folder()))
                .collect();
            if !missing.is_empty() {
                self.problems.push(format!("Tensors are missing: {}", first_three(&missing)));
            }
            all.extend(part_tensors.into_iter().map(|(name, info)| (format!("{}.{name}", component.folder()), info)));
        }
        (self.dtype, self.parameters) = amount(&all);
        let unreadable: Vec<String> = all
            .iter()
            .filter(|(_, info)| !matches!(info.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64))
            .map(|(name, info)| format!("{name} as {}", dtype_name(info.dtype)))
            .collect();
        if !unreadable.is_empty() {
            self.problems
                .push(format!("Tensors are stored in a way that cannot be read: {}", first_three(&unreadable)));
        }
        if !plan.unknown.is_empty() {
            self.problems.push(format!("Tensors are in no table: {}", first_three(&plan.unknown)));
        }
    }

    fn model(&mut self, tensors: &Tensors, plan: &Plan, clues: &Clues) {
        let part = |component| plan.tensors_of(component, tensors);
        let unet = plan.parts.contains_key(&Component::Unet).then(|| Unet::of(&part(Component::Unet)));
        let width = |component: Component| {
            let info = part(component).remove("text_model.embeddings.token_embedding.weight")?;
            info.shape.get(1).copied()
        };
        let widths = [width(Component::TextEncoder), width(Component::TextEncoder2)];
        self.family = match unet {
            Some(unet) => model_family(&unet, plan),
            None if plan.parts.contains_key(&Component::TextEncoder2) => Some(BaseFamily::Sdxl),
            None => widths[0].and_then(text_family),
        };
        let Some(unet) = unet else {
            if self.kind == Kind::Checkpoint {
                self.problems.push("It has no UNet, which is what makes the picture".to_owned());
            }
            return;
        };
        self.variant = match unet.in_channels {
            Some(4) => Some(Variant::Base),
            Some(9) => Some(Variant::Inpaint),
            Some(8) | None => None,
            Some(other) => {
                self.problems.push(format!("Its UNet takes {other} channels, not 4 (a base model) or 9 (inpainting)"));
                None
            }
        };
        // Turbo models were distilled from these two, and have their shapes.
        let may_be_turbo = self.variant == Some(Variant::Base) && self.family != Some(BaseFamily::Sd1);
        self.turbo = if may_be_turbo { None } else { Some(false) };
        if self.kind != Kind::Refiner && self.kind != Kind::InstructPix2pix {
            self.check_fit(&unet, plan, widths, tensors);
        }
        let prediction = self.family.map(|family| predict(family, self.variant, tensors, clues));
        if let Some(Prediction { prediction_type, certainty, reason }) = prediction {
            self.prediction_type = Some(prediction_type);
            self.prediction_certainty = Some(certainty);
            self.prediction_reason = Some(reason);
        }
        if tensors.keys().any(|name| name.starts_with("edm_")) {
            self.problems.push("It is trained in the manner of EDM, which Atelier cannot run".to_owned());
        }
    }

    /// Parts that a whole model must have, and that must fit each other.
    fn check_fit(&mut self, unet: &Unet, plan: &Plan, widths: [Option<usize>; 2], tensors: &Tensors) {
        let is_sdxl = self.family == Some(BaseFamily::Sdxl);
        if self.kind == Kind::Checkpoint {
            let needed: &[Component] = if is_sdxl { &Component::ALL } else { &Component::ALL[..3] };
            for component in needed.iter().filter(|component| !plan.parts.contains_key(component)) {
                let problem = match component {
                    Component::Vae => "It has no VAE; choose a VAE file together with it",
                    Component::TextEncoder2 => "It has no second text encoder, which SDXL needs",
                    _ => "It has no text encoder; choose the text encoder of a model of its family",
                };
                self.problems.push(problem.to_owned());
            }
        }
        let text = match (is_sdxl, widths) {
            (true, [Some(first), Some(second)]) => first.checked_add(second),
            (false, [first, _]) => first,
            _ => None,
        };
        if let (Some(context), Some(text)) = (unet.context_width, text)
            && context != text
        {
            self.problems.push(format!("Its UNet reads text {context} wide, but its text encoders write {text}"));
        }
        let latents = plan.tensors_of(Component::Vae, tensors).remove("decoder.conv_in.weight");
        let channels = latents.and_then(|info| info.shape.get(1).copied());
        if let (Some(unet), Some(vae)) = (unet.out_channels, channels)
            && unet != vae
        {
            self.problems.push(format!("Its UNet makes latents of {unet} channels, but its VAE reads {vae}"));
        }
    }
}

fn model_family(unet: &Unet, plan: &Plan) -> Option<BaseFamily> {
    let is_open_clip = || Some(plan.parts.get(&Component::TextEncoder)?.naming == Naming::OpenClip);
    match unet.context_width {
        _ if unet.has_pooled_text || plan.parts.contains_key(&Component::TextEncoder2) => Some(BaseFamily::Sdxl),
        Some(768) => Some(BaseFamily::Sd1),
        Some(1024) => Some(BaseFamily::Sd2),
        Some(2048) => Some(BaseFamily::Sdxl),
        // Widths that no published model has: by the encoder's names, then by how its transformers project.
        _ if is_open_clip() == Some(true) => Some(BaseFamily::Sd2),
        _ => unet.is_linear.map(|linear| if linear { BaseFamily::Sd2 } else { BaseFamily::Sd1 }),
    }
}

/// The family of a text encoder by its width. The one of 768 is both Stable Diffusion 1's and SDXL's first.
fn text_family(width: usize) -> Option<BaseFamily> {
    match width {
        1024 => Some(BaseFamily::Sd2),
        1280 => Some(BaseFamily::Sdxl),
        _ => None,
    }
}

fn predict(family: BaseFamily, variant: Option<Variant>, tensors: &Tensors, clues: &Clues) -> Prediction {
    use Certainty::{Certain, Guess, Likely};
    use PredictionType::{Epsilon, VPrediction};

    let because =
        |prediction_type, certainty, reason: &str| Prediction { prediction_type, certainty, reason: reason.to_owned() };
    if let Some(scheduler) = clues.scheduler {
        return because(scheduler, Certain, "the scheduler's configuration says so");
    }
    if tensors.contains_key("v_pred") {
        return because(VPrediction, Certain, "the file has the mark v_pred");
    }
    match (family, clues) {
        (BaseFamily::Sd1, _) => because(Epsilon, Likely, "models of Stable Diffusion 1 predict the noise"),
        (BaseFamily::Sdxl, _) => because(Epsilon, Likely, "models of SDXL without the mark v_pred predict the noise"),
        (BaseFamily::Sd2, _) if variant == Some(Variant::Inpaint) => {
            because(Epsilon, Likely, "the inpainting model of Stable Diffusion 2 predicts the noise")
        }
        (BaseFamily::Sd2, Clues { global_step: Some(SD2_BASE_STEP), .. }) => {
            because(Epsilon, Likely, "the file was saved at the step of Stable Diffusion 2 base")
        }
        (BaseFamily::Sd2, Clues { sd2_probe_std: Some(std), .. }) => {
            let of = if *std > SD2_PROBE_LIMIT { VPrediction } else { Epsilon };
            because(of, Likely, "the spread of one of its biases is that of published models")
        }
        (BaseFamily::Sd2, Clues { global_step: Some(_), .. }) => {
            because(VPrediction, Likely, "the file was not saved at the step of Stable Diffusion 2 base")
        }
        (BaseFamily::Sd2, _) => because(VPrediction, Guess, "most models of Stable Diffusion 2 predict v"),
    }
}

/// The base family of a `LoRA`, from the text's width that its layers take in.
fn lora_family(tensors: &Tensors) -> Option<BaseFamily> {
    if tensors.keys().any(|name| name.starts_with("lora_te2_") || name.starts_with("text_encoder_2.")) {
        return Some(BaseFamily::Sdxl);
    }
    let is_down = |name: &str| [".lora_A.", "lora.down.", "lora_down."].iter().any(|mark| name.contains(mark));
    let is_context =
        |name: &str| ["attn2.to_k", "attn2_to_k", "attn2.processor.to_k"].iter().any(|at| name.contains(at));
    let down = tensors.iter().find(|(name, _)| is_down(name) && is_context(name))?;
    match down.1.shape.get(1)? {
        768 => Some(BaseFamily::Sd1),
        1024 => Some(BaseFamily::Sd2),
        2048 => Some(BaseFamily::Sdxl),
        _ => None,
    }
}

/// The base family of a textual inversion, from the length of its vectors.
fn embedding_family(tensors: &Tensors) -> Option<BaseFamily> {
    if tensors.contains_key("clip_g") {
        return Some(BaseFamily::Sdxl);
    }
    match tensors.values().next()?.shape.last()? {
        768 => Some(BaseFamily::Sd1),
        1024 => Some(BaseFamily::Sd2),
        1280 => Some(BaseFamily::Sdxl),
        _ => None,
    }
}

/// The type of most parameters, and their number.
fn amount(tensors: &Tensors) -> (String, u64) {
    let mut by_type: BTreeMap<Dtype, u64> = BTreeMap::new();
    for info in tensors.values() {
        *by_type.entry(info.dtype).or_default() += info.elements() as u64;
    }
    let most = by_type.iter().max_by_key(|(_, count)| **count).map(|(dtype, _)| dtype_name(*dtype));
    (most.unwrap_or_default(), by_type.values().sum())
}

fn dtype_name(dtype: Dtype) -> String {
    format!("{dtype:?}").to_lowercase()
}
