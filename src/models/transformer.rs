//! The transformer blocks of the `UNet`: self-attention, cross-attention to the text, gated feed-forward.
//!
//! As diffusers' `Transformer2DModel` and `BasicTransformerBlock` (`models/transformers/transformer_2d.py`,
//! `models/attention.py`).

use candle_core::{Result, Tensor};

use crate::nn::ops;
use crate::nn::probe::Probe;
use crate::nn::{Conv2d, GroupNorm, LayerNorm, Linear, Params};

/// Attention with its four projections.
pub struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: usize,
    probe: Option<Probe>,
}

impl Attention {
    /// Queries of `width`, keys and values from `context_width`. Only the autoencoder's has biases on q, k and v.
    #[must_use]
    pub fn new(params: &Params, width: usize, context_width: usize, heads: usize, qkv_bias: bool) -> Self {
        let make = if qkv_bias { Linear::new } else { Linear::no_bias };
        Self {
            to_q: make(&params.pp("to_q"), width, width),
            to_k: make(&params.pp("to_k"), context_width, width),
            to_v: make(&params.pp("to_v"), context_width, width),
            to_out: Linear::new(&params.pp("to_out.0"), width, width),
            heads,
            probe: Some(Probe::new(params.prefix())),
        }
    }

    /// The same, not shown to an observer: where the module of this name does more than attention.
    #[must_use]
    pub fn unobserved(self) -> Self {
        Self { probe: None, ..self }
    }

    /// `x` `[batch, queries, width]` looks at `context` `[batch, keys, context_width]`; the result is added to `residual`,
    /// which is as `x`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_onto(&self, x: &Tensor, context: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let (q, k, v) = (self.to_q.forward(x)?, self.to_k.forward(context)?, self.to_v.forward(context)?);
        let out = ops::attention(&q, &k, &v, self.heads, false)?;
        forward_onto(&self.to_out, &out, residual, self.probe.as_ref())
    }
}

/// The gated feed-forward layer, four times as wide inside.
struct FeedForward {
    gate: Linear,
    out: Linear,
    probe: Probe,
}

impl FeedForward {
    fn new(params: &Params, width: usize) -> Self {
        Self {
            gate: Linear::new(&params.pp("net.0.proj"), width, 8 * width),
            out: Linear::new(&params.pp("net.2"), 4 * width, width),
            probe: Probe::new(params.prefix()),
        }
    }

    fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        forward_onto(&self.out, &self.gate.forward_geglu(x)?, residual, Some(&self.probe))
    }
}

/// A layer added to `residual`, as one operation; only an observer, who sees the layer alone, pays for two.
fn forward_onto(layer: &Linear, x: &Tensor, residual: &Tensor, probe: Option<&Probe>) -> Result<Tensor> {
    match probe {
        Some(probe) if probe.active() => probe.see(layer.forward(x)?) + residual,
        _ => layer.forward_onto(x, residual),
    }
}

struct TransformerBlock {
    norm1: LayerNorm,
    attn1: Attention,
    norm2: LayerNorm,
    attn2: Attention,
    norm3: LayerNorm,
    ff: FeedForward,
    norm1_probe: Probe,
    probe: Probe,
}

impl TransformerBlock {
    fn new(params: &Params, width: usize, context_width: usize, heads: usize) -> Self {
        let norm1 = params.pp("norm1");
        Self {
            norm1_probe: Probe::new(norm1.prefix()),
            norm1: LayerNorm::new(&norm1, width, 1e-5),
            attn1: Attention::new(&params.pp("attn1"), width, width, heads, false),
            norm2: LayerNorm::new(&params.pp("norm2"), width, 1e-5),
            attn2: Attention::new(&params.pp("attn2"), width, context_width, heads, false),
            norm3: LayerNorm::new(&params.pp("norm3"), width, 1e-5),
            ff: FeedForward::new(&params.pp("ff"), width),
            probe: Probe::new(params.prefix()),
        }
    }

    fn forward(&self, x: &Tensor, context: &Tensor) -> Result<Tensor> {
        let normed = self.norm1_probe.see(self.norm1.forward(x)?);
        // Up to here nothing depends on the text: what was computed once now goes on for each.
        let x = spread(&self.attn1.forward_onto(&normed, &normed, x)?, context.dim(0)?)?;
        let x = self.attn2.forward_onto(&self.norm2.forward(&x)?, context, &x)?;
        let x = self.ff.forward_onto(&self.norm3.forward(&x)?, &x)?;
        Ok(self.probe.see(x))
    }
}

