//! `atelier gallery`: what is done with the pictures as a whole, without a window.

use std::io::Write;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::generate::note;
use crate::domain::{Result, UserError};
use crate::library::{self, ImportReport, Paths, load_settings};

/// Arguments of `atelier gallery`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    work: Work,
}

#[derive(clap::Subcommand)]
enum Work {
    /// Copy pictures that say how they were made into the pictures folder, each once: those of a batch that was made
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
        Work::Import { sources, json } => import(&sources, json),
    }
}

fn import(sources: &[PathBuf], json: bool) -> Result<()> {
    let paths = Paths::from_env()?;
    let settings = load_settings(&paths).settings;
    let paths = paths.with_settings(&settings);
    let bar = ProgressBar::no_length();
    // The template is a constant; a run of the program shows it.
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len} pictures, {eta} left") {
        bar.set_style(style);
    }
    let report = library::import(&paths, sources, &mut |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let ImportReport { added, known, without_recipe, problems } = report?;
    let printed = if json {
        json!({
            "added": added, "known": known, "without_recipe": without_recipe, "unreadable": problems.len(),
            "folder": paths.pictures_dir,
        })
        .to_string()
    } else {
        let folder = paths.pictures_dir.display();
        let mut line = format!("{} pictures added to {folder}, {known} were there already", added.len());
        if without_recipe > 0 {
            line.push_str(&format!(", {without_recipe} do not say how they were made and were left out"));
        }
        line
    };
    for problem in &problems {
        note(&problem.to_string().replace('\n', "; "));
    }
    writeln!(std::io::stdout(), "{printed}")
        .map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}
