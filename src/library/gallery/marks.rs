//! Marks of pictures: set by the user, kept while a picture is away, given back when it comes again.

use rusqlite::{OptionalExtension, params};

use super::super::index::Index;
use super::collections::collect;
use crate::domain::search::family_name;
use crate::domain::{FamilyId, GalleryRow, Marks, PictureId, Result, TrashedPicture, UserError};

/// How many pictures are starred, and all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All pictures of the folder.
    pub all: usize,
    /// The starred ones.
    pub starred: usize,
}

/// The collections of a picture, as they are written down: `[[name, position], …]`.
pub(super) const MEMBERSHIPS: &str = "(SELECT json_group_array(json_array(c.name, m.position))
    FROM collected m JOIN collections c ON c.id = m.collection WHERE m.picture = p.id)";

impl Index {
    /// Stars pictures, or takes the stars back.
    ///
    /// # Errors
    /// When the index cannot be written; nothing has changed then.
    pub fn star(&mut self, ids: &[PictureId], star: bool) -> Result<()> {
        self.mark("UPDATE facts SET star = ?1 WHERE picture = ?2 AND folder = ?3", ids, i64::from(star))
    }

    /// Rates pictures, from 0 (not rated) to [`Marks::MAX_RATING`]; more is taken for that.
    ///
    /// # Errors
    /// As [`Self::star`].
    pub fn rate(&mut self, ids: &[PictureId], rating: u8) -> Result<()> {
        let rating = rating.min(Marks::MAX_RATING);
        self.mark("UPDATE facts SET rating = ?1 WHERE picture = ?2 AND folder = ?3", ids, i64::from(rating))
    }

    /// Remembers of which family the model with a hash is, for `family:`; recipes do not tell.
    ///
    /// # Errors
    /// As [`Self::star`].
    pub fn know_family(&mut self, hash: &str, family: FamilyId) -> Result<()> {
        let write = || {
            let transaction = self.connection.unchecked_transaction()?;
            let is_new = transaction.execute(
                "INSERT INTO families (hash, family) VALUES (?1, ?2)
                 ON CONFLICT (hash) DO UPDATE SET family = excluded.family WHERE family <> excluded.family",
                params![hash.to_lowercase(), family_name(family)],
            )?;
            if is_new > 0 {
                transaction
                    .execute("UPDATE folders SET marks_version = marks_version + 1 WHERE id = ?1", [self.folder])?;
            }
            transaction.commit()
        };
        if hash.is_empty() { Ok(()) } else { write().map_err(|error| self.explain(&error)) }
    }

