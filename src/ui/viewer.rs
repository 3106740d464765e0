//! The gallery's large view: a picture, as closely as one likes, and beside it its recipe.

use egui::{CentralPanel, DragValue, Frame, Margin, Panel, Rect, Role, Sense, Ui, WidgetInfo, vec2};

use crate::domain::{Marks, Picture, PictureEntry, PictureId, Verdict};
use crate::studio::{Action, GalleryAction, Move, State, ViewerAction, Zoom};

use super::gallery::entry_name;
use super::icons::{self, Icon};
use super::recipe::recipe_ui;
use super::textures::{PictureTexture, TextureKey, Textures};
use super::theme::{self, palette};
use super::widgets::{action_icon_ui, empty_ui, hidden_ui, hint_ui, icon_button_ui, tooltip};
use super::zoom::{Stage, px_text, zoom_ui};

/// The selected picture, large.
pub fn viewer_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    slides_ui(ui, state, actions);
    // Until its row is read, there is only the bar.
    let entry = state.gallery.selected_entry();
    let p = palette(ui);
    if state.viewer.is_alone {
        CentralPanel::default().frame(Frame::new().fill(p.canvas)).show(ui, |ui| {
            if let Some(entry) = entry {
                let area = ui.available_rect_before_wrap();
                large_ui(ui, state, entry, area, textures, actions);
            }
        });
        return;
    }
    let recipe_frame = Frame::new().fill(p.panel);
    Panel::right("recipe")
        .exact_size(theme::RECIPE_WIDTH)
        .resizable(false)
        .show_separator_line(false)
        .frame(recipe_frame)
        .show(ui, |ui| {
            if let Some(entry) = entry {
                recipe_ui(ui, state, entry, actions);
            }
        });
    CentralPanel::default().frame(Frame::new().fill(p.canvas)).show(ui, |ui| {
        let bar = Frame::new().fill(p.canvas).inner_margin(Margin::symmetric(12, 8));
        Panel::top("viewer bar").resizable(false).show_separator_line(false).frame(bar).show(ui, |ui| {
            bar_ui(ui, state, actions);
        });
        let Some(entry) = entry else { return };
        let below = Panel::bottom("viewer zoom").resizable(false).show_separator_line(false).frame(bar);
        let mut px = None;
        let height = theme::CONTROL_HEIGHT + 16.0;
        // The picture is drawn first: the line below tells what is under the pointer.
        let available = ui.available_rect_before_wrap();
        let area = available.with_max_y(available.bottom() - height);
        let area = if state.viewer.zoom.factor.is_none() { area.shrink2(vec2(20.0, 4.0)) } else { area };
        let stage = Stage::of(ui, area, size_of(state, entry));
        ui.scope_builder(egui::UiBuilder::new().max_rect(area), |ui| {
            px = large_ui(ui, state, entry, area, textures, actions);
        });
        below.show(ui, |ui| zoom_line_ui(ui, &stage, state.viewer.zoom, px.as_deref(), actions));
    });
}

/// The sizes to choose from, and what is under the pointer.
pub fn zoom_line_ui(ui: &mut Ui, stage: &Stage, zoom: Zoom, px: Option<&str>, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        zoom_ui(ui, stage, zoom, actions);
        if let Some(px) = px {
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                hint_ui(ui, px);
            });
        }
    });
}

/// Lets the next picture come when this one was seen long enough.
fn slides_ui(ui: &Ui, state: &State, actions: &mut Vec<Action>) {
    let id = egui::Id::unique("slide show");
    if !state.viewer.is_showing {
        ui.data_mut(|data| data.remove::<(Option<PictureId>, f64)>(id));
        return;
    }
    let now = ui.input(|input| input.time);
    let selected = state.gallery.selected;
    let seen = ui.data(|data| data.get_temp::<(Option<PictureId>, f64)>(id));
    let since = match seen {
        Some((shown, since)) if shown == selected => since,
        _ => {
            ui.data_mut(|data| data.insert_temp(id, (selected, now)));
            now
        }
    };
    let left = f64::from(state.viewer.slide_secs) - (now - since);
    if left <= 0.0 {
        // Where there is no next one, this is said only once.
        ui.data_mut(|data| data.remove::<(Option<PictureId>, f64)>(id));
        actions.push(Action::Viewer(ViewerAction::NextSlide));
    } else {
        ui.ctx().request_repaint_after(std::time::Duration::from_secs_f64(left));
    }
}

