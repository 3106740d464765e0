//! The bench: a window on a harness, the far ends of its channels, and pictures to feed it.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use atelier::app::{Answer, App, BatchHandle, DatasetHandle, Desktop, Dialogs, Handles, Launch, Parts};
use atelier::domain::batch::{BatchCommand, BatchEvent};
use atelier::domain::dataset::{DatasetCommand, DatasetEvent};
use atelier::domain::prompt::PromptQuery;
use atelier::domain::training::{DeskCommand, DeskEvent};
use atelier::domain::{
    Capabilities, CatalogueEntry, Command, Event, FamilyId, GalleryRow, GenerateRequest, Job, JobId, Marks, ModelInfo,
    ModelRef, ModelsCommand, ModelsEvent, Picture, PictureEntry, PictureId, PredictionType, Recipe, SamplerId,
    ScheduleId, SearchResult, Settings,
};
use atelier::engine::{DeskHandle, EngineHandle, ModelsHandle};
use atelier::library::{
    Counts, Found, GalleryCommand, GalleryEvent, LibraryCommand, LibraryEvent, LibraryHandle, Paths, QueueCommand,
    QueueEvent, QueueHandle, Ticket,
};
use atelier::studio::{Catalog, DialogAnswer, DialogRequest, Machine, Memory, State};
use crossbeam_channel::{Receiver, Sender, unbounded};
use egui::Role;
use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, Node};

pub static STARTER: Capabilities = Capabilities {
    family: FamilyId::Starter,
    label: "Starter · garments",
    size_multiple_px: 8,
    min_side_px: 64,
    max_side_px: 192,
    native_side_px: 128,
    aspect_presets: &[("1:1", 128, 128), ("3:4", 96, 128), ("2:3", 128, 192), ("3:2", 192, 128)],
    default_steps: 20,
    default_guidance: 4.0,
    default_sampler: SamplerId::DpmPp2m,
    default_schedule: ScheduleId::Automatic,
    example_prompt: "a red knitted pullover with a high collar",
    needs_mask: false,
};

pub static SD1: Capabilities = Capabilities {
    family: FamilyId::Sd1,
    label: "Stable Diffusion 1",
    size_multiple_px: 8,
    min_side_px: 256,
    max_side_px: 1024,
    native_side_px: 512,
    aspect_presets: &[("1:1", 512, 512), ("3:2", 768, 512), ("2:3", 512, 768)],
    default_steps: 25,
    default_guidance: 7.5,
    default_sampler: SamplerId::Euler,
    default_schedule: ScheduleId::Karras,
    example_prompt: "a lighthouse at dusk",
    needs_mask: false,
};

pub static CATALOGUE: &[CatalogueEntry] = &[
    CatalogueEntry {
        repo: "stabilityai/sd-turbo",
        name: "SD-Turbo",
        family: "SD 2.1",
        licence: "Stability AI's own; commercial use has conditions",
        approx_bytes: 2_580_000_000,
        side_px: 512,
        is_inpainting: false,
        good_at: "a picture in one to four steps, without guidance: the quickest to try ideas with",
    },
    CatalogueEntry {
        repo: "stable-diffusion-v1-5/stable-diffusion-v1-5",
        name: "Stable Diffusion 1.5",
        family: "SD 1.5",
        licence: "CreativeML OpenRAIL-M",
        approx_bytes: 2_740_000_000,
        side_px: 512,
        is_inpainting: false,
        good_at: "an all-rounder that most LoRAs and fine-tunes are made for",
    },
];

/// What the user answers to the next dialogs, and what was asked.
#[derive(Default)]
pub struct Script {
    pub answers: Vec<DialogAnswer>,
    pub asked: Vec<DialogRequest>,
}

struct ScriptedDialogs(Rc<RefCell<Script>>);

impl Dialogs for ScriptedDialogs {
    fn ask(&self, request: &DialogRequest, _folder: &Path, answer: Answer) {
        let mut script = self.0.borrow_mut();
        script.asked.push(request.clone());
        let given = if script.answers.is_empty() { DialogAnswer::Dismissed } else { script.answers.remove(0) };
        answer(given);
    }
}

