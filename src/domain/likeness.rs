//! How alike two pictures are, and in what two recipes differ: for comparing two pictures, and for making one again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{GenerateRequest, Picture, Recipe, SamplerId, ScheduleId};

/// From here on, in dB, two pictures are called nearly the same: the root of the mean squared difference is 2.55 of 255,
/// which shows at most where one flickers between the two. What the last bits of a sum change stays far above it.
pub const NEAR_DB: f64 = 40.0;

/// How alike two pictures of one size are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// The peak signal-to-noise ratio over red, green and blue, in dB; infinite where those are equal.
    pub psnr_db: f64,
    /// How many px differ, their alpha included.
    pub changed_px: u64,
    /// The largest difference of a channel, of 255.
    pub largest: u8,
}

impl Likeness {
    /// Compares two pictures; `None` where they have different sizes.
    #[must_use]
    pub fn of(one: &Picture, other: &Picture) -> Option<Self> {
        let size = |picture: &Picture| (picture.width_px, picture.height_px, picture.rgba.len());
        if size(one) != size(other) {
            return None;
        }
        let (mut squares, mut changed_px, mut largest, mut count) = (0_u64, 0_u64, 0_u8, 0_u64);
        for (a, b) in one.rgba.chunks_exact(4).zip(other.rgba.chunks_exact(4)) {
            count += 3;
            if a == b {
                continue;
            }
            changed_px += 1;
            for (a, b) in a.iter().zip(b) {
                largest = largest.max(a.abs_diff(*b));
            }
            squares += a[..3].iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
        }
        let mean = squares as f64 / count.max(1) as f64;
        let psnr_db = if squares == 0 { f64::INFINITY } else { 10.0 * (255.0 * 255.0 / mean).log10() };
        Some(Self { psnr_db, changed_px, largest })
    }
}

/// What became of a picture that was made again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// The same to the last bit.
    Identical,
    /// The same to the eye.
    Near(Likeness),
    /// Another picture; `None` where not even the size is the same.
    Differs(Option<Likeness>),
}

impl Outcome {
    /// What became of `original` when it was made again as `made`.
    #[must_use]
    pub fn of(original: &Picture, made: &Picture) -> Self {
        match Likeness::of(original, made) {
            Some(likeness) if likeness.changed_px == 0 => Self::Identical,
            Some(likeness) if likeness.psnr_db >= NEAR_DB => Self::Near(likeness),
            likeness => Self::Differs(likeness),
        }
    }

    /// Its name in what programs read: `identical`, `near` or `differs`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Near(_) => "near",
            Self::Differs(_) => "differs",
        }
    }

    /// What it says, in a sentence without its end.
    #[must_use]
    pub fn sentence(self) -> String {
        let numbers = |likeness: Likeness| match likeness.psnr_db {
            db if db.is_finite() => format!("PSNR {db:.1} dB, at most {} of 255 apart", likeness.largest),
            _ => format!("only in what can be seen through, at most {} of 255 apart", likeness.largest),
        };
        match self {
            Self::Identical => "Identical: the same picture to the last bit".to_owned(),
            Self::Near(likeness) => format!("Near: the same to the eye ({})", numbers(likeness)),
            Self::Differs(Some(likeness)) => format!("It differs ({})", numbers(likeness)),
            Self::Differs(None) => "It differs: it has another size".to_owned(),
        }
    }
}

/// A field in which two recipes differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDifference {
    /// The field's name for people.
    pub field: String,
    /// What the first says; empty where it says nothing.
    pub one: String,
    /// What the second says.
    pub other: String,
}

/// What to call the fields of a request, and in which order they are listed. One that is not here is listed last, under
/// its own name: a new field cannot be forgotten.
const FIELDS: &[(&str, &str)] = &[
    ("prompt", "Prompt"),
    ("negative_prompt", "Negative prompt"),
    ("model", "Model"),
    ("width_px", "Width"),
    ("height_px", "Height"),
    ("num_inference_steps", "Steps"),
    ("guidance_scale", "Guidance"),
    ("guidance_rescale", "Guidance rescale"),
    ("sampler", "Sampler"),
    ("schedule", "Schedule"),
    ("seed", "Seed"),
    ("clip_skip", "Clip skip"),
    ("vae", "VAE"),
    ("loras", "LoRAs"),
    ("init", "Begun with"),
    ("hires", "Second pass"),
    ("upscale", "Enlarged"),
];
/// Fields that say nothing about a single picture.
const LEFT_OUT: &[&str] = &["count"];

