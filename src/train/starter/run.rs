//! The loop of a training: resume, step, log, look, save, until it is done or stopped.

use crate::train::pace::Pace;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Instant;

use candle_core::Tensor;
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::Value;

use super::sheet;
use crate::domain::{Cancel, Picture, Result, UserError};
use crate::library::write_atomically;
use crate::nn::engine_error;
use crate::train::deep_stack::STACK_BYTES;
use crate::train::{Checkpoints, Gradients, Parameters, Trainer, Update};

/// Where a training stands, told after every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// All steps.
    pub steps: u64,
    /// The loss, averaged over about the last hundred steps.
    pub loss: f64,
    /// The learning rate.
    pub lr: f64,
    /// The gradients' global norm before clipping.
    pub grad_norm: f64,
    /// Time of a step in seconds, averaged likewise.
    pub secs_per_step: f64,
    /// Time left, in seconds.
    pub eta_secs: f64,
}

/// What a training does in its steps.
pub trait Task: Sync {
    /// The mean loss of one of the [`PARTS`] of a batch, all of the same size, at the step after `step` steps: a scalar.
    ///
    /// # Errors
    /// When the network fails.
    fn loss(&self, step: u64, part: usize) -> Result<Tensor>;

    /// A picture for a person to look at, and a line for the log. The parameters are the averaged ones.
    ///
    /// # Errors
    /// When the network fails.
    fn look(&self) -> Result<(Picture, String)>;
}

/// How often the loop does what, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// A line in the log.
    pub log: u64,
    /// A checkpoint.
    pub save: u64,
    /// A picture to look at.
    pub look: u64,
}

/// Parts of a batch. They are computed side by side, each on its share of the cores: that keeps these busier than sharing
/// out every single operation. The number is fixed, because it decides in which order gradients are added.
pub const PARTS: usize = 2;
/// Checkpoints that are kept.
const KEEP: usize = 2;

/// Runs a training in `folder` to its end, from where it stood when it was last stopped or killed. `config` is everything
/// that decides its numbers; a folder of a training with another one is refused.
///
/// The folder gets `log.txt` (step, loss, learning rate, norm of gradients, seconds a step), `look-<step>.png` and the
/// checkpoints.
///
/// # Errors
/// When loss or gradients are not finite, the network or the disk fails, or `cancel` was set (after a checkpoint).
pub fn run(
    task: &dyn Task,
    trainer: &mut Trainer,
    folder: &Path,
    config: &Value,
    rhythm: Rhythm,
    cancel: &Cancel,
    progress: &mut dyn FnMut(&Progress),
) -> Result<()> {
    let checkpoints = Checkpoints::new(folder, KEEP);
    let resumed = checkpoints.resume(trainer, config)?;
    let mut log = Log::open(folder)?;
    let elements = trainer.parameters.elements();
    log.line(&match resumed {
        Some(step) => format!("# resumed after step {step}"),
        None => format!("# {elements} parameters, {config}"),
    })?;
    let workers = Workers::new()?;
    let steps = trainer.schedule.total_steps;
    let mut pace = Pace::default();
    let mut saved = trainer.step;
    while trainer.step < steps {
        if cancel.is_cancelled() {
            if trainer.step > saved {
                checkpoints.save(trainer, config)?;
            }
            return Err(UserError::cancelled());
        }
        let begun = Instant::now();
        let (loss, gradients) = workers.gradients(task, trainer.step, &trainer.parameters)?;
        let update = trainer.update(loss, &gradients).inspect_err(|error| {
            // The error goes up in any case; a log that cannot be written must not hide it.
            let _ = log.line(&format!("# {}", error.sentence));
        })?;
        pace.add(&update, begun.elapsed().as_secs_f64());
        let state = told(&pace, &update, steps);
        progress(&state);
        let is_due = |every: u64| update.step % every.max(1) == 0 || update.step == steps;
        if is_due(rhythm.log) {
            let Progress { step, loss, lr, grad_norm, secs_per_step, .. } = state;
            log.line(&format!("{step} loss {loss:.5} lr {lr:.3e} norm {grad_norm:.3} {secs_per_step:.3} s/step"))?;
        }
        if is_due(rhythm.save) {
            checkpoints.save(trainer, config)?;
            saved = update.step;
        }
        if is_due(rhythm.look) {
            let (picture, line) = trainer.averaged(|| task.look())?;
            log.line(&format!("# {}: {line}", update.step))?;
            write_atomically(&folder.join(format!("look-{:06}.png", update.step)), &sheet::png(&picture)?)?;
        }
    }
    Ok(())
}

