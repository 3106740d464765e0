//! A text file line by line, whatever it was written with: marks, line ends and encodings of other systems.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::dataset::problem::{Problem, ProblemKind};
use crate::domain::{Result, UserError};

/// The longest line that is read, in bytes.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// The largest file in UTF-16 that is read: it is turned into UTF-8 as a whole.
const MAX_UTF16_BYTES: u64 = 256 << 20;

/// How much of a file is looked at to tell what it is.
const HEAD_BYTES: u64 = 1 << 16;
const HEAD_LINES: usize = 10;

/// What code page 1252 has in 0x80..0xA0 (WHATWG's `windows-1252`); elsewhere it is Unicode's first page.
const CP1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// One line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its text.
    pub text: String,
}

/// Reads lines; what had to be repaired or left out is in [`LineReader::problems`].
pub struct LineReader {
    path: PathBuf,
    input: Box<dyn BufRead>,
    number: u64,
    /// Lines that were read and given back.
    waiting: VecDeque<Line>,
    /// What was wrong with the lines so far.
    pub problems: Vec<Problem>,
}

impl LineReader {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be read, or is UTF-16 of more than 256 MiB.
    pub fn open(path: &Path) -> Result<Self> {
        Self::over(path, File::open(path).map_err(|error| unreadable(path, &error))?)
    }

    /// Reads what is in a file or in a part of one; the path is for messages.
    fn over(path: &Path, input: impl Read + 'static) -> Result<Self> {
        let cannot = |error: std::io::Error| unreadable(path, &error);
        let mut input = BufReader::with_capacity(1 << 16, input);
        let head = input.fill_buf().map_err(cannot)?;
        let utf16 = match head {
            // Without a mark: no table begins with a NUL, or has one behind its first letter.
            [0xFF, 0xFE, ..] | [1..=255, 0, ..] => Some(u16::from_le_bytes as fn([u8; 2]) -> u16),
            [0xFE, 0xFF, ..] | [0, 1..=255, ..] => Some(u16::from_be_bytes as fn([u8; 2]) -> u16),
            _ => None,
        };
        if head.starts_with(b"\xEF\xBB\xBF") {
            input.consume(3);
        }
        let input: Box<dyn BufRead> = match utf16 {
            None => Box::new(input),
            Some(decode) => {
                let mut bytes = Vec::new();
                input.take(MAX_UTF16_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
                if bytes.len() as u64 > MAX_UTF16_BYTES {
                    return Err(UserError::input("This table is UTF-16 and has more than 256 MiB")
                        .hint("save it as UTF-8")
                        .path(path));
                }
                let units = bytes.chunks_exact(2).map(|pair| decode([pair[0], pair[1]]));
                let text: String =
                    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
                Box::new(Cursor::new(text.trim_start_matches('\u{feff}').to_owned().into_bytes()))
            }
        };
        Ok(Self { path: path.to_path_buf(), input, number: 0, waiting: VecDeque::new(), problems: Vec::new() })
    }

    /// The next line that could be read; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read on.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        if let Some(line) = self.waiting.pop_front() {
            return Ok(Some(line));
        }
        loop {
            let mut bytes = Vec::new();
            let limit = MAX_LINE_BYTES as u64 + 1;
            let read = (&mut self.input).take(limit).read_until(b'\n', &mut bytes);
            if read.map_err(|error| unreadable(&self.path, &error))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if bytes.len() > MAX_LINE_BYTES && !bytes.ends_with(b"\n") {
                self.input.skip_until(b'\n').map_err(|error| unreadable(&self.path, &error))?;
                self.report(ProblemKind::SkippedRow, self.number, "the line has more than 1 MiB".to_owned());
                continue;
            }
            while bytes.ends_with(b"\n") || bytes.ends_with(b"\r") {
                bytes.pop();
            }
            return Ok(Some(Line { number: self.number, text: self.decode(bytes) }));
        }
    }

    /// Gives lines back, to be read again in the same order.
    pub fn give_back(&mut self, lines: Vec<Line>) {
        for line in lines.into_iter().rev() {
            self.waiting.push_front(line);
        }
    }

    /// Notes that something is wrong with a line.
    pub fn report(&mut self, kind: ProblemKind, line: u64, sentence: String) {
        self.problems.push(Problem { kind, line: Some(line), path: Some(self.path.clone()), sentence });
    }

    fn decode(&mut self, bytes: Vec<u8>) -> String {
        let mut text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                self.report(
                    ProblemKind::RepairedRow,
                    self.number,
                    "it is not UTF-8 and was read as Windows-1252".into(),
                );
                error.as_bytes().iter().map(|&byte| cp1252(byte)).collect()
            }
        };
        if text.contains('\0') {
            text.retain(|c| c != '\0');
            self.report(ProblemKind::RepairedRow, self.number, "NUL bytes were taken out".into());
        }
        text
    }
}

