//! What a picture is made with besides the prompt: a picture to begin with, its mask, another autoencoder, a second pass.

use std::path::{Path, PathBuf};

use crate::domain::{Hires, InitImage, UserError};

use super::{DialogRequest, Draft, Effect, Info, Place, ShelfAction, State};

/// How far a picture is taken back to noise where nothing is said: it stays recognisable, and may change.
const STRENGTH: f64 = 0.6;
/// The same for the second pass, which is to keep what the first one made.
const HIRES_STRENGTH: f64 = 0.45;
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
        let share = |value: f64| if value.is_finite() { value.clamp(0.05, 1.0) } else { STRENGTH };
        match extra {
            Extra::Init(Some(picture)) => {
                // A mask belongs to its picture; the strength is the user's.
                let strength = request.init.as_ref().map_or(STRENGTH, |init| init.strength);
                request.init = Some(InitImage { picture, mask: None, strength });
            }
            Extra::Init(None) => request.init = None,
            Extra::Mask(mask) => {
                if let Some(init) = &mut request.init {
                    // What is painted anew is usually to be something else.
                    init.strength = if mask.is_some() && init.mask.is_none() { 1.0 } else { init.strength };
                    init.mask = mask;
                }
            }
            Extra::Strength(strength) => {
                if let Some(init) = &mut request.init {
                    init.strength = share(strength);
                }
            }
            Extra::Hires(scale) => {
                let strength = request.hires.map_or(HIRES_STRENGTH, |hires| hires.strength);
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
        let error = UserError::input("This file is neither a picture nor a model").path(path);
        self.notices.error(error.hint("PNG, JPEG and WebP pictures can be dropped here, and models"));
        Vec::new()
    }

    /// The selected picture is begun with.
    pub(super) fn begin_with_selected(&mut self) -> Vec<Effect> {
        let Some(path) = self.subject().and_then(|subject| subject.entry).map(|entry| entry.path.clone()) else {
            return Vec::new();
        };
        self.dropped(vec![path])
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

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|own| endings.iter().any(|ending| own.eq_ignore_ascii_case(ending)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft { request: crate::domain::GenerateRequest::default(), seed_locked: false }
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
        assert_eq!(draft.request.init, Some(InitImage { picture: "b.png".into(), mask: None, strength: 0.3 }));
        draft.edit_extra(Extra::Init(None));
        assert_eq!(draft.request.init, None);
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
