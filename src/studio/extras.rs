//! What a picture is made with besides the prompt: a picture to begin with, its mask, another autoencoder, a second pass.

use std::path::{Path, PathBuf};

use crate::domain::{Extend, GenerateRequest, Hires, InitImage, UserError};

use super::batch_actions::TABLES;
use super::{BatchAction, DialogRequest, Draft, Effect, Info, Place, ShelfAction, Size, State};

/// Most that is painted beyond an edge.
const MAX_EXTEND_PX: u32 = 4096;
/// How many times as large a picture becomes by one click.
const UPSCALE: f64 = 2.0;
/// Endings of pictures that can be begun with.
const PICTURES: [&str; 4] = ["png", "jpg", "jpeg", "webp"];
/// Endings of models.
const MODELS: [&str; 4] = ["safetensors", "ckpt", "pt", "bin"];

/// A change of what a picture is made with besides the prompt. Values out of bounds are brought into them.
#[derive(Clone, Debug, PartialEq)]
pub enum Extra {
    /// The picture to begin with.
    Init(Option<PathBuf>),
    /// What of it is painted anew.
    Mask(Option<PathBuf>),
    /// How far it is taken back to noise.
    Strength(f64),
    /// How much is painted around it; the whole grows by as much.
    Extend(Extend),
    /// How many times as large it is made, painted over in tiles; `None` is not at all.
    Upscale(Option<f64>),
    /// How many times as large a second pass makes the picture; `None` is off.
    Hires(Option<f64>),
    /// How far the second pass goes back to noise.
    HiresStrength(f64),
    /// How many of the text encoder's last layers are left out.
    ClipSkip(u32),
    /// An autoencoder in the place of the model's own.
    Vae(Option<PathBuf>),
}

impl Extra {
    /// The field's name and what it means, for people who do not know the field's jargon.
    pub(super) fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::Init(_) => ("Begin with", "A picture that is made into something new, instead of noise"),
            Self::Mask(_) => ("Mask", "A picture whose white parts are painted anew, while the rest stays as it is"),
            Self::Strength(_) => {
                ("Strength", "How far the picture is taken back to noise. Low keeps it, 1 keeps next to nothing")
            }
            Self::Extend(_) => {
                ("Paint around", "How much is painted beyond each edge of the picture, in px. It stays as it is")
            }
            Self::Upscale(_) => {
                ("Enlarge", "Makes the picture itself larger, and paints detail into it tile by tile (Width × Height)")
            }
            Self::Hires(_) => (
                "Second pass",
                "Makes the picture larger and adds detail (hires fix): models draw best at their own size first",
            ),
            Self::HiresStrength(_) => ("Change", "How much the second pass may change. Low keeps the picture"),
            Self::ClipSkip(_) => {
                ("Clip skip", "How many of the text encoder's last layers are left out. Some models were made for 1")
            }
            Self::Vae(_) => ("VAE", "The network between latents and pixels, if not the model's own"),
        };
        Info { text, tooltip, shortcut: None }
    }
}

