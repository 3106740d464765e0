//! What the engine and the library's thread say, and what that changes.

use std::collections::HashSet;

use crate::domain::{Command, Event, ModelInfo, ModelRef, UserError};
use crate::library::{LibraryCommand, LibraryEvent};

use super::prompt_undo::Touch;
use super::{Effect, ModelStatus, Phase, State};

impl State {
    /// Takes in what the engine says.
    pub fn on_event(&mut self, event: Event) -> Vec<Effect> {
        self.time(&event);
        let Some(event) = self.on_replay_event(event) else { return Vec::new() };
        let has_row_ended = self.batch.hear(&event);
        let mut effects = self.hear(event);
        if has_row_ended {
            effects.extend(self.after_row());
        }
        effects
    }

    fn hear(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::DeviceOpened(used) => self.device_opened(used),
            Event::ModelLoading { model } => self.model_loading(model),
            Event::ModelReady(info) => self.model_ready(info),
            Event::ModelFailed { model, error } => {
                self.notices.error(error.clone());
                self.models.set(model, ModelStatus::Failed(error));
            }
            // Nothing to show of one that was started: the prompt is being read. The model's loading and the steps tell of
            // themselves. One that was made again was asked for by another window.
            Event::Started { job: _ } | Event::Replayed { .. } => {}
            Event::Step { job, index, step, steps, preview, elapsed_secs } => {
                let is_shown = self.shell.settings.preview.shows(step);
                if let Some(running) = self.queue.running_mut(job) {
                    running.phase = Phase::Steps;
                    running.index = index;
                    running.step = step;
                    running.steps = steps;
                    running.elapsed_secs = elapsed_secs;
                    if is_shown {
                        running.preview = Some(preview);
                    }
                }
            }
            Event::Decoding { job, index } => {
                if let Some(running) = self.queue.running_mut(job) {
                    running.phase = Phase::Decoding;
                    running.index = index;
                    running.step = running.steps;
                }
            }
            Event::Finished { job, index, picture, recipe, saved } => {
                // Taken in whether the job still runs or not: a finished picture is never lost.
                let saved = saved.map(|entry| *entry);
                // That of a job which was added before the folder was changed is not among those that are shown.
                let running = self.queue.running().filter(|running| running.job.id == job);
                let is_elsewhere = running.is_some_and(|running| running.job.pictures_dir != self.pictures_folder());
                let effects = match &saved {
                    Ok(_) if is_elsewhere => Vec::new(),
                    Ok(_) => self.picture_saved(&recipe),
                    Err(error) => {
                        self.notices.error(error.clone());
                        Vec::new()
                    }
                };
                self.grids.take_in(job, &picture, &recipe, &saved);
                let key = self.film.add(picture, *recipe, saved);
                self.timeline.finished(key, job, index);
                if let Some(running) = self.queue.running_mut(job) {
                    running.phase = Phase::Steps;
                    running.index = index + 1;
                    running.step = 0;
                    running.elapsed_secs = 0.0;
                }
                return effects;
            }
            Event::Notice { job: _, sentence } => self.notices.info(sentence, None),
            Event::Done { job } => return self.job_ended(job, true),
            Event::Cancelled { job } => return self.job_ended(job, false),
            Event::Steps { job, index, steps } => self.timeline.arrived(job, index, steps),
            Event::StepSeen { request, step, picture } => self.step_seen(&request, step, picture),
            Event::Failed { job, error } => return self.job_failed(job, error),
            Event::Training { event, memory } => return self.on_training_event(*event, memory),
            Event::TrainingFailed(error) => return self.training_failed(error),
        }
        Vec::new()
    }

    /// Takes in what the library's thread says.
    pub fn on_library_event(&mut self, event: LibraryEvent) -> Vec<Effect> {
        match event {
            LibraryEvent::Thumbnail { id, picture } => {
                // Of one that is not known any more nobody could tell whether it is to be hidden.
                if self.saved_entry(id).is_some() {
                    self.gallery.thumbnail_arrived(id, picture);
                }
            }
            LibraryEvent::Opened { id, picture } => {
                self.film.restore(id, &picture);
                if let Some(compare) = &mut self.viewer.compare {
                    compare.opened(id, &picture);
                }
                let copy = self.gallery.copy_when_opened.take_if(|wanted| *wanted == id).is_some();
                if self.gallery.selected == Some(id) {
                    self.gallery.opened = Some((id, picture.clone()));
                }
                if copy {
                    self.notices.info("The picture is on the clipboard", None);
                    return vec![Effect::CopyPicture(picture)];
                }
            }
            LibraryEvent::PictureFailed { id, error } => {
                // A broken thumbnail is shown as such in its place; only a picture that was opened is worth a message.
                let compared = self.viewer.compare.as_mut().is_some_and(|compare| compare.failed(id));
                let asked = compared || self.gallery.large && self.gallery.selected == Some(id);
                self.gallery.mark_broken(id);
                if asked || self.gallery.copy_when_opened.take_if(|wanted| *wanted == id).is_some() {
                    self.notices.error(error);
                }
            }
            LibraryEvent::Saved { target } => self.notices.info("Saved", Some(target)),
            LibraryEvent::Trashed { id } => {
                self.notices.info("Moved to the trash", None);
                return self.went_to_trash(&HashSet::from([id]), Vec::new());
            }
            LibraryEvent::Gallery(event) => return self.on_gallery_event(event),
            LibraryEvent::Import(event) => return self.on_import_event(event),
            LibraryEvent::Source(event) => return self.on_source_event(event),
            LibraryEvent::Prompts(event) => return self.on_prompts_event(event),
            LibraryEvent::Sheet(made) => return self.sheet_made(*made),
            LibraryEvent::Notice { error }
            | LibraryEvent::SaveFailed { error }
            | LibraryEvent::TrashFailed { id: _, error }
            | LibraryEvent::SettingsFailed { error }
            | LibraryEvent::Failed { error } => self.notices.error(error),
        }
        Vec::new()
    }

    /// A command could not be handed to the engine.
    pub fn on_engine_refused(&mut self, command: Command, error: UserError) -> Vec<Effect> {
        match command {
            Command::Generate(job) => self.job_failed(job.id, error),
            Command::Replay { job, .. } => self.on_event(Event::Failed { job: job.id, error }),
            Command::Preload(model) => self.on_event(Event::ModelFailed { model, error }),
            Command::SeeStep { request, step, .. } => {
                self.on_event(Event::StepSeen { request, step, picture: Err(error) })
            }
            Command::SetPrecision(_) => {
                self.notices.error(error.hint("the precision is as it was until the next start"));
                Vec::new()
            }
            Command::UseDevice(_) => {
                self.notices.error(error);
                Vec::new()
            }
            Command::Train(command) => self.training_refused(&command, error),
            Command::Shutdown => Vec::new(),
        }
    }

    /// A command could not be handed to the library's thread.
    pub fn on_library_refused(&mut self, command: &LibraryCommand, error: UserError) {
        if let LibraryCommand::Source(command) = command {
            self.source_not_sent(command);
        }
        if let LibraryCommand::Gallery(command) = command {
            let is_lost = self.gallery.not_sent(command);
            if !is_lost {
                return; // it is asked for again when it is drawn next
            }
        }
        if let LibraryCommand::Import(command) = command {
            self.import_not_sent(command);
        }
        self.notices.error(error);
    }

    fn model_loading(&mut self, model: ModelRef) {
        for_running(self, &model, Phase::Loading);
        if self.models.info(&model).is_none() {
            self.models.set(model, ModelStatus::Loading);
        }
    }

    fn model_ready(&mut self, info: ModelInfo) {
        let model = info.model.clone();
        self.models.set(model.clone(), ModelStatus::Ready(info));
        for_running(self, &model, Phase::Sent);
        if self.models.defaults_wanted.take_if(|wanted| *wanted == model).is_some()
            && self.draft.request.model == model
            && let Some(family) = self.family()
        {
            self.draft.take_defaults(family);
            self.mark_dirty();
            // They belong to the choice of the model.
            self.settle(&Touch::Aside);
        }
    }
}

/// Tells what the engine does for the running job, if that job uses `model` and has not begun its steps.
fn for_running(state: &mut State, model: &ModelRef, phase: Phase) {
    let Some(id) = state.queue.running().map(|running| running.job.id) else { return };
    if let Some(running) = state.queue.running_mut(id)
        && running.job.request.model == *model
        && (running.index, running.step) == (0, 0)
    {
        running.phase = phase;
    }
}
