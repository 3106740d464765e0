//! Tests of reading and writing pictures: the hostile, the broken and the unusual.

use std::path::PathBuf;

use super::*;

fn gradient(width_px: u32, height_px: u32, alpha: u8) -> Picture {
    let pixel = |index: u32| [(index % width_px * 8) as u8, (index / width_px * 8) as u8, 90, alpha];
    Picture { width_px, height_px, rgba: (0..width_px * height_px).flat_map(pixel).collect() }
}

fn embedded() -> Embedded {
    let parameters = Some("絹 dress\nSteps: 20, Sampler: Euler, Seed: 1".into());
    Embedded { parameters, atelier: Some("{\"format\":1}".into()) }
}

fn in_file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("picture");
    fs::write(&path, bytes).unwrap();
    (home, path)
}

fn reason(bytes: &[u8]) -> String {
    let (_home, path) = in_file(bytes);
    let error = read_picture(&path).unwrap_err();
    assert_eq!(error.path.as_deref(), Some(path.as_path()));
    assert_eq!(error.exit_code(), 2);
    error.sentence
}

#[test]
fn every_format_keeps_the_picture_and_what_is_known_of_it() {
    for (format, alpha, largest_error) in [
        (ImageFormat::Png, 255, 0),
        (ImageFormat::Png, 77, 0),
        (ImageFormat::WebP, 255, 0),
        (ImageFormat::WebP, 77, 0),
        (ImageFormat::Jpeg, 255, 8),
    ] {
        let picture = gradient(30, 20, alpha);
        let encoded = encode(&picture, &embedded(), format).unwrap();
        assert_eq!(encoded.notice, None);
        let (_home, path) = in_file(&encoded.bytes);
        let read = read_picture(&path).unwrap();
        assert_eq!((read.width_px, read.height_px), (30, 20));
        let error = picture.rgba.iter().zip(&read.rgba).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(error <= largest_error, "{format:?}: {error}");
        let info = read_info(&path).unwrap();
        assert_eq!(info, PictureInfo { width_px: 30, height_px: 20, embedded: embedded() }, "{format:?}");
    }
}

#[test]
fn a_prompt_too_long_for_exif_is_told_and_the_picture_is_written() {
    let long = Embedded { parameters: Some("x".repeat(60_000)), atelier: None };
    for format in [ImageFormat::Jpeg, ImageFormat::WebP] {
        let encoded = encode(&gradient(8, 8, 255), &long, format).unwrap();
        assert!(encoded.notice.is_some());
        assert!(decode(&encoded.bytes).is_ok());
    }
    assert_eq!(encode(&gradient(8, 8, 255), &long, ImageFormat::Png).unwrap().notice, None);
}

#[test]
fn a_jpeg_is_turned_as_its_exif_says() {
    // Left half black, right half white; orientation 6 is a quarter turn clockwise, so that black comes on top.
    let rgb: Vec<u8> = (0..16 * 8).flat_map(|index| if index % 16 < 8 { [0; 3] } else { [255; 3] }).collect();
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    let block = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    encoder.set_exif_metadata(block.to_vec()).unwrap();
    encoder.write_image(&rgb, 16, 8, ExtendedColorType::Rgb8).unwrap();
    let (_home, path) = in_file(&bytes);
    let picture = read_picture(&path).unwrap();
    assert_eq!((picture.width_px, picture.height_px), (8, 16));
    assert!(picture.rgba[0] < 30 && picture.rgba[picture.rgba.len() - 4] > 225);
    let info = read_info(&path).unwrap();
    assert_eq!((info.width_px, info.height_px), (8, 16));
}

#[test]
fn sixteen_bits_and_palettes_are_brought_to_eight_bits_rgba() {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder.write_header().unwrap().write_image_data(&[0x80, 0x80]).unwrap();
    assert_eq!(decode(&bytes).unwrap().rgba, [128, 128, 128, 255]);

    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::One);
    encoder.set_palette(vec![1, 2, 3, 9, 8, 7]);
    encoder.set_trns(vec![5]);
    encoder.write_header().unwrap().write_image_data(&[0b0100_0000]).unwrap();
    assert_eq!(decode(&bytes).unwrap().rgba, [1, 2, 3, 5, 9, 8, 7, 255]);
}

