//! What holds for every place of the window: names for screen readers, room at every size, the keyboard.

use std::collections::BTreeSet;

use atelier::domain::{Event, FamilyId, Settings, UserError};
use atelier::library::LibraryEvent;
use atelier::studio::{Action, Machine, Memory, Place, ShellAction};
use egui::accesskit::Action as Doing;
use egui::{Key, Modifiers, Rect, Role};
use egui_kittest::kittest::{NodeT, Queryable};

use super::bench::{Bench, MACHINE, history, model_info};

/// A window with something in every place: pictures, one forming, others waiting, an error.
fn lived_in(size: [f32; 2], pixels_per_point: f32) -> Bench {
    let mut settings = Settings::default();
    settings.shell.tour_seen = true;
    settings.model_folders = vec!["/models".into()];
    let mut bench = Bench::start(settings, size, pixels_per_point);
    bench.engine(Event::ModelReady(model_info(bench.draft().model.clone(), FamilyId::Starter)));
    bench.press(Modifiers::COMMAND, Key::Enter);
    let job = bench.sent_job().expect("a job is sent");
    bench.finish(&job, 1);
    for _ in 0..3 {
        bench.press(Modifiers::COMMAND, Key::Enter);
    }
    let job = bench.sent_job().expect("a job is sent");
    bench.step(job.id, 2, 20);
    bench.step(job.id, 13, 20);
    bench.library(LibraryEvent::Failed { error: UserError::failed("The history could not be read") });
    bench.serve(&history(40));
    bench
}

fn show(bench: &mut Bench, place: Place) {
    bench.go_to(Action::GoTo(place).info().text);
    bench.serve(&history(40));
    // What turns, as while models are listed, is drawn for ever.
    bench.harness.run_steps(4);
}

/// What can be reached by Tab and has no name.
fn nameless(bench: &Bench, what: &str) -> Vec<String> {
    let nodes = bench.harness.root().children_recursive();
    nodes
        .filter(|node| {
            let node = node.accesskit_node();
            let is_named = node.label().is_some_and(|label| !label.trim().is_empty());
            node.data().supports_action(Doing::Focus) && !node.is_disabled() && !node.is_hidden() && !is_named
        })
        .map(|node| format!("{what}: {:?} at {:?}", node.accesskit_node().role(), node.rect()))
        .collect()
}

#[test]
fn everything_that_has_the_keyboard_has_a_name() {
    let mut found = Vec::new();
    let mut bench = lived_in([1280.0, 1600.0], 1.0);
    for place in Place::ALL {
        show(&mut bench, place);
        found.extend(nameless(&bench, &format!("{place:?}")));
    }
    show(&mut bench, Place::Gallery);
    bench.harness.get_by_label("Picture: a leather boot number 39").click();
    bench.harness.run_steps(4);
    found.extend(nameless(&bench, "large picture"));
    for (key, modifiers) in [(Key::P, Modifiers::COMMAND), (Key::F1, Modifiers::NONE)] {
        bench.press(modifiers, key);
        found.extend(nameless(&bench, &format!("{key:?}")));
        bench.press(Modifiers::NONE, Key::Escape);
    }
    bench.harness.get_all_by_label("Details…").next().expect("an error is shown").click();
    bench.harness.run_steps(2);
    found.extend(nameless(&bench, "errors"));
    assert!(found.is_empty(), "without a name:\n{}", found.join("\n"));
}

