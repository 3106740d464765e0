//! What `atelier generate` and `atelier grid` take besides a prompt and a model: adapters, another autoencoder, a picture to begin with.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::what::new_seed;
use crate::domain::{Extend, GenerateRequest, Hires, InitImage, LoraUse, Variation};

/// What a picture is made with besides a prompt and a model.
#[derive(clap::Args)]
#[command(next_help_heading = "More")]
pub struct Extras {
    /// A `LoRA` and its weight; may be given several times. A prompt names those of the loras folder: <lora:NAME:0.8>.
    #[arg(long = "lora", value_name = "FILE[=WEIGHT]")]
    loras: Vec<Lora>,
    /// A file or folder with a VAE that takes the place of the model's own.
    #[arg(long, value_name = "PATH")]
    pub vae: Option<PathBuf>,
    /// How many of the text encoder's last layers are left out.
    #[arg(long, default_value_t = 0, value_name = "N")]
    clip_skip: u32,
    /// How far the contrast of guided pictures is pulled back, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "X")]
    guidance_rescale: f64,
    /// Walk so far from the seed's noise towards another seed's, 0 to 1: a picture near the seed's own.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    variation_strength: Option<f64>,
    /// The seed to walk towards [default: a new one].
    #[arg(long, value_name = "N", requires = "variation_strength")]
    variation_seed: Option<u64>,
    /// A picture to begin with.
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// A picture whose white parts are painted anew, while the rest of --init stays.
    #[arg(long, value_name = "FILE", requires = "init")]
    mask: Option<PathBuf>,
    /// Paint around the picture, in px: left=64,right=64,top=0,bottom=128. The picture keeps its size, or is made --size.
    #[arg(long, value_name = "EDGE=PX,…", requires = "init")]
    extend: Option<Extend>,
    /// Make the picture of --init this many times as wide and high, painting it over in tiles; the prompt says what it
    /// shows. --size is that of a tile.
    #[arg(long, value_name = "SCALE", requires = "init", conflicts_with_all = ["mask", "extend", "hires"])]
    upscale: Option<f64>,
    /// How far the picture is taken back to noise, above 0 to 1 [default: 0.6; with --mask 1, with --extend 0.9, with
    /// --upscale 0.3, where it may be 0].
    #[arg(long, value_name = "X", requires = "init")]
    strength: Option<f64>,
    /// A second pass that makes the picture this many times as wide and high.
    #[arg(long, value_name = "SCALE")]
    hires: Option<f64>,
    /// How far the second pass goes back to noise, above 0 to 1.
    #[arg(long, default_value_t = Hires::STRENGTH, value_name = "X", requires = "hires")]
    hires_strength: f64,
}

impl Extras {
    /// The picture that something is to be painted around.
    #[must_use]
    pub fn extended(&self) -> Option<&Path> {
        self.init.as_deref().filter(|_| self.extend.is_some())
    }

    /// Adds what was asked for to a request.
    #[must_use]
    pub fn into_request(self, request: GenerateRequest) -> GenerateRequest {
        let (is_enlarged, is_masked) = (self.upscale.is_some(), self.mask.is_some());
        let usual = InitImage::usual_strength(is_enlarged, self.extend.is_some(), is_masked);
        let strength = self.strength.unwrap_or(usual);
        let extend = self.extend.unwrap_or_default();
        let (wide, high) = extend.sides();
        let loras = self.loras.into_iter().map(|Lora { path, weight }| LoraUse {
            path,
            unet_weight: weight,
            text_encoder_weight: weight,
        });
        GenerateRequest {
            variation: self.variation_strength.map(|strength| {
                let seed = self.variation_seed.unwrap_or_else(new_seed);
                Variation { seed, strength }
            }),
            clip_skip: self.clip_skip,
            guidance_rescale: self.guidance_rescale,
            vae: self.vae,
            loras: loras.collect(),
            // The whole is as much larger as is painted around.
            width_px: request.width_px.saturating_add(wide),
            height_px: request.height_px.saturating_add(high),
            init: self.init.map(|picture| InitImage { picture, mask: self.mask, strength, extend }),
            upscale: self.upscale,
            hires: self.hires.map(|scale| Hires { scale, strength: self.hires_strength }),
            ..request
        }
    }
}

/// `FILE=WEIGHT`, or `FILE` for a weight of 1.
#[derive(Clone, Debug, PartialEq)]
struct Lora {
    path: PathBuf,
    weight: f64,
}

impl FromStr for Lora {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A file's name may hold the sign, so that what is behind the last one must be a number to count as a weight.
        let weighed = text.rsplit_once('=').and_then(|(path, weight)| Some((path, weight.trim().parse::<f64>().ok()?)));
        let (path, weight) = weighed.unwrap_or((text, 1.0));
        if path.is_empty() || !weight.is_finite() {
            return Err(format!("{text:?} is no LoRA; write it like ink.safetensors=0.8"));
        }
        Ok(Self { path: PathBuf::from(path), weight })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lora_may_have_a_weight() {
        for (text, path, weight) in [
            ("a.safetensors", "a.safetensors", 1.0),
            ("b=0.5", "b", 0.5),
            ("c=d.pt", "c=d.pt", 1.0),
            ("e=-1", "e", -1.0),
        ] {
            assert_eq!(text.parse(), Ok(Lora { path: PathBuf::from(path), weight }), "{text}");
        }
        assert!("=1".parse::<Lora>().is_err() && "a=nan".parse::<Lora>().is_err());
    }
}