    /// Counts the pictures.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn counts(&self) -> Result<Counts> {
        // The sign keeps `SQLite` from going through the index by date, row by row.
        let sql = "SELECT count(*), coalesce(sum(star), 0) FROM facts WHERE +folder = ?1";
        let counted = self.connection.prepare_cached(sql).and_then(|mut statement| {
            statement.query_row([self.folder], |row| {
                Ok(Counts { all: row.get::<_, i64>(0)? as usize, starred: row.get::<_, i64>(1)? as usize })
            })
        });
        counted.map_err(|error| self.explain(&error))
    }

    /// Forgets a picture that the user threw away, and gives what is needed to take it back.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn forget(&mut self, id: PictureId) -> Result<Option<TrashedPicture>> {
        let forget = || {
            let transaction = self.connection.unchecked_transaction()?;
            let sql = format!(
                "SELECT p.path, f.star, f.rating, {MEMBERSHIPS} FROM pictures p JOIN facts f ON f.picture = p.id
                 WHERE p.id = ?1 AND p.folder = ?2"
            );
            let row = transaction.prepare_cached(&sql)?.query_row([id.0, self.folder], |row| {
                let relative: String = row.get(0)?;
                let collections: String = row.get(3)?;
                Ok(TrashedPicture {
                    id,
                    path: self.absolute(&relative),
                    marks: Marks { star: row.get(1)?, rating: row.get(2)? },
                    collections: serde_json::from_str(&collections).unwrap_or_default(),
                })
            });
            let forgotten = row.optional()?;
            transaction.execute("DELETE FROM pictures WHERE id = ?1 AND folder = ?2", [id.0, self.folder])?;
            transaction.commit().map(|()| forgotten)
        };
        forget().map_err(|error: rusqlite::Error| self.explain(&error))
    }

    /// Takes a picture back in whose file is where it was, with its marks and collections. Its key is a new one.
    ///
    /// # Errors
    /// When the file cannot be read or the index not be written.
    pub fn take_back(&mut self, picture: &TrashedPicture) -> Result<GalleryRow> {
        let id = self.insert(&picture.path)?.id;
        let write = || {
            let transaction = self.connection.unchecked_transaction()?;
            self.set_marks(id.0, picture.marks, &picture.collections)?;
            transaction.commit()
        };
        write().map_err(|error| self.explain(&error))?;
        let row = self.rows(&[id])?.pop();
        row.ok_or_else(|| UserError::failed("The picture is gone again").path(&picture.path))
    }

    /// Forgets a picture whose file has gone; its marks wait, in case it comes back. True if there was such a picture.
    /// To be called within a transaction.
    pub(in crate::library) fn part_with(&self, id: i64) -> rusqlite::Result<bool> {
        let sql = format!(
            "INSERT OR REPLACE INTO waiting (folder, path, created_ms, size, star, rating, collections, since_ms)
             SELECT p.folder, p.path, p.created_ms, p.size, f.star, f.rating, {MEMBERSHIPS}, ?2
             FROM pictures p JOIN facts f ON f.picture = p.id WHERE p.id = ?1
                AND (f.star <> 0 OR f.rating <> 0 OR EXISTS (SELECT 1 FROM collected WHERE picture = p.id))"
        );
        self.connection.prepare_cached(&sql)?.execute(params![id, chrono::Utc::now().timestamp_millis()])?;
        Ok(self.connection.prepare_cached("DELETE FROM pictures WHERE id = ?1")?.execute([id])? > 0)
    }

    /// Gives a picture the marks that wait for it: under its path, or under another one if it was renamed meanwhile
    /// and no other can be meant. To be called within a transaction.
    pub(in crate::library) fn adopt(
        &self,
        id: i64,
        relative: &str,
        created_ms: i64,
        size: i64,
    ) -> rusqlite::Result<()> {
        let waiting = self
            .connection
            .prepare_cached(
                "SELECT path, star, rating, collections FROM waiting
                 WHERE folder = ?1 AND path = ?2 AND (created_ms = ?3 OR size = ?4)
                 UNION ALL SELECT path, star, rating, collections FROM waiting
                 WHERE folder = ?1 AND created_ms = ?3 AND size = ?4 AND 1 = (SELECT count(*) FROM waiting
                     WHERE folder = ?1 AND created_ms = ?3 AND size = ?4) LIMIT 1",
            )?
            .query_row(params![self.folder, relative, created_ms, size], |row| {
                let marks = Marks { star: row.get(1)?, rating: row.get(2)? };
                Ok((row.get::<_, String>(0)?, marks, row.get::<_, String>(3)?))
            })
            .optional()?;
        let Some((path, marks, collections)) = waiting else { return Ok(()) };
        let collections: Vec<(String, i64)> = serde_json::from_str(&collections).unwrap_or_default();
        self.set_marks(id, marks, &collections)?;
        self.connection
            .prepare_cached("DELETE FROM waiting WHERE folder = ?1 AND path = ?2")?
            .execute(params![self.folder, path])?;
        Ok(())
    }

    /// Sets marks beside those that are there, and puts the picture into collections. To be called within a transaction.
    pub(super) fn set_marks(&self, id: i64, marks: Marks, collections: &[(String, i64)]) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE facts SET star = max(star, ?2), rating = CASE WHEN ?3 > 0 THEN ?3 ELSE rating END
                 WHERE picture = ?1",
            )?
            .execute(params![id, marks.star, marks.rating.min(Marks::MAX_RATING)])?;
        for (name, position) in collections {
            let collection = self
                .connection
                .prepare_cached("SELECT id FROM collections WHERE folder = ?1 AND name_key = ?2 AND query IS NULL")?
                .query_row(params![self.folder, name.to_lowercase()], |row| row.get::<_, i64>(0))
                .optional()?;
            // A collection that was deleted meanwhile takes nothing in.
            if let Some(collection) = collection {
                collect(&self.connection, collection, id, *position)?;
            }
        }
        Ok(())
    }

    fn mark(&mut self, sql: &str, ids: &[PictureId], value: i64) -> Result<()> {
        let write = || {
            let transaction = self.connection.unchecked_transaction()?;
            {
                let mut statement = transaction.prepare_cached(sql)?;
                for id in ids {
                    statement.execute([value, id.0, self.folder])?;
                }
            }
            transaction.commit()
        };
        write().map_err(|error: rusqlite::Error| self.explain(&error))
    }
}
