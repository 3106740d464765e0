//! What the state does in the gallery.

use crate::domain::search::Hint;
use crate::domain::{
    Collection, CollectionId, Event, FamilyId, GalleryRow, Marks, ModelRef, PictureEntry, PictureId, SearchRequest,
    SearchResult, UserError,
};
use crate::library::{Counts, Found, GalleryCommand, GalleryEvent, LibraryCommand, LibraryEvent, Ticket};

use super::tests::{entry, finish, generate, picture, ready, state};
use super::{Action, Effect, GalleryAction, InView, Move, Place, State};

pub(super) fn asked(effects: Vec<Effect>) -> Vec<GalleryCommand> {
    let command = |effect| match effect {
        Effect::Library(LibraryCommand::Gallery(command)) => Some(command),
        _ => None,
    };
    effects.into_iter().filter_map(command).collect()
}

pub(super) fn act(state: &mut State, action: GalleryAction) -> Vec<GalleryCommand> {
    asked(state.apply(Action::Gallery(action)))
}

pub(super) fn tell(state: &mut State, event: GalleryEvent) -> Vec<GalleryCommand> {
    asked(state.on_library_event(LibraryEvent::Gallery(event)))
}

/// The one search among commands.
pub(super) fn search(commands: &[GalleryCommand]) -> (Ticket, SearchRequest) {
    let search = commands.iter().find_map(|command| match command {
        GalleryCommand::Search { ticket, request } => Some((*ticket, request.clone())),
        _ => None,
    });
    search.expect("a search")
}

pub(super) fn found(ticket: Ticket, ids: impl IntoIterator<Item = i64>) -> GalleryEvent {
    let ids: Vec<PictureId> = ids.into_iter().map(PictureId).collect();
    let result = SearchResult { total: ids.len(), ids, group_sizes: Vec::new() };
    GalleryEvent::Found { ticket, found: Found { result, hints: Vec::new() } }
}

pub(super) fn row(entry: PictureEntry) -> GalleryRow {
    GalleryRow { entry, marks: Marks::default() }
}

pub(super) fn rows(ids: impl IntoIterator<Item = i64>) -> GalleryEvent {
    GalleryEvent::Rows(ids.into_iter().map(|id| row(entry(id, &id.to_string()))).collect())
}

pub(super) fn starred(id: i64, star: bool) -> GalleryEvent {
    let marks = Marks { star, rating: 0 };
    GalleryEvent::Marked(vec![GalleryRow { marks, ..row(entry(id, &id.to_string())) }])
}

/// The gallery of so many pictures, the last made first, all in view and read.
pub(super) fn gallery_of(count: i64) -> State {
    let mut state = state();
    state.place = Place::Gallery;
    let (ticket, _) = search(&asked(state.start()));
    tell(&mut state, found(ticket, (1..=count).rev()));
    tell(&mut state, rows(1..=count));
    let places = 0..usize::try_from(count).expect("small");
    act(&mut state, GalleryAction::InView(InView { columns: 3, places, without_thumbnail: Vec::new() }));
    state
}

pub(super) fn collection(id: i64, name: &str, query: Option<&str>) -> Collection {
    Collection { id: CollectionId(id), name: name.to_owned(), query: query.map(str::to_owned), count: Some(2) }
}

pub(super) fn overview(collections: Vec<Collection>) -> GalleryEvent {
    GalleryEvent::Overview { counts: Counts { all: 9, starred: 1 }, collections }
}

#[test]
fn at_the_start_all_is_searched_for_counted_and_compared_with_the_files() {
    let commands = asked(state().start());
    let kinds = [|c: &_| matches!(c, GalleryCommand::Overview), |c: &_| matches!(c, GalleryCommand::Reconcile)];
    assert!(kinds.iter().all(|is| commands.iter().filter(|c| is(c)).count() == 1), "{commands:?}");
    assert_eq!(search(&commands).1, SearchRequest::default());
}

#[test]
fn only_the_answer_to_the_last_search_is_taken() {
    let mut state = gallery_of(3);
    let (early, _) = search(&act(&mut state, GalleryAction::EditSearch("r".to_owned())));
    let (late, request) = search(&act(&mut state, GalleryAction::EditSearch("red".to_owned())));
    assert!(late > early && request.text == "red");
    tell(&mut state, found(late, [2]));
    tell(&mut state, found(early, [2, 3]));
    assert_eq!(state.gallery.ids(), [PictureId(2)]);
}

#[test]
fn what_is_not_understood_is_told_and_what_was_typed_stays() {
    let mut state = gallery_of(1);
    let (_, request) = search(&act(&mut state, GalleryAction::EditSearch("samler:euler red".to_owned())));
    assert_eq!(request.text, "samler:euler red");
    let sentences: Vec<String> = state.gallery.finder.hints.iter().map(Hint::sentence).collect();
    assert!(sentences[0].contains("sampler"), "{sentences:?}");
    let (_, request) = search(&act(&mut state, GalleryAction::ClearSearch));
    assert!(request.text.is_empty() && state.gallery.finder.hints.is_empty());
}

