//! The gallery's grid: the history of all sessions. Only the rows in view are drawn.

use egui::{
    CornerRadius, Frame, Margin, Rect, RichText, Role, ScrollArea, Sense, Stroke, StrokeKind, Ui, WidgetInfo, vec2,
};

use crate::domain::PictureEntry;
use crate::studio::{Action, State};

use super::icons::{self, Icon};
use super::textures::{TextureKey, Textures};
use super::theme::{self, palette};
use super::widgets::{action_icon_ui, empty_ui, fit, hint_ui, snippet};

/// All pictures, newest first.
pub fn gallery_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let margin = Margin { left: 24, right: 12, top: 20, bottom: 0 };
    Frame::new().inner_margin(margin).show(ui, |ui| {
        let entries = state.gallery.entries();
        ui.horizontal(|ui| {
            ui.label(RichText::new("All pictures").text_style(theme::title()).color(p.text));
            match entries.len() {
                0 => {}
                1 => drop(hint_ui(ui, "1 picture")),
                count => drop(hint_ui(ui, format!("{count} pictures"))),
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                ui.add_space(3.0 * theme::UNIT);
                action_icon_ui(ui, Icon::Refresh, &Action::Rescan, false, theme::CONTROL_HEIGHT, actions);
            });
        });
        ui.add_space(2.0 * theme::UNIT);
        if entries.is_empty() {
            let (title, advice) = if state.gallery.listed {
                ("No pictures yet", "Make one in Create: it is kept here, with everything that made it")
            } else {
                ("Reading the history", "This takes a moment")
            };
            empty_ui(ui, Icon::Gallery, title, advice);
            return;
        }
        grid_ui(ui, state, textures, actions);
    });
}

fn grid_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    let entries = state.gallery.entries();
    // Room for the scroll bar, which floats over the content.
    let width = ui.available_width() - 3.0 * theme::UNIT;
    let columns = ((width + theme::TILE_GAP) / (theme::TILE_SIDE + theme::TILE_GAP)).floor().max(1.0);
    let side = ((width - (columns - 1.0) * theme::TILE_GAP) / columns).floor();
    let columns = columns as usize;
    actions.push(Action::GridColumns(columns));
    ui.spacing_mut().item_spacing = vec2(theme::TILE_GAP, theme::TILE_GAP);

    let moved_to = selection_moved(ui, state);
    let rows = entries.len().div_ceil(columns);
    ScrollArea::vertical().auto_shrink(false).show_rows(ui, side, rows, |ui, visible| {
        if let Some(index) = moved_to {
            // The row may not be drawn now; its place follows from the first that is.
            let rows_below = (index / columns) as f32 - visible.start as f32;
            let top = ui.max_rect().top() + rows_below * (side + theme::TILE_GAP);
            let row = Rect::from_min_size(egui::pos2(ui.max_rect().left(), top), vec2(width, side + theme::TILE_GAP));
            ui.scroll_to_rect(row, None);
        }
        for row in visible {
            ui.horizontal(|ui| {
                for entry in entries.iter().skip(row * columns).take(columns) {
                    tile_ui(ui, entry, side, state, textures, actions);
                }
            });
        }
    });
}

/// The selected picture's position, if another one was selected in the frame before.
fn selection_moved(ui: &Ui, state: &State) -> Option<usize> {
    let id = egui::Id::unique("gallery selection");
    let before = ui.data(|data| data.get_temp::<Option<i64>>(id)).flatten();
    let now = state.gallery.selected.map(|picture| picture.0);
    if before == now {
        return None;
    }
    ui.data_mut(|data| data.insert_temp(id, now));
    state.gallery.selected_index()
}

fn tile_ui(
    ui: &mut Ui,
    entry: &PictureEntry,
    side: f32,
    state: &State,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
    let chosen = state.gallery.selected == Some(entry.id);
    let name = entry_name(entry);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, format!("Picture: {name}")));
    let hovered = response.hovered();
    ui.painter().rect_filled(rect, theme::ROUNDING, if hovered { p.field_hover } else { p.field });
    let inner = rect.shrink(4.0);
    if let Some(texture) = textures.get(TextureKey::Thumbnail(entry.id)) {
        let place = fit(inner, entry.width_px as f32, entry.height_px as f32, f32::INFINITY);
        texture.paint(ui, place, theme::ROUNDING - 2);
    } else {
        let broken = state.gallery.is_broken(entry.id);
        if !broken {
            actions.push(Action::NeedThumbnail(entry.id));
        }
        let icon = Rect::from_center_size(rect.center(), vec2(24.0, 24.0));
        icons::paint(ui.painter(), icon, if broken { Icon::Warning } else { Icon::Picture }, p.text_faint);
    }
    let stroke = match (chosen, response.has_focus(), hovered) {
        (true, _, _) | (_, true, _) => Stroke::new(2.0, p.accent),
        (_, _, true) => Stroke::new(1.0, p.text_faint),
        _ => Stroke::NONE,
    };
    ui.painter().rect_stroke(rect, CornerRadius::same(theme::ROUNDING), stroke, StrokeKind::Inside);
    if response.on_hover_text(name).clicked() {
        actions.push(Action::OpenPicture(entry.id));
    }
}

/// What a picture is called: its prompt, else its file.
pub fn entry_name(entry: &PictureEntry) -> String {
    match &entry.recipe {
        Some(recipe) => snippet(&recipe.request.prompt, 120),
        None => entry.path.file_name().map_or_else(|| "picture".to_owned(), |name| name.to_string_lossy().into_owned()),
    }
}
