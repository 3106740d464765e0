//! The thread `atelier-models`: answers [`ModelsCommand`]s by [`ModelsEvent`]s.
//!
//! It inspects and removes by itself. What takes long or waits for a network has a thread of its own, so that a pause is
//! heard at once: a listing, each question to the hub, and one transfer; the other transfers wait for it in their order.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::describe::summarise;
use super::fit::fit_all;
use super::handle::{COMMAND_CAPACITY, EVENT_CAPACITY, ModelsHandle};
use super::import::import;
use super::list::{Listing, Places, list, remove};
use super::prompts::Prompts;
use super::transfer::{Planned, plan, progress_of};
use crate::domain::{
    AdapterCards, Cancel, ModelEntry, ModelRef, ModelsCommand, ModelsEvent, Result, Secret, TokenSource, TransferEnd,
    TransferKey, UserError,
};
use crate::hub::{Hub, HubConfig, Progress, RepoId};

/// Called after every event, so that the window takes it up; from several threads.
pub type Wake = Arc<dyn Fn() + Send + Sync>;
/// Makes the configuration of the hub for a token that the user entered.
type Configure = Box<dyn Fn(Option<&str>) -> Result<HubConfig> + Send>;

/// Plans that are asked for side by side.
const MAX_PLANS: usize = 8;

/// Starts the thread with the hub that the environment names.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(places: Places, wake: Wake) -> Result<ModelsHandle> {
    spawn_with(places, wake, Box::new(HubConfig::from_env))
}

/// As [`spawn`], with the hub that `configure` names for a token.
///
/// # Errors
/// As there.
pub fn spawn_with(places: Places, wake: Wake, configure: Configure) -> Result<ModelsHandle> {
    let (command_sender, commands) = bounded(COMMAND_CAPACITY);
    let (events, event_receiver) = bounded(EVENT_CAPACITY);
    let thread = std::thread::Builder::new()
        .name("atelier-models".to_owned())
        .spawn(move || {
            let (done_sender, done) = bounded(MAX_PLANS + 3);
            let outbox = Outbox { events, wake };
            Service {
                places,
                configure,
                hub: None,
                outbox,
                entries: Vec::new(),
                planned: HashMap::new(),
                planning: HashMap::new(),
                queue: VecDeque::new(),
                running: None,
                is_listing: false,
                is_stale: false,
                fitting: None,
                fit_next: None,
                prompts: Prompts::default(),
                done: done_sender,
            }
            .run(&commands, &done);
        })
        .map_err(|error| {
            UserError::failed(format!("The thread for models could not be started: {error}"))
                .hint("close other programs")
        })?;
    Ok(ModelsHandle::new(command_sender, event_receiver, Some(thread)))
}

/// The way out for events; clones go to the threads that work.
#[derive(Clone)]
pub(super) struct Outbox {
    events: Sender<ModelsEvent>,
    wake: Wake,
}

impl Outbox {
    pub(super) fn send(&self, event: ModelsEvent) {
        // Nobody listens any more: the window is closing.
        let _ = self.events.send(event);
        (self.wake)();
    }

    fn moved(&self, key: &TransferKey, progress: &Progress) {
        // A later one is as good, and results must find room.
        if self.events.len() < EVENT_CAPACITY / 2 {
            self.send(ModelsEvent::TransferMoved { key: key.clone(), progress: progress_of(progress) });
        }
    }

    fn ended(&self, key: TransferKey, end: TransferEnd) {
        self.send(ModelsEvent::TransferEnded { key, end });
    }
}

/// What a working thread brings back.
enum Done {
    Planned(String, Result<Box<Planned>>),
    Moved(Result<PathBuf>),
    Listed(Result<Listing>),
    Fitted(ModelRef, Result<AdapterCards>),
}

/// What is to happen when the running transfer has stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Pause,
    Discard,
}

struct Running {
    key: TransferKey,
    cancel: Cancel,
    stop: Option<Stop>,
    thread: JoinHandle<()>,
}