#[test]
fn starred_narrows_any_text_also_an_unfinished_one() {
    use crate::domain::search::{Key, Test, parse};
    let mut state = gallery_of(1);
    act(&mut state, GalleryAction::ToggleStarred);
    for text in ["", "red dre", "\"on a cha", "OR red", "cat OR", "-cat", "size:>"] {
        let (_, request) = search(&act(&mut state, GalleryAction::EditSearch(text.to_owned())));
        let mut narrowed = parse(&request.text).query.all;
        let star = narrowed.pop().expect("one clause at least");
        assert!(matches!(star.as_slice(), [term] if !term.is_negated && term.test == Test::YesNo(Key::Star, true)));
        assert_eq!(narrowed, parse(text).query.all, "{text}");
        assert_eq!(state.gallery.finder.text, text);
    }
}

#[test]
fn rows_are_asked_for_once_for_what_is_in_view_and_near_it() {
    let mut state = state();
    let (ticket, _) = search(&asked(state.start()));
    tell(&mut state, found(ticket, (0..50_000).rev()));
    let view = |places| GalleryAction::InView(InView { columns: 5, places, without_thumbnail: Vec::new() });
    let commands = act(&mut state, view(100..120));
    let [GalleryCommand::Rows(ids)] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!((ids.len(), ids[0], ids[59]), (60, PictureId(49_919), PictureId(49_860)));
    assert!(act(&mut state, view(100..120)).is_empty(), "they are on their way");
    tell(&mut state, rows(49_860..=49_919));
    assert!(act(&mut state, view(100..120)).is_empty());
    let commands = act(&mut state, view(105..125));
    assert!(matches!(commands.as_slice(), [GalleryCommand::Rows(ids)] if ids.len() == 5), "{commands:?}");
    assert!(act(&mut state, view(49_995..50_000)).len() == 1, "the end of the list is no end of the program");
}

#[test]
fn thumbnails_in_view_take_the_place_of_those_scrolled_past() {
    let mut state = gallery_of(9);
    let view = |lacking: &[i64]| {
        let without_thumbnail = lacking.iter().copied().map(PictureId).collect();
        GalleryAction::InView(InView { columns: 3, places: 0..9, without_thumbnail })
    };
    let wanted = |commands: Vec<GalleryCommand>| match commands.as_slice() {
        [] => Vec::new(),
        [GalleryCommand::Thumbnails(wanted)] => wanted.iter().map(|(id, _)| id.0).collect(),
        other => panic!("{other:?}"),
    };
    assert_eq!(wanted(act(&mut state, view(&[9, 8, 7, 100]))), [9, 8, 7], "100 was not read");
    state.on_library_event(LibraryEvent::Thumbnail { id: PictureId(9), picture: picture(2) });
    assert_eq!(wanted(act(&mut state, view(&[8, 7]))), [0; 0], "they are on their way");
    let error = UserError::failed("broken");
    state.on_library_event(LibraryEvent::PictureFailed { id: PictureId(8), error });
    assert_eq!(wanted(act(&mut state, view(&[8, 7, 6]))), [7, 6], "a broken one is not tried for ever");
    state.on_library_event(LibraryEvent::Thumbnail { id: PictureId(5), picture: picture(2) });
    let came: Vec<i64> = state.gallery.take_thumbnails().iter().map(|(id, _)| id.0).collect();
    assert_eq!(came, [9], "what nobody wants is not kept");
}

#[test]
fn a_finished_picture_is_searched_for_and_its_family_told_once() {
    let mut state = state();
    state.start();
    state.on_event(ready(ModelRef::Starter, FamilyId::Starter));
    let told = |commands: &[GalleryCommand]| {
        let is = |c: &&GalleryCommand| matches!(c, GalleryCommand::KnowFamily { hash, family: FamilyId::Starter } if hash == "0");
        commands.iter().filter(is).count()
    };
    for expected in [1, 0] {
        let job = generate(&mut state).expect("sent");
        let commands = asked(finish(&mut state, &job, Ok(entry(1, "a"))));
        search(&commands);
        assert_eq!(told(&commands), expected);
    }
    let job = generate(&mut state).expect("sent");
    assert!(asked(finish(&mut state, &job, Err(UserError::failed("The disk is full")))).is_empty());
    assert!(state.on_event(Event::Done { job: job.id }).is_empty());
}

#[test]
fn changed_files_are_looked_at_again_and_unchanged_ones_not() {
    let mut state = gallery_of(2);
    let counts = Counts { all: 3, starred: 0 };
    assert!(tell(&mut state, GalleryEvent::Reconciled { is_changed: false, counts }).is_empty());
    let (ticket, _) = search(&tell(&mut state, GalleryEvent::Reconciled { is_changed: true, counts }));
    assert_eq!(state.gallery.shelves.counts.all, 3);
    tell(&mut state, found(ticket, [3, 2, 1]));
    let view = InView { columns: 3, places: 0..3, without_thumbnail: Vec::new() };
    let commands = act(&mut state, GalleryAction::InView(view));
    assert!(matches!(commands.as_slice(), [GalleryCommand::Rows(ids)] if ids.len() == 3), "{commands:?}");
}