fn bar_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        let back = Action::ClosePicture.info();
        if icon_button_ui(ui, Icon::Left, back.text, &tooltip(&back), false, theme::CONTROL_HEIGHT).clicked() {
            actions.push(Action::ClosePicture);
        }
        // In a small window the buttons need the room.
        if ui.available_width() > theme::WIDE_BAR {
            hint_ui(ui, back.text);
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let count = state.gallery.ids().len();
            let index = state.gallery.selected_index();
            for (icon, direction, possible) in [
                (Icon::Right, Move::Next, index.is_none_or(|index| index + 1 < count)),
                (Icon::Left, Move::Previous, index.is_none_or(|index| index > 0)),
            ] {
                let action = Action::Move(direction);
                let info = action.info();
                ui.add_enabled_ui(possible, |ui| {
                    let side = theme::CONTROL_HEIGHT;
                    if icon_button_ui(ui, icon, info.text, &tooltip(&info), false, side).clicked() {
                        actions.push(action);
                    }
                });
            }
            if let Some(index) = index {
                hint_ui(ui, format!("{} of {count}", index + 1));
            }
            let side = theme::CONTROL_HEIGHT;
            let viewer = &state.viewer;
            action_icon_ui(ui, Icon::Expand, &Action::Viewer(ViewerAction::ToggleAlone), false, side, actions);
            let play = if viewer.is_showing { Icon::Pause } else { Icon::Play };
            action_icon_ui(ui, play, &Action::Viewer(ViewerAction::ToggleSlides), viewer.is_showing, side, actions);
            if viewer.is_showing {
                seconds_ui(ui, viewer.slide_secs, actions);
            }
            let compare = Action::Viewer(ViewerAction::CompareWith);
            action_icon_ui(ui, Icon::Compare, &compare, false, side, actions);
            let starred = state.gallery.selected.is_some_and(|id| state.gallery.is_starred(id));
            let icon = if starred { Icon::Starred } else { Icon::Star };
            let star = Action::Gallery(GalleryAction::StarChosen);
            action_icon_ui(ui, icon, &star, starred, side, actions);
            if let Some(id) = state.gallery.selected {
                rating_ui(ui, state.gallery.rating(id), actions);
            }
        });
    });
}

fn seconds_ui(ui: &mut Ui, secs: u32, actions: &mut Vec<Action>) {
    let info = ViewerAction::SlideSecs(secs).info();
    let mut value = secs;
    let field = DragValue::new(&mut value).range(1..=600).suffix(" s").speed(0.1);
    let response = ui.add(field).on_hover_text(info.tooltip).accessible_name(info.text);
    if response.changed() {
        actions.push(Action::Viewer(ViewerAction::SlideSecs(value)));
    }
}

/// Five pips: a click on one rates so, on the last of the present rating takes it back.
fn rating_ui(ui: &mut Ui, rating: u8, actions: &mut Vec<Action>) {
    let p = palette(ui);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        // From the right: so stands what the bar holds at its end.
        for value in (1..=Marks::MAX_RATING).rev() {
            let rate = GalleryAction::Rate(if rating == value { 0 } else { value });
            let info = GalleryAction::Rate(value).info();
            let size = vec2(theme::PIP_WIDTH, theme::CONTROL_HEIGHT);
            let (rect, response) = ui.allocate_exact_size(size, Sense::click());
            response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, rating == value, info.text));
            let colour = match (value <= rating, response.hovered() || response.has_focus()) {
                (true, _) => p.accent,
                (false, true) => p.text,
                (false, false) => p.text_faint,
            };
            icons::paint_pip(ui.painter(), rect.center(), value <= rating, colour);
            if response.on_hover_text(tooltip(&info)).clicked() {
                actions.push(Action::Gallery(rate));
            }
        }
    });
}

