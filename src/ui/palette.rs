//! The palette: every command by its name, over everything else.

use egui::text::{LayoutJob, TextFormat};
use egui::{
    Align2, Area, Color32, Context, Id, Key, Margin, Modal, Modifiers, Rect, Role, ScrollArea, Sense, TextEdit, Ui,
    UiKind, WidgetInfo, pos2, vec2,
};

use crate::studio::{Action, Entry, Overlay, Palette, ShellAction, State};

use super::shortcuts::pressed;
use super::theme::{self, palette};
use super::widgets::{dialog_frame, hint_ui};

/// Height of a row, with the name above what it does.
const ROW_HEIGHT: f32 = 44.0;
/// How many rows Page Up and Page Down go by.
const PAGE: usize = 8;

/// The palette, if it is open.
pub fn palette_ui(ctx: &Context, state: &State, actions: &mut Vec<Action>) {
    let Some(Overlay::Palette(typed)) = &state.shell.overlay else { return };
    let id = Id::unique("palette");
    let area = Area::new(id).kind(UiKind::Modal).anchor(Align2::CENTER_TOP, vec2(0.0, 16.0 * theme::UNIT));
    let modal = Modal::new(id).area(area).frame(dialog_frame(ctx).inner_margin(2.0 * theme::UNIT)).show(ctx, |ui| {
        let screen = ui.ctx().content_rect();
        ui.set_width(theme::PALETTE_WIDTH.min(screen.width() - 12.0 * theme::UNIT));
        content_ui(ui, state, typed, screen.height(), actions);
    });
    let again = ShellAction::OpenPalette.info().shortcut.is_some_and(|shortcut| pressed(ctx, shortcut));
    if modal.should_close() || again {
        actions.push(ShellAction::CloseOverlay.into());
    }
}

fn content_ui(ui: &mut Ui, state: &State, typed: &Palette, screen_height: f32, actions: &mut Vec<Action>) {
    let entries = state.palette_entries(&typed.query);
    let last = entries.len().saturating_sub(1);
    let marked = typed.marked.min(last);
    // Before the field sees them: it would move its cursor by them.
    let key = |ui: &Ui, key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    let mut moved = marked;
    if key(ui, Key::ArrowDown) {
        moved = if marked == last { 0 } else { marked + 1 };
    }
    if key(ui, Key::ArrowUp) {
        moved = if marked == 0 { last } else { marked - 1 };
    }
    if key(ui, Key::PageDown) {
        moved = (marked + PAGE).min(last);
    }
    if key(ui, Key::PageUp) {
        moved = marked.saturating_sub(PAGE);
    }
    let run = key(ui, Key::Enter);
    field_ui(ui, typed, actions);
    ui.add_space(theme::UNIT);
    if entries.is_empty() {
        hint_ui(ui, "No command has this name. Some of its letters are enough, in their order");
        return;
    }
    let height = (screen_height - 50.0 * theme::UNIT).max(3.0 * ROW_HEIGHT);
    ScrollArea::vertical().max_height(height).min_scrolled_height(height).auto_shrink([false, true]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for (row, entry) in entries.iter().enumerate() {
            if row_ui(ui, entry, row == moved, row == moved && moved != marked) {
                push(entry, actions);
            }
        }
    });
    if moved != marked {
        actions.push(ShellAction::MarkRow(moved).into());
    }
    if run {
        push(&entries[moved], actions);
    }
}

fn push(entry: &Entry, actions: &mut Vec<Action>) {
    if entry.blocked.is_none() {
        actions.push(ShellAction::Run(entry.name.clone(), Box::new(entry.action.clone())).into());
    }
}

fn field_ui(ui: &mut Ui, typed: &Palette, actions: &mut Vec<Action>) {
    let info = ShellAction::EditPalette(String::new()).info();
    let mut query = typed.query.clone();
    let field = TextEdit::singleline(&mut query).id(Id::unique("palette field")).desired_width(f32::INFINITY);
    let response = ui.add(field.margin(Margin::symmetric(10, 8)).hint_text("Type a command"));
    let response = response.accessible_name(info.text);
    if response.changed() {
        actions.push(ShellAction::EditPalette(query).into());
    }
    // Tab leads from the field to the rows and back.
    if ui.memory(|memory| memory.focused().is_none()) {
        response.request_focus();
    }
}

/// One command. True when it is clicked.
fn row_ui(ui: &mut Ui, entry: &Entry, is_marked: bool, scroll_here: bool) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), Sense::click());
    let is_enabled = entry.blocked.is_none();
    response.widget_info(|| {
        let said = match &entry.blocked {
            Some(reason) => format!("{}. {reason}", entry.name),
            None => entry.name.clone(),
        };
        WidgetInfo::selected(Role::ListBoxOption, is_enabled, is_marked, said)
    });
    if scroll_here {
        response.scroll_to_me(None);
    }
    if !ui.is_rect_visible(rect) {
        return response.clicked();
    }
    let p = palette(ui);
    let fill = match (is_marked, response.hovered()) {
        (true, _) => p.accent_soft,
        (false, true) => p.field_hover,
        (false, false) => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, theme::ROUNDING, fill);
    if response.has_focus() {
        let stroke = ui.visuals().widgets.active.bg_stroke;
        ui.painter().rect_stroke(rect, theme::ROUNDING, stroke, egui::StrokeKind::Inside);
    }
    let inner = rect.shrink2(vec2(2.5 * theme::UNIT, 0.0));
    let mut right = inner.right();
    if let Some(shortcut) = entry.shortcut {
        let font = egui::TextStyle::Monospace.resolve(ui.style());
        let at = pos2(right, rect.center().y);
        let keys = ui.painter().text(at, Align2::RIGHT_CENTER, shortcut, font, p.text_dim);
        right = keys.left() - 2.0 * theme::UNIT;
    }
    let clip = Rect::from_min_max(inner.min, pos2(right, inner.bottom())).intersect(ui.clip_rect());
    let painter = ui.painter().with_clip_rect(clip);
    let name = painter.layout_job(name_job(ui, entry));
    painter.galley(pos2(inner.left(), rect.top() + theme::UNIT), name, p.text);
    let font = egui::TextStyle::Small.resolve(ui.style());
    let (below, colour) = match &entry.blocked {
        Some(reason) => (reason.as_str(), p.text_dim),
        None => (entry.tooltip, p.text_faint),
    };
    painter.text(pos2(inner.left(), rect.bottom() - theme::UNIT), Align2::LEFT_BOTTOM, below, font, colour);
    response.clicked()
}

/// The name, its group faint, the letters that were typed in the accent.
fn name_job(ui: &Ui, entry: &Entry) -> LayoutJob {
    let p = palette(ui);
    let font = egui::TextStyle::Body.resolve(ui.style());
    let mut job = LayoutJob::default();
    for (at, c) in entry.name.chars().enumerate() {
        let is_typed = entry.places.binary_search(&at).is_ok();
        let color = match (entry.blocked.is_some(), is_typed, at < entry.group_chars) {
            (false, true, _) => p.accent,
            (true, ..) | (false, false, true) => p.text_dim,
            (false, false, false) => p.text,
        };
        job.append(
            c.encode_utf8(&mut [0; 4]),
            0.0,
            TextFormat { font_id: font.clone(), color, ..TextFormat::default() },
        );
    }
    job
}
