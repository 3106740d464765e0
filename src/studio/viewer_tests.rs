//! What the state does while pictures are looked at closely.

use std::sync::Arc;

use crate::domain::{
    Command, Event, GenerateRequest, JobId, Likeness, Machine, Marks, ModelRef, Outcome, Picture, PictureId, Precision,
    Recipe, SamplerId, UserError,
};
use crate::library::{
    CollectionChange, GalleryCommand, GalleryEvent, ImportCommand, ImportEvent, ImportReport, LibraryCommand,
    LibraryEvent, Looked,
};

use super::super::gallery_tests::{act, collection, found, gallery_of, overview, row, search, tell};
use super::super::tests::{entry, picture};
use super::super::{Action, CompareMode, DialogAnswer, GalleryAction, Named};
use super::*;

fn view(state: &mut State, action: ViewerAction) -> Vec<Effect> {
    state.apply(Action::Viewer(action))
}

/// A gallery of three, of which number 2 is shown large.
fn large() -> State {
    let mut state = gallery_of(3);
    state.apply(Action::OpenPicture(PictureId(2)));
    opened(&mut state, 2, &picture(8));
    state
}

fn opened(state: &mut State, id: i64, picture: &Arc<Picture>) -> Vec<Effect> {
    state.on_library_event(LibraryEvent::Opened { id: PictureId(id), picture: Arc::clone(picture) })
}

/// The files that are asked for.
fn read(effects: &[Effect]) -> Vec<i64> {
    let id = |effect: &Effect| match effect {
        Effect::Library(LibraryCommand::Open { id, .. }) => Some(id.0),
        _ => None,
    };
    effects.iter().filter_map(id).collect()
}

#[test]
fn steps_of_zoom_go_by_powers_of_two_within_bounds() {
    let mut state = large();
    let factors = |state: &mut State, action: &ViewerAction, times: usize| -> Vec<Option<f32>> {
        let one = |state: &mut State| {
            view(state, action.clone());
            state.viewer.zoom.factor
        };
        (0..times).map(|_| one(state)).collect()
    };
    let grown = factors(&mut state, &ViewerAction::ZoomIn, 7);
    assert_eq!(grown, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 32.0].map(Some));
    view(&mut state, ViewerAction::Zoom(Zoom { factor: Some(1.3), centre: (f32::NAN, 7.0) }));
    assert_eq!(state.viewer.zoom, Zoom { factor: Some(1.3), centre: (0.5, 1.0) });
    assert_eq!(factors(&mut state, &ViewerAction::ZoomOut, 2), [Some(1.0), Some(0.5)]);
    view(&mut state, ViewerAction::ToggleFit);
    assert_eq!(state.viewer.zoom, Zoom::default());
    view(&mut state, ViewerAction::ToggleFit);
    assert_eq!(state.viewer.zoom.factor, Some(1.0));
}

#[test]
fn the_zoom_stays_from_picture_to_picture_and_goes_with_the_large_view() {
    let mut state = large();
    let zoom = Zoom { factor: Some(4.0), centre: (0.25, 0.75) };
    view(&mut state, ViewerAction::Zoom(zoom));
    state.apply(Action::Move(Move::Next));
    assert_eq!((state.gallery.selected, state.viewer.zoom), (Some(PictureId(1)), zoom));
    state.apply(Action::ClosePicture);
    assert_eq!(state.viewer.zoom, Zoom::default());
}

#[test]
fn the_picture_alone_fills_the_screen_and_gives_it_back() {
    let mut state = large();
    let screen = |effects: Vec<Effect>| {
        effects.iter().find_map(|e| if let Effect::FullScreen(on) = e { Some(*on) } else { None })
    };
    assert_eq!(screen(view(&mut state, ViewerAction::ToggleAlone)), Some(true));
    assert_eq!(screen(state.apply(Action::ClosePicture)), Some(false));
    assert!(state.gallery.large && !state.viewer.is_alone, "Esc goes back one step");
    // A screen that was filled before stays so.
    state.apply(Action::ToggleFullScreen);
    assert_eq!(screen(view(&mut state, ViewerAction::ToggleAlone)), None);
    assert_eq!(screen(view(&mut state, ViewerAction::ToggleAlone)), None);
    assert!(state.full_screen);
}

