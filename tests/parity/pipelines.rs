//! Whole pictures against the reference: prompt, guidance, sampler, decoder, step by step.

use atelier::domain::{Cancel, Picture};
use atelier::models::Model;
use atelier::models::embeddings::Condition;
use atelier::pipeline::{
    Conditioning, Denoiser, Sizes, Source, Start, Texts, encode_prompts, nothing_said, picture_from_tensor,
    tensor_from_picture,
};
use atelier::sampling;
use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use crate::models::{load, numbers, slack, tensor, values};
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

/// The picture and mask that a case begins with.
fn source(case: &Value) -> Option<Source> {
    let strength = case["call"]["strength"].as_f64()?;
    let read = |name: &str| image::open(path(&format!("pipelines/{name}"))).expect("a PNG");
    let picture = read("input_image.png").to_rgba8();
    let (width_px, height_px) = picture.dimensions();
    let picture = Picture { width_px, height_px, rgba: picture.into_raw() };
    let mask = case["name"].as_str().expect("a name").contains("inpaint").then(|| {
        let mask = read("input_mask.png").to_luma8();
        let (width, height) = mask.dimensions();
        let values = mask.into_raw().into_iter().map(|level| f32::from(u8::from(level >= 128))).collect();
        Tensor::from_vec(values, (1, 1, height as usize, width as usize), &Device::Cpu).expect("a mask")
    });
    Some(Source { picture: tensor_from_picture(&picture).expect("a tensor"), shares: mask.clone(), mask, strength })
}

#[test]
fn pipelines() {
    let cases: Value = read_json(&path("pipelines/cases.json"));
    support::group("pipelines", |group| {
        for case in cases.as_array().expect("cases") {
            let name = case["name"].as_str().expect("a name");
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
    let source = source(case);
    let shape: [usize; 4] = golden.get("latents").shape[1..].try_into().expect("four dimensions");
    let sides = |field: &str, default: (u32, u32)| match call[field].as_array() {
        Some(sides) => (whole(&sides[0]), whole(&sides[1])),
        None => default,
    };
    let scale = model.vae.config().scale() as u32;
    let target = (scale * shape[2] as u32, scale * shape[3] as u32);
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
        negative: (guidance_scale > 1.0).then(|| negative().into()),
        prompts: vec![(1.0, prompt.into())],
        guidance_scale,
        guidance_rescale: call["guidance_rescale"].as_f64().unwrap_or(0.0),
    };
    let class = case["scheduler"].as_str().expect("a scheduler");
    let steps = number("num_inference_steps") as usize;
    let sampler = sampling::from_diffusers(class, &case["scheduler_config"], &json!({}), steps).expect("a sampler");

    let roles = case["noise_roles"].as_array().expect("roles of the noise");
    // The noise that the loop begins with is stored apart where nothing else is drawn before it.
    let mut drawn = 0;
    let mut noise = |values: &mut [f32]| {
        values.copy_from_slice(golden.get(&format!("noise.{drawn}")).floats());
        drawn += 1;
    };
    let in_channels = model.unet.config().in_channels;
    let begin = match &source {
        Some(_) => Start::new(&model.vae, in_channels, sampler.as_ref(), steps, source.as_ref(), shape, &mut noise),
        None => Start::new(&model.vae, in_channels, sampler.as_ref(), steps, None, shape, &mut |values| {
            values.copy_from_slice(golden.get("input.latents").floats());
        }),
    };
    let begin = begin.expect("a beginning");
    group.within_relative(
        &format!("{name} timesteps"),
        &sampler.timesteps()[begin.first_call..],
        &numbers(&golden, "timesteps"),
        TIMESTEP_TOLERANCE,
    );
    let mut steps_seen: Vec<Vec<f32>> = Vec::new();
    let mut denoiser = Denoiser { unet: &model.unet, sampler, conditioning, shape, steps: steps as u32 };
    let result = denoiser
        .run(begin, &mut noise, &Cancel::default(), &mut |done| steps_seen.push(done.latents.to_vec()))
        .expect("latents");

    assert_eq!(drawn, roles.len(), "{name}: numbers of draws");
    let stored = golden.get("latents");
    assert_eq!(steps_seen.len(), stored.shape[0], "{name}: number of evaluations");
    let amplification = case["amplification"].as_f64().unwrap_or(0.0);
    let tolerance = slack() * (1e-3 * max_abs(stored.floats()).max(1.0)).max(1e-5 * amplification);
    for (i, actual) in steps_seen.iter().enumerate() {
        group.within(&format!("{name} latents after call {}", i + 1), actual, stored.row(i), tolerance);
    }

    let latents = Tensor::from_vec(result, &shape, &Device::Cpu).expect("latents");
    let unscaled = (latents / model.vae.config().scaling_factor).expect("latents");
    let decoded = model.vae.decode(&unscaled).expect("a picture");
    let unit = ((&decoded / 2.0).expect("halved") + 0.5).and_then(|t| t.clamp(0.0, 1.0)).expect("a picture in 0..1");
    let rows = unit.permute((0, 2, 3, 1)).and_then(|t| t.contiguous()).expect("rows of px"); // [b, h, w, 3]
    group.within(&format!("{name} image"), &values(&rows), golden.get("image").floats(), slack() * IMAGE_TOLERANCE);
    for index in 0..shape[0] {
        let file = if shape[0] == 1 { format!("{name}.png") } else { format!("{name}_{index}.png") };
        let expected = image::open(path(&format!("pipelines/{file}"))).expect("a PNG").to_rgba8();
        let actual = picture_from_tensor(&decoded, index).expect("a picture");
        let as_levels = |bytes: &[u8]| bytes.iter().map(|byte| f32::from(*byte)).collect::<Vec<f32>>();
        group.within(&file, &as_levels(&actual.rgba), &as_levels(expected.as_raw()), slack() * PNG_LEVELS);
    }
}
