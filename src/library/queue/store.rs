//! [`QueueStore`]: the table of jobs.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row, Transaction, TransactionBehavior, params};

use crate::domain::{JobId, Priority, QueuedJob, Result, UserError};
use crate::library::crash::crash_point;
use crate::library::image_io::read_info;
use crate::library::paths::ensure_dir;
use crate::library::{Paths, schema};

/// Ending of the files of pictures in the middle of their making.
const PROGRESS: &str = "progress";
/// A lock that is older than this was taken, if it ever was.
const ABANDONED_AFTER: Duration = Duration::from_hours(1);
/// Ending of the locks of windows.
const LOCK: &str = "lock";

/// A window that runs jobs. The system lets go of its lock however the program ends.
pub struct Session {
    owner: i64,
    path: PathBuf,
    _lock: File,
}

impl Session {
    /// Begins one.
    ///
    /// # Errors
    /// When the lock cannot be taken.
    pub fn begin(paths: &Paths) -> Result<Self> {
        ensure_dir(&paths.queue_dir)?;
        // The standard library keys its hash maps with the system's randomness. Not negative, for its file's name.
        let owner = (std::collections::hash_map::RandomState::new().build_hasher().finish() >> 1) as i64;
        let path = lock_path(&paths.queue_dir, owner);
        let lock = File::create(&path).and_then(|file| file.lock().map(|()| file)).map_err(|error| {
            UserError::failed(format!("The queue could not be locked: {error}"))
                .hint("check that you may write to the folder")
                .path(&path)
        })?;
        Ok(Self { owner, path, _lock: lock })
    }

    /// Keys for new jobs, which no other window gives.
    pub fn ids(&self) -> impl Iterator<Item = JobId> + use<> {
        let first = (self.owner as u64 & 0x3fff_ffff) << 32;
        (1..u64::from(u32::MAX)).map(move |number| JobId(first + number))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Jobs that are left can be told from those of a living window by the missing file.
        let _ = fs::remove_file(&self.path);
    }
}

/// The jobs of one window.
pub struct QueueStore {
    connection: Connection,
    database: PathBuf,
    folder: PathBuf,
    session: Arc<Session>,
}

impl QueueStore {
    /// Opens the queue for a window.
    ///
    /// # Errors
    /// When the database can be neither opened nor made, or a newer program made it.
    pub fn open(paths: &Paths, session: &Arc<Session>) -> Result<Self> {
        let (connection, _) = schema::open(&paths.database)?;
        let (database, folder) = (paths.database.clone(), paths.queue_dir.clone());
        Ok(Self { connection, database, folder, session: Arc::clone(session) })
    }

    /// Takes over the jobs of windows that are gone, counts the pictures that they saved last, forgets what is finished,
    /// and gives what is left in its order.
    ///
    /// # Errors
    /// When the database cannot be read or written; nothing is changed then.
    pub fn take_over(&mut self) -> Result<Vec<QueuedJob>> {
        let (folder, owner) = (self.folder.clone(), self.session.owner);
        let mut locks = Vec::new();
        let taken = self.write(|transaction| {
            let owners = collect(transaction, "SELECT DISTINCT owner FROM jobs", |row| row.get::<_, i64>(0))?;
            for other in owners.into_iter().filter(|other| *other != owner) {
                let path = lock_path(&folder, other);
                match File::open(&path) {
                    // It is alive: its jobs are its own.
                    Ok(file) if file.try_lock().is_err() => continue,
                    Ok(file) => locks.push((path, Some(file))),
                    Err(_) => locks.push((path, None)),
                }
                transaction.execute("UPDATE jobs SET owner = ?1 WHERE owner = ?2", [owner, other])?;
            }
            count_saved(transaction, owner)?;
            collect(transaction, SELECT_JOBS, Kept::of)
        })?;
        for (path, file) in locks {
            drop(file);
            let _ = fs::remove_file(path);
        }
        // Those of other windows are left out by the owner, which `SELECT_JOBS` gives with them.
        let (mine, others): (Vec<Kept>, Vec<Kept>) = taken.into_iter().partition(|kept| kept.owner == owner);
        let ids: Vec<JobId> = mine.iter().chain(&others).map(|kept| kept.id).collect();
        self.sweep(&ids);
        let jobs = mine.into_iter().filter_map(|kept| kept.into_job(&self.folder));
        Ok(jobs.collect())
    }