#[test]
fn the_slide_show_ends_with_the_last_picture() {
    let mut state = large();
    view(&mut state, ViewerAction::NextSlide);
    assert_eq!(state.gallery.selected, Some(PictureId(2)), "nothing is shown by itself");
    view(&mut state, ViewerAction::ToggleSlides);
    view(&mut state, ViewerAction::NextSlide);
    assert_eq!(state.gallery.selected, Some(PictureId(1)));
    view(&mut state, ViewerAction::NextSlide);
    assert!(!state.viewer.is_showing && state.gallery.large);
    view(&mut state, ViewerAction::SlideSecs(0));
    assert_eq!(state.viewer.slide_secs, 1);
}

#[test]
fn a_remix_takes_all_but_the_seed() {
    let mut state = large();
    let mut row = row(entry(2, "2"));
    let request = GenerateRequest { prompt: "a coat".into(), seed: 77, sampler: SamplerId::Heun, ..Default::default() };
    row.entry.recipe = Some(Recipe { request: request.clone(), version: "Atelier 0.1.0".into(), ..Recipe::default() });
    tell(&mut state, GalleryEvent::Rows(vec![row]));
    state.draft.seed_locked = true;
    view(&mut state, ViewerAction::Remix);
    let draft = &state.draft.request;
    assert!(draft.seed != 77 && !state.draft.seed_locked && state.place == Place::Create);
    assert_eq!(GenerateRequest { seed: 77, ..draft.clone() }, request);
}

#[test]
fn another_programs_model_is_found_by_its_name_or_told() {
    let mut state = large();
    let mut recipe = Recipe { model_name: "v1-5-pruned".into(), version: "ComfyUI".into(), ..Recipe::default() };
    state.draft.request.model = ModelRef::Path("/m/other.safetensors".into());
    state.use_recipe(&recipe);
    assert_eq!(state.draft.request.model, ModelRef::Path("/m/other.safetensors".into()));
    assert!(state.notices.list().iter().any(|notice| notice.sentence.contains("v1-5-pruned")));
    state.models.recent.push("/models/V1_5 Pruned.safetensors".into());
    state.use_recipe(&recipe);
    assert_eq!(state.draft.request.model, ModelRef::Path("/models/V1_5 Pruned.safetensors".into()));
    // One of ours names the model itself.
    "Atelier 0.1.0".clone_into(&mut recipe.version);
    state.use_recipe(&recipe);
    assert_eq!(state.draft.request.model, ModelRef::Starter);
}

#[test]
fn two_are_compared_with_the_files_that_are_not_read_yet() {
    let mut state = large();
    view(&mut state, ViewerAction::CompareWith);
    assert!(!state.gallery.large && state.viewer.picking == Some(PictureId(2)));
    let effects = state.apply(Action::OpenPicture(PictureId(3)));
    assert_eq!(read(&effects), [3], "number 2 is open already");
    opened(&mut state, 3, &picture(8));
    let compare = state.viewer.compare.as_ref().expect("two");
    assert!(compare.sides.iter().all(|side| side.picture.is_some()));
    let fields: Vec<&str> = compare.differences.iter().flatten().map(|d| d.field.as_str()).collect();
    assert_eq!(fields, ["Seed"]);
    let act = |state: &mut State, action| view(state, ViewerAction::Compare(action));
    act(&mut state, CompareAction::Swap);
    let compare = state.viewer.compare.as_ref().expect("two");
    assert_eq!(
        (compare.sides[0].id, compare.differences.as_ref().expect("both have one")[0].one.as_str()),
        (Some(PictureId(3)), "3")
    );
    act(&mut state, CompareAction::Split(7.0));
    act(&mut state, CompareAction::Flip);
    let compare = state.viewer.compare.as_ref().expect("two");
    assert_eq!((compare.split, compare.mode, compare.shown), (1.0, CompareMode::Flicker, 1));
    view(&mut state, ViewerAction::ZoomIn);
    assert_eq!(state.viewer.compare.as_ref().and_then(|compare| compare.zoom.factor), Some(1.0));
    assert_eq!(state.viewer.zoom, Zoom::default());
    act(&mut state, CompareAction::Leave);
    assert!(state.viewer.compare.is_none());
    // Two that are chosen; never three.
    act_gallery(&mut state, GalleryAction::Choose(PictureId(1)));
    act_gallery(&mut state, GalleryAction::Choose(PictureId(3)));
    view(&mut state, ViewerAction::CompareChosen);
    state.on_library_event(LibraryEvent::PictureFailed { id: PictureId(1), error: UserError::failed("gone") });
    let compare = state.viewer.compare.as_ref().expect("two");
    assert_eq!(compare.sides.iter().map(|side| side.is_broken).collect::<Vec<_>>(), [false, true]);
}

