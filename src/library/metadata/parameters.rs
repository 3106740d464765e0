//! The `parameters` text of stable-diffusion-webui: the prompt, the negative prompt and one line of fields.
//!
//! ```text
//! {prompt, may be several lines}
//! Negative prompt: {negative prompt, left out when empty}
//! Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: …, Model: …
//! ```
//!
//! The form is that of `modules/processing.py` (`create_infotext`) and `modules/infotext_utils.py`
//! (`parse_generation_parameters`) at version 1.10. A text in this form cannot tell a prompt that contains such lines
//! from the lines themselves; our own JSON can, and is asked first.
//!
//! stable-diffusion.cpp writes the same form with its own names of samplers (`get_image_params` in `examples/cli/main.cpp`).

use super::foreign::{note, quoted};
use super::samplers::SD_CPP;
use crate::domain::{GenerateRequest, Hires, Recipe, SamplerId, ScheduleId, Variation, limits};

const NEGATIVE_PREFIX: &str = "Negative prompt:";
/// A last line with fewer fields is a line of the prompt.
const FEWEST_FIELDS: usize = 3;
/// What stable-diffusion.cpp calls itself.
const SD_CPP_NAME: &str = "stable-diffusion.cpp";
/// What newer ones of it append: the same once more, as JSON.
const SD_CPP_JSON: &str = ", SDCPP: {";
/// Fields that change nothing, or that are read here.
const UNDERSTOOD: &[&str] = &[
    "Steps",
    "Sampler",
    "Schedule type",
    "CFG scale",
    "Seed",
    "Size",
    "Model hash",
    "Model",
    "Clip skip",
    "Denoising strength",
    "Hires upscale",
    "Upscale",
    "RNG",
    "Version",
    "Lora hashes",
    "TI hashes",
    "VAE hash",
    "Hashes",
    "TI",
    "User",
    "Batch size",
    "Batch pos",
    "Created Date",
    "Date",
    "Civitai resources",
    "Civitai metadata",
    "Emphasis",
    "Hires resize",
    "Hires steps",
    "Guidance",
    "Eta",
    "Pad conds",
    "SDCPP",
];

/// The text for a recipe. Seeds of ours are those of torch on a CPU, which `RNG: CPU` tells.
#[must_use]
pub fn to_text(recipe: &Recipe) -> String {
    let request = &recipe.request;
    let strength = request.init.as_ref().map(|init| init.strength).or(request.hires.map(|hires| hires.strength));
    // Where a walk goes nowhere, the web UI says nothing of it.
    let variation = request.variation.filter(|variation| variation.is_on());
    let mut fields = vec![
        ("Steps", request.num_inference_steps.to_string()),
        ("Sampler", request.sampler.label().to_owned()),
        ("Schedule type", request.schedule.label().to_owned()),
        ("CFG scale", request.guidance_scale.to_string()),
        ("Seed", request.seed.to_string()),
        ("Size", format!("{}x{}", request.width_px, request.height_px)),
        ("Model hash", recipe.model_hash.clone()),
        ("Model", recipe.model_name.clone()),
        ("Variation seed", variation.map(|variation| variation.seed.to_string()).unwrap_or_default()),
        ("Variation seed strength", variation.map(|variation| variation.strength.to_string()).unwrap_or_default()),
        // One more than the layers that are left out.
        ("Clip skip", if request.clip_skip > 0 { (request.clip_skip + 1).to_string() } else { String::new() }),
        ("Denoising strength", strength.map(|strength| strength.to_string()).unwrap_or_default()),
        ("Hires upscale", request.hires.map(|hires| hires.scale.to_string()).unwrap_or_default()),
        ("Upscale", request.upscale.map(|scale| scale.to_string()).unwrap_or_default()),
        ("RNG", "CPU".to_owned()),
        ("Version", recipe.version.clone()),
    ];
    if let Some(axes) = &recipe.grid {
        // `scripts/xyz_grid.py` of the same version.
        fields.push(("Script", "X/Y/Z plot".to_owned()));
        let names = [("X Type", "X Values"), ("Y Type", "Y Values"), ("Z Type", "Z Values")];
        for ((kind, values), axis) in names.into_iter().zip(axes.all()) {
            if let Some(axis) = axis {
                fields.extend([(kind, axis.field.webui.to_owned()), (values, axis.text())]);
            }
        }
    }
    let mut text = request.prompt.clone();
    if !request.negative_prompt.is_empty() {
        text.extend(["\n", NEGATIVE_PREFIX, " ", &request.negative_prompt]);
    }
    let fields: Vec<String> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}: {}", quote(value)))
        .collect();
    text.push('\n');
    text.push_str(&fields.join(", "));
    text
}

