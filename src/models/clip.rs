//! The text encoder: transformers' `CLIPTextModel` (`models/clip/modeling_clip.py`).

use candle_core::{Device, IndexOp, Result as TensorResult, Tensor};
use serde::Deserialize;

use crate::domain::{Result, UserError};
use crate::nn::{Embedding, LayerNorm, Linear, Params, Place, ops};

/// The activation between the two layers of an encoder layer's feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x sigmoid(1.702 x)`: `OpenAI`'s CLIP.
    QuickGelu,
    /// The exact GELU: `OpenCLIP`.
    Gelu,
}

/// The structure of a text encoder, as its `config.json` has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClipTextConfig {
    /// Number of tokens it knows.
    pub vocab_size: usize,
    /// Width of its vectors.
    pub hidden_size: usize,
    /// Width inside the feed-forward parts.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads of each attention.
    pub num_attention_heads: usize,
    /// Longest row of tokens.
    #[serde(default = "default_positions")]
    pub max_position_embeddings: usize,
    /// The activation.
    #[serde(default = "default_activation")]
    pub hidden_act: Activation,
    /// Epsilon of the norms.
    #[serde(default = "default_eps")]
    pub layer_norm_eps: f64,
    /// The token that ends a prompt. Published Stable Diffusion 1 files say 2, which is wrong and means "the largest id".
    #[serde(default = "default_eos")]
    pub eos_token_id: u32,
    /// The class that wrote the file; only `CLIPTextModelWithProjection` has a projection.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// Width of the projected text.
    #[serde(default)]
    pub projection_dim: Option<usize>,
}

fn default_positions() -> usize {
    77
}
fn default_activation() -> Activation {
    Activation::QuickGelu
}
fn default_eps() -> f64 {
    1e-5
}
fn default_eos() -> u32 {
    49407
}

impl ClipTextConfig {
    /// Width of [`TextEncoding::text_embeds`], where there are any.
    #[must_use]
    pub fn projected(&self) -> Option<usize> {
        let with_projection = self.architectures.iter().any(|name| name == "CLIPTextModelWithProjection");
        self.projection_dim.filter(|width| with_projection && *width > 0)
    }

    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// Names the field that does not.
    pub fn check(&self) -> Result<()> {
        let sound = [
            (self.vocab_size > 0, "vocab_size"),
            (
                self.num_attention_heads > 0
                    && self.hidden_size > 0
                    && self.hidden_size.is_multiple_of(self.num_attention_heads),
                "num_attention_heads",
            ),
            (self.intermediate_size > 0, "intermediate_size"),
            (self.num_hidden_layers <= 64, "num_hidden_layers"),
            (self.max_position_embeddings >= 3, "max_position_embeddings"),
        ];
        match sound.iter().find(|(fits, _)| !fits) {
            Some((_, field)) => {
                Err(UserError::input(format!("The text encoder's config.json cannot be used: {field} does not fit")))
            }
            None => Ok(()),
        }
    }
}

struct SelfAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    heads: usize,
}

struct EncoderLayer {
    layer_norm1: LayerNorm,
    self_attn: SelfAttention,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
}

impl EncoderLayer {
    fn new(params: &Params, config: &ClipTextConfig) -> Self {
        let width = config.hidden_size;
        let (attention, mlp) = (params.pp("self_attn"), params.pp("mlp"));
        let projection = |name: &str| Linear::new(&attention.pp(name), width, width);
        Self {
            layer_norm1: LayerNorm::new(&params.pp("layer_norm1"), width, config.layer_norm_eps),
            self_attn: SelfAttention {
                q_proj: projection("q_proj"),
                k_proj: projection("k_proj"),
                v_proj: projection("v_proj"),
                out_proj: projection("out_proj"),
                heads: config.num_attention_heads,
            },
            layer_norm2: LayerNorm::new(&params.pp("layer_norm2"), width, config.layer_norm_eps),
            fc1: Linear::new(&mlp.pp("fc1"), width, config.intermediate_size),
            fc2: Linear::new(&mlp.pp("fc2"), config.intermediate_size, width),
            activation: config.hidden_act,
        }
    }

