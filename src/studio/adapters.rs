//! [`Adapters`]: the `LoRA`s and embeddings beside the prompt. What is worn is what the prompt says, and nothing else: a
//! switch or a slider edits the prompt's text.

use crate::domain::prompt::{
    Network, extract_networks, find_word, with_network, with_word, without_network, without_word,
};
use crate::domain::{AdapterCard, AdapterCards, EmbeddingFit, LoraFit, ModelRef, ModelsCommand, Result, UserError};

use super::{Effect, Info, State};

/// Up to so many adapters are seen at a glance; more are searched.
const MAX_WITHOUT_SEARCH: usize = 8;

/// The adapters and embeddings of the user's folders, as they fit the draft's model.
#[derive(Clone, Debug, Default)]
pub struct Adapters {
    /// The model that the cards are about, or that is being looked at.
    pub model: Option<ModelRef>,
    /// Whether an answer for that model is awaited; the cards are of the one before.
    pub is_waiting: bool,
    /// Adapters, by name.
    pub loras: Vec<AdapterCard<LoraFit>>,
    /// Embeddings, by name.
    pub embeddings: Vec<AdapterCard<EmbeddingFit>>,
    /// Why it could not be told how they fit.
    pub problem: Option<UserError>,
    /// What is being searched for.
    pub search: String,
}

/// An act of the user on adapters and embeddings.
#[derive(Clone, Debug, PartialEq)]
pub enum AdapterAction {
    /// Look into the folders again.
    Refresh,
    /// Show only those with this in their names.
    Search(String),
    /// Put an adapter on, or take it off.
    Wear(String, bool),
    /// How strongly an adapter changes the picture: for the text encoder, and for the `UNet`.
    Weigh(String, f64, f64),
    /// Put an embedding's word into the prompt, or take it out.
    Say(String, bool),
    /// The same for the negative prompt.
    Avoid(String, bool),
}

impl AdapterAction {
    /// Text and tooltip; none has a shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::Refresh => ("Look again", "Look for files that came or went"),
            Self::Search(_) => ("Search", "Show only those with this in their names"),
            Self::Wear(..) => ("LoRA", "A small file that teaches the model a style or a thing. The prompt names it"),
            Self::Weigh(..) => ("Weight", "How strongly it changes the picture: 1 as it was trained, 0 not at all"),
            Self::Say(..) => ("Prompt", "Put its word into the prompt, or take it out"),
            Self::Avoid(..) => ("Negative", "Put its word into the negative prompt, or take it out"),
        };
        Info { text, tooltip, shortcut: None }
    }
}

impl Adapters {
    /// Whether there are so many that a search helps.
    #[must_use]
    pub fn has_search(&self) -> bool {
        self.loras.len() + self.embeddings.len() > MAX_WITHOUT_SEARCH
    }

    /// The adapters that are searched for.
    pub fn found_loras(&self) -> impl Iterator<Item = &AdapterCard<LoraFit>> {
        self.loras.iter().filter(|card| self.is_found(&card.name))
    }

    /// The embeddings that are searched for.
    pub fn found_embeddings(&self) -> impl Iterator<Item = &AdapterCard<EmbeddingFit>> {
        self.embeddings.iter().filter(|card| self.is_found(&card.name))
    }

    fn is_found(&self, name: &str) -> bool {
        !self.has_search() || name.to_lowercase().contains(&self.search.trim().to_lowercase())
    }

    /// Takes in how the files fit a model. An answer about a model that is not drawn with any more is of no use.
    pub(super) fn fitted(&mut self, model: &ModelRef, cards: Result<AdapterCards>) {
        if self.model.as_ref() != Some(model) {
            return;
        }
        self.is_waiting = false;
        match cards {
            Ok(AdapterCards { model: _, loras, embeddings }) => {
                (self.loras, self.embeddings, self.problem) = (loras, embeddings, None);
            }
            Err(error) => {
                self.loras.clear();
                self.embeddings.clear();
                self.problem = Some(error);
            }
        }
    }
}

/// Whether a prompt can name an adapter: a file's name may have what ends a name there.
#[must_use]
pub fn can_be_named(name: &str) -> bool {
    let networks = extract_networks(&with_network("", name, 1.0, 1.0)).networks;
    matches!(networks.as_slice(), [network] if network.name == name)
}

impl State {
    /// The adapters that the prompt names, each once: weights of one that is named several times add up.
    #[must_use]
    pub fn worn(&self) -> Vec<Network> {
        let mut worn: Vec<Network> = Vec::new();
        for network in extract_networks(&self.draft.request.prompt).networks {
            match worn.iter_mut().find(|other| other.name.to_lowercase() == network.name.to_lowercase()) {
                Some(other) => {
                    other.text_encoder_weight += network.text_encoder_weight;
                    other.unet_weight += network.unet_weight;
                }
                None => worn.push(network),
            }
        }
        worn
    }

    /// Whether an embedding's word stands in the prompt, and whether in the negative one.
    #[must_use]
    pub fn says(&self, word: &str) -> (bool, bool) {
        let request = &self.draft.request;
        (find_word(&request.prompt, word).is_some(), find_word(&request.negative_prompt, word).is_some())
    }

