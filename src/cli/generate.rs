//! `atelier generate`: pictures from a prompt, without a window.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::ProgressBar;
use serde_json::json;

use super::progress::bar_unless;
use super::what::What;
use crate::domain::{Cancel, GenerateRequest, ImageFormat, ModelRef, Recipe, Result, SafetyMode, UserError, Variation};
use crate::library::{Paths, PictureStore, atomic, encode_picture, load_settings, write_atomically};
use crate::models::{self, Model};
use crate::pipeline::{self, Assets, Progress};

/// How the progress of it is shown.
pub const BAR: &str = "{msg} {wide_bar} step {pos} of {len} · {eta} left";

/// Arguments of `atelier generate`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    what: What,
    /// How many pictures, with seeds one after the other; with a variation it is the variation's seed that goes on.
    #[arg(long, default_value_t = 1, value_name = "N")]
    count: u32,
    /// A file (.png, .jpg, .webp) or a folder [default: the pictures folder].
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    /// What becomes of pictures that the model's safety checker flags: off, flag, blur or black.
    #[arg(long, default_value = "blur", value_name = "MODE", value_parser = safety_mode)]
    safety: SafetyMode,
    /// Print one line of JSON a picture.
    #[arg(long)]
    json: bool,
}

/// Where finished pictures go.
pub enum Target {
    /// The history.
    Store(Box<PictureStore>),
    /// A folder; names are made.
    Folder(PathBuf),
    /// One file, or, of several pictures, `name-2.png` and so on.
    File(PathBuf, ImageFormat),
}

/// Makes the pictures.
///
/// # Errors
/// Bad input, a model that cannot be loaded, a file that cannot be written.
pub fn run(args: Args) -> Result<()> {
    let Args { what, count, out, safety, json } = args;
    let model_ref = ModelRef::parse(&what.model);
    // What is wrong with the target is said before the work, not after it.
    let mut target = open_target(out.as_deref(), count)?;
    let draw = Draw { json, safety, bar: bar_unless(json, BAR) };
    draw.say(&format!("Loading {model_ref}"));
    let mut model = models::open(&model_ref, what.extras.vae.as_deref(), &Cancel::default(), &mut |_| ())?;
    let request = what.request(model_ref, &model, count)?;
    let assets = assets();
    for index in 0..request.count.max(1) {
        draw.picture(&mut model, &assets, &request, index, &mut target)?;
    }
    Ok(())
}

/// What prompts can name. Pictures that go elsewhere can be made by users without a home.
pub fn assets() -> Assets {
    Paths::from_env().map_or_else(
        |_| Assets::default(),
        |paths| Assets::find(paths.loras_dir, paths.embeddings_dir, &paths.wildcards_dir),
    )
}

/// Reads what becomes of flagged pictures.
pub fn safety_mode(name: &str) -> std::result::Result<SafetyMode, String> {
    SafetyMode::from_name(name).ok_or_else(|| format!("{name:?} is none of off, flag, blur and black"))
}

/// stderr is for people, also beside --json; nothing is lost when it is closed.
pub fn note(sentence: &str) {
    let _ = writeln!(std::io::stderr(), "note: {sentence}");
}

/// Where pictures go; what is wrong with the place is said before the work, not after it.
pub fn open_target(out: Option<&Path>, count: u32) -> Result<Target> {
    let Some(out) = out else {
        let paths = Paths::from_env()?;
        let settings = load_settings(&paths).settings;
        return Ok(Target::Store(Box::new(PictureStore::open(&paths.with_settings(&settings))?)));
    };
    if out.is_dir() {
        return Ok(Target::Folder(out.to_path_buf()));
    }
    if let Some(format) = ImageFormat::from_path(out) {
        if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            return Err(UserError::input("The folder to write to does not exist").path(folder).hint("create it first"));
        }
        return Ok(Target::File(out.to_path_buf(), format));
    }
    if out.extension().is_some() && count == 1 {
        let sentence = "The file to write to must end in .png, .jpg or .webp";
        return Err(UserError::input(sentence).path(out).hint("without an ending it is taken for a folder"));
    }
    std::fs::create_dir_all(out)
        .map_err(|error| UserError::failed(format!("Could not create the folder: {error}")).path(out))?;
    Ok(Target::Folder(out.to_path_buf()))
}

/// What the user sees meanwhile.
struct Draw {
    json: bool,
    safety: SafetyMode,
    bar: ProgressBar,
}

