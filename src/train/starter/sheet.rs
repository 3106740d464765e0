//! Contact sheets: many pictures in one, for a person to look at.

use std::io::Cursor;

use crate::domain::{Picture, Result, UserError};

/// Pictures of one size, row by row in `columns` columns; the last row may be filled up with white.
///
/// # Panics
/// When the pictures have different sizes.
#[must_use]
pub fn sheet(pictures: &[Picture], columns: usize) -> Picture {
    let (width, height) = pictures.first().map_or((0, 0), |first| (first.width_px as usize, first.height_px as usize));
    let columns = columns.clamp(1, pictures.len().max(1));
    let rows = pictures.len().div_ceil(columns);
    let mut rgba = vec![255; 4 * columns * width * rows * height];
    for (i, picture) in pictures.iter().enumerate() {
        assert_eq!(picture.rgba.len(), 4 * width * height, "pictures of one size");
        let corner = (i / columns * height) * columns * width + i % columns * width;
        for (y, row) in picture.rgba.chunks_exact(4 * width).enumerate() {
            let start = 4 * (corner + y * columns * width);
            rgba[start..start + row.len()].copy_from_slice(row);
        }
    }
    Picture { width_px: (columns * width) as u32, height_px: (rows * height) as u32, rgba }
}

/// Picture `index` of `planes` `[batch, 3, side, side]`, about −1..1.
#[must_use]
pub fn picture(planes: &[f32], index: usize, side: usize) -> Picture {
    let pixels = side * side;
    let planes = &planes[3 * index * pixels..3 * (index + 1) * pixels];
    let byte = |value: f32| (255.0 * (value / 2.0 + 0.5).clamp(0.0, 1.0)).round_ties_even() as u8;
    let rgba = (0..pixels)
        .flat_map(|i| [byte(planes[i]), byte(planes[pixels + i]), byte(planes[2 * pixels + i]), 255])
        .collect();
    Picture { width_px: side as u32, height_px: side as u32, rgba }
}

/// A picture as a PNG file.
///
/// # Errors
/// When its bytes do not fit its sides.
pub fn png(picture: &Picture) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut file,
        &picture.rgba,
        picture.width_px,
        picture.height_px,
        image::ExtendedColorType::Rgba8,
        image::ImageFormat::Png,
    )
    .map_err(|error| UserError::failed(format!("A picture could not be encoded: {error}")))?;
    Ok(file.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_has_its_place() {
        let one = |value: u8| Picture { width_px: 1, height_px: 1, rgba: vec![value; 4] };
        let all = sheet(&[one(1), one(2), one(3)], 2);
        assert_eq!((all.width_px, all.height_px), (2, 2));
        assert_eq!(all.rgba, [[1; 4], [2; 4], [3; 4], [255; 4]].concat());
        assert!(png(&all).unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn values_become_bytes() {
        let planes = [-1.0, 0.0, 5.0].repeat(2);
        let second = picture(&planes, 1, 1);
        assert_eq!(second.rgba, [0, 128, 255, 255]);
    }
}
