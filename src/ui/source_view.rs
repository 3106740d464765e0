//! Where px of the picture to begin with lie on the screen.

use egui::{Pos2, Rect, Vec2, pos2, vec2};

use crate::studio::{Area, Gaze, SourceLayout};

use super::theme;

/// A map between px of the picture and the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceView {
    /// Where the picture's upper left corner is.
    pub origin: Pos2,
    /// Points a px.
    pub scale: f32,
    /// The scale at which all of it is in view.
    fit: f32,
    area: Rect,
    bounds: Rect,
}

impl SourceView {
    /// The map for an area of the screen.
    #[must_use]
    pub fn new(area: Rect, layout: &SourceLayout, gaze: Gaze) -> Self {
        let bounds = rect(layout.bounds());
        let fit = (area.width() / bounds.width().max(1.0))
            .min(area.height() / bounds.height().max(1.0))
            .clamp(f32::MIN_POSITIVE, theme::MAX_ENLARGEMENT);
        let scale = fit * gaze.zoom;
        let middle = bounds.min.to_vec2() + Vec2::from(gaze.middle) * bounds.size();
        Self { origin: area.center() - middle * scale, scale, fit, area, bounds }
    }

    /// A place of the screen, in px of the picture.
    #[must_use]
    pub fn place_at(&self, at: Pos2) -> [f32; 2] {
        ((at - self.origin) / self.scale).into()
    }

    /// A part of the picture, on the screen.
    #[must_use]
    pub fn on_screen(&self, area: Area) -> Rect {
        let Rect { min, max } = rect(area);
        Rect::from_min_max(self.origin + min.to_vec2() * self.scale, self.origin + max.to_vec2() * self.scale)
    }

    /// How to look after the picture was dragged so far.
    #[must_use]
    pub fn panned(&self, gaze: Gaze, by: Vec2) -> Gaze {
        let middle = Vec2::from(gaze.middle) - by / (self.scale * self.bounds.size());
        Gaze { middle: middle.into(), ..gaze }
    }

    /// How to look from `times` as near, with what is under `at` staying there.
    #[must_use]
    pub fn zoomed(&self, gaze: Gaze, times: f32, at: Pos2) -> Gaze {
        // No nearer than all of it: otherwise what is under the pointer would run away from it.
        let zoom = (gaze.zoom * times).max(1.0);
        let there = self.place_at(at);
        let scale = self.fit * zoom;
        let origin = at - Vec2::from(there) * scale;
        let middle = ((self.area.center() - origin) / scale - self.bounds.min.to_vec2()) / self.bounds.size();
        Gaze { zoom, middle: middle.into() }
    }

    /// How to look so that a px of the picture is one of the screen.
    #[must_use]
    pub fn at_full_size(&self, gaze: Gaze, pixels_per_point: f32) -> Gaze {
        Gaze { zoom: 1.0 / (self.fit * pixels_per_point), ..gaze }
    }
}

fn rect(area: Area) -> Rect {
    Rect::from_min_max(pos2(area.left, area.top), pos2(area.right, area.bottom))
}

/// What of a rectangle lies around another one inside it: left, right, above, below.
#[must_use]
pub fn around(outer: Rect, inner: Rect) -> [Rect; 4] {
    let inner = inner.intersect(outer);
    [
        Rect::from_min_max(outer.min, pos2(inner.left(), outer.bottom())),
        Rect::from_min_max(pos2(inner.right(), outer.top()), outer.max),
        Rect::from_min_max(pos2(inner.left(), outer.top()), pos2(inner.right(), inner.top())),
        Rect::from_min_max(pos2(inner.left(), inner.bottom()), pos2(inner.right(), outer.bottom())),
    ]
}

