//! A picture as CLIP wants to see it: transformers' `CLIPImageProcessor`, with Pillow's resampling to the last bit.

use candle_core::{Device, Result as TensorResult, Tensor};
use serde::Deserialize;

use crate::domain::{Picture, Result, UserError};

/// Mean and deviation of each channel in CLIP's training.
const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// A size in `preprocessor_config.json`, in px: one number in old files, and named since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Size {
    One(usize),
    Shortest { shortest_edge: usize },
    Both { height: usize, width: usize },
}

/// What counts of `preprocessor_config.json`; a missing field has CLIP's value.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools, reason = "the file has them")]
pub struct ClipImageConfig {
    do_resize: bool,
    do_center_crop: bool,
    do_rescale: bool,
    do_normalize: bool,
    size: Size,
    crop_size: Size,
    /// Pillow's number of the filter.
    resample: u32,
    rescale_factor: f32,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

impl Default for ClipImageConfig {
    fn default() -> Self {
        Self {
            do_resize: true,
            do_center_crop: true,
            do_rescale: true,
            do_normalize: true,
            size: Size::Shortest { shortest_edge: 224 },
            crop_size: Size::One(224),
            resample: 3,
            rescale_factor: 1.0 / 255.0,
            image_mean: CLIP_MEAN,
            image_std: CLIP_STD,
        }
    }
}

/// The way from a picture to what CLIP sees: the shorter side is resized, the middle cut out, the values normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipImage {
    short_px: usize,
    side_px: usize,
    filter: Filter,
    scale: f32,
    mean: [f32; 3],
    std: [f32; 3],
}

impl ClipImageConfig {
    /// CLIP's own, for an encoder of pictures with sides of `side_px`.
    #[must_use]
    pub fn for_side(side_px: usize) -> Self {
        Self { size: Size::One(side_px), crop_size: Size::One(side_px), ..Self::default() }
    }

    /// Checks the configuration against the encoder, whose pictures have sides of `side_px`.
    ///
    /// # Errors
    /// Names the field that does not fit or that is not built.
    pub fn check(&self, side_px: usize) -> Result<ClipImage> {
        let short = match self.size {
            Size::One(short_px) | Size::Shortest { shortest_edge: short_px } => Some(short_px),
            Size::Both { .. } => None,
        };
        let cropped = match self.crop_size {
            Size::One(side) => Some(side),
            Size::Both { height, width } if height == width => Some(width),
            Size::Both { .. } | Size::Shortest { .. } => None,
        };
        let filter = Filter::from_pillow(self.resample);
        let sound = [
            (
                self.do_resize && self.do_center_crop && self.do_rescale && self.do_normalize,
                "do_resize, do_center_crop, do_rescale or do_normalize",
            ),
            (cropped == Some(side_px), "crop_size"),
            (short.is_some_and(|short| (side_px..=4096).contains(&short)), "size"),
            (filter.is_some(), "resample"),
            (self.rescale_factor.is_finite(), "rescale_factor"),
            (self.image_mean.iter().all(|mean| mean.is_finite()), "image_mean"),
            (self.image_std.iter().all(|std| std.is_finite() && *std > 0.0), "image_std"),
        ];
        let fault = sound.iter().find(|(fits, _)| !fits).map_or("size", |(_, field)| field);
        let (None, Some(short_px), Some(filter)) = (sound.iter().find(|(fits, _)| !fits), short, filter) else {
            let sentence = format!("The preprocessor_config.json cannot be used: {fault} does not fit");
            return Err(UserError::input(sentence));
        };
        let (mean, std) = (self.image_mean, self.image_std);
        Ok(ClipImage { short_px, side_px, filter, scale: self.rescale_factor, mean, std })
    }
}

impl ClipImage {
    /// The picture, prepared: `[1, 3, side, side]`. Alpha is ignored.
    ///
    /// # Errors
    /// When the picture is empty or its bytes do not fit its sides.
    pub fn prepare(&self, picture: &Picture) -> TensorResult<Tensor> {
        let (width, height, side) = (picture.width_px as usize, picture.height_px as usize, self.side_px);
        if width * height == 0 || picture.rgba.len() != 4 * width * height {
            candle_core::bail!("{} bytes are no picture of {width}x{height}", picture.rgba.len())
        }
        let shorter = width.min(height);
        let cut = |from: usize| {
            // The longer side is rounded down.
            let to = self.short_px * from / shorter;
            (0..side).map(|i| self.filter.taps(from, to, (to - side) / 2 + i)).collect::<Vec<_>>()
        };
        let (columns, rows) = (cut(width), cut(height));
        let mut planes = Vec::with_capacity(3 * side * side);
        for channel in 0..3 {
            // Only the columns that stay are made: [height, side].
            let narrow: Vec<u8> = (0..height)
                .flat_map(|y| columns.iter().map(move |taps| taps.apply(&picture.rgba, 4 * y * width + channel, 4)))
                .collect();
            let (mean, std) = (self.mean[channel], self.std[channel]);
            planes.extend(rows.iter().flat_map(|taps| {
                let narrow = &narrow;
                (0..side).map(move |x| (f32::from(taps.apply(narrow, x, side)) * self.scale - mean) / std)
            }));
        }
        Tensor::from_vec(planes, (1, 3, side, side), &Device::Cpu)
    }
}

/// A filter of Pillow's `resize`; where a picture shrinks it is widened by as much, so that nothing is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    Bilinear,
    Bicubic,
}

