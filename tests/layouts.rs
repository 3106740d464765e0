//! Every layout of the reference's models gives the tensors of its folder: names, shapes and values, bit for bit.
//!
//! The data lies in `tests/reference`, or in the folder that the environment variable `ATELIER_REFERENCE` names.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be read is a failure")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use atelier::domain::PredictionType::{Epsilon, VPrediction};
use atelier::weights::layout::detect::BaseFamily::{Sd1, Sd2, Sdxl};
use atelier::weights::layout::detect::{Certainty, Variant};
use atelier::weights::layout::kind::Kind;
use atelier::weights::layout::{
    Component, Making, Shapes, SingleLayout, inspect, inspect_folder, part, plan, single_file as single_layout, split,
};
use atelier::weights::{ModelFiles, Precision, TensorFile, open_file};

fn reference() -> PathBuf {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("reference");
    std::env::var_os("ATELIER_REFERENCE").map_or_else(here, PathBuf::from)
}

/// Those names whose file is in this set of data, by `file`: the repository's own set is a part of the whole. None at all
/// is a failure.
fn present<'a>(names: &[&'a str], file: impl Fn(&str) -> String) -> Vec<&'a str> {
    let found: Vec<&str> = names.iter().copied().filter(|name| reference().join(file(name)).is_file()).collect();
    assert!(!found.is_empty(), "the reference data has none of {names:?}");
    found
}

/// A model's `UNet`, without which its folder says nothing.
fn unet(name: &str) -> String {
    format!("models/{name}/unet/diffusion_pytorch_model.safetensors")
}

/// A model in a single file: as safetensors, or where that is not there as a checkpoint of PyTorch.
fn single_file(name: &str) -> String {
    let safetensors = format!("single_file/{name}.safetensors");
    if reference().join(&safetensors).is_file() { safetensors } else { format!("single_file/{name}.ckpt") }
}

fn open(path: &str) -> TensorFile {
    open_file(&reference().join(path)).unwrap_or_else(|error| panic!("{error}")).file
}

