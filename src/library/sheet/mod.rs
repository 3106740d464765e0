//! Sheets: the pictures of a grid laid out side by side, with the values of its axes written beside them.

mod layout;
mod text;

use std::path::PathBuf;
use std::sync::Arc;

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Rgba};

use super::image_io::{read_info, read_picture};
use super::shelf::PictureStore;
use crate::domain::grid::Axes;
use crate::domain::{Picture, PictureEntry, Recipe, Result, UserError};
use layout::{Area, Layout};
use text::{Face, Ink};

/// Behind everything.
const PAPER: [u8; 3] = [255; 3];
/// Labels.
const INK: [u8; 3] = [24; 3];
/// Where a picture is missing.
const BLANK: [u8; 3] = [238; 3];
/// What crosses out a missing picture, and says why it is.
const CROSS: [u8; 3] = [190; 3];
const REASON: [u8; 3] = [96; 3];

/// A picture of a grid.
#[derive(Clone, Debug)]
pub enum SheetCell {
    /// It is in a file.
    File(PathBuf),
    /// It is in memory only.
    Memory(Arc<Picture>),
    /// There is none; why, in a word or two.
    Blank(String),
}

/// What a sheet is made of.
#[derive(Clone, Debug)]
pub struct SheetOrder {
    /// The cells, counted like words on a page.
    pub cells: Vec<SheetCell>,
    /// What the cells have in common, and the grid that they are of.
    pub recipe: Recipe,
    /// Where the sheet goes.
    pub pictures_dir: PathBuf,
}

/// A sheet.
#[derive(Clone, Debug)]
pub struct SheetMade {
    /// The sheet.
    pub picture: Arc<Picture>,
    /// How it was made.
    pub recipe: Recipe,
    /// Its place in the history, or why it could not be saved.
    pub saved: Result<PictureEntry>,
}

/// Makes a sheet and saves it as any picture, with the grid inside.
///
/// # Errors
/// When there is nothing to be laid out.
pub fn make(order: &SheetOrder, store: &mut PictureStore) -> Result<SheetMade> {
    let axes = order.recipe.grid.as_deref().ok_or_else(|| UserError::failed("A sheet was asked for without a grid"))?;
    let picture = compose(axes, &order.cells)?;
    store.use_folder(&order.pictures_dir);
    let saved = store.save(&picture, &order.recipe);
    Ok(SheetMade { picture: Arc::new(picture), recipe: order.recipe.clone(), saved })
}

/// Lays cells out. Each has the place of the largest; where all would be larger than a picture can be, all are made smaller
/// alike. A picture that cannot be read leaves a marked blank, as one that is missing.
///
/// # Errors
/// When there is not a single picture.
pub fn compose(axes: &Axes, cells: &[SheetCell]) -> Result<Picture> {
    let size = |cell: &SheetCell| match cell {
        SheetCell::Memory(picture) => Some((picture.width_px, picture.height_px)),
        SheetCell::File(path) => read_info(path).ok().map(|info| (info.width_px, info.height_px)),
        SheetCell::Blank(_) => None,
    };
    let sizes = cells.iter().filter_map(size);
    let slot = sizes.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)));
    let slot = slot.ok_or_else(|| UserError::failed("None of the pictures of the grid could be made"))?;

    let face = Face::bundled();
    let layout = Layout::new(axes, slot, &face);
    let mut sheet = Canvas::new(layout.width_px, layout.height_px);
    for label in &layout.labels {
        sheet.write(&face, label.area, &label.lines, layout.font_px, INK);
    }
    for (at, cell) in cells.iter().enumerate().take(axes.cells()) {
        let area = layout.cell(at);
        match read(cell) {
            Ok(picture) => sheet.place(area, picture, layout.scale),
            Err(reason) => sheet.cross_out(&face, area, &reason, layout.font_px),
        }
    }
    for at in cells.len()..axes.cells() {
        sheet.cross_out(&face, layout.cell(at), "Not made", layout.font_px);
    }
    Ok(sheet.into_picture())
}

