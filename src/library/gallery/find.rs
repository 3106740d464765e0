//! Finding pictures: all keys of a search in order, and the rows of the few that are in view.

use std::cmp::Reverse;
use std::collections::HashMap;

use chrono::Local;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{ErrorCode, OptionalExtension, params_from_iter};

use super::super::index::Index;
use super::sql::{Parts, Translator};
use crate::domain::search::{Hint, Query, Test, parse};
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
        let Some(mut hits) = self.hits(request, &parsed.query, is_stale)? else { return Ok(None) };
        sort(&mut hits, request.sort);
        let mut result = SearchResult { total: hits.len(), ..SearchResult::default() };
        if !request.is_grouped {
            result.ids = hits.iter().map(|hit| PictureId(hit.id)).collect();
            return Ok(Some(Found { result, hints: parsed.hints }));
        }
        // Group of a recipe: its place in the list.
        let mut groups: HashMap<i64, usize> = HashMap::new();
        for hit in hits {
            if let Some(place) = hit.group.and_then(|key| groups.get(&key)) {
                result.group_sizes[*place] += 1;
            } else {
                groups.extend(hit.group.map(|key| (key, result.ids.len())));
                result.ids.push(PictureId(hit.id));
                result.group_sizes.push(1);
            }
        }
        Ok(Some(Found { result, hints: parsed.hints }))
    }

    /// What is found, in no order.
    fn hits(
        &self,
        request: &SearchRequest,
        query: &Query,
        is_stale: &dyn Fn() -> bool,
    ) -> rusqlite::Result<Option<Vec<Hit>>> {
        let translator = Translator { connection: &self.connection, folder: self.folder, now: Local::now() };
        let Parts { words, others } = translator.parts(query, 0)?;
        // The index by date serves what is found by date alone. For all else it would lead to every row one by one:
        // reading the whole table, or the rows that the words name, takes half the time.
        let is_by_date = matches!(request.scope, Scope::All)
            && query.all.iter().flatten().all(|term| !term.is_negated && matches!(term.test, Test::Date(_)));
        let folder = if is_by_date { "f.folder = ?" } else { "+f.folder = ?" };
        let mut from = "facts f".to_owned();
        let mut conditions = vec![folder.to_owned(), others.sql];
        let mut values = vec![Value::Integer(self.folder)];
        values.extend(others.values);
        let mut key = key(request.sort);
        match request.scope {
            Scope::All => {}
            Scope::SameRecipe(id) => {
                // A picture without a recipe is like no other.
                let same = "f.picture = ? OR f.recipe_key = (SELECT recipe_key FROM facts WHERE picture = ?)";
                conditions.push(same.to_owned());
                values.extend([Value::Integer(id.0), Value::Integer(id.0)]);
            }
            Scope::Collection(CollectionId(id)) if request.sort == SortOrder::Arranged && self.is_manual(id)? => {
                "collected c CROSS JOIN facts f ON f.picture = c.picture".clone_into(&mut from);
                conditions.push("c.collection = ?".to_owned());
                values.push(Value::Integer(id));
                key = "c.position";
            }
            Scope::Collection(CollectionId(id)) => {
                let within = translator.collection(id, 0)?;
                conditions.push(within.sql);
                values.extend(within.values);
            }
        }
        if let Some(words) = words {
            // The words come first: they nearly always leave the fewest rows.
            from = if from.starts_with("facts") {
                "words CROSS JOIN facts f ON f.picture = words.rowid".to_owned()
            } else {
                format!("{from} JOIN words ON words.rowid = f.picture")
            };
            conditions.push("words MATCH ?".to_owned());
            values.push(Value::Text(words));
        }
        let group = if request.is_grouped { "f.recipe_key" } else { "NULL" };
        let conditions: Vec<String> = conditions.iter().map(|condition| format!("({condition})")).collect();
        let sql =
            format!("SELECT f.picture, f.created_ms, {group}, {key} FROM {from} WHERE {}", conditions.join(" AND "));
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut hits = Vec::new();
        while let Some(row) = rows.next()? {
            if hits.len().is_multiple_of(LOOK_EVERY) && is_stale() {
                return Ok(None);
            }
            let key = match row.get_ref(3)? {
                ValueRef::Integer(number) => HitKey::Number(number),
                ValueRef::Text(text) => HitKey::Text(text.into()),
                _ => HitKey::None,
            };
            hits.push(Hit { id: row.get(0)?, created_ms: row.get(1)?, group: row.get(2)?, key });
        }
        Ok(Some(hits))
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

/// A picture that was found.
struct Hit {
    id: i64,
    created_ms: i64,
    group: Option<i64>,
    key: HitKey,
}

/// What it is sorted by. What is not known stands last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum HitKey {
    Number(i64),
    Text(Box<[u8]>),
    None,
}

/// The column that an order goes by, the smallest first.
const fn key(sort: SortOrder) -> &'static str {
    match sort {
        SortOrder::Newest | SortOrder::Oldest | SortOrder::Arranged => "NULL",
        SortOrder::Rating => "-(2 * f.rating + f.star)",
        SortOrder::Prompt => "f.prompt_start",
        SortOrder::Largest => "-(f.width * f.height)",
        SortOrder::Smallest => "f.width * f.height",
        SortOrder::Seed => "f.seed",
    }
}

/// Sorts here and not in `SQLite`: that takes a third of the time for 50,000. Equals stand newest first; those of one
/// millisecond are told apart by their keys, so that a list does not change when it is asked for again.
fn sort(hits: &mut [Hit], sort: SortOrder) {
    if sort == SortOrder::Oldest {
        hits.sort_unstable_by_key(|hit| (hit.created_ms, hit.id));
    } else {
        let newest = |hit: &Hit| Reverse((hit.created_ms, hit.id));
        hits.sort_unstable_by(|a, b| a.key.cmp(&b.key).then_with(|| newest(a).cmp(&newest(b))));
    }
}
