//! [`Model`]: all parts of a model, loaded and checked.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::adapters::{Dressed, Wardrobe};
use super::clip::{ClipTextConfig, ClipTextEncoder};
use super::family::{self, Family, TextUse};
use super::preview::PreviewFactors;
use super::safety::Safety;
use super::source::Source;
use super::tokenizer::ClipTokenizer;
use super::unet::UNet;
use super::unet_config::UNetConfig;
use super::vae::{AutoencoderKl, VaeConfig};
use super::words::Word;
use crate::domain::{
    Cancel, GenerateRequest, ModelInfo, ModelRef, PredictionType, Recipe, Result, SchedulerConfig, UserError, Verdict,
};
use crate::nn::{Params, Weight};
use crate::weights::layout::Component;
use crate::weights::lora;
use crate::weights::{Fingerprint, ModelFiles, TensorFile};

/// The name of the published CLIP's merges within the program.
const CLIP_MERGES: &str = include_str!("../../assets/clip/merges.txt");
/// The size of the published CLIP's vocabulary.
const CLIP_VOCABULARY: usize = 49408;

/// How many tokens every published text encoder takes.
const CLIP_LENGTH: usize = 77;

/// The tokenizer of the published models, without a model: captions are counted by it before there is one.
///
/// # Errors
/// When the merges inside the program cannot be read; they are tested.
pub fn clip_tokenizer() -> Result<ClipTokenizer> {
    ClipTokenizer::published(CLIP_MERGES, &ModelFiles::Embedded(&[]), "tokenizer", CLIP_LENGTH)
}

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
    /// Where its autoencoder is from, if not from the model itself.
    pub other_vae: Option<PathBuf>,
    /// What names it in recipes.
    pub(super) fingerprint: Fingerprint,
    /// Its text files, among them those of parts that are loaded when they are needed.
    pub(super) files: ModelFiles,
    pub(super) safety: Safety,
    pub(super) wardrobe: Wardrobe,
    pub(super) words: Vec<Word>,
    /// The autoencoder's weights.
    pub(super) vae_file: TensorFile,
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

/// Loads a model; `vae_path` is a file or folder with an autoencoder that takes the place of its own, and `progress` is told
/// each part before it is read.
///
/// # Errors
/// When a file is missing or broken, the parts do not fit together, the family is not built, or `cancel` was set.
pub fn open(
    model: &ModelRef,
    vae_path: Option<&Path>,
    cancel: &Cancel,
    progress: &mut dyn FnMut(LoadStep),
) -> Result<Model> {
    let source = Source::open(model, vae_path)?;
    let files = &source.files;
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
    let vae_config = VaeConfig::from_json(&source.vae_config()?).map_err(at("vae/config.json"))?;
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
    check_fit(family, &unet_config, &vae_config, (&first, second.as_ref()), &preview)
        .map_err(at("model_index.json"))?;

    next(Part::TextEncoder)?;
    let mut dressed = Vec::new();
    let mut text = |component, tokenizer, config| {
        let (part, weights) = load_text(&source, component, tokenizer, config)?;
        dressed.push(weights);
        Ok::<_, UserError>(part)
    };
    let first_text = text(Component::TextEncoder, "tokenizer", &first)?;
    let text_2 = second.as_ref().map(|config| text(Component::TextEncoder2, "tokenizer_2", config)).transpose()?;
    next(Part::UNet)?;
    let file = source.weights(Component::Unet)?;
    let params = Params::from_file(file.clone());
    let unet = UNet::new(&params, &unet_config);
    params.finish("UNet")?;
    dressed.push(Dressed::new(lora::Component::UNet, file.clone(), &params));
    next(Part::Vae)?;
    let vae_file = source.weights(Component::Vae)?;
    let vae_params = Params::from_file(vae_file.clone());
    let vae = AutoencoderKl::new(&vae_params, &vae_config);
    vae_params.finish("VAE")?;

    let info = ModelInfo {
        model: model.clone(),
        name: model.to_string(),
        family: family.capabilities.family,
        prediction_type: scheduler.prediction_type,
        parameters: dressed.iter().map(Dressed::elements).sum::<u64>() + vae_params.elements(),
    };
    let force_zeros_for_empty_prompt = index.force_zeros_for_empty_prompt;
    Ok(Model {
        info,
        family,
        text: first_text,
        text_2,
        force_zeros_for_empty_prompt,
        unet,
        vae,
        scheduler,
        scheduler_json,
        preview,
        other_vae: vae_path.map(Path::to_path_buf),
        // Not before: the hash would take a processor from the loading.
        fingerprint: Fingerprint::of(file),
        files: source.files,
        safety: Safety::default(),
        wardrobe: Wardrobe::new(dressed),
        words: Vec::new(),
        vae_file,
    })
}

