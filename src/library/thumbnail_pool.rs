//! [`ThumbnailPool`]: a few threads that make the thumbnails which are wanted now, in the order of the wish.
//!
//! Whoever wants thumbnails says at once which ones, first those in view, then those near it. What was wanted before and
//! is not any more is dropped: it was scrolled past. Few threads, and results that wait to be taken: the model in the
//! other threads, and the window, come first.

use std::any::Any;
use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::thumbnails::Thumbnails;
use crate::domain::{Picture, PictureId, Result, UserError};

/// The most thumbnails that are wanted at once: more than any window shows.
pub const MAX_WANTED: usize = 512;
/// Results that wait to be taken.
const RESULTS: usize = 16;
/// The most threads.
const MAX_THREADS: usize = 4;

/// A thumbnail, or why there is none.
pub type Made = (PictureId, Result<Picture>);

/// The threads and what they still have to do.
pub struct ThumbnailPool {
    shared: Arc<Shared>,
    results: Receiver<Made>,
    threads: Vec<JoinHandle<()>>,
}

/// Makes one thumbnail of a file.
pub type Make = Box<dyn Fn(&Path) -> Result<Picture> + Send + Sync>;

struct Shared {
    make: Make,
    state: Mutex<State>,
    /// There is something to do, or the end has come.
    news: Condvar,
}

#[derive(Default)]
struct State {
    wanted: VecDeque<(PictureId, PathBuf)>,
    /// Being made.
    busy: HashSet<PictureId>,
    is_closing: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic is done while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ThumbnailPool {
    /// Starts the threads: one for each four processors, four at most.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(thumbnails: Arc<Thumbnails>) -> Result<Self> {
        Self::start_with(Box::new(move |path| thumbnails.get(path)))
    }

    /// Starts the threads, with another way of making thumbnails.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start_with(make: Make) -> Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::with_threads(make, processors.div_ceil(4).min(MAX_THREADS))
    }

    fn with_threads(make: Make, count: usize) -> Result<Self> {
        let shared = Arc::new(Shared { make, state: Mutex::default(), news: Condvar::new() });
        let (sender, results) = bounded(RESULTS);
        let mut pool = Self { shared, results, threads: Vec::new() };
        for number in 0..count {
            let (shared, sender) = (Arc::clone(&pool.shared), sender.clone());
            let thread = std::thread::Builder::new()
                .name(format!("atelier-thumb-{number}"))
                .spawn(move || work(&shared, &sender))
                .map_err(|error| UserError::failed(format!("Thumbnails cannot be made: {error}")))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Says what is wanted from now on, most urgent first; at most [`MAX_WANTED`] are taken. What was wanted before and is
    /// not named is dropped, but for what is being made.
    pub fn want(&self, wanted: Vec<(PictureId, PathBuf)>) {
        let mut state = self.shared.lock();
        state.wanted.clear();
        let mut seen = HashSet::new();
        for one in wanted.into_iter().take(MAX_WANTED) {
            if !state.busy.contains(&one.0) && seen.insert(one.0) {
                state.wanted.push_back(one);
            }
        }
        drop(state);
        self.shared.news.notify_all();
    }

    /// Where they come out.
    pub const fn results(&self) -> &Receiver<Made> {
        &self.results
    }
}

impl Drop for ThumbnailPool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closing = true;
        state.wanted.clear();
        drop(state);
        self.shared.news.notify_all();
        // A thread may wait for room among the results: with nobody to take them it ends.
        self.results = crossbeam_channel::never();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, results: &Sender<Made>) {
    loop {
        let (id, path) = {
            let mut state = shared.lock();
            loop {
                if state.is_closing {
                    return;
                }
                if let Some(next) = state.wanted.pop_front() {
                    state.busy.insert(next.0);
                    break next;
                }
                state = shared.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let made = catch_unwind(AssertUnwindSafe(|| (shared.make)(&path))).unwrap_or_else(|panic| {
            let reason = panic_message(panic.as_ref());
            Err(UserError::failed(format!("A fault in the program: {reason}"))
                .hint("other pictures still work")
                .path(&path))
        });
        shared.lock().busy.remove(&id);
        if results.send((id, made)).is_err() {
            return;
        }
    }
}

/// What a panic said.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::library::metadata::Embedded;
    use crate::library::png_file;

    fn pictures(dir: &Path, count: i64) -> Vec<(PictureId, PathBuf)> {
        let write = |id: i64| {
            let path = dir.join(format!("{id}.png"));
            let picture = Picture { width_px: 300, height_px: 300, rgba: [id as u8, 0, 0, 255].repeat(90_000) };
            fs::write(&path, png_file::encode(&picture, &Embedded::default()).unwrap()).unwrap();
            (PictureId(id), path)
        };
        (0..count).map(write).collect()
    }

    fn cached(dir: &Path) -> Make {
        let thumbnails = Thumbnails::new(dir.join("cache"));
        Box::new(move |path| thumbnails.get(path))
    }

    fn next(pool: &ThumbnailPool) -> Made {
        pool.results().recv_timeout(Duration::from_mins(1)).unwrap()
    }

    #[test]
    fn what_is_wanted_comes_in_order_and_what_is_not_any_more_does_not_come() {
        let dir = tempfile::tempdir().unwrap();
        let mut wanted = pictures(dir.path(), 40);
        let pool = ThumbnailPool::with_threads(cached(dir.path()), 1).unwrap();
        pool.want(wanted.clone());
        assert_eq!(next(&pool).0, PictureId(0));
        // Scrolled to the end: what was not begun is left out. One may be in work, some may wait to be taken.
        let end = wanted.split_off(35);
        pool.want(end.clone());
        let mut came = Vec::new();
        while came.last() != Some(&PictureId(39)) {
            came.push(next(&pool).0);
        }
        assert!(came.is_sorted());
        assert!(came.ends_with(&end.iter().map(|one| one.0).collect::<Vec<_>>()));
        assert!(came.len() <= 5 + RESULTS + 2, "{came:?}");
    }

    #[test]
    fn several_threads_make_each_once_and_broken_ones_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut wanted = pictures(dir.path(), 8);
        wanted.push((PictureId(8), dir.path().join("gone.png")));
        wanted.push(wanted[0].clone());
        let pool = ThumbnailPool::with_threads(cached(dir.path()), 3).unwrap();
        pool.want(wanted);
        let mut came: Vec<_> = (0..9).map(|_| next(&pool)).map(|(id, made)| (id.0, made.is_ok())).collect();
        came.sort_unstable();
        assert_eq!(came, (0..9).map(|id| (id, id < 8)).collect::<Vec<_>>());
        assert!(pool.results().recv_timeout(Duration::from_millis(50)).is_err());
    }

    #[test]
    fn it_ends_though_nobody_takes_what_it_makes() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = pictures(dir.path(), 40);
        let pool = ThumbnailPool::start(Arc::new(Thumbnails::new(dir.path().join("cache")))).unwrap();
        pool.want(wanted);
        drop(pool);
    }
}
