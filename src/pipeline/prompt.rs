//! A request's prompts, in the web UI's syntax, to what the network is told at each step.

use std::ops::Range;

use candle_core::{Result as TensorResult, Tensor};

use super::denoise::{Conditioning, Scheduled};
use super::finite;
use crate::domain::prompt::{Chunks, Piece, Prompt, PromptPart, SpecialIds, apply_emphasis, chunks, find_word};
use crate::domain::{GenerateRequest, Result};
use crate::models::embeddings::{AddedCondition, Condition};
use crate::models::text::{Ids, Sizes, encode_ids, nothing_said};
use crate::models::{Model, Part, TextPart};
use crate::nn::engine_error;

/// What the network is told of a request's prompts at each of `steps` steps, and what of them could not be followed.
///
/// # Errors
/// When a text encoder fails.
pub fn condition(model: &Model, request: &GenerateRequest, steps: u32) -> Result<(Conditioning, Vec<String>)> {
    let prompt = Prompt::parse(&request.prompt, steps);
    let negative = Prompt::parse_negative(&request.negative_prompt, steps);
    // A guidance of 1 or less would throw the negative prompt's prediction away, but several prompts are joined by how
    // they differ from it. Networks that were distilled to follow a scale are told it instead.
    let follows_scale = model.unet.config().time_cond_proj_dim.is_some();
    let is_joined = prompt.parts.len() > 1 || prompt.parts.iter().any(|part| part.weight != 1.0);
    let guided = (request.guidance_scale > 1.0 || is_joined) && !follows_scale;
    let mut notices: Vec<String> = prompt.problems.iter().map(ToString::to_string).collect();
    if guided {
        notices.extend(negative.problems.iter().map(ToString::to_string));
    }
    let encoder = Encoder {
        model,
        specials: [Some(&model.text), model.text_2.as_ref()]
            .into_iter()
            .flatten()
            .map(|part| special(model, part))
            .collect(),
        sizes: Sizes::whole(request.height_px, request.width_px),
        clip_skip: request.clip_skip as usize,
    };
    // All texts have as many chunks as the longest: what is evaluated together has one length.
    let mut texts: Vec<Vec<Vec<Chunks>>> = Vec::new();
    let parts: Vec<&PromptPart> = if guided { &negative.parts[..] } else { &[] }.iter().chain(&prompt.parts).collect();
    for part in &parts {
        texts.push(part.texts.iter().map(|text| encoder.chunks(&text.pieces)).collect::<Result<_>>()?);
    }
    let longest = texts.iter().flatten().flatten().map(|text| text.chunks.len()).max().unwrap_or(1);
    let mut scheduled = Vec::with_capacity(parts.len());
    for (part, texts) in parts.iter().zip(texts) {
        let mut conditions = Vec::with_capacity(texts.len());
        for text in texts {
            let mut condition = encoder.encode(text, longest)?;
            condition.guidance_scale = follows_scale.then_some(request.guidance_scale);
            conditions.push(condition);
        }
        scheduled.push(Scheduled { conditions, schedule: part.schedule.clone() });
    }
    let mut scheduled = scheduled.into_iter();
    let negative = match if guided { scheduled.next() } else { None } {
        Some(negative) if model.force_zeros_for_empty_prompt && request.negative_prompt.is_empty() => {
            let zeros = negative.conditions.iter().map(nothing_said).collect::<Result<_>>()?;
            Some(Scheduled { conditions: zeros, ..negative })
        }
        other => other,
    };
    let prompts = prompt.parts.iter().map(|part| part.weight).zip(scheduled).collect();
    let conditioning = Conditioning {
        prompts,
        negative,
        guidance_scale: request.guidance_scale,
        guidance_rescale: request.guidance_rescale,
    };
    Ok((conditioning, notices))
}

/// The chunks in which a model reads a prompt that is drawn already, for each of its texts and each text encoder.
///
/// # Errors
/// When a tokenizer fails.
#[cfg(test)]
pub(super) fn read_chunks(model: &Model, prompt: &Prompt) -> Result<Vec<Vec<Chunks>>> {
    let specials = [Some(&model.text), model.text_2.as_ref()].into_iter().flatten();
    let specials = specials.map(|part| special(model, part)).collect();
    let encoder = Encoder { model, specials, sizes: Sizes::whole(64, 64), clip_skip: 0 };
    let texts = prompt.parts.iter().flat_map(|part| &part.texts);
    texts.map(|text| encoder.chunks(&text.pieces)).collect()
}

