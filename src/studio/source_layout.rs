//! Where a picture to begin with lies in what is made of it: what of it is used, and what is painted around it.

use crate::domain::{Extend, GenerateRequest};

use super::Size;

/// A rectangle in px of the picture to begin with. It may reach beyond the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Right edge.
    pub right: f32,
    /// Lower edge.
    pub bottom: f32,
}

/// How a picture becomes a request's size: it is made larger or smaller until it fills it, and cut at its longer sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceLayout {
    /// Width and height of the picture in px.
    pub picture_px: (u32, u32),
    /// Width and height in px that the picture is brought to: the request's, without what is painted around.
    pub inner_px: (u32, u32),
    /// What of the picture is used.
    pub used: Area,
    /// That, and what is painted around it.
    pub whole: Area,
    /// How many of the request's px one of the picture's becomes.
    pub scale: f32,
}

impl SourceLayout {
    /// Lays a picture out for a request.
    #[must_use]
    pub fn new(picture_px: (u32, u32), request: &GenerateRequest) -> Self {
        let extend = request.init.as_ref().map(|init| init.extend).unwrap_or_default();
        let (wide, high) = extend.sides();
        let inner_px = (request.width_px.saturating_sub(wide).max(1), request.height_px.saturating_sub(high).max(1));
        let (width, height) = (picture_px.0.max(1) as f32, picture_px.1.max(1) as f32);
        let scale = (inner_px.0 as f32 / width).max(inner_px.1 as f32 / height);
        let (used_width, used_height) = (inner_px.0 as f32 / scale, inner_px.1 as f32 / scale);
        let (left, top) = ((width - used_width) / 2.0, (height - used_height) / 2.0);
        let used = Area { left, top, right: left + used_width, bottom: top + used_height };
        let whole = Area {
            left: used.left - extend.left as f32 / scale,
            top: used.top - extend.top as f32 / scale,
            right: used.right + extend.right as f32 / scale,
            bottom: used.bottom + extend.bottom as f32 / scale,
        };
        Self { picture_px, inner_px, used, whole, scale }
    }

    /// The picture and what is painted around it.
    #[must_use]
    pub fn bounds(&self) -> Area {
        let Area { left, top, right, bottom } = self.whole;
        let (width, height) = (self.picture_px.0 as f32, self.picture_px.1 as f32);
        Area { left: left.min(0.0), top: top.min(0.0), right: right.max(width), bottom: bottom.max(height) }
    }

    /// How many px of the picture are cut off, in all: at its left and right, and above and below. At most one way.
    #[must_use]
    pub fn cut_px(&self) -> (u32, u32) {
        let cut = |length: u32, used: f32| (length as f32 - used).round().max(0.0) as u32;
        let Area { left, top, right, bottom } = self.used;
        (cut(self.picture_px.0, right - left), cut(self.picture_px.1, bottom - top))
    }

    /// What happens to the picture, where that is not nothing.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let ((width, height), inner) = (self.picture_px, self.inner_px);
        match self.cut_px() {
            _ if self.picture_px == inner => None,
            (0, 0) if inner.0 < width => Some(format!("Made smaller, from {width} × {height} px")),
            (0, 0) => Some(format!("Made larger, from {width} × {height} px")),
            (wide, 0) => Some(format!("{wide} px of its {width} are cut at the left and right")),
            (_, high) => Some(format!("{high} px of its {height} are cut above and below")),
        }
    }
}

/// The size that fits a picture best within a family's bounds: its own where that is allowed, else one of its shape.
#[must_use]
pub fn size_for((width_px, height_px): (u32, u32), bounds: Option<Size>) -> (u32, u32) {
    let bounds =
        bounds.unwrap_or(Size { multiple_px: Extend::MULTIPLE_PX, min_px: Extend::MULTIPLE_PX, max_px: 1 << 20 });
    let (width, height) = (f64::from(width_px.max(1)), f64::from(height_px.max(1)));
    let (least, most) = (f64::from(bounds.min_px), f64::from(bounds.max_px));
    // Large enough at its shorter side, but above all not too large at its longer one.
    let scale = (least / width.min(height)).max(1.0).min(most / width.max(height));
    (bounds.clamp((width * scale).round() as u32), bounds.clamp((height * scale).round() as u32))
}

