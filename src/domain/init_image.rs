//! [`InitImage`]: a picture to begin with, and what else makes a picture of a picture: [`Extend`], [`Hires`].

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A picture to begin with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InitImage {
    /// Its file.
    pub picture: PathBuf,
    /// A picture of the same shape: what is white in it is painted anew, the rest stays.
    #[serde(default)]
    pub mask: Option<PathBuf>,
    /// How far the picture is taken back to noise, above 0 to 1; where it is enlarged also 0.
    pub strength: f64,
    /// How much is painted around it. The request's size is that of the whole.
    #[serde(default, skip_serializing_if = "Extend::is_none")]
    pub extend: Extend,
}

impl InitImage {
    /// How far it is taken back to noise where nothing is said: it stays recognisable, and may change.
    pub const STRENGTH: f64 = 0.6;
    /// The same under a mask: what is painted anew is usually to be something else.
    pub const MASK_STRENGTH: f64 = 1.0;
    /// The same where it is painted around: next to nothing stays of its mirror image but the colours.
    pub const EXTEND_STRENGTH: f64 = 0.9;
    /// The same where it is enlarged: its shapes stay, and get detail.
    pub const UPSCALE_STRENGTH: f64 = 0.3;

    /// The one of these that fits what is done with it.
    #[must_use]
    pub fn usual_strength(is_enlarged: bool, is_extended: bool, is_masked: bool) -> f64 {
        match (is_enlarged, is_extended, is_masked) {
            (true, _, _) => Self::UPSCALE_STRENGTH,
            (_, true, _) => Self::EXTEND_STRENGTH,
            (_, _, true) => Self::MASK_STRENGTH,
            (false, false, false) => Self::STRENGTH,
        }
    }
}

/// How much is painted beyond each edge of a picture, in px.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extend {
    /// To the left of it.
    pub left: u32,
    /// To the right of it.
    pub right: u32,
    /// Above it.
    pub top: u32,
    /// Below it.
    pub bottom: u32,
}

impl Extend {
    /// All four are multiples of this, in px: a latent stands for as much.
    pub const MULTIPLE_PX: u32 = 8;

    /// Whether nothing is painted around.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// How much wider and higher the whole is than the picture.
    #[must_use]
    pub fn sides(self) -> (u32, u32) {
        (self.left.saturating_add(self.right), self.top.saturating_add(self.bottom))
    }

    /// What is wrong with it on a canvas of this size.
    pub(super) fn problem(self, width_px: u32, height_px: u32) -> Option<String> {
        let Self { left, right, top, bottom } = self;
        let multiple = Self::MULTIPLE_PX;
        let (wide, high) = self.sides();
        if [left, right, top, bottom].iter().any(|side| side % multiple != 0) {
            Some(format!("What is painted around a picture must be multiples of {multiple} px"))
        } else if wide.saturating_add(multiple) > width_px || high.saturating_add(multiple) > height_px {
            Some(format!("Nothing is left of the picture: the whole is {width_px} × {height_px} px"))
        } else {
            None
        }
    }
}

impl FromStr for Extend {
    type Err = String;

    /// `left=64,top=8`: what is not named is 0.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut extend = Self::default();
        for part in text.split(',').map(str::trim) {
            let wrong =
                || format!("{part:?} is none of left, right, top and bottom with a number of px, such as left=64");
            let (edge, px) = part.split_once('=').ok_or_else(wrong)?;
            let px: u32 = px.trim().trim_end_matches("px").trim().parse().map_err(|_| wrong())?;
            *match edge.trim() {
                "left" => &mut extend.left,
                "right" => &mut extend.right,
                "top" => &mut extend.top,
                "bottom" => &mut extend.bottom,
                _ => return Err(wrong()),
            } = px;
        }
        if extend.is_none() { Err("nothing is painted around the picture".to_owned()) } else { Ok(extend) }
    }
}

/// A second pass at a larger size ("hires fix"), which begins with the first one's picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hires {
    /// How many times as wide and high the picture becomes, above 1.
    pub scale: f64,
    /// How far the enlarged picture is taken back to noise, above 0 to 1.
    pub strength: f64,
}

impl Hires {
    /// How far the second pass goes back to noise where nothing is said: it keeps what the first one made.
    pub const STRENGTH: f64 = 0.45;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_named() {
        let parse = |text: &str| text.parse::<Extend>();
        let of = |left, right, top, bottom| Ok(Extend { left, right, top, bottom });
        assert_eq!(parse("left=64,right=8"), of(64, 8, 0, 0));
        assert_eq!(parse("top = 16px, bottom=24"), of(0, 0, 16, 24));
        for text in ["", "left", "left=-8", "middle=8", "left=0", "left=8;top=8"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
