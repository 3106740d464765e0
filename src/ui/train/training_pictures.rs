//! The pictures of a training: one prompt large, untrained beside trained, over a timeline; or all side by side.

use egui::{
    Align, Align2, Frame, Layout, Margin, Panel, Rect, Response, RichText, Role, ScrollArea, Sense, Stroke, StrokeKind,
    Ui, WidgetInfo, vec2,
};

use crate::studio::{Action, AlbumPicture, Numbered, TrainingAction, TrainingRun, TrainingStage};
use crate::ui::icons::Icon;
use crate::ui::textures::{TextureKey, Textures};
use crate::ui::theme::{self, palette};
use crate::ui::widgets::{Emphasis, button_ui, empty_ui, fit, hint_ui, picture_ui, snippet};

use super::training::{act, title_ui};

/// The middle of the tab.
pub fn pictures_ui(ui: &mut Ui, run: &TrainingRun, textures: &mut Textures, actions: &mut Vec<Action>) {
    if !run.drawn.is_empty() {
        drawn_ui(ui, run, textures);
    }
    if run.album.is_empty() {
        let advice = match (&run.stage, run.config.samples.prompts.is_empty() || run.config.samples.every == 0) {
            (_, true) => "No prompts were given to watch. Try one below: it is drawn with what was learnt until then",
            (TrainingStage::Past | TrainingStage::Ended | TrainingStage::Failed(_), _) => "It ended before it drew any",
            _ => "The first pictures come before the first step: as the untrained model draws them",
        };
        empty_ui(ui, Icon::Picture, "Pictures to watch", advice);
        return;
    }
    bar_ui(ui, run, actions);
    if run.grid {
        grid_ui(ui, run, textures, actions);
        return;
    }
    timeline_ui(ui, run, textures, actions);
    beside_ui(ui, run, textures);
}

/// Which prompt, and how pictures are shown.
fn bar_ui(ui: &mut Ui, run: &TrainingRun, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let frame = Frame::new().fill(p.canvas).inner_margin(Margin { left: 16, right: 16, top: 10, bottom: 4 });
    Panel::top("training prompts").resizable(false).show_separator_line(false).frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            let info = TrainingAction::ToggleGrid.info();
            let grid_width = 104.0;
            let room = ui.available_width() - grid_width - 2.0 * theme::UNIT;
            ui.allocate_ui_with_layout(vec2(room, theme::CONTROL_HEIGHT), Layout::left_to_right(Align::Center), |ui| {
                ScrollArea::horizontal().id_salt("training prompts").show(ui, |ui| {
                    for (i, prompt) in run.config.samples.prompts.iter().enumerate() {
                        let is_chosen = i == run.prompt && !run.grid;
                        let text = RichText::new(snippet(prompt, 32));
                        let response = ui.add(egui::Button::selectable(is_chosen, text));
                        let name = format!("Prompt {}: {prompt}", i + 1);
                        response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_chosen, &name));
                        if response.on_hover_text(prompt).clicked() {
                            if run.grid {
                                actions.push(act(TrainingAction::ToggleGrid));
                            }
                            actions.push(act(TrainingAction::LookAtPrompt(i)));
                        }
                    }
                });
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let button = egui::Button::selectable(run.grid, info.text);
                let response = ui.add_sized(vec2(grid_width, theme::CONTROL_HEIGHT), button);
                if response.on_hover_text(info.tooltip).clicked() {
                    actions.push(act(TrainingAction::ToggleGrid));
                }
            });
        });
    });
}

/// The steps with their pictures, along the bottom.
fn timeline_ui(ui: &mut Ui, run: &TrainingRun, textures: &mut Textures, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let shown = run.step_in_view();
    let frame = Frame::new().fill(p.canvas).inner_margin(Margin { left: 16, right: 16, top: 4, bottom: 10 });
    Panel::bottom("training moments").resizable(false).show_separator_line(false).frame(frame).show(ui, |ui| {
        ScrollArea::horizontal().id_salt("training moments").stick_to_right(true).auto_shrink([false, true]).show(
            ui,
            |ui| {
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 1.5 * theme::UNIT;
                    for step in run.album.steps() {
                        let Some(picture) = run.album.at(step, run.prompt) else { continue };
                        if moment_ui(ui, run, picture, shown == Some(step), textures).clicked() {
                            actions.push(act(TrainingAction::LookAt(step)));
                        }
                    }
                });
            },
        );
    });
}

