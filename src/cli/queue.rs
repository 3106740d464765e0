//! `atelier queue`: the jobs that wait, without a window: add some, list them, make them.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use serde_json::json;

use super::device::asked_device;
use crate::domain::Command as EngineCommand;
use crate::domain::{
    Event, GenerateRequest, ImageFormat, JobId, Priority, QueuedJob, Result, SafetyMode, ScheduleId, UserError,
};
use crate::engine::{self, EngineHandle};
use crate::library::queue::Session;
use crate::library::{self, JobKeeper, Paths, QueueCommand, QueueEvent, QueueHandle, QueueStore};
use crate::pipeline::Assets;
use crate::sampling::{self, ModelKind};
use crate::studio::{Catalog, Effect, Held, QueueAction, State};
use crate::{hub, models};

/// How often to look for an event whose wake-up was lost.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `atelier queue`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the jobs that wait.
    List {
        /// Print one line of JSON a job.
        #[arg(long)]
        json: bool,
    },
    /// Add jobs: pictures whose recipes are made again, or files with one request as JSON a line.
    Add {
        /// Pictures (.png, .jpg, .webp) or files of JSON lines; - reads lines from the input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Make the pictures of all jobs that wait. What is interrupted goes on where it was.
    Run {
        /// Keep where a picture is at every step, not once a second.
        #[arg(long, hide = true)]
        every_step: bool,
    },
    /// Take out all jobs that wait, but for those of a window that is open.
    Clear,
}

/// Does what is asked.
///
/// # Errors
/// When the queue cannot be read or written, a file cannot be read, or a job failed.
pub fn run(args: Args) -> Result<()> {
    let paths = Paths::from_env()?;
    let settings = library::load_settings(&paths).settings;
    match args.command {
        Command::List { json } => list(&paths, json),
        Command::Add { files } => {
            let pictures_dir = paths.clone().with_settings(&settings).pictures_dir;
            let is_checked = settings.safety != SafetyMode::Off;
            let requests = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?.concat();
            let session = Arc::new(Session::begin(&paths)?);
            let jobs: Vec<QueuedJob> = requests
                .into_iter()
                .zip(session.ids())
                .map(|(request, id)| QueuedJob {
                    id,
                    request,
                    pictures_dir: pictures_dir.clone(),
                    is_checked,
                    priority: Priority::Normal,
                    done: 0,
                    is_interrupted: false,
                })
                .collect();
            QueueStore::open(&paths, &session)?.add(&jobs)?;
            say(&format!("{} added", count_text(jobs.len())))
        }
        Command::Run { every_step } => {
            let pause = if every_step { Some(Duration::ZERO) } else { None };
            Runner::start(paths, settings, pause)?.run()
        }
        Command::Clear => {
            let session = Arc::new(Session::begin(&paths)?);
            let mut store = QueueStore::open(&paths, &session)?;
            let ids: Vec<JobId> = store.take_over()?.into_iter().map(|job| job.id).collect();
            store.remove(&ids)?;
            say(&format!("{} taken out", count_text(ids.len())))
        }
    }
}

fn count_text(count: usize) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
        .map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}

fn list(paths: &Paths, as_json: bool) -> Result<()> {
    let session = Arc::new(Session::begin(paths)?);
    for job in QueueStore::open(paths, &session)?.list()? {
        let request = &job.request;
        if as_json {
            say(&json!({ "id": job.id, "done": job.done, "priority": job.priority, "request": request }).to_string())?;
        } else {
            let prompt = request.prompt.lines().next().unwrap_or_default();
            let (width, height, steps) = (request.width_px, request.height_px, request.num_inference_steps);
            let done =
                if job.is_interrupted { format!(", {} of {} done", job.done, request.count) } else { String::new() };
            say(&format!(
                "{} × {prompt}  {width}x{height}, {steps} steps, seed {}{done}",
                request.count, request.seed
            ))?;
        }
    }
    Ok(())
}

/// The requests of a file.
fn read(file: &Path) -> Result<Vec<GenerateRequest>> {
    if ImageFormat::from_path(file).is_some() {
        let recipe = library::read_info(file)?.embedded.recipe();
        let recipe = recipe.ok_or_else(|| UserError::input("This picture does not tell how it was made").path(file))?;
        return Ok(vec![recipe.request]);
    }
    let cannot = |error: std::io::Error| UserError::input(format!("Could not read the requests: {error}")).path(file);
    let reader: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(std::fs::File::open(file).map_err(cannot)?))
    };
    let mut requests = Vec::new();
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.map_err(cannot)?;
        if line.trim().is_empty() {
            continue;
        }
        let request = serde_json::from_str(&line).map_err(|error| {
            UserError::input(format!("Line {number} is no request: {error}"))
                .hint("a line is an object such as {\"prompt\": \"a red dress\", \"seed\": 7}")
                .path(file)
        })?;
        requests.push(request);
    }
    Ok(requests)
}

