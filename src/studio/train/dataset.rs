//! [`DatasetDesk`]: the data set in hand.

use crate::studio::{Effect, Info, State};

/// The data set in hand.
#[derive(Clone, Debug, Default)]
pub struct DatasetDesk {}

/// An act of the user with the data set.
#[derive(Clone, Debug, PartialEq)]
pub enum DatasetAction {}

impl DatasetAction {
    /// Text and tooltip.
    #[must_use]
    pub fn info(&self) -> Info {
        match *self {}
    }
}

impl State {
    pub(super) fn apply_dataset(&mut self, action: DatasetAction) -> Vec<Effect> {
        match action {}
    }
}
