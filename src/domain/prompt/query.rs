//! What an editor of prompts asks of the floors that know models and files, and what they answer.

use super::TokenCount;
use crate::domain::{ModelRef, UserError};

/// What an editor of prompts asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptQuery {
    /// Which wildcards there are. Answered by [`PromptAnswer::Wildcards`].
    Wildcards,
    /// How many tokens a prompt takes. Answered by [`PromptAnswer::Counted`].
    Count(CountQuery),
}

/// What is to be counted: all of a request that the tokens depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountQuery {
    /// Whose tokenizer counts.
    pub model: ModelRef,
    /// The prompt.
    pub prompt: String,
    /// The negative prompt.
    pub negative_prompt: String,
    /// Steps, which schedules are read by.
    pub steps: u32,
    /// What wildcards are drawn by.
    pub seed: u64,
}

/// A wildcard that a prompt can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WildcardCard {
    /// Its name, without underscores.
    pub name: String,
    /// How many texts it stands for.
    pub texts: usize,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptAnswer {
    /// The wildcards, by name.
    Wildcards(Vec<WildcardCard>),
    /// How many tokens the prompt and the negative prompt take, or why that cannot be told.
    Counted {
        /// What was counted.
        query: CountQuery,
        /// Of the prompt, and of the negative prompt.
        counts: Result<[TokenCount; 2], UserError>,
    },
}
