//! The Train place: a data set is made ready in one tab, something is learnt from it in the other.

mod album;
mod curves;
mod dataset;
mod dataset_acts;
mod dataset_events;
mod dataset_form;
mod dataset_hand;
mod dataset_rows;
#[cfg(test)]
mod dataset_tests;
mod training;
mod training_compare;
mod training_fields;
mod training_files;
mod training_run;
#[cfg(test)]
mod training_tests;
mod training_update;

use super::{Effect, Info, State};

pub use album::{Album, AlbumPicture, Numbered};
pub use curves::{Curve, Curves};
pub use dataset::{DatasetAction, DatasetDesk, DatasetDialog, DatasetMode, DatasetPage, DatasetWork, DatasetWorkKind};
pub use dataset_form::{PrepareForm, SIDES};
pub use dataset_hand::{DatasetInHand, HandRow, ProblemGroup, ProblemItem};
pub use dataset_rows::{RowChanges, RowFilter, RowFinder};
pub use training::{Foresight, TrainingAction, TrainingDesk};
pub use training_fields::{FIELDS, Field, FieldKind, FieldValue, OWN_FIELDS, Section, field};
pub use training_run::{DrawnPicture, HardRow, TrainingRun, TrainingStage};

/// The tabs of the place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TrainTab {
    /// Pictures and captions to learn from.
    #[default]
    Dataset,
    /// What is learnt, and how far it is.
    Training,
}

impl TrainTab {
    /// All of them, as they stand over the place.
    pub const ALL: [Self; 2] = [Self::Dataset, Self::Training];
}

/// What the Train place shows.
#[derive(Clone, Debug, Default)]
pub struct TrainState {
    /// The tab that is shown.
    pub tab: TrainTab,
    /// The data set in hand.
    pub dataset: DatasetDesk,
    /// The training.
    pub training: TrainingDesk,
}

/// An act of the user in the Train place.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainAction {
    /// Show another tab.
    Show(TrainTab),
    /// Something with the data set.
    Dataset(DatasetAction),
    /// Something with the training.
    Training(TrainingAction),
}

impl TrainAction {
    /// Text, tooltip and shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let info = |text, tooltip| Info { text, tooltip, shortcut: None };
        match self {
            Self::Show(TrainTab::Dataset) => info("Data set", "The pictures and captions to learn from"),
            Self::Show(TrainTab::Training) => info("Training", "What is learnt from them, and how far it is"),
            Self::Dataset(action) => action.info(),
            Self::Training(action) => action.info(),
        }
    }
}

impl State {
    pub(super) fn apply_train(&mut self, action: TrainAction) -> Vec<Effect> {
        match action {
            TrainAction::Show(tab) => {
                self.train.tab = tab;
                match tab {
                    TrainTab::Training => self.training_shown(),
                    TrainTab::Dataset => Vec::new(),
                }
            }
            TrainAction::Dataset(action) => self.apply_dataset(action),
            TrainAction::Training(action) => self.apply_training(action),
        }
    }
}
