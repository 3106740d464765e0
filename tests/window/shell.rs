//! The window as a whole: places, themes, settings, the keyboard, closing.

use atelier::domain::{GenerateRequest, Secret, Settings, ShellSettings, Theme};
use atelier::library::{LibraryCommand, QueueCommand};
use atelier::studio::Place;
use egui::{Key, Modifiers, Role};
use egui_kittest::kittest::{NodeT, Queryable};

use super::bench::Bench;

fn saved_settings(bench: &Bench) -> Option<Settings> {
    let saves = bench.library_commands.try_iter().filter_map(|command| match command {
        LibraryCommand::SaveSettings(settings) => Some(*settings),
        _ => None,
    });
    saves.last()
}

#[test]
fn every_place_is_reached_by_its_keys() {
    let mut bench = Bench::first_start();
    for (key, place) in [
        (Key::Num2, Place::Gallery),
        (Key::Num3, Place::Batch),
        (Key::Num4, Place::Train),
        (Key::Num5, Place::Models),
        (Key::Num6, Place::Settings),
        (Key::Num1, Place::Create),
    ] {
        bench.press(Modifiers::COMMAND, key);
        assert_eq!(bench.state().place, place);
    }
}

#[test]
fn tab_reaches_every_place_and_generate() {
    let mut bench = Bench::first_start();
    let mut missing = vec![
        (Role::Tab, "Create"),
        (Role::Tab, "Gallery"),
        (Role::Tab, "Batch"),
        (Role::Tab, "Models"),
        (Role::Tab, "Settings"),
        (Role::Button, "Generate"),
    ];
    for _ in 0..60 {
        bench.press(Modifiers::NONE, Key::Tab);
        missing.retain(|(role, label)| !bench.harness.get_by_role_and_label(*role, label).is_focused());
    }
    assert!(missing.is_empty(), "never focused: {missing:?}");
}

#[test]
fn the_theme_switches_and_is_remembered() {
    let mut bench = Bench::first_start();
    assert!(bench.harness.ctx.global_style().visuals.dark_mode);
    bench.go_to("Settings");
    bench.harness.get_by_role_and_label(Role::RadioButton, "Light").click();
    bench.harness.run();
    assert!(!bench.harness.ctx.global_style().visuals.dark_mode);
    assert_eq!(saved_settings(&bench).map(|settings| settings.theme), Some(Theme::Light));
}

#[test]
fn settings_come_back() {
    let request = GenerateRequest { prompt: "a green parka".to_owned(), seed: 77, ..GenerateRequest::default() };
    let settings = Settings {
        theme: Theme::Light,
        draft: Some(request.clone()),
        seed_locked: true,
        model_paths: vec!["/models/a".into()],
        pictures_dir: Some("/pictures".into()),
        model_folders: vec!["/models".into()],
        hub_token: Some(Secret::new("hf_abc")),
        shell: ShellSettings { tour_seen: true, scale_percent: 120, threads: Some(3), ..ShellSettings::default() },
        ..Settings::default()
    };
    let bench = Bench::with(settings.clone(), [1280.0, 800.0]);
    assert_eq!(bench.prompt().value().as_deref(), Some("a green parka"));
    assert!(!bench.harness.ctx.global_style().visuals.dark_mode);
    assert_eq!(Settings { window: None, ..bench.state().settings() }, settings);
}

#[test]
fn a_changed_draft_is_saved_after_a_rest() {
    let mut bench = Bench::first_start();
    let _ = saved_settings(&bench);
    bench.prompt().type_text("!");
    bench.harness.run();
    assert_eq!(saved_settings(&bench), None, "not at every letter");
    bench.harness.run_steps(20); // a quarter of a second each
    let saved = saved_settings(&bench).and_then(|settings| settings.draft).expect("the draft is saved");
    assert!(saved.prompt.ends_with('!'));
}

#[test]
fn closing_stops_the_job_and_keeps_what_waits() {
    let mut bench = Bench::first_start();
    bench.click("Generate");
    bench.click("Generate");
    let job = bench.sent_job().expect("a job was sent");
    let _ = saved_settings(&bench);
    let viewports = &mut bench.harness.input_mut().viewports;
    viewports.entry(egui::ViewportId::ROOT).or_default().events.push(egui::ViewportEvent::Close);
    bench.harness.step();
    assert!(job.cancel.is_cancelled());
    assert_eq!(bench.state().queue.waiting().len(), 1, "what waits is on the disk, and offered at the next start");
    assert!(bench.queue_log.iter().all(|command| !matches!(command, QueueCommand::Remove(_))));
    assert!(saved_settings(&bench).is_some());
}

#[test]
fn a_broken_engine_is_told_once_and_the_window_lives() {
    let Bench { mut harness, commands, events, .. } = Bench::first_start();
    drop((commands, events));
    for _ in 0..3 {
        harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
        harness.run();
    }
    assert!(harness.query_by_label("The engine has stopped (3 times)").is_some());
    assert!(harness.state().state().queue.running().is_none());
}

#[test]
fn problems_are_told_beside_their_field_and_block_generate() {
    let draft = GenerateRequest { width_px: 131, ..GenerateRequest::default() };
    let mut bench = Bench::with(Settings { draft: Some(draft), ..Settings::default() }, [1280.0, 800.0]);
    let sentence = "The width must be a multiple of 8 from 64 to 192 px, not 131";
    assert!(bench.has(sentence));
    let disabled = bench.harness.get_by_role_and_label(Role::Button, "Generate").accesskit_node().is_disabled();
    assert!(disabled);
    bench.press(Modifiers::COMMAND, Key::Enter);
    assert!(bench.sent_job().is_none());
}

#[test]
fn f11_fills_the_screen() {
    let mut bench = Bench::first_start();
    bench.press(Modifiers::NONE, Key::F11);
    assert!(bench.state().full_screen);
}
