//! Find and replace in captions, whatever the case.

use std::ops::Range;

/// Whether a text holds another; an empty one is in all.
#[must_use]
pub fn is_in(text: &str, wanted: &str, match_case: bool) -> bool {
    if wanted.is_empty() {
        return true;
    }
    if match_case {
        return text.contains(wanted);
    }
    if text.is_ascii() && wanted.is_ascii() {
        return text.as_bytes().windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted.as_bytes()));
    }
    next_match(text, 0, wanted).is_some()
}

/// Where a text holds another next, whatever the case.
fn next_match(text: &str, from: usize, wanted: &str) -> Option<Range<usize>> {
    let places = text[from..].char_indices().map(|(at, _)| from + at);
    places.into_iter().find_map(|at| Some(at..at + match_length(&text[at..], wanted)?))
}

/// How much of a text's beginning is another, whatever the case. A letter may become several in lower case: all of it
/// counts or none.
fn match_length(text: &str, wanted: &str) -> Option<usize> {
    let mut wanted = wanted.chars().flat_map(char::to_lowercase).peekable();
    for (at, c) in text.char_indices() {
        if wanted.peek().is_none() {
            return Some(at);
        }
        for lower in c.to_lowercase() {
            if wanted.next() != Some(lower) {
                return None;
            }
        }
    }
    wanted.peek().is_none().then_some(text.len())
}

/// A text with another put in the place of all that is searched, from the left; none of them overlap.
#[must_use]
pub fn replace_all(text: &str, wanted: &str, replacement: &str, match_case: bool) -> String {
    if match_case {
        return text.replace(wanted, replacement);
    }
    let (mut replaced, mut from) = (String::new(), 0);
    while let Some(found) = next_match(text, from, wanted).filter(|found| !found.is_empty()) {
        replaced.push_str(&text[from..found.start]);
        replaced.push_str(replacement);
        from = found.end;
    }
    replaced.push_str(&text[from..]);
    replaced
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_found_and_replaced_whatever_the_case() {
        for (text, wanted, made) in [
            ("A red Dress, RED shoes", "red", "A X Dress, X shoes"),
            ("aaaa", "aa", "XX"),
            ("Straße STRASSE", "strasse", "Straße X"),
            // The dotted capital I is two letters in lower case: a match ends behind both or is none.
            ("İstanbul", "i", "İstanbul"),
            ("İstanbul", "i\u{307}s", "Xtanbul"),
            ("ÉTÉ été", "été", "X X"),
            ("", "a", ""),
        ] {
            assert_eq!(replace_all(text, wanted, "X", false), made, "{text}");
            assert_eq!(is_in(text, wanted, false), text != made, "{text}");
        }
        assert_eq!(replace_all("Red red", "red", "blue", true), "Red blue");
        assert!(is_in("anything", "", true) && !is_in("Red", "red", true));
    }

    proptest! {
        #[test]
        fn what_was_replaced_is_not_found_again(text in "[abAB éÉİß]{0,30}", wanted in "[abAB éÉİß]{1,4}") {
            let replaced = replace_all(&text, &wanted, "#", false);
            let is_whole = replaced == text;
            prop_assert_eq!(is_whole, !is_in(&text, &wanted, false));
            // Two pieces that meet over the sign are another matter: it stands between them.
            prop_assert!(!replaced.split('#').any(|piece| is_in(piece, &wanted, false)));
        }
    }
}
