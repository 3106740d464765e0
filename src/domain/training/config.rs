//! [`TrainingConfig`]: everything that decides a training.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::ModelRef;

/// What is made of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// An adapter of a few MB beside a model that stays as it is.
    Lora,
    /// The model itself.
    Full,
}

/// Which layers an adapter changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Targets {
    /// The four projections of every attention.
    Attention,
    /// All linear layers of the transformers, their 1×1 convolutions among them.
    Linear,
    /// Those, and the convolutions of the residual blocks and between the levels.
    All,
}

/// Numbers that a training computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingPrecision {
    /// 32 bits.
    F32,
}

/// Numbers that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SavePrecision {
    /// 16 bits, as most published files.
    F16,
    /// 32 bits.
    F32,
}

/// Which part of a picture is seen where it is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crop {
    /// Its middle.
    Centre,
    /// Another part each time.
    Random,
}

/// How the learning rate goes over the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// The same throughout, after the warm-up.
    Constant,
    /// Straight down to zero.
    Linear,
    /// Half a cosine down to zero.
    Cosine,
    /// The same several times.
    CosineWithRestarts,
    /// A power of the way left.
    Polynomial,
}

/// Everything that decides a training. Settings of [`Default`] are a careful `LoRA` of a style.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingConfig {
    /// The model that is begun with.
    pub model: ModelRef,
    /// The pictures and captions: a prepared data set, or anything that a reader of data sets takes.
    pub dataset: PathBuf,
    /// What the data set is, where that is not to be told by what is in it.
    pub dataset_kind: Option<String>,
    /// How captions are made of its columns.
    pub caption: Option<String>,
    /// The folder of all that the training writes.
    pub output: PathBuf,
    /// The name of what is made.
    pub name: String,
    /// What is made.
    pub method: Method,
    /// Names every random number.
    pub seed: u64,
    /// Numbers that it computes with.
    pub precision: TrainingPrecision,
    /// Numbers that are written at the end.
    pub save_precision: SavePrecision,
    /// Whether the text encoders learn too.
    pub text_encoder: bool,
    /// The adapter.
    pub lora: LoraSettings,
    /// What becomes of the pictures.
    pub pictures: PictureSettings,
    /// How long, and how much at a time.
    pub steps: StepSettings,
    /// How weights are changed.
    pub optimizer: OptimizerSettings,
    /// The average of the weights.
    pub ema: EmaSettings,
    /// What counts as an error.
    pub loss: LossSettings,
    /// Pictures that are made meanwhile.
    pub samples: SampleSettings,
    /// Pictures that are kept apart.
    pub validation: ValidationSettings,
    /// What is kept on the way.
    pub checkpoints: CheckpointSettings,
}

/// The adapter that is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraSettings {
    /// How much it can learn.
    pub rank: u32,
    /// The numerator of its scale; the same as the rank means a scale of 1.
    pub alpha: f64,
    /// Which layers it changes.
    pub targets: Targets,
}

/// What becomes of the pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own in the settings' file")]
pub struct PictureSettings {
    /// The shorter side, or with buckets the side of a square of the same area, in px.
    pub resolution: u32,
    /// Which part is seen.
    pub crop: Crop,
    /// Whether half of them are seen mirrored.
    pub flip: bool,
    /// Whether each keeps its shape, and pictures of one shape make a batch.
    pub buckets: bool,
    /// The shortest side of a bucket, in px.
    pub bucket_min: u32,
    /// The longest side of a bucket, in px.
    pub bucket_max: u32,
    /// Whether latents are computed once and kept on disk.
    pub cache_latents: bool,
    /// Whether the texts' vectors are computed once and kept on disk.
    pub cache_text: bool,
}

/// How long, and how much at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSettings {
    /// Updates; `None` where epochs are said.
    pub steps: Option<u64>,
    /// Times that every picture is seen; `None` where steps are said.
    pub epochs: Option<u64>,
    /// Pictures at a time.
    pub batch: u32,
    /// Batches of one update.
    pub accumulation: u32,
    /// Whether blocks are computed again to save memory.
    pub gradient_checkpointing: bool,
}

