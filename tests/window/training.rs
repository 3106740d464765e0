//! The training in the window: made ready, begun, watched, paused, stopped, gone on with, and its result used.

use std::path::PathBuf;
use std::sync::Arc;

use atelier::domain::training::{
    DeskCommand, DeskEvent, Forecast, PastSample, PastTraining, RowLoss, Share, TrainingCommand, TrainingConfig,
    TrainingEvent, TrainingStep,
};
use atelier::domain::{Command, Event, Settings, UserError};
use atelier::studio::{Place, TrainingStage};
use egui::Role;
use egui_kittest::kittest::Queryable;

use super::bench::{Bench, garment};

const PICTURES: &str = "/home/kim/pictures/knitwear";

impl Bench {
    /// The thread that keeps trainings' files says something.
    pub fn desk(&mut self, event: DeskEvent) {
        self.desk_events.send(event).expect("the window listens");
        self.harness.run();
    }

    /// The training tells something.
    pub fn training(&mut self, event: TrainingEvent) {
        self.engine(Event::Training { event: Box::new(event), memory: Some(2_140_000_000) });
    }

    fn asked_of_desk(&self) -> Vec<DeskCommand> {
        self.desk_commands.try_iter().collect()
    }

    /// What was asked of the training, since the last look.
    fn asked_of_training(&self) -> Vec<TrainingCommand> {
        let command = |command| match command {
            Command::Train(command) => Some(command),
            _ => None,
        };
        self.commands.try_iter().filter_map(command).collect()
    }

    fn type_into(&mut self, role: Role, field: &str, text: &str) {
        self.harness.get_by_role_and_label(role, field).focus();
        self.harness.run();
        self.harness.get_by_role_and_label(role, field).type_text(text);
        self.harness.run();
    }
}

pub fn forecast() -> Forecast {
    let share = |what, megabytes: u64| Share { what, bytes: megabytes << 20 };
    Forecast {
        memory: vec![
            share("the model's weights, as their file has them", 64),
            share("what is trained, with gradients and the optimizer's memory", 18),
            share("what a step remembers on its way through the network", 420),
            share("the program itself", 150),
        ],
        trained: 1_179_648,
        steps: 300,
        secs_per_step: 0.62,
        native_side_px: 128,
    }
}

/// The tab with a data set and two prompts, and what it would need.
pub fn made_ready(settings: Settings, size: [f32; 2]) -> Bench {
    let mut bench = Bench::with(settings, size);
    bench.go_to("Train");
    bench.go_to("Training");
    bench.type_into(Role::TextInput, "Data set", PICTURES);
    let prompts = "a red knitted pullover with a high collar\na blue woollen scarf, folded";
    bench.type_into(Role::MultilineTextInput, "Pictures to watch", prompts);
    answer_forecast(&mut bench);
    bench
}

/// Answers the last question about what a training would need.
fn answer_forecast(bench: &mut Bench) -> Option<TrainingConfig> {
    let asked = bench.asked_of_desk().into_iter().rev().find_map(|command| match command {
        DeskCommand::Foresee { ticket, config } => Some((ticket, config)),
        _ => None,
    });
    let (ticket, config) = asked?;
    bench.desk(DeskEvent::Foreseen { ticket, forecast: Ok(forecast()) });
    Some(*config)
}

/// Begins the training that is made ready, in a folder that holds none.
fn begin(bench: &mut Bench) -> TrainingConfig {
    bench.click("Start training");
    let folder = bench.asked_of_desk().into_iter().find_map(|command| match command {
        DeskCommand::Look(folder) => Some(folder),
        _ => None,
    });
    bench.desk(DeskEvent::Found { folder: folder.expect("its folder is looked into"), past: Ok(None) });
    match bench.asked_of_training().as_slice() {
        [TrainingCommand::Begin { config, resume: false }] => (**config).clone(),
        other => panic!("a training begins, not {other:?}"),
    }
}

fn step(step: u64) -> TrainingStep {
    let wave = (step as f64 * 1.7).sin() * 0.05 + (step as f64 * 0.61).cos() * 0.04;
    let smoothed = 0.12 + 0.2 * (-(step as f64) / 60.0).exp();
    TrainingStep {
        step,
        steps: 300,
        epoch: step as f64 / 48.0,
        loss: smoothed + wave,
        smoothed,
        lr: 2e-4 * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / 300.0).cos()) * (step as f64 / 20.0).min(1.0),
        grad_norm: 0.4 + 0.6 * (-(step as f64) / 40.0).exp() + wave,
        secs_per_step: 0.62,
        eta_secs: 0.62 * (300 - step) as f64,
    }
}

