//! `atelier starter`: makes the model inside the program again. Every command can be killed and given again; it goes on
//! where it was.

use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde_json::json;

use super::progress::bar;
use crate::dataset::garments::{GarmentSpec, Split, render};
use crate::domain::training::{Control, TrainingEvent};
use crate::domain::{Cancel, ModelRef, Picture, Result, UserError};
use crate::library::write_atomically;
use crate::models;
use crate::train::starter::{self, Lesson, Progress, Rhythm, SampleSettings, UNetSettings, VaeSettings};

/// How the progress of it is shown.
const BAR: &str = "{msg} {wide_bar} {pos} of {len}";

/// Arguments of `atelier starter`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(clap::Subcommand)]
enum Step {
    /// Draw a sheet of the pictures that the starter learns from.
    Draw {
        /// Where the sheet goes (PNG).
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Seed of the pictures.
        #[arg(long, default_value_t = 0, value_name = "N")]
        seed: u64,
    },
    /// Train the autoencoder.
    TrainVae(Training),
    /// Train the text encoder and the denoising network, after the autoencoder.
    TrainUnet(Training),
    /// Write the trained parts as a model folder (f16).
    Export {
        #[command(flatten)]
        training: Training,
        /// Where the model folder goes.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Teach it a print that it has never seen, by an adapter from forty pictures, and ask for that before and after.
    Teach {
        /// The folder of pictures, checkpoints and the adapter.
        #[arg(long, default_value = "starter-lesson", value_name = "DIR")]
        work: PathBuf,
        /// Steps of the training.
        #[arg(long, default_value_t = 400, value_name = "N")]
        steps: u64,
        /// How many prompts, none of them in the lesson.
        #[arg(long, default_value_t = 50, value_name = "N")]
        count: usize,
        /// Seed of the prompts.
        #[arg(long, default_value_t = 0, value_name = "N")]
        seed: u64,
        /// Also write what was drawn as a sheet (PNG).
        #[arg(long, value_name = "FILE")]
        sheet: Option<PathBuf>,
        /// Print the result as one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ask a model for held-out garments, and judge what it draws.
    Judge {
        /// The model: `starter`, or a folder that `export` wrote.
        #[arg(long, default_value = "starter", value_name = "NAME|PATH")]
        model: String,
        /// How many prompts.
        #[arg(long, default_value_t = 200, value_name = "N")]
        count: usize,
        /// Seed of the prompts.
        #[arg(long, default_value_t = 0, value_name = "N")]
        seed: u64,
        /// Guidance scale.
        #[arg(long, default_value_t = starter::SAMPLING.guidance_scale, value_name = "X")]
        guidance: f64,
        /// Also write what was drawn as a sheet (PNG).
        #[arg(long, value_name = "FILE")]
        sheet: Option<PathBuf>,
        /// How many pictures the sheet shows, from the first.
        #[arg(long, default_value_t = 64, value_name = "N")]
        shown: usize,
        /// Print the scores as one line of JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Where a training is kept, and how long it is.
#[derive(clap::Args)]
struct Training {
    /// The folder of checkpoints, logs and looks.
    #[arg(long, default_value = "starter-work", value_name = "DIR")]
    work: PathBuf,
    /// Steps of the autoencoder's training [default: that of the shipped model].
    #[arg(long, value_name = "N")]
    vae_steps: Option<u64>,
    /// Steps of the denoising network's training [default: that of the shipped model].
    #[arg(long, value_name = "N")]
    unet_steps: Option<u64>,
    /// Pictures that the denoising network learns from [default: that of the shipped model].
    #[arg(long, value_name = "N")]
    pictures: Option<u64>,
}

/// How often a training logs, saves and shows something.
const RHYTHM: Rhythm = Rhythm { log: 20, save: 250, look: 500 };
/// Pictures beside each other on a sheet.
const COLUMNS: usize = 8;

impl Training {
    fn vae(&self) -> VaeSettings {
        let defaults = VaeSettings::default();
        VaeSettings { steps: self.vae_steps.unwrap_or(defaults.steps), ..defaults }
    }

    fn unet(&self) -> UNetSettings {
        let defaults = UNetSettings::default();
        UNetSettings {
            steps: self.unet_steps.unwrap_or(defaults.steps),
            pictures: self.pictures.unwrap_or(defaults.pictures),
            ..defaults
        }
    }
}

/// Does one step of making the starter.
///
/// # Errors
/// A training that the step before has not finished, a folder that cannot be written, a model that cannot be loaded.
pub fn run(args: Args) -> Result<()> {
    let cancel = Cancel::default();
    match args.step {
        Step::Draw { out, seed } => {
            let specs = (0..64).map(|index| GarmentSpec::sample(seed, index, Split::Train));
            let pictures: Vec<Picture> = specs.map(|spec| render(&spec, 128)).collect();
            write_sheet(&out, &pictures)
        }
        Step::TrainVae(training) => {
            let bar = bar(BAR);
            starter::train_vae(&training.work.join("vae"), &training.vae(), RHYTHM, &cancel, &mut |state| {
                show(&bar, state);
            })
        }
        Step::TrainUnet(training) => {
            let bar = bar(BAR);
            let (vae, unet) = (training.vae(), training.unet());
            let mut encoded = |count: u64| bar.set_message(format!("{count} pictures encoded"));
            starter::train_unet(&training.work, &vae, &unet, RHYTHM, &cancel, &mut encoded, &mut |state| {
                show(&bar, state);
            })
        }
        Step::Export { training, out } => {
            starter::export(&training.work, &training.vae(), &training.unet(), &out)?;
            say(&format!("{}", out.display()))
        }
        Step::Teach { work, steps, count, seed, sheet, json } => {
            let bar = bar(BAR);
            let (lesson, pictures) = starter::teach(&work, steps, count, seed, &mut |event| {
                if let TrainingEvent::Step(step) = event {
                    bar.set_length(step.steps);
                    bar.set_position(step.step);
                    bar.set_message(format!("loss {:.4}, {:.2} s a step", step.smoothed, step.secs_per_step));
                }
                Control::Continue
            })?;
            bar.finish_and_clear();
            if let Some(path) = sheet {
                write_sheet(&path, &pictures)?;
            }
            if json {
                return say(&json!(lesson).to_string());
            }
            let Lesson { prompts, before, after, on_the_garment, training_secs } = lesson;
            say(&format!(
                "{prompts} prompts: the print in {:.0} % of pictures before, {:.0} % after (on the right garment {:.0} %), \
                 {:.0} s of training",
                100.0 * before,
                100.0 * after,
                100.0 * on_the_garment,
                training_secs
            ))
        }
        Step::Judge { model, count, seed, guidance, sheet, shown, json } => {
            let settings = SampleSettings { guidance_scale: guidance, seed, ..starter::SAMPLING };
            judge(&model, count, settings, sheet.as_deref().map(|path| (path, shown)), json)
        }
    }
}

fn judge(
    model: &str,
    count: usize,
    settings: SampleSettings,
    sheet: Option<(&Path, usize)>,
    as_json: bool,
) -> Result<()> {
    let cancel = Cancel::default();
    let model = models::open(&ModelRef::parse(model), None, &cancel, &mut |_| ())?;
    let bar = bar(BAR);
    bar.set_length(count as u64);
    let (scores, pictures) =
        starter::judge_model(&model, count, settings, &cancel, &mut |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    if let Some((path, shown)) = sheet {
        write_sheet(path, &pictures[..shown.min(pictures.len())])?;
    }
    if as_json {
        return say(&json!(scores).to_string());
    }
    let percent = |share: f64| 100.0 * share;
    say(&format!(
        "{} prompts: colour {:.1} %, garment {:.1} %, pattern {:.1} %, all three {:.1} %",
        scores.count,
        percent(scores.colour),
        percent(scores.garment),
        percent(scores.pattern),
        percent(scores.all)
    ))
}

fn write_sheet(path: &Path, pictures: &[Picture]) -> Result<()> {
    write_atomically(path, &starter::png(&starter::sheet(pictures, COLUMNS))?)?;
    say(&format!("{}", path.display()))
}

fn show(bar: &ProgressBar, state: &Progress) {
    bar.set_length(state.steps);
    bar.set_position(state.step);
    let minutes = state.eta_secs / 60.0;
    bar.set_message(format!("loss {:.4}, {:.2} s a step, {minutes:.0} min left", state.loss, state.secs_per_step));
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
        .map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}
