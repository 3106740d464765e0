//! One row of a batch after the other: its model, its pictures, their files. What fails costs its row, not the batch.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::generate::write_new;
use crate::domain::batch::{RowResult, RowStatus, request_key};
use crate::domain::{Cancel, GenerateRequest, ImageFormat, ModelRef, Picture, Recipe, Result, SafetyMode, UserError};
use crate::library::names::slug;
use crate::library::{PictureStore, encode_picture, read_info, write_atomically};
use crate::models::{self, Model, Placement};
use crate::pipeline::{self, Assets};

/// Where pictures go.
pub enum Target {
    /// The history.
    Store(Box<PictureStore>),
    /// A folder; names are made.
    Folder(PathBuf),
}

/// A row that ended.
pub struct Made {
    /// What is written down; paths are given from the results file on.
    pub result: RowResult,
    /// The pictures, as the target was given.
    pub paths: Vec<PathBuf>,
    /// Things worth telling that stopped nothing.
    pub notices: Vec<String>,
}

/// What names a model that is loaded: its own name, and another autoencoder's.
type Wanted = (ModelRef, Option<PathBuf>);

/// Makes rows.
pub struct Maker {
    target: Target,
    assets: Assets,
    placement: Placement,
    safety: SafetyMode,
    /// The folder of the results file.
    beside: PathBuf,
    model: Option<(Wanted, Model)>,
    /// Models that cannot be opened, so that it is tried once and not for every row.
    broken: HashMap<Wanted, UserError>,
}

impl Maker {
    /// Nothing is loaded yet.
    #[must_use]
    pub fn new(target: Target, assets: Assets, placement: Placement, safety: SafetyMode, results: &Path) -> Self {
        let beside = results.parent().unwrap_or(Path::new("")).to_path_buf();
        Self { target, assets, placement, safety, beside, model: None, broken: HashMap::new() }
    }

    /// Makes a row's pictures. What goes wrong is in the result.
    ///
    /// # Errors
    /// When a picture cannot be written: no other could be either, and none is made in vain.
    pub fn make(&mut self, row: usize, request: &GenerateRequest) -> Result<Made> {
        let begun = Instant::now();
        let mut made = Made {
            result: RowResult {
                row,
                status: RowStatus::Done,
                paths: Vec::new(),
                seed: Some(request.seed),
                seconds: 0.0,
                error: String::new(),
                request: request_key(request),
            },
            paths: Vec::new(),
            notices: Vec::new(),
        };
        for index in 0..request.count {
            match self.picture(&request.single(index)) {
                Ok((picture, recipe, notices)) => {
                    let path = self.save(row, &picture, &recipe)?;
                    made.result.paths.push(self.seen_from_results(&path));
                    made.paths.push(path);
                    made.notices.extend(notices.into_iter().filter(|_| index == 0));
                }
                Err(error) => {
                    made.result.status = RowStatus::Failed;
                    made.result.error =
                        [Some(error.sentence), error.hint].into_iter().flatten().collect::<Vec<_>>().join("; ");
                    break;
                }
            }
        }
        made.result.seconds = begun.elapsed().as_secs_f64();
        Ok(made)
    }

    fn picture(&mut self, request: &GenerateRequest) -> Result<(Picture, Recipe, Vec<String>)> {
        let begun = Instant::now();
        let is_checked = self.safety != SafetyMode::Off;
        let (wanted, mut model) = self.load(request)?;
        let made = catch_unwind(AssertUnwindSafe(|| {
            pipeline::make(&mut model, request, &self.assets, is_checked, &Cancel::default(), &mut |_| ())
        }));
        // What a panic left half done is not used again: the model goes with it.
        let made = made.map_err(|panic| panicked(panic.as_ref()))?;
        let made = made.map(|made| {
            let recipe = model.recipe(made.request.clone(), begun.elapsed().as_secs_f64(), made.safety);
            (made, recipe)
        });
        self.model = Some((wanted, model));
        let (made, recipe) = made?;
        let mut notices = made.notices;
        // The history keeps the picture itself and hides it in the window; a file elsewhere is all that there is.
        let hides = matches!(self.target, Target::Folder(_));
        let instead = made.safety.filter(|_| hides).and_then(|verdict| self.safety.instead_of(&made.picture, verdict));
        if made.safety.is_some_and(|verdict| verdict.flagged) {
            let what = if instead.is_some() { "it is hidden (--safety off shows it)" } else { "it is marked" };
            notices.push(format!("The model's safety checker flagged a picture: {what}"));
        }
        Ok((instead.unwrap_or(made.picture), recipe, notices))
    }

    /// The model of a request, taken out of this while it works. The old one goes first: two may not fit into memory.
    fn load(&mut self, request: &GenerateRequest) -> Result<(Wanted, Model)> {
        let wanted = (request.model.clone(), request.vae.clone());
        if let Some((loaded, model)) = self.model.take()
            && loaded == wanted
        {
            return Ok((loaded, model));
        }
        if let Some(error) = self.broken.get(&wanted) {
            return Err(error.clone());
        }
        match models::open_on(self.placement.clone(), &wanted.0, wanted.1.as_deref(), &Cancel::default(), &mut |_| ()) {
            Ok(model) => Ok((wanted, model)),
            Err(error) => {
                self.broken.insert(wanted, error.clone());
                Err(error)
            }
        }
    }

    fn save(&mut self, row: usize, picture: &Picture, recipe: &Recipe) -> Result<PathBuf> {
        let folder = match &mut self.target {
            Target::Store(store) => return store.save(picture, recipe).map(|entry| entry.path),
            Target::Folder(folder) => folder,
        };
        let request = &recipe.request;
        let slug = slug(&request.prompt);
        let separator = if slug.is_empty() { "" } else { "-" };
        let path = folder.join(format!("{:05}-{}{separator}{slug}.png", row + 1, request.seed));
        let bytes = encode_picture(picture, Some(recipe), ImageFormat::Png)?;
        // Made before, and the program was ended before that was written down: the same picture again.
        let is_same = |recipe: &Recipe| recipe.request == *request;
        if read_info(&path).is_ok_and(|info| info.embedded.recipe().as_ref().is_some_and(is_same)) {
            write_atomically(&path, &bytes)?;
            return Ok(path);
        }
        write_new(&path, &bytes)
    }

    /// A path as the results file gives it: from its own folder on where it lies there, so that both can be moved.
    fn seen_from_results(&self, path: &Path) -> String {
        let own = path.strip_prefix(&self.beside).ok().filter(|_| matches!(self.target, Target::Folder(_)));
        let whole = || std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        own.map_or_else(whole, Path::to_path_buf).display().to_string()
    }
}

fn panicked(panic: &(dyn Any + Send)) -> UserError {
    let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message =
        message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    UserError::failed(format!("A fault in the program: {message}")).hint("the other rows go on; please report this")
}
