//! How fast the window shows a large gallery: `cargo bench --bench window -- [pictures, 50000] [folder to keep it in]`.
//!
//! The real window with the real library thread, without a display: it opens the gallery and scrolls through it, while
//! the built-in model makes pictures on all cores. Prints the time to the first full page, the processor's time of a frame
//! (layout and tessellation; what the graphics card does is not in it), and the memory above an empty window's.
//! Nothing is compared; the numbers are read by people.

#![expect(clippy::print_stdout, reason = "a measurement prints")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails has nothing to go on with")]

#[path = "library/made.rs"]
mod made;
#[path = "library/times.rs"]
mod times;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use atelier::app::{Answer, App, BatchHandle, DatasetHandle, Desktop, Dialogs, Handles, Launch, Parts};
use atelier::domain::batch::{BatchCommand, BatchEvent};
use atelier::domain::dataset::{DatasetCommand, DatasetEvent};
use atelier::domain::training::{DeskCommand, DeskEvent};
use atelier::domain::{
    self, Cancel, Command, GenerateRequest, ModelRef, ModelsCommand, ModelsEvent, SamplerId, ScheduleId, Settings,
};
use atelier::engine::{DeskHandle, EngineHandle, ModelsHandle};
use atelier::library::{Index, Paths, QueueCommand, QueueEvent, QueueHandle};
use atelier::studio::{Catalog, DialogRequest, Machine, Place};
use atelier::{library, models, pipeline};
use crossbeam_channel::{Receiver, Sender, unbounded};
use egui::{Event, Key, Modifiers, MouseWheelSource, MouseWheelUnit, TouchPhase, vec2};
use egui_kittest::Harness;
use times::{Times, milliseconds, print_quantiles, resident_kib};

/// Frames that are scrolled through.
const FRAMES: usize = 1500;
/// How far in each, in points: several pages a second at 60 frames.
const STEP: f32 = 120.0;

struct NoDialogs;

impl Dialogs for NoDialogs {
    fn ask(&self, _: &DialogRequest, _: &Path, _: Answer) {}
}

struct NoDesktop;

impl Desktop for NoDesktop {
    fn reveal(&self, _: &Path) {}
    fn notify(&self, _: &str, _: &str) {}
}

fn main() {
    // `cargo bench` adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let count: u64 = arguments.next().map_or(50_000, |count| count.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let home = arguments.next().map_or_else(|| temporary.path().to_path_buf(), PathBuf::from);
    let paths = Paths::below(&home);
    if !paths.pictures_dir.exists() {
        made::write_pictures(&paths, count);
        Index::open(&paths).unwrap().rescan().unwrap();
    }
    let empty_home = tempfile::tempdir().unwrap();
    drop(opened(&Paths::below(empty_home.path())));
    let empty = resident_kib();

    let begun = Instant::now();
    let mut window = opened(&paths);
    wait_for_page(&mut window);
    println!("{:<34} {:>11}", "first page of the gallery", milliseconds(begun.elapsed()));

    let cancel = Cancel::default();
    let working = cancel.clone();
    let job = thread::spawn(move || {
        let model = models::open(&ModelRef::Starter, None, &Cancel::default(), &mut |_| ()).unwrap();
        while !working.is_cancelled() {
            // Ends with an error once it is cancelled.
            let _ = pipeline::generate(&model, &GenerateRequest::default(), &working, &mut |_| ());
        }
    });
    println!("{:<34} {:>8} {:>10} {:>10} {:>10} {:>10}", "", "frames", "p50", "p95", "p50 cpu", "p95 cpu");
    for (what, step) in [("scrolling down", -STEP), ("scrolling up", STEP), ("leaping", -40.0 * STEP)] {
        let frames: Vec<Times> = (0..FRAMES).map(|_| frame(&mut window, step)).collect();
        print_quantiles(what, FRAMES, &frames);
    }
    cancel.cancel();
    job.join().unwrap();
    println!("{:<34} {:>8} KiB above {} KiB", "memory", resident_kib() - empty, empty);
}

/// A window, and the ends of its channels at which nobody answers.
struct Window {
    harness: Harness<'static, App>,
    _far_ends: FarEnds,
}

