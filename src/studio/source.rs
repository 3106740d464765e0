//! [`Source`]: the picture to begin with, as it is shown and painted on in the middle of Create.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::{InitImage, Picture, PictureId, Plane};

use super::mask::{Mask, Place};
use super::{Action, Info, Key, Shortcut};

/// Sizes that the brush may have, in px of the picture.
pub const BRUSH_PX: std::ops::RangeInclusive<f32> = 1.0..=1000.0;
/// Most px that a mask's edge is softened to either side.
pub const MAX_FEATHER_PX: u32 = 100;
/// How much larger the next brush is.
const BRUSH_STEP: f32 = 1.25;
/// How much nearer one step of the zoom goes.
const ZOOM_STEP: f32 = 1.25;
/// How far the zoom goes, in times of the whole.
const ZOOM: std::ops::RangeInclusive<f32> = 1.0..=32.0;
/// The first brush, as a share of the picture's shorter side.
const FIRST_BRUSH: f32 = 0.12;

/// What a press on the picture does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Paints what is to be new.
    #[default]
    Brush,
    /// Takes it away again.
    Eraser,
}

/// How near the picture is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaze {
    /// In times of what shows all of it.
    pub zoom: f32,
    /// What of it is in the middle, in shares of its width and height.
    pub middle: [f32; 2],
}

impl Default for Gaze {
    fn default() -> Self {
        Self { zoom: 1.0, middle: [0.5, 0.5] }
    }
}

/// An act of the user on the picture to begin with.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceAction {
    /// Show the picture to begin with, or what was made.
    Show(bool),
    /// The other of the two.
    Toggle,
    /// Begin with a picture of the gallery or of this session.
    BeginWith(PictureId),
    /// Begin with a picture from the clipboard.
    Paste(Arc<Picture>),
    /// Brush or eraser.
    Take(Tool),
    /// How wide the brush is, in px of the picture.
    BrushSize(f32),
    /// The next larger brush.
    Larger,
    /// The next smaller one.
    Smaller,
    /// How soft the mask's edge is, in px to either side.
    Feather(u32),
    /// A stroke begins; `true` takes away.
    Begin(Place, bool),
    /// It goes on.
    Go(Place),
    /// It ends.
    End,
    /// Take the last change of the mask back.
    Undo,
    /// Bring it back.
    Redo,
    /// Paint anew what stays, and the other way round.
    Invert,
    /// Paint all of it anew.
    Fill,
    /// Paint nothing anew.
    Clear,
    /// Show the mask over the picture, or do not.
    ToggleMask,
    /// One step nearer.
    ZoomIn,
    /// One step back.
    ZoomOut,
    /// All of it.
    ZoomFit,
    /// Look so.
    Look(Gaze),
    /// Make the picture at its own size.
    UseSize,
}