    /// Keeps jobs, behind those that are there: all of them or none.
    ///
    /// # Errors
    /// When one cannot be written down, or the database cannot be written.
    pub fn add(&mut self, jobs: &[QueuedJob]) -> Result<()> {
        let rows = jobs.iter().map(Written::of).collect::<Result<Vec<_>>>()?;
        let owner = self.session.owner;
        self.write(|transaction| {
            let last = "SELECT coalesce(max(position), 0) FROM jobs WHERE owner = ?1";
            let last: i64 = transaction.query_row(last, [owner], |row| row.get(0))?;
            let sql = "INSERT INTO jobs (id, owner, priority, position, request, pictures_dir, is_checked, done)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let mut insert = transaction.prepare_cached(sql)?;
            for (position, (job, row)) in (last + 1..).zip(jobs.iter().zip(&rows)) {
                let priority = job.priority as i64;
                let values = params![
                    job.id.0 as i64,
                    owner,
                    priority,
                    position,
                    row.request,
                    row.pictures_dir,
                    job.is_checked,
                    job.done
                ];
                insert.execute(values)?;
            }
            crash_point("queue.adding");
            Ok(())
        })?;
        crash_point("queue.added");
        Ok(())
    }

    /// Keeps another request in a job's place, to be made from its first picture on.
    ///
    /// # Errors
    /// When it cannot be written down, the job is not there, or the database cannot be written.
    pub fn change(&mut self, job: &QueuedJob) -> Result<()> {
        let row = Written::of(job)?;
        let changed = self.write(|transaction| {
            let sql = "UPDATE jobs SET request = ?2, pictures_dir = ?3, is_checked = ?4, done = 0, saving = NULL
                       WHERE id = ?1";
            transaction.execute(sql, params![job.id.0 as i64, row.request, row.pictures_dir, job.is_checked])
        })?;
        if changed == 0 {
            return Err(UserError::failed("The job to be changed is not in the queue any more"));
        }
        let _ = fs::remove_file(progress_path(&self.folder, job.id));
        Ok(())
    }

    /// Keeps an order. Jobs that are not named stay behind the others.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn arrange(&mut self, order: &[(JobId, Priority)]) -> Result<()> {
        let owner = self.session.owner;
        self.write(|transaction| {
            transaction.execute(
                "UPDATE jobs SET position = position + ?2 WHERE owner = ?1",
                params![owner, order.len() as i64],
            )?;
            let mut update =
                transaction.prepare_cached("UPDATE jobs SET priority = ?2, position = ?3 WHERE id = ?1")?;
            for (position, (id, priority)) in (0_i64..).zip(order) {
                update.execute(params![id.0 as i64, *priority as i64, position])?;
            }
            Ok(())
        })
    }

    /// Forgets jobs, and where they were. Nothing happens to those that are not there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove(&mut self, jobs: &[JobId]) -> Result<()> {
        crash_point("queue.removing");
        self.write(|transaction| {
            let mut delete = transaction.prepare_cached("DELETE FROM jobs WHERE id = ?1")?;
            for id in jobs {
                delete.execute([id.0 as i64])?;
            }
            Ok(())
        })?;
        crash_point("queue.removed");
        for id in jobs {
            let _ = fs::remove_file(progress_path(&self.folder, *id));
        }
        Ok(())
    }

    /// All jobs, in their order, whichever window runs them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Vec<QueuedJob>> {
        let kept = collect(&self.connection, SELECT_JOBS, Kept::of).map_err(|error| explain(&self.database, &error))?;
        Ok(kept.into_iter().filter_map(|kept| kept.into_job(&self.folder)).collect())
    }

    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let done = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        done.map_err(|error| explain(&self.database, &error))
    }

    /// Removes files of jobs that are gone, and locks of windows that crashed without jobs.
    fn sweep(&self, jobs: &[JobId]) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let ends_in = |ending: &str| path.extension().is_some_and(|other| other == ending);
            let is_known = || jobs.iter().any(|id| path == progress_path(&self.folder, *id));
            if (ends_in(PROGRESS) && !is_known()) || (ends_in(LOCK) && is_abandoned(&path)) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Copies the jobs of a damaged database, as far as they can be read, into the one that takes its place.
