//! Opening the `SQLite` file of the index and the queue: made if missing, brought up to date, set aside if damaged.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::paths::{ensure_dir, file_name};
use super::settings::rename_aside;
use crate::domain::{Result, UserError};

/// One step of the schema each; `user_version` counts the steps that a file has taken. Never change a step: add one.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE folders (
        id INTEGER PRIMARY KEY,
        path TEXT NOT NULL UNIQUE,          -- a pictures folder; the settings may change it
        scanned INTEGER NOT NULL DEFAULT 0  -- whether a rescan has gone through all of it
    );
    CREATE TABLE pictures (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: the window may still hold an old one
        folder INTEGER NOT NULL REFERENCES folders (id),
        path TEXT NOT NULL,                   -- below the folder, parts joined by '/'
        created_ms INTEGER NOT NULL,          -- milliseconds since 1970 UTC
        width INTEGER NOT NULL,               -- px
        height INTEGER NOT NULL,              -- px
        recipe TEXT,                          -- JSON; NULL where none could be read
        prompt TEXT NOT NULL,
        mtime_ns INTEGER NOT NULL,            -- of the file; with size it tells a changed file
        size INTEGER NOT NULL,                -- bytes
        UNIQUE (folder, path)
    );
    CREATE INDEX pictures_newest ON pictures (folder, created_ms DESC, id DESC);
