//! The cheat sheet: every shortcut, from the table, by where it holds.

use egui::{Context, Grid, Id, Modal, RichText, ScrollArea, Ui, vec2};

use crate::studio::{Action, Overlay, Scope, ShellAction, State, shortcuts};

use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, dialog_frame};

/// The cheat sheet, if it is open.
pub fn cheat_sheet_ui(ctx: &Context, state: &State, actions: &mut Vec<Action>) {
    if state.shell.overlay != Some(Overlay::Shortcuts) {
        return;
    }
    let modal = Modal::new(Id::unique("cheat sheet")).frame(dialog_frame(ctx)).show(ctx, |ui| {
        let screen = ui.ctx().content_rect();
        ui.set_width(theme::SHEET_WIDTH.min(screen.width() - 12.0 * theme::UNIT));
        let p = palette(ui);
        let title = ShellAction::ShowShortcuts.info().text;
        ui.label(RichText::new(title).text_style(theme::title()).color(p.text));
        ui.add_space(2.0 * theme::UNIT);
        // Said outright: what is left of the window depends on where it was in the frame before.
        let height = (screen.height() - 48.0 * theme::UNIT).max(120.0);
        ScrollArea::vertical().max_height(height).min_scrolled_height(height).show(ui, |ui| {
            let mut titles: Vec<&str> = Scope::ALL.iter().map(|scope| scope.title()).collect();
            titles.dedup();
            // What makes pictures has about as many keys as what looks at them.
            let (left, right) = titles.split_at(titles.len() / 2);
            ui.columns(2, |columns| {
                for (titles, column) in [left, right].into_iter().zip(columns) {
                    for title in titles {
                        keys_ui(column, title);
                    }
                }
            });
        });
        ui.add_space(2.0 * theme::UNIT);
        let close = ShellAction::CloseOverlay.into();
        action_button_ui(ui, &close, Emphasis::Normal, vec2(96.0, theme::CONTROL_HEIGHT), actions);
    });
    if modal.should_close() {
        actions.push(ShellAction::CloseOverlay.into());
    }
}

/// The keys of the scopes with one title.
fn keys_ui(ui: &mut Ui, title: &str) {
    let p = palette(ui);
    ui.label(RichText::new(title).text_style(theme::label()).color(p.text_dim));
    Grid::new(title)
        .num_columns(2)
        .min_col_width(theme::KEYS_WIDTH)
        .spacing(vec2(16.0, 2.0))
        .min_row_height(22.0)
        .show(ui, |ui| {
            for (_, shortcut, action) in shortcuts().filter(|(scope, ..)| scope.title() == title) {
                let info = action.info();
                ui.label(RichText::new(shortcut.to_string()).monospace().color(p.text_dim));
                ui.label(RichText::new(info.text).color(p.text)).on_hover_text(info.tooltip);
                ui.end_row();
            }
        });
    ui.add_space(3.0 * theme::UNIT);
}
