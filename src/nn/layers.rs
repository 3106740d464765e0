//! The layers that every network here is made of. Names and defaults are `PyTorch`'s.

use candle_core::{Result, Tensor};

use super::ops::{self, ConvWay, Convolved, GroupNormWay, Normed, Padding, Weight};
use super::{Init, LowRank, Params, shared_norms};

/// `y = x Wᵀ + b` over the last dimension.
pub struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
    /// What is trained of it while it is frozen itself.
    low_rank: Option<LowRank>,
}

impl Linear {
    /// With a bias.
    #[must_use]
    pub fn new(params: &Params, in_features: usize, out_features: usize) -> Self {
        let linear = Self::no_bias(params, in_features, out_features);
        Self { bias: Some(params.get("bias", &[out_features], uniform(in_features))), ..linear }
    }

    /// Without a bias.
    #[must_use]
    pub fn no_bias(params: &Params, in_features: usize, out_features: usize) -> Self {
        let weight = params.get_stored("weight", &[out_features, in_features], uniform(in_features));
        Self { weight, bias: None, low_rank: params.low_rank() }
    }

    /// `[…, in]` to `[…, out]`.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.apply(x, None)
    }

    fn apply(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        match &self.low_rank {
            Some(change) => change.linear(x, &self.weight, self.bias.as_ref(), residual),
            None => ops::linear(x, &self.weight, self.bias.as_ref(), residual),
        }
    }

    /// The same, added to `residual` `[…, out]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.apply(x, Some(residual))
    }

    /// The first half of the result times the GELU of the second: `[…, in]` to `[…, out / 2]`.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn forward_geglu(&self, x: &Tensor) -> Result<Tensor> {
        match &self.low_rank {
            Some(_) => ops::geglu(&self.forward(x)?),
            None => ops::linear_geglu(x, &self.weight, self.bias.as_ref()),
        }
    }

    /// At each px of a map: `[batch, in, height, width]` to tokens `[batch, height * width, out]`.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn forward_to_tokens(&self, x: &Tensor) -> Result<Tensor> {
        match &self.low_rank {
            Some(_) => self.forward(&ops::to_tokens(x)?),
            None => ops::map_to_tokens_linear(x, &self.weight, self.bias.as_ref()),
        }
    }

    /// Tokens `[batch, height * width, in]` back to a map, added to `residual` `[batch, out, height, width]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_onto_map(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        match &self.low_rank {
            Some(_) => {
                let (_, _, height, width) = residual.dims4()?;
                ops::from_tokens(&self.forward(x)?, height, width)? + residual
            }
            None => ops::tokens_to_map_linear(x, &self.weight, self.bias.as_ref(), residual),
        }
    }
}

/// A 2-D convolution with a bias and a square kernel.
pub struct Conv2d {
    weight: Weight,
    bias: Tensor,
    way: ConvWay,
    /// What is trained of it while it is frozen itself.
    low_rank: Option<LowRank>,
}

impl Conv2d {
    /// Zero padding of `padding` px on every side.
    #[must_use]
    pub fn new(params: &Params, channels: (usize, usize), kernel: usize, stride: usize, padding: usize) -> Self {
        let padding = Padding { top: padding, bottom: padding, left: padding, right: padding };
        Self::padded(params, channels, kernel, stride, padding)
    }

    /// Zero padding side by side.
    #[must_use]
    pub fn padded(
        params: &Params,
        (in_channels, out_channels): (usize, usize),
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> Self {
        let init = uniform(in_channels * kernel * kernel);
        Self {
            weight: params.get_stored("weight", &[out_channels, in_channels, kernel, kernel], init),
            bias: params.get("bias", &[out_channels], init),
            way: ConvWay { stride, padding, enlarged: false },
            low_rank: params.low_rank(),
        }
    }

    /// `[batch, in, height, width]` to `[batch, out, out_height, out_width]`.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.apply(x, None, self.way)
    }

