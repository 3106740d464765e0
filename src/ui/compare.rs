//! Two pictures over or beside each other, with one zoom for both, and the fields in which their recipes differ.

use egui::{
    CentralPanel, CursorIcon, Frame, Margin, Panel, Pos2, Rect, RichText, Role, ScrollArea, Sense, Stroke, Ui, Vec2,
    WidgetInfo, vec2,
};

use crate::studio::{Action, Compare, CompareAction, CompareMode, Side, State};

use super::icons::Icon;
use super::recipe::{differences_ui, section_ui};
use super::textures::{PictureTexture, TextureKey, Textures};
use super::theme::{self, palette};
use super::viewer::{hidden_texture, paint, picture_texture, zoom_line_ui};
use super::widgets::{Emphasis, button_ui, empty_ui, fit, hint_ui, icon_button_ui, tooltip};
use super::zoom::{Stage, px_text};

/// How far from the divider the pointer takes it, in logical px.
const GRIP: f32 = 8.0;
/// What the two are called beside the fields.
const NAMES: [&str; 2] = ["First", "Second"];

/// The two pictures.
pub fn compare_ui(ui: &mut Ui, state: &State, compare: &Compare, textures: &mut Textures, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let canvas = Frame::new().fill(p.canvas);
    if state.viewer.is_alone {
        CentralPanel::default().frame(canvas).show(ui, |ui| {
            let area = ui.available_rect_before_wrap();
            pictures_ui(ui, state, compare, area, textures, actions);
        });
        return;
    }
    Panel::right("compared recipes")
        .exact_size(theme::RECIPE_WIDTH)
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().fill(p.panel))
        .show(ui, |ui| recipes_ui(ui, compare));
    CentralPanel::default().frame(canvas).show(ui, |ui| {
        let bar = Frame::new().fill(p.canvas).inner_margin(Margin::symmetric(12, 8));
        Panel::top("compare bar").resizable(false).show_separator_line(false).frame(bar).show(ui, |ui| {
            bar_ui(ui, compare, actions);
        });
        let available = ui.available_rect_before_wrap();
        let area = available.with_max_y(available.bottom() - theme::CONTROL_HEIGHT - 16.0);
        let area = if compare.zoom.factor.is_none() { area.shrink2(vec2(20.0, 4.0)) } else { area };
        let mut seen = None;
        ui.scope_builder(egui::UiBuilder::new().max_rect(area), |ui| {
            seen = pictures_ui(ui, state, compare, area, textures, actions);
        });
        let stage = Stage::of(ui, places(compare, area)[0], frame_px(compare));
        Panel::bottom("compare zoom").resizable(false).show_separator_line(false).frame(bar).show(ui, |ui| {
            zoom_line_ui(ui, &stage, compare.zoom, seen.as_deref(), actions);
        });
    });
}

fn bar_ui(ui: &mut Ui, compare: &Compare, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        let side = theme::CONTROL_HEIGHT;
        let leave = CompareAction::Leave.info();
        if icon_button_ui(ui, Icon::Left, leave.text, &tooltip(&leave), false, side).clicked() {
            actions.push(CompareAction::Leave.into());
        }
        for mode in CompareMode::ALL {
            let info = CompareAction::Show(mode).info();
            let is_shown = compare.mode == mode;
            let emphasis = if is_shown { Emphasis::Normal } else { Emphasis::Quiet };
            let response = button_ui(ui, info.text, emphasis, vec2(0.0, 0.0)).on_hover_text(tooltip(&info));
            response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, is_shown, info.text));
            if response.clicked() {
                actions.push(CompareAction::Show(mode).into());
            }
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let swap = CompareAction::Swap.info();
            if icon_button_ui(ui, Icon::Swap, swap.text, &tooltip(&swap), false, side).clicked() {
                actions.push(CompareAction::Swap.into());
            }
            if compare.mode == CompareMode::Flicker {
                let flip = CompareAction::Flip.info();
                let response = button_ui(ui, flip.text, Emphasis::Normal, vec2(0.0, 0.0));
                if response.on_hover_text(tooltip(&flip)).clicked() {
                    actions.push(CompareAction::Flip.into());
                }
            }
        });
    });
}

/// The size of the frame that both are fitted into: that of the larger one.
fn frame_px(compare: &Compare) -> (u32, u32) {
    let px = |side: &&Side| u64::from(side.size_px.0) * u64::from(side.size_px.1);
    compare.sides.iter().max_by_key(px).map_or((1, 1), |side| side.size_px)
}

/// The areas of the two: one and the same, but where they stand side by side.
fn places(compare: &Compare, area: Rect) -> [Rect; 2] {
    if compare.mode != CompareMode::SideBySide {
        return [area, area];
    }
    let gap = theme::UNIT / 2.0;
    let middle = area.center().x;
    [area.with_max_x(middle - gap), area.with_min_x(middle + gap)]
}

