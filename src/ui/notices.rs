//! Messages at the top, above everything: no button stands there that they could cover.

use std::time::Duration;

use egui::{Align2, Area, Context, Frame, Id, Margin, Order, Rect, RichText, Stroke, Ui, vec2};

use crate::studio::{Action, GalleryAction, Notice, Severity, ShellAction, State};

use super::icons::{self, Icon};
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, action_icon_ui, button_ui, hint_ui, tooltip};

/// How long a confirmation is shown, in seconds: long enough to read two lines twice.
const INFO_SECS: f64 = 6.0;

/// All messages, the newest at the bottom. Confirmations go by themselves.
pub fn notices_ui(ctx: &Context, state: &State, actions: &mut Vec<Action>) {
    if state.notices.list().is_empty() {
        return;
    }
    let id = Id::unique("notices");
    let before = ctx.memory(|memory| memory.area_rect(id));
    let area = Area::new(id).order(Order::Foreground).anchor(Align2::CENTER_TOP, vec2(0.0, 3.0 * theme::UNIT)).show(
        ctx,
        |ui| {
            for notice in state.notices.list() {
                notice_ui(ui, notice, actions);
            }
        },
    );
    // An area is placed by its size of the frame before: one that has grown would hang over the edge.
    if before.is_none_or(|before| before.size() != area.response.rect.size()) {
        ctx.request_discard("the messages changed their size");
    }
    if !area.response.contains_pointer() {
        expire(ctx, state, actions);
    }
}

/// Closes the confirmation that was shown long enough.
fn expire(ctx: &Context, state: &State, actions: &mut Vec<Action>) {
    let Some(notice) = state.notices.list().iter().find(|notice| notice.severity == Severity::Info) else { return };
    let now = ctx.input(|input| input.time);
    let id = Id::unique("confirmation since");
    let since = ctx.data_mut(|data| {
        let since = data.get_temp_mut_or_insert_with(id, || (notice.key, now));
        if since.0 != notice.key {
            *since = (notice.key, now);
        }
        since.1
    });
    let left = INFO_SECS - (now - since);
    if left > 0.0 {
        ctx.request_repaint_after(Duration::from_secs_f64(left));
    } else {
        actions.push(Action::DismissNotice(notice.key));
    }
}

fn notice_ui(ui: &mut Ui, notice: &Notice, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let Notice { key, severity, sentence, hint, path, times, is_undoable: _ } = notice;
    let (icon, colour) = match severity {
        Severity::Error => (Icon::Warning, p.danger),
        Severity::Info => (Icon::Check, p.accent),
    };
    let shadow = ui.visuals().popup_shadow;
    Frame::new()
        .fill(p.raised)
        .stroke(Stroke::new(1.0, p.outline))
        .corner_radius(theme::ROUNDING_LARGE)
        .shadow(shadow)
        .inner_margin(Margin { left: 12, right: 8, top: 8, bottom: 10 })
        .show(ui, |ui| {
            ui.set_width(theme::NOTICE_WIDTH);
            ui.horizontal_top(|ui| {
                let (slot, _) = ui.allocate_exact_size(vec2(theme::ICON, 24.0), egui::Sense::hover());
                let rect = Rect::from_center_size(slot.center(), vec2(theme::ICON, theme::ICON));
                icons::paint(ui.painter(), rect, icon, colour);
                let text_width = ui.available_width() - 24.0 - 2.0 * theme::UNIT;
                ui.vertical(|ui| {
                    ui.set_width(text_width);
                    ui.spacing_mut().item_spacing.y = theme::UNIT / 2.0;
                    ui.add_space(theme::UNIT);
                    let text = if *times > 1 { format!("{sentence} ({times} times)") } else { sentence.clone() };
                    let text = RichText::new(text).color(p.text);
                    ui.add(egui::Label::new(text).wrap().selectable(true));
                    if let Some(hint) = hint {
                        ui.add(egui::Label::new(RichText::new(hint).small().color(p.text_dim)).wrap());
                    }
                    if let Some(path) = path {
                        hint_ui(ui, path.display().to_string());
                    }
                    ways_on_ui(ui, notice, actions);
                });
                action_icon_ui(ui, Icon::Close, &Action::DismissNotice(*key), false, 24.0, actions);
            });
        });
}

/// What can be done about a message: undo what it tells of, show the file, see all that is known of an error.
fn ways_on_ui(ui: &mut Ui, notice: &Notice, actions: &mut Vec<Action>) {
    let undo = notice.is_undoable.then_some(Action::Gallery(GalleryAction::UndoTrash));
    let (show, details): (Option<Action>, Option<Action>) = match (notice.severity, &notice.path) {
        (Severity::Info, Some(path)) => (Some(ShellAction::Show(path.clone()).into()), None),
        (Severity::Info, None) => (None, None),
        (Severity::Error, _) => (None, Some(ShellAction::ShowErrors.into())),
    };
    if undo.is_none() && show.is_none() && details.is_none() {
        return;
    }
    ui.add_space(theme::UNIT);
    ui.horizontal(|ui| {
        for action in undo.into_iter().chain(show) {
            action_button_ui(ui, &action, Emphasis::Normal, vec2(0.0, 0.0), actions);
        }
        if let Some(action) = details {
            let button = button_ui(ui, "Details…", Emphasis::Normal, vec2(0.0, 0.0));
            if button.on_hover_text(tooltip(&action.info())).clicked() {
                actions.push(action);
            }
        }
    });
}
