//! Folders of other programs, made by hand.

use std::time::Duration;

use super::*;
use crate::domain::{GenerateRequest, PictureEntry, SamplerId, SearchRequest};
use crate::library::metadata::Embedded;
use crate::library::paths::Paths;
use crate::library::png_file;
use crate::library::save::save_picture;

struct Home {
    _dir: tempfile::TempDir,
    index: Index,
    source: PathBuf,
}

fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&Paths::below(dir.path().join("home"))).unwrap();
    let source = dir.path().join("ComfyUI/output");
    fs::create_dir_all(source.join("2026")).unwrap();
    Home { _dir: dir, index, source }
}

fn png(seed: u8, parameters: Option<&str>) -> Vec<u8> {
    let picture = Picture { width_px: 4, height_px: 2, rgba: [seed, 2, 3, 255].repeat(8) };
    let embedded = Embedded { parameters: parameters.map(str::to_owned), ..Embedded::default() };
    png_file::encode(&picture, &embedded).unwrap()
}

impl Home {
    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.source.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn import(&mut self) -> ImportReport {
        import_all(&mut self.index, vec![self.source.clone()], &Cancel::default(), &mut |_, _| ()).unwrap()
    }

    fn entries(&self) -> Vec<PictureEntry> {
        let found = self.index.find(&SearchRequest::default(), &|| false).unwrap().unwrap();
        self.index.rows(&found.result.ids).unwrap().into_iter().map(|row| row.entry).collect()
    }
}

const TEXT: &str = "a coat\nSteps: 5, Sampler: Restart, CFG scale: 7, Seed: 77, Size: 4x2, RNG: CPU, Version: v1.10.1";

#[test]
fn a_folder_is_taken_in_once_with_its_recipes_and_a_report_by_file() {
    let mut home = home();
    home.put("a.png", &png(1, Some("a dress\nSteps: 5, Sampler: Euler a, Seed: 7, Size: 4x2, RNG: CPU")));
    let partly = home.put("2026/b.png", &png(2, Some(TEXT)));
    home.put("2026/same.png", &png(1, Some("a dress\nSteps: 5, Sampler: Euler a, Seed: 7, Size: 4x2, RNG: CPU")));
    home.put("plain.png", &png(3, None));
    let broken = home.put("broken.png", b"no picture");
    home.put("notes.txt", b"not meant");
    home.put(".hidden.png", &png(4, None));
    let report = home.import();
    assert_eq!((report.total, report.taken, report.duplicates), (5, 3, 1));
    assert_eq!((report.without_recipe, report.partly, report.failed), (1, 1, 1));
    assert_eq!(report.not_understood[0].0, partly);
    assert!(report.not_understood[0].1[0].contains("Restart"));
    assert_eq!(report.failures[0].path.as_ref(), Some(&broken));
    let entries = home.entries();
    assert_eq!(entries.len(), 3);
    let recipe =
        entries.iter().find_map(|entry| entry.recipe.as_ref().filter(|recipe| recipe.request.seed == 7)).unwrap();
    assert_eq!(recipe.request.sampler, SamplerId::EulerA);
    assert!(entries.iter().all(|entry| entry.path.starts_with(&home.index.pictures_dir)));
    assert_eq!(fs::read(&partly).unwrap(), png(2, Some(TEXT)), "where it came from nothing changes");

    let again = home.import();
    assert_eq!((again.taken, again.duplicates, again.failed), (0, 4, 1));
    assert_eq!(home.entries().len(), 3);
    // What is in the index is what a rescan finds.
    let rescan = home.index.rescan().unwrap();
    assert!(!rescan.is_changed(), "{rescan:?}");
}

#[test]
fn a_name_that_is_taken_gets_a_counter_and_the_date_is_kept() {
    let mut home = home();
    let day = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    for (name, seed) in [("a.png", 1), ("2026/a.png", 2)] {
        let path = home.put(name, &png(seed, None));
        File::options().write(true).open(path).unwrap().set_modified(day).unwrap();
    }
    assert_eq!(home.import().taken, 2);
    let mut names: Vec<String> = home.entries().iter().map(|entry| file_name(&entry.path)).collect();
    names.sort();
    assert_eq!(names, ["a-2.png", "a.png"]);
    assert!(home.entries().iter().all(|entry| entry.created_ms == 1_600_000_000_000));
}

#[test]
fn pictures_of_the_gallery_are_not_taken_in_again() {
    let mut home = home();
    let request = GenerateRequest { prompt: "x".into(), ..GenerateRequest::default() };
    let recipe = Recipe { request, version: "Atelier 0.1.0".into(), ..Recipe::default() };
    let picture = Picture { width_px: 1, height_px: 1, rgba: vec![1, 2, 3, 255] };
    let saved = save_picture(&home.index.pictures_dir.clone(), &picture, &recipe, 5).unwrap();
    home.index.insert(&saved).unwrap();
    let inside = Import::begin(&home.index, vec![home.index.pictures_dir.clone()], Cancel::default());
    assert!(inside.is_err_and(|error| error.sentence.contains("already")));
    // The folder around the pictures folder: only what is outside is met.
    home.put("a.png", &png(1, None));
    let around = home.index.pictures_dir.parent().unwrap().parent().unwrap().to_path_buf();
    let report = import_all(&mut home.index, vec![around.clone()], &Cancel::default(), &mut |_, _| ()).unwrap();
    assert_eq!((report.total, report.taken), (1, 1));
    let copy = home.put("copy.png", &fs::read(&saved).unwrap());
    let looked = look(&home.index, &copy).unwrap();
    assert!(looked.is_here && looked.recipe == Some(recipe) && looked.width_px == 1);
    assert!(!look(&home.index, &home.put("new.png", &png(9, None))).unwrap().is_here);
}

#[test]
fn it_can_be_stopped_and_what_is_not_there_is_said() {
    let mut home = home();
    home.put("a.png", &png(1, None));
    home.put("b.png", &png(2, None));
    let cancel = Cancel::default();
    let mut import = Import::begin(&home.index, vec![home.source.clone()], cancel.clone()).unwrap();
    while import.report().taken == 0 {
        assert!(!import.step(&mut home.index).unwrap());
    }
    cancel.cancel();
    assert!(import.step(&mut home.index).unwrap());
    let report = import.into_report();
    assert!(report.is_cancelled && report.taken == 1);
    let gone = Import::begin(&home.index, vec!["/nowhere/at/all".into()], Cancel::default());
    assert!(gone.is_err_and(|error| error.path.is_some()));
}
