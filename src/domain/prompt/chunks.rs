//! From pieces of text to what a CLIP text encoder reads: chunks of 77 ids (of fewer where the encoder reads fewer), and
//! a weight for each id.
//!
//! The rules are those of stable-diffusion-webui v1.10 (`tokenize_line` and `process_tokens` in
//! `modules/sd_hijack_clip.py`, `EmphasisOriginal` in `modules/sd_emphasis.py`). Each chunk is encoded by itself; the
//! results are joined along the tokens, and the pooled vector is the first chunk's.

use std::ops::Range;

use super::Piece;

/// Ids of a chunk in all published models: the start, 75 tokens, the end.
pub const CHUNK_IDS: usize = 77;

/// How far back a comma may be for what follows it to move into the next chunk as a whole, in tokens.
pub const COMMA_BACKTRACK: usize = 20;

/// The tokenizer's ids that the chunks need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialIds {
    /// Ids of a chunk, the start and the end with them: [`CHUNK_IDS`] in all published models, at least 3.
    pub length: usize,
    /// Begins a chunk: 49406 in CLIP.
    pub start: u32,
    /// Ends it: 49407 in CLIP.
    pub end: u32,
    /// Fills it up after the first end: the end id in SD 1, 0 (`!`) in SD 2 and in SDXL's second encoder.
    pub pad: u32,
    /// The comma at the end of a word (`,</w>`): 267 in CLIP. `None` for a tokenizer without one.
    pub comma: Option<u32>,
    /// The ids of each textual inversion, which is never split over two chunks.
    pub embeddings: Vec<Range<u32>>,
}

/// What the text encoder reads at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Start, tokens, end, padding.
    pub ids: Vec<u32>,
    /// The weight of each id; 1 for those that are not of the text.
    pub weights: Vec<f32>,
    /// How many of the ids are of the text, from the second on.
    pub used: usize,
}

/// A prompt as chunks.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunks {
    /// At least one.
    pub chunks: Vec<Chunk>,
    /// How many tokens the text takes, counting those that a closed chunk was filled up with.
    pub tokens: usize,
    /// How many a chunk holds.
    pub tokens_per_chunk: usize,
}

impl Chunks {
    /// How many tokens fit before one more chunk is needed.
    #[must_use]
    pub fn room(&self) -> usize {
        self.tokens.max(1).div_ceil(self.tokens_per_chunk) * self.tokens_per_chunk
    }

    /// Makes as many chunks as another prompt has: both sides of guidance must have as many tokens. Empty chunks are
    /// added, as for texts of one batch in the web UI.
    pub fn extend_to(&mut self, count: usize, special: &SpecialIds) {
        while self.chunks.len() < count {
            self.chunks.push(Open::default().close(special));
        }
    }
}

/// Puts the tokens of pieces into chunks.
///
/// `tokenize` gives the ids of a text, without start and end and not cut. `BREAK` closes a chunk and fills it up. Where
/// a chunk is full and a comma stands among its last [`COMMA_BACKTRACK`] tokens, what follows the comma moves to the next.
///
/// # Errors
/// The first error of `tokenize`.
pub fn chunks<E>(
    pieces: &[Piece],
    special: &SpecialIds,
    mut tokenize: impl FnMut(&str) -> Result<Vec<u32>, E>,
) -> Result<Chunks, E> {
    let room = special.tokens();
    let mut done = Chunks { chunks: Vec::new(), tokens: 0, tokens_per_chunk: room };
    let mut open = Open::default();
    for piece in pieces {
        let Piece::Run { text, weight } = piece else {
            done.push(&mut open, special);
            continue;
        };
        let ids = tokenize(text)?;
        let mut at = 0;
        while at < ids.len() {
            let id = ids[at];
            let full = open.ids.len() == room;
            if special.comma == Some(id) {
                open.comma = Some(open.ids.len());
            } else if full && let Some(comma) = open.comma.filter(|comma| room - comma <= COMMA_BACKTRACK) {
                let moved = open.split_off(comma + 1);
                done.push(&mut open, special);
                open = moved;
            }
            let length = special.unbroken(&ids[at..]);
            if open.ids.len() + length > room {
                done.push(&mut open, special);
            }
            for &id in &ids[at..at + length] {
                open.ids.push(id);
                open.weights.push(*weight as f32);
            }
            at += length;
        }
    }
    if !open.ids.is_empty() || done.chunks.is_empty() {
        let tokens = done.tokens + open.ids.len();
        done.push(&mut open, special);
        done.tokens = tokens;
    }
    Ok(done)
}

