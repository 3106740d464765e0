//! What the state does with the picture to begin with and the mask that is painted on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::{Extend, Plane, Recipe, UserError};
use crate::library::{GalleryEvent, KeptMask, LibraryCommand, LibraryEvent, QueueCommand, SourceCommand, SourceEvent};

use super::tests::{entry, finish, generate, picture, recipe, state};
use super::{Action, Effect, Extra, Gaze, Place, SourceAction, State, Tool};

/// What was asked about the picture to begin with.
fn asked(effects: &[Effect]) -> Vec<SourceCommand> {
    let command = |effect: &Effect| match effect {
        Effect::Library(LibraryCommand::Source(command)) => Some(command.clone()),
        _ => None,
    };
    effects.iter().filter_map(command).collect()
}

/// The one question about it.
fn one(effects: &[Effect]) -> SourceCommand {
    let mut asked = asked(effects);
    assert_eq!(asked.len(), 1, "{asked:?}");
    asked.remove(0)
}

fn tell(state: &mut State, event: SourceEvent) -> Vec<Effect> {
    state.on_library_event(LibraryEvent::Source(event))
}

/// Answers a question to read, with a grey picture of that size.
fn read(state: &mut State, command: &SourceCommand, side_px: u32) -> Vec<Effect> {
    let SourceCommand::Read { ticket, mask, .. } = command else { panic!("{command:?}") };
    let mask = mask.as_ref().map(|_| Ok(Plane::new(side_px, side_px, 255)));
    tell(state, SourceEvent::Read { ticket: *ticket, picture: Ok(picture(side_px)), mask })
}

/// Answers a question to keep a mask.
fn keep(state: &mut State, command: &SourceCommand, name: &str) -> Vec<Effect> {
    let SourceCommand::KeepMask { ticket, plane, .. } = command else { panic!("{command:?}") };
    let kept = KeptMask { path: name.into(), plane: plane.clone() };
    tell(state, SourceEvent::MaskKept { ticket: *ticket, kept: Ok(kept) })
}

/// A state with a picture of 128 × 128 px to begin with.
fn begun() -> State {
    let mut state = state();
    let effects = state.apply(Action::Dropped(vec!["/p/cat.png".into()]));
    read(&mut state, &one(&effects), 128);
    state
}

fn act(state: &mut State, action: SourceAction) -> Vec<Effect> {
    state.apply(Action::Source(action))
}

/// Paints a dot; gives what is asked when the stroke ends.
fn dot(state: &mut State, x: f32, y: f32) -> Vec<Effect> {
    assert!(asked(&act(state, SourceAction::Begin([x, y], false))).is_empty(), "nothing is written amid a stroke");
    act(state, SourceAction::End)
}

fn mask_of(state: &State) -> Option<&Path> {
    state.draft.request.init.as_ref().and_then(|init| init.mask.as_deref())
}

#[test]
fn a_dropped_picture_is_shown_and_read() {
    let mut state = state();
    state.apply(Action::GoTo(Place::Settings));
    let effects = state.apply(Action::Dropped(vec!["/p/cat.png".into()]));
    assert!(state.source.is_shown() && state.place == Place::Create);
    let command = one(&effects);
    assert!(matches!(&command, SourceCommand::Read { picture, mask: None, .. } if picture == Path::new("/p/cat.png")));
    assert!(!state.can_paint(), "it is not here yet");
    read(&mut state, &command, 128);
    assert!(state.can_paint() && state.source.mask().is_empty());
    act(&mut state, SourceAction::Show(false));
    assert!(!state.source.is_shown());
    act(&mut state, SourceAction::Toggle);
    assert!(state.source.is_shown());
    state.apply(Action::Extra(Extra::Init(None)));
    assert!(!state.source.is_shown() && state.source.picture().is_none());
}

