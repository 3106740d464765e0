//! [`App`]: drains the channels, draws the state, carries out the actions' effects.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, bounded};
use eframe::Frame;
use egui::{Context, ViewportCommand};

use crate::domain::WindowPlace;
use crate::studio::{
    Action, BatchAction, DatasetAction, DialogAnswer, DialogRequest, Effect, GalleryAction, Machine, State, TrainAction,
};
use crate::ui;

use super::attention::{Attention, Glance};
use super::{Desktop, Dialogs, Handles, Launch};

/// How long the draft may rest before it is saved, in seconds. Saving at every letter would wear the disk.
const SAVE_AFTER_SECS: f64 = 2.0;

/// What the window works with. Tests bring their own.
pub struct Parts {
    /// To the threads.
    pub handles: Handles,
    /// Asks for files.
    pub dialogs: Box<dyn Dialogs>,
    /// Shows files, and tells that work is done.
    pub desktop: Box<dyn Desktop>,
    /// Looks at the machine; called in every frame.
    pub machine: Box<dyn FnMut() -> Machine>,
    /// Any number that differs from start to start; seeds begin from it.
    pub entropy: u64,
}

/// The window.
pub struct App {
    state: State,
    window: ui::Window,
    /// Only empty while the window goes away.
    handles: Option<Handles>,
    leftover: Rc<RefCell<Option<Handles>>>,
    dialogs: Box<dyn Dialogs>,
    desktop: Box<dyn Desktop>,
    machine: Box<dyn FnMut() -> Machine>,
    attention: Attention,
    answer: Option<Receiver<DialogAnswer>>,
    actions: Vec<Action>,
    dirty_since: Option<f64>,
    /// When the program began, until the first frame is drawn.
    begun: Option<Instant>,
    closed: bool,
}

impl App {
    /// Makes the window's content. When the window goes, `leftover` gets the handles, whose threads are still to end.
    #[must_use]
    pub fn new(ctx: &Context, launch: Launch, parts: Parts, leftover: Rc<RefCell<Option<Handles>>>) -> Self {
        let Launch { settings, settings_problem, catalog, paths, threads: _, begun } = launch;
        let Parts { handles, dialogs, desktop, mut machine, entropy } = parts;
        let mut state = State::new(settings, catalog, paths, entropy);
        state.observe(machine(), now_ms());
        if let Some(problem) = settings_problem {
            state.notices.error(problem);
        }
        ui::theme::install(ctx);
        let effects = state.start();
        let mut app = Self {
            state,
            window: ui::Window::default(),
            handles: Some(handles),
            leftover,
            dialogs,
            desktop,
            machine,
            attention: Attention::default(),
            answer: None,
            actions: Vec::new(),
            dirty_since: None,
            begun: Some(begun),
            closed: false,
        };
        app.perform(ctx, effects);
        app
    }

    /// What is shown.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes in what the threads and the dialog say, without waiting for them.
    fn drain(&mut self, ctx: &Context) {
        let mut effects = Vec::new();
        if let Some(handles) = &self.handles {
            while let Some(event) = handles.engine.try_event() {
                effects.extend(self.state.on_event(event));
            }
            while let Some(event) = handles.library.try_event() {
                effects.extend(self.state.on_library_event(event));
            }
            while let Some(event) = handles.batch.try_event() {
                effects.extend(self.state.on_batch_event(event));
            }
            while let Some(event) = handles.dataset.try_event() {
                effects.extend(self.state.on_dataset_event(event));
            }
            while let Some(event) = handles.queue.try_event() {
                effects.extend(self.state.on_queue_event(event));
            }
            while let Some(event) = handles.desk.try_event() {
                effects.extend(self.state.on_desk_event(event));
            }
            while let Some(event) = handles.models.try_event() {
                effects.extend(self.state.on_models_event(event));
            }
        }
        if let Some(answer) = &self.answer {
            use crossbeam_channel::TryRecvError;
            let answer = match answer.try_recv() {
                Ok(answer) => Some(answer),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(DialogAnswer::Unavailable),
            };
            if let Some(answer) = answer {
                self.answer = None;
                effects.extend(self.state.apply(Action::Answered(answer)));
            }
        }
        effects.extend(self.state.tend_grids());
        for (id, picture) in self.state.gallery.take_thumbnails() {
            self.window.add_thumbnail(ctx, id, &self.state.shown_thumbnail(id, picture));
        }
        for (ticket, row, picture) in self.state.train.dataset.take_thumbnails() {
            self.window.add_row_thumbnail(ctx, ticket, row, &picture);
        }
        self.perform(ctx, effects);
    }

