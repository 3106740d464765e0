//! What a garment is told by: the shares of its colours, its outline, the rhythm of its print.

use super::segment::{SIDE, Segment};
use crate::dataset::garments::raster::box_blur;
use crate::dataset::garments::shade::{lit, mix, oklab};
use crate::dataset::garments::spec::{Colour, GarmentSpec, Kind};

/// Cells a side of the grid that an outline is measured on.
const GRID: usize = 20;
/// How much the brightness inside counts against the outline.
const INSIDE_WEIGHT: f32 = 0.12;
/// Steps of the print's autocorrelation, in px.
const STEPS: [i32; 5] = [0, 4, 8, 12, 16];

/// The shares of a garment's colours.
pub struct Shares {
    /// In the order of [`Colour::ALL`].
    pub colours: Vec<f32>,
    /// Neither one colour nor the other of the garment asked for, but between the two, or the lining of its jacket.
    pub between: f32,
}

/// The share of the garment that has each colour; edges, where colours mix, are left out. If a garment was asked for,
/// what lies between its two colours is counted apart: where red meets white there is pink, and pink is no third colour
/// then.
pub fn colour_shares(segment: &Segment, asked: Option<&GarmentSpec>) -> Shares {
    let between = Colour::ALL.len();
    let mut palette: Vec<(usize, [f32; 3])> = Vec::new();
    for (i, colour) in Colour::ALL.iter().enumerate() {
        let lights: &[f32] = if *colour == Colour::White { &[0.6, 0.72, 0.86, 1.0] } else { &[0.72, 0.86, 1.0, 1.1] };
        palette.extend(lights.iter().map(|light| (i, oklab(lit(colour.srgb(), *light)))));
    }
    if let Some(asked) = asked {
        if let Some(second) = asked.pattern_colour {
            for share in [0.35, 0.5, 0.65] {
                let colour = mix(asked.colour.srgb(), second.srgb(), share);
                palette.extend([0.8, 1.0].map(|light| (between, oklab(lit(colour, light)))));
            }
        }
        if asked.kind == Kind::Jacket && asked.colour != Colour::Black {
            palette.push((between, oklab(lit(asked.colour.srgb(), 0.52))));
        }
    }
    let inside = segment.eroded(2);
    let mut counts = vec![0.0f32; between + 1];
    for (i, lab) in segment.lab.iter().enumerate() {
        if !inside[i] || segment.slope[i] > 0.12 || segment.hole[i] {
            continue;
        }
        let distance = |other: [f32; 3]| {
            0.5 * (lab[0] - other[0]).powi(2) + (lab[1] - other[1]).powi(2) + (lab[2] - other[2]).powi(2)
        };
        let near = palette.iter().map(|(colour, other)| (distance(*other), *colour)).min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, colour)) = near {
            counts[colour] += 1.0;
        }
    }
    let sum = counts.iter().sum::<f32>().max(1.0);
    let mut colours: Vec<f32> = counts.iter().map(|count| count / sum).collect();
    let between = colours.pop().unwrap_or(0.0);
    Shares { colours, between }
}

/// The outline on a grid around the garment's middle, scaled to its longer side, then the brightness inside without the
/// print. `None` where there is no garment to speak of.
pub fn outline_features(segment: &Segment) -> Option<Vec<f32>> {
    let cells: Vec<usize> = (0..SIDE * SIDE).filter(|i| segment.garment[*i]).collect();
    // At least a fortieth of the picture and at most four fifths of it.
    if cells.len() * 40 < SIDE * SIDE || cells.len() * 5 > SIDE * SIDE * 4 {
        return None;
    }
    let range = |axis: fn(&usize) -> usize| {
        let values = cells.iter().map(axis);
        (values.clone().min().unwrap_or(0) as f32, values.max().unwrap_or(0) as f32 + 1.0)
    };
    let ((left, right), (top, bottom)) = (range(|i| i % SIDE), range(|i| i / SIDE));
    let size = (right - left).max(bottom - top);
    let corner = [(left + right - size) / 2.0, (top + bottom - size) / 2.0];

    let mut weight: Vec<f32> = segment.garment.iter().map(|inside| f32::from(u8::from(*inside))).collect();
    let mut bright: Vec<f32> = segment.lab.iter().zip(&weight).map(|(lab, weight)| lab[0] * weight).collect();
    let outline = sampled(&weight, corner, size, GRID);
    // Averaged over about the width of a stripe, so that prints count less than folds and pockets.
    box_blur(&mut weight, SIDE, SIDE, 4);
    box_blur(&mut bright, SIDE, SIDE, 4);
    let mean = cells.iter().map(|i| segment.lab[*i][0]).sum::<f32>() / cells.len() as f32;
    let inside: Vec<f32> = bright
        .iter()
        .zip(&weight)
        .zip(&segment.garment)
        .map(|((bright, weight), garment)| if *garment { bright / weight.max(0.05) - mean } else { 0.0 })
        .collect();
    let inside = sampled(&inside, corner, size, GRID);
    let spread = (inside.iter().map(|value| value * value).sum::<f32>() / inside.len() as f32).sqrt().max(0.02);
    let inside = inside.into_iter().map(|value| INSIDE_WEIGHT * (value / spread).clamp(-2.5, 2.5));
    Some(outline.into_iter().chain(inside).collect())
}

