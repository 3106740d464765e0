//! Tests of the gallery through the channels of the library's thread.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::super::super::gallery::KEPT_FILE;
use super::super::super::handle::LibraryHandle;
use super::super::super::paths::Paths;
use super::super::super::shelf::PictureStore;
use super::super::{run, spawn};
use super::*;
use crate::domain::{
    BulkWork, Cancel, GenerateRequest, Picture, PictureEntry, Recipe, RecipeInCopy, SearchResult, SortOrder,
};

struct Desk {
    home: tempfile::TempDir,
    paths: Paths,
    handle: LibraryHandle,
    entries: Vec<PictureEntry>,
}

fn home_of(count: u64) -> (tempfile::TempDir, Paths, Vec<PictureEntry>) {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::below(home.path());
    let mut store = PictureStore::new(paths.clone());
    let save = |seed: u64| {
        let prompt = format!("{} dress", if seed.is_multiple_of(2) { "red" } else { "blue" });
        let recipe = Recipe {
            request: GenerateRequest { prompt, seed, ..GenerateRequest::default() },
            model_name: "Starter".into(),
            model_hash: String::new(),
            version: String::new(),
            elapsed_secs: 1.0,
            safety: None,
            grid: None,
        };
        let picture = Picture { width_px: 300, height_px: 4, rgba: [seed as u8, 1, 2, 255].repeat(1200) };
        store.save(&picture, &recipe).unwrap()
    };
    let entries = (0..count).map(save).collect();
    (home, paths, entries)
}

impl Desk {
    fn with(count: u64) -> Self {
        let (home, paths, entries) = home_of(count);
        let handle = spawn(paths.clone(), Box::new(|| {})).unwrap();
        let desk = Self { home, paths, handle, entries };
        // The first search would be followed by this otherwise.
        assert!(matches!(desk.ask(GalleryCommand::Reconcile), GalleryEvent::Reconciled { .. }));
        desk
    }

    fn send(&self, command: GalleryCommand) {
        self.handle.send(LibraryCommand::Gallery(command)).unwrap();
    }

