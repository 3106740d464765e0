//! kohya's folders: `<repeats>_<class tokens>/` with pictures and, beside them, captions in `.txt` or `.caption`.
//!
//! As in sd-scripts, a caption is the first line of its file, a picture without one has the class tokens as its caption, and
//! a folder whose name begins with no number is not read.

use std::collections::BTreeMap;

use super::sidecars::{Caption, caption_beside, report_orphans};
use super::{Place, Reader};
use crate::dataset::problem::ProblemKind;
use crate::dataset::rows::{Dataset, Row};
use crate::domain::Result;

/// The row of this form.
pub static READER: Reader = Reader {
    name: "kohya",
    label: "kohya folders",
    looks_like: "folders named like 10_dress: how often each picture is shown, and what it shows",
    recognise: |place| !place.is_table && place.folders.iter().any(|folder| repeats(folder).is_some()),
    read,
};

/// The most repeats that make sense; more is a year or an id in a folder's name.
const MAX_REPEATS: u32 = 10_000;

/// What a folder's name says: `10_red dress` is shown ten times.
fn repeats(folder: &str) -> Option<(u32, &str)> {
    let (number, class) = folder.split_once('_')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| number.parse().ok()).flatten()?;
    (1..=MAX_REPEATS).contains(&number).then_some((number, class.trim()))
}

fn read(place: &Place) -> Result<Dataset> {
    let (mut dataset, pictures) = place.begin(&READER, None)?;
    dataset.columns = ["class", "caption"].map(str::to_owned).to_vec();
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    for (name, path) in pictures.all() {
        // sd-scripts reads the pictures directly in a folder, none deeper.
        let read = match name.split('/').collect::<Vec<_>>().as_slice() {
            [folder, _] => repeats(folder),
            _ => None,
        };
        let Some((repeats, class)) = read else {
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            *skipped.entry(folder.to_owned()).or_default() += 1;
            continue;
        };
        dataset.rows_read += 1;
        let written = caption_beside(&mut dataset, &pictures, name, Caption::FirstLine);
        if written.is_none() {
            let sentence = format!("{name} has no caption: its folder's \"{class}\" is taken");
            dataset.problem(ProblemKind::EmptyCaption, None, path, sentence);
        }
        let caption = written.clone().or_else(|| Some(class.to_owned()).filter(|class| !class.is_empty()));
        dataset.rows.push(Row {
            picture: Some(path.to_path_buf()),
            name: name.to_owned(),
            values: vec![class.to_owned(), caption.clone().unwrap_or_default()],
            caption,
            repeats,
            line: None,
            is_excluded: false,
        });
    }
    for (folder, count) in skipped {
        let sentence = if folder.is_empty() {
            format!("{count} pictures lie in no folder with a number before its name")
        } else {
            format!("the name of {folder} is not a number, _ and words: {count} pictures in it are not read")
        };
        let path = dataset.root.join(&folder);
        dataset.problem(ProblemKind::SkippedFolder, None, &path, sentence);
    }
    report_orphans(&mut dataset, &pictures);
    Ok(dataset.sorted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_say_how_often_and_what() {
        assert_eq!(repeats("10_red dress"), Some((10, "red dress")));
        assert_eq!(repeats("1_"), Some((1, "")));
        for folder in ["dress", "_dress", "x1_dress", "0_dress", "-1_dress", "99999999999_dress", "10", "10001_x"] {
            assert_eq!(repeats(folder), None, "{folder}");
        }
    }
}
