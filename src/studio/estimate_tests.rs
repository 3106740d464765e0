//! What is learnt of past pictures, and what is reckoned by it.

use std::sync::Arc;

use super::super::tests::{generate, picture, state};
use super::super::{Action, Edit, Machine};
use super::*;
use crate::domain::{Hires, InitImage, ModelInfo, PredictionType, SamplerId};

const GB: u64 = 1_000_000_000;

/// The state after it made a picture whose steps took this long each, and the rest this long.
fn after_a_picture(secs_per_step: f64, rest_secs: f64) -> State {
    let mut state = state();
    state.observe(machine(8 * GB), 0);
    make(&mut state, secs_per_step, rest_secs);
    state
}

fn make(state: &mut State, secs_per_step: f64, rest_secs: f64) {
    let job = generate(state).expect("a job is sent");
    let steps = job.request.num_inference_steps;
    for step in 1..=steps {
        // Half of the rest comes before the first step.
        let elapsed_secs = rest_secs / 2.0 + f64::from(step) * secs_per_step;
        state.on_event(Event::Step { job: job.id, index: 0, step, steps, preview: picture(2), elapsed_secs });
    }
    let elapsed_secs = rest_secs + f64::from(steps) * secs_per_step;
    let recipe = Recipe { elapsed_secs, ..super::super::tests::recipe(job.request.clone()) };
    let saved = Err(crate::domain::UserError::failed("no matter"));
    state.on_event(Event::Finished { job: job.id, index: 0, picture: picture(2), recipe: Box::new(recipe), saved });
    state.on_event(Event::Done { job: job.id });
}

fn machine(free_bytes: u64) -> Machine {
    let memory = Memory { total_bytes: 16 * GB, free_bytes, own_bytes: GB / 5 };
    Machine { threads: 2, cores: 2, memory: Some(memory) }
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6 * other.abs().max(1.0)
}

#[test]
fn nothing_is_promised_before_the_first_picture() {
    let mut state = state();
    state.observe(machine(8 * GB), 0);
    assert_eq!(state.estimate().secs, None);
}

#[test]
fn the_same_again_takes_as_long() {
    let mut state = after_a_picture(0.25, 1.0);
    // The starter's draft has 20 steps of one evaluation.
    assert!(near(state.estimate().secs.expect("it was measured"), 6.0));
    state.apply(Action::Edit(Edit::Steps(40)));
    assert!(near(state.estimate().secs.expect("known"), 11.0));
    state.apply(Action::Edit(Edit::Count(3)));
    assert!(near(state.estimate().secs.expect("known"), 33.0));
    state.apply(Action::Edit(Edit::Count(1)));
    state.draft.request.sampler = SamplerId::Heun;
    assert!(near(state.estimate().secs.expect("known"), 21.0), "two evaluations a step");
    state.draft.request.sampler = SamplerId::DpmPp2m;
    state.draft.request.init = Some(InitImage {
        picture: "/a.png".into(),
        mask: None,
        strength: 0.5,
        extend: crate::domain::Extend::default(),
    });
    assert!(near(state.estimate().secs.expect("known"), 6.0), "half the steps are left");
    // It is remembered, and one that took its time by chance does not count.
    let mut next = super::super::tests::state_with(state.settings());
    next.observe(machine(8 * GB), 0);
    next.draft.request.init = None;
    for secs in [0.25, 9.0, 0.25] {
        make(&mut next, secs, 1.0);
    }
    assert!(near(next.estimate().secs.expect("known"), 11.0));
}

#[test]
fn other_sizes_and_no_guidance_are_reckoned() {
    let mut state = after_a_picture(0.25, 1.0);
    let usual = state.estimate().secs.expect("known");
    state.apply(Action::Edit(Edit::Size(192, 192)));
    let larger = state.estimate().secs.expect("known");
    assert!(larger > 2.25 * usual && larger < 3.5 * usual, "{usual} to {larger}: 2.25 times the px");
    state.apply(Action::Edit(Edit::Size(128, 128)));
    state.apply(Action::Edit(Edit::Guidance(1.0)));
    let alone = state.estimate().secs.expect("known");
    assert!(alone > 0.5 * usual && alone < 0.75 * usual, "{usual} to {alone}: one prompt instead of two");
    // A second pass comes on top.
    state.apply(Action::Edit(Edit::Guidance(4.0)));
    state.draft.request.hires = Some(Hires { scale: 1.5, strength: 0.5 });
    let both = state.estimate().secs.expect("known");
    assert!(both > 1.9 * usual, "{usual} to {both}");
    // What is larger than was ever measured is no reason to learn nonsense of.
    let before = state.settings().shell.timings;
    make(&mut state, 0.25, 1.0);
    assert_eq!(state.settings().shell.timings, before, "two passes are not learnt from");
}

