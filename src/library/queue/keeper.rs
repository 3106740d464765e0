//! [`JobKeeper`]: what the engine's thread must not lose while it works on a job.
//!
//! A picture counts as saved when its file is whole and the job's row says so. The two cannot change in one moment, so the
//! row names the file before it is written: after a crash the file itself tells whether it was
//! ([`super::QueueStore::take_over`]).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};

use super::store::progress_path;
use crate::domain::{Job, JobId, Picture, PictureEntry, Recipe, Result};
use crate::library::atomic;
use crate::library::crash::crash_point;
use crate::library::{Paths, PictureStore, schema};

/// The most bytes of a file of progress or steps that is read.
const MAX_BYTES: u64 = 1 << 30;
/// Writing a file of 2 MB at every step of a small picture would wear the disk.
const PAUSE: Duration = Duration::from_secs(1);
/// Ending of the files with all steps of a picture.
const STEPS: &str = "steps";

/// Saves the pictures of jobs, each once, and keeps where a picture is in its making.
pub struct JobKeeper {
    store: PictureStore,
    paths: Paths,
    /// Opened when it is first needed, and again after it failed.
    log: Option<Connection>,
    pause: Duration,
}

impl JobKeeper {
    /// For pictures that go where their jobs say.
    #[must_use]
    pub fn new(paths: Paths) -> Self {
        Self { store: PictureStore::new(paths.clone()), paths, log: None, pause: PAUSE }
    }

    /// Keeps progress more or less often than every second.
    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// How long to wait between two times that progress is kept.
    #[must_use]
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// Saves picture `index` of a job with its recipe inside, takes it into the history and counts it.
    ///
    /// Only the file counts: where the job's row cannot be written, the picture is saved all the same.
    ///
    /// # Errors
    /// When the file cannot be written; nothing is left of it then.
    pub fn save(&mut self, job: &Job, index: u32, picture: &Picture, recipe: &Recipe) -> Result<PictureEntry> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let created_ms = now.as_millis() as i64;
        self.store.use_folder(&job.pictures_dir);
        let (log, database) = (&mut self.log, &self.paths.database);
        let path = self.store.write(picture, recipe, created_ms, &mut |path| {
            let sql = "UPDATE jobs SET saving = ?2, saving_ms = ?3 WHERE id = ?1";
            tell(log, database, |log| log.execute(sql, params![job.id.0 as i64, path.to_str(), created_ms]));
            crash_point("save.intended");
        })?;
        crash_point("save.written");
        let sql = "UPDATE jobs SET done = ?2, saving = NULL, saving_ms = NULL WHERE id = ?1";
        tell(log, database, |log| log.execute(sql, params![job.id.0 as i64, index + 1]));
        crash_point("save.marked");
        self.drop_progress(job.id);
        let entry = self.store.list(path, created_ms, picture, recipe);
        crash_point("save.listed");
        Ok(entry)
    }

    /// Keeps where the picture of a job is in its making, in the place of what was kept before. It is not synced: a power
    /// cut may cost it, a crash of the program does not.
    ///
    /// # Errors
    /// When the file cannot be written; the one before is then as it was.
    pub fn keep_progress(&mut self, job: JobId, bytes: &[u8]) -> Result<()> {
        atomic::write_cache(&progress_path(&self.paths.queue_dir, job), bytes)
    }

    /// What was kept, unless there is nothing.
    #[must_use]
    pub fn progress(&self, job: JobId) -> Option<Vec<u8>> {
        read(&progress_path(&self.paths.queue_dir, job))
    }

    /// Forgets where a job was.
    pub fn drop_progress(&mut self, job: JobId) {
        let _ = fs::remove_file(progress_path(&self.paths.queue_dir, job));
    }

    /// Keeps the steps of a picture under a name of hexadecimal digits.
    ///
    /// # Errors
    /// When the file cannot be written; nothing is left of it then.
    pub fn keep_steps(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        atomic::write_cache(&self.steps_path(name), bytes)
    }

    /// The steps of a picture, if they were kept.
    #[must_use]
    pub fn steps(&self, name: &str) -> Option<Vec<u8>> {
        read(&self.steps_path(name))
    }

    fn steps_path(&self, name: &str) -> PathBuf {
        let name: String = name.chars().filter(char::is_ascii_hexdigit).collect();
        self.paths.steps_dir.join(format!("{name}.{STEPS}"))
    }
}

/// Writes into the row of a job, if that can be done: one whose job was never kept has none.
fn tell(log: &mut Option<Connection>, database: &Path, write: impl FnOnce(&Connection) -> rusqlite::Result<usize>) {
    if log.is_none() {
        *log = schema::open(database)
            .inspect_err(|error| tracing::warn!(%error, "what is saved cannot be counted"))
            .ok()
            .map(|(connection, _)| connection);
    }
    if let Some(connection) = log
        && let Err(error) = write(connection)
    {
        tracing::warn!(%error, "a saved picture could not be counted");
        *log = None;
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let is_small = fs::metadata(path).is_ok_and(|metadata| metadata.len() <= MAX_BYTES);
    is_small.then(|| fs::read(path).ok()).flatten()
}
