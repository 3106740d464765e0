//! The list of names below what is being typed.

use egui::{
    Align2, Area, Color32, Context, FontId, Frame, Id, LayerId, Margin, Order, Rect, Role, Sense, Ui, WidgetInfo, pos2,
    vec2,
};

use crate::studio::{Action, Completion, PromptAction, Suggestion};

use super::theme::{self, palette};
use super::widgets::{hint_ui, snippet};

/// Names in view.
const ROWS: usize = 8;
const ROW_HEIGHT: f32 = 26.0;
const WIDTH: f32 = 320.0;
/// Longest name and longest detail in a row, in characters.
const NAME_CHARS: usize = 25;
const DETAIL_CHARS: usize = 20;

fn area_id() -> Id {
    Id::unique("names")
}

/// Whether the pointer is on the list.
pub fn is_over_names(ctx: &Context) -> bool {
    let layer = ctx.pointer_interact_pos().and_then(|pos| ctx.layer_id_at(pos));
    layer == Some(LayerId::new(Order::Foreground, area_id()))
}

/// The list, below `anchor`.
pub fn names_ui(ui: &Ui, completion: &Completion, anchor: Rect, actions: &mut Vec<Action>) {
    let count = completion.offered.len();
    // The chosen one is in view; the list moves no further than it must.
    let first = completion.chosen.unwrap_or(0).saturating_sub(ROWS - 1);
    let shown = first..count.min(first + ROWS);
    Area::new(area_id())
        .order(Order::Foreground)
        .fixed_pos(anchor.left_bottom() + vec2(-8.0, theme::UNIT))
        .constrain_to(ui.ctx().content_rect().shrink(theme::UNIT))
        .show(ui.ctx(), |ui| {
            Frame::popup(ui.style()).inner_margin(Margin::same(4)).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                ui.set_width(WIDTH);
                for index in shown.clone() {
                    let suggestion = &completion.offered[index];
                    if row_ui(ui, suggestion, completion.chosen == Some(index)) {
                        actions.push(Action::Prompt(PromptAction::CompleteWith(index)));
                    }
                }
                let more = count - shown.len();
                let keys = if completion.chosen.is_some() { "Enter or Tab writes it" } else { "Tab writes the first" };
                let text = if more > 0 { format!("{keys} · {more} more") } else { format!("{keys} · Esc closes") };
                Frame::new().inner_margin(Margin { left: 8, right: 8, top: 2, bottom: 2 }).show(ui, |ui| {
                    hint_ui(ui, text);
                });
            });
        });
}

fn row_ui(ui: &mut Ui, suggestion: &Suggestion, is_chosen: bool) -> bool {
    let Suggestion { name, detail, refusal } = suggestion;
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), Sense::CLICK);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_chosen, format!("Write {name}")));
    let fill = match (is_chosen, response.hovered()) {
        (true, _) => p.accent_soft,
        (false, true) => p.field_hover,
        (false, false) => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, theme::ROUNDING, fill);
    let colour = if refusal.is_some() { p.text_faint } else { p.text };
    let font = FontId::proportional(13.5);
    let text = snippet(name, NAME_CHARS);
    ui.painter().text(pos2(rect.left() + 8.0, rect.center().y), Align2::LEFT_CENTER, text, font, colour);
    let detail = if refusal.is_some() { "does not fit".to_owned() } else { snippet(detail, DETAIL_CHARS) };
    let small = FontId::proportional(12.0);
    ui.painter().text(pos2(rect.right() - 8.0, rect.center().y), Align2::RIGHT_CENTER, detail, small, p.text_faint);
    let response = match refusal {
        Some(refusal) => response.on_hover_text(refusal),
        None => response,
    };
    response.clicked()
}
