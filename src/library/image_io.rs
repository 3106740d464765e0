//! Reading pictures of any origin within limits, and writing them as PNG, JPEG or WebP.

use std::fs;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader};

use super::metadata::{Embedded, exif};
use super::paths::file_name;
use super::png_file;
use crate::domain::{ImageFormat, Picture, Result, UserError};

/// The longest side of a picture that is read, in px.
pub const MAX_SIDE_PX: u32 = 16_384;
/// The most bytes that a picture may have, in its file and decoded.
pub const MAX_BYTES: u64 = 512 << 20;
/// JPEG quality: hardly to be told from the original.
const JPEG_QUALITY: u8 = 92;
const HINT: &str = "pictures can be PNG, JPEG or WebP";

/// What a picture file says of itself, without its pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureInfo {
    /// Width in px, as shown.
    pub width_px: u32,
    /// Height in px, as shown.
    pub height_px: u32,
    /// The texts about how it was made.
    pub embedded: Embedded,
}

/// A picture as the bytes of a file.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The file.
    pub bytes: Vec<u8>,
    /// To be shown: what found no room in the file.
    pub notice: Option<String>,
}

/// Reads a picture in full, turned as its EXIF says.
///
/// # Errors
/// When it cannot be read, is no picture, is cut off, or is larger than [`MAX_SIDE_PX`] a side or [`MAX_BYTES`].
pub fn read_picture(path: &Path) -> Result<Picture> {
    decode(&read_file(path)?).map_err(|reason| unreadable(path, &reason))
}

/// Reads what a picture file says of itself. Of a PNG only the chunks are read, so that thousands can be listed.
///
/// # Errors
/// As [`read_picture`], but the pixels may still turn out to be broken.
pub fn read_info(path: &Path) -> Result<PictureInfo> {
    let cannot = |error: std::io::Error| unreadable(path, &error.to_string());
    let mut file = BufReader::new(fs::File::open(path).map_err(cannot)?);
    let info = if png_file::is_png(file.fill_buf().map_err(cannot)?) {
        let head = png_file::read_head(&mut file).map_err(cannot)?;
        let orientation = head.exif.as_deref().and_then(Orientation::from_exif_chunk);
        let mut embedded = head.embedded;
        if embedded.parameters.is_none() && embedded.atelier.is_none() {
            let mut more = head.exif.as_deref().map(exif::read).unwrap_or_default();
            more.foreign.splice(..0, embedded.foreign);
            embedded = more;
        }
        checked_size(head.width_px, head.height_px).map(|()| (head.width_px, head.height_px, orientation, embedded))
    } else {
        info_of_other(&read_file(path)?)
    };
    let (width_px, height_px, orientation, embedded) = info.map_err(|reason| unreadable(path, &reason))?;
    let turned = matches!(
        orientation,
        Some(Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH)
    );
    let (width_px, height_px) = if turned { (height_px, width_px) } else { (width_px, height_px) };
    Ok(PictureInfo { width_px, height_px, embedded })
}

/// Encodes a picture with what is known of how it was made: PNG and WebP without loss, JPEG at quality 92 over white.
///
/// # Errors
/// When the format cannot hold a picture of that size.
pub fn encode(picture: &Picture, embedded: &Embedded, format: ImageFormat) -> Result<Encoded> {
    if format == ImageFormat::Png {
        return Ok(Encoded { bytes: png_file::encode(picture, embedded)?, notice: None });
    }
    let (block, whole) = exif::write(embedded);
    let notice = (!whole).then(|| "The prompt is too long for this format: save as PNG to keep all of it".to_owned());
    let mut bytes = Vec::new();
    let (width, height) = (picture.width_px, picture.height_px);
    let no_exif = "JPEG and WebP encoders of `image` take EXIF";
    let written = if format == ImageFormat::Jpeg {
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
        // Cannot fail: see the message.
        encoder.set_exif_metadata(block).expect(no_exif);
        encoder.write_image(&rgb(picture), width, height, ExtendedColorType::Rgb8)
    } else {
        let mut encoder = WebPEncoder::new_lossless(&mut bytes);
        encoder.set_exif_metadata(block).expect(no_exif);
        if is_opaque(picture) {
            encoder.write_image(&rgb(picture), width, height, ExtendedColorType::Rgb8)
        } else {
            encoder.write_image(&picture.rgba, width, height, ExtendedColorType::Rgba8)
        }
    };
    written.map_err(|error| {
        UserError::failed(format!("Could not encode a picture of {width} x {height} px: {error}"))
            .hint("save as PNG: it holds pictures of any size")
    })?;
    Ok(Encoded { bytes, notice })
}

