//! Icons, drawn as strokes on a grid of 16 units, so that they are sharp at every size and take any colour.

use std::f32::consts::TAU;

use egui::{Color32, CornerRadius, Mesh, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Vec2, pos2, vec2};

/// The icons of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Create,
    Gallery,
    Batch,
    Train,
    Models,
    Settings,
    Dice,
    Locked,
    Unlocked,
    Swap,
    Close,
    Left,
    Right,
    Up,
    Minus,
    Plus,
    Refresh,
    Picture,
    Warning,
    Check,
    Unchecked,
    Search,
    Star,
    Starred,
    Play,
    Pause,
    Expand,
    Stack,
    Eraser,
    Undo,
    Redo,
    Eye,
    History,
    Styles,
    Compare,
    Excluded,
    Folder,
}

/// Draws an icon into a square.
pub fn paint(painter: &Painter, rect: Rect, icon: Icon, colour: Color32) {
    let scale = rect.width() / 16.0;
    let pen = Pen { painter, origin: rect.min, scale, stroke: Stroke::new(1.4 * scale.max(0.8), colour) };
    match icon {
        Icon::Create => {
            // A brush and its spark.
            pen.line(&[(3.0, 13.0), (4.0, 9.8), (11.2, 2.6), (13.4, 4.8), (6.2, 12.0), (3.0, 13.0)]);
            pen.line(&[(9.2, 4.6), (11.4, 6.8)]);
            pen.line(&[(9.5, 13.4), (13.5, 13.4)]);
        }
        Icon::Gallery => {
            for (x, y) in [(2.5, 2.5), (9.0, 2.5), (2.5, 9.0), (9.0, 9.0)] {
                pen.rect(x, y, 4.5, 4.5, 1);
            }
        }
        Icon::Batch => {
            // A table with its heading.
            pen.rect(2.0, 2.5, 12.0, 11.0, 1);
            pen.line(&[(2.0, 6.0), (14.0, 6.0)]);
            pen.line(&[(2.0, 9.8), (14.0, 9.8)]);
            pen.line(&[(6.0, 6.0), (6.0, 13.5)]);
        }
        Icon::Train => {
            // A loss that falls, on its axes.
            pen.line(&[(2.5, 2.5), (2.5, 13.5), (13.5, 13.5)]);
            pen.line(&[(5.0, 3.5), (6.0, 7.0), (7.8, 9.3), (10.2, 10.5), (13.5, 11.0)]);
        }
        Icon::Models => {
            // A cube, seen from a corner.
            pen.line(&[(8.0, 2.0), (13.5, 5.0), (13.5, 11.0), (8.0, 14.0), (2.5, 11.0), (2.5, 5.0), (8.0, 2.0)]);
            pen.line(&[(2.5, 5.0), (8.0, 8.0), (13.5, 5.0)]);
            pen.line(&[(8.0, 8.0), (8.0, 14.0)]);
        }
        Icon::Settings => {
            for (y, x) in [(4.0, 10.5), (8.0, 5.0), (12.0, 8.5)] {
                pen.line(&[(2.0, y), (x - 1.7, y)]);
                pen.line(&[(x + 1.7, y), (14.0, y)]);
                pen.ring(x, y, 1.7);
            }
        }
        Icon::Dice => {
            pen.rect(2.5, 2.5, 11.0, 11.0, 2);
            for (x, y) in [(5.5, 5.5), (10.5, 5.5), (8.0, 8.0), (5.5, 10.5), (10.5, 10.5)] {
                pen.dot(x, y, 0.95);
            }
        }
        Icon::Locked | Icon::Unlocked => {
            pen.rect(3.5, 7.2, 9.0, 6.3, 1);
            let right = if icon == Icon::Locked { 7.2 } else { 5.4 };
            pen.line(&[(5.4, 7.2), (5.4, 4.8), (6.4, 3.0), (8.0, 2.5), (9.6, 3.0), (10.6, 4.8), (10.6, right)]);
        }
        Icon::Swap => {
            pen.line(&[(2.5, 5.5), (13.0, 5.5)]);
            pen.line(&[(10.5, 3.0), (13.0, 5.5), (10.5, 8.0)]);
            pen.line(&[(13.5, 10.5), (3.0, 10.5)]);
            pen.line(&[(5.5, 8.0), (3.0, 10.5), (5.5, 13.0)]);
        }
        Icon::Close => {
            pen.line(&[(4.0, 4.0), (12.0, 12.0)]);
            pen.line(&[(12.0, 4.0), (4.0, 12.0)]);
        }
        Icon::Left => pen.line(&[(10.0, 3.0), (5.0, 8.0), (10.0, 13.0)]),
        Icon::Right => pen.line(&[(6.0, 3.0), (11.0, 8.0), (6.0, 13.0)]),
        Icon::Up => {
            pen.line(&[(8.0, 13.0), (8.0, 3.5)]);
            pen.line(&[(4.0, 7.5), (8.0, 3.5), (12.0, 7.5)]);
        }
        Icon::Minus => pen.line(&[(3.5, 8.0), (12.5, 8.0)]),
        Icon::Plus => {
            pen.line(&[(3.5, 8.0), (12.5, 8.0)]);
            pen.line(&[(8.0, 3.5), (8.0, 12.5)]);
        }
        Icon::Refresh => {
            pen.arc(8.0, 8.0, 5.0, 0.9, 6.0);
            pen.line(&[(13.2, 3.2), (12.9, 6.7), (9.4, 6.4)]);
        }
        Icon::History => {
            // A clock that runs back.
            pen.arc(8.0, 8.0, 5.4, 3.6, 8.6);
            pen.line(&[(1.6, 7.6), (3.1, 5.2), (5.2, 7.0)]);
            pen.line(&[(8.0, 4.8), (8.0, 8.2), (10.4, 9.6)]);
        }
        Icon::Styles => {
            // Sheets over each other.
            pen.line(&[(8.0, 2.2), (14.0, 5.2), (8.0, 8.2), (2.0, 5.2), (8.0, 2.2)]);
            pen.line(&[(2.0, 8.2), (8.0, 11.2), (14.0, 8.2)]);
            pen.line(&[(2.0, 11.0), (8.0, 14.0), (14.0, 11.0)]);
        }
        Icon::Picture => {
            pen.rect(2.0, 3.0, 12.0, 10.0, 2);
            pen.ring(5.6, 6.4, 1.2);
            pen.line(&[(2.6, 11.8), (6.2, 8.8), (8.4, 10.6), (11.0, 7.6), (13.6, 10.2)]);
        }
        Icon::Warning => {
            pen.line(&[(8.0, 2.5), (14.2, 13.2), (1.8, 13.2), (8.0, 2.5)]);
            pen.line(&[(8.0, 6.6), (8.0, 9.6)]);
            pen.dot(8.0, 11.4, 0.8);
        }
        Icon::Check => pen.line(&[(3.0, 8.4), (6.6, 12.0), (13.0, 4.6)]),
        Icon::Unchecked => pen.rect(3.0, 3.0, 10.0, 10.0, 2),
        Icon::Search => {
            pen.ring(7.0, 7.0, 4.4);
            pen.line(&[(10.2, 10.2), (13.6, 13.6)]);
        }
        Icon::Folder => {
            pen.line(&[(2.0, 12.5), (2.0, 3.5), (6.4, 3.5), (8.0, 5.5), (14.0, 5.5), (14.0, 12.5), (2.0, 12.5)]);
        }
        Icon::Star => pen.star(false),
        Icon::Starred => pen.star(true),
        Icon::Play => pen.line(&[(5.0, 3.0), (13.0, 8.0), (5.0, 13.0), (5.0, 3.0)]),
        Icon::Pause => {
            pen.line(&[(5.5, 3.5), (5.5, 12.5)]);
            pen.line(&[(10.5, 3.5), (10.5, 12.5)]);
        }
        Icon::Expand => {
            pen.line(&[(9.5, 2.5), (13.5, 2.5), (13.5, 6.5)]);
            pen.line(&[(6.5, 13.5), (2.5, 13.5), (2.5, 9.5)]);
            pen.line(&[(13.5, 2.5), (9.2, 6.8)]);
            pen.line(&[(2.5, 13.5), (6.8, 9.2)]);
        }
        Icon::Compare => {
            pen.rect(2.5, 3.0, 11.0, 10.0, 1);
            pen.line(&[(8.0, 1.5), (8.0, 14.5)]);
            pen.line(&[(10.0, 10.5), (11.5, 10.5)]);
        }
        Icon::Excluded => {
            pen.ring(8.0, 8.0, 5.6);
            pen.line(&[(4.0, 12.0), (12.0, 4.0)]);
        }
        Icon::Stack => {
            pen.rect(2.5, 5.5, 8.0, 8.0, 1);
            pen.line(&[(5.5, 2.5), (12.5, 2.5), (13.5, 3.5), (13.5, 10.5)]);
        }
        Icon::Eraser => {
            pen.line(&[(2.6, 9.6), (8.8, 3.4), (13.0, 7.6), (7.6, 13.0), (6.0, 13.0), (2.6, 9.6)]);
            pen.line(&[(5.7, 6.5), (9.9, 10.7)]);
            pen.line(&[(6.0, 13.0), (13.4, 13.0)]);
        }
        Icon::Undo | Icon::Redo => {
            // One is the other in a mirror.
            let at = |x: f32, y: f32| if icon == Icon::Undo { (x, y) } else { (16.0 - x, y) };
            pen.line(&[at(5.8, 2.8), at(2.8, 5.8), at(5.8, 8.8)]);
            pen.line(&[at(2.8, 5.8), at(9.4, 5.8), at(12.0, 6.9), at(13.0, 9.4), at(12.0, 11.9), at(9.4, 13.0)]);
            pen.line(&[at(9.4, 13.0), at(6.0, 13.0)]);
        }
        Icon::Eye => {
            pen.line(&[(1.8, 8.0), (4.2, 5.2), (8.0, 4.0), (11.8, 5.2), (14.2, 8.0)]);
            pen.line(&[(1.8, 8.0), (4.2, 10.8), (8.0, 12.0), (11.8, 10.8), (14.2, 8.0)]);
            pen.ring(8.0, 8.0, 1.9);
        }
    }
}