/// What a `parameters` text says, as far as it is understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// The prompt.
    pub prompt: String,
    /// The negative prompt.
    pub negative_prompt: String,
    /// The fields of the last line, in its order, unquoted.
    pub fields: Vec<(String, String)>,
}

impl Parameters {
    /// Takes a text apart. Any text is one; without a line of fields all of it is the prompt.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (head, last) = text.rsplit_once('\n').unwrap_or(("", text));
        let fields = fields_of(last.split_once(SD_CPP_JSON).map_or(last, |(fields, _json)| fields));
        let (head, fields) = if fields.len() < FEWEST_FIELDS { (text, Vec::new()) } else { (head, fields) };
        let mut prompt = Vec::new();
        let mut negative = Vec::new();
        let mut in_negative = false;
        for line in head.lines().map(str::trim) {
            let line = match line.strip_prefix(NEGATIVE_PREFIX) {
                Some(rest) => {
                    in_negative = true;
                    rest.trim()
                }
                None => line,
            };
            if in_negative { negative.push(line) } else { prompt.push(line) }
        }
        Self { prompt: prompt.join("\n"), negative_prompt: negative.join("\n"), fields }
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// The recipe that a text of any tool tells, `None` where it has no line of fields.
///
/// What cannot be matched is left at its default: an unknown sampler, a size that is none. The model is told by name and
/// hash only; `request.model` stays the default, because a picture does not say where a file lies.
#[must_use]
pub fn recipe_from_text(text: &str) -> Option<Recipe> {
    let parameters = Parameters::parse(text);
    if parameters.fields.is_empty() {
        return None;
    }
    let mut request = GenerateRequest {
        prompt: parameters.prompt.clone(),
        negative_prompt: parameters.negative_prompt.clone(),
        ..GenerateRequest::default()
    };
    set(&mut request.num_inference_steps, parameters.get("Steps"));
    set(&mut request.seed, parameters.get("Seed"));
    let guidance = parameters.get("CFG scale").and_then(|text| text.parse::<f64>().ok());
    if let Some(guidance) = guidance.filter(|guidance| guidance.is_finite()) {
        request.guidance_scale = guidance;
    }
    let clip_skip = parameters.get("Clip skip").and_then(|text| text.parse::<u32>().ok());
    request.clip_skip = clip_skip.map_or(0, |layers| layers.saturating_sub(1).min(limits::MAX_CLIP_SKIP));
    let strength = parameters.get("Variation seed strength").and_then(|text| text.parse::<f64>().ok());
    if let (Some(strength), Some(seed)) = (strength, parameters.get("Variation seed")) {
        let variation = seed.parse().ok().map(|seed| Variation { seed, strength });
        // Anything else draws no picture.
        request.variation = variation.filter(|_| strength > 0.0 && strength <= 1.0);
    }
    if let Some((width, height)) = parameters.get("Size").and_then(|size| size.split_once('x')) {
        set(&mut request.width_px, Some(width));
        set(&mut request.height_px, Some(height));
    }
    let version = parameters.get("Version").unwrap_or_default();
    if let Some((sampler, schedule)) = parameters.get("Sampler").and_then(|label| sampler_of(label, version)) {
        request.sampler = sampler;
        request.schedule = schedule;
    }
    if let Some(schedule) = parameters.get("Schedule type").and_then(ScheduleId::from_label) {
        request.schedule = schedule;
    }
    let told = |name| parameters.get(name).unwrap_or_default().to_owned();
    let strength = parameters.get("Denoising strength").and_then(|text| text.trim().parse::<f64>().ok());
    let hires = parameters.get("Hires upscale").and_then(|text| text.trim().parse::<f64>().ok());
    if let (Some(scale), Some(strength)) = (hires, strength)
        && (1.0..=16.0).contains(&scale)
        && (0.0..=1.0).contains(&strength)
    {
        request.hires = (scale > 1.0 && strength > 0.0).then_some(Hires { scale, strength });
    }
    let not_understood = not_understood(&parameters, &request);
    Some(Recipe {
        request,
        model_name: told("Model"),
        model_hash: told("Model hash"),
        version: told("Version"),
        not_understood,
        ..Recipe::default()
    })
}

/// What of a text could not be taken over, a sentence each.
fn not_understood(parameters: &Parameters, request: &GenerateRequest) -> Vec<String> {
    let mut notes = Vec::new();
    let mut add = |sentence: String| note(&mut notes, sentence);
    let get = |name: &str| parameters.get(name).filter(|value| !value.is_empty());
    let version = get("Version").unwrap_or_default();
    if let Some(name) = get("Sampler").filter(|name| sampler_of(name, version).is_none()) {
        add(format!("The sampler {} is not known here", quoted(name)));
    }
    if let Some(name) = get("Schedule type").filter(|name| ScheduleId::from_label(name).is_none()) {
        add(format!("The schedule {} is not known here", quoted(name)));
    }
    // Nothing said means the graphics card in stable-diffusion-webui and in Forge, whose versions begin with v or f and a
    // number; others draw as they like.
    let is_webui = version.strip_prefix(['v', 'f']).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let rng = get("RNG").unwrap_or(if is_webui { "GPU" } else { "CPU" });
    if !rng.eq_ignore_ascii_case("CPU") {
        add(format!("Its noise was drawn in another way ({}): the seed begins with other noise here", quoted(rng)));
    }
    if get("Denoising strength").is_some() && request.hires.is_none() && get("Upscale").is_none() {
        add("It began with another picture, which is not in the file".to_owned());
    }
    if parameters.fields.iter().any(|(name, _)| name.starts_with("ControlNet")) {
        add("ControlNet shaped it, which is not used here".to_owned());
    }
    if parameters.fields.iter().any(|(name, _)| name.starts_with("ADetailer")) {
        add("ADetailer worked its faces over, which is not done here".to_owned());
    }
    if let Some(name) = get("VAE") {
        add(format!("The VAE {} is not taken over: choose its file", quoted(name)));
    }
    if get("Guidance").is_some() && get("Guidance") != get("CFG scale") && version != SD_CPP_NAME {
        add("It has a second guidance, which is not used here".to_owned());
    }
    let is_told = |name: &str| {
        UNDERSTOOD.contains(&name) || name == "VAE" || name.starts_with("ControlNet") || name.starts_with("ADetailer")
    };
    for (name, value) in parameters.fields.iter().filter(|(name, value)| !is_told(name) && !value.is_empty()) {
        add(format!("{} is not taken over", quoted(&format!("{name}: {value}"))));
    }
    notes
}

/// The sampler and the schedule of a label, by the names of the program that wrote it.
fn sampler_of(label: &str, version: &str) -> Option<(SamplerId, ScheduleId)> {
    if version != SD_CPP_NAME {
        return sampler_and_schedule(label);
    }
    // The schedule stands behind the sampler, where it is not the usual one.
    let (name, schedule) = label.trim().split_once(' ').unwrap_or((label.trim(), "default"));
    let (sampler, said) = SD_CPP.sampler(name)?;
    Some((sampler, said.or_else(|| SD_CPP.schedule(schedule)).unwrap_or_default()))
}

/// A sampler's label; before version 1.9 it had the schedule behind it, as in `DPM++ 2M Karras`.
fn sampler_and_schedule(label: &str) -> Option<(SamplerId, ScheduleId)> {
    if let Some(sampler) = SamplerId::from_label(label) {
        return Some((sampler, ScheduleId::Automatic));
    }
    let (sampler, schedule) = label.rsplit_once(' ')?;
    Some((SamplerId::from_label(sampler)?, ScheduleId::from_label(schedule)?))
}

fn set<T: std::str::FromStr>(field: &mut T, text: Option<&str>) {
    if let Some(value) = text.and_then(|text| text.trim().parse().ok()) {
        *field = value;
    }
}

/// A JSON string where the value would end the field, else the value as it is.
fn quote(value: &str) -> String {
    if value.contains([',', ':', '\n', '\r']) { serde_json::Value::from(value).to_string() } else { value.to_owned() }
}

fn unquote(value: &str) -> String {
    if value.len() >= 2 && value.starts_with('"') && value.ends_with('"') {
        return serde_json::from_str(value).unwrap_or_else(|_| value.to_owned());
    }
    value.to_owned()
}

/// All matches of `\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)`, in one pass.
fn fields_of(line: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let Some(start) = rest.find(is_word) else { break };
        let run = &rest[start..];
        let end = run.find(|c: char| !is_word(c) && !matches!(c, ' ' | '-' | '/')).unwrap_or(run.len());
        let (name, after) = run.split_at(end);
        let Some(value) = after.strip_prefix(':').filter(|_| name.chars().nth(1).is_some()) else {
            // No match can begin within the run either, as it ends in the same place.
            rest = after.strip_prefix(|_: char| true).unwrap_or_default();
            continue;
        };
        let value = value.trim_start();
        let value_end = quoted_end(value).unwrap_or_else(|| value.find(',').unwrap_or(value.len()));
        fields.push((name.to_owned(), unquote(value[..value_end].trim())));
        rest = value[value_end..].strip_prefix(',').unwrap_or(&value[value_end..]);
    }
    fields
}

