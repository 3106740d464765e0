//! What the window asks of the library's thread, and what that tells the window.

use std::path::PathBuf;
use std::sync::Arc;

use super::gallery::{GalleryCommand, GalleryEvent};
use super::import::{ImportCommand, ImportEvent};
use super::prompts::{PromptsCommand, PromptsEvent};
use super::sheet::{SheetMade, SheetOrder};
use super::sources::{SourceCommand, SourceEvent};
use crate::domain::{Picture, PictureId, Recipe, Settings, UserError};

/// Where the picture of a "save as" comes from.
#[derive(Clone, Debug)]
pub enum SaveSource {
    /// A picture of the history: its file.
    File(PathBuf),
    /// A picture that could not be saved before and is only in memory.
    Memory(Arc<Picture>, Box<Recipe>),
}

/// What the window asks of the library's thread.
#[derive(Clone, Debug)]
pub enum LibraryCommand {
    /// Read a picture in full. Answered by `Opened` or `PictureFailed`.
    Open {
        /// Which.
        id: PictureId,
        /// Its file.
        path: PathBuf,
    },
    /// Write a copy; the target's ending decides on the format (PNG, JPEG, WebP). Answered by `Saved` or `SaveFailed`.
    SaveAs {
        /// What.
        source: SaveSource,
        /// Where to.
        target: PathBuf,
    },
    /// Move to the system's trash, by its file: also one of another folder. Answered by `Trashed` or `TrashFailed`.
    Trash {
        /// Whose entry goes.
        id: PictureId,
        /// Its file.
        path: PathBuf,
    },
    /// Something about the gallery: searching, thumbnails, marks, collections, work on many pictures. Answered by
    /// `Gallery`, thumbnails by `Thumbnail` and `PictureFailed`.
    Gallery(GalleryCommand),
    /// Something about pictures that are not in the gallery yet. Answered by `Import`.
    Import(ImportCommand),
    /// Something about the picture to begin with and its mask. Answered by `Source`.
    Source(SourceCommand),
    /// Something about prompts that were used, or about styles. Answered by `Prompts`.
    Prompts(PromptsCommand),
    /// Lay the pictures of a grid out on a sheet. Answered by `Sheet` or `Failed`.
    Sheet(Box<SheetOrder>),
    /// Remember the settings, atomically. Answered by `SettingsFailed` only.
    SaveSettings(Box<Settings>),
    /// End the thread when all before is done.
    Shutdown,
}

/// What the library's thread tells the window.
#[derive(Clone, Debug)]
pub enum LibraryEvent {
    /// A thumbnail, at most 256 px a side.
    Thumbnail {
        /// Whose.
        id: PictureId,
        /// The small picture.
        picture: Arc<Picture>,
    },
    /// A picture in full.
    Opened {
        /// Which.
        id: PictureId,
        /// The picture.
        picture: Arc<Picture>,
    },
    /// A picture could not be read.
    PictureFailed {
        /// Which.
        id: PictureId,
        /// Why.
        error: UserError,
    },
    /// A copy was written.
    Saved {
        /// Where to.
        target: PathBuf,
    },
    /// A copy could not be written; nothing is lost.
    SaveFailed {
        /// Why.
        error: UserError,
    },
    /// A picture is in the trash and out of the history.
    Trashed {
        /// Whose entry went.
        id: PictureId,
    },
    /// A picture could not be moved to the trash.
    TrashFailed {
        /// Whose entry stays.
        id: PictureId,
        /// Why.
        error: UserError,
    },
    /// Something about the gallery.
    Gallery(GalleryEvent),
    /// Something about pictures that are not in the gallery yet.
    Import(ImportEvent),
    /// Something about the picture to begin with and its mask.
    Source(SourceEvent),
    /// Something about prompts that were used, or about styles.
    Prompts(PromptsEvent),
    /// A sheet is made.
    Sheet(Box<SheetMade>),
    /// The settings could not be written.
    SettingsFailed {
        /// Why.
        error: UserError,
    },
    /// Something worth telling that stopped nothing: a picture of the folder that cannot be read, an index that was
    /// damaged and is rebuilt, a prompt too long for the format of a copy.
    Notice {
        /// What, in the form of an error.
        error: UserError,
    },
    /// The history could not be read or written.
    Failed {
        /// Why.
        error: UserError,
    },
}
