//! What is picked of repositories as they are laid out in the wild.

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn info(names: &[&str]) -> RepoInfo {
    let file = |name: &&str| RemoteFile {
        name: (*name).to_owned(),
        size_bytes: Some(10),
        etag: Some(COMMIT.to_owned()),
        sha256: None,
    };
    RepoInfo {
        repo: RepoId::parse("org/name").unwrap(),
        revision: "main".to_owned(),
        commit: COMMIT.to_owned(),
        licence: None,
        gate: Gate::Open,
        is_private: false,
        files: names.iter().map(file).collect(),
        refused_names: Vec::new(),
    }
}

fn picked(names: &[&str], parts: &[&str], prefer_fp16: bool) -> Result<Vec<String>> {
    let info = info(names);
    let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
    let picked = pipeline(&info, &parts, &PlanOptions { prefer_fp16, file: None })?;
    Ok(picked.into_iter().map(|file| file.name.clone()).collect())
}

/// The layout of Stable Diffusion 1.5's repository, shortened.
const SD15: &[&str] = &[
    ".gitattributes",
    "README.md",
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/model.safetensors",
    "text_encoder/pytorch_model.bin",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.fp16.bin",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "v1-5-pruned-emaonly.ckpt",
    "v1-5-pruned.safetensors",
    "vae_decoder/model.onnx",
];
const PARTS: &[&str] = &["scheduler", "text_encoder", "tokenizer", "unet"];

#[test]
fn a_pipeline_brings_what_its_components_need_and_nothing_else() {
    assert_eq!(
        picked(SD15, PARTS, false).unwrap(),
        [
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "tokenizer/merges.txt",
            "tokenizer/vocab.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
            "model_index.json",
        ]
    );
    let half = picked(SD15, PARTS, true).unwrap();
    assert!(half.contains(&"unet/diffusion_pytorch_model.fp16.safetensors".to_owned()), "{half:?}");
    assert!(half.contains(&"text_encoder/model.fp16.safetensors".to_owned()), "{half:?}");
    assert_eq!(half.len(), 8, "{half:?}");
}

#[test]
fn the_other_precision_is_taken_where_the_wanted_one_is_not_there() {
    let both =
        |prefer| picked(&["unet/config.json", "unet/diffusion_pytorch_model.fp16.safetensors"], &["unet"], prefer);
    assert_eq!(both(false).unwrap(), both(true).unwrap());
    let full = picked(&["vae/diffusion_pytorch_model.safetensors"], &["vae"], true).unwrap();
    assert_eq!(full, ["vae/diffusion_pytorch_model.safetensors"]);
}

#[test]
fn shards_come_with_their_index_and_only_when_all_are_there() {
    let names = [
        "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
        "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
        "unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
        "unet/diffusion_pytorch_model.fp16-00002-of-00002.safetensors",
        "unet/diffusion_pytorch_model.safetensors.index.fp16.json",
        "unet/diffusion_pytorch_model.safetensors.index.json",
    ];
    assert_eq!(picked(&names, &["unet"], false).unwrap(), [names[5], names[0], names[1]]);
    assert_eq!(picked(&names, &["unet"], true).unwrap(), [names[4], names[2], names[3]]);
    let without_second = [names[0], names[2], names[3], names[4], names[5]];
    assert_eq!(picked(&without_second, &["unet"], false).unwrap(), [names[4], names[2], names[3]]);
    assert!(picked(&[names[0], names[5]], &["unet"], false).is_err());
}

#[test]
fn pickles_are_taken_only_where_there_is_nothing_else() {
    let names = ["unet/config.json", "unet/diffusion_pytorch_model.bin"];
    assert_eq!(picked(&names, &["unet"], true).unwrap(), names);
}

#[test]
fn a_component_without_weights_is_named() {
    let error = picked(&["unet/config.json"], &["unet"], false).unwrap_err();
    assert!(error.sentence.contains("unet"), "{error}");
    let error = picked(&["unet/model.safetensors"], &["unet", "scheduler"], false).unwrap_err();
    assert!(error.sentence.contains("scheduler"), "{error}");
}

#[test]
fn a_single_file_is_found_or_asked_for() {
    let one = |names: &[&str], file: Option<&str>| {
        let options = PlanOptions { prefer_fp16: false, file: file.map(str::to_owned) };
        single(&info(names), &options).map(|files| files.into_iter().map(|file| file.name.clone()).collect::<Vec<_>>())
    };
    assert_eq!(one(&["README.md", "lora.safetensors"], None).unwrap(), ["lora.safetensors"]);
    assert_eq!(one(&["a.safetensors", "b.safetensors"], Some("b.safetensors")).unwrap(), ["b.safetensors"]);
    let error = one(&["a.safetensors", "b.safetensors"], None).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("name one of a.safetensors, b.safetensors"));
    let many: Vec<String> = (0..9).map(|i| format!("{i}.safetensors")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(one(&many, None).unwrap_err().hint.unwrap().ends_with("and 6 more"));
    assert!(one(&["README.md"], None).is_err());
    assert!(one(&["a.safetensors"], Some("c.safetensors")).is_err());
}

#[test]
fn model_index_names_the_components_that_are_there() {
    let repo = RepoId::parse("org/name").unwrap();
    let json = br#"{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
        "safety_checker": [null, null], "requires_safety_checker": true, "vae": ["diffusers", "AutoencoderKL"],
        "../../etc": ["a", "b"]}"#;
    assert_eq!(components(json, &repo).unwrap(), ["unet", "vae"]);
    for wrong in [&b"{}"[..], b"[]", b"<html>", b""] {
        assert!(components(wrong, &repo).is_err());
    }
}
