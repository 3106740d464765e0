//! Garments for the upper body: t-shirt, shirt, hoodie, jacket.

use super::sleeves::{Sleeve, body_creases, hanger, neck_back};
use crate::dataset::garments::paint::{Fabric, Ink, Scene};
use crate::dataset::garments::pen::{Pen, ellipse, flipped};
use crate::dataset::garments::rng::Stream;
use crate::dataset::garments::spec::View;

/// The measures of a body from the shoulders to the hem.
struct Body {
    neck: f32,
    shoulder: f32,
    top: f32,
    chest: f32,
    armpit_y: f32,
    hem: f32,
    hem_y: f32,
}

impl Body {
    fn measure(stream: &mut Stream, top: f32, hem_y: (f32, f32)) -> Self {
        let chest = stream.range(0.165, 0.195);
        Self {
            neck: stream.range(0.075, 0.1),
            shoulder: chest + stream.range(0.008, 0.02),
            top,
            chest,
            armpit_y: top + stream.range(0.19, 0.22),
            hem: chest * stream.range(0.96, 1.14),
            hem_y: stream.range(hem_y.0, hem_y.1),
        }
    }

    fn shoulder_y(&self) -> f32 {
        self.top + 0.052
    }

    /// Continues an outline from the neck down the shoulder and the side to the middle of the hem.
    fn side(&self, pen: Pen, round: f32) -> Pen {
        pen.curve(self.shoulder * 0.7, self.top + 0.025, self.shoulder, self.shoulder_y())
            .curve(self.chest - 0.004, self.top + 0.11, self.chest, self.armpit_y)
            .curve(self.chest * 0.98, f32::midpoint(self.armpit_y, self.hem_y), self.hem, self.hem_y)
            .curve(self.hem * 0.5, self.hem_y + round, 0.0, self.hem_y + round)
    }

    fn sleeve(&self, stream: &mut Stream, length: (f32, f32), cuff: (f32, f32), angle: (f32, f32), rib: f32) -> Sleeve {
        Sleeve {
            shoulder: [self.shoulder, self.shoulder_y()],
            armpit: [self.chest, self.armpit_y],
            length: stream.range(length.0, length.1),
            cuff: stream.range(cuff.0, cuff.1),
            angle: stream.range(angle.0, angle.1),
            rib,
        }
    }
}

/// How far long sleeves are spread, in radians below the horizontal.
fn long_sleeve_angle(view: View) -> (f32, f32) {
    if view == View::LaidFlat { (0.95, 1.25) } else { (1.2, 1.38) }
}

/// Short sleeves, a round or pointed neckline with a rib.
pub fn t_shirt(view: View, stream: &mut Stream, scene: &mut Scene) {
    let body = Body::measure(stream, -0.31, (0.28, 0.36));
    let depth = stream.range(0.05, 0.085);
    let pointed = stream.chance(0.3);
    hanger(scene, view, body.top, body.shoulder, stream);
    neck_back(scene, body.neck, body.top, depth);
    let angle = if view == View::LaidFlat { (0.35, 0.65) } else { (0.6, 0.95) };
    body.sleeve(stream, (0.15, 0.21), (0.13, 0.16), angle, 0.0).draw_pair(stream, scene);
    let neckline = |pen: Pen| {
        if pointed {
            pen.line(body.neck, body.top)
        } else {
            pen.curve(body.neck * 0.85, body.top + depth, body.neck, body.top)
        }
    };
    let low = body.top + depth + if pointed { 0.03 } else { 0.0 };
    scene.piece(body.side(neckline(Pen::at(0.0, low)), 0.012).mirrored(), Fabric::Cloth);
    let rib = neckline(Pen::at(0.0, low)).done();
    scene.line(flipped(&rib), 2.6, Ink::Band(0.82));
    scene.line(rib, 2.6, Ink::Band(0.82));
    let hem = Pen::at(-body.hem, body.hem_y - 0.02).curve(0.0, body.hem_y + 0.004, body.hem, body.hem_y - 0.02);
    scene.line(hem.done(), 0.8, Ink::Seam);
    body_creases(scene, stream, body.chest, body.armpit_y, body.hem_y);
}

