//! The gallery's grid: what was found of all pictures. Only the rows in view are drawn.

use egui::{
    CentralPanel, CornerRadius, Frame, Margin, Panel, Rect, Response, Role, ScrollArea, Sense, Stroke, StrokeKind, Ui,
    Vec2, WidgetInfo, vec2,
};

use crate::domain::{PictureEntry, PictureId};
use crate::studio::{Action, GalleryAction, InView, State};

use super::gallery_head::{chosen_ui, head_ui};
use super::gallery_shelves::shelves_ui;
use super::icons::{self, Icon};
use super::source_send::send_ui;
use super::textures::{TextureKey, Textures};
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, empty_ui, fit, snippet, tooltip};

/// The collections, the search, the grid, and what can be done with the pictures that are chosen.
pub fn gallery_ui(ui: &mut Ui, state: &State, focus_search: bool, textures: &mut Textures, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let narrow = ui.available_width() + theme::RAIL_WIDTH < theme::NARROW_BELOW;
    let width = if narrow { theme::SHELVES_WIDTH_NARROW } else { theme::SHELVES_WIDTH };
    Panel::left("shelves")
        .exact_size(width)
        .resizable(false)
        .show_separator_line(true)
        .frame(Frame::new().fill(p.panel))
        .show(ui, |ui| shelves_ui(ui, state, actions));
    let gallery = &state.gallery;
    if gallery.chosen_count() > 0 || !gallery.works.is_empty() || state.viewer.import.running.is_some() {
        // Below the grid: above it, the first choice would move the pictures away under the pointer.
        let margin = Margin { left: 24, right: 24, top: 10, bottom: 12 };
        Panel::bottom("chosen")
            .resizable(false)
            .show_separator_line(true)
            .frame(Frame::new().fill(p.panel).inner_margin(margin))
            .show(ui, |ui| chosen_ui(ui, state, actions));
    }
    CentralPanel::default().frame(Frame::new().fill(p.panel)).show(ui, |ui| {
        let margin = Margin { left: 24, right: 12, top: 20, bottom: 0 };
        Frame::new().inner_margin(margin).show(ui, |ui| {
            head_ui(ui, state, focus_search, actions);
            ui.add_space(2.0 * theme::UNIT);
            if gallery.ids().is_empty() {
                nothing_ui(ui, state, actions);
            } else {
                grid_ui(ui, state, textures, actions);
            }
        });
    });
}

/// Why there is nothing, and what to do about it.
fn nothing_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let gallery = &state.gallery;
    let is_empty = gallery.shelves.counts.all == 0;
    let (title, advice) = if !gallery.listed || (is_empty && !gallery.reconciled) {
        ("Reading the history", "This takes a moment")
    } else if is_empty {
        ("No pictures yet", "Make one in Create, or drop pictures of other programs here: their recipes are read")
    } else if gallery.finder.is_searching() {
        ("Nothing matches", "Fewer words find more")
    } else if gallery.finder.starred {
        ("No stars here yet", "A star is given with S, or at the corner of a picture")
    } else {
        ("Nothing in this collection yet", "Choose pictures elsewhere, and add them to it")
    };
    empty_ui(ui, Icon::Gallery, title, advice);
    if gallery.listed && !is_empty && gallery.finder.is_searching() {
        ui.add_space(2.0 * theme::UNIT);
        ui.vertical_centered(|ui| {
            let clear = Action::Gallery(GalleryAction::ClearSearch);
            action_button_ui(ui, &clear, Emphasis::Normal, vec2(160.0, theme::CONTROL_HEIGHT), actions);
        });
    }
}

