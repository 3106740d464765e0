//! Trainings as the window runs them: in the engine's thread beside pictures, with the thread that keeps their files.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use atelier::dataset::garments::{GarmentSpec, Split, caption, render};
use atelier::domain::training::{
    Control, Method, SavePrecision, Sketch, TrainingCommand, TrainingConfig, TrainingEvent,
};
use atelier::domain::{
    Cancel, Command, Event, GenerateRequest, Job, JobId, Picture, PictureEntry, PictureId, Recipe, Result,
};
use atelier::engine::{EngineHandle, Save, spawn};
use atelier::pipeline::Assets;
use atelier::train;
use tempfile::TempDir;

/// Long enough for the slowest machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_mins(5);

/// Four pictures of garments with captions beside them.
fn pictures(folder: &Path) -> PathBuf {
    let folder = folder.join("pictures");
    fs::create_dir_all(&folder).unwrap();
    for index in 0..4 {
        let spec = GarmentSpec::sample(9, index, Split::Train);
        let image = image::RgbaImage::from_raw(96, 96, render(&spec, 96).rgba).unwrap();
        image::DynamicImage::ImageRgba8(image).into_rgb8().save(folder.join(format!("{index}.png"))).unwrap();
        fs::write(folder.join(format!("{index}.txt")), caption(&spec, index)).unwrap();
    }
    folder
}

/// A short training of the starter at 64 px.
fn settings(home: &Path, out: &str) -> TrainingConfig {
    let mut config = TrainingConfig {
        dataset: pictures(home),
        output: home.join(out),
        name: "garments".to_owned(),
        save_precision: SavePrecision::F32,
        seed: 5,
        ..TrainingConfig::default()
    };
    (config.lora.rank, config.lora.alpha) = (2, 2.0);
    config.fit_to_side(64);
    config.steps.steps = Some(8);
    config.optimizer.learning_rate = 1e-2;
    config.optimizer.warmup_steps = 1;
    (config.checkpoints.every, config.checkpoints.keep) = (2, 10);
    config.samples.prompts = vec!["a red dress".to_owned()];
    (config.samples.every, config.samples.steps) = (4, 2);
    config
}

fn train(config: &TrainingConfig) -> train::Outcome {
    train::run(config, false, &mut |_| Control::Continue).unwrap_or_else(|error| panic!("{error}"))
}

fn picture_job(id: u64) -> Command {
    let request = GenerateRequest {
        prompt: "a blue boot".to_owned(),
        width_px: 64,
        height_px: 64,
        num_inference_steps: 2,
        seed: 7,
        ..GenerateRequest::default()
    };
    Command::Generate(Box::new(Job {
        id: JobId(id),
        request,
        pictures_dir: PathBuf::from("pictures"),
        is_checked: true,
        done: 0,
        keeps_steps: false,
        cancel: Cancel::default(),
    }))
}

fn not_saving() -> Save {
    Box::new(|_: &Path, picture: &Picture, recipe: &Recipe| -> Result<PictureEntry> {
        Ok(PictureEntry {
            id: PictureId(1),
            path: PathBuf::from("1.png"),
            created_ms: 0,
            width_px: picture.width_px,
            height_px: picture.height_px,
            recipe: Some(recipe.clone()),
        })
    })
}

fn engine() -> EngineHandle {
    spawn(not_saving(), Box::new(Assets::default), Box::new(|| ())).unwrap()
}

