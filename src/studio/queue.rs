//! The queue: one job runs in the engine, the others wait here, where they can be taken out, reordered and changed.
//!
//! What waits is on the disk too, and runs only once it is ([`crate::library::queue`]): every change here goes along with an
//! effect that makes it there.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::{Cancel, Command, GenerateRequest, Job, JobId, Picture, Priority, QueuedJob, UserError};
use crate::library::QueueCommand;

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
    /// Which jobs it went before.
    pub priority: Priority,
    /// What the engine does for it.
    pub phase: Phase,
    /// Which picture of the request, from 0: as many are finished.
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
    /// Whether it is being stopped to go on later, from the step that it has come to.
    pub suspending: bool,
}

impl Running {
    fn new(job: Job, priority: Priority) -> Self {
        let (steps, index) = (job.request.num_inference_steps, job.done);
        Self {
            job,
            priority,
            phase: Phase::Sent,
            index,
            step: 0,
            steps,
            elapsed_secs: 0.0,
            preview: None,
            cancelling: false,
            suspending: false,
        }
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
        if self.step == 0 || self.phase == Phase::Loading || self.elapsed_secs <= 0.0 {
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
            _ if self.suspending => "Pausing after this step".to_owned(),
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

/// A duration as a person says it: `30 ms`, `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
#[must_use]
pub fn duration_text(secs: f64) -> String {
    let whole = secs.round().max(0.0) as u64;
    match whole {
        _ if (0.0005..0.095).contains(&secs) => format!("{:.0} ms", 1000.0 * secs),
        _ if secs < 9.95 => format!("{:.1} s", secs.max(0.0)),
        0..=59 => format!("{whole} s"),
        60..=3599 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Why a waiting job does not run by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    /// It was left from the last time.
    Left,
    /// It was left from the last time in the middle of its work, which goes on where it was.
    Interrupted,
    /// It failed.
    Failed(UserError),
}

/// A job that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The job.
    pub job: Job,
    /// Which jobs it goes before.
    pub priority: Priority,
    /// Why it does not run by itself; `None` where it does.
    pub held: Option<Held>,
    /// Whether it is on the disk, or cannot be: only then it runs.
    is_kept: bool,
}

/// A waiting job that is being changed: its request is the draft meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct Editing {
    /// Which.
    pub job: JobId,
    /// The draft that comes back afterwards.
    pub draft_before: GenerateRequest,
}

/// The queue.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    running: Option<Running>,
    waiting: VecDeque<Waiting>,
    last_id: u64,
    /// Whether nothing more is begun.
    pub paused: bool,
    /// The waiting job that is being changed.
    pub editing: Option<Editing>,
    /// Whether all that waits is listed, not only what comes next.
    pub is_open: bool,
}

impl Queue {
    /// An empty one. Keys begin from `entropy`, so that those of two windows differ.
    pub(super) fn new(entropy: u64) -> Self {
        Self { last_id: (entropy & 0x3fff_ffff) << 32, ..Self::default() }
    }

    /// The job in the engine's hands.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    /// The jobs that wait, the next one first.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &Job> {
        self.waiting.iter().map(|waiting| &waiting.job)
    }