/// The weights of one resized pixel, from pixel `first` of its line on, in units of 2⁻²².
#[derive(Debug, PartialEq)]
struct Taps {
    first: usize,
    weights: Vec<i64>,
}

impl Filter {
    fn from_pillow(number: u32) -> Option<Self> {
        match number {
            2 => Some(Self::Bilinear),
            3 => Some(Self::Bicubic),
            _ => None,
        }
    }

    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// Its value at a distance; the cubic is Keys' with a = −0.5.
    fn at(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            Self::Bicubic => 0.0,
        }
    }

    /// The weights of pixel `i` of a line of `from` pixels that is resized to `to` (`libImaging/Resample.c` of Pillow).
    fn taps(self, from: usize, to: usize, i: usize) -> Taps {
        let step = from as f64 / to as f64;
        let widened = step.max(1.0);
        let center = (i as f64 + 0.5) * step;
        let reach = self.support() * widened;
        let first = (center - reach + 0.5).max(0.0) as usize;
        let end = ((center + reach + 0.5) as usize).min(from);
        let values: Vec<f64> = (first..end).map(|pixel| self.at((pixel as f64 - center + 0.5) / widened)).collect();
        let sum: f64 = values.iter().sum();
        // Halves go away from zero.
        let weights = values.iter().map(|value| (value / sum * f64::from(1 << 22)).round() as i64).collect();
        Taps { first, weights }
    }
}

impl Taps {
    /// The resized pixel of the line that begins at `start` and whose pixels are `stride` apart.
    fn apply(&self, bytes: &[u8], start: usize, stride: usize) -> u8 {
        let line = bytes[start + self.first * stride..].iter().step_by(stride);
        let sum: i64 = line.zip(&self.weights).map(|(byte, weight)| i64::from(*byte) * weight).sum();
        ((sum + (1 << 21)) >> 22).clamp(0, 255) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> ClipImageConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn old_and_new_files_are_read() {
        // As published with Stable Diffusion 1.4, and as transformers writes since 4.21.
        let old = r#"{"crop_size": 224, "do_center_crop": true, "do_convert_rgb": true, "do_normalize": true,
            "do_resize": true, "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
            "resample": 3, "size": 224}"#;
        let new = r#"{"crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 224}, "do_rescale": true,
            "rescale_factor": 0.00392156862745098, "image_processor_type": "CLIPImageProcessor"}"#;
        let wanted = ClipImageConfig::for_side(224).check(224).unwrap();
        assert_eq!(config(old).check(224).unwrap(), wanted);
        assert_eq!(config(new).check(224).unwrap(), wanted);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (json, field) in [
            (r#"{"do_resize": false}"#, "do_resize, do_center_crop, do_rescale or do_normalize"),
            (r#"{"crop_size": 336}"#, "crop_size"),
            (r#"{"crop_size": {"height": 224, "width": 200}}"#, "crop_size"),
            (r#"{"size": 200}"#, "size"),
            (r#"{"size": {"height": 224, "width": 224}}"#, "size"),
            (r#"{"resample": 1}"#, "resample"),
            (r#"{"image_std": [1, 0, 1]}"#, "image_std"),
        ] {
            let error = config(json).check(224).unwrap_err();
            assert!(error.sentence.contains(&format!("{field} does not fit")), "{json}: {error}");
        }
    }

    #[test]
    fn weights_sum_to_one_and_stay_within_the_line() {
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            for (from, to) in [(1, 48), (20, 48), (48, 48), (97, 48), (5000, 224)] {
                for i in 0..to {
                    let taps = filter.taps(from, to, i);
                    assert!(taps.first + taps.weights.len() <= from, "{from} to {to}, {i}");
                    let sum: i64 = taps.weights.iter().sum();
                    assert!(
                        (sum - (1 << 22)).unsigned_abs() <= taps.weights.len() as u64,
                        "{from} to {to}, {i}: {sum}"
                    );
                }
            }
        }
        let same = Filter::Bicubic.taps(9, 9, 4);
        assert_eq!(same.weights.iter().filter(|weight| **weight != 0).collect::<Vec<_>>(), [&(1 << 22)]);
    }

    #[test]
    fn pictures_of_all_shapes_are_prepared_and_broken_ones_refused() {
        let prepare = ClipImageConfig::for_side(24).check(24).unwrap();
        for (width_px, height_px) in [(1, 1), (1, 3000), (24, 24), (31, 25)] {
            let rgba = [128, 0, 255, 9].repeat((width_px * height_px) as usize);
            let pixels = prepare.prepare(&Picture { width_px, height_px, rgba }).unwrap();
            let planes: Vec<Vec<f32>> = pixels.reshape((3, 576)).unwrap().to_vec2().unwrap();
            for (plane, (value, (mean, std))) in
                planes.iter().zip([128.0, 0.0, 255.0].into_iter().zip(CLIP_MEAN.into_iter().zip(CLIP_STD)))
            {
                let wanted = (value / 255.0 - mean) / std;
                assert!(plane.iter().all(|value| (value - wanted).abs() < 1e-5), "{width_px}x{height_px}");
            }
        }
        for (width_px, height_px, bytes) in [(0, 0, 0), (2, 2, 12)] {
            assert!(prepare.prepare(&Picture { width_px, height_px, rgba: vec![0; bytes] }).is_err());
        }
    }
}
