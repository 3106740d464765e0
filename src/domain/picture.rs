//! Pictures as plain bytes, and their entries in the history.

use std::path::PathBuf;

use super::Recipe;

/// An 8-bit RGBA picture, row by row from the top left.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in px.
    pub width_px: u32,
    /// Height in px.
    pub height_px: u32,
    /// `4 * width_px * height_px` bytes: red, green, blue, alpha (not premultiplied).
    pub rgba: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width_px, self.height_px)
    }
}

/// The key of a picture in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PictureId(pub i64);

/// A finished picture in the history.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureEntry {
    /// Its key in the index; it may change when the index is rebuilt.
    pub id: PictureId,
    /// Where the PNG is.
    pub path: PathBuf,
    /// When it was made, in milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// Width in px.
    pub width_px: u32,
    /// Height in px.
    pub height_px: u32,
    /// How it was made; `None` for a picture of another program without a recipe that can be read.
    pub recipe: Option<Recipe>,
}

/// File formats that a picture can be saved in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// Lossless, with the recipe inside.
    Png,
    /// Lossy, with the recipe in its EXIF.
    Jpeg,
    /// Lossless, with the recipe in its EXIF.
    WebP,
}

impl ImageFormat {
    /// The format that a file name's ending asks for.
    #[must_use]
    pub fn from_path(path: &std::path::Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "webp" => Some(Self::WebP),
            _ => None,
        }
    }
}
