//! What a training's folder tells of it: its settings, how far it is, what it made; and files of what it knew at a step.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::learner::Learner;
use super::run::{stopped_name, trainer};
use super::{Checkpoints, config, on_deep_stack, outputs};
use crate::domain::training::{PastSample, PastTraining, TrainingConfig, TrainingStep};
use crate::domain::{Cancel, Result, UserError};
use crate::library::{read_picture, thumbnails::shrink};
use crate::models;

/// The most steps of a log that are told; of a longer one every second, third and so on.
const MAX_STEPS: usize = 4096;
/// The most samples that are told: the newest.
const MAX_SAMPLES: usize = 400;

/// What a folder holds of a training; `None` where none was begun in it.
///
/// # Errors
/// When its settings cannot be read.
pub fn past(folder: &Path) -> Result<Option<PastTraining>> {
    let path = folder.join("settings.toml");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(UserError::failed(format!("Could not read the training's settings: {error}")).path(&path));
        }
    };
    let mut config = config::read(&text, &path)?;
    // The folder may have been moved since.
    config.output = folder.to_path_buf();
    let checkpoints = Checkpoints::new(&folder.join("checkpoints"), 1).steps()?;
    let log = Log::read(&folder.join("log.jsonl"));
    let files = made(folder, &config.name);
    Ok(Some(PastTraining {
        checkpoints,
        steps: log.total.or(config.steps.steps),
        log: log.steps,
        validations: log.validations,
        samples: samples(&folder.join("samples")),
        files,
        config,
    }))
}

/// Writes what a training had learnt at a step of which the state is kept, and gives the files.
///
/// # Errors
/// When that state is not kept, or the model is another one than it was.
pub fn promote(config: &TrainingConfig, step: u64) -> Result<Vec<PathBuf>> {
    on_deep_stack(|| {
        let model = models::open(&config.model, None, &Cancel::default(), &mut |_| ())?;
        let (learner, parameters) = Learner::new(model, config)?;
        let mut trainer = trainer(parameters, config, step.max(1))?;
        Checkpoints::new(&config.output.join("checkpoints"), 1).take(&mut trainer, step)?;
        let stem = stopped_name(&config.name, step);
        trainer.averaged(|| outputs::write(&learner, &trainer.parameters, config, step, &stem))
    })
}

/// A training's log.
#[derive(Default)]
struct Log {
    steps: Vec<TrainingStep>,
    validations: Vec<(u64, f64)>,
    total: Option<u64>,
}

impl Log {
    /// Lines that cannot be read are passed over: the last one may be half written.
    fn read(path: &Path) -> Self {
        let mut log = Self::default();
        // Without one there is nothing to tell.
        let text = fs::read_to_string(path).unwrap_or_default();
        let (mut smoothed, mut count) = (0.0, 0u32);
        for line in text.lines() {
            let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
            let number = |name: &str| value[name].as_f64();
            let Some(step) = value["step"].as_u64() else { continue };
            if let Some(loss) = number("validation_loss") {
                log.validations.push((step, loss));
            }
            let Some(loss) = number("loss") else { continue };
            count += 1;
            smoothed += (loss - smoothed) / f64::from(count.min(100));
            log.total = value["steps"].as_u64().or(log.total);
            log.steps.push(TrainingStep {
                step,
                steps: log.total.unwrap_or(step),
                epoch: number("epoch").unwrap_or_default(),
                loss,
                smoothed,
                lr: number("lr").unwrap_or_default(),
                grad_norm: number("grad_norm").unwrap_or_default(),
                secs_per_step: number("secs_per_step").unwrap_or_default(),
                eta_secs: 0.0,
            });
        }
        let every = log.steps.len().div_ceil(MAX_STEPS).max(1);
        let last = log.steps.last().copied();
        log.steps = log.steps.into_iter().step_by(every).collect();
        // The last one tells where it stands.
        if let Some(last) = last.filter(|last| log.steps.last() != Some(last)) {
            log.steps.push(last);
        }
        log
    }
}

/// The pictures that were drawn at steps, in the order of steps and prompts.
fn samples(folder: &Path) -> Vec<PastSample> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut named: Vec<(u64, usize, PathBuf)> = entries.filter_map(|path| place(&path)).collect();
    named.sort_unstable();
    let unneeded = named.len().saturating_sub(MAX_SAMPLES);
    named
        .into_iter()
        .skip(unneeded)
        .filter_map(|(step, index, path)| {
            let small = Arc::new(shrink(read_picture(&path).ok()?));
            Some(PastSample { step, index, path, small })
        })
        .collect()
}

/// The step and the prompt of a sample: `step-000100-1.png` is the first prompt's after step 100.
fn place(path: &Path) -> Option<(u64, usize, PathBuf)> {
    let name = path.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".png")?;
    let (step, number) = name.split_once('-')?;
    let number: usize = number.parse().ok()?;
    Some((step.parse().ok()?, number.checked_sub(1)?, path.to_path_buf()))
}

/// What was made, what was made at the end first.
fn made(folder: &Path, name: &str) -> Vec<PathBuf> {
    let whole = [format!("{name}.safetensors"), format!("{name}-diffusers.safetensors"), name.to_owned()];
    let mut files: Vec<PathBuf> = whole.iter().map(|name| folder.join(name)).filter(|path| path.exists()).collect();
    let prefix = format!("{name}-step-");
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut earlier: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)))
        .map(|entry| entry.path())
        .collect();
    earlier.sort_unstable();
    files.extend(earlier);
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_training_holds_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(past(folder.path()).unwrap(), None);
        fs::write(folder.path().join("settings.toml"), "method = \"magic\"\n").unwrap();
        assert_eq!(past(folder.path()).unwrap_err().path.unwrap(), folder.path().join("settings.toml"));
    }

    #[test]
    fn a_log_is_read_with_its_last_line_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let line = |step| format!("{{\"step\": {step}, \"steps\": 12000, \"loss\": 0.5, \"lr\": 1e-4}}\n");
        let lines = (1..=10_000).map(line).collect::<Vec<_>>().concat();
        fs::write(&path, lines + "{\"step\": 10000, \"validation_loss\": 0.25}\n{\"step\": 10001, \"lo").unwrap();
        let log = Log::read(&path);
        assert_eq!((log.total, log.validations), (Some(12_000), vec![(10_000, 0.25)]));
        assert!(log.steps.len() <= MAX_STEPS + 1);
        assert_eq!((log.steps[0].step, log.steps.last().unwrap().step), (1, 10_000));
        assert_eq!(log.steps.last().unwrap().smoothed, 0.5);
        assert!(Log::read(&folder.path().join("none")).steps.is_empty());
    }

    #[test]
    fn samples_are_known_by_their_names() {
        let named = |name: &str| place(Path::new(name)).map(|(step, index, _)| (step, index));
        assert_eq!(named("/a/step-000100-2.png"), Some((100, 1)));
        for other in ["step-000100-0.png", "step-x-1.png", "drawn-000100-1.png", "step-000100-1.jpg"] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_whole_stands_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a-step-000002.safetensors", "a.safetensors", "a-step-000001.safetensors", "b.safetensors"] {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        let names: Vec<_> = made(folder.path(), "a").iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.safetensors", "a-step-000001.safetensors", "a-step-000002.safetensors"]);
    }
}
