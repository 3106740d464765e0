//! The keys of a search, as data: a new one is a variant of [`Key`], a row of [`KEYS`] and its column in the index.

use crate::domain::{FamilyId, SamplerId, ScheduleId};

/// A field that can be searched by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The prompt.
    Prompt,
    /// The negative prompt.
    Negative,
    /// The model's name.
    Model,
    /// The model's hash.
    Hash,
    /// The model's family.
    Family,
    /// How it was stepped.
    Sampler,
    /// Which noise levels.
    Schedule,
    /// A `LoRA`'s name, in the prompt or beside it.
    Lora,
    /// The file's name, with its folders below the pictures folder.
    File,
    /// A collection that the picture is in.
    Collection,
    /// The longer side in px, or `WxH`.
    Size,
    /// Width in px.
    Width,
    /// Height in px.
    Height,
    /// Denoising steps.
    Steps,
    /// Classifier-free guidance.
    Guidance,
    /// The seed.
    Seed,
    /// Stars from 0 to 5.
    Rating,
    /// How long it took, in seconds.
    Seconds,
    /// When it was made.
    Date,
    /// Whether it is starred.
    Star,
    /// Whether a safety checker found nothing, or was not asked.
    Safe,
    /// Whether a recipe is known.
    Recipe,
    /// Whether it began with another picture.
    Init,
    /// Whether it had a second pass at a larger size.
    Hires,
}

/// How the value of a key is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Words of a text, as without a key.
    Words,
    /// A part of a text; for [`Key::Hash`] its beginning, for [`Key::Collection`] all of it.
    Text,
    /// One of known names, or how several of them begin.
    Choice,
    /// A whole number or a span of them.
    Whole,
    /// A number or a span of them.
    Number,
    /// A day, a month, a year or a span of them.
    Date,
    /// Yes or no.
    YesNo,
}

/// What there is to know of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Which.
    pub key: Key,
    /// As it is written; lower case.
    pub name: &'static str,
    /// Other ways of writing it.
    pub aliases: &'static [&'static str],
    /// How its value is read.
    pub kind: KeyKind,
    /// What is expected behind the colon, for a sentence.
    pub expected: &'static str,
    /// An example of its use, for a list of keys.
    pub example: &'static str,
}

const fn row(
    key: Key,
    name: &'static str,
    aliases: &'static [&'static str],
    kind: KeyKind,
    expected: &'static str,
    example: &'static str,
) -> KeyInfo {
    KeyInfo { key, name, aliases, kind, expected, example }
}

const A_NUMBER: &str = "a number such as 20, >20 or 20..30";
const YES_OR_NO: &str = "yes or no";

/// Every key, in the order in which they are offered.
pub const KEYS: &[KeyInfo] = &[
    row(Key::Prompt, "prompt", &[], KeyKind::Words, "a word of the prompt", "prompt:\"red dress\""),
    row(Key::Negative, "negative", &["neg"], KeyKind::Words, "a word of the negative prompt", "negative:blurry"),
    row(Key::Model, "model", &["checkpoint"], KeyKind::Text, "a part of the model's name", "model:turbo"),
    row(Key::Family, "family", &["base"], KeyKind::Choice, "a family such as sd1 or sdxl", "family:sdxl"),
    row(Key::Hash, "hash", &[], KeyKind::Text, "how the model's hash begins", "hash:6ce0"),
    row(Key::Sampler, "sampler", &[], KeyKind::Choice, "a sampler such as euler_a", "sampler:euler_a"),
    row(Key::Schedule, "schedule", &["scheduler"], KeyKind::Choice, "a schedule such as karras", "schedule:karras"),
    row(Key::Lora, "lora", &[], KeyKind::Text, "a part of the LoRA's name", "lora:denim"),
    row(Key::Size, "size", &["side"], KeyKind::Whole, "px of the longer side, or 512x768", "size:>768"),
    row(Key::Width, "width", &["w"], KeyKind::Whole, A_NUMBER, "width:<=512"),
    row(Key::Height, "height", &["h"], KeyKind::Whole, A_NUMBER, "height:768"),
    row(Key::Steps, "steps", &[], KeyKind::Whole, A_NUMBER, "steps:20..30"),
    row(Key::Guidance, "guidance", &["cfg", "scale"], KeyKind::Number, A_NUMBER, "guidance:7"),
    row(Key::Seed, "seed", &[], KeyKind::Whole, "a seed, or a span of them", "seed:42"),
    row(
        Key::Date,
        "date",
        &["day", "made"],
        KeyKind::Date,
        "a day such as 2026-11-03, 2026-11 or today",
        "date:2026-11",
    ),
    row(Key::Star, "star", &["starred", "favourite"], KeyKind::YesNo, YES_OR_NO, "star:yes"),
    row(Key::Rating, "rating", &["stars"], KeyKind::Whole, "a rating from 0 to 5", "rating:>=3"),
    row(
        Key::Collection,
        "collection",
        &["in", "album"],
        KeyKind::Text,
        "a collection's name",
        "collection:\"Summer dresses\"",
    ),
    row(Key::File, "file", &["path", "name"], KeyKind::Text, "a part of the file's name", "file:2026-11"),
    row(Key::Safe, "safe", &[], KeyKind::YesNo, YES_OR_NO, "safe:no"),
    row(Key::Recipe, "recipe", &[], KeyKind::YesNo, YES_OR_NO, "recipe:no"),
    row(Key::Init, "init", &["img2img"], KeyKind::YesNo, YES_OR_NO, "init:yes"),
    row(Key::Hires, "hires", &[], KeyKind::YesNo, YES_OR_NO, "hires:yes"),
    row(Key::Seconds, "seconds", &["time"], KeyKind::Number, A_NUMBER, "seconds:>60"),
];

