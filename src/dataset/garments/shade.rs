//! Colour arithmetic: mixing in sRGB and the perceptual space that contrasts and judgements are made in.

/// A colour in sRGB, [0, 1].
pub type Rgb = [f32; 3];

/// The way from one colour to another.
pub fn mix(from: Rgb, to: Rgb, share: f32) -> Rgb {
    std::array::from_fn(|i| from[i] + (to[i] - from[i]) * share)
}

/// Brighter or darker. What is dark gains a little light as well, or folds would vanish in black.
pub fn lit(colour: Rgb, light: f32) -> Rgb {
    let gloss = 0.22 * (light - 1.0);
    colour.map(|value| (value * light + gloss * (1.0 - value)).clamp(0.0, 1.0))
}

/// How bright a colour looks, in [0, 1].
pub fn luma(colour: Rgb) -> f32 {
    0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
}

/// `OKLab` (Björn Ottosson, "A perceptual color space for image processing", 2020) of an sRGB colour.
pub fn oklab(colour: Rgb) -> [f32; 3] {
    oklab_of_linear(colour.map(linear))
}

/// An sRGB value as an amount of light.
pub fn linear(value: f32) -> f32 {
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// `OKLab` of amounts of red, green and blue light.
pub fn oklab_of_linear([r, g, b]: [f32; 3]) -> [f32; 3] {
    let l = (0.412_221_47 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
    [
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// White is (1, 0, 0) by construction; red (0.628, 0.225, 0.126) is in the article's reference implementation.
    #[test]
    fn oklab_as_published() {
        for (colour, expected) in [([1.0; 3], [1.0, 0.0, 0.0]), ([1.0, 0.0, 0.0], [0.628, 0.225, 0.126])] {
            let lab = oklab(colour);
            assert!((0..3).all(|i| (lab[i] - expected[i]).abs() < 1e-3), "{lab:?}");
        }
    }
}
