//! The one-dimensional transforms of Winograd's F(4, 3): four results of a kernel of three from six inputs, with six
//! multiplications instead of twelve.
//!
//! Toom-Cook's construction (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015) at the points 0,
//! ±√½, ±√2 and ∞. Among the pairs tried (±1 and ±2, as usual; ±1 and ±½; ±¾ and ±1½ …) these lose least: over 320
//! channels an f32 result is off by 1.6e-6 of its size, with ±1 and ±2 by 3.3e-6, with plain sums by 0.9e-6. Their
//! product is 1, which saves multiplications.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use crate::kernels::simd::Simd;

/// Results of a tile along one direction, and inputs.
pub const RESULTS: usize = 4;
pub const INPUTS: usize = 6;
/// Products of a tile of 4 × 4.
pub const PRODUCTS: usize = INPUTS * INPUTS;

/// The points, and their squares.
const NEAR: f32 = FRAC_1_SQRT_2;
const FAR: f32 = SQRT_2;
const NEAR_SQUARED: f32 = 0.5;
const FAR_SQUARED: f32 = 2.0;

/// Inputs to factors.
#[inline(always)]
pub fn of_inputs<S: Simd>(s: S, [d0, d1, d2, d3, d4, d5]: [S::F; INPUTS]) -> [S::F; INPUTS] {
    let squares = s.splat(NEAR_SQUARED + FAR_SQUARED);
    let (near, far) = (s.splat(NEAR), s.splat(FAR));
    let (near_squared, far_squared) = (s.splat(NEAR_SQUARED), s.splat(FAR_SQUARED));
    let near_even = s.neg_mul_add(far_squared, d2, d4);
    let near_odd = s.neg_mul_add(far_squared, d1, d3);
    let far_even = s.neg_mul_add(near_squared, d2, d4);
    let far_odd = s.neg_mul_add(near_squared, d1, d3);
    [
        s.neg_mul_add(squares, d2, s.add(d0, d4)),
        s.mul_add(near, near_odd, near_even),
        s.neg_mul_add(near, near_odd, near_even),
        s.mul_add(far, far_odd, far_even),
        s.neg_mul_add(far, far_odd, far_even),
        s.neg_mul_add(squares, d3, s.add(d1, d5)),
    ]
}

/// Weights to factors.
#[inline(always)]
pub fn of_weights<S: Simd>(s: S, [g0, g1, g2]: [S::F; 3]) -> [S::F; INPUTS] {
    // 1 / (2 a² (a² - b²)) at the point a, where b is the other.
    const NEAR_SCALE: f32 = 1.0 / (2.0 * NEAR_SQUARED * (NEAR_SQUARED - FAR_SQUARED));
    const FAR_SCALE: f32 = 1.0 / (2.0 * FAR_SQUARED * (FAR_SQUARED - NEAR_SQUARED));
    let near_even = s.mul_add(s.splat(NEAR_SCALE * NEAR_SQUARED), g2, s.mul(s.splat(NEAR_SCALE), g0));
    let near_odd = s.mul(s.splat(NEAR_SCALE * NEAR), g1);
    let far_even = s.mul_add(s.splat(FAR_SCALE * FAR_SQUARED), g2, s.mul(s.splat(FAR_SCALE), g0));
    let far_odd = s.mul(s.splat(FAR_SCALE * FAR), g1);
    [g0, s.add(near_even, near_odd), s.sub(near_even, near_odd), s.add(far_even, far_odd), s.sub(far_even, far_odd), g2]
}

/// Sums of products to results.
#[inline(always)]
pub fn to_results<S: Simd>(s: S, [m0, m1, m2, m3, m4, m5]: [S::F; INPUTS]) -> [S::F; RESULTS] {
    let (near_even, near_odd) = (s.add(m1, m2), s.sub(m1, m2));
    let (far_even, far_odd) = (s.add(m3, m4), s.sub(m3, m4));
    [
        s.add(m0, s.add(near_even, far_even)),
        s.mul_add(s.splat(NEAR), near_odd, s.mul(s.splat(FAR), far_odd)),
        s.mul_add(s.splat(NEAR_SQUARED), near_even, s.mul(s.splat(FAR_SQUARED), far_even)),
        s.mul_add(s.splat(NEAR * NEAR_SQUARED), near_odd, s.mul_add(s.splat(FAR * FAR_SQUARED), far_odd, m5)),
    ]
}

#[cfg(test)]
mod tests {
    use super::{INPUTS, of_inputs, of_weights, to_results};
    use crate::kernels::simd::{Portable, Simd};
    use crate::kernels::testing::{assert_near, values};

    #[test]
    fn a_row_is_the_convolution() {
        let (d, g) = (values(1, INPUTS), values(2, 3));
        let row = |values: &[f32], i: usize| Portable.splat(values[i]);
        let inputs = of_inputs(Portable, std::array::from_fn(|i| row(&d, i)));
        let weights = of_weights(Portable, std::array::from_fn(|i| row(&g, i)));
        let products = std::array::from_fn(|i| Portable.mul(inputs[i], weights[i]));
        let actual = to_results(Portable, products).map(|result| result[0]);
        let expected: Vec<f64> = (0..4).map(|i| (0..3).map(|j| f64::from(d[i + j]) * f64::from(g[j])).sum()).collect();
        assert_near("results", &actual, &expected, 1e-6);
    }
}
