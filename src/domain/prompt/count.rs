//! How many tokens a prompt takes, and where in it one chunk of them ends and the next begins.

use super::chunks::{SpecialIds, chunks};
use super::trace::{Traced, TracedPiece, trace, trace_negative};
use super::{Choice, Piece, PromptProblem};

/// How many tokens a prompt takes: that of its texts which takes most, where it has several (schedules, `AND`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenCount {
    /// Chunks that are encoded one after the other; at least 1.
    pub chunks: usize,
    /// Tokens of the last of them.
    pub last: usize,
    /// Tokens that a chunk holds: 75 in all published models.
    pub per_chunk: usize,
    /// Where in the prompt, in bytes, each further chunk begins.
    pub borders: Vec<usize>,
    /// Whether braces or wildcards were drawn for it, so that another seed may take more or fewer.
    pub is_drawn: bool,
}

impl TokenCount {
    /// For people: `42 / 75`, `chunk 2: 12 / 75`.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { chunks, last, per_chunk, .. } = self;
        if *chunks > 1 { format!("chunk {chunks}: {last} / {per_chunk}") } else { format!("{last} / {per_chunk}") }
    }

    /// What it means, in a sentence.
    #[must_use]
    pub fn explanation(&self) -> String {
        let Self { chunks, per_chunk, is_drawn, .. } = self;
        let of_seed = if *is_drawn { ", with what this seed draws" } else { "" };
        match chunks {
            0 | 1 => format!(
                "Words and parts of words, as the model counts them{of_seed}. It reads {per_chunk} at once; what is \
                 more goes into a further chunk"
            ),
            chunks => format!(
                "The model reads this in {chunks} chunks of up to {per_chunk} tokens{of_seed}. A mark in the text \
                 shows where each begins"
            ),
        }
    }
}

/// Counts the tokens of a prompt. `tokenize` gives the ids of a text, each with the byte at which it begins.
///
/// # Errors
/// The first error of `tokenize`.
pub fn count<E>(
    prompt: &Traced,
    is_negative: bool,
    steps: u32,
    special: &SpecialIds,
    mut tokenize: impl FnMut(&str) -> Result<Vec<(u32, usize)>, E>,
) -> Result<TokenCount, E> {
    let texts = if is_negative { trace_negative(prompt, steps) } else { trace(prompt, steps) };
    let mut most = TokenCount::default();
    for text in texts {
        let counted = count_text(&text, special, &mut tokenize)?;
        if (counted.chunks, counted.last) > (most.chunks, most.last) {
            most = counted;
        }
    }
    most.is_drawn = prompt.is_drawn();
    Ok(most)
}

fn count_text<E>(
    text: &[TracedPiece],
    special: &SpecialIds,
    tokenize: &mut impl FnMut(&str) -> Result<Vec<(u32, usize)>, E>,
) -> Result<TokenCount, E> {
    let plain = |piece: &TracedPiece| match piece {
        TracedPiece::Run { text, weight } => Piece::Run { text: text.text.clone(), weight: *weight },
        TracedPiece::Break => Piece::Break,
    };
    let pieces: Vec<Piece> = text.iter().map(plain).collect();
    let mut runs = text.iter().filter_map(|piece| match piece {
        TracedPiece::Run { text, .. } => Some(text),
        TracedPiece::Break => None,
    });
    // Where in the prompt each token begins.
    let mut origins = Vec::new();
    let found = chunks(&pieces, special, |text| {
        let tokens = tokenize(text)?;
        // Runs are tokenized in their order, each once.
        if let Some(run) = runs.next() {
            origins.extend(tokens.iter().map(|(_, at)| run.origin(*at)));
        }
        Ok(tokens.into_iter().map(|(id, _)| id).collect())
    })?;
    let mut borders = Vec::new();
    let mut tokens = 0;
    for chunk in &found.chunks {
        if tokens > 0
            && let Some(border) = origins.get(tokens)
            && borders.last() != Some(border)
        {
            borders.push(*border);
        }
        tokens += chunk.used;
    }
    Ok(TokenCount {
        chunks: found.chunks.len(),
        last: found.chunks.last().map_or(0, |chunk| chunk.used),
        per_chunk: found.tokens_per_chunk,
        borders,
        is_drawn: false,
    })
}

/// A prompt with its braces and wildcards drawn, and what could not be.
pub type Drawn = (Traced, Vec<PromptProblem>);

/// Draws a prompt and then its negative one, in this order from one generator: what a picture is made of.
#[must_use]
pub fn draw_both(
    prompt: &str,
    negative_prompt: &str,
    lists: &dyn Fn(&str) -> Option<std::sync::Arc<[Choice]>>,
    next_u32: &mut dyn FnMut() -> u32,
) -> (Drawn, Drawn) {
    let drawn = super::expand_traced(prompt, lists, next_u32);
    (drawn, super::expand_traced(negative_prompt, lists, next_u32))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Every word is a token; a chunk holds four.
    fn counted(text: &str) -> TokenCount {
        let special = SpecialIds { length: 6, start: 1, end: 2, pad: 2, comma: None, embeddings: Vec::new() };
        let words = |text: &str| {
            let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
            Ok::<_, Infallible>(text.split_whitespace().map(|word| (9, start(word))).collect())
        };
        let Ok(counted) = count(&Traced::of(text), false, 10, &special, words);
        counted
    }

    #[test]
    fn chunks_are_counted_and_their_borders_found_where_they_were_typed() {
        for (text, shown, borders) in [
            ("", "0 / 4", vec![]),
            ("a b c d", "4 / 4", vec![]),
            ("a b c d e", "chunk 2: 1 / 4", vec![8]),
            ("(a b:1.2) <lora:x:1> c d (e f)", "chunk 2: 2 / 4", vec![26]),
            ("a BREAK b", "chunk 2: 1 / 4", vec![8]),
            ("a [b c d:e f g h:0.5]", "chunk 2: 1 / 4", vec![15]),
            ("a b c d e AND f", "chunk 2: 1 / 4", vec![8]),
        ] {
            let found = counted(text);
            assert_eq!((found.text().as_str(), &found.borders), (shown, &borders), "{text}");
        }
    }
}
