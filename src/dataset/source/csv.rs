//! Tables in CSV, and what people make of it.
//!
//! RFC 4180 with two differences, which are why no library does it: a quote that is never closed costs its own line and not
//! the rest of the file, and every record knows its line and its own text, so that a broken one can be repaired.

use std::ops::Range;

use super::lines::{Line, LineReader, MAX_LINE_BYTES};
use crate::dataset::problem::ProblemKind;
use crate::domain::Result;

/// The most lines of one record; behind that a quote counts as never closed.
const MAX_RECORD_LINES: usize = 100;

/// One record of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line that it begins in, from 1.
    pub line: u64,
    /// The record as it stands in the file.
    pub text: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its value, without the quotes around it and blanks around those.
    pub value: String,
    /// Where it stands in the record's text.
    pub span: Range<usize>,
}

impl Record {
    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.value.as_str())
    }
}

/// How the quotes of a table are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    /// They are letters like any other.
    Letters,
    /// A field in quotes may hold delimiters, but ends on its line.
    OneLine,
    /// A field in quotes may go on over lines.
    ManyLines,
}

/// Reads the next record that is not blank. `columns` is how many fields a record should have.
///
/// # Errors
/// When the file cannot be read on.
pub fn next_record(
    lines: &mut LineReader,
    delimiter: char,
    quotes: Quotes,
    columns: Option<usize>,
) -> Result<Option<Record>> {
    loop {
        let Some(first) = lines.next_line()? else { return Ok(None) };
        if first.text.trim().is_empty() {
            continue;
        }
        if quotes == Quotes::Letters {
            return Ok(Some(record(first, |text| plain(text, delimiter))));
        }
        if let Some(fields) = quoted(&first.text, delimiter, true) {
            return Ok(Some(Record { line: first.number, text: first.text, fields }));
        }
        if quotes == Quotes::ManyLines
            && let Some(record) = over_lines(lines, &first, delimiter, columns)?
        {
            return Ok(Some(record));
        }
        lines.report(
            ProblemKind::RepairedRow,
            first.number,
            "a quote in it is never closed: it was read as a letter".to_owned(),
        );
        return Ok(Some(record(first, |text| plain(text, delimiter))));
    }
}

/// A record that begins in `first` and goes on in the lines behind. `None`, with those given back, when it has no end or
/// not as many fields as it should.
fn over_lines(lines: &mut LineReader, first: &Line, delimiter: char, columns: Option<usize>) -> Result<Option<Record>> {
    let mut text = first.text.clone();
    let mut behind = Vec::new();
    while behind.len() < MAX_RECORD_LINES && text.len() < MAX_LINE_BYTES {
        let Some(line) = lines.next_line()? else { break };
        text.push('\n');
        text.push_str(&line.text);
        let has_quote = line.text.contains('"');
        behind.push(line);
        // Only a line with a quote can close one.
        if has_quote && let Some(fields) = quoted(&text, delimiter, false) {
            if columns.is_none_or(|columns| fields.len() == columns) {
                return Ok(Some(Record { line: first.number, text, fields }));
            }
            break;
        }
    }
    lines.give_back(behind);
    Ok(None)
}

fn record(line: Line, split: impl Fn(&str) -> Vec<Field>) -> Record {
    let fields = split(&line.text);
    Record { line: line.number, text: line.text, fields }
}

/// The fields between delimiters, quotes being letters.
fn plain(text: &str, delimiter: char) -> Vec<Field> {
    let mut start = 0;
    text.split(delimiter)
        .map(|part| {
            let span = start..start + part.len();
            start = span.end + delimiter.len_utf8();
            Field { value: part.trim().to_owned(), span }
        })
        .collect()
}

/// The fields of a record, some in quotes; `None` when a quote is not closed. A quote within a field that does not begin with
/// one is a letter. One within quotes with neither a delimiter nor the end behind it is a letter too if `is_lenient`; over
/// several lines that would take the next record's quotes for this one's.
fn quoted(text: &str, delimiter: char, is_lenient: bool) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let mut start = 0;
    loop {
        let rest = &text[start..];
        let blank = blanks(rest, delimiter);
        let (value, end) = if rest[blank..].starts_with('"') {
            let (value, end) = quoted_field(&text[start + blank + 1..], delimiter, is_lenient)?;
            (value, start + blank + 1 + end)
        } else {
            let end = rest.find(delimiter).map_or(text.len(), |end| start + end);
            (text[start..end].trim().to_owned(), end)
        };
        fields.push(Field { value, span: start..end });
        if end >= text.len() {
            return Some(fields);
        }
        start = end + delimiter.len_utf8();
    }
}

