//! `atelier gallery`: what is done with the pictures as a whole, without a window.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::generate::note;
use super::progress::bar;
use crate::domain::{Cancel, Result, UserError};
use crate::library::{ImportReport, Index, Paths, import_all, load_settings};

/// Arguments of `atelier gallery`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    work: Work,
}

#[derive(clap::Subcommand)]
enum Work {
    /// Copy pictures into the pictures folder, each once, with how they were made: those of a batch that was made
    /// elsewhere, or of another program.
    Import {
        /// Folders and pictures.
        #[arg(required = true, value_name = "DIR|FILE")]
        sources: Vec<PathBuf>,
        /// Print the result as one line of JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Does the work.
///
/// # Errors
/// Bad input (exit code 2), failed work (exit code 1).
pub fn run(args: Args) -> Result<()> {
    match args.work {
        Work::Import { sources, json } => import(sources, json),
    }
}

fn import(sources: Vec<PathBuf>, json: bool) -> Result<()> {
    let paths = Paths::from_env()?;
    let settings = load_settings(&paths).settings;
    let paths = paths.with_settings(&settings);
    let mut index = Index::open(&paths)?;
    // What lies in the folder and was never listed is known too.
    index.rescan()?;
    let bar = bar("{wide_bar} {pos} of {len} pictures, {eta} left");
    let report = import_all(&mut index, sources, &Cancel::default(), &mut |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let ImportReport {
        total: _,
        taken,
        without_recipe,
        duplicates,
        not_understood,
        partly,
        failed,
        failures,
        is_cancelled: _,
    } = report?;
    let printed = if json {
        json!({
            "taken": taken, "duplicates": duplicates, "without_recipe": without_recipe,
            "understood_in_part": partly, "failed": failed, "folder": paths.pictures_dir,
        })
        .to_string()
    } else {
        let folder = paths.pictures_dir.display();
        let mut line = format!("{taken} pictures taken into {folder}, {duplicates} were there already");
        if without_recipe > 0 {
            // Writing to a text cannot fail.
            let _ = write!(line, ", {without_recipe} do not say how they were made");
        }
        if failed > 0 {
            let _ = write!(line, ", {failed} could not be taken in");
        }
        line
    };
    for (path, what) in &not_understood {
        note(&format!("{}: {}", path.display(), what.join("; ")));
    }
    for problem in &failures {
        note(&problem.to_string().replace('\n', "; "));
    }
    writeln!(std::io::stdout(), "{printed}")
        .map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}
