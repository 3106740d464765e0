//! `InvokeAI`: `invokeai_metadata` of the versions 3 to 5 (`CoreMetadataInvocation` in `invokeai/app/invocations/metadata.py`),
//! and `sd-metadata` of version 2 (`ldm/invoke/server_legacy.py`; `metadata_dumps` in `ldm/invoke/args.py`).

use serde_json::Value;

use super::foreign::{Draft, json, number, quoted, stem, whole};
use super::samplers::INVOKE;
use crate::domain::Recipe;

/// Reads `invokeai_metadata`.
#[must_use]
pub fn metadata(text: &str) -> Option<Recipe> {
    let value = json(text)?;
    let get = |name: &str| value.get(name).filter(|value| !value.is_null());
    let said = |name: &str| get(name).and_then(Value::as_str);
    let prompt = said("positive_prompt")?;
    let mut draft = Draft::of("InvokeAI", said("app_version").unwrap_or_default());
    prompt.clone_into(&mut draft.request.prompt);
    said("negative_prompt").unwrap_or_default().clone_into(&mut draft.request.negative_prompt);
    draft.set_size(get("width").and_then(whole), get("height").and_then(whole));
    draft.set_steps(get("steps").and_then(whole));
    draft.set_guidance(get("cfg_scale").and_then(number));
    draft.set_seed(get("seed").and_then(whole));
    draft.set_clip_skip(get("clip_skip").and_then(whole).unwrap_or(0));
    let rescale = get("cfg_rescale_multiplier").and_then(number);
    draft.request.guidance_rescale = rescale.map_or(0.0, |rescale| rescale.clamp(0.0, 1.0));
    draft.set_sampler(&INVOKE, said("scheduler"), None);
    if let Some(model) = get("model") {
        model_name(model).unwrap_or_default().clone_into(&mut draft.model_name);
    }
    if said("rand_device").is_some_and(|device| device != "cpu") {
        draft.note("Its noise was drawn on a graphics card: the seed begins with other noise here");
    }
    for lora in get("loras").and_then(Value::as_array).into_iter().flatten() {
        // Version 3 said `lora`, later ones say `model`.
        let name = lora.get("model").or_else(|| lora.get("lora")).and_then(model_name);
        let weight = lora.get("weight").and_then(number).unwrap_or(1.0);
        draft.add_lora(name.unwrap_or_default(), weight, weight);
    }
    if let Some(name) = get("vae").and_then(model_name) {
        draft.note(format!("The VAE {} is not taken over: choose its file", quoted(name)));
    }
    for (field, what) in [
        ("init_image", "It began with another picture, which is not in the file"),
        ("controlnets", "ControlNet shaped it, which is not used here"),
        ("ipAdapters", "An IP adapter shaped it, which is not used here"),
        ("t2iAdapters", "A T2I adapter shaped it, which is not used here"),
        ("refiner_model", "A refiner finished it, which is not used here"),
        ("canvas_v2_metadata", "It was painted on a canvas of layers, which are not taken over"),
    ] {
        let is_there = get(field).is_some_and(|value| !matches!(value, Value::Array(items) if items.is_empty()));
        if is_there {
            draft.note(what);
        }
    }
    if [get("seamless_x"), get("seamless_y")].contains(&Some(&Value::Bool(true))) {
        draft.note("Its edges fit together (seamless), which is not done here");
    }
    if get("hrf_enabled") == Some(&Value::Bool(true)) {
        // The first pass was made at the model's own size, which is not said.
        draft.note("It had a second pass (high resolution fix), whose first size is not said");
    }
    Some(draft.finish())
}

/// A model's name: version 4 and later say `name`, version 3 `model_name`.
fn model_name(model: &Value) -> Option<&str> {
    model.get("name").or_else(|| model.get("model_name")).and_then(Value::as_str).filter(|name| !name.is_empty())
}

/// Reads `sd-metadata`.
#[must_use]
pub fn sd_metadata(text: &str) -> Option<Recipe> {
    let value = json(text)?;
    let image = value.get("image")?;
    let said = |name: &str| value.get(name).and_then(Value::as_str);
    let mut draft = Draft::of("InvokeAI", said("app_version").unwrap_or_default());
    let prompt = match image.get("prompt")? {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            if parts.len() > 1 {
                draft.note("Several prompts were blended: they are taken over one behind the other");
            }
            let part = |part: &Value| part.get("prompt").and_then(Value::as_str).map(str::to_owned);
            parts.iter().filter_map(part).collect::<Vec<_>>().join(", ")
        }
        _ => return None,
    };
    (draft.request.prompt, draft.request.negative_prompt) = split_negative(&prompt);
    let get = |name: &str| image.get(name).filter(|value| !value.is_null());
    draft.set_size(get("width").and_then(whole), get("height").and_then(whole));
    draft.set_steps(get("steps").and_then(whole));
    draft.set_guidance(get("cfg_scale").and_then(number));
    draft.set_seed(get("seed").and_then(whole));
    draft.set_sampler(&INVOKE, get("sampler").and_then(Value::as_str), None);
    stem(said("model_weights").unwrap_or_default()).clone_into(&mut draft.model_name);
    // All of its sha256, of which ours are the first ten digits.
    let hash: String =
        said("model_hash").unwrap_or_default().chars().filter(char::is_ascii_hexdigit).take(10).collect();
    draft.model_hash = hash;
    if get("type").and_then(Value::as_str).is_some_and(|kind| kind != "txt2img") {
        draft.note("It began with another picture, which is not in the file");
    }
    for (field, what) in [
        ("variations", "It is a mixture of several seeds, which is not done here"),
        ("postprocessing", "It was worked over afterwards, which is not done here"),
    ] {
        if get(field).and_then(Value::as_array).is_some_and(|items| !items.is_empty()) {
            draft.note(what);
        }
    }
    for field in ["threshold", "perlin"] {
        if get(field).and_then(number).is_some_and(|value| value != 0.0) {
            draft.note(format!("Its noise was changed ({field}), which is not done here"));
        }
    }
    if get("seamless") == Some(&Value::Bool(true)) {
        draft.note("Its edges fit together (seamless), which is not done here");
    }
    Some(draft.finish())
}