/// The value of a field whose quote is open, and where in `text` the field ends.
fn quoted_field(text: &str, delimiter: char, is_lenient: bool) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut from = 0;
    while let Some(found) = text[from..].find('"') {
        let quote = from + found;
        value.push_str(&text[from..quote]);
        let behind = &text[quote + 1..];
        if behind.starts_with('"') {
            value.push('"');
            from = quote + 2;
            continue;
        }
        let blank = blanks(behind, delimiter);
        let behind = &behind[blank..];
        if behind.is_empty() || behind.starts_with(delimiter) {
            return Some((value, quote + 1 + blank));
        }
        if !is_lenient {
            return None;
        }
        value.push('"');
        from = quote + 1;
    }
    None
}

/// How many bytes of blanks a text begins with. A tab that divides fields is none.
fn blanks(text: &str, delimiter: char) -> usize {
    text.len() - text.trim_start_matches(|c| (c == ' ' || c == '\t') && c != delimiter).len()
}

/// Adds one record to a table in CSV (RFC 4180).
pub fn write_record<'a>(table: &mut String, values: impl IntoIterator<Item = &'a str>) {
    write_separated(table, ',', values);
}

/// As [`write_record`], with another delimiter.
pub fn write_separated<'a>(table: &mut String, delimiter: char, values: impl IntoIterator<Item = &'a str>) {
    for (i, value) in values.into_iter().enumerate() {
        if i > 0 {
            table.push(delimiter);
        }
        let needs_quotes = value.contains([delimiter, '"', '\n', '\r']) || value.trim() != value;
        if needs_quotes {
            table.push('"');
            table.push_str(&value.replace('"', "\"\""));
            table.push('"');
        } else {
            table.push_str(value);
        }
    }
    table.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record's line and values.
    type Row = (u64, Vec<String>);

    fn read(text: &str, quotes: Quotes, columns: Option<usize>) -> (Vec<Row>, Vec<Option<u64>>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut lines = LineReader::open(file.path()).unwrap();
        let mut records = Vec::new();
        while let Some(record) = next_record(&mut lines, ',', quotes, columns).unwrap() {
            for field in &record.fields {
                assert!(
                    record.text[field.span.clone()].trim().trim_matches('"').len() >= field.value.matches(',').count()
                );
            }
            records.push((record.line, record.values().map(str::to_owned).collect()));
        }
        (records, lines.problems.iter().map(|problem| problem.line).collect())
    }

    fn row(line: u64, values: &[&str]) -> Row {
        (line, values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn quotes_hold_delimiters_quotes_and_lines() {
        let text = "a,\"b, c\",d\r\n\r\n1,\"say \"\"x\"\"\", 3 \n5\",5\" x,\" y \"\n";
        let rows =
            vec![row(1, &["a", "b, c", "d"]), row(3, &["1", "say \"x\"", "3"]), row(4, &["5\"", "5\" x", " y "])];
        assert_eq!(read(text, Quotes::ManyLines, None), (rows, vec![]));
        let text = "\"a\nb\",c\nd,e\n";
        let (rows, problems) = read(text, Quotes::ManyLines, Some(2));
        assert_eq!((rows, problems), (vec![row(1, &["a\nb", "c"]), row(3, &["d", "e"])], vec![]));
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_its_own_line() {
        let text = "a,\"b\nc,\"d, e\"\nf,g\n";
        let rows = vec![row(1, &["a", "\"b"]), row(2, &["c", "d, e"]), row(3, &["f", "g"])];
        assert_eq!(read(text, Quotes::OneLine, Some(2)), (rows.clone(), vec![Some(1)]));
        assert_eq!(read(text, Quotes::ManyLines, Some(2)), (rows, vec![Some(1)]));
        assert_eq!(read("x,\"", Quotes::ManyLines, None), (vec![row(1, &["x", "\""])], vec![Some(1)]));
    }

    #[test]
    fn a_quote_within_quotes_is_a_letter() {
        let (rows, problems) = read("1,\"a \"b\" c\",2\n", Quotes::OneLine, None);
        assert_eq!((rows, problems), (vec![row(1, &["1", "a \"b\" c", "2"])], vec![]));
        assert_eq!(read("1,\"a\"\n", Quotes::Letters, None).0, [row(1, &["1", "\"a\""])]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(rows in prop::collection::vec(prop::collection::vec("[ -~\né]{1,12}", 3), 1..5)) {
            let mut text = String::new();
            for row in &rows {
                write_record(&mut text, row.iter().map(String::as_str));
            }
            let (read, problems) = read(&text, Quotes::ManyLines, Some(3));
            prop_assert!(problems.is_empty());
            prop_assert_eq!(read.into_iter().map(|(_, values)| values).collect::<Vec<_>>(), rows);
        }

        #[test]
        fn no_text_is_lost_or_crashes(text in "(?s)[a\",\n\r é]{0,60}") {
            for quotes in [Quotes::Letters, Quotes::OneLine, Quotes::ManyLines] {
                let (records, _) = read(&text, quotes, None);
                let letters = |text: &str| text.matches('a').count();
                let read: usize = records.iter().flat_map(|(_, values)| values).map(|value| letters(value)).sum();
                prop_assert_eq!(read, letters(&text));
            }
        }
    }
}
