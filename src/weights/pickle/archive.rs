//! The zip form of PyTorch files (1.6 and later): where each entry's bytes are in the file.
//!
//! Format: PKWARE's APPNOTE 6.3.10, with zip64, which PyTorch always writes. It is read here rather than by the `zip`
//! crate: what is needed are byte ranges of stored entries in a slice, and what must be refused (compressed, encrypted,
//! repeated, overlapping entries, other names than PyTorch's) is just what a general reader is made to take. PyTorch
//! itself offers to leave the CRCs out, so they are not looked at.

use std::collections::HashMap;
use std::ops::Range;

use super::refusal::{cut_off, damaged, not_opened, printable};
use crate::domain::Result;

/// What every zip file begins with that has an entry.
pub(super) const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const CENTRAL_SIGNATURE: &[u8] = b"PK\x01\x02";
const END_SIGNATURE: &[u8] = b"PK\x05\x06";
const END64_SIGNATURE: &[u8] = b"PK\x06\x06";
const END64_LOCATOR_SIGNATURE: &[u8] = b"PK\x06\x07";
const LOCAL_BYTES: usize = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;
const END64_BYTES: usize = 56;
const END64_LOCATOR_BYTES: usize = 20;
/// Longest comment behind the end record: its length has 16 bits.
const MAX_COMMENT_BYTES: usize = 0xffff;
/// Most entries: one a storage. SDXL with its optimizer has 10,000.
const MAX_ENTRIES: usize = 1 << 17;
/// In place of a number that stands in a zip64 field instead.
const SEE_ZIP64: u64 = 0xffff_ffff;
/// The extra field that holds those.
const ZIP64_FIELD: u16 = 1;
/// Flags: encrypted (0), patched (5), strongly encrypted (6), directory masked (13).
const REFUSED_FLAGS: u16 = 1 | 1 << 5 | 1 << 6 | 1 << 13;
/// Flag: the local header leaves the sizes to a record behind the data.
const SIZES_FOLLOW: u16 = 1 << 3;

/// The entries of one file, by their names below the one folder that they all lie in.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    entries: HashMap<&'a str, Range<usize>>,
}

/// One row of the central directory.
struct Row<'a> {
    name: &'a [u8],
    flags: u16,
    len: usize,
    header: usize,
}

impl<'a> Archive<'a> {
    /// Reads the central directory and checks it against the headers in front of the data.
    ///
    /// # Errors
    /// When the file is cut off, broken, or not as PyTorch writes it.
    pub(super) fn read(file: &'a [u8]) -> Result<Self> {
        let directory = find_directory(file)?;
        let mut rows = read_rows(file, &directory)?;
        rows.sort_unstable_by_key(|row| row.header);
        let mut entries = HashMap::with_capacity(rows.len());
        let mut folder = None;
        let mut free_from = 0;
        for row in &rows {
            let data = data_range(file, row, directory.start)?;
            if row.header < free_from {
                return Err(damaged(format!("its entry {} overlaps another", printable(row.name))));
            }
            free_from = data.end;
            let (own_folder, name) = split_name(row.name)?;
            if *folder.get_or_insert(own_folder) != own_folder {
                return Err(damaged("its entries lie in several folders"));
            }
            if entries.insert(name, data).is_some() {
                return Err(damaged(format!("it has two entries named {}", printable(row.name))));
            }
        }
        if entries.contains_key("data.pkl") {
            Ok(Self { entries })
        } else {
            Err(not_opened("is a zip archive without a model in it"))
        }
    }

    /// Where the bytes of an entry are.
    pub(super) fn get(&self, name: &str) -> Option<Range<usize>> {
        self.entries.get(name).cloned()
    }

    /// Where the bytes of a storage are.
    pub(super) fn storage(&self, key: &str) -> Option<Range<usize>> {
        self.get(&format!("data/{key}"))
    }
}

