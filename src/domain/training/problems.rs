//! What is wrong with a training's settings: all of it at once.

use super::config::{Method, Schedule, TrainingConfig};

/// A setting that cannot be as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// The setting, such as `optimizer.learning_rate`.
    pub key: &'static str,
    /// What is wrong with it, as the end of a sentence that begins with the key.
    pub sentence: String,
}

/// Largest rank of an adapter: more is a full matrix in the smaller layers.
const MAX_RANK: u32 = 1024;
/// Largest batch, and most batches of an update.
const MAX_BATCH: u32 = 4096;
/// Sides of pictures in px.
const SIDES: std::ops::RangeInclusive<u32> = 64..=4096;
/// Steps between sides of buckets in px, and what every side is a multiple of.
const SIDE_STEP: u32 = 64;

impl TrainingConfig {
    /// Everything that is wrong with the settings themselves; the model and the data set are not looked at.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut problems = Vec::new();
        let mut check = |fits: bool, key: &'static str, sentence: &str| {
            if !fits {
                problems.push(SettingProblem { key, sentence: sentence.to_owned() });
            }
        };
        let Self { pictures, steps, optimizer, loss, .. } = self;
        check(!self.dataset.as_os_str().is_empty(), "dataset", "is missing: name a folder or a table of pictures");
        check(!self.output.as_os_str().is_empty(), "output", "is missing: name a folder for what is made");
        let name_fits = !self.name.is_empty()
            && self.name.len() <= 100
            && !self.name.starts_with('.')
            && !self.name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|', '\0']);
        check(name_fits, "name", "cannot be a file's name");
        if self.method == Method::Lora {
            check((1..=MAX_RANK).contains(&self.lora.rank), "lora.rank", "must be 1 to 1024");
            let alpha = self.lora.alpha;
            check(alpha.is_finite() && alpha > 0.0, "lora.alpha", "must be above 0; the rank is usual");
        }
        for (key, side) in [
            ("pictures.resolution", pictures.resolution),
            ("pictures.bucket_min", pictures.bucket_min),
            ("pictures.bucket_max", pictures.bucket_max),
        ] {
            check(SIDES.contains(&side), key, "must be 64 to 4096 px");
            check(side.is_multiple_of(SIDE_STEP), key, "must be a multiple of 64 px");
        }
        let sides = [pictures.bucket_min, pictures.resolution, pictures.bucket_max];
        check(!pictures.buckets || sides.is_sorted(), "pictures.buckets", "need bucket_min ≤ resolution ≤ bucket_max");
        check(
            steps.steps.is_some() != steps.epochs.is_some(),
            "steps.steps",
            "and steps.epochs exclude each other: give one of them",
        );
        for (key, count) in [("steps.steps", steps.steps), ("steps.epochs", steps.epochs)] {
            let fits = count.is_none_or(|count| (1..=100_000_000).contains(&count));
            check(fits, key, "must be 1 or more");
        }
        check((1..=MAX_BATCH).contains(&steps.batch), "steps.batch", "must be 1 to 4096");
        check((1..=MAX_BATCH).contains(&steps.accumulation), "steps.accumulation", "must be 1 to 4096");
        let rate = |value: f64| value.is_finite() && value > 0.0 && value <= 1.0;
        check(rate(optimizer.learning_rate), "optimizer.learning_rate", "must be above 0 and at most 1");
        check(
            optimizer.text_encoder_learning_rate.is_none_or(rate),
            "optimizer.text_encoder_learning_rate",
            "must be above 0 and at most 1",
        );
        check(
            self.text_encoder || optimizer.text_encoder_learning_rate.is_none(),
            "optimizer.text_encoder_learning_rate",
            "has no effect while text_encoder is false",
        );
        let share = |value: f64| (0.0..1.0).contains(&value);
        check(share(optimizer.beta1), "optimizer.beta1", "must be 0 or more and below 1");
        check(share(optimizer.beta2), "optimizer.beta2", "must be 0 or more and below 1");
        check(rate(optimizer.epsilon), "optimizer.epsilon", "must be above 0 and at most 1");
        check(share(optimizer.weight_decay), "optimizer.weight_decay", "must be 0 or more and below 1");
        let positive = |value: f64| value.is_finite() && value > 0.0;
        check(positive(optimizer.max_grad_norm), "optimizer.max_grad_norm", "must be above 0");
        let has_cycles = optimizer.schedule == Schedule::CosineWithRestarts;
        check(!has_cycles || (1..=1000).contains(&optimizer.cycles), "optimizer.cycles", "must be 1 to 1000");
        let has_power = optimizer.schedule == Schedule::Polynomial;
        check(!has_power || positive(optimizer.power), "optimizer.power", "must be above 0");
        if let Some(steps) = steps.steps {
            check(optimizer.warmup_steps < steps, "optimizer.warmup_steps", "must be fewer than all steps");
        }
        check(share(self.ema.decay), "ema.decay", "must be 0 or more and below 1");
        check(loss.min_snr_gamma.is_none_or(positive), "loss.min_snr_gamma", "must be above 0; 5 is usual");
        check((0.0..=1.0).contains(&loss.noise_offset), "loss.noise_offset", "must be 0 to 1; 0.05 to 0.1 is usual");
        check((0.0..=1.0).contains(&loss.caption_dropout), "loss.caption_dropout", "must be 0 to 1");
        check((1..=500).contains(&self.samples.steps), "samples.steps", "must be 1 to 500");
        check((0.0..=100.0).contains(&self.samples.guidance), "samples.guidance", "must be 0 to 100");
        check((0.0..=0.5).contains(&self.validation.share), "validation.share", "must be 0 to 0.5");
        check(self.checkpoints.every > 0, "checkpoints.every", "must be 1 or more");
        check((1..=1000).contains(&self.checkpoints.keep), "checkpoints.keep", "must be 1 to 1000");
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::training::PRESETS;

    fn sound() -> TrainingConfig {
        TrainingConfig { dataset: "pictures".into(), output: "out".into(), ..TrainingConfig::default() }
    }

    #[test]
    fn sound_settings_have_no_problem() {
        assert_eq!(sound().problems(), []);
        for preset in PRESETS {
            let mut config = sound();
            (preset.apply)(&mut config);
            assert_eq!(config.problems(), [], "{}", preset.name);
        }
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let mut config = sound();
        config.dataset = "".into();
        config.name = "a/b".to_owned();
        config.lora.rank = 0;
        config.pictures.resolution = 500;
        config.steps.epochs = Some(1);
        config.optimizer.learning_rate = f64::NAN;
        config.optimizer.text_encoder_learning_rate = Some(1e-5);
        config.loss.min_snr_gamma = Some(0.0);
        config.validation.share = 0.9;
        let keys: Vec<&str> = config.problems().iter().map(|problem| problem.key).collect();
        let wanted = [
            "dataset",
            "name",
            "lora.rank",
            "pictures.resolution",
            "steps.steps",
            "optimizer.learning_rate",
            "optimizer.text_encoder_learning_rate",
            "loss.min_snr_gamma",
            "validation.share",
        ];
        assert_eq!(keys, wanted);
    }

    #[test]
    fn what_is_not_used_is_not_looked_at() {
        let mut config = sound();
        config.method = Method::Full;
        config.lora.rank = 0;
        config.optimizer.power = -1.0;
        config.optimizer.cycles = 0;
        assert_eq!(config.problems(), []);
    }
}
