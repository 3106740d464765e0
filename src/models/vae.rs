//! The autoencoder between pictures and latents: diffusers' `AutoencoderKL` (`models/autoencoders/autoencoder_kl.py`,
//! `vae.py`).

use candle_core::{Result as TensorResult, Tensor};
use serde::Deserialize;
use serde_json::Value;

use super::resnet::{Downsample, ResnetBlock, ResnetSize, Upsample};
use super::transformer::Attention;
use crate::domain::{Result, UserError};
use crate::nn::probe::Probe;
use crate::nn::{Conv2d, GroupNorm, Params, Place, ops};

/// All norms of the autoencoder have this epsilon.
const EPS: f64 = 1e-6;
/// Bounds of the latents' log variance.
const LOGVAR_RANGE: (f64, f64) = (-30.0, 20.0);

/// The structure of an autoencoder, as its `config.json` has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VaeConfig {
    /// Channels of the picture.
    #[serde(default = "default_rgb")]
    pub in_channels: usize,
    /// Channels of the decoded picture.
    #[serde(default = "default_rgb")]
    pub out_channels: usize,
    /// Channels of the latents.
    #[serde(default = "default_latents")]
    pub latent_channels: usize,
    /// Channels of each level, from the picture's; each level but the first halves the sides.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of an encoder level; a decoder level has one more.
    #[serde(default = "default_layers")]
    pub layers_per_block: usize,
    /// Groups of the norms.
    #[serde(default = "default_groups")]
    pub norm_num_groups: usize,
    /// What latents are multiplied by, so that they have about unit variance.
    #[serde(default = "default_scaling")]
    pub scaling_factor: f64,
    /// Whether the middle looks over the whole picture.
    #[serde(default = "default_true")]
    pub mid_block_add_attention: bool,
    /// Whether a 1×1 convolution stands behind the encoder.
    #[serde(default = "default_true")]
    pub use_quant_conv: bool,
    /// Whether a 1×1 convolution stands before the decoder.
    #[serde(default = "default_true")]
    pub use_post_quant_conv: bool,
}

fn default_rgb() -> usize {
    3
}
fn default_latents() -> usize {
    4
}
fn default_layers() -> usize {
    1
}
fn default_groups() -> usize {
    32
}
fn default_scaling() -> f64 {
    0.18215
}
fn default_true() -> bool {
    true
}

/// Fields that change the network in ways that are not built.
const UNSUPPORTED: &[(&str, &[&str])] =
    &[("act_fn", &["\"silu\""]), ("latents_mean", &["null"]), ("latents_std", &["null"]), ("shift_factor", &["null"])];

impl VaeConfig {
    /// Reads the structure from `config.json`'s value.
    ///
    /// # Errors
    /// When a field is missing or of another kind, the numbers do not fit together, or the network has a part that is
    /// not built; the field is named.
    pub fn from_json(value: &Value) -> Result<Self> {
        for (field, allowed) in UNSUPPORTED {
            if let Some(found) = value.get(field)
                && !allowed.contains(&found.to_string().as_str())
            {
                return Err(UserError::input(format!(
                    "This autoencoder has {field} = {found}, which Atelier cannot run"
                )));
            }
        }
        for (field, kind) in [("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")] {
            if let Some(Value::Array(blocks)) = value.get(field)
                && let Some(other) = blocks.iter().find(|block| *block != kind)
            {
                return Err(UserError::input(format!(
                    "This autoencoder has a block {other}, which Atelier cannot run"
                )));
            }
        }
        let config = Self::deserialize(value)
            .map_err(|error| UserError::input(format!("The VAE's config.json cannot be used: {error}")))?;
        let groups = config.norm_num_groups;
        let sound = [
            (!config.block_out_channels.is_empty() && config.block_out_channels.len() <= 8, "block_out_channels"),
            (
                groups > 0 && config.block_out_channels.iter().all(|channels| *channels > 0 && channels % groups == 0),
                "norm_num_groups",
            ),
            (config.layers_per_block > 0 && config.layers_per_block <= 8, "layers_per_block"),
            (config.latent_channels > 0 && config.in_channels > 0 && config.out_channels > 0, "latent_channels"),
            (config.scaling_factor.is_finite() && config.scaling_factor > 0.0, "scaling_factor"),
        ];
        match sound.iter().find(|(fits, _)| !fits) {
            Some((_, field)) => {
                Err(UserError::input(format!("The VAE's config.json cannot be used: {field} does not fit")))
            }
            None => Ok(config),
        }
    }

