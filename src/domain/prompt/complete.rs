//! What is being typed at the cursor and can be completed: the name of an adapter, of a wildcard, of an embedding.

use std::ops::Range;

use super::edit::Edit;

/// How an adapter's tag begins.
const LORA: &str = "lora:";
/// Another word for it.
const LYCO: &str = "lyco:";
/// Around the name of a wildcard.
const WILDCARD: &str = "__";
/// Letters of a word before it is looked up among the embeddings: one letter would begin many.
const MIN_WORD: usize = 2;
/// What ends a word, beside white space.
const ENDS: &str = ",.;()[]{}<>|:\"";

/// What the name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completing {
    /// `<lora:…`
    Lora,
    /// `__…`
    Wildcard,
    /// A word, which may be an embedding's.
    Word,
}

/// The beginning of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stub {
    /// What the name is of.
    pub kind: Completing,
    /// What a whole name takes the place of, in bytes, with its syntax.
    pub range: Range<usize>,
    /// The letters of the name before the cursor.
    pub typed: String,
}

/// What is being typed at a cursor, in bytes.
#[must_use]
pub fn stub_at(text: &str, cursor: usize) -> Option<Stub> {
    if !text.is_char_boundary(cursor) {
        return None;
    }
    lora(text, cursor).or_else(|| wildcard(text, cursor)).or_else(|| word(text, cursor))
}

/// The text with a whole name in the place of its beginning, and the cursor behind it.
#[must_use]
pub fn complete(text: &str, stub: &Stub, name: &str) -> Edit {
    let (before, after) = (&text[..stub.range.start], &text[stub.range.end..]);
    let (written, skipped) = match stub.kind {
        // A tag that goes on keeps its weights.
        Completing::Lora if after.starts_with([':', '>']) => {
            (format!("<{LORA}{name}"), after.find('>').map_or(0, |at| at + 1))
        }
        Completing::Lora => (format!("<{LORA}{name}:1>"), 0),
        Completing::Wildcard => (format!("{WILDCARD}{name}{WILDCARD}"), 0),
        Completing::Word => (name.to_owned(), 0),
    };
    let cursor = before.len() + written.len() + skipped;
    Edit { text: format!("{before}{written}{after}"), selection: cursor..cursor }
}

/// How well a name fits what was typed, regardless of case: 0 begins with it, 1 has a word that does, 2 has it within.
#[must_use]
pub fn rank(name: &str, typed: &str) -> Option<u8> {
    let (name, typed) = (name.to_lowercase(), typed.to_lowercase());
    if name.starts_with(&typed) {
        return Some(0);
    }
    let at_word = |(at, _): (usize, &str)| name[..at].chars().next_back().is_some_and(|c| !c.is_alphanumeric());
    if name.match_indices(&typed).any(at_word) {
        return Some(1);
    }
    name.contains(&typed).then_some(2)
}

fn lora(text: &str, cursor: usize) -> Option<Stub> {
    let open = text[..cursor].rfind('<')?;
    let typed = &text[open + 1..cursor];
    let lower = typed.to_ascii_lowercase();
    let stub = |range, typed: &str| Some(Stub { kind: Completing::Lora, range, typed: typed.to_owned() });
    if LORA.starts_with(&lower) && lower.len() < LORA.len() {
        return stub(open..cursor, "");
    }
    if !(lower.starts_with(LORA) || lower.starts_with(LYCO)) {
        return None;
    }
    let name = &typed[LORA.len()..];
    if name.contains([':', '>', '\n']) {
        return None;
    }
    // The rest of the name goes along, where the tag is closed.
    let rest = &text[cursor..];
    let end = rest.find(['<', '>', '\n']).filter(|&at| rest[at..].starts_with('>'));
    let end = end.map_or(cursor, |closing| cursor + rest.find(':').map_or(closing, |colon| colon.min(closing)));
    stub(open..end, name)
}

