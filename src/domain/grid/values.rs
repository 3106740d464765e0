//! What can be typed as the values of an axis: a list, and ranges of numbers.
//!
//! The forms are those of stable-diffusion-webui's X/Y/Z plot (`scripts/xyz_grid.py` at version 1.10): `7, 9, 11`, `1-5`,
//! `1-10 (+3)`, `1-10 [5]`, and quotation marks around a value with a comma. Two things differ: a range holds its last number
//! whatever way it counts, and `5-1` counts down.

/// Most values that one item stands for; more is a slip of the keyboard.
const MAX_OF_RANGE: usize = 1000;
/// Digits behind the point of numbers that are spread evenly.
const EVEN_DIGITS: usize = 4;
/// Most digits behind the point of numbers that are counted.
const MAX_DIGITS: usize = 9;

/// Takes a list apart at commas and line ends. What stands in quotation marks is one item, and may be empty; two of them
/// within are one.
///
/// # Errors
/// When a quotation mark is not closed, in a sentence.
pub fn items(text: &str) -> Result<Vec<String>, String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    loop {
        match chars.next() {
            Some('"') if !quoted && item.trim().is_empty() => {
                item.clear();
                loop {
                    match chars.next() {
                        Some('"') if chars.peek() == Some(&'"') => {
                            chars.next();
                            item.push('"');
                        }
                        Some('"') => break,
                        Some(c) => item.push(c),
                        None => return Err("A quotation mark is not closed".to_owned()),
                    }
                }
                quoted = true;
            }
            end @ (None | Some(',' | '\n')) => {
                if quoted {
                    items.push(std::mem::take(&mut item));
                } else if !item.trim().is_empty() {
                    items.push(item.trim().to_owned());
                }
                item.clear();
                quoted = false;
                if end.is_none() {
                    return Ok(items);
                }
            }
            // White space behind the closing mark is none of the value.
            Some(c) if quoted && c.is_whitespace() => {}
            Some(c) => item.push(c),
        }
    }
}

/// Values as a list that is read back as the same ones.
#[must_use]
pub fn list_text<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let quote = |value: &str| {
        let is_plain = !value.is_empty() && value.trim() == value && !value.contains(['"', ',', '\n']);
        if is_plain { value.to_owned() } else { format!("\"{}\"", value.replace('"', "\"\"")) }
    };
    values.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// The whole numbers that an item stands for.
///
/// # Errors
/// In a sentence, when it is neither a number nor a range of them.
pub fn whole(item: &str) -> Result<Vec<u64>, String> {
    if let Ok(number) = item.trim().parse() {
        return Ok(vec![number]);
    }
    let no_number = || format!("\"{item}\" is no whole number. Ranges look like 1-5, 10-50 (+10) or 10-50 [5]");
    let range = Range::read(item).ok_or_else(no_number)?;
    let end = |text: &str| text.parse::<u64>().map(i128::from).map_err(|_| no_number());
    let (start, end) = (end(range.start)?, end(range.end)?);
    let found: Vec<i128> = match range.by {
        By::Count(count) => {
            let count = checked_count(count, item)? as i128;
            // Cut to whole numbers, as over there.
            let at = |i: i128| start + ((end - start) * i).div_euclid((count - 1).max(1));
            (0..count).map(at).collect()
        }
        By::Step(step) => {
            let step = match step {
                Some(step) => step.parse::<i64>().map(i128::from).map_err(|_| no_number())?,
                None => {
                    if start <= end {
                        1
                    } else {
                        -1
                    }
                }
            };
            let steps = checked_steps((end - start) as f64, step as f64, item)?;
            (0..=steps as i128).map(|i| start + i * step).collect()
        }
    };
    Ok(found.into_iter().filter_map(|number| u64::try_from(number).ok()).collect())
}

