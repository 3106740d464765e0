//! The settings of a training as the window shows them: a table with a row for each, its name, what it means, what it takes.

use crate::domain::training::{Crop, Method, SavePrecision, Schedule, Targets, TrainingConfig, TrainingPrecision};
use crate::studio::Info;

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Always in view.
    Basics,
    /// The adapter.
    Adapter,
    /// What becomes of the pictures.
    Pictures,
    /// How much at a time.
    Steps,
    /// How weights are changed.
    Learning,
    /// What counts as an error.
    Loss,
    /// What is drawn and looked at meanwhile.
    Watching,
    /// What is written.
    Files,
}

impl Section {
    /// Those that are folded, as they stand.
    pub const FOLDED: [Self; 7] =
        [Self::Adapter, Self::Pictures, Self::Steps, Self::Learning, Self::Loss, Self::Watching, Self::Files];

    /// Its title.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Basics => "Basics",
            Self::Adapter => "What is trained",
            Self::Pictures => "Pictures",
            Self::Steps => "Memory and pace",
            Self::Learning => "How it learns",
            Self::Loss => "What counts",
            Self::Watching => "Watching it",
            Self::Files => "Files",
        }
    }
}

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldKind {
    /// A whole number, from, to, in such steps.
    Whole(u64, u64, u64),
    /// A number, from, to.
    Number(f64, f64),
    /// A small number, written as `1e-4`.
    Rate,
    /// The same, or none; the number that is usual.
    MaybeRate(f64),
    /// A number or none; the number that is usual.
    Maybe(f64),
    /// On or off.
    Switch,
    /// One of several, each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
    /// Steps, or times that all pictures are seen.
    Length,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue {
    /// A whole number.
    Whole(u64),
    /// A number.
    Number(f64),
    /// A number or none.
    Maybe(Option<f64>),
    /// On or off.
    Switch(bool),
    /// The place of the choice.
    Choice(usize),
    /// So many steps.
    Steps(u64),
    /// So many times all pictures.
    Epochs(u64),
}

/// A setting in the window.
pub struct Field {
    /// Its key in the settings' file.
    pub key: &'static str,
    /// Its name.
    pub text: &'static str,
    /// What it means, in a sentence.
    pub tooltip: &'static str,
    /// Where it stands.
    pub section: Section,
    /// What it takes.
    pub kind: FieldKind,
    /// Whether it has a say, the others being as they are.
    pub is_shown: fn(&TrainingConfig) -> bool,
    /// Its value.
    pub get: fn(&TrainingConfig) -> FieldValue,
    /// Sets it; a value of another kind changes nothing.
    pub set: fn(&mut TrainingConfig, FieldValue),
}

impl Field {
    /// Name and tooltip.
    #[must_use]
    pub fn info(&self) -> Info {
        Info { text: self.text, tooltip: self.tooltip, shortcut: None }
    }
}

/// The field of a key.
#[must_use]
pub fn field(key: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.key == key)
}

/// Settings with fields of their own kind: texts, paths, the model. The data set's tab says what a data set is.
pub static OWN_FIELDS: &[&str] =
    &["model", "dataset", "dataset_kind", "caption", "output", "name", "samples.prompts", "steps.epochs"];

/// A field's value as the settings have it, and back.
trait Held: Copy {
    fn show(self) -> FieldValue;
    fn take(value: FieldValue) -> Option<Self>;
}

macro_rules! held {
    ($($kind:ty, $variant:ident, $into:expr, $from:expr);* $(;)?) => {
        $(impl Held for $kind {
            fn show(self) -> FieldValue {
                FieldValue::$variant($into(self))
            }
            fn take(value: FieldValue) -> Option<Self> {
                match value {
                    FieldValue::$variant(value) => $from(value),
                    _ => None,
                }
            }
        })*
    };
}

held!(
    u64, Whole, |value| value, Some;
    u32, Whole, u64::from, |value: u64| u32::try_from(value).ok();
    f64, Number, |value| value, Some;
    Option<f64>, Maybe, |value| value, Some;
    bool, Switch, |value| value, Some;
);

/// Choices, in the order of their texts.
macro_rules! choices {
    ($($kind:ty: $list:expr);* $(;)?) => {
        $(impl Held for $kind {
            fn show(self) -> FieldValue {
                FieldValue::Choice($list.iter().position(|one| *one == self).unwrap_or_default())
            }
            fn take(value: FieldValue) -> Option<Self> {
                match value {
                    FieldValue::Choice(place) => $list.get(place).copied(),
                    _ => None,
                }
            }
        })*
    };
}