/// A rectangle around each edge and corner, for the pointer: outside of the picture, where nothing is painted.
#[must_use]
pub fn grip(whole: Rect, x: i8, y: i8) -> Rect {
    let (inside, outside) = (theme::GRIP_INSIDE, theme::GRIP_OUTSIDE);
    let axis = |side: i8, low: f32, high: f32| match side {
        -1 => (low - outside, low + inside),
        1 => (high - inside, high + outside),
        _ => (low + inside, high - inside),
    };
    let ((left, right), (top, bottom)) = (axis(x, whole.left(), whole.right()), axis(y, whole.top(), whole.bottom()));
    Rect::from_min_max(pos2(left, top), pos2(right.max(left), bottom.max(top)))
}

/// Where the mark of an edge or corner is drawn.
#[must_use]
pub fn mark(whole: Rect, x: i8, y: i8) -> Rect {
    let at = whole.center() + vec2(f32::from(x), f32::from(y)) * whole.size() / 2.0;
    Rect::from_center_size(at, Vec2::splat(theme::GRIP_MARK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::GenerateRequest;

    fn view(gaze: Gaze) -> SourceView {
        let request = GenerateRequest { width_px: 200, height_px: 100, ..GenerateRequest::default() };
        let layout = SourceLayout::new((200, 100), &request);
        SourceView::new(Rect::from_min_size(pos2(50.0, 50.0), vec2(400.0, 400.0)), &layout, gaze)
    }

    #[test]
    fn all_of_a_picture_lies_in_the_middle_of_its_area() {
        let view = view(Gaze::default());
        assert_eq!((view.scale, view.origin), (2.0, pos2(50.0, 150.0)));
        assert_eq!(view.place_at(pos2(250.0, 250.0)), [100.0, 50.0]);
        let all = Area { left: 0.0, top: 0.0, right: 200.0, bottom: 100.0 };
        assert_eq!(view.on_screen(all), Rect::from_min_max(pos2(50.0, 150.0), pos2(450.0, 350.0)));
    }

    #[test]
    fn zooming_keeps_what_is_under_the_pointer() {
        let before = view(Gaze::default());
        let at = pos2(130.0, 220.0);
        let gaze = before.zoomed(Gaze::default(), 3.0, at);
        let after = view(gaze);
        assert_eq!(after.scale, 6.0);
        for (one, other) in before.place_at(at).iter().zip(after.place_at(at)) {
            assert!((one - other).abs() < 1e-3, "{one} {other}");
        }
        let moved = view(after.panned(gaze, vec2(60.0, -30.0)));
        let (one, other) = (after.place_at(at), moved.place_at(at + vec2(60.0, -30.0)));
        assert!((one[0] - other[0]).abs() < 1e-3 && (one[1] - other[1]).abs() < 1e-3);
        assert_eq!(view(before.at_full_size(Gaze::default(), 1.0)).scale, 1.0);
        assert_eq!(before.zoomed(Gaze::default(), 0.1, at).zoom, 1.0);
    }

    #[test]
    fn what_lies_around_is_all_but_the_inside() {
        let outer = Rect::from_min_max(pos2(0.0, 0.0), pos2(10.0, 8.0));
        let inner = Rect::from_min_max(pos2(2.0, 1.0), pos2(7.0, 8.0));
        let parts = around(outer, inner);
        assert_eq!(parts.map(|part| part.area()), [16.0, 24.0, 5.0, 0.0]);
        assert!(parts.iter().all(|part| part.intersect(inner).area() <= 0.0));
    }

    #[test]
    fn edges_are_taken_hold_of_outside_and_corners_do_not_overlap_them() {
        let whole = Rect::from_min_max(pos2(100.0, 100.0), pos2(300.0, 200.0));
        let left = grip(whole, -1, 0);
        assert!(left.contains(pos2(95.0, 150.0)) && !left.contains(pos2(110.0, 150.0)));
        let corner = grip(whole, -1, -1);
        assert!(corner.contains(pos2(97.0, 97.0)) && corner.intersect(left).area() <= 0.0);
        assert_eq!(mark(whole, 1, 0).center(), pos2(300.0, 150.0));
    }
}
