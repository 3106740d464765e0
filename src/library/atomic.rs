//! Writing a file so that a crash, a power cut or a full disk leaves the old one or the new one, never half of one.
//!
//! A temporary file in the same folder is written and fsynced, renamed over the target, and the folder is fsynced.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use super::crash::crash_point;
use super::paths::{ensure_dir, file_name};
use crate::domain::{Result, UserError};

/// How the name of a temporary file begins. Rescans pass over names that begin with a point.
const TEMP_PREFIX: &str = ".atelier-";
const TEMP_SUFFIX: &str = ".tmp";
/// A temporary file older than this was left by a crash: no write takes so long.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);

/// The mode of a picture: what the user's umask leaves, like any other file.
const ANYONES: u32 = 0o666;
/// The mode of a secret.
const OWN: u32 = 0o600;

/// Writes a file, replacing the one that is there. The folder is made if need be.
///
/// # Errors
/// When anything fails, with the bytes needed and the folder; the old file is then as it was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let temp = fill(path, bytes, true, ANYONES)?;
    crash_point("write.synced");
    temp.persist(path).map_err(|error| explain(&error.error, path, bytes.len()))?;
    sync_folder(path, bytes.len())
}

/// As [`write()`], but on Unix only this user may read the file: it may hold a secret.
///
/// # Errors
/// As [`write()`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let temp = fill(path, bytes, true, OWN)?;
    crash_point("write.synced");
    temp.persist(path).map_err(|error| explain(&error.error, path, bytes.len()))?;
    sync_folder(path, bytes.len())
}

/// Writes a file that must not be there yet. `Ok(false)` when it is: nothing was written then.
///
/// # Errors
/// As [`write()`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    let temp = fill(path, bytes, true, ANYONES)?;
    crash_point("write.synced");
    match temp.persist_noclobber(path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        Err(error) if no_exclusive_rename(&error.error) => {
            // A file system without hard links, such as exFAT: an empty file takes the name, then the whole one
            // replaces it. A crash between the two leaves an empty file, which a rescan reports.
            match File::create_new(path) {
                Ok(_) => {}
                Err(taken) if taken.kind() == ErrorKind::AlreadyExists => return Ok(false),
                Err(other) => return Err(explain(&other, path, bytes.len())),
            }
            error.file.persist(path).map_err(|error| explain(&error.error, path, bytes.len()))?;
        }
        Err(error) => return Err(explain(&error.error, path, bytes.len())),
    }
    sync_folder(path, bytes.len())?;
    Ok(true)
}

/// A file that is written piece by piece and takes its name when it is whole. Dropped before that, it leaves nothing.
pub struct NewFile {
    temp: NamedTempFile,
    path: PathBuf,
    bytes: usize,
}

impl NewFile {
    /// Begins a file, beside its target.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub fn begin(path: &Path) -> Result<Self> {
        Ok(Self { temp: fill(path, &[], false, ANYONES)?, path: path.to_path_buf(), bytes: 0 })
    }

    /// Gives the file its name, replacing the one that is there.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn finish(self) -> Result<()> {
        let Self { temp, path, bytes } = self;
        temp.as_file().sync_all().map_err(|error| explain(&error, &path, bytes))?;
        temp.persist(&path).map_err(|error| explain(&error.error, &path, bytes))?;
        sync_folder(&path, bytes)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.temp.write(bytes)?;
        self.bytes += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.flush()
    }
}

impl Seek for NewFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.temp.seek(to)
    }
}

/// Writes a file of a cache: never half of one while the system runs, but not fsynced, because it can be made again.
///
/// # Errors
/// As [`write()`].
pub fn write_cache(path: &Path, bytes: &[u8]) -> Result<()> {
    let temp = fill(path, bytes, false, ANYONES)?;
    crash_point("cache.written");
    temp.persist(path).map_err(|error| explain(&error.error, path, bytes.len()))?;
    crash_point("cache.renamed");
    Ok(())
}

/// Removes the temporary files that a crash left in a folder, as far as that can be done.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = name.starts_with(TEMP_PREFIX) && name.ends_with(TEMP_SUFFIX);
        let age = || SystemTime::now().duration_since(entry.metadata().ok()?.modified().ok()?).ok();
        if is_ours && age().is_some_and(|age| age > ABANDONED_AFTER) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A temporary file beside the target, with the bytes in it.
fn fill(path: &Path, bytes: &[u8], durable: bool, mode: u32) -> Result<NamedTempFile> {
    let folder = folder_of(path);
    ensure_dir(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMP_PREFIX).suffix(TEMP_SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    let filled = builder.tempfile_in(folder).and_then(|mut temp| {
        let (begun, rest) = bytes.split_at(bytes.len() / 2);
        temp.write_all(begun)?;
        crash_point(if durable { "write.begun" } else { "cache.begun" });
        temp.write_all(rest)?;
        if durable {
            temp.as_file().sync_all()?;
        }
        Ok(temp)
    });
    filled.map_err(|error| explain(&error, path, bytes.len()))
}

/// Makes the rename itself last. Only Unix lets a folder be fsynced; NTFS journals renames.
fn sync_folder(path: &Path, bytes: usize) -> Result<()> {
    crash_point("write.renamed");
    if cfg!(unix) {
        let synced = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
        match synced {
            // Some network file systems cannot fsync a folder; the file itself is in place.
            Err(error) if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
                return Err(explain(&error, path, bytes));
            }
            _ => {}
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn no_exclusive_rename(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput | ErrorKind::PermissionDenied)
}

/// What the system said, as a sentence with the bytes needed, the folder and what to do.
fn explain(error: &io::Error, path: &Path, bytes: usize) -> UserError {
    let name = file_name(path);
    let (sentence, hint) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => (
            format!("Could not write {name}: there is no room for its {bytes} bytes"),
            "free some space on that disk, or choose another folder, and try again",
        ),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => (
            format!("Could not write {name} ({bytes} bytes): the folder may not be written to"),
            "choose another folder, or allow writing to this one, and try again",
        ),
        _ => (
            format!("Could not write {name} ({bytes} bytes): {error}"),
            "check that the folder is there and that you may write to it",
        ),
    };
    UserError::failed(sentence).hint(hint).path(folder_of(path))
}

#[cfg(test)]
#[path = "atomic_tests.rs"]
mod tests;