/// The window's state on its threads, without a window.
struct Runner {
    state: State,
    engine: EngineHandle,
    queue: QueueHandle,
    woken: crossbeam_channel::Receiver<()>,
    is_loaded: bool,
}

impl Runner {
    fn start(paths: Paths, settings: crate::domain::Settings, pause: Option<Duration>) -> Result<Self> {
        let pictures = paths.clone().with_settings(&settings);
        let (sender, woken) = bounded::<()>(1);
        let wake = |sender: &Sender<()>| {
            let sender = sender.clone();
            // A full channel wakes as well.
            Box::new(move || {
                let _ = sender.try_send(());
            })
        };
        let mut keeper = JobKeeper::new(pictures.clone());
        if let Some(pause) = pause {
            keeper = keeper.with_pause(pause);
        }
        let named = pictures.clone();
        let look_up = move || Assets::find(named.loras_dir.clone(), named.embeddings_dir.clone(), &named.wildcards_dir);
        let engine = engine::spawn(keeper, Box::new(look_up), wake(&sender))?;
        engine.send(EngineCommand::UseDevice(asked_device(&settings)?))?;
        engine.send(EngineCommand::SetPrecision(settings.shell.precision))?;
        let queue = library::queue::spawn(pictures, wake(&sender))?;
        let catalog = Catalog {
            families: models::FAMILIES.iter().map(|family| &family.capabilities).collect(),
            samplers: sampling::samplers_for(ModelKind::Diffusion).collect(),
            schedules: ScheduleId::ALL.to_vec(),
            models: hub::CATALOGUE,
            local_date: |_| String::new(),
        };
        // It adds no jobs of its own, so that their keys do not matter.
        let state = State::new(settings, catalog, paths, 0);
        Ok(Self { state, engine, queue, woken, is_loaded: false })
    }

    fn run(mut self) -> Result<()> {
        self.perform(vec![Effect::Queue(QueueCommand::Load)]);
        let done = loop {
            let mut failed = None;
            while let Some(event) = self.queue.try_event() {
                if let QueueEvent::Failed { error } = event {
                    failed = Some(error);
                    break;
                }
                let is_list = matches!(event, QueueEvent::Loaded(_));
                let mut effects = self.state.on_queue_event(event);
                if is_list {
                    self.is_loaded = true;
                    effects.extend(self.state.apply(QueueAction::RunLeft.into()));
                }
                self.perform(effects);
            }
            if let Some(error) = failed {
                break Err(error);
            }
            while let Some(event) = self.engine.try_event() {
                Self::tell(&event)?;
                let effects = self.state.on_event(event);
                self.perform(effects);
            }
            if self.is_loaded && self.state.queue.running().is_none() {
                break self.failures();
            }
            let _ = self.woken.recv_timeout(LOOK);
        };
        if let Some(running) = self.state.queue.running() {
            running.job.cancel.cancel();
        }
        self.engine.shut_down();
        self.queue.shut_down();
        done
    }

    /// What failed is told at the end; it stays in the queue.
    fn failures(&self) -> Result<()> {
        let failed = self.state.queue.entries().filter_map(|waiting| match &waiting.held {
            Some(Held::Failed(error)) => Some(error),
            _ => None,
        });
        failed.last().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn tell(event: &Event) -> Result<()> {
        let mut notes = std::io::stderr();
        match event {
            Event::Finished { saved: Ok(entry), recipe, .. } => {
                say(&format!("{}  seed {}", entry.path.display(), recipe.request.seed))
            }
            Event::Finished { saved: Err(error), .. } | Event::Failed { error, .. } => {
                // stderr is for people; nothing is lost when it is closed.
                let _ = writeln!(notes, "error: {error}");
                Ok(())
            }
            Event::Notice { sentence, .. } => {
                let _ = writeln!(notes, "note: {sentence}");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Carries out what is about the engine and the queue; the rest is the window's.
    fn perform(&mut self, effects: Vec<Effect>) {
        let mut pending = std::collections::VecDeque::from(effects);
        while let Some(effect) = pending.pop_front() {
            match effect {
                Effect::Engine(command) => {
                    if let Err(error) = self.engine.send(command.clone()) {
                        pending.extend(self.state.on_engine_refused(command, error));
                    }
                }
                Effect::Queue(command) => {
                    if let Err(error) = self.queue.send(command.clone()) {
                        pending.extend(self.state.on_queue_refused(command, error));
                    }
                }
                _ => {}
            }
        }
    }
}
