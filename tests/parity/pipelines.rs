//! Whole pictures against the reference: prompt, guidance, sampler, decoder, step by step.

use atelier::domain::Cancel;
use atelier::models::Model;
use atelier::models::embeddings::Condition;
use atelier::pipeline::{Conditioning, Denoiser, Sizes, Texts, encode_prompts, nothing_said, picture_from_tensor};
use atelier::sampling;
use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use crate::models::{load, numbers, tensor, values};
use crate::support::{self, Group, Tensors, max_abs, path, read_json};

/// Absolute tolerance of a picture in 0..1.
const IMAGE_TOLERANCE: f64 = 5e-3;
/// Relative tolerance of fractional timesteps.
const TIMESTEP_TOLERANCE: f64 = 1e-5;
/// Greatest difference of a PNG, in levels of 255.
const PNG_LEVELS: f64 = 2.0;

/// One string, or one for each picture of the batch; none where the case brings its own embeddings.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts.iter().map(|text| text.as_str().expect("a prompt").to_owned()).collect(),
        _ => Vec::new(),
    }
}

fn whole(value: &Value) -> u32 {
    value.as_u64().and_then(|value| value.try_into().ok()).unwrap_or_else(|| panic!("{value} is no size"))
}

/// Why a case cannot run yet, if so.
fn missing_feature(case: &Value) -> Option<&'static str> {
    let name = case["name"].as_str().expect("a name");
    if name.contains("inpaint") {
        Some("inpainting is not built yet")
    } else if !case["call"]["strength"].is_null() || name.contains("img2img") {
        Some("image to image is not built yet")
    } else {
        None
    }
}

#[test]
fn pipelines() {
    let cases: Value = read_json(&path("pipelines/cases.json"));
    support::group("pipelines", |group| {
        for case in cases.as_array().expect("cases") {
            let name = case["name"].as_str().expect("a name");
            if let Some(reason) = missing_feature(case) {
                group.not_yet(reason);
                continue;
            }
            let model_name = name.split('_').next().expect("a model's name");
            match load(model_name) {
                Ok(model) => run(group, name, case, &model),
                Err(reason) => group.not_yet(&reason),
            }
        }
    });
}

fn run(group: &mut Group, name: &str, case: &Value, model: &Model) {
    let golden = Tensors::read(&format!("pipelines/{name}.safetensors"));
    let call = &case["call"];
    let number = |field: &str| call[field].as_f64().unwrap_or_else(|| panic!("{name}: no {field}"));
    group.case();
    let start = golden.get("input.latents");
    let shape: [usize; 4] = start.shape.clone().try_into().expect("four dimensions");
    let sides = |field: &str, default: (u32, u32)| match call[field].as_array() {
        Some(sides) => (whole(&sides[0]), whole(&sides[1])),
        None => default,
    };
    let target = (whole(&call["height"]), whole(&call["width"]));
    // A negative size that is not given is that of the prompt.
    let sizes = Sizes {
        original: sides("original_size", target),
        crop: sides("crops_coords_top_left", (0, 0)),
        target: sides("target_size", target),
    };
    let negative_sizes = if call["negative_original_size"].is_null() {
        sizes
    } else {
        Sizes {
            original: sides("negative_original_size", target),
            crop: sides("negative_crops_coords_top_left", (0, 0)),
            target: sides("negative_target_size", target),
        }
    };
    let condition = |which: &str, sizes: Sizes| -> Condition {
        let embeds = format!("input.{which}_embeds");
        if golden.find(&embeds).is_some() {
            return tensor(&golden, &embeds).into();
        }
        let first = strings(&call[which]);
        let second = match strings(&call[format!("{which}_2")]) {
            none if none.is_empty() => first.clone(),
            second => second,
        };
        let texts: Vec<Texts<'_>> = first.iter().zip(&second).map(|(first, second)| Texts { first, second }).collect();
        encode_prompts(model, &texts, sizes).expect("an encoding").condition
    };
    let guidance_scale = number("guidance_scale");
    let prompt = condition("prompt", sizes);
    let negative = || {
        if call["negative_prompt"].is_null() && golden.find("input.negative_prompt_embeds").is_none() {
            assert!(model.force_zeros_for_empty_prompt, "{name}: no negative prompt");
            nothing_said(&prompt).expect("zeros")
        } else {
            condition("negative_prompt", negative_sizes)
        }
    };
    let conditioning = Conditioning {
        negative: (guidance_scale > 1.0).then(negative),
        prompt,
        guidance_scale,
        guidance_rescale: call["guidance_rescale"].as_f64().unwrap_or(0.0),
    };
    let class = case["scheduler"].as_str().expect("a scheduler");
    let steps = number("num_inference_steps") as usize;
    let sampler = sampling::from_diffusers(class, &case["scheduler_config"], &json!({}), steps).expect("a sampler");
    group.within_relative(
        &format!("{name} timesteps"),
        sampler.timesteps(),
        &numbers(&golden, "timesteps"),
        TIMESTEP_TOLERANCE,
    );

    let first_sigma = sampler.init_noise_sigma() as f32;
    let latents: Vec<f32> = start.floats().iter().map(|value| value * first_sigma).collect();
    let mut drawn = 0;
    let mut steps_seen: Vec<Vec<f32>> = Vec::new();
    let mut denoiser = Denoiser { unet: &model.unet, sampler, conditioning, shape };
    let result = denoiser
        .run(
            latents,
            &mut |noise| {
                noise.copy_from_slice(golden.get(&format!("noise.{drawn}")).floats());
                drawn += 1;
            },
            &Cancel::default(),
            &mut |done| steps_seen.push(done.latents.to_vec()),
        )
        .expect("latents");

    let stored = golden.get("latents");
    assert_eq!(steps_seen.len(), stored.shape[0], "{name}: number of evaluations");
    let amplification = case["amplification"].as_f64().unwrap_or(0.0);
    let tolerance = (1e-3 * max_abs(stored.floats()).max(1.0)).max(1e-5 * amplification);
    for (i, actual) in steps_seen.iter().enumerate() {
        group.within(&format!("{name} latents after call {}", i + 1), actual, stored.row(i), tolerance);
    }

    let latents = Tensor::from_vec(result, &shape, &Device::Cpu).expect("latents");
    let unscaled = (latents / model.vae.config().scaling_factor).expect("latents");
    let decoded = model.vae.decode(&unscaled).expect("a picture");
    let unit = ((&decoded / 2.0).expect("halved") + 0.5).and_then(|t| t.clamp(0.0, 1.0)).expect("a picture in 0..1");
    let rows = unit.permute((0, 2, 3, 1)).and_then(|t| t.contiguous()).expect("rows of px"); // [b, h, w, 3]
    group.within(&format!("{name} image"), &values(&rows), golden.get("image").floats(), IMAGE_TOLERANCE);
    for index in 0..shape[0] {
        let file = if shape[0] == 1 { format!("{name}.png") } else { format!("{name}_{index}.png") };
        let expected = image::open(path(&format!("pipelines/{file}"))).expect("a PNG").to_rgba8();
        let actual = picture_from_tensor(&decoded, index).expect("a picture");
        let as_levels = |bytes: &[u8]| bytes.iter().map(|byte| f32::from(*byte)).collect::<Vec<f32>>();
        group.within(&file, &as_levels(&actual.rgba), &as_levels(expected.as_raw()), PNG_LEVELS);
    }
}