fn moment_ui(
    ui: &mut Ui,
    run: &TrainingRun,
    picture: &AlbumPicture,
    is_chosen: bool,
    textures: &mut Textures,
) -> Response {
    let p = palette(ui);
    let size = vec2(theme::MOMENT_SIDE, theme::MOMENT_SIDE + 4.0 * theme::UNIT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let name = format!("Step {}", picture.step);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_chosen, &name));
    if ui.is_rect_visible(rect) {
        let square = Rect::from_min_size(rect.min, vec2(theme::MOMENT_SIDE, theme::MOMENT_SIDE));
        let small = &picture.small;
        let texture = textures.load(ui.ctx(), TextureKey::Training(small.number), &small.picture);
        let at = fit(square, small.picture.width_px as f32, small.picture.height_px as f32, theme::MAX_ENLARGEMENT);
        texture.paint(ui, at, theme::ROUNDING - 2);
        let stroke = match (is_chosen, response.has_focus(), response.hovered()) {
            (true, _, _) | (_, true, _) => Stroke::new(2.0, p.accent),
            (_, _, true) => Stroke::new(1.0, p.text_faint),
            _ => Stroke::new(1.0, p.line),
        };
        ui.painter().rect_stroke(at, theme::ROUNDING - 2, stroke, StrokeKind::Inside);
        let is_saved = run.saved.contains(&picture.step);
        let colour = if is_chosen { p.text } else { p.text_faint };
        let text = if picture.step == 0 { "untrained".to_owned() } else { picture.step.to_string() };
        let font = egui::FontId::proportional(11.0);
        let at = rect.center_bottom();
        let drawn = ui.painter().text(at, Align2::CENTER_BOTTOM, text, font, colour);
        if is_saved {
            ui.painter().circle_filled(drawn.left_center() - vec2(6.0, 0.0), 2.0, p.accent);
        }
    }
    let saved = if run.saved.contains(&picture.step) { ". Its state is kept" } else { "" };
    response.on_hover_text(format!("{name}{saved}"))
}

/// The untrained model's picture beside the one of the step in view.
fn beside_ui(ui: &mut Ui, run: &TrainingRun, textures: &mut Textures) {
    let Some(step) = run.step_in_view() else { return };
    let untrained =
        run.untrained_step().filter(|first| *first != step).and_then(|first| run.album.at(first, run.prompt));
    let trained = run.album.at(step, run.prompt);
    let prompt = run.config.samples.prompts.get(run.prompt).map_or("", String::as_str);
    let name = if step == 0 { "Untrained".to_owned() } else { format!("After step {step}") };
    let shown = |picture: Option<&AlbumPicture>| picture.map(|picture| run.album.shown(picture).0.clone());
    let sides = [("Untrained".to_owned(), shown(untrained)), (name, shown(trained))];
    let area = ui.available_rect_before_wrap().shrink2(vec2(16.0, 4.0));
    pair_ui(ui, area, &sides, prompt, textures);
}

/// Pictures side by side, as large as there is room for, each with what it is below.
fn pair_ui(ui: &mut Ui, area: Rect, sides: &[(String, Option<Numbered>)], prompt: &str, textures: &mut Textures) {
    let p = palette(ui);
    let there: Vec<(&String, &Numbered)> =
        sides.iter().filter_map(|(name, picture)| Some((name, picture.as_ref()?))).collect();
    let gap = 4.0 * theme::UNIT;
    let label = 5.0 * theme::UNIT;
    let width = (area.width() + gap) / there.len().max(1) as f32 - gap;
    for (i, (name, numbered)) in there.iter().enumerate() {
        let left = area.left() + i as f32 * (width + gap);
        let room = Rect::from_min_size(egui::pos2(left, area.top()), vec2(width, area.height() - label));
        let picture = &numbered.picture;
        let at = fit(room, picture.width_px as f32, picture.height_px as f32, theme::MAX_ENLARGEMENT);
        let texture = textures.load(ui.ctx(), TextureKey::Training(numbered.number), picture);
        picture_ui(ui, at, texture, theme::ROUNDING, &format!("{name}: {prompt}"));
        let text_at = at.center_bottom() + vec2(0.0, theme::UNIT);
        ui.painter().text(text_at, Align2::CENTER_TOP, name, theme::semibold(12.0), p.text_dim);
    }
}

