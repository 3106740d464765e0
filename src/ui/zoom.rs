//! Where a picture lies that is zoomed, what the wheel and the pointer do to that, and which px is under the pointer.

use egui::{Pos2, Rect, Response, RichText, Ui, Vec2, vec2};

use crate::domain::Picture;
use crate::studio::{Action, ViewerAction, Zoom};

use super::theme::{self, palette};
use super::widgets::{Emphasis, button_ui, fit, tooltip};

/// How far the wheel is turned for twice the size, in logical px.
const WHEEL_FOR_TWICE: f32 = 160.0;

/// An area in which a picture of a size is shown.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// The area.
    pub area: Rect,
    /// The picture's size in px.
    pub size_px: Vec2,
    /// Logical px for a px of the screen.
    pub points: f32,
}

impl Stage {
    /// An area of the window.
    pub fn of(ui: &Ui, area: Rect, (width_px, height_px): (u32, u32)) -> Self {
        let size_px = vec2(width_px.max(1) as f32, height_px.max(1) as f32);
        Self { area, size_px, points: 1.0 / ui.pixels_per_point().max(f32::MIN_POSITIVE) }
    }

    /// Where the picture lies, which may be larger than the area.
    pub fn place(&self, zoom: Zoom) -> Rect {
        let Some(factor) = zoom.factor else {
            return fit(self.area, self.size_px.x, self.size_px.y, theme::MAX_ENLARGEMENT);
        };
        let size = self.size_px * factor * self.points;
        let centre = self.clamped(zoom, size);
        let min = self.area.center() - vec2(centre.0 * size.x, centre.1 * size.y);
        Rect::from_min_size(min, size)
    }

    /// Px of the screen for a px of the picture.
    pub fn factor(&self, zoom: Zoom) -> f32 {
        zoom.factor.unwrap_or_else(|| self.place(zoom).width() / self.size_px.x / self.points)
    }

    /// What is in the middle, so that the area is filled where the picture is larger, and has it in its middle where not.
    fn clamped(&self, zoom: Zoom, size: Vec2) -> (f32, f32) {
        let side = |share: f32, area: f32, size: f32| {
            let half = area / size.max(1.0) / 2.0;
            if half >= 0.5 { 0.5 } else { share.clamp(half, 1.0 - half) }
        };
        (side(zoom.centre.0, self.area.width(), size.x), side(zoom.centre.1, self.area.height(), size.y))
    }

    /// Larger or smaller by `times`, where what is at `pointer` stays there.
    pub fn zoomed(&self, zoom: Zoom, times: f32, pointer: Pos2) -> Zoom {
        let before = self.place(zoom);
        let share = (pointer - before.min) / before.size().max(Vec2::splat(1.0));
        let factor = Zoom { factor: Some(self.factor(zoom) * times), ..zoom }.bounded().factor;
        let size = self.size_px * factor.unwrap_or(1.0) * self.points;
        let middle = self.area.center() - pointer;
        let centre = share + middle / size.max(Vec2::splat(1.0));
        Zoom { factor, centre: self.clamped(Zoom { factor, centre: (centre.x, centre.y) }, size) }
    }

    /// Drawn along by the pointer.
    pub fn panned(&self, zoom: Zoom, by: Vec2) -> Zoom {
        let size = self.place(zoom).size().max(Vec2::splat(1.0));
        let (x, y) = self.clamped(zoom, size);
        Zoom { centre: self.clamped(Zoom { centre: (x - by.x / size.x, y - by.y / size.y), ..zoom }, size), ..zoom }
    }

    /// The px at a place of the window, if it is one of the picture.
    pub fn px_at(&self, zoom: Zoom, at: Pos2) -> Option<(u32, u32)> {
        let rect = self.place(zoom);
        let share = (at - rect.min) / rect.size().max(Vec2::splat(f32::MIN_POSITIVE));
        let is_inside = (0.0..1.0).contains(&share.x) && (0.0..1.0).contains(&share.y) && self.area.contains(at);
        is_inside.then_some(((share.x * self.size_px.x) as u32, (share.y * self.size_px.y) as u32))
    }

    /// The wheel zooms at the pointer, dragging moves the picture, a double click fits it in or shows its own size.
    pub fn handle(&self, ui: &Ui, response: &Response, zoom: Zoom, actions: &mut Vec<Action>) {
        let mut wanted = zoom;
        if let Some(pointer) = response.hover_pos() {
            let (scrolled, pinched) = ui.input(|input| (input.smooth_scroll_delta.y, input.zoom_delta()));
            let times = (scrolled / WHEEL_FOR_TWICE).exp2() * pinched;
            if (times - 1.0).abs() > 1e-4 {
                wanted = self.zoomed(wanted, times, pointer);
            }
        }
        if response.dragged() && zoom.factor.is_some() {
            wanted = self.panned(wanted, response.drag_delta());
        }
        if response.double_clicked() {
            wanted = match (zoom.factor, response.interact_pointer_pos()) {
                (None, Some(pointer)) => self.zoomed(zoom, 1.0 / self.factor(zoom).max(1e-3), pointer),
                _ => Zoom::default(),
            };
        }
        if wanted != zoom {
            actions.push(Action::Viewer(ViewerAction::Zoom(wanted)));
        }
    }
}

