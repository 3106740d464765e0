//! Prompts to what the `UNet` is told.

use candle_core::{D, Device, Result as TensorResult, Tensor};

use super::embeddings::{AddedCondition, Condition};
use super::load::{Model, TextPart};
use crate::domain::Result;
use crate::nn::engine_error;

/// Sizes that Stable Diffusion XL is told, each as height and width or top and left, in px.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Of the picture before it was scaled and cropped, as it is to be imagined.
    pub original: (u32, u32),
    /// Where it was cropped.
    pub crop: (u32, u32),
    /// Of the picture.
    pub target: (u32, u32),
}

impl Sizes {
    /// A whole picture of this height and width.
    #[must_use]
    pub fn whole(height_px: u32, width_px: u32) -> Self {
        Self { original: (height_px, width_px), crop: (0, 0), target: (height_px, width_px) }
    }

    /// As the network reads them.
    #[must_use]
    pub fn ids(self) -> [f32; 6] {
        let Self { original, crop, target } = self;
        [original.0, original.1, crop.0, crop.1, target.0, target.1].map(|px| px as f32)
    }
}

/// A prompt for each text encoder; those of one encoder read the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Texts<'a> {
    /// For the first.
    pub first: &'a str,
    /// For the second.
    pub second: &'a str,
}

impl<'a> From<&'a str> for Texts<'a> {
    fn from(text: &'a str) -> Self {
        Self { first: text, second: text }
    }
}

/// What the `UNet` is told of a batch of prompts.
pub struct TextContext {
    /// The prompts, one row each.
    pub condition: Condition,
    /// For each prompt, how many of its tokens did not fit and were cut off.
    pub cut: Vec<usize>,
}

/// Rows of token ids, all of one length, for each text encoder.
pub struct Ids {
    /// For the first.
    pub first: Vec<Vec<u32>>,
    /// For the second, where there is one: as many.
    pub second: Vec<Vec<u32>>,
}

/// Encodes prompts, one row each, for pictures of these sizes. What is too long is cut, as in diffusers.
///
/// # Errors
/// When a text encoder fails.
pub fn encode_prompts(model: &Model, prompts: &[Texts<'_>], sizes: Sizes) -> Result<TextContext> {
    let firsts: Vec<&str> = prompts.iter().map(|texts| texts.first).collect();
    let (first, cut) = tokens(&model.text, &firsts)?;
    let second = match &model.text_2 {
        Some(part) => tokens(part, &prompts.iter().map(|texts| texts.second).collect::<Vec<_>>())?.0,
        None => Vec::new(),
    };
    Ok(TextContext { condition: encode_ids(model, &Ids { first, second }, sizes, 0)?, cut })
}

/// Encodes rows of token ids, for pictures of these sizes. `clip_skip` is how many layers more than usual are left out
/// at the encoders' ends.
///
/// # Errors
/// When a text encoder fails, or has not as many layers.
pub fn encode_ids(model: &Model, ids: &Ids, sizes: Sizes, clip_skip: usize) -> Result<Condition> {
    let encode = || -> TensorResult<Condition> {
        let first = model.text.encoder.forward(&ids.first)?;
        let Some(second) = &model.text_2 else {
            return Ok(model.text.encoder.skip_layers(&first, clip_skip)?.into());
        };
        let second = second.encoder.forward(&ids.second)?;
        let before_last = |states: &[Tensor]| match states.iter().rev().nth(1 + clip_skip) {
            Some(state) => Ok(state.clone()),
            None => candle_core::bail!("a text encoder has no more than {clip_skip} layers"),
        };
        let (a, b) = (before_last(&first.hidden_states)?, before_last(&second.hidden_states)?);
        let Some(text_embeds) = second.text_embeds else { candle_core::bail!("no projection of the pooled text") };
        let rows = ids.first.len();
        let time_ids = Tensor::from_vec(sizes.ids().repeat(rows), (rows, 6), &Device::Cpu)?;
        Ok(Condition {
            text: Tensor::cat(&[&a, &b], D::Minus1)?,
            added: Some(AddedCondition { text_embeds, time_ids }),
            guidance_scale: None,
        })
    };
    encode().map_err(engine_error)
}

/// The condition of a negative prompt that is not given, where the model was trained to be told zeros then.
///
/// # Errors
/// Never on a CPU.
pub fn nothing_said(condition: &Condition) -> Result<Condition> {
    let zeros = || -> TensorResult<Condition> {
        let added = match &condition.added {
            Some(added) => {
                Some(AddedCondition { text_embeds: added.text_embeds.zeros_like()?, time_ids: added.time_ids.clone() })
            }
            None => None,
        };
        Ok(Condition { text: condition.text.zeros_like()?, added, guidance_scale: condition.guidance_scale })
    };
    zeros().map_err(engine_error)
}

/// Token ids of each prompt, and how many did not fit.
///
/// # Errors
/// When the tokenizer fails, which no text makes it do.
pub fn tokens(text: &TextPart, prompts: &[&str]) -> Result<(Vec<Vec<u32>>, Vec<usize>)> {
    let tokens = prompts.iter().map(|prompt| text.tokenizer.encode(prompt)).collect::<Result<Vec<_>>>()?;
    let cut = tokens.iter().map(|tokens| tokens.cut).collect();
    Ok((tokens.into_iter().map(|tokens| tokens.ids).collect(), cut))
}
