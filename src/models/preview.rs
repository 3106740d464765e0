//! Latents as colours: a linear map from the latent channels to RGB, good enough to watch a picture form.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::Picture;

/// `rgb = latents · weights + bias`, in 0..1 for each latent px.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreviewFactors {
    /// One row of red, green and blue for each latent channel.
    pub weights: Cow<'static, [[f32; 3]]>,
    /// Added to red, green and blue.
    pub bias: [f32; 3],
}

impl PreviewFactors {
    /// Stable Diffusion 1 and 2: the values that went round as "latent2rgb"
    /// (<https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204>), moved from −1..1 to 0..1.
    pub const SD1: Self = Self {
        weights: Cow::Borrowed(&[
            [0.149, 0.1035, 0.104],
            [0.0935, 0.143, 0.0945],
            [-0.079, 0.0945, 0.1345],
            [-0.092, -0.1365, -0.2365],
        ]),
        bias: [0.5, 0.5, 0.5],
    };

    /// Stable Diffusion XL, measured in the same way (as in `ComfyUI`'s latent formats).
    pub const SDXL: Self = Self {
        weights: Cow::Borrowed(&[
            [0.182_55, 0.201_9, 0.210_3],
            [-0.022_15, 0.010_05, 0.026_8],
            [0.038_45, 0.045_4, -0.014_2],
            [-0.072_35, -0.096_85, -0.130_7],
        ]),
        bias: [0.5, 0.5, 0.5],
    };

    /// One picture px for each latent px of `latents` `[channels, height, width]` (scaled, as the sampler has them).
    ///
    /// # Panics
    /// When the length does not fit the sides.
    #[must_use]
    pub fn picture(&self, latents: &[f32], height: usize, width: usize) -> Picture {
        let pixels = height * width;
        assert_eq!(latents.len(), self.weights.len() * pixels, "the channels of the latents");
        let mut rgba = Vec::with_capacity(4 * pixels);
        for pixel in 0..pixels {
            for channel in 0..3 {
                let value = (self.weights.iter().enumerate())
                    .map(|(latent, weights)| latents[latent * pixels + pixel] * weights[channel])
                    .sum::<f32>();
                // Casting saturates, and turns NaN to 0.
                rgba.push((255.0 * (value + self.bias[channel])).round() as u8);
            }
            rgba.push(255);
        }
        Picture { width_px: width as u32, height_px: height as u32, rgba }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_latents_are_mid_grey_and_nothing_overflows() {
        let grey = PreviewFactors::SD1.picture(&[0.0; 8], 1, 2);
        assert_eq!((grey.width_px, grey.height_px), (2, 1));
        assert_eq!(grey.rgba, [128, 128, 128, 255, 128, 128, 128, 255]);
        let wild = PreviewFactors::SD1.picture(&[f32::INFINITY, f32::NAN, 1e9, -1e9], 1, 1);
        assert_eq!(wild.rgba[3], 255);
    }
}
