//! Garments from the waist down, and the dress.

use super::sleeves::{Sleeve, hanger, neck_back};
use crate::dataset::garments::paint::{Fabric, Ink, Scene};
use crate::dataset::garments::pen::{Pen, Point, flipped};
use crate::dataset::garments::rng::Stream;
use crate::dataset::garments::spec::View;

/// A bodice with straps, broad shoulders or short sleeves, a waist, and a skirt that flares.
pub fn dress(view: View, stream: &mut Stream, scene: &mut Scene) {
    let top = -0.38;
    let (neck, shoulder) = (stream.range(0.06, 0.085), stream.range(0.105, 0.125));
    let (chest, waist) = (stream.range(0.12, 0.135), stream.range(0.092, 0.108));
    let (waist_y, hem_y) = (stream.range(-0.08, -0.04), stream.range(0.3, 0.4));
    let hem = stream.range(0.2, 0.3);
    let sleeves = stream.chance(0.45);
    let depth = stream.range(0.07, 0.11);
    hanger(scene, view, top, shoulder, stream);
    neck_back(scene, neck, top, depth);
    if sleeves {
        let sleeve = Sleeve {
            shoulder: [shoulder, top + 0.025],
            armpit: [chest, top + 0.15],
            length: stream.range(0.08, 0.12),
            cuff: stream.range(0.1, 0.12),
            angle: stream.range(0.6, 0.9),
            rib: 0.0,
        };
        sleeve.draw_pair(stream, scene);
    }
    let full = stream.range(0.0, 0.08);
    let outline = Pen::at(0.0, top + depth)
        .curve(neck * 0.9, top + depth, neck, top)
        .line(shoulder, top + 0.018)
        .curve(chest - 0.025, top + 0.09, chest, top + 0.15)
        .curve(chest * 0.92, waist_y - 0.06, waist, waist_y)
        .curve(waist + (hem - waist) * 0.35 + full, waist_y + (hem_y - waist_y) * 0.4, hem, hem_y)
        .curve(hem * 0.55, hem_y + 0.035, 0.0, hem_y + 0.035);
    scene.piece(outline.mirrored(), Fabric::Cloth);
    skirt_folds(scene, stream, (waist, waist_y), (hem, hem_y));
    let belt = Pen::at(-waist, waist_y).curve(0.0, waist_y + 0.012, waist, waist_y).done();
    if stream.chance(0.6) {
        scene.line(belt, 3.6, Ink::Band(0.72));
    } else {
        scene.line(belt, 1.2, Ink::Seam);
    }
    let line = Pen::at(-neck, top).curve(-neck * 0.9, top + depth, 0.0, top + depth);
    scene.line(line.curve(neck * 0.9, top + depth, neck, top).done(), 1.8, Ink::Band(0.8));
}

/// A waistband and a flare, with folds or pleats.
pub fn skirt(stream: &mut Stream, scene: &mut Scene) {
    let (top, waist) = (-0.26, stream.range(0.13, 0.155));
    let (hem, hem_y) = (stream.range(0.22, 0.34), stream.range(0.2, 0.31));
    let full = stream.range(0.0, 0.06);
    let outline = Pen::at(0.0, top + 0.012)
        .line(waist, top)
        .curve(waist + (hem - waist) * 0.4 + full, top + (hem_y - top) * 0.4, hem, hem_y)
        .curve(hem * 0.55, hem_y + 0.05, 0.0, hem_y + 0.05);
    scene.piece(outline.mirrored(), Fabric::Cloth);
    skirt_folds(scene, stream, (waist, top + 0.03), (hem, hem_y + 0.01));
    let band = Pen::at(0.0, top - 0.01).line(waist - 0.004, top - 0.022).line(waist + 0.004, top + 0.03);
    scene.piece(band.line(0.0, top + 0.04).mirrored(), Fabric::Trim(0.86));
    let line = Pen::at(-hem * 0.985, hem_y - 0.02).curve(-hem * 0.5, hem_y + 0.028, 0.0, hem_y + 0.028);
    scene.line(line.curve(hem * 0.5, hem_y + 0.028, hem * 0.985, hem_y - 0.02).done(), 0.8, Ink::Seam);
}

/// Folds that fan out from a waist to a hem.
fn skirt_folds(scene: &mut Scene, stream: &mut Stream, (waist, waist_y): (f32, f32), (hem, hem_y): (f32, f32)) {
    let count = 4 + stream.below(4);
    for i in 0..count {
        let share = ((i as f32 + 0.5) / count as f32 * 2.0 - 1.0) * 0.92 + stream.range(-0.04, 0.04);
        let start = stream.range(0.05, 0.45);
        let from = [share * (waist + (hem - waist) * start), waist_y + (hem_y - waist_y) * start];
        let to = [share * hem, hem_y + 0.03 * (1.0 - share * share)];
        let bow = [(from[0] + to[0]) * 0.49, f32::midpoint(from[1], to[1])];
        scene.line(Pen::at(from[0], from[1]).curve(bow[0], bow[1], to[0], to[1]).done(), 2.4, Ink::Crease);
    }
}

/// A leg on the wearer's left; the other one is its mirror image.
struct Leg {
    waist: f32,
    top: f32,
    hip: f32,
    hip_y: f32,
    crotch_y: f32,
    outer: f32,
    inner: f32,
    hem_y: f32,
}