fn act_gallery(state: &mut State, action: GalleryAction) -> Vec<GalleryCommand> {
    act(state, action)
}

/// Begins to make number 2 again; gives the job's key.
fn replayed(state: &mut State) -> JobId {
    let effects = view(state, ViewerAction::Replay(ReplayAction::Begin));
    let [Effect::Engine(Command::Replay { job, original, precision })] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert!(original.ends_with("2.png") && job.request.seed == 2 && job.request.count == 1);
    assert_eq!(*precision, Precision::Exact, "it does not say that it was computed otherwise");
    job.id
}

#[test]
fn a_picture_is_made_again_and_what_became_of_it_is_told() {
    let mut state = large();
    let job = replayed(&mut state);
    state.on_event(Event::Started { job });
    state.on_event(Event::Step { job, index: 0, step: 3, steps: 20, preview: picture(1), elapsed_secs: 1.0 });
    let stage = |state: &State| state.viewer.replay.as_ref().map(|replay| replay.stage.clone());
    assert!(matches!(stage(&state), Some(super::super::replay::Stage::Steps(3, 20))));
    let machine = Some(Machine { kernels: "AVX2".into(), ..Machine::default() });
    let recipe = Recipe { machine, version: "Atelier 9".into(), ..entry(2, "2").recipe.expect("it has one") };
    let outcome = Outcome::Differs(Some(Likeness { psnr_db: 20.0, changed_px: 9, largest: 99 }));
    state.on_event(Event::Replayed { job, picture: picture(8), recipe: Box::new(recipe), outcome });
    state.on_event(Event::Done { job });
    let Some(super::super::replay::Stage::Made(remade)) = stage(&state) else { panic!("made") };
    assert_eq!(remade.reasons.iter().map(|reason| reason.field.as_str()).collect::<Vec<_>>(), ["Made by"]);
    assert_eq!(state.film.items().len(), 0, "it is nowhere but here");
    // It goes into the gallery where the user asks for it, once.
    let keep = view(&mut state, ViewerAction::Replay(ReplayAction::Keep));
    assert!(matches!(keep.as_slice(), [Effect::Library(LibraryCommand::Import(ImportCommand::Keep(..)))]));
    state.on_library_event(LibraryEvent::Import(ImportEvent::Kept(Box::new(entry(9, "again")))));
    assert!(view(&mut state, ViewerAction::Replay(ReplayAction::Keep)).is_empty());
    let effects = view(&mut state, ViewerAction::Replay(ReplayAction::Compare));
    assert!(read(&effects).is_empty());
    let compare = state.viewer.compare.as_ref().expect("both");
    assert!(compare.sides[1].id.is_none() && compare.sides[1].picture.is_some());
}

