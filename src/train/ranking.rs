//! [`Ranking`]: which rows of a data set are hard to learn.
//!
//! A row's loss says little by itself: it is large where there is little noise on the picture and small where there is much.
//! So it is divided by the mean of all rows' losses at about the same noise.

/// Noise levels are taken together in so many parts.
const PARTS: usize = 10;

/// A running sum.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    of: f64,
    count: u32,
}

impl Sum {
    fn add(&mut self, value: f64) {
        self.of += value;
        self.count = self.count.saturating_add(1);
    }

    fn mean(self) -> f64 {
        self.of / f64::from(self.count.max(1))
    }
}

/// How hard each row was to learn until now.
#[derive(Clone, Debug)]
pub struct Ranking {
    timesteps: usize,
    /// The losses at each part of the noise levels.
    parts: [Sum; PARTS],
    /// Each row's losses over the means of their parts.
    rows: Vec<Sum>,
}

impl Ranking {
    /// Of so many rows, with a schedule of so many timesteps.
    #[must_use]
    pub fn new(rows: usize, timesteps: usize) -> Self {
        Self { timesteps: timesteps.max(1), parts: [Sum::default(); PARTS], rows: vec![Sum::default(); rows] }
    }

    /// Takes in a row's loss at a timestep.
    pub fn add(&mut self, row: usize, timestep: usize, loss: f64) {
        let part = &mut self.parts[(timestep * PARTS / self.timesteps).min(PARTS - 1)];
        let Some(sum) = self.rows.get_mut(row).filter(|_| loss.is_finite()) else { return };
        part.add(loss);
        let mean = part.mean();
        sum.add(if mean > 0.0 { loss / mean } else { 1.0 });
    }

    /// The hardest rows, hardest first: their places, their losses over the means, how often they were looked at.
    #[must_use]
    pub fn hardest(&self, count: usize) -> Vec<(usize, f64, u32)> {
        let seen = self.rows.iter().enumerate().filter(|(_, sum)| sum.count > 0);
        let mut all: Vec<(usize, f64, u32)> = seen.map(|(row, sum)| (row, sum.mean(), sum.count)).collect();
        let harder = |a: &(usize, f64, u32), b: &(usize, f64, u32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if count == 0 {
            return Vec::new();
        }
        if all.len() > count {
            all.select_nth_unstable_by(count - 1, harder);
            all.truncate(count);
        }
        all.sort_unstable_by(harder);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_compared_with_others_at_the_same_noise() {
        let mut ranking = Ranking::new(3, 1000);
        // Little noise is a loss of 1, much is 0.1; the third row is twice as hard, but seen with much noise only.
        for _ in 0..50 {
            ranking.add(0, 50, 1.0);
            ranking.add(0, 950, 0.1);
            ranking.add(1, 50, 1.0);
            ranking.add(2, 950, 0.2);
        }
        let hardest = ranking.hardest(2);
        assert_eq!(hardest.iter().map(|(row, ..)| *row).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(hardest[0].2, 50);
        // 0.2 over the mean of 0.1 and 0.2.
        assert!((1.3..1.4).contains(&hardest[0].1), "{hardest:?}");
    }

    #[test]
    fn what_was_never_seen_is_not_ranked_and_what_is_not_finite_is_not_taken() {
        let mut ranking = Ranking::new(4, 1000);
        ranking.add(1, 999, f64::NAN);
        ranking.add(9, 5, 1.0);
        assert_eq!(ranking.hardest(5), []);
        ranking.add(3, 1000, 0.0);
        assert_eq!(ranking.hardest(5), [(3, 1.0, 1)]);
        assert_eq!(ranking.hardest(0), []);
    }
}
