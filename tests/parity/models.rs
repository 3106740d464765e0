//! The networks against the reference: tokens, text encoders, `UNet`s, autoencoders, and the output of every block.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::OnceLock;

use atelier::domain::{Cancel, DeviceChoice, ModelRef, Precision};
use atelier::models::embeddings::{AddedCondition, Condition};
use atelier::models::tokenizer::ClipTokenizer;
use atelier::models::{self, Model, Placement, TextPart};
use atelier::nn::{Backend, probe};
use atelier::weights::ModelFiles;
use candle_core::{Device, Tensor};
use serde_json::Value;

use crate::support::{self, Group, Tensors, folder, read_json};

/// Tolerances of the reference's README: absolute, in f32 on a CPU.
const TEXT_TOLERANCE: f64 = 3e-5;
/// For the `UNet`, the autoencoder and every block.
const NETWORK_TOLERANCE: f64 = 1e-4;

/// Every model of the reference that the engine can load; the others are noted as not built yet.
pub fn each_model(group: &mut Group, mut work: impl FnMut(&mut Group, &str, &Model)) {
    for name in subfolders(&folder().join("goldens")) {
        match load(&name) {
            Ok(model) => work(group, &name, &model),
            Err(reason) => group.not_yet(&reason),
        }
    }
}

/// A model of the reference on the device of `ATELIER_DEVICE`, or that its family is not built. Any other fault fails the
/// test.
pub fn load(name: &str) -> Result<Model, String> {
    load_on(placement(), name)
}

/// The same elsewhere.
pub fn load_on(placement: Placement, name: &str) -> Result<Model, String> {
    let path = folder().join("models").join(name);
    models::open_on(placement, &ModelRef::Path(path), None, &Cancel::default(), &mut |_| ()).map_err(|error| {
        assert!(error.sentence.contains("cannot run yet"), "{name}: {error}");
        error.sentence.split(',').next().unwrap_or_default().to_owned()
    })
}

/// Where the tests compute, in f32: the processor, or what `ATELIER_DEVICE` names, such as `cuda:0` or `cpu:portable`.
pub fn placement() -> Placement {
    // Opened once: a card's context takes a second and some hundred MB.
    static PLACEMENT: OnceLock<Placement> = OnceLock::new();
    let open = || {
        let Ok(asked) = std::env::var("ATELIER_DEVICE") else { return Placement::processor() };
        let asked: DeviceChoice = asked.parse().expect("a device");
        let placement = Placement::on(Backend::open(asked), Precision::Exact);
        assert!(!placement.used().is_refused(), "{}", placement.used());
        placement
    };
    PLACEMENT.get_or_init(open).clone()
}

/// How much wider tolerances are on the device of the tests. On the processor, and by the operations of cards there, they are
/// the reference's. A card's libraries add in orders of their own; and NVIDIA's round the operands of f32 convolutions to
/// ten bits (TF32), 2⁻¹¹ instead of 2⁻²⁴ at each, unless `NVIDIA_TF32_OVERRIDE=0` forbids it.
pub fn slack() -> f64 {
    let is_exact = std::env::var("NVIDIA_TF32_OVERRIDE").is_ok_and(|value| value == "0");
    match (placement().used().is_card(), is_exact) {
        (false, _) => 1.0,
        (true, true) => 4.0,
        (true, false) => 40.0,
    }
}

fn subfolders(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a folder entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{} is empty", path.display());
    names
}

/// A stored tensor for the engine.
pub fn tensor(tensors: &Tensors, name: &str) -> Tensor {
    let stored = tensors.get(name);
    Tensor::from_slice(stored.floats(), stored.shape.as_slice(), &Device::Cpu).expect("a tensor")
}

/// A stored tensor's numbers, whole or not.
pub fn numbers(tensors: &Tensors, name: &str) -> Vec<f64> {
    let stored = tensors.get(name);
    if stored.is_whole() {
        stored.wholes().iter().map(|value| *value as f64).collect()
    } else {
        stored.floats().iter().map(|value| f64::from(*value)).collect()
    }
}

/// The cases of which a file has a tensor with this ending.
pub fn cases(tensors: &Tensors, suffix: &str) -> Vec<String> {
    let cases: Vec<String> = tensors.names().filter_map(|name| name.strip_suffix(suffix)).map(str::to_owned).collect();
    assert!(!cases.is_empty(), "no case has a {suffix}");
    cases
}

/// An engine's tensor as plain values.
pub fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("f32 values")
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().expect("ids").iter().map(|id| id.as_u64().expect("an id") as u32).collect()
}

