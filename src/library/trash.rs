//! Moving a picture to the system's trash.

use std::path::Path;

use super::paths::file_name;
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
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    const TARGET: &str = "ATELIER_TEST_TRASH_TARGET";

    /// Runs the child below with a data folder (which holds the trash) and gives what it said.
    fn trash_in_child(path: &Path, data_home: &Path) -> String {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "library::trash::tests::child_moves_to_trash", "--ignored", "--nocapture"])
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
}
