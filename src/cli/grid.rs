//! `atelier grid`: a picture for every combination of some values, and all of them on one sheet.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::generate::{BAR, Target, assets, note, open_target, safety_mode, write_new};
use super::progress::bar_unless;
use super::what::What;
use crate::domain::grid::{Axes, Axis, FIELDS, Field, Grid};
use crate::domain::{Cancel, GenerateRequest, ImageFormat, ModelRef, Picture, Recipe, Result, SafetyMode, UserError};
use crate::library::sheet::{SheetCell, compose};
use crate::library::{encode_picture, write_atomically};
use crate::models::{self, Model};
use crate::pipeline::{self, Assets, Progress};

/// Arguments of `atelier grid`.
#[derive(clap::Args)]
#[command(after_help = fields_help())]
pub struct Args {
    #[command(flatten)]
    what: What,
    /// What differs from left to right, such as guidance=1,4,7 or steps=10-30(+10); the fields stand below.
    #[arg(long, value_name = "FIELD=VALUES", value_parser = axis)]
    x: Axis,
    /// What differs from top to bottom.
    #[arg(long, value_name = "FIELD=VALUES", value_parser = axis)]
    y: Option<Axis>,
    /// What differs from page to page.
    #[arg(long, value_name = "FIELD=VALUES", value_parser = axis)]
    z: Option<Axis>,
    /// A file for the sheet (.png, .jpg, .webp), or a folder for the sheet and each picture [default: all go to the
    /// pictures folder].
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    /// What becomes of pictures that the model's safety checker flags: off, flag, blur or black.
    #[arg(long, default_value = "blur", value_name = "MODE", value_parser = safety_mode)]
    safety: SafetyMode,
    /// Print one line of JSON a picture, and one for the sheet.
    #[arg(long)]
    json: bool,
}

/// Makes the pictures and the sheet.
///
/// # Errors
/// Bad input, a model that cannot be loaded, a sheet that cannot be written; and, after all else is done, pictures that
/// could not be made.
pub fn run(args: Args) -> Result<()> {
    let Args { what, x, y, z, out, safety, json } = args;
    let axes = Axes { x, y, z };
    // What is not said is as the first model is best asked.
    let of_axis = axes.all().into_iter().flatten().find(|axis| axis.field.name == "model");
    let first = of_axis.and_then(|axis| axis.values.first()).unwrap_or(&what.model);
    let model_ref = ModelRef::parse(first);
    let target = open_target(out.as_deref(), 1)?;
    let bar = bar_unless(json, BAR);
    bar.set_message(format!("Loading {model_ref}"));
    bar.tick();
    let model = models::open(&model_ref, what.extras.vae.as_deref(), &Cancel::default(), &mut |_| ())?;
    let family = model.family;
    let grid = Grid { base: what.request(model_ref.clone(), &model, 1)?, axes };
    let problems = grid.problems(&|model| (*model == model_ref).then_some(&family.capabilities));
    if !problems.is_empty() {
        return Err(UserError::input(problems.join(". ")));
    }
    let maker = Maker { model: Some(model), refused: None, assets: assets(), target, safety, json, bar };
    maker.run(&grid)
}

/// Makes one picture after the other.
struct Maker {
    model: Option<Model>,
    /// What could not be loaded last, and why: it is not tried again for each of its pictures.
    refused: Option<(ModelRef, Option<PathBuf>, UserError)>,
    assets: Assets,
    target: Target,
    safety: SafetyMode,
    json: bool,
    bar: ProgressBar,
}

impl Maker {
    fn run(mut self, grid: &Grid) -> Result<()> {
        let order = grid.axes.order();
        let mut cells = vec![SheetCell::Blank("Failed".to_owned()); order.len()];
        let mut told: Option<Recipe> = None;
        let mut first_error = None;
        let mut failed = 0;
        for (done, &cell) in order.iter().enumerate() {
            let name = grid.axes.name_of(cell);
            self.bar.reset();
            self.bar.set_message(format!("{} of {}: {name}", done + 1, order.len()));
            let made = match grid.cell(cell) {
                Ok(request) => self.picture(&request),
                Err(problem) => Err(UserError::input(problem)),
            };
            let [column, row, page] = grid.axes.place(cell);
            let place = json!({ "column": column, "row": row, "page": page });
            match made {
                Ok((picture, recipe)) => {
                    grid.tell(&mut told, &recipe);
                    let (kept, path) = self.keep(cell, picture, &recipe)?;
                    cells[cell] = kept;
                    self.print_picture(place, &name, path.as_ref(), &recipe)?;
                }
                Err(error) => {
                    failed += 1;
                    if self.json {
                        let mut line = place;
                        line["error"] = error.sentence.clone().into();
                        self.print(&line.to_string())?;
                    }
                    note(&format!("{name}: {}", error.sentence));
                    first_error.get_or_insert(error);
                }
            }
        }
        self.bar.finish_and_clear();
        let Some(recipe) = told else {
            return Err(first_error.unwrap_or_else(|| UserError::failed("The grid has no pictures")));
        };
        self.sheet(grid, &cells, &recipe, failed)?;
        match first_error {
            None => Ok(()),
            Some(error) => Err(UserError {
                sentence: format!("{failed} of {} pictures could not be made: {}", cells.len(), error.sentence),
                ..error
            }),
        }
    }