impl Draft {
    /// Changes what a picture is made with besides the prompt.
    pub fn edit_extra(&mut self, extra: Extra) {
        let request = &mut self.request;
        // What is enlarged may also stay as it is.
        let least = if request.upscale.is_some() { 0.0 } else { 0.05 };
        let share = |value: f64| if value.is_finite() { value.clamp(least, 1.0) } else { InitImage::STRENGTH };
        match extra {
            Extra::Init(Some(picture)) => {
                // A mask belongs to its picture, and so does what is painted around it; the strength is the user's.
                grow(request, Extend::default());
                let strength = request.init.as_ref().map_or(InitImage::STRENGTH, |init| init.strength);
                request.init = Some(InitImage { picture, mask: None, strength, extend: Extend::default() });
            }
            Extra::Init(None) => {
                grow(request, Extend::default());
                request.init = None;
                request.upscale = None;
            }
            Extra::Mask(mask) => {
                if let Some(init) = &mut request.init {
                    if mask.is_some() && init.mask.is_none() {
                        init.strength = InitImage::MASK_STRENGTH;
                    }
                    init.mask = mask;
                }
            }
            Extra::Extend(extend) => {
                let whole = |px: u32| px.min(MAX_EXTEND_PX).next_multiple_of(Extend::MULTIPLE_PX);
                let Extend { left, right, top, bottom } = extend;
                let extend = Extend { left: whole(left), right: whole(right), top: whole(top), bottom: whole(bottom) };
                let first = request.init.as_ref().is_some_and(|init| init.extend.is_none() && !extend.is_none());
                grow(request, extend);
                if let Some(init) = request.init.as_mut().filter(|init| first && init.mask.is_none()) {
                    init.strength = InitImage::EXTEND_STRENGTH;
                }
            }
            Extra::Upscale(scale) => {
                if let Some(init) = request.init.as_mut().filter(|_| scale.is_some() && request.upscale.is_none()) {
                    init.strength = InitImage::UPSCALE_STRENGTH;
                    init.mask = None;
                    request.hires = None;
                }
                request.upscale = scale.filter(|_| request.init.is_some());
                if request.upscale.is_some() {
                    grow(request, Extend::default());
                } else if let Some(init) = &mut request.init {
                    init.strength = init.strength.max(0.05);
                }
            }
            Extra::Strength(strength) => {
                if let Some(init) = &mut request.init {
                    init.strength = share(strength);
                }
            }
            Extra::Hires(scale) => {
                let strength = request.hires.map_or(Hires::STRENGTH, |hires| hires.strength);
                request.hires = scale.map(|scale| Hires { scale, strength });
            }
            Extra::HiresStrength(strength) => {
                if let Some(hires) = &mut request.hires {
                    hires.strength = share(strength);
                }
            }
            Extra::ClipSkip(layers) => request.clip_skip = layers.min(crate::domain::limits::MAX_CLIP_SKIP),
            Extra::Vae(vae) => request.vae = vae,
        }
    }
}

impl State {
    /// Files were dropped on the window: a picture is begun with, a model is looked at.
    pub(super) fn dropped(&mut self, paths: Vec<PathBuf>) -> Vec<Effect> {
        if let Some(effects) = self.dropped_on_gallery(&paths) {
            return effects;
        }
        if let Some(effects) = self.dropped_on_dataset(&paths) {
            return effects;
        }
        let Some(path) = paths.into_iter().next() else { return Vec::new() };
        if has_ending(&path, &PICTURES) {
            self.place = Place::Create;
            self.draft.edit_extra(Extra::Init(Some(path)));
            self.mark_dirty();
            return Vec::new();
        }
        if path.is_dir() || has_ending(&path, &MODELS) {
            self.place = Place::Models;
            return self.apply_shelf(ShelfAction::Inspect(path));
        }
        if has_ending(&path, &TABLES) {
            return self.apply_batch(BatchAction::Open(path));
        }
        let error = UserError::input("This file is neither a picture, nor a model, nor a table").path(path);
        self.notices
            .error(error.hint("PNG, JPEG and WebP pictures can be dropped here, models, and tables for a batch"));
        Vec::new()
    }

    /// The picture in view is made larger, with what made it where that is known: a job of its own, the draft stays.
    pub(super) fn upscale_selected(&mut self) -> Vec<Effect> {
        let Some(subject) = self.subject() else { return Vec::new() };
        let Some(picture) = subject.entry.map(|entry| entry.path.clone()) else {
            self.notices.info("Only a picture that was saved can be made larger", None);
            return Vec::new();
        };
        let made = subject.recipe.map_or(&self.draft.request, |recipe| &recipe.request).clone();
        let mut draft = Draft { request: made, seed_locked: true };
        draft.edit_extra(Extra::Init(None));
        draft.edit_extra(Extra::Init(Some(picture)));
        draft.edit_extra(Extra::Upscale(Some(UPSCALE)));
        draft.request.count = 1;
        if let Some(family) = self.family_of(&draft.request.model) {
            let side_px = Size::of(family).clamp(family.native_side_px);
            (draft.request.width_px, draft.request.height_px) = (side_px, side_px);
        }
        self.enqueue(draft.request)
    }

