//! The picture and the mask that a request begins with, at the request's size.

use std::path::Path;

use candle_core::{Device, Result as TensorResult, Tensor};
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader};

use super::extend;
use super::start::Source;
use crate::domain::{GenerateRequest, InitImage, Picture, Result, UserError, limits};
use crate::models::image::{picture_from_tensor, tensor_from_picture};
use crate::nn::engine_error;

/// Most memory that decoding a picture may take, in bytes.
const MAX_ALLOC_BYTES: u64 = 1 << 30;
/// How softly what is painted anew ends, as the sigma of a Gauss in px.
const FEATHER_PX: f32 = 3.0;
/// A mask is painted anew where it is at least half white, as in diffusers.
const MASK_LEVEL: u8 = 128;
/// Levels that are so near to black or white are that: a JPEG's mask has them everywhere.
const NOISE: u8 = 8;

/// Reads the picture and the mask of a request. What has another shape is cut at its longer sides. Where something is
/// painted around the picture, the request's size is that of the whole.
///
/// # Errors
/// When a file cannot be read, or is no picture.
pub fn source(init: &InitImage, request: &GenerateRequest) -> Result<Source> {
    let (wide, high) = init.extend.sides();
    // A request is validated before.
    let size = (request.width_px.saturating_sub(wide), request.height_px.saturating_sub(high));
    let rgba = fitted(&read(&init.picture)?, size).to_rgba8();
    let picture = Picture { width_px: size.0, height_px: size.1, rgba: rgba.into_raw() };
    let mask = match &init.mask {
        Some(path) => {
            let levels = fitted(&read(path)?, size).to_luma8().into_raw();
            if levels.iter().all(|level| *level < MASK_LEVEL) {
                return Err(UserError::input("The mask is empty: there is nothing to paint anew")
                    .path(path)
                    .hint("what is white in a mask is painted anew"));
            }
            Some(levels)
        }
        None => None,
    };
    let of_levels = |value: fn(u8) -> f32| -> TensorResult<Option<Tensor>> {
        let sides = (1, 1, size.1 as usize, size.0 as usize);
        let values = |levels: &Vec<u8>| levels.iter().map(|level| value(*level)).collect();
        let own = mask.as_ref().map(|levels| Tensor::from_vec(values(levels), sides, &Device::Cpu)).transpose()?;
        if init.extend.is_none() { Ok(own) } else { extend::mask(own.as_ref(), size, init.extend).map(Some) }
    };
    let picture = if init.extend.is_none() { picture } else { extend::canvas(&picture, init.extend, request.seed) };
    let tensors = || {
        Ok(Source {
            picture: tensor_from_picture(&picture)?,
            mask: of_levels(|level| f32::from(u8::from(level >= MASK_LEVEL)))?,
            shares: of_levels(share)?,
            strength: init.strength,
        })
    };
    tensors().map_err(engine_error)
}

/// How much of what is new shows where a mask has this level.
fn share(level: u8) -> f32 {
    match level {
        0..NOISE => 0.0,
        _ if level > 255 - NOISE => 1.0,
        _ => f32::from(level) / 255.0,
    }
}

/// Reads a picture and makes it `scale` times as large, with sides that are multiples of `multiple`.
///
/// # Errors
/// When the file cannot be read, is no picture, or becomes larger than can be worked on.
pub fn enlarged(path: &Path, scale: f64, multiple: u32) -> Result<Picture> {
    let rgba = read(path)?.to_rgba8();
    let (width_px, height_px) = rgba.dimensions();
    // Casting saturates.
    let side = |px: u32| (f64::from(px) * scale / f64::from(multiple)).round().max(1.0) as u32;
    let size = (side(width_px).saturating_mul(multiple), side(height_px).saturating_mul(multiple));
    if u64::from(size.0) * u64::from(size.1) > limits::MAX_UPSCALED_PX {
        let sentence = format!("The picture would become {} × {} px, which is too large", size.0, size.1);
        return Err(UserError::input(sentence).path(path).hint("make it fewer times as large"));
    }
    Ok(resized(Picture { width_px, height_px, rgba: rgba.into_raw() }, size))
}

