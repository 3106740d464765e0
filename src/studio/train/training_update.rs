//! What the state does with acts and events of trainings.

use std::path::PathBuf;

use crate::domain::training::{
    DeskCommand, Method, PRESETS, Sketch, TrainingCommand, TrainingConfig, TrainingEvent, suit,
};
use crate::domain::{Command, ModelRef, UserError};
use crate::studio::{DialogRequest, Effect, Place, State};

use super::training_fields::field;
use super::training_run::{DrawnPicture, TrainingRun, TrainingStage, numbered};
use super::{Foresight, TrainTab, TrainingAction, TrainingDesk};

/// What the engine is asked about its training.
fn engine(command: TrainingCommand) -> Effect {
    Effect::Engine(Command::Train(command))
}

impl State {
    /// Looks for the training that was begun last, which may have been interrupted.
    pub(in crate::studio) fn start_training_desk(&mut self) -> Vec<Effect> {
        self.fit_training();
        self.suit_training();
        let last = self.train.training.last.clone();
        last.map(|folder| Effect::Desk(DeskCommand::Look(folder))).into_iter().collect()
    }

    /// The tab is shown: works out what the settings would need, unless that is known.
    pub(in crate::studio) fn training_shown(&mut self) -> Vec<Effect> {
        let desk = &mut self.train.training;
        if desk.run.is_none() && matches!(desk.foresight, Foresight::Nothing) {
            return desk.foresee().into_iter().collect();
        }
        Vec::new()
    }

    /// Learns from a data set that was made ready, and shows the training.
    pub(in crate::studio) fn train_on(&mut self, dataset: PathBuf, caption: Option<String>) -> Vec<Effect> {
        self.train.tab = TrainTab::Training;
        let config = &mut self.train.training.config;
        (config.dataset, config.dataset_kind, config.caption) = (dataset, None, caption);
        self.training_changed()
    }