/// Where a quoted value ends, if it is one and a comma or the line's end follows.
fn quoted_end(value: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in value.bytes().enumerate().skip(1).take_while(|_| value.starts_with('"')) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => {
                let end = at + 1;
                return (end == value.len() || value.as_bytes()[end] == b',').then_some(end);
            }
            _ => {}
        }
    }
    None
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Written by hand after the form in this file's head, with the fields that other tools add.
    const FOREIGN: &str = "a red dress,\n(linen:1.2)\nNegative prompt: blurry,\nlow quality\nSteps: 28, Sampler: DPM++ 2M \
        Karras, CFG scale: 7.5, Seed: 18446744073709551615, Size: 512x768, Model hash: 6ce0161689, Model: v1-5, \
        Denoising strength: 0.7, Clip skip: 2, Lora hashes: \"a: 0123, b: \\\"4567\\\"\", Hires prompt: \"x, y\", \
        Version: v1.8.0";

    #[test]
    fn a_text_of_another_tool_is_read() {
        let parameters = Parameters::parse(FOREIGN);
        assert_eq!(parameters.get("Lora hashes"), Some("a: 0123, b: \"4567\""));
        assert_eq!(parameters.get("Clip skip"), Some("2"));
        assert_eq!(parameters.fields.len(), 12);
        let recipe = recipe_from_text(FOREIGN).unwrap();
        let expected = GenerateRequest {
            prompt: "a red dress,\n(linen:1.2)".into(),
            negative_prompt: "blurry,\nlow quality".into(),
            width_px: 512,
            height_px: 768,
            num_inference_steps: 28,
            guidance_scale: 7.5,
            sampler: SamplerId::DpmPp2m,
            schedule: ScheduleId::Karras,
            seed: u64::MAX,
            clip_skip: 1,
            ..GenerateRequest::default()
        };
        assert_eq!(recipe.request, expected);
        assert_eq!((recipe.model_name.as_str(), recipe.model_hash.as_str()), ("v1-5", "6ce0161689"));
        assert_eq!(recipe.version, "v1.8.0");
    }

    #[test]
    fn the_fields_are_written_in_the_order_of_the_original() {
        let recipe = Recipe {
            request: GenerateRequest {
                prompt: "a dress".into(),
                negative_prompt: "blurry".into(),
                width_px: 512,
                height_px: 512,
                guidance_scale: 7.0,
                schedule: ScheduleId::Karras,
                seed: 1,
                ..GenerateRequest::default()
            },
            model_name: "one: two".into(),
            model_hash: "6ce0161689".into(),
            version: "Atelier 0.1.0".into(),
            elapsed_secs: 3.0,
            safety: None,
            ..Recipe::default()
        };
        assert_eq!(
            to_text(&recipe),
            "a dress\nNegative prompt: blurry\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, \
             Seed: 1, Size: 512x512, Model hash: 6ce0161689, Model: \"one: two\", RNG: CPU, Version: Atelier 0.1.0"
        );
    }

    #[test]
    fn what_is_not_understood_stays_default() {
        assert_eq!(recipe_from_text("just a prompt: with, a colon"), None);
        assert_eq!(recipe_from_text(""), None);
        let text = "x\nSteps: many, Sampler: Restart, CFG scale: NaN, Seed: -1, Size: big, Schedule type: Beta";
        let recipe = recipe_from_text(text).unwrap();
        assert_eq!(recipe.request, GenerateRequest { prompt: "x".into(), ..GenerateRequest::default() });
    }

    /// The names and their places are those of `create_infotext`: behind the model, before the strength of the denoising.
    #[test]
    fn a_variation_is_written_and_read_as_the_web_ui_does() {
        let request = GenerateRequest {
            variation: Some(Variation { seed: 77, strength: 0.25 }),
            clip_skip: 1,
            ..GenerateRequest::default()
        };
        let recipe = Recipe {
            request: request.clone(),
            model_name: "v1-5".into(),
            model_hash: String::new(),
            version: "1".into(),
            elapsed_secs: 0.0,
            safety: None,
            ..Recipe::default()
        };
        let text = to_text(&recipe);
        assert!(
            text.contains("Model: v1-5, Variation seed: 77, Variation seed strength: 0.25, Clip skip: 2"),
            "{text}"
        );
        assert_eq!(recipe_from_text(&text).unwrap().request, request);
        for wrong in
            ["Variation seed: -1, Variation seed strength: 0.2", "Variation seed: 1, Variation seed strength: nan"]
        {
            let text = format!("p\nSteps: 1, Sampler: Euler, {wrong}");
            assert_eq!(recipe_from_text(&text).unwrap().request.variation, None, "{wrong}");
        }
        let still = GenerateRequest { variation: Some(Variation { seed: 7, strength: 0.0 }), ..request };
        assert!(!to_text(&Recipe { request: still, ..recipe }).contains("Variation"));
    }

    #[test]
    fn what_shaped_a_picture_and_is_not_taken_over_is_named() {
        let named = recipe_from_text(FOREIGN).unwrap().not_understood.join("\n");
        // Denoising strength without a second pass is a picture to begin with; nothing about RNG is the graphics card.
        for what in ["another picture", "\"GPU\"", "\"Hires prompt: x, y\""] {
            assert!(named.contains(what), "{what}: {named}");
        }
        let text = "p\nSteps: 4, Sampler: Restart, Schedule type: Beta, Seed: 1, VAE: mse.safetensors, ADetailer model: f, \
            ControlNet 0: \"Module: canny, Model: x\", Hires upscale: 1.5, Denoising strength: 0.4, RNG: CPU";
        let recipe = recipe_from_text(text).unwrap();
        assert_eq!(recipe.request.hires, Some(Hires { scale: 1.5, strength: 0.4 }));
        let named = recipe.not_understood.join("\n");
        for what in ["\"Restart\"", "\"Beta\"", "\"mse.safetensors\"", "ADetailer", "ControlNet"] {
            assert!(named.contains(what), "{what}: {named}");
        }
        assert_eq!(recipe.not_understood.len(), 5, "{named}");
    }

    #[test]
    fn a_picture_of_stable_diffusion_cpp_is_read() {
        // By hand after `get_image_params`, in its older form and with the JSON of the newer one.
        let text = "a coat\nNegative prompt: blurry\nSteps: 12, CFG scale: 7.000000, Guidance: 3.500000, Eta: 0.000000, \
            Seed: 42, Size: 512x640, Model: sd-v1-4.ckpt, RNG: cuda, Sampler: dpm++2m karras, Clip skip: 2, \
            Version: stable-diffusion.cpp";
        let recipe = recipe_from_text(text).unwrap();
        let request = &recipe.request;
        assert_eq!((request.sampler, request.schedule), (SamplerId::DpmPp2m, ScheduleId::Karras));
        assert_eq!((request.height_px, request.clip_skip, request.guidance_scale), (640, 1, 7.0));
        assert_eq!((recipe.model_name.as_str(), recipe.version.as_str()), ("sd-v1-4.ckpt", "stable-diffusion.cpp"));
        assert_eq!(recipe.not_understood.len(), 1, "{:?}", recipe.not_understood);
        let json = format!("{text}, SDCPP: {{\"schema\": \"sdcpp.image.params/v1\", \"seed\": 9, \"sampler\": \"x\"}}");
        assert_eq!(recipe_from_text(&json), Some(recipe));
    }

    #[test]
    fn every_sampler_and_schedule_is_read_back_from_its_label() {
        for sampler in SamplerId::ALL {
            for schedule in ScheduleId::ALL {
                let text = format!("p\nSteps: 1, Sampler: {}, Schedule type: {}", sampler.label(), schedule.label());
                let request = recipe_from_text(&text).unwrap().request;
                assert_eq!((request.sampler, request.schedule), (sampler, schedule), "{text}");
            }
        }
    }

    #[test]
    fn the_names_of_older_versions_carry_the_schedule() {
        // Among the samplers of stable-diffusion-webui 1.8 (`modules/sd_samplers_kdiffusion.py`).
        for (label, sampler, schedule) in [
            ("DPM++ SDE Karras", SamplerId::DpmPpSde, ScheduleId::Karras),
            ("DPM++ 2M SDE Exponential", SamplerId::DpmPp2mSde, ScheduleId::Exponential),
            ("DPM2 a Karras", SamplerId::Dpm2A, ScheduleId::Karras),
            ("DPM2 Karras", SamplerId::Dpm2, ScheduleId::Karras),
            ("LMS Karras", SamplerId::Lms, ScheduleId::Karras),
            ("LMS", SamplerId::Lms, ScheduleId::Automatic),
        ] {
            assert_eq!(sampler_and_schedule(label), Some((sampler, schedule)), "{label}");
        }
        // Ancestral, which ours of the same family is not.
        assert_eq!(sampler_and_schedule("DPM++ 2S a"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).*", fields in "([a-c:,\"\\\\ \\-/\n]|Steps: 1,){0,40}") {
            let _ = recipe_from_text(&text);
            let _ = recipe_from_text(&fields);
        }

        #[test]
        fn a_plain_prompt_and_any_values_come_back(
            prompt in "[a-z(][a-z,.()0-9]{0,40}", negative in "[a-z]{0,20}", model in "[^\\s\"](?s).{0,20}[^\\s\"]",
        ) {
            let request = GenerateRequest { prompt, negative_prompt: negative, ..GenerateRequest::default() };
            let recipe = Recipe {
                request, model_name: model, model_hash: "6ce0161689".into(), version: "1".into(), elapsed_secs: 0.0,
                safety: None,
                ..Recipe::default()
            };
            prop_assert_eq!(recipe_from_text(&to_text(&recipe)), Some(recipe));
        }
    }
}
