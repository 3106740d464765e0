//! The user's own files: pictures with their recipes inside, the index of them, thumbnails, settings.
//!
//! The pictures are the truth: everything else here can be deleted and is made again, but for the settings and for what
//! the user thinks of the pictures (stars, ratings, collections), which the index and a file beside the pictures both hold
//! ([`gallery::keeping`]). What a user can lose is written atomically ([`atomic`]). The window reaches all of it through
//! the thread behind [`LibraryHandle`]; the engine's thread and the command line save through a [`PictureStore`].

pub mod atomic;
pub mod bulk;
pub mod crash;
pub mod export;
pub mod gallery;
pub mod handle;
pub mod image_io;
pub mod import;
pub mod index;
pub mod log;
pub mod messages;
pub mod metadata;
pub mod names;
pub mod paths;
pub mod png_file;
pub mod prompts;
pub mod queue;
pub mod rescan;
pub mod save;
mod schema;
pub mod service;
pub mod settings;
pub mod sheet;
pub mod shelf;
pub mod sources;
pub mod styles;
mod text_file;
pub mod thumbnail_pool;
pub mod thumbnails;
pub mod trash;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod index_tests;

pub use atomic::write as write_atomically;
pub use bulk::BulkReport;
pub use export::{encode_picture, save_as};
pub use gallery::{
    CollectionChange, Counts, Found, GalleryCommand, GalleryEvent, KEPT_FILE, Ticket, collection_of_name,
    pictures_of_collection,
};
pub use handle::LibraryHandle;
pub use image_io::{PictureInfo, read_info, read_picture};
pub use import::{ImportCommand, ImportEvent, ImportReport, Looked, import_all};
pub use index::Index;
pub use messages::{LibraryCommand, LibraryEvent, SaveSource};
pub use metadata::Embedded;
pub use metadata::parameters::recipe_from_text;
pub use paths::Paths;
pub use prompts::{PromptsCommand, PromptsEvent, UsedPrompt};
pub use queue::{JobKeeper, QueueCommand, QueueEvent, QueueHandle, QueueStore};
pub use rescan::RescanReport;
pub use service::spawn;
pub use settings::{LoadedSettings, load as load_settings, save as save_settings};
pub use sheet::{SheetCell, SheetMade, SheetOrder};
pub use shelf::PictureStore;
pub use sources::{KeptMask, SourceCommand, SourceEvent};
pub use styles::{LoadedStyles, import as import_styles, load as load_styles, save as save_styles};
pub use thumbnail_pool::ThumbnailPool;
