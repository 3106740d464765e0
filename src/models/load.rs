//! [`Model`]: all parts of a model, loaded and checked.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::clip::{ClipTextConfig, ClipTextEncoder};
use super::family::{self, Family, TextUse};
use super::preview::PreviewFactors;
use super::tokenizer::ClipTokenizer;
use super::unet::UNet;
use super::unet_config::UNetConfig;
use super::vae::{AutoencoderKl, VaeConfig};
use crate::domain::{
    Cancel, GenerateRequest, ModelInfo, ModelRef, PredictionType, Recipe, Result, SchedulerConfig, UserError,
};
use crate::nn::Params;
use crate::weights::{ModelFiles, TensorFile};

/// File names of weights in diffusers folders, the full precision first.
const DIFFUSERS_WEIGHTS: &[&str] = &["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"];
/// The same for text encoders.
const TRANSFORMERS_WEIGHTS: &[&str] = &["model.safetensors", "model.fp16.safetensors"];
/// The name of the published CLIP's merges within the program.
const CLIP_MERGES: &str = include_str!("../../assets/clip/merges.txt");
/// The size of the published CLIP's vocabulary.
const CLIP_VOCABULARY: usize = 49408;

/// A part of a model, for progress and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The text encoder and its tokenizer.
    TextEncoder,
    /// The denoising network.
    UNet,
    /// The autoencoder.
    Vae,
}

/// A part is about to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadStep(pub Part);

/// A text encoder with its tokenizer.
pub struct TextPart {
    /// Prompt to ids.
    pub tokenizer: ClipTokenizer,
    /// Ids to vectors.
    pub encoder: ClipTextEncoder,
}

/// A model with everything that makes pictures.
pub struct Model {
    /// What it is.
    pub info: ModelInfo,
    /// Its family.
    pub family: &'static Family,
    /// The text encoder.
    pub text: TextPart,
    /// The second text encoder, in families that have one.
    pub text_2: Option<TextPart>,
    /// Whether an empty negative prompt stands for zeros rather than for what the text encoders say of nothing.
    pub force_zeros_for_empty_prompt: bool,
    /// The denoising network.
    pub unet: UNet,
    /// The autoencoder.
    pub vae: AutoencoderKl,
    /// How it was trained.
    pub scheduler: SchedulerConfig,
    /// `scheduler_config.json` as it stands, for what belongs to a sampler.
    pub scheduler_json: Value,
    /// How its latents look as colours.
    pub preview: PreviewFactors,
}

/// The files of the model inside the program.
#[must_use]
pub fn starter_files() -> ModelFiles {
    ModelFiles::Embedded(STARTER_FILES)
}

/// One file of the starter model.
macro_rules! starter {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../assets/starter/", $name)))),*]
    };
}

static STARTER_FILES: &[(&str, &[u8])] = starter!(
    "atelier.json",
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
);

/// What counts of `model_index.json`.
#[derive(Default, serde::Deserialize)]
struct ModelIndex {
    #[serde(default)]
    force_zeros_for_empty_prompt: bool,
}

/// What a model trained by this program says of itself, in `atelier.json`.
#[derive(serde::Deserialize)]
struct AtelierJson {
    preview: PreviewFactors,
}

/// Loads a model; `progress` is told each part before it is read.
///
/// # Errors
/// When a file is missing or broken, the parts do not fit together, the family is not built, or `cancel` was set.
pub fn open(model: &ModelRef, cancel: &Cancel, progress: &mut dyn FnMut(LoadStep)) -> Result<Model> {
    let files = match model {
        ModelRef::Starter => starter_files(),
        ModelRef::Path(path) => ModelFiles::folder(path)?,
    };
    let mut next = |part| {
        if cancel.is_cancelled() {
            return Err(UserError::cancelled());
        }
        progress(LoadStep(part));
        Ok(())
    };
    let unet_json: Value = files.json("unet/config.json")?;
    let at = |name: &'static str| {
        let path = files.path(name);
        move |error: UserError| if error.path.is_none() { error.path(path) } else { error }
    };
    let scheduler_json: Value = files.json("scheduler/scheduler_config.json")?;
    let scheduler: SchedulerConfig = files.json("scheduler/scheduler_config.json")?;
    let family = family::detect(&unet_json, &scheduler_json).map_err(at("unet/config.json"))?;
    let unet_config = UNetConfig::from_json(&unet_json).map_err(at("unet/config.json"))?;
    let vae_config = VaeConfig::from_json(&files.json("vae/config.json")?).map_err(at("vae/config.json"))?;
    let text_config = |name: &'static str| {
        let config: ClipTextConfig = files.json(name)?;
        config.check().map_err(at(name))?;
        Ok::<_, UserError>(config)
    };
    let first = text_config("text_encoder/config.json")?;
    let second = match family.text {
        TextUse::Last => None,
        TextUse::Pair => Some(text_config("text_encoder_2/config.json")?),
    };
    let index: ModelIndex =
        if files.has("model_index.json") { files.json("model_index.json")? } else { ModelIndex::default() };
    let preview = if files.has("atelier.json") {
        files.json::<AtelierJson>("atelier.json")?.preview
    } else {
        family.preview.clone()
    };
    check_fit(&unet_config, &vae_config, (&first, second.as_ref()), &preview).map_err(at("model_index.json"))?;

    next(Part::TextEncoder)?;
    let (text, mut text_elements) = load_text(&files, "text_encoder", "tokenizer", &first)?;
    let text_2 = match &second {
        Some(config) => {
            let (part, elements) = load_text(&files, "text_encoder_2", "tokenizer_2", config)?;
            text_elements += elements;
            Some(part)
        }
        None => None,
    };
    next(Part::UNet)?;
    let file = files.weights("unet", DIFFUSERS_WEIGHTS)?;
    let hash = short_hash(&file);
    let params = Params::from_file(file);
    let unet = UNet::new(&params, &unet_config);
    params.finish("UNet")?;
    next(Part::Vae)?;
    let vae_params = Params::from_file(files.weights("vae", DIFFUSERS_WEIGHTS)?.renamed(vae_name));
    let vae = AutoencoderKl::new(&vae_params, &vae_config);
    vae_params.finish("VAE")?;

    let info = ModelInfo {
        model: model.clone(),
        name: model.to_string(),
        family: family.capabilities.family,
        prediction_type: scheduler.prediction_type,
        hash,
        parameters: text_elements + params.elements() + vae_params.elements(),
    };
    let force_zeros_for_empty_prompt = index.force_zeros_for_empty_prompt;
    Ok(Model {
        info,
        family,
        text,
        text_2,
        force_zeros_for_empty_prompt,
        unet,
        vae,
        scheduler,
        scheduler_json,
        preview,
    })
}

