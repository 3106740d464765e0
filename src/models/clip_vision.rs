//! The picture encoder: transformers' `CLIPVisionModel` (`models/clip/modeling_clip.py`).

use candle_core::{Result as TensorResult, Tensor};
use serde::Deserialize;

use super::clip::Activation;
use crate::domain::{Result, UserError};
use crate::nn::{Init, LayerNorm, Linear, Params, Weight, ops};

/// Beyond what any published picture encoder has; a larger number in a config.json is a fault.
const MOST: ClipVisionConfig = ClipVisionConfig {
    hidden_size: 8192,
    intermediate_size: 32768,
    num_hidden_layers: 128,
    num_attention_heads: 128,
    num_channels: 3,
    image_size: 1024,
    patch_size: 64,
    hidden_act: Activation::QuickGelu,
    layer_norm_eps: 1.0,
};

/// The structure of a picture encoder, as its `config.json` has it; a missing field has transformers' default.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClipVisionConfig {
    /// Width of its vectors.
    pub hidden_size: usize,
    /// Width inside the feed-forward parts.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads of each attention.
    pub num_attention_heads: usize,
    /// Channels of the picture.
    pub num_channels: usize,
    /// Sides of the picture, in px.
    pub image_size: usize,
    /// Sides of the squares that it is cut into, in px.
    pub patch_size: usize,
    /// The activation.
    pub hidden_act: Activation,
    /// Epsilon of the norms.
    pub layer_norm_eps: f64,
}

impl Default for ClipVisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

impl ClipVisionConfig {
    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// Names the field that does not.
    pub fn check(&self) -> Result<()> {
        let within = |number: usize, most: usize| (1..=most).contains(&number);
        let sound = [
            (within(self.hidden_size, MOST.hidden_size), "hidden_size"),
            (
                within(self.num_attention_heads, MOST.num_attention_heads)
                    && self.hidden_size.is_multiple_of(self.num_attention_heads),
                "num_attention_heads",
            ),
            (within(self.intermediate_size, MOST.intermediate_size), "intermediate_size"),
            (self.num_hidden_layers <= MOST.num_hidden_layers, "num_hidden_layers"),
            (self.num_channels == MOST.num_channels, "num_channels"),
            (within(self.patch_size, MOST.patch_size), "patch_size"),
            (within(self.image_size, MOST.image_size) && self.image_size.is_multiple_of(self.patch_size), "image_size"),
            (self.layer_norm_eps > 0.0 && self.layer_norm_eps <= MOST.layer_norm_eps, "layer_norm_eps"),
        ];
        match sound.iter().find(|(fits, _)| !fits) {
            Some((_, field)) => {
                Err(UserError::input(format!("The picture encoder's config.json cannot be used: {field} does not fit")))
            }
            None => Ok(()),
        }
    }

    /// Squares along a side.
    fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
}

/// Attention of every square to every other, and a feed-forward part.
struct EncoderLayer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    activation: Activation,
}

impl EncoderLayer {
    fn new(params: &Params, config: &ClipVisionConfig) -> Self {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let norm = |name: &str| LayerNorm::new(&params.pp(name), width, config.layer_norm_eps);
        let projection = |name: &str| Linear::new(&params.pp("self_attn").pp(name), width, width);
        Self {
            layer_norm1: norm("layer_norm1"),
            q_proj: projection("q_proj"),
            k_proj: projection("k_proj"),
            v_proj: projection("v_proj"),
            out_proj: projection("out_proj"),
            layer_norm2: norm("layer_norm2"),
            fc1: Linear::new(&params.pp("mlp.fc1"), width, inner),
            fc2: Linear::new(&params.pp("mlp.fc2"), inner, width),
            heads: config.num_attention_heads,
            activation: config.hidden_act,
        }
    }

    fn forward(&self, x: &Tensor) -> TensorResult<Tensor> {
        let normed = self.layer_norm1.forward(x)?;
        let (q, k, v) = (self.q_proj.forward(&normed)?, self.k_proj.forward(&normed)?, self.v_proj.forward(&normed)?);
        let x = (self.out_proj.forward(&ops::attention(&q, &k, &v, self.heads, false)?)? + x)?;
        let hidden = self.fc1.forward(&self.layer_norm2.forward(&x)?)?;
        let hidden = match self.activation {
            Activation::QuickGelu => ops::quick_gelu(&hidden)?,
            Activation::Gelu => ops::gelu(&hidden)?,
        };
        self.fc2.forward(&hidden)? + x
    }
}

/// The picture encoder.
pub struct ClipVisionEncoder {
    class_embedding: Tensor,
    patch_embedding: Tensor,
    position_embedding: Tensor,
    pre_layrnorm: LayerNorm,
    layers: Vec<EncoderLayer>,
    post_layernorm: LayerNorm,
    config: ClipVisionConfig,
}

