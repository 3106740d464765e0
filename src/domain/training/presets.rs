//! Settings to begin with, each with its reason.

use super::super::FamilyId;
use super::config::{Crop, Method, Schedule, Targets, TrainingConfig};

/// Why a setting is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The setting, such as `lora.rank`.
    pub key: &'static str,
    /// One sentence.
    pub sentence: &'static str,
}

/// Settings to begin with.
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// What it is for, in a sentence.
    pub about: &'static str,
    /// Sets what it is about and leaves everything else.
    pub apply: fn(&mut TrainingConfig),
    /// Why.
    pub reasons: &'static [Reason],
}

/// How much faster the starter learns than what presets are written for.
const STARTER_RATE: f64 = 20.0;
/// Pictures at a time for the starter, where a preset says one.
const STARTER_BATCH: u32 = 8;

/// Makes the settings of a preset those for a family. They are written for Stable Diffusion; the starter's networks are a
/// hundred times smaller, take larger steps, and eight pictures at a time cost less than one does there.
pub fn suit(config: &mut TrainingConfig, family: FamilyId) {
    if family != FamilyId::Starter {
        return;
    }
    config.optimizer.learning_rate *= STARTER_RATE;
    config.optimizer.text_encoder_learning_rate =
        config.optimizer.text_encoder_learning_rate.map(|rate| rate * STARTER_RATE);
    if config.steps.batch == 1 {
        (config.steps.batch, config.steps.accumulation) = (STARTER_BATCH, 1);
    }
}

/// The table of presets.
pub static PRESETS: &[Preset] = &[QUICK, STYLE, SUBJECT, FULL];

const fn reason(key: &'static str, sentence: &'static str) -> Reason {
    Reason { key, sentence }
}

/// What presets have in common; each says after it where it differs.
fn usual(config: &mut TrainingConfig) {
    config.method = Method::Lora;
    config.text_encoder = false;
    config.pictures.crop = Crop::Centre;
    config.pictures.buckets = false;
    config.steps.epochs = None;
    config.steps.batch = 1;
    config.steps.accumulation = 1;
    config.steps.gradient_checkpointing = false;
    config.optimizer.text_encoder_learning_rate = None;
    config.optimizer.schedule = Schedule::Cosine;
    config.ema.enabled = false;
    config.loss.min_snr_gamma = Some(5.0);
    config.samples.every = 100;
    config.checkpoints.every = 100;
}

const QUICK: Preset = Preset {
    name: "quick-lora",
    label: "Quick LoRA",
    about: "A first look at whether pictures and captions teach what they should, before a longer training.",
    apply: |config| {
        usual(config);
        config.lora.rank = 8;
        config.lora.alpha = 8.0;
        config.lora.targets = Targets::Attention;
        config.steps.steps = Some(300);
        config.optimizer.learning_rate = 2e-4;
        config.optimizer.warmup_steps = 20;
        config.loss.caption_dropout = 0.05;
        config.samples.every = 50;
        config.checkpoints.every = 50;
    },
    reasons: &[
        reason("lora.rank", "enough to see a direction, and quick"),
        reason("lora.targets", "attention alone is the least work, and where words meet the picture"),
        reason("steps.steps", "a few looks at each picture show whether the captions are understood"),
        reason("optimizer.learning_rate", "twice the usual, since there are few steps"),
        reason("samples.every", "often, because that is what it is for"),
    ],
};

