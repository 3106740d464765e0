//! [`QueueAction`]: what can be done with the jobs that wait, and what the queue's thread says.

use crate::domain::{Event, GenerateRequest, JobId, Priority, SafetyMode, UserError};
use crate::library::{QueueCommand, QueueEvent};

use super::queue::forget;
use super::{Action, Editing, Effect, Held, Info, ModelStatus, Place, State, View};

/// An act on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueAction {
    /// Begin nothing more, and stop what runs at its step, to go on later.
    Pause,
    /// Go on.
    Resume,
    /// Let what was left from the last time run.
    RunLeft,
    /// Take out what was left from the last time.
    ClearLeft,
    /// Let a job run that was held: one that failed, or was left.
    Release(JobId),
    /// One place nearer to the front.
    Up(JobId),
    /// One place further back.
    Down(JobId),
    /// Which jobs it goes before.
    SetPriority(JobId, Priority),
    /// Put a waiting job's request into the draft, to change it.
    Edit(JobId),
    /// Put the draft into the job's place.
    SaveEdit,
    /// Leave the job as it is.
    DropEdit,
    /// Stop what runs and take out all that waits.
    CancelAll,
    /// List all that waits, or only what comes next.
    ToggleList,
}

impl QueueAction {
    /// Text and tooltip.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::Pause => ("Pause", "Stop after this step and begin nothing more; Resume goes on just there"),
            Self::Resume => ("Resume", "Go on with the queue"),
            Self::RunLeft => ("Resume", "Make the pictures that were waiting when the program ended"),
            Self::ClearLeft => ("Clear", "Take out the jobs that were waiting when the program ended"),
            Self::Release(_) => ("Run it", "Let this job run when its turn comes"),
            Self::Up(_) => ("Move up", "Let this job run one place earlier"),
            Self::Down(_) => ("Move down", "Let this job run one place later"),
            Self::SetPriority(_, Priority::First) => ("First", "Before all jobs that are normal or later"),
            Self::SetPriority(_, Priority::Normal) => ("Normal", "After those that go first, in their order"),
            Self::SetPriority(_, Priority::Later) => ("Later", "When nothing else waits"),
            Self::Edit(_) => ("Edit", "Put this job into the draft, to change it before it runs"),
            Self::SaveEdit => ("Save changes", "Put the draft into the job's place in the queue"),
            Self::DropEdit => ("Discard changes", "Leave the job as it is, and bring the former draft back"),
            Self::CancelAll => ("Cancel all", "Stop the picture that is being made and take out every job"),
            Self::ToggleList => ("All jobs", "List every job that waits, or only the next ones"),
        };
        Info { text, tooltip, shortcut: None }
    }
}

impl State {
    /// Adds a job to the queue, and shows the picture as it forms.
    pub(super) fn enqueue(&mut self, request: GenerateRequest) -> Vec<Effect> {
        self.notices.dismiss_info();
        self.place = Place::Create;
        self.film.view = View::Live;
        self.source.shown = false;
        self.enqueue_all(vec![request])
    }

    /// Adds jobs to the queue, in one go. They run once they are on the disk.
    pub(super) fn enqueue_all(&mut self, requests: Vec<GenerateRequest>) -> Vec<Effect> {
        if requests.is_empty() {
            return Vec::new();
        }
        let is_checked = self.safety != SafetyMode::Off;
        let folder = self.pictures_folder().to_path_buf();
        vec![self.queue.add(requests, &folder, is_checked, self.timeline.keeps_steps)]
    }

    pub(super) fn apply_queue(&mut self, action: QueueAction) -> Vec<Effect> {
        match action {
            QueueAction::Pause => {
                self.queue.paused = true;
                self.queue.suspend_running();
                Vec::new()
            }
            QueueAction::Resume => {
                self.queue.paused = false;
                self.pump()
            }
            QueueAction::RunLeft => {
                let left: Vec<JobId> =
                    self.queue.entries().filter(|waiting| waiting.is_left_over()).map(|w| w.job.id).collect();
                for id in left {
                    self.release(id);
                }
                self.queue.paused = false;
                self.pump()
            }
            QueueAction::ClearLeft => {
                let effects = self.queue.clear(super::Waiting::is_left_over);
                self.taken_out(effects)
            }
            QueueAction::Release(id) => {
                self.release(id);
                self.pump()
            }
            QueueAction::Up(id) => self.queue.shift(id, true),
            QueueAction::Down(id) => self.queue.shift(id, false),
            QueueAction::SetPriority(id, priority) => self.queue.set_priority(id, priority),
            QueueAction::Edit(id) => self.edit_job(id),
            QueueAction::SaveEdit => self.save_edit(),
            QueueAction::DropEdit => {
                self.end_edit();
                self.pump()
            }
            QueueAction::CancelAll => {
                self.queue.cancel_running();
                let effects = self.queue.clear(|_| true);
                self.taken_out(effects)
            }
            QueueAction::ToggleList => {
                self.queue.is_open = !self.queue.is_open;
                Vec::new()
            }
        }
    }

    /// Sends the next job if none runs.
    pub(super) fn pump(&mut self) -> Vec<Effect> {
        self.queue.pump().into_iter().collect()
    }

