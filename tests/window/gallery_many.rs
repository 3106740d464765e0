//! The gallery as a whole: searching, stars, several pictures at once, collections.

use atelier::domain::{
    BulkWork, Collection, CollectionId, GalleryRow, Marks, PictureId, RecipeInCopy, Scope, SearchRequest, SortOrder,
};
use atelier::library::{CollectionChange, Counts, GalleryCommand, GalleryEvent, LibraryEvent, Ticket};
use atelier::studio::{DialogAnswer, Place};
use egui::{Event, Key, Modifiers, Role};
use egui_kittest::kittest::Queryable;

use super::bench::{Bench, found, history};

/// A gallery of ten pictures, drawn.
fn open() -> Bench {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    bench.serve(&history(10));
    bench
}

fn type_text(bench: &mut Bench, text: &str) {
    bench.harness.event(Event::Text(text.to_owned()));
    bench.harness.run();
}

/// The last search that was asked for.
fn last_search(bench: &Bench) -> (Ticket, SearchRequest) {
    let searches = bench.asked_of_gallery().into_iter().filter_map(|command| match command {
        GalleryCommand::Search { ticket, request } => Some((ticket, request)),
        _ => None,
    });
    searches.last().expect("a search")
}

pub fn tell(bench: &mut Bench, event: GalleryEvent) {
    bench.library(LibraryEvent::Gallery(event));
}

fn click_with(bench: &mut Bench, modifiers: Modifiers, id: i64) {
    let label = format!("Picture: {}", prompt(id));
    bench.harness.get_by_label(&label).click_modifiers(modifiers);
    bench.harness.run();
}

fn prompt(id: i64) -> String {
    let entry = history(10).into_iter().find(|entry| entry.id == PictureId(id)).expect("one of ten");
    entry.recipe.expect("all have one").request.prompt
}

pub fn collections() -> GalleryEvent {
    let collection = |id, name: &str, query: Option<&str>, count| Collection {
        id: CollectionId(id),
        name: name.to_owned(),
        query: query.map(str::to_owned),
        count,
    };
    let collections = vec![collection(1, "Large", Some("size:>768"), None), collection(2, "Summer", None, Some(3))];
    GalleryEvent::Overview { counts: Counts { all: 10, starred: 4 }, collections }
}

#[test]
fn ctrl_f_searches_from_anywhere_as_one_types() {
    let mut bench = open();
    bench.go_to("Create");
    bench.press(Modifiers::COMMAND, Key::F);
    assert_eq!(bench.state().place, Place::Gallery);
    type_text(&mut bench, "red");
    let (ticket, request) = last_search(&bench);
    assert_eq!(request.text, "red");
    tell(&mut bench, found(ticket, [PictureId(9), PictureId(3)].into_iter()));
    assert!(bench.has("2 pictures found"));
    type_text(&mut bench, " wol");
    let (ticket, request) = last_search(&bench);
    assert_eq!(request.text, "red wol");
    tell(&mut bench, found(ticket, std::iter::empty()));
    assert!(bench.has("Nothing matches"));
    bench.harness.get_all_by_role_and_label(Role::Button, "Clear the search").last().expect("one below").click();
    bench.harness.run();
    let (ticket, request) = last_search(&bench);
    assert!(request.text.is_empty());
    tell(&mut bench, found(ticket, (1..=10).map(PictureId)));
    assert!(bench.has("10 pictures"));
}

#[test]
fn what_is_not_understood_is_said_below_the_search() {
    let mut bench = open();
    bench.press(Modifiers::COMMAND, Key::F);
    type_text(&mut bench, "samler:euler dress");
    let said = bench.state().gallery.finder.hints[0].sentence();
    assert!(said.contains("sampler") && bench.has(&said), "{said}");
    assert_eq!(bench.state().gallery.finder.text, "samler:euler dress");
}

#[test]
fn letters_are_typed_into_the_search_and_do_nothing_else() {
    let mut bench = open();
    bench.press(Modifiers::NONE, Key::ArrowRight);
    bench.asked_of_gallery();
    bench.press(Modifiers::COMMAND, Key::F);
    bench.press(Modifiers::NONE, Key::S);
    bench.press(Modifiers::NONE, Key::Delete);
    bench.press(Modifiers::COMMAND, Key::A);
    let commands = bench.asked_of_gallery();
    assert!(commands.is_empty(), "{commands:?}");
    assert_eq!(bench.state().gallery.chosen_count(), 0);
    bench.press(Modifiers::NONE, Key::Escape);
    bench.press(Modifiers::NONE, Key::S);
    let commands = bench.asked_of_gallery();
    assert!(matches!(commands.as_slice(), [GalleryCommand::Star { ids, star: true }] if *ids == [PictureId(10)]));
}