/// What encodes the texts of one request.
struct Encoder<'a> {
    model: &'a Model,
    /// One for each text encoder.
    specials: Vec<SpecialIds>,
    sizes: Sizes,
    clip_skip: usize,
}

impl Encoder<'_> {
    /// A text's chunks for each text encoder.
    fn chunks(&self, pieces: &[Piece]) -> Result<Vec<Chunks>> {
        let parts = [Some(&self.model.text), self.model.text_2.as_ref()].into_iter().flatten();
        parts
            .zip(&self.specials)
            .map(|(part, special)| chunks(pieces, special, |text| prompt_ids(self.model, part, text)))
            .collect()
    }

    /// One text as the network is told it, `[1, tokens, width]` with the tokens of `count` chunks.
    fn encode(&self, mut text: Vec<Chunks>, count: usize) -> Result<Condition> {
        for (chunks, special) in text.iter_mut().zip(&self.specials) {
            chunks.extend_to(count, special);
        }
        let rows = |chunks: &Chunks| chunks.chunks.iter().map(|chunk| chunk.ids.clone()).collect::<Vec<_>>();
        let first = rows(&text[0]);
        let ids = Ids { second: text.get(1).map_or_else(Vec::new, rows), first };
        let condition = encode_ids(self.model, &ids, self.sizes, self.clip_skip)?;
        // Weights are of the words, which are the same for both encoders.
        let weights: Vec<&[f32]> = text[0].chunks.iter().map(|chunk| chunk.weights.as_slice()).collect();
        let joined = joined(&condition, &weights).map_err(engine_error)?;
        finite::check_tensor(&joined.text, Part::TextEncoder, self.model.text.encoder.place())?;
        // Once, and not at every step.
        joined.brought_to(self.model.unet.place()).map_err(engine_error)
    }
}

/// The chunks of one text, encoded one a row, as one row; `weights` are those of each chunk's tokens.
fn joined(chunks: &Condition, weights: &[&[f32]]) -> TensorResult<Condition> {
    let (rows, tokens, width) = chunks.text.dims3()?;
    let mut values: Vec<f32> = chunks.text.flatten_all()?.to_vec1()?;
    for (hidden, weights) in values.chunks_exact_mut(tokens * width).zip(weights) {
        apply_emphasis(hidden, weights);
    }
    let added = match &chunks.added {
        // The pooled text is the first chunk's.
        Some(added) => Some(AddedCondition {
            text_embeds: added.text_embeds.narrow(0, 0, 1)?,
            time_ids: added.time_ids.narrow(0, 0, 1)?,
        }),
        None => None,
    };
    let text = Tensor::from_vec(values, (1, rows * tokens, width), chunks.text.device())?;
    Ok(Condition { text, added, guidance_scale: chunks.guidance_scale })
}

fn special(model: &Model, part: &TextPart) -> SpecialIds {
    let embeddings = model.word_ids(part).into_iter().map(|(_, ids)| ids).collect();
    part.tokenizer.special_ids(embeddings)
}

/// The ids of a text in which taught words may stand, without start and end.
///
/// # Errors
/// When the tokenizer fails, which no text makes it do.
pub fn prompt_ids(model: &Model, part: &TextPart, text: &str) -> Result<Vec<u32>> {
    let plain = |range: Range<usize>| part.tokenizer.plain_ids(&text[range]);
    ids_with_words(&model.word_ids(part), text, plain, |id, _| id)
}

/// The ids of a text in which words with ids of their own may stand. `plain` gives those of a stretch between them;
/// `word_id` is told where its word begins.
///
/// # Errors
/// The first error of `plain`.
pub(super) fn ids_with_words<T>(
    words: &[(&str, Range<u32>)],
    text: &str,
    plain: impl Fn(Range<usize>) -> Result<Vec<T>>,
    word_id: impl Fn(u32, usize) -> T,
) -> Result<Vec<T>> {
    let mut ids = Vec::new();
    let mut start = 0;
    // The first word in the text, and of several there the longest.
    let next = |rest: &str| {
        words
            .iter()
            .filter_map(|(name, ids)| Some((find_word(rest, name)?, ids.clone())))
            .min_by_key(|(at, _)| (at.start, std::cmp::Reverse(at.end)))
    };
    while let Some((at, word)) = next(&text[start..]) {
        let begins = start + at.start;
        ids.extend(plain(start..begins)?);
        ids.extend(word.map(|id| word_id(id, begins)));
        start += at.end;
    }
    ids.extend(plain(start..text.len())?);
    Ok(ids)
}
