//! From a [`Query`] to SQL. What the user typed goes into bound values only.

use std::fmt::Display;

use chrono::{DateTime, Local};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};

use super::dates::milliseconds;
use super::facts::ordered;
use super::text::phrase;
use crate::domain::search::{self, Edge, Key, Query, Span, Term, Test, families, samplers, schedules};
use crate::domain::{FamilyId, search::family_name};

/// How deep smart collections may ask for one another; deeper is a circle.
const MAX_DEPTH: u8 = 8;
/// What words without a key are looked for in.
const ANYWHERE: &str = "prompt rest";

/// A condition on rows of `facts f`, with the values that it binds in order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Condition {
    pub sql: String,
    pub values: Vec<Value>,
}

/// A query as the index answers it best.
pub(super) struct Parts {
    /// An expression of FTS5 for the words that must be there.
    pub words: Option<String>,
    /// All else.
    pub others: Condition,
}

/// Makes conditions; knows the folder and the day.
pub(super) struct Translator<'a> {
    pub connection: &'a Connection,
    pub folder: i64,
    pub now: DateTime<Local>,
}

impl Condition {
    fn new(sql: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Self { sql: sql.into(), values: values.into_iter().collect() }
    }

    fn always(holds: bool) -> Self {
        Self::new(if holds { "1" } else { "0" }, [])
    }

    /// Several joined by `AND` or `OR`; `empty` where there are none.
    fn joined(conditions: Vec<Self>, by: &str, empty: bool) -> Self {
        if conditions.is_empty() {
            return Self::always(empty);
        }
        let sql: Vec<String> = conditions.iter().map(|condition| format!("({})", condition.sql)).collect();
        Self::new(sql.join(by), conditions.into_iter().flat_map(|condition| condition.values))
    }
}

impl Translator<'_> {
    /// What a query asks for.
    pub fn query(&self, query: &Query, depth: u8) -> rusqlite::Result<Condition> {
        let Parts { words, others } = self.parts(query, depth)?;
        Ok(Condition::joined(words.map(matching).into_iter().chain([others]).collect(), " AND ", true))
    }

    /// What a query asks for, with the words that must be there apart: they are looked up together, in one walk through
    /// the index of words.
    pub fn parts(&self, query: &Query, depth: u8) -> rusqlite::Result<Parts> {
        let (words, others): (Vec<_>, Vec<_>) = query.all.iter().partition(|clause| clause.iter().all(is_words));
        let expressions: Vec<String> = words
            .iter()
            .filter_map(|clause| {
                let terms: Vec<String> = clause.iter().filter_map(|term| words_expression(&term.test)).collect();
                // A word that holds no letter as the index counts them asks for nothing.
                (!terms.is_empty()).then(|| format!("({})", terms.join(" OR ")))
            })
            .collect();
        let mut conditions = Vec::new();
        for clause in others {
            let terms: rusqlite::Result<Vec<_>> = clause.iter().map(|term| self.term(term, depth)).collect();
            conditions.push(Condition::joined(terms?, " OR ", true));
        }
        let words = (!expressions.is_empty()).then(|| expressions.join(" AND "));
        Ok(Parts { words, others: Condition::joined(conditions, " AND ", true) })
    }

    fn term(&self, term: &Term, depth: u8) -> rusqlite::Result<Condition> {
        let condition = self.test(&term.test, depth)?;
        if !term.is_negated {
            return Ok(condition);
        }
        // What is not known of a picture does not hold.
        Ok(Condition::new(format!("NOT coalesce({}, 0)", condition.sql), condition.values))
    }

    fn test(&self, test: &Test, depth: u8) -> rusqlite::Result<Condition> {
        Ok(match test {
            Test::Words(_) | Test::WordsIn(..) => {
                words_expression(test).map_or_else(|| Condition::always(true), matching)
            }
            Test::Text(Key::Collection, name) => self.collection_named(name, depth)?,
            Test::Text(key, text) => text_condition(*key, text, self.folder),
            Test::Whole(key, span) => span_condition(column(*key), *span, |number| whole(*key, number)),
            Test::Number(key, span) => span_condition(column(*key), *span, Value::Real),
            Test::Dimensions(width, height) => {
                Condition::new("f.width = ? AND f.height = ?", [whole(Key::Width, *width), whole(Key::Height, *height)])
            }
            Test::Date(span) => {
                let (low, high) = milliseconds(span, self.now);
                let low = low.map(|ms| Condition::new("f.created_ms >= ?", [Value::Integer(ms)]));
                let high = high.map(|ms| Condition::new("f.created_ms < ?", [Value::Integer(ms)]));
                Condition::joined(low.into_iter().chain(high).collect(), " AND ", true)
            }
            Test::YesNo(key, yes) => yes_no_condition(*key, *yes),
        })
    }

    /// The pictures of a collection.
    pub fn collection(&self, id: i64, depth: u8) -> rusqlite::Result<Condition> {
        let query = self
            .connection
            .prepare_cached("SELECT query FROM collections WHERE id = ?1 AND folder = ?2")?
            .query_row(params![id, self.folder], |row| row.get::<_, Option<String>>(0))
            .optional()?;
        match query {
            None => Ok(Condition::always(false)),
            Some(None) => Ok(Condition::new(
                "f.picture IN (SELECT picture FROM collected WHERE collection = ?)",
                [Value::Integer(id)],
            )),
            Some(Some(_)) if depth >= MAX_DEPTH => Ok(Condition::always(false)),
            Some(Some(text)) => self.query(&search::parse(&text).query, depth + 1),
        }
    }

    /// The pictures of the collection of that name; where there is none, of all whose names begin so.
    fn collection_named(&self, name: &str, depth: u8) -> rusqlite::Result<Condition> {
        let key = name.trim().to_lowercase();
        let ids = |sql: &str| {
            let mut statement = self.connection.prepare_cached(sql)?;
            let ids = statement.query_map(params![self.folder, key], |row| row.get::<_, i64>(0))?;
            ids.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut found = ids("SELECT id FROM collections WHERE folder = ?1 AND name_key = ?2")?;
        if found.is_empty() {
            found = ids("SELECT id FROM collections WHERE folder = ?1 AND substr(name_key, 1, length(?2)) = ?2")?;
        }
        let conditions: rusqlite::Result<Vec<_>> = found.into_iter().map(|id| self.collection(id, depth)).collect();
        Ok(Condition::joined(conditions?, " OR ", false))
    }
}

