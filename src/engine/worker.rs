//! The worker thread: takes a command, does it, tells how it goes.

mod replay;
mod training;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::handle::{COMMAND_CAPACITY, EVENT_CAPACITY, EngineHandle};
use super::keep::Keep;
use super::loaded::Loaded;
use super::making::{Making, Recalling};
use super::timelines::Timelines;
use crate::domain::training::TrainingCommand;
use crate::domain::{
    Cancel, Command, Event, GenerateRequest, Job, ModelRef, Picture, PictureEntry, Precision, Recipe, Result, UserError,
};
use crate::models::is_out_of_memory;
use crate::pipeline::{self, Assets};

/// Wakes whoever reads the events.
pub type Wake = Box<dyn Fn() + Send>;
/// Puts a finished picture into a folder and into the history: the least that a [`Keep`] does.
pub type Save = Box<dyn FnMut(&Path, &Picture, &Recipe) -> Result<PictureEntry> + Send>;
/// Looks up what a prompt can name.
pub type LookUp = Box<dyn FnMut() -> Assets + Send>;

/// Stack of the worker thread.
const STACK_BYTES: usize = 16 << 20;

/// Starts the worker thread. It calls `wake` after every event, `look_up` before every job, and lets `keep` save every
/// finished picture before the event that carries it.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(keep: impl Keep + 'static, look_up: LookUp, wake: Wake) -> Result<EngineHandle> {
    let (command_sender, commands) = bounded(COMMAND_CAPACITY);
    let (events, event_receiver) = bounded(EVENT_CAPACITY);
    let (keep, outbox): (Box<dyn Keep>, _) = (Box::new(keep), Outbox { events, wake });
    let worker = move || {
        let (loaded, timelines) = (Loaded::default(), Timelines::default());
        Worker { commands, outbox, keep, look_up, loaded, timelines, precision: Precision::Exact }.run();
    };
    let thread = std::thread::Builder::new()
        .name("atelier-engine".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(worker)
        .map_err(|error| UserError::failed(format!("Could not start the engine: {error}")))?;
    Ok(EngineHandle::new(command_sender, event_receiver, Some(thread)))
}

/// The way out for events.
pub(super) struct Outbox {
    events: Sender<Event>,
    wake: Wake,
}

impl Outbox {
    /// Waits until there is room; when nobody listens any more, the event is of no use to anyone.
    pub(super) fn send(&self, event: Event) {
        let _ = self.events.send(event);
        (self.wake)();
    }

    /// Sends a preview only where half of the room is free: a later one is as good, and results must find room.
    pub(super) fn send_preview(&self, event: Event) {
        if self.events.len() < EVENT_CAPACITY / 2 {
            self.send(event);
        }
    }
}

struct Worker {
    commands: Receiver<Command>,
    outbox: Outbox,
    keep: Box<dyn Keep>,
    look_up: LookUp,
    loaded: Loaded,
    /// Every step of what was made lately.
    timelines: Timelines,
    /// How exactly pictures are computed.
    precision: Precision,
}

impl Worker {
    fn run(mut self) {
        // The channel ends when the window is gone.
        while let Ok(command) = self.commands.recv() {
            match command {
                Command::Shutdown => break,
                Command::Train(TrainingCommand::Begin { config, resume }) => {
                    if self.train(&config, resume) {
                        break;
                    }
                }
                // It has ended meanwhile.
                Command::Train(_) => {}
                command => self.carry_out(command),
            }
        }
    }

    /// Carries out what asks for pictures, or says how they are to be made.
    fn carry_out(&mut self, command: Command) {
        let precision = self.precision;
        match command {
            Command::SetPrecision(precision) => {
                self.precision = precision;
                self.loaded.use_precision(precision);
            }
            Command::UseDevice(choice) => {
                let used = self.loaded.use_device(choice);
                self.outbox.send(Event::DeviceOpened(used));
            }
            Command::Preload(model) => self.preload(&model),
            Command::Generate(job) => pipeline::with_precision(precision, || self.generate(&job)),
            Command::Replay { job, original, precision } => {
                pipeline::with_precision(precision, || self.replay(&job, &original));
            }
            Command::SeeStep { request, step, cancel } => {
                pipeline::with_precision(precision, || self.see_step(request, step, &cancel));
            }
            Command::Train(_) | Command::Shutdown => {}
        }
    }