#[test]
fn a_star_is_given_at_the_corner_of_a_picture_and_beside_the_large_one() {
    let mut bench = open();
    let label = format!("Picture: {}", prompt(9));
    bench.harness.get_by_label(&label).hover();
    bench.harness.run();
    bench.asked_of_gallery();
    bench.click(&format!("Star: {}", prompt(9)));
    let commands = bench.asked_of_gallery();
    assert!(matches!(commands.as_slice(), [GalleryCommand::Star { ids, star: true }] if *ids == [PictureId(9)]));
    let entry = history(10)[1].clone();
    tell(&mut bench, GalleryEvent::Marked(vec![GalleryRow { entry, marks: Marks { star: true, rating: 0 } }]));
    assert!(!bench.state().gallery.large, "the picture below it was not opened");
    click_with(&mut bench, Modifiers::NONE, 9);
    bench.asked_of_gallery();
    bench.click("Star");
    let commands = bench.asked_of_gallery();
    assert!(matches!(commands.as_slice(), [GalleryCommand::Star { ids, star: false }] if *ids == [PictureId(9)]));
}

#[test]
fn several_are_chosen_and_worked_on_at_once() {
    let mut bench = open();
    click_with(&mut bench, Modifiers::COMMAND, 10);
    click_with(&mut bench, Modifiers::SHIFT, 8);
    assert!(bench.has("3 chosen") && !bench.state().gallery.large);
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(!bench.has("3 chosen"));
    bench.press(Modifiers::COMMAND, Key::A);
    assert!(bench.has("10 chosen"));
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen("/home/kim/out".into()));
    bench.harness.get_by_role_and_label(Role::CheckBox, "With recipes").click();
    bench.harness.run();
    bench.asked_of_gallery();
    bench.click("Copy to…");
    let commands = bench.asked_of_gallery();
    let [GalleryCommand::Bulk { ticket, ids, work, cancel }] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!(ids.len(), 10);
    assert_eq!(*work, BulkWork::CopyTo { folder: "/home/kim/out".into(), recipe: RecipeInCopy::LeftOut });
    tell(&mut bench, GalleryEvent::BulkProgress { ticket: *ticket, done: 4, total: 10 });
    assert!(bench.has("Copying: 4 of 10"));
    bench.click("Stop Copying");
    assert!(cancel.is_cancelled());
}

#[test]
fn starred_and_the_order_narrow_and_sort_what_is_found() {
    let mut bench = open();
    bench.asked_of_gallery();
    bench.click("Starred only");
    assert_eq!(last_search(&bench).1.text, "star:yes");
    bench.harness.get_by_role_and_label(Role::ComboBox, "Order").click();
    bench.harness.run();
    bench.harness.get_by_label("Oldest first").click();
    bench.harness.run();
    let request = last_search(&bench).1;
    assert_eq!((request.text.as_str(), request.sort), ("star:yes", SortOrder::Oldest));
}

#[test]
fn collections_are_shown_made_renamed_and_deleted_in_their_list() {
    let mut bench = open();
    tell(&mut bench, collections());
    bench.asked_of_gallery();
    bench.harness.get_by_role_and_label(Role::RadioButton, "Summer").click();
    bench.harness.run();
    assert_eq!(last_search(&bench).1.scope, Scope::Collection(CollectionId(2)));
    let changes = |bench: &Bench| match bench.asked_of_gallery().as_slice() {
        [GalleryCommand::Collections(change)] => change.clone(),
        other => panic!("{other:?}"),
    };
    bench.click("Rename… Summer");
    bench.press(Modifiers::COMMAND, Key::A);
    type_text(&mut bench, "Winter");
    bench.press(Modifiers::NONE, Key::Enter);
    assert_eq!(changes(&bench), CollectionChange::Rename(CollectionId(2), "Winter".to_owned()));
    tell(&mut bench, collections());
    bench.click("Delete… Summer");
    bench.click("Keep it Summer");
    bench.click("Delete… Summer");
    bench.click("Delete Summer");
    assert_eq!(changes(&bench), CollectionChange::Delete(CollectionId(2)));
    bench.click("New collection…");
    type_text(&mut bench, "Autumn");
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(bench.asked_of_gallery().is_empty() && bench.state().gallery.shelves.naming.is_none());
    bench.click("New collection…");
    type_text(&mut bench, "Autumn");
    bench.click("Keep");
    let made = CollectionChange::Create { name: "Autumn".to_owned(), query: None, pictures: Vec::new() };
    assert_eq!(changes(&bench), made);
}

#[test]
fn chosen_pictures_go_into_a_collection_and_a_search_becomes_one() {
    let mut bench = open();
    tell(&mut bench, collections());
    click_with(&mut bench, Modifiers::COMMAND, 9);
    bench.asked_of_gallery();
    bench.click("Add to collection…");
    assert!(bench.harness.query_by_role_and_label(Role::Button, "Large").is_none(), "a search takes none in");
    bench.click("Summer");
    let commands = bench.asked_of_gallery();
    let added = CollectionChange::Add(CollectionId(2), vec![PictureId(9)]);
    assert!(matches!(commands.as_slice(), [GalleryCommand::Collections(change)] if *change == added), "{commands:?}");
    bench.press(Modifiers::COMMAND, Key::F);
    type_text(&mut bench, "red dress");
    bench.asked_of_gallery();
    bench.click("Save search…");
    bench.press(Modifiers::NONE, Key::Enter);
    let commands = bench.asked_of_gallery();
    let [GalleryCommand::Collections(CollectionChange::Create { name, query, .. })] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!((name.as_str(), query.as_deref()), ("red dress", Some("red dress*")));
}