    fn next(&self) -> LibraryEvent {
        let patience = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(event) = self.handle.try_event() {
                return event;
            }
            assert!(Instant::now() < patience, "no event came");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn ask(&self, command: GalleryCommand) -> GalleryEvent {
        self.send(command);
        self.gallery()
    }

    fn gallery(&self) -> GalleryEvent {
        match self.next() {
            LibraryEvent::Gallery(event) => event,
            other => panic!("{other:?}"),
        }
    }

    fn search(&self, text: &str) -> SearchResult {
        let request = SearchRequest { text: text.into(), sort: SortOrder::Seed, ..SearchRequest::default() };
        match self.ask(GalleryCommand::Search { ticket: Ticket(1), request }) {
            GalleryEvent::Found { found, .. } => found.result,
            other => panic!("{other:?}"),
        }
    }

    fn ids(&self) -> Vec<PictureId> {
        self.entries.iter().map(|entry| entry.id).collect()
    }

    /// What became of work on many pictures.
    fn bulk(&self, ids: Vec<PictureId>, work: BulkWork) -> (super::super::BulkReport, Option<UserError>) {
        self.send(GalleryCommand::Bulk { ticket: Ticket(7), ids, work, cancel: Cancel::default() });
        loop {
            match self.gallery() {
                GalleryEvent::BulkProgress { ticket, done, total } => assert!(ticket == Ticket(7) && done <= total),
                GalleryEvent::BulkDone { ticket: Ticket(7), report, error } => return (report, error),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_search_gives_keys_and_a_page_gives_rows() {
    let desk = Desk::with(5);
    let found = desk.search("red dr");
    assert_eq!((found.total, found.ids.len()), (3, 3));
    let GalleryEvent::Rows(rows) = desk.ask(GalleryCommand::Rows(found.ids[1..].to_vec())) else { panic!() };
    let seeds: Vec<u64> = rows.iter().map(|row| row.entry.recipe.as_ref().unwrap().request.seed).collect();
    assert_eq!(seeds, [2, 4]);
    desk.handle.shut_down();
}

#[test]
fn of_several_searches_the_last_is_answered() {
    let (_home, paths, _) = home_of(3);
    let (commands, far_commands) = bounded(16);
    let (far_events, events) = bounded(16);
    for (ticket, text) in [(1, "r"), (2, "re"), (3, "red")] {
        let request = SearchRequest { text: text.into(), ..SearchRequest::default() };
        commands.send(LibraryCommand::Gallery(GalleryCommand::Search { ticket: Ticket(ticket), request })).unwrap();
        commands.send(LibraryCommand::Gallery(GalleryCommand::Overview)).unwrap();
    }
    std::thread::scope(|scope| {
        scope.spawn(|| run(&paths, &far_commands, &far_events, &|| {}));
        for _ in 0..3 {
            let event = events.recv_timeout(Duration::from_mins(1)).unwrap();
            assert!(matches!(event, LibraryEvent::Gallery(GalleryEvent::Overview { .. })), "{event:?}");
        }
        let event = events.recv_timeout(Duration::from_mins(1)).unwrap();
        let LibraryEvent::Gallery(GalleryEvent::Found { ticket, found }) = event else { panic!("{event:?}") };
        assert_eq!((ticket, found.result.total), (Ticket(3), 2));
        drop(commands);
    });
}

#[test]
fn marks_and_collections_are_written_down_by_themselves() {
    let desk = Desk::with(3);
    let ids = desk.ids();
    let GalleryEvent::Marked(rows) = desk.ask(GalleryCommand::Star { ids: ids[..1].to_vec(), star: true }) else {
        panic!()
    };
    assert!(rows[0].marks.star);
    let create = CollectionChange::Create { name: "Summer".into(), query: None, pictures: ids[1..].to_vec() };
    let GalleryEvent::Overview { counts, collections } = desk.ask(GalleryCommand::Collections(create.clone())) else {
        panic!()
    };
    assert_eq!((counts.all, counts.starred, collections[0].count), (3, 1, Some(2)));
    assert!(matches!(desk.ask(GalleryCommand::Collections(create)), GalleryEvent::Failed(_)));
    assert_eq!(desk.search("in:summer star:no").total, 2);
    desk.handle.shut_down();
    let text = fs::read_to_string(desk.paths.pictures_dir.join(KEPT_FILE)).unwrap();
    assert!(text.contains("Summer") && text.contains("\"star\":true"), "{text}");
}

#[test]
fn changed_files_are_noticed_without_the_whole_list() {
    let desk = Desk::with(3);
    let reconciled = || match desk.ask(GalleryCommand::Reconcile) {
        GalleryEvent::Reconciled { is_changed, counts } => (is_changed, counts.all),
        other => panic!("{other:?}"),
    };
    assert_eq!(reconciled(), (false, 3));
    fs::remove_file(&desk.entries[0].path).unwrap();
    assert_eq!(reconciled(), (true, 2));
    let elsewhere = desk.home.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(&desk.entries[1].path, elsewhere.join("a.png")).unwrap();
    let overview = desk.ask(GalleryCommand::UseFolder(elsewhere));
    assert!(matches!(overview, GalleryEvent::Overview { counts, .. } if counts.all == 0));
    assert!(matches!(desk.gallery(), GalleryEvent::Reconciled { is_changed: true, counts } if counts.all == 1));
    desk.handle.shut_down();
}

#[test]
fn many_pictures_are_copied_zipped_and_failures_are_told() {
    let desk = Desk::with(4);
    let folder = desk.home.path().join("out");
    let (report, error) =
        desk.bulk(desk.ids(), BulkWork::CopyTo { folder: folder.clone(), recipe: RecipeInCopy::LeftOut });
    assert_eq!((report.done, error), (4, None));
    let file = desk.home.path().join("all.zip");
    let (report, error) = desk.bulk(desk.ids(), BulkWork::Zip { file: file.clone(), recipe: RecipeInCopy::Kept });
    assert_eq!((report.done, error), (4, None));
    assert!(fs::read(&file).unwrap().starts_with(b"PK\x03\x04"));
    let (_, error) = desk.bulk(desk.ids(), BulkWork::Zip { file: file.join("below.zip"), recipe: RecipeInCopy::Kept });
    assert!(error.is_some());
    desk.handle.shut_down();
}

#[test]
fn a_grid_gets_the_thumbnails_that_it_wants() {
    let desk = Desk::with(3);
    let mut wanted: Vec<_> = desk.entries.iter().map(|entry| (entry.id, entry.path.clone())).collect();
    wanted.push((PictureId(99), Path::new("/nowhere").to_path_buf()));
    desk.send(GalleryCommand::Thumbnails(wanted));
    let mut came: Vec<(i64, u32)> = (0..4)
        .map(|_| match desk.next() {
            LibraryEvent::Thumbnail { id, picture } => (id.0, picture.width_px),
            LibraryEvent::PictureFailed { id, .. } => (id.0, 0),
            other => panic!("{other:?}"),
        })
        .collect();
    came.sort_unstable();
    let mut expected: Vec<(i64, u32)> = desk.entries.iter().map(|entry| (entry.id.0, 256)).collect();
    expected.push((99, 0));
    assert_eq!(came, expected);
    desk.handle.shut_down();
}
