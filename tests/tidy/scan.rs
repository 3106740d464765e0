//! Reads one source file: its tokens, without comments and strings, and what they name.
//!
//! Working on tokens and not on a syntax tree sees into the arguments of macros too, where a good part of the code is.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path that the file names: the leaf of a `use`, or a path of two names or more in the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The names as written, `super` and `crate` among them; `*` at the end of a glob.
    pub path: Vec<String>,
    /// Whether `::` stood before it, so that it begins with a crate.
    pub from_root: bool,
    /// The names of the modules inside the file that it stands in.
    pub inside: Vec<String>,
    /// Whether it is compiled in tests only.
    pub in_test: bool,
    /// Its line, from 1.
    pub line: usize,
}

/// `mod name;`: a module in a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModFile {
    /// Its name.
    pub name: String,
    /// The file that `#[path = "…"]` names.
    pub file: Option<String>,
    /// The names of the modules inside the file that it stands in.
    pub inside: Vec<String>,
    /// Whether it is compiled in tests only.
    pub in_test: bool,
}

/// What a file names and does.
#[derive(Debug, Default)]
pub struct Facts {
    /// Every path.
    pub mentions: Vec<Mention>,
    /// Every `mod name;`.
    pub mod_files: Vec<ModFile>,
    /// Names that are modules of this file or imported from this crate: at the head of a path they hide a crate.
    pub local_names: Vec<String>,
    /// Lines of `#[allow(…)]` and `#[expect(…)]` without a reason.
    pub bare_allows: Vec<usize>,
    /// Lines of `unsafe`.
    pub unsafes: Vec<usize>,
    /// Macros that are called, by the last name of their path, with their lines.
    pub macros: Vec<(String, usize)>,
}

/// Reads a file's text.
///
/// # Errors
/// When it is not a sequence of Rust's tokens.
pub fn scan(text: &str) -> Result<Facts, String> {
    let tokens: TokenStream = text.parse().map_err(|error| format!("cannot be read: {error}"))?;
    let mut walk = Walk::default();
    walk.tokens(tokens);
    Ok(walk.facts)
}

/// Words that a path does not begin with, though `::` may follow.
const KEYWORDS: &[&str] =
    &["as", "break", "dyn", "else", "for", "if", "impl", "in", "match", "move", "mut", "ref", "return", "where"];

#[derive(Default)]
struct Walk {
    facts: Facts,
    inside: Vec<String>,
    in_test: bool,
}

