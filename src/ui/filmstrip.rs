//! The filmstrip at the right: the pictures of this session, newest first.

use egui::{CornerRadius, Frame, Margin, Rect, Role, ScrollArea, Sense, Stroke, StrokeKind, Ui, WidgetInfo, vec2};

use crate::domain::PictureId;
use crate::studio::{Action, FilmItem, GalleryAction, State};

use super::icons::{self, Icon};
use super::source_send::send_ui;
use super::textures::{TextureKey, Textures};
use super::theme::{self, palette};
use super::widgets::{fit, hint_ui, snippet};

/// The pictures of this session.
pub fn filmstrip_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    let margin = Margin { left: 12, right: 12, top: 16, bottom: 12 };
    Frame::new().inner_margin(margin).show(ui, |ui| {
        let p = palette(ui);
        ui.label(egui::RichText::new("This session").text_style(theme::label()).color(p.text_dim));
        let count = state.film.items().len();
        if count == 0 {
            hint_ui(ui, "Finished pictures appear here");
            return;
        }
        let side = ui.available_width();
        ui.spacing_mut().item_spacing.y = 2.0 * theme::UNIT;
        let shown = state.film_in_view().map(|item| item.key);
        let mut lacking = Vec::new();
        ScrollArea::vertical().auto_shrink(false).show_rows(ui, side, count, |ui, rows| {
            for item in state.film.items().skip(rows.start).take(rows.len()) {
                lacking.extend(tile_ui(ui, state, item, side, shown == Some(item.key), textures, actions));
            }
        });
        if !lacking.is_empty() {
            actions.push(Action::Gallery(GalleryAction::FilmInView(lacking)));
        }
    });
}

/// A picture of this session. Gives its key where its thumbnail is lacking.
fn tile_ui(
    ui: &mut Ui,
    state: &State,
    item: &FilmItem,
    side: f32,
    chosen: bool,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) -> Option<PictureId> {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
    let prompt = &item.recipe.request.prompt;
    let name = format!("Session picture {}: {}", item.key, snippet(prompt, 60));
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, &name));
    ui.painter().rect_filled(rect, theme::ROUNDING, p.field);

    let inner = rect.shrink(3.0);
    let (width, height) = item.size_px();
    let place: Rect = fit(inner, width as f32, height as f32, f32::INFINITY);
    let mut lacking = item.saved.as_ref().ok().map(|entry| entry.id);
    if let Some(texture) = lacking.and_then(|id| textures.get(TextureKey::Thumbnail(id))) {
        texture.paint(ui, place, theme::ROUNDING - 2);
        lacking = None;
    } else if let Some(picture) = &item.picture {
        // Until its thumbnail comes, which is made hidden where it must be.
        let texture = match state.hidden_film(item) {
            Some(verdict) => {
                let key = TextureKey::HiddenFilm(item.key, state.safety);
                textures.load_hidden(ui.ctx(), key, picture, state.safety, verdict)
            }
            None => textures.load(ui.ctx(), TextureKey::Film(item.key), picture),
        };
        texture.paint(ui, place, theme::ROUNDING - 2);
    } else {
        let icon = Rect::from_center_size(rect.center(), vec2(20.0, 20.0));
        icons::paint(ui.painter(), icon, Icon::Picture, p.text_faint);
    }
    if item.saved.is_err() {
        let badge = Rect::from_min_size(rect.right_top() + vec2(-24.0, 8.0), vec2(16.0, 16.0));
        icons::paint(ui.painter(), badge, Icon::Warning, p.danger);
    }
    let stroke = match (chosen, response.has_focus(), response.hovered()) {
        (true, _, _) | (_, true, _) => Stroke::new(2.0, p.accent),
        (_, _, true) => Stroke::new(1.0, p.text_faint),
        _ => Stroke::new(1.0, p.line),
    };
    ui.painter().rect_stroke(rect, CornerRadius::same(theme::ROUNDING), stroke, StrokeKind::Inside);
    if let Ok(entry) = &item.saved
        && (chosen || response.has_focus() || ui.rect_contains_pointer(rect))
    {
        send_ui(ui, rect, entry.id, &name, actions);
    }
    if response.on_hover_text(prompt).clicked() {
        actions.push(Action::ShowFilm(item.key));
    }
    lacking
}
