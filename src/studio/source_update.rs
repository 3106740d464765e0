//! What is done with the picture to begin with: how the draft and the canvas stay of one mind, and when files are written.
//!
//! The draft alone says what is made. After every act [`State::follow_source`] looks what the draft begins with now, and
//! asks for what is lacking: the picture where it is another one, the mask's file where the mask was painted on.

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::{InitImage, Picture, PictureId, Plane, Result};
use crate::library::{KeptMask, LibraryCommand, SourceCommand, SourceEvent};

use super::mask::Mask;
use super::source::{Load, MAX_FEATHER_PX, Source, SourceAction, Writing};
use super::source_layout::{SourceLayout, size_for};
use super::{Action, Edit, Effect, Extra, Place, State};

fn ask(command: SourceCommand) -> Effect {
    Effect::Library(LibraryCommand::Source(command))
}

impl State {
    /// Carries out an act on the picture to begin with.
    pub(super) fn apply_source(&mut self, action: SourceAction) -> Vec<Effect> {
        let source = &mut self.source;
        match action {
            SourceAction::Show(shown) => self.show_source(shown),
            SourceAction::Toggle => {
                let shown = !source.shown;
                self.show_source(shown);
            }
            SourceAction::BeginWith(id) => self.begin_with(id),
            SourceAction::Paste(picture) => return vec![ask(SourceCommand::KeepPicture(picture))],
            SourceAction::Take(tool) => source.tool = tool,
            SourceAction::BrushSize(size_px) => source.set_brush(size_px),
            SourceAction::Larger => source.scale_brush(true),
            SourceAction::Smaller => source.scale_brush(false),
            SourceAction::Feather(feather_px) => source.feather_px = feather_px.min(MAX_FEATHER_PX),
            SourceAction::ToggleMask => source.mask_shown = !source.mask_shown,
            SourceAction::ZoomIn => source.zoom(true),
            SourceAction::ZoomOut => source.zoom(false),
            SourceAction::ZoomFit => source.gaze = super::Gaze::default(),
            SourceAction::Look(gaze) => source.look(gaze),
            SourceAction::UseSize => self.use_source_size(),
            SourceAction::Begin(..)
            | SourceAction::Go(_)
            | SourceAction::End
            | SourceAction::Undo
            | SourceAction::Redo
            | SourceAction::Invert
            | SourceAction::Fill
            | SourceAction::Clear => self.paint(&action),
        }
        Vec::new()
    }

    /// Whether the picture to begin with can be painted on: it is here, and not made larger as a whole.
    #[must_use]
    pub fn can_paint(&self) -> bool {
        self.source.picture().is_some() && self.draft.request.init.is_some() && self.draft.request.upscale.is_none()
    }

    /// How the picture to begin with lies in what is made of it; `None` until it is read.
    #[must_use]
    pub fn source_layout(&self) -> Option<SourceLayout> {
        let picture = self.source.picture()?;
        Some(SourceLayout::new((picture.width_px, picture.height_px), &self.draft.request))
    }

    /// The size that fits the picture to begin with, without what is painted around; `None` where it is that already.
    #[must_use]
    pub fn source_size(&self) -> Option<(u32, u32)> {
        let layout = self.source_layout().filter(|_| self.draft.request.upscale.is_none())?;
        let size = size_for(layout.picture_px, self.size_bounds());
        (size != layout.inner_px).then_some(size)
    }

    fn use_source_size(&mut self) {
        if let Some((width_px, height_px)) = self.source_size() {
            let (wide, high) = self.draft.request.init.as_ref().map(|init| init.extend.sides()).unwrap_or_default();
            let family = self.family();
            self.draft.edit(Edit::Size(width_px + wide, height_px + high), family);
            self.mark_dirty();
        }
    }

    fn show_source(&mut self, shown: bool) {
        if self.draft.request.init.is_some() {
            self.source.shown = shown;
            self.place = Place::Create;
        }
    }

    fn paint(&mut self, action: &SourceAction) {
        if !self.can_paint() {
            return;
        }
        let source = &mut self.source;
        match action {
            SourceAction::Begin(at, erases) => {
                // Nobody paints what cannot be seen.
                source.mask_shown = true;
                source.mask.begin(*at, source.brush_px, *erases);
            }
            SourceAction::Go(to) => source.mask.go_to(*to),
            SourceAction::End => source.mask.end(),
            SourceAction::Undo => source.mask.undo(),
            SourceAction::Redo => source.mask.redo(),
            SourceAction::Invert => source.mask.invert(),
            SourceAction::Fill => source.mask.fill(),
            SourceAction::Clear => source.mask.clear(),
            _ => {}
        }
    }

    /// Begins with a saved picture of the gallery or of this session, at its own size where the model can draw that: so
    /// nothing of it is cut.
    fn begin_with(&mut self, id: PictureId) {
        if let Some(entry) = self.saved_entry(id) {
            let (path, size) = (entry.path.clone(), (entry.width_px, entry.height_px));
            self.begin_with_file(path, Some(size));
        }
    }

