//! Tools whose recipes are short: Fooocus and `SwarmUI` (JSON in `parameters`), `NovelAI` (JSON in `Comment`).

use serde_json::Value;

use super::foreign::{Draft, json, number, quoted, stem, whole};
use super::samplers::{COMFY, NOVEL_AI};
use super::{Embedded, ForeignText};
use crate::domain::Recipe;

/// Reads a `parameters` text that is JSON.
#[must_use]
pub fn parameters_json(text: &str) -> Option<Recipe> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let value = json(text)?;
    match value.get("sui_image_params") {
        Some(params) => swarm(params),
        None => fooocus(&value),
    }
}

/// Fooocus 2.2 and later: `modules/meta_parser.py`, `FooocusMetadataParser`.
fn fooocus(value: &Value) -> Option<Recipe> {
    let said = |name: &str| value.get(name).and_then(Value::as_str);
    let version = said("version").filter(|version| version.starts_with("Fooocus"))?;
    let mut draft = Draft::of("Fooocus", version.trim_start_matches("Fooocus").trim());
    said("prompt")?.clone_into(&mut draft.request.prompt);
    said("negative_prompt").unwrap_or_default().clone_into(&mut draft.request.negative_prompt);
    // "(1152, 896)"
    let mut sides = said("resolution").unwrap_or_default().split(|c: char| !c.is_ascii_digit());
    let mut side = || sides.find(|text| !text.is_empty()).and_then(|text| text.parse().ok());
    let (width, height) = (side(), side());
    draft.set_size(width, height);
    draft.set_steps(value.get("steps").and_then(whole));
    draft.set_guidance(value.get("guidance_scale").and_then(number));
    draft.set_seed(value.get("seed").and_then(whole));
    draft.set_clip_skip(value.get("clip_skip").and_then(whole).unwrap_or(0).saturating_sub(1));
    draft.set_sampler(&COMFY, said("sampler"), said("scheduler"));
    stem(said("base_model").unwrap_or_default()).clone_into(&mut draft.model_name);
    said("base_model_hash").unwrap_or_default().clone_into(&mut draft.model_hash);
    for lora in value.get("loras").and_then(Value::as_array).into_iter().flatten() {
        let name = lora.get(0).and_then(Value::as_str).unwrap_or_default();
        let weight = lora.get(1).and_then(number).unwrap_or(1.0);
        draft.add_lora(name, weight, weight);
    }
    if let Some(styles) = said("styles").filter(|styles| !matches!(*styles, "" | "[]")) {
        draft.note(format!("Its styles {} are not added to the prompt", quoted(styles)));
    }
    if said("refiner_model").is_some_and(|name| !matches!(name, "" | "None")) {
        draft.note("A refiner finished it, which is not used here");
    }
    if value.get("sharpness").and_then(number).is_some_and(|sharpness| sharpness > 0.0) {
        draft.note("Its sharpness was raised while it was made, which is not done here");
    }
    Some(draft.finish())
}

/// `SwarmUI`: `sui_image_params` (`src/Text2Image/T2IParamInput.cs`).
fn swarm(params: &Value) -> Option<Recipe> {
    let said = |name: &str| params.get(name).and_then(Value::as_str);
    let get = |name: &str| params.get(name);
    let mut draft = Draft::of("SwarmUI", said("swarm_version").unwrap_or_default());
    said("prompt")?.clone_into(&mut draft.request.prompt);
    said("negativeprompt").unwrap_or_default().clone_into(&mut draft.request.negative_prompt);
    draft.set_size(get("width").and_then(whole), get("height").and_then(whole));
    draft.set_steps(get("steps").and_then(whole));
    draft.set_guidance(get("cfgscale").and_then(number));
    draft.set_seed(get("seed").and_then(whole));
    draft.set_sampler(&COMFY, said("sampler"), said("scheduler"));
    stem(said("model").unwrap_or_default()).clone_into(&mut draft.model_name);
    let list = |name: &str| get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    for (lora, weight) in list("loras").iter().zip(list("loraweights").iter().chain(std::iter::repeat(&Value::Null))) {
        let weight = number(weight).unwrap_or(1.0);
        draft.add_lora(lora.as_str().unwrap_or_default(), weight, weight);
    }
    if get("initimage").is_some_and(|image| !image.is_null()) {
        draft.note("It began with another picture, which is not in the file");
    }
    if params.as_object().is_some_and(|fields| fields.keys().any(|name| name.starts_with("controlnet"))) {
        draft.note("ControlNet shaped it, which is not used here");
    }
    if params.as_object().is_some_and(|fields| fields.keys().any(|name| name.starts_with("refiner"))) {
        draft.note("A refiner finished it, which is not used here");
    }
    Some(draft.finish())
}