/// The fields in which two recipes differ: of the request, and the model itself.
#[must_use]
pub fn recipe_differences(one: &Recipe, other: &Recipe) -> Vec<FieldDifference> {
    let mut differences = Vec::new();
    let (mut left, mut right) = (fields_of(&one.request), fields_of(&other.request));
    // The name and the hash tell models apart, also those of other programs; where a file lies does not.
    for (fields, recipe) in [(&mut left, one), (&mut right, other)] {
        fields.insert("model".to_owned(), model_text(recipe));
    }
    let mut names: Vec<&String> = left.keys().chain(right.keys()).collect();
    let place = |name: &String| FIELDS.iter().position(|(field, _)| field == name).unwrap_or(FIELDS.len());
    names.sort_by_key(|name| (place(name), (*name).clone()));
    names.dedup();
    for name in names.into_iter().filter(|name| !LEFT_OUT.contains(&name.as_str())) {
        let text = |fields: &BTreeMap<String, String>| fields.get(name).cloned().unwrap_or_default();
        let (one, other) = (text(&left), text(&right));
        if one != other {
            let label = FIELDS.iter().find(|(field, _)| field == name).map(|(_, label)| (*label).to_owned());
            differences.push(FieldDifference { field: label.unwrap_or_else(|| name.replace('_', " ")), one, other });
        }
    }
    differences
}

/// Why a picture that was made again by the same request may differ: what is another now than it was then. Only what both
/// recipes know is compared.
#[must_use]
pub fn replay_reasons(then: &Recipe, now: &Recipe) -> Vec<FieldDifference> {
    let machine = |recipe: &Recipe, field: fn(&super::Machine) -> String| recipe.machine.as_ref().map(field);
    [
        ("Model", Some(model_text(then)), Some(model_text(now))),
        ("Made by", Some(then.version.clone()), Some(now.version.clone())),
        ("Device", machine(then, |m| m.device.clone()), machine(now, |m| m.device.clone())),
        ("Kernels", machine(then, |m| m.kernels.clone()), machine(now, |m| m.kernels.clone())),
        ("Precision", machine(then, |m| m.precision.clone()), machine(now, |m| m.precision.clone())),
        ("Threads", machine(then, |m| m.threads.to_string()), machine(now, |m| m.threads.to_string())),
    ]
    .into_iter()
    .filter_map(|(field, one, other)| Some((field, one?, other?)))
    .filter(|(_, one, other)| !one.is_empty() && !other.is_empty() && one != other)
    .map(|(field, one, other)| FieldDifference { field: field.to_owned(), one, other })
    .collect()
}

fn model_text(recipe: &Recipe) -> String {
    let Recipe { model_name, model_hash, .. } = recipe;
    match (model_name.is_empty(), model_hash.is_empty()) {
        (_, true) => model_name.clone(),
        (true, false) => model_hash.clone(),
        (false, false) => format!("{model_name} ({model_hash})"),
    }
}

/// Every field of a request as text.
fn fields_of(request: &GenerateRequest) -> BTreeMap<String, String> {
    let value = serde_json::to_value(request).unwrap_or_default();
    let Value::Object(fields) = value else { return BTreeMap::new() };
    fields
        .into_iter()
        .map(|(name, value)| {
            let text = match (name.as_str(), &value) {
                ("sampler", Value::String(id)) => SamplerId::from_label(id).map(|id| id.label().to_owned()),
                ("schedule", Value::String(id)) => ScheduleId::from_label(id).map(|id| id.label().to_owned()),
                _ => None,
            };
            (name, text.unwrap_or_else(|| text_of(&value)))
        })
        .collect()
}

