//! The steps below a finished picture: looking at them, one in full, forks and their tree.

use std::sync::Arc;

use atelier::domain::{Command, Event, GenerateRequest, Job, Settings, StepPreview, UserError, Verdict};
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;

use super::bench::{Bench, entry, garment, gradient, recipe};

const STEPS: u32 = 20;

/// A picture with its steps is finished; `request` is what its recipe says.
fn finish(bench: &mut Bench, job: &Job, id: i64, request: GenerateRequest) {
    let steps = (1..=STEPS).map(|step| StepPreview { step, preview: Arc::new(gradient(16, 16, 3 * step)) }).collect();
    bench.engine(Event::Steps { job: job.id, index: 0, steps });
    let recipe = recipe(request);
    let entry = entry(id, &recipe);
    let picture = Arc::new(garment(entry.width_px, entry.height_px, id as u32));
    bench.engine(Event::Finished {
        job: job.id,
        index: 0,
        picture,
        recipe: Box::new(recipe),
        saved: Ok(Box::new(entry)),
    });
    bench.engine(Event::Done { job: job.id });
}

/// One picture, with its steps.
fn with_picture(size: [f32; 2]) -> Bench {
    let mut bench = Bench::with(Settings::default(), size);
    bench.click("Generate");
    let job = bench.sent_job().expect("a job was sent");
    let request = job.request.single(0);
    finish(&mut bench, &job, 1, request);
    bench
}

/// A session with a picture, two branches of it and a branch of one of these; the first branch's step 12 is looked at.
pub fn with_branches() -> Bench {
    let mut bench = with_picture([1280.0, 860.0]);
    for (key, step, guidance, id) in [(1, 8, "7", 2), (1, 14, "2", 3), (2, 16, "9", 4)] {
        bench.type_number("Guidance", guidance);
        bench.click(&format!("Session picture {key}: a red knitted pullover with a high collar"));
        bench.click(&format!("Step {step}"));
        bench.click("Fork from here");
        let job = bench.sent_job().expect("the fork is made");
        let request = job.request.single(0);
        finish(&mut bench, &job, id, request);
    }
    bench.click("Session picture 2: a red knitted pullover with a high collar");
    bench.click("Step 12");
    bench
}

fn step_in_view(bench: &Bench) -> Option<u32> {
    bench.state().step_in_view().map(|at| at.step)
}

#[test]
fn steps_are_gone_through_by_click_and_by_arrow_keys() {
    let mut bench = with_picture([1280.0, 800.0]);
    assert_eq!(step_in_view(&bench), None, "the finished picture");
    bench.click("Step 5");
    assert_eq!(step_in_view(&bench), Some(5));
    assert!(bench.has("The picture at step 5") && bench.has("Step 5 of 20"));
    // The tile has the keyboard after a click; the keys are for whoever clicked beside.
    bench.press(Modifiers::NONE, Key::Escape);
    bench.press(Modifiers::NONE, Key::ArrowLeft);
    assert_eq!(step_in_view(&bench), Some(4));
    for _ in 0..3 {
        bench.press(Modifiers::NONE, Key::ArrowRight);
    }
    assert_eq!(step_in_view(&bench), Some(7));
    bench.click("Finished picture");
    assert_eq!(step_in_view(&bench), None);
    bench.press(Modifiers::NONE, Key::ArrowRight);
    assert_eq!(step_in_view(&bench), None, "there is nothing after the last");
    bench.press(Modifiers::NONE, Key::ArrowLeft);
    assert_eq!(step_in_view(&bench), Some(STEPS - 1));
    for _ in 0..2 * STEPS {
        bench.press(Modifiers::NONE, Key::ArrowLeft);
    }
    assert_eq!(step_in_view(&bench), Some(1));
    bench.go_to("Gallery");
    bench.press(Modifiers::NONE, Key::ArrowRight);
    bench.go_to("Create");
    assert_eq!(step_in_view(&bench), Some(1), "there the arrows are the gallery's");
}

#[test]
fn arrows_in_the_prompt_move_the_cursor() {
    let mut bench = with_picture([1280.0, 800.0]);
    bench.prompt().click();
    bench.harness.run();
    bench.press(Modifiers::NONE, Key::ArrowLeft);
    assert_eq!(step_in_view(&bench), None);
}