/// What the desktop was asked for.
#[derive(Default)]
pub struct Asked {
    pub revealed: Vec<PathBuf>,
    pub told: Vec<String>,
}

struct ScriptedDesktop(Rc<RefCell<Asked>>);

impl Desktop for ScriptedDesktop {
    fn reveal(&self, path: &Path) {
        self.0.borrow_mut().revealed.push(path.to_path_buf());
    }

    fn notify(&self, _title: &str, text: &str) {
        self.0.borrow_mut().told.push(text.to_owned());
    }
}

/// A machine of 16 GB, half of which are free.
pub const MACHINE: Machine = Machine {
    threads: 8,
    cores: 8,
    memory: Some(Memory { total_bytes: 16_000_000_000, free_bytes: 8_000_000_000, own_bytes: 420_000_000 }),
};

/// A window and everything around it.
pub struct Bench {
    pub harness: Harness<'static, App>,
    pub commands: Receiver<Command>,
    pub events: Sender<Event>,
    pub library_commands: Receiver<LibraryCommand>,
    pub library_events: Sender<LibraryEvent>,
    pub queue_commands: Receiver<QueueCommand>,
    pub queue_events: Sender<QueueEvent>,
    /// What was asked of the queue's thread and is answered, since the last look.
    pub queue_log: Vec<QueueCommand>,
    pub models_commands: Receiver<ModelsCommand>,
    pub models_events: Sender<ModelsEvent>,
    pub batch_commands: Receiver<BatchCommand>,
    pub batch_events: Sender<BatchEvent>,
    pub desk_commands: Receiver<DeskCommand>,
    pub desk_events: Sender<DeskEvent>,
    pub dataset_commands: Receiver<DatasetCommand>,
    pub dataset_events: Sender<DatasetEvent>,
    pub script: Rc<RefCell<Script>>,
    pub desktop: Rc<RefCell<Asked>>,
    /// The machine, as the window sees it from the next frame on.
    pub machine: Rc<Cell<Machine>>,
}

impl Bench {
    /// The very first start, of somebody who has seen the tour.
    pub fn first_start() -> Self {
        Self::with(Settings::default(), [1280.0, 800.0])
    }

    /// A start with remembered settings, of somebody who has seen the tour.
    pub fn with(mut settings: Settings, size: [f32; 2]) -> Self {
        settings.shell.tour_seen = true;
        Self::start(settings, size, 1.0)
    }

    /// A start with just these settings, on a screen with as many px for each logical one.
    pub fn start(settings: Settings, size: [f32; 2], pixels_per_point: f32) -> Self {
        let (command_sender, commands) = unbounded();
        let (events, event_receiver) = unbounded();
        let (library_command_sender, library_commands) = unbounded();
        let (library_events, library_event_receiver) = unbounded();
        let (queue_command_sender, queue_commands) = unbounded();
        let (queue_events, queue_event_receiver) = unbounded();
        let (models_command_sender, models_commands) = unbounded();
        let (models_events, models_event_receiver) = unbounded();
        let (batch_command_sender, batch_commands) = unbounded();
        let (batch_events, batch_event_receiver) = unbounded();
        let (desk_command_sender, desk_commands) = unbounded();
        let (desk_events, desk_event_receiver) = unbounded();
        let (dataset_command_sender, dataset_commands) = unbounded();
        let (dataset_events, dataset_event_receiver) = unbounded();
        let handles = Handles {
            engine: EngineHandle::new(command_sender, event_receiver, None),
            library: LibraryHandle::new(library_command_sender, library_event_receiver, None),
            queue: QueueHandle::new(queue_command_sender, queue_event_receiver, None),
            models: ModelsHandle::new(models_command_sender, models_event_receiver, None),
            batch: BatchHandle::new(batch_command_sender, batch_event_receiver, None),
            desk: DeskHandle::new(desk_command_sender, desk_event_receiver, None),
            dataset: DatasetHandle::new(dataset_command_sender, dataset_event_receiver, None),
        };
        let script = Rc::new(RefCell::new(Script::default()));
        let dialogs = Box::new(ScriptedDialogs(Rc::clone(&script)));
        let launch = Launch {
            settings,
            settings_problem: None,
            catalog: Catalog {
                families: vec![&STARTER, &SD1],
                samplers: vec![SamplerId::DpmPp2m, SamplerId::Ddim, SamplerId::Euler],
                schedules: vec![ScheduleId::Automatic, ScheduleId::Karras],
                models: CATALOGUE,
                local_date: |_| "21 November 2026, 14:05".to_owned(),
            },
            paths: Paths::below("/home/kim/atelier"),
            threads: 8,
            begun: std::time::Instant::now(),
        };
        let desktop = Rc::new(RefCell::new(Asked::default()));
        let machine = Rc::new(Cell::new(MACHINE));
        let seen = Rc::clone(&machine);
        let parts = Parts {
            handles,
            dialogs,
            desktop: Box::new(ScriptedDesktop(Rc::clone(&desktop))),
            machine: Box::new(move || seen.get()),
            entropy: 7,
        };
        let mut harness = Harness::builder()
            .with_size(size)
            .with_pixels_per_point(pixels_per_point)
            .with_max_steps(16)
            .with_render_cursor(false)
            .build_eframe(move |creation| App::new(&creation.egui_ctx, launch, parts, Rc::default()));
        harness.run();
        Self {
            harness,
            commands,
            events,
            library_commands,
            library_events,
            models_commands,
            models_events,
            batch_commands,
            batch_events,
            desk_commands,
            desk_events,
            dataset_commands,
            dataset_events,
            queue_commands,
            queue_events,
            queue_log: Vec::new(),
            script,
            desktop,
            machine,
        }
    }