impl Walk {
    fn tokens(&mut self, stream: TokenStream) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        // Whether all of this level is for tests: its surroundings are, or `#![cfg(test)]` says so.
        let (outer_test, mut level_test) = (self.in_test, self.in_test);
        // What attributes said about the item that follows them.
        let (mut test_item, mut file) = (false, None);
        let mut at = 0;
        while at < trees.len() {
            self.in_test = level_test || test_item;
            let rest = &trees[at..];
            let (used, ends_item) = match rest {
                [hash, group, ..] if is(hash, '#') && bracket(group).is_some() => {
                    let attribute = self.attribute(group);
                    test_item |= attribute.test;
                    file = attribute.file.or(file);
                    (2, false)
                }
                [hash, bang, group, ..] if is(hash, '#') && is(bang, '!') && bracket(group).is_some() => {
                    level_test |= self.attribute(group).test;
                    (3, false)
                }
                [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Group(body), ..]
                    if word == "mod" && body.delimiter() == Delimiter::Brace =>
                {
                    self.facts.local_names.push(name.to_string());
                    self.inside.push(name.to_string());
                    self.tokens(body.stream());
                    self.inside.pop();
                    (3, true)
                }
                [TokenTree::Ident(word), TokenTree::Ident(name), end, ..] if word == "mod" && is(end, ';') => {
                    self.facts.local_names.push(name.to_string());
                    self.facts.mod_files.push(ModFile {
                        name: name.to_string(),
                        file: file.take(),
                        inside: self.inside.clone(),
                        in_test: self.in_test,
                    });
                    (3, true)
                }
                // `use<'a>` in a type is no import.
                [TokenTree::Ident(word), next, ..] if word == "use" && !is(next, '<') => {
                    let length = rest.iter().position(|tree| is(tree, ';')).unwrap_or(rest.len());
                    self.use_tree(&rest[1..length], &[], false);
                    (length + 1, true)
                }
                [TokenTree::Ident(word), TokenTree::Ident(keyword), TokenTree::Ident(name), ..]
                    if word == "extern" && keyword == "crate" =>
                {
                    self.mention(vec![name.to_string()], true, name.span().start().line);
                    (3, false)
                }
                [TokenTree::Ident(word), bang, TokenTree::Group(_), ..] if is(bang, '!') => {
                    self.facts.macros.push((word.to_string(), word.span().start().line));
                    (2, false)
                }
                [TokenTree::Ident(word), ..] if word == "unsafe" => {
                    self.facts.unsafes.push(word.span().start().line);
                    (1, false)
                }
                _ => match path_at(&trees, at) {
                    Some(path) => {
                        let line = trees[at].span().start().line;
                        if let [bang, TokenTree::Group(_), ..] = &rest[path.tokens..]
                            && is(bang, '!')
                        {
                            self.facts.macros.extend(path.names.last().map(|name| (name.clone(), line)));
                        }
                        self.mention(path.names, path.from_root, line);
                        (path.tokens, false)
                    }
                    None => self.plain(&trees[at]),
                },
            };
            at += used;
            test_item &= !ends_item;
        }
        self.in_test = outer_test;
    }

    /// A token that means nothing by itself; a group is walked. A semicolon or a body ends an item.
    fn plain(&mut self, tree: &TokenTree) -> (usize, bool) {
        if let TokenTree::Group(group) = tree {
            self.tokens(group.stream());
        }
        let body = matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        (1, body || is(tree, ';'))
    }

    fn mention(&mut self, path: Vec<String>, from_root: bool, line: usize) {
        self.facts.mentions.push(Mention { path, from_root, inside: self.inside.clone(), in_test: self.in_test, line });
    }

    /// One `use` tree without its semicolon: `a::b`, `a::{self, b::*}`, `a as b`.
    fn use_tree(&mut self, trees: &[TokenTree], prefix: &[String], mut from_root: bool) {
        let mut path = prefix.to_vec();
        let mut at = 0;
        if prefix.is_empty() && trees.len() > 1 && is(&trees[0], ':') {
            from_root = true;
            at = 2;
        }
        let mut bound = None;
        while let Some(tree) = trees.get(at) {
            match tree {
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in inner.split(|tree| is(tree, ',')).filter(|branch| !branch.is_empty()) {
                        self.use_tree(branch, &path, from_root);
                    }
                    return;
                }
                TokenTree::Ident(word) if word == "as" => {
                    bound = trees.get(at + 1).map(ToString::to_string);
                    break;
                }
                // `{self}` is the prefix itself.
                TokenTree::Ident(word) if word == "self" && !prefix.is_empty() => {}
                TokenTree::Ident(word) => path.push(unraw(&word.to_string())),
                tree if is(tree, '*') => path.push("*".to_owned()),
                _ => {}
            }
            at += 1;
        }
        if let (Some(first), Some(last)) = (path.first(), path.last())
            && !from_root
            && matches!(first.as_str(), "crate" | "self" | "super")
        {
            self.facts.local_names.push(bound.unwrap_or_else(|| last.clone()));
        }
        let line = trees.first().map_or(0, |tree| tree.span().start().line);
        self.mention(path, from_root, line);
    }

    fn attribute(&mut self, tree: &TokenTree) -> Attribute {
        let Some(group) = bracket(tree) else { return Attribute::default() };
        let trees: Vec<TokenTree> = group.stream().into_iter().collect();
        match trees.as_slice() {
            [TokenTree::Ident(word), ..] if word == "doc" => Attribute::default(),
            [TokenTree::Ident(word), _, TokenTree::Literal(file)] if word == "path" => {
                Attribute { file: Some(file.to_string().trim_matches('"').to_owned()), test: false }
            }
            [TokenTree::Ident(word), TokenTree::Group(when)] if word == "cfg" => {
                Attribute { file: None, test: asks_for_test(when.stream()) }
            }
            _ => {
                self.lint_levels(&trees);
                self.named_in_strings(&trees);
                self.tokens(group.stream());
                Attribute::default()
            }
        }
    }

    /// Finds `allow(…)` and `expect(…)` without a reason, also inside `cfg_attr(…)`.
    fn lint_levels(&mut self, trees: &[TokenTree]) {
        for (i, tree) in trees.iter().enumerate() {
            let TokenTree::Group(group) = tree else { continue };
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            if let Some(TokenTree::Ident(word)) = i.checked_sub(1).map(|before| &trees[before])
                && (word == "allow" || word == "expect")
                && !inner.windows(2).any(|pair| pair[0].to_string() == "reason" && is(&pair[1], '='))
            {
                self.facts.bare_allows.push(word.span().start().line);
            }
            self.lint_levels(&inner);
        }
    }

    /// Attributes name paths in strings too: `#[serde(with = "crate::weights::hex")]`.
    fn named_in_strings(&mut self, trees: &[TokenTree]) {
        for tree in trees {
            match tree {
                TokenTree::Group(group) => {
                    self.named_in_strings(&group.stream().into_iter().collect::<Vec<_>>());
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let path: Vec<String> = text.trim_matches('"').split("::").map(ToOwned::to_owned).collect();
                    if text.starts_with('"') && path.len() > 1 && path.iter().all(|name| is_name(name)) {
                        self.mention(path, false, literal.span().start().line);
                    }
                }
                _ => {}
            }
        }
    }
}