    fn preload(&mut self, model: &ModelRef) {
        if let Err(error) = guarded(|| self.load(model, None, &Cancel::default())) {
            self.outbox.send(Event::ModelFailed { model: model.clone(), error });
        }
    }

    fn generate(&mut self, job: &Job) {
        self.outbox.send(Event::Started { job: job.id });
        let result = guarded(|| self.make_all(job));
        let job = job.id;
        self.outbox.send(match result {
            Ok(()) => Event::Done { job },
            Err(error) if error.is_cancelled() => Event::Cancelled { job },
            Err(error) => Event::Failed { job, error },
        });
    }

    fn make_all(&mut self, job: &Job) -> Result<()> {
        if job.cancel.is_cancelled() {
            return Err(UserError::cancelled());
        }
        let request = &job.request;
        self.load(&request.model, request.vae.as_deref(), &job.cancel)?;
        let assets = (self.look_up)();
        (job.done..request.count).try_for_each(|index| match self.make(job, &assets, index) {
            // Models that wait for their turn are worth less than the picture in hand.
            Err(error) if is_out_of_memory(&error) && self.loaded.drop_others() => self.make(job, &assets, index),
            made => made,
        })
    }

    /// Makes the model of `model` the one in hand.
    fn load(&mut self, model: &ModelRef, vae: Option<&Path>, cancel: &Cancel) -> Result<()> {
        let outbox = &self.outbox;
        let loading = &mut || outbox.send(Event::ModelLoading { model: model.clone() });
        let info = self.loaded.load(model, vae, cancel, loading)?.info.clone();
        self.outbox.send(Event::ModelReady(info));
        Ok(())
    }

    fn make(&mut self, job: &Job, assets: &Assets, index: u32) -> Result<()> {
        let model = self.loaded.in_hand()?;
        let request = job.request.single(index);
        let begun = Instant::now();
        let mut making = Making::new(&self.outbox, self.keep.as_mut(), &self.timelines, job, index);
        let made = pipeline::make_watched(model, &request, assets, job.is_checked, &job.cancel, &mut making);
        // What was reached last is kept also where it ends early: the user may have paused, not cancelled.
        let (steps, previews) = making.end(made.is_ok());
        let made = made?;
        if index == job.done {
            for sentence in made.notices {
                self.outbox.send(Event::Notice { job: job.id, sentence });
            }
        }
        let recipe = model.recipe(made.request, begun.elapsed().as_secs_f64(), made.safety);
        let saved = self.keep.save(job, index, &made.picture, &recipe).map(Box::new);
        if let Some(steps) = steps {
            if job.keeps_steps {
                self.keep.keep_steps(&steps.key, &steps.to_bytes());
            }
            self.timelines.add(steps);
        }
        self.outbox.send(Event::Steps { job: job.id, index, steps: previews });
        self.outbox.send(Event::Finished {
            job: job.id,
            index,
            picture: Arc::new(made.picture),
            recipe: Box::new(recipe),
            saved,
        });
        Ok(())
    }

    fn see_step(&mut self, request: Box<GenerateRequest>, step: u32, cancel: &Cancel) {
        let mut seen = None;
        let result = guarded(|| {
            if cancel.is_cancelled() {
                return Err(UserError::cancelled());
            }
            self.load(&request.model, request.vae.as_deref(), cancel)?;
            let assets = (self.look_up)();
            let model = self.loaded.in_hand()?;
            let mut recalling = Recalling { keep: self.keep.as_mut(), timelines: &self.timelines };
            seen = Some(pipeline::see_step(model, &request, step, &assets, cancel, &mut recalling)?);
            Ok(())
        });
        let picture = result.and_then(|()| seen.ok_or_else(|| UserError::failed("The step was not decoded")));
        self.outbox.send(Event::StepSeen { request, step, picture: picture.map(Arc::new) });
    }
}

/// Runs work whose panic must not end the thread: it becomes an error like any other.
fn guarded(work: impl FnOnce() -> Result<()>) -> Result<()> {
    // What the work had in its hands is either whole or replaced by the next command (the model is dropped before a
    // load, and a sampler lives for one picture), so that no broken state can be seen afterwards.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

fn panicked(panic: &(dyn Any + Send)) -> UserError {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    UserError::failed(format!("The engine met a fault of its own: {message}"))
        .hint("the next job works; please report this with what you asked for")
}
