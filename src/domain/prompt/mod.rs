//! Prompts: the syntax that stable-diffusion-webui (A1111) made common, read into plain data.
//!
//! A prompt is text for people first, so nothing here fails: what cannot be followed is left as it is or passed over,
//! and a [`PromptProblem`] says so. The order is the web UI's: [`expand`] draws braces and wildcards, then
//! [`Prompt::parse`] takes the networks out, splits at `AND`, follows the schedules and reads the weights; [`chunks`]
//! makes of that what a text encoder reads, and [`apply_emphasis`] applies the weights to what it gives.
//!
//! ```
//! use atelier::domain::prompt::Prompt;
//!
//! let prompt = Prompt::parse("a (red:1.2) [house:castle:0.5] <lora:ink:0.8> AND rain :0.5", 20);
//! assert_eq!(prompt.networks[0].name, "ink");
//! assert_eq!(prompt.parts[1].weight, 0.5);
//! let first = &prompt.parts[0];
//! assert_eq!(first.at(10).text, "a (red:1.2) house");
//! assert_eq!(first.at(11).text, "a (red:1.2) castle");
//! assert!(prompt.problems.is_empty());
//! ```
//!
//! Not read: comments after `#` (an option of the web UI that hides what a `#` in a colour's name follows), and the
//! variables and templates of sd-dynamic-prompts.

mod attention;
mod check;
mod chunks;
mod complete;
mod compose;
mod count;
mod dynamic;
mod edit;
mod highlight;
mod networks;
#[cfg(test)]
mod properties;
mod query;
mod schedule;
mod style;
mod text;
mod trace;
mod wildcards;
mod words;
mod yaml;

pub use attention::{Attention, MAX_WEIGHT, Piece, Span, SpanKind, parse as parse_attention, spans as attention_spans};
pub use check::{Names, Remark, remarks};
pub use chunks::{CHUNK_IDS, COMMA_BACKTRACK, Chunk, Chunks, SpecialIds, apply_emphasis, chunks};
pub use complete::{Completing, Stub, complete, rank, stub_at};
pub use compose::{Composition, Part, split as split_composition};
pub use count::{Drawn, TokenCount, count, draw_both};
pub use dynamic::{Expansion, MAX_DEPTH, MAX_DRAWS, expand, expand_traced};
pub use edit::{Edit, adjust_weight};
pub use highlight::highlight;
pub use networks::{Extracted, Network, extract as extract_networks, with_network, without_network};
pub use query::{CountQuery, PromptAnswer, PromptQuery, WildcardCard};
pub use schedule::{Schedule, ScheduledText};
pub use style::{PromptStyle, Styled, styled};
pub use trace::{Traced, TracedPiece, trace, trace_negative};
pub use wildcards::{Choice, WildcardLists, WildcardProblem};
pub use words::{find_word, find_words, with_word, without_word};

use serde::{Deserialize, Serialize};

/// Something in a prompt that is not followed as it was meant. `Display` gives a sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptProblem {
    /// The number of `(text:number)`.
    #[error("The weight `{weight}` is no number, so it is read as text")]
    WeightIsNoNumber {
        /// As it is written.
        weight: String,
    },
    /// A character outside of brackets makes the web UI leave all schedules as text.
    #[error("The schedules of this prompt are not followed, because of the `{character}` outside of square brackets")]
    ScheduleNotFollowed {
        /// Which one; a backslash before it would keep it.
        character: char,
        /// Where it stands in this part of the prompt, without networks.
        byte: usize,
    },
    /// A weight at the end of a prompt without `AND`.
    #[error("`{weight}` at the end weighs the whole prompt; put a full stop after it if it is text")]
    WeightOfWholePrompt {
        /// With its colon.
        weight: String,
    },
    /// A kind of network that is not built.
    #[error("`<{kind}:{name}>` is left out: only LoRAs are supported")]
    NetworkNotSupported {
        /// The word after `<`.
        kind: String,
        /// The first argument.
        name: String,
    },
    /// `<lora:…>` without a name.
    #[error("A `<lora:…>` names no file")]
    NetworkWithoutName,
    /// An argument of an adapter.
    #[error("The option `{option}` of a LoRA is not supported")]
    NetworkOptionNotSupported {
        /// As it is written.
        option: String,
    },
    /// An adapter's weight.
    #[error("The weight `{weight}` of the LoRA `{name}` is no number, so its usual weight is used")]
    NetworkWeightIsNoNumber {
        /// The adapter.
        name: String,
        /// As it is written.
        weight: String,
    },
    /// Networks work through the prompt alone.
    #[error("`<{kind}:{name}>` has no effect in a negative prompt, where it is read as text")]
    NetworkInNegativePrompt {
        /// The word after `<`.
        kind: String,
        /// The first argument.
        name: String,
    },
    /// No list of that name, or an empty one.
    #[error("There is no wildcard `{name}`, so it stays in the text")]
    UnknownWildcard {
        /// Without the underscores.
        name: String,
    },
    /// `${…}`.
    #[error("Variables are not supported, so `{text}` stays in the text")]
    VariableNotSupported {
        /// As it is written.
        text: String,
    },
    /// A `{` that nothing closes.
    #[error("A `{{` is not closed, so it is read as text")]
    UnclosedBrace,
    /// Braces or wildcards in each other without an end.
    #[error("Braces or wildcards nest too deeply or name themselves; the rest of them stays in the text")]
    ExpansionTooDeep,
    /// The drawn text.
    #[error("The drawn text is too long; its end is cut off")]
    ExpansionTooLong,
}