fn grid_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    let ids = state.gallery.ids();
    // Room for the scroll bar, which floats over the content.
    let width = ui.available_width() - 3.0 * theme::UNIT;
    let columns = ((width + theme::TILE_GAP) / (theme::TILE_SIDE + theme::TILE_GAP)).floor().max(1.0);
    let side = ((width - (columns - 1.0) * theme::TILE_GAP) / columns).floor();
    let columns = columns as usize;
    ui.spacing_mut().item_spacing = vec2(theme::TILE_GAP, theme::TILE_GAP);

    let moved_to = selection_moved(ui, state);
    let mut view = InView { columns, ..InView::default() };
    let rows = ids.len().div_ceil(columns);
    ScrollArea::vertical().auto_shrink(false).show_rows(ui, side, rows, |ui, visible| {
        if let Some(index) = moved_to {
            // The row may not be drawn now; its place follows from the first that is.
            let rows_below = (index / columns) as f32 - visible.start as f32;
            let top = ui.max_rect().top() + rows_below * (side + theme::TILE_GAP);
            let row = Rect::from_min_size(egui::pos2(ui.max_rect().left(), top), vec2(width, side + theme::TILE_GAP));
            ui.scroll_to_rect(row, None);
        }
        view.places = visible.start * columns..(visible.end * columns).min(ids.len());
        for row in visible {
            ui.horizontal(|ui| {
                for id in ids.iter().skip(row * columns).take(columns) {
                    tile_ui(ui, *id, side, state, textures, &mut view, actions);
                }
            });
        }
    });
    actions.push(Action::Gallery(GalleryAction::InView(view)));
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
    id: PictureId,
    side: f32,
    state: &State,
    textures: &mut Textures,
    view: &mut InView,
    actions: &mut Vec<Action>,
) {
    let p = palette(ui);
    let gallery = &state.gallery;
    let can_be_moved = gallery.arranged().is_some();
    let sense = if can_be_moved { Sense::click_and_drag() } else { Sense::click() };
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), sense);
    let (selected, chosen) = (gallery.selected == Some(id), gallery.is_chosen(id));
    let name = gallery.entry(id).map_or_else(|| "not read yet".to_owned(), entry_name);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected || chosen, format!("Picture: {name}")));
    // Also while the pointer is on one of the tile's own buttons.
    let hovered = ui.rect_contains_pointer(rect);
    let fill = match (chosen, hovered) {
        (true, _) => p.accent_soft,
        (false, true) => p.field_hover,
        (false, false) => p.field,
    };
    ui.painter().rect_filled(rect, theme::ROUNDING, fill);
    thumbnail_ui(ui, rect.shrink(4.0), id, state, textures, view);
    let stroke = match (selected || chosen || response.has_focus(), hovered) {
        (true, _) => Stroke::new(2.0, p.accent),
        (false, true) => Stroke::new(1.0, p.text_faint),
        (false, false) => Stroke::NONE,
    };
    ui.painter().rect_stroke(rect, CornerRadius::same(theme::ROUNDING), stroke, StrokeKind::Inside);
    marks_ui(ui, rect, id, gallery.rating(id));
    if can_be_moved {
        move_ui(ui, rect, &response, id, state, actions);
    }
    let response = response.on_hover_text(&name);
    let starred = gallery.is_starred(id);
    if hovered || starred {
        let corner = rect.right_top() + vec2(-theme::TILE_BUTTON - 2.0 * theme::UNIT, 2.0 * theme::UNIT);
        let icon = if starred { Icon::Starred } else { Icon::Star };
        corner_ui(ui, corner, icon, starred, GalleryAction::Star(id), &name, actions);
    }
    if hovered || gallery.chosen_count() > 0 {
        let corner = rect.left_top() + Vec2::splat(2.0 * theme::UNIT);
        let icon = if chosen { Icon::Check } else { Icon::Unchecked };
        corner_ui(ui, corner, icon, chosen, GalleryAction::Choose(id), &name, actions);
    }
    let size = gallery.group_size(id);
    if size > 1 {
        group_ui(ui, rect, id, size, &name, actions);
    }
    if hovered || selected {
        send_ui(ui, rect, id, &name, actions);
    }
    if response.clicked() {
        actions.push(clicked(&response, id));
    }
}

/// The rating of a picture: so many pips at its lower left corner.
fn marks_ui(ui: &Ui, rect: Rect, id: PictureId, rating: u8) {
    if rating == 0 {
        return;
    }
    let p = palette(ui);
    let width = f32::from(rating) * theme::PIP_WIDTH * 0.75 + theme::UNIT;
    let corner = rect.left_bottom() + vec2(2.0 * theme::UNIT, -6.0 * theme::UNIT);
    let ground = Rect::from_min_size(corner, vec2(width, 4.0 * theme::UNIT));
    let response = ui.interact(ground, ui.scope_id().with(("rating", id)), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("Rated {rating} of 5")));
    ui.painter().rect_filled(ground, theme::ROUNDING, p.raised);
    for place in 0..rating {
        let at = ground.left_center() + vec2(theme::UNIT * 2.0 + f32::from(place) * theme::PIP_WIDTH * 0.75, 0.0);
        icons::paint_pip(ui.painter(), at, true, p.accent);
    }
}

