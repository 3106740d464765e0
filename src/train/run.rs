//! [`run()`]: a training from its settings to its files.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::batches::Batches;
use super::examples::Examples;
use super::forecast::forecast;
use super::journal::Journal;
use super::learner::{Learner, check_family};
use super::loss_scale::{LossScale, Verdict};
use super::pace::Pace;
use super::ranking::Ranking;
use super::sample::{Drawn, sample};
use super::{
    AdamWConfig, Checkpoints, EmaConfig, Gradients, LrSchedule, LrShape, Parameters, Trainer, Update, config,
    global_norm, on_deep_stack, outputs, starter,
};
use crate::domain::training::{
    Control, Method, RowLoss, Schedule, Sketch, TrainingConfig, TrainingEvent, TrainingStep, ValidationSettings,
};
use crate::domain::{Cancel, ComputeType, ModelRef, Result, UserError, fnv1a};
use crate::library::write_atomically;
use crate::models::{self, Part, Placement};
use crate::nn::{engine_error, without_gradients};

/// How often a training that waits asks whether to go on.
const PAUSE: Duration = Duration::from_millis(100);
/// Pictures that may be asked for at a time; what is more is not drawn.
const MAX_SKETCHES: usize = 8;
/// After so many steps the hardest rows are told again.
const ROWS_EVERY: u64 = 10;
/// So many of them.
const MAX_ROWS: usize = 32;

/// How a training ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Updates done.
    pub step: u64,
    /// All updates; fewer were done when it was stopped.
    pub steps: u64,
    /// What was made.
    pub files: Vec<PathBuf>,
}

/// Whoever is told of a training, and says how it goes on.
pub type Tell<'a> = dyn FnMut(TrainingEvent) -> Control + Send + 'a;

/// Runs a training to its end, or until `tell` stops it. `resume` goes on with one that was stopped or killed, from its
/// last checkpoint and with the same bits.
///
/// The output folder gets `settings.toml`, `log.jsonl`, `checkpoints/`, `samples/`, `cache/` (which can be deleted) and what
/// is made.
///
/// # Errors
/// When settings, model or data set cannot be used; when the folder holds a training and `resume` does not say to go on
/// with it; when the loss is not finite any more: the weights before that are written first.
pub fn run(config: &TrainingConfig, resume: bool, tell: &mut Tell<'_>) -> Result<Outcome> {
    run_on(Placement::processor(), config, resume, tell)
}

/// As [`run()`], with the networks elsewhere. What is trained, its gradients and what the optimizer remembers stay in f32;
/// in f16 the loss is scaled. On a card no two runs have the same bits.
///
/// # Errors
/// As there, and when the device has not enough memory.
pub fn run_on(placement: Placement, config: &TrainingConfig, resume: bool, tell: &mut Tell<'_>) -> Result<Outcome> {
    config::check(config)?;
    let placement = placement.for_training();
    on_deep_stack(move || Run::new(placement, config, resume, tell)?.run_to_the_end())
}

/// What is told to a person, and what they answered last.
struct Voice<'a, 'b> {
    tell: &'a mut Tell<'b>,
    answer: Control,
    /// Pictures that were asked for and are not drawn yet.
    sketches: VecDeque<Sketch>,
}

impl Voice<'_, '_> {
    fn tell(&mut self, event: TrainingEvent) {
        match (self.tell)(event) {
            Control::Draw(sketch) => {
                if self.sketches.len() < MAX_SKETCHES {
                    self.sketches.push_back(sketch);
                }
            }
            // A stop is not taken back by what is told before it is carried out.
            _ if self.is_stopped() => {}
            answer => self.answer = answer,
        }
    }

    /// Asks again, after a moment, whether to go on. Whether there is still something to wait for.
    fn waits(&mut self, step: u64) -> bool {
        if self.answer != Control::Pause {
            return false;
        }
        std::thread::sleep(PAUSE);
        self.tell(TrainingEvent::Paused(step));
        true
    }

    fn is_stopped(&self) -> bool {
        self.answer == Control::StopAndSave
    }
}

struct Run<'a, 'b> {
    config: &'a TrainingConfig,
    voice: Voice<'a, 'b>,
    learner: Learner,
    trainer: Trainer,
    batches: Batches,
    checkpoints: Checkpoints,
    journal: Journal,
    ranking: Ranking,
    /// What a checkpoint belongs to.
    identity: serde_json::Value,
    /// After which step the last checkpoint was written.
    saved: u64,
    /// Where a network computes in f16.
    scale: Option<LossScale>,
}