",
    // The gallery: what a search asks for, marks and collections. The rows of `facts` are small, so that a search that no
    // index answers reads all of 50,000 in some milliseconds; recipes are read for the rows in view only.
    "
    ALTER TABLE folders ADD COLUMN marks_version INTEGER NOT NULL DEFAULT 0;  -- counts changes of marks and collections
    ALTER TABLE folders ADD COLUMN kept_version INTEGER NOT NULL DEFAULT 0;   -- the one that the file beside them has
    ALTER TABLE folders ADD COLUMN kept_mtime_ns INTEGER NOT NULL DEFAULT 0;  -- of that file, as it was last written
    ALTER TABLE folders ADD COLUMN kept_size INTEGER NOT NULL DEFAULT 0;      -- or read
    CREATE TABLE state (facts_version INTEGER NOT NULL);                      -- by which rules `facts` were made
    INSERT INTO state VALUES (0);
    CREATE TABLE models (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,                   -- for people
        name_key TEXT NOT NULL,               -- in lower case
        hash TEXT NOT NULL,
        UNIQUE (name, hash)
    );
    CREATE TABLE families (hash TEXT PRIMARY KEY, family TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE facts (
        picture INTEGER PRIMARY KEY REFERENCES pictures (id) ON DELETE CASCADE,
        folder INTEGER NOT NULL REFERENCES folders (id),
        created_ms INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        star INTEGER NOT NULL DEFAULT 0,
        rating INTEGER NOT NULL DEFAULT 0,
        model INTEGER REFERENCES models (id), -- NULL without a recipe, as all that follows
        is_starter INTEGER,
        sampler TEXT,
        schedule TEXT,
        steps INTEGER,
        guidance REAL,
        seed INTEGER,                         -- less 2^63, so that order is kept
        seconds REAL,
        flagged INTEGER,                      -- NULL also where no checker was asked
        init INTEGER,
        hires INTEGER,
        loras TEXT,                           -- names in lower case, each behind a line feed
        prompt_start TEXT,                    -- in lower case, to sort by
        recipe_key INTEGER                    -- equal for recipes that differ in nothing but the seed
    );
    CREATE INDEX facts_newest ON facts (folder, created_ms DESC, picture DESC);
    CREATE INDEX facts_recipe ON facts (recipe_key);
    CREATE VIRTUAL TABLE words USING fts5 (
        prompt, negative, rest, content = '', contentless_delete = 1,
        tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3'
    );
    CREATE TRIGGER words_go AFTER DELETE ON pictures BEGIN DELETE FROM words WHERE rowid = old.id; END;
    CREATE TABLE collections (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        folder INTEGER NOT NULL REFERENCES folders (id),
        name TEXT NOT NULL,
        name_key TEXT NOT NULL,               -- in lower case
        query TEXT,                           -- of a smart one
        UNIQUE (folder, name_key)
    );
    CREATE TABLE collected (
        collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
        picture INTEGER NOT NULL REFERENCES pictures (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        PRIMARY KEY (collection, picture)
    ) WITHOUT ROWID;
    CREATE INDEX collected_picture ON collected (picture);
    CREATE TABLE waiting (                    -- marks of pictures that are not there (now), until they come
        folder INTEGER NOT NULL REFERENCES folders (id),
        path TEXT NOT NULL,
        created_ms INTEGER NOT NULL,          -- with size it tells a picture that got another name
        size INTEGER NOT NULL,
        star INTEGER NOT NULL,
        rating INTEGER NOT NULL,
        collections TEXT NOT NULL,            -- JSON: [[name, position], ...]
        since_ms INTEGER NOT NULL,
        PRIMARY KEY (folder, path)
    ) WITHOUT ROWID;
    CREATE INDEX waiting_file ON waiting (folder, created_ms, size);
    -- Whatever changes marks or collections counts as a change of them.
    CREATE TRIGGER marks_set AFTER UPDATE OF star, rating ON facts
        WHEN old.star <> new.star OR old.rating <> new.rating
        BEGIN UPDATE folders SET marks_version = marks_version + 1 WHERE id = new.folder; END;
    CREATE TRIGGER marks_go BEFORE DELETE ON pictures
        WHEN EXISTS (SELECT 1 FROM facts WHERE picture = old.id AND (star <> 0 OR rating <> 0))
            OR EXISTS (SELECT 1 FROM collected WHERE picture = old.id)
        BEGIN UPDATE folders SET marks_version = marks_version + 1 WHERE id = old.folder; END;
    CREATE TRIGGER collections_come AFTER INSERT ON collections
        BEGIN UPDATE folders SET marks_version = marks_version + 1 WHERE id = new.folder; END;
    CREATE TRIGGER collections_change AFTER UPDATE ON collections
        BEGIN UPDATE folders SET marks_version = marks_version + 1 WHERE id = new.folder; END;
    CREATE TRIGGER collections_go AFTER DELETE ON collections
        BEGIN UPDATE folders SET marks_version = marks_version + 1 WHERE id = old.folder; END;
    CREATE TRIGGER collected_come AFTER INSERT ON collected
        BEGIN UPDATE folders SET marks_version = marks_version + 1
            WHERE id = (SELECT folder FROM collections WHERE id = new.collection); END;
    CREATE TRIGGER collected_change AFTER UPDATE ON collected
        BEGIN UPDATE folders SET marks_version = marks_version + 1
            WHERE id = (SELECT folder FROM collections WHERE id = new.collection); END;
    CREATE TRIGGER collected_go AFTER DELETE ON collected
        BEGIN UPDATE folders SET marks_version = marks_version + 1
            WHERE id = (SELECT folder FROM collections WHERE id = old.collection); END;
",
    super::queue::MIGRATION,
];

/// How long to wait for another program that writes to the same file.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Up to this size a file is read through before it is used: that takes some hundredths of a second.
const CHECK_AT_ONCE: u64 = 8 << 20;
/// Pages of the file that a connection keeps in memory, in KiB.
const CACHE_KIB: i64 = 16 << 10;
/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 64;

/// Opens the index's file. A damaged one is renamed and a new one begun; that is the second value.
///
/// # Errors
/// When the file can be neither opened nor made, or a newer program made it.
pub(super) fn open(database: &Path) -> Result<(Connection, Option<PathBuf>)> {
    open_with(database, MIGRATIONS)
}

/// The database as an older program made it, after so many steps.
#[cfg(test)]
pub(super) fn open_as_of(database: &Path, steps: usize) -> Result<(Connection, Option<PathBuf>)> {
    open_with(database, &MIGRATIONS[..steps])
}

fn open_with(database: &Path, migrations: &[&str]) -> Result<(Connection, Option<PathBuf>)> {
    if let Some(folder) = database.parent() {
        ensure_dir(folder)?;
    }
    // Two programs that start at once would both set a damaged file aside, the second one the first one's new file.
    let lock_path = database.with_extension("lock");
    let cannot_lock = |error: std::io::Error| {
        UserError::failed(format!("Could not lock the picture index: {error}")).path(&lock_path)
    };
    let lock = File::create(&lock_path).map_err(cannot_lock)?;
    lock.lock().map_err(cannot_lock)?;
    match try_open(database, migrations) {
        Ok(connection) => Ok((connection, None)),
        Err(OpenError::Damaged(reason)) => {
            let cannot = |error: &dyn std::fmt::Display| {
                UserError::failed(format!("The picture index is damaged ({reason}) and could not be replaced: {error}"))
                    .hint("close other windows of Atelier, or delete the file: it is rebuilt from the pictures")
                    .path(database)
            };
            let aside = rename_aside(database, "damaged").map_err(|error| cannot(&error))?;
            let _ = fs::remove_file(suspicion(database));
            for ending in ["-wal", "-shm"] {
                // Left beside a new file they would be played into it.
                let _ = fs::remove_file(with_suffix(database, ending));
            }
            let connection = try_open(database, migrations).map_err(|error| cannot(&error.into_user(database)))?;
            // The pictures are all that the index is made of; what waited is nowhere else.
            super::queue::salvage(&aside, &connection);
            Ok((connection, Some(aside)))
        }
        Err(other) => Err(other.into_user(database)),
    }
}

enum OpenError {
    /// Not a database, or a broken one.
    Damaged(String),
    /// Made by a newer program.
    Newer(i64),
    /// Anything else: no permission, no room, locked for too long.
    Other(rusqlite::Error),
    /// The copy before a migration failed.
    Backup(PathBuf, rusqlite::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Damaged(error.to_string()) } else { Self::Other(error) }
    }
}