/// Draws both. Gives what is under the pointer, in words.
fn pictures_ui(
    ui: &mut Ui,
    state: &State,
    compare: &Compare,
    area: Rect,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) -> Option<String> {
    let areas = places(compare, area);
    let stages = areas.map(|area| Stage::of(ui, area, frame_px(compare)));
    let response = ui.interact(area, ui.scope_id().with("compared"), Sense::click_and_drag());
    let names: Vec<&str> = compare.sides.iter().map(|side| side.name.as_str()).collect();
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, format!("Compared: {}", names.join(" and "))));
    let frame = stages[0].place(compare.zoom);
    let divider = frame.left() + compare.split * frame.width();
    for (place, side) in compare.sides.iter().enumerate() {
        let seen = match compare.mode {
            CompareMode::Slider if place == 0 => area.with_max_x(divider.clamp(area.left(), area.right())),
            CompareMode::Slider => area.with_min_x(divider.clamp(area.left(), area.right())),
            CompareMode::SideBySide => areas[place],
            CompareMode::Flicker if place == compare.shown => area,
            CompareMode::Flicker => continue,
        };
        let whole = stages[place].place(compare.zoom);
        side_ui(ui, state, compare, side, (seen, whole), textures);
        name_ui(ui, seen, place, side);
    }
    if compare.mode == CompareMode::Slider {
        divider_ui(ui, area, frame, divider, compare.split, actions);
    }
    let pointer = response.hover_pos();
    let place = pointer.map_or(0, |at| usize::from(compare.mode == CompareMode::SideBySide && areas[1].contains(at)));
    stages[place].handle(ui, &response, compare.zoom, actions);
    pointer.and_then(|at| px_under(compare, &stages, place, divider, at))
}

/// One of the two: fitted into the frame, so that a larger version of the same picture lies exactly on it.
fn side_ui(
    ui: &mut Ui,
    state: &State,
    compare: &Compare,
    side: &Side,
    (seen, whole): (Rect, Rect),
    textures: &mut Textures,
) {
    let Some(picture) = &side.picture else {
        ui.scope_builder(egui::UiBuilder::new().max_rect(seen), |ui| {
            if side.is_broken {
                empty_ui(
                    ui,
                    Icon::Warning,
                    "This picture could not be read",
                    "Its file may have been moved or damaged",
                );
            } else {
                empty_ui(ui, Icon::Picture, "Reading the picture", "It is on the disk");
            }
        });
        return;
    };
    let rect = fit(whole, side.size_px.0 as f32, side.size_px.1 as f32, f32::INFINITY);
    // The picture that was made again has no key in the gallery; its job's is none of the filmstrip's.
    let key = match (side.id, compare.replay) {
        (Some(id), _) => TextureKey::Full(id),
        (None, job) => TextureKey::Film(job.unwrap_or(u64::MAX)),
    };
    let texture: &PictureTexture = match (state.hidden_side(side), key) {
        (Some(verdict), TextureKey::Full(id)) => {
            hidden_texture(ui, TextureKey::HiddenFull(id, state.safety), picture, state, verdict, textures)
        }
        (Some(verdict), _) => {
            let job = compare.replay.unwrap_or(u64::MAX);
            hidden_texture(ui, TextureKey::HiddenFilm(job, state.safety), picture, state, verdict, textures)
        }
        (None, key) => picture_texture(ui, key, picture, compare.zoom, textures),
    };
    paint(ui, seen, rect, texture);
}

/// What a picture is called, in the corner of what is seen of it.
fn name_ui(ui: &Ui, seen: Rect, place: usize, side: &Side) {
    let p = palette(ui);
    let font = egui::TextStyle::Small.resolve(ui.style());
    let (width, height) = side.size_px;
    let text = format!("{}  ·  {width} × {height}", NAMES[place.min(1)]);
    let galley = ui.painter().layout_no_wrap(text, font, p.text);
    let size = galley.size() + Vec2::splat(2.0 * theme::UNIT);
    let corner = if place == 0 { seen.left_top() } else { seen.right_top() - vec2(size.x, 0.0) };
    let rect = Rect::from_min_size(corner, size).translate(vec2(if place == 0 { 8.0 } else { -8.0 }, 8.0));
    if seen.width() < size.x + 16.0 {
        return;
    }
    ui.painter().rect_filled(rect, theme::ROUNDING, p.raised);
    ui.painter().galley(rect.min + Vec2::splat(theme::UNIT), galley, p.text);
}