impl<'a, 'b> Run<'a, 'b> {
    fn new(placement: Placement, config: &'a TrainingConfig, resume: bool, tell: &'a mut Tell<'b>) -> Result<Self> {
        let mut voice = Voice { tell, answer: Control::Continue, sketches: VecDeque::new() };
        let checkpoints = Checkpoints::new(&config.output.join("checkpoints"), config.checkpoints.keep as usize);
        if checkpoints.any()? && !resume {
            return Err(UserError::input("This folder holds a training already")
                .hint("go on with it by --resume, or name another output folder")
                .path(&config.output));
        }
        let examples = Examples::read(config)?;
        for notice in &examples.notices {
            voice.tell(TrainingEvent::Notice(notice.clone()));
        }
        let model = models::open_on(placement, &config.model, None, &Cancel::default(), &mut |_| ())?;
        check_family(&model)?;
        let batches = Batches::new(config, examples, &model)?;
        batches.prepare(&model, &mut |what, done, total| {
            voice.tell(TrainingEvent::Preparing { what, done, total });
            while voice.waits(0) {}
            if voice.is_stopped() { Err(UserError::cancelled()) } else { Ok(()) }
        })?;
        // They come back as they are read again, for samples.
        for part in [Part::Vae, Part::TextEncoder] {
            model.release(part);
        }
        let identity = json!({
            "settings": config::deciding(config),
            "model": model.hash(),
            "data set": batches.digest(),
        });
        let steps = steps(config, batches.of_epoch())?;
        let (learner, parameters) = Learner::new(model, config)?;
        let forecast = forecast(&learner.model, parameters.elements() as u64, config, steps)?;
        let mut trainer = trainer(parameters, config, steps)?;
        voice.tell(TrainingEvent::Forecast(forecast));
        if let Some(step) = checkpoints.resume(&mut trainer, &identity)? {
            voice.tell(TrainingEvent::Resumed(step));
        }
        let settings = config::write(&absolute(config), None);
        write_atomically(&config.output.join("settings.toml"), settings.as_bytes())?;
        let journal = Journal::open(&config.output.join("log.jsonl"), trainer.step)?;
        let saved = trainer.step;
        let ranking = Ranking::new(batches.examples.list.len(), learner.diffusion_loss().timesteps());
        let is_f16 = learner.model.unet.place().compute() == ComputeType::F16;
        let scale = is_f16.then(LossScale::default);
        Ok(Self { config, voice, learner, trainer, batches, checkpoints, journal, ranking, identity, saved, scale })
    }

    fn run_to_the_end(mut self) -> Result<Outcome> {
        let steps = self.trainer.schedule.total_steps;
        let mut pace = Pace::default();
        if self.trainer.step == 0 {
            self.look(steps)?;
        }
        while self.trainer.step < steps && !self.voice.is_stopped() {
            let begun = Instant::now();
            let (loss, gradients) = match self.gradients() {
                Ok(found) => found,
                Err(error) => {
                    // The error goes up in any case; what was learnt until now is worth keeping.
                    if self.trainer.step > self.saved {
                        let _ = self.save();
                    }
                    return Err(error);
                }
            };
            let update = match self.trainer.update(loss, &gradients) {
                Ok(update) => update,
                Err(error) => return Err(self.with_what_was_learnt(error)),
            };
            drop(gradients);
            pace.add(&update, begun.elapsed().as_secs_f64());
            let done = update.step * u64::from(self.config.steps.accumulation);
            let state = told(&pace, &update, steps, done as f64 / self.batches.of_epoch() as f64);
            self.journal.step(&state)?;
            self.voice.tell(TrainingEvent::Step(state));
            if update.step % ROWS_EVERY == 0 || update.step == steps {
                self.voice.tell(TrainingEvent::Rows(self.hardest()));
            }
            let is_due = |every: u64| every > 0 && (update.step % every == 0 || update.step == steps);
            if is_due(self.config.checkpoints.every) {
                self.save()?;
            }
            self.look(steps)?;
            self.wait()?;
        }
        let step = self.trainer.step;
        if step > self.saved {
            self.save()?;
        }
        let stem = if step == steps { self.config.name.clone() } else { stopped_name(&self.config.name, step) };
        let files = self.write(&stem)?;
        self.voice.tell(TrainingEvent::Ended { step, steps, files: files.clone() });
        Ok(Outcome { step, steps, files })
    }

    /// Loss and gradients of the next update. In f16 it is computed again with a smaller factor while they leave the range.
    fn gradients(&mut self) -> Result<(f64, Gradients)> {
        loop {
            let factor = self.scale.map_or(1.0, |scale| scale.factor());
            let (loss, mut gradients) = self.scaled_gradients(factor)?;
            let Some(scale) = &mut self.scale else { return Ok((loss, gradients)) };
            gradients.scale(1.0 / factor)?;
            if scale.judge(global_norm(&gradients)?.is_finite()) != Verdict::LeaveOut {
                return Ok((loss, gradients));
            }
        }
    }