/// Text for the encoder: the same at one or more steps.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptText {
    /// With its brackets, as a person reads it.
    pub text: String,
    /// With its weights, as [`chunks`] takes it.
    pub pieces: Vec<Piece>,
}

/// One of the prompts that `AND` joins, over the steps.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptPart {
    /// How strongly it guides: 1 is plain.
    pub weight: f64,
    /// Its texts, each once: a pipeline encodes every one of them once.
    pub texts: Vec<PromptText>,
    /// The last step (from 1) of each stretch, and the index of its text. The last one ends with the last step.
    pub schedule: Vec<(u32, usize)>,
}

impl PromptPart {
    /// The index of the text at a step, from 1; after the last step that of the last.
    #[must_use]
    pub fn index_at(&self, step: u32) -> usize {
        let entry = self.schedule.iter().find(|(until_step, _)| step <= *until_step).or(self.schedule.last());
        entry.map_or(0, |(_, index)| *index)
    }

    /// The text at a step, from 1.
    #[must_use]
    pub fn at(&self, step: u32) -> &PromptText {
        &self.texts[self.index_at(step)]
    }
}

/// Everything that a pipeline needs to know of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// At least one; more where `AND` joins them.
    pub parts: Vec<PromptPart>,
    /// The adapters that it asks for, in its order.
    pub networks: Vec<Network>,
    /// What is not followed as it was meant, each once.
    pub problems: Vec<PromptProblem>,
}

impl Prompt {
    /// Reads a prompt for a number of steps, 1 to [`super::limits::MAX_STEPS`]. Braces and wildcards are text here: see
    /// [`expand`].
    #[must_use]
    pub fn parse(text: &str, steps: u32) -> Self {
        let Extracted { text, networks, problems } = networks::extract(text);
        let composition = compose::split(&text);
        let mut prompt = Self { parts: Vec::new(), networks, problems: Vec::new() };
        prompt.note(problems);
        prompt.note(composition.problem);
        for part in composition.parts {
            prompt.push(&text[part.range], part.weight, steps);
        }
        prompt
    }

    /// Reads a negative prompt: one part, without networks, as in the web UI, where `AND` and `<lora:…>` are text there.
    #[must_use]
    pub fn parse_negative(text: &str, steps: u32) -> Self {
        let mut prompt = Self { parts: Vec::new(), networks: Vec::new(), problems: Vec::new() };
        prompt.note(networks::tags(text).into_iter().map(|tag| PromptProblem::NetworkInNegativePrompt {
            kind: tag.kind.to_owned(),
            name: tag.arguments.split(':').next().unwrap_or_default().to_owned(),
        }));
        prompt.push(text, 1.0, steps);
        prompt
    }

    /// Whether the prompt is one text without weights, schedules or networks.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let plain = |piece: &Piece| matches!(piece, Piece::Run { weight, .. } if *weight == 1.0);
        let [part] = self.parts.as_slice() else { return false };
        let [text] = part.texts.as_slice() else { return false };
        part.weight == 1.0 && self.networks.is_empty() && text.pieces.iter().all(plain)
    }

    fn push(&mut self, text: &str, weight: f64, steps: u32) {
        let Schedule { texts: scheduled, problem } = Schedule::parse(text, steps);
        self.note(problem);
        let mut part = PromptPart { weight, texts: Vec::new(), schedule: Vec::new() };
        let mut indices = std::collections::HashMap::new();
        for ScheduledText { until_step, text } in scheduled {
            let index = *indices.entry(text).or_insert_with_key(|text: &String| {
                let Attention { pieces, problems } = attention::parse(text);
                self.note(problems);
                part.texts.push(PromptText { text: text.clone(), pieces });
                part.texts.len() - 1
            });
            part.schedule.push((until_step, index));
        }
        self.parts.push(part);
    }

    fn note(&mut self, problems: impl IntoIterator<Item = PromptProblem>) {
        for problem in problems {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternation_encodes_each_text_once() {
        let prompt = Prompt::parse("[a|b] c", 6);
        assert_eq!(prompt.parts[0].texts.len(), 2);
        assert_eq!(prompt.parts[0].schedule, [(1, 0), (2, 1), (3, 0), (4, 1), (5, 0), (6, 1)]);
        assert!(!prompt.is_plain());
    }

    #[test]
    fn a_negative_prompt_has_one_part_and_no_networks() {
        let prompt = Prompt::parse_negative("a AND b :2 <lora:x:1>", 5);
        assert_eq!((prompt.parts.len(), prompt.networks.len()), (1, 0));
        assert_eq!(prompt.parts[0].at(1).text, "a AND b :2 <lora:x:1>");
        assert_eq!(prompt.problems.len(), 1);
    }
}
