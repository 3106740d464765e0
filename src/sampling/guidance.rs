//! Classifier-free guidance: two predictions become one.

/// `uncond + scale * (cond - uncond)`, then rescaled by `rescale`, on `batch` samples that lie one after another.
///
/// `scale` 1 is the conditional prediction alone (Ho and Salimans 2022). `rescale` above 0 pulls each sample's standard
/// deviation back to that of `cond`, which keeps pictures from being overexposed (Lin et al. 2023, "Common diffusion
/// noise schedules and sample steps are flawed", section 3.4): 0 is not at all, 1 fully. As in diffusers, deviations
/// are over all but the batch axis, with N - 1.
///
/// # Panics
/// When the slices differ in length, or do not divide into `batch` samples.
#[must_use]
pub fn guide(uncond: &[f32], cond: &[f32], batch: usize, scale: f64, rescale: f64) -> Vec<f32> {
    assert_eq!(uncond.len(), cond.len(), "both predictions have one shape");
    assert!(batch > 0 && cond.len().is_multiple_of(batch), "predictions divide into samples");
    let mut guided: Vec<f32> = uncond
        .iter()
        .zip(cond)
        .map(|(&uncond, &cond)| {
            let (uncond, cond) = (f64::from(uncond), f64::from(cond));
            (uncond + scale * (cond - uncond)) as f32
        })
        .collect();
    let sample = cond.len() / batch;
    if rescale == 0.0 || sample < 2 {
        return guided;
    }
    for (guided, cond) in guided.chunks_exact_mut(sample).zip(cond.chunks_exact(sample)) {
        let guided_deviation = standard_deviation(guided);
        // A constant prediction has no contrast to pull back.
        if guided_deviation > 0.0 {
            let factor = rescale * standard_deviation(cond) / guided_deviation + (1.0 - rescale);
            for value in guided {
                *value = (f64::from(*value) * factor) as f32;
            }
        }
    }
    guided
}

/// Several conditional predictions with their weights as one: `uncond + Σ weight · (cond − uncond)` (Liu et al. 2022,
/// "Compositional Visual Generation with Composable Diffusion Models", equation 11). One of weight 1 stays as it is.
///
/// # Panics
/// When the slices differ in length.
#[must_use]
pub fn compose(uncond: &[f32], conds: &[(f64, &[f32])]) -> Vec<f32> {
    assert!(conds.iter().all(|(_, cond)| cond.len() == uncond.len()), "all predictions have one shape");
    if let [(1.0, cond)] = conds {
        return cond.to_vec();
    }
    (uncond.iter().enumerate())
        .map(|(i, &uncond)| {
            let uncond = f64::from(uncond);
            let sum: f64 = conds.iter().map(|(weight, cond)| weight * (f64::from(cond[i]) - uncond)).sum();
            (uncond + sum) as f32
        })
        .collect()
}

/// The sample standard deviation (N - 1) of at least two values.
fn standard_deviation(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    (values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 1 + 2·(3 − 1) − 0.5·(2 − 1) = 4.5.
    #[test]
    fn several_predictions_are_one() {
        assert_eq!(compose(&[1.0], &[(2.0, &[3.0]), (-0.5, &[2.0])]), [4.5]);
        assert_eq!(compose(&[0.1], &[(1.0, &[0.3])]), [0.3]);
    }

    #[test]
    fn scale_one_is_the_conditional_prediction() {
        assert_eq!(guide(&[1.0, 2.0], &[3.0, -4.0], 1, 1.0, 0.0), [3.0, -4.0]);
        assert_eq!(guide(&[1.0, 2.0], &[3.0, -4.0], 1, 0.0, 0.0), [1.0, 2.0]);
    }

    #[test]
    fn a_full_rescale_restores_each_samples_own_deviation() {
        let (uncond, cond) = ([0.0, 1.0, -1.0, 5.0, 5.0, 5.5], [0.5, 2.0, -1.0, 4.0, 8.0, 6.0]);
        let guided = guide(&uncond, &cond, 2, 7.5, 1.0);
        for (guided, cond) in guided.chunks(3).zip(cond.chunks(3)) {
            assert!((standard_deviation(guided) - standard_deviation(cond)).abs() < 1e-6);
        }
    }

    #[test]
    fn a_constant_prediction_stays_finite() {
        assert_eq!(guide(&[1.0; 4], &[1.0; 4], 1, 7.5, 0.7), [1.0; 4]);
    }
}
