//! `atelier batch`: the rows of a table made into pictures, without a window.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::ProgressBar;
use serde_json::json;

use super::batch_rows::{Made, Maker, Target};
use super::device::DeviceArgs;
use super::generate::{assets, note, safety_mode};
use super::precision::HowExactly;
use super::progress::bar_unless;
use super::size::Size;
use crate::dataset::table::{Results, check_rows, read, read_results};
use crate::domain::batch::{CheckedRow, Plan, RowRange, RowResult, RowStatus, Selection, Setup, Shard, Table};
use crate::domain::{GenerateRequest, ModelRef, Result, SafetyMode, SamplerId, ScheduleId, UserError};
use crate::engine::shelf::{self, Places};
use crate::hub::{Hub, HubConfig};
use crate::library::{Paths, PictureStore, load_settings};
use crate::models::capabilities_of;
use crate::nn::precision_now;
use crate::pipeline::Assets;

/// How the progress of it is shown.
const BAR: &str = "{msg} {wide_bar} {pos} of {len} rows · {eta} left";

/// How many prompts `--check` shows.
const SHOWN: usize = 10;

/// Arguments of `atelier batch`.
#[derive(clap::Args)]
pub struct Args {
    /// A text list with kohya's flags (.txt), CSV (.csv, .tsv) or JSON lines (.jsonl). A column is a field of the request by
    /// its name: prompt, negative, width, height, steps, guidance, sampler, schedule, seed, count, model and so on.
    file: PathBuf,
    /// The model of rows that name none: `starter`, a diffusers folder, or a file (.safetensors, .ckpt).
    #[arg(long, default_value = "starter", value_name = "NAME|PATH")]
    model: String,
    /// How prompts are made of columns, as in "a {colour} {garment}" [default: the column prompt].
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// The seed that rows without one draw theirs from, each by its number: the same table makes the same pictures.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Only these rows, counted from 1: 3-10, 3- or -10.
    #[arg(long, value_name = "A-B", allow_hyphen_values = true)]
    rows: Option<RowRange>,
    /// Only so many of them, drawn by --seed.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Only one machine's share of them: 2/4 is the second of four, every fourth row beginning with the second.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// The folder of the pictures and of the results [default: pictures into the pictures folder, results beside FILE].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Say what is wrong with the rows and what the first prompts will be, and make nothing.
    #[arg(long)]
    check: bool,
    /// What becomes of pictures that the model's safety checker flags: off, flag, blur or black.
    #[arg(long, default_value = "blur", value_name = "MODE", value_parser = safety_mode)]
    safety: SafetyMode,
    #[command(flatten)]
    pub how_exactly: HowExactly,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one line of JSON a row.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    base: Base,
}

/// What rows do not say.
#[derive(clap::Args)]
#[command(next_help_heading = "For rows that do not say")]
struct Base {
    /// What to steer away from.
    #[arg(long, default_value = "", value_name = "TEXT")]
    negative: String,
    /// Width and height in px [default: the model's own].
    #[arg(long, value_name = "WxH")]
    size: Option<Size>,
    /// Denoising steps [default: the model's own].
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// Guidance scale; 1 is off [default: the model's own].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// Sampler [default: the model's own].
    #[arg(long, value_name = "NAME")]
    sampler: Option<SamplerId>,
    /// Noise schedule [default: the model's own].
    #[arg(long, value_name = "NAME")]
    schedule: Option<ScheduleId>,
}

/// Makes the pictures.
///
/// # Errors
/// A table or a template that cannot be used (exit code 2); rows that failed, results that cannot be written (exit code 1).
pub fn run(args: &Args) -> Result<()> {
    let table = Arc::new(read(&args.file)?);
    let assets = assets();
    let plan = plan(args, &table, &assets)?;
    let folder = args.out.clone().unwrap_or_else(|| table.folder());
    let checked = check_rows(&plan, &read_results(&table, &folder));
    let selection = Selection { rows: args.rows, sample: args.sample, shard: args.shard };
    let selected = selection.of(table.rows.len(), args.seed);
    if selected.is_empty() {
        let sentence = format!("None of the {} rows is wanted", table.rows.len());
        return Err(UserError::input(sentence).hint("look at --rows, --sample and --shard").path(&args.file));
    }
    tell_problems(&table, &selected, &checked);
    if args.check {
        return show(&plan, &selected, &checked);
    }
    Batch { plan, selected, checked, folder, assets }.run(args)
}

