//! The values of a search's keys: spans of numbers, spans of days.

use std::fmt;
use std::str::FromStr;

/// One end of a [`Span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge<T> {
    /// Where it ends.
    pub value: T,
    /// Whether that value still belongs to it.
    pub is_included: bool,
}

/// Values from one to another; an end that is missing is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<T> {
    /// The lower end.
    pub low: Option<Edge<T>>,
    /// The upper end.
    pub high: Option<Edge<T>>,
}

/// A day, or all days of a month or a year, or days told from today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// `2026`, `2026-11` or `2026-11-03`: a year, a month of it from 1, a day of that from 1. A day has a month.
    Calendar {
        /// From 1 to 9999.
        year: u16,
        /// From 1 to 12.
        month: Option<u8>,
        /// From 1 to 31, as the month has them.
        day: Option<u8>,
    },
    /// The day on which the search is made.
    Today,
    /// The day before.
    Yesterday,
    /// `7d`: today and the days before it, that many together.
    Last(u16),
}

/// Days from one to another. Both ends are whole: `..2026-11` goes to the end of November, `>2026` begins with 2027.
pub type DaySpan = Span<Day>;

/// Why a value was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is still being typed.
    Unfinished,
    /// It makes no sense.
    Bad,
}

impl<T: Copy> Span<T> {
    /// Just one value.
    #[must_use]
    pub const fn one(value: T) -> Self {
        let edge = Some(Edge { value, is_included: true });
        Self { low: edge, high: edge }
    }

    /// `7`, `=7`, `>7`, `>=7`, `<7`, `<=7`, `7..9`, `7..`, `..9`.
    pub(super) fn read(text: &str, value: impl Fn(&str) -> Result<T, Unread>) -> Result<Self, Unread> {
        let edge = |text: &str, is_included| value(text.trim()).map(|value| Some(Edge { value, is_included }));
        let text = text.trim();
        if let Some((low, high)) = text.split_once("..") {
            let end = |text: &str| if text.trim().is_empty() { Ok(None) } else { edge(text, true) };
            // The upper end is typed last: until it can be read, the span is open there.
            return match (end(low)?, end(high)) {
                (None, Ok(None)) => Err(Unread::Unfinished),
                (low, Ok(high)) => Ok(Self { low, high }),
                (low @ Some(_), Err(Unread::Unfinished)) => Ok(Self { low, high: None }),
                (_, Err(unread)) => Err(unread),
            };
        }
        let after = |sign: &str| text.strip_prefix(sign);
        if let Some(rest) = after(">=").or(after("≥")) {
            return Ok(Self { low: edge(rest, true)?, high: None });
        }
        if let Some(rest) = after("<=").or(after("≤")) {
            return Ok(Self { low: None, high: edge(rest, true)? });
        }
        if let Some(rest) = after(">") {
            return Ok(Self { low: edge(rest, false)?, high: None });
        }
        if let Some(rest) = after("<") {
            return Ok(Self { low: None, high: edge(rest, false)? });
        }
        // `7.` is on its way to `7..9` or to `7.5`.
        let text = after("=").unwrap_or(text);
        value(text.strip_suffix('.').unwrap_or(text).trim()).map(Self::one)
    }
}

impl<T: fmt::Display + PartialEq> fmt::Display for Span<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.low, &self.high) {
            (Some(low), Some(high)) if low == high => write!(f, "{}", low.value),
            (Some(low), None) if !low.is_included => write!(f, ">{}", low.value),
            (None, Some(high)) if !high.is_included => write!(f, "<{}", high.value),
            (None, Some(high)) => write!(f, "<={}", high.value),
            (Some(low), None) => write!(f, ">={}", low.value),
            (Some(low), Some(high)) => write!(f, "{}..{}", low.value, high.value),
            (None, None) => Ok(()),
        }
    }
}

