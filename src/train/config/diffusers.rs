//! Commands for diffusers' training scripts, in this program's settings.

use std::path::PathBuf;

use crate::domain::training::{Crop, Method, Schedule, Targets, TrainingConfig};
use crate::domain::{ModelRef, Result, UserError};

/// What a flag does to the settings; its value is empty where it takes none.
type Apply = fn(&mut TrainingConfig, &str) -> std::result::Result<Note, ()>;

/// What else there is to say of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Nothing: it has a setting.
    Taken,
    /// It has none here and changes nothing that matters; this is why.
    Ignored(&'static str),
}

/// One flag of diffusers' `train_text_to_image*.py`.
pub struct Flag {
    /// Without the leading signs.
    pub name: &'static str,
    /// Whether a value follows.
    pub takes_value: bool,
    apply: Apply,
}

/// A command in this program's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    /// The settings.
    pub config: TrainingConfig,
    /// What could not be taken over, in sentences.
    pub notes: Vec<String>,
}

fn number<T: std::str::FromStr>(place: &mut T, value: &str) -> std::result::Result<Note, ()> {
    *place = value.parse().map_err(|_| ())?;
    Ok(Note::Taken)
}

fn some<T: std::str::FromStr>(place: &mut Option<T>, value: &str) -> std::result::Result<Note, ()> {
    *place = Some(value.parse().map_err(|_| ())?);
    Ok(Note::Taken)
}

/// A flag with a value.
const fn value(name: &'static str, apply: Apply) -> Flag {
    Flag { name, takes_value: true, apply }
}

/// A flag without one.
const fn switch(name: &'static str, apply: Apply) -> Flag {
    Flag { name, takes_value: false, apply }
}