/// A place at the edge of a picture that can be dragged: −1 is left or above, 1 is right or below, 0 is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    /// Left, neither, right.
    pub x: i8,
    /// Above, neither, below.
    pub y: i8,
}

impl Handle {
    /// All eight, clockwise from the upper left.
    pub const ALL: [Self; 8] = [
        Self { x: -1, y: -1 },
        Self { x: 0, y: -1 },
        Self { x: 1, y: -1 },
        Self { x: 1, y: 0 },
        Self { x: 1, y: 1 },
        Self { x: 0, y: 1 },
        Self { x: -1, y: 1 },
        Self { x: -1, y: 0 },
    ];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.x, self.y) {
            (-1, -1) => "upper left corner",
            (1, -1) => "upper right corner",
            (1, 1) => "lower right corner",
            (-1, 1) => "lower left corner",
            (0, -1) => "upper edge",
            (0, _) => "lower edge",
            (-1, _) => "left edge",
            _ => "right edge",
        }
    }

    /// What is painted around after this place was dragged by so many of the request's px from where `from` held: steps of
    /// 8 px, not inwards, and not beyond `most_px` a side for the whole. `both` moves the opposite edges as far.
    #[must_use]
    pub fn dragged(
        self,
        from: Extend,
        (x_px, y_px): (f32, f32),
        both: bool,
        inner_px: (u32, u32),
        most_px: Option<u32>,
    ) -> Extend {
        let (left, right) = axis((from.left, from.right), self.x, x_px, both, inner_px.0, most_px);
        let (top, bottom) = axis((from.top, from.bottom), self.y, y_px, both, inner_px.1, most_px);
        Extend { left, right, top, bottom }
    }

    /// What is painted around without anything at this place.
    #[must_use]
    pub fn reset(self, from: Extend) -> Extend {
        let keep = |side: i8, own: i8, px: u32| if side == own { 0 } else { px };
        Extend {
            left: keep(self.x, -1, from.left),
            right: keep(self.x, 1, from.right),
            top: keep(self.y, -1, from.top),
            bottom: keep(self.y, 1, from.bottom),
        }
    }
}

