//! Draws a garment as a catalogue picture: background, soft shadow, the pieces of the cut, light and folds.

use std::f32::consts::TAU;

use super::cut;
use super::paint::{Canvas, Cloth, Fabric, Ink, Item, Scene};
use super::pattern::Print;
use super::pen::Point;
use super::raster::{Mask, box_blur};
use super::rng::Stream;
use super::shade::mix;
use super::spec::{GarmentSpec, View};
use crate::domain::Picture;

/// Draws a garment on a square of `side_px`. The same spec gives the same picture; sizes differ in sharpness alone.
#[must_use]
pub fn render(spec: &GarmentSpec, side_px: u32) -> Picture {
    draw(spec, Print::of(spec.pattern, spec.variation), side_px)
}

/// Draws a garment with another print than its own.
pub(super) fn draw(spec: &GarmentSpec, print: Print, side_px: u32) -> Picture {
    let side = side_px.max(1) as usize;
    let mut stream = Stream::keyed(&[spec.variation, 0x0d7a]);
    let mut scene = Scene::default();
    cut::cut(spec.kind, spec.view, &mut stream, &mut scene);
    let (place, cloth) = dress(spec, print, side, &mut stream);
    let shapes: Vec<Shape> = scene.items.iter().map(|item| Shape::of(item, &place, cloth.scale)).collect();

    let mut canvas = ground(spec, side, &mut stream);
    cast_shadow(&mut canvas, &shapes, spec.view, &cloth, &mut stream);
    for shape in &shapes {
        match shape {
            Shape::Piece { mask, edge, fabric, grain } => canvas.piece(mask, edge, *fabric, *grain, &cloth),
            Shape::Line { mask, ink } => canvas.line(mask, *ink, &cloth),
        }
    }
    let rgba = canvas
        .cells
        .iter()
        .flat_map(|cell| {
            let [red, green, blue] = cell.map(|value| (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8);
            [red, green, blue, 255]
        })
        .collect();
    Picture { width_px: side as u32, height_px: side as u32, rgba }
}

/// A picture as an autoencoder takes it: [3, height, width], each value in [-1, 1]. Transparency is ignored.
#[must_use]
pub fn to_chw_f32(picture: &Picture) -> Vec<f32> {
    (0..3)
        .flat_map(|channel| picture.rgba.iter().skip(channel).step_by(4).map(|value| f32::from(*value) / 127.5 - 1.0))
        .collect()
}

/// An affine map from a garment's own space to px.
struct Place {
    rows: [[f32; 3]; 2],
}

impl Place {
    fn put(&self, points: &[Point]) -> Vec<Point> {
        points.iter().map(|[x, y]| self.rows.map(|row| row[0] * x + row[1] * y + row[2])).collect()
    }

    fn inverse(&self) -> [[f32; 3]; 2] {
        let [[a, b, e], [c, d, f]] = self.rows;
        let scale = 1.0 / (a * d - b * c);
        [[d * scale, -b * scale, (b * f - d * e) * scale], [-c * scale, a * scale, (c * e - a * f) * scale]]
    }
}

/// An item in px.
enum Shape {
    Piece { mask: Mask, edge: Mask, fabric: Fabric, grain: f32 },
    Line { mask: Mask, ink: Ink },
}

impl Shape {
    fn of(item: &Item, place: &Place, scale: f32) -> Self {
        match item {
            Item::Piece { outline, fabric, grain } => {
                let outline = place.put(outline);
                let edge = Mask::stroke(&outline, 1.5 * scale, true);
                Self::Piece { mask: Mask::fill(&outline, 6.0 * scale), edge, fabric: *fabric, grain: *grain }
            }
            Item::Line { points, width, ink } => {
                Self::Line { mask: Mask::stroke(&place.put(points), width * scale, false), ink: *ink }
            }
        }
    }

    /// What covers the background, if it does.
    fn solid(&self) -> Option<&Mask> {
        match self {
            Self::Piece { mask, .. } | Self::Line { mask, ink: Ink::Band(_) | Ink::Fixed(_) } => Some(mask),
            Self::Line { .. } => None,
        }
    }
}

/// Decides the pose, the light and the folds.
fn dress(spec: &GarmentSpec, print: Print, side: usize, stream: &mut Stream) -> (Place, Cloth) {
    let size = side as f32;
    let turn = stream.range(-1.0, 1.0) * if spec.view == View::LaidFlat { 0.17 } else { 0.07 };
    let zoom = stream.range(0.9, 1.06);
    let (wide, tall) = (stream.range(0.95, 1.06) * zoom, stream.range(0.95, 1.05) * zoom);
    let shift = [stream.range(-0.035, 0.035), stream.range(-0.03, 0.03)];
    let (sin, cos) = turn.sin_cos();
    let rows = [
        [size * cos * wide, -size * sin * tall, size * (0.5 + shift[0])],
        [size * sin * wide, size * cos * tall, size * (0.5 + shift[1])],
    ];
    let place = Place { rows };

    let from = stream.range(-2.5, -0.65); // from above: between the left and the right
    let strength = stream.range(0.8, 1.25);
    let tint: [f32; 3] = {
        let bright = stream.range(-0.022, 0.022);
        std::array::from_fn(|_| bright + stream.range(-0.014, 0.014))
    };
    let tinted = |colour: [f32; 3]| std::array::from_fn(|i| (colour[i] + tint[i]).clamp(0.0, 1.0));
    let colour = tinted(spec.colour.srgb());
    let unplace = place.inverse();
    let cloth = Cloth {
        colour,
        second: spec.pattern_colour.map_or(colour, |second| tinted(second.srgb())),
        print,
        folds: folds(side, &unplace, stream),
        light: [strength * from.cos(), strength * from.sin()],
        scale: size / 128.0,
        unplace,
    };
    (place, cloth)
}

/// The brightness of slow waves in the cloth, around 1.
fn folds(side: usize, unplace: &[[f32; 3]; 2], stream: &mut Stream) -> Vec<f32> {
    let wave = |stream: &mut Stream, length: f32, angle: f32| {
        let (sin, cos) = angle.sin_cos();
        ([TAU / length * cos, TAU / length * sin], stream.range(0.0, TAU))
    };
    let (long_angle, short_angle) = (stream.range(-0.9, 0.9), stream.range(-0.5, 0.5));
    let (long_length, short_length) = (stream.range(0.35, 0.6), stream.range(0.14, 0.22));
    let long = wave(stream, long_length, long_angle);
    let short = wave(stream, short_length, short_angle);
    let bend = wave(stream, 0.5, std::f32::consts::FRAC_PI_2);
    let (deep, fine) = (stream.range(0.02, 0.055), stream.range(0.01, 0.035));
    let at = |(direction, phase): (Point, f32), [x, y]: Point| direction[0] * x + direction[1] * y + phase;
    (0..side * side)
        .map(|i| {
            let (x, y) = ((i % side) as f32 + 0.5, (i / side) as f32 + 0.5);
            let p = unplace.map(|row| row[0] * x + row[1] * y + row[2]);
            let warp = at(bend, p).sin();
            1.0 + deep * (at(long, p) + 0.7 * warp).sin() + fine * (at(short, p) + 1.3 * warp).sin()
        })
        .collect()
}

/// The background: its colour, a little lighter around a place.
fn ground(spec: &GarmentSpec, side: usize, stream: &mut Stream) -> Canvas {
    let [above, below] = spec.background.srgb();
    let glow = [stream.range(0.25, 0.75), stream.range(0.2, 0.6)];
    let (bright, fall) = (stream.range(-0.012, 0.008), stream.range(0.0, 0.03));
    let cells = (0..side * side)
        .map(|i| {
            let (x, y) = (((i % side) as f32 + 0.5) / side as f32, ((i / side) as f32 + 0.5) / side as f32);
            let away = (x - glow[0]).powi(2) + (y - glow[1]).powi(2);
            mix(above, below, y).map(|value| (value + bright - fall * away).clamp(0.0, 1.0))
        })
        .collect();
    Canvas { side, cells, body: vec![0.0; side * side] }
}

/// Darkens the background where the garment stands in the light.
fn cast_shadow(canvas: &mut Canvas, shapes: &[Shape], view: View, cloth: &Cloth, stream: &mut Stream) {
    let side = canvas.side;
    let reach = if view == View::LaidFlat { stream.range(1.0, 2.2) } else { stream.range(1.6, 3.6) } * cloth.scale;
    let depth = stream.range(0.14, 0.26);
    let (dx, dy) = ((-cloth.light[0] * reach).round() as i32, (-cloth.light[1] * reach).round() as i32);
    let mut shadow = vec![0.0f32; side * side];
    for mask in shapes.iter().filter_map(Shape::solid) {
        for y in 0..mask.height {
            for x in 0..mask.width {
                let (column, row) = (mask.left + x as i32 + dx, mask.top + y as i32 + dy);
                if (0..side as i32).contains(&column) && (0..side as i32).contains(&row) {
                    let cell = &mut shadow[row as usize * side + column as usize];
                    *cell = cell.max(mask.cover[y * mask.width + x]);
                }
            }
        }
    }
    let radius = (stream.range(1.6, 3.4) * cloth.scale).round().max(1.0) as usize;
    box_blur(&mut shadow, side, side, radius);
    box_blur(&mut shadow, side, side, radius);
    for (cell, shade) in canvas.cells.iter_mut().zip(shadow) {
        *cell = cell.map(|value| value * (1.0 - depth * shade));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::garments::spec::{Kind, Split};

    #[test]
    fn pictures_repeat_and_differ() {
        let spec = GarmentSpec::sample(3, 14, Split::Train);
        assert_eq!(render(&spec, 64), render(&spec, 64));
        assert_ne!(render(&spec, 64), render(&GarmentSpec { variation: spec.variation ^ 1, ..spec }, 64));
        assert_ne!(
            render(&spec, 64),
            render(&GarmentSpec { kind: Kind::ALL[(spec.kind as usize + 1) % 11], ..spec }, 64)
        );
    }

    /// A small picture is the large one seen from afar, so that a size is a matter of sharpness alone.
    #[test]
    fn sizes_agree() {
        for index in 0..6 {
            let spec = GarmentSpec::sample(5, index, Split::Train);
            let (small, large) = (render(&spec, 64), render(&spec, 128));
            let mut difference = 0.0;
            for y in 0..64 {
                for x in 0..64 {
                    let at = |dx: usize, dy: usize| f32::from(large.rgba[4 * ((2 * y + dy) * 128 + 2 * x + dx)]);
                    let mean = (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1)) / 4.0;
                    difference += (mean - f32::from(small.rgba[4 * (y * 64 + x)])).abs() / 4096.0;
                }
            }
            assert!(difference < 4.0, "{spec:?}: {difference} of 255");
        }
    }

    #[test]
    fn tensors_hold_the_channels_apart() {
        let picture = Picture { width_px: 2, height_px: 1, rgba: vec![0, 255, 51, 255, 255, 0, 204, 0] };
        let expected = [-1.0, 1.0, 1.0, -1.0, -0.6, 0.6];
        let values = to_chw_f32(&picture);
        assert!(values.iter().zip(expected).all(|(value, expected)| (value - expected).abs() < 1e-6), "{values:?}");
    }
}
