//! What the `UNet` is told as numbers rather than pictures: how noisy the latents are and, in some families, sizes, the
//! pooled text or a guidance scale.
//!
//! As diffusers' `TimestepEmbedding`, `get_timestep_embedding` and `get_guidance_scale_embedding`
//! (`models/embeddings.py`, `pipelines/latent_consistency_models/`).

use candle_core::{Device, Result, Tensor};

use super::unet_config::UNetConfig;
use crate::nn::probe::Probe;
use crate::nn::{Linear, Params, Place, ops};

/// What a `UNet` is told besides latents and timesteps.
#[derive(Clone)]
pub struct Condition {
    /// The text, `[batch, tokens, cross_attention_dim]`.
    pub text: Tensor,
    /// What Stable Diffusion XL wants to know beyond it.
    pub added: Option<AddedCondition>,
    /// The guidance scale, for networks that were distilled to follow one in a single evaluation.
    pub guidance_scale: Option<f64>,
}

/// What Stable Diffusion XL wants to know beyond the text.
#[derive(Clone)]
pub struct AddedCondition {
    /// The pooled text, `[batch, width]`.
    pub text_embeds: Tensor,
    /// Original height and width, top and left of the crop, target height and width, all in px: `[batch, 6]`, on the
    /// processor.
    pub time_ids: Tensor,
}

impl From<Tensor> for Condition {
    fn from(text: Tensor) -> Self {
        Self { text, added: None, guidance_scale: None }
    }
}

impl Condition {
    /// The conditions of two batches one behind the other; both are of one kind.
    ///
    /// # Errors
    /// When they differ in more than their first dimension.
    pub fn cat(&self, other: &Self) -> Result<Self> {
        let added = match (&self.added, &other.added) {
            (Some(a), Some(b)) => Some(AddedCondition {
                text_embeds: Tensor::cat(&[&a.text_embeds, &b.text_embeds], 0)?,
                time_ids: Tensor::cat(&[&a.time_ids, &b.time_ids], 0)?,
            }),
            (None, None) => None,
            _ => candle_core::bail!("only one of two conditions says sizes"),
        };
        Ok(Self { text: Tensor::cat(&[&self.text, &other.text], 0)?, added, guidance_scale: self.guidance_scale })
    }

    /// The same where a network computes, so that it need not travel at every step.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn brought_to(&self, place: &Place) -> Result<Self> {
        let added = match &self.added {
            Some(added) => {
                Some(AddedCondition { text_embeds: place.enter(&added.text_embeds)?, time_ids: added.time_ids.clone() })
            }
            None => None,
        };
        Ok(Self { text: place.enter(&self.text)?, added, guidance_scale: self.guidance_scale })
    }

    /// `count` rows from row `first` on.
    ///
    /// # Errors
    /// When there are not as many.
    pub fn rows(&self, first: usize, count: usize) -> Result<Self> {
        let added = match &self.added {
            Some(added) => Some(AddedCondition {
                text_embeds: added.text_embeds.narrow(0, first, count)?,
                time_ids: added.time_ids.narrow(0, first, count)?,
            }),
            None => None,
        };
        Ok(Self { text: self.text.narrow(0, first, count)?, added, guidance_scale: self.guidance_scale })
    }
}

/// Two linear layers behind waves.
struct Embedding {
    linear_1: Linear,
    linear_2: Linear,
    probe: Probe,
}

impl Embedding {
    fn new(params: &Params, in_features: usize, out_features: usize) -> Self {
        Self {
            linear_1: Linear::new(&params.pp("linear_1"), in_features, out_features),
            linear_2: Linear::new(&params.pp("linear_2"), out_features, out_features),
            probe: Probe::new(params.prefix()),
        }
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.probe.see(self.linear_2.forward(&ops::silu(&self.linear_1.forward(x)?)?)?))
    }
}

/// Everything that becomes the embedding which each residual block adds.
pub(super) struct Embeddings {
    time_proj: Probe,
    time_embedding: Embedding,
    /// From the waves of a guidance scale to the width of the timestep's, and how many there are.
    cond_proj: Option<(Linear, usize)>,
    added: Option<AddedEmbedding>,
    width: usize,
    flip_sin_to_cos: bool,
    freq_shift: f64,
    place: Place,
}