/// Puts the px that were not painted anew back into a picture: decoding changes all of them a little. The two run into
/// each other over some px beside what is new, and as far as the mask's own edge is soft.
///
/// # Errors
/// When the sizes differ.
pub fn keep_rest(source: &Source, mut made: Picture) -> TensorResult<Picture> {
    let Some(shares) = &source.shares else { return Ok(made) };
    let levels: Vec<u8> =
        shares.flatten_all()?.to_vec1::<f32>()?.into_iter().map(|share| (255.0 * share).round() as u8).collect();
    let Some(sharp) = image::GrayImage::from_raw(made.width_px, made.height_px, levels) else {
        candle_core::bail!("the mask has another size than the picture")
    };
    let soft = image::imageops::blur(&sharp, FEATHER_PX);
    let before = picture_from_tensor(&source.picture, 0)?;
    let shares = sharp.as_raw().iter().zip(soft.as_raw()).map(|(sharp, soft)| u32::from(*sharp.max(soft)));
    let pixels = made.rgba.chunks_exact_mut(4).zip(before.rgba.chunks_exact(4));
    for ((new, old), share) in pixels.zip(shares) {
        for (new, old) in new.iter_mut().zip(old) {
            *new = ((u32::from(*new) * share + u32::from(*old) * (255 - share) + 127) / 255) as u8;
        }
    }
    Ok(made)
}

/// A picture at another size, with Lanczos' filter.
#[must_use]
pub fn resized(picture: Picture, (width_px, height_px): (u32, u32)) -> Picture {
    if (picture.width_px, picture.height_px) == (width_px, height_px) {
        return picture;
    }
    let Some(buffer) = image::RgbaImage::from_raw(picture.width_px, picture.height_px, picture.rgba) else {
        // A picture has four bytes a px.
        return Picture { width_px, height_px, rgba: vec![0; 4 * width_px as usize * height_px as usize] };
    };
    let rgba = image::imageops::resize(&buffer, width_px, height_px, FilterType::Lanczos3).into_raw();
    Picture { width_px, height_px, rgba }
}

/// A picture turned upright as its camera says.
fn read(path: &Path) -> Result<DynamicImage> {
    let fail = |error: &dyn std::fmt::Display| {
        UserError::input(format!("Could not read the picture: {error}"))
            .path(path)
            .hint("PNG, JPEG and WebP pictures can be read")
    };
    let mut reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(|error| fail(&error))?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_ALLOC_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| fail(&error))?;
    let turn = decoder.orientation().map_err(|error| fail(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| fail(&error))?;
    picture.apply_orientation(turn);
    Ok(picture)
}

