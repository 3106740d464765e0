//! Create: the draft, the queue, the forming picture, errors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use atelier::domain::{Command, Event, Extend, FamilyId, ModelRef, Recipe, UserError, Verdict};
use atelier::library::{LibraryCommand, SaveSource};
use atelier::studio::{DialogAnswer, Place, View};
use egui::{Key, Modifiers, Role};
use egui_kittest::kittest::Queryable;

use super::bench::{Bench, SD1, STARTER, entry, garment, model_info, recipe};

#[test]
fn the_first_start_needs_only_ctrl_enter() {
    let mut bench = Bench::first_start();
    assert!(bench.prompt().is_focused());
    assert_eq!(bench.prompt().value().as_deref(), Some(STARTER.example_prompt));
    bench.press(Modifiers::COMMAND, Key::Enter);
    let job = bench.sent_job().expect("Ctrl+Enter sends the draft");
    assert_eq!(job.request.prompt, STARTER.example_prompt, "and types no new line");
    assert_eq!((job.request.width_px, job.request.height_px), (128, 128));
    assert_eq!(job.request.num_inference_steps, STARTER.default_steps);
    assert_eq!(bench.prompt().value().as_deref(), Some(STARTER.example_prompt));
}

#[test]
fn the_starter_is_loaded_before_it_is_asked_for() {
    let bench = Bench::first_start();
    let commands: Vec<Command> = bench.commands.try_iter().collect();
    assert!(matches!(commands.as_slice(), [Command::Preload(ModelRef::Starter)]), "{commands:?}");
}

#[test]
fn typing_changes_the_draft() {
    let mut bench = Bench::first_start();
    bench.press(Modifiers::COMMAND, Key::A);
    bench.prompt().type_text("a blue raincoat");
    bench.harness.run();
    assert_eq!(bench.draft().prompt, "a blue raincoat");
    bench.harness.get_by_role_and_label(Role::MultilineTextInput, "Negative prompt").focus();
    bench.harness.run();
    bench.harness.get_by_role_and_label(Role::MultilineTextInput, "Negative prompt").type_text("blurry");
    bench.harness.run();
    assert_eq!(bench.draft().negative_prompt, "blurry");
}

#[test]
fn a_size_is_brought_to_what_the_family_can_do() {
    let mut bench = Bench::first_start();
    for (typed, got) in [("1000", STARTER.max_side_px), ("1", STARTER.min_side_px), ("101", 104)] {
        bench.type_number("Width", typed);
        assert_eq!(bench.draft().width_px, got, "typed {typed}");
    }
    bench.type_number("Height", "160");
    bench.click("Swap sides");
    assert_eq!((bench.draft().width_px, bench.draft().height_px), (160, 104));
    bench.click("96 × 128 px");
    assert_eq!((bench.draft().width_px, bench.draft().height_px), (96, 128));
}

#[test]
fn numbers_are_typed_beyond_the_sliders_and_stop_at_the_limits() {
    let mut bench = Bench::first_start();
    bench.type_number("Steps", "150");
    assert_eq!(bench.draft().num_inference_steps, 150);
    bench.type_number("Steps", "9999");
    assert_eq!(bench.draft().num_inference_steps, atelier::domain::limits::MAX_STEPS);
    bench.type_number("Guidance", "7.25");
    assert!((bench.draft().guidance_scale - 7.25).abs() < 1e-9);
    bench.type_number("Pictures", "3");
    assert_eq!(bench.draft().count, 3);
    bench.click("One picture less");
    assert_eq!(bench.draft().count, 2);
}

#[test]
fn a_seed_of_64_bits_survives_the_field() {
    let mut bench = Bench::first_start();
    bench.harness.get_by_role_and_label(Role::TextInput, "Seed").click();
    bench.harness.run();
    bench.press(Modifiers::COMMAND, Key::A);
    bench.harness.event(egui::Event::Text("18446744073709551615".to_owned()));
    bench.harness.run();
    assert_eq!(bench.draft().seed, u64::MAX);
}

#[test]
fn a_seed_is_drawn_anew_unless_it_is_kept() {
    let mut bench = Bench::first_start();
    bench.press(Modifiers::COMMAND, Key::Enter);
    let first = bench.sent_job().expect("a job was sent");
    assert_ne!(bench.draft().seed, first.request.seed);
    bench.finish(&first, 1);
    bench.click("Keep seed");
    let kept = bench.draft().seed;
    bench.click("Generate");
    assert_eq!(bench.sent_job().expect("a job was sent").request.seed, kept);
    assert_eq!(bench.draft().seed, kept);
    bench.click("New seed");
    assert_ne!(bench.draft().seed, kept, "the dice draw one all the same");
}