struct Service {
    places: Places,
    configure: Configure,
    /// Made when it is first needed.
    hub: Option<Arc<Hub>>,
    outbox: Outbox,
    /// What was listed last.
    entries: Vec<ModelEntry>,
    /// Plans that the user looks at: a download follows the one that was shown.
    planned: HashMap<String, Box<Planned>>,
    planning: HashMap<String, Cancel>,
    queue: VecDeque<TransferKey>,
    running: Option<Running>,
    is_listing: bool,
    /// Whether something changed since the listing under way began.
    is_stale: bool,
    /// The model that adapters are being fitted to, and the one that they are to be fitted to next.
    fitting: Option<ModelRef>,
    fit_next: Option<ModelRef>,
    prompts: Prompts,
    done: Sender<Done>,
}

impl Service {
    fn run(mut self, commands: &Receiver<ModelsCommand>, done: &Receiver<Done>) {
        self.tell_token();
        loop {
            select! {
                recv(commands) -> command => match command {
                    Ok(ModelsCommand::Shutdown) | Err(_) => break,
                    Ok(command) => self.answer(command),
                },
                // It never ends: this thread holds a sender.
                recv(done) -> outcome => if let Ok(outcome) = outcome {
                    self.take(outcome);
                },
            }
        }
        self.planning.values().for_each(Cancel::cancel);
        if let Some(running) = self.running.take() {
            running.cancel.cancel();
            let _ = running.thread.join();
        }
    }

    fn answer(&mut self, command: ModelsCommand) {
        match command {
            ModelsCommand::List => self.list(),
            ModelsCommand::UseFolders(folders) => {
                self.places.folders = folders;
                self.list();
            }
            ModelsCommand::UseToken(token) => {
                self.places.token = token;
                self.hub = None;
                self.tell_token();
            }
            ModelsCommand::Inspect(path) => {
                let found = guarded(|| summarise(&path));
                self.outbox.send(ModelsEvent::Inspected { path, found });
            }
            ModelsCommand::Fit(model) => self.fit(model),
            ModelsCommand::Prompt(query) => {
                if let Err(error) = self.prompts.ask(query, &self.places, &self.outbox) {
                    // Nothing but a number beside the prompt is missing.
                    tracing::warn!(%error, "prompts are not counted");
                }
            }
            ModelsCommand::Plan(repo) => self.plan(repo),
            ModelsCommand::Download(repo) => self.enqueue(TransferKey::Repo(repo)),
            ModelsCommand::Import(path) => self.enqueue(TransferKey::File(path)),
            ModelsCommand::Pause(key) => self.stop(&key, Stop::Pause),
            ModelsCommand::Cancel(key) => self.stop(&key, Stop::Discard),
            ModelsCommand::Remove(path) => self.remove(path),
            // Taken by `run`.
            ModelsCommand::Shutdown => {}
        }
    }

    /// The hub, made anew where the last attempt failed.
    fn hub(&mut self) -> Result<Arc<Hub>> {
        if let Some(hub) = &self.hub {
            return Ok(Arc::clone(hub));
        }
        let token = self.places.token.as_ref().filter(|token| !token.is_empty()).map(Secret::reveal);
        let hub = Arc::new(Hub::new((self.configure)(token)?));
        self.hub = Some(Arc::clone(&hub));
        Ok(hub)
    }

    fn tell_token(&mut self) {
        let (source, page, problem) = match self.hub() {
            Ok(hub) => {
                let source = match (&hub.config().token, &self.places.token) {
                    (None, _) => TokenSource::None,
                    (Some(_), Some(token)) if !token.is_empty() => TokenSource::Settings,
                    (Some(_), _) => TokenSource::Elsewhere,
                };
                (source, hub.token_page(), None)
            }
            Err(error) => (TokenSource::None, String::new(), Some(error)),
        };
        self.outbox.send(ModelsEvent::Token { source, page, problem });
    }

    /// Lists on a thread of its own: a folder of thousands of files on a slow disk must not hold up a pause.
    fn list(&mut self) {
        if self.is_listing {
            self.is_stale = true;
            return;
        }
        let (hub, places, done) = (self.hub(), self.places.clone(), self.done.clone());
        let begun = thread("atelier-list", move || {
            let listed = guarded(|| Ok(list(&places, hub.as_deref().ok())));
            let listing = listed.map(|mut listing| {
                listing.problems.extend(hub.err());
                listing
            });
            let _ = done.send(Done::Listed(listing));
        });
        match begun {
            Ok(_) => self.is_listing = true,
            Err(error) => self.listed(Err(error)),
        }
    }

