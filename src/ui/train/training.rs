//! The training: made ready, or as it runs.

use egui::{Frame, RichText, Ui, vec2};

use crate::domain::training::PastTraining;
use crate::studio::{Action, State, TrainAction, TrainingAction};
use crate::ui::textures::Textures;
use crate::ui::theme::{self, palette};
use crate::ui::widgets::{Emphasis, action_button_ui, hint_ui};

use super::{training_run, training_setup};

/// The tab.
pub fn training_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    match &state.train.training.run {
        Some(run) => training_run::run_ui(ui, run, textures, actions),
        None => training_setup::setup_ui(ui, state, actions),
    }
}

/// An act as the window's.
pub fn act(action: TrainingAction) -> Action {
    Action::Train(TrainAction::Training(action))
}

/// A button for an act.
pub fn act_ui(ui: &mut Ui, action: TrainingAction, emphasis: Emphasis, width: f32, actions: &mut Vec<Action>) {
    action_button_ui(ui, &act(action), emphasis, vec2(width, theme::CONTROL_HEIGHT), actions);
}

/// A training that was begun earlier and can be gone on with.
pub fn past_ui(ui: &mut Ui, past: &PastTraining, is_taken: bool, actions: &mut Vec<Action>) {
    let p = palette(ui);
    Frame::new().fill(p.accent_soft).corner_radius(theme::ROUNDING_LARGE).inner_margin(12).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.vertical(|ui| {
                let verb = if is_taken { "is here already" } else { "is not finished" };
                let title = format!("{} {verb}", past.config.name);
                ui.label(RichText::new(title).font(theme::semibold(14.0)).color(p.text));
                let text = match (past.last(), past.steps) {
                    (Some(step), Some(steps)) => format!("Saved after step {step} of {steps}"),
                    (Some(step), None) => format!("Saved after step {step}"),
                    (None, _) => "Nothing of it was saved yet: it begins anew".to_owned(),
                };
                ui.label(RichText::new(text).small().color(p.text_dim));
            });
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                act_ui(ui, TrainingAction::Resume, Emphasis::Primary, 96.0, actions);
                act_ui(ui, TrainingAction::LookBack, Emphasis::Normal, 0.0, actions);
                act_ui(ui, TrainingAction::SetAside, Emphasis::Quiet, 0.0, actions);
            });
        });
    });
    ui.add_space(2.0 * theme::UNIT);
}

/// A title within a column.
pub fn title_ui(ui: &mut Ui, text: &str) {
    let p = palette(ui);
    ui.label(RichText::new(text).font(theme::semibold(13.5)).color(p.text));
}

/// A hint of any length.
pub fn wrapped_ui(ui: &mut Ui, text: &str) {
    let colour = palette(ui).text_faint;
    ui.add(egui::Label::new(RichText::new(text).small().color(colour)).wrap());
}

/// A line of a list: what, and how much.
pub fn fact_ui(ui: &mut Ui, what: &str, how_much: &str) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        hint_ui(ui, what);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.label(RichText::new(how_much).color(p.text));
        });
    });
}
