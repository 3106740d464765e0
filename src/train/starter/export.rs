//! The finished starter model as a diffusers folder in half precision, which this program and others open.

use std::collections::BTreeMap;
use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::architecture::{
    LATENT_CHANNELS, LATENT_SIDE, PICTURE_PX, scheduler, text_encoder, unet as unet_json, vae as vae_json,
};
use super::latents::Latents;
use super::preview::PreviewFit;
use super::run::resume_finished;
use super::text::{POSITIONS, write_tokenizer};
use super::unet::{self, UNetSettings};
use super::vae::{self, VaeSettings, draw};
use crate::dataset::garments::Split;
use crate::domain::{Cancel, Result, UserError};
use crate::library::write_atomically;
use crate::train::{Parameters, on_deep_stack};

/// Pictures that the preview's colours are fitted to.
const FITTED: usize = 200;

/// Name, shape and values.
type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Writes the model whose trainings in `work` are finished to the folder `to`.
///
/// # Errors
/// When a training is not finished, or the disk fails.
pub fn export(work: &Path, vae_settings: &VaeSettings, settings: &UNetSettings, to: &Path) -> Result<()> {
    on_deep_stack(|| {
        let (vae, vae_trainer) = vae::finished_trainer(&work.join("vae"), vae_settings)?;
        let folder = work.join("unet");
        let source = vae::config(vae_settings);
        let cancel = Cancel::default();
        let latents = Latents::make(&folder, &vae, &source, settings.seed, settings.pictures, &cancel, &mut |_| ())?;
        let (networks, mut trainer) = unet::build(&folder, settings)?;
        let config = unet::config(vae_settings, settings, &networks);
        resume_finished(&folder, &mut trainer, &config, "denoising network")?;

        let mut vae_weights = weights(&vae_trainer.parameters, "", "")?;
        centre(&mut vae_weights, &latents.mean)?;
        write_weights(&to.join("vae/diffusion_pytorch_model.safetensors"), &vae_weights)?;
        let unet_weights = weights(&trainer.parameters, "unet.", "")?;
        write_weights(&to.join("unet/diffusion_pytorch_model.safetensors"), &unet_weights)?;
        let text_weights = weights(&trainer.parameters, "text_encoder.", "text_model.")?;
        write_weights(&to.join("text_encoder/model.safetensors"), &text_weights)?;
        write_tokenizer(&to.join("tokenizer"))?;
        let vocabulary = networks.text.encoder.config().vocab_size;
        for (name, value) in [
            ("model_index.json", model_index()),
            ("scheduler/scheduler_config.json", scheduler()),
            ("text_encoder/config.json", text_encoder(vocabulary, POSITIONS)),
            ("unet/config.json", unet_json()),
            ("vae/config.json", vae_json(latents.scaling_factor)),
            ("atelier.json", json!({ "preview": preview(&latents, settings.seed).solve() })),
        ] {
            write_atomically(&to.join(name), format!("{value:#}\n").as_bytes())?;
        }
        Ok(())
    })
}

fn model_index() -> Value {
    json!({
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [null, null],
        "image_encoder": [null, null],
        "requires_safety_checker": false,
        "safety_checker": [null, null],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    })
}

/// The parameters whose name begins with `prefix`, with `instead` in its place.
fn weights(parameters: &Parameters, prefix: &str, instead: &str) -> Result<Weights> {
    let values = parameters.values()?;
    Ok(parameters
        .iter()
        .zip(values)
        .filter_map(|(parameter, values)| {
            let rest = parameter.name.strip_prefix(prefix)?;
            Some((format!("{instead}{rest}"), (parameter.var.dims().to_vec(), values)))
        })
        .collect())
}

