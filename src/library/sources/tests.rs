//! Masks and pictures that are kept: what is in their files, and when these go.

use super::*;
use crate::domain::{GenerateRequest, InitImage, Recipe};
use crate::library::{Index, PictureStore};

fn home() -> (tempfile::TempDir, Paths) {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::below(home.path());
    (home, paths)
}

/// White at the right of `x`.
fn half(width_px: u32, height_px: u32, x: u32) -> Plane {
    let mut plane = Plane::new(width_px, height_px, 0);
    (0..height_px).for_each(|y| plane.edit_row(y, x, width_px, |_, _| 255));
    plane
}

fn make_old(path: &Path) {
    let long_ago = SystemTime::now() - KEPT_FOR - Duration::from_hours(1);
    File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
}

#[test]
fn a_mask_is_named_by_what_is_in_it() {
    let (_home, paths) = home();
    let first = keep_mask(&paths, &half(300, 20, 100), 0).unwrap();
    let file = image::open(&first.path).unwrap();
    assert_eq!(file.color(), image::ColorType::L8);
    assert_eq!(file.to_luma8().as_raw(), &half(300, 20, 100).levels());
    let again = keep_mask(&paths, &half(300, 20, 100), 0).unwrap();
    assert_eq!(again.path, first.path);
    assert_ne!(keep_mask(&paths, &half(300, 20, 101), 0).unwrap().path, first.path);
    assert_ne!(keep_mask(&paths, &half(20, 300, 1), 0).unwrap().path, first.path);
    // What somebody broke is made good.
    fs::write(&first.path, b"broken").unwrap();
    keep_mask(&paths, &half(300, 20, 100), 0).unwrap();
    assert_eq!(read_mask(&first.path, (300, 20)).unwrap(), half(300, 20, 100));
}

#[test]
fn a_soft_edge_is_in_the_file_and_one_that_eats_the_mask_is_told() {
    let (_home, paths) = home();
    let kept = keep_mask(&paths, &half(300, 4, 100), 9).unwrap();
    assert_eq!(read_mask(&kept.path, (300, 4)).unwrap(), kept.plane);
    assert_eq!((kept.plane.level(90, 0), kept.plane.level(109, 3)), (0, 255));
    assert!((1..255).contains(&kept.plane.level(99, 1)));
    let mut dot = Plane::new(64, 64, 0);
    dot.edit_row(32, 32, 33, |_, _| 255);
    assert!(keep_mask(&paths, &dot, 12).unwrap_err().hint.unwrap().contains("feather"));
    assert!(keep_mask(&paths, &Plane::new(8, 8, 127), 0).is_err(), "nothing is painted anew");
}

#[test]
fn a_mask_is_read_at_the_pictures_size() {
    let (_home, paths) = home();
    let kept = keep_mask(&paths, &half(64, 32, 32), 0).unwrap();
    let large = read_mask(&kept.path, (128, 64)).unwrap();
    assert_eq!((large.level(60, 10), large.level(68, 63)), (0, 255));
    let square = read_mask(&kept.path, (32, 32)).unwrap();
    assert_eq!((square.level(15, 5), square.level(16, 5)), (0, 255), "cut at its longer sides");
    let gone = paths.sources_dir.join("mask-0000.png");
    let error = read_mask(&gone, (8, 8)).unwrap_err();
    assert!(error.sentence.contains("not there any more") && error.path == Some(gone));
    let no_picture = paths.sources_dir.join("mask-0001.png");
    fs::write(&no_picture, b"text").unwrap();
    assert!(read_mask(&no_picture, (8, 8)).is_err());
}

#[test]
fn a_picture_that_was_pasted_comes_back_to_the_byte() {
    let (_home, paths) = home();
    let rgba = (0..9 * 7_u32).flat_map(|i| [i as u8, 1, 2, if i % 2 == 0 { 255 } else { 100 }]).collect();
    let picture = Picture { width_px: 9, height_px: 7, rgba };
    let path = keep_picture(&paths, &picture).unwrap();
    assert_eq!(read_picture(&path).unwrap(), picture);
    assert_eq!(keep_picture(&paths, &picture).unwrap(), path);
}

#[test]
fn names_are_found_in_a_recipe_as_json_spells_it() {
    let text = r#"{"picture":"C:\\data\\sources\\picture-0123456789abcdef.png","mask":"/s/mask-fedcba9876543210.png","x":"mask-1"}"#;
    assert_eq!(names_in(text), ["mask-fedcba9876543210.png", "picture-0123456789abcdef.png"]);
    assert!(names_in("mask-ü mask-0123456789abcdef.jpg mask-").is_empty());
}

#[test]
fn what_a_recipe_or_the_queue_needs_is_never_swept() {
    let (_home, paths) = home();
    let masks: Vec<PathBuf> = (1..5).map(|x| keep_mask(&paths, &half(16, 16, x), 0).unwrap().path).collect();
    let [named, queued, fresh, old] = masks.as_slice() else { panic!("four") };
    let init = InitImage {
        picture: "/p/a.png".into(),
        mask: Some(named.clone()),
        strength: 1.0,
        extend: crate::domain::Extend::default(),
    };
    let request = GenerateRequest { init: Some(init), ..GenerateRequest::default() };
    let recipe = Recipe {
        request,
        model_name: "m".to_owned(),
        model_hash: "0".to_owned(),
        version: "Atelier".to_owned(),
        elapsed_secs: 1.0,
        ..Recipe::default()
    };
    let picture = Picture { width_px: 8, height_px: 8, rgba: vec![255; 256] };
    PictureStore::new(paths.clone()).save(&picture, &recipe).unwrap();
    let index = Index::open(&paths).unwrap();
    let own = paths.sources_dir.join("my mask.png");
    fs::write(&own, b"mine").unwrap();
    for path in [named, queued, old, &own] {
        make_old(path);
    }
    let failing = || Err(UserError::failed("The index is damaged"));
    assert!(sweep(&paths, &[], failing).is_err() && old.exists(), "without knowing all recipes nothing goes");
    sweep(&paths, std::slice::from_ref(queued), || index.sources_in_recipes()).unwrap();
    assert!(named.exists() && queued.exists() && fresh.exists() && own.exists() && !old.exists());
    // Used again, it counts as fresh.
    keep_mask(&paths, &half(16, 16, 2), 0).unwrap();
    sweep(&paths, &[], || index.sources_in_recipes()).unwrap();
    assert!(queued.exists());
}