/// Where the central directory is, and how many rows it says it has.
struct Directory {
    start: usize,
    end: usize,
    rows: usize,
}

fn find_directory(file: &[u8]) -> Result<Directory> {
    // A comment may hold another such record: the true one's comment ends with the file.
    let first = file.len().saturating_sub(END_BYTES + MAX_COMMENT_BYTES);
    let is_end = |at: &usize| {
        file[*at..].starts_with(END_SIGNATURE)
            && u16_at(file, at + 20).is_some_and(|n| at + END_BYTES + n as usize == file.len())
    };
    let last = file.len().checked_sub(END_BYTES).ok_or_else(cut_off)?;
    let at = (first..=last).rev().find(is_end).ok_or_else(cut_off)?;
    let broken = || damaged("its directory of entries is broken");
    let field = |offset| u16_at(file, at + offset).ok_or_else(broken);
    let wide = |offset| u32_at(file, at + offset).ok_or_else(broken);
    if field(4)? != 0 || field(6)? != 0 || field(8)? != field(10)? {
        return Err(not_opened("is one part of a divided zip archive"));
    }
    let mut numbers = [u64::from(field(10)?), wide(12)?, wide(16)?]; // rows, bytes, offset
    let mut limit = at;
    let locator = at.checked_sub(END64_LOCATOR_BYTES).filter(|it| file[*it..].starts_with(END64_LOCATOR_SIGNATURE));
    if let Some(locator) = locator {
        let at64 = u64_at(file, locator + 8).and_then(|it| usize::try_from(it).ok()).ok_or_else(broken)?;
        let whole = at64.checked_add(END64_BYTES).is_some_and(|end| end <= locator);
        if !whole || !file[at64..].starts_with(END64_SIGNATURE) {
            return Err(broken());
        }
        let wide = |offset| u64_at(file, at64 + offset).ok_or_else(broken);
        let numbers64 = [wide(32)?, wide(40)?, wide(48)?];
        // Whatever the short record says for itself must be the same.
        for (index, (short, long)) in numbers.iter().zip(numbers64).enumerate() {
            let elsewhere = if index == 0 { 0xffff } else { SEE_ZIP64 };
            if *short != elsewhere && *short != long {
                return Err(damaged("its two directories of entries disagree"));
            }
        }
        numbers = numbers64;
        limit = at64;
    }
    let [rows, bytes, start] = numbers.map(|number| usize::try_from(number).ok());
    let (Some(rows), Some(bytes), Some(start)) = (rows, bytes, start) else { return Err(broken()) };
    let end = start.checked_add(bytes).filter(|end| *end <= limit).ok_or_else(broken)?;
    if rows > MAX_ENTRIES {
        return Err(not_opened(&format!("has more than {MAX_ENTRIES} entries, far more than a model")));
    }
    Ok(Directory { start, end, rows })
}

fn read_rows<'a>(file: &'a [u8], directory: &Directory) -> Result<Vec<Row<'a>>> {
    let broken = || damaged("its directory of entries is broken");
    let mut rest = &file[directory.start..directory.end];
    // The count was bounded, and each row has its bytes.
    let mut rows = Vec::with_capacity(directory.rows.min(rest.len() / CENTRAL_BYTES));
    for _ in 0..directory.rows {
        let Some((head, tail)) = rest.split_first_chunk::<CENTRAL_BYTES>() else { return Err(broken()) };
        if !head.starts_with(CENTRAL_SIGNATURE) {
            return Err(broken());
        }
        let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let long = |at: usize| u64::from(u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
        let (name_len, extra_len, comment_len) = (short(28), short(30), short(32));
        let (name, tail) = tail.split_at_checked(name_len.into()).ok_or_else(broken)?;
        let (extra, tail) = tail.split_at_checked(extra_len.into()).ok_or_else(broken)?;
        rest = tail.get(usize::from(comment_len)..).ok_or_else(broken)?;
        let (flags, method) = (short(8), short(10));
        if flags & REFUSED_FLAGS != 0 {
            return Err(not_opened(&format!("has an encrypted entry, {}", printable(name))));
        }
        if method != 0 {
            return Err(not_opened(&format!(
                "has a compressed entry, {}, which PyTorch never writes",
                printable(name)
            )));
        }
        let [len, packed, header] = wide_numbers(extra, [long(24), long(20), long(42)]).ok_or_else(broken)?;
        if len != packed {
            return Err(damaged(format!("its entry {} has two lengths", printable(name))));
        }
        let (Ok(len), Ok(header)) = (usize::try_from(len), usize::try_from(header)) else { return Err(broken()) };
        rows.push(Row { name, flags, len, header });
    }
    if rest.is_empty() { Ok(rows) } else { Err(broken()) }
}

