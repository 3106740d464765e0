//! The denoising network: diffusers' `UNet2DConditionModel` (`models/unets/unet_2d_condition.py`, `unet_2d_blocks.py`).

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::embeddings::{Condition, Embeddings};
use super::resnet::{Downsample, ResnetBlock, ResnetSize, Upsample};
use super::transformer::{SpatialTransformer, TransformerSize, spread};
use super::unet_config::{BlockType, UNetConfig};
use crate::nn::checkpoint::{Run, checkpointed, kept};
use crate::nn::probe::Probe;
use crate::nn::{Conv2d, GroupNorm, Params, Place, gradients_are_wanted};

/// A residual block with a transformer behind it, where the level has attention.
struct Layer {
    resnet: Arc<ResnetBlock>,
    attention: Option<Arc<SpatialTransformer>>,
}

/// What the network is told, and how it is computed.
#[derive(Clone, Copy)]
struct Told<'a> {
    embedding: &'a Tensor,
    context: &'a Tensor,
    gradients: Way,
}

/// How blocks get their gradients.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Nobody asks for any.
    Unwanted,
    /// From what is kept of the way there.
    Kept,
    /// They are computed again.
    Again,
}

impl Way {
    /// Whether a block on these inputs is computed as if alone: nothing comes to them on the way back.
    fn is_plain(self, inputs: &[&Tensor]) -> bool {
        self == Self::Unwanted || (self == Self::Kept && !inputs.iter().any(|input| input.track_op()))
    }

    /// A block of the network, on its inputs.
    fn run(self, inputs: &[&Tensor], block: Run) -> Result<Tensor> {
        if self == Self::Again { checkpointed(inputs, block) } else { kept(inputs, &block) }
    }
}

impl Layer {
    fn forward(&self, x: Tensor, told: Told<'_>) -> Result<Tensor> {
        through(self.attention.as_ref(), residual(&self.resnet, x, None, told)?, told)
    }

    /// The same of `x` and what comes from the way down.
    fn forward_with(&self, x: Tensor, skip: Tensor, told: Told<'_>) -> Result<Tensor> {
        through(self.attention.as_ref(), residual(&self.resnet, x, Some(skip), told)?, told)
    }
}

/// A residual block on `x`, with `skip` behind its channels where there is one.
fn residual(resnet: &Arc<ResnetBlock>, x: Tensor, skip: Option<Tensor>, told: Told<'_>) -> Result<Tensor> {
    let joined = |x: Tensor, skip: Option<Tensor>| match skip {
        Some(skip) => Tensor::cat(&[x, skip], 1),
        None => Ok(x),
    };
    let embedding = told.embedding.narrow(0, 0, x.dim(0)?)?;
    let inputs: Vec<&Tensor> = [&x, &embedding].into_iter().chain(&skip).collect();
    if told.gradients.is_plain(&inputs) {
        return resnet.forward(joined(x, skip)?, Some(&embedding));
    }
    let resnet = Arc::clone(resnet);
    told.gradients.run(
        &inputs,
        Arc::new(move |inputs| resnet.forward(joined(inputs[0].clone(), inputs.get(2).cloned())?, Some(&inputs[1]))),
    )
}

/// A transformer, where there is one.
fn through(attention: Option<&Arc<SpatialTransformer>>, x: Tensor, told: Told<'_>) -> Result<Tensor> {
    match attention {
        Some(attention) if told.gradients.is_plain(&[&x, told.context]) => attention.forward(&x, told.context),
        Some(attention) => {
            let attention = Arc::clone(attention);
            let block: Run = Arc::new(move |inputs| attention.forward(&inputs[0], &inputs[1]));
            told.gradients.run(&[&x, told.context], block)
        }
        None => Ok(x),
    }
}

struct DownBlock {
    layers: Vec<Layer>,
    downsample: Option<Downsample>,
    probe: Probe,
}

struct MidBlock {
    first: Arc<ResnetBlock>,
    attention: Arc<SpatialTransformer>,
    last: Arc<ResnetBlock>,
    probe: Probe,
}

struct UpBlock {
    layers: Vec<Layer>,
    upsample: Option<Upsample>,
    probe: Probe,
}

/// The denoising network.
pub struct UNet {
    config: UNetConfig,
    embeddings: Embeddings,
    conv_in: (Conv2d, Probe),
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: (GroupNorm, Probe),
    conv_out: (Conv2d, Probe),
    /// Whether a training computes blocks again instead of keeping what they are made of.
    checkpointing: bool,
    place: Place,
}

/// Sizes that every level of a network shares.
struct Builder<'a> {
    config: &'a UNetConfig,
}

