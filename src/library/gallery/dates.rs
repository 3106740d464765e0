//! Days of a search as points in time, by the calendar of the place where the program runs.

use chrono::{DateTime, Days, Local, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone};

use crate::domain::search::{Day, DaySpan};

/// From when (included) to when (not included), in milliseconds since 1970; `None` is open.
pub(super) fn milliseconds(span: &DaySpan, now: DateTime<Local>) -> (Option<i64>, Option<i64>) {
    let today = now.date_naive();
    let low = span.low.and_then(|edge| {
        let (start, end) = days(edge.value, today)?;
        at_midnight(if edge.is_included { start } else { end })
    });
    let high = span.high.and_then(|edge| {
        let (start, end) = days(edge.value, today)?;
        at_midnight(if edge.is_included { end } else { start })
    });
    (low, high)
}

/// The first day and the one behind the last.
fn days(day: Day, today: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    match day {
        Day::Calendar { year, month, day: None } => {
            let start = NaiveDate::from_ymd_opt(i32::from(year), u32::from(month.unwrap_or(1)), 1)?;
            Some((start, start.checked_add_months(Months::new(if month.is_some() { 1 } else { 12 }))?))
        }
        Day::Calendar { year, month, day: Some(day) } => {
            let start = NaiveDate::from_ymd_opt(i32::from(year), u32::from(month?), u32::from(day))?;
            Some((start, start.succ_opt()?))
        }
        Day::Today => Some((today, today.succ_opt()?)),
        Day::Yesterday => Some((today.pred_opt()?, today)),
        Day::Last(count) => {
            let before = u64::from(count.max(1)) - 1;
            Some((today.checked_sub_days(Days::new(before))?, today.succ_opt()?))
        }
    }
}

fn at_midnight(day: NaiveDate) -> Option<i64> {
    let midnight = day.and_time(NaiveTime::MIN);
    // Where the clock is put forward at midnight, the day begins an hour later.
    let time = Local.from_local_datetime(&midnight).earliest();
    let time = time.or_else(|| Local.from_local_datetime(&(midnight + TimeDelta::hours(1))).earliest())?;
    Some(time.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::search::{Test, parse};

    /// Start and end of a search's date, as local days, on the third of March 2024 at noon.
    fn span(text: &str) -> (String, String) {
        let now = Local.with_ymd_and_hms(2024, 3, 3, 12, 0, 0).unwrap();
        let Test::Date(span) = parse(text).query.all[0][0].test.clone() else { panic!("{text}") };
        let (low, high) = milliseconds(&span, now);
        let day = |ms: Option<i64>| {
            ms.map_or_else(String::new, |ms| Local.timestamp_millis_opt(ms).unwrap().format("%F").to_string())
        };
        (day(low), day(high))
    }

    #[test]
    fn both_ends_of_a_span_are_whole() {
        for (text, low, high) in [
            ("date:2024", "2024-01-01", "2025-01-01"),
            ("date:2024-12", "2024-12-01", "2025-01-01"),
            ("date:2024-02-29", "2024-02-29", "2024-03-01"),
            ("date:2024-01..2024-02", "2024-01-01", "2024-03-01"),
            ("date:>2023", "2024-01-01", ""),
            ("date:>=2023", "2023-01-01", ""),
            ("date:<2023-06", "", "2023-06-01"),
            ("date:..2023-06", "", "2023-07-01"),
            ("date:today", "2024-03-03", "2024-03-04"),
            ("date:yesterday", "2024-03-02", "2024-03-03"),
            ("date:7d", "2024-02-26", "2024-03-04"),
            ("date:9999-12-31", "9999-12-31", "10000-01-01"),
        ] {
            let (start, end) = span(text);
            assert_eq!((start.as_str(), end.trim_start_matches('+')), (low, high), "{text}");
        }
    }
}