/// Long sleeves with cuffs, a collar, a button band, a chest pocket.
pub fn shirt(view: View, stream: &mut Stream, scene: &mut Scene) {
    let body = Body::measure(stream, -0.31, (0.29, 0.35));
    let collar = stream.range(0.075, 0.1);
    hanger(scene, view, body.top - 0.02, body.shoulder, stream);
    neck_back(scene, body.neck * 0.9, body.top - 0.012, 0.06);
    body.sleeve(stream, (0.44, 0.5), (0.085, 0.1), long_sleeve_angle(view), 0.05).draw_pair(stream, scene);
    let top = Pen::at(0.0, body.top + 0.075).line(body.neck * 0.85, body.top);
    // The tails are longer than the sides.
    scene.piece(body.side(top, 0.045).mirrored(), Fabric::Cloth);
    let low = body.hem_y + 0.04;
    for x in [-0.022, 0.022] {
        scene.line(vec![[x, body.top + 0.075], [x, low]], 0.9, Ink::Seam);
    }
    if stream.chance(0.6) {
        let (x, y, size) = (body.chest * 0.36, body.armpit_y - 0.01, 0.085);
        let pocket = Pen::at(x, y).line(x + size, y).line(x + size, y + size).line(x + size / 2.0, y + size + 0.018);
        scene.line(pocket.line(x, y + size).line(x, y).done(), 1.0, Ink::Seam);
    }
    // The collar: two wings that meet at the top button.
    let wing = Pen::at(0.0, body.top + 0.07)
        .line(collar * 0.72, body.top + collar + 0.035)
        .line(body.neck + 0.018, body.top + 0.018)
        .curve(body.neck, body.top - 0.03, body.neck * 0.72, body.top - 0.034)
        .curve(body.neck * 0.5, body.top + 0.03, 0.0, body.top + 0.07)
        .done();
    scene.piece(flipped(&wing), Fabric::Trim(0.97));
    scene.piece(wing, Fabric::Trim(0.97));
    let step = (low - body.top - 0.14) / 5.0;
    for i in 0..6 {
        let y = body.top + 0.105 + step * i as f32;
        scene.piece(ellipse(0.0, y, 0.0095, 0.0095), Fabric::Fixed([0.93, 0.92, 0.88]));
    }
    body_creases(scene, stream, body.chest, body.armpit_y, body.hem_y);
}

/// A hood, a pouch pocket, strings, ribs at the cuffs and the hem.
pub fn hoodie(view: View, stream: &mut Stream, scene: &mut Scene) {
    let mut body = Body::measure(stream, -0.25, (0.29, 0.34));
    (body.chest, body.shoulder) = (body.chest + 0.012, body.shoulder + 0.01);
    let (wide, high) = (stream.range(0.13, 0.15), stream.range(0.15, 0.175));
    hanger(scene, view, body.top - high + 0.015, body.shoulder * 0.6, stream);
    body.sleeve(stream, (0.42, 0.47), (0.1, 0.12), long_sleeve_angle(view), 0.042).draw_pair(stream, scene);
    let top = Pen::at(0.0, body.top + 0.07).line(body.neck, body.top);
    scene.piece(body.side(top, 0.004).mirrored(), Fabric::Cloth);
    let (rib_top, rib_low) = (body.hem_y - 0.035, body.hem_y + 0.012);
    let rib = Pen::at(0.0, rib_top + 0.006).line(body.hem * 1.01, rib_top).line(body.hem * 0.95, rib_low);
    scene.piece(rib.line(0.0, rib_low + 0.004).mirrored(), Fabric::Trim(0.88));
    // The hood stands up behind the neck; its opening shows the inside.
    let hood = Pen::at(0.0, body.top - high)
        .curve(wide * 0.9, body.top - high, wide, body.top - high * 0.3)
        .curve(wide * 1.02, body.top + 0.03, wide * 0.8, body.top + 0.045)
        .curve(wide * 0.3, body.top + 0.07, 0.0, body.top + 0.115);
    scene.piece(hood.mirrored(), Fabric::Cloth);
    let opening = Pen::at(0.0, body.top - high + 0.04)
        .curve(wide * 0.62, body.top - high + 0.04, wide * 0.66, body.top - high * 0.25)
        .curve(wide * 0.55, body.top + 0.02, 0.0, body.top + 0.085);
    scene.piece(opening.mirrored(), Fabric::Inside);
    for side in [-1.0, 1.0] {
        let end = body.top + stream.range(0.17, 0.22);
        let string = Pen::at(side * 0.035, body.top + 0.075).curve(side * 0.045, body.top + 0.12, side * 0.04, end);
        scene.line(string.done(), 2.0, Ink::Fixed([0.93, 0.92, 0.89]));
    }
    let (pouch_top, pouch) = (rib_top - stream.range(0.15, 0.175), body.chest * 0.52);
    let pocket = Pen::at(-pouch, pouch_top)
        .line(pouch, pouch_top)
        .line(pouch * 1.4, pouch_top + 0.09)
        .line(pouch * 1.4, rib_top)
        .line(-pouch * 1.4, rib_top)
        .line(-pouch * 1.4, pouch_top + 0.09)
        .line(-pouch, pouch_top);
    scene.line(pocket.done(), 1.3, Ink::Seam);
    body_creases(scene, stream, body.chest, body.armpit_y, pouch_top);
}