/// The tokenizer of a model's first text encoder, by which prompts are cut into chunks, and how many ids that encoder
/// knows. Nothing else of the model is loaded.
///
/// # Errors
/// When the model is not there, is broken, or is something else.
pub fn open_tokenizer(model: &ModelRef) -> Result<(ClipTokenizer, usize)> {
    let files = Source::open(model, None)?.files;
    let config: ClipTextConfig = files.json("text_encoder/config.json")?;
    let tokenizer = load_tokenizer(&files, "tokenizer", &config)?;
    Ok((tokenizer, config.vocab_size))
}

fn load_tokenizer(files: &ModelFiles, folder: &str, config: &ClipTextConfig) -> Result<ClipTokenizer> {
    let length = config.max_position_embeddings;
    let is_there = ["vocab.json", "tokenizer.json"].iter().any(|file| files.has(&format!("{folder}/{file}")));
    if !is_there && config.vocab_size == CLIP_VOCABULARY {
        return ClipTokenizer::published(CLIP_MERGES, files, folder, length);
    }
    ClipTokenizer::load(files, folder, length)
}

fn load_text(
    source: &Source,
    component: Component,
    tokenizer: &str,
    config: &ClipTextConfig,
) -> Result<(TextPart, Dressed)> {
    let folder = source.files.path(tokenizer);
    let tokenizer = load_tokenizer(&source.files, tokenizer, config)?;
    if let Some(id) = tokenizer.largest_id().filter(|id| *id as usize >= config.vocab_size) {
        let sentence = format!("The tokenizer has a token {id}, but the text encoder knows only {}", config.vocab_size);
        return Err(UserError::input(sentence).path(folder).hint("they belong to different models"));
    }
    // The projection stands beside `text_model`, everything else in it.
    let bare = |name: &str| name.strip_prefix("text_model.").unwrap_or(name).to_owned();
    let file = source.weights(component)?.renamed(bare);
    let params = Params::from_file(file.clone());
    let encoder = ClipTextEncoder::new(&params, config);
    params.finish("text encoder")?;
    let component = match component {
        Component::TextEncoder2 => lora::Component::TextEncoder2,
        _ => lora::Component::TextEncoder,
    };
    Ok((TextPart { tokenizer, encoder }, Dressed::new(component, file, &params)))
}

/// Parts of different models in one folder are found here, not in the middle of a picture.
fn check_fit(
    family: &Family,
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
        (
            unet.in_channels
                != vae.latent_channels + if family.capabilities.needs_mask { vae.latent_channels + 1 } else { 0 },
            "the UNet and the VAE have different latents",
        ),
        (vae.out_channels != 3, "the VAE does not make RGB pictures"),
        (vae.scale() != 8, "the VAE does not shrink pictures by 8"),
    ];
    match faults.iter().find(|(fault, _)| *fault) {
        Some((_, fault)) => Err(UserError::input(format!("The parts of this model do not belong together: {fault}"))),
        None => Ok(()),
    }
}

impl Model {
    /// How a picture of `request`, made with this model in `elapsed_secs` seconds, was made, and what was said of it.
    #[must_use]
    pub fn recipe(&self, request: GenerateRequest, elapsed_secs: f64, safety: Option<Verdict>) -> Recipe {
        Recipe {
            request,
            model_name: self.info.name.clone(),
            model_hash: self.fingerprint.get().to_owned(),
            version: concat!("Atelier ", env!("CARGO_PKG_VERSION")).to_owned(),
            elapsed_secs,
            safety,
            machine: Some(crate::nn::machine()),
            grid: None,
            not_understood: Vec::new(),
        }
    }

    /// Lets the system take back the memory of a part's weights where they lie in a file, when the part has nothing to do
    /// for a while. They come back as they are read again: from memory, unless that was short.
    pub fn release(&self, part: Part) {
        let components: &[lora::Component] = match part {
            Part::TextEncoder => &[lora::Component::TextEncoder, lora::Component::TextEncoder2],
            Part::UNet => &[lora::Component::UNet],
            Part::Vae => {
                self.vae_file.names().for_each(|name| self.vae_file.release_tensor(name));
                &[]
            }
        };
        let parts = self.wardrobe.parts.iter().filter(|part| components.contains(&part.component));
        parts.flat_map(|part| part.weights.values()).for_each(Weight::release);
    }

    /// What its network predicts.
    #[must_use]
    pub fn prediction_type(&self) -> PredictionType {
        self.scheduler.prediction_type
    }
}
