//! Trainings from settings to files: stopped, killed and resumed, with whole networks and with adapters, in the formats of
//! other programs.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use atelier::dataset::garments::{GarmentSpec, Split, caption, render};
use atelier::domain::training::{Control, Crop, Method, SavePrecision, Targets, TrainingConfig, TrainingEvent};
use atelier::domain::{Cancel, ComputeType, DeviceChoice, ModelRef, Precision, Result};
use atelier::models::{self, AdapterUse, Backend, Model, Part, Placement};
use atelier::train::{self, Learner, on_deep_stack};
use atelier::weights::layout::{self, Component};
use atelier::weights::{TensorFile, open_file};
use candle_core::{Device, Tensor};
use serde_json::Value;
use tempfile::TempDir;

/// Six pictures of garments with captions beside them; two are not square.
fn pictures(folder: &Path) -> PathBuf {
    let folder = folder.join("pictures");
    fs::create_dir_all(&folder).unwrap();
    for index in 0..6 {
        let spec = GarmentSpec::sample(9, index, Split::Train);
        let picture = render(&spec, 96);
        let mut image = image::RgbaImage::from_raw(96, 96, picture.rgba).unwrap();
        if index > 3 {
            image = image::imageops::crop_imm(&image, 0, 0, 96, 64).to_image();
        }
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
        ..TrainingConfig::default()
    };
    (config.lora.rank, config.lora.alpha) = (2, 3.0);
    config.pictures.resolution = 64;
    (config.pictures.bucket_min, config.pictures.bucket_max) = (64, 128);
    config.steps.steps = Some(6);
    config.optimizer.learning_rate = 1e-2;
    config.optimizer.warmup_steps = 1;
    config.checkpoints.every = 2;
    config
}

fn open(model: &ModelRef) -> Model {
    models::open(model, None, &Cancel::default(), &mut |_| ()).unwrap()
}

fn train(config: &TrainingConfig, resume: bool) -> train::Outcome {
    train::run(config, resume, &mut |_| Control::Continue).unwrap_or_else(|error| panic!("{error}"))
}

/// Stops a training after a step.
fn train_until(config: &TrainingConfig, last: u64) -> train::Outcome {
    train::run(config, false, &mut |event| match event {
        TrainingEvent::Step(step) if step.step == last => Control::StopAndSave,
        _ => Control::Continue,
    })
    .unwrap()
}

fn last_checkpoint(config: &TrainingConfig) -> PathBuf {
    let entries = fs::read_dir(config.output.join("checkpoints")).unwrap();
    entries.map(|entry| entry.unwrap().path()).max().unwrap()
}