#[test]
fn a_replay_is_stopped_fails_and_is_refused() {
    let mut state = large();
    let job = replayed(&mut state);
    let again = replayed(&mut state);
    assert_ne!(job, again);
    state.on_event(Event::Failed { job, error: UserError::failed("of the one before") });
    assert!(state.viewer.replay.as_ref().is_some_and(Replay::is_running));
    let command = Command::Replay {
        job: Box::new(crate::domain::Job {
            id: again,
            request: GenerateRequest::default(),
            pictures_dir: "/p".into(),
            is_checked: false,
            done: 0,
            keeps_steps: false,
            cancel: crate::domain::Cancel::default(),
        }),
        original: "/p/2.png".into(),
        precision: Precision::Exact,
    };
    state.on_engine_refused(command, UserError::failed("busy"));
    assert!(state.viewer.replay.as_ref().is_some_and(|replay| !replay.is_running()));
    assert!(state.notices.list().is_empty(), "it is told beside the picture");
    let mut foreign = row(entry(2, "2"));
    foreign.entry.recipe = Some(Recipe { version: "ComfyUI".into(), ..Recipe::default() });
    tell(&mut state, GalleryEvent::Rows(vec![foreign]));
    assert!(view(&mut state, ViewerAction::Replay(ReplayAction::Begin)).is_empty());
    assert!(state.replay_blocked().is_some());
}

fn looked(recipe: Option<Recipe>) -> LibraryEvent {
    let path = "/home/kim/ComfyUI_1.png".into();
    let looked = Looked { path, width_px: 8, height_px: 8, thumbnail: picture(8), recipe, is_here: false };
    LibraryEvent::Import(ImportEvent::Looked(Box::new(looked)))
}

#[test]
fn a_picture_that_is_dropped_on_the_gallery_is_looked_at_and_used() {
    let mut state = gallery_of(1);
    let effects = state.apply(Action::Dropped(vec!["/home/kim/ComfyUI_1.png".into()]));
    assert!(matches!(effects.as_slice(), [Effect::Library(LibraryCommand::Import(ImportCommand::Look(_)))]));
    let request = GenerateRequest { prompt: "a hat".into(), ..GenerateRequest::default() };
    let recipe = Recipe { request, version: "ComfyUI".into(), ..Recipe::default() };
    state.on_library_event(looked(Some(recipe)));
    view(&mut state, ViewerAction::Import(ImportAction::Use));
    assert_eq!((state.draft.request.prompt.as_str(), state.place), ("a hat", Place::Create));
    assert!(state.viewer.import.looked.is_none());
    // In Create a picture is begun with, as before.
    state.apply(Action::Dropped(vec!["/home/kim/a.png".into()]));
    assert!(state.draft.request.init.is_some());
}

#[test]
fn files_are_taken_in_once_the_user_says_so() {
    let mut state = gallery_of(1);
    state.apply(Action::Dropped(vec!["/home/kim/a.png".into(), "/home/kim/b.png".into()]));
    assert_eq!(state.viewer.import.offered.as_ref().map(Vec::len), Some(2));
    let effects = view(&mut state, ViewerAction::Import(ImportAction::Accept));
    let [Effect::Library(LibraryCommand::Import(ImportCommand::Take { ticket, sources, cancel }))] = effects.as_slice()
    else {
        panic!("{effects:?}")
    };
    assert_eq!(sources.len(), 2);
    assert!(state.take_in(vec!["/x".into()]).is_empty(), "one after the other");
    state.on_library_event(LibraryEvent::Import(ImportEvent::Progress { ticket: *ticket, done: 1, total: 2 }));
    assert_eq!(state.viewer.import.running.as_ref().map(|running| (running.done, running.total)), Some((1, 2)));
    view(&mut state, ViewerAction::Import(ImportAction::Stop));
    assert!(cancel.is_cancelled());
    let report = Box::new(ImportReport { total: 2, taken: 1, is_cancelled: true, ..ImportReport::default() });
    let effects =
        state.on_library_event(LibraryEvent::Import(ImportEvent::Done { ticket: *ticket, report, error: None }));
    assert!(!effects.is_empty(), "what is shown is looked for again");
    assert!(state.viewer.import.running.is_none() && state.viewer.import.report.is_some());
    state.ask(super::super::DialogRequest::ImportFolder);
    let effects = state.apply(Action::Answered(DialogAnswer::Chosen("/home/kim/out".into())));
    assert!(matches!(effects.as_slice(), [Effect::Library(LibraryCommand::Import(ImportCommand::Take { .. }))]));
}

