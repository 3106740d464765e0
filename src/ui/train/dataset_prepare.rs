//! How a data set is prepared: captions, rows, size, format, folder.

use egui::{Align, Align2, Button, DragValue, Id, Layout, TextEdit, TextWrapMode, Ui, vec2};

use crate::domain::ImageFormat;
use crate::studio::{Action, DatasetAction, DatasetInHand, SIDES, State};
use crate::ui::draft_fields::combo_ui;
use crate::ui::theme;
use crate::ui::widgets::{Emphasis, action_button_ui, field_name_ui, problem_ui, snippet};

use super::dataset::{act, wrapped_ui};

/// The fields.
pub fn prepare_ui(ui: &mut Ui, state: &State, hand: &DatasetInHand, actions: &mut Vec<Action>) {
    let is_running = state.train.dataset.work.is_some();
    ui.add_enabled_ui(!is_running, |ui| {
        template_ui(ui, hand, actions);
        conditions_ui(ui, hand, actions);
        if let Some(error) = &hand.look_error {
            problem_ui(ui, Some(&error.sentence));
            if let Some(hint) = &error.hint {
                wrapped_ui(ui, hint);
            }
        }
        ui.add_space(2.0 * theme::UNIT);
        pictures_ui(ui, hand, actions);
        ui.add_space(2.0 * theme::UNIT);
        folder_ui(ui, hand, actions);
    });
}

/// A field of several lines below its name.
fn lines_ui(ui: &mut Ui, text: &str, hint: &str, edit: fn(String) -> DatasetAction, actions: &mut Vec<Action>) {
    let info = edit(String::new()).info();
    let name = field_name_ui(ui, &info);
    let mut text = text.to_owned();
    let field = TextEdit::multiline(&mut text)
        .id(Id::unique(info.text))
        .desired_rows(2)
        .desired_width(f32::INFINITY)
        .hint_text(hint);
    if ui.add(field).labelled_by(name.id).changed() {
        actions.push(act(edit(text)));
    }
}

fn template_ui(ui: &mut Ui, hand: &DatasetInHand, actions: &mut Vec<Action>) {
    lines_ui(ui, &hand.form.template, "The source's own captions", DatasetAction::EditTemplate, actions);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(theme::UNIT, theme::UNIT);
        ui.spacing_mut().button_padding = vec2(2.0 * theme::UNIT, 0.5 * theme::UNIT);
        ui.spacing_mut().interact_size.y = 6.0 * theme::UNIT;
        for column in &hand.columns {
            let insert = act(DatasetAction::Insert(column.clone()));
            let label = format!("{{{}}}", snippet(column, 24));
            let tip = insert.info().tooltip;
            // Not in a scope of its own: one that does not fit goes to the next line as a whole.
            let button = Button::new(label).wrap_mode(TextWrapMode::Extend);
            if ui.add(button).on_hover_text(tip).clicked() {
                actions.push(insert);
            }
        }
    });
    ui.add_space(2.0 * theme::UNIT);
}

fn conditions_ui(ui: &mut Ui, hand: &DatasetInHand, actions: &mut Vec<Action>) {
    let hint = "All rows, or one condition a line";
    lines_ui(ui, &hand.form.conditions, hint, DatasetAction::EditConditions, actions);
}

/// Size, format, quality, and how many.
fn pictures_ui(ui: &mut Ui, hand: &DatasetInHand, actions: &mut Vec<Action>) {
    let form = &hand.form;
    let column = (ui.available_width() - 2.0 * theme::UNIT) / 2.0;
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            ui.set_width(column);
            let info = DatasetAction::Side(0).info();
            combo_ui(ui, "dataset side", &info, &format!("{} px", form.side_px), column, |ui| {
                for side in SIDES {
                    if ui.selectable_label(form.side_px == side, format!("{side} px")).clicked() {
                        actions.push(act(DatasetAction::Side(side)));
                    }
                }
            });
        });
        ui.vertical(|ui| {
            ui.set_width(column);
            let name = field_name_ui(ui, &DatasetAction::EditLimit(String::new()).info());
            let mut text = form.limit.clone();
            let field = TextEdit::singleline(&mut text)
                .id(Id::unique("dataset limit"))
                .desired_width(column)
                .hint_text("All")
                .align(Align2::LEFT_CENTER);
            if ui.add(field).labelled_by(name.id).changed() {
                actions.push(act(DatasetAction::EditLimit(text)));
            }
        });
    });
    problem_ui(ui, form.limit_problem().as_deref());
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            ui.set_width(column);
            let info = DatasetAction::Format(form.format).info();
            combo_ui(ui, "dataset format", &info, format_name(form.format), column, |ui| {
                for format in [ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Png] {
                    if ui.selectable_label(form.format == format, format_name(format)).clicked() {
                        actions.push(act(DatasetAction::Format(format)));
                    }
                }
            });
        });
        ui.vertical(|ui| {
            ui.set_width(column);
            let name = field_name_ui(ui, &DatasetAction::Quality(0).info());
            let mut quality = form.quality;
            ui.add_enabled_ui(form.format != ImageFormat::Png, |ui| {
                let value = DragValue::new(&mut quality).range(1..=100).speed(0.5);
                if ui.add_sized(vec2(column, theme::CONTROL_HEIGHT), value).labelled_by(name.id).changed() {
                    actions.push(act(DatasetAction::Quality(quality)));
                }
            });
        });
    });
}

fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Png => "PNG",
    }
}

/// Where it goes.
fn folder_ui(ui: &mut Ui, hand: &DatasetInHand, actions: &mut Vec<Action>) {
    let name = field_name_ui(ui, &DatasetAction::EditFolder(String::new()).info());
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), theme::CONTROL_HEIGHT),
        Layout::right_to_left(Align::Center),
        |ui| {
            let choose = act(DatasetAction::ChooseTarget);
            action_button_ui(ui, &choose, Emphasis::Normal, vec2(0.0, theme::CONTROL_HEIGHT), actions);
            let mut text = hand.form.folder.clone();
            let field = TextEdit::singleline(&mut text)
                .id(Id::unique("dataset folder"))
                .desired_width(f32::INFINITY)
                .align(Align2::LEFT_CENTER);
            if ui.add(field).labelled_by(name.id).changed() {
                actions.push(act(DatasetAction::EditFolder(text)));
            }
        },
    );
    problem_ui(ui, hand.form.folder_problem().as_deref());
}