impl Key {
    /// What there is to know of it.
    #[must_use]
    pub fn info(self) -> &'static KeyInfo {
        // A test holds that every key has its row.
        KEYS.iter().find(|info| info.key == self).unwrap_or(&KEYS[0])
    }

    /// The key of a name or an alias, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let is = |other: &&str| other.eq_ignore_ascii_case(name);
        KEYS.iter().find(|info| is(&info.name) || info.aliases.iter().any(is)).map(|info| info.key)
    }
}

/// The samplers of a name or a label; where there is none, all those whose names or labels begin so.
#[must_use]
pub fn samplers(text: &str) -> Vec<SamplerId> {
    SamplerId::from_label(text)
        .map_or_else(|| beginning(text, &SamplerId::ALL, |id| [id.name(), id.label()]), |id| vec![id])
}

/// The schedules of a name or a label; where there is none, all those whose names or labels begin so.
#[must_use]
pub fn schedules(text: &str) -> Vec<ScheduleId> {
    ScheduleId::from_label(text)
        .map_or_else(|| beginning(text, &ScheduleId::ALL, |id| [id.name(), id.label()]), |id| vec![id])
}

/// The family of a name (the serde name); where there is none, all those whose names begin so.
#[must_use]
pub fn families(text: &str) -> Vec<FamilyId> {
    let exact = FamilyId::ALL.into_iter().find(|id| comparable(family_name(*id)) == comparable(text));
    exact.map_or_else(|| beginning(text, &FamilyId::ALL, |id| [family_name(id); 2]), |id| vec![id])
}

/// The names that the values of a [`KeyKind::Choice`] may have.
pub(super) fn choices(key: Key) -> Vec<&'static str> {
    match key {
        Key::Sampler => SamplerId::ALL.map(SamplerId::name).to_vec(),
        Key::Schedule => ScheduleId::ALL.map(ScheduleId::name).to_vec(),
        Key::Family => FamilyId::ALL.map(family_name).to_vec(),
        _ => Vec::new(),
    }
}

/// Whether a value of a [`KeyKind::Choice`] names anything.
pub(super) fn is_choice(key: Key, text: &str) -> bool {
    match key {
        Key::Sampler => !samplers(text).is_empty(),
        Key::Schedule => !schedules(text).is_empty(),
        Key::Family => !families(text).is_empty(),
        _ => false,
    }
}

/// The name of a family in files of ours (the serde name).
pub(crate) const fn family_name(id: FamilyId) -> &'static str {
    match id {
        FamilyId::Starter => "starter",
        FamilyId::Sd1 => "sd1",
        FamilyId::Lcm => "lcm",
        FamilyId::Sd2 => "sd2",
        FamilyId::SdTurbo => "sd_turbo",
        FamilyId::Sdxl => "sdxl",
        FamilyId::SdxlTurbo => "sdxl_turbo",
        FamilyId::Sd1Inpaint => "sd1_inpaint",
        FamilyId::Sd2Inpaint => "sd2_inpaint",
        FamilyId::SdxlInpaint => "sdxl_inpaint",
    }
}

fn beginning<T: Copy>(text: &str, all: &[T], names: impl Fn(T) -> [&'static str; 2]) -> Vec<T> {
    let text = comparable(text);
    let begins = |id: &&T| names(**id).iter().any(|name| comparable(name).starts_with(&text));
    if text.is_empty() { Vec::new() } else { all.iter().filter(begins).copied().collect() }
}

/// As the names of samplers are compared: case, spaces, `-` and `_` do not matter, `++` is `pp`.
fn comparable(text: &str) -> String {
    text.trim().to_lowercase().replace("++", "pp").chars().filter(|c| !matches!(c, ' ' | '-' | '_')).collect()
}