#[test]
fn a_step_is_seen_in_full() {
    let mut bench = with_picture([1280.0, 800.0]);
    bench.click("Step 7");
    bench.click("See step in full");
    let asked = bench.commands.try_iter().find_map(|command| match command {
        Command::SeeStep { request, step, cancel } => Some((request, step, cancel)),
        _ => None,
    });
    let (request, step, cancel) = asked.expect("the engine is asked");
    assert_eq!((step, request.prompt.as_str()), (7, bench.draft().prompt.as_str()));
    assert!(bench.has("Decoding…"));
    let picture = Arc::new(garment(128, 128, 3));
    bench.engine(Event::StepSeen { request: request.clone(), step: 7, picture: Ok(picture) });
    assert!(bench.has("in full") && bench.has("The picture at step 7"));

    bench.click("Step 8");
    assert!(bench.state().timeline.seen.is_none());
    assert!(cancel.is_cancelled(), "what is not looked at any more need not be decoded");
    bench.click("See step in full");
    bench.engine(Event::StepSeen { request, step: 8, picture: Err(UserError::failed("No memory")) });
    assert!(bench.has("No memory") && bench.has("See step in full"));
}

#[test]
fn a_fork_takes_the_drafts_words_and_the_pictures_rest() {
    let mut bench = with_picture([1280.0, 800.0]);
    let parent = bench.state().film.newest().expect("a picture").recipe.request.clone();
    bench.type_number("Guidance", "7");
    bench.type_number("Steps", "33");
    bench.click("Step 8");
    bench.click("Fork from here");
    let job = bench.sent_job().expect("the fork is made");
    let request = &job.request;
    let fork = request.fork.as_ref().expect("it carries its ancestry");
    assert_eq!((&*fork.parent, fork.step), (&parent, 8));
    assert_eq!((request.guidance_scale, request.seed), (7.0, bench.draft().seed));
    assert_eq!((request.num_inference_steps, request.width_px), (parent.num_inference_steps, parent.width_px));
    assert_eq!(bench.draft().fork, None, "the draft stays what it was");
    let made = job.request.single(0);
    finish(&mut bench, &job, 2, made);
    let labels: Vec<(usize, String)> =
        bench.state().branches_in_view().into_iter().map(|node| (node.depth, node.label)).collect();
    let seed = bench.draft().seed;
    assert_eq!(labels, [(0, "The first one".to_owned()), (1, format!("Step 8 · guidance 7, seed {seed}"))]);
    bench.click("Branch 1: The first one");
    assert_eq!(bench.state().film_in_view().map(|item| item.key), Some(1));
}

#[test]
fn what_cannot_be_forked_says_why() {
    let mut bench = with_picture([1280.0, 800.0]);
    bench.click("Generate");
    let job = bench.sent_job().expect("a job was sent");
    let hires = Some(atelier::domain::Hires { scale: 1.5, strength: 0.5 });
    let request = GenerateRequest { hires, ..job.request.single(0) };
    finish(&mut bench, &job, 2, request);
    bench.click("Step 3");
    assert_eq!(bench.state().fork_blocked().as_deref(), Some("A picture of two passes cannot be branched off"));
    bench.click("Fork from here");
    assert!(bench.sent_job().is_none(), "the button is off");
}

#[test]
fn the_recipe_of_a_fork_is_used_again_or_let_go() {
    let mut bench = with_branches();
    bench.click("Finished picture");
    bench.click("Use all parameters");
    let fork = bench.draft().fork.clone().expect("all parameters are all");
    assert!(bench.has(&format!("Branches off at step {}", fork.step)));
    bench.type_number("Width", "192");
    assert!(bench.has("A branch has the size of the picture that it leaves, 128 × 128 px"));
    bench.click("Forget the branch");
    assert_eq!(bench.draft().fork, None);
}

#[test]
fn the_steps_of_a_hidden_picture_are_hidden() {
    let mut bench = Bench::first_start();
    bench.click("Generate");
    let job = bench.sent_job().expect("a job was sent");
    let steps = (1..=4).map(|step| StepPreview { step, preview: Arc::new(gradient(16, 16, step)) }).collect();
    bench.engine(Event::Steps { job: job.id, index: 0, steps });
    let flagged = Verdict { flagged: true, score: 0.02 };
    let recipe = atelier::domain::Recipe { safety: Some(flagged), ..recipe(job.request.single(0)) };
    let saved = Ok(Box::new(entry(1, &recipe)));
    let picture = Arc::new(garment(128, 128, 1));
    bench.engine(Event::Finished { job: job.id, index: 0, picture, recipe: Box::new(recipe), saved });
    bench.engine(Event::Done { job: job.id });
    assert!(!bench.has("Step 2"));
    bench.click("Show it");
    assert!(bench.has("Step 2"));
}

#[test]
fn keeping_steps_is_a_setting_and_counts_from_the_next_job_on() {
    let mut bench = Bench::with(Settings::default(), [1280.0, 1000.0]);
    bench.go_to("Settings");
    bench.harness.get_by_label("Keep every step on the disk").click();
    bench.harness.run();
    assert!(bench.state().settings().keep_steps);
    bench.press(Modifiers::COMMAND, Key::Enter);
    assert!(bench.sent_job().expect("a job was sent").keeps_steps);
}