const STYLE: Preset = Preset {
    name: "style-lora",
    label: "Style LoRA",
    about: "A way of drawing or of taking pictures, from 50 to some thousand pictures with captions that say what is on \
            them, not how it looks.",
    apply: |config| {
        usual(config);
        config.lora.rank = 16;
        config.lora.alpha = 16.0;
        config.lora.targets = Targets::Linear;
        config.pictures.buckets = true;
        config.steps.steps = Some(2000);
        config.steps.accumulation = 4;
        config.optimizer.learning_rate = 1e-4;
        config.optimizer.warmup_steps = 100;
        config.loss.caption_dropout = 0.1;
    },
    reasons: &[
        reason("lora.rank", "a style lies in many layers, and 16 directions in each are enough for most"),
        reason("lora.targets", "colours and strokes are made in the feed-forward layers as much as in attention"),
        reason("text_encoder", "a style is no new word; leaving the text alone keeps all other prompts as they are"),
        reason("pictures.buckets", "pictures keep their shape, so that nothing of a composition is cut off"),
        reason(
            "steps.accumulation",
            "a mean over four pictures at a time follows what they share, not what each shows",
        ),
        reason("loss.caption_dropout", "every tenth picture without its caption: the style then comes with any prompt"),
        reason("loss.min_snr_gamma", "nearly clean pictures count less, which is steadier and faster"),
    ],
};

const SUBJECT: Preset = Preset {
    name: "subject-lora",
    label: "Subject LoRA",
    about: "One person, thing or garment, from 10 to 50 pictures whose captions all name it by the same word.",
    apply: |config| {
        usual(config);
        config.text_encoder = true;
        config.lora.rank = 8;
        config.lora.alpha = 8.0;
        config.lora.targets = Targets::Attention;
        config.steps.steps = Some(1000);
        config.optimizer.learning_rate = 1e-4;
        config.optimizer.text_encoder_learning_rate = Some(5e-5);
        config.optimizer.warmup_steps = 50;
        config.loss.caption_dropout = 0.0;
    },
    reasons: &[
        reason(
            "lora.rank",
            "one subject is little to learn; a small rank leaves no room for learning the pictures by heart",
        ),
        reason("lora.targets", "attention is where words meet px, and so where a name gets its look"),
        reason("text_encoder", "the word for the subject is new, so that the text encoder must learn it too"),
        reason("optimizer.text_encoder_learning_rate", "half as fast, so that all other words stay what they are"),
        reason("steps.steps", "about 20 to 100 looks at each picture; more begins to copy them"),
        reason("loss.caption_dropout", "the word must always be there, or the subject appears without being asked for"),
    ],
};

const FULL: Preset = Preset {
    name: "full",
    label: "Full fine-tune",
    about: "The whole denoising network, from some thousand pictures or more: a new field, not a new thing.",
    apply: |config| {
        usual(config);
        config.method = Method::Full;
        config.pictures.buckets = true;
        config.steps.steps = None;
        config.steps.epochs = Some(4);
        config.steps.accumulation = 16;
        config.steps.gradient_checkpointing = true;
        config.optimizer.learning_rate = 1e-5;
        config.optimizer.schedule = Schedule::Constant;
        config.optimizer.warmup_steps = 100;
        config.ema.enabled = true;
        config.ema.decay = 0.9999;
        config.loss.caption_dropout = 0.1;
    },
    reasons: &[
        reason("optimizer.learning_rate", "a tenth of an adapter's: everything the model knows is at stake"),
        reason("steps.accumulation", "gradients of 16 pictures together are steady enough for so many weights"),
        reason(
            "steps.gradient_checkpointing",
            "weights, gradients and moments take four times the model; blocks are computed again to make room",
        ),
        reason("ema.enabled", "the average over the last steps is better than the last step"),
        reason("loss.caption_dropout", "guidance compares with an empty prompt, which must be learnt as well"),
        reason("optimizer.schedule", "the same rate throughout, so that it can be stopped when it is good"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_sound_for_every_family() {
        for preset in PRESETS {
            for family in [FamilyId::Starter, FamilyId::Sd1, FamilyId::Sdxl] {
                let mut config =
                    TrainingConfig { dataset: "pictures".into(), output: "out".into(), ..TrainingConfig::default() };
                (preset.apply)(&mut config);
                let rate = config.optimizer.learning_rate;
                suit(&mut config, family);
                assert_eq!(config.problems(), [], "{}", preset.name);
                assert_eq!(config.optimizer.learning_rate > rate, family == FamilyId::Starter);
            }
        }
    }
}
