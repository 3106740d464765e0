//! A training that is made ready: presets, the most important settings, all settings; what it will need beside it.

use egui::text::LayoutJob;
use egui::{
    Align2, CentralPanel, ComboBox, Frame, Id, Margin, Panel, RichText, Role, ScrollArea, Sense, Stroke, StrokeKind,
    TextEdit, Ui, WidgetInfo, pos2, vec2,
};

use crate::domain::ModelRef;
use crate::domain::training::PRESETS;
use crate::studio::{Action, FIELDS, Field, Section, State, TrainingAction};
use crate::ui::theme::{self, palette};
use crate::ui::widgets::{Emphasis, button_ui, field_name_ui, hint_ui, problem_ui, tooltip};

use super::training::{act, act_ui, past_ui, title_ui};
use super::training_fields::fields_ui;
use super::training_forecast::forecast_ui;

/// Widest that the settings become.
const WIDEST: f32 = 900.0;

/// The tab, while no training is shown.
pub fn setup_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let narrow = ui.available_width() + theme::RAIL_WIDTH < theme::NARROW_BELOW;
    let width = if narrow { theme::TRAINING_SIDE_WIDTH_NARROW } else { theme::TRAINING_SIDE_WIDTH };
    Panel::right("training forecast")
        .exact_size(width)
        .resizable(false)
        .show_separator_line(true)
        .frame(Frame::new().fill(p.panel).inner_margin(Margin::same(16)))
        .show(ui, |ui| forecast_ui(ui, state, actions));
    CentralPanel::default().frame(Frame::new().fill(p.panel)).show(ui, |ui| {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            Frame::new().inner_margin(Margin::same(16)).show(ui, |ui| {
                ui.set_max_width(WIDEST.min(ui.available_width()));
                form_ui(ui, state, actions);
            });
        });
    });
}

fn form_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let desk = &state.train.training;
    if let Some(past) = &desk.past {
        past_ui(ui, past, desk.name_taken, actions);
    }
    presets_ui(ui, state, actions);
    ui.add_space(3.0 * theme::UNIT);
    basics_ui(ui, state, actions);
    let of = |section: Section| -> Vec<&'static Field> {
        let fields = FIELDS.iter().filter(|field| field.section == section);
        fields.filter(|field| (field.is_shown)(&desk.config)).collect()
    };
    fields_ui(ui, state, &of(Section::Basics), actions);
    ui.add_space(theme::UNIT);
    ui.horizontal(|ui| {
        let info = TrainingAction::ToggleMore.info();
        let text = if desk.more { "Fewer settings" } else { info.text };
        if button_ui(ui, text, Emphasis::Normal, vec2(132.0, theme::CONTROL_HEIGHT))
            .on_hover_text(info.tooltip)
            .clicked()
        {
            actions.push(act(TrainingAction::ToggleMore));
        }
        for action in [TrainingAction::OpenSettings, TrainingAction::SaveSettings, TrainingAction::OpenTraining] {
            act_ui(ui, action, Emphasis::Quiet, 0.0, actions);
        }
    });
    if !desk.more {
        return;
    }
    for section in Section::FOLDED {
        ui.add_space(3.0 * theme::UNIT);
        title_ui(ui, section.title());
        ui.add_space(theme::UNIT);
        fields_ui(ui, state, &of(section), actions);
    }
}

/// Cards of what to begin with.
fn presets_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let desk = &state.train.training;
    let presets = PRESETS.iter().map(|preset| (TrainingAction::Preset(preset.name), desk.preset == Some(preset.name)));
    let cards: Vec<(TrainingAction, bool)> =
        presets.chain(std::iter::once((TrainingAction::Own, desk.preset.is_none()))).collect();
    let gap = 2.0 * theme::UNIT;
    let room = ui.available_width();
    let columns = if room < 640.0 { 3 } else { cards.len() };
    let width = ((room + gap) / columns as f32 - gap).floor();
    for row in cards.chunks(columns) {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            for (action, is_chosen) in row {
                if card_ui(ui, action, *is_chosen, width) {
                    actions.push(act(action.clone()));
                }
            }
        });
    }
}

/// Height of a preset's card.
const CARD_HEIGHT: f32 = 126.0;

fn card_ui(ui: &mut Ui, action: &TrainingAction, is_chosen: bool, width: f32) -> bool {
    let p = palette(ui);
    let info = action.info();
    let (rect, response) = ui.allocate_exact_size(vec2(width, CARD_HEIGHT), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_chosen, info.text));
    if ui.is_rect_visible(rect) {
        let fill = match (is_chosen, response.hovered()) {
            (true, _) => p.accent_soft,
            (false, true) => p.field_hover,
            (false, false) => p.field,
        };
        let stroke = match (is_chosen, response.has_focus()) {
            (_, true) => ui.visuals().widgets.active.bg_stroke,
            (true, false) => Stroke::new(1.0, p.accent),
            (false, false) => Stroke::new(1.0, p.outline),
        };
        ui.painter().rect(rect, theme::ROUNDING_LARGE, fill, stroke, StrokeKind::Inside);
        let inner = rect.shrink(3.0 * theme::UNIT);
        ui.painter().text(inner.left_top(), Align2::LEFT_TOP, info.text, theme::semibold(13.5), p.text);
        let colour = if is_chosen { p.text_dim } else { p.text_faint };
        let mut job =
            LayoutJob::simple(info.tooltip.to_owned(), egui::FontId::proportional(12.0), colour, inner.width());
        job.wrap.max_rows = 5;
        let galley = ui.painter().layout_job(job);
        ui.painter().galley(pos2(inner.left(), inner.top() + 6.0 * theme::UNIT), galley, colour);
    }
    response.on_hover_text(info.tooltip).clicked()
}

