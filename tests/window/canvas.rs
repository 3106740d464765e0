//! The picture to begin with: painted on with a real pointer, kept by the library's real thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier::domain::{Event, Extend, GenerateRequest, InitImage, PictureEntry, Settings, Theme};
use atelier::library::{LibraryCommand, LibraryEvent, LibraryHandle, Paths, SourceCommand};
use atelier::studio::{Place, Tool};
use egui::{Key, Modifiers, PointerButton, Pos2, Role, Vec2, vec2};
use egui_kittest::SnapshotOptions;
use egui_kittest::kittest::Queryable;

use super::bench::{Bench, entry, garment, recipe};
use super::create::drop_file;

/// A window with a library behind it that reads and writes.
struct Canvas {
    bench: Bench,
    library: LibraryHandle,
    home: tempfile::TempDir,
}

impl Canvas {
    fn new(settings: Settings) -> Self {
        Self::of_size(settings, [1280.0, 800.0])
    }

    fn of_size(settings: Settings, size: [f32; 2]) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let library = atelier::library::spawn(Paths::below(home.path()), Box::new(|| {})).expect("a thread");
        Self { bench: Bench::with(settings, size), library, home }
    }

    /// A window that begins with a picture of 64 × 64 px, which is shown four times as large.
    fn with_picture() -> Self {
        let mut canvas = Self::new(Settings::default());
        let path = canvas.write("cat.png", 64, 64);
        canvas.bench.type_number("Width", "64");
        canvas.bench.type_number("Height", "64");
        canvas.begin(&path);
        canvas
    }

    fn write(&self, name: &str, width_px: u32, height_px: u32) -> PathBuf {
        let path = self.home.path().join(name);
        let picture = garment(width_px, height_px, 2);
        let buffer = image::RgbaImage::from_raw(width_px, height_px, picture.rgba).expect("four bytes a px");
        buffer.save(&path).expect("it can be written");
        path
    }

    fn begin(&mut self, path: &Path) {
        drop_file(&mut self.bench, path.to_str().expect("a test's path is UTF-8"));
        self.settle();
    }

    /// Lets the library answer all that is asked about the picture to begin with.
    fn settle(&mut self) {
        loop {
            let asked: Vec<SourceCommand> = self
                .bench
                .library_commands
                .try_iter()
                .filter_map(|command| match command {
                    LibraryCommand::Source(command) => Some(command),
                    _ => None,
                })
                .collect();
            if asked.is_empty() {
                return;
            }
            for command in asked {
                let is_answered = !matches!(command, SourceCommand::Sweep(_));
                self.library.send(LibraryCommand::Source(command)).expect("the library listens");
                if is_answered {
                    let event = self.answer();
                    self.bench.library(event);
                }
            }
        }
    }

    fn answer(&self) -> LibraryEvent {
        let patience = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(event) = self.library.try_event() {
                return event;
            }
            assert!(Instant::now() < patience, "no event came");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Where a place of the picture of 64 × 64 px lies on the screen.
    fn at(&self, x: f32, y: f32) -> Pos2 {
        let area = self.bench.harness.get_by_label("Picture to begin with").rect();
        area.center() + 4.0 * vec2(x - 32.0, y - 32.0)
    }

    fn button(&mut self, pos: Pos2, button: PointerButton, pressed: bool, modifiers: Modifiers) {
        self.bench.harness.hover_at(pos);
        self.bench.harness.event(egui::Event::PointerButton { pos, button, pressed, modifiers });
        self.bench.harness.run();
    }

    /// Drags from place to place of the screen.
    fn drag(&mut self, places: &[Pos2], button: PointerButton, modifiers: Modifiers) {
        self.button(places[0], button, true, modifiers);
        for place in &places[1..] {
            self.bench.harness.hover_at(*place);
            self.bench.harness.run();
        }
        self.button(places[places.len() - 1], button, false, modifiers);
    }

    /// Paints a line between places of the picture.
    fn stroke(&mut self, places: &[(f32, f32)], button: PointerButton) {
        let places: Vec<Pos2> = places.iter().map(|(x, y)| self.at(*x, *y)).collect();
        self.drag(&places, button, Modifiers::NONE);
    }

    fn level(&self, x: u32, y: u32) -> u8 {
        self.bench.state().source.mask().plane().level(x, y)
    }

    fn mask(&self) -> Option<PathBuf> {
        self.bench.draft().init.as_ref().and_then(|init| init.mask.clone())
    }
}

