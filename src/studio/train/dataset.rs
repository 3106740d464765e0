//! [`DatasetDesk`]: the data set in hand, and every act of the user with it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::dataset::{DatasetSource, Preparation, ProblemKind};
use crate::domain::{Cancel, CollectionId, ImageFormat, Picture, UserError};
use crate::studio::{Info, Key, Shortcut};

use super::dataset_form::PrepareForm;
use super::dataset_hand::DatasetInHand;
use super::dataset_rows::RowFilter;

/// The data set in hand.
#[derive(Clone, Debug, Default)]
pub struct DatasetDesk {
    /// The one that is being read.
    pub opening: Option<DatasetSource>,
    /// Why it could not be read.
    pub error: Option<UserError>,
    /// The one that is shown.
    pub hand: Option<DatasetInHand>,
    /// What is being done with it.
    pub work: Option<DatasetWork>,
    /// What came of the last preparation, while its data set is shown.
    pub prepared: Option<Preparation>,
    /// Where the prepared one came from, and how: to go back and prepare it in another way.
    pub came_from: Option<(DatasetSource, PrepareForm)>,
    /// The form of one that is being read again.
    pub(super) again: Option<(DatasetSource, PrepareForm)>,
    pub(super) ticket: u64,
    pub(super) look_ticket: u64,
    pub(super) thumbnails: Vec<(u64, usize, Arc<Picture>)>,
}

/// What is being done with a data set.
#[derive(Clone, Debug)]
pub struct DatasetWork {
    /// What.
    pub kind: DatasetWorkKind,
    /// Pictures that are done.
    pub done: usize,
    /// All of them; 0 until that is known.
    pub total: usize,
    /// Whether it was asked to stop.
    pub is_stopping: bool,
    pub(super) cancel: Cancel,
}

/// The kinds of work on a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetWorkKind {
    /// It is prepared.
    Prepare,
    /// It is looked over.
    Check,
}

/// What of the data set is shown in the middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DatasetPage {
    /// Pictures with their captions.
    #[default]
    Pictures,
    /// What is wrong, and what is in it.
    Problems,
}

/// What is done with the data set at the left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DatasetMode {
    /// It is prepared into a folder.
    #[default]
    Prepare,
    /// Its captions are changed.
    Captions,
}

/// A file dialog for a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetDialog {
    /// A data set's folder.
    Folder,
    /// A data set's table.
    Table,
    /// The folder to prepare it into.
    Target,
}

/// An act of the user with the data set.
#[derive(Clone, Debug, PartialEq)]
pub enum DatasetAction {
    /// Choose a folder in a dialog.
    ChooseFolder,
    /// Choose a table in a dialog.
    ChooseTable,
    /// Read a collection of the gallery.
    OpenCollection(CollectionId),
    /// Read a folder or a table.
    Open(PathBuf),
    /// Read it again.
    Reload,
    /// Put it away.
    Close,
    /// Go back to what the prepared one was made of.
    BackToSource,
    /// Show another page in the middle.
    Page(DatasetPage),
    /// Do something else with it.
    Mode(DatasetMode),
    /// How captions are made of columns.
    EditTemplate(String),
    /// Put a column into the template.
    Insert(String),
    /// Which rows are wanted, a condition a line.
    EditConditions(String),
    /// The pictures' shorter side in px.
    Side(u32),
    /// The pictures' format.
    Format(ImageFormat),
    /// The quality of JPEG and WebP.
    Quality(u8),
    /// The most rows.
    EditLimit(String),
    /// The folder to prepare it into.
    EditFolder(String),
    /// Choose that folder in a dialog.
    ChooseTarget,
    /// Prepare it.
    Prepare,
    /// Go on with a preparation that was stopped.
    GoOn,
    /// Stop a preparation; what is finished stays.
    Pause,
    /// Stop a check.
    Stop,
    /// Look for everything that is wrong.
    Check,
    /// Which rows are shown.
    Show(RowFilter),
    /// What captions are searched for.
    EditFind(String),
    /// What is put in its place.
    EditReplacement(String),
    /// Whether upper and lower case are told apart.
    ToggleCase,
    /// Replace it in every caption that is shown.
    Replace,
    /// The caption of a row as it is being typed.
    Write(usize, String),
    /// Take the typed caption over.
    Commit,
    /// Exclude a row, or take it in again.
    Toggle(usize),
    /// Exclude all rows that have a problem.
    ExcludeAll(ProblemKind),
    /// Show a row among the others.
    ShowRow(usize),
    /// Take the last change back.
    Undo,
    /// Make it again.
    Redo,
    /// Learn from it.
    Train,
    /// Which rows are in view and lack their thumbnails.
    InView(Vec<usize>),
}

