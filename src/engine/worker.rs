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
use super::making::{Making, Recalling};
use super::timelines::Timelines;
use crate::domain::training::TrainingCommand;
use crate::domain::{
    Cancel, Command, Event, GenerateRequest, Job, ModelRef, Picture, PictureEntry, Recipe, Result, UserError,
};
use crate::models::{self, Model};
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
        Worker { commands, outbox, keep, look_up, model: None, timelines: Timelines::default() }.run();
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
    model: Option<Model>,
    /// Every step of what was made lately.
    timelines: Timelines,
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
                command => self.make_picture(command),
            }
        }
    }

    /// Carries out what asks for pictures.
    fn make_picture(&mut self, command: Command) {
        match command {
            Command::Preload(model) => self.preload(&model),
            Command::Generate(job) => self.generate(&job),
            Command::Replay { job, original } => self.replay(&job, &original),
            Command::SeeStep { request, step, cancel } => self.see_step(request, step, &cancel),
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
        (job.done..request.count).try_for_each(|index| self.make(job, &assets, index))
    }

    /// Makes the model of `model` the one in hand. The old one is dropped first: two may not fit into memory.
    fn load(&mut self, model: &ModelRef, vae: Option<&Path>, cancel: &Cancel) -> Result<()> {
        let is_it = |loaded: &Model| loaded.info.model == *model && loaded.other_vae.as_deref() == vae;
        if !self.model.as_ref().is_some_and(is_it) {
            self.model = None;
            self.outbox.send(Event::ModelLoading { model: model.clone() });
            self.model = Some(models::open(model, vae, cancel, &mut |_| ())?);
        }
        if let Some(loaded) = &self.model {
            self.outbox.send(Event::ModelReady(loaded.info.clone()));
        }
        Ok(())
    }

    fn make(&mut self, job: &Job, assets: &Assets, index: u32) -> Result<()> {
        let Some(model) = &mut self.model else { return Err(UserError::failed("The model is not loaded")) };
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
            let Some(model) = &mut self.model else { return Err(UserError::failed("The model is not loaded")) };
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
