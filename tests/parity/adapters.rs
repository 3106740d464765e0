//! Adapters and embeddings against the reference: what a network gives with a file on, in every form of the file.

use std::path::{Path, PathBuf};

use atelier::models::embeddings::{AddedCondition, Condition};
use atelier::models::{AdapterUse, Model, Word};
use atelier::pipeline::prompt_ids;
use serde_json::Value;

use crate::models::{load, slack, tensor, values};
use crate::support::{self, Group, Tensors, folder, path, read_json};

/// Tolerances of the reference's README: kohya's files are of half precision.
const LORA_TOLERANCE: f64 = 1e-4;
const KOHYA_TOLERANCE: f64 = 2e-4;
const TEXT_TOLERANCE: f64 = 3e-5;

/// The files that a form of an adapter may consist of, below the adapter's folder.
const FORMS: &[(&str, &[&str])] = &[
    ("peft", &["peft/unet/adapter_model.safetensors", "peft/text_encoder/adapter_model.safetensors"]),
    ("diffusers", &["diffusers/pytorch_lora_weights.safetensors"]),
    ("diffusers_old", &["diffusers_old/pytorch_lora_weights.safetensors"]),
    ("kohya", &["kohya/lora.safetensors"]),
];

#[test]
fn lora() {
    let index: Value = read_json(&path("lora/index.json"));
    support::group("lora", |group| {
        for (name, adapter) in index["adapters"].as_object().expect("adapters") {
            let mut model = load(adapter["model"].as_str().expect("a model")).expect("a model");
            let outputs = Tensors::read(&format!("lora/{name}_outputs.safetensors"));
            let mut forms = 0;
            for (form, files) in FORMS {
                let files: Vec<PathBuf> = files
                    .iter()
                    .map(|file| folder().join("lora").join(name).join(file))
                    .filter(|file| file.is_file())
                    .collect();
                // The old form has no alpha: with another one than the rank it is another adapter.
                let alpha_is_lost = *form == "diffusers_old" && adapter["alpha"] != adapter["rank"];
                if files.is_empty() || alpha_is_lost {
                    continue;
                }
                forms += 1;
                let tolerance = if *form == "kohya" { slack() * KOHYA_TOLERANCE } else { slack() * LORA_TOLERANCE };
                for weight in index["weights"].as_array().expect("weights") {
                    let weight = weight.as_f64().expect("a weight");
                    compare(
                        group,
                        &format!("{name} {form} {weight:?}"),
                        &mut model,
                        &files,
                        weight,
                        &outputs,
                        tolerance,
                    );
                }
            }
            assert!(forms > 0, "{name} has no file");
        }
    });
}

/// Puts the files on with one weight, and compares what the model's networks give then.
fn compare(
    group: &mut Group,
    what: &str,
    model: &mut Model,
    files: &[PathBuf],
    weight: f64,
    outputs: &Tensors,
    tolerance: f64,
) {
    if outputs.find(&format!("unet.{weight:?}")).is_none() {
        return;
    }
    let mix: Vec<AdapterUse> = files
        .iter()
        .map(|path| AdapterUse { path: path.clone(), unet_weight: weight, text_encoder_weight: weight })
        .collect();
    let reports = model.wear(&mix).expect("an adapter that fits");
    for report in &reports {
        assert!(report.is_whole(), "{what}: {}", report.summary());
    }
    group.case();
    let added = outputs
        .find("text_embeds")
        .map(|_| AddedCondition { text_embeds: tensor(outputs, "text_embeds"), time_ids: tensor(outputs, "time_ids") });
    let condition = Condition { text: tensor(outputs, "context"), added, guidance_scale: None };
    let timestep = outputs.get("timesteps").wholes()[0] as f64;
    let given = model.unet.forward(&tensor(outputs, "latents"), &[timestep], &condition).expect("a prediction");
    group.within(
        &format!("{what} unet"),
        &values(&given),
        outputs.get(&format!("unet.{weight:?}")).floats(),
        tolerance,
    );
    let second = model.text_2.as_ref();
    for (part, ids, golden) in [
        (Some(&model.text), "input_ids", format!("text.{weight:?}")),
        (Some(&model.text), "input_ids.te1", format!("text1.{weight:?}")),
        (second, "input_ids.te2", format!("text2.{weight:?}")),
    ] {
        let (Some(part), Some(golden)) = (part, outputs.find(&golden)) else { continue };
        let rows = vec![outputs.get(ids).wholes().iter().map(|id| *id as u32).collect()];
        let given = part.encoder.forward(&rows).expect("an encoding").last_hidden_state;
        group.within(&format!("{what} {ids}"), &values(&given), golden.floats(), tolerance);
    }
}

