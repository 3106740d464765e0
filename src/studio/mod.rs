//! Floor 6: the application's state, without a window and without I/O.
//!
//! The window shows [`State`] and pushes [`Action`]s; [`State::apply`] answers with [`Effect`]s that `app` carries out.
//! What the engine and the library's thread say comes in through [`State::on_event`] and [`State::on_library_event`].

mod actions;
mod adapters;
mod draft;
mod effects;
mod events;
mod extras;
mod film;
mod gallery;
mod gallery_actions;
mod gallery_events;
mod gallery_search;
#[cfg(test)]
mod gallery_tests;
#[cfg(test)]
mod gallery_work_tests;
mod grid;
mod grid_run;
mod labels;
mod models;
mod notices;
mod queue;
mod safety;
mod shelf;
mod shelf_actions;
mod state;
#[cfg(test)]
mod tests;
mod update;
mod variation;

pub use actions::{Action, Edit, Info, KEYED, Key, Move, Scope, Shortcut};
pub use adapters::{AdapterAction, Adapters, can_be_named};
pub use draft::{Draft, Seeds, Size};
pub use effects::{DialogAnswer, DialogRequest, Effect};
pub use extras::Extra;
pub use film::{Film, FilmItem, View};
pub use gallery::{Gallery, InView};
pub use gallery_actions::{GalleryAction, Work};
pub use gallery_search::{Finder, Named, Naming, Shelves};
pub use grid::{AxisDraft, GridAction, GridCheck, GridPlan, Grids};
pub use grid_run::GridProgress;
pub use labels::{Labelled, sampler, schedule};
pub use models::{ModelStatus, Models};
pub use notices::{MAX_NOTICES, Notice, Notices, Severity};
pub use queue::{Phase, Queue, Running, duration_text, time_left_text};
pub use shelf::{Look, Shelf, Transfer, TransferState, repo_of};
pub use shelf_actions::ShelfAction;
pub use state::{Catalog, PathPrompt, Place, State, Subject};
pub use update::ZIP_NAME;
pub use variation::{VariationAction, Variations};
