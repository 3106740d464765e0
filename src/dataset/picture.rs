//! Pictures for training: decoded within limits, on white, small enough, turned as their EXIF says, encoded again.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use fast_image_resize as resize;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader, RgbImage};

use crate::domain::ImageFormat;

/// The longest side of a picture that is read, in px.
pub const MAX_SIDE_PX: u32 = 16_384;
/// The most bytes of a picture, in its file and decoded.
pub const MAX_BYTES: u64 = 512 << 20;
/// The longest side that WebP can hold, in px.
const MAX_WEBP_SIDE_PX: u32 = 16_383;

/// Reads a picture as RGB, turned as its EXIF says; `side_px` is what the shorter side is made, unless it is shorter already.
///
/// # Errors
/// Why it cannot be read: not there, no picture, cut off, or larger than [`MAX_SIDE_PX`] a side or [`MAX_BYTES`].
pub fn read(path: &Path, side_px: Option<u32>) -> Result<RgbImage, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it has more than {} MiB", MAX_BYTES >> 20));
    }
    decode(&bytes, side_px)
}

/// A picture's width and height in px, turned as its EXIF says. The picture itself is not decoded.
///
/// # Errors
/// As [`read`], as far as the file's beginning tells.
pub fn dimensions(path: &Path) -> Result<(u32, u32), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(|error| error.to_string())?;
    if !is_taken(reader.format()) {
        return Err(NOT_TAKEN.to_owned());
    }
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 || width > MAX_SIDE_PX || height > MAX_SIDE_PX {
        return Err(format!("{width} x {height} px is none that can be read"));
    }
    let is_turned = matches!(
        decoder.orientation().unwrap_or(Orientation::NoTransforms),
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    Ok(if is_turned { (height, width) } else { (width, height) })
}

/// A picture of exactly this size: Lanczos over three lobes, smaller or larger.
#[must_use]
pub fn scaled(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    scale(image, width.max(1), height.max(1), resize::FilterType::Lanczos3)
}

fn is_taken(format: Option<image::ImageFormat>) -> bool {
    use image::ImageFormat::{Jpeg, Png, WebP};
    matches!(format, Some(Png | Jpeg | WebP))
}

const NOT_TAKEN: &str = "it is no PNG, JPEG or WebP";

fn decode(bytes: &[u8], side_px: Option<u32>) -> Result<RgbImage, String> {
    let reader = reader(bytes)?;
    if reader.format() == Some(image::ImageFormat::Jpeg) && is_cut_off(bytes) {
        return Err("it is cut off".to_owned());
    }
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err("it has no pixels".to_owned());
    }
    if width > MAX_SIDE_PX || height > MAX_SIDE_PX || decoder.total_bytes() > MAX_BYTES {
        return Err(format!(
            "{width} x {height} px is more than is read (at most {MAX_SIDE_PX} px a side and {} MiB)",
            MAX_BYTES >> 20
        ));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    let mut image = on_white(image);
    if let Some(side) = side_px {
        image = shrink(image, side);
    }
    if orientation == Orientation::NoTransforms {
        return Ok(image);
    }
    // Turned when it is small.
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
}

/// A reader of a format that is taken; the bytes decide, not the file's name.
fn reader(bytes: &[u8]) -> Result<ImageReader<impl BufRead + Seek>, String> {
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    if !is_taken(reader.format()) {
        return Err(NOT_TAKEN.to_owned());
    }
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PX);
    limits.max_image_height = Some(MAX_SIDE_PX);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    Ok(reader)
}

/// Whether a JPEG's last scan has no end: the decoder would fill the rest with grey and not tell.
///
/// Within a scan `FF` is followed by `00` or a restart marker, so that neither marker can stand there by chance.
fn is_cut_off(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xFF, marker]);
    last(0xD9) < last(0xDA).or(Some(0))
}