    /// The selected picture is begun with. One that could not be saved gets a file for it.
    pub(super) fn begin_with_selected(&mut self) -> Vec<Effect> {
        let Some(subject) = self.subject() else { return Vec::new() };
        match (subject.entry, subject.picture) {
            (Some(entry), _) => {
                let (path, size) = (entry.path.clone(), (entry.width_px, entry.height_px));
                self.begin_with_file(path, Some(size));
                Vec::new()
            }
            (None, Some(picture)) => vec![ask(SourceCommand::KeepPicture(Arc::clone(picture)))],
            (None, None) => Vec::new(),
        }
    }

    /// Begins with a picture, whose size is taken over where it is known and the model can draw it.
    fn begin_with_file(&mut self, path: PathBuf, size: Option<(u32, u32)>) {
        self.place = Place::Create;
        self.source.shown = true;
        self.draft.edit_extra(Extra::Init(Some(path)));
        let is_right = |side_px| self.size_bounds().is_some_and(|bounds| bounds.clamp(side_px) == side_px);
        if let Some((width_px, height_px)) = size.filter(|(width, height)| is_right(*width) && is_right(*height)) {
            (self.draft.request.width_px, self.draft.request.height_px) = (width_px, height_px);
        }
        self.mark_dirty();
    }

    /// Before `act`, which makes pictures of the draft: has the mask written, as it was painted. `true` when the act has to
    /// wait for that; then it is carried out as soon as the file is there.
    pub(super) fn settle_source(&mut self, act: &Action) -> (Vec<Effect>, bool) {
        self.source.mask.end();
        self.source.files.refused = None;
        let effects = self.follow_source();
        let waits = self.is_mask_on_its_way();
        self.source.files.waits = waits.then(|| Box::new(act.clone()));
        (effects, waits)
    }

    /// Whether the mask in the draft is not yet the one that was painted.
    fn is_mask_on_its_way(&self) -> bool {
        let source = &self.source;
        if self.draft.request.init.is_none() || self.draft.request.upscale.is_some() {
            return false;
        }
        // Of a picture that is still being read it is not known whether the mask of the last one fits.
        let may_stay = source.files.reading.is_some() && !source.mask.is_empty();
        may_stay || (source.picture().is_some() && !source.is(source.files.written.as_ref()))
    }

    /// Brings the canvas and the draft together after an act.
    pub(super) fn follow_source(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let init = self.draft.request.init.clone();
        let Some(init) = init else {
            if self.source.path.take().is_some() {
                let old = std::mem::take(&mut self.source);
                self.source = Source {
                    generation: old.generation,
                    files: old.files.anew(),
                    tool: old.tool,
                    brush_px: old.brush_px,
                    ..Source::default()
                };
            }
            return effects;
        };
        let source = &mut self.source;
        let is_other = source.path.as_ref() != Some(&init.picture);
        if is_other || source.mask_path != init.mask {
            if is_other {
                source.shown = true;
                source.picture = Load::Coming;
                source.gaze = super::Gaze::default();
                source.strength_given = init.mask.is_some();
            }
            source.path = Some(init.picture.clone());
            source.mask_path.clone_from(&init.mask);
            source.files.writing = None;
            source.files.soft = None;
            source.mask_problem = None;
            if is_other || init.mask.is_some() {
                let ticket = source.files.next_ticket();
                source.files.reading = Some(ticket);
                effects.push(ask(SourceCommand::Read { ticket, picture: init.picture, mask: init.mask }));
            } else {
                // It was taken out of the draft; the canvas can bring it back.
                source.mask.clear();
                source.files.written = Some(source.content());
            }
        }
        effects.extend(self.write_mask());
        effects
    }

    /// Has the mask written, if it was painted on and nothing else is under way.
    fn write_mask(&mut self) -> Option<Effect> {
        let source = &mut self.source;
        let is_settled = source.is(source.files.written.as_ref()) || source.is(source.files.refused.as_ref());
        let is_busy = source.files.writing.is_some() || source.files.reading.is_some() || source.mask.is_painting();
        if source.picture().is_none() || self.draft.request.upscale.is_some() || is_settled || is_busy {
            return None;
        }
        let content = source.content();
        if source.mask.is_empty() {
            source.files.written = Some(content);
            source.mask_problem = None;
            source.mask_path = None;
            self.set_mask(None);
            return None;
        }
        let ticket = source.files.next_ticket();
        let (plane, feather_px) = content.clone();
        source.files.writing = Some(Writing { ticket, content });
        Some(ask(SourceCommand::KeepMask { ticket, plane, feather_px }))
    }

