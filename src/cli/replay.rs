//! `atelier replay`: pictures made again by their recipes, and compared with their files.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::device::DeviceArgs;
use super::generate::assets;
use crate::domain::{
    Cancel, FieldDifference, ImageFormat, ModelRef, Outcome, Precision, Recipe, Result, UserError, replay_reasons,
};
use crate::library::{read_info, read_picture};
use crate::models::{self, Model, Placement};
use crate::pipeline::{self, Replayed};

/// Arguments of `atelier replay`.
#[derive(clap::Args)]
pub struct Args {
    /// Pictures that Atelier made.
    #[arg(required = true, value_name = "PICTURE")]
    pictures: Vec<PathBuf>,
    /// The model to use instead of the one that the recipe names: `starter`, a folder or a file.
    #[arg(long, value_name = "NAME|PATH")]
    model: Option<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one line of JSON a picture.
    #[arg(long)]
    json: bool,
}

/// Makes the pictures again. Nothing is saved.
///
/// # Errors
/// Bad input, a model or another file that is missing; and when a picture differs: the exit code is 1 then.
pub fn run(args: &Args) -> Result<()> {
    let assets = assets();
    let other_model = args.model.as_deref().map(ModelRef::parse);
    // What is wrong with any of them is said before the work on the first.
    let recipes = args.pictures.iter().map(|path| recipe_of(path, other_model.as_ref())).collect::<Result<Vec<_>>>()?;
    for (path, recipe) in args.pictures.iter().zip(&recipes) {
        pipeline::check_files(&recipe.request, &assets).map_err(|error| error.path(path))?;
    }
    let placement = args.device.open(Precision::Fast)?;
    let mut loaded: Option<Model> = None;
    let mut differing = 0;
    for (path, recipe) in args.pictures.iter().zip(&recipes) {
        let model = load(&mut loaded, recipe, &placement)?;
        let original = read_picture(path)?;
        let request = recipe.request.single(0);
        let replayed = pipeline::with_precision(recipe.precision(), || {
            pipeline::replay(model, &request, &original, &assets, false, &Cancel::default(), &mut |_| ())
        })
        .map_err(|error| error.path(path))?;
        differing += usize::from(matches!(replayed.outcome, Outcome::Differs(_)));
        print(path, recipe, &replayed, args.json)?;
    }
    match differing {
        0 => Ok(()),
        1 if recipes.len() == 1 => Err(UserError::failed("The picture differs")),
        count => Err(UserError::failed(format!("{count} of {} pictures differ", recipes.len()))),
    }
}

/// The recipe of a picture, with another model where one was asked for.
fn recipe_of(path: &Path, other_model: Option<&ModelRef>) -> Result<Recipe> {
    let recipe = read_info(path)?.embedded.recipe();
    let mut recipe = recipe.ok_or_else(|| {
        UserError::input("The picture carries no recipe").hint("only pictures that Atelier made do").path(path)
    })?;
    match other_model {
        Some(model) => recipe.request.model = model.clone(),
        None if !recipe.is_ours() => {
            let (version, model) = (&recipe.version, &recipe.model_name);
            let sentence =
                format!("Another program made the picture ({version}), with a model that it only names: {model}");
            return Err(UserError::input(sentence).hint("say which model it is with --model").path(path));
        }
        None => {}
    }
    Ok(recipe)
}

/// The model of a recipe: that of the picture before, where it is the same. The old one goes first: two may not fit.
fn load<'a>(loaded: &'a mut Option<Model>, recipe: &Recipe, placement: &Placement) -> Result<&'a mut Model> {
    let (model, vae) = (&recipe.request.model, recipe.request.vae.as_deref());
    let is_it = |loaded: &Model| loaded.info.model == *model && loaded.other_vae.as_deref() == vae;
    match loaded.take().filter(is_it) {
        Some(same) => Ok(loaded.insert(same)),
        None => Ok(loaded.insert(models::open_on(placement.clone(), model, vae, &Cancel::default(), &mut |_| ())?)),
    }
}

fn print(path: &Path, then: &Recipe, now: &Replayed, as_json: bool) -> Result<()> {
    let mut reasons = replay_reasons(then, &now.recipe);
    if ImageFormat::from_path(path) == Some(ImageFormat::Jpeg) {
        let one = "a JPEG, which holds a picture only nearly".to_owned();
        reasons.push(FieldDifference { field: "File".to_owned(), one, other: "what was made".to_owned() });
    }
    let mut out = std::io::stdout().lock();
    let written = if as_json {
        let likeness = match now.outcome {
            Outcome::Near(likeness) | Outcome::Differs(Some(likeness)) => Some(likeness),
            Outcome::Identical | Outcome::Differs(None) => None,
        };
        let because: Vec<_> = reasons
            .iter()
            .map(|FieldDifference { field, one, other }| json!({ "field": field, "then": one, "now": other }))
            .collect();
        let line = json!({
            "path": path, "outcome": now.outcome.name(), "psnr_db": likeness.map(|likeness| likeness.psnr_db),
            "changed_px": likeness.map(|likeness| likeness.changed_px), "largest": likeness.map(|likeness| likeness.largest),
            "seconds": now.recipe.elapsed_secs, "reasons": because,
        });
        writeln!(out, "{line}")
    } else {
        writeln!(out, "{}  {}", path.display(), now.outcome.sentence()).and_then(|()| {
            let said = if now.outcome == Outcome::Identical { &[][..] } else { &reasons[..] };
            said.iter().try_for_each(|FieldDifference { field, one, other }| {
                writeln!(out, "  {field}: {one} then, {other} now")
            })
        })
    };
    written.map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}
