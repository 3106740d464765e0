//! [`replay`]: a picture made again by its recipe, and compared with what it was.

use std::path::Path;

use super::assets::Assets;
use super::make::make;
use super::watch::Progress;
use crate::domain::prompt::extract_networks;
use crate::domain::{Cancel, GenerateRequest, ModelRef, Outcome, Picture, Recipe, Result, UserError};
use crate::models::Model;

/// Most files that are named as missing.
const MAX_NAMED: usize = 5;

/// A picture that was made again.
pub struct Replayed {
    /// The picture.
    pub picture: Picture,
    /// How it was made this time.
    pub recipe: Recipe,
    /// How alike the two are.
    pub outcome: Outcome,
}

/// Makes the picture of a request again, and compares it with `original`. `is_checked` asks the model's safety checker, for
/// the case that the new picture is kept.
///
/// # Errors
/// As [`make()`].
pub fn replay(
    model: &mut Model,
    request: &GenerateRequest,
    original: &Picture,
    assets: &Assets,
    is_checked: bool,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Replayed> {
    let begun = std::time::Instant::now();
    let made = make(model, request, assets, is_checked, cancel, progress)?;
    let outcome = Outcome::of(original, &made.picture);
    let recipe = model.recipe(made.request, begun.elapsed().as_secs_f64(), made.safety);
    Ok(Replayed { picture: made.picture, recipe, outcome })
}

/// Whether all files are there that a request is made with: to be asked before a model is loaded for it.
///
/// # Errors
/// When some are not; the first of them are named, with what they are.
pub fn check_files(request: &GenerateRequest, assets: &Assets) -> Result<()> {
    let missing = missing(request, assets);
    if missing.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = missing.iter().take(MAX_NAMED).map(String::as_str).collect();
    let etc = if missing.len() > MAX_NAMED { ", …" } else { "" };
    let sentence = format!("What this picture was made with is not there any more: {}{etc}", named.join(", "));
    Err(UserError::input(sentence).hint("put it back where it was, or use the recipe with what is here"))
}

fn missing(request: &GenerateRequest, assets: &Assets) -> Vec<String> {
    let mut missing = Vec::new();
    let mut look = |what: &str, path: &Path| {
        if !path.exists() {
            missing.push(format!("the {what} {}", path.display()));
        }
    };
    if let ModelRef::Path(path) = &request.model {
        look("model", path);
    }
    if let Some(vae) = &request.vae {
        look("VAE", vae);
    }
    for lora in &request.loras {
        look("LoRA", &lora.path);
    }
    if let Some(init) = &request.init {
        look("picture to begin with", &init.picture);
        if let Some(mask) = &init.mask {
            look("mask", mask);
        }
    }
    let named = extract_networks(&request.prompt).networks;
    let unknown = named.into_iter().filter(|network| assets.shelf.lora(&network.name).is_none());
    missing.extend(unknown.map(|network| format!("the LoRA {}", network.name)));
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Extend, InitImage, LoraUse};

    #[test]
    fn every_file_that_is_not_there_is_named_with_what_it_is() {
        let here = tempfile::NamedTempFile::new().unwrap();
        let gone = |name: &str| here.path().with_file_name(format!("gone-{name}"));
        let mut request = GenerateRequest {
            prompt: "a coat <lora:denim:0.8>".into(),
            model: ModelRef::Path(here.path().into()),
            vae: Some(here.path().into()),
            init: Some(InitImage {
                picture: here.path().into(),
                mask: Some(gone("mask.png")),
                strength: 0.5,
                extend: Extend::default(),
            }),
            ..GenerateRequest::default()
        };
        let error = check_files(&request, &Assets::default()).unwrap_err();
        assert!(error.sentence.contains("the mask") && error.sentence.contains("the LoRA denim"), "{error}");
        assert!(!error.sentence.contains("VAE") && error.exit_code() == 2);
        request.model = ModelRef::Path(gone("model"));
        request.loras = vec![LoraUse { path: gone("lora"), unet_weight: 1.0, text_encoder_weight: 1.0 }];
        assert_eq!(missing(&request, &Assets::default()).len(), 4);
        assert!(check_files(&GenerateRequest::default(), &Assets::default()).is_ok());
    }
}
