//! How latents look as colours: the linear map that comes closest to the pictures, by least squares.

use super::architecture::LATENT_CHANNELS;
use crate::models::preview::PreviewFactors;

/// The channels and the bias.
const UNKNOWNS: usize = LATENT_CHANNELS + 1;

/// The sums of which a least-squares fit is made.
#[derive(Default)]
pub struct PreviewFit {
    /// Of products of inputs (latents and a one) with inputs.
    products: [[f64; UNKNOWNS]; UNKNOWNS],
    /// Of products of inputs with red, green and blue.
    colours: [[f64; 3]; UNKNOWNS],
}

impl PreviewFit {
    /// Adds a picture: centred and scaled `latents` `[channels, side, side]`, and the picture as `planes`
    /// `[3, scale * side, scale * side]` in −1..1, of which each latent px stands for a square.
    ///
    /// # Panics
    /// When the lengths do not fit the sides.
    pub fn add(&mut self, latents: &[f32], planes: &[f32], side: usize, scale: usize) {
        let (pixels, width) = (side * side, scale * side);
        let expected = (LATENT_CHANNELS * pixels, 3 * width * width);
        assert_eq!((latents.len(), planes.len()), expected, "latents and pictures of these sides");
        for pixel in 0..pixels {
            let (y, x) = (pixel / side * scale, pixel % side * scale);
            let mut inputs = [1.0; UNKNOWNS];
            (0..LATENT_CHANNELS).for_each(|channel| inputs[channel] = f64::from(latents[channel * pixels + pixel]));
            let mean = |channel: usize| {
                let rows = planes[channel * width * width..][..width * width].chunks_exact(width).skip(y).take(scale);
                rows.flat_map(|row| &row[x..x + scale]).map(|value| f64::from(*value)).sum::<f64>()
                    / (scale * scale) as f64
            };
            let rgb = [0, 1, 2].map(|channel| mean(channel) / 2.0 + 0.5);
            for (i, input) in inputs.iter().enumerate() {
                (0..UNKNOWNS).for_each(|j| self.products[i][j] += input * inputs[j]);
                (0..3).for_each(|channel| self.colours[i][channel] += input * rgb[channel]);
            }
        }
    }

    /// The factors that come closest. A little is added to the diagonal, so that there is always exactly one answer.
    #[must_use]
    pub fn solve(&self) -> PreviewFactors {
        let (mut left, mut right) = (self.products, self.colours);
        (0..UNKNOWNS).for_each(|i| left[i][i] += 1e-6);
        // Gauss and Jordan; the matrix is positive definite, so that no rows need be exchanged.
        for pivot in 0..UNKNOWNS {
            for row in (0..UNKNOWNS).filter(|row| *row != pivot) {
                let factor = left[row][pivot] / left[pivot][pivot];
                let (known, colours) = (left[pivot], right[pivot]);
                for (value, known) in left[row].iter_mut().zip(known) {
                    *value -= factor * known;
                }
                for (value, colour) in right[row].iter_mut().zip(colours) {
                    *value -= factor * colour;
                }
            }
        }
        let answer = |i: usize| [0, 1, 2].map(|channel| (right[i][channel] / left[i][i]) as f32);
        PreviewFactors { weights: (0..LATENT_CHANNELS).map(answer).collect(), bias: answer(LATENT_CHANNELS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_map_is_found_again() {
        let wanted = PreviewFactors {
            weights: (0..LATENT_CHANNELS).map(|i| [0, 1, 2].map(|j| ((i * i + j) % 5) as f32 / 10.0 - 0.2)).collect(),
            bias: [0.5, 0.4, 0.6],
        };
        let (side, scale) = (4, 2);
        // Any numbers that do not depend on each other linearly.
        let latents: Vec<f32> =
            (0..16 * LATENT_CHANNELS as i32).map(|i| ((i * i * 37 + i * 11) % 19) as f32 / 9.5 - 1.0).collect();
        let mut planes = vec![0.0; 3 * 64];
        for (i, value) in planes.iter_mut().enumerate() {
            let (channel, y, x) = (i / 64, i % 64 / 8, i % 8);
            let pixel = y / scale * side + x / scale;
            let rgb: f32 =
                (0..LATENT_CHANNELS).map(|i| latents[i * 16 + pixel] * wanted.weights[i][channel]).sum::<f32>()
                    + wanted.bias[channel];
            *value = 2.0 * rgb - 1.0;
        }
        let mut fit = PreviewFit::default();
        fit.add(&latents, &planes, side, scale);
        let found = fit.solve();
        let flat = |factors: &PreviewFactors| [factors.weights.as_flattened(), &factors.bias].concat();
        for (a, b) in flat(&found).iter().zip(flat(&wanted)) {
            assert!((a - b).abs() < 1e-4, "{found:?}");
        }
    }
}
