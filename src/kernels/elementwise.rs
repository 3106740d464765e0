//! Sums, element by element.

use rayon::prelude::*;

use super::check_len;
use super::lanes::{Lanewise, PIECE, map, map_parallel, update};
use super::simd::{Simd, Task, dispatch};

/// `out = a + b`, of any shape.
pub fn add(a: &[f32], b: &[f32], out: &mut [f32]) {
    check_len("add: the second operand", b, a.len());
    check_len("add: the result", out, a.len());
    map_parallel(&Sum { factor: 1.0 }, [a, b], out);
}

/// `a += b`, of any shape.
pub fn add_assign(a: &mut [f32], b: &[f32]) {
    check_len("add: the second operand", b, a.len());
    a.par_chunks_mut(PIECE).zip(b.par_chunks(PIECE)).for_each(|(a, b)| dispatch(Update { a, b }));
}

/// `out = a + factor (b - a)`, of any shape: `a` where the factor is 0, `b` where it is 1, and beyond `b` where it is
/// greater. Guidance without a classifier (Ho and Salimans 2022) with the unconditional prediction as `a`.
pub fn extrapolate(a: &[f32], b: &[f32], factor: f32, out: &mut [f32]) {
    check_len("extrapolate: the second operand", b, a.len());
    check_len("extrapolate: the result", out, a.len());
    map_parallel(&Extrapolate { factor }, [a, b], out);
}

/// `out = a + factor b`, of any shape.
pub fn add_scaled(a: &[f32], b: &[f32], factor: f32, out: &mut [f32]) {
    check_len("add: the second operand", b, a.len());
    check_len("add: the result", out, a.len());
    map_parallel(&Sum { factor }, [a, b], out);
}

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

/// `a + factor b`
struct Sum {
    factor: f32,
}

impl Lanewise<2> for Sum {
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, [a, b]: [S::F; 2]) -> S::F {
        s.mul_add(b, s.splat(self.factor), a)
    }
}

/// `a + factor (b - a)`
struct Extrapolate {
    factor: f32,
}

impl Lanewise<2> for Extrapolate {
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, [a, b]: [S::F; 2]) -> S::F {
        s.mul_add(s.sub(b, a), s.splat(self.factor), a)
    }
}

/// `x + shift`
struct Shift(f32);

impl Lanewise<1> for Shift {
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, [x]: [S::F; 1]) -> S::F {
        s.add(x, s.splat(self.0))
    }
}

struct Update<'a> {
    a: &'a mut [f32],
    b: &'a [f32],
}

impl Task for Update<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        update(s, &Sum { factor: 1.0 }, self.a, self.b);
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
        fn sums_equal_plain_loops(len in 0_usize..200, factor in -3.0_f32..9.0) {
            let (a, b) = (values(1, len), values(2, len));
            let expected = |f: &dyn Fn(f64, f64) -> f64| wide(&a).zip(wide(&b)).map(|(a, b)| f(a, b)).collect::<Vec<_>>();
            let mut out = unwritten(len);
            add(&a, &b, &mut out);
            assert_near("sum", &out, &expected(&|a, b| a + b), 1e-7);
            let mut in_place = a.clone();
            add_assign(&mut in_place, &b);
            prop_assert_eq!(&in_place, &out);
            let wide_factor = f64::from(factor);
            add_scaled(&a, &b, factor, &mut out);
            assert_near("scaled", &out, &expected(&|a, b| a + wide_factor * b), 2e-7);
            extrapolate(&a, &b, factor, &mut out);
            assert_near("extrapolated", &out, &expected(&|a, b| a + wide_factor * (b - a)), 2e-7);
        }

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
            let (mut out, mut sum, mut total) = (unwritten(x.len()), unwritten(x.len()), unwritten(planes));
            add_channels(pixels, &x, &shift, &mut out);
            add(&x, &out, &mut sum);
            sum_channels(pixels, &sum, &mut total);
            [out, sum, total].concat()
        };
        assert_eq!(run()[..x.len()], expected);
        assert!(run()[x.len()..2 * x.len()].iter().zip(&x).zip(&expected).all(|((sum, a), b)| *sum == a + b));
        assert_same_on_any_thread_count(run);
    }

    #[test]
    fn not_a_number_stays_where_it_is() {
        let (mut a, b) = (values(1, 33), values(2, 33));
        a[9] = f32::NAN;
        let mut out = unwritten(33);
        for run in [add, |a: &[f32], b: &[f32], out: &mut [f32]| extrapolate(a, b, 7.5, out)] {
            run(&a, &b, &mut out);
            assert!(out.iter().enumerate().all(|(i, value)| value.is_nan() == (i == 9)));
        }
    }
}
