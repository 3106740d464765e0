//! The starter model's tokenizer: CLIP's byte-level BPE with a small vocabulary, learnt from its own captions.
//!
//! The merges come from all words that captions can use, so that each is one token, and then from common English words,
//! so that other prompts fall into a few pieces. The files are those of a CLIP tokenizer in the order of its ids: 256
//! bytes, 256 bytes at a word's end, the merges, start and end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::caption::{caption, prompt};
use super::english::WORDS;
use super::spec::{GarmentSpec, Split};

/// Merges to learn; with the bytes, the start and the end 1,536 tokens at most.
const MERGES: usize = 1022;
/// Pictures whose captions are read: enough for every word to turn up (tested).
const CAPTIONS: u64 = 6000;
/// How often a caption's word counts, against once for an English one.
const CAPTION_WEIGHT: usize = 1000;

/// The files of the tokenizer's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// `vocab.json`: token to id, in the order of the ids.
    pub vocab_json: String,
    /// `merges.txt`: a line on the version, then a pair a line.
    pub merges_txt: String,
    /// `tokenizer_config.json`.
    pub tokenizer_config_json: String,
    /// `special_tokens_map.json`.
    pub special_tokens_map_json: String,
}

/// Learns the tokenizer; the same every time. `model_max_length` is how many tokens the text encoder takes.
#[must_use]
pub fn build_tokenizer(model_max_length: usize) -> TokenizerFiles {
    let merges = learn(&corpus(), MERGES);
    let bytes = byte_symbols();
    let plain = bytes.iter().map(char::to_string);
    let at_end = bytes.iter().map(|symbol| format!("{symbol}</w>"));
    let merged = merges.iter().map(|(left, right)| format!("{left}{right}"));
    let special = ["<|startoftext|>", "<|endoftext|>"].map(str::to_owned);
    let entries: Vec<String> = plain
        .chain(at_end)
        .chain(merged)
        .chain(special)
        .enumerate()
        .map(|(id, token)| format!("{}: {id}", serde_json::Value::from(token)))
        .collect();
    let mut merges_txt = "#version: 0.2\n".to_owned();
    for (left, right) in &merges {
        // Writing to a string does not fail.
        let _ = writeln!(merges_txt, "{left} {right}");
    }
    let added = |content: &str| {
        serde_json::json!({
            "content": content, "lstrip": false, "normalized": true, "rstrip": false, "single_word": false
        })
    };
    let (start, end) = (added("<|startoftext|>"), added("<|endoftext|>"));
    let map = serde_json::json!({
        "bos_token": start, "eos_token": end, "unk_token": end, "pad_token": "<|endoftext|>"
    });
    let mut config = map.clone();
    for token in ["bos_token", "eos_token", "unk_token"] {
        config[token]["__type"] = "AddedToken".into();
    }
    config["add_prefix_space"] = false.into();
    config["do_lower_case"] = true.into();
    config["errors"] = "replace".into();
    config["model_max_length"] = model_max_length.into();
    config["tokenizer_class"] = "CLIPTokenizer".into();
    TokenizerFiles {
        vocab_json: format!("{{{}}}", entries.join(", ")),
        merges_txt,
        tokenizer_config_json: format!("{config:#}\n"),
        special_tokens_map_json: format!("{map:#}\n"),
    }
}

/// The words to learn from, and how often each counts.
fn corpus() -> BTreeMap<String, usize> {
    let mut words: BTreeMap<String, usize> = WORDS.split_whitespace().map(|word| (word.to_owned(), 1)).collect();
    for word in caption_words() {
        words.insert(word, CAPTION_WEIGHT);
    }
    words
}

/// Every word that captions use, in lower case.
fn caption_words() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for index in 0..CAPTIONS {
        let split = if index % 2 == 0 { Split::Train } else { Split::HeldOut };
        let spec = GarmentSpec::sample(index, index, split);
        for text in [caption(&spec, index), prompt(&spec, index)] {
            let text = text.to_lowercase();
            words.extend(text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    words
}

/// Learns merges: always the most frequent pair of neighbours, among equals the first in the alphabet (Sennrich,
/// Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units", 2016).
fn learn(words: &BTreeMap<String, usize>, count: usize) -> Vec<(String, String)> {
    let mut pieces: Vec<(Vec<String>, usize)> = words.iter().map(|(word, weight)| (symbols(word), *weight)).collect();
    let mut merges = Vec::with_capacity(count);
    while merges.len() < count {
        let mut pairs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (word, weight) in &pieces {
            for pair in word.windows(2) {
                *pairs.entry((&pair[0], &pair[1])).or_default() += weight;
            }
        }
        let Some(best) = pairs.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0))) else { break };
        let (left, right) = (best.0.0.to_owned(), best.0.1.to_owned());
        for (word, _) in &mut pieces {
            merge(word, &left, &right);
        }
        merges.push((left, right));
    }
    merges
}

