//! [`Recipe`]: how a finished picture was made.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::grid::Axes;
use super::{GenerateRequest, Verdict};

/// What every version of this program that has made a picture begins with.
const OUR_VERSIONS: &str = "Atelier";

/// How a finished picture was made: the request that makes it again, and what else is worth knowing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// What it was computed with; `None` for pictures of other programs and of our first versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// Where the picture is the sheet of a grid: what differs from cell to cell. The request is what they have in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Box<Axes>>,
    /// What of another program's recipe could not be taken over, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_understood: Vec<String>,
}

impl Recipe {
    /// Whether a program of ours made the picture, so that its request names the model itself and not only its name.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.version.starts_with(OUR_VERSIONS)
    }
}

/// What a picture was computed with, as far as the last bits of its pixels may depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// What computed: `cpu`.
    pub device: String,
    /// The instructions of its kernels, such as `AVX-512`.
    pub kernels: String,
    /// In which numbers, such as `f32`.
    pub precision: String,
    /// How many threads. They do not change a bit; where a picture differs, this rules one reason out.
    pub threads: u32,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, kernels, precision, threads } = self;
        let known = [device, kernels, precision].into_iter().filter(|part| !part.is_empty());
        f.write_str(&known.map(String::as_str).collect::<Vec<_>>().join(", "))?;
        match threads {
            0 => Ok(()),
            1 => f.write_str(", 1 thread"),
            count => write!(f, ", {count} threads"),
        }
    }
}
