//! Does a training really teach? The starter is taught a print that it has never seen, and asked for it: and for what it
//! knew before.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use candle_core::Tensor;
use serde::Serialize;

use super::sample::{BATCH, SAMPLING, SampleSettings, sample};
use super::score::{Scores, judge_model};
use super::sheet::png;
use crate::dataset::garments::{GarmentSpec, ZebraJudge, zebra_lesson, zebra_picture, zebra_prompts};
use crate::domain::training::{Method, Schedule, Targets, TrainingConfig};
use crate::domain::{Cancel, ModelRef, Picture, Result, UserError};
use crate::library::write_atomically;
use crate::models::{self, AdapterUse, Model};
use crate::train::{Tell, run};

/// How a lesson is given, and what is asked after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LessonPlan {
    /// An adapter, or the whole model.
    pub method: Method,
    /// Steps of the training.
    pub steps: u64,
    /// Prompts for the print, none of them in the lesson.
    pub prompts: usize,
    /// Held-out prompts for what the model knew before.
    pub known: usize,
    /// Names the prompts and the noise of the pictures.
    pub seed: u64,
}

/// How often a model shows the print where it is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Shown {
    /// Prompts that were asked.
    pub prompts: usize,
    /// The share of pictures with the print.
    pub print: f64,
    /// The share of pictures with the print on the garment that was asked for.
    pub on_the_garment: f64,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prompts, print, on_the_garment } = self;
        let (print, on_the_garment) = (100.0 * print, 100.0 * on_the_garment);
        write!(
            f,
            "{prompts} prompts for the print: seen in {print:.1} %, on the right garment in {on_the_garment:.1} %"
        )
    }
}

/// What a model can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Standing {
    /// The print of the lesson.
    pub lesson: Shown,
    /// Everything else.
    pub known: Scores,
}

/// How a lesson went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lesson {
    /// Before it.
    pub before: Standing,
    /// After it.
    pub after: Standing,
    /// Steps of the training.
    pub steps: u64,
    /// Time of the training, its preparation included; of its last part where it was stopped meanwhile.
    pub training_secs: f64,
}

/// Pictures of the lesson, in px.
const SIDE: u32 = 128;

/// The settings of the lesson in a folder.
#[must_use]
pub fn lesson_settings(work: &Path, method: Method, steps: u64) -> TrainingConfig {
    let mut config = TrainingConfig {
        dataset: work.join("pictures"),
        output: work.join("training"),
        name: "zebra".to_owned(),
        method,
        // The word is as new as the print.
        text_encoder: true,
        ..TrainingConfig::default()
    };
    (config.lora.rank, config.lora.alpha, config.lora.targets) = (8, 8.0, Targets::Linear);
    config.pictures.resolution = SIDE;
    config.pictures.bucket_min = 64;
    (config.steps.steps, config.steps.batch) = (Some(steps), 8);
    let (rate, text_rate) = match method {
        Method::Lora => (2e-3, 1e-3),
        Method::Full => (2e-4, 1e-4),
    };
    config.optimizer.learning_rate = rate;
    config.optimizer.text_encoder_learning_rate = Some(text_rate);
    config.optimizer.schedule = Schedule::Cosine;
    config.optimizer.warmup_steps = (steps / 20).min(20);
    config.loss.caption_dropout = 0.0;
    config.samples.every = 0;
    config.checkpoints.every = 100;
    config
}

/// Draws the lesson's pictures into `work`, trains by them, and asks for what was taught and for what was known before and
/// after. A lesson that was stopped goes on. With it come the pictures of the lesson's prompts, before and after.
///
/// # Errors
/// As [`run()`], and when a network or the disk fails.
pub fn teach(work: &Path, plan: LessonPlan, tell: &mut Tell<'_>) -> Result<(Lesson, [Vec<Picture>; 2])> {
    let folder = work.join("pictures");
    for (i, (spec, text)) in zebra_lesson().iter().enumerate() {
        write_atomically(&folder.join(format!("{i:02}.png")), &png(&zebra_picture(spec, SIDE))?)?;
        write_atomically(&folder.join(format!("{i:02}.txt")), text.as_bytes())?;
    }
    let begun = Instant::now();
    let outcome = run(&lesson_settings(work, plan.method, plan.steps), true, tell)?;
    let training_secs = begun.elapsed().as_secs_f64();
    if outcome.step < outcome.steps {
        return Err(UserError::cancelled());
    }
    let made = outcome.files.first().ok_or_else(|| UserError::failed("The lesson made nothing"))?;
    let (cancel, open) =
        (Cancel::default(), |model: &ModelRef| models::open(model, None, &Cancel::default(), &mut |_| ()));
    let untaught = open(&ModelRef::Starter)?;
    let (before, pictures_before) = standing(&untaught, plan, &cancel)?;
    let taught = match plan.method {
        Method::Full => open(&ModelRef::Path(made.clone()))?,
        Method::Lora => {
            let mut model = untaught;
            model.wear(&[AdapterUse { path: made.clone(), unet_weight: 1.0, text_encoder_weight: 1.0 }])?;
            model
        }
    };
    let (after, pictures_after) = standing(&taught, plan, &cancel)?;
    Ok((Lesson { before, after, steps: plan.steps, training_secs }, [pictures_before, pictures_after]))
}

/// What a model can do, with the pictures of the lesson's prompts.
fn standing(model: &Model, plan: LessonPlan, cancel: &Cancel) -> Result<(Standing, Vec<Picture>)> {
    let (lesson, pictures) = judge_lesson(model, plan.prompts, SampleSettings { seed: plan.seed, ..SAMPLING })?;
    let settings = SampleSettings { seed: plan.seed, ..SAMPLING };
    let (known, _) = judge_model(model, plan.known, settings, cancel, &mut |_| ())?;
    Ok((Standing { lesson, known }, pictures))
}

/// Has a model of the starter family draw `count` prompts for the lesson's print, none of them in the lesson, and judges the
/// pictures.
///
/// # Errors
/// When a network fails.
pub fn judge_lesson(model: &Model, count: usize, settings: SampleSettings) -> Result<(Shown, Vec<Picture>)> {
    let asked = zebra_prompts(count, settings.seed);
    let pictures = drawn(model, &asked, settings)?;
    Ok((shown(&ZebraJudge::new(), &pictures, &asked), pictures))
}

fn shown(judge: &ZebraJudge, pictures: &[Picture], asked: &[(GarmentSpec, String)]) -> Shown {
    let seen: Vec<(bool, bool)> =
        pictures.iter().zip(asked).map(|(picture, (spec, _))| judge.see(picture, spec)).collect();
    let share = |count: usize| count as f64 / seen.len().max(1) as f64;
    Shown {
        prompts: seen.len(),
        print: share(seen.iter().filter(|(print, _)| *print).count()),
        on_the_garment: share(seen.iter().filter(|(print, garment)| *print && *garment).count()),
    }
}

fn drawn(model: &Model, asked: &[(GarmentSpec, String)], settings: SampleSettings) -> Result<Vec<Picture>> {
    let scale = 1.0 / model.vae.config().scaling_factor;
    let decode = |latents: Tensor| model.vae.decode(&(latents * scale)?);
    let mut pictures = Vec::with_capacity(asked.len());
    for (i, asked) in asked.chunks(BATCH).enumerate() {
        let texts: Vec<String> = asked.iter().map(|(_, text)| text.clone()).collect();
        let settings = SampleSettings { seed: settings.seed.wrapping_add(i as u64), ..settings };
        pictures.extend(sample(&texts, &model.text, &model.unet, &decode, settings)?);
    }
    Ok(pictures)
}
