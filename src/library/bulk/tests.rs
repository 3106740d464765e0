//! Tests of work on many pictures, on real files.

use std::fs;

use super::*;
use crate::domain::{GenerateRequest, Picture, Recipe};
use crate::library::image_io::{read_info, read_picture};
use crate::library::paths::Paths;
use crate::library::shelf::PictureStore;

/// A home with that many pictures, oldest first.
fn home_of(count: u64) -> (tempfile::TempDir, Index, Vec<PictureEntry>) {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::below(home.path());
    let mut store = PictureStore::new(paths.clone());
    let save = |seed| {
        let recipe = Recipe {
            request: GenerateRequest { prompt: "a dress".into(), seed, ..GenerateRequest::default() },
            model_name: "Starter".into(),
            model_hash: String::new(),
            version: String::new(),
            elapsed_secs: 1.0,
            safety: None,
            grid: None,
        };
        let picture = Picture { width_px: 2, height_px: 1, rgba: [seed as u8, 1, 2, 255].repeat(2) };
        store.save(&picture, &recipe).unwrap()
    };
    let entries = (0..count).map(save).collect();
    (home, Index::open(&paths).unwrap(), entries)
}

fn do_all(index: &mut Index, entries: &[PictureEntry], work: BulkWork) -> Result<BulkReport> {
    let ids = entries.iter().map(|entry| entry.id).collect();
    let mut bulk = Bulk::begin(ids, work, Cancel::default())?;
    while !bulk.step(index)? {}
    Ok(bulk.into_report())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn copies_have_their_own_names_and_take_none_that_is_there() {
    let (home, mut index, entries) = home_of(3);
    let folder = home.path().join("out").join("deep");
    for (round, recipe) in [(1, RecipeInCopy::Kept), (2, RecipeInCopy::LeftOut)] {
        let work = BulkWork::CopyTo { folder: folder.clone(), recipe };
        let report = do_all(&mut index, &entries, work).unwrap();
        assert_eq!((report.total, report.done, report.failed), (3, 3, 0));
        assert_eq!(files(&folder).len(), 3 * round);
    }
    let own = folder.join(entries[0].path.file_name().unwrap());
    assert_eq!(fs::read(&own).unwrap(), fs::read(&entries[0].path).unwrap());
    let second = folder.join(format!("{}-2.png", own.file_stem().unwrap().to_string_lossy()));
    assert_eq!(read_info(&second).unwrap().embedded.recipe(), None);
    assert_eq!(read_picture(&second).unwrap(), read_picture(&own).unwrap());
}

#[test]
fn what_cannot_be_read_is_told_and_the_others_go_on() {
    let (home, mut index, mut entries) = home_of(3);
    fs::remove_file(&entries[1].path).unwrap();
    entries.push(PictureEntry { id: PictureId(999), ..entries[0].clone() });
    let folder = home.path().join("out");
    let report =
        do_all(&mut index, &entries, BulkWork::CopyTo { folder: folder.clone(), recipe: RecipeInCopy::Kept }).unwrap();
    assert_eq!((report.done, report.failed, report.failures.len()), (2, 2, 2));
    assert_eq!(report.failures[0].path.as_ref(), Some(&entries[1].path));
    let in_the_way = home.path().join("file");
    fs::write(&in_the_way, b"").unwrap();
    let work = BulkWork::CopyTo { folder: in_the_way.join("below"), recipe: RecipeInCopy::Kept };
    assert!(do_all(&mut index, &entries, work).is_err());
}

#[test]
fn a_zip_file_is_whole_or_not_there() {
    let (home, mut index, entries) = home_of(4);
    let file = home.path().join("out").join("dresses.zip");
    let ids: Vec<PictureId> = entries.iter().map(|entry| entry.id).collect();
    let cancel = Cancel::default();
    let work = BulkWork::Zip { file: file.clone(), recipe: RecipeInCopy::Kept };
    let mut bulk = Bulk::begin(ids, work.clone(), cancel.clone()).unwrap();
    assert!(!bulk.step(&mut index).unwrap());
    cancel.cancel();
    assert!(bulk.step(&mut index).unwrap());
    let report = bulk.into_report();
    assert!(report.is_cancelled && report.done == 1);
    assert_eq!(files(file.parent().unwrap()), Vec::<PathBuf>::new());
    let report = do_all(&mut index, &entries, work).unwrap();
    assert_eq!((report.done, files(file.parent().unwrap()).len()), (4, 1));
    let bytes = fs::read(&file).unwrap();
    let first = fs::read(&entries[0].path).unwrap();
    assert!(bytes.windows(first.len()).any(|window| window == first), "stored as it is");
}
