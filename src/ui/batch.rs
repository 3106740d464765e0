//! Batch: a table at the right, how its rows become pictures at the left.

use egui::{Align, Align2, CentralPanel, DragValue, Frame, Id, Layout, RichText, TextEdit, Ui, vec2};

use crate::studio::{Action, BatchAction, Run, State, duration_text};

use super::batch_table::table_ui;
use super::icons::Icon;
use super::textures::Textures;
use super::theme::{self, palette};
use super::widgets::{
    Emphasis, action_button_ui, action_icon_ui, button_ui, column_ui, empty_ui, field_name_ui, hint_ui, problem_ui,
    progress_ui, tooltip,
};

/// Problems that are listed; more are counted.
const MAX_PROBLEMS: usize = 200;

/// The place.
pub fn batch_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let batch = &state.batch;
    let Some(table) = &batch.table else {
        empty_place_ui(ui, state, actions);
        return;
    };
    column_ui(
        ui,
        "batch",
        actions,
        |ui, actions| run_ui(ui, state, actions),
        |ui, actions| {
            head_ui(ui, &table.path, actions);
            template_ui(ui, state, actions);
            wanted_ui(ui, state, actions);
            problems_ui(ui, state);
        },
    );
    CentralPanel::default().frame(Frame::new().fill(p.panel)).show(ui, |ui| table_ui(ui, state, textures, actions));
}

/// What to do where there is no table.
fn empty_place_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let batch = &state.batch;
    let (title, advice) = if batch.reading.is_some() {
        ("Reading the table", "This takes a moment")
    } else {
        (
            "Many pictures from one table",
            "Drop a file here, or open one: a list with a prompt a line (.txt), CSV, or JSON lines. Each row becomes a picture",
        )
    };
    empty_ui(ui, Icon::Batch, title, advice);
    ui.add_space(2.0 * theme::UNIT);
    ui.vertical_centered(|ui| {
        if batch.reading.is_none() {
            let choose = Action::Batch(BatchAction::Choose);
            action_button_ui(ui, &choose, Emphasis::Primary, vec2(160.0, theme::CONTROL_HEIGHT), actions);
        }
        error_ui(ui, state);
    });
}

fn error_ui(ui: &mut Ui, state: &State) {
    let Some(error) = &state.batch.error else { return };
    problem_ui(ui, Some(&error.sentence));
    if let Some(hint) = &error.hint {
        wrapped_ui(ui, hint);
    }
    if let Some(path) = error.path.as_ref().filter(|_| state.batch.table.is_none()) {
        hint_ui(ui, path.display().to_string());
    }
}

/// A hint of any length.
fn wrapped_ui(ui: &mut Ui, text: &str) {
    let colour = palette(ui).text_faint;
    ui.add(egui::Label::new(RichText::new(text).small().color(colour)).wrap());
}

fn head_ui(ui: &mut Ui, path: &std::path::Path, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), theme::CONTROL_HEIGHT),
        Layout::right_to_left(Align::Center),
        |ui| {
            for (icon, action) in [(Icon::Close, BatchAction::Close), (Icon::Refresh, BatchAction::Reload)] {
                action_icon_ui(ui, icon, &Action::Batch(action), false, theme::CONTROL_HEIGHT, actions);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let text = RichText::new(name).text_style(theme::title()).color(p.text);
                ui.add(egui::Label::new(text).truncate()).on_hover_text(path.display().to_string());
            });
        },
    );
    ui.add_space(theme::UNIT);
}

/// How prompts are made of columns, with the columns to put in.
fn template_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let batch = &state.batch;
    let name = field_name_ui(ui, &BatchAction::EditTemplate(String::new()).info());
    let mut text = batch.template.clone();
    let is_running = batch.run != Run::Idle;
    let field = TextEdit::multiline(&mut text)
        .id(Id::unique("batch template"))
        .desired_rows(2)
        .desired_width(f32::INFINITY)
        .interactive(!is_running)
        .hint_text("The column \"prompt\" as it stands");
    let response = ui.add(field).labelled_by(name.id);
    if response.changed() {
        actions.push(Action::Batch(BatchAction::EditTemplate(text)));
    }
    error_ui(ui, state);
    let Some(table) = &batch.table else { return };
    ui.add_enabled_ui(!is_running, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(theme::UNIT, theme::UNIT);
            ui.spacing_mut().button_padding = vec2(2.0 * theme::UNIT, 0.5 * theme::UNIT);
            ui.spacing_mut().interact_size.y = 6.0 * theme::UNIT;
            for column in &table.columns {
                let insert = Action::Batch(BatchAction::Insert(column.clone()));
                let label = format!("{{{}}}", super::widgets::snippet(column, 24));
                // Not in a scope of its own: one that does not fit goes to the next line as a whole.
                let button = egui::Button::new(label).wrap_mode(egui::TextWrapMode::Extend);
                if ui.add(button).on_hover_text(insert.info().tooltip).clicked() {
                    actions.push(insert);
                }
            }
        });
    });
    ui.add_space(2.0 * theme::UNIT);
}

