//! Pictures made again by their recipes: by the program as it is typed, and by the engine behind its channels.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier::domain::{
    Cancel, Command, Event, GenerateRequest, ImageFormat, Job, JobId, LoraUse, Machine, Outcome, Picture, Precision,
    Recipe,
};
use atelier::engine::{self, EngineHandle, Save};
use atelier::library::{encode_picture, read_info, read_picture};
use atelier::nn::operands;
use atelier::pipeline::Assets;
use serde_json::Value;
use tempfile::TempDir;

/// Long enough for the slowest machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_mins(2);

fn atelier(home: &Path, arguments: &[&str]) -> Output {
    Program::new(env!("CARGO_BIN_EXE_atelier"))
        .args(arguments)
        .env("ATELIER_HOME", home)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A picture of the starter, in two steps.
fn made(home: &TempDir) -> (PathBuf, Recipe) {
    let path = home.path().join("a.png");
    let arguments = ["generate", "a red dress", "--size", "64x64", "--steps", "2", "--seed", "5", "--out"];
    let output = atelier(home.path(), &[&arguments[..], &[path.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let recipe = read_info(&path).unwrap().embedded.recipe().unwrap();
    (path, recipe)
}

/// Writes a picture under another name, with changes.
fn changed(path: &Path, name: &str, recipe: &Recipe, change: impl FnOnce(&mut Picture)) -> PathBuf {
    let mut picture = read_picture(path).unwrap();
    change(&mut picture);
    let target = path.with_file_name(name);
    let format = ImageFormat::from_path(&target).unwrap();
    fs::write(&target, encode_picture(&picture, Some(recipe), format).unwrap()).unwrap();
    target
}

fn replayed(home: &TempDir, path: &Path) -> (Option<i32>, Value) {
    let output = atelier(home.path(), &["replay", path.to_str().unwrap(), "--json"]);
    let line = text(&output.stdout);
    (output.status.code(), serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}{}", text(&output.stderr))))
}

#[test]
fn a_picture_is_identical_near_or_another_one() {
    let home = TempDir::new().unwrap();
    let (path, recipe) = made(&home);
    let machine = recipe.machine.as_ref().unwrap();
    assert!(machine.device == "cpu" && machine.threads > 0 && !machine.kernels.is_empty(), "{machine:?}");
    let before = fs::read(&path).unwrap();
    let (code, line) = replayed(&home, &path);
    assert_eq!((code, line["outcome"].as_str()), (Some(0), Some("identical")), "{line}");
    assert_eq!(fs::read(&path).unwrap(), before, "nothing is saved");
    assert!(!home.path().join("pictures").exists());

    // One step apart in one channel of every px: a mean square of a third, 52.9 dB.
    let near = changed(&path, "near.png", &recipe, |picture| {
        picture.rgba.chunks_exact_mut(4).for_each(|px| px[0] = px[0].checked_add(1).unwrap_or(254));
    });
    let (code, line) = replayed(&home, &near);
    assert_eq!((code, line["outcome"].as_str()), (Some(0), Some("near")));
    assert!((line["psnr_db"].as_f64().unwrap() - 52.9).abs() < 0.01 && line["changed_px"] == 64 * 64, "{line}");

    // The recipe of another seed: another picture; and of another program's version and model.
    let other = Recipe {
        request: GenerateRequest { seed: 6, ..recipe.request.clone() },
        model_hash: "0123456789".into(),
        version: "Atelier 0.0.1".into(),
        ..recipe.clone()
    };
    let differs = changed(&path, "differs.png", &other, |_| ());
    let (code, line) = replayed(&home, &differs);
    assert_eq!((code, line["outcome"].as_str()), (Some(1), Some("differs")), "{line}");
    let reasons: Vec<&str> = line["reasons"].as_array().unwrap().iter().map(|r| r["field"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["Model", "Made by"]);
    let output = atelier(home.path(), &["replay", path.to_str().unwrap(), differs.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let (said, error) = (text(&output.stdout), text(&output.stderr));
    assert!(said.contains("Identical") && said.contains("0123456789"), "{said}");
    assert!(error.contains("1 of 2 pictures differ"), "{error}");

    let smaller = changed(&path, "size.png", &recipe, |picture| {
        *picture = Picture { width_px: 2, height_px: 1, rgba: vec![0; 8] };
    });
    assert_eq!(replayed(&home, &smaller).0, Some(1));
}

#[test]
fn what_is_missing_or_of_another_program_is_said_before_anything_is_loaded() {
    let home = TempDir::new().unwrap();
    let (path, recipe) = made(&home);
    let gone = home.path().join("gone.safetensors");
    let lora = LoraUse { path: gone.clone(), unet_weight: 1.0, text_encoder_weight: 1.0 };
    let request = GenerateRequest { loras: vec![lora], ..recipe.request.clone() };
    let with_lora = changed(&path, "lora.png", &Recipe { request, ..recipe.clone() }, |_| ());
    let foreign = Recipe { version: "ComfyUI".into(), model_name: "v1-5".into(), ..recipe };
    let foreign = changed(&path, "foreign.png", &foreign, |_| ());
    let plain = path.with_file_name("plain.png");
    let picture = read_picture(&path).unwrap();
    fs::write(&plain, encode_picture(&picture, None, ImageFormat::Png).unwrap()).unwrap();
    for (picture, expected) in
        [(&with_lora, "the LoRA"), (&foreign, "Another program"), (&plain, "no recipe"), (&gone, "gone.safetensors")]
    {
        let output = atelier(home.path(), &["replay", path.to_str().unwrap(), picture.to_str().unwrap()]);
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(expected), "{expected}: {error}");
        assert!(output.stdout.is_empty(), "the first was not made either");
    }
    // With the model said, one of another program can be tried.
    let output = atelier(home.path(), &["replay", foreign.to_str().unwrap(), "--model", "starter"]);
    assert!(output.status.success() && text(&output.stdout).contains("Identical"), "{}", text(&output.stderr));
}

#[test]
fn a_picture_is_made_again_as_exactly_as_it_was_made() {
    let home = TempDir::new().unwrap();
    let pictures = [("fast", Precision::Fast), ("exact", Precision::Exact)].map(|(flag, precision)| {
        let path = home.path().join(flag).with_extension("png");
        let arguments =
            ["generate", "a red dress", "--size", "64x64", "--steps", "4", "--seed", "5", "--precision", flag];
        let output = atelier(home.path(), &[&arguments[..], &["--out", path.to_str().unwrap()]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let machine = read_info(&path).unwrap().embedded.recipe().unwrap().machine.unwrap();
        assert_eq!(machine.precision, operands(precision));
        let (code, line) = replayed(&home, &path);
        assert_eq!((code, line["outcome"].as_str()), (Some(0), Some("identical")), "{flag}: {line}");
        read_picture(&path).unwrap()
    });
    // Where the processor has no products in 16 bits, the two are the same to the bit.
    let outcome = Outcome::of(&pictures[0], &pictures[1]);
    assert!(!matches!(outcome, Outcome::Differs(_)), "{outcome:?}");
    assert!(outcome == Outcome::Identical || operands(Precision::Fast) != operands(Precision::Exact));

    // What this processor cannot do as it was done then is a reason to be told.
    let (path, recipe) = made(&home);
    let machine = recipe.machine.clone().map(|machine| Machine { precision: "int8".into(), ..machine });
    let other = changed(&path, "other.png", &Recipe { machine, ..recipe }, |_| ());
    let (_, line) = replayed(&home, &other);
    assert_eq!(line["reasons"][0]["field"], "Precision", "{line}");
    assert_eq!(line["reasons"][0]["now"], operands(Precision::Fast));
}

/// All that the engine says of a job, to its end.
fn events(engine: &EngineHandle) -> Vec<Event> {
    let begun = Instant::now();
    let mut events = Vec::new();
    loop {
        assert!(begun.elapsed() < PATIENCE, "no end after {events:?}");
        let Some(event) = engine.try_event() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let is_end = matches!(event, Event::Done { .. } | Event::Failed { .. } | Event::Cancelled { .. });
        events.push(event);
        if is_end {
            return events;
        }
    }
}

#[test]
fn the_engine_makes_a_picture_again_and_saves_nothing() {
    let home = TempDir::new().unwrap();
    let (path, recipe) = made(&home);
    let save: Save = Box::new(|_, _, _| panic!("nothing is saved"));
    let engine = engine::spawn(save, Box::new(Assets::default), Box::new(|| ())).unwrap();
    let ask = |request: &GenerateRequest, original: &Path, cancel: Cancel| {
        let job = Job {
            id: JobId(u64::MAX),
            request: request.clone(),
            pictures_dir: home.path().into(),
            is_checked: false,
            done: 0,
            keeps_steps: false,
            cancel,
        };
        let precision = recipe.precision();
        engine.send(Command::Replay { job: Box::new(job), original: original.into(), precision }).unwrap();
        events(&engine)
    };
    let said = ask(&recipe.request, &path, Cancel::default());
    let outcome = said.iter().find_map(|event| match event {
        Event::Replayed { outcome, picture, .. } => Some((*outcome, Arc::clone(picture))),
        _ => None,
    });
    let (outcome, picture) = outcome.unwrap();
    assert!(outcome == Outcome::Identical && *picture == read_picture(&path).unwrap());
    assert!(matches!(said.last(), Some(Event::Done { .. })));

    let missing = GenerateRequest { vae: Some("/gone.safetensors".into()), ..recipe.request.clone() };
    let said = ask(&missing, &path, Cancel::default());
    let [Event::Started { .. }, Event::Failed { error, .. }] = said.as_slice() else { panic!("{said:?}") };
    assert!(error.sentence.contains("the VAE /gone.safetensors"), "{error}");
    let cancel = Cancel::default();
    cancel.cancel();
    assert!(matches!(ask(&recipe.request, &path, cancel).last(), Some(Event::Cancelled { .. })));
    assert!(matches!(
        ask(&recipe.request, Path::new("/gone.png"), Cancel::default()).last(),
        Some(Event::Failed { .. })
    ));
    engine.shut_down();
}
