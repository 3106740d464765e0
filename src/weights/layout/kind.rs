//! [`Kind`]: what sort of file it is, by the names and shapes in it.

use serde::Serialize;

use super::{Component, Plan};
use crate::weights::Tensors;

/// What a file of weights is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A whole model in one file, or most of one.
    Checkpoint,
    /// A `UNet` alone.
    Unet,
    /// An autoencoder alone.
    Vae,
    /// A text encoder alone.
    TextEncoder,
    /// A `LoRA` in any form.
    Lora,
    /// Vectors for new words.
    TextualInversion,
    /// SDXL's second model.
    Refiner,
    /// A model that edits a picture by an instruction.
    InstructPix2pix,
    /// Stable Diffusion 2 with a depth channel.
    Depth,
    /// Stable Diffusion's fourfold upscaler.
    Upscaler,
    /// Stable Diffusion 2 that takes a picture in the place of text.
    Unclip,
    /// Stable Diffusion 3.
    Sd3,
    /// Flux.
    Flux,
    /// Another diffusion transformer.
    Transformer,
    /// Video models and motion modules.
    Video,
    /// A `ControlNet`.
    ControlNet,
    /// Picture prompts and other adapters.
    OtherAdapter,
    /// The text encoder of newer models.
    T5,
    /// A safety checker.
    SafetyChecker,
    /// None of these.
    Unknown,
}

/// Pieces of names that only one kind has. The first row that fits counts: a `LoRA` of Flux is a `LoRA`, and Flux under
/// diffusers' names has some of Stable Diffusion 3's.
const MARKS: &[(Kind, &[&str])] = &[
    (Kind::Lora, LORA_MARKS),
    (
        Kind::ControlNet,
        &["control_model.", "controlnet_cond_embedding.", "input_hint_block.", "controlnet_down_blocks."],
    ),
    (Kind::OtherAdapter, &["image_proj.", "ip_adapter.", "adapter.body.", "hypernetwork"]),
    (Kind::Video, &["motion_modules.", "temporal_transformer_blocks.", "time_stack.", ".temporal_convs."]),
    (Kind::Flux, &["double_blocks.", "single_transformer_blocks."]),
    (Kind::Sd3, &["joint_blocks.", "attn.add_q_proj."]),
    (Kind::Transformer, &["adaln_single.", "adaLN_modulation.", "cap_embedder."]),
    (Kind::Unclip, &["noise_augmentor.", "embedder.model.visual."]),
    (Kind::T5, &[".layer.0.SelfAttention."]),
    (Kind::SafetyChecker, &["concept_embeds", "special_care_embeds"]),
];

/// Pieces of names that only `LoRA` files have: peft's, diffusers' two, kohya's, and those of its relatives.
pub(super) const LORA_MARKS: &[&str] = &[
    ".lora_A.",
    ".lora_B.",
    ".lora.down.",
    ".lora.up.",
    "_lora.down.",
    "_lora.up.",
    ".lora_linear_layer.",
    ".lora_down.",
    ".lora_up.",
    ".lora_mid.",
    ".hada_w1",
    ".lokr_w1",
    ".dora_scale",
    ".oft_blocks",
    ".oft_diag",
];

/// Vectors for new words are few.
const MOST_WORDS: usize = 8;

impl Kind {
    /// What a file of these tensors is.
    #[must_use]
    pub fn of(tensors: &Tensors, plan: &Plan) -> Self {
        let has = |mark: &&str| tensors.keys().any(|name| name.contains(mark));
        if let Some((kind, _)) = MARKS.iter().find(|(_, marks)| marks.iter().any(has)) {
            return *kind;
        }
        if is_textual_inversion(tensors) {
            return Self::TextualInversion;
        }
        let parts: Vec<Component> = plan.parts.keys().copied().collect();
        if !parts.contains(&Component::Unet) {
            return match parts.as_slice() {
                [] => Self::Unknown,
                [Component::Vae] => Self::Vae,
                [Component::TextEncoder | Component::TextEncoder2] => Self::TextEncoder,
                _ => Self::Checkpoint,
            };
        }
        let unet = Unet::of(&plan.tensors_of(Component::Unet, tensors));
        let is_refiner = tensors.keys().any(|name| name.starts_with("conditioner.embedders.0.model."));
        match (unet.in_channels, unet.context_width) {
            (Some(5), _) => Self::Depth,
            (Some(7), _) => Self::Upscaler,
            (Some(8), _) => Self::InstructPix2pix,
            // Widths of the published models: the refiner reads the 1280 numbers of one encoder, SDXL the 2048 of two.
            (_, Some(1280)) if unet.has_pooled_text => Self::Refiner,
            (_, Some(1024)) if unet.has_pooled_text => Self::Unclip,
            _ if is_refiner => Self::Refiner,
            _ if parts.len() == 1 => Self::Unet,
            _ => Self::Checkpoint,
        }
    }

