//! Settings of a training as fields, in columns: each with its name, what it means, what is wrong, or why it is so.

use egui::{Checkbox, ComboBox, DragValue, RichText, Ui, vec2};

use crate::studio::{Action, Field, FieldKind, FieldValue, State, TrainingAction};
use crate::ui::theme::{self, palette};
use crate::ui::widgets::{field_name_ui, problem_ui};

use super::training::{act, wrapped_ui};

/// Fields side by side, as many as there is room for.
pub fn fields_ui(ui: &mut Ui, state: &State, fields: &[&'static Field], actions: &mut Vec<Action>) {
    let gap = 4.0 * theme::UNIT;
    let room = ui.available_width();
    let columns = ((room + gap) / (theme::SETTING_WIDTH + gap)).floor().clamp(1.0, 4.0);
    let width = ((room + gap) / columns - gap).floor();
    for row in fields.chunks(columns as usize) {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            for field in row {
                ui.vertical(|ui| {
                    ui.set_width(width);
                    ui.spacing_mut().item_spacing = vec2(2.0 * theme::UNIT, theme::UNIT);
                    field_ui(ui, state, field, width, actions);
                });
            }
        });
        ui.add_space(theme::UNIT);
    }
}

fn field_ui(ui: &mut Ui, state: &State, field: &'static Field, width: f32, actions: &mut Vec<Action>) {
    let desk = &state.train.training;
    let value = (field.get)(&desk.config);
    let changed = match (field.kind, value) {
        (FieldKind::Switch, FieldValue::Switch(on)) => switch_ui(ui, field, on),
        (kind, value) => {
            let name = field_name_ui(ui, &field.info());
            value_ui(ui, field, kind, value, width, name.id)
        }
    };
    if let Some(value) = changed {
        actions.push(act(TrainingAction::Set(field.key, value)));
    }
    match desk.problem(field.key) {
        Some(problem) => problem_ui(ui, Some(&problem)),
        None => {
            if let Some(reason) = desk.reason(field.key) {
                wrapped_ui(ui, &capitalised(reason));
            }
        }
    }
}

fn switch_ui(ui: &mut Ui, field: &Field, on: bool) -> Option<FieldValue> {
    let colour = palette(ui).text_dim;
    // In line with the fields beside it, which have their names above.
    ui.add_space(ui.text_style_height(&theme::label()) + theme::UNIT);
    let mut edited = on;
    let text = RichText::new(field.text).color(colour);
    let size = vec2(0.0, theme::CONTROL_HEIGHT);
    let layout = egui::Layout::left_to_right(egui::Align::Center);
    let response = ui.allocate_ui_with_layout(size, layout, |ui| ui.add(Checkbox::new(&mut edited, text))).inner;
    response.on_hover_text(field.tooltip).changed().then_some(FieldValue::Switch(edited))
}

fn value_ui(
    ui: &mut Ui,
    field: &'static Field,
    kind: FieldKind,
    value: FieldValue,
    width: f32,
    name: egui::Id,
) -> Option<FieldValue> {
    let size = vec2(width, theme::CONTROL_HEIGHT);
    match (kind, value) {
        (FieldKind::Whole(least, most, step), FieldValue::Whole(whole)) => {
            let mut edited = whole;
            let speed = if step > 1 { step as f64 / 8.0 } else { 0.1 };
            let drag = DragValue::new(&mut edited).range(least..=most).clamp_existing_to_range(false).speed(speed);
            let response = ui.add_sized(size, drag.update_while_editing(false)).labelled_by(name);
            if step == 64 {
                edited = (edited + 32) / 64 * 64;
            }
            (response.changed() && edited != whole).then_some(FieldValue::Whole(edited))
        }
        (FieldKind::Number(least, most), FieldValue::Number(number)) => {
            let mut edited = number;
            let speed = if most <= 1.0 { 0.002 } else { 0.1 };
            let drag = DragValue::new(&mut edited).range(least..=most).clamp_existing_to_range(false).speed(speed);
            let response = ui.add_sized(size, drag.max_decimals(5).update_while_editing(false)).labelled_by(name);
            (response.changed() && edited != number).then_some(FieldValue::Number(edited))
        }
        (FieldKind::Rate, FieldValue::Number(number)) => {
            rate_ui(ui, number, size, &Name::Above(name)).map(FieldValue::Number)
        }
        (FieldKind::Maybe(usual) | FieldKind::MaybeRate(usual), FieldValue::Maybe(number)) => {
            maybe_ui(ui, field, kind, number, usual, width)
        }
        (FieldKind::Choice(choices), FieldValue::Choice(place)) => {
            let mut chosen = None;
            let text = choices.get(place).map_or("", |(text, _)| *text);
            ComboBox::from_id_salt(field.key)
                .selected_text(text)
                .width(width)
                .truncate()
                .show_ui(ui, |ui| {
                    ui.spacing_mut().item_spacing.y = 2.0;
                    for (i, (text, tooltip)) in choices.iter().enumerate() {
                        if ui.selectable_label(i == place, *text).on_hover_text(*tooltip).clicked() {
                            chosen = Some(FieldValue::Choice(i));
                        }
                    }
                })
                .response
                .labelled_by(name);
            chosen
        }
        (FieldKind::Length, FieldValue::Steps(count)) => length_ui(ui, count, true, width, name),
        (FieldKind::Length, FieldValue::Epochs(count)) => length_ui(ui, count, false, width, name),
        // The table's test looks that kinds and values belong together.
        _ => None,
    }
}

