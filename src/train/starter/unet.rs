//! Training of the starter's denoising network and text encoder, together and from nothing.

use std::path::Path;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::architecture::{LATENT_CHANNELS, LATENT_SIDE, scheduler, scheduler_config, text_encoder, unet as unet_json};
use super::draws::{Purpose, draws, initial_values, noise};
use super::latents::{Latents, VALUES};
use super::run::{PARTS, Progress, Rhythm, Task, run};
use super::sample::{SAMPLING, decode, sample};
use super::score::Scores;
use super::sheet::sheet;
use super::text::{build_text, encode};
use super::vae::{self, VaeSettings};
use crate::dataset::garments::{GarmentSpec, Judge, Split, caption, prompts};
use crate::domain::{Cancel, Picture, PredictionType, Result};
use crate::models::TextPart;
use crate::models::unet::UNet;
use crate::models::unet_config::UNetConfig;
use crate::models::vae::AutoencoderKl;
use crate::nn::{Params, engine_error};
use crate::sampling::TrainingSchedule;
use crate::train::{
    AdamWConfig, DiffusionLoss, EmaConfig, Group, LossWeights, LrSchedule, LrShape, Parameters, Trainer, on_deep_stack,
};

/// Everything that decides the denoising network's training, besides the autoencoder's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UNetSettings {
    /// Names the pictures, the first weights and all noise.
    pub seed: u64,
    /// Pictures to learn from.
    pub pictures: u64,
    /// All steps.
    pub steps: u64,
    /// Pictures in a batch, an even number: they are computed in two parts.
    pub batch: usize,
    /// The highest learning rate.
    pub lr: f64,
    /// Steps of its rise.
    pub warmup_steps: u64,
    /// How often a caption is left out, so that guidance has something to compare with.
    pub caption_dropout: f64,
}

impl Default for UNetSettings {
    fn default() -> Self {
        Self { seed: 2, pictures: 20_000, steps: 12_000, batch: 16, lr: 6e-4, warmup_steps: 300, caption_dropout: 0.1 }
    }
}

/// Weights that begin at zero, so that every residual block begins as its way around: the last convolutions of residual
/// blocks and of the network, and the transformers' projections back (as `zero_module` in the code of Dhariwal and
/// Nichol 2021 and of latent diffusion); in the text encoder the last layers of attention and feed-forward, so that it
/// begins by passing each word on as it is.
const ZERO: &[&str] =
    &["conv_out.weight", "conv2.weight", "proj_out.weight", "self_attn.out_proj.weight", "fc2.weight"];
/// The text encoder learns more slowly than the network that reads it, so that this can follow.
const TEXT_LR_FACTOR: f64 = 0.3;
/// Prompts that are looked at, all of held-out combinations: two of each kind.
const LOOKS: usize = 22;

/// The networks that are trained.
pub(super) struct Networks {
    pub text: TextPart,
    pub unet: UNet,
}

/// Trains the denoising network and the text encoder in `work/unet`, from where they stood. The pictures' latents come
/// first, by the finished autoencoder in `work/vae`; `encoded` is told how many of them there are.
///
/// # Errors
/// When the autoencoder's training is not finished, or when loss or gradients are not finite, the disk fails, or `cancel` was set.
pub fn train_unet(
    work: &Path,
    vae_settings: &VaeSettings,
    settings: &UNetSettings,
    rhythm: Rhythm,
    cancel: &Cancel,
    encoded: &mut (dyn FnMut(u64) + Send),
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> Result<()> {
    on_deep_stack(move || {
        let vae = vae::finished(&work.join("vae"), vae_settings)?;
        let folder = work.join("unet");
        let source = vae::config(vae_settings);
        let latents = Latents::make(&folder, &vae, &source, settings.seed, settings.pictures, cancel, encoded)?;
        let (networks, mut trainer) = build(&folder, settings)?;
        let loss = diffusion_loss()?;
        let task = UNetTask { networks, vae, latents, loss, judge: Judge::new(), settings: settings.clone() };
        let config = config(vae_settings, settings, &task.networks);
        run(&task, &mut trainer, &folder, &config, rhythm, cancel, progress)
    })
}

/// The networks and their trainer at the beginning.
pub(super) fn build(folder: &Path, settings: &UNetSettings) -> Result<(Networks, Trainer)> {
    let seed = settings.seed;
    let fresh = |part: &'static str| {
        Params::fresh(move |name, elements, init| initial_values(seed, &format!("{part}.{name}"), elements, init, ZERO))
    };
    let (text_params, unet_params) = (fresh("text_encoder"), fresh("unet"));
    let networks = Networks {
        text: build_text(folder, &text_params)?,
        unet: UNet::new(&unet_params, &UNetConfig::from_json(&unet_json())?),
    };
    text_params.finish("text encoder")?;
    unet_params.finish("UNet")?;
    let mut parameters = Parameters::default();
    let slower = Group { lr_factor: TEXT_LR_FACTOR, ..Group::default() };
    parameters.add("text_encoder.", text_params.trainable_vars(), slower)?;
    parameters.add("unet.", unet_params.trainable_vars(), Group::default())?;
    let schedule = LrSchedule {
        shape: LrShape::Cosine,
        base: settings.lr,
        warmup_steps: settings.warmup_steps,
        total_steps: settings.steps,
    };
    let ema = EmaConfig { decay: 0.999, ..EmaConfig::default() };
    Ok((networks, Trainer::new(parameters, AdamWConfig::default(), Some(ema), schedule, 1.0)?))
}