    pub fn state(&self) -> &State {
        self.harness.state().state()
    }

    pub fn draft(&self) -> &GenerateRequest {
        &self.state().draft.request
    }

    /// The queue's thread keeps what it is asked to.
    pub fn keep_queue(&mut self) {
        loop {
            let mut answers = Vec::new();
            for command in self.queue_commands.try_iter() {
                match &command {
                    QueueCommand::Add(jobs) => answers.push(jobs.iter().map(|job| job.id).collect()),
                    QueueCommand::Change(job) => answers.push(vec![job.id]),
                    _ => {}
                }
                self.queue_log.push(command);
            }
            if answers.is_empty() {
                return;
            }
            for ids in answers {
                self.queue_events.send(QueueEvent::Kept(ids)).expect("the window listens");
            }
            self.harness.run();
        }
    }

    /// The queue's thread says something.
    pub fn queue(&mut self, event: QueueEvent) {
        self.queue_events.send(event).expect("the window listens");
        self.harness.run();
    }

    /// The one Generate among the commands that were sent since the last look; the others are dropped.
    pub fn sent_job(&mut self) -> Option<Job> {
        self.keep_queue();
        let jobs: Vec<Job> = self
            .commands
            .try_iter()
            .filter_map(|command| match command {
                Command::Generate(job) => Some(*job),
                _ => None,
            })
            .collect();
        assert!(jobs.len() <= 1, "one job at a time is sent, not {}", jobs.len());
        jobs.into_iter().next()
    }

    /// The engine says something.
    pub fn engine(&mut self, event: Event) {
        self.events.send(event).expect("the window listens");
        self.harness.run();
    }

    /// The library's thread says something.
    pub fn library(&mut self, event: LibraryEvent) {
        self.library_events.send(event).expect("the window listens");
        self.harness.run();
    }

    /// Answers what is asked about the gallery, as if these were all pictures and every search found all of them.
    /// Gives the other commands that came.
    pub fn serve(&mut self, entries: &[PictureEntry]) -> Vec<LibraryCommand> {
        let mut rest = Vec::new();
        loop {
            let mut answers = Vec::new();
            for command in self.library_commands.try_iter() {
                match command {
                    LibraryCommand::Gallery(command) => match answer(&command, entries) {
                        Some(event) => answers.push(event),
                        None => rest.push(LibraryCommand::Gallery(command)),
                    },
                    other => rest.push(other),
                }
            }
            if answers.is_empty() {
                return rest;
            }
            for event in answers {
                self.library_events.send(LibraryEvent::Gallery(event)).expect("the window listens");
            }
            self.harness.run();
        }
    }

