//! A batch under way: one row at a time goes into the queue, and what becomes of it is written down.

use crate::domain::batch::{BatchCommand, RowResult, RowStatus, request_key};
use crate::domain::{Event, GenerateRequest, JobId, SafetyMode, UserError};

use super::batch::{Active, RowEnd};
use super::{Batch, Effect, RowState, Run, State};

impl Batch {
    /// Notes what the engine says about the row in the queue. True when its job has ended.
    pub(super) fn hear(&mut self, event: &Event) -> bool {
        let Some(active) = &mut self.active else { return false };
        match event {
            Event::Finished { job, recipe, saved, .. } if *job == active.job => {
                active.result.seconds += recipe.elapsed_secs;
                match saved {
                    Ok(entry) => {
                        active.result.paths.push(entry.path.display().to_string());
                        active.picture.get_or_insert_with(|| entry.clone());
                    }
                    Err(error) => {
                        active.fail(error);
                        active.ended = Some(RowEnd::Unsaved);
                    }
                }
                return false;
            }
            Event::Done { job } if *job == active.job => {}
            Event::Cancelled { job } if *job == active.job => active.ended = Some(RowEnd::Stopped),
            Event::Failed { job, error } if *job == active.job => active.fail(error),
            _ => return false,
        }
        active.ended.get_or_insert(RowEnd::Made);
        true
    }

    /// The next row to make, in the table's order, but those of the model that is loaded first.
    fn next_row(&self) -> Option<usize> {
        let waits = |row: &&usize| matches!(self.rows.get(**row), Some(RowState::Waiting));
        let plan = self.plan.as_ref()?;
        let first = self.order.iter().find(waits).copied();
        match &self.last_model {
            Some(model) if plan.names_models() => {
                let has_model = |row: &&usize| plan.model(**row).is_ok_and(|wanted| wanted == *model);
                self.order.iter().filter(waits).find(has_model).copied().or(first)
            }
            _ => first,
        }
    }
}

impl Active {
    fn fail(&mut self, error: &UserError) {
        self.result.status = RowStatus::Failed;
        let texts = [Some(error.sentence.clone()), error.hint.clone()];
        self.result.error = texts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    }
}

impl State {
    pub(super) fn run_batch(&mut self) -> Vec<Effect> {
        if self.batch.run == Run::Going {
            return Vec::new();
        }
        if self.batch.active.is_some() {
            self.batch.run = Run::Going; // it was to pause, and goes on
            return Vec::new();
        }
        if let Some(reason) = self.batch.blocked() {
            self.notices.info(reason, None);
            return Vec::new();
        }
        let Some(table) = self.batch.table.clone() else { return Vec::new() };
        self.batch.run = Run::Going;
        self.batch.results = None;
        let mut effects = vec![self.save_settings(), Effect::Batch(BatchCommand::Begin(table))];
        let wrong = |row: &usize| match self.batch.row(*row) {
            RowState::Wrong(why) => Some(RowResult::failed(*row, why.as_str())),
            _ => None,
        };
        let wrong: Vec<RowResult> = self.batch.order().iter().filter_map(wrong).collect();
        if !wrong.is_empty() {
            effects.push(Effect::Batch(BatchCommand::Note(wrong)));
        }
        effects.extend(self.feed_batch());
        effects
    }

    /// Puts the next row into the queue, or ends the batch where none is left.
    fn feed_batch(&mut self) -> Vec<Effect> {
        loop {
            let next = self.batch.next_row().filter(|_| self.batch.run == Run::Going);
            let (Some(row), Some(plan)) = (next, self.batch.plan.clone()) else { return self.end_batch() };
            match plan.request(row) {
                Ok(request) => {
                    self.batch.last_model = Some(request.model.clone());
                    let mut result = RowResult::failed(row, "");
                    (result.status, result.seed) = (RowStatus::Done, Some(request.seed));
                    result.request = request_key(&request);
                    let (job, effects) = self.add_job(request);
                    self.batch.active = Some(Active { job, result, picture: None, ended: None });
                    self.batch.set(row, RowState::Running);
                    return effects;
                }
                // It was looked at before the run; only a file that has changed since then comes here.
                Err(why) => self.batch.set(row, RowState::Wrong(why)),
            }
        }
    }

    /// Adds a job behind those that wait; what is in view stays there.
    fn add_job(&mut self, request: GenerateRequest) -> (JobId, Vec<Effect>) {
        let is_checked = self.safety != SafetyMode::Off;
        let folder = self.pictures_folder().to_path_buf();
        let job = self.queue.add_unkept(request, &folder, is_checked);
        (job, self.pump())
    }

    /// Goes on once the row in the queue has ended, or was taken out of it.
    pub(super) fn after_row(&mut self) -> Vec<Effect> {
        let Some(active) = &mut self.batch.active else { return Vec::new() };
        // One that was stopped and waits in the queue again goes on later.
        active.ended.take_if(|ended| *ended == RowEnd::Stopped && self.queue.has(active.job));
        if active.ended.is_none() && self.queue.has(active.job) {
            return Vec::new();
        }
        let Some(Active { result, picture, ended, .. }) = self.batch.active.take() else { return Vec::new() };
        let row = result.row;
        let mut effects = Vec::new();
        match ended {
            Some(RowEnd::Made | RowEnd::Unsaved) => {
                let state = match result.status {
                    RowStatus::Done => RowState::Done { seconds: result.seconds, picture },
                    RowStatus::Failed => RowState::Failed { seconds: result.seconds, error: result.error.clone() },
                };
                self.batch.set(row, state);
                effects.push(Effect::Batch(BatchCommand::Note(vec![result])));
                if ended == Some(RowEnd::Unsaved) {
                    self.batch.run = Run::Pausing;
                }
            }
            // Taken out of the queue, by whatever way: the user wants no more for now.
            Some(RowEnd::Stopped) | None => {
                self.batch.set(row, RowState::Waiting);
                self.batch.run = Run::Pausing;
            }
        }
        effects.extend(self.feed_batch());
        effects
    }

    fn end_batch(&mut self) -> Vec<Effect> {
        if self.batch.run == Run::Idle {
            return Vec::new();
        }
        let is_paused = self.batch.run == Run::Pausing;
        self.batch.run = Run::Idle;
        let counts = self.batch.counts();
        let sentence = match (is_paused, counts.failed) {
            (true, _) => format!("The batch is paused: {} of {} rows are made", counts.done, counts.all),
            (false, 0) => format!("The batch is done: {} of {} rows are made", counts.done, counts.all),
            (false, failed) => {
                format!("The batch is done: {} of {} rows are made, {failed} failed", counts.done, counts.all)
            }
        };
        self.notices.info(sentence, None);
        vec![Effect::Batch(BatchCommand::End)]
    }
}
