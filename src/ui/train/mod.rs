//! Train: its tabs at the top, the one that is shown below.

mod dataset;
mod training;
mod training_curves;
mod training_fields;
mod training_forecast;
mod training_pictures;
mod training_run;
mod training_setup;

use egui::{CentralPanel, Color32, Frame, Margin, Panel, RichText, Role, Sense, Stroke, Ui, WidgetInfo, vec2};

use crate::studio::{Action, State, TrainAction, TrainTab};

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
                    tab_ui(ui, tab, state, actions);
                }
            });
        });
    CentralPanel::default().frame(Frame::new().fill(p.panel)).show(ui, |ui| match state.train.tab {
        TrainTab::Dataset => dataset::dataset_ui(ui, state, textures, actions),
        TrainTab::Training => training::training_ui(ui, state, textures, actions),
    });
}

/// A tab: its name, underlined where it is shown.
fn tab_ui(ui: &mut Ui, tab: TrainTab, state: &State, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let action = Action::Train(TrainAction::Show(tab));
    let info = action.info();
    let chosen = state.train.tab == tab;
    let text = RichText::new(info.text).font(theme::semibold(13.5));
    let galley = egui::WidgetText::from(text).into_galley(ui, None, f32::INFINITY, egui::TextStyle::Body);
    let size = vec2(galley.size().x, theme::CONTROL_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, chosen, info.text));
    let colour = if chosen || response.hovered() { p.text } else { p.text_dim };
    ui.painter().galley_with_override_text_color(rect.left_center() - vec2(0.0, galley.size().y / 2.0), galley, colour);
    let line = if chosen { p.accent } else { Color32::TRANSPARENT };
    ui.painter().hline(rect.x_range(), rect.bottom() - 1.0, Stroke::new(2.0, line));
    if response.has_focus() {
        let stroke = ui.visuals().widgets.active.bg_stroke;
        ui.painter().rect_stroke(rect.expand(theme::UNIT), theme::ROUNDING, stroke, egui::StrokeKind::Inside);
    }
    if response.on_hover_text(tooltip(&info)).clicked() {
        actions.push(action);
    }
}
