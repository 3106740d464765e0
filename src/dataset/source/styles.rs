//! Fashion Product Images: `styles.csv` with `images/<id>.jpg`.
//!
//! Names of products hold commas without quotes in some rows, and some copies of the table end their lines with `,,`: from
//! the ninth comma on all is the name.

use std::collections::HashMap;
use std::path::Path;

use super::csv::{Quotes, Record, next_record};
use super::lines::LineReader;
use super::{Place, Reader, header, not_of_kind};
use crate::dataset::problem::ProblemKind;
use crate::dataset::rows::{Dataset, Row};
use crate::domain::Result;

/// The row of this form.
pub static READER: Reader = Reader {
    name: "styles",
    label: "Fashion Product Images",
    looks_like: "styles.csv with the columns id and productDisplayName, and images/<id>.jpg",
    recognise: |place| find(place).is_some(),
    read,
};

/// How captions are made of it where nobody says otherwise.
const TEMPLATE: &str = "{baseColour} {season} {gender} {articleType}, {productDisplayName}";
const ID: &str = "id";
const NAME: &str = "productDisplayName";
/// Where its pictures are.
const FOLDERS: [&str; 2] = ["images", ""];

fn find(place: &Place) -> Option<&Path> {
    place.table(&["styles.csv"], |_, head| {
        let header = header(head, ',');
        header.contains(&ID) && header.contains(&NAME)
    })
}

fn read(place: &Place) -> Result<Dataset> {
    let table = find(place).ok_or_else(|| not_of_kind(&READER, place))?.to_path_buf();
    let (mut dataset, pictures) = place.begin(&READER, Some(&table))?;
    let mut lines = LineReader::open(&table)?;
    let Some(head) = next_record(&mut lines, ',', Quotes::OneLine, None)? else { return Ok(dataset) };
    dataset.columns = head.values().map(str::to_owned).collect();
    while dataset.columns.last().is_some_and(String::is_empty) {
        dataset.columns.pop();
    }
    let (Some(id), Some(_)) = (dataset.column(ID), dataset.column(NAME)) else {
        return Err(not_of_kind(&READER, place));
    };
    if TEMPLATE_COLUMNS.iter().all(|name| dataset.column(name).is_some()) {
        dataset.default_template = Some(TEMPLATE);
    } else {
        dataset.default_template = Some("{productDisplayName}");
    }
    let mut seen: HashMap<String, u64> = HashMap::new();
    while let Some(record) = next_record(&mut lines, ',', Quotes::OneLine, Some(dataset.columns.len()))? {
        dataset.rows_read += 1;
        let Some(values) = values(&mut lines, &record, &dataset.columns) else { continue };
        let id = values[id].clone();
        if let Some(first) = seen.get(&id) {
            let sentence = format!("the id {id} is in line {first} already");
            lines.report(ProblemKind::DuplicateRow, record.line, sentence);
            continue;
        }
        seen.insert(id.clone(), record.line);
        let row = Row {
            picture: None,
            name: String::new(),
            caption: None,
            values,
            repeats: 1,
            line: Some(record.line),
            is_excluded: false,
        };
        let name = match pictures.find_stem(&FOLDERS, &id) {
            Some((name, _)) => name,
            None => format!("images/{id}.jpg"),
        };
        dataset.push_named(&pictures, &[""], &name, row);
    }
    Ok(dataset.finish(&pictures, lines.problems))
}

/// The columns of [`TEMPLATE`].
const TEMPLATE_COLUMNS: [&str; 5] = ["baseColour", "season", "gender", "articleType", NAME];

/// The values of a row, mended where they are too many; `None` when they are too few or there is no id.
fn values(lines: &mut LineReader, record: &Record, columns: &[String]) -> Option<Vec<String>> {
    let count = columns.len();
    let mut values: Vec<String> = record.values().map(str::to_owned).collect();
    if values.len() < count {
        let sentence = format!("it has {} of {count} columns", values.len());
        lines.report(ProblemKind::SkippedRow, record.line, sentence);
        return None;
    }
    if record.fields[count..].iter().any(|field| !field.value.is_empty()) {
        if columns[count - 1] != NAME {
            let sentence =
                format!("it has {} columns in place of {count}, and which ones are too many is not told", values.len());
            lines.report(ProblemKind::SkippedRow, record.line, sentence);
            return None;
        }
        let name = record.text[record.fields[count - 1].span.start..].trim_end_matches([',', ' ']).trim();
        name.clone_into(&mut values[count - 1]);
        let sentence = format!("commas without quotes: the name is \"{name}\"");
        lines.report(ProblemKind::RepairedRow, record.line, sentence);
    }
    values.truncate(count);
    let id = columns.iter().position(|column| column == ID).map(|id| values[id].as_str()).unwrap_or_default();
    if id.is_empty() {
        lines.report(ProblemKind::SkippedRow, record.line, "it has no id".to_owned());
        return None;
    }
    Some(values)
}
