//! Windows over the window about pictures of other programs: one that was looked at, what is being taken in, the report.

use egui::{Context, Frame, Id, Label, Modal, RichText, Role, ScrollArea, Ui, WidgetInfo, vec2};

use crate::studio::{Action, ImportAction, Importing, State};

use super::recipe::facts_ui;
use super::textures::{TextureKey, Textures};
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, button_ui, fit, hint_ui, progress_ui, tooltip};

/// The side of the small picture, in logical px.
const THUMBNAIL: f32 = 160.0;
/// The key of its texture: the filmstrip counts up from 1.
const LOOKED: TextureKey = TextureKey::Film(0);

/// The window that is to be shown, if any.
pub fn import_ui(ctx: &Context, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    let import = &state.viewer.import;
    let (close, kind) = match (&import.looked, &import.offered, &import.running, &import.report) {
        (Some(_), ..) => (ImportAction::CloseLook, "looked"),
        (None, Some(_), ..) => (ImportAction::Decline, "offered"),
        // What runs is shown in the gallery's bar.
        (None, None, None, Some(_)) => (ImportAction::CloseReport, "report"),
        _ => {
            textures.forget(LOOKED);
            return;
        }
    };
    let frame = Frame::popup(&ctx.global_style()).inner_margin(5.0 * theme::UNIT);
    let modal = Modal::new(Id::unique(("import", kind))).frame(frame).show(ctx, |ui| {
        ui.set_width(theme::MODAL_WIDTH.min(ctx.content_rect().width() - 64.0));
        match &close {
            ImportAction::CloseLook => looked_ui(ui, state, textures, actions),
            ImportAction::Decline => offered_ui(ui, state, actions),
            _ => report_ui(ui, state, actions),
        }
    });
    if modal.should_close() {
        actions.push(close.into());
    }
}

/// How high a list may be: so that the window over the window is within the window.
fn list_height(ui: &Ui) -> f32 {
    (ui.ctx().content_rect().height() - theme::MODAL_REST_HEIGHT).max(theme::MODAL_LIST_HEIGHT)
}

fn title_ui(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).text_style(theme::title()).color(palette(ui).text));
}

fn looked_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    let Some(looked) = &state.viewer.import.looked else { return };
    let p = palette(ui);
    title_ui(ui, &looked.path.file_name().unwrap_or_default().to_string_lossy());
    ui.add_space(theme::UNIT);
    ui.horizontal_top(|ui| {
        let (rect, response) = ui.allocate_exact_size(vec2(THUMBNAIL, THUMBNAIL), egui::Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, "The picture that was dropped"));
        let place = fit(rect, looked.width_px as f32, looked.height_px as f32, f32::INFINITY);
        // A picture of another program was never checked; where its own recipe says that it was flagged, it is hidden.
        let hidden = state.hidden_looked();
        let texture = match hidden {
            Some(verdict) => textures.load_hidden(ui.ctx(), LOOKED, &looked.thumbnail, state.safety, verdict),
            None => textures.load(ui.ctx(), LOOKED, &looked.thumbnail),
        };
        texture.paint(ui, place, theme::ROUNDING);
        ui.add_space(2.0 * theme::UNIT);
        ui.vertical(|ui| {
            ScrollArea::vertical().max_height(list_height(ui)).show(ui, |ui| {
                ui.set_width(ui.available_width());
                if let Some(recipe) = &looked.recipe {
                    facts_ui(ui, recipe);
                } else {
                    hint_ui(ui, format!("{} × {} px", looked.width_px, looked.height_px));
                    ui.label(RichText::new("This picture carries no recipe that can be read").color(p.text_dim));
                }
            });
        });
    });
    ui.add_space(2.0 * theme::UNIT);
    if let Some(recipe) = looked.recipe.as_ref().filter(|recipe| !recipe.is_ours())
        && state.model_named(&recipe.model_name).is_none()
    {
        let text = match recipe.model_name.as_str() {
            "" => "It does not say which model made it: the present one would be used".to_owned(),
            name => format!("{name} is not among the models here: the present one would be used"),
        };
        ui.add(Label::new(RichText::new(text).small().color(p.danger)).wrap());
    }
    if looked.is_here {
        hint_ui(ui, "This picture is in the gallery already");
    }
    ui.horizontal(|ui| {
        ui.add_enabled_ui(looked.recipe.is_some(), |ui| {
            action_button_ui(
                ui,
                &ImportAction::Use.into(),
                Emphasis::Primary,
                vec2(96.0, theme::CONTROL_HEIGHT),
                actions,
            );
        });
        ui.add_enabled_ui(!looked.is_here, |ui| {
            action_button_ui(ui, &ImportAction::Take.into(), Emphasis::Normal, vec2(0.0, 0.0), actions);
        });
        action_button_ui(ui, &ImportAction::BeginWith.into(), Emphasis::Normal, vec2(0.0, 0.0), actions);
        action_button_ui(ui, &ImportAction::CloseLook.into(), Emphasis::Quiet, vec2(0.0, 0.0), actions);
    });
}

