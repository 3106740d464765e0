//! The imagefolder form of Hugging Face's `datasets`: `metadata.jsonl` or `metadata.csv` with a column `file_name`.

use std::path::Path;

use serde_json::Value;

use super::csv::{Quotes, next_record};
use super::lines::LineReader;
use super::pictures::Pictures;
use super::{Place, Reader, header, not_of_kind};
use crate::dataset::problem::ProblemKind;
use crate::dataset::rows::{Dataset, Row, one_line};
use crate::domain::Result;

/// The row of this form.
pub static READER: Reader = Reader {
    name: "imagefolder",
    label: "imagefolder",
    looks_like: "metadata.jsonl or metadata.csv with a column file_name",
    recognise: |place| find(place).is_some(),
    read,
};

/// The column that names the picture.
pub(in crate::dataset) const FILE_NAME: &str = "file_name";
/// How often an epoch shows a row: written by `atelier dataset prepare` where rows differ in it.
const REPEATS: &str = "repeats";
/// Whether a row is set aside: written where somebody excluded it by hand.
pub(in crate::dataset) const EXCLUDED: &str = "excluded";
/// Whether its caption was written by hand.
pub(in crate::dataset) const EDITED: &str = "edited";
/// Columns that hold captions, the first one that is there; `text` is the default of `datasets`.
const CAPTIONS: [&str; 5] = ["text", "caption", "prompt", "description", "captions"];

fn find(place: &Place) -> Option<&Path> {
    place.table(&["metadata.jsonl", "metadata.csv"], |path, head| {
        if is_json(path, head) { json_names_pictures(head) } else { header(head, ',').contains(&FILE_NAME) }
    })
}

fn is_json(path: &Path, head: &str) -> bool {
    let has_ending = path.extension().is_some_and(|ending| ending == "jsonl" || ending == "ndjson");
    has_ending || head.trim_start().starts_with('{')
}

/// The first lines may be broken: one good one is enough.
fn json_names_pictures(head: &str) -> bool {
    head.lines().any(|line| serde_json::from_str::<Value>(line).is_ok_and(|row| row.get(FILE_NAME).is_some()))
}

fn read(place: &Place) -> Result<Dataset> {
    let table = find(place).ok_or_else(|| not_of_kind(&READER, place))?.to_path_buf();
    let (mut dataset, pictures) = place.begin(&READER, Some(&table))?;
    let mut lines = LineReader::open(&table)?;
    let is_json = place.tables.iter().any(|(path, head)| *path == table && is_json(path, head));
    if is_json {
        read_json(&mut dataset, &pictures, &mut lines)?;
    } else {
        read_csv(&mut dataset, &pictures, &mut lines)?;
    }
    Ok(dataset.finish(&pictures, lines.problems))
}

fn read_json(dataset: &mut Dataset, pictures: &Pictures, lines: &mut LineReader) -> Result<()> {
    let mut rows: Vec<Line> = Vec::new();
    dataset.columns.push(FILE_NAME.to_owned());
    while let Some(line) = lines.next_line()? {
        if line.text.trim().is_empty() {
            continue;
        }
        dataset.rows_read += 1;
        let object = match serde_json::from_str(&line.text) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                lines.report(ProblemKind::SkippedRow, line.number, "the line is no JSON object".to_owned());
                continue;
            }
            Err(error) => {
                // The error counts lines from the row's own.
                let why = error.to_string();
                let why = why.split(" at line").next().unwrap_or_default();
                lines.report(ProblemKind::SkippedRow, line.number, format!("the line is no JSON: {why}"));
                continue;
            }
        };
        let mut values = Vec::new();
        // What was done to a row by hand is no column of the data.
        for (column, value) in object.iter().filter(|(column, _)| *column != EXCLUDED && *column != EDITED) {
            set_value(&mut dataset.columns, &mut values, column, text_of(value));
        }
        let is_excluded = object.get(EXCLUDED) == Some(&Value::Bool(true));
        rows.push(Line { number: line.number, values, is_excluded });
    }
    take(dataset, pictures, rows);
    // Where no row has a caption yet, the first one goes into the usual column.
    dataset.caption_column.get_or_insert_with(|| CAPTIONS[0].to_owned());
    Ok(())
}

fn read_csv(dataset: &mut Dataset, pictures: &Pictures, lines: &mut LineReader) -> Result<()> {
    let Some(head) = next_record(lines, ',', Quotes::ManyLines, None)? else { return Ok(()) };
    dataset.columns = head.values().map(|name| name.trim().to_owned()).collect();
    let columns = dataset.columns.len();
    let mut rows: Vec<Line> = Vec::new();
    while let Some(record) = next_record(lines, ',', Quotes::ManyLines, Some(columns))? {
        dataset.rows_read += 1;
        let mut values: Vec<String> = record.values().map(str::to_owned).collect();
        if values.len() > columns {
            // A caption in the last column with commas and without quotes. Empty fields behind it are no matter.
            let last = record.text[record.fields[columns - 1].span.start..].trim_end_matches([',', ' ']).trim();
            values.truncate(columns);
            if values[columns - 1] != last {
                last.clone_into(&mut values[columns - 1]);
                let sentence = "it has commas without quotes: the last column takes all that is behind it".to_owned();
                lines.report(ProblemKind::RepairedRow, record.line, sentence);
            }
        } else if values.len() < columns {
            let sentence = format!("it has {} of {columns} columns: the others are empty", values.len());
            lines.report(ProblemKind::RepairedRow, record.line, sentence);
        }
        rows.push(Line { number: record.line, values, is_excluded: false });
    }
    take(dataset, pictures, rows);
    // Only the form in lines is written to.
    dataset.caption_column = None;
    Ok(())
}

/// A row as it was read.
struct Line {
    number: u64,
    values: Vec<String>,
    is_excluded: bool,
}

/// Takes the rows in, when all columns are known.
fn take(dataset: &mut Dataset, pictures: &Pictures, rows: Vec<Line>) {
    let file_name = dataset.column(FILE_NAME);
    let repeats = dataset.column(REPEATS);
    let others: Vec<usize> =
        (0..dataset.columns.len()).filter(|i| Some(*i) != file_name && Some(*i) != repeats).collect();
    // A single other column is the caption, whatever it is called.
    let caption = CAPTIONS.iter().find_map(|name| dataset.column(name)).or(match others.as_slice() {
        [only] => Some(*only),
        _ => None,
    });
    dataset.caption_column = caption.map(|place| dataset.columns[place].clone());
    for Line { number, values, is_excluded } in rows {
        let value = |place: Option<usize>| place.and_then(|place| values.get(place)).map_or("", String::as_str);
        let name = value(file_name).to_owned();
        let text = one_line(value(caption));
        let repeats = value(repeats).trim().parse().unwrap_or(1);
        let caption = Some(text).filter(|text| !text.is_empty());
        let row = Row { picture: None, name: String::new(), caption, values, repeats, line: Some(number), is_excluded };
        dataset.push_named(pictures, &[""], &name, row);
    }
}

/// Puts a value into its column, which is added if it is a new one.
pub(super) fn set_value(columns: &mut Vec<String>, values: &mut Vec<String>, name: &str, value: String) {
    let place = columns.iter().position(|column| column == name).unwrap_or_else(|| {
        columns.push(name.to_owned());
        columns.len() - 1
    });
    values.resize(values.len().max(place + 1), String::new());
    values[place] = value;
}

/// A value as a column holds it.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        // Several captions: the first one, as the training scripts' default does in evaluation.
        Value::Array(values) => values.first().map(text_of).unwrap_or_default(),
        other => other.to_string(),
    }
}
