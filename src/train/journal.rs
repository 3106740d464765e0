//! The log of a training: one line of JSON for each step, in a file that only grows.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::domain::training::TrainingStep;
use crate::domain::{Result, UserError};
use crate::library::write_atomically;

/// The file of a training's log.
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the log of a training that stands after `step`: what a run wrote beyond that, before it was killed, is taken
    /// out, so that every step is in it once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let old = fs::read_to_string(path).unwrap_or_default();
        let is_kept = |line: &&str| {
            serde_json::from_str::<Value>(line).is_ok_and(|value| value["step"].as_u64().is_some_and(|at| at <= step))
        };
        let kept: String = old.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect();
        if kept != old {
            write_atomically(path, kept.as_bytes())?;
        }
        let opened = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| OpenOptions::new().create(true).append(true).open(path));
        let file = opened
            .map_err(|error| UserError::failed(format!("Could not open the training's log: {error}")).path(path))?;
        Ok(Self { file, path: path.to_path_buf() })
    }

    /// Writes a step's line.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn step(&mut self, step: &TrainingStep) -> Result<()> {
        let TrainingStep { step, steps, epoch, loss, smoothed: _, lr, grad_norm, secs_per_step, eta_secs: _ } = step;
        self.line(&json!({
            "step": step, "steps": steps, "epoch": epoch, "loss": loss, "lr": lr, "grad_norm": grad_norm,
            "secs_per_step": secs_per_step,
        }))
    }

    /// Writes the loss of the pictures that are kept apart.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn validation(&mut self, step: u64, loss: f64) -> Result<()> {
        self.line(&json!({ "step": step, "validation_loss": loss }))
    }

    fn line(&mut self, line: &Value) -> Result<()> {
        // One call, so that a line is there as a whole unless the system itself fails.
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(|error| {
            UserError::failed(format!("Could not write to the training's log: {error}")).path(&self.path)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64) -> TrainingStep {
        TrainingStep {
            step,
            steps: 9,
            epoch: 0.5,
            loss: 0.25,
            smoothed: 0.25,
            lr: 1e-4,
            grad_norm: 1.0,
            secs_per_step: 0.1,
            eta_secs: 1.0,
        }
    }

    #[test]
    fn every_step_is_in_the_log_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/log.jsonl");
        let mut journal = Journal::open(&path, 0).unwrap();
        (1..=4).for_each(|at| journal.step(&step(at)).unwrap());
        // Killed in the middle of a line, with a checkpoint after step 2.
        fs::write(&path, fs::read_to_string(&path).unwrap() + "{\"step\": 5, \"lo").unwrap();
        let mut journal = Journal::open(&path, 2).unwrap();
        journal.step(&step(3)).unwrap();
        journal.validation(3, 0.5).unwrap();
        let lines: Vec<Value> =
            fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let steps: Vec<u64> = lines.iter().map(|line| line["step"].as_u64().unwrap()).collect();
        assert_eq!(steps, [1, 2, 3, 3]);
        assert_eq!((&lines[0]["loss"], &lines[3]["validation_loss"]), (&json!(0.25), &json!(0.5)));
    }
}
