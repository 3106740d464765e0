//! Writing zip files of pictures, which are compressed already: every entry is stored as it is.
//!
//! Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16
//! (ends of it, also for more than 65,535 entries or 4 GiB), 4.4.4 (bit 11: names are UTF-8), 4.5.3 (zip64).

use std::io::{self, Write};

use chrono::{DateTime, Datelike, Local, TimeZone, Timelike};
use flate2::Crc;

/// Version 2.0 of the format, and 4.5 where zip64 is needed.
const VERSION: u16 = 20;
const VERSION_64: u16 = 45;
/// Made on Unix, so that the attributes are a file's mode.
const MADE_BY: u16 = 3 << 8 | VERSION_64;
const UTF8: u16 = 1 << 11;
const STORED: u16 = 0;
/// A regular file that everybody may read.
const MODE: u32 = 0o100_644 << 16;

/// A zip file that is being written.
pub struct ZipWriter<W: Write> {
    out: W,
    /// Bytes written.
    at: u64,
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    crc: u32,
    size: u32,
    date: u16,
    time: u16,
    offset: u64,
}

impl<W: Write> ZipWriter<W> {
    /// Begins a file.
    pub const fn new(out: W) -> Self {
        Self { out, at: 0, entries: Vec::new() }
    }

    /// Adds a file under a name with `/` between its parts.
    ///
    /// # Errors
    /// When it cannot be written, its name has 64 KiB or it has 4 GiB.
    pub fn add(&mut self, name: &str, bytes: &[u8], modified_ms: i64) -> io::Result<()> {
        let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "it is too long for a zip file");
        let name_len = u16::try_from(name.len()).map_err(too_long)?;
        let size = u32::try_from(bytes.len()).map_err(too_long)?;
        let mut crc = Crc::new();
        crc.update(bytes);
        let (date, time) = dos_time(modified_ms);
        let entry = Entry { name: name.to_owned(), crc: crc.sum(), size, date, time, offset: self.at };
        let mut header = Vec::with_capacity(30 + name.len());
        header.extend(0x0403_4b50_u32.to_le_bytes());
        header.extend(VERSION.to_le_bytes());
        entry.common(&mut header);
        header.extend(name_len.to_le_bytes());
        header.extend(0_u16.to_le_bytes()); // no extra field
        header.extend(name.as_bytes());
        self.write(&header)?;
        self.write(bytes)?;
        self.entries.push(entry);
        Ok(())
    }

    /// Writes the directory; the file is whole then.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        let start = self.at;
        for entry in std::mem::take(&mut self.entries) {
            let header = entry.central();
            self.write(&header)?;
            self.entries.push(entry);
        }
        let (end, count) = (self.at, self.entries.len() as u64);
        let size = end - start;
        let short_count = u16::try_from(count).unwrap_or(u16::MAX);
        let [short_size, short_start] = [size, start].map(|long| u32::try_from(long).unwrap_or(u32::MAX));
        let mut tail = Vec::new();
        if short_count == u16::MAX || short_size == u32::MAX || short_start == u32::MAX {
            tail.extend(0x0606_4b50_u32.to_le_bytes());
            tail.extend(44_u64.to_le_bytes()); // bytes of this record behind here
            tail.extend(MADE_BY.to_le_bytes());
            tail.extend(VERSION_64.to_le_bytes());
            tail.extend([0; 8]); // one disk
            for number in [count, count, size, start] {
                tail.extend(number.to_le_bytes());
            }
            tail.extend(0x0706_4b50_u32.to_le_bytes());
            tail.extend(0_u32.to_le_bytes());
            tail.extend(end.to_le_bytes());
            tail.extend(1_u32.to_le_bytes());
        }
        tail.extend(0x0605_4b50_u32.to_le_bytes());
        tail.extend([0; 4]); // one disk
        tail.extend(short_count.to_le_bytes());
        tail.extend(short_count.to_le_bytes());
        tail.extend(short_size.to_le_bytes());
        tail.extend(short_start.to_le_bytes());
        tail.extend(0_u16.to_le_bytes()); // no comment
        self.write(&tail)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

impl Entry {
    /// What both headers say alike: flags to uncompressed size.
    fn common(&self, header: &mut Vec<u8>) {
        for short in [UTF8, STORED, self.time, self.date] {
            header.extend(short.to_le_bytes());
        }
        for long in [self.crc, self.size, self.size] {
            header.extend(long.to_le_bytes());
        }
    }

    fn central(&self) -> Vec<u8> {
        let short_offset = u32::try_from(self.offset).unwrap_or(u32::MAX);
        let is_far = short_offset == u32::MAX;
        let mut header = Vec::with_capacity(58 + self.name.len());
        header.extend(0x0201_4b50_u32.to_le_bytes());
        header.extend(MADE_BY.to_le_bytes());
        header.extend(if is_far { VERSION_64 } else { VERSION }.to_le_bytes());
        self.common(&mut header);
        header.extend((self.name.len() as u16).to_le_bytes());
        header.extend(if is_far { 12_u16 } else { 0 }.to_le_bytes());
        header.extend([0; 6]); // no comment, first disk, binary
        header.extend(MODE.to_le_bytes());
        header.extend(short_offset.to_le_bytes());
        header.extend(self.name.as_bytes());
        if is_far {
            header.extend(1_u16.to_le_bytes());
            header.extend(8_u16.to_le_bytes());
            header.extend(self.offset.to_le_bytes());
        }
        header
    }
}