/// A whole number from 0; `1k` and separators are not read.
pub(super) fn whole(text: &str) -> Result<u64, Unread> {
    number_as(text)
}

/// A number that is finite.
pub(super) fn number(text: &str) -> Result<f64, Unread> {
    let number: f64 = number_as(text)?;
    // `-0` prints as it is read, but is equal to `0`: one form.
    if number.is_finite() { Ok(number + 0.0) } else { Err(Unread::Bad) }
}

fn number_as<T: FromStr>(text: &str) -> Result<T, Unread> {
    if text.is_empty() || text == "-" || text == "+" {
        return Err(Unread::Unfinished);
    }
    text.parse().map_err(|_| Unread::Bad)
}

/// `512x768`, also with `×`.
pub(super) fn dimensions(text: &str) -> Option<Result<(u64, u64), Unread>> {
    let (width, height) = text.split_once(['x', 'X', '×'])?;
    Some(whole(width.trim()).and_then(|width| Ok((width, whole(height.trim())?))))
}

/// `yes` or `no`, in several spellings and while they are typed.
pub(super) fn yes_no(text: &str) -> Result<bool, Unread> {
    match text.to_lowercase().as_str() {
        "" => Err(Unread::Unfinished),
        "yes" | "ye" | "y" | "true" | "on" | "1" => Ok(true),
        "no" | "n" | "false" | "off" | "0" => Ok(false),
        _ => Err(Unread::Bad),
    }
}

/// A [`Day`]. A date that is being typed is read as far as it goes: `2026-` is the year.
pub(super) fn day(text: &str) -> Result<Day, Unread> {
    let lower = text.to_lowercase();
    match lower.as_str() {
        "" => return Err(Unread::Unfinished),
        "today" => return Ok(Day::Today),
        "yesterday" => return Ok(Day::Yesterday),
        _ if ["today", "yesterday"].iter().any(|word| word.starts_with(&lower)) => return Err(Unread::Unfinished),
        _ => {}
    }
    if let Some(days) = lower.strip_suffix('d') {
        return days.parse().ok().filter(|days| *days > 0).map(Day::Last).ok_or(Unread::Bad);
    }
    let mut parts = lower.trim_end_matches('-').split('-');
    let year = parts.next().unwrap_or_default();
    if !year.bytes().all(|byte| byte.is_ascii_digit()) || year.len() > 4 {
        return Err(Unread::Bad);
    }
    if year.len() < 4 {
        return Err(Unread::Unfinished);
    }
    let year = year.parse().map_err(|_| Unread::Bad)?;
    let month = parts.next().map(|text| small(text, 12)).transpose()?.flatten();
    let most = month.map_or(0, |month| days_of(year, month));
    let day = parts.next().map(|text| small(text, most)).transpose()?.flatten();
    if year == 0 || parts.next().is_some() {
        return Err(Unread::Bad);
    }
    Ok(Day::Calendar { year, month, day: month.and(day) })
}

/// A number of one or two digits from 1; `0` is on its way to one.
fn small(text: &str, most: u8) -> Result<Option<u8>, Unread> {
    if text.is_empty() || text.len() > 2 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unread::Bad);
    }
    let number: u8 = text.parse().map_err(|_| Unread::Bad)?;
    match number {
        0 if text.len() == 1 => Ok(None),
        0 => Err(Unread::Bad),
        _ if number > most => Err(Unread::Bad),
        _ => Ok(Some(number)),
    }
}

/// How many days a month has, by the Gregorian calendar.
const fn days_of(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Today => f.write_str("today"),
            Self::Yesterday => f.write_str("yesterday"),
            Self::Last(days) => write!(f, "{days}d"),
            Self::Calendar { year, month, day } => {
                write!(f, "{year:04}")?;
                if let Some(month) = month {
                    write!(f, "-{month:02}")?;
                }
                if let Some(day) = day {
                    write!(f, "-{day:02}")?;
                }
                Ok(())
            }
        }
    }
}