/// `NovelAI`: `Software` says so, `Description` is the prompt and `Comment` JSON with the rest.
#[must_use]
pub fn novel_ai(embedded: &Embedded) -> Option<Recipe> {
    embedded.foreign(ForeignText::Software).filter(|software| software.trim() == "NovelAI")?;
    let value = json(embedded.foreign(ForeignText::Comment)?)?;
    let said = |name: &str| value.get(name).and_then(Value::as_str);
    let get = |name: &str| value.get(name);
    let mut draft = Draft::of("NovelAI", "");
    let prompt = said("prompt").or_else(|| embedded.foreign(ForeignText::Description))?;
    prompt.clone_into(&mut draft.request.prompt);
    said("uc").unwrap_or_default().clone_into(&mut draft.request.negative_prompt);
    embedded.foreign(ForeignText::Source).unwrap_or_default().trim().clone_into(&mut draft.model_name);
    draft.set_size(get("width").and_then(whole), get("height").and_then(whole));
    draft.set_steps(get("steps").and_then(whole));
    draft.set_guidance(get("scale").and_then(number));
    draft.set_seed(get("seed").and_then(whole));
    draft.set_sampler(&NOVEL_AI, said("sampler"), said("noise_schedule"));
    let rescale = get("cfg_rescale").and_then(number).unwrap_or(0.0);
    draft.request.guidance_rescale = rescale.clamp(0.0, 1.0);
    if prompt.contains(['{', '}']) || prompt.contains("::") {
        draft.note("Its prompt weighs words in NovelAI's way, with braces or ::, which mean something else here");
    }
    for (field, what) in [
        ("sm", "It was sampled in NovelAI's own way (SMEA), which is not done here"),
        ("dynamic_thresholding", "Its guidance was limited (decrisper), which is not done here"),
    ] {
        if get(field) == Some(&Value::Bool(true)) {
            draft.note(what);
        }
    }
    if get("image").is_some_and(|image| !image.is_null())
        || said("request_type").is_some_and(|kind| kind.contains("Img2Img"))
    {
        draft.note("It began with another picture, which is not in the file");
    }
    Some(draft.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SamplerId, ScheduleId};

    #[test]
    fn a_picture_of_fooocus_is_read() {
        // By hand after `FooocusMetadataParser.to_string` of version 2.3.1.
        let text = r#"{"adm_guidance":"(1.5, 0.8, 0.3)","base_model":"juggernautXL_v8Rundiffusion",
            "base_model_hash":"aeb7e9e689","full_negative_prompt":["x"],"full_prompt":["y"],"guidance_scale":4,
            "loras":[["sd_xl_offset_example-lora_1.0",0.1,"4852686128"]],"metadata_scheme":"fooocus","negative_prompt":"",
            "performance":"Speed","prompt":"a hat","refiner_model":"None","resolution":"(1152, 896)",
            "sampler":"dpmpp_2m_sde_gpu","scheduler":"karras","seed":"5124579","sharpness":2,"steps":30,
            "styles":"['Fooocus V2']","version":"Fooocus v2.3.1"}"#;
        let recipe = parameters_json(text).unwrap();
        let request = &recipe.request;
        assert_eq!((request.width_px, request.height_px, request.seed), (1152, 896, 5_124_579));
        assert_eq!((request.sampler, request.schedule), (SamplerId::DpmPp2mSde, ScheduleId::Karras));
        assert_eq!(request.prompt, "a hat <lora:sd_xl_offset_example-lora_1.0:0.1>");
        assert_eq!(
            (recipe.model_name.as_str(), recipe.version.as_str()),
            ("juggernautXL_v8Rundiffusion", "Fooocus 2.3.1")
        );
        assert_eq!(recipe.not_understood.len(), 2, "{:?}", recipe.not_understood);
    }

    #[test]
    fn a_picture_of_swarm_is_read() {
        let text = r#"{"sui_image_params":{"prompt":"a hat","negativeprompt":"blurry","model":"OfficialStableDiffusion/sd_xl_base",
            "seed":7,"steps":20,"cfgscale":6.5,"aspectratio":"1:1","width":1024,"height":832,"sampler":"euler",
            "scheduler":"sgm_uniform","swarm_version":"0.9.5.1","loras":["ink"],"loraweights":["0.5"]}}"#;
        let recipe = parameters_json(text).unwrap();
        let request = &recipe.request;
        assert_eq!((request.height_px, request.guidance_scale, request.seed), (832, 6.5, 7));
        assert_eq!((request.sampler, request.schedule), (SamplerId::Euler, ScheduleId::Trailing));
        assert_eq!((request.prompt.as_str(), recipe.model_name.as_str()), ("a hat <lora:ink:0.5>", "sd_xl_base"));
    }

    #[test]
    fn a_picture_of_novel_ai_is_read() {
        let comment = r#"{"prompt":"a {red} dress","steps":28,"height":1216,"width":832,"scale":5.0,"cfg_rescale":0.2,
            "seed":3245678901,"n_samples":1,"noise_schedule":"karras","sampler":"k_euler_ancestral","sm":false,"uc":"lowres"}"#;
        let text = |of, text: &str| (of, text.to_owned());
        let foreign = vec![
            text(ForeignText::Software, "NovelAI"),
            text(ForeignText::Source, "Stable Diffusion XL C1E1DE52"),
            text(ForeignText::Comment, comment),
        ];
        let recipe = novel_ai(&Embedded { foreign, ..Embedded::default() }).unwrap();
        let request = &recipe.request;
        assert_eq!((request.width_px, request.height_px, request.seed), (832, 1216, 3_245_678_901));
        assert_eq!((request.sampler, request.schedule), (SamplerId::EulerA, ScheduleId::Karras));
        assert_eq!((request.guidance_rescale, request.negative_prompt.as_str()), (0.2, "lowres"));
        assert!(recipe.not_understood[0].contains("braces"));
        let other = vec![text(ForeignText::Comment, comment), text(ForeignText::Software, "GIMP")];
        assert_eq!(novel_ai(&Embedded { foreign: other, ..Embedded::default() }), None);
    }
}
