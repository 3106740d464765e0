//! [`PromptCounter`]: how many tokens a prompt takes with a model, without loading more of the model than its tokenizer.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::assets::Assets;
use super::make::{draw, read_texts};
use super::prompt::ids_with_words;
use crate::domain::prompt::{CountQuery, TokenCount, Traced, count, find_word};
use crate::domain::{ModelRef, Result};
use crate::models::{open_tokenizer, tokenizer::ClipTokenizer};
use crate::weights::embedding::Embedding;
use crate::weights::{Shelf, open_file};

/// Counts prompts for one model after the other. What was read of a model stays until another one is asked about.
#[derive(Default)]
pub struct PromptCounter {
    opened: Option<(ModelRef, ClipTokenizer, usize)>,
    /// How many vectors each embedding's file holds; `None` for one that cannot be read.
    vectors: HashMap<PathBuf, Option<usize>>,
}

impl PromptCounter {
    /// How many tokens the prompt and the negative prompt take, as [`super::generate`] will read them.
    ///
    /// # Errors
    /// When the model's tokenizer cannot be read.
    pub fn count(&mut self, query: &CountQuery, assets: &Assets) -> Result<[TokenCount; 2]> {
        let CountQuery { model, prompt, negative_prompt, steps, seed } = query;
        let (tokenizer, vocabulary) = match self.opened.take().filter(|(opened, ..)| opened == model) {
            Some((_, tokenizer, vocabulary)) => (tokenizer, vocabulary),
            None => open_tokenizer(model)?,
        };
        let ((prompt, _), (negative, _)) = draw(prompt, negative_prompt, *seed, &assets.wildcards);
        let words = self.words(&assets.shelf, &read_texts(&prompt.text, &negative.text), vocabulary);
        let counted = [(&prompt, false), (&negative, true)]
            .map(|(text, is_negative)| count_one(&tokenizer, &words, text, is_negative, *steps));
        self.opened = Some((model.clone(), tokenizer, vocabulary));
        let [prompt, negative] = counted;
        Ok([prompt?, negative?])
    }

    /// The embeddings that these texts name, with the ids that a model gives their vectors.
    fn words<'a>(&mut self, shelf: &'a Shelf, texts: &[String], vocabulary: usize) -> Vec<(&'a str, Range<u32>)> {
        let mut next = vocabulary as u32;
        let mut words = Vec::new();
        for (name, path) in shelf.embeddings() {
            if texts.iter().any(|text| find_word(text, name).is_some())
                && let Some(vectors) = *self.vectors.entry(path.to_path_buf()).or_insert_with(|| vectors_in(path))
            {
                let first = next;
                next = next.saturating_add(vectors as u32);
                words.push((name, first..next));
            }
        }
        words
    }
}

fn count_one(
    tokenizer: &ClipTokenizer,
    words: &[(&str, Range<u32>)],
    prompt: &Traced,
    is_negative: bool,
    steps: u32,
) -> Result<TokenCount> {
    let special = tokenizer.special_ids(words.iter().map(|(_, ids)| ids.clone()).collect());
    count(prompt, is_negative, steps, &special, |text| {
        let plain = |range: Range<usize>| {
            let placed = tokenizer.placed_ids(&text[range.clone()])?;
            Ok(placed.into_iter().map(|(id, at)| (id, range.start + at)).collect())
        };
        ids_with_words(words, text, plain, |id, at| (id, at))
    })
}

/// How many vectors an embedding's file holds.
fn vectors_in(path: &Path) -> Option<usize> {
    let opened = open_file(path).ok()?.file;
    let shapes = opened.tensors().iter().map(|(name, info)| (name.as_str(), info.shape.as_slice()));
    Embedding::find(shapes).ok()?.parts.first().map(|part| part.vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::prompt::{Prompt, WildcardLists};
    use crate::domain::{Cancel, GenerateRequest};
    use crate::models;
    use crate::pipeline::prompt::read_chunks;

    fn query(prompt: &str) -> CountQuery {
        CountQuery {
            model: ModelRef::Starter,
            prompt: prompt.to_owned(),
            negative_prompt: String::new(),
            steps: 20,
            seed: 7,
        }
    }

    /// What is counted is what the text encoder is given.
    #[test]
    fn a_count_is_that_of_the_pipeline() {
        let model = models::open(&ModelRef::Starter, None, &Cancel::default(), &mut |_| ()).unwrap();
        let mut wildcards = WildcardLists::default();
        wildcards.add_txt("stuff", "a long linen shirt\nboots");
        let assets = Assets { wildcards, ..Assets::default() };
        let mut counter = PromptCounter::default();
        let long = "a red knitted pullover with a high collar, ".repeat(12);
        for prompt in [
            "",
            "a red dress",
            "a (red:1.3) [dress] with ((sleeves)), unbekanntes Wörtchen 絹",
            "a dress <lora:ink:0.5> BREAK a boot BREAK",
            "a [dress:long green coat:0.5] AND a boot :0.5",
            "__stuff__ and {2$$a|b|c}",
            &long,
            &format!("{long} BREAK (blue:1.2)"),
        ] {
            let found = counter.count(&query(prompt), &assets).unwrap();
            let request = GenerateRequest { prompt: prompt.to_owned(), seed: 7, ..GenerateRequest::default() };
            let ((drawn, _), _) = draw(&request.prompt, "", request.seed, &assets.wildcards);
            let texts = read_chunks(&model, &Prompt::parse(&drawn.text, 20)).unwrap();
            let most = texts.iter().map(|encoders| (encoders[0].chunks.len(), encoders[0].chunks.last().unwrap().used));
            assert_eq!(Some((found[0].chunks, found[0].last)), most.max(), "{prompt}");
            assert_eq!(found[0].per_chunk, model.text.tokenizer.length() - 2);
            assert_eq!(found[0].is_drawn, prompt.contains("__"), "{prompt}");
            assert_eq!((found[1].chunks, found[1].last), (1, 0));
            // What stands before a border is read in the chunks before it.
            for (index, border) in found[0].borders.iter().enumerate().filter(|_| !found[0].is_drawn) {
                let before = counter.count(&query(&prompt[..*border]), &assets).unwrap();
                assert!(before[0].chunks <= index + 1, "{border} of {prompt}");
            }
        }
        let counted = counter.count(&query(&long), &assets).unwrap();
        assert!(counted[0].chunks > 1);
        assert_eq!(counted[0].borders.len(), counted[0].chunks - 1);
        assert!(counted[0].borders.iter().all(|border| long[*border..].starts_with(char::is_alphabetic)));
    }
}
