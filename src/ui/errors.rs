//! The list of this session's errors, each with what is needed to report it.

use egui::{CollapsingHeader, Context, Frame, Id, Label, Margin, Modal, RichText, ScrollArea, Ui, vec2};

use crate::studio::{Action, ErrorRecord, Overlay, ShellAction, State};

use super::icons::Icon;
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, dialog_frame, empty_ui, hint_ui};

/// The list, if it is open.
pub fn errors_ui(ctx: &Context, state: &State, actions: &mut Vec<Action>) {
    if state.shell.overlay != Some(Overlay::Errors) {
        return;
    }
    let modal = Modal::new(Id::unique("errors")).frame(dialog_frame(ctx)).show(ctx, |ui| {
        let screen = ui.ctx().content_rect();
        ui.set_width(theme::SHEET_WIDTH.min(screen.width() - 12.0 * theme::UNIT));
        let p = palette(ui);
        let title = ShellAction::ShowErrors.info().text;
        ui.label(RichText::new(title).text_style(theme::title()).color(p.text));
        ui.add_space(2.0 * theme::UNIT);
        let height = (screen.height() - 48.0 * theme::UNIT).max(120.0);
        let list = state.notices.errors.list();
        if list.is_empty() {
            ui.set_max_height(height.min(160.0));
            empty_ui(ui, Icon::Check, "Nothing went wrong so far", "What does is listed here until you close Atelier");
            ui.add_space(4.0 * theme::UNIT);
        } else {
            ScrollArea::vertical().max_height(height).min_scrolled_height(height).auto_shrink([false, true]).show(
                ui,
                |ui| {
                    list.iter().rev().for_each(|record| record_ui(ui, state, record, actions));
                },
            );
        }
        ui.add_space(2.0 * theme::UNIT);
        ui.horizontal(|ui| {
            for action in [ShellAction::CloseOverlay, ShellAction::OpenLogs] {
                let size = vec2(96.0, theme::CONTROL_HEIGHT);
                action_button_ui(ui, &action.into(), Emphasis::Normal, size, actions);
            }
        });
    });
    if modal.should_close() {
        actions.push(ShellAction::CloseOverlay.into());
    }
}

fn record_ui(ui: &mut Ui, state: &State, record: &ErrorRecord, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let ErrorRecord { key, at_ms, error, request: _, times } = record;
    Frame::new()
        .fill(p.panel)
        .stroke(egui::Stroke::new(1.0, p.line))
        .corner_radius(theme::ROUNDING_LARGE)
        .inner_margin(Margin::symmetric(12, 10))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            let time = (state.catalog.local_date)(*at_ms);
            hint_ui(ui, if *times > 1 { format!("{time} · {times} times") } else { time });
            ui.add(Label::new(RichText::new(&error.sentence).color(p.text)).wrap().selectable(true));
            if let Some(hint) = &error.hint {
                ui.add(Label::new(RichText::new(hint).small().color(p.text_dim)).wrap().selectable(true));
            }
            if let Some(path) = &error.path {
                let text = RichText::new(path.display().to_string()).small().color(p.text_faint);
                ui.add(Label::new(text).wrap().selectable(true));
            }
            CollapsingHeader::new(RichText::new("Details").small()).id_salt(("details", key)).show(ui, |ui| {
                let text = RichText::new(state.error_details(record)).monospace().color(p.text_dim);
                ui.add(Label::new(text).wrap().selectable(true));
            });
            ui.horizontal(|ui| {
                action_button_ui(ui, &ShellAction::CopyDetails(*key).into(), Emphasis::Normal, vec2(0.0, 0.0), actions);
                if let Some(path) = &error.path {
                    let show = ShellAction::Show(path.clone()).into();
                    action_button_ui(ui, &show, Emphasis::Quiet, vec2(0.0, 0.0), actions);
                }
            });
        });
    ui.add_space(theme::UNIT);
}