/// Changing an adapter's weight to and fro, and taking it off, leaves no trace.
#[test]
fn an_adapter_taken_off_leaves_no_trace() {
    let index: Value = read_json(&path("lora/index.json"));
    let (name, adapter) = index["adapters"].as_object().and_then(|all| all.iter().next()).expect("an adapter");
    let outputs = Tensors::read(&format!("lora/{name}_outputs.safetensors"));
    let mut model = load(adapter["model"].as_str().expect("a model")).expect("a model");
    let file = FORMS
        .iter()
        .flat_map(|(_, files)| files.iter())
        .map(|file| folder().join("lora").join(name).join(file))
        .find(|file| file.is_file())
        .expect("a file");
    let ids = vec![outputs.get("input_ids").wholes().iter().map(|id| *id as u32).collect()];
    let give = |model: &Model| {
        let condition = tensor(&outputs, "context").into();
        let unet = model.unet.forward(&tensor(&outputs, "latents"), &[7.0], &condition).expect("a prediction");
        (values(&unet), values(&model.text.encoder.forward(&ids).expect("an encoding").last_hidden_state))
    };
    let with = |weight: f64| vec![AdapterUse { path: file.clone(), unet_weight: weight, text_encoder_weight: weight }];
    let before = give(&model);
    model.wear(&with(1.0)).expect("an adapter");
    let worn = give(&model);
    assert_ne!(before, worn);
    model.wear(&with(-0.5)).expect("an adapter");
    model.wear(&with(1.0)).expect("an adapter");
    assert_eq!(give(&model), worn);
    // A file that does not fit changes nothing.
    let missing = AdapterUse { path: PathBuf::from("missing.safetensors"), unet_weight: 1.0, text_encoder_weight: 1.0 };
    assert_eq!(model.wear(&[missing]).expect_err("a missing file").exit_code(), 2);
    assert_eq!(give(&model), worn);
    model.wear(&[]).expect("nothing");
    assert_eq!(give(&model), before);
}

#[test]
fn textual_inversion() {
    let index: Value = read_json(&path("lora/textual_inversion/index.json"));
    let text = |field: &str| index[field].as_str().unwrap_or_else(|| panic!("no {field}"));
    let outputs = Tensors::read("lora/textual_inversion/outputs.safetensors");
    let mut model = load(text("model")).expect("a model");
    support::group("textual inversion", |group| {
        for file in [
            "webui.pt",
            "webui_before_zip.pt",
            "emb_params.safetensors",
            "learned_embeds.safetensors",
            "learned_embeds.bin",
        ] {
            let file = path(&format!("lora/textual_inversion/{file}"));
            embedding(group, &mut model, text("token"), text("prompt"), &file, &outputs);
        }
    });
    // Vectors for SDXL's two encoders do not fit one of another width.
    let file = path("lora/textual_inversion/sdxl_clip_lg.safetensors");
    let error = model.teach(vec![Word::open("x", &file).expect("a word")]).expect_err("of another family");
    assert_eq!(error.exit_code(), 2, "{error}");
}

fn embedding(group: &mut Group, model: &mut Model, token: &str, prompt: &str, file: &Path, outputs: &Tensors) {
    let what = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    model.teach(vec![Word::open(token, file).expect("a word")]).expect("a word that fits");
    let special = model.text.tokenizer.special_ids(Vec::new());
    let mut ids = vec![special.start];
    ids.extend(prompt_ids(model, &model.text, prompt).expect("ids"));
    ids.push(special.end);
    ids.resize(special.length, special.pad);
    // Which of the stored outputs a file belongs to is told by its number of vectors.
    let wanted: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
    let cases: Vec<&str> = outputs
        .names()
        .filter_map(|name| name.strip_suffix(".input_ids"))
        .filter(|case| outputs.get(&format!("{case}.input_ids")).wholes() == wanted)
        .collect();
    assert!(!cases.is_empty(), "{what}: no case has the ids {ids:?}");
    let given = values(&model.text.encoder.forward(&[ids]).expect("an encoding").last_hidden_state);
    for case in cases {
        group.case();
        let golden = outputs.get(&format!("{case}.last_hidden_state"));
        group.within(&format!("{what} {case}"), &given, golden.floats(), slack() * TEXT_TOLERANCE);
    }
}
