//! CLIP's tokenizer: byte-level BPE with `</w>` at word ends, as transformers' `CLIPTokenizer` does it.
//!
//! NFC, white space folded, lower case; no ftfy and no HTML unescaping, which only `OpenAI`'s own tokenizer did.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreSequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, NormalizerWrapper, SplitDelimiterBehavior, Tokenizer};

use crate::domain::prompt::SpecialIds;
use crate::domain::{Result, UserError};
use crate::weights::ModelFiles;

/// Ends a word in the vocabulary.
const WORD_END: &str = "</w>";
/// How text falls into words before the merges.
const WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// A prompt as the text encoder reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Exactly as many ids as the encoder takes: start, prompt, end, padding.
    pub ids: Vec<u32>,
    /// How many ids of the prompt did not fit and were cut off.
    pub cut: usize,
}

/// The tokenizer of a text encoder.
pub struct ClipTokenizer {
    inner: Tokenizer,
    start: u32,
    end: u32,
    pad: u32,
    length: usize,
}

impl ClipTokenizer {
    /// Reads the tokenizer in the folder `part` (such as `tokenizer`): `vocab.json` and `merges.txt`, with
    /// `tokenizer_config.json` or `special_tokens_map.json` for the padding token, else `tokenizer.json`. `length` is
    /// how many tokens the encoder takes.
    ///
    /// # Errors
    /// When files are missing or broken, or the tokens that begin and end a prompt are not among the vocabulary.
    pub fn load(files: &ModelFiles, part: &str, length: usize) -> Result<Self> {
        let name = |file: &str| format!("{part}/{file}");
        let broken = |sentence: String| {
            UserError::input(format!("The tokenizer cannot be used: {sentence}")).path(files.path(part))
        };
        let inner = if files.has(&name("vocab.json")) {
            let vocab: HashMap<String, u32> = files.json(&name("vocab.json"))?;
            let merges = read_merges(&files.text(&name("merges.txt"))?).map_err(broken)?;
            build(vocab, merges).map_err(broken)?
        } else {
            let text = files.text(&name("tokenizer.json"))?;
            Tokenizer::from_bytes(text.as_bytes()).map_err(|error| broken(error.to_string()))?
        };
        Self::finish(inner, &special_tokens(files, part)?, length).map_err(broken)
    }

    /// The tokenizer of all published Stable Diffusion models, from the merges inside the program; the folder `part` may
    /// still say which token pads.
    ///
    /// # Errors
    /// When that cannot be read. The merges that are shipped are tested.
    pub fn published(merges: &str, files: &ModelFiles, part: &str, length: usize) -> Result<Self> {
        let broken = |sentence: String| UserError::failed(format!("The built-in tokenizer cannot be used: {sentence}"));
        let merges = read_merges(merges).map_err(broken)?;
        let inner = build(vocabulary(&merges), merges).map_err(broken)?;
        Self::finish(inner, &special_tokens(files, part)?, length).map_err(broken)
    }

    fn finish(mut inner: Tokenizer, special: &Value, length: usize) -> std::result::Result<Self, String> {
        let token = |name: &str, default: &str| match special.get(name) {
            Some(Value::String(token)) => token.clone(),
            Some(Value::Object(token)) => token.get("content").and_then(Value::as_str).unwrap_or(default).to_owned(),
            _ => default.to_owned(),
        };
        let (start, end) = (token("bos_token", "<|startoftext|>"), token("eos_token", "<|endoftext|>"));
        let pad = token("pad_token", &end);
        let added: Vec<AddedToken> =
            [&start, &end, &pad].iter().map(|token| AddedToken::from((*token).clone(), true)).collect();
        let id = |inner: &Tokenizer, token: &str| {
            inner.token_to_id(token).ok_or_else(|| format!("its vocabulary lacks {token}"))
        };
        let (start, end, pad) = (id(&inner, &start)?, id(&inner, &end)?, id(&inner, &pad)?);
        inner.add_special_tokens(added).map_err(|error| error.to_string())?;
        // Length and padding are ours: a file's own settings would cut a second time.
        inner.with_truncation(None).map_err(|error| error.to_string())?;
        inner.with_padding(None);
        Ok(Self { inner, start, end, pad, length })
    }

