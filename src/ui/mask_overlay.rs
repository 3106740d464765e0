//! The mask over the picture: a texture a tile, of which only those are filled anew that were painted on.

use std::sync::Arc;

use egui::{Color32, ColorImage, Context, Rect, TextureHandle, TextureOptions, Ui, vec2};

use crate::domain::{Plane, PlaneTile};

use super::theme;

/// Most tiles that are filled in one frame: a megapixel, some milliseconds. The rest comes with the next.
const MAX_FILLED: usize = 16;

/// The mask on the graphics card.
#[derive(Default)]
pub struct MaskOverlay {
    size: (u32, u32),
    tiles: Vec<Option<Tile>>,
}

struct Tile {
    /// What is in the texture.
    levels: Arc<[u8]>,
    /// `None` where all is black.
    texture: Option<TextureHandle>,
}

impl MaskOverlay {
    /// Draws a mask in one colour over the picture, which begins at `picture.min` with `scale` points a px.
    pub fn paint(&mut self, ui: &Ui, plane: &Plane, picture: Rect, scale: f32, colour: Color32) {
        self.fill(ui.ctx(), plane);
        for (tile, filled) in plane.tiles().zip(&self.tiles) {
            let Some(texture) = filled.as_ref().and_then(|filled| filled.texture.as_ref()) else { continue };
            let corner = picture.min + vec2(tile.x as f32, tile.y as f32) * scale;
            let rect = Rect::from_min_size(corner, vec2(tile.width_px as f32, tile.height_px as f32) * scale);
            egui::Image::from_texture((texture.id(), rect.size())).tint(colour).paint_at(ui, rect);
        }
    }

    /// Fills the tiles that have changed, as far as a frame has time.
    fn fill(&mut self, ctx: &Context, plane: &Plane) {
        if self.size != plane.size() {
            self.size = plane.size();
            self.tiles.clear();
        }
        self.tiles.resize_with(plane.tiles().len(), || None);
        let mut filled = 0;
        for (tile, slot) in plane.tiles().zip(&mut self.tiles) {
            if slot.as_ref().is_some_and(|slot| Arc::ptr_eq(&slot.levels, tile.levels)) {
                continue;
            }
            if filled == MAX_FILLED {
                ctx.request_repaint();
                return;
            }
            let before = slot.take().and_then(|slot| slot.texture);
            let texture = fill_tile(ctx, &tile, before);
            filled += usize::from(texture.is_some());
            *slot = Some(Tile { levels: Arc::clone(tile.levels), texture });
        }
    }
}

/// Puts a tile into its texture, or into a new one; gives `None` where there is nothing to be seen.
fn fill_tile(ctx: &Context, tile: &PlaneTile<'_>, texture: Option<TextureHandle>) -> Option<TextureHandle> {
    if tile.levels.iter().all(|level| *level == 0) {
        return None;
    }
    let pixels = tile.levels.iter().map(|level| theme::mask_px(*level)).collect();
    let image = ColorImage::new([tile.width_px as usize, tile.height_px as usize], pixels);
    Some(match texture {
        Some(mut texture) => {
            texture.set(image, TextureOptions::LINEAR);
            texture
        }
        None => ctx.load_texture("mask", image, TextureOptions::LINEAR),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tiles_that_were_painted_on_are_filled_and_not_too_many_at_once() {
        let ctx = Context::default();
        let mut overlay = MaskOverlay::default();
        let ids = |overlay: &MaskOverlay| -> Vec<Option<egui::TextureId>> {
            let id = |tile: &Option<Tile>| tile.as_ref().and_then(|tile| tile.texture.as_ref()).map(TextureHandle::id);
            overlay.tiles.iter().map(id).collect()
        };
        let mut output = ctx.run_ui(egui::RawInput::default(), |ui| {
            let mut plane = Plane::new(600, 300, 0);
            overlay.fill(ui.ctx(), &plane);
            assert_eq!(ids(&overlay), vec![None; 6], "black needs no texture");
            plane.edit_row(10, 300, 310, |_, _| 255);
            overlay.fill(ui.ctx(), &plane);
            let filled = ids(&overlay);
            assert_eq!(
                filled.iter().map(Option::is_some).collect::<Vec<_>>(),
                [false, true, false, false, false, false]
            );
            overlay.fill(ui.ctx(), &plane.clone());
            plane.edit_row(11, 300, 310, |_, _| 255);
            overlay.fill(ui.ctx(), &plane);
            assert_eq!(ids(&overlay), filled, "the same texture is filled anew");
            overlay.fill(ui.ctx(), &Plane::new(600, 300, 0));
            assert_eq!(ids(&overlay), vec![None; 6]);

            let large = Plane::new(2048, 2048, 255);
            overlay.fill(ui.ctx(), &large);
            assert_eq!(ids(&overlay).iter().flatten().count(), MAX_FILLED);
            (0..3).for_each(|_| overlay.fill(ui.ctx(), &large));
            assert_eq!(ids(&overlay).iter().flatten().count(), 64);
        });
        output.shapes.clear();
    }
}
