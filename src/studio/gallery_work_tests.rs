//! What the state does with several pictures of the gallery, and with collections.

use std::path::Path;

use crate::domain::{
    BulkWork, CollectionId, Marks, PictureId, RecipeInCopy, Scope, SortOrder, TrashedPicture, UserError,
};
use crate::library::{BulkReport, CollectionChange, GalleryCommand, GalleryEvent, LibraryEvent};

use super::gallery_tests::{act, asked, collection, found, gallery_of, overview, row, search, starred, tell};
use super::tests::entry;
use super::{Action, DialogAnswer, DialogRequest, Effect, GalleryAction, Named, Severity, State};

#[test]
fn a_star_is_given_and_taken_back_for_one_or_for_all_chosen() {
    let mut state = gallery_of(3);
    let star = |commands: Vec<GalleryCommand>| match commands.as_slice() {
        [GalleryCommand::Star { ids, star }] => (ids.iter().map(|id| id.0).collect::<Vec<_>>(), *star),
        other => panic!("{other:?}"),
    };
    assert!(act(&mut state, GalleryAction::StarChosen).is_empty(), "nothing is selected");
    assert_eq!(star(act(&mut state, GalleryAction::Star(PictureId(2)))), (vec![2], true));
    search(&tell(&mut state, starred(2, true)));
    assert!(state.gallery.is_starred(PictureId(2)));
    assert_eq!(star(act(&mut state, GalleryAction::Star(PictureId(2)))), (vec![2], false));
    act(&mut state, GalleryAction::ChooseAll);
    assert_eq!(star(act(&mut state, GalleryAction::StarChosen)), (vec![3, 2, 1], true), "not all have one");
    tell(&mut state, starred(1, true));
    tell(&mut state, starred(3, true));
    assert_eq!(star(act(&mut state, GalleryAction::StarChosen)), (vec![3, 2, 1], false));
}

#[test]
fn a_range_is_chosen_and_what_is_not_found_any_more_is_left_out() {
    let mut state = gallery_of(9);
    act(&mut state, GalleryAction::Choose(PictureId(8)));
    act(&mut state, GalleryAction::ChooseTo(PictureId(5)));
    act(&mut state, GalleryAction::Choose(PictureId(1)));
    act(&mut state, GalleryAction::Choose(PictureId(7)));
    let chosen = |state: &State| state.gallery.subjects().iter().map(|id| id.0).collect::<Vec<_>>();
    assert_eq!(chosen(&state), [8, 6, 5, 1]);
    let (ticket, _) = search(&act(&mut state, GalleryAction::EditSearch("x".to_owned())));
    tell(&mut state, found(ticket, [9, 6, 1]));
    assert_eq!(chosen(&state), [6, 1]);
    act(&mut state, GalleryAction::ChooseNone);
    assert_eq!(state.gallery.chosen_count(), 0);
    act(&mut state, GalleryAction::ChooseTo(PictureId(100)));
    assert_eq!(state.gallery.chosen_count(), 1, "a range of one that is nowhere");
}

#[test]
fn the_trash_takes_pictures_out_and_gives_them_back() {
    let mut state = gallery_of(4);
    state.apply(Action::OpenPicture(PictureId(3)));
    let commands = asked(state.apply(Action::Trash));
    let [GalleryCommand::Bulk { ticket, ids, work: BulkWork::Trash, .. }] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!(ids, &[PictureId(3)]);
    assert_eq!((state.gallery.ids().len(), state.gallery.works.len()), (4, 1), "not before it is really gone");
    let gone = |id: i64| TrashedPicture {
        id: PictureId(id),
        path: format!("/p/{id}.png").into(),
        marks: Marks::default(),
        collections: Vec::new(),
    };
    let report = BulkReport { total: 1, done: 1, trashed: vec![gone(3)], ..BulkReport::default() };
    search(&tell(&mut state, GalleryEvent::BulkDone { ticket: *ticket, report, error: None }));
    assert_eq!(state.gallery.ids(), [4, 2, 1].map(PictureId));
    assert_eq!((state.gallery.selected, state.gallery.large), (Some(PictureId(2)), true), "its neighbour is shown");
    assert!(state.gallery.works.is_empty() && state.notices.list().iter().any(|notice| notice.is_undoable));
    let commands = act(&mut state, GalleryAction::UndoTrash);
    assert!(matches!(commands.as_slice(), [GalleryCommand::Restore(back)] if *back == [gone(3)]), "{commands:?}");
    assert!(act(&mut state, GalleryAction::UndoTrash).is_empty(), "once");
    let restored = GalleryEvent::Restored { rows: vec![row(entry(7, "3"))], failures: Vec::new() };
    search(&tell(&mut state, restored));
}

#[test]
fn trashing_the_last_picture_closes_the_large_view() {
    let mut state = gallery_of(1);
    state.apply(Action::OpenPicture(PictureId(1)));
    state.on_library_event(LibraryEvent::Trashed { id: PictureId(1) });
    assert!(!state.gallery.large && state.gallery.selected.is_none());
}

