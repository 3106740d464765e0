//! Does a training really teach? The starter is taught a print that it has never seen, and asked for it.

use std::path::Path;
use std::time::Instant;

use candle_core::Tensor;
use serde::Serialize;

use super::sample::{BATCH, SAMPLING, SampleSettings, sample};
use super::sheet::png;
use crate::dataset::garments::{GarmentSpec, ZebraJudge, zebra_lesson, zebra_picture, zebra_prompts};
use crate::domain::training::{Schedule, Targets, TrainingConfig};
use crate::domain::{Cancel, ModelRef, Picture, Result, UserError};
use crate::library::write_atomically;
use crate::models::{self, AdapterUse, Model};
use crate::train::{Tell, run};

/// How the lesson went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lesson {
    /// Prompts that were asked, none of them in the lesson.
    pub prompts: usize,
    /// The share of pictures with the print before the lesson.
    pub before: f64,
    /// The same after it.
    pub after: f64,
    /// The share of pictures with the print on the garment that was asked for, after it.
    pub on_the_garment: f64,
    /// Time of the training, its preparation included.
    pub training_secs: f64,
}

/// Pictures of the lesson, in px.
const SIDE: u32 = 128;

/// The settings of the lesson in a folder.
#[must_use]
pub fn lesson_settings(work: &Path, steps: u64) -> TrainingConfig {
    let mut config = TrainingConfig {
        dataset: work.join("pictures"),
        output: work.join("training"),
        name: "zebra".to_owned(),
        text_encoder: true,
        ..TrainingConfig::default()
    };
    (config.lora.rank, config.lora.alpha, config.lora.targets) = (8, 8.0, Targets::Linear);
    config.pictures.resolution = SIDE;
    config.pictures.bucket_min = 64;
    (config.steps.steps, config.steps.batch) = (Some(steps), 8);
    config.optimizer.learning_rate = 2e-3;
    config.optimizer.text_encoder_learning_rate = Some(1e-3);
    config.optimizer.schedule = Schedule::Cosine;
    config.optimizer.warmup_steps = (steps / 20).min(20);
    config.loss.caption_dropout = 0.0;
    config.samples.every = 0;
    config.checkpoints.every = 100;
    config
}

/// Draws the lesson's pictures into `work`, trains an adapter by them, and asks for what was taught before and after.
/// A lesson that was stopped goes on. With it come the pictures that were drawn after it.
///
/// # Errors
/// As [`run()`], and when a network or the disk fails.
pub fn teach(work: &Path, steps: u64, count: usize, seed: u64, tell: &mut Tell<'_>) -> Result<(Lesson, Vec<Picture>)> {
    let folder = work.join("pictures");
    for (i, (spec, text)) in zebra_lesson().iter().enumerate() {
        write_atomically(&folder.join(format!("{i:02}.png")), &png(&zebra_picture(spec, SIDE))?)?;
        write_atomically(&folder.join(format!("{i:02}.txt")), text.as_bytes())?;
    }
    let begun = Instant::now();
    let outcome = run(&lesson_settings(work, steps), true, tell)?;
    let training_secs = begun.elapsed().as_secs_f64();
    if outcome.step < outcome.steps {
        return Err(UserError::cancelled());
    }
    let adapter = outcome.files.first().ok_or_else(|| UserError::failed("The lesson made no adapter"))?;
    let mut model = models::open(&ModelRef::Starter, None, &Cancel::default(), &mut |_| ())?;
    let asked = zebra_prompts(count, seed);
    let judge = ZebraJudge::new();
    let before = shares(&judge, &drawn(&model, &asked, seed)?, &asked).0;
    model.wear(&[AdapterUse { path: adapter.clone(), unet_weight: 1.0, text_encoder_weight: 1.0 }])?;
    let pictures = drawn(&model, &asked, seed)?;
    let (after, on_the_garment) = shares(&judge, &pictures, &asked);
    Ok((Lesson { prompts: count, before, after, on_the_garment, training_secs }, pictures))
}

/// The shares of pictures with the print, and with it on the right garment.
fn shares(judge: &ZebraJudge, pictures: &[Picture], asked: &[(GarmentSpec, String)]) -> (f64, f64) {
    let seen: Vec<(bool, bool)> =
        pictures.iter().zip(asked).map(|(picture, (spec, _))| judge.see(picture, spec)).collect();
    let share = |count: usize| count as f64 / seen.len().max(1) as f64;
    let with_print = seen.iter().filter(|(print, _)| *print).count();
    (share(with_print), share(seen.iter().filter(|(print, garment)| *print && *garment).count()))
}

fn drawn(model: &Model, asked: &[(GarmentSpec, String)], seed: u64) -> Result<Vec<Picture>> {
    let scale = 1.0 / model.vae.config().scaling_factor;
    let decode = |latents: Tensor| model.vae.decode(&(latents * scale)?);
    let mut pictures = Vec::with_capacity(asked.len());
    for (i, asked) in asked.chunks(BATCH).enumerate() {
        let texts: Vec<String> = asked.iter().map(|(_, text)| text.clone()).collect();
        let settings = SampleSettings { seed: seed.wrapping_add(i as u64), ..SAMPLING };
        pictures.extend(sample(&texts, &model.text, &model.unet, &decode, settings)?);
    }
    Ok(pictures)
}
