//! The whole state of a training in one safetensors file, written so that a crash at any moment leaves a whole file.
//!
//! Tensors: `parameter.<name>`, `m.<name>`, `v.<name>`, and `ema.<name>` where an average is kept. Metadata: the counters
//! and the training's configuration as JSON. Random numbers need no state: they are functions of seed and step.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Trainer;
use crate::domain::{Result, UserError};
use crate::library::atomic::NewFile;
use crate::weights::{Planned, TensorFile, WrittenAs, write_tensors};

/// How file names begin.
const PREFIX: &str = "step-";
/// How they end.
const ENDING: &str = ".safetensors";

/// A folder of checkpoints of one training.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

impl Checkpoints {
    /// In `folder`, of which the newest `keep` (at least one) stay.
    #[must_use]
    pub fn new(folder: &Path, keep: usize) -> Self {
        Self { folder: folder.to_path_buf(), keep: keep.max(1) }
    }

    /// Writes the state after the trainer's last update, and deletes what is too old.
    ///
    /// # Errors
    /// When a value is not finite (nothing is written then), or the disk fails.
    pub fn save(&self, trainer: &Trainer, config: &Value) -> Result<PathBuf> {
        let metadata = BTreeMap::from([
            ("step".to_owned(), trainer.step.to_string()),
            ("optimizer_step".to_owned(), trainer.optimizer.step.to_string()),
            ("ema_step".to_owned(), trainer.ema.as_ref().map_or(0, |ema| ema.step).to_string()),
            ("config".to_owned(), config.to_string()),
        ]);
        let path = self.folder.join(format!("{PREFIX}{:08}{ENDING}", trainer.step));
        let cannot = |error: io::Error| {
            UserError::failed(format!("The state after step {} is not saved: {error}", trainer.step))
                .hint("the checkpoint before is whole; go on from it")
                .path(&path)
        };
        // Piece by piece: of a whole model's training there is no room for a second copy.
        let mut file = NewFile::begin(&path)?;
        let mut out = BufWriter::with_capacity(1 << 20, &mut file);
        let tensors = tensors(trainer);
        let mut values = |i: usize| state(trainer, i).map_err(io::Error::other);
        write_tensors(&mut out, &metadata, &tensors, WrittenAs::F32, &mut values).map_err(cannot)?;
        out.flush().map_err(cannot)?;
        drop(out);
        file.finish()?;
        for old in self.list()?.iter().rev().skip(self.keep) {
            // One that stays costs space and nothing else.
            let _ = fs::remove_file(old);
        }
        Ok(path)
    }

    /// Puts the newest whole checkpoint into a trainer built for the same training. `None` when there is none.
    ///
    /// # Errors
    /// When the checkpoint is of a training with another configuration, or all files are broken.
    pub fn resume(&self, trainer: &mut Trainer, config: &Value) -> Result<Option<u64>> {
        let mut broken = None;
        for path in self.list()?.iter().rev() {
            match TensorFile::open(path) {
                Ok(file) => {
                    restore(&file, trainer, config)?;
                    return Ok(Some(trainer.step));
                }
                Err(error) => {
                    broken.get_or_insert(error);
                }
            }
        }
        broken.map_or(Ok(None), Err)
    }

    /// Puts the state after a step into a trainer built for the same training, whatever else was changed since.
    ///
    /// # Errors
    /// When that state is not kept, or the trainer is of another training.
    pub fn take(&self, trainer: &mut Trainer, step: u64) -> Result<()> {
        let path = self.folder.join(format!("{PREFIX}{step:08}{ENDING}"));
        let file = TensorFile::open(&path)?;
        let config = file.metadata().get("config").and_then(|text| serde_json::from_str(text).ok());
        restore(&file, trainer, &config.unwrap_or_default())
    }

    /// The steps whose states are kept, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let number = |path: &PathBuf| path.file_stem()?.to_str()?.strip_prefix(PREFIX)?.parse().ok();
        Ok(self.list()?.iter().filter_map(number).collect())
    }

    /// Whether there is a checkpoint, whole or not.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn any(&self) -> Result<bool> {
        Ok(!self.list()?.is_empty())
    }

    /// The files, oldest first.
    fn list(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let sentence = format!("Could not read the folder of checkpoints: {error}");
                return Err(UserError::failed(sentence).path(&self.folder));
            }
        };
        let is_one = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.strip_prefix(PREFIX)
                .and_then(|rest| rest.strip_suffix(ENDING))
                .is_some_and(|step| step.len() == 8 && step.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_one).collect();
        paths.sort();
        Ok(paths)
    }
}

/// Everything that a training remembers, by name and shape.
fn tensors(trainer: &Trainer) -> Vec<Planned> {
    let mut all = Vec::new();
    for parameter in trainer.parameters.iter() {
        let shape = parameter.var.dims().to_vec();
        let named = |kind: &&str| Planned { name: format!("{kind}.{}", parameter.name), shape: shape.clone() };
        all.extend(kinds(trainer).iter().map(named));
    }
    all
}

/// What is kept of each parameter.
fn kinds(trainer: &Trainer) -> &'static [&'static str] {
    if trainer.ema.is_some() { &["parameter", "m", "v", "ema"] } else { &["parameter", "m", "v"] }
}

/// The values of tensor `i` of [`tensors`].
fn state(trainer: &Trainer, i: usize) -> candle_core::Result<Vec<f32>> {
    let kinds = kinds(trainer);
    let (parameter, kind) = (i / kinds.len(), kinds[i % kinds.len()]);
    let moments = &trainer.optimizer.moments[parameter];
    Ok(match (kind, &trainer.ema) {
        ("m", _) => moments.m.clone(),
        ("v", _) => moments.v.clone(),
        ("ema", Some(ema)) => ema.shadow[parameter].clone(),
        _ => trainer.parameters.value(parameter)?,
    })
}