    /// Whether this program can make or change pictures with it.
    #[must_use]
    pub fn is_usable(self) -> bool {
        matches!(
            self,
            Self::Checkpoint | Self::Unet | Self::Vae | Self::TextEncoder | Self::Lora | Self::TextualInversion
        )
    }

    /// What it is and whether it can be used.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Checkpoint => "This is a Stable Diffusion model in one file; it can be used as a model.",
            Self::Unet => {
                "This is a UNet alone; it can be used with the VAE and text encoders of a model of its family."
            }
            Self::Vae => "This is a VAE alone; it can be used in the place of a model's own.",
            Self::TextEncoder => "This is a text encoder alone; it can be used as a part of a model.",
            Self::Lora => "This is a LoRA; it can be used together with a model of its family.",
            Self::TextualInversion => "This is a textual inversion; it can be used as a word in prompts.",
            Self::Refiner => "This is the refiner of SDXL, which Atelier cannot use.",
            Self::InstructPix2pix => "This is a model that edits by instructions (pix2pix), which Atelier cannot use.",
            Self::Depth => "This is Stable Diffusion 2 with a depth channel, which Atelier cannot use.",
            Self::Upscaler => "This is Stable Diffusion's upscaler, which Atelier cannot use.",
            Self::Unclip => "This is Stable Diffusion 2 for picture prompts (unCLIP), which Atelier cannot use.",
            Self::Sd3 => "This is Stable Diffusion 3, which Atelier cannot use.",
            Self::Flux => "This is Flux, which Atelier cannot use.",
            Self::Transformer => "This is a diffusion transformer of another family, which Atelier cannot use.",
            Self::Video => "This is a video model or a motion module, which Atelier cannot use.",
            Self::ControlNet => "This is a ControlNet, which Atelier cannot use.",
            Self::OtherAdapter => "This is an adapter of a kind that Atelier cannot use.",
            Self::T5 => "This is a T5 text encoder, which belongs to models that Atelier cannot use.",
            Self::SafetyChecker => "This is a safety checker; it is used where it lies in a model's folder.",
            Self::Unknown => "This is no model that Atelier knows.",
        }
    }
}

/// What a `UNet`'s tensors under diffusers' names say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unet {
    /// Channels of its input.
    pub in_channels: Option<usize>,
    /// Channels of its output.
    pub out_channels: Option<usize>,
    /// Width of the text's vectors.
    pub context_width: Option<usize>,
    /// Whether it takes a vector of the whole text and sizes, as SDXL does.
    pub has_pooled_text: bool,
    /// Whether its transformers project by linear layers.
    pub is_linear: Option<bool>,
}

impl Unet {
    pub(super) fn of(tensors: &Tensors) -> Self {
        let side = |name: &str, axis: usize| tensors.get(name).and_then(|info| info.shape.get(axis).copied());
        let ends = |tail: &str| tensors.iter().find(|(name, _)| name.ends_with(tail)).map(|(_, info)| &info.shape);
        Self {
            in_channels: side("conv_in.weight", 1),
            out_channels: side("conv_out.weight", 0),
            context_width: ends(".attn2.to_k.weight").and_then(|shape| shape.get(1).copied()),
            has_pooled_text: tensors.contains_key("add_embedding.linear_1.weight"),
            is_linear: ends(".proj_in.weight").map(|shape| shape.len() == 2),
        }
    }
}

/// A few vectors or short matrices, under names that no network has.
fn is_textual_inversion(tensors: &Tensors) -> bool {
    let known = |name: &str| {
        matches!(name, "emb_params" | "clip_l" | "clip_g")
            || name.starts_with("string_to_param.")
            || (name.starts_with('<') && name.ends_with('>'))
    };
    let is_vectors = |shape: &[usize]| matches!(shape, [_] | [_, _]);
    let all_vectors = (1..=MOST_WORDS).contains(&tensors.len()) && tensors.values().all(|info| is_vectors(&info.shape));
    // diffusers writes a single tensor under the word itself, which can be anything; a network's names have dots.
    let one_word = || tensors.len() == 1 && tensors.keys().all(|name| !name.contains('.'));
    all_vectors && (tensors.keys().any(|name| known(name)) || one_word())
}