/// Every step of a training's log with its loss.
fn losses(config: &TrainingConfig) -> Vec<(u64, f64)> {
    let text = fs::read_to_string(config.output.join("log.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| Some((line["step"].as_u64()?, line["loss"].as_f64()?))).collect()
}

/// All settings that draw random numbers or remember something.
fn restless(home: &Path, out: &str) -> TrainingConfig {
    let mut config = settings(home, out);
    config.text_encoder = true;
    config.optimizer.text_encoder_learning_rate = Some(1e-3);
    config.lora.targets = Targets::All;
    config.pictures.crop = Crop::Random;
    config.pictures.flip = true;
    config.pictures.buckets = true;
    (config.steps.batch, config.steps.accumulation) = (2, 2);
    config.ema.enabled = true;
    config.loss.noise_offset = 0.1;
    config.loss.caption_dropout = 0.5;
    config.validation.share = 0.2;
    config.validation.every = 2;
    config.samples.prompts = vec!["a red dress".to_owned()];
    (config.samples.every, config.samples.steps) = (3, 2);
    config
}

/// By the operations of graphics cards, whose place the processor takes. What is trained stays in f32, so that the losses
/// follow those of f32 as closely as the network's numbers do: of bf16's eight digits two are lost in its depth.
#[test]
fn in_16_bits_a_training_learns_nearly_the_same() {
    let home = TempDir::new().unwrap();
    let exact = settings(home.path(), "exact");
    train(&exact, false);
    for numbers in [ComputeType::F16, ComputeType::Bf16] {
        let mut config = settings(home.path(), &numbers.to_string());
        config.steps.gradient_checkpointing = numbers == ComputeType::Bf16;
        let placement = Placement::on(Backend::open(DeviceChoice::Portable), Precision::Fast);
        let placement = placement.in_numbers(Part::UNet, numbers);
        train::run_on(placement, &config, false, &mut |_| Control::Continue).unwrap();
        let (wanted, found) = (losses(&exact), losses(&config));
        assert_eq!(found.len(), wanted.len());
        for ((step, wanted), (_, found)) in wanted.iter().zip(&found) {
            assert!((found / wanted - 1.0).abs() < 0.05, "{numbers} step {step}: {found} instead of {wanted}");
        }
        assert!(config.output.join("garments.safetensors").is_file());
    }
}

#[test]
fn a_training_that_was_stopped_ends_with_the_same_bits() {
    let home = TempDir::new().unwrap();
    let whole = restless(home.path(), "whole");
    let outcome = train(&whole, false);
    assert_eq!((outcome.step, outcome.steps), (6, 6));
    let stopped = restless(home.path(), "stopped");
    let half = train_until(&stopped, 3);
    assert_eq!((half.step, half.steps), (3, 6));
    assert!(half.files.iter().all(|file| file.is_file() && file.to_string_lossy().contains("-step-000003")));
    // Again without saying so is refused, and with other settings too.
    let refuse = |config: &TrainingConfig, resume| train::run(config, resume, &mut |_| Control::Continue).unwrap_err();
    assert!(refuse(&stopped, false).sentence.contains("holds a training already"));
    let mut other = stopped.clone();
    other.optimizer.beta1 = 0.5;
    let error = refuse(&other, true);
    assert!(error.sentence.contains("optimizer.beta1"), "{error}");
    // What decides no numbers may change.
    let mut resumed = stopped;
    resumed.checkpoints.every = 5;
    resumed.samples.every = 0;
    let finished = train(&resumed, true);
    assert_eq!(fs::read(last_checkpoint(&whole)).unwrap(), fs::read(last_checkpoint(&resumed)).unwrap());
    for (a, b) in outcome.files.iter().zip(&finished.files) {
        assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap());
    }
    // Every step is in the log once, with the same loss.
    assert_eq!(losses(&whole), losses(&resumed));
    assert_eq!(losses(&whole).iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(whole.output.join("samples/step-000003-1.png").is_file());
    assert!(fs::read_to_string(whole.output.join("log.jsonl")).unwrap().contains("validation_loss"));
}

#[test]
fn blocks_that_are_computed_again_give_the_same_bits() {
    for method in [Method::Lora, Method::Full] {
        let home = TempDir::new().unwrap();
        let made = [("plain", false), ("again", true)].map(|(out, checkpointing)| {
            let mut config = settings(home.path(), out);
            config.method = method;
            config.text_encoder = true;
            config.optimizer.learning_rate = 1e-3;
            config.steps.steps = Some(3);
            config.steps.gradient_checkpointing = checkpointing;
            train(&config, false);
            (losses(&config), fs::read(last_checkpoint(&config)).unwrap())
        });
        assert_eq!(made[0].0, made[1].0);
        assert!(made[0].1 == made[1].1, "{method:?}: weights or moments differ");
    }
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn both_forms_of_an_adapter_do_what_was_trained() {
    for (model, targets) in [
        (ModelRef::Starter, Targets::All),
        (reference("models/sd1"), Targets::Linear),
        (reference("models/sdxl"), Targets::Linear),
    ] {
        if !is_here(&model) {
            continue;
        }
        let home = TempDir::new().unwrap();
        let mut config = settings(home.path(), "out");
        config.model = model.clone();
        config.lora.targets = targets;
        config.text_encoder = true;
        config.steps.steps = Some(3);
        let outcome = train(&config, false);
        let texts = ["a red dress", ""];
        let worn: Vec<(Vec<f32>, Vec<f32>)> = outcome
            .files
            .iter()
            .map(|file| {
                let mut model = open(&model);
                let mix = [AdapterUse { path: file.clone(), unet_weight: 1.0, text_encoder_weight: 1.0 }];
                let reports = model.wear(&mix).unwrap();
                assert!(reports[0].ignored.is_empty() && reports[0].notes.is_empty(), "{:?}", reports[0]);
                (unet_output(&model), encoded(&model, &texts))
            })
            .collect();
        assert_eq!(worn.len(), 2, "kohya's and diffusers'");
        assert_eq!(worn[0], worn[1]);
        let before = open(&model);
        assert!(difference(&unet_output(&before), &worn[0].0) > 1e-3, "it learnt nothing");
        assert!(difference(&encoded(&before, &texts), &worn[0].1) > 1e-4, "the text encoder learnt nothing");
        // And it is what the training itself computes with.
        let (found, text) = on_deep_stack(|| {
            let (learner, parameters) = Learner::new(open(&model), &config)?;
            let file = TensorFile::open(&last_checkpoint(&config))?;
            let values: Vec<Vec<f32>> = parameters
                .iter()
                .map(|parameter| file.read_f32(&format!("parameter.{}", parameter.name)))
                .collect::<Result<_>>()?;
            parameters.set_values(&values)?;
            Ok((unet_output(&learner.model), encoded(&learner.model, &texts)))
        })
        .unwrap();
        assert!(difference(&found, &worn[0].0) < 2e-4, "{}", difference(&found, &worn[0].0));
        assert!(difference(&text, &worn[0].1) < 2e-4, "{}", difference(&text, &worn[0].1));
    }
}

/// What the network says of fixed latents and a fixed text, whatever the family.
fn unet_output(model: &Model) -> Vec<f32> {
    let sizes = models::text::Sizes::whole(64, 64);
    let condition = models::text::encode_prompts(model, &["a dress".into()], sizes).unwrap().condition;
    // The text itself is fixed: this is of the denoising network alone.
    let wave = |tensor: &Tensor| {
        let values = (0..tensor.elem_count()).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<_>>();
        Tensor::from_vec(values, tensor.shape(), &Device::Cpu).unwrap()
    };
    let mut fixed = condition.clone();
    fixed.text = wave(&condition.text);
    if let Some(added) = &mut fixed.added {
        added.text_embeds = wave(&added.text_embeds);
    }
    let channels = model.unet.config().in_channels;
    let latents = wave(&Tensor::zeros((1, channels, 8, 8), candle_core::DType::F32, &Device::Cpu).unwrap());
    model.unet.forward(&latents, &[400.0], &fixed).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn encoded(model: &Model, texts: &[&str]) -> Vec<f32> {
    let texts: Vec<_> = texts.iter().map(|text| (*text).into()).collect();
    let condition = models::text::encode_prompts(model, &texts, models::text::Sizes::whole(64, 64)).unwrap().condition;
    condition.text.flatten_all().unwrap().to_vec1().unwrap()
}

/// A model of the reference data.
fn reference(name: &str) -> ModelRef {
    let folder = std::env::var_os("ATELIER_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"), PathBuf::from);
    ModelRef::Path(folder.join(name))
}

/// Whether all of a model is in this set of data: the repository's own has parts of some.
fn is_here(model: &ModelRef) -> bool {
    match model {
        ModelRef::Starter => true,
        ModelRef::Path(folder) => {
            let has = |part: &str, file: &str| folder.join(part).join(file).is_file();
            has("vae", "diffusion_pytorch_model.safetensors")
                && has("unet", "diffusion_pytorch_model.safetensors")
                && has("text_encoder", "model.safetensors")
        }
    }
}

#[test]
fn a_whole_network_becomes_a_folder_that_opens() {
    let home = TempDir::new().unwrap();
    let mut config = settings(home.path(), "out");
    config.method = Method::Full;
    config.optimizer.learning_rate = 1e-4;
    config.steps.steps = Some(2);
    config.steps.gradient_checkpointing = true;
    config.ema.enabled = true;
    let outcome = train(&config, false);
    assert_eq!(outcome.files, [config.output.join("garments")]);
    let made = open(&ModelRef::Path(outcome.files[0].clone()));
    let file = TensorFile::open(&last_checkpoint(&config)).unwrap();
    let weights = made.part_file(Component::Unet).unwrap();
    for name in weights.names() {
        // The average is what is written.
        let (kept, written) = (file.read_f32(&format!("ema.unet.{name}")).unwrap(), weights.read_f32(name).unwrap());
        assert_eq!(kept, written, "{name}");
    }
    assert!(difference(&unet_output(&open(&ModelRef::Starter)), &unet_output(&made)) > 1e-4, "it learnt nothing");
    // What was not trained is as it was.
    assert_eq!(encoded(&open(&ModelRef::Starter), &["a red dress"]), encoded(&made, &["a red dress"]));
}

#[test]
fn single_files_hold_the_same_tensors_as_folders() {
    let mut compared = 0;
    for name in ["sd1", "sd2", "sdxl"] {
        let model = reference(&format!("models/{name}"));
        if !is_here(&model) {
            continue;
        }
        let home = TempDir::new().unwrap();
        let mut config = settings(home.path(), "out");
        config.model = model;
        config.method = Method::Full;
        (config.steps.steps, config.optimizer.warmup_steps) = (Some(1), 0);
        config.text_encoder = name == "sd1";
        let outcome = train(&config, false);
        assert_eq!(outcome.files.len(), 2, "{name}");
        let (made, single) = (open(&ModelRef::Path(outcome.files[0].clone())), open_file(&outcome.files[1]).unwrap());
        let split = layout::split(&single.file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(split.unknown.is_empty(), "{name}: {:?}", split.unknown);
        let mut parts = 0;
        for (component, part) in &split.parts {
            let whole = made.part_file(*component).unwrap();
            let named = |file: &TensorFile| -> BTreeMap<String, Vec<f32>> {
                let bare = |name: &str| name.strip_prefix("text_model.").unwrap_or(name).to_owned();
                file.names().map(|name| (bare(name), file.read_f32(name).unwrap())).collect()
            };
            assert!(named(whole) == named(part), "{name}: {component:?} differs");
            parts += 1;
        }
        assert_eq!(parts, if name == "sdxl" { 4 } else { 3 }, "{name}");
        // And names as the training code's own file has them.
        let ModelRef::Path(theirs) = reference(&format!("single_file/{name}.safetensors")) else { unreachable!() };
        if theirs.is_file() {
            let ours: Vec<String> = single.file.names().map(str::to_owned).collect();
            let theirs = TensorFile::open(&theirs).unwrap();
            let unknown = ours.iter().find(|tensor| theirs.info(tensor).is_none());
            assert_eq!(unknown, None, "{name}: a tensor is in no such file");
        }
        compared += 1;
    }
    assert!(compared > 0, "the reference data has no model");
}

#[test]
fn a_training_that_falls_apart_keeps_its_last_good_weights() {
    let home = TempDir::new().unwrap();
    let mut config = settings(home.path(), "out");
    // So large that the first change is beyond what 32 bits hold.
    config.lora.alpha = 1e36;
    config.optimizer.warmup_steps = 0;
    let error = train::run(&config, false, &mut |_| Control::Continue).unwrap_err();
    assert!(error.sentence.contains("fell apart at step 2"), "{error}");
    let kept = error.path.unwrap();
    assert!(kept.ends_with("garments-step-000001.safetensors"), "{}", kept.display());
    let file = TensorFile::open(&kept).unwrap();
    assert!(file.names().all(|name| file.read_f32(name).unwrap().iter().all(|value| value.is_finite())));
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let home = TempDir::new().unwrap();
    let mut config = settings(home.path(), "out");
    let inpaint = reference("models/inpaint");
    if is_here(&inpaint) {
        config.model = inpaint;
        let error = train::run(&config, false, &mut |_| Control::Continue).unwrap_err();
        assert!(error.sentence.contains("cannot be trained"), "{error}");
    }
    config.model = ModelRef::Starter;
    config.dataset = home.path().join("nowhere");
    assert_eq!(train::run(&config, false, &mut |_| Control::Continue).unwrap_err().exit_code(), 2);
}

#[test]
fn a_training_can_wait() {
    let home = TempDir::new().unwrap();
    let mut config = settings(home.path(), "out");
    config.steps.steps = Some(2);
    let mut seen = Vec::new();
    let outcome = train::run(&config, false, &mut |event| match event {
        TrainingEvent::Step(step) if step.step == 1 => Control::Pause,
        TrainingEvent::Paused(step) => {
            seen.push(step);
            if seen.len() < 3 { Control::Pause } else { Control::Continue }
        }
        _ => Control::Continue,
    })
    .unwrap();
    assert_eq!((seen, outcome.step), (vec![1, 1, 1], 2));
}

/// The program on a file of settings.
fn start(home: &Path, config: &TrainingConfig, resume: bool) -> Child {
    let path = home.join(format!("{}.toml", config.output.file_name().unwrap().to_string_lossy()));
    fs::write(&path, train::config::write(config, None)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command.arg("train").arg(path).arg("--json").args(resume.then_some("--resume"));
    command.env("ATELIER_HOME", home).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Reads events until one is as wanted.
fn wait_for(child: &mut Child, wanted: impl Fn(&Value) -> bool) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let found = lines.any(|line| wanted(&serde_json::from_str(&line.unwrap()).unwrap()));
    assert!(found, "the training ended before");
}

#[test]
fn a_killed_training_loses_at_most_the_steps_since_its_checkpoint() {
    let home = TempDir::new().unwrap();
    let whole = settings(home.path(), "whole");
    let outcome = train(&whole, false);
    let killed = settings(home.path(), "killed");
    let mut child = start(home.path(), &killed, false);
    wait_for(&mut child, |event| event["event"] == "step" && event["step"] == 3);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(last_checkpoint(&killed).is_file());
    let output = start(home.path(), &killed, true).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["event"] == "resumed" && event["step"].as_u64() >= Some(2)));
    assert_eq!(events.last().unwrap()["event"], "ended");
    for file in &outcome.files {
        let other = killed.output.join(file.file_name().unwrap());
        assert_eq!(fs::read(file).unwrap(), fs::read(other).unwrap());
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_ends() {
    let home = TempDir::new().unwrap();
    let mut config = settings(home.path(), "out");
    config.steps.steps = Some(10_000);
    config.checkpoints.every = 10_000;
    let mut child = start(home.path(), &config, false);
    wait_for(&mut child, |event| event["event"] == "step" && event["step"] == 2);
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(last_checkpoint(&config).is_file());
    let adapters = fs::read_dir(&config.output).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().to_string_lossy().into_owned();
        name.starts_with("garments-step-") && name.ends_with(".safetensors")
    });
    assert_eq!(adapters.count(), 2);
}

#[test]
fn the_command_line_says_what_is_wrong_and_writes_settings() {
    let home = TempDir::new().unwrap();
    let atelier = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_atelier")).arg("train").args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let file = home.path().join("a.toml");
    fs::write(&file, "dataset = \"x\"\noutput = \"y\"\n[lora]\nrnk = 3\n").unwrap();
    let (code, _, error) = atelier(&[file.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(error.contains("lora.rnk is no setting: did you mean lora.rank?"), "{error}");

    let made = home.path().join("preset.toml");
    let (dataset, out) = (pictures(home.path()), home.path().join("out"));
    let arguments = ["--preset", "style-lora", "--dataset", dataset.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let (code, printed, error) = atelier(&[&arguments[..], &["--save", made.to_str().unwrap()]].concat());
    assert_eq!((code, printed.trim_end()), (Some(0), made.to_str().unwrap()), "{error}");
    let config = train::config::read(&fs::read_to_string(&made).unwrap(), &made).unwrap();
    assert_eq!((config.lora.rank, config.pictures.resolution), (16, 128));
    assert_eq!((config.dataset, config.output), (dataset, out));
    assert!(atelier(&["--preset", "none", "--dataset", "a", "--out", "b"]).2.contains("style-lora"));

    let (code, printed, _) = atelier(&["--presets"]);
    assert!(code == Some(0) && printed.contains("Subject LoRA") && printed.contains("lora.rank = 8"), "{printed}");
    let (code, printed, _) = atelier(&["--from-diffusers", "accelerate launch train_text_to_image_lora.py --rank 32"]);
    assert!(code == Some(0) && printed.contains("rank = 32"), "{printed}");
    let (code, _, error) = atelier(&["--from-diffusers", "train_text_to_image.py --no_such_flag 1"]);
    assert!(code == Some(2) && error.contains("--no_such_flag is not known"), "{error}");
    assert_eq!(atelier(&[]).0, Some(2));
}