/// What the rows mean. Models and adapters are only looked for where the table may name some.
fn plan(args: &Args, table: &Arc<Table>, assets: &Assets) -> Result<Plan> {
    let model = ModelRef::parse(&args.model);
    let family = capabilities_of(&model)?;
    let Base { negative, size, steps, guidance, sampler, schedule } = &args.base;
    let base = GenerateRequest {
        negative_prompt: negative.clone(),
        model: model.clone(),
        width_px: size.map_or(family.native_side_px, |size| size.width_px),
        height_px: size.map_or(family.native_side_px, |size| size.height_px),
        num_inference_steps: steps.unwrap_or(family.default_steps),
        guidance_scale: guidance.unwrap_or(family.default_guidance),
        sampler: sampler.unwrap_or(family.default_sampler),
        schedule: schedule.unwrap_or(family.default_schedule),
        ..GenerateRequest::default()
    };
    let lora_name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut setup = Setup {
        template: args.template.clone().unwrap_or_default(),
        base,
        seed: args.seed,
        families: vec![(model, family)],
        models: Vec::new(),
        loras: assets.shelf.lora_files().map(|path| (lora_name(path), path.to_path_buf())).collect(),
    };
    let plan = Plan::new(Arc::clone(table), Arc::new(setup.clone()))?;
    if !plan.names_models() {
        return Ok(plan);
    }
    setup.models = installed_models();
    let plan = Plan::new(Arc::clone(table), Arc::new(setup.clone()))?;
    let named: HashSet<ModelRef> = (0..table.rows.len()).filter_map(|row| plan.model(row).ok()).collect();
    for model in named.into_iter().filter(|model| *model != setup.base.model) {
        // One that cannot be opened is told where its rows are made.
        setup.families.extend(capabilities_of(&model).ok().map(|family| (model, family)));
    }
    Plan::new(Arc::clone(table), Arc::new(setup))
}

/// The models that are here, by the names that `atelier models list` shows and by their files' names.
fn installed_models() -> Vec<(String, ModelRef)> {
    let Ok(paths) = Paths::from_env() else { return Vec::new() };
    let settings = load_settings(&paths).settings;
    let places = Places { models_dir: paths.models_dir, folders: settings.model_folders, ..Places::default() };
    let hub = HubConfig::from_env(None).ok().map(Hub::new);
    let entries = shelf::list(&places, hub.as_ref()).entries;
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let by_name = entries.iter().map(|entry| (entry.name.clone(), ModelRef::Path(entry.path.clone())));
    by_name.chain(entries.iter().map(|entry| (stem(&entry.path), ModelRef::Path(entry.path.clone())))).collect()
}

/// Lists what is wrong, by line.
fn tell_problems(table: &Table, selected: &[usize], checked: &[CheckedRow]) {
    let name = table.path.file_name().unwrap_or_default().to_string_lossy();
    for (line, sentence) in &table.repairs {
        note(&format!("{name}, line {line}: {sentence}"));
    }
    for row in selected {
        if let Some(CheckedRow::Wrong(why)) = checked.get(*row) {
            note(&format!("{name}, line {}: {why}", table.rows[*row].line));
        }
    }
}

/// Shows what would be made.
fn show(plan: &Plan, selected: &[usize], checked: &[CheckedRow]) -> Result<()> {
    let mut out = String::new();
    for (column, about) in plan.meanings() {
        // Writing to a text cannot fail.
        let _ = writeln!(out, "column {column}: {about}");
    }
    for row in selected.iter().take(SHOWN) {
        let _ = writeln!(out, "row {}: {}", row + 1, plan.prompt(*row));
    }
    let count = |wanted: fn(&CheckedRow) -> bool| selected.iter().filter(|row| wanted(&checked[**row])).count();
    let wrong = count(|row| matches!(row, CheckedRow::Wrong(_)));
    let there = count(|row| matches!(row, CheckedRow::Done(_)));
    let _ = write!(out, "{} rows: {} to make, {there} there already", selected.len(), selected.len() - wrong - there);
    let _ = writeln!(out, ", {wrong} with something wrong");
    print(&out)?;
    if wrong == 0 { Ok(()) } else { Err(failed(wrong, selected.len(), &plan.table().path)) }
}

fn failed(rows: usize, of: usize, path: &Path) -> UserError {
    UserError::failed(format!("{rows} of {of} rows failed"))
        .hint("give the command again to try them again; what is made is not made twice")
        .path(path)
}

fn print(text: &str) -> Result<()> {
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}

/// A batch that is about to run.
struct Batch {
    plan: Plan,
    selected: Vec<usize>,
    checked: Vec<CheckedRow>,
    folder: PathBuf,
    assets: Assets,
}

