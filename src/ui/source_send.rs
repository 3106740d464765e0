//! A small button over a picture that sends it to the canvas, to begin with it.

use egui::{Rect, Role, Sense, StrokeKind, Ui, Vec2, WidgetInfo, vec2};

use crate::domain::PictureId;
use crate::studio::{Action, SourceAction};

use super::icons::{self, Icon};
use super::theme::{self, palette};

/// The button in the lower right corner of a picture's tile. `name` is the picture's, for a screen reader.
pub fn send_ui(ui: &Ui, tile: Rect, id: PictureId, name: &str, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let info = SourceAction::BeginWith(id).info();
    let corner = tile.right_bottom() - Vec2::splat(theme::TILE_BUTTON + 2.0 * theme::UNIT);
    let rect = Rect::from_min_size(corner, vec2(theme::TILE_BUTTON, theme::TILE_BUTTON));
    let response = ui.interact(rect, ui.scope_id().with(("begin with", id)), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{}: {name}", info.text)));
    ui.painter().rect_filled(rect, theme::ROUNDING, if response.hovered() { p.field_hover } else { p.raised });
    if response.has_focus() {
        let stroke = ui.visuals().widgets.active.bg_stroke;
        ui.painter().rect_stroke(rect, theme::ROUNDING, stroke, StrokeKind::Inside);
    }
    icons::paint(ui.painter(), rect.shrink(theme::UNIT), Icon::Create, p.text_dim);
    if response.on_hover_text(format!("{}. {}", info.text, info.tooltip)).clicked() {
        actions.push(Action::Source(SourceAction::BeginWith(id)));
    }
}