    /// After jobs were taken out: a row of the batch may be among them, or the one that was being changed.
    pub(super) fn taken_out(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut effects = self.drop_lost_edit(effects);
        effects.extend(self.after_row());
        effects
    }

    /// After jobs were taken out: the one that was being changed may be among them.
    pub(super) fn drop_lost_edit(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let is_lost = |editing: &Editing| self.queue.entry(editing.job).is_none();
        if self.queue.editing.as_ref().is_some_and(is_lost) {
            self.end_edit();
        }
        effects
    }

    fn release(&mut self, id: JobId) {
        if let Some(waiting) = self.queue.entry_mut(id) {
            waiting.held = None;
        }
    }

    fn edit_job(&mut self, id: JobId) -> Vec<Effect> {
        let Some(request) = self.queue.entry(id).map(|waiting| waiting.job.request.clone()) else { return Vec::new() };
        self.end_edit();
        let draft_before = std::mem::replace(&mut self.draft.request, request);
        self.queue.editing = Some(Editing { job: id, draft_before });
        self.place = Place::Create;
        let model = self.draft.request.model.clone();
        let mut effects: Vec<Effect> = self.fit_adapters().into_iter().collect();
        if !matches!(self.models.status(&model), Some(ModelStatus::Ready(_) | ModelStatus::Loading)) {
            effects.push(self.preload(model));
        }
        effects
    }

    fn save_edit(&mut self) -> Vec<Effect> {
        let Some(job) = self.queue.editing.as_ref().map(|editing| editing.job) else { return Vec::new() };
        if let Some(reason) = self.generate_blocked() {
            self.notices.info(reason, None);
            return Vec::new();
        }
        let request = self.draft.request.clone();
        self.end_edit();
        self.queue.replace(job, request)
    }

    /// Brings the former draft back.
    fn end_edit(&mut self) {
        if let Some(Editing { draft_before, .. }) = self.queue.editing.take() {
            self.draft.request = draft_before;
            self.mark_dirty();
        }
    }

    /// Takes in what the queue's thread says.
    pub fn on_queue_event(&mut self, event: QueueEvent) -> Vec<Effect> {
        match event {
            QueueEvent::Loaded(jobs) => {
                self.queue.take_over(jobs, self.timeline.keeps_steps);
                Vec::new()
            }
            QueueEvent::Kept(ids) => {
                self.queue.settle(&ids);
                self.pump()
            }
            QueueEvent::NotKept { jobs, error } => {
                self.notices.error(error);
                self.queue.settle(&jobs);
                self.pump()
            }
            QueueEvent::Failed { error } => {
                self.notices.error(error);
                Vec::new()
            }
        }
    }

    /// A command could not be handed to the queue's thread. What was to be kept runs all the same.
    pub fn on_queue_refused(&mut self, command: QueueCommand, error: UserError) -> Vec<Effect> {
        let jobs = match command {
            QueueCommand::Add(jobs) => jobs.into_iter().map(|job| job.id).collect(),
            QueueCommand::Change(job) => vec![job.id],
            QueueCommand::Load | QueueCommand::Arrange(_) | QueueCommand::Remove(_) => Vec::new(),
            QueueCommand::Shutdown => return Vec::new(),
        };
        self.on_queue_event(QueueEvent::NotKept { jobs, error })
    }

    /// The running job is done, or was stopped.
    pub(super) fn job_ended(&mut self, job: JobId, is_done: bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(running) = self.queue.end(job) {
            let is_suspended = running.suspending && !is_done;
            if is_suspended {
                self.queue.put_back(running, None);
            } else {
                effects.push(forget(&[job]));
            }
        }
        effects.extend(self.pump());
        effects
    }

    /// The running job failed: it waits, held, so that what it was is not lost.
    pub(super) fn job_failed(&mut self, job: JobId, error: UserError) -> Vec<Effect> {
        if error.is_cancelled() {
            return self.on_event(Event::Cancelled { job });
        }
        if self.batch.has_job(job) {
            // A batch lists what became of its rows, and tries them again.
            self.queue.end(job);
            return self.pump();
        }
        self.grids.failed(job, &error);
        let ended = self.queue.end(job);
        let request = ended.as_ref().map(|running| Box::new(running.job.request.clone()));
        self.notices.error_about(error.clone(), request);
        if let Some(running) = ended {
            self.queue.put_back(running, Some(Held::Failed(error)));
        }
        self.pump()
    }

    /// Prepares the end: what runs stops, and is gone on with at the next start, as is what waits.
    pub fn close(&mut self) -> Vec<Effect> {
        self.queue.suspend_running();
        self.queue.paused = true;
        self.drop_replay();
        let mut effects = vec![self.save_settings()];
        effects.extend(self.commit_caption());
        // Nobody waits for its end any more.
        let cancelled = self.queue.running().filter(|running| running.cancelling);
        effects.extend(cancelled.map(|running| forget(&[running.job.id])));
        effects
    }
}

impl From<QueueAction> for Action {
    fn from(action: QueueAction) -> Self {
        Self::Queue(action)
    }
}
