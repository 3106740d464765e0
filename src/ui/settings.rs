//! Settings: the look, the folders, how pictures are made on this machine, help, about.

use egui::{DragValue, Frame, Margin, RichText, Role, ScrollArea, Ui, WidgetInfo, vec2};

use crate::domain::{PreviewPace, SafetyMode, ShellSettings, Theme};
use crate::studio::{Action, ShelfAction, ShellAction, State};

use super::icons::Icon;
use super::models_cards::named_button_ui;
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, action_icon_ui, field_name_ui, hint_ui, icon_button_ui, tooltip};

/// All settings on one page.
pub fn settings_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    // Shown or set aside on purpose, each of them.
    let ShellSettings {
        scale_percent: _,
        preview: _,
        threads: _,
        notify: _,
        tour_seen: _,       // "Take the tour" is always there
        recent_commands: _, // the palette's
        timings: _,         // what estimates are made of
    } = &state.shell.settings;
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        Frame::new().inner_margin(Margin { left: 24, right: 24, top: 20, bottom: 24 }).show(ui, |ui| {
            ui.set_width(ui.available_width().min(theme::TEXT_WIDTH));
            let p = palette(ui);
            ui.label(RichText::new("Settings").text_style(theme::title()).color(p.text));
            ui.add_space(3.0 * theme::UNIT);
            section_ui(ui, "Look", |ui| look_ui(ui, state, actions));
            section_ui(ui, "Pictures", |ui| pictures_ui(ui, state, actions));
            section_ui(ui, "While a picture is made", |ui| making_ui(ui, state, actions));
            section_ui(ui, "Models", |ui| models_ui(ui, state, actions));
            section_ui(ui, "Safety", |ui| safety_ui(ui, state, actions));
            section_ui(ui, "Where things are", |ui| folders_ui(ui, state, actions));
            section_ui(ui, "Help", |ui| help_ui(ui, actions));
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

/// One of several, as a button with its text.
fn choice_ui(ui: &mut Ui, action: Action, is_chosen: bool, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let info = action.info();
    let response = ui.scope(|ui| {
        if is_chosen {
            let widget = &mut ui.visuals_mut().widgets.inactive;
            widget.weak_bg_fill = p.accent_soft;
            widget.bg_stroke.color = p.accent;
            widget.fg_stroke.color = p.text;
        }
        ui.add(egui::Button::new(info.text).min_size(vec2(96.0, theme::CONTROL_HEIGHT)))
    });
    let response = response.inner.on_hover_text(tooltip(&info));
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, is_chosen, info.text));
    if response.clicked() {
        actions.push(action);
    }
}

fn look_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        for theme in Theme::ALL {
            choice_ui(ui, Action::SetTheme(theme), state.theme == theme, actions);
        }
    });
    ui.add_space(theme::UNIT);
    field_name_ui(ui, &ShellAction::SetScale(0).info());
    ui.horizontal(|ui| {
        let percent = state.shell.settings.scale_percent;
        let bounds = ShellSettings::SCALE_PERCENT;
        let side = theme::CONTROL_HEIGHT;
        // Not a slider: it would move away under the pointer as it is dragged.
        ui.add_enabled_ui(percent > *bounds.start(), |ui| {
            action_icon_ui(ui, Icon::Minus, &ShellAction::Smaller.into(), false, side, actions);
        });
        ui.label(RichText::new(format!("{percent} %")).color(palette(ui).text));
        ui.add_enabled_ui(percent < *bounds.end(), |ui| {
            action_icon_ui(ui, Icon::Plus, &ShellAction::Larger.into(), false, side, actions);
        });
        if percent != 100 {
            action_button_ui(ui, &ShellAction::ResetScale.into(), Emphasis::Quiet, vec2(0.0, 0.0), actions);
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
    path_ui(
        ui,
        "New pictures",
        "PNG files with their recipe inside, one folder a day",
        state.pictures_folder(),
        actions,
    );
    ui.horizontal(|ui| {
        action_button_ui(ui, &Action::ChoosePicturesFolder, Emphasis::Normal, vec2(0.0, 0.0), actions);
        if state.pictures_dir.is_some() {
            action_button_ui(ui, &Action::ResetPicturesFolder, Emphasis::Quiet, vec2(0.0, 0.0), actions);
        }
    });
    super::timeline::keep_ui(ui, state, actions);
}

fn making_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let settings = &state.shell.settings;
    ui.label(RichText::new("Preview").text_style(theme::label()).color(p.text_dim));
    ui.horizontal(|ui| {
        for pace in PreviewPace::ALL {
            choice_ui(ui, ShellAction::SetPreview(pace).into(), settings.preview == pace, actions);
        }
    });
    ui.add_space(theme::UNIT);
    threads_ui(ui, state, actions);
    ui.add_space(theme::UNIT);
    let info = ShellAction::ToggleNotify.info();
    let mut notify = settings.notify;
    if ui.checkbox(&mut notify, info.text).on_hover_text(info.tooltip).changed() {
        actions.push(ShellAction::ToggleNotify.into());
    }
}

fn threads_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let machine = &state.shell.machine;
    let threads = state.shell.settings.threads;
    let name = field_name_ui(ui, &ShellAction::SetThreads(None).info());
    ui.horizontal(|ui| {
        if ui.radio(threads.is_none(), format!("Automatic ({})", machine.cores)).clicked() && threads.is_some() {
            actions.push(ShellAction::SetThreads(None).into());
        }
        if ui.radio(threads.is_some(), "As many as").clicked() && threads.is_none() {
            actions.push(ShellAction::SetThreads(Some(machine.cores)).into());
        }
        let mut edited = threads.unwrap_or(machine.cores);
        let most = machine.cores.max(edited);
        ui.add_enabled_ui(threads.is_some(), |ui| {
            let field = DragValue::new(&mut edited).range(1..=most).speed(0.1).update_while_editing(false);
            let response = ui.add_sized(vec2(56.0, theme::CONTROL_HEIGHT), field).labelled_by(name.id);
            if response.changed() && threads != Some(edited) {
                actions.push(ShellAction::SetThreads(Some(edited)).into());
            }
        });
    });
    if state.shell.wants_restart() {
        let now = machine.threads;
        hint_ui(ui, format!("{now} compute now. The change takes effect when Atelier is started again"));
    }
}

