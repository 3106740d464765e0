//! [`ErrorLog`]: every error of this session with what is needed to report it, also after its message was closed.

use crate::domain::{GenerateRequest, UserError};

use super::State;

/// Most errors that are kept; the oldest go first.
const MAX_ERRORS: usize = 200;

/// An error of this session.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorRecord {
    /// Its key.
    pub key: u64,
    /// When it came last, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// What went wrong.
    pub error: UserError,
    /// What was asked for, where it was about a picture to be made.
    pub request: Option<Box<GenerateRequest>>,
    /// How often in a row it came.
    pub times: u32,
}

/// The errors of this session, oldest first.
#[derive(Clone, Debug, Default)]
pub struct ErrorLog {
    list: Vec<ErrorRecord>,
    next_key: u64,
    /// The time now, in milliseconds since 1970 UTC, as `app` last told it: this floor has no clock.
    pub now_ms: i64,
}

impl ErrorLog {
    /// All of them, oldest first.
    #[must_use]
    pub fn list(&self) -> &[ErrorRecord] {
        &self.list
    }

    /// Takes an error down. The same one in a row only counts up.
    pub(super) fn add(&mut self, error: UserError, request: Option<Box<GenerateRequest>>) {
        if let Some(last) = self.list.last_mut().filter(|last| last.error == error && last.request == request) {
            last.times += 1;
            last.at_ms = self.now_ms;
            return;
        }
        self.next_key += 1;
        self.list.push(ErrorRecord { key: self.next_key, at_ms: self.now_ms, error, request, times: 1 });
        let surplus = self.list.len().saturating_sub(MAX_ERRORS);
        self.list.drain(..surplus);
    }
}

impl State {
    /// All that is needed to report an error, as text. It names files and, where a picture was to be made, its prompt.
    #[must_use]
    pub fn error_details(&self, record: &ErrorRecord) -> String {
        let ErrorRecord { key: _, at_ms, error, request, times } = record;
        let machine = &self.shell.machine;
        let mut lines = vec![error.to_string(), String::new(), format!("time: {}", (self.catalog.local_date)(*at_ms))];
        if *times > 1 {
            lines.push(format!("times: {times}"));
        }
        lines.push(format!("program: Atelier {}", env!("ATELIER_VERSION")));
        lines.push(format!("system: {} {}", std::env::consts::OS, std::env::consts::ARCH));
        lines.push(format!("threads: {}", machine.threads));
        if let Some(memory) = machine.memory {
            lines.push(format!(
                "memory: {} in all, {} free, {} taken by the program",
                crate::domain::bytes_text(memory.total_bytes),
                crate::domain::bytes_text(memory.free_bytes),
                crate::domain::bytes_text(memory.own_bytes)
            ));
        }
        if let Some(request) = request {
            lines.push(format!("model: {}", self.models.name(&request.model)));
            match serde_json::to_string_pretty(request) {
                Ok(text) => lines.push(format!("request: {text}")),
                Err(reason) => lines.push(format!("request: cannot be written as JSON: {reason}")),
            }
        }
        lines.push(format!("log: {}", self.paths.logs_dir.display()));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_error_in_a_row_counts_up_and_the_oldest_go() {
        let mut log = ErrorLog { now_ms: 5, ..ErrorLog::default() };
        log.add(UserError::failed("a"), None);
        log.now_ms = 6;
        log.add(UserError::failed("a"), None);
        log.add(UserError::failed("a"), Some(Box::default()));
        assert_eq!(log.list().iter().map(|record| (record.times, record.at_ms)).collect::<Vec<_>>(), [(2, 6), (1, 6)]);
        for i in 0..MAX_ERRORS {
            log.add(UserError::failed(i.to_string()), None);
        }
        assert_eq!(log.list().len(), MAX_ERRORS);
        assert_eq!(log.list()[0].error.sentence, "0");
    }
}