fn wildcard(text: &str, cursor: usize) -> Option<Stub> {
    let ends = |c: char| c.is_whitespace() || ENDS.contains(c);
    let start = text[..cursor].rfind(ends).map_or(0, |at| next_char(text, at));
    let mut open = start + text[start..cursor].find(WILDCARD)?;
    // Closed ones before it are passed over.
    loop {
        let name = open + WILDCARD.len();
        let Some(close) = text[name..cursor].find(WILDCARD).filter(|length| *length > 0) else { break };
        let after = name + close + WILDCARD.len();
        open = after + text[after..cursor].find(WILDCARD)?;
    }
    let typed = text[open + WILDCARD.len()..cursor].to_owned();
    let rest = &text[cursor..];
    let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
    let end = word.find(WILDCARD).map_or(cursor, |at| cursor + at + WILDCARD.len());
    Some(Stub { kind: Completing::Wildcard, range: open..end, typed })
}

fn word(text: &str, cursor: usize) -> Option<Stub> {
    let ends = |c: char| c.is_whitespace() || ENDS.contains(c);
    if text[cursor..].starts_with(|c: char| !ends(c)) {
        return None;
    }
    let start = text[..cursor].rfind(ends).map_or(0, |at| next_char(text, at));
    let typed = &text[start..cursor];
    (typed.chars().count() >= MIN_WORD).then(|| Stub {
        kind: Completing::Word,
        range: start..cursor,
        typed: typed.to_owned(),
    })
}

fn next_char(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::Completing::{Lora, Wildcard, Word};
    use super::*;

    /// Writes `‸` for the cursor.
    fn split(marked: &str) -> (String, usize) {
        let cursor = marked.find('‸').expect("the text has a mark");
        (marked.replace('‸', ""), cursor)
    }

    #[test]
    fn what_is_typed_is_told_by_its_syntax() {
        for (marked, expected) in [
            ("a <‸", Some((Lora, ""))),
            ("a <lo‸", Some((Lora, ""))),
            ("a <lora:in‸", Some((Lora, "in"))),
            ("a <LORA:in w‸", Some((Lora, "in w"))),
            ("<lyco:in‸k:0.5>", Some((Lora, "in"))),
            ("<lora:ink:0.‸5>", None),
            ("1 < 2‸", None),
            ("a __‸", Some((Wildcard, ""))),
            ("a, __col‸our__ b", Some((Wildcard, "col"))),
            ("__a__‸", Some((Word, "__a__"))),
            ("__a____b‸", Some((Wildcard, "b"))),
            ("{x|__anim/c‸}", Some((Wildcard, "anim/c"))),
            ("a (bad‸:1.2)", Some((Word, "bad"))),
            ("a b‸", None),
            ("ba‸d", None),
            ("é été‸", Some((Word, "été"))),
            ("‸", None),
        ] {
            let (text, cursor) = split(marked);
            let stub = stub_at(&text, cursor);
            let found = stub.as_ref().map(|stub| (stub.kind, stub.typed.as_str()));
            assert_eq!(found, expected, "{marked}");
        }
    }

    #[test]
    fn a_name_takes_the_place_of_its_beginning() {
        for (marked, name, expected) in [
            ("a <lo‸", "Ink wash", "a <lora:Ink wash:1>‸"),
            ("a <lora:in‸ b", "Ink", "a <lora:Ink:1>‸ b"),
            ("a <lora:in‸x:0.5> b", "Ink", "a <lora:Ink:0.5>‸ b"),
            ("a <lora:in‸> b", "Ink", "a <lora:Ink>‸ b"),
            ("a __c‸, b", "colour", "a __colour__‸, b"),
            ("a __c‸ol__, b", "colour", "a __colour__‸, b"),
            ("(bad‸:1.2)", "bad-hands", "(bad-hands‸:1.2)"),
        ] {
            let (text, cursor) = split(marked);
            let stub = stub_at(&text, cursor).unwrap_or_else(|| panic!("{marked}"));
            let edit = complete(&text, &stub, name);
            let (mut found, at) = (edit.text, edit.selection.start);
            found.insert(at, '‸');
            assert_eq!(found, expected, "{marked}");
        }
    }

    #[test]
    fn names_are_ranked_by_where_they_have_what_was_typed() {
        for (name, typed, expected) in [
            ("Ink wash", "ink", Some(0)),
            ("Old ink", "INK", Some(1)),
            ("drinks", "ink", Some(2)),
            ("pen", "ink", None),
        ] {
            assert_eq!(rank(name, typed), expected, "{name}");
        }
    }
}
