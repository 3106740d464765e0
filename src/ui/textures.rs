//! Pictures on the graphics card: the forming one, and a bounded cache of the others.

use std::collections::HashMap;
use std::sync::Arc;

use egui::{Color32, ColorImage, Context, Rect, TextureHandle, TextureOptions, pos2, vec2};

use crate::domain::{Picture, PictureId, SafetyMode, Verdict};

/// Bytes of cached pictures, above which those that were not drawn for longest go.
const BUDGET: usize = 128 << 20;

/// What a cached picture is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextureKey {
    /// A thumbnail of the history.
    Thumbnail(PictureId),
    /// A picture of the history in full.
    Full(PictureId),
    /// A picture of this session, by its key in the filmstrip.
    Film(u64),
    /// The picture to begin with, by its number.
    Source(u64),
    /// A step of a picture of this session, by that one's key; small, or in full.
    Step(u64, u32, bool),
    /// A picture of a training, or of a row that it learns from, by its number.
    Training(u64),
    /// A thumbnail of a data set, by that one's number and the row's place.
    Row(u64, usize),
    /// What is shown instead of a flagged picture of the history.
    HiddenFull(PictureId, SafetyMode),
    /// What is shown instead of a flagged picture of this session.
    HiddenFilm(u64, SafetyMode),
}

/// A picture on the graphics card, in tiles where it is larger than a texture may be.
pub struct PictureTexture {
    /// Where each tile lies, in shares of the picture.
    tiles: Vec<(Rect, TextureHandle)>,
    bytes: usize,
    last_drawn: u64,
}

impl PictureTexture {
    fn load(ctx: &Context, picture: &Picture, options: TextureOptions) -> Self {
        let side = u32::try_from(ctx.input(|input| input.max_texture_side)).unwrap_or(2048).max(1);
        let mut tiles = Vec::new();
        for y in (0..picture.height_px).step_by(side as usize) {
            for x in (0..picture.width_px).step_by(side as usize) {
                let (width, height) = (side.min(picture.width_px - x), side.min(picture.height_px - y));
                let place = Rect::from_min_size(
                    pos2(x as f32 / picture.width_px as f32, y as f32 / picture.height_px as f32),
                    vec2(width as f32 / picture.width_px as f32, height as f32 / picture.height_px as f32),
                );
                let image = cut(picture, x, y, width, height);
                tiles.push((place, ctx.load_texture("picture", image, options)));
            }
        }
        Self { tiles, bytes: picture.rgba.len(), last_drawn: 0 }
    }

    /// Draws the picture into a rectangle, with rounded corners where it is a single tile.
    pub fn paint(&self, ui: &egui::Ui, rect: Rect, rounding: u8) {
        for (place, texture) in &self.tiles {
            let part = Rect::from_min_size(rect.min + place.min.to_vec2() * rect.size(), place.size() * rect.size());
            let rounding = if self.tiles.len() == 1 { rounding } else { 0 };
            egui::Image::from_texture((texture.id(), part.size())).corner_radius(rounding).paint_at(ui, part);
        }
    }
}

/// All pictures on the graphics card.
#[derive(Default)]
pub struct Textures {
    cache: HashMap<TextureKey, PictureTexture>,
    /// The same pictures with sharp px, for those that are shown large.
    sharp: HashMap<TextureKey, PictureTexture>,
    preview: Option<(Arc<Picture>, TextureHandle)>,
    frame: u64,
    generation: u64,
}