/// A picture without alpha, laid over white.
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let rgba = image.into_rgba8();
    let mut rgb = RgbImage::new(rgba.width(), rgba.height());
    for (from, to) in rgba.pixels().zip(rgb.pixels_mut()) {
        let alpha = u32::from(from[3]);
        for channel in 0..3 {
            to[channel] = ((u32::from(from[channel]) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    rgb
}

/// A picture whose shorter side is at most `side_px`, with the ratio of its sides kept to the nearest px: Lanczos over
/// three lobes, as Pillow's. A smaller one stays as it is.
#[must_use]
pub fn shrink(image: RgbImage, side_px: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let short = width.min(height);
    let side = side_px.max(1);
    if short <= side {
        return image;
    }
    let scaled = |length: u32| {
        let (length, side, short) = (u64::from(length), u64::from(side), u64::from(short));
        // At most `length`, so that it is a u32 again.
        ((length * side + short / 2) / short) as u32
    };
    scale(&image, scaled(width), scaled(height), resize::FilterType::Lanczos3)
}

/// A picture of another size.
pub(super) fn scale(image: &RgbImage, width: u32, height: u32, filter: resize::FilterType) -> RgbImage {
    let kind = resize::PixelType::U8x3;
    let mut small = RgbImage::new(width, height);
    // Buffers of `RgbImage` are as long as their sides say, which is all that these ask for.
    let buffers = "a picture's buffer fits its sides";
    let from = resize::images::ImageRef::new(image.width(), image.height(), image.as_raw(), kind).expect(buffers);
    let mut to = resize::images::Image::from_slice_u8(width, height, &mut small, kind).expect(buffers);
    let options = resize::ResizeOptions::new().resize_alg(resize::ResizeAlg::Convolution(filter));
    resize::Resizer::new().resize(&from, &mut to, &options).expect("both pictures are of one kind");
    small
}

/// A picture as the bytes of a file; `quality` is 1 to 100, and PNG has none. WebP is lossy here, other than elsewhere in
/// the program: `image` writes it lossless only, of several times the size.
///
/// # Errors
/// Why the format cannot hold it.
pub fn encode(image: &RgbImage, format: ImageFormat, quality: u8) -> Result<Vec<u8>, String> {
    let (width, height) = image.dimensions();
    let mut bytes = Vec::new();
    let kind = ExtendedColorType::Rgb8;
    match format {
        ImageFormat::Jpeg => JpegEncoder::new_with_quality(&mut bytes, quality).write_image(image, width, height, kind),
        ImageFormat::Png => PngEncoder::new(&mut bytes).write_image(image, width, height, kind),
        ImageFormat::WebP => {
            if width.max(height) > MAX_WEBP_SIDE_PX {
                return Err(format!("{width} x {height} px is more than WebP holds ({MAX_WEBP_SIDE_PX} px a side)"));
            }
            let encoder = webp::Encoder::from_rgb(image, width, height);
            return match encoder.encode_simple(false, f32::from(quality)) {
                Ok(memory) => Ok(memory.to_vec()),
                Err(error) => Err(format!("libwebp could not encode it: {error:?}")),
            };
        }
    }
    .map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The ending of a format's files.
#[must_use]
pub fn ending(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "png",
        ImageFormat::Jpeg => "jpg",
        ImageFormat::WebP => "webp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 90]))
    }

    fn dynamic_png(image: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn the_shorter_side_is_made_as_asked_and_never_longer() {
        for (from, to) in [((60, 80), (60, 80)), ((128, 64), (64, 32)), ((30, 100), (30, 100)), ((99, 201), (32, 65))] {
            assert_eq!(shrink(picture(from.0, from.1), 32.max(to.0.min(to.1))).dimensions(), to);
        }
        // A flat colour stays what it is under any filter.
        let flat = shrink(RgbImage::from_pixel(70, 50, image::Rgb([10, 200, 33])), 16);
        assert!(flat.pixels().all(|pixel| pixel.0 == [10, 200, 33]));
    }

    #[test]
    fn every_format_comes_back_as_it_was() {
        let image = picture(48, 64);
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let bytes = encode(&image, format, 95).unwrap();
            let back = decode(&bytes, None).unwrap();
            assert_eq!(back.dimensions(), (48, 64));
            let off = image.iter().zip(back.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(if format == ImageFormat::Png { off == 0 } else { off < 24 }, "{format:?}: {off}");
        }
    }

    #[test]
    fn alpha_is_laid_over_white_and_sixteen_bits_become_eight() {
        let mut rgba = image::RgbaImage::from_pixel(4, 4, image::Rgba([255, 0, 0, 0]));
        rgba.put_pixel(0, 0, image::Rgba([255, 0, 0, 255]));
        rgba.put_pixel(1, 0, image::Rgba([0, 0, 0, 51]));
        let read = decode(&dynamic_png(&rgba.into()), None).unwrap();
        assert_eq!([read[(0, 0)].0, read[(1, 0)].0, read[(2, 2)].0], [[255, 0, 0], [204; 3], [255; 3]]);
        let grey = image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(4, 4, image::Luma([0x8080]));
        assert_eq!(decode(&dynamic_png(&grey.into()), None).unwrap()[(0, 0)].0, [0x80; 3]);
    }

    #[test]
    fn a_picture_is_turned_as_its_exif_says() {
        // One IFD with one entry: 0x0112 (orientation), SHORT, 1 value: 6, "turn by 90 degrees clockwise".
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        let mut image = RgbImage::from_pixel(64, 32, image::Rgb([255; 3]));
        for y in 16..32 {
            for x in 0..32 {
                image.put_pixel(x, y, image::Rgb([255, 0, 0]));
            }
        }
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        encoder.set_exif_metadata(exif).unwrap();
        encoder.write_image(&image, 64, 32, ExtendedColorType::Rgb8).unwrap();
        let turned = decode(&bytes, Some(16)).unwrap();
        assert_eq!(turned.dimensions(), (16, 32));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("turned.jpg");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(dimensions(&path), Ok((32, 64)));
        // The lower left corner is now the upper left one.
        assert!(turned[(3, 6)][1] < 60 && turned[(12, 6)][1] > 200 && turned[(3, 26)][1] > 200);
    }

    #[test]
    fn what_is_no_whole_picture_is_refused() {
        let jpeg = encode(&picture(64, 64), ImageFormat::Jpeg, 90).unwrap();
        assert_eq!(decode(&jpeg[..jpeg.len() / 2], None).unwrap_err(), "it is cut off");
        let png = encode(&picture(64, 64), ImageFormat::Png, 90).unwrap();
        assert!(decode(&png[..png.len() / 2], None).is_err());
        assert_eq!(decode(b"", None).unwrap_err(), "it is empty");
        assert_eq!(decode(b"<html>404</html>", None).unwrap_err(), "it is no PNG, JPEG or WebP");
        // A PNG of 65535 x 65535 px that is a header and nothing else.
        let mut bomb = png;
        bomb[16..24].copy_from_slice(&[0, 0, 255, 255, 0, 0, 255, 255]);
        assert!(decode(&bomb, None).is_err());
        assert!(read(Path::new("there/is/none.jpg"), None).is_err());
        assert!(encode(&RgbImage::new(16_384, 1), ImageFormat::WebP, 90).is_err());
    }
}
