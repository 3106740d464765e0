//! How evenly a data set is made: rows a value of each column, and rows a word of the captions.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::dataset::rows::Dataset;

/// The most values of a column that is taken for one of classes: names and descriptions have more.
const MAX_CLASSES: usize = 200;
/// How many words are counted at most.
const MAX_WORDS: usize = 30;
/// The shortest word that is counted: shorter ones hold sentences together.
const MIN_LETTERS: usize = 3;
/// Longer ones that do so too.
const HOLDING: [&str; 10] = ["and", "the", "with", "for", "from", "that", "this", "are", "his", "her"];

/// Rows by one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// The column, or `text` for the captions' words.
    pub column: String,
    /// Its values or words and how many rows have them, the most frequent first, then in the order of the alphabet.
    pub counts: Vec<(String, usize)>,
}

/// Counts the rows of each class, for every column that holds classes, weighted by how often a row is shown.
#[must_use]
pub fn columns(dataset: &Dataset, rows: &[usize]) -> Vec<Balance> {
    let mut balances = Vec::new();
    for (place, column) in dataset.columns.iter().enumerate() {
        let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
        for index in rows {
            let row = &dataset.rows[*index];
            let (rows, shown) = counts.entry(row.values.get(place).map_or("", |value| value.trim())).or_default();
            *rows += 1;
            *shown += row.repeats as usize;
            if counts.len() > MAX_CLASSES {
                break;
            }
        }
        // A column with a value of its own in most rows tells rows apart, not classes.
        let is_of_classes = (2..=MAX_CLASSES).contains(&counts.len()) && 2 * counts.len() <= rows.len();
        if is_of_classes {
            let counts = counts.into_iter().map(|(value, (_, shown))| (value.to_owned(), shown)).collect();
            balances.push(Balance { column: column.clone(), counts: sorted(counts) });
        }
    }
    balances
}

/// Counts the rows with each of the captions' most frequent words.
pub fn words<'a>(captions: impl Iterator<Item = (&'a str, u32)>) -> Balance {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (caption, repeats) in captions {
        let lower = caption.to_lowercase();
        let words: HashSet<&str> = lower
            .split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '\''))
            .filter(|word| word.chars().count() >= MIN_LETTERS && !HOLDING.contains(word))
            .collect();
        for word in words {
            *counts.entry(word.to_owned()).or_default() += repeats as usize;
        }
    }
    let mut counts = sorted(counts.into_iter().collect());
    counts.truncate(MAX_WORDS);
    Balance { column: "text".to_owned(), counts }
}

fn sorted(mut counts: Vec<(String, usize)>) -> Vec<(String, usize)> {
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::dataset::rows::Row;

    #[test]
    fn classes_are_counted_and_names_are_not() {
        let mut dataset = Dataset::new("test", Path::new("."));
        dataset.columns = ["id", "type", "same"].map(str::to_owned).to_vec();
        dataset.rows = [("1", "Dress", 1), ("2", "Dress", 3), ("3", "Top", 1), ("4", "", 1)]
            .map(|(id, kind, repeats)| Row {
                picture: None,
                name: String::new(),
                caption: None,
                values: [id, kind, "x"].map(str::to_owned).to_vec(),
                repeats,
                line: None,
                is_excluded: false,
            })
            .to_vec();
        let mut more = dataset.rows.clone();
        dataset.rows.append(&mut more);
        let found = columns(&dataset, &[0, 1, 2, 3, 4, 5]);
        // Four ids in six rows are no classes, and neither is one value.
        let counts = [("Dress", 8), ("", 1), ("Top", 1)].map(|(value, count)| (value.to_owned(), count)).to_vec();
        assert_eq!(found, [Balance { column: "type".to_owned(), counts }]);
    }

    #[test]
    fn a_word_counts_once_a_caption() {
        let found = words([("A red, RED dress with a t-shirt", 1), ("the red top", 2)].into_iter());
        let counts = [("red", 3), ("top", 2), ("dress", 1), ("t-shirt", 1)];
        assert_eq!(found.counts, counts.map(|(word, count)| (word.to_owned(), count)));
    }
}
