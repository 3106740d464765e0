//! Tests of the index, the rescan and the store together, on real files and a real `SQLite`.

use std::fs;
use std::path::PathBuf;

use super::image_io::encode;
use super::index::Index;
use super::metadata::Embedded;
use super::paths::Paths;
use super::shelf::PictureStore;
use crate::domain::{GenerateRequest, ImageFormat, Picture, PictureEntry, Recipe, Result, SearchRequest};

impl Index {
    /// Every picture of the folder, newest first.
    pub(super) fn list(&self) -> Result<Vec<PictureEntry>> {
        let found = self.find(&SearchRequest::default(), &|| false)?.unwrap_or_default();
        Ok(self.rows(&found.result.ids)?.into_iter().map(|row| row.entry).collect())
    }
}

fn picture(shade: u8) -> Picture {
    Picture { width_px: 4, height_px: 2, rgba: [shade, 20, 30, 255].repeat(8) }
}

fn recipe(prompt: &str, seed: u64) -> Recipe {
    Recipe {
        request: GenerateRequest { prompt: prompt.into(), seed, ..GenerateRequest::default() },
        model_name: "Starter".into(),
        model_hash: "0123456789".into(),
        version: "Atelier 0.1.0".into(),
        elapsed_secs: 0.1,
        safety: None,
        grid: None,
    }
}

/// A home with three saved pictures, newest first as the list gives them.
fn home_of_three() -> (tempfile::TempDir, Paths, Vec<PictureEntry>) {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::below(home.path());
    let mut store = PictureStore::open(&paths).unwrap();
    for seed in 0..3 {
        store.save(&picture(seed as u8), &recipe("a dress", seed)).unwrap();
    }
    let entries = Index::open(&paths).unwrap().list().unwrap();
    (home, paths, entries)
}

/// All but the keys, which may change when the index is rebuilt.
fn without_ids(entries: &[PictureEntry]) -> Vec<(PathBuf, i64, u32, Option<Recipe>)> {
    entries.iter().map(|entry| (entry.path.clone(), entry.created_ms, entry.width_px, entry.recipe.clone())).collect()
}

#[test]
fn saved_pictures_are_listed_newest_first_with_their_recipes() {
    let (_home, _paths, entries) = home_of_three();
    assert_eq!(entries.len(), 3);
    assert!(entries.is_sorted_by(|a, b| (a.created_ms, a.id) > (b.created_ms, b.id)));
    for entry in &entries {
        assert!(entry.path.is_file());
        assert_eq!((entry.width_px, entry.height_px), (4, 2));
        let seed = entry.recipe.as_ref().unwrap().request.seed;
        assert_eq!(entry.recipe, Some(recipe("a dress", seed)));
    }
}

#[test]
fn a_deleted_index_is_rebuilt_from_the_pictures() {
    let (_home, paths, before) = home_of_three();
    fs::remove_file(&paths.database).unwrap();
    let mut index = Index::open(&paths).unwrap();
    assert!(index.needs_rescan().unwrap());
    assert!(index.list().unwrap().is_empty());
    assert_eq!(index.rescan().unwrap().added, 3);
    assert!(!index.needs_rescan().unwrap());
    let mut expected = without_ids(&before);
    let mut rebuilt = without_ids(&index.list().unwrap());
    // Pictures of one millisecond may change places.
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    rebuilt.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(rebuilt, expected);
}

#[test]
fn a_damaged_index_is_kept_aside_and_rebuilt() {
    let scribble = |bytes: &mut Vec<u8>| {
        let len = bytes.len();
        bytes[200..len].fill(0xA5);
    };
    let no_database = |bytes: &mut Vec<u8>| *bytes = b"not a database at all, but long enough to look at".repeat(50);
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(5000);
    for damage in [&scribble as &dyn Fn(&mut Vec<u8>), &no_database, &cut] {
        let (_home, paths, _) = home_of_three();
        let mut bytes = fs::read(&paths.database).unwrap();
        damage(&mut bytes);
        fs::write(&paths.database, &bytes).unwrap();
        let mut index = Index::open(&paths).unwrap();
        let aside = index.set_aside().expect("the damage was noticed").to_path_buf();
        assert_eq!(fs::read(aside).unwrap(), bytes);
        assert!(index.needs_rescan().unwrap());
        assert_eq!(index.rescan().unwrap().added, 3);
        assert_eq!(index.list().unwrap().len(), 3);
    }
}

