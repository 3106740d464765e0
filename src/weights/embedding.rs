//! Textual inversions: which tensor of a file holds the vectors of which text encoder, from names and shapes alone.
//!
//! Four forms are about, in pickles and in safetensors. webui: `{"string_to_param": {"*": [n, d]}, "name", …}`; its
//! safetensors: `emb_params`; SDXL: `clip_l` and `clip_g`; diffusers: `{"<token>": tensor}`, of shape
//! `[n, d]` or `[d]`.

use crate::domain::{Result, UserError};

/// What webui's pickles have their vectors under.
const STRING_TO_PARAM: &str = "string_to_param.";

/// Which form a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingForm {
    /// A pickle of stable-diffusion-webui, or of the first textual inversion.
    StringToParam,
    /// `emb_params`, in safetensors.
    EmbParams,
    /// `clip_l` and `clip_g`, for SDXL's two encoders.
    ClipPair,
    /// One tensor named by its token, as diffusers writes it.
    Token,
}

/// Whose vectors they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingEncoder {
    /// The first or only encoder: SD 1, SD 2, and SDXL's CLIP-L. The width says which model fits: 768 is SD 1 or SDXL,
    /// 1024 is SD 2.
    First,
    /// SDXL's second, OpenCLIP-G: 1280 wide.
    Second,
}

/// The vectors for one encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingPart {
    /// The name of the tensor that holds them. Its values are row-major, [vectors, width].
    pub tensor: String,
    /// Whose they are.
    pub encoder: EmbeddingEncoder,
    /// How many: the token stands for that many places in a prompt.
    pub vectors: usize,
    /// How long each is.
    pub width: usize,
}

/// What a textual inversion holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// Which form it has.
    pub form: EmbeddingForm,
    /// The word that calls it, where the file says so. Where it does not, tools take the file's name without ending.
    pub token: Option<String>,
    /// The vectors: one part, or two of equally many vectors, the first encoder's first.
    pub parts: Vec<EmbeddingPart>,
}

impl Embedding {
    /// Finds the vectors among a file's tensors, given as names and shapes.
    ///
    /// # Errors
    /// When the file is no textual inversion, or one whose shapes make no sense. The path is for the caller to add.
    pub fn find<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>) -> Result<Self> {
        let tensors: Vec<_> = tensors.into_iter().collect();
        let named = |name: &str| tensors.iter().copied().find(|(own, _)| *own == name);
        let mut old = tensors.iter().copied().filter(|(name, _)| name.starts_with(STRING_TO_PARAM));
        if let Some(vectors) = old.next() {
            if old.next().is_some() {
                return Err(UserError::input("This embedding holds vectors for several words")
                    .hint("save each word as a file of its own"));
            }
            return Self::of_one(EmbeddingForm::StringToParam, None, vectors);
        }
        if let Some(vectors) = named("emb_params") {
            return Self::of_one(EmbeddingForm::EmbParams, None, vectors);
        }
        match (named("clip_l"), named("clip_g")) {
            (Some(first), Some(second)) => Self::of_two(first, second),
            (Some(_), None) | (None, Some(_)) => {
                Err(UserError::input("This SDXL embedding holds vectors for one of the two text encoders only")
                    .hint("an SDXL embedding has both clip_l and clip_g"))
            }
            (None, None) => match tensors.as_slice() {
                [only] if !only.0.is_empty() => Self::of_one(EmbeddingForm::Token, Some(only.0.to_owned()), *only),
                _ => Err(UserError::input(format!("This is not an embedding: it holds {} tensors", tensors.len()))
                    .hint("a model or a LoRA is opened elsewhere, under its own kind")),
            },
        }
    }

    fn of_one(form: EmbeddingForm, token: Option<String>, vectors: (&str, &[usize])) -> Result<Self> {
        Ok(Self { form, token, parts: vec![part(vectors, EmbeddingEncoder::First)?] })
    }

    fn of_two(first: (&str, &[usize]), second: (&str, &[usize])) -> Result<Self> {
        let parts = vec![part(first, EmbeddingEncoder::First)?, part(second, EmbeddingEncoder::Second)?];
        if parts[0].vectors != parts[1].vectors {
            let sentence = format!(
                "This SDXL embedding holds {} vectors for the first text encoder and {} for the second",
                parts[0].vectors, parts[1].vectors
            );
            return Err(UserError::input(sentence).hint("both must have the same number"));
        }
        Ok(Self { form: EmbeddingForm::ClipPair, token: None, parts })
    }
}

