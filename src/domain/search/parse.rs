//! Reading a search: first the pieces between the spaces, then what each of them asks for.

use std::ops::Range;

use super::hints::nearest;
use super::keys::{KEYS, choices, is_choice};
use super::values::{self, Span, Unread};
use super::{Hint, HintKind, Key, KeyKind, Parsed, Term, Test, Words};

/// The most pieces that are read: nobody types more, and a text that was pasted by mistake is no search.
const MAX_PIECES: usize = 64;

pub(super) fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut joins_next = false;
    for piece in pieces(text) {
        if matches!(&text[piece.place.clone()], "OR" | "|") {
            // Only between two terms; at the start it means nothing, at the end nothing yet.
            joins_next = !parsed.query.all.is_empty();
            continue;
        }
        let Some(term) = term(&piece, &mut parsed.hints) else { continue };
        match parsed.query.all.last_mut() {
            Some(clause) if joins_next => clause.push(term),
            _ => parsed.query.all.push(vec![term]),
        }
        joins_next = false;
    }
    parsed
}

/// What stands between two spaces, or in quotation marks.
#[derive(Debug, Default)]
struct Piece {
    place: Range<usize>,
    is_negated: bool,
    /// What stands before a colon, and where.
    key: Option<(String, Range<usize>)>,
    /// Without quotation marks and escapes.
    value: String,
    value_place: Range<usize>,
    /// A `*` behind it, or the end of the text.
    is_open: bool,
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while pieces.len() < MAX_PIECES {
        at += text[at..].len() - text[at..].trim_start().len();
        if at == text.len() {
            break;
        }
        let piece = piece(text, at);
        at = piece.place.end;
        pieces.push(piece);
    }
    pieces
}

/// The piece that begins at `start`, where no space stands. It takes up one character at least.
fn piece(text: &str, start: usize) -> Piece {
    let bare = |at: usize| at + text[at..].find(char::is_whitespace).unwrap_or(text.len() - at);
    let end = bare(start);
    if matches!(&text[start..end], "OR" | "|") {
        return Piece { place: start..end, ..Piece::default() };
    }
    let mut piece = Piece { is_negated: text[start..].starts_with('-'), ..Piece::default() };
    let mut at = start + usize::from(piece.is_negated);
    if let Some(length) = key_length(&text[at..]) {
        piece.key = Some((text[at..at + length].to_owned(), at..at + length + 1));
        at += length + 1;
    }
    let end = if text[at..].starts_with('"') {
        let (value, end, is_closed) = quoted(text, at + 1);
        piece.value = value;
        piece.value_place = at..end;
        let star = is_closed && text[end..].starts_with('*');
        piece.is_open = star || !is_closed;
        end + usize::from(star)
    } else {
        let end = bare(at);
        let value = &text[at..end];
        let without = value.strip_suffix('*');
        piece.is_open = without.is_some() || end == text.len();
        without.unwrap_or(value).clone_into(&mut piece.value);
        piece.value_place = at..end;
        end
    };
    piece.place = start..end;
    piece
}

/// The length of a key before a colon: a letter, then letters, digits and `_`.
fn key_length(text: &str) -> Option<usize> {
    let length = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let begins_well = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    (begins_well && text.as_bytes().get(length) == Some(&b':')).then_some(length)
}

/// What stands in quotation marks from `start` on, where it ends, and whether it has an end.
fn quoted(text: &str, start: usize) -> (String, usize, bool) {
    let mut value = String::new();
    let mut characters = text[start..].char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, start + at + 1, true),
            '\\' => match characters.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, escaped)) => value.push(escaped),
                None => value.push('\\'),
            },
            _ => value.push(c),
        }
    }
    (value, text.len(), false)
}

/// What a piece asks for; `None` where that is nothing, or nothing that can be understood.
fn term(piece: &Piece, hints: &mut Vec<Hint>) -> Option<Term> {
    let as_term = |test| Some(Term { is_negated: piece.is_negated, test });
    let words = |text: String| {
        // Signs alone find nothing: they are on their way to a word.
        text.contains(char::is_alphanumeric).then_some(Words { text, is_prefix: piece.is_open })
    };
    let Some((name, key_place)) = &piece.key else { return as_term(Test::Words(words(piece.value.clone())?)) };
    let Some(key) = Key::from_name(name) else {
        let nearest = nearest(name, KEYS.iter().map(|info| info.name));
        let place = key_place.start..key_place.end - 1;
        hints.push(Hint { place, kind: HintKind::UnknownKey { key: name.clone(), nearest } });
        return as_term(Test::Words(words(format!("{name}:{}", piece.value))?));
    };
    let value = piece.value.as_str();
    let (kind, expected) = (key.info().kind, key.info().expected);
    let name = key.info().name;
    let test = match kind {
        KeyKind::Words => words(value.to_owned()).map(|words| Test::WordsIn(key, words)).ok_or(Unread::Unfinished),
        KeyKind::Text | KeyKind::Choice if value.trim().is_empty() => Err(Unread::Unfinished),
        KeyKind::Choice if !is_choice(key, value) => Err(Unread::Bad),
        KeyKind::Text | KeyKind::Choice => Ok(Test::Text(key, value.to_owned())),
        KeyKind::Whole if key == Key::Size => match values::dimensions(value) {
            Some(read) => read.map(|(width, height)| Test::Dimensions(width, height)),
            None => Span::read(value, values::whole).map(|span| Test::Whole(key, span)),
        },
        KeyKind::Whole => Span::read(value, values::whole).map(|span| Test::Whole(key, span)),
        KeyKind::Number => Span::read(value, values::number).map(|span| Test::Number(key, span)),
        KeyKind::Date => Span::read(value, values::day).map(Test::Date),
        KeyKind::YesNo => values::yes_no(value).map(|yes| Test::YesNo(key, yes)),
    };
    match test {
        Ok(test) => as_term(test),
        Err(unread) => {
            let kind = match unread {
                Unread::Unfinished => HintKind::Unfinished { key: name, expected },
                Unread::Bad => {
                    HintKind::BadValue { key: name, expected, nearest: nearest(value, choices(key).into_iter()) }
                }
            };
            let place = if piece.value_place.is_empty() { piece.place.clone() } else { piece.value_place.clone() };
            hints.push(Hint { place, kind });
            None
        }
    }
}