/// Takes the latents' means off behind the encoder, and puts them back before the decoder.
fn centre(weights: &mut Weights, mean: &[f64; LATENT_CHANNELS]) -> Result<()> {
    let missing = |name: &str| UserError::failed(format!("The autoencoder has no {name}"));
    let kernel = weights.get("post_quant_conv.weight").ok_or_else(|| missing("post_quant_conv.weight"))?.1.clone();
    let after = &mut weights.get_mut("post_quant_conv.bias").ok_or_else(|| missing("post_quant_conv.bias"))?.1;
    for (bias, row) in after.iter_mut().zip(kernel.chunks_exact(LATENT_CHANNELS)) {
        *bias += row.iter().zip(mean).map(|(weight, mean)| f64::from(*weight) * mean).sum::<f64>() as f32;
    }
    // The first half of the moments are the means, the second the log variances.
    let before = &mut weights.get_mut("quant_conv.bias").ok_or_else(|| missing("quant_conv.bias"))?.1;
    before.iter_mut().zip(mean).for_each(|(bias, mean)| *bias -= *mean as f32);
    Ok(())
}

/// The colours of latents.
fn preview(latents: &Latents, seed: u64) -> PreviewFit {
    let mut fit = PreviewFit::default();
    for index in 0..latents.count().min(FITTED) {
        let mut values = Vec::new();
        latents.push(index, &mut values);
        fit.add(&values, &draw(seed, index as u64, Split::Train), LATENT_SIDE, PICTURE_PX / LATENT_SIDE);
    }
    fit
}

/// Writes a safetensors file in half precision.
fn write_weights(path: &Path, weights: &Weights) -> Result<()> {
    let mut halves: Vec<(&str, &[usize], Vec<u8>)> = Vec::with_capacity(weights.len());
    for (name, (shape, values)) in weights {
        if values.iter().any(|value| !f16::from_f32(*value).is_finite()) {
            return Err(UserError::failed(format!("{name} does not fit half precision")).path(path));
        }
        halves.push((name, shape, values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()));
    }
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let bytes = halves
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F16, shape.to_vec(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|error| UserError::failed(format!("The weights could not be put together: {error}")).path(path))?;
    write_atomically(path, &bytes)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::models::vae::{AutoencoderKl, VaeConfig};
    use crate::nn::Params;
    use crate::weights::TensorFile;

    #[test]
    fn a_centred_autoencoder_gives_the_same_pictures_from_shifted_latents() {
        let settings = VaeSettings::default();
        let (vae, trainer) = vae::build(&settings).unwrap();
        let mut moved = weights(&trainer.parameters, "", "").unwrap();
        let mean = [0.5, -1.0, 0.25, 2.0, -0.5, 0.0, 1.0, -2.0];
        centre(&mut moved, &mean).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vae.safetensors");
        write_weights(&path, &moved).unwrap();
        let params = Params::from_file(TensorFile::open(&path).unwrap());
        let centred = AutoencoderKl::new(&params, &VaeConfig::from_json(&vae_json(1.0)).unwrap());
        params.finish("VAE").unwrap();
        let picture = Tensor::from_vec(draw(1, 2, Split::Train), (1, 3, PICTURE_PX, PICTURE_PX), &Device::Cpu).unwrap();
        let (before, after) = (vae.encode(&picture).unwrap(), centred.encode(&picture).unwrap());
        let values = |tensor: &Tensor| -> Vec<f32> { tensor.flatten_all().unwrap().to_vec1().unwrap() };
        let pixels = LATENT_SIDE * LATENT_SIDE;
        for (i, (a, b)) in values(&before.mean).iter().zip(values(&after.mean)).enumerate() {
            assert!((f64::from(a - b) - mean[i / pixels]).abs() < 2e-2, "{a} and {b} in channel {}", i / pixels);
        }
        let pictures = (vae.decode(&before.mean).unwrap(), centred.decode(&after.mean).unwrap());
        // Half precision is good for three digits.
        let worst = values(&pictures.0).iter().zip(values(&pictures.1)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-2, "{worst}");
    }
}