fn folder(name: &str) -> ModelFiles {
    ModelFiles::folder(&reference().join("models").join(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// The components that a folder of the reference has.
fn components(files: &ModelFiles) -> Vec<Component> {
    Component::ALL.into_iter().filter(|component| files.has_part_weights(component.folder())).collect()
}

/// The same names, shapes and values. The reference's weights are all f16 numbers, so that no type loses any.
fn assert_same(found: &TensorFile, expected: &TensorFile, what: &str) {
    let names: Vec<&str> = found.names().collect();
    assert_eq!(names, expected.names().collect::<Vec<_>>(), "{what}");
    assert!(!names.is_empty(), "{what} is empty");
    for name in names {
        assert_eq!(found.info(name).unwrap().shape, expected.info(name).unwrap().shape, "{what}: {name}");
        let bits = |file: &TensorFile| file.read_f32(name).unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert!(bits(found) == bits(expected), "{what}: the values of {name} differ");
    }
}

/// Tensors of `file` as a safetensors file in f32, under other names.
fn write(path: &Path, file: &TensorFile, names: &[(&str, String)]) {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (from, to) in names {
        let values = file.read_f32(from).unwrap();
        let (start, end) = (data.len(), data.len() + 4 * values.len());
        let shape = &file.info(from).unwrap().shape;
        entries.push(format!(r#""{to}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#));
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    let header = format!("{{{}}}", entries.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.into_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

#[test]
fn single_files_hold_what_the_folders_hold() {
    for name in present(&present(&["sd1", "sd2", "sdxl"], single_file), unet) {
        let single = open(&single_file(name));
        let folder = folder(name);
        let parts = split(&single).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parts.unknown, [""; 0], "{name}");
        assert_eq!(parts.parts.keys().copied().collect::<Vec<_>>(), components(&folder), "{name}");
        for (component, found) in &parts.parts {
            let expected = folder.part_weights(component.folder(), Precision::Full).unwrap();
            assert_same(found, &expected, &format!("{name} {}", component.folder()));
        }
        // Every stored tensor is used or ignored by name, and nothing that a folder has is ignored.
        let plan = plan(single.tensors());
        let used: BTreeSet<&str> = plan.parts.values().flat_map(|part| &part.views).map(|view| &*view.from).collect();
        assert_eq!(used.len() + plan.ignored.len(), single.names().count(), "{name}");
        let last_layer = |ignored: &&String| ignored.contains("resblocks.3.");
        let expected_ignored: &[&str] = match name {
            "sd1" => &[
                "alphas_cumprod",
                "betas",
                "cond_stage_model.transformer.text_model.embeddings.position_ids",
                "model_ema.decay",
                "model_ema.num_updates",
            ],
            "sd2" => &[
                "alphas_cumprod",
                "betas",
                "cond_stage_model.model.logit_scale",
                "cond_stage_model.model.text_projection",
                "model_ema.decay",
                "model_ema.num_updates",
            ],
            _ => &[
                "conditioner.embedders.0.transformer.text_model.embeddings.position_ids",
                "conditioner.embedders.1.model.logit_scale",
            ],
        };
        let mut ignored: Vec<&str> =
            parts.ignored.iter().filter(|name| !last_layer(name)).map(String::as_str).collect();
        ignored.sort_unstable();
        assert_eq!(ignored, expected_ignored, "{name}");
        // Stable Diffusion 2's single file has one layer more, of twelve tensors in `open_clip`'s naming.
        assert_eq!(parts.ignored.iter().filter(last_layer).count(), if name == "sd2" { 12 } else { 0 });
    }
}

#[test]
fn folders_are_already_as_they_should_be() {
    for name in present(&["sd1", "sd2", "sdxl", "inpaint"], unet) {
        let folder = folder(name);
        for component in components(&folder) {
            let file = folder.part_weights(component.folder(), Precision::Full).unwrap();
            assert_same(&part(component, &file).unwrap(), &file, &format!("{name} {}", component.folder()));
        }
    }
}

#[test]
fn old_and_bare_names_are_the_same_tensors() {
    let folder = folder("sd1");
    for (file, component) in
        [("sd1_text_encoder_without_prefix", Component::TextEncoder), ("sd1_vae_old_attention_keys", Component::Vae)]
    {
        let variant = open(&format!("models/variants/{file}.safetensors"));
        let expected = folder.part_weights(component.folder(), Precision::Full).unwrap();
        assert_same(&part(component, &variant).unwrap(), &expected, file);
        // A file by itself is recognised, whatever it is called.
        assert_same(&split(&variant).unwrap().parts[&component], &expected, file);
    }
}

#[test]
fn parts_of_a_single_file_and_without_the_prefix_are_the_same_tensors() {
    let single = open(&single_file("sd1"));
    let parts = split(&single).unwrap().parts;
    let temporary = tempfile::tempdir().unwrap();
    let unet = "model.diffusion_model.";
    let text = "cond_stage_model.transformer.text_model.";
    for (prefix, replacement, component, kind) in [
        (unet, unet, Component::Unet, Kind::Unet),
        (unet, "", Component::Unet, Kind::Unet),
        ("first_stage_model.", "", Component::Vae, Kind::Vae),
        ("first_stage_model.", "first_stage_model.", Component::Vae, Kind::Vae),
        // Files of single-file models are also seen without `text_model.`.
        (text, "cond_stage_model.transformer.", Component::TextEncoder, Kind::TextEncoder),
        (text, "text_model.", Component::TextEncoder, Kind::TextEncoder),
    ] {
        let names: Vec<(&str, String)> = single
            .names()
            .filter(|name| !name.ends_with("position_ids"))
            .filter_map(|name| Some((name, format!("{replacement}{}", name.strip_prefix(prefix)?))))
            .collect();
        let path = temporary.path().join("part.safetensors");
        write(&path, &single, &names);
        let file = TensorFile::open(&path).unwrap();
        let what = format!("{prefix} as {replacement}");
        assert_same(&split(&file).unwrap().parts[&component], &parts[&component], &what);
        assert_same(&part(component, &file).unwrap(), &parts[&component], &what);
        let found = inspect(&file, None);
        assert_eq!((found.kind, found.problems.as_slice()), (kind, &[] as &[String]), "{what}");
    }
}

#[test]
fn shards_of_a_model_are_the_model() {
    let whole = open("models/sd1/unet/diffusion_pytorch_model.safetensors");
    let temporary = tempfile::tempdir().unwrap();
    let unet = temporary.path().join("unet");
    fs::create_dir(&unet).unwrap();
    let names: Vec<&str> = whole.names().collect();
    let mut map = serde_json::Map::new();
    for (i, names) in names.chunks(names.len().div_ceil(3)).enumerate() {
        let shard = format!("diffusion_pytorch_model-{:05}-of-00003.safetensors", i + 1);
        let names: Vec<(&str, String)> = names.iter().map(|name| (*name, (*name).to_owned())).collect();
        write(&unet.join(&shard), &whole, &names);
        map.extend(names.iter().map(|(name, _)| ((*name).to_owned(), shard.clone().into())));
    }
    let index = unet.join("diffusion_pytorch_model.safetensors.index.json");
    let json = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map});
    fs::write(&index, json.to_string()).unwrap();
    let files = ModelFiles::Folder(temporary.path().to_path_buf());
    let read = || files.part_weights("unet", Precision::Full);
    let sharded = read().unwrap();
    assert_same(&sharded, &whole, "shards");
    assert_eq!(sharded.mappings().count(), 3);

    fs::remove_file(unet.join("diffusion_pytorch_model-00002-of-00003.safetensors")).unwrap();
    let error = read().err().unwrap();
    assert!(error.sentence.contains("diffusion_pytorch_model-00002-of-00003.safetensors (1)"), "{error}");
}

#[test]
fn every_model_of_the_reference_is_told() {
    let table = [
        ("sd1", Sd1, Variant::Base, "f32", Epsilon),
        ("sd2", Sd2, Variant::Base, "f32", VPrediction),
        ("sdxl", Sdxl, Variant::Base, "f32", Epsilon),
        ("inpaint", Sd1, Variant::Inpaint, "f16", Epsilon),
    ];
    let names = present(&table.map(|row| row.0), unet);
    for (name, family, variant, dtype, prediction) in table.into_iter().filter(|row| names.contains(&row.0)) {
        let files = folder(name);
        let parts = components(&files);
        let parameters: u64 = parts
            .iter()
            .flat_map(|part| {
                let file = files.part_weights(part.folder(), Precision::Full).unwrap();
                file.tensors().values().map(|info| info.elements() as u64).collect::<Vec<_>>()
            })
            .sum();
        let mut forms = vec![(inspect_folder(&files, Precision::Full).unwrap(), dtype, Certainty::Certain)];
        if reference().join(single_file(name)).is_file() {
            let certainty = if name == "sd2" { Certainty::Guess } else { Certainty::Likely };
            let file = single_file(name);
            let dtype = if file == "single_file/sd1.safetensors" { "f32" } else { "f16" };
            forms.push((inspect(&open(&file), None), dtype, certainty));
        }
        for (found, dtype, certainty) in forms {
            assert_eq!(found.problems, [""; 0], "{name}");
            assert_eq!((found.kind, found.family, found.variant), (Kind::Checkpoint, Some(family), Some(variant)));
            assert_eq!(found.prediction_type, Some(prediction), "{name}: {:?}", found.prediction_reason);
            assert_eq!(found.prediction_certainty, Some(certainty), "{name}");
            assert_eq!((found.dtype.as_str(), found.parameters), (dtype, parameters), "{name}");
            assert_eq!(found.components.iter().map(|part| part.name).collect::<Vec<_>>(), parts, "{name}");
        }
        for component in parts {
            let file = files.part_weights(component.folder(), Precision::Full).unwrap();
            let found = inspect(&file, None);
            let (kind, expected) = match component {
                Component::Unet => (Kind::Unet, Some(family)),
                Component::Vae => (Kind::Vae, None),
                // No published model has a text encoder of these widths.
                Component::TextEncoder | Component::TextEncoder2 => (Kind::TextEncoder, None),
            };
            assert_eq!((found.kind, found.family), (kind, expected), "{name} {}", component.folder());
            assert_eq!(found.problems, [""; 0], "{name} {}", component.folder());
        }
    }
}

#[test]
fn every_adapter_of_the_reference_is_told() {
    let mut found = Vec::new();
    let mut folders = vec![reference().join("lora")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".safetensors") && !name.ends_with("outputs.safetensors") {
                let inspection = inspect(&TensorFile::open(&path).unwrap(), None);
                let is_lora = folder != reference().join("lora").join("textual_inversion");
                let kind = if is_lora { Kind::Lora } else { Kind::TextualInversion };
                assert_eq!(inspection.kind, kind, "{}", path.display());
                // The reference's widths are no published model's; SDXL has marks of its own.
                let is_sdxl = path.to_string_lossy().contains("sdxl");
                assert_eq!(inspection.family, is_sdxl.then_some(Sdxl), "{}", path.display());
                found.push(kind);
            }
        }
    }
    let count = |kind| found.iter().filter(|found| **found == kind).count();
    assert!(count(Kind::Lora) > 0 && count(Kind::TextualInversion) > 0, "{found:?}");
}

#[test]
fn the_way_back_leads_to_the_names_of_single_files() {
    let layouts = [("sd1", SingleLayout::Sd1), ("sd2", SingleLayout::Sd2), ("sdxl", SingleLayout::Sdxl)];
    for name in present(&["sd1", "sd2", "sdxl"], single_file) {
        let layout = layouts.iter().find(|(model, _)| *model == name).unwrap().1;
        let file = open(&single_file(name));
        let parts = split(&file).unwrap().parts;
        let ignored: BTreeSet<String> = split(&file).unwrap().ignored.into_iter().collect();
        let mut made = BTreeSet::new();
        for (component, part) in &parts {
            let shapes: Shapes = part.tensors().iter().map(|(name, info)| (name.clone(), info.shape.clone())).collect();
            for tensor in single_layout(layout, *component, &shapes).unwrap() {
                let info = file.info(&tensor.name).unwrap_or_else(|| panic!("{name} has no {}", tensor.name));
                assert_eq!(info.shape, tensor.shape, "{name}: {}", tensor.name);
                // A layer that nothing reads is a copy of another here.
                if tensor.making == Making::Same && !ignored.contains(&tensor.name) {
                    let values = part.read_f32(&tensor.from[0]).unwrap();
                    assert!(values == file.read_f32(&tensor.name).unwrap(), "{name}: {}", tensor.name);
                }
                assert!(made.insert(tensor.name));
            }
        }
        let left: Vec<&str> =
            file.names().filter(|tensor| !made.contains(*tensor) && !ignored.contains(*tensor)).collect();
        assert_eq!(left, [""; 0], "{name}");
    }
}

#[test]
fn names_without_a_place_in_a_single_file_are_told() {
    let shapes = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), vec![2])).collect::<Shapes>();
    for (component, layout, name) in [
        (Component::Unet, SingleLayout::Sd1, "down_blocks.0.motion.weight"),
        (Component::Vae, SingleLayout::Sdxl, "encoder.other.weight"),
        (Component::TextEncoder, SingleLayout::Sd2, "text_model.encoder.layers.0.self_attn.r_proj.weight"),
    ] {
        assert_eq!(single_layout(layout, component, &shapes(&[name])), Err(vec![name.to_owned()]));
    }
}