fn divider_ui(ui: &Ui, area: Rect, frame: Rect, divider: f32, split: f32, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let x = divider.clamp(area.left(), area.right());
    let seen = frame.intersect(area);
    let grip = Rect::from_x_y_ranges(x - GRIP..=x + GRIP, seen.y_range());
    let response =
        ui.interact(grip, ui.scope_id().with("divider"), Sense::drag()).on_hover_cursor(CursorIcon::ResizeHorizontal);
    let info = CompareAction::Split(split).info();
    response.widget_info(|| WidgetInfo {
        value: Some(f64::from(split)),
        ..WidgetInfo::labeled(Role::Slider, true, info.text)
    });
    let is_held = response.dragged() || response.hovered();
    let colour = if is_held { p.accent_hover } else { p.accent };
    ui.painter().vline(x, seen.y_range(), Stroke::new(2.0, colour));
    let knob = Pos2::new(x, seen.center().y);
    ui.painter().circle(knob, 8.0, colour, Stroke::new(2.0, p.on_accent));
    if response.dragged()
        && let Some(pointer) = response.interact_pointer_pos()
    {
        let share = ((pointer.x - frame.left()) / frame.width().max(1.0)).clamp(0.0, 1.0);
        // Held still, it changes nothing, and nothing is drawn again.
        if (share - split).abs() > 1e-4 {
            actions.push(CompareAction::Split(share).into());
        }
    }
}

/// The px under the pointer, of the picture that is seen there.
fn px_under(compare: &Compare, stages: &[Stage; 2], place: usize, divider: f32, at: Pos2) -> Option<String> {
    let seen = match compare.mode {
        CompareMode::Slider => usize::from(at.x >= divider),
        CompareMode::SideBySide => place,
        CompareMode::Flicker => compare.shown.min(1),
    };
    let side = &compare.sides[seen];
    let picture = side.picture.as_ref()?;
    let (x, y) = stages[place].px_at(compare.zoom, at)?;
    // From px of the frame to those of this picture.
    let (width, height) = frame_px(compare);
    let own = |px: u32, frame: u32, own: u32| (u64::from(px) * u64::from(own) / u64::from(frame.max(1))) as u32;
    let px = (own(x, width, picture.width_px), own(y, height, picture.height_px));
    Some(format!("{}  ·  {}", NAMES[seen], px_text(picture, px)))
}

fn recipes_ui(ui: &mut Ui, compare: &Compare) {
    let p = palette(ui);
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        let margin = Margin { left: 20, right: 20, top: 16, bottom: 16 };
        Frame::new().inner_margin(margin).show(ui, |ui| {
            ui.set_width(ui.available_width());
            for (name, side) in NAMES.into_iter().zip(&compare.sides) {
                section_ui(ui, name);
                ui.add(egui::Label::new(RichText::new(&side.name).color(p.text)).wrap().selectable(true));
                ui.add_space(2.0 * theme::UNIT);
            }
            section_ui(ui, "What differs");
            match &compare.differences {
                None => drop(hint_ui(ui, "One of the two carries no recipe")),
                Some(differences) if differences.is_empty() => {
                    hint_ui(ui, "Nothing: both have the same recipe");
                }
                Some(differences) => differences_ui(ui, differences, NAMES),
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use egui::pos2;

    use super::*;
    use crate::studio::Zoom;

    #[test]
    fn a_place_in_the_frame_is_the_same_place_of_a_smaller_picture() {
        let side = |width: u32, value: u8| Side {
            id: None,
            name: String::new(),
            recipe: None,
            size_px: (width, width),
            picture: Some(std::sync::Arc::new(crate::domain::Picture {
                width_px: width,
                height_px: width,
                rgba: [value, value, value, 255].repeat((width * width) as usize),
            })),
            is_broken: false,
        };
        let compare = Compare {
            sides: [side(100, 1), side(200, 2)],
            mode: CompareMode::Slider,
            split: 0.5,
            zoom: Zoom { factor: Some(1.0), centre: (0.5, 0.5) },
            shown: 0,
            differences: None,
            replay: None,
        };
        assert_eq!(frame_px(&compare), (200, 200));
        let area = Rect::from_min_size(pos2(0.0, 0.0), vec2(200.0, 200.0));
        let stage = Stage { area, size_px: vec2(200.0, 200.0), points: 1.0 };
        let under = |x: f32| px_under(&compare, &[stage, stage], 0, 100.0, pos2(x, 40.0)).unwrap();
        assert!(under(50.0).starts_with("First  ·  x 25, y 20  ·  RGB 1 1 1"), "{}", under(50.0));
        assert!(under(150.0).starts_with("Second  ·  x 150, y 40  ·  RGB 2 2 2"), "{}", under(150.0));
    }
}