/// The flags that are known, in the order of diffusers' scripts (`train_text_to_image.py`, `…_lora.py`, `…_sdxl.py`).
#[rustfmt::skip]
pub static FLAGS: &[Flag] = &[
    value("pretrained_model_name_or_path", |config, value| {
        config.model = ModelRef::Path(PathBuf::from(value));
        Ok(Note::Taken)
    }),
    value("pretrained_vae_model_name_or_path", |_, _| Ok(Note::Ignored("the model's own VAE is used"))),
    value("revision", |_, _| Ok(Note::Ignored("the model is a folder here"))),
    value("variant", |_, _| Ok(Note::Ignored("weights of any precision are read as they are"))),
    value("dataset_name", |_, _| Ok(Note::Ignored("name a folder with --train_data_dir; data sets are not downloaded"))),
    value("dataset_config_name", |_, _| Ok(Note::Ignored("it belongs to --dataset_name"))),
    value("train_data_dir", |config, value| {
        config.dataset = PathBuf::from(value);
        Ok(Note::Taken)
    }),
    value("image_column", |_, _| Ok(Note::Ignored("the picture's column is found by itself"))),
    value("caption_column", |config, value| {
        config.caption = Some(format!("{{{value}}}"));
        Ok(Note::Taken)
    }),
    value("validation_prompt", |config, value| {
        config.samples.prompts.push(value.to_owned());
        Ok(Note::Taken)
    }),
    value("num_validation_images", |_, _| Ok(Note::Ignored("one picture is made of each sample prompt"))),
    value("validation_epochs", |_, _| Ok(Note::Ignored("samples are made every so many steps: set samples.every"))),
    value("max_train_samples", |_, _| Ok(Note::Ignored("prepare a smaller data set with atelier dataset prepare --limit"))),
    value("output_dir", |config, value| {
        config.output = PathBuf::from(value);
        Ok(Note::Taken)
    }),
    value("cache_dir", |_, _| Ok(Note::Ignored("nothing is downloaded"))),
    value("seed", |config, value| number(&mut config.seed, value)),
    value("resolution", |config, value| number(&mut config.pictures.resolution, value)),
    switch("center_crop", |config, _| {
        config.pictures.crop = Crop::Centre;
        Ok(Note::Taken)
    }),
    switch("random_flip", |config, _| {
        config.pictures.flip = true;
        Ok(Note::Taken)
    }),
    value("image_interpolation_mode", |_, _| Ok(Note::Ignored("pictures are made smaller by Lanczos"))),
    switch("train_text_encoder", |config, _| {
        config.text_encoder = true;
        Ok(Note::Taken)
    }),
    value("train_batch_size", |config, value| number(&mut config.steps.batch, value)),
    value("num_train_epochs", |config, value| {
        // As in the scripts, a number of steps decides where both are given.
        some(&mut config.steps.epochs, value)
    }),
    value("max_train_steps", |config, value| some(&mut config.steps.steps, value)),
    value("gradient_accumulation_steps", |config, value| number(&mut config.steps.accumulation, value)),
    switch("gradient_checkpointing", |config, _| {
        config.steps.gradient_checkpointing = true;
        Ok(Note::Taken)
    }),
    value("learning_rate", |config, value| number(&mut config.optimizer.learning_rate, value)),
    switch("scale_lr", |_, _| Ok(Note::Ignored("multiply the learning rate yourself: by batch, accumulation and processes"))),
    value("lr_scheduler", |config, value| {
        config.optimizer.schedule = match value {
            "constant" | "constant_with_warmup" => Schedule::Constant,
            "linear" => Schedule::Linear,
            "cosine" => Schedule::Cosine,
            "cosine_with_restarts" => Schedule::CosineWithRestarts,
            "polynomial" => Schedule::Polynomial,
            _ => return Err(()),
        };
        Ok(Note::Taken)
    }),
    value("lr_warmup_steps", |config, value| number(&mut config.optimizer.warmup_steps, value)),
    value("snr_gamma", |config, value| some(&mut config.loss.min_snr_gamma, value)),
    switch("use_8bit_adam", |_, _| Ok(Note::Ignored("moments are kept in 32 bits"))),
    switch("allow_tf32", |_, _| Ok(Note::Ignored("it is for graphics cards"))),
    switch("use_ema", |config, _| {
        config.ema.enabled = true;
        Ok(Note::Taken)
    }),
    switch("offload_ema", |_, _| Ok(Note::Ignored("everything is in the computer's memory"))),
    switch("foreach_ema", |_, _| Ok(Note::Ignored("it decides how the average is computed, not what it is"))),
    value("non_ema_revision", |_, _| Ok(Note::Ignored("the model is a folder here"))),
    value("dataloader_num_workers", |_, _| Ok(Note::Ignored("pictures are prepared before the training"))),
    value("adam_beta1", |config, value| number(&mut config.optimizer.beta1, value)),
    value("adam_beta2", |config, value| number(&mut config.optimizer.beta2, value)),
    value("adam_weight_decay", |config, value| number(&mut config.optimizer.weight_decay, value)),
    value("adam_epsilon", |config, value| number(&mut config.optimizer.epsilon, value)),
    value("max_grad_norm", |config, value| number(&mut config.optimizer.max_grad_norm, value)),
    switch("push_to_hub", |_, _| Ok(Note::Ignored("nothing is uploaded"))),
    value("hub_token", |_, _| Ok(Note::Ignored("nothing is uploaded"))),
    value("hub_model_id", |_, _| Ok(Note::Ignored("nothing is uploaded"))),
    value("prediction_type", |_, _| Ok(Note::Ignored("it is taken from the model's scheduler"))),
    value("logging_dir", |_, _| Ok(Note::Ignored("the log is beside the checkpoints"))),
    value("mixed_precision", |_, _| Ok(Note::Ignored("it computes in f32; the base weights stay in the 16 bits of their file"))),
    value("report_to", |_, _| Ok(Note::Ignored("the log is a file of JSON lines"))),
    value("local_rank", |_, _| Ok(Note::Ignored("there is one process"))),
    value("checkpointing_steps", |config, value| number(&mut config.checkpoints.every, value)),
    value("checkpoints_total_limit", |config, value| number(&mut config.checkpoints.keep, value)),
    value("resume_from_checkpoint", |_, _| Ok(Note::Ignored("give --resume to atelier train"))),
    switch("enable_xformers_memory_efficient_attention", |_, _| Ok(Note::Ignored("attention never needs much memory here"))),
    switch("enable_npu_flash_attention", |_, _| Ok(Note::Ignored("attention never needs much memory here"))),
    value("noise_offset", |config, value| number(&mut config.loss.noise_offset, value)),
    value("input_perturbation", |_, value| if value == "0" { Ok(Note::Taken) } else { Err(()) }),
    value("proportion_empty_prompts", |config, value| number(&mut config.loss.caption_dropout, value)),
    value("rank", |config, value| {
        number(&mut config.lora.rank, value)?;
        config.lora.alpha = f64::from(config.lora.rank);
        Ok(Note::Taken)
    }),
];

