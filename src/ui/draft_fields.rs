//! The fields of the draft below the prompts.

use std::ops::RangeInclusive;

use egui::{
    ComboBox, CornerRadius, DragValue, Id, Rect, Role, Sense, Slider, SliderClamping, Stroke, TextEdit, Ui, WidgetInfo,
    vec2,
};

use crate::domain::{Problem, SamplerId, ScheduleId, limits};
use crate::studio::{self, Action, Edit, Info, State};

use super::draft::problem_of;
use super::icons::{self, Icon};
use super::theme::{self, palette};
use super::widgets::{action_icon_ui, field_name_ui, problem_ui};

/// A choice from a list, below its name.
pub fn combo_ui(
    ui: &mut Ui,
    salt: &'static str,
    info: &Info,
    chosen: &str,
    width: f32,
    add_entries: impl FnOnce(&mut Ui),
) {
    let name = field_name_ui(ui, info);
    ComboBox::from_id_salt(salt)
        .selected_text(chosen)
        .width(width)
        .truncate()
        .show_ui(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            add_entries(ui);
        })
        .response
        .labelled_by(name.id);
}

/// Presets and both sides.
pub fn size_ui(ui: &mut Ui, state: &State, problems: &[Problem], actions: &mut Vec<Action>) {
    let request = &state.draft.request;
    field_name_ui(ui, &Action::Edit(Edit::Size(0, 0)).info());
    if let Some(family) = state.family() {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(theme::UNIT, theme::UNIT);
            for &(name, width_px, height_px) in family.aspect_presets {
                let chosen = (request.width_px, request.height_px) == (width_px, height_px);
                if preset_ui(ui, name, width_px, height_px, chosen) {
                    actions.push(Action::Edit(Edit::Size(width_px, height_px)));
                }
            }
        });
        ui.add_space(theme::UNIT);
    }
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::UNIT;
        let swap = theme::CONTROL_HEIGHT;
        let width = ((ui.available_width() - swap - 2.0 * theme::UNIT) / 2.0).floor();
        side_ui(ui, width, request.width_px, Edit::Width, state, actions);
        action_icon_ui(ui, Icon::Swap, &Action::SwapSides, false, swap, actions);
        side_ui(ui, width, request.height_px, Edit::Height, state, actions);
    });
    problem_ui(ui, problem_of(problems, "width_px"));
    problem_ui(ui, problem_of(problems, "height_px"));
}

fn preset_ui(ui: &mut Ui, name: &str, width_px: u32, height_px: u32, chosen: bool) -> bool {
    let p = palette(ui);
    let font = egui::FontId::proportional(12.0);
    let galley = ui.painter().layout_no_wrap(name.to_owned(), font, p.text);
    let size = vec2(galley.size().x + 34.0, 28.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, format!("{width_px} × {height_px} px")));
    let visuals = ui.visuals().widgets.style(&response);
    let (fill, stroke, colour) = if chosen {
        (p.accent_soft, Stroke::new(1.0, p.accent), p.accent)
    } else {
        (visuals.weak_bg_fill, visuals.bg_stroke, p.text_dim)
    };
    ui.painter().rect(rect, CornerRadius::same(theme::ROUNDING), fill, stroke, egui::StrokeKind::Inside);
    let icon = Rect::from_center_size(rect.left_center() + vec2(15.0, 0.0), vec2(12.0, 12.0));
    icons::paint_aspect(ui.painter(), icon, width_px as f32, height_px as f32, colour);
    let at = egui::pos2(rect.left() + 26.0, rect.center().y - galley.size().y / 2.0);
    ui.painter().galley(at, galley, p.text);
    response.on_hover_text(format!("{width_px} × {height_px} px")).clicked()
}

fn side_ui(ui: &mut Ui, width: f32, side_px: u32, edit: fn(u32) -> Edit, state: &State, actions: &mut Vec<Action>) {
    let info = Action::Edit(edit(0)).info();
    let mut edited = side_px;
    let bounds = state.size_bounds();
    let (range, multiple) = bounds.map_or((1..=u32::MAX, 8), |size| (size.min_px..=size.max_px, size.multiple_px));
    let value = DragValue::new(&mut edited)
        .range(range)
        .clamp_existing_to_range(false)
        .speed(f64::from(multiple) / 4.0)
        .prefix(if info.text == "Width" { "W  " } else { "H  " })
        .suffix(" px")
        // Otherwise the first digit that is typed would already be brought into the bounds.
        .update_while_editing(false);
    let response = ui.add_sized(vec2(width, theme::CONTROL_HEIGHT), value);
    let response = response.accessible_name(info.text).on_hover_text(match bounds {
        Some(size) => {
            format!("{}: a multiple of {} from {} to {}", info.tooltip, size.multiple_px, size.min_px, size.max_px)
        }
        None => info.tooltip.to_owned(),
    });
    if response.changed() && edited != side_px {
        actions.push(Action::Edit(edit(edited)));
    }
}