/// The tables of our encoder with four components named in the head and the scan, and a scan of zeros.
#[test]
fn a_jpeg_in_four_inks_is_read_or_refused_but_never_wrong_in_size() {
    let grey = {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 90).write_image(&[128; 64], 8, 8, ExtendedColorType::L8).unwrap();
        bytes
    };
    let find = |marker: u8| grey.windows(2).position(|pair| pair == [0xFF, marker]).unwrap();
    let (frame, scan) = (find(0xC0), find(0xDA));
    let tables: Vec<u8> = grey[frame + 2 + 11..scan].to_vec();
    let four =
        |id: u8| (1..=4).flat_map(move |component| if id == 0 { vec![component, 0x11, 0] } else { vec![component, 0] });
    let mut bytes = grey[..frame].to_vec();
    bytes.extend([0xFF, 0xC0, 0, 20, 8, 0, 8, 0, 8, 4]);
    bytes.extend(four(0));
    bytes.extend(tables);
    bytes.extend([0xFF, 0xDA, 0, 14, 4]);
    bytes.extend(four(1));
    bytes.extend([0, 63, 0]);
    bytes.extend([0; 16]);
    bytes.extend([0xFF, 0xD9]);
    match decode(&bytes) {
        Ok(picture) => assert_eq!((picture.width_px, picture.height_px, picture.rgba.len()), (8, 8, 256)),
        Err(reason) => assert!(!reason.is_empty()),
    }
}

#[test]
fn a_picture_that_claims_to_be_huge_is_refused_by_its_head() {
    let mut bytes = encode(&gradient(2, 2, 255), &embedded(), ImageFormat::Png).unwrap().bytes;
    for (width, height) in [(65_535_u32, 65_535_u32), (16_385, 1), (16_384, 16_384), (u32::MAX, 1), (0, 7)] {
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        let sum = crc.sum().to_be_bytes();
        bytes[29..33].copy_from_slice(&sum);
        assert!(!reason(&bytes).is_empty());
        let (_home, path) = in_file(&bytes);
        assert!(read_info(&path).is_err(), "{width} x {height}");
    }
}

#[test]
fn empty_cut_off_and_foreign_files_are_refused() {
    assert!(reason(b"").ends_with("it is empty"));
    assert!(reason(b"GIF89a\x01\0\x01\0\0\0\0;").ends_with("it is no PNG, JPEG or WebP"));
    assert!(reason(b"hello, I am a prompt").ends_with("it is no PNG, JPEG or WebP"));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let bytes = encode(&gradient(64, 64, 255), &embedded(), format).unwrap().bytes;
        let whole = decode(&bytes).unwrap();
        for cut in [3, bytes.len() / 4, bytes.len() / 2, bytes.len() * 3 / 4, bytes.len() - 20] {
            // Behind the pixels of a WebP stands its EXIF: what is cut off there costs nothing.
            let read = decode(&bytes[..cut]);
            assert!(read.is_err() || format != ImageFormat::Jpeg, "{format:?} cut off at {cut} of {}", bytes.len());
            assert!(read.is_err() || read == Ok(whole.clone()), "{format:?} cut off at {cut} of {}", bytes.len());
        }
    }
    let (_home, path) = in_file(b"");
    assert!(read_info(&path).is_err());
    let missing = read_picture(Path::new("/nowhere/x.png")).unwrap_err();
    assert_eq!(missing.path.as_deref(), Some(Path::new("/nowhere/x.png")));
}

proptest::proptest! {
    #[test]
    fn any_damage_is_read_without_a_panic(
        at in proptest::prelude::any::<proptest::sample::Index>(), byte in 0..=255_u8, which in 0..3_usize,
    ) {
        let format = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP][which];
        let mut bytes = encode(&gradient(9, 7, 255), &embedded(), format).unwrap().bytes;
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let _ = decode(&bytes);
        let _ = info_of_other(&bytes);
    }
}