fn level_in(file: &Path, x: u32, y: u32) -> u8 {
    image::open(file).expect("a picture").to_luma8().get_pixel(x, y).0[0]
}

#[test]
fn what_is_painted_over_a_picture_is_the_mask_of_the_job() {
    let mut canvas = Canvas::with_picture();
    assert!(canvas.bench.has("Picture to begin with") && canvas.bench.has("Brush") && canvas.bench.has("cat.png"));
    canvas.bench.type_number("Brush size", "10");
    canvas.stroke(&[(16.0, 32.0), (30.0, 32.0), (48.0, 32.0)], PointerButton::Primary);
    assert_eq!([(16, 32), (32, 32), (48, 32), (32, 20)].map(|(x, y)| canvas.level(x, y)), [255, 255, 255, 0]);
    assert_eq!(canvas.mask(), None, "the library has not answered yet");
    canvas.settle();
    let mask = canvas.mask().expect("it was written");
    assert!(mask.starts_with(canvas.home.path().join("sources")) && canvas.bench.has("Painted on the picture"));
    canvas.bench.click("Generate");
    let job = canvas.bench.sent_job().expect("a job was sent");
    let init = job.request.init.clone().expect("it begins with the picture");
    assert_eq!((init.mask.as_deref(), init.strength), (Some(mask.as_path()), 1.0));
    // The brush is 10 px wide: from 27 to 37.
    for (x, y, level) in [(16, 32, 255), (48, 30, 255), (32, 32, 255), (32, 25, 0), (32, 39, 0), (5, 32, 0)] {
        assert_eq!(level_in(&mask, x, y), level, "{x} {y}");
    }
    assert!(!canvas.bench.has("Picture to begin with"), "what is made is shown");
    // What is painted while the job waits does not change its mask.
    canvas.bench.press(Modifiers::COMMAND, Key::B);
    canvas.stroke(&[(32.0, 8.0)], PointerButton::Primary);
    canvas.settle();
    assert_ne!(canvas.mask(), Some(mask.clone()));
    assert_eq!((level_in(&mask, 32, 8), level_in(&mask, 32, 32)), (0, 255));
}

#[test]
fn generate_waits_for_the_file_and_not_the_window() {
    let mut canvas = Canvas::with_picture();
    canvas.stroke(&[(20.0, 20.0), (40.0, 20.0)], PointerButton::Primary);
    canvas.bench.press(Modifiers::COMMAND, Key::Enter);
    assert!(canvas.bench.sent_job().is_none(), "its mask is still being written");
    canvas.bench.prompt().focus();
    canvas.bench.harness.run();
    canvas.settle();
    let job = canvas.bench.sent_job().expect("it was sent as soon as the file was there");
    let mask = job.request.init.and_then(|init| init.mask).expect("a mask");
    assert_eq!(level_in(&mask, 30, 20), 255);
}

#[test]
fn strokes_are_erased_undone_and_inverted() {
    let mut canvas = Canvas::with_picture();
    canvas.bench.type_number("Brush size", "12");
    canvas.bench.click("Fill");
    canvas.stroke(&[(20.0, 32.0), (44.0, 32.0)], PointerButton::Secondary);
    assert_eq!((canvas.level(32, 32), canvas.level(32, 10)), (0, 255), "the right button takes away");
    canvas.bench.press(Modifiers::COMMAND, Key::Z);
    assert_eq!(canvas.level(32, 32), 255);
    canvas.bench.click("Redo");
    assert_eq!(canvas.level(32, 32), 0);
    canvas.bench.press(Modifiers::NONE, Key::I);
    assert_eq!((canvas.level(32, 32), canvas.level(32, 10)), (255, 0));
    canvas.bench.press(Modifiers::NONE, Key::E);
    assert_eq!(canvas.bench.state().source.tool, Tool::Eraser);
    canvas.stroke(&[(32.0, 32.0)], PointerButton::Primary);
    assert_eq!((canvas.level(32, 32), canvas.level(22, 32)), (0, 255), "a click is a dot");
    canvas.bench.press(Modifiers::NONE, Key::Delete);
    assert!(canvas.bench.state().source.mask().is_empty());
    canvas.settle();
    assert_eq!(canvas.mask(), None);
    canvas.bench.click("Undo");
    canvas.bench.click("Brush");
    canvas.settle();
    assert_eq!(canvas.mask().map(|mask| (level_in(&mask, 32, 32), level_in(&mask, 22, 32))), Some((0, 255)));
}

