//! Gradients' global norm, and clipping by it: torch's `clip_grad_norm_`.

use rayon::prelude::*;

use super::Gradients;
use super::parameters::with_values;
use crate::domain::Result;
use crate::nn::engine_error;

/// torch adds this to the norm before dividing by it.
const EPS: f64 = 1e-6;

/// The euclidean norm over all gradients together. The sums are taken in f64, each tensor by itself and then in order,
/// so that the result does not depend on the number of threads.
///
/// # Errors
/// Never on a CPU, where all gradients are.
pub fn global_norm(gradients: &Gradients) -> Result<f64> {
    let list: Vec<_> = gradients.iter().collect();
    let squares = list
        .par_iter()
        .map(|gradient| {
            with_values(gradient, |values| values.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>())
        })
        .collect::<candle_core::Result<Vec<f64>>>()
        .map_err(engine_error)?;
    Ok(squares.iter().sum::<f64>().sqrt())
}

/// What gradients of this global norm are multiplied by, so that it is at most about `max_norm`.
#[must_use]
pub fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + EPS)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::parameters::tests::parameters;

    #[test]
    fn the_norm_is_over_all_gradients_together() {
        let parameters = parameters(&[("a", &[1.5]), ("b", &[1.0, 1.0])]);
        let mut terms = parameters.iter().map(|parameter| parameter.var.sqr().unwrap().sum_all().unwrap());
        let loss = (terms.next().unwrap() + (terms.next().unwrap() * 2.0).unwrap()).unwrap();
        // The gradients are 3, 4 and 4: by hand.
        let norm = global_norm(&Gradients::of(&loss, &parameters).unwrap()).unwrap();
        assert!((norm - 41f64.sqrt()).abs() < 1e-12, "{norm}");
    }

    #[test]
    fn small_gradients_stay_as_they_are() {
        assert_eq!(clip_factor(0.5, 1.0), 1.0);
        assert_eq!(clip_factor(0.0, 1.0), 1.0);
        assert!((clip_factor(4.0, 1.0) - 1.0 / 4.000_001).abs() < 1e-15);
    }
}
