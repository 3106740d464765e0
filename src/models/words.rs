//! Words that were taught by textual inversion: their vectors.

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
