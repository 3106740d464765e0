//! [`Pace`]: running averages of a training, for what is told of it.

use super::Update;

/// Steps that an average goes over at most.
const STEPS: u64 = 100;

/// Running averages.
#[derive(Default)]
pub(super) struct Pace {
    count: u64,
    /// The loss.
    pub loss: f64,
    /// Seconds of a step.
    pub secs: f64,
}

impl Pace {
    /// Takes a step in.
    pub fn add(&mut self, update: &Update, secs: f64) {
        self.count += 1;
        let weight = 1.0 / self.count.min(STEPS) as f64;
        self.loss += weight * (update.loss - self.loss);
        self.secs += weight * (secs - self.secs);
    }
}