/// Two open fronts over a dark lining, lapels or a stand-up collar, pockets, a zip.
pub fn jacket(view: View, stream: &mut Stream, scene: &mut Scene) {
    let mut body = Body::measure(stream, -0.31, (0.27, 0.35));
    (body.chest, body.shoulder) = (body.chest + 0.02, body.shoulder + 0.02);
    let gap = stream.range(0.035, 0.06);
    let lapels = stream.chance(0.5);
    hanger(scene, view, body.top - 0.01, body.shoulder, stream);
    body.sleeve(stream, (0.44, 0.49), (0.095, 0.11), long_sleeve_angle(view), if lapels { 0.0 } else { 0.04 })
        .draw_pair(stream, scene);
    let back = Pen::at(0.0, body.top - 0.012).line(body.neck, body.top - 0.01);
    let back = back.line(body.hem * 0.8, body.hem_y - 0.035).line(0.0, body.hem_y - 0.03);
    scene.piece(back.mirrored(), Fabric::Inside);
    let flare = stream.range(0.01, 0.03);
    let collar = body.neck * 0.95;
    let front = body.side(Pen::at(gap, body.top + 0.2).line(collar, body.top), 0.0).done();
    // The side ends in the middle of the hem; a front ends at the gap, a little wider below.
    let hem_end = front.len() - 8;
    let mut front: Vec<_> = front[..hem_end].to_vec();
    front.extend([[gap + flare + 0.02, body.hem_y + 0.012], [gap + flare, body.hem_y]]);
    scene.piece(flipped(&front), Fabric::Cloth);
    scene.piece(front, Fabric::Cloth);
    for side in [-1.0, 1.0] {
        let at = |x: f32, y: f32| [side * x, y];
        if lapels {
            let lapel = vec![
                at(gap, body.top + 0.24),
                at(gap + 0.085, body.top + 0.105),
                at(gap + 0.06, body.top + 0.09),
                at(collar + 0.035, body.top + 0.05),
                at(collar + 0.012, body.top - 0.004),
                at(collar - 0.01, body.top - 0.016),
            ];
            scene.piece(lapel, Fabric::Trim(0.93));
        } else {
            let stand = vec![
                at(gap + 0.01, body.top + 0.15),
                at(collar + 0.035, body.top + 0.04),
                at(collar + 0.015, body.top - 0.045),
                at(collar - 0.02, body.top - 0.05),
                at(collar * 0.7, body.top + 0.06),
            ];
            scene.piece(stand, Fabric::Trim(0.9));
            let zip = vec![at(gap + 0.002, body.top + 0.15), at(gap + flare, body.hem_y)];
            scene.line(zip, 1.8, Ink::Fixed([0.72, 0.72, 0.75]));
        }
        let (x, y) = (body.hem * 0.62, body.hem_y - 0.13);
        scene.line(vec![at(x - 0.035, y + 0.02), at(x + 0.04, y - 0.005)], 2.0, Ink::Seam);
        scene.line(vec![at(gap + flare, body.hem_y - 0.022), at(body.hem, body.hem_y - 0.022)], 0.9, Ink::Seam);
    }
    body_creases(scene, stream, body.chest, body.armpit_y, body.hem_y - 0.1);
}
