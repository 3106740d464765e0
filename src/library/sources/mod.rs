//! What pictures begin with: reading a picture and its mask for the canvas, and keeping masks that were painted and
//! pictures that were pasted.
//!
//! Kept files are named by what is in them and never change, so that a queued job and a recipe go on to mean the same. They
//! go when they were not used for long and no recipe of a known picture names them ([`sweep`]).

mod feather;

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use image::imageops::FilterType;
use image::{DynamicImage, RgbaImage};
use sha2::{Digest, Sha256};

use super::atomic;
use super::image_io::read_picture;
use super::metadata::Embedded;
use super::paths::{Paths, file_name};
use super::png_file;
use crate::domain::{Picture, Plane, Result, UserError};

pub use feather::feather;

/// A mask is painted anew where it is at least half white.
pub const MASK_LEVEL: u8 = 128;
/// A file that nobody needs is kept for so long after its last use.
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// Hex digits of a file's name.
const DIGITS: usize = 16;
const MASK: &str = "mask-";
const PICTURE: &str = "picture-";

/// What is asked about the picture to begin with.
#[derive(Clone, Debug)]
pub enum SourceCommand {
    /// Read a picture and its mask. Answered by `Read`.
    Read {
        /// Comes back with the answer.
        ticket: u64,
        /// The picture.
        picture: PathBuf,
        /// Its mask.
        mask: Option<PathBuf>,
    },
    /// Write a mask that was painted. Answered by `MaskKept`.
    KeepMask {
        /// Comes back with the answer.
        ticket: u64,
        /// What was painted.
        plane: Plane,
        /// How soft its edge becomes, in px to either side.
        feather_px: u32,
    },
    /// Write a picture that has no file yet. Answered by `PictureKept`.
    KeepPicture(Arc<Picture>),
    /// Take away what was not used for long and no recipe names, but for these.
    Sweep(Vec<PathBuf>),
}

/// A mask that was written.
#[derive(Clone, Debug)]
pub struct KeptMask {
    /// Its file.
    pub path: PathBuf,
    /// What is in the file.
    pub plane: Plane,
}

/// What is told about the picture to begin with.
#[derive(Clone, Debug)]
pub enum SourceEvent {
    /// A picture was read, and its mask at the picture's size.
    Read {
        /// As it was asked.
        ticket: u64,
        /// The picture.
        picture: Result<Arc<Picture>>,
        /// Its mask, if one was asked for and the picture could be read.
        mask: Option<Result<Plane>>,
    },
    /// A mask was written, or could not be.
    MaskKept {
        /// As it was asked.
        ticket: u64,
        /// Where it is.
        kept: Result<KeptMask>,
    },
    /// A picture was written, or could not be.
    PictureKept(Result<PathBuf>),
}

/// Reads a mask as grey levels of the picture's size. One of another shape is cut at its longer sides.
///
/// # Errors
/// When it cannot be read.
pub fn read_mask(path: &Path, (width_px, height_px): (u32, u32)) -> Result<Plane> {
    if !path.exists() {
        return Err(UserError::input("The mask is not there any more")
            .hint("paint it anew on the picture, or take the mask out")
            .path(path));
    }
    let Picture { width_px: own_width, height_px: own_height, rgba } = read_picture(path)?;
    let Some(buffer) = RgbaImage::from_raw(own_width, own_height, rgba) else {
        return Err(UserError::input("The mask has too few px").path(path));
    };
    let mut image = DynamicImage::from(buffer);
    if (own_width, own_height) != (width_px, height_px) {
        image = image.resize_to_fill(width_px, height_px, FilterType::Triangle);
    }
    Ok(Plane::from_levels(width_px, height_px, image.to_luma8().as_raw()))
}