impl SourceAction {
    /// Text, tooltip and shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let key = |key| Some(Shortcut::plain(key));
        let (text, tooltip, shortcut) = match self {
            Self::Show(true) => ("Source", "The picture to begin with: paint on it what is to become new", None),
            Self::Show(false) => ("Result", "What was made of it", None),
            Self::Toggle => ("Source or result", "Change between the two", Some(Shortcut::ctrl(Key::B))),
            Self::BeginWith(_) => {
                ("Begin with it", "Make this picture into something new: it takes the place of the noise", None)
            }
            Self::Paste(_) => ("Paste", "Begin with the picture on the clipboard", None),
            Self::Take(Tool::Brush) => ("Brush", "Paint over what is to become new", key(Key::B)),
            Self::Take(Tool::Eraser) => {
                ("Eraser", "Take away what was painted. So does the brush with the right mouse button", key(Key::E))
            }
            Self::BrushSize(_) => ("Brush size", "Width of the brush in px of the picture: [ and ] change it", None),
            Self::Larger => ("Larger brush", "The next larger brush", key(Key::CloseBracket)),
            Self::Smaller => ("Smaller brush", "The next smaller brush", key(Key::OpenBracket)),
            Self::Feather(_) => {
                ("Feather", "How far new and old run into each other at the mask's edge, in px to either side", None)
            }
            Self::Begin(..) | Self::Go(_) | Self::End | Self::Look(_) => ("", "", None),
            Self::Undo => ("Undo", "Take the last change of the mask back", Some(Shortcut::ctrl(Key::Z))),
            Self::Redo => ("Redo", "Bring the change of the mask back", Some(Shortcut::ctrl_shift(Key::Z))),
            Self::Invert => ("Invert", "Paint anew what stays, and keep what is painted over", key(Key::I)),
            Self::Fill => ("Fill", "Paint over all of it: then erase what is to stay", None),
            Self::Clear => ("Clear", "Take the whole mask away", key(Key::Delete)),
            Self::ToggleMask => ("Show the mask", "Show what is painted over, or only the picture", key(Key::M)),
            Self::ZoomIn => ("Zoom in", "Nearer; so does Ctrl with the mouse wheel, or + on the picture", None),
            Self::ZoomOut => ("Zoom out", "Further away; so does Ctrl with the mouse wheel, or - on the picture", None),
            Self::ZoomFit => ("Fit", "Show all of it", None),
            Self::UseSize => (
                "Use the picture's size",
                "Make the picture at this size, or at the nearest that the model can draw in the same shape",
                None,
            ),
        };
        Info { text, tooltip, shortcut }
    }
}

/// What is known of the picture's file.
#[derive(Clone, Debug, Default)]
pub(super) enum Load {
    /// None is wanted, or it is being read.
    #[default]
    Coming,
    /// Here it is.
    Here(Arc<Picture>),
    /// It could not be read.
    Failed,
}

/// A mask that is being written.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    pub(super) ticket: u64,
    pub(super) content: Content,
}

/// What a mask's file is made of.
pub(super) type Content = (Plane, u32);

/// What is read and written for the picture to begin with.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    last_ticket: u64,
    /// What is being read.
    pub(super) reading: Option<u64>,
    pub(super) writing: Option<Writing>,
    /// What is in the mask's file.
    pub(super) written: Option<Content>,
    /// The same with its edge made soft, where it was written from here.
    pub(super) soft: Option<Plane>,
    /// What could not be written: it is not tried again before something changes.
    pub(super) refused: Option<Content>,
    /// The act that waits for the mask's file.
    pub(super) waits: Option<Box<Action>>,
    /// Whether old files were looked through.
    pub(super) is_swept: bool,
}

impl Files {
    pub(super) fn next_ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// What is left of it when another picture is begun with.
    pub(super) fn anew(&self) -> Self {
        Self { last_ticket: self.last_ticket, is_swept: self.is_swept, ..Self::default() }
    }
}

/// The picture to begin with, and what of it is painted anew. What of this makes the picture is in the draft; the rest is
/// how it came to be.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) shown: bool,
    /// The draft's picture, as far as it was taken up here.
    pub(super) path: Option<PathBuf>,
    /// The draft's mask, as far as it was taken up here.
    pub(super) mask_path: Option<PathBuf>,
    pub(super) picture: Load,
    /// Counts the pictures.
    pub(super) generation: u64,
    pub(super) mask: Mask,
    /// Why the draft's mask cannot be used.
    pub(super) mask_problem: Option<String>,
    /// The tool in hand.
    pub tool: Tool,
    /// Width of the brush, in px of the picture.
    pub brush_px: f32,
    /// How soft the mask's edge is, in px to either side.
    pub feather_px: u32,
    /// Whether the mask is shown over the picture.
    pub mask_shown: bool,
    /// How near it is looked at.
    pub gaze: Gaze,
    pub(super) files: Files,
    /// Whether this picture's mask has had its first strength.
    pub(super) strength_given: bool,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            shown: false,
            path: None,
            mask_path: None,
            picture: Load::Coming,
            generation: 0,
            mask: Mask::default(),
            mask_problem: None,
            tool: Tool::Brush,
            brush_px: 40.0,
            feather_px: 0,
            mask_shown: true,
            gaze: Gaze::default(),
            files: Files::default(),
            strength_given: false,
        }
    }
}