type FarEnds = (
    (Receiver<Command>, Sender<domain::Event>),
    (Receiver<QueueCommand>, Sender<QueueEvent>),
    (Receiver<ModelsCommand>, Sender<ModelsEvent>),
    (Receiver<BatchCommand>, Sender<BatchEvent>),
    (Receiver<DeskCommand>, Sender<DeskEvent>),
    (Receiver<DatasetCommand>, Sender<DatasetEvent>),
);

/// A window at its gallery, with a library thread of its own.
fn opened(paths: &Paths) -> Window {
    let (commands, far_commands) = unbounded();
    let (far_events, events) = unbounded();
    let (queue_commands, far_queue_commands) = unbounded();
    let (far_queue_events, queue_events) = unbounded();
    let (models_commands, far_models_commands) = unbounded();
    let (far_models_events, models_events) = unbounded();
    let (batch_commands, far_batch_commands) = unbounded();
    let (far_batch_events, batch_events) = unbounded();
    let (desk_commands, far_desk_commands) = unbounded();
    let (far_desk_events, desk_events) = unbounded();
    let (dataset_commands, far_dataset_commands) = unbounded();
    let (far_dataset_events, dataset_events) = unbounded();
    let far_ends = (
        (far_commands, far_events),
        (far_queue_commands, far_queue_events),
        (far_models_commands, far_models_events),
        (far_batch_commands, far_batch_events),
        (far_desk_commands, far_desk_events),
        (far_dataset_commands, far_dataset_events),
    );
    let handles = Handles {
        engine: EngineHandle::new(commands, events, None),
        library: library::spawn(paths.clone(), Box::new(|| {})).unwrap(),
        queue: QueueHandle::new(queue_commands, queue_events, None),
        models: ModelsHandle::new(models_commands, models_events, None),
        batch: BatchHandle::new(batch_commands, batch_events, None),
        desk: DeskHandle::new(desk_commands, desk_events, None),
        dataset: DatasetHandle::new(dataset_commands, dataset_events, None),
    };
    let launch = Launch {
        settings: Settings::default(),
        settings_problem: None,
        catalog: Catalog {
            families: models::FAMILIES.iter().map(|family| &family.capabilities).collect(),
            samplers: SamplerId::ALL.to_vec(),
            schedules: ScheduleId::ALL.to_vec(),
            models: &[],
            local_date: |_| String::new(),
        },
        paths: paths.clone(),
        threads: 2,
        begun: Instant::now(),
    };
    let parts = Parts {
        handles,
        dialogs: Box::new(NoDialogs),
        desktop: Box::new(NoDesktop),
        machine: Box::new(Machine::default),
        entropy: 7,
    };
    let mut window = Harness::builder()
        .with_size([1440.0, 900.0])
        .build_eframe(move |creation| App::new(&creation.egui_ctx, launch, parts, Rc::default()));
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num2);
    window.step();
    assert!(window.state().state().place == Place::Gallery);
    Window { harness: window, _far_ends: far_ends }
}

/// Draws until the pictures of the first page are there.
fn wait_for_page(window: &mut Window) {
    loop {
        window.harness.step();
        let gallery = &window.harness.state().state().gallery;
        if gallery.ids().first().is_some_and(|first| gallery.row(*first).is_some()) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Scrolls and draws once.
fn frame(Window { harness: window, .. }: &mut Window, step: f32) -> Times {
    window.event(Event::PointerMoved(egui::pos2(800.0, 500.0)));
    window.event(Event::MouseWheel {
        unit: MouseWheelUnit::Point,
        delta: vec2(0.0, step),
        phase: TouchPhase::Move,
        source: MouseWheelSource::Wheel,
        modifiers: Modifiers::NONE,
    });
    let start = Times::now();
    window.step();
    let output = window.output();
    let meshes = window.ctx.tessellate(output.shapes.clone(), output.pixels_per_point);
    let took = start.elapsed();
    drop(meshes);
    // As many frames a second as a screen shows: the thumbnails come in their own time.
    thread::sleep(Duration::from_millis(16).saturating_sub(took.clock));
    took
}