/// Writes a mask with a soft edge as a grey PNG.
///
/// # Errors
/// When the softness leaves nothing that would be painted anew, or the file cannot be written.
pub fn keep_mask(paths: &Paths, plane: &Plane, feather_px: u32) -> Result<KeptMask> {
    let (width_px, height_px) = plane.size();
    let levels = feather(&plane.levels(), width_px as usize, height_px as usize, feather_px);
    if levels.iter().all(|level| *level < MASK_LEVEL) {
        return Err(UserError::input("The mask's soft edge leaves nothing of it to be painted anew")
            .hint("paint a larger part, or take less feather"));
    }
    let broken = |error: png::EncodingError| UserError::failed(format!("Could not encode the mask: {error}"));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width_px, height_px);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(broken)?;
    writer.write_image_data(&levels).map_err(broken)?;
    writer.finish().map_err(broken)?;
    let path = keep(paths, MASK, &[&width_px.to_le_bytes(), &height_px.to_le_bytes(), &levels], &bytes)?;
    let plane = if feather_px == 0 { plane.clone() } else { Plane::from_levels(width_px, height_px, &levels) };
    Ok(KeptMask { path, plane })
}

/// Writes a picture that has no file yet.
///
/// # Errors
/// When it cannot be encoded or written.
pub fn keep_picture(paths: &Paths, picture: &Picture) -> Result<PathBuf> {
    let bytes = png_file::encode(picture, &Embedded::default())?;
    let size = [picture.width_px.to_le_bytes(), picture.height_px.to_le_bytes()];
    keep(paths, PICTURE, &[&size[0], &size[1], &picture.rgba], &bytes)
}

/// Takes away kept files that were not used for long, but for those in `needed` and those in `named`, which gives the files'
/// names that stand in recipes. It is asked only where there is something to take away.
///
/// # Errors
/// When `named` fails; nothing is taken away then.
pub fn sweep(paths: &Paths, needed: &[PathBuf], named: impl FnOnce() -> Result<HashSet<String>>) -> Result<()> {
    atomic::sweep(&paths.sources_dir);
    let Ok(entries) = fs::read_dir(&paths.sources_dir) else { return Ok(()) };
    let is_old = |path: &Path| {
        let used = fs::metadata(path).and_then(|data| data.modified());
        used.is_ok_and(|used| SystemTime::now().duration_since(used).is_ok_and(|age| age > KEPT_FOR))
    };
    let is_left = |path: &PathBuf| is_kept(paths, path) && is_old(path) && !needed.contains(path);
    let old: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_left).collect();
    if old.is_empty() {
        return Ok(());
    }
    let named = named()?;
    for path in old.iter().filter(|path| !named.contains(&file_name(path))) {
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(%error, path = %path.display(), "a mask that nobody needs could not be removed");
        }
    }
    Ok(())
}

/// The names of kept files that stand in a text, such as a recipe's JSON.
#[must_use]
pub fn names_in(text: &str) -> Vec<&str> {
    let ending = ".png";
    let names = [MASK, PICTURE].into_iter().flat_map(|kind| {
        text.match_indices(kind).filter_map(move |(start, _)| {
            let length = kind.len() + DIGITS + ending.len();
            text.get(start..start + length).filter(|name| name.ends_with(ending))
        })
    });
    names.collect()
}

/// Whether a file is one that was kept here, by its folder and name.
fn is_kept(paths: &Paths, path: &Path) -> bool {
    let name = file_name(path);
    path.parent() == Some(&paths.sources_dir) && (name.starts_with(MASK) || name.starts_with(PICTURE))
}

/// Writes a file under a name that follows from `content`.
fn keep(paths: &Paths, kind: &str, content: &[&[u8]], bytes: &[u8]) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    for part in content {
        hash.update(part);
    }
    let digest = format!("{:x}", hash.finalize());
    let path = paths.sources_dir.join(format!("{kind}{}.png", &digest[..DIGITS]));
    if fs::read(&path).is_ok_and(|there| there == bytes) {
        // It counts as used today. Where that cannot be written, it is swept the sooner.
        let _ = File::options().write(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
    } else {
        atomic::write(&path, bytes)?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
