//! The picture to begin with, in the middle of Create: a mask is painted on it, and more room is made around it.

use egui::{
    CursorIcon, Event, EventFilter, Frame, Key, Margin, Panel, PointerButton, Pos2, Rect, Response, Role, Sense,
    Stroke, StrokeKind, Ui, Vec2, WidgetInfo, vec2,
};

use crate::studio::{Action, Area, SourceAction, SourceLayout, State, Tool};

use super::icons::Icon;
use super::mask_overlay::MaskOverlay;
use super::source_handles::{Handles, around_ui};
use super::source_tools::{facts_ui, tools_ui};
use super::source_view::{SourceView, around};
use super::textures::{TextureKey, Textures};
use super::theme::{self, palette};
use super::widgets::empty_ui;

/// What the canvas keeps between frames.
#[derive(Default)]
pub struct SourceCanvas {
    overlay: MaskOverlay,
    press: Option<Press>,
    handles: Handles,
    view: Option<SourceView>,
}

impl SourceCanvas {
    /// How the picture was shown last.
    #[must_use]
    pub fn last_view(&self) -> Option<&SourceView> {
        self.view.as_ref()
    }
}

/// What a pressed button of the mouse does.
#[derive(Clone, Copy)]
enum Press {
    /// Paints or erases.
    Stroke(PointerButton),
    /// Moves the picture; where the pointer was last.
    Pan(PointerButton, Pos2),
}

impl Press {
    fn button(self) -> PointerButton {
        match self {
            Self::Stroke(button) | Self::Pan(button, _) => button,
        }
    }
}

/// The picture to begin with, and its tools.
pub fn source_ui(
    ui: &mut Ui,
    state: &State,
    canvas: &mut SourceCanvas,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let p = palette(ui);
    let bar = Frame::new().fill(p.canvas).inner_margin(Margin { left: 20, right: 20, top: 0, bottom: 8 });
    let layout = state.source_layout();
    if let Some(layout) = &layout {
        let facts = Frame::new().fill(p.canvas).inner_margin(Margin { left: 20, right: 20, top: 4, bottom: 12 });
        Panel::bottom("source facts").resizable(false).show_separator_line(false).frame(facts).show(ui, |ui| {
            facts_ui(ui, state, layout, actions);
        });
    }
    if state.can_paint() {
        Panel::top("mask tools").resizable(false).show_separator_line(false).frame(bar).show(ui, |ui| {
            tools_ui(ui, state, actions);
        });
    }
    let Some(layout) = layout else {
        if state.source.is_broken() {
            empty_ui(ui, Icon::Warning, "This picture could not be read", "Choose another one at the left");
        } else {
            empty_ui(ui, Icon::Picture, "Reading the picture", "It is on the disk");
        }
        return;
    };
    // Room for what takes hold of the edges.
    let area = ui.available_rect_before_wrap();
    let inner = area.shrink(theme::GRIP_OUTSIDE + 2.0 * theme::UNIT);
    let view = canvas.handles.held_view().unwrap_or_else(|| SourceView::new(inner, &layout, state.source.gaze));
    canvas.view = Some(view);
    let mut child = ui.new_child(egui::UiBuilder::new().max_rect(area));
    child.set_clip_rect(area.intersect(ui.clip_rect()));
    let ui = &mut child;
    let response = ui.interact(area, ui.scope_id().with("source"), Sense::drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, "Picture to begin with"));
    picture_ui(ui, state, canvas, &view, &layout, textures);
    if state.can_paint() {
        around_ui(ui, state, &mut canvas.handles, &view, &layout, actions);
    }
    canvas.pointer(ui, &response, state, &view, area, actions);
    if response.has_focus() {
        keys(ui, &response, state, &view, actions);
        ui.painter().rect_stroke(area.shrink(1.0), theme::ROUNDING, Stroke::new(2.0, p.accent), StrokeKind::Inside);
    }
}

/// Moves and zooms the picture by the keys, where it has them.
fn keys(ui: &Ui, response: &Response, state: &State, view: &SourceView, actions: &mut Vec<Action>) {
    let filter = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    let pressed = |key| ui.input(|input| input.key_pressed(key));
    let along = |less, more| f32::from(i8::from(pressed(less)) - i8::from(pressed(more))) * theme::PAN_STEP;
    // The arrows go over the picture: it moves the other way.
    let by = vec2(along(Key::ArrowLeft, Key::ArrowRight), along(Key::ArrowUp, Key::ArrowDown));
    if by != Vec2::ZERO {
        actions.push(Action::Source(SourceAction::Look(view.panned(state.source.gaze, by))));
    }
    if pressed(Key::Plus) || pressed(Key::Equals) {
        actions.push(Action::Source(SourceAction::ZoomIn));
    }
    if pressed(Key::Minus) {
        actions.push(Action::Source(SourceAction::ZoomOut));
    }
}

