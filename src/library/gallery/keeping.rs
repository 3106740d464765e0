//! The file that keeps marks and collections: [`KEPT_FILE`] in the pictures folder, beside the pictures.
//!
//! Every change is in the index at once, which is durable. The file is written after it, whole or not at all, whenever
//! the library's thread finds the time; the index counts changes, so that one that a crash cut off is made up for at the
//! next start. It is read when it is not the one that was last written: after the index was lost, after the folder came
//! from another machine. What it says is then added to what the index says; nothing is taken away.
//!
//! The form: `{"format": 1, "pictures": [{"path", "created_ms", "size", "star", "rating", "in": [[name, position], …]},
//! …], "collections": [{"name", "query"}, …], "families": {hash: family}}`. A picture is known by its path and by when
//! it was made and its bytes, so that one that was renamed is found too. Pictures that are not there are kept with
//! `gone_ms`, for 90 days.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::super::atomic;
use super::super::index::{Index, Stamp};
use super::super::paths::file_name;
use super::super::settings::rename_aside;
use super::collections::checked_name;
use super::marks::MEMBERSHIPS;
use crate::domain::{Marks, Result, UserError};

/// The file's name, below the pictures folder.
pub const KEPT_FILE: &str = "atelier-gallery.json";
/// How long marks of a picture that is not there are kept, in milliseconds: 90 days. A disk may be unplugged for a while.
const PATIENCE_MS: i64 = 90 * 24 * 3600 * 1000;
/// A larger file is none of ours: 50,000 marked pictures take about 8 MiB.
const MAX_BYTES: u64 = 256 << 20;
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Kept {
    format: u32,
    #[serde(default)]
    pictures: Vec<KeptPicture>,
    #[serde(default)]
    collections: Vec<KeptCollection>,
    #[serde(default)]
    families: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct KeptPicture {
    path: String,
    created_ms: i64,
    size: i64,
    #[serde(flatten)]
    marks: Marks,
    #[serde(default, rename = "in", skip_serializing_if = "Vec::is_empty")]
    collections: Vec<(String, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct KeptCollection {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
}

impl Index {
    /// Whether marks or collections have changed since [`KEPT_FILE`] was written.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn is_keeping_behind(&self) -> Result<bool> {
        let sql = "SELECT marks_version <> kept_version FROM folders WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.explain(&error))?;
        statement.query_row([self.folder], |row| row.get(0)).map_err(|error| self.explain(&error))
    }

    /// Writes [`KEPT_FILE`] if it is behind, after taking in what another program wrote there. Gives what is to be told.
    ///
    /// # Errors
    /// When it cannot be written or the index not be read. The old file is then as it was, and nothing is lost: the index
    /// has it all.
    pub fn keep(&mut self) -> Result<Option<UserError>> {
        if !self.is_keeping_behind()? {
            return Ok(None);
        }
        let notice = self.take_in_kept()?;
        let read = || {
            // One view of the index, whoever writes to it meanwhile.
            let transaction = self.connection.unchecked_transaction()?;
            let sql = "SELECT marks_version FROM folders WHERE id = ?1";
            let version: i64 = transaction.query_row(sql, [self.folder], |row| row.get(0))?;
            self.kept(&transaction).map(|kept| (version, kept))
        };
        let (version, kept) = read().map_err(|error| self.explain(&error))?;
        let path = self.kept_path();
        let bytes = serde_json::to_vec(&kept)
            .map_err(|error| UserError::failed(format!("Could not write down the marks: {error}")).path(&path))?;
        atomic::write(&path, &bytes)?;
        let stamp = fs::metadata(&path).map(|metadata| Stamp::of(&metadata)).ok();
        self.remember(Some(version), stamp).map_err(|error| self.explain(&error))?;
        Ok(notice)
    }

    /// Takes in [`KEPT_FILE`] unless it is the one that was last written or read. Gives what is to be told: a file that
    /// cannot be read is set aside.
    ///
    /// # Errors
    /// When the index cannot be written, or the file not be read or set aside.
    pub fn take_in_kept(&mut self) -> Result<Option<UserError>> {
        let path = self.kept_path();
        let Some((stamp, text)) = read_file(&path)? else { return Ok(None) };
        if self.remembered().map_err(|error| self.explain(&error))? == stamp {
            return Ok(None);
        }
        let parsed = serde_json::from_slice::<Kept>(&text);
        let reason = match &parsed {
            Err(error) => Some(error.to_string()),
            // As far as it is understood it is taken in; but it must not be written over.
            Ok(kept) if kept.format > FORMAT => Some("a newer Atelier wrote it".to_owned()),
            Ok(_) => None,
        };
        if let Ok(kept) = &parsed {
            let take_in = || {
                let transaction = self.connection.unchecked_transaction()?;
                self.take_in(kept)?;
                transaction.commit()
            };
            take_in().map_err(|error| self.explain(&error))?;
        }
        let Some(reason) = reason else {
            self.remember(None, Some(stamp)).map_err(|error| self.explain(&error))?;
            return Ok(None);
        };
        let aside = rename_aside(&path, "aside")
            .map_err(|error| UserError::failed(format!("Could not set {KEPT_FILE} aside: {error}")).path(&path))?;
        let sentence = format!("The file with your stars and collections could not be read in full: {reason}");
        Ok(Some(UserError::failed(sentence).hint(format!("it is kept as {}", file_name(&aside))).path(aside)))
    }

    fn kept_path(&self) -> PathBuf {
        self.pictures_dir.join(KEPT_FILE)
    }

    /// All that is to be kept.
    fn kept(&self, connection: &Connection) -> rusqlite::Result<Kept> {
        let now = chrono::Utc::now().timestamp_millis();
        let sql = format!(
            "SELECT p.path, p.created_ms, p.size, f.star, f.rating, {MEMBERSHIPS}, NULL
             FROM pictures p JOIN facts f ON f.picture = p.id WHERE p.folder = ?1
                AND (f.star <> 0 OR f.rating <> 0 OR EXISTS (SELECT 1 FROM collected WHERE picture = p.id))
             UNION ALL SELECT path, created_ms, size, star, rating, collections, since_ms FROM waiting
             WHERE folder = ?1 AND since_ms >= ?2"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let pictures = statement.query_map(params![self.folder, now - PATIENCE_MS], |row| {
            let collections: String = row.get(5)?;
            Ok(KeptPicture {
                path: row.get(0)?,
                created_ms: row.get(1)?,
                size: row.get(2)?,
                marks: Marks { star: row.get(3)?, rating: row.get(4)? },
                collections: serde_json::from_str(&collections).unwrap_or_default(),
                gone_ms: row.get(6)?,
            })
        })?;
        let sql = "SELECT name, query FROM collections WHERE folder = ?1 ORDER BY name_key";
        let mut statement = connection.prepare_cached(sql)?;
        let collections =
            statement.query_map([self.folder], |row| Ok(KeptCollection { name: row.get(0)?, query: row.get(1)? }))?;
        let mut statement = connection.prepare_cached("SELECT hash, family FROM families")?;
        let families = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Kept {
            format: FORMAT,
            pictures: pictures.collect::<rusqlite::Result<_>>()?,
            collections: collections.collect::<rusqlite::Result<_>>()?,
            families: families.collect::<rusqlite::Result<_>>()?,
        })
    }

    fn take_in(&self, kept: &Kept) -> rusqlite::Result<()> {
        let now = chrono::Utc::now().timestamp_millis();
        for KeptCollection { name, query } in &kept.collections {
            if let Ok(name) = checked_name(name) {
                self.connection.execute(
                    "INSERT INTO collections (folder, name, name_key, query) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                    params![self.folder, name, name.to_lowercase(), query],
                )?;
            }
        }
        for (hash, family) in &kept.families {
            self.connection
                .execute("INSERT OR REPLACE INTO families (hash, family) VALUES (?1, ?2)", [hash, family])?;
        }
        for picture in &kept.pictures {
            let KeptPicture { path, created_ms, size, marks, collections, gone_ms } = picture;
            let there = self
                .connection
                .prepare_cached(
                    "SELECT id FROM pictures WHERE folder = ?1 AND path = ?2 AND (created_ms = ?3 OR size = ?4)
                     UNION ALL SELECT id FROM pictures WHERE folder = ?1 AND created_ms = ?3 AND size = ?4
                         AND 1 = (SELECT count(*) FROM pictures WHERE folder = ?1 AND created_ms = ?3 AND size = ?4)
                     LIMIT 1",
                )?
                .query_row(params![self.folder, path, created_ms, size], |row| row.get::<_, i64>(0))
                .optional()?;
            if let Some(id) = there {
                self.set_marks(id, *marks, collections)?;
                continue;
            }
            let collections = serde_json::to_string(collections).unwrap_or_else(|_| "[]".to_owned());
            self.connection
                .prepare_cached(
                    "INSERT INTO waiting (folder, path, created_ms, size, star, rating, collections, since_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    self.folder,
                    path,
                    created_ms,
                    size,
                    marks.star,
                    marks.rating.min(Marks::MAX_RATING),
                    collections,
                    gone_ms.unwrap_or(now)
                ])?;
        }
        Ok(())
    }

    /// The stamp of the file as it was last written or read.
    fn remembered(&self) -> rusqlite::Result<Stamp> {
        let sql = "SELECT kept_mtime_ns, kept_size FROM folders WHERE id = ?1";
        self.connection.query_row(sql, [self.folder], |row| Ok(Stamp { mtime_ns: row.get(0)?, size: row.get(1)? }))
    }

    fn remember(&self, version: Option<i64>, stamp: Option<Stamp>) -> rusqlite::Result<()> {
        let stamp = stamp.unwrap_or(Stamp { mtime_ns: 0, size: 0 });
        self.connection
            .execute(
                "UPDATE folders SET kept_version = coalesce(?2, kept_version), kept_mtime_ns = ?3, kept_size = ?4
                 WHERE id = ?1",
                params![self.folder, version, stamp.mtime_ns, stamp.size],
            )
            .map(drop)
    }
}

/// The file and its stamp; `None` where there is none.
fn read_file(path: &Path) -> Result<Option<(Stamp, Vec<u8>)>> {
    let cannot = |error: std::io::Error| {
        UserError::failed(format!("{KEPT_FILE} cannot be read: {error}"))
            .hint("your stars and collections are in it; check that you may read it")
            .path(path)
    };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    };
    let stamp = Stamp::of(&file.metadata().map_err(cannot)?);
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(cannot)?;
    Ok(Some((stamp, text)))
}
