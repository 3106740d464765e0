//! Grids: the dialog in which one is written, and how far those are that are made.

use egui::{ComboBox, Context, Frame, Id, Label, Margin, Modal, RichText, ScrollArea, TextEdit, Ui, vec2};

use crate::domain::grid::{FIELDS, MAX_CELLS};
use crate::studio::{Action, AxisDraft, GridAction, GridCheck, GridPlan, State, duration_text};

use super::theme::{self, palette};
use super::widgets::{Emphasis, button_ui, field_name_ui, hint_ui, problem_ui, progress_ui, snippet, tooltip};

/// Where an axis leads, for people who do not know the letters of other tools.
const DIRECTIONS: [&str; 3] = ["Across", "Down", "Pages"];
/// Most problems that are listed at once.
const MAX_PROBLEMS: usize = 6;
/// How much of the values' labels is shown below them, in characters.
const MAX_PREVIEW: usize = 84;

/// The button that opens the dialog.
pub fn grid_button_ui(ui: &mut Ui, size: egui::Vec2, blocked: Option<&str>, actions: &mut Vec<Action>) {
    let info = act(GridAction::Open).info();
    let response = ui.add_enabled_ui(blocked.is_none(), |ui| button_ui(ui, info.text, Emphasis::Normal, size)).inner;
    let response = response.on_hover_text(tooltip(&info)).on_disabled_hover_text(blocked.unwrap_or_default());
    if response.clicked() {
        actions.push(act(GridAction::Open));
    }
}

/// The dialog, if a grid is being written.
pub fn grid_dialog_ui(ctx: &Context, state: &State, actions: &mut Vec<Action>) {
    if !state.grids.is_open {
        return;
    }
    let modal = Modal::new(Id::unique("grid")).show(ctx, |ui| {
        Frame::new().inner_margin(theme::DIALOG_MARGIN).show(ui, |ui| content_ui(ui, state, actions));
    });
    if modal.should_close() {
        actions.push(act(GridAction::Close));
    }
}

/// What stands in the dialog.
fn content_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ui.set_width(theme::GRID_WIDTH);
    let p = palette(ui);
    ui.label(RichText::new("Grid").text_style(theme::title()).color(p.text));
    hint_ui(
        ui,
        "A picture for every combination of values, made with the settings at the left. All come to lie on one sheet, \
         and each is saved as a picture of its own.",
    );
    let room = (ui.ctx().content_rect().height() - 240.0).max(160.0);
    ScrollArea::vertical().max_height(room).show(ui, |ui| {
        for (at, axis) in state.grids.axes.iter().enumerate() {
            ui.add_space(3.0 * theme::UNIT);
            axis_ui(ui, at, axis, &state.grids.check, actions);
        }
    });
    ui.add_space(3.0 * theme::UNIT);
    bottom_ui(ui, state, actions);
}

fn axis_ui(ui: &mut Ui, at: usize, axis: &AxisDraft, check: &GridCheck, actions: &mut Vec<Action>) {
    let info = act(GridAction::Field(at, axis.field)).info();
    let direction = DIRECTIONS.get(at).copied().unwrap_or_default();
    field_name_ui(ui, &info);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::UNIT;
        let chosen = axis.field.map_or("Nothing", |field| field.label);
        let combo =
            ComboBox::from_id_salt(("axis", at)).selected_text(chosen).width(theme::GRID_FIELD_WIDTH).truncate();
        let response = combo.show_ui(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            if ui.selectable_label(axis.field.is_none(), "Nothing").on_hover_text("This axis is not used").clicked() {
                actions.push(act(GridAction::Field(at, None)));
            }
            for field in FIELDS {
                let entry = ui.selectable_label(axis.field == Some(field), field.label);
                if entry.on_hover_text(field.explanation).clicked() {
                    actions.push(act(GridAction::Field(at, Some(field))));
                }
            }
        });
        // The name stands above; the direction is what other controls of the row share.
        let response = response.response.on_hover_text(axis.field.map_or(info.tooltip, |field| field.explanation));
        response.widget_info(|| {
            let mut told =
                egui::WidgetInfo::labeled(egui::Role::ComboBox, true, format!("Field: {}", direction.to_lowercase()));
            told.current_text_value = Some(chosen.to_owned());
            told
        });
        let Some(field) = axis.field else { return };
        let fill = field.choices().map(|_| act(GridAction::Fill(at)));
        let room = if fill.is_some() { 52.0 + theme::UNIT } else { 0.0 };
        let values = act(GridAction::Values(at, String::new())).info();
        let mut text = axis.text.clone();
        let edit = TextEdit::singleline(&mut text).id(Id::unique("values").with(at)).hint_text(field.example);
        let size = vec2(ui.available_width() - room, theme::CONTROL_HEIGHT);
        let response = ui.add_sized(size, edit.align(egui::Align2::LEFT_CENTER)).on_hover_text(values.tooltip);
        let response = response.accessible_name(format!("Values: {}", direction.to_lowercase()));
        if response.changed() {
            actions.push(act(GridAction::Values(at, text)));
        }
        if let Some(fill) = fill {
            let info = fill.info();
            let button = button_ui(ui, info.text, Emphasis::Normal, vec2(52.0, theme::CONTROL_HEIGHT));
            let button = button.on_hover_text(tooltip(&info));
            if button.accessible_name(format!("{}: {}", info.text, direction.to_lowercase())).clicked() {
                actions.push(fill);
            }
        }
    });
    match check.axes.get(at) {
        Some(Some(Ok(labels))) => {
            let count = if labels.len() == 1 { "1 value".to_owned() } else { format!("{} values", labels.len()) };
            let all = labels.join(", ");
            hint_ui(ui, format!("{count}: {}", snippet(&all, MAX_PREVIEW))).on_hover_text(all);
        }
        Some(Some(Err(problems))) => problems_ui(ui, problems),
        Some(None) | None => {}
    }
}

