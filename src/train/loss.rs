//! The diffusion loss: noise on latents, what the network shall predict of it, and how much each noise level counts.
//!
//! As diffusers' `train_text_to_image.py` and `training_utils.py` (`compute_snr`); min-SNR: Hang et al. 2023,
//! <https://arxiv.org/abs/2303.09556>.

use candle_core::{Device, Result as TensorResult, Tensor, bail};

use crate::domain::PredictionType;

/// How much each noise level counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum LossWeights {
    /// All alike.
    #[default]
    Plain,
    /// Min-SNR: nearly clean timesteps count less, and with v-prediction nearly all noise too. A gamma of 5 is usual.
    MinSnr {
        /// The signal-to-noise ratio from which on the clean sample's error counts the same.
        gamma: f64,
    },
    /// Only nearly clean timesteps count less: `min(SNR + 1, gamma) / (SNR + 1)`. With v-prediction that is min-SNR which
    /// leaves the noisy end alone, where the words decide.
    CappedSnr {
        /// The ratio plus one from which on.
        gamma: f64,
    },
}

/// The noise levels of a training and what is predicted at them.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffusionLoss {
    alphas_cumprod: Vec<f64>,
    prediction_type: PredictionType,
    weights: LossWeights,
}

impl DiffusionLoss {
    /// For a schedule's cumulative products of alpha, one for each training timestep.
    #[must_use]
    pub fn new(alphas_cumprod: Vec<f64>, prediction_type: PredictionType, weights: LossWeights) -> Self {
        Self { alphas_cumprod, prediction_type, weights }
    }

