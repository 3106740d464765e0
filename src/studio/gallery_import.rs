//! [`Importer`]: pictures of other programs. One that is dropped on the gallery is looked at, its recipe shown; files and
//! folders are taken in, with a report by file of what was not understood.

use std::path::PathBuf;

use crate::domain::{Cancel, ImageFormat, PictureEntry, UserError, Verdict};
use crate::library::{ImportCommand, ImportEvent, ImportReport, LibraryCommand, Looked, Ticket};

use super::extras::Extra;
use super::replay::Stage;
use super::viewer::ViewerAction;
use super::{DialogRequest, Effect, Info, Place, State};

/// Pictures of other programs.
#[derive(Clone, Debug, Default)]
pub struct Importer {
    /// A picture that was looked at.
    pub looked: Option<Box<Looked>>,
    /// What was dropped, until the user says whether it is to be taken in.
    pub offered: Option<Vec<PathBuf>>,
    /// What is being taken in.
    pub running: Option<Importing>,
    /// What became of what was taken in last.
    pub report: Option<Box<ImportReport>>,
}

impl Importer {
    /// Whether something of it is shown over the window, and has the keys.
    #[must_use]
    pub fn is_over_window(&self) -> bool {
        self.looked.is_some() || self.offered.is_some() || self.report.is_some() && self.running.is_none()
    }
}

/// Pictures are being taken in.
#[derive(Clone, Debug)]
pub struct Importing {
    /// Its key.
    pub ticket: Ticket,
    /// How far it has come.
    pub done: usize,
    /// Of how many, as far as is known.
    pub total: usize,
    /// Whether it was asked to stop.
    pub is_stopping: bool,
    cancel: Cancel,
}

/// An act of the user on pictures of other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportAction {
    /// Choose a folder to take in.
    ChooseFolder,
    /// Take in what was dropped.
    Accept,
    /// Do not take it in.
    Decline,
    /// Make the recipe of the picture that was looked at the draft.
    Use,
    /// Take that picture in.
    Take,
    /// Begin with that picture.
    BeginWith,
    /// Close what was looked at.
    CloseLook,
    /// Take no more in.
    Stop,
    /// Close the report.
    CloseReport,
}

impl ImportAction {
    /// Text and tooltip; none has a shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::ChooseFolder => (
                "Import pictures…",
                "Copy the pictures of a folder into the gallery, with the recipes that stable-diffusion-webui, ComfyUI, \
                 InvokeAI and others left in them",
            ),
            Self::Accept => ("Import", "Copy these pictures into the gallery; where they are nothing changes"),
            Self::Decline => ("Never mind", "Leave them where they are"),
            Self::Use => ("Use", "Make this recipe the one that is drawn with"),
            Self::Take => ("Import", "Copy this picture into the gallery"),
            Self::BeginWith => {
                ("Begin with it", "Make this picture into something new: it takes the place of the noise")
            }
            Self::CloseLook | Self::CloseReport => ("Close", "Close this"),
            Self::Stop => ("Stop", "Leave the rest; what is in the gallery stays there"),
        };
        Info { text, tooltip, shortcut: None }
    }
}

impl From<ImportAction> for super::Action {
    fn from(action: ImportAction) -> Self {
        Self::Viewer(ViewerAction::Import(action))
    }
}

impl State {
    /// Something was dropped on the gallery. `None` where it is nothing for the gallery.
    pub(super) fn dropped_on_gallery(&mut self, paths: &[PathBuf]) -> Option<Vec<Effect>> {
        let is_for_gallery = |path: &PathBuf| ImageFormat::from_path(path).is_some() || path.extension().is_none();
        if self.place != Place::Gallery || paths.is_empty() || !paths.iter().all(is_for_gallery) {
            return None;
        }
        match paths {
            [path] if ImageFormat::from_path(path).is_some() => Some(vec![import(ImportCommand::Look(path.clone()))]),
            _ => {
                self.viewer.import.offered = Some(paths.to_vec());
                Some(Vec::new())
            }
        }
    }

    /// The verdict on the picture that was looked at, where it is hidden: one of ours says of itself that it was flagged.
    #[must_use]
    pub fn hidden_looked(&self) -> Option<Verdict> {
        self.hidden(self.viewer.import.looked.as_ref().and_then(|looked| looked.recipe.as_ref()))
    }

