//! Outlines and lines to coverage: how much of each pixel lies inside, with smooth edges.

use super::pen::Point;

/// Lines that each row of pixels is sampled at; along a line coverage is exact.
const LINES_PER_ROW: usize = 4;

/// Coverage in [0, 1] of a rectangle of pixels, which may reach beyond the picture.
pub struct Mask {
    /// The rectangle's left column.
    pub left: i32,
    /// Its top row.
    pub top: i32,
    /// Its width in px.
    pub width: usize,
    /// Its height in px.
    pub height: usize,
    /// Row by row.
    pub cover: Vec<f32>,
}

impl Mask {
    /// An empty mask around points, with a margin.
    fn around(points: &[Point], margin: f32) -> Self {
        let bound = |axis: usize| {
            let values = points.iter().map(|point| point[axis]);
            let low = values.clone().fold(f32::INFINITY, f32::min) - margin;
            let high = values.fold(f32::NEG_INFINITY, f32::max) + margin;
            (low.floor() as i32, (high.ceil() - low.floor()).max(1.0) as usize)
        };
        let ((left, width), (top, height)) = (bound(0), bound(1));
        Self { left, top, width, height, cover: vec![0.0; width * height] }
    }

    /// The inside of a closed outline (by winding), in px, with `margin` px of room around it.
    pub fn fill(outline: &[Point], margin: f32) -> Self {
        let mut mask = Self::around(outline, margin + 1.0);
        let weight = 1.0 / LINES_PER_ROW as f32;
        let mut crossings: Vec<(f32, i32)> = Vec::new();
        for line in 0..mask.height * LINES_PER_ROW {
            let y = mask.top as f32 + (line as f32 + 0.5) * weight;
            crossings.clear();
            for (i, from) in outline.iter().enumerate() {
                let to = outline[(i + 1) % outline.len()];
                if (from[1] <= y) != (to[1] <= y) {
                    let x = from[0] + (y - from[1]) / (to[1] - from[1]) * (to[0] - from[0]);
                    crossings.push((x - mask.left as f32, if from[1] <= y { 1 } else { -1 }));
                }
            }
            crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
            let row = &mut mask.cover[line / LINES_PER_ROW * mask.width..][..mask.width];
            let mut winding = 0;
            for pair in crossings.windows(2) {
                winding += pair[0].1;
                if winding != 0 {
                    add_span(row, pair[0].0, pair[1].0, weight);
                }
            }
        }
        mask
    }

    /// A line of a width in px, with round ends.
    pub fn stroke(line: &[Point], width_px: f32, closed: bool) -> Self {
        let radius = width_px / 2.0;
        let mut mask = Self::around(line, radius + 1.5);
        let pieces = if closed { line.len() } else { line.len().saturating_sub(1) };
        for i in 0..pieces {
            mask.add_piece(line[i], line[(i + 1) % line.len()], radius);
        }
        mask
    }

    fn add_piece(&mut self, from: Point, to: Point, radius: f32) {
        let reach = radius + 1.0;
        let columns = clip(from[0].min(to[0]) - reach, from[0].max(to[0]) + reach, self.left, self.width);
        let along = [to[0] - from[0], to[1] - from[1]];
        let square = (along[0] * along[0] + along[1] * along[1]).max(1e-9);
        for y in clip(from[1].min(to[1]) - reach, from[1].max(to[1]) + reach, self.top, self.height) {
            for x in columns.clone() {
                let (dx, dy) = (self.centre(x, y)[0] - from[0], self.centre(x, y)[1] - from[1]);
                let t = ((dx * along[0] + dy * along[1]) / square).clamp(0.0, 1.0);
                let distance = (dx - t * along[0]).hypot(dy - t * along[1]);
                // A line thinner than a pixel is as wide as one and fainter.
                let cover = (radius.max(0.5) + 0.5 - distance).clamp(0.0, 1.0) * (2.0 * radius).min(1.0);
                let cell = &mut self.cover[y * self.width + x];
                *cell = cell.max(cover);
            }
        }
    }

    /// The middle of a pixel, in px of the picture.
    pub fn centre(&self, x: usize, y: usize) -> Point {
        [self.left as f32 + x as f32 + 0.5, self.top as f32 + y as f32 + 0.5]
    }

    /// The mask softened by two passes of a box of this radius, as large as before: what leaves it is lost.
    pub fn blurred(&self, radius_px: usize) -> Vec<f32> {
        let mut soft = self.cover.clone();
        for _ in 0..2 {
            box_blur(&mut soft, self.width, self.height, radius_px);
        }
        soft
    }
}

/// Adds `weight` to the pixels between two places on a row, in part where a pixel is covered in part.
fn add_span(row: &mut [f32], from: f32, to: f32, weight: f32) {
    let (from, to) = (from.max(0.0), to.min(row.len() as f32));
    if from >= to {
        return;
    }
    let (first, last) = (from as usize, (to as usize).min(row.len() - 1));
    if first == last {
        row[first] += (to - from) * weight;
        return;
    }
    row[first] += (first as f32 + 1.0 - from) * weight;
    for cell in &mut row[first + 1..last] {
        *cell += weight;
    }
    row[last] += (to - last as f32) * weight;
}

/// The cells of an axis that starts at `start` which a range of places touches.
fn clip(low: f32, high: f32, start: i32, count: usize) -> std::ops::Range<usize> {
    let index = |place: f32| ((place - start as f32).max(0.0) as usize).min(count);
    index(low.floor())..index(high.ceil())
}

/// Averages over a square of `2 * radius + 1` cells a side; beyond the border there is 0.
pub fn box_blur(cells: &mut [f32], width: usize, height: usize, radius: usize) {
    let mut line = Vec::with_capacity(width.max(height));
    for y in 0..height {
        line.clear();
        line.extend_from_slice(&cells[y * width..(y + 1) * width]);
        sliding_mean(&line, radius, |x, mean| cells[y * width + x] = mean);
    }
    for x in 0..width {
        line.clear();
        line.extend((0..height).map(|y| cells[y * width + x]));
        sliding_mean(&line, radius, |y, mean| cells[y * width + x] = mean);
    }
}

fn sliding_mean(line: &[f32], radius: usize, mut put: impl FnMut(usize, f32)) {
    let scale = 1.0 / (2 * radius + 1) as f32;
    let mut sum: f32 = line.iter().take(radius).sum();
    for i in 0..line.len() {
        sum += line.get(i + radius).copied().unwrap_or(0.0);
        put(i, sum * scale);
        if i >= radius {
            sum -= line[i - radius];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_exact() {
        let square = Mask::fill(&[[1.25, 1.0], [4.75, 1.0], [4.75, 3.5], [1.25, 3.5]], 0.0);
        assert!((square.cover.iter().sum::<f32>() - 3.5 * 2.5).abs() < 1e-4);
        let line = Mask::stroke(&[[5.0, 5.0], [15.0, 5.0]], 2.0, false);
        let expected = 10.0 * 2.0 + std::f32::consts::PI;
        assert!((line.cover.iter().sum::<f32>() - expected).abs() < 0.5);
    }

    #[test]
    fn blur_keeps_the_sum_inside() {
        let mut cells = vec![0.0; 9 * 7];
        cells[3 * 9 + 4] = 1.0;
        box_blur(&mut cells, 9, 7, 2);
        assert!((cells.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!((cells[3 * 9 + 4] - 0.04).abs() < 1e-5);
    }
}
