//! The queue: one job runs in the engine, the others wait here, where they can be taken out and reordered.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::{Cancel, Command, GenerateRequest, Job, JobId, Picture};

use super::Effect;

/// What the engine does for the running job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Sent; the engine has not begun.
    Sent,
    /// The model is being loaded.
    Loading,
    /// Denoising steps.
    Steps,
    /// The latents are being decoded.
    Decoding,
}

/// The job in the engine's hands.
#[derive(Clone, Debug)]
pub struct Running {
    /// The job as it was sent.
    pub job: Job,
    /// What the engine does for it.
    pub phase: Phase,
    /// Which picture of the request, from 0.
    pub index: u32,
    /// Steps done of this picture.
    pub step: u32,
    /// Steps of a picture.
    pub steps: u32,
    /// Time since this picture's first step began, in seconds.
    pub elapsed_secs: f64,
    /// The picture as it forms, one px a latent.
    pub preview: Option<Arc<Picture>>,
    /// Whether the user asked to stop it.
    pub cancelling: bool,
}

impl Running {
    fn new(job: Job) -> Self {
        let steps = job.request.num_inference_steps;
        Self { job, phase: Phase::Sent, index: 0, step: 0, steps, elapsed_secs: 0.0, preview: None, cancelling: false }
    }

    /// How much of the whole job is done, from 0 to 1.
    #[must_use]
    pub fn fraction(&self) -> f32 {
        let steps = self.steps.max(1) as f32;
        let pictures = self.job.request.count.max(1) as f32;
        ((self.index as f32 + self.step as f32 / steps) / pictures).clamp(0.0, 1.0)
    }

    /// How long the job will still take, in seconds, judged by the steps done of this picture.
    #[must_use]
    pub fn secs_left(&self) -> Option<f64> {
        if self.step == 0 || self.phase == Phase::Loading {
            return None;
        }
        let secs_per_step = self.elapsed_secs / f64::from(self.step);
        let pictures_left = f64::from(self.job.request.count.saturating_sub(self.index + 1));
        let steps_left = f64::from(self.steps.saturating_sub(self.step)) + pictures_left * f64::from(self.steps);
        Some(secs_per_step * steps_left)
    }

    /// What happens now, in words: `Step 3 of 20`.
    #[must_use]
    pub fn status(&self) -> String {
        match self.phase {
            Phase::Sent => "Getting ready".to_owned(),
            Phase::Loading => "Loading the model".to_owned(),
            Phase::Steps => format!("Step {} of {}", self.step, self.steps),
            Phase::Decoding => "Developing the picture".to_owned(),
        }
    }
}

/// Time left as a person says it.
#[must_use]
pub fn time_left_text(secs: f64) -> String {
    if secs < 1.0 { "less than 1 s left".to_owned() } else { format!("{} left", duration_text(secs)) }
}

/// A duration as a person says it: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
#[must_use]
pub fn duration_text(secs: f64) -> String {
    let whole = secs.round().max(0.0) as u64;
    match whole {
        _ if secs < 9.95 => format!("{:.1} s", secs.max(0.0)),
        0..=59 => format!("{whole} s"),
        60..=3599 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// The queue.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    running: Option<Running>,
    waiting: VecDeque<Job>,
    last_id: u64,
}

impl Queue {
    /// The job in the engine's hands.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    /// The jobs that wait, the next one first.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &Job> {
        self.waiting.iter()
    }

    pub(super) fn running_mut(&mut self, id: JobId) -> Option<&mut Running> {
        self.running.as_mut().filter(|running| running.job.id == id)
    }

    /// Its pictures go into `pictures_dir`.
    pub(super) fn add(&mut self, request: GenerateRequest, pictures_dir: PathBuf, is_checked: bool) {
        self.last_id += 1;
        let (id, cancel) = (JobId(self.last_id), Cancel::default());
        self.waiting.push_back(Job { id, request, pictures_dir, is_checked, cancel });
    }

    /// The job that was added last.
    pub(super) fn newest(&self) -> JobId {
        JobId(self.last_id)
    }

    /// Whether a job waits or runs.
    pub(super) fn has(&self, id: JobId) -> bool {
        self.running.as_ref().is_some_and(|running| running.job.id == id) || self.waiting.iter().any(|job| job.id == id)
    }

    /// Sends the next job if none runs.
    pub(super) fn pump(&mut self) -> Option<Effect> {
        if self.running.is_some() {
            return None;
        }
        let job = self.waiting.pop_front()?;
        self.running = Some(Running::new(job.clone()));
        Some(Effect::Engine(Command::Generate(Box::new(job))))
    }

    /// Forgets the running job, if it is this one.
    pub(super) fn end(&mut self, id: JobId) -> Option<Running> {
        self.running.take_if(|running| running.job.id == id)
    }

    pub(super) fn cancel_running(&mut self) {
        if let Some(running) = &mut self.running {
            running.job.cancel.cancel();
            running.cancelling = true;
        }
    }

    pub(super) fn cancel(&mut self, id: JobId) {
        if self.running_mut(id).is_some() {
            self.cancel_running();
        }
        self.waiting.retain(|job| job.id != id);
    }

    pub(super) fn run_next(&mut self, id: JobId) {
        if let Some(position) = self.waiting.iter().position(|job| job.id == id)
            && let Some(job) = self.waiting.remove(position)
        {
            self.waiting.push_front(job);
        }
    }

    pub(super) fn clear_waiting(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        for (secs, text) in [
            (0.0, "0.0 s"),
            (0.44, "0.4 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (59.6, "1 min 0 s"),
            (185.0, "3 min 5 s"),
            (7800.0, "2 h 10 min"),
        ] {
            assert_eq!(duration_text(secs), text);
        }
        assert_eq!(time_left_text(0.3), "less than 1 s left");
    }

    #[test]
    fn time_left_counts_the_pictures_to_come() {
        let request = GenerateRequest { count: 3, num_inference_steps: 10, ..GenerateRequest::default() };
        let mut running = Running::new(Job {
            id: JobId(1),
            request,
            pictures_dir: PathBuf::new(),
            is_checked: false,
            cancel: Cancel::default(),
        });
        assert_eq!(running.secs_left(), None, "nothing is known before the first step");
        running.step = 5;
        running.elapsed_secs = 2.5; // half a second a step: 5 steps of this picture and 20 of the other two are left
        assert_eq!(running.secs_left(), Some(12.5));
        running.index = 1;
        assert!((running.fraction() - 0.5).abs() < 1e-6, "one and a half of three");
    }
}
