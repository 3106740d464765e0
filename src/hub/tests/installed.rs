//! What the cache is seen to hold, and how a repository leaves it.

use std::fs;

use super::hub_server::{COMMIT, Fault};
use super::{Place, UNET, UNET_BYTES, assert_says, content, sha256};

#[test]
fn a_downloaded_model_is_seen_and_can_be_removed() {
    let place = Place::new();
    assert_eq!(place.hub.installed().unwrap(), []);
    let folder = place.download().unwrap();
    fs::create_dir_all(place.cache.path().join("datasets--a--b")).unwrap();
    let [repo] = place.hub.installed().unwrap().try_into().unwrap();
    let total = place.plan().unwrap().total_bytes();
    assert_eq!((repo.repo.as_str(), repo.disk_bytes, repo.unfinished_bytes), ("org/name", total, 0));
    let [snapshot] = repo.snapshots.try_into().unwrap();
    assert!(snapshot.is_complete(), "{:?}", snapshot.problems);
    assert_eq!(
        (snapshot.commit.as_str(), snapshot.revisions, snapshot.size_bytes),
        (COMMIT, vec!["main".to_owned()], total)
    );
    assert_eq!(snapshot.folder, folder);

    assert_eq!(place.hub.remove(&place.repo).unwrap(), total);
    assert_eq!(place.hub.installed().unwrap(), []);
    assert!(place.cache.path().join("datasets--a--b").exists(), "what is not asked for stays");
    let left =
        fs::read_dir(place.cache.path()).unwrap().flatten().filter(|entry| entry.file_name() != ".locks").count();
    assert_eq!(left, 1);
    assert_says(&place.hub.remove(&place.repo).unwrap_err().hint("x"), "not among", "x");
}

#[test]
fn what_is_missing_of_a_model_is_named() {
    let place = Place::new();
    let folder = place.download().unwrap();
    fs::remove_file(place.repo_folder().join("blobs").join(sha256(&content(UNET_BYTES)))).unwrap();
    let [repo] = place.hub.installed().unwrap().try_into().unwrap();
    assert!(!repo.snapshots[0].is_complete());
    let problems = &repo.snapshots[0].problems;
    if cfg!(unix) {
        assert_eq!(problems, &[format!("{UNET} is not there"), "unet is not there".to_owned()]);
    }
    // The next download mends it.
    place.download().unwrap();
    let [repo] = place.hub.installed().unwrap().try_into().unwrap();
    assert!(repo.snapshots[0].is_complete());

    fs::write(folder.join("unet/x.safetensors.index.json"), r#"{"weight_map": {"a": "x-1.safetensors"}}"#).unwrap();
    let [repo] = place.hub.installed().unwrap().try_into().unwrap();
    assert_eq!(repo.snapshots[0].problems, ["x-1.safetensors of unet/x.safetensors.index.json is not there"]);
}

#[test]
fn an_unfinished_download_is_seen() {
    let place = Place::new().with(|config| config.timing.tries = 1);
    place.server.fault(UNET, Fault::Cut(1000));
    place.download().unwrap_err();
    let [repo] = place.hub.installed().unwrap().try_into().unwrap();
    assert_eq!(repo.unfinished_bytes, 1000);
    assert!(repo.snapshots.iter().all(|snapshot| !snapshot.is_complete()));
}

#[test]
fn a_repository_that_is_being_downloaded_stays() {
    let place = Place::new();
    place.download().unwrap();
    let lock =
        place.cache.path().join(".locks/models--org--name").join(format!("{}.lock", sha256(&content(UNET_BYTES))));
    let lock = fs::File::options().write(true).open(lock).unwrap();
    lock.try_lock().unwrap();
    assert_says(&place.hub.remove(&place.repo).unwrap_err(), "being downloaded", "stop that download");
    place.assert_whole();
    lock.unlock().unwrap();
    place.hub.remove(&place.repo).unwrap();
}
