//! [`LossScale`]: gradients of a network that computes in f16, kept within its range.
//!
//! Most gradients are smaller than f16's smallest numbers. The loss is multiplied before the way back, and the gradients are
//! divided behind it, in f32. Where one left the range meanwhile the update is left out and the factor halved; after many
//! good ones it is doubled (Micikevicius et al. 2018, "Mixed Precision Training"; the numbers are those of torch's
//! `GradScaler`).

/// Doublings and halvings end here.
const BOUNDS: (f64, f64) = (1.0, 16_777_216.0);
/// Where it begins.
const FIRST: f64 = 65_536.0;
/// Good updates before it is doubled.
const PATIENCE: u32 = 2000;
/// Updates in a row that may be left out before the training is given up.
const MOST_LEFT_OUT: u32 = 64;

/// The factor, and how it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossScale {
    factor: f64,
    good: u32,
    left_out: u32,
}

/// What becomes of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is made.
    Take,
    /// It is left out: another factor may do.
    LeaveOut,
    /// It is made, and fails: no factor helps.
    GiveUp,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { factor: FIRST, good: 0, left_out: 0 }
    }
}

impl LossScale {
    /// What the loss is multiplied with.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Takes in how the gradients of an update came out.
    pub fn judge(&mut self, are_finite: bool) -> Verdict {
        if are_finite {
            (self.good, self.left_out) = (self.good + 1, 0);
            if self.good == PATIENCE {
                (self.factor, self.good) = ((2.0 * self.factor).min(BOUNDS.1), 0);
            }
            return Verdict::Take;
        }
        (self.good, self.left_out) = (0, self.left_out + 1);
        if self.factor <= BOUNDS.0 || self.left_out > MOST_LEFT_OUT {
            return Verdict::GiveUp;
        }
        self.factor = (0.5 * self.factor).max(BOUNDS.0);
        Verdict::LeaveOut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_at_once_and_rises_slowly() {
        let mut scale = LossScale::default();
        assert_eq!((scale.judge(false), scale.factor()), (Verdict::LeaveOut, 32_768.0));
        for _ in 0..PATIENCE - 1 {
            assert_eq!((scale.judge(true), scale.factor()), (Verdict::Take, 32_768.0));
        }
        assert_eq!((scale.judge(true), scale.factor()), (Verdict::Take, 65_536.0));
    }

    #[test]
    fn what_no_factor_helps_is_given_up() {
        let mut scale = LossScale::default();
        let halvings = (0..100).take_while(|_| scale.judge(false) == Verdict::LeaveOut).count();
        assert_eq!((halvings, scale.factor()), (16, 1.0));
    }
}