/// The bytes of a word as symbols, the last one with the mark of a word's end.
fn symbols(word: &str) -> Vec<String> {
    let table = byte_table();
    let mut symbols: Vec<String> = word.bytes().map(|byte| table[usize::from(byte)].to_string()).collect();
    if let Some(last) = symbols.last_mut() {
        last.push_str("</w>");
    }
    symbols
}

/// Joins every pair of these two neighbours.
fn merge(word: &mut Vec<String>, left: &str, right: &str) {
    let mut i = 0;
    while i + 1 < word.len() {
        if word[i] == left && word[i + 1] == right {
            let joined = word.remove(i + 1);
            word[i].push_str(&joined);
        }
        i += 1;
    }
}

/// The character that stands for each byte: printable ones for themselves, the others from U+0100 on, as in GPT-2.
fn byte_table() -> Vec<char> {
    let mut next = 0x100;
    (0..=255u8)
        .map(|byte| {
            if printable(byte) {
                return char::from(byte);
            }
            next += 1;
            // The 68 characters after U+0100 are letters.
            char::from_u32(next - 1).unwrap_or(' ')
        })
        .collect()
}

/// The 256 symbols in the order of CLIP's ids: the printable ones first.
fn byte_symbols() -> Vec<char> {
    let table = byte_table();
    let pick = |wanted: bool| (0..=255u8).filter(move |byte| printable(*byte) == wanted);
    pick(true).chain(pick(false)).map(|byte| table[usize::from(byte)]).collect()
}

fn printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

#[cfg(test)]
mod tests {
    use tokenizers::Tokenizer;
    use tokenizers::models::bpe::{BPE, Vocab};
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    use super::*;

    fn reader(files: &TokenizerFiles) -> Tokenizer {
        let vocab: std::collections::HashMap<String, u32> = serde_json::from_str(&files.vocab_json).unwrap();
        let merges = files.merges_txt.lines().skip(1).filter_map(|line| line.split_once(' '));
        let merges = merges.map(|(left, right)| (left.to_owned(), right.to_owned())).collect();
        let bpe = BPE::builder().vocab_and_merges(vocab.into_iter().collect::<Vocab>(), merges);
        let mut tokenizer = Tokenizer::new(bpe.end_of_word_suffix("</w>".to_owned()).build().unwrap());
        tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, false)));
        tokenizer
    }

    /// Ids are in CLIP's order (checked against its published vocabulary: `!` 0, `a` 64, `!</w>` 256, `a</w>` 320), each
    /// once; every caption word is one token; other words are read back as they were.
    #[test]
    fn reads_as_clip_does() {
        let files = build_tokenizer(32);
        assert_eq!(files, build_tokenizer(32));
        let vocab: std::collections::HashMap<String, u32> = serde_json::from_str(&files.vocab_json).unwrap();
        let ids: BTreeSet<u32> = vocab.values().copied().collect();
        assert!(ids.len() == vocab.len() && ids.len() <= 1536 && ids.last() == Some(&(ids.len() as u32 - 1)));
        for (token, id) in [("!", 0), ("a", 64), ("!</w>", 256), ("a</w>", 320)] {
            assert_eq!(vocab[token], id);
        }
        assert_eq!(vocab["<|startoftext|>"] as usize, vocab.len() - 2);
        assert_eq!(vocab["<|endoftext|>"] as usize, vocab.len() - 1);
        let tokenizer = reader(&files);
        for word in caption_words() {
            assert_eq!(tokenizer.encode(word.as_str(), false).unwrap().len(), 1, "{word}");
        }
        for word in ["castle", "portrait", "velvet", "zyx", "schön", "日本"] {
            let encoding = tokenizer.encode(word, false).unwrap();
            let read: String = encoding.get_tokens().concat().replace("</w>", "");
            let table = byte_table();
            assert_eq!(read, word.bytes().map(|byte| table[usize::from(byte)]).collect::<String>());
        }
    }
}
