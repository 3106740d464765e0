//! `atelier dataset`: data sets to train on, prepared and looked over.

use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde_json::json;

use super::progress::bar;
use crate::dataset::columns::nearest;
use crate::dataset::prepare::Progress;
use crate::dataset::problem::count_by_kind;
use crate::dataset::{
    self, Condition, Metadata, Problem, ProblemKind, Row, Template, check, one_line, prepare, source,
};
use crate::domain::dataset::{RowChange, replace_all};
use crate::domain::{Cancel, ImageFormat, Result, UserError};
use crate::library::{Paths, collection_of_name, load_settings, pictures_of_collection};
use crate::models;

/// How the progress of it is shown.
const BAR: &str = "{wide_bar} {pos} of {len} pictures, {per_sec}, {eta} left";

/// How many problems of a kind are printed; `problems.jsonl` and `--json` have them all.
const SHOWN: usize = 3;
/// How many values of a column are printed.
const SHOWN_CLASSES: usize = 8;

/// Arguments of `atelier dataset`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    work: Work,
}

#[derive(clap::Subcommand)]
enum Work {
    /// Make a data set that a training reads at once: pictures of one size, captions, a clean table. One that was stopped
    /// goes on where it was.
    Prepare(PrepareArgs),
    /// Say what is wrong with a data set, and what is in it.
    Check(CheckArgs),
    /// Replace text in the captions of a data set's metadata.jsonl, which is replaced as a whole.
    Replace(ReplaceArgs),
    /// Leave pictures out of trainings, or take them in again. Nothing is deleted.
    Exclude(ExcludeArgs),
}