    /// Asks how the adapters fit the draft's model, unless that is known or asked.
    pub(super) fn fit_adapters(&mut self) -> Option<Effect> {
        let model = &self.draft.request.model;
        if self.adapters.model.as_ref() == Some(model) {
            return None;
        }
        self.adapters.model = Some(model.clone());
        self.adapters.is_waiting = true;
        Some(Effect::Models(ModelsCommand::Fit(model.clone())))
    }

    /// Carries out an act on adapters and embeddings.
    pub(super) fn apply_adapter(&mut self, action: AdapterAction) -> Vec<Effect> {
        let request = &mut self.draft.request;
        let put = |text: &str, word: &str, on: bool| if on { with_word(text, word) } else { without_word(text, word) };
        match action {
            AdapterAction::Refresh => {
                self.adapters.model = None;
                return self.fit_adapters().into_iter().collect();
            }
            AdapterAction::Search(text) => {
                self.adapters.search = text;
                return Vec::new();
            }
            AdapterAction::Wear(name, true) => request.prompt = with_network(&request.prompt, &name, 1.0, 1.0),
            AdapterAction::Wear(name, false) => request.prompt = without_network(&request.prompt, &name),
            AdapterAction::Weigh(name, text_encoder, unet) => {
                request.prompt = with_network(&request.prompt, &name, text_encoder, unet);
            }
            AdapterAction::Say(word, on) => request.prompt = put(&request.prompt, &word, on),
            AdapterAction::Avoid(word, on) => request.negative_prompt = put(&request.negative_prompt, &word, on),
        }
        self.mark_dirty();
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ModelsEvent, Settings};
    use crate::studio::tests::state_with;
    use crate::studio::{Action, Edit};

    fn card<Fit>(name: &str, fit: Fit) -> AdapterCard<Fit> {
        AdapterCard::new(format!("/home/kim/{name}.safetensors").as_ref(), Ok(fit))
    }

    fn state() -> State {
        let mut state = state_with(Settings::default());
        let effects = state.start();
        let asked = effects.iter().any(|effect| matches!(effect, Effect::Models(ModelsCommand::Fit(_))));
        assert!(asked && state.adapters.is_waiting);
        let cards = AdapterCards {
            model: ModelRef::Starter,
            loras: vec![card("Ink", LoraFit::default())],
            embeddings: vec![card("bad-hands", EmbeddingFit::default())],
        };
        state.on_models_event(ModelsEvent::Fitted { model: ModelRef::Starter, cards: Ok(cards) });
        state.apply(Action::Edit(Edit::Prompt("a cat".to_owned())));
        state
    }

    #[test]
    fn the_prompt_says_what_is_worn() {
        let mut state = state();
        for (action, prompt) in [
            (AdapterAction::Wear("Ink".to_owned(), true), "a cat <lora:Ink:1>"),
            (AdapterAction::Weigh("Ink".to_owned(), 0.5, 0.8), "a cat <lora:Ink:0.5:0.8>"),
            (AdapterAction::Wear("Ink".to_owned(), false), "a cat"),
            (AdapterAction::Say("bad-hands".to_owned(), true), "a cat, bad-hands"),
            (AdapterAction::Say("bad-hands".to_owned(), false), "a cat"),
        ] {
            state.apply(Action::Adapter(action));
            assert_eq!(state.draft.request.prompt, prompt);
            assert!(state.settings_dirty());
        }
        state.apply(Action::Adapter(AdapterAction::Avoid("bad-hands".to_owned(), true)));
        assert_eq!(
            (state.draft.request.negative_prompt.as_str(), state.says("BAD-hands")),
            ("bad-hands", (false, true))
        );
        state.apply(Action::Edit(Edit::Prompt("<lora:ink:0.5> <lora:INK:0.25> <lora:gone>".to_owned())));
        let worn: Vec<_> = state.worn().into_iter().map(|one| (one.name, one.unet_weight)).collect();
        assert_eq!(worn, [("ink".to_owned(), 0.75), ("gone".to_owned(), 1.0)]);
    }

    #[test]
    fn another_model_is_asked_about_once_and_old_answers_are_dropped() {
        let mut state = state();
        let model = ModelRef::Path("/models/b".into());
        let asks = |effects: Vec<Effect>| {
            effects.iter().filter(|effect| matches!(effect, Effect::Models(ModelsCommand::Fit(_)))).count()
        };
        assert_eq!(asks(state.apply(Action::Edit(Edit::Model(model.clone())))), 1);
        assert_eq!(asks(state.apply(Action::Edit(Edit::Model(model.clone())))), 0);
        let late = AdapterCards { model: ModelRef::Starter, loras: Vec::new(), embeddings: Vec::new() };
        state.on_models_event(ModelsEvent::Fitted { model: ModelRef::Starter, cards: Ok(late) });
        assert!(state.adapters.is_waiting && state.adapters.loras.len() == 1);
        let error = UserError::input("The model is broken");
        state.on_models_event(ModelsEvent::Fitted { model, cards: Err(error.clone()) });
        assert_eq!((state.adapters.problem.clone(), state.adapters.loras.len()), (Some(error), 0));
        assert_eq!(asks(state.apply(Action::Adapter(AdapterAction::Refresh))), 1);
    }

    #[test]
    fn names_that_a_prompt_cannot_hold_are_told() {
        for (name, can) in [("ink wash-2", true), ("a:b", false), ("a>b", false), ("a=b", false), ("", false)] {
            assert_eq!(can_be_named(name), can, "{name}");
        }
    }
}
