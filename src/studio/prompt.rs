//! [`PromptDesk`]: writing prompts. Where the cursor is, what can be completed there, how many tokens there are, what was
//! written before.

use std::ops::Range;

use crate::domain::prompt::{
    CountQuery, Names, PromptAnswer, PromptQuery, Remark, TokenCount, WildcardCard, WildcardLists, adjust_weight,
    remarks,
};
use crate::domain::{GenerateRequest, ModelsCommand};
use crate::library::{LibraryCommand, PromptsCommand, PromptsEvent};

use super::prompt_complete::Completion;
use super::prompt_history::{History, HistoryAction};
use super::prompt_styles::{StyleAction, Styles};
use super::prompt_undo::{Snapshot, Touch, Undo};
use super::{Draft, Edit, Effect, Info, Key, Shortcut, State};

/// From one weight to the next.
const STEP: f64 = 0.1;
/// The same where it is to be fine.
const FINE_STEP: f64 = 0.05;

/// One of the two fields of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PromptField {
    /// What to draw.
    Prompt,
    /// What to steer away from.
    Negative,
}

impl PromptField {
    /// Both, as they stand in the draft.
    pub const BOTH: [Self; 2] = [Self::Prompt, Self::Negative];

    /// What is written in it.
    #[must_use]
    pub fn text(self, request: &GenerateRequest) -> &str {
        match self {
            Self::Prompt => &request.prompt,
            Self::Negative => &request.negative_prompt,
        }
    }

    /// The change that writes something into it.
    #[must_use]
    pub fn edit(self, text: String) -> Edit {
        match self {
            Self::Prompt => Edit::Prompt(text),
            Self::Negative => Edit::NegativePrompt(text),
        }
    }
}

/// How a weight changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weigh {
    /// It counts more.
    More,
    /// It counts less.
    Less,
    /// It counts a little more.
    LittleMore,
    /// It counts a little less.
    LittleLess,
}

/// An act of the user on the prompt that is being written.
#[derive(Clone, Debug, PartialEq)]
pub enum PromptAction {
    /// The cursor or the selection of a field is here now, in bytes.
    Cursor(PromptField, Range<usize>),
    /// The keyboard is elsewhere.
    Leave,
    /// Nothing was changed for a while: what is changed from here on is undone by itself.
    Rest,
    /// Take back the last change of the draft.
    Undo,
    /// Make it again.
    Redo,
    /// The same, by the keys that other programs have for it.
    RedoToo,
    /// Change the weight of the word or the selection.
    Weigh(Weigh),
    /// Choose the next completion.
    NextCompletion,
    /// Choose the one before.
    PreviousCompletion,
    /// Take the chosen completion.
    Complete,
    /// Take the chosen completion, or the first where none is chosen.
    CompleteFirst,
    /// Take this completion.
    CompleteWith(usize),
    /// Close the completions.
    DropCompletions,
    /// Prompts that were used before.
    History(HistoryAction),
    /// Styles.
    Style(StyleAction),
}

impl PromptAction {
    /// Text, tooltip and shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let info = |text, tooltip, shortcut| Info { text, tooltip, shortcut };
        let ctrl = |key| Some(Shortcut::ctrl(key));
        let ctrl_shift = |key| Some(Shortcut::ctrl_shift(key));
        match self {
            Self::Cursor(..) | Self::Leave | Self::Rest => info("", "", None),
            Self::Undo => info("Undo", "Take back the last change of the draft", ctrl(Key::Z)),
            Self::Redo => info("Redo", "Make the change again that was taken back", ctrl_shift(Key::Z)),
            Self::RedoToo => info("Redo", "Make the change again that was taken back", ctrl(Key::Y)),
            Self::Weigh(Weigh::More) => info("Weigh more", "The word under the cursor counts more", ctrl(Key::Up)),
            Self::Weigh(Weigh::Less) => info("Weigh less", "The word under the cursor counts less", ctrl(Key::Down)),
            Self::Weigh(Weigh::LittleMore) => {
                info("Weigh a little more", "The word under the cursor counts a little more", ctrl_shift(Key::Up))
            }
            Self::Weigh(Weigh::LittleLess) => {
                info("Weigh a little less", "The word under the cursor counts a little less", ctrl_shift(Key::Down))
            }
            Self::NextCompletion => info("Next", "Choose the next name", Some(Shortcut::plain(Key::Down))),
            Self::PreviousCompletion => info("Previous", "Choose the name before", Some(Shortcut::plain(Key::Up))),
            Self::Complete => info("Complete", "Write the chosen name", Some(Shortcut::plain(Key::Enter))),
            Self::CompleteFirst => info("Complete", "Write this name", Some(Shortcut::plain(Key::Tab))),
            Self::CompleteWith(_) => info("Complete", "Write this name", None),
            Self::DropCompletions => info("Close", "Close the list of names", Some(Shortcut::plain(Key::Escape))),
            Self::History(action) => action.info(),
            Self::Style(action) => action.info(),
        }
    }
}

