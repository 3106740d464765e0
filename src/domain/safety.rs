//! What becomes of a picture that a model's safety checker flags.

use serde::{Deserialize, Serialize};

use super::Picture;

/// A blurred picture keeps nothing that is smaller than this part of its longer side.
const BLUR_PART: u32 = 16;
/// Three boxes one behind the other are close to a Gaussian.
const BLUR_PASSES: usize = 3;

/// What becomes of flagged pictures. The picture itself is kept: only what is shown changes, and can be changed back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SafetyMode {
    /// Nothing is checked.
    Off,
    /// Pictures are checked and marked, and shown as they are.
    Flag,
    /// Flagged pictures are shown so blurred that nothing can be recognised.
    #[default]
    Blur,
    /// Flagged pictures are shown black.
    Black,
}

/// What a safety checker says of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether the picture is close to one of the concepts that the checker knows.
    pub flagged: bool,
    /// How far the closest concept is beyond its threshold, as a difference of cosines (about −0.3 to 0.3); above 0 is
    /// flagged.
    pub score: f32,
}

impl SafetyMode {
    /// Every mode, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Off, Self::Flag, Self::Blur, Self::Black];

    /// Its name for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Flag => "Mark only",
            Self::Blur => "Blur",
            Self::Black => "Black out",
        }
    }

    /// What it does, in a sentence.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Off => "Pictures are not checked.",
            Self::Flag => "Pictures that may be unsafe are marked, and shown as they are.",
            Self::Blur => "Pictures that may be unsafe are blurred until you ask to see them.",
            Self::Black => "Pictures that may be unsafe are black until you ask to see them.",
        }
    }

    /// Its name on the command line and in files of ours (the serde name).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Flag => "flag",
            Self::Blur => "blur",
            Self::Black => "black",
        }
    }

    /// The mode of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// What is shown instead of `picture`; `None` where it is shown as it is.
    #[must_use]
    pub fn instead_of(self, picture: &Picture, verdict: Verdict) -> Option<Picture> {
        match self {
            Self::Blur if verdict.flagged => Some(blur(picture)),
            Self::Black if verdict.flagged => Some(black(picture)),
            Self::Off | Self::Flag | Self::Blur | Self::Black => None,
        }
    }
}

/// An opaque black picture of the same size.
#[must_use]
pub fn black(picture: &Picture) -> Picture {
    let pixels = picture.width_px as usize * picture.height_px as usize;
    Picture { rgba: [0, 0, 0, 255].repeat(pixels), ..*picture }
}

/// The picture, opaque, blurred so strongly that nothing can be recognised: about a Gaussian with a deviation of 1/16 of
/// the longer side. Beyond the edges the picture goes on as it is there.
#[must_use]
pub fn blur(picture: &Picture) -> Picture {
    let (width, height) = (picture.width_px as usize, picture.height_px as usize);
    let radius = (picture.width_px.max(picture.height_px) / BLUR_PART).max(1) as usize;
    let mut rgba = picture.rgba.clone();
    // What is transparent has an outline, too.
    rgba.iter_mut().skip(3).step_by(4).for_each(|alpha| *alpha = 255);
    let mut line = Vec::with_capacity(width.max(height));
    for _ in 0..BLUR_PASSES {
        for channel in 0..3 {
            for y in 0..height {
                average(&mut rgba, 4 * y * width + channel, 4, width, radius, &mut line);
            }
            for x in 0..width {
                average(&mut rgba, 4 * x + channel, 4 * width, height, radius, &mut line);
            }
        }
    }
    Picture { rgba, ..*picture }
}

