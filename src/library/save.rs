//! Saving a finished picture: its folder, a name that is free, the recipe inside, all of it or nothing.

use std::path::{Path, PathBuf};

use super::metadata::Embedded;
use super::names::picture_name;
use super::{atomic, png_file};
use crate::domain::{Picture, Recipe, Result, UserError};

/// Most pictures of one second, seed and prompt; more is a runaway program.
const MAX_COUNT: u32 = 10_000;

/// Writes `<pictures>/<YYYY-MM-DD>/<HHMMSS>-<seed>-<prompt>.png` and gives its path. A name that is taken gets a counter;
/// two programs that save at once never take the same one.
///
/// # Errors
/// When the picture cannot be encoded or written; nothing is left of it then.
pub fn save_picture(pictures_dir: &Path, picture: &Picture, recipe: &Recipe, created_ms: i64) -> Result<PathBuf> {
    save_picture_by(pictures_dir, picture, recipe, created_ms, &mut |_| ())
}

/// As [`save_picture`]; `before` is told each path before it is tried.
///
/// # Errors
/// As there.
pub fn save_picture_by(
    pictures_dir: &Path,
    picture: &Picture,
    recipe: &Recipe,
    created_ms: i64,
    before: &mut dyn FnMut(&Path),
) -> Result<PathBuf> {
    let bytes = png_file::encode(picture, &Embedded::of_recipe(recipe, created_ms))?;
    let request = &recipe.request;
    // A sheet is told from the pictures on it.
    let prompt = if recipe.grid.is_some() { format!("grid {}", request.prompt) } else { request.prompt.clone() };
    for count in 1..=MAX_COUNT {
        let (day, name) = picture_name(created_ms, request.seed, &prompt, count);
        let path = pictures_dir.join(day).join(name);
        if path.symlink_metadata().is_ok() {
            continue;
        }
        before(&path);
        if atomic::write_new(&path, &bytes)? {
            return Ok(path);
        }
    }
    Err(UserError::failed("Could not find a free name for the picture").path(pictures_dir))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::domain::GenerateRequest;
    use crate::library::image_io::{read_info, read_picture};

    #[test]
    fn a_saved_picture_is_read_back_and_never_replaced() {
        let home = tempfile::tempdir().unwrap();
        let picture = Picture { width_px: 2, height_px: 2, rgba: [9, 8, 7, 255].repeat(4) };
        let request =
            GenerateRequest { prompt: "../CON: \u{202e}dress\n".into(), seed: u64::MAX, ..GenerateRequest::default() };
        let recipe = Recipe {
            request,
            model_name: "Starter".into(),
            model_hash: "0123456789".into(),
            version: "Atelier".into(),
            elapsed_secs: 0.25,
            safety: None,
            ..Recipe::default()
        };
        let first = save_picture(home.path(), &picture, &recipe, 5).unwrap();
        let before = fs::read(&first).unwrap();
        let second = save_picture(home.path(), &picture, &recipe, 5).unwrap();
        assert_ne!(first, second);
        assert_eq!(fs::read(&first).unwrap(), before);
        assert_eq!(first.parent().unwrap().parent(), Some(home.path()));
        assert_eq!(read_picture(&second).unwrap(), picture);
        let info = read_info(&second).unwrap();
        assert_eq!(info.embedded.recipe(), Some(recipe));
        assert_eq!(info.embedded.created_ms(), Some(5));
    }
}