/// The numbers that an item stands for.
///
/// # Errors
/// In a sentence, when it is neither a number nor a range of them.
pub fn number(item: &str) -> Result<Vec<f64>, String> {
    let finite = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    if let Some(number) = finite(item) {
        return Ok(vec![number + 0.0]);
    }
    let no_number = || format!("\"{item}\" is no number. Ranges look like 1-5, 0.2-1 (+0.2) or 0-1 [5]");
    let range = Range::read(item).ok_or_else(no_number)?;
    let (start, end) = (finite(range.start).ok_or_else(no_number)?, finite(range.end).ok_or_else(no_number)?);
    Ok(match range.by {
        By::Count(count) => {
            let count = checked_count(count, item)?;
            let part = if count > 1 { (end - start) / (count - 1) as f64 } else { 0.0 };
            (0..count).map(|i| rounded(start + i as f64 * part, EVEN_DIGITS)).collect()
        }
        By::Step(step) => {
            let text = step.unwrap_or(if start <= end { "1" } else { "-1" });
            let step = finite(text).ok_or_else(no_number)?;
            let digits = digits_of(range.start).max(digits_of(text));
            let steps = checked_steps(end - start, step, item)?;
            (0..=steps).map(|i| rounded(start + i as f64 * step, digits)).collect()
        }
    })
}

/// `start-end`, with what stands behind it.
struct Range<'a> {
    start: &'a str,
    end: &'a str,
    by: By<'a>,
}

enum By<'a> {
    /// `(+3)`, or nothing.
    Step(Option<&'a str>),
    /// `[5]`.
    Count(&'a str),
}

impl<'a> Range<'a> {
    fn read(item: &'a str) -> Option<Self> {
        let item = item.trim();
        let (ends, by) = if let Some(inner) = item.strip_suffix(')') {
            let (ends, step) = inner.split_once('(')?;
            (ends, By::Step(Some(step.trim())))
        } else if let Some(inner) = item.strip_suffix(']') {
            let (ends, count) = inner.split_once('[')?;
            (ends, By::Count(count.trim()))
        } else {
            (item, By::Step(None))
        };
        // The sign between two numbers stands behind a digit: not at the beginning, and not in an exponent.
        let is_between = |(at, c): &(usize, char)| {
            let before = ends[..*at].trim_end();
            *c == '-' && before.ends_with(|c: char| c.is_ascii_digit() || c == '.')
        };
        let (at, _) = ends.char_indices().find(is_between)?;
        Some(Self { start: ends[..at].trim(), end: ends[at + 1..].trim(), by })
    }
}

/// How many values are spread evenly.
fn checked_count(text: &str, item: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count) if (1..=MAX_OF_RANGE).contains(&count) => Ok(count),
        Ok(0) => Err(format!("\"{item}\" stands for no value at all")),
        Ok(_) => Err(too_many(item)),
        Err(_) => Err(format!("\"{text}\" in \"{item}\" is no count")),
    }
}

/// How many steps lead over a distance.
fn checked_steps(distance: f64, step: f64, item: &str) -> Result<usize, String> {
    if step == 0.0 {
        return Err(format!("\"{item}\" never arrives: its step is 0"));
    }
    // What is counted in decimals misses whole steps by a hair.
    let steps = (distance / step + 1e-9).floor();
    if steps < 0.0 {
        return Err(format!("\"{item}\" counts the wrong way: turn the sign of its step"));
    }
    if steps >= MAX_OF_RANGE as f64 { Err(too_many(item)) } else { Ok(steps as usize) }
}

fn too_many(item: &str) -> String {
    format!("\"{item}\" stands for more than {MAX_OF_RANGE} values")
}

/// Digits behind the point, as typed.
fn digits_of(text: &str) -> usize {
    if text.contains(['e', 'E']) {
        return MAX_DIGITS;
    }
    text.split_once('.').map_or(0, |(_, digits)| digits.len()).min(MAX_DIGITS)
}

