//! What computes: the choice in the settings, and a line beside the work.

use egui::{RichText, Ui};

use crate::domain::DeviceChoice;
use crate::studio::{Action, DeviceAction, State};

use super::theme::palette;
use super::widgets::hint_ui;

/// The choice, and what came of it.
pub fn device_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    hint_ui(ui, "What draws the pictures and trains");
    let other = Some(state.device.choice).filter(|choice| !DeviceChoice::OFFERED.contains(choice));
    for choice in DeviceChoice::OFFERED.iter().copied().chain(other) {
        let is_chosen = state.device.choice == choice;
        ui.horizontal(|ui| {
            if ui.radio(is_chosen, choice.label()).clicked() && !is_chosen {
                actions.push(DeviceAction::Choose(choice).into());
            }
            hint_ui(ui, choice.description());
        });
    }
    let sentence = state.device.sentence().unwrap_or_else(|| "Looking for what is there…".to_owned());
    ui.add(egui::Label::new(RichText::new(sentence).color(palette(ui).text)).wrap().selectable(true));
}

/// A line where a card computes, or does not although it was asked for.
pub fn device_status_ui(ui: &mut Ui, state: &State) {
    if let Some(status) = state.device.status() {
        hint_ui(ui, status);
    }
}
