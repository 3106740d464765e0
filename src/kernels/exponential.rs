//! Powers in eight lanes.
//!
//! Both write the exponent as n + r with whole n and `|r| ≤ 1/2` (of a power of two), and take the power of r by a
//! polynomial of degree 6 whose relative error is below 2e-9 (Remez' exchange over the interval, the constant term
//! held at 1 so that the zeroth power is exact); with its rounding the result is within one unit of the last place.
//! What lies below the least normal number of f32 by more than half a power of two becomes 0, what lies above
//! 2^127.5 infinity.

use super::simd::Simd;

/// `eˣ`; NaN and the infinities as they should be.
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    const P: [f32; 7] = [0.001_384_356, 0.008_374_236, 0.041_668_01, 0.166_664_3, 0.499_999_94, 1.0, 1.0];
    // -127 ln 2 and 128 ln 2. (min and max give their second operand for a NaN.)
    let x = s.max(s.splat(-88.029_69), s.min(s.splat(88.722_84), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts (Cody and Waite), the first with so few digits that its product is exact.
    let r = s.neg_mul_add(n, s.splat(0.693_359_4), x);
    let r = s.neg_mul_add(n, s.splat(-2.121_944_4e-4), r);
    s.mul(polynomial(s, &P, r), s.pow2(n))
}

/// `2ˣ` for x that is not above 127; NaN and minus infinity as they should be.
#[inline(always)]
pub(super) fn exp2<S: Simd>(s: S, x: S::F) -> S::F {
    const P: [f32; 7] =
        [1.535_325_7e-4, 0.001_339_900_3, 0.009_618_439, 0.055_503_32, 0.240_226_48, std::f32::consts::LN_2, 1.0];
    let x = s.max(s.splat(-127.0), x);
    let n = s.round(x);
    s.mul(polynomial(s, &P, s.sub(x, n)), s.pow2(n))
}

/// Horner's rule, the highest power first.
#[inline(always)]
pub(super) fn polynomial<S: Simd>(s: S, coefficients: &[f32], x: S::F) -> S::F {
    let mut p = s.splat(coefficients[0]);
    for c in &coefficients[1..] {
        p = s.mul_add(p, x, s.splat(*c));
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::simd::{LANES, Portable, Task, dispatch};

    /// `e` or 2 to the power of each value.
    struct Powers<'a> {
        of_two: bool,
        values: &'a mut [[f32; LANES]],
    }

    impl Task for Powers<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for lanes in self.values {
                let x = s.load(lanes);
                s.store(if self.of_two { exp2(s, x) } else { exp(s, x) }, lanes);
            }
        }
    }

    /// The powers of all of these, by the fast lanes and by the portable ones.
    fn both_ways(of_two: bool, x: &[f32]) -> [Vec<f32>; 2] {
        [false, true].map(|portable| {
            let mut padded = x.to_vec();
            padded.resize(x.len().next_multiple_of(LANES), 0.0);
            let (values, _) = padded.as_chunks_mut();
            if portable {
                Powers { of_two, values }.run(Portable);
            } else {
                dispatch(Powers { of_two, values });
            }
            padded.truncate(x.len());
            padded
        })
    }

    /// Every value is within `units` of the last place of the exact one.
    fn check(of_two: bool, x: &[f32], units: f64) {
        for found in both_ways(of_two, x) {
            for (x, y) in x.iter().zip(found) {
                let exact = if of_two { f64::from(*x).exp2() } else { f64::from(*x).exp() };
                let what = format!("the power of {x} is {exact:e}, not {y:e}");
                if exact > 2.0_f64.powf(127.49) {
                    assert!(y == f32::INFINITY || (f64::from(y) / exact - 1.0).abs() < 1e-6, "{what}");
                } else if exact < f64::from(f32::MIN_POSITIVE) {
                    assert!((f64::from(y) - exact).abs() < f64::from(f32::MIN_POSITIVE) && y >= 0.0, "{what}");
                } else {
                    let unit = 2.0_f64.powi(exact.log2().floor() as i32 - 23);
                    assert!((f64::from(y) - exact).abs() <= units * unit, "{what}");
                }
            }
        }
    }

    #[test]
    fn powers_are_exact_to_the_last_place() {
        let x: Vec<f32> = (-110_000..90_000).map(|i| i as f32 / 1000.0).collect();
        // Half a unit more: the portable lanes round the reduction's products too.
        check(false, &x, 1.5);
        let x: Vec<f32> = (-140_000..127_000).map(|i| i as f32 / 1000.0).collect();
        check(true, &x, 1.5);
    }

    #[test]
    fn special_values() {
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MAX, f32::MIN, 1e-30];
        for y in both_ways(false, &special) {
            assert!(y[0].is_nan());
            assert_eq!(y[1..], [f32::INFINITY, 0.0, 1.0, 1.0, f32::INFINITY, 0.0, 1.0]);
        }
        for y in both_ways(true, &[f32::NAN, f32::NEG_INFINITY, f32::MIN, -127.0, 0.0, -0.0, -1.0, 3.0]) {
            assert!(y[0].is_nan());
            assert_eq!(y[1..], [0.0, 0.0, 0.0, 1.0, 1.0, 0.5, 8.0]);
        }
    }
}