fn models_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    hint_ui(ui, "Imported models, and those of these folders, are listed under Models");
    path_ui(ui, "Imported models", "Copies that the program owns", &state.paths.models_dir, actions);
    for folder in &state.shelf.folders {
        path_ui(ui, "Your folder", "Its models stay where they are", folder, actions);
        let path = folder.display().to_string();
        named_button_ui(ui, ShelfAction::ForgetFolder(folder.clone()), Emphasis::Quiet, &path, actions);
    }
    action_button_ui(ui, &Action::Shelf(ShelfAction::ChooseFolder), Emphasis::Normal, vec2(0.0, 0.0), actions);
}

fn folders_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let paths = &state.paths;
    for (name, explanation, path) in [
        ("LoRAs", "A prompt names a file here: <lora:name:0.8>", &paths.loras_dir),
        ("Embeddings", "A file's name in a prompt stands for what it was taught", &paths.embeddings_dir),
        ("Wildcards", "__name__ in a prompt draws a line of a file here", &paths.wildcards_dir),
        ("Settings file", "This page and the draft", &paths.settings_file),
        (
            "Index of the pictures, and the queue",
            "May be deleted: the index is made again, the queue is gone",
            &paths.database,
        ),
        ("Steps of pictures", "May be deleted: a step is made again when it is asked for", &paths.steps_dir),
        ("Thumbnails", "May be deleted: they are made again from the pictures", &paths.thumbnails_dir),
        ("Log", "What the program wrote down about itself; may be deleted", &paths.logs_dir),
    ] {
        path_ui(ui, name, explanation, path, actions);
    }
    hint_ui(ui, "All of it lies below one folder where ATELIER_HOME names one when Atelier is started");
}

/// A file or folder, with a way to it.
fn path_ui(ui: &mut Ui, name: &str, explanation: &str, path: &std::path::Path, actions: &mut Vec<Action>) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        let side = theme::CONTROL_HEIGHT - theme::UNIT;
        ui.vertical(|ui| {
            ui.set_width(ui.available_width() - side - 2.0 * theme::UNIT);
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.label(RichText::new(name).color(p.text)).on_hover_text(explanation);
            let text = RichText::new(path.display().to_string()).small().color(p.text_dim);
            ui.add(egui::Label::new(text).wrap().selectable(true));
        });
        let show = ShellAction::Show(path.to_path_buf());
        let said = format!("Show {name}: {}", path.display());
        if icon_button_ui(ui, Icon::Folder, &said, "Show it in the file manager", false, side).clicked() {
            actions.push(show.into());
        }
    });
}

fn help_ui(ui: &mut Ui, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        for action in [
            ShellAction::OpenPalette,
            ShellAction::ShowShortcuts,
            ShellAction::StartTour,
            ShellAction::ShowErrors,
            ShellAction::OpenLogs,
        ] {
            action_button_ui(ui, &action.into(), Emphasis::Normal, vec2(0.0, 0.0), actions);
        }
    });
}

fn about_ui(ui: &mut Ui) {
    let p = palette(ui);
    ui.label(RichText::new(concat!("Atelier ", env!("CARGO_PKG_VERSION"))).font(theme::semibold(14.0)).color(p.text));
    ui.label(RichText::new(env!("CARGO_PKG_DESCRIPTION")).color(p.text_dim));
    hint_ui(ui, concat!("Licence: ", env!("CARGO_PKG_LICENSE"), ". Nothing leaves this machine."));
}
