//! Mean and variance of a run of values, in one pass over the memory.

use rayon::prelude::*;

use crate::kernels::lanes::load_some;
use crate::kernels::simd::{LANES, Simd, Task, dispatch};

/// Values whose moments are taken in f32, in two passes while the first cache holds them; f64 joins them.
const RUN: usize = 1024;
/// Values of one piece of work.
const PART: usize = 1 << 16;

/// Number, mean, and the sum of the squared distances from the mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Of `x`, in parallel where it is long; the sums are always taken in the same order.
    pub fn of(x: &[f32]) -> Self {
        if x.len() <= PART {
            return dispatch(Take(x));
        }
        let parts: Vec<Self> = x.par_chunks(PART).map(|part| dispatch(Take(part))).collect();
        parts.into_iter().fold(Self::NONE, Self::join)
    }

    /// Of `x`, here and now.
    #[inline(always)]
    pub fn take<S: Simd>(s: S, x: &[f32]) -> Self {
        let mut all = Self::NONE;
        for run in x.chunks(RUN) {
            all = all.join(Self::of_run(s, run));
        }
        all
    }

    /// Of the same values, each with `shift` added.
    pub fn shifted(self, shift: f32) -> Self {
        Self { mean: self.mean + f64::from(shift), ..self }
    }

    /// The mean, and `1 / √(variance + eps)`.
    pub fn normal(self, eps: f32) -> (f32, f32) {
        (self.mean as f32, (1.0 / (self.squares / self.count + f64::from(eps)).sqrt()) as f32)
    }

    pub const NONE: Self = Self { count: 0.0, mean: 0.0, squares: 0.0 };

    /// Of both together (Chan, Golub and `LeVeque` 1979).
    #[inline(always)]
    pub fn join(self, other: Self) -> Self {
        let count = self.count + other.count;
        let (distance, share) = (other.mean - self.mean, other.count / count);
        Self {
            count,
            mean: self.mean + distance * share,
            squares: self.squares + other.squares + distance * distance * self.count * share,
        }
    }

    /// Of a short run, which must not be empty.
    #[inline(always)]
    fn of_run<S: Simd>(s: S, run: &[f32]) -> Self {
        let count = run.len() as f64;
        let (fours, rest) = run.as_chunks::<{ 4 * LANES }>();
        let mut sums = [s.splat(0.0); 4];
        for four in fours {
            for (sum, x) in sums.iter_mut().zip(four.as_chunks::<LANES>().0) {
                *sum = s.add(*sum, s.load(x));
            }
        }
        for x in rest.chunks(LANES) {
            sums[0] = s.add(sums[0], load_some(s, x));
        }
        let mean = f64::from(s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))) / count;
        let near = s.splat(mean as f32);
        let mut squares = [s.splat(0.0); 4];
        for four in fours {
            for (sum, x) in squares.iter_mut().zip(four.as_chunks::<LANES>().0) {
                let distance = s.sub(s.load(x), near);
                *sum = s.mul_add(distance, distance, *sum);
            }
        }
        let mut squares = f64::from(s.sum(s.add(s.add(squares[0], squares[1]), s.add(squares[2], squares[3]))));
        for x in rest {
            squares += f64::from(x - mean as f32).powi(2);
        }
        Self { count, mean, squares }
    }
}

/// [`Moments::take`] as a task.
struct Take<'a>(&'a [f32]);

impl Task for Take<'_> {
    type Output = Moments;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Moments {
        Moments::take(s, self.0)
    }
}
