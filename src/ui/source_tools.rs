//! The bars around the picture to begin with: source or result, the brush, what becomes of the picture.

use egui::{Align, DragValue, Frame, Layout, Margin, Panel, RichText, Slider, Ui, vec2};

use crate::studio::{Action, BRUSH_PX, MAX_FEATHER_PX, SourceAction, SourceLayout, State, Tool};

use super::draft_fields::dress_slider;
use super::icons::Icon;
use super::source_view::SourceView;
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, action_icon_ui, button_ui, field_name_ui, hint_ui, tooltip};

/// Above the middle of Create: whether the picture to begin with is shown or what was made of it.
/// `view` is how it was shown last.
pub fn switch_ui(ui: &mut Ui, state: &State, view: Option<&SourceView>, actions: &mut Vec<Action>) {
    if state.draft.request.init.is_none() {
        return;
    }
    let p = palette(ui);
    let frame = Frame::new().fill(p.canvas).inner_margin(Margin { left: 20, right: 20, top: 12, bottom: 8 });
    Panel::top("source or result").resizable(false).show_separator_line(false).frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = theme::UNIT;
            let keys = SourceAction::Toggle.info().shortcut.map(|keys| format!(" ({keys})")).unwrap_or_default();
            for shown in [true, false] {
                let info = SourceAction::Show(shown).info();
                let response = ui.selectable_label(state.source.is_shown() == shown, info.text);
                if response.on_hover_text(format!("{}{keys}", info.tooltip)).clicked() {
                    actions.push(Action::Source(SourceAction::Show(shown)));
                }
            }
            if let Some(view) = view.filter(|_| state.source.is_shown() && state.source.picture().is_some()) {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| zoom_ui(ui, state, view, actions));
            }
        });
    });
}

fn zoom_ui(ui: &mut Ui, state: &State, view: &SourceView, actions: &mut Vec<Action>) {
    let side = theme::CONTROL_HEIGHT;
    let any = vec2(0.0, 0.0);
    let source = |action| Action::Source(action);
    action_button_ui(ui, &source(SourceAction::ZoomFit), Emphasis::Quiet, any, actions);
    action_icon_ui(ui, Icon::Plus, &source(SourceAction::ZoomIn), false, side, actions);
    let pixels_per_point = ui.ctx().pixels_per_point();
    let percent = format!("{:.0} %", 100.0 * view.scale * pixels_per_point);
    let full = button_ui(ui, &percent, Emphasis::Quiet, any);
    if full.on_hover_text("Show each px of the picture as one of the screen").clicked() {
        let gaze = view.at_full_size(state.source.gaze, pixels_per_point);
        actions.push(source(SourceAction::Look(gaze)));
    }
    action_icon_ui(ui, Icon::Minus, &source(SourceAction::ZoomOut), false, side, actions);
}

/// What a mask is painted with: in one row, or in two where that is too long.
pub fn tools_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ui.spacing_mut().item_spacing = vec2(theme::UNIT, theme::UNIT);
    if ui.available_width() < theme::TOOLS_WIDTH {
        ui.horizontal(|ui| brushes_ui(ui, state, actions));
        ui.horizontal(|ui| changes_ui(ui, state, actions));
    } else {
        ui.horizontal(|ui| {
            brushes_ui(ui, state, actions);
            changes_ui(ui, state, actions);
        });
    }
}

fn brushes_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    for (icon, tool) in [(Icon::Create, Tool::Brush), (Icon::Eraser, Tool::Eraser)] {
        let take = Action::Source(SourceAction::Take(tool));
        action_icon_ui(ui, icon, &take, state.source.tool == tool, theme::CONTROL_HEIGHT, actions);
    }
    brush_ui(ui, state, actions);
    feather_ui(ui, state, actions);
}