#[test]
fn a_stroke_is_written_and_becomes_the_drafts_mask() {
    let mut state = begun();
    let command = one(&dot(&mut state, 64.0, 64.0));
    let SourceCommand::KeepMask { plane, feather_px, .. } = &command else { panic!("{command:?}") };
    assert_eq!((plane.level(64, 64), plane.level(5, 5), *feather_px), (255, 0, 0));
    assert_eq!(mask_of(&state), None);
    keep(&mut state, &command, "/s/mask-1.png");
    assert_eq!(mask_of(&state), Some(Path::new("/s/mask-1.png")));
    assert_eq!(state.draft.request.init.as_ref().map(|init| init.strength), Some(1.0), "it is to be something else");
    state.apply(Action::Extra(Extra::Strength(0.7)));
    let again = one(&dot(&mut state, 20.0, 20.0));
    keep(&mut state, &again, "/s/mask-2.png");
    assert_eq!(state.draft.request.init.as_ref().map(|init| init.strength), Some(0.7), "the user's choice stays");
    // All taken back: there is no mask.
    act(&mut state, SourceAction::Undo);
    assert_eq!(mask_of(&state), Some(Path::new("/s/mask-2.png")), "until the one before is written again");
    act(&mut state, SourceAction::Undo);
    assert!(state.source.mask().is_empty());
}

#[test]
fn what_is_painted_while_a_mask_is_written_is_written_next() {
    let mut state = begun();
    let first = one(&dot(&mut state, 64.0, 64.0));
    assert!(asked(&dot(&mut state, 20.0, 20.0)).is_empty(), "one at a time");
    let second = one(&keep(&mut state, &first, "/s/mask-1.png"));
    let SourceCommand::KeepMask { plane, .. } = &second else { panic!("{second:?}") };
    assert_eq!((plane.level(64, 64), plane.level(20, 20)), (255, 255));
    assert!(asked(&keep(&mut state, &second, "/s/mask-2.png")).is_empty());
    assert_eq!(mask_of(&state), Some(Path::new("/s/mask-2.png")));
}

#[test]
fn generate_waits_for_the_mask_that_was_painted() {
    let mut state = begun();
    act(&mut state, SourceAction::Begin([64.0, 64.0], false));
    let effects = state.apply(Action::Generate);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Queue(_))), "its mask is not there yet");
    let effects = keep(&mut state, &one(&effects), "/s/mask-1.png");
    let sent = effects.iter().find_map(|effect| match effect {
        Effect::Queue(QueueCommand::Add(jobs)) => Some(jobs[0].request.init.clone()),
        _ => None,
    });
    assert_eq!(sent.flatten().and_then(|init| init.mask), Some(PathBuf::from("/s/mask-1.png")));
    assert!(!state.source.is_shown(), "what is made is shown");
    assert!(
        keep(&mut state, &SourceCommand::KeepMask { ticket: 99, plane: Plane::default(), feather_px: 0 }, "/s/x")
            .iter()
            .all(|effect| !matches!(effect, Effect::Queue(_)))
    );
}

#[test]
fn a_mask_that_cannot_be_written_is_told_and_tried_again_by_generate() {
    let mut state = begun();
    let SourceCommand::KeepMask { ticket, .. } = one(&dot(&mut state, 64.0, 64.0)) else { panic!("a mask") };
    assert!(state.apply(Action::Generate).is_empty(), "it waits for what is being written");
    let kept = Err(UserError::failed("The disk is full"));
    assert!(tell(&mut state, SourceEvent::MaskKept { ticket, kept }).is_empty(), "nothing is made without the mask");
    assert_eq!(state.notices.list().last().map(|notice| notice.sentence.as_str()), Some("The disk is full"));
    assert!(asked(&act(&mut state, SourceAction::ZoomIn)).is_empty(), "nor tried again and again");
    let effects = state.apply(Action::Generate);
    let effects = keep(&mut state, &one(&effects), "/s/mask-1.png");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Queue(_))));
}

#[test]
fn an_empty_mask_is_none() {
    let mut state = begun();
    let command = one(&dot(&mut state, 64.0, 64.0));
    keep(&mut state, &command, "/s/mask-1.png");
    assert!(asked(&act(&mut state, SourceAction::Clear)).is_empty());
    assert_eq!(mask_of(&state), None);
    assert!(generate(&mut state).is_some_and(|job| job.request.init.is_some_and(|init| init.mask.is_none())));
}

#[test]
fn taking_the_mask_out_of_the_draft_can_be_undone_on_the_canvas() {
    let mut state = begun();
    let command = one(&dot(&mut state, 64.0, 64.0));
    keep(&mut state, &command, "/s/mask-1.png");
    state.apply(Action::Extra(Extra::Mask(None)));
    assert!(state.source.mask().is_empty() && mask_of(&state).is_none());
    let command = one(&act(&mut state, SourceAction::Undo));
    keep(&mut state, &command, "/s/mask-1.png");
    assert_eq!(mask_of(&state), Some(Path::new("/s/mask-1.png")));
}