/// What a training tells until a step.
pub fn learn_until(bench: &mut Bench, config: &TrainingConfig, last: u64) {
    bench.training(TrainingEvent::Forecast(forecast()));
    for at in 0..=last {
        if at > 0 {
            let event = TrainingEvent::Step(step(at));
            let event = Event::Training { event: Box::new(event), memory: Some(2_000_000_000 + (at << 20)) };
            bench.events.send(event).expect("the window listens");
        }
        if at % 50 == 0 {
            for (i, prompt) in config.samples.prompts.iter().enumerate() {
                let picture = garment(128, 128, (at / 50) as u32 + 3 * i as u32);
                let path = config.output.join(format!("samples/step-{at:06}-{}.png", i + 1));
                let event = TrainingEvent::Sample { step: at, prompt: prompt.clone(), picture, path };
                bench.events.send(Event::Training { event: Box::new(event), memory: None }).expect("it listens");
            }
            if at > 0 {
                let path = config.output.join(format!("checkpoints/step-{at:08}.safetensors"));
                let event = Box::new(TrainingEvent::Saved { step: at, path });
                bench.events.send(Event::Training { event, memory: None }).expect("it listens");
            }
            bench.harness.run();
        }
    }
    let row = |i: u32, caption: &str, relative: f64| RowLoss {
        picture: PathBuf::from(PICTURES).join(format!("{i:04}.png")),
        caption: caption.to_owned(),
        relative,
        seen: 4,
    };
    bench.training(TrainingEvent::Rows(vec![
        row(17, "a pullover", 2.4),
        row(3, "striped cardigan with wooden buttons, laid flat on linen", 1.9),
        row(29, "", 1.6),
    ]));
    serve_pictures(bench);
}

/// Answers every question for a picture.
fn serve_pictures(bench: &mut Bench) {
    for command in bench.asked_of_desk() {
        if let DeskCommand::Show { path, is_small } = command {
            let variant = path.to_string_lossy().bytes().map(u32::from).sum();
            let picture = Ok(Arc::new(garment(128, 128, variant)));
            bench.desk(DeskEvent::Shown { path, is_small, picture });
        }
    }
}

pub fn running(settings: Settings, size: [f32; 2], last: u64) -> (Bench, TrainingConfig) {
    let mut bench = made_ready(settings, size);
    let config = begin(&mut bench);
    learn_until(&mut bench, &config, last);
    (bench, config)
}

fn stage(bench: &Bench) -> TrainingStage {
    bench.state().train.training.run.as_ref().expect("a training is shown").stage.clone()
}

#[test]
fn a_training_cannot_begin_without_pictures_and_says_so() {
    let mut bench = Bench::first_start();
    bench.go_to("Train");
    bench.go_to("Training");
    assert!(bench.has("The data set is missing: name a folder or a table of pictures"));
    bench.click("Start training");
    assert!(bench.asked_of_training().is_empty());
    assert!(bench.asked_of_desk().is_empty(), "nothing can be foreseen yet");
    bench.type_into(Role::TextInput, "Data set", PICTURES);
    assert!(bench.has("Being worked out…"));
    let config = answer_forecast(&mut bench).expect("memory and time are worked out");
    assert_eq!(config.dataset, PathBuf::from(PICTURES));
    assert_eq!(config.pictures.resolution, 128, "the starter's own size");
    assert!(bench.has("About 3 min") && bench.has("About 683.7 MB"));
}

#[test]
fn presets_set_the_settings_and_say_why_and_ones_own_come_back() {
    let mut bench = made_ready(Settings::default(), [1280.0, 800.0]);
    bench.click("Style LoRA");
    assert_eq!(bench.state().train.training.config.lora.rank, 16);
    bench.click("All settings");
    assert!(bench.has("A style lies in many layers, and 16 directions in each are enough for most"));
    bench.type_number("Rank", "24");
    let desk = &bench.state().train.training;
    assert_eq!((desk.config.lora.rank, desk.config.lora.alpha, desk.preset), (24, 24.0, None));
    bench.harness.get_by_role_and_label(Role::Button, "Full fine-tune").scroll_to_me();
    bench.harness.run();
    bench.click("Full fine-tune");
    assert!(!bench.has("Rank"), "a whole model has no rank");
    bench.click("Your own");
    let desk = &bench.state().train.training;
    assert_eq!((desk.config.lora.rank, desk.preset), (24, None));
    assert_eq!(desk.config.dataset, PathBuf::from(PICTURES));
}