/// Which rows, and the seed of those that have none.
fn wanted_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let batch = &state.batch;
    let column = (ui.available_width() - 4.0 * theme::UNIT) / 3.0;
    ui.add_enabled_ui(batch.run == Run::Idle, |ui| {
        ui.horizontal_top(|ui| {
            let edit_rows: fn(String) -> BatchAction = BatchAction::EditRows;
            for (text, edit, hint) in [
                (&batch.rows_field, edit_rows, "All"),
                (&batch.sample_field, BatchAction::EditSample as fn(String) -> BatchAction, "All"),
            ] {
                ui.vertical(|ui| {
                    ui.set_width(column);
                    let name = field_name_ui(ui, &edit(String::new()).info());
                    let mut text = text.clone();
                    let id = Id::unique(edit(String::new()).info().text);
                    let field = TextEdit::singleline(&mut text).id(id).desired_width(column).hint_text(hint);
                    if ui.add(field.align(Align2::LEFT_CENTER)).labelled_by(name.id).changed() {
                        actions.push(Action::Batch(edit(text)));
                    }
                });
            }
            ui.vertical(|ui| {
                ui.set_width(column);
                let name = field_name_ui(ui, &BatchAction::EditSeed(0).info());
                let mut seed = batch.seed;
                let value = DragValue::new(&mut seed).speed(1.0);
                if ui.add_sized(vec2(column, theme::CONTROL_HEIGHT), value).labelled_by(name.id).changed() {
                    actions.push(Action::Batch(BatchAction::EditSeed(seed)));
                }
            });
        });
    });
    problem_ui(ui, batch.rows_problem().as_deref());
    problem_ui(ui, batch.sample_problem().as_deref());
    wrapped_ui(ui, "What a row does not say (size, steps, model and so on) is as in Create");
    ui.add_space(2.0 * theme::UNIT);
}

/// Everything that is wrong, by line.
fn problems_ui(ui: &mut Ui, state: &State) {
    let p = palette(ui);
    let problems = state.batch.problems();
    let count = problems.len();
    if count == 0 {
        return;
    }
    let title = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
    ui.label(RichText::new(title).font(theme::semibold(13.0)).color(p.danger));
    for (line, sentence) in problems.iter().take(MAX_PROBLEMS) {
        let text = format!("Line {line}: {sentence}");
        ui.add(egui::Label::new(RichText::new(text).small().color(p.text_dim)).wrap().selectable(true));
    }
    if count > MAX_PROBLEMS {
        hint_ui(ui, format!("and {} more", count - MAX_PROBLEMS));
    }
}

/// How far it is, and what can be done.
fn run_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let batch = &state.batch;
    let counts = batch.counts();
    let ended = counts.done + counts.failed + counts.wrong;
    if ended > 0 && counts.all > 0 {
        progress_ui(ui, ended as f32 / counts.all as f32, "Progress of the batch");
    }
    let mut parts = vec![format!("{} rows", counts.all)];
    for (count, what) in [(counts.done, "made"), (counts.failed, "failed"), (counts.wrong, "with a problem")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    if batch.run != Run::Idle
        && let Some(secs) = batch.secs_left()
    {
        parts.push(format!("{} left", duration_text(secs)));
    }
    hint_ui(ui, parts.join(" · "));
    let wide = vec2(ui.available_width(), theme::GENERATE_HEIGHT);
    let half = vec2((ui.available_width() - 2.0 * theme::UNIT) / 2.0, theme::CONTROL_HEIGHT);
    match batch.run {
        Run::Idle => {
            let run = Action::Batch(BatchAction::Run);
            let blocked = batch.blocked();
            let info = run.info();
            let response = ui
                .add_enabled_ui(blocked.is_none(), |ui| button_ui(ui, info.text, Emphasis::Primary, wide))
                .inner
                .on_hover_text(tooltip(&info));
            let response = match blocked {
                Some(reason) => response.on_disabled_hover_text(reason),
                None => response,
            };
            if response.clicked() {
                actions.push(run);
            }
            if counts.failed > 0 && !batch.checking {
                let retry = Action::Batch(BatchAction::RetryFailed);
                action_button_ui(ui, &retry, Emphasis::Normal, vec2(wide.x, theme::CONTROL_HEIGHT), actions);
            }
        }
        Run::Going | Run::Pausing => {
            ui.horizontal(|ui| {
                if batch.run == Run::Going {
                    action_button_ui(ui, &Action::Batch(BatchAction::Pause), Emphasis::Normal, half, actions);
                } else {
                    ui.allocate_ui_with_layout(half, Layout::centered_and_justified(egui::Direction::TopDown), |ui| {
                        hint_ui(ui, "Pauses after this row");
                    });
                }
                action_button_ui(ui, &Action::Batch(BatchAction::Stop), Emphasis::Normal, half, actions);
            });
        }
    }
    if let Some(path) = &batch.results {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        hint_ui(ui, format!("Results: {name}")).on_hover_text(path.display().to_string());
    }
}