fn rounded(value: f64, digits: usize) -> f64 {
    let unit = 10_f64.powi(digits as i32);
    let rounded = (value * unit).round() / unit;
    if rounded.is_finite() { rounded + 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_taken_apart() {
        for (text, expected) in [
            ("7, 9,11", &["7", "9", "11"][..]),
            (" , ,", &[]),
            ("", &[]),
            ("red dress, blue dress", &["red dress", "blue dress"]),
            ("\"a, b\" , c", &["a, b", "c"]),
            ("red, \"\"", &["red", ""]),
            ("\"say \"\"yes\"\"\",\nno", &["say \"yes\"", "no"]),
            ("6\" heels, flat", &["6\" heels", "flat"]),
            ("絹, 綿", &["絹", "綿"]),
        ] {
            assert_eq!(items(text).unwrap(), expected, "{text}");
        }
        assert!(items("a, \"b").is_err());
    }

    /// The first four are the examples of the web UI's documentation (wiki, "Features", X/Y/Z plot).
    #[test]
    fn ranges_of_whole_numbers() {
        for (item, expected) in [
            ("1-5", &[1, 2, 3, 4, 5][..]),
            ("1-5 (+2)", &[1, 3, 5]),
            ("10-5 (-3)", &[10, 7]),
            ("1-10 [5]", &[1, 3, 5, 7, 10]),
            ("1-10 (+3)", &[1, 4, 7, 10]),
            ("3 - 1", &[3, 2, 1]),
            ("8", &[8]),
            ("5-5", &[5]),
            ("4-9 [1]", &[4]),
            ("0-100[3]", &[0, 50, 100]),
            ("18446744073709551615", &[u64::MAX]),
        ] {
            assert_eq!(whole(item).unwrap(), expected, "{item}");
        }
        for (item, why) in [
            ("", "no whole number"),
            ("many", "no whole number"),
            ("1.5", "no whole number"),
            ("-1", "no whole number"),
            ("1-", "no whole number"),
            ("1-5 (+x)", "no whole number"),
            ("1-5 (+0)", "never arrives"),
            ("1-5 (-1)", "wrong way"),
            ("1-5 [0]", "no value at all"),
            ("1-5 [x]", "no count"),
            ("1-100000", "more than 1000"),
            ("1-5 [100000]", "more than 1000"),
            ("0-18446744073709551615", "more than 1000"),
        ] {
            let said = whole(item).unwrap_err();
            assert!(said.contains(why), "{item}: {said}");
        }
    }

    #[test]
    fn ranges_of_numbers() {
        for (item, expected) in [
            ("7.5", &[7.5][..]),
            ("-1", &[-1.0]),
            ("1e-3", &[0.001]),
            ("0.1-0.5 (+0.1)", &[0.1, 0.2, 0.3, 0.4, 0.5]),
            ("1-3 (+0.5)", &[1.0, 1.5, 2.0, 2.5, 3.0]),
            ("0.0-1.0 [6]", &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            ("0-1 [4]", &[0.0, 0.3333, 0.6667, 1.0]),
            ("-1-1", &[-1.0, 0.0, 1.0]),
            ("-3--1", &[-3.0, -2.0, -1.0]),
            ("1 - 0 (-0.5)", &[1.0, 0.5, 0.0]),
            ("-0", &[0.0]),
        ] {
            assert_eq!(number(item).unwrap(), expected, "{item}");
        }
        for item in ["", "x", "NaN", "inf", "0-inf", "1-2-3", "1-2 (+NaN)", "1-2 (+1e-9)", "1-2 (", "(+1)", "[3]"] {
            assert!(number(item).is_err(), "{item}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).{0,60}", close in "[-+0-9.eE()\\[\\] ]{0,24}") {
            for text in [text, close] {
                let _ = (items(&text), whole(&text), number(&text));
            }
        }

        #[test]
        fn any_values_are_read_back_from_their_list(values in proptest::collection::vec("(?s).{0,12}", 0..6)) {
            let text = list_text(values.iter().map(String::as_str));
            prop_assert_eq!(items(&text).unwrap(), values);
        }

        #[test]
        fn a_counted_range_has_its_ends_and_its_order(start in 0_u64..10_000, length in 0_u64..900, step in 1_i64..50) {
            let found = whole(&format!("{start}-{} (+{step})", start + length)).unwrap();
            prop_assert_eq!(found[0], start);
            prop_assert!(found.windows(2).all(|pair| pair[1] - pair[0] == step as u64));
            let last = found[found.len() - 1];
            prop_assert!(last <= start + length && last + step as u64 > start + length);
        }

        #[test]
        fn an_even_range_has_both_ends(start in -100_i32..100, end in -100_i32..100, count in 2_usize..40) {
            let found = number(&format!("{start}-{end} [{count}]")).unwrap();
            prop_assert_eq!(found.len(), count);
            prop_assert_eq!((found[0], found[count - 1]), (f64::from(start), f64::from(end)));
        }
    }
}