choices!(
    Method: [Method::Lora, Method::Full];
    Targets: [Targets::Attention, Targets::Linear, Targets::All];
    TrainingPrecision: [TrainingPrecision::F32];
    SavePrecision: [SavePrecision::F16, SavePrecision::F32];
    Crop: [Crop::Centre, Crop::Random];
    Schedule: [
        Schedule::Constant,
        Schedule::Linear,
        Schedule::Cosine,
        Schedule::CosineWithRestarts,
        Schedule::Polynomial,
    ];
);

const METHODS: FieldKind = FieldKind::Choice(&[
    ("LoRA", "A file of some MB that is put on a model, which itself stays as it is"),
    ("Whole model", "A new model of full size; it takes several times the memory and far more pictures"),
]);
const TARGETS: FieldKind = FieldKind::Choice(&[
    ("Attention", "Where words meet the picture: the smallest, enough for one person or thing"),
    ("All linear layers", "Attention and what follows it: styles, colours, materials"),
    ("Convolutions too", "Everything: the largest, for looks that are far from the model's own"),
]);
const PRECISIONS: FieldKind = FieldKind::Choice(&[("32 bit", "Exact; the only one so far")]);
const SAVED: FieldKind = FieldKind::Choice(&[
    ("16 bit", "Half the size, as nearly all published files"),
    ("32 bit", "Every digit that was learnt"),
]);
const CROPS: FieldKind = FieldKind::Choice(&[
    ("Centre", "Always the middle, so that what a picture becomes is computed once and kept"),
    ("Random", "Another part each time: more to learn from, and slower"),
]);
const SCHEDULES: FieldKind = FieldKind::Choice(&[
    ("Constant", "The same throughout, to stop when it is good"),
    ("Linear", "Straight down to zero at the end"),
    ("Cosine", "Down to zero, gently at both ends: a good choice for most"),
    ("Cosine with restarts", "Down to zero and up again, several times"),
    ("Polynomial", "Down to zero along a power of the way left"),
]);

fn always(_: &TrainingConfig) -> bool {
    true
}
fn is_lora(config: &TrainingConfig) -> bool {
    config.method == Method::Lora
}

/// One row: key, name, section, kind, when it is shown, the place of its value, what it means.
macro_rules! row {
    ($key:literal, $text:literal, $section:ident, $kind:expr, $shown:expr, $($place:ident).+, $tooltip:literal) => {
        Field {
            key: $key,
            text: $text,
            tooltip: $tooltip,
            section: Section::$section,
            kind: $kind,
            is_shown: $shown,
            get: |config| config.$($place).+.show(),
            set: |config, value| {
                if let Some(value) = Held::take(value) {
                    config.$($place).+ = value;
                }
            },
        }
    };
}

use FieldKind::{Length, Maybe, MaybeRate, Number, Rate, Switch, Whole};

/// Most steps that can be asked for.
const MANY: u64 = 100_000_000;

/// How long it takes: one of two numbers.
const LENGTH: Field = Field {
    key: "steps.steps",
    text: "Length",
    tooltip: "How long it learns: in steps, or in times that every picture is seen. 20 to 100 looks at each picture are usual \
              for a LoRA; more begins to copy them",
    section: Section::Basics,
    kind: Length,
    is_shown: always,
    get: |config| match (config.steps.steps, config.steps.epochs) {
        (None, Some(epochs)) => FieldValue::Epochs(epochs),
        (steps, _) => FieldValue::Steps(steps.unwrap_or_default()),
    },
    set: |config, value| match value {
        FieldValue::Steps(steps) => (config.steps.steps, config.steps.epochs) = (Some(steps), None),
        FieldValue::Epochs(epochs) => (config.steps.steps, config.steps.epochs) = (None, Some(epochs)),
        _ => {}
    },
};