    /// What was asked about the gallery since the last look.
    pub fn asked_of_gallery(&self) -> Vec<GalleryCommand> {
        let command = |command| match command {
            LibraryCommand::Gallery(command) => Some(command),
            _ => None,
        };
        self.library_commands.try_iter().filter_map(command).collect()
    }

    /// The models' thread says something. What turns is drawn for ever, so only a few frames are.
    pub fn models(&mut self, event: ModelsEvent) {
        self.models_events.send(event).expect("the window listens");
        self.harness.run_steps(4);
    }

    /// What was asked of the models' thread since the last look, but for what is asked about the prompt.
    pub fn asked_of_models(&self) -> Vec<ModelsCommand> {
        self.models_commands.try_iter().filter(|command| !matches!(command, ModelsCommand::Prompt(_))).collect()
    }

    /// What was asked about the prompt since the last look; what else was asked of the models' thread is dropped.
    pub fn asked_about_prompt(&self) -> Vec<PromptQuery> {
        let query = |command| match command {
            ModelsCommand::Prompt(query) => Some(query),
            _ => None,
        };
        self.models_commands.try_iter().filter_map(query).collect()
    }

    pub fn step(&mut self, job: JobId, step: u32, steps: u32) {
        let preview = Arc::new(gradient(16, 16, step));
        let elapsed_secs = f64::from(step) * 0.25;
        self.engine(Event::Step { job, index: 0, step, steps, preview, elapsed_secs });
    }

    /// The job's one picture is finished and saved.
    pub fn finish(&mut self, job: &Job, id: i64) {
        let recipe = recipe(job.request.single(0));
        let entry = entry(id, &recipe);
        let picture = Arc::new(garment(entry.width_px, entry.height_px, id as u32));
        let finished =
            Event::Finished { job: job.id, index: 0, picture, recipe: Box::new(recipe), saved: Ok(Box::new(entry)) };
        self.engine(finished);
        self.engine(Event::Done { job: job.id });
    }

    pub fn click(&mut self, label: &str) {
        self.harness.get_by_role_and_label(Role::Button, label).click();
        self.harness.run();
        self.keep_queue();
    }

    pub fn go_to(&mut self, place: &str) {
        self.harness.get_by_role_and_label(Role::Tab, place).click();
        self.harness.run();
    }

    pub fn press(&mut self, modifiers: egui::Modifiers, key: egui::Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run();
        self.keep_queue();
    }

    pub fn has(&self, label: &str) -> bool {
        self.harness.query_by_label(label).is_some()
    }

    pub fn prompt(&self) -> Node<'_> {
        self.harness.get_by_role_and_label(Role::MultilineTextInput, "Prompt")
    }

    /// Replaces what stands in a number field by typing.
    pub fn type_number(&mut self, field: &str, text: &str) {
        self.harness.get_by_role_and_label(Role::SpinButton, field).scroll_to_me();
        self.harness.run();
        self.harness.get_by_role_and_label(Role::SpinButton, field).click();
        self.harness.run();
        self.press(egui::Modifiers::COMMAND, egui::Key::A);
        self.harness.event(egui::Event::Text(text.to_owned()));
        self.harness.run();
        self.press(egui::Modifiers::NONE, egui::Key::Enter);
    }
}

fn answer(command: &GalleryCommand, entries: &[PictureEntry]) -> Option<GalleryEvent> {
    let counts = Counts { all: entries.len(), starred: 0 };
    Some(match command {
        GalleryCommand::Search { ticket, .. } => found(*ticket, entries.iter().map(|entry| entry.id)),
        GalleryCommand::Overview => GalleryEvent::Overview { counts, collections: Vec::new() },
        GalleryCommand::Reconcile => GalleryEvent::Reconciled { is_changed: false, counts },
        GalleryCommand::Rows(ids) => {
            let entry = |id| entries.iter().find(|entry| entry.id == id).cloned();
            let row = |entry| GalleryRow { entry, marks: Marks::default() };
            GalleryEvent::Rows(ids.iter().filter_map(|id| entry(*id).map(row)).collect())
        }
        _ => return None,
    })
}

