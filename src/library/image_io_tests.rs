//! Tests of reading and writing pictures: the hostile, the broken and the unusual.

use std::path::PathBuf;

use super::*;

fn gradient(width_px: u32, height_px: u32, alpha: u8) -> Picture {
    let pixel = |index: u32| [(index % width_px * 8) as u8, (index / width_px * 8) as u8, 90, alpha];
    Picture { width_px, height_px, rgba: (0..width_px * height_px).flat_map(pixel).collect() }
}

fn embedded() -> Embedded {
    let parameters = Some("絹 dress\nSteps: 20, Sampler: Euler, Seed: 1".into());
    Embedded { parameters, atelier: Some("{\"format\":1}".into()), ..Embedded::default() }
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
    let long = Embedded { parameters: Some("x".repeat(60_000)), ..Embedded::default() };
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

/// Files that another program wrote; tests/data/pictures/README.md says how.
#[test]
fn pictures_of_another_program_are_read() {
    let text = Some("絹 cat\nNegative prompt: x\nSteps: 5, Sampler: Euler a, Seed: 3, Size: 16x8");
    let files: [(&str, &[u8], Option<&str>); 6] = [
        ("cmyk.jpg", include_bytes!("../../tests/data/pictures/cmyk.jpg"), None),
        ("comment.jpg", include_bytes!("../../tests/data/pictures/comment.jpg"), text),
        ("comment.webp", include_bytes!("../../tests/data/pictures/comment.webp"), text),
        ("text.png", include_bytes!("../../tests/data/pictures/text.png"), text),
        (
            "compressed_text.png",
            include_bytes!("../../tests/data/pictures/compressed_text.png"),
            Some("z\nSteps: 5, Sampler: Euler, Seed: 1"),
        ),
        ("rotated.jpg", include_bytes!("../../tests/data/pictures/rotated.jpg"), None),
    ];
    for (name, bytes, text) in files {
        let (_home, path) = in_file(bytes);
        let picture = read_picture(&path).unwrap();
        let info = read_info(&path).unwrap();
        let size = if name == "rotated.jpg" { (8, 16) } else { (16, 8) };
        assert_eq!((picture.width_px, picture.height_px), size, "{name}");
        assert_eq!((info.width_px, info.height_px), size, "{name}");
        // JPEG loses a little.
        let expected = [200_u8, 100, 50, 255];
        let near = |pixel: &[u8]| pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 3);
        assert!(picture.rgba.chunks_exact(4).all(near), "{name}: {:?}", &picture.rgba[..4]);
        assert_eq!(info.embedded.parameters.as_deref(), text, "{name}");
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
