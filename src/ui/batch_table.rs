//! The rows of a batch, as they will be and as they became. Only those in view are drawn.

use egui::{Align, Color32, Frame, Layout, Margin, Rect, RichText, Role, Sense, Ui, WidgetInfo, vec2};
use egui_extras::{Column, TableBuilder, TableRow};

use crate::domain::PictureId;
use crate::studio::{Action, BatchAction, RowState, State, duration_text};

use super::icons::{self, Icon};
use super::textures::{TextureKey, Textures};
use super::theme::{self, palette};
use super::widgets::{Emphasis, button_ui, fit, hint_ui, progress_ui, snippet, tooltip};

/// Height of a row.
const ROW_HEIGHT: f32 = 48.0;

/// All wanted rows.
pub fn table_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    let order = state.batch.order();
    if order.is_empty() {
        ui.add_space(4.0 * theme::UNIT);
        ui.vertical_centered(|ui| hint_ui(ui, "None of the rows is wanted: look at Rows and Sample"));
        return;
    }
    let mut lacking = Vec::new();
    Frame::new().inner_margin(Margin { left: 16, right: 8, top: 12, bottom: 0 }).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        TableBuilder::new(ui)
            .id_salt("batch rows")
            .striped(false)
            .cell_layout(Layout::left_to_right(Align::Center))
            .auto_shrink(false)
            .column(Column::exact(56.0))
            .column(Column::exact(ROW_HEIGHT))
            .column(Column::remainder().clip(true).at_least(160.0))
            .column(Column::exact(216.0).clip(true))
            .column(Column::exact(72.0))
            .header(28.0, |mut header| {
                for title in ["Row", "", "Prompt", "State", "Time"] {
                    header.col(|ui| {
                        let colour = palette(ui).text_faint;
                        ui.label(RichText::new(title).text_style(theme::label()).color(colour));
                    });
                }
            })
            .body(|body| {
                body.rows(ROW_HEIGHT, order.len(), |mut line| {
                    if let Some(row) = order.get(line.index()) {
                        lacking.extend(row_ui(&mut line, *row, state, textures, actions));
                    }
                });
            });
    });
    if !lacking.is_empty() {
        actions.push(Action::Batch(BatchAction::InView(lacking)));
    }
}

/// A row. Gives its picture's key where the thumbnail is lacking.
fn row_ui(
    line: &mut TableRow,
    row: usize,
    state: &State,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) -> Option<PictureId> {
    let batch = &state.batch;
    let row_state = batch.row(row);
    line.col(|ui| {
        let colour = palette(ui).text_dim;
        let text = RichText::new((row + 1).to_string()).color(colour);
        ui.label(text).on_hover_text(format!("Line {} of the file", batch.line(row)));
    });
    let mut lacking = None;
    line.col(|ui| lacking = picture_ui(ui, row, row_state, state, textures, actions));
    line.col(|ui| {
        let p = palette(ui);
        match batch.prompt(row) {
            Some(prompt) if !prompt.is_empty() => {
                let text = RichText::new(snippet(&prompt, 400)).color(p.text);
                ui.add(egui::Label::new(text).truncate()).on_hover_text(prompt);
            }
            _ => {
                hint_ui(ui, "(no prompt)");
            }
        }
    });
    line.col(|ui| state_ui(ui, row, row_state, state, actions));
    line.col(|ui| {
        if let RowState::Done { seconds, .. } | RowState::Failed { seconds, .. } = row_state
            && *seconds > 0.0
        {
            hint_ui(ui, duration_text(*seconds));
        }
    });
    lacking
}

fn picture_ui(
    ui: &mut Ui,
    row: usize,
    row_state: &RowState,
    state: &State,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) -> Option<PictureId> {
    let p = palette(ui);
    let RowState::Done { picture, .. } = row_state else { return None };
    let (rect, response) = ui.allocate_exact_size(vec2(ROW_HEIGHT - 6.0, ROW_HEIGHT - 6.0), Sense::click());
    response
        .widget_info(|| WidgetInfo::labeled(Role::Button, picture.is_some(), format!("Picture of row {}", row + 1)));
    let icon = Rect::from_center_size(rect.center(), vec2(theme::ICON, theme::ICON));
    let Some(entry) = picture else {
        // Made before this start: it is in the gallery, but not known here.
        icons::paint(ui.painter(), icon, Icon::Picture, p.text_faint);
        response.on_hover_text("Made earlier");
        return None;
    };
    let mut lacking = Some(entry.id).filter(|id| !state.gallery.is_broken(*id));
    if let Some(texture) = textures.get(TextureKey::Thumbnail(entry.id)) {
        texture.paint(ui, fit(rect, entry.width_px as f32, entry.height_px as f32, f32::INFINITY), 3);
        lacking = None;
    } else {
        icons::paint(ui.painter(), icon, Icon::Picture, p.text_faint);
    }
    if response.has_focus() || response.hovered() {
        let stroke = egui::Stroke::new(1.0, p.accent);
        ui.painter().rect_stroke(rect, 3, stroke, egui::StrokeKind::Outside);
    }
    let show = Action::Batch(BatchAction::Show(entry.id));
    if response.on_hover_text(tooltip(&show.info())).clicked() {
        actions.push(show);
    }
    lacking
}

fn state_ui(ui: &mut Ui, row: usize, row_state: &RowState, state: &State, actions: &mut Vec<Action>) {
    let p = palette(ui);
    match row_state {
        RowState::Waiting => {
            hint_ui(ui, "Waiting");
        }
        RowState::Running => running_ui(ui, row, state),
        RowState::Done { picture, .. } => {
            let text = if picture.is_some() { "Made" } else { "Made earlier" };
            mark_ui(ui, Icon::Check, p.accent);
            ui.label(RichText::new(text).color(p.text_dim));
        }
        RowState::Wrong(why) => {
            mark_ui(ui, Icon::Warning, p.danger);
            let text = RichText::new(why).small().color(p.danger);
            ui.add(egui::Label::new(text).truncate()).on_hover_text(why);
        }
        RowState::Failed { error, .. } => {
            let retry = Action::Batch(BatchAction::Retry(row));
            let info = retry.info();
            mark_ui(ui, Icon::Warning, p.danger);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let response = button_ui(ui, info.text, Emphasis::Quiet, vec2(0.0, 0.0)).on_hover_text(tooltip(&info));
                response
                    .widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{} row {}", info.text, row + 1)));
                if response.clicked() {
                    actions.push(retry);
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let text = RichText::new(error).small().color(p.danger);
                    ui.add(egui::Label::new(text).truncate()).on_hover_text(error);
                });
            });
        }
    }
}

/// The row in the queue: how far its picture is.
fn running_ui(ui: &mut Ui, row: usize, state: &State) {
    let running = state.queue.running().filter(|running| state.batch.has_job(running.job.id));
    ui.vertical(|ui| {
        ui.add_space(2.0 * theme::UNIT);
        ui.spacing_mut().item_spacing.y = theme::UNIT;
        match running {
            Some(running) => {
                hint_ui(ui, running.status());
                progress_ui(ui, running.fraction(), &format!("Progress of row {}", row + 1));
            }
            None => {
                hint_ui(ui, "In the queue");
            }
        }
    });
}

fn mark_ui(ui: &mut Ui, icon: Icon, colour: Color32) {
    let (rect, _) = ui.allocate_exact_size(vec2(theme::ICON, theme::ICON), Sense::hover());
    icons::paint(ui.painter(), rect, icon, colour);
}