impl Builder<'_> {
    fn resnet(&self, params: &Params, in_channels: usize, out_channels: usize) -> ResnetBlock {
        let config = self.config;
        let size = ResnetSize {
            in_channels,
            out_channels,
            time_embed_dim: Some(config.time_embed_dim()),
            groups: config.norm_num_groups,
            eps: config.norm_eps,
        };
        ResnetBlock::new(params, size)
    }

    /// The transformer of level `level` (counted from the outermost).
    fn transformer(&self, params: &Params, level: usize) -> SpatialTransformer {
        let config = self.config;
        let size = TransformerSize {
            channels: config.block_out_channels[level],
            cross_attention_dim: config.cross_attention_dim,
            heads: config.attention_head_dim.at(level),
            layers: config.transformer_layers_per_block.at(level),
            groups: config.norm_num_groups,
            use_linear_projection: config.use_linear_projection,
        };
        SpatialTransformer::new(params, size)
    }

    fn layer(&self, params: &Params, i: usize, level: usize, kind: BlockType, in_channels: usize) -> Layer {
        Layer {
            resnet: Arc::new(self.resnet(
                &params.pp("resnets").pp(i),
                in_channels,
                self.config.block_out_channels[level],
            )),
            attention: kind.has_attention().then(|| Arc::new(self.transformer(&params.pp("attentions").pp(i), level))),
        }
    }

    fn down_block(&self, params: &Params, level: usize) -> DownBlock {
        let channels = &self.config.block_out_channels;
        let kind = self.config.down_block_types[level];
        let first = if level == 0 { channels[0] } else { channels[level - 1] };
        let layers = (0..self.config.layers_per_block)
            .map(|i| self.layer(params, i, level, kind, if i == 0 { first } else { channels[level] }))
            .collect();
        let downsample =
            (level + 1 < channels.len()).then(|| Downsample::new(&params.pp("downsamplers.0"), channels[level]));
        DownBlock { layers, downsample, probe: Probe::new(params.prefix()) }
    }

    fn mid_block(&self, params: &Params) -> MidBlock {
        let level = self.config.block_out_channels.len() - 1;
        let channels = self.config.block_out_channels[level];
        MidBlock {
            first: Arc::new(self.resnet(&params.pp("resnets.0"), channels, channels)),
            attention: Arc::new(self.transformer(&params.pp("attentions.0"), level)),
            last: Arc::new(self.resnet(&params.pp("resnets.1"), channels, channels)),
            probe: Probe::new(params.prefix()),
        }
    }

    /// Up block `i`, counted from the innermost level.
    fn up_block(&self, params: &Params, i: usize) -> UpBlock {
        let channels = &self.config.block_out_channels;
        let levels = channels.len();
        let level = levels - 1 - i;
        let kind = self.config.up_block_types[i];
        let below = if i == 0 { channels[levels - 1] } else { channels[level + 1] };
        let count = self.config.layers_per_block + 1;
        let layers = (0..count)
            .map(|j| {
                let skip = if j + 1 == count { channels[level.saturating_sub(1)] } else { channels[level] };
                let from = if j == 0 { below } else { channels[level] };
                self.layer(params, j, level, kind, from + skip)
            })
            .collect();
        let upsample = (i + 1 < levels).then(|| Upsample::new(&params.pp("upsamplers.0"), channels[level]));
        UpBlock { layers, upsample, probe: Probe::new(params.prefix()) }
    }
}

impl UNet {
    /// Builds the network from its weights.
    #[must_use]
    pub fn new(params: &Params, config: &UNetConfig) -> Self {
        let builder = Builder { config };
        let channels = &config.block_out_channels;
        let named = |name: &str| (params.pp(name), Probe::new(name));
        let ((conv_in, conv_in_probe), (norm_out, norm_out_probe), (conv_out, conv_out_probe)) =
            (named("conv_in"), named("conv_norm_out"), named("conv_out"));
        Self {
            embeddings: Embeddings::new(params, config),
            conv_in: (Conv2d::new(&conv_in, (config.in_channels, channels[0]), 3, 1, 1), conv_in_probe),
            down_blocks: (0..channels.len()).map(|i| builder.down_block(&params.pp("down_blocks").pp(i), i)).collect(),
            mid_block: builder.mid_block(&params.pp("mid_block")),
            up_blocks: (0..channels.len()).map(|i| builder.up_block(&params.pp("up_blocks").pp(i), i)).collect(),
            conv_norm_out: (
                GroupNorm::new(&norm_out, config.norm_num_groups, channels[0], config.norm_eps),
                norm_out_probe,
            ),
            conv_out: (Conv2d::new(&conv_out, (channels[0], config.out_channels), 3, 1, 1), conv_out_probe),
            config: config.clone(),
            checkpointing: false,
            place: params.place().clone(),
        }
    }