/// Draws a rectangle of a picture's proportions, for the size presets.
pub fn paint_aspect(painter: &Painter, rect: Rect, width: f32, height: f32, colour: Color32) {
    let longest = width.max(height).max(1.0);
    let size = vec2(width, height) / longest * rect.size().min_elem();
    let rect = Rect::from_center_size(rect.center(), size.max(Vec2::splat(3.0)));
    painter.rect_stroke(rect, CornerRadius::same(1), Stroke::new(1.2, colour), StrokeKind::Inside);
}

/// Draws a pip of a rating.
pub fn paint_pip(painter: &Painter, at: Pos2, is_on: bool, colour: Color32) {
    const RADIUS: f32 = 4.0;
    if is_on {
        painter.circle_filled(at, RADIUS, colour);
    } else {
        painter.circle_stroke(at, RADIUS, Stroke::new(1.2, colour));
    }
}

struct Pen<'a> {
    painter: &'a Painter,
    origin: Pos2,
    scale: f32,
    stroke: Stroke,
}

impl Pen<'_> {
    fn at(&self, x: f32, y: f32) -> Pos2 {
        self.origin + vec2(x, y) * self.scale
    }

    fn line(&self, points: &[(f32, f32)]) {
        let points: Vec<Pos2> = points.iter().map(|&(x, y)| self.at(x, y)).collect();
        self.painter.line(points, self.stroke);
    }

    fn rect(&self, x: f32, y: f32, width: f32, height: f32, rounding: u8) {
        let rect = Rect::from_min_size(self.at(x, y), vec2(width, height) * self.scale);
        self.painter.rect_stroke(rect, CornerRadius::same(rounding), self.stroke, StrokeKind::Middle);
    }

    fn ring(&self, x: f32, y: f32, radius: f32) {
        self.painter.circle_stroke(self.at(x, y), radius * self.scale, self.stroke);
    }

    fn dot(&self, x: f32, y: f32, radius: f32) {
        self.painter.circle_filled(self.at(x, y), radius * self.scale, self.stroke.color);
    }

    /// A star of five points.
    fn star(&self, is_filled: bool) {
        const CORNERS: u8 = 10;
        let points: Vec<Pos2> = (0..CORNERS)
            .map(|i| {
                let radius = if i % 2 == 0 { 6.4 } else { 2.9 };
                let point = pos2(8.0, 8.5) + radius * Vec2::angled(TAU * f32::from(i) / f32::from(CORNERS) - TAU / 4.0);
                self.at(point.x, point.y)
            })
            .collect();
        if is_filled {
            // A fan from the middle: the outline is not convex.
            let mut mesh = Mesh::default();
            mesh.colored_vertex(self.at(8.0, 8.5), self.stroke.color);
            for point in &points {
                mesh.colored_vertex(*point, self.stroke.color);
            }
            let corners = u32::from(CORNERS);
            (0..corners).for_each(|i| mesh.add_triangle(0, 1 + i, 1 + (i + 1) % corners));
            self.painter.add(mesh);
        }
        self.painter.add(Shape::closed_line(points, self.stroke));
    }

    /// Part of a circle, between two angles in radians, clockwise from the right.
    fn arc(&self, x: f32, y: f32, radius: f32, from: f32, to: f32) {
        const PIECES: u8 = 24;
        let points = (0..=PIECES)
            .map(|i| {
                let angle = from + (to - from) * f32::from(i) / f32::from(PIECES);
                let point = pos2(x, y) + radius * Vec2::angled(angle);
                self.at(point.x, point.y)
            })
            .collect();
        self.painter.line(points, self.stroke);
    }
}