impl Batch {
    fn run(self, args: &Args) -> Result<()> {
        let Self { plan, selected, checked, folder, assets } = self;
        let table = plan.table();
        // What is wrong with the target is said before the work, not after it.
        let target = if let Some(out) = &args.out {
            Target::Folder(out.clone())
        } else {
            let paths = Paths::from_env()?;
            let settings = load_settings(&paths).settings;
            Target::Store(Box::new(PictureStore::open(&paths.with_settings(&settings))?))
        };
        let made = checked.iter().filter_map(|row| match row {
            CheckedRow::Done(result) => Some((**result).clone()),
            _ => None,
        });
        let mut results = Results::open(Arc::clone(table), &folder, args.shard, made)?;
        let mut log = Log { table: Arc::clone(table), json: args.json, bar: bar_unless(args.json, BAR), failed: 0 };
        let mut to_make: Vec<(usize, GenerateRequest)> = Vec::new();
        for row in &selected {
            let request = match &checked[*row] {
                CheckedRow::Done(_) => continue,
                CheckedRow::Ready => plan.request(*row),
                CheckedRow::Wrong(why) => Err(why.clone()),
            };
            match request {
                Ok(request) => to_make.push((*row, request)),
                Err(why) => {
                    let result = RowResult::failed(*row, why);
                    log.row(&result, &[])?;
                    results.add(result)?;
                }
            }
        }
        by_model(&mut to_make);
        let (wrong, there) = (log.failed, selected.len() - to_make.len() - log.failed);
        log.bar.set_length(to_make.len() as u64);
        let placement = args.device.open(precision_now())?;
        let mut maker = Maker::new(target, assets, placement, args.safety, results.path());
        for (row, request) in to_make {
            log.bar.set_message(format!("row {}", row + 1));
            let Made { result, paths, notices } = maker.make(row, &request)?;
            results.add(result.clone())?;
            log.row(&result, &paths)?;
            for notice in notices {
                log.bar.suspend(|| note(&notice));
            }
            log.bar.inc(1);
        }
        log.bar.finish_and_clear();
        let path = results.finish()?;
        let made = selected.len() - there - log.failed;
        note(&format!(
            "{made} rows made, {there} were there already, {} failed ({wrong} before they were begun); all in {}",
            log.failed,
            path.display()
        ));
        if log.failed == 0 { Ok(()) } else { Err(failed(log.failed, selected.len(), &path)) }
    }
}

/// Rows of one model one after the other: loading one takes longer than many pictures. Else the table's order.
fn by_model(rows: &mut [(usize, GenerateRequest)]) {
    let mut order: HashMap<(ModelRef, Option<PathBuf>), usize> = HashMap::new();
    for (_, request) in rows.iter() {
        let next = order.len();
        order.entry((request.model.clone(), request.vae.clone())).or_insert(next);
    }
    rows.sort_by_cached_key(|(_, request)| order.get(&(request.model.clone(), request.vae.clone())).copied());
}

/// What the user sees meanwhile.
struct Log {
    table: Arc<Table>,
    json: bool,
    bar: ProgressBar,
    failed: usize,
}

impl Log {
    fn row(&mut self, result: &RowResult, paths: &[PathBuf]) -> Result<()> {
        self.failed += usize::from(result.status == RowStatus::Failed);
        let line = self.table.rows.get(result.row).map_or(0, |row| row.line);
        let text = if self.json {
            let path = match paths {
                [] => json!(null),
                [path] => json!(path),
                paths => json!(paths),
            };
            let error = (!result.error.is_empty()).then_some(&result.error);
            let row = json!({
                "row": result.row + 1, "line": line, "status": result.status.name(), "path": path,
                "seed": result.seed, "seconds": result.seconds, "error": error,
            });
            format!("{row}\n")
        } else if result.status == RowStatus::Failed {
            format!("row {}: failed: {}\n", result.row + 1, result.error)
        } else {
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            let seed = result.seed.unwrap_or_default();
            format!("row {}: {}  seed {seed}  {:.1} s\n", result.row + 1, paths.join("  "), result.seconds)
        };
        self.bar.suspend(|| print(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_model_run_together_in_the_order_of_the_table() {
        let of = |model: &str| GenerateRequest { model: ModelRef::parse(model), ..GenerateRequest::default() };
        let models = ["b", "starter", "b", "a", "starter", "b"];
        let mut rows: Vec<_> = models.into_iter().map(of).enumerate().collect();
        by_model(&mut rows);
        assert_eq!(rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 2, 5, 1, 4, 3]);
    }
}
