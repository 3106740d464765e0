//! [`AdamW`] with decoupled weight decay (Loshchilov and Hutter 2019), step for step as torch's `optim/adamw.py`.
//!
//! candle-nn's own keeps its moments to itself, so that a training with it cannot be resumed.

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result as TensorResult, Tensor, Var, bail};

use super::{Gradients, Parameters};
use crate::domain::{Result, UserError};
use crate::nn::engine_error;

/// The constants of [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the latter.
    pub eps: f64,
}

impl Default for AdamWConfig {
    /// torch's.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

/// What the optimizer remembers of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Running mean of the gradients.
    pub m: Vec<f32>,
    /// Running mean of the squared gradients.
    pub v: Vec<f32>,
}

/// The optimizer with all that it remembers.
pub struct AdamW {
    /// Its constants.
    pub config: AdamWConfig,
    /// Updates done.
    pub step: u64,
    /// One for each parameter, in their order.
    pub moments: Vec<Moments>,
}

impl AdamW {
    /// At the beginning of a training.
    #[must_use]
    pub fn new(parameters: &Parameters, config: AdamWConfig) -> Self {
        let zeros = |count: usize| Moments { m: vec![0.0; count], v: vec![0.0; count] };
        let moments = parameters.iter().map(|parameter| zeros(parameter.var.elem_count())).collect();
        Self { config, step: 0, moments }
    }

    /// One update of every parameter. The gradients are multiplied by `scale` first, which is where clipping takes
    /// place without a pass of its own.
    ///
    /// # Errors
    /// When gradients or moments are of other parameters.
    pub fn update(&mut self, parameters: &Parameters, gradients: &Gradients, lr: f64, scale: f64) -> Result<()> {
        if gradients.iter().len() != parameters.iter().len() || self.moments.len() != parameters.iter().len() {
            return Err(UserError::failed("The optimizer's moments are of other parameters"));
        }
        self.step += 1;
        let AdamWConfig { beta1, beta2, eps } = self.config;
        // Beyond i32 both powers are zero anyhow.
        let step = i32::try_from(self.step).unwrap_or(i32::MAX);
        let root_of_correction = (1.0 - beta2.powi(step)).sqrt();
        for ((parameter, gradient), moments) in parameters.iter().zip(gradients.iter()).zip(&mut self.moments) {
            let lr = lr * parameter.group.lr_factor;
            let update = Update {
                scale: scale as f32,
                keep: (1.0 - lr * parameter.group.weight_decay) as f32,
                mean_weight: (1.0 - beta1) as f32,
                square_keep: beta2 as f32,
                square_weight: (1.0 - beta2) as f32,
                root_of_correction: root_of_correction as f32,
                eps: eps as f32,
                step_size: (lr / (1.0 - beta1.powi(step))) as f32,
                moments: RefCell::new(moments),
            };
            let var = &parameter.var;
            if var.device().is_cpu() {
                var.inplace_op2(gradient, &update).map_err(engine_error)?;
            } else {
                update.elsewhere(var, gradient).map_err(engine_error)?;
            }
        }
        Ok(())
    }
}

/// The update of one parameter: a single pass over values, gradients and moments, in f32 as torch does it.
struct Update<'a> {
    scale: f32,
    keep: f32,
    mean_weight: f32,
    square_keep: f32,
    square_weight: f32,
    root_of_correction: f32,
    eps: f32,
    step_size: f32,
    moments: RefCell<&'a mut Moments>,
}

impl Update<'_> {
    /// The update of a variable of another device: its values come, are changed, and go back. What the optimizer remembers
    /// stays here, two numbers of memory that the card does not need.
    fn elsewhere(&self, var: &Var, gradient: &Tensor) -> TensorResult<()> {
        let mut values: Vec<f32> = var.flatten_all()?.to_vec1()?;
        self.apply(&mut values, &gradient.flatten_all()?.to_vec1::<f32>()?)?;
        var.set(&Tensor::from_vec(values, var.shape(), var.device())?)
    }

    fn apply(&self, values: &mut [f32], gradient: &[f32]) -> TensorResult<()> {
        let mut moments = self.moments.borrow_mut();
        let Moments { m, v } = &mut **moments;
        if m.len() != values.len() || v.len() != values.len() || gradient.len() != values.len() {
            bail!("AdamW's moments are of another parameter")
        }
        for (((value, g), m), v) in values.iter_mut().zip(gradient).zip(m).zip(v) {
            let g = g * self.scale;
            *m += self.mean_weight * (g - *m);
            *v = *v * self.square_keep + self.square_weight * g * g;
            let denominator = v.sqrt() / self.root_of_correction + self.eps;
            *value = *value * self.keep - self.step_size * (*m / denominator);
        }
        Ok(())
    }
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, values: &mut CpuStorage, l1: &Layout, gradient: &CpuStorage, l2: &Layout) -> TensorResult<()> {
        let (CpuStorage::F32(values), CpuStorage::F32(gradient)) = (values, gradient) else {
            bail!("AdamW needs f32 values")
        };
        let (Some((start, end)), Some((from, to))) = (l1.contiguous_offsets(), l2.contiguous_offsets()) else {
            bail!("AdamW needs contiguous values")
        };
        self.apply(&mut values[start..end], &gradient[from..to])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::parameters::tests::parameters;

    /// θ² has the gradient 2θ; the numbers are the notes' formula worked out in f64.
    #[test]
    fn two_updates_are_the_formula() {
        let parameters = parameters(&[("a", &[1.0, -0.5])]);
        let mut optimizer = AdamW::new(&parameters, AdamWConfig::default());
        let mut expected = [(1.0f64, 0.0f64, 0.0f64), (-0.5, 0.0, 0.0)];
        for step in 1..=2 {
            let loss = parameters.iter().next().unwrap().var.sqr().unwrap().sum_all().unwrap();
            let gradients = Gradients::of(&loss, &parameters).unwrap();
            optimizer.update(&parameters, &gradients, 1e-2, 0.5).unwrap();
            for (value, m, v) in &mut expected {
                let g = *value; // 2θ, scaled by 0.5
                *value *= 1.0 - 1e-2 * 0.01;
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                let corrected = v.sqrt() / (1.0 - 0.999f64.powi(step)).sqrt() + 1e-8;
                *value -= 1e-2 / (1.0 - 0.9f64.powi(step)) * *m / corrected;
            }
            let values = parameters.values().unwrap().concat();
            for (value, (wanted, ..)) in values.iter().zip(expected) {
                assert!((f64::from(*value) - wanted).abs() < 1e-6, "{value} instead of {wanted} after {step}");
            }
        }
        assert_eq!(optimizer.step, 2);
    }

    #[test]
    fn moments_of_other_parameters_are_refused() {
        let parameters = parameters(&[("a", &[1.0, -0.5])]);
        let mut optimizer = AdamW::new(&parameters, AdamWConfig::default());
        optimizer.moments[0].m.pop();
        let loss = parameters.iter().next().unwrap().var.sqr().unwrap().sum_all().unwrap();
        let gradients = Gradients::of(&loss, &parameters).unwrap();
        assert!(optimizer.update(&parameters, &gradients, 1e-2, 1.0).is_err());
    }
}
