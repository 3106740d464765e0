//! Sums channel by channel.

use rayon::prelude::*;

use super::check_len;
use super::lanes::{Lanewise, PIECE, map};
use super::simd::{Simd, Task, dispatch};

/// `out = x + shift`, the same shift for all px of a channel: `x` and `out` are `[planes, pixels]`, `shift` `[planes]`,
/// where the planes are batch times channels.
pub fn add_channels(pixels: usize, x: &[f32], shift: &[f32], out: &mut [f32]) {
    check_len("add to channels: the input", x, shift.len() * pixels);
    check_len("add to channels: the result", out, x.len());
    if pixels == 0 {
        return;
    }
    let planes = (PIECE / pixels).max(1);
    out.par_chunks_mut(planes * pixels)
        .zip(x.par_chunks(planes * pixels))
        .zip(shift.par_chunks(planes))
        .for_each(|((out, x), shift)| dispatch(AddChannels { pixels, x, shift, out }));
}

/// The gradient of [`add_channels`] with respect to the shift: the sum over each of the planes of `gy`
/// `[planes, pixels]`.
pub fn sum_channels(pixels: usize, gy: &[f32], gshift: &mut [f32]) {
    check_len("add to channels: the result's gradient", gy, gshift.len() * pixels);
    gshift.fill(0.0);
    if pixels == 0 {
        return;
    }
    gshift.par_iter_mut().zip(gy.par_chunks(pixels)).for_each(|(sum, gy)| {
        // Pairs of runs: f32 within a run, f64 over the runs.
        *sum = gy.chunks(1024).map(|run| f64::from(dispatch(Total(run)))).sum::<f64>() as f32;
    });
}

/// `x + shift`
struct Shift(f32);

impl Lanewise<1> for Shift {
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, [x]: [S::F; 1]) -> S::F {
        s.add(x, s.splat(self.0))
    }
}

struct AddChannels<'a> {
    pixels: usize,
    x: &'a [f32],
    shift: &'a [f32],
    out: &'a mut [f32],
}

impl Task for AddChannels<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let planes = self.out.chunks_exact_mut(self.pixels).zip(self.x.chunks_exact(self.pixels));
        for ((out, x), shift) in planes.zip(self.shift) {
            map(s, &Shift(*shift), [x], out);
        }
    }
}

/// The sum of a short run.
struct Total<'a>(&'a [f32]);

impl Task for Total<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        super::lanes::total(s, self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, unwritten, values};

    fn wide(values: &[f32]) -> impl Iterator<Item = f64> {
        values.iter().map(|value| f64::from(*value))
    }

    proptest! {
        #[test]
        fn channels_equal_plain_loops(planes in 0_usize..40, pixels in 0_usize..40) {
            let (x, shift) = (values(1, planes * pixels), values(2, planes));
            let expected: Vec<f64> = wide(&x).enumerate().map(|(i, x)| x + f64::from(shift[i / pixels])).collect();
            let mut out = unwritten(x.len());
            add_channels(pixels, &x, &shift, &mut out);
            assert_near("out", &out, &expected, 1e-7);
            let expected: Vec<f64> = (0..planes).map(|i| wide(&x[i * pixels..][..pixels]).sum()).collect();
            let mut gshift = unwritten(planes);
            sum_channels(pixels, &x, &mut gshift);
            assert_near("gshift", &gshift, &expected, 1e-6);
        }
    }

    #[test]
    fn several_pieces() {
        let (planes, pixels) = (7, 5_003);
        let (x, shift) = (values(1, planes * pixels), values(2, planes));
        let expected: Vec<f32> = x.iter().enumerate().map(|(i, x)| x + shift[i / pixels]).collect();
        let run = || {
            let (mut out, mut total) = (unwritten(x.len()), unwritten(planes));
            add_channels(pixels, &x, &shift, &mut out);
            sum_channels(pixels, &out, &mut total);
            [out, total].concat()
        };
        assert_eq!(run()[..x.len()], expected);
        assert_same_on_any_thread_count(run);
    }

    #[test]
    fn not_a_number_stays_where_it_is() {
        let mut x = values(1, 33);
        x[9] = f32::NAN;
        let mut out = unwritten(33);
        add_channels(11, &x, &[1.0, 2.0, 3.0], &mut out);
        assert!(out.iter().enumerate().all(|(i, value)| value.is_nan() == (i == 9)));
    }
}
