//! Cuts a garment out of its background: what a flood from the border cannot reach.

use crate::dataset::garments::raster::box_blur;
use crate::dataset::garments::shade::{linear, oklab_of_linear};
use crate::domain::Picture;

/// Pictures are judged at this size, in px.
pub const SIDE: usize = 128;

/// A picture with its garment found.
pub struct Segment {
    /// `OKLab`, row by row.
    pub lab: Vec<[f32; 3]>,
    /// Whether a pixel belongs to the garment, holes filled.
    pub garment: Vec<bool>,
    /// Background that is seen through the garment: under the handles of a bag.
    pub hole: Vec<bool>,
    /// How much a pixel differs from its neighbours.
    pub slope: Vec<f32>,
}

impl Segment {
    /// Finds the garment in a picture of any size.
    pub fn of(picture: &Picture) -> Self {
        let rgb = resampled(picture);
        // A table in place of 50,000 powers; a quarter of an 8-bit step apart.
        let table: Vec<f32> = (0..=1020).map(|i| linear(i as f32 / 1020.0)).collect();
        let light = |value: f32| table[((value * 1020.0).round() as usize).min(1020)];
        let lab: Vec<[f32; 3]> = rgb.iter().map(|colour| oklab_of_linear(colour.map(light))).collect();
        let ground = Ground::fit(&lab);
        let slope = slopes(&lab);
        let pale: Vec<bool> = (0..SIDE * SIDE).map(|i| ground.holds(i, lab[i])).collect();
        let outside = flood(|i| pale[i] && slope[i] < 0.065);
        let garment = large_parts(&outside.iter().map(|reached| !reached).collect::<Vec<_>>(), 12).0;
        Self { hole: hole(&pale, &garment), lab, garment, slope }
    }

    /// The garment without a rim of this many px.
    pub fn eroded(&self, rim: usize) -> Vec<bool> {
        let mut soft: Vec<f32> = self.garment.iter().map(|inside| f32::from(u8::from(*inside))).collect();
        box_blur(&mut soft, SIDE, SIDE, rim);
        soft.iter().map(|share| *share > 0.999).collect()
    }
}

/// The picture at [`SIDE`], slightly softened: noise must not decide. Values in [0, 1].
fn resampled(picture: &Picture) -> Vec<[f32; 3]> {
    let (width, height) = (picture.width_px as usize, picture.height_px as usize);
    let sized = if (width, height) == (SIDE, SIDE) { picture.rgba.clone() } else { resized(picture) };
    let mut planes: [Vec<f32>; 3] = std::array::from_fn(|channel| {
        sized.iter().skip(channel).step_by(4).map(|value| f32::from(*value) / 255.0).collect()
    });
    for plane in &mut planes {
        // A box of 3; beyond the border there is nothing, so the border is kept as it was.
        let sharp = plane.clone();
        box_blur(plane, SIDE, SIDE, 1);
        for i in (0..SIDE * SIDE).filter(|i| on_border(*i)) {
            plane[i] = sharp[i];
        }
    }
    (0..SIDE * SIDE).map(|i| std::array::from_fn(|channel| planes[channel][i])).collect()
}

/// RGBA of a picture brought to [`SIDE`]: means where it is larger, between neighbours where it is smaller.
fn resized(picture: &Picture) -> Vec<u8> {
    let (width, height) = (picture.width_px as usize, picture.height_px as usize);
    if width == 0 || height == 0 {
        return vec![0; 4 * SIDE * SIDE];
    }
    // The samples of an axis and their weights: a tent as wide as a step, at least one pixel to each side.
    let taps = |i: usize, length: usize| -> Vec<(usize, f32)> {
        let step = length as f32 / SIDE as f32;
        let (middle, reach) = ((i as f32 + 0.5) * step - 0.5, step.max(1.0));
        let places = (middle - reach).ceil() as i64..=(middle + reach).floor() as i64;
        let weighed = places
            .map(|place| (place.clamp(0, length as i64 - 1) as usize, 1.0 - (place as f32 - middle).abs() / reach));
        weighed.collect()
    };
    let columns: Vec<_> = (0..SIDE).map(|x| taps(x, width)).collect();
    let mut sized = Vec::with_capacity(4 * SIDE * SIDE);
    for y in 0..SIDE {
        let rows = taps(y, height);
        for column in &columns {
            for channel in 0..4 {
                let (mut sum, mut total) = (0.0, 1e-6);
                for (row, row_weight) in &rows {
                    for (place, weight) in column {
                        sum += row_weight * weight * f32::from(picture.rgba[4 * (row * width + place) + channel]);
                        total += row_weight * weight;
                    }
                }
                sized.push((sum / total + 0.5) as u8);
            }
        }
    }
    sized
}

fn on_border(i: usize) -> bool {
    let (x, y) = (i % SIDE, i / SIDE);
    x == 0 || y == 0 || x == SIDE - 1 || y == SIDE - 1
}

/// The background as the border shows it: a colour that changes evenly from above to below.
struct Ground {
    /// At the top, and what is added until the bottom.
    lines: [[f32; 2]; 3],
}

