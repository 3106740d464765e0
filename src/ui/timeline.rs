//! The steps of a finished picture below it, to look at and to fork from, and the tree of what was forked.

use egui::{Align, Frame, Layout, Margin, Panel, Rect, RichText, Role, ScrollArea, Sense, Stroke, StrokeKind, Ui};
use egui::{WidgetInfo, vec2};

use crate::domain::{Problem, StepPreview};
use crate::studio::{Action, PictureSteps, State, TimelineAction};

use super::textures::{TextureKey, Textures};
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, button_ui, fit, hint_ui, picture_ui, problem_ui, tooltip};

/// Height of a step's small picture.
const TILE: f32 = 48.0;
/// Least width of one: with more steps than fit, the strip is scrolled.
const TILE_WIDTH: f32 = 24.0;
/// Width of the tree of branches.
const TREE_WIDTH: f32 = 200.0;
/// How far a branch is set in, for each picture that it branches off.
const INDENT: f32 = 12.0;

/// The steps of the picture in view.
pub fn timeline_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    let Some(steps) = state.steps_in_view() else { return };
    let p = palette(ui);
    let frame = Frame::new().fill(p.canvas).inner_margin(Margin { left: 20, right: 20, top: 4, bottom: 4 });
    Panel::bottom("steps").resizable(false).show_separator_line(false).frame(frame).show(ui, |ui| {
        strip_ui(ui, state, steps, textures, actions);
        if let Some(at) = state.step_in_view() {
            acts_ui(ui, state, steps, at, actions);
        }
    });
}

fn strip_ui(ui: &mut Ui, state: &State, steps: &PictureSteps, textures: &mut Textures, actions: &mut Vec<Action>) {
    let last = steps.steps.last().map_or(0, |last| last.step);
    let chosen = state.step_in_view().map_or(last, |at| at.step);
    // As wide as lets all of them be seen at once.
    let count = steps.steps.len().max(1) as f32;
    let width = ((ui.available_width() + theme::UNIT) / count - theme::UNIT).floor().max(TILE_WIDTH);
    ScrollArea::horizontal().id_salt("steps").auto_shrink([false, true]).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = theme::UNIT;
            for at in &steps.steps {
                let is_chosen = at.step == chosen;
                let response = tile_ui(ui, steps.key, at, width, is_chosen, textures);
                // The keyboard may have moved it out of view.
                let memory = ui.scope_id().with("step in view");
                let before = ui.data_mut(|data| data.get_temp::<(u64, u32)>(memory));
                if is_chosen && before != Some((steps.key, chosen)) {
                    response.scroll_to_me(Some(Align::Center));
                    ui.data_mut(|data| data.insert_temp(memory, (steps.key, chosen)));
                }
                if response.clicked() {
                    actions.push(TimelineAction::Look(at.step).into());
                }
            }
        });
    });
}

fn tile_ui(
    ui: &mut Ui,
    key: u64,
    at: &StepPreview,
    width: f32,
    is_chosen: bool,
    textures: &mut Textures,
) -> egui::Response {
    let p = palette(ui);
    let aspect = at.preview.width_px as f32 / at.preview.height_px.max(1) as f32;
    let size = vec2(width.min(TILE * aspect).max(TILE_WIDTH), TILE);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let name = format!("Step {}", at.step);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_chosen, &name));
    if ui.is_rect_visible(rect) {
        let texture = textures.load(ui.ctx(), TextureKey::Step(key, at.step, false), &at.preview);
        // Its middle, as high as the strip.
        let whole = Rect::from_center_size(rect.center(), vec2(TILE * aspect, TILE));
        let mut cut = ui.new_child(egui::UiBuilder::new().max_rect(rect));
        cut.set_clip_rect(ui.clip_rect().intersect(rect));
        texture.paint(&cut, whole, 0);
        let stroke = match (is_chosen, response.has_focus(), response.hovered()) {
            (true, _, _) | (_, true, _) => Stroke::new(2.0, p.accent),
            (_, _, true) => Stroke::new(1.0, p.text_faint),
            _ => Stroke::new(1.0, p.line),
        };
        ui.painter().rect_stroke(rect, theme::ROUNDING - 2, stroke, StrokeKind::Inside);
    }
    response.on_hover_text(name)
}

