//! Collections of pictures: those that the user fills and orders, and those that stand for a search.

use std::collections::HashSet;

use rusqlite::{Connection, ErrorCode, params};

use super::super::index::Index;
use crate::domain::{Collection, CollectionId, PictureId, Result, UserError};

/// The longest name, in characters.
const MAX_NAME: usize = 100;

impl Index {
    /// Every collection of the folder, by name.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn collections(&self) -> Result<Vec<Collection>> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT id, name, query, (SELECT count(*) FROM collected WHERE collection = id)
                 FROM collections WHERE folder = ?1 ORDER BY name_key",
            )?;
            let rows = statement.query_map([self.folder], |row| {
                let query: Option<String> = row.get(2)?;
                let count = query.is_none().then_some(row.get::<_, i64>(3)? as usize);
                Ok(Collection { id: CollectionId(row.get(0)?), name: row.get(1)?, query, count })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.explain(&error))
    }

    /// Makes a collection: an empty one, or one that stands for a search.
    ///
    /// # Errors
    /// When the name is empty, too long or taken, or the index cannot be written.
    pub fn create_collection(&mut self, name: &str, query: Option<&str>) -> Result<CollectionId> {
        let name = checked_name(name)?;
        let sql = "INSERT INTO collections (folder, name, name_key, query) VALUES (?1, ?2, ?3, ?4) RETURNING id";
        let values = params![self.folder, name, name.to_lowercase(), query];
        let made = self.connection.query_row(sql, values, |row| row.get(0)).map(CollectionId);
        made.map_err(|error| self.explain_name(&error, name))
    }

    /// Gives a collection another name.
    ///
    /// # Errors
    /// As [`Self::create_collection`].
    pub fn rename_collection(&mut self, id: CollectionId, name: &str) -> Result<()> {
        let name = checked_name(name)?;
        let sql = "UPDATE collections SET name = ?1, name_key = ?2 WHERE id = ?3 AND folder = ?4";
        let renamed = self.connection.execute(sql, params![name, name.to_lowercase(), id.0, self.folder]);
        renamed.map(drop).map_err(|error| self.explain_name(&error, name))
    }

    /// Gives a smart collection another search. One that holds pictures stays as it is.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn set_collection_query(&mut self, id: CollectionId, query: &str) -> Result<()> {
        let sql = "UPDATE collections SET query = ?1 WHERE id = ?2 AND folder = ?3 AND query IS NOT NULL";
        let set = self.connection.execute(sql, params![query, id.0, self.folder]);
        set.map(drop).map_err(|error| self.explain(&error))
    }

    /// Deletes a collection. The pictures in it stay.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn delete_collection(&mut self, id: CollectionId) -> Result<()> {
        let sql = "DELETE FROM collections WHERE id = ?1 AND folder = ?2";
        self.connection.execute(sql, [id.0, self.folder]).map(drop).map_err(|error| self.explain(&error))
    }

    /// Puts pictures at the end of a collection, in the order given. Those that are in it stay where they are.
    ///
    /// # Errors
    /// When it is no collection that holds pictures, or the index cannot be written.
    pub fn collect(&mut self, id: CollectionId, pictures: &[PictureId]) -> Result<()> {
        self.change(id, |connection| {
            let sql = "SELECT coalesce(max(position) + 1, 0) FROM collected WHERE collection = ?1";
            let first: i64 = connection.query_row(sql, [id.0], |row| row.get(0))?;
            for (picture, position) in pictures.iter().zip(first..) {
                collect(connection, id.0, picture.0, position)?;
            }
            Ok(())
        })
    }

    /// Takes pictures out of a collection.
    ///
    /// # Errors
    /// As [`Self::collect`].
    pub fn uncollect(&mut self, id: CollectionId, pictures: &[PictureId]) -> Result<()> {
        self.change(id, |connection| {
            let mut statement =
                connection.prepare_cached("DELETE FROM collected WHERE collection = ?1 AND picture = ?2")?;
            for picture in pictures {
                statement.execute([id.0, picture.0])?;
            }
            Ok(())
        })
    }

    /// Moves pictures of a collection before another one of it, or to its end, in the order given.
    ///
    /// # Errors
    /// As [`Self::collect`].
    pub fn arrange(&mut self, id: CollectionId, pictures: &[PictureId], before: Option<PictureId>) -> Result<()> {
        self.change(id, |connection| {
            let sql = "SELECT picture FROM collected WHERE collection = ?1 ORDER BY position, picture";
            let rows =
                connection.prepare_cached(sql)?.query_map([id.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>();
            let order: Vec<i64> = rows?;
            let held: HashSet<i64> = order.iter().copied().collect();
            let moved: Vec<i64> = pictures.iter().map(|id| id.0).filter(|id| held.contains(id)).collect();
            let is_moved: HashSet<i64> = moved.iter().copied().collect();
            // The place is that of the first picture from `before` on that stays.
            let place = before.and_then(|before| order.iter().position(|id| *id == before.0)).unwrap_or(order.len());
            let stays = |part: &[i64]| part.iter().copied().filter(|id| !is_moved.contains(id)).collect::<Vec<_>>();
            let new = [stays(&order[..place]), moved, stays(&order[place..])].concat();
            let mut statement = connection.prepare_cached(
                "UPDATE collected SET position = ?3 WHERE collection = ?1 AND picture = ?2 AND position <> ?3",
            )?;
            for (picture, position) in new.into_iter().zip(0_i64..) {
                statement.execute([id.0, picture, position])?;
            }
            Ok(())
        })
    }

    /// Changes what is in a collection, all of it or nothing.
    fn change(&mut self, id: CollectionId, work: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<()> {
        let sql = "SELECT count(*) FROM collections WHERE id = ?1 AND folder = ?2 AND query IS NULL";
        let known = self.connection.query_row(sql, [id.0, self.folder], |row| row.get::<_, i64>(0));
        if known.map_err(|error| self.explain(&error))? == 0 {
            return Err(UserError::input("That is no collection that pictures can be put into")
                .hint("a smart collection holds what its search finds"));
        }
        let write = || {
            let transaction = self.connection.unchecked_transaction()?;
            work(&transaction)?;
            transaction.commit()
        };
        write().map_err(|error| self.explain(&error))
    }

    fn explain_name(&self, error: &rusqlite::Error, name: &str) -> UserError {
        if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
            return UserError::input(format!("There is a collection named {name} already"))
                .hint("choose another name, or put the pictures into that one");
        }
        self.explain(error)
    }
}

/// Puts a picture into a collection, unless it is in it or is not there any more.
pub(super) fn collect(connection: &Connection, collection: i64, picture: i64, position: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO collected (collection, picture, position)
             SELECT ?1, picture, ?3 FROM facts
             WHERE picture = ?2 AND folder = (SELECT folder FROM collections WHERE id = ?1)
             ON CONFLICT DO NOTHING",
        )?
        .execute([collection, picture, position])
        .map(drop)
}

/// A name without what nobody can see.
pub(super) fn checked_name(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.contains(char::is_control) {
        return Err(UserError::input(format!("A collection needs a name of 1 to {MAX_NAME} characters in one line")));
    }
    Ok(name)
}