#[test]
fn ratings_are_given_to_what_is_chosen() {
    let mut state = gallery_of(3);
    assert!(act(&mut state, GalleryAction::Rate(3)).is_empty());
    act(&mut state, GalleryAction::Choose(PictureId(1)));
    act(&mut state, GalleryAction::Choose(PictureId(3)));
    let commands = act(&mut state, GalleryAction::Rate(9));
    assert!(matches!(commands.as_slice(), [GalleryCommand::Rate { ids, rating: 5 }] if ids.len() == 2), "{commands:?}");
    let mut rated = row(entry(3, "3"));
    rated.marks = Marks { star: false, rating: 5 };
    tell(&mut state, GalleryEvent::Marked(vec![rated]));
    assert_eq!(state.gallery.rating(PictureId(3)), 5);
}

#[test]
fn recipes_are_grouped_and_one_group_is_shown() {
    let mut state = gallery_of(5);
    let (ticket, request) = search(&act(&mut state, GalleryAction::ToggleGrouped));
    assert!(request.is_grouped);
    let mut groups = found(ticket, [5, 3]);
    if let GalleryEvent::Found { found, .. } = &mut groups {
        found.result.group_sizes = vec![1, 4];
    }
    tell(&mut state, groups);
    assert_eq!((state.gallery.group_size(PictureId(3)), state.gallery.group_size(PictureId(5))), (4, 1));
    let (_, request) = search(&act(&mut state, GalleryAction::ShowLike(PictureId(3))));
    assert_eq!((request.scope, request.is_grouped), (crate::domain::Scope::SameRecipe(PictureId(3)), false));
    let (_, request) = search(&act(&mut state, GalleryAction::LeaveLike));
    assert_eq!((request.scope, request.is_grouped), (crate::domain::Scope::All, true));
}

#[test]
fn pictures_of_a_collection_are_moved_and_a_smart_one_gets_another_search() {
    use crate::domain::{CollectionId, SortOrder};
    let mut state = gallery_of(4);
    assert!(act(&mut state, GalleryAction::Arrange(vec![PictureId(4)], None)).is_empty(), "no collection is shown");
    tell(&mut state, overview(vec![collection(1, "Large", Some("size:>768")), collection(2, "Summer", None)]));
    act(&mut state, GalleryAction::ShowCollection(CollectionId(2)));
    let (ticket, _) = search(&act(&mut state, GalleryAction::Sort(SortOrder::Arranged)));
    tell(&mut state, found(ticket, [4, 3, 2, 1]));
    let moved = |commands: Vec<GalleryCommand>| match commands.into_iter().next() {
        Some(GalleryCommand::Collections(CollectionChange::Arrange(CollectionId(2), ids, before))) => {
            Some((ids.iter().map(|id| id.0).collect::<Vec<_>>(), before.map(|id| id.0)))
        }
        None => None,
        other => panic!("{other:?}"),
    };
    state.gallery.select(PictureId(3));
    assert_eq!(moved(act(&mut state, GalleryAction::Shift(Move::Previous))), Some((vec![3], Some(4))));
    assert_eq!(moved(act(&mut state, GalleryAction::Shift(Move::Next))), Some((vec![3], Some(1))));
    state.gallery.select(PictureId(2));
    assert_eq!(moved(act(&mut state, GalleryAction::Shift(Move::Next))), Some((vec![2], None)), "to the end");
    state.gallery.select(PictureId(1));
    assert_eq!(moved(act(&mut state, GalleryAction::Shift(Move::Next))), None, "it is the last");
    let id = PictureId(1);
    assert_eq!(moved(act(&mut state, GalleryAction::Arrange(vec![id], Some(id)))), None, "on itself");
    act(&mut state, GalleryAction::Name(Named::Search(CollectionId(1))));
    assert_eq!(state.gallery.shelves.naming.as_ref().map(|naming| naming.text.as_str()), Some("size:>768"));
    act(&mut state, GalleryAction::EditName("size:>1024".to_owned()));
    let commands = act(&mut state, GalleryAction::AcceptName);
    let set = CollectionChange::SetQuery(CollectionId(1), "size:>1024".to_owned());
    assert!(
        matches!(&commands[..], [GalleryCommand::Collections(change), GalleryCommand::Search { .. }] if *change == set)
    );
}
