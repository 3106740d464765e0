//! [`History`]: prompts that were used before, newest first, to be searched and used again.

use crate::library::{LibraryCommand, PromptsCommand, UsedPrompt};

use super::{Effect, Info, Key, PromptField, Shortcut, State};

/// Prompts that were used before, while they are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// What is searched for.
    pub search: String,
    /// What was found, newest first.
    pub found: Vec<UsedPrompt>,
    /// Which one Enter takes.
    pub chosen: usize,
    /// Whether an answer is awaited.
    pub is_waiting: bool,
}

/// An act on prompts that were used before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryAction {
    /// Show them.
    Open,
    /// Close them.
    Close,
    /// Search them.
    Search(String),
    /// Choose the next older one.
    Next,
    /// Choose the next newer one.
    Previous,
    /// Write the chosen one.
    UseChosen,
    /// Write this one.
    Use(usize),
}

impl HistoryAction {
    /// Text, tooltip and shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let info = |text, tooltip, shortcut| Info { text, tooltip, shortcut };
        match self {
            Self::Open => {
                info("Earlier prompts…", "Prompts that pictures were made from before", Some(Shortcut::ctrl(Key::H)))
            }
            Self::Close => info("Close", "Back to the prompt, unchanged", None),
            Self::Search(_) => info("Search earlier prompts", "Show only those that have each of these words", None),
            Self::Next => info("Next", "Choose the next older prompt", None),
            Self::Previous => info("Previous", "Choose the next newer prompt", None),
            Self::UseChosen | Self::Use(_) => {
                info("Use it", "Write this prompt and its negative prompt; Undo brings back what was there", None)
            }
        }
    }
}

impl History {
    /// Takes in what was found; an answer to another search is of no use any more.
    pub(super) fn found(&mut self, search: &str, found: Vec<UsedPrompt>) {
        if self.search == search {
            self.found = found;
            self.chosen = 0;
            self.is_waiting = false;
        }
    }
}

impl State {
    pub(super) fn apply_history(&mut self, action: HistoryAction) -> Vec<Effect> {
        match action {
            HistoryAction::Open => {
                self.prompt.completion = None;
                return self.find_used(String::new());
            }
            HistoryAction::Close => self.prompt.history = None,
            HistoryAction::Search(text) => return self.find_used(text),
            HistoryAction::Next | HistoryAction::Previous => {
                if let Some(history) = &mut self.prompt.history {
                    let last = history.found.len().saturating_sub(1);
                    let next = if action == HistoryAction::Next {
                        history.chosen + 1
                    } else {
                        history.chosen.saturating_sub(1)
                    };
                    history.chosen = next.min(last);
                }
            }
            HistoryAction::UseChosen => {
                if let Some(chosen) = self.prompt.history.as_ref().map(|history| history.chosen) {
                    self.use_earlier(chosen);
                }
            }
            HistoryAction::Use(index) => self.use_earlier(index),
        }
        Vec::new()
    }

    fn find_used(&mut self, search: String) -> Vec<Effect> {
        let history = self.prompt.history.get_or_insert_default();
        history.search.clone_from(&search);
        history.is_waiting = true;
        vec![Effect::Library(LibraryCommand::Prompts(PromptsCommand::FindUsed(search)))]
    }

    fn use_earlier(&mut self, index: usize) {
        let used = self.prompt.history.as_ref().and_then(|history| history.found.get(index)).cloned();
        let Some(UsedPrompt { prompt, negative_prompt, created_ms: _ }) = used else { return };
        self.prompt.history = None;
        self.draft.request.negative_prompt = negative_prompt;
        // What is remembered is what was made: with its styles.
        self.prompt.styles.applied.clear();
        let end = prompt.len();
        self.write(PromptField::Prompt, prompt, end..end);
    }
}
