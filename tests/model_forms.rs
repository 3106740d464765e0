//! The same tiny model in every form that people have it in gives the same picture.
//!
//! The data lies in `tests/reference`, or in the folder that the environment variable `ATELIER_REFERENCE` names.

use std::fs;
use std::path::{Path, PathBuf};

use atelier::domain::{Cancel, GenerateRequest, ModelRef, Picture};
use atelier::models::{self, Choices};
use atelier::pipeline;

fn reference() -> PathBuf {
    std::env::var_os("ATELIER_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"), PathBuf::from)
}

fn picture(model: &Path, vae: Option<&Path>) -> Picture {
    let cancel = Cancel::default();
    let model = models::open(&ModelRef::Path(model.to_path_buf()), vae, &cancel, &mut |_| ())
        .unwrap_or_else(|error| panic!("{error}"));
    let request = GenerateRequest {
        prompt: "a (red:1.3) cat, [sleeping:running:0.5]".to_owned(),
        width_px: 64,
        height_px: 64,
        num_inference_steps: 2,
        seed: 3,
        ..GenerateRequest::default()
    };
    pipeline::generate(&model, &request, &cancel, &mut |_| ()).unwrap_or_else(|error| panic!("{error}")).picture
}

/// A single file among others, with its choices beside it.
fn single(folder: &Path, file: &Path, config: &Path) -> PathBuf {
    let copy = folder.join(file.file_name().expect("a file"));
    fs::copy(file, &copy).expect("a copy");
    let choices = serde_json::json!({ "config": fs::canonicalize(config).expect("a folder") });
    fs::write(Choices::path_for(&copy), choices.to_string()).expect("choices");
    copy
}

#[test]
fn single_files_make_the_pictures_of_their_folders() {
    let mut compared = 0;
    for name in ["sd1", "sd2", "sdxl"] {
        let folder = reference().join("models").join(name);
        let forms: Vec<PathBuf> = ["safetensors", "ckpt"]
            .iter()
            .map(|ending| reference().join("single_file").join(format!("{name}.{ending}")))
            .filter(|file| file.is_file())
            .collect();
        if forms.is_empty() {
            continue;
        }
        // The repository's own data has the weights of one form only where it has the others' at all.
        let has_weights = folder.join("unet/diffusion_pytorch_model.safetensors").is_file();
        let mut expected = has_weights.then(|| picture(&folder, None));
        for file in forms {
            let copies = tempfile::tempdir().expect("a folder");
            let copy = single(copies.path(), &file, &folder);
            let made = picture(&copy, None);
            if let Some(expected) = &expected {
                assert!(made == *expected, "{} makes another picture", file.display());
                compared += 1;
            }
            // Its own autoencoder, named apart, changes nothing.
            assert!(picture(&copy, Some(&copy)) == made, "{} as a VAE", file.display());
            if has_weights {
                assert!(picture(&copy, Some(&folder.join("vae"))) == made, "{name}'s folder as a VAE");
            }
            expected = Some(made);
        }
    }
    assert!(compared > 0, "the reference data has no single files");
}

/// Shapes do not tell how many groups and heads a network has: without its configuration a tiny model is no published one.
#[test]
fn a_model_of_an_unpublished_structure_is_refused_with_a_reason() {
    let file = ["sd1", "sd2", "sdxl"]
        .iter()
        .flat_map(|name| ["safetensors", "ckpt"].map(|ending| format!("{name}.{ending}")))
        .map(|file| reference().join("single_file").join(file))
        .find(|file| file.is_file())
        .expect("a single file");
    let error =
        models::open(&ModelRef::Path(file.clone()), None, &Cancel::default(), &mut |_| ()).err().expect("refused");
    assert_eq!((error.exit_code(), error.path.as_deref()), (2, Some(file.as_path())), "{error}");
}