    /// The same, with gradients multiplied by a factor.
    fn scaled_gradients(&mut self, factor: f64) -> Result<(f64, Gradients)> {
        let parts = u64::from(self.config.steps.accumulation);
        let mut sum: Option<(f64, Gradients)> = None;
        for part in 0..parts {
            if parts > 1 {
                self.voice.tell(TrainingEvent::Working {
                    what: "batches of this step",
                    done: part as usize,
                    total: parts as usize,
                });
            }
            let place = self.trainer.step * parts + part;
            let batch = self.batches.batch(&self.learner, place)?;
            let (loss, errors) = self.learner.losses(&batch)?;
            for ((row, timestep), error) in self.batches.rows(place).iter().zip(&batch.timesteps).zip(errors) {
                self.ranking.add(*row, *timestep, f64::from(error));
            }
            let loss = (loss / parts as f64).map_err(engine_error)?;
            let value = f64::from(loss.to_scalar::<f32>().map_err(engine_error)?);
            let loss = if factor == 1.0 { loss } else { (loss * factor).map_err(engine_error)? };
            let gradients = Gradients::of(&loss, &self.trainer.parameters)?;
            sum = Some(match sum {
                None => (value, gradients),
                Some((so_far, mut all)) => {
                    all.accumulate(&gradients)?;
                    (so_far + value, all)
                }
            });
        }
        sum.ok_or_else(|| UserError::failed("A step has no batch"))
    }

    /// The rows that are hardest to learn, hardest first.
    fn hardest(&self) -> Vec<RowLoss> {
        let row = |(row, relative, seen): (usize, f64, u32)| {
            let example = &self.batches.examples.list[row];
            RowLoss { picture: example.picture.clone(), caption: example.caption.clone(), relative, seen }
        };
        self.ranking.hardest(MAX_ROWS).into_iter().map(row).collect()
    }

    /// Waits while asked to, and draws what is asked for.
    fn wait(&mut self) -> Result<()> {
        loop {
            while let Some(sketch) = self.voice.sketches.pop_front() {
                self.draw(sketch)?;
            }
            if !self.voice.waits(self.trainer.step) {
                return Ok(());
            }
        }
    }

    /// Draws a picture that was asked for, and the same as it was before anything was learnt.
    fn draw(&mut self, sketch: Sketch) -> Result<()> {
        let Self { config, learner, trainer, voice, .. } = self;
        let step = trainer.step;
        let what = Drawn { prompt: &sketch.prompt, seed: sketch.seed };
        let picture = trainer.averaged(|| sample(learner, config, what))?;
        let untrained = match config.method {
            Method::Lora => Some(trainer.parameters.with_zeros(|| sample(learner, config, what))?),
            // Its values were not kept: that would take the room of a whole model.
            Method::Full => None,
        };
        let name = format!("samples/drawn-{step:06}-{:016x}.png", prompt_key(&sketch));
        let path = config.output.join(name);
        write_atomically(&path, &starter::png(&picture)?)?;
        give_back(learner, config);
        voice.tell(TrainingEvent::Drawn { step, sketch, picture, untrained, path });
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        let path = self.checkpoints.save(&self.trainer, &self.identity)?;
        self.saved = self.trainer.step;
        self.voice.tell(TrainingEvent::Saved { step: self.saved, path });
        Ok(())
    }

    /// Samples and validation where they are due, with the weights that would be written.
    fn look(&mut self, steps: u64) -> Result<()> {
        let Self { config, learner, trainer, batches, voice, journal, .. } = self;
        let step = trainer.step;
        let is_due = |every: u64| every > 0 && (step % every == 0 || step == steps);
        let samples = is_due(config.samples.every) && !config.samples.prompts.is_empty();
        let ValidationSettings { share, every } = config.validation;
        let validates = is_due(every) && share > 0.0;
        if !samples && !validates {
            return Ok(());
        }
        trainer.averaged(|| {
            if validates {
                let loss = without_gradients(|| validated(learner, batches, voice))?;
                if let Some(loss) = loss {
                    journal.validation(step, loss)?;
                    voice.tell(TrainingEvent::Validated { step, loss });
                }
            }
            if samples {
                for (i, prompt) in config.samples.prompts.iter().enumerate() {
                    let seed = config.seed.wrapping_add(i as u64);
                    let picture = sample(learner, config, Drawn { prompt, seed })?;
                    let path = config.output.join(format!("samples/step-{step:06}-{}.png", i + 1));
                    write_atomically(&path, &starter::png(&picture)?)?;
                    voice.tell(TrainingEvent::Sample { step, prompt: prompt.clone(), picture, path });
                    if voice.is_stopped() {
                        break;
                    }
                }
                give_back(learner, config);
            }
            Ok(())
        })
    }

    /// Writes what was learnt, averaged where an average is kept.
    fn write(&self, stem: &str) -> Result<Vec<PathBuf>> {
        let Self { learner, trainer, config, .. } = self;
        trainer.averaged(|| outputs::write(learner, &trainer.parameters, config, trainer.step, stem))
    }