#[test]
fn steps_whose_news_were_dropped_do_no_harm() {
    let mut watch = Stopwatch::default();
    let of = (JobId(1), 0);
    watch.step(of, 3, 2.0);
    assert_eq!(watch.secs_per_step(), None);
    watch.step(of, 11, 6.0);
    assert_eq!(watch.secs_per_step(), Some(0.5));
    watch.step((JobId(1), 1), 1, 1.0);
    assert_eq!(watch.secs_per_step(), None, "the next picture");
    watch.step((JobId(1), 1), 2, 2.0);
    watch.step((JobId(1), 1), 1, 9.0);
    assert_eq!(watch.secs_per_step(), None, "a second pass");
}

fn with_model(state: &mut State, family: FamilyId, parameters: u64) {
    let model = ModelRef::Path("/models/large".into());
    let info = ModelInfo {
        model: model.clone(),
        name: "Large".to_owned(),
        family,
        prediction_type: PredictionType::Epsilon,
        parameters,
    };
    state.on_event(Event::ModelReady(info));
    state.apply(Action::Edit(Edit::Model(model)));
}

#[test]
fn memory_agrees_with_what_was_measured() {
    // Measured on two guided steps and the decoding: 2.3 GB for Stable Diffusion 1.5 at 512 × 512 px in f16 (README). The
    // number of its parameters is that of its three networks.
    let mut state = state();
    state.observe(machine(8 * GB), 0);
    with_model(&mut state, FamilyId::Sd1, 1_066_235_307);
    state.apply(Action::Edit(Edit::Size(512, 512)));
    let bytes = state.estimate().bytes.expect("the model is known") as f64;
    assert!((bytes / 2.3e9 - 1.0).abs() < 0.1, "{bytes}");
}

#[test]
fn what_does_not_fit_is_said_with_what_would() {
    let mut state = state();
    with_model(&mut state, FamilyId::Sd1, 1_066_235_307);
    state.apply(Action::Edit(Edit::Size(1024, 1024)));
    state.observe(machine(8 * GB), 0);
    assert_eq!(state.estimate().shortage, None);
    state.observe(machine(5 * GB / 2), 0);
    let told = state.estimate().shortage.expect("1024 × 1024 px need more than that");
    let size = told.split(". ").last().and_then(|advice| advice.split(' ').next()).and_then(|side| side.parse().ok());
    let side: u32 = size.expect("a size is named");
    assert!((256..1024).contains(&side) && told.ends_with(&format!("{side} × {side} px would fit")), "{told}");
    state.apply(Action::Edit(Edit::Size(side, side)));
    assert_eq!(state.estimate().shortage, None, "what is said to fit does");
    state.observe(machine(GB / 10), 0);
    assert!(state.estimate().shortage.expect("nothing fits").contains("smaller model"));
    // Generate is not barred: the system may swap, and the user may know better.
    assert_eq!(state.generate_blocked(), None);
}

#[test]
fn measured_memory_counts_more_than_reckoned() {
    let mut state = after_a_picture(0.25, 1.0);
    let seen = machine(8 * GB).memory.map(|memory| memory.own_bytes);
    assert_eq!(state.shell.settings.timings.last().map(|timing| timing.peak_bytes), Some(None), "nobody looked");
    let job = generate(&mut state).expect("a job is sent");
    for step in 1..=20 {
        let event = Event::Step {
            job: job.id,
            index: 0,
            step,
            steps: 20,
            preview: Arc::clone(&picture(2)),
            elapsed_secs: f64::from(step),
        };
        state.on_event(event);
        state.observe(machine(8 * GB), 0);
    }
    let recipe = Box::new(super::super::tests::recipe(job.request.clone()));
    let saved = Err(crate::domain::UserError::failed("no matter"));
    state.on_event(Event::Finished { job: job.id, index: 0, picture: picture(2), recipe, saved });
    assert_eq!(state.estimate().bytes, seen);
}

#[test]
fn an_estimate_is_said_roughly() {
    let text = |secs, bytes| Estimate { secs, bytes, shortage: None }.text();
    assert_eq!(text(None, None), None);
    assert_eq!(text(Some(0.2), None).as_deref(), Some("about 1 s"));
    assert_eq!(text(Some(12.4), Some(2_300_000_000)).as_deref(), Some("about 12 s · 2.3 GB"));
    assert_eq!(text(Some(4.4), None).as_deref(), Some("about 4 s"));
    assert_eq!(text(Some(183.0), None).as_deref(), Some("about 3 min 5 s"));
    assert_eq!(text(Some(7_812.0), None).as_deref(), Some("about 2 h 10 min"));
}

#[test]
fn before_the_first_picture_the_history_tells() {
    let mut state = state();
    state.observe(machine(8 * GB), 0);
    let recipes: Vec<Recipe> = [4.0, 4.0, 400.0]
        .map(|elapsed_secs| Recipe { elapsed_secs, ..super::super::tests::recipe(state.draft.request.clone()) })
        .into();
    state.recall(recipes.iter());
    assert!(near(state.estimate().secs.expect("told by the history"), 4.0), "the one that slept does not count");
    make(&mut state, 0.25, 1.0);
    assert!(near(state.estimate().secs.expect("measured"), 6.0), "what is measured here counts more");
    state.recall(recipes.iter());
    assert!(near(state.estimate().secs.expect("measured"), 6.0));
}
