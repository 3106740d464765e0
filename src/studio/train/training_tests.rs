//! What the state does with trainings; the window's tests drive the same by labels.

use std::path::{Path, PathBuf};

use crate::domain::training::{
    DeskCommand, DeskEvent, Method, PRESETS, PastTraining, TrainingCommand, TrainingConfig, TrainingEvent,
    TrainingMemory, TrainingStep,
};
use crate::domain::{Command, ModelRef, Picture, Settings, UserError};
use crate::studio::tests::state_with;
use crate::studio::{Action, DialogAnswer, Effect, FieldValue, Place, State, TrainAction, TrainTab, TrainingStage};

use super::TrainingAction;

fn act(state: &mut State, action: TrainingAction) -> Vec<Effect> {
    state.apply(Action::Train(TrainAction::Training(action)))
}

fn config(state: &State) -> &TrainingConfig {
    &state.train.training.config
}

fn stage(state: &State) -> &TrainingStage {
    &state.train.training.run.as_ref().expect("a training is shown").stage
}

fn engine_commands(effects: &[Effect]) -> Vec<TrainingCommand> {
    let command = |effect: &Effect| match effect {
        Effect::Engine(Command::Train(command)) => Some(command.clone()),
        _ => None,
    };
    effects.iter().filter_map(command).collect()
}

/// With a data set, and begun.
fn begun() -> State {
    let mut state = state_with(Settings::default());
    state.start();
    act(&mut state, TrainingAction::Dataset("/pictures".into()));
    act(&mut state, TrainingAction::Prompts("a boot\n\n  a scarf \n".to_owned()));
    act(&mut state, TrainingAction::Begin);
    let folder = config(&state).output.clone();
    let effects = state.on_desk_event(DeskEvent::Found { folder, past: Ok(None) });
    assert!(matches!(engine_commands(&effects).as_slice(), [TrainingCommand::Begin { resume: false, .. }]));
    assert!(
        effects.iter().any(|effect| format!("{effect:?}").contains("SaveSettings")),
        "it is found again after a crash"
    );
    state
}

fn tell(state: &mut State, event: TrainingEvent) -> Vec<Effect> {
    state.on_training_event(event, None)
}

fn step(step: u64) -> TrainingStep {
    TrainingStep {
        step,
        steps: 100,
        epoch: 1.0,
        loss: 0.5,
        smoothed: 0.5,
        lr: 1e-4,
        grad_norm: 1.0,
        secs_per_step: 2.0,
        eta_secs: 10.0,
    }
}

fn picture() -> Picture {
    Picture { width_px: 8, height_px: 8, rgba: vec![9; 256] }
}

fn sample(step: u64, prompt: &str) -> TrainingEvent {
    let path = format!("/out/{step}-{prompt}.png").into();
    TrainingEvent::Sample { step, prompt: prompt.to_owned(), picture: picture(), path }
}

#[test]
fn the_first_settings_are_a_quick_look_at_the_models_own_size() {
    let mut state = state_with(Settings::default());
    assert_eq!(state.train.training.memory(), None, "nothing was made ready yet");
    state.start();
    assert_eq!((state.train.training.preset, config(&state).pictures.resolution), (Some("quick-lora"), 128));
    assert_eq!(config(&state).output, state.paths.trainings_dir.join("my-lora"));
    act(&mut state, TrainingAction::Name("boots".to_owned()));
    assert_eq!(config(&state).output, state.paths.trainings_dir.join("boots"), "the folder follows the name");
}

#[test]
fn what_was_made_ready_comes_back() {
    let mut state = begun();
    act(&mut state, TrainingAction::Set("lora.rank", FieldValue::Whole(12)));
    let settings = state.settings();
    let memory = settings.training.clone().unwrap();
    assert_eq!(memory.last.as_deref(), Some(config(&state).output.as_path()));
    let json = serde_json::to_string(&settings).unwrap();
    let again = state_with(serde_json::from_str(&json).unwrap());
    assert_eq!((config(&again), again.train.training.preset), (config(&state), None));
    assert_eq!(again.train.training.prompts, "a boot\na scarf");
}

#[test]
fn settings_that_belong_together_follow_each_other() {
    let mut state = state_with(Settings::default());
    state.start();
    act(&mut state, TrainingAction::Set("lora.rank", FieldValue::Whole(32)));
    assert_eq!(config(&state).lora.alpha, 32.0);
    act(&mut state, TrainingAction::Set("pictures.resolution", FieldValue::Whole(256)));
    let pictures = &config(&state).pictures;
    assert_eq!((pictures.bucket_min, pictures.bucket_max), (128, 512));
    act(&mut state, TrainingAction::Preset("subject-lora"));
    act(&mut state, TrainingAction::Set("text_encoder", FieldValue::Switch(false)));
    assert_eq!(config(&state).optimizer.text_encoder_learning_rate, None, "it would have no effect");
    act(&mut state, TrainingAction::Set("steps.steps", FieldValue::Steps(10)));
    assert_eq!(config(&state).optimizer.warmup_steps, 1, "a warm-up is shorter than the whole");
    act(&mut state, TrainingAction::Dataset("/pictures".into()));
    assert_eq!(config(&state).problems(), []);
}

