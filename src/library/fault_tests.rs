//! Disks that are full or may not be written to, as real file systems: small ones in memory, which only root may mount.
//! Where that is not allowed the tests say so and look at nothing; `atomic_tests` has stand-ins that work for everybody.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::export::save_as;
use super::index::Index;
use super::paths::Paths;
use super::shelf::PictureStore;
use super::{SaveSource, image_io, settings};
use crate::domain::{GenerateRequest, Picture, Recipe, Settings, Theme};

/// A file system of its own, gone at the end.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// `None` where mounting is not allowed.
    fn of(kib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = cfg!(target_os = "linux")
            && run("mount", &["-t", "tmpfs", "-o", &format!("size={kib}k"), "none"], folder.path());
        if !mounted {
            println!("no file system can be mounted here: nothing was looked at");
        }
        mounted.then_some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn make_read_only(&self) {
        assert!(run("mount", &["-o", "remount,ro"], self.path()));
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &[], self.folder.path());
    }
}

fn run(program: &str, args: &[&str], path: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(args).arg(path).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A picture that does not get smaller by packing, of about `4 * side * side` bytes.
fn noise(side_px: u32) -> Picture {
    let mut x = 1_u32;
    let mut byte = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 24) as u8
    };
    let rgba = (0..side_px * side_px).flat_map(|_| [byte(), byte(), byte(), 255]).collect();
    Picture { width_px: side_px, height_px: side_px, rgba }
}

fn recipe() -> Recipe {
    Recipe {
        request: GenerateRequest { prompt: "noise".into(), ..GenerateRequest::default() },
        model_name: "Starter".into(),
        model_hash: "0123456789".into(),
        version: "Atelier".into(),
        elapsed_secs: 1.0,
        ..Recipe::default()
    }
}

#[test]
fn a_full_disk_costs_no_picture() {
    let Some(disk) = Disk::of(256) else { return };
    let home = tempfile::tempdir().unwrap();
    let paths = Paths { pictures_dir: disk.path().join("pictures"), ..Paths::below(home.path()) };
    let mut store = PictureStore::new(paths.clone());
    let small = store.save(&noise(64), &recipe()).expect("16 kB fit");
    let before = disk.files();

    // 512 kB do not. The message names the bytes and the folder, and nothing is left behind.
    let large = noise(400);
    let error = store.save(&large, &recipe()).expect_err("there is no room");
    assert!(error.sentence.contains("there is no room for its "), "{error}");
    let bytes: u64 = error.sentence.split(' ').filter_map(|word| word.parse().ok()).max().expect("the bytes needed");
    assert!(bytes > 400 * 400 * 3, "{error}");
    assert!(error.path.as_deref().is_some_and(|path| path.starts_with(&paths.pictures_dir)), "{error}");
    assert!(error.hint.is_some());
    assert_eq!(disk.files(), before);
    assert_eq!(image_io::read_picture(&small.path).unwrap(), noise(64), "what was saved before is whole");

    // It is in memory still, and can be saved somewhere else, recipe and all.
    let target = home.path().join("saved.png");
    save_as(&SaveSource::Memory(Arc::new(large.clone()), Box::new(recipe())), &target).unwrap();
    assert_eq!(image_io::read_picture(&target).unwrap(), large);
    assert_eq!(image_io::read_info(&target).unwrap().embedded.recipe(), Some(recipe()));

    // Once there is room, the next one is saved as if nothing had been.
    fs::remove_file(&small.path).unwrap();
    assert!(store.save(&noise(80), &recipe()).is_ok());
}

#[test]
fn a_full_disk_costs_no_settings() {
    let Some(disk) = Disk::of(64) else { return };
    let paths = Paths::below(disk.path());
    let old = Settings { theme: Theme::Light, ..Settings::default() };
    settings::save(&paths, &old).unwrap();
    fs::write(disk.path().join("ballast"), vec![0; 40 << 10]).unwrap();
    let prompt = "long ".repeat(8_000);
    let large =
        Settings { draft: Some(GenerateRequest { prompt, ..GenerateRequest::default() }), ..Settings::default() };
    let error = settings::save(&paths, &large).expect_err("there is no room");
    assert!(error.sentence.contains("no room"), "{error}");
    let loaded = settings::load(&paths);
    assert!(loaded.problem.is_none());
    assert_eq!(loaded.settings, old);
}

#[test]
fn a_picture_is_saved_though_the_index_has_no_room() {
    let Some(disk) = Disk::of(8) else { return };
    let home = tempfile::tempdir().unwrap();
    // An empty index has more than 8 kB.
    let paths = Paths { database: disk.path().join("library.sqlite"), ..Paths::below(home.path()) };
    let entry = PictureStore::new(paths.clone()).save(&noise(64), &recipe()).expect("only the file counts");
    assert!(entry.id.0 < 0, "not listed yet");
    assert_eq!(image_io::read_picture(&entry.path).unwrap(), noise(64));
    let Err(error) = Index::open(&paths) else { panic!("the index cannot be made") };
    assert!(error.path.is_some(), "{error}");
    assert!(!error.sentence.contains("damaged"), "a full disk is no damage: {error}");
}

#[test]
fn a_folder_that_may_not_be_written_to_is_named() {
    let Some(disk) = Disk::of(512) else { return };
    let paths = Paths::below(disk.path());
    let mut store = PictureStore::new(paths.clone());
    let kept = store.save(&noise(32), &recipe()).unwrap();
    settings::save(&paths, &Settings::default()).unwrap();
    drop(store);
    disk.make_read_only();

    let error = PictureStore::new(paths.clone()).save(&noise(32), &recipe()).expect_err("nothing can be written");
    assert!(error.sentence.contains("may not be written to") || error.sentence.contains("not allowed"), "{error}");
    assert!(error.path.as_deref().is_some_and(|path| path.starts_with(disk.path())), "{error}");
    assert!(settings::save(&paths, &Settings::default()).is_err());
    assert!(settings::load(&paths).problem.is_none(), "what can be read is");
    assert_eq!(image_io::read_picture(&kept.path).unwrap(), noise(32));
    assert!(super::log::Log::open(&paths.logs_dir).is_err(), "and is no reason not to start");
}

#[test]
fn broken_settings_that_cannot_be_kept_aside_are_not_written_over() {
    let Some(disk) = Disk::of(64) else { return };
    let paths = Paths::below(disk.path());
    fs::write(&paths.settings_file, b"{broken").unwrap();
    disk.make_read_only();
    let loaded = settings::load(&paths);
    assert_eq!(loaded.settings, Settings::default());
    let problem = loaded.problem.expect("it is told");
    assert_eq!(problem.path.as_deref(), Some(paths.settings_file.as_path()));
    assert!(problem.hint.is_some_and(|hint| hint.contains("could not be kept aside")));
    assert_eq!(fs::read(&paths.settings_file).unwrap(), b"{broken");
}
