//! "Save as": a copy of a picture in the format that the target's ending asks for, with its recipe inside.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::image_io::{decode, encode, read_file, read_info, read_picture};
use super::messages::SaveSource;
use super::metadata::Embedded;
use super::{atomic, png_file};
use crate::domain::{ImageFormat, Picture, Recipe, Result, UserError};

/// Writes a copy, replacing what is at the target: the user was asked. Gives what is to be shown beside success.
///
/// A file in the target's own format is copied as it is, with all that other tools wrote into it.
///
/// # Errors
/// When the ending asks for no format of ours, the source cannot be read or the target not be written.
pub fn save_as(source: &SaveSource, target: &Path) -> Result<Option<String>> {
    let format = ImageFormat::from_path(target)
        .ok_or_else(|| UserError::input("The file to write to must end in .png, .jpg or .webp").path(target))?;
    let encoded = match source {
        SaveSource::Memory(picture, recipe) => encode(picture, &Embedded::of_recipe(recipe, now_ms()), format)?,
        SaveSource::File(path) => {
            let bytes = read_file(path)?;
            if format_of(&bytes) == Some(format) && decode(&bytes).is_ok() {
                atomic::write(target, &bytes)?;
                return Ok(None);
            }
            encode(&read_picture(path)?, &read_info(path)?.embedded, format)?
        }
    };
    atomic::write(target, &encoded.bytes)?;
    Ok(encoded.notice)
}

/// The bytes of a picture file, with the recipe inside if there is one. Where it finds no room (JPEG and WebP hold 64
/// KiB), the log tells.
///
/// # Errors
/// When the format cannot hold a picture of that size.
pub fn encode_picture(picture: &Picture, recipe: Option<&Recipe>, format: ImageFormat) -> Result<Vec<u8>> {
    let embedded = recipe.map(|recipe| Embedded::of_recipe(recipe, now_ms())).unwrap_or_default();
    let encoded = encode(picture, &embedded, format)?;
    if let Some(notice) = encoded.notice {
        tracing::warn!("{notice}");
    }
    Ok(encoded.bytes)
}

fn format_of(bytes: &[u8]) -> Option<ImageFormat> {
    match bytes {
        _ if png_file::is_png(bytes) => Some(ImageFormat::Png),
        [0xFF, 0xD8, 0xFF, ..] => Some(ImageFormat::Jpeg),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(ImageFormat::WebP),
        _ => None,
    }
}

fn now_ms() -> i64 {
    // Milliseconds fit into i64 for 292 million years.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::domain::GenerateRequest;

    #[test]
    fn the_recipe_goes_along_from_memory_and_from_file_into_every_format() {
        let home = tempfile::tempdir().unwrap();
        let picture = Picture { width_px: 16, height_px: 8, rgba: [90, 80, 70, 255].repeat(128) };
        let recipe = Recipe {
            request: GenerateRequest { prompt: "絹, a \"dress\"".into(), seed: 3, ..GenerateRequest::default() },
            model_name: "Starter".into(),
            model_hash: "0123456789".into(),
            version: "Atelier 0.1.0".into(),
            elapsed_secs: 2.5,
            safety: None,
            grid: None,
        };
        let memory = SaveSource::Memory(Arc::new(picture.clone()), Box::new(recipe.clone()));
        let first = home.path().join("first.png");
        assert_eq!(save_as(&memory, &first).unwrap(), None);
        let file = SaveSource::File(first.clone());
        for source in [&memory, &file] {
            for name in ["a.png", "a.JPG", "a.webp", "first.png"] {
                let target = home.path().join(name);
                assert_eq!(save_as(source, &target).unwrap(), None);
                assert_eq!(read_info(&target).unwrap().embedded.recipe().as_ref(), Some(&recipe), "{name}");
                let read = read_picture(&target).unwrap();
                assert_eq!((read.width_px, read.height_px), (16, 8));
            }
        }
        let copied = fs::read(home.path().join("a.png")).unwrap();
        assert_eq!(copied, fs::read(&first).unwrap(), "a copy in the same format is the same file");
        assert_eq!(save_as(&memory, &home.path().join("a.gif")).unwrap_err().exit_code(), 2);
        assert!(save_as(&SaveSource::File(home.path().join("gone.png")), &first).is_err());
        assert_eq!(read_picture(&first).unwrap(), picture, "a failed copy leaves the target alone");
    }
}