#[test]
fn a_mask_stays_with_another_picture_of_the_same_size_only() {
    let mut state = begun();
    let command = one(&dot(&mut state, 64.0, 64.0));
    keep(&mut state, &command, "/s/mask-1.png");
    state.apply(Action::Extra(Extra::Strength(0.8)));
    let reads = one(&state.apply(Action::Dropped(vec!["/p/dog.png".into()])));
    assert_eq!(mask_of(&state), None, "until its size is known");
    let command = one(&read(&mut state, &reads, 128));
    keep(&mut state, &command, "/s/mask-1.png");
    let init = state.draft.request.init.clone().unwrap();
    assert_eq!((init.mask, init.strength), (Some("/s/mask-1.png".into()), 0.8));
    let reads = one(&state.apply(Action::Dropped(vec!["/p/large.png".into()])));
    assert!(asked(&read(&mut state, &reads, 256)).is_empty());
    assert!(state.source.mask().is_empty() && mask_of(&state).is_none());
    assert!(!state.source.mask().can_undo(), "what was painted on another size cannot come back");
}

#[test]
fn generate_waits_until_it_is_known_whether_the_mask_fits_the_new_picture() {
    let mut state = begun();
    let command = one(&dot(&mut state, 64.0, 64.0));
    keep(&mut state, &command, "/s/mask-1.png");
    let reads = one(&state.apply(Action::Dropped(vec!["/p/dog.png".into()])));
    assert!(generate(&mut state).is_none());
    let effects = read(&mut state, &reads, 256);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Queue(_))), "it does not fit: without a mask then");
}

#[test]
fn a_recipe_whose_mask_is_gone_is_told_and_not_made_without_it() {
    let mut state = begun();
    let mut made = recipe(state.draft.request.clone());
    made.request.init.as_mut().unwrap().mask = Some("/s/mask-gone.png".into());
    let of_recipe = |made: &Recipe| crate::domain::PictureEntry { recipe: Some(made.clone()), ..entry(1, "made") };
    let job = generate(&mut state).unwrap();
    finish(&mut state, &job, Ok(of_recipe(&made)));
    let key = state.film.newest().unwrap().key;
    state.apply(Action::ShowFilm(key));
    state.draft.request = made.request;
    let SourceCommand::Read { ticket, mask: Some(_), .. } = one(&state.apply(Action::ShowLive)) else {
        panic!("the mask is read")
    };
    let gone = UserError::input("The mask is not there any more").hint("paint it anew").path("/s/mask-gone.png");
    tell(&mut state, SourceEvent::Read { ticket, picture: Ok(picture(128)), mask: Some(Err(gone)) });
    let notice = state.notices.list().last().unwrap();
    assert_eq!(notice.path.as_deref(), Some(Path::new("/s/mask-gone.png")));
    assert!(state.generate_blocked().unwrap().contains("The mask is not there any more"));
    assert!(generate(&mut state).is_none());
    // Painted anew it is good again.
    let effects = dot(&mut state, 30.0, 30.0);
    assert_eq!(state.generate_blocked(), None);
    keep(&mut state, &one(&effects), "/s/mask-2.png");
    assert!(generate(&mut state).is_some());
}

#[test]
fn a_picture_that_cannot_be_read_is_told_and_not_made() {
    let mut state = state();
    let command = one(&state.apply(Action::Dropped(vec!["/p/cat.png".into()])));
    let SourceCommand::Read { ticket, .. } = command else { panic!("{command:?}") };
    let error = UserError::input("Could not read the picture cat.png").path("/p/cat.png");
    tell(&mut state, SourceEvent::Read { ticket, picture: Err(error), mask: None });
    assert!(state.source.is_broken() && generate(&mut state).is_none());
    assert!(state.generate_blocked().unwrap().contains("cannot be read"));
    state.apply(Action::Extra(Extra::Init(None)));
    assert!(generate(&mut state).is_some());
}

#[test]
fn an_answer_for_a_picture_that_was_left_changes_nothing() {
    let mut state = state();
    let first = one(&state.apply(Action::Dropped(vec!["/p/cat.png".into()])));
    let second = one(&state.apply(Action::Dropped(vec!["/p/dog.png".into()])));
    read(&mut state, &first, 64);
    assert!(state.source.picture().is_none());
    read(&mut state, &second, 128);
    assert_eq!(state.source.picture().map(|picture| picture.width_px), Some(128));
    let command = one(&dot(&mut state, 64.0, 64.0));
    state.apply(Action::Extra(Extra::Init(None)));
    keep(&mut state, &command, "/s/mask-1.png");
    assert_eq!(state.draft.request.init, None);
}

