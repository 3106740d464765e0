//! Places at which a test lets the program crash.
//!
//! What must survive a crash is tested by crashing: `ATELIER_CRASH_AT=save.written` ends the program there as a kill would,
//! without tidying anything up; `save.written#3` does so when the place is passed for the third time. The variable is read
//! once; where it is not set, a place costs one comparison.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The environment variable that names a place.
pub const CRASH_VARIABLE: &str = "ATELIER_CRASH_AT";

/// Every place, in the order in which a job passes them.
pub const CRASH_POINTS: &[&str] = &[
    "queue.adding",
    "queue.added",
    "cache.begun",
    "cache.written",
    "cache.renamed",
    "save.intended",
    "write.begun",
    "write.synced",
    "write.renamed",
    "save.written",
    "save.marked",
    "save.listed",
    "queue.removing",
    "queue.removed",
];

struct Wanted {
    name: String,
    /// How many times the place is still passed.
    left: AtomicU32,
}

/// Ends the program here, if that is what the environment asks for.
pub fn crash_point(name: &str) {
    static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
    debug_assert!(CRASH_POINTS.contains(&name), "{name} is in the list");
    let Some(wanted) = WANTED.get_or_init(|| std::env::var(CRASH_VARIABLE).ok().map(|text| parse(&text))) else {
        return;
    };
    if wanted.name == name && wanted.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        std::process::abort();
    }
}

fn parse(text: &str) -> Wanted {
    let (name, times) = text.split_once('#').unwrap_or((text, "1"));
    Wanted { name: name.to_owned(), left: AtomicU32::new(times.parse().unwrap_or(1).max(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_and_a_time_are_read() {
        for (text, name, times) in
            [("save.written", "save.written", 1), ("a#3", "a", 3), ("a#0", "a", 1), ("a#x", "a", 1)]
        {
            let wanted = parse(text);
            assert_eq!((wanted.name.as_str(), wanted.left.into_inner()), (name, times));
        }
    }
}
