//! Making room around the picture to begin with: its edges and corners are dragged.

use egui::{
    Align2, CursorIcon, EventFilter, FontId, Key, Painter, Pos2, Rect, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo,
    vec2,
};

use crate::domain::Extend;
use crate::studio::{Action, Extra, Handle, SourceLayout, State};

use super::source_view::{SourceView, grip, mark};
use super::theme::{self, palette};

/// What is kept while an edge is dragged.
#[derive(Default)]
pub struct Handles {
    held: Option<Held>,
}

#[derive(Clone, Copy)]
struct Held {
    handle: Handle,
    /// What was painted around when it began.
    from: Extend,
    at: Pos2,
    /// The picture stands still under the pointer, however large the whole becomes.
    view: SourceView,
}

impl Handles {
    /// How the picture lies while an edge is dragged.
    #[must_use]
    pub fn held_view(&self) -> Option<SourceView> {
        self.held.map(|held| held.view)
    }
}

/// The edges and corners, and how much is painted beyond each.
pub fn around_ui(
    ui: &Ui,
    state: &State,
    handles: &mut Handles,
    view: &SourceView,
    layout: &SourceLayout,
    actions: &mut Vec<Action>,
) {
    let Some(init) = &state.draft.request.init else { return };
    let p = palette(ui);
    let extend = init.extend;
    let whole = view.on_screen(layout.whole);
    let most_px = state.size_bounds().map(|bounds| bounds.max_px);
    let both = ui.input(|input| input.modifiers.shift);
    let mut extended = extend;
    let mut is_held = false;
    for handle in Handle::ALL {
        let Handle { x, y } = handle;
        let id = ui.scope_id().with(("around", x, y));
        let response = ui.interact(grip(whole, x, y), id, Sense::click_and_drag());
        let name = format!("Paint around: {}", handle.name());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
        if response.has_focus() {
            // The arrows move the edge, not the keyboard's place.
            let filter = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
            if let Some(by) = arrows(ui) {
                extended = handle.dragged(extend, by, both, layout.inner_px, most_px);
            }
        }
        if response.drag_started()
            && let Some(at) = ui.input(|input| input.pointer.press_origin())
        {
            handles.held = Some(Held { handle, from: extend, at, view: *view });
        }
        if let Some(held) = handles.held.filter(|held| held.handle == handle && response.dragged()) {
            is_held = true;
            if let Some(at) = response.interact_pointer_pos() {
                let by = (at - held.at) / view.scale * layout.scale;
                extended = handle.dragged(held.from, (by.x, by.y), both, layout.inner_px, most_px);
            }
        }
        if response.double_clicked() {
            extended = handle.reset(extend);
        }
        let is_lit = response.hovered() || response.dragged() || response.has_focus();
        let (fill, colour) = if is_lit { (p.accent, p.accent) } else { (p.panel, p.text_dim) };
        ui.painter().rect(mark(whole, x, y), 2, fill, Stroke::new(1.0, colour), StrokeKind::Inside);
        let response = response.on_hover_cursor(cursor(handle));
        if !response.dragged() {
            response.on_hover_text(
                "Drag outwards to paint around the picture; with Shift on both sides. A double click takes it back",
            );
        }
    }
    if !is_held {
        handles.held = None;
    }
    numbers_ui(ui, state, extend, view, layout, is_held);
    if extended != extend {
        actions.push(Action::Extra(Extra::Extend(extended)));
    }
}

/// How far the arrow keys go, in the request's px.
fn arrows(ui: &Ui) -> Option<(f32, f32)> {
    let step = Extend::MULTIPLE_PX as f32;
    let pressed = |key| ui.input(|input| input.key_pressed(key));
    let along = |less: Key, more: Key| f32::from(i8::from(pressed(more)) - i8::from(pressed(less))) * step;
    let by = (along(Key::ArrowLeft, Key::ArrowRight), along(Key::ArrowUp, Key::ArrowDown));
    (by != (0.0, 0.0)).then_some(by)
}

fn cursor(handle: Handle) -> CursorIcon {
    match (handle.x, handle.y) {
        (0, _) => CursorIcon::ResizeVertical,
        (_, 0) => CursorIcon::ResizeHorizontal,
        (x, y) if x == y => CursorIcon::ResizeNwSe,
        _ => CursorIcon::ResizeNeSw,
    }
}

/// How many px are painted beyond each edge, and how large the whole becomes.
fn numbers_ui(ui: &Ui, state: &State, extend: Extend, view: &SourceView, layout: &SourceLayout, is_held: bool) {
    let whole = view.on_screen(layout.whole);
    let used = view.on_screen(layout.used);
    let Extend { left, right, top, bottom } = extend;
    let middle = used.center();
    for (px, at) in [
        (left, egui::pos2(f32::midpoint(whole.left(), used.left()), middle.y)),
        (right, egui::pos2(f32::midpoint(whole.right(), used.right()), middle.y)),
        (top, egui::pos2(middle.x, f32::midpoint(whole.top(), used.top()))),
        (bottom, egui::pos2(middle.x, f32::midpoint(whole.bottom(), used.bottom()))),
    ] {
        if px > 0 {
            label_ui(ui, at, &format!("{px} px"));
        }
    }
    if is_held {
        let request = &state.draft.request;
        label_ui(ui, middle, &format!("{} × {} px", request.width_px, request.height_px));
    }
}

/// A number on a ground that can be read on any picture.
fn label_ui(ui: &Ui, at: Pos2, text: &str) {
    let p = palette(ui);
    let painter: &Painter = ui.painter();
    let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(12.0), p.text);
    let rect = Rect::from_center_size(at, galley.size() + vec2(3.0 * theme::UNIT, theme::UNIT));
    painter.rect(rect, theme::ROUNDING, p.raised, Stroke::new(1.0, p.outline), StrokeKind::Inside);
    painter.galley(Align2::CENTER_CENTER.anchor_size(at, galley.size()).min, galley, p.text);
}
