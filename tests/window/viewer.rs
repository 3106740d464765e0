//! Looking at pictures closely: zoom, the slide show, two compared, one made again, pictures of other programs.

use std::sync::Arc;

use atelier::domain::{
    Collection, CollectionId, Command, Event, GalleryRow, GenerateRequest, Likeness, Marks, Outcome, PictureId, Recipe,
    SafetyMode, SamplerId, Scope, Settings, SortOrder, Theme, UserError, Verdict,
};
use atelier::library::{
    CollectionChange, Counts, GalleryCommand, GalleryEvent, ImportCommand, ImportEvent, ImportReport, LibraryCommand,
    LibraryEvent, Looked,
};
use atelier::studio::{CompareMode, DialogAnswer, Place};
use egui::{Event as Input, Key, Modifiers, MouseWheelSource, MouseWheelUnit, Role, TouchPhase, pos2, vec2};
use egui_kittest::SnapshotOptions;
use egui_kittest::kittest::Queryable;

use super::bench::{Bench, entry, found, garment, history, recipe};
use super::gallery_many::tell;

/// A gallery of ten pictures, of which number 9 is shown large.
fn large_with(settings: Settings) -> Bench {
    let mut bench = Bench::with(settings, [1280.0, 800.0]);
    bench.go_to("Gallery");
    bench.serve(&history(10));
    open(&mut bench, 9);
    bench
}

fn large() -> Bench {
    large_with(Settings::default())
}

fn open(bench: &mut Bench, id: i64) {
    bench.harness.get_by_label(&label(id)).click();
    bench.harness.run();
    bench.serve(&history(10));
    bring(bench, id);
}

/// The file of a picture is read.
fn bring(bench: &mut Bench, id: i64) {
    let width_px = if id % 3 == 0 { 96 } else { 128 };
    bench.library(LibraryEvent::Opened { id: PictureId(id), picture: Arc::new(garment(width_px, 128, id as u32)) });
}

fn label(id: i64) -> String {
    format!("Picture: {}", prompt(id))
}

fn prompt(id: i64) -> String {
    let entry = history(10).into_iter().find(|entry| entry.id == PictureId(id)).expect("one of ten");
    entry.recipe.expect("all have one").request.prompt
}

fn factor(bench: &Bench) -> Option<f32> {
    bench.state().viewer.zoom.factor
}

fn point_at(bench: &mut Bench, x: f32, y: f32) {
    bench.harness.event(Input::PointerMoved(pos2(x, y)));
    bench.harness.run();
}

fn snapshot(bench: &mut Bench, name: &str) {
    let options = SnapshotOptions::new().threshold(1.2).max_failed_pixels(400);
    bench.harness.snapshot_options(name, &options);
}

#[test]
fn a_picture_is_zoomed_by_buttons_keys_and_the_wheel_and_stays_so() {
    let mut bench = large();
    bench.click("400 %");
    assert_eq!(factor(&bench), Some(4.0));
    bench.press(Modifiers::NONE, Key::Plus);
    assert_eq!(factor(&bench), Some(8.0));
    bench.press(Modifiers::SHIFT, Key::Equals);
    assert_eq!(factor(&bench), Some(16.0), "where + is above =");
    bench.press(Modifiers::NONE, Key::Minus);
    bench.press(Modifiers::NONE, Key::ArrowRight);
    assert_eq!((bench.state().gallery.selected, factor(&bench)), (Some(PictureId(8)), Some(8.0)));
    bench.press(Modifiers::NONE, Key::Z);
    assert_eq!(factor(&bench), None);
    bring(&mut bench, 8);
    point_at(&mut bench, 500.0, 400.0);
    let wheel = Input::MouseWheel {
        unit: MouseWheelUnit::Point,
        delta: vec2(0.0, 400.0),
        phase: TouchPhase::Move,
        modifiers: Modifiers::NONE,
        source: MouseWheelSource::Wheel,
    };
    let before = bench.harness.get_by_label(&format!("Large picture: {}", prompt(8))).rect();
    bench.harness.event(wheel);
    bench.harness.run_steps(8);
    // Fitted in, it is shown four times as large.
    assert!(factor(&bench).is_some_and(|factor| factor > 4.0), "{:?}", factor(&bench));
    let after = bench.harness.get_by_label(&format!("Large picture: {}", prompt(8))).rect();
    assert_eq!(after.center(), before.center(), "the area stays");
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(!bench.state().gallery.large && factor(&bench).is_none());
}

