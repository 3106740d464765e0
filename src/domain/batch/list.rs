//! Lines of a text list: a prompt, and flags behind it as kohya's scripts write them:
//! `a red dress --n blurry --w 512 --h 768 --s 30 --l 7.5 --d 42`.

use super::fields::{FIELDS, Field};
use crate::domain::search::nearest;

/// A value that a flag gives.
pub type Flagged = (&'static Field, String);

/// A line as its prompt and its flags; `None` for a blank one and a comment (`#`).
///
/// # Errors
/// When a flag is not known, has no value, or stands there twice.
pub fn read_line(line: &str) -> Option<Result<(String, Vec<Flagged>), String>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut pieces = pieces(line).into_iter();
    let prompt = pieces.next().unwrap_or_default().trim().to_owned();
    let mut flags: Vec<Flagged> = Vec::new();
    for piece in pieces {
        let (name, value) = piece.split_once(char::is_whitespace).unwrap_or((piece, ""));
        let Some(field) = Field::of_flag(name) else { return Some(Err(unknown(name))) };
        let value = value.trim();
        if value.is_empty() {
            return Some(Err(format!("--{name} has no value behind it")));
        }
        if flags.iter().any(|(other, _)| std::ptr::eq(*other, field)) {
            return Some(Err(format!("--{name} says the {} a second time", field.about)));
        }
        flags.push((field, value.to_owned()));
    }
    Some(Ok((prompt, flags)))
}

/// The columns of a list whose lines give these fields: the prompt first.
#[must_use]
pub fn list_columns(given: &[&'static Field]) -> Vec<&'static Field> {
    FIELDS.iter().filter(|field| field.name == "prompt" || given.contains(field)).collect()
}

/// The text before the first flag, then each flag without its `--`. A flag begins the line or stands behind a blank, with
/// a letter behind it: any other `--` is text.
fn pieces(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut begun = 0;
    for (at, _) in line.match_indices("--") {
        let follows_blank = line[..at].chars().next_back().is_none_or(char::is_whitespace);
        let has_name = line[at + 2..].starts_with(|c: char| c.is_ascii_alphabetic());
        if follows_blank && has_name {
            pieces.push(&line[begun..at]);
            begun = at + 2;
        }
    }
    pieces.push(&line[begun..]);
    pieces
}

fn unknown(name: &str) -> String {
    let names = FIELDS.iter().flat_map(Field::flags);
    match nearest(name, names) {
        Some(near) if name.len() > 2 => format!("there is no flag --{name}: did you mean --{near}?"),
        _ => format!(
            "there is no flag --{name}; those of a line are --n negative prompt, --w width, --h height, --s steps, \
             --l guidance, --d seed, --ss sampler, and the fields by their names"
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Flags = Vec<(&'static str, String)>;

    fn read(line: &str) -> Result<(String, Flags), String> {
        let (prompt, flags) = read_line(line).unwrap()?;
        Ok((prompt, flags.into_iter().map(|(field, value)| (field.name, value)).collect()))
    }

    #[test]
    fn flags_of_kohyas_are_read() {
        let line = "a red dress, linen --n blurry, low quality --w 512 --h 768 --s 30 --l 7.5 --d 42 --ss euler_a";
        let flags = [
            ("negative_prompt", "blurry, low quality"),
            ("width_px", "512"),
            ("height_px", "768"),
            ("num_inference_steps", "30"),
            ("guidance_scale", "7.5"),
            ("seed", "42"),
            ("sampler", "euler_a"),
        ];
        let flags = flags.map(|(name, value)| (name, value.to_owned())).to_vec();
        assert_eq!(read(line), Ok(("a red dress, linen".to_owned(), flags)));
        assert_eq!(read("x --steps 3 --CFG_scale 2").unwrap().1.len(), 2, "fields by their names");
        assert_eq!(read("--n nothing before it").unwrap().0, "");
        assert!(read_line("  ").is_none() && read_line("# a note").is_none());
    }

    #[test]
    fn dashes_in_a_prompt_stay_and_wrong_flags_are_named() {
        assert_eq!(read("a dress -- red, knee--length --5").unwrap().0, "a dress -- red, knee--length --5");
        assert!(read("a dress --ar 3:2").unwrap_err().contains("no flag --ar"));
        assert!(read("a dress --stepz 3").unwrap_err().contains("did you mean --steps?"));
        assert!(read("a dress --w").unwrap_err().contains("no value"));
        assert!(read("a dress --w 64 --width 64").unwrap_err().contains("second time"));
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "(?s)[-a-z #é\u{a0}]{0,40}") {
            let _ = read_line(&line);
        }
    }
}