    /// How many px of the picture one latent stands for, along a side.
    #[must_use]
    pub fn scale(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    fn resnet(&self, params: &Params, in_channels: usize, out_channels: usize) -> ResnetBlock {
        let size =
            ResnetSize { in_channels, out_channels, time_embed_dim: None, groups: self.norm_num_groups, eps: EPS };
        ResnetBlock::new(params, size)
    }
}

/// Attention of one head over all px.
struct MidAttention {
    group_norm: GroupNorm,
    attention: Attention,
    probe: Probe,
}

struct MidBlock {
    first: ResnetBlock,
    attention: Option<MidAttention>,
    last: ResnetBlock,
    probe: Probe,
}

impl MidBlock {
    fn new(params: &Params, config: &VaeConfig, channels: usize) -> Self {
        let attention = params.pp("attentions.0");
        Self {
            first: config.resnet(&params.pp("resnets.0"), channels, channels),
            attention: config.mid_block_add_attention.then(|| MidAttention {
                group_norm: GroupNorm::new(&attention.pp("group_norm"), config.norm_num_groups, channels, EPS),
                // The module of this name is seen after the way around, below.
                attention: Attention::new(&attention, channels, channels, 1, true).unobserved(),
                probe: Probe::new(attention.prefix()),
            }),
            last: config.resnet(&params.pp("resnets.1"), channels, channels),
            probe: Probe::new(params.prefix()),
        }
    }

    fn forward(&self, x: Tensor) -> TensorResult<Tensor> {
        let mut x = self.first.forward(x, None)?;
        if let Some(mid) = &self.attention {
            let (_, _, height, width) = x.dims4()?;
            let rows = ops::to_tokens(&mid.group_norm.forward(&x)?)?;
            let sum = mid.attention.forward_onto(&rows, &rows, &ops::to_tokens(&x)?)?;
            x = mid.probe.see(ops::from_tokens(&sum, height, width)?);
        }
        Ok(self.probe.see(self.last.forward(x, None)?))
    }
}

struct EncoderLevel {
    resnets: Vec<ResnetBlock>,
    downsample: Option<Downsample>,
    probe: Probe,
}

struct DecoderLevel {
    resnets: Vec<ResnetBlock>,
    upsample: Option<Upsample>,
    probe: Probe,
}

/// Norm, `SiLU` and convolution at the end of encoder and decoder.
struct Head {
    norm: GroupNorm,
    norm_probe: Probe,
    conv: Conv2d,
    conv_probe: Probe,
}

impl Head {
    fn new(params: &Params, config: &VaeConfig, in_channels: usize, out_channels: usize) -> Self {
        let (norm, conv) = (params.pp("conv_norm_out"), params.pp("conv_out"));
        Self {
            norm_probe: Probe::new(norm.prefix()),
            norm: GroupNorm::new(&norm, config.norm_num_groups, in_channels, EPS),
            conv_probe: Probe::new(conv.prefix()),
            conv: Conv2d::new(&conv, (in_channels, out_channels), 3, 1, 1),
        }
    }

    fn forward(&self, x: &Tensor) -> TensorResult<Tensor> {
        // The reference looks at the norm before its activation; only a look pays for it.
        if self.norm_probe.active() {
            let _ = self.norm_probe.see(self.norm.forward(x)?);
        }
        Ok(self.conv_probe.see(self.norm.forward_silu_conv(x, None, &self.conv, None)?))
    }
}

/// Picture to the moments of its latents.
struct Encoder {
    conv_in: (Conv2d, Probe),
    levels: Vec<EncoderLevel>,
    mid_block: MidBlock,
    head: Head,
}

/// Latents to picture.
struct Decoder {
    conv_in: (Conv2d, Probe),
    mid_block: MidBlock,
    levels: Vec<DecoderLevel>,
    head: Head,
}

fn first_conv(params: &Params, channels: (usize, usize)) -> (Conv2d, Probe) {
    let params = params.pp("conv_in");
    (Conv2d::new(&params, channels, 3, 1, 1), Probe::new(params.prefix()))
}

impl Encoder {
    fn new(params: &Params, config: &VaeConfig) -> Self {
        let channels = &config.block_out_channels;
        let last = channels[channels.len() - 1];
        let levels = (0..channels.len())
            .map(|level| {
                let params = params.pp("down_blocks").pp(level);
                let from = channels[level.saturating_sub(1)];
                let resnets = (0..config.layers_per_block)
                    .map(|i| {
                        let from = if i == 0 { from } else { channels[level] };
                        config.resnet(&params.pp("resnets").pp(i), from, channels[level])
                    })
                    .collect();
                let downsample = (level + 1 < channels.len())
                    .then(|| Downsample::asymmetric(&params.pp("downsamplers.0"), channels[level]));
                EncoderLevel { resnets, downsample, probe: Probe::new(params.prefix()) }
            })
            .collect();
        Self {
            conv_in: first_conv(params, (config.in_channels, channels[0])),
            levels,
            mid_block: MidBlock::new(&params.pp("mid_block"), config, last),
            head: Head::new(params, config, last, 2 * config.latent_channels),
        }
    }