/// What a field is called by.
enum Name {
    /// The label above it.
    Above(egui::Id),
    /// Itself.
    Own(String),
}

/// A small number, as `1e-4`.
fn rate_ui(ui: &mut Ui, number: f64, size: egui::Vec2, name: &Name) -> Option<f64> {
    let mut edited = number;
    let drag = DragValue::new(&mut edited)
        .speed(number.abs() / 50.0)
        .range(0.0..=1.0)
        .clamp_existing_to_range(false)
        .custom_formatter(|value, _| format!("{value:e}"))
        .custom_parser(|text| text.trim().parse().ok())
        .update_while_editing(false);
    let response = ui.add_sized(size, drag);
    let response = match name {
        Name::Own(name) => response.accessible_name(name),
        Name::Above(label) => response.labelled_by(*label),
    };
    // Two digits are all that a rate has.
    let rounded = format!("{edited:.1e}").parse().unwrap_or(edited);
    (response.changed() && rounded != number).then_some(rounded)
}

fn maybe_ui(
    ui: &mut Ui,
    field: &Field,
    kind: FieldKind,
    number: Option<f64>,
    usual: f64,
    width: f32,
) -> Option<FieldValue> {
    let mut changed = None;
    ui.horizontal(|ui| {
        let mut on = number.is_some();
        let switch = ui.add(Checkbox::without_text(&mut on)).accessible_name(format!("{}: on", field.text));
        if switch.on_hover_text(field.tooltip).changed() {
            changed = Some(FieldValue::Maybe(on.then_some(usual)));
        }
        let size = vec2(width - 8.0 * theme::UNIT, theme::CONTROL_HEIGHT);
        let Some(number) = number else {
            ui.add_enabled_ui(false, |ui| ui.add_sized(size, egui::Button::new("Off")));
            return;
        };
        let name = format!("{}: value", field.text);
        if matches!(kind, FieldKind::MaybeRate(_)) {
            if let Some(edited) = rate_ui(ui, number, size, &Name::Own(name)) {
                changed = Some(FieldValue::Maybe(Some(edited)));
            }
            return;
        }
        let mut edited = number;
        let drag = DragValue::new(&mut edited).range(0.1..=1000.0).clamp_existing_to_range(false).speed(0.05);
        let response = ui.add_sized(size, drag.update_while_editing(false)).accessible_name(&name);
        if response.changed() && edited != number {
            changed = Some(FieldValue::Maybe(Some(edited)));
        }
    });
    changed
}

/// Steps, or times that all pictures are seen.
fn length_ui(ui: &mut Ui, count: u64, is_steps: bool, width: f32, name: egui::Id) -> Option<FieldValue> {
    let value = |count, is_steps: bool| if is_steps { FieldValue::Steps(count) } else { FieldValue::Epochs(count) };
    let mut changed = None;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::UNIT;
        let unit_width = (width * 0.48).floor();
        let mut edited = count;
        let speed = if is_steps { 5.0 } else { 0.1 };
        let drag = DragValue::new(&mut edited).range(1..=100_000_000u64).clamp_existing_to_range(false).speed(speed);
        let size = vec2(width - unit_width - theme::UNIT, theme::CONTROL_HEIGHT);
        let response = ui.add_sized(size, drag.update_while_editing(false)).labelled_by(name);
        if response.changed() && edited != count {
            changed = Some(value(edited, is_steps));
        }
        let units = ["steps", "× all pictures"];
        ComboBox::from_id_salt("length unit")
            .selected_text(units[usize::from(!is_steps)])
            .width(unit_width)
            .truncate()
            .show_ui(ui, |ui| {
                for (i, unit) in units.iter().enumerate() {
                    let is_it = is_steps == (i == 0);
                    if ui.selectable_label(is_it, *unit).clicked() && !is_it {
                        // So many steps are usual, and so many looks.
                        changed = Some(if i == 0 { FieldValue::Steps(1000) } else { FieldValue::Epochs(10) });
                    }
                }
            })
            .response
            .accessible_name("Measured in");
    });
    changed
}

/// A sentence that begins with a small letter, as one by itself.
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