/// A value as a person reads it: `picture a.png, strength 0.6`.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join("; "),
        Value::Object(fields) => {
            let said = fields.iter().filter(|(_, value)| !value.is_null());
            said.map(|(name, value)| format!("{} {}", name.replace('_', " "), text_of(value)))
                .collect::<Vec<_>>()
                .join(", ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Hires, InitImage, Machine, ModelRef};

    fn grey(value: u8) -> Picture {
        Picture { width_px: 10, height_px: 10, rgba: [value, value, value, 255].repeat(100) }
    }

    #[test]
    fn psnr_is_that_of_its_definition() {
        assert_eq!(Outcome::of(&grey(7), &grey(7)), Outcome::Identical);
        // All channels one step apart: a mean square of 1, so 20 log10(255) = 48.1308 dB.
        let one = Likeness::of(&grey(7), &grey(8)).unwrap();
        assert!((one.psnr_db - 48.130_8).abs() < 1e-4, "{one:?}");
        assert_eq!((one.changed_px, one.largest), (100, 1));
        // Black and white: 0 dB.
        let most = Likeness::of(&grey(0), &grey(255)).unwrap();
        assert!(most.psnr_db.abs() < 1e-12 && most.largest == 255);
        // One channel of one px of a hundred, 30 apart: a mean square of 900 / 300 = 3, so 43.3596 dB.
        let mut spot = grey(100);
        spot.rgba[4] = 130;
        let spotted = Likeness::of(&grey(100), &spot).unwrap();
        assert!((spotted.psnr_db - 43.359_6).abs() < 1e-4 && spotted.changed_px == 1, "{spotted:?}");
    }

    #[test]
    fn outcomes_tell_the_same_the_near_and_the_other() {
        assert!(matches!(Outcome::of(&grey(7), &grey(8)), Outcome::Near(_)));
        // Three steps everywhere: 38.6 dB.
        assert!(matches!(Outcome::of(&grey(7), &grey(10)), Outcome::Differs(Some(_))));
        let smaller = Picture { width_px: 5, height_px: 20, rgba: grey(7).rgba };
        assert_eq!(Outcome::of(&grey(7), &smaller), Outcome::Differs(None));
        let mut glass = grey(7);
        glass.rgba[3] = 254;
        let Outcome::Near(likeness) = Outcome::of(&grey(7), &glass) else { panic!("only alpha differs") };
        assert!(likeness.psnr_db.is_infinite() && likeness.changed_px == 1);
        assert!(Outcome::Near(likeness).sentence().contains("seen through"));
    }

    #[test]
    fn differing_fields_are_listed_by_their_names_in_order() {
        let one = Recipe {
            request: GenerateRequest { prompt: "a coat".into(), seed: 1, ..GenerateRequest::default() },
            model_name: "Starter".into(),
            model_hash: "abc".into(),
            ..Recipe::default()
        };
        let mut other = one.clone();
        assert_eq!(recipe_differences(&one, &other), []);
        other.request.seed = 2;
        other.request.sampler = SamplerId::EulerA;
        other.request.count = 9;
        other.request.hires = Some(Hires { scale: 2.0, strength: 0.5 });
        let init =
            InitImage { picture: "a.png".into(), mask: None, strength: 0.6, extend: crate::domain::Extend::default() };
        other.request.init = Some(init);
        // Where the file lies is no difference, which model it is is one.
        other.request.model = ModelRef::Path("/somewhere/else".into());
        let fields: Vec<(String, String, String)> =
            recipe_differences(&one, &other).into_iter().map(|d| (d.field, d.one, d.other)).collect();
        let expected = [
            ("Sampler", "DPM++ 2M", "Euler a"),
            ("Seed", "1", "2"),
            ("Begun with", "", "picture a.png, strength 0.6"),
            ("Second pass", "", "scale 2.0, strength 0.5"),
        ];
        assert_eq!(fields, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
        other.model_hash = "abd".into();
        assert_eq!(recipe_differences(&one, &other)[0].other, "Starter (abd)");
    }

    #[test]
    fn every_field_of_a_request_has_a_name() {
        let full = GenerateRequest {
            vae: Some("v".into()),
            loras: vec![crate::domain::LoraUse { path: "l".into(), unet_weight: 1.0, text_encoder_weight: 1.0 }],
            init: Some(InitImage {
                picture: "a".into(),
                mask: Some("m".into()),
                strength: 1.0,
                extend: crate::domain::Extend::default(),
            }),
            hires: Some(Hires { scale: 2.0, strength: 0.5 }),
            upscale: Some(2.0),
            ..GenerateRequest::default()
        };
        for name in fields_of(&full).keys() {
            assert!(FIELDS.iter().any(|(field, _)| field == name) || LEFT_OUT.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn reasons_are_told_only_where_both_recipes_know() {
        let machine = Machine { device: "cpu".into(), kernels: "AVX-512".into(), precision: "f32".into(), threads: 2 };
        let then = Recipe { model_hash: "abc".into(), version: "Atelier 0.1.0".into(), ..Recipe::default() };
        let mut now = Recipe { machine: Some(machine.clone()), ..then.clone() };
        assert_eq!(replay_reasons(&then, &now), []);
        let then = now.clone();
        now.machine = Some(Machine { kernels: "AVX2".into(), ..machine });
        now.version = "Atelier 0.2.0".into();
        let fields: Vec<String> = replay_reasons(&then, &now).into_iter().map(|reason| reason.field).collect();
        assert_eq!(fields, ["Made by", "Kernels"]);
        assert_eq!(now.machine.unwrap().to_string(), "cpu, AVX2, f32, 2 threads");
    }

    #[test]
    fn an_old_recipe_without_the_new_fields_is_read() {
        let old = r#"{"request":{"prompt":"x"},"model_name":"m","model_hash":"h","version":"Atelier 0.1.0","elapsed_secs":1.0}"#;
        let recipe: Recipe = serde_json::from_str(old).unwrap();
        assert!(recipe.machine.is_none() && recipe.is_ours() && recipe.not_understood.is_empty());
        assert!(!serde_json::to_string(&recipe).unwrap().contains("machine"));
    }
}