fn problems_ui(ui: &mut Ui, problems: &[String]) {
    for problem in problems.iter().take(MAX_PROBLEMS) {
        let colour = palette(ui).danger;
        ui.add(Label::new(RichText::new(problem).small().color(colour)).wrap());
    }
    if problems.len() > MAX_PROBLEMS {
        problem_ui(ui, Some(&format!("and {} more", problems.len() - MAX_PROBLEMS)));
    }
}

fn bottom_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let check = &state.grids.check;
    problems_ui(ui, &check.problems);
    // The model may be on its way still, or have failed.
    let blocked = state.generate_blocked();
    if check.problems.is_empty() {
        problem_ui(ui, blocked.as_deref());
    }
    let pictures = if let Some(plan) = &check.plan {
        ui.label(RichText::new(plan_text(plan)).color(palette(ui).text_dim));
        count_text(plan.pictures)
    } else {
        hint_ui(ui, format!("Up to {MAX_CELLS} pictures"));
        "the grid".to_owned()
    };
    ui.add_space(theme::UNIT);
    ui.horizontal(|ui| {
        let info = act(GridAction::Make).info();
        let can = check.plan.is_some() && blocked.is_none();
        let size = vec2(180.0, theme::CONTROL_HEIGHT);
        let make =
            ui.add_enabled_ui(can, |ui| button_ui(ui, &format!("Make {pictures}"), Emphasis::Primary, size)).inner;
        if make.on_hover_text(tooltip(&info)).on_disabled_hover_text("Something is missing yet: see above").clicked() {
            actions.push(act(GridAction::Make));
        }
        let info = act(GridAction::Close).info();
        let close = button_ui(ui, info.text, Emphasis::Normal, vec2(96.0, theme::CONTROL_HEIGHT));
        if close.on_hover_text(tooltip(&info)).clicked() {
            actions.push(act(GridAction::Close));
        }
    });
}

fn count_text(pictures: usize) -> String {
    if pictures == 1 { "1 picture".to_owned() } else { format!("{pictures} pictures") }
}

/// What a grid amounts to: `3 × 2 = 6 pictures, about 2 min 5 s`.
fn plan_text(plan: &GridPlan) -> String {
    let sides: Vec<String> =
        plan.grid.axes.all().into_iter().flatten().map(|axis| axis.values.len().to_string()).collect();
    let product = if sides.len() > 1 { format!("{} = ", sides.join(" × ")) } else { String::new() };
    let cost = plan.secs.map(|secs| format!(", about {}", duration_text(secs))).unwrap_or_default();
    format!("{product}{}{cost}", count_text(plan.pictures))
}

/// How far the grids are that are being made, with a way to stop each.
pub fn grids_progress_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    for grid in state.grids.progress() {
        let p = palette(ui);
        let frame = Frame::new().fill(p.panel).corner_radius(theme::ROUNDING).inner_margin(Margin::symmetric(10, 4));
        frame.show(ui, |ui| {
            ui.horizontal(|ui| {
                let text = format!("Grid · {} of {} pictures", grid.settled, grid.pictures);
                ui.label(RichText::new(text).small().color(p.text_dim));
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    let stop = act(GridAction::Stop(grid.key));
                    let info = stop.info();
                    if button_ui(ui, info.text, Emphasis::Quiet, vec2(0.0, 0.0)).on_hover_text(tooltip(&info)).clicked()
                    {
                        actions.push(stop);
                    }
                });
            });
            progress_ui(ui, grid.settled as f32 / grid.pictures.max(1) as f32, "Progress of the grid");
        });
    }
}

fn act(action: GridAction) -> Action {
    Action::Grid(action)
}
