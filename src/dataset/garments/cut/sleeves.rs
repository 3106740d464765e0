//! What garments for the upper body share: sleeves, the opening of the neck, the hanger.

use crate::dataset::garments::paint::{Fabric, Ink, Scene};
use crate::dataset::garments::pen::{Pen, Point, flipped};
use crate::dataset::garments::rng::Stream;
use crate::dataset::garments::spec::View;

/// A sleeve on the wearer's left (our right); the other one is its mirror image.
#[derive(Clone, Copy)]
pub struct Sleeve {
    /// Where the shoulder ends.
    pub shoulder: Point,
    /// Where it meets the side seam.
    pub armpit: Point,
    /// Its length from the middle between the two.
    pub length: f32,
    /// The width of its end.
    pub cuff: f32,
    /// Its angle below the horizontal.
    pub angle: f32,
    /// The height of a ribbed or buttoned cuff; 0 for none.
    pub rib: f32,
}

impl Sleeve {
    /// Draws both sleeves, the second one at a slightly different angle.
    pub fn draw_pair(self, stream: &mut Stream, scene: &mut Scene) {
        let other = Self { angle: self.angle + stream.range(-0.06, 0.06), ..self };
        self.draw(scene, false);
        other.draw(scene, true);
    }

    fn draw(self, scene: &mut Scene, left: bool) {
        let side = |points: Vec<Point>| if left { flipped(&points) } else { points };
        let (sin, cos) = self.angle.sin_cos();
        let middle = [f32::midpoint(self.shoulder[0], self.armpit[0]), f32::midpoint(self.shoulder[1], self.armpit[1])];
        // A place along the sleeve and across it, outwards.
        let at =
            |along: f32, across: f32| [middle[0] + cos * along + sin * across, middle[1] + sin * along - cos * across];
        let (outer, inner) = (at(self.length, self.cuff / 2.0), at(self.length, -self.cuff / 2.0));
        let bend = at(self.length * 0.45, self.cuff * 0.5 + 0.028);
        let under = at(self.length * 0.45, -self.cuff * 0.5 - 0.008);
        let outline = Pen::at(self.shoulder[0] - 0.03, self.shoulder[1] - 0.004)
            .line(self.shoulder[0], self.shoulder[1])
            .curve(bend[0], bend[1], outer[0], outer[1])
            .line(inner[0], inner[1])
            .curve(under[0], under[1], self.armpit[0], self.armpit[1])
            .line(self.armpit[0] - 0.03, self.armpit[1])
            .done();
        // The print runs along the sleeve: its own vertical is the sleeve's direction.
        let grain = self.angle - std::f32::consts::FRAC_PI_2;
        scene.turned(side(outline), Fabric::Cloth, if left { -grain } else { grain });
        if self.rib > 0.0 {
            let corners = [
                at(self.length - self.rib, self.cuff / 2.0 + 0.004),
                at(self.length + 0.003, self.cuff / 2.0 - 0.002),
                at(self.length + 0.003, -self.cuff / 2.0 + 0.002),
                at(self.length - self.rib, -self.cuff / 2.0 - 0.004),
            ];
            scene.piece(side(corners.to_vec()), Fabric::Trim(0.9));
        } else {
            let hem = vec![at(self.length - 0.02, self.cuff / 2.0), at(self.length - 0.02, -self.cuff / 2.0)];
            scene.line(side(hem), 0.8, Ink::Seam);
        }
        if self.length > 0.3 {
            for (start, end) in [(0.5, 0.42), (0.56, 0.53)] {
                let from = at(self.length * start, -self.cuff / 2.0);
                let to = at(self.length * end, self.cuff * 0.15);
                scene.line(side(vec![from, to]), 1.8, Ink::Crease);
            }
        }
    }
}

/// The inner side of the back, seen through the opening of the neck.
pub fn neck_back(scene: &mut Scene, half: f32, top: f32, depth: f32) {
    let opening = Pen::at(0.0, top - 0.012).curve(half * 0.7, top - 0.012, half + 0.012, top - 0.006);
    scene.piece(opening.line(half, top + depth * 0.6).line(0.0, top + depth + 0.02).mirrored(), Fabric::Inside);
}

/// A hanger, its shoulders hidden in the garment and its hook above.
pub fn hanger(scene: &mut Scene, view: View, top: f32, half: f32, stream: &mut Stream) {
    if view != View::OnHanger {
        return;
    }
    let wood = stream.pick(&[[0.62, 0.45, 0.28], [0.5, 0.5, 0.52], [0.28, 0.24, 0.22]]);
    let hook = Pen::at(0.0, top + 0.02).line(0.0, top - 0.05).curve(0.035, top - 0.065, 0.03, top - 0.09).curve(
        0.015,
        top - 0.125,
        -0.02,
        top - 0.098,
    );
    scene.line(hook.done(), 1.9, Ink::Fixed([0.42, 0.42, 0.45]));
    let arms = Pen::at(-half, top + 0.03).curve(-half * 0.4, top - 0.012, 0.0, top - 0.012);
    scene.line(arms.curve(half * 0.4, top - 0.012, half, top + 0.03).done(), 3.2, Ink::Fixed(wood));
}

/// Two or three creases where a garment for the upper body folds: from the armpits inwards and across the waist.
pub fn body_creases(scene: &mut Scene, stream: &mut Stream, chest: f32, armpit_y: f32, hem_y: f32) {
    for side in [-1.0, 1.0] {
        let (dx, dy) = (stream.range(0.05, 0.1), stream.range(0.05, 0.12));
        let crease = Pen::at(side * chest * 0.97, armpit_y + 0.02).curve(
            side * (chest - dx * 0.4),
            armpit_y + dy * 0.8,
            side * (chest - dx),
            armpit_y + dy,
        );
        scene.line(crease.done(), 2.2, Ink::Crease);
    }
    for _ in 0..=stream.below(2) {
        let (x, y) = (stream.range(-0.6, 0.6) * chest, armpit_y + (hem_y - armpit_y) * stream.range(0.35, 0.85));
        let (dx, dy) = (stream.range(-0.08, 0.08), stream.range(0.04, 0.12));
        scene.line(Pen::at(x, y).curve(x + dx * 0.2, y + dy * 0.7, x + dx, y + dy).done(), 2.2, Ink::Crease);
    }
}