fn changes_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let source = &state.source;
    let side = theme::CONTROL_HEIGHT;
    for (icon, action, possible) in [
        (Icon::Undo, SourceAction::Undo, source.mask().can_undo()),
        (Icon::Redo, SourceAction::Redo, source.mask().can_redo()),
    ] {
        ui.add_enabled_ui(possible, |ui| action_icon_ui(ui, icon, &Action::Source(action), false, side, actions));
    }
    let show = Action::Source(SourceAction::ToggleMask);
    action_icon_ui(ui, Icon::Eye, &show, source.mask_shown, side, actions);
    for action in [SourceAction::Invert, SourceAction::Fill, SourceAction::Clear] {
        action_button_ui(ui, &Action::Source(action), Emphasis::Quiet, vec2(0.0, 0.0), actions);
    }
}

fn brush_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let info = SourceAction::BrushSize(0.0).info();
    let mut size_px = state.source.brush_px;
    let largest = state.source.picture().map_or(*BRUSH_PX.end(), |picture| {
        (picture.width_px.max(picture.height_px) as f32).clamp(8.0, *BRUSH_PX.end())
    });
    let slider = ui.scope(|ui| {
        dress_slider(ui);
        ui.spacing_mut().slider_width = theme::BRUSH_SLIDER_WIDTH;
        let range = *BRUSH_PX.start()..=largest;
        ui.add(Slider::new(&mut size_px, range).logarithmic(true).show_value(false).integer())
    });
    let slider = slider.inner.accessible_name(info.text).on_hover_text(info.tooltip);
    let field = DragValue::new(&mut size_px).range(BRUSH_PX).suffix(" px").max_decimals(0);
    let field = ui.add_sized(vec2(theme::PX_FIELD_WIDTH, theme::CONTROL_HEIGHT), field);
    let field = field.accessible_name(info.text).on_hover_text(info.tooltip);
    if (slider.changed() || field.changed()) && size_px != state.source.brush_px {
        actions.push(Action::Source(SourceAction::BrushSize(size_px)));
    }
}

fn feather_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let info = SourceAction::Feather(0).info();
    ui.add_space(theme::UNIT);
    let name = field_name_ui(ui, &info);
    let mut feather_px = state.source.feather_px;
    let field = DragValue::new(&mut feather_px).range(0..=MAX_FEATHER_PX).suffix(" px").speed(0.2);
    let field = ui.add_sized(vec2(theme::PX_FIELD_WIDTH, theme::CONTROL_HEIGHT), field).labelled_by(name.id);
    if field.on_hover_text(info.tooltip).changed() && feather_px != state.source.feather_px {
        actions.push(Action::Source(SourceAction::Feather(feather_px)));
    }
}

/// How large the picture is made, and what becomes of it where it is not of that size.
pub fn facts_ui(ui: &mut Ui, state: &State, layout: &SourceLayout, actions: &mut Vec<Action>) {
    if let Some(scale) = state.draft.request.upscale {
        hint_ui(ui, format!("The whole picture is made {scale} times as large: there is nothing to paint on it"));
        return;
    }
    let better = state.source_size();
    let is_narrow = ui.available_width() < theme::TOOLS_WIDTH;
    ui.horizontal(|ui| {
        let p = palette(ui);
        let request = &state.draft.request;
        ui.label(RichText::new(format!("{} × {} px", request.width_px, request.height_px)).small().color(p.text_dim));
        let sentence = layout.sentence().or_else(|| {
            let is_new = state.source.mask().is_empty() && layout.whole == layout.used;
            is_new.then(|| "Paint over what is to become new, or drag an edge outwards".to_owned())
        });
        if let Some(sentence) = sentence {
            hint_ui(ui, format!("·  {sentence}"));
        }
        if let Some(size) = better.filter(|_| !is_narrow) {
            use_size_ui(ui, size, actions);
        }
    });
    if let Some(size) = better.filter(|_| is_narrow) {
        use_size_ui(ui, size, actions);
    }
}

fn use_size_ui(ui: &mut Ui, (width_px, height_px): (u32, u32), actions: &mut Vec<Action>) {
    let info = SourceAction::UseSize.info();
    let text = format!("{}: {width_px} × {height_px}", info.text);
    if button_ui(ui, &text, Emphasis::Normal, vec2(0.0, 0.0)).on_hover_text(tooltip(&info)).clicked() {
        actions.push(Action::Source(SourceAction::UseSize));
    }
}
