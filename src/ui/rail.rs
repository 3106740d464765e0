//! The rail of places at the left.

use egui::{Align2, Color32, FontId, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::studio::{Action, Place, State};

use super::icons::{self, Icon};
use super::theme::{self, palette};
use super::widgets::tooltip;

/// The places, the one that is shown marked.
pub fn rail_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ui.spacing_mut().item_spacing.y = theme::UNIT;
    ui.add_space(3.0 * theme::UNIT);
    for place in [Place::Create, Place::Gallery, Place::Batch, Place::Train, Place::Models] {
        place_ui(ui, place, state, actions);
    }
    let rest = ui.available_height() - BUTTON_HEIGHT - 3.0 * theme::UNIT;
    ui.add_space(rest.max(0.0));
    place_ui(ui, Place::Settings, state, actions);
}

const BUTTON_HEIGHT: f32 = 56.0;

fn place_ui(ui: &mut Ui, place: Place, state: &State, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let action = Action::GoTo(place);
    let info = action.info();
    let chosen = state.place == place;
    let (outer, response) = ui.allocate_exact_size(vec2(ui.available_width(), BUTTON_HEIGHT), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, chosen, info.text));
    let rect = outer.shrink2(vec2(2.0 * theme::UNIT, 0.0));
    let colour = match (chosen, response.hovered()) {
        (true, _) | (false, true) => p.text,
        (false, false) => p.text_dim,
    };
    let fill = match (chosen, response.hovered()) {
        (true, _) => p.field,
        (false, true) => p.field_pressed,
        (false, false) => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, theme::ROUNDING_LARGE, fill);
    if response.has_focus() {
        let stroke = ui.visuals().widgets.active.bg_stroke;
        ui.painter().rect_stroke(rect, theme::ROUNDING_LARGE, stroke, egui::StrokeKind::Inside);
    }
    if chosen {
        let mark = Rect::from_min_max(
            pos2(outer.left(), rect.top() + 4.0 * theme::UNIT),
            pos2(outer.left() + 3.0, rect.bottom() - 4.0 * theme::UNIT),
        );
        ui.painter().rect_filled(mark, 2, p.accent);
    }
    let icon = match place {
        Place::Create => Icon::Create,
        Place::Gallery => Icon::Gallery,
        Place::Batch => Icon::Batch,
        Place::Train => Icon::Train,
        Place::Models => Icon::Models,
        Place::Settings => Icon::Settings,
    };
    let icon_rect = Rect::from_center_size(rect.center() - vec2(0.0, 8.0), vec2(20.0, 20.0));
    icons::paint(ui.painter(), icon_rect, icon, if chosen { p.accent } else { colour });
    let text_at = pos2(rect.center().x, rect.bottom() - 15.0);
    ui.painter().text(text_at, Align2::CENTER_CENTER, info.text, FontId::proportional(11.0), colour);
    if response.on_hover_text(tooltip(&info)).clicked() {
        actions.push(action);
    }
}
