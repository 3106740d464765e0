//! Moving pictures to the system's trash, and back.

use std::path::{Path, PathBuf};

use super::paths::{ensure_dir, file_name};
use crate::domain::{Result, UserError};

/// Moves a picture to the system's trash. One that is gone already is no error.
///
/// # Errors
/// Where the system has no trash, or refuses; the picture stays where it is then. It is never deleted for good.
pub fn move_to_trash(path: &Path) -> Result<()> {
    if matches!(path.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(());
    }
    ::trash::delete(path).map_err(|error| {
        UserError::failed(format!("Could not move {} to the trash: {}", file_name(path), reason(&error)))
            .hint("the picture is still there; delete it with your file manager if this system has no trash")
            .path(path)
    })
}

/// Takes pictures back out of the system's trash, each to where it was: of several that were there, the last thrown away.
/// Gives for each whether it is back.
///
/// A picture that is in its place already is back.
#[must_use]
pub fn restore(paths: &[PathBuf]) -> Vec<Result<()>> {
    let mut items = match system::items() {
        Ok(items) => items,
        Err(reason) => return paths.iter().map(|path| Err(not_restored(path, &reason))).collect(),
    };
    let restore = |path: &PathBuf| {
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        let item = items.remove(path).ok_or_else(|| not_restored(path, "it is not in the trash any more"))?;
        if let Some(folder) = path.parent() {
            ensure_dir(folder)?;
        }
        system::restore(item).map_err(|reason| not_restored(path, &reason))
    };
    paths.iter().map(restore).collect()
}

fn not_restored(path: &Path, reason: &str) -> UserError {
    UserError::failed(format!("Could not take {} back out of the trash: {reason}", file_name(path)))
        .hint("look for it in the trash with your file manager")
        .path(path)
}

/// Where the system lets programs look into the trash.
#[cfg(any(target_os = "windows", all(unix, not(target_os = "macos"))))]
mod system {
    use std::collections::HashMap;
    use std::path::PathBuf;

    use ::trash::{TrashItem, os_limited};

    /// What is in the trash, by where it was; of several the last.
    pub(super) fn items() -> Result<HashMap<PathBuf, TrashItem>, String> {
        let mut items = os_limited::list().map_err(|error| super::reason(&error))?;
        items.sort_by_key(|item| item.time_deleted);
        Ok(items.into_iter().map(|item| (item.original_path(), item)).collect())
    }

    pub(super) fn restore(item: TrashItem) -> Result<(), String> {
        os_limited::restore_all([item]).map_err(|error| super::reason(&error))
    }
}

/// On macOS only the Finder can put things back.
#[cfg(target_os = "macos")]
mod system {
    use std::collections::HashMap;
    use std::path::PathBuf;

    pub(super) fn items() -> Result<HashMap<PathBuf, ()>, String> {
        Err("on this system only the Finder can".to_owned())
    }

    pub(super) fn restore((): ()) -> Result<(), String> {
        Ok(())
    }
}

fn reason(error: &::trash::Error) -> String {
    match error {
        ::trash::Error::Unknown { description } | ::trash::Error::Os { description, .. } => description.clone(),
        ::trash::Error::CouldNotAccess { .. } => "it may not be touched".to_owned(),
        other => other.to_string(),
    }
}

// The trash lies where environment variables say, which a test may only set for a process of its own.
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    const TARGET: &str = "ATELIER_TEST_TRASH_TARGET";

    /// Runs the child below with a data folder (which holds the trash) and gives what it said.
    fn trash_in_child(path: &Path, data_home: &Path) -> String {
        in_child("child_moves_to_trash", path, data_home)
    }

    fn in_child(test: &str, path: &Path, data_home: &Path) -> String {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("library::trash::tests::{test}"), "--ignored", "--nocapture"])
            .env("XDG_DATA_HOME", data_home)
            .env(TARGET, path)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn a_picture_goes_to_the_trash_and_can_be_found_there() {
        let home = tempfile::tempdir().unwrap();
        let picture = home.path().join("a.png");
        fs::write(&picture, b"picture").unwrap();
        let told = trash_in_child(&picture, &home.path().join("data"));
        assert!(told.contains("moved"), "{told}");
        assert!(!picture.exists());
        assert_eq!(fs::read(home.path().join("data/Trash/files/a.png")).unwrap(), b"picture");
        assert!(trash_in_child(&picture, &home.path().join("data")).contains("moved"), "gone already is no error");
        // Another of the same name goes the same way; the last one comes back.
        fs::write(&picture, b"another").unwrap();
        trash_in_child(&picture, &home.path().join("data"));
        let told = in_child("child_restores", &picture, &home.path().join("data"));
        assert!(told.contains("restored"), "{told}");
        assert!(fs::read(&picture).is_ok_and(|bytes| bytes == b"another" || bytes == b"picture"));
        let told = in_child("child_restores", &home.path().join("never there.png"), &home.path().join("data"));
        assert!(told.contains("not in the trash any more"), "{told}");
    }

    #[test]
    fn where_there_is_no_trash_the_picture_stays() {
        let home = tempfile::tempdir().unwrap();
        let picture = home.path().join("a.png");
        fs::write(&picture, b"picture").unwrap();
        let no_folder = home.path().join("a file");
        fs::write(&no_folder, b"").unwrap();
        let told = trash_in_child(&picture, &no_folder);
        assert!(told.contains("Could not move a.png to the trash"), "{told}");
        assert!(told.contains("hint: the picture is still there"), "{told}");
        assert_eq!(fs::read(&picture).unwrap(), b"picture");
    }

    #[test]
    #[ignore = "run in a child process by the tests above"]
    fn child_moves_to_trash() {
        let Some(target) = std::env::var_os(TARGET).map(PathBuf::from) else { return };
        match move_to_trash(&target) {
            Ok(()) => println!("moved"),
            Err(error) => println!("{error}"),
        }
    }

    #[test]
    #[ignore = "run in a child process by a test above"]
    fn child_restores() {
        let Some(target) = std::env::var_os(TARGET).map(PathBuf::from) else { return };
        match restore(&[target]).remove(0) {
            Ok(()) => println!("restored"),
            Err(error) => println!("{error}"),
        }
    }
}
