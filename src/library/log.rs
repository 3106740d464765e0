//! The log: what the program writes down about itself, in a few files of bounded size, the oldest of which goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::paths::ensure_dir;
use crate::domain::{Result, UserError};

/// A file that has grown to this size is put aside, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// How many files there are at most, the one in use among them.
const MAX_FILES: usize = 5;

/// The name of the file in use; those put aside are `atelier.1.log` (the newest) and so on.
pub const FILE_NAME: &str = "atelier.log";

/// A log on the disk. Clones write to the same one; what cannot be written is dropped, because the log must not be what
/// stops the program.
#[derive(Clone, Debug)]
pub struct Log(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    file: Option<File>,
    bytes: u64,
    max_bytes: u64,
}

impl Log {
    /// Opens the log of a folder, which is made if need be. What was written before stays.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::with_max_bytes(dir, MAX_BYTES)
    }

    fn with_max_bytes(dir: &Path, max_bytes: u64) -> Result<Self> {
        ensure_dir(dir)?;
        let path = dir.join(FILE_NAME);
        let file = append(&path).map_err(|error| {
            UserError::failed(format!("The log cannot be written: {error}"))
                .hint("the program works without it")
                .path(&path)
        })?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        Ok(Self(Arc::new(Mutex::new(Inner { dir: dir.to_path_buf(), file: Some(file), bytes, max_bytes }))))
    }

    /// Lets every panic leave its place, its thread and the way to it in the log, before what was done about it so far.
    pub fn catch_panics(&self) {
        let log = self.clone();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            log.write_panic(panic);
            before(panic);
        }));
    }

    fn write_panic(&self, panic: &PanicHookInfo<'_>) {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let trace = std::backtrace::Backtrace::force_capture();
        let time = chrono::Local::now().format("%Y-%m-%dT%H:%M:%S%.3f%:z");
        let thread = thread.name().unwrap_or("unnamed");
        let text = format!("{time} PANIC in thread {thread} at {place}: {message}\n{trace}\n");
        // A panic in the midst of a write has the lock on this very thread: then the log goes without.
        if let Ok(mut inner) = self.0.try_lock() {
            inner.write(text.as_bytes());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A file and a number: whole at any moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Inner {
    fn write(&mut self, bytes: &[u8]) {
        if self.bytes >= self.max_bytes {
            self.put_aside();
        }
        let Some(file) = &mut self.file else { return };
        if file.write_all(bytes).is_ok() {
            self.bytes += bytes.len() as u64;
        }
    }

    /// Renames every file to the next number and begins a new one. Where that fails, the log grows on in the old file.
    fn put_aside(&mut self) {
        // Counted from the last try, so that a folder that may not be written to is not tried at every line.
        self.bytes = 0;
        self.file = None;
        for number in (0..MAX_FILES - 1).rev() {
            let _ = fs::rename(self.path(number), self.path(number + 1));
        }
        self.file = append(&self.path(0)).ok();
    }

    fn path(&self, number: usize) -> PathBuf {
        match number {
            0 => self.dir.join(FILE_NAME),
            _ => self.dir.join(format!("atelier.{number}.log")),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_file_goes_and_no_line_is_cut() {
        let home = tempfile::tempdir().unwrap();
        let mut log = Log::with_max_bytes(home.path(), 100).unwrap();
        for number in 0..100 {
            log.write_all(format!("line {number:04} of the log\n").as_bytes()).unwrap();
        }
        let mut names: Vec<String> = fs::read_dir(home.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["atelier.1.log", "atelier.2.log", "atelier.3.log", "atelier.4.log", "atelier.log"]);
        // Oldest first they are the end of what was written, whole and in order.
        let text: String = ["atelier.4.log", "atelier.3.log", "atelier.2.log", "atelier.1.log", "atelier.log"]
            .iter()
            .map(|name| fs::read_to_string(home.path().join(name)).unwrap())
            .collect();
        let lines: Vec<&str> = text.lines().collect();
        let first = 100 - lines.len();
        for (i, line) in lines.iter().enumerate() {
            assert_eq!(*line, format!("line {:04} of the log", first + i));
        }
        for name in &names {
            // A line of 21 bytes may begin at 99.
            assert!(fs::metadata(home.path().join(name)).unwrap().len() < 100 + 22, "{name}");
        }
    }

    #[test]
    fn what_was_written_before_stays() {
        let home = tempfile::tempdir().unwrap();
        Log::open(home.path()).unwrap().write_all(b"one\n").unwrap();
        Log::open(home.path()).unwrap().write_all(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(home.path().join(FILE_NAME)).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_with_its_path() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("logs");
        fs::write(&file, b"in the way").unwrap();
        let error = Log::open(&file).unwrap_err();
        assert_eq!(error.path.as_deref(), Some(file.as_path()));
    }

    #[test]
    fn a_panic_leaves_its_place_in_the_log() {
        let home = tempfile::tempdir().unwrap();
        let log = Log::open(home.path()).unwrap();
        // The hook is the whole process's: it is put back, and other tests that panic meanwhile do no harm.
        let before = std::panic::take_hook();
        log.catch_panics();
        let thread = std::thread::Builder::new().name("brush".to_owned());
        let _ = thread.spawn(|| panic!("out of paint")).unwrap().join();
        std::panic::set_hook(before);
        let text = fs::read_to_string(home.path().join(FILE_NAME)).unwrap();
        assert!(text.contains("PANIC in thread brush at "), "{text}");
        assert!(text.contains("out of paint") && text.contains(file!()), "{text}");
    }
}
