//! Words that were taught by textual inversion: their vectors, and where they stand in a text.

use std::ops::Range;
use std::path::Path;

use super::load::{Model, TextPart};
use crate::domain::{Result, UserError};
use crate::weights::embedding::{Embedding, EmbeddingEncoder};
use crate::weights::{TensorFile, open_file};

/// A word with vectors of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// How it is written in a prompt, in lower case.
    pub name: String,
    /// Its vectors for the first and the second text encoder, as many for each.
    vectors: [Vec<Vec<f32>>; 2],
}

impl Word {
    /// Reads a word's vectors from a file in one of the forms of [`Embedding`]; `name` is how it is written.
    ///
    /// # Errors
    /// When the file cannot be read or is something else.
    pub fn open(name: &str, path: &Path) -> Result<Self> {
        let opened = open_file(path)?.file;
        let shapes = opened.tensors().iter().map(|(name, info)| (name.as_str(), info.shape.as_slice()));
        let embedding = Embedding::find(shapes).map_err(|error| error.path(path))?;
        let mut vectors = [Vec::new(), Vec::new()];
        for part in &embedding.parts {
            let values = read(&opened, &part.tensor, path)?;
            let slot = usize::from(part.encoder == EmbeddingEncoder::Second);
            vectors[slot] = values.chunks_exact(part.width.max(1)).map(<[f32]>::to_vec).collect();
        }
        Ok(Self { name: name.to_lowercase(), vectors })
    }

    fn count(&self) -> usize {
        self.vectors[0].len()
    }
}

fn read(file: &TensorFile, tensor: &str, path: &Path) -> Result<Vec<f32>> {
    let values = file.read_f32(tensor).map_err(|error| error.path(path))?;
    if values.iter().all(|value| value.is_finite()) {
        return Ok(values);
    }
    Err(UserError::input("The vectors of this embedding are not finite (NaN or infinity)")
        .path(path)
        .hint("the file is damaged; download it again"))
}

impl Model {
    /// Teaches the text encoders these words, in the place of those that they were taught before.
    ///
    /// # Errors
    /// When a word's vectors are not of the width that an encoder reads; none of the words is known then.
    pub fn teach(&mut self, words: Vec<Word>) -> Result<()> {
        if self.words == words {
            return Ok(());
        }
        self.words.clear();
        for (slot, part) in [Some(&mut self.text), self.text_2.as_mut()].into_iter().enumerate() {
            let Some(part) = part else { continue };
            part.encoder.set_words(Vec::new())?;
            let mut vectors = Vec::new();
            for word in &words {
                if word.vectors[slot].len() != word.count() {
                    let sentence = format!("The embedding {} has no vectors for the second text encoder", word.name);
                    return Err(UserError::input(sentence).hint("it was made for another family of models"));
                }
                vectors.extend(word.vectors[slot].iter().cloned());
            }
            part.encoder.set_words(vectors).map_err(|error| {
                let names: Vec<&str> = words.iter().map(|word| word.name.as_str()).collect();
                UserError {
                    sentence: format!("The embedding {} does not fit: {}", names.join(", "), error.sentence),
                    ..error
                }
            })?;
        }
        self.words = words;
        Ok(())
    }

    /// The ids of each taught word, in the vocabulary of `part`.
    pub fn word_ids(&self, part: &TextPart) -> Vec<(&str, Range<u32>)> {
        let mut next = part.encoder.config().vocab_size as u32;
        self.words
            .iter()
            .map(|word| {
                let first = next;
                next += word.count() as u32;
                (word.name.as_str(), first..next)
            })
            .collect()
    }
}

/// Where a name stands in a text: regardless of case, and not within a longer word.
#[must_use]
pub fn find_word(text: &str, name: &str) -> Option<Range<usize>> {
    if name.is_empty() {
        return None;
    }
    // Lower case may have other lengths in bytes, so that positions are found in the text itself.
    text.char_indices().map(|(at, _)| at).find_map(|at| {
        let end = ends_at(&text[at..], name).map(|length| at + length)?;
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let inside = (is_part(text[..at].chars().next_back()) && is_part(name.chars().next()))
            || (is_part(text[end..].chars().next()) && is_part(name.chars().next_back()));
        (!inside).then_some(at..end)
    })
}

/// How many bytes of the beginning of `text` are `name` in other cases.
fn ends_at(text: &str, name: &str) -> Option<usize> {
    let mut wanted = name.chars().flat_map(char::to_lowercase).peekable();
    let mut length = 0;
    for c in text.chars() {
        if wanted.peek().is_none() {
            break;
        }
        for lower in c.to_lowercase() {
            if wanted.next() != Some(lower) {
                return None;
            }
        }
        length += c.len_utf8();
    }
    wanted.peek().is_none().then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_as_words() {
        for (text, name, expected) in [
            ("a photo of MyCat, sharp", "mycat", Some(11..16)),
            ("mycats and mycat", "mycat", Some(11..16)),
            ("my_mycat", "mycat", None),
            ("<Cat-Toy> here", "<cat-toy>", Some(0..9)),
            ("x<cat>y", "<cat>", Some(1..6)),
            ("straße", "strasse", None),
            ("ÄÖ ä", "ä", Some(5..7)),
            ("a", "", None),
            ("", "a", None),
        ] {
            assert_eq!(find_word(text, name), expected, "{name} in {text}");
        }
    }
}