impl OpenError {
    fn into_user(self, database: &Path) -> UserError {
        match self {
            Self::Damaged(reason) => UserError::failed(format!("The picture index is damaged: {reason}")),
            Self::Newer(version) => UserError::failed(format!(
                "The picture index was made by a newer Atelier (version {version} of its form)"
            ))
            .hint("use the newer program; your pictures are safe, and are still saved"),
            Self::Other(error) => UserError::failed(format!("The picture index could not be opened: {error}"))
                .hint("check that there is room on the disk and that you may write to the folder"),
            Self::Backup(to, error) => {
                UserError::failed(format!("The picture index could not be copied to {}: {error}", file_name(&to)))
                    .hint("free some space and start again; nothing was changed")
            }
        }
        .path(database)
    }
}

/// Whether an error says that the file itself is broken.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn try_open(database: &Path, migrations: &[&str]) -> std::result::Result<Connection, OpenError> {
    let mut connection = Connection::open(database)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Room for the whole of `facts` and the words that a search meets.
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if needs_check(database) {
        if let Some(reason) = check(&connection)? {
            return Err(OpenError::Damaged(reason));
        }
        let _ = fs::remove_file(suspicion(database));
    } else {
        // Reads the first pages, and compares the file's length with what it should be.
        let _: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema WHERE sql <> ''", [], |row| row.get(0))?;
    }
    migrate(&mut connection, database, migrations)?;
    Ok(connection)
}

/// Whether the whole file is read through before it is used. A large one is looked through later, by
/// [`check_in_background`]: it would cost a second or more. What is found broken until then is noticed when it is met.
fn needs_check(database: &Path) -> bool {
    let is_large = fs::metadata(database).is_ok_and(|metadata| metadata.len() > CHECK_AT_ONCE);
    !is_large || suspicion(database).exists()
}

/// What is broken; `None` if nothing is.
fn check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Looks through a file that was too large for that when it was opened. A broken one is set aside when opened next.
pub(super) fn check_in_background(database: &Path) {
    if needs_check(database) {
        return;
    }
    let database = database.to_path_buf();
    let work = move || {
        let found = Connection::open_with_flags(&database, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|connection| connection.busy_timeout(BUSY_TIMEOUT).and_then(|()| check(&connection)));
        match found {
            Ok(None) => {}
            Ok(Some(reason)) => {
                tracing::error!(%reason, "the picture index is damaged; it is made anew at the next start");
                suspect(&database);
            }
            Err(error) if is_damage(&error) => suspect(&database),
            Err(error) => tracing::warn!(%error, "the picture index could not be looked through"),
        }
    };
    let started = std::thread::Builder::new().name("atelier-check".to_owned()).spawn(work);
    if let Err(error) = started {
        tracing::warn!(%error, "the picture index is not looked through");
    }
}

