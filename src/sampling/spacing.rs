//! Which training steps the sampling steps lie at.

use crate::domain::{Result, SchedulerConfig, TimestepSpacing, UserError};

/// How a sampler lays its grid over the training steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// Whole steps, `n` points.
    Whole,
    /// `n` points; those of `linspace` are fractional.
    Fractional,
    /// Whole steps; `leading` and `linspace` space `n + 1` points and leave the last (cleanest) out.
    WholeWithEnd,
}

/// Timesteps in the order of sampling, from noise to picture.
///
/// `end` is the number of training steps that may be visited (all of them, but for DPM++ with `lambda_min_clipped`).
/// Halves are rounded to even, as numpy does.
///
/// # Errors
/// When there is no room for that many steps.
pub fn timesteps(config: &SchedulerConfig, steps: usize, grid: Grid, end: usize) -> Result<Vec<f64>> {
    let train = config.num_train_timesteps;
    let points = if grid == Grid::WholeWithEnd { steps + 1 } else { steps };
    if steps == 0 {
        return Err(UserError::input("A picture needs at least 1 step"));
    }
    if points > train || end < points {
        return Err(UserError::input(format!("{steps} steps are too many for a model that was trained on {train}"))
            .hint(format!("use at most {}", train.min(end) - (points - steps))));
    }
    let mut out: Vec<f64> = match config.timestep_spacing {
        TimestepSpacing::Linspace => {
            let ascending = linspace(0.0, (end - 1) as f64, points).into_iter();
            let rounded = ascending.map(|t| match grid {
                Grid::Fractional => f64::from(t as f32),
                Grid::Whole | Grid::WholeWithEnd => t.round_ties_even(),
            });
            rounded.rev().collect()
        }
        TimestepSpacing::Leading => {
            let ratio = end / points;
            (0..points).rev().map(|i| (i * ratio + config.steps_offset) as f64).collect()
        }
        TimestepSpacing::Trailing => trailing(end as f64, train as f64 / steps as f64, steps),
    };
    out.truncate(steps);
    if out[0] >= train as f64 {
        let sentence = format!("{steps} steps from training step {} on end beyond the {train}", config.steps_offset);
        return Err(UserError::input(sentence).hint("use fewer steps or another schedule"));
    }
    Ok(out)
}

/// `numpy.linspace`: `points` values from `start` to `stop`, both included; one point is `start`.
#[must_use]
pub fn linspace(start: f64, stop: f64, points: usize) -> Vec<f64> {
    if points < 2 {
        return vec![start; points];
    }
    let step = (stop - start) / (points - 1) as f64;
    let mut out: Vec<f64> = (0..points).map(|i| i as f64 * step + start).collect();
    out[points - 1] = stop;
    out
}

/// `round(arange(end, 0, -ratio)) - 1`, in numpy's arithmetic, for it decides which way halves fall; at most `most`
/// values, where numpy's rounding errors can make one too many.
fn trailing(end: f64, ratio: f64, most: usize) -> Vec<f64> {
    let delta = (end - ratio) - end;
    (0..most)
        .map(|i| end + i as f64 * delta)
        .take_while(|t| *t > 0.0)
        .map(|t| (t.round_ties_even() - 1.0).max(0.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spacing_descends_within_the_training_steps_for_any_count() {
        for spacing in [TimestepSpacing::Leading, TimestepSpacing::Trailing, TimestepSpacing::Linspace] {
            let config = SchedulerConfig { timestep_spacing: spacing, ..SchedulerConfig::default() };
            for grid in [Grid::Whole, Grid::Fractional, Grid::WholeWithEnd] {
                for steps in 1..=500 {
                    let steps_at = timesteps(&config, steps, grid, 1000).unwrap();
                    assert_eq!(steps_at.len(), steps, "{spacing:?} {grid:?}");
                    assert!(steps_at.is_sorted_by(|a, b| a > b), "{spacing:?} {grid:?} {steps}: {steps_at:?}");
                    assert!(steps_at[0] <= 999.0 && steps_at[steps - 1] >= 0.0);
                }
            }
        }
    }

    #[test]
    fn too_many_steps_are_refused() {
        let config = SchedulerConfig::default(); // leading, offset 1
        for (steps, grid) in [(0, Grid::Whole), (1001, Grid::Whole), (1000, Grid::WholeWithEnd), (1000, Grid::Whole)] {
            assert!(timesteps(&config, steps, grid, 1000).is_err(), "{steps} {grid:?}");
        }
    }
}