fn picture_ui(
    ui: &Ui,
    state: &State,
    canvas: &mut SourceCanvas,
    view: &SourceView,
    layout: &SourceLayout,
    textures: &mut Textures,
) {
    let Some(picture) = state.source.picture() else { return };
    let p = palette(ui);
    let (whole, used) = (view.on_screen(layout.whole), view.on_screen(layout.used));
    let all = Area { left: 0.0, top: 0.0, right: picture.width_px as f32, bottom: picture.height_px as f32 };
    let rect = view.on_screen(all);
    textures.load(ui.ctx(), TextureKey::Source(state.source.generation()), picture).paint(ui, rect, 0);
    if !state.can_paint() {
        return;
    }
    if state.source.mask_shown {
        canvas.overlay.paint(ui, state.source.shown_plane(), rect, view.scale, p.mask);
    }
    // What is cut off is dimmed; what is painted around lies over that.
    for cut in around(rect, used).into_iter().filter(Rect::is_positive) {
        ui.painter().rect_filled(cut, 0, theme::CUT);
    }
    for new in around(whole, used).into_iter().filter(Rect::is_positive) {
        new_ground(ui, new);
    }
    ui.painter().rect_stroke(whole, 0, Stroke::new(1.0, p.text_faint), StrokeKind::Outside);
}

/// A hatched ground, where there is nothing of the picture.
fn new_ground(ui: &Ui, rect: Rect) {
    let p = palette(ui);
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    painter.rect_filled(rect, 0, p.field);
    let (height, step) = (rect.height(), theme::HATCH);
    // The lines go on from one ground to the next.
    let first = ((rect.left() + rect.top()) / step).floor() * step - rect.top();
    for i in 0..=((rect.width() + height) / step).ceil() as u32 {
        let x = first + i as f32 * step;
        painter.line_segment([egui::pos2(x, rect.top()), egui::pos2(x - height, rect.bottom())], (1.0, p.outline));
    }
}

impl SourceCanvas {
    /// Turns what the pointer does over the picture into strokes, pans and zooms.
    fn pointer(
        &mut self,
        ui: &Ui,
        response: &Response,
        state: &State,
        view: &SourceView,
        area: Rect,
        actions: &mut Vec<Action>,
    ) {
        let mut act = |action| actions.push(Action::Source(action));
        let is_over = response.hovered() || response.is_pointer_button_down_on();
        let writes = ui.ctx().text_edit_focused();
        let (events, space, any_down, zoom, scroll, hover) = ui.input(|input| {
            let space = input.key_down(Key::Space) && !writes;
            let (zoom, scroll) = (input.zoom_delta(), input.smooth_scroll_delta());
            (input.events.clone(), space, input.pointer.any_down(), zoom, scroll, input.pointer.hover_pos())
        });
        if self.press.is_none() && state.source.mask().is_painting() {
            act(SourceAction::End); // the window was elsewhere when the button was let go
        }
        let mut gaze = state.source.gaze;
        for event in events {
            match (event, self.press) {
                (Event::PointerButton { pos, button, pressed: true, .. }, None) if is_over && area.contains(pos) => {
                    let pans = button == PointerButton::Middle || (space && button == PointerButton::Primary);
                    let paints = matches!(button, PointerButton::Primary | PointerButton::Secondary);
                    if pans {
                        self.press = Some(Press::Pan(button, pos));
                    } else if paints && state.can_paint() {
                        if let Some(focused) = ui.memory(egui::Memory::focused) {
                            // The keys belong to the brush now, and not to the prompt.
                            ui.memory_mut(|memory| memory.surrender_focus(focused));
                        }
                        let erases = button == PointerButton::Secondary || state.source.tool == Tool::Eraser;
                        self.press = Some(Press::Stroke(button));
                        act(SourceAction::Begin(view.place_at(pos), erases));
                    }
                }
                (Event::PointerMoved(pos), Some(Press::Stroke(_))) => act(SourceAction::Go(view.place_at(pos))),
                (Event::PointerMoved(pos), Some(Press::Pan(button, last))) => {
                    gaze = view.panned(gaze, pos - last);
                    self.press = Some(Press::Pan(button, pos));
                    act(SourceAction::Look(gaze));
                }
                (Event::PointerButton { button, pressed: false, .. }, Some(press)) if press.button() == button => {
                    self.let_go(&mut act);
                }
                _ => {}
            }
        }
        if !any_down {
            self.let_go(&mut act);
        }
        if let Some(at) = hover.filter(|_| response.hovered()) {
            if zoom != 1.0 {
                act(SourceAction::Look(view.zoomed(gaze, zoom, at)));
            } else if scroll != Vec2::ZERO && gaze.zoom > 1.0 {
                act(SourceAction::Look(view.panned(gaze, scroll)));
            }
            self.cursor(ui, state, view, at, space);
        }
    }

    fn let_go(&mut self, act: &mut impl FnMut(SourceAction)) {
        if let Some(Press::Stroke(_)) = self.press.take() {
            act(SourceAction::End);
        }
    }

    /// The brush's outline, black beside white, so that it is seen on any picture.
    fn cursor(&self, ui: &Ui, state: &State, view: &SourceView, at: Pos2, space: bool) {
        if space || matches!(self.press, Some(Press::Pan(..))) {
            let held = matches!(self.press, Some(Press::Pan(..)));
            ui.ctx().set_cursor_icon(if held { CursorIcon::Grabbing } else { CursorIcon::Grab });
            return;
        }
        if !state.can_paint() {
            return;
        }
        ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        let radius = state.source.brush_px / 2.0 * view.scale;
        let [line, around] = theme::BRUSH_LINES;
        ui.painter().circle_stroke(at, radius, Stroke::new(1.0, line));
        ui.painter().circle_stroke(at, radius + 1.0, Stroke::new(1.0, around));
    }
}
