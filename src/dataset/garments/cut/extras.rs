//! What goes with clothes: bucket hat, shoe, bag.

use crate::dataset::garments::paint::{Fabric, Ink, Item, Scene};
use crate::dataset::garments::pen::{Pen, ellipse, flipped};
use crate::dataset::garments::rng::Stream;

/// A round crown on a sloping brim with rows of stitches.
pub fn bucket_hat(stream: &mut Stream, scene: &mut Scene) {
    let (crown, top) = (stream.range(0.175, 0.2), stream.range(-0.25, -0.2));
    let base = crown + stream.range(0.02, 0.04);
    let (seam_y, brim, brim_y) = (0.03, stream.range(0.33, 0.38), stream.range(0.15, 0.2));
    let drop = stream.range(0.05, 0.07);
    // The brim's far side, seen from inside below its front edge, gives it thickness.
    let under = Pen::at(0.0, brim_y - 0.02).line(brim * 0.97, brim_y - 0.012);
    scene.piece(under.curve(brim * 0.6, brim_y + drop + 0.012, 0.0, brim_y + drop + 0.02).mirrored(), Fabric::Inside);
    let brim_shape = Pen::at(0.0, seam_y - 0.02)
        .line(base, seam_y - 0.03)
        .curve(brim * 0.82, seam_y + 0.02, brim, brim_y - 0.03)
        .curve(brim * 1.01, brim_y - 0.005, brim * 0.96, brim_y)
        .curve(brim * 0.55, brim_y + drop, 0.0, brim_y + drop);
    scene.piece(brim_shape.mirrored(), Fabric::Cloth);
    let crown_shape = Pen::at(0.0, top - 0.012)
        .curve(crown * 0.8, top - 0.012, crown, top + 0.035)
        .curve(crown + 0.01, top + 0.06, base, seam_y)
        .curve(base * 0.55, seam_y + 0.045, 0.0, seam_y + 0.045);
    scene.piece(crown_shape.mirrored(), Fabric::Cloth);
    let rim = Pen::at(-crown, top + 0.035).curve(-crown * 0.6, top + 0.075, 0.0, top + 0.075);
    scene.line(rim.curve(crown * 0.6, top + 0.075, crown, top + 0.035).done(), 1.3, Ink::Seam);
    for share in [0.4, 0.72] {
        let x = base + (brim - base) * share;
        let y = seam_y + (brim_y - seam_y) * share;
        let dip = 0.045 + (drop - 0.045) * share;
        let stitches = Pen::at(-x, y).curve(-x * 0.55, y + dip, 0.0, y + dip);
        scene.line(stitches.curve(x * 0.55, y + dip, x, y).done(), 0.8, Ink::Seam);
    }
    if stream.chance(0.5) {
        let band = Pen::at(-base, seam_y - 0.012).curve(-base * 0.55, seam_y + 0.033, 0.0, seam_y + 0.033);
        scene.line(band.curve(base * 0.55, seam_y + 0.033, base, seam_y - 0.012).done(), 3.2, Ink::Band(0.75));
    }
    for side in [-1.0, 1.0] {
        scene.piece(ellipse(side * crown * 0.62, -0.05, 0.009, 0.009), Fabric::Fixed([0.8, 0.79, 0.75]));
    }
}