impl DatasetAction {
    /// Text, tooltip and shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::ChooseFolder => (
                "Open a folder…",
                "Pictures with .txt captions, kohya's folders, metadata.jsonl or .csv, Fashion Product Images, Flickr30k",
            ),
            Self::ChooseTable => {
                ("Open a table…", "styles.csv, metadata.jsonl or .csv, product_data.json, results.csv")
            }
            Self::OpenCollection(_) => {
                ("Take a collection", "The pictures of a collection, with their prompts as captions")
            }
            Self::Open(_) | Self::InView(_) | Self::Commit => ("", ""),
            Self::Reload => ("Read it again", "Read the data set again after its files were changed"),
            Self::Close => ("Close", "Put the data set away. Its files stay"),
            Self::BackToSource => {
                ("Back to the source", "Open what this was prepared from, to prepare it in another way")
            }
            Self::Page(DatasetPage::Pictures) => ("Pictures", "Pictures with their captions"),
            Self::Page(DatasetPage::Problems) => {
                ("Problems", "What is wrong with the data set, and what to do about it")
            }
            Self::Mode(DatasetMode::Prepare) => {
                ("Prepare", "Make a folder of it that a training reads at once: one size, one format, captions")
            }
            Self::Mode(DatasetMode::Captions) => ("Captions", "Change captions, and exclude pictures"),
            Self::EditTemplate(_) => (
                "Caption of each picture",
                "Columns stand in braces, as in: {baseColour} {articleType}. Where a value is missing, the signs around \
                 it fall away. Left empty, the source's own captions are taken",
            ),
            Self::Insert(_) => ("Insert", "Put this column at the end of the caption"),
            Self::EditConditions(_) => (
                "Only rows where",
                "A condition a line: articleType=Dresses, season!=Winter, or productDisplayName~red for a part of it",
            ),
            Self::Side(_) => (
                "Shorter side",
                "What the pictures' shorter side becomes, in pixels: 512 for Stable Diffusion 1, 1024 for SDXL. Smaller \
                 pictures stay as they are",
            ),
            Self::Format(_) => ("Format", "JPEG and WebP are small; PNG keeps every pixel"),
            Self::Quality(_) => ("Quality", "Of JPEG and WebP: 90 is nearly as good as the original"),
            Self::EditLimit(_) => ("At most", "Only so many rows, the first ones. Left empty, all"),
            Self::EditFolder(_) => ("Into the folder", "Where the prepared data set goes. The source is never changed"),
            Self::ChooseTarget => ("Choose…", "Choose the folder for the prepared data set"),
            Self::Prepare => ("Prepare", "Make the pictures small, write the captions down, and note what is left out"),
            Self::GoOn => ("Go on", "Go on where it was stopped: what is finished is not made again"),
            Self::Pause => ("Pause", "Stop now. What is finished stays, and Go on makes the rest"),
            Self::Stop => ("Stop", "Look at no more pictures"),
            Self::Check => (
                "Look for problems",
                "Open every picture, and look for broken, small and repeated ones, for missing and long captions",
            ),
            Self::Show(filter) => (filter.label(), filter.description()),
            Self::EditFind(_) => ("Find in captions", "Only pictures with this in their captions are shown"),
            Self::EditReplacement(_) => ("Replace with", "May be left empty, to take it out"),
            Self::ToggleCase => ("Match case", "Tell upper and lower case apart"),
            Self::Replace => ("Replace", "Replace it in every caption that is shown. It can be undone"),
            Self::Write(..) => ("Caption", "What is learnt with this picture"),
            Self::Toggle(_) => {
                ("Exclude", "Leave this picture out of trainings, or take it in again. Nothing is deleted")
            }
            Self::ExcludeAll(_) => {
                ("Exclude them all", "Leave these pictures out of trainings. Nothing is deleted, and it can be undone")
            }
            Self::ShowRow(_) => ("Show", "Show this picture among the others"),
            Self::Undo => ("Undo", "Take the last change of captions back"),
            Self::Redo => ("Redo", "Make the change again that was taken back"),
            Self::Train => ("Train on it", "Choose how something is learnt from this data set"),
        };
        let shortcut = match self {
            Self::Undo => Some(Shortcut::ctrl(Key::Z)),
            Self::Redo => Some(Shortcut::ctrl_shift(Key::Z)),
            _ => None,
        };
        Info { text, tooltip, shortcut }
    }
}

impl DatasetDesk {
    /// Where the data set in hand is, if a training can read it: it is in a folder, and not a collection.
    #[must_use]
    pub fn folder(&self) -> Option<&std::path::Path> {
        match &self.hand.as_ref()?.source {
            DatasetSource::Path(path) => Some(path),
            DatasetSource::Collection { .. } => None,
        }
    }

    /// Hands out the thumbnails that have come.
    pub fn take_thumbnails(&mut self) -> Vec<(u64, usize, Arc<Picture>)> {
        std::mem::take(&mut self.thumbnails)
    }

    /// Why an act cannot be done now.
    #[must_use]
    pub fn blocked(&self, action: &DatasetAction) -> Option<String> {
        let unless = |is_possible: bool, reason: &str| (!is_possible).then(|| reason.to_owned());
        let is_free = || unless(self.work.is_none(), "The data set is being worked on: pause that first");
        let Some(hand) = &self.hand else {
            let opens = matches!(action, DatasetAction::ChooseFolder | DatasetAction::ChooseTable);
            return unless(opens, "Open a data set in Train first");
        };
        match action {
            DatasetAction::Prepare => is_free().or_else(|| self.prepare_blocked()),
            DatasetAction::Undo => unless(hand.changes.can_undo(), "Nothing was changed"),
            DatasetAction::Redo => unless(hand.changes.can_redo(), "Nothing was taken back"),
            _ => is_free(),
        }
    }

    /// Why it cannot be prepared now.
    #[must_use]
    pub fn prepare_blocked(&self) -> Option<String> {
        let hand = self.hand.as_ref()?;
        if let Some(error) = &hand.look_error {
            return Some(error.sentence.clone());
        }
        hand.form.problem().or_else(|| {
            let is_empty = hand.look.as_ref().is_some_and(|look| look.wanted == 0);
            is_empty.then(|| "No row is wanted: look at the conditions".to_owned())
        })
    }
}