/// The way from a map of px to a row of tokens and back.
enum Projection {
    /// 1×1 convolutions (Stable Diffusion 1).
    Convolution { proj_in: Conv2d, proj_out: Conv2d },
    /// Linear layers (Stable Diffusion 2 and XL).
    Linear { proj_in: Linear, proj_out: Linear },
}

/// Transformer blocks over the px of a map.
pub struct SpatialTransformer {
    norm: GroupNorm,
    projection: Projection,
    blocks: Vec<TransformerBlock>,
    in_probe: Probe,
    out_probe: Probe,
    probe: Probe,
}

/// What a [`SpatialTransformer`] is made of.
#[derive(Clone, Copy)]
pub struct TransformerSize {
    /// Channels of the map, and width of its tokens.
    pub channels: usize,
    /// Width of the text's vectors.
    pub cross_attention_dim: usize,
    /// Number of heads.
    pub heads: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Groups of the norm.
    pub groups: usize,
    /// Whether the projections are linear layers.
    pub use_linear_projection: bool,
}

impl SpatialTransformer {
    /// Builds the transformer from its weights.
    #[must_use]
    pub fn new(params: &Params, size: TransformerSize) -> Self {
        let TransformerSize { channels, cross_attention_dim, heads, layers, groups, use_linear_projection } = size;
        let (proj_in, proj_out) = (params.pp("proj_in"), params.pp("proj_out"));
        let (in_probe, out_probe) = (Probe::new(proj_in.prefix()), Probe::new(proj_out.prefix()));
        let projection = if use_linear_projection {
            Projection::Linear {
                proj_in: Linear::new(&proj_in, channels, channels),
                proj_out: Linear::new(&proj_out, channels, channels),
            }
        } else {
            Projection::Convolution {
                proj_in: Conv2d::new(&proj_in, (channels, channels), 1, 1, 0),
                proj_out: Conv2d::new(&proj_out, (channels, channels), 1, 1, 0),
            }
        };
        let blocks = params.pp("transformer_blocks");
        Self {
            norm: GroupNorm::new(&params.pp("norm"), groups, channels, 1e-6),
            projection,
            blocks: (0..layers)
                .map(|i| TransformerBlock::new(&blocks.pp(i), channels, cross_attention_dim, heads))
                .collect(),
            in_probe,
            out_probe,
            probe: Probe::new(params.prefix()),
        }
    }

    /// `x` `[batch, channels, height, width]` and the text `[texts, tokens, cross_attention_dim]` to
    /// `[texts, channels, height, width]`, where `texts` is `batch` or a multiple of it.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor, context: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let normed = self.norm.forward(x)?;
        let mut tokens = match &self.projection {
            // The reference looks at the convolution's map.
            Projection::Convolution { proj_in, .. } if self.in_probe.active() => {
                ops::to_tokens(&self.in_probe.see(proj_in.forward(&normed)?))?
            }
            Projection::Convolution { proj_in, .. } => proj_in.as_linear()?.forward_to_tokens(&normed)?,
            Projection::Linear { proj_in, .. } => self.in_probe.see(proj_in.forward_to_tokens(&normed)?),
        };
        for block in &self.blocks {
            tokens = block.forward(&tokens, context)?;
        }
        let x = spread(x, context.dim(0)?)?;
        // The reference looks at the layer before it is added.
        let sum = match &self.projection {
            Projection::Convolution { proj_out, .. } if self.out_probe.active() => {
                (self.out_probe.see(proj_out.forward(&ops::from_tokens(&tokens, height, width)?)?) + x)?
            }
            Projection::Linear { proj_out, .. } if self.out_probe.active() => {
                (ops::from_tokens(&self.out_probe.see(proj_out.forward(&tokens)?), height, width)? + x)?
            }
            Projection::Convolution { proj_out, .. } => proj_out.as_linear()?.forward_onto_map(&tokens, &x)?,
            Projection::Linear { proj_out, .. } => proj_out.forward_onto_map(&tokens, &x)?,
        };
        Ok(self.probe.see(sum))
    }
}

/// The rows of a batch, all of them again and again until there are `rows`.
///
/// # Errors
/// When that is no multiple of theirs.
pub fn spread(x: &Tensor, rows: usize) -> Result<Tensor> {
    let batch = x.dim(0)?;
    if batch == rows {
        return Ok(x.clone());
    }
    if batch == 0 || !rows.is_multiple_of(batch) {
        candle_core::bail!("a batch of {batch} cannot stand for {rows}")
    }
    Tensor::cat(&vec![x; rows / batch], 0)
}