    /// The ids of a text, without start and end.
    ///
    /// # Errors
    /// When the library fails, which no text makes it do.
    pub fn plain_ids(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|error| UserError::failed(format!("The prompt could not be read: {error}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// As [`ClipTokenizer::plain_ids`], each id with the byte of the text at which it begins.
    ///
    /// # Errors
    /// As there.
    pub fn placed_ids(&self, text: &str) -> Result<Vec<(u32, usize)>> {
        let encoding = self
            .inner
            .encode(text, false)
            .map_err(|error| UserError::failed(format!("The prompt could not be read: {error}")))?;
        let starts = encoding.get_offsets().iter().map(|(start, _)| *start);
        Ok(encoding.get_ids().iter().copied().zip(starts).collect())
    }

    /// The ids of a prompt with start and end, not cut and not padded.
    ///
    /// # Errors
    /// As [`ClipTokenizer::plain_ids`].
    pub fn ids(&self, prompt: &str) -> Result<Vec<u32>> {
        Ok([&[self.start], self.plain_ids(prompt)?.as_slice(), &[self.end]].concat())
    }

    /// What a prompt's chunks need to know; `embeddings` are the ids of each taught word.
    #[must_use]
    pub fn special_ids(&self, embeddings: Vec<Range<u32>>) -> SpecialIds {
        SpecialIds {
            length: self.length,
            start: self.start,
            end: self.end,
            pad: self.pad,
            comma: self.inner.token_to_id(&format!(",{WORD_END}")),
            embeddings,
        }
    }

    /// The ids of a prompt, cut and padded to the encoder's length.
    ///
    /// # Errors
    /// As [`ClipTokenizer::ids`].
    pub fn encode(&self, prompt: &str) -> Result<Tokens> {
        let mut ids = self.ids(prompt)?;
        let cut = ids.len().saturating_sub(self.length);
        if cut > 0 {
            ids.truncate(self.length - 1);
            ids.push(self.end);
        }
        ids.resize(self.length, self.pad);
        Ok(Tokens { ids, cut })
    }

    /// The largest id in the vocabulary.
    #[must_use]
    pub fn largest_id(&self) -> Option<u32> {
        self.inner.get_vocab(true).into_values().max()
    }

    /// How many tokens the encoder takes, start and end included.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }
}

/// What the folder `part` says of the tokens that begin, end and pad a prompt.
fn special_tokens(files: &ModelFiles, part: &str) -> Result<Value> {
    let mut special = Value::Null;
    for file in ["special_tokens_map.json", "tokenizer_config.json"].map(|file| format!("{part}/{file}")) {
        if files.has(&file) {
            special = files.json(&file)?;
            if special.get("pad_token").is_some() {
                break;
            }
        }
    }
    Ok(special)
}

/// The pairs in `merges.txt`, whose first line is a comment on the version.
fn read_merges(text: &str) -> std::result::Result<Vec<(String, String)>, String> {
    text.lines()
        .enumerate()
        .filter(|(i, line)| !(line.trim().is_empty() || (*i == 0 && line.starts_with("#version"))))
        .map(|(i, line)| match line.split_once(' ') {
            Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
            None => Err(format!("merges.txt has no pair in line {}", i + 1)),
        })
        .collect()
}

/// The vocabulary in CLIP's order: the bytes, the bytes at a word's end, the merges, start and end.
fn vocabulary(merges: &[(String, String)]) -> HashMap<String, u32> {
    let bytes = byte_symbols();
    let plain = bytes.iter().map(char::to_string);
    let at_end = bytes.iter().map(|symbol| format!("{symbol}{WORD_END}"));
    let merged = merges.iter().map(|(left, right)| format!("{left}{right}"));
    let special = ["<|startoftext|>", "<|endoftext|>"].map(str::to_owned);
    (0..).zip(plain.chain(at_end).chain(merged).chain(special)).map(|(id, token)| (token, id)).collect()
}

/// The 256 characters that stand for bytes, in the order of CLIP's vocabulary: the printable ones first, as themselves,
/// then the others from U+0100 on.
fn byte_symbols() -> Vec<char> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let first = (0..=255u8).filter(printable).map(char::from);
    let count = (0..=255u8).filter(|byte| !printable(byte)).count() as u32;
    first.chain((0..count).filter_map(|i| char::from_u32(0x100 + i))).collect()
}

fn build(vocab: HashMap<String, u32>, merges: Vec<(String, String)>) -> std::result::Result<Tokenizer, String> {
    let fail = |error: tokenizers::Error| error.to_string();
    let bpe = BPE::builder()
        .vocab_and_merges(vocab.into_iter().collect::<Vocab>(), merges)
        .unk_token("<|endoftext|>".to_owned())
        .end_of_word_suffix(WORD_END.to_owned())
        .build()
        .map_err(fail)?;
    let mut tokenizer = Tokenizer::new(bpe);
    let fold = Replace::new(tokenizers::normalizers::replace::ReplacePattern::Regex(r"\s+".to_owned()), " ");
    tokenizer
        .with_normalizer(Some(Sequence::new(vec![
            NormalizerWrapper::NFC(NFC),
            NormalizerWrapper::Replace(fold.map_err(fail)?),
            NormalizerWrapper::Lowercase(Lowercase),
        ])))
        .map_err(fail)?;
    let words = Split::new(SplitPattern::Regex(WORDS.to_owned()), SplitDelimiterBehavior::Removed, true);
    tokenizer.with_pre_tokenizer(Some(PreSequence::new(vec![
        PreTokenizerWrapper::Split(words.map_err(fail)?),
        PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, false)),
    ])));
    Ok(tokenizer)
}
