//! Columns by name: which rows are wanted (`articleType=Dresses`), and which name was meant by one that is not there.

use super::rows::{Dataset, Row};
use crate::domain::{Result, UserError};

/// How a column's value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Contains,
}

/// A condition on one column: `column=value`, `column!=value` or, for a part of it, `column~value`.
///
/// Upper and lower case are the same, and so is white space around the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    column: String,
    comparison: Comparison,
    /// In lower case.
    value: String,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// When it has no `=`, `!=` or `~`, or no column before it.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |sentence: String| {
            UserError::input(sentence)
                .hint("write it like articleType=Dresses, season!=Winter or productDisplayName~red")
        };
        let at =
            text.find(['=', '~']).ok_or_else(|| wrong(format!("\"{text}\" is no condition: it compares nothing")))?;
        let (before, value) = (&text[..at], &text[at + 1..]);
        let (column, comparison) = match before.strip_suffix('!') {
            Some(column) if text[at..].starts_with('=') => (column, Comparison::Unequal),
            _ if text[at..].starts_with('~') => (before, Comparison::Contains),
            _ => (before, Comparison::Equal),
        };
        let column = column.trim();
        if column.is_empty() {
            return Err(wrong(format!("\"{text}\" names no column")));
        }
        Ok(Self { column: column.to_owned(), comparison, value: value.trim().to_lowercase() })
    }

    /// Looks whether the data set has its column.
    ///
    /// # Errors
    /// When it has not, with the column of the nearest name.
    pub fn check(&self, dataset: &Dataset) -> Result<()> {
        if dataset.column(&self.column).is_some() { Ok(()) } else { Err(unknown(&self.column, &dataset.columns)) }
    }

    /// Whether a row is wanted. A row without a value in the column has an empty one.
    #[must_use]
    pub fn accepts(&self, dataset: &Dataset, row: &Row) -> bool {
        let value = dataset.value(row, &self.column).unwrap_or_default().trim().to_lowercase();
        match self.comparison {
            Comparison::Equal => value == self.value,
            Comparison::Unequal => value != self.value,
            Comparison::Contains => value.contains(&self.value),
        }
    }
}

/// The error for a column that is not there.
pub(super) fn unknown(name: &str, columns: &[String]) -> UserError {
    let error = UserError::input(format!("There is no column \"{name}\" in this data set"));
    if columns.is_empty() {
        return error.hint("it has no columns: its captions are taken as they are");
    }
    let all = columns.join(", ");
    match nearest(name, columns.iter().map(String::as_str)) {
        Some(column) => error.hint(format!("did you mean {column}? The columns are {all}")),
        None => error.hint(format!("the columns are {all}")),
    }
}

/// The name that needs the fewest changes to become `name`, if that is less than half of it.
#[must_use]
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower: Vec<char> = name.to_lowercase().chars().collect();
    let (changes, nearest) = names
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase().chars().collect::<Vec<_>>()), candidate))
        .min_by_key(|(changes, _)| *changes)?;
    (2 * changes < lower.len().max(2)).then_some(nearest)
}

/// How many letters must be changed, put in or taken out (Levenshtein).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn dataset() -> Dataset {
        let mut dataset = Dataset::new("test", Path::new("."));
        dataset.columns = ["id", "articleType", "baseColour"].map(str::to_owned).to_vec();
        dataset
    }

    fn row(values: &[&str]) -> Row {
        Row {
            picture: None,
            name: String::new(),
            caption: None,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            repeats: 1,
            line: None,
            is_excluded: false,
        }
    }

    #[test]
    fn conditions_compare_as_they_say() {
        let dataset = dataset();
        let accepts = |condition: &str, values: &[&str]| {
            let condition = Condition::parse(condition).unwrap();
            condition.check(&dataset).unwrap();
            condition.accepts(&dataset, &row(values))
        };
        assert!(accepts("articleType=Dresses", &["1", "Dresses"]));
        assert!(accepts(" articleType = dresses ", &["1", " Dresses"]));
        assert!(!accepts("articleType=Dress", &["1", "Dresses"]));
        assert!(accepts("articleType~dress", &["1", "Dresses"]));
        assert!(accepts("articleType!=Shirts", &["1", "Dresses"]));
        assert!(!accepts("articleType!=Dresses", &["1", "Dresses"]));
        // A value may hold the signs itself, and a row may end early.
        assert!(accepts("articleType=a=b~c", &["1", "a=b~c"]));
        assert!(accepts("baseColour=", &["1", "Dresses"]));
        for nonsense in ["", "articleType", "=Dresses", "!=x", "~"] {
            assert!(Condition::parse(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_column_that_is_not_there_brings_the_nearest_name() {
        let error = Condition::parse("articletyp=Dresses").unwrap().check(&dataset()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.hint.unwrap().starts_with("did you mean articleType?"));
        let error = Condition::parse("price=1").unwrap().check(&dataset()).unwrap_err();
        assert_eq!(error.hint.unwrap(), "the columns are id, articleType, baseColour");
    }

    #[test]
    fn distances_are_levenshteins() {
        let of = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        // The textbook's pairs.
        assert_eq!((of("kitten", "sitting"), of("", "abc"), of("abc", ""), of("flaw", "lawn")), (3, 3, 3, 2));
    }
}
