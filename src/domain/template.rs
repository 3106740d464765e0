//! Text with columns in it, filled in from a row of a table: what captions and prompts have in common.

/// What tables write where there is no value. `NA` stays data in the table; a caption does without it.
pub(crate) const NO_VALUE: [&str; 7] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"];
/// Signs between values, which fall away with them.
pub(crate) const SEPARATORS: [char; 7] = [',', ';', '|', '/', ':', '-', '\u{2013}'];
/// Pairs around a value, which fall away with it.
const PAIRS: [&str; 4] = ["()", "[]", "\"\"", "''"];
/// Signs that end a sentence: no separator stands before them.
const ENDS: [char; 3] = ['.', '!', '?'];
/// Signs with no blank before them.
const CLINGS: [char; 8] = [',', ';', ':', '.', '!', '?', ')', ']'];
/// Signs with no blank behind them.
const OPENS: [char; 2] = ['(', '['];

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// It stands as it is.
    Text(String),
    /// The value of a column stands in its place.
    Column(String),
}

/// A template with a row's values, on one line. Where values are missing, the signs and blanks around them fall away with
/// them.
#[must_use]
pub fn fill<'a>(parts: &[Part], value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut filled = String::new();
    // The text since the last value, and whether a value is missing in it.
    let (mut between, mut has_gap) = (String::new(), false);
    for part in parts {
        match part {
            Part::Text(text) => between.push_str(text),
            Part::Column(name) => match present(value(name)) {
                None => has_gap = true,
                Some(value) => {
                    let is_first = filled.is_empty();
                    filled.push_str(&joint(&between, has_gap, is_first, false));
                    filled.push_str(value);
                    between.clear();
                    has_gap = false;
                }
            },
        }
    }
    let is_first = filled.is_empty();
    filled.push_str(&joint(&between, has_gap, is_first, true));
    one_line(&filled)
}

/// A text on one line, its white space folded.
#[must_use]
pub fn one_line(text: &str) -> String {
    // Most texts are one line already: those are copied once.
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

fn present(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|value| !NO_VALUE.contains(value))
}

/// The text between two values. With values missing in it, what only held those together is taken out: of the signs that
/// meet the first one stays, and none at the caption's ends.
fn joint(text: &str, has_gap: bool, is_first: bool, is_last: bool) -> String {
    if !has_gap {
        return text.to_owned();
    }
    let between_blanks = (text.starts_with(char::is_whitespace), text.ends_with(char::is_whitespace));
    let mut text = one_line(text).replace("( ", "(").replace("[ ", "[");
    for pair in PAIRS {
        text = text.replace(pair, "");
    }
    let mut tidy = String::new();
    for word in text.split_whitespace() {
        if word.starts_with(ENDS) {
            tidy.truncate(tidy.trim_end_matches(is_separator).len());
        }
        if !tidy.is_empty() && !word.starts_with(CLINGS) && !tidy.ends_with(OPENS) {
            tidy.push(' ');
        }
        for c in word.chars() {
            if !(SEPARATORS.contains(&c) && tidy.trim_end().ends_with(SEPARATORS)) {
                tidy.push(c);
            }
        }
        tidy.truncate(tidy.trim_end().len());
    }
    if is_first {
        tidy = tidy.trim_start_matches(|c| is_separator(c) || ENDS.contains(&c)).to_owned();
    }
    if is_last {
        tidy.truncate(tidy.trim_end_matches(is_separator).len());
    }
    // A blank on each side, unless the text had none there or what stands there wants none.
    let front = !is_first && between_blanks.0 && !tidy.starts_with(CLINGS);
    let back = !is_last && between_blanks.1 && !tidy.is_empty() && !tidy.ends_with(OPENS);
    format!("{}{tidy}{}", if front { " " } else { "" }, if back { " " } else { "" })
}

/// Whether a sign holds values together, or is white space.
pub(crate) fn is_separator(c: char) -> bool {
    SEPARATORS.contains(&c) || c.is_whitespace()
}