impl Chunks {
    /// Closes a chunk and begins a new one.
    fn push(&mut self, open: &mut Open, special: &SpecialIds) {
        self.tokens += self.tokens_per_chunk;
        self.chunks.push(std::mem::take(open).close(special));
    }
}

impl SpecialIds {
    /// Tokens of text in a chunk.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.length.saturating_sub(2).max(1)
    }

    /// How many of these ids belong together from the first on.
    fn unbroken(&self, ids: &[u32]) -> usize {
        let Some(range) = self.embeddings.iter().find(|range| Some(&range.start) == ids.first()) else { return 1 };
        let follows = ids.iter().zip(range.clone()).take_while(|(id, expected)| **id == *expected).count();
        // One that fits into no chunk is split after all.
        if follows == range.len() && follows <= self.tokens() { follows } else { 1 }
    }
}

/// A chunk that is being filled, without start and end.
#[derive(Default)]
struct Open {
    ids: Vec<u32>,
    weights: Vec<f32>,
    /// Where the last comma stands.
    comma: Option<usize>,
}

impl Open {
    fn split_off(&mut self, at: usize) -> Self {
        Self { ids: self.ids.split_off(at), weights: self.weights.split_off(at), comma: None }
    }

    /// Never more ids than a chunk has room for.
    fn close(self, special: &SpecialIds) -> Chunk {
        let length = special.tokens() + 2;
        let used = self.ids.len();
        let mut chunk = Chunk { ids: vec![special.end; length], weights: vec![1.0; length], used };
        chunk.ids[0] = special.start;
        chunk.ids[1..=self.ids.len()].copy_from_slice(&self.ids);
        chunk.weights[1..=self.weights.len()].copy_from_slice(&self.weights);
        if special.pad != special.end
            && let Some(end) = chunk.ids.iter().position(|&id| id == special.end)
        {
            // Also after an end token that somebody wrote into the prompt.
            chunk.ids[end + 1..].fill(special.pad);
        }
        chunk
    }
}

