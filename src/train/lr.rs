//! Learning rates over the steps, as diffusers' `optimization.py`.

use std::f64::consts::PI;

/// How the learning rate goes over the steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LrShape {
    /// The same throughout, without a warm-up.
    Constant,
    /// The same after the warm-up.
    ConstantWithWarmup,
    /// Straight down to zero.
    Linear,
    /// Half a cosine down to zero.
    Cosine,
    /// The same several times, from the top each time.
    CosineWithRestarts {
        /// How many times.
        cycles: f64,
    },
    /// A power of the way left, down to 1e-7.
    Polynomial {
        /// The power.
        power: f64,
    },
}

/// Where a polynomial ends.
const POLYNOMIAL_END: f64 = 1e-7;

/// A learning rate over the steps of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrSchedule {
    /// Its shape.
    pub shape: LrShape,
    /// The learning rate after the warm-up.
    pub base: f64,
    /// Steps of a straight rise from zero.
    pub warmup_steps: u64,
    /// All steps of the training.
    pub total_steps: u64,
}

impl LrSchedule {
    /// The learning rate of the update after `step` updates: the first has `at(0)`, which is 0 with a warm-up.
    #[must_use]
    pub fn at(&self, step: u64) -> f64 {
        self.base * self.factor(step)
    }

    fn factor(&self, step: u64) -> f64 {
        let (s, warmup, total) = (step as f64, self.warmup_steps as f64, self.total_steps as f64);
        if matches!(self.shape, LrShape::Constant) {
            return 1.0;
        }
        if step < self.warmup_steps {
            return s / warmup.max(1.0);
        }
        let span = (total - warmup).max(1.0);
        let progress = (s - warmup) / span;
        match self.shape {
            LrShape::Constant | LrShape::ConstantWithWarmup => 1.0,
            LrShape::Linear => ((total - s) / span).max(0.0),
            LrShape::Cosine => (0.5 * (1.0 + (PI * progress).cos())).max(0.0),
            LrShape::CosineWithRestarts { .. } if progress >= 1.0 => 0.0,
            LrShape::CosineWithRestarts { cycles } => (0.5 * (1.0 + (PI * ((cycles * progress) % 1.0)).cos())).max(0.0),
            LrShape::Polynomial { .. } if s > total => POLYNOMIAL_END / self.base,
            LrShape::Polynomial { power } => {
                ((self.base - POLYNOMIAL_END) * (1.0 - progress).powf(power) + POLYNOMIAL_END) / self.base
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The corner values that hold for every shape; all others are compared with diffusers in the parity tests.
    #[test]
    fn every_shape_rises_to_the_base_and_never_above() {
        for shape in [
            LrShape::ConstantWithWarmup,
            LrShape::Linear,
            LrShape::Cosine,
            LrShape::CosineWithRestarts { cycles: 3.0 },
            LrShape::Polynomial { power: 2.0 },
        ] {
            let schedule = LrSchedule { shape, base: 1e-3, warmup_steps: 4, total_steps: 20 };
            assert_eq!(schedule.at(0), 0.0, "{shape:?}");
            assert!((schedule.at(4) - 1e-3).abs() < 1e-12, "{shape:?}");
            assert!((0..40).all(|step| (0.0..=1e-3 + 1e-15).contains(&schedule.at(step))), "{shape:?}");
        }
        let constant = LrSchedule { shape: LrShape::Constant, base: 1e-3, warmup_steps: 4, total_steps: 20 };
        assert_eq!(constant.at(0), 1e-3);
    }
}
