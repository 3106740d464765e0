//! The building blocks of the panels: buttons for actions, fields with their names, pictures, progress.

use egui::{
    Button, Color32, Frame, Margin, Panel, Rect, Response, RichText, Role, ScrollArea, Sense, Stroke, Ui, Vec2,
    WidgetInfo, vec2,
};

use crate::studio::{Action, Info};

use super::icons::{self, Icon};
use super::textures::PictureTexture;
use super::theme::{self, palette};

/// How much a button stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emphasis {
    /// What to do next: the accent. At most one in view.
    Primary,
    /// Everything else.
    Normal,
    /// No frame until the pointer is on it.
    Quiet,
}

/// An action's tooltip, with its keys.
#[must_use]
pub fn tooltip(info: &Info) -> String {
    match info.shortcut {
        Some(shortcut) => format!("{} ({shortcut})", info.tooltip),
        None => info.tooltip.to_owned(),
    }
}

/// A button for an action, with its text and tooltip. Pushes the action when it is clicked.
pub fn action_button_ui(ui: &mut Ui, action: &Action, emphasis: Emphasis, size: Vec2, actions: &mut Vec<Action>) {
    let info = action.info();
    if button_ui(ui, info.text, emphasis, size).on_hover_text(tooltip(&info)).clicked() {
        actions.push(action.clone());
    }
}

/// A button as high as a field and, where `size.x` is not 0, of a given width.
pub fn button_ui(ui: &mut Ui, text: &str, emphasis: Emphasis, size: Vec2) -> Response {
    let p = palette(ui);
    ui.scope(|ui| {
        let widgets = &mut ui.visuals_mut().widgets;
        let mut button = Button::new(text).min_size(size);
        match emphasis {
            Emphasis::Primary => {
                for (state, fill) in [
                    (&mut widgets.noninteractive, p.accent),
                    (&mut widgets.inactive, p.accent),
                    (&mut widgets.hovered, p.accent_hover),
                    (&mut widgets.active, p.accent_pressed),
                ] {
                    state.weak_bg_fill = fill;
                    state.bg_stroke = Stroke::NONE;
                    state.fg_stroke.color = p.on_accent;
                }
                // The keyboard's ring, in a colour that the accent does not swallow.
                widgets.active.bg_stroke = Stroke::new(2.0, p.text);
                button = Button::new(RichText::new(text).font(theme::semibold(14.0))).min_size(size);
            }
            Emphasis::Normal => {}
            Emphasis::Quiet => {
                widgets.inactive.weak_bg_fill = Color32::TRANSPARENT;
                widgets.inactive.bg_stroke = Stroke::NONE;
                widgets.hovered.bg_stroke = Stroke::NONE;
                widgets.inactive.fg_stroke.color = p.text_dim;
            }
        }
        // Only a sized widget has its text in the middle.
        if size.x > 0.0 { ui.add_sized(size, button) } else { ui.add(button) }
    })
    .inner
}

/// A square button with an icon only. `name` is what a screen reader says.
pub fn icon_button_ui(ui: &mut Ui, icon: Icon, name: &str, tooltip: &str, chosen: bool, side: f32) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(Role::Button, enabled, chosen, name));
    if ui.is_rect_visible(rect) {
        let p = palette(ui);
        let visuals = ui.visuals().widgets.style(&response);
        let (fill, colour) = match (chosen, response.hovered()) {
            (true, _) => (p.accent_soft, p.accent),
            (false, true) => (p.field_hover, p.text),
            (false, false) => (Color32::TRANSPARENT, p.text_dim),
        };
        ui.painter().rect_filled(rect, theme::ROUNDING, fill);
        if response.has_focus() {
            ui.painter().rect_stroke(rect, theme::ROUNDING, visuals.bg_stroke, egui::StrokeKind::Inside);
        }
        let icon_rect = Rect::from_center_size(rect.center(), Vec2::splat(theme::ICON.min(side - 8.0)));
        icons::paint(ui.painter(), icon_rect, icon, colour);
    }
    response.on_hover_text(tooltip)
}

/// An icon button for an action.
pub fn action_icon_ui(ui: &mut Ui, icon: Icon, action: &Action, chosen: bool, side: f32, actions: &mut Vec<Action>) {
    let info = action.info();
    if icon_button_ui(ui, icon, info.text, &tooltip(&info), chosen, side).clicked() {
        actions.push(action.clone());
    }
}

/// The frame of what lies over the window and has the keyboard.
pub fn dialog_frame(ctx: &egui::Context) -> Frame {
    Frame::popup(&ctx.global_style()).inner_margin(4.0 * theme::UNIT)
}

/// The name of a field, with its explanation as a tooltip.
pub fn field_name_ui(ui: &mut Ui, info: &Info) -> Response {
    let colour = palette(ui).text_dim;
    ui.label(RichText::new(info.text).text_style(theme::label()).color(colour)).on_hover_text(info.tooltip)
}