    fn apply(&self, x: &Tensor, residual: Option<&Tensor>, way: ConvWay) -> Result<Tensor> {
        let base = ops::conv2d(x, &self.weight, Some(&self.bias), residual, way)?;
        match &self.low_rank {
            Some(change) => change.convolution(x, way, &base),
            None => Ok(base),
        }
    }

    /// The same, added to `residual`, which has the result's shape.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.apply(x, Some(residual), self.way)
    }

    /// This 1×1 convolution as the linear layer that it is.
    ///
    /// # Errors
    /// When its kernel is larger.
    pub fn as_linear(&self) -> Result<Linear> {
        let (out_features, in_features, _, _) = self.weight.dims4()?;
        let weight = self.weight.reshaped((out_features, in_features))?;
        let low_rank = self.low_rank.as_ref().map(LowRank::as_linear).transpose()?;
        Ok(Linear { weight, bias: Some(self.bias.clone()), low_rank })
    }

    /// The same of `x` enlarged to twice its sides by nearest neighbours.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn forward_enlarged(&self, x: &Tensor) -> Result<Tensor> {
        self.apply(x, None, ConvWay { enlarged: true, ..self.way })
    }
}

/// Normalisation over groups of channels.
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// Over `groups` groups of `channels`.
    #[must_use]
    pub fn new(params: &Params, groups: usize, channels: usize, eps: f64) -> Self {
        Self {
            weight: params.get_exact("weight", &[channels], Init::Ones),
            bias: params.get_exact("bias", &[channels], Init::Zeros),
            groups,
            eps,
        }
    }

    /// `[batch, channels, …]` to the same.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        shared_norms::group_norm(x, self.normed(false))
    }

    /// The same, followed by `SiLU`.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn forward_silu(&self, x: &Tensor) -> Result<Tensor> {
        shared_norms::group_norm(x, self.normed(true))
    }

    /// The same of the sum of `x` and `shift` `[batch, channels]`, with `SiLU` and a convolution behind it, added to
    /// `residual`, which has the result's shape.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_silu_conv(
        &self,
        x: &Tensor,
        shift: Option<&Tensor>,
        conv: &Conv2d,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        if conv.low_rank.is_some() {
            let shifted = shift.map(|shift| ops::add_channels(x, shift)).transpose()?;
            let normed = self.forward_silu(shifted.as_ref().unwrap_or(x))?;
            return conv.apply(&normed, residual, conv.way);
        }
        let conv = Convolved { weight: &conv.weight, bias: &conv.bias, way: conv.way };
        shared_norms::norm_conv2d(x, shift, self.normed(true), conv, residual)
    }

    fn normed(&self, silu: bool) -> Normed<'_> {
        let way = GroupNormWay { groups: self.groups, eps: self.eps, silu };
        Normed { weight: &self.weight, bias: &self.bias, way }
    }
}

/// Normalisation over the last dimension.
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Over `width` values.
    #[must_use]
    pub fn new(params: &Params, width: usize, eps: f64) -> Self {
        Self {
            weight: params.get_exact("weight", &[width], Init::Ones),
            bias: params.get_exact("bias", &[width], Init::Zeros),
            eps,
        }
    }

    /// `[…, width]` to the same.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}

/// A table of vectors.
pub struct Embedding {
    weight: Weight,
}

impl Embedding {
    /// `count` vectors of `width`.
    #[must_use]
    pub fn new(params: &Params, count: usize, width: usize) -> Self {
        Self { weight: params.get_stored("weight", &[count, width], Init::Normal(0.02)) }
    }

    /// Ids (u32) `[…]` to vectors `[…, width]`.
    ///
    /// # Errors
    /// When an id is not in the table.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let mut shape = ids.dims().to_vec();
        shape.push(self.weight.dims2()?.1);
        self.weight.rows(&ids.flatten_all()?)?.reshape(shape)
    }
}

/// `PyTorch`'s default for linear layers and convolutions: `kaiming_uniform(a = √5)`, which is ±1/√`fan_in`.
fn uniform(fan_in: usize) -> Init {
    Init::Uniform(1.0 / (fan_in.max(1) as f32).sqrt())
}