/// Reads a command such as `accelerate launch train_text_to_image_lora.py --pretrained_model_name_or_path=…`. What the
/// scripts do where a flag is not given is set here too.
///
/// # Errors
/// When it is no such command, a flag is unknown, or a value cannot be read: all of them at once.
pub fn from_diffusers(command: &str) -> Result<Translated> {
    let words = words(command)?;
    let Some(at) = words.iter().position(|word| word.rsplit_once('.').is_some_and(|(_, kind)| kind == "py")) else {
        return Err(UserError::input("There is no training script in this command")
            .hint("give the whole command, such as \"accelerate launch train_text_to_image_lora.py --rank=4 …\""));
    };
    let script = words[at].rsplit(['/', '\\']).next().unwrap_or_default();
    let is_lora = match script {
        "train_text_to_image_lora.py" | "train_text_to_image_lora_sdxl.py" => true,
        "train_text_to_image.py" | "train_text_to_image_sdxl.py" => false,
        other => {
            return Err(UserError::input(format!("{other} is a script that is not known here"))
                .hint("known are train_text_to_image.py, train_text_to_image_lora.py and both for SDXL (…_sdxl.py)"));
        }
    };
    let mut config = defaults(is_lora, script.contains("sdxl"));
    let (mut notes, mut faults) = (Vec::new(), Vec::new());
    let mut rest = words[at + 1..].iter().peekable();
    while let Some(word) = rest.next() {
        let Some(flag) = word.strip_prefix("--") else {
            faults.push(format!("{word} belongs to no flag"));
            continue;
        };
        let (name, given) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        let Some(row) = FLAGS.iter().find(|row| row.name == name.replace('-', "_")) else {
            // Its value, if one follows, belongs to it.
            if given.is_none() {
                rest.next_if(|next| !next.starts_with("--"));
            }
            faults.push(format!("--{name} is not known"));
            continue;
        };
        let value = match given {
            Some(value) => value,
            None if row.takes_value => {
                let Some(value) = rest.next_if(|next| !next.starts_with("--")) else {
                    faults.push(format!("--{name} lacks its value"));
                    continue;
                };
                value.clone()
            }
            None => String::new(),
        };
        // The scripts repeat this one's values behind it.
        if row.name == "validation_prompt" {
            (row.apply)(&mut config, &value).ok();
            while let Some(more) = rest.next_if(|next| !next.starts_with("--")) {
                (row.apply)(&mut config, more).ok();
            }
            continue;
        }
        match (row.apply)(&mut config, &value) {
            Ok(Note::Taken) => {}
            Ok(Note::Ignored(why)) => notes.push(format!("--{name} has no setting here: {why}")),
            Err(()) => faults.push(format!("--{name} cannot be {value}")),
        }
    }
    if !faults.is_empty() {
        return Err(UserError::input(format!("This command cannot be taken over: {}", faults.join("; ")))
            .hint("take those flags out, and set what they meant in the settings' file"));
    }
    // As in the scripts: epochs only count where no steps are said.
    if config.steps.steps.is_some() {
        config.steps.epochs = None;
    } else {
        config.steps.epochs = config.steps.epochs.or(Some(100));
    }
    Ok(Translated { config, notes })
}

/// What diffusers' scripts do without flags.
fn defaults(is_lora: bool, is_sdxl: bool) -> TrainingConfig {
    let (method, name) = if is_lora { (Method::Lora, "pytorch_lora_weights") } else { (Method::Full, "model") };
    let mut config = TrainingConfig {
        method,
        name: name.to_owned(),
        output: PathBuf::from("sd-model-finetuned"),
        ..TrainingConfig::default()
    };
    (config.lora.rank, config.lora.alpha, config.lora.targets) = (4, 4.0, Targets::Attention);
    config.pictures.resolution = if is_sdxl { 1024 } else { 512 };
    config.pictures.crop = Crop::Random;
    (config.steps.steps, config.steps.epochs, config.steps.batch) = (None, None, 16);
    config.optimizer.schedule = Schedule::Constant;
    config.optimizer.warmup_steps = 500;
    config.optimizer.weight_decay = 1e-2;
    config.loss.min_snr_gamma = None;
    config.loss.caption_dropout = 0.0;
    config.checkpoints.every = 500;
    config
}