/// What can be done with the step that is looked at.
fn acts_ui(ui: &mut Ui, state: &State, steps: &PictureSteps, at: &StepPreview, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let seen = state.timeline.seen.as_ref().filter(|seen| (seen.key, seen.step) == (steps.key, at.step));
    ui.horizontal(|ui| {
        let last = steps.steps.last().map_or(0, |last| last.step);
        ui.label(RichText::new(format!("Step {} of {last}", at.step)).color(p.text));
        match seen {
            Some(seen) if seen.picture.is_some() => {
                hint_ui(ui, "in full");
            }
            Some(_) => {
                let text = if state.queue.running().is_some() { "Comes after this picture" } else { "Decoding…" };
                hint_ui(ui, text);
            }
            None => {
                action_button_ui(ui, &TimelineAction::See.into(), Emphasis::Quiet, vec2(0.0, 0.0), actions);
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            action_button_ui(ui, &TimelineAction::Leave.into(), Emphasis::Quiet, vec2(0.0, 0.0), actions);
            let blocked = state.fork_blocked();
            let info = TimelineAction::Fork.info();
            let fork = ui
                .add_enabled_ui(blocked.is_none(), |ui| button_ui(ui, info.text, Emphasis::Normal, vec2(0.0, 0.0)))
                .inner
                .on_hover_text(tooltip(&info))
                .on_disabled_hover_text(blocked.unwrap_or_default());
            if fork.clicked() {
                actions.push(TimelineAction::Fork.into());
            }
        });
    });
}

/// The step that is looked at, in the place of the finished picture.
pub fn step_picture_ui(ui: &mut Ui, area: Rect, state: &State, at: &StepPreview, textures: &mut Textures) {
    let Some(steps) = state.steps_in_view() else { return };
    let seen = state.timeline.seen.as_ref().filter(|seen| (seen.key, seen.step) == (steps.key, at.step));
    let (width, height) = (8.0 * at.preview.width_px as f32, 8.0 * at.preview.height_px as f32);
    let rect = fit(area, width, height, theme::MAX_ENLARGEMENT);
    let full = seen.and_then(|seen| seen.picture.as_ref());
    let key = TextureKey::Step(steps.key, at.step, full.is_some());
    let texture = textures.load(ui.ctx(), key, full.unwrap_or(&at.preview));
    picture_ui(ui, rect, texture, theme::ROUNDING, &format!("The picture at step {}", at.step));
}

/// The pictures that branch off each other, each behind what it branches off.
pub fn tree_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let nodes = state.branches_in_view();
    if nodes.is_empty() {
        return;
    }
    let p = palette(ui);
    let shown = state.film_in_view().map(|item| item.key);
    let frame = Frame::new().fill(p.canvas).inner_margin(Margin { left: 4, right: 12, top: 16, bottom: 8 });
    Panel::right("branches").exact_size(TREE_WIDTH).resizable(false).show_separator_line(false).frame(frame).show(
        ui,
        |ui| {
            ui.label(RichText::new("Branches").text_style(theme::label()).color(p.text_dim));
            ScrollArea::vertical().id_salt("branches").auto_shrink(false).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = theme::UNIT;
                for node in nodes {
                    ui.horizontal(|ui| {
                        ui.add_space(INDENT * node.depth.min(6) as f32);
                        let is_shown = shown == Some(node.key);
                        let colour = if is_shown { p.accent } else { p.text_dim };
                        let text = RichText::new(&node.label).small().color(colour);
                        let button = egui::Button::selectable(is_shown, text).truncate();
                        let left = Layout::top_down_justified(Align::Min);
                        let response = ui.with_layout(left, |ui| ui.add(button)).inner;
                        let name = format!("Branch {}: {}", node.key, node.label);
                        response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_shown, &name));
                        if response.on_hover_text(&node.label).clicked() {
                            actions.push(Action::ShowFilm(node.key));
                        }
                    });
                }
            });
        },
    );
}

/// In the draft: that it branches off another picture, with the way back.
pub fn draft_fork_ui(ui: &mut Ui, state: &State, problems: &[Problem], actions: &mut Vec<Action>) {
    let Some(fork) = &state.draft.request.fork else { return };
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.label(RichText::new(format!("Branches off at step {}", fork.step)).color(p.text_dim));
        action_button_ui(ui, &TimelineAction::DropFork.into(), Emphasis::Quiet, vec2(0.0, 0.0), actions);
    });
    problem_ui(ui, super::draft::problem_of(problems, "fork"));
}

/// In the settings: whether steps are kept on the disk.
pub fn keep_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let info = TimelineAction::ToggleKeep.info();
    let mut keeps = state.timeline.keeps_steps;
    if ui.checkbox(&mut keeps, info.text).on_hover_text(info.tooltip).clicked() {
        actions.push(TimelineAction::ToggleKeep.into());
    }
}