impl Draw {
    fn say(&self, message: &str) {
        self.bar.set_message(message.to_owned());
        self.bar.tick();
    }

    fn picture(
        &self,
        model: &mut Model,
        assets: &Assets,
        request: &GenerateRequest,
        index: u32,
        target: &mut Target,
    ) -> Result<()> {
        // A count of 0 is a problem that `generate` names.
        let single = if request.count == 0 { request.clone() } else { request.single(index) };
        let begun = Instant::now();
        self.bar.reset();
        self.say(&format!("Picture {} of {}", index + 1, request.count));
        let is_checked = self.safety != SafetyMode::Off;
        let made =
            pipeline::make(model, &single, assets, is_checked, &Cancel::default(), &mut |progress| match progress {
                Progress::Step { step, steps, .. } => {
                    self.bar.set_length(u64::from(steps));
                    self.bar.set_position(u64::from(step));
                }
                Progress::Decoding => self.say("Decoding"),
            })?;
        let recipe = model.recipe(made.request, begun.elapsed().as_secs_f64(), made.safety);
        let mut notices = made.notices;
        // The history keeps the picture itself and hides it in the window; a file elsewhere is all that there is.
        let hides = !matches!(target, Target::Store(_));
        let instead = made.safety.filter(|_| hides).and_then(|verdict| self.safety.instead_of(&made.picture, verdict));
        if made.safety.is_some_and(|verdict| verdict.flagged) {
            let what = if instead.is_some() { "it is hidden (--safety off shows it)" } else { "it is marked" };
            notices.push(format!("The model's safety checker flagged this picture: {what}"));
        }
        let picture = instead.unwrap_or(made.picture);
        let path = match target {
            Target::Store(store) => store.save(&picture, &recipe)?.path,
            Target::Folder(folder) => {
                let bytes = encode_picture(&picture, Some(&recipe), ImageFormat::Png)?;
                write_new(&folder.join(format!("{}.png", recipe.request.seed)), &bytes)?
            }
            Target::File(file, format) => {
                let path = if request.count > 1 { numbered(file, index + 1) } else { file.clone() };
                write_atomically(&path, &encode_picture(&picture, Some(&recipe), *format)?)?;
                path
            }
        };
        self.bar.finish_and_clear();
        self.print(&path, (picture.width_px, picture.height_px), &recipe, &notices)
    }

    fn print(&self, path: &Path, (width_px, height_px): (u32, u32), recipe: &Recipe, notices: &[String]) -> Result<()> {
        let request = &recipe.request;
        let mut out = std::io::stdout().lock();
        let written = if self.json {
            let mut line = json!({
                "path": path, "seed": request.seed, "width": width_px, "height": height_px,
                "steps": request.num_inference_steps, "seconds": recipe.elapsed_secs,
            });
            if let Some(Variation { seed, strength }) = request.variation {
                line["variation_seed"] = seed.into();
                line["variation_strength"] = strength.into();
            }
            writeln!(out, "{line}")
        } else {
            let walked = request.variation.map(|walk| format!(", {} of the way to {}", walk.strength, walk.seed));
            let seed = format!("{}{}", request.seed, walked.unwrap_or_default());
            writeln!(out, "{}  seed {seed}  {:.1} s", path.display(), recipe.elapsed_secs)
        };
        for notice in notices {
            note(notice);
        }
        written.map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
    }
}

/// `name-2.png` for the second picture.
fn numbered(file: &Path, number: u32) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let extension = file.extension().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}-{number}.{extension}"))
}

/// Writes under the first name that is free: pictures that were there before are never overwritten in a folder.
pub fn write_new(file: &Path, bytes: &[u8]) -> Result<PathBuf> {
    let mut path = file.to_path_buf();
    let mut number = 1;
    while !atomic::write_new(&path, bytes)? {
        number += 1;
        path = numbered(file, number);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_pictures_get_numbers_and_nothing_is_overwritten() {
        assert_eq!(numbered(Path::new("a/cat.png"), 3), Path::new("a/cat-3.png"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("7.png");
        for (content, name) in [("a", "7.png"), ("b", "7-2.png"), ("c", "7-3.png")] {
            assert_eq!(write_new(&file, content.as_bytes()).unwrap(), folder.path().join(name));
        }
        assert_eq!(std::fs::read_to_string(file).unwrap(), "a");
    }
}
