//! Prompts to what the `UNet` is told.

use candle_core::{D, Device, Result as TensorResult, Tensor};

use crate::domain::Result;
use crate::models::embeddings::{AddedCondition, Condition};
use crate::models::{Model, TextPart};
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

    fn ids(self) -> [f32; 6] {
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

/// Encodes prompts, one row each, for pictures of these sizes.
///
/// # Errors
/// When a text encoder fails.
pub fn encode_prompts(model: &Model, prompts: &[Texts<'_>], sizes: Sizes) -> Result<TextContext> {
    let firsts: Vec<&str> = prompts.iter().map(|texts| texts.first).collect();
    let (ids, cut) = tokens(&model.text, &firsts)?;
    let encode = || -> TensorResult<Condition> {
        let Some(second) = &model.text_2 else {
            return Ok(model.text.encoder.forward(&ids)?.last_hidden_state.into());
        };
        let seconds: Vec<&str> = prompts.iter().map(|texts| texts.second).collect();
        let (ids_2, _) = tokens(second, &seconds).map_err(candle_core::Error::wrap)?;
        let (first, second) = (model.text.encoder.forward(&ids)?, second.encoder.forward(&ids_2)?);
        let before_last = |states: &[Tensor]| states[states.len() - 2].clone(); // loading checks that there is a layer
        let (a, b) = (before_last(&first.hidden_states), before_last(&second.hidden_states));
        let Some(text_embeds) = second.text_embeds else { candle_core::bail!("no projection of the pooled text") };
        let time_ids = Tensor::from_vec(sizes.ids().repeat(prompts.len()), (prompts.len(), 6), &Device::Cpu)?;
        Ok(Condition {
            text: Tensor::cat(&[&a, &b], D::Minus1)?,
            added: Some(AddedCondition { text_embeds, time_ids }),
            guidance_scale: None,
        })
    };
    Ok(TextContext { condition: encode().map_err(engine_error)?, cut })
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
fn tokens(text: &TextPart, prompts: &[&str]) -> Result<(Vec<Vec<u32>>, Vec<usize>)> {
    let tokens = prompts.iter().map(|prompt| text.tokenizer.encode(prompt)).collect::<Result<Vec<_>>>()?;
    let cut = tokens.iter().map(|tokens| tokens.cut).collect();
    Ok((tokens.into_iter().map(|tokens| tokens.ids).collect(), cut))
}
