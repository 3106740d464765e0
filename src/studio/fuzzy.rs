//! Finding a text by some of its letters, as one types: `gst` finds "Guidance strength".

/// How well a text fits what was typed, and which of its characters do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Higher is better.
    pub score: i32,
    /// The characters that fit, by their position among the text's characters, in order.
    pub places: Vec<usize>,
}

/// A letter that fits.
const LETTER: i32 = 4;
/// At the beginning of a word.
const WORD_BEGIN: i32 = 8;
/// Right behind the letter before.
const IN_A_ROW: i32 = 6;
/// At the beginning of the text.
const TEXT_BEGIN: i32 = 6;
/// For each character between two that fit, up to a bound.
const GAP: i32 = 1;
const MOST_GAPS: i32 = 8;

/// Longest texts that are looked at, in characters: the work grows with the square.
const MAX_CHARS: usize = 200;

/// How a text fits a query: every word of the query must be found in it, letter by letter and in order; the words
/// themselves may come in any order. Case does not count. `None` where it does not fit; an empty query fits everything.
#[must_use]
pub fn fit(query: &str, text: &str) -> Option<Fit> {
    let chars: Vec<char> = text.chars().take(MAX_CHARS).collect();
    let folded: Vec<char> = chars.iter().map(|c| fold(*c)).collect();
    let mut fit = Fit::default();
    for word in query.split_whitespace() {
        let word: Vec<char> = word.chars().take(MAX_CHARS).map(fold).collect();
        let found = fit_word(&word, &chars, &folded)?;
        fit.score += found.score;
        fit.places.extend(found.places);
    }
    fit.places.sort_unstable();
    fit.places.dedup();
    // Of two that fit alike the shorter one is meant.
    fit.score -= (chars.len() / 8) as i32;
    Some(fit)
}

/// The first of a character's lower case forms: one character stays one, so that places keep their meaning.
fn fold(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// The best way to find a word: `best[j]` is the best score with the letters so far, the last of them at `j`.
fn fit_word(word: &[char], chars: &[char], folded: &[char]) -> Option<Fit> {
    const NONE: i32 = i32::MIN / 2;
    let mut best: Vec<i32> = Vec::new();
    let mut from: Vec<Vec<usize>> = Vec::new();
    for (i, letter) in word.iter().enumerate() {
        let mut row = vec![NONE; chars.len()];
        let mut came = vec![usize::MAX; chars.len()];
        for j in 0..chars.len() {
            if folded[j] != *letter {
                continue;
            }
            let begins = j == 0 || !chars[j - 1].is_alphanumeric();
            let here = LETTER + if begins { WORD_BEGIN } else { 0 } + if j == 0 { TEXT_BEGIN } else { 0 };
            if i == 0 {
                row[j] = here;
                continue;
            }
            for (k, before) in best.iter().enumerate().take(j).filter(|(_, before)| **before > NONE) {
                let gap = (j - k - 1) as i32;
                let score = before + here + if gap == 0 { IN_A_ROW } else { -(GAP * gap.min(MOST_GAPS)) };
                if score > row[j] {
                    (row[j], came[j]) = (score, k);
                }
            }
        }
        best = row;
        from.push(came);
    }
    let (mut at, score) = best.iter().copied().enumerate().max_by_key(|(j, score)| (*score, std::cmp::Reverse(*j)))?;
    if score <= NONE {
        return None;
    }
    let mut places = vec![at];
    for came in from.iter().skip(1).rev() {
        at = came[at];
        places.push(at);
    }
    places.reverse();
    Some(Fit { score, places })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score(query: &str, text: &str) -> i32 {
        fit(query, text).unwrap_or_else(|| panic!("{query:?} is in {text:?}")).score
    }

    #[test]
    fn letters_are_found_in_order_and_words_in_any() {
        assert!(fit("gst", "Guidance strength").is_some());
        assert!(fit("strength guid", "Guidance strength").is_some());
        assert!(fit("GUIDANCE", "guidance").is_some());
        assert!(fit("tsg", "Guidance strength").is_none(), "the letters are there, in another order");
        assert!(fit("guidance x", "Guidance strength").is_none(), "one word of two is not enough");
        assert_eq!(fit("  ", "abcdefg"), Some(Fit::default()));
    }

    #[test]
    fn beginnings_of_words_and_letters_in_a_row_count_more() {
        assert!(score("sa", "Save as…") > score("sa", "Use this address"));
        assert!(score("seed", "New seed") > score("seed", "See the end"));
        assert!(score("go", "Go on") > score("go", "Good pictures in few steps"), "the shorter text");
        assert_eq!(fit("ns", "New seed").map(|fit| fit.places), Some(vec![0, 4]));
        assert_eq!(fit("猫", "赤い猫").map(|fit| fit.places), Some(vec![2]));
    }

    proptest! {
        #[test]
        fn what_fits_is_in_the_text(query in ".{0,12}", text in ".{0,300}") {
            if let Some(fit) = fit(&query, &text) {
                let chars: Vec<char> = text.chars().map(fold).collect();
                let letters: Vec<char> = query.chars().filter(|c| !c.is_whitespace()).map(fold).collect();
                prop_assert!(fit.places.windows(2).all(|pair| pair[0] < pair[1]));
                for place in fit.places {
                    prop_assert!(letters.contains(&chars[place]));
                }
            }
        }

        #[test]
        fn a_text_fits_itself_and_every_pick_of_its_letters(text in "[a-zA-Z éß猫]{1,60}", keep in any::<u64>()) {
            let pick: String =
                text.chars().enumerate().filter(|(i, _)| keep >> (i % 64) & 1 == 1).map(|(_, c)| c).collect();
            prop_assert!(fit(&text, &text).is_some());
            prop_assert!(fit(&pick.replace(' ', ""), &text).is_some());
        }
    }
}