/// Which px is at a place and what colour it has, in words.
pub fn px_text(picture: &Picture, (x, y): (u32, u32)) -> String {
    let at = 4 * (y as usize * picture.width_px as usize + x as usize);
    match picture.rgba.get(at..at + 4) {
        Some(&[r, g, b, 255]) => format!("x {x}, y {y}  ·  RGB {r} {g} {b}  ·  #{r:02X}{g:02X}{b:02X}"),
        Some(&[r, g, b, a]) => format!("x {x}, y {y}  ·  RGB {r} {g} {b}, alpha {a}"),
        _ => format!("x {x}, y {y}"),
    }
}

/// How large it is shown, and a choice of sizes.
pub fn zoom_ui(ui: &mut Ui, stage: &Stage, zoom: Zoom, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let mut offer = |ui: &mut Ui, text: &str, factor: Option<f32>| {
        let wanted = Zoom { factor, ..zoom };
        let is_shown = zoom.factor == factor;
        let info = ViewerAction::Zoom(wanted).info();
        let emphasis = if is_shown { Emphasis::Normal } else { Emphasis::Quiet };
        if button_ui(ui, text, emphasis, vec2(0.0, 0.0)).on_hover_text(tooltip(&info)).clicked() {
            actions.push(Action::Viewer(ViewerAction::Zoom(wanted)));
        }
    };
    offer(ui, "Fit", None);
    for factor in Zoom::OFFERED {
        offer(ui, &format!("{:.0} %", factor * 100.0), Some(factor));
    }
    let shown = stage.factor(zoom) * 100.0;
    if zoom.factor.is_none_or(|factor| !Zoom::OFFERED.contains(&factor)) {
        ui.label(RichText::new(format!("{shown:.0} %")).small().color(p.text_faint));
    }
}

#[cfg(test)]
mod tests {
    use egui::pos2;

    use super::*;

    /// An area of 400 × 300 at (100, 50) for a picture of 200 × 100 px.
    fn stage() -> Stage {
        Stage {
            area: Rect::from_min_size(pos2(100.0, 50.0), vec2(400.0, 300.0)),
            size_px: vec2(200.0, 100.0),
            points: 1.0,
        }
    }

    fn at(factor: f32, centre: (f32, f32)) -> Zoom {
        Zoom { factor: Some(factor), centre }
    }

    #[test]
    fn a_picture_smaller_than_the_area_lies_in_its_middle() {
        let rect = stage().place(at(1.0, (0.0, 1.0)));
        assert_eq!((rect.center(), rect.size()), (pos2(300.0, 200.0), vec2(200.0, 100.0)));
        // Fitted in, it is twice as large.
        assert!((stage().factor(Zoom::default()) - 2.0).abs() < 1e-5);
        let fine = Stage { points: 0.5, ..stage() };
        assert_eq!(fine.place(at(1.0, (0.5, 0.5))).size(), vec2(100.0, 50.0), "px of the screen, not of the window");
    }

    #[test]
    fn what_is_under_the_pointer_stays_there() {
        let stage = stage();
        for (zoom, pointer) in [
            (at(4.0, (0.5, 0.5)), pos2(220.0, 210.0)),
            (at(8.0, (0.4, 0.6)), pos2(300.0, 200.0)),
            (at(6.0, (0.5, 0.5)), pos2(333.0, 99.0)),
        ] {
            let before = stage.px_at(zoom, pointer).unwrap();
            let zoomed = stage.zoomed(zoom, 2.0, pointer);
            assert_eq!(zoomed.factor, zoom.factor.map(|factor| factor * 2.0));
            assert_eq!(stage.px_at(zoomed, pointer), Some(before), "{zoom:?}");
        }
    }

    #[test]
    fn a_picture_is_drawn_along_up_to_its_edges() {
        let stage = stage();
        let zoom = stage.panned(at(4.0, (0.5, 0.5)), vec2(80.0, -40.0));
        // 80 of 800 and 40 of 400 logical px.
        assert!((zoom.centre.0 - 0.4).abs() < 1e-5 && (zoom.centre.1 - 0.6).abs() < 1e-5, "{zoom:?}");
        let rect = stage.place(stage.panned(zoom, vec2(9999.0, 9999.0)));
        assert_eq!(rect.min, stage.area.min);
        let rect = stage.place(stage.panned(zoom, vec2(-9999.0, -9999.0)));
        assert!((rect.max - stage.area.max).length() < 1e-3);
    }

    #[test]
    fn the_px_under_the_pointer_is_told_with_its_colour() {
        let stage = stage();
        let zoom = at(2.0, (0.5, 0.5));
        // The picture lies from (100, 100) to (500, 300).
        assert_eq!(stage.px_at(zoom, pos2(100.0, 100.0)), Some((0, 0)));
        assert_eq!(stage.px_at(zoom, pos2(499.0, 299.0)), Some((199, 99)));
        assert_eq!(stage.px_at(zoom, pos2(99.0, 150.0)), None);
        let picture = Picture { width_px: 2, height_px: 1, rgba: vec![1, 2, 3, 255, 250, 171, 0, 128] };
        assert_eq!(px_text(&picture, (0, 0)), "x 0, y 0  ·  RGB 1 2 3  ·  #010203");
        assert_eq!(px_text(&picture, (1, 0)), "x 1, y 0  ·  RGB 250 171 0, alpha 128");
        assert_eq!(px_text(&picture, (9, 9)), "x 9, y 9");
    }
}
