//! Floor 8: the window itself. It joins the studio's state, the panels, the engine and the library's thread, and
//! carries out what the state asks for.

mod attention;
mod batch;
mod dataset;
mod desktop;
mod dialogs;
mod display;
mod fonts;
mod machine;
mod renderer;
mod window;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::domain::{Result, Settings, UserError};
use crate::engine::{DeskHandle, EngineHandle, ModelsHandle};
use crate::library::{LibraryHandle, Paths, QueueHandle};
use crate::studio::Catalog;

pub use batch::{BatchHandle, spawn as spawn_batch};
pub use dataset::{CountTokens, DatasetHandle, spawn as spawn_dataset};
pub use desktop::{Desktop, NativeDesktop};
pub use dialogs::{Answer, Dialogs, NativeDialogs};
pub use window::{App, Parts};

/// Wakes the window from another thread, so that it looks into its channels.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The near ends of the channels to the threads.
pub struct Handles {
    /// To the worker that owns the models.
    pub engine: EngineHandle,
    /// To the thread that owns the files.
    pub library: LibraryHandle,
    /// To the thread that keeps the queue on the disk.
    pub queue: QueueHandle,
    /// To the thread that lists, fetches and removes models.
    pub models: ModelsHandle,
    /// To the thread that reads tables and writes down what became of their rows.
    pub batch: BatchHandle,
    /// To the thread that keeps the files of trainings.
    pub desk: DeskHandle,
    /// To the thread that reads, prepares and changes data sets.
    pub dataset: DatasetHandle,
}

/// What the window starts with.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What was remembered.
    pub settings: Settings,
    /// What was wrong with it, to be shown.
    pub settings_problem: Option<UserError>,
    /// What is built in.
    pub catalog: Catalog,
    /// Where the user's files are, with pictures in their default folder.
    pub paths: Paths,
    /// How many threads compute.
    pub threads: usize,
    /// When the program began.
    pub begun: Instant,
}

/// The window's name, for its title and for the desktop.
pub const TITLE: &str = "Atelier";

/// Opens the window and returns when it was closed, after the threads have ended.
///
/// `make_handles` starts the threads; it is called once, with the closure that wakes the window.
///
/// # Errors
/// When there is no display (exit code 2), when no window can be opened on it, or when `make_handles` fails.
pub fn run(launch: &Launch, make_handles: impl FnOnce(Wake) -> Result<Handles>) -> Result<()> {
    display::check()?;
    let leftover: Rc<RefCell<Option<Handles>>> = Rc::default();
    let failed: Rc<RefCell<Option<UserError>>> = Rc::default();
    let make_handles = RefCell::new(Some(make_handles));
    let result = display::without_panic(|| {
        renderer::run_with_fallback(launch, |ctx| {
            let wake: Wake = {
                let ctx = ctx.clone();
                Arc::new(move || ctx.request_repaint())
            };
            // The second attempt, with the other renderer, finds the threads of the first.
            let handles = match (leftover.borrow_mut().take(), make_handles.borrow_mut().take()) {
                (Some(handles), _) => handles,
                (None, Some(make_handles)) => {
                    make_handles(wake).inspect_err(|error| *failed.borrow_mut() = Some(error.clone()))?
                }
                (None, None) => return Err(UserError::failed("The window could not be opened twice")),
            };
            fonts::install(ctx);
            let mut lookout = machine::Lookout::new(launch.threads);
            let parts = Parts {
                handles,
                dialogs: Box::new(NativeDialogs),
                desktop: Box::new(NativeDesktop),
                machine: Box::new(move || lookout.look()),
                entropy: window::entropy(),
            };
            Ok(App::new(ctx, launch.clone(), parts, Rc::clone(&leftover)))
        })
    });
    if let Some(Handles { engine, library, queue, models, batch, desk, dataset }) = leftover.borrow_mut().take() {
        models.shut_down();
        engine.shut_down();
        desk.shut_down();
        batch.shut_down();
        dataset.shut_down();
        library.shut_down();
        queue.shut_down();
    }
    match failed.borrow_mut().take() {
        Some(error) => Err(error),
        None => result,
    }
}