/// Averages a map over the cells of a grid on the square at `corner`.
fn sampled(map: &[f32], corner: [f32; 2], size: f32, grid: usize) -> Vec<f32> {
    const FINE: usize = 3;
    let step = size / (grid * FINE) as f32;
    let read = |i: usize, j: usize| {
        let (x, y) = (corner[0] + (i as f32 + 0.5) * step, corner[1] + (j as f32 + 0.5) * step);
        let inside = x >= 0.0 && y >= 0.0 && x < SIDE as f32 && y < SIDE as f32;
        if inside { map[y as usize * SIDE + x as usize] } else { 0.0 }
    };
    (0..grid * grid)
        .map(|cell| {
            let (x, y) = (cell % grid * FINE, cell / grid * FINE);
            let sum: f32 = (0..FINE * FINE).map(|k| read(x + k % FINE, y + k / FINE)).sum();
            sum / (FINE * FINE) as f32
        })
        .collect()
}

/// The print: how strong its contrast is, how the cloth looks a few px on in every direction, and which ways its edges
/// run.
pub fn print_features(segment: &Segment) -> Vec<f32> {
    let mut inside = segment.eroded(2);
    for (cell, hole) in inside.iter_mut().zip(&segment.hole) {
        *cell &= !hole;
    }
    let tone = main_axis(segment, &inside);
    let variance = mean(&tone, &inside, |value| value * value);
    let spread = variance.sqrt();
    let mut features = vec![2.0 * (spread / 0.12).min(1.5)];
    // Zero outside the garment, so that whole rows can be multiplied.
    let weight: Vec<f32> = inside.iter().map(|cell| f32::from(u8::from(*cell))).collect();
    let masked: Vec<f32> = tone.iter().zip(&weight).map(|(tone, weight)| tone * weight).collect();
    for dy in STEPS {
        for dx in STEPS.iter().skip(1).rev().map(|dx| -dx).chain(STEPS) {
            if dy == 0 && dx <= 0 {
                continue;
            }
            let (sum, count) = (shifted_product(&masked, dx, dy), shifted_product(&weight, dx, dy));
            features.push((sum / (count + 1e-3) / variance.max(2e-4)).clamp(-1.0, 1.0));
        }
    }
    let at = |i: usize, dx: i32, dy: i32| {
        let (x, y) = ((i % SIDE) as i32 + dx, (i / SIDE) as i32 + dy);
        let there = (0..SIDE as i32).contains(&x) && (0..SIDE as i32).contains(&y);
        there.then(|| y as usize * SIDE + x as usize).filter(|j| inside[*j])
    };
    let places: Vec<usize> = (0..SIDE * SIDE).filter(|i| inside[*i]).collect();
    // The edges' directions: how much they agree on one (stripes), on two at right angles (checks), or on none (dots).
    let (mut one, mut two, mut sum) = ([0.0f32; 2], [0.0f32; 2], 1e-4);
    for i in &places {
        let (Some(left), Some(right), Some(up), Some(down)) =
            (at(*i, -1, 0), at(*i, 1, 0), at(*i, 0, -1), at(*i, 0, 1))
        else {
            continue;
        };
        let (dx, dy) = (tone[right] - tone[left], tone[down] - tone[up]);
        let (strength, angle) = (dx * dx + dy * dy, dy.atan2(dx));
        sum += strength;
        for (total, times) in [(&mut one, 2.0), (&mut two, 4.0)] {
            total[0] += strength * (times * angle).cos();
            total[1] += strength * (times * angle).sin();
        }
    }
    features.push(2.0 * one[0].hypot(one[1]) / sum);
    features.push(3.0 * two[0].hypot(two[1]) / sum);
    let skew = mean(&tone, &inside, |value| value.powi(3)) / (spread.powi(3) + 1e-5);
    features.push(0.5 * skew.abs().min(3.0));
    features
}

/// The sum of a map times itself, moved by `dx` and `dy` (not negative).
fn shifted_product(map: &[f32], dx: i32, dy: i32) -> f32 {
    let (right, left) = (dx.max(0) as usize, (-dx).max(0) as usize);
    let rows = map.chunks_exact(SIDE).zip(map.chunks_exact(SIDE).skip(dy as usize));
    rows.map(|(here, there)| here[left..].iter().zip(&there[right..]).map(|(a, b)| a * b).sum::<f32>()).sum()
}

fn mean(tone: &[f32], inside: &[bool], value: impl Fn(f32) -> f32) -> f32 {
    let values = tone.iter().zip(inside).filter(|(_, inside)| **inside);
    values.map(|(tone, _)| value(*tone)).sum::<f32>() / inside.iter().filter(|cell| **cell).count().max(1) as f32
}

/// Each pixel's place along the direction in which the garment's colours differ most, around 0.
fn main_axis(segment: &Segment, inside: &[bool]) -> Vec<f32> {
    let count = inside.iter().filter(|cell| **cell).count().max(1) as f32;
    let places = || segment.lab.iter().zip(inside).filter(|(_, inside)| **inside).map(|(lab, _)| lab);
    let middle: [f32; 3] = std::array::from_fn(|channel| places().map(|lab| lab[channel]).sum::<f32>() / count);
    let mut spread = [[0.0f32; 3]; 3];
    for lab in places() {
        for (row, a) in spread.iter_mut().zip(0..3) {
            for (cell, b) in row.iter_mut().zip(0..3) {
                *cell += (lab[a] - middle[a]) * (lab[b] - middle[b]) / count;
            }
        }
    }
    // The largest eigenvector, by powers.
    let mut axis = [1.0f32, 0.6, 0.5];
    for _ in 0..24 {
        let next = spread.map(|row| row[0] * axis[0] + row[1] * axis[1] + row[2] * axis[2]);
        let length = next.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length < 1e-9 {
            break;
        }
        axis = next.map(|value| value / length);
    }
    segment.lab.iter().map(|lab| (0..3).map(|i| (lab[i] - middle[i]) * axis[i]).sum()).collect()
}
