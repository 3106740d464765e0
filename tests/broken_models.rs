//! Model folders with one thing wrong each: refused by name, with the file and the exit code of bad input.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use atelier::domain::{Cancel, ModelRef, UserError};
use atelier::models;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use tempfile::TempDir;

/// A copy of the reference's Stable Diffusion 1 model.
fn copy() -> TempDir {
    let folder = TempDir::new().unwrap();
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/models/sd1"), folder.path());
    folder
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Why a folder is refused.
fn refusal(folder: &Path) -> UserError {
    match models::open(&ModelRef::Path(folder.to_path_buf()), None, &Cancel::default(), &mut |_| ()) {
        Ok(_) => panic!("{} was accepted", folder.display()),
        Err(error) => error,
    }
}

type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

/// Reads a file's tensors, lets `change` have them, and writes them back.
fn change(path: &Path, change: impl FnOnce(&mut Tensors)) {
    let bytes = fs::read(path).unwrap();
    let mut tensors: Tensors = SafeTensors::deserialize(&bytes)
        .unwrap()
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (name, view.shape().to_vec(), values)
        })
        .collect();
    change(&mut tensors);
    let raw: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, shape, values)| (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views =
        raw.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    fs::write(path, serialize(views, None).unwrap()).unwrap();
}

fn unet(folder: &TempDir) -> PathBuf {
    folder.path().join("unet/diffusion_pytorch_model.safetensors")
}

#[test]
fn missing_extra_and_misshapen_tensors_are_named_and_counted() {
    let folder = copy();
    change(&unet(&folder), |tensors| {
        tensors.retain(|(name, ..)| !name.starts_with("time_embedding."));
        for (name, shape, _) in tensors.iter_mut() {
            if name == "conv_out.weight" {
                shape.reverse();
            } else if name == "conv_in.bias" {
                *name = "conv_in.prejudice".to_owned();
            }
        }
    });
    let error = refusal(folder.path());
    for part in [
        "Could not load the UNet",
        "5 tensors are missing (time_embedding.linear_1.weight, time_embedding.linear_1.bias, time_embedding.linear_2.weight, …)",
        "1 tensor is misshapen (conv_out.weight is [",
        "1 tensor is surplus (conv_in.prejudice)",
    ] {
        assert!(error.sentence.contains(part), "{error} lacks {part}");
    }
    assert_eq!((error.exit_code(), error.path), (2, Some(unet(&folder))));
}

#[test]
fn a_weight_that_is_no_number_is_named() {
    for value in [f32::NAN, f32::INFINITY] {
        let folder = copy();
        change(&unet(&folder), |tensors| {
            let (.., values) = tensors.iter_mut().find(|(name, ..)| name == "conv_out.bias").unwrap();
            values[1] = value;
        });
        let error = refusal(folder.path());
        assert!(error.sentence.contains("not finite (NaN or infinity) (conv_out.bias)"), "{error}");
    }
}

#[test]
fn a_file_that_is_cut_off_empty_or_something_else_is_told() {
    let whole = fs::read(unet(&copy())).unwrap();
    for (content, expected) in [
        (&whole[..whole.len() / 2], "cut off"),
        (&whole[..100], "cut off"),
        (&whole[..5], "impossible length"),
        (&[], "empty"),
        (&b"<html>Sign in to download this file, please</html>"[..], "impossible length"),
    ] {
        let folder = copy();
        fs::write(unet(&folder), content).unwrap();
        let error = refusal(folder.path());
        assert!(error.sentence.contains(expected), "{error}");
        assert_eq!((error.exit_code(), error.path), (2, Some(unet(&folder))));
    }
}

#[test]
fn broken_and_missing_descriptions_are_told() {
    for name in [
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
        "tokenizer/vocab.json",
    ] {
        let folder = copy();
        let path = folder.path().join(name);
        fs::write(&path, "{\n  \"in_channels\": 4,\n  broken").unwrap();
        let error = refusal(folder.path());
        assert!(error.sentence.contains("line 3"), "{name}: {error}");
        assert_eq!((error.exit_code(), error.path.as_deref()), (2, Some(path.as_path())));
        fs::write(&path, "[1]").unwrap();
        assert_eq!(refusal(folder.path()).exit_code(), 2, "{name}");
        fs::remove_file(&path).unwrap();
        assert_eq!(refusal(folder.path()).exit_code(), 2, "{name}");
    }
    for part in ["unet", "vae", "text_encoder"] {
        let folder = copy();
        for entry in fs::read_dir(folder.path().join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "safetensors") {
                fs::remove_file(path).unwrap();
            }
        }
        let error = refusal(folder.path());
        assert!(error.sentence.contains(&format!("no weights for its {part}")), "{error}");
    }
}

#[test]
fn parts_of_different_models_are_told_before_anything_is_loaded() {
    let folder = copy();
    let path = folder.path().join("text_encoder/config.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"hidden_size\": ", "\"hidden_size\": 1");
    fs::write(&path, text).unwrap();
    let error = refusal(folder.path());
    assert!(error.sentence.contains("do not belong together"), "{error}");
}

#[test]
fn a_preview_of_other_latents_is_told() {
    let folder = copy();
    fs::write(folder.path().join("atelier.json"), r#"{"preview":{"weights":[[0,0,0]],"bias":[0,0,0]}}"#).unwrap();
    let error = refusal(folder.path());
    assert!(error.sentence.contains("other channels than their preview"), "{error}");
}

#[test]
fn a_load_can_be_cancelled() {
    let folder = copy();
    let cancel = Cancel::default();
    cancel.cancel();
    let result = models::open(&ModelRef::Path(folder.path().to_path_buf()), None, &cancel, &mut |_| ());
    assert!(result.err().unwrap().is_cancelled());
}
