//! [`LowRank`]: a trained change of a frozen layer (Hu et al. 2021, <https://arxiv.org/abs/2106.09685>).

use candle_core::{Result, Tensor};

use super::ops::{self, Change, ConvWay, Padding, Weight};

/// `scale · up · down`, added to a weight that stays as it is.
#[derive(Clone)]
pub struct LowRank {
    /// `[rank, in]`, or `[rank, in, kernel height, kernel width]` of a convolution.
    pub down: Tensor,
    /// `[out, rank]`, or `[out, rank, 1, 1]`.
    pub up: Tensor,
    /// What the product is multiplied with: alpha / rank.
    pub scale: f64,
}

impl LowRank {
    /// The change of a linear layer.
    pub(super) fn linear(
        &self,
        x: &Tensor,
        weight: &Weight,
        bias: Option<&Tensor>,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        let change = Change { down: &self.down, up: &self.up, scale: self.scale };
        ops::low_rank_linear(x, weight, bias, change, residual)
    }

    /// The change of a convolution of `x`, added to `base`, which is the convolution itself.
    pub(super) fn convolution(&self, x: &Tensor, way: ConvWay, base: &Tensor) -> Result<Tensor> {
        let inner = (ops::conv2d(x, &(&self.down).into(), None, None, way)? * self.scale)?;
        let once = ConvWay { stride: 1, padding: Padding::all(0), enlarged: false };
        ops::conv2d(&inner, &(&self.up).into(), None, Some(base), once)
    }

    /// The change of a 1×1 convolution as that of the linear layer that it is.
    pub(super) fn as_linear(&self) -> Result<Self> {
        Ok(Self { down: self.down.flatten_from(1)?, up: self.up.flatten_from(1)?, scale: self.scale })
    }
}
