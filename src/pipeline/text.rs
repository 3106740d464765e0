//! Prompts to the vectors that the `UNet` looks at.

use candle_core::Tensor;

use crate::domain::Result;
use crate::models::TextPart;
use crate::nn::engine_error;

/// What the `UNet` is told of a batch of prompts.
pub struct TextContext {
    /// `[batch, tokens, width]`.
    pub context: Tensor,
    /// For each prompt, how many of its tokens did not fit and were cut off.
    pub cut: Vec<usize>,
}

/// Encodes prompts, one row each.
///
/// # Errors
/// When the text encoder fails.
pub fn encode_prompts(text: &TextPart, prompts: &[&str]) -> Result<TextContext> {
    let tokens = prompts.iter().map(|prompt| text.tokenizer.encode(prompt)).collect::<Result<Vec<_>>>()?;
    let ids: Vec<Vec<u32>> = tokens.iter().map(|tokens| tokens.ids.clone()).collect();
    let encoding = text.encoder.forward(&ids).map_err(engine_error)?;
    Ok(TextContext { context: encoding.last_hidden_state, cut: tokens.iter().map(|tokens| tokens.cut).collect() })
}
