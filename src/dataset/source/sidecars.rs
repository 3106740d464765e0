//! A folder of pictures with captions in `.txt` files beside them.

use super::lines::LineReader;
use super::pictures::{Pictures, stem};
use super::{Place, Reader};
use crate::dataset::problem::ProblemKind;
use crate::dataset::rows::{Dataset, Row, one_line};
use crate::domain::Result;

/// The row of this form. Any folder of pictures is one, with or without captions, so that it stands last.
pub static READER: Reader = Reader {
    name: "folder",
    label: "pictures with .txt captions",
    looks_like: "a folder of pictures, with captions in .txt files of the same names",
    recognise: |place| !place.is_table && Pictures::below(&place.root).is_ok_and(|found| found.all().next().is_some()),
    read,
};

/// How much of a caption file is the caption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caption {
    /// Its first line.
    FirstLine,
    /// All of it, on one line.
    Whole,
}

/// The most lines of a caption.
const MAX_LINES: usize = 1000;

fn read(place: &Place) -> Result<Dataset> {
    let (mut dataset, pictures) = place.begin(&READER, None)?;
    dataset.columns = vec!["caption".to_owned()];
    for (name, path) in pictures.all() {
        dataset.rows_read += 1;
        let caption = caption_beside(&mut dataset, &pictures, name, Caption::Whole);
        if caption.is_none() {
            dataset.problem(ProblemKind::EmptyCaption, None, path, format!("{name} has no caption"));
        }
        dataset.rows.push(Row {
            picture: Some(path.to_path_buf()),
            name: name.to_owned(),
            values: vec![caption.clone().unwrap_or_default()],
            caption,
            repeats: 1,
            line: None,
            is_excluded: false,
        });
    }
    report_orphans(&mut dataset, &pictures);
    Ok(dataset.finish(&pictures, Vec::new()))
}

/// The caption in the file beside a picture; `None` when there is no such file or nothing in it.
pub(super) fn caption_beside(dataset: &mut Dataset, pictures: &Pictures, name: &str, how: Caption) -> Option<String> {
    let (_, path) = pictures.caption_of(name)?;
    let mut text = String::new();
    let read = LineReader::open(path).and_then(|mut lines| {
        for _ in 0..MAX_LINES {
            let Some(line) = lines.next_line()? else { break };
            text.push_str(&line.text);
            text.push('\n');
            if how == Caption::FirstLine {
                break;
            }
        }
        Ok(lines.problems)
    });
    match read {
        Ok(problems) => dataset.problems.extend(problems),
        Err(error) => dataset.problem(ProblemKind::SkippedRow, None, path, error.sentence),
    }
    Some(one_line(&text)).filter(|caption| !caption.is_empty())
}

/// Notes the caption files without a picture.
pub(super) fn report_orphans(dataset: &mut Dataset, pictures: &Pictures) {
    for (name, path) in pictures.all_captions() {
        if pictures.find_stem(&[""], stem(name)).is_none() {
            dataset.problem(ProblemKind::CaptionWithoutPicture, None, path, format!("{name} has no picture beside it"));
        }
    }
}
