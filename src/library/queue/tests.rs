//! The queue on a real disk: what is kept, what is taken over, and what is counted after a crash.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::store::progress_path;
use super::*;
use crate::domain::{Cancel, GenerateRequest, Job, JobId, Picture, Priority, QueuedJob, Recipe};
use crate::library::{Index, Paths};

struct Home {
    folder: tempfile::TempDir,
    paths: Paths,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::below(folder.path());
        Self { folder, paths }
    }

    /// A window.
    fn open(&self) -> QueueStore {
        QueueStore::open(&self.paths, &Arc::new(Session::begin(&self.paths).unwrap())).unwrap()
    }

    fn job(&self, id: u64, count: u32) -> QueuedJob {
        QueuedJob {
            id: JobId(id),
            request: GenerateRequest {
                prompt: format!("no. {id}"),
                count,
                seed: u64::MAX,
                ..GenerateRequest::default()
            },
            pictures_dir: self.paths.pictures_dir.clone(),
            is_checked: id.is_multiple_of(2),
            priority: Priority::Normal,
            done: 0,
            is_interrupted: false,
        }
    }
}

fn ids(jobs: &[QueuedJob]) -> Vec<u64> {
    jobs.iter().map(|job| job.id.0).collect()
}

fn running(job: &QueuedJob) -> Job {
    Job {
        id: job.id,
        request: job.request.clone(),
        pictures_dir: job.pictures_dir.clone(),
        is_checked: job.is_checked,
        done: job.done,
        keeps_steps: false,
        cancel: Cancel::default(),
    }
}

fn picture() -> Picture {
    Picture { width_px: 8, height_px: 8, rgba: vec![200; 256] }
}

fn recipe(job: &QueuedJob, index: u32) -> Recipe {
    Recipe {
        request: job.request.single(index),
        model_name: "m".to_owned(),
        model_hash: "0".to_owned(),
        version: "Atelier".to_owned(),
        elapsed_secs: 1.0,
        ..Recipe::default()
    }
}

#[test]
fn a_thousand_jobs_are_kept_in_two_seconds_and_in_their_order() {
    let home = Home::new();
    let jobs: Vec<QueuedJob> = (1..=1000).map(|id| home.job(id, 1)).collect();
    let mut store = home.open();
    let begun = Instant::now();
    store.add(&jobs).unwrap();
    // What is promised; here it takes some hundredths of a second.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drop(store);
    assert_eq!(home.open().take_over().unwrap(), jobs);
    assert_eq!(home.open().take_over().unwrap(), jobs, "and once more, none twice");
}

#[test]
fn order_priority_and_changes_survive() {
    let home = Home::new();
    let mut store = home.open();
    store.add(&[home.job(1, 1), home.job(2, 1), home.job(3, 1)]).unwrap();
    store.arrange(&[(JobId(3), Priority::First), (JobId(1), Priority::Normal)]).unwrap();
    store.add(&[home.job(4, 1)]).unwrap();
    let changed = QueuedJob { request: GenerateRequest::default(), ..home.job(2, 1) };
    store.change(&changed).unwrap();
    store.remove(&[JobId(1), JobId(77)]).unwrap();
    assert!(store.change(&home.job(1, 1)).is_err(), "it is gone");
    drop(store);
    let jobs = home.open().take_over().unwrap();
    assert_eq!(ids(&jobs), [3, 2, 4]);
    assert_eq!((jobs[0].priority, jobs[1].request.clone()), (Priority::First, GenerateRequest::default()));
}

#[test]
fn a_batch_with_a_key_that_is_taken_is_not_kept_in_part() {
    let home = Home::new();
    let mut store = home.open();
    store.add(&[home.job(2, 1)]).unwrap();
    assert!(store.add(&[home.job(1, 1), home.job(2, 1), home.job(3, 1)]).is_err());
    assert_eq!(ids(&store.list().unwrap()), [2]);
}

#[test]
fn a_window_that_is_open_keeps_its_jobs() {
    let home = Home::new();
    let mut first = home.open();
    first.add(&[home.job(1, 1)]).unwrap();
    let mut second = home.open();
    assert!(second.take_over().unwrap().is_empty(), "they are the first one's");
    second.add(&[home.job(2, 1)]).unwrap();
    assert_eq!(ids(&second.list().unwrap()), [1, 2]);
    drop(first);
    assert_eq!(ids(&second.take_over().unwrap()), [1, 2], "whose window is gone, are taken over");
    assert!(home.open().take_over().unwrap().is_empty());
    drop(second);
    let locks = fs::read_dir(&home.paths.queue_dir).unwrap().count();
    assert_eq!(locks, 0, "no lock is left of windows that were closed");
}