#[test]
fn feather_makes_the_edge_of_the_file_soft() {
    let mut canvas = Canvas::with_picture();
    canvas.bench.type_number("Brush size", "24");
    canvas.stroke(&[(2.0, 32.0), (64.0, 32.0)], PointerButton::Primary);
    canvas.bench.type_number("Feather", "6");
    canvas.settle();
    let mask = canvas.mask().expect("it was written");
    // The stroke is from 20 to 44, its own edge 4 px wide; the feather reaches 6 px further.
    let column: Vec<u8> = (0..=32).map(|y| level_in(&mask, 32, y)).collect();
    assert!(column.windows(2).all(|pair| pair[0] <= pair[1]), "{column:?}");
    assert_eq!((column[11], column[32]), (0, 255));
    assert!(column[16] > 0 && column[23] < 255, "{column:?}");
    assert_eq!(canvas.level(32, 16), 0, "what was painted stays as it was");
    canvas.bench.type_number("Feather", "0");
    canvas.settle();
    assert_eq!(canvas.mask().map(|mask| level_in(&mask, 32, 16)), Some(0));
}

#[test]
fn tools_have_keys_but_not_while_text_is_typed() {
    let mut canvas = Canvas::with_picture();
    let before = canvas.bench.state().source.brush_px;
    canvas.stroke(&[(32.0, 32.0)], PointerButton::Primary);
    canvas.bench.press(Modifiers::NONE, Key::CloseBracket);
    assert!(canvas.bench.state().source.brush_px > before);
    canvas.bench.press(Modifiers::NONE, Key::OpenBracket);
    canvas.bench.press(Modifiers::NONE, Key::M);
    assert!(!canvas.bench.state().source.mask_shown);
    canvas.bench.prompt().focus();
    canvas.bench.harness.run();
    for key in [Key::E, Key::Delete, Key::M] {
        canvas.bench.press(Modifiers::NONE, key);
    }
    // Of the draft the last change is undone, not of the mask.
    canvas.bench.prompt().type_text(" x");
    canvas.bench.harness.run();
    canvas.bench.press(Modifiers::COMMAND, Key::Z);
    let source = &canvas.bench.state().source;
    assert!(source.tool == Tool::Brush && !source.mask_shown && !source.mask().is_empty());
    canvas.bench.click("Result");
    assert!(!canvas.bench.has("Picture to begin with"));
    canvas.bench.press(Modifiers::COMMAND, Key::B);
    assert!(canvas.bench.has("Picture to begin with"));
}

