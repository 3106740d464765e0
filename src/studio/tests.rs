//! What the state does with actions and events.

use std::path::Path;
use std::sync::Arc;

use crate::domain::{
    Capabilities, Command, Event, FamilyId, GenerateRequest, Job, JobId, ModelInfo, ModelRef, Picture, PictureEntry,
    PictureId, PredictionType, Recipe, SamplerId, ScheduleId, Settings, UserError, WindowPlace,
};
use crate::library::{GalleryCommand, LibraryCommand, LibraryEvent, Paths};

use super::{Action, Catalog, DialogAnswer, Edit, Effect, MAX_NOTICES, Phase, Place, State, View};

static STARTER: Capabilities = Capabilities {
    family: FamilyId::Starter,
    label: "Starter",
    size_multiple_px: 8,
    min_side_px: 64,
    max_side_px: 192,
    native_side_px: 128,
    aspect_presets: &[("1:1", 128, 128)],
    default_steps: 20,
    default_guidance: 4.0,
    default_sampler: SamplerId::DpmPp2m,
    default_schedule: ScheduleId::Automatic,
    example_prompt: "a red pullover",
    needs_mask: false,
};

static SD1: Capabilities = Capabilities {
    family: FamilyId::Sd1,
    label: "Stable Diffusion 1",
    min_side_px: 256,
    max_side_px: 1024,
    native_side_px: 512,
    aspect_presets: &[("1:1", 512, 512)],
    default_steps: 25,
    default_guidance: 7.5,
    example_prompt: "a lighthouse",
    needs_mask: false,
    ..STARTER
};

pub(super) fn state_with(settings: Settings) -> State {
    let catalog = Catalog {
        models: &[],
        families: vec![&STARTER, &SD1],
        samplers: vec![SamplerId::DpmPp2m],
        schedules: vec![ScheduleId::Automatic],
        local_date: |_| String::new(),
    };
    State::new(settings, catalog, Paths::below("/home/kim/atelier"), 1)
}

pub(super) fn state() -> State {
    state_with(Settings::default())
}

/// The job among effects.
pub(super) fn job(effects: &[Effect]) -> Option<Job> {
    effects.iter().find_map(|effect| match effect {
        Effect::Engine(Command::Generate(job)) => Some((**job).clone()),
        _ => None,
    })
}

pub(super) fn generate(state: &mut State) -> Option<Job> {
    let effects = state.apply(Action::Generate);
    job(&effects)
}

pub(super) fn picture(side_px: u32) -> Arc<Picture> {
    Arc::new(Picture { width_px: side_px, height_px: side_px, rgba: vec![0; 4 * (side_px * side_px) as usize] })
}

pub(super) fn recipe(request: GenerateRequest) -> Recipe {
    Recipe {
        request,
        model_name: "m".to_owned(),
        model_hash: "0".to_owned(),
        version: "Atelier".to_owned(),
        elapsed_secs: 1.0,
        safety: None,
        grid: None,
    }
}

pub(super) fn entry(id: i64, name: &str) -> PictureEntry {
    PictureEntry {
        id: PictureId(id),
        path: format!("/p/{name}.png").into(),
        created_ms: id,
        width_px: 8,
        height_px: 8,
        recipe: Some(recipe(GenerateRequest { seed: id as u64, ..GenerateRequest::default() })),
    }
}

pub(super) fn finish(state: &mut State, job: &Job, saved: Result<PictureEntry, UserError>) -> Vec<Effect> {
    let mut effects = state.on_event(Event::Finished {
        job: job.id,
        index: 0,
        picture: picture(8),
        recipe: Box::new(recipe(job.request.single(0))),
        saved: saved.map(Box::new),
    });
    effects.extend(state.on_event(Event::Done { job: job.id }));
    effects
}

pub(super) fn ready(model: ModelRef, family: FamilyId) -> Event {
    Event::ModelReady(ModelInfo {
        model,
        name: "Loaded".to_owned(),
        family,
        prediction_type: PredictionType::Epsilon,
        parameters: 1,
    })
}

#[test]
fn one_job_runs_and_the_others_wait_in_order() {
    let mut state = state();
    let first = generate(&mut state).expect("the first is sent at once");
    assert!(generate(&mut state).is_none() && generate(&mut state).is_none());
    assert_eq!(state.queue.waiting().len(), 2);
    let ids: Vec<JobId> = state.queue.waiting().map(|job| job.id).collect();
    let next = job(&state.on_event(Event::Done { job: first.id })).expect("the next is sent");
    assert_eq!(next.id, ids[0]);
    let next = job(&state.on_event(Event::Cancelled { job: next.id })).expect("the next is sent");
    assert_eq!(next.id, ids[1]);
    assert!(job(&state.on_event(Event::Done { job: next.id })).is_none());
}

