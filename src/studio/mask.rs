//! [`Mask`]: what of a picture is painted anew, as it is painted stroke by stroke. White is painted anew.

use std::collections::VecDeque;

use crate::domain::Plane;

/// Most strokes that can be taken back.
const MAX_UNDO: usize = 100;
/// Bytes of strokes that can be taken back, above which the oldest go.
const UNDO_BUDGET: usize = 64 << 20;
/// How much of the brush's radius its soft edge takes.
const SOFT_SHARE: f32 = 0.3;
/// From this level on a px is painted anew.
const MASK_LEVEL: u8 = crate::library::sources::MASK_LEVEL;

/// A place on a picture, in px from the upper left: px (0, 0) has its middle at (0.5, 0.5).
pub type Place = [f32; 2];

/// A mask and its strokes.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    plane: Plane,
    /// Oldest first, each with the bytes that it holds beyond the next.
    undo: VecDeque<(Plane, usize)>,
    redo: Vec<Plane>,
    stroke: Option<Stroke>,
}

/// A stroke that has begun.
#[derive(Clone, Debug)]
struct Stroke {
    before: Plane,
    last: Place,
    size_px: f32,
    erases: bool,
}

impl Mask {
    /// An empty mask.
    #[must_use]
    pub fn new(width_px: u32, height_px: u32) -> Self {
        Self::of(Plane::new(width_px, height_px, 0))
    }

    /// A mask that is there already.
    #[must_use]
    pub fn of(plane: Plane) -> Self {
        Self { plane, ..Self::default() }
    }

    /// Its levels.
    #[must_use]
    pub fn plane(&self) -> &Plane {
        &self.plane
    }

    /// Whether nothing would be painted anew.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.plane.reaches(MASK_LEVEL)
    }

    /// Whether a stroke has begun and not ended.
    #[must_use]
    pub fn is_painting(&self) -> bool {
        self.stroke.is_some()
    }

    /// Whether there is something to take back.
    #[must_use]
    pub fn can_undo(&self) -> bool {
        !self.undo.is_empty()
    }

    /// Whether there is something to bring back.
    #[must_use]
    pub fn can_redo(&self) -> bool {
        !self.redo.is_empty()
    }

    /// Begins a stroke with a dot.
    pub fn begin(&mut self, at: Place, size_px: f32, erases: bool) {
        self.end();
        if !at.iter().all(|value| value.is_finite()) {
            return;
        }
        self.stroke = Some(Stroke { before: self.plane.clone(), last: at, size_px: size_px.max(1.0), erases });
        self.go_to(at);
    }

    /// Goes on with the stroke, in a straight line.
    pub fn go_to(&mut self, at: Place) {
        if let Some(stroke) = &mut self.stroke
            && at.iter().all(|value| value.is_finite())
        {
            paint(&mut self.plane, stroke.last, at, stroke.size_px, stroke.erases);
            stroke.last = at;
        }
    }

    /// Ends the stroke: from now on it can be taken back.
    pub fn end(&mut self) {
        if let Some(stroke) = self.stroke.take() {
            self.remember(stroke.before);
        }
    }

    /// White becomes black, and black white.
    pub fn invert(&mut self) {
        self.change(|plane| plane.map(|level| 255 - level));
    }

    /// All white.
    pub fn fill(&mut self) {
        self.change(|plane| plane.map(|_| 255));
    }

    /// All black.
    pub fn clear(&mut self) {
        if self.plane.reaches(1) {
            self.change(|plane| plane.map(|_| 0));
        }
    }

    /// Takes another plane of the same size in its place.
    pub fn replace(&mut self, plane: Plane) {
        self.change(|own| *own = plane);
    }

    /// Takes the last change back.
    pub fn undo(&mut self) {
        self.end();
        if let Some((before, _)) = self.undo.pop_back() {
            self.redo.push(std::mem::replace(&mut self.plane, before));
        }
    }

    /// Brings back what was taken back last.
    pub fn redo(&mut self) {
        self.end();
        if let Some(after) = self.redo.pop() {
            let before = std::mem::replace(&mut self.plane, after);
            self.push(before);
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Plane)) {
        self.end();
        let before = self.plane.clone();
        change(&mut self.plane);
        self.remember(before);
    }

    fn remember(&mut self, before: Plane) {
        if !before.is_same(&self.plane) {
            self.redo.clear();
            self.push(before);
        }
    }

    fn push(&mut self, before: Plane) {
        let bytes = before.bytes_beyond(&self.plane);
        self.undo.push_back((before, bytes));
        let mut total: usize = self.undo.iter().map(|(_, bytes)| bytes).sum();
        while self.undo.len() > MAX_UNDO || (total > UNDO_BUDGET && self.undo.len() > 1) {
            total -= self.undo.pop_front().map_or(0, |(_, bytes)| bytes);
        }
    }
}

