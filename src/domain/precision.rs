//! [`Precision`]: how exactly the networks' products are computed.

use serde::{Deserialize, Serialize};

/// How exactly the networks' products are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Operands rounded to bf16 (relative error 2⁻⁹), sums in f32, where the processor has instructions for it; elsewhere
    /// the same as exact.
    #[default]
    Fast,
    /// Operands and sums in f32.
    Exact,
}

impl Precision {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fast, Self::Exact];
}
