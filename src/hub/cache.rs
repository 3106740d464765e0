//! The cache's layout: where a file lies, how it comes there whole, and who may write it now.
//!
//! The layout is that of Python's `huggingface_hub` (docs/hub/local-cache.md of its documentation), so that both find the
//! same files: `models--org--name/blobs/<etag>`, `snapshots/<commit>/<file>` as links to them, `refs/<revision>`, and locks
//! in `.locks`. An unfinished file is `blobs/<etag>.incomplete`.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use hf_hub::{Cache, CacheRepo, Repo};

use super::messages;
use super::names::RepoId;
use super::pick::{Plan, PlannedFile};
use super::retry::{GLANCE, sleep};
use crate::domain::{Cancel, Result};

/// The end of the name of an unfinished file.
pub(super) const INCOMPLETE: &str = ".incomplete";

/// One repository's place in the cache.
pub(super) struct RepoCache {
    layout: CacheRepo,
    folder: PathBuf,
    locks: PathBuf,
}

/// A lock on one file of the cache; it ends with its owner, also when that is killed.
pub(super) struct Lock {
    _file: File,
}

impl RepoCache {
    pub(super) fn new(cache_dir: &Path, repo: &RepoId) -> Self {
        let named = Repo::model(repo.as_str().to_owned());
        let folder_name = named.folder_name();
        Self {
            layout: Cache::new(cache_dir.to_path_buf()).repo(named),
            folder: cache_dir.join(&folder_name),
            locks: cache_dir.join(".locks").join(folder_name),
        }
    }

    /// `models--org--name`.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of its locks.
    pub(super) fn locks(&self) -> &Path {
        &self.locks
    }

    /// The folder of one commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.layout.pointer_path(commit)
    }

    /// The content of a file.
    pub(super) fn blob(&self, file: &PlannedFile) -> PathBuf {
        self.blob_of(&file.etag)
    }

    /// The content of this name.
    pub(super) fn blob_of(&self, etag: &str) -> PathBuf {
        self.layout.blob_path(etag)
    }

    /// The content of a file while it comes.
    pub(super) fn incomplete(&self, file: &PlannedFile) -> PathBuf {
        self.incomplete_of(&file.etag)
    }

    /// The same of this name.
    pub(super) fn incomplete_of(&self, etag: &str) -> PathBuf {
        self.layout.blob_path(&format!("{etag}{INCOMPLETE}"))
    }

    /// Whether a commit's folder has a file, as long as it must be.
    pub(super) fn has(&self, commit: &str, file: &PlannedFile) -> bool {
        is_whole(&self.snapshot(commit).join(&file.name), file)
    }

    /// Whether a file's content is there, as long as it must be.
    pub(super) fn has_blob(&self, file: &PlannedFile) -> bool {
        is_whole(&self.blob(file), file)
    }

    /// The bytes that a download of this plan still has to write.
    pub(super) fn missing_bytes(&self, plan: &Plan) -> u64 {
        let missing = |file: &PlannedFile| {
            if self.has(&plan.commit, file) || self.has_blob(file) {
                return 0;
            }
            let begun = fs::metadata(self.incomplete(file)).map_or(0, |metadata| metadata.len());
            file.size_bytes.saturating_sub(begun)
        };
        plan.files.iter().fold(0, |sum, file| sum.saturating_add(missing(file)))
    }

    /// Waits until nobody else writes this file. `None` where the file system knows no locks: two downloads of one file
    /// would then disturb each other, and the sha256 at the end would tell.
    ///
    /// # Errors
    /// When the lock's file cannot be made; the cancellation.
    pub(super) fn lock(&self, file: &PlannedFile, cancel: &Cancel, waiting: &mut dyn FnMut()) -> Result<Option<Lock>> {
        let path = self.locks.join(format!("{}.lock", file.etag));
        make_parent(&path)?;
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = opened.map_err(|error| messages::disk(&error, &path, 0))?;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Some(Lock { _file: lock })),
                Err(TryLockError::WouldBlock) => {
                    waiting();
                    sleep(GLANCE, cancel)?;
                }
                Err(TryLockError::Error(error)) => {
                    tracing::warn!("{} cannot be locked: {error}", path.display());
                    return Ok(None);
                }
            }
        }
    }

    /// Gives a finished file its name.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn publish(&self, file: &PlannedFile) -> Result<()> {
        let (from, to) = (self.incomplete(file), self.blob(file));
        fs::rename(&from, &to).and_then(|()| sync_folder(&to)).map_err(|error| messages::disk(&error, &to, 0))
    }

    /// Makes a commit's folder show a file.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn link(&self, commit: &str, file: &PlannedFile) -> Result<()> {
        let pointer = self.snapshot(commit).join(&file.name);
        make_parent(&pointer)?;
        let up = "../".repeat(2 + file.name.matches('/').count());
        let target = PathBuf::from(format!("{up}blobs/{}", file.etag));
        // Made beside the place and renamed over it, so that a broken link is replaced and no reader meets a gap.
        let temp = temp_beside(&pointer);
        let made = symlink(&target, &temp)
            // Windows lets only some users make links; a second name for the same content does as well.
            .or_else(|_| fs::hard_link(self.blob(file), &temp))
            .or_else(|_| fs::copy(self.blob(file), &temp).map(drop))
            .and_then(|()| fs::rename(&temp, &pointer));
        made.map_err(|error| {
            let _ = fs::remove_file(&temp);
            messages::disk(&error, &pointer, file.size_bytes)
        })
    }

    /// Notes which commit a branch or a tag is.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn write_ref(&self, revision: &str, commit: &str) -> Result<()> {
        if revision == commit {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        make_parent(&path)?;
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            // tempfile's own 0600 would hide the model from other users of a shared cache.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let written = builder.tempfile_in(path.parent().unwrap_or(&path)).and_then(|mut temp| {
            temp.write_all(commit.as_bytes())?;
            temp.as_file().sync_all()?;
            temp.persist(&path).map_err(|error| error.error)?;
            sync_folder(&path)
        });
        written.map_err(|error| messages::disk(&error, &path, 0))
    }
}

fn is_whole(path: &Path, file: &PlannedFile) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == file.size_bytes)
}

/// Makes the folder that a file lies in.
///
/// # Errors
/// When that fails.
pub(super) fn make_parent(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| messages::disk(&error, path, 0))
}

/// A name beside a path that no other process and no other thread takes.
fn temp_beside(path: &Path) -> PathBuf {
    let thread = format!("{:?}", std::thread::current().id());
    let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
    path.with_file_name(format!(".atelier-{}-{thread}.tmp", std::process::id()))
}

/// Makes a rename last. Only Unix lets a folder be fsynced; NTFS journals renames.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path.parent().unwrap_or(path)).and_then(|folder| folder.sync_all()) {
        // Some network file systems cannot fsync a folder; the file itself is in place.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    // Left by a process of the same number that was killed just here.
    let _ = fs::remove_file(link);
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    let _ = fs::remove_file(link);
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, link: &Path) -> io::Result<()> {
    let _ = fs::remove_file(link);
    Err(ErrorKind::Unsupported.into())
}