#[test]
fn tokenizer() {
    support::group("tokenizer", |group| {
        let folder = folder().join("tokenizer");
        for (file, pad) in [("cases.json", None), ("cases_pad_bang.json", Some("!"))] {
            let cases: Value = read_json(&folder.join(file));
            let first = &cases["cases"][0];
            let length = first["padded"].as_array().expect("padded ids").len();
            // Both forms of the tokenizer's files, and the merges inside the program.
            let copy = tempfile::tempdir().expect("a folder");
            let write = |sub: &str, name: &str, content: &[u8]| {
                std::fs::create_dir_all(copy.path().join(sub)).expect("a folder");
                std::fs::write(copy.path().join(sub).join(name), content).expect("a file");
            };
            let special = match pad {
                None => std::fs::read(folder.join("special_tokens_map.json")).expect("special tokens"),
                Some(pad) => format!("{{\"pad_token\": {pad:?}}}").into_bytes(),
            };
            for name in ["vocab.json", "merges.txt"] {
                write("two_files", name, &std::fs::read(folder.join(name)).expect("tokenizer files"));
            }
            write("one_file", "tokenizer.json", &std::fs::read(folder.join("tokenizer.json")).expect("tokenizer.json"));
            for sub in ["two_files", "one_file"] {
                write(sub, "special_tokens_map.json", &special);
            }
            let files = ModelFiles::Folder(copy.path().to_path_buf());
            for sub in ["two_files", "one_file"] {
                let tokenizer = ClipTokenizer::load(&files, sub, length).expect("a tokenizer");
                for case in cases["cases"].as_array().expect("cases") {
                    let prompt = case["prompt"].as_str().expect("a prompt");
                    let name = format!("{file} {sub} {prompt:?}");
                    group.case();
                    group.equal(&name, &tokenizer.ids(prompt).expect("ids"), &ids(&case["ids"]));
                    group.equal(&name, &tokenizer.encode(prompt).expect("ids").ids, &ids(&case["padded"]));
                }
            }
        }
    });
}

#[test]
fn text_encoder() {
    support::group("text encoder", |group| {
        each_model(group, |group, name, model| {
            text_encoder_part(group, name, "text_encoder", &model.text);
            if let Some(second) = &model.text_2 {
                text_encoder_part(group, name, "text_encoder_2", second);
            }
        });
    });
}

fn text_encoder_part(group: &mut Group, name: &str, part: &str, text: &TextPart) {
    let goldens = Tensors::read(&format!("goldens/{name}/{part}.safetensors"));
    let stored = goldens.get("input_ids");
    let rows: Vec<Vec<u32>> =
        stored.wholes().chunks(stored.shape[1]).map(|row| row.iter().map(|id| *id as u32).collect()).collect();
    // The ids themselves are those of the prompts.
    let prompts: Value = read_json(&folder().join("goldens/text_prompts.json"));
    for (row, prompt) in rows.iter().zip(prompts[name].as_array().expect("prompts")) {
        let prompt = prompt.as_str().expect("a prompt");
        group.equal(&format!("{name} ids"), &text.tokenizer.encode(prompt).expect("ids").ids, row);
    }
    let encoding = text.encoder.forward(&rows).expect("an encoding");
    let skipped = text.encoder.skip_layers(&encoding, 1).expect("a layer before the last");
    for golden in goldens.names() {
        let actual = match golden {
            "input_ids" => continue,
            "last_hidden_state" => &encoding.last_hidden_state,
            "pooled" => &encoding.pooled,
            "text_embeds" => encoding.text_embeds.as_ref().expect("a projection"),
            "penultimate_final_norm" => &skipped,
            "penultimate" => &encoding.hidden_states[encoding.hidden_states.len() - 2],
            other => {
                let index = other.strip_prefix("hidden_states.").unwrap_or_else(|| panic!("{name}: {other}?"));
                &encoding.hidden_states[index.parse::<usize>().expect("an index")]
            }
        };
        group.case();
        group.within(
            &format!("{name} {part} {golden}"),
            &values(actual),
            goldens.get(golden).floats(),
            slack() * TEXT_TOLERANCE,
        );
    }
}

#[test]
fn unet() {
    support::group("UNet", |group| {
        each_model(group, |group, name, model| {
            let goldens = Tensors::read(&format!("goldens/{name}/unet.safetensors"));
            for case in cases(&goldens, ".output") {
                let prediction = run_unet(model, &goldens, &case);
                let expected = goldens.get(&format!("{case}.output")).floats();
                group.case();
                group.within(&format!("{name} {case}"), &values(&prediction), expected, slack() * NETWORK_TOLERANCE);
            }
        });
    });
}