/// How many steps.
pub fn steps_ui(ui: &mut Ui, state: &State, problems: &[Problem], actions: &mut Vec<Action>) {
    let steps = state.draft.request.num_inference_steps;
    let info = Action::Edit(Edit::Steps(0)).info();
    let range = NumberRange { slider: 1.0..=60.0, typed: 1.0..=f64::from(limits::MAX_STEPS), step: 1.0, decimals: 0 };
    if let Some(value) = number_ui(ui, &info, f64::from(steps), &range) {
        actions.push(Action::Edit(Edit::Steps(value.round() as u32)));
    }
    problem_ui(ui, problem_of(problems, "num_inference_steps"));
}

/// How closely to follow the prompt.
pub fn guidance_ui(ui: &mut Ui, state: &State, problems: &[Problem], actions: &mut Vec<Action>) {
    let info = Action::Edit(Edit::Guidance(0.0)).info();
    let range = NumberRange { slider: 1.0..=15.0, typed: 0.0..=limits::MAX_GUIDANCE, step: 0.5, decimals: 1 };
    if let Some(value) = number_ui(ui, &info, state.draft.request.guidance_scale, &range) {
        actions.push(Action::Edit(Edit::Guidance(value)));
    }
    problem_ui(ui, problem_of(problems, "guidance_scale"));
}

/// The useful range on the slider, the whole range by typing.
pub struct NumberRange {
    /// What the slider covers.
    pub slider: RangeInclusive<f64>,
    /// What can be typed.
    pub typed: RangeInclusive<f64>,
    /// From one place of the slider to the next.
    pub step: f64,
    /// Digits behind the point.
    pub decimals: usize,
}

/// A name, a slider and a field in a row. Returns the new value.
pub fn number_ui(ui: &mut Ui, info: &Info, value: f64, range: &NumberRange) -> Option<f64> {
    named_number_ui(ui, info, None, value, range)
}

const NAME_WIDTH: f32 = 68.0;
const FIELD_WIDTH: f32 = 56.0;

/// Gives the sliders of this part of the window their size and colours.
pub fn dress_slider(ui: &mut Ui) {
    let p = palette(ui);
    // The handle is as large as the row is high.
    ui.spacing_mut().interact_size.y = 4.0 * theme::UNIT;
    let visuals = ui.visuals_mut();
    visuals.selection.bg_fill = p.accent;
    for state in [&mut visuals.widgets.inactive, &mut visuals.widgets.hovered, &mut visuals.widgets.active] {
        state.bg_fill = p.outline;
        state.fg_stroke = Stroke::new(1.5, p.accent);
    }
}

/// As [`number_ui`]; `of` tells a screen reader what the number belongs to, where it stands several times on a page.
pub fn named_number_ui(ui: &mut Ui, info: &Info, of: Option<&str>, value: f64, range: &NumberRange) -> Option<f64> {
    let named = |response: egui::Response, name: &egui::Response| match of {
        Some(of) => response.accessible_name(format!("{} of {of}", info.text)),
        None => response.labelled_by(name.id),
    };
    let mut changed = None;
    ui.horizontal(|ui| {
        let row = ui.available_width();
        let before = ui.cursor().left();
        let name = field_name_ui(ui, info);
        ui.add_space((NAME_WIDTH - (ui.cursor().left() - before)).max(0.0));
        ui.scope(|ui| {
            dress_slider(ui);
            ui.spacing_mut().slider_width = row - NAME_WIDTH - FIELD_WIDTH - 3.0 * theme::UNIT;
            let mut slid = value.clamp(*range.slider.start(), *range.slider.end());
            let slider = Slider::new(&mut slid, range.slider.clone())
                .show_value(false)
                .step_by(range.step)
                .clamping(SliderClamping::Edits);
            let response = named(ui.add(slider), &name).on_hover_text(info.tooltip);
            if response.changed() {
                changed = Some(slid);
            }
        });
        let mut typed = value;
        let field = DragValue::new(&mut typed)
            .range(range.typed.clone())
            .clamp_existing_to_range(false)
            .speed(range.step / 5.0)
            .min_decimals(range.decimals)
            .max_decimals(range.decimals.max(if range.decimals == 0 { 0 } else { 2 }))
            .update_while_editing(false);
        let field = named(ui.add_sized(vec2(ui.available_width(), theme::CONTROL_HEIGHT), field), &name);
        if field.changed() && (typed - value).abs() > f64::EPSILON {
            changed = Some(typed);
        }
    });
    changed
}

