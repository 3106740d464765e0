//! Wildcard files: lists of texts by name, read from txt, YAML and JSON as sd-dynamic-prompts has them.
//!
//! The caller reads the files; a file is named by its path below the wildcard folder, with `/` and without the ending.
//! What names a list (`src/dynamicprompts/wildcards` of adieyal/dynamicprompts): a txt file is one list of that name; in
//! YAML and JSON the keys joined by `/` name the lists, after the file's folder; a file that is only a list is named
//! like a txt file.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{dynamic, yaml};

/// One text that a wildcard may stand for. It may hold braces and wildcards of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The text.
    pub text: String,
    /// How often it is drawn compared with the others: 0 or more.
    pub weight: f64,
}

impl Choice {
    /// A choice of weight 1, or of the weight that stands before `::`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (weight, start) = dynamic::read_weight(text).unwrap_or((1.0, 0));
        Self { text: text[start..].trim().to_owned(), weight }
    }
}

/// Something in a wildcard file that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WildcardProblem {
    /// The file's name, as it was given.
    pub file: String,
    /// The line from 1, where it is known.
    pub line: Option<usize>,
    /// A sentence for the user.
    pub sentence: String,
}

/// Every wildcard by its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WildcardLists {
    lists: BTreeMap<String, Arc<[Choice]>>,
}

impl WildcardLists {
    /// Adds a txt file: one text a line; blank lines and lines that begin with `#` are passed over.
    pub fn add_txt(&mut self, file: &str, content: &str) {
        let lines = without_mark(content).lines().map(str::trim);
        let choices = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(Choice::parse);
        self.insert(file, choices.collect());
    }

    /// Adds a YAML file: maps of lists of strings. The head of `yaml.rs` says how much of YAML is read.
    #[must_use]
    pub fn add_yaml(&mut self, file: &str, content: &str) -> Vec<WildcardProblem> {
        let document = yaml::parse(without_mark(content));
        for (path, texts) in document.lists {
            let name = if path.is_empty() { file.to_owned() } else { below_folder(file, &path) };
            self.insert(&name, texts.iter().map(|text| Choice::parse(text)).collect());
        }
        let problem = |(line, sentence)| WildcardProblem { file: file.to_owned(), line: Some(line), sentence };
        document.problems.into_iter().map(problem).collect()
    }

    /// Adds a JSON file: objects of lists of strings, or of `{"text": …, "weight": …}`.
    #[must_use]
    pub fn add_json(&mut self, file: &str, content: &str) -> Vec<WildcardProblem> {
        let mut problems = Vec::new();
        match serde_json::from_str::<Value>(without_mark(content)) {
            Ok(Value::Object(entries)) => {
                for (key, value) in entries {
                    self.add_value(file, &key, value, &mut problems);
                }
            }
            Ok(Value::Array(items)) => self.insert(file, items.into_iter().filter_map(json_choice).collect()),
            Ok(_) => problems.push((None, "The file holds no lists".to_owned())),
            Err(error) => problems.push((Some(error.line()), format!("This is no JSON: {error}"))),
        }
        let problem = |(line, sentence)| WildcardProblem { file: file.to_owned(), line, sentence };
        problems.into_iter().map(problem).collect()
    }

    /// `serde_json` reads at most 128 levels, so this goes no deeper.
    fn add_value(&mut self, file: &str, path: &str, value: Value, problems: &mut Vec<(Option<usize>, String)>) {
        match value {
            Value::Array(items) => {
                let count = items.len();
                let choices: Vec<_> = items.into_iter().filter_map(json_choice).collect();
                if choices.len() < count {
                    let passed_over = count - choices.len();
                    problems.push((None, format!("{passed_over} entries of `{path}` are no texts")));
                }
                self.insert(&below_folder(file, path), choices);
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    self.add_value(file, &format!("{path}/{key}"), value, problems);
                }
            }
            _ => problems.push((None, format!("`{path}` is no list"))),
        }
    }

    /// Adds texts to a list; a text that is there already is not added again, and an empty list is none.
    pub fn insert(&mut self, name: &str, choices: Vec<Choice>) {
        let mut all = self.lists.get(name).map_or_else(Vec::new, |list| list.to_vec());
        merge(&mut all, choices);
        if !all.is_empty() {
            self.lists.insert(name.to_owned(), all.into());
        }
    }

    /// The names, in the order of their characters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lists.keys().map(String::as_str)
    }

    /// Lists of these names, whose texts do not matter.
    #[must_use]
    pub fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let any: Arc<[Choice]> = [Choice { text: "x".to_owned(), weight: 1.0 }].into();
        Self { lists: names.into_iter().map(|name| (name.to_owned(), Arc::clone(&any))).collect() }
    }

    /// Each list's name and how many texts it has, in the order of the names.
    pub fn counted(&self) -> impl Iterator<Item = (&str, usize)> {
        self.lists.iter().map(|(name, choices)| (name.as_str(), choices.len()))
    }

    /// The texts of a list. `*` in the name stands for any characters, also `/`, and `?` for one: then those of every
    /// list that fits, in the order of the names, each text once.
    #[must_use]
    pub fn choices(&self, name: &str) -> Option<Arc<[Choice]>> {
        let name = name.trim_end_matches('/');
        if let Some(choices) = self.lists.get(name) {
            return Some(Arc::clone(choices));
        }
        if !name.contains(['*', '?']) {
            return None;
        }
        let mut all = Vec::new();
        for (_, choices) in self.lists.iter().filter(|(candidate, _)| fits(name, candidate)) {
            merge(&mut all, choices.iter().cloned());
        }
        (!all.is_empty()).then(|| all.into())
    }
}

