//! [`Adapter`]: the changes of a file to a model's weights, by module and by the names of their tensors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::modules::{Component, Module};
use super::report::Form;

/// What is known of an adapter file before its tensors are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoraFile {
    /// Every tensor's name and shape.
    pub tensors: Vec<(String, Vec<usize>)>,
    /// The header's metadata.
    pub metadata: BTreeMap<String, String>,
    /// `adapter_config.json`, where it lies beside the file (peft).
    pub adapter_config: Option<Value>,
    /// The part that it is for, where the folder says so (peft: names tell no text encoder from the other).
    pub component: Option<Component>,
}

/// Where an alpha comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlphaSource {
    /// A tensor of its own.
    Tensor,
    /// The header, or `adapter_config.json`.
    Metadata,
    /// Nothing says it: it is taken to be the rank.
    Rank,
}

/// The numerator of an adapter's scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alpha {
    /// Its value.
    pub value: f64,
    /// Where it comes from.
    pub source: AlphaSource,
}

/// The tensors that make up one change of one weight `[out, in, …]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Factors {
    /// `up · down`, with a kernel between the two where there is a `mid` (`LoRA`, `LoCon`).
    Lora {
        /// `[rank, in, …]`.
        down: String,
        /// `[out, rank]`.
        up: String,
        /// `[rank, rank of down, kernel height, kernel width]`.
        mid: Option<String>,
    },
    /// `(w1_a · w1_b) ∘ (w2_a · w2_b)`, the element-wise product of two (`LoHa`, <https://arxiv.org/abs/2108.06098>).
    Loha {
        /// `[out, rank]` and `[rank, in …]`, or `[rank, out]` and `[rank, in]` where there is a core.
        w1: (String, String),
        /// As `w1`.
        w2: (String, String),
        /// The two kernels `[rank, rank, kernel height, kernel width]`.
        cores: Option<(String, String)>,
    },
}

/// One change of one weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The part.
    pub component: Component,
    /// The module's path, as the model's table spells it.
    pub module: String,
    /// The shape of the module's weight.
    pub shape: Vec<usize>,
    /// The tensors.
    pub factors: Factors,
    /// The rank of the factors.
    pub rank: usize,
    /// The numerator of the scale.
    pub alpha: Alpha,
    /// What the product is multiplied with at weight 1: alpha / rank, or alpha / √rank where the file says so.
    pub scale: f64,
}

impl Pair {
    pub(super) fn new(module: &Module, factors: Factors, rank: usize, alpha: Alpha, rank_stabilized: bool) -> Self {
        let divisor = if rank_stabilized { (rank as f64).sqrt() } else { rank as f64 };
        Self {
            component: module.component,
            module: module.path.clone(),
            shape: module.shape.clone(),
            factors,
            rank,
            alpha,
            scale: alpha.value / divisor,
        }
    }

    /// The weight's rows and columns as a matrix.
    #[must_use]
    pub fn dims(&self) -> (usize, usize) {
        (self.shape[0], self.shape[1..].iter().product())
    }
}

/// The changes of a file to a model's weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adapter {
    /// Whose names the file has.
    pub form: Form,
    /// The changes, in the order of the model's modules; no module twice.
    pub pairs: Vec<Pair>,
}

impl Adapter {
    /// The changes of one part, by the module's path.
    #[must_use]
    pub fn of(&self, component: Component) -> BTreeMap<&str, &Pair> {
        let pairs = self.pairs.iter().filter(|pair| pair.component == component);
        pairs.map(|pair| (pair.module.as_str(), pair)).collect()
    }
}
