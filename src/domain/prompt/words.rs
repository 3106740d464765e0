//! Words that stand for an embedding: where they stand in a text, and putting them in and taking them out.

use std::ops::Range;

/// Where a name stands in a text: regardless of case, and not within a longer word.
#[must_use]
pub fn find_word(text: &str, name: &str) -> Option<Range<usize>> {
    // Most places are passed over by their first letter: a window asks for hundreds of words in every frame.
    let first = name.chars().next()?.to_lowercase().next();
    let begins = text.char_indices().filter(|(_, c)| c.to_lowercase().next() == first);
    // Lower case may have other lengths in bytes, so that positions are found in the text itself.
    begins.map(|(at, _)| at).find_map(|at| {
        let end = ends_at(&text[at..], name).map(|length| at + length)?;
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let inside = (is_part(text[..at].chars().next_back()) && is_part(name.chars().next()))
            || (is_part(text[end..].chars().next()) && is_part(name.chars().next_back()));
        (!inside).then_some(at..end)
    })
}

/// Every place where a name stands in a text.
#[must_use]
pub fn find_words(text: &str, name: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = find_word(&text[from..], name) {
        // What is cut off may be a part of the word: it is looked at whole.
        let range = from + at.start..from + at.end;
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let joined = is_part(text[..range.start].chars().next_back()) && is_part(name.chars().next());
        from = range.end;
        if !joined {
            found.push(range);
        }
    }
    found
}

/// The text with a word at its end, behind a comma; as it is where the word is in it.
#[must_use]
pub fn with_word(text: &str, name: &str) -> String {
    if find_word(text, name).is_some() {
        return text.to_owned();
    }
    let text = text.trim_end();
    let between = match text.chars().next_back() {
        None => "",
        Some(',') => " ",
        Some(_) => ", ",
    };
    format!("{text}{between}{name}")
}

/// The text without a word, wherever it stands in it, and without the comma that led to it.
#[must_use]
pub fn without_word(text: &str, name: &str) -> String {
    let mut text = text.to_owned();
    while let Some(found) = find_word(&text, name) {
        let (before, after) = (text[..found.start].trim_end_matches(' '), &text[found.end..]);
        let rest = after.trim_start_matches(' ');
        text = match (before.strip_suffix(','), rest.strip_prefix(',')) {
            // At the end, or with a comma behind it that goes on separating.
            (Some(before), _) if rest.is_empty() || rest.starts_with(',') => format!("{before}{rest}"),
            (None, Some(rest)) if before.is_empty() => rest.trim_start_matches(' ').to_owned(),
            _ if rest.is_empty() => before.to_owned(),
            _ => format!("{}{after}", &text[..found.start]),
        };
    }
    text
}

/// How many bytes of the beginning of `text` are `name` in other cases.
fn ends_at(text: &str, name: &str) -> Option<usize> {
    let mut wanted = name.chars().flat_map(char::to_lowercase).peekable();
    let mut length = 0;
    for c in text.chars() {
        if wanted.peek().is_none() {
            break;
        }
        for lower in c.to_lowercase() {
            if wanted.next() != Some(lower) {
                return None;
            }
        }
        length += c.len_utf8();
    }
    wanted.peek().is_none().then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_put_in_once_and_taken_out_whole() {
        for (text, with) in [
            ("", "ink"),
            ("a cat", "a cat, ink"),
            ("a cat, ", "a cat, ink"),
            ("an INK cat", "an INK cat"),
            ("inky", "inky, ink"),
        ] {
            assert_eq!(with_word(text, "ink"), with, "{text}");
        }
        for (text, without) in [
            ("ink", ""),
            ("a cat, ink", "a cat"),
            ("ink, a cat", "a cat"),
            ("a cat, ink, a dog", "a cat, a dog"),
            ("(ink:1.2) cat", "(:1.2) cat"),
            ("ink, Ink", ""),
            ("inky", "inky"),
        ] {
            assert_eq!(without_word(text, "ink"), without, "{text}");
        }
    }

    #[test]
    fn every_place_is_found() {
        assert_eq!(find_words("ink, inky INK.ink", "ink"), [0..3, 10..13, 14..17]);
        assert!(find_words("", "ink").is_empty());
    }

    #[test]
    fn words_are_found_as_words() {
        for (text, name, expected) in [
            ("a photo of MyCat, sharp", "mycat", Some(11..16)),
            ("mycats and mycat", "mycat", Some(11..16)),
            ("my_mycat", "mycat", None),
            ("<Cat-Toy> here", "<cat-toy>", Some(0..9)),
            ("x<cat>y", "<cat>", Some(1..6)),
            ("straße", "strasse", None),
            ("ÄÖ ä", "ä", Some(5..7)),
            ("a", "", None),
            ("", "a", None),
        ] {
            assert_eq!(find_word(text, name), expected, "{name} in {text}");
        }
    }
}