    fn perform(&mut self, ctx: &Context, effects: Vec<Effect>) {
        let mut pending = VecDeque::from(effects);
        while let Some(effect) = pending.pop_front() {
            match effect {
                Effect::Engine(command) => {
                    let Some(handles) = &self.handles else { continue };
                    if let Err(error) = handles.engine.send(command.clone()) {
                        pending.extend(self.state.on_engine_refused(command, error));
                    }
                }
                Effect::Library(command) => {
                    let Some(handles) = &self.handles else { continue };
                    if let Err(error) = handles.library.send(command.clone()) {
                        self.state.on_library_refused(&command, error);
                    }
                }
                Effect::Batch(command) => {
                    let Some(handles) = &self.handles else { continue };
                    if let Err(error) = handles.batch.send(command.clone()) {
                        self.state.on_batch_refused(&command, error);
                    }
                }
                Effect::Dataset(command) => {
                    let Some(handles) = &self.handles else { continue };
                    if let Err(error) = handles.dataset.send(command.clone()) {
                        self.state.on_dataset_refused(&command, error);
                    }
                }
                Effect::Queue(command) => {
                    let Some(handles) = &self.handles else { continue };
                    if let Err(error) = handles.queue.send(command.clone()) {
                        pending.extend(self.state.on_queue_refused(command, error));
                    }
                }
                Effect::Models(command) => {
                    let Some(handles) = &self.handles else { continue };
                    if let Err(error) = handles.models.send(command.clone()) {
                        self.state.on_models_refused(command, error);
                    }
                }
                Effect::Desk(command) => {
                    let Some(handles) = &self.handles else { continue };
                    if let Err(error) = handles.desk.send(command.clone()) {
                        self.state.on_desk_refused(&command, error);
                    }
                }
                Effect::Ask(request) => self.ask(ctx, &request),
                Effect::CopyPicture(picture) => ctx.copy_image(ui::colour_image(&picture)),
                Effect::CopyText(text) => ctx.copy_text(text),
                Effect::OpenPage(address) => ctx.open_url(egui::OpenUrl::new_tab(address)),
                Effect::Reveal(path) => self.desktop.reveal(&path),
                Effect::FullScreen(on) => ctx.send_viewport_cmd(ViewportCommand::Fullscreen(on)),
                Effect::Close => ctx.send_viewport_cmd(ViewportCommand::Close),
            }
        }
    }

    fn ask(&mut self, ctx: &Context, request: &DialogRequest) {
        let (sender, receiver) = bounded(1);
        self.answer = Some(receiver);
        let ctx = ctx.clone();
        let folder = self.state.pictures_folder().to_path_buf();
        let answer = Box::new(move |answer| {
            // The window may be gone by the time that the user answers.
            let _ = sender.send(answer);
            ctx.request_repaint();
        });
        self.dialogs.ask(request, &folder, answer);
    }

