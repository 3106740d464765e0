//! The part of YAML that wildcard files are written in: nested maps of lists of strings.
//!
//! Read: maps by indentation, lists (`- text`, `[a, b]` on one line), plain text over several lines, `'…'` and `"…"`
//! on one line, blocks (`|`, `>`), comments, `---`. Not read, each with a problem: anchors, aliases and tags, lists in
//! lists, several lines of `[…]`, tabs before a text. A crate for the whole of YAML would be larger than all of this
//! module, and `- portrait: close up`, a map to YAML, is here the text that its author meant.

use std::collections::BTreeMap;

/// How deep maps may nest.
const MAX_DEPTH: usize = 32;

/// What a file holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Document {
    /// The lists by their keys joined by `/`; the empty name is a list without a key.
    pub lists: BTreeMap<String, Vec<String>>,
    /// Lines, from 1, that were passed over, with a sentence each.
    pub problems: Vec<(usize, String)>,
}

/// Reads a file.
pub(super) fn parse(content: &str) -> Document {
    let mut reader = Reader { document: Document::default(), keys: Vec::new(), text: None };
    let lines: Vec<&str> = content.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        at += reader.line(&lines, at);
    }
    reader.document
}

struct Reader {
    document: Document,
    /// The keys that are open: their indentation and their name.
    keys: Vec<(usize, String)>,
    /// The indentation of the list entry whose plain text may go on in the next line.
    text: Option<usize>,
}

impl Reader {
    fn problem(&mut self, index: usize, sentence: &str) {
        self.document.problems.push((index + 1, sentence.to_owned()));
    }

    /// Reads the line at an index and says how many lines it took.
    fn line(&mut self, lines: &[&str], index: usize) -> usize {
        let line = lines[index];
        let content = without_comment(line.trim_start_matches(' ')).trim_end();
        let indent = line.len() - line.trim_start_matches(' ').len();
        if content.is_empty() || (indent == 0 && matches!(content, "---" | "...")) || content.starts_with('%') {
            return 1;
        }
        if content.starts_with('\t') {
            self.problem(index, "A tab stands where YAML has spaces");
            return 1;
        }
        if content == "-" || content.starts_with("- ") {
            return self.entry(lines, index, indent, content[1..].trim_start());
        }
        if let Some(first) = self.text.filter(|&first| indent > first) {
            self.text = Some(first);
            if let Some(last) = self.list().last_mut() {
                last.push(' ');
                last.push_str(content);
            }
            return 1;
        }
        self.text = None;
        if let Some((key, value)) = split_key(content) {
            self.key(lines, index, indent, key, value)
        } else {
            self.problem(index, "This is neither a key nor an entry of a list");
            1
        }
    }

    /// The list that the open keys name.
    fn list(&mut self) -> &mut Vec<String> {
        let names: Vec<&str> = self.keys.iter().map(|(_, name)| name.as_str()).collect();
        self.document.lists.entry(names.join("/")).or_default()
    }

    fn entry(&mut self, lines: &[&str], index: usize, indent: usize, value: &str) -> usize {
        // An entry may stand below its key or as far left as the key.
        while self.keys.last().is_some_and(|&(key_indent, _)| key_indent > indent) {
            self.keys.pop();
        }
        self.text = None;
        match read_scalar(value) {
            Scalar::Plain(text) => {
                self.text = Some(indent);
                if !text.is_empty() {
                    self.list().push(text);
                }
                1
            }
            Scalar::Quoted(text) => {
                self.list().push(text);
                1
            }
            Scalar::Block { folded } => {
                let (text, taken) = block(&lines[index + 1..], indent, folded);
                self.list().push(text);
                1 + taken
            }
            Scalar::List(_) => {
                self.problem(index, "A list in a list is not read");
                1
            }
            Scalar::Unknown(sentence) => {
                self.problem(index, sentence);
                1
            }
        }
    }

    fn key(&mut self, lines: &[&str], index: usize, indent: usize, key: String, value: &str) -> usize {
        while self.keys.last().is_some_and(|&(key_indent, _)| key_indent >= indent) {
            self.keys.pop();
        }
        if self.keys.len() >= MAX_DEPTH {
            self.problem(index, "Keys nest too deeply");
            return 1;
        }
        self.keys.push((indent, key));
        match read_scalar(value) {
            Scalar::Plain(text) if text.is_empty() => {}
            Scalar::List(texts) => self.list().extend(texts),
            Scalar::Block { folded } => {
                self.problem(index, "This key holds a text and no list");
                return 1 + block(&lines[index + 1..], indent, folded).1;
            }
            Scalar::Plain(_) | Scalar::Quoted(_) => self.problem(index, "This key holds a text and no list"),
            Scalar::Unknown(sentence) => self.problem(index, sentence),
        }
        1
    }
}