impl Source {
    /// Whether the picture to begin with is shown instead of what was made.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.shown && self.path.is_some()
    }

    /// The picture, once it is read.
    #[must_use]
    pub fn picture(&self) -> Option<&Arc<Picture>> {
        match &self.picture {
            Load::Here(picture) => Some(picture),
            Load::Coming | Load::Failed => None,
        }
    }

    /// Whether the picture could not be read.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        matches!(self.picture, Load::Failed)
    }

    /// Which picture it is: another one has another number.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What of the picture is painted anew.
    #[must_use]
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// The mask with its edge made soft, where that is known for what is painted now; otherwise as it was painted.
    #[must_use]
    pub fn shown_plane(&self) -> &Plane {
        match (&self.files.soft, &self.files.written) {
            (Some(soft), Some((plane, feather_px))) if *feather_px == self.feather_px && self.is_now(plane) => soft,
            _ => self.mask.plane(),
        }
    }

    /// Whether a file is the mask that was painted here last.
    #[must_use]
    pub fn is_painted(&self, mask: &Path) -> bool {
        self.files.soft.is_some() && self.mask_path.as_deref() == Some(mask)
    }

    /// Why a draft that begins with this picture cannot be made.
    #[must_use]
    pub fn problem(&self, init: Option<&InitImage>) -> Option<String> {
        let init = init.filter(|init| Some(&init.picture) == self.path.as_ref())?;
        if self.is_broken() {
            return Some("The picture to begin with cannot be read: choose another".to_owned());
        }
        // One that was painted since takes its place as soon as it is written.
        init.mask.as_ref().filter(|_| self.is(self.files.written.as_ref())).and(self.mask_problem.clone())
    }

    /// Takes the size of a brush into its bounds.
    pub(super) fn set_brush(&mut self, size_px: f32) {
        if size_px.is_finite() {
            self.brush_px = size_px.clamp(*BRUSH_PX.start(), *BRUSH_PX.end()).round();
        }
    }

    /// A brush that is some steps larger, by at least a px.
    pub(super) fn scale_brush(&mut self, larger: bool) {
        let (times, least) = if larger { (BRUSH_STEP, 1.0) } else { (1.0 / BRUSH_STEP, -1.0) };
        let scaled = (self.brush_px * times).round();
        self.set_brush(if scaled == self.brush_px { self.brush_px + least } else { scaled });
    }

    /// A brush that suits a picture.
    pub(super) fn fit_brush(&mut self, (width_px, height_px): (u32, u32)) {
        self.set_brush(width_px.min(height_px) as f32 * FIRST_BRUSH);
    }

    /// Looks from nearer or from further away.
    pub(super) fn zoom(&mut self, nearer: bool) {
        let times = if nearer { ZOOM_STEP } else { 1.0 / ZOOM_STEP };
        self.look(Gaze { zoom: self.gaze.zoom * times, ..self.gaze });
    }

    /// Looks so, within bounds.
    pub(super) fn look(&mut self, gaze: Gaze) {
        let Gaze { zoom, middle } = gaze;
        if !zoom.is_finite() || middle.iter().any(|share| !share.is_finite()) {
            return;
        }
        let zoom = zoom.clamp(*ZOOM.start(), *ZOOM.end());
        // What shows all of it shows it in the middle.
        let middle = if zoom <= *ZOOM.start() { [0.5, 0.5] } else { middle.map(|share| share.clamp(0.0, 1.0)) };
        self.gaze = Gaze { zoom, middle };
    }

    /// What the mask's file is to hold.
    pub(super) fn content(&self) -> Content {
        (self.mask.plane().clone(), self.feather_px)
    }

    /// Whether that is in a file, or was refused.
    pub(super) fn is(&self, content: Option<&Content>) -> bool {
        content.is_some_and(|(plane, feather_px)| self.is_now(plane) && *feather_px == self.feather_px)
    }

    fn is_now(&self, plane: &Plane) -> bool {
        self.mask.plane().is_same(plane)
    }
}
