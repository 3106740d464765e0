//! How the adapters and embeddings of the user's folders fit a model. Headers are read and alphas, no weights.

use std::path::Path;

use serde_json::{Value, json};

use super::list::Places;
use crate::domain::{AdapterCard, AdapterCards, EmbeddingFit, LoraFit, ModelRef, Result, UserError};
use crate::models::{EmbeddingReport, Outline};
use crate::weights::Shelf;
use crate::weights::embedding::Embedding;
use crate::weights::layout::kind::Kind;
use crate::weights::lora::{FitReport, Form};

/// Most layers that are not used which a card names.
const MAX_NAMED: usize = 12;

/// How one file fits a model.
pub enum Fitted {
    /// An adapter.
    Lora(FitReport),
    /// An embedding.
    Embedding(EmbeddingReport),
}

impl Fitted {
    /// Everything that is known, as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::Lora(report) => json!({ "lora": report }),
            Self::Embedding(EmbeddingReport { embedding, refusal }) => json!({ "embedding": {
                "vectors": vectors(embedding),
                "widths": widths(embedding),
                "refusal": refusal.as_ref().map(|error| json!({ "sentence": error.sentence, "hint": error.hint })),
            } }),
        }
    }
}

/// How an adapter's or embedding's file fits a model.
///
/// # Errors
/// When one of the two cannot be read, or the file is neither.
pub fn fit(path: &Path, kind: Kind, model: &ModelRef) -> Result<Fitted> {
    match kind {
        Kind::Lora => Outline::of(model)?.fit_lora(path).map(Fitted::Lora),
        Kind::TextualInversion => Outline::of(model)?.fit_embedding(path).map(Fitted::Embedding),
        _ => Err(UserError::input("Only a LoRA or an embedding is fitted to a model")
            .path(path)
            .hint("leave --model out to see what this file is")),
    }
}

/// How all adapters and embeddings of the user's folders fit a model.
///
/// # Errors
/// When the model cannot be read; a file that cannot be read has a card that says why.
pub fn fit_all(places: &Places, model: &ModelRef) -> Result<AdapterCards> {
    let shelf = Shelf::of(std::slice::from_ref(&places.loras_dir), std::slice::from_ref(&places.embeddings_dir));
    let outline = Outline::of(model)?;
    let at = |path: &Path, error: UserError| if error.path.is_none() { error.path(path) } else { error };
    let loras = shelf.lora_files().map(|path| {
        let fit = outline.fit_lora(path).map(|report| lora_fit(&report)).map_err(|error| at(path, error));
        AdapterCard::new(path, fit)
    });
    let embeddings = shelf.embeddings().map(|(_, path)| {
        let fit = outline.fit_embedding(path).map(|report| embedding_fit(&report)).map_err(|error| at(path, error));
        AdapterCard::new(path, fit)
    });
    Ok(AdapterCards { model: model.clone(), loras: loras.collect(), embeddings: embeddings.collect() })
}

/// A report in words, for the window.
#[must_use]
pub fn lora_fit(report: &FitReport) -> LoraFit {
    let FitReport { form, keys, keys_matched, components, base, ranks, ignored, notes, refusal } = report;
    let form = form.map(|form| match ranks {
        Some((low, high)) if low == high => format!("{form}, rank {low}"),
        Some((low, high)) => format!("{form}, ranks {low} to {high}"),
        None => Form::to_string(&form),
    });
    LoraFit {
        keys: *keys,
        keys_matched: *keys_matched,
        parts: components.iter().map(|part| (part.component.to_string(), part.keys_matched, part.keys)).collect(),
        made_for: base.looks.or(base.stated_family).map(|family| family.to_string()).or_else(|| base.stated.clone()),
        form,
        ignored: ignored.len(),
        first_ignored: ignored.iter().take(MAX_NAMED).map(|one| format!("{}: {}", one.name, one.reason)).collect(),
        notes: notes.clone(),
        refusal: refusal.clone().map(UserError::from),
    }
}

fn embedding_fit(EmbeddingReport { embedding, refusal }: &EmbeddingReport) -> EmbeddingFit {
    EmbeddingFit { vectors: vectors(embedding), widths: widths(embedding), refusal: refusal.clone() }
}

/// Places in a prompt that the word takes: as many for each encoder.
fn vectors(embedding: &Embedding) -> usize {
    embedding.parts.first().map_or(0, |part| part.vectors)
}

fn widths(embedding: &Embedding) -> Vec<usize> {
    embedding.parts.iter().map(|part| part.width).collect()
}
