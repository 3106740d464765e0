//! [`read`]: a text list, CSV or JSON lines as a [`Table`]. What is wrong with a row stays with it; nothing is left out in
//! silence.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::dataset::problem::{Problem, ProblemKind};
use crate::dataset::source::csv::{Quotes, Record, next_record};
use crate::dataset::source::lines::{LineReader, head};
use crate::domain::batch::{Field, Flagged, Form, Table, TableRow, list_columns, read_line};
use crate::domain::{Result, UserError};

/// The most rows of a table.
const MAX_ROWS: usize = 100_000;
/// The most columns.
const MAX_COLUMNS: usize = 1000;
/// The most text of all rows together, in bytes.
const MAX_BYTES: usize = 256 << 20;
/// Delimiters of CSV, the most usual first.
const DELIMITERS: [char; 3] = [',', ';', '\t'];
/// What tables end in.
const HINT: &str = "a batch is a text list (.txt), CSV (.csv, .tsv) or JSON lines (.jsonl)";

/// A line of a list: its number, its prompt and flags or what is wrong with them, its text.
type ListLine = (u64, std::result::Result<(String, Vec<Flagged>), String>, String);

/// Reads a table.
///
/// # Errors
/// When it cannot be read, is none, has no rows, or more than 100,000 of them.
pub fn read(path: &Path) -> Result<Table> {
    if path.is_dir() {
        return Err(UserError::input("This is a folder, not a table").hint(HINT).path(path));
    }
    let form = form_of(path)?;
    let mut reader = Reader { path, lines: LineReader::open(path)?, rows: Vec::new(), bytes: 0 };
    let columns = match form {
        Form::List => reader.list()?,
        Form::Csv(delimiter) => reader.csv(delimiter)?,
        Form::JsonLines => reader.json_lines()?,
    };
    let Reader { lines, mut rows, .. } = reader;
    let mut repairs = Vec::new();
    for Problem { kind, line, sentence, .. } in lines.problems {
        let line = line.unwrap_or_default();
        match kind {
            // The line is not among the rows: it could not be read at all.
            ProblemKind::SkippedRow => {
                rows.push(TableRow { line, problem: Some(sentence), ..TableRow::default() });
            }
            _ => repairs.push((line, sentence)),
        }
    }
    rows.sort_by_key(|row| row.line);
    repairs.sort();
    if rows.is_empty() {
        return Err(UserError::input("This table has no rows").hint(HINT).path(path));
    }
    Ok(Table { path: path.to_path_buf(), form, columns, rows, repairs })
}

/// What a file is, by its ending; where that says nothing, by its beginning.
fn form_of(path: &Path) -> Result<Form> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match ending.as_str() {
        "csv" => Ok(Form::Csv(delimiter_of(&head(path)))),
        "tsv" | "tab" => Ok(Form::Csv('\t')),
        "txt" | "list" | "prompts" => Ok(Form::List),
        "jsonl" | "ndjson" => Ok(Form::JsonLines),
        "json" | "" => match head(path).trim_start().chars().next() {
            Some('[') => Err(UserError::input("This is one array of JSON, not an object a line")
                .hint("write each row on a line of its own, as in {\"prompt\": \"a red dress\"}")
                .path(path)),
            Some('{') => Ok(Form::JsonLines),
            _ if ending.is_empty() => Ok(Form::List),
            _ => Ok(Form::JsonLines),
        },
        _ => Err(UserError::input(format!("A file that ends in .{ending} is no table")).hint(HINT).path(path)),
    }
}

/// The delimiter that the first line has most of, outside quotes.
fn delimiter_of(head: &str) -> char {
    let first = head.lines().next().unwrap_or_default();
    let count = |delimiter: char| {
        let mut in_quotes = false;
        let mut counted = 0;
        for c in first.chars() {
            in_quotes ^= c == '"';
            counted += usize::from(c == delimiter && !in_quotes);
        }
        counted
    };
    let mut best = DELIMITERS[0];
    for delimiter in DELIMITERS {
        if count(delimiter) > count(best) {
            best = delimiter;
        }
    }
    best
}

struct Reader<'a> {
    path: &'a Path,
    lines: LineReader,
    rows: Vec<TableRow>,
    bytes: usize,
}

