//! [`Making`]: what the engine does while a picture is made: it tells how it comes along, keeps every step in memory, and
//! keeps on the disk where to go on after a crash.

use std::sync::Arc;
use std::time::Instant;

use super::keep::Keep;
use super::timelines::{Steps, Timelines};
use super::worker::Outbox;
use crate::domain::{Event, GenerateRequest, Job, StepPreview};
use crate::pipeline::{Progress, Reached, Snapshot, Watch};

/// What the engine does while a picture is made.
pub(super) struct Making<'a> {
    outbox: &'a Outbox,
    keep: &'a mut dyn Keep,
    timelines: &'a Timelines,
    job: &'a Job,
    index: u32,
    begun: Instant,
    /// The step that the picture went on from, after it was interrupted.
    resumed_at: u32,
    is_resumed: bool,
    /// What was reached last.
    last: Option<Snapshot>,
    /// When progress was last kept.
    kept: Option<Instant>,
    is_last_kept: bool,
    steps: Option<Steps>,
    previews: Vec<StepPreview>,
}

impl<'a> Making<'a> {
    pub(super) fn new(
        outbox: &'a Outbox,
        keep: &'a mut dyn Keep,
        timelines: &'a Timelines,
        job: &'a Job,
        index: u32,
    ) -> Self {
        Self {
            outbox,
            keep,
            timelines,
            job,
            index,
            begun: Instant::now(),
            resumed_at: 0,
            is_resumed: false,
            last: None,
            kept: None,
            is_last_kept: true,
            steps: None,
            previews: Vec::new(),
        }
    }

    /// Ends it: what was reached last is kept where the picture is not finished. Gives the steps, and how they looked.
    pub(super) fn end(mut self, is_finished: bool) -> (Option<Steps>, Vec<StepPreview>) {
        if !is_finished && !self.is_last_kept {
            self.keep_last();
        }
        (self.steps, self.previews)
    }

    fn keep_last(&mut self) {
        if let Some(last) = &self.last {
            self.keep.keep_progress(self.job.id, &last.to_bytes());
            self.kept = Some(Instant::now());
            self.is_last_kept = true;
        }
    }
}

impl Watch for Making<'_> {
    fn progress(&mut self, progress: Progress) {
        let (job, index) = (self.job.id, self.index);
        match progress {
            Progress::Step { step, steps, preview } => {
                if std::mem::take(&mut self.is_resumed) {
                    self.resumed_at = step;
                }
                // As if all steps had been made now, so that the time left is judged by those that were.
                let elapsed_secs = self.begun.elapsed().as_secs_f64();
                let elapsed_secs = match step.saturating_sub(self.resumed_at) {
                    0 => 0.0,
                    made => elapsed_secs * f64::from(step) / f64::from(made),
                };
                let preview = Arc::new(preview);
                self.outbox.send_preview(Event::Step { job, index, step, steps, preview, elapsed_secs });
            }
            Progress::Decoding => self.outbox.send(Event::Decoding { job, index }),
        }
    }

    fn reached(&mut self, reached: &Reached<'_>) {
        let snapshot = reached.snapshot();
        if let Some(step) = reached.step {
            self.previews.push(StepPreview { step, preview: Arc::new(reached.preview.clone()) });
            self.steps.get_or_insert_with(|| Steps::new(reached.key)).push(step, snapshot.clone());
        }
        self.last = Some(snapshot);
        self.is_last_kept = false;
        if self.kept.is_none_or(|kept| kept.elapsed() >= self.keep.pause()) {
            self.keep_last();
        }
    }

    fn resume(&mut self, key: &str) -> Option<Snapshot> {
        let kept = Snapshot::from_bytes(&self.keep.progress(self.job.id)?)?;
        self.is_resumed = kept.key == key;
        self.is_resumed.then_some(kept)
    }

    fn recall(&mut self, request: &GenerateRequest, key: &str, step: u32) -> Option<Snapshot> {
        Recalling { keep: self.keep, timelines: self.timelines }.recall(request, key, step)
    }
}

/// Looks steps up, and tells nothing.
pub(super) struct Recalling<'a> {
    pub(super) keep: &'a mut dyn Keep,
    pub(super) timelines: &'a Timelines,
}

impl Watch for Recalling<'_> {
    fn progress(&mut self, _progress: Progress) {}

    fn recall(&mut self, _request: &GenerateRequest, key: &str, step: u32) -> Option<Snapshot> {
        self.timelines.find(key, step).or_else(|| Steps::step_in(&self.keep.steps(key)?, step))
    }
}
