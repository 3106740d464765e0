//! Downloads that are paused, killed, doubled, or that find no room.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::hub_server::{COMMIT, Fault};
use super::{Place, UNET, UNET_BYTES, assert_says, content, sha256};
use crate::domain::Cancel;
use crate::hub::{Hub, HubConfig, PlanOptions, Progress, RepoId, Stage};

#[test]
fn a_model_lies_where_pythons_tools_look_for_it() {
    let place = Place::new();
    let folder = place.download().unwrap();
    place.assert_whole();
    // hf-hub is another reader of the same layout.
    let cache = hf_hub::Cache::new(place.cache.path().to_path_buf()).model("org/name".to_owned());
    assert_eq!(cache.get(UNET), Some(folder.join(UNET)));
    assert_eq!(fs::read_to_string(place.repo_folder().join("refs/main")).unwrap(), COMMIT);
    #[cfg(unix)]
    {
        let blob = sha256(&content(UNET_BYTES));
        let target = fs::read_link(folder.join(UNET)).unwrap();
        assert_eq!(target, Path::new(&format!("../../../blobs/{blob}")));
        let target = fs::read_link(folder.join("model_index.json")).unwrap();
        assert!(target.starts_with("../../blobs"), "{}", target.display());
    }
}

#[test]
fn what_is_there_is_not_asked_for_again() {
    let place = Place::new();
    let plan = place.plan().unwrap();
    assert_eq!(plan.licence.as_deref(), Some("mit"));
    let mut names: Vec<&str> = plan.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names.pop(), Some("model_index.json"), "what makes it whole comes last");
    let first = place.hub.download(&plan, &Cancel::default(), &mut |_| {}).unwrap();
    assert_eq!(first.fetched_bytes, plan.total_bytes());
    let asked = place.server.seen().len();
    let second = place.hub.download(&plan, &Cancel::default(), &mut |_| {}).unwrap();
    assert_eq!((second.folder, second.fetched_bytes), (first.folder, 0));
    assert_eq!(place.server.seen().len(), asked);
}

#[test]
fn a_list_without_sizes_is_completed_file_by_file() {
    let place = Place::new();
    let told = place.plan().unwrap();
    place.server.hide_sizes();
    assert_eq!(place.plan().unwrap(), told);
    place.download().unwrap();
    place.assert_whole();
}

#[test]
fn progress_counts_every_byte_once() {
    let place = Place::new();
    place.server.fault(UNET, Fault::Cut(1000));
    let mut reports: Vec<Progress> = Vec::new();
    place.download_reported(&Cancel::default(), &mut |progress| reports.push(progress.clone())).unwrap();
    assert!(reports.windows(2).all(|pair| pair[0].done_bytes <= pair[1].done_bytes), "it never falls here");
    let last = reports.last().unwrap();
    assert_eq!((last.done_bytes, last.file_number, last.files), (last.total_bytes, 3, 3));
    assert_eq!(last.total_bytes, place.plan().unwrap().total_bytes());
    assert!(reports.iter().any(|progress| progress.stage == Stage::Waiting && progress.file == UNET));
}

#[test]
fn a_paused_download_goes_on_from_its_bytes() {
    // Silent after half, and with one try: without the cancel it would fail as stalled.
    let place = Place::new().with(|config| config.timing.tries = 1);
    place.server.fault(UNET, Fault::Stall(UNET_BYTES / 2));
    let cancel = Cancel::default();
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            while fs::metadata(place.incomplete()).map_or(0, |metadata| metadata.len()) == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            cancel.cancel();
        });
        place.download_reported(&cancel, &mut |_| {}).unwrap_err()
    });
    assert!(error.is_cancelled(), "{error}");
    place.assert_absent();
    let there = fs::metadata(place.incomplete()).unwrap().len();
    assert!(there > 0);
    let mut stages = Vec::new();
    place.download_reported(&Cancel::default(), &mut |progress| stages.push(progress.stage)).unwrap();
    place.assert_whole();
    assert_eq!(place.ranges()[1], format!("bytes={there}-"));
    assert!(stages.contains(&Stage::Checking), "{stages:?}");
}