    fn load(&mut self, request: &GenerateRequest) -> Result<&mut Model> {
        let GenerateRequest { model, vae, .. } = request;
        if let Some((refused, with, error)) = &self.refused
            && (refused, with) == (model, vae)
        {
            return Err(error.clone());
        }
        let is_it = |loaded: &Model| loaded.info.model == *model && loaded.other_vae == *vae;
        if !self.model.as_ref().is_some_and(is_it) {
            // The old one is dropped first: two may not fit into memory.
            self.model = None;
            match models::open(model, vae.as_deref(), &Cancel::default(), &mut |_| ()) {
                Ok(opened) => self.model = Some(opened),
                Err(error) => self.refused = Some((model.clone(), vae.clone(), error.clone())),
            }
        }
        let refused = || self.refused.as_ref().map(|(_, _, error)| error.clone());
        match &mut self.model {
            Some(model) => Ok(model),
            None => Err(refused().unwrap_or_else(|| UserError::failed("The model is not loaded"))),
        }
    }

    fn picture(&mut self, request: &GenerateRequest) -> Result<(Picture, Recipe)> {
        let begun = Instant::now();
        let is_checked = self.safety != SafetyMode::Off;
        let (bar, assets) = (self.bar.clone(), self.assets.clone());
        let model = self.load(request)?;
        let single = request.single(0);
        let made =
            pipeline::make(model, &single, &assets, is_checked, &Cancel::default(), &mut |progress| match progress {
                Progress::Step { step, steps, .. } => {
                    bar.set_length(u64::from(steps));
                    bar.set_position(u64::from(step));
                }
                Progress::Decoding => bar.tick(),
            })?;
        let recipe = model.recipe(made.request, begun.elapsed().as_secs_f64(), made.safety);
        made.notices.iter().for_each(|notice| note(notice));
        // The history keeps the picture itself and hides it in the window; a file elsewhere is all that there is.
        let hides = !matches!(self.target, Target::Store(_));
        let instead = made.safety.filter(|_| hides).and_then(|verdict| self.safety.instead_of(&made.picture, verdict));
        if made.safety.is_some_and(|verdict| verdict.flagged) {
            let what = if instead.is_some() { "it is hidden (--safety off shows it)" } else { "it is marked" };
            note(&format!("The model's safety checker flagged this picture: {what}"));
        }
        Ok((instead.unwrap_or(made.picture), recipe))
    }

    /// Keeps a picture until the sheet is made, in its file where it gets one.
    fn keep(&mut self, cell: usize, picture: Picture, recipe: &Recipe) -> Result<(SheetCell, Option<PathBuf>)> {
        let path = match &mut self.target {
            Target::Store(store) => store.save(&picture, recipe)?.path,
            Target::Folder(folder) => {
                let bytes = encode_picture(&picture, Some(recipe), ImageFormat::Png)?;
                write_new(&folder.join(format!("grid-{:03}.png", cell + 1)), &bytes)?
            }
            Target::File(..) => return Ok((SheetCell::Memory(Arc::new(picture)), None)),
        };
        Ok((SheetCell::File(path.clone()), Some(path)))
    }

    fn sheet(&mut self, grid: &Grid, cells: &[SheetCell], recipe: &Recipe, failed: usize) -> Result<()> {
        let sheet = compose(&grid.axes, cells)?;
        let path = match &mut self.target {
            Target::Store(store) => store.save(&sheet, recipe)?.path,
            Target::Folder(folder) => {
                write_new(&folder.join("grid.png"), &encode_picture(&sheet, Some(recipe), ImageFormat::Png)?)?
            }
            Target::File(file, format) => {
                write_atomically(file, &encode_picture(&sheet, Some(recipe), *format)?)?;
                file.clone()
            }
        };
        let line = if self.json {
            let (width, height) = (sheet.width_px, sheet.height_px);
            json!({
                "sheet": path, "width": width, "height": height, "pictures": cells.len(), "failed": failed,
                "seconds": recipe.elapsed_secs,
            })
            .to_string()
        } else {
            let pictures = cells.len() - failed;
            format!("{}  sheet of {pictures} pictures  {:.1} s", path.display(), recipe.elapsed_secs)
        };
        self.print(&line)
    }

    fn print_picture(&self, place: Value, name: &str, path: Option<&PathBuf>, recipe: &Recipe) -> Result<()> {
        if self.json {
            let mut line = place;
            line["path"] = json!(path);
            line["seed"] = recipe.request.seed.into();
            line["seconds"] = recipe.elapsed_secs.into();
            return self.print(&line.to_string());
        }
        match path {
            Some(path) => self.print(&format!("{}  {name}  {:.1} s", path.display(), recipe.elapsed_secs)),
            None => Ok(()),
        }
    }

    fn print(&self, line: &str) -> Result<()> {
        let written = self.bar.suspend(|| writeln!(std::io::stdout().lock(), "{line}"));
        written.map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
    }
}

fn axis(text: &str) -> std::result::Result<Axis, String> {
    Axis::read_named(text).map_err(|problems| problems.join(". "))
}

/// What can stand on an axis, for the help.
fn fields_help() -> String {
    let mut help = String::from(
        "Values are a list (1,4,7); of numbers also ranges: 1-5, 10-50(+10), 0-1[5]. Quotation marks keep text with \
         commas together.\n\nFields:\n",
    );
    for Field { name, explanation, example, .. } in FIELDS {
        // Writing into a string does not fail.
        let _ = writeln!(help, "  {name:<19} {explanation}\n  {:<19} {name}={example}", "");
    }
    help
}