fn next(engine: &EngineHandle) -> Event {
    let begun = Instant::now();
    loop {
        if let Some(event) = engine.try_event() {
            return event;
        }
        assert!(begun.elapsed() < PATIENCE, "the engine says nothing any more");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn command(engine: &EngineHandle, command: TrainingCommand) {
    engine.send(Command::Train(command)).unwrap();
}

#[test]
fn a_training_and_pictures_take_turns_and_neither_changes_the_other() {
    let home = TempDir::new().unwrap();
    let undisturbed = train(&settings(home.path(), "undisturbed"));
    let config = settings(home.path(), "disturbed");
    let engine = engine();
    command(&engine, TrainingCommand::Begin { config: Box::new(config.clone()), resume: false });
    engine.send(picture_job(1)).unwrap();
    let (mut steps, mut ended, mut made) = (Vec::new(), None, Vec::new());
    let (mut untrained, mut drawn, mut rows) = (None, None, 0);
    while ended.is_none() {
        match next(&engine) {
            Event::Training { event, memory } => match *event {
                TrainingEvent::Step(step) => {
                    assert!(memory.is_none_or(|bytes| bytes > 1 << 20));
                    steps.push(step.step);
                    if step.step == 4 {
                        command(&engine, TrainingCommand::Pause);
                    }
                }
                TrainingEvent::Sample { step: 0, picture, .. } => untrained = Some(picture),
                TrainingEvent::Rows(hardest) => {
                    rows = hardest.len();
                    assert!(hardest.windows(2).all(|two| two[0].relative >= two[1].relative));
                    assert!(hardest.iter().all(|row| row.picture.is_file() && !row.caption.is_empty()));
                }
                // It waits: pictures are made, and the weights as they are now are drawn with.
                TrainingEvent::Paused(_) => {
                    engine.send(picture_job(2)).unwrap();
                    let sketch = Sketch { prompt: "a red dress".to_owned(), seed: config.seed };
                    command(&engine, TrainingCommand::Draw(sketch));
                }
                TrainingEvent::Drawn { picture, untrained, path, .. } => {
                    assert!(path.is_file());
                    drawn = Some((picture, untrained));
                    if made.contains(&JobId(2)) {
                        command(&engine, TrainingCommand::GoOn);
                    }
                }
                TrainingEvent::Ended { step, files, .. } => ended = Some((step, files)),
                _ => {}
            },
            Event::Done { job } => {
                made.push(job);
                if job == JobId(2) && drawn.is_some() {
                    command(&engine, TrainingCommand::GoOn);
                }
            }
            Event::Failed { error, .. } | Event::TrainingFailed(error) => panic!("{error}"),
            _ => {}
        }
    }
    assert_eq!(made, [JobId(1), JobId(2)], "both were made before the training's end");
    assert_eq!((steps, rows), ((1..=8).collect(), 4));
    let (step, files) = ended.unwrap();
    assert_eq!(step, 8);
    for (one, other) in undisturbed.files.iter().zip(&files) {
        assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{} differs", other.display());
    }
    // The same prompt and noise: without what was learnt it is the sample from before the first step.
    let (trained, without) = drawn.unwrap();
    assert!(without == untrained, "a LoRA that is taken off leaves nothing behind");
    assert!(Some(trained) != untrained, "something was learnt");
    engine.shut_down();
}

#[test]
fn a_window_that_closes_saves_its_training() {
    let home = TempDir::new().unwrap();
    let mut config = settings(home.path(), "out");
    config.steps.steps = Some(100_000);
    config.checkpoints.every = 100_000;
    config.samples.prompts.clear();
    let engine = engine();
    command(&engine, TrainingCommand::Begin { config: Box::new(config.clone()), resume: false });
    loop {
        match next(&engine) {
            Event::Training { event, .. } if matches!(*event, TrainingEvent::Step(_)) => break,
            Event::TrainingFailed(error) => panic!("{error}"),
            _ => {}
        }
    }
    engine.shut_down();
    let past = train::past(&config.output).unwrap().unwrap();
    assert!(past.last().is_some_and(|step| step >= 1), "its state was saved");
    assert_eq!((past.steps, past.is_whole()), (Some(100_000), false));
    assert!(past.files[0].to_string_lossy().contains("garments-step-"), "{:?}", past.files);
}

#[test]
fn what_was_known_at_a_step_is_what_a_stop_there_would_have_written() {
    let home = TempDir::new().unwrap();
    let mut config = settings(home.path(), "whole");
    config.ema.enabled = true;
    train(&config);
    let mut stopped = settings(home.path(), "stopped");
    stopped.ema.enabled = true;
    let outcome = train::run(&stopped, false, &mut |event| match event {
        TrainingEvent::Step(step) if step.step == 4 => Control::StopAndSave,
        _ => Control::Continue,
    })
    .unwrap();
    let promoted = train::promote(&config, 4).unwrap();
    assert_eq!(promoted.len(), outcome.files.len());
    for (one, other) in outcome.files.iter().zip(&promoted) {
        assert_eq!(one.file_name(), other.file_name());
        assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{} differs", other.display());
    }
    assert!(train::promote(&config, 5).is_err(), "its state was not kept");
}

#[test]
fn a_folder_tells_what_was_done_in_it() {
    let home = TempDir::new().unwrap();
    let mut config = settings(home.path(), "out");
    config.validation.share = 0.25;
    config.validation.every = 4;
    let outcome = train(&config);
    let past = train::past(&config.output).unwrap().unwrap();
    assert_eq!(past.config, config);
    assert_eq!((past.checkpoints.as_slice(), past.steps), (&[2, 4, 6, 8][..], Some(8)));
    assert_eq!(past.log.iter().map(|step| step.step).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert_eq!(past.validations.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [0, 4, 8]);
    let samples: Vec<(u64, usize)> = past.samples.iter().map(|sample| (sample.step, sample.index)).collect();
    assert_eq!(samples, [(0, 0), (4, 0), (8, 0)]);
    assert!(past.is_whole());
    assert_eq!(past.files, outcome.files);
}

#[test]
fn what_is_foreseen_is_what_the_training_says_when_it_begins() {
    let home = TempDir::new().unwrap();
    for method in [Method::Lora, Method::Full] {
        let mut config = settings(home.path(), &format!("{method:?}"));
        config.method = method;
        config.text_encoder = true;
        (config.steps.steps, config.steps.epochs) = (None, Some(3));
        config.samples.prompts.clear();
        let foreseen = train::foresee(&config).unwrap();
        let mut said = None;
        train::run(&config, false, &mut |event| match event {
            TrainingEvent::Forecast(forecast) => {
                said = Some(forecast);
                Control::StopAndSave
            }
            _ => Control::Continue,
        })
        .unwrap();
        let said = said.unwrap();
        assert_eq!((foreseen.trained, foreseen.steps), (said.trained, said.steps), "{method:?}");
        assert_eq!(foreseen.memory, said.memory);
    }
}
