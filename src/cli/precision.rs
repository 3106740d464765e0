//! `--precision`: how exactly a command computes.

use crate::domain::Precision;
use crate::nn::with_precision;

/// The flag.
#[derive(Clone, Copy, clap::Args)]
pub struct HowExactly {
    /// How exactly to compute.
    #[arg(long, default_value = "fast", value_name = "fast|exact")]
    precision: Mode,
}

/// What it can be.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// In bf16 where the processor has instructions for it.
    Fast,
    /// In f32.
    Exact,
}

impl HowExactly {
    /// What was chosen.
    pub fn precision(self) -> Precision {
        match self.precision {
            Mode::Fast => Precision::Fast,
            Mode::Exact => Precision::Exact,
        }
    }

    /// Does some work so.
    pub fn compute<T>(self, work: impl FnOnce() -> T) -> T {
        with_precision(self.precision(), work)
    }
}
