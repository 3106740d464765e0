//! Writing files whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::domain::{Result, UserError};

/// How the name of a file that is being written begins: readers pass over names with a point.
pub const TEMP_PREFIX: &str = ".atelier-";
const TEMP_SUFFIX: &str = ".tmp";

/// What becomes of a file when the power fails just after it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It may be lost: it can be made again.
    Maybe,
    /// It is on the disk.
    Surely,
}

/// Writes a file in place of the one that is there, so that the old one or the new one is there at any moment.
///
/// # Errors
/// When anything fails, with the bytes needed; the old file is then as it was.
pub fn write(path: &Path, bytes: &[u8], keep: Keep) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temp = path.with_file_name(format!("{TEMP_PREFIX}{name}{TEMP_SUFFIX}"));
    let written = (|| {
        let mut file = File::create(&temp)?;
        file.write_all(bytes)?;
        if keep == Keep::Surely {
            file.sync_all()?;
        }
        drop(file);
        fs::rename(&temp, path)?;
        if keep == Keep::Surely && cfg!(unix) {
            sync_folder(path)?;
        }
        Ok(())
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&temp);
        explain(&error, path, bytes.len())
    })
}

/// Makes the rename itself last. Some network file systems cannot: the file is in place all the same.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// Removes what a run that was killed left half written in a folder.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(TEMP_PREFIX) && name.ends_with(TEMP_SUFFIX) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What the system said, as a sentence with the bytes needed and what to do.
pub fn explain(error: &io::Error, path: &Path, bytes: usize) -> UserError {
    use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (sentence, hint) = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => (
            format!("Could not write {name}: there is no room for its {bytes} bytes"),
            "free some space on that disk and give the command again: what is finished is not made again",
        ),
        ReadOnlyFilesystem | PermissionDenied => (
            format!("Could not write {name} ({bytes} bytes): the folder may not be written to"),
            "choose another folder, or allow writing to this one",
        ),
        _ => (
            format!("Could not write {name} ({bytes} bytes): {error}"),
            "check that the folder is there and that you may write to it",
        ),
    };
    UserError::failed(sentence).hint(hint).path(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        for (text, keep) in [("one", Keep::Maybe), ("two", Keep::Surely)] {
            write(&path, text.as_bytes(), keep).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // A folder stands where the file should be: nothing is changed, and it is said.
        let blocked = folder.path().join("blocked");
        fs::create_dir(&blocked).unwrap();
        fs::write(blocked.join("x"), "x").unwrap();
        assert_eq!(write(&blocked, b"x", Keep::Maybe).unwrap_err().exit_code(), 1);
        fs::write(folder.path().join(".atelier-half.jpg.tmp"), "x").unwrap();
        sweep(folder.path());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
