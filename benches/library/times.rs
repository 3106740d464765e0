//! Times of a measurement, by the clock and by the processor, and its memory.

#![expect(clippy::print_stdout, reason = "a measurement prints")]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Time by the clock and by this thread's processor; both from somewhere, or both as lengths.
#[derive(Clone, Copy)]
pub struct Times {
    /// By the clock.
    pub clock: Duration,
    /// By the processor.
    pub processor: Duration,
}

impl Times {
    /// Now.
    pub fn now() -> Self {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let clock = START.elapsed();
        // The first number is the time on a processor in nanoseconds.
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let nanoseconds = told.split_whitespace().next().and_then(|number| number.parse().ok());
        Self { clock, processor: nanoseconds.map_or(clock, Duration::from_nanos) }
    }

    /// Since then.
    pub fn elapsed(self) -> Self {
        let now = Self::now();
        Self { clock: now.clock.saturating_sub(self.clock), processor: now.processor.saturating_sub(self.processor) }
    }
}

/// A row of a table: medians and 95th percentiles.
pub fn print_quantiles(kind: &str, found: usize, times: &[Times]) {
    let quantiles = |of: fn(&Times) -> Duration| {
        let mut times: Vec<Duration> = times.iter().map(of).collect();
        times.sort_unstable();
        [50, 95].map(|part| milliseconds(times[(times.len() - 1) * part / 100]))
    };
    let [[clock, clock_95], [processor, processor_95]] =
        [quantiles(|times| times.clock), quantiles(|times| times.processor)];
    println!("{kind:<34} {found:>8} {clock:>10} {clock_95:>10} {processor:>10} {processor_95:>10}");
}

/// As it is printed.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// Memory of this process in KiB; 0 where the system does not tell in `/proc`.
pub fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