    /// A training that fell apart: its last good weights are written, and the error says where.
    fn with_what_was_learnt(mut self, error: UserError) -> UserError {
        if self.trainer.step == 0 {
            return error.hint("nothing was learnt before; try a lower learning rate");
        }
        let step = self.trainer.step;
        let saved = self.save().and_then(|()| self.write(&stopped_name(&self.config.name, step)));
        match saved.as_deref() {
            Ok([first, ..]) => error
                .hint(format!("the weights of step {step} are whole and written; try a lower learning rate"))
                .path(first),
            // What cannot be saved now was saved before, or is no better.
            _ => error,
        }
    }
}

/// The name of what a training had learnt when it was stopped.
pub(super) fn stopped_name(name: &str, step: u64) -> String {
    format!("{name}-step-{step:06}")
}

/// The same settings wherever they are read from.
fn absolute(config: &TrainingConfig) -> TrainingConfig {
    let mut config = config.clone();
    let mut places = vec![&mut config.dataset, &mut config.output];
    if let ModelRef::Path(model) = &mut config.model {
        places.push(model);
    }
    for place in places {
        // An empty path is none, and one that the system cannot tell stays as it was given.
        if let Ok(whole) = std::path::absolute(&*place) {
            *place = whole;
        }
    }
    config
}

/// Gives back the memory of what only pictures need.
fn give_back(learner: &Learner, config: &TrainingConfig) {
    learner.model.release(Part::Vae);
    if !config.text_encoder {
        learner.model.release(Part::TextEncoder);
    }
}

/// Tells the files of pictures that were asked for apart.
fn prompt_key(sketch: &Sketch) -> u64 {
    fnv1a(&[sketch.prompt.as_bytes(), &sketch.seed.to_le_bytes()].concat())
}

/// The mean loss of the pictures that are kept apart.
fn validated(learner: &Learner, batches: &Batches, voice: &mut Voice<'_, '_>) -> Result<Option<f64>> {
    let (mut sum, mut count) = (0.0, 0u32);
    let total = batches.validations();
    batches.validation(learner, &mut |batch| {
        voice.tell(TrainingEvent::Working { what: "pictures kept apart", done: count as usize, total });
        let loss = learner.loss(batch)?;
        sum += f64::from(loss.to_scalar::<f32>().map_err(engine_error)?);
        count += 1;
        Ok(())
    })?;
    Ok((count > 0).then(|| sum / f64::from(count)))
}

/// All updates of a training whose epoch has so many batches.
pub(super) fn steps(config: &TrainingConfig, of_epoch: u64) -> Result<u64> {
    let of_epochs = |epochs: u64| epochs.saturating_mul(of_epoch).div_ceil(u64::from(config.steps.accumulation)).max(1);
    match (config.steps.steps, config.steps.epochs) {
        (Some(steps), _) => Ok(steps),
        (None, Some(epochs)) => Ok(of_epochs(epochs)),
        (None, None) => Err(UserError::input("Neither steps nor epochs are given")),
    }
}

/// The state of a training at its beginning.
pub(super) fn trainer(parameters: Parameters, config: &TrainingConfig, steps: u64) -> Result<Trainer> {
    let ema = config.ema.enabled.then(|| EmaConfig { decay: config.ema.decay, ..EmaConfig::default() });
    let optimizer = &config.optimizer;
    let adam = AdamWConfig { beta1: optimizer.beta1, beta2: optimizer.beta2, eps: optimizer.epsilon };
    Trainer::new(parameters, adam, ema, schedule(config, steps), optimizer.max_grad_norm)
}

fn schedule(config: &TrainingConfig, total_steps: u64) -> LrSchedule {
    let optimizer = &config.optimizer;
    let shape = match optimizer.schedule {
        Schedule::Constant => LrShape::ConstantWithWarmup,
        Schedule::Linear => LrShape::Linear,
        Schedule::Cosine => LrShape::Cosine,
        Schedule::CosineWithRestarts => LrShape::CosineWithRestarts { cycles: f64::from(optimizer.cycles) },
        Schedule::Polynomial => LrShape::Polynomial { power: optimizer.power },
    };
    LrSchedule { shape, base: optimizer.learning_rate, warmup_steps: optimizer.warmup_steps, total_steps }
}

/// What is told of a step.
fn told(pace: &Pace, update: &Update, steps: u64, epoch: f64) -> TrainingStep {
    TrainingStep {
        step: update.step,
        steps,
        epoch,
        loss: update.loss,
        smoothed: pace.loss,
        lr: update.lr,
        grad_norm: update.grad_norm,
        secs_per_step: pace.secs,
        eta_secs: pace.secs * steps.saturating_sub(update.step) as f64,
    }
}