/// What is to be selected in a field from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Which field.
    pub field: PromptField,
    /// Its bytes.
    pub range: Range<usize>,
    /// Counts up: each is made once.
    pub serial: u64,
}

/// Writing prompts.
#[derive(Clone, Debug)]
pub struct PromptDesk {
    /// The field that has the keyboard, and its selection in bytes.
    pub cursor: Option<(PromptField, Range<usize>)>,
    /// What is to be selected.
    pub selection: Option<Selection>,
    /// Names for what is being typed.
    pub completion: Option<Completion>,
    /// Prompts that were used before, while they are shown.
    pub history: Option<History>,
    /// Styles.
    pub styles: Styles,
    /// Counts up whenever other names can be used in a prompt.
    pub names_version: u64,
    /// The wildcards, once they are known.
    pub wildcards: Option<Vec<WildcardCard>>,
    /// The field whose text was just typed in.
    pub(super) typed: Option<PromptField>,
    /// Where completions were closed: the field, and where the name begins.
    pub(super) dismissed: Option<(PromptField, usize)>,
    pub(super) undo: Undo,
    counting: Counting,
}

/// What was counted last, and what is being counted.
#[derive(Clone, Debug, Default)]
struct Counting {
    asked: Option<CountQuery>,
    counted: Option<(CountQuery, Option<[TokenCount; 2]>)>,
}

impl PromptDesk {
    pub(super) fn new(draft: &Draft, applied: Vec<String>) -> Self {
        let undo = Undo::new(Snapshot { draft: draft.clone(), styles: applied.clone() });
        Self {
            cursor: None,
            selection: None,
            completion: None,
            history: None,
            styles: Styles::new(applied),
            names_version: 0,
            wildcards: None,
            typed: None,
            dismissed: None,
            undo,
            counting: Counting::default(),
        }
    }

    /// Whether a dialog of its own has the keyboard.
    #[must_use]
    pub fn has_dialog(&self) -> bool {
        self.history.is_some() || self.styles.editor.is_some()
    }

    /// Selects something in a field, from the next frame on.
    pub(super) fn select(&mut self, field: PromptField, range: Range<usize>) {
        let serial = self.selection.as_ref().map_or(0, |selection| selection.serial) + 1;
        self.cursor = Some((field, range.clone()));
        self.selection = Some(Selection { field, range, serial });
    }
}

impl State {
    /// What to ask first.
    pub(super) fn start_prompts(&mut self) -> Vec<Effect> {
        let mut effects = vec![
            Effect::Library(LibraryCommand::Prompts(PromptsCommand::LoadStyles)),
            Effect::Models(ModelsCommand::Prompt(PromptQuery::Wildcards)),
        ];
        effects.extend(self.count());
        effects
    }