/// What is wrong with a field, below it.
pub fn problem_ui(ui: &mut Ui, problem: Option<&str>) {
    if let Some(problem) = problem {
        let colour = palette(ui).danger;
        ui.label(RichText::new(problem).small().color(colour));
    }
}

/// A line in a fainter colour and smaller type.
pub fn hint_ui(ui: &mut Ui, text: impl Into<String>) -> Response {
    let colour = palette(ui).text_faint;
    ui.label(RichText::new(text).small().color(colour))
}

/// A picture, drawn into a rectangle, with its description for a screen reader.
pub fn picture_ui(ui: &mut Ui, rect: Rect, texture: &PictureTexture, rounding: u8, description: &str) {
    let response = ui.interact(rect, ui.next_auto_id().with(description), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, description));
    texture.paint(ui, rect, rounding);
}

/// What is shown instead of a flagged picture, with a way to see it.
pub fn hidden_ui(ui: &mut Ui, rect: Rect, instead: &PictureTexture, actions: &mut Vec<Action>) {
    picture_ui(ui, rect, instead, theme::ROUNDING, "Hidden picture");
    let size = vec2(200.0_f32.min(rect.width()), 64.0);
    let middle = Rect::from_center_size(rect.center(), size);
    ui.scope_builder(egui::UiBuilder::new().max_rect(middle), |ui| {
        Frame::new().fill(palette(ui).panel).corner_radius(theme::ROUNDING).inner_margin(8).show(ui, |ui| {
            ui.vertical_centered(|ui| {
                hint_ui(ui, "This picture may be unsafe");
                action_button_ui(ui, &Action::ToggleReveal, Emphasis::Normal, vec2(0.0, 0.0), actions);
            });
        });
    });
}

/// Where a picture lies in an area: centred, as large as fits, blown up only so far.
#[must_use]
pub fn fit(area: Rect, width: f32, height: f32, max_enlargement: f32) -> Rect {
    let scale = (area.width() / width.max(1.0)).min(area.height() / height.max(1.0)).min(max_enlargement).max(0.0);
    Rect::from_center_size(area.center(), vec2(width, height) * scale)
}

/// How far something is, from 0 to 1, as a thin bar. It does not animate: the next step moves it.
pub fn progress_ui(ui: &mut Ui, fraction: f32, name: &str) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), theme::UNIT), Sense::hover());
    response.widget_info(|| WidgetInfo {
        value: Some(f64::from((fraction * 100.0).round())),
        ..WidgetInfo::labeled(Role::ProgressIndicator, true, name)
    });
    let p = palette(ui);
    ui.painter().rect_filled(rect, 2, p.field);
    if fraction > 0.0 {
        let done = Rect::from_min_size(rect.min, vec2(rect.width() * fraction.min(1.0), rect.height()));
        ui.painter().rect_filled(done, 2, p.accent);
    }
}

/// The column at the left of a place: what scrolls, and `foot` below it, which stays in view.
pub fn column_ui(
    ui: &mut Ui,
    name: &'static str,
    actions: &mut Vec<Action>,
    foot: impl FnOnce(&mut Ui, &mut Vec<Action>),
    body: impl FnOnce(&mut Ui, &mut Vec<Action>),
) {
    let p = palette(ui);
    let narrow = ui.available_width() + theme::RAIL_WIDTH < theme::NARROW_BELOW;
    let width = if narrow { theme::DRAFT_WIDTH_NARROW } else { theme::DRAFT_WIDTH };
    let margin = Margin { left: 16, right: 16, top: 16, bottom: 12 };
    Panel::left(name)
        .exact_size(width)
        .resizable(false)
        .show_separator_line(true)
        .frame(Frame::new().fill(p.panel).inner_margin(margin))
        .show(ui, |ui| {
            Panel::bottom((name, "foot"))
                .show_separator_line(false)
                .resizable(false)
                .frame(Frame::new().fill(p.panel).inner_margin(Margin { top: 8, ..Margin::ZERO }))
                .show(ui, |ui| foot(ui, actions));
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| body(ui, actions));
        });
}

/// What to do where there is nothing yet.
pub fn empty_ui(ui: &mut Ui, icon: Icon, title: &str, advice: &str) {
    let p = palette(ui);
    let height = 96.0;
    ui.add_space(((ui.available_height() - height) / 2.0).max(0.0));
    ui.vertical_centered(|ui| {
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(32.0), Sense::hover());
        icons::paint(ui.painter(), rect, icon, p.text_faint);
        ui.add_space(theme::UNIT);
        ui.label(RichText::new(title).font(theme::semibold(14.0)).color(p.text_dim));
        hint_ui(ui, advice);
    });
}

/// The first line of a text, cut to about `max_chars`.
#[must_use]
pub fn snippet(text: &str, max_chars: usize) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("(no prompt)");
    if line.chars().count() <= max_chars {
        return line.to_owned();
    }
    let cut: String = line.chars().take(max_chars).collect();
    format!("{}…", cut.trim_end())
}
