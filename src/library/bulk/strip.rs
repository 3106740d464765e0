//! A picture file without what it says of how it was made: the pixels, their colours and their size stay as they are.
//!
//! The parts of the file are copied or left out; nothing is encoded anew. Only a picture that is shown turned because its
//! EXIF says so is: without EXIF it would lie on its side.

use super::super::image_io::{decode, encode, is_turned};
use super::super::metadata::Embedded;
use super::super::png_file::is_png;
use crate::domain::{ImageFormat, Result, UserError};

/// The chunks of a PNG that are copied: those that a decoder needs, and those that say how colours, sizes and frames are
/// meant (PNG specification, third edition, 5.6). Texts, times, EXIF and whatever nobody knows are left out.
const PNG_CHUNKS: [&[u8; 4]; 19] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV",
    b"cLLI", b"bKGD", b"hIST", b"pHYs", b"acTL", b"fcTL", b"fdAT",
];
/// The bits of WebP's `VP8X` that announce EXIF and XMP (RFC 9649, 2.7.1).
const WEBP_DESCRIBED: u8 = 0b1100;

/// The file without its descriptions.
///
/// # Errors
/// When it is no picture that can be read.
pub fn without_recipe(bytes: &[u8]) -> Result<Vec<u8>> {
    let format = match bytes {
        _ if is_png(bytes) => ImageFormat::Png,
        [0xFF, 0xD8, ..] => ImageFormat::Jpeg,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => ImageFormat::WebP,
        _ => return Err(UserError::input("It is no PNG, JPEG or WebP")),
    };
    match parts_without(bytes, format) {
        Some(kept) if !is_turned(bytes) => Ok(kept),
        // Turned, or not built as it should be: what a decoder makes of it.
        _ => {
            let picture = decode(bytes).map_err(|reason| UserError::input(format!("It cannot be read: {reason}")))?;
            let encoded = encode(&picture, &Embedded::default(), format)?.bytes;
            Ok(parts_without(&encoded, format).unwrap_or(encoded))
        }
    }
}

/// The parts of a file that are not about how it was made; `None` where it is not built as it should be.
fn parts_without(bytes: &[u8], format: ImageFormat) -> Option<Vec<u8>> {
    match format {
        ImageFormat::Png => png(bytes),
        ImageFormat::Jpeg => jpeg(bytes),
        ImageFormat::WebP => webp(bytes),
    }
}

fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    let (signature, mut rest) = bytes.split_at_checked(8)?;
    let mut kept = signature.to_vec();
    loop {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let kind: [u8; 4] = rest.get(4..8)?.try_into().ok()?;
        let (chunk, after) = rest.split_at_checked(length.checked_add(12)?)?;
        if PNG_CHUNKS.contains(&&kind) {
            kept.extend_from_slice(chunk);
        } else if kind[0].is_ascii_uppercase() {
            // A chunk that must be understood, and is not.
            return None;
        }
        if &kind == b"IEND" {
            return Some(kept);
        }
        rest = after;
    }
}

fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = vec![0xFF, 0xD8];
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xFF {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            // A fill byte before the marker.
            0xFF => at += 1,
            0xD9 => {
                kept.extend([0xFF, 0xD9]);
                return Some(kept);
            }
            0xD0..=0xD8 | 0x01 | 0x00 => return None,
            _ => {
                let length = usize::from(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]));
                let mut end = at + 2 + length;
                if marker == 0xDA {
                    // The pixels, up to the next marker: within them FF is followed by 00 or is a restart.
                    let next = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xD0..=0xD7 | 0xFF);
                    end += bytes.get(end..)?.windows(2).position(next)?;
                }
                // Comments, and all of the applications' segments but JFIF (0), colour profile (2) and Adobe's (14).
                let is_described = matches!(marker, 0xFE | 0xE1 | 0xE3..=0xED | 0xEF);
                let segment = bytes.get(at..end)?;
                if !is_described {
                    kept.extend_from_slice(segment);
                }
                at = end;
            }
        }
    }
}

