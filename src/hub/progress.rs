//! [`Progress`]: how far a download is, how fast, and how long it will take.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The shortest time between two reports: at most 20 a second.
const BETWEEN_REPORTS: Duration = Duration::from_millis(50);
/// The time over which the speed is averaged.
const SPEED_WINDOW: Duration = Duration::from_secs(4);
/// Speeds over less than this are guesses.
const SPEED_MIN: Duration = Duration::from_millis(400);

/// What a download is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading what an earlier download left, to go on from there.
    Checking,
    /// Bytes arrive.
    Downloading,
    /// Waiting, for a busy server, a lost connection, or another program that downloads the same file.
    Waiting,
}

/// How far a download is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// The file in hand, as the repository names it.
    pub file: String,
    /// Which of the files, from 1.
    pub file_number: usize,
    /// All files.
    pub files: usize,
    /// The bytes that are here, of all files; those of earlier downloads count. It falls when a file must be begun again.
    pub done_bytes: u64,
    /// The bytes of all files.
    pub total_bytes: u64,
    /// Bytes a second over the last seconds, once that can be told.
    pub bytes_per_sec: Option<f64>,
    /// Seconds to the end at that speed.
    pub secs_left: Option<f64>,
}

/// Counts bytes and reports them, not too often.
pub(super) struct Meter<'a> {
    report: &'a mut dyn FnMut(&Progress),
    progress: Progress,
    /// The bytes of the files before the one in hand.
    before: u64,
    /// When how many bytes had arrived over the network.
    samples: VecDeque<(Instant, u64)>,
    arrived: u64,
    last_report: Option<Instant>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(files: usize, total_bytes: u64, report: &'a mut dyn FnMut(&Progress)) -> Self {
        let progress = Progress {
            stage: Stage::Checking,
            file: String::new(),
            file_number: 0,
            files,
            done_bytes: 0,
            total_bytes,
            bytes_per_sec: None,
            secs_left: None,
        };
        Self { report, progress, before: 0, samples: VecDeque::new(), arrived: 0, last_report: None }
    }

    /// The next file begins.
    pub(super) fn begin(&mut self, file: &str) {
        file.clone_into(&mut self.progress.file);
        self.progress.file_number += 1;
        self.progress.done_bytes = self.before;
    }

    /// The file in hand is whole.
    pub(super) fn end(&mut self, size: u64) {
        self.before += size;
        self.progress.done_bytes = self.before;
        self.tell(Instant::now(), true);
    }

    /// The file in hand has this many bytes, without any that arrived just now.
    pub(super) fn stand(&mut self, stage: Stage, bytes: u64) {
        let is_new = self.progress.stage != stage;
        self.progress.stage = stage;
        self.progress.done_bytes = self.before + bytes;
        self.tell(Instant::now(), is_new);
    }

    /// `length` more bytes arrived, and the file in hand has `bytes` now.
    pub(super) fn arrive(&mut self, length: u64, bytes: u64) {
        self.arrive_at(Instant::now(), length, bytes);
    }

    fn arrive_at(&mut self, now: Instant, length: u64, bytes: u64) {
        if self.samples.is_empty() {
            self.samples.push_back((now, self.arrived));
        }
        self.arrived += length;
        self.progress.stage = Stage::Downloading;
        self.progress.done_bytes = self.before + bytes;
        self.tell(now, false);
    }

    fn tell(&mut self, now: Instant, always: bool) {
        if !always && self.last_report.is_some_and(|last| now < last + BETWEEN_REPORTS) {
            return;
        }
        self.last_report = Some(now);
        self.measure(now);
        (self.report)(&self.progress);
    }

    fn measure(&mut self, now: Instant) {
        let Some(&(last, _)) = self.samples.back() else { return };
        if now >= last + BETWEEN_REPORTS {
            self.samples.push_back((now, self.arrived));
        }
        while self.samples.len() > 2 && self.samples[1].0 + SPEED_WINDOW <= now {
            self.samples.pop_front();
        }
        let (first, bytes) = self.samples[0];
        let time = now.saturating_duration_since(first);
        if time < SPEED_MIN {
            return;
        }
        let speed = (self.arrived - bytes) as f64 / time.as_secs_f64();
        let left = self.progress.total_bytes.saturating_sub(self.progress.done_bytes) as f64;
        self.progress.bytes_per_sec = Some(speed);
        self.progress.secs_left = (speed > 0.0).then(|| left / speed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_come_at_most_twenty_times_a_second_and_the_speed_is_that_of_the_last_seconds() {
        let mut reports = Vec::new();
        let mut report = |progress: &Progress| reports.push(progress.clone());
        let mut meter = Meter::new(1, 20_000, &mut report);
        meter.begin("a");
        let start = Instant::now();
        // One second at 1000 bytes a second, then nine at 2000, in steps of 10 ms.
        let mut bytes = 0;
        for tick in 0..=1000_u64 {
            let step = if tick <= 100 { 10 } else { 20 };
            bytes += step;
            meter.arrive_at(start + Duration::from_millis(tick * 10), step, bytes);
        }
        assert!((190..=201).contains(&reports.len()), "{} reports in 10 s", reports.len());
        assert_eq!(reports[0].bytes_per_sec, None, "too early to tell");
        let last = reports.last().unwrap();
        assert_eq!(last.done_bytes, bytes);
        let speed = last.bytes_per_sec.unwrap();
        assert!((1990.0..2010.0).contains(&speed), "{speed}");
        let left = last.secs_left.unwrap();
        assert!((left - (20_000 - bytes) as f64 / speed).abs() < 1e-9);
    }

    #[test]
    fn files_add_up() {
        let mut reports = Vec::new();
        let mut report = |progress: &Progress| reports.push(progress.clone());
        let mut meter = Meter::new(2, 30, &mut report);
        meter.begin("a");
        meter.end(10);
        meter.begin("b");
        meter.stand(Stage::Waiting, 5);
        meter.end(20);
        let seen: Vec<_> = reports.iter().map(|p| (p.file.as_str(), p.file_number, p.done_bytes)).collect();
        assert_eq!(seen, [("a", 1, 10), ("b", 2, 15), ("b", 2, 30)]);
    }
}