/// Of how many pictures this is the first; a click shows the others.
fn group_ui(ui: &mut Ui, rect: Rect, id: PictureId, size: u32, name: &str, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let show = GalleryAction::ShowLike(id);
    let info = show.info();
    let text = ui.painter().layout_no_wrap(size.to_string(), egui::FontId::proportional(12.0), p.text);
    let width = text.size().x + theme::ICON + 4.0 * theme::UNIT;
    // Beside the button that begins with the picture.
    let right = theme::TILE_BUTTON + 3.0 * theme::UNIT;
    let corner = rect.right_bottom() - vec2(width + right, theme::TILE_BUTTON + 2.0 * theme::UNIT);
    let badge = Rect::from_min_size(corner, vec2(width, theme::TILE_BUTTON));
    let response = ui.interact(badge, ui.scope_id().with(("group", id)), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{} ({size}): {name}", info.text)));
    let fill = if response.hovered() || response.has_focus() { p.field_hover } else { p.raised };
    ui.painter().rect_filled(badge, theme::ROUNDING, fill);
    let icon = Rect::from_min_size(badge.min + Vec2::splat(theme::UNIT), Vec2::splat(theme::ICON));
    icons::paint(ui.painter(), icon, Icon::Stack, p.text_dim);
    let at = egui::pos2(icon.right() + theme::UNIT, badge.center().y - text.size().y / 2.0);
    ui.painter().galley(at, text, p.text);
    if response.on_hover_text(tooltip(&info)).clicked() {
        actions.push(Action::Gallery(show));
    }
}

/// Drawing pictures to their places in a collection: a line shows where they would go.
fn move_ui(ui: &Ui, rect: Rect, response: &Response, id: PictureId, state: &State, actions: &mut Vec<Action>) {
    let gallery = &state.gallery;
    if response.drag_started() {
        // One of those that are chosen takes the others along.
        let moved = if gallery.is_chosen(id) { gallery.subjects() } else { vec![id] };
        response.dnd_set_drag_payload(Moved(moved));
    }
    if response.dnd_hover_payload::<Moved>().is_none() {
        return;
    }
    let pointer = ui.input(|input| input.pointer.hover_pos()).unwrap_or(rect.min);
    let is_behind = pointer.x > rect.center().x;
    let x = if is_behind { rect.right() + theme::TILE_GAP / 2.0 } else { rect.left() - theme::TILE_GAP / 2.0 };
    ui.painter().vline(x, rect.y_range(), Stroke::new(2.0, palette(ui).accent));
    if let Some(moved) = response.dnd_release_payload::<Moved>() {
        let place = gallery.ids().iter().position(|other| *other == id);
        let before = if is_behind { place.and_then(|place| gallery.ids().get(place + 1)).copied() } else { Some(id) };
        actions.push(Action::Gallery(GalleryAction::Arrange(moved.0.clone(), before)));
    }
}

/// Pictures on their way to another place.
struct Moved(Vec<PictureId>);

/// What a click on a tile means, by the keys that are held.
fn clicked(response: &Response, id: PictureId) -> Action {
    let held = response.ctx.input(|input| input.modifiers);
    match (held.shift, held.command) {
        (true, _) => Action::Gallery(GalleryAction::ChooseTo(id)),
        (false, true) => Action::Gallery(GalleryAction::Choose(id)),
        (false, false) => Action::OpenPicture(id),
    }
}

fn thumbnail_ui(ui: &Ui, inner: Rect, id: PictureId, state: &State, textures: &mut Textures, view: &mut InView) {
    let p = palette(ui);
    let gallery = &state.gallery;
    let texture = textures.get(TextureKey::Thumbnail(id));
    if let (Some(texture), Some(entry)) = (texture, gallery.entry(id)) {
        let place = fit(inner, entry.width_px as f32, entry.height_px as f32, f32::INFINITY);
        texture.paint(ui, place, theme::ROUNDING - 2);
        return;
    }
    let broken = gallery.is_broken(id);
    if !broken {
        view.without_thumbnail.push(id);
    }
    let icon = Rect::from_center_size(inner.center(), vec2(24.0, 24.0));
    icons::paint(ui.painter(), icon, if broken { Icon::Warning } else { Icon::Picture }, p.text_faint);
}

/// A small button over the corner of a picture.
fn corner_ui(
    ui: &mut Ui,
    corner: egui::Pos2,
    icon: Icon,
    is_on: bool,
    action: GalleryAction,
    name: &str,
    actions: &mut Vec<Action>,
) {
    let p = palette(ui);
    let info = action.info();
    let rect = Rect::from_min_size(corner, Vec2::splat(theme::TILE_BUTTON));
    let response = ui.interact(rect, ui.next_auto_id().with((info.text, name)), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_on, format!("{}: {name}", info.text)));
    let fill = if response.hovered() { p.field_hover } else { p.raised };
    ui.painter().rect_filled(rect, theme::ROUNDING, fill);
    if response.has_focus() {
        let stroke = ui.visuals().widgets.active.bg_stroke;
        ui.painter().rect_stroke(rect, theme::ROUNDING, stroke, StrokeKind::Inside);
    }
    let colour = if is_on { p.accent } else { p.text_faint };
    icons::paint(ui.painter(), rect.shrink(theme::UNIT), icon, colour);
    if response.on_hover_text(tooltip(&info)).clicked() {
        actions.push(Action::Gallery(action));
    }
}

/// What a picture is called: its prompt, else its file.
pub fn entry_name(entry: &PictureEntry) -> String {
    match &entry.recipe {
        Some(recipe) => snippet(&recipe.request.prompt, 120),
        None => entry.path.file_name().map_or_else(|| "picture".to_owned(), |name| name.to_string_lossy().into_owned()),
    }
}