#[test]
fn an_end_that_is_not_the_running_jobs_ends_nothing() {
    let mut state = state();
    let first = generate(&mut state).expect("sent");
    let _ = generate(&mut state);
    assert!(state.on_event(Event::Done { job: JobId(99) }).is_empty());
    assert_eq!(state.queue.running().map(|running| running.job.id), Some(first.id));
}

#[test]
fn a_waiting_job_is_taken_out_without_touching_the_running_one() {
    let mut state = state();
    let first = generate(&mut state).expect("sent");
    let _ = generate(&mut state);
    let waiting = state.queue.waiting().next().expect("one waits").id;
    state.apply(Action::CancelJob(waiting));
    assert_eq!(state.queue.waiting().len(), 0);
    assert!(!first.cancel.is_cancelled());
    state.apply(Action::CancelJob(first.id));
    assert!(first.cancel.is_cancelled(), "the clone in the engine's hands sees it");
}

#[test]
fn refused_jobs_do_not_block_the_queue_and_are_told_once() {
    let mut state = state();
    let mut job = generate(&mut state).expect("sent");
    for _ in 0..3 {
        let _ = generate(&mut state);
    }
    let error = UserError::failed("The engine has stopped");
    for _ in 0..3 {
        let effects = state.on_engine_refused(Command::Generate(Box::new(job)), error.clone());
        job = super::tests::job(&effects).expect("the next is tried");
    }
    assert!(state.on_engine_refused(Command::Generate(Box::new(job)), error).is_empty());
    assert!(state.queue.running().is_none());
    let notices = state.notices.list();
    assert_eq!((notices.len(), notices[0].times), (1, 4));
}

#[test]
fn loading_and_steps_are_told_apart() {
    let mut state = state();
    let job = generate(&mut state).expect("sent");
    let phase = |state: &State| state.queue.running().map(|running| running.phase);
    state.on_event(Event::Started { job: job.id });
    state.on_event(Event::ModelLoading { model: ModelRef::Starter });
    assert_eq!(phase(&state), Some(Phase::Loading));
    state.on_event(ready(ModelRef::Starter, FamilyId::Starter));
    assert_eq!(phase(&state), Some(Phase::Sent));
    state.on_event(Event::Step { job: job.id, index: 0, step: 1, steps: 20, preview: picture(2), elapsed_secs: 0.1 });
    assert_eq!(phase(&state), Some(Phase::Steps));
    state.on_event(Event::ModelLoading { model: ModelRef::Starter });
    assert_eq!(phase(&state), Some(Phase::Steps), "a late word does not turn back");
}

#[test]
fn a_change_of_model_brings_defaults_and_a_restored_draft_keeps_its_own() {
    let path = ModelRef::Path("/models/a".into());
    let request = GenerateRequest { model: path.clone(), width_px: 640, height_px: 256, ..GenerateRequest::default() };
    let mut restored = state_with(Settings { draft: Some(request.clone()), ..Settings::default() });
    restored.start();
    restored.on_event(ready(path.clone(), FamilyId::Sd1));
    assert_eq!(restored.draft.request, request);

    let mut chosen = state();
    chosen.apply(Action::Edit(Edit::Model(path.clone())));
    assert!(chosen.generate_blocked().is_some());
    chosen.on_event(ready(path.clone(), FamilyId::Sd1));
    assert_eq!(chosen.draft.request.width_px, SD1.native_side_px);
    assert!(chosen.generate_blocked().is_none());
    chosen.apply(Action::Edit(Edit::Model(ModelRef::Starter)));
    assert_eq!(chosen.draft.request.width_px, STARTER.native_side_px, "a known family's are there at once");
    assert_eq!(chosen.models.recent, [std::path::PathBuf::from("/models/a")]);
}

#[test]
fn a_failed_model_can_be_chosen_again() {
    let path = ModelRef::Path("/models/a".into());
    let mut state = state();
    let preloads = |effects: &[Effect]| {
        effects.iter().filter(|effect| matches!(effect, Effect::Engine(Command::Preload(_)))).count()
    };
    assert_eq!(preloads(&state.apply(Action::Edit(Edit::Model(path.clone())))), 1);
    assert_eq!(preloads(&state.apply(Action::Edit(Edit::Model(path.clone())))), 0, "it is being loaded already");
    state.on_event(Event::ModelFailed { model: path.clone(), error: UserError::failed("No") });
    assert_eq!(preloads(&state.apply(Action::Edit(Edit::Model(path)))), 1);
}