/// What an attribute says about its item.
#[derive(Default)]
struct Attribute {
    /// `#[cfg(test)]`, also within `all(…)`.
    test: bool,
    /// `#[path = "…"]`.
    file: Option<String>,
}

/// A path in code.
struct Path {
    names: Vec<String>,
    from_root: bool,
    /// How many tokens it is made of.
    tokens: usize,
}

/// The path of two names or more (or of one after `::`) that begins at token `at`.
fn path_at(trees: &[TokenTree], at: usize) -> Option<Path> {
    let colons = |at: usize| is_at(trees, at, ':') && is_at(trees, at + 1, ':');
    // After a name, a `>` or a group, `::` continues a path whose head is no plain name: `<T as Trait>::NAME`.
    let continues = at > 0
        && match &trees[at - 1] {
            TokenTree::Ident(word) => !KEYWORDS.contains(&word.to_string().as_str()),
            TokenTree::Group(_) => true,
            tree => is(tree, '>'),
        };
    let from_root = colons(at) && !continues;
    let mut end = if from_root { at + 2 } else { at };
    let mut names = Vec::new();
    while let Some(TokenTree::Ident(word)) = trees.get(end) {
        if names.is_empty() && KEYWORDS.contains(&word.to_string().as_str()) {
            return None;
        }
        names.push(unraw(&word.to_string()));
        end += 1;
        if !colons(end) || !matches!(trees.get(end + 2), Some(TokenTree::Ident(_))) {
            break;
        }
        end += 2;
    }
    let enough = if from_root { 1 } else { 2 };
    (names.len() >= enough).then_some(Path { names, from_root, tokens: end - at })
}

/// Whether a `cfg(…)` holds in tests only: `test` or `all(test, …)`.
fn asks_for_test(when: TokenStream) -> bool {
    let trees: Vec<TokenTree> = when.into_iter().collect();
    trees.split(|tree| is(tree, ',')).any(|part| match part {
        [TokenTree::Ident(word)] => word == "test",
        [TokenTree::Ident(word), TokenTree::Group(group)] => word == "all" && asks_for_test(group.stream()),
        _ => false,
    })
}

fn bracket(tree: &TokenTree) -> Option<&Group> {
    match tree {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => Some(group),
        _ => None,
    }
}

fn is(tree: &TokenTree, punct: char) -> bool {
    matches!(tree, TokenTree::Punct(found) if found.as_char() == punct)
}

fn is_at(trees: &[TokenTree], at: usize, punct: char) -> bool {
    trees.get(at).is_some_and(|tree| is(tree, punct))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// `r#type` is `type`.
fn unraw(name: &str) -> String {
    name.strip_prefix("r#").unwrap_or(name).to_owned()
}