/// Buttons that hang over the window's edge, and pairs that lie on each other. What is scrolled away lies below the buttons
/// that stay at the bottom of their column.
fn crowded(bench: &Bench, size: [f32; 2], what: &str) -> Vec<String> {
    let screen = Rect::from_min_size(egui::Pos2::ZERO, size.into());
    let stays = |name: &str| matches!(name, "Generate" | "Cancel" | "Grid…");
    let is_button = |role: Role| {
        matches!(
            role,
            Role::Button | Role::Tab | Role::RadioButton | Role::CheckBox | Role::ComboBox | Role::SpinButton
        )
    };
    let nodes = bench.harness.root().children_recursive();
    let buttons: Vec<(String, Rect)> = nodes
        .filter(|node| is_button(node.accesskit_node().role()))
        .map(|node| (node.accesskit_node().label().unwrap_or_default(), node.rect()))
        .filter(|(_, rect)| rect.is_positive() && screen.intersects(*rect))
        .collect();
    let mut found = Vec::new();
    for (i, (name, rect)) in buttons.iter().enumerate() {
        let hangs = rect.left() < -0.5 || rect.right() > screen.right() + 0.5;
        if hangs {
            found.push(format!("{what}: {name:?} hangs over the edge: {rect:?}"));
        }
        for (other, over) in &buttons[i + 1..] {
            let both = rect.intersect(*over);
            // Corners of tiles are buttons on a button.
            let nested = rect.contains_rect(*over) || over.contains_rect(*rect);
            let is_scrolled = stays(name) != stays(other);
            if both.is_positive() && both.width() > 1.0 && both.height() > 1.0 && !nested && !is_scrolled {
                found.push(format!("{what}: {name:?} {rect:?} lies on {other:?} {over:?}"));
            }
        }
    }
    found
}