#[test]
fn the_picture_is_looked_at_from_near_and_painted_where_the_pointer_is() {
    let mut canvas = Canvas::with_picture();
    canvas.bench.type_number("Brush size", "4");
    let at = canvas.at(16.0, 16.0);
    canvas.bench.harness.hover_at(at);
    canvas.bench.harness.event(egui::Event::Zoom(2.0));
    canvas.bench.harness.run();
    assert_eq!(canvas.bench.state().source.gaze.zoom, 2.0);
    canvas.drag(&[at], PointerButton::Primary, Modifiers::NONE);
    assert_eq!((canvas.level(16, 16), canvas.level(20, 16)), (255, 0), "what was under the pointer is still there");
    // Eight points a px now: 80 points are 10 px.
    canvas.drag(&[at, at + vec2(80.0, 40.0)], PointerButton::Middle, Modifiers::NONE);
    canvas.drag(&[at], PointerButton::Primary, Modifiers::NONE);
    assert_eq!(canvas.level(6, 11), 255);
    canvas.bench.harness.key_down(Key::Space);
    canvas.bench.harness.run();
    canvas.drag(&[at, at - vec2(80.0, 40.0)], PointerButton::Primary, Modifiers::NONE);
    canvas.bench.harness.key_up(Key::Space);
    canvas.bench.harness.run();
    let before = canvas.bench.state().source.mask().plane().clone();
    canvas.drag(&[at], PointerButton::Primary, Modifiers::NONE);
    assert_eq!(canvas.bench.state().source.mask().plane(), &before, "the same dot again");
    canvas.bench.click("Fit");
    assert_eq!(canvas.bench.state().source.gaze.zoom, 1.0);
    canvas.bench.click("Zoom in");
    assert_eq!(canvas.bench.state().source.gaze.zoom, 1.25);
    canvas.bench.click("Zoom out");
    canvas.bench.click("400 %");
    assert!(canvas.bench.state().source.gaze.zoom <= 1.0, "it is not made smaller than fits");
    // By the keyboard.
    canvas.bench.harness.get_by_label("Picture to begin with").focus();
    canvas.bench.harness.run();
    for key in [Key::Plus, Key::Plus, Key::Plus, Key::Minus, Key::ArrowRight] {
        canvas.bench.press(Modifiers::NONE, key);
    }
    let gaze = canvas.bench.state().source.gaze;
    assert!(gaze.zoom == 1.5625 && gaze.middle[0] > 0.5 && gaze.middle[1] == 0.5, "{gaze:?}");
}

#[test]
fn an_edge_that_is_dragged_makes_room_around_the_picture() {
    let mut canvas = Canvas::with_picture();
    let size = |canvas: &Canvas| (canvas.bench.draft().width_px, canvas.bench.draft().height_px);
    let extend = |canvas: &Canvas| canvas.bench.draft().init.as_ref().map(|init| init.extend).expect("a picture");
    let right = canvas.bench.harness.get_by_label("Paint around: right edge").rect().center();
    // Four points a px: 62 points are 15.5 px, of which a latent takes 8.
    let (none, shift) = (Modifiers::NONE, Modifiers::SHIFT);
    canvas.drag(&[right, right + vec2(30.0, 0.0), right + vec2(62.0, 9.0)], PointerButton::Primary, none);
    assert_eq!(extend(&canvas), Extend { right: 16, ..Extend::default() });
    assert_eq!(size(&canvas), (80, 64));
    assert!(!canvas.bench.state().source.mask().can_undo(), "nothing was painted by it");
    let right = canvas.bench.harness.get_by_label("Paint around: right edge").rect().center();
    canvas.bench.harness.hover_at(right);
    canvas.bench.harness.run();
    for pressed in [true, false, true, false] {
        // All in one frame: a frame of the harness takes longer than a double click may.
        let button = PointerButton::Primary;
        let event = egui::Event::PointerButton { pos: right, button, pressed, modifiers: none };
        canvas.bench.harness.input_mut().events.push(event);
    }
    canvas.bench.harness.run();
    assert_eq!((extend(&canvas), size(&canvas)), (Extend::default(), (64, 64)), "a double click takes it back");

    canvas.bench.harness.event(egui::Event::ModifiersChanged(shift));
    let corner = canvas.bench.harness.get_by_label("Paint around: lower right corner").rect().center();
    canvas.drag(&[corner, corner + vec2(60.0, 33.0), corner + vec2(64.0, 32.0)], PointerButton::Primary, shift);
    canvas.bench.harness.event(egui::Event::ModifiersChanged(none));
    assert_eq!(extend(&canvas), Extend { left: 16, right: 16, top: 8, bottom: 8 });
    assert_eq!(size(&canvas), (96, 80));
    canvas.bench.harness.get_by_label("Paint around: left edge").focus();
    canvas.bench.harness.run();
    canvas.bench.press(none, Key::ArrowLeft);
    assert_eq!(extend(&canvas).left, 24, "by the keyboard too");
    // No further than the family can draw: 192 px, of which 64 are the picture.
    let right = canvas.bench.harness.get_by_label("Paint around: right edge").rect().center();
    canvas.drag(&[right, right + vec2(400.0, 0.0), right + vec2(900.0, 0.0)], PointerButton::Primary, none);
    assert_eq!((extend(&canvas).right, size(&canvas).0), (104, 192));
    assert_eq!(canvas.bench.state().problems(), []);
}

