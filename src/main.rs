//! The program: reads the command line, opens the window or does the work, and tells how it ended.

use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Instant;

use atelier::app::{self, Handles, Launch, Wake};
use atelier::domain::{Command, Result, ScheduleId};
use atelier::library::log::Log;
use atelier::library::{self, JobKeeper, LoadedSettings, Paths};
use atelier::pipeline::Assets;
use atelier::sampling::{self, ModelKind};
use atelier::studio::Catalog;
use atelier::{cli, engine, hub, models};
use chrono::{Local, TimeZone};
use clap::Parser;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// What the log calls the program.
const VERSION: &str = concat!("Atelier ", env!("ATELIER_VERSION"));

/// Tensors of many MB come and go at every step; the system's allocator gives their memory back each time and gets it
/// anew, page by page. So does this one every ten seconds, if it is not told otherwise (`main`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mimalloc.h`, which the bindings do not name: how long freed memory is kept, in ms.
const PURGE_DELAY_OPTION: libmimalloc_sys::mi_option_t = 15;
/// When it is over, all goes back that is free at that moment: much longer than a step takes, or each would get its
/// tensors' memory anew and zeroed; short enough that an idle program is small.
const PURGE_DELAY_MS: std::ffi::c_long = 60_000;

fn main() -> ExitCode {
    // SAFETY: sets a number that mimalloc reads when it frees, unless the environment has set it; no other thread runs yet.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY_OPTION, PURGE_DELAY_MS) };
    let begun = Instant::now();
    let cli = cli::Cli::parse();
    begin_log();
    match cli.run(|| open_window(begun)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When stderr is closed there is nobody to tell; the exit code still says it.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// The log of the window's doings, once there is one.
static LOG: OnceLock<Log> = OnceLock::new();

/// Begins the log: on stderr, where beyond errors it is off unless `RUST_LOG` asks for it; and in [`LOG`].
fn begin_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    let stderr = fmt::layer().with_writer(std::io::stderr).with_filter(filter);
    let writer = || -> Box<dyn Write> {
        match LOG.get() {
            Some(log) => Box::new(log.clone()),
            None => Box::new(std::io::sink()),
        }
    };
    let file = fmt::layer().with_ansi(false).with_writer(writer).with_filter(EnvFilter::new("warn,atelier=info"));
    tracing_subscriber::registry().with(stderr).with(file).init();
}

/// Opens the window with what was remembered, and with the threads that it talks to.
fn open_window(begun: Instant) -> Result<()> {
    let paths = Paths::from_env()?;
    match Log::open(&paths.logs_dir) {
        Ok(log) => LOG.get_or_init(|| log).catch_panics(),
        Err(error) => tracing::error!("{error}"),
    }
    let LoadedSettings { settings, problem } = library::load_settings(&paths);
    use_threads(settings.shell.threads);
    let threads = rayon::current_num_threads();
    tracing::info!(threads, os = std::env::consts::OS, arch = std::env::consts::ARCH, "{VERSION} begins");
    let pictures = paths.clone().with_settings(&settings);
    let catalog = Catalog {
        families: models::FAMILIES.iter().map(|family| &family.capabilities).collect(),
        samplers: sampling::samplers_for(ModelKind::Diffusion).collect(),
        schedules: ScheduleId::ALL.to_vec(),
        models: hub::CATALOGUE,
        local_date,
    };
    let places = engine::shelf::Places {
        models_dir: paths.models_dir.clone(),
        folders: settings.model_folders.clone(),
        loras_dir: paths.loras_dir.clone(),
        embeddings_dir: paths.embeddings_dir.clone(),
        wildcards_dir: paths.wildcards_dir.clone(),
        token: settings.hub_token.clone(),
    };
    let device = cli::asked_device(&settings)?;
    let launch = Launch { settings, settings_problem: problem, catalog, paths, threads, begun };
    let precision = launch.settings.shell.precision;
    app::run(&launch, move |wake: Wake| {
        let (for_engine, for_models) = (Arc::clone(&wake), Arc::clone(&wake));
        let (for_batch, for_queue) = (Arc::clone(&wake), Arc::clone(&wake));
        let (for_desk, for_dataset) = (Arc::clone(&wake), Arc::clone(&wake));
        let (named, for_dataset_paths) = (pictures.clone(), pictures.clone());
        let engine = engine::spawn(
            JobKeeper::new(pictures.clone()),
            Box::new(move || Assets::find(named.loras_dir.clone(), named.embeddings_dir.clone(), &named.wildcards_dir)),
            Box::new(move || for_engine()),
        )?;
        // Before anything else is asked of it; opening a card takes a moment, for which the window need not wait.
        engine.send(Command::UseDevice(device))?;
        engine.send(Command::SetPrecision(precision))?;
        Ok(Handles {
            engine,
            queue: library::queue::spawn(pictures.clone(), Box::new(move || for_queue()))?,
            library: library::spawn(pictures, Box::new(move || wake()))?,
            batch: app::spawn_batch(Box::new(move || for_batch()))?,
            desk: engine::desk::spawn(Box::new(move || for_desk()))?,
            dataset: app::spawn_dataset(for_dataset_paths, count_tokens(), Arc::new(move || for_dataset()))?,
            models: engine::shelf::spawn(places, Arc::new(move || for_models()))?,
        })
    })
}

/// Counts a caption's tokens as CLIP reads them, start and end included. The tokenizer is read at the first caption, by the
/// thread that asks: the window's first frame need not wait for it.
fn count_tokens() -> app::CountTokens {
    let tokenizer = LazyLock::new(models::clip_tokenizer);
    Box::new(move |caption| {
        // It is inside the program and tested, and no text makes it fail; one that did would be counted as one that is read.
        let ids = tokenizer.as_ref().ok().and_then(|tokenizer| tokenizer.ids(caption).ok());
        ids.map_or(0, |ids| u32::try_from(ids.len()).unwrap_or(u32::MAX))
    })
}

/// Makes the pool of the kernels as large as the user wants it. It cannot be changed once it is there.
fn use_threads(threads: Option<u32>) {
    let Some(threads) = threads.and_then(|threads| usize::try_from(threads).ok()) else { return };
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
        tracing::warn!("{threads} threads could not be started: {error}");
    }
}

/// A time in milliseconds since 1970 UTC as people here write it: `21 Nov 2026, 14:05`.
fn local_date(milliseconds: i64) -> String {
    match Local.timestamp_millis_opt(milliseconds).earliest() {
        Some(time) => time.format("%-d %b %Y, %H:%M").to_string(),
        None => String::new(),
    }
}
