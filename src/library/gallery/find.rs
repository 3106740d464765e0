//! Finding pictures: all keys of a search in order, and the rows of the few that are in view.

use std::collections::HashMap;

use chrono::Local;
use rusqlite::types::Value;
use rusqlite::{ErrorCode, OptionalExtension, params_from_iter};

use super::super::index::Index;
use super::sql::{Condition, Translator};
use crate::domain::search::{Hint, parse};
use crate::domain::{
    CollectionId, GalleryRow, Marks, PictureId, Result, Scope, SearchRequest, SearchResult, SortOrder,
};

/// How many keys are read between two looks at whether the search is still wanted.
const LOOK_EVERY: usize = 1024;

/// What a search found, and what of it was not understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The pictures.
    pub result: SearchResult,
    /// What of the text was not understood.
    pub hints: Vec<Hint>,
}

impl Index {
    /// Finds pictures. `None` when `is_stale` said so in between, or the search was interrupted.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn find(&self, request: &SearchRequest, is_stale: &dyn Fn() -> bool) -> Result<Option<Found>> {
        match self.keys(request, is_stale) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(None),
            found => found.map_err(|error| self.explain(&error)),
        }
    }

    /// Pictures with their marks, in the order asked for. One that is not there any more is left out.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn rows(&self, ids: &[PictureId]) -> Result<Vec<GalleryRow>> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT p.id, p.path, p.created_ms, p.width, p.height, p.recipe, f.star, f.rating
                 FROM pictures p JOIN facts f ON f.picture = p.id WHERE p.id = ?1 AND p.folder = ?2",
            )?;
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                let row = statement.query_row([id.0, self.folder], |row| {
                    let marks = Marks { star: row.get(6)?, rating: row.get(7)? };
                    Ok(GalleryRow { entry: self.entry(row)?, marks })
                });
                rows.extend(row.optional()?);
            }
            Ok(rows)
        };
        read().map_err(|error: rusqlite::Error| self.explain(&error))
    }

    fn keys(&self, request: &SearchRequest, is_stale: &dyn Fn() -> bool) -> rusqlite::Result<Option<Found>> {
        let parsed = parse(&request.text);
        let translator = Translator { connection: &self.connection, folder: self.folder, now: Local::now() };
        let Condition { sql, mut values } = translator.query(&parsed.query, 0)?;
        let mut condition = format!("f.folder = ? AND ({sql})");
        values.insert(0, Value::Integer(self.folder));
        let mut from = "facts f";
        let mut order = order(request.sort);
        match request.scope {
            Scope::All => {}
            Scope::SameRecipe(id) => {
                // A picture without a recipe is like no other.
                condition += " AND (f.picture = ? OR f.recipe_key = (SELECT recipe_key FROM facts WHERE picture = ?))";
                values.extend([Value::Integer(id.0), Value::Integer(id.0)]);
            }
            Scope::Collection(CollectionId(id)) if request.sort == SortOrder::Arranged && self.is_manual(id)? => {
                from = "collected c JOIN facts f ON f.picture = c.picture";
                condition += " AND c.collection = ?";
                values.push(Value::Integer(id));
                order = "c.position, f.picture";
            }
            Scope::Collection(CollectionId(id)) => {
                let within = translator.collection(id, 0)?;
                condition += &format!(" AND ({})", within.sql);
                values.extend(within.values);
            }
        }
        let sql = format!("SELECT f.picture, f.recipe_key FROM {from} WHERE {condition} ORDER BY {order}");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut result = SearchResult::default();
        // Group of a recipe: its place in the list.
        let mut groups: HashMap<i64, usize> = HashMap::new();
        while let Some(row) = rows.next()? {
            if result.total.is_multiple_of(LOOK_EVERY) && is_stale() {
                return Ok(None);
            }
            result.total += 1;
            if request.is_grouped {
                if let Some(key) = row.get::<_, Option<i64>>(1)? {
                    if let Some(place) = groups.get(&key) {
                        result.group_sizes[*place] += 1;
                        continue;
                    }
                    groups.insert(key, result.ids.len());
                }
                result.group_sizes.push(1);
            }
            result.ids.push(PictureId(row.get(0)?));
        }
        Ok(Some(Found { result, hints: parsed.hints }))
    }

    fn is_manual(&self, collection: i64) -> rusqlite::Result<bool> {
        let is_manual = self
            .connection
            .prepare_cached("SELECT query IS NULL FROM collections WHERE id = ?1 AND folder = ?2")?
            .query_row([collection, self.folder], |row| row.get(0))
            .optional()?;
        Ok(is_manual.unwrap_or(false))
    }
}

/// Equals are told apart by their keys, so that a list does not change when it is asked for again.
const fn order(sort: SortOrder) -> &'static str {
    match sort {
        SortOrder::Newest | SortOrder::Arranged => "f.created_ms DESC, f.picture DESC",
        SortOrder::Oldest => "f.created_ms, f.picture",
        SortOrder::Rating => "f.rating DESC, f.star DESC, f.created_ms DESC, f.picture DESC",
        SortOrder::Prompt => "f.prompt_start IS NULL, f.prompt_start, f.created_ms DESC, f.picture DESC",
        SortOrder::Largest => "f.width * f.height DESC, f.created_ms DESC, f.picture DESC",
        SortOrder::Smallest => "f.width * f.height, f.created_ms DESC, f.picture DESC",
        SortOrder::Seed => "f.seed IS NULL, f.seed, f.created_ms DESC, f.picture DESC",
    }
}
