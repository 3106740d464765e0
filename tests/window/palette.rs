//! The palette, the cheat sheet and the list of errors.

use atelier::domain::{Event, GenerateRequest, Theme, UserError};
use atelier::library::LibraryEvent;
use atelier::studio::{Action, KEYED, Overlay, Place, ShellAction, shortcuts};
use egui::accesskit::Toggled;
use egui::{Key, Modifiers, Role};
use egui_kittest::kittest::{NodeT, Queryable};

use super::bench::Bench;

fn open() -> Bench {
    let mut bench = Bench::first_start();
    bench.press(Modifiers::COMMAND, Key::P);
    bench
}

fn type_text(bench: &mut Bench, text: &str) {
    bench.harness.event(egui::Event::Text(text.to_owned()));
    bench.harness.run();
}

/// The row that Enter would run.
fn marked(bench: &Bench) -> Option<String> {
    let rows = bench.harness.query_all_by_role(Role::ListBoxOption);
    let mut marked = rows.map(|row| row.accesskit_node()).filter(|row| row.toggled() == Some(Toggled::True));
    marked.next().and_then(|row| row.label())
}

#[test]
fn some_letters_and_enter_run_a_command() {
    let mut bench = open();
    assert!(bench.harness.get_by_role_and_label(Role::TextInput, "Find a command").is_focused());
    type_text(&mut bench, "theme lig");
    assert_eq!(marked(&bench).as_deref(), Some("Theme: Light"));
    bench.press(Modifiers::NONE, Key::Enter);
    assert_eq!(bench.state().theme, Theme::Light);
    assert_eq!(bench.state().shell.overlay, None);
    // What was run last comes first.
    bench.press(Modifiers::COMMAND, Key::P);
    assert!(marked(&bench).is_some_and(|row| row.starts_with("Theme: Light")));
}

#[test]
fn arrows_go_round_and_a_click_runs() {
    let mut bench = open();
    type_text(&mut bench, "go to");
    let first = marked(&bench);
    bench.press(Modifiers::NONE, Key::ArrowDown);
    assert_ne!(marked(&bench), first);
    bench.press(Modifiers::NONE, Key::ArrowUp);
    assert_eq!(marked(&bench), first);
    bench.press(Modifiers::NONE, Key::ArrowUp);
    bench.press(Modifiers::NONE, Key::ArrowDown);
    assert_eq!(marked(&bench), first, "past the last row comes the first");
    bench.harness.get_by_role_and_label(Role::ListBoxOption, "Go to: Models").click();
    bench.harness.run();
    assert_eq!(bench.state().place, Place::Models);
}

#[test]
fn what_cannot_be_done_says_why_and_is_not_done() {
    let mut bench = open();
    type_text(&mut bench, "queue cancel");
    assert_eq!(marked(&bench).as_deref(), Some("Queue: Cancel. No picture is being made"));
    bench.press(Modifiers::NONE, Key::Enter);
    assert!(matches!(bench.state().shell.overlay, Some(Overlay::Palette(_))), "it stays open");
    type_text(&mut bench, " nothing like it");
    assert!(bench.has("No command has this name. Some of its letters are enough, in their order"));
    bench.press(Modifiers::NONE, Key::Enter);
    bench.press(Modifiers::NONE, Key::ArrowDown);
}

#[test]
fn the_keys_of_the_window_rest_while_it_is_open() {
    let mut bench = open();
    bench.press(Modifiers::COMMAND, Key::Enter);
    bench.press(Modifiers::COMMAND, Key::Num2);
    assert!(bench.sent_job().is_none());
    assert_eq!(bench.state().place, Place::Create);
    bench.press(Modifiers::COMMAND, Key::P);
    assert_eq!(bench.state().shell.overlay, None, "its own keys close it again");
    bench.press(Modifiers::COMMAND, Key::P);
    bench.press(Modifiers::NONE, Key::Escape);
    assert_eq!(bench.state().shell.overlay, None);
}