/// The size of a picture in px: its own once it is read.
fn size_of(state: &State, entry: &PictureEntry) -> (u32, u32) {
    match &state.gallery.opened {
        Some((id, picture)) if *id == entry.id => (picture.width_px, picture.height_px),
        _ => (entry.width_px, entry.height_px),
    }
}

/// The picture in its area. Gives what is under the pointer, in words.
fn large_ui(
    ui: &mut Ui,
    state: &State,
    entry: &PictureEntry,
    area: Rect,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) -> Option<String> {
    let zoom = state.viewer.zoom;
    let stage = Stage::of(ui, area, size_of(state, entry));
    let rect = stage.place(zoom);
    let opened = state.gallery.opened.as_ref().filter(|(id, _)| *id == entry.id).map(|(_, picture)| picture);
    let Some(picture) = opened else {
        if state.gallery.is_broken(entry.id) {
            empty_ui(ui, Icon::Warning, "This picture could not be read", "Its file may have been moved or damaged");
        } else if let Some(texture) = textures.get(TextureKey::Thumbnail(entry.id)) {
            // Until the file is read, its thumbnail stands in, so that going through pictures does not flicker.
            paint(ui, area, rect, texture);
        } else {
            let stand_in = rect.intersect(area);
            ui.painter().rect_filled(stand_in, theme::ROUNDING, palette(ui).panel);
        }
        return None;
    };
    if let Some(verdict) = state.hidden_picture(entry.id) {
        let key = TextureKey::HiddenFull(entry.id, state.safety);
        let texture = textures.load_hidden(ui.ctx(), key, picture, state.safety, verdict);
        hidden_ui(ui, stage.place(Zoom::default()), texture, actions);
        return None;
    }
    let response = ui.interact(area, ui.scope_id().with("large picture"), Sense::click_and_drag());
    let description = format!("Large picture: {}", entry_name(entry));
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &description));
    let texture = picture_texture(ui, TextureKey::Full(entry.id), picture, zoom, textures);
    paint(ui, area, rect, texture);
    stage.handle(ui, &response, zoom, actions);
    let pointer = response.hover_pos()?;
    stage.px_at(zoom, pointer).map(|px| px_text(picture, px))
}

/// The texture of a picture, with sharp px where one looks at them. A picture that is only fitted in stays smooth.
pub fn picture_texture<'a>(
    ui: &Ui,
    key: TextureKey,
    picture: &Picture,
    zoom: Zoom,
    textures: &'a mut Textures,
) -> &'a PictureTexture {
    if zoom.factor.is_some_and(|factor| factor > Zoom::SHARP_FROM) {
        textures.load_sharp(ui.ctx(), key, picture)
    } else {
        textures.load(ui.ctx(), key, picture)
    }
}

/// What is shown instead of a flagged picture.
pub fn hidden_texture<'a>(
    ui: &Ui,
    key: TextureKey,
    picture: &Picture,
    state: &State,
    verdict: Verdict,
    textures: &'a mut Textures,
) -> &'a PictureTexture {
    textures.load_hidden(ui.ctx(), key, picture, state.safety, verdict)
}

/// Draws a picture that may be larger than its area.
pub fn paint(ui: &mut Ui, area: Rect, rect: Rect, texture: &PictureTexture) {
    let is_inside = area.contains_rect(rect);
    ui.scope(|ui| {
        ui.set_clip_rect(area.intersect(ui.clip_rect()));
        texture.paint(ui, rect, if is_inside { theme::ROUNDING } else { 0 });
    });
}