/// A file's beginning as text, for telling what it is: ten lines, or what of them is in its first 64 KiB.
pub fn head(path: &Path) -> String {
    let mut lines = Vec::new();
    let reader = File::open(path).ok().and_then(|file| LineReader::over(path, file.take(HEAD_BYTES)).ok());
    if let Some(mut reader) = reader {
        while lines.len() < HEAD_LINES {
            let Ok(Some(line)) = reader.next_line() else { break };
            if !line.text.trim().is_empty() {
                lines.push(line.text);
            }
        }
    }
    lines.join("\n")
}

/// A whole text file, such as one in JSON, in any encoding.
///
/// # Errors
/// When it cannot be read or has more than `limit` bytes.
pub fn whole(path: &Path, limit: u64) -> Result<String> {
    let cannot = |error: std::io::Error| unreadable(path, &error);
    let mut bytes = Vec::new();
    File::open(path).map_err(cannot)?.take(limit + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > limit {
        return Err(UserError::input(format!("This file has more than {} MiB", limit >> 20)).path(path));
    }
    let units = |decode: fn([u8; 2]) -> u16| -> Vec<u16> {
        bytes.chunks_exact(2).map(|pair| decode([pair[0], pair[1]])).collect()
    };
    let text = match bytes.as_slice() {
        [0xFF, 0xFE, ..] => String::from_utf16_lossy(&units(u16::from_le_bytes)),
        [0xFE, 0xFF, ..] => String::from_utf16_lossy(&units(u16::from_be_bytes)),
        _ => match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => error.as_bytes().iter().map(|&byte| cp1252(byte)).collect(),
        },
    };
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}

fn cp1252(byte: u8) -> char {
    match byte {
        0x80..0xA0 => CP1252[usize::from(byte - 0x80)],
        other => char::from(other),
    }
}

pub(in crate::dataset) fn unreadable(path: &Path, error: &std::io::Error) -> UserError {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    UserError::input(format!("Could not read {name}: {error}"))
        .hint("check that the file is there and that you may read it")
        .path(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was wrong, and in which line.
    type Fault = (ProblemKind, Option<u64>);

    fn read(bytes: &[u8]) -> (Vec<(u64, String)>, Vec<Fault>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let mut reader = LineReader::open(file.path()).unwrap();
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            lines.push((line.number, line.text));
        }
        (lines, reader.problems.iter().map(|problem| (problem.kind, problem.line)).collect())
    }

    #[test]
    fn marks_line_ends_and_encodings_of_other_systems_are_read() {
        let expected = vec![(1, "é,b".to_owned()), (2, "c".to_owned())];
        assert_eq!(read("\u{feff}é,b\r\nc\r\n".as_bytes()), (expected.clone(), vec![]));
        let units: Vec<u16> = "\u{feff}é,b\nc".encode_utf16().collect();
        assert_eq!(
            read(&units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>()),
            (expected.clone(), vec![])
        );
        assert_eq!(
            read(&units.iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<_>>()),
            (expected.clone(), vec![])
        );
        let plain: Vec<u8> = "a\nb".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&plain).0, [(1, "a".to_owned()), (2, "b".to_owned())]);
        let (lines, problems) = read(b"caf\xe9 \x93x\x94\nplain\na\0b");
        assert_eq!(lines, [(1, "café “x”".to_owned()), (2, "plain".to_owned()), (3, "ab".to_owned())]);
        assert_eq!(problems, [(ProblemKind::RepairedRow, Some(1)), (ProblemKind::RepairedRow, Some(3))]);
        assert_eq!(read(b""), (vec![], vec![]));
    }

    #[test]
    fn an_endless_line_is_left_out_and_the_next_one_is_read() {
        let mut bytes = vec![b'x'; 3 * MAX_LINE_BYTES];
        bytes.extend(b"\nnext");
        let (lines, problems) = read(&bytes);
        assert_eq!(lines, [(2, "next".to_owned())]);
        assert_eq!(problems, [(ProblemKind::SkippedRow, Some(1))]);
    }
}
