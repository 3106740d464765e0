//! The data set: where it comes from, what is in it, what is wrong with it.

use egui::Ui;

use crate::studio::{Action, State};
use crate::ui::icons::Icon;
use crate::ui::textures::Textures;
use crate::ui::widgets::empty_ui;

/// The tab.
pub fn dataset_ui(ui: &mut Ui, _state: &State, _textures: &mut Textures, _actions: &mut Vec<Action>) {
    empty_ui(ui, Icon::Train, "Pictures and captions to learn from", "Open a folder or a table");
}
