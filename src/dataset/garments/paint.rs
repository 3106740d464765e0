//! The pieces that a garment is made of, and how one piece after another is laid on the picture.

use super::pattern::Print;
use super::pen::Point;
use super::raster::Mask;
use super::shade::{Rgb, lit, luma, mix};

/// What a piece is made of.
#[derive(Clone, Copy, Debug)]
pub enum Fabric {
    /// The garment's cloth with its print.
    Cloth,
    /// The garment's colour without the print, this much brighter or darker: ribs, collars, straps.
    Trim(f32),
    /// The inner side of the cloth, seen through an opening.
    Inside,
    /// Something else: a sole, a hanger.
    Fixed(Rgb),
}

/// What a line is drawn with.
#[derive(Clone, Copy, Debug)]
pub enum Ink {
    /// A seam: a darker line, on dark cloth a lighter one.
    Seam,
    /// A crease: a soft shadow with light beside it, only on the garment.
    Crease,
    /// A band of the garment's colour without the print, this much brighter or darker.
    Band(f32),
    /// Something else: laces, a zip.
    Fixed(Rgb),
}

/// A piece or a line of a garment, in its own space.
#[derive(Clone, Debug)]
pub enum Item {
    /// A piece of cloth.
    Piece {
        /// Its closed outline.
        outline: Vec<Point>,
        /// What it is made of.
        fabric: Fabric,
        /// The angle that the print on it is turned by: along a sleeve.
        grain: f32,
    },
    /// A line on top of the pieces so far.
    Line {
        /// Its points.
        points: Vec<Point>,
        /// Its width in 128ths of the picture.
        width: f32,
        /// What it is drawn with.
        ink: Ink,
    },
}

/// The pieces of a garment, from the back to the front.
#[derive(Default)]
pub struct Scene {
    /// In the order of drawing.
    pub items: Vec<Item>,
}

impl Scene {
    /// Lays a piece on top.
    pub fn piece(&mut self, outline: Vec<Point>, fabric: Fabric) {
        self.turned(outline, fabric, 0.0);
    }

    /// Lays a piece on top whose print is turned.
    pub fn turned(&mut self, outline: Vec<Point>, fabric: Fabric, grain: f32) {
        self.items.push(Item::Piece { outline, fabric, grain });
    }

    /// Draws a line on top.
    pub fn line(&mut self, points: Vec<Point>, width: f32, ink: Ink) {
        self.items.push(Item::Line { points, width, ink });
    }
}

/// What is the same for all pieces of a picture.
pub struct Cloth {
    /// The garment's colour.
    pub colour: Rgb,
    /// The print's colour.
    pub second: Rgb,
    /// The print.
    pub print: Print,
    /// How bright the folds are at each pixel, around 1.
    pub folds: Vec<f32>,
    /// Towards the light, in the picture; its length is the light's strength.
    pub light: Point,
    /// Pixels a 128th of the picture.
    pub scale: f32,
    /// From px in the picture to the garment's own space: rows of an affine map.
    pub unplace: [[f32; 3]; 2],
}

/// A square picture in the making.
pub struct Canvas {
    /// Its side in px.
    pub side: usize,
    /// Row by row, sRGB.
    pub cells: Vec<Rgb>,
    /// How much of each pixel the garment covers.
    pub body: Vec<f32>,
}

impl Canvas {
    /// Calls `put` with the picture's cell and the mask's cell for every pixel that a mask touches.
    fn under(&mut self, mask: &Mask, mut put: impl FnMut(&mut Rgb, &mut f32, usize, (usize, usize))) {
        for y in 0..mask.height {
            let row = mask.top + y as i32;
            if row < 0 || row as usize >= self.side {
                continue;
            }
            for x in 0..mask.width {
                let (column, cell) = (mask.left + x as i32, y * mask.width + x);
                if column >= 0 && (column as usize) < self.side && mask.cover[cell] > 0.002 {
                    let at = row as usize * self.side + column as usize;
                    put(&mut self.cells[at], &mut self.body[at], at, (x, y));
                }
            }
        }
    }

    /// Lays a piece on the picture: its cloth, rounded towards its edges, and a dark edge line.
    pub fn piece(&mut self, mask: &Mask, edge: &Mask, fabric: Fabric, grain: f32, cloth: &Cloth) {
        let radius = (2.6 * cloth.scale).round().max(1.0) as usize;
        let soft = mask.blurred(radius);
        let at = |x: usize, y: usize| soft[y.min(mask.height - 1) * mask.width + x.min(mask.width - 1)];
        let (sin, cos) = grain.sin_cos();
        let slope = 1.1 * radius as f32;
        self.under(mask, |cell, body, pixel, (x, y)| {
            let cover = mask.cover[y * mask.width + x].min(1.0);
            let across = at(x + 1, y) - at(x.saturating_sub(1), y);
            let down = at(x, y + 1) - at(x, y.saturating_sub(1));
            let relief = -slope * (across * cloth.light[0] + down * cloth.light[1]);
            let bright = cloth.folds[pixel] * (1.0 + 0.22 * relief - 0.16 * (1.0 - at(x, y)));
            let colour = match fabric {
                Fabric::Fixed(colour) => lit(colour, 1.0 + 0.5 * (bright - 1.0)),
                Fabric::Inside => lit(cloth.colour, 0.52),
                Fabric::Trim(shade) => lit(cloth.colour, shade * bright),
                Fabric::Cloth => {
                    let [u, v] = cloth.place(mask.centre(x, y));
                    let share = cloth.print.share([u * cos + v * sin, v * cos - u * sin], cloth.scale);
                    lit(mix(cloth.colour, cloth.second, share), bright)
                }
            };
            *cell = mix(*cell, colour, cover);
            *body = body.max(cover);
        });
        let line = match fabric {
            Fabric::Fixed(colour) => colour.map(|value| value * 0.55),
            // Light cloth needs the line most: it is what parts white from white.
            _ => cloth.colour.map(|value| value * if luma(cloth.colour) > 0.7 { 0.5 } else { 0.42 }),
        };
        self.under(edge, |cell, body, _, (x, y)| {
            let cover = edge.cover[y * edge.width + x];
            *cell = mix(*cell, line, 0.8 * cover);
            *body = body.max(cover);
        });
    }

    /// Draws a line on the picture.
    pub fn line(&mut self, mask: &Mask, ink: Ink, cloth: &Cloth) {
        let dark = luma(cloth.colour) < 0.2;
        let soft =
            if matches!(ink, Ink::Crease) { mask.blurred(cloth.scale.round().max(1.0) as usize) } else { vec![] };
        self.under(mask, |cell, body, pixel, (x, y)| {
            let cover = mask.cover[y * mask.width + x];
            *cell = match ink {
                Ink::Seam if dark => mix(*cell, lit(*cell, 1.45), 0.75 * cover),
                Ink::Seam => mix(*cell, cell.map(|value| value * 0.6), 0.8 * cover),
                Ink::Crease => lit(*cell, 1.0 - 0.2 * soft[y * mask.width + x] * *body),
                Ink::Band(shade) => mix(*cell, lit(cloth.colour, shade * cloth.folds[pixel]), cover),
                Ink::Fixed(colour) => mix(*cell, colour, cover),
            };
            if matches!(ink, Ink::Band(_) | Ink::Fixed(_)) {
                *body = body.max(cover);
            }
        });
    }
}

impl Cloth {
    /// The place on the garment, in 128ths of the picture, of a place on the picture in px.
    pub fn place(&self, [x, y]: Point) -> Point {
        self.unplace.map(|row| 128.0 * (row[0] * x + row[1] * y + row[2]))
    }
}
