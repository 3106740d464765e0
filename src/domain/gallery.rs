//! The gallery as plain data: marks, collections, what is searched for and what is found, work on many pictures.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{PictureEntry, PictureId};

/// What the user thinks of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Marks {
    /// Starred.
    pub star: bool,
    /// From 0 (none) to [`Marks::MAX_RATING`].
    pub rating: u8,
}

impl Marks {
    /// The best rating.
    pub const MAX_RATING: u8 = 5;
}

/// A picture of the gallery with what the user thinks of it.
#[derive(Clone, Debug, PartialEq)]
pub struct GalleryRow {
    /// The picture.
    pub entry: PictureEntry,
    /// Its marks.
    pub marks: Marks,
}

/// The key of a collection. It may change when the index is rebuilt; its name does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectionId(pub i64);

/// A collection of pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Its key.
    pub id: CollectionId,
    /// Its name; no two have the same, whatever the case.
    pub name: String,
    /// The search that it stands for, as typed, if it is a smart one. Such a one holds no pictures of its own.
    pub query: Option<String>,
    /// How many pictures are in it; `None` for a smart one.
    pub count: Option<usize>,
}

/// In which order pictures are listed. Those that are equal stand newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortOrder {
    /// The last made first.
    #[default]
    Newest,
    /// The first made first.
    Oldest,
    /// The best rated first; among equals the starred.
    Rating,
    /// By prompt, as in a dictionary; pictures without a recipe last.
    Prompt,
    /// The most pixels first.
    Largest,
    /// The fewest pixels first.
    Smallest,
    /// By seed.
    Seed,
    /// As the user arranged the collection; newest first where no collection is looked at.
    Arranged,
}

impl SortOrder {
    /// Every order, as offered.
    pub const ALL: [Self; 8] = [
        Self::Newest,
        Self::Oldest,
        Self::Rating,
        Self::Prompt,
        Self::Largest,
        Self::Smallest,
        Self::Seed,
        Self::Arranged,
    ];

    /// Its name for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Newest => "Newest first",
            Self::Oldest => "Oldest first",
            Self::Rating => "Best rated first",
            Self::Prompt => "By prompt",
            Self::Largest => "Largest first",
            Self::Smallest => "Smallest first",
            Self::Seed => "By seed",
            Self::Arranged => "As arranged",
        }
    }
}

/// Which pictures a search looks through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All of them.
    #[default]
    All,
    /// Those of a collection; of a smart one, those that its search finds.
    Collection(CollectionId),
    /// Those with the same recipe as this one, but for the seed.
    SameRecipe(PictureId),
}

/// A search of the gallery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SearchRequest {
    /// As typed; see [`super::search`].
    pub text: String,
    /// Where to look.
    pub scope: Scope,
    /// In which order.
    pub sort: SortOrder,
    /// Whether pictures whose recipes differ in nothing but the seed are shown as one.
    pub is_grouped: bool,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchResult {
    /// The pictures in order; of a group its first.
    pub ids: Vec<PictureId>,
    /// How many pictures each of them stands for; empty where nothing was grouped.
    pub group_sizes: Vec<u32>,
    /// All pictures that were found, those inside groups too.
    pub total: usize,
}

/// What a copy of a picture says of how it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RecipeInCopy {
    /// All that the file says.
    #[default]
    Kept,
    /// Nothing: recipe, date and whatever else describes it are left out. The pixels are the same.
    LeftOut,
}

/// Work on many pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkWork {
    /// Write copies into a folder, under their own names; a name that is taken gets a counter.
    CopyTo {
        /// Which folder; it is made if need be.
        folder: PathBuf,
        /// What the copies say.
        recipe: RecipeInCopy,
    },
    /// Write one zip file, replacing what is there: the user was asked.
    Zip {
        /// Which file.
        file: PathBuf,
        /// What the copies in it say.
        recipe: RecipeInCopy,
    },
    /// Move them to the system's trash.
    Trash,
}

/// A picture that was moved to the trash, with what is needed to take it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashedPicture {
    /// Its key until then.
    pub id: PictureId,
    /// Where it was.
    pub path: PathBuf,
    /// Its marks.
    pub marks: Marks,
    /// The collections that it was in, by name, with its place in each.
    pub collections: Vec<(String, i64)>,
}
