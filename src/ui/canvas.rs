//! The middle of Create: the picture as it forms, how far it is, and what can be done with a finished one.

use egui::{Frame, Margin, Panel, Rect, RichText, Role, Sense, Ui, WidgetInfo, vec2};

use crate::studio::{
    Action, FilmItem, GridAction, QueueAction, Running, State, VariationAction, View, duration_text, time_left_text,
};

use super::icons::Icon;
use super::source_canvas::{SourceCanvas, source_ui};
use super::source_tools::switch_ui;
use super::textures::{TextureKey, Textures};
use super::theme::{self, palette};
use super::widgets::{
    Emphasis, action_button_ui, empty_ui, fit, hidden_ui, hint_ui, icon_button_ui, picture_ui, progress_ui, snippet,
    tooltip,
};

/// The middle of Create.
pub fn canvas_ui(
    ui: &mut Ui,
    state: &State,
    source: &mut SourceCanvas,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let p = palette(ui);
    switch_ui(ui, state, source.last_view(), actions);
    let below = Frame::new().fill(p.canvas).inner_margin(Margin { left: 20, right: 20, top: 8, bottom: 16 });
    super::queue::queue_ui(ui, state, actions);
    if let Some(running) = state.queue.running() {
        Panel::bottom("progress").resizable(false).show_separator_line(false).frame(below).show(ui, |ui| {
            running_ui(ui, state, running, actions);
        });
    }
    if state.source.is_shown() {
        source_ui(ui, state, source, textures, actions);
        return;
    }
    let item = state.film_in_view();
    if let Some(item) = item {
        Panel::bottom("picture actions").resizable(false).show_separator_line(false).frame(below).show(ui, |ui| {
            finished_ui(ui, item, actions);
        });
        super::timeline::timeline_ui(ui, state, textures, actions);
        super::timeline::tree_ui(ui, state, actions);
    }
    let area = ui.available_rect_before_wrap().shrink(5.0 * theme::UNIT);
    match (item, state.queue.running()) {
        (Some(_), _) if state.step_in_view().is_some() => {
            if let Some(at) = state.step_in_view() {
                super::timeline::step_picture_ui(ui, area, state, at, textures);
            }
        }
        (Some(item), _) => film_picture_ui(ui, area, state, item, textures, actions),
        (None, Some(running)) => forming_ui(ui, area, running, textures),
        (None, None) => {
            empty_ui(ui, Icon::Picture, "Nothing made yet", "Write a prompt at the left and press Ctrl+Enter");
        }
    }
}

fn film_picture_ui(
    ui: &mut Ui,
    area: Rect,
    state: &State,
    item: &FilmItem,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let request = &item.recipe.request;
    match &item.picture {
        Some(picture) => {
            let rect = fit(area, picture.width_px as f32, picture.height_px as f32, theme::MAX_ENLARGEMENT);
            let description = format!("Picture: {}", snippet(&request.prompt, 80));
            if let Some(verdict) = state.hidden_film(item) {
                let key = TextureKey::HiddenFilm(item.key, state.safety);
                let texture = textures.load_hidden(ui.ctx(), key, picture, state.safety, verdict);
                hidden_ui(ui, rect, texture, actions);
            } else {
                let texture = textures.load(ui.ctx(), TextureKey::Film(item.key), picture);
                picture_ui(ui, rect, texture, theme::ROUNDING, &description);
            }
        }
        None => empty_ui(ui, Icon::Picture, "Reading the picture", "It is on the disk"),
    }
}

fn forming_ui(ui: &mut Ui, area: Rect, running: &Running, textures: &mut Textures) {
    let p = palette(ui);
    let request = &running.job.request;
    // One px of the preview stands for 8 of the picture, which may be larger than was asked for.
    let (width_px, height_px) = match &running.preview {
        Some(preview) => (8 * preview.width_px, 8 * preview.height_px),
        None => (request.width_px, request.height_px),
    };
    let rect = fit(area, width_px as f32, height_px as f32, theme::MAX_ENLARGEMENT);
    ui.painter().rect_filled(rect, theme::ROUNDING, p.panel);
    let Some(preview) = &running.preview else { return };
    let texture = textures.preview(ui.ctx(), preview);
    let response = ui.interact(rect, ui.scope_id().with("preview"), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, "The picture as it forms"));
    egui::Image::from_texture((texture.id(), rect.size())).corner_radius(theme::ROUNDING).paint_at(ui, rect);
}