#[test]
fn a_pasted_picture_is_begun_with_once_it_has_a_file() {
    let mut state = state();
    let pasted = picture(64);
    let command = one(&act(&mut state, SourceAction::Paste(Arc::clone(&pasted))));
    assert!(matches!(command, SourceCommand::KeepPicture(kept) if Arc::ptr_eq(&kept, &pasted)));
    let effects = tell(&mut state, SourceEvent::PictureKept(Ok("/s/picture-1.png".into())));
    assert!(matches!(one(&effects), SourceCommand::Read { .. }));
    assert_eq!(state.draft.request.init.as_ref().map(|init| init.picture.clone()), Some("/s/picture-1.png".into()));
}

#[test]
fn old_files_are_looked_through_once_all_recipes_are_known() {
    let mut state = begun();
    let command = one(&dot(&mut state, 64.0, 64.0));
    keep(&mut state, &command, "/s/mask-1.png");
    generate(&mut state).unwrap();
    let reconciled = || GalleryEvent::Reconciled { is_changed: false, counts: crate::library::Counts::default() };
    let effects = state.on_library_event(LibraryEvent::Gallery(reconciled()));
    let SourceCommand::Sweep(needed) = one(&effects) else { panic!("a sweep") };
    assert!(needed.contains(&"/s/mask-1.png".into()) && needed.contains(&"/p/cat.png".into()));
    assert!(asked(&state.on_library_event(LibraryEvent::Gallery(reconciled()))).is_empty(), "once a session");
}

#[test]
fn the_pictures_size_is_taken_with_what_is_painted_around() {
    let mut state = state();
    let command = one(&state.apply(Action::Dropped(vec!["/p/cat.png".into()])));
    let SourceCommand::Read { ticket, .. } = command else { panic!("{command:?}") };
    let wide = crate::domain::Picture { width_px: 160, height_px: 120, rgba: vec![0; 4 * 160 * 120] };
    tell(&mut state, SourceEvent::Read { ticket, picture: Ok(Arc::new(wide)), mask: None });
    assert_eq!(state.source_size(), Some((160, 120)));
    state.apply(Action::Extra(Extra::Extend(Extend { left: 16, ..Extend::default() })));
    act(&mut state, SourceAction::UseSize);
    assert_eq!((state.draft.request.width_px, state.draft.request.height_px), (176, 120));
    assert_eq!(state.source_size(), None);
}

#[test]
fn tools_and_looks_are_brought_into_their_bounds() {
    let mut state = begun();
    act(&mut state, SourceAction::BrushSize(1e9));
    assert_eq!(state.source.brush_px, 1000.0);
    act(&mut state, SourceAction::BrushSize(f32::NAN));
    act(&mut state, SourceAction::BrushSize(1.0));
    act(&mut state, SourceAction::Smaller);
    assert_eq!(state.source.brush_px, 1.0);
    act(&mut state, SourceAction::Larger);
    assert_eq!(state.source.brush_px, 2.0, "by a px at least");
    act(&mut state, SourceAction::Feather(5000));
    assert_eq!(state.source.feather_px, 100);
    act(&mut state, SourceAction::Take(Tool::Eraser));
    act(&mut state, SourceAction::Look(Gaze { zoom: 1e9, middle: [3.0, -1.0] }));
    assert_eq!(state.source.gaze, Gaze { zoom: 32.0, middle: [1.0, 0.0] });
    act(&mut state, SourceAction::Look(Gaze { zoom: f32::NAN, middle: [0.0, 0.0] }));
    act(&mut state, SourceAction::ZoomFit);
    assert_eq!(state.source.gaze, Gaze::default());
}

#[test]
fn a_picture_that_is_made_larger_as_a_whole_is_not_painted_on() {
    let mut state = begun();
    state.apply(Action::Extra(Extra::Upscale(Some(2.0))));
    assert!(!state.can_paint());
    assert!(asked(&dot(&mut state, 64.0, 64.0)).is_empty() && state.source.mask().is_empty());
    assert!(generate(&mut state).is_some());
}