    fn forward(&self, x: &Tensor) -> TensorResult<Tensor> {
        let normed = self.layer_norm1.forward(x)?;
        let attention = &self.self_attn;
        let (q, k, v) = (
            attention.q_proj.forward(&normed)?,
            attention.k_proj.forward(&normed)?,
            attention.v_proj.forward(&normed)?,
        );
        let x = attention.out_proj.forward_onto(&ops::attention(&q, &k, &v, attention.heads, true)?, x)?;
        let hidden = self.fc1.forward(&self.layer_norm2.forward(&x)?)?;
        let hidden = match self.activation {
            Activation::QuickGelu => ops::quick_gelu(&hidden)?,
            Activation::Gelu => ops::gelu(&hidden)?,
        };
        self.fc2.forward_onto(&hidden, &x)
    }
}

/// What the text encoder says of a batch of prompts.
pub struct TextEncoding {
    /// The embeddings, then the output of each layer, without the final norm: `layers + 1` times
    /// `[batch, tokens, hidden_size]`.
    pub hidden_states: Vec<Tensor>,
    /// The last layer's output behind the final norm, `[batch, tokens, hidden_size]`: Stable Diffusion 1's context.
    pub last_hidden_state: Tensor,
    /// Its vector at the end token, `[batch, hidden_size]`.
    pub pooled: Tensor,
    /// The same, projected, where the encoder has a projection: `[batch, projection_dim]`.
    pub text_embeds: Option<Tensor>,
}

/// The text encoder.
pub struct ClipTextEncoder {
    token_embedding: Embedding,
    position_embedding: Tensor,
    layers: Vec<EncoderLayer>,
    final_layer_norm: LayerNorm,
    text_projection: Option<Linear>,
    /// Vectors of words beyond the vocabulary, `[words][hidden_size]`.
    words: Vec<Vec<f32>>,
    config: ClipTextConfig,
    place: Place,
}

impl ClipTextEncoder {
    /// Builds the network from its weights; `params` is that of `text_model`, where the projection stands too.
    #[must_use]
    pub fn new(params: &Params, config: &ClipTextConfig) -> Self {
        let embeddings = params.pp("embeddings");
        let layers = params.pp("encoder.layers");
        let positions = [config.max_position_embeddings, config.hidden_size];
        Self {
            token_embedding: Embedding::new(&embeddings.pp("token_embedding"), config.vocab_size, config.hidden_size),
            position_embedding: embeddings.pp("position_embedding").get(
                "weight",
                &positions,
                crate::nn::Init::Normal(0.02),
            ),
            layers: (0..config.num_hidden_layers).map(|i| EncoderLayer::new(&layers.pp(i), config)).collect(),
            final_layer_norm: LayerNorm::new(&params.pp("final_layer_norm"), config.hidden_size, config.layer_norm_eps),
            text_projection: config
                .projected()
                .map(|width| Linear::no_bias(&params.pp("text_projection"), config.hidden_size, width)),
            words: Vec::new(),
            config: config.clone(),
            place: params.place().clone(),
        }
    }

    /// Teaches it the vectors of ids beyond its vocabulary (textual inversion), `[words][hidden_size]`, in the place of
    /// those that it was taught before.
    ///
    /// # Errors
    /// When a vector has another length.
    pub fn set_words(&mut self, words: Vec<Vec<f32>>) -> Result<()> {
        let width = self.config.hidden_size;
        if let Some(word) = words.iter().find(|word| word.len() != width) {
            let sentence =
                format!("Its vectors have {} numbers, but this model's text encoder reads {width}", word.len());
            return Err(UserError::input(sentence).hint("it was made for another family of models"));
        }
        self.words = words;
        Ok(())
    }

    /// Where it computes.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its structure.
    #[must_use]
    pub fn config(&self) -> &ClipTextConfig {
        &self.config
    }

    /// The vectors that [`ClipTextEncoder::set_words`] taught it.
    #[must_use]
    pub fn words(&self) -> &[Vec<f32>] {
        &self.words
    }

