//! [`Selection`]: which rows of a table are wanted: some of them, a part of those, one machine's share.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use super::plan::draw_seed;

/// Rows from one to another, both included, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowRange {
    /// The first.
    pub first: usize,
    /// The last; there may be fewer.
    pub last: usize,
}

impl FromStr for RowRange {
    type Err = String;

    /// `3-10`, `3-` for all from the third on, `-10` for the first ten, `3` for one.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no range of rows; write it like 3-10, 3- or -10, counted from 1");
        let number = |text: &str| text.parse::<usize>().map_err(|_| wrong()).map(Some);
        let side = |text: &str| if text.is_empty() { Ok(None) } else { number(text) };
        let text = text.trim();
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (side(first.trim())?, side(last.trim())?),
            None => (number(text)?, number(text)?),
        };
        let range = Self { first: first.unwrap_or(1), last: last.unwrap_or(usize::MAX) };
        let is_right = (first.is_some() || last.is_some()) && range.first > 0 && range.first <= range.last;
        if is_right { Ok(range) } else { Err(wrong()) }
    }
}

/// One machine's share of a table: every `of`-th row, beginning with row `index`, both counted from 1.
///
/// Shares depend on the table alone, not on what else is selected: the same row is always the same machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which share, from 1 to `of`.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no share; write it like 2/4: the second of four, counted from 1");
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
        let shard = Self { index: number(index)?, of: number(of)? };
        if (1..=shard.of).contains(&shard.index) { Ok(shard) } else { Err(wrong()) }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl Shard {
    /// Whether a row, counted from 0, is in this share.
    #[must_use]
    pub fn has(self, row: usize) -> bool {
        row % self.of.max(1) == self.index.saturating_sub(1)
    }
}

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these.
    pub rows: Option<RowRange>,
    /// Only so many of them, drawn by the batch's seed.
    pub sample: Option<usize>,
    /// Only one machine's share of those.
    pub shard: Option<Shard>,
}

impl Selection {
    /// The wanted rows of a table with `count` rows, counted from 0 and in order. `seed` is the batch's.
    #[must_use]
    pub fn of(self, count: usize, seed: u64) -> Vec<usize> {
        let range = self.rows.unwrap_or(RowRange { first: 1, last: usize::MAX });
        let mut wanted: Vec<usize> = (range.first.saturating_sub(1)..count.min(range.last)).collect();
        if let Some(sample) = self.sample.filter(|sample| *sample < wanted.len()) {
            // Those that draw the lowest numbers; another seed than the rows' own, so that a sample has no bias in it.
            let mut drawn: Vec<(u64, usize)> = wanted.iter().map(|row| (draw_seed(!seed, *row), *row)).collect();
            drawn.sort_unstable();
            let drawn: HashSet<usize> = drawn.into_iter().take(sample).map(|(_, row)| row).collect();
            wanted.retain(|row| drawn.contains(row));
        }
        wanted.retain(|row| self.shard.is_none_or(|shard| shard.has(*row)));
        wanted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_and_shares_count_from_one() {
        let range = |first, last| Ok(RowRange { first, last });
        assert_eq!("3-10".parse(), range(3, 10));
        assert_eq!(" 3 - ".parse(), range(3, usize::MAX));
        assert_eq!("-10".parse(), range(1, 10));
        assert_eq!("7".parse(), range(7, 7));
        for text in ["", "-", "0-3", "10-3", "a-b", "1-2-3", "0", "99999999999999999999"] {
            assert!(text.parse::<RowRange>().is_err(), "{text}");
        }
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, of: 4 }));
        for text in ["", "0/4", "5/4", "2", "a/b", "1/0", "-1/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        let selection = Selection { rows: "2-5".parse().ok(), sample: None, shard: "1/2".parse().ok() };
        assert_eq!(selection.of(100, 0), [2, 4], "of rows 2 to 5 the odd ones, counted from 0");
        assert_eq!(selection.of(3, 0), [2]);
        assert_eq!(selection.of(0, 0), [0; 0]);
    }

    proptest! {
        #[test]
        fn shares_are_all_rows_and_no_row_twice(count in 0..60_usize, of in 1..7_usize, seed in any::<u64>(), sample in proptest::option::of(0..70_usize)) {
            let whole = Selection { rows: None, sample, shard: None }.of(count, seed);
            prop_assert_eq!(whole.len(), sample.unwrap_or(count).min(count));
            let mut shares: Vec<usize> = (1..=of)
                .flat_map(|index| Selection { rows: None, sample, shard: Some(Shard { index, of }) }.of(count, seed))
                .collect();
            shares.sort_unstable();
            prop_assert_eq!(shares, whole);
        }
    }
}