    /// A file for one of the extras was chosen.
    pub(super) fn chosen_extra(&mut self, request: &DialogRequest, path: PathBuf) {
        self.draft.edit_extra(match request {
            DialogRequest::Mask => Extra::Mask(Some(path)),
            DialogRequest::Vae => Extra::Vae(Some(path)),
            _ => Extra::Init(Some(path)),
        });
        self.mark_dirty();
    }
}

/// Paints so much around the picture, on a canvas that is as much larger.
fn grow(request: &mut GenerateRequest, extend: Extend) {
    let Some(init) = &mut request.init else { return };
    let (before, after) = (init.extend.sides(), extend.sides());
    let side = |px: u32, before: u32, after: u32| px.saturating_sub(before).saturating_add(after);
    request.width_px = side(request.width_px, before.0, after.0);
    request.height_px = side(request.height_px, before.1, after.1);
    init.extend = extend;
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|own| endings.iter().any(|ending| own.eq_ignore_ascii_case(ending)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft { request: GenerateRequest::default(), seed_locked: false }
    }

    #[test]
    fn a_mask_belongs_to_its_picture() {
        let mut draft = draft();
        draft.edit_extra(Extra::Mask(Some("m.png".into())));
        assert_eq!(draft.request.init, None);
        draft.edit_extra(Extra::Init(Some("a.png".into())));
        draft.edit_extra(Extra::Mask(Some("m.png".into())));
        let init = draft.request.init.clone().unwrap();
        assert_eq!((init.mask, init.strength), (Some("m.png".into()), 1.0));
        draft.edit_extra(Extra::Strength(0.3));
        draft.edit_extra(Extra::Init(Some("b.png".into())));
        let extend = Extend::default();
        let expected = InitImage { picture: "b.png".into(), mask: None, strength: 0.3, extend };
        assert_eq!(draft.request.init, Some(expected));
        draft.edit_extra(Extra::Init(None));
        assert_eq!(draft.request.init, None);
    }

    #[test]
    fn the_canvas_grows_by_what_is_painted_around() {
        let mut draft = draft();
        draft.edit_extra(Extra::Extend(Extend { left: 8, ..Extend::default() }));
        assert_eq!(draft.request.width_px, 128, "there is no picture");
        draft.edit_extra(Extra::Init(Some("a.png".into())));
        draft.edit_extra(Extra::Extend(Extend { left: 60, right: 8, top: 0, bottom: 16 }));
        assert_eq!((draft.request.width_px, draft.request.height_px), (128 + 72, 128 + 16));
        assert_eq!(draft.request.init.as_ref().map(|init| (init.extend.left, init.strength)), Some((64, 0.9)));
        draft.edit_extra(Extra::Extend(Extend { left: 8, ..Extend::default() }));
        assert_eq!((draft.request.width_px, draft.request.height_px), (136, 128));
        draft.edit_extra(Extra::Upscale(Some(2.0)));
        assert_eq!((draft.request.width_px, draft.request.upscale), (128, Some(2.0)));
        draft.edit_extra(Extra::Strength(0.0));
        draft.edit_extra(Extra::Upscale(None));
        assert_eq!(draft.request.init.as_ref().map(|init| init.strength), Some(0.05));
        draft.edit_extra(Extra::Init(None));
        assert_eq!((draft.request.init.clone(), draft.request.upscale, draft.request.width_px), (None, None, 128));
    }

    #[test]
    fn values_are_brought_into_their_bounds() {
        let mut draft = draft();
        draft.edit_extra(Extra::HiresStrength(0.2));
        assert_eq!(draft.request.hires, None);
        draft.edit_extra(Extra::Hires(Some(2.0)));
        draft.edit_extra(Extra::HiresStrength(9.0));
        assert_eq!(draft.request.hires, Some(Hires { scale: 2.0, strength: 1.0 }));
        draft.edit_extra(Extra::ClipSkip(99));
        assert_eq!(draft.request.clip_skip, crate::domain::limits::MAX_CLIP_SKIP);
    }
}
