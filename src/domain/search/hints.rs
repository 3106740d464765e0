//! [`Hint`]: what of a search was not understood, and where it stands.

use std::ops::Range;

/// One thing in a search that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Its place in the text, in bytes, at the borders of characters.
    pub place: Range<usize>,
    /// What is the matter with it.
    pub kind: HintKind,
}

/// Why something in a search was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HintKind {
    /// There is no such key; it was read as words.
    UnknownKey {
        /// What stands before the colon.
        key: String,
        /// The key that may be meant.
        nearest: Option<&'static str>,
    },
    /// The value is still to come; until then the key counts for nothing.
    Unfinished {
        /// Which key.
        key: &'static str,
        /// What is expected, for a sentence.
        expected: &'static str,
    },
    /// The value cannot be read; the key counts for nothing.
    BadValue {
        /// Which key.
        key: &'static str,
        /// What is expected, for a sentence.
        expected: &'static str,
        /// The value that may be meant.
        nearest: Option<&'static str>,
    },
}

impl Hint {
    /// Whether the user is probably still typing, so that it is too early to complain.
    #[must_use]
    pub const fn is_unfinished(&self) -> bool {
        matches!(self.kind, HintKind::Unfinished { .. })
    }

    /// What to put in its place, where something near is known.
    #[must_use]
    pub const fn suggestion(&self) -> Option<&'static str> {
        match self.kind {
            HintKind::UnknownKey { nearest, .. } | HintKind::BadValue { nearest, .. } => nearest,
            HintKind::Unfinished { .. } => None,
        }
    }

    /// A sentence for the user.
    #[must_use]
    pub fn sentence(&self) -> String {
        let or_nearest =
            |nearest: Option<&str>| nearest.map_or_else(String::new, |near| format!(": did you mean {near}?"));
        match &self.kind {
            HintKind::UnknownKey { key, nearest } => format!("There is no {key}: to search by{}", or_nearest(*nearest)),
            HintKind::Unfinished { key, expected } => format!("After {key}: comes {expected}"),
            HintKind::BadValue { key, expected, nearest } => {
                format!("After {key}: comes {expected}{}", or_nearest(*nearest))
            }
        }
    }
}

/// The name nearest to what was typed, if one is near enough to be meant: one change for every three letters.
pub(in crate::domain) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed: Vec<char> = typed.to_lowercase().chars().take(40).collect();
    let most = typed.len().div_ceil(3);
    let near = names.map(|name| (distance(&typed, &name.to_lowercase().chars().take(80).collect::<Vec<_>>()), name));
    near.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbours (the restricted
/// Damerau-Levenshtein distance).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}