impl ClipVisionEncoder {
    /// Builds the network from its weights; `params` is that of `vision_model`.
    #[must_use]
    pub fn new(params: &Params, config: &ClipVisionConfig) -> Self {
        let (width, patch, init) = (config.hidden_size, config.patch_size, Init::Normal(0.02));
        let embeddings = params.pp("embeddings");
        let layers = params.pp("encoder.layers");
        // The misspelling is the published name.
        let norm = |name: &str| LayerNorm::new(&params.pp(name), width, config.layer_norm_eps);
        Self {
            class_embedding: embeddings.get("class_embedding", &[width], init),
            patch_embedding: embeddings.pp("patch_embedding").get(
                "weight",
                &[width, config.num_channels, patch, patch],
                init,
            ),
            position_embedding: embeddings.pp("position_embedding").get(
                "weight",
                &[config.grid() * config.grid() + 1, width],
                init,
            ),
            pre_layrnorm: norm("pre_layrnorm"),
            layers: (0..config.num_hidden_layers).map(|i| EncoderLayer::new(&layers.pp(i), config)).collect(),
            post_layernorm: norm("post_layernorm"),
            config: config.clone(),
        }
    }

    /// Its structure.
    #[must_use]
    pub fn config(&self) -> &ClipVisionConfig {
        &self.config
    }

    /// Prepared pictures `[batch, 3, image_size, image_size]` to one vector each, `[batch, hidden_size]`: the last
    /// layer's output at the class token, normalised (`pooler_output`).
    ///
    /// # Errors
    /// When the pictures have another size.
    pub fn forward(&self, pixels: &Tensor) -> TensorResult<Tensor> {
        let batch = pixels.dim(0)?;
        let class = self.class_embedding.reshape((1, 1, ()))?.repeat((batch, 1, 1))?;
        let embedded = Tensor::cat(&[&class, &self.embed(pixels)?], 1)?.broadcast_add(&self.position_embedding)?;
        let mut x = self.pre_layrnorm.forward(&embedded)?; // [batch, 1 + squares, hidden]
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        self.post_layernorm.forward(&x.narrow(1, 0, 1)?.squeeze(1)?)
    }

    /// Each square's vector, `[batch, squares, hidden_size]`. A convolution whose stride is its kernel's size is a
    /// linear layer on each square.
    fn embed(&self, pixels: &Tensor) -> TensorResult<Tensor> {
        let ClipVisionConfig { num_channels: channels, patch_size: patch, .. } = self.config;
        let (batch, grid) = (pixels.dim(0)?, self.config.grid());
        let squares = pixels
            .reshape(vec![batch, channels, grid, patch, grid, patch])?
            .permute(vec![0, 2, 4, 1, 3, 5])? // [batch, grid, grid, channels, patch, patch]
            .reshape((batch, grid * grid, channels * patch * patch))?;
        ops::linear(&squares, &Weight::from(&self.patch_embedding.flatten_from(1)?), None, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ops::{ConvWay, Padding};
    use candle_core::Device;

    #[test]
    fn missing_fields_have_the_published_defaults() {
        let config: ClipVisionConfig = serde_json::from_str(r#"{"hidden_size": 1024, "dropout": 0.0}"#).unwrap();
        assert_eq!(config, ClipVisionConfig { hidden_size: 1024, ..ClipVisionConfig::default() });
    }

    #[test]
    fn numbers_that_do_not_fit_are_named() {
        ClipVisionConfig::default().check().unwrap();
        for (field, value) in [
            ("hidden_size", 100_000),
            ("num_attention_heads", 0),
            ("num_attention_heads", 7),
            ("intermediate_size", 0),
            ("num_hidden_layers", 1000),
            ("num_channels", 4),
            ("patch_size", 0),
            ("image_size", 225),
        ] {
            let config: ClipVisionConfig = serde_json::from_value(serde_json::json!({ field: value })).unwrap();
            let error = config.check().unwrap_err();
            assert!(error.sentence.contains(field), "{error}");
        }
    }

    #[test]
    fn squares_are_embedded_as_the_convolution_does() {
        let config = ClipVisionConfig {
            hidden_size: 4,
            intermediate_size: 4,
            num_hidden_layers: 0,
            num_attention_heads: 1,
            image_size: 6,
            patch_size: 3,
            ..ClipVisionConfig::default()
        };
        let params = Params::fresh(|name, elements, _| {
            (0..elements).map(|i| ((i * 7 + name.len()) % 11) as f32 / 11.0 - 0.4).collect()
        });
        let encoder = ClipVisionEncoder::new(&params, &config);
        let pixels = Tensor::arange(0f32, 216.0, &Device::Cpu).unwrap().reshape((2, 3, 6, 6)).unwrap();
        let way = ConvWay { stride: 3, padding: Padding::all(0), enlarged: false };
        let convolved = ops::conv2d(&pixels, &Weight::from(&encoder.patch_embedding), None, None, way).unwrap();
        let expected = convolved.flatten_from(2).unwrap().transpose(1, 2).unwrap();
        let difference = (encoder.embed(&pixels).unwrap() - expected).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-3);
    }
}