/// What a search found.
pub fn found(ticket: Ticket, ids: impl Iterator<Item = PictureId>) -> GalleryEvent {
    let ids: Vec<PictureId> = ids.collect();
    let result = SearchResult { total: ids.len(), ids, group_sizes: Vec::new() };
    GalleryEvent::Found { ticket, found: Found { result, hints: Vec::new() } }
}

pub fn recipe(request: GenerateRequest) -> Recipe {
    Recipe {
        request,
        model_name: "Atelier starter".to_owned(),
        model_hash: "1f0e2d3c4b".to_owned(),
        version: "Atelier 0.1.0".to_owned(),
        elapsed_secs: 4.2,
        safety: None,
        ..Recipe::default()
    }
}

pub fn entry(id: i64, recipe: &Recipe) -> PictureEntry {
    PictureEntry {
        id: PictureId(id),
        path: PathBuf::from(format!("/home/kim/atelier/pictures/2026-11-21/{id:05}-{}.png", recipe.request.seed)),
        created_ms: 1_795_000_000_000 + id,
        width_px: recipe.request.width_px,
        height_px: recipe.request.height_px,
        recipe: Some(recipe.clone()),
    }
}

/// A history of `count` pictures, newest first, with differing requests.
pub fn history(count: i64) -> Vec<PictureEntry> {
    const THINGS: [&str; 6] = ["pullover", "raincoat", "summer dress", "leather boot", "woollen scarf", "linen shirt"];
    (1..=count)
        .rev()
        .map(|id| {
            let request = GenerateRequest {
                prompt: format!("a {} number {id}", THINGS[id as usize % THINGS.len()]),
                negative_prompt: "blurry".to_owned(),
                width_px: if id % 3 == 0 { 96 } else { 128 },
                height_px: 128,
                num_inference_steps: 12 + id as u32,
                guidance_scale: 3.5,
                sampler: SamplerId::Ddim,
                schedule: ScheduleId::Karras,
                seed: 1000 + id as u64,
                ..GenerateRequest::default()
            };
            entry(id, &recipe(request))
        })
        .collect()
}

pub fn model_info(model: ModelRef, family: FamilyId) -> ModelInfo {
    ModelInfo {
        name: format!("Model of {family:?}"),
        model,
        family,
        prediction_type: PredictionType::Epsilon,
        parameters: 859_520_964,
    }
}

/// A colourful picture for previews.
pub fn gradient(width_px: u32, height_px: u32, turn: u32) -> Picture {
    let rgba = (0..height_px)
        .flat_map(|y| (0..width_px).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            let red = 60 + 120 * x / width_px;
            let green = 50 + 100 * y / height_px;
            [red as u8, green as u8, (90 + turn * 7 % 100) as u8, 255]
        })
        .collect();
    Picture { width_px, height_px, rgba }
}

/// Something like a garment on a light ground, so that the pictures of the window look like a session.
pub fn garment(width_px: u32, height_px: u32, variant: u32) -> Picture {
    const COLOURS: [[u8; 3]; 6] =
        [[168, 52, 46], [54, 92, 128], [196, 150, 60], [70, 108, 78], [120, 78, 120], [60, 62, 70]];
    let colour = COLOURS[variant as usize % COLOURS.len()];
    let rgba = (0..height_px)
        .flat_map(|y| (0..width_px).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            let (u, v) = (x as f32 / width_px as f32 - 0.5, y as f32 / height_px as f32);
            let body = u.abs() < 0.2 + 0.04 * v && (0.2..0.88).contains(&v);
            let sleeve = (0.2..0.62).contains(&v) && (u.abs() - 0.2 - (v - 0.2) * 0.4).abs() < 0.09;
            let neck = u * u + (v - 0.19) * (v - 0.19) < 0.008;
            let ribs = 0.92 + 0.08 * (v * 90.0).sin();
            let [r, g, b] = if (body || sleeve) && !neck {
                colour.map(|c| (f32::from(c) * ribs * (1.05 - 0.5 * u.abs())).min(255.0) as u8)
            } else {
                [(232.0 - 20.0 * v) as u8, (230.0 - 20.0 * v) as u8, (226.0 - 20.0 * v) as u8]
            };
            [r, g, b, 255]
        })
        .collect();
    Picture { width_px, height_px, rgba }
}