/// Fills in, from the zip64 field, the numbers that did not fit. It holds only those, in this order.
fn wide_numbers(mut extra: &[u8], mut numbers: [u64; 3]) -> Option<[u64; 3]> {
    if !numbers.contains(&SEE_ZIP64) {
        return Some(numbers);
    }
    loop {
        let (id, len) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let field = extra.get(4..4 + len)?;
        if id == ZIP64_FIELD {
            let wide = numbers.iter_mut().filter(|number| **number == SEE_ZIP64);
            for (index, number) in wide.enumerate() {
                *number = u64_at(field, 8 * index)?;
            }
            return Some(numbers);
        }
        extra = &extra[4 + len..];
    }
}

/// Where an entry's data is. Its own header must agree with the directory.
fn data_range(file: &[u8], row: &Row<'_>, limit: usize) -> Result<Range<usize>> {
    let wrong = || damaged(format!("its entry {} is not where the directory says", printable(row.name)));
    let head = file.get(row.header..limit).and_then(<[u8]>::first_chunk::<LOCAL_BYTES>).ok_or_else(wrong)?;
    let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let long = |at: usize| u64::from(u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
    if !head.starts_with(LOCAL_SIGNATURE) || short(8) != 0 || short(6) & REFUSED_FLAGS != 0 {
        return Err(wrong());
    }
    let sizes_here = (row.flags | short(6)) & SIZES_FOLLOW == 0;
    if sizes_here && [long(18), long(22)].iter().any(|len| *len != SEE_ZIP64 && *len != row.len as u64) {
        return Err(wrong());
    }
    let name_at = row.header + LOCAL_BYTES;
    let start = name_at + usize::from(short(26)) + usize::from(short(28));
    let end = start.checked_add(row.len).filter(|end| *end <= limit).ok_or_else(wrong)?;
    if &file[name_at..name_at + usize::from(short(26))] != row.name {
        return Err(wrong());
    }
    Ok(start..end)
}

/// The folder and the rest of a name that PyTorch gives to an entry: `data.pkl`, `data/` with a number, `version`,
/// `byteorder`, and hidden ones such as `.format_version` and `.data/serialization_id`.
fn split_name(name: &[u8]) -> Result<(&str, &str)> {
    let known = |name: &str| match name.strip_prefix("data/") {
        Some(number) => !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()),
        None if name.starts_with(".data/") => true,
        None if name.starts_with('.') => !matches!(name, "." | "..") && !name.contains('/'),
        None => matches!(name, "data.pkl" | "version" | "byteorder"),
    };
    let split = std::str::from_utf8(name).ok().and_then(|name| name.split_once('/'));
    match split {
        Some((folder, name)) if !folder.is_empty() && known(name) => Ok((folder, name)),
        Some((_, name)) if name.starts_with("code/") || name == "constants.pkl" => {
            Err(not_opened("is a TorchScript program, not a model's weights"))
        }
        _ => Err(not_opened(&format!("is a zip archive with an entry {}, which no model has", printable(name)))),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|array| u16::from_le_bytes(*array))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|array| u32::from_le_bytes(*array).into())
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|array| u64::from_le_bytes(*array))
}
