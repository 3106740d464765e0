//! [`StartNoise`]: the noise that a picture starts from, on its way from one seed's to another's.

use super::TorchCpuRng;
use crate::domain::Variation;

/// Two directions whose cosine is larger are one: the line between them is the arc.
const PARALLEL: f64 = 0.9995;
/// Below this sine the arc between two directions cannot be told.
const LEAST_SINE: f64 = 1e-6;

/// Draws the noise that a picture starts from: that of its seed, or a walk from there towards another seed's.
///
/// At a strength of 0 it is the seed's own to the bit, at 1 the other's. Noise that is drawn while the picture forms comes
/// from the picture's seed, as in stable-diffusion-webui.
pub struct StartNoise {
    other: Option<(TorchCpuRng, f64)>,
    /// Height and width in latents.
    sides: [usize; 2],
}

impl StartNoise {
    /// For latents of `shape` `[batch, channels, height, width]`.
    #[must_use]
    pub fn new(variation: Option<Variation>, shape: [usize; 4]) -> Self {
        let other = variation.filter(|variation| variation.is_on());
        let other = other.map(|Variation { seed, strength }| (TorchCpuRng::new(seed), strength));
        Self { other, sides: [shape[2], shape[3]] }
    }

    /// Fills `out` as [`TorchCpuRng::randn`] does, with `rng` as the picture's own generator.
    pub fn draw(&mut self, rng: &mut TorchCpuRng, out: &mut [f32]) {
        rng.randn(out);
        if let Some((other, strength)) = &mut self.other {
            let mut high = vec![0.0; out.len()];
            other.randn(&mut high);
            slerp(*strength, out, &high, self.sides);
        }
    }
}

