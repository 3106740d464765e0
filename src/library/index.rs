//! [`Index`]: the `SQLite` index of the pictures. The pictures are the truth; the index only makes listing them fast. What
//! it knows beyond them is in [`super::gallery`].

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::gallery::{Subject, bring_up_to_date, write_facts};
use super::image_io::{PictureInfo, read_info};
use super::paths::Paths;
use super::schema;
use super::sources::names_in;
use crate::domain::{PictureEntry, PictureId, Recipe, Result, UserError};

/// The index of one pictures folder. Each thread and each program opens its own; `SQLite` keeps them apart.
pub struct Index {
    pub(super) connection: Connection,
    database: PathBuf,
    pub(super) pictures_dir: PathBuf,
    pub(super) folder: i64,
    set_aside: Option<PathBuf>,
}

/// What the index holds of a picture.
pub(super) struct NewRow {
    pub(super) relative: String,
    pub(super) created_ms: i64,
    pub(super) width_px: u32,
    pub(super) height_px: u32,
    pub(super) recipe: Option<Recipe>,
    pub(super) stamp: Stamp,
}

/// What tells whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    /// Time of the last change in nanoseconds since 1970.
    pub(super) mtime_ns: i64,
    /// Bytes.
    pub(super) size: i64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let mtime = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        // Nanoseconds since 1970 fit into i64 until the year 2262.
        Self { mtime_ns: mtime.map_or(0, |time| time.as_nanos() as i64), size: metadata.len() as i64 }
    }
}

const UPSERT: &str = "
    INSERT INTO pictures (folder, path, created_ms, width, height, recipe, prompt, mtime_ns, size)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (folder, path) DO UPDATE SET
        created_ms = excluded.created_ms, width = excluded.width, height = excluded.height, recipe = excluded.recipe,
        prompt = excluded.prompt, mtime_ns = excluded.mtime_ns, size = excluded.size
    RETURNING id";

impl Index {
    /// Opens the index, or makes an empty one. A damaged one is set aside: see [`Self::set_aside`].
    ///
    /// # Errors
    /// When it can be neither opened nor made, or a newer program made it.
    pub fn open(paths: &Paths) -> Result<Self> {
        let (mut connection, set_aside) = schema::open(&paths.database)?;
        let updated = bring_up_to_date(&mut connection);
        let pictures_dir = std::path::absolute(&paths.pictures_dir).unwrap_or_else(|_| paths.pictures_dir.clone());
        let mut index = Self { connection, database: paths.database.clone(), pictures_dir, folder: 0, set_aside };
        index.folder = updated.and_then(|()| index.folder_id()).map_err(|error| index.explain(&error))?;
        Ok(index)
    }