/// Whether no pixel can be seen through.
#[must_use]
pub fn is_opaque(picture: &Picture) -> bool {
    picture.rgba.chunks_exact(4).all(|pixel| pixel[3] == 255)
}

/// The pixels without alpha, laid over white.
#[must_use]
pub fn rgb(picture: &Picture) -> Vec<u8> {
    let over_white = |pixel: &[u8], channel: usize| {
        let (value, alpha) = (u32::from(pixel[channel]), u32::from(pixel[3]));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    picture.rgba.chunks_exact(4).flat_map(|pixel| [0, 1, 2].map(|channel| over_white(pixel, channel))).collect()
}

/// Reads a file of a size that a picture may have.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let cannot = |error: std::io::Error| unreadable(path, &error.to_string());
    let file = fs::File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unreadable(path, &format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Decodes a picture, turned as its EXIF says. The error is a reason for [`unreadable`].
pub(super) fn decode(bytes: &[u8]) -> std::result::Result<Picture, String> {
    let reader = reader(bytes)?;
    if reader.format() == Some(image::ImageFormat::Jpeg) && is_cut_off(bytes) {
        return Err("it is cut off".to_owned());
    }
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    checked_size(width, height)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    image.apply_orientation(orientation);
    let rgba = image.into_rgba8();
    Ok(Picture { width_px: rgba.width(), height_px: rgba.height(), rgba: rgba.into_raw() })
}

/// Whether a picture's EXIF says that it is to be shown turned or mirrored.
pub(super) fn is_turned(bytes: &[u8]) -> bool {
    let orientation = reader(bytes).ok().and_then(|reader| reader.into_decoder().ok()?.orientation().ok());
    orientation.is_some_and(|orientation| orientation != Orientation::NoTransforms)
}

type RawInfo = (u32, u32, Option<Orientation>, Embedded);

fn info_of_other(bytes: &[u8]) -> std::result::Result<RawInfo, String> {
    let mut decoder = reader(bytes)?.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    checked_size(width, height)?;
    let orientation = decoder.orientation().ok();
    let block = decoder.exif_metadata().ok().flatten();
    Ok((width, height, orientation, block.as_deref().map(exif::read).unwrap_or_default()))
}

/// A reader of a format that we take; the bytes decide, not the file's name.
fn reader(bytes: &[u8]) -> std::result::Result<ImageReader<impl BufRead + Seek>, String> {
    use image::ImageFormat::{Jpeg, Png, WebP};
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    if !matches!(reader.format(), Some(Png | Jpeg | WebP)) {
        return Err("it is no PNG, JPEG or WebP".to_owned());
    }
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PX);
    limits.max_image_height = Some(MAX_SIDE_PX);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    Ok(reader)
}

fn checked_size(width: u32, height: u32) -> std::result::Result<(), String> {
    let bytes = 4 * u64::from(width) * u64::from(height);
    if width == 0 || height == 0 {
        return Err("it has no pixels".to_owned());
    }
    if width > MAX_SIDE_PX || height > MAX_SIDE_PX || bytes > MAX_BYTES {
        return Err(format!(
            "{width} x {height} px is more than is read (at most {MAX_SIDE_PX} px a side and {} megapixels)",
            MAX_BYTES / 4_000_000
        ));
    }
    Ok(())
}

/// Whether a JPEG's last scan has no end: the decoder would fill the rest with grey and not tell.
///
/// Within a scan `FF` is followed by `00` or a restart marker, so that neither marker can stand there by chance.
fn is_cut_off(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xFF, marker]);
    last(0xD9) < last(0xDA).or(Some(0))
}

pub(super) fn unreadable(path: &Path, reason: &str) -> UserError {
    UserError::input(format!("Could not read the picture {}: {reason}", file_name(path))).hint(HINT).path(path)
}

#[cfg(test)]
#[path = "image_io_tests.rs"]
mod tests;