#[test]
fn a_zoomed_picture_is_drawn_along_and_the_px_under_the_pointer_is_told() {
    let mut bench = large();
    bench.click("800 %");
    let area = bench.harness.get_by_label(&format!("Large picture: {}", prompt(9))).rect();
    let centre = bench.state().viewer.zoom.centre;
    bench.harness.drag_at(area.center());
    bench.harness.run();
    bench.harness.hover_at(area.center() + vec2(0.0, 80.0));
    bench.harness.run();
    bench.harness.drop_at(area.center() + vec2(0.0, 80.0));
    bench.harness.run();
    let moved = bench.state().viewer.zoom.centre;
    // 80 of 8 × 128 px.
    assert!((centre.1 - moved.1 - 80.0 / 1024.0).abs() < 0.02, "{centre:?} {moved:?}");
    // The middle of the area is the middle of what is seen: its px and colour are said.
    point_at(&mut bench, area.center().x, area.center().y);
    let picture = garment(96, 128, 9);
    let zoom = bench.state().viewer.zoom;
    let (x, y) = ((zoom.centre.0 * 96.0) as u32, (zoom.centre.1 * 128.0) as u32);
    let at = 4 * (y * 96 + x) as usize;
    let [r, g, b] = [picture.rgba[at], picture.rgba[at + 1], picture.rgba[at + 2]];
    let colour = format!("RGB {r} {g} {b}");
    assert!(bench.harness.query_by_label_contains(&colour).is_some(), "x {x}, y {y} is {r} {g} {b}");
}

#[test]
fn only_the_picture_is_left_and_esc_brings_the_rest_back() {
    let mut bench = large();
    bench.press(Modifiers::NONE, Key::F);
    assert!(bench.state().full_screen && !bench.has("Use prompt"));
    assert!(bench.harness.query_by_role_and_label(Role::Tab, "Create").is_none(), "the rail is hidden");
    bench.press(Modifiers::NONE, Key::ArrowRight);
    assert_eq!(bench.state().gallery.selected, Some(PictureId(8)), "one slides through");
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(!bench.state().full_screen && bench.has("Use prompt"));
    bench.click("Only the picture");
    assert!(bench.state().viewer.is_alone);
}

#[test]
fn the_slide_show_goes_on_by_itself_until_it_is_stopped() {
    let mut bench = large();
    bench.press(Modifiers::NONE, Key::Space);
    assert!(bench.state().viewer.is_showing);
    bench.type_number("Seconds for each", "2");
    assert_eq!(bench.state().viewer.slide_secs, 2);
    // A frame of the tests is a quarter of a second.
    bench.harness.run_steps(12);
    let selected = bench.state().gallery.selected;
    assert!(selected.is_some_and(|id| id.0 < 9), "{selected:?}");
    bench.click("Slide show");
    let selected = bench.state().gallery.selected;
    bench.harness.run_steps(20);
    assert_eq!(bench.state().gallery.selected, selected);
}

#[test]
fn a_remix_takes_the_recipe_with_another_seed() {
    let mut bench = large();
    bench.click("Remix");
    assert_eq!((bench.draft().prompt.as_str(), bench.state().place), ("a leather boot number 9", Place::Create));
    assert_ne!(bench.draft().seed, 1009);
    assert_eq!(bench.draft().num_inference_steps, 21);
}

