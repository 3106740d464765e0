//! What the window asks of the library's thread about the gallery, and what that tells it.

use std::path::PathBuf;

use super::super::bulk::BulkReport;
use super::find::Found;
use super::marks::Counts;
use crate::domain::{
    BulkWork, Cancel, Collection, CollectionId, FamilyId, GalleryRow, PictureId, SearchRequest, TrashedPicture,
    UserError,
};

/// The key of a search or of work on many pictures; the sender counts up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What the window asks about the gallery.
#[derive(Clone, Debug)]
pub enum GalleryCommand {
    /// Find pictures. Answered by `Found`, unless a search with a higher ticket comes before the answer; where the index
    /// has never been compared with the files, then by `Reconciled`.
    Search {
        /// Higher than that of any search before.
        ticket: Ticket,
        /// What to find.
        request: SearchRequest,
    },
    /// Read these pictures: those in view and near it. Answered by `Rows`.
    Rows(Vec<PictureId>),
    /// Make these thumbnails, the most urgent first, and no others any more. Answered by `LibraryEvent::Thumbnail` and
    /// `LibraryEvent::PictureFailed`.
    Thumbnails(Vec<(PictureId, PathBuf)>),
    /// Count the pictures and list the collections. Answered by `Overview`.
    Overview,
    /// Compare the index with the files. Answered by `Reconciled`, also where nothing has changed.
    Reconcile,
    /// Pictures are in this folder from now on. Answered by `Overview` with what is known of it, then by `Reconciled`.
    UseFolder(PathBuf),
    /// Star pictures, or take the stars back. Answered by `Marked`.
    Star {
        /// Which.
        ids: Vec<PictureId>,
        /// Whether they have one.
        star: bool,
    },
    /// Rate pictures. Answered by `Marked`.
    Rate {
        /// Which.
        ids: Vec<PictureId>,
        /// From 0 (not rated) to 5.
        rating: u8,
    },
    /// Change a collection. Answered by `Overview`.
    Collections(CollectionChange),
    /// Remember of which family the model with this hash is: recipes do not tell. Not answered.
    KnowFamily {
        /// The model's, as in recipes.
        hash: String,
        /// Its family.
        family: FamilyId,
    },
    /// Work on many pictures, one after the other, between all other commands. Answered by `BulkProgress` and, at its
    /// end, by `BulkDone`. Works that are asked for meanwhile wait.
    Bulk {
        /// To tell it from others.
        ticket: Ticket,
        /// Which pictures, in order.
        ids: Vec<PictureId>,
        /// What to do.
        work: BulkWork,
        /// The sender keeps a clone, to stop it.
        cancel: Cancel,
    },
    /// Take pictures back out of the trash. Answered by `Restored`.
    Restore(Vec<TrashedPicture>),
}

/// A change of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectionChange {
    /// Make one, and put pictures into it; one with a query is smart and takes none.
    Create {
        /// Its name.
        name: String,
        /// The search that it stands for.
        query: Option<String>,
        /// What is in it to begin with.
        pictures: Vec<PictureId>,
    },
    /// Give it another name.
    Rename(CollectionId, String),
    /// Give a smart one another search.
    SetQuery(CollectionId, String),
    /// Delete it; its pictures stay.
    Delete(CollectionId),
    /// Put pictures at its end.
    Add(CollectionId, Vec<PictureId>),
    /// Take pictures out of it.
    Remove(CollectionId, Vec<PictureId>),
    /// Move pictures of it before another one, or to its end.
    Arrange(CollectionId, Vec<PictureId>, Option<PictureId>),
}

/// What the library's thread tells about the gallery.
#[derive(Clone, Debug)]
pub enum GalleryEvent {
    /// What the last search found.
    Found {
        /// Which search.
        ticket: Ticket,
        /// What it found, and what of it was not understood.
        found: Found,
    },
    /// Pictures, in the order asked for; those that are not there any more are left out.
    Rows(Vec<GalleryRow>),
    /// What there is.
    Overview {
        /// How many pictures.
        counts: Counts,
        /// The collections, by name.
        collections: Vec<Collection>,
    },
    /// Pictures have other marks now; a search for marks may find others.
    Marked(Vec<GalleryRow>),
    /// The index and the files agree.
    Reconciled {
        /// Whether anything has changed, so that what is shown may be out of date.
        is_changed: bool,
        /// How many pictures.
        counts: Counts,
    },
    /// Work on many pictures goes on.
    BulkProgress {
        /// Which.
        ticket: Ticket,
        /// How far.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// Work on many pictures has ended.
    BulkDone {
        /// Which.
        ticket: Ticket,
        /// What became of each.
        report: BulkReport,
        /// Why it did not come to its end, unless it did or was stopped.
        error: Option<UserError>,
    },
    /// Pictures are back from the trash.
    Restored {
        /// Those that are, under new keys.
        rows: Vec<GalleryRow>,
        /// Why the others are not.
        failures: Vec<UserError>,
    },
    /// Something that was asked could not be done; nothing has changed.
    Failed(UserError),
}