fn webp(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = b"RIFF\0\0\0\0WEBP".to_vec();
    let length = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
    let mut rest = bytes.get(12..length.checked_add(8)?)?;
    while !rest.is_empty() {
        let kind: [u8; 4] = *rest.first_chunk()?;
        let length = u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?) as usize;
        // Chunks have an even length.
        let (chunk, after) = rest.split_at_checked(length.checked_add(8 + length % 2)?)?;
        if !matches!(&kind, b"EXIF" | b"XMP ") {
            let flags = kept.len() + 8;
            kept.extend_from_slice(chunk);
            if &kind == b"VP8X" {
                *kept.get_mut(flags)? &= !WEBP_DESCRIBED;
            }
        }
        rest = after;
    }
    let length = u32::try_from(kept.len() - 8).ok()?;
    kept[4..8].copy_from_slice(&length.to_le_bytes());
    Some(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{GenerateRequest, Picture, Recipe};

    fn described(format: ImageFormat) -> (Vec<u8>, Vec<u8>) {
        let rgba = (0..16 * 12).flat_map(|index| [index as u8, 90, 40, 255]).collect();
        let picture = Picture { width_px: 16, height_px: 12, rgba };
        let recipe = Recipe {
            request: GenerateRequest { prompt: "SECRET garment".into(), ..GenerateRequest::default() },
            model_name: "SECRET".into(),
            model_hash: String::new(),
            version: String::new(),
            elapsed_secs: 1.0,
            safety: None,
            grid: None,
        };
        let with = encode(&picture, &Embedded::of_recipe(&recipe, 5), format).unwrap().bytes;
        let without = encode(&picture, &Embedded::default(), format).unwrap().bytes;
        (with, without)
    }

    fn holds_secret(bytes: &[u8]) -> bool {
        // EXIF may hold UTF-16: the letters of every second byte.
        let every_second: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
        [bytes, &every_second].iter().any(|bytes| bytes.windows(6).any(|window| window == b"SECRET"))
    }

    #[test]
    fn nothing_is_told_and_every_pixel_stays() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let (with, without) = described(format);
            assert!(holds_secret(&with), "{format:?}");
            let stripped = without_recipe(&with).unwrap();
            assert!(!holds_secret(&stripped), "{format:?}");
            assert_eq!(decode(&stripped).unwrap(), decode(&without).unwrap(), "{format:?}");
            assert!(stripped.len() < with.len());
            assert_eq!(without_recipe(&stripped).unwrap(), stripped, "{format:?}: nothing more to leave out");
        }
        assert!(without_recipe(b"GIF89a").is_err());
    }

    #[test]
    fn a_turned_picture_still_stands_upright() {
        // EXIF of one entry, orientation 6: turned by 90 degrees.
        let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let plain = jpeg(&described(ImageFormat::Jpeg).1).unwrap();
        let segment = [&[0xFF, 0xE1][..], &(exif.len() as u16 + 2).to_be_bytes(), exif].concat();
        let turned = [&plain[..2], &segment, &plain[2..]].concat();
        assert_eq!((decode(&turned).unwrap().width_px, decode(&plain).unwrap().width_px), (12, 16));
        let stripped = without_recipe(&turned).unwrap();
        assert_eq!(decode(&stripped).unwrap().width_px, 12);
        assert!(!stripped.windows(4).any(|window| window == b"Exif"));
    }

    #[test]
    fn a_chunk_that_must_be_understood_is_not_copied_blindly() {
        let (with, _) = described(ImageFormat::Png);
        let chunk = [&4_u32.to_be_bytes()[..], b"ABCDdata", &[0; 4]].concat();
        let strange = [&with[..33], &chunk, &with[33..]].concat();
        assert_eq!(png(&strange), None);
        assert!(is_png(&png(&with).unwrap()));
    }

    proptest! {
        #[test]
        fn any_damage_is_survived(
            which in 0..3_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()
        ) {
            let (mut bytes, _) = described([ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP][which]);
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let _ = without_recipe(&bytes);
            let _ = without_recipe(&bytes[..cut.index(bytes.len())]);
        }
    }
}