/// What both commands are told of their source.
#[derive(clap::Args)]
struct Source {
    /// A folder or a table: styles.csv, `product_data.json`, metadata.jsonl or .csv, kohya folders, results.csv, or pictures
    /// with .txt captions.
    #[arg(value_name = "SOURCE", required_unless_present = "collection")]
    path: Option<PathBuf>,
    /// A collection of the gallery in place of a folder: its pictures, with their prompts as captions.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["path", "kind"])]
    collection: Option<String>,
    /// What it is, where that is not to be told by what is in it: imagefolder, styles, flickr30k, product-json, kohya,
    /// folder.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// How captions are made of columns, as in "{baseColour} {articleType}, {productDisplayName}" [default: the source's].
    #[arg(long, value_name = "TEMPLATE")]
    caption: Option<String>,
    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct PrepareArgs {
    #[command(flatten)]
    source: Source,
    /// The folder of the prepared data set.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only rows of this kind: column=value, column!=value or column~part; give it once for each.
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<String>,
    /// The pictures' shorter side in px; smaller ones stay as they are.
    #[arg(long, default_value_t = 512, value_name = "PX", value_parser = clap::value_parser!(u32).range(1..=16_384))]
    size: u32,
    /// The pictures' format: jpg, webp or png.
    #[arg(long, default_value = "jpg", value_name = "FORMAT", value_parser = format)]
    format: ImageFormat,
    /// Quality of jpg and webp, 1 to 100.
    #[arg(long, default_value_t = 90, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
    /// At most so many rows.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(clap::Args)]
struct CheckArgs {
    #[command(flatten)]
    source: Source,
    /// Pictures with a shorter side below this are too small, in px.
    #[arg(long, default_value_t = 512, value_name = "PX")]
    size: u32,
    /// Which ten rows are shown as samples.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
}

#[derive(clap::Args)]
struct ReplaceArgs {
    /// The folder with metadata.jsonl, or the table itself.
    dir: PathBuf,
    /// What is searched, whatever the case.
    find: String,
    /// What is put in its place; "" takes it out.
    replacement: String,
    /// Tell upper and lower case apart.
    #[arg(long)]
    match_case: bool,
    /// Only say what would change.
    #[arg(long)]
    dry_run: bool,
}

#[derive(clap::Args)]
struct ExcludeArgs {
    /// The folder with metadata.jsonl, or the table itself.
    dir: PathBuf,
    /// Pictures, as the table names them.
    #[arg(required = true, value_name = "FILE")]
    pictures: Vec<String>,
    /// Take them in again.
    #[arg(long)]
    undo: bool,
}

/// Does the work.
///
/// # Errors
/// A source that cannot be read or a column that is not there (exit code 2), work that failed (exit code 1).
pub fn run(args: Args) -> Result<()> {
    match args.work {
        Work::Prepare(args) => run_prepare(&args),
        Work::Check(args) => run_check(&args),
        Work::Replace(args) => run_replace(&args),
        Work::Exclude(args) => run_exclude(&args),
    }
}

fn format(name: &str) -> std::result::Result<ImageFormat, String> {
    ImageFormat::from_path(Path::new(&format!("x.{name}"))).ok_or_else(|| "it is jpg, webp or png".to_owned())
}

impl Source {
    /// What is wrong with the template is said before the source is read.
    fn template(&self) -> Result<Option<Template>> {
        self.caption.as_deref().map(Template::parse).transpose()
    }

    fn read(&self) -> Result<dataset::Dataset> {
        match (&self.path, &self.collection) {
            (Some(path), _) => source::read(path, self.kind.as_deref()),
            (None, Some(name)) => read_collection(name),
            // The arguments ask for one of them.
            (None, None) => Err(UserError::input("A data set or a collection is wanted")),
        }
    }

    /// What it is called.
    fn name(&self) -> String {
        let path = self.path.as_ref().map(|path| path.display().to_string());
        path.or_else(|| self.collection.clone()).unwrap_or_default()
    }
}

/// The pictures of a collection, with their prompts as captions.
fn read_collection(name: &str) -> Result<dataset::Dataset> {
    let paths = Paths::from_env()?;
    let settings = load_settings(&paths).settings;
    let paths = paths.with_settings(&settings);
    let collection = collection_of_name(&paths, name)?;
    let pictures = pictures_of_collection(&paths, collection.id)?;
    if pictures.is_empty() {
        return Err(UserError::input(format!("There is no picture in the collection {}", collection.name))
            .hint("choose pictures in the gallery, and add them to it"));
    }
    Ok(source::of_collection(&paths.pictures_dir, &pictures))
}

fn run_prepare(args: &PrepareArgs) -> Result<()> {
    let options = prepare::Options {
        template: args.source.template()?,
        conditions: args.conditions.iter().map(|text| Condition::parse(text)).collect::<Result<_>>()?,
        side_px: args.size,
        format: args.format,
        quality: args.quality,
        limit: args.limit,
    };
    let dataset = args.source.read()?;
    let bar = bar(BAR);
    let report = prepare(&dataset, &args.out, &options, &Cancel::default(), &mut |progress| show(&bar, progress));
    bar.finish_and_clear();
    let report = report?;
    if args.source.json {
        return say(&format!("{}\n", json!(report)));
    }
    let mut out = vec![
        report.path.display().to_string(),
        format!("    {} rows of {} in {} ({})", report.rows, report.rows_read, args.source.name(), report.kind),
        format!("    {} pictures: {} made, {} were there", report.pictures, report.made, report.kept),
    ];
    let left_out = [
        (report.rows_unwanted, "are not what --where asks for"),
        (report.rows_excluded, "are excluded in the source"),
        (report.rows_without_picture, "have no picture"),
        (report.rows_with_broken_picture, "have a picture that cannot be read"),
        (report.rows_behind_limit, "are behind --limit"),
        (report.rows_without_caption, "are taken without a caption"),
        (report.rows_kept_by_hand, "stay as they were changed by hand in this folder"),
    ];
    for (count, why) in left_out.into_iter().filter(|(count, _)| *count > 0) {
        out.push(format!("    {count} rows {why}"));
    }
    say(&(out.join("\n") + "\n"))?;
    tell(&report.problems);
    Ok(())
}

fn run_check(args: &CheckArgs) -> Result<()> {
    let options = check::Options {
        template: args.source.template()?,
        side_px: args.size,
        seed: args.seed,
        ..check::Options::default()
    };
    let tokenizer = models::clip_tokenizer()?;
    // No text makes it fail; one that did would be counted as one that is read.
    let tokens = |caption: &str| tokenizer.ids(caption).map_or(0, |ids| ids.len());
    let dataset = args.source.read()?;
    let bar = bar(BAR);
    let report = check(&dataset, &options, &tokens, &Cancel::default(), &mut |progress| show(&bar, progress));
    bar.finish_and_clear();
    let report = report?;
    if args.source.json {
        return say(&format!("{}\n", json!(report)));
    }
    let (shown, pictures) = (report.shown, report.pictures);
    let mut out = vec![
        format!("{} ({})", args.source.name(), report.kind),
        format!("    {} rows of {}, {pictures} pictures, {shown} shown an epoch", report.rows, report.rows_read),
    ];
    for (what, spread) in [("shorter sides in px", report.sides), ("tokens a caption", report.tokens)] {
        if let Some(check::Spread { min, median, max }) = spread {
            out.push(format!("    {what}: {min} to {max}, most around {median}"));
        }
    }
    for balance in &report.balance {
        let shown: Vec<String> = balance
            .counts
            .iter()
            .take(SHOWN_CLASSES)
            .map(|(value, count)| format!("{} {count}", if value.is_empty() { "(none)" } else { value }))
            .collect();
        let more = balance.counts.len().saturating_sub(SHOWN_CLASSES);
        let more = if more > 0 { format!(", {more} more") } else { String::new() };
        out.push(format!("{}: {}{more}", balance.column, shown.join(", ")));
    }
    out.push("samples:".to_owned());
    for sample in &report.samples {
        out.push(format!("    {}\n        {} ({} tokens)", sample.picture.display(), sample.text, sample.tokens));
    }
    say(&(out.join("\n") + "\n"))?;
    tell(&report.problems);
    Ok(())
}

fn run_replace(args: &ReplaceArgs) -> Result<()> {
    if args.find.is_empty() {
        return Err(UserError::input("What is searched is empty"));
    }
    let (dataset, mut metadata) = open_to_change(&args.dir)?;
    let mut changes = Vec::new();
    for row in &dataset.rows {
        let before = row.caption.as_deref().unwrap_or_default();
        let caption = one_line(&replace_all(before, &args.find, &args.replacement, args.match_case));
        if caption != before {
            say(&format!("{}\n    - {before}\n    + {caption}\n", row.name))?;
            changes.extend(change_of(row, caption, row.is_excluded));
        }
    }
    if !args.dry_run && !changes.is_empty() {
        metadata.change(&changes)?;
        metadata.save()?;
    }
    let done = if args.dry_run { "would be changed" } else { "are changed" };
    say(&format!("{} of {} captions {done}\n", changes.len(), dataset.rows.len()))
}

fn run_exclude(args: &ExcludeArgs) -> Result<()> {
    let (dataset, mut metadata) = open_to_change(&args.dir)?;
    let mut changes = Vec::new();
    for picture in &args.pictures {
        let rows: Vec<_> = dataset.rows.iter().filter(|row| row.name == *picture).collect();
        if rows.is_empty() {
            let error = UserError::input(format!("There is no picture {picture} in this data set"));
            let near = nearest(picture, dataset.rows.iter().map(|row| row.name.as_str()));
            return Err(match near {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint("pictures are named as in metadata.jsonl"),
            });
        }
        let change = |row: &&Row| change_of(row, row.caption.clone().unwrap_or_default(), !args.undo);
        changes.extend(rows.iter().filter_map(change));
    }
    metadata.change(&changes)?;
    metadata.save()?;
    let done = if args.undo { "are learnt from again" } else { "are left out of trainings" };
    say(&format!("{} rows {done}\n", changes.len()))
}

/// A data set whose table can be written to.
fn open_to_change(path: &Path) -> Result<(dataset::Dataset, Metadata)> {
    let dataset = source::read(path, None)?;
    match (&dataset.table, &dataset.caption_column) {
        (Some(table), Some(column)) => {
            let metadata = Metadata::open(table, column)?;
            Ok((dataset, metadata))
        }
        _ => Err(UserError::input(format!("The captions of this data set ({}) cannot be changed", dataset.kind))
            .hint("atelier dataset prepare makes one of it that can")
            .path(path)),
    }
}

fn change_of(row: &Row, caption: String, is_excluded: bool) -> Option<RowChange> {
    Some(RowChange { line: row.line?, name: row.name.clone(), caption, is_excluded })
}

/// Tells people of the problems: how many of each kind, the first ones, and what to do.
fn tell(problems: &[Problem]) {
    let mut out = std::io::stderr().lock();
    for (kind, count) in count_by_kind(problems) {
        // Nothing is lost when stderr is closed.
        let _ = writeln!(out, "note: {count} {}: {}", kind.label(), kind.hint());
        let of_kind = |problem: &&Problem| problem.kind == kind;
        for problem in problems.iter().filter(of_kind).take(SHOWN) {
            let _ = writeln!(out, "    {}", text_of(problem));
        }
        if count > SHOWN {
            let _ = writeln!(out, "    and {} more", count - SHOWN);
        }
    }
}

fn text_of(problem: &Problem) -> String {
    let name = problem.path.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    match problem.line {
        // A picture's row has its line in a table, not in the picture.
        Some(line) if problem.kind < ProblemKind::BrokenPicture => format!("{name}, line {line}: {}", problem.sentence),
        Some(line) => format!("{name} (line {line}): {}", problem.sentence),
        None if problem.path.is_some() => format!("{name}: {}", problem.sentence),
        None => problem.sentence.clone(),
    }
}

fn show(bar: &ProgressBar, progress: Progress) {
    if bar.length() != Some(progress.total as u64) {
        bar.set_length(progress.total as u64);
        // What an earlier run made says nothing of this one's speed.
        bar.reset_eta();
    }
    bar.set_position(progress.done as u64);
}

fn say(text: &str) -> Result<()> {
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}
