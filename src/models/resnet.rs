//! Residual blocks and the changes of size between them, shared by the `UNet` and the autoencoder.
//!
//! As diffusers' `ResnetBlock2D`, `Downsample2D` and `Upsample2D` (`models/resnet.py`, `downsampling.py`,
//! `upsampling.py`).

use candle_core::{Result, Tensor};

use crate::nn::ops::{self, Padding};
use crate::nn::probe::Probe;
use crate::nn::{Conv2d, GroupNorm, Linear, Params};

/// Norm, `SiLU`, convolution, twice, with the timestep's embedding added between, and a way around.
pub struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
    probe: Probe,
}

/// What a residual block is made of.
#[derive(Clone, Copy)]
pub struct ResnetSize {
    /// Channels that come in.
    pub in_channels: usize,
    /// Channels that go out.
    pub out_channels: usize,
    /// Width of the timestep's embedding; `None` in an autoencoder.
    pub time_embed_dim: Option<usize>,
    /// Groups of the norms.
    pub groups: usize,
    /// Epsilon of the norms.
    pub eps: f64,
}

impl ResnetBlock {
    /// Builds the block from its weights.
    #[must_use]
    pub fn new(params: &Params, size: ResnetSize) -> Self {
        let ResnetSize { in_channels, out_channels, time_embed_dim, groups, eps } = size;
        Self {
            norm1: GroupNorm::new(&params.pp("norm1"), groups, in_channels, eps),
            conv1: Conv2d::new(&params.pp("conv1"), (in_channels, out_channels), 3, 1, 1),
            time_emb_proj: time_embed_dim.map(|dim| Linear::new(&params.pp("time_emb_proj"), dim, out_channels)),
            norm2: GroupNorm::new(&params.pp("norm2"), groups, out_channels, eps),
            conv2: Conv2d::new(&params.pp("conv2"), (out_channels, out_channels), 3, 1, 1),
            conv_shortcut: (in_channels != out_channels)
                .then(|| Conv2d::new(&params.pp("conv_shortcut"), (in_channels, out_channels), 1, 1, 0)),
            probe: Probe::new(params.prefix()),
        }
    }

    /// `x` `[batch, in, height, width]` and the activated embedding `[batch, time_embed_dim]` to
    /// `[batch, out, height, width]`. The embedding has `SiLU` behind it already: it is the same for every block. `x` is
    /// given away, so that a large map need not outlive its use.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: Tensor, activated_embedding: Option<&Tensor>) -> Result<Tensor> {
        let hidden = self.norm1.forward_silu_conv(&x, None, &self.conv1, None)?;
        let shift = match (&self.time_emb_proj, activated_embedding) {
            (Some(projection), Some(embedding)) => Some(projection.forward(embedding)?), // [batch, out]
            _ => None,
        };
        let around = match &self.conv_shortcut {
            Some(conv) => {
                let around = conv.forward(&x)?;
                drop(x);
                around
            }
            None => x,
        };
        Ok(self.probe.see(self.norm2.forward_silu_conv(&hidden, shift.as_ref(), &self.conv2, Some(&around))?))
    }
}

/// Halves both sides by a convolution of stride 2.
pub struct Downsample {
    conv: Conv2d,
    probe: Probe,
}

impl Downsample {
    /// As in the `UNet`: one px of padding on every side. `params` is that of `downsamplers.0`.
    #[must_use]
    pub fn new(params: &Params, channels: usize) -> Self {
        let conv = Conv2d::new(&params.pp("conv"), (channels, channels), 3, 2, 1);
        Self { conv, probe: Probe::new(params.prefix()) }
    }

    /// As in the autoencoder: one px of padding at the right and at the bottom only.
    #[must_use]
    pub fn asymmetric(params: &Params, channels: usize) -> Self {
        let padding = Padding { top: 0, bottom: 1, left: 0, right: 1 };
        let conv = Conv2d::padded(&params.pp("conv"), (channels, channels), 3, 2, padding);
        Self { conv, probe: Probe::new(params.prefix()) }
    }

    /// `[batch, channels, height, width]` to half the height and width.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.probe.see(self.conv.forward(x)?))
    }
}

/// Enlarges by repeating px, then convolves.
pub struct Upsample {
    conv: Conv2d,
    probe: Probe,
}

impl Upsample {
    /// `params` is that of `upsamplers.0`.
    #[must_use]
    pub fn new(params: &Params, channels: usize) -> Self {
        let conv = Conv2d::new(&params.pp("conv"), (channels, channels), 3, 1, 1);
        Self { conv, probe: Probe::new(params.prefix()) }
    }

    /// `[batch, channels, height, width]` to `[batch, channels, to_height, to_width]`.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn forward(&self, x: &Tensor, (to_height, to_width): (usize, usize)) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let larger = if (to_height, to_width) == (2 * height, 2 * width) {
            self.conv.forward_enlarged(x)?
        } else {
            self.conv.forward(&ops::upsample_nearest(x, to_height, to_width)?)?
        };
        Ok(self.probe.see(larger))
    }
}