    /// Carries out an act on the prompt.
    pub(super) fn apply_prompt(&mut self, action: PromptAction) -> Vec<Effect> {
        match action {
            PromptAction::Cursor(field, range) => {
                self.prompt.cursor = Some((field, range));
                return self.suggest();
            }
            PromptAction::Leave => {
                self.prompt.cursor = None;
                self.prompt.completion = None;
            }
            PromptAction::Rest => self.prompt.undo.rest(),
            PromptAction::Undo => return self.step_back(),
            PromptAction::Redo | PromptAction::RedoToo => return self.step_forward(),
            PromptAction::Weigh(how) => self.weigh(how),
            PromptAction::NextCompletion => self.choose_completion(1),
            PromptAction::PreviousCompletion => self.choose_completion(-1),
            PromptAction::Complete => self.complete(None),
            PromptAction::CompleteFirst => self.complete(Some(0)),
            PromptAction::CompleteWith(index) => {
                if let Some(completion) = &mut self.prompt.completion {
                    completion.chosen = Some(index);
                }
                self.complete(None);
            }
            PromptAction::DropCompletions => self.drop_completions(),
            PromptAction::History(action) => return self.apply_history(action),
            PromptAction::Style(action) => return self.apply_style(action),
        }
        Vec::new()
    }

    /// Writes into a field, and selects a part of it.
    pub(super) fn write(&mut self, field: PromptField, text: String, selection: Range<usize>) {
        self.draft.edit(field.edit(text), None);
        self.prompt.completion = None;
        self.prompt.select(field, selection);
        self.mark_dirty();
    }

    fn weigh(&mut self, how: Weigh) {
        let Some((field, selection)) = self.prompt.cursor.clone() else { return };
        let step = match how {
            Weigh::More => STEP,
            Weigh::Less => -STEP,
            Weigh::LittleMore => FINE_STEP,
            Weigh::LittleLess => -FINE_STEP,
        };
        if let Some(edit) = adjust_weight(field.text(&self.draft.request), selection, step) {
            self.write(field, edit.text, edit.selection);
        }
    }

    /// After every act: a change of the draft can be undone, and is counted.
    pub(super) fn settle(&mut self, touch: &Touch) -> Vec<Effect> {
        let styles = &self.prompt.styles.applied;
        if !self.prompt.undo.is_other(&self.draft, styles) {
            return Vec::new();
        }
        if let Touch::Typed(field) = touch {
            self.prompt.typed = Some(*field);
        }
        let now = Snapshot { draft: self.draft.clone(), styles: styles.clone() };
        self.prompt.undo.record(now, touch);
        self.count().into_iter().collect()
    }

    fn step_back(&mut self) -> Vec<Effect> {
        self.prompt.undo.back().map_or_else(Vec::new, |snapshot| self.bring_back(snapshot))
    }

    fn step_forward(&mut self) -> Vec<Effect> {
        self.prompt.undo.forward().map_or_else(Vec::new, |snapshot| self.bring_back(snapshot))
    }

    /// Makes an earlier or later draft the one that is written.
    fn bring_back(&mut self, Snapshot { draft, styles }: Snapshot) -> Vec<Effect> {
        let before = std::mem::replace(&mut self.draft, draft);
        self.prompt.styles.applied = styles;
        self.prompt.completion = None;
        for field in PromptField::BOTH {
            let (old, new) = (field.text(&before.request), field.text(&self.draft.request));
            if old != new {
                let end = super::prompt_undo::changed(old, new).end;
                self.prompt.select(field, end..end);
            }
        }
        self.mark_dirty();
        let mut effects = Vec::new();
        if before.request.model != self.draft.request.model {
            let model = self.draft.request.model.clone();
            self.models.defaults_wanted = None;
            self.models.remember(&model);
            if self.models.needs_loading(&model) {
                effects.push(self.preload(model));
            }
            effects.extend(self.fit_adapters());
        }
        effects.extend(self.count());
        effects
    }

    /// Asks how many tokens there are, unless that is known or another question is on its way.
    pub(super) fn count(&mut self) -> Option<Effect> {
        let counting = &self.prompt.counting;
        if counting.asked.is_some() {
            return None;
        }
        let query = self.count_query();
        if counting.counted.as_ref().is_some_and(|(counted, _)| *counted == query) {
            return None;
        }
        self.prompt.counting.asked = Some(query.clone());
        Some(Effect::Models(ModelsCommand::Prompt(PromptQuery::Count(query))))
    }