#[test]
fn only_the_last_question_about_the_future_counts() {
    let mut state = state_with(Settings::default());
    state.start();
    let ticket = |effects: Vec<Effect>| match effects.as_slice() {
        [Effect::Desk(DeskCommand::Foresee { ticket, .. })] => *ticket,
        other => panic!("{other:?}"),
    };
    let first = ticket(act(&mut state, TrainingAction::Dataset("/a".into())));
    let second = ticket(act(&mut state, TrainingAction::Dataset("/b".into())));
    let failed = |ticket| DeskEvent::Foreseen { ticket, forecast: Err(UserError::input("No pictures")) };
    state.on_desk_event(failed(first));
    assert_eq!(state.train.training.blocked(), None);
    state.on_desk_event(failed(second));
    assert_eq!(state.train.training.blocked().as_deref(), Some("No pictures"));
}

#[test]
fn a_training_runs_waits_and_ends() {
    let mut state = begun();
    assert_eq!(config(&state).samples.prompts, ["a boot", "a scarf"]);
    tell(&mut state, TrainingEvent::Preparing { what: "pictures", done: 1, total: 4 });
    assert_eq!(*stage(&state), TrainingStage::Preparing("pictures", 1, 4));
    tell(&mut state, TrainingEvent::Step(step(1)));
    assert_eq!(*stage(&state), TrainingStage::Going);
    assert_eq!(engine_commands(&act(&mut state, TrainingAction::Pause)), [TrainingCommand::Pause]);
    // A step that was told before the engine heard of it changes nothing.
    tell(&mut state, TrainingEvent::Step(step(2)));
    assert_eq!(*stage(&state), TrainingStage::Pausing);
    tell(&mut state, TrainingEvent::Paused(2));
    assert_eq!(*stage(&state), TrainingStage::Paused);
    assert_eq!(engine_commands(&act(&mut state, TrainingAction::GoOn)), [TrainingCommand::GoOn]);
    for at in [50, 60, 70] {
        tell(&mut state, TrainingEvent::Saved { step: at, path: PathBuf::new() });
    }
    let run = state.train.training.run.as_ref().unwrap();
    assert_eq!(run.saved, [60, 70], "so many as are kept");
    assert_eq!(engine_commands(&act(&mut state, TrainingAction::Stop)), [TrainingCommand::Stop]);
    assert!(act(&mut state, TrainingAction::Close).is_empty() && state.train.training.run.is_some());
    let files = vec![PathBuf::from("/out/my-lora-step-000071.safetensors")];
    tell(&mut state, TrainingEvent::Ended { step: 71, steps: 100, files });
    assert_eq!(*stage(&state), TrainingStage::Ended);
    assert!(state.train.training.run.as_ref().unwrap().can_be_resumed());
    assert!(!state.notices.list().is_empty(), "it ended while something else was shown");
    let effects = act(&mut state, TrainingAction::Resume);
    assert!(matches!(engine_commands(&effects).as_slice(), [TrainingCommand::Begin { resume: true, .. }]));
    assert_eq!(*stage(&state), TrainingStage::Beginning);
}

#[test]
fn what_the_engine_refuses_is_not_said_to_be_done() {
    let mut state = begun();
    tell(&mut state, TrainingEvent::Step(step(1)));
    act(&mut state, TrainingAction::Draw);
    assert_eq!(state.train.training.run.as_ref().unwrap().awaited, 1);
    let refuse = |state: &mut State, command| {
        state.on_engine_refused(Command::Train(command), UserError::failed("The engine is busy"));
    };
    let sketch = crate::domain::training::Sketch { prompt: String::new(), seed: 0 };
    refuse(&mut state, TrainingCommand::Draw(sketch));
    assert_eq!(state.train.training.run.as_ref().unwrap().awaited, 0);
    act(&mut state, TrainingAction::Pause);
    refuse(&mut state, TrainingCommand::Pause);
    assert_eq!(*stage(&state), TrainingStage::Going);
    act(&mut state, TrainingAction::Stop);
    refuse(&mut state, TrainingCommand::Stop);
    assert_eq!(*stage(&state), TrainingStage::Going);
}

