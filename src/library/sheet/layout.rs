//! [`Layout`]: where everything lies on a sheet.

use super::super::image_io::MAX_SIDE_PX;
use super::text::Face;
use crate::domain::grid::{Axes, Axis};

/// Most px of a sheet: what is read again without trouble, in a quarter of a GB.
const MAX_PX: u64 = 64 << 20;
/// The shape that pages are arranged to, width by height: that of a screen.
const SHAPE: f64 = 1.5;
/// The font's size as a part of a picture's shorter side.
const FONT_PART: f32 = 1.0 / 16.0;
/// The smallest and the largest size of the font.
const FONT_PX: (f32, f32) = (12.0, 40.0);
/// Most lines of a label.
const LINES: usize = 3;
/// The labels at the left are as wide as a picture at most, or as this many letters where pictures are tiny.
const LEAST_LABEL: f32 = 8.0;

/// A rectangle, in px.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// To the right.
    pub width: u32,
    /// Down.
    pub height: u32,
}

/// Text and its place.
#[derive(Clone, Debug)]
pub struct Label {
    /// Where.
    pub area: Area,
    /// What, line by line.
    pub lines: Vec<String>,
}

/// Where everything lies on a sheet.
pub struct Layout {
    /// Of the whole sheet.
    pub width_px: u32,
    /// Of the whole sheet.
    pub height_px: u32,
    /// How many times as large pictures are on it: 1, or less.
    pub scale: f64,
    /// The font's size.
    pub font_px: f32,
    /// All that is written beside the pictures.
    pub labels: Vec<Label>,
    cells: Vec<Area>,
}

impl Layout {
    /// For cells of which the largest needs `slot` (width and height in px).
    pub fn new(axes: &Axes, slot: (u32, u32), face: &Face) -> Self {
        let mut scale = 1.0_f64;
        loop {
            let layout = Self::at_scale(axes, slot, scale, face);
            let px = u64::from(layout.width_px) * u64::from(layout.height_px);
            let (longest, most) = (layout.width_px.max(layout.height_px), u64::from(MAX_SIDE_PX));
            let fits = px <= MAX_PX && u64::from(longest) <= most;
            // One px a picture is the end: labels cannot be made smaller for ever.
            if fits || f64::from(slot.0.max(slot.1)) * scale <= 1.0 {
                return layout;
            }
            let too_long = most as f64 / f64::from(longest);
            let too_large = (MAX_PX as f64 / px as f64).sqrt();
            // A little more than is asked for: what stands between pictures does not shrink with them.
            scale *= too_long.min(too_large).min(1.0) * 0.98;
        }
    }

    /// The place of a cell.
    pub fn cell(&self, cell: usize) -> Area {
        self.cells[cell]
    }

    fn at_scale(axes: &Axes, slot: (u32, u32), scale: f64, face: &Face) -> Self {
        let side = |px: u32| ((f64::from(px) * scale).round() as u32).max(1);
        let (width, height) = (side(slot.0), side(slot.1));
        let font_px = (width.min(height) as f32 * FONT_PART).clamp(FONT_PX.0, FONT_PX.1).round();
        let line_px = Face::line_px(font_px) as u32;
        let gap = (font_px / 2.0).round() as u32;
        let [columns, rows, pages] = axes.sides().map(|side| side as u32);

        let wrapped = |axis: Option<&Axis>, room: u32| -> Vec<Vec<String>> {
            let labels = axis.map(Axis::labels).unwrap_or_default();
            labels.iter().map(|label| face.wrap(label, room as f32, font_px, LINES)).collect()
        };
        let height_of =
            |labels: &[Vec<String>]| labels.iter().map(|lines| lines.len() as u32).max().unwrap_or(0) * line_px;
        // What stands at the left is as wide as its longest line.
        let left = wrapped(axes.y.as_ref(), width.max((LEAST_LABEL * font_px) as u32));
        let left_width = left.iter().flatten().map(|line| face.width(line, font_px).ceil() as u32).max();
        let left_width = left_width.map_or(0, |width| width + gap);
        let top = wrapped(Some(&axes.x), width);
        let top_height = height_of(&top) + gap;
        let row_height = height.max(height_of(&left));

        let block_width = left_width + columns * width + (columns - 1) * gap;
        let titles = wrapped(axes.z.as_ref(), block_width);
        let title_height = if axes.z.is_some() { height_of(&titles) + gap } else { 0 };
        let block_height = title_height + top_height + rows * row_height + (rows - 1) * gap;

        // Blocks stand further from each other than pictures do.
        let between = 4 * gap;
        let whole = |across: u32| {
            let down = pages.div_ceil(across);
            let width = across * block_width + (across - 1) * between + 2 * gap;
            (width, down * block_height + (down - 1) * between + 2 * gap)
        };
        let distance = |across: &u32| {
            let (width, height) = whole(*across);
            (f64::from(width) / f64::from(height) / SHAPE).ln().abs()
        };
        let across = (1..=pages).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(1);
        let (width_px, height_px) = whole(across);

        let (mut labels, mut cells) = (Vec::new(), Vec::new());
        for page in 0..pages {
            let block_x = gap + page % across * (block_width + between);
            let block_y = gap + page / across * (block_height + between);
            if let Some(lines) = titles.get(page as usize) {
                let area = Area { x: block_x, y: block_y, width: block_width, height: title_height - gap };
                labels.push(Label { area, lines: lines.clone() });
            }
            let (first_x, top_y) = (block_x + left_width, block_y + title_height);
            for (column, lines) in (0..columns).zip(&top) {
                let area = Area { x: first_x + column * (width + gap), y: top_y, width, height: top_height - gap };
                labels.push(Label { area, lines: lines.clone() });
            }
            for row in 0..rows {
                let y = top_y + top_height + row * (row_height + gap);
                if let Some(lines) = left.get(row as usize) {
                    let area = Area { x: block_x, y, width: left_width - gap, height: row_height };
                    labels.push(Label { area, lines: lines.clone() });
                }
                let centred = y + (row_height - height) / 2;
                cells.extend((0..columns).map(|column| Area {
                    x: first_x + column * (width + gap),
                    y: centred,
                    width,
                    height,
                }));
            }
        }
        Self { width_px, height_px, scale, font_px, labels, cells }
    }
}