    /// Where a damaged index was moved to when this one was begun.
    #[must_use]
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// Whether no rescan has gone through the folder yet, so that a list may lack pictures.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn needs_rescan(&self) -> Result<bool> {
        self.connection
            .query_row("SELECT scanned = 0 FROM folders WHERE id = ?1", [self.folder], |row| row.get(0))
            .map_err(|error| self.explain(&error))
    }

    /// The path below the pictures folder and the size of every picture, in bytes.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(super) fn sizes(&self) -> Result<Vec<(String, u64)>> {
        let read = || {
            let mut statement = self.connection.prepare_cached("SELECT path, size FROM pictures WHERE folder = ?1")?;
            let rows = statement.query_map([self.folder], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.explain(&error))
    }

    /// Takes in a picture that was just saved below the pictures folder, or one that changed.
    ///
    /// # Errors
    /// When the file is elsewhere or cannot be read, or the index cannot be written.
    pub fn insert(&mut self, path: &Path) -> Result<PictureEntry> {
        let relative = self.relative(path).ok_or_else(|| {
            UserError::input("The picture is not below the pictures folder, or its name is not Unicode").path(path)
        })?;
        let metadata = fs::metadata(path)
            .map_err(|error| UserError::failed(format!("The picture cannot be read: {error}")).path(path))?;
        let row = NewRow::of(relative, Stamp::of(&metadata), read_info(path)?);
        let upsert = || {
            let transaction = self.connection.unchecked_transaction()?;
            let id = self.upsert(&row)?;
            transaction.commit().map(|()| id)
        };
        let id = upsert().map_err(|error| self.explain(&error))?;
        Ok(PictureEntry {
            id: PictureId(id),
            path: path.to_path_buf(),
            created_ms: row.created_ms,
            width_px: row.width_px,
            height_px: row.height_px,
            recipe: row.recipe,
        })
    }

    /// The names of masks and pictures that were kept (see [`super::sources`]) in the recipes of all known pictures, of this
    /// folder and of others.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn sources_in_recipes(&self) -> Result<HashSet<String>> {
        let read = || {
            let sql = "SELECT recipe FROM pictures WHERE instr(recipe, '\"init\"') > 0";
            let mut names = HashSet::new();
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                names.extend(names_in(row.get_ref(0)?.as_str()?).into_iter().map(str::to_owned));
            }
            Ok(names)
        };
        read().map_err(|error| self.explain(&error))
    }

    /// Forgets a picture; its file is not touched. Nothing happens where there is no such picture.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn remove(&mut self, id: PictureId) -> Result<()> {
        self.connection
            .execute("DELETE FROM pictures WHERE id = ?1", [id.0])
            .map(drop)
            .map_err(|error| self.explain(&error))
    }

    /// Forgets the picture at a path, as [`Self::remove`].
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn remove_path(&mut self, path: &Path) -> Result<()> {
        let Some(relative) = self.relative(path) else { return Ok(()) };
        self.connection
            .execute("DELETE FROM pictures WHERE folder = ?1 AND path = ?2", params![self.folder, relative])
            .map(drop)
            .map_err(|error| self.explain(&error))
    }

    /// Takes in a row with all that a search asks for, and gives it the marks that wait for it. To be called within a
    /// transaction.
    pub(super) fn upsert(&self, row: &NewRow) -> rusqlite::Result<i64> {
        let recipe = row.recipe.as_ref().and_then(|recipe| serde_json::to_string(recipe).ok());
        let prompt = row.recipe.as_ref().map_or("", |recipe| recipe.request.prompt.as_str());
        let values = params![
            self.folder,
            row.relative,
            row.created_ms,
            row.width_px,
            row.height_px,
            recipe,
            prompt,
            row.stamp.mtime_ns,
            row.stamp.size
        ];
        let id = self.connection.prepare_cached(UPSERT)?.query_row(values, |row| row.get(0))?;
        let of = Subject {
            id,
            folder: self.folder,
            relative: &row.relative,
            created_ms: row.created_ms,
            width_px: row.width_px,
            height_px: row.height_px,
        };
        write_facts(&self.connection, &of, row.recipe.as_ref())?;
        self.adopt(id, &row.relative, row.created_ms, row.stamp.size)?;
        Ok(id)
    }

    /// Gives a picture whose file was renamed its new path. False where another program was faster. To be called within
    /// a transaction.
    pub(super) fn rename(&self, id: i64, relative: &str) -> rusqlite::Result<bool> {
        let sql = "UPDATE OR IGNORE pictures SET path = ?2 WHERE id = ?1
                   RETURNING created_ms, width, height, recipe";
        let mut statement = self.connection.prepare_cached(sql)?;
        let row = statement.query_row(params![id, relative], |row| {
            let recipe: Option<String> = row.get(3)?;
            let of = Subject {
                id,
                folder: self.folder,
                relative,
                created_ms: row.get(0)?,
                width_px: row.get(1)?,
                height_px: row.get(2)?,
            };
            Ok((of, recipe.and_then(|recipe| serde_json::from_str::<Recipe>(&recipe).ok())))
        });
        let Some((of, recipe)) = row.optional()? else { return Ok(false) };
        // The file's name is among the words.
        write_facts(&self.connection, &of, recipe.as_ref())?;
        Ok(true)
    }

    /// The path below the pictures folder with `/` between its parts; `None` for one elsewhere or not in Unicode.
    pub(super) fn relative(&self, path: &Path) -> Option<String> {
        let path = std::path::absolute(path).ok()?;
        let parts = path.strip_prefix(&self.pictures_dir).ok()?.components().map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        });
        let parts: Vec<&str> = parts.collect::<Option<_>>()?;
        (!parts.is_empty()).then(|| parts.join("/"))
    }

    /// The opposite of [`Self::relative`].
    pub(super) fn absolute(&self, relative: &str) -> PathBuf {
        relative.split('/').fold(self.pictures_dir.clone(), |path, part| path.join(part))
    }

    pub(super) fn explain(&self, error: &rusqlite::Error) -> UserError {
        let hint = if schema::is_damage(error) {
            // Opened again, it is read through, and replaced.
            schema::suspect(&self.database);
            "start Atelier again: the index is rebuilt from the pictures"
        } else {
            "check that there is room on the disk; your pictures are safe"
        };
        UserError::failed(format!("The picture index failed: {error}")).hint(hint).path(&self.database)
    }

    /// The key of the pictures folder, entered if it is new.
    fn folder_id(&self) -> rusqlite::Result<i64> {
        // A folder that is not Unicode is told apart as well as Unicode can; two such could only be mixed up until the
        // next rescan.
        let path = self.pictures_dir.to_string_lossy();
        self.connection.execute("INSERT OR IGNORE INTO folders (path) VALUES (?1)", [&path])?;
        self.connection.query_row("SELECT id FROM folders WHERE path = ?1", [&path], |row| row.get(0))
    }

    /// A picture from a row that begins with key, path, date, width, height and recipe.
    pub(super) fn entry(&self, row: &Row<'_>) -> rusqlite::Result<PictureEntry> {
        let relative: String = row.get(1)?;
        let recipe: Option<String> = row.get(5)?;
        Ok(PictureEntry {
            id: PictureId(row.get(0)?),
            path: self.absolute(&relative),
            created_ms: row.get(2)?,
            width_px: row.get(3)?,
            height_px: row.get(4)?,
            recipe: recipe.and_then(|recipe| serde_json::from_str(&recipe).ok()),
        })
    }
}

impl NewRow {
    /// What a file says of itself; its date where it does not say when it was made.
    pub(super) fn of(relative: String, stamp: Stamp, info: PictureInfo) -> Self {
        let PictureInfo { width_px, height_px, embedded } = info;
        Self {
            relative,
            created_ms: embedded.created_ms().unwrap_or(stamp.mtime_ns / 1_000_000),
            width_px,
            height_px,
            recipe: embedded.recipe(),
            stamp,
        }
    }
}
