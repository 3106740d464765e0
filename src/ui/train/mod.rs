//! Train: its tabs at the top, the one that is shown below.

mod dataset;
mod dataset_captions;
mod dataset_grid;
mod dataset_prepare;
mod dataset_problems;
mod training;
mod training_curves;
mod training_fields;
mod training_forecast;
mod training_pictures;
mod training_run;
mod training_setup;

use egui::{CentralPanel, Frame, Margin, Panel, Role, Ui};

use crate::studio::{Action, DatasetAction, State, TrainAction, TrainTab};

use super::textures::Textures;
use super::theme::{self, palette};
use super::widgets::tooltip;

/// The place.
pub fn train_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    let p = palette(ui);
    Panel::top("train tabs")
        .show_separator_line(true)
        .resizable(false)
        .frame(Frame::new().fill(p.panel).inner_margin(Margin { left: 16, right: 16, top: 8, bottom: 0 }))
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 5.0 * theme::UNIT;
                for tab in TrainTab::ALL {
                    let action = Action::Train(TrainAction::Show(tab));
                    let info = action.info();
                    let response = dataset::underlined_ui(ui, Role::Tab, info.text, state.train.tab == tab);
                    if response.on_hover_text(tooltip(&info)).clicked() {
                        actions.push(action);
                    }
                }
            });
        });
    CentralPanel::default().frame(Frame::new().fill(p.panel)).show(ui, |ui| match state.train.tab {
        TrainTab::Dataset => dataset::dataset_ui(ui, state, textures, actions),
        TrainTab::Training => training::training_ui(ui, state, textures, actions),
    });
}

/// Takes the caption over that was being typed, once its field has lost the keyboard, wherever that went.
pub fn settle_caption(ctx: &egui::Context, state: &State, actions: &mut Vec<Action>) {
    let hand = state.train.dataset.hand.as_ref();
    let writing = hand.and_then(|hand| Some((hand.ticket, hand.changes.writing.as_ref()?.0)));
    if let Some((ticket, row)) = writing
        && !ctx.memory(|memory| memory.has_focus(dataset::caption_id(ticket, row)))
    {
        actions.push(Action::Train(TrainAction::Dataset(DatasetAction::Commit)));
    }
}