#[test]
fn a_picture_of_another_shape_is_made_at_its_own_size() {
    let mut canvas = Canvas::new(Settings::default());
    let path = canvas.write("wide.png", 160, 96);
    canvas.begin(&path);
    assert!(canvas.bench.has("·  64 px of its 160 are cut at the left and right"));
    canvas.bench.click("Use the picture's size: 160 × 96");
    assert_eq!((canvas.bench.draft().width_px, canvas.bench.draft().height_px), (160, 96));
    assert!(canvas.bench.harness.query_by_label_contains("Use the picture's size").is_none());
    let large = canvas.write("large.png", 400, 200);
    canvas.begin(&large);
    canvas.bench.click("Use the picture's size: 192 × 96");
    assert!(canvas.bench.has("·  Made smaller, from 400 × 200 px"));
}

#[test]
fn a_picture_on_the_clipboard_is_begun_with() {
    let mut canvas = Canvas::new(Settings::default());
    let picture = garment(64, 48, 1);
    let pasted = egui::ColorImage::from_rgba_unmultiplied([64, 48], &picture.rgba);
    canvas.bench.harness.event(egui::Event::PasteImage(Arc::new(pasted)));
    canvas.bench.harness.run();
    canvas.settle();
    let init = canvas.bench.draft().init.clone().expect("a picture to begin with");
    assert_eq!(image::open(&init.picture).expect("a picture").to_rgba8().as_raw(), &picture.rgba);
    assert!(canvas.bench.has("Picture to begin with"));
}

#[test]
fn every_picture_can_be_sent_to_the_canvas() {
    let mut canvas = Canvas::new(Settings::default());
    let saved = |canvas: &Canvas, id: i64| {
        let request = GenerateRequest { prompt: format!("thing {id}"), width_px: 96, ..GenerateRequest::default() };
        let path = canvas.write(&format!("{id}.png"), 96, 128);
        PictureEntry { path, ..entry(id, &recipe(request)) }
    };
    let entries = [saved(&canvas, 2), saved(&canvas, 1)];
    canvas.bench.serve(&entries);
    let begun = |canvas: &Canvas| canvas.bench.draft().init.as_ref().map(|init| init.picture.clone());
    // From the grid, by its button.
    canvas.bench.go_to("Gallery");
    canvas.bench.serve(&entries);
    let tile = canvas.bench.harness.get_by_label("Picture: thing 1").rect().center();
    canvas.bench.harness.hover_at(tile);
    canvas.bench.harness.run();
    canvas.bench.click("Begin with it: thing 1");
    canvas.settle();
    assert_eq!((begun(&canvas), canvas.bench.state().place), (Some(entries[1].path.clone()), Place::Create));
    assert_eq!((canvas.bench.draft().width_px, canvas.bench.draft().height_px), (96, 128), "at its own size");
    assert!(canvas.bench.has("Picture to begin with"));
    // From the large view, by its key.
    canvas.bench.go_to("Gallery");
    canvas.bench.harness.get_by_label("Picture: thing 2").click();
    canvas.bench.harness.run();
    assert!(canvas.bench.has("Begin with it"));
    canvas.bench.press(Modifiers::NONE, Key::B);
    canvas.settle();
    assert_eq!(begun(&canvas), Some(entries[0].path.clone()));
    // From the filmstrip.
    canvas.bench.press(Modifiers::COMMAND, Key::Enter);
    let job = canvas.bench.sent_job().expect("a job was sent");
    let finished = saved(&canvas, 3);
    canvas.bench.engine(Event::Finished {
        job: job.id,
        index: 0,
        picture: Arc::new(garment(96, 128, 3)),
        recipe: Box::new(recipe(job.request.single(0))),
        saved: Ok(Box::new(finished.clone())),
    });
    canvas.bench.engine(Event::Done { job: job.id });
    let tile = format!("Session picture 1: {}", job.request.prompt);
    canvas.bench.click(&format!("Begin with it: {tile}"));
    canvas.settle();
    assert_eq!(begun(&canvas), Some(finished.path));
}