/// A cell's picture, or why there is none.
fn read(cell: &SheetCell) -> std::result::Result<Arc<Picture>, String> {
    match cell {
        SheetCell::Memory(picture) => Ok(Arc::clone(picture)),
        SheetCell::File(path) => read_picture(path).map(Arc::new).map_err(|_| "Could not be read".to_owned()),
        SheetCell::Blank(reason) => Err(reason.clone()),
    }
}

/// The sheet as it is filled.
struct Canvas {
    pixels: ImageBuffer<Rgba<u8>, Vec<u8>>,
}

impl Canvas {
    fn new(width_px: u32, height_px: u32) -> Self {
        Self { pixels: ImageBuffer::from_pixel(width_px, height_px, opaque(PAPER)) }
    }

    fn into_picture(self) -> Picture {
        let (width_px, height_px) = self.pixels.dimensions();
        Picture { width_px, height_px, rgba: self.pixels.into_raw() }
    }

    /// Puts a picture into the middle of its place, as large as it is there.
    fn place(&mut self, area: Area, picture: Arc<Picture>, scale: f64) {
        let (width_px, height_px) = (picture.width_px, picture.height_px);
        let rgba = Arc::unwrap_or_clone(picture).rgba;
        let Some(mut image) = ImageBuffer::<Rgba<u8>, _>::from_raw(width_px, height_px, rgba) else { return };
        if scale < 1.0 {
            let side = |px: u32| ((f64::from(px) * scale).round() as u32).max(1);
            image = imageops::resize(&image, side(width_px), side(height_px), FilterType::Triangle);
        }
        let middle = |start: u32, room: u32, taken: u32| i64::from(start) + (i64::from(room) - i64::from(taken)) / 2;
        let x = middle(area.x, area.width, image.width());
        let y = middle(area.y, area.height, image.height());
        imageops::overlay(&mut self.pixels, &image, x, y);
    }

    /// Marks a place that stays blank, and says why.
    fn cross_out(&mut self, face: &Face, area: Area, reason: &str, font_px: f32) {
        let Area { x, y, width, height } = area;
        for row in y..y + height {
            for column in x..x + width {
                self.put(column, row, BLANK);
            }
        }
        for step in 0..2 * width.max(height) {
            let part = (f64::from(step) + 0.5) / f64::from(2 * width.max(height));
            let across = (part * f64::from(width)) as u32;
            let down = (part * f64::from(height)) as u32;
            self.put(x + across, y + down, CROSS);
            self.put(x + width - 1 - across, y + down, CROSS);
        }
        let lines = face.wrap(reason, width as f32, font_px, 2);
        self.write(face, area, &lines, font_px, REASON);
    }

    fn put(&mut self, x: u32, y: u32, colour: [u8; 3]) {
        if let Some(pixel) = self.pixels.get_pixel_mut_checked(x, y) {
            *pixel = opaque(colour);
        }
    }

    /// Writes lines into the middle of an area.
    fn write(&mut self, face: &Face, area: Area, lines: &[String], font_px: f32, colour: [u8; 3]) {
        let line_px = Face::line_px(font_px);
        let mut top = area.y as f32 + (area.height as f32 - line_px * lines.len() as f32) / 2.0;
        for line in lines {
            let left = area.x as f32 + (area.width as f32 - face.width(line, font_px)).max(0.0) / 2.0;
            face.draw(line, font_px, (left, top), &mut |Ink { x, y, coverage }| {
                let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
                // Nothing is written beyond its place: a neighbour's would be covered.
                if x >= area.x + area.width || y >= area.y + area.height {
                    return;
                }
                if let Some(Rgba(pixel)) = self.pixels.get_pixel_mut_checked(x, y) {
                    for (old, new) in pixel.iter_mut().zip(colour) {
                        *old = (f32::from(*old) + (f32::from(new) - f32::from(*old)) * coverage).round() as u8;
                    }
                }
            });
            top += line_px;
        }
    }
}

const fn opaque([red, green, blue]: [u8; 3]) -> Rgba<u8> {
    Rgba([red, green, blue, 255])
}

#[cfg(test)]
mod tests;