/// Notes that a file may be broken, so that it is read through when it is opened next.
pub(super) fn suspect(database: &Path) {
    if let Err(error) = File::create(suspicion(database)) {
        tracing::warn!(%error, "a suspicion about the picture index could not be noted");
    }
}

fn suspicion(database: &Path) -> PathBuf {
    with_suffix(database, ".suspect")
}

fn migrate(connection: &mut Connection, database: &Path, migrations: &[&str]) -> std::result::Result<(), OpenError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // No index has so many versions that this could wrap.
    let latest = migrations.len() as i64;
    if version > latest || version < 0 {
        return Err(OpenError::Newer(version));
    }
    if version == latest {
        return Ok(());
    }
    if version > 0 {
        let backup = with_suffix(database, &format!(".backup-v{version}"));
        let _ = fs::remove_file(&backup); // of a migration that was cut off
        connection
            .execute("VACUUM INTO ?1", [backup.to_string_lossy()])
            .map_err(|error| OpenError::Backup(backup, error))?;
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &migrations[version as usize..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", latest)?;
    transaction.commit()?;
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(connection: &Connection, table: &str) -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_migration_keeps_the_rows_and_a_copy_of_the_old_file() {
        let home = tempfile::tempdir().unwrap();
        let database = home.path().join("library.sqlite");
        let first = ["CREATE TABLE t (a); INSERT INTO t VALUES (1);"];
        let both = [first[0], "ALTER TABLE t ADD COLUMN b; INSERT INTO t VALUES (2, 3);"];
        drop(open_with(&database, &first).unwrap());
        let (connection, aside) = open_with(&database, &both).unwrap();
        assert!(aside.is_none());
        assert_eq!(count(&connection, "t"), 2);
        assert_eq!(count(&Connection::open(with_suffix(&database, ".backup-v1")).unwrap(), "t"), 1);
        drop(connection);

        // A step that fails changes nothing.
        let broken = [both[0], both[1], "INSERT INTO t VALUES (4, 5); NONSENSE;"];
        assert!(open_with(&database, &broken).is_err());
        assert_eq!(count(&open_with(&database, &both).unwrap().0, "t"), 2);
        // An older program leaves the file of a newer one alone.
        assert!(open_with(&database, &first).unwrap_err().sentence.contains("newer"));
        assert_eq!(count(&open_with(&database, &both).unwrap().0, "t"), 2);
    }

    #[test]
    fn it_is_durable_and_shared() {
        let home = tempfile::tempdir().unwrap();
        let (connection, _) = open(&home.path().join("new").join("library.sqlite")).unwrap();
        let text = |name| connection.pragma_query_value(None, name, |row| row.get::<_, String>(0)).unwrap();
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(text("journal_mode"), "wal");
        assert_eq!((number("synchronous"), number("foreign_keys"), number("busy_timeout")), (2, 1, 10_000));
    }

    #[test]
    fn a_large_file_is_looked_through_later_and_replaced_when_it_is_broken() {
        let home = tempfile::tempdir().unwrap();
        let database = home.path().join("library.sqlite");
        let (connection, _) = open(&database).unwrap();
        let rows = "WITH RECURSIVE n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n LIMIT 12000)
                    INSERT INTO folders (path) SELECT hex(randomblob(400)) || value FROM n";
        connection.execute_batch(rows).unwrap();
        drop(connection);
        assert!(!needs_check(&database));
        // Broken in its middle, where nothing is read at first.
        let mut bytes = fs::read(&database).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 100_000].fill(0xA5);
        fs::write(&database, &bytes).unwrap();
        let (connection, aside) = open(&database).unwrap();
        assert!(aside.is_none());
        drop(connection);
        check_in_background(&database);
        let patience = std::time::Instant::now() + Duration::from_mins(1);
        while !suspicion(&database).exists() {
            assert!(std::time::Instant::now() < patience, "the damage was not noticed");
            std::thread::sleep(Duration::from_millis(5));
        }
        let (connection, aside) = open(&database).unwrap();
        assert_eq!(fs::read(aside.unwrap()).unwrap(), bytes);
        assert_eq!((count(&connection, "folders"), suspicion(&database).exists()), (0, false));
    }
}
