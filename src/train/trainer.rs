//! [`Trainer`]: the state of one training and its single update: clip, optimize, average, count.

use super::{AdamW, AdamWConfig, Ema, EmaConfig, Gradients, LrSchedule, Parameters, clip_factor, global_norm};
use crate::domain::{Result, UserError};

/// What an update did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Updates done, this one included.
    pub step: u64,
    /// The loss before it.
    pub loss: f64,
    /// The learning rate that was used.
    pub lr: f64,
    /// The gradients' global norm before clipping.
    pub grad_norm: f64,
}

/// The state of one training.
pub struct Trainer {
    /// What is trained.
    pub parameters: Parameters,
    /// How, with all that it remembers.
    pub optimizer: AdamW,
    /// The average that is kept, where one is.
    pub ema: Option<Ema>,
    /// The learning rate over the steps.
    pub schedule: LrSchedule,
    /// The global norm above which gradients are clipped.
    pub max_grad_norm: f64,
    /// Updates done.
    pub step: u64,
}

impl Trainer {
    /// At the beginning of a training.
    ///
    /// # Errors
    /// Never on a CPU, where all parameters are.
    pub fn new(
        parameters: Parameters,
        optimizer: AdamWConfig,
        ema: Option<EmaConfig>,
        schedule: LrSchedule,
        max_grad_norm: f64,
    ) -> Result<Self> {
        Ok(Self {
            optimizer: AdamW::new(&parameters, optimizer),
            ema: ema.map(|config| Ema::new(&parameters, config)).transpose()?,
            parameters,
            schedule,
            max_grad_norm,
            step: 0,
        })
    }

    /// Runs `work` with the averaged parameters, where an average is kept.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn averaged<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        match &self.ema {
            Some(ema) => ema.with_averaged(&self.parameters, work),
            None => work(),
        }
    }

    /// One update.
    ///
    /// # Errors
    /// When loss or gradients are not finite any more: nothing is changed then, and the step is named.
    pub fn update(&mut self, loss: f64, gradients: &Gradients) -> Result<Update> {
        let grad_norm = global_norm(gradients)?;
        if !loss.is_finite() || !grad_norm.is_finite() {
            let what = if loss.is_finite() { "gradients are" } else { "loss is" };
            return Err(UserError::failed(format!(
                "The training fell apart at step {}: its {what} not finite",
                self.step + 1
            ))
            .hint("the last checkpoint is whole; go on from it with a lower learning rate"));
        }
        let lr = self.schedule.at(self.step);
        self.optimizer.update(&self.parameters, gradients, lr, clip_factor(grad_norm, self.max_grad_norm))?;
        if let Some(ema) = &mut self.ema {
            ema.update(&self.parameters)?;
        }
        self.step += 1;
        Ok(Update { step: self.step, loss, lr, grad_norm })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::train::LrShape;
    use crate::train::parameters::tests::parameters;

    /// A training of two parameters towards zero.
    pub fn trainer() -> Trainer {
        let schedule = LrSchedule { shape: LrShape::Cosine, base: 1e-2, warmup_steps: 2, total_steps: 50 };
        let parameters = parameters(&[("a", &[1.0, -0.5]), ("b.weight", &[0.25])]);
        Trainer::new(parameters, AdamWConfig::default(), Some(EmaConfig::default()), schedule, 1.0).unwrap()
    }

    /// One step of it.
    pub fn step(trainer: &mut Trainer) -> Update {
        let terms: Vec<_> = trainer.parameters.iter().map(|p| p.var.sqr().unwrap().sum_all().unwrap()).collect();
        let loss = (&terms[0] + &terms[1]).unwrap();
        let gradients = Gradients::of(&loss, &trainer.parameters).unwrap();
        trainer.update(f64::from(loss.to_scalar::<f32>().unwrap()), &gradients).unwrap()
    }

    #[test]
    fn the_loss_falls_and_the_steps_are_counted() {
        let mut trainer = trainer();
        let first = step(&mut trainer);
        assert_eq!((first.step, first.lr), (1, 0.0));
        let last = (0..40).map(|_| step(&mut trainer)).last().unwrap();
        assert!(last.loss < 0.8 * first.loss, "{last:?}");
        assert_eq!((trainer.step, trainer.optimizer.step, trainer.ema.as_ref().unwrap().step), (41, 41, 41));
    }

    #[test]
    fn a_loss_that_is_not_finite_stops_and_changes_nothing() {
        let mut trainer = trainer();
        step(&mut trainer);
        let before = trainer.parameters.values().unwrap();
        let loss = trainer.parameters.iter().fold(None, |sum: Option<candle_core::Tensor>, parameter| {
            let term = (parameter.var.sum_all().unwrap() * f64::NAN).unwrap();
            Some(sum.map_or(term.clone(), |sum| (sum + term).unwrap()))
        });
        let gradients = Gradients::of(&loss.unwrap(), &trainer.parameters).unwrap();
        for value in [1.0, f64::NAN] {
            let error = trainer.update(value, &gradients).unwrap_err();
            assert!(error.sentence.contains("step 2"), "{error}");
        }
        assert_eq!((trainer.parameters.values().unwrap(), trainer.step), (before, 1));
    }
}
