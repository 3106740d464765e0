//! Floor 6: the application's state, without a window and without I/O.
//!
//! The window shows [`State`] and pushes [`Action`]s; [`State::apply`] answers with [`Effect`]s that `app` carries out.
//! What the engine and the library's thread say comes in through [`State::on_event`] and [`State::on_library_event`].

mod actions;
mod adapters;
mod batch;
mod batch_actions;
mod batch_run;
#[cfg(test)]
mod batch_tests;
mod compare;
mod device;
mod draft;
mod effects;
mod errors;
mod estimate;
mod events;
mod extras;
mod film;
mod fuzzy;
mod gallery;
mod gallery_actions;
mod gallery_events;
mod gallery_import;
mod gallery_search;
#[cfg(test)]
mod gallery_tests;
#[cfg(test)]
mod gallery_work_tests;
mod grid;
mod grid_run;
mod labels;
mod mask;
mod models;
mod notices;
mod palette;
mod prompt;
mod prompt_complete;
mod prompt_history;
mod prompt_styles;
mod prompt_undo;
mod queue;
mod queue_actions;
#[cfg(test)]
mod queue_tests;
mod replay;
mod safety;
mod shelf;
mod shelf_actions;
mod shell;
mod shortcuts;
mod source;
mod source_layout;
#[cfg(test)]
mod source_tests;
mod source_update;
mod state;
#[cfg(test)]
mod tests;
mod timeline;
mod tour;
mod train;
mod update;
mod variation;
mod viewer;

pub use actions::{Action, Edit, Info, Move};
pub use adapters::{AdapterAction, Adapters, can_be_named};
pub use batch::{Batch, RowCounts, RowState, Run};
pub use batch_actions::BatchAction;
pub use compare::{Compare, CompareAction, CompareMode, Side};
pub use device::{DeviceAction, DeviceDesk};
pub use draft::{Draft, Seeds, Size};
pub use effects::{DialogAnswer, DialogRequest, Effect};
pub use errors::{ErrorLog, ErrorRecord};
pub use estimate::{Estimate, memory_text};
pub use extras::Extra;
pub use film::{Film, FilmItem, View};
pub use gallery::{Gallery, InView};
pub use gallery_actions::{GalleryAction, Work};
pub use gallery_import::{ImportAction, Importer, Importing};
pub use gallery_search::{Finder, Named, Naming, Shelves};
pub use grid::{AxisDraft, GridAction, GridCheck, GridPlan, Grids};
pub use grid_run::GridProgress;
pub use labels::{Labelled, sampler, schedule};
pub use mask::Mask;
pub use models::{ModelStatus, Models};
pub use notices::{MAX_NOTICES, Notice, Notices, Severity};
pub use palette::{COMMANDS, Entry, Palette};
pub use prompt::{PromptAction, PromptDesk, PromptField, Selection, Weigh};
pub use prompt_complete::{Completion, Suggestion};
pub use prompt_history::{History, HistoryAction};
pub use prompt_styles::{StyleAction, StyleEditor, Styles};
pub use queue::{Editing, Held, Phase, Queue, Running, Waiting, duration_text, time_left_text};
pub use queue_actions::QueueAction;
pub use replay::{Remade, Replay, ReplayAction, Stage};
pub use shelf::{Look, Shelf, Transfer, TransferState, repo_of};
pub use shelf_actions::ShelfAction;
pub use shell::{Machine, Memory, Overlay, Shell, ShellAction};
pub use shortcuts::{ALSO, KEYED, Key, Scope, Shortcut, shortcuts};
pub use source::{BRUSH_PX, Gaze, MAX_FEATHER_PX, Source, SourceAction, Tool};
pub use source_layout::{Area, Handle, SourceLayout};
pub use state::{Catalog, PathPrompt, Place, State, Subject};
pub use timeline::{PictureSteps, SeenStep, Timeline, TimelineAction, TreeNode};
pub use tour::TourStep;
pub use train::{
    Album, AlbumPicture, Curve, Curves, DatasetAction, DatasetDesk, DatasetDialog, DatasetInHand, DatasetMode,
    DatasetPage, DatasetWork, DatasetWorkKind, DrawnPicture, FIELDS, Field, FieldKind, FieldValue, Foresight, HandRow,
    HardRow, Numbered, OWN_FIELDS, PrepareForm, ProblemGroup, ProblemItem, RowChanges, RowFilter, RowFinder, SIDES,
    Section, TrainAction, TrainState, TrainTab, TrainingAction, TrainingDesk, TrainingRun, TrainingStage, field,
};
pub use update::ZIP_NAME;
pub use variation::{VariationAction, Variations};
pub use viewer::{Viewer, ViewerAction, Zoom};
