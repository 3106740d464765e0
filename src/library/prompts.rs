//! Prompts that were used before, from the index; and what the window asks of the library's thread about them and about
//! styles.

use std::collections::HashSet;
use std::path::PathBuf;

use super::index::Index;
use crate::domain::prompt::PromptStyle;
use crate::domain::{Recipe, Result, UserError};

/// Most prompts that are found at once.
pub const MAX_FOUND: usize = 200;

/// A prompt that a picture was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedPrompt {
    /// The prompt.
    pub prompt: String,
    /// The negative prompt of the newest picture that was made from it.
    pub negative_prompt: String,
    /// When that was made, in milliseconds since 1970 UTC.
    pub created_ms: i64,
}

/// What the window asks about prompts and styles.
#[derive(Clone, Debug, PartialEq)]
pub enum PromptsCommand {
    /// Find prompts that were used, newest first, each once; all that have each of these words. Answered by `Used`.
    FindUsed(String),
    /// Read the styles. Answered by `Styles`.
    LoadStyles,
    /// Write the styles, atomically. Answered by `Failed` only.
    SaveStyles(Vec<PromptStyle>),
    /// Read another program's styles. Answered by `Imported` or `Failed`.
    ImportStyles(PathBuf),
}

/// What the library's thread tells about prompts and styles.
#[derive(Clone, Debug, PartialEq)]
pub enum PromptsEvent {
    /// Prompts that were used.
    Used {
        /// What was searched for.
        search: String,
        /// Newest first, [`MAX_FOUND`] at most.
        found: Vec<UsedPrompt>,
    },
    /// The styles.
    Styles {
        /// In the user's order.
        styles: Vec<PromptStyle>,
        /// What was wrong with their file, to be shown.
        problem: Option<UserError>,
    },
    /// Another program's styles.
    Imported {
        /// In the file's order.
        styles: Vec<PromptStyle>,
        /// Rows that were no styles.
        skipped: usize,
    },
    /// Something could not be read or written; nothing has changed.
    Failed(UserError),
}

impl Index {
    /// Prompts of this folder's pictures, newest first, each once; those that have each of the words of `search`,
    /// regardless of case. It reads no further than it must.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn used_prompts(&self, search: &str) -> Result<Vec<UsedPrompt>> {
        let words: Vec<String> = search.split_whitespace().map(str::to_lowercase).collect();
        let find = || {
            let sql = "SELECT prompt, created_ms, recipe FROM pictures WHERE folder = ?1
                       ORDER BY created_ms DESC, id DESC";
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([self.folder])?;
            let mut known = HashSet::new();
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let prompt = row.get_ref(0)?.as_str().unwrap_or_default().trim();
                if prompt.is_empty() || known.contains(prompt) {
                    continue;
                }
                known.insert(prompt.to_owned());
                let lower = prompt.to_lowercase();
                if words.iter().all(|word| lower.contains(word)) {
                    let recipe = row.get_ref(2)?.as_str().ok();
                    let recipe = recipe.and_then(|recipe| serde_json::from_str::<Recipe>(recipe).ok());
                    found.push(UsedPrompt {
                        prompt: prompt.to_owned(),
                        negative_prompt: recipe.map(|recipe| recipe.request.negative_prompt).unwrap_or_default(),
                        created_ms: row.get(1)?,
                    });
                    if found.len() == MAX_FOUND {
                        break;
                    }
                }
            }
            Ok(found)
        };
        find().map_err(|error| self.explain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{GenerateRequest, Picture};
    use crate::library::{Paths, PictureStore};

    #[test]
    fn used_prompts_come_once_and_newest_first() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(home.path());
        let mut store = PictureStore::open(&paths).unwrap();
        for (prompt, negative_prompt) in
            [("a cat", "old"), ("a red dress", ""), ("", "x"), ("a CAT in ink", ""), (" a cat ", "new")]
        {
            let recipe = Recipe {
                request: GenerateRequest {
                    prompt: prompt.to_owned(),
                    negative_prompt: negative_prompt.to_owned(),
                    ..GenerateRequest::default()
                },
                model_name: "m".to_owned(),
                model_hash: "h".to_owned(),
                version: "v".to_owned(),
                elapsed_secs: 1.0,
                ..Recipe::default()
            };
            let picture = Picture { width_px: 1, height_px: 1, rgba: vec![0; 4] };
            store.save(&picture, &recipe).unwrap();
        }
        let index = Index::open(&paths).unwrap();
        let found = |search: &str| -> Vec<(String, String)> {
            let found = index.used_prompts(search).unwrap();
            assert!(found.windows(2).all(|pair| pair[0].created_ms >= pair[1].created_ms));
            found.into_iter().map(|used| (used.prompt, used.negative_prompt)).collect()
        };
        let pair = |prompt: &str, negative: &str| (prompt.to_owned(), negative.to_owned());
        assert_eq!(found(""), [pair("a cat", "new"), pair("a CAT in ink", ""), pair("a red dress", "")]);
        assert_eq!(found(" INK cat"), [pair("a CAT in ink", "")]);
        assert_eq!(found("boots"), []);
    }
}
