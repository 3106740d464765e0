//! [`DeviceDesk`]: what computes, as it was asked for and as it came.

use crate::domain::{Command, DeviceChoice, DeviceUse};

use super::{Action, Effect, Info, State};

/// What computes.
#[derive(Clone, Debug, Default)]
pub struct DeviceDesk {
    /// What the user wants.
    pub choice: DeviceChoice,
    /// What the engine has opened; `None` until it says so.
    pub used: Option<DeviceUse>,
}

impl DeviceDesk {
    /// As it was remembered.
    #[must_use]
    pub fn new(choice: DeviceChoice) -> Self {
        Self { choice, used: None }
    }

    /// What is used and why, as a sentence that begins like one.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let sentence = self.used.as_ref()?.to_string();
        let mut letters = sentence.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect())
    }

    /// The same where it is worth a line beside the work: a card computes, or does not although it was asked for.
    #[must_use]
    pub fn status(&self) -> Option<String> {
        self.used.as_ref().filter(|used| used.is_card() || used.is_refused())?;
        self.sentence()
    }
}

/// An act on what computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceAction {
    /// Compute there from now on.
    Choose(DeviceChoice),
}

impl DeviceAction {
    /// Text and tooltip.
    #[must_use]
    pub fn info(&self) -> Info {
        let Self::Choose(choice) = self;
        Info { text: choice.label(), tooltip: choice.description(), shortcut: None }
    }
}

impl From<DeviceAction> for Action {
    fn from(action: DeviceAction) -> Self {
        Self::Device(action)
    }
}

impl State {
    pub(super) fn apply_device(&mut self, action: &DeviceAction) -> Vec<Effect> {
        let DeviceAction::Choose(choice) = *action;
        if self.device.choice == choice && self.device.used.is_some() {
            return Vec::new();
        }
        self.device = DeviceDesk::new(choice);
        self.mark_dirty();
        // The draft's model is wanted there.
        vec![Effect::Engine(Command::UseDevice(choice)), self.preload(self.draft.request.model.clone())]
    }

    pub(super) fn device_opened(&mut self, used: DeviceUse) {
        let is_refused = used.is_refused();
        self.device.used = Some(used);
        if let Some(sentence) = self.device.sentence().filter(|_| is_refused) {
            self.notices.info(sentence, None);
        }
    }
}
