//! [`Completion`]: names of adapters, embeddings and wildcards for what is being typed.

use crate::domain::ModelsCommand;
use crate::domain::prompt::{Completing, PromptQuery, Stub, complete, rank, stub_at};

use super::{Effect, PromptField, State, can_be_named};

/// Most names that are offered.
const MAX_OFFERED: usize = 50;

/// A name that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The name.
    pub name: String,
    /// What it is, in a few words.
    pub detail: String,
    /// Why it cannot be used with the model, where that is so.
    pub refusal: Option<String>,
}

/// Names for what is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Where it is typed.
    pub field: PromptField,
    /// What is typed.
    pub stub: Stub,
    /// The names, the best first; at least one.
    pub offered: Vec<Suggestion>,
    /// Which one is chosen. Of a word that may be meant as a word, none is until the user chooses one: Enter is a new line.
    pub chosen: Option<usize>,
}

impl State {
    /// Offers names for what is being typed, or stops offering them: after the cursor has moved.
    pub(super) fn suggest(&mut self) -> Vec<Effect> {
        let Some((field, selection)) = self.prompt.cursor.clone() else { return Vec::new() };
        let was_typed = self.prompt.typed.take() == Some(field);
        let stub = if selection.is_empty() { stub_at(field.text(&self.draft.request), selection.start) } else { None };
        let begins = stub.as_ref().map(|stub| (field, stub.range.start));
        if self.prompt.dismissed != begins {
            self.prompt.dismissed = None;
        }
        let before = self.prompt.completion.take();
        let was_open = before.as_ref().map(|completion| (completion.field, completion.stub.range.start));
        let Some(stub) = stub.filter(|_| was_typed || was_open == begins) else { return Vec::new() };
        if self.prompt.dismissed.is_some() {
            return Vec::new();
        }
        let is_new_wildcard = stub.kind == Completing::Wildcard && was_open != begins;
        self.offer(field, stub);
        if is_new_wildcard {
            // Files come and go: the list is read anew while it is looked at.
            return vec![Effect::Models(ModelsCommand::Prompt(PromptQuery::Wildcards))];
        }
        Vec::new()
    }

    /// Offers names again, now that others are known.
    pub(super) fn suggest_again(&mut self) {
        let Some((field, selection)) = self.prompt.cursor.clone() else { return };
        let stub = stub_at(field.text(&self.draft.request), selection.start).filter(|_| selection.is_empty());
        let Some(stub) = stub.filter(|stub| stub.kind == Completing::Wildcard) else { return };
        if self.prompt.dismissed.is_none() {
            self.offer(field, stub);
        }
    }

    fn offer(&mut self, field: PromptField, stub: Stub) {
        let offered = self.suggestions(field, &stub);
        let chosen = (stub.kind != Completing::Word).then_some(0);
        self.prompt.completion = (!offered.is_empty()).then_some(Completion { field, stub, offered, chosen });
    }

    fn suggestions(&self, field: PromptField, stub: &Stub) -> Vec<Suggestion> {
        let mut ranked: Vec<(u8, String, Suggestion)> = Vec::new();
        let mut offer = |name: &str, detail: String, refusal: Option<String>| {
            if let Some(rank) = rank(name, &stub.typed) {
                ranked.push((rank, name.to_lowercase(), Suggestion { name: name.to_owned(), detail, refusal }));
            }
        };
        match stub.kind {
            // A negative prompt loads none.
            Completing::Lora if field == PromptField::Prompt => {
                for card in self.adapters.loras.iter().filter(|card| can_be_named(&card.name)) {
                    let made_for = card.fit.as_ref().ok().and_then(|fit| fit.made_for.clone());
                    let detail = made_for.unwrap_or_else(|| "LoRA".to_owned());
                    offer(&card.name, detail, card.refusal().map(|error| error.sentence.clone()));
                }
            }
            Completing::Lora => {}
            Completing::Wildcard => {
                for card in self.prompt.wildcards.iter().flatten() {
                    let detail = if card.texts == 1 { "1 text".to_owned() } else { format!("{} texts", card.texts) };
                    offer(&card.name, detail, None);
                }
            }
            Completing::Word => {
                for card in &self.adapters.embeddings {
                    if card.name != stub.typed {
                        let refusal = card.refusal().map(|error| error.sentence.clone());
                        offer(&card.name, "Embedding".to_owned(), refusal);
                    }
                }
                // Within other words much is found that nobody means.
                ranked.retain(|(rank, ..)| *rank < 2);
            }
        }
        // What fits comes first.
        let key =
            |(rank, name, suggestion): &(u8, String, Suggestion)| (suggestion.refusal.is_some(), *rank, name.clone());
        ranked.sort_by_cached_key(key);
        ranked.into_iter().take(MAX_OFFERED).map(|(.., suggestion)| suggestion).collect()
    }

    pub(super) fn choose_completion(&mut self, step: isize) {
        let Some(completion) = &mut self.prompt.completion else { return };
        let count = completion.offered.len();
        let next = match completion.chosen {
            Some(chosen) => chosen.saturating_add_signed(count.cast_signed() + step) % count,
            None if step > 0 => 0,
            None => count - 1,
        };
        completion.chosen = Some(next);
    }

    /// Writes the chosen name, or that of `otherwise`.
    pub(super) fn complete(&mut self, otherwise: Option<usize>) {
        let Some(completion) = self.prompt.completion.take() else { return };
        let chosen = completion.chosen.or(otherwise).and_then(|index| completion.offered.get(index));
        let Some(suggestion) = chosen else { return };
        let text = completion.field.text(&self.draft.request);
        let edit = complete(text, &completion.stub, &suggestion.name);
        self.write(completion.field, edit.text, edit.selection);
    }

    /// Closes the list; it opens again at another name.
    pub(super) fn drop_completions(&mut self) {
        if let Some(completion) = self.prompt.completion.take() {
            self.prompt.dismissed = Some((completion.field, completion.stub.range.start));
        }
    }
}
