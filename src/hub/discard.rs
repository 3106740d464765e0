//! Throwing away what a download brought that is not to go on.

use std::fs;
use std::path::Path;

use super::cache::RepoCache;
use super::client::Hub;
use super::installed::take_locks;
use super::names::RepoId;
use crate::domain::{Result, UserError};

impl Hub {
    /// Throws away what an unfinished download of this program brought, and says how many bytes that freed. What was here
    /// before it stays, and so does everything where no download is unfinished.
    ///
    /// # Errors
    /// When it is being downloaded, or cannot be removed.
    pub fn discard(&self, repo: &RepoId) -> Result<u64> {
        let cache = RepoCache::new(&self.config.cache_dir, repo);
        let Some(note) = cache.note().filter(|note| !note.is_whole) else { return Ok(0) };
        let _locks = take_locks(cache.locks()).ok_or_else(|| {
            UserError::failed(format!("{repo} is being downloaded by another program"))
                .hint("stop that download, or wait until it is done")
        })?;
        let mut freed = 0;
        for file in note.brought() {
            remove(&cache.snapshot(&note.commit).join(&file.name))?;
            freed += remove(&cache.incomplete_of(&file.etag))?;
            freed += remove(&cache.blob_of(&file.etag))?;
        }
        cache.remove_note();
        prune(cache.folder());
        Ok(freed)
    }
}

/// Removes a file or a link, and says how long the file was. One that is not there is no fault.
fn remove(path: &Path) -> Result<u64> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(0) };
    fs::remove_file(path).map_err(|error| {
        UserError::failed(format!("Could not remove what was downloaded: {error}"))
            .hint("check that you may write to that folder")
            .path(path)
    })?;
    Ok(if metadata.is_symlink() { 0 } else { metadata.len() })
}

/// Removes a folder if there is no file in it at any depth.
fn prune(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            prune(&entry.path());
        }
    }
    // Fails while something is in it, and that is what is wanted.
    let _ = fs::remove_dir(folder);
}
