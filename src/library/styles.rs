//! The file of prompt styles, and reading those of stable-diffusion-webui (`styles.csv`). A file that cannot be read is kept
//! aside, never silently replaced.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::atomic;
use super::paths::file_name;
use super::settings::rename_aside;
use super::text_file::read_text;
use crate::domain::prompt::PromptStyle;
use crate::domain::{Result, UserError};

/// No file of styles is near this; a larger one is something else.
const MAX_BYTES: u64 = 16 << 20;
/// The version of the file's form.
const FORMAT: u32 = 1;

/// The file.
#[derive(Serialize, Deserialize)]
struct StylesFile {
    format: u32,
    styles: Vec<PromptStyle>,
}

/// The styles, and what was wrong with their file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedStyles {
    /// In the user's order.
    pub styles: Vec<PromptStyle>,
    /// To be shown: the file was broken, and where it is kept.
    pub problem: Option<UserError>,
}

/// Reads the styles. No file means none yet.
#[must_use]
pub fn load(path: &Path) -> LoadedStyles {
    let read = match read_text(path, MAX_BYTES) {
        Ok(None) => return LoadedStyles::default(),
        Ok(Some(text)) => serde_json::from_str::<StylesFile>(&text).map_err(|error| error.to_string()),
        Err(reason) => Err(reason),
    };
    let reason = match read {
        Ok(file) if file.format == FORMAT => return LoadedStyles { styles: file.styles, problem: None },
        Ok(file) => format!("a newer Atelier made it (version {} of its form)", file.format),
        Err(reason) => reason,
    };
    let error = UserError::failed(format!("The styles could not be read: {reason}"));
    let problem = match rename_aside(path, "broken") {
        Ok(kept) => error.hint(format!("there are none now; the file is kept as {}", file_name(&kept))).path(kept),
        Err(rename) => {
            let hint = format!("move the file away before you change a style: it could not be kept aside ({rename})");
            error.hint(hint).path(path)
        }
    };
    LoadedStyles { styles: Vec::new(), problem: Some(problem) }
}

/// Writes the styles atomically.
///
/// # Errors
/// When the file cannot be written; the old one is then as it was.
pub fn save(path: &Path, styles: &[PromptStyle]) -> Result<()> {
    let file = StylesFile { format: FORMAT, styles: styles.to_vec() };
    let mut text = serde_json::to_string_pretty(&file)
        .map_err(|error| UserError::failed(format!("Could not write the styles: {error}")).path(path))?;
    text.push('\n');
    atomic::write(path, text.as_bytes())
}

/// Reads the styles of a `styles.csv` of stable-diffusion-webui, or of a file of our own. The second value is how many rows
/// were no styles: without a name, or dividers of its list.
///
/// # Errors
/// When the file cannot be read, or is neither.
pub fn import(path: &Path) -> Result<(Vec<PromptStyle>, usize)> {
    let cannot = |reason: String| {
        UserError::input(format!("The styles could not be read: {reason}"))
            .hint("a styles.csv has the columns name, prompt and negative_prompt")
            .path(path)
    };
    let text = read_text(path, MAX_BYTES).map_err(cannot)?.ok_or_else(|| cannot("there is no such file".to_owned()))?;
    if let Ok(file) = serde_json::from_str::<StylesFile>(&text) {
        return Ok((file.styles, 0));
    }
    read_csv(&text).map_err(cannot)
}

fn read_csv(text: &str) -> std::result::Result<(Vec<PromptStyle>, usize), String> {
    let mut rows = rows(text).into_iter();
    let headers = rows.next().unwrap_or_default();
    let column = |names: &[&str]| headers.iter().position(|header| names.contains(&header.trim()));
    let Some(name_column) = column(&["name"]) else { return Err("it has no column called name".to_owned()) };
    // Its first versions called the prompt text.
    let Some(prompt_column) = column(&["prompt", "text"]) else {
        return Err("it has no column called prompt".to_owned());
    };
    let negative_column = column(&["negative_prompt"]);
    let (mut styles, mut skipped) = (Vec::new(), 0);
    for row in rows {
        let field = |column: usize| row.get(column).cloned().unwrap_or_default();
        let style = PromptStyle {
            name: field(name_column).trim().to_owned(),
            prompt: field(prompt_column),
            negative_prompt: negative_column.map(field).unwrap_or_default(),
        };
        // A row of a name alone is a heading in its list.
        let says_something = !style.prompt.is_empty() || !style.negative_prompt.is_empty();
        if says_something && !style.name.is_empty() {
            styles.push(style);
        } else {
            skipped += 1;
        }
    }
    Ok((styles, skipped))
}

/// The rows of a table with commas (RFC 4180); blank lines are none. A quote that nothing closes reaches to the end.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (mut row, mut field) = (Vec::new(), String::new());
    let mut is_quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() => is_quoted = true,
            c if is_quoted => field.push(c),
            ',' => row.push(std::mem::take(&mut field)),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c => field.push(c),
        }
    }
    row.push(field);
    rows.push(row);
    rows.retain(|row| row.iter().any(|field| !field.is_empty()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(name: &str, prompt: &str, negative: &str) -> PromptStyle {
        PromptStyle { name: name.to_owned(), prompt: prompt.to_owned(), negative_prompt: negative.to_owned() }
    }

    #[test]
    fn what_is_saved_is_loaded_and_a_broken_file_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("not there yet/styles.json");
        assert_eq!(load(&path), LoadedStyles::default());
        let styles = vec![style("Ink", "{prompt}, \"ink\"\n絹", "blurry"), style("Empty", "", "")];
        save(&path, &styles).unwrap();
        assert_eq!(load(&path), LoadedStyles { styles: styles.clone(), problem: None });
        assert_eq!(import(&path).unwrap(), (styles, 0));
        for broken in ["{", "[]", "{\"format\": 2, \"styles\": []}"] {
            std::fs::write(&path, broken).unwrap();
            let problem = load(&path).problem.expect("it is told");
            let kept = problem.path.expect("it is kept");
            assert_eq!(std::fs::read_to_string(kept).unwrap(), broken);
            assert!(!path.exists());
        }
    }

    /// As stable-diffusion-webui v1.10 writes it, with a divider, and its first form.
    #[test]
    fn another_programs_styles_are_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("styles.csv");
        let text = "\u{feff}name,prompt,negative_prompt\r\n------ Mine ------,,\r\nInk,\"{prompt}, \"\"ink\"\",\nsharp\",blurry\r\n\
                    ,orphan,\r\nShort,a photo\r\n";
        std::fs::write(&path, text).unwrap();
        let expected = vec![style("Ink", "{prompt}, \"ink\",\nsharp", "blurry"), style("Short", "a photo", "")];
        assert_eq!(import(&path).unwrap(), (expected, 2));
        std::fs::write(&path, "name,text\nOld,old photo\n").unwrap();
        assert_eq!(import(&path).unwrap(), (vec![style("Old", "old photo", "")], 0));
        for wrong in ["", "a,b\n1,2\n", "{\"format\": 1}"] {
            std::fs::write(&path, wrong).unwrap();
            let error = import(&path).unwrap_err();
            assert!(error.hint.is_some() && error.path.is_some(), "{wrong}");
        }
        assert!(import(&home.path().join("gone.csv")).is_err());
    }
}