impl Ground {
    fn fit(lab: &[[f32; 3]]) -> Self {
        let border: Vec<usize> = (0..SIDE * SIDE).filter(|i| on_border(*i)).collect();
        let mut kept = border.clone();
        let mut ground = Self { lines: [[0.0; 2]; 3] };
        // Twice without what fits badly: a sleeve or a brim may reach the border.
        for limit in [0.2, 0.08, 0.0] {
            ground.lines = std::array::from_fn(|channel| line(&kept, |i| lab[i][channel]));
            if limit > 0.0 {
                let near: Vec<usize> =
                    border.iter().copied().filter(|i| distance(ground.at(*i), lab[*i]) < limit).collect();
                if near.len() > SIDE {
                    kept = near;
                }
            }
        }
        ground
    }

    fn at(&self, i: usize) -> [f32; 3] {
        let y = (i / SIDE) as f32 / SIDE as f32;
        self.lines.map(|[start, rise]| start + rise * y)
    }

    /// Whether a colour is the background's, in the light or in a garment's shadow.
    fn holds(&self, i: usize, lab: [f32; 3]) -> bool {
        let ground = self.at(i);
        let hue = (lab[1] - ground[1]).hypot(lab[2] - ground[2]);
        hue < 0.035 && lab[0] - ground[0] < 0.06 && ground[0] - lab[0] < 0.21
    }
}

fn distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f32>().sqrt()
}

/// Least squares of values against the height of their places.
fn line(places: &[usize], value: impl Fn(usize) -> f32) -> [f32; 2] {
    let count = places.len() as f32;
    let height = |i: usize| (i / SIDE) as f32 / SIDE as f32;
    let mean_y = places.iter().map(|i| height(*i)).sum::<f32>() / count;
    let mean = places.iter().map(|i| value(*i)).sum::<f32>() / count;
    let (mut cross, mut square) = (0.0, 1e-6);
    for i in places {
        cross += (height(*i) - mean_y) * (value(*i) - mean);
        square += (height(*i) - mean_y).powi(2);
    }
    [mean - cross / square * mean_y, cross / square]
}

/// The largest difference of a pixel's neighbours, across or down.
fn slopes(lab: &[[f32; 3]]) -> Vec<f32> {
    (0..SIDE * SIDE)
        .map(|i| {
            let (x, y) = (i % SIDE, i / SIDE);
            let (left, right) = (i - usize::from(x > 0), i + usize::from(x < SIDE - 1));
            let (up, down) = (i - SIDE * usize::from(y > 0), i + SIDE * usize::from(y < SIDE - 1));
            distance(lab[left], lab[right]).max(distance(lab[up], lab[down]))
        })
        .collect()
}

/// The pixels next to `i`.
fn around(i: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (i % SIDE, i / SIDE);
    [(x > 0).then(|| i - 1), (x < SIDE - 1).then(|| i + 1), (y > 0).then(|| i - SIDE), (y < SIDE - 1).then(|| i + SIDE)]
        .into_iter()
        .flatten()
}

/// What can be reached from the border over passable pixels, widened by one pixel: the soft edge of the background is
/// background.
fn flood(passable: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut reached = vec![false; SIDE * SIDE];
    let mut open: Vec<usize> = (0..SIDE * SIDE).filter(|i| on_border(*i) && passable(*i)).collect();
    for i in &open {
        reached[*i] = true;
    }
    while let Some(i) = open.pop() {
        for next in around(i) {
            if !reached[next] && passable(next) {
                reached[next] = true;
                open.push(next);
            }
        }
    }
    (0..SIDE * SIDE).map(|i| reached[i] || around(i).any(|next| reached[next])).collect()
}

/// Background within the garment, if it is exactly one large patch: several are a print, and more than half of the
/// garment is a garment as pale as its background.
fn hole(pale: &[bool], garment: &[bool]) -> Vec<bool> {
    let inside: Vec<bool> = pale.iter().zip(garment).map(|(pale, garment)| *pale && *garment).collect();
    let (patches, sizes) = large_parts(&inside, 4);
    let total = garment.iter().filter(|cell| **cell).count();
    match sizes.as_slice() {
        [only] if only * 14 > total && only * 2 < total => patches,
        _ => vec![false; garment.len()],
    }
}

/// The largest connected part and the others that are at least a `share`-th of it, and the sizes of all of these.
fn large_parts(cells: &[bool], share: usize) -> (Vec<bool>, Vec<usize>) {
    let mut part = vec![0usize; SIDE * SIDE];
    let mut sizes = vec![0usize];
    for start in 0..SIDE * SIDE {
        if !cells[start] || part[start] != 0 {
            continue;
        }
        let id = sizes.len();
        sizes.push(0);
        part[start] = id;
        let mut open = vec![start];
        while let Some(i) = open.pop() {
            sizes[id] += 1;
            for next in around(i) {
                if cells[next] && part[next] == 0 {
                    part[next] = id;
                    open.push(next);
                }
            }
        }
    }
    let most = sizes.iter().copied().max().unwrap_or(0).max(1);
    let kept = part.iter().map(|id| sizes[*id] * share >= most).collect();
    (kept, sizes.into_iter().filter(|size| size * share >= most).collect())
}