impl Reader<'_> {
    fn push(&mut self, row: TableRow) -> Result<()> {
        self.bytes += row.values.iter().map(String::len).sum::<usize>() + row.json.as_ref().map_or(0, String::len);
        if self.rows.len() == MAX_ROWS || self.bytes > MAX_BYTES {
            return Err(self.too_large());
        }
        self.rows.push(row);
        Ok(())
    }

    fn too_large(&self) -> UserError {
        let sentence = format!("This table has more than {MAX_ROWS} rows, or {} MiB of text", MAX_BYTES >> 20);
        UserError::input(sentence).hint("split it into several files").path(self.path)
    }

    fn list(&mut self) -> Result<Vec<String>> {
        let mut read: Vec<ListLine> = Vec::new();
        let mut given = Vec::new();
        while let Some(line) = self.lines.next_line()? {
            let Some(row) = read_line(&line.text) else { continue };
            for (field, _) in row.iter().flat_map(|(_, flags)| flags) {
                if !given.contains(field) {
                    given.push(*field);
                }
            }
            self.bytes += line.text.len();
            if read.len() == MAX_ROWS || self.bytes > MAX_BYTES {
                return Err(self.too_large());
            }
            read.push((line.number, row, line.text));
        }
        self.bytes = 0;
        let fields = list_columns(&given);
        for (line, row, text) in read {
            let row = match row {
                Ok((prompt, flags)) => {
                    let value = |field: &&'static Field| match flags.iter().find(|(flag, _)| flag == field) {
                        Some((_, value)) => value.clone(),
                        None => String::new(),
                    };
                    let behind = fields.iter().skip(1).map(value);
                    let values = std::iter::once(prompt).chain(behind).collect();
                    TableRow { line, values, ..TableRow::default() }
                }
                Err(problem) => TableRow { line, values: vec![text], problem: Some(problem), json: None },
            };
            self.push(row)?;
        }
        Ok(fields.into_iter().map(|field| field.name.to_owned()).collect())
    }

    fn csv(&mut self, delimiter: char) -> Result<Vec<String>> {
        let Some(header) = next_record(&mut self.lines, delimiter, Quotes::ManyLines, None)? else {
            return Ok(Vec::new());
        };
        let columns = self.header(&header)?;
        while let Some(record) = next_record(&mut self.lines, delimiter, Quotes::ManyLines, Some(columns.len()))? {
            let values: Vec<String> = record.values().map(str::to_owned).collect();
            // Fewer than there are columns: the last ones were left empty.
            let is_too_long = values.iter().skip(columns.len()).any(|value| !value.is_empty());
            let problem = is_too_long.then(|| {
                let (has, wants) = (values.len(), columns.len());
                format!("it has {has} values, the table has {wants} columns: put values with a delimiter in them into quotes")
            });
            self.push(TableRow { line: record.line, values, problem, json: None })?;
        }
        Ok(columns)
    }

    /// The names of the columns. Empty ones at the end are those of a spreadsheet.
    fn header(&self, header: &Record) -> Result<Vec<String>> {
        let mut names: Vec<&str> = header.values().map(str::trim).collect();
        while names.last().is_some_and(|name| name.is_empty()) {
            names.pop();
        }
        if names.is_empty() || names.len() > MAX_COLUMNS {
            let sentence = format!("The first line names {} columns", names.len());
            let hint = format!("it must hold the columns' names, up to {MAX_COLUMNS} of them");
            return Err(UserError::input(sentence).hint(hint).path(self.path));
        }
        let mut columns: Vec<String> = Vec::new();
        for (place, name) in names.into_iter().enumerate() {
            let name = if name.is_empty() { format!("column {}", place + 1) } else { name.to_owned() };
            if columns.contains(&name) {
                let sentence = format!("Two columns are called \"{name}\"");
                return Err(UserError::input(sentence).hint("give each a name of its own").path(self.path));
            }
            columns.push(name);
        }
        Ok(columns)
    }

    fn json_lines(&mut self) -> Result<Vec<String>> {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        while let Some(line) = self.lines.next_line()? {
            let text = line.text.trim();
            if text.is_empty() {
                continue;
            }
            let mut row = TableRow { line: line.number, ..TableRow::default() };
            match serde_json::from_str::<Map<String, Value>>(text) {
                Ok(object) => {
                    for (name, value) in object {
                        let next = places.len();
                        let place = *places.entry(name).or_insert(next);
                        if place >= MAX_COLUMNS {
                            let sentence = format!("The rows of this table have more than {MAX_COLUMNS} names");
                            return Err(UserError::input(sentence).hint(HINT).path(self.path));
                        }
                        if row.values.len() <= place {
                            row.values.resize(place + 1, String::new());
                        }
                        row.values[place] = text_of(&value);
                    }
                    row.json = Some(text.to_owned());
                }
                Err(error) => {
                    // serde counts lines within the text, which is one line.
                    let reason = error.to_string();
                    let reason = reason.split(" at line ").next().unwrap_or_default();
                    row.problem = Some(format!("it is no object of JSON: {reason}"));
                }
            }
            self.push(row)?;
        }
        let mut columns = vec![String::new(); places.len()];
        for (name, place) in places {
            columns[place] = name;
        }
        Ok(columns)
    }
}

/// A value as a table in CSV would have it: a list of texts joined by commas, nothing for `null`.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.iter().all(|value| !value.is_object() && !value.is_array()) => {
            values.iter().map(text_of).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
