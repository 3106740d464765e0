//! [`Keep`]: who saves what the engine makes, and keeps what must not be lost while it is made.

use std::path::Path;
use std::time::Duration;

use crate::domain::{Job, JobId, Picture, PictureEntry, Recipe, Result};
use crate::library::JobKeeper;

/// Saves what the engine makes. A closure that saves is one that keeps nothing meanwhile.
pub trait Keep: Send {
    /// Puts picture `index` of a job into its folder and into the history, and counts it.
    ///
    /// # Errors
    /// When it cannot be saved.
    fn save(&mut self, job: &Job, index: u32, picture: &Picture, recipe: &Recipe) -> Result<PictureEntry>;

    /// Keeps where the picture of a job is in its making, in the place of what was kept before.
    fn keep_progress(&mut self, _job: JobId, _bytes: &[u8]) {}

    /// What was kept last, if anything was.
    fn progress(&mut self, _job: JobId) -> Option<Vec<u8>> {
        None
    }

    /// How long to wait between two times that progress is kept.
    fn pause(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Keeps the steps of a picture under a name.
    fn keep_steps(&mut self, _name: &str, _bytes: &[u8]) {}

    /// The steps that were kept under a name.
    fn steps(&mut self, _name: &str) -> Option<Vec<u8>> {
        None
    }
}

impl<F> Keep for F
where
    F: FnMut(&Path, &Picture, &Recipe) -> Result<PictureEntry> + Send,
{
    fn save(&mut self, job: &Job, _index: u32, picture: &Picture, recipe: &Recipe) -> Result<PictureEntry> {
        self(&job.pictures_dir, picture, recipe)
    }
}

impl Keep for JobKeeper {
    fn save(&mut self, job: &Job, index: u32, picture: &Picture, recipe: &Recipe) -> Result<PictureEntry> {
        Self::save(self, job, index, picture, recipe)
    }

    fn keep_progress(&mut self, job: JobId, bytes: &[u8]) {
        // Without it the picture is begun again after a crash, which is worth a line in the log.
        if let Err(error) = Self::keep_progress(self, job, bytes) {
            tracing::warn!(%error, "where a picture is in its making could not be kept");
        }
    }

    fn progress(&mut self, job: JobId) -> Option<Vec<u8>> {
        Self::progress(self, job)
    }

    fn pause(&self) -> Duration {
        Self::pause(self)
    }

    fn keep_steps(&mut self, name: &str, bytes: &[u8]) {
        if let Err(error) = Self::keep_steps(self, name, bytes) {
            tracing::warn!(%error, "the steps of a picture could not be kept");
        }
    }

    fn steps(&mut self, name: &str) -> Option<Vec<u8>> {
        Self::steps(self, name)
    }
}
