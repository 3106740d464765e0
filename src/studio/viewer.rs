//! [`Viewer`]: looking at pictures closely. Zoom, the picture alone on the screen, the slide show; and what is taken from
//! its recipe. Comparing two is in [`super::compare`], making one again in [`super::replay`].

use crate::domain::{GenerateRequest, ModelRef, PictureId, Recipe};

use super::compare::{Compare, CompareAction};
use super::gallery_import::{ImportAction, Importer};
use super::replay::{Replay, ReplayAction};
use super::{Effect, Info, Key, ModelStatus, Move, Place, Shortcut, State};

/// The smallest and the largest px of a picture on the screen, in px of the screen.
const MIN_FACTOR: f32 = 0.05;
const MAX_FACTOR: f32 = 32.0;
/// How much a step of zoom enlarges: four steps are sixteen times.
const STEP: f32 = 2.0;
/// How long a picture of a slide show stays at first, in seconds.
const SLIDE_SECS: u32 = 4;

/// Which part of a picture is seen, and how large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zoom {
    /// Px of the screen for a px of the picture; `None` fits all of it in.
    pub factor: Option<f32>,
    /// What of the picture is in the middle, in shares of its width and height.
    pub centre: (f32, f32),
}

impl Default for Zoom {
    fn default() -> Self {
        Self { factor: None, centre: (0.5, 0.5) }
    }
}

impl Zoom {
    /// Larger than this, a px of the picture is shown as a square with sharp edges.
    pub const SHARP_FROM: f32 = 2.0;
    /// The factors that are offered.
    pub const OFFERED: [f32; 4] = [1.0, 2.0, 4.0, 8.0];

    /// With both within bounds.
    #[must_use]
    pub fn bounded(self) -> Self {
        let share = |share: f32| if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.5 };
        let factor = self.factor.filter(|factor| factor.is_finite());
        Self {
            factor: factor.map(|factor| factor.clamp(MIN_FACTOR, MAX_FACTOR)),
            centre: (share(self.centre.0), share(self.centre.1)),
        }
    }

    /// A step larger or smaller, to the next power of two.
    fn stepped(self, is_in: bool) -> Self {
        // From fitting, the first step is to the picture's own size.
        let Some(factor) = self.factor else { return Self { factor: Some(1.0), ..self } };
        let power = factor.log2();
        let next = if is_in { (power + 0.01).floor() + 1.0 } else { (power - 0.01).ceil() - 1.0 };
        Self { factor: Some(STEP.powf(next)), ..self }.bounded()
    }
}

/// Looking at pictures closely.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Of the large view; the same for the next picture.
    pub zoom: Zoom,
    /// Whether the picture is all that is shown.
    pub is_alone: bool,
    /// Whether the next picture comes by itself.
    pub is_showing: bool,
    /// How long a picture of the slide show stays, in seconds.
    pub slide_secs: u32,
    /// The picture that another one is chosen for, to compare the two.
    pub picking: Option<PictureId>,
    /// Two pictures beside each other.
    pub compare: Option<Compare>,
    /// A picture that is made again.
    pub replay: Option<Replay>,
    /// Pictures of other programs.
    pub import: Importer,
    /// Whether the window filled the screen before the picture was alone.
    was_full_screen: bool,
    pub(super) last_replay: u64,
}

impl Default for Viewer {
    fn default() -> Self {
        Self {
            zoom: Zoom::default(),
            is_alone: false,
            is_showing: false,
            slide_secs: SLIDE_SECS,
            picking: None,
            compare: None,
            replay: None,
            import: Importer::default(),
            was_full_screen: false,
            last_replay: 0,
        }
    }
}

/// An act of the user on a picture that is looked at closely.
#[derive(Clone, Debug, PartialEq)]
pub enum ViewerAction {
    /// Show that part, that large.
    Zoom(Zoom),
    /// A step larger.
    ZoomIn,
    /// A step smaller.
    ZoomOut,
    /// Fit all of the picture in, or show it in its own size.
    ToggleFit,
    /// Show nothing but the picture, or the rest again.
    ToggleAlone,
    /// Let the next picture come by itself, or stop that.
    ToggleSlides,
    /// How long each stays, in seconds.
    SlideSecs(u32),
    /// The next picture of the slide show.
    NextSlide,
    /// Take all of the recipe but the seed over, which is a new one.
    Remix,
    /// Choose a picture to compare this one with.
    CompareWith,
    /// Compare with none after all.
    StopPicking,
    /// Compare the two that are chosen.
    CompareChosen,
    /// Something with two pictures beside each other.
    Compare(CompareAction),
    /// Something with making a picture again.
    Replay(ReplayAction),
    /// Something with pictures of other programs.
    Import(ImportAction),
}