    /// Number of training timesteps.
    #[must_use]
    pub fn timesteps(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// Signal to noise at a timestep: ᾱ / (1 − ᾱ).
    ///
    /// # Panics
    /// When there is no such timestep.
    #[must_use]
    pub fn snr(&self, timestep: usize) -> f64 {
        let alpha = self.alphas_cumprod[timestep];
        alpha / (1.0 - alpha)
    }

    /// How much a sample at a timestep counts.
    ///
    /// # Panics
    /// When there is no such timestep.
    #[must_use]
    pub fn weight(&self, timestep: usize) -> f64 {
        let snr = self.snr(timestep);
        match (self.weights, self.prediction_type) {
            (LossWeights::Plain, _) => 1.0,
            (LossWeights::CappedSnr { gamma }, _) => (gamma / (snr + 1.0)).min(1.0),
            // Written so that a terminal SNR of zero is no 0/0.
            (LossWeights::MinSnr { gamma }, PredictionType::Epsilon) if snr <= gamma => 1.0,
            (LossWeights::MinSnr { gamma }, PredictionType::Epsilon) => gamma / snr,
            (LossWeights::MinSnr { gamma }, PredictionType::VPrediction) => snr.min(gamma) / (snr + 1.0),
            (LossWeights::MinSnr { gamma }, PredictionType::Sample) => snr.min(gamma),
        }
    }

    /// `latents` with `noise` `[batch, channels, height, width]` on them, each of the batch at its timestep:
    /// `√ᾱ latents + √(1 − ᾱ) noise`.
    ///
    /// # Errors
    /// When shapes or timesteps do not fit.
    pub fn add_noise(&self, latents: &Tensor, noise: &Tensor, timesteps: &[usize]) -> TensorResult<Tensor> {
        let (signal, deviation) = self.roots(latents, timesteps)?;
        latents.broadcast_mul(&signal)? + noise.broadcast_mul(&deviation)?
    }

    /// What the network shall predict, of the same shape.
    ///
    /// # Errors
    /// When shapes or timesteps do not fit.
    pub fn target(&self, latents: &Tensor, noise: &Tensor, timesteps: &[usize]) -> TensorResult<Tensor> {
        match self.prediction_type {
            PredictionType::Epsilon => Ok(noise.clone()),
            PredictionType::Sample => Ok(latents.clone()),
            PredictionType::VPrediction => {
                let (signal, deviation) = self.roots(latents, timesteps)?;
                noise.broadcast_mul(&signal)? - latents.broadcast_mul(&deviation)?
            }
        }
    }

    /// The loss, a scalar: each sample's mean squared error times its timestep's weight, then the batch's mean.
    ///
    /// # Errors
    /// When shapes or timesteps do not fit.
    pub fn loss(&self, prediction: &Tensor, target: &Tensor, timesteps: &[usize]) -> TensorResult<Tensor> {
        let errors = (prediction - target)?.sqr()?;
        if self.weights == LossWeights::Plain {
            return errors.mean_all();
        }
        self.check(&errors, timesteps)?;
        let weights = timesteps.iter().map(|timestep| self.weight(*timestep) as f32).collect();
        errors.broadcast_mul(&per_sample(weights)?)?.mean_all()
    }

    /// `√ᾱ` and `√(1 − ᾱ)` of each sample, `[batch, 1, 1, 1]`.
    fn roots(&self, latents: &Tensor, timesteps: &[usize]) -> TensorResult<(Tensor, Tensor)> {
        self.check(latents, timesteps)?;
        let alphas = || timesteps.iter().map(|timestep| self.alphas_cumprod[*timestep]);
        let signal = alphas().map(|alpha| alpha.sqrt() as f32).collect();
        let deviation = alphas().map(|alpha| (1.0 - alpha).sqrt() as f32).collect();
        Ok((per_sample(signal)?, per_sample(deviation)?))
    }

    fn check(&self, batch: &Tensor, timesteps: &[usize]) -> TensorResult<()> {
        let (samples, ..) = batch.dims4()?;
        if samples != timesteps.len() {
            bail!("{} timesteps for {samples} samples", timesteps.len())
        }
        match timesteps.iter().find(|timestep| **timestep >= self.timesteps()) {
            Some(timestep) => bail!("timestep {timestep} of {}", self.timesteps()),
            None => Ok(()),
        }
    }
}

/// One factor for each sample, `[batch, 1, 1, 1]`.
fn per_sample(values: Vec<f32>) -> TensorResult<Tensor> {
    let batch = values.len();
    Tensor::from_vec(values, (batch, 1, 1, 1), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;

    /// Stable Diffusion's scaled-linear ᾱ at the timesteps of the table in Hang et al.'s sense, worked out in f64.
    fn stable_diffusion() -> Vec<f64> {
        let (start, end) = (0.000_85f64.sqrt(), 0.012f64.sqrt());
        let mut product = 1.0;
        let beta = |t: usize| (start + (end - start) * t as f64 / 999.0).powi(2);
        (0..1000)
            .map(|t| {
                product *= 1.0 - beta(t);
                product
            })
            .collect()
    }

    #[test]
    fn weights_are_those_of_min_snr() {
        // Timestep, SNR, weight for epsilon, weight for v at gamma 5: worked out with diffusers' compute_snr.
        let table = [
            (0, 1175.47, 0.004_253_62, 0.004_25),
            (100, 8.453_89, 0.591_443, 0.528_883),
            (250, 2.065_53, 1.0, 0.673_793),
            (500, 0.381_85, 1.0, 0.276_333),
            (999, 0.004_681_92, 1.0, 0.004_660_1),
        ];
        let loss = |kind| DiffusionLoss::new(stable_diffusion(), kind, LossWeights::MinSnr { gamma: 5.0 });
        let (epsilon, v) = (loss(PredictionType::Epsilon), loss(PredictionType::VPrediction));
        for (timestep, snr, epsilon_weight, v_weight) in table {
            for (value, wanted) in [
                (epsilon.snr(timestep), snr),
                (epsilon.weight(timestep), epsilon_weight),
                (v.weight(timestep), v_weight),
            ] {
                assert!((value / wanted - 1.0).abs() < 1e-5, "{value} instead of {wanted} at {timestep}");
            }
        }
    }

    #[test]
    fn a_terminal_snr_of_zero_gives_a_finite_weight() {
        for kind in [PredictionType::Epsilon, PredictionType::VPrediction, PredictionType::Sample] {
            assert!(
                DiffusionLoss::new(vec![0.5, 0.0], kind, LossWeights::MinSnr { gamma: 5.0 }).weight(1).is_finite(),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn noisy_latents_and_velocity_turn_back_into_the_latents() {
        let loss = DiffusionLoss::new(vec![0.9, 0.2], PredictionType::VPrediction, LossWeights::Plain);
        let latents = Tensor::new(&[1.5f32, -2.0], &Device::Cpu).unwrap().reshape((2, 1, 1, 1)).unwrap();
        let noise = Tensor::new(&[0.25f32, 3.0], &Device::Cpu).unwrap().reshape((2, 1, 1, 1)).unwrap();
        let timesteps = [0, 1];
        let noisy: Vec<f32> =
            loss.add_noise(&latents, &noise, &timesteps).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let velocity: Vec<f32> =
            loss.target(&latents, &noise, &timesteps).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        for (sample, (alpha, latent)) in [(0.9f32, 1.5f32), (0.2, -2.0)].into_iter().enumerate() {
            let back = alpha.sqrt() * noisy[sample] - (1.0 - alpha).sqrt() * velocity[sample];
            assert!((back - latent).abs() < 1e-5, "{back} instead of {latent}");
        }
        assert!(loss.add_noise(&latents, &noise, &[0, 2]).is_err());
        assert!(loss.add_noise(&latents, &noise, &[0]).is_err());
    }

    #[test]
    fn the_weighted_loss_has_the_weighted_gradient() {
        let loss = DiffusionLoss::new(vec![0.99, 0.2], PredictionType::Epsilon, LossWeights::MinSnr { gamma: 5.0 });
        let prediction = Var::from_slice(&[1f32, 2.0], (2, 1, 1, 1), &Device::Cpu).unwrap();
        let target = Tensor::zeros((2, 1, 1, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        let value = loss.loss(&prediction, &target, &[0, 1]).unwrap();
        // The weights are 5/99 and 1.
        let expected = f32::midpoint(5.0 / 99.0, 4.0);
        assert!((value.to_scalar::<f32>().unwrap() - expected).abs() < 1e-5);
        let gradient = value.backward().unwrap().remove(&prediction).unwrap();
        let gradient: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        assert!((gradient[0] - 5.0 / 99.0).abs() < 1e-6 && (gradient[1] - 2.0).abs() < 1e-6, "{gradient:?}");
    }
}