#[test]
fn a_recipe_whose_mask_is_gone_says_so() {
    // High enough for all fields.
    let mut canvas = Canvas::of_size(Settings::default(), [1280.0, 1200.0]);
    let picture = canvas.write("cat.png", 64, 64);
    let gone = canvas.home.path().join("sources").join("mask-0123456789abcdef.png");
    let init = InitImage { picture, mask: Some(gone.clone()), strength: 1.0, extend: Extend::default() };
    let made = recipe(GenerateRequest { init: Some(init), ..GenerateRequest::default() });
    let entries = [entry(1, &made)];
    canvas.bench.go_to("Gallery");
    canvas.bench.serve(&entries);
    canvas.bench.harness.get_by_label("Picture: (no prompt)").click();
    canvas.bench.harness.run();
    canvas.bench.click("Use all parameters");
    canvas.settle();
    assert!(canvas.bench.has("The mask is not there any more"));
    assert!(canvas.bench.has(&gone.display().to_string()));
    canvas.bench.press(Modifiers::COMMAND, Key::Enter);
    assert!(canvas.bench.sent_job().is_none(), "it is not made without the mask in silence");
    canvas.bench.click("Without the mask");
    canvas.bench.press(Modifiers::COMMAND, Key::Enter);
    assert!(canvas.bench.sent_job().is_some());
}

fn snapshot(canvas: &mut Canvas, name: &str) {
    let options = SnapshotOptions::new().threshold(1.2).max_failed_pixels(400);
    canvas.bench.harness.snapshot_options(name, &options);
}

/// A window with a pullover to begin with.
fn pullover(theme: Theme, size: [f32; 2], width_px: u32) -> Canvas {
    let mut canvas = Canvas::of_size(Settings { theme, ..Settings::default() }, size);
    let path = canvas.write("pullover.png", width_px, 128);
    canvas.begin(&path);
    canvas
}

/// Paints over the neck, and leaves the brush below it.
fn paint_neck(canvas: &mut Canvas) {
    let area = canvas.bench.harness.get_by_label("Picture to begin with").rect();
    // What takes hold of the edges lies between the area's edge and the picture.
    let scale = ((area.size() - Vec2::splat(40.0)) / 128.0).min_elem().min(4.0);
    let at = |x: f32, y: f32| area.center() + scale * vec2(x - 64.0, y - 64.0);
    canvas.drag(&[at(50.0, 30.0), at(64.0, 38.0), at(80.0, 30.0)], PointerButton::Primary, Modifiers::NONE);
    canvas.settle();
    canvas.bench.harness.hover_at(at(64.0, 84.0));
    canvas.bench.harness.run();
}

/// Begins to drag the right edge, and keeps hold of it.
fn drag_right_edge(canvas: &mut Canvas, by: f32) {
    let right = canvas.bench.harness.get_by_role_and_label(Role::Button, "Paint around: right edge").rect().center();
    canvas.button(right, PointerButton::Primary, true, Modifiers::NONE);
    for step in 1..=4 {
        canvas.bench.harness.hover_at(right + vec2(by / 4.0 * step as f32, 0.0));
        canvas.bench.harness.run();
    }
}

#[test]
fn looks_with_a_mask() {
    let mut canvas = pullover(Theme::Dark, [1280.0, 800.0], 128);
    paint_neck(&mut canvas);
    snapshot(&mut canvas, "canvas_mask_dark");
}

#[test]
fn looks_with_a_soft_mask_in_a_small_window() {
    let mut small = pullover(Theme::Light, [900.0, 600.0], 128);
    paint_neck(&mut small);
    small.bench.type_number("Feather", "6");
    small.settle();
    snapshot(&mut small, "canvas_mask_light");
}

#[test]
fn looks_with_room_around() {
    let mut canvas = pullover(Theme::Light, [1280.0, 800.0], 160);
    drag_right_edge(&mut canvas, 96.0);
    snapshot(&mut canvas, "canvas_around_light");
}

#[test]
fn looks_with_room_around_in_a_small_window() {
    let mut small = pullover(Theme::Dark, [900.0, 600.0], 160);
    drag_right_edge(&mut small, 64.0);
    snapshot(&mut small, "canvas_around_dark");
}