#[test]
fn the_filmstrip_drops_old_saved_pictures_from_memory_and_never_unsaved_ones() {
    let mut state = state();
    let side_px = 2048; // 16 MB each; the budget is 256 MB
    let add = |state: &mut State, id: i64, saved: bool| {
        let saved =
            if saved { Ok(Box::new(entry(id, &id.to_string()))) } else { Err(UserError::failed("The disk is full")) };
        state.on_event(Event::Finished {
            job: JobId(1),
            index: 0,
            picture: picture(side_px),
            recipe: Box::new(recipe(GenerateRequest::default())),
            saved,
        });
    };
    add(&mut state, 1, false);
    add(&mut state, 2, true);
    for id in 3..=18 {
        add(&mut state, id, true);
    }
    let kept = |state: &State, key| state.film.item(key).is_some_and(|item| item.picture.is_some());
    assert!(kept(&state, 1), "it is nowhere else");
    assert!(!kept(&state, 2) && kept(&state, 3), "sixteen saved ones fit");
    let effects = state.apply(Action::ShowFilm(2));
    assert!(matches!(effects.as_slice(), [Effect::Library(LibraryCommand::Open { id: PictureId(2), .. })]));
    state.on_library_event(LibraryEvent::Opened { id: PictureId(2), picture: picture(side_px) });
    assert!(kept(&state, 2), "what is in view stays");
}

#[test]
fn one_dialog_at_a_time_and_a_relative_path_is_not_taken() {
    let mut state = state();
    assert!(matches!(state.apply(Action::ChooseModel).as_slice(), [Effect::Ask(_)]));
    assert!(state.apply(Action::ChoosePicturesFolder).is_empty());
    state.apply(Action::Answered(DialogAnswer::Unavailable));
    state.apply(Action::EditPath("models/a".to_owned()));
    assert!(state.apply(Action::AcceptPath).is_empty());
    assert!(state.path_prompt.is_some(), "what was typed is not lost");
    state.apply(Action::EditPath("/models/a".to_owned()));
    state.apply(Action::AcceptPath);
    assert_eq!(state.draft.request.model, ModelRef::Path("/models/a".into()));
}

#[test]
fn another_pictures_folder_counts_from_the_next_job_on() {
    let mut state = state();
    let before = generate(&mut state).unwrap();
    state.apply(Action::ChoosePicturesFolder);
    let effects = state.apply(Action::Answered(DialogAnswer::Chosen("/pictures/new".into())));
    let is_told = |effects: &[Effect], folder: &Path| {
        let is_use = |command: &GalleryCommand| matches!(command, GalleryCommand::UseFolder(to) if to == folder);
        effects.iter().any(|e| matches!(e, Effect::Library(LibraryCommand::Gallery(command)) if is_use(command)))
    };
    assert!(is_told(&effects, Path::new("/pictures/new")), "{effects:?}");
    let effects = finish(&mut state, &before, Ok(entry(1, "old")));
    assert!(!effects.iter().any(|e| matches!(e, Effect::Library(LibraryCommand::Gallery(_)))), "{effects:?}");
    state.on_event(Event::Done { job: before.id });
    assert_eq!(generate(&mut state).unwrap().pictures_dir, Path::new("/pictures/new"));
    assert!(is_told(&state.apply(Action::ResetPicturesFolder), &before.pictures_dir));
}

#[test]
fn notices_are_bounded_and_a_confirmation_gives_way_to_the_next() {
    let mut state = state();
    for i in 0..2 * MAX_NOTICES {
        state.notices.error(UserError::failed(format!("{i}")));
    }
    assert_eq!(state.notices.list().len(), MAX_NOTICES);
    state.notices.info("first", None);
    state.notices.info("second", None);
    let infos: Vec<&str> = state.notices.list().iter().map(|notice| notice.sentence.as_str()).collect();
    assert!(infos.contains(&"second") && !infos.contains(&"first"));
}

#[test]
fn a_maximized_window_remembers_the_size_to_go_back_to() {
    let mut state = state();
    state.apply(Action::WindowPlaced(WindowPlace { width: 1000.0, height: 700.0, maximized: false }));
    state.apply(Action::WindowPlaced(WindowPlace { width: 2560.0, height: 1400.0, maximized: true }));
    assert_eq!(state.settings().window, Some(WindowPlace { width: 1000.0, height: 700.0, maximized: true }));
}

#[test]
fn settings_go_round() {
    let mut state = state();
    state.apply(Action::Edit(Edit::Prompt("ä \"quoted\" 猫".to_owned())));
    state.apply(Action::ToggleSeedLock);
    let settings = state.settings();
    assert_eq!(state_with(settings.clone()).settings(), settings);
}

#[test]
fn generate_brings_the_live_picture_back_into_view() {
    let mut state = state();
    let job = generate(&mut state).expect("sent");
    finish(&mut state, &job, Ok(entry(1, "a")));
    state.apply(Action::ShowFilm(1));
    state.apply(Action::GoTo(Place::Gallery));
    let _ = generate(&mut state);
    assert_eq!((state.place, state.film.view), (Place::Create, View::Live));
}
