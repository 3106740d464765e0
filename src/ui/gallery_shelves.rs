//! The list at the left of the gallery: all pictures, the starred ones, and the collections.

use egui::{
    Align, Align2, Color32, FontId, Frame, Id, Key, Label, Layout, Margin, Rect, Response, RichText, Role, ScrollArea,
    Sense, TextEdit, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use crate::domain::Collection;
use crate::studio::{Action, GalleryAction, ImportAction, Named, Naming, State};

use super::icons::{self, Icon};
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, button_ui, problem_ui, tooltip};

/// The whole list.
pub fn shelves_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        Frame::new().inner_margin(Margin { left: 12, right: 12, top: 20, bottom: 16 }).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = theme::UNIT / 2.0;
            list_ui(ui, state, actions);
        });
    });
}

fn list_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let (shelves, finder) = (&state.gallery.shelves, &state.gallery.finder);
    let is_collection = finder.collection.is_some();
    let counts = shelves.counts;
    for (icon, action, count, chosen) in [
        (Icon::Gallery, GalleryAction::ShowAll, counts.all, !is_collection && !finder.starred),
        (Icon::Star, GalleryAction::ShowStarred, counts.starred, !is_collection && finder.starred),
    ] {
        let info = action.info();
        shelf_ui(ui, icon, info.text, info.tooltip, Some(count), chosen, action, actions);
    }
    ui.add_space(3.0 * theme::UNIT);
    let colour = palette(ui).text_dim;
    ui.label(RichText::new("Collections").text_style(theme::label()).color(colour));
    ui.add_space(theme::UNIT);
    for collection in &shelves.collections {
        collection_ui(ui, state, collection, actions);
    }
    match &shelves.naming {
        Some(naming) if !matches!(naming.what, Named::Again(_) | Named::Search(_)) => naming_ui(ui, naming, actions),
        _ => {
            act_ui(ui, Icon::Plus, Action::Gallery(GalleryAction::Name(Named::Empty)), actions);
        }
    }
    ui.add_space(2.0 * theme::UNIT);
    act_ui(ui, Icon::Folder, ImportAction::ChooseFolder.into(), actions);
}

fn collection_ui(ui: &mut Ui, state: &State, collection: &Collection, actions: &mut Vec<Action>) {
    let (shelves, finder) = (&state.gallery.shelves, &state.gallery.finder);
    let Collection { id, name, query, count } = collection;
    let is_this = |naming: &&Naming| [Named::Again(*id), Named::Search(*id)].contains(&naming.what);
    if let Some(naming) = shelves.naming.as_ref().filter(is_this) {
        naming_ui(ui, naming, actions);
        return;
    }
    let chosen = finder.collection == Some(*id);
    let (icon, tooltip) = match query {
        Some(query) => (Icon::Search, format!("Always what this finds: {query}")),
        None => (Icon::Picture, GalleryAction::ShowCollection(*id).info().tooltip.to_owned()),
    };
    shelf_ui(ui, icon, name, &tooltip, *count, chosen, GalleryAction::ShowCollection(*id), actions);
    if shelves.deleting == Some(*id) {
        let question = RichText::new(GalleryAction::Delete(*id).info().tooltip).small().color(palette(ui).text_dim);
        ui.add(Label::new(question).wrap());
        ui.horizontal_wrapped(|ui| {
            named_ui(ui, GalleryAction::Delete(*id), Emphasis::Normal, name, actions);
            named_ui(ui, GalleryAction::KeepCollection, Emphasis::Quiet, name, actions);
        });
    } else if chosen {
        ui.horizontal_wrapped(|ui| {
            named_ui(ui, GalleryAction::Name(Named::Again(*id)), Emphasis::Quiet, name, actions);
            if query.is_some() {
                named_ui(ui, GalleryAction::Name(Named::Search(*id)), Emphasis::Quiet, name, actions);
            }
            named_ui(ui, GalleryAction::AskDelete(*id), Emphasis::Quiet, name, actions);
        });
    }
}

/// A button that stands there for several collections: `name` tells a screen reader for which.
fn named_ui(ui: &mut Ui, action: GalleryAction, emphasis: Emphasis, name: &str, actions: &mut Vec<Action>) {
    let info = action.info();
    let response = button_ui(ui, info.text, emphasis, vec2(0.0, 0.0)).on_hover_text(tooltip(&info));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{} {name}", info.text)));
    if response.clicked() {
        actions.push(Action::Gallery(action));
    }
}