pub fn salvage(damaged: &Path, connection: &Connection) {
    let read = || {
        let old = Connection::open_with_flags(damaged, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let sql = "SELECT id, owner, priority, position, request, pictures_dir, is_checked, done FROM jobs";
        let mut statement = old.prepare(sql)?;
        let mut rows = statement.query([])?;
        let insert =
            "INSERT OR IGNORE INTO jobs (id, owner, priority, position, request, pictures_dir, is_checked, done)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        // Until the first that cannot be read.
        while let Some(row) = rows.next()? {
            let number = |place| row.get::<_, i64>(place);
            let text = |place| row.get::<_, String>(place);
            let values =
                params![number(0)?, number(1)?, number(2)?, number(3)?, text(4)?, text(5)?, number(6)?, number(7)?];
            connection.execute(insert, values)?;
        }
        Ok::<_, rusqlite::Error>(())
    };
    if let Err(error) = read() {
        tracing::warn!(%error, "not all of the queue could be read from a damaged database");
    }
}

/// The file that tells where the picture of a job is in its making.
pub(super) fn progress_path(folder: &Path, job: JobId) -> PathBuf {
    folder.join(format!("{}.{PROGRESS}", job.0))
}

fn lock_path(folder: &Path, owner: i64) -> PathBuf {
    folder.join(format!("{owner}.{LOCK}"))
}

/// Whether a lock is nobody's. One that is new may be of a window that is about to take it.
fn is_abandoned(lock: &Path) -> bool {
    let age = || fs::metadata(lock).ok()?.modified().ok()?.elapsed().ok();
    age().is_some_and(|age| age > ABANDONED_AFTER) && File::open(lock).is_ok_and(|file| file.try_lock().is_ok())
}

const SELECT_JOBS: &str = "
    SELECT id, owner, priority, request, pictures_dir, is_checked, done FROM jobs ORDER BY priority, position, id";

/// A row as it stands.
struct Kept {
    id: JobId,
    owner: i64,
    priority: i64,
    request: String,
    pictures_dir: String,
    is_checked: bool,
    done: u32,
}

impl Kept {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: JobId(row.get::<_, i64>(0)? as u64),
            owner: row.get(1)?,
            priority: row.get(2)?,
            request: row.get(3)?,
            pictures_dir: row.get(4)?,
            is_checked: row.get(5)?,
            done: row.get(6)?,
        })
    }

    /// `None` for one whose request cannot be read: a newer program's. It stays where it is.
    fn into_job(self, folder: &Path) -> Option<QueuedJob> {
        let request = serde_json::from_str(&self.request);
        let request = request.inspect_err(|error| tracing::warn!(%error, "a job of the queue cannot be read")).ok()?;
        Some(QueuedJob {
            id: self.id,
            request,
            pictures_dir: self.pictures_dir.into(),
            is_checked: self.is_checked,
            priority: Priority::ALL.into_iter().find(|priority| *priority as i64 == self.priority).unwrap_or_default(),
            done: self.done,
            is_interrupted: self.done > 0 || progress_path(folder, self.id).exists(),
        })
    }
}

/// The texts of a row.
struct Written {
    request: String,
    pictures_dir: String,
}

impl Written {
    fn of(job: &QueuedJob) -> Result<Self> {
        let cannot = |reason: String| {
            UserError::input(format!("The job cannot be kept on the disk: {reason}"))
                .hint("files and folders whose names are not Unicode cannot be written down")
        };
        let request = serde_json::to_string(&job.request).map_err(|error| cannot(error.to_string()))?;
        let pictures_dir = job.pictures_dir.to_str().ok_or_else(|| cannot("the pictures folder".to_owned()))?;
        Ok(Self { request, pictures_dir: pictures_dir.to_owned() })
    }
}

/// Counts the picture that a job was saving when it was interrupted, where its file is there; then forgets the jobs that
/// are finished.
fn count_saved(transaction: &Transaction<'_>, owner: i64) -> rusqlite::Result<()> {
    let sql = "SELECT id, saving, saving_ms FROM jobs WHERE owner = ?1 AND saving IS NOT NULL";
    let mut statement = transaction.prepare(sql)?;
    let saving = statement
        .query_map([owner], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (id, path, created_ms) in saving {
        // Another program may have taken the name: the time in the file tells.
        let is_saved = read_info(Path::new(&path)).is_ok_and(|info| info.embedded.created_ms() == Some(created_ms));
        let sql = "UPDATE jobs SET done = done + ?2, saving = NULL, saving_ms = NULL WHERE id = ?1";
        transaction.execute(sql, params![id, is_saved])?;
    }
    let finished = "DELETE FROM jobs WHERE owner = ?1 AND done >= coalesce(json_extract(request, '$.count'), 1)";
    transaction.execute(finished, [owner]).map(drop)
}

fn collect<T>(
    connection: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], read)?.collect()
}

pub(super) fn explain(database: &Path, error: &rusqlite::Error) -> UserError {
    let hint = if schema::is_damage(error) {
        schema::suspect(database);
        "start Atelier again: what can be read of the queue is kept"
    } else {
        "check that there is room on the disk"
    };
    UserError::failed(format!("The queue could not be kept on the disk: {error}")).hint(hint).path(database)
}