fn load_text(files: &ModelFiles, part: &str, tokenizer: &str, config: &ClipTextConfig) -> Result<(TextPart, u64)> {
    let length = config.max_position_embeddings;
    let has_tokenizer = ["vocab.json", "tokenizer.json"].iter().any(|file| files.has(&format!("{tokenizer}/{file}")));
    let folder = files.path(tokenizer);
    let tokenizer = if !has_tokenizer && config.vocab_size == CLIP_VOCABULARY {
        ClipTokenizer::published(CLIP_MERGES, length)?
    } else {
        ClipTokenizer::load(files, tokenizer, length)?
    };
    if let Some(id) = tokenizer.largest_id().filter(|id| *id as usize >= config.vocab_size) {
        let sentence = format!("The tokenizer has a token {id}, but the text encoder knows only {}", config.vocab_size);
        return Err(UserError::input(sentence).path(folder).hint("they belong to different models"));
    }
    let params = Params::from_file(files.weights(part, TRANSFORMERS_WEIGHTS)?.renamed(text_name));
    let encoder = ClipTextEncoder::new(&params, config);
    params.finish("text encoder")?;
    Ok((TextPart { tokenizer, encoder }, params.elements()))
}

/// transformers 5 saves text encoders without the prefix that all published files have.
fn text_name(name: &str) -> String {
    name.strip_prefix("text_model.").unwrap_or(name).to_owned()
}

/// Autoencoders of the first diffusers releases name the projections of their attention otherwise.
fn vae_name(name: &str) -> String {
    [("query.", "to_q."), ("key.", "to_k."), ("value.", "to_v."), ("proj_attn.", "to_out.0.")]
        .iter()
        .find_map(|(old, new)| {
            let (head, tail) = name.split_once(&format!("attentions.0.{old}"))?;
            Some(format!("{head}attentions.0.{new}{tail}"))
        })
        .unwrap_or_else(|| name.to_owned())
}

/// Parts of different models in one folder are found here, not in the middle of a picture.
fn check_fit(
    unet: &UNetConfig,
    vae: &VaeConfig,
    (first, second): (&ClipTextConfig, Option<&ClipTextConfig>),
    preview: &PreviewFactors,
) -> Result<()> {
    let width = first.hidden_size + second.map_or(0, |second| second.hidden_size);
    let pooled = second.and_then(ClipTextConfig::projected);
    let layers = |config: &ClipTextConfig| config.num_hidden_layers;
    let faults = [
        (unet.cross_attention_dim != width, "the UNet reads text of another width than the encoders write"),
        (unet.pooled_dim() != pooled, "the UNet reads pooled text of another width than the second encoder writes"),
        // The layer before the last is looked at.
        (second.is_some_and(|second| layers(second).min(layers(first)) == 0), "a text encoder has no layers"),
        (
            second.is_some_and(|second| second.max_position_embeddings != first.max_position_embeddings),
            "the text encoders read texts of different lengths",
        ),
        (unet.out_channels != vae.latent_channels, "the UNet and the VAE have different latents"),
        (preview.weights.len() != vae.latent_channels, "the latents have other channels than their preview knows"),
        (unet.in_channels != vae.latent_channels, "the UNet and the VAE have different latents"),
        (vae.out_channels != 3, "the VAE does not make RGB pictures"),
        (vae.scale() != 8, "the VAE does not shrink pictures by 8"),
    ];
    match faults.iter().find(|(fault, _)| *fault) {
        Some((_, fault)) => Err(UserError::input(format!("The parts of this model do not belong together: {fault}"))),
        None => Ok(()),
    }
}

/// First ten hex digits of the file's sha256.
fn short_hash(file: &TensorFile) -> String {
    let digest = Sha256::digest(file.bytes());
    let first = digest.iter().take(5).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{first:010x}")
}

impl Model {
    /// How a picture of `request`, made with this model in `elapsed_secs` seconds, was made.
    #[must_use]
    pub fn recipe(&self, request: GenerateRequest, elapsed_secs: f64) -> Recipe {
        Recipe {
            request,
            model_name: self.info.name.clone(),
            model_hash: self.info.hash.clone(),
            version: concat!("Atelier ", env!("CARGO_PKG_VERSION")).to_owned(),
            elapsed_secs,
        }
    }

    /// What its network predicts.
    #[must_use]
    pub fn prediction_type(&self) -> PredictionType {
        self.scheduler.prediction_type
    }
}