/// How to step, and through which noise levels.
pub fn sampler_and_schedule_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let request = &state.draft.request;
    let width = ((ui.available_width() - 2.0 * theme::UNIT) / 2.0).floor();
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            ui.set_width(width);
            let info = Action::Edit(Edit::Sampler(SamplerId::default())).info();
            combo_ui(ui, "sampler", &info, studio::sampler(request.sampler).name, width, |ui| {
                for &id in &state.catalog.samplers {
                    let label = studio::sampler(id);
                    let entry = ui.selectable_label(request.sampler == id, label.name).on_hover_text(label.explanation);
                    if entry.clicked() {
                        actions.push(Action::Edit(Edit::Sampler(id)));
                    }
                }
            });
        });
        ui.vertical(|ui| {
            ui.set_width(width);
            let info = Action::Edit(Edit::Schedule(ScheduleId::default())).info();
            combo_ui(ui, "schedule", &info, studio::schedule(request.schedule).name, width, |ui| {
                for &id in &state.catalog.schedules {
                    let label = studio::schedule(id);
                    let entry =
                        ui.selectable_label(request.schedule == id, label.name).on_hover_text(label.explanation);
                    if entry.clicked() {
                        actions.push(Action::Edit(Edit::Schedule(id)));
                    }
                }
            });
        });
    });
}

/// The seed, with dice and lock.
pub fn seed_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let seed = state.draft.request.seed;
    let name = field_name_ui(ui, &Action::Edit(Edit::Seed(0)).info());
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let width = ui.available_width() - 2.0 * (theme::CONTROL_HEIGHT + 2.0);
        if let Some(seed) = seed_text_ui(ui, "seed", &name, seed, width) {
            actions.push(Action::Edit(Edit::Seed(seed)));
        }
        action_icon_ui(ui, Icon::Dice, &Action::RollSeed, false, theme::CONTROL_HEIGHT, actions);
        let locked = state.draft.seed_locked;
        let icon = if locked { Icon::Locked } else { Icon::Unlocked };
        action_icon_ui(ui, icon, &Action::ToggleSeedLock, locked, theme::CONTROL_HEIGHT, actions);
    });
}

/// A field for a seed, which `name` names. Returns the new one.
///
/// A text field and not a number field: those go through f64 and would round a seed above 2^53.
pub fn seed_text_ui(ui: &mut Ui, id: &'static str, name: &egui::Response, seed: u64, width: f32) -> Option<u64> {
    let id = Id::unique(id);
    let typed = ui.data(|data| data.get_temp::<String>(id));
    let mut text = typed.unwrap_or_else(|| seed.to_string());
    let field = TextEdit::singleline(&mut text).id(id).desired_width(width).margin(egui::Margin::symmetric(10, 6));
    let response =
        ui.add_sized(vec2(width, theme::CONTROL_HEIGHT), field.align(egui::Align2::LEFT_CENTER)).labelled_by(name.id);
    let mut changed = None;
    if response.changed() {
        text.retain(|c| c.is_ascii_digit());
        // Too large a number stops at the largest seed; an emptied field waits for a digit.
        if !text.is_empty() {
            changed = Some(text.parse().unwrap_or(u64::MAX));
        }
    }
    if response.has_focus() && text.is_empty() {
        ui.data_mut(|data| data.insert_temp(id, text));
    } else {
        ui.data_mut(|data| data.remove::<String>(id));
    }
    changed
}

/// How many pictures.
pub fn count_ui(ui: &mut Ui, state: &State, problems: &[Problem], actions: &mut Vec<Action>) {
    let count = state.draft.request.count;
    let info = Action::Edit(Edit::Count(0)).info();
    let name = field_name_ui(ui, &info);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let side = theme::CONTROL_HEIGHT - theme::UNIT;
        let step_ui = |ui: &mut Ui, icon, text, to: Option<u32>, actions: &mut Vec<Action>| {
            ui.add_enabled_ui(to.is_some(), |ui| {
                if super::widgets::icon_button_ui(ui, icon, text, text, false, side).clicked() {
                    actions.extend(to.map(|count| Action::Edit(Edit::Count(count))));
                }
            });
        };
        step_ui(ui, Icon::Minus, "One picture less", count.checked_sub(1).filter(|count| *count > 0), actions);
        let mut edited = count;
        let field = DragValue::new(&mut edited)
            .range(1..=limits::MAX_COUNT)
            .clamp_existing_to_range(false)
            .speed(0.1)
            .update_while_editing(false);
        let width = ui.available_width() - side - 2.0;
        let response = ui.add_sized(vec2(width.max(32.0), theme::CONTROL_HEIGHT), field).labelled_by(name.id);
        if response.changed() && edited != count {
            actions.push(Action::Edit(Edit::Count(edited)));
        }
        step_ui(
            ui,
            Icon::Plus,
            "One picture more",
            Some(count + 1).filter(|count| *count <= limits::MAX_COUNT),
            actions,
        );
    });
    problem_ui(ui, problem_of(problems, "count"));
}
