//! The rules: from the sources to a list of complaints, each with the file and the line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::floors::{self, Row, Without};
use super::scan::{Facts, Mention, scan};

/// Source files: the path from the repository's root, with `/`, and the text.
pub type Sources = BTreeMap<String, String>;

/// What is wrong with the whole: every rule on every file of `src/`, and those that are not about imports elsewhere.
///
/// `crates` are the names of the outside crates, as code spells them.
pub fn complaints(sources: &Sources, crates: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut facts = BTreeMap::new();
    for (file, text) in sources {
        found.extend(text_complaints(text).into_iter().map(|complaint| format!("{file}: {complaint}")));
        match scan(text) {
            Ok(read) => {
                found.extend(token_complaints(file, &read));
                facts.insert(file.as_str(), read);
            }
            Err(error) => found.push(format!("{file}: {error}")),
        }
    }
    let modules = module_tree(&facts);
    for (file, module) in &modules {
        found.extend(import_complaints(file, module, &facts[file.as_str()], crates));
    }
    for file in facts.keys().filter(|file| file.starts_with("src/") && !modules.contains_key(**file)) {
        found.push(format!("{file}: no `mod` line leads here, so it is never compiled"));
    }
    found.sort();
    found
}

/// Where a file stands in the tree of modules.
#[derive(Debug, PartialEq, Eq)]
pub struct Module {
    /// Its path below the crate's root; empty for the root itself.
    pub path: Vec<String>,
    /// The name of its row: the first of the path, or `main` or `lib`.
    pub row: String,
    /// Whether it is compiled in tests only.
    pub in_test: bool,
}

/// The module of every file that `src/lib.rs` and `src/main.rs` lead to, found as the compiler finds it.
fn module_tree(facts: &BTreeMap<&str, Facts>) -> BTreeMap<String, Module> {
    let mut modules = BTreeMap::new();
    for root in ["lib", "main"] {
        let mut waiting =
            vec![(format!("src/{root}.rs"), Module { path: Vec::new(), row: root.to_owned(), in_test: false })];
        while let Some((file, module)) = waiting.pop() {
            let Some(facts) = facts.get(file.as_str()) else { continue };
            for declared in &facts.mod_files {
                let mut path = module.path.clone();
                path.extend(declared.inside.iter().cloned());
                path.push(declared.name.clone());
                let row = if root == "main" { "main".to_owned() } else { path[0].clone() };
                let in_test = module.in_test || declared.in_test;
                for candidate in candidates(&file, &declared.inside, &declared.name, declared.file.as_deref()) {
                    let found = Module { path: path.clone(), row: row.clone(), in_test };
                    waiting.push((candidate, found));
                }
            }
            modules.insert(file, module);
        }
    }
    modules
}

/// The files that `mod name;` in `file` can mean; at most one of them exists.
fn candidates(file: &str, inside: &[String], name: &str, path: Option<&str>) -> Vec<String> {
    let file = Path::new(file);
    let folder = file.parent().unwrap_or(Path::new(""));
    let stem = file.file_stem().unwrap_or_default();
    let mut own =
        if ["mod", "lib", "main"].iter().any(|root| stem == *root) { folder.to_path_buf() } else { folder.join(stem) };
    own.extend(inside);
    let found = match path {
        // A path attribute is read from the file's folder, inside a module from the module's.
        Some(path) if inside.is_empty() => vec![folder.join(path)],
        Some(path) => vec![own.join(path)],
        None => vec![own.join(format!("{name}.rs")), own.join(name).join("mod.rs")],
    };
    found.into_iter().map(|path| slashes(&path)).collect()
}

/// A path without `..`, with `/` between its names.
fn slashes(path: &Path) -> String {
    let mut flat = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                flat.pop();
            }
            part => flat.push(part),
        }
    }
    flat.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn text_complaints(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > floors::MAX_LINES {
        found.push(format!("{lines} lines; the most is {}", floors::MAX_LINES));
    }
    if !text.starts_with("//! ") {
        found.push("does not begin with a `//!` sentence on its job".to_owned());
    }
    found
}

fn token_complaints(file: &str, facts: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    for line in &facts.bare_allows {
        found.push(format!("{file}:{line}: a lint is switched off without a `reason`"));
    }
    for (name, line) in &facts.macros {
        if floors::LEFTOVERS.contains(&name.as_str()) {
            found.push(format!("{file}:{line}: `{name}!` is left over"));
        }
    }
    if !floors::UNSAFE.iter().any(|place| if place.ends_with('/') { file.starts_with(place) } else { file == *place }) {
        for line in &facts.unsafes {
            found.push(format!("{file}:{line}: `unsafe` belongs to {} only", floors::UNSAFE.join(" and ")));
        }
    }
    found
}

