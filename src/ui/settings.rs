//! Settings: the look, the folders, the keys, about.

use egui::{Frame, Grid, Margin, RichText, Role, ScrollArea, Ui, WidgetInfo, vec2};

use crate::domain::{SafetyMode, Theme};
use crate::studio::{Action, KEYED, State};

use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, hint_ui, tooltip};

/// All settings on one page.
pub fn settings_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        Frame::new().inner_margin(Margin { left: 24, right: 24, top: 20, bottom: 24 }).show(ui, |ui| {
            ui.set_width(ui.available_width().min(theme::TEXT_WIDTH));
            let p = palette(ui);
            ui.label(RichText::new("Settings").text_style(theme::title()).color(p.text));
            ui.add_space(3.0 * theme::UNIT);
            section_ui(ui, "Look", |ui| look_ui(ui, state, actions));
            section_ui(ui, "Pictures", |ui| pictures_ui(ui, state, actions));
            section_ui(ui, "Computing", |ui| super::device::device_ui(ui, state, actions));
            section_ui(ui, "Safety", |ui| safety_ui(ui, state, actions));
            section_ui(ui, "Where things are", |ui| folders_ui(ui, state));
            section_ui(ui, "Keys", keys_ui);
            section_ui(ui, "About", about_ui);
        });
    });
}

fn section_ui(ui: &mut Ui, title: &str, add_contents: impl FnOnce(&mut Ui)) {
    let p = palette(ui);
    ui.label(RichText::new(title).font(theme::semibold(13.0)).color(p.text_dim));
    Frame::new()
        .fill(p.raised)
        .stroke(egui::Stroke::new(1.0, p.line))
        .corner_radius(theme::ROUNDING_LARGE)
        .inner_margin(Margin::symmetric(16, 12))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            add_contents(ui);
        });
    ui.add_space(4.0 * theme::UNIT);
}

fn look_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        for theme in [Theme::Dark, Theme::Light] {
            let action = Action::SetTheme(theme);
            let info = action.info();
            let chosen = state.theme == theme;
            let response = ui.scope(|ui| {
                if chosen {
                    let widget = &mut ui.visuals_mut().widgets.inactive;
                    widget.weak_bg_fill = p.accent_soft;
                    widget.bg_stroke.color = p.accent;
                    widget.fg_stroke.color = p.text;
                }
                ui.add(egui::Button::new(info.text).min_size(vec2(96.0, theme::CONTROL_HEIGHT)))
            });
            let response = response.inner.on_hover_text(tooltip(&info));
            response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, chosen, info.text));
            if response.clicked() {
                actions.push(action);
            }
        }
    });
}

fn safety_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    hint_ui(ui, "Some models bring a checker that looks at finished pictures");
    for mode in SafetyMode::ALL {
        let chosen = state.safety == mode;
        ui.horizontal(|ui| {
            let response = ui.radio(chosen, mode.label());
            if response.clicked() && !chosen {
                actions.push(Action::SetSafety(mode));
            }
            hint_ui(ui, mode.description());
        });
    }
}

fn pictures_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let path = state.pictures_folder().display().to_string();
    ui.add(egui::Label::new(RichText::new(path).color(p.text)).wrap().selectable(true));
    hint_ui(ui, "New pictures go here, as PNG files with their recipe inside");
    ui.horizontal(|ui| {
        action_button_ui(ui, &Action::ChoosePicturesFolder, Emphasis::Normal, vec2(0.0, 0.0), actions);
        if state.pictures_dir.is_some() {
            action_button_ui(ui, &Action::ResetPicturesFolder, Emphasis::Quiet, vec2(0.0, 0.0), actions);
        }
    });
    super::timeline::keep_ui(ui, state, actions);
}

fn folders_ui(ui: &mut Ui, state: &State) {
    let p = palette(ui);
    let paths = &state.paths;
    for (name, explanation, path) in [
        ("LoRAs", "A prompt names a file here: <lora:name:0.8>", &paths.loras_dir),
        ("Embeddings", "A file's name in a prompt stands for what it was taught", &paths.embeddings_dir),
        ("Wildcards", "__name__ in a prompt draws a line of a file here", &paths.wildcards_dir),
        ("Settings", "This page and the draft", &paths.settings_file),
        (
            "Index of the pictures, and the queue",
            "May be deleted: the index is made again, the queue is gone",
            &paths.database,
        ),
        ("Steps of pictures", "May be deleted: a step is made again when it is asked for", &paths.steps_dir),
        ("Thumbnails", "May be deleted: they are made again from the pictures", &paths.thumbnails_dir),
    ] {
        ui.label(RichText::new(name).color(p.text)).on_hover_text(explanation);
        let path = RichText::new(path.display().to_string()).small().color(p.text_dim);
        ui.add(egui::Label::new(path).wrap().selectable(true));
    }
}

fn keys_ui(ui: &mut Ui) {
    let p = palette(ui);
    Grid::new("keys").num_columns(2).spacing(vec2(24.0, 2.0)).min_row_height(22.0).show(ui, |ui| {
        for (_, action) in KEYED {
            let info = action.info();
            if let Some(shortcut) = info.shortcut {
                ui.label(RichText::new(shortcut.to_string()).monospace().color(p.text_dim));
                ui.label(RichText::new(info.text).color(p.text)).on_hover_text(info.tooltip);
                ui.end_row();
            }
        }
    });
}

fn about_ui(ui: &mut Ui) {
    let p = palette(ui);
    ui.label(RichText::new(concat!("Atelier ", env!("CARGO_PKG_VERSION"))).font(theme::semibold(14.0)).color(p.text));
    ui.label(RichText::new(env!("CARGO_PKG_DESCRIPTION")).color(p.text_dim));
    hint_ui(ui, concat!("Licence: ", env!("CARGO_PKG_LICENSE"), ". Nothing leaves this machine."));
}