#[test]
fn pictures_are_rated_by_keys_pips_and_all_chosen_at_once() {
    let mut bench = large();
    let rated = |bench: &Bench| match bench.asked_of_gallery().into_iter().next() {
        Some(GalleryCommand::Rate { ids, rating }) => (ids.len(), rating),
        other => panic!("{other:?}"),
    };
    bench.asked_of_gallery();
    bench.press(Modifiers::NONE, Key::Num4);
    assert_eq!(rated(&bench), (1, 4));
    let entry = history(10)[1].clone();
    tell(&mut bench, GalleryEvent::Marked(vec![GalleryRow { entry, marks: Marks { star: false, rating: 4 } }]));
    bench.asked_of_gallery();
    bench.harness.get_by_role_and_label(Role::RadioButton, "Rate 4").click();
    bench.harness.run();
    assert_eq!(rated(&bench), (1, 0), "the same again takes it back");
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(bench.has("Rated 4 of 5"));
    bench.press(Modifiers::COMMAND, Key::A);
    bench.asked_of_gallery();
    bench.click("Rate…");
    bench.click("Rate 2");
    assert_eq!(rated(&bench), (10, 2));
}

#[test]
fn recipes_are_grouped_and_a_group_is_opened_at_its_corner() {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    bench.serve(&history(10));
    let search = |bench: &Bench| {
        let searches = bench.asked_of_gallery().into_iter().filter_map(|command| match command {
            GalleryCommand::Search { ticket, request } => Some((ticket, request)),
            _ => None,
        });
        searches.last().expect("a search")
    };
    bench.click("Group");
    let (ticket, request) = search(&bench);
    assert!(request.is_grouped);
    let mut groups = found(ticket, [PictureId(10), PictureId(7)].into_iter());
    if let GalleryEvent::Found { found, .. } = &mut groups {
        found.result.group_sizes = vec![1, 12];
    }
    tell(&mut bench, groups);
    bench.click(&format!("Show the others (12): {}", prompt(7)));
    assert_eq!(search(&bench).1.scope, Scope::SameRecipe(PictureId(7)));
    assert!(bench.has("One recipe"));
    bench.click("Back to all recipes");
    assert_eq!(search(&bench).1.scope, Scope::All);
}

#[test]
fn a_picture_is_drawn_to_its_place_in_a_collection() {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    bench.serve(&history(10));
    let summer = Collection { id: CollectionId(2), name: "Summer".into(), query: None, count: Some(10) };
    let wide = Collection { id: CollectionId(3), name: "Wide".into(), query: Some("width:>96".into()), count: None };
    let counts = Counts { all: 10, starred: 0 };
    tell(&mut bench, GalleryEvent::Overview { counts, collections: vec![summer, wide] });
    bench.harness.get_by_role_and_label(Role::RadioButton, "Summer").click();
    bench.harness.run();
    bench.harness.get_by_role_and_label(Role::ComboBox, "Order").click();
    bench.harness.run();
    bench.harness.get_by_label("As arranged").click();
    bench.harness.run();
    assert_eq!(bench.state().gallery.finder.sort, SortOrder::Arranged);
    let arranged = |bench: &Bench| match bench.asked_of_gallery().into_iter().next() {
        Some(GalleryCommand::Collections(CollectionChange::Arrange(_, ids, before))) => (ids, before),
        other => panic!("{other:?}"),
    };
    bench.asked_of_gallery();
    let (from, to) = (bench.harness.get_by_label(&label(10)).rect(), bench.harness.get_by_label(&label(8)).rect());
    bench.harness.drag_at(from.center());
    bench.harness.run();
    bench.harness.hover_at(to.left_center() + vec2(20.0, 0.0));
    bench.harness.run();
    bench.harness.drop_at(to.left_center() + vec2(20.0, 0.0));
    bench.harness.run();
    assert_eq!(arranged(&bench), (vec![PictureId(10)], Some(PictureId(8))));
    bench.press(Modifiers::NONE, Key::ArrowRight);
    bench.asked_of_gallery();
    bench.press(Modifiers::SHIFT, Key::ArrowRight);
    assert_eq!(arranged(&bench), (vec![PictureId(10)], Some(PictureId(8))), "one place to the right, before the next");
    // The search that a collection stands for.
    bench.harness.get_by_role_and_label(Role::RadioButton, "Wide").click();
    bench.harness.run();
    bench.click("Edit search… Wide");
    assert!(bench.has("Search of the collection"));
    bench.press(Modifiers::COMMAND, Key::A);
    bench.harness.event(Input::Text("width:>512".to_owned()));
    bench.harness.run();
    bench.asked_of_gallery();
    bench.press(Modifiers::NONE, Key::Enter);
    let commands = bench.asked_of_gallery();
    let set = CollectionChange::SetQuery(CollectionId(3), "width:>512".into());
    assert!(matches!(&commands[0], GalleryCommand::Collections(change) if *change == set), "{commands:?}");
}