#[test]
fn buttons_have_room_in_small_and_large_windows() {
    let mut found = Vec::new();
    for (size, pixels_per_point) in
        [([900.0, 600.0], 1.0), ([1024.0, 700.0], 1.0), ([1280.0, 800.0], 2.0), ([2560.0, 1440.0], 1.0)]
    {
        let mut bench = lived_in(size, pixels_per_point);
        bench.harness.get_by_label("Dismiss").click();
        bench.harness.run_steps(2);
        for place in Place::ALL {
            show(&mut bench, place);
            found.extend(crowded(&bench, size, &format!("{place:?} at {size:?}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn tab_reaches_pictures_and_enter_opens_them() {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    bench.serve(&history(12));
    let mut reached = BTreeSet::new();
    for _ in 0..60 {
        bench.press(Modifiers::NONE, Key::Tab);
        let nodes = bench.harness.root().children_recursive();
        let focused = nodes.filter(|node| node.accesskit_node().is_focused());
        reached.extend(focused.filter_map(|node| node.accesskit_node().label()));
    }
    for place in Place::ALL {
        let name = Action::GoTo(place).info().text;
        assert!(reached.contains(name), "{name} is not among {reached:?}");
    }
    assert!(reached.iter().any(|name| name.starts_with("Picture: ")), "{reached:?}");
    assert!(reached.contains("Search pictures"), "{reached:?}");
}

#[test]
fn the_scale_follows_the_keys_and_is_remembered() {
    let mut bench = Bench::first_start();
    bench.press(Modifiers::COMMAND, Key::Plus);
    bench.press(Modifiers::COMMAND | Modifiers::SHIFT, Key::Plus);
    bench.press(Modifiers::COMMAND, Key::Equals);
    assert_eq!(bench.harness.ctx.zoom_factor(), 1.3);
    assert_eq!(bench.state().settings().shell.scale_percent, 130);
    bench.press(Modifiers::COMMAND, Key::Minus);
    assert_eq!(bench.harness.ctx.zoom_factor(), 1.2);
    bench.press(Modifiers::COMMAND, Key::Num0);
    assert_eq!(bench.harness.ctx.zoom_factor(), 1.0);
    bench.go_to("Settings");
    bench.click("Smaller");
    assert_eq!(bench.harness.ctx.zoom_factor(), 0.9);
}

#[test]
fn a_long_queue_is_told_when_nobody_looks() {
    let mut bench = Bench::first_start();
    let is_focused = |bench: &mut Bench, focused: bool| {
        let viewports = &mut bench.harness.input_mut().viewports;
        viewports.entry(egui::ViewportId::ROOT).or_default().focused = Some(focused);
    };
    let work = |bench: &mut Bench, steps: usize| {
        bench.press(Modifiers::COMMAND, Key::Enter);
        let job = bench.sent_job().expect("a job is sent");
        bench.harness.run_steps(steps); // a quarter of a second each
        bench.finish(&job, 1);
    };
    is_focused(&mut bench, false);
    work(&mut bench, 20);
    assert!(bench.desktop.borrow().told.is_empty(), "it was short");
    is_focused(&mut bench, true);
    work(&mut bench, 130);
    assert!(bench.desktop.borrow().told.is_empty(), "it was seen");
    is_focused(&mut bench, false);
    work(&mut bench, 130);
    assert_eq!(bench.desktop.borrow().told, ["1 picture is finished"]);
    bench.go_to("Settings");
    bench.harness.get_by_role_and_label(Role::CheckBox, "Tell me when the queue is done").click();
    bench.harness.run();
    bench.go_to("Create");
    work(&mut bench, 130);
    assert_eq!(bench.desktop.borrow().told.len(), 1, "not asked for any more");
}

#[test]
fn cost_is_said_below_generate_and_what_does_not_fit_before_it_begins() {
    let mut bench = Bench::first_start();
    assert!(bench.has("The first picture tells how long it takes"));
    bench.press(Modifiers::COMMAND, Key::Enter);
    let job = bench.sent_job().expect("a job is sent");
    for step in 1..=20 {
        bench.step(job.id, step, 20); // a quarter of a second each
    }
    assert!(bench.harness.query_all_by_label("4.0 steps/s").count() == 1);
    bench.finish(&job, 1);
    let told = bench.harness.query_all_by_label_contains("about 5 s").count();
    assert_eq!(told, 1, "20 steps of a quarter of a second");
    let memory = Memory { total_bytes: 1_000_000_000, free_bytes: 10_000_000, own_bytes: 100_000_000 };
    bench.machine.set(Machine { memory: Some(memory), ..MACHINE });
    bench.harness.run_steps(2);
    assert!(bench.harness.query_all_by_label_contains("would be very slow").count() == 1);
    let generate = bench.harness.get_by_role_and_label(Role::Button, "Generate");
    assert!(!generate.accesskit_node().is_disabled(), "the user may know better");
}

#[test]
fn previews_come_as_often_as_asked() {
    let mut bench = Bench::first_start();
    bench.go_to("Settings");
    bench.harness.get_by_role_and_label(Role::RadioButton, "Every fifth").click();
    bench.harness.run();
    bench.press(Modifiers::COMMAND, Key::Enter);
    let job = bench.sent_job().expect("a job is sent");
    let shown = |bench: &Bench| bench.state().queue.running().and_then(|running| running.preview.clone());
    bench.step(job.id, 1, 20);
    let first = shown(&bench).expect("the first is shown");
    bench.step(job.id, 4, 20);
    assert!(std::sync::Arc::ptr_eq(&first, &shown(&bench).expect("it stays")));
    assert!(bench.has("Step 4 of 20"), "how far it is is told all the same");
    bench.step(job.id, 5, 20);
    assert!(!std::sync::Arc::ptr_eq(&first, &shown(&bench).expect("another")));
}

#[test]
fn threads_say_when_they_take_effect() {
    let mut bench = Bench::first_start();
    bench.go_to("Settings");
    let hint = "8 compute now. The change takes effect when Atelier is started again";
    assert!(!bench.has(hint));
    bench.harness.get_by_role_and_label(Role::RadioButton, "As many as").click();
    bench.harness.run();
    bench.type_number("Threads", "3");
    assert_eq!(bench.state().settings().shell.threads, Some(3));
    assert!(bench.has(hint));
    assert!(Action::Shell(ShellAction::SetThreads(None)).info().tooltip.contains("fewer leave room"));
}

#[test]
fn the_windows_size_is_remembered_in_the_systems_own_px() {
    let mut bench = Bench::first_start();
    bench.press(Modifiers::COMMAND, Key::Plus);
    let viewports = &mut bench.harness.input_mut().viewports;
    let inner = Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(1000.0, 700.0));
    viewports.entry(egui::ViewportId::ROOT).or_default().inner_rect = Some(inner);
    bench.harness.run_steps(2);
    let place = bench.state().settings().window.expect("it is known");
    // The next start opens a window before it has a scale: 1000 px at 110 % are 1100 of the system's.
    assert!((place.width - 1100.0).abs() < 0.1 && (place.height - 770.0).abs() < 0.1, "{place:?}");
}
