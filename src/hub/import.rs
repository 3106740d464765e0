//! [`import_file`]: brings a file of this computer into a folder, whole or not at all, with its sha256.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::messages;
use super::names::is_safe_file;
use super::progress::{Meter, Progress, Stage};
use super::retry::check;
use crate::domain::{Cancel, Result, UserError, hex};

/// Bytes of one piece of the copy.
const CHUNK: usize = 1 << 20;
/// How the name of an unfinished copy begins; names that begin with a point are not listed.
const PREFIX: &str = ".atelier-import-";
/// Bytes that stay free on the disk.
const SPARE_BYTES: u64 = 64 << 20;

/// A file that is in the folder now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Its place.
    pub path: PathBuf,
    /// Its sha256, in lower-case hexadecimal.
    pub sha256: String,
    /// Its length.
    pub size_bytes: u64,
    /// Whether the very same file was there before; nothing was copied then.
    pub was_here: bool,
}

/// Copies a file into a folder under its own name, or one beside it where that is taken by another file. `check` looks at
/// the copy before it gets its name; where it complains, nothing stays. `progress` is told of the copying.
///
/// # Errors
/// When it is no file, the disk has no room, the copy fails, or `check` complains; the cancellation.
pub fn import_file(
    from: &Path,
    folder: &Path,
    cancel: &Cancel,
    check_copy: &mut dyn FnMut(&Path) -> Result<()>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Imported> {
    let unreadable = |error: std::io::Error| {
        UserError::input(format!("Could not read the file: {error}")).path(from).hint("check that you may read it")
    };
    let metadata = fs::metadata(from).map_err(unreadable)?;
    if !metadata.is_file() {
        let error = UserError::input("Only single files are imported");
        return Err(error.path(from).hint("add the folder it lies in instead: its models are used where they are"));
    }
    let name = from.file_name().and_then(|name| name.to_str()).filter(|name| is_safe_file(name)).ok_or_else(|| {
        UserError::input("The name of the file cannot be used on every system").path(from).hint("rename it first")
    })?;
    let size = metadata.len();
    fs::create_dir_all(folder).map_err(|error| messages::disk(&error, &folder.join(name), size))?;
    check_room(folder, size)?;

    let mut source = File::open(from).map_err(unreadable)?;
    let mut temp = temporary(folder, name).map_err(|error| messages::disk(&error, &folder.join(name), size))?;
    let mut meter = Meter::new(1, size, progress);
    meter.begin(name);
    let (mut hash, mut buffer, mut copied) = (Sha256::new(), vec![0; CHUNK], 0);
    loop {
        check(cancel)?;
        let length = source.read(&mut buffer).map_err(unreadable)?;
        if length == 0 {
            break;
        }
        let left = size.saturating_sub(copied);
        temp.write_all(&buffer[..length]).map_err(|error| messages::disk(&error, &folder.join(name), left))?;
        hash.update(&buffer[..length]);
        copied += length as u64;
        meter.arrive(length as u64, copied);
    }
    temp.as_file().sync_all().map_err(|error| messages::disk(&error, &folder.join(name), 0))?;
    let sha256 = hex(&hash.finalize());
    meter.stand(Stage::Checking, copied);
    check_copy(temp.path())?;
    check(cancel)?;
    meter.end(copied);
    settle(temp, folder, name, copied, sha256)
}

/// Gives the copy its name.
fn settle(mut temp: NamedTempFile, folder: &Path, name: &str, size_bytes: u64, sha256: String) -> Result<Imported> {
    for number in 1..1000 {
        let path = folder.join(numbered(name, number));
        if fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size_bytes)
            && sha256_of(&path).is_ok_and(|there| there == sha256)
        {
            return Ok(Imported { path, sha256, size_bytes, was_here: true });
        }
        if path.symlink_metadata().is_ok() {
            continue;
        }
        // Where the name was taken in this moment the next one is tried.
        match temp.persist_noclobber(&path) {
            Ok(_) => return Ok(Imported { path, sha256, size_bytes, was_here: false }),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => temp = error.file,
            // A file system without hard links knows no exclusive renaming.
            Err(error) => {
                error.file.persist(&path).map_err(|error| messages::disk(&error.error, &path, 0))?;
                return Ok(Imported { path, sha256, size_bytes, was_here: false });
            }
        }
    }
    Err(UserError::input(format!("There are too many files named {name}")).path(folder).hint("rename the file first"))
}

/// The sha256 of a file.
fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

/// A file that vanishes unless it gets its name.
fn temporary(folder: &Path, name: &str) -> std::io::Result<NamedTempFile> {
    let end = Path::new(name).extension().map(|end| format!(".{}", end.to_string_lossy())).unwrap_or_default();
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(&end);
    #[cfg(unix)]
    {
        // tempfile's own 0600 is for secrets.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

fn check_room(folder: &Path, size: u64) -> Result<()> {
    match fs4::available_space(folder) {
        Ok(free) if free < size.saturating_add(SPARE_BYTES) => Err(messages::no_room(size, Some(free), folder)),
        // A file system that does not say is written to until it refuses.
        _ => Ok(()),
    }
}

/// `name-2.end` for the second.
fn numbered(name: &str, number: u32) -> String {
    match (number, name.rsplit_once('.')) {
        (1, _) => name.to_owned(),
        (_, Some((stem, end))) => format!("{stem}-{number}.{end}"),
        (_, None) => format!("{name}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(from: &Path, folder: &Path) -> Result<Imported> {
        import_file(from, folder, &Cancel::default(), &mut |_| Ok(()), &mut |_| ())
    }

    #[test]
    fn a_file_is_copied_once_and_never_over_another() {
        let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let from = home.path().join("a.safetensors");
        fs::write(&from, b"abc").unwrap();
        let first = import(&from, folder.path()).unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(first.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((first.path, first.was_here), (folder.path().join("a.safetensors"), false));
        assert!(import(&from, folder.path()).unwrap().was_here);
        fs::write(&from, b"abd").unwrap();
        assert_eq!(import(&from, folder.path()).unwrap().path, folder.path().join("a-2.safetensors"));
        assert_eq!(fs::read(folder.path().join("a.safetensors")).unwrap(), b"abc");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn nothing_stays_of_a_copy_that_is_refused_or_cancelled() {
        let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let from = home.path().join("a.ckpt");
        fs::write(&from, vec![7; 3 << 20]).unwrap();
        let mut refuse = |copy: &Path| {
            assert_eq!(fs::metadata(copy).unwrap().len(), 3 << 20);
            assert!(copy.extension().is_some_and(|end| end == "ckpt"));
            Err(UserError::input("no"))
        };
        let result = import_file(&from, folder.path(), &Cancel::default(), &mut refuse, &mut |_| ());
        assert_eq!(result.unwrap_err().sentence, "no");
        let cancel = Cancel::default();
        let mut reports = 0;
        let mut stop = |_: &Progress| {
            reports += 1;
            cancel.cancel();
        };
        let result = import_file(&from, folder.path(), &cancel, &mut |_| Ok(()), &mut stop);
        assert!(result.unwrap_err().is_cancelled());
        assert!(reports > 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(import(home.path(), folder.path()).unwrap_err().sentence.contains("single files"));
        assert!(import(&home.path().join("nothing"), folder.path()).is_err());
    }
}