/// A line of the list that shows other pictures.
fn shelf_ui(
    ui: &mut Ui,
    icon: Icon,
    name: &str,
    tooltip: &str,
    count: Option<usize>,
    chosen: bool,
    action: GalleryAction,
    actions: &mut Vec<Action>,
) {
    let response = line_ui(ui, icon, name, count, chosen);
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, chosen, name));
    if response.on_hover_text(tooltip).clicked() {
        actions.push(Action::Gallery(action));
    }
}

/// A line of the list that does something.
fn act_ui(ui: &mut Ui, icon: Icon, action: Action, actions: &mut Vec<Action>) {
    let info = action.info();
    let response = line_ui(ui, icon, info.text, None, false);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, info.text));
    if response.on_hover_text(tooltip(&info)).clicked() {
        actions.push(action);
    }
}

fn line_ui(ui: &mut Ui, icon: Icon, name: &str, count: Option<usize>, chosen: bool) -> Response {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), theme::CONTROL_HEIGHT), Sense::click());
    let (fill, colour) = match (chosen, response.hovered()) {
        (true, _) => (p.field, p.text),
        (false, true) => (p.field_pressed, p.text),
        (false, false) => (Color32::TRANSPARENT, p.text_dim),
    };
    ui.painter().rect_filled(rect, theme::ROUNDING, fill);
    if response.has_focus() {
        let stroke = ui.visuals().widgets.active.bg_stroke;
        ui.painter().rect_stroke(rect, theme::ROUNDING, stroke, egui::StrokeKind::Inside);
    }
    let icon_at = pos2(rect.left() + 4.0 * theme::UNIT, rect.center().y);
    let icon_rect = Rect::from_center_size(icon_at, Vec2::splat(theme::ICON));
    icons::paint(ui.painter(), icon_rect, icon, if chosen { p.accent } else { colour });
    let mut right = rect.right() - 2.0 * theme::UNIT;
    if let Some(count) = count {
        let text = ui.painter().layout_no_wrap(count.to_string(), FontId::proportional(12.0), p.text_faint);
        right -= text.size().x;
        ui.painter().galley(pos2(right, rect.center().y - text.size().y / 2.0), text, p.text_faint);
        right -= 2.0 * theme::UNIT;
    }
    let text_rect = Rect::from_min_max(pos2(rect.left() + 8.0 * theme::UNIT, rect.top()), pos2(right, rect.bottom()));
    let text = ui.painter().layout_job(egui::text::LayoutJob {
        wrap: egui::text::TextWrapping::truncate_at_width(text_rect.width().max(0.0)),
        ..egui::text::LayoutJob::simple_singleline(name.to_owned(), FontId::proportional(13.5), colour)
    });
    ui.painter().galley(pos2(text_rect.left(), rect.center().y - text.size().y / 2.0), text, colour);
    response
}

/// The field for a name, in its place in the list.
fn naming_ui(ui: &mut Ui, naming: &Naming, actions: &mut Vec<Action>) {
    let info = GalleryAction::EditName(String::new()).info();
    let mut text = naming.text.clone();
    let field = TextEdit::singleline(&mut text).id(Id::unique("collection name")).hint_text(info.text);
    let size = vec2(ui.available_width(), theme::CONTROL_HEIGHT);
    let response = ui.add_sized(size, field.align(Align2::LEFT_CENTER)).on_hover_text(info.tooltip);
    let is_search = matches!(naming.what, Named::Search(_));
    let name = if is_search { "Search of the collection" } else { "Name of the collection" };
    let response = response.accessible_name(name);
    if response.changed() {
        actions.push(Action::Gallery(GalleryAction::EditName(text)));
    }
    let pressed = |key| ui.input(|input| input.key_pressed(key));
    if response.lost_focus() && pressed(Key::Enter) {
        actions.push(Action::Gallery(GalleryAction::AcceptName));
    } else if response.lost_focus() && pressed(Key::Escape) {
        actions.push(Action::Gallery(GalleryAction::DropName));
    } else if !response.has_focus() && ui.memory(|memory| memory.focused().is_none()) {
        response.request_focus();
    }
    problem_ui(ui, naming.problem.as_deref());
    ui.with_layout(Layout::left_to_right(Align::Min), |ui| {
        for (action, emphasis) in
            [(GalleryAction::AcceptName, Emphasis::Normal), (GalleryAction::DropName, Emphasis::Quiet)]
        {
            action_button_ui(ui, &Action::Gallery(action), emphasis, vec2(0.0, 0.0), actions);
        }
    });
}