/// Version 2 wrote the negative prompt in square brackets into the prompt.
fn split_negative(prompt: &str) -> (String, String) {
    let (mut positive, mut negative) = (String::new(), Vec::new());
    let mut rest = prompt;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((inside, behind)) = after.split_once(']') else { break };
        positive.push_str(before);
        negative.push(inside.trim());
        rest = behind;
    }
    positive.push_str(rest);
    (positive.trim().to_owned(), negative.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SamplerId, ScheduleId};

    /// As version 4.2 writes it, by hand after `CoreMetadataInvocation`.
    const V4: &str = r#"{"app_version":"4.2.8","generation_mode":"txt2img","positive_prompt":"a red dress",
        "negative_prompt":"blurry","width":512,"height":768,"seed":2724710526,"rand_device":"cpu","cfg_scale":7.5,
        "cfg_rescale_multiplier":0.5,"steps":30,"scheduler":"dpmpp_2m_sde_k","seamless_x":false,"seamless_y":false,
        "clip_skip":1,"model":{"key":"0b9a","hash":"blake3:1234","name":"stable-diffusion-v1-5","base":"sd-1","type":"main"},
        "loras":[{"model":{"key":"7","hash":"x","name":"denim v2","base":"sd-1","type":"lora"},"weight":0.75}],
        "controlnets":[],"vae":null}"#;

    #[test]
    fn a_picture_of_version_4_is_read() {
        let recipe = metadata(V4).unwrap();
        let request = &recipe.request;
        assert_eq!(request.prompt, "a red dress <lora:denim v2:0.75>");
        assert_eq!((request.negative_prompt.as_str(), request.seed), ("blurry", 2_724_710_526));
        assert_eq!((request.width_px, request.height_px, request.num_inference_steps), (512, 768, 30));
        assert_eq!((request.guidance_scale, request.guidance_rescale, request.clip_skip), (7.5, 0.5, 1));
        assert_eq!((request.sampler, request.schedule), (SamplerId::DpmPp2mSde, ScheduleId::Karras));
        assert_eq!((recipe.model_name.as_str(), recipe.version.as_str()), ("stable-diffusion-v1-5", "InvokeAI 4.2.8"));
        assert_eq!(recipe.not_understood, Vec::<String>::new());
    }

    #[test]
    fn version_3_has_other_names_and_what_is_not_done_here_is_named() {
        let text = r#"{"app_version":"3.4.0","positive_prompt":"x","scheduler":"deis","rand_device":"cuda",
            "model":{"model_name":"dreamshaper-8","base_model":"sd-1","model_type":"main"},"init_image":"a.png",
            "loras":[{"lora":{"model_name":"ink","base_model":"sd-1"},"weight":1.0}],
            "controlnets":[{"control_weight":1}],"vae":{"model_name":"mse","base_model":"sd-1"}}"#;
        let recipe = metadata(text).unwrap();
        assert_eq!((recipe.model_name.as_str(), recipe.request.prompt.as_str()), ("dreamshaper-8", "x <lora:ink:1>"));
        let named = recipe.not_understood.join("\n");
        for what in ["\"deis\"", "graphics card", "another picture", "ControlNet", "VAE \"mse\""] {
            assert!(named.contains(what), "{what}: {named}");
        }
    }

    #[test]
    fn a_picture_of_version_2_is_read() {
        // By hand after `metadata_dumps` of version 2.3.
        let text = r#"{"model":"stable diffusion","model_weights":"stable-diffusion-1.5",
            "model_hash":"cc6cb27103417325ff94f52b7a5d2dde45a7515b25c255d8e396c90014281516","app_id":"invoke-ai/InvokeAI",
            "app_version":"v2.3.5","image":{"prompt":[{"prompt":"a coat [blurry] of wool [text]","weight":1.0}],"steps":50,
            "cfg_scale":7.5,"threshold":0.0,"perlin":0.0,"height":640,"width":512,"seed":1945120231,"seamless":false,
            "hires_fix":false,"type":"txt2img","postprocessing":null,"sampler":"k_lms","variations":[]}}"#;
        let recipe = sd_metadata(text).unwrap();
        let request = &recipe.request;
        assert_eq!((request.prompt.as_str(), request.negative_prompt.as_str()), ("a coat  of wool", "blurry, text"));
        assert_eq!((request.sampler, request.seed, request.height_px), (SamplerId::Lms, 1_945_120_231, 640));
        assert_eq!((recipe.model_hash.as_str(), recipe.version.as_str()), ("cc6cb27103", "InvokeAI 2.3.5"));
        assert_eq!(recipe.not_understood, Vec::<String>::new());
    }
}