fn is_words(term: &Term) -> bool {
    !term.is_negated && matches!(term.test, Test::Words(_) | Test::WordsIn(..))
}

fn words_expression(test: &Test) -> Option<String> {
    match test {
        Test::Words(words) => phrase(ANYWHERE, &words.text, words.is_prefix),
        Test::WordsIn(Key::Negative, words) => phrase("negative", &words.text, words.is_prefix),
        Test::WordsIn(_, words) => phrase("prompt", &words.text, words.is_prefix),
        _ => None,
    }
}

fn matching(expression: String) -> Condition {
    Condition::new("f.picture IN (SELECT rowid FROM words WHERE words MATCH ?)", [Value::Text(expression)])
}

fn text_condition(key: Key, text: &str, folder: i64) -> Condition {
    let lower = || Value::Text(text.trim().to_lowercase());
    match key {
        Key::Sampler => one_of("f.sampler", samplers(text)),
        Key::Schedule => one_of("f.schedule", schedules(text)),
        Key::Family => {
            let wanted = families(text);
            let hashes = one_of("family", wanted.iter().map(|id| family_name(*id)));
            // The starter is known by its request; it has no file to take a hash of.
            let starter = i64::from(wanted.contains(&FamilyId::Starter));
            Condition::new(
                format!(
                    "f.is_starter = 1 AND {starter} OR f.is_starter = 0 AND f.model IN
                     (SELECT id FROM models WHERE hash IN (SELECT hash FROM families WHERE {}))",
                    hashes.sql
                ),
                hashes.values,
            )
        }
        Key::Hash => Condition::new(
            "f.model IN (SELECT id FROM models WHERE substr(hash, 1, length(?)) = ?)",
            [lower(), lower()],
        ),
        Key::Lora => Condition::new("instr(f.loras, ?) > 0", [lower()]),
        Key::File => Condition::new(
            "f.picture IN (SELECT id FROM pictures WHERE folder = ? AND path LIKE ? ESCAPE '\\')",
            [Value::Integer(folder), Value::Text(format!("%{}%", escaped(text.trim())))],
        ),
        // `Key::Model`; the parser gives no other key a text.
        _ => Condition::new("f.model IN (SELECT id FROM models WHERE instr(name_key, ?) > 0)", [lower()]),
    }
}

/// A text as `LIKE` takes it literally.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

fn one_of<T: Display>(column: &str, names: impl IntoIterator<Item = T>) -> Condition {
    let names: Vec<Value> = names.into_iter().map(|name| Value::Text(name.to_string())).collect();
    Condition::new(format!("{column} IN ({})", vec!["?"; names.len()].join(", ")), names)
}

const fn column(key: Key) -> &'static str {
    match key {
        Key::Width => "f.width",
        Key::Height => "f.height",
        Key::Steps => "f.steps",
        Key::Guidance => "f.guidance",
        Key::Seed => "f.seed",
        Key::Rating => "f.rating",
        Key::Seconds => "f.seconds",
        // `Key::Size`; no other key is a number.
        _ => "max(f.width, f.height)",
    }
}

fn whole(key: Key, number: u64) -> Value {
    Value::Integer(if key == Key::Seed { ordered(number) } else { i64::try_from(number).unwrap_or(i64::MAX) })
}

fn span_condition<T: Copy>(column: &str, span: Span<T>, value: impl Fn(T) -> Value) -> Condition {
    let side = |edge: Option<Edge<T>>, sign: &str| {
        edge.map(|edge| {
            let equal = if edge.is_included { "=" } else { "" };
            Condition::new(format!("{column} {sign}{equal} ?"), [value(edge.value)])
        })
    };
    Condition::joined(side(span.low, ">").into_iter().chain(side(span.high, "<")).collect(), " AND ", true)
}

fn yes_no_condition(key: Key, yes: bool) -> Condition {
    let holds = match key {
        Key::Star => "f.star = 1",
        Key::Safe => "coalesce(f.flagged, 0) = 0",
        Key::Recipe => "f.model IS NOT NULL",
        Key::Init => "coalesce(f.init, 0) = 1",
        // `Key::Hires`; no other key is a yes or no.
        _ => "coalesce(f.hires, 0) = 1",
    };
    Condition::new(if yes { holds.to_owned() } else { format!("NOT ({holds})") }, [])
}
