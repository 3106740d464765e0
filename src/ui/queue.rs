//! What waits, below the picture: the next jobs, or all of them, and what can be done with each.

use egui::{Align, Frame, Label, Layout, Margin, Panel, RichText, ScrollArea, Ui, vec2};

use crate::domain::{JobId, Priority};
use crate::studio::{Action, Editing, Held, QueueAction, State, Waiting};

use super::grid::grids_progress_ui;
use super::icons::Icon;
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, action_icon_ui, snippet, tooltip};

/// Most waiting jobs that are listed while the list is closed.
const CLOSED_ROWS: usize = 3;
/// Most rows of the open list that are in view.
const OPEN_ROWS: f32 = 8.0;
/// Height of a row.
const ROW: f32 = 30.0;
/// Side of the buttons in a row.
const SIDE: f32 = 24.0;

/// The queue, where there is something to be told of it.
pub fn queue_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let queue = &state.queue;
    let is_empty = queue.waiting().len() == 0 && !queue.paused;
    if is_empty && state.grids.progress().next().is_none() {
        return;
    }
    let p = palette(ui);
    let frame = Frame::new().fill(p.canvas).inner_margin(Margin { left: 20, right: 20, top: 4, bottom: 12 });
    Panel::bottom("queue").resizable(false).show_separator_line(false).frame(frame).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = theme::UNIT;
        grids_progress_ui(ui, state, actions);
        if is_empty {
            return;
        }
        left_over_ui(ui, state, actions);
        if let Some(editing) = &queue.editing {
            editing_ui(ui, state, editing, actions);
        }
        head_ui(ui, state, actions);
        let total = queue.waiting().len();
        if queue.is_open {
            let height = OPEN_ROWS * (ROW + theme::UNIT);
            ScrollArea::vertical().id_salt("all jobs").max_height(height).show_rows(ui, ROW, total, |ui, rows| {
                let first = rows.start;
                for (place, waiting) in queue.entries().enumerate().skip(first).take(rows.len()) {
                    row_ui(ui, state, place, waiting, actions);
                }
            });
        } else {
            for (place, waiting) in queue.entries().enumerate().take(CLOSED_ROWS) {
                row_ui(ui, state, place, waiting, actions);
            }
        }
    });
}

/// What was left from the last time, with the one decision that it needs.
fn left_over_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let left = state.queue.left_over();
    if left == 0 {
        return;
    }
    let p = palette(ui);
    Frame::new().fill(p.accent_soft).corner_radius(theme::ROUNDING).inner_margin(Margin::symmetric(10, 4)).show(
        ui,
        |ui| {
            ui.horizontal(|ui| {
                let text = if left == 1 { "1 job was waiting".to_owned() } else { format!("{left} jobs were waiting") };
                ui.label(RichText::new(text).color(p.text));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    action_button_ui(ui, &QueueAction::ClearLeft.into(), Emphasis::Quiet, vec2(0.0, 0.0), actions);
                    action_button_ui(ui, &QueueAction::RunLeft.into(), Emphasis::Normal, vec2(0.0, 0.0), actions);
                });
            });
        },
    );
}

/// The job that is in the draft to be changed.
fn editing_ui(ui: &mut Ui, state: &State, editing: &Editing, actions: &mut Vec<Action>) {
    let Some(waiting) = state.queue.entry(editing.job) else { return };
    let p = palette(ui);
    Frame::new().fill(p.accent_soft).corner_radius(theme::ROUNDING).inner_margin(Margin::symmetric(10, 4)).show(
        ui,
        |ui| {
            ui.horizontal(|ui| {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    action_button_ui(ui, &QueueAction::DropEdit.into(), Emphasis::Quiet, vec2(0.0, 0.0), actions);
                    action_button_ui(ui, &QueueAction::SaveEdit.into(), Emphasis::Normal, vec2(0.0, 0.0), actions);
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                        let text = format!("You are editing “{}”", snippet(&waiting.job.request.prompt, 40));
                        ui.add(Label::new(RichText::new(text).color(p.text)).truncate());
                    });
                });
            });
        },
    );
}

