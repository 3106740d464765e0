//! Tests of atomic writes: full disks, obstacles and kill -9, each in a way that also works for root.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

/// Names the file that a test running in a child process writes to.
const TARGET: &str = "ATELIER_TEST_ATOMIC_TARGET";

#[test]
fn a_file_is_replaced_whole_and_nothing_else_is_left() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("new").join("file");
    write(&path, b"one").unwrap();
    write(&path, b"two").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert!(!write_new(&path, b"three").unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert!(write_new(&path.with_extension("b"), b"three").unwrap());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
}

#[test]
fn a_folder_in_the_targets_place_and_a_file_in_the_folders_place_are_errors_with_a_path() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("target");
    fs::create_dir_all(target.join("kept")).unwrap();
    let error = write(&target, b"x").unwrap_err();
    assert_eq!(error.path.as_deref(), Some(home.path()));
    assert!(target.join("kept").is_dir());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "the temporary file is gone");

    let file = home.path().join("file");
    fs::write(&file, b"old").unwrap();
    let error = write(&file.join("below"), b"x").unwrap_err();
    assert_eq!(error.path.as_deref(), Some(file.as_path()));
    assert_eq!(fs::read(&file).unwrap(), b"old");
}

#[test]
fn the_kinds_of_failure_are_told_apart() {
    let path = Path::new("/pictures/a.png");
    let full = explain(&io::Error::from(ErrorKind::StorageFull), path, 1234);
    assert!(full.sentence.contains("no room for its 1234 bytes"), "{full}");
    let read_only = explain(&io::Error::from(ErrorKind::ReadOnlyFilesystem), path, 1234);
    assert!(read_only.sentence.contains("may not be written to"), "{read_only}");
    for error in [full, read_only] {
        assert_eq!(error.path.as_deref(), Some(Path::new("/pictures")));
        assert!(error.hint.is_some());
        assert_eq!(error.exit_code(), 1);
    }
}

#[test]
fn only_old_temporary_files_of_ours_are_swept() {
    let home = tempfile::tempdir().unwrap();
    for name in [".atelier-old.tmp", ".atelier-new.tmp", "other.tmp"] {
        let file = File::create(home.path().join(name)).unwrap();
        if name != ".atelier-new.tmp" {
            file.set_modified(SystemTime::now() - 2 * ABANDONED_AFTER).unwrap();
        }
    }
    sweep(home.path());
    let mut left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".atelier-new.tmp", "other.tmp"]);
}

/// A limit on the size of files stands for a full disk: `write` fails midway, for root too.
#[cfg(unix)]
#[test]
fn no_room_keeps_the_old_file_and_names_the_bytes_and_the_folder() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    fs::write(&path, b"old").unwrap();
    // Where SIGXFSZ is ignored, a write past the limit fails with EFBIG instead.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "library::atomic::tests::child_writes_one_mebibyte", "--ignored", "--nocapture"])
        .env(TARGET, &path)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("Could not write file: there is no room for its 1048576 bytes"), "{told}");
    assert!(told.contains(&format!("path: {}", home.path().display())), "{told}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "the temporary file is gone");
}

#[test]
#[ignore = "run in a child process by the test above"]
fn child_writes_one_mebibyte() {
    let Some(target) = std::env::var_os(TARGET) else { return };
    println!("{}", write(Path::new(&target), &vec![b'x'; 1 << 20]).unwrap_err());
}

#[test]
fn kill_at_any_moment_leaves_the_old_file_or_the_new_one() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    for round in 0..12 {
        fs::remove_file(&path).ok();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "library::atomic::tests::child_writes_until_killed", "--ignored"])
            .env(TARGET, &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !path.exists() {
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() == 200_000 && bytes.iter().all(|byte| *byte == bytes[0]), "{} bytes", bytes.len());
    }
}

#[test]
#[ignore = "run in a child process, and killed, by the test above"]
fn child_writes_until_killed() {
    let Some(target) = std::env::var_os(TARGET) else { return };
    for letter in (b'a'..=b'z').cycle() {
        write(Path::new(&target), &vec![letter; 200_000]).unwrap();
    }
}