/// Numbers 9 and 7 beside each other.
fn compared(settings: Settings) -> Bench {
    let mut bench = large_with(settings);
    bench.click("Compare with…");
    assert!(bench.has("Click the picture to compare with"));
    bench.harness.get_by_label(&label(7)).click();
    bench.harness.run();
    bring(&mut bench, 7);
    bench
}

#[test]
fn two_pictures_are_compared_in_three_ways() {
    let mut bench = compared(Settings::default());
    for text in ["What differs", "Seed", "1009", "1007", "Steps"] {
        assert!(bench.has(text), "{text}");
    }
    let split = |bench: &Bench| bench.state().viewer.compare.as_ref().map(|compare| compare.split);
    let divider = bench.harness.get_by_role_and_label(Role::Slider, "Divider").rect();
    bench.harness.drag_at(divider.center());
    bench.harness.run();
    bench.harness.hover_at(divider.center() + vec2(60.0, 0.0));
    bench.harness.run();
    bench.harness.drop_at(divider.center() + vec2(60.0, 0.0));
    bench.harness.run();
    assert!(split(&bench).is_some_and(|split| split > 0.55), "{:?}", split(&bench));
    bench.press(Modifiers::COMMAND, Key::F);
    assert!(bench.state().viewer.compare.is_none(), "one searches in the grid");
    let mut bench = compared(Settings::default());
    bench.harness.get_by_role_and_label(Role::RadioButton, "Side by side").click();
    bench.harness.run();
    bench.click("200 %");
    let compare = bench.state().viewer.compare.as_ref().expect("two");
    assert_eq!((compare.mode, compare.zoom.factor), (CompareMode::SideBySide, Some(2.0)));
    bench.press(Modifiers::NONE, Key::Space);
    let compare = bench.state().viewer.compare.as_ref().expect("two");
    assert_eq!((compare.mode, compare.shown), (CompareMode::Flicker, 1));
    bench.press(Modifiers::NONE, Key::X);
    let compare = bench.state().viewer.compare.as_ref().expect("two");
    assert_eq!(compare.sides[0].id, Some(PictureId(7)));
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(bench.state().viewer.compare.is_none() && !bench.state().gallery.large);
    // Two that are chosen in the grid.
    for id in [10, 9] {
        bench.harness.get_by_label(&label(id)).click_modifiers(Modifiers::COMMAND);
        bench.harness.run();
    }
    bench.click("Compare");
    assert!(bench.state().viewer.compare.is_some());
}

#[test]
fn a_picture_is_made_again_and_the_verdict_is_said() {
    let mut bench = large();
    bench.click("Make it again");
    let job = bench.commands.try_iter().find_map(|command| match command {
        Command::Replay { job, original, .. } => Some((job, original)),
        _ => None,
    });
    let (job, original) = job.expect("the engine is asked");
    assert!(original.ends_with("00009-1009.png") && job.request.seed == 1009);
    bench.step(job.id, 5, 20);
    assert!(bench.has("Step 5 of 20"));
    let made = recipe(job.request.clone());
    let remade = |outcome, version: &str| Event::Replayed {
        job: job.id,
        picture: Arc::new(garment(96, 128, 4)),
        recipe: Box::new(Recipe { version: version.to_owned(), ..made.clone() }),
        outcome,
    };
    bench.engine(remade(Outcome::Identical, "Atelier 0.1.0"));
    assert!(bench.has("Identical: the same picture to the last bit"));
    let likeness = Likeness { psnr_db: 23.456, changed_px: 900, largest: 77 };
    bench.engine(remade(Outcome::Differs(Some(likeness)), "Atelier 0.2.0"));
    assert!(bench.has("It differs (PSNR 23.5 dB, at most 77 of 255 apart)"));
    assert!(bench.has("Atelier 0.2.0") && bench.state().film.items().len() == 0);
    bench.library_commands.try_iter().for_each(drop);
    bench.click("Keep the new one");
    let kept = bench.library_commands.try_iter().any(|command| {
        matches!(command, LibraryCommand::Import(ImportCommand::Keep(_, recipe)) if recipe.request.seed == 1009)
    });
    assert!(kept);
    bench.click("Compare");
    assert!(bench.has("What differs") && bench.has("Nothing: both have the same recipe"));
    bench.press(Modifiers::NONE, Key::Escape);
    bench.engine(Event::Failed { job: job.id, error: UserError::input("the mask /m.png is gone") });
    assert!(bench.has("the mask /m.png is gone") && bench.state().notices.list().is_empty());
    bench.click("Close what was made again");
    assert!(bench.state().viewer.replay.is_none());
}