/// All prompts at all steps.
fn grid_ui(ui: &mut Ui, run: &TrainingRun, textures: &mut Textures, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let steps = run.album.steps();
    let side = 32.0 * theme::UNIT;
    Frame::new().inner_margin(Margin { left: 16, right: 16, top: 4, bottom: 12 }).show(ui, |ui| {
        ScrollArea::both().id_salt("training grid").auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(2.0 * theme::UNIT, 2.0 * theme::UNIT);
            ui.horizontal(|ui| {
                for step in &steps {
                    ui.allocate_ui_with_layout(vec2(side, 9.0 * theme::UNIT), Layout::top_down(Align::Center), |ui| {
                        ui.set_width(side);
                        step_head_ui(ui, run, *step, actions);
                    });
                }
            });
            for (i, prompt) in run.config.samples.prompts.iter().enumerate() {
                ui.add(egui::Label::new(RichText::new(snippet(prompt, 100)).small().color(p.text_dim)));
                ui.horizontal(|ui| {
                    for step in &steps {
                        let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
                        let Some(picture) = run.album.at(*step, i) else { continue };
                        let name = format!("Step {step}, prompt {}", i + 1);
                        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
                        if ui.is_rect_visible(rect) {
                            let small = &picture.small;
                            let (width, height) = (small.picture.width_px as f32, small.picture.height_px as f32);
                            let at = fit(rect, width, height, theme::MAX_ENLARGEMENT);
                            let texture = textures.load(ui.ctx(), TextureKey::Training(small.number), &small.picture);
                            texture.paint(ui, at, theme::ROUNDING - 2);
                            if response.hovered() || response.has_focus() {
                                let stroke = Stroke::new(2.0, p.accent);
                                ui.painter().rect_stroke(at, theme::ROUNDING - 2, stroke, StrokeKind::Inside);
                            }
                        }
                        if response.on_hover_text("Look at it large").clicked() {
                            actions.extend([TrainingAction::LookAtPrompt(i), TrainingAction::LookAt(*step)].map(act));
                        }
                    }
                });
            }
        });
    });
}

/// A step over its column, with what can be made of it.
fn step_head_ui(ui: &mut Ui, run: &TrainingRun, step: u64, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let text = if step == 0 { "Untrained".to_owned() } else { format!("Step {step}") };
    ui.spacing_mut().item_spacing.y = 0.0;
    ui.label(RichText::new(text).font(theme::semibold(12.0)).color(p.text_dim));
    if !run.saved.contains(&step) {
        return;
    }
    let info = TrainingAction::Promote(step).info();
    let is_free = run.promoting.is_none();
    let text = if run.promoting == Some(step) { "Writing…" } else { "Keep this one" };
    ui.spacing_mut().button_padding.y = 0.0;
    ui.spacing_mut().interact_size.y = 5.0 * theme::UNIT;
    let response = ui.add_enabled_ui(is_free, |ui| button_ui(ui, text, Emphasis::Quiet, vec2(0.0, 0.0))).inner;
    let name = format!("Make a result of step {step}");
    response.widget_info(|| WidgetInfo::labeled(Role::Button, is_free, &name));
    if response.on_hover_text(info.tooltip).clicked() {
        actions.push(act(TrainingAction::Promote(step)));
    }
}

/// The newest picture of the user's own prompts, above the others.
fn drawn_ui(ui: &mut Ui, run: &TrainingRun, textures: &mut Textures) {
    let p = palette(ui);
    let frame = Frame::new().fill(p.panel).inner_margin(Margin { left: 16, right: 16, top: 8, bottom: 8 });
    Panel::bottom("training drawn").resizable(false).show_separator_line(true).frame(frame).show(ui, |ui| {
        title_ui(ui, "Tried");
        ScrollArea::horizontal().id_salt("training drawn").auto_shrink([false, true]).show(ui, |ui| {
            ui.horizontal_top(|ui| {
                for drawn in &run.drawn {
                    ui.vertical(|ui| {
                        ui.spacing_mut().item_spacing.y = 2.0;
                        ui.horizontal(|ui| {
                            ui.spacing_mut().item_spacing.x = theme::UNIT;
                            let pair = [("Untrained", drawn.untrained.as_ref()), ("Trained", Some(&drawn.picture))];
                            for (name, numbered) in pair {
                                let Some(numbered) = numbered else { continue };
                                let side = 1.75 * theme::MOMENT_SIDE;
                                let (rect, _) = ui.allocate_exact_size(vec2(side, side), Sense::hover());
                                let (width, height) =
                                    (numbered.picture.width_px as f32, numbered.picture.height_px as f32);
                                let at = fit(rect, width, height, theme::MAX_ENLARGEMENT);
                                let key = TextureKey::Training(numbered.number);
                                let texture = textures.load(ui.ctx(), key, &numbered.picture);
                                let label = format!("{name}, step {}: {}", drawn.step, drawn.prompt);
                                picture_ui(ui, at, texture, theme::ROUNDING - 2, &label);
                            }
                        });
                        let text = format!("Step {}: {}", drawn.step, snippet(&drawn.prompt, 28));
                        hint_ui(ui, text).on_hover_text(&drawn.prompt);
                    });
                    ui.add_space(2.0 * theme::UNIT);
                }
            });
        });
    });
}