fn import_complaints(file: &str, module: &Module, facts: &Facts, crates: &BTreeSet<String>) -> Vec<String> {
    if module.row == "lib" {
        return root_complaints(file, facts);
    }
    let Some(row) = floors::row(&module.row) else {
        return vec![format!("{file}: the module {} has no row in the table of floors", module.row)];
    };
    let mut found = BTreeSet::new();
    for mention in &facts.mentions {
        let at = format!("{file}:{}", mention.line);
        let in_test = mention.in_test || module.in_test;
        let complaint = match target(mention, module, facts) {
            Target::Inside(path) => inside_complaint(&path, row),
            Target::Outside(path) => outside_complaint(&path, row, in_test, crates),
        };
        found.extend(complaint.map(|complaint| format!("{at}: {complaint}")));
        if !in_test && let Some((_, why)) = floors::AVOIDED.iter().find(|(end, _)| ends_with(&mention.path, end)) {
            found.insert(format!("{at}: `{}`: {why}", mention.path.join("::")));
        }
        if row.module == "ui"
            && file != floors::THEME
            && floors::COLOURS.iter().any(|end| ends_with(&mention.path, end))
        {
            found.insert(format!("{at}: `{}`: colours come from {}", mention.path.join("::"), floors::THEME));
        }
    }
    found.into_iter().collect()
}

/// The library's root holds `mod` lines alone: a name that it gave on could be reached from every floor.
fn root_complaints(file: &str, facts: &Facts) -> Vec<String> {
    let named = facts.mentions.iter().filter(|mention| !mention.in_test);
    named
        .map(|mention| format!("{file}:{}: `{}`: the root only names modules", mention.line, mention.path.join("::")))
        .collect()
}

/// What a path leads to.
enum Target {
    /// A path below this crate's root.
    Inside(Vec<String>),
    /// A path whose first name is a crate, or a name that is none.
    Outside(Vec<String>),
}

fn target(mention: &Mention, module: &Module, facts: &Facts) -> Target {
    let path = &mention.path;
    let first = path[0].as_str();
    let here = || module.path.iter().chain(&mention.inside).cloned().collect::<Vec<_>>();
    match first {
        _ if mention.from_root => Target::Outside(path.clone()),
        // The program's own root reaches the library by its name.
        "crate" | "atelier" => Target::Inside(path[1..].to_vec()),
        "self" | "super" => {
            let mut absolute = here();
            let ups = path.iter().take_while(|name| matches!(name.as_str(), "self" | "super")).count();
            for _ in path[..ups].iter().filter(|name| *name == "super") {
                absolute.pop();
            }
            absolute.extend(path[ups..].iter().cloned());
            Target::Inside(absolute)
        }
        _ if facts.local_names.iter().any(|name| name == first) => {
            let mut absolute = here();
            absolute.extend(path.iter().cloned());
            // Hides a crate of that name. Where it was imported from, the import itself was looked at.
            if absolute.len() == path.len() { Target::Outside(path.clone()) } else { Target::Inside(absolute) }
        }
        _ => Target::Outside(path.clone()),
    }
}

fn inside_complaint(path: &[String], row: &Row) -> Option<String> {
    let shown = format!("crate::{}", path.join("::"));
    match path.first().map(String::as_str) {
        None | Some("*") => Some("names the whole crate: import what is needed".to_owned()),
        Some(module) if module == row.module => None,
        Some(_) if row.may_import.iter().any(|allowed| begins_with(path, allowed)) => None,
        Some(module) => match floors::row(module) {
            Some(other) => Some(format!(
                "`{shown}`: {} (floor {}) may not import that of {module} (floor {}); its row names {}",
                row.module,
                row.floor,
                other.floor,
                if row.may_import.is_empty() { "nothing".to_owned() } else { row.may_import.join(", ") }
            )),
            // `main.rs` is a crate of its own; what it names of itself is its own.
            None if row.module == "main" => None,
            None => Some(format!("`{shown}`: {module} has no row in the table of floors")),
        },
    }
}

fn outside_complaint(path: &[String], row: &Row, in_test: bool, crates: &BTreeSet<String>) -> Option<String> {
    let first = path[0].as_str();
    let shown = path.join("::");
    if first == "std" {
        let module = path.get(1).map_or("*", String::as_str);
        let io = floors::IO.contains(&module) || module == "*";
        let banned = match row.without {
            Without::Nothing => false,
            Without::Io => io && !in_test,
            Without::IoAndThreads => io || module == "thread",
        };
        return banned.then(|| format!("`{shown}`: {} does without it", row.module));
    }
    if !crates.contains(first) || floors::EVERYWHERE.contains(&first) || row.crates.contains(&first) {
        return None;
    }
    if in_test && floors::IN_TESTS.contains(&first) {
        return None;
    }
    Some(format!("`{shown}`: the crate {first} is not on the row of {}", row.module))
}

fn begins_with(path: &[String], allowed: &str) -> bool {
    let allowed: Vec<&str> = allowed.split("::").collect();
    path.len() >= allowed.len() && path.iter().zip(&allowed).all(|(name, wanted)| name == wanted)
}

fn ends_with(path: &[String], end: &[&str]) -> bool {
    path.len() >= end.len() && path[path.len() - end.len()..].iter().zip(end).all(|(name, wanted)| name == wanted)
}
