//! [`TrainingDesk`]: the training.

use crate::studio::{Effect, Info, State};

/// The training.
#[derive(Clone, Debug, Default)]
pub struct TrainingDesk {}

/// An act of the user with the training.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingAction {}

impl TrainingAction {
    /// Text and tooltip.
    #[must_use]
    pub fn info(&self) -> Info {
        match *self {}
    }
}

impl State {
    pub(super) fn apply_training(&mut self, action: TrainingAction) -> Vec<Effect> {
        match action {}
    }
}
