//! Slices gone through eight lanes at a time.

use rayon::prelude::*;

use super::simd::{LANES, Simd, Task, dispatch};

/// Values of one piece of work.
pub(super) const PIECE: usize = 1 << 14;

/// A function of N values, lane by lane.
pub(super) trait Lanewise<const N: usize>: Sync {
    /// Its value; to be `#[inline(always)]`.
    fn apply<S: Simd>(&self, s: S, x: [S::F; N]) -> S::F;
}

/// `out[i] = function(inputs[0][i], inputs[1][i], …)`, in parallel.
///
/// # Panics
/// When an input is shorter than `out`.
pub(super) fn map_parallel<F: Lanewise<N>, const N: usize>(function: &F, inputs: [&[f32]; N], out: &mut [f32]) {
    out.par_chunks_mut(PIECE).enumerate().for_each(|(i, out)| {
        let inputs = inputs.map(|input| &input[i * PIECE..][..out.len()]);
        dispatch(Map { function, inputs, out });
    });
}

/// `out[i] = function(inputs[0][i], inputs[1][i], …)`.
#[inline(always)]
pub(super) fn map<S: Simd, F: Lanewise<N>, const N: usize>(s: S, function: &F, inputs: [&[f32]; N], out: &mut [f32]) {
    let len = out.len();
    let whole_len = len / LANES * LANES;
    // (No closures here: a closure that is not inlined is compiled for the baseline processor.)
    let mut whole: [&[[f32; LANES]]; N] = [&[]; N];
    let mut values = [s.splat(0.0); N];
    for (whole, input) in whole.iter_mut().zip(inputs) {
        *whole = input[..whole_len].as_chunks().0;
    }
    let (to, rest) = out.as_chunks_mut::<LANES>();
    for (i, to) in to.iter_mut().enumerate() {
        for (value, whole) in values.iter_mut().zip(whole) {
            *value = s.load(&whole[i]);
        }
        s.store(function.apply(s, values), to);
    }
    if !rest.is_empty() {
        for (value, input) in values.iter_mut().zip(inputs) {
            *value = load_some(s, &input[whole_len..len]);
        }
        store_some(s, function.apply(s, values), rest);
    }
}

/// Eight values, or as many as are left and then zeros.
#[inline(always)]
pub(super) fn load_some<S: Simd>(s: S, from: &[f32]) -> S::F {
    if let Some(whole) = from.first_chunk::<LANES>() {
        return s.load(whole);
    }
    let mut padded = [0.0; LANES];
    padded[..from.len()].copy_from_slice(from);
    s.load(&padded)
}

/// Writes eight lanes, or as many as there is room for.
#[inline(always)]
pub(super) fn store_some<S: Simd>(s: S, value: S::F, to: &mut [f32]) {
    if let Some(whole) = to.first_chunk_mut::<LANES>() {
        s.store(value, whole);
    } else {
        let lanes = s.to_array(value);
        to.copy_from_slice(&lanes[..to.len()]);
    }
}

/// [`map`] as a task.
struct Map<'a, F, const N: usize> {
    function: &'a F,
    inputs: [&'a [f32]; N],
    out: &'a mut [f32],
}

impl<F: Lanewise<N>, const N: usize> Task for Map<'_, F, N> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        map(s, self.function, self.inputs, self.out);
    }
}

/// The sum of a short run of values, always in the same order.
#[inline(always)]
pub(super) fn total<S: Simd>(s: S, values: &[f32]) -> f32 {
    let (fours, rest) = values.as_chunks::<{ 4 * LANES }>();
    let mut sums = [s.splat(0.0); 4];
    for four in fours {
        for (sum, x) in sums.iter_mut().zip(four.as_chunks::<LANES>().0) {
            *sum = s.add(*sum, s.load(x));
        }
    }
    for x in rest.chunks(LANES) {
        sums[0] = s.add(sums[0], load_some(s, x));
    }
    s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
}