#[test]
fn a_rescan_notices_what_others_did_to_the_files() {
    let (_home, paths, entries) = home_of_three();
    let mut index = Index::open(&paths).unwrap();
    index.rescan().unwrap();
    assert_eq!(index.rescan().unwrap(), super::rescan::RescanReport::default());

    let renamed = paths.pictures_dir.join("renamed.png");
    fs::rename(&entries[0].path, &renamed).unwrap();
    fs::remove_file(&entries[1].path).unwrap();
    let changed = encode(&picture(9), &Embedded::of_recipe(&recipe("another", 9), 1), ImageFormat::Png).unwrap();
    fs::write(&entries[2].path, changed.bytes).unwrap();
    let foreign = Embedded { parameters: Some("a coat\nSteps: 5, Sampler: Euler, Seed: 77".into()), atelier: None };
    for (name, format) in [("f.jpg", ImageFormat::Jpeg), ("f.webp", ImageFormat::WebP)] {
        fs::write(paths.pictures_dir.join(name), encode(&picture(1), &foreign, format).unwrap().bytes).unwrap();
    }
    fs::write(paths.pictures_dir.join("broken.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    fs::write(paths.pictures_dir.join("notes.txt"), b"no picture").unwrap();
    fs::write(paths.pictures_dir.join(".hidden.png"), b"no picture").unwrap();

    let report = index.rescan().unwrap();
    assert_eq!((report.added, report.updated, report.renamed, report.removed), (2, 1, 1, 1));
    assert_eq!(report.problems.len(), 1);
    assert_eq!(report.summary().unwrap().path.unwrap().file_name().unwrap(), "broken.png");
    let listed = index.list().unwrap();
    assert_eq!(listed.len(), 4);
    let by_name = |name: &str| listed.iter().find(|entry| entry.path.ends_with(name)).unwrap();
    assert_eq!((by_name("renamed.png").id, &by_name("renamed.png").recipe), (entries[0].id, &entries[0].recipe));
    for name in ["f.jpg", "f.webp"] {
        assert_eq!(by_name(name).recipe.as_ref().unwrap().request.seed, 77);
    }
    let updated = listed.iter().find(|entry| entry.id == entries[2].id).unwrap();
    assert_eq!(updated.recipe, Some(recipe("another", 9)));
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_and_names_that_are_not_unicode_stop_nothing() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let (_home, paths, entries) = home_of_three();
    std::os::unix::fs::symlink(&paths.pictures_dir, paths.pictures_dir.join("circle")).unwrap();
    // A file system that refuses such a name has nothing to be tested here.
    let refused = fs::copy(&entries[0].path, paths.pictures_dir.join(OsStr::from_bytes(b"\xff.png"))).is_err();
    let mut index = Index::open(&paths).unwrap();
    let report = index.rescan().unwrap();
    assert_eq!(report.problems.len(), usize::from(!refused));
    assert_eq!(index.list().unwrap().len(), 3);
}

#[test]
fn another_pictures_folder_has_its_own_list() {
    let (home, paths, _) = home_of_three();
    let elsewhere = Paths { pictures_dir: home.path().join("elsewhere"), ..paths.clone() };
    assert!(Index::open(&elsewhere).unwrap().list().unwrap().is_empty());
    PictureStore::new(elsewhere.clone()).save(&picture(1), &recipe("b", 5)).unwrap();
    assert_eq!(Index::open(&elsewhere).unwrap().list().unwrap().len(), 1);
    assert_eq!(Index::open(&paths).unwrap().list().unwrap().len(), 3);
    let mut store = PictureStore::open(&paths).unwrap();
    for (folder, listed) in [(&elsewhere, 2), (&paths, 4)] {
        store.use_folder(&folder.pictures_dir);
        let entry = store.save(&picture(1), &recipe("c", 6)).unwrap();
        assert!(entry.path.starts_with(&folder.pictures_dir) && entry.id.0 > 0);
        assert_eq!(Index::open(folder).unwrap().list().unwrap().len(), listed);
    }
}

#[test]
fn removed_entries_are_gone_and_their_keys_are_not_used_again() {
    let (_home, paths, entries) = home_of_three();
    let mut index = Index::open(&paths).unwrap();
    index.remove(entries[0].id).unwrap();
    index.remove(entries[0].id).unwrap();
    assert_eq!(index.list().unwrap(), entries[1..]);
    let new = PictureStore::open(&paths).unwrap().save(&picture(1), &recipe("b", 5)).unwrap();
    assert!(new.id > entries[0].id);
}

#[test]
fn two_stores_and_a_rescan_at_once_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::below(home.path());
    std::thread::scope(|scope| {
        for store in 0..2_u64 {
            let paths = &paths;
            scope.spawn(move || {
                let mut store = PictureStore::open(paths).unwrap();
                // The same seed and prompt on purpose: both want the same names.
                for shade in 0..25 {
                    assert!(store.save(&picture(shade), &recipe("a dress", 1)).unwrap().id.0 > 0);
                }
            });
            let _ = store;
        }
        scope.spawn(|| {
            let mut index = Index::open(&paths).unwrap();
            for _ in 0..10 {
                assert_eq!(index.rescan().unwrap().removed, 0);
            }
        });
    });
    let mut index = Index::open(&paths).unwrap();
    let listed = index.list().unwrap();
    assert_eq!(listed.len(), 50);
    let report = index.rescan().unwrap();
    assert_eq!((report.added, report.removed, report.problems.len()), (0, 0, 0));
}

#[test]
fn a_picture_is_saved_even_where_the_index_cannot_be() {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::below(home.path());
    fs::create_dir_all(paths.database.join("in the way")).unwrap();
    let mut store = PictureStore::open(&paths).unwrap();
    let first = store.save(&picture(1), &recipe("a", 1)).unwrap();
    let second = store.save(&picture(2), &recipe("a", 2)).unwrap();
    assert!(first.path.is_file() && second.path.is_file());
    assert!(first.id.0 < 0 && second.id.0 < 0 && first.id != second.id);
}

#[test]
fn a_folder_that_cannot_be_made_is_told_before_and_after_the_work() {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::below(home.path());
    fs::write(&paths.pictures_dir, b"a file in the folder's place").unwrap();
    assert!(PictureStore::open(&paths).is_err());
    let error = PictureStore::new(paths.clone()).save(&picture(1), &recipe("a", 1)).unwrap_err();
    assert!(error.path.unwrap().starts_with(&paths.pictures_dir));
    assert!(Index::open(&paths).unwrap().rescan().is_err());
}
