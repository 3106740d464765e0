//! [`FitReport`]: how an adapter file fits a model, as plain data, to be shown before a run.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::base::BaseFamily;
use super::keys::Method;
use super::modules::Component;
use crate::domain::UserError;

/// Whose names a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `base_model.model.….lora_A.weight`, or the same without a prefix.
    Peft,
    /// `unet.….lora_A.weight`.
    Diffusers,
    /// `unet.….lora.down.weight`, `text_encoder.….lora_linear_layer.down.weight`.
    DiffusersDotted,
    /// `….processor.to_q_lora.down.weight`.
    DiffusersOld,
    /// `lora_unet_down_blocks_….lora_down.weight`: diffusers' modules.
    Kohya,
    /// `lora_unet_input_blocks_….lora_down.weight`: LDM's modules.
    KohyaLdm,
    /// `diffusion_model.input_blocks.….lora_A.weight`: LDM's modules with dots.
    Ldm,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peft => "peft",
            Self::Diffusers => "diffusers",
            Self::DiffusersDotted => "diffusers (before peft)",
            Self::DiffusersOld => "diffusers (attention processors)",
            Self::Kohya => "kohya",
            Self::KohyaLdm => "kohya (LDM names)",
            Self::Ldm => "LDM names",
        })
    }
}

/// Why a group of tensors is not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The name is no part of an adapter.
    NotAnAdapterKey,
    /// The model has no such module.
    UnknownModule,
    /// Half of a pair is missing.
    Incomplete {
        /// What is not there.
        missing: String,
    },
    /// A tensor does not fit the module's weight.
    WrongShape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape of the module's weight.
        weight: Vec<usize>,
    },
    /// The alpha is no usable number.
    BadAlpha {
        /// Why.
        why: String,
    },
    /// The file names this module twice.
    Twice,
    /// It belongs to an adapter of a kind that is not applied.
    Refused {
        /// The kind.
        method: Method,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnAdapterKey => f.write_str("is no part of an adapter"),
            Self::UnknownModule => f.write_str("the model has no such layer"),
            Self::Incomplete { missing } => write!(f, "{missing} is missing"),
            Self::WrongShape { tensor, found, weight } => {
                write!(f, "{tensor} is {found:?}, which does not fit a weight of {weight:?}")
            }
            Self::BadAlpha { why } => write!(f, "its alpha cannot be used: {why}"),
            Self::Twice => f.write_str("the file has this layer twice"),
            Self::Refused { method } => write!(f, "{method} is not applied"),
        }
    }
}

/// Tensors of one module that are not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// The module's name as the file spells it, or the tensor's where it names no module.
    pub name: String,
    /// The part that it names.
    pub component: Option<Component>,
    /// How many tensors.
    pub keys: usize,
    /// Why.
    #[serde(flatten)]
    pub reason: Reason,
}

/// How the file fits one part of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentFit {
    /// The part.
    pub component: Component,
    /// Tensors of the file for it.
    pub keys: usize,
    /// Those that are used.
    pub keys_matched: usize,
    /// Weights that the file changes.
    pub modules: usize,
}

/// The model that the file was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// What the header says, in its own words.
    pub stated: Option<String>,
    /// The family that this means.
    pub stated_family: Option<BaseFamily>,
    /// The family that names and shapes look like.
    pub looks: Option<BaseFamily>,
    /// The family of the model that it was fitted to.
    pub model: Option<BaseFamily>,
}

/// Why the whole file is not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// One sentence.
    pub sentence: String,
    /// What to do about it.
    pub hint: String,
}

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        Self::input(refusal.sentence).hint(refusal.hint)
    }
}

/// How an adapter file fits a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    /// Whose names it has; the commonest where they are mixed.
    pub form: Option<Form>,
    /// Tensors in the file.
    pub keys: usize,
    /// Those that are used.
    pub keys_matched: usize,
    /// The parts that it changes or means to change.
    pub components: Vec<ComponentFit>,
    /// The model that it was made for.
    pub base: Base,
    /// Smallest and largest rank.
    pub ranks: Option<(usize, usize)>,
    /// What is not used, and why.
    pub ignored: Vec<Ignored>,
    /// What a user should know.
    pub notes: Vec<String>,
    /// Why it is not applied at all.
    pub refusal: Option<Refusal>,
}

impl FitReport {
    /// Whether every tensor is used.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.refusal.is_none() && self.keys > 0 && self.keys_matched == self.keys
    }

    /// One sentence, such as `280 of 280 keys matched (UNet 256 of 256, text encoder 24 of 24)`, and with the first three
    /// that did not.
    #[must_use]
    pub fn summary(&self) -> String {
        let parts: Vec<String> = self
            .components
            .iter()
            .map(|part| format!("{} {} of {}", part.component, part.keys_matched, part.keys))
            .collect();
        let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        let mut text = format!("{} of {} keys matched{parts}", self.keys_matched, self.keys);
        let first: Vec<String> =
            self.ignored.iter().take(3).map(|ignored| format!("{}: {}", ignored.name, ignored.reason)).collect();
        if !first.is_empty() {
            let more = if self.ignored.len() > 3 { "; …" } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(text, "; ignored {}: {}{more}", self.ignored.len(), first.join("; "));
        }
        text
    }
}