/// The two edges of an axis after one of them was dragged.
fn axis(
    (before, behind): (u32, u32),
    side: i8,
    by_px: f32,
    both: bool,
    inner_px: u32,
    most_px: Option<u32>,
) -> (u32, u32) {
    if side == 0 {
        return (before, behind);
    }
    let multiple = Extend::MULTIPLE_PX;
    let (own, other) = if side < 0 { (before, behind) } else { (behind, before) };
    // Casting saturates, and turns NaN to 0.
    let step = |px: f32| (px.max(0.0) / multiple as f32).round() as u32 * multiple;
    let grown = step(own as f32 + f32::from(side) * by_px);
    let room = most_px.map_or(u32::MAX, |most| most.saturating_sub(inner_px)) / multiple * multiple;
    let (own, other) = if both {
        let opposite = step(other as f32 + grown as f32 - own as f32);
        let half = room / 2 / multiple * multiple;
        // Where both do not fit, they share what room there is.
        if grown.saturating_add(opposite) > room { (grown.min(half), opposite.min(half)) } else { (grown, opposite) }
    } else {
        (grown.min(room.saturating_sub(other).max(own)), other)
    };
    if side < 0 { (own, other) } else { (other, own) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::InitImage;

    fn request(width_px: u32, height_px: u32, extend: Extend) -> GenerateRequest {
        let init = InitImage { picture: "a.png".into(), mask: None, strength: 0.5, extend };
        GenerateRequest { width_px, height_px, init: Some(init), ..GenerateRequest::default() }
    }

    #[test]
    fn a_picture_of_another_shape_is_cut_in_the_middle() {
        let layout = SourceLayout::new((800, 600), &request(512, 512, Extend::default()));
        assert_eq!(layout.used, Area { left: 100.0, top: 0.0, right: 700.0, bottom: 600.0 });
        assert_eq!((layout.cut_px(), layout.whole, layout.scale), ((200, 0), layout.used, 512.0 / 600.0));
        assert_eq!(layout.sentence().unwrap(), "200 px of its 800 are cut at the left and right");
        let high = SourceLayout::new((100, 400), &request(64, 64, Extend::default()));
        assert_eq!(high.sentence().unwrap(), "300 px of its 400 are cut above and below");
        let same = SourceLayout::new((512, 512), &request(512, 512, Extend::default()));
        assert_eq!((same.sentence(), same.cut_px()), (None, (0, 0)));
        let smaller = SourceLayout::new((1024, 512), &request(512, 256, Extend::default()));
        assert_eq!(smaller.sentence().unwrap(), "Made smaller, from 1024 × 512 px");
        let larger = SourceLayout::new((64, 64), &request(512, 512, Extend::default()));
        assert_eq!(larger.sentence().unwrap(), "Made larger, from 64 × 64 px");
    }

    #[test]
    fn what_is_painted_around_lies_around_it_in_its_own_px() {
        let extend = Extend { left: 64, right: 0, top: 32, bottom: 8 };
        // 256 × 256 of the picture become 128 × 128.
        let layout = SourceLayout::new((256, 256), &request(128 + 64, 128 + 40, extend));
        assert_eq!(layout.inner_px, (128, 128));
        assert_eq!(layout.whole, Area { left: -128.0, top: -64.0, right: 256.0, bottom: 272.0 });
        assert_eq!(layout.bounds(), layout.whole);
        let broken = SourceLayout::new((0, 0), &request(0, 0, extend));
        assert!(broken.scale.is_finite(), "what is not valid yet is drawn all the same");
    }

    #[test]
    fn the_size_of_a_picture_is_brought_into_bounds_in_its_shape() {
        let bounds = Some(Size { multiple_px: 8, min_px: 256, max_px: 1024 });
        for (picture, size) in [
            ((512, 768), (512, 768)),
            ((4000, 3000), (1024, 768)),
            ((100, 50), (512, 256)),
            ((515, 509), (512, 512)),
            ((10_000, 100), (1024, 256)),
            ((0, 0), (256, 256)),
        ] {
            assert_eq!(size_for(picture, bounds), size, "{picture:?}");
        }
        assert_eq!(size_for((515, 300), None), (512, 304));
    }

    #[test]
    fn a_handle_moves_its_own_edges_in_steps_of_8() {
        let none = Extend::default();
        let inner = (128, 128);
        let left = Handle { x: -1, y: 0 };
        let corner = Handle { x: 1, y: 1 };
        assert_eq!(left.dragged(none, (-29.0, 50.0), false, inner, None), Extend { left: 32, ..none });
        assert_eq!(left.dragged(none, (29.0, 0.0), false, inner, None), none, "not inwards");
        let from = Extend { left: 40, right: 8, top: 0, bottom: 16 };
        assert_eq!(left.dragged(from, (20.0, 0.0), false, inner, None), Extend { left: 24, ..from });
        assert_eq!(corner.dragged(none, (16.0, 24.0), false, inner, None), Extend { right: 16, bottom: 24, ..none },);
        assert_eq!(
            corner.dragged(none, (16.0, 24.0), true, inner, None),
            Extend { left: 16, right: 16, top: 24, bottom: 24 },
        );
        assert_eq!(corner.reset(from), Extend { left: 40, ..none });
        assert_eq!(left.dragged(none, (f32::NAN, 0.0), true, inner, None), none);
    }

    #[test]
    fn the_whole_stays_within_what_the_family_can_draw() {
        let none = Extend::default();
        let right = Handle { x: 1, y: 0 };
        let from = Extend { left: 16, ..none };
        assert_eq!(right.dragged(from, (500.0, 0.0), false, (128, 128), Some(192)), Extend { right: 48, ..from });
        assert_eq!(
            right.dragged(none, (500.0, 0.0), true, (128, 128), Some(192)),
            Extend { left: 32, right: 32, ..none }
        );
        assert_eq!(right.dragged(none, (80.0, 0.0), false, (512, 512), Some(192)), none, "there is no room at all");
    }

    #[test]
    fn every_handle_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> = Handle::ALL.iter().map(|handle| handle.name()).collect();
        assert_eq!(names.len(), 8);
    }
}
