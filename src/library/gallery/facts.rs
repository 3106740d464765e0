//! What a search asks for, taken out of a picture's recipe: the rows of `facts` and `words`.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::super::schema::BUSY_TIMEOUT;
use super::text::searchable;
use crate::domain::{ModelRef, Recipe, prompt};

/// Counts changes of the rules below: rows that were made by others are made again when the index is opened. Since 2 more
/// tools' recipes are read: the files of pictures without one are looked at again.
const FACTS_VERSION: i64 = 2;

/// How long to wait for another that makes all rows again.
const PATIENCE: Duration = Duration::from_mins(5);
/// How much of a prompt pictures are sorted by, in characters.
const PROMPT_START: usize = 64;

const UPSERT: &str = "
    INSERT INTO facts (picture, folder, created_ms, width, height, model, is_starter, sampler, schedule, steps, guidance,
        seed, seconds, flagged, init, hires, loras, prompt_start, recipe_key)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
    ON CONFLICT (picture) DO UPDATE SET
        created_ms = excluded.created_ms, width = excluded.width, height = excluded.height, model = excluded.model,
        is_starter = excluded.is_starter, sampler = excluded.sampler, schedule = excluded.schedule,
        steps = excluded.steps, guidance = excluded.guidance, seed = excluded.seed, seconds = excluded.seconds,
        flagged = excluded.flagged, init = excluded.init, hires = excluded.hires, loras = excluded.loras,
        prompt_start = excluded.prompt_start, recipe_key = excluded.recipe_key";

/// Which picture facts are about, and what is known without its recipe.
pub(in crate::library) struct Subject<'a> {
    pub id: i64,
    pub folder: i64,
    /// Below the pictures folder.
    pub relative: &'a str,
    pub created_ms: i64,
    pub width_px: u32,
    pub height_px: u32,
}

/// Writes what a search asks for; marks that are there stay. To be called within a transaction.
pub(in crate::library) fn write_facts(
    connection: &Connection,
    of: &Subject<'_>,
    recipe: Option<&Recipe>,
) -> rusqlite::Result<()> {
    let request = recipe.map(|recipe| &recipe.request);
    let model = recipe.map(|recipe| model_id(connection, recipe)).transpose()?;
    let loras = recipe.map(lora_names);
    connection.prepare_cached(UPSERT)?.execute(params![
        of.id,
        of.folder,
        of.created_ms,
        of.width_px,
        of.height_px,
        model,
        request.map(|request| request.model == ModelRef::Starter),
        request.map(|request| request.sampler.name()),
        request.map(|request| request.schedule.name()),
        request.map(|request| request.num_inference_steps),
        request.map(|request| request.guidance_scale),
        request.map(|request| ordered(request.seed)),
        recipe.map(|recipe| recipe.elapsed_secs),
        recipe.and_then(|recipe| recipe.safety).map(|verdict| verdict.flagged),
        request.map(|request| request.init.is_some()),
        request.map(|request| request.hires.is_some()),
        loras
            .as_ref()
            .map(|names| names.iter().flat_map(|name| ["\n".to_owned(), name.to_lowercase()]).collect::<String>()),
        request.map(|request| request.prompt.to_lowercase().chars().take(PROMPT_START).collect::<String>()),
        recipe.map(recipe_key),
    ])?;
    let rest = recipe.map(|recipe| rest(recipe, &loras.unwrap_or_default())).unwrap_or_default();
    connection
        .prepare_cached("INSERT OR REPLACE INTO words (rowid, prompt, negative, rest) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            of.id,
            request.map_or_else(String::new, |request| searchable(&request.prompt)),
            request.map_or_else(String::new, |request| searchable(&request.negative_prompt)),
            searchable(&format!("{rest}\n{}", of.relative)),
        ])?;
    Ok(())
}