#[test]
fn a_saved_picture_is_counted_once_and_the_job_is_gone_after_its_last() {
    let home = Home::new();
    let mut store = home.open();
    let job = home.job(5, 2);
    store.add(std::slice::from_ref(&job)).unwrap();
    let mut keeper = JobKeeper::new(home.paths.clone());
    keeper.keep_progress(job.id, b"half way").unwrap();
    assert_eq!(keeper.progress(job.id).as_deref(), Some(&b"half way"[..]));
    assert!(store.list().unwrap()[0].is_interrupted);
    let entry = keeper.save(&running(&job), 0, &picture(), &recipe(&job, 0)).unwrap();
    assert!(entry.path.exists() && entry.id.0 > 0);
    assert_eq!(keeper.progress(job.id), None, "the next picture begins at its beginning");
    drop(store);
    let mut store = home.open();
    let jobs = store.take_over().unwrap();
    assert_eq!((jobs[0].done, jobs[0].is_interrupted), (1, true));
    keeper.save(&running(&job), 1, &picture(), &recipe(&job, 1)).unwrap();
    assert!(store.take_over().unwrap().is_empty(), "it is finished");
    // A job that was never kept is saved as well.
    keeper.save(&running(&home.job(99, 1)), 0, &picture(), &recipe(&job, 0)).unwrap();
    let index = Index::open(&home.paths).unwrap();
    let listed: i64 = index.connection.query_row("SELECT count(*) FROM pictures", [], |row| row.get(0)).unwrap();
    assert_eq!(listed, 3);
}

/// The row as a crash between naming the file and counting it leaves it.
fn interrupted_while_saving(home: &Home, path: &Path, created_ms: i64) -> QueuedJob {
    let mut store = home.open();
    store.add(&[home.job(5, 3)]).unwrap();
    let (connection, _) = crate::library::schema::open(&home.paths.database).unwrap();
    let sql = "UPDATE jobs SET done = 1, saving = ?1, saving_ms = ?2";
    connection.execute(sql, rusqlite::params![path.to_str(), created_ms]).unwrap();
    drop(store);
    let jobs = home.open().take_over().unwrap();
    assert_eq!(jobs.len(), 1);
    jobs[0].clone()
}

#[test]
fn after_a_crash_the_file_tells_whether_its_picture_was_saved() {
    let home = Home::new();
    let job = home.job(5, 3);
    let missing = home.paths.pictures_dir.join("missing.png");
    assert_eq!(interrupted_while_saving(&home, &missing, 7).done, 1);

    for (created_ms, told_ms, done) in [(1000, 1000, 2), (1000, 2000, 1)] {
        let home = Home::new();
        let path =
            crate::library::save::save_picture(&home.paths.pictures_dir, &picture(), &recipe(&job, 1), created_ms);
        // With another time it is another program's, which took the name.
        assert_eq!(interrupted_while_saving(&home, &path.unwrap(), told_ms).done, done);
    }
}

#[test]
fn progress_of_jobs_that_are_gone_is_swept_and_that_of_others_stays() {
    let home = Home::new();
    let mut first = home.open();
    first.add(&[home.job(1, 1)]).unwrap();
    let mut keeper = JobKeeper::new(home.paths.clone());
    for id in [1, 2] {
        keeper.keep_progress(JobId(id), b"x").unwrap();
    }
    home.open().take_over().unwrap();
    let exists = |id| progress_path(&home.paths.queue_dir, JobId(id)).exists();
    assert_eq!((exists(1), exists(2)), (true, false), "the first is another window's");
    first.remove(&[JobId(1)]).unwrap();
    assert!(!exists(1));
}

#[test]
fn an_older_database_gets_its_queue_and_a_copy_stays() {
    let home = Home::new();
    let (connection, _) = crate::library::schema::open_as_of(&home.paths.database, 2).unwrap();
    drop(connection);
    let mut store = home.open();
    store.add(&[home.job(1, 1)]).unwrap();
    assert!(home.folder.path().join("library.sqlite.backup-v2").exists());
}

#[test]
fn a_job_survives_damage_elsewhere_in_the_database() {
    let home = Home::new();
    let mut store = home.open();
    store.add(&[home.job(1, 1), home.job(2, 1)]).unwrap();
    drop(store);
    // Everything is in one file; then a page is broken that is none of the jobs'.
    let (connection, _) = crate::library::schema::open(&home.paths.database).unwrap();
    connection.execute("INSERT INTO folders (path) VALUES (hex(randomblob(60000)))", []).unwrap();
    connection.pragma_update(None, "wal_checkpoint", "truncate").unwrap();
    drop(connection);
    let mut bytes = fs::read(&home.paths.database).unwrap();
    let end = bytes.len();
    bytes[end - 3 * 4096..].fill(0xA5);
    fs::write(&home.paths.database, &bytes).unwrap();
    crate::library::schema::suspect(&home.paths.database);
    let jobs = home.open().take_over().unwrap();
    assert_eq!(ids(&jobs), [1, 2], "the index is made anew, and what waited still waits");
}

#[test]
fn a_folder_that_is_no_unicode_is_told() {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let home = Home::new();
        let pictures_dir = PathBuf::from(std::ffi::OsStr::from_bytes(b"/p\xff"));
        let error = home.open().add(&[QueuedJob { pictures_dir, ..home.job(1, 1) }]).unwrap_err();
        assert!(error.sentence.contains("cannot be kept"), "{error}");
    }
}

#[test]
fn steps_are_kept_under_harmless_names() {
    let home = Home::new();
    let mut keeper = JobKeeper::new(home.paths.clone());
    keeper.keep_steps("../../ab12", b"steps").unwrap();
    assert!(home.paths.steps_dir.join("ab12.steps").exists());
    assert_eq!(keeper.steps("ab12").as_deref(), Some(&b"steps"[..]));
    assert_eq!(keeper.steps("cd"), None);
}