/// Puts a checkpoint's content into a trainer. Everything is read and checked before anything is changed.
fn restore(file: &TensorFile, trainer: &mut Trainer, config: &Value) -> Result<()> {
    let wrong = |sentence: String| {
        UserError::input(format!("The checkpoint cannot be resumed: {sentence}"))
            .path(file.path())
            .hint("give the settings it was begun with, or another work folder")
    };
    let metadata = file.metadata();
    let number = |name: &str| metadata.get(name).and_then(|text| text.parse::<u64>().ok());
    let (Some(step), Some(optimizer_step), Some(ema_step)) =
        (number("step"), number("optimizer_step"), number("ema_step"))
    else {
        return Err(wrong("its counters are missing".to_owned()));
    };
    let begun_with: Value = metadata.get("config").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if begun_with != *config {
        return Err(wrong(format!("it is of a training with other settings ({})", difference(&begun_with, config))));
    }
    let expected = tensors(trainer);
    let read = |name: &str, shape: &[usize]| match file.info(name) {
        Some(info) if info.shape == shape => file.read_f32(name),
        Some(info) => Err(wrong(format!("{name} is {:?} instead of {shape:?}", info.shape))),
        None => Err(wrong(format!("{name} is missing"))),
    };
    let mut found = HashMap::with_capacity(expected.len());
    for Planned { name, shape } in expected {
        let values = read(&name, &shape)?;
        found.insert(name, values);
    }
    // Every name below is among `expected`.
    let mut take = |kind: &str, name: &str| found.remove(&format!("{kind}.{name}")).unwrap_or_default();
    let names: Vec<String> = trainer.parameters.iter().map(|parameter| parameter.name.clone()).collect();
    let values: Vec<Vec<f32>> = names.iter().map(|name| take("parameter", name)).collect();
    trainer.parameters.set_values(&values)?;
    for (i, name) in names.iter().enumerate() {
        trainer.optimizer.moments[i] = super::Moments { m: take("m", name), v: take("v", name) };
        if let Some(ema) = &mut trainer.ema {
            ema.shadow[i] = take("ema", name);
        }
    }
    (trainer.step, trainer.optimizer.step) = (step, optimizer_step);
    if let Some(ema) = &mut trainer.ema {
        ema.step = ema_step;
    }
    Ok(())
}

/// The first setting in which two configurations differ, for a message.
fn difference(old: &Value, new: &Value) -> String {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => old
            .keys()
            .chain(new.keys())
            .find(|key| old.get(*key) != new.get(*key))
            .map(|key| {
                let show = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
                format!("{key} was {} and is {}", show(old.get(key)), show(new.get(key)))
            })
            .unwrap_or_default(),
        _ => "it does not say which".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::train::trainer::tests::{step, trainer};

    #[test]
    fn a_resumed_training_goes_on_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), 2);
        let config = json!({"lr": 1e-2});
        let mut whole = trainer();
        for _ in 0..5 {
            step(&mut whole);
        }
        checkpoints.save(&whole, &config).unwrap();
        let mut resumed = trainer();
        assert_eq!(checkpoints.resume(&mut resumed, &config).unwrap(), Some(5));
        for _ in 0..5 {
            assert_eq!(step(&mut whole), step(&mut resumed));
        }
        let all = |trainer: &Trainer| -> Vec<Vec<f32>> {
            (0..tensors(trainer).len()).map(|i| state(trainer, i).unwrap()).collect()
        };
        assert_eq!(all(&whole), all(&resumed));
    }

    #[test]
    fn only_the_newest_stay_and_a_broken_one_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), 2);
        let mut trainer = trainer();
        for _ in 0..3 {
            step(&mut trainer);
            checkpoints.save(&trainer, &Value::Null).unwrap();
        }
        let names: Vec<_> =
            checkpoints.list().unwrap().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["step-00000002.safetensors", "step-00000003.safetensors"]);
        fs::write(folder.path().join("step-00000003.safetensors"), b"cut").unwrap();
        assert_eq!(checkpoints.resume(&mut trainer, &Value::Null).unwrap(), Some(2));
        fs::write(folder.path().join("step-00000002.safetensors"), b"cut").unwrap();
        assert!(checkpoints.resume(&mut trainer, &Value::Null).is_err());
    }

    #[test]
    fn an_empty_folder_is_a_new_training() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(&folder.path().join("none"), 2);
        assert_eq!(checkpoints.resume(&mut trainer(), &Value::Null).unwrap(), None);
    }

    #[test]
    fn other_settings_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), 2);
        let mut trainer = trainer();
        checkpoints.save(&trainer, &json!({"seed": 1, "lr": 0.5})).unwrap();
        let error = checkpoints.resume(&mut trainer, &json!({"seed": 2, "lr": 0.5})).unwrap_err();
        assert!(error.sentence.contains("seed was 1 and is 2"), "{error}");
    }

    #[test]
    fn what_is_not_finite_is_never_saved() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), 2);
        let trainer = trainer();
        trainer.parameters.set_values(&[vec![1.0, f32::NAN], vec![0.0]]).unwrap();
        let error = checkpoints.save(&trainer, &Value::Null).unwrap_err();
        assert!(error.sentence.contains("parameter.a"), "{error}");
        assert!(checkpoints.list().unwrap().is_empty());
    }
}
