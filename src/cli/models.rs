//! `atelier models`: which models are here, what a file is, and how more come.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::progress::bar;
use crate::domain::{
    Cancel, ErrorKind, LoraFit, ModelEntry, ModelRef, ModelState, Result, Secret, TransferProgress, TransferStage,
    UserError, bytes_text,
};
use crate::engine::shelf::{self, Fitted, Places};
use crate::hub::{Hub, HubConfig, PlanOptions, Progress};
use crate::library::{Paths, load_settings};
use crate::models::EmbeddingReport;

/// How the progress of it is shown.
const BAR: &str = "{wide_bar} {msg}";

/// Arguments of `atelier models`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    work: Work,
}

#[derive(clap::Subcommand)]
enum Work {
    /// List the models that are here: imported ones, those of the hub's cache, and those of folders.
    List {
        /// Look through this folder too; give it once for each.
        #[arg(long, value_name = "DIR")]
        folder: Vec<PathBuf>,
        /// Print one line of JSON a model.
        #[arg(long)]
        json: bool,
    },
    /// Say what a file or folder is, from its names and shapes. Nothing in it is run.
    Inspect {
        /// A .safetensors, .ckpt, .pt or .bin file, or a model's folder.
        path: PathBuf,
        /// Of a `LoRA` or an embedding: say how it fits this model (starter, a file or a folder).
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
        /// Print all that is known as one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Copy a file into the models folder (a `LoRA` into loras, an embedding into embeddings), with a check of its values.
    Import {
        /// The file.
        file: PathBuf,
        /// Print the result as one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Download a model from the hub: only the files that are needed. One that was cut goes on where it was.
    Download {
        /// The repository, such as stabilityai/sd-turbo.
        repo: String,
        /// A branch, a tag or a commit [default: main].
        #[arg(long, value_name = "NAME")]
        revision: Option<String>,
        /// Only this file of the repository.
        #[arg(long, value_name = "NAME")]
        file: Option<String>,
        /// Full-size weights where there are half-size ones too.
        #[arg(long)]
        full: bool,
        /// Say what would be fetched, and fetch nothing.
        #[arg(long)]
        plan: bool,
        /// Print the result as one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take a model from the disk.
    Remove {
        /// Its name or path, as `list` shows it.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Does the work.
///
/// # Errors
/// Bad input or a refused file (exit code 2), failed work (exit code 1).
pub fn run(args: Args) -> Result<()> {
    match args.work {
        Work::List { folder, json } => list(folder, json),
        Work::Inspect { path, model, json } => inspect(&path, model.as_deref(), json),
        Work::Import { file, json } => import(&file, json),
        Work::Download { repo, revision, file, full, plan, json } => {
            let options = (file.is_some() || full).then_some(PlanOptions { prefer_fp16: !full, file });
            download(&repo, revision.as_deref(), options.as_ref(), plan, json)
        }
        Work::Remove { name, yes } => remove(&name, yes),
    }
}

/// Where models are looked for.
fn own_places() -> Result<Places> {
    let paths = Paths::from_env()?;
    let settings = load_settings(&paths).settings;
    Ok(Places {
        models_dir: paths.models_dir,
        folders: settings.model_folders,
        loras_dir: paths.loras_dir,
        embeddings_dir: paths.embeddings_dir,
        wildcards_dir: paths.wildcards_dir,
        token: settings.hub_token,
    })
}

/// The same, and the hub that the settings and the environment name.
fn places() -> Result<(Places, Hub)> {
    let places = own_places()?;
    let hub = Hub::new(HubConfig::from_env(places.token.as_ref().map(Secret::reveal))?);
    Ok((places, hub))
}

fn list(folders: Vec<PathBuf>, as_json: bool) -> Result<()> {
    let (mut places, hub) = places()?;
    places.folders.extend(folders);
    let listing = shelf::list(&places, Some(&hub));
    let mut out = String::new();
    for entry in &listing.entries {
        let line = if as_json { entry_json(entry).to_string() } else { entry_text(entry) };
        out = out + &line + "\n";
    }
    say(&out)?;
    for problem in &listing.problems {
        note(&problem.to_string());
    }
    if listing.entries.is_empty() && !as_json {
        note("no models are here; atelier models download stabilityai/sd-turbo brings one");
    }
    Ok(())
}

fn entry_json(entry: &ModelEntry) -> Value {
    let (state, error) = match &entry.state {
        ModelState::Ready(_) => ("ready", None),
        ModelState::Refused(error) => ("refused", Some(error)),
        ModelState::Unfinished { .. } => ("unfinished", None),
    };
    json!({
        "name": entry.name, "path": entry.path, "repo": entry.repo, "home": entry.home,
        "size_bytes": entry.size_bytes, "licence": entry.licence, "state": state, "summary": entry.summary(),
        "error": error.map(|error| &error.sentence), "hint": error.and_then(|error| error.hint.as_ref()),
    })
}

fn entry_text(entry: &ModelEntry) -> String {
    let what = match &entry.state {
        ModelState::Ready(summary) => summary.family.clone().unwrap_or_else(|| summary.description.clone()),
        ModelState::Refused(error) => format!("refused: {}", error.sentence),
        ModelState::Unfinished { have_bytes, total_bytes } => {
            format!("unfinished: {} of {}", bytes_text(*have_bytes), bytes_text(*total_bytes))
        }
    };
    let licence = entry.licence.as_deref().unwrap_or("licence unknown");
    format!("{}\n    {what}, {}, {licence}\n    {}", entry.name, bytes_text(entry.size_bytes), entry.path.display())
}

fn inspect(path: &std::path::Path, model: Option<&str>, as_json: bool) -> Result<()> {
    let (found, licence) = shelf::inspect(path)?;
    let fitted = model.map(|model| shelf::fit(path, found.kind, &ModelRef::parse(model))).transpose()?;
    if as_json {
        let mut line = serde_json::to_value(&found)
            .map_err(|error| UserError::failed(format!("Could not write the result: {error}")))?;
        line["path"] = json!(path);
        line["licence"] = json!(licence);
        if let Some(fitted) = &fitted {
            line["fit"] = fitted.json();
        }
        return say(&format!("{line}\n"));
    }
    let mut out = format!("{}\n", found.description);
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            out = std::mem::take(&mut out) + &format!("{name:<16}{value}\n");
        }
    };
    fact("family", found.family.as_ref().and_then(text_of));
    fact("variant", found.variant.as_ref().and_then(text_of));
    let reason = found.prediction_reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    fact("predicts", found.prediction_type.as_ref().and_then(text_of).map(|kind| kind + &reason));
    fact("numbers", Some(format!("{}, {} parameters", found.dtype, found.parameters)));
    for component in &found.components {
        let naming = text_of(&component.naming).unwrap_or_default();
        let value = format!("{} parameters, {}, names of {naming}", component.parameters, component.dtype);
        fact(component.name.folder(), Some(value));
    }
    fact("licence", licence);
    for problem in &found.problems {
        fact("problem", Some(problem.clone()));
    }
    match fitted {
        Some(Fitted::Lora(report)) => {
            let LoraFit { keys: _, keys_matched: _, parts, made_for, form, ignored, first_ignored, notes, refusal } =
                shelf::lora_fit(&report);
            fact("matched", Some(format!("{} of {} keys", report.keys_matched, report.keys)));
            for (part, matched, keys) in parts {
                fact("", Some(format!("{part}: {matched} of {keys}")));
            }
            fact("made for", made_for);
            fact("form", form);
            for one in &first_ignored {
                fact("ignored", Some(one.clone()));
            }
            if ignored > first_ignored.len() {
                fact("ignored", Some(format!("and {} more", ignored - first_ignored.len())));
            }
            for text in notes {
                fact("note", Some(text));
            }
            fact("refused", refusal.map(|error| error.sentence));
        }
        Some(Fitted::Embedding(EmbeddingReport { embedding, refusal })) => {
            for part in &embedding.parts {
                fact("vectors", Some(format!("{} of width {}", part.vectors, part.width)));
            }
            fact("refused", refusal.map(|error| error.sentence));
        }
        None => {}
    }
    say(&out)
}

/// The name of a variant, as the JSON has it.
fn text_of(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

fn import(file: &std::path::Path, as_json: bool) -> Result<()> {
    let places = own_places()?;
    let bar = bar(BAR);
    let imported = shelf::import(file, &places, &Cancel::default(), &mut |progress| show(&bar, progress));
    bar.finish_and_clear();
    let imported = imported?;
    if as_json {
        let line = json!({
            "path": imported.path, "sha256": imported.sha256, "size_bytes": imported.size_bytes,
            "was_here": imported.was_here,
        });
        return say(&format!("{line}\n"));
    }
    let told = if imported.was_here { "was here already" } else { "imported" };
    say(&format!("{}  {told}  sha256 {}\n", imported.path.display(), imported.sha256))
}

fn download(
    repo: &str,
    revision: Option<&str>,
    options: Option<&PlanOptions>,
    only_plan: bool,
    as_json: bool,
) -> Result<()> {
    let (_, hub) = places()?;
    let cancel = Cancel::default();
    let planned = shelf::plan(&hub, repo, revision, options, &cancel)?;
    let plan = &planned.plan;
    let files: Vec<Value> =
        plan.files.iter().map(|file| json!({ "name": file.name, "size_bytes": file.size_bytes })).collect();
    let told = &planned.told;
    if only_plan {
        if as_json {
            let line = json!({
                "repo": plan.repo.as_str(), "revision": plan.revision, "commit": plan.commit, "licence": plan.licence,
                "has_terms": told.has_terms, "files": files, "total_bytes": told.total_bytes,
                "missing_bytes": told.missing_bytes,
            });
            return say(&format!("{line}\n"));
        }
        let list = plan
            .files
            .iter()
            .fold(String::new(), |list, file| list + &format!("{:>10}  {}\n", bytes_text(file.size_bytes), file.name));
        let (missing, total) = (bytes_text(told.missing_bytes), bytes_text(told.total_bytes));
        return say(&format!("{list}{missing} of {total} to fetch\n"));
    }
    let licence = plan.licence.as_deref().unwrap_or("its card names none");
    note(&format!(
        "{} of {} to fetch; licence: {licence}",
        bytes_text(told.missing_bytes),
        bytes_text(told.total_bytes)
    ));
    let bar = bar(BAR);
    let downloaded = hub.download(plan, &cancel, &mut |progress| show(&bar, progress));
    bar.finish_and_clear();
    let downloaded = downloaded?;
    if as_json {
        let line = json!({
            "repo": plan.repo.as_str(), "revision": plan.revision, "commit": plan.commit, "licence": plan.licence,
            "path": downloaded.folder, "files": files, "total_bytes": told.total_bytes,
            "fetched_bytes": downloaded.fetched_bytes,
        });
        return say(&format!("{line}\n"));
    }
    say(&format!("{}\n", downloaded.folder.display()))
}

fn remove(name: &str, is_agreed: bool) -> Result<()> {
    let (places, hub) = places()?;
    let listing = shelf::list(&places, Some(&hub));
    let entry = shelf::find(&listing.entries, name)?;
    if !is_agreed {
        confirm(entry)?;
    }
    let freed = shelf::remove(&places, Some(&hub), entry)?;
    say(&format!("{} removed, {} are free again\n", entry.name, bytes_text(freed)))
}

/// Asks at the terminal.
fn confirm(entry: &ModelEntry) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(UserError::input(format!("{} would be removed from the disk", entry.name))
            .hint("give --yes where nobody can be asked")
            .path(&entry.path));
    }
    let question = format!("Remove {} ({})? [y/N] ", entry.path.display(), bytes_text(entry.size_bytes));
    // Where it cannot be asked, the answer is no.
    let _ = write!(std::io::stderr(), "{question}");
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(UserError { kind: ErrorKind::Cancelled, ..UserError::input("Nothing was removed") })
}

fn show(bar: &ProgressBar, progress: &Progress) {
    let progress = shelf::progress_of(progress);
    bar.set_length(progress.total_bytes);
    bar.set_position(progress.done_bytes);
    bar.set_message(progress_text(&progress));
}

fn progress_text(progress: &TransferProgress) -> String {
    let mut text = format!("{} of {}", bytes_text(progress.done_bytes), bytes_text(progress.total_bytes));
    match progress.stage {
        TransferStage::Checking => text += ", checking",
        TransferStage::Waiting => text += ", waiting",
        TransferStage::Moving => {
            if let Some(speed) = progress.bytes_per_sec {
                text = format!("{text}, {}/s", bytes_text(speed.max(0.0) as u64));
            }
            if let Some(secs) = progress.secs_left {
                text = format!("{text}, {} left", crate::studio::duration_text(secs));
            }
        }
    }
    text
}

fn say(text: &str) -> Result<()> {
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}

/// A line for people. Nothing is lost when stderr is closed.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "note: {text}");
}
