//! Trying again: which faults are worth it, how often, and with which pauses.

use std::thread;
use std::time::{Duration, Instant};

use super::config::Timing;
use crate::domain::{Cancel, Result, UserError};

/// How often a wait looks whether it was cancelled.
pub(super) const GLANCE: Duration = Duration::from_millis(20);

/// Why a request did not succeed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Another try may succeed: the connection failed or was cut, or the server is busy.
    Again {
        /// What to tell when the tries are used up.
        error: UserError,
        /// The pause that the server asked for.
        wait: Option<Duration>,
    },
    /// Another try would end the same way.
    Final(UserError),
}

/// What a try ends in.
pub(super) type Tried<T> = std::result::Result<T, Fault>;

impl From<UserError> for Fault {
    fn from(error: UserError) -> Self {
        Self::Final(error)
    }
}

/// The tries of one request or one file.
pub(super) struct Tries<'a> {
    timing: &'a Timing,
    cancel: &'a Cancel,
    failed: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn new(timing: &'a Timing, cancel: &'a Cancel) -> Self {
        Self { timing, cancel, failed: 0 }
    }

    /// Forgets the failed tries: the last one got on.
    pub(super) fn got_on(&mut self) {
        self.failed = 0;
    }

    /// Waits until the next try is due, and tells `waiting` how long that is.
    ///
    /// # Errors
    /// The fault's own error when another try is pointless, none is left, or the server wants a longer pause than a
    /// person would wait; the cancellation when that comes first.
    pub(super) fn next(&mut self, fault: Fault, waiting: &mut dyn FnMut(Duration)) -> Result<()> {
        let (error, wait) = match fault {
            Fault::Final(error) => return Err(error),
            Fault::Again { error, wait } => (error, wait),
        };
        self.failed += 1;
        // 2²⁰ times the first pause is beyond every longest pause; the bound keeps the shift defined.
        let own = self.timing.first_pause.saturating_mul(1 << (self.failed - 1).min(20)).min(self.timing.longest_pause);
        let pause = wait.unwrap_or(own);
        if self.failed >= self.timing.tries || pause > self.timing.longest_pause {
            return Err(error);
        }
        tracing::debug!("try {} failed, the next one in {pause:?}: {}", self.failed, error.sentence);
        waiting(pause);
        sleep(pause, self.cancel)
    }
}

/// Sleeps, but wakes up when cancelled.
///
/// # Errors
/// The cancellation.
pub(super) fn sleep(pause: Duration, cancel: &Cancel) -> Result<()> {
    let end = Instant::now() + pause;
    loop {
        check(cancel)?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(GLANCE));
    }
}

/// # Errors
/// The cancellation, when it was asked for.
pub(super) fn check(cancel: &Cancel) -> Result<()> {
    if cancel.is_cancelled() { Err(UserError::cancelled()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(wait: Option<Duration>) -> Fault {
        Fault::Again { error: UserError::failed("busy"), wait }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let ms = Duration::from_millis;
        let timing = Timing { tries: 5, first_pause: ms(1), longest_pause: ms(3), ..Timing::default() };
        let cancel = Cancel::default();
        let mut tries = Tries::new(&timing, &cancel);
        let mut pauses = Vec::new();
        let mut next = |fault| tries.next(fault, &mut |pause| pauses.push(pause));
        for _ in 0..4 {
            next(again(None)).unwrap();
        }
        assert_eq!(next(again(None)).unwrap_err().sentence, "busy");
        assert_eq!(pauses, [ms(1), ms(2), ms(3), ms(3)]);
    }

    #[test]
    fn the_servers_pause_is_kept_unless_nobody_would_wait_so_long() {
        let timing = Timing { longest_pause: Duration::from_millis(30), ..Timing::default() };
        let cancel = Cancel::default();
        let mut pauses = Vec::new();
        let mut tries = Tries::new(&timing, &cancel);
        tries.next(again(Some(Duration::ZERO)), &mut |pause| pauses.push(pause)).unwrap();
        assert!(tries.next(again(Some(Duration::from_hours(1))), &mut |pause| pauses.push(pause)).is_err());
        assert_eq!(pauses, [Duration::ZERO]);
    }

    #[test]
    fn a_cancel_ends_a_pause() {
        let cancel = Cancel::default();
        cancel.cancel();
        assert!(sleep(Duration::from_hours(1), &cancel).unwrap_err().is_cancelled());
    }
}