struct AddedEmbedding {
    add_time_proj: Probe,
    add_embedding: Embedding,
    /// Waves of each of the six numbers.
    width: usize,
}

impl Embeddings {
    pub fn new(params: &Params, config: &UNetConfig) -> Self {
        let (width, out) = (config.block_out_channels[0], config.time_embed_dim());
        let time_params = params.pp("time_embedding");
        Self {
            time_proj: Probe::new("time_proj"),
            cond_proj: config
                .time_cond_proj_dim
                .map(|waves| (Linear::no_bias(&time_params.pp("cond_proj"), waves, width), waves)),
            time_embedding: Embedding::new(&time_params, width, out),
            added: config.added_condition().map(|(waves, inputs)| AddedEmbedding {
                add_time_proj: Probe::new("add_time_proj"),
                add_embedding: Embedding::new(&params.pp("add_embedding"), inputs, out),
                width: waves,
            }),
            width,
            flip_sin_to_cos: config.flip_sin_to_cos,
            freq_shift: config.freq_shift,
            place: params.place().clone(),
        }
    }

    /// The activated embedding of a batch, `[batch, time_embed_dim]`.
    pub fn forward(&self, timesteps: &[f64], condition: &Condition) -> Result<Tensor> {
        let waves = waves(timesteps, self.width, self.flip_sin_to_cos, self.freq_shift);
        // In f32 up to here, as in diffusers: 981 is not a number of bf16.
        let waves = Tensor::from_vec(waves, (timesteps.len(), self.width), &Device::Cpu)?;
        let mut x = self.time_proj.see(self.place.enter(&waves)?);
        if let (Some((projection, width)), Some(scale)) = (&self.cond_proj, condition.guidance_scale) {
            let waves = self.place.enter(&guidance_waves(scale, timesteps.len(), *width)?)?;
            x = (x + projection.forward(&waves)?)?;
        }
        let mut embedding = self.time_embedding.forward(&x)?;
        match (&self.added, &condition.added) {
            (Some(network), Some(added)) => embedding = (embedding + network.forward(added, &self.place)?)?,
            (Some(_), None) => candle_core::bail!("this UNet must be told sizes and the pooled text"),
            (None, _) => {}
        }
        ops::silu(&embedding)
    }
}

impl AddedEmbedding {
    fn forward(&self, added: &AddedCondition, place: &Place) -> Result<Tensor> {
        let (batch, count) = added.time_ids.dims2()?;
        let numbers: Vec<f64> = added.time_ids.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
        // The published networks have the cosines first here whatever the timestep's embedding does.
        let waves = waves(&numbers, self.width, true, 0.0);
        let waves = Tensor::from_vec(waves, (batch * count, self.width), &Device::Cpu)?;
        let waves = self.add_time_proj.see(place.enter(&waves)?);
        let waves = waves.reshape((batch, count * self.width))?;
        self.add_embedding.forward(&Tensor::cat(&[&place.enter(&added.text_embeds)?, &waves], 1)?)
    }
}

/// Waves of a guidance scale, the same for each of a batch: `[batch, width]`.
fn guidance_waves(scale: f64, batch: usize, width: usize) -> Result<Tensor> {
    Tensor::from_vec(waves(&vec![1000.0 * (scale - 1.0); batch], width, false, 1.0), (batch, width), &Device::Cpu)
}

/// Waves of many frequencies at each number: `[numbers, width]`, in f32 as in diffusers: at timestep 981 the rounding of
/// the arguments shows in the fifth digit.
fn waves(numbers: &[f64], width: usize, cosines_first: bool, freq_shift: f64) -> Vec<f32> {
    let half = width / 2;
    let mut waves = Vec::with_capacity(numbers.len() * width);
    for number in numbers {
        let angles: Vec<f32> = (0..half)
            .map(|i| {
                let exponent = -(10000f64.ln() as f32) * i as f32 / (half as f64 - freq_shift) as f32;
                *number as f32 * exponent.exp()
            })
            .collect();
        let (sines, cosines) = (angles.iter().map(|a| a.sin()), angles.iter().map(|a| a.cos()));
        if cosines_first {
            waves.extend(cosines.chain(sines));
        } else {
            waves.extend(sines.chain(cosines));
        }
        // An odd width ends in a zero.
        waves.resize(waves.len() + width % 2, 0.0);
    }
    waves
}