/// Adds what is not there yet.
fn merge(all: &mut Vec<Choice>, choices: impl IntoIterator<Item = Choice>) {
    let mut known: std::collections::HashSet<String> = all.iter().map(|choice| choice.text.clone()).collect();
    for choice in choices {
        if !choice.text.is_empty() && known.insert(choice.text.clone()) {
            all.push(choice);
        }
    }
}

/// The content without a byte order mark.
fn without_mark(content: &str) -> &str {
    content.strip_prefix('\u{feff}').unwrap_or(content)
}

/// A list's name: its keys after the folder of its file.
fn below_folder(file: &str, path: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{path}"),
        None => path.to_owned(),
    }
}

fn json_choice(value: Value) -> Option<Choice> {
    match value {
        Value::String(text) => Some(Choice::parse(&text)),
        Value::Object(entries) => {
            let text = entries.get("text").or(entries.get("content"))?.as_str()?.trim().to_owned();
            let weight = entries.get("weight").map_or(Some(1.0), Value::as_f64)?;
            (weight >= 0.0).then(|| Choice { text, weight: weight.min(1e12) })
        }
        _ => None,
    }
}

/// Whether a pattern with `*` and `?` fits a whole name.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how much of the name it takes so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lists: &WildcardLists, name: &str) -> Vec<(String, f64)> {
        let choices = lists.choices(name).unwrap_or_else(|| panic!("{name} is missing"));
        choices.iter().map(|choice| (choice.text.clone(), choice.weight)).collect()
    }

    #[test]
    fn txt_files_have_comments_blank_lines_and_weights() {
        let mut lists = WildcardLists::default();
        lists.add_txt("a/colours", "\u{feff}# mine\r\nred\r\n\r\n  0.5::blue \n{a|b}\nred\n");
        let expected = [("red".to_owned(), 1.0), ("blue".to_owned(), 0.5), ("{a|b}".to_owned(), 1.0)];
        assert_eq!(texts(&lists, "a/colours"), expected);
        assert!(lists.choices("colours").is_none());
    }

    /// The example of sd-dynamic-prompts' `docs/SYNTAX.md`.
    #[test]
    fn yaml_and_json_name_lists_by_their_keys() {
        let yaml = "# example.yaml\nclothing:\n  - T-shirt\n  - Pants\nartists:\n  finnish:\n    - Eero Järnefelt\n  \
                    dutch:\n  - Piet Mondrian\n  1234: 5678  # this is ignored\n";
        let json = r#"{"clothing": ["T-shirt", "Pants"], "artists": {"finnish": ["Eero Järnefelt"],
                       "dutch": [{"text": "Piet Mondrian", "weight": 1}]}, "flurp": 1}"#;
        let (mut from_yaml, mut from_json) = (WildcardLists::default(), WildcardLists::default());
        assert_eq!(from_yaml.add_yaml("sub/example", yaml).len(), 1);
        assert_eq!(from_json.add_json("sub/example", json).len(), 1);
        assert_eq!(from_yaml, from_json);
        assert_eq!(from_yaml.names().collect::<Vec<_>>(), ["sub/artists/dutch", "sub/artists/finnish", "sub/clothing"]);
        assert_eq!(texts(&from_yaml, "sub/artists/*").len(), 2);
        assert_eq!(texts(&from_yaml, "*c?othing").len(), 2);
    }

    #[test]
    fn a_file_that_is_a_list_has_the_files_name() {
        let mut lists = WildcardLists::default();
        assert_eq!(lists.add_json("x", r#"["a", 1]"#), []);
        assert_eq!(lists.add_yaml("y", "- b\n- \"c: d\"\n"), []);
        assert_eq!(texts(&lists, "x"), [("a".to_owned(), 1.0)]);
        assert_eq!(texts(&lists, "y"), [("b".to_owned(), 1.0), ("c: d".to_owned(), 1.0)]);
    }

    #[test]
    fn broken_json_is_named_with_its_line() {
        let problems = WildcardLists::default().add_json("x", "{\n\"a\": [\n}");
        assert_eq!((problems[0].file.as_str(), problems[0].line), ("x", Some(3)));
    }
}