    pub(in crate::studio) fn apply_training(&mut self, action: TrainingAction) -> Vec<Effect> {
        let desk = &mut self.train.training;
        match action {
            TrainingAction::Preset(name) => {
                let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) else { return Vec::new() };
                desk.begin_with(preset);
                self.suit_training();
                return self.training_changed();
            }
            TrainingAction::Own => {
                if let Some(own) = desk.own.take() {
                    // What is not a preset's matter stays as it is now.
                    let now = std::mem::replace(&mut desk.config, *own);
                    let TrainingConfig { model, dataset, dataset_kind, caption, output, name, samples, .. } = now;
                    let config = &mut desk.config;
                    (config.model, config.dataset, config.dataset_kind) = (model, dataset, dataset_kind);
                    (config.caption, config.output, config.name) = (caption, output, name);
                    config.samples.prompts = samples.prompts;
                    desk.preset = None;
                    return self.training_changed();
                }
                desk.preset = None;
            }
            TrainingAction::Set(key, value) => {
                let Some(field) = field(key).filter(|field| (field.get)(&desk.config) != value) else {
                    return Vec::new();
                };
                let before = desk.config.clone();
                (field.set)(&mut desk.config, value);
                desk.follow(&before);
                desk.preset = None;
                return self.training_changed();
            }
            TrainingAction::Prompts(text) => {
                desk.config.samples.prompts =
                    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
                desk.prompts = text;
                self.mark_dirty();
            }
            TrainingAction::Model(model) => {
                if desk.config.model != model {
                    desk.config.model = model.clone();
                    desk.fits_to = Some(model);
                    self.fit_training();
                    self.suit_training();
                    return self.training_changed();
                }
            }
            TrainingAction::Dataset(path) => {
                desk.config.dataset = path;
                desk.config.dataset_kind = None;
                return self.training_changed();
            }
            TrainingAction::ChooseDataset => return self.ask(DialogRequest::TrainingDataset),
            TrainingAction::Caption(text) => {
                desk.config.caption = (!text.is_empty()).then_some(text);
                return self.training_changed();
            }
            TrainingAction::Name(name) => {
                desk.name(name);
                self.mark_dirty();
                if matches!(self.train.training.foresight, Foresight::Nothing) {
                    return self.training_changed();
                }
            }
            TrainingAction::ToggleMore => desk.more = !desk.more,
            TrainingAction::OpenSettings => return self.ask(DialogRequest::TrainingSettings),
            TrainingAction::SaveSettings => return self.ask(DialogRequest::SaveTrainingSettings),
            TrainingAction::OpenTraining => return self.ask(DialogRequest::TrainingFolder),
            TrainingAction::Begin => return self.begin_training(),
            TrainingAction::Resume => return self.resume_training(),
            TrainingAction::LookBack => return self.look_back(),
            TrainingAction::SetAside => {
                desk.past = None;
                desk.last = None;
                self.mark_dirty();
            }
            TrainingAction::Close => {
                if !desk.is_running() {
                    desk.run = None;
                    desk.last = None;
                    self.mark_dirty();
                    return self.training_shown();
                }
            }
            action => return self.apply_run(action),
        }
        Vec::new()
    }

    /// What is done with the training that runs or is looked at.
    fn apply_run(&mut self, action: TrainingAction) -> Vec<Effect> {
        let Some(run) = &mut self.train.training.run else { return Vec::new() };
        match action {
            TrainingAction::Pause if matches!(run.stage, TrainingStage::Going | TrainingStage::Preparing(..)) => {
                run.stage = TrainingStage::Pausing;
                return vec![engine(TrainingCommand::Pause)];
            }
            TrainingAction::GoOn if matches!(run.stage, TrainingStage::Pausing | TrainingStage::Paused) => {
                run.stage = TrainingStage::Going;
                return vec![engine(TrainingCommand::GoOn)];
            }
            TrainingAction::Stop if run.is_running() && run.stage != TrainingStage::Stopping => {
                run.stage = TrainingStage::Stopping;
                return vec![engine(TrainingCommand::Stop)];
            }
            TrainingAction::EditSketch(text) => run.sketch = text,
            TrainingAction::Draw => {
                let prompt = run.sketch.trim().to_owned();
                if run.is_running() && !prompt.is_empty() {
                    run.awaited += 1;
                    let seed = run.config.seed;
                    return vec![engine(TrainingCommand::Draw(Sketch { prompt, seed }))];
                }
            }
            TrainingAction::LookAt(step) => (run.looked_at, run.grid) = (Some(step), false),
            TrainingAction::LookAtNewest => run.looked_at = None,
            TrainingAction::LookAtPrompt(prompt) => run.prompt = prompt,
            TrainingAction::ToggleGrid => run.grid = !run.grid,
            TrainingAction::Promote(step) if run.promoting.is_none() && run.saved.contains(&step) => {
                run.promoting = Some(step);
                let config = Box::new(run.config.clone());
                return vec![Effect::Desk(DeskCommand::Promote { config, step })];
            }
            TrainingAction::Compare => return self.compare_steps(),
            TrainingAction::Use(file) => {
                if run.config.method == Method::Lora {
                    let folder = self.paths.loras_dir.clone();
                    return vec![Effect::Desk(DeskCommand::Install { file, folder })];
                }
                self.place = Place::Create;
                return self.choose_model(ModelRef::Path(file));
            }
            _ => {}
        }
        self.want_pictures()
    }

    /// A setting was changed: it is remembered, and what it needs is worked out.
    pub(super) fn training_changed(&mut self) -> Vec<Effect> {
        self.mark_dirty();
        self.train.training.foresee().into_iter().collect()
    }

    /// Takes over the size of the model's family, where that is known and wanted.
    fn fit_training(&mut self) {
        let Some(model) = self.train.training.fits_to.clone() else { return };
        if let Some(family) = self.family_of(&model) {
            self.train.training.config.fit_to_side(family.native_side_px);
            self.train.training.fits_to = None;
        }
    }

    /// Sets the chosen preset anew, as it suits the model's family where that is known.
    fn suit_training(&mut self) {
        let family = self.family_of(&self.train.training.config.model).map(|family| family.family);
        let TrainingDesk { config, preset, .. } = &mut self.train.training;
        let Some(preset) = PRESETS.iter().find(|known| Some(known.name) == *preset) else { return };
        (preset.apply)(config);
        if let Some(family) = family {
            suit(config, family);
        }
    }

    /// A file or folder was chosen in a dialog.
    pub(in crate::studio) fn training_chosen(&mut self, request: &DialogRequest, mut path: PathBuf) -> Vec<Effect> {
        let desk = &mut self.train.training;
        let command = match request {
            DialogRequest::TrainingDataset => return self.apply_training(TrainingAction::Dataset(path)),
            DialogRequest::TrainingSettings => DeskCommand::Read(path),
            DialogRequest::TrainingFolder => {
                desk.opens = Some(path.clone());
                DeskCommand::Look(path)
            }
            _ => {
                if path.extension().is_none() {
                    path.set_extension("toml");
                }
                DeskCommand::Write { config: Box::new(desk.config.clone()), path }
            }
        };
        vec![Effect::Desk(command)]
    }

    /// Where settings are written where no dialog can be opened.
    pub(in crate::studio) fn suggested_settings(&self) -> PathBuf {
        let desk = &self.train.training;
        desk.home.join(format!("{}.toml", desk.config.name))
    }

    /// Looks into the folder first: a training that is there already is not begun again.
    fn begin_training(&mut self) -> Vec<Effect> {
        let desk = &mut self.train.training;
        if desk.is_running() || desk.blocked().is_some() {
            return Vec::new();
        }
        desk.begins = true;
        vec![Effect::Desk(DeskCommand::Look(desk.config.output.clone()))]
    }

    fn resume_training(&mut self) -> Vec<Effect> {
        let desk = &mut self.train.training;
        if desk.is_running() {
            return Vec::new();
        }
        let mut run = match (desk.past.take(), desk.run.take()) {
            (Some(past), _) => TrainingRun::of_past(*past, || {
                desk.numbers += 1;
                desk.numbers
            }),
            (None, Some(run)) => run,
            (None, None) => return Vec::new(),
        };
        run.stage = TrainingStage::Beginning;
        run.files.clear();
        run.awaited = 0;
        desk.name_taken = false;
        self.started(run, true)
    }

    pub(super) fn started(&mut self, run: TrainingRun, resume: bool) -> Vec<Effect> {
        let config = Box::new(run.config.clone());
        let desk = &mut self.train.training;
        desk.last = Some(run.config.output.clone());
        desk.run = Some(run);
        // At once, so that it is found again whatever happens.
        let mut effects = vec![self.save_settings(), engine(TrainingCommand::Begin { config, resume })];
        effects.extend(self.want_pictures());
        effects
    }

    pub(super) fn look_back(&mut self) -> Vec<Effect> {
        let desk = &mut self.train.training;
        let Some(past) = desk.past.take().filter(|_| !desk.is_running()) else { return Vec::new() };
        let mut numbers = desk.numbers;
        desk.run = Some(TrainingRun::of_past(*past, || {
            numbers += 1;
            numbers
        }));
        desk.numbers = numbers;
        self.want_pictures()
    }

    /// Asks for the pictures in view that are not at hand.
    fn want_pictures(&mut self) -> Vec<Effect> {
        let Some(run) = &mut self.train.training.run else { return Vec::new() };
        let show = |(path, is_small)| Effect::Desk(DeskCommand::Show { path, is_small });
        run.want().into_iter().map(show).collect()
    }

    /// Takes in what the engine tells of its training.
    pub(in crate::studio) fn on_training_event(&mut self, event: TrainingEvent, memory: Option<u64>) -> Vec<Effect> {
        let desk = &mut self.train.training;
        let mut numbers = desk.numbers;
        let mut number = || {
            numbers += 1;
            numbers
        };
        let Some(run) = &mut desk.run else { return Vec::new() };
        match event {
            TrainingEvent::Forecast(forecast) => run.forecast = Some(forecast),
            TrainingEvent::Notice(sentence) => run.notice(sentence),
            TrainingEvent::Preparing { what, done, total } => {
                if matches!(run.stage, TrainingStage::Beginning | TrainingStage::Preparing(..)) {
                    run.stage = TrainingStage::Preparing(what, done, total);
                }
            }
            TrainingEvent::Resumed(step) => run.go_back_to(step),
            TrainingEvent::Working { what, done, total } => {
                run.begin_steps();
                run.working = Some((what, done, total));
            }
            TrainingEvent::Step(step) => {
                run.begin_steps();
                run.working = None;
                run.curves.push(&step, memory);
                run.now = Some(step);
            }
            TrainingEvent::Rows(rows) => run.take_rows(rows),
            TrainingEvent::Validated { step, loss } => run.curves.validation.push(step, loss),
            TrainingEvent::Sample { step, prompt, picture, path } => {
                run.begin_steps();
                let place = run.config.samples.prompts.iter().position(|other| *other == prompt);
                run.album.add(step, place.unwrap_or_default(), path, picture, &mut number);
            }
            TrainingEvent::Drawn { step, sketch, picture, untrained, path } => {
                let picture = numbered(picture, number());
                let untrained = untrained.map(|picture| numbered(picture, number()));
                run.drew(DrawnPicture { step, prompt: sketch.prompt, picture, untrained, path });
            }
            TrainingEvent::Saved { step, .. } => run.saved(step),
            TrainingEvent::Paused(_) => {
                if run.stage == TrainingStage::Pausing {
                    run.stage = TrainingStage::Paused;
                }
            }
            TrainingEvent::Ended { step, steps, files } => {
                run.stage = TrainingStage::Ended;
                (run.working, run.awaited) = (None, 0);
                if let Some(now) = &mut run.now {
                    (now.step, now.steps, now.eta_secs) = (step, steps, 0.0);
                }
                let made = run.result().or(files.first()).cloned();
                run.files = files;
                let (name, is_whole) = (run.config.name.clone(), step == steps);
                if self.place != Place::Train {
                    let what = if is_whole { "is trained" } else { "was stopped and saved" };
                    self.notices.info(format!("{name} {what}"), made);
                }
            }
        }
        self.train.training.numbers = numbers;
        self.want_pictures()
    }

    /// The training could not begin, or fell apart.
    pub(in crate::studio) fn training_failed(&mut self, error: UserError) -> Vec<Effect> {
        let is_seen = self.place == Place::Train && self.train.tab == TrainTab::Training;
        let Some(run) = &mut self.train.training.run else {
            self.notices.error(error);
            return Vec::new();
        };
        run.stage = TrainingStage::Failed(error.clone());
        (run.working, run.awaited) = (None, 0);
        if !is_seen {
            self.notices.error(error);
        }
        // What it had written before is in its folder.
        vec![Effect::Desk(DeskCommand::Look(run.config.output.clone()))]
    }

    /// A command about the training could not be handed to the engine.
    pub(in crate::studio) fn training_refused(&mut self, command: &TrainingCommand, error: UserError) -> Vec<Effect> {
        match command {
            TrainingCommand::Begin { .. } => return self.training_failed(error),
            TrainingCommand::Draw(_) => {
                if let Some(run) = &mut self.train.training.run {
                    run.awaited = run.awaited.saturating_sub(1);
                }
            }
            // It goes on as it was.
            TrainingCommand::Pause | TrainingCommand::GoOn | TrainingCommand::Stop => {
                let was_waiting = *command == TrainingCommand::GoOn;
                if let Some(run) = self.train.training.run.as_mut().filter(|run| run.is_running()) {
                    run.stage = if was_waiting { TrainingStage::Paused } else { TrainingStage::Going };
                }
            }
        }
        self.notices.error(error);
        Vec::new()
    }
}

