//! [`Metadata`]: a `metadata.jsonl` whose rows are changed by hand. What is not changed stays as it is, to the byte.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::files::{self, Keep};
use super::source::{EDITED, EXCLUDED, FILE_NAME, unreadable};
use crate::domain::dataset::RowChange;
use crate::domain::{Result, UserError, safe_path};

/// The largest file that is changed.
const MAX_BYTES: u64 = 1 << 30;

/// A table in JSON lines, in memory, with what tells whether somebody else has written to the file meanwhile.
#[derive(Debug)]
pub struct Metadata {
    path: PathBuf,
    caption_column: String,
    /// As they stand in the file, without their line feeds.
    lines: Vec<String>,
    seen: Option<Seen>,
}

/// A file as it was when it was read or written last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Seen {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { bytes: metadata.len(), modified: metadata.modified().ok() })
    }
}

impl Metadata {
    /// Reads a table whose captions are in a column.
    ///
    /// # Errors
    /// When it cannot be read, is no UTF-8, or has more than 1 GiB.
    pub fn open(path: &Path, caption_column: &str) -> Result<Self> {
        let seen = Seen::of(path);
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(UserError::input("This table has more than 1 GiB and cannot be changed here").path(path));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            UserError::input("This table is no UTF-8, so that its captions cannot be changed here")
                .hint("prepare the data set into a folder of its own: that one is UTF-8")
                .path(path)
        })?;
        let lines = text.split('\n').map(str::to_owned).collect();
        Ok(Self { path: path.to_path_buf(), caption_column: caption_column.to_owned(), lines, seen })
    }

    /// Changes rows in memory. None is changed where one of them cannot be.
    ///
    /// # Errors
    /// When a line is not there or is no JSON object.
    pub fn change(&mut self, changes: &[RowChange]) -> Result<()> {
        let changed: Vec<(usize, String)> = changes.iter().map(|change| self.changed(change)).collect::<Result<_>>()?;
        for (place, line) in changed {
            self.lines[place] = line;
        }
        Ok(())
    }

    /// The place of a row's line, and the line as it becomes.
    fn changed(&self, change: &RowChange) -> Result<(usize, String)> {
        let gone = || {
            UserError::failed(format!("Line {} of this table is not what it was", change.line))
                .hint("read the data set again")
                .path(&self.path)
        };
        let place = usize::try_from(change.line).ok().and_then(|line| line.checked_sub(1)).ok_or_else(gone)?;
        let line = self.lines.get(place).ok_or_else(gone)?;
        let text = line.trim_start_matches('\u{feff}');
        let mark = &line[..line.len() - text.len()];
        let end = if text.ends_with('\r') { "\r" } else { "" };
        let mut row: Map<String, Value> = serde_json::from_str(text).map_err(|_| gone())?;
        let name = row.get(FILE_NAME).and_then(Value::as_str).unwrap_or_default();
        if safe_path(name).ok().as_deref() != Some(change.name.as_str()) {
            return Err(gone());
        }
        let before = row.get(&self.caption_column).and_then(Value::as_str).unwrap_or_default();
        if before != change.caption {
            row.insert(self.caption_column.clone(), json!(change.caption));
            row.insert(EDITED.to_owned(), json!(true));
        }
        if change.is_excluded {
            row.insert(EXCLUDED.to_owned(), json!(true));
        } else {
            row.remove(EXCLUDED);
        }
        Ok((place, format!("{mark}{}{end}", Value::Object(row))))
    }

    /// Writes the table in place of the one that is there: the old one or the new one is there at any moment.
    ///
    /// # Errors
    /// When somebody else has written to it since it was read, or it cannot be written. The file is then as it was.
    pub fn save(&mut self) -> Result<()> {
        if Seen::of(&self.path) != self.seen {
            return Err(UserError::input("Another program has changed this table meanwhile, so nothing was written")
                .hint("read the data set again, and make the change once more")
                .path(&self.path));
        }
        files::write(&self.path, self.lines.join("\n").as_bytes(), Keep::Surely)?;
        self.seen = Seen::of(&self.path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dataset::source;

    fn change(line: u64, caption: &str, is_excluded: bool) -> RowChange {
        let name = if line == 4 { "b.png" } else { "a.png" }.to_owned();
        RowChange { line, name, caption: caption.to_owned(), is_excluded }
    }

    const TABLE: &str = concat!(
        "\u{feff}{\"file_name\": \"a.png\",  \"text\": \"one\", \"mine\": [1, 2]}\r\n",
        "no JSON at all\n",
        "\n",
        "{\"file_name\": \"b.png\", \"text\": \"two\"}",
    );

    fn table(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.jsonl");
        fs::write(&path, text).unwrap();
        for name in ["a.png", "b.png"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        (folder, path)
    }

    #[test]
    fn one_line_is_changed_and_the_others_stay_to_the_byte() {
        let (folder, path) = table(TABLE);
        let mut metadata = Metadata::open(&path, "text").unwrap();
        metadata.change(&[change(1, "a \"new\" one", true)]).unwrap();
        metadata.save().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split('\n').collect();
        assert!(lines[0].starts_with("\u{feff}{") && lines[0].ends_with("}\r"), "{text}");
        assert_eq!(lines[1..], TABLE.split('\n').collect::<Vec<_>>()[1..]);
        let row: Value = serde_json::from_str(lines[0].trim_start_matches('\u{feff}')).unwrap();
        assert_eq!(
            (&row["text"], &row["mine"], &row[EXCLUDED]),
            (&json!("a \"new\" one"), &json!([1, 2]), &json!(true))
        );
        // The reader knows it, and what was done by hand is no column.
        let dataset = source::read(folder.path(), None).unwrap();
        assert_eq!(dataset.rows.iter().map(|row| row.is_excluded).collect::<Vec<_>>(), [true, false]);
        assert_eq!(dataset.columns, ["file_name", "mine", "text"]);
        assert_eq!(dataset.caption_column.as_deref(), Some("text"));
        // Taken in again, and nothing else is lost.
        metadata.change(&[change(1, "a \"new\" one", false), change(4, "three", false)]).unwrap();
        metadata.save().unwrap();
        let dataset = source::read(folder.path(), None).unwrap();
        let captions: Vec<_> =
            dataset.rows.iter().map(|row| (row.caption.as_deref().unwrap(), row.is_excluded)).collect();
        assert_eq!(captions, [("a \"new\" one", false), ("three", false)]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing half written is left");
    }

    #[test]
    fn what_somebody_else_wrote_is_not_written_over() {
        let (_folder, path) = table(TABLE);
        let mut metadata = Metadata::open(&path, "text").unwrap();
        fs::write(&path, "{\"file_name\": \"a.png\", \"text\": \"theirs\"}").unwrap();
        metadata.change(&[change(1, "mine", false)]).unwrap();
        assert_eq!(metadata.save().unwrap_err().exit_code(), 2);
        assert!(fs::read_to_string(&path).unwrap().contains("theirs"));
    }

    #[test]
    fn all_changes_or_none() {
        let (_folder, path) = table(TABLE);
        let mut metadata = Metadata::open(&path, "text").unwrap();
        for line in [0, 2, 3, 5, u64::MAX] {
            assert!(metadata.change(&[change(1, "x", false), change(line, "y", false)]).is_err(), "{line}");
        }
        let other = RowChange { name: "b.png".to_owned(), ..change(1, "x", false) };
        assert!(metadata.change(&[other]).is_err(), "another row stands there now");
        metadata.save().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), TABLE);
        fs::write(&path, b"caf\xe9").unwrap();
        assert_eq!(Metadata::open(&path, "text").unwrap_err().exit_code(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_caption_comes_back(captions in prop::collection::vec("(?s).{0,40}", 1..6), which in any::<prop::sample::Index>()) {
            let (folder, path) = table(&captions.iter().map(|_| "{\"file_name\": \"a.png\"}\n").collect::<String>());
            let mut metadata = Metadata::open(&path, "text").unwrap();
            let place = which.index(captions.len());
            for (line, caption) in (1..).zip(&captions) {
                metadata.change(&[RowChange { name: "a.png".to_owned(), ..change(line, caption, line == place as u64 + 1) }]).unwrap();
            }
            metadata.save().unwrap();
            let dataset = source::read(folder.path(), None).unwrap();
            for (row, caption) in dataset.rows.iter().zip(&captions) {
                prop_assert_eq!(row.caption.clone().unwrap_or_default(), crate::dataset::one_line(caption));
            }
            prop_assert_eq!(dataset.rows.iter().position(|row| row.is_excluded), Some(place));
        }
    }
}
