//! `atelier starter`: makes the model inside the program again. Every command can be killed and given again; it goes on
//! where it was.

use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde_json::json;

use super::progress::bar;
use crate::dataset::garments::{GarmentSpec, Split, render};
use crate::domain::training::{Control, Method, TrainingEvent};
use crate::domain::{Cancel, ModelRef, Picture, Result, UserError};
use crate::library::write_atomically;
use crate::models::{self, AdapterUse};
use crate::train::starter::{self, LessonPlan, Progress, Rhythm, SampleSettings, Standing, UNetSettings, VaeSettings};

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
    /// Teach it a print that it has never seen, from forty pictures, and ask before and after for that and for what it
    /// knew.
    Teach(Teaching),
    /// Ask a model for held-out garments, and judge what it draws.
    Judge(Judging),
}

/// A lesson, and what is asked after it.
#[derive(clap::Args)]
struct Teaching {
    /// The folder of pictures, checkpoints and what is made.
    #[arg(long, default_value = "starter-lesson", value_name = "DIR")]
    work: PathBuf,
    /// Train the whole model instead of an adapter.
    #[arg(long)]
    whole: bool,
    /// Steps of the training.
    #[arg(long, default_value_t = 400, value_name = "N")]
    steps: u64,
    /// How many prompts for the print, none of them in the lesson.
    #[arg(long, default_value_t = 100, value_name = "N")]
    count: usize,
    /// How many held-out prompts for what it knew before.
    #[arg(long, default_value_t = 200, value_name = "N")]
    known: usize,
    /// Seed of the prompts.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Also write a sheet of what was drawn for the first prompts, a row before the lesson above a row after it (PNG).
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Also draw the loss over the steps (SVG).
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,
    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// What is asked of a model.
#[derive(clap::Args)]
struct Judging {
    /// The model: `starter`, or a folder that `export` or a training wrote.
    #[arg(long, default_value = "starter", value_name = "NAME|PATH")]
    model: String,
    /// An adapter that it wears.
    #[arg(long, value_name = "FILE")]
    lora: Option<PathBuf>,
    /// Ask for the print that `teach` teaches.
    #[arg(long)]
    lesson: bool,
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
/// Rows of a lesson's sheet, each of them twice: before and after.
const LESSON_ROWS: usize = 2;

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
        Step::Teach(teaching) => teach(&teaching),
        Step::Judge(judging) => judge(&judging),
    }
}

fn teach(teaching: &Teaching) -> Result<()> {
    let Teaching { work, whole, steps, count, known, seed, .. } = teaching;
    let method = if *whole { Method::Full } else { Method::Lora };
    let plan = LessonPlan { method, steps: *steps, prompts: *count, known: *known, seed: *seed };
    let bar = bar(BAR);
    let (lesson, [before, after]) = starter::teach(work, plan, &mut |event| {
        if let TrainingEvent::Step(step) = event {
            bar.set_length(step.steps);
            bar.set_position(step.step);
            bar.set_message(format!("loss {:.4}, {:.2} s a step", step.smoothed, step.secs_per_step));
        }
        Control::Continue
    })?;
    bar.finish_and_clear();
    if let Some(path) = &teaching.sheet {
        let rows = before.chunks(COLUMNS).zip(after.chunks(COLUMNS)).take(LESSON_ROWS);
        let pictures: Vec<Picture> = rows.flat_map(|(before, after)| [before, after].concat()).collect();
        write_sheet(path, &pictures)?;
    }
    if let Some(path) = &teaching.curve {
        let losses = starter::logged_losses(&work.join("training/log.jsonl"))?;
        write_atomically(path, starter::loss_curve(&losses).as_bytes())?;
        say(&format!("{}", path.display()))?;
    }
    if teaching.json {
        return say(&json!(lesson).to_string());
    }
    let standing =
        |name: &str, standing: &Standing| say(&format!("{name} {}\n       {}", standing.lesson, standing.known));
    standing("before", &lesson.before)?;
    standing("after ", &lesson.after)?;
    say(&format!("{:.0} s for {} steps of training", lesson.training_secs, lesson.steps))
}

fn judge(judging: &Judging) -> Result<()> {
    let Judging { count, sheet, shown, .. } = judging;
    let settings = SampleSettings { guidance_scale: judging.guidance, seed: judging.seed, ..starter::SAMPLING };
    let cancel = Cancel::default();
    let mut model = models::open(&ModelRef::parse(&judging.model), None, &cancel, &mut |_| ())?;
    if let Some(path) = &judging.lora {
        model.wear(&[AdapterUse { path: path.clone(), unet_weight: 1.0, text_encoder_weight: 1.0 }])?;
    }
    let bar = bar(BAR);
    bar.set_length(*count as u64);
    let (text, value, pictures) = if judging.lesson {
        let (shown, pictures) = starter::judge_lesson(&model, *count, settings)?;
        (shown.to_string(), json!(shown), pictures)
    } else {
        let (scores, pictures) =
            starter::judge_model(&model, *count, settings, &cancel, &mut |done| bar.set_position(done as u64))?;
        (scores.to_string(), json!(scores), pictures)
    };
    bar.finish_and_clear();
    if let Some(path) = sheet {
        write_sheet(path, &pictures[..pictures.len().min(*shown)])?;
    }
    say(&if judging.json { value.to_string() } else { text })
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