/// One pool of threads for each part of a batch.
struct Workers(Vec<ThreadPool>);

impl Workers {
    fn new() -> Result<Self> {
        let threads = (rayon::current_num_threads() / PARTS).max(1);
        let pool = || ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK_BYTES).build();
        let pools: std::result::Result<_, _> = (0..PARTS).map(|_| pool()).collect();
        pools
            .map(Self)
            .map_err(|error| UserError::failed(format!("No threads could be started for the training: {error}")))
    }

    /// Loss and gradients of a whole batch: the means of its parts'.
    fn gradients(&self, task: &dyn Task, step: u64, parameters: &Parameters) -> Result<(f64, Gradients)> {
        let of_part = |part: usize| -> Result<(f64, Gradients)> {
            let loss = (task.loss(step, part)? / PARTS as f64).map_err(engine_error)?;
            let value = loss.to_scalar::<f32>().map_err(engine_error)?;
            Ok((f64::from(value), Gradients::of(&loss, parameters)?))
        };
        let mut parts: Vec<Option<Result<(f64, Gradients)>>> = (0..PARTS).map(|_| None).collect();
        let (first, others) = parts.split_at_mut(1);
        thread::scope(|scope| -> std::io::Result<()> {
            for (i, (pool, result)) in self.0[1..].iter().zip(others).enumerate() {
                let work = move || *result = Some(pool.install(|| of_part(i + 1)));
                thread::Builder::new().name("training-part".to_owned()).spawn_scoped(scope, work)?;
            }
            first[0] = Some(self.0[0].install(|| of_part(0)));
            Ok(())
        })
        .map_err(|error| UserError::failed(format!("No thread could be started for the training: {error}")))?;
        let mut sum: Option<(f64, Gradients)> = None;
        for (loss, gradients) in parts.into_iter().flatten().collect::<Result<Vec<_>>>()? {
            match &mut sum {
                None => sum = Some((loss, gradients)),
                Some(sum) => {
                    sum.0 += loss;
                    sum.1.accumulate(&gradients)?;
                }
            }
        }
        sum.ok_or_else(|| UserError::failed("The batch is empty"))
    }
}

/// Puts the averaged parameters of a finished training into `trainer`, which was built for it.
///
/// # Errors
/// When there is none in `folder`, or it is not finished; `what` names it.
pub fn resume_finished(folder: &Path, trainer: &mut Trainer, config: &Value, what: &str) -> Result<()> {
    let steps = trainer.schedule.total_steps;
    let done = Checkpoints::new(folder, KEEP).resume(trainer, config)?.unwrap_or(0);
    if done < steps {
        return Err(UserError::input(format!("The training of the {what} is not finished: {done} of {steps} steps"))
            .path(folder)
            .hint("run it first; it goes on from where it stood"));
    }
    match &trainer.ema {
        Some(ema) => trainer.parameters.set_values(&ema.shadow),
        None => Ok(()),
    }
}

/// What is told of a step.
fn told(pace: &Pace, update: &Update, steps: u64) -> Progress {
    Progress {
        step: update.step,
        steps,
        loss: pace.loss,
        lr: update.lr,
        grad_norm: update.grad_norm,
        secs_per_step: pace.secs,
        eta_secs: pace.secs * (steps - update.step) as f64,
    }
}

/// A text file that only grows.
struct Log(File);

impl Log {
    fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("log.txt");
        fs::create_dir_all(folder)
            .and_then(|()| OpenOptions::new().create(true).append(true).open(&path))
            .map(Self)
            .map_err(|error| UserError::failed(format!("Could not open the training's log: {error}")).path(&path))
    }

    fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.0, "{line}")
            .map_err(|error| UserError::failed(format!("Could not write to the training's log: {error}")))
    }
}