#[test]
fn the_pictures_in_view_are_asked_for_once() {
    let mut state = begun();
    for at in 0..20 {
        for prompt in ["a boot", "a scarf"] {
            tell(&mut state, sample(at * 10, prompt));
        }
    }
    let asked = |effects: Vec<Effect>| -> Vec<PathBuf> {
        let path = |effect| match effect {
            Effect::Desk(DeskCommand::Show { path, is_small: false }) => Some(path),
            _ => None,
        };
        effects.into_iter().filter_map(path).collect()
    };
    // Those of the first step left memory long ago: they were asked for while steps went by, once.
    let look = asked(act(&mut state, TrainingAction::LookAt(50)));
    assert_eq!(look, [PathBuf::from("/out/50-a boot.png")]);
    assert!(asked(act(&mut state, TrainingAction::LookAt(50))).is_empty());
    let shown = DeskEvent::Shown { path: look[0].clone(), is_small: false, picture: Ok(picture().into()) };
    state.on_desk_event(shown);
    let run = state.train.training.run.as_ref().unwrap();
    assert!(run.album.full(Path::new("/out/50-a boot.png")).is_some());
    // One that cannot be read is not asked for again and again.
    let look = asked(act(&mut state, TrainingAction::LookAt(60)));
    let failed = Err(UserError::failed("gone"));
    state.on_desk_event(DeskEvent::Shown { path: look[0].clone(), is_small: false, picture: failed });
    assert!(asked(act(&mut state, TrainingAction::LookAt(60))).is_empty());
}

#[test]
fn a_whole_model_is_opened_in_create() {
    let mut state = begun();
    state.train.training.run.as_mut().unwrap().config.method = Method::Full;
    let folder = PathBuf::from("/out/my-model");
    let files = vec![folder.clone(), "/out/my-model.safetensors".into()];
    tell(&mut state, TrainingEvent::Ended { step: 100, steps: 100, files });
    let run = state.train.training.run.as_ref().unwrap();
    assert_eq!((run.result(), run.can_be_resumed()), (Some(&folder), false));
    act(&mut state, TrainingAction::Use(folder.clone()));
    assert_eq!((state.place, &state.draft.request.model), (Place::Create, &ModelRef::Path(folder)));
}

#[test]
fn a_finished_training_is_not_offered_again_and_one_without_a_checkpoint_begins_anew() {
    let past = |checkpoints: Vec<u64>, files: Vec<PathBuf>| PastTraining {
        config: TrainingConfig { output: "/out".into(), dataset: "/a".into(), ..TrainingConfig::default() },
        checkpoints,
        steps: Some(100),
        log: Vec::new(),
        validations: Vec::new(),
        samples: Vec::new(),
        files,
    };
    let found = |past: PastTraining| DeskEvent::Found { folder: "/out".into(), past: Ok(Some(Box::new(past))) };
    let memory = TrainingMemory { last: Some("/out".into()), ..TrainingMemory::default() };
    let mut state = state_with(Settings { training: Some(memory), ..Settings::default() });
    let effects = state.start();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Desk(DeskCommand::Look(_)))));
    state.on_desk_event(found(past(vec![100], vec!["/out/a.safetensors".into()])));
    assert!(state.train.training.past.is_none());
    state.on_desk_event(found(past(Vec::new(), Vec::new())));
    assert!(state.train.training.past.is_some());
    let effects = act(&mut state, TrainingAction::Resume);
    assert!(matches!(engine_commands(&effects).as_slice(), [TrainingCommand::Begin { resume: true, .. }]));
}

#[test]
fn settings_are_read_from_a_file_and_written_where_one_says() {
    let mut state = state_with(Settings::default());
    state.start();
    act(&mut state, TrainingAction::OpenSettings);
    let effects = state.apply(Action::Answered(DialogAnswer::Chosen("/a/mine.toml".into())));
    assert!(matches!(effects.as_slice(), [Effect::Desk(DeskCommand::Read(path))] if path == Path::new("/a/mine.toml")));
    let mut read = TrainingConfig { dataset: "/a".into(), output: "/b".into(), ..TrainingConfig::default() };
    read.samples.prompts = vec!["a dress".to_owned()];
    let event = DeskEvent::Read { path: "/a/mine.toml".into(), config: Ok(Box::new(read.clone())) };
    state.on_desk_event(event);
    assert_eq!((config(&state), state.train.training.prompts.as_str()), (&read, "a dress"));
    act(&mut state, TrainingAction::SaveSettings);
    let effects = state.apply(Action::Answered(DialogAnswer::Chosen("/a/other".into())));
    let [Effect::Desk(DeskCommand::Write { path, .. })] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(path, Path::new("/a/other.toml"));
    // What cannot be read changes nothing.
    let error = Err(UserError::input("The settings are no TOML"));
    state.on_desk_event(DeskEvent::Read { path: "/x".into(), config: error });
    assert_eq!((config(&state), state.notices.list().len()), (&read, 1));
}

#[test]
fn every_preset_has_sound_settings_and_a_data_set_is_taken_over() {
    let mut state = state_with(Settings::default());
    state.start();
    let effects = state.train_on("/prepared".into(), Some("{colour}".to_owned()));
    assert!(matches!(effects.as_slice(), [Effect::Desk(DeskCommand::Foresee { .. })]));
    assert_eq!(state.train.tab, TrainTab::Training);
    for preset in PRESETS {
        act(&mut state, TrainingAction::Preset(preset.name));
        assert_eq!(state.train.training.blocked(), None, "{}", preset.name);
        assert_eq!(config(&state).caption.as_deref(), Some("{colour}"));
    }
}