    /// The same, with what holds them.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Waiting> {
        self.waiting.iter()
    }

    /// One that waits.
    #[must_use]
    pub fn entry(&self, id: JobId) -> Option<&Waiting> {
        self.waiting.iter().find(|waiting| waiting.job.id == id)
    }

    /// How many jobs were left from the last time and were not asked for since.
    #[must_use]
    pub fn left_over(&self) -> usize {
        self.waiting.iter().filter(|waiting| waiting.is_left_over()).count()
    }

    pub(super) fn running_mut(&mut self, id: JobId) -> Option<&mut Running> {
        self.running.as_mut().filter(|running| running.job.id == id)
    }

    pub(super) fn entry_mut(&mut self, id: JobId) -> Option<&mut Waiting> {
        self.waiting.iter_mut().find(|waiting| waiting.job.id == id)
    }

    /// Takes requests in behind those that wait, and keeps them. Their pictures go into `pictures_dir`.
    pub(super) fn add(
        &mut self,
        requests: Vec<GenerateRequest>,
        pictures_dir: &std::path::Path,
        is_checked: bool,
        keeps_steps: bool,
    ) -> Effect {
        let mut kept = Vec::with_capacity(requests.len());
        for (place, request) in (self.end_of(Priority::Normal)..).zip(requests) {
            let job = self.new_job(request, pictures_dir, is_checked, keeps_steps);
            let waiting = Waiting { job, priority: Priority::Normal, held: None, is_kept: false };
            kept.push(waiting.to_keep());
            self.waiting.insert(place, waiting);
        }
        Effect::Queue(QueueCommand::Add(kept))
    }

    /// Takes a request in that another keeps, such as the row of a batch: the disk does not know of it.
    pub(super) fn add_unkept(
        &mut self,
        request: GenerateRequest,
        pictures_dir: &std::path::Path,
        is_checked: bool,
    ) -> JobId {
        let job = self.new_job(request, pictures_dir, is_checked, false);
        let place = self.end_of(Priority::Normal);
        self.waiting.insert(place, Waiting { job, priority: Priority::Normal, held: None, is_kept: true });
        self.newest()
    }

    /// A job with a key of its own, of which nothing is done.
    fn new_job(
        &mut self,
        request: GenerateRequest,
        pictures_dir: &std::path::Path,
        is_checked: bool,
        keeps_steps: bool,
    ) -> Job {
        self.last_id += 1;
        Job {
            id: JobId(self.last_id),
            request,
            pictures_dir: PathBuf::from(pictures_dir),
            is_checked,
            done: 0,
            keeps_steps,
            cancel: Cancel::default(),
        }
    }

    /// Takes in what was left by the last window, before all that was added since. It waits until it is asked for.
    pub(super) fn take_over(&mut self, jobs: Vec<QueuedJob>, keeps_steps: bool) {
        for job in jobs.into_iter().rev() {
            let QueuedJob { id, request, pictures_dir, is_checked, priority, done, is_interrupted } = job;
            if self.entry(id).is_some() || self.running.as_ref().is_some_and(|running| running.job.id == id) {
                continue;
            }
            let held = Some(if is_interrupted { Held::Interrupted } else { Held::Left });
            let job = Job { id, request, pictures_dir, is_checked, done, keeps_steps, cancel: Cancel::default() };
            self.waiting.push_front(Waiting { job, priority, held, is_kept: true });
        }
        self.waiting.make_contiguous().sort_by_key(|waiting| waiting.priority);
    }

    /// Jobs are on the disk, or will never be: they may run.
    pub(super) fn settle(&mut self, ids: &[JobId]) {
        let ids: HashSet<&JobId> = ids.iter().collect();
        self.waiting.iter_mut().filter(|waiting| ids.contains(&waiting.job.id)).for_each(|waiting| {
            waiting.is_kept = true;
        });
    }

    /// The job that was added last.
    pub(super) fn newest(&self) -> JobId {
        JobId(self.last_id)
    }

    /// Whether a job waits or runs.
    pub(super) fn has(&self, id: JobId) -> bool {
        self.running.as_ref().is_some_and(|running| running.job.id == id) || self.entry(id).is_some()
    }

    /// Sends the next job if none runs.
    pub(super) fn pump(&mut self) -> Option<Effect> {
        if self.running.is_some() || self.paused {
            return None;
        }
        let edited = self.editing.as_ref().map(|editing| editing.job);
        let is_next = |waiting: &&Waiting| waiting.held.is_none() && Some(waiting.job.id) != edited;
        let next = self.waiting.iter().find(is_next)?;
        // It is in a moment; another one does not go before it.
        if !next.is_kept {
            return None;
        }
        let id = next.job.id;
        let Waiting { job, priority, .. } = self.take_out(id)?;
        self.running = Some(Running::new(job.clone(), priority));
        Some(Effect::Engine(Command::Generate(Box::new(job))))
    }

    /// Forgets the running job, if it is this one.
    pub(super) fn end(&mut self, id: JobId) -> Option<Running> {
        self.running.take_if(|running| running.job.id == id)
    }

    /// Puts a job that ran before all that wait with its priority, to be gone on with.
    pub(super) fn put_back(&mut self, running: Running, held: Option<Held>) {
        let Running { mut job, priority, index, .. } = running;
        job.done = index;
        job.cancel = Cancel::default();
        let place = self.waiting.iter().take_while(|waiting| waiting.priority < priority).count();
        self.waiting.insert(place, Waiting { job, priority, held, is_kept: true });
    }

    pub(super) fn cancel_running(&mut self) {
        if let Some(running) = &mut self.running {
            running.job.cancel.cancel();
            running.cancelling = true;
            running.suspending = false;
        }
    }

    /// Stops the running job, to go on later where it is.
    pub(super) fn suspend_running(&mut self) {
        if let Some(running) = self.running.as_mut().filter(|running| !running.cancelling) {
            running.job.cancel.cancel();
            running.suspending = true;
        }
    }

    pub(super) fn cancel(&mut self, id: JobId) -> Vec<Effect> {
        if self.running_mut(id).is_some() {
            self.cancel_running();
        }
        self.take_out(id).map(|waiting| forget(&[waiting.job.id])).into_iter().collect()
    }

    /// Takes out every waiting job that is `unwanted`.
    pub(super) fn clear(&mut self, unwanted: impl Fn(&Waiting) -> bool) -> Vec<Effect> {
        let ids: Vec<JobId> = self.waiting.iter().filter(|w| unwanted(w)).map(|waiting| waiting.job.id).collect();
        self.waiting.retain(|waiting| !unwanted(waiting));
        if ids.is_empty() { Vec::new() } else { vec![forget(&ids)] }
    }

    /// Lets a job go before all others; it takes the priority of the first.
    pub(super) fn run_next(&mut self, id: JobId) -> Vec<Effect> {
        let Some(mut waiting) = self.take_out(id) else { return Vec::new() };
        waiting.priority = self.waiting.front().map_or(waiting.priority, |first| first.priority.min(waiting.priority));
        self.waiting.push_front(waiting);
        vec![self.arranged()]
    }

    /// Moves a job past its neighbour, `up` or down; it takes that one's priority.
    pub(super) fn shift(&mut self, id: JobId, up: bool) -> Vec<Effect> {
        let Some(place) = self.waiting.iter().position(|waiting| waiting.job.id == id) else { return Vec::new() };
        let other = if up { place.checked_sub(1) } else { Some(place + 1).filter(|other| *other < self.waiting.len()) };
        let Some(other) = other else { return Vec::new() };
        self.waiting[place].priority = self.waiting[other].priority;
        self.waiting.swap(place, other);
        vec![self.arranged()]
    }

    /// Gives a job a priority; it goes behind the others that have it.
    pub(super) fn set_priority(&mut self, id: JobId, priority: Priority) -> Vec<Effect> {
        let Some(mut waiting) = self.take_out(id) else { return Vec::new() };
        waiting.priority = priority;
        let place = self.end_of(priority);
        self.waiting.insert(place, waiting);
        vec![self.arranged()]
    }

    /// Puts another request into a job's place.
    pub(super) fn replace(&mut self, id: JobId, request: GenerateRequest) -> Vec<Effect> {
        let Some(waiting) = self.entry_mut(id) else { return Vec::new() };
        waiting.job.request = request;
        waiting.job.done = 0;
        waiting.is_kept = false;
        if matches!(waiting.held, Some(Held::Failed(_))) {
            waiting.held = None;
        }
        vec![Effect::Queue(QueueCommand::Change(Box::new(waiting.to_keep())))]
    }

    fn take_out(&mut self, id: JobId) -> Option<Waiting> {
        let place = self.waiting.iter().position(|waiting| waiting.job.id == id)?;
        self.waiting.remove(place)
    }

    /// Where a job goes that comes last among those of a priority.
    fn end_of(&self, priority: Priority) -> usize {
        self.waiting.iter().take_while(|waiting| waiting.priority <= priority).count()
    }

    fn arranged(&self) -> Effect {
        let running = self.running.iter().map(|running| (running.job.id, running.priority));
        let waiting = self.waiting.iter().map(|waiting| (waiting.job.id, waiting.priority));
        Effect::Queue(QueueCommand::Arrange(running.chain(waiting).collect()))
    }
}

