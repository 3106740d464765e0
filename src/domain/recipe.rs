//! [`Recipe`]: how a finished picture was made.

use serde::{Deserialize, Serialize};

use super::grid::Axes;
use super::{GenerateRequest, Verdict};

/// How a finished picture was made: the request that makes it again, and what else is worth knowing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The request of this one picture: its own seed, a count of 1.
    pub request: GenerateRequest,
    /// The model's name for people.
    pub model_name: String,
    /// First ten hex digits of the model's sha256.
    pub model_hash: String,
    /// The program and version that made it, such as `Atelier 0.1.0`.
    pub version: String,
    /// How long it took, in seconds.
    pub elapsed_secs: f64,
    /// What the model's safety checker said of it; `None` where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety: Option<Verdict>,
    /// Where the picture is the sheet of a grid: what differs from cell to cell. The request is what they have in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Box<Axes>>,
}