#[test]
fn a_flagged_picture_is_hidden_in_the_filmstrip_before_its_thumbnail_comes() {
    let mut bench = Bench::with(Settings { safety: SafetyMode::Black, ..Settings::default() }, [1280.0, 800.0]);
    bench.press(Modifiers::COMMAND, Key::Enter);
    let job = bench.sent_job().expect("a job");
    let recipe = Recipe { safety: Some(Verdict { flagged: true, score: 0.1 }), ..recipe(job.request.single(0)) };
    let saved = entry(1, &recipe);
    let white = atelier::domain::Picture { width_px: 128, height_px: 128, rgba: vec![255; 4 * 128 * 128] };
    let picture = Arc::new(white);
    let finished =
        Event::Finished { job: job.id, index: 0, picture, recipe: Box::new(recipe), saved: Ok(Box::new(saved)) };
    bench.engine(finished);
    let tile = bench.harness.get_by_label_contains("Session picture 1").rect();
    let image = bench.harness.render().expect("it is drawn");
    let at = |x: f32, y: f32| image.get_pixel(x as u32, y as u32).0;
    let middle = at(tile.center().x, tile.center().y);
    assert!(middle[0] < 40 && middle[1] < 40 && middle[2] < 40, "{middle:?}");
}

/// A recipe of another program.
fn foreign() -> Recipe {
    Recipe {
        request: GenerateRequest {
            prompt: "a long coat of grey wool, on a stand, evening light".into(),
            negative_prompt: "blurry, text".into(),
            width_px: 512,
            height_px: 768,
            num_inference_steps: 28,
            guidance_scale: 6.5,
            sampler: SamplerId::EulerA,
            seed: 156_680_208_700_286,
            ..GenerateRequest::default()
        },
        model_name: "v1-5-pruned-emaonly".into(),
        version: "ComfyUI".into(),
        not_understood: vec![
            "ControlNet shaped it, which is not used here".into(),
            "The node \"FreeU_V2\" is not known here: what it did is left out".into(),
        ],
        ..Recipe::default()
    }
}

fn drop_picture(bench: &mut Bench) {
    bench.library_commands.try_iter().for_each(drop);
    let path = std::path::PathBuf::from("/home/kim/ComfyUI/output/ComfyUI_00012_.png");
    super::create::drop_file(bench, path.to_str().expect("Unicode"));
    let asked = bench
        .library_commands
        .try_iter()
        .any(|command| matches!(command, LibraryCommand::Import(ImportCommand::Look(looked)) if looked == path));
    assert!(asked, "the file is looked at");
    let looked = Looked {
        path,
        width_px: 512,
        height_px: 768,
        thumbnail: Arc::new(garment(170, 256, 5)),
        recipe: Some(foreign()),
        is_here: false,
    };
    bench.library(LibraryEvent::Import(ImportEvent::Looked(Box::new(looked))));
}