#[test]
fn a_rebuilt_index_keeps_selection_and_filmstrip_by_their_files() {
    let mut state = state();
    let (ticket, _) = search(&asked(state.start()));
    let job = generate(&mut state).expect("sent");
    finish(&mut state, &job, Ok(entry(5, "new")));
    tell(&mut state, found(Ticket(ticket.0 + 1), [5, 4]));
    tell(&mut state, GalleryEvent::Rows(vec![row(entry(5, "new")), row(entry(4, "old"))]));
    state.apply(Action::OpenPicture(PictureId(4)));
    let generation = state.gallery.generation;
    let again = |id: i64, name: &str, created_ms| row(PictureEntry { created_ms, ..entry(id, name) });
    tell(&mut state, GalleryEvent::Rows(vec![again(4, "new", 5), again(5, "old", 4)]));
    assert_eq!(state.gallery.selected, Some(PictureId(5)));
    assert_ne!(state.gallery.generation, generation, "thumbnails by key are stale");
    let film = state.film.newest().and_then(|item| item.saved.as_ref().ok()).map(|entry| entry.id);
    assert_eq!(film, Some(PictureId(4)));
    // One that was renamed is still the same.
    let generation = state.gallery.generation;
    tell(&mut state, GalleryEvent::Rows(vec![again(5, "renamed", 4)]));
    assert_eq!((state.gallery.selected, state.gallery.generation), (Some(PictureId(5)), generation));
}

#[test]
fn moving_through_the_grid_stops_at_its_ends() {
    let mut state = gallery_of(8);
    let mut go = |direction| {
        state.apply(Action::Move(direction));
        state.gallery.selected_index()
    };
    assert_eq!(go(Move::Next), Some(0), "the first move selects the newest");
    assert_eq!(go(Move::Up), Some(0));
    assert_eq!(go(Move::Down), Some(3));
    assert_eq!(go(Move::Next), Some(4));
    assert_eq!(go(Move::Next), Some(5));
    assert_eq!(go(Move::Down), Some(7), "the last row is shorter");
    assert_eq!(go(Move::Down), Some(7));
    assert_eq!(go(Move::Next), Some(7));
}

#[test]
fn a_picture_shown_large_stays_though_it_does_not_match_any_more() {
    let mut state = gallery_of(5);
    state.apply(Action::OpenPicture(PictureId(3)));
    let (ticket, _) = search(&tell(&mut state, starred(3, false)));
    tell(&mut state, found(ticket, [5, 4, 2, 1]));
    assert_eq!((state.gallery.selected, state.gallery.large), (Some(PictureId(3)), true));
    state.apply(Action::Move(Move::Next));
    assert_eq!(state.gallery.selected, Some(PictureId(2)), "what came behind it");
}

#[test]
fn a_large_picture_whose_row_comes_later_is_read_then() {
    let mut state = state();
    state.place = Place::Gallery;
    let (ticket, _) = search(&asked(state.start()));
    tell(&mut state, found(ticket, (1..=100).rev()));
    let commands = asked(state.apply(Action::OpenPicture(PictureId(50))));
    assert!(matches!(commands.as_slice(), [GalleryCommand::Rows(ids)] if ids.len() == 9), "{commands:?}");
    let effects = state.on_library_event(LibraryEvent::Gallery(rows(46..=54)));
    assert!(matches!(effects.as_slice(), [Effect::Library(LibraryCommand::Open { id: PictureId(50), .. })]));
}

#[test]
fn copy_from_the_grid_waits_for_the_file() {
    let mut state = gallery_of(1);
    state.apply(Action::Move(Move::Next));
    assert!(matches!(state.apply(Action::CopyPicture).as_slice(), [Effect::Library(LibraryCommand::Open { .. })]));
    let effects = state.on_library_event(LibraryEvent::Opened { id: PictureId(1), picture: picture(8) });
    assert!(matches!(effects.as_slice(), [Effect::CopyPicture(_)]));
    let effects = state.on_library_event(LibraryEvent::Opened { id: PictureId(1), picture: picture(8) });
    assert!(effects.is_empty(), "once");
}

#[test]
fn what_the_library_refuses_is_asked_again_or_told() {
    let mut state = gallery_of(3);
    let view = || InView { columns: 3, places: 0..3, without_thumbnail: vec![PictureId(1)] };
    let commands = act(&mut state, GalleryAction::InView(view()));
    let [thumbnails] = commands.as_slice() else { panic!("{commands:?}") };
    let busy = UserError::failed("The library is busy");
    state.on_library_refused(&LibraryCommand::Gallery(thumbnails.clone()), busy.clone());
    assert_eq!(act(&mut state, GalleryAction::InView(view())).len(), 1);
    assert!(state.notices.list().is_empty());
    act(&mut state, GalleryAction::ChooseAll);
    let effects = state.apply(Action::Trash);
    let [Effect::Library(command)] = effects.as_slice() else { panic!("{effects:?}") };
    state.on_library_refused(command, busy);
    assert!(state.gallery.works.is_empty(), "it will never be done");
    assert_eq!(state.notices.list().len(), 1);
}