impl Waiting {
    /// Whether it was left from the last time.
    #[must_use]
    pub fn is_left_over(&self) -> bool {
        matches!(self.held, Some(Held::Left | Held::Interrupted))
    }

    fn to_keep(&self) -> QueuedJob {
        let Job { id, request, pictures_dir, is_checked, done, .. } = self.job.clone();
        QueuedJob { id, request, pictures_dir, is_checked, priority: self.priority, done, is_interrupted: false }
    }
}

/// Forgets jobs on the disk.
pub(super) fn forget(ids: &[JobId]) -> Effect {
    Effect::Queue(QueueCommand::Remove(ids.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        for (secs, text) in [
            (0.0, "0.0 s"),
            (0.03, "30 ms"),
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
        let mut queue = Queue::new(7);
        queue.add(vec![request], std::path::Path::new("/p"), false, false);
        queue.settle(&[JobId((7 << 32) + 1)]);
        assert!(queue.pump().is_some());
        let running = queue.running.as_mut().unwrap();
        assert_eq!(running.secs_left(), None, "nothing is known before the first step");
        running.step = 5;
        running.elapsed_secs = 2.5; // half a second a step: 5 steps of this picture and 20 of the other two are left
        assert_eq!(running.secs_left(), Some(12.5));
        running.index = 1;
        assert!((running.fraction() - 0.5).abs() < 1e-6, "one and a half of three");
    }
}