fn head_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let queue = &state.queue;
    let total = queue.waiting().len();
    ui.horizontal(|ui| {
        let title = match (queue.paused, total) {
            (true, 0) => "Paused".to_owned(),
            (true, total) => format!("Paused · {total} waiting"),
            (false, total) => format!("Up next · {total}"),
        };
        ui.label(RichText::new(title).text_style(theme::label()).color(p.text_dim));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if queue.paused {
                // The one that was left has a button of the same name.
                if queue.left_over() < total || total == 0 {
                    action_button_ui(ui, &QueueAction::Resume.into(), Emphasis::Normal, vec2(0.0, 0.0), actions);
                }
            } else {
                action_button_ui(ui, &QueueAction::Pause.into(), Emphasis::Quiet, vec2(0.0, 0.0), actions);
            }
            if total > 0 {
                action_button_ui(ui, &Action::ClearQueue, Emphasis::Quiet, vec2(0.0, 0.0), actions);
            }
            if queue.running().is_some() && total > 0 {
                action_button_ui(ui, &QueueAction::CancelAll.into(), Emphasis::Quiet, vec2(0.0, 0.0), actions);
            }
            if total > CLOSED_ROWS {
                let text = if queue.is_open { "Show fewer".to_owned() } else { format!("Show all {total}") };
                let info = QueueAction::ToggleList.info();
                let response = super::widgets::button_ui(ui, &text, Emphasis::Quiet, vec2(0.0, 0.0));
                if response.on_hover_text(tooltip(&info)).clicked() {
                    actions.push(QueueAction::ToggleList.into());
                }
            }
        });
    });
}

fn row_ui(ui: &mut Ui, state: &State, place: usize, waiting: &Waiting, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let id = waiting.job.id;
    let is_edited = state.queue.editing.as_ref().is_some_and(|editing| editing.job == id);
    let fill = if is_edited { p.accent_soft } else { p.panel };
    ui.push_id(id, |ui| {
        Frame::new().fill(fill).corner_radius(theme::ROUNDING).inner_margin(Margin::symmetric(10, 2)).show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = theme::UNIT;
                ui.spacing_mut().interact_size.y = SIDE;
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    action_icon_ui(ui, Icon::Close, &Action::CancelJob(id), false, SIDE, actions);
                    more_ui(ui, state, place, waiting, actions);
                    if place > 0 {
                        action_icon_ui(ui, Icon::Up, &Action::RunNext(id), false, SIDE, actions);
                    }
                    if waiting.held.is_some() {
                        let run = QueueAction::Release(id).into();
                        action_button_ui(ui, &run, Emphasis::Quiet, vec2(0.0, 0.0), actions);
                    }
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| text_ui(ui, waiting));
                });
            });
        });
    });
}

/// What the job makes, and what holds it.
fn text_ui(ui: &mut Ui, waiting: &Waiting) {
    let p = palette(ui);
    let request = &waiting.job.request;
    let label =
        |ui: &mut Ui, text: String, colour| ui.add(Label::new(RichText::new(text).small().color(colour)).truncate());
    match &waiting.held {
        Some(Held::Failed(error)) => {
            label(ui, "Failed".to_owned(), p.danger).on_hover_text(&error.sentence);
            label(ui, "·".to_owned(), p.text_faint);
        }
        Some(Held::Interrupted) => {
            let text = match waiting.job.done {
                0 => "Interrupted".to_owned(),
                done => format!("Interrupted after {done} of {}", request.count),
            };
            label(ui, text, p.accent).on_hover_text("It goes on at the step that it had come to");
            label(ui, "·".to_owned(), p.text_faint);
        }
        Some(Held::Left) | None => {}
    }
    if waiting.priority != Priority::Normal {
        label(ui, waiting.priority.label().to_owned(), p.accent);
        label(ui, "·".to_owned(), p.text_faint);
    }
    let pictures = if request.count > 1 { format!("{} × ", request.count) } else { String::new() };
    let text = format!(
        "{pictures}{}  ·  {} × {}, {} steps",
        snippet(&request.prompt, 60),
        request.width_px,
        request.height_px,
        request.num_inference_steps
    );
    label(ui, text, p.text_dim);
}

/// The rarer acts on a job.
fn more_ui(ui: &mut Ui, state: &State, place: usize, waiting: &Waiting, actions: &mut Vec<Action>) {
    let id: JobId = waiting.job.id;
    let last = state.queue.waiting().len() - 1;
    let button = egui::Button::new("…").min_size(vec2(SIDE, SIDE)).frame_when_inactive(false);
    let (response, _) = egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
        let mut acts = vec![QueueAction::Edit(id)];
        if place > 0 {
            acts.push(QueueAction::Up(id));
        }
        if place < last {
            acts.push(QueueAction::Down(id));
        }
        let others = Priority::ALL.into_iter().filter(|priority| *priority != waiting.priority);
        acts.extend(others.map(|priority| QueueAction::SetPriority(id, priority)));
        for act in acts {
            let info = act.info();
            let text = match act {
                QueueAction::SetPriority(_, priority) => format!("Priority: {}", priority.label().to_lowercase()),
                _ => info.text.to_owned(),
            };
            if ui.button(text).on_hover_text(info.tooltip).clicked() {
                actions.push(act.into());
                ui.close();
            }
        }
    });
    let name = format!("More for job {}", place + 1);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
    response.on_hover_text("Edit, move, priority");
}