    fn forward(&self, image: &Tensor) -> TensorResult<Tensor> {
        let mut x = self.conv_in.1.see(self.conv_in.0.forward(image)?);
        for level in &self.levels {
            for resnet in &level.resnets {
                x = resnet.forward(x, None)?;
            }
            if let Some(downsample) = &level.downsample {
                x = downsample.forward(&x)?;
            }
            x = level.probe.see(x);
        }
        self.head.forward(&self.mid_block.forward(x)?)
    }
}

impl Decoder {
    fn new(params: &Params, config: &VaeConfig) -> Self {
        let channels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let levels = (0..channels.len())
            .map(|i| {
                let params = params.pp("up_blocks").pp(i);
                let from = channels[i.saturating_sub(1)];
                let resnets = (0..=config.layers_per_block)
                    .map(|j| {
                        let from = if j == 0 { from } else { channels[i] };
                        config.resnet(&params.pp("resnets").pp(j), from, channels[i])
                    })
                    .collect();
                let upsample = (i + 1 < channels.len()).then(|| Upsample::new(&params.pp("upsamplers.0"), channels[i]));
                DecoderLevel { resnets, upsample, probe: Probe::new(params.prefix()) }
            })
            .collect();
        Self {
            conv_in: first_conv(params, (config.latent_channels, channels[0])),
            mid_block: MidBlock::new(&params.pp("mid_block"), config, channels[0]),
            levels,
            head: Head::new(params, config, channels[channels.len() - 1], config.out_channels),
        }
    }

    fn forward(&self, latents: &Tensor) -> TensorResult<Tensor> {
        let mut x = self.mid_block.forward(self.conv_in.1.see(self.conv_in.0.forward(latents)?))?;
        for level in &self.levels {
            for resnet in &level.resnets {
                x = resnet.forward(x, None)?;
            }
            if let Some(upsample) = &level.upsample {
                let (_, _, height, width) = x.dims4()?;
                x = upsample.forward(&x, (2 * height, 2 * width))?;
            }
            x = level.probe.see(x);
        }
        self.head.forward(&x)
    }
}

/// The autoencoder between pictures and latents.
pub struct AutoencoderKl {
    config: VaeConfig,
    encoder: Encoder,
    quant_conv: Option<(Conv2d, Probe)>,
    post_quant_conv: Option<(Conv2d, Probe)>,
    decoder: Decoder,
    place: Place,
}

/// The normal distribution of a picture's latents.
pub struct LatentDistribution {
    /// `[batch, latent_channels, height, width]`.
    pub mean: Tensor,
    /// The logarithm of the variance, between −30 and 20, of the same shape.
    pub logvar: Tensor,
}

impl LatentDistribution {
    /// `mean + σ noise`, not yet scaled.
    ///
    /// # Errors
    /// When the noise has another shape.
    pub fn sample(&self, noise: &Tensor) -> TensorResult<Tensor> {
        let deviation = (&self.logvar * 0.5)?.exp()?;
        &self.mean + (deviation * noise)?
    }
}

impl AutoencoderKl {
    /// Builds the network from its weights.
    #[must_use]
    pub fn new(params: &Params, config: &VaeConfig) -> Self {
        let one_by_one = |name: &str, channels: usize| {
            (Conv2d::new(&params.pp(name), (channels, channels), 1, 1, 0), Probe::new(name))
        };
        Self {
            encoder: Encoder::new(&params.pp("encoder"), config),
            quant_conv: config.use_quant_conv.then(|| one_by_one("quant_conv", 2 * config.latent_channels)),
            post_quant_conv: config.use_post_quant_conv.then(|| one_by_one("post_quant_conv", config.latent_channels)),
            decoder: Decoder::new(&params.pp("decoder"), config),
            place: params.place().clone(),
            config: config.clone(),
        }
    }

    /// Where it computes.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its structure.
    #[must_use]
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// `image` `[batch, 3, height, width]` in −1..1, sides multiples of [`VaeConfig::scale`], to its latents'
    /// distribution.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn encode(&self, image: &Tensor) -> TensorResult<LatentDistribution> {
        let moments = self.place.run(|| {
            let moments = self.encoder.forward(&self.place.enter(image)?)?;
            match &self.quant_conv {
                Some((conv, probe)) => self.place.leave(&probe.see(conv.forward(&moments)?)),
                None => self.place.leave(&moments),
            }
        })?;
        let channels = self.config.latent_channels;
        Ok(LatentDistribution {
            mean: moments.narrow(1, 0, channels)?,
            logvar: moments.narrow(1, channels, channels)?.clamp(LOGVAR_RANGE.0, LOGVAR_RANGE.1)?,
        })
    }

    /// `latents` `[batch, latent_channels, height, width]`, divided by the scaling factor already, to a picture
    /// `[batch, 3, scale * height, scale * width]`, about −1..1 and not clamped.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn decode(&self, latents: &Tensor) -> TensorResult<Tensor> {
        self.place.run(|| {
            let latents = self.place.enter(latents)?;
            let picture = match &self.post_quant_conv {
                Some((conv, probe)) => self.decoder.forward(&probe.see(conv.forward(&latents)?)),
                None => self.decoder.forward(&latents),
            };
            self.place.leave(&picture?)
        })
    }
}
