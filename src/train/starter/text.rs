//! The starter's tokenizer and text encoder, built from nothing.

use std::path::Path;

use candle_core::Tensor;

use super::architecture::text_encoder;
use crate::dataset::garments::{TokenizerFiles, build_tokenizer};
use crate::domain::{Result, UserError};
use crate::library::write_atomically;
use crate::models::TextPart;
use crate::models::clip::{ClipTextConfig, ClipTextEncoder};
use crate::models::tokenizer::ClipTokenizer;
use crate::nn::{Params, engine_error};
use crate::weights::ModelFiles;

/// Tokens that the encoder takes: the longest caption has half as many, and every one costs time.
pub const POSITIONS: usize = 48;

/// Builds tokenizer and text encoder; the tokenizer's files are written to `folder/tokenizer`.
///
/// # Errors
/// When the disk fails.
pub fn build_text(folder: &Path, params: &Params) -> Result<TextPart> {
    write_tokenizer(&folder.join("tokenizer"))?;
    let tokenizer = ClipTokenizer::load(&ModelFiles::Folder(folder.to_path_buf()), "tokenizer", POSITIONS)?;
    let vocabulary = tokenizer.largest_id().map_or(0, |id| id as usize + 1);
    let config: ClipTextConfig = serde_json::from_value(text_encoder(vocabulary, POSITIONS))
        .map_err(|error| UserError::failed(format!("The starter's text encoder is broken: {error}")))?;
    Ok(TextPart { tokenizer, encoder: ClipTextEncoder::new(params, &config) })
}

/// The context of prompts, `[batch, tokens, width]`.
///
/// # Errors
/// When the network fails.
pub fn encode(text: &TextPart, prompts: &[&str]) -> Result<Tensor> {
    let rows: Vec<Vec<u32>> =
        prompts.iter().map(|prompt| Ok(text.tokenizer.encode(prompt)?.ids)).collect::<Result<_>>()?;
    Ok(text.encoder.forward(&rows).map_err(engine_error)?.last_hidden_state)
}

/// Writes the tokenizer's files to a folder.
///
/// # Errors
/// When the disk fails.
pub fn write_tokenizer(folder: &Path) -> Result<()> {
    let TokenizerFiles { vocab_json, merges_txt, tokenizer_config_json, special_tokens_map_json } =
        build_tokenizer(POSITIONS);
    for (name, content) in [
        ("vocab.json", vocab_json),
        ("merges.txt", merges_txt),
        ("tokenizer_config.json", tokenizer_config_json),
        ("special_tokens_map.json", special_tokens_map_json),
    ] {
        write_atomically(&folder.join(name), content.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::garments::{GarmentSpec, Split, caption, prompt};
    use crate::train::starter::draws::initial_values;

    #[test]
    fn no_caption_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let params = Params::fresh(|name, elements, init| initial_values(1, name, elements, init, &[]));
        let text = build_text(folder.path(), &params).unwrap();
        for index in 0..500 {
            let spec = GarmentSpec::sample(1, index, Split::Train);
            for words in [caption(&spec, index), prompt(&spec, index)] {
                assert_eq!(text.tokenizer.encode(&words).unwrap().cut, 0, "{words}");
            }
        }
        assert_eq!(encode(&text, &["a red dress", ""]).unwrap().dims(), [2, POSITIONS, 128]);
    }
}