impl ViewerAction {
    /// Text, tooltip and shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip, shortcut) = match self {
            Self::Zoom(Zoom { factor: None, .. }) => ("Fit", "Show all of the picture", None),
            Self::Zoom(_) => ("Zoom", "The wheel zooms at the pointer, dragging moves the picture", None),
            Self::ZoomIn => ("Zoom in", "Twice as large", Some(Shortcut::plain(Key::Plus))),
            Self::ZoomOut => ("Zoom out", "Half as large", Some(Shortcut::plain(Key::Minus))),
            Self::ToggleFit => (
                "Fit or own size",
                "Show all of the picture, or each of its px as one of the screen; a double click does so too",
                Some(Shortcut::plain(Key::Z)),
            ),
            Self::ToggleAlone => (
                "Only the picture",
                "Fill the screen with the picture and hide everything else; the same key, or Esc, brings it back",
                Some(Shortcut::plain(Key::F)),
            ),
            Self::ToggleSlides => {
                ("Slide show", "Show one picture after the other, or stop doing so", Some(Shortcut::plain(Key::Space)))
            }
            Self::SlideSecs(_) => ("Seconds for each", "How long each picture of the slide show stays", None),
            Self::NextSlide => ("", "", None),
            Self::Remix => {
                ("Remix", "Take over everything that made this picture but the seed, which is a new one", None)
            }
            Self::CompareWith => {
                ("Compare with…", "Choose another picture, to see both over or beside each other", None)
            }
            Self::StopPicking => ("Never mind", "Compare with none", None),
            Self::CompareChosen => ("Compare", "See the two chosen pictures over or beside each other", None),
            Self::Compare(action) => return action.info(),
            Self::Replay(action) => return action.info(),
            Self::Import(action) => return action.info(),
        };
        Info { text, tooltip, shortcut }
    }
}

impl State {
    /// Carries out an act on a picture that is looked at closely.
    pub(super) fn apply_viewer(&mut self, action: ViewerAction) -> Vec<Effect> {
        match action {
            ViewerAction::Zoom(zoom) => self.set_zoom(|_| zoom),
            ViewerAction::ZoomIn => self.set_zoom(|zoom| zoom.stepped(true)),
            ViewerAction::ZoomOut => self.set_zoom(|zoom| zoom.stepped(false)),
            ViewerAction::ToggleFit => {
                self.set_zoom(|zoom| Zoom { factor: zoom.factor.map_or(Some(1.0), |_| None), ..Zoom::default() });
            }
            ViewerAction::ToggleAlone => return self.set_alone(!self.viewer.is_alone),
            ViewerAction::ToggleSlides => self.viewer.is_showing = !self.viewer.is_showing && self.gallery.large,
            ViewerAction::SlideSecs(secs) => self.viewer.slide_secs = secs.clamp(1, 600),
            ViewerAction::NextSlide => {
                let Some(id) = self.gallery.neighbour(Move::Next).filter(|_| self.viewer.is_showing) else {
                    self.viewer.is_showing = false;
                    return Vec::new();
                };
                return self.open(id);
            }
            ViewerAction::Remix => return self.remix(),
            ViewerAction::CompareWith => {
                self.viewer.picking = self.gallery.selected;
                self.gallery.large = false;
                return self.set_alone(false);
            }
            ViewerAction::StopPicking => self.viewer.picking = None,
            ViewerAction::CompareChosen => {
                if let [one, other] = self.gallery.subjects().as_slice() {
                    return self.compare(*one, *other);
                }
            }
            ViewerAction::Compare(action) => return self.apply_compare(&action),
            ViewerAction::Replay(action) => return self.apply_replay(action),
            ViewerAction::Import(action) => return self.apply_import(&action),
        }
        Vec::new()
    }

    /// Changes the zoom of what is looked at: of both pictures where two are compared.
    fn set_zoom(&mut self, change: impl FnOnce(Zoom) -> Zoom) {
        let zoom = match &mut self.viewer.compare {
            Some(compare) => &mut compare.zoom,
            None => &mut self.viewer.zoom,
        };
        *zoom = change(*zoom).bounded();
    }