/// Makes all rows again if they were made by other rules, or not at all.
pub(in crate::library) fn bring_up_to_date(connection: &mut Connection) -> rusqlite::Result<()> {
    let version = |connection: &Connection| {
        connection.query_row("SELECT facts_version FROM state", [], |row| row.get::<_, i64>(0))
    };
    if version(connection)? == FACTS_VERSION {
        return Ok(());
    }
    // Another thread or program that opens it now does the same work: one waits for the other, and finds it done.
    connection.busy_timeout(PATIENCE)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version(&transaction)? != FACTS_VERSION {
        transaction.execute("INSERT INTO words (words) VALUES ('delete-all')", [])?;
        let mut pictures =
            transaction.prepare("SELECT id, folder, path, created_ms, width, height, recipe FROM pictures")?;
        let mut rows = pictures.query([])?;
        while let Some(row) = rows.next()? {
            let relative: String = row.get(2)?;
            let recipe: Option<String> = row.get(6)?;
            let recipe = recipe.and_then(|recipe| serde_json::from_str(&recipe).ok());
            let of = Subject {
                id: row.get(0)?,
                folder: row.get(1)?,
                relative: &relative,
                created_ms: row.get(3)?,
                width_px: row.get(4)?,
                height_px: row.get(5)?,
            };
            write_facts(&transaction, &of, recipe.as_ref())?;
        }
        drop(rows);
        drop(pictures);
        // A file that seems to have changed is read by the next rescan.
        transaction.execute("UPDATE pictures SET mtime_ns = 0 WHERE recipe IS NULL", [])?;
        transaction.execute("UPDATE state SET facts_version = ?1", [FACTS_VERSION])?;
    }
    transaction.commit()?;
    connection.busy_timeout(BUSY_TIMEOUT)
}

/// A seed as a number that `SQLite` can hold and sort.
pub(super) const fn ordered(seed: u64) -> i64 {
    (seed ^ (1 << 63)) as i64
}

/// A hash of all that makes a picture but its seeds.
pub(super) fn recipe_key(recipe: &Recipe) -> i64 {
    let mut request = recipe.request.clone();
    request.seed = 0;
    if let Some(variation) = &mut request.variation {
        variation.seed = 0;
    }
    request.count = 1;
    // Only a path that is not Unicode cannot be written; such recipes are told apart by what Unicode can say.
    let text = serde_json::to_string(&request).unwrap_or_else(|_| format!("{request:?}"));
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    hash.update([0]);
    hash.update(recipe.model_hash.as_bytes());
    if let Some(axes) = &recipe.grid {
        hash.update(serde_json::to_string(axes).unwrap_or_default());
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_le_bytes(first)
}

fn model_id(connection: &Connection, recipe: &Recipe) -> rusqlite::Result<i64> {
    let (name, hash) = (&recipe.model_name, recipe.model_hash.to_lowercase());
    let known = connection
        .prepare_cached("SELECT id FROM models WHERE name = ?1 AND hash = ?2")?
        .query_row(params![name, hash], |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => connection
            .prepare_cached("INSERT INTO models (name, name_key, hash) VALUES (?1, ?2, ?3) RETURNING id")?
            .query_row(params![name, name.to_lowercase(), hash], |row| row.get(0)),
    }
}

/// The names of the adapters: those beside the prompt and those that it names.
fn lora_names(recipe: &Recipe) -> Vec<String> {
    let beside = recipe.request.loras.iter().map(|lora| stem(&lora.path));
    let named = [&recipe.request.prompt, &recipe.request.negative_prompt];
    let named = named.into_iter().flat_map(|text| prompt::extract_networks(text).networks).map(|network| network.name);
    let mut names: Vec<String> = beside.chain(named).map(|name| name.replace('\n', " ")).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What else a recipe says that somebody may look for without a key.
fn rest(recipe: &Recipe, loras: &[String]) -> String {
    let request = &recipe.request;
    let mut rest = vec![
        recipe.model_name.clone(),
        recipe.model_hash.clone(),
        request.model.to_string(),
        request.sampler.label().to_owned(),
        request.sampler.name().to_owned(),
        request.schedule.label().to_owned(),
        request.schedule.name().to_owned(),
        request.seed.to_string(),
        format!("{}x{}", request.width_px, request.height_px),
    ];
    rest.extend_from_slice(loras);
    rest.extend(request.vae.as_deref().map(stem));
    rest.extend(request.init.as_ref().map(|init| stem(&init.picture)));
    rest.join("\n")
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