    /// Takes in what the library's thread says of the picture to begin with.
    pub(super) fn on_source_event(&mut self, event: SourceEvent) -> Vec<Effect> {
        match event {
            SourceEvent::Read { ticket, picture, mask } => {
                if self.source.files.reading.take_if(|reading| *reading == ticket).is_some() {
                    self.source_read(picture, mask);
                }
            }
            SourceEvent::MaskKept { ticket, kept } => self.mask_kept(ticket, kept),
            SourceEvent::PictureKept(Ok(path)) => self.begin_with_file(path, None),
            SourceEvent::PictureKept(Err(error)) => self.notices.error(error),
        }
        let mut effects = self.follow_source();
        if !self.is_mask_on_its_way()
            && let Some(act) = self.source.files.waits.take()
        {
            effects.extend(self.apply(*act));
        }
        effects
    }

    fn source_read(&mut self, picture: Result<Arc<Picture>>, mask: Option<Result<Plane>>) {
        let source = &mut self.source;
        let picture = match picture {
            Ok(picture) => picture,
            Err(error) => {
                source.picture = Load::Failed;
                source.files.waits = None;
                self.notices.error(error.hint("choose another picture to begin with"));
                return;
            }
        };
        let size = (picture.width_px, picture.height_px);
        let is_first = !matches!(source.picture, Load::Here(_));
        if is_first {
            source.generation += 1;
        }
        source.picture = Load::Here(picture);
        let is_of_same_size = source.mask.plane().size() == size;
        if !is_of_same_size {
            source.fit_brush(size);
        }
        match mask {
            Some(Ok(plane)) => {
                // What was painted before can be brought back, where it fits.
                if is_of_same_size {
                    source.mask.replace(plane);
                } else {
                    source.mask = Mask::of(plane);
                }
                source.feather_px = 0; // it is soft already, if it was to be
                source.files.written = Some(source.content());
            }
            Some(Err(error)) => {
                source.mask_problem = Some(format!("{}: paint it anew, or take it out", error.sentence));
                source.mask = Mask::new(size.0, size.1);
                source.files.written = Some(source.content());
                self.notices.error(error);
            }
            None if is_of_same_size && !source.mask.is_empty() => {
                // The mask stays, and so does the strength that was chosen for it.
                (source.files.written, source.strength_given) = (None, true);
            }
            None => {
                source.mask = Mask::new(size.0, size.1);
                source.files.written = Some(source.content());
            }
        }
    }

    fn mask_kept(&mut self, ticket: u64, kept: Result<KeptMask>) {
        let source = &mut self.source;
        let Some(writing) = source.files.writing.take_if(|writing| writing.ticket == ticket) else {
            return; // it was painted on, or left, while it was written
        };
        match kept {
            Ok(KeptMask { path, plane }) => {
                source.mask_problem = None;
                source.files.soft = Some(plane);
                source.files.written = Some(writing.content);
                source.mask_path = Some(path.clone());
                self.set_mask(Some(path));
            }
            Err(error) => {
                source.files.refused = Some(writing.content);
                source.files.waits = None;
                self.notices.error(error);
            }
        }
    }

    /// Puts the mask into the draft. The first one of a picture also changes its strength: what is painted anew is usually
    /// to be something else.
    fn set_mask(&mut self, mask: Option<PathBuf>) {
        if mask.is_some() && !std::mem::replace(&mut self.source.strength_given, true) {
            self.draft.edit_extra(Extra::Mask(mask));
        } else if let Some(init) = &mut self.draft.request.init {
            init.mask = mask;
        }
        self.mark_dirty();
    }

    /// Once the pictures are all known: takes away what no recipe names any more.
    pub(super) fn sweep_sources(&mut self) -> Option<Effect> {
        if std::mem::replace(&mut self.source.files.is_swept, true) {
            return None;
        }
        let jobs = self.queue.running().map(|running| &running.job).into_iter().chain(self.queue.waiting());
        let requests = jobs.map(|job| &job.request).chain([&self.draft.request]);
        let files = |init: &InitImage| init.mask.clone().into_iter().chain([init.picture.clone()]);
        let needed = requests.filter_map(|request| request.init.as_ref()).flat_map(files).collect();
        Some(ask(SourceCommand::Sweep(needed)))
    }

    /// A command about the picture to begin with could not be handed over: nothing waits for its answer.
    pub(super) fn source_not_sent(&mut self, command: &SourceCommand) {
        let source = &mut self.source;
        source.files.waits = None;
        match command {
            SourceCommand::Read { ticket, .. } => {
                if source.files.reading.take_if(|reading| reading == ticket).is_some() {
                    source.picture = Load::Failed;
                }
            }
            SourceCommand::KeepMask { ticket, .. } => {
                if let Some(writing) = source.files.writing.take_if(|writing| writing.ticket == *ticket) {
                    source.files.refused = Some(writing.content);
                }
            }
            SourceCommand::KeepPicture(_) | SourceCommand::Sweep(_) => {}
        }
    }
}