    fn listed(&mut self, listing: Result<Listing>) {
        let Listing { entries, problems } = listing.unwrap_or_else(|error| Listing {
            // What was known before is still the best that is known.
            entries: self.entries.clone(),
            problems: vec![error],
        });
        self.entries.clone_from(&entries);
        self.outbox.send(ModelsEvent::Listed { entries, problems });
    }

    /// Fits adapters on a thread of its own, one model after the other; of those that wait only the last counts.
    fn fit(&mut self, model: ModelRef) {
        if self.fitting.is_some() {
            self.fit_next = Some(model);
            return;
        }
        let (places, done, wanted) = (self.places.clone(), self.done.clone(), model.clone());
        let begun = thread("atelier-fit", move || {
            let cards = guarded(|| fit_all(&places, &wanted));
            let _ = done.send(Done::Fitted(wanted, cards));
        });
        match begun {
            Ok(_) => self.fitting = Some(model),
            Err(error) => self.outbox.send(ModelsEvent::Fitted { model, cards: Err(error) }),
        }
    }

    fn remove(&mut self, path: PathBuf) {
        let hub = self.hub();
        let removed = match self.entries.iter().find(|entry| entry.path == path) {
            Some(entry) => guarded(|| remove(&self.places, hub.as_deref().ok(), entry)),
            None => Err(UserError::input("This model is not on the list any more").hint("look again").path(&path)),
        };
        match removed {
            Ok(freed_bytes) => {
                self.outbox.send(ModelsEvent::Removed { path, freed_bytes });
                self.list();
            }
            Err(error) => self.outbox.send(ModelsEvent::RemoveFailed { path, error }),
        }
    }

    fn plan(&mut self, repo: String) {
        if self.planning.contains_key(&repo) {
            return;
        }
        let cancel = Cancel::default();
        let begun = if self.planning.len() >= MAX_PLANS {
            Err(UserError::failed("The hub is being asked about many models already").hint("try again in a moment"))
        } else {
            self.hub().and_then(|hub| {
                let (done, cancel, repo) = (self.done.clone(), cancel.clone(), repo.clone());
                thread("atelier-plan", move || {
                    let planned = guarded(|| plan(&hub, &repo, None, None, &cancel).map(Box::new));
                    let _ = done.send(Done::Planned(repo, planned));
                })
            })
        };
        match begun {
            Ok(_) => drop(self.planning.insert(repo, cancel)),
            Err(error) => self.outbox.ended(TransferKey::Repo(repo), TransferEnd::Failed(error)),
        }
    }

    fn enqueue(&mut self, key: TransferKey) {
        let is_running = self.running.as_ref().is_some_and(|running| running.key == key);
        if !is_running && !self.queue.contains(&key) {
            self.queue.push_back(key);
            self.pump();
        }
    }

    /// Begins the next transfer, if none runs.
    fn pump(&mut self) {
        while self.running.is_none() {
            let Some(key) = self.queue.pop_front() else { return };
            match self.begin(&key) {
                Ok(running) => self.running = Some(running),
                Err(error) => self.outbox.ended(key, TransferEnd::Failed(error)),
            }
        }
    }

    fn begin(&mut self, key: &TransferKey) -> Result<Running> {
        let cancel = Cancel::default();
        let (done, outbox, for_thread) = (self.done.clone(), self.outbox.clone(), cancel.clone());
        let told = key.clone();
        let work: Box<dyn FnOnce() -> Result<PathBuf> + Send> = match key.clone() {
            TransferKey::File(path) => {
                let places = self.places.clone();
                Box::new(move || {
                    let mut report = |progress: &Progress| outbox.moved(&told, progress);
                    Ok(import(&path, &places, &for_thread, &mut report)?.path)
                })
            }
            TransferKey::Repo(repo) => {
                let (hub, planned) = (self.hub()?, self.planned.remove(&repo));
                Box::new(move || {
                    let planned = match planned {
                        Some(planned) => planned,
                        None => Box::new(plan(&hub, &repo, None, None, &for_thread)?),
                    };
                    tell_plan(&outbox, &hub, &repo, &planned)?;
                    let mut report = |progress: &Progress| outbox.moved(&told, progress);
                    Ok(hub.download(&planned.plan, &for_thread, &mut report)?.folder)
                })
            }
        };
        let thread = thread("atelier-transfer", move || {
            let _ = done.send(Done::Moved(guarded(work)));
        })?;
        Ok(Running { key: key.clone(), cancel, stop: None, thread })
    }

