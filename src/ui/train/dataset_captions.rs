//! What is done with the captions of a data set: which are shown, find and replace.

use egui::{Align2, Id, RichText, Role, Sense, TextEdit, Ui, WidgetInfo, pos2, vec2};

use crate::studio::{Action, DatasetAction, DatasetInHand, RowFilter};
use crate::ui::theme::{self, palette};
use crate::ui::widgets::{Emphasis, button_ui, field_name_ui, tooltip};

use super::dataset::{act, number, wrapped_ui};

/// The tools.
pub fn captions_ui(ui: &mut Ui, hand: &DatasetInHand, actions: &mut Vec<Action>) {
    let colour = palette(ui).text_dim;
    ui.label(RichText::new("Show").text_style(theme::label()).color(colour));
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 0.5 * theme::UNIT;
        for filter in RowFilter::ALL {
            filter_ui(ui, hand, filter, actions);
        }
    });
    ui.add_space(3.0 * theme::UNIT);
    text_ui(ui, &hand.finder.find, DatasetAction::EditFind, actions);
    let mut match_case = hand.finder.match_case;
    let info = DatasetAction::ToggleCase.info();
    if ui.checkbox(&mut match_case, info.text).on_hover_text(info.tooltip).changed() {
        actions.push(act(DatasetAction::ToggleCase));
    }
    ui.add_space(theme::UNIT);
    text_ui(ui, &hand.finder.replacement, DatasetAction::EditReplacement, actions);
    replace_ui(ui, hand, actions);
}

/// A filter with how many rows it shows, as wide as the column.
fn filter_ui(ui: &mut Ui, hand: &DatasetInHand, filter: RowFilter, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let action = act(DatasetAction::Show(filter));
    let chosen = hand.finder.filter == filter;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 7.0 * theme::UNIT), Sense::click());
    let count = number(hand.finder.count(filter));
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, chosen, filter.label()));
    let fill = match (chosen, response.hovered()) {
        (true, _) => p.accent_soft,
        (false, true) => p.field_hover,
        (false, false) => p.panel,
    };
    ui.painter().rect_filled(rect, theme::ROUNDING, fill);
    if response.has_focus() {
        let stroke = ui.visuals().widgets.active.bg_stroke;
        ui.painter().rect_stroke(rect, theme::ROUNDING, stroke, egui::StrokeKind::Inside);
    }
    let font = egui::TextStyle::Body.resolve(ui.style());
    let text = if chosen { p.text } else { p.text_dim };
    let left = pos2(rect.left() + 2.0 * theme::UNIT, rect.center().y);
    ui.painter().text(left, Align2::LEFT_CENTER, filter.label(), font.clone(), text);
    let right = pos2(rect.right() - 2.0 * theme::UNIT, rect.center().y);
    ui.painter().text(right, Align2::RIGHT_CENTER, count, font, p.text_faint);
    if response.on_hover_text(tooltip(&action.info())).clicked() {
        actions.push(action);
    }
}

fn text_ui(ui: &mut Ui, text: &str, edit: fn(String) -> DatasetAction, actions: &mut Vec<Action>) {
    let info = edit(String::new()).info();
    let name = field_name_ui(ui, &info);
    let mut text = text.to_owned();
    let field = TextEdit::singleline(&mut text)
        .id(Id::unique(info.text))
        .desired_width(f32::INFINITY)
        .align(Align2::LEFT_CENTER);
    if ui.add(field).labelled_by(name.id).changed() {
        actions.push(act(edit(text)));
    }
}

/// In how many captions it would be replaced, and the button that does it.
fn replace_ui(ui: &mut Ui, hand: &DatasetInHand, actions: &mut Vec<Action>) {
    let action = act(DatasetAction::Replace);
    let found = hand.finder.found();
    let text = match found {
        0 => "Replace".to_owned(),
        1 => "Replace in 1 caption".to_owned(),
        count => format!("Replace in {} captions", number(count)),
    };
    ui.add_space(theme::UNIT);
    let size = vec2(ui.available_width(), theme::CONTROL_HEIGHT);
    let response = ui.add_enabled_ui(found > 0, |ui| button_ui(ui, &text, Emphasis::Normal, size)).inner;
    if response.on_hover_text(action.info().tooltip).clicked() {
        actions.push(action);
    }
    if found == 0 && !hand.finder.find.is_empty() {
        wrapped_ui(ui, "No caption holds this");
    }
}