#[test]
fn the_picture_forms_step_by_step() {
    let mut bench = Bench::first_start();
    bench.click("Generate");
    let job = bench.sent_job().expect("a job was sent");
    bench.engine(Event::Started { job: job.id });
    assert!(bench.has("Getting ready"));
    bench.step(job.id, 3, 20);
    assert!(bench.has("Step 3 of 20") && bench.has("The picture as it forms"));
    // 3 steps took 0.75 s, so 17 more take 4.25 s.
    assert!(bench.has("4.2 s left") || bench.has("4.3 s left"));
    bench.step(job.id, 4, 20);
    assert!(bench.has("Step 4 of 20") && !bench.has("Step 3 of 20"));
    bench.engine(Event::Decoding { job: job.id, index: 0 });
    assert!(bench.has("Developing the picture"));
    bench.finish(&job, 1);
    assert!(bench.has("Session picture 1: a red knitted pullover with a high collar"));
    assert!(bench.has("Picture: a red knitted pullover with a high collar"), "and it is shown");
    assert!(bench.has("Save as…") && !bench.has("Cancel"));
}

#[test]
fn cancel_says_so_at_once() {
    let mut bench = Bench::first_start();
    bench.press(Modifiers::COMMAND, Key::Enter);
    let job = bench.sent_job().expect("a job was sent");
    bench.step(job.id, 1, 20);
    assert!(bench.prompt().is_focused(), "Esc works from the prompt too");
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(job.cancel.is_cancelled());
    assert!(bench.has("Cancelling…"));
    bench.engine(Event::Cancelled { job: job.id });
    assert!(!bench.has("Cancelling…"));
    assert!(bench.state().notices.list().is_empty(), "nothing to complain about");
    bench.click("Generate");
    assert!(bench.sent_job().is_some());
}

#[test]
fn a_failed_job_is_told_and_the_next_one_works() {
    let mut bench = Bench::first_start();
    bench.click("Generate");
    bench.click("Generate");
    let first = bench.sent_job().expect("the first was sent, the second waits");
    let error = UserError::failed("The model went out of memory").hint("make a smaller picture").path("/models/a");
    bench.engine(Event::Failed { job: first.id, error });
    for text in ["The model went out of memory", "make a smaller picture", "/models/a"] {
        assert!(bench.has(text), "{text}");
    }
    let second = bench.sent_job().expect("the next was sent");
    bench.finish(&second, 1);
    assert_eq!(bench.state().film.items().len(), 1);
    bench.click("Dismiss");
    assert!(!bench.has("The model went out of memory"));
}

#[test]
fn what_waits_can_be_reordered_and_taken_out() {
    let mut bench = Bench::first_start();
    for prompt in ["first", "second", "third"] {
        bench.press(Modifiers::COMMAND, Key::A);
        bench.prompt().type_text(prompt);
        bench.harness.run();
        bench.press(Modifiers::COMMAND, Key::Enter);
    }
    let running = bench.sent_job().expect("the first was sent");
    assert!(bench.has("Up next · 2"));
    bench.click("Run next");
    let waiting: Vec<&str> = bench.state().queue.waiting().map(|job| job.request.prompt.as_str()).collect();
    assert_eq!(waiting, ["third", "second"]);
    bench.finish(&running, 1);
    assert_eq!(bench.sent_job().expect("the next was sent").request.prompt, "third");
    bench.click("Remove");
    assert_eq!(bench.state().queue.waiting().len(), 0);
}

#[test]
fn a_picture_that_could_not_be_saved_is_kept_and_can_be_saved_elsewhere() {
    let mut bench = Bench::first_start();
    bench.click("Generate");
    let job = bench.sent_job().expect("a job was sent");
    let picture = Arc::new(garment(128, 128, 1));
    let saved = Err(UserError::failed("The disk is full"));
    let recipe = Box::new(recipe(job.request.single(0)));
    bench.engine(Event::Finished { job: job.id, index: 0, picture: picture.clone(), recipe, saved });
    bench.engine(Event::Done { job: job.id });
    assert!(bench.has("The disk is full"));
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen("/mnt/stick/pullover".into()));
    let _ = bench.library_commands.try_iter().count();
    bench.click("Save as…");
    let commands: Vec<LibraryCommand> = bench.library_commands.try_iter().collect();
    match commands.as_slice() {
        [LibraryCommand::SaveAs { source: SaveSource::Memory(saved, _), target }] => {
            assert_eq!(**saved, *picture);
            assert_eq!(target.to_str(), Some("/mnt/stick/pullover.png"), "without an ending it is a PNG");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_opened_model_brings_its_bounds_and_defaults() {
    let mut bench = Bench::first_start();
    let folder = "/models/stable-diffusion-v1-5";
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen(folder.into()));
    bench.harness.get_by_role_and_label(Role::ComboBox, "Model").click();
    bench.harness.run();
    bench.click("Open model folder…");
    bench.harness.run();
    let model = ModelRef::Path(folder.into());
    assert_eq!(bench.draft().model, model);
    assert!(bench.commands.try_iter().any(|command| matches!(command, Command::Preload(asked) if asked == model)));
    bench.press(Modifiers::COMMAND, Key::Enter);
    assert!(bench.sent_job().is_none(), "nothing can be made before the model is known");
    assert!(bench.has("The model is being loaded"), "and that is said");

    bench.engine(Event::ModelReady(model_info(model.clone(), FamilyId::Sd1)));
    assert_eq!((bench.draft().width_px, bench.draft().height_px), (512, 512));
    assert_eq!(bench.draft().num_inference_steps, SD1.default_steps);
    bench.type_number("Width", "5000");
    assert_eq!(bench.draft().width_px, SD1.max_side_px);
    assert_eq!(bench.state().settings().model_paths, [PathBuf::from(folder)]);
}

#[test]
fn a_model_that_cannot_be_loaded_is_told() {
    let mut bench = Bench::first_start();
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen("/models/broken".into()));
    bench.harness.get_by_role_and_label(Role::ComboBox, "Model").click();
    bench.harness.run();
    bench.click("Open model folder…");
    let model = ModelRef::Path("/models/broken".into());
    let error = UserError::input("This folder holds no model").hint("it needs a model_index.json");
    bench.engine(Event::ModelFailed { model, error });
    assert!(bench.has("it needs a model_index.json"));
    bench.press(Modifiers::COMMAND, Key::Enter);
    assert!(bench.sent_job().is_none());
    bench.harness.get_by_role_and_label(Role::ComboBox, "Model").click();
    bench.harness.run();
    bench.click("Starter");
    bench.press(Modifiers::COMMAND, Key::Enter);
    assert!(bench.sent_job().is_some(), "another model works at once");
}