#[test]
fn what_is_wrong_stands_beside_its_field() {
    let mut bench = made_ready(Settings::default(), [1280.0, 800.0]);
    bench.type_into(Role::TextInput, "Name", "/");
    let told = bench.harness.query_all_by_label("The name cannot be a file's name").count();
    assert_eq!(told, 2, "beside the field and over the button");
    bench.click("Start training");
    assert!(bench.asked_of_training().is_empty());
}

#[test]
fn a_training_that_cannot_be_says_why_instead_of_a_forecast() {
    let mut bench = made_ready(Settings::default(), [1280.0, 800.0]);
    bench.click("Subject LoRA");
    let ticket = bench.asked_of_desk().into_iter().find_map(|command| match command {
        DeskCommand::Foresee { ticket, .. } => Some(ticket),
        _ => None,
    });
    let error = UserError::input("The data set has no picture that can be read").hint("the first one is cut off");
    bench.desk(DeskEvent::Foreseen { ticket: ticket.expect("it is asked"), forecast: Err(error) });
    assert!(bench.has("the first one is cut off"));
    bench.click("Start training");
    assert!(bench.asked_of_training().is_empty());
}

#[test]
fn a_training_is_watched_paused_and_stopped() {
    let (mut bench, config) = running(Settings::default(), [1280.0, 800.0], 100);
    assert_eq!(stage(&bench), TrainingStage::Going);
    assert!(bench.has("Curve: Loss, now 0.16"), "0.12 + 0.2 e^(-100 / 60)");
    assert!(bench.has("Untrained: a red knitted pullover with a high collar"));
    assert!(bench.has("After step 100: a red knitted pullover with a high collar"));
    assert!(bench.has("Row 1: 0017.png"));
    // Another moment, another prompt.
    bench.click("Step 50");
    assert!(bench.has("After step 50: a red knitted pullover with a high collar"));
    bench.click("Prompt 2: a blue woollen scarf, folded");
    assert!(bench.has("After step 50: a blue woollen scarf, folded"));
    bench.click("Side by side");
    bench.click("Step 100, prompt 1");
    assert!(bench.has("After step 100: a red knitted pullover with a high collar"));

    bench.click("Pause");
    assert_eq!((stage(&bench), bench.asked_of_training()), (TrainingStage::Pausing, vec![TrainingCommand::Pause]));
    bench.training(TrainingEvent::Paused(101));
    assert_eq!(stage(&bench), TrainingStage::Paused);
    bench.click("Draw");
    let asked = bench.asked_of_training();
    let [TrainingCommand::Draw(sketch)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(sketch.prompt, "a red knitted pullover with a high collar");
    let drawn = TrainingEvent::Drawn {
        step: 101,
        sketch: sketch.clone(),
        picture: garment(128, 128, 2),
        untrained: Some(garment(128, 128, 1)),
        path: config.output.join("samples/drawn.png"),
    };
    bench.training(drawn);
    assert!(bench.has("Trained, step 101: a red knitted pullover with a high collar"));
    bench.click("Go on");
    bench.click("Stop and save");
    assert_eq!(bench.asked_of_training(), [TrainingCommand::GoOn, TrainingCommand::Stop]);
    assert_eq!(stage(&bench), TrainingStage::Stopping);
}

#[test]
fn a_result_is_put_into_create() {
    let (mut bench, config) = running(Settings::default(), [1280.0, 800.0], 50);
    let files = ["my-lora.safetensors", "my-lora-diffusers.safetensors"].map(|name| config.output.join(name));
    bench.training(TrainingEvent::Ended { step: 300, steps: 300, files: files.to_vec() });
    assert!(bench.has("Done"));
    bench.click("Use in Create");
    let asked = bench.asked_of_desk();
    assert!(matches!(asked.as_slice(), [DeskCommand::Install { file, .. }] if *file == files[0]), "{asked:?}");
    bench.desk(DeskEvent::Installed { file: files[0].clone(), name: Ok("my-lora".to_owned()) });
    assert_eq!(bench.state().place, Place::Create);
    assert!(bench.draft().prompt.ends_with("<lora:my-lora:1>"), "{}", bench.draft().prompt);
    assert!(bench.state().adapters.is_waiting, "how it fits is looked at");
}

#[test]
fn an_earlier_step_is_made_a_result() {
    let (mut bench, config) = running(Settings::default(), [1280.0, 800.0], 100);
    bench.training(TrainingEvent::Ended { step: 100, steps: 300, files: Vec::new() });
    assert!(bench.has("Stopped and saved"));
    bench.click("Make a result of step 50");
    let asked = bench.asked_of_desk();
    assert!(matches!(asked.as_slice(), [DeskCommand::Promote { step: 50, .. }]), "{asked:?}");
    let file = config.output.join("my-lora-step-000050.safetensors");
    bench.desk(DeskEvent::Promoted { step: 50, files: Ok(vec![file]) });
    assert!(bench.has("Use my-lora-step-000050.safetensors"));
}

fn past(folder: &str) -> PastTraining {
    let mut config = TrainingConfig { dataset: PICTURES.into(), output: folder.into(), ..TrainingConfig::default() };
    "winter".clone_into(&mut config.name);
    config.samples.prompts = vec!["a red knitted pullover".to_owned()];
    let sample = |step: u64| PastSample {
        step,
        index: 0,
        path: PathBuf::from(format!("{folder}/samples/step-{step:06}-1.png")),
        small: Arc::new(garment(96, 96, step as u32)),
    };
    PastTraining {
        config,
        checkpoints: vec![50, 100],
        steps: Some(300),
        log: (1..=120).map(step).collect(),
        validations: Vec::new(),
        samples: vec![sample(0), sample(50), sample(100)],
        files: Vec::new(),
    }
}

#[test]
fn a_training_that_was_killed_is_offered_and_goes_on() {
    let folder = "/home/kim/atelier/trainings/winter";
    let memory = atelier::domain::training::TrainingMemory { last: Some(folder.into()), ..Default::default() };
    let mut bench = Bench::with(Settings { training: Some(memory), ..Settings::default() }, [1280.0, 800.0]);
    let asked = bench.asked_of_desk();
    assert!(matches!(asked.as_slice(), [DeskCommand::Look(at)] if at == &PathBuf::from(folder)), "{asked:?}");
    bench.desk(DeskEvent::Found { folder: folder.into(), past: Ok(Some(Box::new(past(folder)))) });
    bench.go_to("Train");
    bench.go_to("Training");
    assert!(bench.has("winter is not finished") && bench.has("Saved after step 100 of 300"));
    bench.click("Resume");
    let asked = bench.asked_of_training();
    let [TrainingCommand::Begin { config, resume: true }] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(config.name, "winter");
    // What was measured after the last saved state is measured again.
    bench.training(TrainingEvent::Resumed(100));
    let run = bench.state().train.training.run.as_ref().expect("it is shown");
    assert_eq!(run.curves.loss.points().last().expect("it has a past")[0], 100.0);
    assert_eq!(run.album.steps(), [0, 50, 100]);
    bench.training(TrainingEvent::Step(step(101)));
    assert_eq!(stage(&bench), TrainingStage::Going);
}

#[test]
fn a_name_that_is_taken_does_not_begin_over_what_is_there() {
    let mut bench = made_ready(Settings::default(), [1280.0, 800.0]);
    bench.click("Start training");
    bench.asked_of_desk();
    let folder = bench.state().train.training.config.output.clone();
    let there = past(&folder.to_string_lossy());
    bench.desk(DeskEvent::Found { folder, past: Ok(Some(Box::new(there))) });
    assert!(bench.asked_of_training().is_empty());
    assert!(bench.has("winter is here already"));
    let problem = "The name is that of a training that is here already: resume it, or choose another one";
    assert!(bench.harness.query_all_by_label(problem).count() >= 1);
    bench.type_into(Role::TextInput, "Name", "2");
    let config = begin(&mut bench);
    assert!(config.output.to_string_lossy().contains('2'), "{}", config.output.display());
}

#[test]
fn a_training_that_falls_apart_names_the_step_and_what_is_left() {
    let (mut bench, config) = running(Settings::default(), [1280.0, 800.0], 50);
    let error = UserError::failed("The training fell apart at step 51: its loss is not finite")
        .hint("the weights of step 50 are whole and written; try a lower learning rate");
    bench.engine(Event::TrainingFailed(error));
    assert!(bench.has("The training fell apart at step 51: its loss is not finite"));
    assert!(bench.has("the weights of step 50 are whole and written; try a lower learning rate"));
    let mut there = past(&config.output.to_string_lossy());
    there.files = vec![config.output.join("my-lora-step-000050.safetensors")];
    bench.desk(DeskEvent::Found { folder: config.output, past: Ok(Some(Box::new(there))) });
    assert!(bench.has("Use my-lora-step-000050.safetensors"));
}

#[test]
fn pictures_are_made_while_a_training_runs() {
    let (mut bench, _) = running(Settings::default(), [1280.0, 800.0], 50);
    bench.go_to("Create");
    bench.press(egui::Modifiers::COMMAND, egui::Key::Enter);
    assert!(bench.sent_job().is_some(), "the engine gets both and takes turns");
}
