//! What counts as white space and as a part of a word, as the regular expressions of other tools have it.

/// White space, as `\s` of Python: Unicode's, and the four ASCII separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Part of a word, as `\w` of Python.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether this is a plain number: digits with at most one point, after a sign where `signed`.
pub(super) fn is_plain_number(text: &str, signed: bool) -> bool {
    let unsigned = if signed { text.strip_prefix(['+', '-']).unwrap_or(text) } else { text };
    unsigned.bytes().any(|b| b.is_ascii_digit())
        && unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && unsigned.bytes().filter(|&b| b == b'.').count() <= 1
}
