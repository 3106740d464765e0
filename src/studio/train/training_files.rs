//! What the state does with what the thread that keeps trainings' files says.

use std::path::Path;
use std::sync::Arc;

use crate::domain::prompt::with_network;
use crate::domain::training::{DeskCommand, DeskEvent, PastTraining};
use crate::domain::{Picture, UserError};
use crate::studio::{Effect, Place, State};

use super::Foresight;
use super::album::Numbered;
use super::training_run::TrainingRun;

impl State {
    /// Takes in what the thread that keeps trainings' files says.
    pub fn on_desk_event(&mut self, event: DeskEvent) -> Vec<Effect> {
        let desk = &mut self.train.training;
        match event {
            DeskEvent::Foreseen { ticket, forecast } => {
                if ticket != desk.ticket {
                    return Vec::new(); // about settings that were changed since
                }
                match forecast {
                    Ok(forecast) => {
                        let fits = desk.fits_to.take().is_some();
                        let side_px = forecast.native_side_px;
                        desk.foresight = Foresight::Known(forecast);
                        if fits {
                            desk.config.fit_to_side(side_px);
                            return self.training_changed();
                        }
                    }
                    Err(error) => desk.foresight = Foresight::Failed(error),
                }
            }
            DeskEvent::Found { folder, past } => return self.found(&folder, past),
            DeskEvent::Read { path: _, config } => match config {
                Ok(config) => {
                    desk.config = *config;
                    desk.preset = None;
                    desk.own = None;
                    desk.prompts = desk.config.samples.prompts.join("\n");
                    desk.name_taken = false;
                    desk.fits_to = None;
                    return self.training_changed();
                }
                Err(error) => self.notices.error(error),
            },
            DeskEvent::Written { path, result } => match result {
                Ok(()) => self.notices.info("Saved", Some(path)),
                Err(error) => self.notices.error(error),
            },
            DeskEvent::Shown { path, is_small, picture } => self.shown(&path, is_small, picture.ok()),
            DeskEvent::Promoted { step, files } => {
                let Some(run) = &mut desk.run else { return Vec::new() };
                run.promoting = None;
                match files {
                    Ok(files) => {
                        let first = files.first().cloned();
                        run.files.retain(|file| !files.contains(file));
                        run.files.extend(files);
                        self.notices.info(format!("Step {step} is a result now"), first);
                    }
                    Err(error) => self.notices.error(error),
                }
            }
            DeskEvent::Gathered(names) => return self.steps_gathered(names),
            DeskEvent::Installed { file: _, name } => match name {
                Ok(name) => return self.wear_result(&name),
                Err(error) => self.notices.error(error),
            },
        }
        Vec::new()
    }

    fn found(&mut self, folder: &Path, past: Result<Option<Box<PastTraining>>, UserError>) -> Vec<Effect> {
        let desk = &mut self.train.training;
        if desk.begins && folder == desk.config.output {
            desk.begins = false;
            return match past {
                Ok(Some(past)) if past.last().is_some() => {
                    desk.name_taken = true;
                    desk.past = Some(past);
                    Vec::new()
                }
                Ok(_) => {
                    let run = TrainingRun::new(desk.config.clone());
                    desk.past = None;
                    self.started(run, false)
                }
                Err(error) => {
                    self.notices.error(error);
                    Vec::new()
                }
            };
        }
        let is_asked = desk.opens.take_if(|opens| opens == folder).is_some();
        match past {
            Ok(Some(past)) => {
                // That of one that failed: what it had written is shown.
                if let Some(run) = desk.run.as_mut().filter(|run| run.config.output == folder) {
                    run.saved = past.checkpoints;
                    run.files = past.files;
                } else if is_asked {
                    desk.past = Some(past);
                    return self.look_back();
                } else if !past.is_whole() {
                    desk.past = Some(past);
                }
            }
            Ok(None) if is_asked => {
                let error = UserError::input("There is no training in this folder")
                    .hint("choose the folder of one training, with its settings.toml")
                    .path(folder);
                self.notices.error(error);
            }
            Err(error) if is_asked => self.notices.error(error),
            Ok(None) | Err(_) => {}
        }
        Vec::new()
    }

    fn shown(&mut self, path: &Path, is_small: bool, picture: Option<Arc<Picture>>) {
        let desk = &mut self.train.training;
        let number = desk.number();
        // A picture that cannot be read is left out; where it is a training's own, its small one is shown.
        let (Some(run), Some(picture)) = (&mut desk.run, picture) else { return };
        run.asked.remove(path);
        if is_small {
            for row in run.rows.iter_mut().filter(|row| row.row.picture == path) {
                row.picture = Some(Numbered { number, picture: Arc::clone(&picture) });
            }
        } else {
            run.album.add_full(path.to_path_buf(), picture, number);
        }
    }

    /// Puts a result on in Create, with the model that it was trained on.
    fn wear_result(&mut self, name: &str) -> Vec<Effect> {
        let Some(run) = &self.train.training.run else { return Vec::new() };
        let model = run.config.model.clone();
        self.place = Place::Create;
        let mut effects = if self.draft.request.model == model { Vec::new() } else { self.choose_model(model) };
        let prompt = with_network(&self.draft.request.prompt, name, 1.0, 1.0);
        self.draft.request.prompt = prompt;
        // The folder has a new file: how it fits is looked at anew.
        self.adapters.model = None;
        effects.extend(self.fit_adapters());
        self.notices.info(format!("{name} is in the prompt. Under LoRAs stands how it fits"), None);
        self.mark_dirty();
        effects
    }

    /// A command could not be handed to the thread that keeps trainings' files.
    pub fn on_desk_refused(&mut self, command: &DeskCommand, error: UserError) {
        let desk = &mut self.train.training;
        match command {
            DeskCommand::Foresee { .. } => desk.foresight = Foresight::Nothing,
            DeskCommand::Look(_) => (desk.begins, desk.opens) = (false, None),
            DeskCommand::Promote { .. } => {
                if let Some(run) = &mut desk.run {
                    run.promoting = None;
                }
            }
            DeskCommand::Gather { .. } => {
                if let Some(run) = &mut desk.run {
                    run.is_gathering = false;
                }
            }
            DeskCommand::Show { path, .. } => {
                // It is asked for again when it is looked at again.
                if let Some(run) = &mut desk.run {
                    run.asked.remove(path);
                }
                return;
            }
            _ => {}
        }
        self.notices.error(error);
    }
}