fn part((name, shape): (&str, &[usize]), encoder: EmbeddingEncoder) -> Result<EmbeddingPart> {
    let (vectors, width) = match *shape {
        [vectors, width] => (vectors, width),
        [width] => (1, width),
        _ => (0, 0),
    };
    if vectors == 0 || width == 0 {
        return Err(UserError::input(format!("The tensor {name} has the shape {shape:?}, which no embedding has"))
            .hint("an embedding holds one vector, or rows of them"));
    }
    Ok(EmbeddingPart { tensor: name.to_owned(), encoder, vectors, width })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(tensors: &[(&str, &[usize])]) -> Result<Embedding> {
        Embedding::find(tensors.iter().copied())
    }

    #[test]
    fn each_form_is_told_by_its_names() {
        let one = |form, token: Option<&str>, tensor: &str, vectors| Embedding {
            form,
            token: token.map(str::to_owned),
            parts: vec![EmbeddingPart {
                tensor: tensor.to_owned(),
                encoder: EmbeddingEncoder::First,
                vectors,
                width: 768,
            }],
        };
        let old = find(&[("other", &[5]), ("string_to_param.*", &[3, 768])]).unwrap();
        assert_eq!(old, one(EmbeddingForm::StringToParam, None, "string_to_param.*", 3));
        assert_eq!(find(&[("emb_params", &[3, 768])]).unwrap(), one(EmbeddingForm::EmbParams, None, "emb_params", 3));
        let token = one(EmbeddingForm::Token, Some("<cat>"), "<cat>", 1);
        assert_eq!(find(&[("<cat>", &[768])]).unwrap(), token);
        assert_eq!(find(&[("<cat>", &[1, 768])]).unwrap(), token);
        let pair = find(&[("clip_g", &[2, 1280]), ("clip_l", &[2, 768])]).unwrap();
        assert_eq!((pair.form, pair.token), (EmbeddingForm::ClipPair, None));
        let parts: Vec<_> =
            pair.parts.iter().map(|it| (it.tensor.as_str(), it.encoder, it.vectors, it.width)).collect();
        let expected = [("clip_l", EmbeddingEncoder::First, 2, 768), ("clip_g", EmbeddingEncoder::Second, 2, 1280)];
        assert_eq!(parts, expected);
    }

    #[test]
    fn what_is_no_embedding_is_refused_with_a_sentence() {
        type Tensors = [(&'static str, &'static [usize])];
        let cases: [(&Tensors, &str); 9] = [
            (&[], "holds 0 tensors"),
            (&[("a", &[768]), ("b", &[768])], "holds 2 tensors"),
            (&[("", &[768])], "not an embedding"),
            (&[("clip_l", &[1, 768])], "one of the two"),
            (&[("clip_l", &[1, 768]), ("clip_g", &[2, 1280])], "1 vectors for the first text encoder and 2"),
            (&[("string_to_param.*", &[1, 768]), ("string_to_param.+", &[1, 768])], "several words"),
            (&[("emb_params", &[])], "shape []"),
            (&[("emb_params", &[0, 768])], "shape [0, 768]"),
            (&[("<cat>", &[320, 4, 3, 3])], "shape [320, 4, 3, 3]"),
        ];
        for (tensors, expected) in cases {
            let error = find(tensors).expect_err(expected);
            assert!(error.sentence.contains(expected), "{error} lacks {expected}");
            assert_eq!((error.exit_code(), error.hint.is_some()), (2, true));
        }
    }
}