/// Spherical interpolation (Shoemake 1985) from `low` to `high`, into `low`. Both are planes of `[height, width]`.
///
/// Each column of each plane is a vector of its own, as in stable-diffusion-webui (`slerp` in `modules/rng.py` at version
/// 1.10, which takes norms along the height), so that a variation from there is the same picture here. Where the columns
/// are nearly parallel on the whole it goes along the line, and so does a single column without an arc (parallel, opposite,
/// or all zero), which becomes no number over there.
pub fn slerp(strength: f64, low: &mut [f32], high: &[f32], [height, width]: [usize; 2]) {
    assert_eq!(low.len(), high.len(), "both ends are of one shape");
    if strength <= 0.0 || low.is_empty() || height * width == 0 {
        return;
    }
    if strength >= 1.0 {
        low.copy_from_slice(high);
        return;
    }
    let plane = height * width;
    let columns = || (0..low.len() / plane).flat_map(|at| (0..width).map(move |x| at * plane + x));
    let places = |first: usize| (0..height).map(move |y| first + y * width);
    let cosines: Vec<f64> = columns()
        .map(|first| {
            let (mut dot, mut low_squared, mut high_squared) = (0.0, 0.0, 0.0);
            for at in places(first) {
                let (a, b) = (f64::from(low[at]), f64::from(high[at]));
                dot += a * b;
                low_squared += a * a;
                high_squared += b * b;
            }
            let norms = (low_squared * high_squared).sqrt();
            if norms > 0.0 { (dot / norms).clamp(-1.0, 1.0) } else { 1.0 }
        })
        .collect();
    let is_line = cosines.iter().sum::<f64>() / cosines.len() as f64 > PARALLEL;
    let firsts: Vec<usize> = columns().collect();
    for (first, cosine) in firsts.into_iter().zip(cosines) {
        let angle = cosine.acos();
        let sine = angle.sin();
        let (a, b) = if is_line || sine < LEAST_SINE {
            (1.0 - strength, strength)
        } else {
            (((1.0 - strength) * angle).sin() / sine, (strength * angle).sin() / sine)
        };
        for at in places(first) {
            low[at] = (a * f64::from(low[at]) + b * f64::from(high[at])) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sampling::unit_normal;

    const SHAPE: [usize; 4] = [1, 4, 8, 8];

    fn drawn(variation: Option<Variation>) -> Vec<f32> {
        let mut out = vec![0.0; SHAPE.iter().product()];
        StartNoise::new(variation, SHAPE).draw(&mut TorchCpuRng::new(3), &mut out);
        out
    }

    #[test]
    fn both_ends_are_exact_and_the_way_keeps_its_length() {
        let towards = |strength| drawn(Some(Variation { seed: 4, strength }));
        assert_eq!(drawn(None), unit_normal(3, SHAPE));
        assert_eq!(towards(0.0), unit_normal(3, SHAPE));
        assert_eq!(towards(1.0), unit_normal(4, SHAPE));
        assert_eq!(drawn(Some(Variation { seed: 3, strength: 0.4 })).len(), towards(0.4).len());
        let half = towards(0.5);
        assert!(half != unit_normal(3, SHAPE) && half != unit_normal(4, SHAPE));
        // On the line the variance of two independent normals would be halved; on the sphere it stays.
        let variance = half.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / half.len() as f64;
        assert!((0.7..1.4).contains(&variance), "{variance}");
    }

    #[test]
    fn the_same_seed_is_no_way_at_all() {
        let (own, walked) = (unit_normal(3, SHAPE), drawn(Some(Variation { seed: 3, strength: 0.4 })));
        assert!(own.iter().zip(&walked).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn later_noise_is_the_pictures_own() {
        let (mut plain, mut varied) = (TorchCpuRng::new(3), TorchCpuRng::new(3));
        let (mut a, mut b) = (vec![0.0; 256], vec![0.0; 256]);
        StartNoise::new(None, SHAPE).draw(&mut plain, &mut a);
        StartNoise::new(Some(Variation { seed: 9, strength: 0.7 }), SHAPE).draw(&mut varied, &mut b);
        plain.randn(&mut a);
        varied.randn(&mut b);
        assert_eq!(a, b);
    }

    /// By hand: a right angle is halved into sin 45° of both; columns are vectors, rows are not.
    #[test]
    fn an_arc_is_walked_column_by_column() {
        let root = std::f32::consts::FRAC_1_SQRT_2;
        // Two columns of height 2: (1, 0) to (0, 1), and (2, 0) to (0, 2).
        let mut low = [1.0, 2.0, 0.0, 0.0];
        slerp(0.5, &mut low, &[0.0, 0.0, 1.0, 2.0], [2, 2]);
        for (value, expected) in low.into_iter().zip([root, 2.0 * root, root, 2.0 * root]) {
            assert!((value - expected).abs() < 1e-6, "{low:?}");
        }
        // A third of the way along 90° is 30°.
        let mut low = [1.0, 0.0];
        slerp(1.0 / 3.0, &mut low, &[0.0, 1.0], [2, 1]);
        assert!((low[0] - 0.75_f32.sqrt()).abs() < 1e-6 && (low[1] - 0.5).abs() < 1e-6, "{low:?}");
    }

    #[test]
    fn where_there_is_no_arc_the_way_is_straight() {
        for (low, high, quarter) in [
            ([1.0, 2.0], [2.0, 4.0], [1.25, 2.5]),  // parallel
            ([1.0, 2.0], [-1.0, -2.0], [0.5, 1.0]), // opposite
            ([0.0, 0.0], [4.0, 8.0], [1.0, 2.0]),   // from nothing
            ([0.0, 0.0], [0.0, 0.0], [0.0, 0.0]),   // nothing at all
        ] {
            let mut walked = low;
            slerp(0.25, &mut walked, &high, [2, 1]);
            assert_eq!(walked, quarter, "{low:?} to {high:?}");
        }
        slerp(0.5, &mut [], &[], [0, 0]);
    }

    proptest! {
        #[test]
        fn no_number_is_lost_on_the_way(
            low in proptest::collection::vec(-5.0_f32..5.0, 24), high in proptest::collection::vec(-5.0_f32..5.0, 24),
            strength in 0.0..=1.0_f64,
        ) {
            let mut walked = low;
            slerp(strength, &mut walked, &high, [3, 4]);
            prop_assert!(walked.iter().all(|value| value.is_finite()));
        }
    }
}