fn offered_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let Some(sources) = &state.viewer.import.offered else { return };
    let title = match sources.as_slice() {
        [one] => format!("Import the pictures of {}?", one.file_name().unwrap_or_default().to_string_lossy()),
        many => format!("Import these {} files and folders?", many.len()),
    };
    title_ui(ui, &title);
    hint_ui(
        ui,
        "They are copied into the gallery with their recipes; where they are nothing changes. What is here already is left out.",
    );
    ui.add_space(2.0 * theme::UNIT);
    ui.horizontal(|ui| {
        let wide = vec2(96.0, theme::CONTROL_HEIGHT);
        action_button_ui(ui, &ImportAction::Accept.into(), Emphasis::Primary, wide, actions);
        action_button_ui(ui, &ImportAction::Decline.into(), Emphasis::Normal, wide, actions);
    });
}

/// What is being taken in, for the gallery's bar.
pub fn running_ui(ui: &mut Ui, running: &Importing, actions: &mut Vec<Action>) {
    let Importing { done, total, is_stopping, .. } = running;
    ui.horizontal(|ui| {
        hint_ui(
            ui,
            if *total == 0 { "Looking for pictures".to_owned() } else { format!("Importing: {done} of {total}") },
        );
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let info = ImportAction::Stop.info();
            ui.add_enabled_ui(!is_stopping, |ui| {
                let response = button_ui(ui, info.text, Emphasis::Normal, vec2(0.0, 0.0)).on_hover_text(tooltip(&info));
                response.widget_info(|| WidgetInfo::labeled(Role::Button, !is_stopping, "Stop importing"));
                if response.clicked() {
                    actions.push(ImportAction::Stop.into());
                }
            });
            progress_ui(ui, *done as f32 / (*total).max(1) as f32, "Importing");
        });
    });
}

fn report_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let Some(report) = &state.viewer.import.report else { return };
    let p = palette(ui);
    let many = |count: usize, one: &str, more: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {more}"),
    };
    let title = if report.is_cancelled { "Import stopped" } else { "Import finished" };
    title_ui(ui, title);
    let mut lines = vec![many(report.taken, "picture is in the gallery now", "pictures are in the gallery now")];
    for (count, one, more) in [
        (report.duplicates, "was here already", "were here already"),
        (report.without_recipe, "carries no recipe that can be read", "carry no recipe that can be read"),
        (report.partly, "has a recipe that was understood in part", "have recipes that were understood in part"),
        (report.failed, "could not be read", "could not be read"),
    ] {
        if count > 0 {
            lines.push(many(count, one, more));
        }
    }
    for line in lines {
        ui.label(RichText::new(line).color(p.text_dim));
    }
    if !report.not_understood.is_empty() || !report.failures.is_empty() {
        ui.add_space(2.0 * theme::UNIT);
        Frame::new().fill(p.field).corner_radius(theme::ROUNDING).inner_margin(12).show(ui, |ui| {
            ScrollArea::vertical().max_height(list_height(ui)).auto_shrink([false, true]).show(ui, |ui| {
                ui.set_width(ui.available_width());
                for error in &report.failures {
                    let path = error.path.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
                    file_ui(ui, &path, [&error.sentence], p.danger);
                }
                for (path, sentences) in &report.not_understood {
                    file_ui(ui, &path.display().to_string(), sentences, p.text_dim);
                }
                let left = report.partly - report.not_understood.len();
                if left > 0 {
                    hint_ui(ui, format!("and {left} more"));
                }
            });
        });
    }
    ui.add_space(2.0 * theme::UNIT);
    action_button_ui(
        ui,
        &ImportAction::CloseReport.into(),
        Emphasis::Normal,
        vec2(96.0, theme::CONTROL_HEIGHT),
        actions,
    );
}

/// A file and what is to be said of it.
fn file_ui<'a>(ui: &mut Ui, path: &str, sentences: impl IntoIterator<Item = &'a String>, colour: egui::Color32) {
    ui.add(Label::new(RichText::new(path).small().color(palette(ui).text)).truncate().selectable(true));
    for sentence in sentences {
        ui.add(Label::new(RichText::new(sentence).small().color(colour)).wrap().selectable(true));
    }
    ui.add_space(theme::UNIT);
}