/// A sneaker from its side: sole, upper, cap, laces, heel.
pub fn shoe(stream: &mut Stream, scene: &mut Scene) {
    let first = scene.items.len();
    let (toe, heel) = (stream.range(0.37, 0.4), stream.range(-0.37, -0.34));
    let (ground, sole) = (0.19, stream.range(0.055, 0.075));
    let (ankle, high) = (stream.range(-0.21, -0.16), stream.chance(0.35));
    let rise = if high { ankle - 0.11 } else { ankle };
    let sole_top = ground - sole;
    // The far side of the opening, then the tongue, the upper, the sole.
    let tongue_x = -0.06;
    let opening = Pen::at(heel + 0.03, rise + 0.02)
        .curve(heel + 0.1, rise - 0.035, tongue_x - 0.01, rise - 0.015)
        .line(tongue_x + 0.02, rise + 0.09);
    scene.piece(opening.line(heel + 0.05, rise + 0.09).done(), Fabric::Inside);
    let tongue =
        Pen::at(tongue_x - 0.03, rise - 0.03).curve(tongue_x + 0.01, rise - 0.06, tongue_x + 0.03, rise - 0.02);
    scene.piece(tongue.line(tongue_x + 0.1, rise + 0.16).line(tongue_x - 0.01, rise + 0.14).done(), Fabric::Trim(0.85));
    let upper = Pen::at(heel, rise + 0.012)
        .curve(heel + 0.02, rise - 0.02, heel + 0.045, rise + 0.012)
        .curve(heel + 0.11, rise + 0.075, tongue_x - 0.035, rise + 0.022)
        .line(tongue_x + 0.012, rise + 0.012)
        .curve(0.06, -0.02, 0.15, 0.01)
        .curve(toe - 0.02, 0.03, toe, sole_top - 0.01)
        .curve(toe + 0.004, sole_top + 0.01, toe - 0.01, sole_top + 0.02)
        .line(heel - 0.012, sole_top + 0.02)
        .curve(heel - 0.03, 0.0, heel, rise + 0.012);
    scene.piece(upper.done(), Fabric::Cloth);
    let cap = Pen::at(toe - 0.15, sole_top + 0.02).curve(toe - 0.155, 0.035, toe - 0.13, 0.017).curve(
        toe - 0.02,
        0.035,
        toe - 0.002,
        sole_top - 0.008,
    );
    let pale = Fabric::Fixed([0.93, 0.93, 0.91]);
    scene.piece(
        cap.line(toe - 0.005, sole_top + 0.02).done(),
        if stream.chance(0.5) { pale } else { Fabric::Trim(0.86) },
    );
    let counter = Pen::at(heel - 0.012, sole_top + 0.02).curve(heel - 0.028, 0.0, heel - 0.006, rise + 0.1);
    let counter = counter.curve(heel + 0.08, rise + 0.12, heel + 0.1, sole_top + 0.02);
    scene.piece(counter.done(), Fabric::Trim(0.8));
    for i in 0..4 {
        let share = i as f32 / 3.6;
        let x = tongue_x + 0.022 + 0.15 * share;
        let y = rise + 0.045 + (0.012 - rise - 0.06) * share;
        scene.line(vec![[x, y], [x - 0.06, y + 0.045]], 2.4, Ink::Fixed([0.95, 0.95, 0.93]));
    }
    let sole_shape = Pen::at(heel - 0.02, sole_top + 0.008)
        .line(toe - 0.01, sole_top + 0.008)
        .curve(toe + 0.028, sole_top, toe + 0.022, sole_top + 0.03)
        .curve(toe + 0.01, ground, toe - 0.05, ground)
        .line(heel + 0.02, ground)
        .curve(heel - 0.035, ground, heel - 0.03, sole_top + 0.03);
    scene.piece(sole_shape.done(), pale);
    scene.line(vec![[heel - 0.018, sole_top + 0.038], [toe + 0.012, sole_top + 0.038]], 1.2, Ink::Seam);
    if stream.chance(0.5) {
        for item in &mut scene.items[first..] {
            match item {
                Item::Piece { outline, .. } => *outline = flipped(outline),
                Item::Line { points, .. } => *points = flipped(points),
            }
        }
    }
}

/// A tote with two handles or a handbag with one and a flap.
pub fn bag(stream: &mut Stream, scene: &mut Scene) {
    let tote = stream.chance(0.5);
    let (top, low) = if tote { (-0.12, stream.range(0.3, 0.36)) } else { (-0.06, stream.range(0.24, 0.3)) };
    let (wide, base) = if tote {
        (stream.range(0.24, 0.28), stream.range(0.21, 0.26))
    } else {
        (stream.range(0.23, 0.26), stream.range(0.27, 0.32))
    };
    let rise = if tote { stream.range(0.2, 0.26) } else { stream.range(0.22, 0.28) };
    let grip = wide * stream.range(0.42, 0.55);
    let handle = |lift: f32, shift: f32, foot: f32| {
        Pen::at(-grip + shift, foot)
            .curve(-grip * 0.95 + shift, top - lift, shift, top - lift)
            .curve(grip * 0.95 + shift, top - lift, grip + shift, foot)
            .done()
    };
    scene.line(handle(rise * 0.93, 0.025, top + 0.02), 4.4, Ink::Band(0.5));
    let body = Pen::at(0.0, top)
        .line(wide, top)
        .curve(f32::midpoint(wide, base) + 0.012, f32::midpoint(top, low), base, low - 0.03)
        .curve(base, low, base - 0.03, low)
        .line(0.0, low + 0.006);
    scene.piece(body.mirrored(), Fabric::Cloth);
    if tote {
        scene.line(vec![[-wide, top + 0.03], [wide, top + 0.03]], 1.0, Ink::Seam);
        scene.line(handle(rise, 0.0, top + 0.085), 4.8, Ink::Band(0.78));
        for x in [-grip, grip] {
            scene.piece(ellipse(x, top + 0.075, 0.011, 0.011), Fabric::Fixed([0.82, 0.74, 0.5]));
        }
    } else {
        let flap_y = top + (low - top) * stream.range(0.4, 0.5);
        let flap = Pen::at(0.0, top - 0.015).line(wide + 0.008, top - 0.01).line(wide + 0.012, flap_y - 0.06);
        scene.piece(flap.curve(wide * 0.9, flap_y, 0.0, flap_y).mirrored(), Fabric::Cloth);
        scene.line(handle(rise, 0.0, top + 0.01), 5.0, Ink::Band(0.78));
        let clasp = Pen::at(0.0, flap_y - 0.03).line(0.028, flap_y - 0.03).line(0.028, flap_y + 0.022);
        scene.piece(clasp.line(0.0, flap_y + 0.022).mirrored(), Fabric::Fixed([0.84, 0.75, 0.48]));
    }
    for side in [-1.0, 1.0] {
        let x = side * base * stream.range(0.55, 0.8);
        scene.line(Pen::at(x, low - 0.02).curve(x * 0.98, low - 0.08, x * 0.9, low - 0.13).done(), 2.4, Ink::Crease);
    }
}