/// The words of a shell's command: quotes hold together, a backslash at a line's end goes on.
fn words(command: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let (mut word, mut is_one) = (String::new(), false);
    let mut quote = None;
    let mut signs = command.chars().peekable();
    while let Some(sign) = signs.next() {
        match (quote, sign) {
            (Some(open), sign) if sign == open => quote = None,
            (Some('"'), '\\') if matches!(signs.peek(), Some('"' | '\\' | '$' | '`')) => word.extend(signs.next()),
            (None, '"' | '\'') => (quote, is_one) = (Some(sign), true),
            (None, '\\') => match signs.next() {
                Some('\n') | None => {}
                Some('\r') => drop(signs.next_if_eq(&'\n')),
                Some(other) => {
                    word.push(other);
                    is_one = true;
                }
            },
            (None, sign) if sign.is_whitespace() => {
                if is_one || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                is_one = false;
            }
            (_, sign) => word.push(sign),
        }
    }
    if quote.is_some() {
        return Err(UserError::input("A quote in this command is not closed"));
    }
    if is_one || !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From diffusers' `examples/text_to_image/README.md`.
    const README: &str = r#"accelerate launch --mixed_precision="fp16" train_text_to_image_lora.py \
  --pretrained_model_name_or_path=sd15 \
  --train_data_dir="my pictures" --caption_column="text" \
  --resolution=512 --random_flip \
  --train_batch_size=1 \
  --num_train_epochs=100 --checkpointing_steps=5000 \
  --learning_rate=1e-04 --lr_scheduler="constant" --lr_warmup_steps=0 \
  --seed=42 \
  --output_dir="sd-model-lora" \
  --validation_prompt="cute dragon creature" --report_to="wandb""#;

    #[test]
    fn the_example_of_diffusers_is_taken_over() {
        let Translated { config, notes } = from_diffusers(README).unwrap();
        assert_eq!(config.model, ModelRef::Path("sd15".into()));
        assert_eq!(config.dataset.to_str(), Some("my pictures"));
        assert_eq!(config.caption.as_deref(), Some("{text}"));
        assert_eq!((config.pictures.flip, config.pictures.crop), (true, Crop::Random));
        assert_eq!((config.steps.epochs, config.steps.steps, config.steps.batch), (Some(100), None, 1));
        assert_eq!((config.optimizer.warmup_steps, config.seed, config.checkpoints.every), (0, 42, 5000));
        assert_eq!((config.lora.rank, config.lora.alpha, config.lora.targets), (4, 4.0, Targets::Attention));
        assert_eq!(config.samples.prompts, ["cute dragon creature"]);
        assert_eq!(notes, ["--report_to has no setting here: the log is a file of JSON lines"]);
        assert_eq!(config.problems(), []);
    }

    #[test]
    fn unknown_flags_are_named_together() {
        let error = from_diffusers("train_text_to_image.py --foo 3 --bar --seed x --rank").unwrap_err();
        for part in ["--foo is not known", "--bar is not known", "--seed cannot be x", "--rank lacks its value"] {
            assert!(error.sentence.contains(part), "{error}");
        }
        assert!(from_diffusers("python other.py").unwrap_err().sentence.contains("other.py"));
        assert!(from_diffusers("ls").is_err() && from_diffusers("train_text_to_image.py \"").is_err());
    }

    #[test]
    fn steps_count_before_epochs() {
        let command = "train_text_to_image_sdxl.py --num_train_epochs 3 --max_train_steps 7 --use_ema";
        let config = from_diffusers(command).unwrap().config;
        assert_eq!((config.steps.steps, config.steps.epochs), (Some(7), None));
        assert_eq!((config.method, config.pictures.resolution, config.ema.enabled), (Method::Full, 1024, true));
    }

    #[test]
    fn every_flag_has_one_row() {
        let names: std::collections::BTreeSet<&str> = FLAGS.iter().map(|flag| flag.name).collect();
        assert_eq!(names.len(), FLAGS.len());
    }

    proptest! {
        #[test]
        fn any_text_is_a_command_or_an_error(text in ".{0,60}", flags in "(--[a-z_]{1,12}(=[a-z0-9\"']{0,5})? ?){0,5}") {
            let _ = from_diffusers(&text);
            let _ = from_diffusers(&format!("train_text_to_image.py {flags}"));
        }
    }
}
