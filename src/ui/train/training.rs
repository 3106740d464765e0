//! The training: what is learnt, and how far it is.

use egui::Ui;

use crate::studio::{Action, State};
use crate::ui::icons::Icon;
use crate::ui::textures::Textures;
use crate::ui::widgets::empty_ui;

/// The tab.
pub fn training_ui(ui: &mut Ui, _state: &State, _textures: &mut Textures, _actions: &mut Vec<Action>) {
    empty_ui(ui, Icon::Train, "Nothing is being learnt", "Make a data set ready first");
}