/// How weights are changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptimizerSettings {
    /// The highest learning rate of the denoising network.
    pub learning_rate: f64,
    /// The same of the text encoders; `None` is the same.
    pub text_encoder_learning_rate: Option<f64>,
    /// How it goes over the steps.
    pub schedule: Schedule,
    /// Steps of its rise.
    pub warmup_steps: u64,
    /// Times that it begins anew, with restarts.
    pub cycles: u32,
    /// The power of a polynomial.
    pub power: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Added to the root of the latter.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The norm above which gradients are made shorter.
    pub max_grad_norm: f64,
}

/// The average of the weights, which is written instead of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmaSettings {
    /// Whether one is kept.
    pub enabled: bool,
    /// How much of it stays at each step, at most.
    pub decay: f64,
}

/// What counts as an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossSettings {
    /// The signal-to-noise ratio above which timesteps count less; `None`: all count alike.
    pub min_snr_gamma: Option<f64>,
    /// How much of each picture's noise is the same for all its px.
    pub noise_offset: f64,
    /// The share of captions that are left out.
    pub caption_dropout: f64,
}

/// Pictures that are made meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleSettings {
    /// What they show.
    pub prompts: Vec<String>,
    /// After how many steps; 0 is never.
    pub every: u64,
    /// Steps of each.
    pub steps: u32,
    /// Guidance.
    pub guidance: f64,
}

/// Pictures that are kept apart, to see whether the training helps with what it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationSettings {
    /// Their share of all.
    pub share: f64,
    /// After how many steps they are looked at; 0 is never.
    pub every: u64,
}

/// What is kept on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointSettings {
    /// After how many steps.
    pub every: u64,
    /// How many stay.
    pub keep: u32,
}

impl TrainingConfig {
    /// Pictures of the size that a model knows best, and shapes around it.
    pub fn fit_to_side(&mut self, side_px: u32) {
        let pictures = &mut self.pictures;
        pictures.resolution = side_px.next_multiple_of(64);
        pictures.bucket_min = (pictures.resolution / 2).next_multiple_of(64);
        pictures.bucket_max = 2 * pictures.resolution;
    }
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            model: ModelRef::Starter,
            dataset: PathBuf::new(),
            dataset_kind: None,
            caption: None,
            output: PathBuf::new(),
            name: "adapter".to_owned(),
            method: Method::Lora,
            seed: 0,
            precision: TrainingPrecision::F32,
            save_precision: SavePrecision::F16,
            text_encoder: false,
            lora: LoraSettings { rank: 16, alpha: 16.0, targets: Targets::Linear },
            pictures: PictureSettings {
                resolution: 512,
                crop: Crop::Centre,
                flip: false,
                buckets: false,
                bucket_min: 256,
                bucket_max: 1024,
                cache_latents: true,
                cache_text: true,
            },
            steps: StepSettings {
                steps: Some(1000),
                epochs: None,
                batch: 1,
                accumulation: 1,
                gradient_checkpointing: false,
            },
            optimizer: OptimizerSettings {
                learning_rate: 1e-4,
                text_encoder_learning_rate: None,
                schedule: Schedule::Cosine,
                warmup_steps: 50,
                cycles: 1,
                power: 1.0,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.01,
                max_grad_norm: 1.0,
            },
            ema: EmaSettings { enabled: false, decay: 0.9999 },
            loss: LossSettings { min_snr_gamma: Some(5.0), noise_offset: 0.0, caption_dropout: 0.05 },
            samples: SampleSettings { prompts: Vec::new(), every: 100, steps: 20, guidance: 7.5 },
            validation: ValidationSettings { share: 0.0, every: 100 },
            checkpoints: CheckpointSettings { every: 100, keep: 2 },
        }
    }
}