#[test]
fn a_picture_of_another_program_is_dropped_read_and_used() {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    bench.serve(&history(10));
    drop_picture(&mut bench);
    for text in ["ComfyUI_00012_.png", "Not taken over", "ControlNet shaped it, which is not used here", "Euler a"] {
        assert!(bench.has(text), "{text}");
    }
    assert!(bench.harness.query_by_label_contains("v1-5-pruned-emaonly is not among the models here").is_some());
    bench.click("Use");
    assert_eq!((bench.draft().seed, bench.state().place), (156_680_208_700_286, Place::Create));
    assert!(bench.harness.query_by_label_contains("v1-5-pruned-emaonly is not here").is_some());
}

#[test]
fn a_folder_is_imported_with_progress_and_a_report() {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    bench.serve(&history(10));
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen("/home/kim/out".into()));
    bench.library_commands.try_iter().for_each(drop);
    bench.click("Import pictures…");
    let take = bench.library_commands.try_iter().find_map(|command| match command {
        LibraryCommand::Import(ImportCommand::Take { ticket, sources, cancel }) => Some((ticket, sources, cancel)),
        _ => None,
    });
    let (ticket, sources, cancel) = take.expect("the library is asked");
    assert_eq!(sources, [std::path::PathBuf::from("/home/kim/out")]);
    bench.library(LibraryEvent::Import(ImportEvent::Progress { ticket, done: 3, total: 40 }));
    assert!(bench.has("Importing: 3 of 40"));
    bench.click("Stop importing");
    assert!(cancel.is_cancelled());
    let done = ImportEvent::Done { ticket, report: Box::new(report()), error: None };
    bench.library(LibraryEvent::Import(done));
    for text in ["Import finished", "31 pictures are in the gallery now", "4 were here already"] {
        assert!(bench.has(text), "{text}");
    }
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(bench.state().viewer.import.report.is_none(), "Esc is for what is over the window");
}

fn report() -> ImportReport {
    let file = |name: &str| std::path::PathBuf::from(format!("/home/kim/ComfyUI/output/{name}"));
    let sampler = "The sampler \"dpmpp_3m_sde\" is not known here".to_owned();
    ImportReport {
        total: 37,
        taken: 31,
        without_recipe: 2,
        duplicates: 4,
        not_understood: vec![
            (file("ComfyUI_00012_.png"), vec![sampler.clone(), foreign().not_understood[0].clone()]),
            (file("ComfyUI_00013_.png"), vec![sampler]),
            (
                file("portraits/00031-1234.png"),
                vec!["The VAE \"mse.safetensors\" is not taken over: choose its file".into()],
            ),
        ],
        partly: 3,
        failed: 2,
        failures: vec![
            UserError::input("Could not read the picture broken.png: it is cut off").path(file("broken.png")),
        ],
        is_cancelled: false,
    }
}

fn with_report(settings: Settings) -> Bench {
    let mut bench = Bench::with(settings, [1280.0, 800.0]);
    bench.go_to("Gallery");
    bench.serve(&history(10));
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen("/home/kim/out".into()));
    bench.click("Import pictures…");
    let ticket = bench.state().viewer.import.running.as_ref().expect("it runs").ticket;
    bench.library(LibraryEvent::Import(ImportEvent::Done { ticket, report: Box::new(report()), error: None }));
    bench
}

fn light() -> Settings {
    Settings { theme: Theme::Light, ..Settings::default() }
}

#[test]
fn compared_pictures_look_so() {
    let mut bench = compared(Settings::default());
    snapshot(&mut bench, "compare");
}

#[test]
fn compared_pictures_look_so_in_a_bright_room() {
    let mut bench = compared(light());
    snapshot(&mut bench, "compare_light");
}

#[test]
fn a_zoomed_picture_looks_so() {
    let mut bench = large();
    bench.click("800 %");
    point_at(&mut bench, 480.0, 380.0);
    snapshot(&mut bench, "zoomed");
}

#[test]
fn the_report_of_an_import_looks_so() {
    let mut bench = with_report(light());
    snapshot(&mut bench, "import_report");
}

#[test]
fn a_picture_of_another_program_looks_so() {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    bench.serve(&history(10));
    drop_picture(&mut bench);
    snapshot(&mut bench, "import_looked");
}