/// What a checkpoint of this training belongs to.
pub(super) fn config(vae_settings: &VaeSettings, settings: &UNetSettings, networks: &Networks) -> Value {
    json!({
        "settings": settings,
        "vae": vae::config(vae_settings),
        "unet": unet_json(),
        "text_encoder": text_encoder(networks.text.encoder.config().vocab_size, super::text::POSITIONS),
        "scheduler": scheduler(),
    })
}

/// Nearly clean timesteps count less, because there is little to learn at them; the noisiest in full, because there the
/// words decide on garment and colours.
fn diffusion_loss() -> Result<DiffusionLoss> {
    let alphas = TrainingSchedule::new(&scheduler_config()?)?.alphas_cumprod().collect();
    Ok(DiffusionLoss::new(alphas, PredictionType::VPrediction, LossWeights::CappedSnr { gamma: 5.0 }))
}

struct UNetTask {
    networks: Networks,
    vae: AutoencoderKl,
    latents: Latents,
    loss: DiffusionLoss,
    judge: Judge,
    settings: UNetSettings,
}

/// What a step learns from.
#[derive(Default)]
struct Batch {
    captions: Vec<String>,
    latents: Vec<f32>,
    timesteps: Vec<usize>,
    noise: Vec<f32>,
}

impl UNetTask {
    /// One part of the batch of the step after `step` steps. Pictures go by epochs: each once before any comes again.
    fn batch(&self, step: u64, part: usize) -> Batch {
        let UNetSettings { seed, batch, caption_dropout, .. } = self.settings;
        let count = self.latents.count();
        let mut result = Batch::default();
        let first = step * batch as u64;
        // The orders of the one or two epochs that this batch touches.
        let mut order: (u64, Vec<u32>) = (u64::MAX, Vec::new());
        let size = batch / PARTS;
        for i in part * size..(part + 1) * size {
            let place = first + i as u64;
            let epoch = place / count as u64;
            if order.0 != epoch {
                let mut pictures: Vec<u32> = (0..count as u32).collect();
                draws(seed, Purpose::Order, epoch, 0).shuffle(&mut pictures);
                order = (epoch, pictures);
            }
            let picture = order.1[(place % count as u64) as usize];
            self.latents.push(picture as usize, &mut result.latents);
            result.timesteps.push(draws(seed, Purpose::Timestep, step, i).below(self.loss.timesteps() as u32) as usize);
            result.noise.extend(noise(seed, Purpose::Noise, step, i, VALUES));
            let mut wording = draws(seed, Purpose::Caption, step, i);
            result.captions.push(if wording.uniform() < caption_dropout {
                String::new()
            } else {
                caption(&GarmentSpec::sample(seed, u64::from(picture), Split::Train), wording.next_u64())
            });
        }
        result
    }

    fn try_loss(&self, batch: &Batch, context: &Tensor) -> candle_core::Result<Tensor> {
        let Batch { latents, timesteps, noise, .. } = batch;
        let shape = (timesteps.len(), LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE);
        let latents = Tensor::from_slice(latents, shape, &Device::Cpu)?;
        let noise = Tensor::from_slice(noise, shape, &Device::Cpu)?;
        let noisy = self.loss.add_noise(&latents, &noise, timesteps)?;
        let target = self.loss.target(&latents, &noise, timesteps)?;
        let times: Vec<f64> = timesteps.iter().map(|timestep| *timestep as f64).collect();
        self.loss.loss(&self.networks.unet.forward(&noisy, &times, &context.clone().into())?, &target, timesteps)
    }
}

impl Task for UNetTask {
    fn loss(&self, step: u64, part: usize) -> Result<Tensor> {
        let batch = self.batch(step, part);
        let captions: Vec<&str> = batch.captions.iter().map(String::as_str).collect();
        let context = encode(&self.networks.text, &captions)?;
        self.try_loss(&batch, &context).map_err(engine_error)
    }

    fn look(&self) -> Result<(Picture, String)> {
        let asked = prompts(LOOKS, self.settings.seed);
        let texts: Vec<String> = asked.iter().map(|(_, text)| text.clone()).collect();
        let Networks { text, unet } = &self.networks;
        let pictures = sample(&texts, text, unet, &|batch| decode(&self.latents, &self.vae, &batch), SAMPLING)?;
        let scores = Scores::of(&self.judge, &pictures, &asked);
        Ok((sheet(&pictures, LOOKS / 2), scores.to_string()))
    }
}