/// Replaces `count` bytes, from `first` on and `step` apart, by the averages of their neighbours within `radius`.
fn average(bytes: &mut [u8], first: usize, step: usize, count: usize, radius: usize, line: &mut Vec<u8>) {
    line.clear();
    line.extend(bytes.iter().skip(first).step_by(step).take(count));
    let Some(last) = line.len().checked_sub(1) else { return };
    let at = |i: usize| u64::from(line[i.min(last)]);
    let size = 2 * radius as u64 + 1;
    let mut sum = radius as u64 * at(0) + (0..=radius).map(at).sum::<u64>();
    for (i, byte) in bytes.iter_mut().skip(first).step_by(step).take(count).enumerate() {
        *byte = ((sum + size / 2) / size) as u8;
        sum = sum + at(i + radius + 1) - at(i.saturating_sub(radius));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, rgba: impl Fn(u32, u32) -> [u8; 4]) -> Picture {
        let rgba = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| rgba(x, y)).collect();
        Picture { width_px: width, height_px: height, rgba }
    }

    fn spread(picture: &Picture, channel: usize) -> u8 {
        let values = || picture.rgba.iter().skip(channel).step_by(4);
        values().max().unwrap() - values().min().unwrap()
    }

    #[test]
    fn names_are_those_of_serde_and_are_found_again() {
        for mode in SafetyMode::ALL {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.name());
            assert_eq!(SafetyMode::from_name(mode.name()), Some(mode));
        }
        assert_eq!(SafetyMode::from_name("Blur"), None);
    }

    #[test]
    fn only_a_flagged_picture_is_hidden_and_only_by_the_modes_that_hide() {
        let picture = picture(20, 10, |x, _| [x as u8 * 10, 0, 0, 255]);
        for mode in SafetyMode::ALL {
            assert_eq!(mode.instead_of(&picture, Verdict { flagged: false, score: -0.1 }), None);
            let shown = mode.instead_of(&picture, Verdict { flagged: true, score: 0.1 });
            assert_eq!(shown.is_some(), matches!(mode, SafetyMode::Blur | SafetyMode::Black), "{mode:?}");
        }
    }

    #[test]
    fn black_is_black_and_opaque() {
        let black = black(&picture(3, 2, |x, y| [x as u8, y as u8, 9, 0]));
        assert_eq!(black, picture(3, 2, |_, _| [0, 0, 0, 255]));
    }

    #[test]
    fn what_is_smaller_than_the_sixteenth_of_the_side_is_gone() {
        // Squares of 1/16 of the side, as hard as can be: a Gaussian of that deviation leaves exp(-π²/2) of their
        // strongest wave, which is 1.8 of 255 there and back.
        let squares = picture(256, 256, |x, y| {
            let value = if (x / 16 + y / 16) % 2 == 0 { 255 } else { 0 };
            [value, 255 - value, value, if value == 0 { 0 } else { 255 }]
        });
        let blurred = blur(&squares);
        for channel in 0..3 {
            // In a corner, whose square goes on beyond it both ways, one blot of a third of the contrast is left.
            assert!(spread(&blurred, channel) < 96, "channel {channel}: {}", spread(&blurred, channel));
        }
        let middle = picture(128, 128, |x, y| {
            let at = 4 * (256 * (y as usize + 64) + x as usize + 64);
            [blurred.rgba[at], blurred.rgba[at + 1], blurred.rgba[at + 2], 255]
        });
        assert!(spread(&middle, 0) <= 6, "{}", spread(&middle, 0));
        assert_eq!(spread(&blurred, 3), 0);
    }

    #[test]
    fn a_plain_picture_stays_and_odd_sizes_do_no_harm() {
        for (width, height) in [(0, 0), (1, 1), (1, 40), (40, 1), (17, 5), (2, 300)] {
            let plain = picture(width, height, |_, _| [200, 100, 7, 255]);
            assert_eq!(blur(&plain), plain, "{width}x{height}");
        }
    }

    #[test]
    fn large_shapes_keep_their_colour() {
        let halves = picture(320, 320, |x, _| if x < 160 { [255, 0, 0, 255] } else { [0, 0, 255, 255] });
        let blurred = blur(&halves);
        let at = |x: usize| &blurred.rgba[4 * (160 * 320 + x)..][..3];
        assert_eq!((at(10), at(310)), (&[255, 0, 0][..], &[0, 0, 255][..]));
        assert!(at(160)[0].abs_diff(at(160)[2]) < 8);
    }
}
