//! [`ByHand`]: what somebody did to the rows of a prepared data set, so that preparing it again does not undo it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use serde_json::Value;

use crate::dataset::source::{EDITED, EXCLUDED, unreadable};
use crate::domain::Result;

/// What was done to one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The caption, where one was written.
    pub caption: Option<String>,
    /// Whether it is set aside.
    pub is_excluded: bool,
}

/// What was done to all rows: known by a row's picture, and by which of that picture's rows it is.
#[derive(Debug, Default)]
pub struct ByHand {
    rows: HashMap<String, Vec<Kept>>,
    /// How many rows of a picture were asked for.
    asked: HashMap<String, usize>,
}

impl ByHand {
    /// Reads the table of an earlier run. Without one there is nothing to keep.
    ///
    /// # Errors
    /// When it is there and cannot be read: what is in it would be lost.
    pub fn read(metadata: &Path) -> Result<Self> {
        let mut found = Self::default();
        let file = match File::open(metadata) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(unreadable(metadata, &error)),
        };
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|error| unreadable(metadata, &error))?;
            let Ok(row) = serde_json::from_slice::<Value>(&line) else { continue };
            let Some(name) = row.get("file_name").and_then(Value::as_str) else { continue };
            let is = |column: &str| row.get(column) == Some(&Value::Bool(true));
            let caption = row.get("text").and_then(Value::as_str).filter(|_| is(EDITED));
            let kept = Kept { caption: caption.map(str::to_owned), is_excluded: is(EXCLUDED) };
            found.rows.entry(name.to_owned()).or_default().push(kept);
        }
        // Most pictures were never touched.
        found.rows.retain(|_, rows| rows.iter().any(|row| *row != Kept::default()));
        Ok(found)
    }

    /// What was done to a picture's next row.
    pub fn next(&mut self, file: &str) -> Kept {
        let Some(rows) = self.rows.get(file) else { return Kept::default() };
        let place = self.asked.entry(file.to_owned()).or_default();
        *place += 1;
        rows.get(*place - 1).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_picture_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.jsonl");
        assert_eq!(ByHand::read(&path).unwrap().next("a.jpg"), Kept::default());
        let table = concat!(
            "{\"file_name\": \"a.jpg\", \"text\": \"as it was\"}\n",
            "{\"file_name\": \"a.jpg\", \"text\": \"mine\", \"edited\": true}\n",
            "{\"file_name\": \"b.jpg\", \"text\": \"b\", \"excluded\": true}\n",
            "{\"file_na",
        );
        std::fs::write(&path, table).unwrap();
        let mut by_hand = ByHand::read(&path).unwrap();
        let mine = Kept { caption: Some("mine".to_owned()), is_excluded: false };
        assert_eq!(
            [by_hand.next("a.jpg"), by_hand.next("a.jpg"), by_hand.next("a.jpg")],
            [Kept::default(), mine, Kept::default()]
        );
        assert_eq!(by_hand.next("b.jpg"), Kept { caption: None, is_excluded: true });
        assert_eq!(by_hand.next("c.jpg"), Kept::default());
    }
}