pub fn run_unet(model: &Model, goldens: &Tensors, case: &str) -> Tensor {
    let timesteps = numbers(goldens, &format!("{case}.timesteps"));
    let latents = tensor(goldens, &format!("{case}.latents"));
    let golden = |part: &str| tensor(goldens, &format!("{case}.{part}"));
    let added = goldens
        .find(&format!("{case}.time_ids"))
        .map(|_| AddedCondition { text_embeds: golden("text_embeds"), time_ids: golden("time_ids") });
    let condition = Condition { added, ..golden("context").into() };
    model.unet.forward(&latents, &timesteps, &condition).expect("a prediction")
}

/// Compares what every block gave, by its path, with the stored activations.
fn compare_blocks(group: &mut Group, name: &str, goldens: &Tensors, work: impl FnOnce()) {
    let seen: Rc<RefCell<BTreeMap<String, Vec<f32>>>> = Rc::default();
    let sink = Rc::clone(&seen);
    probe::observe(
        move |path, tensor| {
            sink.borrow_mut().entry(path.to_owned()).or_insert_with(|| values(tensor));
        },
        work,
    );
    let seen = seen.borrow();
    for path in goldens.names() {
        let actual = seen.get(path).unwrap_or_else(|| panic!("{name}: nothing was seen of {path}"));
        group.case();
        group.within(&format!("{name} {path}"), actual, goldens.get(path).floats(), slack() * NETWORK_TOLERANCE);
    }
}

#[test]
fn unet_blocks() {
    support::group("UNet blocks", |group| {
        each_model(group, |group, name, model| {
            // Not every model's blocks are stored; without any, the group fails.
            if !folder().join(format!("goldens/{name}/unet_blocks.safetensors")).is_file() {
                return;
            }
            let inputs = Tensors::read(&format!("goldens/{name}/unet.safetensors"));
            let blocks = Tensors::read(&format!("goldens/{name}/unet_blocks.safetensors"));
            // The reference says of which case they are by the shape of the first convolution's output.
            let case = case_of(&inputs, ".latents", &blocks.get("conv_in").shape[2..]);
            compare_blocks(group, name, &blocks, || {
                run_unet(model, &inputs, &case);
            });
        });
    });
}

/// The first case of batch 1 whose input has these sides.
fn case_of(inputs: &Tensors, suffix: &str, sides: &[usize]) -> String {
    cases(inputs, suffix)
        .into_iter()
        .find(|case| {
            let shape = &inputs.get(&format!("{case}{suffix}")).shape;
            shape[0] == 1 && &shape[2..] == sides
        })
        .unwrap_or_else(|| panic!("no case has the sides {sides:?}"))
}

#[test]
fn vae() {
    support::group("VAE", |group| {
        each_model(group, |group, name, model| {
            let goldens = Tensors::read(&format!("goldens/{name}/vae.safetensors"));
            let scale = model.vae.config().scaling_factor;
            for case in cases(&goldens, ".image") {
                let golden = |part: &str| format!("{case}.{part}");
                let moments = model.vae.encode(&tensor(&goldens, &golden("image"))).expect("latents");
                let sample = moments.sample(&tensor(&goldens, &golden("noise"))).expect("a sample");
                let latents = (sample * scale).expect("scaled latents");
                let input = (tensor(&goldens, &golden("latents")) / scale).expect("unscaled latents");
                let decoded = model.vae.decode(&input).expect("a picture");
                for (part, actual) in
                    [("mean", &moments.mean), ("logvar", &moments.logvar), ("latents", &latents), ("decoded", &decoded)]
                {
                    let expected = goldens.get(&golden(part)).floats();
                    group.case();
                    group.within(
                        &format!("{name} {case} {part}"),
                        &values(actual),
                        expected,
                        slack() * NETWORK_TOLERANCE,
                    );
                }
            }
        });
    });
}

#[test]
fn vae_blocks() {
    support::group("VAE blocks", |group| {
        each_model(group, |group, name, model| {
            let inputs = Tensors::read(&format!("goldens/{name}/vae.safetensors"));
            let blocks = Tensors::read(&format!("goldens/{name}/vae_blocks.safetensors"));
            let case = case_of(&inputs, ".image", &blocks.get("encoder.conv_in").shape[2..]);
            let scale = model.vae.config().scaling_factor;
            compare_blocks(group, name, &blocks, || {
                model.vae.encode(&tensor(&inputs, &format!("{case}.image"))).expect("latents");
                let latents = (tensor(&inputs, &format!("{case}.latents")) / scale).expect("latents");
                model.vae.decode(&latents).expect("a picture");
            });
        });
    });
}
