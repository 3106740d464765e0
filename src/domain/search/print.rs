//! Printing a query, so that reading it again gives the same.

use std::fmt::{self, Write as _};

use super::{Query, Term, Test, Words};

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clauses = self.all.len();
        for (index, clause) in self.all.iter().enumerate() {
            for (place, term) in clause.iter().enumerate() {
                if place > 0 {
                    f.write_str(" OR ")?;
                } else if index > 0 {
                    f.write_char(' ')?;
                }
                // What stands last may be unfinished, unless it is closed.
                write_term(f, term, index + 1 == clauses && place + 1 == clause.len())?;
            }
        }
        Ok(())
    }
}

fn write_term(f: &mut fmt::Formatter<'_>, term: &Term, is_last: bool) -> fmt::Result {
    if term.is_negated {
        f.write_char('-')?;
    }
    match &term.test {
        Test::Words(words) => write_words(f, words, is_last),
        Test::WordsIn(key, words) => {
            write!(f, "{}:", key.info().name)?;
            write_words(f, words, is_last)
        }
        Test::Text(key, text) => {
            write!(f, "{}:", key.info().name)?;
            write_text(f, text, !is_plain(text))
        }
        Test::Whole(key, span) => write!(f, "{}:{span}", key.info().name),
        Test::Number(key, span) => write!(f, "{}:{span}", key.info().name),
        Test::Dimensions(width, height) => write!(f, "size:{width}x{height}"),
        Test::Date(span) => write!(f, "date:{span}"),
        Test::YesNo(key, yes) => write!(f, "{}:{}", key.info().name, if *yes { "yes" } else { "no" }),
    }
}

fn write_words(f: &mut fmt::Formatter<'_>, words: &Words, is_last: bool) -> fmt::Result {
    let is_closed = is_last && !words.is_prefix;
    write_text(f, &words.text, is_closed || !is_plain(&words.text))?;
    if words.is_prefix { f.write_char('*') } else { Ok(()) }
}

/// A text, in quotation marks where it needs them.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str, quoted: bool) -> fmt::Result {
    if !quoted {
        return f.write_str(text);
    }
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

/// Whether a text means itself without quotation marks.
fn is_plain(text: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '\'' | '-' | '.');
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_') && text != "OR" && text.chars().all(inside)
}