fn running_ui(ui: &mut Ui, state: &State, running: &Running, actions: &mut Vec<Action>) {
    let p = palette(ui);
    progress_ui(ui, running.fraction(), "Progress");
    ui.horizontal(|ui| {
        let count = running.job.request.count;
        if count > 1 {
            let picture = (running.index + 1).min(count);
            ui.label(RichText::new(format!("Picture {picture} of {count}")).color(p.text_dim));
            ui.label(RichText::new("·").color(p.text_faint));
        }
        ui.label(RichText::new(running.status()).color(p.text));
        if let Some(secs) = running.secs_left() {
            ui.label(RichText::new("·").color(p.text_faint));
            ui.label(RichText::new(time_left_text(secs)).color(p.text_dim));
        }
        super::estimate::pace_ui(ui, state);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let cancel = Action::Cancel.info();
            ui.add_enabled_ui(!running.cancelling, |ui| {
                let stop = icon_button_ui(ui, Icon::Close, "Stop", &tooltip(&cancel), false, theme::CONTROL_HEIGHT);
                if stop.clicked() {
                    actions.push(Action::Cancel);
                }
            });
            // With others behind it, the list has the button.
            if state.queue.waiting().len() == 0 && !running.suspending {
                action_button_ui(ui, &QueueAction::Pause.into(), Emphasis::Quiet, vec2(0.0, 0.0), actions);
            }
            if matches!(state.film.view, View::Film(_)) {
                action_button_ui(ui, &Action::ShowLive, Emphasis::Quiet, vec2(0.0, 0.0), actions);
            }
        });
    });
}

fn finished_ui(ui: &mut Ui, item: &FilmItem, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let request = &item.recipe.request;
    let (width_px, height_px) = item.size_px();
    ui.vertical_centered(|ui| {
        let facts = format!(
            "{} × {} · {} steps · seed {} · {}",
            width_px,
            height_px,
            request.num_inference_steps,
            request.seed,
            duration_text(item.recipe.elapsed_secs)
        );
        hint_ui(ui, facts);
        if let Err(error) = &item.saved {
            let text = format!("Not saved: {}. Save it somewhere else before you close the window", error.sentence);
            ui.label(RichText::new(text).small().color(p.danger));
        }
    });
    let buttons = [
        Action::SaveAs,
        Action::CopyPicture,
        Action::UseAllParameters,
        Action::UseSeed,
        Action::BeginWithSelected,
        Action::UpscaleSelected,
        if item.recipe.grid.is_some() {
            Action::Grid(GridAction::UseSelected)
        } else {
            Action::Variation(VariationAction::Open)
        },
        Action::Trash,
    ];
    // A row that does not fit is not broken in two: the rarer actions, which the gallery has too, are left out.
    let spacing = ui.spacing().item_spacing.x;
    let padding = 2.0 * ui.spacing().button_padding.x;
    let font = egui::TextStyle::Button.resolve(ui.style());
    let widths: Vec<f32> = buttons
        .iter()
        .map(|action| {
            ui.painter().layout_no_wrap(action.info().text.to_owned(), font.clone(), p.text).size().x
                + padding
                + spacing
        })
        .collect();
    let mut shown: Vec<usize> = (0..buttons.len()).collect();
    for dropped in [3, 1, 5, 4, 2, 6] {
        if shown.iter().map(|&i| widths[i]).sum::<f32>() - spacing <= ui.available_width() {
            break;
        }
        shown.retain(|&i| i != dropped);
    }
    let row = shown.iter().map(|&i| widths[i]).sum::<f32>() - spacing;
    ui.horizontal(|ui| {
        ui.add_space(((ui.available_width() - row) / 2.0).max(0.0));
        for &i in &shown {
            let info = buttons[i].info();
            let response = super::widgets::button_ui(ui, info.text, Emphasis::Quiet, vec2(0.0, 0.0));
            if response.on_hover_text(tooltip(&info)).clicked() {
                actions.push(buttons[i].clone());
            }
        }
    });
}
