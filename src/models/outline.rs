//! [`Outline`]: a model's names and shapes, to say how adapters and embeddings fit before anything is loaded.

use std::path::Path;

use super::adapters::fit_file;
use super::family;
use super::source::Source;
use crate::domain::{Capabilities, ModelRef, Result, UserError};
use crate::weights::embedding::{Embedding, EmbeddingEncoder};
use crate::weights::layout::Component;
use crate::weights::lora::{self, FitReport, ModelModules, Module};
use crate::weights::{TensorFile, open_file};

/// Where a text encoder's vectors of words stand; the number of columns is their width.
const WORDS: &str = "embeddings.token_embedding.weight";

/// A model's names and shapes.
pub struct Outline {
    modules: ModelModules,
    /// The width of the words of the first and the second text encoder.
    widths: (usize, Option<usize>),
}

/// What a model can do, told from its configurations, names and shapes; no weights are read.
///
/// # Errors
/// When the model is not there, is broken, or of no family that is built.
pub fn capabilities_of(model: &ModelRef) -> Result<&'static Capabilities> {
    let source = Source::open(model, None)?;
    let (unet, scheduler) =
        (source.files.json("unet/config.json")?, source.files.json("scheduler/scheduler_config.json")?);
    Ok(&family::detect(&unet, &scheduler)?.capabilities)
}

/// How an embedding fits a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingReport {
    /// What the file holds.
    pub embedding: Embedding,
    /// Why it cannot be used with the model.
    pub refusal: Option<UserError>,
}

impl Outline {
    /// The outline of a model. Its files are opened and their headers read; no weights are.
    ///
    /// # Errors
    /// When the model is not there, is broken, or is something else.
    pub fn of(model: &ModelRef) -> Result<Self> {
        let source = Source::open(model, None)?;
        let mut parts = vec![
            (lora::Component::UNet, source.weights(Component::Unet)?),
            (lora::Component::TextEncoder, source.weights(Component::TextEncoder)?),
        ];
        if source.files.has("text_encoder_2/config.json") {
            parts.push((lora::Component::TextEncoder2, source.weights(Component::TextEncoder2)?));
        }
        let width_of = |wanted| {
            let (_, file) = parts.iter().find(|(component, _)| *component == wanted)?;
            word_width(file)
        };
        let first = width_of(lora::Component::TextEncoder)
            .ok_or_else(|| UserError::input(format!("The text encoder has no {WORDS}")))?;
        let widths = (first, width_of(lora::Component::TextEncoder2));
        let modules = ModelModules::new(parts.iter().flat_map(|(component, file)| {
            let tensors = file.tensors().iter();
            // As the encoders are loaded: `text_model.` is written or not.
            tensors.filter_map(|(name, info)| {
                let name = match component {
                    lora::Component::UNet => name,
                    _ => name.strip_prefix("text_model.").unwrap_or(name),
                };
                Module::of_weight(*component, name, &info.shape)
            })
        }));
        Ok(Self { modules, widths })
    }

    /// How an adapter's file fits.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn fit_lora(&self, path: &Path) -> Result<FitReport> {
        Ok(fit_file(path, &self.modules)?.1.report)
    }

    /// How an embedding's file fits.
    ///
    /// # Errors
    /// When the file cannot be read, or is no embedding.
    pub fn fit_embedding(&self, path: &Path) -> Result<EmbeddingReport> {
        let opened = open_file(path)?.file;
        let shapes = opened.tensors().iter().map(|(name, info)| (name.as_str(), info.shape.as_slice()));
        let embedding = Embedding::find(shapes).map_err(|error| error.path(path))?;
        let refusal = self.refusal_of(&embedding);
        Ok(EmbeddingReport { embedding, refusal })
    }

    fn refusal_of(&self, embedding: &Embedding) -> Option<UserError> {
        let has = |wanted| embedding.parts.iter().find(|part| part.encoder == wanted).map(|part| part.width);
        let refuse =
            |sentence: String| Some(UserError::input(sentence).hint("it was made for another family of models"));
        match (has(EmbeddingEncoder::First), has(EmbeddingEncoder::Second), self.widths) {
            (Some(own), _, (wanted, _)) if own != wanted => {
                refuse(format!("Its vectors are {own} long; this model reads {wanted}"))
            }
            (Some(_), None, (_, Some(_))) => {
                refuse("It has no vectors for this model's second text encoder".to_owned())
            }
            // One for two encoders can be used with a model that has the first of them.
            (Some(_), Some(own), (_, Some(wanted))) if own != wanted => {
                refuse(format!("Its vectors for the second text encoder are {own} long; this model reads {wanted}"))
            }
            _ => None,
        }
    }
}

fn word_width(file: &TensorFile) -> Option<usize> {
    let (_, info) =
        file.tensors().iter().find(|(name, _)| name.strip_prefix("text_model.").unwrap_or(name) == WORDS)?;
    info.shape.get(1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_is_outlined_without_loading_it() {
        let outline = Outline::of(&ModelRef::Starter).unwrap();
        assert_eq!(outline.widths.1, None);
        let loaded = super::super::open(&ModelRef::Starter, None, &crate::domain::Cancel::default(), &mut |_| ());
        assert_eq!(outline.widths.0, loaded.unwrap().text.encoder.config().hidden_size);
        assert_eq!(capabilities_of(&ModelRef::Starter).unwrap().family, crate::domain::FamilyId::Starter);
        assert!(outline.modules.has(lora::Component::UNet) && outline.modules.has(lora::Component::TextEncoder));
        let error = Outline::of(&ModelRef::Path("/nowhere".into())).err().unwrap();
        assert_eq!(error.exit_code(), 2);
    }
}