    /// What is to be counted. What the tokens do not depend on is left out, so that nothing is counted in vain.
    fn count_query(&self) -> CountQuery {
        let request = self.styled_request();
        let has = |what: &str| request.prompt.contains(what) || request.negative_prompt.contains(what);
        CountQuery {
            model: request.model.clone(),
            steps: if has("[") { request.num_inference_steps } else { 1 },
            seed: if has("{") || has("__") { request.seed } else { 0 },
            prompt: request.prompt.clone(),
            negative_prompt: request.negative_prompt.clone(),
        }
    }

    /// How many tokens a field takes, as it was when that was last told. The borders are those that still stand.
    #[must_use]
    pub fn tokens(&self, field: PromptField) -> Option<TokenCount> {
        let (query, counts) = self.prompt.counting.counted.as_ref()?;
        if query.model != self.draft.request.model {
            return None;
        }
        let [prompt, negative] = counts.as_ref()?;
        let (counted, mut count) = match field {
            PromptField::Prompt => (&query.prompt, prompt.clone()),
            PromptField::Negative => (&query.negative_prompt, negative.clone()),
        };
        let now = self.styled(field);
        let same = super::prompt_undo::changed(counted, &now.text).start;
        let typed = now.typed.unwrap_or_default();
        count.borders.retain(|border| *border <= same && typed.start < *border && *border < typed.end);
        count.borders.iter_mut().for_each(|border| *border = *border - typed.start + now.skipped);
        Some(count)
    }

    /// Takes in what is told about the prompt.
    pub(super) fn on_prompt_answer(&mut self, answer: PromptAnswer) -> Vec<Effect> {
        match answer {
            PromptAnswer::Wildcards(cards) => {
                if self.prompt.wildcards.as_ref() != Some(&cards) {
                    self.prompt.wildcards = Some(cards);
                    self.prompt.names_version += 1;
                    self.suggest_again();
                }
                Vec::new()
            }
            PromptAnswer::Counted { query, counts } => {
                self.prompt.counting.asked = None;
                // What kept it from being counted is told by the model's own loading.
                self.prompt.counting.counted = Some((query, counts.ok()));
                self.count().into_iter().collect()
            }
        }
    }

    /// A question about the prompt could not be handed on. It is asked again after the next change.
    pub(super) fn on_prompt_refused(&mut self) {
        self.prompt.counting.asked = None;
    }

    /// Takes in what the library's thread tells about prompts and styles.
    pub(super) fn on_prompts_event(&mut self, event: PromptsEvent) -> Vec<Effect> {
        match event {
            PromptsEvent::Used { search, found } => {
                if let Some(history) = &mut self.prompt.history {
                    history.found(&search, found);
                }
                Vec::new()
            }
            PromptsEvent::Styles { styles, problem } => {
                self.prompt.styles.list = styles;
                if let Some(problem) = problem {
                    self.notices.error(problem);
                }
                self.count().into_iter().collect()
            }
            PromptsEvent::Imported { styles, skipped } => self.take_in_styles(styles, skipped),
            PromptsEvent::Failed(error) => {
                if let Some(history) = &mut self.prompt.history {
                    history.is_waiting = false;
                }
                self.notices.error(error);
                Vec::new()
            }
        }
    }

    /// What in a text is worth underlining, by the names that can be used now.
    #[must_use]
    pub fn remarks(&self, field: PromptField, text: &str) -> Vec<Remark> {
        let adapters = &self.adapters;
        let is_known = !adapters.is_waiting && adapters.problem.is_none() && adapters.model.is_some();
        let has_lora = |name: &str| adapters.loras.iter().any(|card| card.name.to_lowercase() == name.to_lowercase());
        let lists = self.prompt.wildcards.as_ref().map(|cards| {
            WildcardLists::of_names(cards.iter().filter(|card| card.texts > 0).map(|card| card.name.as_str()))
        });
        let has_wildcard = |name: &str| lists.as_ref().is_some_and(|lists| lists.choices(name).is_some());
        let names = Names {
            has_lora: if is_known { Some(&has_lora) } else { None },
            has_wildcard: if lists.is_some() { Some(&has_wildcard) } else { None },
        };
        remarks(text, field == PromptField::Negative, &names)
    }
}

#[cfg(test)]
#[path = "prompt_tests.rs"]
mod tests;
