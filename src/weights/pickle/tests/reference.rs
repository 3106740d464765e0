//! Files that PyTorch wrote: each has a safetensors twin beside it, which says what must be found.

use std::path::{Path, PathBuf};

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::super::{PickleFile, PickledTensor, Scalar};
use crate::weights::embedding::{Embedding, EmbeddingEncoder, EmbeddingForm};

/// The folder of the reference data.
fn folder() -> PathBuf {
    std::env::var_os("ATELIER_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"), PathBuf::from)
}

/// The bytes of a reference file.
fn bytes(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the checkpoints that the reference data has together with their safetensors.
fn names() -> Vec<String> {
    let single_files = folder().join("single_file");
    let entries = std::fs::read_dir(&single_files).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter_map(|name| name.strip_suffix(".ckpt").map(str::to_owned));
    names.filter(|name| single_files.join(format!("{name}.safetensors")).is_file()).collect()
}

/// Numbers as f64, which holds all of the reference's exactly.
fn numbers(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|it| f32::from_le_bytes(*it).into()).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|it| f16::from_le_bytes(*it).into()).collect(),
        Dtype::I32 => bytes.as_chunks().0.iter().map(|it| i32::from_le_bytes(*it).into()).collect(),
        Dtype::I64 => bytes.as_chunks().0.iter().map(|it| i64::from_le_bytes(*it) as f64).collect(),
        other => panic!("no reference file should hold {other:?}"),
    }
}

fn of_pickle(tensor: &PickledTensor, file: &[u8]) -> Vec<f64> {
    numbers(tensor.dtype, &tensor.bytes(file).unwrap())
}

fn of_twin(tensor: &TensorView<'_>) -> Vec<f64> {
    numbers(tensor.dtype(), tensor.data())
}

#[test]
fn checkpoints_equal_their_safetensors() {
    let names = names();
    assert!(!names.is_empty(), "no checkpoints");
    for name in names {
        let file = bytes(&format!("single_file/{name}.ckpt"));
        let twin = bytes(&format!("single_file/{name}.safetensors"));
        let twin = SafeTensors::deserialize(&twin).unwrap();
        let read = PickleFile::read(&file).unwrap();
        let mut expected = twin.names();
        expected.sort_unstable();
        assert_eq!(read.tensors.keys().collect::<Vec<_>>(), expected, "{name}");
        for (tensor_name, tensor) in &read.tensors {
            let twin = twin.tensor(tensor_name).unwrap();
            // The reference's safetensors give a number without axes one of length 1.
            let shape: &[usize] = if tensor.shape.is_empty() { &[1] } else { &tensor.shape };
            assert_eq!(shape, twin.shape(), "{name} {tensor_name}");
            // The checkpoints are in float16; all numbers were rounded to it before either was written.
            let dtype = if twin.dtype() == Dtype::F32 { Dtype::F16 } else { twin.dtype() };
            assert_eq!(tensor.dtype, dtype, "{name} {tensor_name}");
            assert!(of_pickle(tensor, &file) == as_f16(of_twin(&twin)), "{name} {tensor_name}");
        }
        assert!(matches!(read.scalars["global_step"], Scalar::Int(step) if step > 0), "{name}");
        assert!(matches!(read.scalars["epoch"], Scalar::Int(_)), "{name}");
    }
}

/// Numbers that a float32 twin has beyond float16 (`betas`, `alphas_cumprod`) lose that in a checkpoint.
fn as_f16(values: Vec<f64>) -> Vec<f64> {
    let whole = values.iter().all(|value| value.fract() == 0.0);
    if whole { values } else { values.into_iter().map(|value| f16::from_f32(value as f32).into()).collect() }
}

#[test]
fn embeddings_hold_the_same_vectors_in_every_form() {
    let folder = "lora/textual_inversion";
    let index: serde_json::Value = serde_json::from_slice(&bytes(&format!("{folder}/index.json"))).unwrap();
    let token = index["token"].as_str().unwrap();
    let truth = bytes(&format!("{folder}/emb_params.safetensors"));
    let truth = SafeTensors::deserialize(&truth).unwrap().tensor("emb_params").unwrap();
    let (all, width) = (of_twin(&truth), truth.shape()[1]);

    for (name, form, own_token, vectors) in [
        ("webui.pt", EmbeddingForm::StringToParam, None, truth.shape()[0]),
        ("webui_before_zip.pt", EmbeddingForm::StringToParam, None, truth.shape()[0]),
        ("learned_embeds.bin", EmbeddingForm::Token, Some(token), 1),
    ] {
        let file = bytes(&format!("{folder}/{name}"));
        let read = PickleFile::read(&file).unwrap();
        let found = Embedding::find(read.tensors.iter().map(|(name, tensor)| (&**name, &*tensor.shape))).unwrap();
        assert_eq!((found.form, found.token.as_deref()), (form, own_token), "{name}");
        let [part] = &found.parts[..] else { panic!("{name}: {:?}", found.parts) };
        assert_eq!((part.encoder, part.vectors, part.width), (EmbeddingEncoder::First, vectors, width), "{name}");
        assert_eq!(of_pickle(&read.tensors[&part.tensor], &file), all[..vectors * width], "{name}");
        if own_token.is_none() {
            assert_eq!(read.scalars["name"], Scalar::Text("ref-style".to_owned()), "{name}");
            assert!(matches!(read.scalars["step"], Scalar::Int(step) if step > 0), "{name}");
        }
    }

    for (name, form, own_token, parts) in [
        ("emb_params.safetensors", EmbeddingForm::EmbParams, None, 1),
        ("learned_embeds.safetensors", EmbeddingForm::Token, Some(token), 1),
        ("sdxl_clip_lg.safetensors", EmbeddingForm::ClipPair, None, 2),
    ] {
        let file = bytes(&format!("{folder}/{name}"));
        let twin = SafeTensors::deserialize(&file).unwrap();
        let tensors = twin.tensors();
        let found = Embedding::find(tensors.iter().map(|(name, view)| (&**name, view.shape()))).unwrap();
        assert_eq!((found.form, found.token.as_deref()), (form, own_token), "{name}");
        assert_eq!(found.parts.len(), parts, "{name}");
        for part in &found.parts {
            assert_eq!(twin.tensor(&part.tensor).unwrap().shape(), [part.vectors, part.width], "{name}");
        }
        if form == EmbeddingForm::Token {
            assert_eq!(of_twin(&twin.tensor(&found.parts[0].tensor).unwrap()), all, "{name}");
        }
    }
}

#[test]
fn every_cut_of_a_real_file_is_refused() {
    for name in ["webui.pt", "webui_before_zip.pt", "learned_embeds.bin"] {
        let file = bytes(&format!("lora/textual_inversion/{name}"));
        for len in 0..file.len() {
            assert!(PickleFile::read(&file[..len]).is_err(), "{name}: {len} bytes");
        }
    }
}