    /// The vectors of rows of ids, `[rows, tokens, hidden_size]`. Ids from the vocabulary's end on are the taught words.
    fn embed(&self, ids: &[Vec<u32>]) -> TensorResult<Tensor> {
        let (tokens, width) = (ids.first().map_or(0, Vec::len), self.config.hidden_size);
        let flat: Vec<u32> = ids.concat();
        let taught = |id: u32| (id as usize).checked_sub(self.config.vocab_size).and_then(|word| self.words.get(word));
        // A word that is taught stands on the place of token 0 meanwhile.
        let known: Vec<u32> = flat.iter().map(|id| if taught(*id).is_some() { 0 } else { *id }).collect();
        let embedded = self.token_embedding.forward(&Tensor::from_vec(known, (ids.len(), tokens), &Device::Cpu)?)?;
        if !flat.iter().any(|id| taught(*id).is_some()) {
            return Ok(embedded);
        }
        let mut values: Vec<f32> = self.place.leave(&embedded)?.flatten_all()?.to_vec1()?;
        for (vector, id) in values.chunks_exact_mut(width).zip(&flat) {
            if let Some(word) = taught(*id) {
                vector.copy_from_slice(word);
            }
        }
        Tensor::from_vec(values, (ids.len(), tokens, width), &Device::Cpu)
    }

    /// Encodes rows of token ids, all of one length.
    ///
    /// # Errors
    /// When an id is neither in the vocabulary nor a taught word, or a row is empty or too long.
    pub fn forward(&self, ids: &[Vec<u32>]) -> TensorResult<TextEncoding> {
        self.place.run(|| self.computed(ids))
    }

    fn computed(&self, ids: &[Vec<u32>]) -> TensorResult<TextEncoding> {
        let tokens = ids.first().map_or(0, Vec::len);
        let positions = self.position_embedding.narrow(0, 0, tokens)?;
        let leave = |x: &Tensor| self.place.leave(x);
        // Trained ones are in f32.
        let positions = self.place.enter(&positions)?;
        let mut x = self.place.enter(&self.embed(ids)?)?.broadcast_add(&positions)?;
        let mut hidden_states = vec![leave(&x)?];
        for layer in &self.layers {
            x = layer.forward(&x)?;
            hidden_states.push(leave(&x)?);
        }
        let last_hidden_state = self.final_layer_norm.forward(&x)?;
        let ends = ids
            .iter()
            .enumerate()
            .map(|(row, ids)| last_hidden_state.i((row, self.end(ids))))
            .collect::<TensorResult<Vec<_>>>()?;
        let pooled = Tensor::stack(&ends, 0)?;
        let text_embeds = self.text_projection.as_ref().map(|projection| projection.forward(&pooled)).transpose()?;
        Ok(TextEncoding {
            hidden_states,
            last_hidden_state: leave(&last_hidden_state)?,
            pooled: leave(&pooled)?,
            text_embeds: text_embeds.as_ref().map(leave).transpose()?,
        })
    }

    /// The output of the layer that stands `skip` before the last, behind the final norm ("clip skip"; 0 is
    /// [`TextEncoding::last_hidden_state`] again): `[batch, tokens, hidden_size]`.
    ///
    /// # Errors
    /// When there are not as many layers.
    pub fn skip_layers(&self, encoding: &TextEncoding, skip: usize) -> TensorResult<Tensor> {
        match encoding.hidden_states.iter().rev().nth(skip) {
            Some(hidden) => {
                let hidden = self.place.enter(hidden)?;
                self.place.run(|| self.place.leave(&self.final_layer_norm.forward(&hidden)?))
            }
            None => candle_core::bail!("the text encoder has fewer than {skip} layers"),
        }
    }

    /// Where a row's prompt ends. With the published `eos_token_id` of 2 that is the largest id, else the first end token.
    fn end(&self, ids: &[u32]) -> usize {
        if self.config.eos_token_id == 2 {
            let largest = ids.iter().filter(|id| (**id as usize) < self.config.vocab_size).max();
            ids.iter().position(|id| Some(id) == largest).unwrap_or(0)
        } else {
            ids.iter().position(|id| *id == self.config.eos_token_id).unwrap_or(0)
        }
    }
}