/// All settings that have a field of a usual kind.
#[rustfmt::skip]
pub static FIELDS: &[Field] = &[
    LENGTH,
    row!("pictures.resolution", "Resolution", Basics, Whole(64, 4096, 64), always, pictures.resolution,
        "The shorter side of the pictures in px, best the model's own size; memory and time grow with its square"),
    row!("steps.batch", "Pictures at a time", Basics, Whole(1, 4096, 1), always, steps.batch,
        "How many pictures a step looks at together (batch size); memory grows with it"),
    row!("optimizer.learning_rate", "Learning rate", Basics, Rate, always, optimizer.learning_rate,
        "How far each step goes: 1e-4 is usual for a LoRA, 1e-5 for whole models. Too high falls apart, too low learns nothing"),

    row!("method", "Method", Adapter, METHODS, always, method,
        "What comes out: a small file beside the model, or a whole new model"),
    row!("lora.rank", "Rank", Adapter, Whole(1, 1024, 1), is_lora, lora.rank,
        "How much the LoRA can learn: 4 to 8 for a person or thing, 16 to 32 for a style"),
    row!("lora.alpha", "Alpha", Adapter, Number(0.0, 1024.0), is_lora, lora.alpha,
        "Its strength is alpha divided by rank; the same as the rank is usual, and is strength 1"),
    row!("lora.targets", "Layers", Adapter, TARGETS, is_lora, lora.targets,
        "Which layers of the model it changes"),
    row!("text_encoder", "Learn words too", Adapter, Switch, always, text_encoder,
        "Whether the text encoder learns as well: for a new word, such as a name. Other prompts may change with it"),
    row!("ema.enabled", "Keep an average", Adapter, Switch, always, ema.enabled,
        "Writes the average over the steps (EMA) instead of the last step: steadier, for a quarter more memory of what is trained"),
    row!("ema.decay", "Its decay", Adapter, Number(0.0, 0.999_999), |config| config.ema.enabled, ema.decay,
        "How much of the average stays at each step: 0.9999 averages about the last ten thousand"),
    row!("precision", "Precision", Adapter, PRECISIONS, always, precision,
        "The numbers that it computes with"),
    row!("seed", "Seed", Adapter, Whole(0, u64::MAX >> 11, 1), always, seed,
        "Names every random number: the same seed and settings are the same training, to the last bit"),

    row!("pictures.crop", "Crop", Pictures, CROPS, always, pictures.crop,
        "Which part is seen of a picture that is longer than it may be"),
    row!("pictures.flip", "Mirror half of them", Pictures, Switch, always, pictures.flip,
        "Every other picture is seen mirrored. Not where left and right matter: text, buttons, faces that must be alike"),
    row!("pictures.buckets", "Keep their shapes", Pictures, Switch, always, pictures.buckets,
        "Pictures keep their proportions (aspect-ratio buckets) instead of being cut to squares"),
    row!("pictures.bucket_min", "Shortest side", Pictures, Whole(64, 4096, 64), |config| config.pictures.buckets, pictures.bucket_min,
        "The shortest side that a shape may have, in px"),
    row!("pictures.bucket_max", "Longest side", Pictures, Whole(64, 4096, 64), |config| config.pictures.buckets, pictures.bucket_max,
        "The longest side that a shape may have, in px"),
    row!("pictures.cache_latents", "Keep encoded pictures", Pictures, Switch, |config| config.pictures.crop == Crop::Centre, pictures.cache_latents,
        "Each picture is encoded once and kept on disk, which saves much time in every step"),
    row!("pictures.cache_text", "Keep encoded captions", Pictures, Switch, |config| !config.text_encoder, pictures.cache_text,
        "Each caption is encoded once and kept on disk, which saves time and the memory of the text encoder"),

    row!("steps.accumulation", "Batches of a step", Steps, Whole(1, 4096, 1), always, steps.accumulation,
        "A step learns from so many batches together (gradient accumulation): steadier, in more time and the same memory"),
    row!("steps.gradient_checkpointing", "Compute again instead of keeping", Steps, Switch, always, steps.gradient_checkpointing,
        "Gradient checkpointing: half the memory or less, for a third more time"),

    row!("optimizer.schedule", "Schedule", Learning, SCHEDULES, always, optimizer.schedule,
        "How the learning rate goes over the steps"),
    row!("optimizer.warmup_steps", "Warm-up", Learning, Whole(0, MANY, 1), always, optimizer.warmup_steps,
        "Steps in which the learning rate rises from zero, so that the first ones do no harm"),
    row!("optimizer.cycles", "Restarts", Learning, Whole(1, 1000, 1), |config| config.optimizer.schedule == Schedule::CosineWithRestarts, optimizer.cycles,
        "How often the cosine begins anew"),
    row!("optimizer.power", "Power", Learning, Number(0.0, 100.0), |config| config.optimizer.schedule == Schedule::Polynomial, optimizer.power,
        "The power of the polynomial: 1 is a straight line"),
    row!("optimizer.text_encoder_learning_rate", "Rate of the words", Learning, MaybeRate(5e-5), |config| config.text_encoder, optimizer.text_encoder_learning_rate,
        "A learning rate of its own for the text encoder; half of the other is usual. Off, it is the same"),
    row!("optimizer.beta1", "Beta 1", Learning, Number(0.0, 1.0), always, optimizer.beta1,
        "AdamW: how much of the gradients' mean stays at each step"),
    row!("optimizer.beta2", "Beta 2", Learning, Number(0.0, 1.0), always, optimizer.beta2,
        "AdamW: how much of the mean of their squares stays at each step"),
    row!("optimizer.epsilon", "Epsilon", Learning, Rate, always, optimizer.epsilon,
        "AdamW: added where it divides, so that it never divides by nothing"),
    row!("optimizer.weight_decay", "Weight decay", Learning, Number(0.0, 1.0), always, optimizer.weight_decay,
        "AdamW: how strongly weights are drawn towards zero at each step"),
    row!("optimizer.max_grad_norm", "Largest gradient", Learning, Number(0.0, 1000.0), always, optimizer.max_grad_norm,
        "Gradients that are longer are made this long (max grad norm), so that one odd picture does no harm"),

    row!("loss.min_snr_gamma", "Min-SNR", Loss, Maybe(5.0), always, loss.min_snr_gamma,
        "Nearly clean pictures count less (min-SNR gamma): steadier and faster. 5 is usual"),
    row!("loss.noise_offset", "Noise offset", Loss, Number(0.0, 1.0), always, loss.noise_offset,
        "Some of the noise is the same for a whole picture, so that very dark and very bright ones are learnt: 0 to 0.1"),
    row!("loss.caption_dropout", "Without caption", Loss, Number(0.0, 1.0), always, loss.caption_dropout,
        "The share of pictures that are seen without their caption: 0.1 for a style that comes with any prompt"),

    row!("samples.every", "Draw every", Watching, Whole(0, MANY, 10), always, samples.every,
        "After how many steps your prompts are drawn, to see how far it is; 0 is never"),
    row!("samples.steps", "Steps of a picture", Watching, Whole(1, 500, 1), always, samples.steps,
        "How many steps each of these pictures takes; few are enough to see where it goes"),
    row!("samples.guidance", "Their guidance", Watching, Number(0.0, 100.0), always, samples.guidance,
        "How closely these pictures follow their prompts"),
    row!("validation.share", "Kept apart", Watching, Number(0.0, 0.5), always, validation.share,
        "The share of pictures that it never learns from. When their loss rises, it has begun to learn by heart"),
    row!("validation.every", "Look at them every", Watching, Whole(0, MANY, 10), |config| config.validation.share > 0.0, validation.every,
        "After how many steps the pictures kept apart are looked at; 0 is never"),

    row!("checkpoints.every", "Save every", Files, Whole(1, MANY, 10), always, checkpoints.every,
        "After how many steps the state is saved: so much is lost at most, whatever happens"),
    row!("checkpoints.keep", "Keep the last", Files, Whole(1, 1000, 1), always, checkpoints.keep,
        "How many saved states stay. Each can be made into a result later"),
    row!("save_precision", "Written as", Files, SAVED, always, save_precision,
        "The numbers in the files that are made"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_takes_what_it_shows_and_nothing_else() {
        for field in FIELDS {
            let mut config = TrainingConfig { text_encoder: true, ..TrainingConfig::default() };
            let before = config.clone();
            let value = (field.get)(&config);
            (field.set)(&mut config, value);
            assert_eq!(config, before, "{}", field.key);
            let fits = matches!(
                (field.kind, value),
                (Whole(..), FieldValue::Whole(_))
                    | (Number(..) | Rate, FieldValue::Number(_))
                    | (Maybe(_) | MaybeRate(_), FieldValue::Maybe(_))
                    | (Switch, FieldValue::Switch(_))
                    | (FieldKind::Choice(_), FieldValue::Choice(_))
                    | (Length, FieldValue::Steps(_) | FieldValue::Epochs(_))
            );
            assert!(fits, "{}: {value:?}", field.key);
            let other =
                if matches!(value, FieldValue::Switch(_)) { FieldValue::Whole(3) } else { FieldValue::Switch(true) };
            (field.set)(&mut config, other);
            assert_eq!(config, before, "{} took {other:?}", field.key);
        }
    }

    #[test]
    fn every_choice_can_be_made() {
        for field in FIELDS {
            let FieldKind::Choice(choices) = field.kind else { continue };
            for place in 0..choices.len() {
                let mut config = TrainingConfig::default();
                (field.set)(&mut config, FieldValue::Choice(place));
                assert_eq!((field.get)(&config), FieldValue::Choice(place), "{}", field.key);
            }
            let mut config = TrainingConfig::default();
            (field.set)(&mut config, FieldValue::Choice(choices.len()));
            assert_eq!(config, TrainingConfig::default(), "{} has more choices than texts", field.key);
        }
    }

    #[test]
    fn every_problem_stands_beside_a_field() {
        let mut config = TrainingConfig { output: "/out".into(), ..TrainingConfig::default() };
        (config.lora.rank, config.lora.alpha) = (0, 0.0);
        config.pictures.resolution = 3;
        (config.steps.batch, config.steps.accumulation, config.steps.steps) = (0, 0, Some(0));
        config.optimizer.learning_rate = 9.0;
        config.loss.min_snr_gamma = Some(-1.0);
        for problem in config.problems() {
            let is_there = field(problem.key).is_some() || OWN_FIELDS.contains(&problem.key);
            assert!(is_there, "{} has no field", problem.key);
        }
    }
}