/// Model, name, data set, prompts.
fn basics_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let half = ((ui.available_width() - 4.0 * theme::UNIT) / 2.0).floor();
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0 * theme::UNIT;
        column_ui(ui, half, |ui| model_ui(ui, state, half, actions));
        column_ui(ui, half, |ui| name_ui(ui, state, actions));
    });
    ui.add_space(theme::UNIT);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0 * theme::UNIT;
        column_ui(ui, half, |ui| dataset_ui(ui, state, actions));
        column_ui(ui, half, |ui| caption_ui(ui, state, actions));
    });
    ui.add_space(theme::UNIT);
    let desk = &state.train.training;
    let name = field_name_ui(ui, &TrainingAction::Prompts(String::new()).info());
    let mut text = desk.prompts.clone();
    let field = TextEdit::multiline(&mut text)
        .id(Id::unique("training prompts"))
        .desired_rows(2)
        .desired_width(f32::INFINITY)
        .hint_text("a prompt a line; each is drawn with and without what was learnt");
    if ui.add(field).labelled_by(name.id).changed() {
        actions.push(act(TrainingAction::Prompts(text)));
    }
    ui.add_space(theme::UNIT);
}

fn column_ui(ui: &mut Ui, width: f32, content: impl FnOnce(&mut Ui)) {
    ui.vertical(|ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing = vec2(2.0 * theme::UNIT, theme::UNIT);
        content(ui);
    });
}

fn model_ui(ui: &mut Ui, state: &State, width: f32, actions: &mut Vec<Action>) {
    let chosen = &state.train.training.config.model;
    let name = field_name_ui(ui, &TrainingAction::Model(ModelRef::Starter).info());
    let mut models = vec![ModelRef::Starter];
    let here = state.shelf.entries.iter().map(|entry| &entry.path).chain(&state.models.recent);
    for path in here {
        let model = ModelRef::Path(path.clone());
        if !models.contains(&model) {
            models.push(model);
        }
    }
    ComboBox::from_id_salt("training model")
        .selected_text(state.models.name(chosen))
        .width(width)
        .truncate()
        .show_ui(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            for model in models {
                let path = match &model {
                    ModelRef::Starter => "The small model inside the program".to_owned(),
                    ModelRef::Path(path) => path.display().to_string(),
                };
                let entry = ui.selectable_label(*chosen == model, state.models.name(&model)).on_hover_text(path);
                if entry.clicked() {
                    actions.push(act(TrainingAction::Model(model)));
                }
            }
        })
        .response
        .labelled_by(name.id);
}

fn name_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let desk = &state.train.training;
    let name = field_name_ui(ui, &TrainingAction::Name(String::new()).info());
    let mut text = desk.config.name.clone();
    let field = TextEdit::singleline(&mut text).id(Id::unique("training name")).desired_width(f32::INFINITY);
    let response = ui.add(field.align(Align2::LEFT_CENTER)).labelled_by(name.id);
    if response.on_hover_text(desk.config.output.display().to_string()).changed() {
        actions.push(act(TrainingAction::Name(text)));
    }
    problem_ui(ui, desk.problem("name").as_deref());
}

fn dataset_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let desk = &state.train.training;
    let name = field_name_ui(ui, &TrainingAction::Dataset(std::path::PathBuf::new()).info());
    ui.horizontal(|ui| {
        let choose = TrainingAction::ChooseDataset;
        let button = 88.0;
        let mut text = desk.config.dataset.display().to_string();
        let field = TextEdit::singleline(&mut text)
            .id(Id::unique("training data set"))
            .desired_width(ui.available_width() - button - 4.0 * theme::UNIT)
            .hint_text("pictures with captions");
        if ui.add(field.align(Align2::LEFT_CENTER)).labelled_by(name.id).changed() {
            actions.push(act(TrainingAction::Dataset(text.into())));
        }
        let info = choose.info();
        let size = vec2(button, theme::CONTROL_HEIGHT);
        if button_ui(ui, info.text, Emphasis::Normal, size).on_hover_text(tooltip(&info)).clicked() {
            actions.push(act(choose));
        }
    });
    // Before anything was chosen that is no mistake: Start says it.
    if desk.config.dataset.as_os_str().is_empty() {
        hint_ui(ui, "Choose a folder, or make one ready under Data set");
    }
}

fn caption_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let desk = &state.train.training;
    let name = field_name_ui(ui, &TrainingAction::Caption(String::new()).info());
    let mut text = desk.config.caption.clone().unwrap_or_default();
    let field = TextEdit::singleline(&mut text)
        .id(Id::unique("training caption"))
        .desired_width(f32::INFINITY)
        .hint_text("as it stands");
    if ui.add(field.align(Align2::LEFT_CENTER)).labelled_by(name.id).changed() {
        actions.push(act(TrainingAction::Caption(text)));
    }
}

/// What is chosen, in words.
pub fn preset_name(state: &State) -> RichText {
    let desk = &state.train.training;
    let chosen = PRESETS.iter().find(|preset| Some(preset.name) == desk.preset);
    RichText::new(chosen.map_or("Your own settings", |preset| preset.label))
}