impl TrainingRun {
    /// The steps have begun, unless it is to wait or to end.
    fn begin_steps(&mut self) {
        if matches!(self.stage, TrainingStage::Beginning | TrainingStage::Preparing(..)) {
            self.stage = TrainingStage::Going;
        }
    }

    /// It goes on after a step: what was measured after that is measured again.
    fn go_back_to(&mut self, step: u64) {
        self.resumed = Some(step);
        self.curves.cut_after(step);
        self.album.cut_after(step);
        if let Some(now) = &mut self.now {
            now.step = now.step.min(step);
        }
    }
}

impl TrainingDesk {
    /// Settings that belong to one that was changed follow it.
    fn follow(&mut self, before: &TrainingConfig) {
        let config = &mut self.config;
        let (resolution, was) = (config.pictures.resolution, before.pictures.resolution);
        if resolution != was && resolution % 64 == 0 {
            let sides = (config.pictures.bucket_min, config.pictures.bucket_max);
            // Those that were chosen by hand stay.
            if sides == ((was / 2).next_multiple_of(64), 2 * was) {
                config.fit_to_side(resolution);
            }
        }
        // A LoRA whose strength was 1 keeps that.
        if config.lora.rank != before.lora.rank && before.lora.alpha == f64::from(before.lora.rank) {
            config.lora.alpha = f64::from(config.lora.rank);
        }
        if !config.text_encoder {
            config.optimizer.text_encoder_learning_rate = None;
        }
        if let Some(steps) = config.steps.steps.filter(|steps| *steps > 0 && before.steps.steps != Some(*steps)) {
            config.optimizer.warmup_steps = config.optimizer.warmup_steps.min(steps / 10);
        }
    }
}