/// Paints a straight line with a round brush. Where lines overlap, the stronger one holds: a stroke is the same however
/// many pieces it comes in.
fn paint(plane: &mut Plane, from: Place, to: Place, size_px: f32, erases: bool) {
    let radius = size_px / 2.0;
    let edge = (radius * SOFT_SHARE).max(1.0);
    // A px is half covered where the brush's outline runs.
    let reach = radius + edge / 2.0;
    let (_, height_px) = plane.size();
    let top = (from[1].min(to[1]) - reach).floor().max(0.0) as u32;
    let bottom = ((from[1].max(to[1]) + reach).ceil().max(0.0) as u32).min(height_px);
    let along = [to[0] - from[0], to[1] - from[1]];
    let length_squared = along[0] * along[0] + along[1] * along[1];
    for y in top..bottom {
        let middle_y = y as f32 + 0.5;
        let Some((left, right)) = columns(from, to, middle_y, reach) else { continue };
        plane.edit_row(y, left.floor().max(0.0) as u32, right.ceil().max(0.0) as u32, |x, level| {
            let off = [x as f32 + 0.5 - from[0], middle_y - from[1]];
            let share = if length_squared > 0.0 {
                ((off[0] * along[0] + off[1] * along[1]) / length_squared).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let distance = (off[0] - share * along[0]).hypot(off[1] - share * along[1]);
            let cover = (255.0 * ((radius - distance) / edge + 0.5).clamp(0.0, 1.0)).round() as u8;
            if erases { level.min(255 - cover) } else { level.max(cover) }
        });
    }
}

/// Between which columns a line touches a row, at most.
fn columns(from: Place, to: Place, y: f32, reach: f32) -> Option<(f32, f32)> {
    let (upper, lower) = if from[1] <= to[1] { (from, to) } else { (to, from) };
    if y < upper[1] - reach || y > lower[1] + reach {
        return None;
    }
    let high = lower[1] - upper[1];
    // The part of the line that is near enough in height.
    let x_at = |y: f32| {
        let share = if high > 0.0 { ((y - upper[1]) / high).clamp(0.0, 1.0) } else { 0.0 };
        upper[0] + share * (lower[0] - upper[0])
    };
    let (one, other) = if high > 0.0 { (x_at(y - reach), x_at(y + reach)) } else { (from[0], to[0]) };
    Some((one.min(other) - reach, one.max(other) + reach))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stroke(mask: &mut Mask, places: &[Place], size_px: f32, erases: bool) {
        mask.begin(places[0], size_px, erases);
        places[1..].iter().for_each(|place| mask.go_to(*place));
        mask.end();
    }

    #[test]
    fn a_dot_is_a_disc_of_the_brushs_size() {
        let mut mask = Mask::new(64, 64);
        stroke(&mut mask, &[[32.0, 32.0]], 20.0, false);
        let plane = mask.plane();
        for (x, y) in (0..64).flat_map(|x| (0..64).map(move |y| (x, y))) {
            let distance = (x as f32 + 0.5 - 32.0).hypot(y as f32 + 0.5 - 32.0);
            let level = plane.level(x, y);
            // The edge is 3 px wide, half of it beyond the radius of 10.
            match distance {
                d if d < 8.5 => assert_eq!(level, 255, "{x} {y}"),
                d if d > 11.5 => assert_eq!(level, 0, "{x} {y}"),
                d if d < 9.9 => assert!(level >= MASK_LEVEL, "{x} {y}"),
                d if d > 10.1 => assert!(level < MASK_LEVEL, "{x} {y}"),
                _ => {}
            }
        }
        // π r² is 314.
        let painted = plane.levels().iter().filter(|level| **level >= MASK_LEVEL).count();
        assert!((300..330).contains(&painted), "{painted}");
    }

    #[test]
    fn a_line_has_no_gaps_between_far_pointer_positions() {
        let mut mask = Mask::new(600, 40);
        stroke(&mut mask, &[[10.0, 20.0], [590.0, 20.0]], 8.0, false);
        for x in 10..590 {
            assert_eq!((mask.plane().level(x, 19), mask.plane().level(x, 26)), (255, 0), "{x}");
        }
    }

    #[test]
    fn erasing_takes_away_and_undo_brings_back() {
        let mut mask = Mask::new(64, 64);
        assert!(mask.is_empty() && !mask.can_undo());
        mask.fill();
        stroke(&mut mask, &[[10.0, 32.0], [50.0, 32.0]], 10.0, true);
        assert_eq!((mask.plane().level(30, 32), mask.plane().level(30, 10)), (0, 255));
        let erased = mask.plane().clone();
        mask.undo();
        assert!(mask.plane().levels().iter().all(|level| *level == 255));
        mask.undo();
        assert!(mask.is_empty() && !mask.can_undo());
        mask.redo();
        mask.redo();
        assert!(mask.plane().is_same(&erased) && !mask.can_redo());
        mask.invert();
        assert_eq!((mask.plane().level(30, 32), mask.plane().level(30, 10)), (255, 0));
        mask.clear();
        assert!(mask.is_empty());
        mask.clear();
        mask.undo();
        assert!(!mask.is_empty(), "to clear what is clear already is no change");
        stroke(&mut mask, &[[200.0, 200.0]], 10.0, false);
        mask.undo();
        assert!(!mask.is_empty(), "a stroke beside the picture is none");
    }

    #[test]
    fn what_can_be_taken_back_is_bounded() {
        let mut mask = Mask::new(64, 64);
        for i in 0..MAX_UNDO + 20 {
            stroke(&mut mask, &[[i as f32 % 64.0, 5.0]], 4.0, i % 2 == 1);
        }
        assert_eq!(mask.undo.len(), MAX_UNDO);
        let mut large = Mask::new(4096, 4096);
        (0..20).for_each(|_| large.invert());
        assert!(large.can_undo() && large.undo.len() < 20);
        let bytes: usize = large.undo.iter().map(|(_, bytes)| bytes).sum();
        assert!(bytes <= UNDO_BUDGET, "{bytes}");
    }

    #[test]
    fn numbers_that_are_none_paint_nothing() {
        let mut mask = Mask::new(8, 8);
        mask.begin([f32::NAN, 1.0], 4.0, false);
        mask.go_to([f32::INFINITY, 1.0]);
        mask.end();
        assert!(mask.is_empty());
    }

    proptest! {
        /// A stroke is the same in one piece or in several, and every px of it is one that a px by px test would paint.
        #[test]
        fn a_stroke_is_all_within_reach_of_its_line(
            from in prop::array::uniform2(-20.0_f32..60.0), to in prop::array::uniform2(-20.0_f32..60.0),
            size in 1.0_f32..30.0,
        ) {
            let mut mask = Mask::new(40, 40);
            stroke(&mut mask, &[from, to], size, false);
            let (radius, edge) = (size / 2.0, (size / 2.0 * SOFT_SHARE).max(1.0));
            for (x, y) in (0..40).flat_map(|x| (0..40).map(move |y| (x, y))) {
                let place = [x as f32 + 0.5, y as f32 + 0.5];
                // The nearest place of the line, by looking in ever smaller thirds.
                let off = |share: f32| {
                    (place[0] - from[0] - share * (to[0] - from[0])).hypot(place[1] - from[1] - share * (to[1] - from[1]))
                };
                let (mut low, mut high) = (0.0_f32, 1.0_f32);
                for _ in 0..40 {
                    let (one, other) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
                    if off(one) < off(other) { high = other } else { low = one }
                }
                let distance = off(low).min(off(0.0)).min(off(1.0));
                let expected = 255.0 * ((radius - distance) / edge + 0.5).clamp(0.0, 1.0);
                let level = f32::from(mask.plane().level(x, y));
                prop_assert!((level - expected).abs() <= 1.5, "{} {}: {} {}", x, y, level, expected);
            }
        }
    }
}