#[test]
fn a_cancel_is_seen_before_anything_is_asked() {
    let place = Place::new();
    let plan = place.plan().unwrap();
    let asked = place.server.seen().len();
    let cancel = Cancel::default();
    cancel.cancel();
    assert!(place.hub.download(&plan, &cancel, &mut |_| {}).unwrap_err().is_cancelled());
    assert!(place.hub.plan(&place.repo, "main", &PlanOptions::default(), &cancel).unwrap_err().is_cancelled());
    assert_eq!(place.server.seen().len(), asked);
}

/// How [`a_killed_download_goes_on_from_its_bytes`] tells its child what to do.
const CHILD_VARIABLE: &str = "ATELIER_TEST_HUB_CHILD";

#[test]
fn child_that_is_killed() {
    let Ok(text) = std::env::var(CHILD_VARIABLE) else { return };
    let (endpoint, cache) = text.split_once(' ').unwrap();
    let hub = Hub::new(HubConfig::new(endpoint, cache).unwrap());
    let repo = RepoId::parse("org/name").unwrap();
    let plan = hub.plan(&repo, "main", &PlanOptions::default(), &Cancel::default()).unwrap();
    let _ = hub.download(&plan, &Cancel::default(), &mut |_| {});
}

#[test]
fn a_killed_download_goes_on_from_its_bytes() {
    let place = Place::new();
    let half = UNET_BYTES / 2;
    // More than once, should the child be so slow that it takes the silence for a stall.
    for _ in 0..5 {
        place.server.fault(UNET, Fault::Stall(half));
    }
    let test = format!("{}::child_that_is_killed", module_path!().split_once("::").unwrap().1);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test])
        .env(CHILD_VARIABLE, format!("{} {}", place.server.endpoint, place.cache.path().display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while fs::metadata(place.incomplete()).map_or(0, |metadata| metadata.len()) < half as u64 {
        assert!(child.try_wait().unwrap().is_none(), "the child ended too soon");
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    place.assert_absent();
    // What is left of the faults would stall this download too.
    while place.server.forget_fault(UNET) {}
    place.download().unwrap();
    place.assert_whole();
    assert_eq!(place.ranges().last().unwrap(), &format!("bytes={half}-"));
}

#[test]
fn two_downloads_at_once_end_with_one_good_file() {
    let place = Place::new();
    let plan = place.plan().unwrap();
    let others = [(); 3].map(|()| Hub::new(place.hub.config().clone()));
    thread::scope(|scope| {
        let works = others.iter().map(|hub| scope.spawn(|| hub.download(&plan, &Cancel::default(), &mut |_| {})));
        let works: Vec<_> = works.collect();
        let fetched: u64 = works.into_iter().map(|work| work.join().unwrap().unwrap().fetched_bytes).sum();
        assert_eq!(fetched, plan.total_bytes(), "each file came once");
    });
    place.assert_whole();
    assert_eq!(place.ranges(), [""]);
}

#[test]
fn a_disk_without_room_is_told_before_anything_comes() {
    let place = Place::new().with(|config| config.free_bytes = |_| Ok(50_000_000));
    let error = place.download().unwrap_err();
    assert_says(&error, "50.0 MB are free", "free some space");
    assert!(error.sentence.contains("300."), "{error}");
    assert_eq!(error.path.as_deref(), Some(place.cache.path()));
    assert!(place.ranges().is_empty());
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_to_is_named() {
    let place = Place::new();
    // A file in the way: a folder without the right to write stops nobody who runs the tests as root.
    fs::write(place.repo_folder(), b"in the way").unwrap();
    let error = place.download().unwrap_err();
    assert!(error.hint.is_some() && error.path.is_some(), "{error:?}");
}