#[test]
fn copies_go_where_the_user_says_and_failures_are_told() {
    let mut state = gallery_of(3);
    act(&mut state, GalleryAction::ChooseAll);
    act(&mut state, GalleryAction::ToggleRecipes);
    let effects = state.apply(Action::Gallery(GalleryAction::Zip));
    assert!(matches!(effects.as_slice(), [Effect::Ask(DialogRequest::Zip(ids))] if ids.len() == 3));
    let commands = asked(state.apply(Action::Answered(DialogAnswer::Chosen("/out/a".into()))));
    let [GalleryCommand::Bulk { ticket, ids, work, cancel }] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!(*work, BulkWork::Zip { file: "/out/a.zip".into(), recipe: RecipeInCopy::LeftOut });
    assert_eq!(ids.len(), 3);
    tell(&mut state, GalleryEvent::BulkProgress { ticket: *ticket, done: 1, total: 3 });
    assert_eq!(state.gallery.works[0].done, 1);
    act(&mut state, GalleryAction::StopWork(*ticket));
    assert!(cancel.is_cancelled(), "the clone in the library's hands sees it");
    let failures = vec![UserError::failed("No room").path("/p/1.png")];
    let report = BulkReport { total: 3, done: 2, failed: 1, failures, ..BulkReport::default() };
    tell(&mut state, GalleryEvent::BulkDone { ticket: *ticket, report, error: None });
    let notices = state.notices.list();
    assert!(notices.iter().any(|n| n.severity == Severity::Error && n.path.as_deref() == Some(Path::new("/p/1.png"))));
    assert!(notices.iter().any(|n| n.severity == Severity::Info && n.path.as_deref() == Some(Path::new("/out/a.zip"))));
    assert!(state.gallery.works.is_empty());
}

#[test]
fn a_name_that_is_taken_can_be_changed() {
    let mut state = gallery_of(2);
    act(&mut state, GalleryAction::ChooseAll);
    act(&mut state, GalleryAction::Name(Named::OfChosen));
    act(&mut state, GalleryAction::EditName("  Summer ".to_owned()));
    let commands = act(&mut state, GalleryAction::AcceptName);
    let [GalleryCommand::Collections(CollectionChange::Create { name, query: None, pictures })] = commands.as_slice()
    else {
        panic!("{commands:?}")
    };
    assert_eq!((name.as_str(), pictures.len()), ("Summer", 2));
    tell(&mut state, GalleryEvent::Failed(UserError::input("There is one already")));
    let problem = state.gallery.shelves.naming.as_ref().and_then(|naming| naming.problem.clone());
    assert_eq!(problem.as_deref(), Some("There is one already"));
    assert!(state.notices.list().is_empty());
    act(&mut state, GalleryAction::EditName("Summer 2".to_owned()));
    act(&mut state, GalleryAction::AcceptName);
    tell(&mut state, overview(vec![collection(1, "Summer 2", None)]));
    assert!(state.gallery.shelves.naming.is_none());
}

#[test]
fn a_saved_search_says_all_that_is_looked_at() {
    let mut state = gallery_of(2);
    tell(&mut state, overview(vec![collection(1, "Summer dresses", None), collection(2, "Big", Some("size:>768"))]));
    let mut saved = |shelf, starred| {
        act(&mut state, GalleryAction::ShowCollection(CollectionId(shelf)));
        if starred {
            act(&mut state, GalleryAction::ToggleStarred);
        }
        act(&mut state, GalleryAction::EditSearch("red dre".to_owned()));
        act(&mut state, GalleryAction::Name(Named::OfSearch));
        act(&mut state, GalleryAction::EditName("x".to_owned()));
        match act(&mut state, GalleryAction::AcceptName).as_slice() {
            [GalleryCommand::Collections(CollectionChange::Create { query: Some(query), .. })] => query.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(saved(1, false), "collection:\"Summer dresses\" red dre*");
    assert_eq!(saved(2, true), "size:>768 red dre* star:yes");
}

#[test]
fn a_collection_is_followed_by_its_name_and_left_when_it_goes() {
    let mut state = gallery_of(2);
    tell(&mut state, overview(vec![collection(1, "Summer", None)]));
    let (_, request) = search(&act(&mut state, GalleryAction::ShowCollection(CollectionId(1))));
    assert_eq!(request.scope, Scope::Collection(CollectionId(1)));
    act(&mut state, GalleryAction::Sort(SortOrder::Arranged));
    let (_, request) = search(&tell(&mut state, overview(vec![collection(4, "Summer", None)])));
    assert_eq!(request.scope, Scope::Collection(CollectionId(4)), "the index was rebuilt");
    assert!(tell(&mut state, overview(vec![collection(4, "Winter", None)])).is_empty(), "it was renamed");
    act(&mut state, GalleryAction::AskDelete(CollectionId(4)));
    let commands = act(&mut state, GalleryAction::Delete(CollectionId(4)));
    assert!(matches!(commands.as_slice(), [GalleryCommand::Collections(CollectionChange::Delete(_))]));
    let (_, request) = search(&tell(&mut state, overview(Vec::new())));
    assert_eq!((request.scope, state.gallery.shelves.deleting), (Scope::All, None));
    let (_, request) = search(&act(&mut state, GalleryAction::ShowAll));
    assert_eq!(request.sort, SortOrder::Newest, "nothing is arranged where there is no collection");
}
