//! [`Curves`]: what a training measures at each step, thinned out so that a long one takes no more room than a short one.

use crate::domain::training::TrainingStep;

/// The most points of a curve. When there are as many, two become one.
const MAX_POINTS: usize = 1024;

/// One value over the steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Steps and values; each is the mean of so many steps as were taken together.
    points: Vec<[f64; 2]>,
    /// How many values a point takes together.
    each: u32,
    /// Values of the point that is not whole yet: their sums and how many.
    open: ([f64; 2], u32),
}

impl Default for Curve {
    fn default() -> Self {
        Self { points: Vec::new(), each: 1, open: ([0.0; 2], 0) }
    }
}

impl Curve {
    /// Adds a step's value. One that is not finite is no point.
    pub fn push(&mut self, step: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        let (sums, count) = &mut self.open;
        sums[0] += step as f64;
        sums[1] += value;
        *count += 1;
        if *count < self.each {
            return;
        }
        let count = f64::from(*count);
        self.points.push(sums.map(|sum| sum / count));
        self.open = ([0.0; 2], 0);
        if self.points.len() >= MAX_POINTS {
            self.points = self
                .points
                .chunks(2)
                .map(|two| [0, 1].map(|i| two.iter().map(|p| p[i]).sum::<f64>() / two.len() as f64))
                .collect();
            self.each *= 2;
        }
    }

    /// Forgets what is after a step.
    pub fn cut_after(&mut self, step: u64) {
        self.points.retain(|point| point[0] <= step as f64);
        self.open = ([0.0; 2], 0);
    }

    /// Steps and values, in order.
    #[must_use]
    pub fn points(&self) -> &[[f64; 2]] {
        &self.points
    }

    /// The last value.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.points.last().map(|point| point[1])
    }
}

/// All that is measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// The loss of each step.
    pub loss: Curve,
    /// The same, averaged.
    pub smoothed: Curve,
    /// The loss of the pictures that are kept apart.
    pub validation: Curve,
    /// The learning rate.
    pub lr: Curve,
    /// The gradients' norm.
    pub grad_norm: Curve,
    /// Steps in a minute.
    pub pace: Curve,
    /// Memory in use, in GB.
    pub memory: Curve,
}

impl Curves {
    /// Forgets what was measured after a step.
    pub fn cut_after(&mut self, step: u64) {
        let Self { loss, smoothed, validation, lr, grad_norm, pace, memory } = self;
        for curve in [loss, smoothed, validation, lr, grad_norm, pace, memory] {
            curve.cut_after(step);
        }
    }

    /// Takes a step in.
    pub fn push(&mut self, step: &TrainingStep, memory: Option<u64>) {
        let at = step.step;
        self.loss.push(at, step.loss);
        self.smoothed.push(at, step.smoothed);
        self.lr.push(at, step.lr);
        self.grad_norm.push(at, step.grad_norm);
        if step.secs_per_step > 0.0 {
            self.pace.push(at, 60.0 / step.secs_per_step);
        }
        if let Some(bytes) = memory {
            self.memory.push(at, bytes as f64 / 1e9);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_training_takes_no_more_room_and_keeps_its_means() {
        let mut curve = Curve::default();
        for step in 1..=100_000u64 {
            curve.push(step, step as f64);
        }
        let points = curve.points();
        assert!(points.len() <= MAX_POINTS && points.len() >= MAX_POINTS / 4, "{}", points.len());
        // Every value is its step's number, and so is every mean.
        assert!(points.iter().all(|point| (point[0] - point[1]).abs() < 1e-6));
        assert!(points.windows(2).all(|two| two[0][0] < two[1][0]));
        assert!(points[0][0] < 200.0 && points.last().unwrap()[0] > 99_000.0);
    }

    #[test]
    fn what_is_not_finite_is_no_point() {
        let mut curve = Curve::default();
        curve.push(1, f64::NAN);
        curve.push(2, 0.5);
        assert_eq!((curve.points(), curve.last()), (&[[2.0, 0.5]][..], Some(0.5)));
    }
}