    /// Tells the desktop when a long queue is done and nobody looks.
    fn tell_when_done(&mut self, ctx: &Context) {
        let (now_secs, is_seen) = ctx.input(|input| {
            let viewport = input.viewport();
            (input.time, viewport.focused.unwrap_or(true) && !viewport.minimized.unwrap_or(false))
        });
        let queue = &self.state.queue;
        let told = self.attention.watch(Glance {
            now_secs,
            is_busy: queue.running().is_some() || queue.waiting().len() > 0,
            // Keys count up, whatever has left the filmstrip since.
            pictures: self.state.film.newest().map_or(0, |item| item.key),
            errors: self.state.notices.errors.list().len(),
            is_seen,
        });
        if let Some(text) = told.filter(|_| self.state.shell.settings.notify) {
            self.desktop.notify("The queue is done", &text);
        }
    }

    fn watch_window(&mut self, ctx: &Context) {
        // Asked for before the input is: both are behind one lock.
        let scale = ctx.zoom_factor();
        let place = ctx.input(|input| {
            let viewport = input.viewport();
            // In the system's own px, whatever the window's scale: the next start begins without one.
            let size = viewport.inner_rect?.size() * scale;
            let visible = !viewport.minimized.unwrap_or(false) && !viewport.fullscreen.unwrap_or(false);
            let maximized = viewport.maximized.unwrap_or(false);
            visible.then_some(WindowPlace { width: size.x, height: size.y, maximized })
        });
        if let Some(place) = place {
            self.actions.push(Action::WindowPlaced(place));
        }
    }

    /// Saves the settings once they have rested for a while.
    fn save_when_rested(&mut self, ctx: &Context) {
        if !self.state.settings_dirty() {
            self.dirty_since = None;
            return;
        }
        let now = ctx.input(|input| input.time);
        let since = *self.dirty_since.get_or_insert(now);
        let left = SAVE_AFTER_SECS - (now - since);
        if left <= 0.0 {
            let effect = self.state.save_settings();
            self.dirty_since = None;
            self.perform(ctx, vec![effect]);
        } else {
            ctx.request_repaint_after(std::time::Duration::from_secs_f64(left));
        }
    }

    /// Stops the running job and saves the settings, once.
    fn close(&mut self, ctx: &Context) {
        if !std::mem::replace(&mut self.closed, true) {
            let effects = self.state.close();
            self.perform(ctx, effects);
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &Context, _frame: &mut Frame) {
        self.state.observe((self.machine)(), now_ms());
        self.drain(ctx);
        self.tell_when_done(ctx);
        ui::theme::show(ctx, self.state.theme);
        ctx.set_zoom_factor(self.state.shell.scale());
        self.watch_window(ctx);
        let dropped: Vec<PathBuf> =
            ctx.input(|input| input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect());
        if !dropped.is_empty() {
            self.actions.push(Action::Dropped(dropped));
        }
        if ctx.input(|input| input.viewport().close_requested()) {
            self.close(ctx);
        }
        self.save_when_rested(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut Frame) {
        self.window.studio_ui(ui, &self.state, &mut self.actions);
        if let Some(begun) = self.begun.take() {
            tracing::info!("the first frame came after {} ms", begun.elapsed().as_millis());
        }
        let ctx = ui.ctx().clone();
        for action in std::mem::take(&mut self.actions) {
            let changes = !matches!(
                action,
                Action::Gallery(GalleryAction::InView(_) | GalleryAction::FilmInView(_))
                    | Action::Batch(BatchAction::InView(_))
                    | Action::Train(TrainAction::Dataset(DatasetAction::InView(_)))
                    | Action::WindowPlaced(_)
            );
            let effects = self.state.apply(action);
            self.perform(&ctx, effects);
            if changes {
                // What was drawn in this frame is the state from before.
                ctx.request_repaint();
            }
        }
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        // Also where the window was closed without asking, as at the end of a session.
        self.close(&Context::default());
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        *self.leftover.borrow_mut() = self.handles.take();
    }
}

/// The time in milliseconds since 1970 UTC.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A number that differs from start to start.
pub(super) fn entropy() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library keys its hash maps with the system's randomness.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
