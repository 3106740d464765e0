//! [`Ema`]: an exponential moving average of the parameters, as diffusers' `EMAModel` (`training_utils.py`).

use super::Parameters;
use super::parameters::with_values;
use crate::domain::{Result, UserError};
use crate::nn::engine_error;

/// How fast the average follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmaConfig {
    /// The decay that is never exceeded.
    pub decay: f64,
    /// The decay that is kept at least, but for the first update, which takes the parameters as they are.
    pub min_decay: f64,
    /// Updates before averaging begins.
    pub update_after_step: u64,
    /// The warm-up `1 - (1 + s / inv_gamma)^-power` instead of `(1 + s) / (10 + s)`.
    pub warmup: Option<EmaWarmup>,
}

/// The slower warm-up of `EMAModel` (`use_ema_warmup`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmaWarmup {
    /// Inverse of the multiplier.
    pub inv_gamma: f64,
    /// Exponent: 2/3 for a million steps and more, 3/4 for fewer.
    pub power: f64,
}

impl Default for EmaConfig {
    /// `EMAModel`'s.
    fn default() -> Self {
        Self { decay: 0.9999, min_decay: 0.0, update_after_step: 0, warmup: None }
    }
}

impl EmaConfig {
    /// The decay of update `step`, counted from 1.
    #[must_use]
    pub fn decay_at(&self, step: u64) -> f64 {
        let s = step.saturating_sub(self.update_after_step + 1) as f64;
        if s <= 0.0 {
            return 0.0;
        }
        let decay = match self.warmup {
            Some(EmaWarmup { inv_gamma, power }) => 1.0 - (1.0 + s / inv_gamma).powf(-power),
            None => (1.0 + s) / (10.0 + s),
        };
        decay.min(self.decay).max(self.min_decay)
    }
}

/// The average with all that it remembers.
pub struct Ema {
    /// How fast it follows.
    pub config: EmaConfig,
    /// Updates done.
    pub step: u64,
    /// The averaged values, in the parameters' order.
    pub shadow: Vec<Vec<f32>>,
}

impl Ema {
    /// Begins with the parameters as they are.
    ///
    /// # Errors
    /// Never on a CPU, where all parameters are.
    pub fn new(parameters: &Parameters, config: EmaConfig) -> Result<Self> {
        Ok(Self { config, step: 0, shadow: parameters.values()? })
    }

    /// Moves towards the parameters; call it after each of the optimizer's updates.
    ///
    /// # Errors
    /// When they are other parameters.
    pub fn update(&mut self, parameters: &Parameters) -> Result<()> {
        let fits = self.shadow.len() == parameters.iter().len()
            && self.shadow.iter().zip(parameters.iter()).all(|(shadow, p)| shadow.len() == p.var.elem_count());
        if !fits {
            return Err(UserError::failed("The average is of other parameters"));
        }
        self.step += 1;
        let follow = (1.0 - self.config.decay_at(self.step)) as f32;
        for (shadow, parameter) in self.shadow.iter_mut().zip(parameters.iter()) {
            with_values(&parameter.var, |values| {
                for (shadow, value) in shadow.iter_mut().zip(values) {
                    *shadow -= follow * (*shadow - *value);
                }
            })
            .map_err(engine_error)?;
        }
        Ok(())
    }

    /// Runs `work` with the averaged values in the parameters' place, and puts these back afterwards, bit by bit.
    ///
    /// # Errors
    /// Those of `work`, or when they are other parameters.
    pub fn with_averaged<T>(&self, parameters: &Parameters, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let kept = parameters.values()?;
        parameters.set_values(&self.shadow)?;
        let result = work();
        parameters.set_values(&kept)?;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::parameters::tests::parameters;

    #[test]
    fn the_first_update_takes_the_parameters_as_they_are() {
        let parameters = parameters(&[("a", &[1.0])]);
        let mut ema = Ema::new(&parameters, EmaConfig::default()).unwrap();
        parameters.set_values(&[vec![3.0]]).unwrap();
        ema.update(&parameters).unwrap();
        assert_eq!(ema.shadow, [[3.0]]);
        parameters.set_values(&[vec![14.0]]).unwrap();
        ema.update(&parameters).unwrap();
        // s = 1: decay 2/11, so 9/11 of the way from 3 to 14.
        assert!((ema.shadow[0][0] - 12.0).abs() < 1e-5);
    }

    #[test]
    fn the_parameters_come_back_after_a_look_at_the_average() {
        let parameters = parameters(&[("a", &[1.0])]);
        let ema = Ema { shadow: vec![vec![7.0]], ..Ema::new(&parameters, EmaConfig::default()).unwrap() };
        let seen = ema.with_averaged(&parameters, || parameters.values()).unwrap();
        assert_eq!((seen, parameters.values().unwrap()), (vec![vec![7.0]], vec![vec![1.0]]));
        let failed: Result<()> = ema.with_averaged(&parameters, || Err(UserError::cancelled()));
        assert!(failed.is_err());
        assert_eq!(parameters.values().unwrap(), [[1.0]]);
    }

    #[test]
    fn late_averaging_waits() {
        let config = EmaConfig { update_after_step: 5, decay: 0.5, min_decay: 0.3, ..EmaConfig::default() };
        assert_eq!(config.decay_at(6), 0.0);
        assert_eq!(config.decay_at(7), 0.3);
        assert_eq!(config.decay_at(1000), 0.5);
    }
}
