//! Texts as the index of words takes them: the same for what is kept and for what is looked for.

/// Letters and digits of a text, everything else as spaces; scripts without spaces between words letter by letter.
///
/// `SQLite`'s `unicode61` takes a run of letters for one word, so that nothing but its beginning would be found in a
/// Japanese sentence. Letter by letter, what is looked for is a phrase of single letters, and is found anywhere.
pub(super) fn searchable(text: &str) -> String {
    let mut searchable = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_without_spaces(c) {
            searchable.extend([' ', c, ' ']);
        } else if c.is_alphanumeric() || is_combining(c) {
            searchable.push(c);
        } else {
            searchable.push(' ');
        }
    }
    searchable
}

/// Words that follow one another as an expression of FTS5; `None` where there are none.
///
/// Nothing but letters, digits and spaces stands between the quotation marks, so that nothing typed can mean anything
/// to FTS5.
pub(super) fn phrase(columns: &str, text: &str, is_prefix: bool) -> Option<String> {
    let searchable = searchable(text);
    let words = searchable.trim();
    if words.is_empty() {
        return None;
    }
    Some(format!("{{{columns}}} : \"{words}\"{}", if is_prefix { " *" } else { "" }))
}

/// Accents that stand behind their letter: they do not end a word.
const fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Scripts that are written without spaces between words: Thai to Myanmar, Khmer, kana, bopomofo, Han.
const fn is_without_spaces(c: char) -> bool {
    matches!(
        c,
        '\u{e00}'..='\u{eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{312f}'
            | '\u{31a0}'..='\u{31ff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_letters_and_digits_comes_into_an_expression() {
        assert_eq!(phrase("prompt", "a \"b\") OR c:1.2\0*", true).unwrap(), "{prompt} : \"a  b   OR c 1 2\" *");
        assert_eq!(
            phrase("prompt rest", "re\u{301}sume\u{301}", false).unwrap(),
            "{prompt rest} : \"re\u{301}sume\u{301}\""
        );
        assert_eq!(phrase("prompt", " -*\"", true), None);
    }

    #[test]
    fn scripts_without_spaces_are_taken_letter_by_letter() {
        assert_eq!(searchable("絹の dress").split_whitespace().collect::<Vec<_>>(), ["絹", "の", "dress"]);
    }
}
