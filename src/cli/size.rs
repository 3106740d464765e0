//! `WxH` on the command line.

use std::str::FromStr;

/// Width and height in px, written `512x768`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Width in px.
    pub width_px: u32,
    /// Height in px.
    pub height_px: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |side: &str| side.trim().parse::<u32>().ok();
        let sides = match text.split_once(['x', 'X', '×']) {
            Some((width, height)) => parse(width).zip(parse(height)),
            // One number is a square.
            None => parse(text).map(|side| (side, side)),
        };
        match sides {
            Some((width_px, height_px)) => Ok(Self { width_px, height_px }),
            None => Err(format!("{text:?} is not a size; write it like 512x768")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_nonsense_is_not() {
        assert_eq!("512x768".parse(), Ok(Size { width_px: 512, height_px: 768 }));
        assert_eq!("128".parse(), Ok(Size { width_px: 128, height_px: 128 }));
        for text in ["", "x", "5x", "-8x8", "8x8x8", "99999999999x8", "8.5x8"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