impl Textures {
    /// Begins a frame: makes room, and forgets everything when the keys have changed their meaning.
    pub fn begin_frame(&mut self, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            let stays = |key: &TextureKey| {
                matches!(
                    key,
                    TextureKey::Film(_)
                        | TextureKey::HiddenFilm(..)
                        | TextureKey::Source(_)
                        | TextureKey::Step(..)
                        | TextureKey::Training(_)
                        | TextureKey::Row(..)
                )
            };
            self.cache.retain(|key, _| stays(key));
            self.sharp.retain(|key, _| stays(key));
        }
        self.evict(BUDGET);
        // Of those that are not looked at any more, none is needed.
        let frame = self.frame;
        self.sharp.retain(|_, texture| texture.last_drawn >= frame);
        self.frame += 1;
    }

    /// A cached picture, if it is there; it then counts as drawn in this frame.
    pub fn get(&mut self, key: TextureKey) -> Option<&PictureTexture> {
        let frame = self.frame;
        self.cache.get_mut(&key).map(|texture| {
            texture.last_drawn = frame;
            &*texture
        })
    }

    /// A cached picture, loaded if it is not there.
    pub fn load(&mut self, ctx: &Context, key: TextureKey, picture: &Picture) -> &PictureTexture {
        let frame = self.frame;
        let texture =
            self.cache.entry(key).or_insert_with(|| PictureTexture::load(ctx, picture, TextureOptions::LINEAR));
        texture.last_drawn = frame;
        texture
    }

    /// The same with sharp px: to be shown enlarged.
    pub fn load_sharp(&mut self, ctx: &Context, key: TextureKey, picture: &Picture) -> &PictureTexture {
        let frame = self.frame;
        let texture =
            self.sharp.entry(key).or_insert_with(|| PictureTexture::load(ctx, picture, TextureOptions::NEAREST));
        texture.last_drawn = frame;
        texture
    }

    /// What is shown instead of a flagged picture, made where it is not there.
    pub fn load_hidden(
        &mut self,
        ctx: &Context,
        key: TextureKey,
        picture: &Picture,
        mode: SafetyMode,
        verdict: Verdict,
    ) -> &PictureTexture {
        let frame = self.frame;
        let texture = self.cache.entry(key).or_insert_with(|| {
            let instead = mode.instead_of(picture, verdict);
            PictureTexture::load(ctx, instead.as_ref().unwrap_or(picture), TextureOptions::LINEAR)
        });
        texture.last_drawn = frame;
        texture
    }

    /// Forgets what is cached for a key.
    pub fn forget(&mut self, key: TextureKey) {
        self.cache.remove(&key);
    }

    /// Replaces what is cached for a key, such as by a thumbnail that has just come.
    pub fn insert(&mut self, ctx: &Context, key: TextureKey, picture: &Picture) {
        let mut texture = PictureTexture::load(ctx, picture, TextureOptions::LINEAR);
        texture.last_drawn = self.frame;
        self.cache.insert(key, texture);
    }

    /// The texture of the forming picture: one for all steps, filled anew when another preview comes.
    pub fn preview(&mut self, ctx: &Context, picture: &Arc<Picture>) -> &TextureHandle {
        let fill = |picture: &Picture| cut(picture, 0, 0, picture.width_px, picture.height_px);
        let (shown, texture) = self.preview.get_or_insert_with(|| {
            (Arc::clone(picture), ctx.load_texture("preview", fill(picture), TextureOptions::LINEAR))
        });
        if !Arc::ptr_eq(shown, picture) {
            texture.set(fill(picture), TextureOptions::LINEAR);
            *shown = Arc::clone(picture);
        }
        texture
    }

    fn evict(&mut self, budget: usize) {
        let mut bytes: usize = self.cache.values().map(|texture| texture.bytes).sum();
        if bytes <= budget {
            return;
        }
        let mut by_age: Vec<(u64, TextureKey)> =
            self.cache.iter().map(|(key, texture)| (texture.last_drawn, *key)).collect();
        by_age.sort_unstable_by_key(|(last_drawn, _)| *last_drawn);
        for (last_drawn, key) in by_age {
            // What is on the screen stays, even over the budget.
            if bytes <= budget || last_drawn == self.frame {
                break;
            }
            if let Some(texture) = self.cache.remove(&key) {
                bytes -= texture.bytes;
            }
        }
    }
}

/// A picture as egui takes it.
#[must_use]
pub fn colour_image(picture: &Picture) -> ColorImage {
    cut(picture, 0, 0, picture.width_px, picture.height_px)
}

/// A picture as egui gives it, such as from the clipboard.
#[must_use]
pub fn picture_from_colours(image: &ColorImage) -> Picture {
    let rgba = image.pixels.iter().flat_map(Color32::to_srgba_unmultiplied).collect();
    Picture { width_px: image.width() as u32, height_px: image.height() as u32, rgba }
}

/// Part of a picture as egui takes it. Bytes that the picture lacks are transparent.
fn cut(picture: &Picture, x: u32, y: u32, width: u32, height: u32) -> ColorImage {
    let row_bytes = 4 * picture.width_px as usize;
    let mut pixels = Vec::with_capacity(width as usize * height as usize);
    for row in y..y + height {
        let start = row as usize * row_bytes + 4 * x as usize;
        let bytes = picture.rgba.get(start..start + 4 * width as usize).unwrap_or_default();
        pixels.extend(bytes.chunks_exact(4).map(|p| Color32::from_rgba_unmultiplied(p[0], p[1], p[2], p[3])));
    }
    pixels.resize(width as usize * height as usize, Color32::TRANSPARENT);
    ColorImage::new([width as usize, height as usize], pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width_px: u32, height_px: u32) -> Picture {
        let rgba = (0..width_px * height_px).flat_map(|i| [(i % 256) as u8, 0, 0, 255]).collect();
        Picture { width_px, height_px, rgba }
    }

    #[test]
    fn a_picture_larger_than_a_texture_is_tiled() {
        let ctx = Context::default();
        let mut output =
            ctx.run_ui(egui::RawInput { max_texture_side: Some(1024), ..egui::RawInput::default() }, |ui| {
                let texture = PictureTexture::load(ui.ctx(), &picture(1500, 2100), TextureOptions::LINEAR);
                assert_eq!(texture.tiles.len(), 2 * 3);
                let area: f32 = texture.tiles.iter().map(|(place, _)| place.area()).sum();
                assert!((area - 1.0).abs() < 1e-5, "the tiles cover the picture");
            });
        output.shapes.clear();
    }

    #[test]
    fn a_cut_takes_the_right_pixels() {
        let image = cut(&picture(10, 10), 3, 2, 2, 2);
        let reds: Vec<u8> = image.pixels.iter().map(Color32::r).collect();
        assert_eq!(reds, [23, 24, 33, 34], "pixel (x, y) of the test picture has red 10 y + x");
    }

    #[test]
    fn what_was_not_drawn_for_longest_goes_first() {
        let ctx = Context::default();
        let _ = ctx.run_ui(egui::RawInput::default(), |ui| {
            let mut textures = Textures::default();
            for key in 0..3 {
                textures.begin_frame(0);
                textures.load(ui.ctx(), TextureKey::Film(key), &picture(8, 8));
            }
            textures.get(TextureKey::Film(0));
            textures.evict(2 * 8 * 8 * 4);
            assert!(textures.get(TextureKey::Film(1)).is_none());
            assert!(textures.get(TextureKey::Film(0)).is_some() && textures.get(TextureKey::Film(2)).is_some());
        });
    }
}