#[test]
fn the_cheat_sheet_holds_every_key_of_the_table() {
    let mut bench = Bench::first_start();
    bench.press(Modifiers::NONE, Key::F1);
    for (_, shortcut, action) in shortcuts() {
        let keys = shortcut.to_string();
        assert!(bench.harness.query_all_by_label(&keys).count() >= 1, "{keys} of {action:?}");
        assert!(bench.harness.query_all_by_label(action.info().text).count() >= 1, "{action:?}");
    }
    assert!(KEYED.len() > 20);
    bench.click("Close");
    assert_eq!(bench.state().shell.overlay, None);
    assert!(bench.prompt().is_focused(), "who had the keyboard before has it again");
    // A question mark is a letter where one types, and a key elsewhere.
    type_text(&mut bench, "?");
    assert!(bench.draft().prompt.ends_with('?'));
    bench.press(Modifiers::SHIFT, Key::Questionmark);
    assert_eq!(bench.state().shell.overlay, None);
    bench.go_to("Settings");
    bench.press(Modifiers::SHIFT, Key::Questionmark);
    assert_eq!(bench.state().shell.overlay, Some(Overlay::Shortcuts));
}

#[test]
fn an_error_can_be_copied_with_all_that_is_known() {
    let mut bench = Bench::first_start();
    bench.prompt().type_text(" of wool");
    bench.harness.run();
    bench.click("Generate");
    let job = bench.sent_job().expect("a job is sent");
    let error = UserError::failed("The engine met a fault of its own").hint("the next job works").path("/models/a");
    bench.engine(Event::Failed { job: job.id, error });
    bench.click("Details…");
    assert!(bench.has("/models/a"));
    bench.harness.get_by_role_and_label(Role::Button, "Copy details").click();
    bench.harness.step();
    let commands = bench.harness.output().platform_output.commands.clone();
    let copied = commands.iter().find_map(|command| match command {
        egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    });
    let copied = copied.expect("the details are copied");
    for part in ["The engine met a fault", "hint: the next job works", "path: /models/a", "system: ", "16.0 GB in all"]
    {
        assert!(copied.contains(part), "{part} is not in\n{copied}");
    }
    let json = copied.split("request: ").nth(1).and_then(|rest| rest.split("\nlog: ").next()).expect("a request");
    let request: GenerateRequest = serde_json::from_str(json).expect("the request as it can be sent again");
    assert_eq!(request, job.request);
}

#[test]
fn errors_stay_in_the_list_after_their_messages() {
    let mut bench = Bench::first_start();
    for i in 0..9 {
        bench.library(LibraryEvent::Failed { error: UserError::failed(format!("Fault number {i}")) });
    }
    bench.harness.get_all_by_label("Dismiss").next().expect("a message").click();
    bench.harness.run();
    bench.harness.get_all_by_label("Details…").next().expect("a message").click();
    bench.harness.run();
    for i in 0..9 {
        assert!(bench.harness.query_all_by_label(&format!("Fault number {i}")).count() >= 1, "{i}");
    }
    bench.click("Open log folder");
    assert_eq!(bench.desktop.borrow().revealed, [bench.state().paths.logs_dir.clone()]);
}

#[test]
fn saved_copies_are_shown_where_they_lie() {
    let mut bench = Bench::first_start();
    bench.library(LibraryEvent::Saved { target: "/home/kim/copy.webp".into() });
    bench.click("Show");
    assert_eq!(bench.desktop.borrow().revealed, [std::path::PathBuf::from("/home/kim/copy.webp")]);
}

#[test]
fn the_palette_offers_itself_to_nobody() {
    let bench = open();
    assert!(
        bench
            .state()
            .palette_entries("")
            .iter()
            .all(|entry| { entry.action != Action::Shell(ShellAction::OpenPalette) })
    );
}