    fn stop(&mut self, key: &TransferKey, stop: Stop) {
        if let Some(running) = self.running.as_mut().filter(|running| running.key == *key) {
            // A cancel after a pause counts; a pause after a cancel does not.
            if running.stop != Some(Stop::Discard) {
                running.stop = Some(stop);
            }
            running.cancel.cancel();
            return;
        }
        if let TransferKey::Repo(repo) = key
            && let Some(cancel) = self.planning.remove(repo)
        {
            cancel.cancel();
        }
        self.queue.retain(|waiting| waiting != key);
        self.stopped(key.clone(), stop);
    }

    /// A transfer does not move any more.
    fn stopped(&mut self, key: TransferKey, stop: Stop) {
        if stop == Stop::Pause {
            return self.outbox.ended(key, TransferEnd::Paused);
        }
        let end = match self.discard(&key) {
            Ok(()) => TransferEnd::Cancelled,
            Err(error) => TransferEnd::Failed(error),
        };
        self.outbox.ended(key, end);
        self.list();
    }

    /// Throws away what a download brought; an import leaves nothing.
    fn discard(&mut self, key: &TransferKey) -> Result<()> {
        let TransferKey::Repo(repo) = key else { return Ok(()) };
        self.planned.remove(repo);
        let repo = RepoId::parse(repo)?;
        self.hub()?.discard(&repo).map(drop)
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Planned(repo, planned) => {
                if self.planning.remove(&repo).is_none() {
                    return; // cancelled meanwhile
                }
                match (planned, self.hub()) {
                    (Ok(planned), Ok(hub)) => {
                        if let Err(error) = tell_plan(&self.outbox, &hub, &repo, &planned) {
                            return self.outbox.ended(TransferKey::Repo(repo), TransferEnd::Failed(error));
                        }
                        self.planned.insert(repo, planned);
                    }
                    (Err(error), _) | (_, Err(error)) => {
                        self.outbox.ended(TransferKey::Repo(repo), TransferEnd::Failed(error));
                    }
                }
            }
            Done::Listed(listing) => {
                self.is_listing = false;
                // What changed meanwhile may be missing: it is listed once more, and only that is told.
                if std::mem::take(&mut self.is_stale) {
                    self.list();
                } else {
                    self.listed(listing);
                }
            }
            Done::Fitted(model, cards) => {
                self.fitting = None;
                match self.fit_next.take() {
                    Some(next) => self.fit(next),
                    None => self.outbox.send(ModelsEvent::Fitted { model, cards }),
                }
            }
            Done::Moved(result) => {
                let Some(running) = self.running.take() else { return };
                let _ = running.thread.join();
                self.ended(running.key, running.stop, result);
                self.pump();
            }
        }
    }

    fn ended(&mut self, key: TransferKey, stop: Option<Stop>, result: Result<PathBuf>) {
        match (result, stop) {
            (Ok(path), _) => {
                self.list();
                self.outbox.ended(key, TransferEnd::Done(path));
            }
            (Err(_), Some(stop)) => self.stopped(key, stop),
            (Err(error), None) => {
                self.outbox.ended(key, TransferEnd::Failed(error));
                self.list();
            }
        }
    }
}

/// Tells the window what a download will bring.
fn tell_plan(outbox: &Outbox, hub: &Hub, repo: &str, planned: &Planned) -> Result<()> {
    let page = hub.page(&RepoId::parse(repo)?);
    outbox.send(ModelsEvent::Planned { repo: repo.to_owned(), page, plan: planned.told.clone() });
    Ok(())
}

pub(super) fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| UserError::failed(format!("Could not start a thread: {error}")).hint("close other programs"))
}

/// Works; a panic becomes an error like any other.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // Nothing that `work` leaves half done is in memory: files are written whole or not at all.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

fn panicked(panic: &(dyn Any + Send)) -> UserError {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    UserError::failed(format!("A fault in the program: {message}")).hint("other models still work")
}