    /// Takes files and folders into the gallery.
    pub(super) fn take_in(&mut self, sources: Vec<PathBuf>) -> Vec<Effect> {
        if self.viewer.import.running.is_some() {
            self.notices.info("Other pictures are being taken in: wait until they are, or stop that", None);
            return Vec::new();
        }
        let (ticket, cancel) = (self.gallery.finder.next_ticket(), Cancel::default());
        let running = Importing { ticket, done: 0, total: 0, is_stopping: false, cancel: cancel.clone() };
        self.viewer.import.running = Some(running);
        vec![import(ImportCommand::Take { ticket, sources, cancel })]
    }

    pub(super) fn apply_import(&mut self, action: &ImportAction) -> Vec<Effect> {
        let importer = &mut self.viewer.import;
        match action {
            ImportAction::ChooseFolder => return self.ask(DialogRequest::ImportFolder),
            ImportAction::Accept => {
                if let Some(sources) = importer.offered.take() {
                    return self.take_in(sources);
                }
            }
            ImportAction::Decline => importer.offered = None,
            ImportAction::Use => {
                if let Some(recipe) = importer.looked.take().and_then(|looked| looked.recipe) {
                    return self.use_recipe(&recipe);
                }
            }
            ImportAction::Take => {
                if let Some(looked) = importer.looked.take() {
                    return self.take_in(vec![looked.path]);
                }
            }
            ImportAction::BeginWith => {
                if let Some(looked) = importer.looked.take() {
                    self.place = Place::Create;
                    self.draft.edit_extra(Extra::Init(Some(looked.path)));
                    self.mark_dirty();
                }
            }
            ImportAction::CloseLook => importer.looked = None,
            ImportAction::Stop => {
                if let Some(running) = &mut importer.running {
                    running.cancel.cancel();
                    running.is_stopping = true;
                }
            }
            ImportAction::CloseReport => importer.report = None,
        }
        Vec::new()
    }

    /// Takes in what the library's thread says of pictures that are not in the gallery yet.
    pub(super) fn on_import_event(&mut self, event: ImportEvent) -> Vec<Effect> {
        match event {
            ImportEvent::Looked(looked) => self.viewer.import.looked = Some(looked),
            ImportEvent::LookFailed(error) | ImportEvent::KeepFailed(error) => self.notices.error(error),
            ImportEvent::Progress { ticket, done, total } => {
                let running = self.viewer.import.running.as_mut().filter(|running| running.ticket == ticket);
                if let Some(running) = running {
                    (running.done, running.total) = (done, total);
                }
            }
            ImportEvent::Done { ticket, report, error } => return self.taken_in(ticket, report, error),
            ImportEvent::Kept(entry) => return self.kept(&entry),
        }
        Vec::new()
    }

    fn taken_in(&mut self, ticket: Ticket, report: Box<ImportReport>, error: Option<UserError>) -> Vec<Effect> {
        self.viewer.import.running.take_if(|running| running.ticket == ticket);
        let is_something = report.total > 0;
        if let Some(error) = error {
            self.notices.error(error);
        } else if !is_something {
            self.notices.info("There is no PNG, JPEG or WebP picture", None);
        }
        let is_changed = report.taken > 0;
        if is_something {
            self.viewer.import.report = Some(report);
        }
        if is_changed { self.refresh_gallery() } else { Vec::new() }
    }

    fn kept(&mut self, entry: &PictureEntry) -> Vec<Effect> {
        if let Some(Stage::Made(remade)) = self.viewer.replay.as_mut().map(|replay| &mut replay.stage) {
            remade.is_kept = true;
        }
        self.notices.info("It is in the gallery", Some(entry.path.clone()));
        self.refresh_gallery()
    }

    /// What was asked did not reach the library.
    pub(super) fn import_not_sent(&mut self, command: &ImportCommand) {
        if let ImportCommand::Take { ticket, .. } = command {
            self.viewer.import.running.take_if(|running| running.ticket == *ticket);
        }
    }
}

fn import(command: ImportCommand) -> Effect {
    Effect::Library(LibraryCommand::Import(command))
}
