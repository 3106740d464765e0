//! The pen that garments are cut with: closed outlines and open lines from straight and curved strokes.

/// A place in a garment's own space: x to the right, y down, the picture's middle at 0, its sides at ±0.5.
pub type Point = [f32; 2];

/// Straight pieces that a curve is made of.
const CURVE_PIECES: usize = 8;

/// An outline in the making.
pub struct Pen {
    points: Vec<Point>,
}

impl Pen {
    /// Begins at a point.
    pub fn at(x: f32, y: f32) -> Self {
        Self { points: vec![[x, y]] }
    }

    /// A straight stroke.
    pub fn line(mut self, x: f32, y: f32) -> Self {
        self.points.push([x, y]);
        self
    }

    /// A curve (quadratic Bézier) by way of a control point.
    pub fn curve(mut self, control_x: f32, control_y: f32, x: f32, y: f32) -> Self {
        let [from_x, from_y] = self.points[self.points.len() - 1];
        for i in 1..=CURVE_PIECES {
            let t = i as f32 / CURVE_PIECES as f32;
            let (a, b, c) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
            self.points.push([a * from_x + b * control_x + c * x, a * from_y + b * control_y + c * y]);
        }
        self
    }

    /// Joins the outline so far, from the middle above to the middle below, with its mirror image on the left.
    pub fn mirrored(mut self) -> Vec<Point> {
        let left: Vec<Point> =
            self.points.iter().rev().filter(|[x, _]| x.abs() > 1e-4).map(|[x, y]| [-x, *y]).collect();
        self.points.extend(left);
        self.points
    }

    /// The outline, or the line, as it is.
    pub fn done(self) -> Vec<Point> {
        self.points
    }
}

/// The mirror image of an outline.
pub fn flipped(points: &[Point]) -> Vec<Point> {
    points.iter().map(|[x, y]| [-x, *y]).collect()
}

/// An ellipse.
pub fn ellipse(x: f32, y: f32, radius_x: f32, radius_y: f32) -> Vec<Point> {
    (0..24)
        .map(|i| {
            let (sin, cos) = (i as f32 / 24.0 * std::f32::consts::TAU).sin_cos();
            [x + radius_x * cos, y + radius_y * sin]
        })
        .collect()
}