enum Scalar {
    Plain(String),
    Quoted(String),
    Block { folded: bool },
    List(Vec<String>),
    Unknown(&'static str),
}

fn read_scalar(value: &str) -> Scalar {
    let quoted = |(text, rest): (String, &str)| rest.trim().is_empty().then_some(text);
    match value.chars().next() {
        Some('\'' | '"') => match read_quoted(value).and_then(quoted) {
            Some(text) => Scalar::Quoted(text),
            None => Scalar::Unknown("A quotation mark does not end with its line"),
        },
        Some('|' | '>') if value[1..].chars().all(|c| matches!(c, '+' | '-' | '0'..='9')) => {
            Scalar::Block { folded: value.starts_with('>') }
        }
        Some('[') => match read_list(value) {
            Some(texts) => Scalar::List(texts),
            // Such as `[a|b] sky`, which is an alternation and was never YAML.
            None if !value.ends_with(',') && value.contains(']') => Scalar::Plain(value.to_owned()),
            None => Scalar::Unknown("A `[…]` does not end with its line"),
        },
        Some('&' | '!' | '@' | '%') => Scalar::Unknown("Anchors, tags and directives are not read"),
        Some('*') if value[1..].chars().all(|c| c.is_alphanumeric() || c == '_') => {
            Scalar::Unknown("Aliases are not read")
        }
        _ if value == "-" || value.starts_with("- ") => Scalar::Unknown("A list in a list is not read"),
        _ => Scalar::Plain(value.to_owned()),
    }
}

/// `[a, "b"]` on one line.
fn read_list(value: &str) -> Option<Vec<String>> {
    let mut rest = value.strip_prefix('[')?.trim_start();
    let mut texts = Vec::new();
    while !rest.starts_with(']') {
        if rest.starts_with(['\'', '"']) {
            let (text, after) = read_quoted(rest)?;
            texts.push(text);
            rest = after.trim_start();
        } else {
            let end = rest.find([',', ']', '['])?;
            texts.push(rest[..end].trim().to_owned());
            rest = &rest[end..];
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.starts_with(']') => {}
            None => return None,
        }
    }
    (rest == "]").then_some(texts)
}

/// A text in quotation marks at the start, and what follows it.
fn read_quoted(value: &str) -> Option<(String, &str)> {
    let mark = value.chars().next()?;
    let mut text = String::new();
    let mut characters = value[1..].char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if c == mark {
            let doubled = mark == '\'' && characters.next_if(|&(_, next)| next == '\'').is_some();
            if !doubled {
                return Some((text, &value[1 + at + 1..]));
            }
            text.push('\'');
        } else if c == '\\' && mark == '"' {
            match characters.next()?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                digits @ ('x' | 'u' | 'U') => {
                    let length = match digits {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    let mut code = 0_u32;
                    for _ in 0..length {
                        code = code.checked_mul(16)? + characters.next()?.1.to_digit(16)?;
                    }
                    text.push(char::from_u32(code)?);
                }
                other => text.push(other),
            }
        } else {
            text.push(c);
        }
    }
    None
}

/// The lines that are further right than `indent`, as one text, and how many they are.
fn block(lines: &[&str], indent: usize, folded: bool) -> (String, usize) {
    let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let taken = lines.iter().take_while(|line| line.trim().is_empty() || depth(line) > indent).count();
    let lines = &lines[..taken];
    let left = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| depth(line)).min().unwrap_or(0);
    let texts: Vec<&str> = lines.iter().map(|line| line.get(left..).unwrap_or_default().trim_end()).collect();
    (texts.join(if folded { " " } else { "\n" }).trim().to_owned(), taken)
}

/// A key and what follows its colon.
fn split_key(content: &str) -> Option<(String, &str)> {
    if content.starts_with(['\'', '"']) {
        let (key, rest) = read_quoted(content)?;
        let value = rest.trim_start().strip_prefix(':')?;
        return (value.is_empty() || value.starts_with(' ')).then(|| (key, value.trim_start()));
    }
    if let Some((key, value)) = content.split_once(": ") {
        return Some((key.trim_end().to_owned(), value.trim_start()));
    }
    content.strip_suffix(':').map(|key| (key.trim_end().to_owned(), ""))
}

/// The line without a comment: a `#` at the start or after a space, not in quotation marks.
fn without_comment(line: &str) -> &str {
    let mut mark: Option<char> = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match mark {
            // Within `"…"` a backslash keeps the mark from ending it.
            Some(open) => mark = (c != open || (open == '"' && before == '\\')).then_some(open),
            // A mark opens where a text begins; within words it is an apostrophe.
            None if matches!(c, '\'' | '"') && begins(&line[..at]) => mark = Some(c),
            None if c == '#' && matches!(before, ' ' | '\t') => return &line[..at],
            None => {}
        }
        before = c;
    }
    line
}

/// Whether a text begins after this: at the start, after a dash or a colon, within `[…]`.
fn begins(before: &str) -> bool {
    let before = before.trim_end();
    before.is_empty() || before == "-" || before.ends_with([':', '[', ','])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_texts() {
        let document = parse(concat!(
            "---\n",
            "a: # comment\n",
            "- plain # comment\n",
            "- it's a \"thing\" #1\n",
            "- goes on\n",
            "  in the next line\n",
            "- 'it''s'\n",
            "- \"tab\\tand \\u00e9 # no comment\"\n",
            "- |\n",
            "  two\n",
            "    lines\n",
            "- >-\n",
            "  one\n",
            "  line\n",
            "- portrait: close up\n",
            "'b c':\n",
            "    d: [x, 'y, z']\n",
        ));
        assert_eq!(document.problems, []);
        assert_eq!(
            document.lists["a"],
            [
                "plain",
                "it's a \"thing\"",
                "goes on in the next line",
                "it's",
                "tab\tand é # no comment",
                "two\n  lines",
                "one line",
                "portrait: close up",
            ]
        );
        assert_eq!(document.lists["b c/d"], ["x", "y, z"]);
    }

    #[test]
    fn what_is_not_read_is_named_with_its_line() {
        let document = parse("a: &anchor\n  - x\n  - - y\n\tz\nb: text\n  - 'open\n");
        let lines: Vec<usize> = document.problems.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3, 4, 5, 6]);
        assert_eq!(document.lists["a"], ["x"]);
    }
}