/// Date and time as MS-DOS has them: local, from 1980 to 2107, in steps of two seconds.
fn dos_time(ms: i64) -> (u16, u16) {
    const EARLIEST: (u16, u16) = (1 << 5 | 1, 0);
    let Some(time): Option<DateTime<Local>> = Local.timestamp_millis_opt(ms).earliest() else { return EARLIEST };
    match time.year() {
        year @ 1980..=2107 => {
            let date = (year - 1980) << 9 | (time.month() << 5 | time.day()) as i32;
            let time = time.hour() << 11 | time.minute() << 5 | (time.second() / 2);
            (date as u16, time as u16)
        }
        _ => EARLIEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u16_at(bytes: &[u8], at: usize) -> usize {
        usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
    }

    fn u32_at(bytes: &[u8], at: usize) -> usize {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    }

    /// Reads a file without zip64 by its directory: name, checksum, bytes.
    fn read(zip: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let end = zip.len() - 22;
        assert_eq!(u32_at(zip, end), 0x0605_4b50);
        let mut at = u32_at(zip, end + 16);
        assert_eq!(at + u32_at(zip, end + 12), end);
        let mut read = Vec::new();
        for _ in 0..u16_at(zip, end + 10) {
            assert_eq!((u32_at(zip, at), u16_at(zip, at + 8), u16_at(zip, at + 10)), (0x0201_4b50, 0x800, 0));
            let (len, name_len) = (u32_at(zip, at + 24), u16_at(zip, at + 28));
            let name = &zip[at + 46..][..name_len];
            let local = u32_at(zip, at + 42);
            assert_eq!(u32_at(zip, local), 0x0403_4b50);
            // From the flags to the length of the name both headers agree.
            assert_eq!(zip[local + 6..local + 28], zip[at + 8..at + 30]);
            assert_eq!(&zip[local + 30..][..name_len], name);
            let bytes = zip[local + 30 + name_len..][..len].to_vec();
            read.push((String::from_utf8(name.to_vec()).unwrap(), u32_at(zip, at + 16) as u32, bytes));
            at += 46 + name_len;
        }
        assert_eq!(at, end);
        read
    }

    #[test]
    fn what_is_added_is_read_back() {
        let mut zip = ZipWriter::new(Vec::new());
        zip.add("2026-01-31/絹.png", b"123456789", 1_769_850_000_000).unwrap();
        zip.add("empty", b"", i64::MIN).unwrap();
        let read = read(&zip.finish().unwrap());
        // The check value of CRC-32 over "123456789", as catalogues of checksums list it.
        assert_eq!(read[0], ("2026-01-31/絹.png".to_owned(), 0xcbf4_3926, b"123456789".to_vec()));
        assert_eq!(read[1], ("empty".to_owned(), 0, Vec::new()));
        assert_eq!(self::read(&ZipWriter::new(Vec::new()).finish().unwrap()), []);
    }

    #[test]
    fn beyond_four_gigabytes_the_long_fields_are_used() {
        let mut zip = ZipWriter::new(Vec::new());
        zip.at = 5 << 32;
        zip.add("a", b"x", 0).unwrap();
        let bytes = zip.finish().unwrap();
        let central = 30 + 1 + 1;
        assert_eq!(u32_at(&bytes, central + 42), 0xffff_ffff);
        assert_eq!((u16_at(&bytes, central + 47), u16_at(&bytes, central + 49)), (1, 8));
        assert_eq!(bytes[central + 51..central + 59], (5_u64 << 32).to_le_bytes());
        let end64 = central + 59;
        assert_eq!((u32_at(&bytes, end64), u32_at(&bytes, end64 + 4)), (0x0606_4b50, 44));
        assert_eq!(bytes[end64 + 24..end64 + 32], 1_u64.to_le_bytes());
        assert_eq!(bytes[end64 + 48..end64 + 56], ((5_u64 << 32) + central as u64).to_le_bytes());
        let locator = end64 + 56;
        assert_eq!(u32_at(&bytes, locator), 0x0706_4b50);
        assert_eq!(bytes[locator + 8..locator + 16], ((5_u64 << 32) + end64 as u64).to_le_bytes());
        assert_eq!((u32_at(&bytes, locator + 20), bytes.len()), (0x0605_4b50, locator + 20 + 22));
    }

    #[test]
    fn times_are_those_of_ms_dos() {
        let time = Local.with_ymd_and_hms(2026, 11, 3, 13, 45, 59).unwrap();
        let (date, time) = dos_time(time.timestamp_millis());
        assert_eq!((date >> 9, date >> 5 & 15, date & 31), (46, 11, 3));
        assert_eq!((time >> 11, time >> 5 & 63, time & 31), (13, 45, 29));
        assert_eq!(dos_time(0), (33, 0));
    }
}
