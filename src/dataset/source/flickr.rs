//! Flickr30k: `results.csv`, a table with `|` between its columns and five rows a picture.
//!
//! One row of the published table lacks its second `|`: number and comment have a blank between them instead.

use std::path::Path;

use super::csv::{Quotes, next_record};
use super::lines::LineReader;
use super::pictures::Pictures;
use super::{Place, Reader, header, not_of_kind};
use crate::dataset::problem::ProblemKind;
use crate::dataset::rows::{Dataset, Row, one_line};
use crate::domain::Result;

/// The row of this form.
pub static READER: Reader = Reader {
    name: "flickr30k",
    label: "Flickr30k",
    looks_like: "results.csv with the columns image_name| comment_number| comment",
    recognise: |place| find(place).is_some(),
    read,
};

const COLUMNS: [&str; 3] = ["image_name", "comment_number", "comment"];
/// Where its pictures are.
const FOLDERS: [&str; 4] = ["flickr30k_images", "flickr30k-images", "images", ""];

fn find(place: &Place) -> Option<&Path> {
    place.table(&["results.csv"], |_, head| header(head, '|') == COLUMNS)
}

fn read(place: &Place) -> Result<Dataset> {
    let table = find(place).ok_or_else(|| not_of_kind(&READER, place))?.to_path_buf();
    let (mut dataset, pictures) = place.begin(&READER, Some(&table))?;
    dataset.columns = COLUMNS.map(str::to_owned).to_vec();
    let mut lines = LineReader::open(&table)?;
    next_record(&mut lines, '|', Quotes::Letters, None)?;
    while let Some(record) = next_record(&mut lines, '|', Quotes::Letters, None)? {
        dataset.rows_read += 1;
        let values: Vec<&str> = record.values().collect();
        let number_of = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (name, number, comment) = match values.as_slice() {
            [name, number, _, ..] if number_of(number) => {
                // A `|` in the comment is part of it.
                (*name, *number, record.text[record.fields[2].span.start..].to_owned())
            }
            [name, both] => {
                let parts = both.split_once(char::is_whitespace).filter(|(number, _)| number_of(number));
                let Some((number, comment)) = parts else {
                    let sentence = "its second | is missing, and no number begins its comment".to_owned();
                    lines.report(ProblemKind::SkippedRow, record.line, sentence);
                    continue;
                };
                let sentence = "its second | is missing: number and comment were told apart by the blank".to_owned();
                lines.report(ProblemKind::RepairedRow, record.line, sentence);
                (*name, number, comment.to_owned())
            }
            _ => {
                let sentence = "it is not image_name| comment_number| comment".to_owned();
                lines.report(ProblemKind::SkippedRow, record.line, sentence);
                continue;
            }
        };
        take(&mut dataset, &pictures, (name, number, &comment), record.line);
    }
    Ok(dataset.finish(&pictures, lines.problems))
}

fn take(dataset: &mut Dataset, pictures: &Pictures, (name, number, comment): (&str, &str, &str), line: u64) {
    let comment = one_line(comment);
    let row = Row {
        picture: None,
        name: String::new(),
        values: vec![name.to_owned(), number.to_owned(), comment.clone()],
        caption: Some(comment).filter(|comment| !comment.is_empty()),
        repeats: 1,
        line: Some(line),
        is_excluded: false,
    };
    dataset.push_named(pictures, &FOLDERS, name, row);
}
