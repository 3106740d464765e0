//! [`Effect`]: what `app` carries out for the state, which does no I/O of its own.

use std::path::PathBuf;
use std::sync::Arc;

use super::DatasetDialog;
use crate::domain::batch::BatchCommand;
use crate::domain::dataset::DatasetCommand;
use crate::domain::training::DeskCommand;
use crate::domain::{Command, ModelsCommand, Picture, PictureId};
use crate::library::{LibraryCommand, QueueCommand, SaveSource};

/// Something to do outside.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send to the engine.
    Engine(Command),
    /// Send to the library's thread.
    Library(LibraryCommand),
    /// Send to the queue's thread.
    Queue(QueueCommand),
    /// Send to the models' thread.
    Models(ModelsCommand),
    /// Send to the batches' thread.
    Batch(BatchCommand),
    /// Send to the thread that keeps trainings' files.
    Desk(DeskCommand),
    /// Send to the data sets' thread.
    Dataset(DatasetCommand),
    /// Ask the user for a file or folder; the answer comes back as [`super::Action::Answered`].
    Ask(DialogRequest),
    /// Put a picture on the clipboard.
    CopyPicture(Arc<Picture>),
    /// Put text on the clipboard.
    CopyText(String),
    /// Open a page in the browser.
    OpenPage(String),
    /// Show a file or folder in the system's file manager.
    Reveal(PathBuf),
    /// Fill the screen, or stop doing so.
    FullScreen(bool),
    /// Close the window.
    Close,
}

/// A file dialog.
#[derive(Clone, Debug)]
pub enum DialogRequest {
    /// A model's folder.
    ModelFolder,
    /// A model's file, to look at it.
    ModelFile,
    /// A folder with models, which are listed from then on.
    ModelsFolder,
    /// A picture to begin with.
    Init,
    /// Its mask.
    Mask,
    /// An autoencoder's file.
    Vae,
    /// A table of a batch.
    BatchTable,
    /// A file with a training's settings.
    TrainingSettings,
    /// Where to write a training's settings.
    SaveTrainingSettings,
    /// The folder of a training that was begun earlier.
    TrainingFolder,
    /// The pictures and captions of a training.
    TrainingDataset,
    /// Another program's styles.
    Styles,
    /// Something for a data set.
    Dataset(DatasetDialog),
    /// Where new pictures go.
    PicturesFolder,
    /// Where to write a copy of a picture.
    SavePicture {
        /// A file name to begin with.
        suggested_name: String,
        /// What to write.
        source: SaveSource,
    },
    /// A folder whose pictures are taken into the gallery.
    ImportFolder,
    /// The folder to copy pictures into.
    CopyOut(Vec<PictureId>),
    /// The zip file to write pictures into.
    Zip(Vec<PictureId>),
}

/// What came of a file dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialogAnswer {
    /// A file or folder.
    Chosen(PathBuf),
    /// The user closed it.
    Dismissed,
    /// This system has no file dialog that the program can open.
    Unavailable,
}