    /// Sets whether a training computes blocks again on the way back, instead of keeping all that they are made of: see
    /// [`crate::nn::checkpoint`].
    pub fn set_checkpointing(&mut self, checkpointing: bool) {
        self.checkpointing = checkpointing;
    }

    /// Where it computes.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its structure.
    #[must_use]
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// What the network predicts for `latents` `[batch, in, height, width]` at `timesteps` (one each of the batch) under
    /// a condition for the same batch, or for a multiple of it: `[conditions, out, height, width]`. With several prompts
    /// for the same latents, what does not depend on the text is computed once.
    ///
    /// Sides that are no multiple of 2^(levels − 1) are fine: upsampling goes to the size of the level above.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, latents: &Tensor, timesteps: &[f64], condition: &Condition) -> Result<Tensor> {
        self.place.run(|| self.place.leave(&self.computed(&self.place.enter(latents)?, timesteps, condition)?))
    }

    /// The same on the network's own device.
    fn computed(&self, latents: &Tensor, timesteps: &[f64], condition: &Condition) -> Result<Tensor> {
        let context = &self.place.enter(&condition.text)?;
        let rows = context.dim(0)?;
        let timesteps: Vec<f64> = timesteps.iter().copied().cycle().take(rows).collect();
        let embedding = &self.embeddings.forward(&timesteps, condition)?;
        let gradients = match (gradients_are_wanted(), self.checkpointing) {
            (false, _) => Way::Unwanted,
            (true, false) => Way::Kept,
            (true, true) => Way::Again,
        };
        let told = Told { embedding, context, gradients };
        // Pooled text is in the embedding of every block.
        let latents = if condition.added.is_some() { &spread(latents, rows)? } else { latents };
        let mut x = self.conv_in.1.see(self.conv_in.0.forward(latents)?);
        let mut skips = vec![x.clone()];
        for block in &self.down_blocks {
            for layer in &block.layers {
                x = layer.forward(x, told)?;
                skips.push(x.clone());
            }
            if let Some(downsample) = &block.downsample {
                x = downsample.forward(&x)?;
                skips.push(x.clone());
            }
            x = block.probe.see(x);
        }
        x = self.mid_block.forward(spread(&x, rows)?, told)?;
        for block in &self.up_blocks {
            for layer in &block.layers {
                x = match skips.pop() {
                    Some(skip) => layer.forward_with(x, spread(&skip, rows)?, told)?,
                    None => layer.forward(x, told)?,
                };
            }
            if let (Some(upsample), Some(skip)) = (&block.upsample, skips.last()) {
                let (_, _, height, width) = skip.dims4()?;
                x = upsample.forward(&x, (height, width))?;
            }
            x = block.probe.see(x);
        }
        // The reference looks at the norm before its activation; the probe must see the same, and only then pays for it.
        if self.conv_norm_out.1.active() {
            let _ = self.conv_norm_out.1.see(self.conv_norm_out.0.forward(&x)?);
        }
        Ok(self.conv_out.1.see(self.conv_norm_out.0.forward_silu_conv(&x, None, &self.conv_out.0, None)?))
    }
}

impl MidBlock {
    fn forward(&self, x: Tensor, told: Told<'_>) -> Result<Tensor> {
        let x = through(Some(&self.attention), residual(&self.first, x, None, told)?, told)?;
        Ok(self.probe.see(residual(&self.last, x, None, told)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::domain::{Cancel, ModelRef};
    use crate::models;

    #[test]
    fn prompts_for_the_same_latents_get_what_each_would_alone() {
        let model = models::open(&ModelRef::Starter, None, &Cancel::default(), &mut |_| ()).unwrap();
        let values = |count: usize| (0..count).map(|i| (i as f32 * 12.9898).sin()).collect::<Vec<_>>();
        let latents = Tensor::from_vec(values(8 * 64), (1, 8, 8, 8), &Device::Cpu).unwrap();
        let text = Tensor::from_vec(values(2 * 48 * 128), (2, 48, 128), &Device::Cpu).unwrap();
        let both = Condition::from(text);
        let together = model.unet.forward(&latents, &[500.0], &both).unwrap();
        let apart = model.unet.forward(&spread(&latents, 2).unwrap(), &[500.0, 500.0], &both).unwrap();
        let difference = (together - apart).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-5);
        assert!(spread(&both.text, 3).is_err());
    }
}
