//! One block of the online softmax, the queries side by side in the lanes.

use crate::kernels::exponential::exp2;
use crate::kernels::simd::{LANES, Simd, Task};

/// Vectors of queries at most.
pub(super) const MOST_VECTORS: usize = 4;

/// From a block of scores, in powers of two, to probabilities that are yet to be divided by their sum.
///
/// `scores` is `[keys, lanes]` and becomes `[keys, cols]`, the rows then without a gap. `greatest`, `sums` `[lanes]` and
/// `result` `[…, lanes]` are brought up to date: what was computed against a lesser greatest score shrinks.
pub(super) struct BlockSoftmax<'a> {
    pub keys: usize,
    pub cols: usize,
    pub lanes: usize,
    pub scores: &'a mut [f32],
    pub greatest: &'a mut [f32],
    pub sums: &'a mut [f32],
    pub result: &'a mut [f32],
}

impl Task for BlockSoftmax<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.lanes / LANES {
            1 => self.run_wide::<S, 1>(s),
            2 => self.run_wide::<S, 2>(s),
            3 => self.run_wide::<S, 3>(s),
            MOST_VECTORS => self.run_wide::<S, MOST_VECTORS>(s),
            vectors => unreachable!("{vectors} vectors of queries"),
        }
    }
}

impl BlockSoftmax<'_> {
    /// For `VECTORS` vectors of queries.
    #[inline(always)]
    fn run_wide<S: Simd, const VECTORS: usize>(self, s: S) {
        // (No closures here: a closure that is not inlined is compiled for the baseline processor.)
        let lanes = VECTORS * LANES;
        let mut before = [s.splat(0.0); VECTORS];
        for (before, from) in before.iter_mut().zip(self.greatest.as_chunks().0) {
            *before = s.load(from);
        }
        let mut greatest = before;
        for row in self.scores[..self.keys * lanes].chunks_exact(lanes) {
            for (greatest, score) in greatest.iter_mut().zip(row.as_chunks().0) {
                // A NaN gives way to what was there; it comes back through its own power.
                *greatest = s.max(s.load(score), *greatest);
            }
        }
        let mut sums = [s.splat(0.0); VECTORS];
        for key in 0..self.keys {
            let mut powers = greatest;
            for (power, score) in powers.iter_mut().zip(self.scores[key * lanes..][..lanes].as_chunks().0) {
                *power = exp2(s, s.sub(s.load(score), *power));
            }
            // Where a row has lanes beyond its columns, the next row is written over them.
            let to = self.scores[key * self.cols..][..lanes].as_chunks_mut().0;
            for ((sum, power), to) in sums.iter_mut().zip(powers).zip(to) {
                *sum = s.add(*sum, power);
                s.store(power, to);
            }
        }
        let mut shrink = before;
        let mut same = true;
        for (shrink, greatest) in shrink.iter_mut().zip(greatest) {
            *shrink = exp2(s, s.sub(*shrink, greatest));
            same &= s.to_array(*shrink) == [1.0; LANES];
        }
        let stored = self.sums.as_chunks_mut().0.iter_mut().zip(self.greatest.as_chunks_mut().0);
        for (v, (sum, maximum)) in stored.enumerate().take(VECTORS) {
            s.store(s.mul_add(s.load(sum), shrink[v], sums[v]), sum);
            s.store(greatest[v], maximum);
        }
        if same {
            return;
        }
        for row in self.result.chunks_exact_mut(lanes) {
            for (row, shrink) in row.as_chunks_mut().0.iter_mut().zip(shrink) {
                s.store(s.mul(s.load(row), shrink), row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::simd::{Portable, dispatch};
    use crate::kernels::testing::{assert_near, values};

    /// Two blocks, one after the other, for tiles of any width, against plain loops.
    fn check(cols: usize, portable: bool) {
        const DIM: usize = 3;
        let (keys, lanes) = ([11, 7], cols.next_multiple_of(LANES));
        let (mut greatest, mut sums, mut result) = (vec![f32::MIN; lanes], vec![0.0; lanes], vec![0.0; DIM * lanes]);
        let values_of_keys = values(9, DIM * 18);
        let (mut all, mut first) = (Vec::new(), 0);
        for (block, keys) in keys.into_iter().enumerate() {
            // The second block's scores are greater.
            let scores: Vec<f32> =
                values(block as u64, keys * lanes).iter().map(|x| 9.0 * (x + block as f32)).collect();
            let mut room = scores.clone();
            let task = BlockSoftmax {
                keys,
                cols,
                lanes,
                scores: &mut room,
                greatest: &mut greatest,
                sums: &mut sums,
                result: &mut result,
            };
            if portable {
                task.run(Portable);
            } else {
                dispatch(task);
            }
            for (key, i, d) in (0..keys * cols * DIM).map(|at| (at / DIM / cols, at / DIM % cols, at % DIM)) {
                result[d * lanes + i] += room[key * cols + i] * values_of_keys[(first + key) * DIM + d];
            }
            all.extend(scores);
            first += keys;
        }
        for i in 0..cols {
            let powers: Vec<f64> = all[i..].iter().step_by(lanes).map(|x| f64::from(*x).exp2()).collect();
            let sum: f64 = powers.iter().sum();
            let of = |d: usize| {
                powers
                    .iter()
                    .zip(&values_of_keys[d..].iter().step_by(DIM).collect::<Vec<_>>())
                    .map(|(p, v)| p * f64::from(**v))
                    .sum::<f64>()
                    / sum
            };
            let actual: Vec<f32> = (0..DIM).map(|d| result[d * lanes + i] / sums[i]).collect();
            assert_near("the mean of the values", &actual, &(0..DIM).map(of).collect::<Vec<_>>(), 1e-6);
        }
    }

    #[test]
    fn tiles_of_any_width() {
        for cols in 1..=MOST_VECTORS * LANES {
            check(cols, false);
            check(cols, true);
        }
    }
}
