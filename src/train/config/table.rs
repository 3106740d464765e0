//! The table of settings: one row each.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::domain::ModelRef;
use crate::domain::training::{Crop, Method, SavePrecision, Schedule, Targets, TrainingConfig, TrainingPrecision};

/// A setting of a training.
pub struct Setting {
    /// Its key in the file, such as `lora.rank`.
    pub key: &'static str,
    /// What it means, in a sentence without a full stop.
    pub about: &'static str,
    /// Whether it decides the training's numbers by itself: it cannot change while one is resumed. (Model and data set are
    /// known by their content.)
    pub decides: bool,
    /// Takes a value in, or says what is wanted.
    pub read: fn(&mut TrainingConfig, &Value) -> Result<(), &'static str>,
    /// The value; nothing where there is none.
    pub show: fn(&TrainingConfig) -> Value,
}

/// A kind of values.
trait Kind: Sized {
    /// What is wanted, in words.
    const WANTED: &'static str;
    fn read(value: &Value) -> Option<Self>;
    fn show(&self) -> Value;
}

impl Kind for u64 {
    const WANTED: &'static str = "a whole number";
    fn read(value: &Value) -> Option<Self> {
        value.as_u64()
    }
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Kind for u32 {
    const WANTED: &'static str = "a whole number";
    fn read(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Kind for f64 {
    const WANTED: &'static str = "a number";
    fn read(value: &Value) -> Option<Self> {
        value.as_f64()
    }
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Kind for bool {
    const WANTED: &'static str = "true or false";
    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Kind for String {
    const WANTED: &'static str = "text in quotes";
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Kind for Vec<String> {
    const WANTED: &'static str = "a list of texts, such as [\"a cat\", \"a dog\"]";
    fn read(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(String::read).collect()
    }
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Kind for PathBuf {
    const WANTED: &'static str = "a path in quotes";
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(Self::from)
    }
    fn show(&self) -> Value {
        json!(self.to_string_lossy())
    }
}

impl Kind for ModelRef {
    const WANTED: &'static str = "\"starter\", or a path in quotes";
    fn read(value: &Value) -> Option<Self> {
        value.as_str().filter(|text| !text.is_empty()).map(Self::parse)
    }
    fn show(&self) -> Value {
        match self {
            Self::Starter => json!(Self::STARTER_NAME),
            Self::Path(path) => json!(path.to_string_lossy()),
        }
    }
}

/// `false` where there is none.
impl Kind for Option<f64> {
    const WANTED: &'static str = "a number, or false for none";
    fn read(value: &Value) -> Option<Self> {
        if *value == Value::Bool(false) { Some(None) } else { f64::read(value).map(Some) }
    }
    fn show(&self) -> Value {
        self.map_or(Value::Bool(false), |value| json!(value))
    }
}

/// Left out where there is none.
impl Kind for Option<u64> {
    const WANTED: &'static str = u64::WANTED;
    fn read(value: &Value) -> Option<Self> {
        u64::read(value).map(Some)
    }
    fn show(&self) -> Value {
        self.map_or(Value::Null, |value| json!(value))
    }
}

/// Left out where there is none.
impl Kind for Option<String> {
    const WANTED: &'static str = String::WANTED;
    fn read(value: &Value) -> Option<Self> {
        String::read(value).map(Some)
    }
    fn show(&self) -> Value {
        self.as_ref().map_or(Value::Null, |value| json!(value))
    }
}

/// A choice of words, which serde knows.
macro_rules! choice {
    ($($kind:ty: $wanted:literal),* $(,)?) => {
        $(impl Kind for $kind {
            const WANTED: &'static str = $wanted;
            fn read(value: &Value) -> Option<Self> {
                serde_json::from_value(value.clone()).ok()
            }
            fn show(&self) -> Value {
                json!(self)
            }
        })*
    };
}

choice!(
    Method: "lora or full",
    Targets: "attention, linear or all",
    TrainingPrecision: "f32",
    SavePrecision: "f16 or f32",
    Crop: "centre or random",
    Schedule: "constant, linear, cosine, cosine_with_restarts or polynomial",
);

fn take<K: Kind>(place: &mut K, value: &Value) -> Result<(), &'static str> {
    *place = K::read(value).ok_or(K::WANTED)?;
    Ok(())
}

/// One row: key, the field, whether it decides numbers, what it means.
macro_rules! row {
    ($key:literal, $($field:ident).+, $decides:literal, $about:literal) => {
        Setting {
            key: $key,
            about: $about,
            decides: $decides,
            read: |config, value| take(&mut config.$($field).+, value),
            show: |config| Kind::show(&config.$($field).+),
        }
    };
}

/// All settings, in the order of the file.
#[rustfmt::skip]
pub static SETTINGS: &[Setting] = &[
    row!("model", model, false, "The model to begin with: \"starter\", a diffusers folder or a checkpoint's file"),
    row!("dataset", dataset, false, "Pictures with captions: a prepared data set, or any folder or table that atelier dataset check can read"),
    row!("dataset_kind", dataset_kind, false, "What the data set is, where that is not to be told by what is in it"),
    row!("caption", caption, false, "How captions are made of columns, such as \"{baseColour} {articleType}\""),
    row!("output", output, false, "The folder of all that the training writes"),
    row!("name", name, false, "The name of the files that are made"),
    row!("method", method, true, "lora: an adapter of some MB; full: the whole denoising network"),
    row!("seed", seed, true, "Names every random number: the same seed is the same training"),
    row!("precision", precision, true, "Numbers that it computes with: f32"),
    row!("save_precision", save_precision, false, "Numbers that are written at the end: f16 or f32"),
    row!("text_encoder", text_encoder, true, "Whether the text encoders learn too"),
    row!("lora.rank", lora.rank, true, "How much an adapter can learn"),
    row!("lora.alpha", lora.alpha, true, "The adapter's scale is alpha / rank; the rank itself is usual"),
    row!("lora.targets", lora.targets, true, "What it changes: attention, linear (all linear layers of the transformers) or all (convolutions too)"),
    row!("pictures.resolution", pictures.resolution, true, "The shorter side in px; with buckets the side of a square of the same area"),
    row!("pictures.crop", pictures.crop, true, "Which part is seen where a picture is longer: centre, or random (another one each time)"),
    row!("pictures.flip", pictures.flip, true, "Whether half of the pictures are seen mirrored"),
    row!("pictures.buckets", pictures.buckets, true, "Whether pictures keep their shape, and those of one shape make a batch"),
    row!("pictures.bucket_min", pictures.bucket_min, true, "The shortest side of a bucket in px"),
    row!("pictures.bucket_max", pictures.bucket_max, true, "The longest side of a bucket in px"),
    row!("pictures.cache_latents", pictures.cache_latents, false, "Whether latents are computed once and kept on disk (with crop = \"centre\" only)"),
    row!("pictures.cache_text", pictures.cache_text, false, "Whether the texts' vectors are computed once and kept on disk (where the text encoders do not learn)"),
    row!("steps.steps", steps.steps, true, "Updates; give this or epochs"),
    row!("steps.epochs", steps.epochs, true, "Times that all pictures are seen; give this or steps"),
    row!("steps.batch", steps.batch, true, "Pictures at a time; memory grows with it"),
    row!("steps.accumulation", steps.accumulation, true, "Batches of one update; time grows with it, memory does not"),
    // The bits are the same: whoever runs out of memory may go on with it.
    row!("steps.gradient_checkpointing", steps.gradient_checkpointing, false, "Computes blocks again instead of keeping them: half the memory or less, a third more time"),
    row!("optimizer.learning_rate", optimizer.learning_rate, true, "The highest learning rate: 1e-4 is usual for adapters, 1e-5 for whole networks"),
    row!("optimizer.text_encoder_learning_rate", optimizer.text_encoder_learning_rate, true, "The same of the text encoders; false is the same"),
    row!("optimizer.schedule", optimizer.schedule, true, "How it goes over the steps: constant, linear, cosine, cosine_with_restarts or polynomial"),
    row!("optimizer.warmup_steps", optimizer.warmup_steps, true, "Steps of its rise from zero"),
    row!("optimizer.cycles", optimizer.cycles, true, "Times that cosine_with_restarts begins"),
    row!("optimizer.power", optimizer.power, true, "The power of polynomial"),
    row!("optimizer.beta1", optimizer.beta1, true, "AdamW's decay of the mean of gradients"),
    row!("optimizer.beta2", optimizer.beta2, true, "AdamW's decay of the mean of their squares"),
    row!("optimizer.epsilon", optimizer.epsilon, true, "What AdamW adds to the root of the latter"),
    row!("optimizer.weight_decay", optimizer.weight_decay, true, "AdamW's decoupled weight decay"),
    row!("optimizer.max_grad_norm", optimizer.max_grad_norm, true, "The norm above which gradients are made shorter"),
    row!("ema.enabled", ema.enabled, true, "Whether an average over the steps is kept, and written instead of the last step"),
    row!("ema.decay", ema.decay, true, "How much of the average stays at each step, at most"),
    row!("loss.min_snr_gamma", loss.min_snr_gamma, true, "Nearly clean pictures count less (min-SNR): 5 is usual, false is off"),
    row!("loss.noise_offset", loss.noise_offset, true, "Noise that is the same for all px of a picture, for darker and brighter ones: 0 to 0.1"),
    row!("loss.caption_dropout", loss.caption_dropout, true, "The share of pictures that are seen without their caption"),
    row!("samples.prompts", samples.prompts, false, "What is drawn while it trains, to see how far it is"),
    row!("samples.every", samples.every, false, "After how many steps; 0 is never"),
    row!("samples.steps", samples.steps, false, "Steps of each of these pictures"),
    row!("samples.guidance", samples.guidance, false, "Their guidance"),
    row!("validation.share", validation.share, true, "The share of pictures that are kept apart; their loss says when it begins to learn by heart"),
    row!("validation.every", validation.every, false, "After how many steps they are looked at; 0 is never"),
    row!("checkpoints.every", checkpoints.every, false, "After how many steps the state is saved: so much is lost at most"),
    row!("checkpoints.keep", checkpoints.keep, false, "How many saved states stay"),
];