#[test]
fn a_picture_of_the_session_is_shown_while_another_forms() {
    let mut bench = Bench::first_start();
    bench.click("Generate");
    let first = bench.sent_job().expect("a job was sent");
    bench.finish(&first, 1);
    bench.click("Generate");
    let second = bench.sent_job().expect("a job was sent");
    bench.step(second.id, 2, 20);
    bench.click("Session picture 1: a red knitted pullover with a high collar");
    assert_eq!(bench.state().film.view, View::Film(1));
    assert!(bench.has("Step 2 of 20") && !bench.has("The picture as it forms"));
    bench.click("Watch");
    assert!(bench.has("The picture as it forms"));
}

/// A file that is let go over the window.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("the window reads no files".to_owned())
    }
}

pub fn drop_file(bench: &mut Bench, path: &str) {
    bench.harness.input_mut().dropped_files.push(Arc::new(Dropped(PathBuf::from(path))));
    bench.harness.run();
}

#[test]
fn a_picture_dropped_on_the_window_is_begun_with() {
    let mut bench = Bench::first_start();
    bench.go_to("Settings");
    drop_file(&mut bench, "/home/kim/cat.JPG");
    assert_eq!(bench.state().place, Place::Create);
    let init = bench.draft().init.clone().expect("a picture to begin with");
    assert_eq!(init.picture, Path::new("/home/kim/cat.JPG"));
    assert!(bench.has("cat.JPG"));
    bench.type_number("Strength", "0.4");
    assert_eq!(bench.draft().init.as_ref().map(|init| init.strength), Some(0.4));
    bench.click("Begin with noise");
    assert_eq!(bench.draft().init, None);

    drop_file(&mut bench, "/home/kim/notes.txt");
    assert!(bench.has("This file is neither a picture nor a model"));
    assert_eq!(bench.draft().init, None);
}

#[test]
fn a_canvas_is_painted_around_a_picture() {
    // High enough for all fields.
    let mut bench = Bench::with(atelier::domain::Settings::default(), [1280.0, 1200.0]);
    drop_file(&mut bench, "/home/kim/cat.png");
    bench.type_number("Paint around: left", "30");
    bench.type_number("Paint around: bottom", "16");
    let init = bench.draft().init.clone().expect("a picture to begin with");
    assert_eq!(init.extend, Extend { left: 32, right: 0, top: 0, bottom: 16 });
    assert_eq!((bench.draft().width_px, bench.draft().height_px), (160, 144), "the canvas grows by as much");
    bench.type_number("Paint around: right", "160");
    assert!(bench.has("The width must be a multiple of 8 from 64 to 192 px, not 320"));
    bench.click("Begin with noise");
    assert_eq!((bench.draft().width_px, bench.draft().height_px), (128, 128));
}

#[test]
fn a_flagged_picture_is_hidden_until_it_is_asked_for() {
    let mut bench = Bench::first_start();
    bench.press(Modifiers::COMMAND, Key::Enter);
    let job = bench.sent_job().expect("a job was sent");
    let verdict = Verdict { flagged: true, score: 0.02 };
    let recipe = Recipe { safety: Some(verdict), ..recipe(job.request.single(0)) };
    let saved = Ok(Box::new(entry(1, &recipe)));
    let picture = Arc::new(garment(128, 128, 1));
    bench.engine(Event::Finished { job: job.id, index: 0, picture, recipe: Box::new(recipe), saved });
    bench.engine(Event::Done { job: job.id });
    let shown = format!("Picture: {}", STARTER.example_prompt);
    assert!(bench.has("Hidden picture") && bench.has("This picture may be unsafe") && !bench.has(&shown));
    bench.click("Show it");
    assert!(bench.has(&shown) && !bench.has("Hidden picture"));
}