    /// Hides everything but the picture, or shows it again.
    pub(super) fn set_alone(&mut self, is_alone: bool) -> Vec<Effect> {
        let viewer = &mut self.viewer;
        if viewer.is_alone == is_alone {
            return Vec::new();
        }
        viewer.is_alone = is_alone;
        if is_alone {
            viewer.was_full_screen = self.full_screen;
        }
        let full_screen = is_alone || viewer.was_full_screen;
        if full_screen == self.full_screen {
            return Vec::new();
        }
        self.full_screen = full_screen;
        vec![Effect::FullScreen(full_screen)]
    }

    /// Nothing is looked at closely any more.
    pub(super) fn leave_viewer(&mut self) -> Vec<Effect> {
        self.viewer.is_showing = false;
        (self.viewer.compare, self.viewer.picking) = (None, None);
        self.set_alone(false)
    }

    /// One step back from the large view: first everything else is shown again, then the grid.
    pub(super) fn close_picture(&mut self) -> Vec<Effect> {
        self.viewer.is_showing = false;
        if self.viewer.is_alone {
            return self.set_alone(false);
        }
        self.gallery.large = false;
        self.viewer.zoom = Zoom::default();
        Vec::new()
    }

    fn remix(&mut self) -> Vec<Effect> {
        let Some(recipe) = self.subject().and_then(|subject| subject.recipe).cloned() else { return Vec::new() };
        let effects = self.use_recipe(&recipe);
        self.draft.request.seed = self.seeds.draw();
        self.draft.seed_locked = false;
        effects
    }

    /// Makes a recipe the draft, with the model that it means as far as that is here.
    pub(super) fn use_recipe(&mut self, recipe: &Recipe) -> Vec<Effect> {
        let request = self.usable(recipe);
        self.models.defaults_wanted = None;
        self.models.remember(&request.model);
        let mut effects = Vec::new();
        if !matches!(self.models.status(&request.model), Some(ModelStatus::Ready(_) | ModelStatus::Loading)) {
            effects.push(self.preload(request.model.clone()));
        }
        self.draft.request = request;
        // A recipe's prompts have their styles in them.
        self.prompt.styles.applied.clear();
        effects.extend(self.fit_adapters());
        self.place = Place::Create;
        self.viewer.import.looked = None;
        self.mark_dirty();
        effects.extend(self.set_alone(false));
        effects
    }

    /// The request of a recipe. Another program's says no more than the model's name: where it is not here, the present
    /// model stays, and that is told.
    fn usable(&mut self, recipe: &Recipe) -> GenerateRequest {
        let mut request = recipe.request.clone();
        if recipe.is_ours() {
            return request;
        }
        request.model = self.model_named(&recipe.model_name).unwrap_or_else(|| {
            let present = self.draft.request.model.clone();
            let name = if recipe.model_name.is_empty() { "its model" } else { &recipe.model_name };
            let sentence = format!("The model {name} is not here: {} is used instead", self.models.name(&present));
            self.notices.info(sentence, None);
            present
        });
        request
    }

    /// The model of this name among those that are here, whatever its folder, its ending and how the name is spelled.
    #[must_use]
    pub fn model_named(&self, name: &str) -> Option<ModelRef> {
        let wanted = comparable(name);
        if wanted.is_empty() {
            return None;
        }
        let listed = self.shelf.entries.iter().filter(|entry| entry.summary().is_some_and(|summary| summary.is_model));
        let listed = listed.flat_map(|entry| [(&entry.path, entry.name.as_str())]);
        let opened = self.models.recent.iter().map(|path| (path, ""));
        listed
            .chain(opened)
            .find(|(path, name)| {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                let last = name.rsplit('/').next().unwrap_or_default();
                [file.as_ref(), last].iter().any(|own| comparable(own) == wanted)
            })
            .map(|(path, _)| ModelRef::Path(path.clone()))
    }
}

/// A model's name as it is compared: letters and digits without the ending.
fn comparable(name: &str) -> String {
    let name = name.to_lowercase();
    let stem = [".safetensors", ".ckpt", ".pt"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    stem.chars().filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
#[path = "viewer_tests.rs"]
mod tests;
