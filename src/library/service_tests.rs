//! Tests of the library's thread: what is asked through the channels is answered through them.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::gallery::{GalleryCommand, GalleryEvent};
use super::super::messages::SaveSource;
use super::super::shelf::PictureStore;
use super::*;
use crate::domain::{GenerateRequest, Picture, PictureEntry, Recipe, SearchRequest, Settings};

struct Desk {
    _home: tempfile::TempDir,
    paths: Paths,
    handle: LibraryHandle,
    woken: Arc<AtomicUsize>,
}

impl Desk {
    /// A thread over a home with that many saved pictures.
    fn with(pictures: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(home.path());
        let mut store = PictureStore::new(paths.clone());
        for seed in 0..pictures {
            let picture = Picture { width_px: 320, height_px: 8, rgba: [seed as u8, 2, 3, 255].repeat(2560) };
            store.save(&picture, &recipe(seed)).unwrap();
        }
        let woken = Arc::new(AtomicUsize::new(0));
        let wakes = Arc::clone(&woken);
        let wake = Box::new(move || {
            wakes.fetch_add(1, Ordering::SeqCst);
        });
        let handle = spawn(paths.clone(), wake).unwrap();
        Self { _home: home, paths, handle, woken }
    }

    fn ask(&self, command: LibraryCommand) -> LibraryEvent {
        self.handle.send(command).unwrap();
        self.next()
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

    fn gallery(&self, command: GalleryCommand) -> GalleryEvent {
        gallery(self.ask(LibraryCommand::Gallery(command)))
    }

    /// Every picture that is known, newest first.
    fn list(&self) -> Vec<PictureEntry> {
        let search = GalleryCommand::Search { ticket: Ticket(1), request: SearchRequest::default() };
        let GalleryEvent::Found { found, .. } = self.gallery(search) else { panic!("no answer to a search") };
        let GalleryEvent::Rows(rows) = self.gallery(GalleryCommand::Rows(found.result.ids)) else { panic!("no rows") };
        rows.into_iter().map(|row| row.entry).collect()
    }

    /// The same, after the files were looked through.
    fn reconciled(&self) -> Vec<PictureEntry> {
        let event = self.gallery(GalleryCommand::Reconcile);
        assert!(matches!(event, GalleryEvent::Reconciled { .. }), "{event:?}");
        self.list()
    }
}

fn gallery(event: LibraryEvent) -> GalleryEvent {
    match event {
        LibraryEvent::Gallery(event) => event,
        other => panic!("{other:?}"),
    }
}

/// How many pictures there are, by an event that says so.
fn all(event: &GalleryEvent) -> usize {
    match event {
        GalleryEvent::Overview { counts, .. } | GalleryEvent::Reconciled { counts, .. } => counts.all,
        other => panic!("{other:?}"),
    }
}

fn recipe(seed: u64) -> Recipe {
    Recipe {
        request: GenerateRequest { prompt: "a dress".into(), seed, ..GenerateRequest::default() },
        model_name: "Starter".into(),
        model_hash: "0123456789".into(),
        version: "Atelier 0.1.0".into(),
        elapsed_secs: 0.1,
        safety: None,
        grid: None,
    }
}

#[test]
fn pictures_are_listed_opened_and_shown_small() {
    let desk = Desk::with(2);
    let entries = desk.reconciled();
    assert_eq!(entries.len(), 2);
    let thumbnail = |id, path| LibraryCommand::Gallery(GalleryCommand::Thumbnails(vec![(id, path)]));
    let PictureEntry { id, path, .. } = entries[0].clone();
    match desk.ask(LibraryCommand::Open { id, path: path.clone() }) {
        LibraryEvent::Opened { id: opened, picture } => assert_eq!((opened, picture.width_px), (id, 320)),
        other => panic!("{other:?}"),
    }
    match desk.ask(thumbnail(id, path.clone())) {
        LibraryEvent::Thumbnail { id: shown, picture } => assert_eq!((shown, picture.width_px), (id, 256)),
        other => panic!("{other:?}"),
    }
    fs::write(&path, b"broken").unwrap();
    for command in [LibraryCommand::Open { id, path: path.clone() }, thumbnail(id, path)] {
        assert!(matches!(desk.ask(command), LibraryEvent::PictureFailed { id: failed, .. } if failed == id));
    }
    // The thread tells before it wakes: only its end says that it has done both.
    desk.handle.shut_down();
    assert_eq!(desk.woken.load(Ordering::SeqCst), 7);
}

#[test]
fn another_folder_is_listed_at_once_and_the_first_one_again() {
    let desk = Desk::with(2);
    let elsewhere = desk.paths.pictures_dir.with_file_name("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let entries = desk.reconciled();
    fs::copy(&entries[0].path, elsewhere.join("copied.png")).unwrap();
    // What is known of the folder, then what a rescan finds.
    let listed = |folder: &Path| {
        let known = all(&desk.gallery(GalleryCommand::UseFolder(folder.to_path_buf())));
        let found = all(&gallery(desk.next()));
        let listed = desk.list();
        assert!(listed.len() == found && listed.iter().all(|entry| entry.path.starts_with(folder)));
        (known, found)
    };
    assert_eq!(listed(&elsewhere), (0, 1));
    assert_eq!(listed(&desk.paths.pictures_dir), (2, 2));
    desk.handle.shut_down();
}

#[test]
fn an_index_that_is_gone_or_damaged_is_rebuilt_by_the_first_search() {
    for damage in [None, Some(b"not a database, but long enough to be looked at by it".repeat(40))] {
        let desk = Desk::with(3);
        // The thread opens the index when it is first asked.
        match &damage {
            None => fs::remove_file(&desk.paths.database).unwrap(),
            Some(bytes) => fs::write(&desk.paths.database, bytes).unwrap(),
        }
        let search = GalleryCommand::Search { ticket: Ticket(1), request: SearchRequest::default() };
        desk.handle.send(LibraryCommand::Gallery(search)).unwrap();
        if damage.is_some() {
            assert!(matches!(desk.next(), LibraryEvent::Notice { .. }));
        }
        let GalleryEvent::Found { found, .. } = gallery(desk.next()) else { panic!("no answer to the search") };
        assert_eq!((found.result.total, all(&gallery(desk.next()))), (0, 3));
        assert_eq!(desk.list().len(), 3);
        desk.handle.shut_down();
    }
}

#[test]
fn copies_are_written_and_failures_are_told() {
    let desk = Desk::with(1);
    let entries = desk.reconciled();
    let target = desk.paths.pictures_dir.join("copy.webp");
    let source = SaveSource::File(entries[0].path.clone());
    let saved = desk.ask(LibraryCommand::SaveAs { source: source.clone(), target: target.clone() });
    assert!(matches!(saved, LibraryEvent::Saved { target: told } if told == target));
    assert_eq!(desk.reconciled().len(), 2);
    let failed = desk.ask(LibraryCommand::SaveAs { source, target: entries[0].path.join("below.png") });
    assert!(matches!(failed, LibraryEvent::SaveFailed { .. }));

    let long =
        Recipe { request: GenerateRequest { prompt: "x".repeat(90_000), ..GenerateRequest::default() }, ..recipe(1) };
    let memory =
        SaveSource::Memory(Arc::new(Picture { width_px: 1, height_px: 1, rgba: vec![255; 4] }), Box::new(long));
    let saved = desk.ask(LibraryCommand::SaveAs { source: memory, target: target.with_extension("jpg") });
    assert!(matches!(saved, LibraryEvent::Saved { .. }));
    assert!(matches!(desk.next(), LibraryEvent::Notice { .. }));
    desk.handle.shut_down();
}

#[test]
fn broken_pictures_are_told_once_after_the_look() {
    let desk = Desk::with(1);
    for index in 0..5 {
        fs::write(desk.paths.pictures_dir.join(format!("{index}.png")), b"broken").unwrap();
    }
    assert_eq!(all(&desk.gallery(GalleryCommand::Reconcile)), 1);
    match desk.next() {
        LibraryEvent::Notice { error } => {
            assert!(error.sentence.starts_with("5 pictures could not be read"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    desk.handle.shut_down();
}

#[test]
fn all_that_was_asked_is_done_before_the_end_even_if_nobody_listens() {
    let desk = Desk::with(0);
    let paths = desk.paths.clone();
    for _ in 0..600 {
        desk.handle.send(LibraryCommand::Open { id: PictureId(1), path: "/nowhere".into() }).unwrap();
    }
    let settings = Settings { seed_locked: true, ..Settings::default() };
    desk.handle.send(LibraryCommand::SaveSettings(Box::new(settings.clone()))).unwrap();
    desk.handle.shut_down();
    assert_eq!(settings::load(&paths).settings, settings);
}

#[test]
fn settings_that_cannot_be_written_are_told() {
    let desk = Desk::with(0);
    fs::create_dir(&desk.paths.settings_file).unwrap();
    let told = desk.ask(LibraryCommand::SaveSettings(Box::default()));
    assert!(matches!(told, LibraryEvent::SettingsFailed { .. }));
    desk.handle.shut_down();
}

#[test]
fn a_picture_that_is_gone_already_leaves_the_list() {
    let desk = Desk::with(2);
    let entries = desk.reconciled();
    fs::remove_file(&entries[0].path).unwrap();
    let told = desk.ask(LibraryCommand::Trash { id: entries[0].id, path: entries[0].path.clone() });
    assert!(matches!(told, LibraryEvent::Trashed { id } if id == entries[0].id));
    assert_eq!(desk.list(), entries[1..]);
    desk.handle.shut_down();
}

#[test]
fn a_panic_becomes_an_error_about_the_file() {
    let error = guarded::<()>(Path::new("/p.png"), || panic!("in {}", "a decoder")).unwrap_err();
    assert!(error.sentence.contains("in a decoder"));
    assert_eq!(error.path.as_deref(), Some(Path::new("/p.png")));
}
