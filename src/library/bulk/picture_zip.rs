//! A zip file of pictures, which are compressed already: every entry is stored as it is.

use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use chrono::{DateTime, Local, TimeZone};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::domain::Result;
use crate::library::atomic::NewFile;

/// A regular file that everybody may read.
const MODE: u32 = 0o644;

/// A zip file that is being written, and takes its name when it is whole.
pub struct PictureZip(Box<ZipWriter<BufWriter<NewFile>>>);

impl PictureZip {
    /// Begins a file.
    ///
    /// # Errors
    /// When its folder cannot be made or written to.
    pub fn begin(path: &Path) -> Result<Self> {
        Ok(Self(Box::new(ZipWriter::new(BufWriter::new(NewFile::begin(path)?)))))
    }

    /// Adds a picture under a name with `/` between its parts.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, name: &str, bytes: &[u8], modified_ms: i64) -> io::Result<()> {
        add(&mut self.0, name, bytes, modified_ms)
    }

    /// Writes the directory; what comes back needs only its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<NewFile> {
        let zip = *self.0;
        zip.finish()?.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

fn add(zip: &mut ZipWriter<impl Write + Seek>, name: &str, bytes: &[u8], modified_ms: i64) -> io::Result<()> {
    let local: Option<DateTime<Local>> = Local.timestamp_millis_opt(modified_ms).earliest();
    // Times before 1980 and after 2107 cannot be said in a zip file.
    let time = local.and_then(|time| zip::DateTime::try_from(time.naive_local()).ok()).unwrap_or_default();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(time)
        .unix_permissions(MODE)
        .large_file(u32::try_from(bytes.len()).is_err());
    zip.start_file(name, options)?;
    zip.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;

    #[test]
    fn what_is_added_is_read_back() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let noon = Local.with_ymd_and_hms(2026, 11, 3, 12, 45, 58).unwrap();
        add(&mut zip, "2026-01-31/絹.png", b"123456789", noon.timestamp_millis()).unwrap();
        add(&mut zip, "empty", b"", i64::MIN).unwrap();
        let mut read = zip::ZipArchive::new(zip.finish().unwrap()).unwrap();
        assert_eq!(read.len(), 2);
        let mut first = read.by_name("2026-01-31/絹.png").unwrap();
        let mut bytes = Vec::new();
        first.read_to_end(&mut bytes).unwrap();
        assert_eq!((bytes.as_slice(), first.compression()), (b"123456789".as_slice(), CompressionMethod::Stored));
        let time = first.last_modified().unwrap();
        assert_eq!((time.year(), time.month(), time.day(), time.hour(), time.minute()), (2026, 11, 3, 12, 45));
    }
}