/// Fills the size; a picture that has it already stays as it is to the byte.
fn fitted(picture: &DynamicImage, (width, height): (u32, u32)) -> DynamicImage {
    if (picture.width(), picture.height()) == (width, height) {
        return picture.clone();
    }
    picture.resize_to_fill(width, height, FilterType::Lanczos3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Extend;

    fn request(width_px: u32, height_px: u32) -> GenerateRequest {
        GenerateRequest { width_px, height_px, ..GenerateRequest::default() }
    }

    #[test]
    fn pictures_are_read_at_the_requests_size() {
        let folder = tempfile::tempdir().unwrap();
        let (picture, mask) = (folder.path().join("a.png"), folder.path().join("m.png"));
        image::RgbaImage::from_pixel(40, 20, image::Rgba([255, 0, 0, 255])).save(&picture).unwrap();
        image::GrayImage::from_fn(16, 16, |x, _| image::Luma([if x < 8 { 0 } else { 255 }])).save(&mask).unwrap();
        let init =
            InitImage { picture: picture.clone(), mask: Some(mask.clone()), strength: 0.5, extend: Extend::default() };
        let read = source(&init, &request(16, 16)).unwrap();
        assert_eq!((read.picture.dims(), read.strength), (&[1, 3, 16, 16][..], 0.5));
        let first: Vec<f32> = read.picture.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!((first[0], first[256], first[512]), (1.0, -1.0, -1.0));
        let mask_values: Vec<f32> = read.mask.unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!((mask_values[7], mask_values[8]), (0.0, 1.0));

        let shares: Vec<f32> = read.shares.unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(shares, mask_values, "without grey they are the same");

        // A soft edge: what is at least half white is painted anew, and shows as far as it is white.
        image::GrayImage::from_fn(16, 16, |x, _| image::Luma([[3, 64, 127, 128, 204, 250][x.min(5) as usize]]))
            .save(&mask)
            .unwrap();
        let read = source(&init, &request(16, 16)).unwrap();
        let row = |tensor: Option<Tensor>| -> Vec<f32> {
            tensor.unwrap().flatten_all().unwrap().to_vec1().unwrap()[..6].to_vec()
        };
        assert_eq!(row(read.mask), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(row(read.shares), [0.0, 64.0 / 255.0, 127.0 / 255.0, 128.0 / 255.0, 0.8, 1.0]);

        image::GrayImage::new(16, 16).save(&mask).unwrap();
        assert!(source(&init, &request(16, 16)).err().unwrap().sentence.contains("nothing to paint"));
        std::fs::write(&picture, "hello").unwrap();
        let error = source(&init, &request(16, 16)).err().unwrap();
        assert_eq!((error.exit_code(), error.path.as_deref()), (2, Some(picture.as_path())));
    }

    #[test]
    fn what_is_not_painted_anew_stays_to_the_byte() {
        let grey = |level| Picture { width_px: 32, height_px: 1, rgba: [level, level, level, 255].repeat(32) };
        let mask: Vec<f32> = (0..32).map(|x| f32::from(u8::from(x < 4))).collect();
        let mask = Tensor::from_vec(mask, (1, 1, 1, 32), &Device::Cpu).unwrap();
        let picture = tensor_from_picture(&grey(40)).unwrap();
        let source = Source { picture, mask: Some(mask.clone()), shares: Some(mask), strength: 1.0 };
        let kept = keep_rest(&source, grey(200)).unwrap();
        let levels: Vec<u8> = kept.rgba.chunks(4).map(|px| px[0]).collect();
        assert_eq!((&levels[..4], levels[31]), (&[200; 4][..], 40));
        assert!(levels.windows(2).all(|pair| pair[0] >= pair[1]), "{levels:?}");
    }

    #[test]
    fn a_soft_mask_mixes_new_and_old() {
        let grey = |level| Picture { width_px: 64, height_px: 1, rgba: [level, level, level, 255].repeat(64) };
        // All new at the left, half of both in the middle, which is wider than the blur reaches.
        let shares: Vec<f32> = (0..64).map(|x| [1.0, 0.5, 0.0][(x / 22).min(2)]).collect();
        let shares = Tensor::from_vec(shares, (1, 1, 1, 64), &Device::Cpu).unwrap();
        let picture = tensor_from_picture(&grey(40)).unwrap();
        let source = Source { picture, mask: Some(shares.ceil().unwrap()), shares: Some(shares), strength: 1.0 };
        let kept = keep_rest(&source, grey(200)).unwrap();
        assert_eq!([0, 33, 63].map(|x: usize| kept.rgba[4 * x]), [200, 120, 40]);
    }

    #[test]
    fn a_picture_is_made_larger_and_keeps_its_colour() {
        let picture = Picture { width_px: 2, height_px: 2, rgba: [10, 20, 30, 255].repeat(4) };
        let large = resized(picture.clone(), (5, 4));
        assert_eq!((large.width_px, large.height_px, &large.rgba[..4]), (5, 4, &[10, 20, 30, 255][..]));
        assert_eq!(resized(picture.clone(), (2, 2)), picture);
    }
}