impl Leg {
    fn outline(&self) -> Vec<Point> {
        let knee_y = f32::midpoint(self.crotch_y, self.hem_y);
        Pen::at(0.0, self.top + 0.012)
            .line(self.waist, self.top)
            .curve(self.waist + 0.02, self.top + 0.06, self.hip, self.hip_y)
            .curve(f32::midpoint(self.hip, self.outer) - 0.006, knee_y, self.outer, self.hem_y)
            .line(self.inner, self.hem_y + 0.006)
            .curve(f32::midpoint(self.inner, 0.012), knee_y, 0.0, self.crotch_y)
            .done()
    }

    /// What trousers of any length share: band, loops, fly, pockets, the seam below the fly.
    fn details(&self, scene: &mut Scene, stream: &mut Stream) {
        let band = Pen::at(0.0, self.top - 0.008).line(self.waist - 0.003, self.top - 0.018);
        let band = band.line(self.waist + 0.006, self.top + 0.028).line(0.0, self.top + 0.038);
        scene.piece(band.mirrored(), Fabric::Trim(0.9));
        for x in [-0.75, -0.32, 0.32, 0.75] {
            let x = x * self.waist;
            scene.line(vec![[x, self.top - 0.012], [x, self.top + 0.036]], 1.8, Ink::Band(0.72));
        }
        scene.line(vec![[0.0, self.top + 0.038], [0.0, self.crotch_y]], 1.2, Ink::Seam);
        let fly = Pen::at(0.03, self.top + 0.038).line(0.03, self.crotch_y - 0.06);
        scene.line(fly.curve(0.028, self.crotch_y - 0.035, 0.0, self.crotch_y - 0.025).done(), 0.9, Ink::Seam);
        scene.line(vec![[-0.004, self.top + 0.012], [0.004, self.top + 0.012]], 2.6, Ink::Fixed([0.83, 0.76, 0.55]));
        let pocket = Pen::at(self.waist * 0.52, self.top + 0.036);
        let pocket = pocket.curve(self.waist * 0.6, self.top + 0.1, self.hip * 0.97, self.top + 0.1).done();
        scene.line(flipped(&pocket), 1.3, Ink::Seam);
        scene.line(pocket, 1.3, Ink::Seam);
        for side in [-1.0, 1.0] {
            let (x, y) = (side * 0.012, self.crotch_y - 0.005);
            let (dx, dy) = (stream.range(0.05, 0.09), stream.range(-0.01, 0.035));
            scene.line(Pen::at(x, y).curve(x + side * dx * 0.5, y, x + side * dx, y + dy).done(), 2.2, Ink::Crease);
            let cuff = [[side * self.inner, self.hem_y - 0.016], [side * self.outer, self.hem_y - 0.022]];
            scene.line(cuff.to_vec(), 0.9, Ink::Seam);
        }
    }
}

/// Two long legs, narrow to wide, creased at the knees.
pub fn jeans(stream: &mut Stream, scene: &mut Scene) {
    let waist = stream.range(0.135, 0.155);
    let (inner, width) = (stream.range(0.028, 0.06), stream.range(0.1, 0.135));
    let leg = Leg {
        waist,
        top: -0.39,
        hip: waist + stream.range(0.028, 0.04),
        hip_y: -0.24,
        crotch_y: stream.range(-0.16, -0.13),
        outer: inner + width,
        inner,
        hem_y: stream.range(0.36, 0.41),
    };
    scene.piece(flipped(&leg.outline()), Fabric::Cloth);
    scene.piece(leg.outline(), Fabric::Cloth);
    leg.details(scene, stream);
    for side in [-1.0, 1.0] {
        let knee_y = stream.range(0.06, 0.12);
        let middle = f32::midpoint(leg.inner, leg.outer);
        for i in 0..2 {
            let y = knee_y + 0.045 * i as f32;
            let (from, to) = (middle - 0.042, middle + stream.range(0.0, 0.03));
            let crease = Pen::at(side * from, y).curve(side * middle, y + 0.014, side * to, y - 0.004);
            scene.line(crease.done(), 1.9, Ink::Crease);
        }
        let (top, low) = ([side * leg.hip * 0.58, -0.2], [side * middle, leg.hem_y - 0.03]);
        scene.line(Pen::at(top[0], top[1]).curve(side * middle * 1.04, 0.1, low[0], low[1]).done(), 1.2, Ink::Crease);
    }
}

/// Two short, wide legs.
pub fn shorts(stream: &mut Stream, scene: &mut Scene) {
    let waist = stream.range(0.17, 0.19);
    let inner = stream.range(0.018, 0.035);
    let leg = Leg {
        waist,
        top: -0.23,
        hip: waist + stream.range(0.03, 0.045),
        hip_y: -0.08,
        crotch_y: stream.range(0.02, 0.05),
        outer: waist + stream.range(0.06, 0.1),
        inner,
        hem_y: stream.range(0.17, 0.24),
    };
    scene.piece(flipped(&leg.outline()), Fabric::Cloth);
    scene.piece(leg.outline(), Fabric::Cloth);
    leg.details(scene, stream);
    if stream.chance(0.5) {
        for side in [-1.0, 1.0] {
            let end = leg.top + stream.range(0.1, 0.13);
            let string = Pen::at(side * 0.012, leg.top + 0.01).curve(side * 0.03, leg.top + 0.05, side * 0.022, end);
            scene.line(string.done(), 1.9, Ink::Fixed([0.93, 0.92, 0.89]));
        }
    }
}