/// Applies weights to what a text encoder made of a chunk ("Original" emphasis): each token's vector times its weight,
/// then everything times old mean / new mean.
///
/// `hidden` is [tokens, width], one weight a token. All weights 1 change nothing. Several chunks or texts at once share
/// one mean; stable-diffusion-webui does so with the texts of one schedule.
///
/// # Panics
/// When `hidden` does not hold the same number of values for each weight.
pub fn apply_emphasis(hidden: &mut [f32], weights: &[f32]) {
    if weights.iter().all(|&weight| weight == 1.0) {
        return;
    }
    let width = hidden.len() / weights.len();
    assert_eq!(width * weights.len(), hidden.len(), "hidden states are [tokens, width], with a weight for each token");
    let old = mean(hidden);
    for (token, &weight) in hidden.chunks_exact_mut(width.max(1)).zip(weights) {
        for value in token {
            *value *= weight;
        }
    }
    let scale = (old / mean(hidden)) as f32;
    // A mean of 0 cannot be brought back (all weights 0): then the product stays as it is.
    if scale.is_finite() {
        for value in hidden {
            *value *= scale;
        }
    }
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use std::num::ParseIntError;

    use super::*;

    const COMMA: u32 = 267;

    fn special() -> SpecialIds {
        SpecialIds {
            length: CHUNK_IDS,
            start: 49406,
            end: 49407,
            pad: 49407,
            comma: Some(COMMA),
            embeddings: std::iter::once(50000..50004).collect(),
        }
    }

    /// Every word is its own number, so that a test says which ids it means.
    fn number_words(text: &str) -> Result<Vec<u32>, ParseIntError> {
        text.split_whitespace().map(str::parse).collect()
    }

    fn numbers(range: Range<u32>) -> String {
        range.map(|id| id.to_string()).collect::<Vec<_>>().join(" ")
    }

    fn run(text: &str, weight: f64) -> Piece {
        Piece::Run { text: text.to_owned(), weight }
    }

    fn chunked(pieces: &[Piece], special: &SpecialIds) -> Chunks {
        chunks(pieces, special, number_words).unwrap()
    }

    #[test]
    fn break_closes_and_pads() {
        let found = chunked(&[run("1 2", 1.5), Piece::Break, run("3", 1.0), Piece::Break, run("", 1.0)], &special());
        assert_eq!((found.chunks.len(), found.tokens, found.room()), (2, 150, 150));
        assert_eq!(found.chunks[0].ids[..5], [49406, 1, 2, 49407, 49407]);
        assert_eq!(found.chunks[0].weights[..4], [1.0, 1.5, 1.5, 1.0]);
        assert_eq!(found.chunks[1].ids[..3], [49406, 3, 49407]);
        assert_eq!(chunked(&[], &special()).chunks.len(), 1);
    }

    #[test]
    fn the_76th_token_starts_a_new_chunk() {
        let found = chunked(&[run(&numbers(1000..1076), 1.0)], &special());
        assert_eq!((found.chunks.len(), found.tokens), (2, 76));
        assert_eq!((found.chunks[0].ids[75], found.chunks[0].ids[76]), (1074, 49407));
        assert_eq!(found.chunks[1].ids[..3], [49406, 1075, 49407]);
        assert_eq!(chunked(&[run(&numbers(1000..1075), 1.0)], &special()).chunks.len(), 1);
    }

    #[test]
    fn an_encoder_of_fewer_positions_has_smaller_chunks() {
        let found = chunked(&[run("1 2 3 4", 1.0)], &SpecialIds { length: 5, ..special() });
        let ids: Vec<_> = found.chunks.iter().map(|chunk| chunk.ids.clone()).collect();
        assert_eq!(ids, [[49406, 1, 2, 3, 49407], [49406, 4, 49407, 49407, 49407]]);
        assert_eq!((found.tokens, found.room()), (4, 6));
    }

    #[test]
    fn what_follows_a_near_comma_moves_to_the_next_chunk() {
        // The comma is token 55 (from 0): 75 - 55 = 20 is just near enough.
        let near = [run(&numbers(1000..1055), 1.0), run(&format!("{COMMA} {}", numbers(2000..2020)), 0.5)];
        let found = chunked(&near, &special());
        assert_eq!((found.chunks[0].ids[56], found.chunks[0].ids[57]), (COMMA, 49407));
        assert_eq!((found.chunks[1].ids[1], found.chunks[1].weights[1]), (2000, 0.5));
        let far = [run(&format!("{} {COMMA} {}", numbers(1000..1054), numbers(2000..2021)), 1.0)];
        let found = chunked(&far, &special());
        assert_eq!((found.chunks[0].ids[75], found.chunks[1].ids[1]), (2019, 2020));
    }

    #[test]
    fn padding_follows_the_first_end() {
        let special = SpecialIds { pad: 0, ..special() };
        let found = chunked(&[run("1 49407 2", 1.0)], &special);
        assert_eq!(found.chunks[0].ids[..5], [49406, 1, 49407, 0, 0]);
        let full = chunked(&[run(&numbers(1..76), 1.0)], &special);
        assert_eq!(full.chunks[0].ids[76], 49407);
    }

    #[test]
    fn an_embedding_is_not_split() {
        let text = format!("{} {}", numbers(1000..1073), numbers(50000..50004));
        let found = chunked(&[run(&text, 1.0)], &special());
        assert_eq!((found.chunks[0].ids[74], found.chunks[1].ids[1], found.chunks[1].ids[4]), (49407, 50000, 50003));
    }

    /// By hand: (1 + 3 + 2 + 6) / 4 = 3; weighted 1 3 4 12, mean 5; times 3/5.
    #[test]
    fn emphasis_keeps_the_mean() {
        let mut hidden = [1.0, 3.0, 2.0, 6.0];
        apply_emphasis(&mut hidden, &[1.0, 2.0]);
        for (found, expected) in hidden.iter().zip([0.6_f32, 1.8, 2.4, 7.2]) {
            assert!((found - expected).abs() < 1e-6, "{hidden:?}");
        }
        let mut hidden = [1.0, 3.0];
        apply_emphasis(&mut hidden, &[0.0]);
        assert_eq!(hidden, [0.0, 0.0]);
    }
}
